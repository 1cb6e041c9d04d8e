/* The order of work: find the files, read them, run the passes of loader.h, and give out either a sealed model or its
 * diagnostics. Invariant: the model is given out only when there was no error, and nothing of a failed one stays
 * behind. */
#include "model/loader.h"

#include "base/clock.h"
#include "base/mem.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { MOST_FILES = 10000, MOST_FILE_BYTES = 4 << 20, MOST_FOLDERS = 2000, MOST_DEPTH = 32, MOST_NODES = 1 << 20 };

/* The model that others see is the first member of what is counted. */
typedef struct counted_model {
    gr_model model;
    atomic_size_t n_refs;
} counted_model;

static counted_model *counted(gr_model *model) { return (counted_model *)model; }

gr_model *gr_model_ref(gr_model *model) {
    if (model) atomic_fetch_add(&counted(model)->n_refs, 1);
    return model;
}

void gr_model_unref(gr_model *model) {
    if (model && atomic_fetch_sub(&counted(model)->n_refs, 1) == 1) gr_arena_free(model->arena);
}

gr_model *gr_model_new(gr_arena *arena) {
    counted_model *box = GR_NEW(arena, counted_model);
    atomic_init(&box->n_refs, 1);
    box->model.arena = arena;
    return &box->model;
}

/* ---- texts ------------------------------------------------------------------------------------------------------ */

/* The first Jinja mark that is not behind a '#': with it, what YAML has to say of the file would only confuse. */
static bool find_jinja(gr_str text, gr_loc *ret) {
    uint32_t line = 1, col = 1;
    bool is_comment = false;
    for (size_t i = 0; i + 1 < text.n; i++, col++) {
        char c = text.p[i], next = text.p[i + 1];
        if (c == '\n') {
            line++;
            col = 0;
            is_comment = false;
        } else if (c == '#' && (i == 0 || strchr(" \t\n", text.p[i - 1]))) {
            is_comment = true;
        } else if (!is_comment && c == '{' && (next == '{' || next == '%') && !(i && text.p[i - 1] == '\\')) {
            ret->line = line;
            ret->col = col;
            return true;
        }
    }
    return false;
}

static void read_text(gr_loader *l, gr_str name, gr_str text) {
    gr_yaml_limits limits = {MOST_FILE_BYTES, MOST_NODES, GR_YAML_LIMITS_DEFAULT.max_depth};
    gr_yaml *root = NULL;
    gr_error err = {0};
    gr_status status = gr_yaml_parse(text, name, limits, l->arena, &root, &err);
    if (!status) {
        gr_model_collect(l, root, name);
        return;
    }
    gr_loc loc = {name, err.loc.line, err.loc.col};
    gr_diag *d;
    if (find_jinja(text, &loc)) {
        d = gr_diags_error(l->diags, GR_ERR_MODEL_UNSUPPORTED, loc, "Jinja templates are not executed");
        gr_model_hint(l, d, "write the model as plain YAML");
        return;
    }
    d = gr_diags_error(l->diags, status, loc, "%s", err.message);
    if (err.hint[0]) gr_model_hint(l, d, "%s", err.hint);
}

static void hash_part(EVP_MD_CTX *md, gr_str s) {
    char length[24];
    int n = snprintf(length, sizeof length, "%zu:", s.n);
    EVP_DigestUpdate(md, length, (size_t)n);
    EVP_DigestUpdate(md, s.p, s.n);
}

/* MD5 of names and texts, each with its length in front, so that no two sets of files run into one another. */
static gr_str hash_files(gr_arena *arena, const gr_model_file *files, size_t n) {
    EVP_MD_CTX *md = EVP_MD_CTX_new();
    if (!md || !EVP_DigestInit_ex(md, EVP_md5(), NULL)) gr_mem_die(0);
    for (size_t i = 0; i < n; i++) {
        hash_part(md, files[i].name);
        hash_part(md, files[i].text);
    }
    unsigned char digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    EVP_DigestFinal_ex(md, digest, &size);
    EVP_MD_CTX_free(md);
    char *hex = gr_arena_alloc(arena, 2 * size + 1);
    for (unsigned i = 0; i < size; i++) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
    return (gr_str){hex, 2 * (size_t)size};
}

static int compare_files(const void *a, const void *b) {
    return gr_str_cmp(((const gr_model_file *)a)->name, ((const gr_model_file *)b)->name);
}

/* ---- the passes ------------------------------------------------------------------------------------------------- */

static void run_passes(gr_loader *l) {
    gr_model_merge(l);
    gr_model_make_cubes(l);
    gr_model_make_joins(l);
    gr_model_make_views(l);
    gr_model_number(l);
    gr_model_bind(l);
    gr_model_bind_stages(l);
    gr_model_split_measures(l);
    gr_model_bind_drill(l);
    gr_model_make_preaggs(l);
    gr_model_check(l);
}

