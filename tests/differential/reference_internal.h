/* Parts of the reference evaluator: trees of joins and facts (reference_tree.c), conditions on a row
 * (reference_filter.c), rolling windows (reference_window.c), measures over measures (reference_stage.c), and the
 * groups that they meet in (reference.c). */
#ifndef DIFFERENTIAL_REFERENCE_INTERNAL_H
#define DIFFERENTIAL_REFERENCE_INTERNAL_H
#include "differential/evaluate.h"
#include "differential/reference.h"

/* ---- joins ----------------------------------------------------------------------------------------------------------
 */

typedef struct diff_tree {
    size_t root;
    bool has[DIFF_MAX_CUBES];
    size_t order[DIFF_MAX_CUBES]; /* parents before children */
    size_t n;
    size_t parent[DIFF_MAX_CUBES];
    const diff_join *join[DIFF_MAX_CUBES]; /* from the parent to it; NULL for the root */
} diff_tree;

typedef GR_VEC(diff_leaf) diff_leaves;
typedef struct diff_measure_id {
    size_t cube, index;
} diff_measure_id;
typedef GR_VEC(diff_measure_id) diff_measure_ids;
/* A root, its joins, and what is computed over their rows. */
typedef struct diff_fact {
    diff_tree tree;
    diff_leaves leaves;
} diff_fact;
typedef GR_VEC(diff_fact) diff_facts;
typedef GR_VEC(diff_joined) diff_joins;

size_t diff_cube_of(const diff_world *world, const gr_member *member);
size_t diff_index_of(const diff_world *world, const gr_member *member);
bool diff_has_leaf(const diff_leaves *leaves, const diff_leaf *leaf);
/* Everything that aggregates in a measure, and the multi-stage measures in it, each once. `stages` may be NULL. */
void diff_leaves_of(const diff_world *world, size_t cube, size_t index, gr_arena *arena, diff_leaves *out,
                    diff_measure_ids *stages);
/* What the whole query computes, also below stages and through windows: where one tree reaches all of it, every
 * relation below the query is read from that tree's root. */
typedef struct diff_frame {
    diff_leaves leaves;
    bool has_tree;
    diff_tree tree;
    const gr_query *query; /* whose conditions sub queries take over */
    struct diff_sub_query *sub_queries;
    gr_status due; /* a sub query cannot be answered */
    bool is_unsure;
} diff_frame;
void diff_find_frame(const diff_world *world, const gr_query *query, const diff_measure_ids *measures, gr_arena *arena,
                     diff_frame *ret);
/* Where leaves and the members that the query shares between them are computed (cube.md 5.1; several facts). */
gr_status diff_find_facts(const diff_world *world, const gr_query *query, const diff_leaves *leaves, diff_frame *frame,
                          gr_arena *arena, diff_facts *ret);
/* The tree of the conditions and one time dimension alone. */
gr_status diff_find_probe(const diff_world *world, const gr_query *query, const gr_time_field *time, gr_arena *arena,
                          diff_tree *ret);
bool diff_tree_for_dimension(const diff_world *world, size_t root, size_t cube, size_t dim, gr_arena *arena,
                             diff_tree *ret);
/* Rows of this cube may stand several times in the joined rows (5.2). */
bool diff_repeats(const diff_tree *tree, size_t cube);
/* A leaf of a repeated cube that cannot be computed over distinct keys (5.3). */
bool diff_cannot_fan_out(const diff_world *world, const diff_tree *tree, const diff_leaf *leaf, gr_arena *arena);
/* Rows of `cube` are repeated by those of a cube that `by` is read from. */
bool diff_repeats_by(const diff_world *world, const diff_tree *tree, size_t cube, const gr_field *by, gr_arena *arena);
/* All rows of the tree from its `at`-th cube on. */
void diff_join_rows(const diff_world *world, const diff_tree *tree, size_t at, diff_joined so_far, gr_arena *arena,
                    diff_joins *out);

/* ---- groups ---------------------------------------------------------------------------------------------------------
 */

typedef GR_VEC(const diff_joined *) diff_row_list;
typedef struct diff_group {
    diff_value *values;  /* of all columns */
    diff_row_list *rows; /* by fact */
} diff_group;
typedef GR_VEC(diff_group *) diff_groups;

/* A fact at work. */
typedef struct diff_source {
    diff_fact fact;
    const diff_window *window; /* or NULL */
    bool repeats[DIFF_MAX_CUBES];
    diff_joins joined;
} diff_source;

typedef struct diff_evaluation diff_evaluation;
typedef struct diff_inner diff_inner;
struct diff_evaluation {
    const diff_world *world;
    const gr_query *query;
    diff_frame *frame;
    gr_arena *arena;
    diff_scope scope;
    bool is_unsure;
    size_t n_keys; /* group columns */
    GR_VEC(diff_source) sources;
    diff_groups groups;
    gr_map by_key;
    const diff_group *group;        /* whose measures are being computed */
    const struct diff_shift *shift; /* or NULL */
    diff_inner *inner;              /* of the multi-stage measures met so far */
};
enum { DIFF_MOST_SOURCES = 12 };

/* Rows fall into the bucket of their time, moved: floor(granularity, floor(base, time) + interval). */
typedef struct diff_shift {
    size_t time; /* of the query; SIZE_MAX: none has buckets */
    const gr_granularity *base;
    gr_interval interval;
} diff_shift;

/* The groups of a query by what its measures need. Measure filters, order and limit are not looked at. */
gr_status diff_evaluate(const diff_world *world, const gr_query *query, const diff_measure_ids *measures,
                        diff_frame *frame, const diff_shift *shift, gr_arena *arena, diff_evaluation *ret);
diff_value diff_measure_in(diff_evaluation *e, const diff_group *group, size_t cube, size_t index);
/* The group of these key values, made when there is none. */
diff_group *diff_group_at(diff_evaluation *e, const diff_value *keys);
diff_value diff_key_value(diff_evaluation *e, const gr_query_column *column);
bool diff_local_time(const diff_evaluation *e, const gr_member *member, int64_t *ret);

/* `without_time`: index of a time dimension whose range is not asked for; SIZE_MAX: none. */
bool diff_row_passes(diff_evaluation *e, size_t without_time);
bool diff_filter_passes(diff_evaluation *e, const gr_filter *filter);

/* Index of the time dimension that windows look at; SIZE_MAX: none. */
size_t diff_window_time(const gr_query *query);
bool diff_same_window(const diff_window *a, const diff_window *b);
gr_status diff_add_window(diff_evaluation *e, const diff_leaves *leaves);

/* Rows of the sources from `first` on that are repeated for several buckets of this time would be counted more than
 * once when those are merged. */
gr_status diff_check_repeats(const diff_evaluation *e, size_t first, const gr_time_field *time);
gr_status diff_add_source(diff_evaluation *e, const diff_leaves *leaves, const diff_window *window, size_t *ret_first);
/* Plans the relations below a multi-stage measure, and makes the groups that it brings. */
gr_status diff_add_stage(diff_evaluation *e, diff_measure_id measure);
/* The group columns of a query that has been changed. */
void diff_list_columns(gr_query *query);
diff_value diff_sub_query_value(void *evaluation, size_t cube, size_t index, int32_t row);
diff_value diff_stage_value(void *evaluation, size_t cube, size_t index);
#endif
