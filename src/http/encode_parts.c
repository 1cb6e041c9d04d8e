/* The pieces that several answers are made of: instants, formats, drill members, granularities, the annotation.
 * Invariant: a key is left out when the model says nothing, as JSON.stringify leaves out what is undefined. */
#include "http/encode.h"

#include <stdio.h>

void gr_http_put_instant(gr_jw *w, int64_t us) {
    if (!us) {
        gr_jw_null(w);
        return;
    }
    char text[48];
    size_t n = gr_time_format(us, text);
    text[n++] = 'Z';
    gr_jw_str(w, (gr_str){text, n});
}

void gr_http_put_yaml(gr_jw *w, const gr_yaml *node) {
    gr_buf text;
    gr_buf_init(&text, w->out->max);
    gr_yaml_to_json(node, &text);
    gr_jw_raw(w, gr_buf_str(&text));
    gr_buf_done(&text);
}

void gr_http_put_yaml_key(gr_jw *w, const char *key, const gr_yaml *node) {
    if (!node) return;
    gr_jw_key(w, gr_str_from(key));
    gr_http_put_yaml(w, node);
}

void gr_http_put_text_key(gr_jw *w, const char *key, gr_str text) {
    if (text.n) gr_jw_key_str(w, key, text);
}

void gr_http_put_null_key(gr_jw *w, const char *key) {
    gr_jw_key(w, gr_str_from(key));
    gr_jw_null(w);
}

gr_status gr_http_encode_check(const gr_buf *out, gr_error *err) {
    if (!out->is_over) return GR_OK;
    gr_error_set(err, GR_ERR_LIMIT, "The result is larger than %zu bytes", out->max);
    gr_error_hint(err, "Ask for fewer rows or columns, or page through the result with limit and offset.");
    return GR_ERR_LIMIT;
}

/* ---- types ----------------------------------------------------------------------------------- */
typedef struct measure_words {
    gr_str type, agg;
} measure_words;

static const measure_words measures[] = {
    [GR_MEASURE_COUNT] = {GR_STR_INIT("number"), GR_STR_INIT("count")},
    [GR_MEASURE_SUM] = {GR_STR_INIT("number"), GR_STR_INIT("sum")},
    [GR_MEASURE_AVG] = {GR_STR_INIT("number"), GR_STR_INIT("avg")},
    [GR_MEASURE_MIN] = {GR_STR_INIT("number"), GR_STR_INIT("min")},
    [GR_MEASURE_MAX] = {GR_STR_INIT("number"), GR_STR_INIT("max")},
    [GR_MEASURE_COUNT_DISTINCT] = {GR_STR_INIT("number"), GR_STR_INIT("countDistinct")},
    [GR_MEASURE_COUNT_DISTINCT_APPROX] = {GR_STR_INIT("number"), GR_STR_INIT("countDistinctApprox")},
    [GR_MEASURE_NUMBER] = {GR_STR_INIT("number"), GR_STR_INIT("number")},
    [GR_MEASURE_STRING] = {GR_STR_INIT("string"), GR_STR_INIT("string")},
    [GR_MEASURE_BOOLEAN] = {GR_STR_INIT("boolean"), GR_STR_INIT("boolean")},
    [GR_MEASURE_TIME] = {GR_STR_INIT("time"), GR_STR_INIT("time")},
    [GR_MEASURE_NUMBER_AGG] = {GR_STR_INIT("number"), GR_STR_INIT("numberAgg")},
    [GR_MEASURE_RANK] = {GR_STR_INIT("number"), GR_STR_INIT("rank")},
    [GR_MEASURE_M2] = {GR_STR_INIT("number"), GR_STR_INIT("number")},
};

static const gr_str dimensions[] = {
    [GR_DIM_STRING] = GR_STR_INIT("string"),   [GR_DIM_NUMBER] = GR_STR_INIT("number"),
    [GR_DIM_BOOLEAN] = GR_STR_INIT("boolean"), [GR_DIM_TIME] = GR_STR_INIT("time"),
    [GR_DIM_GEO] = GR_STR_INIT("geo"),
};

gr_str gr_http_measure_type(const gr_member *asked) { return measures[gr_member_base(asked)->agg].type; }
gr_str gr_http_agg_type(const gr_member *asked) { return measures[gr_member_base(asked)->agg].agg; }
gr_str gr_http_dim_type(const gr_member *asked) { return dimensions[gr_member_base(asked)->dim_type]; }

