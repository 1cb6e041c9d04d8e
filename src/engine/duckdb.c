/* The DuckDB driver: one in-memory instance per engine, to which the embedded store and every data source are attached.
 * DuckDB's file lock does not protect a file within one process, so the same store is never opened twice here.
 *
 *   catalogs:  memory (views of folders)   granary_store (rollups)   src_NAME (database files)
 *
 * Invariant: a connection's time zone is UTC and its unqualified names resolve in its own source; extensions are never
 * fetched. Threads: the engine's own calls from any thread; a connection from one at a time, except interrupt. */
#include "engine/duckdb_internal.h"

#include "base/mem.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static pthread_mutex_t open_lock = PTHREAD_MUTEX_INITIALIZER;
static gr_duckdb *open_first; /* under open_lock */

/* False when another engine of this process holds the store. */
static bool enlist(gr_duckdb *duck) {
    bool is_free = true;
    pthread_mutex_lock(&open_lock);
    for (gr_duckdb *d = open_first; d; d = d->next_open)
        if (*duck->store_file && !strcmp(d->store_file, duck->store_file)) is_free = false;
    if (is_free) {
        duck->next_open = open_first;
        open_first = duck;
    }
    pthread_mutex_unlock(&open_lock);
    return is_free;
}

static void delist(gr_duckdb *duck) {
    pthread_mutex_lock(&open_lock);
    for (gr_duckdb **at = &open_first; *at; at = &(*at)->next_open) {
        if (*at != duck) continue;
        *at = duck->next_open;
        break;
    }
    pthread_mutex_unlock(&open_lock);
}

/* All folders above `file`. */
static gr_status make_folder_of(const char *file, gr_error *err) {
    char *path = gr_mem_dup(file, strlen(file));
    gr_status status = GR_OK;
    for (char *at = path; *at && !status; at++) {
        if (*at != '/' || at == path) continue;
        *at = 0;
        if (mkdir(path, 0700) && errno != EEXIST)
            status = gr_error_set(err, GR_ERR_STORE_IO, "the folder %s cannot be made: %m", path);
        *at = '/';
    }
    free(path);
    return status;
}

/* ---- instance -----------------------------------------------------------------------------------------------------
 */

static gr_str temp_dir(const gr_config *config, gr_arena *arena) {
    if (!config || !config->state_dir.n) return (gr_str){0};
    if (config->state_dir.p[0] == '/' || !config->root.n)
        return gr_arena_printf(arena, GR_FMT "/tmp", GR_ARG(config->state_dir));
    return gr_arena_printf(arena, GR_FMT "/" GR_FMT "/tmp", GR_ARG(config->root), GR_ARG(config->state_dir));
}

static duckdb_config make_settings(const gr_config *config, gr_arena *arena) {
    duckdb_config settings = NULL;
    if (duckdb_create_config(&settings) != DuckDBSuccess) return NULL;
    static const char *const fixed[][2] = {
        {"autoinstall_known_extensions", "false"},
        {"autoload_known_extensions", "false"},
        {"allow_community_extensions", "false"},
        {"default_null_order", "nulls_last"},
    };
    for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) duckdb_set_config(settings, fixed[i][0], fixed[i][1]);
    if (config && config->engine_threads > 0)
        duckdb_set_config(settings, "threads", gr_arena_printf(arena, "%lld", (long long)config->engine_threads).p);
    if (config && config->engine_memory_mb > 0)
        duckdb_set_config(settings, "memory_limit",
                          gr_arena_printf(arena, "%lldMiB", (long long)config->engine_memory_mb).p);
    gr_str temp = temp_dir(config, arena);
    if (temp.n) duckdb_set_config(settings, "temp_directory", temp.p);
    return settings;
}

