/* Values of refresh keys that are asked from a source, shared by all who need them: one asks, the others wait for it.
 *
 *     (data source, SQL) -> { value, when it was asked }
 *
 * A query asks now, unless what is known is young enough; a scheduler asks in the background, and reads what is known.
 * What failed is known too, for as long. Bounded: of many keys the one that was asked longest ago is forgotten.
 * Threads: any. Source: cube.md 6.6. */
#ifndef GR_SERVE_KEYS_H
#define GR_SERVE_KEYS_H
#include "base/buf.h"
#include "base/ctx.h"
#include "base/error.h"

typedef struct gr_keys gr_keys;

/* Ask the source; the value goes to `out`, which has a limit. */
typedef gr_status gr_keys_ask(void *arg, const gr_ctx *ctx, gr_str data_source, gr_str sql, gr_buf *out, gr_error *err);

gr_keys *gr_serve_keys_new(size_t max_keys, gr_keys_ask *ask, void *arg);
void gr_serve_keys_free(gr_keys *keys); /* accepts NULL; nobody may be asking */

/* The value as of at most max_age_us ago; 0: of an asking that begins no sooner than this call. Waits while somebody
 * asks for the same. *ret is in ctx->arena. Errors: those of asking (the same for all for max_age_us; *ret_is_news,
 * which may be NULL, tells the one who found it out), cancelled, timeout. */
GR_MUST_CHECK gr_status gr_serve_keys_get(gr_keys *keys, const gr_ctx *ctx, gr_str data_source, gr_str sql,
                                          int64_t max_age_us, gr_str *ret, bool *ret_is_news, gr_error *err);
/* What is known, without asking; false: nothing, or the last asking failed. *ret_asked_mono_us may be NULL. */
bool gr_serve_keys_peek(gr_keys *keys, gr_str data_source, gr_str sql, gr_arena *arena, gr_str *ret,
                        int64_t *ret_asked_mono_us);
/* Grows with every value that is another than the one before. */
uint64_t gr_serve_keys_changes(const gr_keys *keys);
#endif
