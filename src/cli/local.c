/* The door into this process: model, engine and store are opened here, and the answers are made by the encoders of the
 * HTTP API. Builds are waited for in short steps, so that Ctrl-C and the bar are seen to. */
#include "cli/door.h"

#include "cli/progress.h"
#include "http/cube.h"
#include "http/dj.h"

#include <stdlib.h>
#include <time.h>

enum { STEP_US = 50000, MOST_BUILDS_OF_A_QUERY = 64, LOCK_TRIES = 20, LOCK_PAUSE_MS = 100 };

typedef struct local_door {
    gr_door door;
    gr_cli *cli;
    const gr_config *config;
    gr_serve *serve;
} local_door;

static gr_ctx new_ctx(gr_arena *arena) {
    return (gr_ctx){.arena = arena,
                    .is_cancelled = &gr_cli_is_interrupted,
                    .request_id = GR_STR("cli"),
                    .now_us = gr_clock_now_us()};
}

/* Waits for a build with a bar. An interrupt ends the wait; closing the server then cancels the build. */
static gr_status wait_for(gr_flight *flight, gr_error *err) {
    gr_cli_progress bar;
    gr_error build_error = {0};
    gr_cli_progress_start(&bar, gr_flight_look(flight).preagg_id);
    while (!gr_flight_wait(flight, gr_clock_mono_us() + STEP_US, &build_error)) {
        const gr_flight_view view = gr_flight_look(flight);
        const double seconds = (double)view.moved_us / 1e6;
        if (view.moved_us)
            gr_cli_progress_note_transfer(&bar, view.moved_rows, (double)view.moved_rows / seconds,
                                          (double)view.moved_bytes / seconds);
        gr_cli_progress_update(&bar, view.fraction);
        if (!atomic_load(&gr_cli_is_interrupted)) continue;
        gr_cli_progress_end(&bar);
        return gr_error_set(err, GR_ERR_CANCELLED, "interrupted; the build is stopped");
    }
    gr_cli_progress_end(&bar);
    gr_status status = gr_flight_look(flight).status;
    if (status && err) *err = build_error;
    return status;
}

/* Opens the stream of an answer, building what it needs first. */
static gr_status open_answer(local_door *d, gr_ctx *ctx, const gr_request *request, gr_answer *ret, gr_error *err) {
    for (int i = 0; i < MOST_BUILDS_OF_A_QUERY; i++) {
        gr_flight *flight = NULL;
        ctx->deadline_mono_us = gr_clock_mono_us() + d->config->query_timeout_ms * 1000; /* not of what is built */
        gr_answer answer = {0};
        gr_status status = gr_serve_query(d->serve, ctx, request, &answer, &flight, err);
        if (status || answer.stream) {
            gr_flight_unref(flight);
            *ret = answer;
            return status;
        }
        gr_answer_done(&answer);
        if (!flight) return gr_error_set(err, GR_ERR_INTERNAL, "neither an answer nor a build came of the query");
        gr_error build_error = {0};
        status = wait_for(flight, &build_error);
        gr_flight_unref(flight);
        if (status == GR_ERR_CANCELLED) {
            *err = build_error;
            return status;
        }
        /* A build that failed is a refusal from now on: the next try takes another candidate, or the source. */
    }
    return gr_error_set(err, GR_ERR_PREAGG_BUILD, "the query went on asking for builds");
}

static gr_status local_load(gr_door *door, const gr_door_query *query, gr_buf *out, gr_error *err) {
    local_door *d = (local_door *)door;
    gr_arena *arena = gr_arena_new();
    gr_ctx ctx = new_ctx(arena);
    gr_request request = {.query = query->query, .without_rollups = query->without_rollups, .must_not_wait = true};
    gr_answer answer = {0};
    gr_status status = open_answer(d, &ctx, &request, &answer, err);
    if (!status) {
        gr_http_load_options options = {.config = d->config};
        status = gr_http_encode_load(&answer, &options, arena, out, err);
        gr_answer_done(&answer);
    }
    gr_arena_free(arena);
    return status;
}

static gr_status local_sql(gr_door *door, const gr_door_query *query, gr_buf *out, gr_error *err) {
    local_door *d = (local_door *)door;
    gr_arena *arena = gr_arena_new();
    gr_ctx ctx = new_ctx(arena);
    gr_request request = {.query = query->query, .without_rollups = query->without_rollups};
    gr_answer answer = {0};
    /* The SQL is that of the rollup also while it is not built; explain tells what there is now. */
    gr_status status = gr_serve_plan(d->serve, &ctx, &request, true, &answer, err);
    if (!status) status = gr_http_encode_sql(&answer, d->config, arena, out, err);
    gr_answer_done(&answer);
    gr_arena_free(arena);
    return status;
}

