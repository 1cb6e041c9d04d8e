/* Shared by the files of this room only: the handle, a call, and the pieces that the rules are made of.
 * Lock order: gr_catalog.lock is the only lock of the rules; it is held from call_begin to call_end. */
#ifndef GR_CATALOG_INTERNAL_H
#define GR_CATALOG_INTERNAL_H
#include "catalog/db.h"

#include "base/buf.h"
#include "base/map.h"

#include <pthread.h>

enum {
    CATALOG_MAX_NAME = 1024,    /* names, hashes, zones, stores, table names */
    CATALOG_MAX_JSON = 1 << 20, /* all other texts */
    CATALOG_MAX_ERROR = 4096,   /* error texts are cut, not refused */
    CATALOG_KEEP_BUILDS = 100,  /* finished builds without a table that an entity keeps as history */
    CATALOG_WAIT_MS = 10000,    /* for a lock of another process */
    CATALOG_IDS_AT_ONCE = 100   /* parameters of the statements ..._IN */
};

/* A node as this handle has declared it. */
typedef struct gr_catalog_node_at {
    int64_t id, revision_id;
    gr_str name, version;
} gr_catalog_node_at;

/* One name by which an entity is declared; an empty name: declared without one. */
typedef struct gr_catalog_held {
    int64_t preagg_id;
    gr_str name;
} gr_catalog_held;
typedef GR_VEC(gr_catalog_held) gr_catalog_held_list;

/* What this handle holds as a server: lives as long as nothing else is declared, and is said again after a lost
 * connection. */
typedef struct gr_catalog_memory {
    gr_arena *arena;
    gr_map nodes; /* name -> gr_catalog_node_at */
    gr_catalog_held_list held;
} gr_catalog_memory;

typedef struct gr_catalog_known gr_catalog_known; /* partition_rows.c */

struct gr_catalog {
    pthread_mutex_t lock;
    gr_catalog_db *db;
    gr_arena *arena; /* the texts below */
    gr_str server, store, process;
    bool is_store_shared, is_registered;
    gr_catalog_memory memory;
    gr_catalog_known *known; /* rows of partitions that were read; guarded by lock */
};

/* One call of a rule: a transaction, its scratch memory, and who does it. */
typedef struct gr_catalog_call {
    gr_catalog *c;
    gr_arena *arena; /* dies with the call */
    gr_actor actor;
    gr_error *err;
    bool is_write;
    bool is_change;    /* something that a snapshot shows was written */
    const char *fault; /* "build_begin": part of the names of two fault points; NULL: none */
} gr_catalog_call;

/* ---- catalog.c --------------------------------------------------------------------------------------------------- */
gr_status gr_catalog_call_begin(gr_catalog *c, bool is_write, gr_actor actor, gr_catalog_call *ret, gr_error *err);
/* Commits when `status` is GR_OK, else rolls back. Returns what the caller returns. */
gr_status gr_catalog_call_end(gr_catalog_call *k, gr_status status);
/* The two halves of it: the first stays in the lock. */
gr_status gr_catalog_call_commit(gr_catalog_call *k, gr_status status);
void gr_catalog_call_leave(gr_catalog_call *k);
/* The table's texts live in the call's arena. `ret` may be NULL. */
gr_status gr_catalog_run(gr_catalog_call *k, gr_catalog_stmt id, const gr_catalog_param *params, size_t n,
                         gr_catalog_table *ret);
gr_status gr_catalog_each(gr_catalog_call *k, gr_catalog_stmt id, const gr_catalog_param *params, size_t n,
                          gr_catalog_row_fn fn, void *arg);
gr_status gr_catalog_run_text(gr_catalog_call *k, const char *sql, const gr_catalog_param *params, size_t n,
                              gr_catalog_table *ret);
void gr_catalog_fault(const char *what, const char *when);

/* RUN(k, NODE_BY_NAME, &table, STR(name)): parameters in the order of ?1, ?2, … */
#define NO_PARAM                                                                                                       \
    {                                                                                                                  \
        GR_CATALOG_NULL, 0, { 0 }                                                                                      \
    }
#define PARAMS(...)                                                                                                    \
    (const gr_catalog_param[]){NO_PARAM, __VA_ARGS__} + 1,                                                             \
        sizeof((const gr_catalog_param[]){NO_PARAM, __VA_ARGS__}) / sizeof(gr_catalog_param) - 1
