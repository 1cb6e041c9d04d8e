/* The ring of events, webhooks' rules, and a receiver that is not there; and what is counted of queries. */
#include "base/clock.h"
#include "base/mem.h"
#include "data/json.h"
#include "serve/events.h"
#include "serve/stats.h"
#include "serve/webhook.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

enum { KEPT = 1024 };

static const gr_config quiet;

static void put_many(gr_serve_bus *bus, int n) {
    for (int i = 0; i < n; i++)
        gr_serve_bus_put(bus, GR_EVENT_BUILD_DONE, &(gr_event_fields){.has_rows = true, .rows = i});
}

static void test_ring(void **state) {
    (void)state;
    gr_serve_bus *bus = gr_serve_bus_new(&quiet);
    uint64_t cursor = gr_serve_bus_last(bus), missed = 9;
    assert_null(gr_serve_bus_next(bus, &cursor, &missed));
    put_many(bus, KEPT);
    for (int i = 0; i < KEPT; i++) {
        gr_serve_told *told = gr_serve_bus_next(bus, &cursor, &missed);
        assert_non_null(told);
        assert_int_equal(told->seq, i + 1);
        assert_int_equal(missed, 0);
        gr_serve_told_unref(told);
    }
    assert_null(gr_serve_bus_next(bus, &cursor, &missed));
    put_many(bus, KEPT + 7); /* seven have gone by unseen */
    gr_serve_told *told = gr_serve_bus_next(bus, &cursor, &missed);
    assert_int_equal(missed, 7);
    assert_int_equal(told->seq, KEPT + 8);
    uint64_t at = 0;
    assert_true(gr_serve_bus_seek(bus, gr_str_from(told->id), &at));
    assert_int_equal(at, told->seq);
    put_many(bus, KEPT); /* an event that is read stays whole when the ring goes on */
    assert_non_null(strstr(told->id, "-1032"));
    gr_serve_told_unref(told);
    assert_int_equal(gr_serve_bus_count(bus, GR_EVENT_BUILD_DONE), 3 * KEPT + 7);
    assert_int_equal(gr_serve_bus_count(bus, GR_EVENT_STALE), 0);
    gr_serve_bus_free(bus, 0);
}

static void test_seek(void **state) {
    (void)state;
    gr_serve_bus *bus = gr_serve_bus_new(&quiet), *other = gr_serve_bus_new(&quiet);
    uint64_t cursor = 0, missed;
    put_many(bus, 3);
    put_many(other, 3);
    gr_serve_told *told = gr_serve_bus_next(other, &cursor, &missed);
    const char *bad[] = {told->id, "", "1", "-1", "0123456789abcdef-1", "x"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        cursor = 77;
        assert_false(gr_serve_bus_seek(bus, gr_str_from(bad[i]), &cursor));
        assert_int_equal(cursor, 0);
    }
    char ahead[GR_EVENT_ID_MAX];
    snprintf(ahead, sizeof ahead, "%.16s-4", told->id);
    assert_false(gr_serve_bus_seek(other, gr_str_from(ahead), &cursor)); /* not told yet */
    gr_serve_told_unref(told);
    gr_serve_bus_free(bus, 0);
    gr_serve_bus_free(other, 0);
}

