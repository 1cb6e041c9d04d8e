/* Names become pointers: holes of expressions, drill members, levels of hierarchies. What an expression may refer to
 * depends on its role, and that is checked here, hole by hole.
 * Invariant: in a model without errors every hole has its cube, and a MEMBER hole its member. */
#include "model/loader.h"

/* ---- what a name means ------------------------------------------------------------------------------------------ */

typedef struct walk_state {
    const gr_cube *cubes[40]; /* more than a reference has names */
    size_t n;
    bool is_own; /* starts at CUBE, or at a member of the owner */
} walk_state;

static void report_unresolved(gr_loader *l, const gr_part *part, const gr_cube *cube, gr_str name) {
    gr_diag *d = gr_model_report(l, GR_ERR_MODEL_UNRESOLVED, part->loc,
                                 GR_FMT "." GR_FMT " cannot be resolved. There's no such member or cube.",
                                 GR_ARG(cube->name), GR_ARG(name));
    gr_model_hint_nearest(l, d, name, &cube->members);
}

static void report_undefined(gr_loader *l, const gr_part *part, const gr_cube *owner, gr_str name) {
    gr_diag *d = gr_model_report(l, GR_ERR_MODEL_UNRESOLVED, part->loc, GR_FMT " is not defined", GR_ARG(name));
    if (gr_map_get(&l->model->by_name, name)) {
        gr_model_hint(l, d, "'" GR_FMT "' is a cube: name a member of it", GR_ARG(name));
        return;
    }
    gr_model_hint_nearest(l, d, name, &owner->members);
    if (!d->hint.n) gr_model_hint_nearest(l, d, name, &l->model->by_name);
    if (!d->hint.n && part->n_names == 1)
        gr_model_hint(l, d, "for a column of the table, write {CUBE}." GR_FMT, GR_ARG(name));
}

static bool check_granularity(gr_loader *l, const gr_part *part, gr_target *t, gr_str name) {
    t->granularity = gr_member_granularity(t->member, name);
    if (t->granularity) return true;
    gr_diag *d = gr_model_report(l, GR_ERR_MODEL_UNRESOLVED, part->loc,
                                 "Granularity \"" GR_FMT "\" does not exist in dimension " GR_FMT, GR_ARG(name),
                                 GR_ARG(t->member->id));
    gr_map names;
    gr_map_init(&names, l->scratch);
    for (int g = GR_GRAIN_SECOND; g < GR_GRAIN_CUSTOM; g++) gr_map_put(&names, gr_grain_name((gr_grain)g), l);
    for (size_t i = 0; i < t->member->n_granularities; i++) gr_map_put(&names, t->member->granularities[i].name, l);
    gr_model_hint_nearest(l, d, name, &names);
    return false;
}

/* The join path that was walked; a foreign cube named alone is searched for at plan time. */
static bool set_path(gr_loader *l, const gr_part *part, const walk_state *w, gr_target *t) {
    size_t broken;
    if (gr_model_expand_path(l, w->cubes, w->n, &t->path, &broken)) return true;
    gr_diag *d =
        gr_model_report(l, GR_ERR_MODEL_JOIN, part->loc, "Can't find join path to join '" GR_FMT "', '" GR_FMT "'",
                        GR_ARG(w->cubes[broken - 1]->name), GR_ARG(w->cubes[broken]->name));
    gr_model_hint(l, d, "declare a join from '" GR_FMT "' to '" GR_FMT "'", GR_ARG(w->cubes[broken - 1]->name),
                  GR_ARG(w->cubes[broken]->name));
    return false;
}

static bool is_time(const gr_member *m) { return m->kind == GR_MEMBER_DIMENSION && m->dim_type == GR_DIM_TIME; }

/* A member wins over a cube of its name when the rest of the reference fits it. */
static bool takes_member(const gr_member *m, size_t rest) { return m && (rest == 0 || (rest == 1 && is_time(m))); }

