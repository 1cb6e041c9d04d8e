/* The matcher: a model and a query made of the input (match_world.h), planned over the source, over rollups by
 * definition, and over rollups that are built, fail or are probed as the plans ask for it. Every plan keeps the laws
 * (match_laws.h) and can be rendered; planning twice gives the same bytes; rollups, and their order, never turn an
 * answer into an error; memory stays in proportion to the input. A find prints its model and query. */
#include "match_laws.h"
#include "match_world.h"
#include "sql/sql.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const match_world *world;

static _Noreturn void fail(const char *why, const gr_error *err) {
    fprintf(stderr, "\n== %s%s%s\n" GR_FMT GR_FMT "\n", why, err && err->message[0] ? ": " : "",
            err ? err->message : "", GR_ARG(world->model), GR_ARG(world->query));
    abort();
}

/* ---- a model, and what is known of it
 * -------------------------------------------------------------------------------- */

typedef struct site {
    gr_snapshot snapshot;
    gr_arena *arena;
} site;

static bool open_site(gr_str text, site *ret) {
    gr_arena *arena = gr_arena_new();
    gr_diags diags;
    gr_diags_init(&diags, arena);
    gr_model_file file = {GR_STR("m.yml"), text};
    gr_model *model = NULL;
    gr_error err = {0};
    if (gr_model_load_files(&file, 1, &diags, &model, &err)) {
        if (getenv("GRANARY_FUZZ_PRINT"))
            for (size_t i = 0; i < diags.list.n; i++) fprintf(stderr, GR_FMT "\n", GR_ARG(diags.list.v[i].message));
        gr_arena_free(arena);
        return false;
    }
    *ret = (site){.arena = arena};
    ret->snapshot =
        (gr_snapshot){.model = model,
                      .index = gr_plan_index_new(model, (gr_plan_defaults){.is_external = true}, NULL, arena),
                      .max_zones = 8,
                      .now_us = 1594944000000000};
    return true;
}

static void close_site(site *s) {
    gr_model_unref(s->snapshot.model);
    gr_arena_free(s->arena);
}

enum { MOST_ZONES = 4 };
static void forget_builds(gr_snapshot *s, gr_arena *arena) {
    size_t n = s->model->n_preaggs;
    s->states = GR_NEW_N(arena, gr_rollup_state *, n + 1);
    s->n_states = GR_NEW_N(arena, size_t, n + 1);
    for (size_t i = 0; i < n; i++) s->states[i] = GR_NEW_N(arena, gr_rollup_state, MOST_ZONES);
}

static void build(gr_snapshot *s, const gr_rollup *r, const gr_tz *zone, match_choices *c, gr_arena *arena) {
    uint32_t i = r->entity->preagg->index;
    if (gr_snapshot_state(s, r->preagg, zone)) fail("a rollup is to be built that is built", NULL);
    if (s->n_states[i] == MOST_ZONES) fail("a rollup is to be built for ever more zones", NULL);
    gr_rollup_state state = {.zone = zone,
                             .entity_id = (int64_t)i + 1,
                             .is_built = true,
                             .table = gr_arena_printf(arena, "\"store\".\"p%u\"", i),
                             .build_number = 1,
                             .rows = match_pick(c, 100)};
    state.min_us = GR_NEW_N(arena, int64_t, r->n_columns + 1);
    state.max_us = GR_NEW_N(arena, int64_t, r->n_columns + 1);
    for (size_t k = 0; k < r->n_columns; k++) {
        state.min_us[k] = 1577836800000000;
        state.max_us[k] = state.min_us[k] + (int64_t)match_pick(c, 50) * 86400000000 * 7;
    }
    state.has_range = r->ranged != NULL;
    gr_run *run = GR_NEW(arena, gr_run);
    run->from_us = 1577836800000000 + (int64_t)match_pick(c, 48) * 43200000000;
    run->to_us = run->from_us + (int64_t)match_pick(c, 200) * 43200000000;
    state.covered = run;
    state.n_covered = run->from_us < run->to_us;
    s->states[i][s->n_states[i]++] = state;
}

/* ---- one way of planning
 * --------------------------------------------------------------------------------------------- */

