/* Joins: declared edges from one cube to another, and ways over them. Invariant: a join that is kept has both its
 * cubes, is the only one of its ordered pair, and is not a loop on one cube. */
#include "model/loader.h"

#include "base/mem.h"

#include <stdlib.h>

static const struct {
    gr_str name;
    gr_relationship relationship;
} relationships[] = {
    {GR_STR_INIT("belongs_to"), GR_JOIN_MANY_TO_ONE}, {GR_STR_INIT("many_to_one"), GR_JOIN_MANY_TO_ONE},
    {GR_STR_INIT("has_many"), GR_JOIN_ONE_TO_MANY},   {GR_STR_INIT("one_to_many"), GR_JOIN_ONE_TO_MANY},
    {GR_STR_INIT("has_one"), GR_JOIN_ONE_TO_ONE},     {GR_STR_INIT("one_to_one"), GR_JOIN_ONE_TO_ONE},
};
static const char *const relationship_rule =
    "must be one of [belongsTo, belongs_to, many_to_one, manyToOne, hasMany, has_many, one_to_many, oneToMany, hasOne, "
    "has_one, one_to_one, oneToOne]";

static bool read_relationship(gr_loader *l, const gr_fields *f, gr_relationship *ret) {
    if (!gr_fields_has(f, GR_KEY_JOIN_RELATIONSHIP)) {
        gr_model_required(l, f, GR_KEY_JOIN_RELATIONSHIP);
        return false;
    }
    gr_str text = gr_fields_text(f, GR_KEY_JOIN_RELATIONSHIP);
    for (size_t i = 0; i < sizeof relationships / sizeof *relationships; i++) {
        if (!gr_model_key_matches(relationships[i].name, text)) continue;
        *ret = relationships[i].relationship;
        return true;
    }
    if (gr_fields_get(f, GR_KEY_JOIN_RELATIONSHIP))
        gr_model_bad_value(l, f, GR_KEY_JOIN_RELATIONSHIP, relationship_rule);
    return false;
}

static const gr_cube *read_target(gr_loader *l, const gr_item *item) {
    const gr_cube *from = l->at->cube, *to = gr_map_get(&l->model->by_name, item->name);
    gr_diag *d;
    if (!to) {
        d = gr_model_report(l, GR_ERR_MODEL_JOIN, item->loc, "Cube " GR_FMT " doesn't exist", GR_ARG(item->name));
        gr_model_hint_nearest(l, d, item->name, &l->model->by_name);
        return NULL;
    }
    if (to->is_view) {
        gr_model_report(l, GR_ERR_MODEL_JOIN, item->loc, "'" GR_FMT "' is a view, and a join leads to a cube",
                        GR_ARG(to->name));
        return NULL;
    }
    if (to == from) {
        d = gr_model_report(l, GR_ERR_MODEL_JOIN, item->loc, "'" GR_FMT "' is joined to itself", GR_ARG(to->name));
        gr_model_hint(l, d, "make a second cube that extends it, and join that");
        return NULL;
    }
    return to;
}

static void make_joins(gr_loader *l, gr_source *s) {
    gr_cube *cube = s->cube;
    const gr_items *items = &s->sections[GR_SECTION_JOINS];
    cube->joins = GR_NEW_N(l->arena, gr_join, items->n + 1);
    for (size_t i = 0; i < items->n; i++) {
        const gr_item *item = &items->v[i];
        gr_place list = {NULL, GR_STR("joins"), -1}, place = {&list, {0}, item->index};
        gr_fields f;
        l->is_inherited = item->is_inherited;
        gr_model_fields_read(l, item->node, GR_CONTEXT_JOIN, &place, &f);
        gr_join join = {.from = cube, .to = read_target(l, item), .loc = item->loc};
        bool is_good = read_relationship(l, &f, &join.relationship);
        if (!gr_fields_has(&f, GR_KEY_JOIN_SQL)) gr_model_required(l, &f, GR_KEY_JOIN_SQL);
        gr_expr *sql = gr_model_fields_sql(l, &f, GR_KEY_JOIN_SQL);
        join.sql = sql;
        if (!join.to || !sql || !is_good) continue;
        gr_join *kept = &cube->joins[cube->n_joins++];
        *kept = join;
        gr_model_add_binding(l, sql, GR_ROLE_JOIN, NULL, kept);
    }
    l->is_inherited = false;
}

void gr_model_make_joins(gr_loader *l) {
    for (size_t i = 0; i < l->order.n; i++) {
        l->at = l->order.v[i];
        if (!l->at->is_view) make_joins(l, l->order.v[i]);
    }
    l->at = NULL;
}

/* ---- ways ------------------------------------------------------------------------------------------------------- */

const gr_join *gr_model_join_between(const gr_cube *from, const gr_cube *to) {
    for (size_t i = 0; i < from->n_joins; i++)
        if (from->joins[i].to == to) return &from->joins[i];
    return NULL;
}

/* The shortest way over declared joins, breadth first; appends the cubes behind `from` to `out`, or returns false. */
static bool walk(const gr_model *model, const gr_cube *from, const gr_cube *to, const gr_cube **out, size_t *n_out) {
    const gr_cube **came = gr_mem_calloc(model->n_cubes, sizeof *came);
    const gr_cube **queue = gr_mem_calloc(model->n_cubes, sizeof *queue);
    size_t head = 0, tail = 0;
    came[from->index] = from;
    queue[tail++] = from;
    while (head < tail && !came[to->index]) {
        const gr_cube *at = queue[head++];
        for (size_t i = 0; i < at->n_joins; i++) {
            const gr_cube *next = at->joins[i].to;
            if (came[next->index]) continue;
            came[next->index] = at;
            queue[tail++] = next;
        }
    }
    bool is_found = came[to->index] && to != from;
    if (is_found) {
        size_t n = 0;
        for (const gr_cube *c = to; c != from; c = came[c->index]) n++;
        *n_out += n;
        size_t at = *n_out;
        for (const gr_cube *c = to; c != from; c = came[c->index]) out[--at] = c;
    }
    free(came);
    free(queue);
    return is_found;
}

bool gr_model_expand_path(gr_loader *l, const gr_cube *const *cubes, size_t n, gr_path *ret, size_t *ret_broken) {
    size_t most = n, at = 1;
    for (size_t i = 1; i < n; i++) most += gr_model_join_between(cubes[i - 1], cubes[i]) ? 0 : l->model->n_cubes;
    const gr_cube **way = gr_mem_calloc(most, sizeof *way);
    bool is_whole = true;
    way[0] = cubes[0];
    for (size_t i = 1; i < n && is_whole; i++) {
        if (gr_model_join_between(cubes[i - 1], cubes[i])) {
            way[at++] = cubes[i];
        } else if (!walk(l->model, cubes[i - 1], cubes[i], way, &at)) {
            *ret_broken = i;
            is_whole = false;
        }
    }
    if (is_whole) {
        *ret = (gr_path){GR_NEW_N(l->arena, const gr_cube *, at), at};
        memcpy(ret->cubes, way, at * sizeof *way);
    }
    free(way);
    return is_whole;
}
