/* What the files of this room share: the dialect table and the writer. */
#ifndef GR_SQL_INTERNAL_H
#define GR_SQL_INTERNAL_H
#include "base/buf.h"
#include "sql/sql.h"

typedef enum gr_sql_op {
#define GR_OP_DEF(name, holes, doc) GR_SQL_##name,
#include "plan/ops.def"
#undef GR_OP_DEF
    GR_SQL_OP__COUNT
} gr_sql_op;

struct gr_dialect {
    gr_str name;
    char quote;             /* of identifiers, doubled inside */
    size_t most_name_bytes; /* longer identifiers end in a hash of all of it; 0: there is no limit */
    gr_str collation;       /* that orders texts by their bytes, as the embedded engine does; empty: it does */
    gr_str wide_integer;    /* a type of 38 digits that compares with its integers exactly */
    /* A SELECT of it joins two tables, groups by names, and takes an alias for the column of that name: it only reads,
     * by alone.c, and what it read is finished in the embedded engine. */
    bool reads_alone;
    bool has_states;                /* sketches of its data are states of ClickHouse */
    gr_str create_schema;           /* {0}: its quoted name */
    gr_str ops[GR_SQL_OP__COUNT];   /* templates; empty = the engine cannot, refused by name */
    gr_str truncs[GR_GRAIN__COUNT]; /* TRUNC by unit, where the engine has a function for each; or empty */
    bool refuses[GR_SQL_OP__COUNT]; /* stated on purpose: a test fails when an op is neither filled nor refused */
};
extern const gr_dialect gr_dialect_duckdb, gr_dialect_postgres, gr_dialect_postgres_hll, gr_dialect_clickhouse;

/* Where values come from while a SELECT is written. */
typedef enum gr_sql_read {
    GR_READ_SOURCE, /* joined tables: members are expressions, components are accumulated */
    GR_READ_STORED, /* the table of the scan's rollup: stored columns, components are merged */
    GR_READ_UNION,  /* rows of several pieces: group columns by alias, components c0 … merged */
    GR_READ_PLAIN   /* rows of a relation, one for each group: components as they are */
} gr_sql_read;

typedef GR_VEC(gr_value) gr_sql_params;

/* A sub_query dimension that the SELECT in the making uses, joined by the key of its cube. */
typedef struct gr_sql_sub_query {
    const gr_member *dimension;
    gr_str name, alias; /* the same, quoted */
} gr_sql_sub_query;

/* What the writers of one statement share. */
typedef GR_VEC(gr_sql_fetch) gr_sql_fetches;
typedef struct gr_sql_statement {
    gr_sql_params params;
    gr_status status;
    int n_sub_queries;
    bool reads_source;
    gr_sql_fetches fetches;
} gr_sql_statement;

/* One statement in the making. Errors are sticky: the first one wins and the texts that follow are of no use. */
typedef struct gr_sqlw {
    const gr_dialect *dialect;
    const gr_sql_places *places; /* with `fetches`: what the statement's place does not see is fetched; or NULL */
    gr_sql_fetches *fetches;     /* shared by the writers of one statement */
    const gr_snapshot *snapshot;
    const gr_query *query; /* whose columns and conditions are written; NULL when a cube is described */
    const gr_query *outer; /* whose filters sub_query dimensions may take over, or NULL */
    gr_sql_read read;
    const gr_tree *tree;             /* SOURCE: the joined cubes, or NULL */
    const gr_scan *scan;             /* SOURCE (NULL in loads), STORED */
    const gr_rollup *from;           /* STORED: the rollup that is read; else NULL */
    const gr_components *components; /* UNION, PLAIN: of c0 … */
    gr_str rows;                     /* UNION, PLAIN: alias of the relation, quoted */
    const gr_original *originals;
    size_t n_originals;
    const gr_rollup_column *limited; /* loads: only this range of the column, or NULL */
    const gr_range *limits;
    bool is_given_only;              /* scans leave out components that they do not give */
    const gr_partition_table *table; /* STORED: this one alone, of all that the scan reads; or NULL */
    bool is_unmerged;                /* STORED: rows as they are stored, for somebody else to merge */
    const gr_tz *tz;
    int64_t now_us;
    gr_arena *arena;
    int *n_sub_queries;                   /* of the whole statement: they nest */
    bool *reads_source;                   /* gr_sql; NULL: nobody asks */
    gr_sql_params *params;                /* shared by the writers of one statement */
    GR_VEC(gr_sql_sub_query) sub_queries; /* of the SELECT in the making */
    gr_status *status;                    /* shared by the writers of one statement */
    gr_error *err;
} gr_sqlw;

