/* granary.yml, environment and flags: precedence, and each way in which a configuration is refused. */
#include "config/config.h"

#include "base/buf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))
#define SOURCES "data_sources: {default: {type: duckdb, path: shop.duckdb}}\n"

static char folder[] = "/tmp/granary-config-XXXXXX";
static gr_arena *arena;
static gr_error err;
static gr_config *config;

static void write_text(const char *name, gr_str text) {
    FILE *f = fopen(name, "w");
    assert_non_null(f);
    assert_int_equal(fwrite(text.p, 1, text.n, f), text.n);
    assert_int_equal(fclose(f), 0);
}

/* The tests run in a folder of their own. */
static int enter(void **state) {
    (void)state;
    if (!mkdtemp(folder) || chdir(folder)) return -1;
    write_text("shop.duckdb", GR_STR("x"));
    return mkdir("files", 0700) || mkdir("elsewhere", 0700);
}

static int leave(void **state) {
    (void)state;
    const char *files[] = {"granary.yml", "shop.duckdb", "elsewhere/granary.yml", "elsewhere/link.yml", "pipe"};
    for (size_t i = 0; i < COUNT(files); i++) unlink(files[i]);
    return rmdir("files") || rmdir("elsewhere") || chdir("/") || rmdir(folder);
}

static int setup(void **state) {
    (void)state;
    arena = gr_arena_new();
    return 0;
}

static int teardown(void **state) {
    (void)state;
    gr_arena_free(arena);
    return 0;
}

static gr_status load(const char *yaml, char *const *environment, const gr_config_flag *flags, size_t n_flags) {
    if (yaml) write_text("granary.yml", gr_str_from(yaml));
    err = (gr_error){0};
    config = NULL;
    gr_status status = gr_config_load((gr_str){0}, flags, n_flags, environment, arena, &config, &err);
    assert_int_equal(status, err.status);
    assert_int_equal(status == GR_OK, config != NULL);
    return status;
}

static void load_good(const char *yaml) {
    if (load(yaml, NULL, NULL, 0)) fail_msg("%s (%s:%u:%u)", err.message, err.file, err.loc.line, err.loc.col);
}

static void test_defaults(void **state) {
    (void)state;
    load_good(SOURCES);
    assert_int_equal(config->http_port, 4000);
    assert_true(gr_str_eq_z(config->http_host, "127.0.0.1"));
    assert_true(gr_str_eq_z(config->default_timezone, "UTC"));
    assert_true(config->external_default);
    assert_false(config->dev_mode);
    assert_int_equal(config->api_secret.value.n, 0);
    char *real = realpath(".", NULL);
    assert_true(gr_str_eq_z(config->root, real));
    char path[4096];
    snprintf(path, sizeof path, "%s/granary.yml", real);
    assert_true(gr_str_eq_z(config->file, path));
    snprintf(path, sizeof path, "%s/model", real);
    assert_true(gr_str_eq_z(config->model_dir, path));
    snprintf(path, sizeof path, "%s/.granary", real);
    assert_true(gr_str_eq_z(config->state_dir, path));
    snprintf(path, sizeof path, "%s/shop.duckdb", real);
    assert_true(gr_str_eq_z(config->sources[0].path, path));
    free(real);
}

static void test_every_key(void **state) {
    (void)state;
    load_good("data_sources:\n"
              "  default: {type: duckdb, path: shop.duckdb, read_only: true}\n"
              "  Files_2: {type: duckdb, path: ./files/, read_only: false}\n"
              "  third: {type: duckdb, path: files/../shop.duckdb, read_only: }\n"
              "model: /abs/model\n"
              "storage: {path: state, source_schema: pre, external_default: false}\n"
              "http:\n"
              "  port: 0\n"
              "  host: \"::1\"\n"
              "  cors_origin: ''\n"
              "  drain_ms: 600000\n"
              "api_secret: 12345\n"
              "query:\n"
              "  timezone: Europe/Paris\n"
              "log:\n"
              "build:\n"
              "watch: false\n"
              "rollup_only:\n");
    assert_int_equal(config->n_sources, 3);
    assert_int_equal(config->sources[0].read_only, GR_TRUE);
    assert_false(config->sources[0].is_folder);
    assert_int_equal(config->sources[0].loc.line, 2);
    assert_int_equal(config->sources[0].loc.col, 3);
    assert_int_equal(config->sources[1].read_only, GR_FALSE);
    assert_true(config->sources[1].is_folder);
    assert_int_equal(config->sources[2].read_only, GR_UNSET);
    assert_true(gr_str_eq(config->sources[2].path, config->sources[0].path));
    assert_ptr_equal(gr_config_source(config, GR_STR("Files_2")), &config->sources[1]);
    assert_null(gr_config_source(config, GR_STR("files_2")));
    assert_true(gr_str_eq_z(config->model_dir, "/abs/model"));
    assert_true(gr_str_ends(config->state_dir, GR_STR("/state")));
    assert_true(gr_str_eq_z(config->preagg_schema, "pre"));
    assert_false(config->external_default);
    assert_int_equal(config->http_port, 0);
    assert_int_equal(config->cors_origin.n, 0);
    assert_int_equal(config->drain_ms, 600000);
    assert_true(gr_str_eq_z(config->api_secret.value, "12345"));
    assert_false(config->watch_model);
    assert_false(config->rollup_only);
}

