/* Import of materialization blobs: each becomes the entity that its names mean in the model in service. Two cubes with
 * the same source and grain come to share one, which is what the blobs could not say (seed).
 *
 *      document ──read──> blobs ──match──> members ──draft──> one grain group ──add──> entity: imported | shared
 *                 `query.invalid   `──────────────────`────── skipped, with a problem */
#include "serve/import.h"
#include "serve/entity.h"

typedef struct importing {
    gr_serve *serve;
    gr_actor actor;
    gr_arena *scratch; /* of one blob */
    gr_arena *arena;
    gr_error *err;
} importing;

static void skip(const importing *im, gr_import_line *line, gr_str problem) {
    line->result = GR_STR("skipped");
    line->problem = gr_arena_dup(im->arena, problem);
}

/* What only a part could be stored of is not stored: the blob was one table over one source. */
static gr_str find_problem(const importing *im, const gr_entity_draft *draft, const gr_entity_plan *plan,
                           const gr_import_match *match) {
    if (plan->n_warnings) return plan->warnings[0].message;
    if (!draft->definitions.n) return GR_STR("nothing of it is ever stored");
    for (size_t i = 0; i < draft->definitions.n; i++) {
        gr_str node = draft->definitions.v[i].node;
        if (plan->groups[i].problem.n) return plan->groups[i].problem;
        if (!gr_str_eq(node, match->node))
            return gr_arena_printf(im->scratch,
                                   "it has a measure that is computed over '" GR_FMT "' and not '" GR_FMT "'",
                                   GR_ARG(node), GR_ARG(match->node));
    }
    return (gr_str){0};
}

static gr_status record(const importing *im, gr_entity_draft *draft, const gr_import_match *match,
                        gr_import_line *line) {
    gr_catalog *catalog = gr_exec_catalog(im->serve->exec);
    gr_entity_plan plan;
    gr_entity_view *views;
    gr_preagg_decl *decls;
    gr_preagg_row *rows;
    bool *is_created = GR_NEW_N(im->scratch, bool, draft->definitions.n + 1);
    GR_TRY(gr_serve_draft_show(im->serve, draft, im->scratch, &plan, im->err));
    gr_str problem = find_problem(im, draft, &plan, match);
    if (problem.n) {
        skip(im, line, problem);
        return GR_OK;
    }
    GR_TRY(gr_serve_draft_decls(draft, im->scratch, &decls, im->err));
    GR_TRY(
        gr_catalog_add(catalog, decls, draft->definitions.n, NULL, im->actor, im->scratch, &rows, is_created, im->err));
    GR_TRY(gr_serve_draft_commit(im->serve, draft, rows, im->scratch, &plan, &views, im->err));
    line->entity_id = rows[0].id;
    line->result = is_created[0] ? GR_STR("imported") : GR_STR("shared");
    return GR_OK;
}

static gr_status draft_and_record(const importing *im, const gr_import_match *match, gr_import_line *line) {
    gr_entity_draft draft;
    GR_TRY(gr_serve_draft(im->serve, &match->ask, (gr_str){0}, NULL, im->scratch, &draft, im->err));
    gr_status status = record(im, &draft, match, line);
    gr_serve_draft_done(&draft);
    return status;
}

static gr_import_match match_now(const importing *im, const gr_import_blob *blob) {
    const gr_snapshot *snapshot = gr_serve_snapshot_ref(im->serve);
    gr_import_match match = gr_serve_import_match(snapshot->model, snapshot->index, blob, im->scratch);
    gr_serve_snapshot_unref(snapshot);
    return match;
}

/* What is wrong with the blob skips it; what is wrong with the server ends the import. */
static gr_status import_one(const importing *im, const gr_import_blob *blob, gr_import_line *line) {
    *line = (gr_import_line){.cube = gr_arena_dup(im->arena, blob->cube),
                             .source_node = gr_arena_dup(im->arena, blob->source_node)};
    gr_import_match match = {.problem = blob->problem};
    if (!match.problem.n) match = match_now(im, blob);
    if (match.problem.n) {
        skip(im, line, match.problem);
        return GR_OK;
    }
    gr_error own = {0};
    importing inner = *im;
    inner.err = &own;
    gr_status status = draft_and_record(&inner, &match, line);
    if (!status) return GR_OK;
    if (gr_error_info_of(status)->is_user) {
        skip(im, line, gr_str_from(own.message));
        return GR_OK;
    }
    if (im->err) *im->err = own;
    return status;
}

gr_status gr_serve_import_materializations(gr_serve *serve, const json_t *document, gr_actor actor, gr_arena *arena,
                                           gr_import_line **ret, size_t *ret_n, gr_error *err) {
    gr_import_blob *blobs;
    size_t n;
    importing im = {.serve = serve, .actor = actor, .arena = arena, .err = err};
    GR_TRY(gr_serve_import_read(document, arena, &blobs, &n, err));
    gr_import_line *lines = GR_NEW_N(arena, gr_import_line, n + 1);
    gr_status status = GR_OK;
    im.scratch = gr_arena_new();
    for (size_t i = 0; i < n && !status; i++) {
        status = import_one(&im, &blobs[i], &lines[i]);
        gr_arena_reset(im.scratch);
    }
    gr_arena_free(im.scratch);
    if (status) return status;
    *ret = lines;
    *ret_n = n;
    return GR_OK;
}
