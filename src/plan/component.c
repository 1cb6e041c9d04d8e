/* Measures as components (house.md §4): what is accumulated, how it merges, and when two of them are the same.
 *
 *      avg(amount)          = sum(amount) , count(amount)        finish: sum / count
 *      m2(amount)           = sum, count, m2                     of var_pop and its kin; three that merge together
 *      {total} / {count}    = components of total and of count   finish: the template
 *      sum(x) / count(*)    = itself, opaque: right only at its exact grain */
#include "plan/internal.h"

bool gr_component_is_mergeable(gr_agg agg) {
    return agg != GR_AGG_COUNT_DISTINCT && agg != GR_AGG_OPAQUE && agg != GR_AGG_STAGE;
}

bool gr_component_survives_fan_out(gr_agg agg) {
    return agg == GR_AGG_MIN || agg == GR_AGG_MAX || agg == GR_AGG_COUNT_DISTINCT ||
           agg == GR_AGG_COUNT_DISTINCT_APPROX;
}

static void add_column(const gr_cube *cube, gr_str name, gr_buf *out) {
    gr_buf_char(out, '"');
    gr_buf_add(out, cube->name);
    gr_buf_z(out, "\".");
    gr_buf_add(out, name);
}

static void add_expr(const gr_expr *expr, const gr_cube *owner, gr_buf *out);

/* Of the comment that starts here, or 0. */
static size_t comment_length(gr_str s, size_t at) {
    bool is_line = at + 1 < s.n && s.p[at] == '-' && s.p[at + 1] == '-';
    bool is_block = at + 1 < s.n && s.p[at] == '/' && s.p[at + 1] == '*';
    if (!is_line && !is_block) return 0;
    size_t i = at + 2;
    while (i < s.n && !(is_line ? s.p[i] == '\n' : s.p[i] == '/' && s.p[i - 1] == '*' && i > at + 2)) i++;
    return (i < s.n ? i + 1 : s.n) - at;
}

/* White space outside quotes folds to one blank, so that layout does not make two expressions of one. */
static void add_folded(gr_str text, gr_buf *out) {
    char quote = 0;
    bool is_gap = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        size_t skipped = quote ? 0 : comment_length(text, i);
        if (skipped) {
            i += skipped - 1;
            is_gap = true;
            continue;
        }
        if (!quote && (c == ' ' || c == '\n' || c == '\t' || c == '\r')) {
            is_gap = true;
            continue;
        }
        if (is_gap) gr_buf_char(out, ' ');
        is_gap = false;
        if (quote ? c == quote : (c == '\'' || c == '"')) quote = quote ? 0 : c;
        gr_buf_char(out, c);
    }
    if (is_gap) gr_buf_char(out, ' ');
}

static void add_part(const gr_part *part, const gr_cube *owner, gr_buf *out) {
    switch (part->kind) {
    case GR_PART_TEXT: add_folded(part->text, out); break;
    case GR_PART_TABLE:
        gr_buf_char(out, '"');
        gr_buf_add(out, part->cube->name);
        gr_buf_char(out, '"');
        break;
    case GR_PART_CUBE_SQL:
        gr_buf_z(out, "(");
        if (part->cube->sql)
            add_expr(part->cube->sql, part->cube, out);
        else
            add_expr(part->cube->sql_table, part->cube, out);
        gr_buf_z(out, ")");
        break;
    case GR_PART_MEMBER:
        if (part->n_path) { /* a foreign member: the way there is a part of what it means */
            gr_buf_add(out, owner->name);
            for (size_t i = 0; i < part->n_path; i++) gr_buf_printf(out, ">" GR_FMT, GR_ARG(part->path[i]->name));
            gr_buf_char(out, ':');
        }
        if (part->granularity) gr_buf_printf(out, "trunc[" GR_FMT "]", GR_ARG(part->granularity->name));
        gr_component_canonical(part->member, out);
        break;
    }
}

