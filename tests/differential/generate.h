/* Seeded worlds and queries. The same (seed, group) gives the same world, the same (seed, group, index) the same query,
 * whatever else was generated before. Memory: worlds in the arena, queries are new JSON. */
#ifndef DIFFERENTIAL_GENERATE_H
#define DIFFERENTIAL_GENERATE_H
#include "differential/random.h"
#include "differential/world.h"

#include <jansson.h>

void diff_generate_world(uint64_t seed, uint64_t group, gr_arena *arena, diff_world *ret);
json_t *diff_generate_query(const diff_world *world, uint64_t seed, uint64_t group, uint64_t index, gr_arena *arena);

/* A condition on dimensions that cubes reachable from `root` have, as it may stand in a model: without relative dates.
 */
json_t *diff_generate_filter(const diff_world *world, diff_random *r, size_t root, gr_arena *arena);

/* Of generate_table.c: rows for the columns of generate.c. */
enum {
    DIFF_COL_ID,
    DIFF_COL_KEY2,
    DIFF_COL_FK1,
    DIFF_COL_FK2,
    DIFF_COL_FK3,
    DIFF_COL_TXT,
    DIFF_COL_TXT2,
    DIFF_COL_NUM,
    DIFF_COL_DEC,
    DIFF_COL_DBL,
    DIFF_COL_BIG,
    DIFF_COL_FLAG,
    DIFF_COL_AT,
    DIFF_COL_AT2,
    DIFF_N_COLS
};
/* Every table has its number of rows before the first is filled, for their keys are each other's. */
void diff_size_table(diff_random *r, diff_world *world, size_t cube, gr_arena *arena);
void diff_generate_table(diff_random *r, diff_world *world, size_t cube, gr_str name, gr_arena *arena);
/* An instant where clocks and calendars do something: a jump of the zone, the end of a month, 1970. */
int64_t diff_random_instant(diff_random *r, const diff_world *world);
/* The first jump of the zone's clock within a year after an instant, to the second; or some time later. */
int64_t diff_next_jump(const gr_tz *tz, int64_t at);
gr_str diff_random_word(diff_random *r);
/* Reachable along joins from `from`, itself included. */
size_t diff_reachable(const diff_world *world, size_t from, size_t *ret);
#endif
