/* Which builds still have a process behind them. Each open handle locks one byte of `<file>.lock`, at the random offset
 * that is its owner number, and writes that number into the builds it begins. The kernel drops the lock when the
 * process ends, however it ends; so a `running` build whose owner's byte is free was left behind. Byte 0 is the gate:
 * one handle at a time opens, migrates and recovers.
 *
 *     byte   0        4711…            9042…
 *            gate     held: alive      free: its builds are dead
 *
 * Locks are of the open file description, so that two handles of one process do not share them. */
#include "catalog/internal.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

static int lock_byte(int fd, int command, short type, int64_t at) {
    struct flock lock = {.l_type = type, .l_whence = SEEK_SET, .l_start = at, .l_len = 1};
    int rc;
    do rc = fcntl(fd, command, &lock);
    while (rc < 0 && errno == EINTR);
    if (rc < 0) return -1;
    return command == F_OFD_GETLK ? lock.l_type != F_UNLCK : 0;
}

static gr_status fail(const gr_catalog_owner *o, const char *what, gr_error *err) {
    char buf[128];
    gr_error_set(err, GR_ERR_CATALOG_IO, "the lock file of the catalog, %s.lock, cannot be %s: %s", o->file, what,
                 strerror_r(errno, buf, sizeof buf));
    gr_error_hint(err, "the user that runs Granary must be able to write in this folder; storage.path sets another");
    return GR_ERR_CATALOG_IO;
}

static gr_status enter_gate(gr_catalog_owner *o, gr_error *err) {
    int64_t give_up = gr_clock_mono_us() + CATALOG_WAIT_MS * 1000LL;
    while (lock_byte(o->fd, F_OFD_SETLK, F_WRLCK, 0) < 0) {
        if (errno != EAGAIN && errno != EACCES) return fail(o, "locked", err);
        if (gr_clock_mono_us() > give_up) {
            gr_error_set(err, GR_ERR_CATALOG_IO, "another process has been opening the catalog %s for %d s", o->file,
                         CATALOG_WAIT_MS / 1000);
            gr_error_hint(err, "try again; if it stays so, look for a stopped granary process");
            return GR_ERR_CATALOG_IO;
        }
        nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
    }
    return GR_OK;
}

int64_t gr_catalog_owner_random(void) {
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, 0) != (ssize_t)sizeof random) return 0;
    return (int64_t)(random >> 2) + 1; /* an offset that a file may have */
}

static gr_status take_number(gr_catalog_owner *o, gr_error *err) {
    for (;;) {
        o->number = gr_catalog_owner_random();
        if (!o->number) return fail(o, "given a number", err);
        if (lock_byte(o->fd, F_OFD_SETLK, F_WRLCK, o->number) == 0) return GR_OK;
        if (errno != EAGAIN && errno != EACCES) return fail(o, "locked", err);
    }
}

gr_status gr_catalog_owner_open(gr_catalog_owner *o, gr_error *err) {
    size_t size = strlen(o->file) + sizeof ".lock";
    char *path = gr_mem_alloc(size);
    snprintf(path, size, "%s.lock", o->file);
    o->fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    free(path);
    if (o->fd < 0) return fail(o, "opened", err);
    GR_TRY(enter_gate(o, err));
    return take_number(o, err);
}

void gr_catalog_owner_leave_gate(gr_catalog_owner *o) { lock_byte(o->fd, F_OFD_SETLK, F_UNLCK, 0); }

bool gr_catalog_owner_is_alive(const gr_catalog_owner *o, int64_t number) {
    if (number == o->number) return true;
    if (number <= 0) return false;
    /* When the question cannot be asked, the build is left alone. */
    return lock_byte(o->fd, F_OFD_GETLK, F_WRLCK, number) != 0;
}

void gr_catalog_owner_close(gr_catalog_owner *o) {
    if (o->fd >= 0) close(o->fd);
    o->fd = -1;
}
