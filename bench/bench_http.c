/* A load generator and two things to compare with, all on loopback:
 *   bench_http load HOST PORT CONNECTIONS SECONDS FILE   send the bytes of FILE (one whole HTTP request) again and
 * again bench_http echo FILE                                 a bare libmicrohttpd that answers the bytes of FILE;
 * prints its port bench_http engine DATABASE SQLFILE SECONDS           run the SQL text of a file against a DuckDB
 * file, prepared, no parameters `load` and `engine` print one JSON object. */
#include "base/buf.h"
#include "base/mem.h"
#include "engine/engine.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void die(const char *what) {
    fprintf(stderr, "bench_http: %s\n", what);
    exit(1);
}

static gr_str read_all(const char *path) {
    FILE *f = fopen(path, "rb");
    if (!f) die(path);
    gr_buf text;
    gr_buf_init(&text, 64u << 20);
    char chunk[65536];
    for (size_t n; (n = fread(chunk, 1, sizeof chunk, f));) gr_buf_add(&text, (gr_str){chunk, n});
    fclose(f);
    gr_str s;
    if (!gr_buf_finish(&text, &s)) die("too large");
    return s;
}

static int by_value(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

static void report(int64_t *took, size_t n, double seconds) {
    if (!n) die("no request was answered");
    qsort(took, n, sizeof *took, by_value);
    printf("{\"requests\": %zu, \"per_second\": %.0f, \"p50_us\": %.1f, \"p99_us\": %.1f}\n", n, (double)n / seconds,
           (double)took[n / 2] / 1e3, (double)took[n * 99 / 100] / 1e3);
}

typedef struct client {
    int fd;
    int64_t sent_ns;
    size_t want, got; /* body bytes; want 0 = header not read yet */
    gr_buf head;
} client;

static int connect_to(const char *host, const char *port) {
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(port, NULL, 10))};
    if (inet_pton(AF_INET, host, &to.sin_addr) != 1) die("host is not an IPv4 address");
    if ((ntohl(to.sin_addr.s_addr) >> 24) != 127) die("only loopback");
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), one = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to)) die("cannot connect");
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    return fd;
}

static void send_request(client *c, gr_str request) {
    c->sent_ns = now_ns();
    c->want = c->got = 0;
    gr_buf_reset(&c->head);
    for (size_t at = 0; at < request.n;) {
        ssize_t n = send(c->fd, request.p + at, request.n - at, MSG_NOSIGNAL);
        if (n <= 0) die("send");
        at += (size_t)n;
    }
}

/* True when the whole response is here. */
static bool receive(client *c) {
    char chunk[65536];
    ssize_t n = recv(c->fd, chunk, sizeof chunk, 0);
    if (n <= 0) die("the server closed the connection");
    if (c->want) {
        c->got += (size_t)n;
        return c->got >= c->want;
    }
    gr_buf_add(&c->head, (gr_str){chunk, (size_t)n});
    gr_str head = gr_buf_str(&c->head);
    size_t end = gr_str_find_str(head, GR_STR("\r\n\r\n"));
    if (end == SIZE_MAX) return false;
    if (!gr_str_starts(head, GR_STR("HTTP/1.1 200"))) die(head.p);
    size_t at = gr_str_find_str(head, GR_STR("Content-Length: "));
    if (at == SIZE_MAX) at = gr_str_find_str(head, GR_STR("content-length: "));
    if (at == SIZE_MAX) die("no Content-Length");
    c->want = strtoul(head.p + at + 16, NULL, 10);
    c->got = head.n - end - 4;
    return c->got >= c->want;
}

