/* Rollups as entities of the catalog: what makes two of them the same, and two builds hold the same values.
 *
 *      grain hash        the entity: grain, filters, zone, … (decisions 16)
 *      base hash         its rows: the load of its columns alone, and where it reads
 *      signatures        its components: the load of each alone (gr_rollup_part)
 *      structure hash    all of the table: names it
 *
 * Invariant: equal signatures mean equal stored values, whatever else is stored beside them. */
#include "exec/internal.h"

#include "base/buf.h"
#include "catalog/hashes.h"
#include "data/digest.h"
#include "data/json.h"

#include <math.h>

/* Behind the text of a load: what it says by parameter or reads from outside of the model. */
static gr_str with_extras(const gr_exec *exec, const gr_rollup *r, gr_str text, gr_arena *arena) {
    const gr_source_config *source = gr_config_source(exec->config, r->tree.nodes[0].cube->data_source);
    gr_str store = gr_store_name(r, arena);
    gr_str all = gr_arena_printf(arena, "1\n" GR_FMT "\n" GR_FMT "\n" GR_FMT, GR_ARG(text),
                                 GR_ARG(source ? source->path : GR_STR("")), GR_ARG(store));
    /* Of two rollups of one grain, the order of definition decides which has its joins in its identity. */
    if (r->joins.n) all = gr_arena_printf(arena, GR_FMT "\n" GR_FMT, GR_ARG(all), GR_ARG(r->joins));
    if (r->n_filters) all = gr_arena_printf(arena, GR_FMT "\n" GR_FMT, GR_ARG(all), GR_ARG(r->filters_text));
    if (r->ranged)
        all = gr_arena_printf(arena, GR_FMT "\n" GR_FMT "\n" GR_FMT, GR_ARG(all), GR_ARG(r->range_start),
                              GR_ARG(r->range_end));
    return all;
}

static gr_status part_hash(const gr_exec *exec, const gr_snapshot *snapshot, const gr_rollup *r, size_t component,
                           const gr_tz *zone, gr_arena *arena, gr_str *ret, gr_error *err) {
    gr_sql load;
    const gr_rollup *part = gr_rollup_part(snapshot->index, r, component, arena);
    GR_TRY(gr_sql_load(snapshot, part, zone, (gr_sql_load_options){0}, &gr_sql_places_embedded, arena, &load, err));
    *ret = gr_digest_md5_hex(with_extras(exec, r, load.text, arena), arena);
    return GR_OK;
}

/* ---- how a component is shown --------------------------------------------------------------------------------------
 */

typedef struct aggregation {
    const char *name, *merge, *rule; /* as DJ calls them; name NULL: the raw values are counted */
} aggregation;

static const aggregation aggregations[GR_AGG__COUNT] = {
    [GR_AGG_COUNT] = {"COUNT", "SUM", "full"},
    [GR_AGG_SUM] = {"SUM", "SUM", "full"},
    [GR_AGG_MIN] = {"MIN", "MIN", "full"},
    [GR_AGG_MAX] = {"MAX", "MAX", "full"},
    [GR_AGG_COUNT_DISTINCT] = {NULL, NULL, "limited"},
    [GR_AGG_COUNT_DISTINCT_APPROX] = {"hll_sketch_agg", "hll_union", "full"},
    [GR_AGG_M2] = {"M2", "M2", "full"},
    [GR_AGG_OPAQUE] = {"OPAQUE", NULL, "none"},
    [GR_AGG_STAGE] = {"STAGE", NULL, "none"},
};

gr_str gr_exec_aggregability(const gr_rollup *r) {
    gr_str worst = GR_STR("full");
    for (size_t i = 0; i < r->n_components; i++) {
        gr_str rule = gr_str_from(aggregations[r->components[i].component.agg].rule);
        if (gr_str_eq(rule, GR_STR("none"))) return rule;
        if (gr_str_eq(rule, GR_STR("limited"))) worst = rule;
    }
    return worst;
}

/* The text as it stands in the model, without the cube's own alias. */
static void put_text(gr_buf *out, gr_str sql) {
    static const gr_str own = GR_STR_INIT("{CUBE}.");
    for (size_t i = 0; i < sql.n;) {
        if (gr_str_starts(gr_str_sub(sql, i, sql.n - i), own)) {
            i += own.n;
            continue;
        }
        gr_buf_char(out, sql.p[i++]);
    }
}

static gr_str expression_of(const gr_member *m, gr_arena *arena) {
    gr_buf out;
    gr_buf_init(&out, 1 << 20);
    if (m->n_filters) gr_buf_z(&out, "CASE WHEN ");
    for (size_t i = 0; i < m->n_filters; i++) {
        gr_buf_z(&out, i ? " AND (" : "(");
        put_text(&out, m->filters[i]->source);
        gr_buf_char(&out, ')');
    }
    if (m->n_filters) gr_buf_z(&out, " THEN ");
    if (m->sql && m->sql->source.n)
        put_text(&out, m->sql->source);
    else
        gr_buf_z(&out, m->n_filters ? "1" : "*");
    if (m->n_filters) gr_buf_z(&out, " END");
    gr_str text = gr_arena_dup(arena, gr_str_trim(gr_buf_str(&out)));
    gr_buf_done(&out);
    return text;
}

/* What has to be the same in two of them to be merged, and how near they are to the true number (one standard error).
 */
static void put_sketch(gr_jw *w, const gr_component *c) {
    double error = 1.04 / sqrt(ldexp(1, c->log2m));
    gr_jw_key(w, GR_STR("sketch"));
    gr_jw_object(w);
    gr_jw_key_str(w, "family", c->is_state ? GR_STR("uniqCombined") : GR_STR("hll"));
    gr_jw_key_i64(w, "log2m", c->log2m);
    gr_jw_key(w, GR_STR("relative_error"));
    gr_jw_f64(w, rint(error * 1e5) / 1e5);
    gr_jw_object_end(w);
}

