/* The server's life: listen, run, drain, stop.
 *
 * Stop: (1) no more connections; new requests get 503; running ones may end for drain_ms. (2) what is left is cancelled
 * and answered; what has no client any more is cancelled and waited for. (3) the answers are flushed, threads joined,
 * everything closed. Invariant: the library is stopped only when no connection is suspended, as it demands. */
#include "http/server.h"

#include "base/mem.h"
#include "http/internal.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum {
    LIGHT_WORKERS = 2,
    IDLE_SECONDS = 30,
    CONNECTION_BYTES = 64 << 10, /* of headers and URL together */
    MAX_CONNECTIONS = 8192,
    FILES_KEPT = 128, /* descriptors that connections may not take */
    FLUSH_US = 2000000,
    ORPHAN_MS = 120000,
    KEEP_MS = 30000,
};

/* The text of errno, in a buffer of the thread. */
static const char *errno_text(int code) {
    static _Thread_local char text[128];
    return strerror_r(code, text, sizeof text);
}

/* ---- listening ------------------------------------------------------------------------------- */
static bool is_loopback(const struct sockaddr *address) {
    if (address->sa_family == AF_INET)
        return (ntohl(((const struct sockaddr_in *)(const void *)address)->sin_addr.s_addr) >> 24) == 127;
    if (address->sa_family == AF_INET6)
        return IN6_IS_ADDR_LOOPBACK(&((const struct sockaddr_in6 *)(const void *)address)->sin6_addr);
    return false;
}

static gr_status check_address(const gr_config *config, const char *host, const struct sockaddr *address,
                               gr_error *err) {
    if (is_loopback(address)) return GR_OK;
    if (config->api_secret.value.n) {
        if (config->dev_mode)
            gr_log_event(GR_LOG_WARN, "http.open", "host", gr_str_from(host), "why",
                         GR_STR("developer mode: tokens are not enforced on an address that others can reach"), NULL);
        return GR_OK;
    }
    gr_error_set(err, GR_ERR_SERVER_LISTEN, "Without an API secret the server listens on loopback only, not on %s",
                 host);
    gr_error_hint(err, "Set GRANARY_API_SECRET, or use --host 127.0.0.1.");
    return GR_ERR_SERVER_LISTEN;
}

static gr_status bind_and_listen(const struct addrinfo *address, const char *host, const char *port, int *ret,
                                 gr_error *err) {
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), on = 1;
    if (fd < 0)
        return gr_error_set(err, GR_ERR_SERVER_LISTEN, "Cannot make a socket for %s: %s", host, errno_text(errno));
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, 1024) == 0) {
        *ret = fd;
        return GR_OK;
    }
    int why = errno;
    close(fd);
    gr_error_set(err, GR_ERR_SERVER_LISTEN, "Cannot listen on %s port %s: %s", host, port, errno_text(why));
    if (why == EADDRINUSE)
        gr_error_hint(err, "Another program uses this port; choose one with --port, or 0 for a free one.");
    return GR_ERR_SERVER_LISTEN;
}

static void note_address(gr_http *http) {
    struct sockaddr_storage bound = {0};
    socklen_t n = sizeof bound;
    char host[INET6_ADDRSTRLEN + 1] = "127.0.0.1";
    (void)getsockname(http->listen_fd, (struct sockaddr *)&bound, &n);
    if (bound.ss_family == AF_INET6) {
        struct sockaddr_in6 v6;
        memcpy(&v6, &bound, sizeof v6);
        http->port = ntohs(v6.sin6_port);
        bool is_any = IN6_IS_ADDR_UNSPECIFIED(&v6.sin6_addr);
        inet_ntop(AF_INET6, is_any ? &in6addr_loopback : &v6.sin6_addr, host, sizeof host);
        snprintf(http->url, sizeof http->url, "http://[%s]:%u", host, http->port);
        return;
    }
    struct sockaddr_in v4;
    memcpy(&v4, &bound, sizeof v4);
    http->port = ntohs(v4.sin_port);
    if (v4.sin_addr.s_addr != htonl(INADDR_ANY)) inet_ntop(AF_INET, &v4.sin_addr, host, sizeof host);
    snprintf(http->url, sizeof http->url, "http://%s:%u", host, http->port);
}

