/* Plans as SQL text with bound parameters, for a dialect that is a table of data. No value of a user is ever in the
 * text. Memory: everything in the given arena. Threads: pure. Source: cube.md §5; duckdb.md §6, §9. */
#ifndef GR_SQL_SQL_H
#define GR_SQL_SQL_H
#include "plan/plan.h"

typedef struct gr_dialect gr_dialect;
bool gr_dialect_is_for_groups(const gr_dialect *dialect); /* its statements are readings, finished elsewhere */
bool gr_dialect_has_states(const gr_dialect *dialect);    /* gr_plan_remote.has_states */
const gr_dialect *gr_dialect_get(gr_str name); /* "duckdb", "postgres", "postgres+hll"; NULL when there is none */

/* A data source, and how statements are written for it. The embedded engine sees the tables of some of them; what is to
 * be joined with others is fetched first.
 *
 *      one reading                    written for the place that holds it, and run there
 *      several, of one place or of    written for the embedded engine; each reading of a place that it does not see
 *      many                           is a statement of its own (gr_sql_fetch), whose rows it reads as a table */
typedef struct gr_sql_place {
    gr_str name;                         /* of the data source; empty: the embedded store */
    _Atomic(const gr_dialect *) dialect; /* what the server has is found out when it is reached */
    bool is_embedded;                    /* the embedded engine sees its tables */
} gr_sql_place;
typedef struct gr_sql_places {
    const gr_sql_place *v; /* the first is the embedded store */
    size_t n;
} gr_sql_places;
extern const gr_sql_places gr_sql_places_embedded; /* everything is seen by the embedded engine */
/* The first one when there is none of this name. */
const gr_sql_place *gr_sql_place_of(const gr_sql_places *places, gr_str name);

typedef struct gr_sql_fetch gr_sql_fetch;
typedef struct gr_sql {
    gr_str text;
    gr_value *params; /* $1 … $n */
    size_t n_params;
    gr_str place;          /* the data source that it is about; empty: the store alone */
    bool is_native;        /* run there; else in the embedded engine, on a connection for that source */
    bool reads_source;     /* of a query: rows of cubes, not only stored ones */
    gr_sql_fetch *fetches; /* that it reads: run before it, each where it says */
    size_t n_fetches;
} gr_sql;
/* Its rows are put into a table that only the connection of the whole statement sees. */
struct gr_sql_fetch {
    gr_str table;          /* "granary_f0": a temporary table's name, not quoted */
    const gr_str *columns; /* their names, whatever the place makes of them; NULL: those of the rows */
    gr_sql sql;
};

/* The query of a plan: columns in the order of query->columns. The source of the FROM is the plan's rollup table, or
 * the source's tables. Errors: plan.unsupported. */
GR_MUST_CHECK gr_status gr_sql_query(const gr_plan *plan, const gr_sql_places *places, gr_arena *arena, gr_sql *ret,
                                     gr_error *err);
/* One piece of a plan that is not ungrouped, as it stands in the union: group columns, then components. For people. */
GR_MUST_CHECK gr_status gr_sql_piece(const gr_plan *plan, size_t piece, const gr_sql_places *places, gr_arena *arena,
                                     gr_sql *ret, gr_error *err);
/* count(*) of the same query without order, limit and offset. */
GR_MUST_CHECK gr_status gr_sql_total(const gr_plan *plan, const gr_sql_places *places, gr_arena *arena, gr_sql *ret,
                                     gr_error *err);
/* `SELECT <start as a naive time stamp>, <end>` of a build range, for the source. */
gr_sql gr_sql_build_range(const gr_rollup *rollup, const gr_sql_places *places, gr_arena *arena);
/* First and last bucket of a probe's plan (gr_plan_probe): two time stamps, null without rows. */
GR_MUST_CHECK gr_status gr_sql_span(const gr_plan *plan, const gr_sql_places *places, gr_arena *arena, gr_sql *ret,
                                    gr_error *err);
/* Of a load: what is not in the definition. */
typedef struct gr_sql_load_options {
    const gr_original *originals; /* cubes that are read from their stored original_sql */
    size_t n_originals;
    const gr_range *range; /* of the ranged column, or NULL: everything */
    bool is_without_time;  /* only rows whose ranged column is null */
} gr_sql_load_options;
/* The SELECT that fills a rollup for a zone; its text (without options) is also what the structure hash is made of. */
GR_MUST_CHECK gr_status gr_sql_load(const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone,
                                    gr_sql_load_options options, const gr_sql_places *places, gr_arena *arena,
                                    gr_sql *ret, gr_error *err);
