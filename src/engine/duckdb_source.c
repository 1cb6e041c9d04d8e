/* Attaching data sources: a database file becomes catalog "src_NAME", a folder becomes schema "src_NAME" of catalog
 * memory. A file is read-only unless a pre-aggregation is to live in it, because holding it read-write (or at all)
 * keeps its owner out.
 * Invariant: the server never opens a database file itself: closing that handle would drop DuckDB's lock on it. A
 * source whose re-attachment failed is attached as it was before, where that is still possible. */
#include "engine/duckdb_internal.h"

#include "base/mem.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { BUSY_TRIES = 50, BUSY_PAUSE_NS = 20 * 1000 * 1000 };

static gr_duckdb_source *find(gr_duckdb *duck, gr_str name) {
    for (gr_duckdb_source *s = duck->sources; s; s = s->next)
        if (gr_str_eq_nocase(name, gr_str_from(s->name))) return s;
    gr_duckdb_source *s = gr_mem_calloc(1, sizeof *s);
    s->name = gr_mem_dup(name.p, name.n);
    s->next = duck->sources;
    return duck->sources = s;
}

/* The write-ahead log goes beside the file, so its folder counts too. */
static bool is_writable(gr_str path, gr_arena *arena) {
    size_t slash = path.n;
    while (slash > 1 && path.p[slash - 1] != '/') slash--;
    gr_str folder = gr_arena_dup(arena, gr_str_sub(path, 0, slash ? slash : path.n));
    return !eaccess(gr_arena_dup(arena, path).p, W_OK) && !eaccess(folder.p, W_OK);
}

static gr_status run_on(gr_duckdb *duck, const char *before, gr_str path, const char *between, gr_str name,
                        const char *after, gr_error *err) {
    gr_buf sql, catalog;
    gr_buf_init(&sql, 1 << 16);
    gr_buf_init(&catalog, 1 << 12);
    gr_buf_z(&sql, before);
    if (path.n) gr_engine_duckdb_add_literal(&sql, path);
    gr_buf_z(&sql, between);
    gr_buf_printf(&catalog, "src_" GR_FMT, GR_ARG(name));
    gr_engine_duckdb_add_name(&sql, gr_buf_str(&catalog));
    gr_buf_z(&sql, after);
    gr_str text;
    gr_status status = catalog.is_over || !gr_buf_finish(&sql, &text)
                           ? gr_error_set(err, GR_ERR_LIMIT, "the name or the path is too long")
                           : gr_engine_duckdb_run(duck->admin, text, err);
    gr_buf_done(&sql);
    gr_buf_done(&catalog);
    return status;
}

/* After a detach running queries keep the old file open for a while; attaching it again waits for them. */
static gr_status attach_once(gr_duckdb *duck, const gr_source_config *source, bool writable, gr_error *err) {
    const char *mode = writable ? " (TYPE duckdb)" : " (TYPE duckdb, READ_ONLY)";
    gr_status status = GR_OK;
    for (int tries = 0; tries < BUSY_TRIES; tries++) {
        if (tries) nanosleep(&(struct timespec){0, BUSY_PAUSE_NS}, NULL);
        gr_error cause = {0};
        status = run_on(duck, "ATTACH ", source->path, " AS ", source->name, mode, &cause);
        bool is_busy = status && strstr(cause.message, "Unique file handle conflict");
        if (status && err) *err = cause;
        if (!is_busy) return status;
    }
    return status;
}

static gr_status explain(const gr_source_config *source, const gr_error *cause, gr_error *err) {
    if (gr_engine_duckdb_is_lock(cause->message)) {
        long pid = gr_engine_duckdb_lock_pid(cause->message);
        gr_error_set(err, GR_ERR_ENGINE_LOCKED, "data source \"" GR_FMT "\": " GR_FMT " is held by another process",
                     GR_ARG(source->name), GR_ARG(source->path));
        if (pid > 0) gr_error_hint(err, "process %ld holds it", pid);
    } else if (strstr(cause->message, "Unique file handle conflict")) {
        gr_error_set(err, GR_ERR_ENGINE_LOCKED, "data source \"" GR_FMT "\": " GR_FMT " is in use in this process",
                     GR_ARG(source->name), GR_ARG(source->path));
        gr_error_hint(err, "another data source is the same file, or a query still reads it");
    } else {
        gr_error_set(err, GR_ERR_ENGINE_OPEN, "data source \"" GR_FMT "\": %s", GR_ARG(source->name), cause->message);
    }
    gr_error_at(err, source->loc);
    return err ? err->status : GR_ERR_ENGINE_OPEN;
}