/* Names from `i` on, seen from the last cube of `w`. */
static gr_target walk(gr_loader *l, const gr_part *part, size_t i, walk_state *w) {
    const gr_target none = {.kind = GR_TARGET_NONE};
    gr_target t = {.kind = GR_TARGET_CUBE, .cube = w->cubes[w->n - 1]};
    for (; i < part->n_names && !t.member; i++) {
        gr_str name = part->names[i];
        const gr_member *m = gr_map_get(&t.cube->members, name);
        const gr_cube *next = gr_map_get(&l->model->by_name, name);
        if (takes_member(m, part->n_names - i - 1)) {
            t.kind = GR_TARGET_MEMBER;
            t.member = m;
        } else if (next && !next->is_view) {
            w->cubes[w->n++] = t.cube = next;
        } else if (m) {
            /* The member is there, and has no parts. */
            report_unresolved(l, part, t.cube, gr_str_sub(name, 0, (size_t)(part->text.p + part->text.n - name.p)));
            return none;
        } else {
            report_unresolved(l, part, t.cube, name);
            return none;
        }
    }
    if (i < part->n_names && !check_granularity(l, part, &t, part->names[i])) return none;
    return set_path(l, part, w, &t) ? t : none;
}

gr_target gr_model_resolve(gr_loader *l, const gr_cube *owner, const gr_part *part, bool is_ref) {
    const gr_target none = {.kind = GR_TARGET_NONE};
    gr_str first = part->names[0];
    const gr_cube *cube = gr_map_get(&l->model->by_name, first);
    const gr_member *own = gr_map_get(&owner->members, first);
    bool is_current = gr_str_eq_z(first, "CUBE") || gr_str_eq_z(first, "TABLE") || cube == owner;
    walk_state w = {.n = 1};
    w.cubes[0] = owner;
    if (!is_current && (own ? cube && cube->is_view : is_ref && part->n_names == 1)) cube = NULL;
    bool is_member = own && !is_current && (!cube || (is_ref && takes_member(own, part->n_names - 1)));
    if (is_member) return walk(l, part, 0, &w);
    if (is_current && !(is_ref && part->n_names == 1 && own)) return walk(l, part, 1, &w);
    if (is_current) return walk(l, part, 0, &w);
    if (!cube) {
        report_undefined(l, part, owner, first);
        return none;
    }
    if (cube->is_view) {
        gr_diag *d =
            gr_model_report(l, GR_ERR_MODEL_INVALID, part->loc,
                            "'" GR_FMT "' is a view, and only cubes can be referred to here", GR_ARG(cube->name));
        gr_model_hint(l, d, "name the cube that the member comes from");
        return none;
    }
    w.cubes[0] = cube;
    return walk(l, part, 1, &w);
}

const gr_granularity *gr_member_granularity(const gr_member *member, gr_str name) {
    const gr_member *m = gr_member_base(member);
    if (!is_time(m)) return NULL;
    gr_grain grain = gr_grain_from_name(name);
    if (grain != GR_GRAIN_NONE) return gr_granularity_predefined(grain);
    for (size_t i = 0; i < m->n_granularities; i++)
        if (gr_str_eq(m->granularities[i].name, name)) return &m->granularities[i];
    return NULL;
}

/* ---- holes ------------------------------------------------------------------------------------------------------ */

/* {other.sql()}: the last name is the cube; a path before it says nothing more. */
static void bind_cube_sql(gr_loader *l, const gr_binding *b, gr_part *part) {
    gr_target t = gr_model_resolve(l, b->source->cube, part, false);
    if (t.kind == GR_TARGET_CUBE)
        part->cube = t.cube;
    else if (t.kind == GR_TARGET_MEMBER)
        gr_model_report(l, GR_ERR_MODEL_EXPRESSION, part->loc, "'" GR_FMT "' is a member, and sql() belongs to cubes",
                        GR_ARG(t.member->id));
}

