/* What the files of this room share. */
#ifndef GR_PLAN_INTERNAL_H
#define GR_PLAN_INTERNAL_H
#include "base/buf.h"
#include "plan/plan.h"

enum { GR_TREE_NONE = UINT32_MAX };

/* ---- tree.c ---- */
typedef GR_VEC(gr_path) gr_paths;
/* Add the path of a member and of every foreign member that its expressions need. */
void gr_tree_collect(const gr_member *member, gr_path path, gr_arena *arena, gr_paths *out);
GR_MUST_CHECK gr_status gr_tree_build(const gr_paths *paths, size_t n_cubes, gr_arena *arena, gr_tree *ret,
                                      gr_error *err);
uint32_t gr_tree_find(const gr_tree *tree, const gr_cube *cube);
/* The cube hangs in both trees by the same chain of joins from the same root. */
bool gr_tree_same_way(const gr_tree *a, uint32_t node_a, const gr_tree *b, uint32_t node_b);

/* All nodes of both, those of `a` first and in its order; false when a cube hangs in them by different ways. */
bool gr_tree_union(const gr_tree *a, const gr_tree *b, gr_arena *arena, gr_tree *ret);

/* ---- component.c ---- */
/* Canonical text of a member's expression, with cube names for aliases. */
void gr_component_canonical(const gr_member *member, gr_buf *out);
void gr_component_index(gr_plan_index *index, gr_arena *arena); /* fills index->components */

/* ---- index.c ---- */
struct gr_plan_index {
    const gr_model *model;
    gr_rollup *rollups;        /* by preagg index */
    gr_components *components; /* by member index; empty for what is no measure */
};

/* ---- derive.c ---- */
/* The text between holes uses only literals, operators, keywords and calls of deterministic functions: no raw column.
 */
bool gr_derive_text_is_portable(gr_str text);

/* ---- match.c ---- */
/* Decide whether `rollup` can serve the plan's query by definition; on success fills the plan's match fields. */
bool gr_match_rollup(gr_plan *plan, const gr_rollup *rollup, gr_refusal *ret_refusal);
/* With what is built: the zone proof of instant columns. */
bool gr_match_zone(const gr_plan *plan, const gr_rollup *rollup, const gr_rollup_state *state, gr_refusal *ret_refusal);
#endif
