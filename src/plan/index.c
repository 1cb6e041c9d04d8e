/* The index of a model: for every pre-aggregation its join tree, grain and stored components, worked out once at load,
 * so that a query looks only at the rollups of its own cubes. Definitions of one identity share components (decisions
 * 16, 17). */
#include "plan/internal.h"

#include "data/digest.h"

#include <stdlib.h>

static gr_field field_of(const gr_member_ref *ref, gr_arena *arena) {
    gr_path path = ref->path.n ? ref->path : gr_tree_path_of_cube(ref->member->cube, arena);
    return (gr_field){ref->member->id, ref->member, ref->member, path};
}

static gr_field *fields_of(const gr_member_ref *refs, size_t n, gr_arena *arena) {
    gr_field *fields = GR_NEW_N(arena, gr_field, n + 1);
    for (size_t i = 0; i < n; i++) fields[i] = field_of(&refs[i], arena);
    return fields;
}

static bool expr_truncates(const gr_expr *expr);

static bool member_truncates(const gr_member *m) {
    if (expr_truncates(m->sql) || expr_truncates(m->latitude) || expr_truncates(m->longitude)) return true;
    for (size_t i = 0; i < m->n_cases; i++)
        if (expr_truncates(m->cases[i].when) || expr_truncates(m->cases[i].label_sql)) return true;
    for (size_t i = 0; i < m->n_filters; i++)
        if (expr_truncates(m->filters[i])) return true;
    return false;
}

static bool expr_truncates(const gr_expr *expr) {
    for (size_t i = 0; expr && i < expr->n_parts; i++) {
        const gr_part *part = &expr->parts[i];
        if (part->kind == GR_PART_MEMBER && (part->granularity || member_truncates(part->member))) return true;
    }
    return false;
}

static bool tree_truncates(const gr_tree *tree) {
    for (size_t i = 1; i < tree->n; i++)
        if (expr_truncates(tree->nodes[i].join->sql)) return true;
    return false;
}

static bool filter_truncates(const gr_filter *f) {
    for (size_t i = 0; i < f->n_children; i++)
        if (filter_truncates(f->children[i])) return true;
    return f->field.member && member_truncates(f->field.member);
}

static bool is_instant_grain(const gr_granularity *g) {
    return g && (g->grain == GR_GRAIN_SECOND || g->grain == GR_GRAIN_MINUTE || g->grain == GR_GRAIN_HOUR);
}

static bool is_taken(const gr_rollup *r, gr_str name) {
    for (size_t i = 0; i < r->n_columns; i++)
        if (gr_str_eq_nocase(r->columns[i].name, name)) return true;
    for (size_t i = 0; i < r->n_components; i++)
        if (gr_str_eq_nocase(r->components[i].name, name)) return true;
    return false;
}

/* A name that no column of the table has yet, in any case: a measure `a__sum` beside an average `a`, a dimension
 * `t_day` beside `t` by day. An engine that renames the second one by itself would make us read the first. */
static gr_str free_name(const gr_rollup *r, gr_str wanted, gr_arena *arena) {
    gr_str name = wanted;
    for (int n = 2; is_taken(r, name); n++) name = gr_arena_printf(arena, GR_FMT "__%d", GR_ARG(wanted), n);
    return name;
}

static gr_str column_name(const gr_member_ref *ref, gr_arena *arena) {
    if (!ref->granularity) return ref->member->column;
    return gr_arena_printf(arena, GR_FMT "_" GR_FMT, GR_ARG(ref->member->column), GR_ARG(ref->granularity->name));
}

/* Every cube that the column's value comes from. */
static void note_cubes(gr_rollup_column *c, const gr_member *member, gr_arena *arena) {
    gr_paths paths = {0};
    gr_tree_collect(member, gr_tree_path_of_cube(member->cube, arena), arena, &paths);
    c->cubes = GR_NEW_N(arena, const gr_cube *, paths.n + 1);
    for (size_t i = 0; i < paths.n; i++) c->cubes[c->n_cubes++] = paths.v[i].cubes[paths.v[i].n - 1];
}

