/* A disk that fails, for whatever process it is preloaded into (LD_PRELOAD):
 *
 *     GRANARY_SHIM_PREFIX=PATH     files whose path begins like this
 *     GRANARY_SHIM_TRIGGER=FILE    while this file exists, they fail as it says:
 *
 *         sync            fsync and fdatasync fail with EIO
 *         write BYTES     writes that would make it more than BYTES since the trigger was set fail with ENOSPC, and so
 * does making a file longer
 *
 * What fails is told by a line "name path" in FILE.told. The trigger is read at each call, so that a test turns
 * failures on and off while the process runs. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHOWN __attribute__((visibility("default")))

typedef struct trigger {
    bool fails_sync, fails_write;
    long long bytes;
} trigger;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct timespec set_at; /* of the trigger that `written` counts for, under `lock` */
static long long written;

static void *next_of(const char *name) {
    void *found = dlsym(RTLD_NEXT, name);
    if (!found) abort();
    return found;
}

typedef ssize_t write_fn(int, const void *, size_t);
static ssize_t plain_write(int fd, const void *bytes, size_t n) {
    union {
        void *found;
        write_fn *call;
    } u = {.found = next_of("write")};
    return u.call(fd, bytes, n);
}

/* False: nothing is to fail. */
static bool read_trigger(trigger *ret) {
    const char *file = getenv("GRANARY_SHIM_TRIGGER");
    char text[64] = "";
    struct stat st;
    int fd = file ? open(file, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0) return false;
    ssize_t n = read(fd, text, sizeof text - 1);
    long long bytes = 0;
    bool is_there = n > 0 && !fstat(fd, &st), fails_write = sscanf(text, "write %lld", &bytes) == 1;
    close(fd);
    *ret = (trigger){!strncmp(text, "sync", 4), fails_write, bytes};
    if (!is_there || !fails_write) return is_there;
    pthread_mutex_lock(&lock);
    if (st.st_mtim.tv_sec != set_at.tv_sec || st.st_mtim.tv_nsec != set_at.tv_nsec) written = 0;
    set_at = st.st_mtim;
    pthread_mutex_unlock(&lock);
    return true;
}

static bool path_of(int fd, char path[PATH_MAX]) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, PATH_MAX - 1);
    if (n > 0) path[n] = 0;
    return n > 0;
}

static bool is_meant(int fd, char path[PATH_MAX]) {
    const char *prefix = getenv("GRANARY_SHIM_PREFIX");
    return prefix && path_of(fd, path) && !strncmp(path, prefix, strlen(prefix));
}

static void tell(const char *what, const char *path) {
    char file[PATH_MAX], line[PATH_MAX + 32];
    snprintf(file, sizeof file, "%s.told", getenv("GRANARY_SHIM_TRIGGER"));
    int n = snprintf(line, sizeof line, "%s %s\n", what, path),
        fd = open(file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fd < 0) return;
    if (n > 0 && plain_write(fd, line, (size_t)n) < 0) abort();
    close(fd);
}

static bool fails_to_sync(int fd, const char *what) {
    int before = errno;
    trigger t;
    char path[PATH_MAX];
    bool fails = read_trigger(&t) && t.fails_sync && is_meant(fd, path);
    if (fails) tell(what, path);
    errno = fails ? EIO : before;
    return fails;
}

static bool fails_to_write(int fd, size_t n, const char *what) {
    int before = errno;
    trigger t;
    char path[PATH_MAX];
    bool fails = read_trigger(&t) && t.fails_write && is_meant(fd, path);
    if (fails) {
        pthread_mutex_lock(&lock);
        fails = written + (long long)n > t.bytes;
        if (!fails) written += (long long)n;
        pthread_mutex_unlock(&lock);
    }
    if (fails) tell(what, path);
    errno = fails ? ENOSPC : before;
    return fails;
}

static bool fails_to_grow(int fd, off_t size, const char *what) {
    struct stat st;
    return !fstat(fd, &st) && size > st.st_size && fails_to_write(fd, (size_t)(size - st.st_size), what);
}

/* The function in place of NAME, and the one behind it as `real`. */
#define IN_PLACE_OF(type, name, params, fails, args)                                                                   \
    SHOWN type name params;                                                                                            \
    SHOWN type name params {                                                                                           \
        union {                                                                                                        \
            void *found;                                                                                               \
            type(*call) params;                                                                                        \
        } real = {.found = next_of(#name)};                                                                            \
        return (fails) ? -1 : real.call args;                                                                          \
    }

IN_PLACE_OF(int, fsync, (int fd), fails_to_sync(fd, "fsync"), (fd))
IN_PLACE_OF(int, fdatasync, (int fd), fails_to_sync(fd, "fdatasync"), (fd))
IN_PLACE_OF(ssize_t, write, (int fd, const void *bytes, size_t n), fails_to_write(fd, n, "write"), (fd, bytes, n))
IN_PLACE_OF(ssize_t, pwrite, (int fd, const void *bytes, size_t n, off_t at), fails_to_write(fd, n, "pwrite"),
            (fd, bytes, n, at))
IN_PLACE_OF(ssize_t, pwrite64, (int fd, const void *bytes, size_t n, off64_t at), fails_to_write(fd, n, "pwrite64"),
            (fd, bytes, n, at))
IN_PLACE_OF(int, ftruncate, (int fd, off_t size), fails_to_grow(fd, size, "ftruncate"), (fd, size))
IN_PLACE_OF(int, ftruncate64, (int fd, off64_t size), fails_to_grow(fd, size, "ftruncate64"), (fd, size))
