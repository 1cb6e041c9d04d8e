/* Random models: one fact cube with up to three cubes around it, dimensions of every type, derived ones, measures of
 * every type and combination, segments, and rollups with random members and grains. */
#include "differential/generate.h"

typedef struct maker {
    diff_random *r;
    diff_world *w;
    gr_arena *arena;
    size_t cube;
    GR_VEC(diff_dim) dims;
    GR_VEC(diff_measure) measures;
    GR_VEC(diff_segment) segments;
} maker;

/* ---- expressions ----------------------------------------------------------------------------------------------------
 */

static diff_expr *expr_new(maker *m, diff_op op, const diff_expr *a, const diff_expr *b) {
    diff_expr *e = GR_NEW(m->arena, diff_expr);
    *e = (diff_expr){.op = op, .cube = m->cube, .args = {a, b}, .n_args = (size_t)(a != NULL) + (b != NULL)};
    return e;
}

static diff_expr *column(maker *m, size_t index) {
    diff_expr *e = expr_new(m, DIFF_OP_COLUMN, NULL, NULL);
    e->index = index;
    return e;
}

static diff_expr *literal(maker *m, diff_value v) {
    diff_expr *e = expr_new(m, DIFF_OP_LITERAL, NULL, NULL);
    e->literal = v;
    return e;
}

static diff_expr *word(maker *m) { return literal(m, diff_text(diff_random_word(m->r))); }
static diff_expr *number(maker *m, int64_t low, int64_t high) {
    return literal(m, diff_int(diff_between(m->r, low, high)));
}

static diff_expr *member(maker *m, size_t cube, size_t index) {
    diff_expr *e = expr_new(m, DIFF_OP_MEMBER, NULL, NULL);
    e->cube = cube;
    e->index = index;
    e->is_bare = diff_chance(m->r, 30);
    return e;
}

static diff_expr *measure_ref(maker *m, size_t index) {
    diff_expr *e = expr_new(m, DIFF_OP_MEASURE, NULL, NULL);
    e->index = index;
    e->is_bare = diff_chance(m->r, 50);
    return e;
}

static diff_expr *arith(maker *m, char symbol, const diff_expr *a, const diff_expr *b) {
    diff_expr *e = expr_new(m, DIFF_OP_ARITH, a, b);
    e->symbol = symbol;
    return e;
}

static diff_expr *compare(maker *m, const char *text, const diff_expr *a, const diff_expr *b) {
    diff_expr *e = expr_new(m, DIFF_OP_COMPARE, a, b);
    e->text = text;
    return e;
}

static diff_expr *choice(maker *m, const diff_expr *when, const diff_expr *then, const diff_expr *otherwise) {
    diff_expr *e = expr_new(m, DIFF_OP_CASE, when, then);
    if (otherwise) e->args[e->n_args++] = otherwise;
    return e;
}

static diff_expr *aggregate(maker *m, const char *text, const diff_expr *of) {
    diff_expr *e = expr_new(m, DIFF_OP_AGGREGATE, of, NULL);
    e->text = text;
    return e;
}

static const char *const comparisons[] = {"=", "<>", "<", "<=", ">", ">="};

/* Column of the table, or the dimension that stands for it: then it can be computed from a rollup. */
static diff_expr *subject(maker *m, size_t col) {
    for (size_t i = 0; i < m->dims.n && diff_chance(m->r, 60); i++) {
        const diff_expr *sql = m->dims.v[i].sql;
        if (sql && sql->op == DIFF_OP_COLUMN && sql->index == col) return member(m, m->cube, i);
    }
    return column(m, col);
}

static diff_expr *simple_predicate(maker *m) {
    switch (diff_pick(m->r, 8)) {
    case 0: return compare(m, DIFF_ONE_OF(m->r, comparisons), subject(m, DIFF_COL_NUM), number(m, -5, 5));
    case 1: return compare(m, DIFF_ONE_OF(m->r, comparisons), subject(m, DIFF_COL_TXT), word(m));
    case 2: return subject(m, DIFF_COL_FLAG);
    case 3: return expr_new(m, DIFF_OP_IS_NULL, subject(m, DIFF_COL_TXT2), NULL);
    case 4: return compare(m, DIFF_ONE_OF(m->r, comparisons), subject(m, DIFF_COL_DEC), number(m, -3, 3));
    case 5:
        return compare(m, DIFF_ONE_OF(m->r, comparisons), subject(m, DIFF_COL_DBL),
                       literal(m, diff_double((double)diff_between(m->r, -9, 9) / 8)));
    case 6: return compare(m, "=", subject(m, DIFF_COL_TXT), subject(m, DIFF_COL_TXT2));
    default: return expr_new(m, DIFF_OP_NOT, subject(m, DIFF_COL_FLAG), NULL);
    }
}