static void add_expr(const gr_expr *expr, const gr_cube *owner, gr_buf *out) {
    if (expr->is_column) {
        add_column(owner, expr->parts[0].text, out);
        return;
    }
    for (size_t i = 0; i < expr->n_parts; i++) add_part(&expr->parts[i], owner, out);
}

static bool is_bare(const gr_member *m) {
    return m->sql && !m->n_cases &&
           (m->sql->is_column || (m->sql->n_parts == 1 && m->sql->parts[0].kind == GR_PART_MEMBER) ||
            (m->sql->n_parts == 2 && m->sql->parts[0].kind == GR_PART_TABLE && m->sql->parts[1].kind == GR_PART_TEXT &&
             m->sql->parts[1].text.n > 1 && m->sql->parts[1].text.p[0] == '.' &&
             gr_str_is_identifier(gr_str_sub(m->sql->parts[1].text, 1, m->sql->parts[1].text.n - 1))));
}

/* `amount`, `{CUBE}.amount` */
bool gr_component_is_column(const gr_member *m) {
    return m->sql && (m->sql->is_column || (m->sql->n_parts == 2 && is_bare(m)));
}

void gr_component_canonical(const gr_member *m, gr_buf *out) {
    if (m->is_sub_query) { /* a value of its own per key of its cube */
        gr_buf_printf(out, "sub_query(" GR_FMT ")", GR_ARG(m->id));
        return;
    }
    bool is_wrapped = !is_bare(m);
    if (is_wrapped) gr_buf_char(out, '(');
    for (size_t i = 0; i < m->n_cases; i++) {
        gr_buf_z(out, m->cases[i].when ? " when " : " else ");
        if (m->cases[i].when) add_expr(m->cases[i].when, m->cube, out);
        gr_buf_z(out, " then ");
        if (m->cases[i].label_sql)
            add_expr(m->cases[i].label_sql, m->cube, out);
        else
            gr_buf_printf(out, "'" GR_FMT "'", GR_ARG(m->cases[i].label));
    }
    if (m->latitude && m->longitude) {
        add_expr(m->latitude, m->cube, out);
        gr_buf_char(out, ',');
        add_expr(m->longitude, m->cube, out);
    }
    if (m->sql) add_expr(m->sql, m->cube, out);
    if (is_wrapped) gr_buf_char(out, ')');
}

static bool expr_reads_sub_query(const gr_expr *e) {
    for (size_t i = 0; e && i < e->n_parts; i++)
        if (e->parts[i].kind == GR_PART_MEMBER && gr_component_reads_sub_query(e->parts[i].member)) return true;
    return false;
}

bool gr_component_reads_sub_query(const gr_member *m) {
    if (m->is_sub_query) return true;
    if (expr_reads_sub_query(m->sql) || expr_reads_sub_query(m->latitude) || expr_reads_sub_query(m->longitude))
        return true;
    for (size_t i = 0; i < m->n_cases; i++)
        if (expr_reads_sub_query(m->cases[i].when) || expr_reads_sub_query(m->cases[i].label_sql)) return true;
    return false;
}

static bool expr_propagates(const gr_expr *e) {
    for (size_t i = 0; e && i < e->n_parts; i++)
        if (e->parts[i].kind == GR_PART_MEMBER && gr_component_propagates(e->parts[i].member)) return true;
    return false;
}

/* Its value, or that of something in its expressions, takes over the filters of the query that asks. */
bool gr_component_propagates(const gr_member *m) {
    if (m->is_sub_query) return m->propagates_filters;
    if (expr_propagates(m->sql) || expr_propagates(m->latitude) || expr_propagates(m->longitude)) return true;
    for (size_t i = 0; i < m->n_cases; i++)
        if (expr_propagates(m->cases[i].when) || expr_propagates(m->cases[i].label_sql)) return true;
    for (size_t i = 0; i < m->n_filters; i++)
        if (expr_propagates(m->filters[i])) return true;
    return false;
}

