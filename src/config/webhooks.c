/* The list `webhooks` of granary.yml: {url, events, secret}; and the names of events that it chooses among.
 * Invariant: a url that is kept is http or https, has a host and no blanks; nothing but its origin is ever shown, since
 * its userinfo, path and query may all be secrets: no message here repeats it. */
#include "base/buf.h"
#include "config/events.h"
#include "config/internal.h"

enum { MAX_URL = 2048, MAX_SECRET = 1024 };

/* ---- events ---------------------------------------------------------------------------------------------------- */

static const struct {
    gr_str id, doc;
} events[] = {
#define GR_EVENT(name, id, doc) {GR_STR_INIT(id), GR_STR_INIT(doc)},
#include "config/events.def"
#undef GR_EVENT
};
_Static_assert(GR_EVENT__COUNT <= 32, "a set of events is a word of bits");

gr_str gr_event_name(gr_event_kind kind) { return events[kind].id; }
gr_str gr_event_doc(gr_event_kind kind) { return events[kind].doc; }

/* `at` is where the last `*` was, and `from` up to where the text is taken for it. */
static bool is_match(gr_str pattern, gr_str text) {
    size_t p = 0, t = 0, at = SIZE_MAX, from = 0;
    while (t < text.n) {
        if (p < pattern.n && pattern.p[p] == '*') {
            at = p++;
            from = t;
        } else if (p < pattern.n && pattern.p[p] == text.p[t]) {
            p++;
            t++;
        } else if (at != SIZE_MAX) {
            p = at + 1;
            t = ++from;
        } else {
            return false;
        }
    }
    while (p < pattern.n && pattern.p[p] == '*') p++;
    return p == pattern.n;
}

unsigned gr_event_match(gr_str pattern) {
    unsigned all = 0;
    for (unsigned i = 0; i < GR_EVENT__COUNT; i++)
        if (is_match(pattern, events[i].id)) all |= 1u << i;
    return all;
}

/* ---- url ------------------------------------------------------------------------------------------------------- */

/* "[::1]:80", "host:80", "host" */
static bool is_authority(gr_str s) {
    size_t colon = SIZE_MAX, from = 0;
    if (s.n && s.p[0] == '[') {
        from = gr_str_find(s, ']', 0);
        if (from == SIZE_MAX || from < 3 || (from + 1 < s.n && s.p[from + 1] != ':')) return false;
    }
    colon = gr_str_find(s, ':', from);
    if (colon == SIZE_MAX) return s.n > 0;
    int64_t port;
    gr_str digits = gr_str_sub(s, colon + 1, s.n - colon - 1);
    return colon > 0 && gr_str_to_i64(digits, &port) && digits.p[0] != '+' && port >= 1 && port <= 65535;
}

static const char *problem_of(gr_str url, size_t *ret_host, size_t *ret_end) {
    size_t scheme = gr_str_find_str(url, GR_STR("://"));
    if (scheme == SIZE_MAX) return "is not a URL";
    gr_str name = gr_str_sub(url, 0, scheme);
    if (!gr_str_eq_nocase(name, GR_STR("http")) && !gr_str_eq_nocase(name, GR_STR("https")))
        return "must begin with http:// or https://";
    if (url.n > MAX_URL) return "is too long";
    for (size_t i = 0; i < url.n; i++)
        if ((unsigned char)url.p[i] <= ' ' || url.p[i] == 0x7f || url.p[i] == '\\')
            return "has a blank or a backslash in it";
    size_t from = scheme + 3, end = from;
    while (end < url.n && url.p[end] != '/' && url.p[end] != '?' && url.p[end] != '#') end++;
    size_t host = from;
    for (size_t i = from; i < end; i++)
        if (url.p[i] == '@') host = i + 1;
    if (!is_authority(gr_str_sub(url, host, end - host))) return "has no host, or a port that is none";
    *ret_host = host;
    *ret_end = end;
    return NULL;
}

static gr_status read_url(gr_webhook_config *hook, const gr_yaml *node, gr_arena *arena, gr_error *err) {
    static const char example[] = "Write `url: https://host/path`.";
    if (!gr_yaml_is_string(node) || !node->text.n) {
        gr_config_invalid(err, node ? node->loc : hook->loc, "The webhook has no `url`.");
        gr_error_hint(err, example);
        return GR_ERR_CONFIG_INVALID;
    }
    size_t host, end;
    const char *problem = problem_of(node->text, &host, &end);
    if (problem) {
        gr_config_invalid(err, node->loc, "The `url` of the webhook %s.", problem);
        gr_error_hint(err, example);
        return GR_ERR_CONFIG_INVALID;
    }
    size_t scheme = gr_str_find_str(node->text, GR_STR("://"));
    hook->url.value = gr_arena_dup(arena, node->text);
    hook->origin = gr_arena_printf(arena, GR_FMT "://" GR_FMT, GR_ARG(gr_str_sub(node->text, 0, scheme)),
                                   GR_ARG(gr_str_sub(node->text, host, end - host)));
    return GR_OK;
}

