/* The parse tree of SQL, by libpg_query, as JSON: the one place that calls the parser. Keys in capitals are kinds of
 * nodes, and `location` is the byte of the statement where a node stands. The writer of the tree leaves out numbers
 * that are zero, and integers below zero as well: a number is to be read where it stands. Limits: the parser and the
 * writer recurse along operators. 16 KiB of anything are safe on a small stack; who takes more looks at the tokens
 * first. Threads: any number at once. */
#ifndef GR_EXPR_TREE_H
#define GR_EXPR_TREE_H
#include "base/arena.h"

#include <jansson.h>

typedef struct gr_expr_fault {
    gr_str message; /* of the parser; arena */
    size_t at;      /* the character, from 1; 0: unknown */
} gr_expr_fault;

/* The SelectStmt that `statement` is: one, and of nothing but a target list and maybe a WHERE. NULL when it is anything
 * else; *ret_fault (may be NULL) has a message when that is because it is no SQL. The SELECT is part of *ret_tree,
 * which the caller gives back (json_decref) in any case. */
const json_t *gr_expr_tree_select(const char *statement, gr_arena *arena, json_t **ret_tree, gr_expr_fault *ret_fault);
/* The text of a String node; "" for any other. Borrowed from the tree. */
const char *gr_expr_tree_string(const json_t *node);
/* The names of a ColumnRef as the statement has them: the parser folds them to lower case and cuts them at 63 bytes.
 * Without quotes; *ret in the arena. False when the reference has a star, or is spelled in a way that is not known. */
bool gr_expr_tree_names(gr_str statement, const json_t *column, gr_arena *arena, gr_str **ret, size_t *ret_n);

/* Names that stand for holes in a statement: `granary_hole_<number>_`. */
#define GR_EXPR_HOLE "granary_hole_"
/* `prefix<number>_` at the start of `s`; its bytes, or 0. */
size_t gr_expr_tree_numbered(gr_str s, const char *prefix, size_t *ret);
/* `text` has `word` somewhere, in any case. */
bool gr_expr_tree_holds(gr_str text, const char *word);
#endif
