/* ClickHouse servers of a test's own (tests/clickhouse/private), or the one at GRANARY_TEST_CLICKHOUSE, an HTTP
 * address, for tests that need one. The file that includes it is compiled with GR_TEST_SOURCE_DIR. */
#ifndef GR_TEST_CLICKHOUSE_SERVER_H
#define GR_TEST_CLICKHOUSE_SERVER_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CLICKHOUSE_MOST_NODES = 4 };
typedef struct clickhouse_server {
    char folder[256];
    char urls[CLICKHOUSE_MOST_NODES][64]; /* the first is empty: there is none on this machine */
} clickhouse_server;

static inline int clickhouse_command(const char *command, clickhouse_server *s) {
    FILE *out = popen(command, "r"); /* NOLINT(cert-env33-c): the folder's name is ours */
    if (!out) return -1;
    for (int i = 0; s && i < CLICKHOUSE_MOST_NODES && fgets(s->urls[i], sizeof s->urls[i], out); i++)
        s->urls[i][strcspn(s->urls[i], "\n")] = 0;
    return pclose(out);
}

/* 0: they run, or there is none on this machine. */
static inline int clickhouse_start(clickhouse_server *s, int nodes) {
    const char *tmp = getenv("TMPDIR"), *given = getenv("GRANARY_TEST_CLICKHOUSE");
    char command[1024];
    if (given && *given && nodes == 1) {
        snprintf(s->urls[0], sizeof s->urls[0], "%s", given);
        return 0;
    }
    snprintf(s->folder, sizeof s->folder, "%s/granary-clickhouse-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(s->folder)) return -1;
    snprintf(command, sizeof command, "'" GR_TEST_SOURCE_DIR "/tests/clickhouse/private' start '%s' %d", s->folder,
             nodes);
    int status = clickhouse_command(command, s);
    return status == 0 || (WIFEXITED(status) && WEXITSTATUS(status) == 77) ? 0 : -1;
}

/* what: "stop" or "again", of one node. */
static inline int clickhouse_node(clickhouse_server *s, const char *what, int node) {
    char command[1024];
    snprintf(command, sizeof command, "'" GR_TEST_SOURCE_DIR "/tests/clickhouse/private' %s '%s' %d", what, s->folder,
             node);
    return clickhouse_command(command, NULL);
}

static inline int clickhouse_stop(clickhouse_server *s) {
    char command[1024];
    if (!s->folder[0]) return 0;
    snprintf(command, sizeof command, "'" GR_TEST_SOURCE_DIR "/tests/clickhouse/private' stop '%s'; rm -rf '%s'",
             s->folder, s->folder);
    return clickhouse_command(command, NULL);
}
#endif
