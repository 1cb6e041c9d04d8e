/* What is added to cubes that are all there: sub_query dimensions and what stands on them, and views. */
#include "differential/generate_expr.h"

/* ---- sub_query dimensions -------------------------------------------------------------------------------------------
 */

static bool has_one_key(const diff_cube *c) {
    size_t n = 0;
    for (size_t i = 0; i < c->n_dims; i++) n += c->dims[i].is_primary_key;
    return n > 0;
}

/* A leaf that numbers are compared with, and that reads its own cube alone. */
static size_t random_measure(diff_maker *m, size_t cube) {
    static const char *const names[] = {"count",   "count",     "num_sum",   "num_sum",    "num_max",  "num_min",
                                        "num_avg", "txt_kinds", "price_sum", "some_count", "price_max"};
    const diff_cube *c = &m->w->cubes[cube];
    for (int tries = 0; tries < 8; tries++) {
        const char *name = DIFF_ONE_OF(m->r, names);
        for (size_t i = 0; i < c->n_measures; i++)
            if (gr_str_eq_z(c->measures[i].name, name)) return i;
    }
    return 0;
}

static void add_sub_query(diff_maker *m, const char *name, bool is_second) {
    size_t to = diff_pick(m->r, m->w->n_cubes), way[DIFF_MAX_CUBES];
    if (to == m->cube || !diff_way_to(m->w, m->cube, to, way)) return;
    diff_expr *value = measure_ref(m, random_measure(m, to));
    value->cube = to;
    size_t at = diff_add_dim(m, name, DIFF_DIM_NUMBER, value);
    m->dims.v[at].is_sub_query = true;
    m->dims.v[at].propagates = diff_chance(m->r, 50);
    if (diff_chance(m->r, 40)) {
        diff_expr *e = arith(m, '+', member(m, m->cube, at), number(m, 1, 5));
        diff_add_dim(m, is_second ? "sub_other" : "sub_more", DIFF_DIM_NUMBER, e);
    }
    if (diff_chance(m->r, 40)) {
        diff_measure sum = {.name = gr_str_from(is_second ? "sub_total" : "sub_sum"), .type = DIFF_SUM};
        sum.sql = member(m, m->cube, at);
        if (diff_chance(m->r, 30)) sum.type = DIFF_MAX;
        GR_PUSH(m->arena, &m->measures, sum);
    }
    if (diff_chance(m->r, 30)) {
        diff_measure some = {
            .name = gr_str_from(is_second ? "sub_few" : "sub_some"), .type = DIFF_COUNT, .n_filters = 1};
        some.filters[0] = compare(m, DIFF_ONE_OF(m->r, comparisons), member(m, m->cube, at), number(m, 0, 3));
        GR_PUSH(m->arena, &m->measures, some);
    }
    if (diff_chance(m->r, 25)) {
        diff_segment s = {.name = gr_str_from(is_second ? "sub_part" : "sub_seg")};
        s.sql = compare(m, DIFF_ONE_OF(m->r, comparisons), member(m, m->cube, at), number(m, 0, 3));
        GR_PUSH(m->arena, &m->segments, s);
    }
}

void diff_add_sub_queries(diff_maker *m) {
    for (size_t cube = 0; cube < m->w->n_cubes; cube++) {
        diff_cube *c = &m->w->cubes[cube];
        if (!has_one_key(c) || !diff_chance(m->r, 60)) continue;
        m->cube = cube;
        m->dims.v = NULL, m->dims.n = m->dims.cap = 0;
        m->measures.v = NULL, m->measures.n = m->measures.cap = 0;
        m->segments.v = NULL, m->segments.n = m->segments.cap = 0;
        for (size_t i = 0; i < c->n_dims; i++) GR_PUSH(m->arena, &m->dims, c->dims[i]);
        for (size_t i = 0; i < c->n_measures; i++) GR_PUSH(m->arena, &m->measures, c->measures[i]);
        for (size_t i = 0; i < c->n_segments; i++) GR_PUSH(m->arena, &m->segments, c->segments[i]);
        add_sub_query(m, "sub_a", false);
        if (diff_chance(m->r, 40)) add_sub_query(m, "sub_b", true);
        c->dims = m->dims.v, c->n_dims = m->dims.n;
        c->measures = m->measures.v, c->n_measures = m->measures.n;
        c->segments = m->segments.v, c->n_segments = m->segments.n;
    }
}

/* ---- views ----------------------------------------------------------------------------------------------------------
 */

void diff_add_view(diff_maker *m) {
    static const char *const names[DIFF_MAX_VIEWS] = {"everything", "glance"};
    static const diff_prefix prefixes[] = {DIFF_PREFIXED, DIFF_PREFIXED, DIFF_ALIAS_PREFIXED, DIFF_RENAMED};
    diff_world *w = m->w;
    diff_view *v = &w->views[w->n_views];
    size_t root = diff_chance(m->r, 60) ? 0 : diff_pick(m->r, w->n_cubes);
    *v = (diff_view){.name = gr_str_from(names[w->n_views])};
    for (size_t k = 0; k < w->n_cubes; k++) {
        size_t cube = (root + k) % w->n_cubes; /* the root first */
        diff_view_part *part = &v->parts[v->n_parts];
        *part = (diff_view_part){.prefix = DIFF_ONE_OF(m->r, prefixes)};
        part->n_way = diff_way_to(w, root, cube, part->way);
        if (cube == root && diff_chance(m->r, 70)) part->prefix = DIFF_PLAIN;
        if (part->n_way && (cube == root || diff_chance(m->r, 85))) v->n_parts++;
    }
    w->n_views++;
}
