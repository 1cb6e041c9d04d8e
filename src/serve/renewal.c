/* What an answer of the result cache is kept under, and what it is compared with.
 *
 *   identity   the query as it was understood, ranges as instants; the model; the form of the text
 *   renewal    the statement, the versions of the rollups that it reads, and when it reads a source (or a table that
 *              somebody else fills), the values of the refresh keys of the cubes that are involved
 *
 * Invariant: whatever can change the rows of an answer is in one of the two; what is involved is rather too much than
 * too little. Source: cube.md 6.6 (last row), 6.7. */
#include "base/log.h"
#include "data/digest.h"
#include "data/json.h"
#include "serve/internal.h"

#define SECOND_US INT64_C(1000000)
enum { DEFAULT_SECONDS = 10, MONTH_SECONDS = 28 * 86400, DAY_SECONDS = 86400 };

/* ---- identity -------------------------------------------------------------------------------- */
/* Relative dates of filters stand in the query as they were written. */
static void put_ranges(gr_buf *out, gr_filter *const *filters, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const gr_filter *f = filters[i];
        if (f->kind == GR_FILTER_LEAF && f->range.from_text.n)
            gr_buf_printf(out, "|%lld,%lld,%lld,%lld", (long long)f->range.from_local_us,
                          (long long)f->range.to_local_us, (long long)f->range.from_utc_us,
                          (long long)f->range.to_utc_us);
        else
            gr_buf_char(out, '|');
        put_ranges(out, f->children, f->n_children);
    }
}

gr_str gr_serve_identity(const gr_query *query, gr_str form, gr_arena *arena) {
    gr_buf text;
    gr_jw w;
    gr_buf_init(&text, SIZE_MAX / 4);
    gr_buf_char(&text, '=');
    gr_buf_add(&text, query->model->hash);
    gr_buf_printf(&text, ";%zu:", form.n);
    gr_buf_add(&text, form);
    gr_buf_printf(&text, ";%zu:", query->pinned_version.n);
    gr_buf_add(&text, query->pinned_version);
    put_ranges(&text, query->row_filters, query->n_row_filters);
    gr_buf_char(&text, ';');
    put_ranges(&text, query->measure_filters, query->n_measure_filters);
    json_t *asked = json_copy(query->normalized);
    json_object_del(asked, "cacheMode"); /* how it is answered, not what */
    gr_jw_init(&w, &text);
    gr_jw_json(&w, asked);
    json_decref(asked);
    gr_str key = gr_arena_dup(arena, gr_buf_str(&text));
    gr_buf_done(&text);
    return key;
}

/* ---- refresh keys of cubes ------------------------------------------------------------------- */
typedef struct cubes {
    gr_arena *arena;
    bool *has; /* by index of the cube */
    GR_VEC(const gr_cube *) list;
    bool has_more; /* rows come from cubes that are not in the list too */
} cubes;

static void add_cube(cubes *c, const gr_cube *cube) {
    if (c->has[cube->index]) return;
    c->has[cube->index] = true;
    GR_PUSH(c->arena, &c->list, cube);
    for (size_t i = 0; i < cube->n_dimensions; i++) c->has_more |= cube->dimensions[i]->is_sub_query;
    for (size_t i = 0; cube->sql && i < cube->sql->n_parts; i++) {
        const gr_part *part = &cube->sql->parts[i];
        c->has_more |= part->kind != GR_PART_TEXT && part->cube != cube;
    }
}

/* Of an answer that nests as deep as its measures do. */
static void add_plan(cubes *c, const gr_plan *plan) {
    if (!plan) return;
    for (size_t i = 0; i < plan->tree.n; i++) add_cube(c, plan->tree.nodes[i].cube);
    for (size_t i = 0; i < plan->n_pieces; i++) {
        const gr_piece *p = &plan->pieces[i];
        for (size_t k = 0; k < p->scan.group.tree.n; k++) add_cube(c, p->scan.group.tree.nodes[k].cube);
        add_plan(c, p->window.inner);
        add_plan(c, p->stage.rows);
        add_plan(c, p->stage.inner);
    }
}

/* A refresh key, as far as answers go by it. */
typedef struct cube_key {
    gr_str sql;      /* empty: the clock alone */
    gr_str window;   /* of the clock, as of now; empty: it never changes */
    int64_t seconds; /* how often it is asked, or how long the window is at least */
} cube_key;

