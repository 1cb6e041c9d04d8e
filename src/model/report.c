/* Faults as the reference words them: which cube, the path of the key in camelCase, the value, what is wrong.
 * Invariant: texts of diagnostics live in the diagnostics' own arena, so that they outlive a model that failed. */
#include "model/loader.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { MOST_HINTS = 100, MOST_NAMES = 20000, VALUE_BYTES = 80 };

static bool is_reported(const gr_diags *d, gr_status status, gr_loc loc) {
    for (size_t i = 0; i < d->list.n; i++) {
        const gr_diag *x = &d->list.v[i];
        if (x->status == status && x->loc.line == loc.line && x->loc.col == loc.col && gr_str_eq(x->loc.file, loc.file))
            return true;
    }
    return false;
}

/* Of `n` bytes that were cut off somewhere, those up to the last start of a character that is not ASCII. */
static size_t whole_characters(const char *text, size_t n) {
    size_t end = n;
    while (end && ((unsigned char)text[end - 1] & 0xC0) == 0x80) end--;
    return end && (unsigned char)text[end - 1] >= 0xC0 ? end - 1 : n;
}

gr_diag *gr_model_report(gr_loader *l, gr_status status, gr_loc loc, const char *format, ...) {
    static _Thread_local gr_diag dropped;
    if (l->is_inherited && is_reported(l->diags, status, loc)) return &dropped;
    char text[1024];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n < 0) text[0] = 0;
    if (n >= (int)sizeof text) text[whole_characters(text, sizeof text - 1)] = 0;
    if (!l->at) return gr_diags_error(l->diags, status, loc, "%s", text);
    return gr_diags_error(l->diags, status, loc, GR_FMT " %s: %s", GR_ARG(l->at->name),
                          l->at->is_view ? "view" : "cube", text);
}

void gr_model_hint(gr_loader *l, gr_diag *d, const char *format, ...) {
    char text[512];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n > 0) d->hint = gr_arena_dup(l->diags->arena, gr_str_from(text));
}

static void write_place(gr_buf *out, const gr_place *place) {
    if (!place) return;
    write_place(out, place->up);
    if (place->index >= 0) {
        gr_buf_printf(out, "[%lld]", (long long)place->index);
        return;
    }
    if (out->n) gr_buf_char(out, '.');
    gr_buf_add(out, place->name);
}

gr_str gr_model_place_text(gr_loader *l, const gr_place *place, gr_str key) {
    gr_buf out;
    gr_buf_init(&out, 1024);
    write_place(&out, place);
    if (key.n) {
        char camel[64];
        if (out.n) gr_buf_char(&out, '.');
        gr_buf_add(&out, gr_model_camel(key, camel));
    }
    gr_str text = gr_arena_dup(l->diags->arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

/* " = value", as JavaScript would print it, shortened. */
static gr_str value_text(const gr_yaml *value, char *out, size_t size) {
    int n = 0;
    if (!value || value->kind == GR_YAML_NULL) return (gr_str){0};
    if (value->kind != GR_YAML_SCALAR) {
        n = snprintf(out, size, " = [object Object]");
    } else {
        gr_str text = value->text;
        bool is_cut = text.n > VALUE_BYTES;
        if (is_cut)
            for (text.n = VALUE_BYTES; text.n && ((unsigned char)text.p[text.n] & 0xC0) == 0x80;) text.n--;
        n = snprintf(out, size, " = " GR_FMT "%s", GR_ARG(text), is_cut ? "…" : "");
    }
    return (gr_str){out, n > 0 ? (size_t)n : 0};
}

gr_diag *gr_model_fault(gr_loader *l, gr_status status, gr_loc loc, const gr_place *place, gr_str key,
                        const gr_yaml *value, const char *what) {
    char shown[VALUE_BYTES + 32];
    gr_str v = value_text(value, shown, sizeof shown);
    return gr_model_report(l, status, loc, "(" GR_FMT GR_FMT ") %s", GR_ARG(gr_model_place_text(l, place, key)),
                           GR_ARG(v), what);
}

void gr_model_required(gr_loader *l, const gr_fields *f, gr_key key) {
    gr_model_fault(l, GR_ERR_MODEL_INVALID, f->node->loc, f->place, gr_model_key_info(key)->name, NULL, "is required");
}

void gr_model_not_allowed(gr_loader *l, const gr_fields *f, gr_key key) {
    const gr_yaml_pair *pair = gr_fields_pair(f, key);
    if (!pair) return;
    gr_model_fault(l, GR_ERR_MODEL_INVALID, pair->key_loc, f->place, gr_model_key_info(key)->name, pair->value,
                   "is not allowed");
}

gr_diag *gr_model_bad_value(gr_loader *l, const gr_fields *f, gr_key key, const char *what) {
    const gr_yaml *value = gr_fields_get(f, key);
    return gr_model_fault(l, GR_ERR_MODEL_INVALID, value ? value->loc : f->node->loc, f->place,
                          gr_model_key_info(key)->name, value, what);
}

void gr_model_hint_nearest(gr_loader *l, gr_diag *d, gr_str name, const gr_map *names) {
    if (l->n_hints >= MOST_HINTS || names->n > MOST_NAMES) return;
    l->n_hints++;
    gr_str *list = GR_NEW_N(l->scratch, gr_str, names->n + 1);
    for (size_t i = 0; i < names->n; i++) list[i] = names->entries[i].key;
    gr_str near = gr_diags_nearest(name, list, names->n);
    if (near.n) gr_model_hint(l, d, "did you mean '" GR_FMT "'?", GR_ARG(near));
}

static int compare_places(const void *a, const void *b) {
    const gr_diag *x = a, *y = b;
    int c = gr_str_cmp(x->loc.file, y->loc.file);
    if (c) return c;
    if (x->loc.line != y->loc.line) return x->loc.line < y->loc.line ? -1 : 1;
    if (x->loc.col != y->loc.col) return x->loc.col < y->loc.col ? -1 : 1;
    if (x->is_warning != y->is_warning) return x->is_warning ? 1 : -1;
    return gr_str_cmp(x->message, y->message);
}

static void warn_no_effect(gr_loader *l, gr_key key) {
    const gr_key_info *info = gr_model_key_info(key);
    gr_str where = gr_model_context_title(info->context);
    size_t n = l->no_effect[key];
    gr_diag *d = gr_diags_warn(l->diags, GR_ERR_MODEL_NO_EFFECT, l->no_effect_at[key],
                               "'" GR_FMT "' of a " GR_FMT " is read and kept, and has no effect yet",
                               GR_ARG(info->name), GR_ARG(where));
    if (n > 1) gr_model_hint(l, d, "first of %zu places; the others are not listed", n);
}

void gr_model_report_finish(gr_loader *l, size_t first_diag) {
    for (int k = 0; k < GR_KEY__COUNT; k++)
        if (l->no_effect[k]) warn_no_effect(l, (gr_key)k);
    gr_diags *d = l->diags;
    size_t n = d->list.n > first_diag ? d->list.n - first_diag : 0;
    if (n == 0) return;
    qsort(d->list.v + first_diag, n, sizeof *d->list.v, compare_places);
    gr_str from = {0}, to = {0};
    for (size_t i = first_diag; i < d->list.n; i++) {
        gr_loc *loc = &d->list.v[i].loc;
        if (!from.p || loc->file.p != from.p) {
            from = loc->file;
            to = gr_arena_dup(d->arena, from);
        }
        loc->file = to;
    }
}
