/* docs/matching.md: the prose stands here; rules, their repairs and the lattice of grains are asked of the code that
 * matches, so that the page cannot say something else. */
#include "cli/docs.h"

#include "plan/plan.h"

static const char finding[] =
    "A query is served by pre-aggregations when the answer is the one that the source would give as of their build, "
    "and\n"
    "never otherwise. Each candidate that does not serve is recorded with the rule that refused it; `granary explain` "
    "and\n"
    "`POST /v1/explain` (http-api.md) ask every candidate for every rule, and say what would make it fit.\n"
    "\n"
    "## What is matched\n"
    "\n"
    "A measure is made of **components**, each with an aggregation, an expression and filters:\n"
    "\n"
    "| Measure | Components | Merged by |\n"
    "|---|---|---|\n"
    "| count | a count | sum |\n"
    "| sum, min, max | itself | sum, min, max |\n"
    "| avg | a sum and a count | sum |\n"
    "| variance, standard deviation (`var_pop(x)` …) | count, sum, and the sum of squared distances from the mean | "
    "all "
    "three together |\n"
    "| count_distinct_approx | a sketch | union |\n"
    "| count_distinct | a distinct count | not mergeable |\n"
    "| calculated | those of the measures, and of the aggregate calls, in its SQL | as they are |\n"
    "| calculated, with calls that cannot be taken apart | its finished value | not mergeable |\n"
    "\n"
    "A rollup stores components, never ratios. Two measures share a component when aggregation, expression and "
    "filters\n"
    "are the same, whatever the measures are called. What cannot be merged is served at exactly the stored grain; a\n"
    "distinct count also from a rollup that stores the counted column itself as a dimension (an approximate one of a\n"
    "column of numbers with a fraction, or of times, only where the rollup is kept by the engine of its data: another\n"
    "one writes them otherwise).\n"
    "\n"
    "The components of a query are computed in **grain groups**: one fact (the root of a join tree) each, and within "
    "a\n"
    "fact one for each cube whose rows the joins repeat (below). Each group is matched on its own, so that one may "
    "come\n"
    "from a rollup while another comes from the source; their rows are put together, and merged by the groups of the\n"
    "answer.\n"
    "\n"
    "## Candidates and their order\n"
    "\n"
    "1. The rollups of every cube in the query: cubes in the order in which the query names them (measures, "
    "dimensions,\n"
    "   segments, filters, time dimensions), the rollups of each in the order of definition.\n"
    "2. Rollups that are declared in other cubes and computed over the same fact.\n"
    "\n"
    "| Pass | What is tried |\n"
    "|---|---|\n"
    "| 1 | With several grain groups: one rollup for everything |\n"
    "| 2 | For each group: a rollup that fits whole |\n"
    "| 3 | A rollup that gives the whole buckets of the range; its edges begin again at 2 |\n"
    "| 4 | The source; a cube with a stored `original_sql` is read from that |\n"
    "\n"
    "Within a pass the first candidate that passes every rule serves. With `selection: cheapest` (of a cube, a rollup "
    "or\n"
    "the query) it is the one of the fewest rows among those that are built. `preAggregations: forbid` tries none,\n"
    "`require` and rollup-only mode refuse the query (`plan.rollup_only`) when something is left for the source.\n"
    "\n"
    "A candidate that fits and is not built yet is built first when it says `build: on_demand` (the default), once "
    "for\n"
    "any number of waiting queries. After a build that failed, the next candidate is tried.\n";

static const char rules_head[] = "\n## Rules\n"
                                 "\n"
                                 "They are asked in this order, and the first that fails is the one that is recorded: "
                                 "the definition and its joins,\n"
                                 "dimensions, segments, filters, time dimensions, static filters, measures; then what "
                                 "is built: the build range, the\n"
                                 "time zone, the build itself. In the repairs `R` is the pre-aggregation, which starts "
                                 "at the cube `C`, `M` the member\n"
                                 "that the refusal names, `day` the granularity of the query and `month` the stored "
                                 "one. Where there is no repair, no\n"
                                 "change of this definition would help.\n";

static const char repairs_text[] = "\n`/v1/explain` puts the repairs of a candidate together. It then changes the "
                                   "definition as they say, matches again,\n"
                                   "and says `is_proved` when every rule passes: members are added, and a granularity "
                                   "becomes the coarsest one that the\n"
                                   "stored and the asked grain are both made of (the asked one itself for what cannot "
                                   "be merged). With `estimate` the\n"
                                   "rows of the changed rollup are counted at the source.\n";

static const char grains_head[] =
    "\n## Granularities\n"
    "\n"
    "A stored grain (column) serves a grain (row) when each bucket asked for is a union of stored buckets:\n"
    "\n";

