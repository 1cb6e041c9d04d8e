/* granary doctor: looks at each thing that Granary stands on, and says of each that is not right what to do. Goes on
 * after a failure, so that one run shows all of them. */
#include "catalog/catalog.h"
#include "cli/door.h"
#include "cli/table.h"
#include "cli/version.h"
#include "config/events.h"
#include "engine/engine.h"
#include "serve/serve.h"

#include <curl/curl.h>
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

typedef enum verdict { IS_OK, IS_WARNING, IS_FAILURE } verdict;
static const char *const verdict_names[] = {"ok", "warning", "FAILED"};

typedef struct finding {
    verdict verdict;
    gr_str what, detail, repair;
} finding;

typedef struct doctor {
    gr_cli *cli;
    gr_arena *arena;
    const gr_config *config;
    bool is_served; /* a server runs on this store */
    gr_server_info server;
    GR_VEC(finding) findings;
} doctor;

static void found(doctor *d, verdict v, gr_str what, gr_str detail, const char *repair) {
    GR_PUSH(d->arena, &d->findings, (finding){v, what, detail, gr_str_from(repair)});
}

static void found_error(doctor *d, gr_str what, const gr_error *error, const char *repair) {
    gr_str detail = gr_arena_printf(d->arena, "%s [%s]", error->message, gr_error_info_of(error->status)->id);
    gr_str hint = *error->hint ? gr_arena_dup(d->arena, gr_str_from(error->hint)) : gr_str_from(repair);
    GR_PUSH(d->arena, &d->findings, (finding){IS_FAILURE, what, detail, hint});
}

/* ---- what is looked at --------------------------------------------------------------------------------------------
 */

static void look_at_server(doctor *d) {
    gr_error err = {0};
    if (gr_cli_server_find(d->config, d->arena, &d->server, &d->is_served, &err)) {
        found_error(d, GR_STR("server"), &err, "check the rights of the storage folder");
        return;
    }
    if (d->is_served)
        found(d, IS_OK, GR_STR("server"),
              gr_arena_printf(d->arena, "process %lld answers on " GR_FMT, (long long)d->server.pid,
                              GR_ARG(d->server.url)),
              "");
    else
        found(d, IS_OK, GR_STR("server"), GR_STR("none runs on this store"), "");
}

static void look_at_model(doctor *d) {
    gr_diags diags;
    gr_error err = {0};
    gr_serve *serve = NULL;
    gr_diags_init(&diags, d->arena);
    gr_status status = gr_serve_open(d->config, (gr_serve_options){.is_check_only = true}, &diags, &serve, &err);
    if (status && diags.n_errors == 0) {
        found_error(d, GR_STR("model"), &err, "set `model` in granary.yml to the folder of the *.yml files");
        return;
    }
    gr_str counts = gr_arena_printf(d->arena, "%zu errors, %zu warnings", diags.n_errors, diags.n_warnings);
    if (status)
        found(d, IS_FAILURE, GR_STR("model"), counts, "granary check shows them with their places");
    else if (diags.n_warnings)
        found(d, IS_WARNING, GR_STR("model"), counts, "granary check shows them with their places");
    else
        found(d, IS_OK, GR_STR("model"), counts, "");
    if (!status) gr_serve_close(serve);
}

/* One row of one text column, for the looks below. `about`: the value of $1, or NULL. */
static gr_status ask_about(gr_engine_conn *conn, gr_arena *arena, gr_str sql, const gr_value *about, gr_str *ret,
                           gr_error *err) {
    gr_ctx ctx = {.arena = arena, .is_cancelled = &gr_cli_is_interrupted, .now_us = gr_clock_now_us()};
    gr_stream *stream;
    gr_table *table;
    GR_TRY(conn->driver->query(conn, &ctx, sql, about, about != NULL, false, &stream, err));
    gr_status status = gr_table_read(stream, 1, arena, &table, err);
    stream->close(stream);
    GR_TRY(status);
    *ret = table->n_rows ? table->cells[0].text : GR_STR("");
    return GR_OK;
}

