/* GET /openapi.json: OpenAPI 3.1 of every route, made of the table of routes and the table of schemas. Both write types
 * in one small language:
 *
 *   text integer number boolean time object any      Name: another schema      [x]: a list of x      x?: or null
 *   a field: name:type, with ! before it when it is always there, with * behind the name of a repeated parameter
 *
 * test_openapi holds that document and routes say the same. */
#include "http/openapi.h"

#include "http/dj_internal.h"

/* ---- types ----------------------------------------------------------------------------------- */
typedef struct basic {
    gr_str name;
    const char *type, *format; /* JSON schema's; NULL: none */
} basic;

static const basic basics[] = {
    {GR_STR_INIT("text"), "string", NULL},     {GR_STR_INIT("Text"), "string", NULL},
    {GR_STR_INIT("integer"), "integer", NULL}, {GR_STR_INIT("number"), "number", NULL},
    {GR_STR_INIT("boolean"), "boolean", NULL}, {GR_STR_INIT("time"), "string", "date-time"},
    {GR_STR_INIT("date"), "string", "date"},   {GR_STR_INIT("object"), "object", NULL},
    {GR_STR_INIT("any"), NULL, NULL},          {GR_STR_INIT("Any"), NULL, NULL},
};

static const basic *basic_of(gr_str name) {
    for (size_t i = 0; i < sizeof basics / sizeof *basics; i++)
        if (gr_str_eq(basics[i].name, name)) return &basics[i];
    return NULL;
}

static void put_kind(gr_jw *w, const char *type, bool is_nullable) {
    gr_jw_key(w, GR_STR("type"));
    if (is_nullable) gr_jw_array(w);
    gr_jw_str(w, gr_str_from(type));
    if (is_nullable) gr_jw_str(w, GR_STR("null"));
    if (is_nullable) gr_jw_array_end(w);
}

static void put_ref(gr_jw *w, gr_str name) {
    static const char prefix[] = "#/components/schemas/";
    char text[128];
    size_t n = name.n < sizeof text - sizeof prefix ? name.n : sizeof text - sizeof prefix;
    memcpy(text, prefix, sizeof prefix - 1);
    memcpy(text + sizeof prefix - 1, name.p, n);
    gr_jw_object(w);
    gr_jw_key_str(w, "$ref", (gr_str){text, sizeof prefix - 1 + n});
    gr_jw_object_end(w);
}

static void put_ref_or_null(gr_jw *w, gr_str name) {
    gr_jw_object(w);
    gr_jw_key(w, GR_STR("oneOf"));
    gr_jw_array(w);
    put_ref(w, name);
    gr_jw_object(w);
    put_kind(w, "null", false);
    gr_jw_object_end(w);
    gr_jw_array_end(w);
    gr_jw_object_end(w);
}

static void put_single(gr_jw *w, gr_str type, bool is_nullable) {
    const basic *b = basic_of(type);
    if (!b && is_nullable) {
        put_ref_or_null(w, type);
        return;
    }
    if (!b) {
        put_ref(w, type);
        return;
    }
    gr_jw_object(w);
    if (b->type) put_kind(w, b->type, is_nullable);
    if (b->format) gr_jw_key_str(w, "format", gr_str_from(b->format));
    gr_jw_object_end(w);
}

static void put_list(gr_jw *w, gr_str item, bool is_nullable) {
    gr_jw_object(w);
    put_kind(w, "array", is_nullable);
    gr_jw_key(w, GR_STR("items"));
    put_single(w, item, false);
    gr_jw_object_end(w);
}

static void put_type(gr_jw *w, gr_str type) {
    bool is_nullable = gr_str_ends(type, GR_STR("?"));
    if (is_nullable) type.n--;
    if (gr_str_starts(type, GR_STR("[")))
        put_list(w, gr_str_sub(type, 1, type.n - 2), is_nullable);
    else
        put_single(w, type, is_nullable);
}

/* ---- fields ---------------------------------------------------------------------------------- */
typedef struct field {
    gr_str name, type;
    bool is_required, is_repeated;
} field;