static const char grains_text[] =
    "\nA custom granularity is served by itself, and by the predefined grains whose buckets make up its own: intervals "
    "of\n"
    "months from a first of a month by months and days, of weeks from a Monday by weeks, any that starts at midnight "
    "by\n"
    "days. A stored custom granularity serves only itself, counted from the same point.\n"
    "\n"
    "Grains of a day and coarser are stored as local bucket starts in one time zone; a query in another zone has a "
    "table\n"
    "of its own, as far as `build.max_time_zones` goes. Hours and finer are stored as instants, and are cut anew for "
    "each\n"
    "zone whose offsets, over the time that matters, are whole multiples of the grain (`match.time_zone`).\n"
    "\n"
    "Dimensions that are computed from other members alone (`{status} || {city}`) need not be stored: they are "
    "computed\n"
    "from what is. What the query fixes by an `equals` filter of one value is as good as grouped by it.\n";

static const char tiling_text[] =
    "\n## Ranges that are not whole buckets\n"
    "\n"
    "```\n"
    "asked   [----------------------------)\n"
    "rollup       [-----------------)          whole stored buckets\n"
    "edges   [----)                 [------)   a finer rollup, or the source\n"
    "```\n"
    "\n"
    "The pieces are merged by component, so the answer is exact. A component that cannot be merged, or whose rows the\n"
    "joins repeat, may not have a group in two pieces: then the cut is moved to whole buckets of the query's own\n"
    "granularity, and where there are none the rollup is refused (`match.edges`). A rollup with `build_range_start` "
    "and\n"
    "`build_range_end` is cut the same way to what it stores.\n"
    "\n"
    "With `allow_non_strict_date_range_match: true` a rollup serves such a range alone, as the buckets that start "
    "within it;\n"
    "the answer then says `exactness: non_strict_range`. A granularity that fits the range goes first.\n";

static const char fan_out_text[] =
    "\n## Joins that repeat rows\n"
    "\n"
    "A join repeats the rows of the cube on its `one` side: those of users, when orders are joined to them. min, max "
    "and\n"
    "count_distinct_approx do not mind. Other components of a cube whose rows may stand several times are a grain "
    "group\n"
    "of their own, over its distinct keys: each key counts once in each group of the answer. That needs a primary "
    "key;\n"
    "without one the query is an error (`plan.fan_out_unsupported`).\n"
    "\n"
    "A rollup stores such a component computed the same way at its own grain. It may be merged over every stored "
    "column\n"
    "that the key determines, and not over one that the joins fan out: those the query has to group by, or to fix to "
    "one\n"
    "value (`match.fan_out`).\n"
    "\n"
    "Measures of several facts, which no common root reaches, are computed for each fact, and meet on the dimensions "
    "of\n"
    "the query. In a row that one fact does not have, its counts are 0 and its other measures null. A rollup over "
    "several\n"
    "facts serves only queries over the same ones (`match.facts`).\n"
    "\n"
    "`match.join_path`: equal names reached by other joins are other members. A rollup serves only what hangs in its\n"
    "joins as it hangs in those of the query.\n";

static const char filters_text[] =
    "\n## Static filters\n"
    "\n"
    "A rollup with `filters` stores only the rows that pass them. It serves when the query's filters and ranges, "
    "taken\n"
    "together, let nothing else through; this is proved, or the rollup is refused (`match.static_filter`):\n"
    "\n"
    "| Stored rows | Served |\n"
    "|---|---|\n"
    "| `status` equals a, b | `status` equals a; equals a, b; not those with c, or none |\n"
    "| `status` notEquals a | `status` equals b; notEquals a, b |\n"
    "| `amount` gt 10 | `amount` gt 10; gte 11; equals 12 |\n"
    "| `created_at` afterDate … | a range that begins later |\n"
    "| an `or` | a query whose filters are within one branch |\n"
    "| several filters | a query that is within each of them |\n"
    "\n"
    "A filter of the query that the stored rows satisfy anyway is not asked of them, so its member need not be "
    "stored.\n"
    "Relative dates are refused in static filters, since what is stored stays.\n";

