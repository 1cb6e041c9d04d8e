/* Zone files for tests: written from a few numbers, put into a folder of their own. */
#ifndef GR_TESTS_UNIT_TZIF_TEST_H
#define GR_TESTS_UNIT_TZIF_TEST_H
#include "cal_test.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define TZIF_ROOM 4096

typedef struct tzif_spec {
    char version; /* 0: '2' */
    uint32_t n_times, n_types, n_leaps;
    int64_t times[8];
    unsigned char types[8];
    int32_t offsets[4];
    const char *footer;
} tzif_spec;

static inline size_t tzif_put(unsigned char *out, size_t at_byte, uint64_t value, int bytes) {
    for (int i = 0; i < bytes; i++) out[at_byte + (size_t)i] = (unsigned char)(value >> (8 * (bytes - 1 - i)));
    return at_byte + (size_t)bytes;
}

static inline size_t tzif_header(unsigned char *out, size_t n, const tzif_spec *s, bool is_first) {
    memcpy(out + n, "TZif", 4);
    memset(out + n + 4, 0, 16);
    out[n + 4] = (unsigned char)(s->version ? s->version : '2');
    n = tzif_put(out, n + 20, 0, 4);
    n = tzif_put(out, n, 0, 4);
    n = tzif_put(out, n, is_first ? 0 : s->n_leaps, 4);
    n = tzif_put(out, n, is_first ? 0 : s->n_times, 4);
    n = tzif_put(out, n, is_first ? 1 : s->n_types, 4);
    return tzif_put(out, n, 4, 4);
}

/* Returns the count of bytes; `out` has room for TZIF_ROOM. */
static inline size_t tzif_write(const tzif_spec *s, unsigned char *out) {
    size_t n = tzif_header(out, 0, s, true);
    memset(out + n, 0, 10); /* one type, four characters */
    n = tzif_header(out, n + 10, s, false);
    for (uint32_t i = 0; i < s->n_times; i++) n = tzif_put(out, n, (uint64_t)s->times[i], 8);
    for (uint32_t i = 0; i < s->n_times; i++) n = tzif_put(out, n, s->types[i], 1);
    for (uint32_t i = 0; i < s->n_types; i++) n = tzif_put(out, n, (uint64_t)(uint32_t)s->offsets[i] << 16, 6);
    memcpy(out + n, "AAA", 4);
    n += 4;
    for (uint32_t i = 0; i < s->n_leaps; i++) n = tzif_put(out, tzif_put(out, n, 78796800 + i, 8), i + 1, 4);
    return n + (size_t)snprintf((char *)out + n, TZIF_ROOM - n, "\n%s\n", s->footer);
}

/* A file of a folder; the folders above it are made. */
static inline void file_write(const char *folder, const char *name, const void *bytes, size_t n) {
    char path[512];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    for (char *p = path + strlen(folder) + 1; (p = strchr(p, '/')); *p++ = '/') {
        *p = 0;
        mkdir(path, 0700);
    }
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, n, f) != n || fclose(f)) fail_msg("cannot write %s", path);
}

static inline void zone_write(const char *folder, const char *name, const tzif_spec *spec) {
    unsigned char bytes[TZIF_ROOM];
    file_write(folder, name, bytes, tzif_write(spec, bytes));
}

/* The whole file, in memory of exactly its size; 0 when it cannot be read. */
static inline size_t file_read(const char *path, unsigned char **ret) {
    FILE *f = fopen(path, "rb");
    struct stat st;
    if (!f || fstat(fileno(f), &st) || !(*ret = malloc((size_t)st.st_size))) {
        if (f) fclose(f);
        return 0;
    }
    size_t n = fread(*ret, 1, (size_t)st.st_size, f);
    fclose(f);
    return n;
}
#endif
