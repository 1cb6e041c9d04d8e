/* Cubes of the model as nodes of the catalog, with the two hashes that make their versions (decisions 18): of what
 * their SQL depends on, and of what people read. */
#include "exec/internal.h"

#include "base/buf.h"
#include "data/digest.h"
#include "data/json.h"

#include <stdlib.h>

static void put(gr_buf *out, const char *key, gr_str text) {
    if (text.n) gr_buf_printf(out, "%s %zu:" GR_FMT "\n", key, text.n, GR_ARG(text));
}

static gr_str hash_of_text(gr_buf *out, gr_arena *arena) {
    gr_str hash = gr_digest_md5_hex(gr_buf_str(out), arena);
    gr_buf_done(out);
    return hash;
}

static void put_expr(gr_buf *out, const char *key, const gr_expr *e) {
    if (e) put(out, key, e->source);
}

static void put_i(gr_buf *out, const char *key, int64_t value) {
    gr_buf_printf(out, "%s %lld\n", key, (long long)value);
}

static void put_interval(gr_buf *out, const char *key, gr_interval i) {
    gr_buf_printf(out, "%s %lld %lld %lld\n", key, (long long)i.months, (long long)i.days, (long long)i.us);
}

static void put_members(gr_buf *out, const char *key, const gr_member **members, size_t n) {
    for (size_t i = 0; i < n; i++) put(out, key, members[i]->id);
}

static void put_window(gr_buf *out, const gr_window *w) {
    if (w->kind == GR_WINDOW_NONE) return;
    put_i(out, "window",
          w->kind * 64 + w->has_trailing * 32 + w->is_trailing_unbounded * 16 + w->has_leading * 8 +
              w->is_leading_unbounded * 4 + w->is_offset_start);
    put_interval(out, "trailing", w->trailing);
    put_interval(out, "leading", w->leading);
    put_i(out, "to_date", w->to_date);
}

static void put_stage(gr_buf *out, const gr_stage *s) {
    if (!s) return;
    put_i(out, "stage", s->has_group_by * 2 + s->has_filter_keep);
    put_members(out, "group_by", s->group_by, s->n_group_by);
    put_members(out, "reduce_by", s->reduce_by, s->n_reduce_by);
    put_members(out, "add_group_by", s->add_group_by, s->n_add_group_by);
    put_members(out, "filter_exclude", s->filter_exclude, s->n_filter_exclude);
    put_members(out, "filter_keep", s->filter_keep, s->n_filter_keep);
    for (size_t i = 0; i < s->n_shifts; i++) {
        put(out, "shift", s->shifts[i].time ? s->shifts[i].time->id : GR_STR("*"));
        put_interval(out, "by", s->shifts[i].interval);
    }
    for (size_t i = 0; i < s->n_order_by; i++) {
        put_expr(out, "order", s->order_by[i].sql);
        put_i(out, "desc", s->order_by[i].is_desc);
    }
}

static void put_granularity(gr_buf *out, const gr_granularity *g) {
    put(out, "granularity", g->name);
    put(out, "interval", g->interval_text);
    put(out, "offset", g->offset_text);
    put(out, "origin", g->origin_text);
    put(out, "sql", g->sql);
}

/* What its column is taken for, whatever is in it. */
static void put_shape(gr_buf *out, const gr_member *m) {
    put(out, "member", m->name);
    put_i(out, "kind", m->kind * 1000 + m->dim_type * 100 + (int)m->agg);
    put_i(out, "flags", m->is_primary_key * 8 + m->is_sub_query * 4 + m->propagates_filters * 2 + m->is_cumulative);
    for (size_t i = 0; i < m->n_granularities; i++) put_granularity(out, &m->granularities[i]);
    put_window(out, &m->window);
    put_stage(out, m->stage);
    if (m->hll_log2m) put_i(out, "log2m", m->hll_log2m);
}

static void put_member(gr_buf *out, const gr_member *m) {
    put_shape(out, m);
    put_expr(out, "sql", m->sql);
    put_expr(out, "latitude", m->latitude);
    put_expr(out, "longitude", m->longitude);
    for (size_t i = 0; i < m->n_cases; i++) {
        put_expr(out, "when", m->cases[i].when);
        put_expr(out, "then", m->cases[i].label_sql);
        put(out, "label", m->cases[i].label);
    }
    for (size_t i = 0; i < m->n_filters; i++) put_expr(out, "filter", m->filters[i]);
}

static void put_joins(gr_buf *out, const gr_cube *c) {
    for (size_t i = 0; i < c->n_joins; i++) {
        put(out, "join", c->joins[i].to->name);
        put_i(out, "relationship", c->joins[i].relationship);
        put_expr(out, "on", c->joins[i].sql);
    }
}

