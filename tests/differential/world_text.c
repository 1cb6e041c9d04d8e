/* A world as text: the model's YAML, the SQL of its expressions, the statements that fill its tables, and CSV for
 * people. */
#include "differential/world.h"

#include <stdio.h>

enum { MOST_BYTES = 8 << 20 };

static gr_str finish(gr_buf *out, gr_arena *arena) {
    gr_str text = gr_arena_dup(arena, gr_buf_str(out));
    gr_buf_done(out);
    return text;
}

/* ---- expressions ----------------------------------------------------------------------------------------------------
 */

/* 'text' as SQL; braces are escaped because a template reads them. */
static void add_text_literal(gr_str s, bool is_template, gr_buf *out) {
    gr_buf_char(out, '\'');
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\'') gr_buf_char(out, '\'');
        if (diff_speaks_clickhouse && is_template && s.p[i] == '\\') gr_buf_char(out, '\\');
        if (is_template && (s.p[i] == '{' || s.p[i] == '}')) gr_buf_char(out, '\\');
        gr_buf_char(out, s.p[i]);
    }
    gr_buf_char(out, '\'');
}

static void add_literal(const diff_value *v, bool is_template, gr_buf *out) {
    char text[48];
    switch (v->kind) {
    case DIFF_TEXT: add_text_literal(v->as.s, is_template, out); return;
    case DIFF_BOOL: gr_buf_z(out, v->as.b ? "TRUE" : "FALSE"); return;
    case DIFF_DOUBLE:
        snprintf(text, sizeof text, "%.17g", v->as.d);
        gr_buf_printf(out, "%s%s", text, strchr(text, 'e') ? "" : "e0");
        return;
    case DIFF_TIME:
        gr_buf_printf(out, "'%.*s", (int)gr_time_format(v->as.us, text) - 4, text);
        gr_buf_printf(out, ".%06d'", (int)(((v->as.us % 1000000) + 1000000) % 1000000));
        return;
    case DIFF_INT:
    case DIFF_DECIMAL: {
        gr_arena *scratch = gr_arena_new();
        gr_buf_add(out, diff_cast_text(v, scratch));
        gr_arena_free(scratch);
        return;
    }
    case DIFF_NULL:
    case DIFF_ANY: break;
    }
    gr_buf_z(out, "NULL");
}

typedef struct writer {
    const diff_world *world;
    size_t cube;
    gr_buf *out;
} writer;

static void add_expr(const writer *w, const diff_expr *e);

static void add_args(const writer *w, const diff_expr *e, const char *before, const char *between, const char *after) {
    gr_buf_z(w->out, before);
    for (size_t i = 0; i < e->n_args; i++) {
        if (i) gr_buf_z(w->out, between);
        add_expr(w, e->args[i]);
    }
    gr_buf_z(w->out, after);
}

static void add_member(const writer *w, const diff_expr *e) {
    const diff_cube *c = &w->world->cubes[e->cube];
    gr_str name = e->op == DIFF_OP_MEASURE ? c->measures[e->index].name : c->dims[e->index].name;
    gr_buf_char(w->out, '{');
    if (e->cube != w->cube)
        gr_buf_printf(w->out, GR_FMT ".", GR_ARG(c->name));
    else if (!e->is_bare)
        gr_buf_z(w->out, "CUBE.");
    gr_buf_add(w->out, name);
    if (e->op == DIFF_OP_BUCKET) gr_buf_printf(w->out, "." GR_FMT, GR_ARG(gr_grain_name(e->grain)));
    gr_buf_char(w->out, '}');
}

static void add_case(const writer *w, const diff_expr *e) {
    gr_buf_z(w->out, "CASE");
    for (size_t i = 0; i + 1 < e->n_args; i += 2) {
        gr_buf_z(w->out, " WHEN ");
        add_expr(w, e->args[i]);
        gr_buf_z(w->out, " THEN ");
        add_expr(w, e->args[i + 1]);
    }
    if (e->n_args % 2) {
        gr_buf_z(w->out, " ELSE ");
        add_expr(w, e->args[e->n_args - 1]);
    }
    gr_buf_z(w->out, " END");
}

