/* A model with joins, expressions over expressions, and cubes that read other cubes, for lineage and the importer. */
#ifndef GR_TEST_SERVE_SHOP_H
#define GR_TEST_SERVE_SHOP_H
#include "plan/plan.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static const char shop_text[] =
    "cubes:\n"
    "- name: orders\n  sql_table: shop.fact_sales\n"
    "  joins:\n"
    "  - {name: users, sql: '{CUBE}.user_id = {users}.id', relationship: many_to_one}\n"
    "  - {name: shops, sql: '{CUBE}.shop_id = {shops}.id', relationship: many_to_one}\n"
    "  dimensions:\n"
    "  - {name: id, sql: id, type: number, primary_key: true}\n"
    "  - {name: status, sql: order_status, type: string}\n"
    "  - {name: day, sql: '{CUBE}.date_id', type: number}\n"
    "  - {name: is_done, sql: \"{status} = 'done'\", type: boolean}\n"
    "  - {name: created_at, sql: created_at, type: time}\n"
    "  measures:\n"
    "  - {name: count, type: count}\n"
    "  - {name: big, sql: amount, type: sum, filters: [{sql: '{CUBE}.amount > 100'}]}\n"
    "  - {name: week, sql: amount, type: sum, rolling_window: {trailing: 7 day}}\n"
    "  - {name: revenue, sql: amount, type: sum}\n"
    "  - {name: paid, sql: \"{CUBE}.fee\", type: count}\n"
    "  - {name: price, sql: price, type: avg}\n"
    "  - {name: buyers, sql: user_id, type: count_distinct}\n"
    "  - {name: ratio, sql: \"{revenue} / {count}\", type: number}\n"
    "  - {name: spread, sql: \"max({CUBE}.fee) - min({CUBE}.fee)\", type: number}\n"
    "  segments:\n  - {name: done, sql: \"{CUBE}.order_status = 'done'\"}\n"
    "  pre_aggregations:\n"
    "  - {name: main, measures: [count, revenue], dimensions: [status, users.country]}\n"
    "- name: users\n  sql: SELECT * FROM {raw_users.sql()} WHERE NOT hidden\n"
    "  joins:\n  - {name: cities, sql: '{CUBE}.city_id = {cities}.id', relationship: many_to_one}\n"
    "  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n"
    "  - {name: country, sql: country, type: string}\n  - {name: name, sql: name, type: string}\n"
    "  measures:\n  - {name: count, type: count}\n"
    "- name: raw_users\n  sql_table: people\n  data_source: default\n"
    "  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n"
    "- name: shops\n  sql_table: shops\n"
    "  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n"
    "  - {name: name, sql: name, type: string}\n"
    "- name: cities\n  sql_table: cities\n"
    "  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n"
    "  - {name: region, sql: region, type: string}\n"
    "- name: fact_visits\n  sql_table: fact_visits\n"
    "  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n"
    "  measures:\n  - {name: number, type: count}\n"
    "views:\n- name: ov\n  cubes:\n  - {join_path: orders, includes: [status, count]}\n";

/* The model lives until shop_free. */
static inline gr_snapshot shop_snapshot(gr_arena *arena) {
    gr_diags diags;
    gr_diags_init(&diags, arena);
    gr_model_file file = {GR_STR("m.yml"), gr_str_from(shop_text)};
    gr_model *model = NULL;
    gr_error err = {0};
    if (gr_model_load_files(&file, 1, &diags, &model, &err))
        fail_msg("%s: " GR_FMT, err.message, GR_ARG(diags.list.n ? diags.list.v[0].message : GR_STR("")));
    return (gr_snapshot){.model = model,
                         .index = gr_plan_index_new(model, (gr_plan_defaults){.is_external = true}, NULL, arena)};
}

static inline void shop_free(gr_snapshot *snapshot, gr_arena *arena) {
    gr_model_unref(snapshot->model);
    gr_arena_free(arena);
}
#endif
