/* One thread sends to all webhooks: libcurl's multi interface runs one transfer for each of them at a time, so that a
 * slow or dead receiver holds up nobody else, and each gets its events in order.
 *
 *   put ──> queue of the hook ──> now ──2xx──> next
 *                                  ^  └──> wait 1, 2, 4 … 60 s ──┐
 *                                  └─────────────────────────────┘  8 tries, then it is lost
 *
 * Invariants: the queue, its counts and is_stopping are guarded by the lock; `now` and the transfer are the thread's
 * alone. A url is given to libcurl and to nobody else: logs say the origin. */
#include "serve/webhook.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#include <curl/curl.h>
#include <openssl/hmac.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

enum { TIMEOUT_MS = 10000, MAX_DELAY_S = 60, IDLE_MS = 60000 };

typedef struct hook {
    const gr_webhook_config *config;
    gr_serve_told *queue[GR_WEBHOOK_QUEUE];
    size_t first, n;
    gr_serve_told *now; /* being sent, or waiting for its next try */
    unsigned tries;
    int64_t next_us;
    bool is_active;
    CURL *easy;
    struct curl_slist *headers;
    uint64_t delivered, retried, lost, dropped;
} hook;

struct gr_serve_hooks {
    hook *v;
    size_t n;
    pthread_mutex_t lock;
    pthread_t thread;
    bool is_running, is_stopping;
    int64_t until_us, second_us;
    CURLM *multi;
};

/* ---- rules ----------------------------------------------------------------------------------- */
int64_t gr_serve_webhook_delay_us(unsigned tries, uint32_t random) {
    int64_t s = tries < 7 ? INT64_C(1) << (tries ? tries - 1 : 0) : MAX_DELAY_S;
    return s * 800000 + s * 400000 * (int64_t)(random % 1001) / 1000;
}

bool gr_serve_webhook_is_taken(long status) { return status >= 200 && status < 300; }

bool gr_serve_webhook_may_retry(long status) {
    return status == 0 || status == 408 || status == 425 || status == 429 || status >= 500;
}

void gr_serve_webhook_sign(gr_str secret, gr_str body, char out[GR_WEBHOOK_SIGNATURE]) {
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    HMAC(EVP_sha256(), secret.p, (int)secret.n, (const unsigned char *)body.p, body.n, digest, &n);
    int at = snprintf(out, GR_WEBHOOK_SIGNATURE, "sha256=");
    for (unsigned i = 0; i < n && at < GR_WEBHOOK_SIGNATURE - 2; i++, at += 2) snprintf(out + at, 3, "%02x", digest[i]);
}

static uint32_t random_u32(void) {
    char hex[9];
    gr_random_hex(4, hex);
    return (uint32_t)strtoul(hex, NULL, 16);
}

/* ---- one transfer ---------------------------------------------------------------------------- */
static size_t ignore_body(char *p, size_t size, size_t n, void *arg) {
    (void)p;
    (void)arg;
    return size * n;
}

static void add_header(hook *h, const char *name, const char *value) {
    char line[GR_TRACE_STATE_MAX + 64];
    snprintf(line, sizeof line, "%s: %s", name, value);
    struct curl_slist *more = curl_slist_append(h->headers, line);
    if (more) h->headers = more;
}

static void make_headers(hook *h) {
    const gr_serve_told *told = h->now;
    add_header(h, "Content-Type", "application/json");
    add_header(h, "X-Granary-Event", gr_event_name(told->kind).p);
    add_header(h, "X-Granary-Delivery", told->id);
    gr_str secret = h->config->secret.value;
    if (secret.n) {
        char signature[GR_WEBHOOK_SIGNATURE];
        gr_serve_webhook_sign(secret, (gr_str){told->json, told->n}, signature);
        add_header(h, "X-Granary-Signature", signature);
    }
    if (!told->trace.trace_id[0]) return;
    char text[GR_TRACE_TEXT];
    gr_trace span = gr_trace_child(&told->trace);
    gr_trace_write(&span, text);
    add_header(h, "traceparent", text);
    if (span.state[0]) add_header(h, "tracestate", span.state);
}

