/* Files into sources: the cubes and views as written, their named items, and what they inherit.
 * Invariant: after gr_model_merge every source has its own and its inherited items, each name once per section, and no
 * source is its own ancestor. */
#include "model/loader.h"

enum { MOST_CUBES = 20000, MOST_ITEMS = 50000, MOST_ALL_ITEMS = 500000 };

bool gr_model_take_item(gr_loader *l, gr_loc loc) {
    if (l->n_items < MOST_ALL_ITEMS) {
        l->n_items++;
        return true;
    }
    if (l->n_items++ == MOST_ALL_ITEMS)
        gr_diags_error(l->diags, GR_ERR_LIMIT, loc,
                       "The model has more than %d members, inherited ones and members of views included",
                       MOST_ALL_ITEMS);
    return false;
}

/* What the lists of a cube are called, in paths and in texts. */
static const struct {
    gr_key key;
    const char *kind;
} sections[GR_SECTION__COUNT] = {
    [GR_SECTION_DIMENSIONS] = {GR_KEY_CUBE_DIMENSIONS, "dimension"},
    [GR_SECTION_MEASURES] = {GR_KEY_CUBE_MEASURES, "measure"},
    [GR_SECTION_SEGMENTS] = {GR_KEY_CUBE_SEGMENTS, "segment"},
    [GR_SECTION_HIERARCHIES] = {GR_KEY_CUBE_HIERARCHIES, "hierarchy"},
    [GR_SECTION_PREAGGS] = {GR_KEY_CUBE_PRE_AGGREGATIONS, "pre-aggregation"},
    [GR_SECTION_JOINS] = {GR_KEY_CUBE_JOINS, "join"},
};

/* ---- named items ------------------------------------------------------------------------------------------------ */

/* The scalar under `name` (or a view's `join_path`), which is checked in full when the item is read. */
static const gr_yaml *name_node(const gr_yaml *item, gr_str key) {
    const gr_yaml *node = gr_yaml_get(item, key);
    return node && node->kind == GR_YAML_SCALAR ? node : NULL;
}

static void report_duplicate(gr_loader *l, gr_section section, const gr_item *item, const gr_item *first) {
    gr_diag *d = gr_model_report(l, GR_ERR_MODEL_DUPLICATE, item->loc,
                                 "Member names must be unique within a cube. Found duplicate %s '" GR_FMT
                                 "' in cube '" GR_FMT "'.",
                                 sections[section].kind, GR_ARG(item->name), GR_ARG(l->at->name));
    gr_model_hint(l, d, "the first is at " GR_FMT ":%u:%u", GR_ARG(first->loc.file), first->loc.line, first->loc.col);
}

static bool read_item(gr_loader *l, const gr_yaml *node, const gr_place *place, gr_item *ret) {
    if (node->kind != GR_YAML_MAP) {
        gr_model_fault(l, GR_ERR_MODEL_INVALID, node->loc, place, (gr_str){0}, node, "must be of type object");
        return false;
    }
    const gr_yaml *name = name_node(node, GR_STR("name"));
    if (!name) {
        gr_model_fault(l, GR_ERR_MODEL_INVALID, node->loc, place, GR_STR("name"), NULL, "is required");
        return false;
    }
    *ret = (gr_item){.node = node, .name = gr_str_trim(name->text), .loc = name->loc, .index = place->index};
    return true;
}

static void read_section(gr_loader *l, gr_source *s, gr_section section) {
    const gr_yaml *list = gr_fields_get(&s->fields, sections[section].key);
    gr_items *items = &s->sections[section];
    gr_place up = {NULL, list ? gr_model_key_info(sections[section].key)->name : (gr_str){0}, -1};
    char camel[64];
    up.name = gr_model_camel(up.name, camel);
    gr_map seen;
    gr_map_init(&seen, l->scratch);
    for (size_t i = 0; list && i < list->n; i++) {
        if (i >= MOST_ITEMS) {
            gr_model_report(l, GR_ERR_LIMIT, list->items[i]->loc, "more than %d items in one list", MOST_ITEMS);
            return;
        }
        gr_item item;
        gr_place place = {&up, {0}, (int64_t)i};
        if (!read_item(l, list->items[i], &place, &item)) continue;
        const gr_item *first = gr_map_get(&seen, item.name);
        if (first) {
            report_duplicate(l, section, &item, first);
            continue;
        }
        gr_item *kept = GR_NEW(l->scratch, gr_item);
        *kept = item;
        gr_map_put(&seen, item.name, kept);
        GR_PUSH(l->arena, items, item);
    }
}

