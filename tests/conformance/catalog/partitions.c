/* Partitions: named before they are made, taken over when their build failed, shared tables, what a version has, and
 * which tables nobody has any more. */
#include "conformance/catalog/suite.h"

enum { DAY = 86400 };

static int64_t with_orders(fixture *f, gr_build_plan *ret_plan) {
    gr_preagg_decl *d = gr_arena_alloc(f->arena, sizeof *d);
    *d = decl_of(f->arena, "orders", "g1", "b", "a=1", "orders.main");
    *ret_plan = plan_of(d);
    return declared(f, "c", d, 1).id;
}

static int64_t started(fixture *f, int64_t id, const gr_build_plan *plan, int64_t at_us) {
    int64_t build, number;
    assert_ok(f, gr_catalog_build_begin(f->catalog, id, plan, at(at_us), &build, &number, &f->err));
    return build;
}

/* Days `first` to `first + n - 1` in one table. */
static void made(fixture *f, int64_t build, const gr_build_plan *plan, int64_t first, size_t n, const char *table,
                 int64_t *ret_ids) {
    gr_partition_row *rows = GR_NEW_N(f->arena, gr_partition_row, n);
    for (size_t i = 0; i < n; i++)
        rows[i] = (gr_partition_row){.from_us = (first + (int64_t)i) * DAY,
                                     .to_us = (first + (int64_t)i + 1) * DAY,
                                     .table_name = gr_str_from(table),
                                     .table_parts = (int64_t)n,
                                     .structure_hash = plan->structure_hash,
                                     .refresh_value = GR_STR("v1"),
                                     .fingerprint = GR_STR("7:8")};
    assert_ok(f, gr_catalog_partitions_begin(f->catalog, build, rows, n, ret_ids, &f->err));
    for (size_t i = 0; i < n; i++) {
        rows[i].id = ret_ids[i];
        rows[i].rows = 10 * (first + (int64_t)i);
        rows[i].bytes = 8;
        rows[i].checksum = GR_STR("99");
        rows[i].built_us = 500;
        rows[i].verified_us = 501;
    }
    assert_ok(f, gr_catalog_partitions_made(f->catalog, build, rows, n, &f->err));
}

static size_t published(fixture *f, int64_t build, gr_build_made made, gr_doomed_table **ret_old) {
    size_t n_old;
    assert_ok(f, gr_catalog_build_publish(f->catalog, build, &made, at(600), f->arena, ret_old, &n_old, &f->err));
    return n_old;
}

/* "first day:table:rows" of each, in the order of the catalog. */
static const char *shown(fixture *f, const gr_partition_row *rows, size_t n) {
    gr_str text = GR_STR("");
    for (size_t i = 0; i < n; i++)
        text = gr_arena_printf(f->arena, GR_FMT "%s%lld:" GR_FMT ":%lld%s", GR_ARG(text), i ? " " : "",
                               (long long)(rows[i].from_us / DAY), GR_ARG(rows[i].table_name), (long long)rows[i].rows,
                               rows[i].since ? "" : " (made)");
    return gr_arena_printf(f->arena, GR_FMT, GR_ARG(text)).p;
}

static const char *listed(fixture *f, int64_t preagg_id, int64_t after_id) {
    gr_partition_row *rows;
    size_t n;
    assert_ok(f, after_id ? gr_catalog_partitions_after(f->catalog, preagg_id, after_id, f->arena, &rows, &n, &f->err)
                          : gr_catalog_partitions(f->catalog, preagg_id, f->arena, &rows, &n, &f->err));
    return shown(f, rows, n);
}

