/* The turns of the scheduler; the picture is in scheduler.h. */
#include "refresh/scheduler.h"

#include "base/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ERROR_BYTES = 512 };
#define SECOND_US INT64_C(1000000)
#define FIRST_DELAY_US SECOND_US
#define MOST_DELAY_US (600 * SECOND_US)
#define UNBUILT_US (30 * SECOND_US) /* somebody may build it meanwhile: then its key counts */

typedef struct item {
    gr_scheduler_item decl;
    bool is_building;
    bool is_gone; /* kept until its build ends; it has no policy then */
    int64_t due_us, turn, looked_us, delay_us, n_failures;
    int64_t *asked_us; /* by part; owned */
    gr_str *values;    /* by part; owned, one by one */
    size_t n_parts;
    int64_t fingerprint_asked_us;
    char error[ERROR_BYTES];
} item;

struct gr_scheduler {
    gr_scheduler_ops ops;
    uint64_t random;
    item *items;
    size_t n, cap;
    int64_t turns, last_now_us;
};

/* ---- time ----------------------------------------------------------------------------------------------------------
 */

/* A clock that was set back leaves everybody the time that was left. */
static void note_time(gr_scheduler *s, int64_t now_us) {
    int64_t back = s->last_now_us == INT64_MIN ? 0 : s->last_now_us - now_us;
    s->last_now_us = now_us;
    if (back <= 0) return;
    for (size_t i = 0; i < s->n; i++) {
        item *it = &s->items[i];
        if (it->due_us != INT64_MAX) it->due_us -= back;
        if (it->fingerprint_asked_us != INT64_MIN) it->fingerprint_asked_us -= back;
        for (size_t k = 0; k < it->n_parts; k++)
            if (it->asked_us[k] != INT64_MIN) it->asked_us[k] -= back;
    }
}

/* ---- items ---------------------------------------------------------------------------------------------------------
 */

static void forget_values(item *it) {
    for (size_t i = 0; i < it->n_parts; i++) free((char *)(uintptr_t)it->values[i].p);
    free(it->values);
    free(it->asked_us);
    it->values = NULL;
    it->asked_us = NULL;
    it->n_parts = 0;
}

static void begin_values(item *it) {
    forget_values(it);
    it->n_parts = it->decl.policy->n_parts;
    it->asked_us = gr_mem_calloc(it->n_parts + 1, sizeof *it->asked_us);
    it->values = gr_mem_calloc(it->n_parts + 1, sizeof *it->values);
    for (size_t i = 0; i < it->n_parts; i++) it->asked_us[i] = INT64_MIN;
    it->fingerprint_asked_us = INT64_MIN;
}

gr_scheduler *gr_scheduler_new(gr_scheduler_ops ops, uint64_t seed) {
    gr_scheduler *s = gr_mem_calloc(1, sizeof *s);
    s->ops = ops;
    s->random = seed | 1;
    s->last_now_us = INT64_MIN;
    return s;
}

void gr_scheduler_free(gr_scheduler *s) {
    if (!s) return;
    for (size_t i = 0; i < s->n; i++) forget_values(&s->items[i]);
    free(s->items);
    free(s);
}

