/* The reference evaluator: the answer to a query by definition, over rows in memory. It shares no code with planning
 * and SQL generation: joins are nested loops, filters and time zones go row by row, a measure looks at the rows of its
 * group. From the product come only the parsed query, the model's granularities and the calendar. Source:
 * cube.md 2.4, 5.1, 5.2, 5.4-5.7; decisions 8, 9. */
#ifndef DIFFERENTIAL_REFERENCE_H
#define DIFFERENTIAL_REFERENCE_H
#include "differential/world.h"
#include "query/query.h"

typedef struct diff_answer {
    diff_value *cells;                  /* row-major; columns as in query->columns */
    size_t n_rows, n_columns, n_groups; /* n_groups: without limit and offset */
    bool is_unsure; /* an order or a filter hangs on a floating-point difference that summing in another order makes */
    bool is_unordered; /* rows may come in any order (ungrouped) */
    size_t n_sources;  /* facts and windows */
    bool has_window;   /* some measure looks through a window, or is of several stages */
    bool has_fan_out;  /* some measure's rows are repeated */
    bool has_sub_query;
    gr_status due; /* the query must be refused, with this: no join path, or a join that multiplies a measure */
} diff_answer;

void diff_reference_answer(const diff_world *world, const gr_query *query, gr_arena *arena, diff_answer *ret);

/* The value of a dimension of `cube` where row `row` of `root` stands, other cubes joined: for filter values that
 * exist. */
diff_value diff_reference_dimension(const diff_world *world, size_t root, size_t row, size_t cube, size_t dim,
                                    gr_arena *arena);
#endif