/* ---- formats (cube.md 3.6) ------------------------------------------------------------------- */
typedef struct named_format {
    gr_str name;
    const char *before, *after; /* around the digits of the d3 specifier */
    char digits;
} named_format;

static const named_format named_formats[] = {
    {GR_STR_INIT("number"), ",.", "f", '2'},      {GR_STR_INIT("percent"), ".", "%", '2'},
    {GR_STR_INIT("currency"), "$,.", "f", '2'},   {GR_STR_INIT("abbr"), ".", "s", '2'},
    {GR_STR_INIT("accounting"), "(,.", "f", '2'}, {GR_STR_INIT("id"), ".", "f", '0'},
};

/* "percent" and "percent_1" name the same format, with one digit. */
static const named_format *find_format(gr_str text, char *digits) {
    bool has_digits = text.n > 2 && text.p[text.n - 2] == '_' && text.p[text.n - 1] >= '0' && text.p[text.n - 1] <= '9';
    gr_str name = has_digits ? gr_str_sub(text, 0, text.n - 2) : text;
    for (size_t i = 0; i < sizeof named_formats / sizeof *named_formats; i++) {
        if (!gr_str_eq(named_formats[i].name, name)) continue;
        *digits = has_digits ? text.p[text.n - 1] : named_formats[i].digits;
        return &named_formats[i];
    }
    return NULL;
}

static bool is_link_like(gr_str format) {
    return gr_str_eq(format, GR_STR("link")) || gr_str_eq(format, GR_STR("imageUrl")) ||
           gr_str_eq(format, GR_STR("image"));
}

static void put_description(gr_jw *w, gr_str format, gr_str currency) {
    char digits = '2';
    gr_str text = format.n && !is_link_like(format) ? format : named_formats[0].name;
    const named_format *named = find_format(text, &digits);
    gr_jw_key(w, GR_STR("formatDescription"));
    gr_jw_object(w);
    gr_jw_key_str(w, "name", named ? named->name : GR_STR("custom"));
    if (named) {
        char specifier[16];
        int n = snprintf(specifier, sizeof specifier, "%s%c%s", named->before, digits, named->after);
        gr_jw_key_str(w, "specifier", (gr_str){specifier, (size_t)n});
    } else {
        gr_jw_key_str(w, "specifier", text);
    }
    if (named && gr_str_eq(named->name, GR_STR("currency"))) gr_http_put_text_key(w, "currency", currency);
    gr_jw_object_end(w);
}

void gr_http_put_format(gr_jw *w, const gr_member *asked, bool is_number) {
    gr_str format = asked->format;
    if (asked->format_node) {
        gr_http_put_yaml_key(w, "format", asked->format_node);
        const gr_yaml *value = gr_yaml_get(asked->format_node, GR_STR("value"));
        if (value && value->kind == GR_YAML_SCALAR) format = value->text;
    } else {
        gr_http_put_text_key(w, "format", format);
    }
    if (is_number) put_description(w, format, asked->currency);
    gr_http_put_text_key(w, "currency", asked->currency);
}

/* ---- members --------------------------------------------------------------------------------- */
void gr_http_put_titles(gr_jw *w, const gr_member *asked) {
    gr_jw_key_str(w, "title", asked->title);
    gr_jw_key_str(w, "shortTitle", asked->short_title);
    gr_http_put_text_key(w, "description", asked->description);
}

static void put_drill_group(gr_jw *w, const gr_model *model, const gr_member *asked, const char *key,
                            bool want_measures) {
    gr_jw_key(w, gr_str_from(key));
    gr_jw_array(w);
    for (size_t i = 0; i < asked->n_drill_members; i++) {
        const gr_member *member = NULL;
        bool is_known = gr_model_member(model, asked->drill_members[i], &member, NULL) == GR_OK;
        bool is_measure = is_known && member->kind == GR_MEMBER_MEASURE;
        if (is_measure == want_measures) gr_jw_str(w, asked->drill_members[i]);
    }
    gr_jw_array_end(w);
}

void gr_http_put_drill(gr_jw *w, const gr_model *model, const gr_member *asked) {
    gr_jw_key(w, GR_STR("drillMembers"));
    gr_jw_array(w);
    for (size_t i = 0; i < asked->n_drill_members; i++) gr_jw_str(w, asked->drill_members[i]);
    gr_jw_array_end(w);
    gr_jw_key(w, GR_STR("drillMembersGrouped"));
    gr_jw_object(w);
    put_drill_group(w, model, asked, "measures", true);
    put_drill_group(w, model, asked, "dimensions", false);
    gr_jw_object_end(w);
}

