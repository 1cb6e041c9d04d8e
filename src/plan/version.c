/* What the stored parts of an answer are: as long as this text is the same, they hold the same rows. */
#include "plan/internal.h"

/* A partition is never changed: its id says what it holds. */
static void put_partitions(gr_buf *out, const gr_plan *plan, int depth) {
    enum { DEEPEST = 32 };
    for (size_t i = 0; plan && i < plan->n_pieces && depth < DEEPEST; i++) {
        const gr_piece *p = &plan->pieces[i];
        for (size_t k = 0; k < p->scan.reading.n; k++) gr_buf_printf(out, "%lld,", (long long)p->scan.reading.v[k]->id);
        gr_buf_char(out, '|');
        put_partitions(out, p->window.inner, depth + 1);
        put_partitions(out, p->stage.rows, depth + 1);
        put_partitions(out, p->stage.inner, depth + 1);
    }
}

gr_str gr_plan_version_key(const gr_plan *plan, gr_arena *arena) {
    gr_buf text;
    gr_buf_init(&text, SIZE_MAX / 4);
    put_partitions(&text, plan, 0);
    for (size_t i = 0; i < plan->n_uses; i++) {
        const gr_rollup_state *state = plan->uses[i].state;
        if (!state || plan->uses[i].n_partitions) continue; /* of those, what is read counts */
        gr_buf_printf(&text, "%lld.%lld.%lld.%zu:", (long long)state->entity_id, (long long)state->build_number,
                      (long long)state->built_at_us, state->table.n);
        gr_buf_add(&text, state->table);
        gr_buf_char(&text, ';');
    }
    gr_str key = gr_arena_dup(arena, gr_buf_str(&text));
    gr_buf_done(&text);
    return key;
}
