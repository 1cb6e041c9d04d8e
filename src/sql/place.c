/* Where statements are run, and what they fetch from elsewhere (sql.h, gr_sql_place).
 *
 * A fetch is a whole reading, grouped at its place: what travels is its groups, never the rows below them. */
#include "sql/internal.h"

static const gr_sql_place embedded = {.dialect = &gr_dialect_duckdb, .is_embedded = true};
const gr_sql_places gr_sql_places_embedded = {&embedded, 1};

const gr_sql_place *gr_sql_place_of(const gr_sql_places *places, gr_str name) {
    for (size_t i = 0; i < places->n; i++)
        if (gr_str_eq(places->v[i].name, name)) return &places->v[i];
    return &places->v[0];
}

static const gr_sql_place *place_of_rollup(const gr_sql_places *places, const gr_rollup *r,
                                           const gr_rollup_state *state) {
    bool is_foreign = state && state->is_foreign; /* somebody else's tables lie in the source */
    return gr_sql_place_of(places, is_foreign ? r->tree.nodes[0].cube->data_source : r->place);
}

/* Of a rollup_join the place of its parts, when it is one; else they meet in the embedded engine. */
static const gr_sql_place *place_of_parts(const gr_sql_places *places, const gr_scan *scan) {
    const gr_rollup *r = scan->rollup;
    const gr_sql_place *place = place_of_rollup(places, r->links[0].from, NULL);
    for (size_t i = 0; i < r->n_links; i++) {
        const gr_sql_place *other = place_of_rollup(places, r->links[i].to, NULL);
        if (other != place && !(other->is_embedded && place->is_embedded)) return &places->v[0];
    }
    return place->is_embedded || !place->dialect->reads_alone ? place : &places->v[0];
}

const gr_sql_place *gr_sql_place_of_scan(const gr_sql_places *places, const gr_scan *scan) {
    if (!scan->rollup) return gr_sql_place_of(places, scan->group.tree.nodes[0].cube->data_source);
    if (scan->rollup->n_links) return place_of_parts(places, scan);
    return place_of_rollup(places, scan->rollup, scan->state);
}

gr_sql_home gr_sql_home_native(const gr_sql_places *places, gr_str name) {
    const gr_sql_place *place = gr_sql_place_of(places, name);
    return (gr_sql_home){name, !place->is_embedded, place->dialect};
}

gr_sql_home gr_sql_home_embedded(const gr_sql_places *places, gr_str name) {
    return (gr_sql_home){name, false, places->v[0].dialect};
}

gr_sql_home gr_sql_home_of_readings(const gr_sql_places *places, gr_str name) {
    const gr_sql_place *place = gr_sql_place_of(places, name);
    bool is_here = !place->is_embedded && ((const gr_dialect *)place->dialect)->reads_alone;
    return is_here ? gr_sql_home_embedded(places, name) : gr_sql_home_native(places, name);
}

static bool has_sketch_op(const gr_sql_place *place, const gr_component *c, gr_sql_op op) {
    return place->dialect->ops[gr_sql_sketch_op(c, op)].n > 0;
}

/* Sketches may be made anew of stored values. */
static bool lacks_merge(const gr_sql_place *place, const gr_scan *scan, const gr_components *components) {
    for (size_t i = 0; i < components->n && !place->is_embedded; i++) {
        const gr_component *c = &components->v[i];
        if (c->agg == GR_AGG_M2 && !place->dialect->ops[GR_SQL_MERGE_M2].n) return true;
        if (c->agg != GR_AGG_COUNT_DISTINCT_APPROX) continue;
        bool is_made = scan->rollup && gr_scan_value_column(scan, c);
        if (!has_sketch_op(place, c, is_made ? GR_SQL_HLL_ADD : GR_SQL_HLL_UNION)) return true;
    }
    return false;
}

