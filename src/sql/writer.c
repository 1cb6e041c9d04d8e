/* The four ways in which text enters a statement: templates of the dialect, quoted identifiers, bound parameters, and
 * literals of the model. There is no other. */
#include "sql/internal.h"

#include "data/digest.h"

#include <stdarg.h>
#include <stdio.h>

const gr_dialect *gr_dialect_get(gr_str name) {
    static const gr_dialect *const all[] = {&gr_dialect_duckdb, &gr_dialect_postgres, &gr_dialect_postgres_hll,
                                            &gr_dialect_clickhouse};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (gr_str_eq(all[i]->name, name)) return all[i];
    return NULL;
}

bool gr_dialect_is_for_groups(const gr_dialect *dialect) { return dialect->reads_alone; }
bool gr_dialect_has_states(const gr_dialect *dialect) { return dialect->has_states; }

gr_str gr_sqlw_fail(gr_sqlw *w, gr_status status, const char *format, ...) {
    if (!*w->status) {
        char text[512];
        va_list args;
        va_start(args, format);
        vsnprintf(text, sizeof text, format, args);
        va_end(args);
        *w->status = gr_error_set(w->err, status, "%s", text);
    }
    return GR_STR("NULL");
}

static const char *op_doc(gr_sql_op op) {
    static const char *const docs[] = {
#define GR_OP_DEF(name, holes, doc) doc,
#include "plan/ops.def"
#undef GR_OP_DEF
    };
    return docs[op];
}

/* {0}, {1} … are the holes. */
static gr_str filled(gr_arena *arena, gr_str t, const gr_str *holes) {
    size_t total = 0;
    for (size_t i = 0; i < t.n; i++) {
        bool is_hole = t.p[i] == '{' && i + 2 < t.n && t.p[i + 2] == '}';
        total += is_hole ? holes[t.p[i + 1] - '0'].n : 1;
        if (is_hole) i += 2;
    }
    char *out = gr_arena_alloc(arena, total + 1), *p = out;
    for (size_t i = 0; i < t.n; i++) {
        if (t.p[i] == '{' && i + 2 < t.n && t.p[i + 2] == '}') {
            gr_str hole = holes[t.p[i + 1] - '0'];
            memcpy(p, hole.p, hole.n);
            p += hole.n;
            i += 2;
        } else {
            *p++ = t.p[i];
        }
    }
    return (gr_str){out, (size_t)(p - out)};
}

gr_str gr_sqlw_filled(gr_sqlw *w, gr_str template, const gr_str *holes) { return filled(w->arena, template, holes); }

gr_str gr_sqlw_op(gr_sqlw *w, gr_sql_op op, const gr_str *holes) {
    gr_str t = w->dialect->ops[op];
    if (!t.n)
        return gr_sqlw_fail(w, GR_ERR_PLAN_UNSUPPORTED, "The engine '" GR_FMT "' has no operation for: %s",
                            GR_ARG(w->dialect->name), op_doc(op));
    return filled(w->arena, t, holes);
}

gr_str gr_sqlw_op1(gr_sqlw *w, gr_sql_op op, gr_str a) { return gr_sqlw_op(w, op, &a); }
gr_str gr_sqlw_op2(gr_sqlw *w, gr_sql_op op, gr_str a, gr_str b) { return gr_sqlw_op(w, op, (gr_str[]){a, b}); }

gr_str gr_sqlw_param(gr_sqlw *w, gr_value value) {
    GR_PUSH(w->arena, w->params, value);
    return gr_arena_printf(w->arena, "$%zu", w->params->n);
}

static gr_str quoted(gr_arena *arena, gr_str s, char quote) {
    char *out = gr_arena_alloc(arena, 2 * s.n + 3), *p = out;
    *p++ = quote;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == quote) *p++ = quote;
        *p++ = s.p[i];
    }
    *p++ = quote;
    return (gr_str){out, (size_t)(p - out)};
}

gr_str gr_sql_shortened(gr_str name, size_t most, gr_arena *arena) {
    enum { HASH = 8 };
    if (!most || name.n <= most) return name;
    size_t kept = most > HASH + 1 ? most - HASH - 1 : 0;
    while (kept && ((unsigned char)name.p[kept] & 0xc0) == 0x80) kept--; /* no half characters */
    gr_str hash = gr_digest_md5_hex(name, arena);
    return gr_arena_printf(arena, GR_FMT "_" GR_FMT, GR_ARG(gr_str_sub(name, 0, kept)),
                           GR_ARG(gr_str_sub(hash, 0, HASH)));
}

gr_str gr_sql_quote(const gr_dialect *dialect, gr_str identifier, gr_arena *arena) {
    return quoted(arena, gr_sql_shortened(identifier, dialect->most_name_bytes, arena), dialect->quote);
}

gr_str gr_sql_create_schema(const gr_dialect *dialect, gr_str catalog, gr_str schema, gr_arena *arena) {
    gr_str name = gr_sql_quote(dialect, schema, arena), outer = gr_sql_quote(dialect, catalog, arena);
    if (catalog.n) name = gr_arena_printf(arena, GR_FMT "." GR_FMT, GR_ARG(outer), GR_ARG(name));
    return filled(arena, dialect->create_schema, &name);
}

gr_str gr_sqlw_ident(gr_sqlw *w, gr_str name) { return gr_sql_quote(w->dialect, name, w->arena); }

/* What reads alone takes a backslash for the start of an escape. */
static gr_str escaped(gr_arena *arena, gr_str s) {
    char *out = gr_arena_alloc(arena, 2 * s.n + 1), *p = out;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '\\') *p++ = '\\';
        *p++ = s.p[i];
    }
    return (gr_str){out, (size_t)(p - out)};
}

gr_str gr_sqlw_text_literal(gr_sqlw *w, gr_str text) {
    return quoted(w->arena, w->dialect->reads_alone ? escaped(w->arena, text) : text, '\'');
}

gr_str gr_sqlw_join(gr_sqlw *w, const gr_str *texts, size_t n, const char *between) {
    size_t total = 0, gap = strlen(between);
    for (size_t i = 0; i < n; i++) total += texts[i].n + gap;
    char *out = gr_arena_alloc(w->arena, total + 1), *p = out;
    for (size_t i = 0; i < n; i++) {
        if (i) p = mempcpy(p, between, gap);
        p = mempcpy(p, texts[i].p, texts[i].n);
    }
    return (gr_str){out, (size_t)(p - out)};
}