/* writer.c */
gr_str gr_sqlw_op(gr_sqlw *w, gr_sql_op op, const gr_str *holes);
gr_str gr_sqlw_filled(gr_sqlw *w, gr_str template, const gr_str *holes);
gr_str gr_sqlw_op1(gr_sqlw *w, gr_sql_op op, gr_str a);
gr_str gr_sqlw_op2(gr_sqlw *w, gr_sql_op op, gr_str a, gr_str b);
gr_str gr_sqlw_param(gr_sqlw *w, gr_value value);
gr_str gr_sqlw_ident(gr_sqlw *w, gr_str name);
gr_str gr_sqlw_text_literal(gr_sqlw *w, gr_str text); /* of the model, never of a user */
gr_str gr_sqlw_fail(gr_sqlw *w, gr_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
gr_str gr_sqlw_join(gr_sqlw *w, const gr_str *texts, size_t n, const char *between);

/* member.c: dimensions and segments */
gr_str gr_sqlw_expr(gr_sqlw *w, const gr_expr *expr, const gr_cube *owner);
gr_str gr_sqlw_member(gr_sqlw *w, const gr_member *member); /* the raw value */
gr_str gr_sqlw_operand(gr_sqlw *w, gr_str text);            /* in brackets unless it is a plain column */
/* A dimension that the source has as an enum, a UUID and so on: a text wherever it is stored, so it is compared,
 * grouped and ordered as one everywhere. `seen`: its value as answered and stored. */
bool gr_sqlw_is_text_of_other(const gr_sqlw *w, const gr_member *member);
gr_str gr_sqlw_seen(gr_sqlw *w, const gr_member *member);
bool gr_sqlw_is_integer_for_boolean(const gr_sqlw *w, const gr_member *member); /* any that is not 0 is true */
gr_str gr_sqlw_member_out(gr_sqlw *w, const gr_member *member); /* as answered: times on the wall clock */
/* A column of the rollup that is read, or of one of its parts. */
gr_str gr_sqlw_stored(gr_sqlw *w, const gr_rollup *part, gr_str column);
/* FROM … LEFT JOIN …; written last, because it joins the sub_query dimensions that the other clauses use. */
gr_str gr_sqlw_from(gr_sqlw *w, const gr_tree *tree);
/* The same for a SELECT of these texts, of which a dialect that reads alone has to know the columns. */
gr_str gr_sqlw_from_for(gr_sqlw *w, const gr_tree *tree, gr_str list, gr_str where);
gr_str gr_sqlw_table(gr_sqlw *w, const gr_cube *cube); /* `orders AS "orders"`, `(SELECT …) AS "orders"` */

/* alone.c: readings in a dialect that reads alone */
gr_str gr_sqlw_alone_from(gr_sqlw *w, const gr_tree *tree, gr_str list, gr_str where);
/* `value < $1`, with a bound that it has no word for. */
gr_str gr_sqlw_alone_compare(gr_sqlw *w, gr_str value, const char *comparison, int64_t us);
/* On the wall clock of the writer's zone, by the calendar of cal/. */
gr_str gr_sqlw_alone_local(gr_sqlw *w, gr_str instant);

/* `SELECT k0 …, value`, and what joins it: `"orders".id = "orders__n"."k0"`. */
gr_str gr_sqlw_sub_query_rows(gr_sqlw *w, const gr_member *dimension);
gr_str gr_sqlw_sub_query_on(gr_sqlw *w, const gr_sql_sub_query *sub_query);

/* The rows of a cube as a SELECT, without originals. */
gr_str gr_sqlw_cube_rows(gr_sqlw *w, const gr_cube *cube);

/* time.c */
gr_str gr_sqlw_instant(gr_sqlw *w, const gr_member *member, gr_str raw); /* naive UTC */
gr_str gr_sqlw_local(gr_sqlw *w, gr_str instant);
gr_str gr_sqlw_stamp(gr_sqlw *w, int64_t us); /* a literal; INT64_MIN, INT64_MAX: before and after all */
gr_str gr_sqlw_trunc(gr_sqlw *w, gr_str local, const gr_granularity *g, int64_t anchor_local_us);
gr_str gr_sqlw_member_bucket(gr_sqlw *w, const gr_member *member, const gr_granularity *g); /* {created_at.day} */
gr_str gr_sqlw_stored_bucket(gr_sqlw *w, const gr_member *member, const gr_granularity *g); /* column of a load */
gr_str gr_sqlw_time_field(gr_sqlw *w, const gr_time_field *time); /* bucket of a query's time dimension */
gr_str gr_sqlw_range(gr_sqlw *w, const gr_time_field *time);      /* its date range as a condition */
/* `member >= from AND < to` (or one side) on raw values; sides: 1 = from, 2 = to. */
gr_str gr_sqlw_point(gr_sqlw *w, const gr_member *member, const char *comparison, const gr_range *range, bool is_from);

/* measure.c */
gr_str gr_sqlw_measure(gr_sqlw *w, const gr_member *measure);
gr_str gr_sqlw_own_filters(gr_sqlw *w, const gr_member *measure); /* ANDed; empty when it has none */
gr_str gr_sqlw_row_value(gr_sqlw *w, const gr_member *measure);   /* what one row contributes; empty: every row */
/* What an operation on sketches is for those of this component. */
gr_sql_op gr_sql_sketch_op(const gr_component *component, gr_sql_op op);
gr_str gr_sqlw_hashed(gr_sqlw *w, const gr_component *component, gr_str value); /* as sketches take it */
gr_str gr_sqlw_sketch(gr_sqlw *w, const gr_component *component, gr_str hashed);
/* Of what a min or max is taken of; NULL: it is neither, or the type is not known. */
const gr_column_schema *gr_sqlw_ordered_type(const gr_sqlw *w, const gr_component *component);
gr_str gr_sqlw_accumulated(gr_sqlw *w, const gr_component *component, gr_str value);
/* Stored values of a component as one: `count` and `sum` are those of an M2. */
gr_str gr_sqlw_merge_values(gr_sqlw *w, const gr_component *component, gr_str value, gr_str count, gr_str sum);
/* A component where the writer reads: accumulated, merged, or as it is. */
gr_str gr_sqlw_stored_value(gr_sqlw *w, const gr_component *component); /* of one stored row */
gr_str gr_sqlw_component(gr_sqlw *w, const gr_component *component);

/* place.c: what is written for another place than the statement's */
const gr_sql_place *gr_sql_place_of_scan(const gr_sql_places *places, const gr_scan *scan);
/* Where a statement runs, and the writer of it. */
typedef struct gr_sql_home {
    gr_str place;
    bool is_native;
    const gr_dialect *dialect;
} gr_sql_home;
gr_sql_home gr_sql_home_of_plan(const gr_sql_places *places, const gr_plan *plan);
gr_sql_home gr_sql_home_native(const gr_sql_places *places, gr_str name);
gr_sql_home gr_sql_home_embedded(const gr_sql_places *places, gr_str name);
/* Where what is read of this source is put together: there, unless it reads alone. */
gr_sql_home gr_sql_home_of_readings(const gr_sql_places *places, gr_str name);
/* A reading that `write` writes, of `n` columns: as it is in a statement for its place, else the rows that are fetched.
 */
typedef gr_str (*gr_sqlw_reading)(gr_sqlw *w, const void *arg);
gr_str gr_sqlw_read_at(gr_sqlw *w, const gr_sql_place *place, const gr_str *columns, gr_sqlw_reading write,
                       const void *arg);
/* What the home does not see is fetched. */
void gr_sqlw_take_home(gr_sqlw *w, const gr_sql_places *places, const gr_sql_home *home, gr_sql_statement *s);
/* The place has no sketches: values are fetched, and the embedded engine makes them. */
bool gr_sql_lacks_sketches(const gr_sql_place *place, const gr_components *components);
bool gr_sqlw_sees(const gr_sqlw *w, const gr_sql_place *place);
/* A writer of its own for a fetch from this place; its texts go to `s`. */
gr_sqlw gr_sqlw_for_place(const gr_sqlw *w, const gr_sql_place *place, gr_sql_statement *s);
/* A table of a rollup as it is stored, for FROM. */
gr_str gr_sqlw_fetched_whole(gr_sqlw *w, const gr_sql_place *place, const gr_rollup *rollup, gr_str table);
/* The rows of a finished fetch, for FROM. */
gr_str gr_sqlw_fetched(gr_sqlw *w, const gr_sql_place *place, const gr_sql_statement *s, const gr_str *columns,
                       gr_str text);

/* load.c */
gr_sqlw gr_sqlw_for_load(const gr_snapshot *snapshot, const gr_rollup *entity, const gr_tz *zone,
                         gr_sql_load_options options, const gr_dialect *dialect, gr_sql_statement *s, gr_arena *arena,
                         gr_error *err);
/* The load of a place that the embedded engine does not see has to meet in it: of several facts, or with sketches that
 * the place cannot make. */
bool gr_sql_load_meets_here(const gr_sql_place *source, const gr_rollup *entity);
gr_str gr_sqlw_load(gr_sqlw *w, const gr_rollup *entity); /* without order */
/* query.c */
gr_status gr_sqlw_finish(const gr_sql_statement *s, const gr_sql_home *home, gr_str text, gr_sql *ret);

/* partition.c: what a reading (NULL: all) has of a state's tables, for FROM */
gr_str gr_sqlw_partitions(gr_sqlw *w, const gr_rollup *rollup, const gr_rollup_state *state, const gr_reading *reading);

/* By table of the state: it is among those that the reading (NULL: all) is of; *ret_n: how many are. */
bool *gr_sqlw_tables_of(gr_sqlw *w, const gr_rollup_state *state, const gr_reading *reading, size_t *ret_n);
/* What is read of one of them, as a condition on the column; only with `live`. */
gr_str gr_sqlw_live(gr_sqlw *w, gr_str column, const gr_partition_table *table);

/* filter.c */
gr_str gr_sqlw_filter(gr_sqlw *w, const gr_filter *filter); /* empty when it has no conditions */

/* scan.c: one reading of a rollup or the source */
/* The group columns of a SELECT: of a query, or the columns of a rollup that is loaded. */
typedef struct gr_sql_grain {
    const gr_query *query;
    const gr_rollup *load;
} gr_sql_grain;
size_t gr_sqlw_grain_n(const gr_sql_grain *grain);
gr_str gr_sqlw_grain_name(const gr_sql_grain *grain, size_t i);
gr_str gr_sqlw_grain_alias(gr_sqlw *w, const gr_sql_grain *grain, size_t i); /* the same, quoted */
gr_str gr_sqlw_grain_text(gr_sqlw *w, const gr_sql_grain *grain, size_t i);
/* In a dialect that reads alone: a decimal of 128 bits, or what may be one. 18.16 falls over where it is one of several
 * keys; so rows are grouped by its text, and any of the equal values is taken. */
bool gr_sqlw_is_wide_key(const gr_sqlw *w, const gr_sql_grain *grain, size_t i);
gr_str gr_sqlw_key_alias(gr_sqlw *w, const gr_sql_grain *grain, size_t i); /* of a reading's group column */
bool gr_sqlw_is_on_rows(const gr_sqlw *w, const gr_filter *filter);
gr_str gr_sqlw_where(gr_sqlw *w); /* " WHERE …" of the query's rows, or empty */
/* SELECT group columns, c0 … for each of `all` (NULL where the group lacks it). */
gr_str gr_sqlw_scan(gr_sqlw *w, const gr_sql_grain *grain, const gr_group *group, const gr_components *all);
/* SELECT DISTINCT group columns, "v": the values of one component, as sketches take them. */
gr_str gr_sqlw_values(gr_sqlw *w, const gr_sql_grain *grain, const gr_group *group, const gr_component *component);
/* The same, fetched from the place that the statement does not see. */
gr_str gr_sqlw_scan_from(gr_sqlw *w, const gr_sql_place *place, const gr_sql_grain *grain, const gr_group *group,
                         const gr_components *all);
/* `"a"."status" AS "status"`, of what was fetched from there. */
gr_str gr_sqlw_fetched_column(gr_sqlw *w, const gr_sql_place *place, const gr_sql_grain *grain, size_t i);
/* A stored sketch that a fetch sends as hexadecimal text. */
bool gr_sqlw_is_sent_as_text(const gr_sqlw *w, const gr_component *c);
gr_str gr_sqlw_group_by(gr_sqlw *w, size_t n); /* " GROUP BY 1, 2", or empty */
/* " GROUP BY a, b", or empty. Where the engine reads alone, with " HAVING count() > 0": ClickHouse drops keys that no
 * row changes, and of no rows at all it makes a group. */
gr_str gr_sqlw_group_by_texts(gr_sqlw *w, const gr_str *texts, size_t n);
/* "v", "k0": the name of a column of a reading; such that no column of a source has it where that would matter. */
gr_str gr_sqlw_own(gr_sqlw *w, const char *name);
gr_str gr_sqlw_own_at(gr_sqlw *w, const char *name, size_t i);
gr_sqlw gr_sqlw_for_scan(const gr_sqlw *w, const gr_scan *scan);

/* relation.c: plans as relations of group columns and components */
gr_str gr_sqlw_relation(gr_sqlw *w, const gr_plan *plan);         /* one row for each group */
gr_str gr_sqlw_pieces(gr_sqlw *w, const gr_plan *plan);           /* UNION ALL of the pieces */
gr_str gr_sqlw_merged(gr_sqlw *w, const gr_component *component); /* UNION: over c<i> */

/* stage.c */
gr_str gr_sqlw_window(gr_sqlw *w, const gr_plan *plan, const gr_piece *piece);
gr_str gr_sqlw_stage(gr_sqlw *w, const gr_plan *plan, const gr_piece *piece);
/* SELECT k0 …, value: of a sub_query dimension's plan. */
gr_str gr_sqlw_keyed_value(gr_sqlw *w, const gr_plan *plan, const gr_member *measure);
/* "c<i>" of the components, or NULL when this piece does not give it. */
gr_str gr_sqlw_slot(gr_sqlw *w, size_t i);
#endif
