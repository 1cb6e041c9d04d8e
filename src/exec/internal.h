/* What the files of this room share. */
#ifndef GR_EXEC_INTERNAL_H
#define GR_EXEC_INTERNAL_H
#include "base/mem.h"
#include "exec/exec.h"

#include <pthread.h>

/* What depends on the model alone; shared by the snapshots that were made from it. */
typedef struct gr_exec_base {
    atomic_int refs;
    gr_arena *arena;
    gr_model *model;
    gr_plan_index *index;
    const gr_column_schema **types;
} gr_exec_base;

typedef struct gr_exec_snapshot {
    gr_snapshot pub; /* first */
    atomic_int refs;
    gr_arena *arena;
    gr_exec *exec;
    gr_exec_base *base;
    struct gr_exec_snapshot *next; /* the one published after it; held */
    GR_VEC(gr_build_row) drops;    /* id and table of builds that only this one and older ones may read */
} gr_exec_snapshot;

/* A build that failed lately, by entity. */
typedef struct gr_exec_failure {
    struct gr_exec_failure *next;
    char key[64]; /* structure hash */
    char message[1024];
    int64_t retry_at_us, delay_us;
} gr_exec_failure;

struct gr_exec {
    const gr_config *config;
    gr_arena *arena;
    gr_engine *engine;
    gr_pool *pool;
    gr_catalog *catalog;
    const gr_dialect *dialect;
    pthread_mutex_t
        mutex; /* exec.current: guards `current` and `failures`; never held over a call into engine or catalog */
    gr_exec_snapshot *current;
    gr_exec_failure *failures;
    pthread_mutex_t publish; /* exec.publish: one publisher at a time; taken before exec.current */
};

/* entity.c */
typedef struct gr_exec_identity {
    gr_str grain_hash, structure_hash, load_text;
    gr_sql load;
} gr_exec_identity;
GR_MUST_CHECK gr_status gr_exec_identify(const gr_exec *exec, const gr_snapshot *snapshot, const gr_rollup *rollup,
                                         const gr_tz *zone, gr_arena *arena, gr_exec_identity *ret, gr_error *err);
gr_preagg_decl gr_exec_declaration(const gr_rollup *rollup, const gr_tz *zone, const gr_exec_identity *identity,
                                   gr_arena *arena);
/* `range`: what was loaded of the ranged column, or NULL. */
gr_str gr_exec_coverage_write(const gr_rollup *rollup, const gr_store_stat *stat, const gr_range *range,
                              gr_arena *arena);
void gr_exec_coverage_read(const gr_rollup *rollup, gr_str json, gr_arena *arena, gr_rollup_state *state);

/* Drop the table of a build that nobody reads, and forget its name; what fails is found again by the sweep. */
void gr_exec_forget_table(gr_exec *exec, gr_engine_conn *conn, const gr_ctx *ctx, const gr_build_row *build);

/* The entity has no table any more: its builds become dropped, without a table to drop. */
GR_MUST_CHECK gr_status gr_exec_forget_builds(gr_exec *exec, int64_t entity_id, gr_error *err);

/* snapshot.c */
gr_exec_base *gr_exec_base_new(gr_exec *exec, gr_model *model, gr_diags *diags);
void gr_exec_base_unref(gr_exec_base *base);
/* Assemble and publish; `drops` are tables that the new snapshot no longer names. base NULL: that of the current
 * snapshot. */
GR_MUST_CHECK gr_status gr_exec_publish(gr_exec *exec, gr_exec_base *base, const gr_build_row *drops, size_t n_drops,
                                        gr_error *err);
#endif