static gr_status ask_engine(gr_engine_conn *conn, gr_arena *arena, gr_str sql, gr_str *ret, gr_error *err) {
    return ask_about(conn, arena, sql, NULL, ret, err);
}

/* What is asked of a source of each kind: its version, and how many tables a name without schema may mean. */
typedef struct questions {
    const char *product, *version, *tables, *extra; /* extra: a note, or no row; NULL: none */
    const char *rights;                             /* a note on who may make tables; NULL: none */
    const char *empty;                              /* what to do without tables */
} questions;

static const questions questions_of[GR_SOURCE_KIND__COUNT] = {
    [GR_SOURCE_DUCKDB] = {"", "SELECT ''",
                          "SELECT count(*)::VARCHAR FROM information_schema.tables WHERE table_catalog = "
                          "current_database() AND table_schema = current_schema()",
                          NULL, NULL,
                          "point its path at a DuckDB file with tables, or at a folder of Parquet, CSV or JSON files"},
    [GR_SOURCE_POSTGRES] = {"PostgreSQL ", "SELECT current_setting('server_version')",
                            "SELECT CAST(count(*) AS text) FROM information_schema.tables WHERE table_schema = "
                            "ANY(current_schemas(false))",
                            "SELECT CASE WHEN extname = 'hll' THEN 'sketches by the extension hll ' ELSE 'distributed "
                            "by Citus ' END || extversion FROM pg_catalog.pg_extension WHERE extname IN ('hll', "
                            "'citus') ORDER BY extname DESC LIMIT 1",
                            "SELECT 'the user ' || CASE WHEN has_database_privilege(current_database(), 'CREATE') THEN "
                            "'may' ELSE 'may not' END || ' create schemas for rollups'",
                            "set `schema` of the source, or grant this user the right to read the tables"},
    [GR_SOURCE_CLICKHOUSE] = {"ClickHouse ", "SELECT version()",
                              "SELECT toString(count()) FROM system.tables WHERE database = currentDatabase()", NULL,
                              "SELECT if(value = '1', 'the user may not set anything, which queries need', if(value = "
                              "'2', 'the user may not make rollups', '')) FROM system.settings WHERE name = 'readonly'",
                              "set `database` of the source, or grant this user the right to read the tables"},
};

static gr_status ask_source(gr_engine *engine, const gr_source_config *source, gr_arena *arena, gr_str *ret_text,
                            gr_str *ret_tables, gr_error *err) {
    const questions *q = &questions_of[source->kind];
    gr_engine_conn *conn;
    gr_str version, extra = {0}, rights = {0};
    GR_TRY(engine->driver->attach(engine, source, false, err));
    GR_TRY(engine->driver->connect(engine, source->name, &conn, err));
    gr_status status = ask_engine(conn, arena, gr_str_from(q->version), &version, err);
    if (!status) status = ask_engine(conn, arena, gr_str_from(q->tables), ret_tables, err);
    if (!status && q->extra) status = ask_engine(conn, arena, gr_str_from(q->extra), &extra, err);
    if (!status && q->rights) status = ask_engine(conn, arena, gr_str_from(q->rights), &rights, err);
    engine->driver->disconnect(conn);
    if (!status)
        *ret_text = gr_arena_printf(arena, "%s" GR_FMT "%s" GR_FMT "%s" GR_FMT, q->product, GR_ARG(version),
                                    extra.n ? ", " : "", GR_ARG(extra), rights.n ? ", " : "", GR_ARG(rights));
    return status;
}

static gr_status try_source(gr_engine *duckdb, const gr_config *config, const gr_source_config *source, gr_arena *arena,
                            gr_str *ret_text, gr_str *ret_tables, gr_error *err) {
    if (source->kind == GR_SOURCE_DUCKDB) return ask_source(duckdb, source, arena, ret_text, ret_tables, err);
    const gr_engine_driver *driver = gr_engine_driver_of(source->kind);
    gr_engine *engine;
    GR_TRY(driver->open(&(gr_engine_options){.config = config}, &engine, err));
    gr_status status = ask_source(engine, source, arena, ret_text, ret_tables, err);
    driver->close(engine);
    return status;
}

