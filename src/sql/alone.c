/* Readings for an engine whose SELECT joins two tables at most (ClickHouse 18; modern ones read the same text): joins
 * are nested, and every table's columns go through under one name, `cube.column`, which is what members' SQL says.
 *
 *      SELECT sum("orders".amount) … FROM
 *          (SELECT "orders.amount", "orders.city_id", "cities.region_id" FROM
 *              (SELECT "orders".amount AS "orders.amount", … FROM orders AS "orders") AS "granary_l0"
 *              ALL LEFT JOIN (SELECT "cities".id AS "cities.id", … FROM cities AS "cities") AS "granary_j1"
 *              ON "orders".city_id = "cities".id) AS "granary_l1"
 *          ALL LEFT JOIN (…) AS "granary_j2" ON "cities".region_id = "regions".id
 *
 * Which columns those are is read from the texts of the SELECT: `"orders".amount`, `"orders"."amount"`. */
#include "sql/internal.h"

#include <ctype.h>

typedef GR_VEC(gr_str) names_vec;

typedef struct table {
    const gr_cube *cube; /* NULL: what a sub_query dimension is computed from */
    gr_str name, alias;  /* the same, quoted */
    gr_str rows;         /* `orders AS "orders"` */
    gr_str on;           /* that joins it to those before; empty: the first */
    names_vec columns;
    names_vec keys; /* that it is joined by, as the right side */
    bool has_text_keys;
} table;

static bool is_word_char(char c) { return isalnum((unsigned char)c) || c == '_'; }

/* The end of what is quoted from `i` on; doubled quotes and what a backslash stands before stay inside. */
static size_t quoted_end(gr_str s, size_t i) {
    char quote = s.p[i++];
    for (; i < s.n; i++) {
        if (s.p[i] == '\\') {
            i++;
        } else if (s.p[i] == quote) {
            if (i + 1 >= s.n || s.p[i + 1] != quote) return i + 1;
            i++;
        }
    }
    return s.n;
}

/* The column's name, unquoted, that stands at `i`; empty: there is none. */
static gr_str column_at(gr_str s, size_t i, gr_arena *arena) {
    if (i >= s.n) return (gr_str){0};
    if (s.p[i] != '"' && s.p[i] != '`') {
        size_t end = i;
        while (end < s.n && is_word_char(s.p[end])) end++;
        return gr_str_sub(s, i, end - i);
    }
    size_t end = quoted_end(s, i), n = 0;
    char *out = gr_arena_alloc(arena, end - i + 1), quote = s.p[i];
    for (size_t k = i + 1; k + 1 < end; k++) {
        if (s.p[k] == quote || s.p[k] == '\\') k++;
        out[n++] = s.p[k];
    }
    return (gr_str){out, n};
}

static void add_name(gr_sqlw *w, names_vec *names, gr_str name) {
    if (!name.n) return;
    for (size_t i = 0; i < names->n; i++)
        if (gr_str_eq(names->v[i], name)) return;
    GR_PUSH(w->arena, names, name);
}

/* The next `alias.column` of a text from *at on, a table's; NULL: none. *ret_start … *at: where it stands. */
static table *next_column(gr_sqlw *w, table *tables, size_t n, gr_str text, size_t *at, size_t *ret_start,
                          gr_str *ret_column) {
    while (*at < text.n) {
        char c = text.p[*at];
        size_t start = *at, end = c == '"' || c == '\'' || c == '`' ? quoted_end(text, *at) : *at + 1;
        gr_str part = gr_str_sub(text, start, end - start);
        *at = end;
        if (c != '"' || end >= text.n || text.p[end] != '.') continue;
        for (size_t k = 0; k < n; k++) {
            if (!gr_str_eq(tables[k].alias, part)) continue;
            *ret_column = column_at(text, end + 1, w->arena);
            bool is_quoted = end + 1 < text.n && (text.p[end + 1] == '"' || text.p[end + 1] == '`');
            *at = is_quoted ? quoted_end(text, end + 1) : end + 1 + ret_column->n;
            *ret_start = start;
            return &tables[k];
        }
    }
    return NULL;
}

/* Every `alias.column` of the text. */
static void find_columns(gr_sqlw *w, table *tables, size_t n, gr_str text) {
    size_t at = 0, start;
    gr_str column;
    for (table *t; (t = next_column(w, tables, n, text, &at, &start, &column));) add_name(w, &t->columns, column);
}

static gr_str dotted(gr_sqlw *w, const table *t, gr_str column) {
    return gr_sqlw_ident(w, gr_arena_printf(w->arena, GR_FMT "." GR_FMT, GR_ARG(t->name), GR_ARG(column)));
}

/* What a right side is joined by, under a name of its own: 18.16 calls the column of a key nullable and does not make
 * it so, and reading it gives 0 for null, other rows, or the end of the server. */
