/* YAML in: libfyaml's events become a tree of plain nodes, each with its place.
 *
 * Only events are taken from libfyaml, never its documents: so limits hold while the tree grows, and an alias costs
 * nothing but is counted as if it were written out. An aliased node is shared by the places that name it, and the
 * numbers below keep every walk over the tree, shared parts included, within max_nodes and max_depth:
 *
 *     weight = nodes of the subtree, written out        height = levels of lists and maps in it
 *
 * Invariant: no recursion here; a frame per open list or map, at most max_depth of them. */
#include "data/yaml.h"

#include "base/map.h"
#include "base/mem.h"
#include "data/internal.h"

#include <libfyaml.h>

typedef struct anchor {
    gr_yaml *node;
    size_t weight, height;
    bool is_open; /* inside its own node: an alias here would be a circle */
} anchor;

typedef struct frame {
    gr_yaml *node;
    anchor *anchor; /* NULL: it has none */
    size_t first_weight, height;
    GR_VEC(gr_yaml *) items;
    GR_VEC(gr_yaml_pair) pairs;
    gr_map keys;
    bool has_key; /* the last pair waits for its value */
} frame;

typedef struct builder {
    gr_arena *arena, *scratch;
    gr_str text, file;
    gr_yaml_limits limits;
    GR_VEC(frame) stack;
    gr_map anchors;
    gr_yaml *root;
    size_t weight;
    bool has_document;
    gr_error *err;
} builder;

static gr_loc loc_of(const builder *b, const struct fy_mark *mark) {
    if (mark && mark->line >= 0 && mark->column >= 0)
        return (gr_loc){b->file, (uint32_t)mark->line + 1, (uint32_t)mark->column + 1};
    /* An empty value has no place of its own: that of its key, or of the list or map around it. */
    if (!b->stack.n) return (gr_loc){b->file, 1, 1};
    const frame *top = &b->stack.v[b->stack.n - 1];
    return top->has_key ? top->pairs.v[top->pairs.n - 1].key_loc : top->node->loc;
}

static gr_status fail(builder *b, gr_status status, gr_loc loc, const char *what) {
    gr_error_set(b->err, status, "%s", what);
    gr_error_at(b->err, loc);
    return status;
}

static gr_status count(builder *b, gr_loc loc, size_t weight, size_t height) {
    if (weight > b->limits.max_nodes - b->weight)
        return fail(b, GR_ERR_YAML_LIMIT, loc, "The YAML text has too many nodes, or its aliases expand to too many.");
    b->weight += weight;
    if (height > b->limits.max_depth - b->stack.n)
        return fail(b, GR_ERR_YAML_LIMIT, loc, "The YAML text is nested too deeply.");
    return GR_OK;
}

static gr_status add_key(builder *b, frame *top, const gr_yaml *node) {
    if (node->kind == GR_YAML_LIST || node->kind == GR_YAML_MAP)
        return fail(b, GR_ERR_YAML_SYNTAX, node->loc, "A key must be a plain text, not a list or a map.");
    if (node->kind == GR_YAML_NULL && node->text.n == 0)
        return fail(b, GR_ERR_YAML_SYNTAX, node->loc, "A key is missing before the colon.");
    if (!gr_map_put(&top->keys, node->text, top->node)) {
        gr_error_set(b->err, GR_ERR_YAML_SYNTAX, "The key `" GR_FMT "` comes twice in one map.", GR_ARG(node->text));
        gr_error_at(b->err, node->loc);
        return GR_ERR_YAML_SYNTAX;
    }
    gr_yaml_pair pair = {.key = node->text, .key_loc = node->loc};
    GR_PUSH(b->scratch, &top->pairs, pair);
    top->has_key = true;
    return GR_OK;
}

/* Puts a complete scalar, list, map or aliased node where it belongs. */
static gr_status attach(builder *b, gr_yaml *node, size_t height) {
    if (!b->stack.n) {
        b->root = node;
        return GR_OK;
    }
    frame *top = &b->stack.v[b->stack.n - 1];
    if (height + 1 > top->height) top->height = height + 1;
    if (top->node->kind == GR_YAML_LIST) {
        GR_PUSH(b->scratch, &top->items, node);
        return GR_OK;
    }
    if (!top->has_key) return add_key(b, top, node);
    top->pairs.v[top->pairs.n - 1].value = node;
    top->has_key = false;
    return GR_OK;
}

static gr_str token_text(struct fy_token *token) {
    size_t n = 0;
    const char *p = token ? fy_token_get_text(token, &n) : NULL;
    return p ? (gr_str){p, n} : (gr_str){0};
}

