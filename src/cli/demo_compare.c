/* The demo's proof: one query from the source, the same from the rollup, both times, and whether the answers are equal.
 */
#include "cli/demo.h"
#include "cli/door.h"
#include "cli/table.h"

#include <stdio.h>

static const char demo_query[] =
    "{\"measures\":[\"line_items.count\",\"line_items.quantity\",\"line_items.price\"],"
    "\"dimensions\":[\"products.category\"],"
    "\"filters\":[{\"member\":\"orders.status\",\"operator\":\"equals\",\"values\":[\"completed\"]}],"
    "\"timeDimensions\":[{\"dimension\":\"line_items.created_at\",\"granularity\":\"month\","
    "\"dateRange\":[\"2024-01-01\",\"2024-06-30\"]}]}";

enum { WARM_RUNS = 5 };

typedef struct run_result {
    json_t *json; /* in the arena */
    int64_t took_us;
    gr_str served_by;
} run_result;

static gr_status run_once(gr_door *door, json_t *query, bool without_rollups, gr_arena *arena, run_result *ret,
                          gr_error *err) {
    gr_buf out;
    gr_door_query asked = {.query = query, .without_rollups = without_rollups};
    gr_buf_init(&out, GR_CLI_MAX_OUTPUT_BYTES);
    int64_t started = gr_clock_mono_us();
    gr_status status = door->load(door, &asked, &out, err);
    ret->took_us = gr_clock_mono_us() - started;
    if (!status) status = gr_json_parse(gr_buf_str(&out), GR_CLI_MAX_OUTPUT_BYTES, arena, &ret->json, err);
    gr_buf_done(&out);
    GR_TRY(status);
    const char *key;
    json_t *entry;
    ret->served_by = (gr_str){0};
    json_object_foreach(json_object_get(ret->json, "usedPreAggregations"), key, entry) {
        gr_str id = gr_cli_json_text(entry, "preAggregationId");
        ret->served_by = id.n ? id : gr_str_from(key);
    }
    return GR_OK;
}

static void show(const run_result *source, const run_result *first, const run_result *best, bool is_equal,
                 gr_arena *arena, gr_buf *out) {
    const gr_cli_column columns[] = {
        {GR_STR("answered from"), GR_ALIGN_LEFT}, {GR_STR("ms"), GR_ALIGN_RIGHT}, {GR_STR("rows"), GR_ALIGN_RIGHT}};
    const struct {
        const char *what;
        const run_result *run;
    } lines[] = {{"the source", source}, {"the rollup, first time", first}, {"the rollup, again", best}};
    gr_cli_table *table = gr_cli_table_new(arena, columns, 3);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        const run_result *r = lines[i].run;
        gr_str cells[] = {r->served_by.n
                              ? gr_arena_printf(arena, "%s (" GR_FMT ")", lines[i].what, GR_ARG(r->served_by))
                              : gr_str_from(lines[i].what),
                          gr_arena_printf(arena, "%.1f", (double)r->took_us / 1000),
                          gr_arena_printf(arena, "%zu", json_array_size(json_object_get(r->json, "data")))};
        gr_cli_table_row(table, cells);
    }
    gr_buf_printf(out, "Query: %s\n\n", demo_query);
    gr_cli_table_print(table, 0, out);
    gr_buf_z(out, is_equal ? "\nThe two answers are equal.\n" : "\nTHE TWO ANSWERS DIFFER.\n");
    if (best->took_us > 0)
        gr_buf_printf(out, "The rollup answers %.0f times as fast.\n", (double)source->took_us / (double)best->took_us);
}

/* The first run from the rollup builds it when it is not built yet; the later ones show what stays. */
static gr_status compare_through(gr_door *door, gr_arena *arena, gr_error *err) {
    json_t *query;
    run_result source = {0}, first = {0}, best = {0};
    GR_TRY(gr_json_parse(gr_str_from(demo_query), sizeof demo_query, arena, &query, err));
    GR_TRY(run_once(door, query, true, arena, &source, err));
    GR_TRY(run_once(door, query, false, arena, &first, err));
    for (int i = 0; i < WARM_RUNS; i++) {
        run_result again = {0};
        GR_TRY(run_once(door, query, false, arena, &again, err));
        if (i == 0 || again.took_us < best.took_us) best = again;
    }
    const json_t *expected = json_object_get(source.json, "data");
    bool is_equal = json_array_size(expected) > 0 && json_equal(expected, json_object_get(first.json, "data")) &&
                    json_equal(expected, json_object_get(best.json, "data"));
    gr_buf out;
    gr_buf_init(&out, 1 << 20);
    show(&source, &first, &best, is_equal, arena, &out);
    gr_status status = gr_cli_print(&out, err);
    gr_buf_done(&out);
    GR_TRY(status);
    if (source.served_by.n)
        return gr_error_set(err, GR_ERR_ENGINE_DATA, "the first answer did not come from the source");
    if (!best.served_by.n) return gr_error_set(err, GR_ERR_ENGINE_DATA, "no rollup served the query");
    if (!is_equal)
        return gr_error_set(err, GR_ERR_ENGINE_DATA, "the answers from the source and from the rollup differ");
    return GR_OK;
}

gr_status gr_cli_demo_compare(gr_cli *cli, const gr_config *config, gr_error *err) {
    gr_door *door;
    GR_TRY(gr_cli_door_open(cli, config, &door, err));
    gr_status status = compare_through(door, cli->arena, err);
    gr_cli_door_close(door);
    return status;
}
