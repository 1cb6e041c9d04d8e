/* What the lanes and the timer do to a suspended request; private to http/. */
#ifndef GR_HTTP_LANE_H
#define GR_HTTP_LANE_H
#include "http/internal.h"

/* Take it out of `active` and wake its connection: the answer lies in `out`. The request is gone for the caller. */
void gr_http_finish(gr_http_request *request);
/* The request is EXPIRING: answer "Continue wait", unless its build has ended meanwhile. */
void gr_http_expire(gr_http_request *request);
/* {"error":"Continue wait"}, or the refusal of a server that stops. */
void gr_http_answer_wait(gr_http_request *request);
#endif
