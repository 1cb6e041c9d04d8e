/* A small model, a fixed now (2021-03-10T12:00:00Z, a Wednesday), and a query from its text. */
#ifndef GR_TEST_QUERY_FIXTURE_H
#define GR_TEST_QUERY_FIXTURE_H
#include "query/query.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char fixture_yaml[] = "cubes:\n"
                                   "  - name: orders\n"
                                   "    sql_table: orders\n"
                                   "    joins:\n"
                                   "      - name: users\n"
                                   "        relationship: many_to_one\n"
                                   "        sql: \"{CUBE}.user_id = {users}.id\"\n"
                                   "    measures:\n"
                                   "      - {name: count, type: count}\n"
                                   "      - {name: amount, type: sum, sql: amount}\n"
                                   "      - {name: states, type: string, sql: \"string_agg(status, ',')\"}\n"
                                   "      - {name: is_large, type: boolean, sql: \"max(amount) > 10\"}\n"
                                   "      - {name: last_at, type: time, sql: \"max(created_at)\"}\n"
                                   "      - name: paid_count\n"
                                   "        type: count\n"
                                   "        filters:\n"
                                   "          - sql: \"{CUBE}.status = 'paid'\"\n"
                                   "      - {name: secret, type: sum, sql: amount, public: false}\n"
                                   "    dimensions:\n"
                                   "      - {name: id, type: number, sql: id, primary_key: true}\n"
                                   "      - {name: status, type: string, sql: status}\n"
                                   "      - {name: price, type: number, sql: price}\n"
                                   "      - {name: is_paid, type: boolean, sql: is_paid}\n"
                                   "      - {name: hidden, type: string, sql: hidden, public: false}\n"
                                   "      - {name: completed_at, type: time, sql: completed_at}\n"
                                   "      - {name: created_at_day, type: string, sql: day_name}\n"
                                   "      - name: created_at\n"
                                   "        type: time\n"
                                   "        sql: created_at\n"
                                   "        granularities:\n"
                                   "          - {name: half_year, interval: 6 months, origin: \"2024-01-01\"}\n"
                                   "      - name: place\n"
                                   "        type: geo\n"
                                   "        latitude: {sql: lat}\n"
                                   "        longitude: {sql: lon}\n"
                                   "    segments:\n"
                                   "      - {name: paid, sql: \"{CUBE}.status = 'paid'\"}\n"
                                   "  - name: users\n"
                                   "    sql_table: users\n"
                                   "    measures:\n"
                                   "      - {name: count, type: count}\n"
                                   "    dimensions:\n"
                                   "      - {name: id, type: number, sql: id, primary_key: true}\n"
                                   "      - {name: city, type: string, sql: city}\n"
                                   "      - {name: joined_at, type: time, sql: joined_at}\n"
                                   "  - name: vault\n"
                                   "    sql_table: vault\n"
                                   "    public: false\n"
                                   "    dimensions:\n"
                                   "      - {name: code, type: string, sql: code}\n"
                                   "views:\n"
                                   "  - name: ov\n"
                                   "    cubes:\n"
                                   "      - join_path: orders\n"
                                   "        includes: [count, status, created_at]\n"
                                   "      - join_path: orders.users\n"
                                   "        includes: [city]\n"
                                   "        prefix: true\n";

typedef struct fixture {
    gr_model *model;
    gr_arena *arena;
    gr_query_options options;
} fixture;

static inline int fixture_up(void **state) {
    fixture *f = calloc(1, sizeof *f);
    gr_model_file file = {GR_STR("model.yml"), gr_str_from(fixture_yaml)};
    gr_diags diags;
    gr_error err = {0};
    f->arena = gr_arena_new();
    gr_diags_init(&diags, f->arena);
    if (gr_model_load_files(&file, 1, &diags, &f->model, &err)) {
        for (size_t i = 0; i < diags.list.n; i++)
            print_error(GR_FMT ":%u: " GR_FMT "\n", GR_ARG(diags.list.v[i].loc.file), diags.list.v[i].loc.line,
                        GR_ARG(diags.list.v[i].message));
        return -1;
    }
    f->options = (gr_query_options){
        .default_limit = 10000,
        .max_limit = 50000,
        .max_members = 500,
        .max_filter_depth = 32,
        .max_filter_values = 10000,
        .default_tz = gr_tz_utc(),
        .now_us = gr_civil_to_us((gr_civil){.year = 2021, .month = 3, .day = 10, .hour = 12}),
    };
    *state = f;
    return 0;
}

static inline int fixture_down(void **state) {
    fixture *f = *state;
    gr_model_unref(f->model);
    gr_arena_free(f->arena);
    free(f);
    return 0;
}

static inline json_t *fixture_json(fixture *f, const char *text) {
    json_t *json = NULL;
    gr_error err = {0};
    if (gr_json_parse(gr_str_from(text), 1u << 20, f->arena, &json, &err)) fail_msg("%s: %s", text, err.message);
    return json;
}

static inline gr_status fixture_try(fixture *f, const char *text, gr_query **ret, gr_error *err) {
    return gr_query_parse(f->model, fixture_json(f, text), &f->options, f->arena, ret, err);
}

/* A query that must be good. */
static inline gr_query *fixture_query(fixture *f, const char *text) {
    gr_query *q = NULL;
    gr_error err = {0};
    if (fixture_try(f, text, &q, &err)) fail_msg("%s\nfailed: %s", text, err.message);
    return q;
}

static inline void fixture_same(const char *query, const char *got, const char *want) {
    if (strcmp(got, want) != 0) fail_msg("\nquery: %s\ngot:   %s\nwant:  %s", query, got, want);
}

/* Like printf, with ' for " so that JSON is readable in C. */
static inline const char *fixture_quotes(fixture *f, const char *text) {
    char *copy = gr_arena_alloc(f->arena, strlen(text) + 1);
    for (size_t i = 0; text[i]; i++) copy[i] = text[i] == '\'' ? '"' : text[i];
    return copy;
}
#endif