static anchor *anchor_new(builder *b, struct fy_token *token, gr_yaml *node) {
    if (!token) return NULL;
    anchor *a = GR_NEW(b->scratch, anchor);
    a->node = node;
    a->is_open = true;
    gr_map_set(&b->anchors, gr_arena_dup(b->scratch, token_text(token)), a);
    return a;
}

/* Tags would change what a value is. `!!str` is as good as quotes; the others are refused rather than ignored. */
static gr_status check_tag(builder *b, struct fy_token *tag, bool is_scalar, bool *ret_is_string) {
    *ret_is_string = false;
    if (!tag) return GR_OK;
    *ret_is_string = is_scalar && gr_str_eq(token_text(tag), GR_STR("tag:yaml.org,2002:str"));
    if (*ret_is_string) return GR_OK;
    gr_loc loc = loc_of(b, fy_token_start_mark(tag));
    return fail(b, GR_ERR_YAML_SYNTAX, loc, "Tags are not supported, except !!str before a text.");
}

static bool is_null_text(gr_str s) {
    static const gr_str nulls[] = {GR_STR_INIT(""), GR_STR_INIT("~"), GR_STR_INIT("null"), GR_STR_INIT("Null"),
                                   GR_STR_INIT("NULL")};
    for (size_t i = 0; i < sizeof nulls / sizeof *nulls; i++)
        if (gr_str_eq(s, nulls[i])) return true;
    return false;
}

/* libfyaml 0.7.12 misreads a single-quoted text with two escaped quotes side by side ('''''b' becomes three quotes, the
 * b is lost, and so is memory), so such a text is decoded here: '' is a quote, and line breaks fold (one is a space,
 * more are one less; blanks around them go). */
static gr_str single_quoted_text(builder *b, gr_str raw) {
    char *out = gr_arena_alloc(b->arena, raw.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < raw.n;) {
        char c = raw.p[i];
        if (c == '\n' || c == '\r') {
            size_t breaks = 0;
            while (n && (out[n - 1] == ' ' || out[n - 1] == '\t')) n--;
            for (; i < raw.n && strchr(" \t\r\n", raw.p[i]); i++)
                breaks += raw.p[i] == '\n' || (raw.p[i] == '\r' && !(i + 1 < raw.n && raw.p[i + 1] == '\n'));
            if (breaks == 1) out[n++] = ' ';
            for (; breaks > 1; breaks--) out[n++] = '\n';
            continue;
        }
        i += c == '\'' ? 2 : 1;
        out[n++] = c;
    }
    return (gr_str){out, n};
}

static gr_str scalar_text(builder *b, struct fy_token *token, enum fy_scalar_style style) {
    const struct fy_mark *from = token ? fy_token_start_mark(token) : NULL;
    const struct fy_mark *to = token ? fy_token_end_mark(token) : NULL;
    if (style == FYSS_SINGLE_QUOTED && from && to && from->input_pos <= to->input_pos && to->input_pos <= b->text.n) {
        gr_str raw = gr_str_sub(b->text, from->input_pos, to->input_pos - from->input_pos);
        if (gr_str_find_str(raw, GR_STR("''''")) != SIZE_MAX) return single_quoted_text(b, raw);
    }
    return gr_arena_dup(b->arena, token_text(token));
}

static gr_status on_scalar(builder *b, struct fy_event *e) {
    gr_loc loc = loc_of(b, fy_event_start_mark(e));
    enum fy_scalar_style style = e->scalar.value ? fy_token_scalar_style(e->scalar.value) : FYSS_PLAIN;
    /* The mark is behind the quote. */
    if ((style == FYSS_SINGLE_QUOTED || style == FYSS_DOUBLE_QUOTED) && loc.col > 1) loc.col--;
    GR_TRY(count(b, loc, 1, 0));
    gr_yaml *node = GR_NEW(b->arena, gr_yaml);
    node->loc = loc;
    node->text = scalar_text(b, e->scalar.value, style);
    if (gr_str_find(node->text, 0, 0) != SIZE_MAX)
        return fail(b, GR_ERR_YAML_SYNTAX, loc, "A NUL character is not allowed.");
    bool is_string;
    GR_TRY(check_tag(b, e->scalar.tag, true, &is_string));
    node->is_quoted = is_string || style != FYSS_PLAIN;
    node->kind = !node->is_quoted && is_null_text(node->text) ? GR_YAML_NULL : GR_YAML_SCALAR;
    anchor *a = anchor_new(b, e->scalar.anchor, node);
    if (a) {
        a->weight = 1;
        a->is_open = false;
    }
    return attach(b, node, 0);
}

