/* Entities as JSON, in the shapes of the seed and of DataJunction; private to http/. Each writes one value.
 * Source: dj.md 1.8, 4.3, appendix D. */
#ifndef GR_HTTP_ENCODE_DJ_H
#define GR_HTTP_ENCODE_DJ_H
#include "data/json.h"
#include "http/encode.h"
#include "serve/entities.h"

/* `is_dj`: `measures` are objects, as DataJunction's clients expect; else names, as in the seed. */
void gr_http_put_entity(gr_jw *w, const gr_entity_view *view, bool is_dj, gr_arena *arena);
void gr_http_put_entities(gr_jw *w, const gr_entity_view *views, size_t n, bool is_dj, gr_arena *arena);
void gr_http_put_components(gr_jw *w, const gr_component_decl *components, size_t n, gr_arena *arena);
void gr_http_put_build_row(gr_jw *w, const gr_build_row *build);
void gr_http_put_group(gr_jw *w, const gr_grain_group *group, gr_arena *arena);
void gr_http_put_warnings(gr_jw *w, const gr_entity_plan *plan);

/* NodeOutput. `plan` (may be NULL): what a cube that was just put needs; its warnings are written too. */
void gr_http_put_node(gr_jw *w, const gr_node_view *node, const gr_entity_plan *plan, gr_arena *arena);
/* The cube object. `model`: for the types of its members; borrowed. */
void gr_http_put_cube(gr_jw *w, const gr_node_view *node, const gr_model *model, gr_arena *arena);
gr_str gr_http_node_title(const gr_node_row *row, gr_arena *arena);

void gr_http_put_history(gr_jw *w, const gr_history_row *row);
void gr_http_put_lineage(gr_jw *w, const gr_lineage *lineage);

/* Parts. */
void gr_http_put_names_key(gr_jw *w, const char *key, const gr_str *names, size_t n);
void gr_http_put_json_key(gr_jw *w, const char *key, gr_str json, const char *fallback); /* a text that is JSON */
void gr_http_put_refresh_key(gr_jw *w, bool is_refreshed, const gr_refresh_view *view);  /* "refresh", maybe null */
void gr_http_put_text_or_null(gr_jw *w, const char *key, gr_str text);                   /* null when empty */
void gr_http_put_time_key(gr_jw *w, const char *key, int64_t us);                        /* null for 0 */
#endif
