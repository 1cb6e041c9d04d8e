/* The model and the query of a world (match_world.h).
 *
 *   query first -> rollups that fit it more or less -> the members that all of them use -> text
 *
 * Invariant: names in the text are names of the tables below, so that nearly every world loads. */
#include "match_world.h"

#include "base/buf.h"

#include <string.h>

enum { MOST_CUBES = 4, MOST_ROLLUPS = 8, MOST_LIST = 24 };
typedef enum kind { DIMENSION, TIME, MEASURE, STAGE, SEGMENT } kind;

/* `body`: '@' is the cube that the first join leads to. `needs`: members of the own cube; `foreign`: of that one. */
typedef struct member {
    const char *name;
    kind kind;
    const char *body, *needs, *foreign;
} member;

static const member members[] = {
#include "match_members.def"
};
enum { N_MEMBERS = sizeof members / sizeof *members };

static const char *const cube_names[MOST_CUBES] = {"a", "b", "c", "d"};
static const char *const grains[] = {"day",    "month", "hour", "week", "year", "quarter", "minute",
                                     "second", "d5",    "fy",   "m31",  "q15",  "h5"};
enum { N_GRAINS = sizeof grains / sizeof *grains, N_PREDEFINED = 8 };

typedef struct ref {
    uint8_t cube, member, grain; /* grain: index + 1 into grains, 0 = none */
} ref;
typedef struct refs {
    ref v[MOST_LIST];
    size_t n;
} refs;

typedef enum rollup_type { ROLLUP, ORIGINAL, JOIN } rollup_type;
typedef struct rollup {
    rollup_type type;
    uint8_t cube, left, right; /* JOIN: its parts, among the rollups */
    refs measures, dimensions, times, segments;
    const char *filter; /* of the own cube */
    bool is_non_strict, is_explicit, is_cheapest, uses_original, is_in_source, is_ranged;
} rollup;

typedef struct match_cube {
    uint8_t joins[MOST_CUBES]; /* 0 none, else 1 + relationship */
    bool joins_by_dimension[MOST_CUBES];
    int target; /* of the first join, -1: none */
    bool has_key, has_two_keys, is_sql, is_elsewhere;
    bool is_used[N_MEMBERS];
} match_cube;

typedef struct maker {
    match_choices c;
    gr_arena *arena;
    match_cube cubes[MOST_CUBES];
    unsigned n_cubes, home;
    bool has_view, is_through_view;
    refs measures, dimensions, times, segments, filtered; /* of the query */
    rollup rollups[MOST_ROLLUPS];
    size_t n_rollups;
} maker;

/* ---- members
 * --------------------------------------------------------------------------------------------------------- */

static size_t index_of(const char *name, size_t n) {
    for (size_t i = 0; i < N_MEMBERS; i++)
        if (strlen(members[i].name) == n && !memcmp(members[i].name, name, n)) return i;
    return 0;
}
static size_t named(const char *name) { return index_of(name, strlen(name)); }

static bool add(refs *list, ref r) {
    if (list->n == MOST_LIST) return false;
    for (size_t i = 0; i < list->n; i++)
        if (list->v[i].cube == r.cube && list->v[i].member == r.member && list->v[i].grain == r.grain) return true;
    list->v[list->n++] = r;
    return true;
}

/* Marks a member and what it is made of. */
static void use(maker *m, unsigned cube, size_t i) {
    if (m->cubes[cube].is_used[i]) return;
    m->cubes[cube].is_used[i] = true;
    for (const char *p = members[i].needs; *p;) {
        size_t n = strcspn(p, " ");
        use(m, cube, index_of(p, n));
        p += n + (p[n] == ' ');
    }
    if (*members[i].foreign) use(m, (unsigned)m->cubes[cube].target, named(members[i].foreign));
}