/* What the cube's own SQL depends on. */
static gr_str content_of(const gr_cube *c, gr_arena *arena) {
    gr_buf out;
    gr_buf_init(&out, 64 << 20);
    put(&out, "data_source", c->data_source);
    put_expr(&out, "sql", c->sql);
    put_expr(&out, "sql_table", c->sql_table);
    for (size_t i = 0; i < c->n_dimensions; i++) put_member(&out, c->dimensions[i]);
    for (size_t i = 0; i < c->n_measures; i++) put_member(&out, c->measures[i]);
    for (size_t i = 0; i < c->n_segments; i++) put_member(&out, c->segments[i]);
    put_joins(&out, c);
    return hash_of_text(&out, arena);
}

static void put_yaml(gr_buf *out, const char *key, const gr_yaml *node) {
    if (!node) return;
    gr_buf_z(out, key);
    gr_yaml_to_json(node, out);
}

static void put_meta(gr_buf *out, gr_member *const *members, size_t n) {
    for (size_t i = 0; i < n; i++) {
        const gr_member *m = members[i];
        put(out, "member", m->name);
        put(out, "title", m->title);
        put(out, "short_title", m->short_title);
        put(out, "description", m->description);
        put(out, "format", m->format);
        put(out, "currency", m->currency);
        put_yaml(out, "format", m->format_node);
        put_yaml(out, "meta", m->meta);
        put_i(out, "public", m->is_public);
    }
}

static gr_str meta_of(const gr_cube *c, gr_arena *arena) {
    gr_buf out;
    gr_buf_init(&out, 64 << 20);
    put(&out, "title", c->title);
    put(&out, "description", c->description);
    put_yaml(&out, "meta", c->meta);
    put_i(&out, "public", c->is_public);
    put_meta(&out, c->dimensions, c->n_dimensions);
    put_meta(&out, c->measures, c->n_measures);
    put_meta(&out, c->segments, c->n_segments);
    return hash_of_text(&out, arena);
}

/* ---- what it reaches -----------------------------------------------------------------------------------------------
 */

typedef struct walk {
    const gr_model *model;
    const gr_str *contents; /* by cube index */
    uint32_t *seen;         /* by cube index: the walk that saw it */
    uint32_t now;
    const gr_cube **queue;
    size_t n;
} walk;

static void reach(walk *w, const gr_cube *c) {
    if (!c || w->seen[c->index] == w->now) return;
    w->seen[c->index] = w->now;
    w->queue[w->n++] = c;
}

static void reach_expr(walk *w, const gr_expr *e) {
    for (size_t i = 0; e && i < e->n_parts; i++) reach(w, e->parts[i].cube);
}

/* Cubes that expressions name without a join: sub queries, `{other.sql()}`. */
static void reach_members(walk *w, gr_member *const *members, size_t n) {
    for (size_t i = 0; i < n; i++) {
        reach_expr(w, members[i]->sql);
        for (size_t k = 0; k < members[i]->n_filters; k++) reach_expr(w, members[i]->filters[k]);
        for (size_t k = 0; k < members[i]->n_cases; k++) reach_expr(w, members[i]->cases[k].when);
    }
}

static int str_order(const void *a, const void *b) { return gr_str_cmp(*(const gr_str *)a, *(const gr_str *)b); }

/* Its own content, and that of every cube that its joins and expressions lead to. */
static gr_str content_with_reach(walk *w, const gr_cube *cube, gr_arena *arena) {
    w->now++;
    w->n = 0;
    reach(w, cube);
    for (size_t i = 0; i < w->n; i++) {
        const gr_cube *c = w->queue[i];
        for (size_t k = 0; k < c->n_joins; k++) reach(w, c->joins[k].to);
        reach_expr(w, c->sql);
        reach_members(w, c->dimensions, c->n_dimensions);
        reach_members(w, c->measures, c->n_measures);
        reach_members(w, c->segments, c->n_segments);
    }
    gr_str *texts = GR_NEW_N(arena, gr_str, w->n);
    for (size_t i = 1; i < w->n; i++)
        texts[i - 1] = gr_arena_printf(arena, GR_FMT " " GR_FMT, GR_ARG(w->queue[i]->name),
                                       GR_ARG(w->contents[w->queue[i]->index]));
    qsort(texts, w->n - 1, sizeof *texts, str_order);
    gr_buf out;
    gr_buf_init(&out, 64 << 20);
    put(&out, "own", w->contents[cube->index]);
    for (size_t i = 0; i + 1 < w->n; i++) put(&out, "reach", texts[i]);
    return hash_of_text(&out, arena);
}

