/* docs/model-keys.md from the table. Invariant: nothing is said here that the table does not say. */
#include "model/docs.h"

#include "model/keys.h"

static const char *const form_names[] = {
    [GR_FORM_ANY] = "any",
    [GR_FORM_TEXT] = "text",
    [GR_FORM_NAME] = "identifier",
    [GR_FORM_REF] = "reference",
    [GR_FORM_SQL] = "SQL expression",
    [GR_FORM_FLAG] = "true/false, also quoted",
    [GR_FORM_BOOL] = "true/false",
    [GR_FORM_MAP] = "map",
    [GR_FORM_LIST] = "list",
};

static const char *const verdict_names[] = {
    [GR_VERDICT_EXECUTED] = "executed",
    [GR_VERDICT_NO_EFFECT] = "no effect yet (warning)",
    [GR_VERDICT_UNSUPPORTED] = "**refused**",
};

static void write_context(gr_buf *out, gr_context context) {
    gr_str title = gr_model_context_title(context);
    gr_buf_printf(out, "\n## Keys of a " GR_FMT "\n\n| Key | Value | State | What it does |\n|---|---|---|---|\n",
                  GR_ARG(title));
    size_t n = gr_model_key_count(context);
    for (size_t i = 0; i < n; i++) {
        const gr_key_info *k = gr_model_key_info((gr_key)((size_t)gr_model_key_first(context) + i));
        gr_buf_printf(out, "| `" GR_FMT "` | %s | %s | %s |\n", GR_ARG(k->name), form_names[k->form],
                      verdict_names[k->verdict], k->doc);
    }
}

void gr_model_write_key_docs(gr_buf *out) {
    gr_buf_z(
        out,
        "# Keys of the data model\n\n"
        "Written from the table that reads the model (`src/model/keys.def`); a test compares the two.\n\n"
        "Every key may be written in snake_case or in camelCase. *Executed*: it does what is said.\n"
        "*No effect yet*: it is read, checked and kept, changes neither numbers nor access, and is warned of once\n"
        "(`model.no_effect`). *Refused*: ignoring it would change numbers or access, so that the model is not\n"
        "loaded (`model.unsupported`); a flag is refused only when it is true. Any other key is an error\n"
        "(`model.unknown_key`). What stands under `meta` is never looked at.\n");
    for (int c = 0; c < GR_CONTEXT__COUNT; c++) write_context(out, (gr_context)c);
}
