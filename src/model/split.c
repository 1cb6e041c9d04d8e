/* Calculated measures that hold their own aggregates (`sum({CUBE}.a) / count(*)`) become what they would be had each
 * aggregate been a measure of its own: synthetic measures, and SQL over them. Where that is not possible the measure
 * stays as it is, opaque. Invariant: the synthetic ones stand in `members` of the model and nowhere else, behind all
 * that were written, so that nothing written gets another index by them. */
#include "model/loader.h"

#include "expr/split.h"

/* What a measure's `sql` puts for a call: SQL around synthetic measures. */
typedef struct form {
    gr_measure_type agg; /* of {0} */
    const char *name;
    bool is_spread; /* the other one is {1}, the number of values */
    const char *text;
} form;

/* M2 is the sum of squared distances from the mean; rounding may leave it a little below zero. */
#define POP "case when {1} > 0 then greatest({0}, 0) / {1} end"
#define SAMP "case when {1} > 1 then greatest({0}, 0) / ({1} - 1) end"

static const form forms[GR_CALL__COUNT] = {
    [GR_CALL_COUNT_ROWS] = {GR_MEASURE_COUNT, "count", false, "{0}"},
    [GR_CALL_COUNT] = {GR_MEASURE_COUNT, "count", false, "{0}"},
    [GR_CALL_COUNT_DISTINCT] = {GR_MEASURE_COUNT_DISTINCT, "count_distinct", false, "{0}"},
    [GR_CALL_COUNT_DISTINCT_APPROX] = {GR_MEASURE_COUNT_DISTINCT_APPROX, "count_distinct_approx", false, "{0}"},
    [GR_CALL_SUM] = {GR_MEASURE_SUM, "sum", false, "{0}"},
    [GR_CALL_AVG] = {GR_MEASURE_AVG, "avg", false, "{0}"},
    [GR_CALL_MIN] = {GR_MEASURE_MIN, "min", false, "{0}"},
    [GR_CALL_MAX] = {GR_MEASURE_MAX, "max", false, "{0}"},
    [GR_CALL_VAR_POP] = {GR_MEASURE_M2, "m2_", true, "(" POP ")"},
    [GR_CALL_VAR_SAMP] = {GR_MEASURE_M2, "m2_", true, "(" SAMP ")"},
    [GR_CALL_STDDEV_POP] = {GR_MEASURE_M2, "m2_", true, "sqrt(" POP ")"},
    [GR_CALL_STDDEV_SAMP] = {GR_MEASURE_M2, "m2_", true, "sqrt(" SAMP ")"},
};

typedef struct splitting {
    gr_loader *l;
    gr_map *taken;   /* names and columns of the cube */
    gr_draft *owner; /* of the measure that is split */
    gr_split split;
    const gr_member **measures; /* by call: that of {0} */
    const gr_member **counts;   /* by call: that of {1}, or NULL */
    GR_VEC(gr_part) sql;
} splitting;

typedef GR_VEC(gr_member *) member_list;

/* ---- synthetic measures ----------------------------------------------------------------------------------------- */

/* `<measure>__<kind><n>`; the number moves on where a written member has that name or column. */
static void name_measure(splitting *s, gr_member *m, const char *kind, size_t number) {
    const gr_member *owner = &s->owner->member;
    gr_arena *arena = s->l->arena;
    do {
        m->name = gr_arena_printf(arena, GR_FMT "__%s%zu", GR_ARG(owner->name), kind, number);
        m->column = gr_arena_printf(arena, GR_FMT "__%s%zu", GR_ARG(owner->column), kind, number);
        number++;
    } while (gr_map_get(s->taken, m->name) || gr_map_get(s->taken, m->column));
    gr_map_put(s->taken, m->name, m);
    gr_map_put(s->taken, m->column, m);
    m->id = owner->id; /* in messages it is the measure that a person wrote */
}