static bool is_made_there(const gr_sql_place *place, const gr_plan *plan) {
    const gr_scan *scan = &plan->pieces[0].scan;
    if (place->is_embedded || place->dialect->reads_alone) return false;
    if (plan->query->is_ungrouped) return true;
    if (scan->rollup && scan->rollup->is_abroad) return false; /* measures over measures are not its own SQL */
    bool is_merged = scan->rollup || scan->group.key_node != GR_TREE_NONE;
    bool is_made = !scan->rollup && gr_sql_lacks_sketches(place, &scan->group.components);
    return !is_made && !(is_merged && lacks_merge(place, scan, &scan->group.components));
}

/* In the embedded engine names without a schema are looked for in the plan's data source, and `/` is what it is there.
 */
gr_sql_home gr_sql_home_of_plan(const gr_sql_places *places, const gr_plan *plan) {
    if (plan->n_pieces == 1 && plan->pieces[0].kind == GR_PIECE_SCAN) {
        const gr_sql_place *place = gr_sql_place_of_scan(places, &plan->pieces[0].scan);
        if (is_made_there(place, plan)) return gr_sql_home_native(places, place->name);
    }
    return gr_sql_home_embedded(places, plan->data_source);
}

void gr_sqlw_take_home(gr_sqlw *w, const gr_sql_places *places, const gr_sql_home *home, gr_sql_statement *s) {
    w->dialect = home->dialect;
    w->places = home->is_native ? NULL : places;
    w->fetches = home->is_native ? NULL : &s->fetches;
}

bool gr_sqlw_sees(const gr_sqlw *w, const gr_sql_place *place) {
    if (!w->places || !w->fetches) return true; /* a statement for one place alone */
    return place->is_embedded;
}

gr_sqlw gr_sqlw_for_place(const gr_sqlw *w, const gr_sql_place *place, gr_sql_statement *s) {
    gr_sqlw p = *w;
    p.dialect = place->dialect;
    p.places = NULL;
    p.fetches = NULL;
    p.params = &s->params;
    return p;
}

gr_str gr_sqlw_fetched(gr_sqlw *w, const gr_sql_place *place, const gr_sql_statement *s, const gr_str *columns,
                       gr_str text) {
    gr_sql_fetch fetch = {.table = gr_arena_printf(w->arena, "granary_f%zu", w->fetches->n), .columns = columns};
    fetch.sql = (gr_sql){.text = text, .params = s->params.v, .n_params = s->params.n};
    fetch.sql.place = place->name;
    fetch.sql.is_native = true;
    GR_PUSH(w->arena, w->fetches, fetch);
    return gr_arena_printf(w->arena, "temp.main." GR_FMT, GR_ARG(fetch.table));
}

gr_str gr_sqlw_read_at(gr_sqlw *w, const gr_sql_place *place, const gr_str *columns, gr_sqlw_reading write,
                       const void *arg) {
    gr_sql_statement s = {0};
    if (gr_sqlw_sees(w, place)) return write(w, arg);
    gr_sqlw p = gr_sqlw_for_place(w, place, &s);
    gr_str text = write(&p, arg);
    gr_str rows = gr_sqlw_fetched(w, place, &s, columns, text);
    return gr_arena_printf(w->arena, "SELECT * FROM " GR_FMT, GR_ARG(rows));
}

/* ---- readings of elsewhere -----------------------------------------------------------------------------------------
 */

bool gr_sql_lacks_sketches(const gr_sql_place *place, const gr_components *components) {
    for (size_t i = 0; i < components->n && !place->is_embedded; i++) {
        const gr_component *c = &components->v[i];
        if (c->agg == GR_AGG_COUNT_DISTINCT_APPROX && !has_sketch_op(place, c, GR_SQL_HLL_ADD)) return true;
    }
    return false;
}

/* Group columns, then what the components give, as they are called here, whatever the place makes of long names. */
static gr_str *names_of(gr_sqlw *w, const gr_sql_grain *grain, gr_str value) {
    size_t n = gr_sqlw_grain_n(grain);
    gr_str *names = GR_NEW_N(w->arena, gr_str, n + 2);
    for (size_t i = 0; i < n; i++) names[i] = gr_sqlw_grain_name(grain, i);
    names[n] = value;
    return names;
}

