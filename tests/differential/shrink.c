/* Greedy shrinking. A step is kept when the case alone still gives the same verdict. */
#include "differential/shrink.h"

enum { MOST_TRIES = 700 };

typedef struct shrinker {
    diff_world *world;
    json_t *query;
    int64_t now_us;
    uint64_t seed;
    diff_verdict wanted;
    gr_status on, off; /* a case that fails otherwise is another case */
    size_t n_tries;
} shrinker;

static bool still_fails(shrinker *s) {
    if (s->n_tries++ >= MOST_TRIES) return false;
    gr_arena *scratch = gr_arena_new();
    diff_case c;
    diff_judge_alone(s->world, s->query, s->now_us, s->seed, scratch, &c);
    gr_arena_free(scratch);
    return c.verdict == s->wanted && c.on.status == s->on && c.off.status == s->off;
}

/* ---- flags ----------------------------------------------------------------------------------------------------------
 */

static bool try_flag(shrinker *s, bool *flag) {
    if (*flag) return false;
    *flag = true;
    if (still_fails(s)) return true;
    *flag = false;
    return false;
}

static bool drop_rollups(shrinker *s) {
    bool has_changed = false;
    for (size_t i = 0; i < s->world->n_cubes; i++)
        for (size_t k = 0; k < s->world->cubes[i].n_rollups; k++)
            has_changed |= try_flag(s, &s->world->cubes[i].rollups[k].is_dropped);
    return has_changed;
}

static bool drop_filters(shrinker *s, diff_rollup *r) {
    gr_str before = r->filters;
    if (r->n_parts) return false; /* not its own */
    r->filters = (gr_str){0};
    if (still_fails(s)) return true;
    r->filters = before;
    return false;
}

static bool drop_bound(shrinker *s, bool *has_bound) {
    if (!*has_bound) return false;
    *has_bound = false;
    if (still_fails(s)) return true;
    *has_bound = true;
    return false;
}

static bool drop_views(shrinker *s) {
    size_t before = s->world->n_views;
    if (!before) return false;
    s->world->n_views--; /* a query that names it is refused, which is another case */
    if (still_fails(s)) return true;
    s->world->n_views = before;
    return false;
}

static bool drop_items(shrinker *s) {
    bool has_changed = false;
    for (size_t i = 0; i < s->world->n_cubes; i++)
        for (size_t k = 0; k < s->world->cubes[i].n_rollups; k++) {
            diff_rollup *r = &s->world->cubes[i].rollups[k];
            for (size_t n = 0; n < r->n_items && !r->is_dropped; n++)
                has_changed |= try_flag(s, &r->items[n].is_dropped);
            if (r->filters.n && !r->is_dropped) has_changed |= drop_filters(s, r);
            has_changed |=
                !r->is_dropped && !r->n_parts && (drop_bound(s, &r->has_start) || drop_bound(s, &r->has_end));
        }
    return has_changed;
}

static bool drop_members(shrinker *s) {
    bool has_changed = false;
    for (size_t i = 0; i < s->world->n_cubes; i++) {
        diff_cube *c = &s->world->cubes[i];
        for (size_t k = c->n_measures; k-- > 0;) has_changed |= try_flag(s, &c->measures[k].is_dropped);
        for (size_t k = c->n_dims; k-- > 0;)
            has_changed |= !c->dims[k].is_primary_key && try_flag(s, &c->dims[k].is_dropped);
        for (size_t k = 0; k < c->n_segments; k++) has_changed |= try_flag(s, &c->segments[k].is_dropped);
    }
    return has_changed;
}

/* ---- rows -----------------------------------------------------------------------------------------------------------
 */

static bool cut_rows(shrinker *s, diff_table *t, size_t from, size_t n) {
    gr_arena *scratch = gr_arena_new();
    size_t width = t->n_columns, n_rows = t->n_rows;
    diff_value *saved = GR_NEW_N(scratch, diff_value, n_rows * width + 1);
    memcpy(saved, t->cells, n_rows * width * sizeof *saved);
    memmove(&t->cells[from * width], &t->cells[(from + n) * width], (n_rows - from - n) * width * sizeof *saved);
    t->n_rows = n_rows - n;
    bool is_kept = still_fails(s);
    if (!is_kept) {
        memcpy(t->cells, saved, n_rows * width * sizeof *saved);
        t->n_rows = n_rows;
    }
    gr_arena_free(scratch);
    return is_kept;
}

