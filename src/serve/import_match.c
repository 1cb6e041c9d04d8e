/* What the names of a materialization blob mean in the model. DataJunction calls a stored measure by what is done to a
 * column ("sum_revenue") and a grain by columns; here both are members.
 *
 *      source_node   a cube by name; by its bare name or last part; by its table; by another part
 *      grain         a dimension by id or join path; of the cube by name, by column; of the cubes that it joins by name
 *      measures      a measure by id; of the cube by name; by aggregation and column; by stored column
 *
 * Invariant: a name means one thing, or it is not found; a measure with filters or a window is never taken for the
 * plain one. */
#include "base/buf.h"
#include "serve/entity.h"
#include "serve/import.h"

enum { MOST_PARTS = 16, MOST_PROBLEM_BYTES = 4096, MOST_SHOWN = 200 };

typedef struct matching {
    const gr_model *model;
    const gr_plan_index *index;
    const gr_import_blob *blob;
    gr_arena *arena;
    const gr_cube *cube;
    const gr_cube **joined; /* that the cube reaches by joins, itself first */
    size_t n_joined;
    gr_buf problem;
} matching;

typedef GR_VEC(gr_str) texts;

/* ---- what is missing -----------------------------------------------------------------------------------------------
 */

static gr_str shown(gr_str name) { return gr_str_sub(name, 0, name.n < MOST_SHOWN ? name.n : MOST_SHOWN); }

static void add_missing(matching *m, const char *kind, gr_str name, const texts *known) {
    gr_str near = gr_diags_nearest(name, known->v, known->n);
    if (m->problem.n) gr_buf_z(&m->problem, "; ");
    gr_buf_printf(&m->problem, "there is no %s '" GR_FMT "'", kind, GR_ARG(shown(name)));
    if (m->cube) gr_buf_printf(&m->problem, " of '" GR_FMT "'", GR_ARG(m->cube->name));
    if (near.n) gr_buf_printf(&m->problem, "; did you mean '" GR_FMT "'?", GR_ARG(near));
}

/* ---- names ---------------------------------------------------------------------------------------------------------
 */

/* From the last to the first; 0 when there are too many. */
static size_t split_back(gr_str name, gr_str *parts) {
    size_t n = 0, end = name.n;
    for (size_t i = name.n; i > 0 && n < MOST_PARTS; i--)
        if (name.p[i - 1] == '.') {
            parts[n++] = gr_str_sub(name, i, end - i);
            end = i - 1;
        }
    if (n == MOST_PARTS) return 0;
    parts[n++] = gr_str_sub(name, 0, end);
    return n;
}

static gr_str of_cube(const matching *m, gr_str name) {
    return gr_arena_printf(m->arena, GR_FMT "." GR_FMT, GR_ARG(m->cube->name), GR_ARG(name));
}

/* Without the name of the node before it, in any of the ways to write that. */
static gr_str local_name(const matching *m, gr_str name) {
    gr_str source = m->blob->source_node, bare = gr_serve_bare_name(source);
    const gr_str owners[] = {source, bare, m->cube->name};
    for (size_t i = 0; i < sizeof owners / sizeof *owners; i++) {
        gr_str o = owners[i];
        if (name.n > o.n + 1 && gr_str_starts(name, o) && name.p[o.n] == '.')
            return gr_str_sub(name, o.n + 1, name.n - o.n - 1);
    }
    return name;
}

/* `amount`, `{CUBE}.amount`; empty when it is more than a column. */
static gr_str column_of(const gr_expr *sql) {
    if (!sql) return (gr_str){0};
    if (sql->is_column) return gr_str_trim(sql->parts[0].text);
    if (sql->n_parts != 2 || sql->parts[0].kind != GR_PART_TABLE || sql->parts[0].n_path) return (gr_str){0};
    gr_str rest = sql->parts[1].kind == GR_PART_TEXT ? gr_str_trim(sql->parts[1].text) : (gr_str){0};
    gr_str column = rest.n > 1 && rest.p[0] == '.' ? gr_str_sub(rest, 1, rest.n - 1) : (gr_str){0};
    return gr_str_is_identifier(column) ? column : (gr_str){0};
}

static bool is_column(const gr_expr *sql, gr_str column) { return column.n && gr_str_eq(column_of(sql), column); }

/* ---- source_node ---------------------------------------------------------------------------------------------------
 */

