/* Planning time against models of 10, 100 and 1,000 cubes with five rollups for each, of which ten are candidates: JSON
 * text to plan, and to SQL. Prints one JSON object. The ratio that matters is between the sizes of the model. */
#include "base/buf.h"
#include "sql/sql.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { ROUNDS = 10000, BUSY = 3, IDLE = 0 };

static int64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* Of the busy cube all ten are candidates, and the last two are those that serve: one of rows that pass a filter, one
 * by day. The idle cube has none, so that there are five for each. */
static void add_rollups(gr_buf *y, size_t cube, size_t n) {
    if (cube == IDLE) return;
    size_t most = cube == BUSY ? 10 : 5;
    gr_buf_z(y, "  pre_aggregations:\n");
    for (size_t p = 0; p < most; p++) {
        if (cube == BUSY && p == 8)
            gr_buf_z(
                y, "  - {name: p8, measures: [m5], dimensions: [d6], filters: [{member: d7, operator: equals, values: "
                   "[x]}]}\n");
        else if (p + 1 == most)
            gr_buf_printf(y,
                          "  - {name: p%zu, measures: [count, m0, m1, week], dimensions: [d4, d5], time_dimension: at, "
                          "granularity: day}\n",
                          p);
        else if (p == 3 && cube + 1 < n)
            gr_buf_printf(y, "  - {name: p3, measures: [count], dimensions: [c%zu.d0]}\n", cube + 1);
        else
            gr_buf_printf(y,
                          "  - {name: p%zu, measures: [count, m0, m%zu], dimensions: [d%zu, d%zu], time_dimension: at, "
                          "granularity: month}\n",
                          p, p % 5 + 1, p % 5, p % 5 + 1);
    }
}

static gr_model *make_model(size_t n, gr_arena *arena) {
    gr_buf y;
    gr_buf_init(&y, 64u << 20);
    gr_buf_z(&y, "cubes:\n");
    for (size_t i = 0; i < n; i++) {
        gr_buf_printf(&y, "- name: c%zu\n  sql_table: t%zu\n", i, i);
        if (i + 1 < n)
            gr_buf_printf(&y,
                          "  joins:\n  - {name: c%zu, sql: '{CUBE}.next_id = {c%zu.id}', relationship: many_to_one}\n",
                          i + 1, i + 1);
        gr_buf_z(&y, "  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n");
        for (int d = 0; d < 8; d++) gr_buf_printf(&y, "  - {name: d%d, sql: d%d, type: string}\n", d, d);
        gr_buf_z(&y, "  - {name: at, sql: at, type: time}\n  measures:\n  - {name: count, type: count}\n");
        for (int m = 0; m < 6; m++) gr_buf_printf(&y, "  - {name: m%d, sql: m%d, type: sum}\n", m, m);
        gr_buf_z(&y, "  - {name: ratio, sql: '{m0} / {count}', type: number}\n"
                     "  - {name: week, sql: m0, type: sum, rolling_window: {trailing: 7 day}}\n");
        add_rollups(&y, i, n);
    }
    gr_diags diags;
    gr_diags_init(&diags, arena);
    gr_model_file file = {GR_STR("m.yml"), gr_buf_str(&y)};
    gr_model *model = NULL;
    gr_error err = {0};
    if (gr_model_load_files(&file, 1, &diags, &model, &err)) {
        fprintf(stderr, "%s\n", err.message);
        exit(1);
    }
    gr_buf_done(&y);
    return model;
}

#define RANGE(from, to)                                                                                                \
    "\"timeDimensions\":[{\"dimension\":\"c3.at\",\"granularity\":\"day\",\"dateRange\":[" from "," to "]}]"
#define JANUARY RANGE("\"2020-01-01\"", "\"2020-01-30\"")
#define MEASURED "\"measures\":[\"c3.count\",\"c3.ratio\"],\"dimensions\":[\"c3.d4\",\"c3.d5\"],"
static const struct {
    const char *name, *text;
    size_t n_pieces, n_uses; /* what it must come to, so that the figures are of what they say */
} queries[] = {
    {"plain",
     "{" MEASURED JANUARY
     ",\"filters\":[{\"member\":\"c3.d4\",\"operator\":\"equals\",\"values\":[\"x\"]}],\"limit\":100}",
     1, 1},
    {"fan_out", "{\"measures\":[\"c5.count\",\"c6.m0\"],\"dimensions\":[\"c6.d0\"]}", 2, 1},
    {"tiled", "{" MEASURED RANGE("\"2020-01-01T10:30:00.000\"", "\"2020-01-30T12:00:00.000\"") "}", 3, 1},
    {"rolling_window", "{\"measures\":[\"c3.week\"],\"dimensions\":[\"c3.d4\"]," JANUARY "}", 1, 1},
    {"static_filter",
     "{\"measures\":[\"c3.m5\"],\"dimensions\":[\"c3.d6\"],\"filters\":[{\"member\":\"c3.d7\",\"operator\":\"equals\","
     "\"values\":[\"x\"]}]}",
     1, 1},
};

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

