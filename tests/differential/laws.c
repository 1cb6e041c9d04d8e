/* Metamorphic laws, for sums and counts without windows and stages.
 *
 *      parts      Q = Q[p] + Q[not p] + Q[p is null]      p: dimension = value; "not p" names null, so that nulls drop
 * out months     Q by month = Q by day, days of a month added up */
#include "differential/laws.h"

#include <math.h>
#include <stdlib.h>

/* ---- which queries --------------------------------------------------------------------------------------------------
 */

/* The member that an id means: its own cube's, not a view's. */
static const diff_measure *measure_of(const diff_world *w, const char *id, size_t *ret_cube) {
    for (size_t c = 0; c < w->n_cubes; c++)
        for (size_t i = 0; i < w->cubes[c].n_measures; i++) {
            gr_str cube = w->cubes[c].name, name = w->cubes[c].measures[i].name, whole = gr_str_from(id);
            bool is_it = whole.n == cube.n + 1 + name.n && gr_str_starts(whole, cube) && whole.p[cube.n] == '.' &&
                         gr_str_ends(whole, name);
            if (!is_it) continue;
            *ret_cube = c;
            return &w->cubes[c].measures[i];
        }
    return NULL;
}

/* A sum or a count of the rows of its cube, the same in any order. */
static bool is_additive(const diff_world *w, size_t cube, const diff_measure *m) {
    if (m->window || m->stage || (m->type != DIFF_COUNT && m->type != DIFF_SUM)) return false;
    bool is_wild = false;
    for (size_t i = 0; i < w->cubes[cube].table->n_columns; i++) is_wild |= w->cubes[cube].table->columns[i].is_wild;
    return !is_wild || m->type == DIFF_COUNT;
}

/* The query with its additive measures alone, of one cube, and without what cuts or orders the answer. */
static json_t *plain_copy(const diff_world *w, json_t *query, size_t *ret_cube) {
    static const char *const cuts[] = {"order", "limit", "offset", "total", "measures", "selection", "preAggregations"};
    json_t *copy = json_deep_copy(query), *measures = json_array(), *list = json_object_get(query, "measures"), *at;
    size_t i, first = SIZE_MAX;
    json_array_foreach(list, i, at) {
        size_t cube;
        const diff_measure *m = measure_of(w, json_string_value(at), &cube);
        if (!m || !is_additive(w, cube, m) || (first != SIZE_MAX && first != cube)) continue;
        first = cube;
        bool is_there = false;
        for (size_t k = 0; k < json_array_size(measures); k++) is_there |= json_equal(json_array_get(measures, k), at);
        if (!is_there) json_array_append(measures, at);
    }
    for (i = 0; i < sizeof cuts / sizeof *cuts; i++) json_object_del(copy, cuts[i]);
    json_object_set_new(copy, "measures", measures);
    *ret_cube = first;
    bool is_about_measures = false;
    list = json_object_get(copy, "filters");
    char *text = list ? json_dumps(list, JSON_COMPACT) : NULL;
    for (size_t c = 0; text && c < w->n_cubes; c++)
        for (i = 0; i < w->cubes[c].n_measures; i++) {
            gr_arena *scratch = gr_arena_new();
            gr_str id = gr_arena_printf(scratch, "." GR_FMT "\"", GR_ARG(w->cubes[c].measures[i].name));
            is_about_measures |= gr_str_find_str(gr_str_from(text), id) != SIZE_MAX;
            gr_arena_free(scratch);
        }
    for (size_t v = 0; text && v < w->n_views; v++)
        is_about_measures |= gr_str_find_str(gr_str_from(text), w->views[v].name) != SIZE_MAX;
    free(text);
    if (json_array_size(measures) && !is_about_measures && !json_is_true(json_object_get(query, "ungrouped")))
        return copy;
    json_decref(copy);
    return NULL;
}

/* ---- answers as sums by key -----------------------------------------------------------------------------------------
 */

typedef struct sums {
    gr_map by_key; /* double *: one for each measure, NAN: null; then the sizes of what was added */
    GR_VEC(gr_str) keys;
    size_t n_measures;
    gr_arena *arena;
} sums;

