/* What is defined by API: measures by dimensions of one fact, kept in the catalog by name, and made into a
 * pre-aggregation again for every model.
 *
 *      request ──facts──> definitions ──merged with what the catalog has──> gr_preagg_def ──> extended model ──>
 * rollups
 *
 * Invariant: definitions of one key (fact, dimensions, filters, zone, registered table) are one, with the measures of
 * both: nothing is lost by a second user (decisions 17). */
#include "exec/internal.h"

#include "base/buf.h"
#include "data/digest.h"
#include "data/json.h"

#include <stdlib.h>

/* ---- names of what a query asks for -------------------------------------------------------------------------------
 */

static gr_str name_of_field(const gr_field *f, const gr_granularity *g, gr_arena *arena) {
    gr_str text = f->member->id;
    if (f->path.n > 1) {
        text = f->path.cubes[0]->name;
        for (size_t i = 1; i < f->path.n; i++)
            text = gr_arena_printf(arena, GR_FMT "." GR_FMT, GR_ARG(text), GR_ARG(f->path.cubes[i]->name));
        text = gr_arena_printf(arena, GR_FMT "." GR_FMT, GR_ARG(text), GR_ARG(f->member->name));
    }
    return g ? gr_arena_printf(arena, GR_FMT "." GR_FMT, GR_ARG(text), GR_ARG(g->name)) : text;
}

static void add_name(gr_names *names, gr_str name, gr_arena *arena) {
    for (size_t i = 0; i < names->n; i++)
        if (gr_str_eq(names->v[i], name)) return;
    GR_PUSH(arena, names, name);
}

static bool is_within(const gr_components *some, const gr_components *all) {
    for (size_t i = 0; i < some->n; i++) {
        bool is_there = false;
        for (size_t k = 0; k < all->n && !is_there; k++)
            is_there = gr_str_eq(some->v[i].stored_key, all->v[k].stored_key);
        if (!is_there) return false;
    }
    return some->n > 0;
}

/* The measure itself when all of it is computed over this fact; else those that it is calculated from. */
static void add_measure(const gr_plan_index *index, const gr_member *m, const gr_components *fact, gr_names *out,
                        gr_arena *arena, int depth) {
    enum { DEEPEST = 16 };
    if (m->is_synthetic || depth > DEEPEST) return;
    if (is_within(gr_plan_index_components(index, m), fact)) {
        add_name(out, m->id, arena);
        return;
    }
    for (size_t i = 0; m->sql && i < m->sql->n_parts; i++) {
        const gr_member *part = m->sql->parts[i].kind == GR_PART_MEMBER ? m->sql->parts[i].member : NULL;
        if (part && part->kind == GR_MEMBER_MEASURE) add_measure(index, part, fact, out, arena, depth + 1);
    }
}

/* ---- text ---------------------------------------------------------------------------------------------------------
 */

static void put_names(gr_jw *w, const char *key, const gr_names *names) {
    gr_jw_key(w, gr_str_from(key));
    gr_jw_array(w);
    for (size_t i = 0; i < names->n; i++) gr_jw_str(w, names->v[i]);
    gr_jw_array_end(w);
}

