/* One case judged: rollups on = rollups off = the reference. */
#ifndef DIFFERENTIAL_JUDGE_H
#define DIFFERENTIAL_JUDGE_H
#include "differential/bench.h"
#include "differential/reference.h"

typedef enum diff_verdict {
    DIFF_SAME,
    DIFF_REFUSED,        /* refused as it must be: a join multiplies a measure, or no join connects the cubes */
    DIFF_ENGINE_REFUSES, /* another engine than DuckDB cannot, and says so */
    DIFF_UNSURE,         /* an order or a filter hangs on the last digits of a floating-point sum */
    DIFF_ON_OFF,         /* the rollup's answer is not the source's */
    DIFF_SOME_OFF,       /* the answer with some of the rollups is not the source's */
    DIFF_OFF_REFERENCE,  /* the two agree, and the reference does not */
    DIFF_ON_ERROR,       /* only with rollups it fails */
    DIFF_BOTH_ERROR,     /* fails, and the reference knows an answer */
    DIFF_NOT_REFUSED,    /* answered, and the reference says that it must be refused */
    DIFF_LAW_PARTS_BROKEN,
    DIFF_LAW_MONTHS_BROKEN,
    DIFF_MODEL_ERROR,
    DIFF_VERDICT__COUNT
} diff_verdict;

typedef struct diff_case {
    diff_verdict verdict;
    gr_str detail; /* the first cell that differs, or the error */
    diff_run on, off, some;
    bool has_law; /* some law was tried on it */
    diff_answer reference;
} diff_case;

bool diff_may_not_be_said(gr_status status);
static inline bool diff_is_difference(diff_verdict v) { return v > DIFF_UNSURE; }
const char *diff_verdict_text(diff_verdict verdict);

/* The world's model must be in service. One seed in three also asks a random subset of the rollups. */
void diff_judge(diff_bench *bench, const diff_world *world, json_t *query, int64_t now_us, uint64_t seed,
                gr_arena *arena, diff_case *ret);
/* One run against one answer that is due; ret->on and ret->off are both the run. */
void diff_judge_answer(const diff_run *run, const diff_answer *due, gr_arena *arena, diff_case *ret);
/* In a bench of its own, which is closed again. */
void diff_judge_alone(const diff_world *world, json_t *query, int64_t now_us, uint64_t seed, gr_arena *arena,
                      diff_case *ret);
/* A case for people: model, query, rows, both SQL texts, the answers. */
void diff_print_case(const diff_world *world, json_t *query, int64_t now_us, const diff_case *c, bool want_rows,
                     gr_arena *arena);
#endif
