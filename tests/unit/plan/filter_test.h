/* Filters in words, for tests: "(s equals a b null)", "(and (n gt 5) (or (s set) (b equals true)))"; several side by
 * side are ANDed. Members are of the cube t. And what they mean, worked out anew: one row against one filter. */
#ifndef GR_TESTS_FILTER_TEST_H
#define GR_TESTS_FILTER_TEST_H
#include "plan_test.h"

#define FILTER_MODEL                                                                                                   \
    "cubes:\n- name: t\n  sql_table: t\n  dimensions:\n  - {name: s, sql: s, type: string}\n"                          \
    "  - {name: s2, sql: s2, type: string}\n  - {name: n, sql: n, type: number}\n"                                     \
    "  - {name: b, sql: b, type: boolean}\n  - {name: at, sql: at, type: time}\n"                                      \
    "  measures:\n  - {name: count, type: count}\n"

static inline void filter_add_word(gr_buf *out, gr_str word) {
    if (gr_str_eq_z(word, "null"))
        gr_buf_z(out, "null");
    else
        gr_buf_printf(out, "\"" GR_FMT "\"", GR_ARG(gr_str_eq_z(word, "''") ? GR_STR("") : word));
}

/* One parenthesis; *at is behind its "(". */
static inline void filter_add(gr_buf *out, const char **at) {
    gr_str word = test_word(at, " ()");
    bool is_group = gr_str_eq_z(word, "and") || gr_str_eq_z(word, "or");
    if (!is_group) {
        gr_str op = test_word(at, " ()");
        gr_buf_printf(out, "{\"member\":\"t." GR_FMT "\",\"operator\":\"" GR_FMT "\"", GR_ARG(word), GR_ARG(op));
    } else {
        gr_buf_printf(out, "{\"" GR_FMT "\":[", GR_ARG(word));
    }
    for (size_t n = 0;; n++) {
        while (**at == ' ') ++*at;
        assert_true(**at);
        bool is_end = **at == ')';
        if (!is_group && n == 0 && !is_end) gr_buf_z(out, ",\"values\":[");
        if (is_end) {
            if (!is_group && n) gr_buf_char(out, ']');
            break;
        }
        if (n) gr_buf_char(out, ',');
        if (**at == '(') {
            ++*at;
            filter_add(out, at);
        } else {
            filter_add_word(out, test_word(at, " ()"));
        }
    }
    ++*at;
    gr_buf_z(out, is_group ? "]}" : "}");
}

/* A query with these filters; `zone` NULL: UTC. */
static inline gr_query *filter_query(const gr_snapshot *s, const char *words, const char *zone, const char *times,
                                     gr_arena *arena) {
    gr_buf out;
    gr_buf_init(&out, 1 << 16);
    gr_buf_printf(&out, "{\"measures\":[\"t.count\"],\"timezone\":\"%s\",", zone ? zone : "UTC");
    test_add_times(&out, times ? times : "");
    gr_buf_z(&out, "\"filters\":[");
    bool is_first = true;
    for (const char *at = words; *at;) {
        if (*at != '(') {
            at++;
            continue;
        }
        if (!is_first) gr_buf_char(&out, ',');
        is_first = false;
        at++;
        filter_add(&out, &at);
    }
    gr_buf_z(&out, "]}");
    const char *json = gr_arena_dup(arena, gr_buf_str(&out)).p;
    gr_buf_done(&out);
    return test_query(s, json, arena);
}

/* ---- what a filter means (cube.md 5.6), over one row
 * ------------------------------------------------------------------ */

typedef struct filter_row {
    const char *s, *s2, *n, *b; /* NULL: null */
    bool has_at;
    int64_t at_us; /* an instant */
} filter_row;

static inline bool filter_has_prefix(const char *text, const char *prefix, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char a = text[i], b = prefix[i];
        if (a >= 'A' && a <= 'Z') a = (char)(a + 32);
        if (b >= 'A' && b <= 'Z') b = (char)(b + 32);
        if (!a || a != b) return false;
    }
    return true;
}

static inline bool filter_like(const char *text, gr_str part, bool is_open_left, bool is_open_right) {
    size_t n = strlen(text);
    for (size_t i = 0; i <= n; i++) {
        if (i && !is_open_left) break;
        if (n - i < part.n || !filter_has_prefix(text + i, part.p, part.n)) continue;
        if (is_open_right || n - i == part.n) return true;
    }
    return false;
}

/* -1, 0, 1 by the type of the member. */
static inline int filter_compare(const gr_filter *f, const char *value, gr_str with) {
    char other[200];
    snprintf(other, sizeof other, GR_FMT, GR_ARG(with));
    if (f->field.member->dim_type == GR_DIM_NUMBER) {
        long double a = strtold(value, NULL), b = strtold(other, NULL);
        return a < b ? -1 : a > b;
    }
    int c = strcmp(value, other);
    return c < 0 ? -1 : c > 0;
}

static inline bool filter_at_or_after(const filter_row *row, const gr_range *p, const gr_tz *tz) {
    return p->is_from_ambiguous ? gr_tz_to_local(tz, row->at_us) >= p->from_local_us : row->at_us >= p->from_utc_us;
}