#define RUN(k, id, ret, ...) gr_catalog_run((k), ST_##id, PARAMS(__VA_ARGS__), (ret))
#define EACH(k, id, fn, arg, ...) gr_catalog_each((k), ST_##id, PARAMS(__VA_ARGS__), (fn), (arg))
#define I64(v) ((gr_catalog_param){GR_CATALOG_I64, (v), {0}})
#define STR(s) ((gr_catalog_param){GR_CATALOG_TEXT, 0, (s)})
#define TIME(us) ((gr_catalog_param){(us) ? GR_CATALOG_I64 : GR_CATALOG_NULL, (us), {0}})
/* Empty texts as NULL. */
#define STR_OR_NULL(s) ((gr_catalog_param){(s).n ? GR_CATALOG_TEXT : GR_CATALOG_NULL, 0, (s)})

static inline const gr_catalog_cell *gr_catalog_cell_at(const gr_catalog_table *t, size_t row, size_t column) {
    return &t->cells[row * t->n_columns + column];
}
static inline int64_t gr_catalog_i64(const gr_catalog_table *t, size_t row, size_t column) {
    return gr_catalog_cell_at(t, row, column)->number;
}
static inline gr_str gr_catalog_text(const gr_catalog_table *t, size_t row, size_t column) {
    return gr_catalog_cell_at(t, row, column)->text;
}

/* ---- migrate.c --------------------------------------------------------------------------------------------------- */
gr_status gr_catalog_migrate(gr_catalog_db *db, gr_error *err);

/* ---- owner.c: the lock file of SQLite ------------------------------------------------------------------------------
 */
typedef struct gr_catalog_owner {
    const char *file; /* borrowed: the catalog's */
    int fd;           /* <file>.lock */
    int64_t number;
} gr_catalog_owner;
gr_status gr_catalog_owner_open(gr_catalog_owner *o, gr_error *err); /* also takes the gate */
void gr_catalog_owner_leave_gate(gr_catalog_owner *o);
bool gr_catalog_owner_is_alive(const gr_catalog_owner *o, int64_t number);
void gr_catalog_owner_close(gr_catalog_owner *o);
/* 1 … 2^62, random; 0 when the system has none to give. */
int64_t gr_catalog_owner_random(void);

/* ---- process.c -----------------------------------------------------------------------------------------------------
 */
/* Names this process among all of all machines and times; empty when the system does not say. */
gr_str gr_catalog_process_self(gr_arena *arena);
/* It was a process of this machine, and is provably gone. */
bool gr_catalog_process_is_gone(gr_str process, gr_arena *arena);

/* ---- texts.c -------------------------------------------------------------------------------------------------------
 */
typedef enum gr_catalog_shape { GR_CATALOG_ANY, GR_CATALOG_LIST, GR_CATALOG_TEXTS, GR_CATALOG_OBJECT } gr_catalog_shape;
typedef struct gr_catalog_rule_of_text {
    const char *what;
    gr_str text;
    size_t max_bytes;
    bool is_required;
    gr_catalog_shape shape; /* of JSON; an empty text that is not required has every shape */
} gr_catalog_rule_of_text;
gr_status gr_catalog_texts_check(const gr_catalog_rule_of_text *texts, size_t n, gr_arena *arena, gr_error *err);
gr_status gr_catalog_components_check(const gr_component_decl *components, size_t n, gr_arena *arena, gr_error *err);
gr_str gr_catalog_components_write(const gr_component_decl *components, size_t n, gr_arena *arena);
gr_status gr_catalog_components_read(gr_str text, gr_arena *arena, gr_component_decl **ret, size_t *ret_n,
                                     gr_error *err);
/* A JSON list of texts; empty text: empty list. */
gr_status gr_catalog_list_read(gr_str text, gr_arena *arena, gr_str **ret, size_t *ret_n, gr_error *err);
gr_str gr_catalog_list_write(const gr_str *texts, size_t n, gr_arena *arena);
/* {"key": "text"}; at most two pairs, the second key may be NULL. */
gr_str gr_catalog_object_write(gr_arena *arena, const char *key, gr_str text, const char *key2, gr_str text2);
/* Case-folded, sorted, each once. In the arena; inputs are left alone. */
gr_str *gr_catalog_folded(const gr_str *texts, size_t n, gr_arena *arena, size_t *ret_n);
void gr_catalog_sort(gr_str *texts, size_t n);
gr_str gr_catalog_id_text(int64_t id, gr_arena *arena);

/* ---- versions ------------------------------------------------------------------------------------------------------
 */
typedef struct gr_catalog_version {
    int64_t major, minor;
} gr_catalog_version;
gr_catalog_version gr_catalog_version_read(gr_str text); /* v0.0 for what is none */
int gr_catalog_version_cmp(gr_str a, gr_str b);

