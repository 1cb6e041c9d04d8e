/* Random measures of a cube: every type and combination, filtered ones, calculated ones, with aggregates of their own,
 * over windows of time, and over other measures' groups. */
#include "differential/generate_expr.h"

static diff_measure *add_measure(diff_maker *m, const char *name, diff_measure_type type, const diff_expr *sql) {
    diff_measure fresh = {.name = gr_str_from(name), .type = type, .sql = sql};
    GR_PUSH(m->arena, &m->measures, fresh);
    return &m->measures.v[m->measures.n - 1];
}

static void maybe_filter(diff_maker *m, diff_measure *measure, unsigned percent) {
    while (measure->n_filters < 2 && diff_chance(m->r, percent)) measure->filters[measure->n_filters++] = predicate(m);
}

static void add_leaf_measures(diff_maker *m) {
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
        {"about_ids", DIFF_COUNT_DISTINCT_APPROX, DIFF_COL_ID, 25, true}, /* more than are kept as a list */
        {"about_big", DIFF_COUNT_DISTINCT_APPROX, DIFF_COL_BIG, 12, true},
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

static void add_expression_measures(diff_maker *m) {
    if (diff_chance(m->r, 40))
        add_measure(m, "value_sum", DIFF_SUM, arith(m, '*', subject(m, DIFF_COL_NUM), subject(m, DIFF_COL_DEC)));
    if (diff_chance(m->r, 20))
        add_measure(m, "value_avg", DIFF_AVG, arith(m, '+', subject(m, DIFF_COL_NUM), subject(m, DIFF_COL_DEC)));
    if (diff_chance(m->r, 20))
        add_measure(m, "ratio_sum", DIFF_SUM, arith(m, '/', subject(m, DIFF_COL_DEC), literal(m, diff_int(3))));
    if (diff_chance(m->r, 20))
        add_measure(m, "case_sum", DIFF_SUM,
                    choice(m, predicate(m), subject(m, DIFF_COL_NUM), diff_chance(m->r, 50) ? number(m, 0, 2) : NULL));
    size_t pair = diff_find_dim(m, "pair");
    if (pair != SIZE_MAX && diff_chance(m->r, 40))
        add_measure(m, "pair_kinds", DIFF_COUNT_DISTINCT, member(m, m->cube, pair));
    const diff_cube *c = &m->w->cubes[m->cube];
    if (c->n_joins && diff_chance(m->r, 20)) { /* only of a finished cube */
        const diff_cube *other = &m->w->cubes[c->joins[0].to];
        for (size_t i = 0; i < other->n_dims; i++)
            if (gr_str_eq_z(other->dims[i].name, "num"))
                add_measure(m, "their_sum", DIFF_SUM, member(m, c->joins[0].to, i));
    }
}

static size_t find_measure(const diff_maker *m, const char *name) {
    for (size_t i = 0; i < m->measures.n; i++)
        if (gr_str_eq_z(m->measures.v[i].name, name)) return i;
    return SIZE_MAX;
}

static void add_calculated_measures(diff_maker *m) {
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
}

/* ---- aggregates of their own ----------------------------------------------------------------------------------------
 */

/* count(*), or an aggregate of a column, of some rows only now and then. */
static diff_expr *random_call(diff_maker *m) {
    static const char *const any[] = {"sum",     "sum",      "avg",        "min",    "max",      "count",      "count",
                                      "var_pop", "var_samp", "stddev_pop", "stddev", "variance", "stddev_samp"};
    static const size_t columns[] = {DIFF_COL_NUM, DIFF_COL_NUM, DIFF_COL_DEC, DIFF_COL_DBL};
    diff_expr *call = diff_chance(m->r, 25)
                          ? aggregate(m, "count", NULL)
                          : aggregate(m, DIFF_ONE_OF(m->r, any), subject(m, DIFF_ONE_OF(m->r, columns)));
    if (diff_chance(m->r, 20)) call->where = predicate(m);
    return call;
}

static void add_own_aggregates(diff_maker *m) {
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
    if (diff_chance(m->r, 45)) add_measure(m, "own_some", DIFF_CALC_NUMBER, random_call(m));
    if (diff_chance(m->r, 25)) {
        diff_expr *divisor = expr_new(m, DIFF_OP_NULLIF, random_call(m), literal(m, diff_int(0)));
        add_measure(m, "own_division", DIFF_CALC_NUMBER, arith(m, '/', random_call(m), divisor));
    }
    if (diff_chance(m->r, 15))
        add_measure(m, "own_kinds", DIFF_CALC_NUMBER,
                    aggregate(m, "count distinct", subject(m, diff_chance(m->r, 50) ? DIFF_COL_TXT : DIFF_COL_NUM)));
    if (diff_chance(m->r, 20))
        add_measure(
            m, "own_width", DIFF_CALC_NUMBER,
            arith(m, '-', aggregate(m, "max", column(m, DIFF_COL_NUM)), aggregate(m, "min", column(m, DIFF_COL_NUM))));
    if (diff_chance(m->r, 12)) /* cannot be taken apart */
        add_measure(m, "own_middle", DIFF_CALC_NUMBER, aggregate(m, "median", column(m, DIFF_COL_NUM)));
}

/* Over a measure of another cube, which is finished: two leaves, maybe of two facts. */
static void add_foreign_measures(diff_maker *m) {
    const diff_cube *c = &m->w->cubes[m->cube];
    if (!c->n_joins || !diff_chance(m->r, 25)) return;
    size_t to = c->joins[diff_pick(m->r, c->n_joins)].to;
    const diff_cube *other = &m->w->cubes[to];
    if (!other->n_measures) return;
    diff_expr *theirs = measure_ref(m, 0); /* count */
    theirs->cube = to;
    diff_expr *divisor = expr_new(m, DIFF_OP_NULLIF, theirs, literal(m, diff_int(0)));
    add_measure(m, "per_theirs", DIFF_CALC_NUMBER, arith(m, '/', measure_ref(m, find_measure(m, "count")), divisor));
}

/* ---- windows and stages ---------------------------------------------------------------------------------------------
 */

static const diff_window *random_window(diff_maker *m) {
    static const char *const spans[] = {"1 day",   "3 day",  "7 day",     "1 week",   "2 week", "1 month",  "2 months",
                                        "1 month", "1 year", "1 quarter", "36 hours", "1 hour", "unbounded"};
    static const gr_grain grains[] = {GR_GRAIN_YEAR, GR_GRAIN_QUARTER, GR_GRAIN_MONTH, GR_GRAIN_WEEK, GR_GRAIN_DAY};
    diff_window *w = GR_NEW(m->arena, diff_window);
    size_t kind = diff_pick(m->r, 100);
    if (kind < 25) {
        w->to_date = DIFF_ONE_OF(m->r, grains);
        return w;
    }
    if (kind < 85) w->trailing = DIFF_ONE_OF(m->r, spans);
    if (kind >= 70) w->leading = DIFF_ONE_OF(m->r, spans);
    w->is_offset_start = diff_chance(m->r, 30);
    return w;
}

/* The same measure as another, read through a window. */
static void add_windows(diff_maker *m) {
    static const char *const names[] = {"roll_a", "roll_b", "roll_c"};
    static const char *const of[] = {"num_sum", "price_sum", "count",     "some_count", "num_max", "price_avg",
                                     "num_min", "dbl_sum",   "txt_kinds", "some_sum",   "about"};
    for (size_t i = 0; i < 3; i++) {
        size_t at = find_measure(m, DIFF_ONE_OF(m->r, of));
        if (at == SIZE_MAX || !diff_chance(m->r, 40)) continue;
        diff_measure copy = m->measures.v[at];
        copy.name = gr_str_from(names[i]);
        copy.window = random_window(m);
        GR_PUSH(m->arena, &m->measures, copy);
    }
    size_t rolling = find_measure(m, "roll_a"), count = find_measure(m, "count");
    if (rolling != SIZE_MAX && m->measures.v[rolling].type < DIFF_MIN && diff_chance(m->r, 50))
        add_measure(m, "roll_rest", DIFF_CALC_NUMBER, arith(m, '-', measure_ref(m, rolling), measure_ref(m, count)));
}

static size_t random_group_dim(diff_maker *m) {
    for (int tries = 0; tries < 20; tries++) {
        size_t at = diff_pick(m->r, m->dims.n);
        const diff_dim *d = &m->dims.v[at];
        if (!d->is_primary_key && d->type != DIFF_DIM_GEO && (d->type != DIFF_DIM_TIME || diff_chance(m->r, 30)))
            return at;
    }
    return diff_find_dim(m, "txt");
}

static void add_stages(diff_maker *m) {
    static const char *const names[] = {"stage_a", "stage_b", "stage_c"};
    static const char *const of[] = {"num_sum", "count",      "price_sum", "num_avg",
                                     "per_row", "some_count", "num_max",   "own_ratio"};
    static const diff_measure_type over[] = {DIFF_SUM, DIFF_SUM, DIFF_MAX, DIFF_MIN, DIFF_AVG, DIFF_COUNT};
    static const char *const intervals[] = {"1 month", "1 month", "1 year",    "1 week",
                                            "1 day",   "3 days",  "1 quarter", "2 month"};
    for (size_t i = 0; i < 3; i++) {
        size_t at = find_measure(m, DIFF_ONE_OF(m->r, of));
        if (at == SIZE_MAX || !diff_chance(m->r, 35)) continue;
        diff_stage *s = GR_NEW(m->arena, diff_stage);
        *s = (diff_stage){.kind = (diff_stage_kind)diff_pick(m->r, 5), .of = at, .is_desc = diff_chance(m->r, 60)};
        s->interval = DIFF_ONE_OF(m->r, intervals);
        s->is_next = diff_chance(m->r, 30);
        s->n_dims = s->kind == DIFF_STAGE_SHIFT ? 0 : (size_t)diff_between(m->r, 1, 2);
        for (size_t k = 0; k < s->n_dims; k++) s->dims[k] = random_group_dim(m);
        if (s->n_dims == 2 && s->dims[0] == s->dims[1]) s->n_dims = 1;
        if (s->kind == DIFF_STAGE_ADD_GROUP_BY && m->dims.v[s->dims[0]].type == DIFF_DIM_TIME) continue;
        if (s->kind == DIFF_STAGE_ADD_GROUP_BY) s->n_dims = 1;
        bool is_over =
            s->kind == DIFF_STAGE_ADD_GROUP_BY || (s->kind < DIFF_STAGE_ADD_GROUP_BY && diff_chance(m->r, 50));
        diff_measure_type type = s->kind == DIFF_STAGE_RANK ? DIFF_RANK
                                 : is_over                  ? DIFF_ONE_OF(m->r, over)
                                                            : DIFF_CALC_NUMBER;
        diff_measure *added = add_measure(m, names[i], type, measure_ref(m, at));
        added->stage = s;
    }
}

void diff_add_measures(diff_maker *m) {
    add_leaf_measures(m);
    add_expression_measures(m);
    add_calculated_measures(m);
    add_own_aggregates(m);
    add_foreign_measures(m);
    add_windows(m);
    add_stages(m);
}
