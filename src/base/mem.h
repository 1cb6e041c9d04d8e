/* malloc that does not return NULL: running out of memory ends the process with a message (decisions, 30). */
#ifndef GR_BASE_MEM_H
#define GR_BASE_MEM_H
#include <stddef.h>

void *gr_mem_alloc(size_t bytes);
void *gr_mem_calloc(size_t count, size_t bytes);
void *gr_mem_realloc(void *old, size_t bytes);
char *gr_mem_dup(const char *p, size_t n); /* NUL-terminated, owned */
_Noreturn void gr_mem_die(size_t bytes);
#endif