/* ---- nodes.c -------------------------------------------------------------------------------------------------------
 */
/* Finds or makes the node and its revision. */
gr_status gr_catalog_node_put(gr_catalog_call *k, const gr_node_decl *decl, gr_catalog_node_at *ret);
gr_status gr_catalog_node_find(gr_catalog_call *k, gr_str name, gr_str version, gr_arena *arena, gr_node_row *ret,
                               bool *ret_found);
gr_status gr_catalog_node_check(const gr_node_decl *decl, gr_arena *arena, gr_error *err);
gr_status gr_catalog_node_missing(gr_str name, gr_error *err);
/* Of a revision; history when it is another. */
gr_status gr_catalog_node_set_status(gr_catalog_call *k, const gr_node_row *row, gr_str status);

/* ---- preaggs.c: rows of entities -----------------------------------------------------------------------------------
 */
typedef struct gr_catalog_entity {
    gr_preagg_row row;
    bool is_declared; /* somebody declares it, as far as is known */
} gr_catalog_entity;
typedef GR_VEC(gr_catalog_entity) gr_catalog_entity_list;

enum { FILL_SERVING = 1, FILL_NAMES = 2, FILL_CUBES = 4, FILL_ALL = 7 };
/* From a table of GR_CATALOG_PREAGG_COLUMNS ordered by id; `fill`: what is read of the other tables. */
/* What belongs to them in other tables; they are in order of their ids. */
GR_MUST_CHECK gr_status gr_catalog_fill(gr_catalog_call *k, unsigned bits, gr_arena *arena, gr_catalog_entity *entities,
                                        size_t n);
gr_status gr_catalog_entities_read(gr_catalog_call *k, const gr_catalog_table *t, unsigned fill, gr_arena *arena,
                                   gr_catalog_entity_list *ret);
/* Errors: preagg.not_found. */
gr_status gr_catalog_entity_find(gr_catalog_call *k, int64_t id, unsigned fill, gr_arena *arena,
                                 gr_catalog_entity *ret);
/* Whole rows in the order of `ids`, in which an id may come twice. */
gr_status gr_catalog_entities_of(gr_catalog_call *k, const int64_t *ids, size_t n, gr_arena *arena, gr_preagg_row *ret);

/* What an entity is worth as it is declared. */
bool gr_catalog_covers(const gr_build_row *build, const gr_preagg_decl *decl);
bool gr_catalog_has_conflict(const gr_component_decl *a, size_t n_a, const gr_component_decl *b, size_t n_b);
bool gr_catalog_availability_read(gr_str availability, gr_arena *arena, gr_build_row *ret);
bool gr_catalog_is_ready(const gr_preagg_row *row);

/* Moves the entity along the state machine, with history; refuses a step that it does not have. */
typedef struct gr_catalog_step {
    gr_preagg_status to;
    gr_str error;
    int64_t materialized_us;
    bool is_declared;
} gr_catalog_step;
gr_status gr_catalog_entity_move(gr_catalog_call *k, gr_catalog_entity *entity, gr_catalog_step step);

/* ---- entity.c: one declaration -------------------------------------------------------------------------------------
 */
gr_status gr_catalog_decl_check(const gr_preagg_decl *decl, gr_arena *arena, gr_error *err);
gr_status gr_catalog_entity_put(gr_catalog_call *k, const gr_catalog_node_at *node, const gr_preagg_decl *decl,
                                int64_t *ret_id, bool *ret_created);

/* ---- declare.c -----------------------------------------------------------------------------------------------------
 */
/* The entities of gr_catalog_add and of a cube. `held` is what to remember when the call has been committed. */
gr_status gr_catalog_entities_add(gr_catalog_call *k, const gr_preagg_decl *decls, size_t n, int64_t *ret_ids,
                                  bool *ret_created, gr_catalog_held_list *held);
gr_status gr_catalog_decls_check(const gr_preagg_decl *decls, size_t n, const gr_preagg_config *config, gr_error *err);
void gr_catalog_memory_add(gr_catalog *c, const gr_catalog_held_list *held);

/* ---- configure.c ---------------------------------------------------------------------------------------------------
 */
gr_status gr_catalog_config_check(const gr_preagg_config *config, gr_error *err);
gr_status gr_catalog_entity_configure(gr_catalog_call *k, int64_t id, const gr_preagg_config *config);

/* ---- servers.c -----------------------------------------------------------------------------------------------------
 */
