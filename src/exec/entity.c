/* Rollups as entities of the catalog: identity, structure hash, declaration, coverage of a build. */
#include "exec/internal.h"

#include "data/digest.h"

#include "base/buf.h"
#include "data/json.h"

/* Everything that the content of the table depends on: the load's text (model, zone, types, grain) and where it reads.
 */
gr_status gr_exec_identify(const gr_exec *exec, const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone,
                           gr_arena *arena, gr_exec_identity *ret, gr_error *err) {
    const gr_rollup *r = rollup->entity;
    GR_TRY(gr_sql_load(snapshot, r, zone, (gr_sql_load_options){0}, exec->dialect, arena, &ret->load, err));
    const gr_source_config *source = gr_config_source(exec->config, r->tree.nodes[0].cube->data_source);
    gr_str store = gr_store_name(r, arena);
    gr_str all = gr_arena_printf(arena, "1\n" GR_FMT "\n" GR_FMT "\n" GR_FMT, GR_ARG(ret->load.text),
                                 GR_ARG(source ? source->path : GR_STR("")), GR_ARG(store));
    /* Of two rollups of one grain, the order of definition decides which has its joins in its identity. */
    if (r->joins.n) all = gr_arena_printf(arena, GR_FMT "\n" GR_FMT, GR_ARG(all), GR_ARG(r->joins));
    if (r->n_filters) all = gr_arena_printf(arena, GR_FMT "\n" GR_FMT, GR_ARG(all), GR_ARG(r->filters_text));
    if (r->ranged)
        all = gr_arena_printf(arena, GR_FMT "\n" GR_FMT "\n" GR_FMT, GR_ARG(all), GR_ARG(r->range_start),
                              GR_ARG(r->range_end));
    ret->structure_hash = gr_digest_md5_hex(all, arena);
    ret->grain_hash = gr_rollup_grain_hash(r, zone, arena);
    ret->load_text = ret->load.text;
    return GR_OK;
}

gr_preagg_decl gr_exec_declaration(const gr_rollup *rollup, const gr_tz *zone, const gr_exec_identity *identity,
                                   gr_arena *arena) {
    const gr_rollup *r = rollup->entity;
    gr_buf list;
    gr_buf_init(&list, 1 << 20);
    gr_buf_char(&list, '[');
    for (size_t i = 0; i < r->n_components; i++)
        gr_buf_printf(&list, "%s\"" GR_FMT "\"", i ? ", " : "", GR_ARG(r->components[i].name));
    gr_buf_char(&list, ']');
    gr_str measures = gr_arena_dup(arena, gr_buf_str(&list));
    gr_buf_done(&list);
    return (gr_preagg_decl){
        .node = r->tree.nodes[0].cube->name,
        .node_version = GR_STR("v1.0"),
        .grain_hash = identity->grain_hash,
        .grain_columns = r->grain_columns,
        .measures = measures,
        .declared_by = rollup->preagg->id,
        .time_zone = r->depends_on_zone ? gr_tz_name(zone) : GR_STR(""),
        .structure_hash = identity->structure_hash,
        .store = gr_store_name(r, arena),
    };
}

/* Instant columns by name: first and last bucket. "build range", which no column is called: what is stored of the
 * ranged column, null where there is no bound. */
static const char build_range[] = "build range";

static void write_bound(gr_jw *w, int64_t us) {
    if (us == INT64_MIN || us == INT64_MAX)
        gr_jw_null(w);
    else
        gr_jw_i64(w, us);
}

gr_str gr_exec_coverage_write(const gr_rollup *r, const gr_store_stat *stat, const gr_range *range, gr_arena *arena) {
    gr_buf out;
    gr_buf_init(&out, 1 << 20);
    gr_jw w;
    gr_jw_init(&w, &out);
    gr_jw_object(&w);
    for (size_t i = 0; i < r->n_columns; i++) {
        if (!r->columns[i].is_instant) continue;
        gr_jw_key(&w, r->columns[i].name);
        gr_jw_array(&w);
        gr_jw_i64(&w, stat->min_us[i]);
        gr_jw_i64(&w, stat->max_us[i]);
        gr_jw_array_end(&w);
    }
    if (range) {
        gr_jw_key(&w, gr_str_from(build_range));
        gr_jw_array(&w);
        write_bound(&w, r->ranged->is_instant ? range->from_utc_us : range->from_local_us);
        write_bound(&w, r->ranged->is_instant ? range->to_utc_us : range->to_local_us);
        gr_jw_array_end(&w);
    }
    gr_jw_object_end(&w);
    gr_str text = gr_arena_dup(arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

static int64_t read_bound(const json_t *pair, size_t at, int64_t none) {
    const json_t *bound = json_array_get(pair, at);
    return json_is_integer(bound) ? json_integer_value(bound) : none;
}

void gr_exec_coverage_read(const gr_rollup *r, gr_str json, gr_arena *arena, gr_rollup_state *state) {
    json_t *root;
    state->has_range = r->ranged != NULL; /* nothing, until it is read what */
    if (gr_json_parse(json, 1 << 20, arena, &root, NULL) || !json_is_object(root)) return;
    int64_t *min = GR_NEW_N(arena, int64_t, r->n_columns + 1), *max = GR_NEW_N(arena, int64_t, r->n_columns + 1);
    for (size_t i = 0; i < r->n_columns; i++) {
        if (!r->columns[i].is_instant) continue;
        json_t *pair = json_object_getn(root, r->columns[i].name.p, r->columns[i].name.n);
        if (!json_is_array(pair) || json_array_size(pair) != 2) return; /* unknown coverage proves nothing */
        min[i] = json_integer_value(json_array_get(pair, 0));
        max[i] = json_integer_value(json_array_get(pair, 1));
    }
    state->min_us = min;
    state->max_us = max;
    const json_t *range = json_object_get(root, build_range);
    if (!json_is_array(range)) return;
    state->range_from_us = read_bound(range, 0, INT64_MIN);
    state->range_to_us = read_bound(range, 1, INT64_MAX);
}