static void look_at_source(doctor *d, gr_engine *engine, const gr_source_config *source) {
    gr_str what = gr_arena_printf(d->arena, "source " GR_FMT, GR_ARG(source->name)), tables = {0}, text = {0};
    gr_error err = {0};
    bool is_server = source->kind != GR_SOURCE_DUCKDB;
    gr_status status = try_source(engine, d->config, source, d->arena, &text, &tables, &err);
    gr_str place = is_server ? text : source->path;
    /* A server that writes pre-aggregations beside the data holds the file for itself, as it should. */
    if (status == GR_ERR_ENGINE_LOCKED && d->is_served && !is_server)
        found(d, IS_OK, what, GR_STR("held by the running server"), "");
    else if (status)
        found_error(d, what, &err,
                    is_server ? "check the source's address and user in granary.yml, and that the server runs"
                              : "check data_sources in granary.yml, and that the path can be read");
    else if (gr_str_eq_z(tables, "0") && !gr_str_eq(source->name, d->config->storage_store))
        found(d, IS_WARNING, what, gr_arena_printf(d->arena, GR_FMT " has no tables", GR_ARG(place)),
              questions_of[source->kind].empty);
    else
        found(d, IS_OK, what,
              is_server ? gr_arena_printf(d->arena, GR_FMT ", " GR_FMT " tables", GR_ARG(place), GR_ARG(tables))
                        : gr_arena_printf(d->arena, GR_FMT " tables in " GR_FMT, GR_ARG(tables), GR_ARG(place)),
              "");
}

/* Each by itself, and whether the servers know the cluster. */
static void look_at_nodes(doctor *d, const gr_source_config *source) {
    for (size_t i = 0; i < source->n_nodes; i++) {
        gr_source_config node = *source;
        gr_str what = gr_arena_printf(d->arena, "source " GR_FMT ", node " GR_FMT, GR_ARG(source->name),
                                      GR_ARG(source->nodes[i]));
        gr_str text = {0}, shards = {0};
        gr_error err = {0};
        node.url.value = source->nodes[i];
        node.database = node.schema = (gr_str){0}; /* need not be there */
        node.n_nodes = 0;
        const gr_engine_driver *driver = gr_engine_driver_of(source->kind);
        gr_engine *engine;
        gr_engine_conn *conn = NULL;
        gr_status status = driver->open(&(gr_engine_options){.config = d->config}, &engine, &err);
        bool is_open = !status;
        if (!status) status = driver->attach(engine, &node, false, &err);
        if (!status) status = driver->connect(engine, node.name, &conn, &err);
        if (!status) status = ask_engine(conn, d->arena, GR_STR("SELECT version()"), &text, &err);
        gr_str ask = GR_STR("SELECT toString(count()) FROM system.clusters WHERE cluster = $1");
        const gr_value cluster = {.type = GR_TYPE_UTF8, .as.s = source->cluster};
        if (!status) status = ask_about(conn, d->arena, ask, &cluster, &shards, &err);
        if (conn) driver->disconnect(conn);
        if (is_open) driver->close(engine);
        if (status)
            found_error(d, what, &err, "check `nodes` of the source, and that the server runs");
        else if (gr_str_eq_z(shards, "0"))
            found(d, IS_FAILURE, what,
                  gr_arena_printf(d->arena, "it does not know the cluster '" GR_FMT "'", GR_ARG(source->cluster)),
                  "set `cluster` to a name in remote_servers of the servers");
        else
            found(d, IS_OK, what,
                  gr_arena_printf(d->arena, "ClickHouse " GR_FMT ", " GR_FMT " servers in the cluster '" GR_FMT "'",
                                  GR_ARG(text), GR_ARG(shards), GR_ARG(source->cluster)),
                  "");
    }
}

