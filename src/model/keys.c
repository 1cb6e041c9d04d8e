/* The table of keys (keys.def) and questions to it. Invariant: the rows of a context stand together, so that a context
 * is a range of keys. */
#include "model/keys.h"

static const gr_key_info infos[GR_KEY__COUNT] = {
#define GR_CONTEXT(context, title)
#define GR_KEY(context, name, snake, form, verdict, doc)                                                               \
    [GR_KEY_##context##_##name] = {GR_CONTEXT_##context, GR_STR_INIT(snake), GR_FORM_##form, GR_VERDICT_##verdict, doc},
#include "model/keys.def"
#undef GR_CONTEXT
#undef GR_KEY
};

static const gr_str titles[GR_CONTEXT__COUNT] = {
#define GR_CONTEXT(context, title) [GR_CONTEXT_##context] = GR_STR_INIT(title),
#define GR_KEY(context, name, snake, form, verdict, doc)
#include "model/keys.def"
#undef GR_CONTEXT
#undef GR_KEY
};

/* Rows before each context, and rows of it, counted by the compiler: an enum of each context's end. */
enum {
#define GR_CONTEXT(context, title) FIRST_##context, BEFORE_##context = FIRST_##context - 1,
#define GR_KEY(context, name, snake, form, verdict, doc) AT_##context##_##name,
#include "model/keys.def"
#undef GR_CONTEXT
#undef GR_KEY
    ROWS
};

static const int firsts[GR_CONTEXT__COUNT + 1] = {
#define GR_CONTEXT(context, title) [GR_CONTEXT_##context] = FIRST_##context,
#define GR_KEY(context, name, snake, form, verdict, doc)
#include "model/keys.def"
#undef GR_CONTEXT
#undef GR_KEY
    [GR_CONTEXT__COUNT] = ROWS,
};

const gr_key_info *gr_model_key_info(gr_key key) { return &infos[key]; }
gr_key gr_model_key_first(gr_context context) { return (gr_key)firsts[context]; }
size_t gr_model_key_count(gr_context context) { return (size_t)(firsts[context + 1] - firsts[context]); }
gr_str gr_model_context_title(gr_context context) { return titles[context]; }

bool gr_model_key_matches(gr_str snake, gr_str text) {
    if (gr_str_eq(snake, text)) return true;
    size_t j = 0;
    for (size_t i = 0; i < snake.n; i++, j++) {
        char c = snake.p[i];
        if (c == '_' && i + 1 < snake.n) {
            c = snake.p[++i];
            if (c >= 'a' && c <= 'z') c = (char)(c - 'a' + 'A');
        }
        if (j >= text.n || text.p[j] != c) return false;
    }
    return j == text.n;
}

gr_key gr_model_key_find(gr_context context, gr_str text) {
    for (int k = firsts[context]; k < firsts[context + 1]; k++)
        if (gr_model_key_matches(infos[k].name, text)) return (gr_key)k;
    return GR_KEY__COUNT;
}

gr_str gr_model_key_nearest(gr_context context, gr_str text) {
    gr_str names[GR_FIELDS_MAX];
    size_t n = gr_model_key_count(context);
    char camel[GR_FIELDS_MAX][64];
    for (size_t i = 0; i < n; i++) names[i] = infos[(size_t)firsts[context] + i].name;
    gr_str near = gr_diags_nearest(text, names, n);
    if (near.n) return near;
    /* A camelCase misspelling is nearer to the camelCase name; the answer is the snake_case one. */
    for (size_t i = 0; i < n; i++) names[i] = gr_model_camel(infos[(size_t)firsts[context] + i].name, camel[i]);
    near = gr_diags_nearest(text, names, n);
    for (size_t i = 0; i < n && near.n; i++)
        if (near.p == names[i].p) return infos[(size_t)firsts[context] + i].name;
    return (gr_str){0};
}

gr_str gr_model_camel(gr_str snake, char *buffer) {
    size_t n = 0;
    for (size_t i = 0; i < snake.n && n < 63; i++) {
        char c = snake.p[i];
        if (c == '_' && i > 0 && i + 1 < snake.n) {
            c = snake.p[++i];
            if (c >= 'a' && c <= 'z') c = (char)(c - 'a' + 'A');
        }
        buffer[n++] = c;
    }
    buffer[n] = 0;
    return (gr_str){buffer, n};
}