static gr_status listen_on(gr_http *http, gr_str host, int64_t port, gr_error *err) {
    char host_text[256], port_text[16];
    if (!host.n || host.n >= sizeof host_text)
        return gr_error_set(err, GR_ERR_SERVER_LISTEN, "The host to listen on is empty or too long");
    memcpy(host_text, host.p, host.n);
    host_text[host.n] = 0;
    snprintf(port_text, sizeof port_text, "%d", (int)port);
    struct addrinfo wanted = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE},
                    *found = NULL;
    int failed = getaddrinfo(host_text, port_text, &wanted, &found);
    if (failed)
        return gr_error_set(err, GR_ERR_SERVER_LISTEN, "Cannot listen on %s: %s", host_text, gai_strerror(failed));
    gr_status status = check_address(http->config, host_text, found->ai_addr, err);
    if (!status) status = bind_and_listen(found, host_text, port_text, &http->listen_fd, err);
    freeaddrinfo(found);
    if (!status) note_address(http);
    return status;
}

/* ---- start ----------------------------------------------------------------------------------- */
static void init_cond(pthread_cond_t *cond) {
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

static size_t connection_limit(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur == RLIM_INFINITY) return MAX_CONNECTIONS;
    if (files.rlim_cur < FILES_KEPT * 2) return FILES_KEPT / 2;
    size_t n = (size_t)files.rlim_cur - FILES_KEPT;
    return n < MAX_CONNECTIONS ? n : MAX_CONNECTIONS;
}

static gr_http *make(gr_serve *serve, const gr_http_options *options) {
    gr_http *http = gr_mem_calloc(1, sizeof *http);
    const gr_config *config = gr_serve_config(serve);
    http->serve = serve;
    http->config = config;
    http->listen_fd = http->silent_fd = -1;
    http->continue_wait_us = (options->continue_wait_ms ? options->continue_wait_ms : config->continue_wait_ms) * 1000;
    http->drain_us = (options->drain_ms ? options->drain_ms : config->drain_ms) * 1000;
    http->max_result_bytes = options->max_result_bytes ? options->max_result_bytes : GR_HTTP_MAX_RESULT_BYTES;
    http->started_mono_us = gr_clock_mono_us();
    http->max_connections = connection_limit();
    pthread_mutex_init(&http->lock, NULL);
    init_cond(&http->changed);
    init_cond(&http->timer_wake);
    TAILQ_INIT(&http->active);
    TAILQ_INIT(&http->refreshes);
    gr_http_runs_init(http);
    http->orphan_us = (options->orphan_ms ? options->orphan_ms : ORPHAN_MS) * 1000;
    http->keep_us = (options->keep_ms ? options->keep_ms : KEEP_MS) * 1000;
    http->max_runs = options->max_runs ? options->max_runs : GR_HTTP_MAX_RUNS;
    http->max_run_bytes = options->max_run_bytes ? options->max_run_bytes : GR_HTTP_MAX_RUN_BYTES;
    gr_http_builds_init(&http->builds);
    gr_http_seen_init(&http->seen);
    for (size_t i = 0; i < GR_HTTP_LANE__COUNT; i++)
        gr_http_lane_init(&http->lanes[i], http, (size_t)config->queue_max);
    return http;
}

static void join_timer(gr_http *http) {
    if (!http->has_timer) return;
    pthread_mutex_lock(&http->lock);
    http->is_timer_stopped = true;
    pthread_cond_broadcast(&http->timer_wake);
    pthread_mutex_unlock(&http->lock);
    pthread_join(http->timer, NULL);
}

/* Nothing is suspended any more. */
static void destroy(gr_http *http) {
    pthread_mutex_lock(&http->lock);
    http->is_closed = true;
    pthread_mutex_unlock(&http->lock);
    for (size_t i = 0; i < GR_HTTP_LANE__COUNT; i++) gr_http_lane_join(&http->lanes[i]);
    join_timer(http);
    if (http->daemon)
        MHD_stop_daemon(http->daemon); /* closes listen_fd, too */
    else if (http->listen_fd >= 0)
        close(http->listen_fd);
    if (http->silent_fd >= 0) close(http->silent_fd);
    gr_http_builds_done(&http->builds);
    gr_http_runs_done(http);
    gr_http_seen_done(&http->seen);
    pthread_cond_destroy(&http->changed);
    pthread_cond_destroy(&http->timer_wake);
    pthread_mutex_destroy(&http->lock);
    free(http);
}

static gr_status start_threads(gr_http *http, gr_error *err) {
    GR_TRY(gr_http_lane_start(&http->lanes[GR_HTTP_QUERY], (size_t)http->config->workers, err));
    GR_TRY(gr_http_lane_start(&http->lanes[GR_HTTP_LIGHT], LIGHT_WORKERS, err));
    if (pthread_create(&http->timer, NULL, gr_http_timer_run, http))
        return gr_error_set(err, GR_ERR_SERVER_LISTEN, "The timer thread could not be started");
    http->has_timer = true;
    return GR_OK;
}

