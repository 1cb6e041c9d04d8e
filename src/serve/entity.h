/* What the files of the entities share; private to serve/. */
#ifndef GR_SERVE_ENTITY_H
#define GR_SERVE_ENTITY_H
#include "serve/entities.h"
#include "serve/internal.h"

enum { GR_SERVE_TRIES = 5 }; /* of a change that another server's crossed */

/* entity.c */
gr_entity_view gr_serve_view_of(const gr_snapshot *snapshot, const gr_preagg_row *row, gr_arena *arena);
GR_MUST_CHECK gr_status gr_serve_view_get(gr_serve *serve, int64_t id, gr_arena *arena, gr_entity_view *ret,
                                          gr_error *err);
GR_MUST_CHECK gr_status gr_serve_node_row(gr_serve *serve, gr_str name, gr_str version, gr_arena *arena,
                                          gr_node_row *ret, gr_error *err);
gr_status gr_serve_no_node(gr_str name, gr_error *err); /* the error */
gr_str gr_serve_bare_name(gr_str name);                 /* "cube.orders" -> "orders" */
/* All components of the measure are the rollup's. */
bool gr_serve_holds_measure(const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_member *measure);
void gr_serve_add_name(gr_names *names, gr_str name, gr_arena *arena); /* once */
void gr_serve_sort_names(gr_names *names);

gr_str gr_serve_bare_table(gr_str text, gr_arena *arena); /* without quotes, which are for SQL */

/* entity_build.c: it is neither a registered table nor being built; and the error of one whose definition is gone. */
GR_MUST_CHECK gr_status gr_serve_check_buildable(const gr_entity_view *view, gr_error *err);
gr_status gr_serve_is_stale(const gr_entity_view *view, gr_error *err);
/* What failed is tried again, also when what serves is as fresh as its key wants it; of partitions, those that lack. */
bool gr_serve_is_forced(const gr_entity_view *view, const gr_rollup *rollup, bool is_asked);

/* preagg.c: the error, with the nearest name. */
gr_status gr_serve_no_preagg(const gr_snapshot *snapshot, gr_str id, gr_error *err);

/* entity_plan.c: a request worked out, and not recorded. `external`: a registered table, with its bindings by
 * definition (NULL: not known yet). To be ended with gr_exec_draft_done(draft). */
typedef struct gr_entity_draft {
    const gr_snapshot *snapshot; /* referenced */
    gr_query *query;
    gr_exec_definitions definitions;
    gr_exec_draft *draft;
    gr_exec_drafted *items; /* parallel to definitions */
} gr_entity_draft;
GR_MUST_CHECK gr_status gr_serve_draft(gr_serve *serve, const gr_entity_ask *ask, gr_str external,
                                       const gr_str *bindings, gr_arena *arena, gr_entity_draft *ret, gr_error *err);
void gr_serve_draft_done(gr_entity_draft *draft);
/* Its grain groups and warnings. */
GR_MUST_CHECK gr_status gr_serve_draft_show(gr_serve *serve, const gr_entity_draft *draft, gr_arena *arena,
                                            gr_entity_plan *ret, gr_error *err);
/* The declarations of its items. Errors: what makes one of them impossible to build. */
GR_MUST_CHECK gr_status gr_serve_draft_decls(const gr_entity_draft *draft, gr_arena *arena, gr_preagg_decl **ret,
                                             gr_error *err);
/* After `rows` were written: published, and shown. */
GR_MUST_CHECK gr_status gr_serve_draft_commit(gr_serve *serve, gr_entity_draft *draft, const gr_preagg_row *rows,
                                              gr_arena *arena, gr_entity_plan *ret, gr_entity_view **ret_views,
                                              gr_error *err);
GR_MUST_CHECK gr_status gr_serve_check_config(const gr_preagg_config *config, gr_error *err);

/* cube.c: what cubes by API need is worked out again for the model in service. */
GR_MUST_CHECK gr_status gr_serve_cubes_recheck(gr_serve *serve, gr_error *err);
#endif
