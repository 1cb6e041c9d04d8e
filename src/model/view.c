/* Views: names for members of cubes, each reached by a join path. Invariant: a view member's alias_of is a member of a
 * cube, never of another view, and its path ends at that cube over declared joins. */
#include "model/loader.h"

enum { MOST_VIEW_CUBES = 1000 };

typedef GR_VEC(gr_member *) member_list;

typedef struct view_maker {
    gr_loader *l;
    gr_cube *view;
    member_list kinds[3]; /* by gr_member_kind */
    GR_VEC(gr_path) paths;
} view_maker;

/* One item of `cubes`. */
typedef struct view_item {
    const gr_fields *f;
    gr_path path;
    const gr_cube *cube;
    gr_str prefix; /* with its underscore, or empty */
    gr_map excludes;
} view_item;

/* What an item of `includes` says about its member; all but `name` may be empty. */
typedef struct inclusion {
    gr_str name, alias, title, description;
    const gr_yaml *format, *meta;
    gr_loc loc;
    bool is_explicit;
} inclusion;

/* ---- members ---------------------------------------------------------------------------------------------------- */

static gr_member *member_new(view_maker *v, const view_item *item, const inclusion *inc, const gr_member *base) {
    gr_loader *l = v->l;
    gr_draft *draft = GR_NEW(l->arena, gr_draft);
    gr_member *m = &draft->member;
    draft->source = l->at;
    draft->is_inherited = l->is_inherited;
    *m = *base;
    m->alias_of = base;
    m->cube = v->view;
    m->loc = inc->loc;
    gr_str own = inc->alias.n ? inc->alias : base->name;
    m->name = item->prefix.n ? gr_arena_printf(l->arena, GR_FMT GR_FMT, GR_ARG(item->prefix), GR_ARG(own)) : own;
    m->id = gr_arena_printf(l->arena, GR_FMT "." GR_FMT, GR_ARG(v->view->name), GR_ARG(m->name));
    gr_str column = gr_model_underscore(m->name, l->arena);
    m->column = gr_arena_printf(l->arena, GR_FMT "__" GR_FMT, GR_ARG(v->view->alias), GR_ARG(column));
    m->path = item->path;
    if (inc->description.n) m->description = inc->description;
    if (inc->meta) m->meta = inc->meta;
    if (inc->format) {
        m->format = (gr_str){0};
        m->format_node = NULL;
        gr_model_read_format(draft, inc->format);
    }
    /* A title of the cube's member stays; a title made from the name follows the name in the view. */
    gr_str made = gr_model_titleize(base->name, l->arena);
    bool is_made = gr_str_eq(made, base->short_title);
    gr_model_set_titles(l, m, inc->title.n ? inc->title : is_made ? (gr_str){0} : base->short_title);
    /* A primary key that nobody hid by name is shown when the view asks for it by name. */
    if (inc->is_explicit && base->is_primary_key && !gr_draft_of(base)->is_public_set) m->is_public = true;
    /* Everything below belongs to alias_of; only what readers of /meta compare is kept at hand. */
    m->is_primary_key = base->is_primary_key;
    m->drill_members = NULL;
    m->n_drill_members = 0;
    return m;
}

static void add_member(view_maker *v, const view_item *item, const inclusion *inc, const gr_member *base) {
    if (!gr_model_take_item(v->l, inc->loc)) return;
    gr_member *m = member_new(v, item, inc, base);
    if (!gr_map_put(&v->view->members, m->name, m)) {
        gr_diag *d = gr_model_report(v->l, GR_ERR_MODEL_DUPLICATE, inc->loc,
                                     "Included member '" GR_FMT "' conflicts with existing member of '" GR_FMT
                                     "'. Please consider excluding this member or assigning it an alias.",
                                     GR_ARG(m->name), GR_ARG(v->view->name));
        const gr_member *first = gr_map_get(&v->view->members, m->name);
        gr_model_hint(v->l, d, "one is " GR_FMT ", the other " GR_FMT, GR_ARG(first->alias_of->id), GR_ARG(base->id));
        return;
    }
    GR_PUSH(v->l->arena, &v->kinds[base->kind], m);
}

static void include_all(view_maker *v, const view_item *item, gr_loc loc) {
    const gr_cube *c = item->cube;
    gr_member *const *lists[] = {c->dimensions, c->measures, c->segments};
    const size_t counts[] = {c->n_dimensions, c->n_measures, c->n_segments};
    for (size_t k = 0; k < 3; k++)
        for (size_t i = 0; i < counts[k]; i++) {
            if (gr_map_get(&item->excludes, lists[k][i]->name)) continue;
            inclusion inc = {.name = lists[k][i]->name, .loc = loc};
            add_member(v, item, &inc, lists[k][i]);
        }
}