void gr_http_put_granularity(gr_jw *w, const gr_granularity *granularity) {
    gr_jw_object(w);
    gr_jw_key_str(w, "name", granularity->name);
    gr_jw_key_str(w, "title", granularity->title.n ? granularity->title : granularity->name);
    if (granularity->interval_text.n) {
        gr_jw_key_str(w, "interval", granularity->interval_text);
    } else {
        char text[64];
        int n = snprintf(text, sizeof text, "1 %.*s", (int)(granularity->name.n < 50 ? granularity->name.n : 50),
                         granularity->name.p);
        gr_jw_key_str(w, "interval", (gr_str){text, (size_t)n});
    }
    gr_http_put_text_key(w, "offset", granularity->offset_text);
    gr_http_put_text_key(w, "origin", granularity->origin_text);
    gr_jw_object_end(w);
}

/* ---- annotation ------------------------------------------------------------------------------ */
static void put_measure(gr_jw *w, const gr_query *query, const gr_field *field) {
    gr_jw_key(w, field->id);
    gr_jw_object(w);
    gr_http_put_titles(w, field->asked);
    gr_str type = gr_http_measure_type(field->asked);
    gr_jw_key_str(w, "type", type);
    gr_http_put_format(w, field->asked, gr_str_eq(type, GR_STR("number")));
    gr_http_put_yaml_key(w, "meta", field->asked->meta);
    gr_http_put_drill(w, query->model, field->asked);
    gr_jw_object_end(w);
}

static void put_dimension(gr_jw *w, gr_str key, const gr_field *field, const gr_granularity *granularity) {
    gr_jw_key(w, key);
    gr_jw_object(w);
    gr_http_put_titles(w, field->asked);
    gr_str type = gr_http_dim_type(field->asked);
    gr_jw_key_str(w, "type", type);
    gr_http_put_format(w, field->asked, gr_str_eq(type, GR_STR("number")));
    gr_http_put_yaml_key(w, "meta", field->asked->meta);
    if (granularity) {
        gr_jw_key(w, GR_STR("granularity"));
        gr_http_put_granularity(w, granularity);
    }
    gr_jw_object_end(w);
}

/* An entry per column `dim.granularity`, and one for the bare `dim` after the first of them. */
static void put_times(gr_jw *w, const gr_query *query) {
    gr_jw_key(w, GR_STR("timeDimensions"));
    gr_jw_object(w);
    for (size_t c = 0; c < query->n_columns; c++) {
        if (query->columns[c].kind != GR_COLUMN_TIME) continue;
        const gr_time_field *time = &query->time_dimensions[query->columns[c].index];
        put_dimension(w, query->columns[c].key, &time->field, time->granularity);
        bool is_first = true;
        for (size_t before = 0; before < c; before++) {
            const gr_query_column *column = &query->columns[before];
            if (column->kind == GR_COLUMN_TIME &&
                gr_str_eq(query->time_dimensions[column->index].field.id, time->field.id))
                is_first = false;
        }
        if (is_first) put_dimension(w, time->field.id, &time->field, NULL);
    }
    gr_jw_object_end(w);
}

void gr_http_put_annotation(gr_jw *w, const gr_query *query) {
    gr_jw_key(w, GR_STR("annotation"));
    gr_jw_object(w);
    gr_jw_key(w, GR_STR("measures"));
    gr_jw_object(w);
    for (size_t i = 0; i < query->n_measures; i++) put_measure(w, query, &query->measures[i]);
    gr_jw_object_end(w);
    gr_jw_key(w, GR_STR("dimensions"));
    gr_jw_object(w);
    for (size_t i = 0; i < query->n_dimensions; i++)
        put_dimension(w, query->dimensions[i].id, &query->dimensions[i], NULL);
    gr_jw_object_end(w);
    gr_jw_key(w, GR_STR("segments"));
    gr_jw_object(w);
    for (size_t i = 0; i < query->n_segments; i++) {
        const gr_member *asked = query->segments[i].asked;
        gr_jw_key(w, query->segments[i].id);
        gr_jw_object(w);
        gr_http_put_titles(w, asked);
        gr_http_put_yaml_key(w, "meta", asked->meta);
        gr_jw_object_end(w);
    }
    gr_jw_object_end(w);
    put_times(w, query);
    gr_jw_object_end(w);
}
