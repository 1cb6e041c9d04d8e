/* Metrics by dimensions become a query: names of every form, filters in SQL and as query filters, and what is refused.
 */
#include "query/metrics.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define COUNT(table) (sizeof(table) / sizeof *(table))

static const char yaml[] =
    "cubes:\n"
    "- name: orders\n  sql_table: orders\n"
    "  joins:\n  - {name: users, sql: '{CUBE}.user_id = {users.id}', relationship: many_to_one}\n"
    "  dimensions:\n"
    "  - {name: id, sql: id, type: number, primary_key: true}\n"
    "  - {name: status, sql: status, type: string}\n"
    "  - {name: created_at, sql: created_at, type: time}\n"
    "  measures:\n  - {name: count, type: count}\n  - {name: total, sql: amount, type: sum}\n"
    "- name: users\n  sql_table: users\n"
    "  joins:\n  - {name: places, sql: '{CUBE}.place_id = {places.id}', relationship: many_to_one}\n"
    "  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n"
    "  - {name: country, sql: country, type: string}\n  - {name: born_at, sql: born_at, type: time}\n"
    "- name: places\n  sql_table: places\n"
    "  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n"
    "  - {name: city, sql: city, type: string}\n"
    "views:\n- name: ov\n  cubes:\n  - {join_path: orders.users, includes: [country]}\n"
    "  - {join_path: orders, includes: [count, status]}\n";

typedef struct row {
    const char *metrics, *dimensions; /* separated by blanks */
    const char *filters;              /* JSON, with ' for " */
    const char *result;               /* "measures | dimensions with path | times | filters", or an error id */
} row;

static const row rows[] = {
    {"orders.count", "", "[]", "orders.count | | | "},
    {"orders.count orders.total", "orders.status", "[]", "orders.count orders.total | orders.status | | "},
    {"orders.count orders.count", "orders.status orders.status", "[]", "orders.count | orders.status | | "},
    {"orders.count", "users.country", "[]", "orders.count | users.country | | "},
    {"orders.count", "orders.users.country", "[]", "orders.count | orders>users.country | | "},
    {"orders.count", "orders.users.places.city", "[]", "orders.count | orders>users>places.city | | "},
    {"orders.count", "orders.created_at.day", "[]", "orders.count | | orders.created_at:day | "},
    {"orders.count", "orders.users.born_at.month", "[]", "orders.count | | orders>users.born_at:month | "},
    {"orders.count", "orders.created_at", "[]", "orders.count | orders.created_at | | "},
    {"ov.count", "ov.country ov.status", "[]", "orders.count | orders>users.country orders.status | | "},
    {"orders.count", "orders.id", "[]", "orders.count | orders.id | | "}, /* hidden ones too */
    {"orders.count", "", "['orders.status = \\'a\\'']",
     "orders.count | | | [{'member':'orders.status','operator':'equals','values':['a']}]"},
    {"orders.count", "", "[{'member':'orders.status','operator':'set'}]",
     "orders.count | | | [{'member':'orders.status','operator':'set'}]"},
    {"orders.count", "", "['orders.users.country = \\'FR\\'']", "query.invalid"},
    {"orders.count", "", "['users.country = \\'FR\\'']",
     "orders.count | | | [{'member':'users.country','operator':'equals','values':['FR']}]"},
    {"orders.count", "orders.users.places.city", "['orders.users.country = \\'FR\\'']",
     "orders.count | orders>users>places.city | | [{'member':'users.country','operator':'equals','values':['FR']}]"},
    {"orders.nothing", "", "[]", "query.unknown_member"},
    {"orders.count", "orders.nothing", "[]", "query.unknown_member"},
    {"orders.count", "nowhere.users.country", "[]", "query.unknown_member"},
    {"orders.count", "users.orders.status", "[]", "plan.no_join_path"},
    {"orders.count", "orders.created_at.fortnight", "[]", "query.unknown_member"},
    {"orders.count", "orders.users.country users.places.city.day", "[]", "query.unknown_member"},
    {"orders.count", "", "['orders.count > 3']", "query.invalid"},
    {"orders.count", "", "[17]", "query.invalid"},
    {"orders.count", "", "['orders.status = (select 1)']", "query.invalid"},
    {"orders.count", "", "[{'member':'orders.created_at','operator':'afterDate','values':['yesterday']}]",
     "query.invalid"},
    {"", "", "[]", "query.invalid"},
};

