/* Static filters of a rollup: only rows that pass are stored. The form and the members are checked here; operators and
 * values belong to queries, and the rollup's filters are read as theirs. What is kept is the list in their form, with
 * members by id: {member: users.country, operator: equals, values: [DE]}.
 * Invariant: every leaf that is kept has a dimension and an operator, every group one list of items. */
#include "model/loader.h"

enum { MOST_FILTERS = 1000 };

typedef struct copier {
    gr_loader *l;
    size_t n; /* leaves and groups so far */
} copier;

static gr_yaml *copy_filter(copier *c, const gr_yaml *node, const gr_place *place);

static gr_yaml *text_node(gr_loader *l, gr_str text, gr_loc loc) {
    gr_yaml *node = GR_NEW(l->arena, gr_yaml);
    *node = (gr_yaml){.kind = GR_YAML_SCALAR, .loc = loc, .text = text, .is_quoted = true};
    return node;
}

static gr_yaml *map_node(gr_loader *l, gr_loc loc) {
    gr_yaml *node = GR_NEW(l->arena, gr_yaml);
    *node = (gr_yaml){.kind = GR_YAML_MAP, .loc = loc};
    node->pairs = GR_NEW_N(l->arena, gr_yaml_pair, 3);
    return node;
}

static void add_pair(gr_yaml *map, const char *key, gr_loc loc, gr_yaml *value) {
    map->pairs[map->n++] = (gr_yaml_pair){gr_str_from(key), loc, value};
}

/* A way of its own would be lost with the id, so that it must be the one that is found without it. */
static bool is_found_way(gr_loader *l, gr_path path) {
    const gr_cube *ends[] = {path.cubes[0], path.cubes[path.n - 1]};
    gr_path found;
    size_t broken;
    return path.n == 1 || (gr_model_expand_path(l, ends, 2, &found, &broken) && found.n == path.n &&
                           memcmp(found.cubes, path.cubes, path.n * sizeof *path.cubes) == 0);
}

static gr_yaml *copy_member(gr_loader *l, const gr_yaml *node, const gr_place *place) {
    gr_misfit misfit;
    gr_member_ref ref = gr_model_read_ref(l, node, place, GR_MEMBER_DIMENSION, &misfit);
    if (misfit.d && misfit.granularity)
        gr_model_hint(l, misfit.d, "filter by the time dimension itself: " GR_FMT, GR_ARG(misfit.member->id));
    else if (misfit.d)
        gr_model_hint(l, misfit.d, "rows are filtered before they are aggregated: by dimensions only");
    if (!ref.member) return NULL;
    if (!is_found_way(l, ref.path)) {
        gr_diag *d = gr_model_report(l, GR_ERR_MODEL_UNSUPPORTED, node->loc,
                                     "(" GR_FMT ") the path to '" GR_FMT "' is not the shortest one",
                                     GR_ARG(gr_model_place_text(l, place, (gr_str){0})), GR_ARG(ref.member->id));
        gr_model_hint(l, d, "make a cube that extends '" GR_FMT "', reached by one path",
                      GR_ARG(ref.member->cube->name));
        return NULL;
    }
    return text_node(l, ref.member->id, node->loc);
}

static void check_values(gr_loader *l, const gr_yaml *list, const gr_place *place) {
    if (list->n > MOST_FILTERS)
        gr_model_fault(l, GR_ERR_MODEL_INVALID, list->loc, place, GR_STR("values"), NULL, "has more than 1000 items");
    for (size_t i = 0; i < list->n; i++) {
        const gr_yaml *v = list->items[i];
        gr_place up = {place, GR_STR("values"), -1}, at = {&up, {0}, (int64_t)i};
        if (v->kind != GR_YAML_SCALAR && v->kind != GR_YAML_NULL)
            gr_model_fault(l, GR_ERR_MODEL_INVALID, v->loc, &at, (gr_str){0}, v,
                           "must be a string, a number, a boolean or null");
    }
}

