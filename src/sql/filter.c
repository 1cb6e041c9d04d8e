/* Filters as conditions (5.6). Every value of a user is a bound parameter. An empty group vanishes. */
#include "sql/internal.h"

static gr_type column_type(const gr_sqlw *w, const gr_member *m) {
    const gr_column_schema *s = w->snapshot->types ? w->snapshot->types[m->index] : NULL;
    return s ? s->type : GR_TYPE_NULL;
}

static bool is_measure(const gr_member *m) { return m->kind == GR_MEMBER_MEASURE; }

static bool is_number(const gr_member *m) {
    if (is_measure(m)) return m->agg != GR_MEASURE_STRING && m->agg != GR_MEASURE_BOOLEAN && m->agg != GR_MEASURE_TIME;
    return m->dim_type == GR_DIM_NUMBER;
}

static bool is_boolean(const gr_member *m) {
    return is_measure(m) ? m->agg == GR_MEASURE_BOOLEAN : m->kind == GR_MEMBER_SEGMENT || m->dim_type == GR_DIM_BOOLEAN;
}

static bool is_time(const gr_member *m) {
    return !is_measure(m) && m->kind == GR_MEMBER_DIMENSION && m->dim_type == GR_DIM_TIME;
}

/* One time given as text against a time dimension: without offset it is a reading of the wall clock in the query's
 * zone, and is compared there, since a zone has some readings twice and some never. */
static gr_str time_equality(gr_sqlw *w, const gr_member *m, gr_str text, bool is_negated) {
    int64_t us;
    gr_time_zone_part part;
    bool is_date;
    if (!gr_time_parse(text, &us, &part, &is_date))
        return gr_sqlw_fail(w, GR_ERR_QUERY_DATE, "Can't parse date: '" GR_FMT "'", GR_ARG(text));
    gr_str value = gr_sqlw_instant(w, m, gr_sqlw_member(w, m));
    if (part == GR_TIME_NAIVE) value = gr_sqlw_local(w, value);
    if (w->dialect->reads_alone) return gr_sqlw_alone_compare(w, value, is_negated ? "<>" : "=", us);
    gr_str param = gr_sqlw_param(w, (gr_value){.type = GR_TYPE_TIMESTAMP, .as.i = us});
    return gr_arena_printf(w->arena, GR_FMT " %s " GR_FMT, GR_ARG(value), is_negated ? "<>" : "=", GR_ARG(param));
}

/* Digits, maybe with a point; *ret_whole and *ret_scale count those before and behind it. */
static bool is_decimal(gr_str s, int *ret_whole, int *ret_scale) {
    int count[2] = {0, 0}, place = 0;
    for (size_t i = s.n && s.p[0] == '-'; i < s.n; i++) {
        if (s.p[i] == '.' && place == 0)
            place = 1;
        else if (s.p[i] < '0' || s.p[i] > '9' || count[place] > 38)
            return false;
        else
            count[place]++;
    }
    *ret_whole = count[0];
    *ret_scale = count[1];
    return count[0] + count[1] > 0;
}

/* A number that is no int64, against an exact column: bound as text and cast to a type that is exact too and wide
 * enough for both sides. Empty when there is none; then floating point compares. */
static gr_str exact_number(gr_sqlw *w, const gr_member *m, gr_str text) {
    const gr_column_schema *column = w->snapshot->types ? w->snapshot->types[m->index] : NULL;
    int whole, scale;
    if (is_measure(m) || !column || !is_decimal(text, &whole, &scale)) return (gr_str){0};
    bool is_integer_column = column->type == GR_TYPE_INT64 || (column->type == GR_TYPE_DECIMAL && column->scale == 0);
    gr_value value = {.type = GR_TYPE_UTF8, .as.s = text};
    if (is_integer_column && scale == 0 && whole <= 38) {
        gr_str param = gr_sqlw_param(w, value);
        /* Integers that are wider than 64 bits are decimals here: of UHUGEINT too. */
        gr_str type = column->type == GR_TYPE_INT64 ? w->dialect->wide_integer : GR_STR("DECIMAL(38, 0)");
        return gr_arena_printf(w->arena, "CAST(" GR_FMT " AS " GR_FMT ")", GR_ARG(param), GR_ARG(type));
    }
    if (column->type != GR_TYPE_INT64 && column->type != GR_TYPE_DECIMAL) return (gr_str){0};
    int own_whole = column->type == GR_TYPE_INT64 ? 19 : column->precision - column->scale;
    int widest = (whole > own_whole ? whole : own_whole) + (scale > column->scale ? scale : column->scale);
    if (widest > 38 || whole + scale > 38) return (gr_str){0};
    gr_str param = gr_sqlw_param(w, value);
    return gr_arena_printf(w->arena, "CAST(" GR_FMT " AS DECIMAL(%d, %d))", GR_ARG(param), whole + scale, scale);
}

