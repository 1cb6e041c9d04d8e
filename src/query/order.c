/* The columns of the answer and their order.
 * Invariant: keys are the reference's row keys; aliases are unique even where two members spell the same column, case
 * folded, because engines fold it; the order names columns of the answer only. */
#include "query/internal.h"

typedef GR_VEC(gr_query_column) columns;
typedef GR_VEC(gr_order) orders;

static gr_str folded(gr_str s, gr_arena *arena) {
    char *out = gr_arena_alloc(arena, s.n + 1);
    for (size_t i = 0; i < s.n; i++) out[i] = (char)(s.p[i] >= 'A' && s.p[i] <= 'Z' ? s.p[i] + ('a' - 'A') : s.p[i]);
    return (gr_str){out, s.n};
}

static gr_str unique_alias(gr_query_parser *p, gr_map *used, gr_str wanted) {
    gr_str alias = wanted;
    for (size_t i = 2; !gr_map_put(used, folded(alias, p->arena), p); i++)
        alias = gr_arena_printf(p->arena, GR_FMT "_%zu", GR_ARG(wanted), i);
    return alias;
}

static void add_column(gr_query_parser *p, columns *list, gr_map *used, gr_query_column column) {
    column.alias = unique_alias(p, used, column.alias);
    GR_PUSH(p->arena, list, column);
    gr_map_put(&p->order_columns, column.key, (void *)(uintptr_t)list->n);
}

void gr_query_make_columns(gr_query_parser *p) {
    gr_query *q = p->query;
    columns list = {0};
    gr_map used;
    gr_map_init(&used, p->arena);
    gr_map_init(&p->order_columns, p->arena);
    for (size_t i = 0; i < q->n_dimensions; i++) {
        const gr_field *f = &q->dimensions[i];
        add_column(p, &list, &used, (gr_query_column){GR_COLUMN_DIMENSION, i, f->id, f->asked->column});
    }
    for (size_t i = 0; i < q->n_time_dimensions; i++) {
        const gr_time_field *t = &q->time_dimensions[i];
        if (!t->granularity) continue;
        gr_str name = t->granularity->name;
        gr_str key = gr_arena_printf(p->arena, GR_FMT "." GR_FMT, GR_ARG(t->field.id), GR_ARG(name));
        gr_str alias = gr_arena_printf(p->arena, GR_FMT "_" GR_FMT, GR_ARG(t->field.asked->column), GR_ARG(name));
        add_column(p, &list, &used, (gr_query_column){GR_COLUMN_TIME, i, key, alias});
        /* Without granularity it means the first one asked for, unless the plain dimension is a column itself. */
        gr_map_put(&p->order_columns, t->field.id, (void *)(uintptr_t)list.n);
    }
    for (size_t i = 0; i < q->n_measures; i++) {
        const gr_field *f = &q->measures[i];
        add_column(p, &list, &used, (gr_query_column){GR_COLUMN_MEASURE, i, f->id, f->asked->column});
    }
    q->columns = list.v;
    q->n_columns = list.n;
}

static void default_order(gr_query_parser *p) {
    gr_query *q = p->query;
    orders list = {0};
    size_t n_times = q->n_columns - q->n_dimensions - q->n_measures;
    if (n_times)
        GR_PUSH(p->arena, &list, (gr_order){q->n_dimensions, false});
    else if (q->n_dimensions && q->n_measures)
        GR_PUSH(p->arena, &list, (gr_order){q->n_dimensions, true});
    else if (q->n_dimensions)
        GR_PUSH(p->arena, &list, (gr_order){0, false});
    q->order = list.v;
    q->n_order = list.n;
}

static gr_status add_order(gr_query_parser *p, orders *list, const gr_query_place *place, gr_str id,
                           const json_t *direction) {
    gr_str word = json_is_string(direction) ? gr_json_str(direction) : (gr_str){0};
    bool is_desc = gr_str_eq_z(word, "desc");
    if (!is_desc && !gr_str_eq_z(word, "asc")) return gr_query_bad(p, place, "must be one of [asc, desc]");
    size_t column = (uintptr_t)gr_map_get(&p->order_columns, id);
    if (!column) return GR_OK; /* not selected: no effect, as in the reference */
    for (size_t i = 0; i < list->n; i++)
        if (list->v[i].column == column - 1) return GR_OK;
    GR_PUSH(p->arena, list, (gr_order){column - 1, is_desc});
    return GR_OK;
}

static gr_status read_pairs(gr_query_parser *p, json_t *pairs, const gr_query_place *place, orders *list) {
    for (size_t i = 0; i < json_array_size(pairs); i++) {
        json_t *pair = json_array_get(pairs, i);
        gr_query_place at = gr_query_at_item(place, i);
        gr_query_place at_id = gr_query_at_item(&at, 0), at_direction = gr_query_at_item(&at, 1);
        gr_str id;
        if (!json_is_array(pair)) return gr_query_bad(p, &at, "must be an array");
        if (json_array_size(pair) != 2) return gr_query_bad(p, &at, "must contain 2 items");
        GR_TRY(gr_query_want_str(p, json_array_get(pair, 0), &at_id, &id));
        GR_TRY(gr_query_check_id(p, &at_id, id, 3));
        GR_TRY(add_order(p, list, &at_direction, id, json_array_get(pair, 1)));
    }
    return GR_OK;
}

static gr_status read_object(gr_query_parser *p, json_t *object, const gr_query_place *place, orders *list) {
    for (void *it = json_object_iter(object); it; it = json_object_iter_next(object, it)) {
        gr_query_place at = gr_query_at_key(place, json_object_iter_key(it));
        gr_str id = gr_str_from(at.key);
        GR_TRY(gr_query_check_id(p, &at, id, 3));
        GR_TRY(add_order(p, list, &at, id, json_object_iter_value(it)));
    }
    return GR_OK;
}

gr_status gr_query_read_order(gr_query_parser *p) {
    gr_query_place place = gr_query_at_key(NULL, "order");
    json_t *order = json_object_get(p->json, "order");
    orders list = {0};
    if (!order) {
        default_order(p);
        return GR_OK;
    }
    if (!json_is_object(order) && !json_is_array(order))
        return gr_query_bad(p, &place, "must be an object or an array");
    if (json_array_size(order) + json_object_size(order) > p->options->max_members)
        return gr_error_set(p->err, GR_ERR_LIMIT, "The query has too many members in \"order\": the limit is %zu",
                            p->options->max_members);
    if (json_is_array(order))
        GR_TRY(read_pairs(p, order, &place, &list));
    else
        GR_TRY(read_object(p, order, &place, &list));
    p->query->order = list.v;
    p->query->n_order = list.n;
    return GR_OK;
}