/* sum(x), count(*), count(distinct x), sum(x) FILTER (WHERE y). */
static void add_aggregate(const writer *w, const diff_expr *e) {
    char text[40];
    bool is_distinct = !strcmp(e->text, "count distinct");
    bool is_standard = diff_divides_integers && !strcmp(e->text, "median"); /* which DuckDB has, and few others */
    snprintf(text, sizeof text, is_distinct ? "count(distinct " : "%s(", e->text);
    if (is_standard)
        add_args(w, e, "percentile_cont(0.5) WITHIN GROUP (ORDER BY ", "", ")");
    else
        add_args(w, e, text, "", e->n_args ? ")" : "*)");
    if (!e->where) return;
    gr_buf_z(w->out, " FILTER (WHERE ");
    add_expr(w, e->where);
    gr_buf_char(w->out, ')');
}

/* Over rows: it is worked out by the source. */
static bool is_of_rows(const diff_expr *e) {
    if (e->op == DIFF_OP_MEASURE || e->op == DIFF_OP_AGGREGATE) return false;
    for (size_t i = 0; i < e->n_args; i++)
        if (!is_of_rows(e->args[i])) return false;
    return true;
}

/* Where ClickHouse's own words mean what DuckDB's do: letters beyond ASCII, null as a text, division of decimals. What
 * it may refuse are words that it has not (diff_may_not_be_said). */
static bool add_clickhouse(const writer *w, const diff_expr *e) {
    const char *part = e->op != DIFF_OP_PART         ? NULL
                       : !strcmp(e->text, "month")   ? "toMonth("
                       : !strcmp(e->text, "quarter") ? "toQuarter("
                                                     : "toYear(";
    const char *head = e->op == DIFF_OP_LOWER   ? "lowerUTF8("
                       : e->op == DIFF_OP_UPPER ? "upperUTF8("
                       : e->op == DIFF_OP_TEXT  ? "toString("
                                                : part;
    bool is_quotient = e->op == DIFF_OP_ARITH && e->symbol == '/' && is_of_rows(e);
    if (head) add_args(w, e, head, "", ")");
    if (is_quotient) add_args(w, e, "(toFloat64(", ") / toFloat64(", "))");
    return head || is_quotient;
}

static void add_expr(const writer *w, const diff_expr *e) {
    char text[40];
    if (diff_speaks_clickhouse && add_clickhouse(w, e)) return;
    switch (e->op) {
    case DIFF_OP_COLUMN:
        if (!e->is_bare) gr_buf_z(w->out, "{CUBE}.");
        gr_buf_add(w->out, w->world->cubes[w->cube].table->columns[e->index].name);
        break;
    case DIFF_OP_MEMBER:
    case DIFF_OP_MEASURE:
    case DIFF_OP_BUCKET: add_member(w, e); break;
    case DIFF_OP_LITERAL: add_literal(&e->literal, true, w->out); break;
    case DIFF_OP_CONCAT: add_args(w, e, "(", " || ", ")"); break;
    case DIFF_OP_ARITH:
        snprintf(text, sizeof text, " %c ", e->symbol);
        add_args(w, e, "(", text, ")");
        break;
    case DIFF_OP_COMPARE:
        snprintf(text, sizeof text, " %s ", e->text);
        add_args(w, e, "(", text, ")");
        break;
    case DIFF_OP_AND: add_args(w, e, "(", " AND ", ")"); break;
    case DIFF_OP_OR: add_args(w, e, "(", " OR ", ")"); break;
    case DIFF_OP_NOT: add_args(w, e, "(NOT ", "", ")"); break;
    case DIFF_OP_IS_NULL: add_args(w, e, "(", "", " IS NULL)"); break;
    case DIFF_OP_CASE: add_case(w, e); break;
    case DIFF_OP_COALESCE: add_args(w, e, "coalesce(", ", ", ")"); break;
    case DIFF_OP_NULLIF: add_args(w, e, "nullif(", ", ", ")"); break;
    case DIFF_OP_LOWER: add_args(w, e, "lower(", "", ")"); break;
    case DIFF_OP_UPPER: add_args(w, e, "upper(", "", ")"); break;
    case DIFF_OP_TEXT: add_args(w, e, "CAST(", "", " AS VARCHAR)"); break;
    case DIFF_OP_PART:
        snprintf(text, sizeof text, "date_part('%s', ", e->text);
        add_args(w, e, text, "", ")");
        break;
    case DIFF_OP_AGGREGATE: add_aggregate(w, e); break;
    }
}

