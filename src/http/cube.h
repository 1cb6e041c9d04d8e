/* Answers as JSON in the forms of Cube's REST API, plus Granary's own fields. Used by the HTTP routes and by the
 * command line alike, so that `granary query` prints what /v1/load answers.
 *
 * All encoders append to `out`, whose limit they respect: GR_ERR_LIMIT when it is hit. On an error `out` holds a torn
 * text: reset it. Threads: any, one per buffer. Source: cube.md §3.3–3.8; decisions 8, 11. */
#ifndef GR_HTTP_CUBE_H
#define GR_HTTP_CUBE_H
#include "base/buf.h"
#include "serve/serve.h"

enum { GR_HTTP_MAX_RESULT_BYTES = 256 << 20 };

/* ---- /v1/load -------------------------------------------------------------------------------- */
/* Which bytes of a result are the same whoever asks: [head, head_end) and [tail, tail_end) of `out`. */
typedef struct gr_http_load_marks {
    size_t head, head_end, tail, tail_end;
} gr_http_load_marks;
typedef struct gr_http_load_options {
    const gr_config *config; /* for the schema in the names of usedPreAggregations; borrowed */
    bool is_multi;           /* the envelope of queryType=multi around the one result */
    const gr_query_set *set; /* the answer is one of these, and its rows say which; no envelope. Or NULL */
    size_t part;             /* which */
    bool want_explain;       /* add "explain": the decision with its words, and "preAggregationRefusals" in any case */
    gr_str request_id;       /* "requestId" in the result (developer mode); empty: left out */
    gr_http_load_marks *marks; /* set, when given */
} gr_http_load_options;

/* Pull the answer's stream to its end and write the result in the query's format (default, compact or columnar); or put
 * it together from the cached one. The caller still calls gr_answer_done. `arena`: scratch. Errors: those of the
 * stream, limit.exceeded. */
GR_MUST_CHECK gr_status gr_http_encode_load(gr_answer *answer, const gr_http_load_options *options, gr_arena *arena,
                                            gr_buf *out, gr_error *err);
/* The envelope around the results of a set: {"queryType","results":[ … ],"pivotQuery","slowQuery"}. The results are
 * written to w->out in between, with commas. */
void gr_http_encode_set_begin(const gr_query_set *set, gr_jw *w);
GR_MUST_CHECK gr_status gr_http_encode_set_end(const gr_query_set *set, gr_arena *arena, gr_jw *w, gr_error *err);
/* Value of x-granary-served-by: "orders.main", "source", "orders.main, orders.by_hour, source". In `arena` or borrowed
 * from the answer. */
gr_str gr_http_served_by(const gr_answer *answer, gr_arena *arena);

/* ---- answers of gr_serve_plan ---------------------------------------------------------------- */
/* {"sql":{"sql":[text,[params]],…},"dataSource":…} */
GR_MUST_CHECK gr_status gr_http_encode_sql(const gr_answer *answer, const gr_config *config, gr_arena *arena,
                                           gr_buf *out, gr_error *err);
/* {"queryType","normalizedQueries","queryOrder","transformedQueries","pivotQuery"} */
GR_MUST_CHECK gr_status gr_http_encode_dry_run(const gr_query_set *set, gr_arena *arena, gr_buf *out, gr_error *err);
/* {"pre_aggregations":[ids that serve, also one that is built first],"source":name when it is read, or null,
 *  "exactness","to_build":[{"pre_aggregation","timezone"}],
 *  "refusals":[{"pre_aggregation","rule","member"?,"detail","repair"?}],"sql":text or null,"params":[…],
 *  "join_tree":[…],"grain_groups":[…],"pieces":[…],"timings_us":{…}} as docs/http-api.md says; of several queries an
 * array of these. */
GR_MUST_CHECK gr_status gr_http_encode_explain(const gr_explanations *explanations, gr_arena *arena, gr_buf *out,
                                               gr_error *err);

/* ---- the model ------------------------------------------------------------------------------- */
typedef struct gr_http_meta_options {
    bool is_extended; /* sql definitions, joins, refreshKey, preAggregations */
    bool only_views;
    bool with_hidden; /* also what is not public */
} gr_http_meta_options;
/* {"cubes":[…]} */
GR_MUST_CHECK gr_status gr_http_encode_meta(const gr_model *model, gr_http_meta_options options, gr_buf *out,
                                            gr_error *err);

/* ---- pre-aggregations ------------------------------------------------------------------------ */
/* {"pre_aggregations":[{"id","cube","name","timezone","store","entity_id","status","is_built","table","version","rows",
 *  "bytes","built_at","build_ms","error"?,"problem"?,"refresh"}]} */
GR_MUST_CHECK gr_status gr_http_encode_preaggs(const gr_preagg_view *views, size_t n, gr_buf *out, gr_error *err);
/* What GET /ops/refresh answers. */
GR_MUST_CHECK gr_status gr_http_encode_refresh(const gr_refresh_overview *all, gr_buf *out, gr_error *err);

/* How far a build is. */
typedef struct gr_http_progress {
    gr_str preagg_id, zone;
    gr_str status; /* pending, materializing, active, failed, stale */
    bool is_done;
    double fraction; /* 0…1; below 0 = unknown, written as null */
    int64_t rows;
    int64_t started_us;                        /* wall clock; 0 = unknown */
    const gr_error *error;                     /* of a failed build, or NULL */
    int64_t entity_id;                         /* 0: not told */
    int64_t moved_rows, moved_bytes, moved_us; /* gr_flight_view */
} gr_http_progress;
/* {"pre_aggregation_id"?,"pre_aggregation","timezone","status","is_done","progress","rows","started_at","transfer"?,
 * "error"?,"error_id"?} */
GR_MUST_CHECK gr_status gr_http_encode_progress(const gr_http_progress *progress, gr_buf *out, gr_error *err);
/* Progress of a flight; a failed one's error is copied to *error, which must live as long as the result. */
/* "transfer": {"rows","bytes","rows_per_second","bytes_per_second"}, when anything went from one place to another. */
void gr_http_put_transfer(gr_jw *w, int64_t rows, int64_t bytes, int64_t us);
gr_http_progress gr_http_progress_of(gr_flight *flight, gr_str zone, gr_error *error);

/* ---- errors ---------------------------------------------------------------------------------- */
/* The status and body of cube.md 3.3:
 * {"type":"UserError"?,"error":text,"id":"query.date","hint"?,"location"?,"requestId"?}. `request_id` may be empty.
 * Never fails; a text that does not fit is cut. */
int gr_http_error_status(gr_status status);
void gr_http_encode_error(const gr_error *error, gr_str request_id, gr_buf *out);
/* [{"severity":"error"|"warning","id","message","hint"?,"file"?,"line"?,"column"?}] */
void gr_http_encode_diags(const gr_diags *diags, gr_buf *out);
#endif
