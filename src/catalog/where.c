/* SELECTs whose conditions depend on the call. Only constant text and numbered parameters go in: a value is never SQL.
 */
#include "catalog/internal.h"

void gr_catalog_where_param(gr_catalog_where *w, gr_catalog_param param) {
    GR_PUSH(w->arena, &w->params, param);
    gr_buf_printf(w->sql, "?%zu", w->params.n);
}

void gr_catalog_where_add(gr_catalog_where *w, const char *text, const gr_catalog_param *params, size_t n) {
    size_t used = 0;
    gr_buf_z(w->sql, w->has_condition ? " AND " : " WHERE ");
    w->has_condition = true;
    for (const char *p = text; *p; p++) {
        if (*p == '?' && used < n)
            gr_catalog_where_param(w, params[used++]);
        else
            gr_buf_char(w->sql, *p);
    }
}

gr_status gr_catalog_where_run(gr_catalog_call *k, gr_catalog_where *w, gr_catalog_table *ret) {
    gr_str sql;
    if (!gr_buf_finish(w->sql, &sql)) return gr_error_set(k->err, GR_ERR_LIMIT, "the filter is too long");
    return gr_catalog_run_text(k, sql.p, w->params.v, w->params.n, ret);
}
