/* What registering tables and being told of them share; private to serve/. */
#ifndef GR_SERVE_EXTERNAL_H
#define GR_SERVE_EXTERNAL_H
#include "serve/entity.h"

/* A table of a data source that is being looked at. */
typedef struct gr_external_work {
    gr_serve *serve;
    const gr_register_ask *ask;
    gr_arena *arena;
    gr_error *err;
    gr_str table_text; /* quoted, as the engine reads it */
    gr_column_schema *columns;
    size_t n_columns;
} gr_external_work;

typedef enum gr_external_category {
    GR_EXTERNAL_ANY,
    GR_EXTERNAL_NUMBER,
    GR_EXTERNAL_TEXT,
    GR_EXTERNAL_BOOLEAN,
    GR_EXTERNAL_TIME,
    GR_EXTERNAL_BYTES
} gr_external_category;

/* Fills table_text and columns. Errors: config.source_unknown, query.invalid. */
GR_MUST_CHECK gr_status gr_external_find_table(gr_external_work *work, gr_str catalog, gr_str schema, gr_str table);
/* The column, in any case; else an error that names the nearest. */
GR_MUST_CHECK gr_status gr_external_need_column(const gr_external_work *work, gr_str name, gr_str member,
                                                const gr_column_schema **ret);
gr_external_category gr_external_category_of_column(const gr_rollup_column *column);
gr_external_category gr_external_category_of(gr_agg agg);
GR_MUST_CHECK gr_status gr_external_check_type(const gr_external_work *work, const gr_column_schema *column,
                                               gr_external_category wanted, gr_str member);
gr_str gr_external_dump(const json_t *value, gr_arena *arena); /* canonical text */
#endif
