/* GET /ops/events: what happens, as server-sent events.
 *
 *   id: <id>  event: preagg.build_done  data: {the event}
 *   event: missed                       data: {"missed": 12}     events that left the ring before they were read
 *   : nothing new                                                 every ten seconds, so that dead connections are
 * noticed
 *
 * A reader begins with what comes next, or after the event of Last-Event-ID. An id of another life of the server, or of
 * none, begins with the oldest that is kept, after `missed` with null: nobody knows how many. */
#include "http/internal.h"

enum { BEAT_US = 10000000, CHUNK_BYTES = 64 << 10 };

static gr_str last_id(const gr_http_request *request) {
    gr_str id = gr_str_from(MHD_lookup_connection_value(request->conn, MHD_HEADER_KIND, "last-event-id"));
    return id.n ? id : gr_http_param_get(request, GR_STR("last_event_id"));
}

gr_status gr_http_do_events(gr_http_request *request, gr_error *err) {
    (void)err;
    gr_serve_bus *bus = gr_serve_events(request->http->serve);
    gr_str id = last_id(request);
    request->is_stream = request->is_event_stream = true;
    request->stream_beat_us = gr_clock_mono_us();
    gr_buf_z(&request->out, "retry: 2000\n\n");
    if (!id.n)
        request->event_cursor = gr_serve_bus_last(bus);
    else if (!gr_serve_bus_seek(bus, id, &request->event_cursor))
        gr_buf_z(&request->out, "event: missed\ndata: {\"missed\":null}\n\n");
    return GR_OK;
}

void gr_http_events_look(gr_http_request *request) {
    gr_serve_bus *bus = gr_serve_events(request->http->serve);
    int64_t now = gr_clock_mono_us();
    request->stream_look_us = now;
    while (request->out.n < CHUNK_BYTES) {
        uint64_t missed;
        gr_serve_told *told = gr_serve_bus_next(bus, &request->event_cursor, &missed);
        if (!told) break;
        if (missed)
            gr_buf_printf(&request->out, "event: missed\ndata: {\"missed\":%llu}\n\n", (unsigned long long)missed);
        gr_str json = {told->json, told->n}, name = gr_event_name(told->kind);
        gr_buf_printf(&request->out, "id: %s\nevent: " GR_FMT "\ndata: ", told->id, GR_ARG(name));
        gr_buf_add(&request->out, json);
        gr_buf_z(&request->out, "\n\n");
        gr_serve_told_unref(told);
    }
    if (!request->out.n && now - request->stream_beat_us >= BEAT_US) gr_buf_z(&request->out, ": nothing new\n\n");
    if (request->out.n) request->stream_beat_us = now;
}
