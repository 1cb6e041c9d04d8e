/* Names of a loaded model: cubes, members by id. Reads only. */
#include "model/model.h"

#include "base/mem.h"

#include <stdlib.h>

gr_cube *gr_model_cube(const gr_model *model, gr_str name) { return gr_map_get(&model->by_name, name); }

static void hint_nearest(gr_error *err, gr_str prefix, gr_str name, const gr_map *map) {
    if (!err || map->n == 0) return;
    gr_str *names = gr_mem_calloc(map->n, sizeof *names);
    for (size_t i = 0; i < map->n; i++) names[i] = map->entries[i].key;
    gr_str near = gr_diags_nearest(name, names, map->n);
    if (near.n) gr_error_hint(err, "Did you mean '" GR_FMT GR_FMT "'?", GR_ARG(prefix), GR_ARG(near));
    free(names);
}

gr_status gr_model_member(const gr_model *model, gr_str id, const gr_member **ret, gr_error *err) {
    size_t dot = gr_str_find(id, '.', 0);
    if (dot == SIZE_MAX) {
        gr_error_set(err, GR_ERR_QUERY_UNKNOWN_MEMBER, "'" GR_FMT "' is not a path of a member", GR_ARG(id));
        gr_error_hint(err, "A member is written 'cube.member'.");
        return GR_ERR_QUERY_UNKNOWN_MEMBER;
    }
    gr_str cube_name = gr_str_sub(id, 0, dot), name = gr_str_sub(id, dot + 1, id.n - dot - 1);
    const gr_cube *cube = gr_model_cube(model, cube_name);
    if (!cube) {
        gr_error_set(err, GR_ERR_QUERY_UNKNOWN_MEMBER, "Cube '" GR_FMT "' not found for path '" GR_FMT "'",
                     GR_ARG(cube_name), GR_ARG(id));
        hint_nearest(err, (gr_str){0}, cube_name, &model->by_name);
        return GR_ERR_QUERY_UNKNOWN_MEMBER;
    }
    const gr_member *member = gr_map_get(&cube->members, name);
    if (!member) {
        gr_error_set(err, GR_ERR_QUERY_UNKNOWN_MEMBER, "'" GR_FMT "' not found for path '" GR_FMT "'", GR_ARG(name),
                     GR_ARG(id));
        hint_nearest(err, gr_str_sub(id, 0, dot + 1), name, &cube->members);
        return GR_ERR_QUERY_UNKNOWN_MEMBER;
    }
    *ret = member;
    return GR_OK;
}
