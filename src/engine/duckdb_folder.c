/* A folder of files as a schema of views: a file is a table named by its stem, a subfolder is a table of all the files
 * in it. Views name glob patterns, so that files which arrive later are read as well.
 *
 *   shop/orders.parquet            -> src_shop.orders
 *   shop/events/2024/01.csv.gz     -> src_shop.events    (pattern events / not hidden / not hidden.csv.gz)
 *
 * Invariant: two entries never share a name (names are compared without case, as the engine does); hidden files are not
 * read; the schema changes in one transaction or not at all. */
#include "engine/duckdb_internal.h"

#include "base/map.h"

#include <dirent.h>
#include <stdlib.h>
#include <sys/stat.h>

enum { MOST_ENTRIES = 20000, DEEPEST = 8 };

typedef enum file_kind { KIND_NONE, KIND_PARQUET, KIND_CSV, KIND_JSON, KIND_DATABASE } file_kind;

static const struct {
    const char *ending;
    file_kind kind;
} endings[] = {
    {".parquet", KIND_PARQUET}, {".csv", KIND_CSV},         {".csv.gz", KIND_CSV},   {".json", KIND_JSON},
    {".ndjson", KIND_JSON},     {".jsonl", KIND_JSON},      {".json.gz", KIND_JSON}, {".ndjson.gz", KIND_JSON},
    {".jsonl.gz", KIND_JSON},   {".duckdb", KIND_DATABASE},
};

typedef struct table {
    gr_str name;
    gr_str origin; /* the file or subfolder, for messages */
    file_kind kind;
    size_t n_files;
    gr_str first_file; /* absolute */
    gr_str folder;     /* absolute; of a subfolder */
    GR_VEC(gr_str) patterns;
    gr_map seen_patterns;
} table;

typedef struct scan {
    gr_arena *arena;
    gr_str root;
    size_t n_entries;
    GR_VEC(table *) tables;
    gr_map by_name;
} scan;

/* *ret_ending: as the table has it, in small letters. */
static file_kind kind_of(gr_str name, gr_str *ret_ending) {
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        gr_str ending = gr_str_from(endings[i].ending);
        if (name.n <= ending.n) continue;
        gr_str tail = gr_str_sub(name, name.n - ending.n, ending.n);
        if (!gr_str_eq_nocase(tail, ending)) continue;
        *ret_ending = ending;
        return endings[i].kind;
    }
    return KIND_NONE;
}

static int by_bytes(const void *a, const void *b) { return gr_str_cmp(*(const gr_str *)a, *(const gr_str *)b); }

/* The names in a folder that are not hidden, sorted. */
static gr_status list_folder(scan *s, gr_str path, gr_str **ret, size_t *ret_n, gr_error *err) {
    DIR *dir = opendir(path.p);
    if (!dir) return gr_error_set(err, GR_ERR_ENGINE_OPEN, "%s: %m", path.p);
    GR_VEC(gr_str) names = {0};
    gr_status status = GR_OK;
    for (struct dirent *entry; !status && (entry = readdir(dir));) {
        gr_str name = gr_str_from(entry->d_name);
        if (name.n && name.p[0] == '.') continue;
        if (++s->n_entries > MOST_ENTRIES)
            status = gr_error_set(err, GR_ERR_ENGINE_OPEN, "the folder holds more than %d files", MOST_ENTRIES);
        GR_PUSH(s->arena, &names, gr_arena_dup(s->arena, name));
    }
    closedir(dir);
    if (status) return status;
    if (names.n) qsort(names.v, names.n, sizeof *names.v, by_bytes);
    *ret = names.v;
    *ret_n = names.n;
    return GR_OK;
}

/* Characters with a meaning in the engine's globs stand in brackets. */
gr_str gr_engine_duckdb_glob_escape(gr_str path, gr_arena *arena) {
    gr_str out = {gr_arena_alloc(arena, path.n * 3 + 1), 0};
    char *to = (char *)(uintptr_t)out.p;
    for (size_t i = 0; i < path.n; i++) {
        bool is_special = path.p[i] == '*' || path.p[i] == '?' || path.p[i] == '[';
        if (is_special) to[out.n++] = '[';
        to[out.n++] = path.p[i];
        if (is_special) to[out.n++] = ']';
    }
    return out;
}

/* ".csv" as ".[cC][sS][vV]" */
static gr_str any_case(gr_str ending, gr_arena *arena) {
    gr_str out = {gr_arena_alloc(arena, ending.n * 4 + 1), 0};
    char *to = (char *)(uintptr_t)out.p;
    for (size_t i = 0; i < ending.n; i++) {
        char low = (char)(ending.p[i] | 32);
        if (low < 'a' || low > 'z') {
            to[out.n++] = ending.p[i];
            continue;
        }
        to[out.n++] = '[';
        to[out.n++] = low;
        to[out.n++] = (char)(low - 32);
        to[out.n++] = ']';
    }
    return out;
}

