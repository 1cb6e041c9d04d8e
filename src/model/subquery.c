/* Sub query dimensions (cube.md 5.9): a measure of another cube, computed for each primary key of the own one.
 * Invariant: the SQL of one that is loaded is a single part, the measure; its cube has a key, and a way over joins to
 * the measure. No join and no key depends on one, because they are what it is computed and attached by. */
#include "model/loader.h"

#include "base/mem.h"

#include <stdlib.h>

/* The only hole of an expression that is nothing else; NULL when there is more or less. */
static gr_part *only_hole(const gr_expr *sql) {
    gr_part *found = NULL;
    for (size_t i = 0; i < sql->n_parts; i++) {
        gr_part *part = &sql->parts[i];
        if (part->kind == GR_PART_TEXT && gr_str_trim(part->text).n == 0) continue;
        if (part->kind == GR_PART_TEXT || found) return NULL;
        found = part;
    }
    return found;
}

static void report_form(gr_loader *l, const gr_binding *b, const char *hint) {
    gr_diag *d = gr_model_report(l, GR_ERR_MODEL_INVALID, b->expr->loc,
                                 "The SQL of the sub query dimension '" GR_FMT
                                 "' must be one measure of another cube, and nothing else",
                                 GR_ARG(b->draft->member.id));
    gr_model_hint(l, d, "%s", hint);
}

/* From the own cube to the measure's, by the way that is written or by any. */
static void check_way(gr_loader *l, const gr_binding *b, const gr_part *part) {
    const gr_cube *own = b->source->cube, *ends[] = {own, part->cube};
    gr_path path;
    size_t broken;
    gr_diag *d;
    if (part->n_path > 1 && part->path[0] != own) {
        d = gr_model_report(l, GR_ERR_MODEL_INVALID, part->loc,
                            "The path of the sub query dimension '" GR_FMT "' starts at '" GR_FMT "'",
                            GR_ARG(b->draft->member.id), GR_ARG(part->path[0]->name));
        gr_model_hint(l, d, "start at the own cube: {CUBE.…}");
    } else if (part->n_path <= 1 && !gr_model_expand_path(l, ends, 2, &path, &broken)) {
        d = gr_model_report(l, GR_ERR_MODEL_INVALID, part->loc,
                            "Can't find join path to join '" GR_FMT "', '" GR_FMT "'", GR_ARG(own->name),
                            GR_ARG(part->cube->name));
        gr_model_hint(l, d, "declare a join from '" GR_FMT "' to '" GR_FMT "'", GR_ARG(own->name),
                      GR_ARG(part->cube->name));
    }
}

void gr_model_check_sub_query(gr_loader *l, const gr_binding *b) {
    const gr_cube *own = b->source->cube;
    const gr_member *m = &b->draft->member;
    gr_part *part = only_hole(b->expr);
    if (!part || part->kind != GR_PART_MEMBER || part->member->kind != GR_MEMBER_MEASURE) {
        report_form(l, b,
                    "write sql: \"{other_cube.measure}\"; compute with it in a dimension that refers to this one");
        return;
    }
    if (part->cube == own) {
        report_form(l, b, "the measure is one of the cube itself; over its key that is the row itself");
        return;
    }
    check_way(l, b, part);
    if (m->is_primary_key) {
        gr_diag *d = gr_model_report(l, GR_ERR_MODEL_INVALID, m->loc,
                                     "The sub query dimension '" GR_FMT "' cannot be a primary key", GR_ARG(m->id));
        gr_model_hint(l, d, "it is computed for each primary key: make the key of columns");
    } else if (own->n_primary_keys == 0) {
        gr_diag *d =
            gr_model_report(l, GR_ERR_MODEL_INVALID, m->loc,
                            "primary key for '" GR_FMT "' is required for the sub query dimension '" GR_FMT "'",
                            GR_ARG(own->name), GR_ARG(m->id));
        gr_model_hint(l, d, "add primary_key: true to the dimension that identifies a row of '" GR_FMT "'",
                      GR_ARG(own->name));
    }
    b->expr->parts = part;
    b->expr->n_parts = 1;
}

/* ---- where it cannot be ----------------------------------------------------------------------------------------- */

static void check_join(gr_loader *l, const gr_join *join, const bool *marks) {
    for (size_t i = 0; i < join->sql->n_parts; i++) {
        const gr_part *part = &join->sql->parts[i];
        if (part->kind != GR_PART_MEMBER || !part->member || !marks[part->member->index]) continue;
        gr_diag *d = gr_model_report(l, GR_ERR_MODEL_UNSUPPORTED, part->loc,
                                     "the join of '" GR_FMT "' to '" GR_FMT
                                     "' depends on a sub query dimension, by way of '" GR_FMT "'",
                                     GR_ARG(join->from->name), GR_ARG(join->to->name), GR_ARG(part->member->id));
        gr_model_hint(l, d, "join by columns, or compute the value in the SQL of the cube");
    }
}

static void check_keys(gr_loader *l, const gr_cube *cube, const bool *marks) {
    for (size_t i = 0; i < cube->n_primary_keys; i++) {
        const gr_member *key = cube->primary_keys[i];
        if (!marks[key->index] || key->is_sub_query) continue; /* the second is reported already */
        l->is_inherited = gr_draft_of(key)->is_inherited;
        gr_diag *d = gr_model_report(l, GR_ERR_MODEL_INVALID, key->sql ? key->sql->loc : key->loc,
                                     "The primary key '" GR_FMT "' depends on a sub query dimension", GR_ARG(key->id));
        gr_model_hint(l, d, "that is computed for each primary key: make the key of columns");
        l->is_inherited = false;
    }
}

void gr_model_check_sub_query_uses(gr_loader *l) {
    const gr_model *model = l->model;
    bool *marks = gr_mem_calloc(model->n_members + 1, sizeof *marks), is_any = false;
    for (size_t i = 0; i < model->n_members; i++) {
        marks[i] = gr_member_base(l->members[i])->is_sub_query;
        is_any = is_any || marks[i];
    }
    if (is_any) gr_model_spread(l, marks);
    for (size_t i = 0; is_any && i < l->bindings.n; i++) {
        const gr_binding *b = &l->bindings.v[i];
        l->at = b->source;
        l->is_inherited = b->is_inherited;
        if (b->join) check_join(l, b->join, marks);
    }
    l->is_inherited = false;
    for (size_t i = 0; is_any && i < l->order.n; i++) {
        l->at = l->order.v[i];
        check_keys(l, l->at->cube, marks);
    }
    l->at = NULL;
    free(marks);
}