/* The next of "a:x, !b*:y"; false at the end. */
static bool next_field(gr_str *rest, field *ret) {
    if (!rest->n) return false;
    size_t comma = gr_str_find(*rest, ',', 0), end = comma == SIZE_MAX ? rest->n : comma;
    gr_str item = gr_str_trim(gr_str_sub(*rest, 0, end));
    *rest = comma == SIZE_MAX ? (gr_str){0} : gr_str_sub(*rest, comma + 1, rest->n - comma - 1);
    size_t colon = gr_str_find(item, ':', 0);
    *ret = (field){.name = colon == SIZE_MAX ? item : gr_str_sub(item, 0, colon),
                   .type = colon == SIZE_MAX ? GR_STR("text") : gr_str_sub(item, colon + 1, item.n - colon - 1)};
    ret->is_required = gr_str_starts(ret->name, GR_STR("!"));
    if (ret->is_required) ret->name = gr_str_sub(ret->name, 1, ret->name.n - 1);
    ret->is_repeated = gr_str_ends(ret->name, GR_STR("*"));
    if (ret->is_repeated) ret->name.n--;
    return true;
}

static void put_enum(gr_jw *w, gr_str values) {
    gr_jw_object(w);
    put_kind(w, "string", false);
    gr_jw_key(w, GR_STR("enum"));
    gr_jw_array(w);
    for (size_t at = 0, end; at < values.n; at = end + 1) {
        end = gr_str_find(values, '|', at);
        if (end == SIZE_MAX) end = values.n;
        gr_jw_str(w, gr_str_sub(values, at, end - at));
    }
    gr_jw_array_end(w);
    gr_jw_object_end(w);
}

static void put_object(gr_jw *w, gr_str fields) {
    field f;
    gr_jw_object(w);
    put_kind(w, "object", false);
    gr_jw_key(w, GR_STR("properties"));
    gr_jw_object(w);
    for (gr_str rest = fields; next_field(&rest, &f);) {
        gr_jw_key(w, f.name);
        put_type(w, f.type);
    }
    gr_jw_object_end(w);
    gr_jw_key(w, GR_STR("required"));
    gr_jw_array(w);
    for (gr_str rest = fields; next_field(&rest, &f);)
        if (f.is_required) gr_jw_str(w, f.name);
    gr_jw_array_end(w);
    gr_jw_object_end(w);
}

static void put_schemas(gr_jw *w) {
    size_t n;
    const gr_http_schema *schemas = gr_http_schemas(&n);
    gr_jw_key(w, GR_STR("schemas"));
    gr_jw_object(w);
    for (size_t i = 0; i < n; i++) {
        gr_jw_key(w, gr_str_from(schemas[i].name));
        if (schemas[i].is_enum)
            put_enum(w, gr_str_from(schemas[i].text));
        else
            put_object(w, gr_str_from(schemas[i].text));
    }
    gr_jw_object_end(w);
}

