/* One way in for every command that asks something: through the running server that holds the store (remote.c), or into
 * this process (local.c). Both answer with the same JSON, so that a command does not know which one it talks to.
 * Threads: one. */
#ifndef GR_CLI_DOOR_H
#define GR_CLI_DOOR_H
#include "cli/command.h"

typedef struct gr_door gr_door;

typedef struct gr_door_query {
    json_t *query; /* borrowed */
    bool without_rollups;
    bool wants_estimate; /* explain */
} gr_door_query;

typedef struct gr_door_build {
    gr_str preagg_id, zone; /* zone empty: the default one */
    bool is_forced;
} gr_door_build;

/* The answers are appended to `out`: one JSON object each, as the HTTP API gives it. */
struct gr_door {
    const char *name; /* "server", "process" */
    gr_status (*load)(gr_door *door, const gr_door_query *query, gr_buf *out, gr_error *err);
    gr_status (*sql)(gr_door *door, const gr_door_query *query, gr_buf *out, gr_error *err);
    gr_status (*explain)(gr_door *door, const gr_door_query *query, gr_buf *out, gr_error *err);
    /* {"pre_aggregations":[…]} of http/cube.h */
    gr_status (*preaggs)(gr_door *door, gr_buf *out, gr_error *err);
    /* Builds and waits, with a bar. *ret_was_built: nothing had to be done. */
    gr_status (*build)(gr_door *door, const gr_door_build *build, bool *ret_was_built, gr_error *err);
    gr_status (*drop)(gr_door *door, gr_str preagg_id, int64_t *ret_tables, gr_error *err);
    /* One of the routes of entities (docs/http-api.md): "GET", "/pre-aggregations?status=active". body: JSON, or NULL.
     */
    gr_status (*call)(gr_door *door, const char *method, gr_str target, const json_t *body, gr_buf *out, gr_error *err);
    void (*close)(gr_door *door);
};

/* Finds the server by server.json; without one (or with --local) opens the store here. */
GR_MUST_CHECK gr_status gr_cli_door_open(gr_cli *cli, const gr_config *config, gr_door **ret, gr_error *err);
GR_MUST_CHECK gr_status gr_cli_door_open_local(gr_cli *cli, const gr_config *config, gr_door **ret, gr_error *err);
static inline void gr_cli_door_close(gr_door *door) {
    if (door) door->close(door);
}

/* server.json of a storage folder. */
typedef struct gr_server_info {
    gr_str url, token;
    int64_t pid, port;
} gr_server_info;
/* *ret_found only when the file is there, is ours, and its process lives. */
GR_MUST_CHECK gr_status gr_cli_server_find(const gr_config *config, gr_arena *arena, gr_server_info *ret,
                                           bool *ret_found, gr_error *err);
gr_str gr_cli_server_file(const gr_config *config, gr_arena *arena);
/* A folder of the configuration, relative to granary.yml, as an absolute path. */
gr_str gr_cli_config_path(const gr_config *config, gr_str path, gr_arena *arena);
GR_MUST_CHECK gr_status gr_cli_door_open_remote(gr_cli *cli, const gr_server_info *server, gr_door **ret,
                                                gr_error *err);
/* The server of `info` answers on /livez. */
bool gr_cli_server_answers(const gr_server_info *info);
#endif