static inline bool filter_after(const filter_row *row, const gr_range *p, const gr_tz *tz) {
    return p->is_from_ambiguous ? gr_tz_to_local(tz, row->at_us) > p->from_local_us : row->at_us > p->from_utc_us;
}

static inline bool filter_before_end(const filter_row *row, const gr_range *p, const gr_tz *tz) {
    return p->is_to_ambiguous ? gr_tz_to_local(tz, row->at_us) < p->to_local_us : row->at_us < p->to_utc_us;
}

static inline bool filter_time_equals(const filter_row *row, gr_str text, const gr_tz *tz) {
    int64_t us;
    gr_time_zone_part zone;
    bool is_date;
    assert_true(gr_time_parse(text, &us, &zone, &is_date));
    return us == (zone == GR_TIME_NAIVE ? gr_tz_to_local(tz, row->at_us) : row->at_us);
}

static inline bool filter_passes_time(const gr_filter *f, const filter_row *row, const gr_tz *tz) {
    const gr_range *r = &f->range;
    if (f->op == GR_OP_IN_DATE_RANGE || f->op == GR_OP_ON_THE_DATE)
        return filter_at_or_after(row, r, tz) && filter_before_end(row, r, tz);
    if (f->op == GR_OP_NOT_IN_DATE_RANGE) return !filter_at_or_after(row, r, tz) || !filter_before_end(row, r, tz);
    if (f->op == GR_OP_BEFORE_DATE || f->op == GR_OP_LT) return !filter_at_or_after(row, r, tz);
    if (f->op == GR_OP_AFTER_OR_ON_DATE || f->op == GR_OP_GTE) return filter_at_or_after(row, r, tz);
    if (f->op == GR_OP_AFTER_DATE || f->op == GR_OP_GT) return filter_after(row, r, tz);
    if (f->op == GR_OP_BEFORE_OR_ON_DATE || f->op == GR_OP_LTE) return !filter_after(row, r, tz);
    fail_msg("no operator of times");
    return false;
}

static inline bool filter_leaf_passes(const gr_filter *f, const filter_row *row, const gr_tz *tz) {
    char name = f->field.member->name.p[0];
    const char *v = name == 'n' ? row->n : name == 'b' ? row->b : f->field.member->name.n == 2 ? row->s2 : row->s;
    bool is_time = name == 'a', is_null = is_time ? !row->has_at : !v;
    if (f->op == GR_OP_SET || f->op == GR_OP_NOT_SET) return is_null == (f->op == GR_OP_NOT_SET);
    bool is_negated = f->op == GR_OP_NOT_EQUALS || f->op == GR_OP_NOT_IN || f->op == GR_OP_NOT_CONTAINS ||
                      f->op == GR_OP_NOT_STARTS_WITH || f->op == GR_OP_NOT_ENDS_WITH;
    bool is_list = is_negated || f->op == GR_OP_EQUALS || f->op == GR_OP_IN || f->op == GR_OP_CONTAINS ||
                   f->op == GR_OP_STARTS_WITH || f->op == GR_OP_ENDS_WITH;
    if (!is_list) {
        if (is_null) return false;
        if (is_time) return filter_passes_time(f, row, tz);
        int c = filter_compare(f, v, f->values[0]);
        return f->op == GR_OP_GT ? c > 0 : f->op == GR_OP_GTE ? c >= 0 : f->op == GR_OP_LT ? c < 0 : c <= 0;
    }
    if (is_null) return f->has_null != is_negated;
    bool is_listed = false;
    for (size_t i = 0; i < f->n_values; i++) {
        bool is_equality =
            f->op == GR_OP_EQUALS || f->op == GR_OP_NOT_EQUALS || f->op == GR_OP_IN || f->op == GR_OP_NOT_IN;
        bool is_start = f->op == GR_OP_STARTS_WITH || f->op == GR_OP_NOT_STARTS_WITH;
        bool is_end = f->op == GR_OP_ENDS_WITH || f->op == GR_OP_NOT_ENDS_WITH;
        if (is_time)
            is_listed |= filter_time_equals(row, f->values[i], tz);
        else if (is_equality)
            is_listed |= filter_compare(f, v, f->values[i]) == 0;
        else
            is_listed |= filter_like(v, f->values[i], !is_start, !is_end);
    }
    return is_listed != is_negated;
}

static inline bool filter_passes(const gr_filter *f, const filter_row *row, const gr_tz *tz) {
    if (f->kind == GR_FILTER_LEAF) return filter_leaf_passes(f, row, tz);
    for (size_t i = 0; i < f->n_children; i++)
        if (filter_passes(f->children[i], row, tz) == (f->kind == GR_FILTER_OR)) return f->kind == GR_FILTER_OR;
    return f->kind == GR_FILTER_AND || f->n_children == 0;
}

static inline bool filter_all_pass(const gr_query *q, const filter_row *row) {
    for (size_t i = 0; i < q->n_row_filters; i++)
        if (!filter_passes(q->row_filters[i], row, q->tz)) return false;
    for (size_t i = 0; i < q->n_time_dimensions; i++) {
        const gr_time_field *t = &q->time_dimensions[i];
        if (!t->has_range) continue;
        if (!row->has_at || !filter_at_or_after(row, &t->range, q->tz) || !filter_before_end(row, &t->range, q->tz))
            return false;
    }
    return true;
}
#endif
