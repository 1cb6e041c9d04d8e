/* Containment of conditions: what is implied and what is not, operator against operator; and the law that matters: when
 * a premise is said to imply a conclusion, every row that passes the premise passes the conclusion. */
#include "filter_test.h"

static bool implies(const gr_query *premise, const gr_query *conclusion) {
    for (size_t i = 0; i < conclusion->n_row_filters; i++)
        if (!gr_plan_filters_imply(premise->row_filters, premise->n_row_filters, premise->time_dimensions,
                                   premise->n_time_dimensions, conclusion->row_filters[i]))
            return false;
    return true;
}

typedef struct imply_case {
    const char *premise, *conclusion;
    bool forward, backward; /* premise implies conclusion; conclusion implies premise */
} imply_case;

static const imply_case leaves[] = {
    /* Values against values. */
    {"(s equals a)", "(s equals a)", true, true},
    {"(s equals a)", "(s in a)", true, true},
    {"(s equals a)", "(s equals b)", false, false},
    {"(s equals a)", "(s equals a b)", true, false},
    {"(s equals b a)", "(s in a b)", true, true},
    {"(s equals a)", "(s2 equals a)", false, false},
    {"(s equals a)", "(s equals A)", false, false},
    {"(s equals '')", "(s notSet)", false, false},
    {"(s equals a)", "(s notEquals b)", true, false},
    {"(s equals a b)", "(s notEquals b)", false, false},
    {"(s in a b)", "(s notIn c d)", true, false},
    {"(s notEquals a b)", "(s notEquals a)", true, false},
    {"(s notEquals a b)", "(s notIn b a)", true, true},
    {"(s notEquals a)", "(s equals b)", false, true},
    /* Null: equals without it drops it, notEquals without it keeps it. */
    {"(s equals a)", "(s set)", true, false},
    {"(s equals a null)", "(s set)", false, false},
    {"(s equals a)", "(s equals a null)", true, false},
    {"(s equals null)", "(s notSet)", true, true},
    {"(s notSet)", "(s equals a null)", true, false},
    {"(s notSet)", "(s notEquals a)", true, false},
    {"(s notSet)", "(s notEquals a null)", false, false},
    {"(s notSet)", "(s set)", false, false},
    {"(s notEquals null)", "(s set)", true, true},
    {"(s notEquals a)", "(s set)", false, false},
    {"(s notEquals a null)", "(s set)", true, false},
    {"(s notEquals a null)", "(s notEquals a)", true, false},
    {"(s notEquals a b null)", "(s notIn a null)", true, false},
    /* Bounds. */
    {"(n gt 5)", "(n gt 3)", true, false},
    {"(n gt 5)", "(n gte 5)", true, false},
    {"(n gte 5)", "(n gte 5)", true, true},
    {"(n gte 6)", "(n gt 5)", true, false},
    {"(n gt 5)", "(n gte 6)", false, true}, /* numbers need not be whole */
    {"(n lt 3)", "(n lt 5)", true, false},
    {"(n lt 3)", "(n lte 3)", true, false},
    {"(n lte 3)", "(n lt 4)", true, false},
    {"(n gt 5)", "(n lt 5)", false, false},
    {"(n gt 10)", "(n gt 9)", true, false}, /* as numbers, not as text */
    {"(s gt b)", "(s gt a)", true, false},
    {"(s gt 10)", "(s gt 9)", false, true}, /* as text */
    {"(n gt 5)", "(n set)", true, false},
    {"(n gt 5)", "(n notEquals 5)", true, false},
    {"(n gte 5)", "(n notEquals 5)", false, false},
    {"(n gt 5)", "(n notEquals 1 5)", true, false},
    {"(n gt 5)", "(n notEquals 6)", false, false},
    {"(n lt 5)", "(n notIn 5 6 7)", true, false},
    {"(n gt 5)", "(n notEquals 1 null)", true, false},
    {"(n equals 6)", "(n gt 5)", true, false},
    {"(n equals 5)", "(n gt 5)", false, false},
    {"(n equals 5)", "(n gte 5)", true, false},
    {"(n in 6 7 8)", "(n gt 5)", true, false},
    {"(n in 6 5)", "(n gt 5)", false, false},
    {"(n equals 6 null)", "(n gt 5)", false, false},
    {"(n notEquals 5)", "(n gt 5)", false, true},
    {"(s equals b)", "(s gte a)", true, false},
    /* Numbers in several spellings: an order that is sure is used, an equality between them is not. */
    {"(n equals 1)", "(n equals 1.0)", false, false},
    {"(n equals 1)", "(n equals 01)", true, true},
    {"(n equals 1)", "(n notEquals 2.0)", true, false},
    {"(n equals 1)", "(n notEquals 1.0)", false, false},
    {"(n equals 1e1)", "(n gt 9)", true, false},
    {"(n equals 1e1)", "(n gt 10)", false, false},
    {"(n gt 1.5)", "(n gt 1)", true, false},
    {"(n lt 5)", "(n lt 1e400)", true, false},
    {"(n gt 1e400)", "(n gt 2e400)", false, false},
    {"(n equals 1e400)", "(n gt 5)", true, false},
    {"(n equals 1e400)", "(n equals 2e400)", false, false},
    {"(n equals 1e400)", "(n equals 1e400)", true, true},
    {"(n gt 9007199254740993)", "(n gt 9007199254740992)", true, false},
    {"(n gt 9007199254740993.5)", "(n gt 9007199254740993.4)", false, false}, /* not told apart: nothing is said */
    {"(n gt 9223372036854775808)", "(n gt 9223372036854775807)", false, false},
    {"(n gt -1)", "(n gt -2)", true, false},
    /* Booleans. */
    {"(b equals true)", "(b equals 1)", true, true},
    {"(b equals true)", "(b notEquals false)", true, false},
    {"(b equals true)", "(b equals true false)", true, false},
    {"(b notEquals false)", "(b equals true)", false, true},
    {"(b equals true)", "(b set)", true, false},
    /* Texts: only the same condition, and that there is a value. */
    {"(s contains a)", "(s contains a)", true, true},
    {"(s contains ab)", "(s contains a)", false, false},
    {"(s contains a)", "(s set)", true, false},
    {"(s contains a null)", "(s set)", false, false},
    {"(s notContains a)", "(s set)", false, false},
    {"(s notContains a null)", "(s set)", true, false},
    {"(s equals abc)", "(s contains a)", false, false},
    {"(s startsWith a)", "(s startsWith a)", true, true},
    {"(s startsWith a)", "(s endsWith a)", false, false},
    {"(s startsWith a)", "(s contains a)", false, false},
    {"(s notStartsWith a)", "(s notStartsWith a)", true, true},
    {"(s endsWith a b)", "(s endsWith a b)", true, true},
    {"(s endsWith a)", "(s set)", true, false},
    {"(s notEndsWith a)", "(s notEndsWith b)", false, false},
    /* Times. */
    {"(at inDateRange 2020-01-05 2020-01-10)", "(at inDateRange 2020-01-01 2020-01-31)", true, false},
    {"(at inDateRange 2020-01-05 2020-02-10)", "(at inDateRange 2020-01-01 2020-01-31)", false, false},
    {"(at inDateRange 2020-01-05)", "(at onTheDate 2020-01-05)", true, true},
    {"(at onTheDate 2020-01-05)", "(at inDateRange 2020-01-01 2020-01-31)", true, false},
    {"(at inDateRange 2020-01-05 2020-01-10)", "(at afterOrOnDate 2020-01-05)", true, false},
    {"(at inDateRange 2020-01-05 2020-01-10)", "(at beforeDate 2020-01-11)", true, false},
    {"(at inDateRange 2020-01-05 2020-01-10)", "(at beforeDate 2020-01-10)", false, false},
    {"(at beforeDate 2020-01-05)", "(at beforeDate 2020-01-06)", true, false},
    {"(at afterOrOnDate 2020-01-06)", "(at afterOrOnDate 2020-01-05)", true, false},
    {"(at afterOrOnDate 2020-01-06)", "(at set)", true, false},
    {"(at notInDateRange 2020-01-05 2020-01-10)", "(at set)", true, false},
    {"(at notInDateRange 2020-01-05 2020-01-10)", "(at notInDateRange 2020-01-05 2020-01-10)", true, true},
    {"(at notInDateRange 2020-01-05 2020-01-10)", "(at notInDateRange 2020-01-06 2020-01-10)", false, false},
    {"(at afterDate 2020-01-05)", "(at afterDate 2020-01-05)", true, true},
    {"(at afterDate 2020-01-05)", "(at afterOrOnDate 2020-01-05)", false, false}, /* true, and not worked out */
    {"(at beforeOrOnDate 2020-01-05)", "(at beforeDate 2020-01-05)", false, false},
    {"(at gt 2020-01-05)", "(at gt 2020-01-04)", false, false},
    {"(at gt 2020-01-05)", "(at gt 2020-01-05)", true, true},
    /* without offset the two may be read in two zones */
    {"(at equals 2020-01-05)", "(at equals 2020-01-05)", false, false},
    {"(at equals 2020-01-05T00:00:00Z)", "(at equals 2020-01-05T00:00:00Z)", true, true},
    {"(at equals 2020-01-05)", "(at equals 2020-01-05T00:00:00)", false, false},
    {"(at equals 2020-01-05)", "(at inDateRange 2020-01-05)", false, false},
    {"(at equals 2020-01-05)", "(at notEquals 2020-01-06)", false, false},
    {"(at equals 2020-01-05)", "(at set)", true, false},
    {"(at equals 2020-01-05)", "(at in 2020-01-05 2020-01-06)", false, false},
    {"(at equals 2020-01-05T00:00:00Z)", "(at in 2020-01-05T00:00:00Z 2020-01-06T00:00:00Z)", true, false},
    {"(at notEquals 2020-01-05 2020-01-06)", "(at notEquals 2020-01-05)", false, false},
};

