/* The kinds of events, by name: webhooks choose among them, serve/ tells them. */
#ifndef GR_CONFIG_EVENTS_H
#define GR_CONFIG_EVENTS_H
#include "base/str.h"

typedef enum gr_event_kind {
#define GR_EVENT(name, id, doc) GR_EVENT_##name,
#include "config/events.def"
#undef GR_EVENT
    GR_EVENT__COUNT
} gr_event_kind;

gr_str gr_event_name(gr_event_kind kind); /* static: "preagg.build_done" */
gr_str gr_event_doc(gr_event_kind kind);  /* static */
/* A bit (1 << kind) for each kind that a pattern names, in which `*` stands for any text; 0: none. */
unsigned gr_event_match(gr_str pattern);
#endif
