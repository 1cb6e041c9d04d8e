/* Random models: one fact cube with up to three cubes around it, dimensions of every type, derived ones, measures of
 * every type and combination, segments, and rollups with random members and grains. */
#include "differential/generate_expr.h"

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

size_t diff_add_dim(diff_maker *m, const char *name, diff_dim_type type, const diff_expr *sql) {
    diff_dim d = {.name = gr_str_from(name), .type = type, .sql = sql};
    if (type == DIFF_DIM_TIME) d.granularities = DIFF_ONE_OF(m->r, granularities);
    GR_PUSH(m->arena, &m->dims, d);
    return m->dims.n - 1;
}

static void add_column_dims(diff_maker *m, bool has_key, bool has_composite_key) {
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
    size_t at = diff_add_dim(m, "id", DIFF_DIM_NUMBER, id);
    m->dims.v[at].is_primary_key = has_key;
    if (has_composite_key) {
        at = diff_add_dim(m, "key2", DIFF_DIM_NUMBER, column(m, DIFF_COL_KEY2));
        m->dims.v[at].is_primary_key = true;
    }
    for (size_t i = 0; i < sizeof list / sizeof *list; i++) {
        if (!diff_chance(m->r, list[i].percent)) continue;
        diff_expr *e = column(m, list[i].column);
        e->is_bare = diff_chance(m->r, 50);
        diff_add_dim(m, list[i].name, list[i].type, e);
    }
}

size_t diff_find_dim(const diff_maker *m, const char *name) {
    for (size_t i = 0; i < m->dims.n; i++)
        if (gr_str_eq_z(m->dims.v[i].name, name)) return i;
    return SIZE_MAX;
}

static diff_expr *dim_ref(diff_maker *m, const char *name) {
    size_t at = diff_find_dim(m, name);
    return at == SIZE_MAX ? NULL : member(m, m->cube, at);
}

static void add_case_dim(diff_maker *m) {
    diff_expr *e = expr_new(m, DIFF_OP_CASE, predicate(m), word(m));
    if (diff_chance(m->r, 50)) {
        e->args[e->n_args++] = predicate(m);
        e->args[e->n_args++] = diff_chance(m->r, 50) ? word(m) : subject(m, DIFF_COL_TXT);
    }
    if (diff_chance(m->r, 60)) e->args[e->n_args++] = diff_chance(m->r, 70) ? word(m) : subject(m, DIFF_COL_TXT2);
    diff_dim d = {.name = GR_STR("kind"), .type = DIFF_DIM_STRING, .cases = e};
    GR_PUSH(m->arena, &m->dims, d);
}

static void add_geo_dim(diff_maker *m) {
    diff_dim d = {.name = GR_STR("place"),
                  .type = DIFF_DIM_GEO,
                  .latitude = column(m, DIFF_COL_NUM),
                  .longitude = column(m, DIFF_COL_DEC)};
    GR_PUSH(m->arena, &m->dims, d);
}

static void add_part_dim(diff_maker *m) {
    static const struct {
        const char *part;
        gr_grain grain;
    } parts[] = {{"month", GR_GRAIN_MONTH},
                 {"year", GR_GRAIN_YEAR},
                 {"quarter", GR_GRAIN_QUARTER},
                 {"month", GR_GRAIN_DAY},
                 {"year", GR_GRAIN_HOUR}};
    size_t which = diff_pick(m->r, sizeof parts / sizeof *parts);
    diff_expr *bucket = member(m, m->cube, diff_find_dim(m, "ts"));
    bucket->op = DIFF_OP_BUCKET;
    bucket->grain = parts[which].grain;
    bucket->is_bare = false;
    diff_expr *part = expr_new(m, DIFF_OP_PART, bucket, NULL);
    part->text = parts[which].part;
    diff_add_dim(m, "part", DIFF_DIM_NUMBER, part);
}

