/* Errors: a status that must be looked at, and a struct on the caller's stack with a stable id, a message for people,
 * a hint and a place. One table, errors.def, yields the enum, the HTTP statuses, docs/errors.md and the test that each
 * id is produced somewhere. Outputs are untouched on failure. */
#ifndef GR_BASE_ERROR_H
#define GR_BASE_ERROR_H
#include "base/arena.h"

typedef enum gr_status {
    GR_OK = 0,
#define GR_ERROR(name, id, http_status, is_user, is_retryable, doc) GR_ERR_##name,
#include "base/errors.def"
#undef GR_ERROR
    GR_STATUS__COUNT
} gr_status;

#define GR_MUST_CHECK __attribute__((warn_unused_result))

typedef struct gr_loc {
    gr_str file;        /* relative to the model folder, or empty */
    uint32_t line, col; /* from 1; 0 = unknown */
} gr_loc;

typedef struct gr_error {
    gr_status status;
    gr_loc loc;     /* file text is borrowed (model arena) or static */
    char file[256]; /* copy of loc.file, so that the error outlives the arena */
    char message[1024];
    char hint[384];
    char engine_state[16]; /* the engine's own code or sqlstate, or "" */
} gr_error;

typedef struct gr_error_info {
    const char *id; /* "query.unknown_member" */
    int http_status;
    bool is_user; /* Cube's body has "type":"UserError" */
    bool is_retryable;
    const char *doc;
} gr_error_info;

const gr_error_info *gr_error_info_of(gr_status status);

/* Fill *err (may be NULL) and return `status`, so that `return gr_error_set(err, GR_ERR_X, "…", …);` reads well. */
gr_status gr_error_set(gr_error *err, gr_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
void gr_error_hint(gr_error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
void gr_error_at(gr_error *err, gr_loc loc);

#define GR_TRY(expr)                                                                                                   \
    do {                                                                                                               \
        gr_status gr_try_status_ = (expr);                                                                             \
        if (gr_try_status_) return gr_try_status_;                                                                     \
    } while (0)

/* Diagnostics of a validator, which collects and goes on. In an arena; at most `max` are kept, the rest counted. */
typedef struct gr_diag {
    gr_status status;
    bool is_warning;
    gr_loc loc;
    gr_str message, hint;
} gr_diag;

typedef struct gr_diags {
    gr_arena *arena;
    GR_VEC(gr_diag) list;
    size_t n_errors, n_warnings, n_dropped;
} gr_diags;

void gr_diags_init(gr_diags *d, gr_arena *arena);
/* Returns the diagnostic, so that a hint can be set (`->hint`); never NULL. */
gr_diag *gr_diags_error(gr_diags *d, gr_status status, gr_loc loc, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
gr_diag *gr_diags_warn(gr_diags *d, gr_status status, gr_loc loc, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* The nearest of `names` within two edits, for "did you mean"; empty when none is near. */
gr_str gr_diags_nearest(gr_str name, const gr_str *names, size_t n);
#endif
