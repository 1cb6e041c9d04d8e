/* Comparison of three answers to one query. Exact texts, except for floating point, where the reference says how far
 * another order of summing may lead. */
#include "differential/judge.h"

#include "differential/laws.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const texts[DIFF_VERDICT__COUNT] = {
    [DIFF_SAME] = "the same",
    [DIFF_REFUSED] = "refused as it must be",
    [DIFF_ENGINE_REFUSES] = "refused by the engine",
    [DIFF_UNSURE] = "hangs on the last digits of a sum",
    [DIFF_ON_OFF] = "rollups on differs from rollups off",
    [DIFF_SOME_OFF] = "some of the rollups differ from rollups off",
    [DIFF_OFF_REFERENCE] = "both paths differ from the reference",
    [DIFF_ON_ERROR] = "an error with rollups only",
    [DIFF_BOTH_ERROR] = "an error where the reference has an answer",
    [DIFF_NOT_REFUSED] = "answered where it must be refused",
    [DIFF_LAW_PARTS_BROKEN] = "the parts do not sum up to the whole",
    [DIFF_LAW_MONTHS_BROKEN] = "days do not sum up to months",
    [DIFF_MODEL_ERROR] = "the model is not accepted",
};

const char *diff_verdict_text(diff_verdict verdict) { return texts[verdict]; }

static gr_str cell_text(const gr_cell *c) { return c->is_null ? GR_STR("NULL") : c->text; }