static const char over_text[] =
    "\n## Rolling windows and multi-stage measures\n"
    "\n"
    "A rollup stores a measure without its window. The query below a window asks for the same components at a grain "
    "that\n"
    "divides the buckets and the window, over the range that the window widens; that query is matched like any other.\n"
    "So are the queries below a multi-stage measure: over the shifted range, at the coarser or finer grain. In\n"
    "`/v1/explain` both are pieces that have pieces.\n"
    "\n"
    "A `sub_query` dimension may be stored. When it takes over the filters of the query\n"
    "(`propagate_filters_to_sub_query`), the stored value serves only queries without any (`match.sub_query_filter`).\n"
    "\n"
    "## Joined rollups\n"
    "\n"
    "A `rollup_join` has no table: its parts are joined when a query asks, over dimensions that they store. It is "
    "matched\n"
    "as one rollup, and is as built as its parts.\n"
    "\n"
    "## Rollups one after the other in time\n"
    "\n"
    "A `rollup_lambda` has no table either: its `rollups` follow one another along its time dimension, and at last, "
    "with\n"
    "`union_with_source_data`, the source.\n"
    "\n"
    "```\n"
    "asked     [-----------------------------------------------------)\n"
    "by_month  [==================)- - -\n"
    "by_day          - - - - - - -[=============)- -\n"
    "source                                     [====================)\n"
    "```\n"
    "\n"
    "It is one candidate, in its place in the order, and matches when each of its rollups matches by definition; its\n"
    "refusals have the member that one of them lacks. Each rollup ends where not all was there yet when it was built:\n"
    "at the bucket of the last value, or of `build_range_end`, and never later than the moment of the build; those "
    "that\n"
    "others follow end with their last partition that was whole. What was built at different times ends where the "
    "first\n"
    "of it was open. A query that ends before the last cut does not read the source; one that begins after it reads\n"
    "nothing else. The pieces are merged component by component, like tiles: averages, sketches, minima and maxima "
    "are\n"
    "right, and a measure that cannot be merged is cut at whole groups of the answer, or not served (`match.edges`).\n"
    "Rows that came late, into time that was closed, are seen after a refresh, as with any rollup.\n"
    "\n"
    "Without a date range the first rollup must hold everything from the beginning; rows without a time come from it\n"
    "alone. A cut that falls into a doubled hour of the query's clock is no moment of it (`match.lambda`). Time that "
    "the\n"
    "rollups do not have (before the first, between two, after the last without `union_with_source_data`) is tiled, "
    "and\n"
    "never answered as empty. The rest that the source gives is aggregated there, as components, so it has no limit "
    "of\n"
    "rows. `preAggregations: require` and the rollup-only mode refuse it, for they ask for no source; so does a "
    "pinned\n"
    "version. In an answer each of its rollups has the key `rollupLambdaId`.\n";

/* ---- tables ------------------------------------------------------------------------------------------------------ */

static void write_rules(gr_buf *out) {
    gr_arena *arena = gr_arena_new();
    gr_preagg preagg = {.id = GR_STR("R")};
    gr_member member = {.id = GR_STR("M")};
    gr_cube cube = {.name = GR_STR("C")};
    gr_tree_node root = {.cube = &cube};
    gr_rollup_column column = {.member = &member, .granularity = gr_granularity_predefined(GR_GRAIN_MONTH)};
    gr_rollup rollup = {.preagg = &preagg, .tree = {&root, 1}, .columns = &column, .n_columns = 1};
    gr_buf_z(out, rules_head);
    gr_buf_z(out, "\n| Rule | A rollup may not serve because | What repairs it |\n|---|---|---|\n");
    for (unsigned i = 0; i < GR_RULE__COUNT; i++) {
        const gr_refusal refusal = {(gr_rule)i, &rollup, &member, gr_granularity_predefined(GR_GRAIN_DAY)};
        gr_str repair = gr_refusal_repair(&refusal, arena);
        gr_buf_printf(out, "| `" GR_FMT "` | " GR_FMT " | " GR_FMT " |\n", GR_ARG(gr_rule_id((gr_rule)i)),
                      GR_ARG(gr_rule_doc((gr_rule)i)), GR_ARG(repair));
    }
    gr_arena_free(arena);
    gr_buf_z(out, repairs_text);
}

static void write_grains(gr_buf *out) {
    gr_buf_z(out, grains_head);
    gr_buf_z(out, "|");
    for (gr_grain fine = GR_GRAIN_SECOND; fine < GR_GRAIN_CUSTOM; fine++)
        gr_buf_printf(out, " | " GR_FMT, GR_ARG(gr_grain_name(fine)));
    gr_buf_z(out, " |\n|---");
    for (gr_grain fine = GR_GRAIN_SECOND; fine < GR_GRAIN_CUSTOM; fine++) gr_buf_z(out, "|---");
    gr_buf_z(out, "|\n");
    for (gr_grain coarse = GR_GRAIN_SECOND; coarse < GR_GRAIN_CUSTOM; coarse++) {
        gr_buf_printf(out, "| **" GR_FMT "**", GR_ARG(gr_grain_name(coarse)));
        for (gr_grain fine = GR_GRAIN_SECOND; fine < GR_GRAIN_CUSTOM; fine++)
            gr_buf_z(out, gr_grain_is_built_from(coarse, fine) ? " | yes" : " | ");
        gr_buf_z(out, " |\n");
    }
    gr_buf_z(out, grains_text);
}

void gr_cli_write_matching_docs(gr_buf *out) {
    gr_buf_z(out, "# How a query is matched to pre-aggregations\n\n");
    gr_buf_printf(out, GR_CLI_DOCS_BANNER, "src/plan/rules.def and src/cli/docs_matching.c");
    gr_buf_z(out, finding);
    write_rules(out);
    write_grains(out);
    gr_buf_z(out, tiling_text);
    gr_buf_z(out, fan_out_text);
    gr_buf_z(out, filters_text);
    gr_buf_z(out, over_text);
}
