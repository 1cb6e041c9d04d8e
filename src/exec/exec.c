/* Opening and closing, taking models into service, running statements. */
#include "exec/internal.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static gr_status make_state_dir(gr_str dir, gr_error *err) {
    char path[4096];
    if (dir.n >= sizeof path) return gr_error_set(err, GR_ERR_STORE_IO, "the storage path is too long");
    memcpy(path, dir.p, dir.n);
    path[dir.n] = 0;
    if (mkdir(path, 0700) == 0 || errno == EEXIST) return GR_OK;
    gr_status status = gr_error_set(err, GR_ERR_STORE_IO, "The storage folder '%s' cannot be made (%s)", path,
                                    errno == EROFS    ? "read-only file system"
                                    : errno == EACCES ? "no permission"
                                    : errno == ENOENT ? "its parent does not exist"
                                                      : "system error");
    gr_error_hint(err, "set storage.path (GRANARY_STORAGE_PATH) to a folder that can be written");
    return status;
}

static gr_str absolute(const gr_config *config, gr_str dir, gr_arena *arena) {
    if (dir.n && dir.p[0] == '/') return gr_arena_dup(arena, dir);
    return gr_arena_printf(arena, GR_FMT "/" GR_FMT, GR_ARG(config->root), GR_ARG(dir));
}

static gr_status open_catalog(gr_exec *exec, gr_str dir, gr_error *err) {
    const gr_config *config = exec->config;
    char host[256] = "localhost";
    gethostname(host, sizeof host - 1);
    gr_catalog_options options = {
        .file = gr_arena_printf(exec->arena, GR_FMT "/catalog.sqlite", GR_ARG(dir)),
        .postgres = config->catalog_postgres.value,
        .schema = config->catalog_schema,
        .server = gr_arena_printf(exec->arena, "%s:%ld", host, (long)getpid()),
        .store = exec->shared_dir.n ? exec->shared_dir : gr_arena_printf(exec->arena, "%s:" GR_FMT, host, GR_ARG(dir)),
        .is_store_shared = exec->shared_dir.n > 0};
    return gr_catalog_open(&options, &exec->catalog, err);
}

static gr_status open_store(gr_exec *exec, const gr_engine_driver *driver, gr_str dir, gr_error *err) {
    const gr_config *config = exec->config;
    gr_engine_options options = {config, gr_arena_printf(exec->arena, GR_FMT "/store.duckdb", GR_ARG(dir))};
    GR_TRY(make_state_dir(dir, err));
    if (config->storage_shared) {
        gr_str tables = config->storage_tables;
        exec->shared_dir = tables.n ? absolute(config, tables, exec->arena)
                                    : gr_arena_printf(exec->arena, GR_FMT "/tables", GR_ARG(dir));
        GR_TRY(make_state_dir(exec->shared_dir, err));
        options.store_file = (gr_str){0}; /* nothing is kept in it */
    }
    GR_TRY(driver->open(&options, &exec->engine, err));
    exec->pool = gr_pool_new(exec->engine, (size_t)config->engine_connections);
    return gr_exec_places_open(exec, err);
}

gr_status gr_exec_open(const gr_config *config, gr_exec **ret, gr_error *err) {
    return gr_exec_open_on(config, &gr_engine_duckdb_driver, ret, err);
}

gr_status gr_exec_open_on(const gr_config *config, const gr_engine_driver *driver, gr_exec **ret, gr_error *err) {
    gr_exec *exec = gr_mem_calloc(1, sizeof *exec);
    exec->config = config;
    exec->arena = gr_arena_new();
    exec->dialect = gr_dialect_get(gr_str_from(driver->dialect));
    pthread_mutex_init(&exec->define, NULL);
    pthread_mutex_init(&exec->publish, NULL);
    pthread_mutex_init(&exec->mutex, NULL);
    pthread_mutex_init(&exec->watch_lock, NULL);
    pthread_cond_init(&exec->watch_wake, NULL);
    gr_str dir = absolute(config, config->state_dir, exec->arena);
    gr_status status = open_store(exec, driver, dir, err);
    if (!status) status = open_catalog(exec, dir, err);
    if (status)
        gr_exec_close(exec);
    else
        *ret = exec;
    return status;
}

