/* See columns.h. The template is spelled with a name for each hole and parsed as `SELECT (…)`; the references of the
 * tree are looked at. Invariant: a name is never one that stands for a hole. */
#include "expr/columns.h"

#include "base/buf.h"
#include "expr/scan.h"
#include "expr/tree.h"

#include <ctype.h>
#include <stdlib.h>

enum { MOST_BYTES = 16 << 10 }; /* see tree.h */

typedef struct finder {
    const gr_expr *expr;
    gr_arena *arena;
    gr_str statement;
    bool is_bad; /* a reference that the tree and the statement tell differently */
    GR_VEC(gr_str) names;
} finder;

/* {CUBE}, or the own cube by its name. */
static bool is_own_table(const gr_part *part) { return part->kind == GR_PART_TABLE && part->n_path == 0; }

static void add(finder *f, gr_str name) { GR_PUSH(f->arena, &f->names, gr_arena_dup(f->arena, name)); }

/* ---- by the tree ------------------------------------------------------------------------------------------------ */

static bool spell(const gr_expr *expr, gr_buf *out) {
    gr_buf_z(out, "SELECT (");
    for (size_t i = 0; i < expr->n_parts; i++) {
        const gr_part *part = &expr->parts[i];
        bool is_text = part->kind == GR_PART_TEXT;
        if (is_text && gr_expr_tree_holds(part->text, GR_EXPR_HOLE)) return false;
        if (is_text && gr_str_find(part->text, 0, 0) != SIZE_MAX) return false;
        if (is_text)
            gr_buf_add(out, part->text);
        else if (part->kind == GR_PART_CUBE_SQL)
            gr_buf_z(out, "SELECT 1");
        else
            gr_buf_printf(out, GR_EXPR_HOLE "%zu_", i);
    }
    gr_buf_z(out, ")");
    gr_str text;
    return gr_buf_finish(out, &text);
}

static bool has_star(const json_t *fields) {
    for (size_t i = 0; i < json_array_size(fields); i++)
        if (json_object_get(json_array_get(fields, i), "A_Star")) return true;
    return false;
}

static void meet(finder *f, const json_t *column, bool is_inner) {
    gr_str *names;
    size_t n, number;
    if (has_star(json_object_get(column, "fields"))) return;
    if (!gr_expr_tree_names(f->statement, column, f->arena, &names, &n)) {
        f->is_bad = true;
        return;
    }
    bool is_hole = gr_expr_tree_numbered(names[0], GR_EXPR_HOLE, &number) == names[0].n;
    if (is_hole && n > 1 && is_own_table(&f->expr->parts[number])) add(f, names[1]);
    if (!is_hole && n == 1 && !is_inner) add(f, names[0]);
}

static void walk(finder *f, const json_t *node, bool is_inner) {
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)node, key, value) {
        bool has_from = strcmp(key, "SelectStmt") == 0 && json_object_get(value, "fromClause");
        if (strcmp(key, "ColumnRef") == 0)
            meet(f, value, is_inner);
        else
            walk(f, value, is_inner || has_from);
    }
    for (size_t i = 0; i < json_array_size(node); i++) walk(f, json_array_get(node, i), is_inner);
}

static bool find_in_tree(finder *f, gr_buf *text) {
    json_t *tree;
    if (!spell(f->expr, text)) return false;
    f->statement = gr_buf_str(text);
    const json_t *select = gr_expr_tree_select(f->statement.p, f->arena, &tree, NULL);
    if (select) walk(f, json_object_get(select, "targetList"), false);
    json_decref(tree);
    return select && !json_object_get(select, "whereClause") && !f->is_bad;
}

/* ---- by the tokens ---------------------------------------------------------------------------------------------- */

/* The name behind `.` at the start of the text, in quotes or not. */
static gr_str name_behind_dot(gr_str text) {
    size_t i = 0, from;
    while (i < text.n && isspace((unsigned char)text.p[i])) i++;
    if (i == text.n || text.p[i++] != '.') return (gr_str){0};
    while (i < text.n && isspace((unsigned char)text.p[i])) i++;
    bool is_quoted = i < text.n && (text.p[i] == '"' || text.p[i] == '`');
    if (is_quoted) {
        from = i + 1;
        size_t end = gr_str_find(text, text.p[i], from);
        return end == SIZE_MAX ? (gr_str){0} : gr_str_sub(text, from, end - from);
    }
    for (from = i; i < text.n && gr_expr_scan_is_word(text.p[i]);) i++;
    return gr_str_sub(text, from, i - from);
}

static void find_in_tokens(finder *f) {
    gr_scan scan = {0};
    for (size_t i = 0; i < f->expr->n_parts; i++) {
        const gr_part *part = &f->expr->parts[i];
        bool is_table = is_own_table(part) && scan.mode == GR_SCAN_CODE && i + 1 < f->expr->n_parts;
        if (is_table && part[1].kind == GR_PART_TEXT) {
            gr_str name = name_behind_dot(part[1].text);
            if (name.n) add(f, name);
        }
        if (part->kind != GR_PART_TEXT) gr_expr_scan_hole(&scan);
        for (size_t k = 0; part->kind == GR_PART_TEXT && k < part->text.n;)
            k += gr_expr_scan_step(&scan, part->text, k);
    }
}

/* ---- the whole -------------------------------------------------------------------------------------------------- */

static int by_bytes(const void *a, const void *b) { return gr_str_cmp(*(const gr_str *)a, *(const gr_str *)b); }

void gr_expr_columns(const gr_expr *expr, gr_arena *arena, gr_str **ret, size_t *ret_n) {
    finder f = {.expr = expr, .arena = arena};
    gr_buf text;
    gr_buf_init(&text, MOST_BYTES);
    if (expr->is_column) {
        add(&f, expr->parts[0].text);
    } else if (!find_in_tree(&f, &text)) {
        f.names.n = 0;
        find_in_tokens(&f);
    }
    gr_buf_done(&text);
    size_t n = 0;
    if (f.names.n) qsort(f.names.v, f.names.n, sizeof *f.names.v, by_bytes);
    for (size_t i = 0; i < f.names.n; i++)
        if (!n || !gr_str_eq(f.names.v[n - 1], f.names.v[i])) f.names.v[n++] = f.names.v[i];
    *ret = f.names.v;
    *ret_n = n;
}
