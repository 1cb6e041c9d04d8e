/* `webhooks` of granary.yml: what is taken, and each way in which it is refused: with its place, and without a secret.
 */
#include "config/config.h"
#include "config/events.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define SOURCES "data_sources: {default: {type: duckdb, path: .}}\n"

static char folder[] = "/tmp/granary-webhooks-XXXXXX";
static gr_arena *arena;
static gr_error err;

static int enter(void **state) {
    (void)state;
    arena = gr_arena_new();
    return !mkdtemp(folder) || chdir(folder);
}

static int leave(void **state) {
    (void)state;
    gr_arena_free(arena);
    unlink("granary.yml");
    return chdir("/") || rmdir(folder);
}

static gr_config *load(const char *yaml) {
    FILE *f = fopen("granary.yml", "w");
    assert_non_null(f);
    fputs(SOURCES, f);
    fputs(yaml, f);
    fclose(f);
    gr_config *config = NULL;
    err = (gr_error){0};
    gr_status status = gr_config_load((gr_str){0}, NULL, 0, NULL, arena, &config, &err);
    assert_int_equal(status, err.status);
    return config;
}

static void test_good(void **state) {
    (void)state;
    gr_config *config = load("webhooks:\n"
                             "- url: HTTPS://joe:pass@ops.example:8443/in/T0/xyz?key=1\n"
                             "  events: [preagg.build_failed, 'model.*']\n"
                             "  secret: s3cret\n"
                             "- {url: 'http://[::1]:80', secret: , events: }\n"
                             "- {url: 'http://host#x@y'}\n");
    if (!config || config->n_webhooks != 3) {
        fail_msg("%s", err.message);
        return;
    }
    const gr_webhook_config *a = &config->webhooks[0];
    assert_true(gr_str_eq_z(a->url.value, "HTTPS://joe:pass@ops.example:8443/in/T0/xyz?key=1"));
    assert_true(gr_str_eq_z(a->origin, "HTTPS://ops.example:8443"));
    assert_true(gr_str_eq_z(a->secret.value, "s3cret"));
    assert_int_equal(a->events, 1u << GR_EVENT_BUILD_FAILED | 1u << GR_EVENT_MODEL_RELOADED);
    assert_true(gr_str_eq_z(config->webhooks[1].origin, "http://[::1]:80"));
    assert_int_equal(config->webhooks[1].events, ~0u);
    assert_int_equal(config->webhooks[1].secret.value.n, 0);
    assert_true(gr_str_eq_z(config->webhooks[2].origin, "http://host"));
    config = load("webhooks:\n");
    assert_true(config && config->n_webhooks == 0);
}