static const imply_case trees[] = {
    {"(and (s equals a) (n gt 5))", "(s equals a)", true, false},
    {"(s equals a) (n gt 5)", "(n gt 3)", true, false},
    {"(s equals a) (n gt 5)", "(n gt 5) (s equals a)", true, true},
    {"(s equals a)", "(or (s equals a) (n gt 5))", true, false},
    {"(or (s equals a) (s equals b))", "(s equals a b)", true, false}, /* back: each value apart is not tried */
    {"(or (s equals a) (s equals b))", "(s equals a b c)", true, false},
    {"(or (s equals a) (n equals 1))", "(s equals a)", false, true},
    {"(or (s equals a) (n equals 1))", "(or (n equals 1) (s equals a))", true, true},
    {"(or (s equals a) (n equals 1))", "(or (n equals 1 2) (s equals a) (b equals true))", true, false},
    {"(or (and (s equals a) (n gt 5)) (and (s equals a) (n lt 3)))", "(s equals a)", true, false},
    {"(or (and (s equals a) (n gt 5)) (s equals b))", "(s equals a b)", true, false},
    {"(s equals a) (n gt 5)", "(or (and (s equals a) (n gt 3)) (b equals true))", true, false},
    {"(s equals a) (n gt 5)", "(or (and (s equals a) (n gt 7)) (b equals true))", false, false},
    {"(s equals a)", "(and (s set) (s notEquals b))", true, false},
    {"(s equals a)", "(or (and (s set) (s notEquals b)) (n equals 1))", true, false},
    {"(s equals a)", "(and (s set) (n gt 5))", false, false},
    {"(or (s equals a) (s notSet))", "(s set)", false, false},
    {"(or (s equals a) (s equals b))", "(and (s set) (s notEquals c))", true, false},
    {"(or (s equals a) (s equals b))", "(and (s set) (s notEquals b))", false, false},
    {"", "(s equals a)", false, true},
};

