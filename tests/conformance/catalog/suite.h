/* What the files of this suite share: a test is a function that is given a fixture, on either database. */
#ifndef GR_TESTS_CATALOG_SUITE_H
#define GR_TESTS_CATALOG_SUITE_H
#include "unit/catalog/catalog_fixture.h"

typedef struct catalog_test {
    const char *name;
    void (*run)(fixture *f);
    bool is_raw; /* without a catalog that is open */
} catalog_test;

typedef struct catalog_tests {
    const catalog_test *tests;
    size_t n;
} catalog_tests;

#define CASE(fn)                                                                                                       \
    { #fn, fn, false }
#define RAW_CASE(fn)                                                                                                   \
    { #fn, fn, true }
#define SUITE(name, ...)                                                                                               \
    catalog_tests name(void) {                                                                                         \
        static const catalog_test tests[] = {__VA_ARGS__};                                                             \
        return (catalog_tests){tests, N_OF(tests)};                                                                    \
    }

catalog_tests suite_nodes(void);
catalog_tests suite_declare(void);
catalog_tests suite_cubes(void);
catalog_tests suite_builds(void);
catalog_tests suite_partitions(void);
catalog_tests suite_servers(void);
catalog_tests suite_find(void);
catalog_tests suite_races(void);
catalog_tests suite_faults(void);
catalog_tests suite_postgres(void);

/* A second handle, as another server would have it; closed with the fixture. */
gr_catalog *second(fixture *f);
/* SQL behind the catalog's back. */
void raw_exec(fixture *f, const char *sql);
int64_t raw_i64(fixture *f, const char *sql);
/* Leases of running builds, or of servers, are over. */
void end_leases(fixture *f, const char *table);

/* "activity:entity pre>post" of all history rows of a type, oldest first, with spaces between. */
gr_str history_of(fixture *f, const char *entity_type, const char *node);

/* Runs in a child process; the result is its exit code. The child has a fixture without open handles. */
pid_t child(fixture *f, int (*run)(fixture *f, int told), int *ret_told);
int exit_code_of(pid_t pid);
#endif