static void test_bad(void **state) {
    (void)state;
    static const struct {
        const char *yaml;
        gr_status status;
        unsigned line, col;
        const char *message, *hint;
    } cases[] = {
        {"webhooks: {url: x}", GR_ERR_CONFIG_INVALID, 2, 11, "must be a list", "webhooks:"},
        {"webhooks: [x]", GR_ERR_CONFIG_INVALID, 2, 12, "must be a map", "url"},
        {"webhooks: [{secret: S3CRET}]", GR_ERR_CONFIG_INVALID, 2, 12, "no `url`", "https://host/path"},
        {"webhooks:\n- url: ftp://u:S3CRET@h/", GR_ERR_CONFIG_INVALID, 3, 8, "http:// or https://", ""},
        {"webhooks:\n- url: S3CRET", GR_ERR_CONFIG_INVALID, 3, 8, "is not a URL", ""},
        {"webhooks:\n- url: http://", GR_ERR_CONFIG_INVALID, 3, 8, "no host", ""},
        {"webhooks:\n- url: http://u:S3CRET@", GR_ERR_CONFIG_INVALID, 3, 8, "no host", ""},
        {"webhooks:\n- url: http://:80/", GR_ERR_CONFIG_INVALID, 3, 8, "no host", ""},
        {"webhooks:\n- url: http://h:0/", GR_ERR_CONFIG_INVALID, 3, 8, "port", ""},
        {"webhooks:\n- url: http://h:65536/", GR_ERR_CONFIG_INVALID, 3, 8, "port", ""},
        {"webhooks:\n- url: http://h:/S3CRET", GR_ERR_CONFIG_INVALID, 3, 8, "port", ""},
        {"webhooks:\n- url: http://[::1/S3CRET", GR_ERR_CONFIG_INVALID, 3, 8, "no host", ""},
        {"webhooks:\n- url: \"http://h/S3CRET x\"", GR_ERR_CONFIG_INVALID, 3, 8, "blank", ""},
        {"webhooks:\n- url: \"http://h/\\r\\nS3CRET\"", GR_ERR_CONFIG_INVALID, 3, 8, "blank", ""},
        {"webhooks:\n- {url: http://h, events: preagg.stale}", GR_ERR_CONFIG_INVALID, 3, 27, "must be a list", "leave"},
        {"webhooks:\n- {url: http://h, events: []}", GR_ERR_CONFIG_INVALID, 3, 27, "must be a list", "leave"},
        {"webhooks:\n- {url: http://h, events: [preagg.build_don]}", GR_ERR_CONFIG_INVALID, 3, 28, "preagg.build_don",
         "preagg.build_done"},
        {"webhooks:\n- {url: http://h, events: ['*', 'x*']}", GR_ERR_CONFIG_INVALID, 3, 33, "x*", ""},
        {"webhooks:\n- {url: http://h, secret: [S3CRET]}", GR_ERR_CONFIG_INVALID, 3, 27, "secret", ""},
        {"webhooks:\n- {url: http://h, secrets: S3CRET}", GR_ERR_CONFIG_UNKNOWN_KEY, 3, 19, "secrets", "secret"},
        {"webhook: []", GR_ERR_CONFIG_UNKNOWN_KEY, 2, 1, "webhook", "webhooks"},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        if (load(cases[i].yaml)) fail_msg("%s", cases[i].yaml);
        if (err.status != cases[i].status || err.loc.line != cases[i].line || err.loc.col != cases[i].col ||
            !strstr(err.message, cases[i].message) || !strstr(err.hint, cases[i].hint))
            fail_msg("%s: %s (%s) at %u:%u", cases[i].yaml, err.message, err.hint, err.loc.line, err.loc.col);
        assert_null(strstr(err.message, "S3CRET"));
        assert_null(strstr(err.hint, "S3CRET"));
    }
}

static void test_many(void **state) {
    (void)state;
    char yaml[4000];
    size_t n = (size_t)snprintf(yaml, sizeof yaml, "webhooks:\n");
    for (int i = 0; i < 33; i++) n += (size_t)snprintf(yaml + n, sizeof yaml - n, "- {url: http://h}\n");
    assert_null(load(yaml));
    assert_non_null(strstr(err.message, "at most 32"));
}

static void test_patterns(void **state) {
    (void)state;
    static const struct {
        const char *pattern;
        unsigned want;
    } cases[] = {
        {"*", (1u << GR_EVENT__COUNT) - 1},
        {"**", (1u << GR_EVENT__COUNT) - 1},
        {"preagg.build_*", 1u << GR_EVENT_BUILD_STARTED | 1u << GR_EVENT_BUILD_DONE | 1u << GR_EVENT_BUILD_FAILED},
        {"*_failed", 1u << GR_EVENT_BUILD_FAILED | 1u << GR_EVENT_PARTITION_FAILED},
        {"*.*t*n_d*e", 1u << GR_EVENT_PARTITION_DONE},
        {"preagg.stale", 1u << GR_EVENT_STALE},
        {"preagg.stale*", 1u << GR_EVENT_STALE},
        {"preagg.stal", 0},
        {"preagg", 0},
        {"", 0},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        if (gr_event_match(gr_str_from(cases[i].pattern)) != cases[i].want) fail_msg("%s", cases[i].pattern);
    for (unsigned i = 0; i < GR_EVENT__COUNT; i++)
        assert_int_equal(gr_event_match(gr_event_name((gr_event_kind)i)), 1u << i);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_good), cmocka_unit_test(test_bad),
                                       cmocka_unit_test(test_many), cmocka_unit_test(test_patterns)};
    return cmocka_run_group_tests(tests, enter, leave);
}