static int load(char **argv) {
    size_t n = strtoul(argv[4], NULL, 10);
    double seconds = strtod(argv[5], NULL);
    gr_str request = read_all(argv[6]);
    if (n < 1 || n > 1000 || seconds > 60) die("1 to 1000 connections, at most 60 seconds");
    client *clients = gr_mem_calloc(n, sizeof *clients);
    struct pollfd *polls = gr_mem_calloc(n, sizeof *polls);
    size_t cap = 20000000, done = 0;
    int64_t *took = gr_mem_alloc(cap * sizeof *took);
    for (size_t i = 0; i < n; i++) {
        clients[i].fd = connect_to(argv[2], argv[3]);
        gr_buf_init(&clients[i].head, 1u << 20);
        polls[i] = (struct pollfd){clients[i].fd, POLLIN, 0};
    }
    int64_t start = now_ns(), stop = start + (int64_t)(seconds * 1e9);
    for (size_t i = 0; i < n; i++) send_request(&clients[i], request);
    while (now_ns() < stop && done < cap) {
        if (poll(polls, n, 1000) < 0) die("poll");
        for (size_t i = 0; i < n && done < cap; i++) {
            if (!(polls[i].revents & (POLLIN | POLLHUP | POLLERR)) || !receive(&clients[i])) continue;
            took[done++] = now_ns() - clients[i].sent_ns;
            send_request(&clients[i], request);
        }
    }
    report(took, done, (double)(now_ns() - start) / 1e9);
    for (size_t i = 0; i < n; i++) close(clients[i].fd);
    return 0;
}

static enum MHD_Result answer(void *cls, struct MHD_Connection *conn, const char *url, const char *method,
                              const char *version, const char *body, size_t *body_size, void **state) {
    (void)url, (void)method, (void)version, (void)body;
    if (!*state) {
        *state = cls;
        return MHD_YES;
    }
    if (*body_size) {
        *body_size = 0;
        return MHD_YES;
    }
    return MHD_queue_response(conn, 200, cls);
}

static int echo(const char *path) {
    gr_str bytes = read_all(path);
    union {
        const char *c;
        void *v;
    } u = {bytes.p};
    struct MHD_Response *response = MHD_create_response_from_buffer(bytes.n, u.v, MHD_RESPMEM_PERSISTENT);
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct MHD_Daemon *daemon =
        MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD, 0, NULL, NULL, answer, response, MHD_OPTION_SOCK_ADDR, &at,
                         MHD_OPTION_THREAD_POOL_SIZE, 2u, MHD_OPTION_END);
    if (!daemon) die("cannot listen");
    printf("%u\n", (unsigned)MHD_get_daemon_info(daemon, MHD_DAEMON_INFO_BIND_PORT)->port);
    fflush(stdout);
    while (getchar() != EOF) {
    } /* until the parent closes our standard input */
    MHD_stop_daemon(daemon);
    return 0;
}

static int engine(char **argv) {
    gr_str sql = gr_str_trim(read_all(argv[3]));
    double seconds = strtod(argv[4], NULL);
    gr_arena *arena = gr_arena_new();
    gr_config config = {.engine_memory_mb = 1024,
                        .engine_threads = 2,
                        .engine_connections = 1,
                        .root = GR_STR("."),
                        .state_dir = GR_STR(".")};
    gr_engine *e;
    gr_engine_conn *conn;
    gr_error err = {0};
    gr_engine_options options = {&config, gr_str_from(argv[2])};
    if (gr_engine_duckdb_driver.open(&options, &e, &err) || e->driver->connect(e, GR_STR(""), &conn, &err))
        die(err.message);
    static int64_t took[1000000];
    size_t done = 0, rows = 0;
    int64_t start = now_ns(), stop = start + (int64_t)(seconds * 1e9);
    gr_ctx ctx = {.arena = arena};
    while (now_ns() < stop && done < sizeof took / sizeof *took) {
        gr_stream *stream;
        const gr_batch *batch;
        int64_t began = now_ns();
        if (conn->driver->query(conn, &ctx, sql, NULL, 0, true, &stream, &err)) die(err.message);
        for (;;) {
            if (stream->next(stream, &batch, &err)) die(err.message);
            if (!batch) break;
            rows += batch->n_rows;
        }
        stream->close(stream);
        took[done++] = now_ns() - began;
        gr_arena_reset(arena);
    }
    report(took, done, (double)(now_ns() - start) / 1e9);
    conn->driver->disconnect(conn);
    e->driver->close(e);
    return rows ? 0 : 1;
}

int main(int argc, char **argv) {
    if (argc == 7 && !strcmp(argv[1], "load")) return load(argv);
    if (argc == 3 && !strcmp(argv[1], "echo")) return echo(argv[2]);
    if (argc == 5 && !strcmp(argv[1], "engine")) return engine(argv);
    die("usage: bench_http load HOST PORT CONNECTIONS SECONDS FILE | echo FILE | engine DATABASE SQLFILE SECONDS");
}
