/* One model from text, and assertions on its diagnostics. Included once by each test of the room. */
#ifndef GR_TEST_MODEL_FIXTURE_H
#define GR_TEST_MODEL_FIXTURE_H
#include "model/model.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static gr_arena *arena;
static gr_diags diags;
static gr_model *model;
static gr_error err;

static int setup(void **state) {
    (void)state;
    arena = gr_arena_new();
    gr_diags_init(&diags, arena);
    model = NULL;
    return 0;
}

static int teardown(void **state) {
    (void)state;
    gr_model_unref(model);
    gr_arena_free(arena);
    return 0;
}

static void print_diags(void) {
    for (size_t i = 0; i < diags.list.n; i++) {
        const gr_diag *d = &diags.list.v[i];
        fprintf(stderr, "  " GR_FMT ":%u:%u %s%s: " GR_FMT " [" GR_FMT "]\n", GR_ARG(d->loc.file), d->loc.line,
                d->loc.col, d->is_warning ? "warning " : "", gr_error_info_of(d->status)->id, GR_ARG(d->message),
                GR_ARG(d->hint));
    }
}

static inline gr_status load_files(const gr_model_file *files, size_t n) {
    gr_model_unref(model);
    model = NULL;
    err = (gr_error){0};
    gr_diags_init(&diags, arena);
    return gr_model_load_files(files, n, &diags, &model, &err);
}

static inline gr_status load(const char *text) {
    gr_model_file file = {GR_STR("m.yml"), gr_str_from(text)};
    return load_files(&file, 1);
}

static inline void load_good(const char *text) {
    gr_status status = load(text);
    if (!status) return;
    print_diags();
    fail_msg("%s: %s", gr_error_info_of(status)->id, err.message);
}

static inline bool has(gr_str text, const char *part) { return gr_str_find_str(text, gr_str_from(part)) != SIZE_MAX; }

/* The diagnostic of this id whose message holds `part`; fails when there is none. */
static inline const gr_diag *find_diag(gr_status status, const char *part) {
    for (size_t i = 0; i < diags.list.n; i++)
        if (diags.list.v[i].status == status && has(diags.list.v[i].message, part)) return &diags.list.v[i];
    print_diags();
    fail_msg("no %s with '%s'", gr_error_info_of(status)->id, part);
    return NULL;
}

static inline void expect_at(const gr_diag *d, uint32_t line, uint32_t col) {
    if (d->loc.line == line && d->loc.col == col) return;
    print_diags();
    fail_msg("'" GR_FMT "' is at %u:%u, not at %u:%u", GR_ARG(d->message), d->loc.line, d->loc.col, line, col);
}

static inline const gr_member *member(const char *id) {
    const gr_member *m = NULL;
    if (gr_model_member(model, gr_str_from(id), &m, &err)) fail_msg("%s", err.message);
    return m;
}

static inline void expect_str(gr_str s, const char *text) {
    if (!gr_str_eq_z(s, text)) fail_msg("'" GR_FMT "' is not '%s'", GR_ARG(s), text);
}
#endif
