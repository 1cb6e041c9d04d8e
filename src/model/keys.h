/* The one table of the model's keys, and maps read by it. Internal to the room; other rooms see docs.h.
 * Invariant: a map of the model is read only through gr_model_fields_read, so that no key escapes the table. */
#ifndef GR_MODEL_KEYS_H
#define GR_MODEL_KEYS_H
#include "data/yaml.h"

typedef enum gr_context {
#define GR_CONTEXT(context, title) GR_CONTEXT_##context,
#define GR_KEY(context, name, snake, form, verdict, doc)
#include "model/keys.def"
#undef GR_CONTEXT
#undef GR_KEY
    GR_CONTEXT__COUNT
} gr_context;

typedef enum gr_key {
#define GR_CONTEXT(context, title)
#define GR_KEY(context, name, snake, form, verdict, doc) GR_KEY_##context##_##name,
#include "model/keys.def"
#undef GR_CONTEXT
#undef GR_KEY
    GR_KEY__COUNT
} gr_key;

typedef enum gr_form {
    GR_FORM_ANY,
    GR_FORM_TEXT, /* any scalar */
    GR_FORM_NAME, /* an identifier */
    GR_FORM_REF,  /* a reference without braces; parsed by who uses it */
    GR_FORM_SQL,  /* any scalar; parsed by who uses it */
    GR_FORM_FLAG, /* true, false, also in quotes */
    GR_FORM_BOOL, /* true, false */
    GR_FORM_MAP,
    GR_FORM_LIST
} gr_form;

typedef enum gr_verdict { GR_VERDICT_EXECUTED, GR_VERDICT_NO_EFFECT, GR_VERDICT_UNSUPPORTED } gr_verdict;

typedef struct gr_key_info {
    gr_context context;
    gr_str name; /* snake_case */
    gr_form form;
    gr_verdict verdict;
    const char *doc;
} gr_key_info;

const gr_key_info *gr_model_key_info(gr_key key);
gr_key gr_model_key_first(gr_context context); /* the keys of a context stand together */
size_t gr_model_key_count(gr_context context);
gr_str gr_model_context_title(gr_context context);
/* `text` is the snake_case name as it is, or its camelCase form. */
bool gr_model_key_matches(gr_str snake, gr_str text);
gr_key gr_model_key_find(gr_context context, gr_str text); /* GR_KEY__COUNT when there is none */
gr_str gr_model_key_nearest(gr_context context, gr_str text);
/* camelCase of a name, into a buffer of at least 64 bytes. */
gr_str gr_model_camel(gr_str snake, char *buffer);

/* Where a value stands, as a list up to the root: measures.cost.filters[0]. Lives on the stack. */
typedef struct gr_place {
    const struct gr_place *up;
    gr_str name;   /* as it is shown: keys in camelCase */
    int64_t index; /* >= 0: an item of a list, and `name` is empty */
} gr_place;

enum { GR_FIELDS_MAX = 40 };

/* A map of the model, by key. NULL values count as absent. */
typedef struct gr_fields {
    const gr_yaml *node;
    gr_context context;
    const gr_place *place;
    const gr_yaml_pair *pairs[GR_FIELDS_MAX]; /* absent or of a wrong form: NULL */
    uint64_t present;                         /* bits: written, in whatever form */
} gr_fields;

static inline size_t gr_fields_slot(const gr_fields *f, gr_key key) {
    return (size_t)key - (size_t)gr_model_key_first(f->context);
}
static inline const gr_yaml_pair *gr_fields_pair(const gr_fields *f, gr_key key) {
    return f->pairs[gr_fields_slot(f, key)];
}
static inline const gr_yaml *gr_fields_get(const gr_fields *f, gr_key key) {
    const gr_yaml_pair *pair = gr_fields_pair(f, key);
    return pair ? pair->value : NULL;
}
static inline bool gr_fields_has(const gr_fields *f, gr_key key) { return (f->present >> gr_fields_slot(f, key)) & 1; }
/* Trimmed text; empty when absent. */
static inline gr_str gr_fields_text(const gr_fields *f, gr_key key) {
    const gr_yaml *node = gr_fields_get(f, key);
    return node ? gr_str_trim(node->text) : (gr_str){0};
}
bool gr_fields_flag(const gr_fields *f, gr_key key, bool otherwise);
#endif