static gr_str window_of(const gr_schedule *s, int64_t now_us, gr_arena *arena) {
    const gr_tz *tz = s->tz ? s->tz : gr_tz_utc();
    int64_t number = s->is_cron ? gr_cron_last(&s->cron, tz, now_us) : gr_every_number(s->every, tz, now_us);
    return gr_arena_printf(arena, GR_FMT "/%lld", GR_ARG(s->text), (long long)number);
}

static int64_t seconds_of(const gr_schedule *s) {
    int64_t seconds = s->is_cron ? 0 : s->every.seconds + s->every.months * MONTH_SECONDS;
    return seconds > 0 ? seconds : DEFAULT_SECONDS;
}

static gr_status key_of(const gr_serve *serve, const gr_ctx *ctx, const gr_cube *cube, cube_key *ret, gr_error *err) {
    const gr_refresh_key *key = cube->refresh;
    cube_key out = {.seconds = DEFAULT_SECONDS};
    if (key && key->has_every) out.seconds = seconds_of(&key->every);
    if (!key)
        out.window = gr_arena_printf(ctx->arena, "/%lld", (long long)(ctx->now_us / SECOND_US / DEFAULT_SECONDS));
    else if (key->sql)
        GR_TRY(gr_sql_key(key->sql, cube, gr_exec_places(serve->exec), ctx->arena, &out.sql, err));
    else if (!key->is_immutable)
        out.window = window_of(&key->every, ctx->now_us, ctx->arena);
    *ret = out;
    return GR_OK;
}

/* The first row, value by value. */
static gr_status read_value(gr_stream *stream, gr_buf *out, gr_error *err) {
    const gr_batch *batch;
    bool has_row = false, is_bool;
    for (;;) {
        GR_TRY(stream->next(stream, &batch, err));
        if (!batch) break;
        for (size_t c = 0; !has_row && batch->n_rows && c < batch->n_columns; c++) {
            if (c) gr_buf_char(out, ',');
            if (!gr_batch_format(&batch->columns[c], 0, out, &is_bool)) gr_buf_z(out, "null");
        }
        has_row |= batch->n_rows > 0;
    }
    return has_row ? GR_OK : gr_error_set(err, GR_ERR_ENGINE_SQL, "The SQL of the refresh key gave no row");
}

gr_status gr_serve_ask_key(void *arg, const gr_ctx *ctx, gr_str data_source, gr_str sql, gr_buf *out, gr_error *err) {
    gr_serve *serve = arg;
    gr_sql statement = gr_sql_given(gr_exec_places(serve->exec), data_source, sql);
    gr_stream *stream;
    GR_TRY(gr_exec_query(serve->exec, ctx, &statement, &stream, err));
    gr_status status = read_value(stream, out, err);
    stream->close(stream);
    return status;
}

static void log_failure(const gr_cube *cube, const gr_error *err) {
    gr_log_event(GR_LOG_WARN, "refresh_key.failed", "cube", cube->name, "error", gr_str_from(err->message), NULL);
}

/* Nothing equals what is not known, or is not known any more. */
static void put_known(gr_serve *serve, const gr_ctx *ctx, const gr_cube *cube, const cube_key *key, gr_buf *out) {
    gr_str value;
    int64_t asked_us = 0;
    bool is_known = gr_serve_keys_peek(serve->keys, cube->data_source, key->sql, ctx->arena, &value, &asked_us) &&
                    gr_clock_mono_us() - asked_us <= key->seconds * SECOND_US;
    if (!is_known) gr_buf_z(out, "?");
    gr_buf_add(out, is_known ? value : (gr_str){0});
}

/* A window of the clock; lowers *least to its length. */
static void put_clock(gr_str window, int64_t seconds, gr_buf *out, int64_t *least) {
    if (!window.n) return;
    gr_buf_printf(out, "clock " GR_FMT ";", GR_ARG(window));
    if (seconds < *least) *least = seconds;
}