static gr_str value_param(gr_sqlw *w, const gr_member *m, gr_str text) {
    gr_value v = {.type = GR_TYPE_UTF8, .as.s = text};
    if (is_number(m)) {
        if (gr_str_to_i64(text, &v.as.i)) {
            v.type = GR_TYPE_INT64;
        } else {
            gr_str exact = exact_number(w, m, text);
            if (exact.n) return exact;
            v.type = gr_str_to_f64(text, &v.as.d) ? GR_TYPE_FLOAT64 : GR_TYPE_UTF8;
            if (v.type == GR_TYPE_UTF8) v.as.s = text;
        }
    } else if (is_boolean(m)) {
        v = (gr_value){.type = GR_TYPE_BOOL, .as.b = gr_str_eq_nocase(text, GR_STR("true")) || gr_str_eq_z(text, "1")};
    }
    return gr_sqlw_param(w, v);
}

/* The filtered value, in the form that value_param's parameters compare with. */
static gr_str subject(gr_sqlw *w, const gr_member *m, bool want_text) {
    if (is_measure(m)) return gr_sqlw_operand(w, gr_sqlw_measure(w, m));
    gr_str raw = gr_sqlw_operand(w, gr_sqlw_member(w, m));
    if (gr_sqlw_is_integer_for_boolean(w, m)) return gr_sqlw_seen(w, m);
    if (is_time(m) && !want_text) return gr_sqlw_instant(w, m, raw);
    gr_type type = column_type(w, m);
    bool is_text = (type == GR_TYPE_UTF8 && !gr_sqlw_is_text_of_other(w, m)) ||
                   (type == GR_TYPE_NULL && m->dim_type == GR_DIM_STRING);
    if (want_text || (m->dim_type == GR_DIM_STRING && m->kind == GR_MEMBER_DIMENSION && !is_text))
        return is_text ? raw : gr_sqlw_op1(w, GR_SQL_TEXT, raw);
    return raw;
}

static gr_str with_null(gr_sqlw *w, const gr_filter *f, gr_str test, gr_str c, bool is_negated) {
    if (f->has_null == is_negated) return test;
    return gr_arena_printf(w->arena, "(" GR_FMT ") OR " GR_FMT " IS NULL", GR_ARG(test), GR_ARG(c));
}

/* A list of numbers of several types would be compared as the widest of them, which may be floating point. */
static bool is_mixed(const gr_filter *f) {
    int64_t integer;
    for (size_t i = 0; i < f->n_values; i++)
        if (!gr_str_to_i64(f->values[i], &integer)) return f->n_values > 1;
    return false;
}

/* Beside a number of another type, an engine that reads alone must not look whether the column is sorted. */
static gr_str beside(gr_sqlw *w, gr_str column, gr_str param) {
    bool is_cast = w->dialect->reads_alone && gr_str_starts(param, GR_STR("CAST("));
    return is_cast ? gr_sqlw_op1(w, GR_SQL_GROUP_KEY, column) : column;
}

static gr_str one_equality(gr_sqlw *w, const gr_filter *f, gr_str c, gr_str value, bool is_negated) {
    if (is_time(f->field.member)) return time_equality(w, f->field.member, value, is_negated);
    gr_str param = value_param(w, f->field.member, value);
    c = beside(w, c, param);
    return gr_arena_printf(w->arena, GR_FMT " %s " GR_FMT, GR_ARG(c), is_negated ? "<>" : "=", GR_ARG(param));
}