/* The cubes of a view have no names: their join paths serve. */
static void read_view_cubes(gr_loader *l, gr_source *s) {
    const gr_yaml *list = gr_fields_get(&s->fields, GR_KEY_VIEW_CUBES);
    for (size_t i = 0; list && i < list->n && i < MOST_ITEMS; i++) {
        const gr_yaml *node = list->items[i];
        const gr_yaml *path = name_node(node, GR_STR("join_path"));
        if (!path) path = name_node(node, GR_STR("joinPath"));
        gr_item item = {.node = node, .loc = path ? path->loc : node->loc, .index = (int64_t)i};
        if (path) item.name = gr_str_trim(path->text);
        GR_PUSH(l->arena, &s->sections[GR_SECTION_JOINS], item);
    }
}

/* ---- sources ---------------------------------------------------------------------------------------------------- */

static void report_taken(gr_loader *l, const gr_source *s, const gr_source *first) {
    gr_diag *d;
    if (s->is_view == first->is_view)
        d = gr_diags_error(l->diags, GR_ERR_MODEL_DUPLICATE, s->loc, "Found duplicate %s name '" GR_FMT "'.",
                           s->is_view ? "view" : "cube", GR_ARG(s->name));
    else
        d = gr_diags_error(l->diags, GR_ERR_MODEL_DUPLICATE, s->loc,
                           "A cube and a view share the name '" GR_FMT "'; names must be unique among both.",
                           GR_ARG(s->name));
    gr_model_hint(l, d, "the first is at " GR_FMT ":%u:%u", GR_ARG(first->loc.file), first->loc.line, first->loc.col);
}

static void collect_source(gr_loader *l, const gr_yaml *node, bool is_view, size_t index) {
    gr_source *s = GR_NEW(l->arena, gr_source);
    const gr_yaml *name = name_node(node, GR_STR("name"));
    *s = (gr_source){.node = node, .is_view = is_view, .loc = name ? name->loc : node->loc};
    if (name) s->name = gr_str_trim(name->text);
    gr_place list = {NULL, is_view ? GR_STR("views") : GR_STR("cubes"), -1}, item = {&list, {0}, (int64_t)index};
    if (!name) {
        /* Without a name there is nothing to hang the rest on. */
        if (node->kind != GR_YAML_MAP)
            gr_model_fault(l, GR_ERR_MODEL_INVALID, node->loc, &item, (gr_str){0}, node, "must be of type object");
        else
            gr_model_fault(l, GR_ERR_MODEL_INVALID, node->loc, &item, GR_STR("name"), NULL, "is required");
        return;
    }
    const gr_source *first = gr_map_get(&l->by_name, s->name);
    if (first) {
        report_taken(l, s, first);
        return;
    }
    gr_map_put(&l->by_name, s->name, s);
    GR_PUSH(l->arena, &l->sources, s);
    l->at = s;
    gr_model_fields_read(l, node, is_view ? GR_CONTEXT_VIEW : GR_CONTEXT_CUBE, NULL, &s->fields);
    if (is_view) read_view_cubes(l, s);
    for (int i = 0; !is_view && i < GR_SECTION__COUNT; i++) read_section(l, s, (gr_section)i);
    l->at = NULL;
}

static void check_groups(gr_loader *l, const gr_yaml *groups) {
    for (size_t i = 0; i < groups->n; i++) {
        gr_place list = {NULL, GR_STR("viewGroups"), -1}, place = {&list, {0}, (int64_t)i};
        gr_item item;
        read_item(l, groups->items[i], &place, &item);
    }
}

