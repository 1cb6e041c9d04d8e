/* granary query | sql | explain: ask through a door, and print the JSON as it came, or a table of it. */
#include "cli/door.h"
#include "cli/table.h"

#include <stdio.h>

typedef gr_status (*ask_fn)(gr_door *door, const gr_door_query *query, gr_buf *out, gr_error *err);

/* ---- the table of an answer ---------------------------------------------------------------------------------------
 */

/* A time dimension with granularity comes twice, as `a.b.day` and as `a.b`; people want to see it once. */
static bool is_shadow(const json_t *members, size_t at, const json_t *query) {
    gr_str id = gr_json_str(json_array_get(members, at));
    const json_t *dimensions = json_object_get(query, "dimensions");
    for (size_t i = 0; i < json_array_size(dimensions); i++)
        if (gr_str_eq(id, gr_json_str(json_array_get(dimensions, i)))) return false;
    for (size_t i = 0; i < json_array_size(members); i++) {
        gr_str other = gr_json_str(json_array_get(members, i));
        if (other.n > id.n + 1 && other.p[id.n] == '.' && gr_str_starts(other, id)) return true;
    }
    return false;
}

static bool is_number(const json_t *annotation, gr_str member) {
    static const char *const kinds[] = {"measures", "dimensions"};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        const json_t *entry = json_object_getn(json_object_get(annotation, kinds[i]), member.p, member.n);
        if (entry) return gr_str_eq_z(gr_cli_json_text(entry, "type"), "number");
    }
    return false;
}

static gr_str cell_text(const json_t *value, gr_arena *arena) {
    if (json_is_string(value)) return gr_json_str(value);
    if (json_is_integer(value)) return gr_arena_printf(arena, "%lld", (long long)json_integer_value(value));
    if (json_is_real(value)) return gr_arena_printf(arena, "%.17g", json_real_value(value));
    return json_is_true(value) ? GR_STR("true") : json_is_false(value) ? GR_STR("false") : GR_STR("null");
}

static size_t print_rows(const json_t *result, gr_arena *arena, gr_buf *out) {
    const json_t *data = json_object_get(result, "data"), *rows = json_object_get(data, "dataset");
    const json_t *members = json_object_get(data, "members");
    size_t n = json_array_size(members), n_shown = 0;
    size_t *shown = GR_NEW_N(arena, size_t, n + 1);
    gr_cli_column *columns = GR_NEW_N(arena, gr_cli_column, n + 1);
    gr_str *cells = GR_NEW_N(arena, gr_str, n + 1);
    for (size_t i = 0; i < n; i++) {
        gr_str member = gr_json_str(json_array_get(members, i));
        if (is_shadow(members, i, json_object_get(result, "query"))) continue;
        bool right = is_number(json_object_get(result, "annotation"), member);
        columns[n_shown] = (gr_cli_column){member, right ? GR_ALIGN_RIGHT : GR_ALIGN_LEFT};
        shown[n_shown++] = i;
    }
    gr_cli_table *table = gr_cli_table_new(arena, columns, n_shown);
    for (size_t row = 0; row < json_array_size(rows); row++) {
        for (size_t i = 0; i < n_shown; i++)
            cells[i] = cell_text(json_array_get(json_array_get(rows, row), shown[i]), arena);
        gr_cli_table_row(table, cells);
    }
    gr_cli_table_print(table, GR_CLI_CELL_WIDTH, out);
    return json_array_size(rows);
}

/* "(2 rows in 3.1 ms, from the rollup orders.main, built 2025-01-01T00:00:00.000Z)" */
static void print_footer(const json_t *result, size_t n_rows, int64_t took_us, gr_buf *out) {
    gr_buf_printf(out, "(%zu row%s in %.1f ms, ", n_rows, n_rows == 1 ? "" : "s", (double)took_us / 1000);
    json_t *used = json_object_get(result, "usedPreAggregations");
    if (json_object_size(used) == 0) {
        gr_str source = gr_cli_json_text(result, "dataSource");
        gr_buf_printf(out, "from the source \"" GR_FMT "\"", GR_ARG(source));
    } else {
        const char *key;
        json_t *entry;
        bool is_first = true;
        json_object_foreach(used, key, entry) {
            gr_str id = gr_cli_json_text(entry, "preAggregationId");
            gr_buf_printf(out, "%s" GR_FMT, is_first ? "from the rollup " : ", ", GR_ARG(id.n ? id : gr_str_from(key)));
            is_first = false;
        }
        gr_str when = gr_cli_json_text(result, "lastRefreshTime");
        if (when.n) gr_buf_printf(out, ", as of " GR_FMT, GR_ARG(when));
    }
    const json_t *total = json_object_get(result, "total");
    if (json_is_integer(total)) gr_buf_printf(out, ", %lld in all", (long long)json_integer_value(total));
    gr_buf_z(out, ")\n");
}

