/* A modern ClickHouse behind HTTP, for tests: chDB, the engine as a library, answers statements one at a time.
 *
 *      chdb_server LIBRARY FOLDER PORT      until it is ended
 *
 * It has what Granary's driver asks: a statement as the body, or as `query` with the rows of an INSERT as the body;
 * `default_format`, `database`; everything else that is sent (users, settings, ids) is ignored, but join_use_nulls,
 * which is on. Loopback alone. What it shows is what the parser and the engine of a modern release make of our
 * statements: there is no cluster, no user and no KILL QUERY. */
#include <dlfcn.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct chdb_connection *chdb_connection;
typedef struct chdb_result chdb_result;

/* The package has no header; these are its exported functions. */
static chdb_connection *(*chdb_connect)(int, char **);
static chdb_result *(*chdb_query)(chdb_connection, const char *, const char *);
static char *(*chdb_result_buffer)(chdb_result *);
static size_t (*chdb_result_length)(chdb_result *);
static const char *(*chdb_result_error)(chdb_result *);
static void (*chdb_destroy_query_result)(chdb_result *);
static void *(*chdb_stream_insert)(chdb_connection, const char *, const char *);
static int (*chdb_stream_append)(void *, const void *, size_t);
static chdb_result *(*chdb_stream_done)(void *);
static const char *(*chdb_stream_insert_error)(void *);
static void (*chdb_destroy_insert_stream)(void *);

static chdb_connection *engine;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static void *symbol(void *library, const char *name) {
    void *found = dlsym(library, name);
    if (!found) fprintf(stderr, "chdb_server: the library has no %s\n", name);
    if (!found) exit(1);
    return found;
}

static void load(const char *path) {
    void *so = dlopen(path, RTLD_NOW | RTLD_GLOBAL);
    if (!so) fprintf(stderr, "chdb_server: %s\n", dlerror());
    if (!so) exit(1);
#define TAKE(name) *(void **)&name = symbol(so, #name)
    TAKE(chdb_connect), TAKE(chdb_query), TAKE(chdb_result_buffer), TAKE(chdb_result_length);
    TAKE(chdb_result_error), TAKE(chdb_destroy_query_result), TAKE(chdb_stream_insert), TAKE(chdb_stream_append);
    TAKE(chdb_stream_done), TAKE(chdb_stream_insert_error), TAKE(chdb_destroy_insert_stream);
}

typedef struct body {
    char *p;
    size_t n;
} body;

static enum MHD_Result answer(struct MHD_Connection *http, unsigned status, const char *text, size_t n) {
    struct MHD_Response *r = MHD_create_response_from_buffer(n, (void *)(size_t)text, MHD_RESPMEM_MUST_COPY);
    enum MHD_Result queued = MHD_queue_response(http, status, r);
    MHD_destroy_response(r);
    return queued;
}

static enum MHD_Result answer_result(struct MHD_Connection *http, chdb_result *r) {
    const char *error = r ? chdb_result_error(r) : "no result";
    enum MHD_Result queued = error ? answer(http, MHD_HTTP_INTERNAL_SERVER_ERROR, error, strlen(error))
                                   : answer(http, MHD_HTTP_OK, chdb_result_buffer(r), chdb_result_length(r));
    if (r) chdb_destroy_query_result(r);
    return queued;
}

static void run(const char *sql) {
    chdb_result *r = chdb_query(*engine, sql, "Null");
    if (r) chdb_destroy_query_result(r);
}

/* `INSERT INTO t (…) FORMAT Native`, and its blocks. */
static enum MHD_Result insert(struct MHD_Connection *http, const char *statement, const body *rows) {
    char *sql = strdup(statement), *format = strstr(sql, " FORMAT ");
    if (format) *format = 0;
    void *stream = chdb_stream_insert(*engine, sql, format ? format + strlen(" FORMAT ") : "Native");
    const char *error = chdb_stream_insert_error(stream);
    if (!error && chdb_stream_append(stream, rows->p, rows->n)) error = chdb_stream_insert_error(stream);
    enum MHD_Result queued = error ? answer(http, MHD_HTTP_INTERNAL_SERVER_ERROR, error, strlen(error))
                                   : answer_result(http, chdb_stream_done(stream));
    chdb_destroy_insert_stream(stream);
    free(sql);
    return queued;
}

static enum MHD_Result work(struct MHD_Connection *http, const body *b) {
    const char *query = MHD_lookup_connection_value(http, MHD_GET_ARGUMENT_KIND, "query"),
               *format = MHD_lookup_connection_value(http, MHD_GET_ARGUMENT_KIND, "default_format"),
               *database = MHD_lookup_connection_value(http, MHD_GET_ARGUMENT_KIND, "database");
    char use[300];
    pthread_mutex_lock(&lock);
    snprintf(use, sizeof use, "USE `%s`", database && *database ? database : "default");
    run(use);
    enum MHD_Result queued = query && *query
                                 ? insert(http, query, b)
                                 : answer_result(http, chdb_query(*engine, b->p, format ? format : "TabSeparated"));
    pthread_mutex_unlock(&lock);
    return queued;
}

static enum MHD_Result handle(void *arg, struct MHD_Connection *http, const char *url, const char *method,
                              const char *version, const char *data, size_t *size, void **state) {
    (void)arg, (void)method, (void)version;
    body *b = *state;
    if (!b) {
        *state = calloc(1, sizeof *b);
        return *state ? MHD_YES : MHD_NO;
    }
    if (*size) {
        b->p = realloc(b->p, b->n + *size + 1);
        memcpy(b->p + b->n, data, *size);
        b->n += *size;
        b->p[b->n] = 0;
        *size = 0;
        return MHD_YES;
    }
    if (!strcmp(url, "/ping")) return answer(http, MHD_HTTP_OK, "Ok.\n", 4);
    return b->p ? work(http, b) : answer(http, MHD_HTTP_BAD_REQUEST, "no statement", strlen("no statement"));
}

static void done(void *arg, struct MHD_Connection *http, void **state, enum MHD_RequestTerminationCode code) {
    (void)arg, (void)http, (void)code;
    body *b = *state;
    if (b) free(b->p);
    free(b);
}

int main(int argc, char **argv) {
    if (argc != 4) return fprintf(stderr, "usage: chdb_server LIBRARY FOLDER PORT\n"), 2;
    if (!freopen("/dev/null", "r", stdin)) return 1; /* an INSERT would read it */
    load(argv[1]);
    char path[500], name[] = "clickhouse", *arguments[] = {name, path};
    snprintf(path, sizeof path, "--path=%s", argv[2]);
    engine = chdb_connect(2, arguments);
    if (!engine) return fprintf(stderr, "chdb_server: the engine does not start in %s\n", argv[2]), 1;
    run("SET join_use_nulls = 1");
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    at.sin_port = htons((uint16_t)strtol(argv[3], NULL, 10));
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD, 0, NULL, NULL, handle, NULL,
                         MHD_OPTION_SOCK_ADDR, &at, MHD_OPTION_NOTIFY_COMPLETED, done, NULL, MHD_OPTION_END);
    if (!daemon) return fprintf(stderr, "chdb_server: port %s is taken\n", argv[3]), 1;
    for (;;) pause();
}
