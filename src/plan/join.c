/* rollup_join (cube.md 4.9): a rollup that is no table of its own, but tables of other rollups, joined when a query
 * asks.
 *
 *      visitors_rollup (visitor_id, source)  --visitor_id = visitor_id-->  checkins_rollup (visitor_id; count)
 *
 * Each hop between two parts is a declared join over dimensions that both parts store. Measures come from one part;
 * seen from it, every other part has at most one row for a row of the join, because it is met on the primary key of the
 * only cube that it stores. Otherwise the definition is refused: the join would multiply what is summed. */
#include "plan/internal.h"

static bool problem(gr_rollup *r, gr_status status, gr_str text) {
    r->can_build = false;
    r->problem = status;
    r->problem_text = text;
    return false;
}

static const gr_rollup_column *column_in(const gr_rollup *part, const gr_member *member, const gr_granularity *g) {
    for (size_t i = 0; i < part->n_columns; i++) {
        const gr_rollup_column *c = &part->columns[i];
        if (c->member != member || (c->granularity != NULL) != (g != NULL)) continue;
        if (!g || gr_granularity_eq(c->granularity, g)) return c;
    }
    return NULL;
}

static bool place_columns(gr_plan_index *index, gr_rollup *r, gr_arena *arena) {
    const gr_preagg *p = r->preagg;
    for (size_t i = 0; i < r->n_columns; i++) {
        gr_rollup_column *c = &r->columns[i];
        const gr_rollup_column *found = NULL;
        for (size_t k = 0; k < p->n_rollups && !found; k++) {
            const gr_rollup *part = index->rollups[p->rollups[k]->index].entity;
            found = column_in(part, c->member, c->granularity);
            if (found) c->part = part;
        }
        if (!found)
            return problem(
                r, GR_ERR_PLAN_UNSUPPORTED,
                gr_arena_printf(arena, "'" GR_FMT "' is stored in none of its rollups", GR_ARG(c->member->id)));
        c->name = found->name;
        c->is_instant = found->is_instant;
    }
    return true;
}

/* All measures from one part, whose key is free to repeat. */
static bool place_components(gr_plan_index *index, gr_rollup *r, const gr_rollup **ret_part, gr_arena *arena) {
    const gr_preagg *p = r->preagg;
    for (size_t i = 0; i < r->n_components; i++) {
        gr_rollup_component *c = &r->components[i];
        for (size_t k = 0; k < p->n_rollups && !c->part; k++) {
            const gr_rollup *part = index->rollups[p->rollups[k]->index].entity;
            for (size_t j = 0; j < part->n_components && !c->part; j++) {
                if (!gr_str_eq(part->components[j].component.stored_key, c->component.stored_key)) continue;
                c->part = part;
                c->name = part->components[j].name;
            }
        }
        if (!c->part)
            return problem(r, GR_ERR_PLAN_UNSUPPORTED,
                           gr_arena_printf(arena, "'" GR_FMT "' is stored in none of its rollups",
                                           GR_ARG(c->component.measure->id)));
        if (*ret_part && *ret_part != c->part)
            return problem(r, GR_ERR_PLAN_FAN_OUT, GR_STR("its measures come from more than one of its rollups"));
        if (!gr_component_is_mergeable(c->component.agg))
            return problem(r, GR_ERR_PLAN_UNSUPPORTED,
                           gr_arena_printf(arena, "'" GR_FMT "' cannot be merged", GR_ARG(c->component.measure->id)));
        *ret_part = c->part;
    }
    return true;
}

static const gr_rollup *part_of_cube(const gr_plan_index *index, const gr_rollup *r, const gr_cube *cube) {
    for (size_t k = 0; k < r->preagg->n_rollups; k++) {
        const gr_rollup *part = index->rollups[r->preagg->rollups[k]->index].entity;
        if (part->tree.n && part->tree.nodes[0].cube == cube) return part;
    }
    return NULL;
}

/* `{CUBE.x} = {other.y}`, also several ANDed: pairs of dimensions, left of the declaring cube. */
static bool read_keys(const gr_join *join, gr_arena *arena, gr_rollup_link *link, const gr_rollup *from,
                      const gr_rollup *to) {
    const gr_member *left[8], *right[8];
    size_t n_left = 0, n_right = 0;
    for (size_t i = 0; i < join->sql->n_parts; i++) {
        const gr_part *part = &join->sql->parts[i];
        if (part->kind == GR_PART_TEXT) {
            gr_str text = gr_str_trim(part->text);
            bool is_plain = text.n == 0 || gr_str_eq_z(text, "=") || gr_str_eq_nocase(text, GR_STR("and"));
            if (!is_plain) return false;
            continue;
        }
        if (part->kind != GR_PART_MEMBER || part->granularity || n_left == 8 || n_right == 8) return false;
        if (part->member->cube == join->from)
            left[n_left++] = part->member;
        else
            right[n_right++] = part->member;
    }
    if (!n_left || n_left != n_right) return false;
    link->from_columns = GR_NEW_N(arena, const gr_rollup_column *, n_left);
    link->to_columns = GR_NEW_N(arena, const gr_rollup_column *, n_left);
    for (size_t i = 0; i < n_left; i++) {
        link->from_columns[i] = column_in(from, left[i], NULL);
        link->to_columns[i] = column_in(to, right[i], NULL);
        if (!link->from_columns[i] || !link->to_columns[i]) return false;
    }
    link->n = n_left;
    return true;
}