static bool read_inclusion(gr_loader *l, const gr_yaml *node, const gr_place *place, inclusion *ret) {
    *ret = (inclusion){.loc = node->loc, .is_explicit = true};
    if (node->kind == GR_YAML_SCALAR) {
        ret->name = gr_str_trim(node->text);
        return true;
    }
    gr_fields f;
    gr_model_fields_read(l, node, GR_CONTEXT_VIEW_MEMBER, place, &f);
    if (node->kind != GR_YAML_MAP) return false;
    if (!gr_fields_has(&f, GR_KEY_VIEW_MEMBER_NAME)) {
        gr_model_required(l, &f, GR_KEY_VIEW_MEMBER_NAME);
        return false;
    }
    if (!gr_fields_get(&f, GR_KEY_VIEW_MEMBER_NAME)) return false;
    ret->name = gr_fields_text(&f, GR_KEY_VIEW_MEMBER_NAME);
    ret->loc = gr_fields_get(&f, GR_KEY_VIEW_MEMBER_NAME)->loc;
    ret->alias = gr_fields_text(&f, GR_KEY_VIEW_MEMBER_ALIAS);
    ret->title = gr_fields_text(&f, GR_KEY_VIEW_MEMBER_TITLE);
    ret->description = gr_fields_text(&f, GR_KEY_VIEW_MEMBER_DESCRIPTION);
    ret->format = gr_fields_get(&f, GR_KEY_VIEW_MEMBER_FORMAT);
    ret->meta = gr_fields_get(&f, GR_KEY_VIEW_MEMBER_META);
    return true;
}

static void report_unknown_member(view_maker *v, const view_item *item, gr_str name, gr_loc loc, const char *what) {
    gr_diag *d = gr_model_report(v->l, GR_ERR_MODEL_UNRESOLVED, loc,
                                 "Member '" GR_FMT "' is %s '" GR_FMT "' but not defined in any cube", GR_ARG(name),
                                 what, GR_ARG(v->view->name));
    gr_model_hint_nearest(v->l, d, name, &item->cube->members);
}

static void include_listed(view_maker *v, const view_item *item, const gr_yaml *list) {
    for (size_t i = 0; i < list->n; i++) {
        gr_place up = {item->f->place, GR_STR("includes"), -1}, at = {&up, {0}, (int64_t)i};
        inclusion inc;
        if (!read_inclusion(v->l, list->items[i], &at, &inc)) continue;
        const gr_member *base = gr_map_get(&item->cube->members, inc.name);
        if (!base)
            report_unknown_member(v, item, inc.name, inc.loc, "included in");
        else if (!gr_map_get(&item->excludes, inc.name))
            add_member(v, item, &inc, base);
    }
}

/* ---- items ------------------------------------------------------------------------------------------------------ */

static bool read_path(gr_loader *l, const gr_fields *f, gr_path *ret) {
    const gr_yaml *node = gr_fields_get(f, GR_KEY_VIEW_CUBE_JOIN_PATH);
    if (!gr_fields_has(f, GR_KEY_VIEW_CUBE_JOIN_PATH)) gr_model_required(l, f, GR_KEY_VIEW_CUBE_JOIN_PATH);
    if (!node) return false;
    gr_place at = {f->place, GR_STR("joinPath"), -1};
    gr_expr *ref = gr_model_ref_node(l, node, &at);
    if (!ref) return false;
    const gr_part *part = &ref->parts[0];
    const gr_cube **cubes = GR_NEW_N(l->scratch, const gr_cube *, part->n_names);
    for (size_t i = 0; i < part->n_names; i++) {
        cubes[i] = gr_map_get(&l->model->by_name, part->names[i]);
        if (cubes[i] && !cubes[i]->is_view) continue;
        gr_diag *d;
        if (cubes[i]) {
            gr_model_report(l, GR_ERR_MODEL_INVALID, node->loc,
                            "'" GR_FMT "' is a view, and a join path leads over cubes", GR_ARG(part->names[i]));
        } else {
            d = gr_model_report(l, GR_ERR_MODEL_UNRESOLVED, node->loc, GR_FMT " is not defined",
                                GR_ARG(part->names[i]));
            gr_model_hint_nearest(l, d, part->names[i], &l->model->by_name);
        }
        return false;
    }
    size_t broken;
    if (gr_model_expand_path(l, cubes, part->n_names, ret, &broken)) return true;
    gr_diag *d =
        gr_model_report(l, GR_ERR_MODEL_JOIN, node->loc, "Can't find join path to join '" GR_FMT "', '" GR_FMT "'",
                        GR_ARG(cubes[broken - 1]->name), GR_ARG(cubes[broken]->name));
    gr_model_hint(l, d, "declare a join from '" GR_FMT "' to '" GR_FMT "'", GR_ARG(cubes[broken - 1]->name),
                  GR_ARG(cubes[broken]->name));
    return false;
}