static void expect_url(size_t i, const char *expected) {
    if (!gr_str_eq_z(config->sources[i].url.value, expected))
        fail_msg("source %zu: " GR_FMT ", expected %s", i, GR_ARG(config->sources[i].url.value), expected);
}

/* Parts become a connection string; the environment goes before the file, GRANARY_… before CUBEJS_…. */
static void test_servers(void **state) {
    (void)state;
    load_good("data_sources:\n"
              "  default: {type: postgres, host: db, port: 5433, database: shop, user: me, password: \"a'b\\\\c d\"}\n"
              "  other: {type: postgres, url: 'postgres://u@h/d', schema: sales}\n"
              "  local: {type: postgres, ssl: true}\n");
    expect_url(0, "host='db' port='5433' dbname='shop' user='me' password='a\\'b\\\\c d'");
    expect_url(1, "postgres://u@h/d");
    expect_url(2, "sslmode='require'");
    assert_true(gr_str_eq_z(config->sources[1].schema, "sales"));
    char host[] = "CUBEJS_DB_HOST=ch", name[] = "CUBEJS_DS_OTHER_DB_NAME=on", pass[] = "CUBEJS_DB_PASS=cp",
         own[] = "GRANARY_SOURCE_DEFAULT_PASSWORD=gp", type[] = "CUBEJS_DB_TYPE=postgres";
    char *const environment[] = {host, name, pass, own, NULL};
    const char *file = "data_sources:\n"
                       "  default: {type: postgres, host: db, user: me}\n"
                       "  other: {type: postgres, host: o, database: d}\n";
    if (load(file, environment, NULL, 0)) fail_msg("%s", err.message);
    expect_url(0, "host='ch' user='me' password='gp'");
    expect_url(1, "host='o' dbname='on'");
    char *const alone[] = {type, host, pass, NULL};
    if (load("model: model\n", alone, NULL, 0)) fail_msg("%s", err.message);
    assert_int_equal(config->n_sources, 1);
    assert_true(gr_str_eq_z(config->sources[0].name, "default"));
    expect_url(0, "host='ch' password='cp'");
    char odd[] = "CUBEJS_DB_TYPE=oracle";
    char *const unknown[] = {odd, NULL};
    assert_int_equal(load("model: model\n", unknown, NULL, 0), GR_ERR_CONFIG_INVALID);
}

