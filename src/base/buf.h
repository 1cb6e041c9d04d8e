/* Growable bytes with a limit given at birth and a sticky error: append freely, check once at gr_buf_finish. */
#ifndef GR_BASE_BUF_H
#define GR_BASE_BUF_H
#include "base/str.h"

typedef struct gr_buf {
    char *p;
    size_t n, cap, max;
    bool is_over; /* sticky: the limit was hit; what came later was dropped */
} gr_buf;

void gr_buf_init(gr_buf *b, size_t max_bytes);
void gr_buf_done(gr_buf *b); /* frees; accepts a zeroed buffer */
void gr_buf_reset(gr_buf *b);
void gr_buf_char(gr_buf *b, char c);
void gr_buf_add(gr_buf *b, gr_str s);
void gr_buf_z(gr_buf *b, const char *z);
void gr_buf_i64(gr_buf *b, int64_t v);
void gr_buf_printf(gr_buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* NUL-terminates (not counted). False when the limit was hit. *ret is borrowed from the buffer until it changes. */
bool gr_buf_finish(gr_buf *b, gr_str *ret) __attribute__((warn_unused_result));
static inline gr_str gr_buf_str(const gr_buf *b) { return (gr_str){b->p, b->n}; }
/* Room for `n` more bytes; NULL at the limit. The caller writes them and adds to b->n. */
char *gr_buf_reserve(gr_buf *b, size_t n);
#endif
