/* JSON in (jansson, under limits) and out (a streaming encoder over gr_buf).
 * In: gr_json_parse checks bytes, depth and UTF-8 before jansson sees them; object order is kept. The tree is a jansson
 * json_t, released with the arena. Out: commas and nesting are the encoder's business. */
#ifndef GR_DATA_JSON_H
#define GR_DATA_JSON_H
#include "base/buf.h"
#include "base/error.h"

#include <jansson.h>

enum { GR_JSON_MAX_DEPTH = 128 };

/* Errors: GR_ERR_JSON_SYNTAX (message has line and column), GR_ERR_JSON_LIMIT (size or depth). *ret borrowed: arena. */
GR_MUST_CHECK gr_status gr_json_parse(gr_str text, size_t max_bytes, gr_arena *arena, json_t **ret, gr_error *err);
static inline gr_str gr_json_str(const json_t *s) { return (gr_str){json_string_value(s), json_string_length(s)}; }

typedef struct gr_jw {
    gr_buf *out;
    uint64_t has_item; /* bit per depth: an item was written at this level */
    unsigned depth;    /* at most 63 */
    bool is_after_key;
} gr_jw;

void gr_jw_init(gr_jw *w, gr_buf *out);
void gr_jw_object(gr_jw *w);
void gr_jw_object_end(gr_jw *w);
void gr_jw_array(gr_jw *w);
void gr_jw_array_end(gr_jw *w);
void gr_jw_key(gr_jw *w, gr_str key);
void gr_jw_str(gr_jw *w, gr_str s); /* escapes; bad UTF-8 becomes U+FFFD */
void gr_jw_i64(gr_jw *w, int64_t v);
void gr_jw_f64(gr_jw *w, double v); /* shortest round trip; null for NaN and infinities */
void gr_jw_bool(gr_jw *w, bool v);
void gr_jw_null(gr_jw *w);
void gr_jw_raw(gr_jw *w, gr_str json); /* already JSON */
void gr_jw_json(gr_jw *w, const json_t *value);
/* key + value in one. */
void gr_jw_key_str(gr_jw *w, const char *key, gr_str s);
void gr_jw_key_i64(gr_jw *w, const char *key, int64_t v);
void gr_jw_key_bool(gr_jw *w, const char *key, bool v);
/* Only the escaped body between quotes, for encoders that write by hand. */
void gr_json_escape(gr_buf *out, gr_str s);
#endif