/* default < file < CUBEJS_… < GRANARY_… < flag: each step is taken away once. */
static void test_precedence(void **state) {
    (void)state;
    char granary[] = "GRANARY_HTTP_PORT=3", cube[] = "PORT=2", other[] = "XPORT=9", part[] = "GRANARY_HTTP_PORTS=8";
    char *const with_both[] = {other, part, cube, granary, NULL};
    char *const with_cube[] = {part, other, cube, NULL};
    char *const without[] = {other, part, NULL};
    const gr_config_flag flags[] = {{GR_STR_INIT("--port"), GR_STR_INIT("4")},
                                    {GR_STR_INIT("--port"), GR_STR_INIT("5")}};
    const char *file = SOURCES "http: {port: 1}\n";
    const struct {
        const char *yaml;
        char *const *environment;
        size_t n_flags;
        int64_t port;
    } cases[] = {
        {SOURCES, without, 0, 4000}, {file, without, 0, 1},    {file, NULL, 0, 1},
        {file, with_cube, 0, 2},     {file, with_both, 0, 3},  {file, with_both, 1, 4},
        {file, with_both, 2, 5},     {SOURCES, without, 1, 4}, {SOURCES, with_cube, 0, 2},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        assert_int_equal(load(cases[i].yaml, cases[i].environment, flags, cases[i].n_flags), GR_OK);
        if (config->http_port != cases[i].port) fail_msg("case %zu: port %d", i, (int)config->http_port);
    }
    /* A variable that loses is not looked at. */
    char bad[] = "PORT=many";
    char *const losing[] = {bad, granary, NULL};
    assert_int_equal(load(SOURCES, losing, NULL, 0), GR_OK);
    /* An empty text is a value. */
    char empty[] = "GRANARY_HTTP_CORS_ORIGIN=";
    char *const cors[] = {empty, NULL};
    assert_int_equal(load(SOURCES, cors, NULL, 0), GR_OK);
    assert_int_equal(config->cors_origin.n, 0);
}

static void test_booleans(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int want; /* -1: refused */
    } cases[] = {{"true", 1}, {"TRUE", 1}, {"1", 1},   {"yes", 1}, {"on", 1}, {"false", 0},
                 {"0", 0},    {"No", 0},   {"off", 0}, {"", -1},   {"2", -1}, {"y", -1}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        char pair[64];
        snprintf(pair, sizeof pair, "CUBEJS_DEV_MODE=%s", cases[i].text);
        char *const environment[] = {pair, NULL};
        gr_status status = load(SOURCES, environment, NULL, 0);
        assert_int_equal(status, cases[i].want < 0 ? GR_ERR_CONFIG_INVALID : GR_OK);
        if (!status) assert_int_equal(config->dev_mode, cases[i].want);
        if (status) assert_non_null(strstr(err.message, "CUBEJS_DEV_MODE"));
    }
    const gr_config_flag alone = {GR_STR_INIT("--dev"), {0}}, off = {GR_STR_INIT("--dev"), GR_STR_INIT("false")};
    assert_int_equal(load(SOURCES, NULL, &alone, 1), GR_OK);
    assert_true(config->dev_mode);
    assert_int_equal(load(SOURCES "dev_mode: true\n", NULL, &off, 1), GR_OK);
    assert_false(config->dev_mode);
}

/* What users of the reference have in their environment means the same here, units and lists included. */
static void test_reference_variables(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t ms; /* -1: refused */
    } cases[] = {{"90", 90000}, {"30s", 30000}, {"10m", 600000}, {"2h", 7200000},
                 {"10x", -1},   {"m", -1},      {"", -1},        {"99999999999999999h", -1}};
    for (size_t i = 0; i < COUNT(cases); i++) {
        char pair[64];
        snprintf(pair, sizeof pair, "CUBEJS_DB_QUERY_TIMEOUT=%s", cases[i].text);
        char *const environment[] = {pair, NULL};
        gr_status status = load(SOURCES, environment, NULL, 0);
        assert_int_equal(status, cases[i].ms < 0 ? GR_ERR_CONFIG_INVALID : GR_OK);
        if (!status) assert_int_equal(config->query_timeout_ms, cases[i].ms);
    }
    char ours[] = "GRANARY_QUERY_TIMEOUT_MS=90",
         strict[] = "CUBEJS_PRE_AGGREGATIONS_ALLOW_NON_STRICT_DATE_RANGE_MATCH=true";
    char keys[] = "CUBEJS_API_SECRETS=one, two", public_host[] = "GRANARY_HTTP_HOST=0.0.0.0";
    char *const environment[] = {ours, strict, keys, public_host, NULL};
    assert_int_equal(load(SOURCES, environment, NULL, 0), GR_OK);
    assert_int_equal(config->query_timeout_ms, 90);
    assert_true(config->allow_non_strict);
    assert_true(gr_str_eq_z(config->api_secret.value, "one")); /* so a public address is guarded */
    load_good(SOURCES);
    assert_false(config->allow_non_strict);
}

typedef struct refusal {
    const char *yaml;
    gr_status status;
    uint32_t line, col;
    const char *says, *hint;
} refusal;

#define BAD GR_ERR_CONFIG_INVALID
#define KEY GR_ERR_CONFIG_UNKNOWN_KEY

