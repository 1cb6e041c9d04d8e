/* A catalog in a folder of its own, for one test, and short words for what is declared. Shared by the unit and the
 * conformance tests. */
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
    char folder[256], file[300], schema[64];
    const char *postgres; /* connection string; NULL: SQLite */
    gr_catalog *catalog, *second;
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

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

/* ---- folder and handles --------------------------------------------------------------------------------------------
 */
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

static inline gr_catalog_options fixture_options(const fixture *f) {
    return (gr_catalog_options){.file = gr_str_from(f->file),
                                .postgres = gr_str_from(f->postgres),
                                .schema = gr_str_from(f->schema),
                                .server = GR_STR("here:1"),
                                .store = GR_STR("/shared/store"),
                                .is_store_shared = true};
}

static inline gr_status fixture_open_at(fixture *f, gr_catalog **ret) {
    gr_catalog_options options = fixture_options(f);
    return gr_catalog_open(&options, ret, &f->err);
}

static inline gr_status fixture_open(fixture *f) { return fixture_open_at(f, &f->catalog); }

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

static inline void fixture_remove_folder(const fixture *f) {
    chmod(f->folder, 0755);
    nftw(f->folder, fixture_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static inline int fixture_teardown(void **state) {
    fixture *f = *state;
    gr_catalog_close(f->second);
    fixture_close(f);
    gr_arena_free(f->arena);
    fixture_remove_folder(f);
    free(f);
    return 0;
}

/* ---- what is declared ----------------------------------------------------------------------------------------------
 */
static inline gr_actor at(int64_t now_us) { return (gr_actor){.now_us = now_us, .user = GR_STR("ann")}; }

static inline gr_node_decl node_of(const char *name, const char *content, const char *meta) {
    return (gr_node_decl){.name = gr_str_from(name),
                          .type = GR_NODE_SOURCE,
                          .content_hash = gr_str_from(content),
                          .meta_hash = gr_str_from(meta)};
}

/* "count=s1 total=s2": components with their signatures. */
static inline void components_of(gr_arena *arena, const char *text, gr_component_decl **ret, size_t *ret_n) {
    GR_VEC(gr_component_decl) list = {0};
    while (*text) {
        size_t name = strcspn(text, "="), all = strcspn(text, " ");
        gr_str signature = gr_arena_dup(arena, (gr_str){text + name + 1, all - name - 1});
        gr_component_decl c = {.name = gr_arena_dup(arena, (gr_str){text, name}),
                               .signature = signature,
                               .token = gr_arena_printf(arena, GR_FMT ":SUM", GR_ARG(signature)),
                               .details = GR_STR("{\"a\": 1}")};
        GR_PUSH(arena, &list, c);
        text += all + (text[all] == ' ');
    }
    *ret = list.v;
    *ret_n = list.n;
}

/* `names`: one name or, with a space between, two; empty: none. */
static inline gr_preagg_decl decl_of(gr_arena *arena, const char *node, const char *grain, const char *base,
                                     const char *components, const char *names) {
    gr_preagg_decl d = {.node = gr_str_from(node),
                        .grain_hash = gr_str_from(grain),
                        .grain_columns = gr_arena_printf(arena, "[\"%s.%s\",\"%s.Status\"]", node, grain, node),
                        .base_hash = gr_str_from(base),
                        .structure_hash = gr_arena_printf(arena, "%s/%s/0123456789", base, components),
                        .time_zone = GR_STR("UTC"),
                        .store = GR_STR("embedded"),
                        .sql = GR_STR("SELECT 1"),
                        .columns = GR_STR("[{\"name\": \"x\"}]")};
    components_of(arena, components, &d.components, &d.n_components);
    GR_VEC(gr_str) list = {0};
    while (*names) {
        size_t n = strcspn(names, " ");
        gr_str name = gr_arena_dup(arena, (gr_str){names, n});
        GR_PUSH(arena, &list, name);
        names += n + (names[n] == ' ');
    }
    d.declared_by = list.v;
    d.n_declared_by = list.n;
    return d;
}

/* Declares nodes and entities by one handle; rows are returned, nodes too when wanted. */
static inline gr_preagg_row *declared_by(fixture *f, gr_catalog *c, const gr_node_decl *nodes, size_t n_nodes,
                                         const gr_preagg_decl *entities, size_t n, int64_t now_us) {
    const gr_model_decl model = {nodes, n_nodes, entities, n};
    gr_node_row *ret_nodes = NULL;
    gr_preagg_row *rows = NULL;
    assert_ok(f, gr_catalog_declare(c, &model, at(now_us), f->arena, &ret_nodes, &rows, &f->err));
    for (size_t i = 0; i < n_nodes; i++) assert_true(gr_str_eq(ret_nodes[i].decl.name, nodes[i].name));
    return rows;
}

/* One entity of one node. */
static inline gr_preagg_row declared(fixture *f, const char *content, const gr_preagg_decl *d, int64_t now_us) {
    gr_str name = gr_arena_dup(f->arena, d->node);
    gr_node_decl node = node_of(name.p, content, "m");
    return declared_by(f, f->catalog, &node, 1, d, 1, now_us)[0];
}

static inline gr_preagg_row got_from(fixture *f, gr_catalog *c, int64_t id) {
    gr_preagg_row row;
    bool is_found = false;
    assert_ok(f, gr_catalog_get(c, id, f->arena, &row, &is_found, &f->err));
    assert_true(is_found);
    return row;
}

static inline gr_preagg_row got(fixture *f, int64_t id) { return got_from(f, f->catalog, id); }

#define assert_status(f, id, name) assert_str(gr_preagg_status_name(got((f), (id)).status), (name))

/* ---- builds --------------------------------------------------------------------------------------------------------
 */
static inline gr_build_plan plan_of(const gr_preagg_decl *d) {
    return (gr_build_plan){d->base_hash, d->structure_hash, d->components, d->n_components};
}

static inline gr_status try_begin(fixture *f, gr_catalog *c, int64_t preagg_id, const gr_preagg_decl *d, int64_t now_us,
                                  int64_t *ret_id) {
    int64_t number = 0;
    gr_build_plan plan = plan_of(d);
    return gr_catalog_build_begin(c, preagg_id, &plan, at(now_us), ret_id, &number, &f->err);
}

static inline int64_t begun(fixture *f, int64_t preagg_id, const gr_preagg_decl *d, int64_t now_us) {
    int64_t id = 0;
    assert_ok(f, try_begin(f, f->catalog, preagg_id, d, now_us, &id));
    return id;
}

static inline size_t done(fixture *f, int64_t build_id, int64_t now_us) {
    gr_doomed_table *old;
    size_t n_old = 0;
    assert_ok(f, gr_catalog_build_done(f->catalog, build_id, 10, 1000, GR_STR("{}"), at(now_us), f->arena, &old, &n_old,
                                       &f->err));
    return n_old;
}

/* Built as it is declared. */
static inline void built(fixture *f, int64_t preagg_id, const gr_preagg_decl *d, int64_t now_us) {
    done(f, begun(f, preagg_id, d, now_us), now_us);
}

static inline gr_preagg_row *found(fixture *f, gr_preagg_filter filter, size_t *ret_n) {
    gr_preagg_row *rows = NULL;
    int64_t total = -1;
    assert_ok(f, gr_catalog_find(f->catalog, &filter, f->arena, &rows, ret_n, &total, &f->err));
    if (!filter.limit && !filter.offset) assert_int_equal(total, *ret_n);
    return rows;
}
#endif