gr_str diff_expr_sql(const diff_world *world, size_t cube, const diff_expr *expr, gr_arena *arena) {
    gr_buf out;
    gr_buf_init(&out, MOST_BYTES);
    add_expr(&(writer){world, cube, &out}, expr);
    return finish(&out, arena);
}

/* ---- the model ------------------------------------------------------------------------------------------------------
 */

/* key: 'value' in YAML's single quotes. */
static void add_scalar(gr_buf *out, int indent, const char *key, gr_str value) {
    gr_buf_printf(out, "%*s%s: '", indent, "", key);
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '\'') gr_buf_char(out, '\'');
        gr_buf_char(out, value.p[i]);
    }
    gr_buf_z(out, "'\n");
}

static void add_sql(const writer *w, int indent, const char *key, const diff_expr *e) {
    gr_buf sql;
    gr_buf_init(&sql, MOST_BYTES);
    add_expr(&(writer){w->world, w->cube, &sql}, e);
    add_scalar(w->out, indent, key, gr_buf_str(&sql));
    gr_buf_done(&sql);
}

static void add_joins(const writer *w, const diff_cube *c) {
    static const char *const relationships[] = {"many_to_one", "one_to_one", "one_to_many"};
    if (c->n_joins) gr_buf_z(w->out, "    joins:\n");
    for (size_t i = 0; i < c->n_joins; i++) {
        const diff_join *j = &c->joins[i];
        const diff_cube *to = &w->world->cubes[j->to];
        gr_buf_printf(w->out, "      - name: " GR_FMT "\n        relationship: %s\n", GR_ARG(to->name),
                      relationships[j->relationship]);
        gr_str from_dim = c->dims[j->from_dim].name, to_dim = to->dims[j->to_dim].name;
        gr_str from = c->table->columns[j->from_column].name, target = to->table->columns[j->to_column].name;
        if (j->is_by_members)
            gr_buf_printf(w->out, "        sql: '{CUBE." GR_FMT "} = {" GR_FMT "." GR_FMT "}'\n", GR_ARG(from_dim),
                          GR_ARG(to->name), GR_ARG(to_dim));
        else
            gr_buf_printf(w->out, "        sql: '{CUBE}." GR_FMT " = {" GR_FMT "}." GR_FMT "'\n", GR_ARG(from),
                          GR_ARG(to->name), GR_ARG(target));
    }
}

/* A label that is a text is written as it is, anything else as {sql: …}. */
static void add_cases(const writer *w, const diff_expr *e) {
    gr_buf_z(w->out, "        case:\n          when:\n");
    for (size_t i = 0; i < e->n_args; i += 2) {
        bool is_else = i + 1 == e->n_args;
        const diff_expr *label = e->args[is_else ? i : i + 1];
        if (is_else)
            gr_buf_z(w->out, "          else:\n");
        else
            add_sql(w, 12, "- sql", e->args[i]);
        int indent = is_else ? 12 : 14;
        if (label->op == DIFF_OP_LITERAL) {
            add_scalar(w->out, indent, "label", label->literal.as.s);
        } else {
            gr_buf_printf(w->out, "%*slabel:\n", indent, "");
            add_sql(w, indent + 2, "sql", label);
        }
    }
}

static void add_granularities(gr_buf *out, const diff_granularity *g) {
    if (!g || !g->name) return;
    gr_buf_z(out, "        granularities:\n");
    for (; g->name; g++) {
        gr_buf_printf(out, "          - name: %s\n            interval: %s\n", g->name, g->interval);
        if (g->offset) gr_buf_printf(out, "            offset: '%s'\n", g->offset);
        if (g->origin) gr_buf_printf(out, "            origin: '%s'\n", g->origin);
    }
}

