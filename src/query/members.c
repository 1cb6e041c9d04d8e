/* From ids to members: the form of an id, whether the member exists, is of the kind asked for, and may be seen.
 * Invariant: every member of a query passes through gr_query_resolve, so that none escapes the count and the check of
 * visibility; a duplicate is answered once. */
#include "query/internal.h"

static const struct kind {
    const char *name, *list;
} kinds_of[] = {
    [GR_MEMBER_DIMENSION] = {"dimension", "dimensions"},
    [GR_MEMBER_MEASURE] = {"measure", "measures"},
    [GR_MEMBER_SEGMENT] = {"segment", "segments"},
};

static bool is_word(gr_str s) {
    for (size_t i = 0; i < s.n; i++) {
        char c = s.p[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_')) return false;
    }
    return s.n > 0;
}

gr_status gr_query_check_id(gr_query_parser *p, const gr_query_place *place, gr_str id, size_t max_parts) {
    size_t from = 0, parts = 0;
    bool is_good = id.n > 0;
    while (is_good && from <= id.n && parts <= max_parts) {
        size_t dot = gr_str_find(id, '.', from);
        size_t end = dot == SIZE_MAX ? id.n : dot;
        is_good = is_word(gr_str_sub(id, from, end - from));
        parts++;
        from = end + 1;
    }
    if (is_good && parts >= 2 && parts <= max_parts) return GR_OK;
    return gr_query_bad(
        p, place, "with value \"" GR_FMT "\" fails to match the required pattern: %s", GR_ARG(gr_query_shown(id)),
        max_parts == 3 ? "/^[a-zA-Z0-9_]+\\.[a-zA-Z0-9_]+(\\.[a-zA-Z0-9_]+)?$/" : "/^[a-zA-Z0-9_]+\\.[a-zA-Z0-9_]+$/");
}

static gr_status count_member(gr_query_parser *p) {
    if (++p->n_members <= p->options->max_members) return GR_OK;
    return gr_error_set(p->err, GR_ERR_LIMIT, "The query has too many members: the limit is %zu",
                        p->options->max_members);
}

static gr_status wrong_kind(gr_query_parser *p, const gr_member *member) {
    gr_status status = gr_error_set(p->err, GR_ERR_QUERY_UNKNOWN_MEMBER, "'" GR_FMT "' not found for path '" GR_FMT "'",
                                    GR_ARG(gr_query_shown(member->name)), GR_ARG(gr_query_shown(member->id)));
    const struct kind *kind = &kinds_of[member->kind];
    gr_error_hint(p->err, GR_FMT " is a %s: ask for it in \"%s\"", GR_ARG(gr_query_shown(member->id)), kind->name,
                  kind->list);
    return status;
}

/* Primary keys are hidden by default, yet filtering by an id is what they are for: as in the reference, a filter may
 * name one as long as its cube is public. */
static bool is_visible(const gr_member *member, bool is_filter) {
    if (!member->cube->is_public) return false;
    return member->is_public || (is_filter && gr_member_base(member)->is_primary_key);
}

static gr_field field_of(gr_query_parser *p, const gr_member *asked) {
    gr_field field = {.id = asked->id, .asked = asked, .member = gr_member_base(asked), .path = asked->path};
    if (!asked->alias_of || field.path.n == 0) {
        field.path = (gr_path){GR_NEW_N(p->arena, const gr_cube *, 1), 1};
        field.path.cubes[0] = field.member->cube;
    }
    return field;
}

gr_status gr_query_resolve(gr_query_parser *p, gr_str id, unsigned kinds, bool is_filter, gr_field *ret) {
    const gr_member *asked;
    GR_TRY(count_member(p));
    GR_TRY(gr_model_member(p->model, id, &asked, p->err));
    if (!(kinds & 1u << asked->kind)) return wrong_kind(p, asked);
    if (!p->options->sees_hidden && !is_visible(asked, is_filter))
        return gr_error_set(p->err, GR_ERR_QUERY_HIDDEN_MEMBER,
                            "You requested hidden member: '" GR_FMT "'. Please make it visible using `public: true`. "
                            "Please note primaryKey fields are `public: false` by default: "
                            "https://cube.dev/docs/schema/reference/joins#setting-a-primary-key.",
                            GR_ARG(gr_query_shown(id)));
    *ret = field_of(p, asked);
    return GR_OK;
}

/* `cube.dim.granularity` is put aside for the time dimensions; *ret_is_suffixed. */
static void put_aside(gr_query_parser *p, gr_str id, size_t index, bool *ret_is_suffixed) {
    size_t dot = gr_str_find(id, '.', gr_str_find(id, '.', 0) + 1);
    *ret_is_suffixed = dot != SIZE_MAX;
    if (!*ret_is_suffixed) return;
    gr_query_suffixed s = {gr_str_sub(id, 0, dot), gr_str_sub(id, dot + 1, id.n - dot - 1), index};
    GR_PUSH(p->arena, &p->suffixed, s);
}

static gr_status read_list(gr_query_parser *p, gr_member_kind kind, gr_field **ret, size_t *ret_n) {
    gr_query_place place = gr_query_at_key(NULL, kinds_of[kind].list);
    bool is_dimension = kind == GR_MEMBER_DIMENSION;
    json_t *list;
    GR_TRY(gr_query_get_list(p, p->json, &place, &list));
    size_t n = json_array_size(list), kept = 0;
    gr_field *fields = GR_NEW_N(p->arena, gr_field, n);
    gr_map seen;
    gr_map_init(&seen, p->arena);
    for (size_t i = 0; i < n; i++) {
        gr_query_place at = gr_query_at_item(&place, i);
        gr_str id;
        bool is_suffixed = false;
        GR_TRY(gr_query_want_str(p, json_array_get(list, i), &at, &id));
        GR_TRY(gr_query_check_id(p, &at, id, is_dimension ? 3 : 2));
        if (is_dimension) put_aside(p, id, i, &is_suffixed);
        if (is_suffixed) continue;
        GR_TRY(gr_query_resolve(p, id, 1u << kind, false, &fields[kept]));
        if (gr_map_put(&seen, fields[kept].id, fields)) kept++;
    }
    *ret = fields;
    *ret_n = kept;
    return GR_OK;
}

gr_status gr_query_read_members(gr_query_parser *p) {
    gr_query *q = p->query;
    GR_TRY(read_list(p, GR_MEMBER_MEASURE, &q->measures, &q->n_measures));
    GR_TRY(read_list(p, GR_MEMBER_DIMENSION, &q->dimensions, &q->n_dimensions));
    return read_list(p, GR_MEMBER_SEGMENT, &q->segments, &q->n_segments);
}