static gr_str value_text(const diff_value *v, gr_arena *arena) {
    gr_buf out;
    gr_buf_init(&out, 1 << 20);
    if (!diff_show(v, &out)) gr_buf_z(&out, "NULL");
    gr_str text = gr_arena_dup(arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

/* The end of a sum in another order, or the last bit of a conversion. */
static bool is_near(const diff_value *v, double other, double times) {
    double d = v->as.d, width = times * (v->tol + 1e-12 * fabs(d));
    return isinf(width) || fabs(d - other) <= width;
}

static bool cell_matches(const diff_value *v, const gr_cell *c, gr_arena *arena) {
    if (v->kind == DIFF_ANY) {
        double about;
        return v->tol == 0 || (gr_str_to_f64(c->text, &about) && fabs(about - v->as.d) <= v->tol);
    }
    bool is_null = v->kind == DIFF_NULL || (v->kind == DIFF_DOUBLE && !isfinite(v->as.d));
    if (is_null || c->is_null) return (is_null && c->is_null) || isinf(v->tol);
    if (c->is_bool != (v->kind == DIFF_BOOL)) return false;
    double d;
    if (v->kind == DIFF_DOUBLE) return gr_str_to_f64(c->text, &d) && is_near(v, d, 1);
    return gr_str_eq(value_text(v, arena), c->text);
}

/* `v` (or NULL) is the reference's idea of the cell. */
static bool cells_match(const gr_cell *a, const gr_cell *b, const diff_value *v) {
    if (a->is_null == b->is_null && a->is_bool == b->is_bool && (a->is_null || gr_str_eq(a->text, b->text)))
        return true;
    double x, y;
    if (!v || v->kind != DIFF_DOUBLE || a->is_null || b->is_null) return v && isinf(v->tol);
    if (!gr_str_to_f64(a->text, &x) || !gr_str_to_f64(b->text, &y)) return false;
    diff_value middle = *v;
    middle.as.d = x;
    return is_near(&middle, y, 2);
}

static int cmp_rows(const void *a, const void *b) { return gr_str_cmp(*(const gr_str *)a, *(const gr_str *)b); }

/* Rows as sorted texts, for answers without order. */
static gr_str *sorted_rows(const gr_cell *cells, const diff_value *values, size_t n_rows, size_t n_columns,
                           gr_arena *arena) {
    gr_str *rows = GR_NEW_N(arena, gr_str, n_rows + 1);
    for (size_t i = 0; i < n_rows; i++) {
        gr_str row = {0};
        for (size_t k = 0; k < n_columns; k++) {
            gr_str text = cells ? cell_text(&cells[i * n_columns + k]) : value_text(&values[i * n_columns + k], arena);
            double number;
            bool is_fraction = gr_str_find(text, '.', 0) != SIZE_MAX && gr_str_to_f64(text, &number);
            if ((diff_divides_integers || diff_is_clickhouse) && is_fraction)
                text = gr_arena_printf(arena, "%.10g", number); /* of two engines */
            row = gr_arena_printf(arena, GR_FMT "|" GR_FMT, GR_ARG(row), GR_ARG(text));
        }
        rows[i] = row;
    }
    qsort(rows, n_rows, sizeof *rows, cmp_rows);
    return rows;
}

static bool has_unknown(const diff_answer *r) {
    for (size_t i = 0; i < r->n_rows * r->n_columns; i++)
        if (r->cells[i].kind == DIFF_ANY || r->cells[i].kind == DIFF_DOUBLE) return true;
    return false;
}

static void judge_unordered(diff_case *c, const diff_run *with, gr_arena *arena) {
    const gr_table *on = with->table, *off = c->off.table;
    const diff_answer *r = &c->reference;
    if (on->n_rows != off->n_rows || off->n_rows != r->n_rows) {
        c->verdict = on->n_rows != off->n_rows ? DIFF_ON_OFF : DIFF_OFF_REFERENCE;
        c->detail = gr_arena_printf(arena, "%zu, %zu and %zu rows", on->n_rows, off->n_rows, r->n_rows);
        return;
    }
    gr_str *a = sorted_rows(on->cells, NULL, on->n_rows, on->n_columns, arena),
           *b = sorted_rows(off->cells, NULL, off->n_rows, off->n_columns, arena);
    gr_str *wanted = has_unknown(r) ? b : sorted_rows(NULL, r->cells, r->n_rows, r->n_columns, arena);
    for (size_t i = 0; i < r->n_rows; i++) {
        if (gr_str_eq(a[i], b[i]) && gr_str_eq(b[i], wanted[i])) continue;
        c->verdict = gr_str_eq(a[i], b[i]) ? DIFF_OFF_REFERENCE : DIFF_ON_OFF;
        c->detail = gr_arena_printf(arena, "sorted row %zu: on " GR_FMT " off " GR_FMT " reference " GR_FMT, i,
                                    GR_ARG(a[i]), GR_ARG(b[i]), GR_ARG(wanted[i]));
        return;
    }
}

static void judge_cells(diff_case *c, const diff_run *with, gr_arena *arena) {
    const gr_table *on = with->table, *off = c->off.table;
    const diff_answer *r = &c->reference;
    size_t n = r->n_columns;
    if (on->n_rows != off->n_rows) {
        c->verdict = DIFF_ON_OFF;
        c->detail = gr_arena_printf(arena, "%zu rows on, %zu rows off, %zu in the reference", on->n_rows, off->n_rows,
                                    r->n_rows);
        return;
    }
    for (size_t i = 0; i < on->n_rows * n; i++) {
        const diff_value *v = i < r->n_rows * n ? &r->cells[i] : NULL;
        if (cells_match(&on->cells[i], &off->cells[i], v)) continue;
        c->verdict = DIFF_ON_OFF;
        gr_str a = cell_text(&on->cells[i]), b = cell_text(&off->cells[i]);
        c->detail = gr_arena_printf(arena, "row %zu, column %zu: on " GR_FMT ", off " GR_FMT, i / n, i % n, GR_ARG(a),
                                    GR_ARG(b));
        return;
    }
    if (off->n_rows != r->n_rows) {
        c->verdict = DIFF_OFF_REFERENCE;
        c->detail = gr_arena_printf(arena, "%zu rows, %zu in the reference", off->n_rows, r->n_rows);
        return;
    }
    for (size_t i = 0; i < r->n_rows * n; i++) {
        if (cell_matches(&r->cells[i], &off->cells[i], arena)) continue;
        c->verdict = DIFF_OFF_REFERENCE;
        gr_str a = cell_text(&off->cells[i]), b = value_text(&r->cells[i], arena);
        c->detail = gr_arena_printf(arena, "row %zu, column %zu: answered " GR_FMT ", reference " GR_FMT, i / n, i % n,
                                    GR_ARG(a), GR_ARG(b));
        return;
    }
}

static bool are_totals_right(diff_case *c, const diff_run *with, gr_arena *arena) {
    if (with->total == -1 && c->off.total == -1) return true;
    if (with->total == c->off.total && c->off.total == (int64_t)c->reference.n_groups) return true;
    c->verdict = with->total == c->off.total ? DIFF_OFF_REFERENCE : DIFF_ON_OFF;
    c->detail = gr_arena_printf(arena, "totals: on %lld, off %lld, reference %zu", (long long)with->total,
                                (long long)c->off.total, c->reference.n_groups);
    return false;
}

/* SQL of the model that the engine has not, or sums that go beyond its integers. */
bool diff_may_not_be_said(gr_status status) {
    return diff_is_clickhouse && (status == GR_ERR_ENGINE_SQL || status == GR_ERR_ENGINE_DATA);
}

static bool may_engine_refuse(gr_status status) {
    return status == GR_OK || status == GR_ERR_PLAN_UNSUPPORTED || diff_may_not_be_said(status);
}

static void judge_errors(diff_case *c, const diff_run *with, gr_arena *arena) {
    gr_status wanted = c->reference.due;
    bool may_refuse = diff_is_clickhouse && (!wanted || (may_engine_refuse(wanted) && with->status && c->off.status));
    if (may_refuse && may_engine_refuse(with->status) && may_engine_refuse(c->off.status))
        c->verdict = DIFF_ENGINE_REFUSES;
    else if (!with->status && !c->off.status)
        c->verdict = DIFF_NOT_REFUSED;
    else if (with->status != c->off.status)
        c->verdict = DIFF_ON_ERROR;
    else
        c->verdict = with->status == wanted ? DIFF_REFUSED : DIFF_BOTH_ERROR;
    c->detail = gr_arena_printf(arena, "on: %s %s; off: %s %s; %s is due",
                                with->status ? gr_error_info_of(with->status)->id : "answered", with->err.message,
                                c->off.status ? gr_error_info_of(c->off.status)->id : "answered", c->off.err.message,
                                wanted ? gr_error_info_of(wanted)->id : "an answer");
}

static void judge_run(diff_case *c, const diff_run *with, gr_arena *arena) {
    if (with->status || c->off.status || c->reference.due) {
        judge_errors(c, with, arena);
    } else if (c->reference.is_unsure) {
        c->verdict = DIFF_UNSURE;
    } else if (are_totals_right(c, with, arena)) {
        if (c->reference.is_unordered)
            judge_unordered(c, with, arena);
        else
            judge_cells(c, with, arena);
    }
}

void diff_judge_answer(const diff_run *run, const diff_answer *due, gr_arena *arena, diff_case *ret) {
    *ret = (diff_case){.verdict = DIFF_SAME, .on = *run, .off = *run, .reference = *due};
    judge_run(ret, run, arena);
}

void diff_judge(diff_bench *bench, const diff_world *world, json_t *query, int64_t now_us, uint64_t seed,
                gr_arena *arena, diff_case *ret) {
    *ret = (diff_case){.verdict = DIFF_SAME};
    diff_bench_set_now(now_us);
    gr_query *parsed;
    gr_error err = {0};
    gr_status status = diff_bench_parse(bench, query, now_us, arena, &parsed, &err);
    if (status) {
        ret->verdict = DIFF_BOTH_ERROR;
        ret->on.status = ret->off.status = status;
        ret->detail = gr_arena_printf(arena, "parsing: %s %s", gr_error_info_of(status)->id, err.message);
        return;
    }
    diff_reference_answer(world, parsed, arena, &ret->reference);
    diff_bench_run(bench, query, now_us, DIFF_WITHOUT_ROLLUPS, 0, arena, &ret->off);
    diff_bench_run(bench, query, now_us, DIFF_WITH_ROLLUPS, 0, arena, &ret->on);
    judge_run(ret, &ret->on, arena);
    if (ret->verdict == DIFF_SAME && seed % 2 && !ret->reference.has_fan_out && !ret->reference.has_sub_query) {
        bool is_months = seed % 4 == 1;
        diff_law law = is_months ? DIFF_LAW_MONTHS : DIFF_LAW_PARTS;
        if (!diff_law_holds(bench, world, law, query, now_us, seed, arena, &ret->has_law, &ret->detail))
            ret->verdict = is_months ? DIFF_LAW_MONTHS_BROKEN : DIFF_LAW_PARTS_BROKEN;
    }
    if (ret->verdict != DIFF_SAME || seed % 3 || !ret->on.served_by.n) return;
    diff_bench_run(bench, query, now_us, DIFF_WITH_SOME, seed, arena, &ret->some);
    judge_run(ret, &ret->some, arena);
    if (ret->verdict != DIFF_SAME) ret->verdict = DIFF_SOME_OFF;
}

void diff_judge_alone(const diff_world *world, json_t *query, int64_t now_us, uint64_t seed, gr_arena *arena,
                      diff_case *ret) {
    diff_bench bench;
    gr_error err = {0};
    *ret = (diff_case){.verdict = DIFF_MODEL_ERROR};
    gr_status status = diff_bench_open(world, 1, 1, &bench, &err);
    if (!status) {
        status = diff_bench_use(&bench, world, &err);
        if (!status) diff_judge(&bench, world, query, now_us, seed, arena, ret);
        diff_bench_close(&bench);
    }
    if (status) ret->detail = gr_arena_printf(arena, "%s %s", gr_error_info_of(status)->id, err.message);
}

/* ---- for people -----------------------------------------------------------------------------------------------------
 */

static void print_table(const char *title, const diff_run *run) {
    printf("--- %s", title);
    if (run->served_by.n) printf(", served by " GR_FMT, GR_ARG(run->served_by));
    printf("\n" GR_FMT "\n", GR_ARG(run->sql));
    if (run->status) printf("%s: %s\n", gr_error_info_of(run->status)->id, run->err.message);
    for (size_t i = 0; run->table && i < run->table->n_rows; i++) {
        for (size_t k = 0; k < run->table->n_columns; k++)
            printf("%s" GR_FMT, k ? " | " : "", GR_ARG(cell_text(&run->table->cells[i * run->table->n_columns + k])));
        printf("\n");
    }
}

static void print_rows(const diff_world *world) {
    for (size_t i = 0; i < world->n_cubes; i++) {
        gr_buf out;
        gr_buf_init(&out, 16 << 20);
        diff_table_csv(world->cubes[i].table, &out);
        printf("--- rows of " GR_FMT " (" GR_FMT ")\n" GR_FMT, GR_ARG(world->cubes[i].table->name),
               GR_ARG(world->cubes[i].name), GR_ARG(gr_buf_str(&out)));
        gr_buf_done(&out);
    }
}

void diff_print_case(const diff_world *world, json_t *query, int64_t now_us, const diff_case *c, bool want_rows,
                     gr_arena *arena) {
    char *text = json_dumps(query, JSON_INDENT(1) | JSON_ENCODE_ANY);
    printf("%s: " GR_FMT "\n--- query, asked at %lld us\n%s\n", diff_verdict_text(c->verdict), GR_ARG(c->detail),
           (long long)now_us, text);
    free(text);
    if (want_rows) {
        printf("--- model\n" GR_FMT, GR_ARG(diff_world_yaml(world, arena)));
        print_rows(world);
    }
    print_table("rollups on", &c->on);
    if (c->some.sql.n) print_table("some rollups", &c->some);
    print_table("rollups off", &c->off);
    printf("--- reference\n");
    for (size_t i = 0; i < c->reference.n_rows; i++) {
        for (size_t k = 0; k < c->reference.n_columns; k++)
            printf("%s" GR_FMT, k ? " | " : "",
                   GR_ARG(value_text(&c->reference.cells[i * c->reference.n_columns + k], arena)));
        printf("\n");
    }
}