static bool bind_part(gr_loader *l, const gr_binding *b, gr_part *part) {
    if (part->kind == GR_PART_CUBE_SQL) {
        bind_cube_sql(l, b, part);
        return part->cube != NULL;
    }
    gr_target t = gr_model_resolve(l, b->source->cube, part, false);
    if (t.kind == GR_TARGET_NONE) return false;
    part->kind = t.kind == GR_TARGET_CUBE ? GR_PART_TABLE : GR_PART_MEMBER;
    part->cube = t.cube;
    part->member = t.member;
    part->granularity = t.granularity;
    bool is_own = t.path.n == 1 && t.cube == b->source->cube;
    part->path = is_own ? NULL : t.path.cubes;
    part->n_path = is_own ? 0 : t.path.n;
    return true;
}

/* ---- roles ------------------------------------------------------------------------------------------------------ */

const char *gr_model_kind_name(gr_member_kind kind) {
    static const char *const names[] = {"dimension", "measure", "segment"};
    return names[kind];
}

static void report_nested(gr_loader *l, const gr_binding *b, const gr_part *part) {
    const gr_member *m = &b->draft->member;
    gr_diag *d = gr_model_report(l, GR_ERR_MODEL_NESTED_AGGREGATE, part->loc,
                                 "Measure '" GR_FMT "' aggregates over the measure '" GR_FMT "'", GR_ARG(m->id),
                                 GR_ARG(part->member->id));
    bool is_own = part->cube == b->source->cube;
    gr_model_hint(l, d, "for the column write {" GR_FMT "}." GR_FMT "; to compute with measures make it type: number",
                  GR_ARG(is_own ? GR_STR("CUBE") : part->cube->name), GR_ARG(part->member->name));
}

/* A measure where only rows can be looked at: dimensions, segments, filters of measures. */
static void report_measure(gr_loader *l, const gr_binding *b, const gr_part *part) {
    const gr_member *m = &b->draft->member;
    const char *what = b->role == GR_ROLE_MEASURE_FILTER ? "a filter of the measure" : gr_model_kind_name(m->kind);
    gr_diag *d =
        gr_model_report(l, GR_ERR_MODEL_INVALID, part->loc, "%s '" GR_FMT "' references the measure '" GR_FMT "'", what,
                        GR_ARG(m->id), GR_ARG(part->member->id));
    gr_model_hint(l, d,
                  m->kind == GR_MEMBER_DIMENSION
                      ? "a dimension has a value for each row; one that is a measure of another "
                        "cube for each row has sub_query: true"
                      : "refer to dimensions or to columns: {CUBE}.column");
}

static void check_member_role(gr_loader *l, const gr_binding *b, const gr_part *part) {
    if (b->role == GR_ROLE_SUB_QUERY) return; /* looked at as a whole */
    if (b->role == GR_ROLE_STAGE || b->role == GR_ROLE_STAGE_ORDER) {
        gr_model_check_stage_part(l, b, part);
        return;
    }
    if (part->kind != GR_PART_MEMBER || part->member->kind != GR_MEMBER_MEASURE) return;
    if (b->role != GR_ROLE_MEASURE)
        report_measure(l, b, part);
    else if (!b->draft->member.is_calculated)
        report_nested(l, b, part);
}

/* {b}.col in a member of a: the row of b is not there unless a member of b is asked for. */
static void check_foreign_tables(gr_loader *l, const gr_binding *b) {
    gr_buf names;
    gr_buf_init(&names, 400);
    gr_map seen;
    gr_map_init(&seen, l->scratch);
    for (size_t i = 0; i < b->expr->n_parts; i++) {
        const gr_part *p = &b->expr->parts[i];
        if (p->kind != GR_PART_TABLE || !p->cube || p->cube == b->source->cube) continue;
        if (!gr_map_put(&seen, p->cube->name, l)) continue;
        if (names.n) gr_buf_z(&names, ", ");
        gr_buf_add(&names, p->cube->name);
    }
    if (names.n) {
        gr_diag *d = gr_model_report(l, GR_ERR_MODEL_INVALID, b->expr->loc,
                                     "Member '" GR_FMT "' references foreign cubes: " GR_FMT
                                     ". Please split and move this definition to corresponding cubes.",
                                     GR_ARG(b->draft->member.id), GR_ARG(gr_buf_str(&names)));
        gr_model_hint(l, d, "refer to a member of the other cube instead: {" GR_FMT ".member}",
                      GR_ARG(seen.entries[0].key));
    }
    gr_buf_done(&names);
}

