#include "catalog/internal.h"
gr_status gr_catalog_postgres_open(gr_str conninfo, gr_str schema, gr_catalog_db **ret, gr_error *err) {
    (void)conninfo, (void)schema, (void)ret;
    return gr_error_set(err, GR_ERR_INTERNAL, "not yet");
}