/* Of the cubes of the last walk: which rows a join repeats, and by what they are told apart. */
static gr_str joins_of(const walk *w, gr_arena *arena) {
    gr_buf out;
    gr_buf_init(&out, 64 << 20);
    for (size_t i = 0; i < w->n; i++) {
        const gr_cube *c = w->queue[i];
        put(&out, "cube", c->name);
        for (size_t k = 0; k < c->n_primary_keys; k++) put(&out, "key", c->primary_keys[k]->name);
        put_joins(&out, c);
    }
    return hash_of_text(&out, arena);
}

/* What the source says its columns are; gr_exec_types_recall reads it when the source is away. */
static void put_types(gr_jw *w, const gr_model *model, const gr_cube *c, const gr_column_schema *const *types) {
    gr_jw_key(w, GR_STR("types"));
    gr_jw_array(w);
    for (size_t i = 0; i < model->n_members; i++) {
        const gr_member *m = model->members[i];
        if (m->cube != c || !types[m->index]) continue;
        gr_jw_object(w);
        gr_jw_key_str(w, "member", m->name);
        gr_jw_key_str(w, "sql", m->sql ? m->sql->source : GR_STR(""));
        gr_jw_key_str(w, "type", gr_type_name(types[m->index]->type));
        gr_jw_key_i64(w, "precision", types[m->index]->precision);
        if (types[m->index]->is_text_of_other) gr_jw_key_bool(w, "is_text_of_other", true);
        gr_jw_key_i64(w, "scale", types[m->index]->scale);
        gr_jw_object_end(w);
    }
    gr_jw_array_end(w);
}

static gr_str hash_of(void (*put_one)(gr_buf *, const gr_member *), const gr_member *m, gr_arena *arena) {
    gr_buf out;
    gr_buf_init(&out, 64 << 20);
    put_one(&out, m);
    return hash_of_text(&out, arena);
}

/* By which a later version knows what it may still read of this one's builds: gr_exec_changes. */
static void put_member_hashes(gr_jw *w, const gr_model *model, const gr_cube *c, gr_arena *arena) {
    gr_jw_key(w, GR_STR("members"));
    gr_jw_array(w);
    for (size_t i = 0; i < model->n_members; i++) {
        const gr_member *m = model->members[i];
        if (m->cube != c || m->is_synthetic) continue;
        gr_jw_object(w);
        gr_jw_key_str(w, "member", m->name);
        gr_jw_key_str(w, "hash", hash_of(put_member, m, arena));
        gr_jw_key_str(w, "shape", hash_of(put_shape, m, arena));
        gr_jw_object_end(w);
    }
    gr_jw_array_end(w);
}

static gr_str joins_in(gr_str definition, gr_arena *arena) {
    json_t *root;
    if (gr_json_parse(definition, 64 << 20, arena, &root, NULL)) return (gr_str){0};
    const json_t *joins = json_object_get(root, "joins");
    return json_is_string(joins) ? gr_json_str(joins) : (gr_str){0};
}

const gr_member_change *gr_exec_changes(const gr_model *model, const gr_cube *cube, gr_str definition, gr_str now,
                                        gr_arena *arena) {
    gr_member_change *changes = GR_NEW_N(arena, gr_member_change, model->n_members + 1);
    json_t *root = NULL, *item;
    size_t i;
    /* Of other cubes the versions are not known: their columns are stored, and read under their own names, as long as
     * the joins repeat the same rows. */
    gr_str joins = joins_in(definition, arena);
    bool are_joined_alike = joins.n && gr_str_eq(joins, joins_in(now, arena));
    for (size_t k = 0; k < model->n_members; k++) {
        bool is_other = model->members[k]->cube != cube && are_joined_alike;
        changes[k] = is_other ? GR_MEMBER_SQL_CHANGED : GR_MEMBER_CHANGED;
    }
    if (gr_json_parse(definition, 64 << 20, arena, &root, NULL)) return changes;
    json_array_foreach(json_object_get(root, "members"), i, item) {
        const gr_member *m = gr_map_get(&cube->members, gr_json_str(json_object_get(item, "member")));
        if (!m) continue;
        bool is_same = gr_str_eq(gr_json_str(json_object_get(item, "hash")), hash_of(put_member, m, arena));
        bool has_shape = gr_str_eq(gr_json_str(json_object_get(item, "shape")), hash_of(put_shape, m, arena));
        changes[m->index] = is_same ? GR_MEMBER_SAME : has_shape ? GR_MEMBER_SQL_CHANGED : GR_MEMBER_CHANGED;
    }
    return changes;
}

