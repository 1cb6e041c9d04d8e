/* A pre-aggregation of one cube with a refresh key, and its policy; points by their text. */
#ifndef GR_TESTS_UNIT_REFRESH_TEST_H
#define GR_TESTS_UNIT_REFRESH_TEST_H
#include "unit/model/model_fixture.h"

#include "refresh/refresh.h"

static inline int64_t at(const char *text) {
    int64_t us = 0;
    gr_time_zone_part zone;
    bool is_date;
    if (!gr_time_parse(gr_str_from(text), &us, &zone, &is_date)) fail_msg("not a point: %s", text);
    return us;
}

static inline const gr_tz *zone_of(const char *name) {
    const gr_tz *tz = NULL;
    if (gr_tz_get(gr_str_from(name), &tz, &err)) fail_msg("%s", err.message);
    return tz;
}

/* `key` of the pre-aggregation, or `cube_key` of its cube; the other is "". */
static inline const gr_refresh_policy *policy_of(const char *cube_key, const char *key, const char *zone) {
    gr_str yaml = gr_arena_printf(arena,
                                  "cubes: [{name: a, sql_table: t%s%s, measures: [{name: n, type: count}], "
                                  "pre_aggregations: [{name: r, measures: [n]%s%s}]}]\n",
                                  *cube_key ? ", refresh_key: " : "", cube_key, *key ? ", refresh_key: " : "", key);
    load_good(yaml.p);
    return gr_refresh_policy_of(model->preaggs[0], NULL, 0, zone_of(zone), arena);
}

static inline void expect_point(int64_t got_us, const char *want, const char *what) {
    char out[41] = "never";
    if (got_us != INT64_MAX) out[gr_time_format(got_us, out)] = 0;
    if (got_us != (want ? at(want) : INT64_MAX)) fail_msg("%s: got %s, want %s", what, out, want ? want : "never");
}

static inline void expect_text(gr_str got, const char *want, const char *what) {
    if (!gr_str_eq_z(got, want)) fail_msg("%s: got '" GR_FMT "', want '%s'", what, GR_ARG(got), want);
}
#endif