static void add_dims(const writer *w, const diff_cube *c) {
    static const char *const types[] = {"string", "number", "boolean", "time", "geo"};
    gr_buf_z(w->out, "    dimensions:\n");
    for (size_t i = 0; i < c->n_dims; i++) {
        const diff_dim *d = &c->dims[i];
        if (d->is_dropped) continue;
        gr_buf_printf(w->out, "      - name: " GR_FMT "\n        type: %s\n", GR_ARG(d->name), types[d->type]);
        if (d->is_primary_key) gr_buf_z(w->out, "        primary_key: true\n        public: true\n");
        if (d->sql) add_sql(w, 8, "sql", d->sql);
        if (d->is_sub_query) gr_buf_z(w->out, "        sub_query: true\n");
        if (d->propagates) gr_buf_z(w->out, "        propagate_filters_to_sub_query: true\n");
        if (d->cases) add_cases(w, d->cases);
        if (d->latitude) {
            gr_buf_z(w->out, "        latitude:\n");
            add_sql(w, 10, "sql", d->latitude);
            gr_buf_z(w->out, "        longitude:\n");
            add_sql(w, 10, "sql", d->longitude);
        }
        add_granularities(w->out, d->granularities);
    }
}

static void add_window(gr_buf *out, const diff_window *window) {
    gr_buf_z(out, "        rolling_window:\n");
    if (window->to_date) {
        gr_buf_printf(out, "          type: to_date\n          granularity: " GR_FMT "\n",
                      GR_ARG(gr_grain_name(window->to_date)));
        return;
    }
    if (window->trailing) gr_buf_printf(out, "          trailing: %s\n", window->trailing);
    if (window->leading) gr_buf_printf(out, "          leading: %s\n", window->leading);
    if (window->is_offset_start) gr_buf_z(out, "          offset: start\n");
}

static void add_stage(const writer *w, const diff_cube *c, const diff_stage *s) {
    static const char *const keys[] = {"group_by", "reduce_by", "add_group_by", NULL, "reduce_by"};
    gr_buf_z(w->out, "        multi_stage: true\n");
    if (s->kind == DIFF_STAGE_SHIFT)
        gr_buf_printf(w->out, "        time_shift:\n          - interval: %s\n            type: %s\n", s->interval,
                      s->is_next ? "next" : "prior");
    if (s->kind == DIFF_STAGE_RANK)
        gr_buf_printf(w->out, "        order_by:\n          - sql: '{CUBE." GR_FMT "}'\n            dir: %s\n",
                      GR_ARG(c->measures[s->of].name), s->is_desc ? "desc" : "asc");
    if (!keys[s->kind] || (s->kind == DIFF_STAGE_RANK && !s->n_dims)) return;
    gr_buf_printf(w->out, "        %s: [", keys[s->kind]);
    for (size_t i = 0; i < s->n_dims; i++)
        gr_buf_printf(w->out, "%s" GR_FMT, i ? ", " : "", GR_ARG(c->dims[s->dims[i]].name));
    gr_buf_z(w->out, "]\n");
}

static void add_measures(const writer *w, const diff_cube *c) {
    static const char *const types[] = {
        "count",  "sum",    "avg",     "min", "max", "count_distinct", "count_distinct_approx",
        "number", "string", "boolean", "rank"};
    gr_buf_z(w->out, "    measures:\n");
    for (size_t i = 0; i < c->n_measures; i++) {
        const diff_measure *m = &c->measures[i];
        if (m->is_dropped) continue;
        gr_buf_printf(w->out, "      - name: " GR_FMT "\n        type: %s\n", GR_ARG(m->name), types[m->type]);
        if (m->sql && m->type != DIFF_RANK) add_sql(w, 8, "sql", m->sql);
        if (m->window) add_window(w->out, m->window);
        if (m->stage) add_stage(w, c, m->stage);
        if (m->n_filters) gr_buf_z(w->out, "        filters:\n");
        for (size_t k = 0; k < m->n_filters; k++) add_sql(w, 10, "- sql", m->filters[k]);
    }
}

static void add_segments(const writer *w, const diff_cube *c) {
    bool has_any = false;
    for (size_t i = 0; i < c->n_segments; i++) {
        if (c->segments[i].is_dropped) continue;
        gr_buf_printf(w->out, "%s      - name: " GR_FMT "\n", has_any ? "" : "    segments:\n",
                      GR_ARG(c->segments[i].name));
        add_sql(w, 8, "sql", c->segments[i].sql);
        has_any = true;
    }
}