static gr_snapshot model_of_filters(gr_arena *arena) { return test_snapshot(FILTER_MODEL, arena); }

static void check_table(const imply_case *rows, size_t n) {
    gr_arena *arena = gr_arena_new();
    gr_snapshot s = model_of_filters(arena);
    size_t n_bad = 0;
    for (size_t i = 0; i < n; i++) {
        const gr_query *a = filter_query(&s, rows[i].premise, NULL, NULL, arena);
        const gr_query *b = filter_query(&s, rows[i].conclusion, NULL, NULL, arena);
        bool forward = implies(a, b), backward = implies(b, a);
        if (forward == rows[i].forward && backward == rows[i].backward) continue;
        print_error("row %zu %s, %s: %d %d\n", i, rows[i].premise, rows[i].conclusion, forward, backward);
        n_bad++;
    }
    gr_model_unref(s.model);
    gr_arena_free(arena);
    assert_int_equal(n_bad, 0);
}

static void leaf_against_leaf(void **state) {
    (void)state;
    check_table(leaves, COUNT(leaves));
}

static void tree_against_tree(void **state) {
    (void)state;
    check_table(trees, COUNT(trees));
}

/* Date ranges of the query are premises too, whatever the zones in which both were read. */
static void date_ranges(void **state) {
    (void)state;
    static const struct {
        const char *times, *zone, *conclusion;
        bool is_implied;
    } rows[] = {
        {"t.at:- 2020-01-05 2020-01-10", "UTC", "(at inDateRange 2020-01-01 2020-01-31)", true},
        {"t.at:day 2020-01-05 2020-01-10", "UTC", "(at afterOrOnDate 2020-01-05)", true},
        {"t.at:day", "UTC", "(at set)", false},
        {"t.at:day 2020-01-05 2020-01-10", "UTC", "(at set)", true},
        {"t.at:- 2020-01-05 2020-01-10", "UTC", "(at inDateRange 2020-01-06 2020-01-31)", false},
        {"t.at:- 2020-01-05 2020-01-10", "UTC", "(or (at beforeDate 2020-02-01) (s equals a))", true},
        /* Tokyo's January 5th begins on the 4th of UTC. */
        {"t.at:- 2020-01-05 2020-01-10", "Asia/Tokyo", "(at afterOrOnDate 2020-01-05)", false},
        {"t.at:- 2020-01-05 2020-01-10", "Asia/Tokyo", "(at afterOrOnDate 2020-01-04)", true},
        {"t.at:- 2020-01-05 2020-01-10", "Asia/Tokyo", "(at beforeDate 2020-01-11)", true},
        {"t.at:- 2020-01-05 2020-01-10", "America/New_York", "(at beforeDate 2020-01-11)", false},
        /* A bound in a doubled hour is no one instant: nothing is said. */
        {"t.at:- 2019-11-03T01:30:00 2019-11-05", "America/New_York", "(at afterOrOnDate 2019-11-01)", false},
        {"t.at:- 2019-11-03T02:30:00 2019-11-05", "America/New_York", "(at afterOrOnDate 2019-11-01)", true},
    };
    gr_arena *arena = gr_arena_new();
    gr_snapshot s = model_of_filters(arena);
    for (size_t i = 0; i < COUNT(rows); i++) {
        const gr_query *premise = filter_query(&s, "", rows[i].zone, rows[i].times, arena);
        const gr_query *conclusion = filter_query(&s, rows[i].conclusion, NULL, NULL, arena);
        if (implies(premise, conclusion) != rows[i].is_implied) fail_msg("row %zu", i);
    }
    gr_model_unref(s.model);
    gr_arena_free(arena);
}

