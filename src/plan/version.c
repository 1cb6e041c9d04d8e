/* What the stored parts of an answer are: as long as this text is the same, they hold the same rows. */
#include "plan/internal.h"

gr_str gr_plan_version_key(const gr_plan *plan, gr_arena *arena) {
    gr_buf text;
    gr_buf_init(&text, SIZE_MAX / 4);
    for (size_t i = 0; i < plan->n_uses; i++) {
        const gr_rollup_state *state = plan->uses[i].state;
        if (!state) continue;
        gr_buf_printf(&text, "%lld.%lld.%lld.%zu:", (long long)state->entity_id, (long long)state->build_number,
                      (long long)state->built_at_us, state->table.n);
        gr_buf_add(&text, state->table);
        gr_buf_char(&text, ';');
    }
    gr_str key = gr_arena_dup(arena, gr_buf_str(&text));
    gr_buf_done(&text);
    return key;
}