static gr_status on_alias(builder *b, struct fy_event *e) {
    gr_loc loc = loc_of(b, fy_event_start_mark(e));
    gr_str name = token_text(e->alias.anchor);
    anchor *a = gr_map_get(&b->anchors, name);
    if (!a || a->is_open) {
        gr_error_set(b->err, GR_ERR_YAML_SYNTAX,
                     a ? "The alias `*" GR_FMT "` stands inside of its own anchor."
                       : "There is no anchor `&" GR_FMT "`.",
                     GR_ARG(name));
        gr_error_at(b->err, loc);
        return GR_ERR_YAML_SYNTAX;
    }
    GR_TRY(count(b, loc, a->weight, a->height));
    return attach(b, a->node, a->height);
}

static gr_status on_open(builder *b, struct fy_event *e) {
    bool is_map = e->type == FYET_MAPPING_START;
    gr_loc loc = loc_of(b, fy_event_start_mark(e));
    bool is_string;
    GR_TRY(check_tag(b, is_map ? e->mapping_start.tag : e->sequence_start.tag, false, &is_string));
    size_t before = b->weight;
    GR_TRY(count(b, loc, 1, 1));
    gr_yaml *node = GR_NEW(b->arena, gr_yaml);
    node->kind = is_map ? GR_YAML_MAP : GR_YAML_LIST;
    node->loc = loc;
    frame f = {.node = node, .first_weight = before, .height = 1};
    f.anchor = anchor_new(b, is_map ? e->mapping_start.anchor : e->sequence_start.anchor, node);
    gr_map_init(&f.keys, b->scratch);
    GR_PUSH(b->scratch, &b->stack, f);
    return GR_OK;
}

static void copy_children(builder *b, const frame *f) {
    gr_yaml *node = f->node;
    if (node->kind == GR_YAML_LIST && f->items.n) {
        node->n = f->items.n;
        node->items = GR_NEW_N(b->arena, gr_yaml *, node->n);
        memcpy(node->items, f->items.v, node->n * sizeof *node->items);
    }
    if (node->kind == GR_YAML_MAP && f->pairs.n) {
        node->n = f->pairs.n;
        node->pairs = GR_NEW_N(b->arena, gr_yaml_pair, node->n);
        memcpy(node->pairs, f->pairs.v, node->n * sizeof *node->pairs);
    }
}

static gr_status on_close(builder *b, struct fy_event *e) {
    (void)e;
    if (!b->stack.n || b->stack.v[b->stack.n - 1].has_key)
        return fail(b, GR_ERR_YAML_SYNTAX, loc_of(b, NULL), "A list or a map ends where none can end.");
    frame f = b->stack.v[--b->stack.n];
    copy_children(b, &f);
    if (f.anchor) {
        f.anchor->weight = b->weight - f.first_weight;
        f.anchor->height = f.height;
        f.anchor->is_open = false;
    }
    return attach(b, f.node, f.height);
}

static gr_status on_document(builder *b, struct fy_event *e) {
    if (b->has_document)
        return fail(b, GR_ERR_YAML_SYNTAX, loc_of(b, fy_event_start_mark(e)), "The file holds more than one document.");
    b->has_document = true;
    return GR_OK;
}

static gr_status ignore(builder *b, struct fy_event *e) {
    (void)b, (void)e;
    return GR_OK;
}

static gr_status (*const handlers[])(builder *, struct fy_event *) = {
    [FYET_NONE] = ignore,           [FYET_STREAM_START] = ignore,
    [FYET_STREAM_END] = ignore,     [FYET_DOCUMENT_START] = on_document,
    [FYET_DOCUMENT_END] = ignore,   [FYET_MAPPING_START] = on_open,
    [FYET_MAPPING_END] = on_close,  [FYET_SEQUENCE_START] = on_open,
    [FYET_SEQUENCE_END] = on_close, [FYET_SCALAR] = on_scalar,
    [FYET_ALIAS] = on_alias,
};

/* What libfyaml has to say, as one error instead of lines on stderr. */
static gr_status fail_of_parser(builder *b, struct fy_diag *diag) {
    const struct fy_diag_error *e = NULL;
    void *at = NULL;
    while ((e = fy_diag_errors_iterate(diag, &at)))
        if (e->type == FYET_ERROR) break;
    gr_loc loc = {b->file, 0, 0};
    if (!e || !e->msg) return fail(b, GR_ERR_YAML_SYNTAX, loc, "The YAML text cannot be parsed.");
    if (e->line > 0 && e->column > 0) loc = (gr_loc){b->file, (uint32_t)e->line, (uint32_t)e->column};
    gr_error_set(b->err, GR_ERR_YAML_SYNTAX, "The YAML text cannot be parsed: %s.", e->msg);
    gr_error_at(b->err, loc);
    return GR_ERR_YAML_SYNTAX;
}