/* From one root, a cube is reached by one path: else the same member would mean two things. Back to a cube that was
 * passed is a second path to it. */
static void check_path(view_maker *v, gr_path path, gr_loc loc) {
    for (size_t a = 1; a < path.n; a++)
        for (size_t b = 0; b < a; b++) {
            if (path.cubes[a] != path.cubes[b]) continue;
            gr_diag *d = gr_model_report(v->l, GR_ERR_MODEL_INVALID, loc,
                                         "Views can't define multiple join paths to the same cube. '" GR_FMT
                                         "' stands twice in the path.",
                                         GR_ARG(path.cubes[a]->name));
            gr_model_hint(v->l, d, "make a cube that extends '" GR_FMT "', and lead the path there",
                          GR_ARG(path.cubes[a]->name));
            return;
        }
    for (size_t i = 0; i < v->paths.n; i++) {
        gr_path other = v->paths.v[i];
        if (other.cubes[0] != path.cubes[0]) continue;
        for (size_t a = 1; a < path.n; a++)
            for (size_t b = 1; b < other.n; b++) {
                if (path.cubes[a] != other.cubes[b] || path.cubes[a - 1] == other.cubes[b - 1]) continue;
                gr_diag *d = gr_model_report(v->l, GR_ERR_MODEL_INVALID, loc,
                                             "Views can't define multiple join paths to the same cube. '" GR_FMT
                                             "' is reached from '" GR_FMT "' and from '" GR_FMT "'.",
                                             GR_ARG(path.cubes[a]->name), GR_ARG(other.cubes[b - 1]->name),
                                             GR_ARG(path.cubes[a - 1]->name));
                gr_model_hint(v->l, d, "make a cube that extends '" GR_FMT "', and use it in one of the paths",
                              GR_ARG(path.cubes[a]->name));
                return;
            }
    }
}

static void remember_path(view_maker *v, gr_path path) {
    for (size_t i = 0; i < v->paths.n; i++) {
        gr_path p = v->paths.v[i];
        if (p.n == path.n && memcmp(p.cubes, path.cubes, p.n * sizeof *p.cubes) == 0) return;
    }
    GR_PUSH(v->l->arena, &v->paths, path);
}

static void read_excludes(view_maker *v, view_item *item) {
    gr_map_init(&item->excludes, v->l->scratch);
    const gr_yaml *list = gr_fields_get(item->f, GR_KEY_VIEW_CUBE_EXCLUDES);
    for (size_t i = 0; list && i < list->n; i++) {
        const gr_yaml *node = list->items[i];
        gr_place up = {item->f->place, GR_STR("excludes"), -1}, at = {&up, {0}, (int64_t)i};
        if (node->kind != GR_YAML_SCALAR) {
            gr_model_fault(v->l, GR_ERR_MODEL_INVALID, node->loc, &at, (gr_str){0}, node, "must be a string");
            continue;
        }
        gr_member *m = gr_map_get(&item->cube->members, gr_str_trim(node->text));
        if (m)
            gr_map_put(&item->excludes, m->name, m);
        else
            report_unknown_member(v, item, gr_str_trim(node->text), node->loc, "excluded from");
    }
}

static void read_prefix(view_maker *v, view_item *item) {
    const gr_fields *f = item->f;
    bool has_prefix = gr_fields_flag(f, GR_KEY_VIEW_CUBE_PREFIX, false);
    if (has_prefix && gr_fields_flag(f, GR_KEY_VIEW_CUBE_SPLIT, false))
        gr_model_report(v->l, GR_ERR_MODEL_INVALID, gr_fields_pair(f, GR_KEY_VIEW_CUBE_SPLIT)->key_loc,
                        "Using split together with prefix is not supported");
    if (!has_prefix) return;
    gr_str alias = gr_fields_text(f, GR_KEY_VIEW_CUBE_ALIAS);
    item->prefix = gr_arena_printf(v->l->arena, GR_FMT "_", GR_ARG(alias.n ? alias : item->cube->name));
}

