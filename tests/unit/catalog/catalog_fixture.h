/* A catalog in a folder of its own, for one test. Shared by the unit and the conformance tests. */
#ifndef GR_TESTS_CATALOG_FIXTURE_H
#define GR_TESTS_CATALOG_FIXTURE_H
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "catalog/catalog.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct fixture {
    char folder[256], file[300];
    gr_catalog *catalog;
    gr_arena *arena;
    gr_error err;
} fixture;

#define assert_ok(f, call)                                                                                             \
    do {                                                                                                               \
        gr_status status_ = (call);                                                                                    \
        if (status_) print_error("%s: %s\n", gr_error_info_of(status_)->id, (f)->err.message);                         \
        assert_int_equal(status_, GR_OK);                                                                              \
    } while (0)

#define assert_str(s, text)                                                                                            \
    do {                                                                                                               \
        gr_str str_ = (s);                                                                                             \
        if (!gr_str_eq_z(str_, (text))) print_error("got \"" GR_FMT "\"\n", GR_ARG(str_));                             \
        assert_true(gr_str_eq_z(str_, (text)));                                                                        \
    } while (0)

static inline int fixture_folder(void **state) {
    fixture *f = calloc(1, sizeof *f);
    const char *tmp = getenv("TMPDIR");
    snprintf(f->folder, sizeof f->folder, "%s/granary-catalog-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(f->folder)) return -1;
    snprintf(f->file, sizeof f->file, "%s/catalog.sqlite", f->folder);
    f->arena = gr_arena_new();
    *state = f;
    return 0;
}

static inline gr_status fixture_open(fixture *f) { return gr_catalog_open(gr_str_from(f->file), &f->catalog, &f->err); }

static inline void fixture_close(fixture *f) {
    gr_catalog_close(f->catalog);
    f->catalog = NULL;
}

static inline void fixture_reopen(fixture *f) {
    fixture_close(f);
    assert_ok(f, fixture_open(f));
}

static inline int fixture_setup(void **state) {
    if (fixture_folder(state)) return -1;
    return fixture_open(*state) ? -1 : 0;
}

static inline int fixture_remove(const char *path, const struct stat *st, int kind, struct FTW *at) {
    (void)st, (void)kind, (void)at;
    return remove(path);
}

static inline int fixture_teardown(void **state) {
    fixture *f = *state;
    fixture_close(f);
    gr_arena_free(f->arena);
    chmod(f->folder, 0755);
    nftw(f->folder, fixture_remove, 8, FTW_DEPTH | FTW_PHYS);
    free(f);
    return 0;
}

static inline gr_preagg_decl decl_of(const char *node, const char *version, const char *grain_hash) {
    return (gr_preagg_decl){.node = gr_str_from(node),
                            .node_version = gr_str_from(version),
                            .grain_hash = gr_str_from(grain_hash),
                            .grain_columns = GR_STR("[\"orders.status\"]"),
                            .measures = GR_STR("[\"orders.count\"]"),
                            .declared_by = GR_STR("orders.main"),
                            .time_zone = GR_STR("UTC"),
                            .structure_hash = GR_STR("0123456789abcdef0123456789abcdef"),
                            .store = GR_STR("embedded")};
}

static const char grain_a[] = "0cc175b9c0f1b6a831c399e269772661";
static const char grain_b[] = "92eb5ffee6ae2fec3ad71c777531578f";

static inline gr_preagg_row declared(fixture *f, const gr_preagg_decl *decl, int64_t now_us) {
    gr_preagg_row row;
    assert_ok(f, gr_catalog_declare(f->catalog, decl, now_us, f->arena, &row, &f->err));
    return row;
}

static inline gr_preagg_row got(fixture *f, int64_t id) {
    gr_preagg_row row;
    bool is_found = false;
    assert_ok(f, gr_catalog_get(f->catalog, id, f->arena, &row, &is_found, &f->err));
    assert_true(is_found);
    return row;
}

static inline int64_t begun(fixture *f, int64_t preagg_id, gr_str structure_hash, int64_t now_us) {
    int64_t id = 0, number = 0;
    assert_ok(f, gr_catalog_build_begin(f->catalog, preagg_id, structure_hash, now_us, &id, &number, &f->err));
    return id;
}

static inline size_t done(fixture *f, int64_t build_id, int64_t now_us) {
    gr_build_row *old;
    size_t n_old = 0;
    assert_ok(f, gr_catalog_build_done(f->catalog, build_id, 10, 1000, GR_STR("{}"), now_us, f->arena, &old, &n_old,
                                       &f->err));
    return n_old;
}
#endif
