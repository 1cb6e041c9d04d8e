/* Asking one of the routes of entities through the door, and showing what comes: as it is with --json, else as a table.
 * Memory: everything in the arena of the run. */
#ifndef GR_CLI_ANSWER_H
#define GR_CLI_ANSWER_H
#include "cli/door.h"
#include "cli/table.h"

GR_MUST_CHECK gr_status gr_cli_open_door(gr_cli *cli, gr_door **ret, gr_error *err);

/* A target in a buffer: "/pre-aggregations/" and a text as one encoded segment, "?status=" and a value … */
void gr_cli_url_init(gr_buf *url, const char *path);
void gr_cli_url_text(gr_buf *url, gr_str text);                    /* percent-encoded */
void gr_cli_url_param(gr_buf *url, const char *key, gr_str value); /* with ? or & before it */

/* Asks and parses; *ret is borrowed from the arena. */
GR_MUST_CHECK gr_status gr_cli_ask(gr_cli *cli, gr_door *door, const char *method, gr_str target, const json_t *body,
                                   json_t **ret, gr_error *err);
/* The whole of a command: opens the door, asks, closes. */
GR_MUST_CHECK gr_status gr_cli_ask_once(gr_cli *cli, const char *method, const gr_buf *target, const json_t *body,
                                        json_t **ret, gr_error *err);
GR_MUST_CHECK gr_status gr_cli_print_json(const json_t *json, gr_error *err);
GR_MUST_CHECK gr_status gr_cli_print_message(gr_cli *cli, const json_t *json, gr_error *err); /* "message", or JSON */

typedef struct gr_cli_shown {
    const char *key, *title; /* the key of an item; texts, numbers, lists of texts */
    bool is_number;
} gr_cli_shown;
/* A table of a list of objects. */
void gr_cli_render(const json_t *items, const gr_cli_shown *shown, size_t n, gr_arena *arena, gr_buf *out);
/* The same, or the JSON of `whole` with --json. */
GR_MUST_CHECK gr_status gr_cli_show_list(gr_cli *cli, const json_t *whole, const json_t *items,
                                         const gr_cli_shown *shown, size_t n, gr_error *err);
/* A line for each key of an object; keys that are absent, null or empty are left out. */
GR_MUST_CHECK gr_status gr_cli_show_object(gr_cli *cli, const json_t *object, const gr_cli_shown *shown, size_t n,
                                           gr_error *err);
/* A value as a cell. */
gr_str gr_cli_cell(const json_t *value, gr_arena *arena);

/* {"metrics","dimensions","filters","timezone"} of the flags; owned by the arena. */
GR_MUST_CHECK gr_status gr_cli_asked_members(gr_cli *cli, json_t **ret, gr_error *err);
/* For tables: what the list or the object says of its refresh, as "next_refresh", "refresh_failures", "refresh_error".
 */
void gr_cli_flatten_refresh(json_t *view);
#endif
