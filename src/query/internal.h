/* What the files of this room share: the parser's state, places in the JSON for messages, and who reads what.
 * Invariant: a reader either fills its part of the query and returns GR_OK, or leaves an error that names the place; no
 * reader recurses deeper than the filter limit. */
#ifndef GR_QUERY_INTERNAL_H
#define GR_QUERY_INTERNAL_H
#include "query/query.h"

/* However high the setting is: the stack has an end. */
enum { GR_QUERY_MAX_NESTING = 64 };

/* A place in the query JSON, as a chain on the stack; its text is made only for an error. */
typedef struct gr_query_place {
    const struct gr_query_place *parent;
    const char *key; /* NULL: an item of a list, at `index` */
    size_t index;
} gr_query_place;

static inline gr_query_place gr_query_at_key(const gr_query_place *parent, const char *key) {
    return (gr_query_place){parent, key, 0};
}
static inline gr_query_place gr_query_at_item(const gr_query_place *parent, size_t index) {
    return (gr_query_place){parent, NULL, index};
}

/* An id of three parts among `dimensions`: it is read after the time dimensions. */
typedef struct gr_query_suffixed {
    gr_str id, granularity;
    size_t index; /* in the list, for messages */
} gr_query_suffixed;

typedef GR_VEC(gr_time_field) gr_query_times;
typedef GR_VEC(gr_filter *) gr_query_filters;

typedef struct gr_query_parser {
    const gr_model *model;
    const gr_query_options *options;
    gr_arena *arena;
    gr_error *err;
    json_t *json;
    gr_query *query;
    size_t n_members; /* counted so far, before duplicates are dropped */
    json_t *filters;  /* normalised; released with the arena */
    GR_VEC(gr_query_suffixed) suffixed;
    gr_map order_columns; /* row key or id of a time dimension -> column index + 1 */
    bool may_compare;
    const json_t *compared; /* the ranges of compareDateRange, or NULL; the first is the one that is read */
    size_t compared_item;   /* of the list `timeDimensions` */
    size_t compared_time;   /* of the query's time dimensions */
} gr_query_parser;

/* ---- shape (shape.c) ---------------------------------------------------------------------------------------- */
/* `Invalid query format: "<place>" <what>`. */
gr_status gr_query_bad(gr_query_parser *p, const gr_query_place *place, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Cut for messages, at a whole character. */
gr_str gr_query_shown(gr_str text);
gr_str gr_query_json_shown(gr_query_parser *p, const json_t *json);
/* No key but these; `n` names. */
GR_MUST_CHECK gr_status gr_query_check_keys(gr_query_parser *p, json_t *object, const gr_query_place *place,
                                            const gr_str *allowed, size_t n);
/* *ret is NULL when the key is absent. A list of members has at most max_members items. */
GR_MUST_CHECK gr_status gr_query_get_list(gr_query_parser *p, const json_t *object, const gr_query_place *place,
                                          json_t **ret);
GR_MUST_CHECK gr_status gr_query_want_str(gr_query_parser *p, const json_t *json, const gr_query_place *place,
                                          gr_str *ret);
/* *ret is untouched when the key is absent. */
GR_MUST_CHECK gr_status gr_query_get_bool(gr_query_parser *p, const char *key, bool *ret);
GR_MUST_CHECK gr_status gr_query_get_count(gr_query_parser *p, const char *key, int64_t *ret);
/* Index of the string in `words`; untouched when absent. */
GR_MUST_CHECK gr_status gr_query_get_word(gr_query_parser *p, const char *key, const gr_str *words, size_t n, int *ret);

/* ---- members (members.c) ------------------------------------------------------------------------------------ */
enum {
    GR_QUERY_DIMENSION = 1 << GR_MEMBER_DIMENSION,
    GR_QUERY_MEASURE = 1 << GR_MEMBER_MEASURE,
    GR_QUERY_SEGMENT = 1 << GR_MEMBER_SEGMENT
};
GR_MUST_CHECK gr_status gr_query_check_id(gr_query_parser *p, const gr_query_place *place, gr_str id, size_t max_parts);
/* Counts, finds, and checks kind (a mask of the above) and visibility. */
GR_MUST_CHECK gr_status gr_query_resolve(gr_query_parser *p, gr_str id, unsigned kinds, bool is_filter, gr_field *ret);
GR_MUST_CHECK gr_status gr_query_read_members(gr_query_parser *p);

/* ---- the rest ------------------------------------------------------------------------------------------------ */
GR_MUST_CHECK gr_status gr_query_parse_one(gr_query_parser *p, gr_query **ret);
GR_MUST_CHECK gr_status gr_query_read_times(gr_query_parser *p);
/* Another range of compareDateRange. */
GR_MUST_CHECK gr_status gr_query_read_compared(gr_query_parser *p, size_t index, gr_range *ret);
GR_MUST_CHECK gr_status gr_query_read_filters(gr_query_parser *p);
void gr_query_make_columns(gr_query_parser *p);
GR_MUST_CHECK gr_status gr_query_read_order(gr_query_parser *p);
void gr_query_normalize(gr_query_parser *p);
void gr_query_put_times(json_t *normalized, const gr_query *q);
json_t *gr_query_json_own(gr_arena *arena, json_t *made); /* released with the arena */
json_t *gr_query_json_text(gr_str text);                  /* a new JSON string */

/* ---- filter operators and values (operators.c, values.c) ------------------------------------------------------ */
typedef enum gr_query_value_type {
    GR_QUERY_TYPE_TEXT = 1,
    GR_QUERY_TYPE_NUMBER = 2,
    GR_QUERY_TYPE_BOOLEAN = 4,
    GR_QUERY_TYPE_TIME = 8,
    GR_QUERY_TYPE_GEO = 16,
} gr_query_value_type;

typedef enum gr_query_arity {
    GR_QUERY_NO_VALUES,
    GR_QUERY_ANY_VALUES,
    GR_QUERY_FIRST_VALUE, /* the reference reads only the first */
    GR_QUERY_RANGE,
    GR_QUERY_DAY,
    GR_QUERY_POINT,
} gr_query_arity;

typedef struct gr_query_operator {
    gr_str name;
    gr_query_arity arity;
    unsigned types; /* of members it fits: gr_query_value_type */
    bool is_end;    /* a relative text stands for the end of its range */
    bool is_for_measure;
} gr_query_operator;

/* By gr_filter_op. */
const gr_query_operator *gr_query_operator_of(gr_filter_op op);
gr_query_value_type gr_query_value_type_of(const gr_member *member);
/* Fills values, has_null and range of the leaf from `values` (may be NULL); *ret_normalized is new, or NULL for none.
 */
GR_MUST_CHECK gr_status gr_query_read_values(gr_query_parser *p, const json_t *leaf, const gr_query_place *place,
                                             gr_filter *filter, json_t **ret_normalized);
#endif
