/* A small model made by hand, a query over it, a rollup that serves it and a stream of rows, for the encoders' tests.
 */
#ifndef GR_TEST_SHOP_H
#define GR_TEST_SHOP_H
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "http/cube.h"

#define S(text) GR_STR_INIT(text)

enum { STATUS, CREATED, AMOUNT, SECRET, COUNT, TOTAL, RATIO, BIG, N_MEMBERS };

typedef struct shop {
    gr_arena *arena;
    gr_model model;
    gr_cube orders, view, *cubes[2];
    gr_member members[N_MEMBERS], view_count;
    gr_member *dimensions[4], *measures[3], *segments[1], *view_measures[1];
    gr_str drill[2];
    gr_expr sql_table, status_sql;
    gr_granularity week2;
    gr_preagg main, *preaggs[1];
    gr_rollup rollup;
    gr_rollup_state state;
    gr_plan_use use;
    gr_piece piece;
    gr_plan plan;
    gr_query query;
    gr_answer answer;
    gr_config config;
} shop;

static inline gr_member shop_member(shop *s, gr_member_kind kind, const char *name, const char *title) {
    gr_str id = gr_arena_printf(s->arena, "orders.%s", name);
    return (gr_member){.kind = kind,
                       .name = gr_str_from(name),
                       .id = id,
                       .cube = &s->orders,
                       .is_public = true,
                       .title = gr_arena_printf(s->arena, "Orders %s", title),
                       .short_title = gr_str_from(title)};
}

static inline void shop_members(shop *s) {
    gr_member *m = s->members;
    m[STATUS] = shop_member(s, GR_MEMBER_DIMENSION, "status", "Status");
    m[STATUS].description = GR_STR("How far it is");
    m[STATUS].sql = &s->status_sql;
    m[CREATED] = shop_member(s, GR_MEMBER_DIMENSION, "created_at", "Created");
    m[CREATED].dim_type = GR_DIM_TIME;
    m[CREATED].granularities = &s->week2;
    m[CREATED].n_granularities = 1;
    m[AMOUNT] = shop_member(s, GR_MEMBER_DIMENSION, "amount", "Amount");
    m[AMOUNT].dim_type = GR_DIM_NUMBER;
    m[AMOUNT].format = GR_STR("currency");
    m[AMOUNT].currency = GR_STR("EUR");
    m[SECRET] = shop_member(s, GR_MEMBER_DIMENSION, "secret", "Secret");
    m[SECRET].is_public = false;
    m[COUNT] = shop_member(s, GR_MEMBER_MEASURE, "count", "Count");
    m[COUNT].drill_members = s->drill;
    m[COUNT].n_drill_members = 2;
    m[TOTAL] = shop_member(s, GR_MEMBER_MEASURE, "uniques", "Uniques");
    m[TOTAL].agg = GR_MEASURE_COUNT_DISTINCT;
    m[RATIO] = shop_member(s, GR_MEMBER_MEASURE, "ratio", "Ratio");
    m[RATIO].agg = GR_MEASURE_NUMBER;
    m[RATIO].format = GR_STR("percent_1");
    m[BIG] = shop_member(s, GR_MEMBER_SEGMENT, "big", "Big");
    for (int i = 0; i < 4; i++) s->dimensions[i] = &m[STATUS + i];
    for (int i = 0; i < 3; i++) s->measures[i] = &m[COUNT + i];
    s->segments[0] = &m[BIG];
    s->view_count = m[COUNT];
    s->view_count.id = GR_STR("ov.count");
    s->view_count.cube = &s->view;
    s->view_count.alias_of = &m[COUNT];
    s->view_count.n_drill_members = 0;
    s->view_measures[0] = &s->view_count;
}