/* A calculation over other measures needs no stage, whatever those are. */
bool gr_measure_has_stage(const gr_member *m) {
    const gr_stage *s = m->stage;
    if (!s) return false;
    bool is_plain = !s->has_group_by && !s->n_reduce_by && !s->n_add_group_by && !s->n_shifts && !s->n_filter_exclude &&
                    !s->has_filter_keep;
    return !(is_plain && m->is_calculated && m->agg != GR_MEASURE_RANK && m->agg != GR_MEASURE_NUMBER_AGG &&
             gr_measure_is_decomposable(m));
}

bool gr_measure_is_decomposable(const gr_member *m) {
    if (m->has_own_aggregate || m->n_filters || !m->sql || m->sql->is_column) return false;
    for (size_t i = 0; i < m->sql->n_parts; i++) {
        const gr_part *part = &m->sql->parts[i];
        if (part->kind == GR_PART_TABLE || part->kind == GR_PART_CUBE_SQL) return false;
        if (part->kind == GR_PART_MEMBER && part->member->kind != GR_MEMBER_MEASURE) return false;
        if (part->kind == GR_PART_TEXT && !gr_derive_text_is_portable(part->text)) return false;
    }
    return true;
}

gr_str gr_component_value(const gr_member *m, gr_arena *arena) {
    gr_buf text;
    gr_buf_init(&text, 1 << 20);
    gr_component_canonical(m, &text);
    gr_str value = gr_arena_dup(arena, gr_buf_str(&text));
    gr_buf_done(&text);
    return value;
}

/* What is added up for the measures of one cube. */
typedef struct adding {
    gr_components *out;
    gr_arena *arena;
    bool has_states;
} adding;

/* uniqCombined(12) is the coarsest that ClickHouse has. */
static int log2m_of(const adding *to, const gr_member *m) {
    enum { DEFAULT = 11, LEAST_OF_STATES = 12 };
    int log2m = m->hll_log2m ? m->hll_log2m : DEFAULT;
    return to->has_states && log2m < LEAST_OF_STATES ? LEAST_OF_STATES : log2m;
}

static gr_str key_of(const adding *to, gr_agg agg, const gr_member *m) {
    static const char *const names[GR_AGG__COUNT] = {"count",  "sum", "min",    "max",  "count_distinct",
                                                     "approx", "m2",  "opaque", "stage"};
    gr_buf key;
    gr_buf_init(&key, 1 << 20);
    gr_buf_printf(&key, "%s " GR_FMT " ", names[agg], GR_ARG(m->cube->name)); /* `1` counts rows of its own cube */
    if (agg == GR_AGG_COUNT_DISTINCT_APPROX)
        gr_buf_printf(&key, "%s2^%d ", to->has_states ? "state " : "", log2m_of(to, m));
    if (agg == GR_AGG_STAGE) {
        gr_buf_add(&key, m->id);
    } else if (m->sql) {
        gr_component_canonical(m, &key);
    } else {
        gr_buf_printf(&key, "key of " GR_FMT, GR_ARG(m->cube->name));
    }
    for (size_t i = 0; i < m->n_filters; i++) {
        gr_buf_z(&key, i ? " and (" : " where (");
        add_expr(m->filters[i], m->cube, &key);
        gr_buf_char(&key, ')');
    }
    gr_str text = gr_arena_dup(to->arena, gr_buf_str(&key));
    gr_buf_done(&key);
    return text;
}

static gr_str through(const gr_window *w, gr_str key, gr_arena *arena) {
    if (!w) return key;
    return gr_arena_printf(arena, "window %d %d%d%d%d %lld/%lld/%lld %lld/%lld/%lld %d %d of " GR_FMT, (int)w->kind,
                           w->has_trailing, w->is_trailing_unbounded, w->has_leading, w->is_leading_unbounded,
                           (long long)w->trailing.months, (long long)w->trailing.days, (long long)w->trailing.us,
                           (long long)w->leading.months, (long long)w->leading.days, (long long)w->leading.us,
                           w->is_offset_start, (int)w->to_date, GR_ARG(key));
}

void gr_components_add(gr_components *out, const gr_component *c, gr_arena *arena) {
    for (size_t i = 0; i < out->n; i++)
        if (gr_str_eq(out->v[i].key, c->key)) return;
    GR_PUSH(arena, out, *c);
}

