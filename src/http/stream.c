/* The progress of a build as server-sent events:
 *
 *   event: progress    data: {progress object}      whenever it changed
 *   event: done        data: {progress object}      once, then the stream ends (`failed` on the routes of entities)
 *   : still building                                every ten seconds, so that dead connections are noticed
 *
 * The reader is called by the library when the socket takes more. With nothing to say it suspends the connection; the
 * timer wakes it to look again. Invariant: `out` holds what is still to be sent, from stream_sent on. */
#include "http/internal.h"

enum { BEAT_US = 10000000 };

bool gr_http_wants_stream(const gr_http_request *request) {
    gr_str accept = gr_str_from(MHD_lookup_connection_value(request->conn, MHD_HEADER_KIND, "accept"));
    return gr_str_find_str(accept, GR_STR("text/event-stream")) != SIZE_MAX;
}

/* With DataJunction's and the seed's routes a failure has a name of its own. */
static const char *last_event(const gr_http_request *request, const gr_http_progress *progress) {
    return request->is_dj && progress->error ? "failed" : "done";
}

static void put_event(gr_http_request *request, const char *name, const gr_http_progress *progress) {
    gr_buf_printf(&request->out, "event: %s\ndata: ", name);
    if (gr_http_encode_progress(progress, &request->out, NULL)) request->is_stream_done = true;
    gr_buf_z(&request->out, "\n\n");
}

void gr_http_stream_one(gr_http_request *request, const gr_http_progress *progress) {
    gr_buf_reset(&request->out);
    request->is_stream = true;
    if (!progress->is_done) gr_buf_z(&request->out, "retry: 2000\n"); /* the client comes back and asks again */
    put_event(request, progress->is_done ? last_event(request, progress) : "progress", progress);
    request->is_stream_done = true;
}

void gr_http_stream_begin(gr_http_request *request, gr_http_build *build) {
    gr_buf_reset(&request->out);
    request->is_stream = true;
    request->stream = build;
    request->stream_fraction = -2; /* unlike any: the first look is told */
}

static void look(gr_http_request *request) {
    int64_t now = gr_clock_mono_us();
    gr_error error = {0};
    gr_http_progress progress = gr_http_build_look(request->stream, &error);
    request->stream_look_us = now;
    if (progress.is_done) {
        put_event(request, last_event(request, &progress), &progress);
        request->is_stream_done = true;
    } else if (progress.fraction != request->stream_fraction || progress.rows != request->stream_rows ||
               progress.moved_rows != request->stream_moved) {
        put_event(request, "progress", &progress);
        request->stream_fraction = progress.fraction;
        request->stream_rows = progress.rows;
        request->stream_moved = progress.moved_rows;
        request->stream_beat_us = now;
    } else if (now - request->stream_beat_us >= BEAT_US) {
        gr_buf_z(&request->out, ": still building\n\n");
        request->stream_beat_us = now;
    }
}

/* False when the server stops. */
static bool wait_for_timer(gr_http_request *request) {
    gr_http *http = request->http;
    pthread_mutex_lock(&http->lock);
    bool may_wait = !atomic_load(&http->is_draining) && !http->is_closed;
    if (may_wait) {
        MHD_suspend_connection(request->conn);
        request->state = GR_HTTP_STREAM_WAIT;
        TAILQ_INSERT_TAIL(&http->active, request, in_active);
        http->n_active++;
    }
    pthread_mutex_unlock(&http->lock);
    return may_wait;
}

ssize_t gr_http_stream_read(void *cls, uint64_t pos, char *buf, size_t max) {
    (void)pos;
    gr_http_request *request = cls;
    if (atomic_load(&request->is_cancelled)) return MHD_CONTENT_READER_END_WITH_ERROR;
    if (request->stream_sent == request->out.n) {
        gr_buf_reset(&request->out);
        request->stream_sent = 0;
        if (request->is_stream_done) return MHD_CONTENT_READER_END_OF_STREAM;
        if (request->is_event_stream)
            gr_http_events_look(request);
        else
            look(request);
    }
    size_t left = request->out.n - request->stream_sent;
    if (!left) return wait_for_timer(request) ? 0 : MHD_CONTENT_READER_END_OF_STREAM;
    size_t n = left < max ? left : max;
    memcpy(buf, request->out.p + request->stream_sent, n);
    request->stream_sent += n;
    return (ssize_t)n;
}