static void a_version_has_what_was_added_and_what_goes_on(fixture *f) {
    gr_build_plan plan;
    gr_doomed_table *old;
    int64_t id = with_orders(f, &plan), build = started(f, id, &plan, 1), ids[8];
    assert_string_equal(listed(f, id, 0), "");
    made(f, build, &plan, 5, 1, "t5", ids);
    made(f, build, &plan, 1, 3, "t1", ids + 1);
    assert_string_equal(listed(f, id, 0), "1:t1:10 (made) 2:t1:20 (made) 3:t1:30 (made) 5:t5:50 (made)");
    assert_int_equal(published(f, build, (gr_build_made){.added = ids, .n_added = 4}, &old), 0);
    assert_string_equal(listed(f, id, 0), "1:t1:10 2:t1:20 3:t1:30 5:t5:50");

    /* day 2 anew; its old row ends, and its table stays, for days 1 and 3 are in it */
    build = started(f, id, &plan, 2);
    made(f, build, &plan, 2, 1, "t2", ids + 4);
    assert_string_equal(listed(f, id, ids[3]), "2:t2:20 (made)"); /* what came after what was known */
    assert_int_equal(
        published(f, build, (gr_build_made){.added = ids + 4, .n_added = 1, .ended = ids + 2, .n_ended = 1}, &old), 0);
    assert_string_equal(listed(f, id, 0), "1:t1:10 2:t2:20 3:t1:30 5:t5:50");

    /* days 1 and 3 anew: nobody has t1 any more */
    build = started(f, id, &plan, 3);
    made(f, build, &plan, 1, 1, "u1", ids + 5);
    made(f, build, &plan, 3, 1, "u3", ids + 6);
    const int64_t ended[] = {ids[1], ids[3]};
    assert_int_equal(
        published(f, build, (gr_build_made){.added = ids + 5, .n_added = 2, .ended = ended, .n_ended = 2}, &old), 1);
    assert_str(old[0].table_name, "t1");
    assert_string_equal(listed(f, id, 0), "1:u1:10 2:t2:20 3:u3:30 5:t5:50");
    assert_string_equal(listed(f, 0, 0), listed(f, id, 0));
}

static void what_a_failed_build_made_is_there_for_the_next_one(fixture *f) {
    gr_build_plan plan;
    gr_doomed_table *old;
    int64_t id = with_orders(f, &plan), build = started(f, id, &plan, 1), ids[2];
    made(f, build, &plan, 1, 1, "t1", ids);
    assert_ok(f, gr_catalog_build_failed(f->catalog, build, GR_STR("the disk is full"), at(2), &f->err));
    assert_string_equal(listed(f, id, 0), "1:t1:10 (made)");
    build = started(f, id, &plan, 3);
    made(f, build, &plan, 2, 1, "t2", ids + 1);
    assert_int_equal(published(f, build, (gr_build_made){.added = ids, .n_added = 2}, &old), 0);
    assert_string_equal(listed(f, id, 0), "1:t1:10 2:t2:20");
}

static void what_was_made_and_is_not_added_goes(fixture *f) {
    gr_build_plan plan;
    gr_doomed_table *old;
    int64_t id = with_orders(f, &plan), build = started(f, id, &plan, 1), ids[2];
    made(f, build, &plan, 1, 1, "t1", ids);
    made(f, build, &plan, 2, 1, "t2", ids + 1);
    assert_int_equal(published(f, build, (gr_build_made){.added = ids + 1, .n_added = 1}, &old), 1);
    assert_str(old[0].table_name, "t1");
    assert_string_equal(listed(f, id, 0), "2:t2:20");
}

static void what_is_found_out_is_kept(fixture *f) {
    gr_build_plan plan;
    gr_doomed_table *old;
    gr_partition_row *rows;
    size_t n;
    int64_t id = with_orders(f, &plan), build = started(f, id, &plan, 1), ids[2];
    made(f, build, &plan, 1, 2, "t", ids);
    published(f, build, (gr_build_made){.added = ids, .n_added = 2}, &old);
    assert_ok(f, gr_catalog_partitions_judge(f->catalog, ids + 1, 1, GR_STR("count 1, not 2"), at(700), &f->err));
    assert_ok(f, gr_catalog_partitions_judge(f->catalog, ids, 1, GR_STR(""), at(800), &f->err));
    const gr_partition_row note = {.id = ids[0], .refresh_value = GR_STR("v2"), .fingerprint = GR_STR("9:9")};
    assert_ok(f, gr_catalog_partitions_note(f->catalog, &note, 1, &f->err));
    assert_ok(f, gr_catalog_partitions(f->catalog, id, f->arena, &rows, &n, &f->err));
    assert_int_equal(n, 2);
    assert_str(rows[0].quarantine, "");
    assert_int_equal(rows[0].verified_us, 800);
    assert_str(rows[0].refresh_value, "v2");
    assert_str(rows[0].fingerprint, "9:9");
    assert_int_equal(rows[0].built_us, 500);
    assert_str(rows[0].checksum, "99");
    assert_str(rows[1].quarantine, "count 1, not 2");
    assert_str(rows[1].refresh_value, "v1");
}