static gr_status finish(gr_loader *l, size_t n_errors, size_t first_diag, gr_error *err) {
    gr_model_report_finish(l, first_diag);
    size_t n = l->diags->n_errors - n_errors;
    if (n == 0 && l->model->n_cubes == 0) {
        gr_error_set(err, GR_ERR_MODEL_NOT_FOUND, "The model holds no cubes");
        gr_error_hint(err, "A model file has the key 'cubes' with a list of cubes.");
        return GR_ERR_MODEL_NOT_FOUND;
    }
    if (n == 0) return GR_OK;
    const gr_diag *first = NULL;
    for (size_t i = first_diag; i < l->diags->list.n && !first; i++)
        if (!l->diags->list.v[i].is_warning) first = &l->diags->list.v[i];
    gr_error_set(err, GR_ERR_MODEL_INVALID_SET, "The model has %zu error%s%s" GR_FMT, n, n == 1 ? "" : "s",
                 first ? "; the first: " : "", GR_ARG(first ? first->message : (gr_str){0}));
    if (first && first->hint.n) gr_error_hint(err, GR_FMT, GR_ARG(first->hint));
    if (first) gr_error_at(err, first->loc);
    return GR_ERR_MODEL_INVALID_SET;
}

gr_status gr_model_load_files(const gr_model_file *files, size_t n, gr_diags *diags, gr_model **ret, gr_error *err) {
    if (n > MOST_FILES) return gr_error_set(err, GR_ERR_LIMIT, "The model has more than %d files", MOST_FILES);
    gr_arena *arena = gr_arena_new();
    gr_loader *l = GR_NEW(arena, gr_loader);
    *l = (gr_loader){.arena = arena, .scratch = gr_arena_new(), .diags = diags, .model = gr_model_new(arena)};
    gr_map_init(&l->model->by_name, arena);
    gr_map_init(&l->by_name, l->scratch);
    size_t n_errors = diags->n_errors, first_diag = diags->list.n;

    gr_model_file *sorted = GR_NEW_N(l->scratch, gr_model_file, n + 1);
    if (n) memcpy(sorted, files, n * sizeof *files);
    qsort(sorted, n, sizeof *sorted, compare_files);
    for (size_t i = 0; i < n; i++) read_text(l, gr_arena_dup(arena, sorted[i].name), sorted[i].text);
    l->model->hash = hash_files(arena, sorted, n);
    l->model->loaded_us = gr_clock_now_us();
    run_passes(l);
    gr_status status = finish(l, n_errors, first_diag, err);
    gr_arena_free(l->scratch);
    if (status)
        gr_arena_free(arena);
    else
        *ret = l->model;
    return status;
}

/* ---- folders ---------------------------------------------------------------------------------------------------- */

typedef struct folder {
    gr_str path; /* relative to the model folder, empty for itself; NUL-terminated */
    size_t depth;
} folder;

typedef struct finder {
    gr_arena *arena;
    gr_diags *diags;
    int root;
    GR_VEC(folder) folders; /* found, and from `next` on still to be looked into */
    struct {
        dev_t dev;
        ino_t ino;
    } seen[MOST_FOLDERS]; /* a folder that a link leads back to is not read again */
    size_t n_seen;
    GR_VEC(gr_model_file) files;
} finder;

/* strerror() that no other thread can overwrite. */
typedef struct reason {
    char text[128];
} reason;

static const char *reason_of(int number, reason *buffer) {
    return strerror_r(number, buffer->text, sizeof buffer->text);
}

static bool is_model_file(gr_str name) {
    return gr_str_ends(name, GR_STR(".yml")) || gr_str_ends(name, GR_STR(".yaml"));
}

static void unreadable(finder *f, gr_str name, const char *why) {
    gr_loc loc = {gr_arena_dup(f->diags->arena, name), 0, 0};
    gr_diags_error(f->diags, GR_ERR_MODEL_NOT_FOUND, loc, "The file cannot be read: %s", why);
}

static bool read_all(int fd, char *out, size_t n) {
    for (size_t got = 0; got < n;) {
        ssize_t k = read(fd, out + got, n - got);
        if (k < 0 && errno == EINTR) continue;
        if (k <= 0) return false;
        got += (size_t)k;
    }
    return true;
}

static void read_file(finder *f, gr_str path, size_t size) {
    gr_loc loc = {gr_arena_dup(f->diags->arena, path), 0, 0};
    if (size > MOST_FILE_BYTES) {
        gr_diags_error(f->diags, GR_ERR_YAML_LIMIT, loc, "The file is larger than %d MiB", MOST_FILE_BYTES >> 20);
        return;
    }
    int fd = openat(f->root, path.p, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0) {
        unreadable(f, path, reason_of(errno, &(reason){0}));
        return;
    }
    char *text = gr_arena_alloc(f->arena, size + 1);
    if (read_all(fd, text, size))
        GR_PUSH(f->arena, &f->files, (gr_model_file){path, {text, size}});
    else
        unreadable(f, path, "it became shorter while it was read");
    close(fd);
}

