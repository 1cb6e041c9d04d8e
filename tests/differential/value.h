/* One value of the reference evaluator: what a cell of a table, a dimension or a measure is, with exact integers and
 * decimals, and for floating point how far a sum in another order may be away.
 * Invariant: every function is total; nothing here knows of SQL. Threads: pure. */
#ifndef DIFFERENTIAL_VALUE_H
#define DIFFERENTIAL_VALUE_H
#include "base/buf.h"
#include "cal/cal.h"

__extension__ typedef __int128 diff_wide;

typedef enum diff_kind {
    DIFF_NULL,
    DIFF_BOOL,
    DIFF_INT,
    DIFF_DECIMAL,
    DIFF_DOUBLE,
    DIFF_TEXT,
    DIFF_TIME, /* microseconds, naive or UTC */
    DIFF_ANY,  /* not known here: compared between the two paths only */
} diff_kind;

typedef struct diff_value {
    diff_kind kind;
    uint8_t scale; /* decimal */
    bool is_wild;  /* a double that is no small multiple of 1/8: sums of it depend on the order of their terms */
    double tol;    /* how far from `d` another order of summing may end */
    union {
        bool b;
        diff_wide i; /* integer and unscaled decimal */
        double d;
        gr_str s;
        int64_t us;
    } as;
} diff_value;

static inline diff_value diff_null(void) { return (diff_value){0}; }
static inline diff_value diff_bool(bool b) { return (diff_value){.kind = DIFF_BOOL, .as.b = b}; }
static inline diff_value diff_int(diff_wide i) { return (diff_value){.kind = DIFF_INT, .as.i = i}; }
static inline diff_value diff_double(double d) { return (diff_value){.kind = DIFF_DOUBLE, .as.d = d}; }
static inline diff_value diff_text(gr_str s) { return (diff_value){.kind = DIFF_TEXT, .as.s = s}; }
static inline diff_value diff_time(int64_t us) { return (diff_value){.kind = DIFF_TIME, .as.us = us}; }

bool diff_is_number(const diff_value *v);
double diff_to_double(const diff_value *v);
/* Of two values that are not null and of one family; NaN equals itself and is greater than every number. *is_unsure
 * (may be NULL) is set, never cleared, when the tolerances of the two overlap. */
int diff_cmp(const diff_value *a, const diff_value *b, bool *is_unsure);
/* Null equals null. */
bool diff_same(const diff_value *a, const diff_value *b);
/* The source's `/` of two integers is an integer; sums of integers are decimals there. */
extern bool diff_divides_integers;
extern bool diff_is_clickhouse;                                           /* the source, or the store of rollups */
extern bool diff_speaks_clickhouse;                                       /* the SQL of models */
diff_value diff_arith(char op, const diff_value *a, const diff_value *b); /* + - * / ; null with null */
/* A decimal number as text, exactly; false when it is not one, or has more digits than fit. */
bool diff_parse_number(gr_str text, diff_value *ret);
/* As the answer shows it, numbers without trailing zeros. False = null. */
bool diff_show(const diff_value *v, gr_buf *out);
/* As CAST(… AS VARCHAR) in the engine, decimals with all their digits. */
gr_str diff_cast_text(const diff_value *v, gr_arena *arena);
/* The instant that a raw value of a time dimension means: text is ISO 8601, UTC without offset. */
bool diff_instant(const diff_value *v, int64_t *ret_us);
gr_str diff_fold(gr_str text, gr_arena *arena); /* lower case: ASCII and Latin-1 letters */
gr_str diff_upper(gr_str text, gr_arena *arena);
#endif
