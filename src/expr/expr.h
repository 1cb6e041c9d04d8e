/* SQL expressions of the model: f-string templates with `{…}` holes (cube.md 1.3). Parsed here, bound to cubes and
 * members by the model room, spelled by the sql room. `\{` and `\}` are literal braces. Memory: everything in the model
 * arena; immutable once bound. */
#ifndef GR_EXPR_EXPR_H
#define GR_EXPR_EXPR_H
#include "base/error.h"
#include "cal/cal.h"

struct gr_cube;
struct gr_member;

typedef enum gr_part_kind {
    GR_PART_TEXT,     /* SQL text, verbatim */
    GR_PART_TABLE,    /* {CUBE}, {TABLE}, {other_cube}: the alias of a cube */
    GR_PART_MEMBER,   /* {CUBE.x}, {x}, {users.name}, {created_at.day}, {a.b.c.x} by join path */
    GR_PART_CUBE_SQL, /* {other.sql()} */
} gr_part_kind;

typedef struct gr_part {
    gr_part_kind kind;
    gr_loc loc;
    gr_str text;   /* TEXT: the SQL; otherwise the hole as written, without braces */
    gr_str *names; /* the hole split at dots */
    size_t n_names;
    /* Set by the model room when it binds: */
    const struct gr_cube *cube;        /* TABLE, CUBE_SQL: that cube; MEMBER: the member's cube */
    const struct gr_member *member;    /* MEMBER */
    const gr_granularity *granularity; /* MEMBER with a granularity suffix, else NULL */
    const struct gr_cube **path;       /* join path as written, from the owning cube on; the last is `cube` */
    size_t n_path;                     /* 0 for the own cube */
} gr_part;

typedef struct gr_expr {
    gr_part *parts;
    size_t n_parts;
    gr_str source; /* as in the file */
    gr_loc loc;
    bool is_column; /* the whole text is a bare identifier: `amount` means "cube".amount */
} gr_expr;

/* Parse a template. Malformed text (braces, parentheses or quotes that do not pair, empty holes, FILTER_PARAMS,
 * SECURITY_CONTEXT, COMPILE_CONTEXT, Jinja marks) goes to `diags` (model.expression, model.unsupported) and NULL is
 * returned. */
gr_expr *gr_expr_parse(gr_str text, gr_loc loc, gr_arena *arena, gr_diags *diags);
/* What can be read of a malformed text, for further diagnostics of its holes. Silent; never NULL. */
gr_expr *gr_expr_parse_holes(gr_str text, gr_loc loc, gr_arena *arena);
/* The reference fields, which are expressions without braces: `count`, `CUBE.count`, `orders.users.name`. One MEMBER
 * part. */
gr_expr *gr_expr_parse_ref(gr_str text, gr_loc loc, gr_arena *arena, gr_diags *diags);
/* Text with runs of white space outside quotes folded to one blank and comments removed, for canonical forms. */
gr_str gr_expr_fold_space(gr_str sql, gr_arena *arena);
/* The text calls an aggregate function (count, sum, avg, min, max, …) outside of quotes. */
bool gr_expr_has_aggregate(const gr_expr *expr);
#endif