static const gr_cube *base_cube(const gr_model *model, gr_str name) {
    const gr_cube *cube = gr_model_cube(model, name);
    return cube && !cube->is_view ? cube : NULL;
}

static const gr_cube *cube_of_table(const gr_model *model, gr_str table) {
    const gr_cube *found = NULL;
    for (size_t i = 0; i < model->n_cubes; i++) {
        const gr_cube *cube = model->cubes[i];
        if (!cube->sql_table || !gr_str_eq(gr_str_trim(cube->sql_table->source), table)) continue;
        if (found) return NULL;
        found = cube;
    }
    return found;
}

static const gr_cube *find_cube(const gr_model *model, gr_str source) {
    gr_str parts[MOST_PARTS], bare = gr_serve_bare_name(source);
    const gr_cube *cube = base_cube(model, source);
    if (!cube) cube = base_cube(model, bare);
    size_t n = split_back(bare, parts);
    if (!cube && n) cube = base_cube(model, parts[0]);
    if (!cube) cube = cube_of_table(model, bare);
    if (!cube && n) cube = cube_of_table(model, parts[0]);
    for (size_t i = 1; i < n && !cube; i++) cube = base_cube(model, parts[i]);
    return cube;
}

static bool match_source(matching *m) {
    m->cube = find_cube(m->model, m->blob->source_node);
    if (m->cube) return true;
    texts known = {0};
    gr_str parts[MOST_PARTS];
    for (size_t i = 0; i < m->model->n_cubes; i++)
        if (!m->model->cubes[i]->is_view) GR_PUSH(m->arena, &known, m->model->cubes[i]->name);
    gr_str bare = gr_serve_bare_name(m->blob->source_node);
    gr_str last = split_back(bare, parts) ? parts[0] : bare;
    add_missing(m, "cube", gr_diags_nearest(bare, known.v, known.n).n ? bare : last, &known);
    return false;
}

/* Cubes behind joins, nearest first. */
static void find_joined(matching *m) {
    bool *is_there = GR_NEW_N(m->arena, bool, m->model->n_cubes + 1);
    m->joined = GR_NEW_N(m->arena, const gr_cube *, m->model->n_cubes + 1);
    m->joined[m->n_joined++] = m->cube;
    is_there[m->cube->index] = true;
    for (size_t i = 0; i < m->n_joined; i++)
        for (size_t k = 0; k < m->joined[i]->n_joins; k++) {
            const gr_cube *to = m->joined[i]->joins[k].to;
            if (is_there[to->index]) continue;
            is_there[to->index] = true;
            m->joined[m->n_joined++] = to;
        }
}

/* ---- grain ---------------------------------------------------------------------------------------------------------
 */

static bool is_dimension(const gr_model *model, gr_str cube, gr_str name, gr_str grain) {
    const gr_cube *owner = gr_model_cube(model, cube);
    const gr_member *d = owner ? gr_map_get(&owner->members, name) : NULL;
    if (!d || d->kind != GR_MEMBER_DIMENSION) return false;
    return !grain.n || gr_member_granularity(gr_member_base(d), grain);
}

/* "orders.status", "orders.users.country", "orders.created_at.day". */
static bool names_dimension(const gr_model *model, gr_str text) {
    gr_str p[MOST_PARTS];
    size_t n = split_back(text, p), n_own = 0;
    if (n >= 2 && is_dimension(model, p[1], p[0], (gr_str){0})) n_own = 2;
    if (n >= 3 && is_dimension(model, p[2], p[1], p[0])) n_own = 3;
    for (size_t i = n_own; n_own && i < n; i++)
        if (!gr_model_cube(model, p[i])) return false;
    return n_own > 0;
}

static gr_str dimension_by_column(const gr_cube *cube, gr_str column) {
    for (size_t i = 0; i < cube->n_dimensions; i++) {
        const gr_member *d = cube->dimensions[i];
        if (!d->n_cases && !d->is_sub_query && is_column(d->sql, column)) return d->id;
    }
    return (gr_str){0};
}

/* Of the joined cubes; several are none, and a problem. */
static gr_str joined_dimension(matching *m, gr_str name, bool *ret_is_ambiguous) {
    gr_str found = {0};
    for (size_t i = 1; i < m->n_joined; i++) {
        const gr_member *d = gr_map_get(&m->joined[i]->members, name);
        if (!d || d->kind != GR_MEMBER_DIMENSION) continue;
        if (found.n) {
            if (m->problem.n) gr_buf_z(&m->problem, "; ");
            gr_buf_printf(&m->problem, "'" GR_FMT "' may be '" GR_FMT "' or '" GR_FMT "'", GR_ARG(shown(name)),
                          GR_ARG(found), GR_ARG(d->id));
            *ret_is_ambiguous = true;
            return (gr_str){0};
        }
        found = d->id;
    }
    return found;
}

