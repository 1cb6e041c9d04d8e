/* What comes of comparing what is stored with its source (gr_exec_verify_served). */
#ifndef GR_EXEC_VERIFIED_H
#define GR_EXEC_VERIFIED_H
#include "base/str.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef enum gr_verdict {
    GR_VERDICT_EQUAL,
    GR_VERDICT_STALE,       /* differs, and its refresh key says that it is to be built anew, or it is still open */
    GR_VERDICT_QUARANTINED, /* differs, and should not: it serves no more */
    GR_VERDICT__COUNT
} gr_verdict;
gr_str gr_verdict_name(gr_verdict verdict); /* static, lower case */
typedef struct gr_verified_part {
    int64_t id;
    gr_str name; /* "20240105"; empty: it has no partitions */
    int64_t rows;
    gr_verdict verdict;
    gr_str what; /* "orders__amount: stored 5, source 7" */
} gr_verified_part;
typedef struct gr_verification {
    gr_verified_part *parts; /* what was compared */
    size_t n;
    size_t counts[GR_VERDICT__COUNT];
    bool can_verify; /* false: it stores nothing that can be compared */
} gr_verification;
#endif
