/* Connections that cannot be made: what is said, and that no password is ever in it. No server is needed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "pg/pg.h"

#include <arpa/inet.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Listens on loopback, and answers each client with these bytes. */
typedef struct false_server {
    int fd, port;
    const char *answer;
    size_t n;
    pthread_t thread;
} false_server;

static void *serve(void *object) {
    false_server *s = object;
    for (int client; (client = accept(s->fd, NULL, NULL)) >= 0; close(client)) {
        char hello[1024];
        if (read(client, hello, sizeof hello) > 0 && write(client, s->answer, s->n) < 0) break;
    }
    return NULL;
}

static void start(false_server *s, const char *answer, size_t n) {
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    *s = (false_server){.fd = socket(AF_INET, SOCK_STREAM, 0), .answer = answer, .n = n};
    assert_true(s->fd >= 0);
    assert_int_equal(bind(s->fd, (struct sockaddr *)&at, sizeof at), 0);
    assert_int_equal(listen(s->fd, 8), 0);
    assert_int_equal(getsockname(s->fd, (struct sockaddr *)&at, &size), 0);
    s->port = ntohs(at.sin_port);
    assert_int_equal(pthread_create(&s->thread, NULL, serve, s), 0);
}

static void stop(false_server *s) {
    shutdown(s->fd, SHUT_RDWR);
    pthread_join(s->thread, NULL);
    close(s->fd);
}

static void assert_silent(const gr_error *err, const char *secret) {
    if (strstr(err->message, secret) || strstr(err->hint, secret)) print_error("%s | %s\n", err->message, err->hint);
    assert_null(strstr(err->message, secret));
    assert_null(strstr(err->hint, secret));
}

static void test_strings_that_cannot_be_read(void **state) {
    (void)state;
    static const char *const cases[] = {
        "host=127.0.0.1 password=open sesame77 x",
        "password='sesame77",
        "sesame77",
        "host=127.0.0.1 nonsense=sesame77",
        "postgresql://ann:sesame77@127.0.0.1:1/db?nonsense=1",
        "postgresql://ann:open@sesame77@127.0.0.1:1/db",
        "postgresql://ann:open/sesame77@127.0.0.1:1/db",
        "postgres://ann:open?sesame77@127.0.0.1:1/db",
        "host=127.0.0.1 password=\xff sesame77",
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        gr_pg *pg = NULL;
        gr_error err = {0};
        assert_int_equal(gr_pg_open(gr_str_from(cases[i]), gr_pg_for_catalog, &pg, &err), GR_ERR_CATALOG_IO);
        assert_null(pg);
        assert_non_null(strstr(err.message, "cannot be read"));
        assert_true(*err.hint);
        assert_silent(&err, "sesame77");
    }
    gr_pg *pg = NULL;
    assert_int_equal(gr_pg_open((gr_str){"a\0b", 3}, gr_pg_for_catalog, &pg, NULL), GR_ERR_CATALOG_IO);
}

static void test_nobody_there(void **state) {
    (void)state;
    static const char *const cases[] = {
        "host=127.0.0.1 port=1 user=ann password=sesame77 dbname=db", "postgresql://ann:sesame77@127.0.0.1:1/db",
        "postgresql://ann:sesame%3777@127.0.0.1:1/db",
        "host=/nowhere/sesame77 port=1 user=ann password=sesame77 dbname=db", /* even where it came by another way */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        gr_pg *pg = NULL;
        gr_error err = {0};
        assert_int_equal(gr_pg_open(gr_str_from(cases[i]), gr_pg_for_catalog, &pg, &err), GR_ERR_CATALOG_IO);
        assert_null(pg);
        assert_non_null(strstr(err.message, "cannot be reached"));
        assert_true(*err.hint);
        assert_string_equal(err.engine_state, "08001");
        if (i < 3) assert_non_null(strstr(err.message, "127.0.0.1:1"));
        assert_silent(&err, "sesame77");
    }
}

/* A server that says the password back. */
static void test_refused(void **state) {
    (void)state;
    static const char answer[] = "E\0\0\0\x43SFATAL\0VFATAL\0C28P01\0Mno entry for ann with sesame77 here, go\0\0";
    false_server s;
    start(&s, answer, sizeof answer);
    setenv("PGPASSWORD", "sesame77", 1);
    for (int i = 0; i < 2; i++) {
        char conninfo[256];
        gr_pg *pg = NULL;
        gr_error err = {0};
        snprintf(conninfo, sizeof conninfo,
                 "host=127.0.0.1 port=%d user=ann dbname=db sslmode=disable gssencmode=disable%s", s.port,
                 i ? "" : " password=sesame77");
        assert_int_equal(gr_pg_open(gr_str_from(conninfo), gr_pg_for_catalog, &pg, &err), GR_ERR_CATALOG_IO);
        assert_null(pg);
        assert_non_null(strstr(err.message, "no entry for ann with *** here"));
        assert_silent(&err, "sesame77");
    }
    unsetenv("PGPASSWORD");
    stop(&s);
}

static void test_identifiers(void **state) {
    (void)state;
    static const char *const cases[][2] = {
        {"granary", "\"granary\""}, {"a b", "\"a b\""}, {"a\"b", "\"a\"\"b\""}, {"", "\"\""}, {"\"", "\"\"\"\""}};
    gr_arena *arena = gr_arena_new();
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        assert_true(gr_str_eq_z(gr_pg_identifier(gr_str_from(cases[i][0]), arena), cases[i][1]));
    gr_arena_free(arena);
    gr_pg_close(NULL);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strings_that_cannot_be_read),
        cmocka_unit_test(test_nobody_there),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_identifiers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
