/* When a rollup is due: refresh keys as policies, and the values of those (cube.md 6.6, 9.4). What a policy says is a
 * text, the value of its key: a table was made under one value, and is due when the value is another.
 *
 *   refresh_key of the pre-aggregation,                parts ──> value now      compared with the value that the
 *   else of the cubes that it reads,       ──> policy    │                      table was built under
 *   else the defaults                                    └─────> next instant   at which to look again
 *
 * This room does not look: who asks the SQL and the fingerprint hands over the answers. Pure: no I/O, no clock;
 * `now_us` is a parameter. Memory: what is returned lives in the arena that is given, and borrows from the model. */
#ifndef GR_REFRESH_REFRESH_H
#define GR_REFRESH_REFRESH_H
#include "model/model.h"

typedef enum gr_refresh_kind {
    GR_REFRESH_NEVER, /* by itself it never changes: an immutable cube, or what only a fingerprint is asked about */
    GR_REFRESH_TIME,
    GR_REFRESH_SQL
} gr_refresh_kind;

typedef struct gr_refresh_part {
    gr_refresh_kind kind;
    const gr_cube *cube;  /* whose key this is; NULL: it is the pre-aggregation's own */
    bool is_default;      /* no key says so */
    gr_schedule schedule; /* TIME: when the value changes. SQL: how often it is asked. Its `tz` is always set */
    const gr_expr *sql;   /* SQL: to be spelled by the sql room; its only holes are {cube.sql()} */
    gr_str data_source;   /* SQL */
} gr_refresh_part;

/* Any part can change the value. The fingerprint stands beside them: it tells one partition from another, so that it is
 * no part of gr_refresh_value; a partition is also due when its fingerprint is another. */
typedef struct gr_refresh_policy {
    gr_refresh_part *parts;
    size_t n_parts;      /* at least one */
    bool is_incremental; /* a partition keeps its value once it is closed */
    bool has_update_window;
    gr_every update_window;
    gr_str update_window_text; /* as written */
    const gr_tz *tz;           /* of the rollup: months of the window */
    gr_fingerprint fingerprint;
    const gr_expr *fingerprint_sql;
    gr_schedule check; /* when there is a fingerprint: how often it is looked at */
} gr_refresh_policy;

/* `cubes` are all that the rollup reads, its own among them; none stands for its own alone. `tz` is the zone that the
 * rollup is built for. By cube.md 6.6, in this order:
 *
 *   own key, sql                               that query, asked every `every`, else every 10 seconds
 *   own key, every                             that time. With a fingerprint and not incremental: none, `every` is how
 *                                              often the fingerprint is looked at
 *   own key, fingerprint alone                 none; looked at every 2 minutes
 *   original_sql                               as below, of its own cube alone
 *   a cube has sql                             the keys of all cubes; of those without one, every 10 seconds
 *   its own cube has a key                     the keys of all cubes; of those without one, every hour
 *   else                                       every hour, for each cube
 *
 * A cube that is immutable is NEVER, whichever of the last three it is. */
const gr_refresh_policy *gr_refresh_policy_of(const gr_preagg *preagg, const gr_cube *const *cubes, size_t n_cubes,
                                              const gr_tz *tz, gr_arena *arena);

/* The value of the key. `sql_values` is parallel to the parts, looked at for SQL parts only; a NULL of the source has
 * p == NULL. `partition_to_utc_us` is where the partition ends; INT64_MAX: there are none, or it is the open one.
 * Parts are joined by '|': TIME is the number of the interval, or the instant of a cron line's last fire; SQL is its
 * value, escaped, and longer ones by their hash. "closed" when the policy is incremental and the partition closed: that
 * differs from what it was built under before, so that it is built once more, then never again. */
gr_str gr_refresh_value(const gr_refresh_policy *policy, const gr_str *sql_values, int64_t now_us,
                        int64_t partition_to_utc_us, gr_arena *arena);
/* When a partition closes: its end and the update window, which is time where it is of seconds to weeks, and of the
 * rollup's wall clock where it is of months. INT64_MAX: never. */
int64_t gr_refresh_closes_us(const gr_refresh_policy *policy, int64_t partition_to_utc_us);

/* The next instant, `now_us` or later, at which to look at a part: after `now_us` when the clock changes a TIME part;
 * of SQL, when it is due to be asked again after `asked_us`, the last time (INT64_MIN: it never was; a time that is yet
 * to come, because the clock was set back, counts as now). INT64_MAX: never. */
int64_t gr_refresh_part_next_us(const gr_refresh_part *part, int64_t now_us, int64_t asked_us);
int64_t gr_refresh_fingerprint_next_us(const gr_refresh_policy *policy, int64_t now_us, int64_t asked_us);
/* The first of all those. `asked_us` is parallel to the parts. What closes is not in it: gr_refresh_closes_us. */
int64_t gr_refresh_next_us(const gr_refresh_policy *policy, int64_t now_us, const int64_t *asked_us,
                           int64_t fingerprint_asked_us);

/* ---- as the reference shows it (cacheKeyQueries of /v1/sql) -------------------------------------------------------
 */
/* renewalThreshold, in seconds: how long the answer of a key query is good for. */
int64_t gr_refresh_threshold_s(const gr_refresh_part *part);
/* The same once a partition is closed; 0 while it is not. */
int64_t gr_refresh_outside_threshold_s(const gr_refresh_policy *policy, int64_t partition_to_utc_us, int64_t now_us);
/* The key query of a part, in PostgreSQL's dialect; with an incremental policy $1 is the end of the partition. SQL
 * parts as written, holes and all. A cron line of unequal distances, which the reference refuses, is shown as its last
 * fire. Empty for NEVER. */
gr_str gr_refresh_sql(const gr_refresh_policy *policy, const gr_refresh_part *part, int64_t now_us, gr_arena *arena);
#endif
