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
    char quote;                     /* of identifiers, doubled inside */
    gr_str ops[GR_SQL_OP__COUNT];   /* templates; empty = the engine cannot, refused by name */
    bool refuses[GR_SQL_OP__COUNT]; /* stated on purpose: a test fails when an op is neither filled nor refused */
};
extern const gr_dialect gr_dialect_duckdb;

/* One statement in the making. Errors are sticky: the first one wins and the texts that follow are of no use. */
typedef struct gr_sqlw {
    const gr_dialect *dialect;
    const gr_snapshot *snapshot;
    const gr_plan *plan;   /* NULL when a load or a description is written */
    const gr_query *query; /* or NULL */
    const gr_rollup *from; /* the rollup that is read, or NULL: source tables */
    const gr_tz *tz;
    int64_t now_us;
    gr_arena *arena;
    GR_VEC(gr_value) params;
    gr_status status;
    gr_error *err;
} gr_sqlw;

/* writer.c */
gr_str gr_sqlw_op(gr_sqlw *w, gr_sql_op op, const gr_str *holes);
gr_str gr_sqlw_op1(gr_sqlw *w, gr_sql_op op, gr_str a);
gr_str gr_sqlw_op2(gr_sqlw *w, gr_sql_op op, gr_str a, gr_str b);
gr_str gr_sqlw_param(gr_sqlw *w, gr_value value);
gr_str gr_sqlw_ident(gr_sqlw *w, gr_str name);
gr_str gr_sqlw_text_literal(gr_sqlw *w, gr_str text); /* of the model, never of a user */
gr_str gr_sqlw_fail(gr_sqlw *w, gr_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
gr_str gr_sqlw_join(gr_sqlw *w, const gr_str *texts, size_t n, const char *between);

/* member.c: dimensions and segments */
gr_str gr_sqlw_expr(gr_sqlw *w, const gr_expr *expr, const gr_cube *owner);
gr_str gr_sqlw_member(gr_sqlw *w, const gr_member *member);     /* the raw value */
gr_str gr_sqlw_operand(gr_sqlw *w, gr_str text);                /* in brackets unless it is a plain column */
gr_str gr_sqlw_member_out(gr_sqlw *w, const gr_member *member); /* as answered: times on the wall clock */
gr_str gr_sqlw_stored(gr_sqlw *w, gr_str column);               /* a column of the rollup that is read */
gr_str gr_sqlw_from(gr_sqlw *w, const gr_tree *tree);           /* FROM … LEFT JOIN … */

/* time.c */
gr_str gr_sqlw_instant(gr_sqlw *w, const gr_member *member, gr_str raw); /* naive UTC */
gr_str gr_sqlw_local(gr_sqlw *w, gr_str instant);
gr_str gr_sqlw_trunc(gr_sqlw *w, gr_str local, const gr_granularity *g, int64_t anchor_local_us);
gr_str gr_sqlw_member_bucket(gr_sqlw *w, const gr_member *member, const gr_granularity *g); /* {created_at.day} */
gr_str gr_sqlw_stored_bucket(gr_sqlw *w, const gr_member *member, const gr_granularity *g); /* column of a load */
gr_str gr_sqlw_time_field(gr_sqlw *w, const gr_time_field *time); /* bucket of a query's time dimension */
gr_str gr_sqlw_range(gr_sqlw *w, const gr_time_field *time);      /* its date range as a condition */
/* `member >= from AND < to` (or one side) on raw values; sides: 1 = from, 2 = to. */
gr_str gr_sqlw_point(gr_sqlw *w, const gr_member *member, const char *comparison, const gr_range *range, bool is_from);

/* measure.c */
gr_str gr_sqlw_measure(gr_sqlw *w, const gr_member *measure);
gr_str gr_sqlw_own_filters(gr_sqlw *w, const gr_member *measure);    /* ANDed; empty when it has none */
gr_str gr_sqlw_component(gr_sqlw *w, const gr_component *component); /* accumulated over source rows */

/* filter.c */
gr_str gr_sqlw_filter(gr_sqlw *w, const gr_filter *filter); /* empty when it has no conditions */
#endif
