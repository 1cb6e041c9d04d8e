/* A model while it is being loaded. Internal to the room. The passes, in order (load.c):
 *
 *   files -> sources      collect.c   every cube and view as written, its named items, what it extends
 *   sources -> cubes      cube.c, dimension.c, measure.c, window.c, stage.c, join.c
 *                                     forms checked, expressions parsed
 *   cubes -> views        view.c
 *   bind                  bind.c, subquery.c, stage.c
 *                                     names in expressions become pointers, their roles are checked
 *   split measures        split.c     aggregate calls in calculated measures become synthetic measures
 *   pre-aggregations      preagg.c, preagg_kind.c, preagg_filter.c, refresh.c
 *   check                 check.c     cycles, primary keys, components, columns
 *
 * Invariant: a pass never stops at a fault; what is broken is reported once and left out or empty, so that the next
 * pass finds well-formed structures. Threads: one. */
#ifndef GR_MODEL_LOADER_H
#define GR_MODEL_LOADER_H
#include "model/keys.h"
#include "model/model.h"

typedef enum gr_section {
    GR_SECTION_DIMENSIONS,
    GR_SECTION_MEASURES,
    GR_SECTION_SEGMENTS,
    GR_SECTION_HIERARCHIES,
    GR_SECTION_PREAGGS,
    GR_SECTION_JOINS, /* joins of a cube; cubes of a view */
    GR_SECTION__COUNT
} gr_section;

/* An item of a list of a cube. */
typedef struct gr_item {
    const gr_yaml *node;
    gr_str name;
    gr_loc loc;    /* of the name */
    int64_t index; /* in its list, as written */
    bool is_inherited;
} gr_item;

typedef struct gr_items {
    gr_item *v;
    size_t n, cap;
} gr_items;

/* A cube or view as written, with what it inherits merged in. */
typedef struct gr_source {
    const gr_yaml *node;
    gr_str name;
    gr_loc loc;
    bool is_view;
    gr_fields fields;
    gr_items sections[GR_SECTION__COUNT];
    struct gr_source *parent;
    enum { GR_SOURCE_NEW, GR_SOURCE_OPEN, GR_SOURCE_MERGED } state;
    gr_cube *cube;
} gr_source;

/* What only the loader needs to know of a member. */
typedef struct gr_draft {
    gr_member member; /* first, so that a member is its draft */
    const gr_source *source;
    bool is_inherited, is_public_set;
    const gr_yaml *drill;           /* drill_members as written */
    GR_VEC(gr_expr *) exprs;        /* all of them, for cycles */
    GR_VEC(const gr_member *) refs; /* what it needs besides: the dimensions of a stage */
    enum { GR_DRAFT_NEW, GR_DRAFT_OPEN, GR_DRAFT_DONE } state;
} gr_draft;

static inline gr_draft *gr_draft_of(const gr_member *member) { return (gr_draft *)(uintptr_t)member; }

typedef enum gr_role {
    GR_ROLE_CUBE_SQL,
    GR_ROLE_REFRESH_SQL,
    GR_ROLE_FINGERPRINT,
    GR_ROLE_DIMENSION,
    GR_ROLE_SUB_QUERY,
    GR_ROLE_MEASURE,
    GR_ROLE_MEASURE_FILTER,
    GR_ROLE_STAGE,
    GR_ROLE_STAGE_ORDER,
    GR_ROLE_SEGMENT,
    GR_ROLE_JOIN
} gr_role;

/* An expression that waits for its names to be resolved. */
typedef struct gr_binding {
    gr_expr *expr;
    gr_role role;
    const gr_source *source;
    gr_draft *draft;     /* members */
    const gr_join *join; /* joins */
    bool is_inherited;
} gr_binding;

/* The lists of dimensions of a multi-stage measure. */
typedef enum gr_stage_list {
    GR_STAGE_GROUP_BY,
    GR_STAGE_REDUCE_BY,
    GR_STAGE_ADD_GROUP_BY,
    GR_STAGE_FILTER_EXCLUDE,
    GR_STAGE_FILTER_KEEP,
    GR_STAGE_SHIFT_TIME /* not a list: the time dimension of shifts[index] */
} gr_stage_list;

/* One of them as written, waiting for its names to be resolved. */
typedef struct gr_stage_refs {
    const gr_yaml *node;
    gr_stage_list list;
    gr_str key, sub_key; /* where it stands; sub_key may be empty */
    size_t index, place; /* SHIFT_TIME: among the shifts; among the items as written */
    gr_draft *draft;
    bool is_inherited;
} gr_stage_refs;