/* ---- asking -------------------------------------------------------------------------------------------------------
 */

static gr_status ask_through(gr_cli *cli, size_t which, json_t *query, gr_buf *out, int64_t *ret_took_us,
                             gr_error *err) {
    gr_config *config;
    gr_door *door;
    GR_TRY(gr_cli_config(cli, &config, err));
    GR_TRY(gr_cli_door_open(cli, config, &door, err));
    const ask_fn asks[] = {door->load, door->sql, door->explain};
    gr_door_query asked = {.query = query,
                           .without_rollups = cli->args.has[GR_FLAG_NO_ROLLUPS],
                           .wants_estimate = cli->args.has[GR_FLAG_ESTIMATE]};
    int64_t started = gr_clock_mono_us();
    gr_status status = asks[which](door, &asked, out, err);
    *ret_took_us = gr_clock_mono_us() - started;
    gr_cli_door_close(door);
    return status;
}

typedef void (*render_fn)(const json_t *answer, int64_t took_us, gr_arena *arena, gr_buf *out);

/* Ask, then print the JSON as it came, or what `render` makes of it. */
static gr_status run(gr_cli *cli, size_t which, json_t *query, render_fn render, gr_error *err) {
    gr_buf answer, text;
    int64_t took_us = 0;
    gr_buf_init(&answer, GR_CLI_MAX_OUTPUT_BYTES);
    gr_buf_init(&text, GR_CLI_MAX_OUTPUT_BYTES);
    gr_status status = ask_through(cli, which, query, &answer, &took_us, err);
    if (!status && cli->args.has[GR_FLAG_JSON]) {
        if (answer.n && answer.p[answer.n - 1] != '\n') gr_buf_char(&answer, '\n');
        status = gr_cli_print(&answer, err);
    } else if (!status) {
        json_t *json;
        status = gr_json_parse(gr_buf_str(&answer), GR_CLI_MAX_OUTPUT_BYTES, cli->arena, &json, err);
        if (!status) render(json, took_us, cli->arena, &text);
        if (!status) status = gr_cli_print(&text, err);
    }
    gr_buf_done(&answer);
    gr_buf_done(&text);
    return status;
}

static void render_rows(const json_t *answer, int64_t took_us, gr_arena *arena, gr_buf *out) {
    size_t n = print_rows(answer, arena, out);
    print_footer(answer, n, took_us, out);
}

static void render_sql(const json_t *answer, int64_t took_us, gr_arena *arena, gr_buf *out) {
    (void)took_us;
    const json_t *pair = json_object_get(json_object_get(answer, "sql"), "sql");
    const json_t *params = json_array_get(pair, 1);
    gr_buf_add(out, gr_json_str(json_array_get(pair, 0)));
    gr_buf_char(out, '\n');
    for (size_t i = 0; i < json_array_size(params); i++)
        gr_buf_printf(out, "-- $%zu = " GR_FMT "\n", i + 1, GR_ARG(cell_text(json_array_get(params, i), arena)));
}

/* ---- explanations ------------------------------------------------------------------------------------------------ */

