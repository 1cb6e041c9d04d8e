/* Sources into cubes: the cube's own keys, its members, its hierarchies. Views get their frame here and their members
 * in view.c. Invariant: afterwards every cube has its maps and arrays, whatever was wrong with the text. */
#include "model/loader.h"

/* ---- members ---------------------------------------------------------------------------------------------------- */

void gr_model_set_titles(gr_loader *l, gr_member *member, gr_str title) {
    member->short_title = title.n ? title : gr_model_titleize(member->name, l->arena);
    member->title =
        gr_arena_printf(l->arena, GR_FMT " " GR_FMT, GR_ARG(member->cube->title), GR_ARG(member->short_title));
}

void gr_model_read_format(gr_draft *draft, const gr_yaml *format) {
    if (!format) return;
    if (format->kind == GR_YAML_MAP)
        draft->member.format_node = format;
    else if (format->kind == GR_YAML_SCALAR)
        draft->member.format = format->text;
}

void gr_model_read_currency(gr_loader *l, gr_draft *draft, const gr_fields *f, gr_key key, bool is_number) {
    gr_str code = gr_fields_text(f, key);
    if (!code.n) return;
    bool is_code = code.n == 3;
    for (size_t i = 0; i < code.n; i++) is_code = is_code && ((code.p[i] | 0x20) >= 'a' && (code.p[i] | 0x20) <= 'z');
    if (!is_number)
        gr_model_not_allowed(l, f, key);
    else if (!is_code)
        gr_model_bad_value(l, f, key, "must be an ISO 4217 code of three letters");
    draft->member.currency = code;
}

/* Keys that stand for `public`, in the order in which they are believed. */
static bool read_public(const gr_fields *f, const gr_key *keys, size_t n, bool otherwise, bool *ret_is_set) {
    for (size_t i = 0; i < n; i++) {
        if (!gr_fields_get(f, keys[i])) continue;
        *ret_is_set = true;
        return gr_fields_flag(f, keys[i], otherwise);
    }
    return otherwise;
}

gr_draft *gr_model_draft_new(gr_loader *l, gr_cube *cube, gr_member_kind kind, const gr_item *item,
                             const gr_fields *f) {
    static const struct {
        gr_key title, description, meta, public[3];
    } keys[] = {
        [GR_MEMBER_DIMENSION] = {GR_KEY_DIMENSION_TITLE,
                                 GR_KEY_DIMENSION_DESCRIPTION,
                                 GR_KEY_DIMENSION_META,
                                 {GR_KEY_DIMENSION_PUBLIC, GR_KEY_DIMENSION_SHOWN, GR_KEY_DIMENSION_SHOWN}},
        [GR_MEMBER_MEASURE] = {GR_KEY_MEASURE_TITLE,
                               GR_KEY_MEASURE_DESCRIPTION,
                               GR_KEY_MEASURE_META,
                               {GR_KEY_MEASURE_PUBLIC, GR_KEY_MEASURE_SHOWN, GR_KEY_MEASURE_VISIBLE}},
        [GR_MEMBER_SEGMENT] = {GR_KEY_SEGMENT_TITLE,
                               GR_KEY_SEGMENT_DESCRIPTION,
                               GR_KEY_SEGMENT_META,
                               {GR_KEY_SEGMENT_PUBLIC, GR_KEY_SEGMENT_SHOWN, GR_KEY_SEGMENT_SHOWN}},
    };
    gr_draft *d = GR_NEW(l->arena, gr_draft);
    gr_member *m = &d->member;
    d->source = l->at;
    d->is_inherited = item->is_inherited;
    m->kind = kind;
    m->name = item->name;
    m->cube = cube;
    m->loc = item->loc;
    m->id = gr_arena_printf(l->arena, GR_FMT "." GR_FMT, GR_ARG(cube->name), GR_ARG(item->name));
    gr_str column = gr_model_underscore(item->name, l->arena);
    m->column = gr_arena_printf(l->arena, GR_FMT "__" GR_FMT, GR_ARG(cube->alias), GR_ARG(column));
    m->path = (gr_path){GR_NEW(l->arena, const gr_cube *), 1};
    m->path.cubes[0] = cube;
    m->description = gr_fields_text(f, keys[kind].description);
    m->meta = gr_fields_get(f, keys[kind].meta);
    bool is_hidden = kind == GR_MEMBER_DIMENSION && gr_fields_flag(f, GR_KEY_DIMENSION_PRIMARY_KEY, false);
    m->is_public = read_public(f, keys[kind].public, 3, !is_hidden, &d->is_public_set);
    gr_model_set_titles(l, m, gr_fields_text(f, keys[kind].title));
    return d;
}

void gr_model_add_binding(gr_loader *l, gr_expr *expr, gr_role role, gr_draft *draft, const gr_join *join) {
    if (!expr) return;
    gr_binding b = {expr, role, l->at, draft, join, l->is_inherited};
    GR_PUSH(l->arena, &l->bindings, b);
    if (draft) GR_PUSH(l->arena, &draft->exprs, expr);
}

