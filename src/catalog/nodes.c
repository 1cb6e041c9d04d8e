/* Nodes and their revisions.
 *
 *     content hashes   a        b        a again
 *     meta hashes      x   y    y        x
 *     versions         v1.0 v1.1 v2.0    v1.0 again
 *
 * Invariants: a node's content hash has one major number, a pair of hashes one version; a revision never changes, but
 * for its status. A revision from before hashes were kept (both empty) is the one that is declared next. */
#include "catalog/internal.h"

#include <stdlib.h>

enum { N_TYPES = GR_NODE_CUBE + 1 };

static const char *const type_names[N_TYPES] = {
    [GR_NODE_SOURCE] = "source", [GR_NODE_TRANSFORM] = "transform", [GR_NODE_DIMENSION] = "dimension",
    [GR_NODE_METRIC] = "metric", [GR_NODE_CUBE] = "cube",
};

gr_str gr_node_type_name(gr_node_type type) {
    return gr_str_from((unsigned)type < N_TYPES ? type_names[type] : "unknown");
}

gr_status gr_catalog_node_missing(gr_str name, gr_error *err) {
    /* Clients look for this very text. */
    return gr_error_set(err, GR_ERR_NODE_NOT_FOUND, "A node with name `" GR_FMT "` does not exist.", GR_ARG(name));
}

/* The tables' CHECKs let no other text in. */
static gr_node_type type_of(gr_str name) {
    for (int i = 0; i < N_TYPES; i++)
        if (gr_str_eq_z(name, type_names[i])) return (gr_node_type)i;
    return GR_NODE_SOURCE;
}

/* Columns as in GR_CATALOG_NODE_COLUMNS. */
static gr_node_row read_row(const gr_catalog_table *t, size_t i, gr_arena *arena) {
    gr_node_row row = {
        .id = gr_catalog_i64(t, i, 0),
        .revision_id = gr_catalog_i64(t, i, 1),
        .decl.type = type_of(gr_catalog_text(t, i, 3)),
        .created_us = gr_catalog_i64(t, i, 13),
        .updated_us = gr_catalog_i64(t, i, 14),
        .deactivated_us = gr_catalog_i64(t, i, 15),
    };
    const struct {
        gr_str *text;
        size_t column;
    } texts[] = {
        {&row.decl.name, 2},        {&row.decl.content_hash, 4}, {&row.decl.meta_hash, 5}, {&row.decl.display_name, 6},
        {&row.decl.description, 7}, {&row.decl.mode, 8},         {&row.decl.status, 9},    {&row.decl.definition, 10},
        {&row.version, 11},         {&row.current_version, 12},
    };
    for (size_t j = 0; j < sizeof texts / sizeof texts[0]; j++)
        *texts[j].text = gr_arena_dup(arena, gr_catalog_text(t, i, texts[j].column));
    return row;
}

gr_status gr_catalog_node_check(const gr_node_decl *d, gr_arena *arena, gr_error *err) {
    const gr_catalog_rule_of_text texts[] = {
        {"node's name", d->name, CATALOG_MAX_NAME, true, GR_CATALOG_ANY},
        {"content hash", d->content_hash, CATALOG_MAX_NAME, true, GR_CATALOG_ANY},
        {"meta hash", d->meta_hash, CATALOG_MAX_NAME, false, GR_CATALOG_ANY},
        {"display name", d->display_name, CATALOG_MAX_NAME, false, GR_CATALOG_ANY},
        {"description", d->description, CATALOG_MAX_JSON, false, GR_CATALOG_ANY},
        {"definition", d->definition, CATALOG_MAX_JSON, false, GR_CATALOG_OBJECT},
    };
    GR_TRY(gr_catalog_texts_check(texts, sizeof texts / sizeof texts[0], arena, err));
    if ((unsigned)d->type >= N_TYPES) return gr_error_set(err, GR_ERR_INTERNAL, "a node has a type that is none");
    if (d->mode.n && !gr_str_eq_z(d->mode, "published") && !gr_str_eq_z(d->mode, "draft"))
        return gr_error_set(err, GR_ERR_INTERNAL, "a node has a mode that is none");
    if (d->status.n && !gr_str_eq_z(d->status, "valid") && !gr_str_eq_z(d->status, "invalid"))
        return gr_error_set(err, GR_ERR_INTERNAL, "a node has a status that is none");
    return GR_OK;
}

static gr_str or_text(gr_str s, const char *otherwise) { return s.n ? s : gr_str_from(otherwise); }
static bool is_draft(const gr_node_decl *d) { return gr_str_eq_z(d->mode, "draft"); }

static gr_status note(gr_catalog_call *k, gr_str name, const char *activity, const char *key, gr_str pre, gr_str post) {
    return gr_catalog_note(
        k, (gr_catalog_event){.entity_type = "node",
                              .activity = activity,
                              .entity_name = name,
                              .node = name,
                              .pre = pre.n ? gr_catalog_object_write(k->arena, key, pre, NULL, (gr_str){0}) : pre,
                              .post = post.n ? gr_catalog_object_write(k->arena, key, post, NULL, (gr_str){0}) : post});
}