static const gr_component *given(const gr_group *group, const gr_component *c) {
    for (size_t i = 0; i < group->components.n; i++)
        if (gr_str_eq(group->components.v[i].key, c->key)) return &group->components.v[i];
    return NULL;
}

static gr_str fetch_groups(gr_sqlw *w, const gr_sql_place *place, const gr_sql_grain *grain, const gr_group *group,
                           const gr_components *all) {
    gr_sql_statement s = {0};
    gr_sqlw p = gr_sqlw_for_place(w, place, &s);
    gr_str *names = GR_NEW_N(w->arena, gr_str, gr_sqlw_grain_n(grain) + all->n + 2);
    size_t n = 0;
    for (; n < gr_sqlw_grain_n(grain); n++) names[n] = gr_sqlw_grain_name(grain, n);
    for (size_t i = 0; i < all->n; i++)
        if (given(group, &all->v[i])) names[n++] = gr_arena_printf(w->arena, "c%zu", i);
    if (!n) names[n] = GR_STR("one");
    p.is_given_only = true;
    gr_str text = gr_sqlw_scan(&p, grain, group, all);
    return gr_sqlw_fetched(w, place, &s, names, text);
}

/* ` LEFT JOIN (SELECT group columns, sketch FROM values GROUP BY …) AS "b<i>" ON …` */
static gr_str join_sketch(gr_sqlw *w, const gr_sql_place *place, const gr_sql_grain *grain, const gr_group *group,
                          const gr_component *c, size_t i) {
    gr_sql_statement s = {0};
    gr_sqlw p = gr_sqlw_for_place(w, place, &s);
    gr_str text = gr_sqlw_values(&p, grain, group, c);
    gr_str values = gr_sqlw_fetched(w, place, &s, names_of(w, grain, GR_STR("v")), text);
    size_t n = gr_sqlw_grain_n(grain);
    gr_str *columns = GR_NEW_N(w->arena, gr_str, n + 1), *tests = GR_NEW_N(w->arena, gr_str, n + 1);
    for (size_t k = 0; k < n; k++) {
        columns[k] = gr_sqlw_grain_alias(w, grain, k);
        tests[k] = gr_sqlw_op2(w, GR_SQL_NULL_SAFE_EQ, gr_arena_printf(w->arena, "\"a\"." GR_FMT, GR_ARG(columns[k])),
                               gr_arena_printf(w->arena, "\"b%zu\"." GR_FMT, i, GR_ARG(columns[k])));
    }
    gr_str sketch = gr_sqlw_sketch(w, c, GR_STR("\"v\""));
    columns[n] = gr_arena_printf(w->arena, GR_FMT " AS \"h\"", GR_ARG(sketch));
    gr_str list = gr_sqlw_join(w, columns, n + 1, ", "), by = gr_sqlw_group_by(w, n),
           on = n ? gr_sqlw_join(w, tests, n, " AND ") : GR_STR("TRUE");
    return gr_arena_printf(w->arena, " LEFT JOIN (SELECT " GR_FMT " FROM " GR_FMT GR_FMT ") AS \"b%zu\" ON " GR_FMT,
                           GR_ARG(list), GR_ARG(values), GR_ARG(by), i, GR_ARG(on));
}

