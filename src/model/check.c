/* What can only be seen of the whole: circles, primary keys of joined cubes, connected components, names that collide
 * in SQL. Invariant: no walk here recurses, however long a chain of definitions is. */
#include "model/loader.h"

#include "base/mem.h"

#include <stdlib.h>

/* ---- circles ---------------------------------------------------------------------------------------------------- */

typedef GR_VEC(uint32_t) edge_list;

typedef struct frame {
    uint32_t node;
    size_t next; /* edge */
} frame;

/* Depth first with a stack of its own; `report` is told each circle as stack[from..n). */
static void find_circles(gr_loader *l, edge_list *edges, size_t n,
                         void (*report)(gr_loader *l, const frame *circle, size_t length)) {
    enum { NEW, OPEN, DONE };
    unsigned char *state = gr_mem_calloc(n + 1, 1);
    frame *stack = gr_mem_calloc(n + 1, sizeof *stack);
    for (size_t start = 0; start < n; start++) {
        if (state[start] != NEW) continue;
        size_t depth = 0;
        stack[depth++] = (frame){(uint32_t)start, 0};
        state[start] = OPEN;
        while (depth) {
            frame *top = &stack[depth - 1];
            if (top->next == edges[top->node].n) {
                state[top->node] = DONE;
                depth--;
                continue;
            }
            uint32_t to = edges[top->node].v[top->next++];
            if (state[to] == NEW) {
                state[to] = OPEN;
                stack[depth++] = (frame){to, 0};
            } else if (state[to] == OPEN) {
                size_t from = depth - 1;
                while (stack[from].node != to) from--;
                report(l, stack + from, depth - from);
            }
        }
    }
    free(state);
    free(stack);
}

static void add_name(gr_buf *out, gr_str name) {
    if (out->n) gr_buf_z(out, " -> ");
    gr_buf_add(out, name);
}

static void report_member_circle(gr_loader *l, const frame *circle, size_t length) {
    gr_buf chain;
    gr_buf_init(&chain, 700);
    for (size_t i = 0; i <= length; i++) add_name(&chain, l->members[circle[i % length].node]->id);
    gr_member *m = l->members[circle[0].node];
    l->at = gr_draft_of(m)->source;
    l->is_inherited = gr_draft_of(m)->is_inherited;
    gr_diag *d = gr_model_report(l, GR_ERR_MODEL_CYCLE, m->sql ? m->sql->loc : m->loc,
                                 "Members refer to each other in a circle: " GR_FMT, GR_ARG(gr_buf_str(&chain)));
    if (length == 1)
        gr_model_hint(l, d, "for the column of the table, write {CUBE}." GR_FMT, GR_ARG(m->name));
    else
        gr_model_hint(l, d, "one of them has to be written over columns: {CUBE}.column");
    l->at = NULL;
    l->is_inherited = false;
    gr_buf_done(&chain);
}

static void report_cube_circle(gr_loader *l, const frame *circle, size_t length) {
    gr_buf chain;
    gr_buf_init(&chain, 700);
    for (size_t i = 0; i <= length; i++) add_name(&chain, l->model->cubes[circle[i % length].node]->name);
    const gr_cube *c = l->model->cubes[circle[0].node];
    const gr_expr *sql = c->sql ? c->sql : c->sql_table;
    gr_diags_error(l->diags, GR_ERR_MODEL_CYCLE, sql ? sql->loc : c->loc,
                   GR_FMT " cube: The SQL of cubes refers to itself: " GR_FMT, GR_ARG(c->name),
                   GR_ARG(gr_buf_str(&chain)));
    gr_buf_done(&chain);
}

static void add_edge(gr_loader *l, edge_list *edges, uint32_t from, uint32_t to, bool is_reversed) {
    if (is_reversed)
        GR_PUSH(l->scratch, &edges[to], from);
    else
        GR_PUSH(l->scratch, &edges[from], to);
}

