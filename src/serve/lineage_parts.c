/* What the model and the catalog put into the graph of lineage. Pure.
 *
 * A member comes from the columns of its own table that its expressions read, from the members in their holes, and from
 * other tables that they name; from its table as such when that is nothing (count). Synthetic measures are no nodes:
 * what they read, the measure reads that they are a part of. */
#include "serve/lineage.h"

#include "data/json.h"
#include "expr/columns.h"

typedef GR_VEC(size_t) ends;

/* ---- tables and columns --------------------------------------------------------------------------------------------
 */

/* "orders", "sql of orders"; those of other sources than the default carry its name. */
static gr_str table_name(const gr_cube *cube, gr_arena *arena) {
    gr_str text = cube->sql_table ? gr_str_trim(cube->sql_table->source)
                                  : gr_arena_printf(arena, "sql of " GR_FMT, GR_ARG(cube->name));
    if (gr_str_eq(cube->data_source, GR_STR("default"))) return text;
    return gr_arena_printf(arena, GR_FMT ":" GR_FMT, GR_ARG(cube->data_source), GR_ARG(text));
}

size_t gr_lineage_draft_put_table(gr_lineage_draft *d, const gr_cube *cube) {
    gr_str name = table_name(cube, d->arena);
    return gr_lineage_draft_put(d, GR_LINEAGE_TABLE, name, name, cube->data_source);
}

static size_t put_column(gr_lineage_draft *d, const gr_cube *cube, gr_str column) {
    gr_str name = gr_arena_printf(d->arena, GR_FMT "." GR_FMT, GR_ARG(table_name(cube, d->arena)), GR_ARG(column));
    size_t at = gr_lineage_draft_put(d, GR_LINEAGE_COLUMN, name, name, (gr_str){0});
    gr_lineage_draft_link(d, gr_lineage_draft_put_table(d, cube), at);
    return at;
}

/* ---- members -------------------------------------------------------------------------------------------------------
 */

static gr_str member_kind(const gr_member *m) {
    static const gr_str names[] = {[GR_MEMBER_DIMENSION] = GR_STR_INIT("dimension"),
                                   [GR_MEMBER_MEASURE] = GR_STR_INIT("measure"),
                                   [GR_MEMBER_SEGMENT] = GR_STR_INIT("segment")};
    return names[m->kind];
}

static size_t put_member(gr_lineage_draft *d, const gr_member *m) {
    return gr_lineage_draft_put(d, GR_LINEAGE_MEMBER, m->id, m->id, member_kind(m));
}

/* Of something that is made of expressions: where it stands, and how much it was found to come from. */
typedef struct reader {
    gr_lineage_draft *draft;
    size_t at, n_found;
} reader;

static void found(reader *r, size_t from) {
    gr_lineage_draft_link(r->draft, from, r->at);
    r->n_found++;
}

static void read_member(reader *r, const gr_member *m);

static void read_expr(reader *r, const gr_expr *expr, const gr_cube *owner) {
    gr_str *columns;
    size_t n;
    if (!expr) return;
    gr_expr_columns(expr, r->draft->arena, &columns, &n);
    for (size_t i = 0; i < n; i++) found(r, put_column(r->draft, owner, columns[i]));
    for (size_t i = 0; i < expr->n_parts; i++) {
        const gr_part *part = &expr->parts[i];
        if (part->kind == GR_PART_MEMBER && part->member->is_synthetic)
            read_member(r, part->member);
        else if (part->kind == GR_PART_MEMBER)
            found(r, put_member(r->draft, part->member));
        else if (part->kind == GR_PART_CUBE_SQL || (part->kind == GR_PART_TABLE && part->cube != owner))
            found(r, gr_lineage_draft_put_table(r->draft, part->cube));
    }
}

static void read_stage(reader *r, const gr_stage *stage, const gr_cube *owner) {
    for (size_t i = 0; i < stage->n_order_by; i++) read_expr(r, stage->order_by[i].sql, owner);
    for (size_t i = 0; i < stage->n_shifts; i++)
        if (stage->shifts[i].time) found(r, put_member(r->draft, stage->shifts[i].time));
}

static void read_member(reader *r, const gr_member *m) {
    read_expr(r, m->sql, m->cube);
    read_expr(r, m->latitude, m->cube);
    read_expr(r, m->longitude, m->cube);
    for (size_t i = 0; i < m->n_cases; i++) {
        read_expr(r, m->cases[i].when, m->cube);
        read_expr(r, m->cases[i].label_sql, m->cube);
    }
    for (size_t i = 0; i < m->n_filters; i++) read_expr(r, m->filters[i], m->cube);
    if (m->stage) read_stage(r, m->stage, m->cube);
}