gr_status gr_catalog_server_register(gr_catalog_call *k);
/* Takes dead servers off the list. *ret_gone: there were some; *ret_others: live ones besides this handle. */
/* How long a lease runs: GR_CATALOG_LEASE_US, but in tests of what happens when one ends. */
int64_t gr_catalog_lease_us(void);
gr_status gr_catalog_servers_sweep(gr_catalog_call *k, bool *ret_gone, bool *ret_others);
/* What this handle declares: all of it, or (is_more) in addition to what it declared before. */
gr_status gr_catalog_held_put(gr_catalog_call *k, const gr_catalog_held_list *held, bool is_more);
/* What nobody declares any more becomes stale, and links of YAML nodes become those that are declared. */
gr_status gr_catalog_settle(gr_catalog_call *k);
/* Whether the handle with this number lives. */
gr_status gr_catalog_owner_lives(gr_catalog_call *k, int64_t owner, bool *ret);

/* ---- links.c -------------------------------------------------------------------------------------------------------
 */
gr_status gr_catalog_links_sync(gr_catalog_call *k, bool is_more); /* of YAML nodes; is_more: none is taken away */
/* A cube by API is linked to these entities and no others. */
gr_status gr_catalog_links_set(gr_catalog_call *k, int64_t cube_id, gr_str cube, const int64_t *ids, size_t n);
/* Links to cubes by API go from one entity to another. */
gr_status gr_catalog_links_move(gr_catalog_call *k, int64_t from_id, int64_t to_id);

/* ---- builds.c ------------------------------------------------------------------------------------------------------
 */
gr_status gr_catalog_build_read(const gr_catalog_table *t, size_t row, gr_arena *arena, gr_build_row *ret,
                                gr_error *err);
/* A running build, of one entity or (0) of any, that nobody holds any more becomes failed. *ret_alive: one still runs.
 */
gr_status gr_catalog_builds_recover(gr_catalog_call *k, int64_t preagg_id, bool *ret_alive);

/* ---- partitions.c --------------------------------------------------------------------------------------------------
 */
typedef GR_VEC(gr_doomed_table) gr_catalog_doomed_list;
/* Those of no kept build go. */
gr_status gr_catalog_partitions_sweep(gr_catalog_call *k, int64_t preagg_id, gr_arena *arena,
                                      gr_catalog_doomed_list *ret);
/* The build failed: what it named and did not make goes. */
gr_status gr_catalog_partitions_unmade(gr_catalog_call *k, int64_t build_id);
gr_status gr_catalog_partitions_drop(gr_catalog_call *k, int64_t preagg_id, gr_arena *arena,
                                     gr_catalog_doomed_list *ret);
gr_status gr_catalog_partitions_publish(gr_catalog_call *k, int64_t preagg_id, int64_t number, gr_str structure_hash,
                                        const gr_build_made *made);

/* ---- partition_rows.c ----------------------------------------------------------------------------------------------
 */
void gr_catalog_known_free(gr_catalog_known *known); /* NULL is fine */

/* ---- doomed.c ------------------------------------------------------------------------------------------------------
 */
gr_status gr_catalog_doom(gr_catalog_call *k, int64_t build_id, gr_str table_name, gr_arena *arena,
                          gr_catalog_doomed_list *ret);
gr_status gr_catalog_doomed_spare(gr_catalog_call *k, gr_str table_name);

/* ---- history.c -----------------------------------------------------------------------------------------------------
 */
typedef struct gr_catalog_event {
    const char *entity_type, *activity;
    gr_str entity_name, node, pre, post, details; /* JSON objects; empty: {} */
} gr_catalog_event;
/* Writes it, and marks the call as a change. */
gr_status gr_catalog_note(gr_catalog_call *k, gr_catalog_event event);

/* ---- where.c: SELECTs whose conditions depend on the call -----------------------------------------------------------
 */
typedef struct gr_catalog_where {
    gr_buf *sql;
    GR_VEC(gr_catalog_param) params;
    gr_arena *arena;
    bool has_condition;
} gr_catalog_where;
/* " WHERE …" or " AND …" with the text, in which each ? is the next of `n` parameters. */
void gr_catalog_where_add(gr_catalog_where *w, const char *text, const gr_catalog_param *params, size_t n);
/* A parameter on its own: writes "?7". */
void gr_catalog_where_param(gr_catalog_where *w, gr_catalog_param param);
gr_status gr_catalog_where_run(gr_catalog_call *k, gr_catalog_where *w, gr_catalog_table *ret);
#endif