void gr_exec_close(gr_exec *exec) {
    if (!exec) return;
    gr_exec_watch_stop(exec);
    if (exec->catalog) gr_exec_hits_flush(exec);
    if (exec->current) gr_exec_snapshot_unref(&exec->current->pub);
    for (gr_exec_failure *f = exec->failures; f;) {
        gr_exec_failure *next = f->next;
        free(f);
        f = next;
    }
    gr_exec_places_close(exec);
    gr_pool_free(exec->pool);
    if (exec->engine) exec->engine->driver->close(exec->engine);
    gr_catalog_close(exec->catalog);
    pthread_mutex_destroy(&exec->define);
    pthread_mutex_destroy(&exec->publish);
    pthread_mutex_destroy(&exec->mutex);
    pthread_mutex_destroy(&exec->watch_lock);
    pthread_cond_destroy(&exec->watch_wake);
    gr_arena_free(exec->arena);
    free(exec);
}

const gr_sql_places *gr_exec_places(const gr_exec *exec) { return &exec->places; }
gr_catalog *gr_exec_catalog(const gr_exec *exec) { return exec->catalog; }

static bool lives_in_source(const gr_config *config, const gr_model *model, gr_str source) {
    gr_arena *scratch = gr_arena_new();
    gr_plan_defaults defaults = gr_exec_plan_defaults(config, scratch);
    bool is_any = false, is_external;
    for (size_t i = 0; i < model->n_preaggs; i++) {
        const gr_preagg *p = model->preaggs[i];
        bool is_here = gr_str_eq(gr_plan_place_of(p, defaults, &is_external), source);
        is_any |= is_here && !p->external.n && (p->type == GR_PREAGG_ROLLUP || is_external);
    }
    gr_arena_free(scratch);
    return is_any;
}

static void check_place(const gr_config *config, const gr_preagg *p, gr_plan_defaults defaults, gr_diags *diags) {
    bool is_external;
    gr_str place = gr_plan_place_of(p, defaults, &is_external);
    const gr_source_config *source = gr_config_source(config, place);
    if (!place.n || p->external.n) return;
    if (!source) {
        if (!is_external) return; /* told of the cube */
        gr_diag *d = gr_diags_error(diags, GR_ERR_MODEL_UNRESOLVED, p->loc,
                                    "'" GR_FMT "' is to be kept in '" GR_FMT "': there is no such data source",
                                    GR_ARG(p->id), GR_ARG(place));
        d->hint = GR_STR("`store` and storage.store name one of data_sources in granary.yml");
        return;
    }
    if (!source->is_folder && source->read_only != GR_TRUE) return;
    gr_diag *d = gr_diags_error(
        diags, GR_ERR_MODEL_INVALID, p->loc, "'" GR_FMT "' is to live in the %s, and '" GR_FMT "' cannot be written",
        GR_ARG(p->id), is_external ? "data source that it names" : "source (external: false)", GR_ARG(source->name));
    d->hint = source->is_folder ? GR_STR("a folder of files has no place for tables: leave out `external: false`")
                                : GR_STR("set read_only: false on the data source, or leave out `external: false`");
}

static void check_source(const gr_config *config, const gr_cube *cube, gr_plan_defaults defaults, gr_diags *diags) {
    if (!gr_config_source(config, cube->data_source)) {
        gr_diag *d = gr_diags_error(diags, GR_ERR_MODEL_UNRESOLVED, cube->loc,
                                    "cube '" GR_FMT "': there is no data source '" GR_FMT "'", GR_ARG(cube->name),
                                    GR_ARG(cube->data_source));
        d->hint = GR_STR("name one of data_sources in granary.yml");
    }
    for (size_t i = 0; i < cube->n_preaggs; i++) check_place(config, cube->preaggs[i], defaults, diags);
}

/* Queries are answered without them, so that they are no errors. */
static void warn_unbuildable(const gr_model *model, const gr_plan_index *index, gr_diags *diags) {
    for (size_t i = 0; i < model->n_preaggs; i++) {
        const gr_rollup *r = gr_plan_index_rollup(index, model->preaggs[i]);
        if (r->can_build || (r->preagg->filters && diags->n_errors)) continue;
        gr_diag *d = gr_diags_warn(diags, GR_ERR_MODEL_INVALID, r->preagg->loc, "'" GR_FMT "' cannot be built: " GR_FMT,
                                   GR_ARG(r->preagg->id), GR_ARG(r->problem_text));
        d->hint = GR_STR("queries are answered without it");
    }
}