static void look_at_sources(doctor *d, gr_engine *engine) {
    for (size_t i = 0; i < d->config->n_sources; i++) {
        look_at_source(d, engine, &d->config->sources[i]);
        look_at_nodes(d, &d->config->sources[i]);
    }
}

static void look_at_engine(doctor *d) {
    const gr_engine_driver *driver = &gr_engine_duckdb_driver;
    gr_engine_options options = {.config = d->config};
    gr_engine *engine;
    gr_engine_conn *conn;
    gr_error err = {0};
    gr_str version = {0};
    if (driver->open(&options, &engine, &err)) {
        found_error(d, GR_STR("engine"), &err, "the DuckDB library does not work: run scripts/setup and build again");
        return;
    }
    if (!driver->connect(engine, GR_STR(""), &conn, &err)) {
        if (ask_engine(conn, d->arena, GR_STR("SELECT version()"), &version, &err))
            found_error(d, GR_STR("engine"), &err, "");
        else
            found(d, IS_OK, GR_STR("engine"), gr_arena_printf(d->arena, "DuckDB " GR_FMT, GR_ARG(version)), "");
        driver->disconnect(conn);
    }
    look_at_sources(d, engine);
    driver->close(engine);
}

static void look_at_store(doctor *d) {
    gr_str folder = gr_cli_config_path(d->config, d->config->state_dir, d->arena);
    gr_str probe = gr_arena_printf(d->arena, GR_FMT "/.doctor", GR_ARG(folder));
    gr_error err = {0};
    gr_status status = gr_cli_make_dir(folder, &err);
    if (!status) status = gr_cli_write_file(probe, GR_STR("granary\n"), 0600, &err);
    if (status) {
        found_error(d, GR_STR("store"), &err,
                    "give this user the right to write there, or set storage.path to another folder");
        return;
    }
    unlink(probe.p);
    found(d, IS_OK, GR_STR("store"), gr_arena_printf(d->arena, GR_FMT " can be written", GR_ARG(folder)), "");
}

static void look_at_catalog(doctor *d) {
    gr_error err = {0};
    gr_str place;
    if (!d->config->catalog_postgres.value.n) return; /* a file in the store's folder */
    if (gr_catalog_reach(d->config->catalog_postgres.value, d->arena, &place, &err))
        found_error(d, GR_STR("catalog"), &err, "check catalog.postgres (GRANARY_CATALOG_POSTGRES)");
    else
        found(d, IS_OK, GR_STR("catalog"), gr_arena_printf(d->arena, GR_FMT " answers", GR_ARG(place)), "");
}

/* Whether they answer is not tried: they would take it for an event. */
static void look_at_webhooks(doctor *d) {
    for (size_t i = 0; i < d->config->n_webhooks; i++) {
        const gr_webhook_config *hook = &d->config->webhooks[i];
        int n = 0;
        for (unsigned k = 0; k < GR_EVENT__COUNT; k++) n += hook->events >> k & 1;
        found(d, IS_OK, gr_arena_printf(d->arena, "webhook %zu", i),
              gr_arena_printf(d->arena, GR_FMT " is told of %d of %d kinds of events, %s", GR_ARG(hook->origin), n,
                              (int)GR_EVENT__COUNT, hook->secret.value.n ? "signed" : "not signed"),
              "");
    }
}

static void look_at_safety(doctor *d) {
    if (!d->config->api_secret.value.n)
        found(d, IS_WARNING, GR_STR("access"),
              GR_STR("no API secret: everybody on this machine may ask; loopback only"),
              "set GRANARY_API_SECRET before others are to use it");
    else if (d->config->dev_mode)
        found(d, IS_WARNING, GR_STR("access"), GR_STR("dev_mode is on: tokens are not enforced"),
              "switch dev_mode off");
    else
        found(d, IS_OK, GR_STR("access"), GR_STR("tokens are enforced"), "");
}

static void look_at_versions(doctor *d) {
    found(d, IS_OK, GR_STR("versions"),
          gr_arena_printf(d->arena, "granary " GR_VERSION ", jansson " JANSSON_VERSION ", libcurl %s",
                          curl_version_info(CURLVERSION_NOW)->version),
          "");
}

