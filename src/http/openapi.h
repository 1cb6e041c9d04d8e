/* The OpenAPI document and its table of schemas; private to http/. */
#ifndef GR_HTTP_OPENAPI_H
#define GR_HTTP_OPENAPI_H
#include "data/json.h"

typedef struct gr_http_schema {
    const char *name;
    bool is_enum; /* `text` is "a|b|c"; else fields, in the language of openapi.c */
    const char *text;
} gr_http_schema;
const gr_http_schema *gr_http_schemas(size_t *ret_n); /* openapi_schemas.c */

void gr_http_put_openapi(gr_jw *w, gr_arena *arena);
#endif
