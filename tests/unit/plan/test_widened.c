/* A build that holds only some of what its entity is declared with, earlier versions that a query pins, definitions
 * that are in no file, and the parts by which two builds are compared. */
#include "plan_shop.h"
#include "plan_test.h"

#define AB                                                                                                             \
    "  - {name: a, measures: [count, total, top, mn], dimensions: [status, city]%s}\n"                                 \
    "  - {name: b, measures: [count, total], dimensions: [status], build: explicit}\n"

typedef struct row {
    const char *lacks;   /* names of a's components that its build does not hold */
    const char *version; /* of a's build; empty: the current one, v2.0 */
    const char *later;   /* appended to a's definition */
    const char *measures, *dimensions, *more;
    const char *serves, *rule;
    const char *sql_changed, *changed; /* members that are not what they were in that version */
} row;

#define PINNED(measures, dimensions, serves, sql_changed, changed)                                                     \
    { "", "v1.0", "", measures, dimensions, "'preAggregationVersion':'v1.0'", serves, NULL, sql_changed, changed }
#define FILTERED                                                                                                       \
    "'preAggregationVersion':'v1.0','filters':[{'member':'orders.status','operator':'equals','values':['x']}]"

static const row rows[] = {
    {"", "", "", "count total", "status", "", "a", NULL, NULL, NULL},
    /* What is held goes on serving; what is not is built first, or left to who decides. */
    {"orders__total", "", "", "count", "status", "", "a", NULL, NULL, NULL},
    {"orders__total", "", "", "count total", "status", "", "build a", NULL, NULL, NULL},
    {"orders__total", "", ", build: explicit", "count total", "status", "", "source", "not_built", NULL, NULL},
    {"orders__total", "", ", build: explicit", "count", "status", "", "a", NULL, NULL, NULL},
    {"orders__total orders__count", "", ", build: explicit", "mn", "city", "", "a", NULL, NULL, NULL},
    {"orders__total orders__count", "", ", build: explicit", "ratio", "city", "", "source", "not_built", NULL, NULL},
    {"orders__total orders__count orders__top orders__mn", "", ", build: explicit", "", "status city", "", "a", NULL,
     NULL, NULL},
    /* A version that is pinned: no other build, and never the source. */
    {"", "", "", "count", "status", "'preAggregationVersion':'v2.0'", "a", NULL, NULL, NULL},
    {"", "v1.0", "", "count", "status", "'preAggregationVersion':'v1.0'", "a", NULL, NULL, NULL},
    {"", "v1.0", "", "count", "status", "'pre_aggregation_version':'v1.0'", "a", NULL, NULL, NULL},
    {"", "v1.0", "", "count", "status", "", "build a", NULL, NULL, NULL},
    {"", "v1.0", ", build: explicit", "count", "status", "", "source", "not_built", NULL, NULL},
    {"", "", "", "count", "status", "'preAggregationVersion':'v1.0'", "plan.version", NULL, NULL, NULL},
    {"", "v1.0", "", "count", "status", "'preAggregationVersion':'v2.0'", "plan.version", NULL, NULL, NULL},
    {"orders__total", "v1.0", "", "total", "status", "'preAggregationVersion':'v1.0'", "plan.version", NULL, NULL,
     NULL},
    {"", "v1.0", "", "avg_a", "status", "'preAggregationVersion':'v1.0'", "plan.version", NULL, NULL, NULL},
    /* What is stored under its own name is that version's; what is made of it is today's. */
    PINNED("total", "status", "a", "total status", ""),
    PINNED("total", "status", "plan.version", "", "total"),
    PINNED("total", "status", "plan.version", "", "status"),
    PINNED("total", "city", "a", "", "status"),
    PINNED("ratio", "status", "a", "total", ""),
    PINNED("ratio", "status", "plan.version", "ratio", ""),
    PINNED("ratio", "status", "plan.version", "", "total"),
    PINNED("total_again", "status", "a", "", ""),
    PINNED("total_again", "status", "plan.version", "total", ""),
    PINNED("total_again", "status", "plan.version", "total_again", ""),
    PINNED("running", "status", "plan.version", "running", ""),
    PINNED("count", "status_city", "a", "count", ""),
    PINNED("count", "status_city", "plan.version", "city", ""),
    PINNED("count", "status_alias", "plan.version", "status_alias", ""),
    {"", "v1.0", "", "count", "city", FILTERED, "a", NULL, "status", ""},
    {"", "v1.0", "", "count", "city", FILTERED, "plan.version", NULL, "", "status"},
    {"", "", "", "count", "status", "", "a", NULL, "count", "status"},
};

