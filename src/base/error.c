#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>

static const gr_error_info infos[GR_STATUS__COUNT] = {
    [GR_OK] = {"ok", 200, false, false, ""},
#define GR_ERROR(name, id, http_status, is_user, is_retryable, doc)                                                    \
    [GR_ERR_##name] = {id, http_status, is_user, is_retryable, doc},
#include "base/errors.def"
#undef GR_ERROR
};

const gr_error_info *gr_error_info_of(gr_status status) {
    return &infos[(unsigned)status < GR_STATUS__COUNT ? status : GR_ERR_INTERNAL];
}

/* vsnprintf that never leaves half of a UTF-8 sequence at the cut. */
__attribute__((format(printf, 3, 0))) static void format_into(char *out, size_t size, const char *format,
                                                              va_list args) {
    int n = vsnprintf(out, size, format, args);
    if (n < 0) out[0] = 0;
    if (n < 0 || (size_t)n < size) return;
    size_t end = size - 1;
    while (end > 0 && ((unsigned char)out[end - 1] & 0xC0) == 0x80) end--;
    if (end > 0 && (unsigned char)out[end - 1] >= 0xC0) end--;
    out[end] = 0;
}

gr_status gr_error_set(gr_error *err, gr_status status, const char *format, ...) {
    if (!err) return status;
    *err = (gr_error){.status = status};
    va_list args;
    va_start(args, format);
    format_into(err->message, sizeof err->message, format, args);
    va_end(args);
    return status;
}

void gr_error_hint(gr_error *err, const char *format, ...) {
    if (!err) return;
    va_list args;
    va_start(args, format);
    format_into(err->hint, sizeof err->hint, format, args);
    va_end(args);
}

void gr_error_at(gr_error *err, gr_loc loc) {
    if (!err) return;
    snprintf(err->file, sizeof err->file, GR_FMT, GR_ARG(loc.file));
    err->loc = (gr_loc){gr_str_from(err->file), loc.line, loc.col};
}

enum { MOST_DIAGS = 1000 };

void gr_diags_init(gr_diags *d, gr_arena *arena) { *d = (gr_diags){.arena = arena}; }

__attribute__((format(printf, 5, 0))) static gr_diag *add(gr_diags *d, gr_status status, bool is_warning, gr_loc loc,
                                                          const char *format, va_list args) {
    static _Thread_local gr_diag dropped;
    *(is_warning ? &d->n_warnings : &d->n_errors) += 1;
    if (d->list.n >= MOST_DIAGS) {
        d->n_dropped++;
        return &dropped;
    }
    char text[2048];
    format_into(text, sizeof text, format, args);
    loc.file = gr_arena_dup(d->arena, loc.file); /* the model that it came from may go first */
    gr_diag diag = {status, is_warning, loc, gr_arena_dup(d->arena, gr_str_from(text)), {0}};
    GR_PUSH(d->arena, &d->list, diag);
    return &d->list.v[d->list.n - 1];
}

gr_diag *gr_diags_error(gr_diags *d, gr_status status, gr_loc loc, const char *format, ...) {
    va_list args;
    va_start(args, format);
    gr_diag *diag = add(d, status, false, loc, format, args);
    va_end(args);
    return diag;
}

gr_diag *gr_diags_warn(gr_diags *d, gr_status status, gr_loc loc, const char *format, ...) {
    va_list args;
    va_start(args, format);
    gr_diag *diag = add(d, status, true, loc, format, args);
    va_end(args);
    return diag;
}

gr_str gr_diags_nearest(gr_str name, const gr_str *names, size_t n) {
    gr_str best = {0};
    size_t least = 3;
    for (size_t i = 0; i < n; i++) {
        size_t d = gr_str_distance(name, names[i], 2);
        if (d < least && d < name.n) {
            least = d;
            best = names[i];
        }
    }
    return best;
}
