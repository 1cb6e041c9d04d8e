/* The folder of compiled zones, which the system keeps current: GRANARY_TZDIR, else TZDIR, else /usr/share/zoneinfo.
 * Invariant: a path is the folder and a name of letters, digits, `_`, `+`, `-` in one to three parts, so that nothing
 * outside the folder is named; what is read has a limit. The folder is chosen once. Threads: any. */
#include "base/mem.h"
#include "cal/zone_table.h"

#include <dirent.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_FILE_BYTES (256 * 1024) /* the largest of today has 4 KB */
#define MAX_ENTRIES 16384           /* of the folder and those in it */
#define MAX_PARTS 3

static pthread_once_t folder_once = PTHREAD_ONCE_INIT;
static const char *folder;

static void folder_choose(void) {
    static const char *const variables[] = {"GRANARY_TZDIR", "TZDIR"};
    folder = "/usr/share/zoneinfo";
    for (size_t i = 0; i < sizeof variables / sizeof *variables; i++) {
        const char *value = getenv(variables[i]);
        if (!value || !*value) continue;
        folder = gr_mem_dup(value, strlen(value));
        return;
    }
}

static bool is_part_char(char c) {
    return gr_cal_is_alpha(c) || gr_cal_is_digit(c) || c == '_' || c == '+' || c == '-';
}

static bool name_is_safe(gr_str name) {
    size_t n_parts = 1, part = 0;
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] == '/') {
            if (part == 0 || ++n_parts > MAX_PARTS) return false;
            part = 0;
        } else if (is_part_char(name.p[i])) {
            part++;
        } else {
            return false;
        }
    }
    return part > 0 && name.n <= GR_CAL_ZONE_NAME_MAX;
}

/* False when it does not fit. An empty name is the folder itself. */
static bool path_of(gr_str name, char *out, size_t room) {
    pthread_once(&folder_once, folder_choose);
    int n = snprintf(out, room, "%s/" GR_FMT, folder, GR_ARG(name));
    return n > 0 && (size_t)n < room;
}

/* ---- one file -------------------------------------------------------------------------------------------------- */

static bool read_all(int fd, unsigned char *out, size_t n) {
    for (size_t done = 0; done < n;) {
        ssize_t got = read(fd, out + done, n - done);
        if (got <= 0) return false;
        done += (size_t)got;
    }
    return true;
}

bool gr_cal_dir_read(gr_str name, gr_cal_table *table) {
    char path[4096];
    if (!name_is_safe(name) || !path_of(name, path, sizeof path)) return false;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY); /* a pipe there must not hold us up */
    if (fd < 0) return false;
    struct stat st;
    bool ok = fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size > 0 && st.st_size <= MAX_FILE_BYTES;
    if (ok) {
        size_t n = (size_t)st.st_size;
        unsigned char *bytes = gr_mem_alloc(n);
        ok = read_all(fd, bytes, n) && gr_cal_tzif_parse(bytes, n, table);
        free(bytes);
    }
    close(fd);
    return ok;
}

/* ---- which there are ------------------------------------------------------------------------------------------- */

typedef struct walk {
    gr_cal_name_fn *fn;
    void *into;
    size_t n_entries;
} walk;

/* Not zones of their own: the same again without and with leap seconds, and what this machine is set to. */
static bool is_beside(gr_str name) {
    static const char *const beside[] = {"posix", "right", "posixrules", "localtime"};
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++)
        if (gr_str_eq_nocase(name, gr_str_from(beside[i]))) return true;
    return false;
}

/* Links to folders are not followed. */
static bool is_folder(const struct dirent *entry, gr_str name) {
    char path[4096];
    struct stat st;
    if (entry->d_type != DT_UNKNOWN) return entry->d_type == DT_DIR;
    return path_of(name, path, sizeof path) && lstat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* At most MAX_PARTS deep: a name with more parts is not safe. */
static void walk_folder(walk *w, gr_str prefix) { /* NOLINT(misc-no-recursion) */
    char path[4096], text[GR_CAL_ZONE_NAME_MAX + 2];
    DIR *dir = path_of(prefix, path, sizeof path) ? opendir(path) : NULL;
    if (!dir) return;
    const struct dirent *entry;
    while (w->n_entries < MAX_ENTRIES && (entry = readdir(dir))) {
        w->n_entries++;
        int n = snprintf(text, sizeof text, GR_FMT "%s%s", GR_ARG(prefix), prefix.n ? "/" : "", entry->d_name);
        gr_str name = {text, (size_t)(n < 0 ? 0 : n)};
        if (name.n >= sizeof text || !name_is_safe(name) || (prefix.n == 0 && is_beside(name))) continue;
        if (is_folder(entry, name))
            walk_folder(w, name);
        else
            w->fn(w->into, name);
    }
    closedir(dir);
}

void gr_cal_dir_names(gr_cal_name_fn *fn, void *into) {
    walk w = {.fn = fn, .into = into};
    walk_folder(&w, (gr_str){0});
}