static void put_columns(gr_jw *w, const gr_cube *c, const gr_column_schema *const *types) {
    gr_jw_key(w, GR_STR("columns"));
    gr_jw_array(w);
    for (size_t i = 0; i < c->n_dimensions; i++) {
        const gr_column_schema *type = types[c->dimensions[i]->index];
        gr_jw_object(w);
        gr_jw_key_str(w, "name", c->dimensions[i]->name);
        gr_jw_key_str(w, "type", type ? gr_type_name(type->type) : GR_STR("unknown"));
        gr_jw_object_end(w);
    }
    gr_jw_array_end(w);
}

static gr_type type_named(gr_str name) {
    for (int t = GR_TYPE_NULL; t < GR_TYPE__COUNT; t++)
        if (gr_str_eq(gr_type_name((gr_type)t), name)) return (gr_type)t;
    return GR_TYPE_NULL;
}

void gr_exec_types_recall(const gr_model *model, const gr_cube *cube, gr_str definition, gr_arena *arena,
                          const gr_column_schema **types) {
    json_t *root, *item;
    size_t i;
    if (gr_json_parse(definition, 64 << 20, arena, &root, NULL)) return;
    json_array_foreach(json_object_get(root, "types"), i, item) {
        gr_str name = gr_json_str(json_object_get(item, "member")), sql = gr_json_str(json_object_get(item, "sql"));
        gr_type type = type_named(gr_json_str(json_object_get(item, "type")));
        for (size_t k = 0; k < model->n_members && type != GR_TYPE_NULL; k++) {
            const gr_member *m = model->members[k];
            if (m->cube != cube || !gr_str_eq(m->name, name)) continue;
            if (!gr_str_eq(m->sql ? m->sql->source : GR_STR(""), sql)) continue;
            gr_column_schema *column = GR_NEW(arena, gr_column_schema);
            *column = (gr_column_schema){name, type, (uint8_t)json_integer_value(json_object_get(item, "precision")),
                                         (uint8_t)json_integer_value(json_object_get(item, "scale")),
                                         json_is_true(json_object_get(item, "is_text_of_other"))};
            types[m->index] = column;
        }
    }
}

static gr_str definition_of(const gr_model *model, const gr_cube *c, gr_str joins, const gr_column_schema *const *types,
                            gr_arena *arena) {
    gr_buf out;
    gr_jw w;
    gr_buf_init(&out, 64 << 20);
    gr_jw_init(&w, &out);
    gr_jw_object(&w);
    gr_jw_key_str(&w, "data_source", c->data_source);
    if (c->sql_table) gr_jw_key_str(&w, "sql_table", c->sql_table->source);
    if (c->sql) gr_jw_key_str(&w, "sql", c->sql->source);
    gr_jw_key_str(&w, "joins", joins);
    put_columns(&w, c, types);
    put_types(&w, model, c, types);
    put_member_hashes(&w, model, c, arena);
    gr_jw_object_end(&w);
    gr_str text = gr_arena_dup(arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

gr_node_decl *gr_exec_nodes(const gr_model *model, const gr_column_schema *const *types, gr_arena *arena,
                            size_t *ret_n) {
    gr_str *contents = GR_NEW_N(arena, gr_str, model->n_cubes + 1);
    gr_node_decl *nodes = GR_NEW_N(arena, gr_node_decl, model->n_cubes + 1);
    for (size_t i = 0; i < model->n_cubes; i++)
        if (!model->cubes[i]->is_view) contents[model->cubes[i]->index] = content_of(model->cubes[i], arena);
    walk w = {.model = model,
              .contents = contents,
              .seen = GR_NEW_N(arena, uint32_t, model->n_cubes + 1),
              .queue = GR_NEW_N(arena, const gr_cube *, model->n_cubes + 1)};
    size_t n = 0;
    for (size_t i = 0; i < model->n_cubes; i++) {
        const gr_cube *c = model->cubes[i];
        if (c->is_view) continue;
        gr_str content = content_with_reach(&w, c, arena), joins = joins_of(&w, arena);
        nodes[n++] = (gr_node_decl){.name = c->name,
                                    .type = c->sql ? GR_NODE_TRANSFORM : GR_NODE_SOURCE,
                                    .content_hash = content,
                                    .meta_hash = meta_of(c, arena),
                                    .display_name = c->title,
                                    .description = c->description,
                                    .definition = definition_of(model, c, joins, types, arena)};
    }
    *ret_n = n;
    return nodes;
}
