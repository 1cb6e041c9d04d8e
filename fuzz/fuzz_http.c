/* The HTTP surface: raw bytes on a socket of a real server on loopback, which must survive them and answer the next
 * request. The first byte chooses: raw bytes, or a well-formed POST /v1/load (or a GET) around them. */
#include "base/log.h"
#include "http/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __lsan_is_turned_off(void);

/* Server and engine live on between inputs, with their threads at work: a leak check between two inputs would name what
 * they hold. Leaks of whole runs are looked for by the API tests under AddressSanitizer. Not __asan_default_options:
 * the ASAN_OPTIONS of scripts/test would override it. */
int __lsan_is_turned_off(void) { return 1; }

static gr_http *http;

static char root[] = "/tmp/granary-fuzz-XXXXXX";

/* libFuzzer reads its corpus relative to where it was started, so nothing here may change the folder. */
static gr_str path_of(gr_arena *arena, const char *name) { return gr_arena_printf(arena, "%s/%s", root, name); }

static void write_file(gr_arena *arena, const char *name, const char *text) {
    FILE *f = fopen(path_of(arena, name).p, "w");
    if (!f || fputs(text, f) < 0 || fclose(f)) abort();
}

static void remove_root(void) {
    char command[64];
    snprintf(command, sizeof command, "rm -rf %s", root);
    if (system(command)) fprintf(stderr, "%s stays\n", root);
}

static void start(void) {
    static gr_arena *life;
    life = gr_arena_new();
    atexit(remove_root);
    if (!mkdtemp(root) || mkdir(path_of(life, "model").p, 0700) || mkdir(path_of(life, "data").p, 0700)) abort();
    write_file(life, "data/a.csv", "id,s\n1,x\n2,y\n");
    write_file(
        life, "model/a.yml",
        "cubes:\n- name: a\n  sql_table: a\n  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n"
        "  - {name: s, sql: s, type: string}\n  measures:\n  - {name: c, type: count}\n");
    write_file(life, "granary.yml",
               "data_sources:\n  default: {type: duckdb, path: data}\nmodel: model\nlog: {level: \"off\"}\n");
    gr_config *config;
    gr_error err = {0};
    char *no_environment[] = {NULL};
    gr_diags diags;
    gr_diags_init(&diags, life);
    gr_serve *serve;
    gr_log_setup(GR_LOG_OFF, false);
    if (gr_config_load(path_of(life, "granary.yml"), NULL, 0, no_environment, life, &config, &err) ||
        gr_serve_open(config, (gr_serve_options){0}, &diags, &serve, &err) ||
        gr_http_start(serve, &(gr_http_options){.has_port = true}, &http, &err)) {
        fprintf(stderr, "%s\n", err.message);
        abort();
    }
}

/* Sends all, reads what comes until the server closes or half a second passes. Returns the bytes read. */
static size_t talk(const void *bytes, size_t size, bool hang_up) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in to = {
        .sin_family = AF_INET, .sin_port = htons(gr_http_port(http)), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval half = {0, 500000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &half, sizeof half);
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &half, sizeof half);
    size_t n = 0;
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) abort();
    if (send(fd, bytes, size, MSG_NOSIGNAL) >= 0) {
        if (hang_up) shutdown(fd, SHUT_WR); /* counts as leaving */
        char chunk[8192];
        for (ssize_t got; (got = recv(fd, chunk, sizeof chunk, 0)) > 0;) n += (size_t)got;
    }
    close(fd);
    return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (!http) start();
    if (size < 1 || size > 60000) return 0;
    static char request[70000];
    int n;
    if (data[0] % 3 == 0) {
        talk(data + 1, size - 1, true);
    } else if (data[0] % 3 == 1) {
        n = snprintf(request, sizeof request,
                     "POST /cubejs-api/v1/load HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n",
                     size - 1);
        memcpy(request + n, data + 1, size - 1);
        if (!talk(request, (size_t)n + size - 1, false)) abort(); /* a well-formed request is always answered */
    } else {
        n = snprintf(request, sizeof request,
                     "GET /cubejs-api/v1/load?query=%.*s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n",
                     (int)size - 1, (const char *)data + 1);
        talk(request, (size_t)n, true);
    }
    static const char livez[] = "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    static unsigned count;
    if (++count % 64 == 0 && !talk(livez, sizeof livez - 1, false)) abort();
    return 0;
}