/* The key of one cube. */
static gr_status put_cube(gr_serve *serve, const gr_ctx *ctx, const gr_cube *cube, gr_renewal_how how, gr_buf *out,
                          int64_t *least, gr_error *err) {
    cube_key key;
    GR_TRY(key_of(serve, ctx, cube, &key, err));
    if (!key.sql.n) {
        put_clock(key.window, key.seconds, out, least);
        return GR_OK;
    }
    gr_buf_printf(out, "%u=", cube->index);
    if (how == GR_RENEWAL_KNOWN) {
        put_known(serve, ctx, cube, &key, out);
    } else {
        gr_str value;
        bool is_news;
        gr_error why = {0};
        int64_t max_age_us = how == GR_RENEWAL_ANEW ? 0 : key.seconds * SECOND_US;
        gr_status status =
            gr_serve_keys_get(serve->keys, ctx, cube->data_source, key.sql, max_age_us, &value, &is_news, &why);
        if (status && is_news) log_failure(cube, &why);
        if (status && err) *err = why;
        if (status) return status;
        gr_buf_printf(out, "%zu:", value.n);
        gr_buf_add(out, value);
    }
    gr_buf_char(out, ';');
    return GR_OK;
}

/* ---- renewal --------------------------------------------------------------------------------- */
static void put_params(gr_buf *out, const gr_sql *sql) {
    for (size_t i = 0; i < sql->n_params; i++) {
        const gr_value *v = &sql->params[i];
        gr_buf_printf(out, "$%d:", (int)v->type);
        if (v->type == GR_TYPE_UTF8) {
            gr_buf_printf(out, "%zu:", v->as.s.n);
            gr_buf_add(out, v->as.s);
        } else if (v->type == GR_TYPE_BOOL) {
            gr_buf_char(out, v->as.b ? '1' : '0');
        } else if (v->type == GR_TYPE_FLOAT64) {
            gr_buf_printf(out, "%a", v->as.d);
        } else if (v->type != GR_TYPE_NULL) {
            gr_buf_i64(out, v->as.i);
        }
    }
}

/* The answer tells them when it comes from the source: those of one from rollups do not matter. */
static void put_refusals(gr_buf *out, const gr_plan *plan) {
    for (size_t i = 0; i < plan->n_refusals; i++) {
        const gr_refusal *r = &plan->refusals[i];
        gr_buf_printf(out, "!%d,%u,%d", (int)r->rule, r->rollup->preagg->index, r->member ? (int)r->member->index : -1);
    }
}

static bool reads_source(const gr_plan *plan) {
    bool is_reading = plan->reads_source || !plan->n_uses;
    for (size_t i = 0; i < plan->n_uses && !is_reading; i++)
        is_reading = !plan->uses[i].state || plan->uses[i].state->is_foreign;
    return is_reading;
}

static gr_status put_source(gr_serve *serve, const gr_ctx *ctx, const gr_plan *plan, gr_renewal_how how, gr_buf *out,
                            int64_t *least, gr_error *err) {
    cubes c = {.arena = ctx->arena, .has = GR_NEW_N(ctx->arena, bool, plan->snapshot->model->n_cubes + 1)};
    gr_buf_printf(out, "reload %llu;", (unsigned long long)atomic_load(&serve->reloads));
    add_plan(&c, plan);
    for (size_t i = 0; i < c.list.n; i++) GR_TRY(put_cube(serve, ctx, c.list.v[i], how, out, least, err));
    for (size_t i = 0; i < plan->n_uses; i++) c.has_more |= plan->uses[i].state && plan->uses[i].state->is_foreign;
    if (c.has_more || !c.list.n) {
        gr_str window = gr_arena_printf(ctx->arena, "/%lld", (long long)(ctx->now_us / SECOND_US / DEFAULT_SECONDS));
        put_clock(window, DEFAULT_SECONDS, out, least);
    }
    return GR_OK;
}

gr_status gr_serve_renewal(gr_serve *serve, const gr_ctx *ctx, const gr_answer *a, gr_renewal_how how,
                           gr_cache_ticket *ret, gr_error *err) {
    gr_buf text;
    int64_t least = DAY_SECONDS; /* the expiry of everything */
    gr_status status = GR_OK;
    int64_t started_us = gr_clock_mono_us();
    gr_buf_init(&text, SIZE_MAX / 4);
    gr_buf_add(&text, a->sql.text);
    gr_buf_char(&text, '\0');
    put_params(&text, &a->sql);
    gr_buf_add(&text, gr_plan_version_key(a->plan, ctx->arena));
    if (a->plan->reads_source || !a->plan->n_uses) put_refusals(&text, a->plan);
    if (reads_source(a->plan)) status = put_source(serve, ctx, a->plan, how, &text, &least, err);
    if (!status) {
        ret->renewal = gr_digest_md5_hex(gr_buf_str(&text), ctx->arena);
        ret->max_age_us = least * SECOND_US;
        ret->started_mono_us = started_us;
    }
    gr_buf_done(&text);
    return status;
}
