/* A PostgreSQL server of a test's own (tests/postgres/private), or the one of GRANARY_TEST_POSTGRES. The file that
 * includes it is compiled with GR_TEST_SOURCE_DIR. */
#ifndef GR_TEST_POSTGRES_SERVER_H
#define GR_TEST_POSTGRES_SERVER_H
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define GR_TEST_POSTGRES_PRIVATE GR_TEST_SOURCE_DIR "/tests/postgres/private"

typedef struct postgres_server {
    char folder[256];     /* empty: it is not ours */
    char connection[512]; /* empty: there is none on this machine */
} postgres_server;

/* Runs `private WHAT FOLDER [PORT]`. */
static inline int postgres_command(const postgres_server *s, const char *what, const char *port, char *line,
                                   size_t size) {
    char command[1024];
    snprintf(command, sizeof command, "'%s' %s '%s' %s", GR_TEST_POSTGRES_PRIVATE, what, s->folder, port);
    FILE *out = popen(command, "r"); /* NOLINT(cert-env33-c): the folder's name is ours */
    if (!out) return -1;
    if (!fgets(line, (int)size, out)) line[0] = 0;
    line[strcspn(line, "\n")] = 0;
    return pclose(out);
}

/* 0: it runs, or there is none on this machine. */
static inline int postgres_start(postgres_server *s) {
    const char *given = getenv("GRANARY_TEST_POSTGRES"), *tmp = getenv("TMPDIR");
    if (given && *given) {
        snprintf(s->connection, sizeof s->connection, "%s", given);
        return 0;
    }
    snprintf(s->folder, sizeof s->folder, "%s/granary-postgres-XXXXXX", tmp && *tmp ? tmp : "/tmp");
    if (!mkdtemp(s->folder)) return -1;
    int status = postgres_command(s, "start", "", s->connection, sizeof s->connection);
    bool is_missing = WIFEXITED(status) && WEXITSTATUS(status) == 77;
    return status == 0 || is_missing ? 0 : -1;
}

static inline int postgres_stop(postgres_server *s) {
    char command[1024];
    if (!s->folder[0]) return 0;
    snprintf(command, sizeof command, "'%s' stop '%s' && rm -rf '%s'", GR_TEST_POSTGRES_PRIVATE, s->folder, s->folder);
    return system(command) ? -1 : 0; /* NOLINT(cert-env33-c): the folder's name is ours */
}
#endif