static void check_join_part(gr_loader *l, const gr_binding *b, const gr_part *part) {
    if (part->kind == GR_PART_CUBE_SQL) return;
    if (part->cube != b->join->from && part->cube != b->join->to) {
        gr_diag *d = gr_model_report(l, GR_ERR_MODEL_JOIN, part->loc,
                                     "the join of '" GR_FMT "' to '" GR_FMT "' refers to a third cube, '" GR_FMT "'",
                                     GR_ARG(b->join->from->name), GR_ARG(b->join->to->name), GR_ARG(part->cube->name));
        gr_model_hint(l, d, "only the two cubes that are joined are there");
    } else if (part->kind == GR_PART_MEMBER && part->member->kind == GR_MEMBER_MEASURE) {
        gr_model_report(l, GR_ERR_MODEL_JOIN, part->loc,
                        "a join refers to the measure '" GR_FMT "'; it can only use dimensions and columns",
                        GR_ARG(part->member->id));
    }
}

/* Where only {cube.sql()} can be a hole. */
static void report_meaningless(gr_loader *l, gr_role role, const gr_part *part) {
    bool is_cube = role == GR_ROLE_CUBE_SQL;
    gr_diag *d = gr_model_report(l, GR_ERR_MODEL_INVALID, part->loc, "'{" GR_FMT "}' has no meaning in the SQL of a %s",
                                 GR_ARG(part->text), is_cube ? "cube" : "refresh key");
    gr_model_hint(l, d,
                  is_cube ? "name tables and columns themselves; {other_cube.sql()} is the SQL of another cube"
                          : "name tables and columns themselves; ({CUBE.sql()}) are the rows of the cube");
}

/* A fingerprint has a value for each row of its cube. */
static void check_fingerprint_part(gr_loader *l, const gr_binding *b, const gr_part *part) {
    const gr_member *m = part->member;
    if (part->cube != b->source->cube) {
        gr_diag *d = gr_model_report(l, GR_ERR_MODEL_INVALID, part->loc,
                                     "a fingerprint looks at the rows of its own cube, and '" GR_FMT "' is another",
                                     GR_ARG(part->cube->name));
        gr_model_hint(l, d, "refer to a column or a dimension of '" GR_FMT "': {CUBE}.updated_at",
                      GR_ARG(b->source->cube->name));
    } else if (part->kind == GR_PART_CUBE_SQL) {
        gr_model_report(l, GR_ERR_MODEL_INVALID, part->loc, "'{" GR_FMT "}' has no meaning in a fingerprint",
                        GR_ARG(part->text));
    } else if (m && (m->kind != GR_MEMBER_DIMENSION || m->is_sub_query)) {
        gr_diag *d = gr_model_report(l, GR_ERR_MODEL_INVALID, part->loc,
                                     "a fingerprint cannot be made of '" GR_FMT "', which is a %s", GR_ARG(m->id),
                                     m->is_sub_query ? "sub query" : gr_model_kind_name(m->kind));
        gr_model_hint(l, d, "refer to a column or a dimension: {CUBE}.updated_at");
    }
}

static void bind_expr(gr_loader *l, const gr_binding *b) {
    bool is_whole = true;
    for (size_t i = 0; i < b->expr->n_parts; i++) {
        gr_part *part = &b->expr->parts[i];
        if (part->kind == GR_PART_TEXT) continue;
        bool is_statement = b->role == GR_ROLE_CUBE_SQL || b->role == GR_ROLE_REFRESH_SQL;
        if (is_statement && part->kind != GR_PART_CUBE_SQL)
            report_meaningless(l, b->role, part);
        else if (!bind_part(l, b, part))
            is_whole = false;
        else if (b->role == GR_ROLE_JOIN)
            check_join_part(l, b, part);
        else if (b->role == GR_ROLE_FINGERPRINT)
            check_fingerprint_part(l, b, part);
        else if (b->draft)
            check_member_role(l, b, part);
    }
    if (b->role == GR_ROLE_SUB_QUERY) {
        if (is_whole) gr_model_check_sub_query(l, b);
    } else if (b->role == GR_ROLE_STAGE || b->role == GR_ROLE_STAGE_ORDER) {
        gr_model_check_stage(l, b);
    } else if (b->draft) {
        check_foreign_tables(l, b);
    }
}