static gr_status check_name(gr_str name, gr_error *err) {
    if (gr_str_is_utf8(name) && gr_str_find(name, '\\', 0) == SIZE_MAX) return GR_OK;
    gr_error_set(err, GR_ERR_ENGINE_OPEN, "the file name " GR_FMT " cannot be used", GR_ARG(name));
    gr_error_hint(err, "names are UTF-8 and hold no backslash");
    return GR_ERR_ENGINE_OPEN;
}

static gr_status refuse_database(gr_str path, gr_error *err) {
    gr_error_set(err, GR_ERR_ENGINE_OPEN, GR_FMT " is a database inside a folder of files", GR_ARG(path));
    gr_error_hint(err, "make it a data source of its own: path is the file itself");
    return GR_ERR_ENGINE_OPEN;
}

static gr_status add_table(scan *s, table *t, gr_error *err) {
    gr_str lower = gr_arena_dup(s->arena, t->name);
    char *key = (char *)(uintptr_t)lower.p;
    for (size_t i = 0; i < lower.n; i++)
        if (key[i] >= 'A' && key[i] <= 'Z') key[i] = (char)(key[i] + 32);
    const table *other = gr_map_get(&s->by_name, lower);
    if (other) {
        gr_error_set(err, GR_ERR_ENGINE_OPEN, GR_FMT " and " GR_FMT " would both be table \"" GR_FMT "\"",
                     GR_ARG(other->origin), GR_ARG(t->origin), GR_ARG(t->name));
        gr_error_hint(err, "rename one of them, or move it out of the folder");
        return GR_ERR_ENGINE_OPEN;
    }
    gr_map_set(&s->by_name, lower, t);
    GR_PUSH(s->arena, &s->tables, t);
    return GR_OK;
}

static gr_status add_file(scan *s, gr_str name, gr_str path, gr_error *err) {
    gr_str ending = {0};
    file_kind kind = kind_of(name, &ending);
    if (kind == KIND_NONE) return GR_OK;
    if (kind == KIND_DATABASE) return refuse_database(path, err);
    GR_TRY(check_name(name, err));
    table *t = GR_NEW(s->arena, table);
    t->name = gr_str_sub(name, 0, name.n - ending.n);
    t->origin = name;
    t->kind = kind;
    t->n_files = 1;
    t->first_file = path;
    GR_PUSH(s->arena, &t->patterns, gr_engine_duckdb_glob_escape(path, s->arena));
    return add_table(s, t, err);
}

static gr_status add_to_subfolder(scan *s, table *t, gr_str name, gr_str path, int depth, gr_error *err) {
    gr_str ending = {0};
    file_kind kind = kind_of(name, &ending);
    if (kind == KIND_NONE) return GR_OK;
    if (kind == KIND_DATABASE) return refuse_database(path, err);
    GR_TRY(check_name(name, err));
    if (t->kind && t->kind != kind)
        return gr_error_set(err, GR_ERR_ENGINE_OPEN,
                            "the subfolder " GR_FMT " mixes kinds of files: " GR_FMT " and " GR_FMT, GR_ARG(t->origin),
                            GR_ARG(t->first_file), GR_ARG(path));
    if (!t->kind) t->first_file = path;
    t->kind = kind;
    t->n_files++;
    gr_str pattern = gr_engine_duckdb_glob_escape(t->folder, s->arena);
    for (int i = 0; i < depth; i++) pattern = gr_arena_printf(s->arena, GR_FMT "/[!.]*", GR_ARG(pattern));
    gr_str tail = any_case(ending, s->arena);
    pattern = gr_arena_printf(s->arena, GR_FMT "/[!.]*" GR_FMT, GR_ARG(pattern), GR_ARG(tail));
    if (gr_map_put(&t->seen_patterns, pattern, t)) GR_PUSH(s->arena, &t->patterns, pattern);
    return GR_OK;
}

static gr_status scan_subfolder(scan *s, table *t, gr_str path, int depth, gr_error *err) {
    gr_str *names = NULL;
    size_t n = 0;
    if (depth >= DEEPEST)
        return gr_error_set(err, GR_ERR_ENGINE_OPEN, GR_FMT " is more than %d folders deep", GR_ARG(path), DEEPEST);
    GR_TRY(list_folder(s, path, &names, &n, err));
    for (size_t i = 0; i < n; i++) {
        gr_str inner = gr_arena_printf(s->arena, GR_FMT "/" GR_FMT, GR_ARG(path), GR_ARG(names[i]));
        struct stat st;
        if (stat(inner.p, &st)) continue; /* a link to nowhere, or gone meanwhile */
        if (S_ISDIR(st.st_mode))
            GR_TRY(scan_subfolder(s, t, inner, depth + 1, err));
        else if (S_ISREG(st.st_mode))
            GR_TRY(add_to_subfolder(s, t, names[i], inner, depth, err));
    }
    return GR_OK;
}