static bool is_named(const char *names, gr_str name) {
    for (const char *at = names; *at;) {
        gr_str word = test_word(&at, " ");
        if (word.n && gr_str_eq(word, name)) return true;
    }
    return false;
}

static const gr_member_change *changes_of(const gr_model *model, const row *r, gr_arena *arena) {
    gr_member_change *changes = GR_NEW_N(arena, gr_member_change, model->n_members);
    for (size_t i = 0; i < model->n_members; i++) {
        const gr_member *m = model->members[i];
        if (!gr_str_eq_z(m->cube->name, "orders")) continue;
        if (r->sql_changed && is_named(r->sql_changed, m->name)) changes[i] = GR_MEMBER_SQL_CHANGED;
        if (r->changed && is_named(r->changed, m->name)) changes[i] = GR_MEMBER_CHANGED;
    }
    return changes;
}

/* The only thing that is built: a, in UTC. */
static void put_state(gr_snapshot *s, const row *r, gr_arena *arena) {
    const gr_rollup *a = gr_plan_index_rollup(s->index, s->model->preaggs[0]);
    size_t n = s->model->n_preaggs;
    gr_rollup_state *state = GR_NEW(arena, gr_rollup_state);
    bool *lacks = GR_NEW_N(arena, bool, a->n_components + 1);
    for (size_t i = 0; i < a->n_components; i++) lacks[i] = is_named(r->lacks, a->components[i].name);
    *state = (gr_rollup_state){.zone = gr_tz_utc(),
                               .is_built = true,
                               .version = gr_str_from(*r->version ? r->version : "v2.0"),
                               .changes = *r->version ? changes_of(s->model, r, arena) : NULL,
                               .lacks = *r->lacks ? lacks : NULL};
    s->states = GR_NEW_N(arena, gr_rollup_state *, n);
    s->n_states = GR_NEW_N(arena, size_t, n);
    s->old_states = GR_NEW_N(arena, gr_rollup_state *, n);
    s->n_old_states = GR_NEW_N(arena, size_t, n);
    gr_rollup_state **list = *r->version ? s->old_states : s->states;
    size_t *count = *r->version ? s->n_old_states : s->n_states;
    list[0] = state;
    count[0] = 1;
}

static void what_a_build_holds(void **unused) {
    (void)unused;
    size_t n_bad = 0;
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_arena *arena = gr_arena_new();
        gr_str rollups = gr_arena_printf(arena, AB, rows[i].later);
        gr_snapshot s = test_snapshot(gr_arena_printf(arena, "%s%s%s", HEAD, rollups.p, USERS).p, arena);
        gr_plan *plan = NULL;
        gr_error err = {0};
        put_state(&s, &rows[i], arena);
        const gr_query *q =
            test_query(&s, test_json(rows[i].measures, rows[i].dimensions, "", rows[i].more, arena), arena);
        gr_status status = gr_plan_query(&s, q, (gr_plan_options){.now_us = test_now}, arena, &plan, &err);
        gr_str words = status ? gr_str_from(gr_error_info_of(status)->id) : test_words(plan, false, arena);
        gr_str rules = status ? (gr_str){0} : test_rules(plan, 1, arena);
        bool is_good = gr_str_eq_z(words, rows[i].serves) && (!rows[i].rule || gr_str_eq_z(rules, rows[i].rule));
        if (!is_good) print_error("row %zu: " GR_FMT " (" GR_FMT ")\n", i, GR_ARG(words), GR_ARG(rules));
        n_bad += !is_good;
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
    assert_int_equal(n_bad, 0);
}

/* ---- definitions that are in no file -------------------------------------------------------------------------------
 */

static gr_member_ref ref(const gr_model *model, const char *id) {
    gr_member_ref r = {0};
    assert_int_equal(gr_model_member(model, gr_str_from(id), &r.member, NULL), GR_OK);
    return r;
}

