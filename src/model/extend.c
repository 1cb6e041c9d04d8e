/* A model with more pre-aggregations than its files hold: those that are defined by API.
 *
 *      loaded      cubes, members, pre-aggregations 0 … n-1
 *      extended    the same cubes and members; pre-aggregations 0 … n-1, and n … of the defs
 *
 * Invariant: what was loaded is not written to; an index of pre-aggregations means the same in both. */
#include "model/loader.h"

static void release(void *loaded) { gr_model_unref(loaded); }

static gr_member_ref *copy_refs(const gr_member_ref *refs, size_t n, gr_arena *arena) {
    gr_member_ref *copy = GR_NEW_N(arena, gr_member_ref, n + 1);
    for (size_t i = 0; i < n; i++) {
        copy[i] = refs[i];
        copy[i].path.cubes = GR_NEW_N(arena, const gr_cube *, refs[i].path.n + 1);
        for (size_t k = 0; k < refs[i].path.n; k++) copy[i].path.cubes[k] = refs[i].path.cubes[k];
    }
    return copy;
}

static gr_preagg *make(const gr_preagg_def *def, gr_arena *arena) {
    gr_preagg *p = GR_NEW(arena, gr_preagg);
    *p = (gr_preagg){.name = gr_arena_dup(arena, def->name),
                     .cube = def->cube,
                     .type = GR_PREAGG_ROLLUP,
                     .build = GR_BUILD_EXPLICIT,
                     .measures = copy_refs(def->measures, def->n_measures, arena),
                     .n_measures = def->n_measures,
                     .dimensions = copy_refs(def->dimensions, def->n_dimensions, arena),
                     .n_dimensions = def->n_dimensions,
                     .time_dimensions = copy_refs(def->time_dimensions, def->n_time_dimensions, arena),
                     .n_time_dimensions = def->n_time_dimensions,
                     .filters_json = gr_arena_dup(arena, def->filters),
                     .is_by_api = true,
                     .external = gr_arena_dup(arena, def->external),
                     .time_zone = gr_arena_dup(arena, def->time_zone),
                     .is_external = -1,
                     .is_non_strict = -1};
    p->id = gr_arena_printf(arena, GR_FMT "." GR_FMT, GR_ARG(def->cube->name), GR_ARG(p->name));
    p->alias = p->name;
    return p;
}

gr_model *gr_model_extend(gr_model *loaded, const gr_preagg_def *defs, size_t n) {
    gr_model *base = loaded->files ? loaded->files : loaded;
    gr_arena *arena = gr_arena_new();
    gr_model *model = gr_model_new(arena);
    *model = *base;
    model->arena = arena;
    model->files = gr_model_ref(base);
    gr_arena_defer(arena, release, base);
    model->preaggs = GR_NEW_N(arena, gr_preagg *, base->n_preaggs + n + 1);
    for (size_t i = 0; i < base->n_preaggs; i++) model->preaggs[i] = base->preaggs[i];
    for (size_t i = 0; i < n; i++) {
        gr_preagg *p = make(&defs[i], arena);
        p->index = (uint32_t)model->n_preaggs;
        model->preaggs[model->n_preaggs++] = p;
    }
    return model;
}
