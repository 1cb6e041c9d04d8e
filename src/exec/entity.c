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
    GR_TRY(gr_sql_load(snapshot, r, zone, NULL, 0, exec->dialect, arena, &ret->load, err));
    const gr_source_config *source = gr_config_source(exec->config, r->tree.nodes[0].cube->data_source);
    gr_str store = gr_store_name(r, arena);
    gr_str all = gr_arena_printf(arena, "1\n" GR_FMT "\n" GR_FMT "\n" GR_FMT, GR_ARG(ret->load.text),
                                 GR_ARG(source ? source->path : GR_STR("")), GR_ARG(store));
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

gr_str gr_exec_coverage_write(const gr_rollup *r, const gr_store_stat *stat, gr_arena *arena) {
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
    gr_jw_object_end(&w);
    gr_str text = gr_arena_dup(arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

void gr_exec_coverage_read(const gr_rollup *r, gr_str json, gr_arena *arena, gr_rollup_state *state) {
    json_t *root;
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
}