gr_status gr_exec_check_model(const gr_config *config, const gr_model *model, gr_diags *diags, gr_error *err) {
    size_t n_errors = diags->n_errors;
    gr_arena *scratch = gr_arena_new();
    gr_plan_defaults defaults = gr_exec_plan_defaults(config, scratch);
    for (size_t i = 0; i < model->n_cubes; i++)
        if (!model->cubes[i]->is_view) check_source(config, model->cubes[i], defaults, diags);
    gr_plan_index *index = gr_plan_index_new(model, defaults, diags, scratch); /* static filters are read here */
    warn_unbuildable(model, index, diags);
    gr_arena_free(scratch);
    if (diags->n_errors > n_errors)
        return gr_error_set(err, GR_ERR_MODEL_INVALID_SET, "The model does not fit the configuration: " GR_FMT,
                            GR_ARG(diags->list.v[diags->list.n - 1].message));
    return GR_OK;
}

static gr_status take_base_once(gr_exec *exec, gr_exec_base *files, bool is_lenient, gr_error *err) {
    gr_arena *scratch = gr_arena_new();
    gr_exec_definitions definitions;
    gr_exec_rows rows;
    gr_exec_base *base = NULL, *old = gr_exec_base_ref_current(exec);
    gr_status status = gr_catalog_scan(exec->catalog, scratch, &rows.v, &rows.n, err);
    if (!status) {
        gr_exec_definitions_read(&rows, scratch, &definitions);
        base = gr_exec_base_extend(exec, files, &definitions);
        base->is_lenient = is_lenient;
        status = gr_exec_entries_make(exec, base, old, &rows, err);
    }
    if (!status) status = gr_exec_declare_all(exec, base, err);
    if (!status) status = gr_exec_publish(exec, base, NULL, 0, err);
    gr_exec_base_unref(base);
    gr_exec_base_unref(old);
    gr_arena_free(scratch);
    return status;
}

/* With the definitions that the catalog has: declared, and published. Another server may widen one in between; whatever
 * the catalog holds, a model comes into service. */
static gr_status take_base(gr_exec *exec, gr_exec_base *files, gr_error *err) {
    enum { TRIES = 5 };
    gr_status status = take_base_once(exec, files, false, err);
    for (int i = 1; i < TRIES && status == GR_ERR_NODE_CHANGED; i++)
        status = take_base_once(exec, files, i == TRIES - 1, err);
    return status;
}

/* Files outrank what was made by API, so that a server starts whatever is in them. The cube's definition stays in its
 * revisions, its entities stay in service. */
static gr_status give_way(gr_exec *exec, const gr_model *model, gr_diags *diags, gr_error *err) {
    gr_arena *scratch = gr_arena_new();
    gr_node_row *cubes;
    size_t n = 0;
    gr_actor actor = {gr_clock_now_us(), {0}};
    gr_status status = gr_catalog_nodes(exec->catalog, 1u << GR_NODE_CUBE, scratch, &cubes, &n, err);
    for (size_t i = 0; !status && i < n; i++) {
        const gr_cube *cube = gr_model_cube(model, cubes[i].decl.name);
        if (!cube || cube->is_view) continue;
        status = gr_catalog_cube_delete(exec->catalog, cube->name, actor, err);
        gr_diags_warn(diags, GR_ERR_NODE_EXISTS, cube->loc,
                      "cube '" GR_FMT "' takes the place of a cube of this name that was made by API",
                      GR_ARG(cube->name));
    }
    gr_arena_free(scratch);
    return status;
}

gr_status gr_exec_set_model(gr_exec *exec, gr_model *model, gr_diags *diags, gr_error *err) {
    GR_TRY(gr_exec_check_model(exec->config, model, diags, err));
    for (size_t i = 0; i < exec->config->n_sources; i++) {
        const gr_source_config *source = &exec->config->sources[i];
        GR_TRY(gr_exec_places_attach(exec, source, lives_in_source(exec->config, model, source->name), err));
    }
    gr_exec_base *current = gr_exec_base_ref_current(exec);
    bool is_first = !current;
    gr_exec_base_unref(current);
    if (is_first) GR_TRY(gr_exec_sweep(exec, err));
    if (is_first) GR_TRY(give_way(exec, model, diags, err));
    pthread_mutex_lock(&exec->define);
    gr_exec_base *files = gr_exec_base_new(exec, model, diags);
    gr_status status = take_base(exec, files, err);
    gr_exec_base_unref(files);
    pthread_mutex_unlock(&exec->define);
    if (is_first && !status) gr_exec_watch_start(exec);
    return status;
}