/* ---- the law
 * ----------------------------------------------------------------------------------------------------------- */

static uint64_t random_state;

static uint64_t pick(uint64_t n) {
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return (z ^ (z >> 31)) % n;
}

#define PICK(list) (list)[pick(COUNT(list))]

static const char *const texts[] = {"a", "b", "ab", "A", "''", "ba"};
static const char *const numbers[] = {"0", "1", "1.0", "01", "2", "1.5", "10", "-1", "1e1", "1e400", "-1e400", "-0"};
static const char *const truths[] = {"true", "false", "1", "0"};
static const char *const dates[] = {"2019-11-02",          "2019-11-03",          "2019-11-04",
                                    "2019-11-03T01:30:00", "2019-11-03T01:00:00", "2019-11-03T02:00:00",
                                    "2019-11-03T06:30:00"};
static const char *const later_dates[] = {"2019-11-03T06:30:00", "2019-11-04", "2019-11-05", "2019-11-03T01:30:00"};

/* Writes one leaf; `member`: s, n, b or a(t). */
static void write_leaf(gr_buf *out, char member) {
    static const char *const lists[] = {"equals", "notEquals", "in", "notIn"};
    static const char *const likes[] = {"contains",      "notContains", "startsWith",
                                        "notStartsWith", "endsWith",    "notEndsWith"};
    static const char *const bounds[] = {"gt", "gte", "lt", "lte"};
    static const char *const points[] = {
        "beforeDate", "beforeOrOnDate", "afterDate", "afterOrOnDate", "gt", "gte", "lt", "lte"};
    uint64_t kind = pick(8);
    gr_buf_printf(out, "(%s ", member == 'a' ? "at" : member == 's' ? "s" : member == 'n' ? "n" : "b");
    if (kind == 0) {
        gr_buf_z(out, pick(2) ? "set)" : "notSet)");
        return;
    }
    if (member == 'a') {
        if (kind < 5)
            gr_buf_printf(out, "%s %s)", PICK(points), PICK(dates));
        else if (kind == 5)
            gr_buf_printf(out, "onTheDate %s)", PICK(dates));
        else
            gr_buf_printf(out, "%s %s %s)", pick(3) ? "inDateRange" : "notInDateRange", PICK(dates), PICK(later_dates));
        return;
    }
    if (member != 'b' && kind < 3) {
        gr_buf_printf(out, "%s %s)", PICK(bounds), member == 'n' ? PICK(numbers) : PICK(texts));
        return;
    }
    gr_buf_z(out, member == 's' && kind == 3 ? PICK(likes) : PICK(lists));
    for (uint64_t n = 1 + pick(3); n > 0; n--)
        gr_buf_printf(out, " %s",
                      pick(6) == 0    ? "null"
                      : member == 's' ? PICK(texts)
                      : member == 'n' ? PICK(numbers)
                                      : PICK(truths));
    gr_buf_char(out, ')');
}