/* From each member to those that it needs, or the other way round. */
static edge_list *member_edges(gr_loader *l, bool is_reversed) {
    edge_list *edges = GR_NEW_N(l->scratch, edge_list, l->model->n_members + 1);
    for (size_t i = 0; i < l->model->n_members; i++) {
        const gr_draft *d = gr_draft_of(l->members[i]);
        for (size_t e = 0; e < d->exprs.n; e++)
            for (size_t k = 0; k < d->exprs.v[e]->n_parts; k++) {
                const gr_member *to = d->exprs.v[e]->parts[k].member;
                if (to) add_edge(l, edges, (uint32_t)i, to->index, is_reversed);
            }
        for (size_t k = 0; k < d->refs.n; k++) add_edge(l, edges, (uint32_t)i, d->refs.v[k]->index, is_reversed);
    }
    return edges;
}

void gr_model_spread(gr_loader *l, bool *marks) {
    size_t n = l->model->n_members, n_open = 0;
    edge_list *users = member_edges(l, true);
    uint32_t *open = gr_mem_calloc(n + 1, sizeof *open);
    for (size_t i = 0; i < n; i++)
        if (marks[i]) open[n_open++] = (uint32_t)i;
    while (n_open) {
        const edge_list *next = &users[open[--n_open]];
        for (size_t i = 0; i < next->n; i++) {
            if (marks[next->v[i]]) continue;
            marks[next->v[i]] = true;
            open[n_open++] = next->v[i];
        }
    }
    free(open);
}

static void check_circles(gr_loader *l) {
    size_t n = l->model->n_members;
    find_circles(l, member_edges(l, false), n, report_member_circle);
    edge_list *edges;
    n = l->model->n_cubes;
    edges = GR_NEW_N(l->scratch, edge_list, n + 1);
    for (size_t i = 0; i < n; i++) {
        const gr_cube *c = l->model->cubes[i];
        const gr_expr *sql = c->sql ? c->sql : c->sql_table;
        for (size_t k = 0; sql && k < sql->n_parts; k++)
            if (sql->parts[k].kind == GR_PART_CUBE_SQL && sql->parts[k].cube)
                GR_PUSH(l->scratch, &edges[i], sql->parts[k].cube->index);
    }
    find_circles(l, edges, n, report_cube_circle);
}

/* ---- joins ------------------------------------------------------------------------------------------------------ */

/* Measures that are wrong when a join multiplies rows, unless the rows can be told apart by a key. */
static bool needs_key(const gr_member *m) {
    return (m->agg == GR_MEASURE_COUNT && !m->sql) || m->agg == GR_MEASURE_SUM || m->agg == GR_MEASURE_AVG ||
           m->agg == GR_MEASURE_NUMBER;
}

static void check_key(gr_loader *l, const gr_cube *cube, const gr_join *join, bool *seen) {
    if (seen[cube->index]) return;
    seen[cube->index] = true;
    if (cube->n_primary_keys) return;
    for (size_t i = 0; i < cube->n_measures; i++) {
        if (!needs_key(cube->measures[i])) continue;
        gr_diag *d = gr_model_report(l, GR_ERR_MODEL_JOIN, join->loc,
                                     "primary key for '" GR_FMT
                                     "' is required when join is defined in order to make aggregates work properly",
                                     GR_ARG(cube->name));
        gr_model_hint(l, d, "add primary_key: true to the dimension that identifies a row of '" GR_FMT "'",
                      GR_ARG(cube->name));
        return;
    }
}

static void check_keys(gr_loader *l) {
    bool *seen = gr_mem_calloc(l->model->n_cubes + 1, sizeof *seen);
    for (size_t i = 0; i < l->order.n; i++) {
        l->at = l->order.v[i];
        const gr_cube *c = l->at->cube;
        for (size_t k = 0; k < c->n_joins; k++) {
            check_key(l, c, &c->joins[k], seen);
            check_key(l, c->joins[k].to, &c->joins[k], seen);
        }
    }
    l->at = NULL;
    free(seen);
}