static bool can_be(const maker *m, unsigned cube, size_t i) {
    bool wants_join = strchr(members[i].body, '@') || *members[i].foreign;
    bool wants_key = strstr(members[i].body, "sub_query: true") || !strcmp(members[i].name, "id");
    for (const char *p = members[i].needs; *p;) {
        size_t n = strcspn(p, " ");
        if (!can_be(m, cube, index_of(p, n))) return false;
        p += n + (p[n] == ' ');
    }
    return (!wants_join || m->cubes[cube].target >= 0) && (!wants_key || m->cubes[cube].has_key);
}

/* A member of one of two kinds; of the home cube as a rule. False when the choice is none. */
static bool pick_member(maker *m, kind from, kind to, ref *ret) {
    size_t first = 0, end = N_MEMBERS;
    while (members[first].kind != from) first++;
    while (members[end - 1].kind != to) end--;
    unsigned where = match_pick(&m->c, 8);
    unsigned cube = where < 4 ? m->home : (m->home + where) % m->n_cubes;
    size_t i = first + match_pick(&m->c, (unsigned)(end - first));
    *ret = (ref){(uint8_t)cube, (uint8_t)i, 0};
    return can_be(m, cube, i);
}

static uint8_t pick_grain(maker *m, size_t time) {
    bool has_custom = members[time].name[0] == 't';
    return (uint8_t)(1 + match_pick(&m->c, has_custom ? N_GRAINS : N_PREDEFINED));
}

/* ---- cubes
 * ----------------------------------------------------------------------------------------------------------- */

static void make_cubes(maker *m) {
    m->n_cubes = 1 + match_pick(&m->c, MOST_CUBES);
    m->home = match_pick(&m->c, m->n_cubes);
    for (unsigned i = 0; i < m->n_cubes; i++) {
        match_cube *c = &m->cubes[i];
        unsigned bits = match_pick(&m->c, 256);
        c->has_key = bits % 8 != 1;
        c->has_two_keys = c->has_key && bits / 8 % 8 == 1;
        c->is_sql = bits / 64 % 2;
        c->is_elsewhere = bits == 255;
        c->target = -1;
    }
    for (unsigned i = 0; i < m->n_cubes; i++)
        for (unsigned k = 0; k < m->n_cubes; k++) {
            if (i == k) continue;
            unsigned how = match_pick(&m->c, k == i + 1 ? 5 : 8); /* a chain as a rule, and more */
            if (k == i + 1) how = how ? how : 1;
            if (how > 3) how = how == 4 && k == i + 1 ? 2 : 0;
            m->cubes[i].joins[k] = (uint8_t)how;
            m->cubes[i].joins_by_dimension[k] = how && m->cubes[k].has_key && match_pick(&m->c, 2);
            if (how && m->cubes[i].target < 0) m->cubes[i].target = (int)k;
        }
    m->has_view = match_pick(&m->c, 4) == 1;
    m->is_through_view = m->has_view && m->home == 0;
}

/* ---- query members
 * --------------------------------------------------------------------------------------------------- */

static void pick_list(maker *m, unsigned most, kind from, kind to, refs *out) {
    unsigned n = match_pick(&m->c, most + 1);
    for (unsigned i = 0; i < n; i++) {
        ref r;
        if (pick_member(m, from, to, &r)) add(out, r);
    }
}

static void make_query_members(maker *m) {
    static const uint8_t n_measures[] = {1, 2, 3, 0, 4, 1, 1, 2};
    unsigned n = n_measures[match_pick(&m->c, 8)];
    bool may_stage = match_pick(&m->c, 3) == 1;
    for (unsigned i = 0; i < n; i++) {
        ref r;
        if (pick_member(m, MEASURE, may_stage ? STAGE : MEASURE, &r)) add(&m->measures, r);
    }
    pick_list(m, 3, DIMENSION, DIMENSION, &m->dimensions);
    pick_list(m, 2, TIME, TIME, &m->times);
    for (size_t i = 0; i < m->times.n; i++)
        if (match_pick(&m->c, 4) != 3) m->times.v[i].grain = pick_grain(m, m->times.v[i].member);
    if (match_pick(&m->c, 4) == 1) pick_list(m, 2, SEGMENT, SEGMENT, &m->segments);
    if (!m->measures.n && !m->dimensions.n) add(&m->measures, (ref){(uint8_t)m->home, (uint8_t)named("c"), 0});
    const refs *all[] = {&m->measures, &m->dimensions, &m->times, &m->segments};
    for (size_t k = 0; k < 4; k++)
        for (size_t i = 0; i < all[k]->n; i++) use(m, all[k]->v[i].cube, all[k]->v[i].member);
}

