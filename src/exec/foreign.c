/* Tables that somebody else fills: registered ones, and those that were made of an entity's SQL elsewhere. What they
 * hold is in the catalog as JSON: {"table_text", "dimensions": {our column: theirs}, "measures": {…}}. */
#include "exec/internal.h"

#include "data/json.h"

static gr_str bound_column(const json_t *columns, gr_str name) {
    const json_t *c = json_object_getn(columns, name.p, name.n);
    return json_is_string(c) ? gr_json_str(c) : (gr_str){0};
}

gr_str gr_exec_foreign_table(const gr_exec *exec, const gr_exec_entry *e, const json_t *bindings, bool holds_values,
                             const bool *lacks, gr_arena *arena) {
    const gr_rollup *r = e->rollup;
    const json_t *table = json_object_get(bindings, "table_text"),
                 *dimensions = json_object_get(bindings, "dimensions"),
                 *measures = json_object_get(bindings, "measures");
    gr_sql_bound b = {.table = json_is_string(table) ? gr_json_str(table) : (gr_str){0},
                      .columns = GR_NEW_N(arena, gr_str, r->n_columns + 1),
                      .components = GR_NEW_N(arena, gr_str, r->n_components + 1),
                      .holds_values = holds_values};
    bool is_whole = b.table.n > 0;
    for (size_t i = 0; i < r->n_columns; i++) {
        b.columns[i] = bound_column(dimensions, r->columns[i].name);
        is_whole &= b.columns[i].n > 0;
    }
    for (size_t i = 0; i < r->n_components; i++) {
        if (lacks && lacks[i]) continue;
        b.components[i] = bound_column(measures, r->components[i].name);
        is_whole &= b.components[i].n > 0;
    }
    gr_str select = {0};
    if (!is_whole || gr_sql_registered(r, &b, e->zone, gr_clock_now_us(),
                                       gr_exec_dialect_of(exec, gr_sql_load_source(r)), arena, &select, NULL) != GR_OK)
        return (gr_str){0};
    return select;
}
