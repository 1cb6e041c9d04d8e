/* Errors in DataJunction's forms, and back. One table says what differs from the rule:
 *
 *   a user's error 422 · not found 404 · all else 500 {"message","errors":[{code,message,debug,context}],"warnings"} a
 * malformed request 422                                 {"detail":[{"loc","msg","type"}]}
 *
 * `context` is the stable id of errors.def, `debug` has it again with the hint. Source: dj.md 1.0. */
#include "http/dj_internal.h"
#include "http/encode.h"

#include <stdio.h>

typedef struct dj_error {
    const char *id;
    int http_status;
    const char *code, *exception;
} dj_error;

#define INVALID "ProgrammingError"
#define ABSENT "DataError"

/* By id, so that errors.def may grow without this table. */
static const dj_error errors[] = {
    {"preagg.not_found", 404, "UNKNOWN_ERROR", ABSENT},
    {"preagg.partition_not_found", 404, "UNKNOWN_ERROR", ABSENT},
    {"node.not_found", 404, "UNKNOWN_NODE", ABSENT},
    {"config.source_unknown", 404, "UNKNOWN_ERROR", ABSENT},
    {"http.not_found", 404, "UNKNOWN_ERROR", ABSENT},
    {"http.method", 405, "UNKNOWN_ERROR", "Error"},
    {"http.body", 413, "UNKNOWN_ERROR", "Error"},
    {"http.busy", 503, "QUERY_SERVICE_ERROR", "OperationalError"},
    {"node.exists", 409, "ALREADY_EXISTS", ABSENT},
    {"node.changed", 409, "UNKNOWN_ERROR", "OperationalError"},
    {"node.of_model", 409, "NODE_TYPE_ERROR", "NotSupportedError"},
    {"preagg.materializing", 409, "UNKNOWN_ERROR", "OperationalError"},
    {"preagg.in_use", 409, "UNKNOWN_ERROR", "IntegrityError"},
    {"preagg.stale", 409, "UNKNOWN_ERROR", "OperationalError"},
    {"preagg.external", 422, "UNKNOWN_ERROR", INVALID},
    {"preagg.not_external", 422, "UNKNOWN_ERROR", INVALID},
    {"preagg.build_failed", 500, "QUERY_SERVICE_ERROR", "InterfaceError"},
    {"query.unknown_member", 422, "INVALID_COLUMN", INVALID},
    {"query.hidden_member", 422, "INVALID_COLUMN", INVALID},
    {"query.operator", 422, "INVALID_FILTER_PATTERN", INVALID},
    {"query.unsupported", 422, "NOT_IMPLEMENTED_ERROR", "NotSupportedError"},
    {"plan.unsupported", 422, "NOT_IMPLEMENTED_ERROR", "NotSupportedError"},
    {"plan.no_join_path", 422, "INVALID_DIMENSION_JOIN", INVALID},
    {"plan.fan_out_unsupported", 422, "FANOUT_RISK", INVALID},
    {"query.limit", 422, "UNKNOWN_ERROR", INVALID},
    {"auth.missing", 403, "AUTHENTICATION_ERROR", "Error"},
    {"auth.invalid", 403, "AUTHENTICATION_ERROR", "Error"},
    {"auth.scope", 403, "UNAUTHORIZED_ACCESS", "Error"},
};

static dj_error form_of(gr_status status) {
    const gr_error_info *info = gr_error_info_of(status);
    for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
        if (strcmp(errors[i].id, info->id) == 0) return errors[i];
    if (info->is_user) return (dj_error){info->id, 422, "UNKNOWN_ERROR", INVALID};
    bool is_engine = gr_str_starts(gr_str_from(info->id), GR_STR("engine."));
    return (dj_error){info->id, 500, is_engine ? "QUERY_SERVICE_ERROR" : "UNKNOWN_ERROR",
                      is_engine ? "InterfaceError" : "InternalError"};
}

bool gr_dj_is(gr_status status, const char *id) { return status && strcmp(gr_error_info_of(status)->id, id) == 0; }

gr_status gr_dj_status_of(gr_str id, gr_status fallback) {
    for (unsigned i = 1; i < GR_STATUS__COUNT; i++)
        if (gr_str_eq_z(id, gr_error_info_of((gr_status)i)->id)) return (gr_status)i;
    return fallback;
}