static diff_expr *predicate(maker *m) {
    if (diff_chance(m->r, 65)) return simple_predicate(m);
    diff_expr *a = simple_predicate(m), *b = simple_predicate(m);
    return expr_new(m, diff_chance(m->r, 50) ? DIFF_OP_AND : DIFF_OP_OR, a, b);
}

/* ---- dimensions -----------------------------------------------------------------------------------------------------
 */

static const diff_granularity granularities[][5] = {
    {{"fiscal_year", "1 year", "3 months", NULL},
     {"half_year", "6 months", NULL, "2020-01-01"},
     {"sunday_week", "1 week", "-1 day", NULL},
     {"fifteen", "15 minutes", NULL, NULL}},
    {{"fortnight", "2 weeks", NULL, "2024-01-01"},
     {"ten_days", "10 days", NULL, "2024-01-03"},
     {"shift", "8 hours", NULL, NULL},
     {"five_months", "5 months", NULL, "2021-01-31"}},
    {{"ninety", "90 minutes", NULL, "2024-01-01 00:30:00"},
     {"decade", "10 years", NULL, "2000-01-01"},
     {"late_quarter", "1 quarter", "1 month", NULL},
     {"late_day", "1 day", "6 hours", NULL}},
    {{"utc_day", "1 day", NULL, "2024-01-01T00:00:00Z"},
     {"odd", "3 days 12 hours", NULL, "2024-02-29"},
     {"half_minute", "30 seconds", NULL, NULL},
     {"early_year", "1 year", "-11 days", NULL}},
    {{"two_months", "2 months", NULL, NULL},
     {"third", "4 months", "15 days", NULL},
     {"half_day", "12 hours", "-3 hours", NULL},
     {"week3", "3 weeks", NULL, "1969-12-29"}},
    {{0}},
};

static size_t add_dim(maker *m, const char *name, diff_dim_type type, const diff_expr *sql) {
    diff_dim d = {.name = gr_str_from(name), .type = type, .sql = sql};
    if (type == DIFF_DIM_TIME) d.granularities = DIFF_ONE_OF(m->r, granularities);
    GR_PUSH(m->arena, &m->dims, d);
    return m->dims.n - 1;
}

static void add_column_dims(maker *m, bool has_key, bool has_composite_key) {
    static const struct {
        const char *name;
        diff_dim_type type;
        size_t column;
        unsigned percent;
    } list[] = {
        {"txt", DIFF_DIM_STRING, DIFF_COL_TXT, 100},     {"txt2", DIFF_DIM_STRING, DIFF_COL_TXT2, 80},
        {"num", DIFF_DIM_NUMBER, DIFF_COL_NUM, 90},      {"price", DIFF_DIM_NUMBER, DIFF_COL_DEC, 60},
        {"dbl", DIFF_DIM_NUMBER, DIFF_COL_DBL, 50},      {"flag", DIFF_DIM_BOOLEAN, DIFF_COL_FLAG, 80},
        {"ts", DIFF_DIM_TIME, DIFF_COL_AT, 100},         {"ts2", DIFF_DIM_TIME, DIFF_COL_AT2, 40},
        {"num_text", DIFF_DIM_STRING, DIFF_COL_NUM, 25}, {"price_text", DIFF_DIM_STRING, DIFF_COL_DEC, 15},
    };
    diff_expr *id = column(m, DIFF_COL_ID);
    size_t at = add_dim(m, "id", DIFF_DIM_NUMBER, id);
    m->dims.v[at].is_primary_key = has_key;
    if (has_composite_key) {
        at = add_dim(m, "key2", DIFF_DIM_NUMBER, column(m, DIFF_COL_KEY2));
        m->dims.v[at].is_primary_key = true;
    }
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        if (!diff_chance(m->r, list[i].percent)) continue;
        diff_expr *e = column(m, list[i].column);
        e->is_bare = diff_chance(m->r, 50);
        add_dim(m, list[i].name, list[i].type, e);
    }
}

static size_t find_dim(const maker *m, const char *name) {
    for (size_t i = 0; i < m->dims.n; i++)
        if (gr_str_eq_z(m->dims.v[i].name, name)) return i;
    return SIZE_MAX;
}

static diff_expr *dim_ref(maker *m, const char *name) {
    size_t at = find_dim(m, name);
    return at == SIZE_MAX ? NULL : member(m, m->cube, at);
}

static void add_case_dim(maker *m) {
    diff_expr *e = expr_new(m, DIFF_OP_CASE, predicate(m), word(m));
    if (diff_chance(m->r, 50)) {
        e->args[e->n_args++] = predicate(m);
        e->args[e->n_args++] = diff_chance(m->r, 50) ? word(m) : subject(m, DIFF_COL_TXT);
    }
    if (diff_chance(m->r, 60)) e->args[e->n_args++] = diff_chance(m->r, 70) ? word(m) : subject(m, DIFF_COL_TXT2);
    diff_dim d = {.name = GR_STR("kind"), .type = DIFF_DIM_STRING, .cases = e};
    GR_PUSH(m->arena, &m->dims, d);
}