static void add_columns(gr_rollup *r, const gr_member_ref *refs, size_t n, gr_arena *arena) {
    for (size_t i = 0; i < n; i++) {
        gr_rollup_column *c = &r->columns[r->n_columns];
        c->member = refs[i].member;
        c->granularity = refs[i].granularity;
        c->node = gr_tree_find(&r->tree, refs[i].member->cube);
        c->name = free_name(r, column_name(&refs[i], arena), arena);
        note_cubes(c, c->member, arena);
        c->is_instant = is_instant_grain(c->granularity);
        if (!c->granularity && c->member->kind == GR_MEMBER_DIMENSION) c->value = gr_component_value(c->member, arena);
        c->depends_on_zone = (c->granularity && !c->is_instant) || member_truncates(c->member);
        r->depends_on_zone |= c->depends_on_zone;
        r->n_columns++;
    }
}

/* A set of trees that reaches the cube. */
static const gr_tree *tree_with(const gr_rollup *r, const gr_cube *cube) {
    for (size_t i = 0; i < r->n_facts; i++)
        if (gr_tree_find(&r->trees[i], cube) != GR_TREE_NONE) return &r->trees[i];
    return &r->trees[0];
}

static void add_components(gr_rollup *r, const gr_components *components, gr_arena *arena) {
    for (size_t i = 0; i < r->n_facts; i++) r->depends_on_zone |= tree_truncates(&r->trees[i]);
    r->components = GR_NEW_N(arena, gr_rollup_component, components->n + 1);
    r->n_components = 0;
    for (size_t i = 0; i < components->n; i++) {
        const gr_component *c = &components->v[i];
        uint32_t node = gr_tree_find(tree_with(r, c->measure->cube), c->measure->cube);
        gr_str wanted = gr_arena_printf(arena, GR_FMT GR_FMT, GR_ARG(c->measure->column), GR_ARG(c->suffix));
        gr_str name = free_name(r, wanted, arena);
        r->components[r->n_components++] = (gr_rollup_component){.component = *c, .node = node, .name = name};
        r->depends_on_zone |= member_truncates(c->measure);
    }
}

static void refuse_build(gr_rollup *r, gr_status problem, gr_str text) {
    r->can_build = false;
    r->problem = problem;
    r->problem_text = text;
}

static gr_status check_sources(const gr_rollup *r) {
    for (size_t f = 0; f < r->n_facts; f++)
        for (size_t i = 0; i < r->trees[f].n; i++)
            if (!gr_str_eq(r->trees[f].nodes[i].cube->data_source, r->trees[0].nodes[0].cube->data_source))
                return GR_ERR_PLAN_MIXED_SOURCES;
    return GR_OK;
}

/* Facts and grain groups of what is declared, as those of a query for the same members. */
static gr_status compute(gr_plan_index *index, gr_rollup *r, const gr_components *components, gr_arena *arena,
                         gr_error *err) {
    gr_snapshot view = {.model = (gr_model *)(uintptr_t)index->model, .index = index};
    gr_ask ask = {.snapshot = &view, .query = r->definition, .components = *components};
    gr_groups facts = {0};
    r->groups = (gr_groups){0};
    GR_TRY(gr_group_facts(&ask, arena, &facts, err));
    r->n_facts = facts.n;
    r->facts = GR_NEW_N(arena, const gr_cube *, facts.n);
    r->trees = GR_NEW_N(arena, gr_tree, facts.n);
    for (size_t i = 0; i < facts.n; i++) {
        r->trees[i] = facts.v[i].tree;
        r->facts[i] = facts.v[i].tree.nodes[0].cube;
        GR_TRY(gr_group_split(&ask, &facts.v[i], arena, &r->groups, err));
    }
    r->tree = r->trees[0];
    /* Parts are built each in its own source. */
    if (gr_preagg_has_table(r->preagg) && check_sources(r))
        return gr_error_set(err, GR_ERR_PLAN_MIXED_SOURCES, "its cubes live in different data sources");
    return GR_OK;
}

static int str_order(const void *a, const void *b) { return gr_str_cmp(*(const gr_str *)a, *(const gr_str *)b); }