static void miss_dimension(matching *m, gr_str name) {
    texts known = {0};
    for (size_t i = 0; i < m->cube->n_dimensions; i++) GR_PUSH(m->arena, &known, m->cube->dimensions[i]->name);
    for (size_t i = 0; i < m->n_joined; i++)
        for (size_t k = 0; k < m->joined[i]->n_dimensions; k++)
            GR_PUSH(m->arena, &known, m->joined[i]->dimensions[k]->id);
    for (size_t i = 0; i < m->cube->n_dimensions; i++) {
        gr_str column = column_of(m->cube->dimensions[i]->sql);
        if (column.n) GR_PUSH(m->arena, &known, column);
    }
    add_missing(m, "dimension", name, &known);
}

static gr_str match_dimension(matching *m, gr_str text) {
    bool is_ambiguous = false;
    if (names_dimension(m->model, text)) return text;
    gr_str name = local_name(m, text), own = of_cube(m, name);
    if (names_dimension(m->model, own)) return own;
    gr_str found = dimension_by_column(m->cube, name);
    if (!found.n) found = joined_dimension(m, name, &is_ambiguous);
    if (!found.n && !is_ambiguous) miss_dimension(m, name);
    return found;
}

/* ---- measures ------------------------------------------------------------------------------------------------------
 */

static const struct {
    gr_str prefix;
    gr_measure_type agg;
} aggregations[] = {
    {GR_STR_INIT("sum_"), GR_MEASURE_SUM},     {GR_STR_INIT("count_distinct_"), GR_MEASURE_COUNT_DISTINCT},
    {GR_STR_INIT("count_"), GR_MEASURE_COUNT}, {GR_STR_INIT("min_"), GR_MEASURE_MIN},
    {GR_STR_INIT("max_"), GR_MEASURE_MAX},     {GR_STR_INIT("avg_"), GR_MEASURE_AVG},
};

static bool is_plain(const gr_member *m, gr_measure_type agg) {
    return m->agg == agg && !m->is_calculated && !m->n_filters && !m->stage && m->window.kind == GR_WINDOW_NONE;
}

/* Is `more` the noun with this ending? */
static bool adds(gr_str more, gr_str noun, gr_str ending) {
    return more.n == noun.n + ending.n && gr_str_starts(more, noun) && gr_str_ends(more, ending);
}

/* "order", "orders"; "box", "boxes". */
static bool is_same_noun(gr_str a, gr_str b) {
    static const gr_str endings[] = {GR_STR_INIT(""), GR_STR_INIT("s"), GR_STR_INIT("es")};
    for (size_t i = 0; a.n && b.n && i < sizeof endings / sizeof *endings; i++)
        if (adds(a, b, endings[i]) || adds(b, a, endings[i])) return true;
    return false;
}

/* The name of the cube or of the node, or the last words of one: rows of "fact_orders" are orders. */
static bool names_rows(const matching *m, gr_str noun) {
    gr_str names[MOST_PARTS + 1];
    size_t n = split_back(gr_serve_bare_name(m->blob->source_node), names);
    names[n++] = m->cube->name;
    for (size_t i = 0; i < n; i++) {
        if (is_same_noun(noun, names[i])) return true;
        for (size_t at = gr_str_find(names[i], '_', 0); at < names[i].n; at = gr_str_find(names[i], '_', at + 1))
            if (is_same_noun(noun, gr_str_sub(names[i], at + 1, names[i].n - at - 1))) return true;
    }
    return false;
}

static const gr_member *measure_by_column(const matching *m, gr_measure_type agg, gr_str column) {
    bool is_rows = agg == GR_MEASURE_COUNT && names_rows(m, column);
    const gr_member *count = NULL;
    for (size_t i = 0; i < m->cube->n_measures; i++) {
        const gr_member *measure = m->cube->measures[i];
        if (!is_plain(measure, agg)) continue;
        if (is_column(measure->sql, column)) return measure;
        if (is_rows && !measure->sql && !count) count = measure;
    }
    return count;
}