static gr_status scan_root(scan *s, gr_error *err) {
    gr_str *names = NULL;
    size_t n = 0;
    GR_TRY(list_folder(s, s->root, &names, &n, err));
    for (size_t i = 0; i < n; i++) {
        gr_str path = gr_arena_printf(s->arena, GR_FMT "/" GR_FMT, GR_ARG(s->root), GR_ARG(names[i]));
        struct stat st;
        if (stat(path.p, &st)) continue;
        if (S_ISREG(st.st_mode)) GR_TRY(add_file(s, names[i], path, err));
        if (!S_ISDIR(st.st_mode)) continue;
        GR_TRY(check_name(names[i], err));
        table *t = GR_NEW(s->arena, table);
        t->name = t->origin = names[i];
        t->folder = path;
        gr_map_init(&t->seen_patterns, s->arena);
        GR_TRY(scan_subfolder(s, t, path, 0, err));
        if (t->n_files) GR_TRY(add_table(s, t, err));
    }
    return GR_OK;
}

static void add_list(gr_buf *out, const gr_str *patterns, size_t n) {
    gr_buf_char(out, '[');
    for (size_t i = 0; i < n; i++) {
        if (i) gr_buf_char(out, ',');
        gr_engine_duckdb_add_literal(out, patterns[i]);
    }
    gr_buf_char(out, ']');
}

static gr_status create_view(scan *s, duckdb_connection admin, gr_str schema, const table *t, gr_error *err) {
    gr_buf sql;
    gr_buf_init(&sql, 1 << 24);
    gr_buf_z(&sql, "CREATE VIEW memory.");
    gr_engine_duckdb_add_name(&sql, schema);
    gr_buf_char(&sql, '.');
    gr_engine_duckdb_add_name(&sql, t->name);
    gr_buf_z(&sql, " AS SELECT * FROM ");
    gr_status status = GR_OK;
    if (t->kind == KIND_CSV) {
        status = gr_engine_duckdb_csv(admin, t->first_file, t->patterns.v, t->patterns.n, t->n_files == 1, s->arena,
                                      &sql, err);
    } else {
        gr_buf_z(&sql, t->kind == KIND_PARQUET ? "read_parquet(" : "read_json_auto(");
        add_list(&sql, t->patterns.v, t->patterns.n);
        gr_buf_z(&sql, t->kind == KIND_PARQUET ? ")" : ", sample_size=-1)");
    }
    gr_str text;
    if (!status && !gr_buf_finish(&sql, &text)) status = gr_error_set(err, GR_ERR_LIMIT, "too many files");
    if (!status) status = gr_engine_duckdb_run(admin, text, err);
    gr_buf_done(&sql);
    if (!status || !err) return status;
    gr_error cause = *err;
    gr_error_set(err, status, GR_FMT ": %s", GR_ARG(t->origin), cause.message);
    if (*cause.hint) gr_error_hint(err, "%s", cause.hint);
    return status;
}

static gr_status run_with_name(duckdb_connection admin, const char *before, gr_str name, const char *after,
                               gr_error *err) {
    gr_buf sql;
    gr_buf_init(&sql, 1 << 16);
    gr_buf_z(&sql, before);
    gr_engine_duckdb_add_name(&sql, name);
    gr_buf_z(&sql, after);
    gr_str text;
    gr_status status = gr_buf_finish(&sql, &text) ? gr_engine_duckdb_run(admin, text, err)
                                                  : gr_error_set(err, GR_ERR_LIMIT, "the source's name is too long");
    gr_buf_done(&sql);
    return status;
}

static gr_status replace_schema(scan *s, duckdb_connection admin, gr_str schema, gr_error *err) {
    GR_TRY(gr_engine_duckdb_run(admin, GR_STR("BEGIN"), err));
    GR_TRY(run_with_name(admin, "DROP SCHEMA IF EXISTS memory.", schema, " CASCADE", err));
    GR_TRY(run_with_name(admin, "CREATE SCHEMA memory.", schema, "", err));
    for (size_t i = 0; i < s->tables.n; i++) GR_TRY(create_view(s, admin, schema, s->tables.v[i], err));
    return gr_engine_duckdb_run(admin, GR_STR("COMMIT"), err);
}

gr_status gr_engine_duckdb_folder(duckdb_connection admin, const gr_source_config *source, gr_error *err) {
    scan s = {.arena = gr_arena_new()};
    s.root = gr_arena_dup(s.arena, source->path);
    while (s.root.n > 1 && s.root.p[s.root.n - 1] == '/')
        s.root = gr_arena_dup(s.arena, gr_str_sub(s.root, 0, s.root.n - 1));
    gr_map_init(&s.by_name, s.arena);
    gr_status status = check_name(s.root, err);
    if (!status) status = scan_root(&s, err);
    if (!status) {
        gr_str schema = gr_arena_printf(s.arena, "src_" GR_FMT, GR_ARG(source->name));
        status = replace_schema(&s, admin, schema, err);
    }
    gr_arena_free(s.arena);
    return status;
}