static void note_components(gr_lineage_draft *d, const gr_plan_index *index, const gr_member *m, size_t at) {
    const gr_components *own = gr_plan_index_components(index, m);
    for (size_t i = 0; i < own->n; i++) {
        /* A calculation over others is made of them, and not the other way round. */
        if (own->v[i].measure != m && !own->v[i].measure->is_synthetic) continue;
        ends *measures = gr_map_get(&d->by_component, own->v[i].stored_key);
        if (!measures) {
            measures = GR_NEW(d->arena, ends);
            gr_map_put(&d->by_component, gr_arena_dup(d->arena, own->v[i].stored_key), measures);
        }
        GR_PUSH(d->arena, measures, at);
    }
}

static void add_member(gr_lineage_draft *d, const gr_plan_index *index, const gr_member *m) {
    reader r = {.draft = d, .at = put_member(d, m)};
    if (m->alias_of) {
        found(&r, put_member(d, m->alias_of));
        return;
    }
    read_member(&r, m);
    if (!r.n_found) found(&r, gr_lineage_draft_put_table(d, m->cube));
    if (m->kind == GR_MEMBER_MEASURE) note_components(d, index, m, r.at);
}

void gr_lineage_draft_add_model(gr_lineage_draft *d, const gr_snapshot *snapshot) {
    const gr_model *model = snapshot->model;
    for (size_t i = 0; i < model->n_cubes; i++) {
        const gr_cube *cube = model->cubes[i];
        for (size_t k = 0; k < cube->n_dimensions; k++) add_member(d, snapshot->index, cube->dimensions[k]);
        for (size_t k = 0; k < cube->n_measures; k++) add_member(d, snapshot->index, cube->measures[k]);
        for (size_t k = 0; k < cube->n_segments; k++) add_member(d, snapshot->index, cube->segments[k]);
        const gr_expr *from = cube->sql ? cube->sql : cube->sql_table;
        reader r = {.draft = d, .at = cube->is_view ? SIZE_MAX : gr_lineage_draft_put_table(d, cube)};
        for (size_t k = 0; from && k < from->n_parts; k++)
            if (from->parts[k].kind == GR_PART_CUBE_SQL) found(&r, gr_lineage_draft_put_table(d, from->parts[k].cube));
    }
}

/* ---- entities ------------------------------------------------------------------------------------------------------
 */

static gr_str number_text(int64_t n, gr_arena *arena) { return gr_arena_printf(arena, "%lld", (long long)n); }

static size_t put_entity(gr_lineage_draft *d, const gr_entity_view *view) {
    gr_str id = number_text(view->row.id, d->arena);
    gr_str detail = gr_arena_printf(d->arena, GR_FMT ", " GR_FMT, GR_ARG(gr_preagg_status_name(view->row.status)),
                                    GR_ARG(view->row.version));
    return gr_lineage_draft_put(d, GR_LINEAGE_PREAGG, id, view->name.n ? view->name : id, detail);
}

static gr_str text_of(const json_t *object, const char *key) {
    const json_t *text = json_object_get(object, key);
    return json_is_string(text) ? gr_json_str(text) : (gr_str){0};
}

/* The measures that a stored column stands for: those of the model in service by what is stored, else the one that was
 * written down when it was declared. */
static void link_measures(gr_lineage_draft *d, const gr_model *model, const gr_component_decl *c, const json_t *details,
                          const gr_rollup *rollup, size_t at) {
    const ends *measures = NULL;
    const gr_member *m;
    for (size_t i = 0; rollup && i < rollup->n_components && !measures; i++)
        if (gr_str_eq(rollup->components[i].name, c->name))
            measures = gr_map_get(&d->by_component, rollup->components[i].component.stored_key);
    for (size_t i = 0; measures && i < measures->n; i++) gr_lineage_draft_link(d, measures->v[i], at);
    if (!measures && !gr_model_member(model, text_of(details, "measure"), &m, NULL))
        gr_lineage_draft_link(d, put_member(d, m), at);
}

static void add_components(gr_lineage_draft *d, const gr_model *model, const gr_entity_view *view,
                           const gr_rollup *rollup, size_t entity) {
    for (size_t i = 0; i < view->row.decl.n_components; i++) {
        const gr_component_decl *c = &view->row.decl.components[i];
        json_t *details = NULL;
        if (c->details.n && gr_json_parse(c->details, 4 << 20, d->arena, &details, NULL)) details = NULL;
        gr_str name = gr_arena_printf(d->arena, "%lld." GR_FMT, (long long)view->row.id, GR_ARG(c->name));
        size_t at = gr_lineage_draft_put(d, GR_LINEAGE_COMPONENT, name, c->name, text_of(details, "aggregation"));
        link_measures(d, model, c, details, rollup, at);
        gr_lineage_draft_link(d, at, entity);
    }
}

static void link_filter(gr_lineage_draft *d, const gr_filter *f, size_t entity) {
    if (f->kind == GR_FILTER_LEAF) gr_lineage_draft_link(d, put_member(d, gr_member_base(f->field.member)), entity);
    for (size_t i = 0; i < f->n_children; i++) link_filter(d, f->children[i], entity);
}

