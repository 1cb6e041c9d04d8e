/* DataJunction's and the seed's routes over HTTP: the request to dj.c, its answer to the connection.
 *
 *   first call ──> flight ──> parked (lane.c) ──> second call with `waited`: the outcome
 *                                 └── too long ──> second call: 202, the build goes on */
#include "http/dj_internal.h"
#include "http/internal.h"

void gr_http_dj_take(gr_http_request *request, const gr_dj_answer *answer) {
    request->http_status = answer->http_status;
    request->content_type = answer->content_type;
    request->exception = answer->exception;
}

static void begin_stream(gr_http_request *request, gr_dj_answer *answer) {
    const gr_http_progress *p = &answer->progress;
    if (!answer->flight) {
        gr_http_stream_one(request, p);
        return;
    }
    gr_http_stream_begin(request, gr_http_build_new(p->entity_id, p->preagg_id, p->zone, answer->flight));
    gr_flight_unref(answer->flight);
}

/* The errors are in the answer already. */
static void call(gr_http_request *request) {
    gr_dj_answer answer;
    gr_dj_asked asked = {.route = request->route,
                         .params = request->params,
                         .body = gr_buf_str(&request->body),
                         .user = request->local_token.n
                                     ? GR_STR("cli")
                                     : gr_serve_user(request->http->serve, request->token, request->work),
                         .wants_stream = gr_http_wants_stream(request),
                         .waited = request->waited};
    memcpy(asked.segments, request->segments, sizeof asked.segments);
    gr_status status = gr_dj_run(request->http->serve, &asked, request->work, &request->out, &answer, NULL);
    gr_http_dj_take(request, &answer);
    gr_flight_unref(request->waited);
    request->waited = NULL;
    if (status) {
        gr_http_count(request->http, status == GR_ERR_HTTP_BUSY ? GR_HTTP_N_BUSY : GR_HTTP_N_ERRORS);
        return;
    }
    if (answer.is_stream) {
        begin_stream(request, &answer);
    } else if (answer.flight) {
        request->flight = answer.flight;
        request->waited = gr_flight_ref(answer.flight);
    }
}

gr_status gr_http_do_dj(gr_http_request *request, gr_error *err) {
    (void)err;
    call(request);
    return GR_OK;
}

void gr_http_dj_answer_late(gr_http_request *request) {
    if (!request->work) request->work = gr_arena_new();
    gr_arena_reset(request->work);
    gr_buf_reset(&request->out);
    call(request);
}