static void add_derived_dims(diff_maker *m) {
    diff_expr *a = dim_ref(m, "txt"), *b = dim_ref(m, "txt2"), *n = dim_ref(m, "num");
    if (b && diff_chance(m->r, 40)) {
        diff_expr *e = expr_new(m, DIFF_OP_CONCAT, a, literal(m, diff_text(GR_STR("-"))));
        e->args[e->n_args++] = b;
        diff_add_dim(m, "pair", DIFF_DIM_STRING, e);
    }
    if (diff_chance(m->r, 25)) diff_add_dim(m, "same", DIFF_DIM_STRING, dim_ref(m, "txt"));
    if (diff_chance(m->r, 25))
        diff_add_dim(m, "small", DIFF_DIM_STRING,
                     expr_new(m, diff_chance(m->r, 50) ? DIFF_OP_LOWER : DIFF_OP_UPPER, dim_ref(m, "txt"), NULL));
    if (diff_chance(m->r, 30))
        diff_add_dim(m, "filled", DIFF_DIM_STRING, expr_new(m, DIFF_OP_COALESCE, dim_ref(m, "txt"), word(m)));
    if (n && diff_chance(m->r, 30)) diff_add_dim(m, "num_more", DIFF_DIM_NUMBER, arith(m, '+', n, number(m, 1, 5)));
    if (n && diff_chance(m->r, 30)) {
        diff_expr *e = choice(m, compare(m, ">", dim_ref(m, "num"), number(m, -2, 2)), word(m),
                              diff_chance(m->r, 60) ? word(m) : NULL);
        diff_add_dim(m, "size", DIFF_DIM_STRING, e);
    }
    if (n && diff_chance(m->r, 20))
        diff_add_dim(m, "is_big", DIFF_DIM_BOOLEAN, compare(m, ">=", dim_ref(m, "num"), number(m, -2, 2)));
    if (n && diff_chance(m->r, 15))
        diff_add_dim(m, "num_label", DIFF_DIM_STRING,
                     expr_new(m, DIFF_OP_CONCAT, expr_new(m, DIFF_OP_TEXT, dim_ref(m, "num"), NULL),
                              literal(m, diff_text(GR_STR("%")))));
    if (diff_chance(m->r, 15))
        diff_add_dim(m, "raw_more", DIFF_DIM_NUMBER, arith(m, '*', column(m, DIFF_COL_NUM), number(m, 2, 3)));
    if (diff_chance(m->r, 20)) diff_add_dim(m, "same_ts", DIFF_DIM_TIME, dim_ref(m, "ts"));
    size_t pair = diff_find_dim(m, "pair");
    if (pair != SIZE_MAX && diff_chance(m->r, 40))
        diff_add_dim(m, "pair_small", DIFF_DIM_STRING, expr_new(m, DIFF_OP_LOWER, member(m, m->cube, pair), NULL));
    if (diff_chance(m->r, 50)) add_case_dim(m);
    if (diff_chance(m->r, 12)) add_geo_dim(m);
    if (diff_chance(m->r, 30)) add_part_dim(m);
}

/* A dimension of a finished cube. */
static diff_expr *their_dim(diff_maker *m, size_t other, const char *name) {
    const diff_cube *c = &m->w->cubes[other];
    for (size_t i = 0; i < c->n_dims; i++)
        if (gr_str_eq_z(c->dims[i].name, name)) return member(m, other, i);
    return NULL;
}

/* Cubes are made from the last to the first, and joins between finished ones are what is left. */
static void add_foreign_dims(diff_maker *m) {
    const diff_cube *c = &m->w->cubes[m->cube];
    if (!c->n_joins) return;
    size_t other = c->joins[diff_pick(m->r, c->n_joins)].to;
    diff_expr *theirs = their_dim(m, other, "txt");
    if (theirs && diff_chance(m->r, 25)) diff_add_dim(m, "their_txt", DIFF_DIM_STRING, theirs);
    if (theirs && diff_chance(m->r, 20))
        diff_add_dim(m, "both", DIFF_DIM_STRING, expr_new(m, DIFF_OP_CONCAT, dim_ref(m, "txt"), theirs));
}

static void add_segments(diff_maker *m) {
    static const char *const names[] = {"seg_a", "seg_b"};
    for (size_t i = 0; i < 2; i++) {
        if (!diff_chance(m->r, 60)) continue;
        diff_segment s = {.name = gr_str_from(names[i]), .sql = predicate(m)};
        GR_PUSH(m->arena, &m->segments, s);
    }
}

/* ---- worlds ---------------------------------------------------------------------------------------------------------
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

enum { BOTH_WAYS = 8 }; /* added to a relationship: the join is declared at both ends */

static size_t add_foreign_key(diff_cube *c, size_t to, bool is_unique) {
    c->fks[c->n_fks] = (diff_foreign_key){to, is_unique};
    return DIFF_COL_FK1 + c->n_fks++;
}

