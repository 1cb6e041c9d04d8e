/* granary check: every diagnostic of the configuration and the model, and nothing else: no engine, no store. */
#include "cli/command.h"

#include "http/cube.h"

typedef struct verdict {
    size_t n_errors, n_warnings;
    int64_t took_us;
} verdict;

static void print_people(const gr_diags *diags, const verdict *v, gr_buf *out) {
    for (size_t i = 0; i < diags->list.n; i++) gr_cli_add_diag(&diags->list.v[i], out);
    if (diags->n_dropped) gr_buf_printf(out, "… and %zu more\n", diags->n_dropped);
    gr_buf_printf(out, "%s%zu error%s, %zu warning%s (%.1f ms)\n", v->n_errors ? "" : "ok: ", v->n_errors,
                  v->n_errors == 1 ? "" : "s", v->n_warnings, v->n_warnings == 1 ? "" : "s", (double)v->took_us / 1000);
}

static void print_json(const gr_diags *diags, const verdict *v, gr_buf *out) {
    gr_jw w;
    gr_jw_init(&w, out);
    gr_jw_object(&w);
    gr_jw_key_bool(&w, "ok", v->n_errors == 0);
    gr_jw_key_i64(&w, "errors", (int64_t)v->n_errors);
    gr_jw_key_i64(&w, "warnings", (int64_t)v->n_warnings);
    gr_jw_key(&w, GR_STR("diagnostics"));
    gr_buf list;
    gr_buf_init(&list, out->max);
    gr_http_encode_diags(diags, &list);
    gr_jw_raw(&w, gr_buf_str(&list));
    gr_buf_done(&list);
    gr_jw_object_end(&w);
    gr_buf_char(out, '\n');
}

gr_status gr_cli_run_check(gr_cli *cli, gr_exit *ret_exit, gr_error *err) {
    gr_config *config;
    gr_diags diags;
    gr_serve *serve = NULL;
    gr_diags_init(&diags, cli->arena);
    GR_TRY(gr_cli_config(cli, &config, err));
    int64_t started = gr_clock_mono_us();
    gr_status status = gr_serve_open(config, (gr_serve_options){.is_check_only = true}, &diags, &serve, err);
    if (status && diags.n_errors == 0) return status; /* not the model: its folder, say */
    verdict v = {.n_errors = diags.n_errors, .n_warnings = diags.n_warnings, .took_us = gr_clock_mono_us() - started};
    if (!status) gr_serve_close(serve);
    gr_buf out;
    gr_buf_init(&out, 16 << 20);
    if (cli->args.has[GR_FLAG_JSON])
        print_json(&diags, &v, &out);
    else
        print_people(&diags, &v, &out);
    *ret_exit = v.n_errors ? GR_EXIT_USER : GR_EXIT_OK;
    status = gr_cli_print(&out, err);
    gr_buf_done(&out);
    return status;
}