static gr_str item_name(const diff_world *world, const diff_item *item) {
    const diff_cube *c = &world->cubes[item->cube];
    if (item->kind == DIFF_ITEM_MEASURE) return c->measures[item->index].name;
    return item->kind == DIFF_ITEM_SEGMENT ? c->segments[item->index].name : c->dims[item->index].name;
}

static void add_items(const writer *w, const diff_rollup *r, diff_item_kind kind, const char *key) {
    bool has_any = false;
    for (size_t i = 0; i < r->n_items; i++) {
        const diff_item *item = &r->items[i];
        if (item->kind != kind || item->is_dropped) continue;
        gr_str owner = item->cube == w->cube ? GR_STR("CUBE") : w->world->cubes[item->cube].name;
        gr_str name = item_name(w->world, item);
        if (!has_any) gr_buf_printf(w->out, "        %s:\n", key);
        gr_buf_printf(w->out, "          - %s" GR_FMT "." GR_FMT "\n", item->granularity ? "dimension: " : "",
                      GR_ARG(owner), GR_ARG(name));
        if (item->granularity) gr_buf_printf(w->out, "            granularity: %s\n", item->granularity);
        has_any = true;
    }
}

static void add_bound(const diff_cube *c, const diff_rollup *r, bool is_start, gr_buf *out) {
    const char *key = is_start ? "build_range_start" : "build_range_end";
    int64_t us = is_start ? r->start_us : r->end_us;
    bool is_date = r->is_range_date;
    char text[48];
    if (r->is_range_of_rows) {
        gr_buf_printf(out, "        %s:\n          sql: SELECT %s(ts) FROM " GR_FMT "\n", key, is_start ? "min" : "max",
                      GR_ARG(c->table->name));
        return;
    }
    gr_time_format(us, text);
    if (!is_date) text[10] = ' ';
    const char *house = is_date ? "toDate(" : "toDateTime(", *duck = is_date ? "DATE " : "TIMESTAMP ";
    gr_buf_printf(out, "        %s:\n          sql: SELECT %s'%.*s'%s\n", key, diff_speaks_clickhouse ? house : duck,
                  is_date ? 10 : 19, text, diff_speaks_clickhouse ? ")" : "");
}

/* Of parts that are still there. */
static void add_lambda(const writer *w, const diff_cube *c, const diff_rollup *r, bool *has_any) {
    size_t n = 0;
    for (size_t i = 0; i < r->n_parts; i++)
        for (size_t k = 0; k < c->n_rollups; k++) {
            if (c->rollups[k].is_dropped || !gr_str_eq(c->rollups[k].name, r->parts[i])) continue;
            if (!n++)
                gr_buf_printf(w->out, "%s      - name: " GR_FMT "\n        type: rollup_lambda\n        rollups:\n",
                              *has_any ? "" : "    pre_aggregations:\n", GR_ARG(r->name));
            gr_buf_printf(w->out, "          - CUBE." GR_FMT "\n", GR_ARG(r->parts[i]));
        }
    if (n && r->unions_source) gr_buf_z(w->out, "        union_with_source_data: true\n");
    *has_any |= n > 0;
}

static void add_rollups(const writer *w, const diff_cube *c) {
    bool has_any = false;
    for (size_t i = 0; i < c->n_rollups; i++) {
        const diff_rollup *r = &c->rollups[i];
        if (r->is_dropped) continue;
        if (r->n_parts) {
            add_lambda(w, c, r, &has_any);
            continue;
        }
        gr_buf_printf(w->out, "%s      - name: " GR_FMT "\n        type: rollup\n",
                      has_any ? "" : "    pre_aggregations:\n", GR_ARG(r->name));
        has_any = true;
        add_items(w, r, DIFF_ITEM_MEASURE, "measures");
        add_items(w, r, DIFF_ITEM_DIMENSION, "dimensions");
        add_items(w, r, DIFF_ITEM_SEGMENT, "segments");
        add_items(w, r, DIFF_ITEM_TIME, "time_dimensions");
        if (r->is_external >= 0) gr_buf_printf(w->out, "        external: %s\n", r->is_external ? "true" : "false");
        if (r->filters.n) gr_buf_printf(w->out, "        filters: " GR_FMT "\n", GR_ARG(r->filters));
        if (r->has_start) add_bound(c, r, true, w->out);
        if (r->has_end) add_bound(c, r, false, w->out);
        if (r->partition) gr_buf_printf(w->out, "        partition_granularity: %s\n", r->partition);
        if (r->refresh) gr_buf_printf(w->out, "        refresh_key: %s\n", r->refresh);
        if (r->is_cheapest) gr_buf_z(w->out, "        selection: cheapest\n");
        if (r->is_non_strict >= 0) gr_buf_z(w->out, "        allow_non_strict_date_range_match: false\n");
    }
}

