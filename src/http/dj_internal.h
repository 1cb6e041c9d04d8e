/* What the files of DataJunction's and the seed's routes share; private to http/.
 *
 *   gr_dj_run ──> handler: read parameters and body ──> gr_dj_check ──> gr_serve_… ──> encode into dj->w
 *                                   │ what is malformed
 *                                   └──> dj->details ──> 422 {"detail":[{"loc","msg","type"}]}
 *
 * Invariant: a handler calls serve/ only after gr_dj_check has passed. */
#ifndef GR_HTTP_DJ_INTERNAL_H
#define GR_HTTP_DJ_INTERNAL_H
#include "data/json.h"
#include "http/dj.h"
#include "http/route.h"

typedef GR_VEC(gr_str) gr_dj_texts;

typedef struct gr_dj_detail {
    const char *where; /* "query", "path", "body"; static */
    gr_str field;      /* empty: the whole */
    const char *type;  /* static: "missing", "int_parsing", … */
    gr_str message;
} gr_dj_detail;

struct gr_dj {
    gr_serve *serve;
    gr_arena *arena;
    gr_actor actor;
    const gr_http_route *route;
    gr_str segments[GR_HTTP_MAX_WILD];
    gr_http_params params;
    json_t *body; /* NULL: none */
    bool wants_stream;
    gr_flight *waited;
    gr_jw *w;
    gr_dj_answer *answer;
    GR_VEC(gr_dj_detail) details;
};

/* One request whose route is known (dj.c). */
typedef struct gr_dj_asked {
    const gr_http_route *route;
    gr_str segments[GR_HTTP_MAX_WILD];
    gr_http_params params;
    gr_str body, user;
    bool wants_stream;
    gr_flight *waited;
} gr_dj_asked;
GR_MUST_CHECK gr_status gr_dj_run(gr_serve *serve, const gr_dj_asked *asked, gr_arena *arena, gr_buf *out,
                                  gr_dj_answer *ret, gr_error *err);
bool gr_dj_is_strict(const gr_dj *dj); /* a path of DataJunction's own: /preaggs */

/* ---- reading (dj_read.c): what is malformed becomes a detail, and the call gives its fallback ---- */
void gr_dj_detail_add(gr_dj *dj, const char *where, gr_str field, const char *type, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* query.invalid when there are details. */
GR_MUST_CHECK gr_status gr_dj_check(gr_dj *dj, gr_error *err);

gr_str gr_dj_param(const gr_dj *dj, const char *key); /* empty when absent */
bool gr_dj_param_bool(gr_dj *dj, const char *key, bool fallback);
bool gr_dj_param_has(const gr_dj *dj, const char *key); /* given, and not empty */
int64_t gr_dj_param_int(gr_dj *dj, const char *key, int64_t least, int64_t most, int64_t fallback);
/* All values of a repeated parameter; `is_split`: each is a list with commas. */
gr_dj_texts gr_dj_param_texts(gr_dj *dj, const char *key, bool is_split);

/* Fields of `object` (part of the body); null counts as absent. */
void gr_dj_need_body(gr_dj *dj); /* there is one, and it is an object */
gr_str gr_dj_text(gr_dj *dj, const json_t *object, const char *key, bool is_needed);
bool gr_dj_bool(gr_dj *dj, const json_t *object, const char *key, bool fallback);
bool gr_dj_int(gr_dj *dj, const json_t *object, const char *key, bool is_needed, int64_t *ret); /* it is there */
gr_dj_texts gr_dj_texts_of(gr_dj *dj, const json_t *object, const char *key, bool is_needed);
const json_t *gr_dj_object(gr_dj *dj, const json_t *object, const char *key, bool is_needed);
/* metrics, dimensions, filters, timezone. */
gr_entity_ask gr_dj_ask(gr_dj *dj, bool needs_metrics);
/* A detail for each field of the body that is none of these; the list ends with NULL. */
void gr_dj_refuse_others(gr_dj *dj, const char *const *known);

/* ---- errors (dj_errors.c) -------------------------------------------------------------------- */
bool gr_dj_is(gr_status status, const char *id); /* by its id in errors.def */
/* Writes the body of an error and fills http_status, content_type and exception of `ret`. */
void gr_dj_put_error(const gr_error *error, gr_buf *out, gr_dj_answer *ret);
void gr_dj_put_details(const gr_dj_detail *details, size_t n, gr_buf *out, gr_dj_answer *ret);

/* ---- what several handlers need (dj.c) ------------------------------------------------------- */
/* The entity of the path: on /preaggs an id, elsewhere also a name. */
GR_MUST_CHECK gr_status gr_dj_entity(gr_dj *dj, gr_entity_view *ret, gr_error *err);
/* A node by name; the error names it as DataJunction does. */
GR_MUST_CHECK gr_status gr_dj_node(gr_dj *dj, gr_str name, gr_str version, gr_node_view *ret, gr_error *err);
gr_status gr_dj_no_node(gr_str name, gr_error *err);
void gr_dj_put_message(gr_dj *dj, const char *format, ...) __attribute__((format(printf, 2, 3)));

gr_dj_handler gr_dj_do_list, gr_dj_do_get, gr_dj_do_cubes_of, gr_dj_do_remove, gr_dj_do_builds, gr_dj_do_history_of,
    gr_dj_do_of_cube, gr_dj_do_of_node; /* dj_preaggs.c */
/* dj_build.c: the row, with 202 while it is built (but on /preaggs); and what became of a build that was waited for. */
gr_status gr_dj_put_built(gr_dj *dj, const gr_entity_view *view, bool is_running);
/* The zone is part of what an entity is: *view becomes the one of the same name and version that has `zone`, when it is
 * given. Errors: query.timezone. */
GR_MUST_CHECK gr_status gr_dj_in_zone(gr_dj *dj, gr_str zone, gr_entity_view *view, gr_error *err);
GR_MUST_CHECK gr_status gr_dj_put_outcome(gr_dj *dj, gr_entity_view *view, gr_error *err);

gr_dj_handler gr_dj_do_verify;                                                          /* dj_verify.c */
gr_dj_handler gr_dj_do_partitions, gr_dj_do_partitions_refresh;                         /* dj_partitions.c */
gr_dj_handler gr_dj_do_materialize, gr_dj_do_backfill;                                  /* dj_build.c */
gr_dj_handler gr_dj_do_plan, gr_dj_do_groups, gr_dj_do_register, gr_dj_do_availability; /* dj_plan.c */
gr_dj_handler gr_dj_do_config, gr_dj_do_workflow_clear, gr_dj_do_workflows_clear;       /* dj_config.c */
gr_dj_handler gr_dj_do_nodes, gr_dj_do_node_details, gr_dj_do_node, gr_dj_do_revisions, gr_dj_do_node_delete,
    gr_dj_do_history, gr_dj_do_history_by_name; /* dj_nodes.c */
gr_dj_handler gr_dj_do_cube_names, gr_dj_do_cube, gr_dj_do_cube_version, gr_dj_do_cube_create, gr_dj_do_node_patch;
gr_dj_handler gr_dj_do_lineage, gr_dj_do_lineage_of_node, gr_dj_do_lineage_of, gr_dj_do_import; /* dj_lineage.c */
gr_dj_handler gr_dj_do_openapi;                                                                 /* openapi.c */
#endif
