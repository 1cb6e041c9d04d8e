/* Static filters of a pre-aggregation: `filters:` in query-filter form, read by the query room's own parser, so that
 * they mean what the same filters of a query mean. Dates are read in UTC. */
#include "plan/internal.h"

#include "query/metrics.h"

/* The model room has written the members by their full ids. */
static json_t *list_of(const gr_preagg *p, gr_arena *arena) {
    json_t *list = NULL;
    gr_str kept = p->filters_json;
    if (p->filters) {
        gr_buf text;
        gr_buf_init(&text, 1 << 20);
        gr_yaml_to_json(p->filters, &text);
        kept = gr_arena_dup(arena, gr_buf_str(&text));
        gr_buf_done(&text);
    }
    if (gr_json_parse(kept, 1 << 20, arena, &list, NULL)) return NULL;
    return list;
}

gr_status gr_static_filters_read(const gr_model *model, gr_rollup *r, gr_arena *arena, gr_error *err) {
    const gr_preagg *p = r->preagg;
    if (!p->filters_json.n && (!p->filters || p->filters->n == 0)) return GR_OK;
    json_t *list = list_of(p, arena);
    if (!list || !p->cube->n_dimensions)
        return gr_error_set(err, GR_ERR_MODEL_INVALID, "its filters are no list of query filters");
    gr_query_options options = {.default_limit = 1,
                                .max_limit = 1,
                                .max_members = 1000,
                                .max_filter_depth = 32,
                                .max_filter_values = 10000,
                                .default_tz = gr_tz_utc(),
                                .sees_hidden = true};
    const gr_member *any = p->cube->dimensions[0];
    json_t *ask = json_pack("{s:[s%],s:O}", "dimensions", any->id.p, (int)any->id.n, "filters", list);
    gr_query *q = NULL;
    gr_status status = ask ? gr_query_parse(model, ask, &options, arena, &q, err)
                           : gr_error_set(err, GR_ERR_MODEL_INVALID, "its filters cannot be read");
    if (!status && q && q->n_measure_filters)
        status = gr_error_set(err, GR_ERR_MODEL_INVALID, "a filter is on a measure, and rows have none");
    for (size_t i = 0; !status && q && i < q->n_row_filters; i++) {
        const gr_filter *f = gr_query_relative_filter(q->row_filters[i]);
        if (f)
            status = gr_error_set(err, GR_ERR_MODEL_INVALID,
                                  "the filter on '" GR_FMT "' has a relative date, and what is stored stays",
                                  GR_ARG(f->field.id));
    }
    if (!status && q) {
        r->filters = q->row_filters;
        r->n_filters = q->n_row_filters;
        r->filters_text = gr_query_filters_text(q, arena);
    }
    json_decref(ask);
    return status;
}