static void add_geo_dim(maker *m) {
    diff_dim d = {.name = GR_STR("place"),
                  .type = DIFF_DIM_GEO,
                  .latitude = column(m, DIFF_COL_NUM),
                  .longitude = column(m, DIFF_COL_DEC)};
    GR_PUSH(m->arena, &m->dims, d);
}

static void add_part_dim(maker *m) {
    static const struct {
        const char *part;
        gr_grain grain;
    } parts[] = {{"month", GR_GRAIN_MONTH},
                 {"year", GR_GRAIN_YEAR},
                 {"quarter", GR_GRAIN_QUARTER},
                 {"month", GR_GRAIN_DAY},
                 {"year", GR_GRAIN_HOUR}};
    size_t which = diff_pick(m->r, sizeof parts / sizeof *parts);
    diff_expr *bucket = member(m, m->cube, find_dim(m, "ts"));
    bucket->op = DIFF_OP_BUCKET;
    bucket->grain = parts[which].grain;
    bucket->is_bare = false;
    diff_expr *part = expr_new(m, DIFF_OP_PART, bucket, NULL);
    part->text = parts[which].part;
    add_dim(m, "part", DIFF_DIM_NUMBER, part);
}

static void add_derived_dims(maker *m) {
    diff_expr *a = dim_ref(m, "txt"), *b = dim_ref(m, "txt2"), *n = dim_ref(m, "num");
    if (b && diff_chance(m->r, 40)) {
        diff_expr *e = expr_new(m, DIFF_OP_CONCAT, a, literal(m, diff_text(GR_STR("-"))));
        e->args[e->n_args++] = b;
        add_dim(m, "pair", DIFF_DIM_STRING, e);
    }
    if (diff_chance(m->r, 25)) add_dim(m, "same", DIFF_DIM_STRING, dim_ref(m, "txt"));
    if (diff_chance(m->r, 25))
        add_dim(m, "small", DIFF_DIM_STRING,
                expr_new(m, diff_chance(m->r, 50) ? DIFF_OP_LOWER : DIFF_OP_UPPER, dim_ref(m, "txt"), NULL));
    if (diff_chance(m->r, 30))
        add_dim(m, "filled", DIFF_DIM_STRING, expr_new(m, DIFF_OP_COALESCE, dim_ref(m, "txt"), word(m)));
    if (n && diff_chance(m->r, 30)) add_dim(m, "num_more", DIFF_DIM_NUMBER, arith(m, '+', n, number(m, 1, 5)));
    if (n && diff_chance(m->r, 30)) {
        diff_expr *e = choice(m, compare(m, ">", dim_ref(m, "num"), number(m, -2, 2)), word(m),
                              diff_chance(m->r, 60) ? word(m) : NULL);
        add_dim(m, "size", DIFF_DIM_STRING, e);
    }
    if (n && diff_chance(m->r, 20))
        add_dim(m, "is_big", DIFF_DIM_BOOLEAN, compare(m, ">=", dim_ref(m, "num"), number(m, -2, 2)));
    if (n && diff_chance(m->r, 15))
        add_dim(m, "num_label", DIFF_DIM_STRING,
                expr_new(m, DIFF_OP_CONCAT, expr_new(m, DIFF_OP_TEXT, dim_ref(m, "num"), NULL),
                         literal(m, diff_text(GR_STR("%")))));
    if (diff_chance(m->r, 15))
        add_dim(m, "raw_more", DIFF_DIM_NUMBER, arith(m, '*', column(m, DIFF_COL_NUM), number(m, 2, 3)));
    if (diff_chance(m->r, 20)) add_dim(m, "same_ts", DIFF_DIM_TIME, dim_ref(m, "ts"));
    size_t pair = find_dim(m, "pair");
    if (pair != SIZE_MAX && diff_chance(m->r, 40))
        add_dim(m, "pair_small", DIFF_DIM_STRING, expr_new(m, DIFF_OP_LOWER, member(m, m->cube, pair), NULL));
    if (diff_chance(m->r, 50)) add_case_dim(m);
    if (diff_chance(m->r, 12)) add_geo_dim(m);
    if (diff_chance(m->r, 30)) add_part_dim(m);
}

/* Of other cubes: their dimensions are there already, for cubes are made from the leaves of the joins to the fact. */
static void add_foreign_dims(maker *m) {
    const diff_cube *c = &m->w->cubes[m->cube];
    if (!c->n_joins) return;
    size_t other = c->joins[diff_pick(m->r, c->n_joins)].to;
    if (diff_chance(m->r, 25))
        add_dim(m, "their_txt", DIFF_DIM_STRING,
                member(m, other,
                       find_dim(&(maker){.dims = {m->w->cubes[other].dims, m->w->cubes[other].n_dims, 0}}, "txt")));
    if (diff_chance(m->r, 20)) {
        diff_expr *theirs = member(
            m, other, find_dim(&(maker){.dims = {m->w->cubes[other].dims, m->w->cubes[other].n_dims, 0}}, "txt"));
        add_dim(m, "both", DIFF_DIM_STRING, expr_new(m, DIFF_OP_CONCAT, dim_ref(m, "txt"), theirs));
    }
}

