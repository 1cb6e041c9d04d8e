/* A condition in SQL, as filters of the query JSON. What it means:
 *
 * - The text is what may stand behind WHERE. A row passes when it is true: not when it is false, and not when it is
 *   unknown because of a NULL. The filters let exactly these rows pass. Where Cube's operator keeps rows without a
 *   value, null stands among the values, which takes them out: `s <> 'x'` is {"notEquals": ["x", null]}.
 * - A reference is a member: `cube.member`, in the case as written; `"order"."limit"` where words are reserved. A
 * longer one, by join path (`orders.users.country`), is given back as it is written: gr_query_parse takes ids of two
 * parts, so the caller finds the member first. A role in brackets is refused.
 * - Types are not known here. gr_query_parse compares a literal as the member's type, whatever its own (`price = '5'`),
 *   and refuses a literal or an operator that does not fit. A condition on a measure is one on groups.
 * - LIKE is only what contains, startsWith and endsWith mean: text with % at its ends. They ignore case, so LIKE (not
 *   ILIKE) is taken only where the text has no letters.
 * - Times: for a time member <, <=, > and >= are what beforeDate and its kin are, on the wall clock of the query's
 * zone, and a bare date is its midnight, as in SQL. Texts that the query format reads in another way than SQL does are
 * refused in these comparisons, whatever the member: relative ones ('yesterday', 'last month': ranges), those with a
 * zone (read as the clock of UTC, without conversion), more than six digits of a fraction, and for <= and > a fraction
 * of .999 (all of that second). = and its kin, which take a time with a zone as an instant, are left as they are.
 *
 * Pure; any number of threads at once, on different arenas. */
#ifndef GR_QUERY_SQL_FILTER_H
#define GR_QUERY_SQL_FILTER_H
#include "data/json.h"

enum { GR_QUERY_SQL_MAX_BYTES = 64 << 10, GR_QUERY_SQL_MAX_NESTING = 24, GR_QUERY_SQL_MAX_TOKENS = 20000 };

/* *ret: an array, at least one filter, all of which hold (a condition on dimensions AND one on measures is two), for
 * "filters" of a query: json_array_extend. Owned by the arena. Values are texts or null. Groups are nested by at most
 * two levels more than the text.
 * Errors: query.invalid, with the piece, its place, and a hint of what is supported; limit.exceeded. */
GR_MUST_CHECK gr_status gr_query_sql_filter(gr_str text, gr_arena *arena, json_t **ret, gr_error *err);
#endif