/* ---- query text
 * ------------------------------------------------------------------------------------------------------ */

static void put_name(maker *m, gr_buf *b, ref r, bool is_view) {
    if (is_view && r.cube == 0)
        gr_buf_printf(b, "ov.%s", members[r.member].name);
    else if (is_view && (int)r.cube == m->cubes[0].target)
        gr_buf_printf(b, "ov.%s_%s", cube_names[r.cube], members[r.member].name);
    else
        gr_buf_printf(b, "%s.%s", cube_names[r.cube], members[r.member].name);
}

static void put_list(maker *m, gr_buf *b, const char *key, const refs *list) {
    if (!list->n) return;
    gr_buf_printf(b, "\"%s\":[", key);
    for (size_t i = 0; i < list->n; i++) {
        gr_buf_z(b, i ? ",\"" : "\"");
        put_name(m, b, list->v[i], m->is_through_view);
        gr_buf_char(b, '"');
    }
    gr_buf_z(b, "],");
}

static void put_date(maker *m, gr_buf *b, unsigned month) {
    static const char *const times[] = {"",
                                        "T00:00:00.000",
                                        "T10:30:00.000",
                                        "T23:59:59.999",
                                        "T02:30:00.000",
                                        "T01:30:00.000",
                                        "T05:00:00.123456",
                                        "T12:00:00.000"};
    unsigned day = match_pick(&m->c, 31), year = month / 12;
    static const uint8_t last[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    month %= 12;
    if (day >= last[month]) day = last[month] - 1u;
    gr_buf_printf(b, "20%02u-%02u-%02u%s", 20 + year, month + 1, day + 1, times[match_pick(&m->c, 8)]);
}

static void put_range(maker *m, gr_buf *b) {
    static const char *const words[] = {"\"last 7 days\"",
                                        "\"this month\"",
                                        "\"2020\"",
                                        "\"last month\"",
                                        "[\"2020-01-01\",\"2020-01-31\"]",
                                        "[\"2020-01-01\",\"2020-12-31\"]"};
    unsigned how = match_pick(&m->c, 10);
    if (how < 6) {
        gr_buf_z(b, words[how]);
        return;
    }
    unsigned month = match_pick(&m->c, 24);
    gr_buf_z(b, "[\"");
    put_date(m, b, month);
    gr_buf_z(b, "\",\"");
    put_date(m, b, month + match_pick(&m->c, 5));
    gr_buf_z(b, "\"]");
}

/* A granularity that is far finer than its range makes a long series, and the plan nothing new. */
static void put_short_range(maker *m, gr_buf *b) {
    static const char *const ends[] = {"10:05:00.000", "10:04:59.999", "10:00:30.500", "10:00:01.000"};
    unsigned day = 1 + match_pick(&m->c, 28);
    gr_buf_printf(b, "[\"2020-03-%02uT10:00:00.000\",\"2020-03-%02uT%s\"]", day, day, ends[match_pick(&m->c, 4)]);
}

static bool is_fine(uint8_t grain) {
    const char *name = grain ? grains[grain - 1] : "";
    return !strcmp(name, "second") || !strcmp(name, "minute") || !strcmp(name, "q15") || !strcmp(name, "hour");
}

static void put_times(maker *m, gr_buf *b) {
    gr_buf_z(b, "\"timeDimensions\":[");
    for (size_t i = 0; i < m->times.n; i++) {
        gr_buf_z(b, i ? ",{\"dimension\":\"" : "{\"dimension\":\"");
        put_name(m, b, m->times.v[i], m->is_through_view);
        gr_buf_char(b, '"');
        if (m->times.v[i].grain) gr_buf_printf(b, ",\"granularity\":\"%s\"", grains[m->times.v[i].grain - 1]);
        if (match_pick(&m->c, 6) != 5) {
            gr_buf_z(b, ",\"dateRange\":");
            if (is_fine(m->times.v[i].grain))
                put_short_range(m, b);
            else
                put_range(m, b);
        }
        gr_buf_char(b, '}');
    }
    gr_buf_z(b, "],");
}

/* Values and operators that may stand in static filters too, so that one can imply the other. */
static const char *const filters[] = {
    "\"s\",\"operator\":\"equals\",\"values\":[\"x\"]",
    "\"s\",\"operator\":\"in\",\"values\":[\"x\",\"y\"]",
    "\"n\",\"operator\":\"gt\",\"values\":[\"5\"]",
    "\"n\",\"operator\":\"equals\",\"values\":[\"7\"]",
    "\"t\",\"operator\":\"inDateRange\",\"values\":[\"2020-01-01\",\"2020-12-31\"]",
    "\"t\",\"operator\":\"afterOrOnDate\",\"values\":[\"2020-01-01\"]",
    "\"f\",\"operator\":\"equals\",\"values\":[\"true\"]",
    "\"s\",\"operator\":\"notEquals\",\"values\":[\"z\"]",
    "\"s\",\"operator\":\"set\"",
    "\"s\",\"operator\":\"equals\",\"values\":[null]",
    "\"s\",\"operator\":\"contains\",\"values\":[\"x\"]",
    "\"t\",\"operator\":\"beforeDate\",\"values\":[\"2020-02-01 10:00:00\"]",
    "\"t\",\"operator\":\"onTheDate\",\"values\":[\"2020-01-05\"]",
    "\"t\",\"operator\":\"notInDateRange\",\"values\":[\"2020-03-01\",\"2020-03-02\"]",
    "\"ca\",\"operator\":\"equals\",\"values\":[\"one\"]",
    "\"de\",\"operator\":\"startsWith\",\"values\":[\"x\"]",
    "\"cr\",\"operator\":\"equals\",\"values\":[\"xx\"]",
    "\"sq\",\"operator\":\"gte\",\"values\":[\"2\"]",
    "\"sp\",\"operator\":\"notSet\"",
    "\"id\",\"operator\":\"equals\",\"values\":[\"1\"]",
    "\"c\",\"operator\":\"gt\",\"values\":[\"1\"]",
    "\"r\",\"operator\":\"lte\",\"values\":[\"1.5\"]",
    "\"w7\",\"operator\":\"set\"",
    "\"go\",\"operator\":\"gt\",\"values\":[\"3\"]",
    "\"v\",\"operator\":\"measureFilter\"",
};
enum { N_FILTERS = sizeof filters / sizeof *filters, N_ROW_FILTERS = 20, N_STATIC = 14 };

static void put_leaf(maker *m, gr_buf *b, bool is_on_measure) {
    unsigned cube = match_pick(&m->c, 4) == 3 ? match_pick(&m->c, m->n_cubes) : m->home;
    size_t f =
        is_on_measure ? N_ROW_FILTERS + match_pick(&m->c, N_FILTERS - N_ROW_FILTERS) : match_pick(&m->c, N_ROW_FILTERS);
    size_t n = strcspn(filters[f] + 1, "\""), i = index_of(filters[f] + 1, n);
    if (!can_be(m, cube, i)) i = f = is_on_measure ? N_ROW_FILTERS : 0;
    if (!f) i = named("s");
    if (f == N_ROW_FILTERS) i = named("c");
    ref r = {(uint8_t)cube, (uint8_t)i, 0};
    use(m, cube, i);
    if (members[i].kind == DIMENSION || members[i].kind == TIME) add(&m->filtered, r);
    gr_buf_z(b, "{\"member\":\"");
    put_name(m, b, r, m->is_through_view);
    gr_buf_char(b, '"');
    gr_buf_z(b, filters[f] + 2 + strlen(members[i].name));
    gr_buf_char(b, '}');
}

static void put_filter(maker *m, gr_buf *b, bool is_on_measure, int depth) {
    unsigned how = depth < 2 ? match_pick(&m->c, 6) : 0;
    if (how < 4) {
        put_leaf(m, b, is_on_measure);
        return;
    }
    gr_buf_z(b, how == 4 ? "{\"or\":[" : "{\"and\":[");
    for (unsigned i = 0, n = 1 + match_pick(&m->c, 3); i < n; i++) {
        if (i) gr_buf_char(b, ',');
        put_filter(m, b, is_on_measure, depth + 1);
    }
    gr_buf_z(b, "]}");
}

static void put_filters(maker *m, gr_buf *b) {
    unsigned n = match_pick(&m->c, 4);
    gr_buf_z(b, "\"filters\":[");
    for (unsigned i = 0; i < n; i++) {
        if (i) gr_buf_char(b, ',');
        put_filter(m, b, match_pick(&m->c, 5) == 4, 0);
    }
    gr_buf_z(b, "]");
}

static void put_query(maker *m, gr_buf *b) {
    static const char *const zones[] = {"UTC",           "America/New_York",    "Asia/Kolkata",
                                        "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo"};
    gr_buf_char(b, '{');
    put_list(m, b, "measures", &m->measures);
    put_list(m, b, "dimensions", &m->dimensions);
    put_list(m, b, "segments", &m->segments);
    put_times(m, b);
    put_filters(m, b);
    unsigned zone = match_pick(&m->c, 12), bits = match_pick(&m->c, 64);
    if (zone > 5) gr_buf_printf(b, ",\"timezone\":\"%s\"", zones[zone - 6]);
    if (bits % 8 == 7) gr_buf_z(b, ",\"ungrouped\":true");
    if (bits / 8 == 5) gr_buf_z(b, ",\"selection\":\"cheapest\"");
    if (bits / 8 == 6) gr_buf_z(b, ",\"total\":true,\"limit\":10,\"offset\":3");
    gr_buf_char(b, '}');
}

/* ---- rollups
 * ----------------------------------------------------------------------------------------------------------- */

/* What of a measure can be stored: of stages, the measures below. */
static void add_stored(refs *out, refs *dimensions, ref r) {
    const member *x = &members[r.member];
    if (x->kind == STAGE) {
        for (const char *p = x->needs; *p;) {
            size_t n = strcspn(p, " ");
            add_stored(out, dimensions, (ref){r.cube, (uint8_t)index_of(p, n), 0});
            p += n + (p[n] == ' ');
        }
    } else if (x->kind == MEASURE) {
        add(out, r);
    } else if (x->kind == DIMENSION) {
        add(dimensions, r);
    }
}

static void drop(maker *m, refs *list) {
    if (list->n) list->v[match_pick(&m->c, (unsigned)list->n)] = list->v[list->n - 1];
    if (list->n) list->n--;
}

/* A rollup of all that the query asks for, then changed a little. */
static void fit(maker *m, rollup *r) {
    unsigned bits = match_pick(&m->c, 256), other = match_pick(&m->c, 16);
    r->cube = (uint8_t)(bits % 8 == 7 ? match_pick(&m->c, m->n_cubes) : m->home);
    for (size_t i = 0; i < m->measures.n; i++) add_stored(&r->measures, &r->dimensions, m->measures.v[i]);
    for (size_t i = 0; i < m->dimensions.n; i++) add(&r->dimensions, m->dimensions.v[i]);
    r->segments = m->segments;
    for (size_t i = 0; i < m->filtered.n; i++)
        if (members[m->filtered.v[i].member].kind == DIMENSION) add(&r->dimensions, m->filtered.v[i]);
    for (size_t i = 0; i < m->times.n; i++) {
        ref t = m->times.v[i];
        if (!t.grain || bits / 8 % 4 != 1) t.grain = pick_grain(m, t.member);
        add(&r->times, t);
    }
    ref more;
    if (bits / 32 == 1) drop(m, &r->dimensions);
    if (bits / 32 == 2) drop(m, &r->measures);
    if (bits / 32 == 3 && pick_member(m, DIMENSION, DIMENSION, &more)) add(&r->dimensions, more);
    if (bits / 32 == 4 && pick_member(m, MEASURE, MEASURE, &more)) add(&r->measures, more);
    if (bits / 32 == 5 && pick_member(m, TIME, TIME, &more)) {
        more.grain = pick_grain(m, more.member);
        add(&r->times, more);
    }
    if (bits / 32 == 6) r->filter = filters[match_pick(&m->c, N_STATIC)];
    r->is_non_strict = other == 1;
    r->is_explicit = other == 2;
    r->is_cheapest = other == 3;
    r->is_in_source = other == 4;
    r->uses_original = other == 5;
    r->is_ranged = other == 6 && r->times.n == 1;
}

static void random_rollup(maker *m, rollup *r) {
    r->cube = (uint8_t)match_pick(&m->c, m->n_cubes);
    pick_list(m, 3, MEASURE, MEASURE, &r->measures);
    pick_list(m, 3, DIMENSION, DIMENSION, &r->dimensions);
    pick_list(m, 1, TIME, TIME, &r->times);
    for (size_t i = 0; i < r->times.n; i++) r->times.v[i].grain = pick_grain(m, r->times.v[i].member);
}

/* Two rollups that meet on the key of one, and the join of them. */
static void join_rollups(maker *m) {
    const match_cube *c = &m->cubes[m->home];
    if (m->n_rollups + 3 > MOST_ROLLUPS || c->target < 0 || !c->joins_by_dimension[c->target]) return;
    rollup *left = &m->rollups[m->n_rollups], *right = left + 1, *both = left + 2;
    uint8_t home = (uint8_t)m->home, there = (uint8_t)c->target;
    *left = (rollup){.cube = home};
    *right = (rollup){.cube = there};
    *both = (rollup){.type = JOIN, .cube = home, .left = (uint8_t)m->n_rollups, .right = (uint8_t)(m->n_rollups + 1)};
    add(&left->dimensions, (ref){home, (uint8_t)named("n"), 0});
    add(&right->dimensions, (ref){there, (uint8_t)named("id"), 0});
    for (size_t i = 0; i < m->measures.n; i++)
        if (m->measures.v[i].cube == home) add_stored(&left->measures, &left->dimensions, m->measures.v[i]);
    const refs *lists[] = {&m->dimensions, &m->filtered};
    for (size_t k = 0; k < 2; k++)
        for (size_t i = 0; i < lists[k]->n; i++) {
            ref r = lists[k]->v[i];
            if (members[r.member].kind != DIMENSION || (r.cube != home && r.cube != there)) continue;
            add(r.cube == home ? &left->dimensions : &right->dimensions, r);
            add(&both->dimensions, r);
        }
    for (size_t i = 0; i < m->times.n; i++) {
        ref t = m->times.v[i];
        if (t.cube != home) continue;
        if (!t.grain) t.grain = pick_grain(m, t.member);
        add(&left->times, t);
        add(&both->times, t);
    }
    both->measures = left->measures;
    m->n_rollups += 3;
}

static void make_rollups(maker *m) {
    unsigned n = match_pick(&m->c, 7);
    for (unsigned i = 0; i < n && m->n_rollups < MOST_ROLLUPS; i++) {
        rollup *r = &m->rollups[m->n_rollups];
        *r = (rollup){0};
        unsigned how = match_pick(&m->c, 8);
        if (how == 6) {
            join_rollups(m);
            continue;
        }
        if (how == 5) {
            r->type = ORIGINAL;
            r->cube = (uint8_t)match_pick(&m->c, m->n_cubes);
        } else if (how == 4) {
            random_rollup(m, r);
        } else {
            fit(m, r);
        }
        m->n_rollups++;
    }
    for (size_t k = 0; k < m->n_rollups; k++) {
        rollup *r = &m->rollups[k];
        const refs *all[] = {&r->measures, &r->dimensions, &r->times, &r->segments};
        for (size_t a = 0; a < 4; a++)
            for (size_t i = 0; i < all[a]->n; i++) use(m, all[a]->v[i].cube, all[a]->v[i].member);
        if (r->filter) use(m, r->cube, index_of(r->filter + 1, strcspn(r->filter + 1, "\"")));
    }
}

/* ---- model text
 * -------------------------------------------------------------------------------------------------------- */

static void put_body(const maker *m, gr_buf *b, unsigned cube, const char *body) {
    for (; *body; body++)
        if (*body == '@')
            gr_buf_z(b, cube_names[m->cubes[cube].target]);
        else
            gr_buf_char(b, *body);
}

static void put_members(const maker *m, gr_buf *b, unsigned cube, const char *key, kind from, kind to) {
    const match_cube *c = &m->cubes[cube];
    bool has_any = false;
    for (size_t i = 0; i < N_MEMBERS; i++) {
        if (!c->is_used[i] || members[i].kind < from || members[i].kind > to || !*members[i].body) continue;
        if (!has_any) gr_buf_printf(b, "    %s:\n", key);
        has_any = true;
        gr_buf_printf(b, "      - {name: %s, ", members[i].name);
        put_body(m, b, cube, members[i].body);
        gr_buf_z(b, "}\n");
    }
}

static void put_refs(gr_buf *b, const char *key, const refs *list) {
    if (!list->n) return;
    gr_buf_printf(b, ", %s: [", key);
    for (size_t i = 0; i < list->n; i++)
        gr_buf_printf(b, "%s%s.%s", i ? ", " : "", cube_names[list->v[i].cube], members[list->v[i].member].name);
    gr_buf_char(b, ']');
}

static void put_rollup(const maker *m, gr_buf *b, size_t i, bool has_original) {
    const rollup *r = &m->rollups[i];
    static const char *const types[] = {"rollup", "original_sql", "rollup_join"};
    gr_buf_printf(b, "      - {name: p%zu, type: %s", i, types[r->type]);
    put_refs(b, "measures", &r->measures);
    put_refs(b, "dimensions", &r->dimensions);
    put_refs(b, "segments", &r->segments);
    if (r->times.n) gr_buf_z(b, ", time_dimensions: [");
    for (size_t k = 0; k < r->times.n; k++)
        gr_buf_printf(b, "%s{dimension: %s.%s, granularity: %s}", k ? ", " : "", cube_names[r->times.v[k].cube],
                      members[r->times.v[k].member].name, grains[r->times.v[k].grain - 1]);
    if (r->times.n) gr_buf_char(b, ']');
    if (r->filter) gr_buf_printf(b, ", filters: [{\"member\": %s}]", r->filter);
    if (r->type == JOIN)
        gr_buf_printf(b, ", rollups: [%s.p%d, %s.p%d]", cube_names[m->rollups[r->left].cube], r->left,
                      cube_names[m->rollups[r->right].cube], r->right);
    if (r->is_non_strict) gr_buf_z(b, ", allow_non_strict_date_range_match: true");
    if (r->is_explicit) gr_buf_z(b, ", build: explicit");
    if (r->is_cheapest) gr_buf_z(b, ", selection: cheapest");
    if (r->is_in_source) gr_buf_z(b, ", external: false");
    if (r->is_ranged) gr_buf_z(b, ", build_range_start: {sql: SELECT 1}, build_range_end: {sql: SELECT 2}");
    if (r->uses_original && has_original) gr_buf_z(b, ", use_original_sql_pre_aggregations: true");
    gr_buf_z(b, "}\n");
}

static void put_rollups(const maker *m, gr_buf *b, unsigned cube, bool is_reversed) {
    bool has_any = false, has_original = false;
    for (size_t k = 0; k < m->n_rollups; k++)
        has_original |= m->rollups[k].cube == cube && m->rollups[k].type == ORIGINAL;
    for (size_t k = 0; k < m->n_rollups; k++) {
        size_t i = is_reversed ? m->n_rollups - 1 - k : k;
        if (m->rollups[i].cube != cube) continue;
        if (!has_any) gr_buf_z(b, "    pre_aggregations:\n");
        has_any = true;
        put_rollup(m, b, i, has_original);
    }
}

static void put_joins(const maker *m, gr_buf *b, unsigned cube) {
    static const char *const relationships[] = {"", "many_to_one", "one_to_many", "one_to_one"};
    bool has_any = false;
    for (unsigned k = 0; k < m->n_cubes; k++) {
        unsigned how = m->cubes[cube].joins[k];
        if (!how) continue;
        if (!has_any) gr_buf_z(b, "    joins:\n");
        has_any = true;
        const char *to = cube_names[k];
        gr_buf_printf(b, "      - {name: %s, relationship: %s, sql: '", to, relationships[how]);
        if (m->cubes[cube].joins_by_dimension[k])
            gr_buf_printf(b, "{CUBE.n} = {%s.id}'}\n", to);
        else
            gr_buf_printf(b, "{CUBE}.k%u = {%s}.k%u'}\n", cube, to, cube);
    }
}

static gr_str model_text(const maker *m, bool is_reversed) {
    gr_buf b;
    gr_buf_init(&b, 1 << 20);
    gr_buf_z(&b, "cubes:\n");
    for (unsigned i = 0; i < m->n_cubes; i++) {
        const match_cube *c = &m->cubes[i];
        gr_buf_printf(&b, "  - name: %s\n    %s%s\n", cube_names[i],
                      c->is_sql ? "sql: select * from " : "sql_table: ", cube_names[i]);
        if (c->is_elsewhere) gr_buf_z(&b, "    data_source: other\n");
        put_joins(m, &b, i);
        gr_buf_z(&b, "    dimensions:\n");
        if (c->has_key) gr_buf_z(&b, "      - {name: id, sql: id, type: number, primary_key: true, public: true}\n");
        if (c->has_two_keys) gr_buf_z(&b, "      - {name: k2, sql: k2, type: string, primary_key: true}\n");
        for (size_t k = 0; k < N_MEMBERS; k++)
            if (c->is_used[k] && *members[k].body && members[k].kind <= TIME) {
                gr_buf_printf(&b, "      - {name: %s, ", members[k].name);
                put_body(m, &b, i, members[k].body);
                gr_buf_z(&b, "}\n");
            }
        put_members(m, &b, i, "measures", MEASURE, STAGE);
        put_members(m, &b, i, "segments", SEGMENT, SEGMENT);
        put_rollups(m, &b, i, is_reversed);
    }
    if (m->has_view) {
        gr_buf_z(&b, "views:\n  - name: ov\n    cubes:\n      - {join_path: a, includes: '*'}\n");
        if (m->cubes[0].target >= 0)
            gr_buf_printf(&b, "      - {join_path: a.%s, prefix: true, includes: '*'}\n",
                          cube_names[m->cubes[0].target]);
    }
    gr_str text = gr_arena_dup(m->arena, gr_buf_str(&b));
    gr_buf_done(&b);
    return text;
}

match_world match_world_make(const uint8_t *data, size_t size, gr_arena *arena) {
    maker *m = GR_NEW(arena, maker);
    *m = (maker){.c = {data, size}, .arena = arena};
    make_cubes(m);
    for (unsigned i = 0; i < m->n_cubes; i++) {
        use(m, i, named("s")); /* of every cube, so that it has a member */
        for (unsigned k = 0; k < m->n_cubes; k++)
            if (m->cubes[i].joins_by_dimension[k]) use(m, i, named("n"));
    }
    make_query_members(m);
    gr_buf query;
    gr_buf_init(&query, 1 << 20);
    put_query(m, &query);
    make_rollups(m);
    match_world w = {.model = model_text(m, false),
                     .reversed = model_text(m, true),
                     .query = gr_arena_dup(arena, gr_buf_str(&query)),
                     .rest = m->c};
    gr_buf_done(&query);
    return w;
}