size_t diff_way_to(const diff_world *world, size_t from, size_t cube, size_t ret[DIFF_MAX_CUBES]) {
    size_t queue[DIFF_MAX_CUBES] = {from}, n_queue = 1, came_from[DIFF_MAX_CUBES] = {0}, n = 1;
    bool is_seen[DIFF_MAX_CUBES] = {false};
    is_seen[from] = true;
    for (size_t head = 0; head < n_queue; head++)
        for (size_t i = 0; i < world->cubes[queue[head]].n_joins; i++) {
            size_t to = world->cubes[queue[head]].joins[i].to;
            if (is_seen[to]) continue;
            is_seen[to] = true;
            came_from[to] = queue[head];
            queue[n_queue++] = to;
        }
    if (!is_seen[cube]) return 0;
    for (size_t at = cube; at != from; at = came_from[at]) n++;
    for (size_t i = n, at = cube; i-- > 0; at = came_from[at]) ret[i] = at;
    return n;
}

/* ---- views ----------------------------------------------------------------------------------------------------------
 */

static gr_str part_member(const diff_world *world, const diff_view_part *part, gr_str name, gr_arena *arena) {
    size_t cube = part->way[part->n_way - 1];
    switch (part->prefix) {
    case DIFF_PREFIXED: return gr_arena_printf(arena, GR_FMT "_" GR_FMT, GR_ARG(world->cubes[cube].name), GR_ARG(name));
    case DIFF_ALIAS_PREFIXED: return gr_arena_printf(arena, "p%zu_" GR_FMT, cube, GR_ARG(name));
    case DIFF_RENAMED: return gr_arena_printf(arena, GR_FMT "_of_%zu", GR_ARG(name), cube);
    case DIFF_PLAIN: break;
    }
    return name;
}

gr_str diff_view_member(const diff_world *world, const diff_view *view, size_t cube, gr_str name, gr_arena *arena) {
    for (size_t i = 0; i < view->n_parts; i++)
        if (view->parts[i].way[view->parts[i].n_way - 1] == cube)
            return part_member(world, &view->parts[i], name, arena);
    return (gr_str){0};
}

static void add_renamed(const diff_world *world, const diff_view_part *part, gr_str name, gr_buf *out) {
    gr_arena *scratch = gr_arena_new();
    gr_str alias = part_member(world, part, name, scratch);
    gr_buf_printf(out, "          - {name: " GR_FMT ", alias: " GR_FMT "}\n", GR_ARG(name), GR_ARG(alias));
    gr_arena_free(scratch);
}

static void add_part_includes(const diff_world *world, const diff_view_part *part, gr_buf *out) {
    const diff_cube *c = &world->cubes[part->way[part->n_way - 1]];
    if (part->prefix != DIFF_RENAMED) {
        gr_buf_z(out, "\n        includes: '*'\n");
        return;
    }
    gr_buf_z(out, "\n        includes:\n");
    for (size_t i = 0; i < c->n_dims; i++)
        if (!c->dims[i].is_dropped) add_renamed(world, part, c->dims[i].name, out);
    for (size_t i = 0; i < c->n_measures; i++)
        if (!c->measures[i].is_dropped) add_renamed(world, part, c->measures[i].name, out);
    for (size_t i = 0; i < c->n_segments; i++)
        if (!c->segments[i].is_dropped) add_renamed(world, part, c->segments[i].name, out);
}

