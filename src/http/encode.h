/* What the encoders of this room share; private to http/. */
#ifndef GR_HTTP_ENCODE_H
#define GR_HTTP_ENCODE_H
#include "data/json.h"
#include "http/cube.h"

/* Values in fixed forms. */
void gr_http_put_instant(gr_jw *w, int64_t us); /* "2021-02-03T04:05:06.000Z"; null for 0 */
void gr_http_put_yaml(gr_jw *w, const gr_yaml *node);
void gr_http_put_yaml_key(gr_jw *w, const char *key, const gr_yaml *node); /* nothing when NULL */
void gr_http_put_text_key(gr_jw *w, const char *key, gr_str text);         /* nothing when empty */
void gr_http_put_null_key(gr_jw *w, const char *key);

/* Parts of members that annotation and /v1/meta have in common. `asked` may be a view's member. */
void gr_http_put_titles(gr_jw *w, const gr_member *asked);
void gr_http_put_format(gr_jw *w, const gr_member *asked, bool is_number);
void gr_http_put_drill(gr_jw *w, const gr_model *model, const gr_member *asked);
void gr_http_put_granularity(gr_jw *w, const gr_granularity *granularity);
gr_str gr_http_measure_type(const gr_member *asked); /* static: "number" … */
gr_str gr_http_agg_type(const gr_member *asked);     /* static: "countDistinct" … */
gr_str gr_http_dim_type(const gr_member *asked);     /* static: "string" … */

void gr_http_put_annotation(gr_jw *w, const gr_query *query);
/* The decision as an object: what serves, what is built first, who was refused, SQL. */
void gr_http_put_explain(gr_jw *w, const gr_answer *answer, gr_arena *arena);
void gr_http_put_decision(gr_jw *w, const gr_answer *answer, gr_arena *arena); /* its keys alone */
void gr_http_put_refusal(gr_jw *w, const gr_refusal *refusal, bool with_name, gr_arena *arena);
void gr_http_put_params(gr_jw *w, const gr_sql *sql);
void gr_http_put_normalized(gr_jw *w, const gr_query *query);
/* "pivotQuery": how the results of the set are laid side by side. */
void gr_http_put_pivot(gr_jw *w, const gr_query_set *set, gr_arena *arena);
gr_str gr_http_preagg_type(const gr_preagg *preagg); /* static: "rollup", "originalSql", "rollupJoin" */
/* Everything is served by rollups in Granary's own store. */
bool gr_http_is_external(const gr_plan *plan);

/* GR_ERR_LIMIT when the buffer hit its limit. */
gr_status gr_http_encode_check(const gr_buf *out, gr_error *err);
#endif
