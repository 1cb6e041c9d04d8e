/* YAML as a plain tree with a place for every node (libfyaml underneath; no other room calls it).
 * Memory: everything in the given arena. Limits are checked while the tree is made: an alias bomb ends as
 * GR_ERR_YAML_LIMIT. */
#ifndef GR_DATA_YAML_H
#define GR_DATA_YAML_H
#include "base/buf.h"
#include "base/error.h"

typedef enum gr_yaml_kind { GR_YAML_NULL, GR_YAML_SCALAR, GR_YAML_LIST, GR_YAML_MAP } gr_yaml_kind;

typedef struct gr_yaml gr_yaml;
typedef struct gr_yaml_pair {
    gr_str key;
    gr_loc key_loc;
    gr_yaml *value; /* never NULL: an empty value is GR_YAML_NULL */
} gr_yaml_pair;

struct gr_yaml {
    gr_yaml_kind kind;
    gr_loc loc;
    gr_str text;         /* scalar */
    bool is_quoted;      /* scalar in quotes or block style: always a string */
    gr_yaml **items;     /* list */
    gr_yaml_pair *pairs; /* map, in file order; duplicate keys are an error of the parse */
    size_t n;
};

typedef struct gr_yaml_limits {
    size_t max_bytes, max_nodes, max_depth;
} gr_yaml_limits;
#define GR_YAML_LIMITS_DEFAULT ((gr_yaml_limits){4u << 20, 200000, 64})

/* `file` names the text in places. An empty document is a GR_YAML_NULL. Errors: GR_ERR_YAML_SYNTAX, GR_ERR_YAML_LIMIT,
 * with the place in err. */
GR_MUST_CHECK gr_status gr_yaml_parse(gr_str text, gr_str file, gr_yaml_limits limits, gr_arena *arena, gr_yaml **ret,
                                      gr_error *err);
gr_yaml *gr_yaml_get(const gr_yaml *map, gr_str key); /* NULL when absent or not a map */
/* Plain (unquoted) scalars by YAML 1.2's core schema; quoted ones are never booleans or numbers. */
bool gr_yaml_is_bool(const gr_yaml *node, bool *ret);
bool gr_yaml_is_i64(const gr_yaml *node, int64_t *ret);
bool gr_yaml_is_string(const gr_yaml *node); /* any scalar that is not null */
/* The node as JSON (meta: of the model). */
void gr_yaml_to_json(const gr_yaml *node, gr_buf *out);
#endif