/* ---- measures -------------------------------------------------------------------------------------------------------
 */

static diff_measure *add_measure(maker *m, const char *name, diff_measure_type type, const diff_expr *sql) {
    diff_measure fresh = {.name = gr_str_from(name), .type = type, .sql = sql};
    GR_PUSH(m->arena, &m->measures, fresh);
    return &m->measures.v[m->measures.n - 1];
}

static void maybe_filter(maker *m, diff_measure *measure, unsigned percent) {
    while (measure->n_filters < 2 && diff_chance(m->r, percent)) measure->filters[measure->n_filters++] = predicate(m);
}

static void add_leaf_measures(maker *m) {
    static const struct {
        const char *name;
        diff_measure_type type;
        size_t column;
        unsigned percent;
        bool is_timeless;
    } list[] = {
        {"num_sum", DIFF_SUM, DIFF_COL_NUM, 90, false},
        {"num_avg", DIFF_AVG, DIFF_COL_NUM, 50, false},
        {"num_min", DIFF_MIN, DIFF_COL_NUM, 50, false},
        {"num_max", DIFF_MAX, DIFF_COL_NUM, 50, false},
        {"price_sum", DIFF_SUM, DIFF_COL_DEC, 70, false},
        {"price_avg", DIFF_AVG, DIFF_COL_DEC, 40, false},
        {"price_max", DIFF_MAX, DIFF_COL_DEC, 30, false},
        {"dbl_sum", DIFF_SUM, DIFF_COL_DBL, 50, false},
        {"dbl_avg", DIFF_AVG, DIFF_COL_DBL, 30, false},
        {"dbl_min", DIFF_MIN, DIFF_COL_DBL, 25, false},
        {"big_sum", DIFF_SUM, DIFF_COL_BIG, 25, true},
        {"big_avg", DIFF_AVG, DIFF_COL_BIG, 15, true},
        {"big_max", DIFF_MAX, DIFF_COL_BIG, 10, true},
        {"txt_min", DIFF_MIN, DIFF_COL_TXT, 20, true},
        {"txt_max", DIFF_MAX, DIFF_COL_TXT2, 20, true},
        {"ts_max", DIFF_MAX, DIFF_COL_AT, 25, true},
        {"ts_min", DIFF_MIN, DIFF_COL_AT, 20, true},
        {"txt_kinds", DIFF_COUNT_DISTINCT, DIFF_COL_TXT, 60, false},
        {"num_kinds", DIFF_COUNT_DISTINCT, DIFF_COL_NUM, 50, false},
        {"about", DIFF_COUNT_DISTINCT_APPROX, DIFF_COL_TXT, 20, true},
        {"txt_count", DIFF_COUNT, DIFF_COL_TXT2, 35, false},
        {"some_count", DIFF_COUNT, SIZE_MAX, 50, false},
        {"some_sum", DIFF_SUM, DIFF_COL_NUM, 40, false},
        {"some_avg", DIFF_AVG, DIFF_COL_DEC, 25, false},
        {"some_kinds", DIFF_COUNT_DISTINCT, DIFF_COL_TXT2, 20, false},
        {"num_again", DIFF_SUM, DIFF_COL_NUM, 25, false},
        {"some_again", DIFF_SUM, DIFF_COL_NUM, 15, false},
    };
    maybe_filter(m, add_measure(m, "count", DIFF_COUNT, NULL), 0);
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        bool is_text_time = list[i].column == DIFF_COL_AT &&
                            !strcmp(m->w->cubes[m->cube].table->columns[DIFF_COL_AT].sql_type, "VARCHAR");
        if (is_text_time || !diff_chance(m->r, list[i].percent)) continue;
        diff_expr *e = list[i].column == SIZE_MAX ? NULL : subject(m, list[i].column);
        if (e && e->op == DIFF_OP_COLUMN) e->is_bare = diff_chance(m->r, 50);
        diff_measure *added = add_measure(m, list[i].name, list[i].type, e);
        added->is_timeless = list[i].is_timeless;
        bool is_some = !strncmp(list[i].name, "some", 4);
        maybe_filter(m, added, is_some ? 60 : 8);
    }
}