/* ---- paths ----------------------------------------------------------------------------------- */
/* What stands for {} behind which segment. */
static gr_str wild_name(gr_str before, size_t nth) {
    static const struct {
        gr_str before, name;
    } names[] = {{GR_STR_INIT("pre-aggregations"), GR_STR_INIT("id")},
                 {GR_STR_INIT("preaggs"), GR_STR_INIT("id")},
                 {GR_STR_INIT("versions"), GR_STR_INIT("version")},
                 {GR_STR_INIT("history"), GR_STR_INIT("entity_type")}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (gr_str_eq(names[i].before, before)) return names[i].name;
    return nth ? GR_STR("entity_name") : GR_STR("name");
}

typedef struct wilds {
    gr_str path; /* "/cubes/{name}/versions/{version}" */
    gr_str names[GR_HTTP_MAX_WILD];
    size_t n;
} wilds;

static wilds name_wilds(const char *pattern, gr_arena *arena) {
    wilds ret = {0};
    gr_str path = gr_str_from(pattern), before = {0};
    char *out = gr_arena_alloc(arena, path.n + 64);
    size_t n = 0;
    for (size_t at = 1, end; at <= path.n; at = end + 1) {
        end = gr_str_find(path, '/', at);
        if (end == SIZE_MAX) end = path.n;
        gr_str segment = gr_str_sub(path, at, end - at), shown = segment;
        if (gr_str_eq(segment, GR_STR("{}"))) {
            ret.names[ret.n] = wild_name(before, ret.n);
            shown = gr_arena_printf(arena, "{" GR_FMT "}", GR_ARG(ret.names[ret.n]));
            ret.n++;
        }
        out[n++] = '/';
        memcpy(out + n, shown.p, shown.n);
        n += shown.n;
        before = segment;
    }
    ret.path = (gr_str){out, n};
    return ret;
}

static void put_param(gr_jw *w, gr_str name, const char *in, const field *f) {
    bool is_path = strcmp(in, "path") == 0;
    gr_jw_object(w);
    gr_jw_key_str(w, "name", name);
    gr_jw_key_str(w, "in", gr_str_from(in));
    gr_jw_key_bool(w, "required", is_path || f->is_required);
    gr_jw_key(w, GR_STR("schema"));
    if (f->is_repeated)
        put_list(w, f->type, false);
    else
        put_type(w, f->type);
    gr_jw_object_end(w);
}

static void put_params(gr_jw *w, const gr_http_route *route, const wilds *wild, bool with_query) {
    field f = {.type = GR_STR("text")};
    gr_jw_key(w, GR_STR("parameters"));
    gr_jw_array(w);
    for (size_t i = 0; i < wild->n; i++) put_param(w, wild->names[i], "path", &f);
    for (gr_str rest = gr_str_from(route->doc.params); with_query && next_field(&rest, &f);)
        put_param(w, f.name, "query", &f);
    gr_jw_array_end(w);
}

static void put_content(gr_jw *w, gr_str type) {
    bool is_json = gr_str_find(type, '/', 0) == SIZE_MAX; /* else it is a type of content: text */
    gr_jw_key(w, GR_STR("content"));
    gr_jw_object(w);
    gr_jw_key(w, is_json ? GR_STR("application/json") : type);
    gr_jw_object(w);
    gr_jw_key(w, GR_STR("schema"));
    put_type(w, is_json ? type : GR_STR("text"));
    gr_jw_object_end(w);
    gr_jw_object_end(w);
}

static void put_body(gr_jw *w, const gr_http_route *route, unsigned method) {
    gr_str body = gr_str_from(route->doc.body);
    if (!body.n || !(method & (GR_HTTP_POST | GR_HTTP_PATCH))) return;
    bool is_optional = gr_str_ends(body, GR_STR("?"));
    if (is_optional) body.n--;
    gr_jw_key(w, GR_STR("requestBody"));
    gr_jw_object(w);
    gr_jw_key_bool(w, "required", !is_optional);
    put_content(w, body);
    gr_jw_object_end(w);
}

static void put_response(gr_jw *w, gr_str code, gr_str description, gr_str type) {
    gr_jw_key(w, code);
    gr_jw_object(w);
    gr_jw_key_str(w, "description", description);
    put_content(w, type);
    gr_jw_object_end(w);
}

static void put_responses(gr_jw *w, const gr_http_route *route, gr_arena *arena) {
    gr_str answer = gr_str_from(route->doc.answer);
    gr_jw_key(w, GR_STR("responses"));
    gr_jw_object(w);
    put_response(w, gr_arena_printf(arena, "%d", route->doc.status), GR_STR("Done."), answer);
    if (route->doc.status == 202) put_response(w, GR_STR("200"), GR_STR("It is built."), answer);
    if (route->dj) put_response(w, GR_STR("422"), GR_STR("Malformed."), GR_STR("Unprocessable"));
    put_response(w, GR_STR("default"), GR_STR("Refused, or failed."),
                 route->dj ? GR_STR("Error") : GR_STR("CubeError"));
    gr_jw_object_end(w);
}

static void put_security(gr_jw *w, const gr_http_route *route) {
    gr_jw_key(w, GR_STR("security"));
    gr_jw_array(w);
    if (route->scope) {
        gr_jw_object(w);
        gr_jw_key(w, GR_STR("token"));
        gr_jw_array(w);
        gr_jw_str(w, gr_str_from(route->scope));
        gr_jw_array_end(w);
        gr_jw_object_end(w);
    }
    gr_jw_array_end(w);
}

static gr_str lower(const char *name, gr_arena *arena) {
    gr_str text = gr_str_from(name);
    char *out = gr_arena_alloc(arena, text.n + 1);
    for (size_t i = 0; i < text.n; i++) out[i] = (char)(name[i] | 0x20);
    return (gr_str){out, text.n};
}

static void put_operation(gr_jw *w, const gr_http_route *route, const wilds *wild, const gr_http_method_name *method,
                          gr_arena *arena) {
    /* A query in the body of a POST has its parameters there. */
    bool with_query = !route->wants_query || method->method == GR_HTTP_GET;
    gr_jw_key(w, lower(method->name, arena));
    gr_jw_object(w);
    gr_jw_key_str(w, "summary", gr_str_from(route->doc.summary));
    gr_jw_key_str(w, "operationId", gr_arena_printf(arena, "%s " GR_FMT, method->name, GR_ARG(wild->path)));
    put_params(w, route, wild, with_query);
    put_body(w, route, method->method);
    put_responses(w, route, arena);
    put_security(w, route);
    gr_jw_object_end(w);
}

static bool is_first_of_path(const gr_http_route *routes, size_t i) {
    for (size_t k = 0; k < i; k++)
        if (strcmp(routes[k].path, routes[i].path) == 0) return false;
    return true;
}

static void put_path(gr_jw *w, const gr_http_route *routes, size_t n, size_t first, gr_arena *arena) {
    size_t n_methods;
    const gr_http_method_name *methods = gr_http_methods(&n_methods);
    wilds wild = name_wilds(routes[first].path, arena);
    gr_jw_key(w, wild.path);
    gr_jw_object(w);
    for (size_t i = first; i < n; i++) {
        if (strcmp(routes[i].path, routes[first].path) != 0) continue;
        for (size_t m = 0; m < n_methods; m++)
            if (routes[i].methods & methods[m].method) put_operation(w, &routes[i], &wild, &methods[m], arena);
    }
    gr_jw_object_end(w);
}

static void put_paths(gr_jw *w, gr_arena *arena) {
    size_t n;
    const gr_http_route *routes = gr_http_routes(&n);
    gr_jw_key(w, GR_STR("paths"));
    gr_jw_object(w);
    for (size_t i = 0; i < n; i++)
        if (is_first_of_path(routes, i)) put_path(w, routes, n, i, arena);
    gr_jw_object_end(w);
}

/* ---- the document ---------------------------------------------------------------------------- */
void gr_http_put_openapi(gr_jw *w, gr_arena *arena) {
    gr_jw_object(w);
    gr_jw_key_str(w, "openapi", GR_STR("3.1.0"));
    gr_jw_key(w, GR_STR("info"));
    gr_jw_object(w);
    gr_jw_key_str(w, "title", GR_STR("Granary"));
    gr_jw_key_str(w, "version", GR_STR("1.0"));
    gr_jw_object_end(w);
    put_paths(w, arena);
    gr_jw_key(w, GR_STR("components"));
    gr_jw_object(w);
    put_schemas(w);
    gr_jw_key(w, GR_STR("securitySchemes"));
    gr_jw_object(w);
    gr_jw_key(w, GR_STR("token"));
    gr_jw_object(w);
    gr_jw_key_str(w, "type", GR_STR("http"));
    gr_jw_key_str(w, "scheme", GR_STR("bearer"));
    gr_jw_key_str(w, "bearerFormat", GR_STR("JWT"));
    gr_jw_object_end(w);
    gr_jw_object_end(w);
    gr_jw_object_end(w);
    gr_jw_object_end(w);
}

gr_status gr_dj_do_openapi(gr_dj *dj, gr_error *err) {
    (void)err;
    gr_http_put_openapi(dj->w, dj->arena);
    return GR_OK;
}
