/* Filters: leaves and groups as a tree, split into those on rows and those on measures.
 * Invariant: the depth is checked before each step down, so that recursion is bounded by max_filter_depth; a tree holds
 * dimensions or measures, never both; empty groups are gone, groups of one are their child, and AND directly below AND
 * is one list. */
#include "query/internal.h"

typedef enum side { SIDE_NONE, SIDE_ROWS, SIDE_MEASURES } side;

typedef struct node {
    gr_filter *filter; /* NULL: an empty group */
    side side;
    json_t *normalized; /* owned; NULL for an empty group */
} node;

static gr_status find_operator(gr_query_parser *p, const json_t *leaf, const gr_query_place *place, gr_filter_op *ret) {
    gr_query_place at = gr_query_at_key(place, "operator");
    const json_t *value = json_object_get(leaf, "operator");
    gr_str name, names[GR_OP__COUNT];
    if (!value) return gr_query_bad(p, &at, "is required");
    GR_TRY(gr_query_want_str(p, value, &at, &name));
    for (unsigned op = 0; op < GR_OP__COUNT; op++) {
        names[op] = gr_query_operator_of((gr_filter_op)op)->name;
        if (!gr_str_eq(name, names[op])) continue;
        *ret = (gr_filter_op)op;
        return GR_OK;
    }
    gr_status status =
        gr_error_set(p->err, GR_ERR_QUERY_OPERATOR, "Operator " GR_FMT " not supported for filter: " GR_FMT,
                     GR_ARG(gr_query_shown(name)), GR_ARG(gr_query_json_shown(p, leaf)));
    gr_str near = gr_diags_nearest(name, names, GR_OP__COUNT);
    if (near.n) gr_error_hint(p->err, "did you mean \"" GR_FMT "\"?", GR_ARG(near));
    return status;
}

static gr_status read_member(gr_query_parser *p, const json_t *leaf, const gr_query_place *place, gr_field *ret) {
    const json_t *member = json_object_get(leaf, "member"), *dimension = json_object_get(leaf, "dimension");
    if (!member && !dimension) return gr_query_bad(p, place, "must contain at least one of [member, dimension]");
    if (member && dimension)
        return gr_query_bad(p, place, "contains a conflict between exclusive peers [member, dimension]");
    gr_query_place at = gr_query_at_key(place, member ? "member" : "dimension");
    gr_str id;
    GR_TRY(gr_query_want_str(p, member ? member : dimension, &at, &id));
    GR_TRY(gr_query_check_id(p, &at, id, 2));
    return gr_query_resolve(p, id, GR_QUERY_DIMENSION | GR_QUERY_MEASURE, true, ret);
}

static gr_status check_fit(gr_query_parser *p, const gr_query_operator *op, const gr_field *field) {
    static const struct type_name {
        gr_query_value_type type;
        const char *name;
    } names[] = {{GR_QUERY_TYPE_TEXT, "string"},
                 {GR_QUERY_TYPE_NUMBER, "number"},
                 {GR_QUERY_TYPE_BOOLEAN, "boolean"},
                 {GR_QUERY_TYPE_TIME, "time"},
                 {GR_QUERY_TYPE_GEO, "geo"}};
    gr_query_value_type type = gr_query_value_type_of(field->member);
    if (op->is_for_measure && field->member->kind != GR_MEMBER_MEASURE)
        return gr_error_set(p->err, GR_ERR_QUERY_OPERATOR,
                            "Operator \"" GR_FMT "\" is for measures, and " GR_FMT " is a dimension", GR_ARG(op->name),
                            GR_ARG(gr_query_shown(field->id)));
    for (size_t i = 0; i < sizeof names / sizeof *names && !(op->types & type); i++)
        if (names[i].type == type)
            return gr_error_set(p->err, GR_ERR_QUERY_OPERATOR,
                                "Operator \"" GR_FMT "\" cannot be used with " GR_FMT ", which is of type %s",
                                GR_ARG(op->name), GR_ARG(gr_query_shown(field->id)), names[i].name);
    return GR_OK;
}

static gr_status read_leaf(gr_query_parser *p, json_t *json, const gr_query_place *place, node *ret) {
    static const gr_str keys[] = {GR_STR_INIT("member"), GR_STR_INIT("dimension"), GR_STR_INIT("operator"),
                                  GR_STR_INIT("values"), GR_STR_INIT("and"),       GR_STR_INIT("or")};
    gr_filter *f = GR_NEW(p->arena, gr_filter);
    json_t *values = NULL;
    GR_TRY(gr_query_check_keys(p, json, place, keys, sizeof keys / sizeof *keys));
    GR_TRY(find_operator(p, json, place, &f->op));
    GR_TRY(read_member(p, json, place, &f->field));
    const gr_query_operator *op = gr_query_operator_of(f->op);
    GR_TRY(check_fit(p, op, &f->field));
    GR_TRY(gr_query_read_values(p, json, place, f, &values));
    json_t *normalized = json_object();
    json_object_set_new(normalized, "member", gr_query_json_text(f->field.id));
    json_object_set_new(normalized, "operator", gr_query_json_text(op->name));
    if (values) json_object_set_new(normalized, "values", values);
    /* measureFilter filters rows, by the conditions that the measure itself has. */
    bool is_on_rows = f->field.member->kind == GR_MEMBER_DIMENSION || op->is_for_measure;
    *ret = (node){f, is_on_rows ? SIDE_ROWS : SIDE_MEASURES, normalized};
    return GR_OK;
}