static bool drop_rows(shrinker *s) {
    bool has_changed = false;
    for (size_t i = 0; i < s->world->n_cubes; i++) {
        diff_table *t = s->world->cubes[i].table;
        for (size_t chunk = t->n_rows; chunk > 0; chunk /= 2)
            for (size_t from = 0; from < t->n_rows;) {
                size_t n = t->n_rows - from < chunk ? t->n_rows - from : chunk;
                bool is_cut = cut_rows(s, t, from, n);
                has_changed |= is_cut;
                if (!is_cut) from += n;
            }
    }
    return has_changed;
}

/* ---- the query ------------------------------------------------------------------------------------------------------
 */

/* Take away the `*at`-th part of the JSON, counted in preorder: a key of an object or an element of an array. */
static bool take_away(json_t *json, size_t *at) {
    if (json_is_object(json)) {
        const char *key;
        json_t *value;
        json_object_foreach(json, key, value) {
            if ((*at)-- == 0) {
                json_object_del(json, key);
                return true;
            }
            if (take_away(value, at)) return true;
        }
    }
    for (size_t i = 0; json_is_array(json) && i < json_array_size(json); i++) {
        if ((*at)-- == 0) {
            json_array_remove(json, i);
            return true;
        }
        if (take_away(json_array_get(json, i), at)) return true;
    }
    return false;
}

static bool shrink_query(shrinker *s) {
    bool has_changed = false;
    for (size_t site = 0;; site++) {
        json_t *smaller = json_deep_copy(s->query), *before = s->query;
        size_t at = site;
        if (!take_away(smaller, &at)) {
            json_decref(smaller);
            return has_changed;
        }
        s->query = smaller;
        if (still_fails(s)) {
            json_decref(before);
            has_changed = true;
            site--; /* another part stands at this place now */
        } else {
            json_decref(smaller);
            s->query = before;
        }
    }
}

/* Columns that do not matter become null, so that the rows can be read. */
static bool clear_columns(shrinker *s) {
    bool has_changed = false;
    for (size_t i = 0; i < s->world->n_cubes; i++) {
        diff_table *t = s->world->cubes[i].table;
        for (size_t column = 1; column < t->n_columns; column++) {
            gr_arena *scratch = gr_arena_new();
            diff_value *saved = GR_NEW_N(scratch, diff_value, t->n_rows + 1);
            bool has_value = false;
            for (size_t row = 0; row < t->n_rows; row++) {
                saved[row] = t->cells[row * t->n_columns + column];
                has_value |= saved[row].kind != DIFF_NULL;
                t->cells[row * t->n_columns + column] = diff_null();
            }
            bool is_kept = has_value && still_fails(s);
            for (size_t row = 0; row < t->n_rows && !is_kept; row++) t->cells[row * t->n_columns + column] = saved[row];
            has_changed |= is_kept;
            gr_arena_free(scratch);
        }
    }
    return has_changed;
}

bool diff_shrink(diff_world *world, json_t *query, int64_t now_us, uint64_t seed, gr_arena *arena, json_t **ret_query,
                 diff_case *ret) {
    diff_case first;
    diff_judge_alone(world, query, now_us, seed, arena, &first);
    if (!diff_is_difference(first.verdict)) return false;
    shrinker s = {.world = world,
                  .query = json_deep_copy(query),
                  .now_us = now_us,
                  .seed = seed,
                  .wanted = first.verdict,
                  .on = first.on.status,
                  .off = first.off.status};
    static bool (*const steps[])(shrinker *) = {drop_rollups, shrink_query, drop_items,   drop_views,
                                                drop_rows,    drop_members, clear_columns};
    for (bool has_changed = true; has_changed && s.n_tries < MOST_TRIES;) {
        has_changed = false;
        for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) has_changed |= steps[i](&s);
    }
    diff_judge_alone(world, s.query, now_us, seed, arena, ret);
    *ret_query = s.query;
    return true;
}