static void write_tree(gr_buf *out, const char *members, int depth) {
    if (depth == 0 || pick(3) == 0) {
        write_leaf(out, members[pick(2)]);
        return;
    }
    gr_buf_z(out, pick(2) ? "(and " : "(or ");
    for (uint64_t n = 2 + pick(2); n > 0; n--) write_tree(out, members, depth - 1);
    gr_buf_char(out, ')');
}

static const char *random_filters(const char *members, uint64_t most, gr_arena *arena) {
    gr_buf out;
    gr_buf_init(&out, 1 << 16);
    for (uint64_t n = 1 + pick(most); n > 0; n--) write_tree(&out, members, (int)pick(3));
    const char *text = gr_arena_dup(arena, gr_buf_str(&out)).p;
    gr_buf_done(&out);
    return text;
}

/* Every row of the small world: values of two members, the others null. */
static void check_law(const gr_query *premise, const gr_query *conclusion, const char *a, const char *b, size_t i) {
    static const char *const row_texts[] = {NULL, "", "a", "b", "ab", "A", "ba", "c"};
    static const char *const row_numbers[] = {NULL, "-2", "-1", "0", "0.5", "1", "1.25", "1.5", "2", "10", "11"};
    static const char *const row_truths[] = {NULL, "true", "false"};
    static const int64_t minute = 60000000, start = 1572652800000000; /* 2019-11-02T00:00Z */
    for (size_t s = 0; s < COUNT(row_texts); s++)
        for (size_t n = 0; n < COUNT(row_numbers); n++)
            for (size_t t = 0; t < COUNT(row_truths); t++) {
                filter_row row = {.s = row_texts[s], .n = row_numbers[n], .b = row_truths[t]};
                row.has_at = (s + n + t) % 7 != 0;
                row.at_us = start + (int64_t)pick(4 * 24 * 4) * 15 * minute;
                if (!filter_all_pass(premise, &row) || filter_all_pass(conclusion, &row)) continue;
                fail_msg("%zu: '%s' is said to imply '%s', but not for s=%s n=%s b=%s at=%lld", i, a, b,
                         row.s ? row.s : "null", row.n ? row.n : "null", row.b ? row.b : "null",
                         row.has_at ? (long long)row.at_us : -1);
            }
}

static void what_is_implied_holds(void **state) {
    (void)state;
    static const char *const pairs[] = {"ss", "nn", "bb", "aa", "sn", "sa", "nb", "an"};
    static const char *const zones[] = {"UTC", "UTC", "America/New_York", "Asia/Tokyo"};
    random_state = 7172020;
    size_t n_implied = 0, n_trivial = 0;
    gr_arena *model_arena = gr_arena_new();
    gr_snapshot s = model_of_filters(model_arena);
    for (size_t i = 0; i < 8000; i++) {
        gr_arena *arena = gr_arena_new();
        const char *members = PICK(pairs);
        const char *a = random_filters(members, 3, arena), *b = random_filters(members, 1, arena);
        const gr_query *premise = filter_query(&s, a, PICK(zones), NULL, arena);
        const gr_query *conclusion = filter_query(&s, b, PICK(zones), NULL, arena);
        if (implies(premise, conclusion)) {
            n_implied++;
            n_trivial += !strcmp(a, b);
            check_law(premise, conclusion, a, b, i);
        }
        gr_arena_free(arena);
    }
    gr_model_unref(s.model);
    gr_arena_free(model_arena);
    assert_true(n_implied > n_trivial + 500); /* else the law was asked of nothing */
}

/* A filter implies itself, so that a query with the very filters of a rollup is served. */
static void itself(void **state) {
    (void)state;
    static const char *const pairs[] = {"ss", "nn", "bb", "aa", "sn", "sa"};
    random_state = 42;
    gr_arena *model_arena = gr_arena_new();
    gr_snapshot s = model_of_filters(model_arena);
    for (size_t i = 0; i < 3000; i++) {
        gr_arena *arena = gr_arena_new();
        const char *a = random_filters(PICK(pairs), 2, arena);
        const gr_query *q = filter_query(&s, a, NULL, NULL, arena);
        if (!implies(q, q)) fail_msg("%zu: '%s' does not imply itself", i, a);
        gr_arena_free(arena);
    }
    gr_model_unref(s.model);
    gr_arena_free(model_arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leaf_against_leaf),
        cmocka_unit_test(tree_against_tree),
        cmocka_unit_test(date_ranges),
        cmocka_unit_test(what_is_implied_holds),
        cmocka_unit_test(itself),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