typedef enum mode { SOURCE, DEFINITION, BUILDS } mode;
typedef struct answer {
    gr_status status, sql_status;
    gr_error err, sql_err;
    gr_plan *plan;
    gr_sql sql, total;
} answer;

static void check_sql(gr_status status, const gr_error *err) {
    if (status == GR_ERR_INTERNAL) fail("SQL", err);
    if (status && !err->message[0]) fail("an error without a message", NULL);
}

/* What the one rollup that serves says of the span, where it can tell; then it reads that rollup and nothing else. */
static void probe_rollup(const gr_plan *plan, const gr_time_field *time, gr_arena *arena) {
    gr_plan *below = NULL;
    gr_sql sql;
    gr_error err;
    if (plan->n_uses != 1 || plan->reads_source || plan->uses[0].lambda) return;
    gr_status status = gr_plan_probe(plan, time, plan->uses[0].rollup, arena, &below, &err);
    check_sql(status, &err);
    if (status || !below) return;
    const char *fault = match_plan_fault(below);
    if (fault) fail(fault, NULL);
    if (below->n_uses != 1 || below->uses[0].rollup != plan->uses[0].rollup) fail("a probe of another rollup", NULL);
    check_sql(gr_sql_span(below, &gr_sql_places_embedded, arena, &sql, &err), &err);
}

/* A probe reads the source, so a query over several data sources has none. */
static gr_status probe(const gr_plan *plan, match_choices *c, gr_arena *arena, gr_span *ret, gr_error *err) {
    gr_plan *below = NULL;
    gr_sql sql;
    GR_TRY(gr_plan_probe(plan, plan->to_probe, NULL, arena, &below, err));
    const char *fault = match_plan_fault(below);
    if (fault) fail(fault, NULL);
    check_sql(gr_sql_span(below, &gr_sql_places_embedded, arena, &sql, err), err);
    const gr_time_field *t = plan->to_probe;
    gr_span span = {.member = t->field.member, .is_empty = match_pick(c, 8) == 7};
    span.min_local_us = span.max_local_us = 1577836800000000 + (int64_t)match_pick(c, 200) * 3599999999;
    for (unsigned n = match_pick(c, 40); n; n--)
        span.max_local_us = gr_granularity_next(t->granularity, t->anchor_local_us, span.max_local_us);
    *ret = span;
    return GR_OK;
}

/* Plans until nothing is to be built or asked first, as serve/ does. */
static gr_plan *plan_to_the_end(gr_snapshot *s, const gr_query *query, mode how, match_choices c, gr_arena *arena,
                                answer *ret) {
    enum { MOST = 64 };
    gr_span spans[MOST];
    const gr_time_field *asked = NULL;
    const gr_rollup *excluded[MOST];
    gr_plan_options o = {
        .without_rollups = how == SOURCE, .ignore_builds = how == DEFINITION, .spans = spans, .excluded = excluded};
    match_choices of_spans = world->rest; /* the same for every mode, so that they are comparable */
    for (size_t round = 0; round < MOST; round++) {
        gr_plan *plan = NULL;
        ret->status = gr_plan_query(s, query, o, arena, &plan, &ret->err);
        if (ret->status) return NULL;
        if (plan->to_build && how != BUILDS) fail("a rollup is to be built that is not looked at", NULL);
        if (plan->to_build && match_pick(&c, 8) == 7)
            excluded[o.n_excluded++] = plan->to_build;
        else if (plan->to_build)
            build(s, plan->to_build, plan->to_build_zone, &c, arena);
        else if (plan->to_probe) {
            asked = plan->to_probe;
            ret->status = probe(plan, &of_spans, arena, &spans[o.n_spans++], &ret->err);
        } else {
            if (asked && how != DEFINITION) probe_rollup(plan, asked, arena);
            return plan;
        }
        if (ret->status) return NULL;
    }
    fail("planning never ends", NULL);
}

static void read_refusals(const gr_plan *plan, gr_arena *arena) {
    for (size_t i = 0; i < plan->n_refusals; i++) {
        if (!gr_refusal_detail(&plan->refusals[i], arena).n) fail("a refusal without words", NULL);
        (void)gr_refusal_repair(&plan->refusals[i], arena);
    }
}