static void an_extended_model(void **unused) {
    (void)unused;
    gr_arena *arena = gr_arena_new();
    gr_snapshot s = test_snapshot(gr_arena_printf(arena, "%s" AB "%s", HEAD, "", USERS).p, arena);
    gr_member_ref measures[] = {ref(s.model, "orders.top"), ref(s.model, "orders.count")},
                  dimensions[] = {ref(s.model, "users.country")}, shared[] = {ref(s.model, "orders.status")};
    gr_preagg_def defs[] = {
        {.name = GR_STR("preagg_1"),
         .cube = gr_model_cube(s.model, GR_STR("orders")),
         .measures = measures,
         .n_measures = 2,
         .dimensions = dimensions,
         .n_dimensions = 1},
        {.name = GR_STR("preagg_2"),
         .cube = gr_model_cube(s.model, GR_STR("orders")),
         .measures = measures,
         .n_measures = 1,
         .dimensions = shared,
         .n_dimensions = 1},
    };
    gr_model *more = gr_model_extend(s.model, defs, 2), *again = gr_model_extend(more, defs, 1);
    assert_int_equal(more->n_preaggs, 4);
    assert_int_equal(again->n_preaggs, 3);
    assert_int_equal(s.model->n_preaggs, 2);
    assert_ptr_equal(more->preaggs[0], s.model->preaggs[0]);
    assert_string_equal(more->preaggs[2]->id.p, "orders.preagg_1");
    assert_true(gr_model_is_same_files(again, s.model));
    gr_plan_index *index = gr_plan_index_new(more, (gr_plan_defaults){.is_external = true}, NULL, arena);
    gr_snapshot view = s;
    view.model = more;
    view.index = index;
    const gr_rollup *one = gr_plan_index_rollup(index, more->preaggs[2]),
                    *two = gr_plan_index_rollup(index, more->preaggs[3]),
                    *b = gr_plan_index_rollup(index, more->preaggs[1]);
    assert_string_equal(one->grain_columns.p, "[\"orders.users.country\"]");
    assert_ptr_equal(one->entity, one);
    assert_ptr_equal(two->entity, b); /* one identity, one table (decisions 16) */
    assert_int_equal(b->n_components, 3);
    gr_plan *plan = NULL;
    gr_error err = {0};
    assert_int_equal(
        test_plan(&view, "{\"measures\":[\"orders.top\"],\"dimensions\":[\"users.country\"]}", arena, &plan, &err),
        GR_OK);
    assert_string_equal(test_words(plan, false, arena).p, "preagg_1");
    gr_model_unref(again);
    gr_model_unref(more);
    gr_model_unref(s.model);
    gr_arena_free(arena);
}

/* ---- parts ---------------------------------------------------------------------------------------------------------
 */

/* What a component needs beside it stays out of its part; what decides its values is in. */
static void parts(void **unused) {
    (void)unused;
    static const struct {
        const char *rollup;
        size_t component; /* SIZE_MAX: the rows */
        const char *tree;
        size_t n_components;
    } cases[] = {
        {"{name: p, measures: [count, users.age], dimensions: [status]}", SIZE_MAX, "orders", 0},
        {"{name: p, measures: [count, users.age], dimensions: [status]}", 0, "orders", 1},
        {"{name: p, measures: [count, users.age], dimensions: [status]}", 1, "orders orders>users", 1},
        {"{name: p, measures: [count], dimensions: [users.country]}", SIZE_MAX, "orders orders>users", 0},
        {"{name: p, measures: [count], dimensions: [users.country]}", 0, "orders orders>users", 1},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        gr_arena *arena = gr_arena_new();
        gr_snapshot s = test_snapshot(gr_arena_printf(arena, "%s  - %s\n%s", HEAD, cases[i].rollup, USERS).p, arena);
        const gr_rollup *r = gr_plan_index_rollup(s.index, s.model->preaggs[0]),
                        *part = gr_rollup_part(s.index, r, cases[i].component, arena);
        gr_str words = test_tree_words(&part->tree, arena);
        if (!gr_str_eq_z(words, cases[i].tree)) fail_msg("row %zu: " GR_FMT, i, GR_ARG(words));
        assert_int_equal(part->n_components, cases[i].n_components);
        assert_int_equal(part->groups.n, 1);
        assert_int_equal(part->groups.v[0].components.n, cases[i].n_components);
        assert_int_equal(part->n_columns, r->n_columns);
        gr_model_unref(s.model);
        gr_arena_free(arena);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_a_build_holds),
        cmocka_unit_test(an_extended_model),
        cmocka_unit_test(parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