static item *find(const gr_scheduler *s, int64_t id) {
    size_t lo = 0, hi = s->n;
    while (lo < hi) {
        size_t mid = lo + (hi - lo) / 2;
        if (s->items[mid].decl.id < id)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo < s->n && s->items[lo].decl.id == id ? &s->items[lo] : NULL;
}

static int by_id(const void *a, const void *b) {
    const item *x = a, *y = b;
    return (x->decl.id > y->decl.id) - (x->decl.id < y->decl.id);
}

/* The parts of a key are the same when the policy says the same of them: else it is asked anew. */
static bool is_same_key(const gr_refresh_policy *a, const gr_refresh_policy *b) {
    if (!a || a->n_parts != b->n_parts || a->fingerprint != b->fingerprint) return false;
    for (size_t i = 0; i < a->n_parts; i++)
        if (a->parts[i].kind != b->parts[i].kind || a->parts[i].sql != b->parts[i].sql) return false;
    return true;
}

static bool is_same_schedule(const gr_schedule *a, const gr_schedule *b) {
    return a->is_cron == b->is_cron && a->tz == b->tz && gr_str_eq(a->text, b->text) &&
           a->every.seconds == b->every.seconds && a->every.months == b->every.months;
}

/* Of the same key: it is looked at when it was. */
static bool is_same_rhythm(const gr_refresh_policy *a, const gr_refresh_policy *b) {
    bool is_same = is_same_schedule(&a->check, &b->check) && a->is_incremental == b->is_incremental;
    for (size_t i = 0; i < a->n_parts && is_same; i++)
        is_same = is_same_schedule(&a->parts[i].schedule, &b->parts[i].schedule);
    return is_same;
}

static void add_item(gr_scheduler *s, const gr_scheduler_item *decl, int64_t now_us) {
    if (s->n == s->cap) {
        s->cap = s->cap ? 2 * s->cap : 64;
        s->items = gr_mem_realloc(s->items, s->cap * sizeof *s->items);
    }
    item *it = &s->items[s->n++];
    *it = (item){.decl = *decl, .due_us = now_us};
    begin_values(it);
}

static void change_item(item *it, const gr_scheduler_item *decl, int64_t now_us) {
    bool is_same = is_same_key(it->decl.policy, decl->policy);
    bool must_look = !is_same || !is_same_rhythm(it->decl.policy, decl->policy) ||
                     (decl->builds_first && !it->decl.builds_first) || (decl->is_built && !it->decl.is_built);
    it->is_gone = false;
    it->decl = *decl;
    if (!is_same) begin_values(it);
    if (must_look && it->due_us > now_us) it->due_us = now_us;
}

void gr_scheduler_set(gr_scheduler *s, const gr_scheduler_item *items, size_t n, int64_t now_us) {
    size_t n_old = s->n;
    note_time(s, now_us);
    for (size_t i = 0; i < n_old; i++) s->items[i].is_gone = true;
    for (size_t i = 0; i < n; i++) {
        item *it = NULL;
        size_t n_now = s->n;
        s->n = n_old; /* those before are in order */
        it = find(s, items[i].id);
        s->n = n_now;
        if (it)
            change_item(it, &items[i], now_us);
        else
            add_item(s, &items[i], now_us);
    }
    size_t kept = 0;
    for (size_t i = 0; i < s->n; i++) {
        item *it = &s->items[i];
        if (it->is_gone) forget_values(it);
        if (it->is_gone) it->decl.policy = NULL;
        if (!it->is_gone || it->is_building) s->items[kept++] = *it;
    }
    s->n = kept;
    if (s->n) qsort(s->items, s->n, sizeof *s->items, by_id);
}

/* ---- what comes next ------------------------------------------------------------------------------------------------
 */

/* 0.75 to 1.25 of it: those that failed together do not come back together. */
static int64_t jittered(gr_scheduler *s, int64_t us) {
    s->random ^= s->random << 13;
    s->random ^= s->random >> 7;
    s->random ^= s->random << 17;
    return us * 3 / 4 + (int64_t)(s->random % (uint64_t)(us / 2 + 1));
}

static void fail(gr_scheduler *s, item *it, const char *error, int64_t now_us) {
    it->n_failures++;
    it->delay_us = it->delay_us ? it->delay_us * 2 : FIRST_DELAY_US;
    if (it->delay_us > MOST_DELAY_US) it->delay_us = MOST_DELAY_US;
    it->due_us = now_us + jittered(s, it->delay_us);
    snprintf(it->error, sizeof it->error, "%s", error);
}

static void rest(item *it, int64_t now_us, int64_t look_again_us) {
    int64_t next = gr_refresh_next_us(it->decl.policy, now_us, it->asked_us, it->fingerprint_asked_us);
    if (look_again_us > now_us && look_again_us < next) next = look_again_us;
    it->due_us = next;
}

/* ---- one turn ------------------------------------------------------------------------------------------------------
 */

static gr_status ask_parts(gr_scheduler *s, item *it, int64_t now_us, gr_error *err) {
    for (size_t i = 0; i < it->n_parts; i++) {
        const gr_refresh_part *part = &it->decl.policy->parts[i];
        if (part->kind != GR_REFRESH_SQL) continue;
        if (gr_refresh_part_next_us(part, now_us, it->asked_us[i]) > now_us) continue;
        gr_arena *arena = gr_arena_new();
        gr_str value = {0};
        gr_status status = s->ops.ask(s->ops.arg, part, arena, &value, err);
        if (!status) {
            free((char *)(uintptr_t)it->values[i].p);
            it->values[i] = (gr_str){0};
            if (value.p) {
                char *copy = gr_mem_alloc(value.n + 1);
                memcpy(copy, value.p, value.n);
                copy[value.n] = 0;
                it->values[i] = (gr_str){copy, value.n};
            }
            it->asked_us[i] = now_us;
        }
        gr_arena_free(arena);
        GR_TRY(status);
    }
    return GR_OK;
}

static void turn(gr_scheduler *s, item *it, int64_t now_us) {
    gr_error err = {0};
    gr_scheduler_due due = {.look_again_us = INT64_MAX};
    int64_t id = it->decl.id;
    it->turn = ++s->turns;
    it->looked_us = now_us;
    gr_status status = ask_parts(s, it, now_us, &err);
    if (!status) status = s->ops.look(s->ops.arg, id, it->decl.policy, it->values, &due, &err);
    if (status) {
        fail(s, it, err.message, now_us);
        return;
    }
    bool checks = it->decl.policy->fingerprint != GR_FINGERPRINT_NONE &&
                  gr_refresh_fingerprint_next_us(it->decl.policy, now_us, it->fingerprint_asked_us) <= now_us;
    bool is_due = due.is_built ? due.n_stale || due.n_missing || checks : it->decl.builds_first;
    if (!is_due) {
        it->delay_us = it->n_failures = 0;
        it->error[0] = 0;
        rest(it, now_us, due.look_again_us);
        if (!due.is_built && it->due_us > now_us + UNBUILT_US) it->due_us = now_us + UNBUILT_US;
        return;
    }
    if (checks) it->fingerprint_asked_us = now_us;
    rest(it, now_us, due.look_again_us); /* as it will be when it is done */
    it->is_building = true;
    s->ops.build(s->ops.arg, id, checks);
}

bool gr_scheduler_step(gr_scheduler *s, int64_t now_us) {
    item *first = NULL;
    note_time(s, now_us);
    for (size_t i = 0; i < s->n; i++) {
        item *it = &s->items[i];
        if (it->is_building || it->due_us > now_us) continue;
        if (!first || it->turn < first->turn) first = it;
    }
    if (!first) return false;
    turn(s, first, now_us);
    return true;
}

void gr_scheduler_built(gr_scheduler *s, int64_t id, const char *error, int64_t now_us) {
    item *it = find(s, id);
    note_time(s, now_us);
    if (!it || !it->is_building) return;
    it->is_building = false;
    if (it->is_gone) {
        *it = s->items[--s->n];
        if (s->n) qsort(s->items, s->n, sizeof *s->items, by_id);
        return;
    }
    if (error) {
        it->fingerprint_asked_us = INT64_MIN; /* it was not compared */
        fail(s, it, error, now_us);
        return;
    }
    it->delay_us = it->n_failures = 0;
    it->error[0] = 0;
}

int64_t gr_scheduler_next_us(const gr_scheduler *s) {
    int64_t next = INT64_MAX;
    for (size_t i = 0; i < s->n; i++)
        if (!s->items[i].is_building && s->items[i].due_us < next) next = s->items[i].due_us;
    return next;
}

void gr_scheduler_hurry(gr_scheduler *s, int64_t id, int64_t now_us) {
    note_time(s, now_us);
    for (size_t i = 0; i < s->n; i++) {
        item *it = &s->items[i];
        if (id && it->decl.id != id) continue;
        if (it->due_us > now_us) it->due_us = now_us;
        for (size_t k = 0; k < it->n_parts; k++) it->asked_us[k] = INT64_MIN;
        it->fingerprint_asked_us = INT64_MIN;
    }
}

bool gr_scheduler_look(const gr_scheduler *s, int64_t id, gr_scheduler_view *ret) {
    const item *it = find(s, id);
    if (!it || it->is_gone) return false;
    *ret = (gr_scheduler_view){it->is_building, it->due_us, it->looked_us, it->n_failures, gr_str_from(it->error)};
    return true;
}
