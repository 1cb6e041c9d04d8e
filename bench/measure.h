/* What the benchmarks measure with. */
#ifndef GR_BENCH_MEASURE_H
#define GR_BENCH_MEASURE_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The most memory that this process has held; 0 where the system does not say. */
static inline long rss_kb(void) {
    char line[256];
    long kb = 0;
    FILE *f = fopen("/proc/self/status", "r");
    while (f && fgets(line, sizeof line, f))
        if (!strncmp(line, "VmHWM:", 6)) kb = strtol(line + 6, NULL, 10);
    if (f) fclose(f);
    return kb;
}

static inline double least(double a, double b) { return a < b ? a : b; }
#endif
