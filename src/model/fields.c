/* A map of the model by the table of keys: unknown keys, wrong forms and refused keys are reported here, for all
 * contexts alike. Invariant: a pair that is handed on has the form that its row of the table says. */
#include "model/loader.h"

#include <stdio.h>

_Static_assert(GR_FIELDS_MAX <= 64, "a bit for each field");

bool gr_model_has_jinja(gr_str text) {
    for (size_t i = 0; i + 1 < text.n; i++) {
        if (text.p[i] == '\\')
            i++;
        else if (text.p[i] == '{' && (text.p[i + 1] == '{' || text.p[i + 1] == '%'))
            return true;
    }
    return false;
}

/* A flag in either of its forms; `is_strict`: a boolean of YAML only. */
static bool read_flag(const gr_yaml *node, bool is_strict, bool *ret) {
    if (gr_yaml_is_bool(node, ret)) return true;
    if (is_strict || node->kind != GR_YAML_SCALAR) return false;
    bool is_true = gr_str_eq(node->text, GR_STR("true"));
    if (!is_true && !gr_str_eq(node->text, GR_STR("false"))) return false;
    *ret = is_true;
    return true;
}

bool gr_fields_flag(const gr_fields *f, gr_key key, bool otherwise) {
    bool value = otherwise;
    const gr_yaml *node = gr_fields_get(f, key);
    if (node && !read_flag(node, false, &value)) return otherwise;
    return value;
}

/* What the form asks for and the value is not; NULL when it fits. */
static const char *misfit(const gr_yaml *value, gr_form form) {
    bool flag;
    switch (form) {
    case GR_FORM_ANY: return NULL;
    case GR_FORM_TEXT:
    case GR_FORM_NAME:
    case GR_FORM_REF:
    case GR_FORM_SQL: return value->kind == GR_YAML_SCALAR ? NULL : "must be a string";
    case GR_FORM_FLAG: return read_flag(value, false, &flag) ? NULL : "must be a boolean";
    case GR_FORM_BOOL: return read_flag(value, true, &flag) ? NULL : "must be a boolean";
    case GR_FORM_MAP: return value->kind == GR_YAML_MAP ? NULL : "must be of type object";
    case GR_FORM_LIST: return value->kind == GR_YAML_LIST ? NULL : "must be an array";
    }
    return NULL;
}

static void report_unknown(gr_loader *l, const gr_yaml_pair *pair, const gr_fields *f) {
    gr_diag *d;
    if (f->context == GR_CONTEXT_FILE)
        d = gr_model_report(l, GR_ERR_MODEL_UNKNOWN_KEY, pair->key_loc,
                            "Unexpected YAML key: " GR_FMT
                            ". Only 'cubes', 'views', and 'view_groups' are allowed here.",
                            GR_ARG(pair->key));
    else
        d = gr_model_fault(l, GR_ERR_MODEL_UNKNOWN_KEY, pair->key_loc, f->place, pair->key, pair->value,
                           "is not allowed");
    gr_str near = gr_model_key_nearest(f->context, pair->key);
    if (near.n) gr_model_hint(l, d, "did you mean '" GR_FMT "'?", GR_ARG(near));
}

static void report_unsupported(gr_loader *l, const gr_yaml_pair *pair, const gr_fields *f, const gr_key_info *info) {
    bool is_on;
    if (info->form == GR_FORM_FLAG && read_flag(pair->value, false, &is_on) && !is_on) return;
    gr_diag *d =
        gr_model_fault(l, GR_ERR_MODEL_UNSUPPORTED, pair->key_loc, f->place, info->name, NULL, "is not executed yet");
    gr_str where = gr_model_context_title(f->context);
    gr_model_hint(l, d, "'" GR_FMT "' of a " GR_FMT ": %s Ignoring it would change numbers or access, so it is refused",
                  GR_ARG(info->name), GR_ARG(where), info->doc);
}

static void report_name(gr_loader *l, const gr_yaml_pair *pair, const gr_fields *f, gr_str key) {
    char what[192];
    snprintf(what, sizeof what, "with value \"%.*s\" fails to match the identifier pattern",
             (int)(pair->value->text.n < 64 ? pair->value->text.n : 64), pair->value->text.p);
    gr_diag *d = gr_model_fault(l, GR_ERR_MODEL_INVALID, pair->value->loc, f->place, key, pair->value, what);
    gr_model_hint(l, d, "a letter or '_', then letters, digits and '_'");
}

