/* The table of settings itself, secrets in texts, and docs/config.md. */
#include "base/buf.h"
#include "base/map.h"
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* Each name means one setting, and each has what the documentation needs. */
static void test_table(void **state) {
    (void)state;
    gr_arena *arena = gr_arena_new();
    gr_map names;
    gr_map_init(&names, arena);
    size_t n;
    const gr_setting_info *settings = gr_config_settings(&n);
    assert_true(n > 20);
    for (size_t i = 0; i < n; i++) {
        const gr_setting_info *s = &settings[i];
        const char *keys[] = {s->yaml_path, s->env, s->env_cube, s->flag};
        for (size_t k = 0; k < 4; k++)
            if (keys[k] && !gr_map_put(&names, gr_str_from(keys[k]), arena)) fail_msg("%s comes twice", keys[k]);
        assert_true(gr_str_starts(gr_str_from(s->env), GR_STR("GRANARY_")));
        assert_true(strlen(s->doc) > 10);
        if (strncmp(s->type, "integer", 7) == 0) {
            int64_t v;
            assert_true(gr_str_to_i64(gr_str_from(s->default_text), &v));
            assert_true(s->min < s->max && v >= s->min && v <= s->max);
        }
        size_t points = 0;
        for (const char *p = s->yaml_path; *p; p++) points += *p == '.';
        assert_true(points <= 1); /* the file's reader knows one level of groups */
    }
    gr_arena_free(arena);
}

static const gr_setting_info *by_path(const char *path, size_t *ret_at) {
    size_t n;
    const gr_setting_info *settings = gr_config_settings(&n);
    for (*ret_at = 0; *ret_at < n; ++*ret_at)
        if (strcmp(settings[*ret_at].yaml_path, path) == 0) return &settings[*ret_at];
    fail_msg("no setting %s", path);
    return NULL;
}

static void test_types(void **state) {
    (void)state;
    static const char *const types[][2] = {
        {"http.port", "integer"},
        {"http.drain_ms", "integer, milliseconds"},
        {"http.body_max_bytes", "integer, bytes"},
        {"engine.memory_mb", "integer, megabytes"},
        {"api_secret", "secret"},
        {"model", "string"},
        {"watch", "boolean"},
    };
    size_t at;
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        assert_string_equal(by_path(types[i][0], &at)->type, types[i][1]);
}

static void test_value_texts(void **state) {
    (void)state;
    gr_arena *arena = gr_arena_new();
    gr_config config = {.http_port = 81, .dev_mode = true, .model_dir = GR_STR("/m")};
    size_t at;
    by_path("api_secret", &at);
    assert_true(gr_str_eq_z(gr_config_value_text(&config, at, arena), ""));
    config.api_secret.value = GR_STR("hush");
    assert_true(gr_str_eq_z(gr_config_value_text(&config, at, arena), "***"));
    by_path("http.port", &at);
    assert_true(gr_str_eq_z(gr_config_value_text(&config, at, arena), "81"));
    by_path("dev_mode", &at);
    assert_true(gr_str_eq_z(gr_config_value_text(&config, at, arena), "true"));
    by_path("watch", &at);
    assert_true(gr_str_eq_z(gr_config_value_text(&config, at, arena), "false"));
    by_path("model", &at);
    assert_true(gr_str_eq_z(gr_config_value_text(&config, at, arena), "/m"));
    size_t n;
    gr_config_settings(&n);
    assert_int_equal(gr_config_value_text(&config, n, arena).n, 0);
    gr_arena_free(arena);
}

static void test_docs(void **state) {
    (void)state;
    gr_buf out;
    gr_buf_init(&out, 1 << 20);
    gr_config_write_docs(&out);
    gr_str page;
    assert_true(gr_buf_finish(&out, &page));
    size_t n;
    const gr_setting_info *settings = gr_config_settings(&n);
    for (size_t i = 0; i < n; i++) {
        const char *words[] = {settings[i].yaml_path, settings[i].env, settings[i].env_cube, settings[i].flag,
                               settings[i].doc};
        for (size_t w = 0; w < sizeof words / sizeof *words; w++)
            if (words[w] && !strstr(page.p, words[w])) fail_msg("docs/config.md has no %s", words[w]);
    }
    assert_non_null(
        strstr(page.p, "| `http.port` | `GRANARY_HTTP_PORT`, `PORT` | `--port` | integer, 0 to 65535 | `4000` |"));
    assert_non_null(strstr(page.p, "| `api_secret` | `GRANARY_API_SECRET`, `CUBEJS_API_SECRET` |  | secret |  |"));
    assert_non_null(strstr(page.p, "data_sources:"));
    /* Every line of a table has as many cells as its head. */
    size_t cells = 0;
    for (const char *line = page.p; *line;) {
        const char *end = strchrnul(line, '\n');
        size_t bars = 0;
        for (const char *p = line; p < end; p++) bars += *p == '|';
        if (*line == '|' && cells && bars != cells) fail_msg("%.*s", (int)(end - line), line);
        cells = *line == '|' ? bars : 0;
        line = *end ? end + 1 : end;
    }
    gr_buf_done(&out);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_types),
        cmocka_unit_test(test_value_texts),
        cmocka_unit_test(test_docs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
