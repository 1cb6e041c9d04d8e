/* Model YAML: any bytes either load or give diagnostics; memory stays in proportion to the input. */
#include "plan/plan.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    gr_arena *arena = gr_arena_new();
    gr_diags diags;
    gr_diags_init(&diags, arena);
    gr_model_file file = {GR_STR("model.yml"), {(const char *)data, size}};
    gr_model *model = NULL;
    gr_error err = {0};
    gr_status status = gr_model_load_files(&file, 1, &diags, &model, &err);
    if (status == GR_OK) {
        if (diags.n_errors) abort(); /* loaded in spite of errors */
        (void)gr_plan_index_new(model, (gr_plan_defaults){.is_external = true}, NULL, arena);
        gr_model_unref(model);
    } else if (!err.message[0] && !diags.n_errors) {
        abort(); /* refused without a reason */
    }
    if (gr_arena_used_bytes(arena) > (8u << 20) + size * 4096) abort();
    gr_arena_free(arena);
    return 0;
}