static gr_str details_of(const gr_rollup_component *c, gr_str expression, gr_str hash, gr_arena *arena) {
    const aggregation *a = &aggregations[c->component.agg];
    gr_buf out;
    gr_jw w;
    gr_buf_init(&out, 1 << 20);
    gr_jw_init(&w, &out);
    gr_jw_object(&w);
    gr_jw_key_str(&w, "name", c->name);
    gr_jw_key_str(&w, "measure", c->component.measure->id);
    gr_jw_key_str(&w, "expression", expression);
    gr_jw_key(&w, GR_STR("aggregation"));
    a->name ? gr_jw_str(&w, gr_str_from(a->name)) : gr_jw_null(&w);
    gr_jw_key(&w, GR_STR("merge"));
    a->merge ? gr_jw_str(&w, gr_str_from(a->merge)) : gr_jw_null(&w);
    gr_jw_key(&w, GR_STR("rule"));
    gr_jw_object(&w);
    gr_jw_key_str(&w, "type", gr_str_from(a->rule));
    gr_jw_key(&w, GR_STR("level"));
    gr_jw_array(&w);
    if (gr_str_eq_z(GR_STR("limited"), a->rule)) gr_jw_str(&w, expression);
    gr_jw_array_end(&w);
    gr_jw_object_end(&w);
    if (c->component.agg == GR_AGG_COUNT_DISTINCT_APPROX) put_sketch(&w, &c->component);
    gr_jw_key_str(&w, "expr_hash", hash);
    gr_jw_object_end(&w);
    gr_str text = gr_arena_dup(arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

static gr_component_decl component_decl(const gr_rollup_component *c, gr_str signature, gr_arena *arena) {
    const aggregation *a = &aggregations[c->component.agg];
    gr_str expression = expression_of(c->component.measure, arena);
    gr_str hash = gr_catalog_expr_hash(expression, arena);
    return (gr_component_decl){
        .name = c->name,
        .signature = signature,
        .token = gr_arena_printf(arena, GR_FMT ":%s", GR_ARG(hash), a->name ? a->name : ""),
        .details = details_of(c, expression, hash, arena),
    };
}

/* ---- the whole -----------------------------------------------------------------------------------------------------
 */

gr_status gr_exec_identify(const gr_exec *exec, const gr_snapshot *snapshot, const gr_rollup *rollup, const gr_tz *zone,
                           gr_arena *arena, gr_exec_identity *ret, gr_error *err) {
    const gr_rollup *r = rollup->entity;
    gr_exec_identity id = {.grain_hash = gr_rollup_grain_hash(r, zone, arena), .n_components = r->n_components};
    GR_TRY(gr_sql_load(snapshot, r, zone, (gr_sql_load_options){0}, &gr_sql_places_embedded, arena, &id.load, err));
    id.structure_hash = gr_digest_md5_hex(with_extras(exec, r, id.load.text, arena), arena);
    GR_TRY(part_hash(exec, snapshot, r, SIZE_MAX, zone, arena, &id.base_hash, err));
    id.components = GR_NEW_N(arena, gr_component_decl, r->n_components + 1);
    for (size_t i = 0; i < r->n_components; i++) {
        gr_str signature;
        GR_TRY(part_hash(exec, snapshot, r, i, zone, arena, &signature, err));
        id.components[i] = component_decl(&r->components[i], signature, arena);
    }
    *ret = id;
    return GR_OK;
}

/* [{"name", "semantic_entity", "semantic_type"}] of the table. */
static gr_str columns_of(const gr_rollup *r, gr_arena *arena) {
    gr_buf out;
    gr_jw w;
    gr_buf_init(&out, 1 << 20);
    gr_jw_init(&w, &out);
    gr_jw_array(&w);
    for (size_t i = 0; i < r->n_columns + r->n_components; i++) {
        bool is_column = i < r->n_columns;
        const gr_rollup_column *c = is_column ? &r->columns[i] : NULL;
        const gr_rollup_component *m = is_column ? NULL : &r->components[i - r->n_columns];
        gr_str entity = is_column ? c->member->id : m->component.measure->id;
        if (is_column && c->granularity)
            entity = gr_arena_printf(arena, GR_FMT "." GR_FMT, GR_ARG(entity), GR_ARG(c->granularity->name));
        gr_jw_object(&w);
        gr_jw_key_str(&w, "name", is_column ? c->name : m->name);
        gr_jw_key_str(&w, "semantic_entity", entity);
        gr_jw_key_str(&w, "semantic_type", is_column ? GR_STR("dimension") : GR_STR("metric_component"));
        gr_jw_object_end(&w);
    }
    gr_jw_array_end(&w);
    gr_str text = gr_arena_dup(arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

gr_preagg_decl gr_exec_declaration(const gr_rollup *rollup, const gr_tz *zone, const gr_exec_identity *id,
                                   gr_arena *arena) {
    const gr_rollup *r = rollup->entity;
    return (gr_preagg_decl){
        .node = r->tree.nodes[0].cube->name,
        .grain_hash = id->grain_hash,
        .grain_columns = r->grain_columns,
        .filters = r->filters_text,
        .components = id->components,
        .n_components = id->n_components,
        .base_hash = id->base_hash,
        .structure_hash = id->structure_hash,
        .time_zone = r->depends_on_zone ? gr_tz_name(zone) : GR_STR(""),
        .store = gr_store_name(r, arena),
        .sql = id->load.text,
        .columns = columns_of(r, arena),
    };
}