/* The part stores one cube, and these columns are exactly its primary key. */
static bool is_met_on_key(const gr_rollup *part, const gr_rollup_column *const *columns, size_t n) {
    const gr_cube *cube = part->tree.nodes[0].cube;
    if (cube->n_primary_keys == 0 || cube->n_primary_keys > n) return false;
    for (size_t i = 0; i < part->n_columns; i++)
        for (size_t k = 0; k < part->columns[i].n_cubes; k++) {
            uint32_t node = gr_tree_find(&part->tree, part->columns[i].cubes[k]);
            if (node == GR_TREE_NONE || gr_tree_multiplies(&part->tree, 0, node)) return false;
        }
    for (size_t k = 0; k < cube->n_primary_keys; k++) {
        bool is_there = false;
        for (size_t i = 0; i < n; i++) is_there |= columns[i]->member == cube->primary_keys[k];
        if (!is_there) return false;
    }
    return true;
}

static bool add_link(gr_plan_index *index, gr_rollup *r, uint32_t node, gr_arena *arena) {
    const gr_join *join = r->tree.nodes[node].join;
    const gr_rollup *from = part_of_cube(index, r, join->from), *to = part_of_cube(index, r, join->to);
    if (!to || !from)
        return problem(r, GR_ERR_PLAN_UNSUPPORTED,
                       gr_arena_printf(arena,
                                       "No rollups found that can be used for a rollup join from \"" GR_FMT
                                       "\" to \"" GR_FMT "\"",
                                       GR_ARG(join->from->name), GR_ARG(join->to->name)));
    gr_rollup_link *link = &r->links[r->n_links];
    *link = (gr_rollup_link){.from = from, .to = to};
    if (!read_keys(join, arena, link, from, to))
        return problem(r, GR_ERR_PLAN_UNSUPPORTED,
                       gr_arena_printf(arena,
                                       "the join from \"" GR_FMT "\" to \"" GR_FMT
                                       "\" does not compare dimensions that both rollups store. Please make sure join "
                                       "fields are referencing dimensions instead of columns",
                                       GR_ARG(join->from->name), GR_ARG(join->to->name)));
    r->n_links++;
    return true;
}

/* Seen from the part with the measures, no hop meets several rows for one. */
static bool check_fan_out(gr_rollup *r, const gr_rollup *measured, gr_arena *arena) {
    const gr_rollup *seen[64] = {measured};
    size_t n_seen = 1;
    for (size_t round = 0; round < r->n_links; round++)
        for (size_t i = 0; i < r->n_links; i++) {
            const gr_rollup_link *l = &r->links[i];
            bool has_from = false, has_to = false;
            for (size_t k = 0; k < n_seen; k++) {
                has_from |= seen[k] == l->from;
                has_to |= seen[k] == l->to;
            }
            if (has_from == has_to) continue;
            const gr_rollup *next = has_from ? l->to : l->from;
            if (!is_met_on_key(next, has_from ? l->to_columns : l->from_columns, l->n))
                return problem(r, GR_ERR_PLAN_FAN_OUT,
                               gr_arena_printf(arena,
                                               "'" GR_FMT "' is not met on its whole primary key, so the join "
                                               "would multiply the measures",
                                               GR_ARG(next->preagg->id)));
            if (n_seen < 64) seen[n_seen++] = next;
        }
    return true;
}

bool gr_rollup_join_prepare(gr_plan_index *index, gr_rollup *r, gr_arena *arena) {
    const gr_preagg *p = r->preagg;
    for (size_t k = 0; k < p->n_rollups; k++) {
        const gr_rollup *part = index->rollups[p->rollups[k]->index].entity;
        if (!part->can_build || part->n_facts != 1 || part->n_filters || part->has_build_range)
            return problem(r, GR_ERR_PLAN_UNSUPPORTED,
                           gr_arena_printf(arena,
                                           "its rollup '" GR_FMT "' cannot be built, or has filters or a build range",
                                           GR_ARG(p->rollups[k]->id)));
        r->depends_on_zone |= part->depends_on_zone;
    }
    if (r->n_facts != 1) return problem(r, GR_ERR_PLAN_UNSUPPORTED, GR_STR("its members have no common join tree"));
    const gr_rollup *measured = NULL;
    if (!place_columns(index, r, arena) || !place_components(index, r, &measured, arena)) return false;
    r->links = GR_NEW_N(arena, gr_rollup_link, r->tree.n + 1);
    for (uint32_t i = 1; i < r->tree.n; i++)
        if (!add_link(index, r, i, arena)) return false;
    if (r->n_links == 0) return problem(r, GR_ERR_PLAN_UNSUPPORTED, GR_STR("Nothing to join in rollup join"));
    return !measured || check_fan_out(r, measured, arena);
}