gr_status gr_exec_rescan(gr_exec *exec, bool *ret_wants_model, gr_error *err) {
    gr_exec_base *base = gr_exec_base_ref_current(exec);
    *ret_wants_model = base && (base->files ? base->files : base)->has_unknown_types;
    gr_exec_base_unref(base);
    for (size_t i = 0; i < exec->config->n_sources; i++)
        if (exec->config->sources[i].is_folder)
            GR_TRY(exec->engine->driver->attach(exec->engine, &exec->config->sources[i], false, err));
    return GR_OK;
}

/* An entity of ours that somebody removed, and perhaps made anew under another id: it is declared again. */
static bool has_lost_rows(const gr_exec_base *base, const gr_exec_rows *rows, gr_arena *scratch) {
    gr_map ids;
    gr_map_init(&ids, scratch);
    for (size_t i = 0; i < rows->n; i++)
        gr_map_put(&ids, gr_arena_printf(scratch, "%lld", (long long)rows->v[i].id), &rows->v[i]);
    for (size_t i = 0; i < base->entries.n; i++) {
        int64_t id = base->entries.v[i].entity_id;
        if (id && !gr_map_get(&ids, gr_arena_printf(scratch, "%lld", (long long)id))) return true;
    }
    return false;
}

/* Definitions that changed make another base; else what is built is read anew. */
gr_status gr_exec_refresh(gr_exec *exec, gr_error *err) {
    gr_arena *scratch = gr_arena_new();
    gr_exec_definitions definitions;
    gr_exec_rows rows;
    pthread_mutex_lock(&exec->define);
    gr_exec_base *now = gr_exec_base_ref_current(exec);
    gr_status status = now ? gr_catalog_scan(exec->catalog, scratch, &rows.v, &rows.n, err) : GR_OK;
    if (!status && now) {
        gr_exec_definitions_read(&rows, scratch, &definitions);
        gr_str key = gr_exec_definitions_key(&definitions, scratch);
        bool is_same = gr_str_eq(key, now->definitions_key) && !has_lost_rows(now, &rows, scratch);
        status = is_same ? gr_exec_publish(exec, NULL, NULL, 0, err) : take_base(exec, now, err);
    }
    gr_exec_base_unref(now);
    pthread_mutex_unlock(&exec->define);
    gr_arena_free(scratch);
    return status;
}

gr_status gr_exec_drop_tables(gr_exec *exec, const gr_doomed_table *tables, size_t n, gr_error *err) {
    return gr_exec_publish(exec, NULL, tables, n, err);
}

static gr_status describe(gr_exec *exec, gr_str data_source, gr_str probe, gr_arena *arena, gr_column_schema **ret,
                          size_t *ret_n, gr_error *err) {
    gr_ctx ctx = {.arena = arena, .now_us = gr_clock_now_us()};
    gr_engine_conn *conn;
    GR_TRY(gr_exec_take(exec, &ctx, data_source, true, &conn, err));
    gr_status status = conn->driver->describe(conn, probe, arena, ret, ret_n, err);
    gr_exec_give(exec, conn);
    return status;
}

gr_status gr_exec_describe_table(gr_exec *exec, gr_str data_source, gr_str table_text, gr_arena *arena,
                                 gr_column_schema **ret, size_t *ret_n, gr_error *err) {
    gr_str probe = gr_arena_printf(arena, "SELECT * FROM " GR_FMT " AS \"p\"", GR_ARG(table_text));
    gr_status status = describe(exec, data_source, probe, arena, ret, ret_n, err);
    const gr_source_config *source = gr_config_source(exec->config, data_source);
    if (status != GR_ERR_ENGINE_SQL || !source || !source->is_folder) return status;
    GR_TRY(exec->engine->driver->attach(exec->engine, source, false, err)); /* a file may have come since it was read */
    return describe(exec, data_source, probe, arena, ret, ret_n, err);
}