/* `"a"."status" AS "status"`; a boolean of an engine that has integers for them is one again. */
gr_str gr_sqlw_fetched_column(gr_sqlw *w, const gr_sql_place *place, const gr_sql_grain *grain, size_t i) {
    gr_str alias = gr_sqlw_grain_alias(w, grain, i), text = gr_arena_printf(w->arena, "\"a\"." GR_FMT, GR_ARG(alias));
    const gr_query_column *c = grain->query ? &grain->query->columns[i] : NULL;
    const gr_member *m = NULL;
    if (c && c->kind == GR_COLUMN_DIMENSION) m = grain->query->dimensions[c->index].member;
    if (grain->load && !grain->load->columns[i].granularity) m = grain->load->columns[i].member;
    const gr_column_schema *type = m && w->snapshot->types ? w->snapshot->types[m->index] : NULL;
    bool is_boolean = m && (m->kind == GR_MEMBER_SEGMENT || (type && type->type == GR_TYPE_BOOL));
    if (((const gr_dialect *)place->dialect)->reads_alone && is_boolean) text = gr_sqlw_op1(w, GR_SQL_BOOLEAN, text);
    return gr_arena_printf(w->arena, GR_FMT " AS " GR_FMT, GR_ARG(text), GR_ARG(alias));
}

/* `(SELECT "a"."status" AS "status", unhex("a"."c1") AS "c1" … FROM temp.main.granary_f0 AS "a")`, or just the table.
 */
static gr_str with_bytes(gr_sqlw *w, gr_str rows, const gr_str *names, const bool *is_text, size_t n) {
    gr_str *texts = GR_NEW_N(w->arena, gr_str, n + 1);
    bool is_any = false;
    for (size_t i = 0; i < n; i++) {
        gr_str name = gr_sqlw_ident(w, names[i]), value = gr_arena_printf(w->arena, "\"a\"." GR_FMT, GR_ARG(name));
        if (is_text[i]) value = gr_sqlw_op1(w, GR_SQL_SKETCH_OF_TEXT, value);
        is_any |= is_text[i];
        texts[i] = gr_arena_printf(w->arena, GR_FMT " AS " GR_FMT, GR_ARG(value), GR_ARG(name));
    }
    if (!is_any) return rows;
    gr_str list = gr_sqlw_join(w, texts, n, ", ");
    return gr_arena_printf(w->arena, "(SELECT " GR_FMT " FROM " GR_FMT " AS \"a\")", GR_ARG(list), GR_ARG(rows));
}

gr_str gr_sqlw_fetched_whole(gr_sqlw *w, const gr_sql_place *place, const gr_rollup *r, gr_str table) {
    gr_sql_statement s = {0};
    gr_sqlw p = gr_sqlw_for_place(w, place, &s);
    size_t n = r->n_columns + r->n_components;
    gr_str *names = GR_NEW_N(w->arena, gr_str, n + 1), *texts = GR_NEW_N(w->arena, gr_str, n + 1);
    bool *is_text = GR_NEW_N(w->arena, bool, n + 1);
    for (size_t i = 0; i < n; i++) {
        bool is_column = i < r->n_columns;
        names[i] = is_column ? r->columns[i].name : r->components[i - r->n_columns].name;
        is_text[i] = !is_column && gr_sqlw_is_sent_as_text(&p, &r->components[i - r->n_columns].component);
        texts[i] = gr_sqlw_ident(&p, names[i]);
        if (is_text[i]) texts[i] = gr_sqlw_op1(&p, GR_SQL_SKETCH_TO_TEXT, texts[i]);
    }
    bool is_named = p.dialect->reads_alone && n;
    gr_str list = is_named ? gr_sqlw_join(w, texts, n, ", ") : GR_STR("*");
    gr_str select = gr_arena_printf(w->arena, "SELECT " GR_FMT " FROM " GR_FMT, GR_ARG(list), GR_ARG(table));
    return with_bytes(w, gr_sqlw_fetched(w, place, &s, is_named ? names : NULL, select), names, is_text, n);
}

/* Tables of a rollup each by itself: of a table that is spread over shards, those group, and of a union of such tables
 * one server would read all rows. Not of what is counted anew from stored values. */
static bool is_read_by_table(gr_sqlw *w, const gr_sql_place *place, const gr_group *group) {
    const gr_scan *scan = w->scan;
    size_t n;
    if (!((const gr_dialect *)place->dialect)->reads_alone || w->read != GR_READ_STORED) return false;
    if (!scan->state || !scan->reading.v || scan->rollup->n_links) return false;
    for (size_t i = 0; i < group->components.n; i++)
        if (gr_scan_value_column(scan, &group->components.v[i])) return false;
    (void)gr_sqlw_tables_of(w, scan->state, &scan->reading, &n);
    return n > 1;
}