static void print_served(const json_t *answer, gr_buf *out) {
    const json_t *serving = json_object_get(answer, "pre_aggregations");
    const json_t *to_build = json_object_get(answer, "to_build");
    gr_str exactness = gr_cli_json_text(answer, "exactness"), source = gr_cli_json_text(answer, "source");
    gr_buf_z(out, "Served by: ");
    for (size_t i = 0; i < json_array_size(serving); i++)
        gr_buf_printf(out, "%s" GR_FMT, i ? ", " : "", GR_ARG(gr_json_str(json_array_get(serving, i))));
    if (source.n)
        gr_buf_printf(out, "%sthe source \"" GR_FMT "\"", json_array_size(serving) ? ", " : "", GR_ARG(source));
    if (exactness.n && !gr_str_eq_z(exactness, "exact")) gr_buf_printf(out, " (" GR_FMT ")", GR_ARG(exactness));
    gr_buf_char(out, '\n');
    for (size_t i = 0; i < json_array_size(to_build); i++) {
        gr_str id = gr_cli_json_text(json_array_get(to_build, i), "pre_aggregation");
        gr_buf_printf(out, "The first query builds: " GR_FMT "\n", GR_ARG(id));
    }
}

static gr_str reads_of(const json_t *piece, gr_arena *arena) {
    gr_str id = gr_cli_json_text(piece, "pre_aggregation"), source = gr_cli_json_text(piece, "source");
    if (id.n) return id;
    return source.n ? gr_arena_printf(arena, "source \"" GR_FMT "\"", GR_ARG(source)) : GR_STR("");
}

static gr_str range_of(const json_t *piece, gr_arena *arena) {
    gr_str all = {0};
    const json_t *ranges = json_object_get(piece, "ranges");
    for (size_t i = 0; i < json_array_size(ranges); i++) {
        const json_t *range = json_array_get(ranges, i);
        gr_str dimension = gr_cli_json_text(range, "dimension"), from = gr_cli_json_text(range, "from"),
               to = gr_cli_json_text(range, "to");
        all = gr_arena_printf(arena, GR_FMT "%s" GR_FMT " from " GR_FMT " to before " GR_FMT, GR_ARG(all),
                              all.n ? ", " : "", GR_ARG(dimension), GR_ARG(from), GR_ARG(to));
    }
    return all;
}

enum { DEEPEST_PIECE = 40 };

/* Windows and stages stand over the pieces that they are made of. */
static void add_pieces(gr_cli_table *table, const json_t *pieces, int depth, gr_arena *arena) {
    for (size_t i = 0; i < json_array_size(pieces) && depth < DEEPEST_PIECE; i++) {
        const json_t *piece = json_array_get(pieces, i);
        gr_str kind = gr_cli_json_text(piece, "kind"), form = gr_cli_json_text(piece, "form");
        kind = gr_arena_printf(arena, "%*s" GR_FMT "%s" GR_FMT, depth * 2, "", GR_ARG(kind), form.n ? " " : "",
                               GR_ARG(form));
        const gr_str cells[] = {kind, reads_of(piece, arena), range_of(piece, arena)};
        gr_cli_table_row(table, cells);
        add_pieces(table, json_object_get(piece, "rows"), depth + 1, arena);
        add_pieces(table, json_object_get(piece, "pieces"), depth + 1, arena);
    }
}

static void print_pieces(const json_t *answer, gr_arena *arena, gr_buf *out) {
    const gr_cli_column columns[] = {
        {GR_STR("piece"), GR_ALIGN_LEFT}, {GR_STR("reads"), GR_ALIGN_LEFT}, {GR_STR("range"), GR_ALIGN_LEFT}};
    const json_t *pieces = json_object_get(answer, "pieces"), *first = json_array_get(pieces, 0);
    if (json_array_size(pieces) < 2 && (!first || gr_str_eq_z(gr_cli_json_text(first, "kind"), "scan"))) return;
    gr_cli_table *table = gr_cli_table_new(arena, columns, 3);
    add_pieces(table, pieces, 0, arena);
    gr_buf_char(out, '\n');
    gr_cli_table_print(table, 0, out);
}

/* Every rule that a candidate fails, one row each. */
static size_t add_failed(gr_cli_table *table, const json_t *candidate) {
    const json_t *failed = json_object_get(candidate, "failed");
    for (size_t i = 0; i < json_array_size(failed); i++) {
        const json_t *refusal = json_array_get(failed, i);
        const gr_str cells[] = {gr_cli_json_text(candidate, "pre_aggregation"), gr_cli_json_text(refusal, "rule"),
                                gr_cli_json_text(refusal, "detail")};
        gr_cli_table_row(table, cells);
    }
    return json_array_size(failed);
}