/* True when the pair may be used. */
static bool accept_pair(gr_loader *l, const gr_yaml_pair *pair, const gr_fields *f, gr_key key) {
    const gr_key_info *info = gr_model_key_info(key);
    const char *what = misfit(pair->value, info->form);
    if (what) {
        gr_model_fault(l, GR_ERR_MODEL_INVALID, pair->value->loc, f->place, info->name, pair->value, what);
        return false;
    }
    if (info->verdict == GR_VERDICT_UNSUPPORTED) report_unsupported(l, pair, f, info);
    if (info->verdict == GR_VERDICT_NO_EFFECT && !l->is_inherited && l->no_effect[key]++ == 0)
        l->no_effect_at[key] = pair->key_loc;
    /* SQL has its own look at this, when it is parsed. */
    bool is_text = info->form == GR_FORM_TEXT || info->form == GR_FORM_NAME;
    if ((is_text || info->form == GR_FORM_ANY) && pair->value->kind == GR_YAML_SCALAR &&
        gr_model_has_jinja(pair->value->text)) {
        gr_diag *d = gr_model_fault(l, GR_ERR_MODEL_UNSUPPORTED, pair->value->loc, f->place, info->name, pair->value,
                                    "holds a Jinja template, and those are not executed");
        gr_model_hint(l, d, "write the value itself");
        return false;
    }
    if (info->form == GR_FORM_NAME && !gr_str_is_identifier(gr_str_trim(pair->value->text))) {
        report_name(l, pair, f, info->name);
        return false;
    }
    return true;
}

void gr_model_fields_read(gr_loader *l, const gr_yaml *node, gr_context context, const gr_place *place,
                          gr_fields *ret) {
    *ret = (gr_fields){.node = node, .context = context, .place = place};
    if (node->kind != GR_YAML_MAP) {
        gr_model_fault(l, GR_ERR_MODEL_INVALID, node->loc, place, (gr_str){0}, node, "must be of type object");
        return;
    }
    for (size_t i = 0; i < node->n; i++) {
        const gr_yaml_pair *pair = &node->pairs[i];
        gr_key key = gr_model_key_find(context, pair->key);
        if (key == GR_KEY__COUNT) {
            report_unknown(l, pair, ret);
            continue;
        }
        if (pair->value->kind == GR_YAML_NULL) continue;
        size_t slot = gr_fields_slot(ret, key);
        if ((ret->present >> slot) & 1) {
            gr_diag *d =
                gr_model_fault(l, GR_ERR_MODEL_DUPLICATE, pair->key_loc, place, pair->key, NULL, "is given twice");
            gr_model_hint(l, d, "snake_case and camelCase are the same key");
            continue;
        }
        ret->present |= (uint64_t)1 << slot;
        if (accept_pair(l, pair, ret, key)) ret->pairs[slot] = pair;
    }
}

/* Passes on what the expr room found, with the place in front. */
static void forward(gr_loader *l, const gr_diags *found, const gr_place *place, gr_str key) {
    for (size_t i = 0; i < found->list.n; i++) {
        const gr_diag *x = &found->list.v[i];
        gr_diag *d = gr_model_report(l, x->status, x->loc, "(" GR_FMT ") " GR_FMT,
                                     GR_ARG(gr_model_place_text(l, place, key)), GR_ARG(x->message));
        if (x->hint.n) d->hint = gr_arena_dup(l->diags->arena, x->hint);
    }
}

gr_expr *gr_model_sql_node(gr_loader *l, const gr_yaml *node, const gr_place *place, gr_str key) {
    gr_diags found;
    gr_diags_init(&found, l->scratch);
    gr_expr *expr = gr_expr_parse(node->text, node->loc, l->arena, &found);
    forward(l, &found, place, key);
    return expr ? expr : gr_expr_parse_holes(node->text, node->loc, l->arena);
}

gr_expr *gr_model_fields_sql(gr_loader *l, const gr_fields *f, gr_key key) {
    const gr_yaml *node = gr_fields_get(f, key);
    return node ? gr_model_sql_node(l, node, f->place, gr_model_key_info(key)->name) : NULL;
}

gr_expr *gr_model_sql_map(gr_loader *l, const gr_yaml *node, const gr_place *place) {
    gr_fields f;
    gr_model_fields_read(l, node, GR_CONTEXT_SQL, place, &f);
    if (node->kind == GR_YAML_MAP && !gr_fields_has(&f, GR_KEY_SQL_SQL)) gr_model_required(l, &f, GR_KEY_SQL_SQL);
    return gr_model_fields_sql(l, &f, GR_KEY_SQL_SQL);
}

gr_expr *gr_model_ref_node(gr_loader *l, const gr_yaml *node, const gr_place *place) {
    if (node->kind != GR_YAML_SCALAR) {
        gr_model_fault(l, GR_ERR_MODEL_INVALID, node->loc, place, (gr_str){0}, node, "must be a string");
        return NULL;
    }
    gr_diags found;
    gr_diags_init(&found, l->scratch);
    gr_expr *expr = gr_expr_parse_ref(node->text, node->loc, l->arena, &found);
    forward(l, &found, place, (gr_str){0});
    return expr;
}

int gr_model_word(gr_str text, const gr_str *words, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (gr_model_key_matches(words[i], text)) return (int)i;
    return -1;
}

int gr_model_fields_word(gr_loader *l, const gr_fields *f, gr_key key, const gr_str *words, size_t n,
                         const char *rule) {
    if (!gr_fields_get(f, key)) return -1;
    int word = gr_model_word(gr_fields_text(f, key), words, n);
    if (word < 0) gr_model_bad_value(l, f, key, rule);
    return word;
}