static gr_status open_instance(gr_duckdb *duck, const gr_config *config, gr_error *err) {
    gr_arena *arena = gr_arena_new();
    duckdb_config settings = make_settings(config, arena);
    gr_str temp = temp_dir(config, arena);
    /* Without its folder only spilling fails; with a store the folder is wanted anyway. */
    if (temp.n && *duck->store_file) (void)!make_folder_of(temp.p, NULL);
    char *message = NULL;
    gr_status status = GR_OK;
    if (duckdb_open_ext(NULL, &duck->db, settings, &message) != DuckDBSuccess) {
        gr_error cause = {0};
        (void)!gr_engine_duckdb_fail(DUCKDB_ERROR_INVALID, message, &cause);
        status = gr_error_set(err, GR_ERR_ENGINE_OPEN, "the embedded engine does not start: %s", cause.message);
    } else if (duckdb_connect(duck->db, &duck->admin) != DuckDBSuccess) {
        status = gr_error_set(err, GR_ERR_ENGINE_OPEN, "the embedded engine does not start: no connection");
    } else if (!gr_engine_duckdb_register_zone(duck->admin) || !gr_engine_duckdb_register_round(duck->admin)) {
        status = gr_error_set(err, GR_ERR_ENGINE_OPEN, "the embedded engine does not start: granary_local is refused");
    } else if (!gr_engine_duckdb_register_sketch(duck->admin)) {
        status = gr_error_set(err, GR_ERR_ENGINE_OPEN, "the embedded engine does not start: granary_hll is refused");
    } else {
        status = gr_engine_duckdb_run(duck->admin, GR_STR("SET GLOBAL TimeZone = 'UTC'"), err);
        /* Wrong numbers of common_subplan and top_n: docs/decisions/0007. And 1.5.6 fails with "Failed to bind column
         * reference" on a LEFT JOIN whose filters its statistics find empty. */
        if (!status)
            status = gr_engine_duckdb_run(
                duck->admin,
                GR_STR("SET GLOBAL disabled_optimizers = 'compressed_materialization,common_subplan,top_n'"), err);
    }
    duckdb_free(message);
    duckdb_destroy_config(&settings);
    gr_arena_free(arena);
    return status;
}

/* ---- store --------------------------------------------------------------------------------------------------------
 */

static gr_status attach_store(gr_duckdb *duck, gr_error *err) {
    const char *file = duck->store_file;
    if (*file) GR_TRY(make_folder_of(file, err));
    gr_buf sql;
    gr_buf_init(&sql, 1 << 16);
    gr_buf_z(&sql, "ATTACH ");
    gr_engine_duckdb_add_literal(&sql, *file ? gr_str_from(file) : GR_STR(":memory:"));
    gr_buf_z(&sql, " AS granary_store");
    if (*file) gr_buf_z(&sql, " (TYPE duckdb)");
    gr_str text;
    gr_error cause = {0};
    gr_status status = gr_buf_finish(&sql, &text) ? gr_engine_duckdb_run(duck->admin, text, &cause) : GR_ERR_LIMIT;
    gr_buf_done(&sql);
    if (!status) return GR_OK;
    if (!gr_engine_duckdb_is_lock(cause.message))
        return gr_error_set(err, GR_ERR_STORE_IO, "the embedded store %s cannot be opened: %s", file, cause.message);
    long pid = gr_engine_duckdb_lock_pid(cause.message);
    gr_error_set(err, GR_ERR_STORE_LOCKED, "the embedded store %s belongs to another process", file);
    if (pid > 0) gr_error_hint(err, "process %ld holds it; stop it, or ask it over HTTP", pid);
    return GR_ERR_STORE_LOCKED;
}

static void duckdb_driver_close(gr_engine *engine) {
    if (!engine) return;
    gr_duckdb *duck = (gr_duckdb *)(void *)engine;
    gr_engine_duckdb_watch_stop(&duck->watch);
    duckdb_disconnect(&duck->admin);
    duckdb_close(&duck->db);
    delist(duck);
    for (gr_duckdb_source *s = duck->sources, *next; s; s = next) {
        next = s->next;
        free(s->name);
        free(s);
    }
    pthread_mutex_destroy(&duck->lock);
    free(duck->store_file);
    free(duck);
}

static gr_status duckdb_driver_open(const gr_engine_options *options, gr_engine **ret, gr_error *err) {
    gr_duckdb *duck = gr_mem_calloc(1, sizeof *duck);
    duck->base.driver = &gr_engine_duckdb_driver;
    duck->store_file = gr_mem_dup(options->store_file.p, options->store_file.n);
    if (!enlist(duck)) {
        gr_error_set(err, GR_ERR_STORE_LOCKED, "the embedded store %s is open in this process already",
                     duck->store_file);
        gr_error_hint(err, "process %ld holds it: this one", (long)getpid());
        free(duck->store_file);
        free(duck);
        return GR_ERR_STORE_LOCKED;
    }
    pthread_mutex_init(&duck->lock, NULL);
    gr_engine_duckdb_watch_start(&duck->watch);
    gr_status status = open_instance(duck, options->config, err);
    if (!status) status = attach_store(duck, err);
    if (status)
        duckdb_driver_close(&duck->base);
    else
        *ret = &duck->base;
    return status;
}

/* ---- connections --------------------------------------------------------------------------------------------------
 */