/* ---- what is printed ----------------------------------------------------------------------------------------------
 */

static void print_settings(const doctor *d, gr_buf *out) {
    const gr_cli_column columns[] = {
        {GR_STR("setting"), GR_ALIGN_LEFT}, {GR_STR("value"), GR_ALIGN_LEFT}, {GR_STR("variable"), GR_ALIGN_LEFT}};
    size_t n;
    const gr_setting_info *settings = gr_config_settings(&n);
    gr_cli_table *table = gr_cli_table_new(d->arena, columns, 3);
    for (size_t i = 0; i < n; i++) {
        gr_str cells[] = {gr_str_from(settings[i].yaml_path), gr_config_value_text(d->config, i, d->arena),
                          gr_str_from(settings[i].env)};
        gr_cli_table_row(table, cells);
    }
    gr_buf_printf(out, "Configuration: " GR_FMT "\n\n", GR_ARG(d->config->file));
    gr_cli_table_print(table, GR_CLI_CELL_WIDTH, out);
    gr_buf_char(out, '\n');
}

static void print_people(const doctor *d, gr_buf *out) {
    print_settings(d, out);
    for (size_t i = 0; i < d->findings.n; i++) {
        const finding *f = &d->findings.v[i];
        gr_buf_printf(out, "%-8s " GR_FMT ": " GR_FMT "\n", verdict_names[f->verdict], GR_ARG(f->what),
                      GR_ARG(f->detail));
        if (f->verdict != IS_OK && f->repair.n) gr_buf_printf(out, "         -> " GR_FMT "\n", GR_ARG(f->repair));
    }
}

static void print_json(const doctor *d, gr_buf *out) {
    size_t n;
    const gr_setting_info *settings = gr_config_settings(&n);
    gr_jw w;
    gr_jw_init(&w, out);
    gr_jw_object(&w);
    gr_jw_key_str(&w, "file", d->config->file);
    gr_jw_key(&w, GR_STR("settings"));
    gr_jw_object(&w);
    for (size_t i = 0; i < n; i++)
        gr_jw_key_str(&w, settings[i].yaml_path, gr_config_value_text(d->config, i, d->arena));
    gr_jw_object_end(&w);
    gr_jw_key(&w, GR_STR("findings"));
    gr_jw_array(&w);
    for (size_t i = 0; i < d->findings.n; i++) {
        const finding *f = &d->findings.v[i];
        static const char *const names[] = {"ok", "warning", "failure"};
        gr_jw_object(&w);
        gr_jw_key_str(&w, "what", f->what);
        gr_jw_key_str(&w, "verdict", gr_str_from(names[f->verdict]));
        gr_jw_key_str(&w, "detail", f->detail);
        if (f->repair.n) gr_jw_key_str(&w, "repair", f->repair);
        gr_jw_object_end(&w);
    }
    gr_jw_array_end(&w);
    gr_jw_object_end(&w);
    gr_buf_char(out, '\n');
}

gr_status gr_cli_run_doctor(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    gr_config *config;
    GR_TRY(gr_cli_config(cli, &config, err));
    doctor d = {.cli = cli, .arena = cli->arena, .config = config};
    look_at_server(&d);
    look_at_model(&d);
    look_at_engine(&d);
    look_at_store(&d);
    look_at_catalog(&d);
    look_at_webhooks(&d);
    look_at_safety(&d);
    look_at_versions(&d);
    for (size_t i = 0; i < d.findings.n; i++)
        if (d.findings.v[i].verdict == IS_FAILURE) *ret_exit = GR_EXIT_ENVIRONMENT;
    gr_buf out;
    gr_buf_init(&out, 1 << 20);
    if (cli->args.has[GR_FLAG_JSON])
        print_json(&d, &out);
    else
        print_people(&d, &out);
    gr_status status = gr_cli_print(&out, err);
    gr_buf_done(&out);
    return status;
}