static void another_structure_ends_them_all(fixture *f) {
    gr_build_plan plan;
    gr_doomed_table *old;
    int64_t id = with_orders(f, &plan), build = started(f, id, &plan, 1), ids[2];
    made(f, build, &plan, 1, 1, "t1", ids);
    published(f, build, (gr_build_made){.added = ids, .n_added = 1}, &old);
    plan.structure_hash = GR_STR("another");
    build = started(f, id, &plan, 2);
    made(f, build, &plan, 2, 1, "n2", ids + 1);
    assert_int_equal(published(f, build, (gr_build_made){.added = ids + 1, .n_added = 1}, &old), 1);
    assert_str(old[0].table_name, "t1");
    assert_string_equal(listed(f, id, 0), "2:n2:20");
}

static void a_build_that_is_over_makes_nothing(fixture *f) {
    gr_build_plan plan;
    int64_t id = with_orders(f, &plan), build = started(f, id, &plan, 1), row_id;
    const gr_partition_row row = {
        .to_us = DAY, .table_name = GR_STR("late"), .table_parts = 1, .structure_hash = plan.structure_hash};
    assert_ok(f, gr_catalog_build_failed(f->catalog, build, GR_STR("its lease was lost"), at(2), &f->err));
    assert_int_equal(gr_catalog_partitions_begin(f->catalog, build, &row, 1, &row_id, &f->err), GR_ERR_PREAGG_BUILD);
    assert_string_equal(listed(f, id, 0), "");
}

/* ---- readers -------------------------------------------------------------------------------------------------------
 */

/* What is read, in a number: of the rows, or by the database itself. */
static int64_t sum_of(const gr_partition_row *rows, size_t n) {
    int64_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += rows[i].id * 7 + rows[i].since * 100003 + rows[i].rows * 31 + rows[i].verified_us * 13 +
               (int64_t)(rows[i].quarantine.n * 17 + rows[i].refresh_value.n * 11 + rows[i].table_name.n * 5);
    return sum;
}
#define SUM_OF                                                                                                         \
    "SELECT coalesce(sum(id * 7 + coalesce(since_number, 0) * 100003 + row_count * 31 + coalesce(verified_at, 0) * 13" \
    " + length(quarantine) * 17 + length(refresh_value) * 11 + length(table_name) * 5), 0) FROM partitions"            \
    " WHERE built_at IS NOT NULL AND until_number IS NULL"

static void check_reader(fixture *f, gr_catalog *reader, int64_t id) {
    gr_partition_row *rows;
    size_t n;
    gr_str sql = gr_arena_printf(f->arena, SUM_OF "%s", "");
    if (id) sql = gr_arena_printf(f->arena, SUM_OF " AND preagg_id = %lld", (long long)id);
    assert_ok(f, gr_catalog_partitions(reader, id, f->arena, &rows, &n, &f->err));
    assert_int_equal(sum_of(rows, n), raw_i64(f, sql.p));
    for (size_t i = 1; i < n; i++) {
        const gr_partition_row *a = &rows[i - 1], *b = &rows[i];
        if (a->preagg_id == b->preagg_id)
            assert_true(a->from_us < b->from_us || (a->from_us == b->from_us && a->id < b->id));
        else
            assert_true(a->preagg_id < b->preagg_id);
    }
}

typedef struct crowd {
    gr_build_plan plans[12];
    int64_t ids[12];
    int64_t step;
} crowd;

enum { CROWD = 12 }; /* more than are read one by one */