static const refusal refusals[] = {
    {SOURCES "htpp: {port: 1}\n", KEY, 2, 1, "`htpp` is not a key of granary.yml", "Did you mean `http`?"},
    {SOURCES "http:\n  prot: 1\n", KEY, 3, 3, "`prot` is not a key of `http`", "Did you mean `port`?"},
    {"data_source: {}\n", KEY, 1, 1, "`data_source`", "Did you mean `data_sources`?"},
    {SOURCES "zzzzzzz: 1\n", KEY, 2, 1, "`zzzzzzz`", ""},
    {SOURCES "max_limit: 1\n", KEY, 2, 1, "`max_limit`", "It belongs under `query:`, as `max_limit`."},
    {SOURCES "http.port: 1\n", KEY, 2, 1, "`http.port`", "It belongs under `http:`, as `port`."},
    {SOURCES "http: {http.port: 1}\n", KEY, 2, 8, "`http.port`", "as `port`"},
    {"data_sources:\n  default: {type: duckdb, file: x}\n", KEY, 2, 27, "`file` is not a key of data_sources.default",
     ""},
    {"data_sources:\n  default: {type: duckdb, paht: x}\n", KEY, 2, 27, "`paht`", "Did you mean `path`?"},
    {SOURCES "http: {port: 65536}\n", BAD, 2, 14, "`http.port` must be from 0 to 65535, not 65536", ""},
    {SOURCES "http: {port: -1}\n", BAD, 2, 14, "from 0 to 65535", ""},
    {SOURCES "http: {port: 4000.5}\n", BAD, 2, 14, "must be an integer from 0 to 65535, not `4000.5`", ""},
    {SOURCES "http: {port: '4000'}\n", BAD, 2, 14, "must be an integer", ""},
    {SOURCES "http: {port: 99999999999999999999}\n", BAD, 2, 14, "must be an integer", ""},
    {SOURCES "http: {port: [1]}\n", BAD, 2, 14, "must be one value", ""},
    {SOURCES "http: 4000\n", BAD, 2, 7, "`http` must be a map", ""},
    {SOURCES "dev_mode: yes\n", BAD, 2, 11, "`dev_mode` must be true or false", ""},
    {SOURCES "model: ''\n", BAD, 2, 8, "`model` must be the path", ""},
    {SOURCES "log: {level: loud}\n", BAD, 2, 14, "debug, info, warn, error or off", ""},
    {SOURCES "log: {format: xml}\n", BAD, 2, 15, "text or json", ""},
    {SOURCES "query: {timezone: Mars/Base}\n", BAD, 2, 19, "IANA", ""},
    {SOURCES "storage: {source_schema: 'a b'}\n", BAD, 2, 26, "identifier", ""},
    {SOURCES "http: {cors_origin: \"a\\nb\"}\n", BAD, 2, 21, "one line", ""},
    {SOURCES "http: {host: 0.0.0.0}\n", BAD, 0, 0, "no `api_secret`", "GRANARY_API_SECRET"},
    {"", BAD, 1, 1, "no data source", "data_sources:"},
    {"data_sources:\n", BAD, 1, 1, "no data source", "data_sources:"},
    {"data_sources: {}\n", BAD, 1, 1, "no data source", "data_sources:"},
    {"- a\n", BAD, 1, 1, "must be a map", ""},
    {"data_sources: x\n", BAD, 1, 15, "must be a map of names", "default:"},
    {"data_sources: {default: x.duckdb}\n", BAD, 1, 25, "must be a map", "type: duckdb"},
    {"data_sources: {a-b: {type: duckdb, path: shop.duckdb}}\n", BAD, 1, 16, "letters, digits", ""},
    {"data_sources: {ab: {type: duckdb, path: files}, aB: {type: duckdb, path: files}}\n", BAD, 1, 49, "only in case",
     ""},
    {"data_sources: {default: {path: shop.duckdb}}\n", BAD, 1, 16, "no `type`", "type: duckdb"},
    {"data_sources: {default: {type: mysql, path: x}}\n", BAD, 1, 32, "`mysql` is not a type", "duckdb, postgres"},
    {"data_sources: {default: {type: postgres, path: x}}\n", KEY, 1, 42, "`path` is not a key", ""},
    {"data_sources: {default: {type: postgres, host: [a]}}\n", BAD, 1, 48, "`host` of the data source", ""},
    {"data_sources: {default: {type: duckdb}}\n", BAD, 1, 16, "no `path`", "Parquet"},
    {"data_sources: {default: {type: duckdb, path: ''}}\n", BAD, 1, 46, "no `path`", "Parquet"},
    {"data_sources: {default: {type: duckdb, path: nope.duckdb}}\n", BAD, 1, 46, "does not exist: ", "folder"},
    {"data_sources: {default: {type: duckdb, path: /dev/null}}\n", BAD, 1, 46, "neither a file nor a folder", "folder"},
    {"data_sources: {default: {type: duckdb, path: shop.duckdb, read_only: 1}}\n", BAD, 1, 70, "`read_only`", ""},
    {"data_sources: {default: {type: duckdb, path: x}\n", GR_ERR_YAML_SYNTAX, 2, 1, "flow mapping", ""},
    {SOURCES "watch: true\nwatch: false\n", GR_ERR_YAML_SYNTAX, 3, 1, "twice", ""},
};

