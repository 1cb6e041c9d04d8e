/* The pure parts of the importer of DataJunction's materialization blobs: reading the document, and finding what its
 * names mean in the model. Private to serve/. */
#ifndef GR_SERVE_IMPORT_H
#define GR_SERVE_IMPORT_H
#include "plan/plan.h"
#include "serve/entities.h"

enum { GR_IMPORT_MOST_BLOBS = 10000 };

/* One materialization, as it is written. */
typedef struct gr_import_blob {
    gr_str cube;        /* it belongs to; empty: not told */
    gr_str source_node; /* "orders.fact_orders" */
    gr_str *grain, *measures;
    size_t n_grain, n_measures;
    gr_str problem; /* there is no blob, and this is why */
} gr_import_blob;

/* import_read.c. In the order of the document; texts are borrowed from it. Errors: query.invalid with the place in the
 * message, limit.exceeded. */
GR_MUST_CHECK gr_status gr_serve_import_read(const json_t *document, gr_arena *arena, gr_import_blob **ret,
                                             size_t *ret_n, gr_error *err);

/* What a blob means. */
typedef struct gr_import_match {
    gr_entity_ask ask; /* members of the model */
    gr_str node;       /* the cube that its source_node is */
    gr_str problem;    /* all that was not found, with the nearest names; not empty: the rest says nothing */
} gr_import_match;
/* import_match.c. Memory: arena. Pure. */
gr_import_match gr_serve_import_match(const gr_model *model, const gr_plan_index *index, const gr_import_blob *blob,
                                      gr_arena *arena);
#endif