void gr_model_read_segment(gr_loader *l, gr_draft *draft, const gr_fields *f) {
    if (!gr_fields_has(f, GR_KEY_SEGMENT_SQL)) gr_model_required(l, f, GR_KEY_SEGMENT_SQL);
    gr_expr *sql = gr_model_fields_sql(l, f, GR_KEY_SEGMENT_SQL);
    draft->member.sql = sql;
    gr_model_add_binding(l, sql, GR_ROLE_SEGMENT, draft, NULL);
}

typedef struct member_section {
    gr_section section;
    gr_member_kind kind;
    gr_context context;
    gr_str path;
    void (*read)(gr_loader *l, gr_draft *draft, const gr_fields *f);
} member_section;

static const member_section member_sections[] = {
    {GR_SECTION_DIMENSIONS, GR_MEMBER_DIMENSION, GR_CONTEXT_DIMENSION, GR_STR_INIT("dimensions"),
     gr_model_read_dimension},
    {GR_SECTION_MEASURES, GR_MEMBER_MEASURE, GR_CONTEXT_MEASURE, GR_STR_INIT("measures"), gr_model_read_measure},
    {GR_SECTION_SEGMENTS, GR_MEMBER_SEGMENT, GR_CONTEXT_SEGMENT, GR_STR_INIT("segments"), gr_model_read_segment},
};

/* The members of one section into `out`; the cube's map keeps the first of each name. */
static size_t read_members(gr_loader *l, gr_cube *cube, const member_section *ms, gr_member ***ret) {
    const gr_items *items = &l->at->sections[ms->section];
    gr_member **out = GR_NEW_N(l->arena, gr_member *, items->n + 1);
    size_t n = 0;
    for (size_t i = 0; i < items->n; i++) {
        const gr_item *item = &items->v[i];
        gr_place list = {NULL, ms->path, -1}, place = {&list, item->name, -1};
        gr_fields f;
        l->is_inherited = item->is_inherited;
        gr_model_fields_read(l, item->node, ms->context, &place, &f);
        gr_draft *draft = gr_model_draft_new(l, cube, ms->kind, item, &f);
        ms->read(l, draft, &f);
        if (gr_map_put(&cube->members, item->name, &draft->member)) out[n++] = &draft->member;
    }
    l->is_inherited = false;
    *ret = out;
    return n;
}

static void find_primary_keys(gr_loader *l, gr_cube *cube) {
    for (size_t i = 0; i < cube->n_dimensions; i++) cube->n_primary_keys += cube->dimensions[i]->is_primary_key;
    cube->primary_keys = GR_NEW_N(l->arena, gr_member *, cube->n_primary_keys + 1);
    for (size_t i = 0, n = 0; i < cube->n_dimensions; i++)
        if (cube->dimensions[i]->is_primary_key) cube->primary_keys[n++] = cube->dimensions[i];
}

/* Levels are resolved later (bind.c); here they are only counted. */
static void read_hierarchies(gr_loader *l, gr_cube *cube) {
    const gr_items *items = &l->at->sections[GR_SECTION_HIERARCHIES];
    cube->hierarchies = GR_NEW_N(l->arena, gr_hierarchy, items->n + 1);
    for (size_t i = 0; i < items->n; i++) {
        const gr_item *item = &items->v[i];
        gr_place list = {NULL, GR_STR("hierarchies"), -1}, place = {&list, item->name, -1};
        gr_fields f;
        l->is_inherited = item->is_inherited;
        gr_model_fields_read(l, item->node, GR_CONTEXT_HIERARCHY, &place, &f);
        if (!gr_fields_has(&f, GR_KEY_HIERARCHY_LEVELS)) gr_model_required(l, &f, GR_KEY_HIERARCHY_LEVELS);
        gr_str title = gr_fields_text(&f, GR_KEY_HIERARCHY_TITLE);
        cube->hierarchies[cube->n_hierarchies++] =
            (gr_hierarchy){.name = item->name,
                           .title = title.n ? title : gr_model_titleize(item->name, l->arena),
                           .is_public = gr_fields_flag(&f, GR_KEY_HIERARCHY_PUBLIC, true)};
    }
    l->is_inherited = false;
}

/* ---- cubes ------------------------------------------------------------------------------------------------------ */

static void read_sql(gr_loader *l, gr_cube *cube, const gr_fields *f) {
    static const char *const rule = "You must use either sql or sqlTable within a model, but not both";
    bool has_sql = gr_fields_has(f, GR_KEY_CUBE_SQL), has_table = gr_fields_has(f, GR_KEY_CUBE_SQL_TABLE);
    if (has_sql == has_table) {
        const gr_yaml_pair *second = has_sql ? gr_fields_pair(f, GR_KEY_CUBE_SQL_TABLE) : NULL;
        gr_diag *d = gr_model_report(l, GR_ERR_MODEL_INVALID, second ? second->key_loc : l->at->loc, "%s", rule);
        if (!has_sql) gr_model_hint(l, d, "give the table: sql_table: " GR_FMT, GR_ARG(cube->name));
    }
    gr_expr *sql = gr_model_fields_sql(l, f, GR_KEY_CUBE_SQL),
            *table = gr_model_fields_sql(l, f, GR_KEY_CUBE_SQL_TABLE);
    cube->sql = sql;
    cube->sql_table = table;
    gr_model_add_binding(l, sql, GR_ROLE_CUBE_SQL, NULL, NULL);
    gr_model_add_binding(l, table, GR_ROLE_CUBE_SQL, NULL, NULL);
}

