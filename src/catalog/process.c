/* Whether a process of this machine is gone for sure: for servers of a PostgreSQL catalog whose session has ended.
 * Their lock is free then, and so it is when only the connection broke and the process will be back; where /proc can
 * tell the two apart, nobody has to wait for the lease.
 *
 *     "<boot id>/<namespace of process ids>/<process id>/<start time>"
 *
 * A text with another boot id or namespace says nothing here. */
#include "catalog/internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

enum { MAX_TEXT = 1024, START_TIME_FIELD = 22 };

static bool read_file(const char *path, char out[MAX_TEXT]) {
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t n = fd < 0 ? -1 : read(fd, out, MAX_TEXT - 1);
    if (fd >= 0) close(fd);
    if (n <= 0) return false;
    out[n] = 0;
    return true;
}

/* Boot id and namespace, each with a slash behind it; empty when the system does not say. */
static gr_str machine(gr_arena *arena) {
    char boot[MAX_TEXT], space[MAX_TEXT];
    ssize_t n = readlink("/proc/self/ns/pid", space, sizeof space - 1);
    if (n <= 0 || !read_file("/proc/sys/kernel/random/boot_id", boot)) return (gr_str){0};
    space[n] = 0;
    gr_str id = gr_str_trim(gr_str_from(boot));
    return gr_arena_printf(arena, GR_FMT "/%s/", GR_ARG(id), space);
}

/* State and start time of a process, from /proc/<pid>/stat: "pid (any name) S ppid …". */
static bool read_stat(int64_t pid, char *ret_state, gr_str *ret_start, gr_arena *arena) {
    char path[64], text[MAX_TEXT];
    snprintf(path, sizeof path, "/proc/%lld/stat", (long long)pid);
    if (!read_file(path, text)) return false;
    const char *at = strrchr(text, ')');
    if (!at || at[1] != ' ') return false;
    *ret_state = at[2];
    for (int field = 2; at && field < START_TIME_FIELD; field++) at = strchr(at + 1, ' ');
    if (!at) return false;
    size_t n = strcspn(at + 1, " ");
    *ret_start = gr_arena_dup(arena, (gr_str){at + 1, n});
    return true;
}

gr_str gr_catalog_process_self(gr_arena *arena) {
    gr_str where = machine(arena), start;
    char state;
    if (!where.n || !read_stat(getpid(), &state, &start, arena)) return (gr_str){0};
    return gr_arena_printf(arena, GR_FMT "%lld/" GR_FMT, GR_ARG(where), (long long)getpid(), GR_ARG(start));
}

bool gr_catalog_process_is_gone(gr_str process, gr_arena *arena) {
    gr_str where = machine(arena), start;
    int64_t pid;
    char state;
    if (!where.n || !gr_str_starts(process, where)) return false;
    gr_str rest = gr_str_sub(process, where.n, process.n - where.n);
    size_t slash = gr_str_find(rest, '/', 0);
    if (slash == SIZE_MAX || !gr_str_to_i64(gr_str_sub(rest, 0, slash), &pid)) return false;
    if (!read_stat(pid, &state, &start, arena)) return access("/proc/self/stat", R_OK) == 0;
    if (state == 'Z' || state == 'X') return true;
    return !gr_str_eq(start, gr_str_sub(rest, slash + 1, rest.n - slash - 1));
}
