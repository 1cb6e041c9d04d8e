/* A small HTTP client over a blocking socket, for the tests of the front door. */
#ifndef GR_TEST_HTTP_CLIENT_H
#define GR_TEST_HTTP_CLIENT_H
#include "base/buf.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

typedef struct reply {
    int status; /* 0: the connection was closed without an answer */
    gr_buf head, body;
} reply;

static inline int client_connect(uint16_t port) {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {20, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    if (connect(fd, (const struct sockaddr *)&to, sizeof to)) {
        close(fd);
        return -1;
    }
    return fd;
}

static inline void client_send(int fd, gr_str text) {
    while (text.n) {
        ssize_t n = send(fd, text.p, text.n, MSG_NOSIGNAL);
        if (n <= 0) return;
        text.p += n;
        text.n -= (size_t)n;
    }
}

static inline gr_str reply_header(const reply *r, const char *name) {
    size_t n = strlen(name);
    gr_str head = gr_buf_str(&r->head);
    for (size_t at = 0; at < head.n;) {
        size_t end = gr_str_find(head, '\n', at);
        if (end == SIZE_MAX) end = head.n;
        gr_str line = gr_str_trim(gr_str_sub(head, at, end - at));
        if (line.n > n && line.p[n] == ':' && strncasecmp(line.p, name, n) == 0)
            return gr_str_trim(gr_str_sub(line, n + 1, line.n - n - 1));
        at = end + 1;
    }
    return (gr_str){0};
}

/* Read one answer with a Content-Length, or up to the end of the connection. */
static inline reply client_read(int fd, bool is_head) {
    reply r = {0};
    gr_buf_init(&r.head, 1 << 20);
    gr_buf_init(&r.body, 1u << 30);
    char c[4096];
    size_t split = SIZE_MAX;
    int64_t want = -1;
    for (;;) {
        if (split != SIZE_MAX && want >= 0 && (is_head || r.body.n >= (size_t)want)) break;
        ssize_t n = recv(fd, c, sizeof c, 0);
        if (n <= 0) break;
        if (split != SIZE_MAX) {
            gr_buf_add(&r.body, (gr_str){c, (size_t)n});
            continue;
        }
        gr_buf_add(&r.head, (gr_str){c, (size_t)n});
        split = gr_str_find_str(gr_buf_str(&r.head), GR_STR("\r\n\r\n"));
        if (split == SIZE_MAX) continue;
        gr_buf_add(&r.body, gr_str_sub(gr_buf_str(&r.head), split + 4, r.head.n - split - 4));
        r.head.n = split;
        (void)gr_str_to_i64(reply_header(&r, "content-length"), &want);
        if (r.head.n > 12) r.status = atoi(r.head.p + 9);
        if (r.status == 204) want = 0;
    }
    gr_str whole;
    if (!gr_buf_finish(&r.head, &whole) || !gr_buf_finish(&r.body, &whole)) r.status = -1;
    return r;
}

static inline void reply_done(reply *r) {
    gr_buf_done(&r->head);
    gr_buf_done(&r->body);
}

/* `request` is the text up to and without the blank line; the body follows it. */
static inline void client_write(int fd, const char *request, const char *body) {
    gr_buf text;
    gr_buf_init(&text, 1 << 26);
    gr_buf_z(&text, request);
    gr_buf_z(&text, "\r\nHost: x\r\n");
    if (body) gr_buf_printf(&text, "Content-Length: %zu\r\n", strlen(body));
    gr_buf_z(&text, "\r\n");
    if (body) gr_buf_z(&text, body);
    client_send(fd, gr_buf_str(&text));
    gr_buf_done(&text);
}

static inline reply client_call(uint16_t port, const char *request, const char *body) {
    int fd = client_connect(port);
    if (fd < 0) return (reply){0};
    client_write(fd, request, body);
    reply r = client_read(fd, strncmp(request, "HEAD", 4) == 0);
    close(fd);
    return r;
}
#endif
