/* Who may (decisions 27): one JSON web token, HS256 with the API secret and nothing else; or the token of server.json,
 * which proves that the caller can read a file that only the server's owner can. */
#include "serve/internal.h"

#include <jwt.h>
#include <openssl/crypto.h>
#include <stdlib.h>

static gr_status invalid(gr_error *err) { return gr_error_set(err, GR_ERR_AUTH_INVALID, "Invalid token"); }

/* The value is split at the first space; with two parts the second is the token (cube.md 3.2). */
static gr_str token_of(gr_str authorization) {
    gr_str s = gr_str_trim(authorization);
    size_t space = gr_str_find(s, ' ', 0);
    return space == SIZE_MAX ? s : gr_str_trim(gr_str_sub(s, space + 1, s.n - space - 1));
}

static bool is_local(const gr_serve *serve, gr_str token) {
    return token.n && token.n == serve->local_token.n && CRYPTO_memcmp(token.p, serve->local_token.p, token.n) == 0;
}

/* Default scopes of the reference: graphql, meta, data, sql. "jobs" must be granted. */
static bool has_scope(jwt_t *jwt, gr_str scope) {
    if (!scope.n) return true;
    char *json = jwt_get_grants_json(jwt, "scopes");
    if (!json) return !gr_str_eq(scope, GR_STR("jobs"));
    json_t *list = json_loads(json, JSON_DECODE_ANY, NULL);
    bool is_there = false;
    size_t i;
    json_t *item;
    json_array_foreach(list, i, item) { is_there |= json_is_string(item) && gr_str_eq(gr_json_str(item), scope); }
    json_decref(list);
    free(json);
    return is_there;
}

/* exp and nbf, when there, are numbers, and now lies between them. */
static bool is_current(jwt_t *jwt, int64_t now_s) {
    char *json = jwt_get_grants_json(jwt, NULL);
    json_t *claims = json ? json_loads(json, 0, NULL) : NULL;
    const json_t *exp = json_object_get(claims, "exp"), *nbf = json_object_get(claims, "nbf");
    bool is_ok = json_is_object(claims) && (!exp || (json_is_number(exp) && json_number_value(exp) > (double)now_s)) &&
                 (!nbf || (json_is_number(nbf) && json_number_value(nbf) <= (double)now_s));
    json_decref(claims);
    free(json);
    return is_ok;
}

/* Signed with this key by HS256, and current. *ret is released with jwt_free. */
static bool decode(gr_str token, gr_str key, jwt_t **ret) {
    char *z = gr_mem_dup(token.p, token.n);
    jwt_t *jwt = NULL;
    bool is_ok = key.n && jwt_decode(&jwt, z, (const unsigned char *)key.p, (int)key.n) == 0;
    free(z);
    if (is_ok && jwt_get_alg(jwt) == JWT_ALG_HS256 && is_current(jwt, gr_clock_now_us() / 1000000)) {
        *ret = jwt;
        return true;
    }
    if (is_ok) jwt_free(jwt);
    return false;
}

/* The secret, then each of the list. */
static jwt_t *decode_by_any(const gr_config *config, gr_str token) {
    jwt_t *jwt = NULL;
    if (decode(token, config->api_secret.value, &jwt)) return jwt;
    gr_str list = config->api_secrets.value;
    for (size_t at = 0, comma; at < list.n; at = comma + 1) {
        comma = gr_str_find(list, ',', at);
        if (comma == SIZE_MAX) comma = list.n;
        if (decode(token, gr_str_trim(gr_str_sub(list, at, comma - at)), &jwt)) return jwt;
    }
    return NULL;
}

static gr_status check_jwt(const gr_serve *serve, gr_str token, gr_str scope, gr_error *err) {
    enum { MOST_BYTES = 16384 };
    jwt_t *jwt = token.n && token.n <= MOST_BYTES ? decode_by_any(serve->config, token) : NULL;
    if (!jwt) return invalid(err);
    gr_status status = GR_OK;
    if (!has_scope(jwt, scope))
        status = gr_error_set(err, GR_ERR_AUTH_SCOPE, "API scope is missing: " GR_FMT, GR_ARG(scope));
    jwt_free(jwt);
    return status;
}

/* The first claim that names somebody. */
gr_str gr_serve_user(const gr_serve *serve, gr_str authorization, gr_arena *arena) {
    static const char *const claims[] = {"username", "email", "sub"};
    gr_str token = token_of(authorization), user = {0};
    enum { MOST_BYTES = 16384, MOST_NAME = 256 };
    jwt_t *jwt = token.n && token.n <= MOST_BYTES ? decode_by_any(serve->config, token) : NULL;
    for (size_t i = 0; jwt && i < sizeof claims / sizeof *claims && !user.n; i++) {
        const char *name = jwt_get_grant(jwt, claims[i]);
        if (name && strlen(name) <= MOST_NAME && gr_str_is_utf8(gr_str_from(name)))
            user = gr_arena_dup(arena, gr_str_from(name));
    }
    if (jwt) jwt_free(jwt);
    return user;
}

gr_status gr_serve_authorize(const gr_serve *serve, gr_str authorization, gr_str local_token, gr_str scope,
                             gr_error *err) {
    if (is_local(serve, local_token)) return GR_OK;
    if (serve->config->dev_mode || !serve->config->api_secret.value.n) return GR_OK;
    if (!gr_str_trim(authorization).n) return gr_error_set(err, GR_ERR_AUTH_MISSING, "Authorization header isn't set");
    return check_jwt(serve, token_of(authorization), scope, err);
}