static void test_refuses(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(refusals); i++) {
        const refusal *r = &refusals[i];
        gr_status status = load(r->yaml, NULL, NULL, 0);
        bool is_hint_right = r->hint[0] ? strstr(err.hint, r->hint) != NULL : err.hint[0] == 0;
        bool is_place_right = err.loc.line == r->line && err.loc.col == r->col;
        if (status != r->status || !strstr(err.message, r->says) || !is_hint_right || !is_place_right)
            fail_msg("case %zu: %d %s [%s] at %u:%u", i, status, err.message, err.hint, err.loc.line, err.loc.col);
        assert_string_equal(err.file, r->line ? "granary.yml" : "");
    }
}

static void test_bad_variables_and_flags(void **state) {
    (void)state;
    static const struct {
        const char *pair, *says;
    } variables[] = {
        {"GRANARY_HTTP_PORT=x", "The variable GRANARY_HTTP_PORT must be an integer from 0 to 65535, not `x`"},
        {"GRANARY_HTTP_PORT=", "GRANARY_HTTP_PORT"},
        {"PORT=70000", "The variable PORT must be from 0 to 65535"},
        {"CUBEJS_CONCURRENCY=0", "The variable CUBEJS_CONCURRENCY must be from 1 to 512"},
        {"CUBEJS_LOG_LEVEL=trace", "The variable CUBEJS_LOG_LEVEL must be debug"},
        {"CUBEJS_PRE_AGGREGATIONS_SCHEMA=a;b", "CUBEJS_PRE_AGGREGATIONS_SCHEMA must be an identifier"},
        {"GRANARY_MODEL=a\xFF", "GRANARY_MODEL is not valid UTF-8"},
        {"GRANARY_API_SECRET=hush\xFF", "GRANARY_API_SECRET is not valid UTF-8"},
    };
    for (size_t i = 0; i < COUNT(variables); i++) {
        char pair[128];
        snprintf(pair, sizeof pair, "%s", variables[i].pair);
        char *const environment[] = {pair, NULL};
        assert_int_equal(load(SOURCES, environment, NULL, 0), GR_ERR_CONFIG_INVALID);
        if (!strstr(err.message, variables[i].says)) fail_msg("%s: %s", pair, err.message);
        assert_null(strstr(err.message, "hush"));
    }
    gr_config_flag flag = {GR_STR_INIT("--port"), GR_STR_INIT("x")};
    assert_int_equal(load(SOURCES, NULL, &flag, 1), GR_ERR_CONFIG_INVALID);
    assert_non_null(strstr(err.message, "The flag --port must be an integer"));
    flag = (gr_config_flag){GR_STR("--prot"), GR_STR("1")};
    assert_int_equal(load(SOURCES, NULL, &flag, 1), GR_ERR_CLI_USAGE);
    assert_non_null(strstr(err.hint, "--port"));
}

