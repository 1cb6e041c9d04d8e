/* The cubes that a query names, each once, in the order in which the reference collects them. A member of a view brings
 * every cube of its join path, root first: that is where its rows come from. */
#include "query/internal.h"

typedef struct collection {
    gr_arena *arena;
    bool *has; /* by index of the cube */
    size_t n_cubes;
    GR_VEC(const gr_cube *) list;
} collection;

static void add_field(collection *c, const gr_field *field) {
    for (size_t i = 0; i < field->path.n; i++) {
        const gr_cube *cube = field->path.cubes[i];
        if (cube->index >= c->n_cubes || c->has[cube->index]) continue;
        c->has[cube->index] = true;
        GR_PUSH(c->arena, &c->list, cube);
    }
}

/* As deep as the parser let it be. */
static void add_filters(collection *c, gr_filter *const *filters, size_t n) {
    for (size_t i = 0; i < n; i++) {
        if (filters[i]->kind == GR_FILTER_LEAF) add_field(c, &filters[i]->field);
        add_filters(c, filters[i]->children, filters[i]->n_children);
    }
}

size_t gr_query_cubes(const gr_query *q, gr_arena *arena, const gr_cube ***ret) {
    collection c = {.arena = arena, .n_cubes = q->model->n_cubes};
    c.has = GR_NEW_N(arena, bool, c.n_cubes);
    for (size_t i = 0; i < q->n_measures; i++) add_field(&c, &q->measures[i]);
    for (size_t i = 0; i < q->n_dimensions; i++) add_field(&c, &q->dimensions[i]);
    for (size_t i = 0; i < q->n_segments; i++) add_field(&c, &q->segments[i]);
    add_filters(&c, q->row_filters, q->n_row_filters);
    add_filters(&c, q->measure_filters, q->n_measure_filters);
    for (size_t i = 0; i < q->n_time_dimensions; i++) add_field(&c, &q->time_dimensions[i].field);
    *ret = c.list.v;
    return c.list.n;
}