static gr_status local_explain(gr_door *door, const gr_door_query *query, gr_buf *out, gr_error *err) {
    local_door *d = (local_door *)door;
    gr_arena *arena = gr_arena_new();
    gr_ctx ctx = new_ctx(arena);
    gr_explain_request request = {.serve = {.query = query->query, .without_rollups = query->without_rollups},
                                  .wants_estimate = query->wants_estimate};
    gr_explanations all = {0};
    gr_status status = gr_serve_explain(d->serve, &ctx, &request, &all, err);
    if (!status) status = gr_http_encode_explain(&all, arena, out, err);
    gr_serve_explanations_done(&all);
    gr_arena_free(arena);
    return status;
}

static gr_status local_preaggs(gr_door *door, gr_buf *out, gr_error *err) {
    local_door *d = (local_door *)door;
    gr_arena *arena = gr_arena_new();
    gr_preagg_view *views;
    size_t n;
    gr_status status = gr_serve_preaggs(d->serve, arena, &views, &n, err);
    if (!status) status = gr_http_encode_preaggs(views, n, out, err);
    gr_arena_free(arena);
    return status;
}

static gr_status local_build(gr_door *door, const gr_door_build *build, bool *ret_was_built, gr_error *err) {
    local_door *d = (local_door *)door;
    const gr_tz *zone;
    GR_TRY(gr_tz_get(build->zone.n ? build->zone : d->config->default_timezone, &zone, err));
    gr_flight *flight = NULL;
    GR_TRY(gr_serve_build(d->serve, build->preagg_id, zone, build->is_forced, &flight, err));
    *ret_was_built = flight == NULL;
    if (!flight) return GR_OK;
    gr_status status = wait_for(flight, err);
    gr_flight_unref(flight);
    return status;
}

static gr_status local_drop(gr_door *door, gr_str preagg_id, int64_t *ret_tables, gr_error *err) {
    size_t tables = 0;
    GR_TRY(gr_serve_drop(((local_door *)door)->serve, preagg_id, &tables, err));
    *ret_tables = (int64_t)tables;
    return GR_OK;
}

/* A call that waits for a build is asked again when that has ended. */
static gr_status local_call(gr_door *door, const char *method, gr_str target, const json_t *body, gr_buf *out,
                            gr_error *err) {
    local_door *d = (local_door *)door;
    gr_arena *arena = gr_arena_new();
    gr_dj_answer answer = {0};
    gr_buf text, reply;
    gr_jw w;
    gr_buf_init(&text, GR_CLI_MAX_OUTPUT_BYTES);
    gr_buf_init(&reply, out->max);
    gr_jw_init(&w, &text);
    if (body) gr_jw_json(&w, body);
    gr_dj_request request = {
        .method = gr_str_from(method), .target = target, .body = gr_buf_str(&text), .user = GR_STR("cli")};
    gr_status status = gr_dj_call(d->serve, &request, arena, &reply, &answer, err);
    if (!status && answer.flight) {
        gr_error build_error = {0}; /* the second call tells it */
        request.waited = answer.flight;
        status = wait_for(request.waited, &build_error);
        if (status == GR_ERR_CANCELLED)
            *err = build_error;
        else
            status = gr_dj_call(d->serve, &request, arena, &reply, &answer, err);
        gr_flight_unref(request.waited);
    }
    if (!status) gr_buf_add(out, gr_buf_str(&reply));
    gr_buf_done(&text);
    gr_buf_done(&reply);
    gr_arena_free(arena);
    return status;
}

static void local_close(gr_door *door) { gr_serve_close(((local_door *)door)->serve); /* the door is in the arena */ }

static const gr_door local_vtable = {"process",   local_load, local_sql,  local_explain, local_preaggs,
                                     local_build, local_drop, local_call, local_close};

gr_status gr_cli_door_open_local(gr_cli *cli, const gr_config *config, gr_door **ret, gr_error *err) {
    local_door *d = GR_NEW(cli->arena, local_door);
    *d = (local_door){.door = local_vtable, .cli = cli, .config = config};
    gr_diags diags;
    gr_diags_init(&diags, cli->arena);
    gr_status status = gr_serve_open(config, (gr_serve_options){0}, &diags, &d->serve, err);
    gr_cli_print_diags(&diags, false);
    GR_TRY(status);
    gr_cli_catch_interrupts();
    *ret = &d->door;
    return GR_OK;
}

/* Another command may hold the store for a moment, and a server that starts holds it before it is found: both are worth
 * a short wait. */
gr_status gr_cli_door_open(gr_cli *cli, const gr_config *config, gr_door **ret, gr_error *err) {
    gr_status status = GR_OK;
    for (int i = 0; i < LOCK_TRIES; i++) {
        gr_server_info server;
        bool is_running = false;
        if (!cli->args.has[GR_FLAG_LOCAL]) GR_TRY(gr_cli_server_find(config, cli->arena, &server, &is_running, err));
        if (is_running) return gr_cli_door_open_remote(cli, &server, ret, err);
        status = gr_cli_door_open_local(cli, config, ret, err);
        if (status != GR_ERR_STORE_LOCKED) return status;
        nanosleep(&(struct timespec){.tv_nsec = LOCK_PAUSE_MS * 1000000L}, NULL);
    }
    return status;
}