static inline void shop_model(shop *s) {
    s->sql_table = (gr_expr){.source = S("main.orders")};
    s->status_sql = (gr_expr){.source = S("{CUBE}.status")};
    s->drill[0] = GR_STR("orders.status");
    s->drill[1] = GR_STR("orders.uniques");
    s->week2 = (gr_granularity){.name = S("two_weeks"),
                                .grain = GR_GRAIN_CUSTOM,
                                .interval_text = S("2 weeks"),
                                .origin_text = S("2024-01-01"),
                                .interval = {0, 14, 0}};
    shop_members(s);
    s->orders = (gr_cube){.name = S("orders"),
                          .alias = S("orders"),
                          .title = S("Orders"),
                          .is_public = true,
                          .component = 1,
                          .data_source = S("default"),
                          .sql_table = &s->sql_table,
                          .dimensions = s->dimensions,
                          .n_dimensions = 4,
                          .measures = s->measures,
                          .n_measures = 3,
                          .segments = s->segments,
                          .n_segments = 1,
                          .preaggs = s->preaggs,
                          .n_preaggs = 1};
    s->view = (gr_cube){.name = S("ov"),
                        .alias = S("ov"),
                        .title = S("Orders View"),
                        .is_public = true,
                        .is_view = true,
                        .component = 1,
                        .measures = s->view_measures,
                        .n_measures = 1};
    s->main = (gr_preagg){.name = S("main"),
                          .id = S("orders.main"),
                          .alias = S("main"),
                          .cube = &s->orders,
                          .is_external = -1,
                          .is_non_strict = -1};
    s->preaggs[0] = &s->main;
    s->cubes[0] = &s->orders;
    s->cubes[1] = &s->view;
    s->model = (gr_model){.arena = s->arena, .cubes = s->cubes, .n_cubes = 2};
    gr_map_init(&s->model.by_name, s->arena);
    gr_map_init(&s->orders.members, s->arena);
    gr_map_put(&s->model.by_name, s->orders.name, &s->orders);
    for (int i = 0; i < N_MEMBERS; i++) gr_map_put(&s->orders.members, s->members[i].name, &s->members[i]);
}

static inline gr_field shop_field(shop *s, int member) {
    return (gr_field){.id = s->members[member].id, .asked = &s->members[member], .member = &s->members[member]};
}

static inline void shop_column(shop *s, gr_column_kind kind, size_t index, const char *key) {
    gr_str alias = gr_arena_printf(s->arena, "c%zu", s->query.n_columns);
    s->query.columns[s->query.n_columns++] = (gr_query_column){kind, index, gr_str_from(key), alias};
}

/* Columns: status, created_at.month, created_at.day, count, ratio. */
static inline void shop_query(shop *s) {
    gr_query *q = &s->query;
    *q = (gr_query){.model = &s->model,
                    .tz = gr_tz_utc(),
                    .n_dimensions = 1,
                    .n_time_dimensions = 2,
                    .n_measures = 2,
                    .n_segments = 1};
    q->columns = GR_NEW_N(s->arena, gr_query_column, 10);
    q->dimensions = GR_NEW_N(s->arena, gr_field, 3);
    q->measures = GR_NEW_N(s->arena, gr_field, 2);
    q->segments = GR_NEW_N(s->arena, gr_field, 1);
    q->time_dimensions = GR_NEW_N(s->arena, gr_time_field, 2);
    q->order = GR_NEW_N(s->arena, gr_order, 2);
    q->dimensions[0] = shop_field(s, STATUS);
    q->measures[0] = shop_field(s, COUNT);
    q->measures[1] = shop_field(s, RATIO);
    q->segments[0] = shop_field(s, BIG);
    q->time_dimensions[0] =
        (gr_time_field){.field = shop_field(s, CREATED), .granularity = gr_granularity_predefined(GR_GRAIN_MONTH)};
    q->time_dimensions[1] =
        (gr_time_field){.field = shop_field(s, CREATED), .granularity = gr_granularity_predefined(GR_GRAIN_DAY)};
    shop_column(s, GR_COLUMN_DIMENSION, 0, "orders.status");
    shop_column(s, GR_COLUMN_TIME, 0, "orders.created_at.month");
    shop_column(s, GR_COLUMN_TIME, 1, "orders.created_at.day");
    shop_column(s, GR_COLUMN_MEASURE, 0, "orders.count");
    shop_column(s, GR_COLUMN_MEASURE, 1, "orders.ratio");
    q->order[0] = (gr_order){2, false};
    q->order[1] = (gr_order){3, true};
    q->n_order = 2;
    q->normalized = json_pack("{s:[s]}", "measures", "orders.count");
}

