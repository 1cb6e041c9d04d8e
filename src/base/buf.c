#include "base/buf.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void gr_buf_init(gr_buf *b, size_t max_bytes) { *b = (gr_buf){.max = max_bytes}; }

void gr_buf_done(gr_buf *b) {
    if (!b) return;
    free(b->p);
    *b = (gr_buf){0};
}

void gr_buf_reset(gr_buf *b) {
    b->n = 0;
    b->is_over = false;
}

char *gr_buf_reserve(gr_buf *b, size_t n) {
    if (b->is_over || n > b->max || b->n > b->max - n) {
        b->is_over = true;
        return NULL;
    }
    if (b->cap < b->n + n + 1) {
        size_t cap = b->cap ? b->cap * 2 : 256;
        while (cap < b->n + n + 1) cap *= 2;
        b->p = gr_mem_realloc(b->p, cap);
        b->cap = cap;
    }
    return b->p + b->n;
}

void gr_buf_char(gr_buf *b, char c) {
    char *p = gr_buf_reserve(b, 1);
    if (!p) return;
    *p = c;
    b->n++;
}

void gr_buf_add(gr_buf *b, gr_str s) {
    if (s.n == 0) return;
    char *p = gr_buf_reserve(b, s.n);
    if (!p) return;
    memcpy(p, s.p, s.n);
    b->n += s.n;
}

void gr_buf_z(gr_buf *b, const char *z) { gr_buf_add(b, gr_str_from(z)); }

void gr_buf_i64(gr_buf *b, int64_t v) {
    char text[24];
    char *end = text + sizeof text, *p = end;
    uint64_t u = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
    do *--p = (char)('0' + u % 10);
    while (u /= 10);
    if (v < 0) *--p = '-';
    gr_buf_add(b, (gr_str){p, (size_t)(end - p)});
}

void gr_buf_printf(gr_buf *b, const char *format, ...) {
    va_list args, again;
    va_start(args, format);
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, args);
    va_end(args);
    char *p = n >= 0 ? gr_buf_reserve(b, (size_t)n) : NULL;
    if (p) {
        vsnprintf(p, (size_t)n + 1, format, again);
        b->n += (size_t)n;
    }
    va_end(again);
}

bool gr_buf_finish(gr_buf *b, gr_str *ret) {
    if (b->is_over) return false;
    if (!b->p) (void)gr_buf_reserve(b, 0);
    if (b->p) b->p[b->n] = 0;
    *ret = gr_buf_str(b);
    return true;
}