static void test_json(void **state) {
    (void)state;
    gr_serve_bus *bus = gr_serve_bus_new(&quiet);
    gr_arena *arena = gr_arena_new();
    uint64_t cursor = 0, missed;
    char *long_text = gr_mem_alloc(5000);
    for (size_t i = 0; i < 5000; i++) long_text[i] = i % 2 ? '\xA9' : '\xC3';
    long_text[0] = 'x'; /* so that the cut would be within a character, and the first one is not valid */
    gr_trace trace;
    gr_trace_begin((gr_str){0}, (gr_str){0}, &trace);
    gr_trace_enter(&trace);
    gr_serve_bus_put(bus, GR_EVENT_PARTITION_FAILED,
                     &(gr_event_fields){.pre_aggregation = GR_STR("orders.main"),
                                        .entity_id = 4,
                                        .zone = GR_STR("UTC"),
                                        .build_number = 7,
                                        .partition = GR_STR("2024-01-01"),
                                        .has_rows = true,
                                        .has_duration = true,
                                        .duration_ms = 12,
                                        .error = {long_text, 5000}});
    gr_trace_enter(NULL);
    gr_serve_bus_put(bus, GR_EVENT_MODEL_RELOADED, NULL);
    gr_serve_told *told = gr_serve_bus_next(bus, &cursor, &missed);
    json_t *json;
    gr_error err = {0};
    assert_int_equal(gr_json_parse((gr_str){told->json, told->n}, 100000, arena, &json, &err), GR_OK);
    assert_string_equal(json_string_value(json_object_get(json, "id")), told->id);
    assert_string_equal(json_string_value(json_object_get(json, "event")), "preagg.partition_failed");
    assert_string_equal(json_string_value(json_object_get(json, "pre_aggregation")), "orders.main");
    assert_string_equal(json_string_value(json_object_get(json, "partition")), "2024-01-01");
    assert_string_equal(json_string_value(json_object_get(json, "trace_id")), trace.trace_id);
    assert_int_equal(json_integer_value(json_object_get(json, "entity_id")), 4);
    assert_int_equal(json_integer_value(json_object_get(json, "build_number")), 7);
    assert_true(json_is_integer(json_object_get(json, "rows")));
    assert_int_equal(json_integer_value(json_object_get(json, "duration_ms")), 12);
    size_t n = json_string_length(json_object_get(json, "error"));
    assert_true(n > 4000 && n <= 4100); /* a byte that is no UTF-8 became three */
    assert_int_equal(strlen(json_string_value(json_object_get(json, "at"))), 24);
    gr_serve_told_unref(told);
    told = gr_serve_bus_next(bus, &cursor, &missed);
    assert_int_equal(gr_json_parse((gr_str){told->json, told->n}, 100000, arena, &json, &err), GR_OK);
    assert_int_equal(json_object_size(json), 3);
    gr_serve_told_unref(told);
    free(long_text);
    gr_arena_free(arena);
    gr_serve_bus_free(bus, 0);
}