static gr_str each_equality(gr_sqlw *w, const gr_filter *f, gr_str c, bool is_negated) {
    gr_str *tests = GR_NEW_N(w->arena, gr_str, f->n_values);
    for (size_t i = 0; i < f->n_values; i++) tests[i] = one_equality(w, f, c, f->values[i], is_negated);
    gr_str test = gr_sqlw_join(w, tests, f->n_values, is_negated ? " AND " : " OR ");
    return with_null(w, f, test, c, is_negated);
}

static gr_str equality(gr_sqlw *w, const gr_filter *f, bool is_negated) {
    gr_str c = subject(w, f->field.member, false);
    if (f->n_values == 0) return gr_arena_printf(w->arena, GR_FMT " IS %sNULL", GR_ARG(c), is_negated ? "NOT " : "");
    bool is_each = is_time(f->field.member) || (is_number(f->field.member) && is_mixed(f));
    is_each |= is_negated && w->dialect->reads_alone; /* to old servers NULL NOT IN (…) is true */
    if (is_each) return each_equality(w, f, c, is_negated);
    gr_str *params = GR_NEW_N(w->arena, gr_str, f->n_values);
    for (size_t i = 0; i < f->n_values; i++) params[i] = value_param(w, f->field.member, f->values[i]);
    gr_str list = gr_sqlw_join(w, params, f->n_values, ", ");
    const char *one = is_negated ? "<>" : "=", *not = is_negated ? "NOT " : "";
    if (f->n_values == 1) c = beside(w, c, list);
    gr_str test = f->n_values == 1
                      ? gr_arena_printf(w->arena, GR_FMT " %s " GR_FMT, GR_ARG(c), one, GR_ARG(list))
                      : gr_arena_printf(w->arena, GR_FMT " %sIN (" GR_FMT ")", GR_ARG(c), not, GR_ARG(list));
    return with_null(w, f, test, c, is_negated);
}

/* %, _ and \ of the value stand for themselves. */
static gr_str pattern(gr_sqlw *w, gr_str value, bool is_open_left, bool is_open_right) {
    char *out = gr_arena_alloc(w->arena, 2 * value.n + 3), *p = out;
    if (is_open_left) *p++ = '%';
    for (size_t i = 0; i < value.n; i++) {
        if (value.p[i] == '%' || value.p[i] == '_' || value.p[i] == '\\') *p++ = '\\';
        *p++ = value.p[i];
    }
    if (is_open_right) *p++ = '%';
    return (gr_str){out, (size_t)(p - out)};
}

static gr_str like(gr_sqlw *w, const gr_filter *f, bool is_negated, bool is_open_left, bool is_open_right) {
    gr_str c = subject(w, f->field.member, true);
    gr_str *tests = GR_NEW_N(w->arena, gr_str, f->n_values + 1);
    for (size_t i = 0; i < f->n_values; i++) {
        gr_str text = pattern(w, f->values[i], is_open_left, is_open_right);
        gr_str param = gr_sqlw_param(w, (gr_value){.type = GR_TYPE_UTF8, .as.s = text});
        tests[i] = gr_sqlw_op2(w, is_negated ? GR_SQL_NOT_LIKE : GR_SQL_LIKE, c, param);
    }
    gr_str test = gr_sqlw_join(w, tests, f->n_values, is_negated ? " AND " : " OR ");
    bool keeps_null = f->has_null != is_negated;
    if (!f->n_values) return gr_arena_printf(w->arena, GR_FMT " IS %sNULL", GR_ARG(c), is_negated ? "NOT " : "");
    if (!keeps_null) return test;
    return gr_arena_printf(w->arena, "(" GR_FMT ") OR " GR_FMT " IS NULL", GR_ARG(test), GR_ARG(c));
}

static gr_str compare(gr_sqlw *w, const gr_filter *f, const char *op) {
    if (is_time(f->field.member)) return gr_sqlw_point(w, f->field.member, op, &f->range, true);
    const gr_member *m = f->field.member;
    gr_str c = subject(w, m, false), p = value_param(w, m, f->values[0]);
    if (!is_measure(m) && m->dim_type == GR_DIM_STRING && column_type(w, m) == GR_TYPE_UTF8) /* as what is stored */
        c = gr_arena_printf(w->arena, GR_FMT GR_FMT, GR_ARG(c), GR_ARG(w->dialect->collation));
    c = beside(w, c, p);
    return gr_arena_printf(w->arena, GR_FMT " %s " GR_FMT, GR_ARG(c), op, GR_ARG(p));
}