static gr_status add_revision(gr_catalog_call *k, int64_t node_id, gr_str version, const gr_node_decl *d,
                              int64_t *ret_id) {
    gr_catalog_table t = {0};
    GR_TRY(RUN(k, REVISION_ADD, &t, I64(node_id), STR(version), STR(gr_node_type_name(d->type)), STR(d->content_hash),
               STR(d->meta_hash), STR(d->display_name), STR(d->description), STR(or_text(d->mode, "published")),
               STR(or_text(d->status, "valid")), STR(or_text(d->definition, "{}")), I64(k->actor.now_us),
               STR(or_text(k->actor.user, "granary"))));
    *ret_id = gr_catalog_i64(&t, 0, 0);
    return GR_OK;
}

static gr_status create(gr_catalog_call *k, const gr_node_decl *d, gr_catalog_node_at *ret) {
    gr_str version = is_draft(d) ? GR_STR("v0.1") : GR_STR("v1.0");
    gr_catalog_table t = {0};
    GR_TRY(RUN(k, NODE_ADD, &t, STR(d->name), STR(gr_node_type_name(d->type)), STR(version), I64(k->actor.now_us),
               STR(or_text(k->actor.user, "granary"))));
    *ret = (gr_catalog_node_at){.id = gr_catalog_i64(&t, 0, 0), .name = d->name, .version = version};
    GR_TRY(add_revision(k, ret->id, version, d, &ret->revision_id));
    return note(k, d->name, "create", "version", (gr_str){0}, version);
}

gr_status gr_catalog_node_set_status(gr_catalog_call *k, const gr_node_row *row, gr_str status) {
    if (gr_str_eq(row->decl.status, status)) return GR_OK;
    GR_TRY(RUN(k, REVISION_STATUS, NULL, I64(row->revision_id), STR(status), I64(k->actor.now_us)));
    return note(k, row->decl.name, "status_change", "status", row->decl.status, status);
}

/* The next version for hashes that no revision has. */
static gr_str next_version(const gr_node_row *rows, size_t n, const gr_node_decl *d, gr_arena *arena) {
    int64_t major = 0, minor = -1, last_major = 0;
    for (size_t i = 0; i < n; i++) {
        gr_catalog_version v = gr_catalog_version_read(rows[i].version);
        if (v.major > last_major) last_major = v.major;
        if (gr_str_eq(rows[i].decl.content_hash, d->content_hash)) major = v.major;
    }
    for (size_t i = 0; i < n; i++) {
        gr_catalog_version v = gr_catalog_version_read(rows[i].version);
        if (gr_str_eq(rows[i].decl.content_hash, d->content_hash) && v.minor > minor) minor = v.minor;
    }
    if (minor < 0) major = last_major + 1;
    return gr_arena_printf(arena, "v%lld.%lld", (long long)major, (long long)minor + 1);
}

/* A revision of these hashes, or one without any that is current; SIZE_MAX when there is none. */
static size_t find_revision(const gr_node_row *rows, size_t n, const gr_node_decl *d) {
    for (size_t i = 0; i < n; i++)
        if (gr_str_eq(rows[i].decl.content_hash, d->content_hash) && gr_str_eq(rows[i].decl.meta_hash, d->meta_hash))
            return i;
    for (size_t i = 0; i < n; i++)
        if (!rows[i].decl.content_hash.n && gr_str_eq(rows[i].version, rows[i].current_version)) return i;
    return SIZE_MAX;
}

static gr_status take_revision(gr_catalog_call *k, const gr_node_row *row, const gr_node_decl *d) {
    gr_str status = or_text(d->status, "valid");
    if (row->decl.content_hash.n) return gr_catalog_node_set_status(k, row, status);
    GR_TRY(RUN(k, REVISION_ADOPT, NULL, I64(row->revision_id), STR(gr_node_type_name(d->type)), STR(d->content_hash),
               STR(d->meta_hash), STR(d->display_name), STR(d->description), STR(or_text(d->mode, "published")),
               STR(status), STR(or_text(d->definition, "{}")), I64(k->actor.now_us)));
    return note(k, d->name, "update", "content_hash", (gr_str){0}, d->content_hash);
}

static gr_status read_revisions(gr_catalog_call *k, gr_str name, gr_arena *arena, gr_node_row **ret, size_t *ret_n) {
    gr_catalog_table t = {0};
    GR_TRY(RUN(k, NODE_REVISIONS, &t, STR(name)));
    *ret = GR_NEW_N(arena, gr_node_row, t.n_rows + 1);
    *ret_n = t.n_rows;
    for (size_t i = 0; i < t.n_rows; i++) (*ret)[i] = read_row(&t, i, arena);
    return GR_OK;
}