static void add_expression_measures(maker *m) {
    if (diff_chance(m->r, 40))
        add_measure(m, "value_sum", DIFF_SUM, arith(m, '*', subject(m, DIFF_COL_NUM), subject(m, DIFF_COL_DEC)));
    if (diff_chance(m->r, 20))
        add_measure(m, "value_avg", DIFF_AVG, arith(m, '+', subject(m, DIFF_COL_NUM), subject(m, DIFF_COL_DEC)));
    if (diff_chance(m->r, 20))
        add_measure(m, "ratio_sum", DIFF_SUM, arith(m, '/', subject(m, DIFF_COL_DEC), literal(m, diff_int(3))));
    if (diff_chance(m->r, 20))
        add_measure(m, "case_sum", DIFF_SUM,
                    choice(m, predicate(m), subject(m, DIFF_COL_NUM), diff_chance(m->r, 50) ? number(m, 0, 2) : NULL));
    size_t pair = find_dim(m, "pair");
    if (pair != SIZE_MAX && diff_chance(m->r, 40))
        add_measure(m, "pair_kinds", DIFF_COUNT_DISTINCT, member(m, m->cube, pair));
    const diff_cube *c = &m->w->cubes[m->cube];
    if (c->n_joins && diff_chance(m->r, 20)) {
        const diff_cube *other = &m->w->cubes[c->joins[0].to];
        for (size_t i = 0; i < other->n_dims; i++)
            if (gr_str_eq_z(other->dims[i].name, "num"))
                add_measure(m, "their_sum", DIFF_SUM, member(m, c->joins[0].to, i));
    }
}

static size_t find_measure(const maker *m, const char *name) {
    for (size_t i = 0; i < m->measures.n; i++)
        if (gr_str_eq_z(m->measures.v[i].name, name)) return i;
    return SIZE_MAX;
}

static void add_calculated_measures(maker *m) {
    size_t count = find_measure(m, "count"), sum = find_measure(m, "num_sum"), price = find_measure(m, "price_sum"),
           some = find_measure(m, "some_count");
    size_t kinds = find_measure(m, "txt_kinds"), dbl = find_measure(m, "dbl_sum");
    diff_expr *divisor = expr_new(m, DIFF_OP_NULLIF, measure_ref(m, count), literal(m, diff_int(0)));
    if (sum != SIZE_MAX && diff_chance(m->r, 50))
        add_measure(m, "per_row", DIFF_CALC_NUMBER, arith(m, '/', measure_ref(m, sum), divisor));
    if (price != SIZE_MAX && diff_chance(m->r, 30))
        add_measure(m, "price_per", DIFF_CALC_NUMBER, arith(m, '/', measure_ref(m, price), measure_ref(m, count)));
    if (some != SIZE_MAX && diff_chance(m->r, 50))
        add_measure(m, "share", DIFF_CALC_NUMBER,
                    arith(m, '/', arith(m, '*', measure_ref(m, some), literal(m, diff_double(100))), divisor));
    if (some != SIZE_MAX && diff_chance(m->r, 40))
        add_measure(m, "rest", DIFF_CALC_NUMBER, arith(m, '-', measure_ref(m, count), measure_ref(m, some)));
    if (sum != SIZE_MAX && diff_chance(m->r, 25))
        add_measure(m, "sum_or_zero", DIFF_CALC_NUMBER,
                    expr_new(m, DIFF_OP_COALESCE, measure_ref(m, sum), literal(m, diff_int(0))));
    if (diff_chance(m->r, 25))
        add_measure(m, "level", DIFF_CALC_STRING,
                    choice(m, compare(m, ">", measure_ref(m, count), number(m, 0, 6)),
                           literal(m, diff_text(GR_STR("many"))), literal(m, diff_text(GR_STR("few")))))
            ->is_timeless = true;
    if (diff_chance(m->r, 25))
        add_measure(m, "has_many", DIFF_CALC_BOOLEAN, compare(m, ">", measure_ref(m, count), number(m, 0, 6)))
            ->is_timeless = true;
    if (kinds != SIZE_MAX && diff_chance(m->r, 25))
        add_measure(m, "kinds_per", DIFF_CALC_NUMBER, arith(m, '/', measure_ref(m, kinds), divisor));
    if (dbl != SIZE_MAX && diff_chance(m->r, 25))
        add_measure(m, "dbl_twice", DIFF_CALC_NUMBER, arith(m, '*', measure_ref(m, dbl), literal(m, diff_double(2))));
    size_t per = find_measure(m, "per_row");
    if (per != SIZE_MAX && diff_chance(m->r, 30))
        add_measure(m, "per_row_twice", DIFF_CALC_NUMBER, arith(m, '*', measure_ref(m, per), literal(m, diff_int(2))));
    if (diff_chance(m->r, 25))
        add_measure(m, "own_count", DIFF_CALC_NUMBER,
                    arith(m, '+', aggregate(m, "count", NULL), literal(m, diff_int(1))));
    if (diff_chance(m->r, 20))
        add_measure(m, "own_sum", DIFF_CALC_NUMBER, aggregate(m, "sum", column(m, DIFF_COL_NUM)));
    if (diff_chance(m->r, 20)) {
        diff_expr *rows = expr_new(m, DIFF_OP_NULLIF, aggregate(m, "count", NULL), literal(m, diff_int(0)));
        add_measure(m, "own_ratio", DIFF_CALC_NUMBER,
                    arith(m, '/', aggregate(m, "sum", column(m, DIFF_COL_NUM)), rows));
    }
}