/* False when libcurl has no memory for it. */
static bool start(gr_serve_hooks *hooks, hook *h) {
    if (!h->easy) h->easy = curl_easy_init();
    if (!h->easy) return false;
    make_headers(h);
    curl_easy_reset(h->easy);
    curl_easy_setopt(h->easy, CURLOPT_URL, h->config->url.value.p);
    curl_easy_setopt(h->easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(h->easy, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(h->easy, CURLOPT_POST, 1L);
    curl_easy_setopt(h->easy, CURLOPT_POSTFIELDS, (const char *)h->now->json);
    curl_easy_setopt(h->easy, CURLOPT_POSTFIELDSIZE, (long)h->now->n);
    curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, h->headers);
    curl_easy_setopt(h->easy, CURLOPT_USERAGENT, "granary");
    curl_easy_setopt(h->easy, CURLOPT_WRITEFUNCTION, ignore_body);
    curl_easy_setopt(h->easy, CURLOPT_TIMEOUT_MS, (long)TIMEOUT_MS);
    curl_easy_setopt(h->easy, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(h->easy, CURLOPT_PRIVATE, h);
    h->is_active = curl_multi_add_handle(hooks->multi, h->easy) == CURLM_OK;
    return h->is_active;
}

static void end_transfer(gr_serve_hooks *hooks, hook *h) {
    if (h->is_active) curl_multi_remove_handle(hooks->multi, h->easy);
    h->is_active = false;
    curl_slist_free_all(h->headers);
    h->headers = NULL;
}

static void say(gr_serve_hooks *hooks, const hook *h, const char *event, long status, const char *why) {
    gr_log_event(GR_LOG_WARN, event, "webhook", gr_log_i64(h - hooks->v), "url", h->config->origin, "id",
                 gr_str_from(h->now->id), "kind", gr_event_name(h->now->kind), "tries", gr_log_i64(h->tries), "status",
                 gr_log_i64(status), "why", gr_str_from(why), NULL);
}

/* Under the lock: the events that nobody will send any more. */
static void drop_all(hook *h) {
    for (; h->n; h->n--) {
        gr_serve_told_unref(h->queue[h->first]);
        h->first = (h->first + 1) % GR_WEBHOOK_QUEUE;
        h->dropped++;
    }
}

static void forget_now(hook *h) {
    gr_serve_told_unref(h->now);
    h->now = NULL;
    h->tries = 0;
}

/* `status` 0: no answer, for the reason `why`. */
static void settle(gr_serve_hooks *hooks, hook *h, long status, const char *why) {
    end_transfer(hooks, h);
    h->tries++;
    bool is_taken = gr_serve_webhook_is_taken(status);
    pthread_mutex_lock(&hooks->lock);
    bool is_stopping = hooks->is_stopping;
    bool is_again = !is_taken && gr_serve_webhook_may_retry(status) && h->tries < GR_WEBHOOK_TRIES && !is_stopping;
    if (is_taken) h->delivered++;
    if (is_again) h->retried++;
    if (!is_taken && !is_again) h->lost++;
    if (!is_taken && is_stopping) drop_all(h); /* there is no time to wait for it */
    pthread_mutex_unlock(&hooks->lock);
    if (!is_taken && !is_again) say(hooks, h, "webhook.lost", status, why);
    if (is_again && h->tries == 1) say(hooks, h, "webhook.failed", status, why);
    if (is_again)
        h->next_us =
            gr_clock_mono_us() + gr_serve_webhook_delay_us(h->tries, random_u32()) * hooks->second_us / 1000000;
    else
        forget_now(h);
}

/* ---- the thread ------------------------------------------------------------------------------ */
/* Under the lock. */
static void take_next(hook *h) {
    if (h->now || !h->n) return;
    h->now = h->queue[h->first];
    h->first = (h->first + 1) % GR_WEBHOOK_QUEUE;
    h->n--;
    h->tries = 0;
    h->next_us = 0;
}

/* Starts what is due. Milliseconds until something else is; below 0: stopping, and nothing is left to do. */
static int start_due(gr_serve_hooks *hooks) {
    int64_t now = gr_clock_mono_us(), wait_us = IDLE_MS * INT64_C(1000);
    pthread_mutex_lock(&hooks->lock);
    bool is_stopping = hooks->is_stopping;
    int64_t left_us = hooks->until_us - now;
    for (size_t i = 0; i < hooks->n; i++) take_next(&hooks->v[i]);
    pthread_mutex_unlock(&hooks->lock);
    bool is_idle = true;
    for (size_t i = 0; i < hooks->n; i++) {
        hook *h = &hooks->v[i];
        if (h->now && !h->is_active && (is_stopping || h->next_us <= now) && !start(hooks, h))
            settle(hooks, h, 0, "out of memory");
        if (h->now && !h->is_active && h->next_us - now < wait_us) wait_us = h->next_us - now;
        is_idle &= !h->now;
    }
    if (is_stopping && (is_idle || left_us <= 0)) return -1;
    if (is_stopping && left_us < wait_us) wait_us = left_us;
    return wait_us < 1000 ? 1 : (int)(wait_us / 1000);
}

/* True when a transfer ended: there may be something to start. */
static bool collect(gr_serve_hooks *hooks) {
    const CURLMsg *message;
    int left;
    bool is_any = false;
    while ((message = curl_multi_info_read(hooks->multi, &left))) {
        if (message->msg != CURLMSG_DONE) continue;
        CURLcode code = message->data.result;
        void *owner = NULL;
        long status = 0;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&owner);
        if (code == CURLE_OK) curl_easy_getinfo(message->easy_handle, CURLINFO_RESPONSE_CODE, &status);
        settle(hooks, owner, status, code == CURLE_OK ? "the answer is not 2xx" : curl_easy_strerror(code));
        is_any = true;
    }
    return is_any;
}

static void *run(void *arg) {
    gr_serve_hooks *hooks = arg;
    for (;;) {
        int running, wait_ms = start_due(hooks);
        if (wait_ms < 0) break;
        curl_multi_perform(hooks->multi, &running);
        if (!collect(hooks)) curl_multi_poll(hooks->multi, NULL, 0, wait_ms, NULL);
    }
    for (size_t i = 0; i < hooks->n; i++) {
        hook *h = &hooks->v[i];
        end_transfer(hooks, h);
        if (h->now) say(hooks, h, "webhook.lost", 0, "the server stopped");
        forget_now(h);
        if (h->easy) curl_easy_cleanup(h->easy);
    }
    return NULL;
}

/* Under the lock. */
static bool is_started(gr_serve_hooks *hooks) {
    if (hooks->is_running || hooks->is_stopping) return hooks->is_running;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    hooks->multi = curl_multi_init();
    hooks->is_running = hooks->multi && pthread_create(&hooks->thread, NULL, run, hooks) == 0;
    if (hooks->is_running) return true;
    gr_log_event(GR_LOG_ERROR, "webhook.thread", "why", GR_STR("the thread could not be started"), NULL);
    if (hooks->multi) curl_multi_cleanup(hooks->multi);
    hooks->multi = NULL;
    return false;
}

/* ---- from outside ---------------------------------------------------------------------------- */
gr_serve_hooks *gr_serve_hooks_new(const gr_config *config, int64_t second_us) {
    gr_serve_hooks *hooks = gr_mem_calloc(1, sizeof *hooks);
    hooks->second_us = second_us;
    hooks->n = config->n_webhooks;
    hooks->v = gr_mem_calloc(hooks->n + 1, sizeof *hooks->v);
    for (size_t i = 0; i < hooks->n; i++) hooks->v[i].config = &config->webhooks[i];
    pthread_mutex_init(&hooks->lock, NULL);
    return hooks;
}

void gr_serve_hooks_free(gr_serve_hooks *hooks, int64_t until_mono_us) {
    if (!hooks) return;
    pthread_mutex_lock(&hooks->lock);
    hooks->is_stopping = true;
    hooks->until_us = until_mono_us;
    bool is_running = hooks->is_running;
    pthread_mutex_unlock(&hooks->lock);
    if (is_running) {
        curl_multi_wakeup(hooks->multi);
        pthread_join(hooks->thread, NULL);
        curl_multi_cleanup(hooks->multi);
    }
    for (size_t i = 0; i < hooks->n; i++) drop_all(&hooks->v[i]);
    pthread_mutex_destroy(&hooks->lock);
    free(hooks->v);
    free(hooks);
}

void gr_serve_hooks_put(gr_serve_hooks *hooks, gr_serve_told *told) {
    bool is_wanted = false;
    pthread_mutex_lock(&hooks->lock);
    for (size_t i = 0; i < hooks->n; i++) {
        hook *h = &hooks->v[i];
        if (!(h->config->events >> told->kind & 1)) continue;
        if (!is_started(hooks)) break;
        if (h->n == GR_WEBHOOK_QUEUE) {
            gr_serve_told_unref(h->queue[h->first]);
            h->first = (h->first + 1) % GR_WEBHOOK_QUEUE;
            h->n--;
            h->dropped++;
        }
        h->queue[(h->first + h->n++) % GR_WEBHOOK_QUEUE] = gr_serve_told_ref(told);
        is_wanted = true;
    }
    pthread_mutex_unlock(&hooks->lock);
    if (is_wanted) curl_multi_wakeup(hooks->multi);
}

gr_webhook_view gr_serve_hooks_look(gr_serve_hooks *hooks, size_t index) {
    const hook *h = &hooks->v[index];
    pthread_mutex_lock(&hooks->lock);
    gr_webhook_view view = {h->config->origin, h->delivered, h->retried, h->lost, h->dropped, h->n};
    pthread_mutex_unlock(&hooks->lock);
    return view;
}