static gr_str key_name(gr_sqlw *w, const table *t, gr_str column) {
    return gr_sqlw_ident(w,
                         gr_arena_printf(w->arena, "granary_key_" GR_FMT "." GR_FMT, GR_ARG(t->name), GR_ARG(column)));
}

static const gr_column_schema *type_of(const gr_snapshot *s, const gr_member *m) {
    const gr_column_schema *const *all = gr_sql_describes_value(m) ? s->values : s->types;
    return all ? all[m->index] : NULL;
}

static bool is_column_of_other(const gr_sqlw *w, const gr_member *m, gr_str column) {
    const gr_column_schema *type = type_of(w->snapshot, m);
    const gr_expr *e = m->sql;
    if (!type || !type->is_text_of_other || !e || !e->n_parts) return false;
    gr_str last = e->parts[e->n_parts - 1].text;
    bool is_of_table = e->n_parts == 2 && e->parts[0].kind == GR_PART_TABLE && last.n && last.p[0] == '.';
    if (!e->is_column && !is_of_table) return false;
    return gr_str_eq(column_at(last, is_of_table ? 1 : 0, w->arena), column);
}

/* An enum, a UUID: read as a text anyway, and beside a row that is not there the server has no value of it. */
static bool is_text_of_other(const gr_sqlw *w, const table *t, gr_str column) {
    if (!t->cube || !w->snapshot) return false;
    for (size_t i = 0; i < t->cube->n_dimensions; i++)
        if (is_column_of_other(w, t->cube->dimensions[i], column)) return true;
    for (size_t i = 0; i < t->cube->n_measures; i++)
        if (is_column_of_other(w, t->cube->measures[i], column)) return true;
    return false;
}

/* ON, with the right side's columns under those names; where one of all is a text of another type, as texts. */
static gr_str with_keys(gr_sqlw *w, table *tables, size_t n, table *right) {
    gr_str out = GR_STR(""), on = right->on, column;
    size_t at = 0, start, done = 0;
    for (table *t; (t = next_column(w, tables, n, on, &at, &start, &column));)
        right->has_text_keys |= is_text_of_other(w, t, column);
    at = 0;
    for (table *t; (t = next_column(w, tables, n, on, &at, &start, &column)); done = at) {
        gr_str part = t == right ? key_name(w, t, column) : gr_str_sub(on, start, at - start);
        if (t == right) add_name(w, &t->keys, column);
        if (t != right && right->has_text_keys) part = gr_sqlw_op1(w, GR_SQL_TEXT, part);
        out = gr_arena_printf(w->arena, GR_FMT GR_FMT GR_FMT, GR_ARG(out), GR_ARG(gr_str_sub(on, done, start - done)),
                              GR_ARG(part));
    }
    return gr_arena_printf(w->arena, GR_FMT GR_FMT, GR_ARG(out), GR_ARG(gr_str_sub(on, done, on.n - done)));
}

/* `(SELECT "orders"."amount" AS "orders.amount", … FROM orders AS "orders")` */
static gr_str renamed(gr_sqlw *w, const table *t) {
    gr_str *texts = GR_NEW_N(w->arena, gr_str, t->columns.n + t->keys.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < t->columns.n + t->keys.n; i++) {
        bool is_key = i >= t->columns.n;
        gr_str of = is_key ? t->keys.v[i - t->columns.n] : t->columns.v[i];
        gr_str name = is_key ? key_name(w, t, of) : dotted(w, t, of);
        gr_str value = gr_arena_printf(w->arena, GR_FMT "." GR_FMT, GR_ARG(t->alias), GR_ARG(gr_sqlw_ident(w, of)));
        if (is_key ? t->has_text_keys : is_text_of_other(w, t, of)) value = gr_sqlw_op1(w, GR_SQL_TEXT, value);
        texts[n++] = gr_arena_printf(w->arena, GR_FMT " AS " GR_FMT, GR_ARG(value), GR_ARG(name));
    }
    gr_str list = n ? gr_sqlw_join(w, texts, n, ", ") : GR_STR("1 AS \"granary_one\"");
    return gr_arena_printf(w->arena, "(SELECT " GR_FMT " FROM " GR_FMT ")", GR_ARG(list), GR_ARG(t->rows));
}

/* The columns of the first `n` tables. */
static gr_str all_columns(gr_sqlw *w, const table *tables, size_t n) {
    names_vec names = {0};
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < tables[i].columns.n; k++)
            GR_PUSH(w->arena, &names, dotted(w, &tables[i], tables[i].columns.v[k]));
    return names.n ? gr_sqlw_join(w, names.v, names.n, ", ") : GR_STR("1 AS \"granary_one\"");
}