static void push_child(gr_query_parser *p, gr_query_filters *list, gr_filter_kind kind, gr_filter *child) {
    if (kind != GR_FILTER_AND || child->kind != GR_FILTER_AND) {
        GR_PUSH(p->arena, list, child);
        return;
    }
    for (size_t i = 0; i < child->n_children; i++) GR_PUSH(p->arena, list, child->children[i]);
}

static gr_status read_node(gr_query_parser *p, json_t *json, const gr_query_place *place, size_t depth, node *ret);

static gr_status mixed(gr_query_parser *p, const json_t *json) {
    return gr_error_set(p->err, GR_ERR_QUERY_INVALID, "You cannot use dimension and measure in same condition: " GR_FMT,
                        GR_ARG(gr_query_json_shown(p, json)));
}

/* The children of a group, whose normalised forms are appended to `normalized`. */
static gr_status read_children(gr_query_parser *p, json_t *json, const gr_query_place *place, gr_filter_kind kind,
                               size_t depth, json_t *normalized, node *ret) {
    gr_query_filters children = {0};
    json_t *list;
    GR_TRY(gr_query_get_list(p, json, place, &list));
    for (size_t i = 0; i < json_array_size(list); i++) {
        gr_query_place at = gr_query_at_item(place, i);
        node child = {0};
        GR_TRY(read_node(p, json_array_get(list, i), &at, depth, &child));
        if (!child.filter) continue;
        json_array_append_new(normalized, child.normalized);
        if (ret->side != SIDE_NONE && ret->side != child.side) return mixed(p, json);
        ret->side = child.side;
        push_child(p, &children, kind, child.filter);
    }
    if (children.n == 1) ret->filter = children.v[0];
    if (children.n < 2) return GR_OK;
    ret->filter = GR_NEW(p->arena, gr_filter);
    *ret->filter = (gr_filter){.kind = kind, .children = children.v, .n_children = children.n};
    return GR_OK;
}

static gr_status read_group(gr_query_parser *p, json_t *json, const gr_query_place *place, size_t depth, node *ret) {
    static const gr_str keys[] = {GR_STR_INIT("and"), GR_STR_INIT("or")};
    bool is_and = json_object_get(json, "and") != NULL;
    if (depth >= p->options->max_filter_depth || depth >= GR_QUERY_MAX_NESTING)
        return gr_error_set(p->err, GR_ERR_LIMIT, "The filters are nested too deeply: the limit is %zu levels",
                            p->options->max_filter_depth);
    GR_TRY(gr_query_check_keys(p, json, place, keys, sizeof keys / sizeof *keys));
    if (is_and && json_object_get(json, "or"))
        return gr_query_bad(p, place, "contains a conflict between exclusive peers [and, or]");
    const char *key = is_and ? "and" : "or";
    gr_query_place at = gr_query_at_key(place, key);
    json_t *list = json_array();
    node made = {0};
    gr_status status = read_children(p, json, &at, is_and ? GR_FILTER_AND : GR_FILTER_OR, depth + 1, list, &made);
    if (status || !made.filter) {
        json_decref(list);
    } else {
        made.normalized = json_object();
        json_object_set_new(made.normalized, key, list);
    }
    if (!status) *ret = made;
    return status;
}

static gr_status read_node(gr_query_parser *p, json_t *json, const gr_query_place *place, size_t depth, node *ret) {
    if (!json_is_object(json)) return gr_query_bad(p, place, "must be of type object");
    bool is_group = json_object_get(json, "and") || json_object_get(json, "or");
    return is_group ? read_group(p, json, place, depth, ret) : read_leaf(p, json, place, ret);
}

gr_status gr_query_read_filters(gr_query_parser *p) {
    gr_query_place place = gr_query_at_key(NULL, "filters");
    gr_query_filters rows = {0}, measures = {0};
    json_t *list;
    p->filters = gr_query_json_own(p->arena, json_array());
    GR_TRY(gr_query_get_list(p, p->json, &place, &list));
    for (size_t i = 0; i < json_array_size(list); i++) {
        gr_query_place at = gr_query_at_item(&place, i);
        node made = {0};
        GR_TRY(read_node(p, json_array_get(list, i), &at, 0, &made));
        if (!made.filter) continue;
        json_array_append_new(p->filters, made.normalized);
        push_child(p, made.side == SIDE_ROWS ? &rows : &measures, GR_FILTER_AND, made.filter);
    }
    gr_query *q = p->query;
    q->row_filters = rows.v;
    q->n_row_filters = rows.n;
    q->measure_filters = measures.v;
    q->n_measure_filters = measures.n;
    return GR_OK;
}