size_t gr_components_sibling(const gr_components *all, const gr_component *c, gr_str stored_key) {
    for (size_t i = 0; i < all->n; i++) {
        const gr_component *x = &all->v[i];
        bool is_same = x->window == c->window || (x->window && c->window && gr_window_is_same(x->window, c->window));
        if (is_same && gr_str_eq(x->stored_key, stored_key)) return i;
    }
    return SIZE_MAX;
}

static void add_component(const adding *to, gr_agg agg, const gr_member *m, gr_str suffix) {
    const gr_window *w = m->window.kind ? &m->window : NULL;
    gr_component c = {.agg = agg, .measure = m, .stored_key = key_of(to, agg, m), .suffix = suffix, .window = w};
    c.key = through(w, c.stored_key, to->arena);
    if (m->sql && !m->n_filters && agg != GR_AGG_STAGE && agg != GR_AGG_OPAQUE)
        c.value = gr_component_value(m, to->arena);
    if (agg == GR_AGG_COUNT_DISTINCT_APPROX) {
        c.log2m = log2m_of(to, m);
        c.is_state = to->has_states;
    }
    if (agg == GR_AGG_M2) {
        c.count_key = key_of(to, GR_AGG_COUNT, m);
        c.sum_key = key_of(to, GR_AGG_SUM, m);
    }
    gr_components_add(to->out, &c, to->arena);
}

static void add_measure(const adding *to, const gr_member *m) {
    static const gr_agg leaf[] = {
        [GR_MEASURE_COUNT] = GR_AGG_COUNT,
        [GR_MEASURE_SUM] = GR_AGG_SUM,
        [GR_MEASURE_MIN] = GR_AGG_MIN,
        [GR_MEASURE_MAX] = GR_AGG_MAX,
        [GR_MEASURE_COUNT_DISTINCT] = GR_AGG_COUNT_DISTINCT,
        [GR_MEASURE_COUNT_DISTINCT_APPROX] = GR_AGG_COUNT_DISTINCT_APPROX,
    };
    if (gr_measure_has_stage(m)) {
        add_component(to, GR_AGG_STAGE, m, GR_STR(""));
    } else if (m->agg == GR_MEASURE_AVG || m->agg == GR_MEASURE_M2) {
        add_component(to, GR_AGG_SUM, m, GR_STR("__sum"));
        add_component(to, GR_AGG_COUNT, m, GR_STR("__count"));
        if (m->agg == GR_MEASURE_M2) add_component(to, GR_AGG_M2, m, GR_STR("__m2"));
    } else if (!m->is_calculated) {
        add_component(to, leaf[m->agg], m, GR_STR(""));
    } else if (!gr_measure_is_decomposable(m)) {
        add_component(to, GR_AGG_OPAQUE, m, GR_STR(""));
    } else {
        for (size_t i = 0; i < m->sql->n_parts; i++)
            if (m->sql->parts[i].kind == GR_PART_MEMBER) add_measure(to, m->sql->parts[i].member);
    }
}

void gr_measure_components(const gr_plan_index *index, const gr_member *measure, gr_arena *arena, gr_components *out) {
    const gr_components *known = &index->components[measure->index];
    for (size_t i = 0; i < known->n; i++) gr_components_add(out, &known->v[i], arena);
}

const gr_components *gr_plan_index_components(const gr_plan_index *index, const gr_member *measure) {
    return &index->components[measure->index];
}

void gr_component_index(gr_plan_index *index, gr_plan_defaults defaults, gr_arena *arena) {
    const gr_model *model = index->model;
    index->components = GR_NEW_N(arena, gr_components, model->n_members + 1);
    for (size_t i = 0; i < model->n_members; i++) {
        const gr_member *m = model->members[i];
        if (m->kind != GR_MEMBER_MEASURE || m->alias_of) continue;
        const gr_plan_remote *remote = gr_plan_remote_of(defaults, m->cube->data_source);
        add_measure(&(adding){&index->components[i], arena, remote && remote->has_states}, m);
    }
}
