/* What tables there are, as far as their names are of our form: `…_<8 hex digits>_<base 32 number>`. What is called
 * otherwise is not ours, wherever it lies. */
#include "base/buf.h"
#include "data/digest.h"
#include "store/store.h"

#include <dirent.h>
#include <errno.h>

typedef GR_VEC(gr_store_found) found_list;

gr_str gr_store_source_hash(const gr_config *config, gr_str structure_hash, gr_arena *arena) {
    gr_str dir = config->state_dir;
    if (dir.n && dir.p[0] != '/') dir = gr_arena_printf(arena, GR_FMT "/" GR_FMT, GR_ARG(config->root), GR_ARG(dir));
    return gr_digest_md5_hex(gr_arena_printf(arena, GR_FMT "\n" GR_FMT, GR_ARG(structure_hash), GR_ARG(dir)), arena);
}

static bool is_made_of(gr_str text, const char *digits) {
    for (size_t i = 0; i < text.n; i++)
        if (!strchr(digits, text.p[i])) return false;
    return text.n > 0;
}

gr_str gr_store_hash_in(gr_str name) {
    enum { HASH = 8 };
    size_t end = name.n;
    while (end && name.p[end - 1] != '_') end--;
    if (end < HASH + 3 || name.p[end - HASH - 2] != '_') return (gr_str){0}; /* something stands before the hash */
    gr_str number = gr_str_sub(name, end, name.n - end), hash = gr_str_sub(name, end - HASH - 1, HASH);
    bool is_ours = is_made_of(number, "0123456789abcdefghijklmnopqrstuv") && is_made_of(hash, "0123456789abcdef");
    return is_ours ? hash : (gr_str){0};
}

static gr_str text_of(const gr_dialect *dialect, gr_str catalog, gr_str schema, gr_str name, gr_arena *arena) {
    return gr_arena_printf(arena, GR_FMT "." GR_FMT "." GR_FMT, GR_ARG(gr_sql_quote(dialect, catalog, arena)),
                           GR_ARG(gr_sql_quote(dialect, schema, arena)), GR_ARG(gr_sql_quote(dialect, name, arena)));
}

static gr_status list_database(gr_engine_conn *conn, const gr_ctx *ctx, gr_str catalog, gr_str schema,
                               gr_store_kind kind, const gr_dialect *dialect, found_list *out, gr_error *err) {
    const gr_value params[] = {{.type = GR_TYPE_UTF8, .as.s = catalog}, {.type = GR_TYPE_UTF8, .as.s = schema}};
    gr_stream *stream;
    const gr_batch *batch;
    gr_str sql =
        GR_STR("SELECT table_name FROM duckdb_tables() WHERE database_name = $1 AND schema_name = $2 ORDER BY 1");
    GR_TRY(conn->driver->query(conn, ctx, sql, params, 2, false, &stream, err));
    gr_status status = stream->next(stream, &batch, err);
    while (!status && batch) {
        for (size_t i = 0; i < batch->n_rows; i++) {
            gr_store_found f = {.name = gr_arena_dup(ctx->arena, gr_column_text(&batch->columns[0], i))};
            if (!gr_store_hash_in(f.name).n) continue;
            f.text = f.where = text_of(dialect, catalog, schema, f.name, ctx->arena);
            f.kind = kind;
            GR_PUSH(ctx->arena, out, f);
        }
        status = stream->next(stream, &batch, err);
    }
    stream->close(stream);
    return status;
}

/* A file for each table, and one with `.part` for what is made just now. */
static gr_status list_folder(const gr_ctx *ctx, gr_str dir, const gr_dialect *dialect, found_list *out, gr_error *err) {
    static const char *const suffixes[] = {".duckdb", ".duckdb.part"};
    DIR *folder = opendir(gr_arena_dup(ctx->arena, dir).p);
    if (!folder)
        return gr_error_set(err, GR_ERR_STORE_IO, "the shared store " GR_FMT " cannot be listed: %m", GR_ARG(dir));
    for (struct dirent *entry; (entry = readdir(folder));) {
        gr_str file = gr_arena_dup(ctx->arena, gr_str_from(entry->d_name));
        for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
            gr_str suffix = gr_str_from(suffixes[i]);
            if (file.n <= suffix.n || !gr_str_eq(gr_str_sub(file, file.n - suffix.n, suffix.n), suffix)) continue;
            gr_store_found f = {.kind = GR_STORE_SHARED, .name = gr_str_sub(file, 0, file.n - suffix.n)};
            if (!gr_store_hash_in(f.name).n) continue;
            gr_str catalog = gr_arena_printf(ctx->arena, "t_" GR_FMT, GR_ARG(f.name));
            f.text = text_of(dialect, catalog, GR_STR("main"), f.name, ctx->arena);
            f.where = gr_arena_printf(ctx->arena, GR_FMT "/" GR_FMT, GR_ARG(dir), GR_ARG(file));
            GR_PUSH(ctx->arena, out, f);
        }
    }
    closedir(folder);
    return GR_OK;
}

gr_status gr_store_list(gr_engine_conn *conn, const gr_ctx *ctx, const gr_config *config, gr_str store_dir,
                        const gr_dialect *dialect, gr_store_found **ret, size_t *ret_n, gr_error *err) {
    found_list out = {0};
    if (store_dir.n)
        GR_TRY(list_folder(ctx, store_dir, dialect, &out, err));
    else
        GR_TRY(
            list_database(conn, ctx, GR_STR("granary_store"), GR_STR("main"), GR_STORE_EMBEDDED, dialect, &out, err));
    for (size_t i = 0; i < config->n_sources; i++) {
        const gr_source_config *source = &config->sources[i];
        if (source->is_folder) continue;
        GR_TRY(list_database(conn, ctx, gr_engine_duckdb_source_catalog(source, ctx->arena), config->preagg_schema,
                             GR_STORE_SOURCE, dialect, &out, err));
    }
    *ret = out.v;
    *ret_n = out.n;
    return GR_OK;
}
