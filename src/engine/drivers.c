/* Which driver is for which kind of source. */
#include "engine/engine.h"

const gr_engine_driver *gr_engine_driver_of(gr_source_kind kind) {
    static const gr_engine_driver *const drivers[GR_SOURCE_KIND__COUNT] = {
        [GR_SOURCE_DUCKDB] = &gr_engine_duckdb_driver,
        [GR_SOURCE_POSTGRES] = &gr_engine_postgres_driver,
        [GR_SOURCE_CLICKHOUSE] = &gr_engine_clickhouse_driver,
    };
    return drivers[kind];
}