static void read_view_item(view_maker *v, const gr_item *it, const gr_fields *f) {
    gr_loader *l = v->l;
    view_item item = {.f = f};
    const gr_yaml *includes = gr_fields_get(f, GR_KEY_VIEW_CUBE_INCLUDES);
    if (it->node->kind == GR_YAML_MAP && !gr_fields_has(f, GR_KEY_VIEW_CUBE_INCLUDES))
        gr_model_required(l, f, GR_KEY_VIEW_CUBE_INCLUDES);
    if (it->node->kind != GR_YAML_MAP || !read_path(l, f, &item.path)) return;
    item.cube = item.path.cubes[item.path.n - 1];
    check_path(v, item.path, it->loc);
    remember_path(v, item.path);
    read_prefix(v, &item);
    read_excludes(v, &item);
    if (!includes) return;
    bool is_all = includes->kind == GR_YAML_SCALAR && gr_str_eq_z(gr_str_trim(includes->text), "*");
    if (is_all)
        include_all(v, &item, it->loc);
    else if (includes->kind == GR_YAML_LIST)
        include_listed(v, &item, includes);
    else
        gr_model_bad_value(l, f, GR_KEY_VIEW_CUBE_INCLUDES, "must be \"*\" or an array");
}

/* ---- views ------------------------------------------------------------------------------------------------------ */

static void check_folders(gr_loader *l, const gr_fields *f) {
    const gr_yaml *list = gr_fields_get(f, GR_KEY_VIEW_FOLDERS);
    for (size_t i = 0; list && i < list->n; i++) {
        gr_place up = {NULL, GR_STR("folders"), -1}, at = {&up, {0}, (int64_t)i};
        gr_fields folder;
        gr_model_fields_read(l, list->items[i], GR_CONTEXT_FOLDER, &at, &folder);
        if (list->items[i]->kind == GR_YAML_MAP && !gr_fields_has(&folder, GR_KEY_FOLDER_NAME))
            gr_model_required(l, &folder, GR_KEY_FOLDER_NAME);
    }
}

/* Roots first, as the queries over a view want them; otherwise in order of appearance. */
static void set_view_cubes(view_maker *v) {
    gr_cube *view = v->view;
    size_t n = v->paths.n;
    view->view_cubes = GR_NEW_N(v->l->arena, const gr_cube *, n + 1);
    view->view_paths = GR_NEW_N(v->l->arena, gr_path, n + 1);
    for (int pass = 0; pass < 2; pass++)
        for (size_t i = 0; i < n; i++) {
            gr_path p = v->paths.v[i];
            if ((p.n == 1) != (pass == 0)) continue;
            view->view_cubes[view->n_view_cubes] = p.cubes[p.n - 1];
            view->view_paths[view->n_view_cubes++] = p;
        }
}

static void make_view(gr_loader *l, gr_source *s) {
    view_maker v = {.l = l, .view = s->cube};
    const gr_items *items = &s->sections[GR_SECTION_JOINS];
    l->at = s;
    s->cube->data_source = GR_STR("default");
    check_folders(l, &s->fields);
    if (!gr_fields_has(&s->fields, GR_KEY_VIEW_CUBES)) gr_model_required(l, &s->fields, GR_KEY_VIEW_CUBES);
    if (items->n > MOST_VIEW_CUBES)
        gr_model_report(l, GR_ERR_LIMIT, s->loc, "more than %d cubes in one view", MOST_VIEW_CUBES);
    for (size_t i = 0; i < items->n && i < MOST_VIEW_CUBES; i++) {
        const gr_item *item = &items->v[i];
        gr_place list = {NULL, GR_STR("cubes"), -1}, at = {&list, {0}, item->index};
        gr_fields f;
        l->is_inherited = item->is_inherited;
        gr_model_fields_read(l, item->node, GR_CONTEXT_VIEW_CUBE, &at, &f);
        read_view_item(&v, item, &f);
    }
    l->is_inherited = false;
    gr_cube *view = v.view;
    view->dimensions = v.kinds[GR_MEMBER_DIMENSION].v;
    view->n_dimensions = v.kinds[GR_MEMBER_DIMENSION].n;
    view->measures = v.kinds[GR_MEMBER_MEASURE].v;
    view->n_measures = v.kinds[GR_MEMBER_MEASURE].n;
    view->segments = v.kinds[GR_MEMBER_SEGMENT].v;
    view->n_segments = v.kinds[GR_MEMBER_SEGMENT].n;
    set_view_cubes(&v);
    if (view->n_view_cubes) view->data_source = view->view_cubes[0]->data_source;
}

void gr_model_make_views(gr_loader *l) {
    for (size_t i = 0; i < l->order.n; i++)
        if (l->order.v[i]->is_view) make_view(l, l->order.v[i]);
    l->at = NULL;
}