/* ---- rows ------------------------------------------------------------------------------------ */
typedef struct shop_stream {
    gr_stream base;
    int n_batches, fail_at; /* fail_at: number of the batch that breaks, or -1 */
} shop_stream;

enum { DAY1_US = 0, ROWS = 3 };
static const char shop_texts[] = "newa\"b\\\n";
static const uint32_t shop_offsets[] = {0, 3, 8, 8};
static const uint64_t shop_two_valid[] = {3};
static const int64_t shop_months[] = {1704067200000000, 1704067200000000, 1706745600000000};
static const int64_t shop_days[] = {1704153600000000, 1704153600000000 + 86400000000, 1706745600000000};
static const int64_t shop_counts[] = {1, -20, INT64_MAX};
static const double shop_ratios[] = {0.5, 1e21, 0};

static gr_status shop_next(gr_stream *stream, const gr_batch **ret, gr_error *err) {
    static const gr_column columns[] = {
        {GR_TYPE_UTF8, 0, shop_two_valid, shop_texts, shop_offsets},
        {GR_TYPE_TIMESTAMP, 0, NULL, shop_months, NULL},
        {GR_TYPE_TIMESTAMP, 0, NULL, shop_days, NULL},
        {GR_TYPE_INT64, 0, NULL, shop_counts, NULL},
        {GR_TYPE_FLOAT64, 0, NULL, shop_ratios, NULL},
    };
    static const gr_batch batch = {ROWS, 5, columns};
    shop_stream *s = (shop_stream *)stream;
    if (s->fail_at-- == 0) return gr_error_set(err, GR_ERR_ENGINE_DATA, "overflow");
    *ret = s->n_batches-- > 0 ? &batch : NULL;
    return GR_OK;
}

static void shop_close(gr_stream *stream) { free(stream); }

static inline gr_stream *shop_rows(int n_batches, int fail_at) {
    shop_stream *s = calloc(1, sizeof *s);
    *s = (shop_stream){{NULL, 5, shop_next, shop_close}, n_batches, fail_at};
    return &s->base;
}

/* ---- the whole ------------------------------------------------------------------------------- */
static inline shop *shop_new(void) {
    gr_arena *arena = gr_arena_new();
    shop *s = GR_NEW(arena, shop);
    s->arena = arena;
    s->config.preagg_schema = GR_STR("side");
    shop_model(s);
    shop_query(s);
    s->rollup = (gr_rollup){.preagg = &s->main, .is_external = true};
    s->state = (gr_rollup_state){
        .zone = gr_tz_utc(), .entity_id = 4, .is_built = true, .build_number = 7, .built_at_us = 1612325106000000};
    s->plan = (gr_plan){.query = &s->query, .data_source = S("default")};
    s->answer = (gr_answer){.query = &s->query,
                            .plan = &s->plan,
                            .data_source = S("default"),
                            .db_type = S("duckdb"),
                            .refreshed_us = 1612325106000000,
                            .sql = {.text = S("SELECT \"x\"")}};
    return s;
}

/* The rollup serves everything. */
static inline void shop_serve(shop *s) {
    s->use = (gr_plan_use){&s->rollup, &s->state, gr_tz_utc(), s->state.built_at_us, 0, NULL};
    s->piece = (gr_piece){.kind = GR_PIECE_SCAN, .scan = {.query = &s->query, .rollup = &s->rollup}};
    s->plan.uses = &s->use;
    s->plan.n_uses = 1;
    s->plan.pieces = &s->piece;
    s->plan.n_pieces = 1;
}

static inline void shop_free(shop *s) {
    json_decref(s->query.normalized);
    gr_arena_free(s->arena);
}
#endif