static void add_segments(maker *m) {
    static const char *const names[] = {"seg_a", "seg_b"};
    for (size_t i = 0; i < 2; i++) {
        if (!diff_chance(m->r, 60)) continue;
        diff_segment s = {.name = gr_str_from(names[i]), .sql = predicate(m)};
        GR_PUSH(m->arena, &m->segments, s);
    }
}

/* ---- rollups --------------------------------------------------------------------------------------------------------
 */

size_t diff_reachable(const diff_world *w, size_t from, size_t *ret) {
    size_t n = 1;
    ret[0] = from;
    for (size_t head = 0; head < n; head++)
        for (size_t i = 0; i < w->cubes[ret[head]].n_joins; i++) {
            size_t to = w->cubes[ret[head]].joins[i].to, k = 0;
            while (k < n && ret[k] != to) k++;
            if (k == n) ret[n++] = to;
        }
    return n;
}

static const char *random_grain(diff_random *r, const diff_world *w, const diff_dim *d, bool want_fine) {
    static const char *const grains[] = {"second", "minute", "hour",  "hour",  "hour",    "day",  "day",
                                         "day",    "day",    "day",   "day",   "day",     "week", "week",
                                         "week",   "month",  "month", "month", "quarter", "year"};
    static const char *const fine[] = {"minute", "hour", "hour", "day", "day"};
    static const char *const finest[] = {"minute", "hour", "hour", "hour"};
    if (w->is_about_jumps && diff_chance(r, 70)) return DIFF_ONE_OF(r, finest);
    size_t n = 0;
    while (d->granularities && d->granularities[n].name) n++;
    if (!want_fine && n && diff_chance(r, 12)) return d->granularities[diff_pick(r, n)].name;
    return want_fine ? DIFF_ONE_OF(r, fine) : DIFF_ONE_OF(r, grains);
}

typedef GR_VEC(diff_item) items;

static void add_time_item(maker *m, items *list, size_t cube, bool want_fine) {
    const diff_cube *c = &m->w->cubes[cube];
    size_t tries = 8, index;
    do index = diff_pick(m->r, c->n_dims);
    while (c->dims[index].type != DIFF_DIM_TIME && --tries);
    if (c->dims[index].type != DIFF_DIM_TIME) return;
    diff_item item = {.kind = DIFF_ITEM_TIME,
                      .cube = cube,
                      .index = index,
                      .granularity = random_grain(m->r, m->w, &c->dims[index], want_fine)};
    for (size_t i = 0; i < list->n; i++)
        if (list->v[i].kind == DIFF_ITEM_TIME && list->v[i].cube == cube && list->v[i].index == index &&
            !strcmp(list->v[i].granularity, item.granularity))
            return;
    GR_PUSH(m->arena, list, item);
}

static void add_members(maker *m, items *list, size_t cube, unsigned percent, bool is_own) {
    const diff_cube *c = &m->w->cubes[cube];
    unsigned dims = is_own ? percent : percent / 2;
    for (size_t i = 0; i < c->n_measures && is_own; i++)
        if (diff_chance(m->r, percent))
            GR_PUSH(m->arena, list, (diff_item){.kind = DIFF_ITEM_MEASURE, .cube = cube, .index = i});
    for (size_t i = 0; i < c->n_dims; i++) {
        unsigned p = c->dims[i].is_primary_key || c->dims[i].type == DIFF_DIM_TIME ? dims / 8 : dims;
        if (diff_chance(m->r, p))
            GR_PUSH(m->arena, list, (diff_item){.kind = DIFF_ITEM_DIMENSION, .cube = cube, .index = i});
    }
    for (size_t i = 0; i < c->n_segments; i++)
        if (diff_chance(m->r, dims / 2))
            GR_PUSH(m->arena, list, (diff_item){.kind = DIFF_ITEM_SEGMENT, .cube = cube, .index = i});
}

/* Measures of a cube that a one to one join reaches: its rows are not multiplied. */
static void add_their_measures(maker *m, items *list, size_t cube, unsigned percent) {
    const diff_cube *c = &m->w->cubes[cube];
    for (size_t i = 0; i < c->n_joins; i++) {
        size_t other = c->joins[i].to;
        for (size_t k = 0; k < m->w->cubes[other].n_measures && c->joins[i].relationship == DIFF_ONE_TO_ONE; k++)
            if (diff_chance(m->r, percent))
                GR_PUSH(m->arena, list, (diff_item){.kind = DIFF_ITEM_MEASURE, .cube = other, .index = k});
    }
}