static void test_rules(void **state) {
    (void)state;
    static const int64_t seconds[] = {1, 2, 4, 8, 16, 32, 60, 60};
    for (unsigned i = 0; i < 8; i++) {
        assert_int_equal(gr_serve_webhook_delay_us(i + 1, 0), seconds[i] * 800000);
        assert_int_equal(gr_serve_webhook_delay_us(i + 1, 500), seconds[i] * 1000000);
        assert_int_equal(gr_serve_webhook_delay_us(i + 1, 1000), seconds[i] * 1200000);
    }
    static const struct {
        long status;
        bool is_taken, may_retry;
    } cases[] = {{0, false, true},    {200, true, false},  {204, true, false},  {299, true, false}, {301, false, false},
                 {307, false, false}, {400, false, false}, {404, false, false}, {408, false, true}, {425, false, true},
                 {429, false, true},  {500, false, true},  {503, false, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(gr_serve_webhook_is_taken(cases[i].status), cases[i].is_taken);
        if (!cases[i].is_taken) assert_int_equal(gr_serve_webhook_may_retry(cases[i].status), cases[i].may_retry);
    }
    char text[GR_WEBHOOK_SIGNATURE]; /* RFC 4231, case 2 */
    gr_serve_webhook_sign(GR_STR("Jefe"), GR_STR("what do ya want for nothing?"), text);
    assert_string_equal(text, "sha256=5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

/* Nobody listens on port 1: events wait, the oldest are dropped, and the end does not wait for them. */
static void test_dead_receiver(void **state) {
    (void)state;
    gr_webhook_config hooks[2] = {
        {.url = {GR_STR("http://127.0.0.1:1/")}, .origin = GR_STR("http://127.0.0.1:1"), .events = ~0u},
        {.url = {GR_STR("http://127.0.0.1:1/")},
         .origin = GR_STR("http://127.0.0.1:1"),
         .events = 1u << GR_EVENT_STALE}};
    gr_config config = {.webhooks = hooks, .n_webhooks = 2};
    gr_serve_bus *bus = gr_serve_bus_new(&config);
    put_many(bus, 1);
    int64_t until = gr_clock_mono_us() + 10000000;
    while (!gr_serve_bus_webhook(bus, 0).retried && gr_clock_mono_us() < until)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    put_many(bus, GR_WEBHOOK_QUEUE + 5);
    gr_webhook_view view = gr_serve_bus_webhook(bus, 0), other = gr_serve_bus_webhook(bus, 1);
    assert_true(view.retried >= 1);
    assert_int_equal(view.waiting, GR_WEBHOOK_QUEUE);
    assert_int_equal(view.dropped, 5);
    assert_int_equal(view.delivered + view.lost, 0);
    assert_int_equal(other.waiting + other.dropped + other.retried, 0);
    int64_t started = gr_clock_mono_us();
    gr_serve_bus_free(bus, started + 5000000);
    assert_true(gr_clock_mono_us() - started < 3000000);
}

/* With seconds that are milliseconds: eight tries, then it is lost, and the next one has its turn. */
static void test_lost(void **state) {
    (void)state;
    gr_webhook_config one = {
        .url = {GR_STR("http://127.0.0.1:1/")}, .origin = GR_STR("http://127.0.0.1:1"), .events = ~0u};
    gr_config config = {.webhooks = &one, .n_webhooks = 1};
    gr_serve_hooks *hooks = gr_serve_hooks_new(&config, 1000);
    int64_t started = gr_clock_mono_us(), until = started + 20000000;
    for (unsigned i = 0; i < 2; i++) {
        gr_serve_told *told = gr_mem_calloc(1, sizeof *told + 2);
        atomic_init(&told->refs, 1);
        told->n = 2;
        memcpy(told->json, "{}", 2);
        gr_serve_hooks_put(hooks, told);
        gr_serve_told_unref(told);
    }
    while (gr_serve_hooks_look(hooks, 0).lost < 2 && gr_clock_mono_us() < until)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    gr_webhook_view view = gr_serve_hooks_look(hooks, 0);
    assert_int_equal(view.lost, 2);
    assert_int_equal(view.retried, 2 * (GR_WEBHOOK_TRIES - 1));
    assert_int_equal(view.delivered + view.dropped + view.waiting, 0);
    assert_true(gr_clock_mono_us() - started >= 2 * 98000); /* 1 + 2 + … + 60 less a fifth, in milliseconds */
    gr_serve_hooks_free(hooks, gr_clock_mono_us() + 5000000);
}

static void test_stats(void **state) {
    (void)state;
    static gr_serve_stats stats;
    gr_serve_stats_init(&stats);
    gr_rollup_state built = {.entity_id = 5}, beside = {.entity_id = 5 + GR_SERVE_HIT_SLOTS};
    gr_plan_use uses[] = {{.state = &built}, {.state = &beside}, {.state = NULL}};
    gr_refusal refusals[] = {{.rule = GR_RULE_RANGE}, {.rule = GR_RULE_RANGE}, {.rule = GR_RULE_NOT_BUILT}};
    gr_plan source = {.refusals = refusals, .n_refusals = 3, .reads_source = true};
    gr_plan both = {.uses = uses, .n_uses = 3, .reads_source = true}, rollup = {.uses = uses, .n_uses = 1};
    gr_serve_stats_answered(&stats, &source);
    gr_serve_stats_answered(&stats, &both);
    gr_serve_stats_answered(&stats, &rollup);
    assert_int_equal(stats.queries[GR_SERVE_BY_SOURCE], 1);
    assert_int_equal(stats.queries[GR_SERVE_BY_BOTH], 1);
    assert_int_equal(stats.queries[GR_SERVE_BY_ROLLUP], 1);
    assert_int_equal(stats.refusals[GR_RULE_RANGE], 2);
    assert_int_equal(stats.refusals[GR_RULE_NOT_BUILT], 1);
    assert_int_equal(gr_serve_stats_hits(&stats, 5), 2);
    assert_int_equal(gr_serve_stats_hits(&stats, 5 + GR_SERVE_HIT_SLOTS), 1); /* the same slot, the next one then */
    assert_int_equal(gr_serve_stats_hits(&stats, 6), 0);
    gr_serve_stats_built(&stats, true, 10000);
    gr_serve_stats_built(&stats, false, 10001);
    gr_serve_stats_built(&stats, true, INT64_C(7200000000));
    assert_int_equal(stats.builds_done, 2);
    assert_int_equal(stats.builds_failed, 1);
    assert_int_equal(stats.builds.counts[0], 1);
    assert_int_equal(stats.builds.counts[1], 1);
    assert_int_equal(stats.builds.counts[stats.builds.n_bounds], 1);
    assert_int_equal(stats.builds.sum_us, INT64_C(7200020001));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_ring),  cmocka_unit_test(test_seek),
                                       cmocka_unit_test(test_json),  cmocka_unit_test(test_rules),
                                       cmocka_unit_test(test_stats), cmocka_unit_test(test_dead_receiver),
                                       cmocka_unit_test(test_lost)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