static const gr_member *measure_by_aggregation(const matching *m, gr_str name) {
    for (size_t i = 0; i < sizeof aggregations / sizeof *aggregations; i++) {
        gr_str prefix = aggregations[i].prefix;
        if (!gr_str_starts(name, prefix) || name.n == prefix.n) continue;
        gr_str column = gr_str_sub(name, prefix.n, name.n - prefix.n);
        const gr_member *found = measure_by_column(m, aggregations[i].agg, column);
        if (found) return found;
    }
    return NULL;
}

/* "orders__count", "orders__price__sum": a measure that such a column is stored for. */
static const gr_member *measure_by_stored_name(const matching *m, gr_str name) {
    for (size_t i = 0; i < m->cube->n_measures; i++) {
        const gr_components *own = gr_plan_index_components(m->index, m->cube->measures[i]);
        for (size_t k = 0; k < own->n; k++) {
            const gr_component *c = &own->v[k];
            bool is_own = c->measure == m->cube->measures[i] || c->measure->is_synthetic;
            gr_str stored = gr_arena_printf(m->arena, GR_FMT GR_FMT, GR_ARG(c->measure->column), GR_ARG(c->suffix));
            if (is_own && gr_str_eq(stored, name)) return m->cube->measures[i];
        }
    }
    return NULL;
}

static void miss_measure(matching *m, gr_str name) {
    texts known = {0};
    for (size_t i = 0; i < m->cube->n_measures; i++) {
        GR_PUSH(m->arena, &known, m->cube->measures[i]->name);
        GR_PUSH(m->arena, &known, m->cube->measures[i]->id);
    }
    for (size_t i = 0; i < m->cube->n_measures; i++)
        for (size_t k = 0; k < sizeof aggregations / sizeof *aggregations; k++) {
            gr_str column = column_of(m->cube->measures[i]->sql);
            if (!column.n || !is_plain(m->cube->measures[i], aggregations[k].agg)) continue;
            GR_PUSH(m->arena, &known,
                    gr_arena_printf(m->arena, GR_FMT GR_FMT, GR_ARG(aggregations[k].prefix), GR_ARG(column)));
        }
    add_missing(m, "measure", name, &known);
}

static gr_str match_measure(matching *m, gr_str text) {
    const gr_member *found = NULL;
    if (!gr_model_member(m->model, text, &found, NULL) && found->kind == GR_MEMBER_MEASURE) return found->id;
    gr_str name = local_name(m, text);
    found = gr_map_get(&m->cube->members, name);
    if (found && found->kind != GR_MEMBER_MEASURE) found = NULL;
    if (!found) found = measure_by_aggregation(m, name);
    if (!found) found = measure_by_stored_name(m, name);
    if (!found) miss_measure(m, name);
    return found ? found->id : (gr_str){0};
}

/* ---- all of it -----------------------------------------------------------------------------------------------------
 */

static void match_all(matching *m, gr_entity_ask *ret) {
    const gr_import_blob *blob = m->blob;
    if (!match_source(m)) return;
    find_joined(m);
    if (!blob->n_measures) gr_buf_z(&m->problem, "it has no measures");
    gr_str *metrics = GR_NEW_N(m->arena, gr_str, blob->n_measures + 1);
    gr_str *dimensions = GR_NEW_N(m->arena, gr_str, blob->n_grain + 1);
    for (size_t i = 0; i < blob->n_measures; i++)
        metrics[i] = gr_arena_dup(m->arena, match_measure(m, blob->measures[i]));
    for (size_t i = 0; i < blob->n_grain; i++)
        dimensions[i] = gr_arena_dup(m->arena, match_dimension(m, blob->grain[i]));
    *ret = (gr_entity_ask){metrics, dimensions, blob->n_measures, blob->n_grain, NULL, {0}};
}

gr_import_match gr_serve_import_match(const gr_model *model, const gr_plan_index *index, const gr_import_blob *blob,
                                      gr_arena *arena) {
    matching m = {.model = model, .index = index, .blob = blob, .arena = arena};
    gr_import_match out = {0};
    gr_buf_init(&m.problem, MOST_PROBLEM_BYTES);
    match_all(&m, &out.ask);
    if (m.cube) out.node = gr_arena_dup(arena, m.cube->name);
    out.problem = gr_arena_dup(arena, gr_buf_str(&m.problem));
    if (m.problem.is_over && !out.problem.n) out.problem = GR_STR("it has names that are not in the model");
    gr_buf_done(&m.problem);
    return out;
}