static diff_rollup random_rollup(maker *m, size_t cube, size_t number) {
    size_t reach[DIFF_MAX_CUBES], n = diff_reachable(m->w, cube, reach);
    bool is_wide = diff_chance(m->r, 28),
         is_narrow = !is_wide &&
                     diff_chance(m->r, m->w->is_about_jumps ? 70 : 45); /* narrow: few columns, groups of many rows */
    unsigned percent = is_wide ? 90 : (unsigned)diff_between(m->r, 10, 60), dims = is_narrow ? 7 : percent;
    items list = {0};
    add_members(m, &list, cube, is_narrow ? 60 : percent, dims);
    for (size_t i = 1; i < n; i++)
        if (diff_chance(m->r, is_wide ? 90 : 50)) add_members(m, &list, reach[i], 0, dims / 2);
    if (diff_chance(m->r, 30)) add_their_measures(m, &list, cube, percent);
    if (diff_chance(m->r, is_narrow ? 60 : 80)) add_time_item(m, &list, cube, is_wide);
    if (diff_chance(m->r, 15)) add_time_item(m, &list, reach[diff_pick(m->r, n)], false);
    if (!list.n) GR_PUSH(m->arena, &list, (diff_item){.kind = DIFF_ITEM_MEASURE, .cube = cube});
    return (diff_rollup){.name = gr_arena_printf(m->arena, "r%zu", number),
                         .items = list.v,
                         .n_items = list.n,
                         .is_external = diff_chance(m->r, 20)   ? 0
                                        : diff_chance(m->r, 20) ? 1
                                                                : -1,
                         .is_non_strict = diff_chance(m->r, 30) ? 0 : -1};
}

/* The grain of another rollup, other measures: the two are one entity. */
static diff_rollup twin_of(maker *m, const diff_rollup *other, size_t cube, size_t number) {
    items list = {0};
    for (size_t i = 0; i < other->n_items; i++)
        if (other->items[i].kind != DIFF_ITEM_MEASURE) GR_PUSH(m->arena, &list, other->items[i]);
    for (size_t i = 0; i < m->w->cubes[cube].n_measures; i++)
        if (diff_chance(m->r, 35))
            GR_PUSH(m->arena, &list, (diff_item){.kind = DIFF_ITEM_MEASURE, .cube = cube, .index = i});
    if (diff_chance(m->r, 50)) add_their_measures(m, &list, cube, 30);
    if (!list.n) GR_PUSH(m->arena, &list, (diff_item){.kind = DIFF_ITEM_MEASURE, .cube = cube});
    return (diff_rollup){.name = gr_arena_printf(m->arena, "r%zu", number),
                         .items = list.v,
                         .n_items = list.n,
                         .is_external = other->is_external,
                         .is_non_strict = -1};
}

static void add_rollups(maker *m) {
    size_t n = (size_t)diff_between(m->r, 1, 6);
    for (size_t cube = 0; cube < m->w->n_cubes; cube++) m->w->cubes[cube].rollups = GR_NEW_N(m->arena, diff_rollup, n);
    for (size_t i = 0; i < n; i++) {
        diff_cube *c = &m->w->cubes[diff_chance(m->r, 85) ? 0 : diff_pick(m->r, m->w->n_cubes)];
        size_t cube = diff_chance(m->r, 12)
                          ? 0
                          : (size_t)(c - m->w->cubes); /* where its rows come from; mostly where it is declared */
        bool is_twin = c->n_rollups && diff_chance(m->r, 20);
        diff_rollup fresh =
            is_twin ? twin_of(m, &c->rollups[diff_pick(m->r, c->n_rollups)], cube, i) : random_rollup(m, cube, i);
        c->rollups[c->n_rollups++] = fresh;
    }
}

/* ---- worlds ---------------------------------------------------------------------------------------------------------
 */

static void add_join(maker *m, size_t from, size_t to, diff_relationship relationship) {
    diff_cube *c = &m->w->cubes[from];
    c->joins[c->n_joins] = (diff_join){.to = to,
                                       .relationship = relationship,
                                       .from_column = DIFF_COL_FK1 + c->n_joins,
                                       .to_column = DIFF_COL_ID,
                                       .is_by_members = diff_chance(m->r, 40)};
    c->n_joins++;
}