void gr_model_collect(gr_loader *l, const gr_yaml *root, gr_str file) {
    if (root->kind == GR_YAML_NULL) return;
    if (root->kind != GR_YAML_MAP) {
        gr_loc loc = {file, root->loc.line, root->loc.col};
        gr_diags_error(l->diags, GR_ERR_MODEL_INVALID, loc, "A model file is a map with the keys 'cubes' and 'views'.");
        return;
    }
    gr_fields f;
    gr_model_fields_read(l, root, GR_CONTEXT_FILE, NULL, &f);
    const gr_yaml *lists[] = {gr_fields_get(&f, GR_KEY_FILE_CUBES), gr_fields_get(&f, GR_KEY_FILE_VIEWS)};
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; lists[k] && i < lists[k]->n; i++) {
            if (l->sources.n >= MOST_CUBES) {
                gr_diags_error(l->diags, GR_ERR_LIMIT, lists[k]->items[i]->loc, "more than %d cubes and views",
                               MOST_CUBES);
                return;
            }
            collect_source(l, lists[k]->items[i], k == 1, i);
        }
    const gr_yaml *groups = gr_fields_get(&f, GR_KEY_FILE_VIEW_GROUPS);
    if (groups) check_groups(l, groups);
}

/* ---- extends ---------------------------------------------------------------------------------------------------- */

static gr_source *find_parent(gr_loader *l, gr_source *s) {
    gr_key key = s->is_view ? GR_KEY_VIEW_EXTENDS : GR_KEY_CUBE_EXTENDS;
    gr_str name = gr_fields_text(&s->fields, key);
    if (!name.n) return NULL;
    gr_loc loc = gr_fields_get(&s->fields, key)->loc;
    gr_source *parent = gr_map_get(&l->by_name, name);
    l->at = s;
    if (!parent) {
        gr_diag *d = gr_model_report(l, GR_ERR_MODEL_UNRESOLVED, loc, GR_FMT " is not defined", GR_ARG(name));
        gr_model_hint_nearest(l, d, name, &l->by_name);
    } else if (parent->is_view != s->is_view) {
        gr_model_report(l, GR_ERR_MODEL_INVALID, loc, "a %s cannot extend the %s '" GR_FMT "'",
                        s->is_view ? "view" : "cube", parent->is_view ? "view" : "cube", GR_ARG(name));
        parent = NULL;
    }
    l->at = NULL;
    return parent;
}

/* Keys that stay with the parent: a name, and the alias that stands for it, are unique. */
static bool is_own_key(gr_key key) {
    static const gr_key own[] = {GR_KEY_CUBE_NAME, GR_KEY_CUBE_EXTENDS, GR_KEY_CUBE_SQL_ALIAS, GR_KEY_VIEW_NAME,
                                 GR_KEY_VIEW_EXTENDS};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        if (own[i] == key) return true;
    return false;
}

static void inherit_fields(gr_source *s, const gr_source *parent) {
    gr_fields *mine = &s->fields;
    const gr_fields *theirs = &parent->fields;
    bool hides_sql =
        !s->is_view && (gr_fields_has(mine, GR_KEY_CUBE_SQL) || gr_fields_has(mine, GR_KEY_CUBE_SQL_TABLE));
    bool hides_public = gr_fields_has(mine, s->is_view ? GR_KEY_VIEW_PUBLIC : GR_KEY_CUBE_PUBLIC) ||
                        gr_fields_has(mine, s->is_view ? GR_KEY_VIEW_SHOWN : GR_KEY_CUBE_SHOWN);
    size_t n = gr_model_key_count(mine->context);
    for (size_t i = 0; i < n; i++) {
        gr_key key = (gr_key)((size_t)gr_model_key_first(mine->context) + i);
        bool is_public = key == GR_KEY_CUBE_PUBLIC || key == GR_KEY_CUBE_SHOWN || key == GR_KEY_VIEW_PUBLIC ||
                         key == GR_KEY_VIEW_SHOWN;
        if (is_own_key(key) || gr_fields_has(mine, key)) continue;
        if (hides_sql && (key == GR_KEY_CUBE_SQL || key == GR_KEY_CUBE_SQL_TABLE)) continue;
        if (hides_public && is_public) continue;
        mine->pairs[i] = theirs->pairs[i];
        mine->present |= theirs->present & ((uint64_t)1 << i);
    }
}