/* ---- writing --------------------------------------------------------------------------------- */
static void put_debug(gr_jw *w, const gr_error *error, const char *id) {
    gr_jw_key(w, GR_STR("debug"));
    gr_jw_object(w);
    gr_jw_key_str(w, "id", gr_str_from(id));
    gr_http_put_text_key(w, "hint", gr_str_from(error->hint));
    gr_http_put_text_key(w, "file", gr_str_from(error->file));
    if (error->file[0]) gr_jw_key_i64(w, "line", error->loc.line);
    gr_jw_key_bool(w, "is_retryable", gr_error_info_of(error->status)->is_retryable);
    gr_jw_object_end(w);
}

void gr_dj_put_error(const gr_error *error, gr_buf *out, gr_dj_answer *ret) {
    dj_error form = form_of(error->status);
    gr_str message = gr_str_from(error->message);
    gr_jw writer, *w = &writer;
    gr_jw_init(w, out);
    gr_jw_object(w);
    gr_jw_key_str(w, "message", message);
    gr_jw_key(w, GR_STR("errors"));
    gr_jw_array(w);
    gr_jw_object(w);
    gr_jw_key_str(w, "code", gr_str_from(form.code));
    gr_jw_key_str(w, "message", message);
    put_debug(w, error, form.id);
    gr_jw_key_str(w, "context", gr_str_from(form.id));
    gr_jw_object_end(w);
    gr_jw_array_end(w);
    gr_jw_key(w, GR_STR("warnings"));
    gr_jw_array(w);
    gr_jw_array_end(w);
    gr_jw_object_end(w);
    ret->http_status = form.http_status;
    ret->content_type = "application/json"; /* without a charset: else DataJunction's client does not read the body */
    ret->exception = form.exception;
    ret->is_error = true;
}

void gr_dj_put_details(const gr_dj_detail *details, size_t n, gr_buf *out, gr_dj_answer *ret) {
    gr_jw writer, *w = &writer;
    gr_jw_init(w, out);
    gr_jw_object(w);
    gr_jw_key(w, GR_STR("detail"));
    gr_jw_array(w);
    for (size_t i = 0; i < n; i++) {
        gr_jw_object(w);
        gr_jw_key(w, GR_STR("loc"));
        gr_jw_array(w);
        gr_jw_str(w, gr_str_from(details[i].where));
        if (details[i].field.n) gr_jw_str(w, details[i].field);
        gr_jw_array_end(w);
        gr_jw_key_str(w, "msg", details[i].message);
        gr_jw_key_str(w, "type", gr_str_from(details[i].type));
        gr_jw_object_end(w);
    }
    gr_jw_array_end(w);
    gr_jw_object_end(w);
    ret->http_status = 422;
    ret->content_type = "application/json";
    ret->exception = NULL;
    ret->is_error = true;
}

/* ---- reading --------------------------------------------------------------------------------- */
static gr_str text_of(const json_t *object, const char *key) {
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) ? gr_json_str(value) : (gr_str){0};
}

static gr_status read_detail(const json_t *first, gr_error *err) {
    const json_t *loc = json_object_get(first, "loc");
    const char *where = json_string_value(json_array_get(loc, 0)), *field = json_string_value(json_array_get(loc, 1));
    gr_str message = text_of(first, "msg");
    return gr_error_set(err, GR_ERR_QUERY_INVALID, "%s%s%s: " GR_FMT, where ? where : "request", field ? " " : "",
                        field ? field : "", GR_ARG(message));
}

gr_status gr_dj_error_read(const json_t *body, int http_status, gr_error *err) {
    const json_t *details = json_object_get(body, "detail");
    if (json_is_array(details)) return read_detail(json_array_get(details, 0), err);
    const json_t *error = json_array_get(json_object_get(body, "errors"), 0);
    gr_str message = text_of(body, "message"), hint = text_of(json_object_get(error, "debug"), "hint");
    gr_status status = gr_dj_status_of(text_of(error, "context"), GR_ERR_INTERNAL);
    if (message.n)
        gr_error_set(err, status, GR_FMT, GR_ARG(message));
    else
        gr_error_set(err, status, "the server answered with status %d", http_status);
    if (hint.n) gr_error_hint(err, GR_FMT, GR_ARG(hint));
    return status;
}