static gr_str date_range(gr_sqlw *w, const gr_filter *f, bool is_negated) {
    const gr_member *m = f->field.member;
    gr_str from = gr_sqlw_point(w, m, is_negated ? "<" : ">=", &f->range, true);
    gr_str to = gr_sqlw_point(w, m, is_negated ? ">=" : "<", &f->range, false);
    return gr_arena_printf(w->arena, GR_FMT " %s " GR_FMT, GR_ARG(from), is_negated ? "OR" : "AND", GR_ARG(to));
}

static gr_str leaf(gr_sqlw *w, const gr_filter *f) {
    const gr_member *m = f->field.member;
    switch (f->op) {
    case GR_OP_EQUALS:
    case GR_OP_IN: return equality(w, f, false);
    case GR_OP_NOT_EQUALS:
    case GR_OP_NOT_IN: return equality(w, f, true);
    case GR_OP_CONTAINS: return like(w, f, false, true, true);
    case GR_OP_NOT_CONTAINS: return like(w, f, true, true, true);
    case GR_OP_STARTS_WITH: return like(w, f, false, false, true);
    case GR_OP_NOT_STARTS_WITH: return like(w, f, true, false, true);
    case GR_OP_ENDS_WITH: return like(w, f, false, true, false);
    case GR_OP_NOT_ENDS_WITH: return like(w, f, true, true, false);
    case GR_OP_GT: return compare(w, f, ">");
    case GR_OP_GTE: return compare(w, f, ">=");
    case GR_OP_LT: return compare(w, f, "<");
    case GR_OP_LTE: return compare(w, f, "<=");
    case GR_OP_SET:
    case GR_OP_NOT_SET: {
        gr_str c = gr_sqlw_operand(w, is_measure(m) ? gr_sqlw_measure(w, m) : gr_sqlw_member(w, m));
        return gr_arena_printf(w->arena, GR_FMT " IS %sNULL", GR_ARG(c), f->op == GR_OP_SET ? "NOT " : "");
    }
    case GR_OP_IN_DATE_RANGE:
    case GR_OP_ON_THE_DATE: return date_range(w, f, false);
    case GR_OP_NOT_IN_DATE_RANGE: return date_range(w, f, true);
    case GR_OP_BEFORE_DATE: return gr_sqlw_point(w, m, "<", &f->range, true);
    case GR_OP_BEFORE_OR_ON_DATE: return gr_sqlw_point(w, m, "<=", &f->range, true);
    case GR_OP_AFTER_DATE: return gr_sqlw_point(w, m, ">", &f->range, true);
    case GR_OP_AFTER_OR_ON_DATE: return gr_sqlw_point(w, m, ">=", &f->range, true);
    case GR_OP_MEASURE_FILTER: return gr_sqlw_own_filters(w, m);
    case GR_OP__COUNT: break;
    }
    return gr_sqlw_fail(w, GR_ERR_INTERNAL, "unknown filter operator");
}

gr_str gr_sqlw_filter(gr_sqlw *w, const gr_filter *f) {
    bool is_absorbed = w->read == GR_READ_STORED && w->scan && gr_scan_is_absorbed(w->scan, f);
    if (is_absorbed) return GR_STR("(1 = 1)"); /* every stored row passes; its member may not be stored */
    if (f->kind == GR_FILTER_LEAF) {
        gr_str text = leaf(w, f);
        return text.n ? gr_arena_printf(w->arena, "(" GR_FMT ")", GR_ARG(text)) : text;
    }
    gr_str *texts = GR_NEW_N(w->arena, gr_str, f->n_children + 1);
    size_t n = 0;
    for (size_t i = 0; i < f->n_children; i++) {
        gr_str text = gr_sqlw_filter(w, f->children[i]);
        if (text.n) texts[n++] = text;
    }
    if (n <= 1) return n ? texts[0] : (gr_str){0};
    gr_str all = gr_sqlw_join(w, texts, n, f->kind == GR_FILTER_AND ? " AND " : " OR ");
    return gr_arena_printf(w->arena, "(" GR_FMT ")", GR_ARG(all));
}