static void test_loopback(void **state) {
    (void)state;
    static const struct {
        const char *host;
        bool is_loopback;
    } cases[] = {
        {"127.0.0.1", true},
        {"127.8.9.10", true},
        {"::1", true},
        {"0:0:0:0:0:0:0:1", true},
        {"localhost", true},
        {"LocalHost", true},
        {"0.0.0.0", false},
        {"::", false},
        {"128.0.0.1", false},
        {"localhost.example.org", false},
        {"127.1", false},
        {"127.0.0.1.example.org", false},
        {"::ffff:127.0.0.1", false},
        {"192.168.1.1", false},
    };
    char secret[] = "CUBEJS_API_SECRET=hush";
    char *const with_secret[] = {secret, NULL};
    for (size_t i = 0; i < COUNT(cases); i++) {
        gr_config_flag host = {GR_STR_INIT("--host"), gr_str_from(cases[i].host)};
        gr_status status = load(SOURCES, NULL, &host, 1);
        if (status != (cases[i].is_loopback ? GR_OK : GR_ERR_CONFIG_INVALID)) fail_msg("%s: %d", cases[i].host, status);
        assert_int_equal(load(SOURCES, with_secret, &host, 1), GR_OK);
    }
    /* An empty secret is none. */
    char empty[] = "GRANARY_API_SECRET=";
    char *const without[] = {empty, secret, NULL};
    gr_config_flag host = {GR_STR_INIT("--host"), GR_STR_INIT("0.0.0.0")};
    assert_int_equal(load(SOURCES "api_secret: s\n", without, &host, 1), GR_ERR_CONFIG_INVALID);
}

static gr_status load_file(const char *name) {
    err = (gr_error){0};
    return gr_config_load(gr_str_from(name), NULL, 0, NULL, arena, &config, &err);
}

static void test_files(void **state) {
    (void)state;
    unlink("granary.yml");
    assert_int_equal(load(NULL, NULL, NULL, 0), GR_ERR_CONFIG_NOT_FOUND);
    assert_non_null(strstr(err.message, "granary.yml does not exist"));
    assert_int_equal(load_file("no/such/granary.yml"), GR_ERR_CONFIG_NOT_FOUND);
    assert_int_equal(load_file("files"), GR_ERR_CONFIG_NOT_FOUND);
    assert_int_equal(mkfifo("pipe", 0600), 0);
    assert_int_equal(load_file("pipe"), GR_ERR_CONFIG_NOT_FOUND); /* and does not wait for a writer */
    assert_non_null(strstr(err.message, "is not a file"));

    /* Paths start at the file's folder, also where the file is a link. */
    write_text("elsewhere/granary.yml", GR_STR("data_sources: {default: {type: duckdb, path: ../files}}\n"));
    assert_int_equal(load_file("elsewhere/granary.yml"), GR_OK);
    assert_true(config->sources[0].is_folder);
    assert_true(gr_str_ends(config->root, GR_STR("/elsewhere")));
    assert_true(gr_str_ends(config->model_dir, GR_STR("/elsewhere/model")));
    write_text("granary.yml", GR_STR(SOURCES));
    assert_int_equal(symlink("../granary.yml", "elsewhere/link.yml"), 0);
    assert_int_equal(load_file("elsewhere/link.yml"), GR_ERR_CONFIG_INVALID);
    assert_non_null(strstr(err.message, "/elsewhere/shop.duckdb"));
    assert_string_equal(err.file, "elsewhere/link.yml");

    char *large = calloc(1, (4u << 20) + 1);
    memset(large, '\n', (4u << 20) + 1);
    write_text("granary.yml", (gr_str){large, (4u << 20) + 1});
    free(large);
    assert_int_equal(load_file("granary.yml"), GR_ERR_YAML_LIMIT);
}

static void test_many_sources(void **state) {
    (void)state;
    for (int n = 64; n <= 65; n++) {
        gr_buf b;
        gr_buf_init(&b, 1 << 20);
        gr_buf_z(&b, "data_sources:\n");
        for (int i = 0; i < n; i++) gr_buf_printf(&b, "  s%d: {type: duckdb, path: files}\n", i);
        gr_str text;
        assert_true(gr_buf_finish(&b, &text));
        assert_int_equal(load(text.p, NULL, NULL, 0), n == 64 ? GR_OK : GR_ERR_CONFIG_INVALID);
        gr_buf_done(&b);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(test_defaults),     TEST(test_every_key),
        TEST(test_servers),      TEST(test_precedence),
        TEST(test_booleans),     TEST(test_reference_variables),
        TEST(test_refuses),      TEST(test_bad_variables_and_flags),
        TEST(test_loopback),     TEST(test_files),
        TEST(test_many_sources),
    };
    return cmocka_run_group_tests(tests, enter, leave);
}