static answer ask(gr_snapshot *s, const gr_query *query, mode how, gr_arena *arena) {
    const gr_sql_places *duckdb = &gr_sql_places_embedded;
    answer a = {0};
    forget_builds(s, arena);
    a.plan = plan_to_the_end(s, query, how, world->rest, arena, &a);
    if (a.status && !a.err.message[0]) fail("an error without a message", NULL);
    if (a.status == GR_ERR_INTERNAL) fail("planning", &a.err);
    if (a.status) return a;
    const char *fault = match_plan_fault(a.plan);
    if (fault) fail(fault, NULL);
    read_refusals(a.plan, arena);
    a.sql_status = gr_sql_query(a.plan, duckdb, arena, &a.sql, &a.sql_err);
    check_sql(a.sql_status, &a.sql_err);
    if (query->want_total) check_sql(gr_sql_total(a.plan, duckdb, arena, &a.total, &a.sql_err), &a.sql_err);
    return a;
}

/* ---- laws of several plans
 * ------------------------------------------------------------------------------------------- */

static bool same_value(const gr_value *a, const gr_value *b) {
    if (a->type != b->type) return false;
    if (a->type == GR_TYPE_NULL) return true;
    if (a->type == GR_TYPE_BOOL) return a->as.b == b->as.b;
    if (a->type == GR_TYPE_UTF8) return gr_str_eq(a->as.s, b->as.s);
    return a->as.i == b->as.i; /* of a float, its bits */
}

static void check_same(const answer *a, const answer *b) {
    if (a->status != b->status || a->sql_status != b->sql_status) fail("planning twice gives two statuses", &b->err);
    if (a->status || a->sql_status) return;
    if (!gr_str_eq(a->sql.text, b->sql.text) || a->sql.n_params != b->sql.n_params)
        fail("planning twice gives two texts", NULL);
    for (size_t i = 0; i < a->sql.n_params; i++)
        if (!same_value(&a->sql.params[i], &b->sql.params[i])) fail("planning twice gives two values", NULL);
}

static void check_as_good(const answer *before, const answer *after, const char *why) {
    if (!before->status && after->status) fail(why, &after->err);
    if (!before->status && !before->sql_status && after->sql_status) fail(why, &after->sql_err);
}

static size_t refusals_of(const gr_plan_report *report, const gr_rollup *rollup) {
    for (size_t i = 0; i < report->n_candidates; i++)
        if (report->candidates[i].rollup == rollup) return report->candidates[i].refusals.n;
    return SIZE_MAX;
}

/* What serves has no refusals in the explanation, and what would serve before it has some. */
static void check_explanation(const gr_plan *plan, gr_arena *arena) {
    gr_plan_report report;
    gr_error err = {0};
    if (gr_plan_explain(plan, arena, &report, &err)) fail("a plan cannot be explained", &err);
    for (size_t i = 0; i < report.n_candidates; i++)
        for (size_t k = 0; k < report.candidates[i].refusals.n; k++)
            (void)gr_refusal_repair(&report.candidates[i].refusals.v[k], arena);
    if (!plan->rollup || report.groups.n != 1) return;
    if (refusals_of(&report, plan->rollup) != 0) fail("the explanation refuses what serves", NULL);
    for (size_t i = 0; gr_tz_is_utc(plan->query->tz) && report.candidates[i].rollup != plan->rollup; i++)
        if (!report.candidates[i].refusals.n) fail("the explanation lets an earlier rollup serve", NULL);
}

static void check_loads(const gr_snapshot *s, const gr_tz *tz, gr_arena *arena) {
    for (size_t i = 0; i < s->model->n_preaggs; i++) {
        const gr_rollup *r = gr_plan_index_rollup(s->index, s->model->preaggs[i]);
        const gr_rollup **needs;
        (void)gr_rollup_dependencies(s->index, r, arena, &needs);
        if (!r->can_build || !r->entity->can_build || r->preagg->type == GR_PREAGG_ROLLUP_JOIN) continue;
        gr_sql sql;
        gr_error err = {0};
        check_sql(gr_sql_load(s, r, gr_rollup_zone(r, tz), (gr_sql_load_options){0}, &gr_sql_places_embedded, arena,
                              &sql, &err),
                  &err);
    }
}