/* Its grain, its filters, and what its joins compare. */
static void link_rollup(gr_lineage_draft *d, const gr_rollup *rollup, size_t entity) {
    reader joins = {.draft = d, .at = entity};
    for (size_t i = 0; i < rollup->n_columns; i++)
        gr_lineage_draft_link(d, put_member(d, gr_member_base(rollup->columns[i].member)), entity);
    for (size_t i = 0; i < rollup->n_filters; i++) link_filter(d, rollup->filters[i], entity);
    for (size_t f = 0; f < rollup->n_facts; f++)
        for (size_t i = 1; i < rollup->trees[f].n; i++) {
            const gr_join *join = rollup->trees[f].nodes[i].join;
            read_expr(&joins, join->sql, join->from);
        }
}

/* "orders.users.country", "orders.created_at.day": the member at the end, with or without a grain behind it. */
static const gr_member *member_of_path(const gr_model *model, gr_str path) {
    const gr_member *found_member = NULL;
    size_t starts[3] = {0}; /* of the last three parts, the last of all in [2] */
    for (size_t i = 0; i < path.n; i++)
        if (path.p[i] == '.') {
            starts[0] = starts[1];
            starts[1] = starts[2];
            starts[2] = i + 1;
        }
    if (!starts[2]) return NULL;
    gr_str own = gr_str_sub(path, starts[1], path.n - starts[1]);
    gr_str before = gr_str_sub(path, starts[0], starts[2] - 1 - starts[0]);
    if (!gr_model_member(model, own, &found_member, NULL)) return gr_member_base(found_member);
    if (!gr_model_member(model, before, &found_member, NULL)) return gr_member_base(found_member);
    return NULL;
}

static void link_declared_grain(gr_lineage_draft *d, const gr_model *model, gr_str columns, size_t entity) {
    json_t *list;
    if (!columns.n || gr_json_parse(columns, 4 << 20, d->arena, &list, NULL)) return;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *text = json_array_get(list, i);
        const gr_member *m = json_is_string(text) ? member_of_path(model, gr_json_str(text)) : NULL;
        if (m) gr_lineage_draft_link(d, put_member(d, m), entity);
    }
}

void gr_lineage_draft_add_entity(gr_lineage_draft *d, const gr_model *model, const gr_entity_view *view,
                                 const gr_rollup *rollup) {
    size_t at = put_entity(d, view), n_before = d->edges.n;
    add_components(d, model, view, rollup, at);
    if (rollup)
        link_rollup(d, rollup, at);
    else
        link_declared_grain(d, model, view->row.decl.grain_columns, at);
    const gr_cube *root = gr_model_cube(model, view->row.decl.node);
    if (d->edges.n == n_before && root && !root->is_view)
        gr_lineage_draft_link(d, gr_lineage_draft_put_table(d, root), at);
    for (size_t i = 0; i < view->n_metrics; i++) {
        gr_str name = view->metrics[i];
        size_t metric = gr_lineage_draft_put(d, GR_LINEAGE_METRIC, name, name, GR_STR("served"));
        gr_lineage_draft_link(d, at, metric);
    }
    for (size_t i = 0; i < view->row.n_cubes; i++) /* cubes of the files are no nodes: no link then */
        gr_lineage_draft_link(d, at, gr_lineage_draft_find(d, GR_LINEAGE_CUBE, view->row.cubes[i]));
}

/* ---- cubes by API --------------------------------------------------------------------------------------------------
 */

static void link_names(gr_lineage_draft *d, const gr_model *model, const json_t *names, size_t cube) {
    const gr_member *m;
    for (size_t i = 0; i < json_array_size(names); i++) {
        const json_t *text = json_array_get(names, i);
        if (!json_is_string(text)) continue;
        const gr_member *end = member_of_path(model, gr_json_str(text));
        if (!gr_model_member(model, gr_json_str(text), &m, NULL)) end = m;
        if (end) gr_lineage_draft_link(d, put_member(d, end), cube);
    }
}

void gr_lineage_draft_add_cube(gr_lineage_draft *d, const gr_model *model, const gr_node_row *row) {
    json_t *definition = NULL;
    gr_str detail = row->decl.status.n ? row->decl.status : GR_STR("valid");
    detail = gr_arena_printf(d->arena, GR_FMT ", " GR_FMT, GR_ARG(detail), GR_ARG(row->version));
    size_t at = gr_lineage_draft_put(d, GR_LINEAGE_CUBE, row->decl.name, row->decl.name, detail);
    if (!row->decl.definition.n || gr_json_parse(row->decl.definition, 4 << 20, d->arena, &definition, NULL)) return;
    link_names(d, model, json_object_get(definition, "metrics"), at);
    link_names(d, model, json_object_get(definition, "dimensions"), at);
}
