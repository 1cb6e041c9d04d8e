/* Webhooks: events as POSTs, each hook's in order and one at a time. Private to serve/. */
#ifndef GR_SERVE_WEBHOOK_H
#define GR_SERVE_WEBHOOK_H
#include "serve/events.h"

typedef struct gr_serve_hooks gr_serve_hooks;

enum { GR_WEBHOOK_TRIES = 8, GR_WEBHOOK_QUEUE = 256 };

/* No thread is started before the first event that a hook wants. `second_us`: how long a second between tries is; other
 * than 1,000,000 in tests. */
gr_serve_hooks *gr_serve_hooks_new(const gr_config *config, int64_t second_us);
void gr_serve_hooks_free(gr_serve_hooks *hooks, int64_t until_mono_us); /* accepts NULL */
/* Queue it for those that want it; takes references of its own. Never waits. */
void gr_serve_hooks_put(gr_serve_hooks *hooks, gr_serve_told *told);
gr_webhook_view gr_serve_hooks_look(gr_serve_hooks *hooks, size_t index);

/* How long after the failed try number `tries` (from 1) the next one is: 1, 2, 4, … 60 s, a fifth more or less by
 * `random`. */
int64_t gr_serve_webhook_delay_us(unsigned tries, uint32_t random);
/* The event is taken; else, is it to be tried again? `http_status` 0: there was no answer. */
bool gr_serve_webhook_is_taken(long http_status);
bool gr_serve_webhook_may_retry(long http_status);
/* "sha256=" and the HMAC in hex, NUL-terminated. */
enum { GR_WEBHOOK_SIGNATURE = 72 };
void gr_serve_webhook_sign(gr_str secret, gr_str body, char out[GR_WEBHOOK_SIGNATURE]);
#endif