static void build_some(fixture *f, gr_catalog *writer, crowd *c, size_t which, uint64_t dice) {
    int64_t build, number, day = (int64_t)(dice / 8 % 30), ids[8];
    gr_catalog *own = f->catalog;
    gr_doomed_table *old;
    gr_partition_row *rows;
    size_t n, n_ended = 0, n_made = 1 + dice % 8;
    assert_ok(f,
              gr_catalog_build_begin(writer, c->ids[which], &c->plans[which], at(c->step), &build, &number, &f->err));
    f->catalog = writer;
    made(f, build, &c->plans[which], day, n_made, gr_arena_printf(f->arena, "t%lld", (long long)c->step).p, ids);
    f->catalog = own;
    if (dice / 256 % 5 == 0) { /* what it made waits for the next one */
        assert_ok(f, gr_catalog_build_failed(writer, build, GR_STR("broken"), at(c->step), &f->err));
        return;
    }
    assert_ok(f, gr_catalog_partitions(writer, c->ids[which], f->arena, &rows, &n, &f->err));
    int64_t *ended = GR_NEW_N(f->arena, int64_t, n + 1);
    for (size_t i = 0; i < n; i++)
        if (rows[i].since && rows[i].from_us >= day * DAY && rows[i].from_us < (day + (int64_t)n_made) * DAY)
            ended[n_ended++] = rows[i].id;
    const gr_build_made what = {.added = ids, .n_added = n_made, .ended = ended, .n_ended = n_ended};
    assert_ok(f, gr_catalog_build_publish(writer, build, &what, at(600), f->arena, &old, &n, &f->err));
}

static void judge_some(fixture *f, gr_catalog *writer, uint64_t dice) {
    gr_partition_row *rows;
    size_t n, n_some = 0;
    int64_t ids[200];
    assert_ok(f, gr_catalog_partitions(writer, 0, f->arena, &rows, &n, &f->err));
    for (size_t i = dice % 7; i < n && n_some < 200; i += 1 + dice % 5) ids[n_some++] = rows[i].id;
    if (dice / 64 % 2) {
        assert_ok(f, gr_catalog_partitions_judge(writer, ids, n_some, dice / 128 % 2 ? GR_STR("wrong") : GR_STR(""),
                                                 at((int64_t)(dice % 1000)), &f->err));
        return;
    }
    gr_partition_row *notes = GR_NEW_N(f->arena, gr_partition_row, n_some + 1);
    for (size_t i = 0; i < n_some; i++)
        notes[i] = (gr_partition_row){.id = ids[i], .refresh_value = dice / 128 % 2 ? GR_STR("v22") : GR_STR("v333")};
    assert_ok(f, gr_catalog_partitions_note(writer, notes, n_some, &f->err));
}

/* Two servers write, and both and a newcomer see at every moment what is there. */
static void readers_see_every_change(fixture *f) {
    crowd c = {.step = 0};
    gr_preagg_decl d[CROWD];
    const gr_node_decl node = node_of("orders", "c", "m");
    gr_catalog *beside = second(f);
    for (size_t i = 0; i < CROWD; i++)
        d[i] = decl_of(f->arena, "orders", gr_arena_printf(f->arena, "g%zu", i).p, "b", "a=1", "");
    gr_preagg_row *entities = declared_by(f, f->catalog, &node, 1, d, CROWD, 1);
    uint64_t state = 42;
    for (size_t i = 0; i < CROWD; i++) {
        c.ids[i] = entities[i].id;
        c.plans[i] = plan_of(&d[i]);
    }
    for (c.step = 1; c.step < 400; c.step++) {
        state = state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        uint64_t dice = state >> 20;
        size_t which = c.step <= CROWD ? (size_t)c.step - 1 : dice / 4096 % CROWD;
        gr_catalog *writer = dice / 65536 % 2 ? beside : f->catalog;
        gr_doomed_table *tables;
        size_t n;
        if (c.step > CROWD && dice / 131072 % 3 == 0)
            judge_some(f, writer, dice);
        else if (c.step > CROWD && dice / 131072 % 40 == 1)
            assert_ok(f, gr_catalog_drop_builds(writer, c.ids[which], at(c.step), f->arena, &tables, &n, &f->err));
        else
            build_some(f, writer, &c, which, dice);
        check_reader(f, f->catalog, c.step % 3 ? c.ids[which] : 0);
        check_reader(f, beside, c.step % 2 ? c.ids[which] : 0);
        if (c.step % 50 == 0) {
            fixture_reopen(f); /* the second handle stays */
            check_reader(f, f->catalog, 0);
        }
    }
    assert_true(raw_i64(f, "SELECT count(*) FROM partitions WHERE until_number IS NULL") > 100);
}

SUITE(suite_partitions, CASE(readers_see_every_change), CASE(a_version_has_what_was_added_and_what_goes_on),
      CASE(what_a_failed_build_made_is_there_for_the_next_one), CASE(what_was_made_and_is_not_added_goes),
      CASE(what_is_found_out_is_kept), CASE(another_structure_ends_them_all), CASE(a_build_that_is_over_makes_nothing))