typedef enum stretch { PLAN_ALONE, TEXT_TO_PLAN, TEXT_TO_SQL, N_STRETCHES } stretch;
static const char *const stretch_names[] = {"plan_alone_us", "plan_us", "plan_and_sql_us"};

static gr_status run(const gr_snapshot *s, const char *text, stretch how, gr_arena *arena, gr_plan **ret_plan,
                     int64_t *ret_ns, gr_error *err) {
    int64_t start = now_ns();
    gr_query_options options = {.default_limit = 10000,
                                .max_limit = 50000,
                                .max_members = 500,
                                .max_filter_depth = 32,
                                .max_filter_values = 1000,
                                .default_tz = gr_tz_utc(),
                                .now_us = 1594944000000000};
    json_t *json;
    gr_query *query;
    gr_sql sql;
    GR_TRY(gr_json_parse(gr_str_from(text), 1 << 20, arena, &json, err));
    GR_TRY(gr_query_parse(s->model, json, &options, arena, &query, err));
    if (how == PLAN_ALONE) start = now_ns();
    GR_TRY(gr_plan_query(s, query, (gr_plan_options){.ignore_builds = true}, arena, ret_plan, err));
    if (how == TEXT_TO_SQL) GR_TRY(gr_sql_query(*ret_plan, &gr_sql_places_embedded, arena, &sql, err));
    *ret_ns = now_ns() - start;
    return GR_OK;
}

/* The same query text ROUNDS times. */
static void measure(const gr_snapshot *s, size_t q, stretch how) {
    static int64_t took[ROUNDS];
    gr_arena *arena = gr_arena_new();
    for (int i = 0; i < ROUNDS; i++) {
        gr_arena_reset(arena);
        gr_error err = {0};
        gr_plan *plan = NULL;
        gr_status status = run(s, queries[q].text, how, arena, &plan, &took[i], &err);
        if (status || plan->n_pieces != queries[q].n_pieces || plan->n_uses != queries[q].n_uses) {
            fprintf(stderr, "%s: not planned as it should be: %s\n", queries[q].name, err.message);
            exit(1);
        }
    }
    gr_arena_free(arena);
    qsort(took, ROUNDS, sizeof *took, by_value);
    printf("%s\"%s_median\": %.1f, \"%s_p99\": %.1f", how ? ", " : "", stretch_names[how],
           (double)took[ROUNDS / 2] / 1e3, stretch_names[how], (double)took[ROUNDS * 99 / 100] / 1e3);
}

int main(void) {
    static const size_t sizes[] = {10, 100, 1000};
    printf("{\"measured\": \"%d times one query on one thread, the model in memory, five rollups for each cube, ten of "
           "them "
           "candidates, those that serve tried last; plan_alone: gr_plan_query; plan: from JSON text; plan_and_sql: "
           "to SQL text\"",
           ROUNDS);
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        gr_arena *arena = gr_arena_new();
        int64_t start = now_ns();
        gr_model *model = make_model(sizes[i], arena);
        gr_snapshot s = {.model = model,
                         .index = gr_plan_index_new(model, (gr_plan_defaults){.is_external = true}, NULL, arena),
                         .max_zones = 8};
        int64_t load = now_ns() - start;
        printf(", \"cubes_%zu\": {\"rollups\": %zu, \"load_ms\": %.1f", sizes[i], model->n_preaggs, (double)load / 1e6);
        for (size_t q = 0; q < sizeof queries / sizeof *queries; q++) {
            printf(", \"%s\": {", queries[q].name);
            for (stretch how = PLAN_ALONE; how < N_STRETCHES; how++) measure(&s, q, how);
            printf("}");
        }
        printf("}");
        gr_model_unref(model);
        gr_arena_free(arena);
    }
    printf("}\n");
    return 0;
}