void gr_model_bind_expr(gr_loader *l, gr_expr *expr, gr_role role) {
    if (expr) bind_expr(l, &(gr_binding){.expr = expr, .role = role, .source = l->at, .is_inherited = l->is_inherited});
}

/* A calculated measure that looks at rows itself is as good as one with an aggregate, whatever the function is called:
 * it cannot be put together from other measures. */
static bool has_own_aggregate(const gr_member *m) {
    if (!m->is_calculated || !m->sql) return false;
    if (m->sql->is_column || gr_expr_has_aggregate(m->sql)) return true;
    for (size_t i = 0; i < m->sql->n_parts; i++) {
        const gr_part *p = &m->sql->parts[i];
        if (p->kind == GR_PART_TABLE ||
            (p->kind == GR_PART_MEMBER && p->member && p->member->kind != GR_MEMBER_MEASURE))
            return true;
    }
    return false;
}

void gr_model_bind(gr_loader *l) {
    for (size_t i = 0; i < l->bindings.n; i++) {
        const gr_binding *b = &l->bindings.v[i];
        l->at = b->source;
        l->is_inherited = b->is_inherited;
        bind_expr(l, b);
    }
    l->is_inherited = false;
    l->at = NULL;
    for (size_t i = 0; i < l->model->n_cubes; i++) {
        const gr_cube *c = l->model->cubes[i];
        for (size_t k = 0; k < c->n_measures; k++) {
            gr_member *m = c->measures[k];
            m->has_own_aggregate = has_own_aggregate(gr_member_base(m));
        }
    }
}

/* ---- listed references ------------------------------------------------------------------------------------------ */

gr_member_ref gr_model_read_ref(gr_loader *l, const gr_yaml *node, const gr_place *place, gr_member_kind kind,
                                gr_misfit *ret) {
    gr_member_ref ref = {.loc = node->loc};
    *ret = (gr_misfit){0};
    gr_expr *expr = gr_model_ref_node(l, node, place);
    if (!expr) return ref;
    gr_target t = gr_model_resolve(l, l->at->cube, &expr->parts[0], true);
    if (t.kind == GR_TARGET_NONE) return ref;
    gr_str at = gr_model_place_text(l, place, (gr_str){0});
    if (t.kind == GR_TARGET_CUBE) {
        gr_model_report(l, GR_ERR_MODEL_INVALID, node->loc, "(" GR_FMT ") '" GR_FMT "' is a cube, and a %s is expected",
                        GR_ARG(at), GR_ARG(t.cube->name), gr_model_kind_name(kind));
        return ref;
    }
    if (t.member->kind == kind && !t.granularity) {
        ref.member = t.member;
        ref.path = t.path;
        return ref;
    }
    *ret = (gr_misfit){.member = t.member, .granularity = t.granularity};
    ret->d = t.member->kind != kind
                 ? gr_model_report(l, GR_ERR_MODEL_INVALID, node->loc,
                                   "(" GR_FMT ") '" GR_FMT "' is a %s, and a %s is expected", GR_ARG(at),
                                   GR_ARG(t.member->id), gr_model_kind_name(t.member->kind), gr_model_kind_name(kind))
                 : gr_model_report(l, GR_ERR_MODEL_INVALID, node->loc, "(" GR_FMT ") a granularity is not allowed here",
                                   GR_ARG(at));
    return ref;
}

/* ---- drill members and hierarchies ------------------------------------------------------------------------------ */