static uint32_t find_root(uint32_t *up, uint32_t i) {
    while (up[i] != i) i = up[i] = up[up[i]];
    return i;
}

static void set_components(gr_model *model) {
    uint32_t *up = gr_mem_calloc(model->n_cubes + 1, sizeof *up),
             *number = gr_mem_calloc(model->n_cubes + 1, sizeof *number), n = 0;
    for (size_t i = 0; i < model->n_cubes; i++) up[i] = (uint32_t)i;
    for (size_t i = 0; i < model->n_cubes; i++) {
        const gr_cube *c = model->cubes[i];
        for (size_t k = 0; k < c->n_joins; k++) up[find_root(up, c->joins[k].to->index)] = find_root(up, c->index);
        /* A view belongs to the cubes behind it. */
        if (c->n_view_cubes) up[find_root(up, c->index)] = find_root(up, c->view_cubes[0]->index);
    }
    for (size_t i = 0; i < model->n_cubes; i++) {
        uint32_t root = find_root(up, (uint32_t)i);
        if (!number[root]) number[root] = ++n;
        model->cubes[i]->component = number[root];
    }
    free(up);
    free(number);
}

/* ---- names in SQL ----------------------------------------------------------------------------------------------- */

static void check_aliases(gr_loader *l) {
    gr_map aliases;
    gr_map_init(&aliases, l->scratch);
    for (size_t i = 0; i < l->model->n_cubes; i++) {
        gr_cube *c = l->model->cubes[i];
        if (gr_map_put(&aliases, c->alias, c)) continue;
        const gr_cube *first = gr_map_get(&aliases, c->alias);
        gr_diag *d = gr_diags_error(l->diags, GR_ERR_MODEL_DUPLICATE, c->loc,
                                    "'" GR_FMT "' and '" GR_FMT "' have the same alias in SQL, '" GR_FMT "'",
                                    GR_ARG(first->name), GR_ARG(c->name), GR_ARG(c->alias));
        gr_model_hint(l, d, "give one of them another sql_alias or name");
    }
}

static void check_columns(gr_loader *l, const gr_cube *c) {
    gr_map columns;
    gr_map_init(&columns, l->scratch);
    for (size_t i = 0; i < c->members.n; i++) {
        gr_member *m = c->members.entries[i].value;
        if (gr_map_put(&columns, m->column, m)) continue;
        const gr_member *first = gr_map_get(&columns, m->column);
        l->is_inherited = gr_draft_of(m)->is_inherited;
        gr_diag *d = gr_model_report(l, GR_ERR_MODEL_DUPLICATE, m->loc,
                                     "'" GR_FMT "' and '" GR_FMT "' have the same column in SQL, '" GR_FMT "'",
                                     GR_ARG(first->name), GR_ARG(m->name), GR_ARG(m->column));
        gr_model_hint(l, d, "give one of them another name");
        l->is_inherited = false;
    }
    gr_map tables;
    gr_map_init(&tables, l->scratch);
    for (size_t i = 0; i < c->n_preaggs; i++) {
        if (gr_map_put(&tables, c->preaggs[i]->alias, c->preaggs[i])) continue;
        const gr_preagg *first = gr_map_get(&tables, c->preaggs[i]->alias);
        gr_diag *d = gr_model_report(l, GR_ERR_MODEL_DUPLICATE, c->preaggs[i]->loc,
                                     "pre-aggregations '" GR_FMT "' and '" GR_FMT "' have the same table name",
                                     GR_ARG(first->name), GR_ARG(c->preaggs[i]->name));
        gr_model_hint(l, d, "give one of them another sql_alias or name");
    }
}

void gr_model_check(gr_loader *l) {
    check_circles(l);
    gr_model_check_sub_query_uses(l);
    check_keys(l);
    set_components(l->model);
    check_aliases(l);
    for (size_t i = 0; i < l->order.n; i++) {
        l->at = l->order.v[i];
        check_columns(l, l->at->cube);
    }
    l->at = NULL;
}