static const gr_expr *row_expr(gr_arena *arena, gr_loc loc) {
    gr_expr *one = GR_NEW(arena, gr_expr);
    gr_part *part = GR_NEW(arena, gr_part);
    *part = (gr_part){.kind = GR_PART_TEXT, .loc = loc, .text = GR_STR("1")};
    *one = (gr_expr){.parts = part, .n_parts = 1, .source = part->text, .loc = loc};
    return one;
}

static const gr_member *make_measure(splitting *s, const gr_call *call, gr_measure_type agg, const char *kind,
                                     size_t number) {
    const gr_member *owner = &s->owner->member;
    gr_draft *d = GR_NEW(s->l->arena, gr_draft);
    gr_member *m = &d->member;
    d->source = s->owner->source;
    d->is_inherited = s->owner->is_inherited;
    m->kind = GR_MEMBER_MEASURE;
    m->cube = owner->cube;
    m->loc = owner->loc;
    m->title = owner->title;
    m->short_title = owner->short_title;
    m->is_synthetic = true;
    m->agg = agg;
    m->window = owner->window;
    m->hll_log2m = owner->hll_log2m;
    name_measure(s, m, kind, number);
    /* A count without sql would count keys: count(*) counts rows, also those in which a join found nothing. */
    m->sql = call->argument ? call->argument : row_expr(s->l->arena, owner->sql->loc);
    if (call->filter) {
        m->filters = GR_NEW(s->l->arena, const gr_expr *);
        m->filters[m->n_filters++] = call->filter;
    }
    return m;
}

/* ---- SQL over them ---------------------------------------------------------------------------------------------- */

static void add_text(splitting *s, const char *from, size_t n) {
    if (!n) return;
    gr_part part = {.kind = GR_PART_TEXT, .loc = s->owner->member.sql->loc, .text = {from, n}};
    GR_PUSH(s->l->arena, &s->sql, part);
}

static void add_measure(splitting *s, const gr_member *m) {
    gr_str *names = GR_NEW(s->l->arena, gr_str);
    names[0] = m->name;
    gr_part part = {.kind = GR_PART_MEMBER,
                    .loc = s->owner->member.sql->loc,
                    .text = m->name,
                    .names = names,
                    .n_names = 1,
                    .cube = m->cube,
                    .member = m};
    GR_PUSH(s->l->arena, &s->sql, part);
}

static void add_call(splitting *s, size_t call) {
    const char *text = forms[s->split.calls[call].kind].text, *from = text;
    for (const char *at = text; *at; at++) {
        if (*at != '{') continue;
        add_text(s, from, (size_t)(at - from));
        add_measure(s, at[1] == '0' ? s->measures[call] : s->counts[call]);
        from = at += strlen("{0");
        from++;
    }
    add_text(s, from, strlen(from));
}

static void make_sql(splitting *s) {
    const gr_expr *old = s->owner->member.sql;
    for (size_t i = 0; i < s->split.n_finish; i++) {
        const gr_part *part = s->split.finish[i].part;
        if (part)
            GR_PUSH(s->l->arena, &s->sql, *part);
        else
            add_call(s, s->split.finish[i].call);
    }
    gr_expr *sql = GR_NEW(s->l->arena, gr_expr);
    *sql = (gr_expr){.parts = s->sql.v, .n_parts = s->sql.n, .source = old->source, .loc = old->loc};
    s->owner->member.sql = sql;
    s->owner->member.has_own_aggregate = false;
}

/* ---- which, and where they go ----------------------------------------------------------------------------------- */

/* False: a name could not be resolved, which is reported, or nothing was found to take apart. */
static bool split_sql(splitting *s) {
    const gr_member *m = &s->owner->member;
    gr_hole_role *roles = GR_NEW_N(s->l->scratch, gr_hole_role, m->sql->n_parts);
    for (size_t i = 0; i < m->sql->n_parts; i++) {
        const gr_part *part = &m->sql->parts[i];
        if (part->kind == GR_PART_TEXT) continue;
        if (!part->cube || (part->kind == GR_PART_MEMBER && !part->member)) return false;
        if (part->kind != GR_PART_MEMBER) continue;
        bool is_time = part->member->kind == GR_MEMBER_DIMENSION && part->member->dim_type == GR_DIM_TIME;
        bool is_measure = part->member->kind == GR_MEMBER_MEASURE;
        roles[i] = is_measure ? GR_HOLE_MEASURE : is_time ? GR_HOLE_TIME : GR_HOLE_ROW;
    }
    gr_expr_split(m->sql, roles, s->l->arena, &s->split);
    return s->split.is_split;
}