static const gr_member *resolve_listed(gr_loader *l, const gr_yaml *node, const gr_place *place) {
    gr_expr *ref = gr_model_ref_node(l, node, place);
    if (!ref) return NULL;
    gr_target t = gr_model_resolve(l, l->at->cube, &ref->parts[0], true);
    if (t.kind == GR_TARGET_CUBE)
        gr_model_report(l, GR_ERR_MODEL_INVALID, node->loc, "'" GR_FMT "' is a cube, and a member is expected",
                        GR_ARG(t.cube->name));
    return t.member;
}

static void bind_drill(gr_loader *l, gr_member *m) {
    const gr_yaml *list = gr_draft_of(m)->drill;
    if (!list) return;
    m->drill_members = GR_NEW_N(l->arena, gr_str, list->n + 1);
    l->is_inherited = gr_draft_of(m)->is_inherited;
    for (size_t i = 0; i < list->n; i++) {
        gr_place top = {NULL, GR_STR("measures"), -1}, name = {&top, m->name, -1},
                 key = {&name, GR_STR("drillMembers"), -1}, at = {&key, {0}, (int64_t)i};
        const gr_member *found = resolve_listed(l, list->items[i], &at);
        if (found) m->drill_members[m->n_drill_members++] = found->id;
    }
    l->is_inherited = false;
}

/* Of a view, the drill members are those that the view shows, by their names there. */
static void map_drill(gr_loader *l, const gr_cube *view) {
    gr_map by_base;
    gr_map_init(&by_base, l->scratch);
    for (size_t i = 0; i < view->members.n; i++) {
        gr_member *m = view->members.entries[i].value;
        gr_map_put(&by_base, m->alias_of->id, m);
    }
    for (size_t i = 0; i < view->n_measures; i++) {
        gr_member *m = view->measures[i];
        m->drill_members = GR_NEW_N(l->arena, gr_str, m->alias_of->n_drill_members + 1);
        for (size_t k = 0; k < m->alias_of->n_drill_members; k++) {
            const gr_member *shown = gr_map_get(&by_base, m->alias_of->drill_members[k]);
            if (shown) m->drill_members[m->n_drill_members++] = shown->id;
        }
    }
}

static void bind_levels(gr_loader *l, gr_hierarchy *h, const gr_item *item) {
    const gr_yaml *list = gr_yaml_get(item->node, GR_STR("levels"));
    if (!list || list->kind != GR_YAML_LIST) return;
    h->levels = GR_NEW_N(l->arena, gr_str, list->n + 1);
    l->is_inherited = item->is_inherited;
    for (size_t i = 0; i < list->n; i++) {
        gr_place top = {NULL, GR_STR("hierarchies"), -1}, name = {&top, h->name, -1},
                 key = {&name, GR_STR("levels"), -1}, at = {&key, {0}, (int64_t)i};
        const gr_member *m = resolve_listed(l, list->items[i], &at);
        if (m && m->kind != GR_MEMBER_DIMENSION)
            gr_model_report(l, GR_ERR_MODEL_INVALID, list->items[i]->loc,
                            "Only dimensions can be part of a hierarchy, and '" GR_FMT "' is a %s", GR_ARG(m->id),
                            gr_model_kind_name(m->kind));
        else if (m)
            h->levels[h->n_levels++] = m->id;
    }
    l->is_inherited = false;
}

void gr_model_bind_drill(gr_loader *l) {
    for (size_t i = 0; i < l->order.n; i++) {
        gr_source *s = l->order.v[i];
        l->at = s;
        for (size_t k = 0; k < s->cube->n_measures && !s->is_view; k++) bind_drill(l, s->cube->measures[k]);
        for (size_t k = 0; k < s->cube->n_hierarchies; k++)
            bind_levels(l, &s->cube->hierarchies[k], &s->sections[GR_SECTION_HIERARCHIES].v[k]);
    }
    for (size_t i = 0; i < l->order.n; i++)
        if (l->order.v[i]->is_view) map_drill(l, l->order.v[i]->cube);
    l->at = NULL;
}