static gr_status attach_file(gr_duckdb *duck, const gr_source_config *source, gr_duckdb_source *known, bool writable,
                             const struct stat *st, gr_error *err) {
    bool is_same_file = known->device == st->st_dev && known->inode == st->st_ino;
    if (known->is_attached && is_same_file && known->is_writable == writable) return GR_OK;
    gr_error cause = {0};
    gr_status status;
    bool was_attached = known->is_attached;
    if (was_attached) { /* ATTACH OR REPLACE changes neither the mode nor to another file of the same path */
        status = run_on(duck, "DETACH ", (gr_str){0}, "", source->name, "", &cause);
        if (status) return explain(source, &cause, err);
        known->is_attached = false;
    }
    status = attach_once(duck, source, writable, &cause);
    if (status) {
        status = explain(source, &cause, err);
        if (was_attached) known->is_attached = !attach_once(duck, source, known->is_writable, &cause);
        return status;
    }
    atomic_fetch_add(&duck->generation, 1);
    known->is_attached = true;
    known->is_folder = false;
    known->is_writable = writable;
    known->device = st->st_dev;
    known->inode = st->st_ino;
    return GR_OK;
}

static gr_status attach_folder(gr_duckdb *duck, const gr_source_config *source, gr_duckdb_source *known,
                               gr_error *err) {
    gr_error cause = {0};
    gr_status status = gr_engine_duckdb_folder(duck->admin, source, &cause);
    if (status) {
        gr_engine_duckdb_rollback(duck->admin);
        gr_error_set(err, GR_ERR_ENGINE_OPEN, "data source \"" GR_FMT "\": %s", GR_ARG(source->name), cause.message);
        if (*cause.hint) gr_error_hint(err, "%s", cause.hint);
        gr_error_at(err, source->loc);
        return GR_ERR_ENGINE_OPEN;
    }
    atomic_fetch_add(&duck->generation, 1);
    known->is_attached = known->is_folder = true;
    return GR_OK;
}

static gr_status check_path(const gr_source_config *source, gr_arena *arena, struct stat *ret, gr_error *err) {
    gr_str path = gr_arena_dup(arena, source->path);
    gr_status status = GR_OK;
    bool is_path = path.n && !memchr(path.p, 0, path.n);
    if (!is_path) errno = ENOENT;
    if (!is_path || stat(path.p, ret)) {
        status = gr_error_set(err, GR_ERR_ENGINE_OPEN, "data source \"" GR_FMT "\": " GR_FMT ": %m",
                              GR_ARG(source->name), GR_ARG(path));
    } else if (source->is_folder != (bool)S_ISDIR(ret->st_mode)) {
        status =
            gr_error_set(err, GR_ERR_ENGINE_OPEN, "data source \"" GR_FMT "\": " GR_FMT " is %s", GR_ARG(source->name),
                         GR_ARG(path), source->is_folder ? "a file, not a folder" : "a folder, not a database file");
    }
    if (status) gr_error_at(err, source->loc);
    return status;
}

static void note_guest(gr_duckdb *duck, const gr_source_config *source) {
    pthread_mutex_lock(&duck->lock);
    gr_duckdb_source *known = find(duck, source->name);
    known->is_guest = true;
    known->divides_integers = source->kind == GR_SOURCE_POSTGRES;
    pthread_mutex_unlock(&duck->lock);
}

gr_status gr_engine_duckdb_attach(gr_engine *engine, const gr_source_config *source, bool want_write, gr_error *err) {
    gr_duckdb *duck = (gr_duckdb *)(void *)engine;
    if (source->kind != GR_SOURCE_DUCKDB) {
        note_guest(duck, source);
        return GR_OK;
    }
    gr_arena *arena = gr_arena_new();
    struct stat st = {0};
    gr_status status = check_path(source, arena, &st, err);
    if (!status) {
        bool writable =
            want_write && source->read_only != GR_TRUE && !source->is_folder && is_writable(source->path, arena);
        pthread_mutex_lock(&duck->lock);
        gr_duckdb_source *known = find(duck, source->name);
        if (!gr_str_eq_z(source->name, known->name))
            status = gr_error_set(err, GR_ERR_ENGINE_OPEN, "data sources \"%s\" and \"" GR_FMT "\" differ only in case",
                                  known->name, GR_ARG(source->name));
        else if (source->is_folder)
            status = attach_folder(duck, source, known, err);
        else
            status = attach_file(duck, source, known, writable, &st, err);
        pthread_mutex_unlock(&duck->lock);
    }
    gr_arena_free(arena);
    return status;
}