static table table_of_cube(gr_sqlw *w, const gr_cube *cube, gr_str on) {
    gr_str alias = gr_sqlw_ident(w, cube->alias), rows = gr_sqlw_table(w, cube);
    return (table){.cube = cube, .name = cube->alias, .alias = alias, .rows = rows, .on = on};
}

static table table_of_sub_query(gr_sqlw *w, gr_sql_sub_query s) {
    gr_str rows = gr_sqlw_sub_query_rows(w, s.dimension), on = gr_sqlw_sub_query_on(w, &s);
    rows = gr_arena_printf(w->arena, "(" GR_FMT ") AS " GR_FMT, GR_ARG(rows), GR_ARG(s.alias));
    return (table){.name = s.name, .alias = s.alias, .rows = rows, .on = on};
}

/* Each cube, and behind it what its sub_query dimensions are computed from. */
static table *tables_of(gr_sqlw *w, const gr_tree *tree, size_t *ret_n) {
    gr_str *on = GR_NEW_N(w->arena, gr_str, tree->n);
    for (size_t i = 1; i < tree->n; i++) on[i] = gr_sqlw_expr(w, tree->nodes[i].join->sql, tree->nodes[i].join->from);
    table *tables = GR_NEW_N(w->arena, table, tree->n + w->sub_queries.n);
    *ret_n = 0;
    for (size_t i = 0; i < tree->n; i++) {
        tables[(*ret_n)++] = table_of_cube(w, tree->nodes[i].cube, on[i]);
        for (size_t k = 0; k < w->sub_queries.n; k++)
            if (w->sub_queries.v[k].dimension->cube == tree->nodes[i].cube)
                tables[(*ret_n)++] = table_of_sub_query(w, w->sub_queries.v[k]);
    }
    return tables;
}

static gr_str joined(gr_sqlw *w, table *tables, size_t n, gr_str texts) {
    find_columns(w, tables, n, texts);
    for (size_t i = 1; i < n; i++) {
        tables[i].on = with_keys(w, tables, n, &tables[i]);
        find_columns(w, tables, n, tables[i].on);
    }
    gr_str text = renamed(w, &tables[0]);
    for (size_t i = 1; i < n; i++) {
        gr_str right = renamed(w, &tables[i]);
        if (i > 1) {
            gr_str list = all_columns(w, tables, i);
            text = gr_arena_printf(w->arena, "(SELECT " GR_FMT " FROM " GR_FMT ")", GR_ARG(list), GR_ARG(text));
        }
        text = gr_arena_printf(w->arena,
                               GR_FMT " AS \"granary_l%zu\" ALL LEFT JOIN " GR_FMT " AS \"granary_j%zu\" ON " GR_FMT,
                               GR_ARG(text), i - 1, GR_ARG(right), i, GR_ARG(tables[i].on));
    }
    return gr_arena_printf(w->arena, " FROM " GR_FMT, GR_ARG(text));
}

gr_str gr_sqlw_alone_from(gr_sqlw *w, const gr_tree *tree, gr_str list, gr_str where) {
    if (w->from || (tree->n < 2 && !w->sub_queries.n)) return gr_sqlw_from(w, tree);
    size_t n;
    table *tables = tables_of(w, tree, &n);
    return joined(w, tables, n, gr_arena_printf(w->arena, GR_FMT GR_FMT, GR_ARG(list), GR_ARG(where)));
}

/* ---- wall clocks ---------------------------------------------------------------------------------------------------
 *
 * The server has zone rules of its own, and 18.16 takes them for hours and days: it is wrong in the hours of a change
 * by half an hour, and on days that begin with one. So the offsets are in the statement, by year of UTC:
 *
 *      instant + offset on 1 January + (instant >= first change) * how much + (instant >= second) * how much … */

enum { FIRST_YEAR = 1970, LAST_YEAR = 2105, MOST_CHANGES = 8, DAY = 86400 };

typedef struct year {
    int64_t offset; /* in seconds, at its start */
    int64_t at[MOST_CHANGES], by[MOST_CHANGES];
    size_t n;
} year;

static int64_t offset_at(const gr_tz *tz, int64_t s) { return gr_tz_to_local(tz, s * 1000000) / 1000000 - s; }

static int64_t change_between(const gr_tz *tz, int64_t low, int64_t high) {
    int64_t before = offset_at(tz, low);
    while (high - low > 1) {
        int64_t mid = low + (high - low) / 2;
        if (offset_at(tz, mid) == before)
            low = mid;
        else
            high = mid;
    }
    return high;
}

static year year_of(const gr_tz *tz, int64_t from, int64_t to) {
    year y = {.offset = offset_at(tz, from)};
    int64_t offset = y.offset;
    for (int64_t at = from; at < to && y.n < MOST_CHANGES; at += DAY) {
        int64_t next = at + DAY < to ? at + DAY : to - 1, later = offset_at(tz, next);
        if (later == offset) continue;
        y.at[y.n] = change_between(tz, at, next);
        y.by[y.n++] = later - offset;
        offset = later;
    }
    return y;
}

