/* docs/config.md, written from the table of settings, so that it cannot lag behind. */
#include "base/buf.h"
#include "config/internal.h"

static void code(gr_buf *out, const char *text) {
    if (text && *text) gr_buf_printf(out, "`%s`", text);
}

static void row(gr_buf *out, const gr_setting_info *s) {
    gr_buf_z(out, "| ");
    code(out, s->yaml_path);
    gr_buf_z(out, " | ");
    code(out, s->env);
    if (s->env_cube) gr_buf_z(out, ", ");
    code(out, s->env_cube);
    gr_buf_z(out, " | ");
    code(out, s->flag);
    gr_buf_printf(out, " | %s", s->type);
    if (s->min != s->max) gr_buf_printf(out, ", %lld to %lld", (long long)s->min, (long long)s->max);
    gr_buf_z(out, " | ");
    code(out, s->default_text);
    gr_buf_printf(out, " | %s |\n", s->doc);
}

static const char head[] =
    "# Configuration\n"
    "\n"
    "<!-- Written by Granary from src/config/settings.def. Change that table, not this page. -->\n"
    "\n"
    "Granary reads `granary.yml`, from the folder it is started in or from the path after `--config`. A setting has "
    "its\n"
    "default, unless the file sets it; the environment overrides the file, and a flag overrides the environment. Of "
    "two\n"
    "variables that mean the same, `GRANARY_…` wins over the other one, which Cube uses.\n"
    "\n"
    "- A dot in a YAML path is a level: `http.port` is `http: {port: 4000}`.\n"
    "- An unknown key and a value out of its range are errors, with file, line and column. Granary does not start "
    "then.\n"
    "- A relative path, wherever it is given, starts at the folder of `granary.yml`.\n"
    "- In variables and flags, booleans are `true`, `1`, `yes`, `on` or `false`, `0`, `no`, `off`.\n"
    "- Secrets are shown as `***`, and never appear in messages.\n"
    "- Without `api_secret`, or with `dev_mode`, the server listens on loopback only (`127.0.0.0/8`, `::1`, "
    "`localhost`).\n"
    "\n"
    "```yaml\n"
    "data_sources:\n"
    "  default:\n"
    "    type: duckdb\n"
    "    path: data/shop.duckdb\n"
    "model: model\n"
    "http:\n"
    "  port: 4000\n"
    "```\n"
    "\n"
    "## Data sources\n"
    "\n"
    "`data_sources` is a map from the name that the model uses (`data_source:`; letters, digits and `_`) to where the "
    "data\n"
    "is. At least one is needed.\n"
    "\n"
    "| Key | Type | Default | Meaning |\n"
    "|---|---|---|---|\n"
    "| `type` | `duckdb`, `postgres`, `clickhouse` | | Kind of the source; required. |\n"
    "| `path` | path | | Of `duckdb`: a DuckDB database file, or a folder of data files with a table per file stem or "
    "per "
    "subfolder; "
    "required, and it must exist. |\n"
    "| `read_only` | boolean | | Without it the source is read-only, unless a pre-aggregation of the model lives in "
    "it. |\n"
    "| `max_queries` | integer, 1 to 512 | `engine.connections` | Connections that queries of this source use at once; "
    "builds have their own. More wait. |\n"
    "| `max_builds` | integer, 1 to 16 | `build.at_once` | Builds at once that read this source; others go ahead "
    "meanwhile. |\n"
    "| `host`, `port`, `database`, `user`, `password`, `ssl` | text | libpq's; of `clickhouse` `localhost`, 8123 (8443 "
    "with `ssl`), `default` | Of `postgres` and `clickhouse`: where the server is, and who asks. `ssl` is `true`, "
    "`false`, or for `postgres` one of libpq's `sslmode`. |\n"
    "| `url` | secret | | The same in one: a connection string of libpq, or `http://user:password@host:8123/database` "
    "of `clickhouse`. |\n"
    "| `schema` | text | the user's search path | Of `postgres`: where names without a schema are looked for. |\n"
    "| `cluster`, `nodes` | text, list | | Of `clickhouse`: the cluster's name in the servers' `remote_servers`, and "
    "the HTTP addresses of all its servers; rollups are then spread over it. |\n"
    "\n"
    "Of servers the environment goes before the file: `GRANARY_SOURCE_<NAME>_HOST`, `…_PORT`, `…_DATABASE`, `…_USER`,\n"
    "`…_PASSWORD`, `…_SSL`, `…_URL`, `…_SCHEMA`, and Cube's `CUBEJS_DS_<NAME>_DB_HOST`, `…_PORT`, `…_NAME`, `…_USER`, "
    "`…_PASS`,\n"
    "`…_SSL`, of `default` also `CUBEJS_DB_HOST` and so on. With `CUBEJS_DB_TYPE=postgres`, or `clickhouse`, the file\n"
    "needs no `data_sources`. See docs/engines/.\n"
    "\n"
    "## Webhooks\n"
    "\n"
    "`webhooks` is a list of those who are told what happens: each event is sent to `url` as a POST of JSON "
    "(docs/http-api.md,\n"
    "Events), in order, one at a time. An answer of 2xx within 10 seconds takes it. No answer, 408, 425, 429 and 5xx "
    "are tried\n"
    "again after 1, 2, 4, … 60 seconds, a fifth more or less, at most 8 times in all; any other answer, a redirect "
    "too,\n"
    "loses it. At most 256 events wait for each webhook: then the oldest is dropped. What was lost or dropped is "
    "counted\n"
    "(docs/metrics.md). What waits when the server stops is sent once more within `http.drain_ms`, and is not kept.\n"
    "\n"
    "| Key | Type | Default | Meaning |\n"
    "|---|---|---|---|\n"
    "| `url` | http or https URL | | Where to; required. Only scheme, host and port are ever shown. |\n"
    "| `events` | list | all | Names of events, `*` standing for any text: `[\"preagg.build_*\"]`. |\n"
    "| `secret` | secret | | Signs the body: `X-Granary-Signature: sha256=<hex of HMAC-SHA256>`. |\n"
    "\n"
    "```yaml\n"
    "webhooks:\n"
    "  - url: https://ops.example/granary\n"
    "    events: [\"preagg.build_failed\", \"preagg.quarantined\"]\n"
    "    secret: correct-horse\n"
    "```\n"
    "\n";

static const char settings_head[] = "## Settings\n"
                                    "\n"
                                    "| YAML path | Environment | Flag | Type and range | Default | Meaning |\n"
                                    "|---|---|---|---|---|---|\n";

void gr_config_write_docs(struct gr_buf *out) {
    gr_buf_z(out, head);
    gr_config_write_event_docs(out);
    gr_buf_char(out, '\n');
    gr_buf_z(out, settings_head);
    size_t n;
    const gr_setting_info *settings = gr_config_settings(&n);
    for (size_t i = 0; i < n; i++) row(out, &settings[i]);
}