static void print_repair(const json_t *candidate, gr_buf *out) {
    const json_t *repair = json_object_get(candidate, "repair"), *changes = json_object_get(repair, "changes");
    const json_t *added = json_object_get(repair, "estimated_rows_added"),
                 *rows = json_object_get(repair, "estimated_rows");
    gr_str id = gr_cli_json_text(candidate, "pre_aggregation");
    if (!json_array_size(changes)) return;
    bool is_proved = json_is_true(json_object_get(repair, "is_proved"));
    gr_buf_printf(out, "%s " GR_FMT ": ", is_proved ? "To use" : "What would help", GR_ARG(id));
    for (size_t i = 0; i < json_array_size(changes); i++)
        gr_buf_printf(out, "%s" GR_FMT, i ? "; " : "", GR_ARG(gr_json_str(json_array_get(changes, i))));
    if (json_is_integer(rows)) gr_buf_printf(out, " (%lld rows then", (long long)json_integer_value(rows));
    if (json_is_integer(rows) && json_is_integer(added))
        gr_buf_printf(out, ", %lld more than now", (long long)json_integer_value(added));
    gr_buf_printf(out, "%s\n", json_is_integer(rows) ? ")" : "");
}

static void print_group(const json_t *group, bool is_alone, gr_arena *arena, gr_buf *out) {
    const gr_cli_column columns[] = {{GR_STR("pre-aggregation"), GR_ALIGN_LEFT},
                                     {GR_STR("refused by"), GR_ALIGN_LEFT},
                                     {GR_STR("because"), GR_ALIGN_LEFT}};
    const json_t *candidates = json_object_get(group, "candidates");
    gr_str fact = gr_cli_json_text(group, "fact"), key = gr_cli_json_text(group, "key_cube");
    if (!is_alone)
        gr_buf_printf(out, "\nRows of " GR_FMT "%s" GR_FMT ":\n", GR_ARG(fact), key.n ? ", each key once of " : "",
                      GR_ARG(key));
    gr_cli_table *table = gr_cli_table_new(arena, columns, 3);
    size_t n = 0;
    for (size_t i = 0; i < json_array_size(candidates); i++) n += add_failed(table, json_array_get(candidates, i));
    if (!n) return;
    gr_buf_char(out, '\n');
    gr_cli_table_print(table, 0, out);
    gr_buf_char(out, '\n');
    for (size_t i = 0; i < json_array_size(candidates); i++) print_repair(json_array_get(candidates, i), out);
}

static void print_explanation(const json_t *answer, gr_arena *arena, gr_buf *out) {
    const json_t *groups = json_object_get(answer, "grain_groups");
    print_served(answer, out);
    print_pieces(answer, arena, out);
    for (size_t i = 0; i < json_array_size(groups); i++)
        print_group(json_array_get(groups, i), json_array_size(groups) == 1, arena, out);
}

static void render_explain(const json_t *answer, int64_t took_us, gr_arena *arena, gr_buf *out) {
    (void)took_us;
    if (json_is_object(answer)) print_explanation(answer, arena, out);
    for (size_t i = 0; json_is_array(answer) && i < json_array_size(answer); i++) {
        gr_buf_printf(out, "%sQuery %zu of %zu\n", i ? "\n" : "", i + 1, json_array_size(answer));
        print_explanation(json_array_get(answer, i), arena, out);
    }
}

/* ---- the commands -------------------------------------------------------------------------------------------------
 */

gr_status gr_cli_run_query(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    (void)ret_exit;
    json_t *query;
    GR_TRY(gr_cli_query_operand(cli, &query, err));
    /* The table needs the columns in order, which is what the compact form is. */
    if (!cli->args.has[GR_FLAG_JSON] && json_object_set_new(query, "responseFormat", json_string("compact")))
        return gr_error_set(err, GR_ERR_INTERNAL, "cannot set the response format");
    return run(cli, 0, query, render_rows, err);
}

gr_status gr_cli_run_sql(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    (void)ret_exit;
    json_t *query;
    GR_TRY(gr_cli_query_operand(cli, &query, err));
    return run(cli, 1, query, render_sql, err);
}

gr_status gr_cli_run_explain(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    (void)ret_exit;
    json_t *query;
    GR_TRY(gr_cli_query_operand(cli, &query, err));
    return run(cli, 2, query, render_explain, err);
}