/* Averages are divided as numbers, and of a time measure they are times. */
static bool has_form(const splitting *s) {
    if (s->owner->member.agg != GR_MEASURE_TIME) return true;
    for (size_t i = 0; i < s->split.n_calls; i++)
        if (s->split.calls[i].kind == GR_CALL_AVG) return false;
    return true;
}

static void split_measure(gr_loader *l, gr_member *m, gr_map *taken, member_list *added) {
    splitting s = {.l = l, .taken = taken, .owner = gr_draft_of(m)};
    if (!split_sql(&s) || !has_form(&s)) return;
    for (size_t i = 0; i < s.split.n_calls; i++)
        if (!gr_model_take_item(l, m->loc)) return;
    s.measures = GR_NEW_N(l->scratch, const gr_member *, s.split.n_calls);
    s.counts = GR_NEW_N(l->scratch, const gr_member *, s.split.n_calls);
    for (size_t i = 0; i < s.split.n_calls; i++) {
        const gr_call *call = &s.split.calls[i];
        const form *f = &forms[call->kind];
        s.measures[i] = make_measure(&s, call, f->agg, f->name, i + 1);
        GR_PUSH(l->scratch, added, (gr_member *)(uintptr_t)s.measures[i]);
        if (!f->is_spread) continue;
        s.counts[i] = make_measure(&s, call, GR_MEASURE_COUNT, "count", i + 1);
        GR_PUSH(l->scratch, added, (gr_member *)(uintptr_t)s.counts[i]);
    }
    make_sql(&s);
}

static bool is_candidate(const gr_member *m) {
    return m->has_own_aggregate && m->is_calculated && m->sql && !m->stage && !m->n_filters;
}

static void split_cube(gr_loader *l, gr_cube *cube, member_list *added) {
    gr_map taken = {0};
    for (size_t i = 0; i < cube->n_measures; i++) {
        if (!is_candidate(cube->measures[i])) continue;
        if (!taken.arena) {
            gr_map_init(&taken, l->scratch);
            for (size_t k = 0; k < cube->members.n; k++) {
                gr_member *m = cube->members.entries[k].value;
                gr_map_put(&taken, m->name, m);
                gr_map_put(&taken, m->column, m);
            }
        }
        split_measure(l, cube->measures[i], &taken, added);
    }
}

/* All members by index, the synthetic ones last. */
static void number(gr_loader *l, const member_list *added) {
    size_t n = l->model->n_members + added->n;
    const gr_member **all = GR_NEW_N(l->arena, const gr_member *, n + 1);
    gr_member **members = GR_NEW_N(l->scratch, gr_member *, n + 1);
    if (l->model->n_members) memcpy(members, l->members, l->model->n_members * sizeof *members);
    for (size_t i = 0; i < added->n; i++) {
        added->v[i]->index = (uint32_t)l->model->n_members;
        members[l->model->n_members++] = added->v[i];
    }
    for (size_t i = 0; i < n; i++) all[i] = members[i];
    l->members = members;
    l->model->members = all;
}

void gr_model_split_measures(gr_loader *l) {
    member_list added = {0};
    for (size_t i = 0; i < l->model->n_cubes; i++)
        if (!l->model->cubes[i]->is_view) split_cube(l, l->model->cubes[i], &added);
    number(l, &added);
    for (size_t i = 0; i < l->model->n_cubes; i++) {
        const gr_cube *c = l->model->cubes[i];
        for (size_t k = 0; c->is_view && k < c->n_measures; k++)
            c->measures[k]->has_own_aggregate = gr_member_base(c->measures[k])->has_own_aggregate;
    }
}