/* `SELECT <first instant>, <last>, <rows without one>` of the ranged column, over all that the rollup would store. */
GR_MUST_CHECK gr_status gr_sql_time_span(const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone,
                                         gr_sql_load_options options, const gr_sql_places *places, gr_arena *arena,
                                         gr_sql *ret, gr_error *err);
/* Where the source's side of a load is read. */
gr_str gr_sql_load_source(const gr_rollup *rollup);
/* `SELECT k, what`: the partitions (the hour, day, … that they start at, as it is stored, in microseconds; INT64_MIN
 * for rows without a time; 0 without partitions) in which a stored table (FROM text) differs from the source over
 * `options`, and in what. Only what gr_sql_can_verify. */
bool gr_sql_can_verify(const gr_rollup *rollup);
GR_MUST_CHECK gr_status gr_sql_verify(const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone,
                                      gr_sql_load_options options, gr_str table, const gr_sql_places *places,
                                      gr_arena *arena, gr_sql *ret, gr_error *err);
/* `SELECT k, f`: by partition, fact by fact, a text that changes when rows of the source do: their number, and the
 * largest value of a change column, or (NULL) the sum of the hashes of all that is stored of them. */
GR_MUST_CHECK gr_status gr_sql_fingerprint(const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone,
                                           gr_sql_load_options options, const gr_expr *change,
                                           const gr_sql_places *places, gr_arena *arena, gr_sql *ret, gr_error *err);
/* Of the rows of a stored table: aggregate expression, a text; and that partition of a row, as above. */
gr_str gr_sql_checksum(const gr_rollup *rollup, const gr_dialect *dialect, gr_arena *arena);
/* Of integers of 64 bits, however many. */
gr_str gr_sql_exact_sum(const gr_dialect *dialect, gr_str column, gr_arena *arena);
/* Least or greatest value of a time column in microseconds, null without any. */
gr_str gr_sql_edge(const gr_dialect *dialect, gr_str column, bool is_greatest, gr_arena *arena);
gr_str gr_sql_partition_key(const gr_rollup *rollup, const gr_dialect *dialect, gr_arena *arena);
/* All partitions of a state as one table, for FROM. */
gr_str gr_sql_partitions(const gr_rollup *rollup, const gr_rollup_state *state, const gr_dialect *dialect,
                         gr_arena *arena);
/* Somebody else's table, bound column by column. */
typedef struct gr_sql_bound {
    gr_str table;       /* qualified and quoted */
    gr_str *columns;    /* parallel to the rollup's columns */
    gr_str *components; /* parallel to its components; empty: not bound, and left out */
    bool holds_values;  /* columns of distinct counts hold the values, not the count */
} gr_sql_bound;
/* A SELECT in brackets that gives the table as the rollup would store it, in this zone. */
GR_MUST_CHECK gr_status gr_sql_registered(const gr_rollup *rollup, const gr_sql_bound *bound, const gr_tz *zone,
                                          int64_t now_us, const gr_dialect *dialect, gr_arena *arena, gr_str *ret,
                                          gr_error *err);
/* `SELECT <every dimension's expression, and what is hashed> FROM <cube>`: described, not run, to learn the types. */
/* Of a measure that is a min or max the type of what it is taken of is described. */
bool gr_sql_describes_value(const gr_member *member);
/* `only`: of this member alone, or NULL. */
GR_MUST_CHECK gr_status gr_sql_describe_cube(const gr_model *model, const gr_cube *cube, const gr_member *only,
                                             const gr_dialect *dialect, gr_arena *arena, const gr_member ***ret_members,
                                             size_t *ret_n, gr_str *ret_text, gr_error *err);
/* A query of the model, as a refresh key is: its holes are {cube.sql()}. */
GR_MUST_CHECK gr_status gr_sql_key(const gr_expr *query, const gr_cube *owner, const gr_sql_places *places,
                                   gr_arena *arena, gr_str *ret, gr_error *err);
/* A statement that somebody else wrote for a data source. */
gr_sql gr_sql_given(const gr_sql_places *places, gr_str data_source, gr_str text);
/* A name that is longer than `most` bytes ends in a hash of all of it; 0: no name is too long. */
gr_str gr_sql_shortened(gr_str name, size_t most, gr_arena *arena);
/* `CREATE SCHEMA IF NOT EXISTS "catalog"."schema"`; catalog empty: without. */
gr_str gr_sql_create_schema(const gr_dialect *dialect, gr_str catalog, gr_str schema, gr_arena *arena);
gr_str gr_sql_quote(const gr_dialect *dialect, gr_str identifier, gr_arena *arena);
#endif