static void add_view(const diff_world *world, const diff_view *view, gr_buf *out) {
    gr_buf_printf(out, "  - name: " GR_FMT "\n    cubes:\n", GR_ARG(view->name));
    for (size_t i = 0; i < view->n_parts; i++) {
        const diff_view_part *part = &view->parts[i];
        gr_buf_z(out, "      - join_path: ");
        for (size_t k = 0; k < part->n_way; k++)
            gr_buf_printf(out, "%s" GR_FMT, k ? "." : "", GR_ARG(world->cubes[part->way[k]].name));
        add_part_includes(world, part, out);
        bool is_prefixed = part->prefix == DIFF_PREFIXED || part->prefix == DIFF_ALIAS_PREFIXED;
        if (is_prefixed) gr_buf_z(out, "        prefix: true\n");
        if (part->prefix == DIFF_ALIAS_PREFIXED)
            gr_buf_printf(out, "        alias: p%zu\n", part->way[part->n_way - 1]);
    }
}

gr_str diff_world_yaml(const diff_world *world, gr_arena *arena) {
    gr_buf out;
    gr_buf_init(&out, MOST_BYTES);
    gr_buf_z(&out, "cubes:\n");
    for (size_t i = 0; i < world->n_cubes; i++) {
        const diff_cube *c = &world->cubes[i];
        writer w = {world, i, &out};
        gr_buf_printf(&out, "  - name: " GR_FMT "\n", GR_ARG(c->name));
        gr_buf_printf(&out, c->is_subselect ? "    sql: SELECT * FROM " GR_FMT "\n" : "    sql_table: " GR_FMT "\n",
                      GR_ARG(c->table->name));
        if (c->refresh) gr_buf_printf(&out, "    refresh_key: %s\n", c->refresh);
        if (c->is_cheapest) gr_buf_z(&out, "    selection: cheapest\n");
        add_joins(&w, c);
        add_dims(&w, c);
        add_measures(&w, c);
        add_segments(&w, c);
        add_rollups(&w, c);
    }
    if (world->n_views) gr_buf_z(&out, "views:\n");
    for (size_t i = 0; i < world->n_views; i++) add_view(world, &world->views[i], &out);
    return finish(&out, arena);
}

/* ---- tables ---------------------------------------------------------------------------------------------------------
 */

gr_str diff_table_create_sql(const diff_table *t, gr_arena *arena) {
    gr_buf out;
    gr_buf_init(&out, MOST_BYTES);
    gr_buf_printf(&out, "CREATE TABLE " GR_FMT " (", GR_ARG(t->name));
    for (size_t i = 0; i < t->n_columns; i++)
        gr_buf_printf(&out, "%s" GR_FMT " %s", i ? ", " : "", GR_ARG(t->columns[i].name), t->columns[i].sql_type);
    gr_buf_char(&out, ')');
    return finish(&out, arena);
}

static void add_cell(const diff_table *t, size_t column, const diff_value *v, gr_buf *out) {
    bool is_zoned = v->kind == DIFF_TIME && !strcmp(t->columns[column].sql_type, "TIMESTAMPTZ");
    if (!is_zoned) {
        add_literal(v, false, out);
        return;
    }
    add_literal(v, false, out);
    out->n--; /* the quote */
    gr_buf_z(out, "+00'");
}

gr_str diff_table_insert_sql(const diff_table *t, gr_arena *arena) {
    if (!t->n_rows) return (gr_str){0};
    gr_buf out;
    gr_buf_init(&out, MOST_BYTES);
    gr_buf_printf(&out, "INSERT INTO " GR_FMT " VALUES", GR_ARG(t->name));
    for (size_t row = 0; row < t->n_rows; row++) {
        gr_buf_z(&out, row ? ", (" : " (");
        for (size_t i = 0; i < t->n_columns; i++) {
            if (i) gr_buf_z(&out, ", ");
            add_cell(t, i, &t->cells[row * t->n_columns + i], &out);
        }
        gr_buf_char(&out, ')');
    }
    return finish(&out, arena);
}

void diff_table_csv(const diff_table *t, gr_buf *out) {
    for (size_t i = 0; i < t->n_columns; i++)
        gr_buf_printf(out, "%s" GR_FMT " %s", i ? "," : "", GR_ARG(t->columns[i].name), t->columns[i].sql_type);
    gr_buf_char(out, '\n');
    for (size_t row = 0; row < t->n_rows; row++) {
        for (size_t i = 0; i < t->n_columns; i++) {
            const diff_value *v = &t->cells[row * t->n_columns + i];
            if (i) gr_buf_char(out, ',');
            if (v->kind != DIFF_NULL) add_cell(t, i, v, out);
        }
        gr_buf_char(out, '\n');
    }
}