/* `transform(year, [1970, …], [v, …], other)`: of years that have another value than `other`. */
static void add_table(gr_buf *out, const char *by, const int64_t *values, int64_t other) {
    gr_buf list;
    gr_buf_init(&list, 1 << 16);
    gr_buf_printf(out, "transform(%s, [", by);
    bool is_any = false;
    for (int i = 0; i <= LAST_YEAR - FIRST_YEAR; i++) {
        if (values[i] == other) continue;
        gr_buf_printf(out, "%s%d", is_any ? ", " : "", FIRST_YEAR + i);
        gr_buf_printf(&list, "%s%lld", is_any ? ", " : "", (long long)values[i]);
        is_any = true;
    }
    if (!is_any) gr_buf_printf(out, "%d", FIRST_YEAR);
    if (!is_any) gr_buf_printf(&list, "%lld", (long long)other);
    gr_buf_printf(out, "], [" GR_FMT "], %lld)", GR_ARG(gr_buf_str(&list)), (long long)other);
    gr_buf_done(&list);
}

gr_str gr_sqlw_alone_local(gr_sqlw *w, gr_str instant) {
    const int64_t never = INT64_C(4294967296);
    int64_t tables[2 * MOST_CHANGES + 1][LAST_YEAR - FIRST_YEAR + 1];
    size_t most = 0;
    for (int i = 0; i <= LAST_YEAR - FIRST_YEAR; i++) {
        int64_t from = gr_civil_to_us((gr_civil){.year = FIRST_YEAR + i, .month = 1, .day = 1}) / 1000000;
        int64_t to = gr_civil_to_us((gr_civil){.year = FIRST_YEAR + i + 1, .month = 1, .day = 1}) / 1000000;
        year y = year_of(w->tz, from, to);
        tables[0][i] = y.offset;
        for (size_t k = 0; k < MOST_CHANGES; k++) {
            tables[1 + 2 * k][i] = k < y.n ? y.at[k] : never;
            tables[2 + 2 * k][i] = k < y.n ? y.by[k] : 0;
        }
        if (y.n > most) most = y.n;
    }
    gr_buf sum;
    gr_buf_init(&sum, 1 << 20);
    gr_str seconds = gr_arena_printf(w->arena, "toInt64(toUInt32(" GR_FMT "))", GR_ARG(instant));
    const char *by = gr_arena_printf(w->arena, "toInt64(toYear(" GR_FMT ", 'UTC'))", GR_ARG(instant)).p;
    gr_buf_printf(&sum, GR_FMT " + ", GR_ARG(seconds));
    add_table(&sum, by, tables[0], tables[0][LAST_YEAR - FIRST_YEAR]);
    for (size_t k = 0; k < most; k++) {
        gr_buf_printf(&sum, " + (" GR_FMT " >= ", GR_ARG(seconds));
        add_table(&sum, by, tables[1 + 2 * k], never);
        gr_buf_z(&sum, ") * ");
        add_table(&sum, by, tables[2 + 2 * k], 0);
    }
    gr_str text = gr_sqlw_op1(w, GR_SQL_TIME_OF_SECONDS, gr_buf_str(&sum));
    gr_buf_done(&sum);
    return text;
}

/* ---- times beside times --------------------------------------------------------------------------------------------
 *
 * Its times are whole seconds of 1970 to 2106, and so are its literals: a bound between two seconds is the next one for
 * `<` and `>=`, the one before for `<=` and `>`; of a bound outside it is known what is on which side. */
gr_str gr_sqlw_alone_compare(gr_sqlw *w, gr_str value, const char *comparison, int64_t us) {
    const int64_t second = 1000000, last_us = (int64_t)UINT32_MAX * second;
    bool is_equality = !strcmp(comparison, "="), is_other = !strcmp(comparison, "<>");
    bool is_below = comparison[0] == '<' && !is_other; /* values before the bound pass */
    bool is_out = us < 0 || us > last_us, is_between = us % second != 0;
    bool none = is_equality || is_below == (us < 0);
    if (is_out || (is_between && (is_equality || is_other))) {
        if (is_other || (is_out && !is_equality && !none))
            return gr_arena_printf(w->arena, GR_FMT " IS NOT NULL", GR_ARG(value));
        return GR_STR("1 = 0");
    }
    bool is_up = !strcmp(comparison, "<") || !strcmp(comparison, ">=");
    int64_t whole = us - us % second + (is_between && is_up ? second : 0);
    gr_str param = gr_sqlw_param(w, (gr_value){.type = GR_TYPE_TIMESTAMP, .as.i = whole});
    return gr_arena_printf(w->arena, GR_FMT " %s " GR_FMT, GR_ARG(value), comparison, GR_ARG(param));
}