/* Makes the revision the node's current one. */
static gr_status move_to(gr_catalog_call *k, const gr_node_row *node, const gr_node_decl *d, gr_str version) {
    gr_str type = gr_node_type_name(d->type);
    bool is_back = node->deactivated_us != 0, is_other = !gr_str_eq(node->current_version, version);
    if (!is_back && !is_other) return GR_OK;
    GR_TRY(RUN(k, NODE_MOVE, NULL, I64(node->id), STR(type), STR(version)));
    GR_TRY(RUN(k, NODE_MOVE_PREAGGS, NULL, I64(node->id), STR(version)));
    if (is_back) GR_TRY(note(k, d->name, "restore", "version", (gr_str){0}, version));
    return is_other ? note(k, d->name, "update", "version", node->current_version, version) : GR_OK;
}

gr_status gr_catalog_node_put(gr_catalog_call *k, const gr_node_decl *d, gr_catalog_node_at *ret) {
    gr_node_row *rows = NULL;
    size_t n = 0;
    GR_TRY(read_revisions(k, d->name, k->arena, &rows, &n));
    if (!n) return create(k, d, ret);
    *ret = (gr_catalog_node_at){.id = rows[0].id, .name = d->name};
    size_t at = find_revision(rows, n, d);
    if (at == SIZE_MAX) {
        ret->version = next_version(rows, n, d, k->arena);
        GR_TRY(add_revision(k, ret->id, ret->version, d, &ret->revision_id));
    } else {
        ret->version = rows[at].version;
        ret->revision_id = rows[at].revision_id;
        GR_TRY(take_revision(k, &rows[at], d));
    }
    return move_to(k, &rows[0], d, ret->version);
}

gr_status gr_catalog_node_find(gr_catalog_call *k, gr_str name, gr_str version, gr_arena *arena, gr_node_row *ret,
                               bool *ret_found) {
    gr_catalog_table t = {0};
    if (version.n)
        GR_TRY(RUN(k, NODE_AT, &t, STR(name), STR(version)));
    else
        GR_TRY(RUN(k, NODE_CURRENT, &t, STR(name)));
    *ret_found = t.n_rows > 0;
    if (t.n_rows) *ret = read_row(&t, 0, arena);
    return GR_OK;
}

/* ---- calls ---------------------------------------------------------------------------------------------------------
 */
gr_status gr_catalog_node_get(gr_catalog *c, gr_str name, gr_str version, bool with_deactivated, gr_arena *arena,
                              gr_node_row *ret, bool *ret_found, gr_error *err) {
    gr_catalog_call k;
    gr_node_row row = {0};
    bool is_found = false;
    GR_TRY(gr_catalog_call_begin(c, false, (gr_actor){0}, &k, err));
    GR_TRY(gr_catalog_call_end(&k, gr_catalog_node_find(&k, name, version, arena, &row, &is_found)));
    if (is_found && row.deactivated_us && !with_deactivated) is_found = false;
    if (is_found) *ret = row;
    *ret_found = is_found;
    return GR_OK;
}

static int compare_names(const void *a, const void *b) {
    return gr_str_cmp(((const gr_node_row *)a)->decl.name, ((const gr_node_row *)b)->decl.name);
}

gr_status gr_catalog_nodes(gr_catalog *c, unsigned types, gr_arena *arena, gr_node_row **ret, size_t *ret_n,
                           gr_error *err) {
    gr_catalog_call k;
    gr_catalog_table t = {0};
    GR_VEC(gr_node_row) rows = {0};
    GR_TRY(gr_catalog_call_begin(c, false, (gr_actor){0}, &k, err));
    gr_status status = RUN(&k, NODE_ACTIVE, &t);
    for (size_t i = 0; !status && i < t.n_rows; i++) {
        gr_node_row row = read_row(&t, i, arena);
        if (!types || types & 1u << row.decl.type) GR_PUSH(arena, &rows, row);
    }
    GR_TRY(gr_catalog_call_end(&k, status));
    if (rows.n > 1) qsort(rows.v, rows.n, sizeof rows.v[0], compare_names);
    *ret = rows.v;
    *ret_n = rows.n;
    return GR_OK;
}

gr_status gr_catalog_revisions(gr_catalog *c, gr_str name, gr_arena *arena, gr_node_row **ret, size_t *ret_n,
                               gr_error *err) {
    gr_catalog_call k;
    gr_node_row *rows = NULL;
    size_t n = 0;
    GR_TRY(gr_catalog_call_begin(c, false, (gr_actor){0}, &k, err));
    GR_TRY(gr_catalog_call_end(&k, read_revisions(&k, name, arena, &rows, &n)));
    if (!n) return gr_catalog_node_missing(name, err);
    *ret = rows;
    *ret_n = n;
    return GR_OK;
}