static gr_status run(builder *b, struct fy_parser *parser, struct fy_diag *diag) {
    if (fy_parser_set_string(parser, b->text.p, b->text.n)) return fail_of_parser(b, diag);
    gr_status status = GR_OK;
    struct fy_event *e;
    while (!status && (e = fy_parser_parse(parser))) {
        status = handlers[e->type](b, e);
        fy_parser_event_free(parser, e);
    }
    if (!status && fy_parser_get_stream_error(parser)) status = fail_of_parser(b, diag);
    return status;
}

static gr_status build(builder *b) {
    struct fy_diag_cfg diag_config;
    fy_diag_cfg_default(&diag_config);
    diag_config.fp = NULL;
    diag_config.level = FYET_ERROR;
    struct fy_diag *diag = fy_diag_create(&diag_config);
    if (!diag) gr_mem_die(sizeof diag_config);
    fy_diag_set_collect_errors(diag, true);
    /* The depth limit is ours: events are made without recursion, so theirs protects nothing here. */
    struct fy_parse_cfg config = {.flags = FYPCF_QUIET | FYPCF_JSON_NONE | FYPCF_DEFAULT_VERSION_1_2 |
                                           FYPCF_DISABLE_DEPTH_LIMIT | FYPCF_DISABLE_MMAP_OPT,
                                  .diag = diag};
    struct fy_parser *parser = fy_parser_create(&config);
    if (!parser) gr_mem_die(sizeof config);
    gr_status status = run(b, parser, diag);
    fy_parser_destroy(parser);
    fy_diag_destroy(diag);
    return status;
}

/* What libfyaml takes without a word, or chokes on, is refused first: bytes that are not UTF-8 (it drops the value),
 * control characters (it stops at a NUL as if the file ended), and directives (its time is quadratic in their length).
 */
static gr_status scan(builder *b) {
    const char *what = NULL;
    size_t at = gr_data_utf8_bad(b->text);
    if (at != SIZE_MAX) what = "The YAML text is not valid UTF-8.";
    for (size_t i = 0; i < b->text.n && i < at; i++) {
        unsigned char c = (unsigned char)b->text.p[i];
        if ((c < ' ' && c != '\t' && c != '\n' && c != '\r') || c == 0x7F) {
            what = "The YAML text has a control character.";
            at = i;
        } else if (c == '%' && (i == 0 || b->text.p[i - 1] == '\n' || b->text.p[i - 1] == '\r')) {
            what = "Directives, which are lines that start with %, are not supported.";
            at = i;
        }
    }
    if (!what) return GR_OK;
    gr_loc loc = {.file = b->file};
    gr_data_place(b->text, at, &loc.line, &loc.col);
    return fail(b, GR_ERR_YAML_SYNTAX, loc, what);
}

gr_status gr_yaml_parse(gr_str text, gr_str file, gr_yaml_limits limits, gr_arena *arena, gr_yaml **ret,
                        gr_error *err) {
    builder b = {.arena = arena, .text = text, .limits = limits, .err = err};
    b.file = gr_arena_dup(arena, file);
    if (text.n > limits.max_bytes) {
        gr_error_set(err, GR_ERR_YAML_LIMIT, "The YAML text has %zu bytes; at most %zu are allowed.", text.n,
                     limits.max_bytes);
        gr_error_at(err, (gr_loc){b.file, 1, 1});
        return GR_ERR_YAML_LIMIT;
    }
    /* Its UTF-8 mark would make the first byte of a line something else than its first character. */
    if (gr_str_starts(b.text, GR_STR("\xEF\xBB\xBF"))) b.text = gr_str_sub(text, 3, text.n - 3);
    GR_TRY(scan(&b));
    b.scratch = gr_arena_new();
    gr_map_init(&b.anchors, b.scratch);
    gr_status status = b.text.n ? build(&b) : GR_OK;
    gr_arena_free(b.scratch);
    if (status) return status;
    if (!b.root) {
        b.root = GR_NEW(arena, gr_yaml);
        b.root->loc = (gr_loc){b.file, 1, 1};
    }
    *ret = b.root;
    return GR_OK;
}