/* ---- the rest -------------------------------------------------------------------------------------------------- */

static gr_status read_events(gr_webhook_config *hook, const gr_yaml *node, gr_error *err) {
    hook->events = ~0u;
    if (!node || node->kind == GR_YAML_NULL) return GR_OK;
    if (node->kind != GR_YAML_LIST || !node->n) {
        gr_config_invalid(err, node->loc, "`events` of a webhook must be a list of names of events.");
        gr_error_hint(err, "Write `events: [\"preagg.*\"]`, or leave it out for all of them.");
        return GR_ERR_CONFIG_INVALID;
    }
    hook->events = 0;
    for (size_t i = 0; i < node->n; i++) {
        const gr_yaml *item = node->items[i];
        unsigned matched = gr_yaml_is_string(item) ? gr_event_match(item->text) : 0;
        if (!matched) {
            gr_str names[GR_EVENT__COUNT];
            for (unsigned k = 0; k < GR_EVENT__COUNT; k++) names[k] = events[k].id;
            gr_config_invalid(err, item->loc, "`" GR_FMT "` is not the name of an event, and no pattern that fits one.",
                              GR_ARG(item->text));
            gr_str near = gr_diags_nearest(item->text, names, GR_EVENT__COUNT);
            if (near.n) gr_error_hint(err, "Did you mean `" GR_FMT "`?", GR_ARG(near));
            return GR_ERR_CONFIG_INVALID;
        }
        hook->events |= matched;
    }
    return GR_OK;
}

static gr_status read_secret(gr_webhook_config *hook, const gr_yaml *node, gr_error *err) {
    if (!node || node->kind == GR_YAML_NULL) return GR_OK;
    if (!gr_yaml_is_string(node) || !node->text.n || node->text.n > MAX_SECRET)
        return gr_config_invalid(err, node->loc, "The `secret` of a webhook must be text of 1 to %d bytes.",
                                 MAX_SECRET);
    hook->secret.value = node->text;
    return GR_OK;
}

static gr_status read_hook(gr_webhook_config *hook, const gr_yaml *map, gr_arena *arena, gr_error *err) {
    static const gr_str keys[] = {GR_STR_INIT("url"), GR_STR_INIT("events"), GR_STR_INIT("secret")};
    *hook = (gr_webhook_config){.loc = map->loc};
    if (map->kind != GR_YAML_MAP) {
        gr_config_invalid(err, map->loc, "A webhook must be a map.");
        gr_error_hint(err, "Write `- {url: https://…, events: [\"preagg.*\"], secret: …}`.");
        return GR_ERR_CONFIG_INVALID;
    }
    for (size_t i = 0; i < map->n; i++) {
        bool is_known = false;
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) is_known |= gr_str_eq(map->pairs[i].key, keys[k]);
        if (!is_known)
            return gr_config_unknown_key(map->pairs[i].key, map->pairs[i].key_loc, GR_STR("a webhook"), keys,
                                         sizeof keys / sizeof *keys, err);
    }
    GR_TRY(read_url(hook, gr_yaml_get(map, GR_STR("url")), arena, err));
    GR_TRY(read_events(hook, gr_yaml_get(map, GR_STR("events")), err));
    return read_secret(hook, gr_yaml_get(map, GR_STR("secret")), err);
}

gr_status gr_config_read_webhooks(gr_config *config, const gr_yaml *node, gr_arena *arena, gr_error *err) {
    if (node->kind == GR_YAML_NULL) return GR_OK;
    if (node->kind != GR_YAML_LIST) {
        gr_config_invalid(err, node->loc, "`webhooks` must be a list.");
        gr_error_hint(err, "Write `webhooks: [{url: https://…}]`.");
        return GR_ERR_CONFIG_INVALID;
    }
    if (node->n > GR_CONFIG_MAX_WEBHOOKS)
        return gr_config_invalid(err, node->loc, "There are %zu webhooks; at most %d are allowed.", node->n,
                                 (int)GR_CONFIG_MAX_WEBHOOKS);
    config->webhooks = GR_NEW_N(arena, gr_webhook_config, node->n + 1);
    for (size_t i = 0; i < node->n; i++) GR_TRY(read_hook(&config->webhooks[i], node->items[i], arena, err));
    config->n_webhooks = node->n;
    return GR_OK;
}

/* ---- docs ------------------------------------------------------------------------------------------------------ */

void gr_config_write_event_docs(gr_buf *out) {
    gr_buf_z(out, "| Event | When |\n|---|---|\n");
    for (unsigned i = 0; i < GR_EVENT__COUNT; i++)
        gr_buf_printf(out, "| `" GR_FMT "` | " GR_FMT " |\n", GR_ARG(events[i].id), GR_ARG(events[i].doc));
}