/* The greatest of booleans is one. */
static gr_str as_boolean(gr_sqlw *w, const gr_sql_place *place, const gr_component *c, gr_str value) {
    const gr_column_schema *type = gr_sqlw_ordered_type(w, c);
    bool is_boolean = ((const gr_dialect *)place->dialect)->reads_alone && type && type->type == GR_TYPE_BOOL;
    return is_boolean ? gr_sqlw_op1(w, GR_SQL_BOOLEAN, value) : value;
}

static gr_str fetched_slot(gr_sqlw *w, const gr_sql_place *place, const gr_component *c, gr_str slot) {
    gr_str value = gr_arena_printf(w->arena, "\"a\"." GR_FMT, GR_ARG(slot));
    return c ? as_boolean(w, place, c, value) : value;
}

/* `SELECT … FROM table1 … GROUP BY … UNION ALL SELECT … FROM table2 …` */
static gr_str each_table(gr_sqlw *p, const gr_sql_grain *grain, const gr_group *group, const gr_components *all) {
    const gr_rollup_state *state = p->scan->state;
    size_t n_read, n = 0;
    const bool *is_read = gr_sqlw_tables_of(p, state, &p->scan->reading, &n_read);
    gr_str *texts = GR_NEW_N(p->arena, gr_str, n_read + 1);
    for (size_t i = 0; i < state->n_tables; i++) {
        if (!is_read[i]) continue;
        p->table = &state->tables[i];
        texts[n++] = gr_sqlw_scan(p, grain, group, all);
    }
    return gr_sqlw_join(p, texts, n, " UNION ALL ");
}

/* Stored rows that the place cannot merge, and groups of several tables, are merged here:
 *
 *      SELECT group columns, merge(c0) … FROM (SELECT group columns, stored columns … FROM table) GROUP BY … */
static gr_str merged_here(gr_sqlw *w, const gr_sql_place *place, const gr_sql_grain *grain, const gr_group *group,
                          const gr_components *all, bool is_by_table) {
    gr_sql_statement s = {0};
    gr_sqlw p = gr_sqlw_for_place(w, place, &s), u = *w;
    size_t n = gr_sqlw_grain_n(grain), n_names = n;
    gr_str *names = GR_NEW_N(w->arena, gr_str, n + all->n + 2), *texts = GR_NEW_N(w->arena, gr_str, n + all->n + 1);
    bool *is_text = GR_NEW_N(w->arena, bool, n + all->n + 2);
    p.is_given_only = true;
    p.is_unmerged = !is_by_table;
    u.read = GR_READ_UNION;
    u.components = all;
    u.rows = GR_STR("\"a\"");
    for (size_t i = 0; i < n; i++) {
        names[i] = gr_sqlw_grain_name(grain, i);
        texts[i] = gr_sqlw_fetched_column(w, place, grain, i);
    }
    for (size_t i = 0; i < all->n; i++) {
        const gr_component *c = given(group, &all->v[i]);
        gr_str slot = gr_sqlw_slot(w, i), text = GR_STR("NULL");
        bool is_stored = c && !gr_scan_value_column(w->scan, c);
        if (c) is_text[n_names] = is_stored && p.is_unmerged && gr_sqlw_is_sent_as_text(&p, c);
        if (c) names[n_names++] = gr_arena_printf(w->arena, "c%zu", i);
        if (c && gr_scan_value_column(w->scan, c))
            text = gr_sqlw_accumulated(&u, c, gr_arena_printf(w->arena, "\"a\"." GR_FMT, GR_ARG(slot)));
        else if (c)
            text = as_boolean(w, place, c, gr_sqlw_merged(&u, &all->v[i]));
        texts[n + i] = gr_arena_printf(w->arena, GR_FMT " AS " GR_FMT, GR_ARG(text), GR_ARG(slot));
    }
    gr_str reading = is_by_table ? each_table(&p, grain, group, all) : gr_sqlw_scan(&p, grain, group, all);
    gr_str rows = gr_sqlw_fetched(w, place, &s, names, reading);
    rows = with_bytes(w, rows, names, is_text, n_names);
    gr_str list = gr_sqlw_join(w, texts, n + all->n, ", "), by = gr_sqlw_group_by(w, n);
    return gr_arena_printf(w->arena, "SELECT " GR_FMT " FROM " GR_FMT " AS \"a\"" GR_FMT, GR_ARG(list), GR_ARG(rows),
                           GR_ARG(by));
}