/* `cut`: of the last key's text only so many characters are kept. */
static void add_table(sums *s, const gr_table *t, size_t cut) {
    size_t n_columns = t->n_columns, n_keys = n_columns - s->n_measures;
    for (size_t row = 0; row < t->n_rows; row++) {
        const gr_cell *cells = &t->cells[row * n_columns];
        gr_str key = {0};
        for (size_t i = 0; i < n_keys; i++) {
            gr_str text = cells[i].is_null ? (gr_str){0} : cells[i].text;
            if (i + 1 == n_keys && text.n > cut) text.n = cut;
            key = gr_arena_printf(s->arena, GR_FMT "|%s" GR_FMT, GR_ARG(key), cells[i].is_null ? "null" : "=",
                                  GR_ARG(text));
        }
        double *v = gr_map_get(&s->by_key, key);
        if (!v) {
            v = GR_NEW_N(s->arena, double, 2 * s->n_measures);
            for (size_t i = 0; i < s->n_measures; i++) v[i] = NAN;
            gr_map_put(&s->by_key, key, v);
            GR_PUSH(s->arena, &s->keys, key);
        }
        for (size_t i = 0; i < s->n_measures; i++) {
            double d;
            if (cells[n_keys + i].is_null || !gr_str_to_f64(cells[n_keys + i].text, &d)) continue;
            v[i] = isnan(v[i]) ? d : v[i] + d;
            v[s->n_measures + i] += fabs(d);
        }
    }
}

static bool are_equal(const sums *a, const sums *b, gr_arena *arena, gr_str *detail) {
    for (size_t i = 0; i < a->keys.n; i++) {
        const double *x = gr_map_get(&a->by_key, a->keys.v[i]), *y = gr_map_get(&b->by_key, a->keys.v[i]);
        for (size_t k = 0; k < a->n_measures; k++) {
            bool is_same =
                y && (isnan(x[k]) ? isnan(y[k])
                                  : fabs(x[k] - y[k]) <= 1e-9 * (1 + x[a->n_measures + k] + y[a->n_measures + k]));
            if (is_same) continue;
            *detail = gr_arena_printf(arena, "group " GR_FMT ", measure %zu: the whole is %.17g, its parts %.17g",
                                      GR_ARG(a->keys.v[i]), k, x[k], y ? y[k] : NAN);
            return false;
        }
    }
    if (a->keys.n == b->keys.n) return true;
    *detail = gr_arena_printf(arena, "%zu groups, and %zu of the parts", a->keys.n, b->keys.n);
    return false;
}

static sums sums_new(size_t n_measures, gr_arena *arena) {
    sums s = {.n_measures = n_measures, .arena = arena};
    gr_map_init(&s.by_key, arena);
    return s;
}

enum { MOST_KEPT = 9999 };

static bool ask(diff_bench *bench, json_t *query, int64_t now_us, sums *out, size_t cut, gr_arena *arena) {
    diff_run run;
    diff_bench_run(bench, query, now_us, DIFF_WITH_ROLLUPS, 0, arena, &run);
    if (run.status || run.table->n_rows > MOST_KEPT) return false;
    add_table(out, run.table, cut);
    return true;
}

/* ---- parts ----------------------------------------------------------------------------------------------------------
 */

typedef struct condition {
    const char *operator;
    bool has_value, has_null;
} condition;

/* A column of the measures' own cube, so that asking for it changes no join. */
static const diff_dim *random_dim(const diff_world *w, size_t cube, diff_random *r, gr_str *ret_value,
                                  gr_arena *arena) {
    const diff_cube *c = &w->cubes[cube];
    for (int tries = 0; tries < 20; tries++) {
        const diff_dim *d = &c->dims[diff_pick(r, c->n_dims)];
        bool is_plain = d->sql && d->sql->op == DIFF_OP_COLUMN && !d->is_primary_key && !d->is_dropped &&
                        (d->type == DIFF_DIM_STRING || d->type == DIFF_DIM_NUMBER);
        if (!is_plain || !c->table->n_rows) continue;
        const diff_value *v = &c->table->cells[diff_pick(r, c->table->n_rows) * c->table->n_columns + d->sql->index];
        gr_buf out;
        gr_buf_init(&out, 1 << 16);
        bool has_value =
            v->kind != DIFF_NULL && (d->type == DIFF_DIM_STRING) == (v->kind == DIFF_TEXT) && diff_show(v, &out);
        if (has_value) *ret_value = gr_arena_dup(arena, gr_buf_str(&out));
        gr_buf_done(&out);
        if (has_value && !v->is_wild) return d;
    }
    return NULL;
}