static void declare(diff_maker *m, size_t from, diff_join join) {
    diff_cube *c = &m->w->cubes[from];
    join.is_by_members = diff_chance(m->r, 40);
    m->w->has_fan_out |= join.relationship == DIFF_ONE_TO_MANY;
    c->joins[c->n_joins++] = join;
}

static void add_join(diff_maker *m, size_t from, size_t to, int how) {
    diff_relationship relationship = (diff_relationship)(how & ~BOTH_WAYS);
    diff_cube *many = &m->w->cubes[relationship == DIFF_ONE_TO_MANY ? to : from];
    size_t key = add_foreign_key(many, relationship == DIFF_ONE_TO_MANY ? from : to, relationship == DIFF_ONE_TO_ONE);
    diff_join join = {to, relationship, key, DIFF_COL_ID, false, 0, 0},
              back = {from, relationship, DIFF_COL_ID, key, false, 0, 0};
    if (relationship == DIFF_ONE_TO_MANY) {
        join.from_column = back.to_column = DIFF_COL_ID;
        join.to_column = back.from_column = key;
    }
    if (relationship != DIFF_ONE_TO_ONE)
        back.relationship = relationship == DIFF_ONE_TO_MANY ? DIFF_MANY_TO_ONE : DIFF_ONE_TO_MANY;
    declare(m, from, join);
    if (how & BOTH_WAYS) declare(m, to, back);
}

enum { MANY_ONE = DIFF_MANY_TO_ONE, ONE_ONE = DIFF_ONE_TO_ONE, ONE_MANY = DIFF_ONE_TO_MANY };

static void random_shape(diff_maker *m) {
    static const char *const names[] = {"orders", "users", "regions", "details"};
    static const struct {
        size_t n_cubes;
        int joins[4][3];
    } shapes[] = {
        {1, {{0}}},
        {2, {{0, 1, MANY_ONE}}},
        {3, {{0, 1, MANY_ONE}, {1, 2, MANY_ONE}}},
        {3, {{0, 1, MANY_ONE}, {0, 2, MANY_ONE}}},
        {2, {{0, 1, ONE_ONE}}},
        {3, {{0, 1, MANY_ONE}, {0, 2, ONE_ONE}}},
        {3, {{0, 1, ONE_ONE}, {1, 2, MANY_ONE}}},
        {3, {{0, 1, MANY_ONE}, {0, 2, MANY_ONE}, {1, 2, MANY_ONE}}},
        {4, {{0, 1, MANY_ONE}, {1, 2, MANY_ONE}, {0, 3, ONE_ONE}}},
        /* joins that repeat rows */
        {2, {{0, 1, ONE_MANY}}},
        {2, {{0, 1, MANY_ONE + BOTH_WAYS}}},
        {3, {{0, 1, MANY_ONE}, {0, 2, ONE_MANY}}},
        {3, {{0, 1, ONE_MANY}, {0, 2, ONE_MANY}}},
        {3, {{0, 1, ONE_MANY}, {1, 2, MANY_ONE}}},
        {3, {{0, 1, ONE_MANY}, {1, 2, ONE_MANY}}},
        {3, {{0, 1, ONE_MANY + BOTH_WAYS}, {1, 2, MANY_ONE}}},
        {3, {{0, 1, ONE_ONE}, {1, 2, ONE_MANY}}},
        {4, {{0, 1, MANY_ONE}, {0, 2, ONE_MANY}, {2, 3, MANY_ONE}}},
        {4, {{0, 1, ONE_MANY}, {0, 2, ONE_MANY}, {1, 3, MANY_ONE}}},
        /* several facts */
        {3, {{0, 2, MANY_ONE}, {1, 2, MANY_ONE}}},
        {4, {{0, 2, MANY_ONE}, {0, 3, MANY_ONE}, {1, 2, MANY_ONE}, {1, 3, MANY_ONE}}},
        {4, {{0, 2, MANY_ONE}, {1, 2, MANY_ONE}, {2, 3, MANY_ONE}}},
        {4, {{0, 3, MANY_ONE}, {1, 3, MANY_ONE}, {2, 3, MANY_ONE}}},
        {4, {{0, 2, MANY_ONE}, {1, 2, MANY_ONE + BOTH_WAYS}, {0, 3, ONE_MANY}}},
    };
    size_t which = diff_chance(m->r, 20) ? 0 : diff_pick(m->r, sizeof shapes / sizeof *shapes);
    m->w->n_cubes = shapes[which].n_cubes;
    for (size_t i = 0; i < m->w->n_cubes; i++)
        m->w->cubes[i] = (diff_cube){
            .name = gr_str_from(names[i]), .is_subselect = diff_chance(m->r, 30), .is_cheapest = diff_chance(m->r, 12)};
    for (size_t i = 0; i < 4 && (shapes[which].joins[i][0] || shapes[which].joins[i][1]); i++)
        add_join(m, (size_t)shapes[which].joins[i][0], (size_t)shapes[which].joins[i][1], shapes[which].joins[i][2]);
}