static gr_status start_daemon(gr_http *http, gr_error *err) {
    unsigned threads = (unsigned)http->config->http_threads;
    unsigned connections = (unsigned)http->max_connections;
    struct MHD_OptionItem items[] = {
        {MHD_OPTION_LISTEN_SOCKET, http->listen_fd, NULL},
        {MHD_OPTION_THREAD_POOL_SIZE, threads > 1 ? threads : 0, NULL},
        {MHD_OPTION_CONNECTION_LIMIT, connections < threads ? threads : connections, NULL},
        {MHD_OPTION_CONNECTION_TIMEOUT, IDLE_SECONDS, NULL},
        {MHD_OPTION_CONNECTION_MEMORY_LIMIT, CONNECTION_BYTES, NULL},
        {MHD_OPTION_END, 0, NULL},
    };
    http->daemon = MHD_start_daemon(MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
                                    gr_http_on_access, http, MHD_OPTION_NOTIFY_COMPLETED, gr_http_on_completed, http,
                                    MHD_OPTION_URI_LOG_CALLBACK, gr_http_on_uri, http, MHD_OPTION_UNESCAPE_CALLBACK,
                                    gr_http_on_unescape, http, MHD_OPTION_ARRAY, items, MHD_OPTION_END);
    if (!http->daemon)
        return gr_error_set(err, GR_ERR_SERVER_LISTEN, "The HTTP server could not be started: %s", errno_text(errno));
    return GR_OK;
}

gr_status gr_http_start(gr_serve *serve, const gr_http_options *options, gr_http **ret, gr_error *err) {
    static const gr_http_options none;
    if (!options) options = &none;
    gr_http *http = make(serve, options);
    gr_status status = listen_on(http, options->host.n ? options->host : http->config->http_host,
                                 options->has_port ? options->port : http->config->http_port, err);
    if (!status) status = start_threads(http, err);
    if (!status) status = start_daemon(http, err);
    if (status) {
        destroy(http);
        return status;
    }
    *ret = http;
    return GR_OK;
}

uint16_t gr_http_port(const gr_http *http) { return http->port; }
gr_str gr_http_url(const gr_http *http) { return gr_str_from(http->url); }

/* ---- stop ------------------------------------------------------------------------------------ */
/* Under the lock. True when the count came to zero. */
static bool wait_for_none(gr_http *http, const size_t *count, int64_t until_us) {
    struct timespec until = {until_us / 1000000, until_us % 1000000 * 1000};
    while (*count) {
        if (gr_clock_mono_us() >= until_us) return false;
        pthread_cond_timedwait(&http->changed, &http->lock, &until);
    }
    return true;
}

/* The socket that listens goes, and with it the connections that nobody has taken yet; under its number stands one that
 * never has anything. MHD_quiesce_daemon would do it, but in 0.9.75 it and the library's thread may both take the
 * socket from the epoll set, and the library ends the process when the second finds it gone. */
static void stop_listening(gr_http *http) {
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair)) {
        (void)shutdown(http->listen_fd, SHUT_RDWR); /* no descriptors left: the port closes, its thread is kept busy */
        return;
    }
    (void)dup3(pair[0], http->listen_fd, O_CLOEXEC);
    close(pair[0]);
    http->silent_fd = pair[1]; /* open, so that the other end does not say that it is gone */
}

void gr_http_stop(gr_http *http) {
    if (!http) return;
    atomic_store(&http->is_draining, true);
    gr_serve_stop_by(http->serve, gr_clock_mono_us() + http->drain_us);
    stop_listening(http);
    pthread_mutex_lock(&http->lock);
    (void)wait_for_none(http, &http->n_open, gr_clock_mono_us() + http->drain_us);
    http->is_closed = true;
    gr_http_request *request;
    TAILQ_FOREACH(request, &http->active, in_active) atomic_store(&request->is_cancelled, true);
    TAILQ_FOREACH(request, &http->refreshes, in_active) atomic_store(&request->is_cancelled, true);
    gr_http_runs_cancel(http);
    pthread_cond_broadcast(&http->timer_wake);
    (void)wait_for_none(http, &http->n_active, INT64_MAX);
    (void)wait_for_none(http, &http->n_detached, INT64_MAX);
    (void)wait_for_none(http, &http->n_open, gr_clock_mono_us() + FLUSH_US);
    pthread_mutex_unlock(&http->lock);
    destroy(http);
}