typedef struct gr_loader {
    gr_arena *arena; /* of the model */
    gr_arena *scratch;
    gr_diags *diags;
    gr_model *model;
    GR_VEC(gr_source *) sources; /* in file order; duplicates left out */
    GR_VEC(gr_source *) order;   /* the same, ancestors first, so that a fault is reported where it was written */
    gr_map by_name;
    GR_VEC(gr_binding) bindings;
    GR_VEC(gr_stage_refs) stage_refs;
    gr_member **members; /* by index, once they are numbered */
    bool *has_stage;     /* by index, for pre-aggregations: a multi-stage measure, or made of one */
    /* What is being looked at, for messages. */
    const gr_source *at;
    bool is_inherited;
    size_t n_hints;
    size_t n_items; /* of all cubes, inherited ones and members of views included: see gr_model_take_item */
    /* Keys without effect: how often, and where first. */
    size_t no_effect[GR_KEY__COUNT];
    gr_loc no_effect_at[GR_KEY__COUNT];
} gr_loader;

/* ---- report.c: faults ----------------------------------------------------------------------------------------- */
/* "<cube> cube: <message>". A fault of an inherited item that its parent reported already is dropped. Never NULL. */
gr_diag *gr_model_report(gr_loader *l, gr_status status, gr_loc loc, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* "(<place>[.<key>][ = <value>]) <what>". `key` may be empty and `value` NULL. */
gr_diag *gr_model_fault(gr_loader *l, gr_status status, gr_loc loc, const gr_place *place, gr_str key,
                        const gr_yaml *value, const char *what);
void gr_model_required(gr_loader *l, const gr_fields *f, gr_key key);    /* "(…) is required" at the map */
void gr_model_not_allowed(gr_loader *l, const gr_fields *f, gr_key key); /* "(… = …) is not allowed" at the key */
/* model.invalid at the value: "(… = …) <what>" */
gr_diag *gr_model_bad_value(gr_loader *l, const gr_fields *f, gr_key key, const char *what);
gr_str gr_model_place_text(gr_loader *l, const gr_place *place, gr_str key); /* in the diagnostics' arena */
/* Set when a near name is found, and not too many were searched for already. */
void gr_model_hint_nearest(gr_loader *l, gr_diag *d, gr_str name, const gr_map *names);
void gr_model_hint(gr_loader *l, gr_diag *d, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* At the end: the warnings of keys without effect, all places sorted, file names made to outlive the model. */
void gr_model_report_finish(gr_loader *l, size_t first_diag);

/* ---- fields.c: maps ------------------------------------------------------------------------------------------- */
void gr_model_fields_read(gr_loader *l, const gr_yaml *node, gr_context context, const gr_place *place, gr_fields *ret);
/* Expressions of a key; NULL when absent or empty. A malformed one is reported, and what its holes hold is returned. */
gr_expr *gr_model_fields_sql(gr_loader *l, const gr_fields *f, gr_key key);
/* Of a map `{sql}`: "latitude: {sql: …}". Reports a missing sql. */
gr_expr *gr_model_sql_map(gr_loader *l, const gr_yaml *node, const gr_place *place);
gr_expr *gr_model_sql_node(gr_loader *l, const gr_yaml *node, const gr_place *place, gr_str key);
gr_expr *gr_model_ref_node(gr_loader *l, const gr_yaml *node, const gr_place *place);
/* The index of the text in a table of snake_case names; -1 when it is none. */
int gr_model_word(gr_str text, const gr_str *words, size_t n);
/* The same of a key's value; -1 also when it is absent. What is none of the words is reported with `rule`. */
int gr_model_fields_word(gr_loader *l, const gr_fields *f, gr_key key, const gr_str *words, size_t n, const char *rule);
bool gr_model_has_jinja(gr_str text);

/* Inheritance and views multiply what is written: true while the whole stays within its limit, which is reported once.
 */
bool gr_model_take_item(gr_loader *l, gr_loc loc);

/* ---- the passes ------------------------------------------------------------------------------------------------ */
void gr_model_collect(gr_loader *l, const gr_yaml *root, gr_str file);
void gr_model_merge(gr_loader *l); /* extends */
void gr_model_make_cubes(gr_loader *l);
void gr_model_make_joins(gr_loader *l); /* needs all cubes */
void gr_model_make_views(gr_loader *l); /* needs all joins */
void gr_model_number(gr_loader *l);     /* indexes of members; needs all views */
void gr_model_bind(gr_loader *l);
void gr_model_bind_expr(gr_loader *l, gr_expr *expr, gr_role role); /* one more, of the cube that is looked at */
/* Takes apart measures that aggregate by themselves; fills model->members. Needs all names bound. */
void gr_model_split_measures(gr_loader *l);
void gr_model_bind_stages(gr_loader *l); /* dimensions listed by multi-stage measures */
void gr_model_bind_drill(gr_loader *l);  /* drill members and hierarchies; needs all views */
void gr_model_make_preaggs(gr_loader *l);
void gr_model_check(gr_loader *l);

/* ---- parts of them --------------------------------------------------------------------------------------------- */
gr_draft *gr_model_draft_new(gr_loader *l, gr_cube *cube, gr_member_kind kind, const gr_item *item, const gr_fields *f);
void gr_model_add_binding(gr_loader *l, gr_expr *expr, gr_role role, gr_draft *draft, const gr_join *join);
void gr_model_read_dimension(gr_loader *l, gr_draft *draft, const gr_fields *f);
void gr_model_read_measure(gr_loader *l, gr_draft *draft, const gr_fields *f);
void gr_model_read_segment(gr_loader *l, gr_draft *draft, const gr_fields *f);
void gr_model_read_window(gr_loader *l, gr_draft *draft, const gr_fields *f); /* of a measure that aggregates rows */
/* "7 day", also negative, and its unit. Reported when it is none. */
bool gr_model_read_interval(gr_loader *l, const gr_fields *f, gr_key key, gr_interval *ret, gr_grain *ret_unit);
void gr_model_read_stage(gr_loader *l, gr_draft *draft, const gr_fields *f, bool is_typed); /* multi_stage: true */
void gr_model_refuse_stage(gr_loader *l, const gr_fields *f); /* keys of multi-stage measures on another */
/* One hole of a multi-stage measure, and the whole once its holes are bound. */
void gr_model_check_stage_part(gr_loader *l, const gr_binding *b, const gr_part *part);
void gr_model_check_stage(gr_loader *l, const gr_binding *b);
void gr_model_check_sub_query(gr_loader *l, const gr_binding *b); /* bound; leaves the measure as its only part */
void gr_model_check_sub_query_uses(gr_loader *l);                 /* where a sub query dimension cannot be */
void gr_model_read_currency(gr_loader *l, gr_draft *draft, const gr_fields *f, gr_key key, bool is_number);
void gr_model_read_format(gr_draft *draft, const gr_yaml *format);
/* Of the cube that is looked at, or of a pre-aggregation of it. NULL when a fault leaves nothing to go on with. */
const gr_refresh_key *gr_model_read_refresh_key(gr_loader *l, const gr_yaml *node, const gr_place *place, bool is_cube);
void gr_model_set_titles(gr_loader *l, gr_member *member, gr_str title);

/* What a reference means. */
typedef enum gr_target_kind { GR_TARGET_NONE, GR_TARGET_CUBE, GR_TARGET_MEMBER } gr_target_kind;
typedef struct gr_target {
    gr_target_kind kind;
    const gr_cube *cube;
    const gr_member *member;
    const gr_granularity *granularity;
    gr_path path; /* one cube: not given */
} gr_target;
/* Names of a hole or reference, seen from `owner`. `is_ref`: a single name is a member, never a cube. NONE: reported.
 */
gr_target gr_model_resolve(gr_loader *l, const gr_cube *owner, const gr_part *part, bool is_ref);
/* The chain of declared joins from the first cube to the last, over all that are named; false when there is none. */
bool gr_model_expand_path(gr_loader *l, const gr_cube *const *cubes, size_t n, gr_path *ret, size_t *ret_broken);
const gr_join *gr_model_join_between(const gr_cube *from, const gr_cube *to);
/* Marks, of the numbered members, also those that need a marked one. */
void gr_model_spread(gr_loader *l, bool *marks);

/* Why a listed reference was refused although its names are known, so that a hint can be given. */
typedef struct gr_misfit {
    gr_diag *d;              /* NULL: it was not */
    const gr_member *member; /* of another kind, or with a granularity */
    const gr_granularity *granularity;
} gr_misfit;
/* A reference to a member of one kind, without granularity. Else it is reported, and the member is NULL. */
gr_member_ref gr_model_read_ref(gr_loader *l, const gr_yaml *node, const gr_place *place, gr_member_kind kind,
                                gr_misfit *ret);
const char *gr_model_kind_name(gr_member_kind kind);

/* ---- pre-aggregations ------------------------------------------------------------------------------------------ */
/* Its type; false when there is none to go on with, which is reported. */
bool gr_model_read_preagg_type(gr_loader *l, gr_preagg *p, const gr_fields *f);
void gr_model_check_preagg_keys(gr_loader *l, const gr_preagg *p,
                                const gr_fields *f); /* what its type does not allow */
void gr_model_read_preagg_filters(gr_loader *l, gr_preagg *p, const gr_fields *f);
/* References to other pre-aggregations; needs all of them numbered. */
void gr_model_bind_preaggs(gr_loader *l);

/* load.c: an empty model in this arena, referenced once; the arena is its own from here on. */
gr_model *gr_model_new(gr_arena *arena);
#endif