/* The series of a window is as long as its range has buckets, which the planner limits; all else follows the text. */
static void check_memory(const gr_arena *arena, const answer *a) {
    size_t input = world->model.n + world->query.n, used = gr_arena_used_bytes(arena);
    size_t buckets = a->plan ? match_plan_buckets(a->plan) : 0;
    static size_t most; /* for those who look for a better bound */
    if (getenv("GRANARY_FUZZ_MEMORY") && used - used * buckets / (buckets + 1) > most) {
        most = used - used * buckets / (buckets + 1);
        fprintf(stderr, "%zu bytes for %zu of input, %zu pieces, %zu buckets\n", used, input,
                a->plan ? match_plan_pieces(a->plan) : 0, buckets);
    }
    if (used > (512u << 10) + input * 512 + buckets * 4096) fail("memory is out of proportion to the input", NULL);
}

/* ---- a world
 * --------------------------------------------------------------------------------------------------------- */

static gr_query *parse(const site *s, gr_arena *arena, gr_error *err) {
    gr_query_options options = {.default_limit = 10000,
                                .max_limit = 50000,
                                .max_members = 500,
                                .max_filter_depth = 32,
                                .max_filter_values = 1000,
                                .default_tz = gr_tz_utc(),
                                .now_us = 1594944000000000};
    json_t *json;
    gr_query *query = NULL;
    if (gr_json_parse(world->query, 1 << 20, arena, &json, err)) fail("the query is no JSON", err);
    return gr_query_parse(s->snapshot.model, json, &options, arena, &query, err) ? NULL : query;
}

static answer ask_afresh(site *s, mode how, gr_arena *arena) {
    gr_error err = {0};
    gr_query *query = parse(s, arena, &err);
    if (!query) fail("the same query is refused", &err);
    answer a = ask(&s->snapshot, query, how, arena);
    check_memory(arena, &a);
    return a;
}

static void check_reversed(site *s, const answer *source, const answer *definition, gr_arena *arena[2]) {
    answer permuted = ask_afresh(s, DEFINITION, arena[0]);
    check_as_good(definition, &permuted, "the order of rollups turns an answer into an error");
    check_as_good(&permuted, definition, "the order of rollups turns an answer into an error");
    answer built = ask_afresh(s, BUILDS, arena[1]);
    check_as_good(source, &built, "the order of built rollups turns an answer into an error");
}

/* `reversed` is `s` where there is no other order. */
static void check_world(site *s, site *reversed) {
    gr_arena *arena[5];
    for (size_t i = 0; i < 5; i++) arena[i] = gr_arena_new();
    gr_error err = {0};
    gr_query *query = parse(s, arena[0], &err);
    if (query) {
        answer source = ask_afresh(s, SOURCE, arena[0]), again = ask_afresh(s, DEFINITION, arena[1]);
        answer definition = ask_afresh(s, DEFINITION, arena[2]);
        check_same(&again, &definition);
        check_as_good(&source, &definition, "a rollup turns an answer into an error");
        if (definition.plan) check_explanation(definition.plan, arena[2]);
        gr_arena_reset(arena[1]);
        answer built = ask_afresh(s, BUILDS, arena[1]);
        check_as_good(&source, &built, "a built rollup turns an answer into an error");
        check_loads(&s->snapshot, query->tz, arena[2]);
        if (reversed != s) check_reversed(reversed, &source, &definition, arena + 3);
    } else if (getenv("GRANARY_FUZZ_PRINT")) {
        fprintf(stderr, "refused: %s\n", err.message);
    }
    for (size_t i = 0; i < 5; i++) gr_arena_free(arena[i]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    gr_arena *arena = gr_arena_new();
    match_world w = match_world_make(data, size, arena);
    world = &w;
    site s, reversed;
    if (getenv("GRANARY_FUZZ_PRINT")) fprintf(stderr, GR_FMT GR_FMT "\n", GR_ARG(w.model), GR_ARG(w.query));
    if (open_site(w.model, &s)) {
        bool is_one_order = gr_str_eq(w.model, w.reversed);
        if (!is_one_order && !open_site(w.reversed, &reversed)) fail("the order of rollups breaks the model", NULL);
        check_world(&s, is_one_order ? &s : &reversed);
        close_site(&s);
        if (!is_one_order) close_site(&reversed);
    }
    world = NULL;
    gr_arena_free(arena);
    return 0;
}