/* The first cube reaches another in two ways. */
static bool has_diamond(const diff_world *w) {
    size_t n_in[DIFF_MAX_CUBES] = {0}, reach[DIFF_MAX_CUBES], n = diff_reachable(w, 0, reach);
    bool is_twice = false;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < w->cubes[reach[i]].n_joins; k++) is_twice |= ++n_in[w->cubes[reach[i]].joins[k].to] > 1;
    return is_twice;
}

static void make_cube(diff_maker *m, size_t cube, bool is_diamond) {
    static const char *const names[] = {"fk1", "fk2", "fk3"};
    diff_cube *c = &m->w->cubes[cube];
    bool has_key = m->w->n_cubes > 1 || diff_chance(m->r, 60);
    m->cube = cube;
    m->dims.v = NULL, m->dims.n = m->dims.cap = 0;
    m->measures.v = NULL, m->measures.n = m->measures.cap = 0;
    m->segments.v = NULL, m->segments.n = m->segments.cap = 0;
    add_column_dims(m, has_key, has_key && cube == 0 && diff_chance(m->r, 10));
    for (size_t i = 0; i < c->n_fks; i++) diff_add_dim(m, names[i], DIFF_DIM_NUMBER, column(m, DIFF_COL_FK1 + i));
    add_derived_dims(m);
    if (!is_diamond) add_foreign_dims(m);
    c->dims = m->dims.v, c->n_dims = m->dims.n;
    diff_add_measures(m);
    add_segments(m);
    c->dims = m->dims.v, c->n_dims = m->dims.n;
    c->measures = m->measures.v, c->n_measures = m->measures.n;
    c->segments = m->segments.v, c->n_segments = m->segments.n;
}

static size_t dim_of_column(const diff_cube *c, size_t column) {
    for (size_t i = 0; i < c->n_dims; i++)
        if (c->dims[i].sql && c->dims[i].sql->op == DIFF_OP_COLUMN && c->dims[i].sql->index == column) return i;
    return 0;
}

static void name_joins(diff_world *w) {
    for (size_t i = 0; i < w->n_cubes; i++)
        for (size_t k = 0; k < w->cubes[i].n_joins; k++) {
            diff_join *j = &w->cubes[i].joins[k];
            j->from_dim = dim_of_column(&w->cubes[i], j->from_column);
            j->to_dim = dim_of_column(&w->cubes[j->to], j->to_column);
        }
}

static void random_zones(diff_maker *m) {
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
    diff_maker m = {.r = &random, .w = ret, .arena = arena};
    ret->now_us = gr_civil_to_us((gr_civil){.year = 2024, .month = 3, .day = 15}) +
                  diff_between(&random, 0, 700) * INT64_C(86400000000) + diff_between(&random, 0, 86399) * 1000000;
    random_zones(&m);
    ret->is_about_jumps = diff_chance(&random, 25);
    random_shape(&m);
    bool is_diamond = has_diamond(ret);
    for (size_t i = 0; i < ret->n_cubes; i++) diff_size_table(&random, ret, i, arena);
    for (size_t i = ret->n_cubes; i-- > 0;) {
        gr_str table = gr_arena_printf(arena, "t%llu_%zu", (unsigned long long)group, i);
        diff_generate_table(&random, ret, i, table, arena);
        make_cube(&m, i, is_diamond);
    }
    name_joins(ret);
    diff_random more = diff_random_of(seed, group, UINT64_MAX);
    m.r = &more;
    if (diff_chance(&more, 45)) diff_add_sub_queries(&m);
    m.r = &random;
    diff_add_rollups(&m);
    m.r = &more;
    diff_add_build_ranges(&m);
    diff_add_partitions(&m);
    diff_add_lambdas(&m);
    while (!is_diamond && ret->n_views < DIFF_MAX_VIEWS && diff_chance(&more, 35)) diff_add_view(&m);
}