static gr_yaml *copy_leaf(copier *c, const gr_fields *f) {
    gr_loader *l = c->l;
    bool is_old = !gr_fields_has(f, GR_KEY_FILTER_MEMBER) && gr_fields_has(f, GR_KEY_FILTER_DIMENSION);
    gr_key key = is_old ? GR_KEY_FILTER_DIMENSION : GR_KEY_FILTER_MEMBER;
    if (!is_old) gr_model_not_allowed(l, f, GR_KEY_FILTER_DIMENSION);
    if (!gr_fields_has(f, key)) gr_model_required(l, f, key);
    if (!gr_fields_has(f, GR_KEY_FILTER_OPERATOR)) gr_model_required(l, f, GR_KEY_FILTER_OPERATOR);
    const gr_yaml *member = gr_fields_get(f, key), *op = gr_fields_get(f, GR_KEY_FILTER_OPERATOR);
    const gr_yaml_pair *values = gr_fields_pair(f, GR_KEY_FILTER_VALUES);
    gr_place at = {f->place, gr_model_key_info(key)->name, -1};
    gr_yaml *id = member ? copy_member(l, member, &at) : NULL, *map = map_node(l, f->node->loc);
    if (values) check_values(l, values->value, f->place);
    if (id) add_pair(map, "member", id->loc, id);
    if (op) add_pair(map, "operator", op->loc, text_node(l, gr_str_trim(op->text), op->loc));
    if (values) add_pair(map, "values", values->key_loc, values->value);
    return map;
}

static gr_yaml *copy_list(copier *c, const gr_yaml *list, const gr_place *place) {
    gr_yaml *copy = GR_NEW(c->l->arena, gr_yaml);
    *copy = (gr_yaml){.kind = GR_YAML_LIST, .loc = list->loc};
    copy->items = GR_NEW_N(c->l->arena, gr_yaml *, list->n + 1);
    for (size_t i = 0; i < list->n; i++) {
        gr_place at = {place, {0}, (int64_t)i};
        if (c->n++ == MOST_FILTERS)
            gr_model_fault(c->l, GR_ERR_MODEL_INVALID, list->items[i]->loc, &at, (gr_str){0}, NULL,
                           "is the filter after the 1000th");
        if (c->n > MOST_FILTERS) break;
        gr_yaml *item = copy_filter(c, list->items[i], &at);
        if (item) copy->items[copy->n++] = item;
    }
    return copy;
}

static gr_yaml *copy_group(copier *c, const gr_fields *f, gr_key key) {
    static const gr_key others[] = {GR_KEY_FILTER_MEMBER, GR_KEY_FILTER_DIMENSION, GR_KEY_FILTER_OPERATOR,
                                    GR_KEY_FILTER_VALUES};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) gr_model_not_allowed(c->l, f, others[i]);
    if (key == GR_KEY_FILTER_AND) gr_model_not_allowed(c->l, f, GR_KEY_FILTER_OR);
    const gr_yaml_pair *pair = gr_fields_pair(f, key);
    if (!pair) return NULL;
    if (pair->value->n == 0) gr_model_bad_value(c->l, f, key, "must not be empty");
    gr_str name = gr_model_key_info(key)->name;
    gr_place at = {f->place, name, -1};
    gr_yaml *map = map_node(c->l, f->node->loc);
    add_pair(map, name.p, pair->key_loc, copy_list(c, pair->value, &at));
    return map;
}

/* Recursion is as deep as YAML may be nested. */
static gr_yaml *copy_filter(copier *c, const gr_yaml *node, const gr_place *place) {
    gr_fields f;
    gr_model_fields_read(c->l, node, GR_CONTEXT_FILTER, place, &f);
    if (node->kind != GR_YAML_MAP) return NULL;
    if (gr_fields_has(&f, GR_KEY_FILTER_AND)) return copy_group(c, &f, GR_KEY_FILTER_AND);
    if (gr_fields_has(&f, GR_KEY_FILTER_OR)) return copy_group(c, &f, GR_KEY_FILTER_OR);
    return copy_leaf(c, &f);
}

void gr_model_read_preagg_filters(gr_loader *l, gr_preagg *p, const gr_fields *f) {
    const gr_yaml *list = gr_fields_get(f, GR_KEY_PREAGG_FILTERS);
    if (!list || list->n == 0) return;
    copier c = {.l = l};
    gr_place place = {f->place, GR_STR("filters"), -1};
    p->filters = copy_list(&c, list, &place);
}