static void inherit_items(gr_loader *l, gr_source *s, gr_section section) {
    gr_items own = s->sections[section], all = {0};
    const gr_items *theirs = &s->parent->sections[section];
    if (theirs->n == 0) return;
    bool own_first = section == GR_SECTION_PREAGGS, is_list = s->is_view;
    gr_map mine, taken;
    gr_map_init(&mine, l->scratch);
    gr_map_init(&taken, l->scratch);
    for (size_t i = 0; i < own.n && !is_list; i++) gr_map_put(&mine, own.v[i].name, &own.v[i]);
    for (size_t i = 0; i < own.n && own_first; i++) GR_PUSH(l->arena, &all, own.v[i]);
    for (size_t i = 0; i < theirs->n; i++) {
        const gr_item *redeclared = gr_map_get(&mine, theirs->v[i].name);
        if (redeclared && own_first) continue;
        gr_item item = redeclared ? *redeclared : theirs->v[i];
        if (!gr_model_take_item(l, s->loc)) break;
        if (redeclared)
            gr_map_put(&taken, item.name, &own.v[0]);
        else
            item.is_inherited = true;
        GR_PUSH(l->arena, &all, item);
    }
    for (size_t i = 0; i < own.n && !own_first; i++)
        if (is_list || !gr_map_get(&taken, own.v[i].name)) GR_PUSH(l->arena, &all, own.v[i]);
    s->sections[section] = all;
}

static void report_circle(gr_loader *l, gr_source *s) {
    gr_key key = s->is_view ? GR_KEY_VIEW_EXTENDS : GR_KEY_CUBE_EXTENDS;
    l->at = s;
    gr_diag *d = gr_model_report(l, GR_ERR_MODEL_CYCLE, gr_fields_get(&s->fields, key)->loc,
                                 "'" GR_FMT "' extends itself, by way of '" GR_FMT "'", GR_ARG(s->name),
                                 GR_ARG(s->parent->name));
    gr_model_hint(l, d, "take 'extends' out of one of them");
    l->at = NULL;
    s->parent = NULL;
}

/* The same name in two sections: a measure and a dimension, a member and a pre-aggregation. */
static void check_sections(gr_loader *l, const gr_source *s) {
    gr_map names;
    gr_map_init(&names, l->scratch);
    l->at = s;
    for (int section = 0; section < GR_SECTION_JOINS; section++) {
        const gr_items *items = &s->sections[section];
        for (size_t i = 0; i < items->n; i++) {
            if (gr_map_put(&names, items->v[i].name, &items->v[i])) continue;
            const gr_item *first = gr_map_get(&names, items->v[i].name);
            const gr_item *at = &items->v[i];
            if (at->is_inherited && !first->is_inherited) at = first;
            l->is_inherited = at->is_inherited;
            gr_diag *d =
                gr_model_report(l, GR_ERR_MODEL_DUPLICATE, at->loc, GR_FMT " defined more than once", GR_ARG(at->name));
            const gr_item *other = at == first ? &items->v[i] : first;
            gr_model_hint(l, d, "also at " GR_FMT ":%u:%u", GR_ARG(other->loc.file), other->loc.line, other->loc.col);
            l->is_inherited = false;
        }
    }
    l->at = NULL;
}

/* Ancestors first, without recursion: a chain of thousands is no reason to fall over. */
static void merge(gr_loader *l, gr_source *start) {
    GR_VEC(gr_source *) chain = {0};
    for (gr_source *s = start, *child = start; s && s->state != GR_SOURCE_MERGED;) {
        if (s->state == GR_SOURCE_OPEN) {
            report_circle(l, child);
            break;
        }
        s->state = GR_SOURCE_OPEN;
        s->parent = find_parent(l, s);
        GR_PUSH(l->scratch, &chain, s);
        child = s;
        s = s->parent;
    }
    while (chain.n) {
        gr_source *s = chain.v[--chain.n];
        if (s->parent) {
            inherit_fields(s, s->parent);
            for (int i = 0; i < GR_SECTION__COUNT; i++) inherit_items(l, s, (gr_section)i);
        }
        s->state = GR_SOURCE_MERGED;
        GR_PUSH(l->arena, &l->order, s);
        if (!s->is_view) check_sections(l, s);
    }
}

void gr_model_merge(gr_loader *l) {
    for (size_t i = 0; i < l->sources.n; i++) merge(l, l->sources.v[i]);
}
