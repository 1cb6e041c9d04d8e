/* The pure parts of lineage: a graph that is put together from a model and the rows of the catalog, and what of it
 * hangs on some of its nodes. Private to serve/. Ids begin with the name of the kind: "table:orders",
 * "column:orders.amount", "member:orders.total", "component:12.orders__total", "pre_aggregation:12", "cube:sales",
 * "metric:orders.total".
 *
 *      table --> column --> member --> component --> pre_aggregation --> metric
 *         \______________/   |  ^                       ^         \
 *          count(*)          |  holes of expressions    |          `--> cube
 *                            `----- grain, filters -----'---------------^
 *
 * Threads: one at a time. Memory: all texts are copied to the draft's arena. */
#ifndef GR_SERVE_LINEAGE_H
#define GR_SERVE_LINEAGE_H
#include "plan/plan.h"
#include "serve/entities.h"

typedef struct gr_lineage_draft {
    gr_arena *arena;
    gr_map by_id;        /* id -> index + 1 */
    gr_map by_component; /* stored key -> the measures that it is stored for */
    GR_VEC(gr_lineage_node) nodes;
    GR_VEC(gr_lineage_edge) edges;
} gr_lineage_draft;

/* lineage_graph.c */
void gr_lineage_draft_init(gr_lineage_draft *draft, gr_arena *arena);
/* The node of this kind and name; made when it is not there yet. */
size_t gr_lineage_draft_put(gr_lineage_draft *draft, gr_lineage_kind kind, gr_str name, gr_str label, gr_str detail);
size_t gr_lineage_draft_find(const gr_lineage_draft *draft, gr_lineage_kind kind, gr_str name); /* SIZE_MAX: none */
size_t gr_lineage_draft_find_id(const gr_lineage_draft *draft, gr_str id);
void gr_lineage_draft_link(gr_lineage_draft *draft, size_t from, size_t to);
/* The starts, all that they come from, all that is made of them, and every edge between those. No starts: everything.
 * Nodes by kind and id, edges by their ends, each once: the order in which things were put does not show. */
gr_lineage gr_lineage_draft_around(const gr_lineage_draft *draft, const size_t *starts, size_t n, gr_arena *arena);

/* lineage_parts.c. The model comes first, then cubes, then entities. */
void gr_lineage_draft_add_model(gr_lineage_draft *draft, const gr_snapshot *snapshot);
/* What the cube reads: "orders", "sql of orders". */
size_t gr_lineage_draft_put_table(gr_lineage_draft *draft, const gr_cube *cube);
/* `rollup`: what the model in service has of it, or NULL. */
void gr_lineage_draft_add_entity(gr_lineage_draft *draft, const gr_model *model, const gr_entity_view *view,
                                 const gr_rollup *rollup);
/* A cube by API; entities link themselves to it. */
void gr_lineage_draft_add_cube(gr_lineage_draft *draft, const gr_model *model, const gr_node_row *row);
#endif