static size_t split(const char *text, gr_str *out) {
    size_t n = 0;
    while (*text) {
        size_t len = strcspn(text, " ");
        if (len) out[n++] = (gr_str){text, len};
        text += len + (text[len] == ' ');
    }
    return n;
}

static gr_str with_path(const gr_field *f, gr_arena *arena) {
    gr_str text = {0};
    for (size_t i = 0; i + 1 < f->path.n; i++)
        text = gr_arena_printf(arena, GR_FMT GR_FMT ">", GR_ARG(text), GR_ARG(f->path.cubes[i]->name));
    return gr_arena_printf(arena, GR_FMT GR_FMT, GR_ARG(text), GR_ARG(f->member->id));
}

static gr_str shown(const gr_query *q, gr_arena *arena) {
    gr_str text = {0};
    for (size_t i = 0; i < q->n_measures; i++)
        text = gr_arena_printf(arena, GR_FMT GR_FMT " ", GR_ARG(text), GR_ARG(q->measures[i].member->id));
    text = gr_arena_printf(arena, GR_FMT "| ", GR_ARG(text));
    for (size_t i = 0; i < q->n_dimensions; i++)
        text = gr_arena_printf(arena, GR_FMT GR_FMT " ", GR_ARG(text), GR_ARG(with_path(&q->dimensions[i], arena)));
    text = gr_arena_printf(arena, GR_FMT "| ", GR_ARG(text));
    for (size_t i = 0; i < q->n_time_dimensions; i++)
        text = gr_arena_printf(arena, GR_FMT GR_FMT ":" GR_FMT " ", GR_ARG(text),
                               GR_ARG(with_path(&q->time_dimensions[i].field, arena)),
                               GR_ARG(q->time_dimensions[i].granularity->name));
    gr_str filters = gr_query_filters_text(q, arena);
    text = gr_arena_printf(arena, GR_FMT "| " GR_FMT, GR_ARG(text), GR_ARG(filters));
    for (size_t i = 0; i < text.n; i++)
        if (text.p[i] == '"') ((char *)(uintptr_t)text.p)[i] = '\'';
    return text;
}

static gr_str json_text(const char *text, gr_arena *arena) {
    char *out = gr_arena_alloc(arena, strlen(text) + 1);
    size_t n = 0;
    for (const char *at = text; *at; at++) {
        if (at[0] == '\\' && at[1] == '\'') {
            out[n++] = '\'';
            at++;
        } else {
            out[n++] = *at == '\'' ? '"' : *at;
        }
    }
    return (gr_str){out, n};
}

static void names_of_every_form(void **unused) {
    (void)unused;
    size_t n_bad = 0;
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_arena *arena = gr_arena_new();
        gr_diags diags;
        gr_diags_init(&diags, arena);
        gr_model_file file = {GR_STR("m.yml"), gr_str_from(yaml)};
        gr_model *model = NULL;
        gr_error err = {0};
        json_t *filters;
        gr_str metrics[8], dimensions[8];
        assert_int_equal(gr_model_load_files(&file, 1, &diags, &model, &err), GR_OK);
        assert_int_equal(gr_json_parse(json_text(rows[i].filters, arena), 1 << 16, arena, &filters, &err), GR_OK);
        gr_metrics_ask ask = {.metrics = metrics,
                              .dimensions = dimensions,
                              .n_metrics = split(rows[i].metrics, metrics),
                              .n_dimensions = split(rows[i].dimensions, dimensions),
                              .filters = filters};
        gr_query *q = NULL;
        gr_status status = gr_query_of_metrics(model, &ask, arena, &q, &err);
        gr_str got = status ? gr_str_from(gr_error_info_of(status)->id) : shown(q, arena);
        if (!gr_str_eq_z(got, rows[i].result)) {
            print_error("row %zu: " GR_FMT " (%s)\n", i, GR_ARG(got), err.message);
            n_bad++;
        }
        gr_model_unref(model);
        gr_arena_free(arena);
    }
    assert_int_equal(n_bad, 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(names_of_every_form)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