/* `with_measures` false: the key. */
static gr_str text_of(const gr_exec_definition *d, bool with_measures, gr_arena *arena) {
    gr_buf out;
    gr_jw w;
    gr_buf_init(&out, 4 << 20);
    gr_jw_init(&w, &out);
    gr_jw_object(&w);
    gr_jw_key_str(&w, "node", d->node);
    put_names(&w, "dimensions", &d->dimensions);
    if (with_measures) put_names(&w, "measures", &d->measures);
    gr_jw_key(&w, GR_STR("filters"));
    gr_jw_raw(&w, d->filters.n ? d->filters : GR_STR("[]"));
    if (d->time_zone.n) gr_jw_key_str(&w, "time_zone", d->time_zone);
    if (d->external.n) gr_jw_key_str(&w, "external", d->external);
    if (with_measures && d->bindings.n) {
        gr_jw_key(&w, GR_STR("bindings"));
        gr_jw_raw(&w, d->bindings);
    }
    gr_jw_object_end(&w);
    gr_str text = gr_arena_dup(arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

static int str_order(const void *a, const void *b) { return gr_str_cmp(*(const gr_str *)a, *(const gr_str *)b); }

/* Measures stay in the order in which they came: the first one's cube is the root of the joins (cube.md 5.1), and later
 * ones share its columns. */
void gr_exec_definition_seal(gr_exec_definition *d, gr_arena *arena) {
    if (d->dimensions.n) qsort(d->dimensions.v, d->dimensions.n, sizeof(gr_str), str_order);
    d->key = gr_digest_md5_hex(text_of(d, false, arena), arena);
    d->text = text_of(d, true, arena);
}

static void read_names(const json_t *list, gr_names *out, gr_arena *arena) {
    for (size_t i = 0; i < json_array_size(list); i++)
        if (json_is_string(json_array_get(list, i)))
            add_name(out, gr_arena_dup(arena, gr_json_str(json_array_get(list, i))), arena);
}

static gr_str read_json(const json_t *value, gr_arena *arena) {
    char *dump = value ? json_dumps(value, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    gr_str text = dump ? gr_arena_dup(arena, gr_str_from(dump)) : (gr_str){0};
    free(dump);
    return text;
}

static gr_str read_text(const json_t *root, const char *key, gr_arena *arena) {
    const json_t *text = json_object_get(root, key);
    return json_is_string(text) ? gr_arena_dup(arena, gr_json_str(text)) : (gr_str){0};
}

bool gr_exec_definition_read(gr_str text, gr_arena *arena, gr_exec_definition *ret) {
    json_t *root;
    *ret = (gr_exec_definition){0};
    if (gr_json_parse(text, 4 << 20, arena, &root, NULL) || !json_is_object(root)) return false;
    ret->node = read_text(root, "node", arena);
    ret->time_zone = read_text(root, "time_zone", arena);
    ret->external = read_text(root, "external", arena);
    read_names(json_object_get(root, "dimensions"), &ret->dimensions, arena);
    read_names(json_object_get(root, "measures"), &ret->measures, arena);
    const json_t *filters = json_object_get(root, "filters");
    if (json_array_size(filters)) ret->filters = read_json(filters, arena);
    ret->bindings = read_json(json_object_get(root, "bindings"), arena);
    gr_exec_definition_seal(ret, arena);
    return ret->node.n > 0;
}

/* ---- from a request ------------------------------------------------------------------------------------------------
 */

/* A measure is kept by its name; by another way of joins it is another number. */
static gr_status check_measure_paths(const gr_query *q, gr_error *err) {
    for (size_t i = 0; i < q->n_measures; i++) {
        const gr_field *f = &q->measures[i];
        if (f->path.n < 2) continue;
        gr_error_set(err, GR_ERR_QUERY_INVALID,
                     "'" GR_FMT "' is reached by a join path of its view, and what is stored is "
                     "kept by measure",
                     GR_ARG(f->id));
        gr_error_hint(err, "name the measure of the cube, " GR_FMT ", if that is what is meant", GR_ARG(f->member->id));
        return GR_ERR_QUERY_INVALID;
    }
    return GR_OK;
}

gr_status gr_exec_definitions_of(const gr_plan_index *index, const gr_query *q, gr_str external, gr_arena *arena,
                                 gr_exec_definitions *ret, gr_error *err) {
    gr_groups facts = {0};
    GR_TRY(gr_plan_facts(index, q, arena, &facts, err));
    for (size_t i = 0; i < facts.n; i++) {
        const gr_group *fact = &facts.v[i];
        gr_exec_definition d = {.node = fact->tree.nodes[0].cube->name, .external = external};
        for (size_t k = 0; k < q->n_measures; k++)
            add_measure(index, q->measures[k].member, &fact->components, &d.measures, arena, 0);
        for (size_t k = 0; k < q->n_dimensions; k++)
            add_name(&d.dimensions, name_of_field(&q->dimensions[k], NULL, arena), arena);
        for (size_t k = 0; k < q->n_time_dimensions; k++)
            add_name(&d.dimensions,
                     name_of_field(&q->time_dimensions[k].field, q->time_dimensions[k].granularity, arena), arena);
        d.filters = gr_query_filters_text(q, arena);
        if (!gr_tz_is_utc(q->tz)) d.time_zone = gr_tz_name(q->tz);
        GR_TRY(check_measure_paths(q, err));
        if (q->n_measures && !d.measures.n) continue; /* nothing of it is ever stored */
        gr_exec_definition_seal(&d, arena);
        GR_PUSH(arena, ret, d);
    }
    return GR_OK;
}

void gr_exec_definitions_merge(gr_exec_definitions *all, const gr_exec_definition *more, gr_arena *arena,
                               size_t *ret_at) {
    size_t at = 0;
    while (at < all->n && !gr_str_eq(all->v[at].key, more->key)) at++;
    if (at == all->n) {
        GR_PUSH(arena, all, *more);
    } else if (more->bindings.n) { /* registered again: the bindings are of all that is registered of it */
        gr_exec_definition both = *more;
        both.was = all->v[at].was;
        both.measures = (gr_names){0};
        for (size_t i = 0; i < more->measures.n; i++) add_name(&both.measures, more->measures.v[i], arena);
        for (size_t i = 0; i < all->v[at].measures.n; i++) add_name(&both.measures, all->v[at].measures.v[i], arena);
        gr_exec_definition_seal(&both, arena);
        all->v[at] = both;
    } else {
        for (size_t i = 0; i < more->measures.n; i++) add_name(&all->v[at].measures, more->measures.v[i], arena);
        gr_exec_definition_seal(&all->v[at], arena);
    }
    if (ret_at) *ret_at = at;
}

gr_str gr_exec_definitions_key(const gr_exec_definitions *all, gr_arena *arena) {
    gr_buf out;
    gr_buf_init(&out, 64 << 20);
    for (size_t i = 0; i < all->n; i++) gr_buf_printf(&out, GR_FMT "\n", GR_ARG(all->v[i].text));
    gr_str key = gr_digest_md5_hex(gr_buf_str(&out), arena);
    gr_buf_done(&out);
    return key;
}

/* ---- to a pre-aggregation ------------------------------------------------------------------------------------------
 */

static gr_member_ref ref_of(const gr_field *f, const gr_granularity *g) {
    return (gr_member_ref){.member = f->member, .granularity = g, .path = f->path.n > 1 ? f->path : (gr_path){0}};
}

/* A measure that is gone takes nothing else with it: what there still is goes on, and when it comes back it is there
 * again, for the text keeps it. */
static void take_known_measures(const gr_model *model, const gr_names *all, gr_names *out, gr_arena *arena) {
    const gr_member *m;
    for (size_t i = 0; i < all->n; i++)
        if (!gr_model_member(model, all->v[i], &m, NULL) && m->kind == GR_MEMBER_MEASURE)
            GR_PUSH(arena, out, all->v[i]);
}

bool gr_exec_definition_resolve(const gr_model *model, const gr_exec_definition *d, gr_arena *arena,
                                gr_preagg_def *ret) {
    json_t *filters = NULL;
    gr_query *q;
    gr_names measures_left = {0};
    if (d->filters.n && gr_json_parse(d->filters, 4 << 20, arena, &filters, NULL)) return false;
    take_known_measures(model, &d->measures, &measures_left, arena);
    if (d->measures.n && !measures_left.n) return false;
    gr_metrics_ask ask = {measures_left.v, d->dimensions.v, measures_left.n, d->dimensions.n, filters, d->time_zone};
    const gr_cube *cube = gr_model_cube(model, d->node);
    if (!cube || cube->is_view || gr_query_of_metrics(model, &ask, arena, &q, NULL)) return false;
    gr_member_ref *measures = GR_NEW_N(arena, gr_member_ref, q->n_measures + 1),
                  *dimensions = GR_NEW_N(arena, gr_member_ref, q->n_dimensions + 1),
                  *times = GR_NEW_N(arena, gr_member_ref, q->n_time_dimensions + 1);
    for (size_t i = 0; i < q->n_measures; i++) measures[i] = ref_of(&q->measures[i], NULL);
    for (size_t i = 0; i < q->n_dimensions; i++) dimensions[i] = ref_of(&q->dimensions[i], NULL);
    for (size_t i = 0; i < q->n_time_dimensions; i++)
        times[i] = ref_of(&q->time_dimensions[i].field, q->time_dimensions[i].granularity);
    *ret = (gr_preagg_def){.name = gr_arena_printf(arena, "preagg_" GR_FMT, GR_ARG(gr_str_sub(d->key, 0, 8))),
                           .cube = cube,
                           .measures = measures,
                           .n_measures = q->n_measures,
                           .dimensions = dimensions,
                           .n_dimensions = q->n_dimensions,
                           .time_dimensions = times,
                           .n_time_dimensions = q->n_time_dimensions,
                           .filters = gr_query_filters_text(q, arena),
                           .external = d->external,
                           .time_zone = d->time_zone};
    return true;
}
