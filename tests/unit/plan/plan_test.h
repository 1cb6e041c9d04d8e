/* Shared by the tests of this room: a model from text, a query from JSON, the plan as if everything were built. */
#ifndef GR_TESTS_PLAN_TEST_H
#define GR_TESTS_PLAN_TEST_H
#include "plan/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const int64_t test_now = 1594944000000000; /* 2020-07-17T00:00:00Z */

static inline gr_snapshot test_snapshot(const char *yaml, gr_arena *arena) {
    gr_diags diags;
    gr_diags_init(&diags, arena);
    gr_model_file file = {GR_STR("m.yml"), gr_str_from(yaml)};
    gr_model *model = NULL;
    gr_error err = {0};
    if (gr_model_load_files(&file, 1, &diags, &model, &err))
        fail_msg("%s: " GR_FMT, err.message, GR_ARG(diags.list.n ? diags.list.v[0].message : GR_STR("")));
    return (gr_snapshot){.model = model,
                         .index = gr_plan_index_new(model, (gr_plan_defaults){.is_external = true}, arena),
                         .max_zones = 8,
                         .now_us = test_now};
}

static inline gr_status test_plan(const gr_snapshot *s, const char *json, gr_arena *arena, gr_plan **ret,
                                  gr_error *err) {
    gr_query_options options = {10000, 50000, 500, 32, 1000, gr_tz_utc(), test_now};
    json_t *root;
    gr_query *query;
    if (gr_json_parse(gr_str_from(json), 1 << 20, arena, &root, err)) fail_msg("%s: %s", json, err->message);
    if (gr_query_parse(s->model, root, &options, arena, &query, err)) fail_msg("%s: %s", json, err->message);
    return gr_plan_query(s, query, (gr_plan_options){.ignore_builds = true}, arena, ret, err);
}
#endif
