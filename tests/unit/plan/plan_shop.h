/* The cube of the worked examples of cube.md §4.8, with one that it looks up (users) and one that repeats it (items).
 */
#ifndef GR_TESTS_PLAN_SHOP_H
#define GR_TESTS_PLAN_SHOP_H

#define HEAD                                                                                                           \
    "cubes:\n"                                                                                                         \
    "- name: orders\n  sql_table: orders\n"                                                                            \
    "  joins:\n  - {name: users, sql: '{CUBE}.user_id = {users.id}', relationship: many_to_one}\n"                     \
    "  dimensions:\n"                                                                                                  \
    "  - {name: id, sql: id, type: number, primary_key: true, public: true}\n"                                         \
    "  - {name: user_id, sql: user_id, type: number}\n"                                                                \
    "  - {name: status, sql: status, type: string}\n"                                                                  \
    "  - {name: city, sql: city, type: string}\n"                                                                      \
    "  - {name: status_city, sql: \"{status} || {city}\", type: string}\n"                                             \
    "  - {name: status_raw, sql: \"{status} || town\", type: string}\n"                                                \
    "  - {name: status_alias, sql: \"{status}\", type: string}\n"                                                      \
    "  - name: created_at\n    sql: created_at\n    type: time\n    granularities:\n"                                  \
    "    - {name: fiscal_year, interval: 1 year, offset: 3 months}\n"                                                  \
    "    - {name: half_year, interval: 6 months, origin: '2020-01-01'}\n"                                              \
    "    - {name: sunday_week, interval: 1 week, offset: -1 day}\n"                                                    \
    "    - {name: fifteen_min, interval: 15 minutes}\n"                                                                \
    "    - {name: month_end, interval: 1 month, offset: 30 days}\n"                                                    \
    "    - {name: two_weeks, interval: 2 weeks, origin: '2024-01-01'}\n"                                               \
    "    - {name: two_weeks_at_ten, interval: 2 weeks, origin: '2024-01-01T10:00:00'}\n"                               \
    "  - {name: updated_at, sql: updated_at, type: time}\n"                                                            \
    "  measures:\n"                                                                                                    \
    "  - {name: count, type: count}\n"                                                                                 \
    "  - {name: total, sql: amount, type: sum}\n"                                                                      \
    "  - {name: total_again, sql: \"{CUBE}.amount\", type: sum}\n"                                                     \
    "  - {name: top, sql: amount, type: max}\n"                                                                        \
    "  - {name: mn, sql: amount, type: min}\n"                                                                         \
    "  - {name: avg_a, sql: amount, type: avg}\n"                                                                      \
    "  - {name: uniq, sql: user_id, type: count_distinct}\n"                                                           \
    "  - {name: uniqa, sql: user_id, type: count_distinct_approx}\n"                                                   \
    "  - {name: uniqa14, sql: user_id, type: count_distinct_approx, precision: 14}\n"                                  \
    "  - {name: ratio, sql: \"{total} / {count}\", type: number}\n"                                                    \
    "  - {name: ratio2, sql: \"{ratio} * 2 + {uniq}\", type: number}\n"                                                \
    "  - {name: ratio3, sql: \"{ratio} * 2 + {avg_a}\", type: number}\n"                                               \
    "  - {name: own, sql: \"sum({CUBE}.amount) / count(*)\", type: number}\n"                                          \
    "  - {name: spread, sql: \"var_pop({CUBE}.amount)\", type: number}\n"                                              \
    "  - {name: opaque, sql: \"string_agg({CUBE}.status, ',')\", type: string}\n"                                      \
    "  - name: done_total\n    sql: amount\n    type: sum\n    filters: [{sql: \"{CUBE}.status = 'done'\"}]\n"         \
    "  - {name: roll7, sql: amount, type: sum, rolling_window: {trailing: 7 day}}\n"                                   \
    "  - {name: rollm, sql: amount, type: sum, rolling_window: {trailing: 1 month}}\n"                                 \
    "  - {name: rollu, sql: user_id, type: count_distinct, rolling_window: {trailing: 7 day}}\n"                       \
    "  - {name: running, sql: amount, type: sum, rolling_window: {trailing: unbounded}}\n"                             \
    "  segments:\n  - {name: done, sql: \"{CUBE}.status = 'done'\"}\n"                                                 \
    "  - {name: big, sql: \"{CUBE}.amount > 100\"}\n"                                                                  \
    "  pre_aggregations:\n"

#define USERS                                                                                                          \
    "- name: users\n  sql_table: users\n"                                                                              \
    "  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n"                                        \
    "  - {name: country, sql: country, type: string}\n  - {name: name, sql: name, type: string}\n"                     \
    "  measures:\n  - {name: count, type: count}\n  - {name: age, sql: age, type: sum}\n"                              \
    "- name: items\n  sql_table: items\n"                                                                              \
    "  joins:\n  - {name: orders, sql: '{CUBE}.order_id = {orders.id}', relationship: many_to_one}\n"                  \
    "  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n"                                        \
    "  - {name: product, sql: product, type: string}\n"                                                                \
    "  measures:\n  - {name: qty, sql: qty, type: sum}\n"                                                              \
    "views:\n- name: ov\n  cubes:\n"                                                                                   \
    "  - {join_path: orders, includes: [id, status, city, created_at, count, ratio, uniq, avg_a, done]}\n"             \
    "  - {join_path: orders.users, includes: [country, name]}\n"

/* The rollup of the worked examples. */
#define MAIN                                                                                                           \
    "  - {name: main, measures: [count, total, mn, avg_a, uniq, uniqa], dimensions: [status, city], time_dimension: "  \
    "created_at, granularity: day}\n"
#endif