static void read_refresh_key(gr_loader *l, gr_cube *cube, const gr_fields *f) {
    const gr_source *parent = l->at->parent;
    gr_place place = {NULL, GR_STR("refreshKey"), -1};
    cube->refresh_key = gr_fields_get(f, GR_KEY_CUBE_REFRESH_KEY);
    if (!cube->refresh_key) return;
    /* Of an inherited one, the parent has said so. */
    l->is_inherited = parent && gr_fields_get(&parent->fields, GR_KEY_CUBE_REFRESH_KEY) == cube->refresh_key;
    cube->refresh = gr_model_read_refresh_key(l, cube->refresh_key, &place, true);
    l->is_inherited = false;
}

static void fill_cube(gr_loader *l, gr_cube *cube, const gr_fields *f) {
    gr_str source = gr_fields_text(f, GR_KEY_CUBE_DATA_SOURCE);
    cube->data_source = source.n ? source : GR_STR("default");
    read_sql(l, cube, f);
    read_refresh_key(l, cube, f);
    static const gr_str selections[] = {GR_STR_INIT("first"), GR_STR_INIT("cheapest")};
    cube->is_cheapest =
        gr_model_fields_word(l, f, GR_KEY_CUBE_SELECTION, selections, 2, "must be one of [first, cheapest]") == 1;
    cube->n_dimensions = read_members(l, cube, &member_sections[0], &cube->dimensions);
    cube->n_measures = read_members(l, cube, &member_sections[1], &cube->measures);
    cube->n_segments = read_members(l, cube, &member_sections[2], &cube->segments);
    find_primary_keys(l, cube);
    read_hierarchies(l, cube);
}

static void make_cube(gr_loader *l, gr_source *s, size_t index) {
    gr_cube *cube = GR_NEW(l->arena, gr_cube);
    const gr_fields *f = &s->fields;
    bool is_view = s->is_view, is_set;
    const gr_key public_keys[] = {is_view ? GR_KEY_VIEW_PUBLIC : GR_KEY_CUBE_PUBLIC,
                                  is_view ? GR_KEY_VIEW_SHOWN : GR_KEY_CUBE_SHOWN};
    cube->name = s->name;
    cube->index = (uint32_t)index;
    cube->is_view = is_view;
    cube->loc = s->loc;
    gr_str alias = is_view ? (gr_str){0} : gr_fields_text(f, GR_KEY_CUBE_SQL_ALIAS);
    cube->alias = gr_model_underscore(alias.n ? alias : s->name, l->arena);
    gr_str title = gr_fields_text(f, is_view ? GR_KEY_VIEW_TITLE : GR_KEY_CUBE_TITLE);
    cube->title = title.n ? title : gr_model_titleize(s->name, l->arena);
    cube->description = gr_fields_text(f, is_view ? GR_KEY_VIEW_DESCRIPTION : GR_KEY_CUBE_DESCRIPTION);
    cube->meta = gr_fields_get(f, is_view ? GR_KEY_VIEW_META : GR_KEY_CUBE_META);
    cube->is_public = read_public(f, public_keys, 2, true, &is_set);
    gr_map_init(&cube->members, l->arena);
    s->cube = cube;
    l->model->cubes[index] = cube;
    gr_map_put(&l->model->by_name, cube->name, cube);
}

void gr_model_make_cubes(gr_loader *l) {
    l->model->n_cubes = l->sources.n;
    l->model->cubes = GR_NEW_N(l->arena, gr_cube *, l->sources.n + 1);
    for (size_t i = 0; i < l->sources.n; i++) make_cube(l, l->sources.v[i], i);
    for (size_t i = 0; i < l->order.n; i++) {
        gr_source *s = l->order.v[i];
        if (s->is_view) continue;
        l->at = s;
        fill_cube(l, s->cube, &s->fields);
    }
    l->at = NULL;
}

static void number(gr_loader *l, gr_member **members, size_t n) {
    for (size_t i = 0; i < n; i++) {
        members[i]->index = (uint32_t)l->model->n_members;
        l->members[l->model->n_members++] = members[i];
    }
}

void gr_model_number(gr_loader *l) {
    const gr_model *model = l->model;
    size_t n = 0;
    for (size_t i = 0; i < model->n_cubes; i++) {
        const gr_cube *c = model->cubes[i];
        n += c->n_dimensions + c->n_measures + c->n_segments;
    }
    l->members = GR_NEW_N(l->scratch, gr_member *, n + 1);
    for (size_t i = 0; i < model->n_cubes; i++) {
        gr_cube *c = model->cubes[i];
        number(l, c->dimensions, c->n_dimensions);
        number(l, c->measures, c->n_measures);
        number(l, c->segments, c->n_segments);
    }
}