/* "orders.users.country", "orders.created_at.day": the member by its way from the root, with the grain. */
static gr_str qualified(const gr_rollup *r, const gr_rollup_column *c, gr_arena *arena) {
    gr_str way = {0};
    for (uint32_t node = c->node;; node = r->tree.nodes[node].parent) {
        way = gr_arena_printf(arena, GR_FMT "%s" GR_FMT, GR_ARG(r->tree.nodes[node].cube->name), way.n ? "." : "",
                              GR_ARG(way));
        if (node == 0) break;
    }
    gr_str text = gr_arena_printf(arena, GR_FMT "." GR_FMT, GR_ARG(way), GR_ARG(c->member->name));
    if (c->granularity) text = gr_arena_printf(arena, GR_FMT "." GR_FMT, GR_ARG(text), GR_ARG(c->granularity->name));
    return text;
}

/* JSON list of the sorted texts of columns [from, to); member names are identifiers, so nothing needs escaping. */
static gr_str sorted_list(const gr_rollup *r, size_t from, size_t to, gr_arena *arena) {
    gr_str *texts = GR_NEW_N(arena, gr_str, to - from + 1);
    for (size_t i = from; i < to; i++) texts[i - from] = qualified(r, &r->columns[i], arena);
    qsort(texts, to - from, sizeof *texts, str_order);
    gr_buf out;
    gr_buf_init(&out, 1 << 20);
    gr_buf_char(&out, '[');
    for (size_t i = 0; i < to - from; i++) gr_buf_printf(&out, "%s\"" GR_FMT "\"", i ? ", " : "", GR_ARG(texts[i]));
    gr_buf_char(&out, ']');
    gr_str list = gr_arena_dup(arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return list;
}

/* Decisions 16: the bare list when nothing else makes a different table; otherwise an object with the extras. */
gr_str gr_rollup_grain_hash(const gr_rollup *r, const gr_tz *tz, gr_arena *arena) {
    const gr_tz *zone = gr_rollup_zone(r, tz);
    bool has_zone = !gr_tz_is_utc(zone), is_rollup = r->preagg->type == GR_PREAGG_ROLLUP;
    bool is_embedded = r->is_external && (!r->place.n || r->preagg->external.n);
    if (!r->n_segments && !has_zone && is_embedded && !r->joins.n && !r->filters_text.n && is_rollup && !r->ranged &&
        !r->preagg->external.n)
        return gr_digest_md5_hex(r->grain_columns, arena);
    gr_buf out;
    gr_buf_init(&out, 1 << 20);
    gr_buf_printf(&out, "{\"grain\": " GR_FMT, GR_ARG(r->grain_columns));
    if (r->has_build_range) {
        gr_jw w;
        gr_jw_init(&w, &out);
        gr_buf_z(&out, ", \"build_range\": ");
        gr_jw_array(&w);
        gr_jw_str(&w, r->range_start);
        gr_jw_str(&w, r->range_end);
        gr_jw_array_end(&w);
    }
    if (r->preagg->external.n) {
        gr_jw w;
        gr_buf_z(&out, ", \"external\": ");
        gr_jw_init(&w, &out);
        gr_jw_str(&w, r->preagg->external);
    }
    if (r->filters_text.n) gr_buf_printf(&out, ", \"filters\": " GR_FMT, GR_ARG(r->filters_text));
    if (r->joins.n) gr_buf_printf(&out, ", \"joins\": [" GR_FMT "]", GR_ARG(r->joins));
    if (!is_rollup) gr_buf_printf(&out, ", \"kind\": \"" GR_FMT "\"", GR_ARG(r->preagg->id));
    if (r->partition != GR_GRAIN_NONE)
        gr_buf_printf(&out, ", \"partition_granularity\": \"" GR_FMT "\"", GR_ARG(gr_grain_name(r->partition)));
    if (r->n_segments) {
        gr_str segments = sorted_list(r, r->n_dimensions, r->n_dimensions + r->n_segments, arena);
        gr_buf_printf(&out, ", \"segments\": " GR_FMT, GR_ARG(segments));
    }
    if (!r->is_external)
        gr_buf_z(&out, ", \"store\": \"source\"");
    else if (r->place.n && !r->preagg->external.n)
        gr_buf_printf(&out, ", \"store\": \"" GR_FMT "\"", GR_ARG(r->place));
    if (has_zone) gr_buf_printf(&out, ", \"time_zone\": \"" GR_FMT "\"", GR_ARG(gr_tz_name(zone)));
    gr_buf_char(&out, '}');
    gr_str hash = gr_digest_md5_hex(gr_buf_str(&out), arena);
    gr_buf_done(&out);
    return hash;
}

static gr_str grain_list(const gr_rollup *r, gr_arena *arena) {
    gr_rollup without_segments = *r;
    gr_rollup_column *columns = GR_NEW_N(arena, gr_rollup_column, r->n_columns + 1);
    size_t n = 0;
    for (size_t i = 0; i < r->n_columns; i++)
        if (i < r->n_dimensions || i >= r->n_dimensions + r->n_segments) columns[n++] = r->columns[i];
    without_segments.columns = columns;
    return sorted_list(&without_segments, 0, n, arena);
}

static gr_query *definition_of(const gr_rollup *r, const gr_model *model, gr_arena *arena) {
    const gr_preagg *p = r->preagg;
    gr_query *q = GR_NEW(arena, gr_query);
    *q = (gr_query){.model = model,
                    .measures = fields_of(p->measures, p->n_measures, arena),
                    .n_measures = p->n_measures,
                    .dimensions = fields_of(p->dimensions, p->n_dimensions, arena),
                    .n_dimensions = p->n_dimensions,
                    .segments = fields_of(p->segments, p->n_segments, arena),
                    .n_segments = p->n_segments,
                    .n_time_dimensions = p->n_time_dimensions,
                    .row_filters = r->filters,
                    .n_row_filters = r->n_filters,
                    .tz = gr_tz_utc(),
                    .limit = -1};
    q->time_dimensions = GR_NEW_N(arena, gr_time_field, p->n_time_dimensions + 1);
    for (size_t i = 0; i < p->n_time_dimensions; i++) {
        q->time_dimensions[i].field = field_of(&p->time_dimensions[i], arena);
        q->time_dimensions[i].granularity = p->time_dimensions[i].granularity;
    }
    return q;
}

/* What is stored of a measure over a window is the measure without it. */
static void stored_components(gr_plan_index *index, const gr_preagg *p, gr_arena *arena, gr_components *out) {
    gr_components all = {0};
    for (size_t i = 0; i < p->n_measures; i++) gr_measure_components(index, p->measures[i].member, arena, &all);
    for (size_t i = 0; i < all.n; i++) {
        gr_component c = all.v[i];
        c.key = c.stored_key;
        c.window = NULL;
        if (c.agg != GR_AGG_STAGE) gr_components_add(out, &c, arena);
    }
}

/* The stored copy of a cube's own rows: no grain, no components. */
static void prepare_original(gr_rollup *r, gr_arena *arena) {
    r->n_facts = 1;
    r->facts = GR_NEW_N(arena, const gr_cube *, 1);
    r->trees = GR_NEW_N(arena, gr_tree, 1);
    r->facts[0] = r->preagg->cube;
    r->trees[0] = (gr_tree){GR_NEW(arena, gr_tree_node), 1};
    r->trees[0].nodes[0].cube = r->preagg->cube;
    r->tree = r->trees[0];
    r->grain_columns = GR_STR("[]");
    r->grain_hash = gr_rollup_grain_hash(r, gr_tz_utc(), arena);
}

static gr_str range_sql(const gr_yaml *bound) {
    const gr_yaml *sql = bound ? gr_yaml_get(bound, GR_STR("sql")) : NULL;
    return sql && sql->kind == GR_YAML_SCALAR ? gr_str_trim(sql->text) : (gr_str){0};
}

static bool read_filters(gr_plan_index *index, gr_rollup *r, gr_diags *diags, gr_arena *arena) {
    gr_error err = {0};
    gr_status status = gr_static_filters_read(index->model, r, arena, &err);
    for (size_t i = 0; i < r->n_filters; i++) r->depends_on_zone |= filter_truncates(r->filters[i]);
    if (!status) return true;
    refuse_build(r, status, gr_arena_printf(arena, "its filters: %s", err.message));
    if (diags) {
        gr_loc loc = r->preagg->filters ? r->preagg->filters->loc : r->preagg->loc;
        gr_diag *d =
            gr_diags_error(diags, GR_ERR_MODEL_INVALID, loc, GR_FMT " cube: (preAggregations." GR_FMT ".filters) %s",
                           GR_ARG(r->preagg->cube->name), GR_ARG(r->preagg->name), err.message);
        d->hint = err.hint[0] ? gr_arena_dup(arena, gr_str_from(err.hint)) : GR_STR("write them as filters of a query");
    }
    return false;
}

const gr_plan_remote *gr_plan_remote_of(gr_plan_defaults defaults, gr_str source) {
    for (size_t i = 0; i < defaults.n_remote; i++)
        if (gr_str_eq(defaults.remote[i].name, source)) return &defaults.remote[i];
    return NULL;
}

static gr_str engine_of(gr_plan_defaults defaults, gr_str source) {
    const gr_plan_remote *remote = gr_plan_remote_of(defaults, source);
    return remote ? remote->engine : (gr_str){0};
}

gr_str gr_plan_place_of(const gr_preagg *p, gr_plan_defaults defaults, bool *ret_is_external) {
    bool is_external = p->is_external < 0 ? p->store.n || defaults.is_external : p->is_external != 0;
    bool is_original = p->type == GR_PREAGG_ORIGINAL_SQL; /* where statements of the source read it */
    if (is_original && engine_of(defaults, p->cube->data_source).n) is_external = false;
    *ret_is_external = is_external;
    if (!is_external || p->external.n) return p->cube->data_source;
    gr_str store = p->store.n ? p->store : defaults.store;
    return is_original && engine_of(defaults, store).n ? (gr_str){0} : store;
}

static void prepare(gr_plan_index *index, const gr_preagg *p, gr_plan_defaults defaults, gr_diags *diags,
                    gr_arena *arena) {
    gr_rollup *r = &index->rollups[p->index];
    *r = (gr_rollup){.preagg = p, .entity = r, .can_build = true};
    r->place = gr_plan_place_of(p, defaults, &r->is_external);
    const gr_plan_remote *at = gr_plan_remote_of(defaults, r->place);
    gr_str from = engine_of(defaults, p->cube->data_source);
    r->is_remote = from.n > 0;
    r->is_elsewhere = !gr_str_eq(from, at ? at->engine : (gr_str){0});
    r->is_abroad = r->is_elsewhere && at;
    r->is_for_groups = at && at->is_for_groups;
    r->is_non_strict = p->is_non_strict < 0 ? defaults.is_non_strict : p->is_non_strict != 0;
    if (p->type == GR_PREAGG_ORIGINAL_SQL) {
        prepare_original(r, arena);
        return;
    }
    if (!read_filters(index, r, diags, arena)) return;
    if (!p->n_measures && !p->n_dimensions && !p->n_segments && !p->n_time_dimensions) {
        refuse_build(r, GR_ERR_PLAN_UNSUPPORTED, GR_STR("it has no members"));
        return;
    }
    r->definition = definition_of(r, index->model, arena);
    gr_components components = {0};
    stored_components(index, p, arena, &components);
    gr_error err = {0};
    gr_status status = compute(index, r, &components, arena, &err);
    if (status) {
        refuse_build(r, status, gr_arena_dup(arena, gr_str_from(err.message)));
        return;
    }
    r->columns = GR_NEW_N(arena, gr_rollup_column, p->n_dimensions + p->n_segments + p->n_time_dimensions + 1);
    add_columns(r, p->dimensions, p->n_dimensions, arena);
    add_columns(r, p->segments, p->n_segments, arena);
    add_columns(r, p->time_dimensions, p->n_time_dimensions, arena);
    r->n_dimensions = p->n_dimensions;
    r->n_segments = p->n_segments;
    r->n_times = p->n_time_dimensions;
    add_components(r, &components, arena);
    r->range_start = range_sql(p->build_range_start);
    r->range_end = range_sql(p->build_range_end);
    r->has_build_range = (r->range_start.n || r->range_end.n) && r->n_times;
    if (r->n_times) r->partition = p->partition_granularity;
    if (r->has_build_range || r->partition != GR_GRAIN_NONE) r->ranged = &r->columns[r->n_columns - r->n_times];
    r->grain_columns = grain_list(r, arena);
    r->grain_hash = gr_rollup_grain_hash(r, gr_tz_utc(), arena);
}

/* One identity, one table: the components of all its declarations are stored together, under the first one. False when
 * their joins do not go together: another way to a cube, or other facts. */
static bool share_identity(gr_plan_index *index, gr_rollup *first, gr_rollup *other, gr_arena *arena) {
    if (!first->definition || !other->definition || first->n_facts != 1 || other->n_facts != 1) return false;
    gr_tree tree;
    if (!gr_tree_union(&first->tree, &other->tree, arena, &tree)) return false;
    gr_components all = {0};
    for (size_t i = 0; i < first->n_components; i++) gr_components_add(&all, &first->components[i].component, arena);
    for (size_t i = 0; i < other->n_components; i++) gr_components_add(&all, &other->components[i].component, arena);
    gr_rollup wide = *first;
    gr_query *q = GR_NEW(arena, gr_query);
    *q = *first->definition;
    q->measures = GR_NEW_N(arena, gr_field, q->n_measures + other->definition->n_measures + 1);
    q->n_measures = 0;
    for (size_t i = 0; i < first->definition->n_measures; i++)
        q->measures[q->n_measures++] = first->definition->measures[i];
    for (size_t i = 0; i < other->definition->n_measures; i++)
        q->measures[q->n_measures++] = other->definition->measures[i];
    wide.definition = q;
    if (compute(index, &wide, &all, arena, NULL) || wide.n_facts != 1 || wide.facts[0] != first->facts[0]) return false;
    *first = wide;
    for (size_t i = 0; i < first->n_columns; i++) /* the tree has grown, maybe in another order */
        first->columns[i].node = gr_tree_find(&first->tree, first->columns[i].member->cube);
    first->n_components = 0;
    add_components(first, &all, arena);
    other->entity = first;
    other->depends_on_zone = first->depends_on_zone |= other->depends_on_zone;
    return true;
}

/* An identity of its own: the joins are what makes a different table. */
static void set_apart(gr_rollup *r, gr_arena *arena) {
    gr_buf joins;
    gr_buf_init(&joins, 1 << 20);
    for (size_t i = 1; i < r->tree.n; i++) {
        const gr_tree_node *node = &r->tree.nodes[i];
        gr_buf_printf(&joins, "%s\"" GR_FMT "." GR_FMT "\"", i > 1 ? ", " : "",
                      GR_ARG(r->tree.nodes[node->parent].cube->name), GR_ARG(node->cube->name));
    }
    r->joins = gr_arena_dup(arena, gr_buf_str(&joins));
    gr_buf_done(&joins);
    r->grain_hash = gr_rollup_grain_hash(r, gr_tz_utc(), arena);
}

/* It is the first of its identity, or joins the one that is; false when neither can be. */
static bool take_identity(gr_plan_index *index, gr_map *by_identity, gr_rollup *r, gr_arena *arena) {
    gr_str key = gr_arena_printf(arena, GR_FMT " " GR_FMT, GR_ARG(r->tree.nodes[0].cube->name), GR_ARG(r->grain_hash));
    gr_rollup *first = gr_map_get(by_identity, key);
    return first ? share_identity(index, first, r, arena) : gr_map_put(by_identity, key, r);
}

static void share_identities(gr_plan_index *index, gr_arena *arena) {
    gr_map by_identity;
    gr_map_init(&by_identity, arena);
    for (size_t i = 0; i < index->model->n_preaggs; i++) {
        gr_rollup *r = &index->rollups[i];
        if (!r->can_build || !gr_preagg_has_table(r->preagg)) continue;
        if (take_identity(index, &by_identity, r, arena)) continue;
        set_apart(r, arena);
        if (take_identity(index, &by_identity, r, arena)) continue;
        r->can_build = false;
        r->problem = GR_ERR_PLAN_UNSUPPORTED;
        r->problem_text = GR_STR("an earlier pre-aggregation of the same grain and joins multiplies its rows");
    }
    for (size_t i = 0; i < index->model->n_preaggs; i++) {
        gr_rollup *r = &index->rollups[i];
        if (r->entity == r) continue;
        r->components = r->entity->components;
        r->n_components = r->entity->n_components;
        r->columns = r->entity->columns; /* same members and names, in the entity's order */
        r->n_columns = r->entity->n_columns;
        r->n_dimensions = r->entity->n_dimensions;
        r->n_segments = r->entity->n_segments;
        r->n_times = r->entity->n_times;
        r->tree = r->entity->tree;
        r->trees = r->entity->trees;
        r->facts = r->entity->facts;
        r->n_facts = r->entity->n_facts;
        r->ranged = r->entity->ranged;
        r->has_build_range = r->entity->has_build_range;
        r->partition = r->entity->partition;
        r->groups = r->entity->groups;
        r->depends_on_zone = r->entity->depends_on_zone;
    }
}

static void list_by_fact(gr_plan_index *index, gr_arena *arena) {
    index->by_fact = GR_NEW_N(arena, gr_rollup_list, index->model->n_cubes + 1);
    for (size_t i = 0; i < index->model->n_preaggs; i++) {
        const gr_rollup *r = &index->rollups[i];
        if (r->preagg->type == GR_PREAGG_ORIGINAL_SQL || !r->can_build) continue;
        for (size_t f = 0; f < r->n_facts; f++) GR_PUSH(arena, &index->by_fact[r->facts[f]->index], r);
    }
}

gr_plan_index *gr_plan_index_new(const gr_model *model, gr_plan_defaults defaults, gr_diags *diags, gr_arena *arena) {
    gr_plan_index *index = GR_NEW(arena, gr_plan_index);
    index->model = model;
    index->is_cheapest = defaults.is_cheapest;
    gr_component_index(index, defaults, arena);
    index->rollups = GR_NEW_N(arena, gr_rollup, model->n_preaggs + 1);
    for (size_t i = 0; i < model->n_preaggs; i++) prepare(index, model->preaggs[i], defaults, diags, arena);
    share_identities(index, arena);
    for (size_t i = 0; i < model->n_preaggs; i++) {
        gr_rollup *r = &index->rollups[i];
        if (r->preagg->type == GR_PREAGG_ROLLUP_JOIN && r->can_build) gr_rollup_join_prepare(index, r, arena);
        if (r->preagg->type == GR_PREAGG_ROLLUP_LAMBDA && r->can_build) gr_rollup_lambda_prepare(index, r, arena);
    }
    list_by_fact(index, arena);
    return index;
}

size_t gr_rollup_dependencies(const gr_plan_index *index, const gr_rollup *r, gr_arena *arena, const gr_rollup ***ret) {
    GR_VEC(const gr_rollup *) list = {0};
    for (size_t i = 0; i < r->n_links; i++) {
        if (i == 0) GR_PUSH(arena, &list, r->links[i].from);
        GR_PUSH(arena, &list, r->links[i].to);
    }
    for (size_t i = 0; i < r->n_parts; i++) GR_PUSH(arena, &list, r->parts[i]);
    for (size_t f = 0; r->preagg->uses_original_sql && f < r->n_facts; f++)
        for (size_t i = 0; i < r->trees[f].n; i++) {
            const gr_cube *cube = r->trees[f].nodes[i].cube;
            for (size_t k = 0; k < cube->n_preaggs; k++) {
                if (cube->preaggs[k]->type != GR_PREAGG_ORIGINAL_SQL) continue;
                GR_PUSH(arena, &list, &index->rollups[cube->preaggs[k]->index]);
                break;
            }
        }
    *ret = list.v;
    return list.n;
}

const gr_rollup *gr_plan_index_rollup(const gr_plan_index *index, const gr_preagg *preagg) {
    return &index->rollups[preagg->index];
}

const gr_tz *gr_rollup_zone(const gr_rollup *rollup, const gr_tz *tz) {
    return rollup->depends_on_zone && !gr_tz_is_utc(tz) ? tz : gr_tz_utc();
}

const gr_rollup_state *gr_snapshot_state(const gr_snapshot *s, const gr_preagg *preagg, const gr_tz *zone) {
    uint32_t i = gr_plan_index_rollup(s->index, preagg)->entity->preagg->index;
    for (size_t k = 0; s->states && k < s->n_states[i]; k++)
        if (s->states[i][k].zone == zone) return &s->states[i][k];
    return NULL;
}

const gr_rollup_state *gr_snapshot_pinned(const gr_snapshot *s, const gr_preagg *preagg, const gr_tz *zone,
                                          gr_str version) {
    const gr_rollup_state *current = gr_snapshot_state(s, preagg, zone);
    if (current && (gr_str_eq(current->version, version) || gr_str_eq(current->current_version, version)))
        return current;
    uint32_t i = gr_plan_index_rollup(s->index, preagg)->entity->preagg->index;
    for (size_t k = 0; s->old_states && k < s->n_old_states[i]; k++)
        if (s->old_states[i][k].zone == zone && gr_str_eq(s->old_states[i][k].version, version))
            return &s->old_states[i][k];
    return NULL;
}