static json_t *with_condition(json_t *query, gr_str id, gr_str value, const condition *c) {
    json_t *copy = json_deep_copy(query), *filters = json_object_get(copy, "filters");
    json_t *leaf = json_pack("{s:o, s:s}", "member", json_stringn_nocheck(id.p, id.n), "operator", c->operator);
    if (c->has_value) {
        json_object_set_new(leaf, "values", json_pack("[o]", json_stringn_nocheck(value.n ? value.p : "", value.n)));
        if (c->has_null) json_array_append_new(json_object_get(leaf, "values"), json_null());
    }
    if (!filters) {
        filters = json_array();
        json_object_set_new(copy, "filters", filters);
    }
    json_array_append_new(filters, leaf);
    return copy;
}

static bool parts_hold(diff_bench *bench, const diff_world *w, json_t *query, size_t cube, int64_t now_us,
                       diff_random *r, gr_arena *arena, bool *ret_held, gr_str *detail) {
    static const condition conditions[] = {
        {"equals", true, false}, {"notEquals", true, true}, {"notSet", false, false}};
    gr_str value;
    const diff_dim *d = random_dim(w, cube, r, &value, arena);
    size_t n = json_array_size(json_object_get(query, "measures"));
    sums whole = sums_new(n, arena), parts = sums_new(n, arena);
    bool is_asked = d && ask(bench, query, now_us, &whole, SIZE_MAX, arena);
    for (size_t i = 0; i < 3 && is_asked; i++) {
        gr_str id = gr_arena_printf(arena, GR_FMT "." GR_FMT, GR_ARG(w->cubes[cube].name), GR_ARG(d->name));
        json_t *part = with_condition(query, id, value, &conditions[i]);
        is_asked = ask(bench, part, now_us, &parts, SIZE_MAX, arena);
        json_decref(part);
    }
    *ret_held = is_asked;
    if (!is_asked || are_equal(&whole, &parts, arena, detail)) return true;
    *detail = gr_arena_printf(arena, GR_FMT " (" GR_FMT "." GR_FMT " equals '" GR_FMT "')", GR_ARG(*detail),
                              GR_ARG(w->cubes[cube].name), GR_ARG(d->name), GR_ARG(value));
    return false;
}

/* ---- months ---------------------------------------------------------------------------------------------------------
 */

static bool months_hold(diff_bench *bench, json_t *query, int64_t now_us, diff_random *r, gr_arena *arena,
                        bool *ret_held, gr_str *detail) {
    json_t *times = json_object_get(query, "timeDimensions"), *dimensions = json_object_get(query, "dimensions"), *at;
    size_t i, n = json_array_size(json_object_get(query, "measures"));
    json_array_foreach(dimensions, i, at) { /* a granularity as a third part is a time column too */
        const char *id = json_string_value(at);
        if (strchr(strchr(id, '.') + 1, '.')) return true;
    }
    if (json_array_size(times) != 1) return true;
    json_t *coarse = json_deep_copy(query), *fine = json_deep_copy(query);
    bool is_year = diff_chance(r, 30);
    json_object_set_new(json_array_get(json_object_get(coarse, "timeDimensions"), 0), "granularity",
                        json_string(is_year ? "year" : "month"));
    json_object_set_new(json_array_get(json_object_get(fine, "timeDimensions"), 0), "granularity",
                        json_string(diff_chance(r, 70) ? "day" : "hour"));
    sums whole = sums_new(n, arena), parts = sums_new(n, arena);
    size_t cut = is_year ? 4 : 7;
    *ret_held = ask(bench, coarse, now_us, &whole, cut, arena) && ask(bench, fine, now_us, &parts, cut, arena);
    bool holds = !*ret_held || are_equal(&whole, &parts, arena, detail);
    json_decref(coarse);
    json_decref(fine);
    return holds;
}

bool diff_law_holds(diff_bench *bench, const diff_world *world, diff_law law, json_t *query, int64_t now_us,
                    uint64_t seed, gr_arena *arena, bool *ret_held, gr_str *detail) {
    diff_random r = diff_random_of(seed, 1, (uint64_t)law);
    size_t cube;
    *ret_held = false;
    json_t *plain = plain_copy(world, query, &cube);
    if (!plain) return true;
    bool holds = law == DIFF_LAW_PARTS ? parts_hold(bench, world, plain, cube, now_us, &r, arena, ret_held, detail)
                                       : months_hold(bench, plain, now_us, &r, arena, ret_held, detail);
    json_decref(plain);
    return holds;
}