static void random_shape(maker *m) {
    static const char *const names[] = {"orders", "users", "regions", "details"};
    static const struct {
        size_t n_cubes, joins[3][3];
    } shapes[] = {
        {1, {{0}}},
        {2, {{0, 1, DIFF_MANY_TO_ONE}}},
        {3, {{0, 1, DIFF_MANY_TO_ONE}, {1, 2, DIFF_MANY_TO_ONE}}},
        {3, {{0, 1, DIFF_MANY_TO_ONE}, {0, 2, DIFF_MANY_TO_ONE}}},
        {2, {{0, 1, DIFF_ONE_TO_ONE}}},
        {3, {{0, 1, DIFF_MANY_TO_ONE}, {0, 2, DIFF_ONE_TO_ONE}}},
        {3, {{0, 1, DIFF_ONE_TO_ONE}, {1, 2, DIFF_MANY_TO_ONE}}},
        {3, {{0, 1, DIFF_MANY_TO_ONE}, {0, 2, DIFF_MANY_TO_ONE}, {1, 2, DIFF_MANY_TO_ONE}}},
        {4, {{0, 1, DIFF_MANY_TO_ONE}, {1, 2, DIFF_MANY_TO_ONE}, {0, 3, DIFF_ONE_TO_ONE}}},
    };
    size_t which = diff_chance(m->r, 30) ? 0 : diff_pick(m->r, sizeof shapes / sizeof *shapes);
    m->w->n_cubes = shapes[which].n_cubes;
    for (size_t i = 0; i < m->w->n_cubes; i++)
        m->w->cubes[i] = (diff_cube){.name = gr_str_from(names[i]), .is_subselect = diff_chance(m->r, 30)};
    for (size_t i = 0; i < 3 && shapes[which].joins[i][1]; i++)
        add_join(m, shapes[which].joins[i][0], shapes[which].joins[i][1], (diff_relationship)shapes[which].joins[i][2]);
}

static void make_cube(maker *m, size_t cube, bool has_diamond) {
    diff_cube *c = &m->w->cubes[cube];
    bool has_key = m->w->n_cubes > 1 || diff_chance(m->r, 60);
    m->cube = cube;
    m->dims.v = NULL, m->dims.n = m->dims.cap = 0;
    m->measures.v = NULL, m->measures.n = m->measures.cap = 0;
    m->segments.v = NULL, m->segments.n = m->segments.cap = 0;
    add_column_dims(m, has_key, has_key && cube == 0 && diff_chance(m->r, 10));
    for (size_t i = 0; i < c->n_joins; i++)
        c->joins[i].from_dim = add_dim(m,
                                       i == 0   ? "fk1"
                                       : i == 1 ? "fk2"
                                                : "fk3",
                                       DIFF_DIM_NUMBER, column(m, c->joins[i].from_column));
    add_derived_dims(m);
    if (!has_diamond) add_foreign_dims(m);
    add_leaf_measures(m);
    add_expression_measures(m);
    add_calculated_measures(m);
    add_segments(m);
    c->dims = m->dims.v, c->n_dims = m->dims.n;
    c->measures = m->measures.v, c->n_measures = m->measures.n;
    c->segments = m->segments.v, c->n_segments = m->segments.n;
}

static void random_zones(maker *m) {
    static const char *const zones[] = {
        "America/New_York",   "Europe/London",       "Asia/Kolkata",     "Australia/Lord_Howe", "America/New_York",
        "Europe/Berlin",      "Pacific/Apia",        "America/St_Johns", "Asia/Kathmandu",      "Africa/Casablanca",
        "Pacific/Chatham",    "America/Sao_Paulo",   "Asia/Tokyo",       "Africa/Monrovia",     "Antarctica/Troll",
        "Asia/Beirut",        "America/Los_Angeles", "Africa/Cairo",     "Pacific/Kiritimati",  "Europe/Dublin",
        "America/Mexico_City"};
    m->w->n_zones = (size_t)diff_between(m->r, 1, 2);
    for (size_t i = 0; i < m->w->n_zones; i++) m->w->zones[i] = gr_str_from(DIFF_ONE_OF(m->r, zones));
}

void diff_generate_world(uint64_t seed, uint64_t group, gr_arena *arena, diff_world *ret) {
    diff_random random = diff_random_of(seed, group, 0);
    *ret = (diff_world){0};
    maker m = {.r = &random, .w = ret, .arena = arena};
    ret->now_us = gr_civil_to_us((gr_civil){.year = 2024, .month = 3, .day = 15}) +
                  diff_between(&random, 0, 700) * INT64_C(86400000000) + diff_between(&random, 0, 86399) * 1000000;
    random_zones(&m);
    ret->is_about_jumps = diff_chance(&random, 25);
    random_shape(&m);
    bool has_diamond = ret->n_cubes == 3 && ret->cubes[0].n_joins == 2 && ret->cubes[1].n_joins == 1;
    for (size_t i = ret->n_cubes; i-- > 0;) {
        gr_str table = gr_arena_printf(arena, "t%llu_%zu", (unsigned long long)group, i);
        diff_generate_table(&random, ret, i, table, false, arena);
        make_cube(&m, i, has_diamond);
    }
    add_rollups(&m);
    ret->has_view = !has_diamond && diff_chance(&random, 30);
}