static bool is_seen(finder *f, const struct stat *st) {
    for (size_t i = 0; i < f->n_seen; i++)
        if (f->seen[i].dev == st->st_dev && f->seen[i].ino == st->st_ino) return true;
    if (f->n_seen < MOST_FOLDERS) {
        f->seen[f->n_seen].dev = st->st_dev;
        f->seen[f->n_seen++].ino = st->st_ino;
    }
    return false;
}

static gr_status see_entry(finder *f, folder in, const char *entry, gr_error *err) {
    gr_str name = gr_str_from(entry);
    if (name.p[0] == '.') return GR_OK;
    gr_str path = in.path.n ? gr_arena_printf(f->arena, GR_FMT "/" GR_FMT, GR_ARG(in.path), GR_ARG(name))
                            : gr_arena_dup(f->arena, name);
    struct stat st;
    if (fstatat(f->root, path.p, &st, 0)) {
        if (is_model_file(name)) unreadable(f, path, reason_of(errno, &(reason){0}));
        return GR_OK;
    }
    if (S_ISDIR(st.st_mode)) {
        if (is_seen(f, &st)) return GR_OK;
        if (f->folders.n >= MOST_FOLDERS || in.depth >= MOST_DEPTH)
            return gr_error_set(err, GR_ERR_LIMIT,
                                "The model folder has more than %d folders, or they are nested too deeply",
                                MOST_FOLDERS);
        GR_PUSH(f->arena, &f->folders, (folder){path, in.depth + 1});
    } else if (S_ISREG(st.st_mode) && is_model_file(name)) {
        if (f->files.n >= MOST_FILES)
            return gr_error_set(err, GR_ERR_LIMIT, "The model folder has more than %d files", MOST_FILES);
        read_file(f, path, (size_t)st.st_size);
    }
    return GR_OK;
}

static gr_status look_into(finder *f, folder in, gr_error *err) {
    int fd = openat(f->root, in.path.n ? in.path.p : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    DIR *dir = fd < 0 ? NULL : fdopendir(fd);
    if (!dir) {
        int why = errno;
        if (fd >= 0) close(fd);
        return gr_error_set(err, GR_ERR_MODEL_NOT_FOUND, "The model folder '" GR_FMT "' cannot be read: %s",
                            GR_ARG(in.path), reason_of(why, &(reason){0}));
    }
    gr_status status = GR_OK;
    for (struct dirent *e; !status && (e = readdir(dir));) status = see_entry(f, in, e->d_name, err);
    closedir(dir);
    return status;
}

static gr_status find_files(finder *f, gr_str dir, gr_error *err) {
    struct stat st;
    f->root = open(gr_arena_dup(f->arena, dir).p, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (f->root < 0) {
        gr_error_set(err, GR_ERR_MODEL_NOT_FOUND, "The model folder '" GR_FMT "' cannot be read: %s", GR_ARG(dir),
                     reason_of(errno, &(reason){0}));
        return GR_ERR_MODEL_NOT_FOUND;
    }
    if (fstat(f->root, &st) == 0) (void)is_seen(f, &st);
    GR_PUSH(f->arena, &f->folders, (folder){{"", 0}, 0});
    gr_status status = GR_OK;
    for (size_t i = 0; !status && i < f->folders.n; i++) status = look_into(f, f->folders.v[i], err);
    close(f->root);
    return status;
}

gr_status gr_model_load_dir(gr_str dir, gr_diags *diags, gr_model **ret, gr_error *err) {
    gr_arena *arena = gr_arena_new();
    finder *f = GR_NEW(arena, finder);
    f->arena = arena;
    f->diags = diags;
    size_t n_errors = diags->n_errors;
    gr_status status = find_files(f, dir, err);
    if (!status && f->files.n == 0 && diags->n_errors == n_errors) {
        status = gr_error_set(err, GR_ERR_MODEL_NOT_FOUND,
                              "The model folder '" GR_FMT "' holds no *.yml or *.yaml file", GR_ARG(dir));
        gr_error_hint(err, "Write a file with the key 'cubes' there, or name another folder.");
    }
    gr_model *model = NULL;
    size_t n_unreadable = diags->n_errors - n_errors;
    if (!status) status = gr_model_load_files(f->files.v, f->files.n, diags, &model, err);
    if ((!status || status == GR_ERR_MODEL_NOT_FOUND) && n_unreadable) {
        /* What could not be read may have held anything. */
        gr_model_unref(model);
        status =
            gr_error_set(err, GR_ERR_MODEL_INVALID_SET, "The model has %zu files that cannot be read", n_unreadable);
    }
    if (!status) *ret = model;
    gr_arena_free(arena);
    return status;
}