static gr_status add_use(gr_duckdb *duck, gr_str source, gr_buf *sql, gr_error *err) {
    if (!source.n) {
        gr_buf_z(sql, "USE granary_store.main");
        return GR_OK;
    }
    bool is_attached = false, is_folder = false, is_guest = false, divides_integers = false;
    pthread_mutex_lock(&duck->lock);
    for (gr_duckdb_source *s = duck->sources; s; s = s->next) {
        if (!gr_str_eq_z(source, s->name)) continue;
        is_attached = s->is_attached;
        is_folder = s->is_folder;
        is_guest = s->is_guest;
        divides_integers = s->divides_integers;
    }
    pthread_mutex_unlock(&duck->lock);
    if (is_guest) {
        gr_buf_z(sql,
                 divides_integers ? "SET integer_division = true; USE granary_store.main" : "USE granary_store.main");
        return GR_OK;
    }
    if (!is_attached)
        return gr_error_set(err, GR_ERR_ENGINE_OPEN, "data source \"" GR_FMT "\" is not attached", GR_ARG(source));
    gr_buf name;
    gr_buf_init(&name, 1 << 16);
    gr_buf_printf(&name, "src_" GR_FMT, GR_ARG(source));
    gr_buf_z(sql, is_folder ? "USE memory." : "USE ");
    gr_engine_duckdb_add_name(sql, gr_buf_str(&name));
    if (!is_folder) gr_buf_z(sql, ".main");
    gr_buf_done(&name);
    return GR_OK;
}

static gr_status set_up(gr_duckdb *duck, duckdb_connection handle, gr_str source, gr_error *err) {
    static const char *const statements[] = {
        "SET TimeZone = 'UTC'",
    };
    for (size_t i = 0; i < sizeof statements / sizeof *statements; i++)
        GR_TRY(gr_engine_duckdb_run(handle, gr_str_from(statements[i]), err));
    gr_buf sql;
    gr_buf_init(&sql, 1 << 17);
    gr_status status = add_use(duck, source, &sql, err);
    gr_str text;
    if (!status && !gr_buf_finish(&sql, &text))
        status = gr_error_set(err, GR_ERR_LIMIT, "the source's name is too long");
    if (!status) status = gr_engine_duckdb_run(handle, text, err);
    gr_buf_done(&sql);
    return status;
}

static gr_status duckdb_driver_connect(gr_engine *engine, gr_str source, gr_engine_conn **ret, gr_error *err) {
    gr_duckdb *duck = (gr_duckdb *)(void *)engine;
    duckdb_connection handle;
    if (duckdb_connect(duck->db, &handle) != DuckDBSuccess)
        return gr_error_set(err, GR_ERR_ENGINE_OPEN, "the embedded engine gives no connection");
    gr_status status = set_up(duck, handle, source, err);
    if (status) {
        duckdb_disconnect(&handle);
        return status;
    }
    gr_duckdb_conn *conn = gr_mem_calloc(1, sizeof *conn);
    conn->base = (gr_engine_conn){.driver = &gr_engine_duckdb_driver, .engine = engine};
    conn->handle = handle;
    *ret = &conn->base;
    return GR_OK;
}

static void duckdb_driver_disconnect(gr_engine_conn *base) {
    if (!base) return;
    gr_duckdb_conn *conn = (gr_duckdb_conn *)(void *)base;
    gr_engine_duckdb_stream_detach(conn);
    gr_engine_duckdb_forget(base);
    duckdb_disconnect(&conn->handle);
    free(conn);
}

static void duckdb_driver_interrupt(gr_engine_conn *base) {
    gr_duckdb_conn *conn = (gr_duckdb_conn *)(void *)base;
    atomic_store(&conn->is_interrupted, true);
    duckdb_interrupt(conn->handle);
}

static void duckdb_driver_reset(gr_engine_conn *base) {
    gr_duckdb_conn *conn = (gr_duckdb_conn *)(void *)base;
    gr_engine_duckdb_stream_detach(conn);
    if (conn->may_be_in_transaction) gr_engine_duckdb_rollback(conn->handle); /* it costs as much as a small query */
    conn->may_be_in_transaction = false;
}

gr_str gr_engine_duckdb_source_catalog(const gr_source_config *source, gr_arena *arena) {
    if (source->is_folder) return GR_STR("memory");
    return gr_arena_printf(arena, "src_" GR_FMT, GR_ARG(source->name));
}

const gr_engine_driver gr_engine_duckdb_driver = {
    .name = "duckdb",
    .dialect = "duckdb",
    .caps = GR_ENGINE_CAP_STREAM | GR_ENGINE_CAP_BIND | GR_ENGINE_CAP_CTAS_STORE | GR_ENGINE_CAP_PROGRESS,
    .open = duckdb_driver_open,
    .close = duckdb_driver_close,
    .attach = gr_engine_duckdb_attach,
    .connect = duckdb_driver_connect,
    .disconnect = duckdb_driver_disconnect,
    .query = gr_engine_duckdb_query,
    .update = gr_engine_duckdb_update,
    .load = gr_engine_duckdb_load,
    .describe = gr_engine_duckdb_describe,
    .interrupt = duckdb_driver_interrupt,
    .forget_statements = gr_engine_duckdb_forget,
    .reset = duckdb_driver_reset,
};
