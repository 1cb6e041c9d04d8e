#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void gr_mem_die(size_t bytes) {
    fprintf(stderr, "granary: out of memory (%zu bytes asked)\n", bytes);
    abort();
}

void *gr_mem_alloc(size_t bytes) {
    void *p = malloc(bytes ? bytes : 1);
    if (!p) gr_mem_die(bytes);
    return p;
}

void *gr_mem_calloc(size_t count, size_t bytes) {
    void *p = calloc(count ? count : 1, bytes ? bytes : 1);
    if (!p) gr_mem_die(bytes);
    return p;
}

void *gr_mem_realloc(void *old, size_t bytes) {
    void *p = realloc(old, bytes ? bytes : 1);
    if (!p) gr_mem_die(bytes);
    return p;
}

char *gr_mem_dup(const char *p, size_t n) {
    char *copy = gr_mem_alloc(n + 1);
    if (n) memcpy(copy, p, n);
    copy[n] = 0;
    return copy;
}