gr_str gr_sqlw_scan_from(gr_sqlw *w, const gr_sql_place *place, const gr_sql_grain *grain, const gr_group *group,
                         const gr_components *all) {
    if (w->query->is_ungrouped)
        return gr_sqlw_fail(w, GR_ERR_PLAN_UNSUPPORTED,
                            "The query asks for rows, and '" GR_FMT "' (" GR_FMT ") is only asked for groups",
                            GR_ARG(place->name), GR_ARG(((const gr_dialect *)place->dialect)->name));
    if (w->read == GR_READ_STORED && lacks_merge(place, w->scan, &group->components))
        return merged_here(w, place, grain, group, all, false);
    if (is_read_by_table(w, place, group)) return merged_here(w, place, grain, group, all, true);
    bool lacks = w->read == GR_READ_SOURCE && gr_sql_lacks_sketches(place, &group->components);
    gr_group rest = *group; /* without the sketches that are made here */
    size_t n = gr_sqlw_grain_n(grain), count = n + all->n;
    rest.components = (gr_components){0};
    for (size_t i = 0; i < group->components.n; i++)
        if (!lacks || group->components.v[i].agg != GR_AGG_COUNT_DISTINCT_APPROX)
            GR_PUSH(w->arena, &rest.components, group->components.v[i]);
    gr_str *texts = GR_NEW_N(w->arena, gr_str, count + 1);
    gr_str rows = fetch_groups(w, place, grain, &rest, all);
    gr_str from = gr_arena_printf(w->arena, GR_FMT " AS \"a\"", GR_ARG(rows));
    for (size_t i = 0; i < n; i++) texts[i] = gr_sqlw_fetched_column(w, place, grain, i);
    for (size_t i = 0; i < all->n; i++) {
        const gr_component *c = given(group, &all->v[i]);
        gr_str slot = gr_sqlw_slot(w, i);
        bool is_made = c && !given(&rest, c);
        gr_str join = is_made ? join_sketch(w, place, grain, group, c, i) : (gr_str){0};
        if (is_made) from = gr_arena_printf(w->arena, GR_FMT GR_FMT, GR_ARG(from), GR_ARG(join));
        gr_str own = fetched_slot(w, place, c, slot);
        texts[n + i] = is_made ? gr_arena_printf(w->arena, "\"b%zu\".\"h\" AS " GR_FMT, i, GR_ARG(slot))
                       : c     ? gr_arena_printf(w->arena, GR_FMT " AS " GR_FMT, GR_ARG(own), GR_ARG(slot))
                               : gr_arena_printf(w->arena, "NULL AS " GR_FMT, GR_ARG(slot));
    }
    if (!count) texts[count++] = GR_STR("\"one\"");
    gr_str list = gr_sqlw_join(w, texts, count, ", ");
    return gr_arena_printf(w->arena, "SELECT " GR_FMT " FROM " GR_FMT, GR_ARG(list), GR_ARG(from));
}

gr_sql gr_sql_given(const gr_sql_places *places, gr_str data_source, gr_str text) {
    return (gr_sql){.text = text, .place = data_source, .is_native = gr_sql_home_native(places, data_source).is_native};
}
