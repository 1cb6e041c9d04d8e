/* What golden tests share: data, model, and running a query on it. */
#ifndef GR_TEST_GOLDEN_WORLD_H
#define GR_TEST_GOLDEN_WORLD_H
#include "base/buf.h"
#include "data/json.h"
#include "exec/exec.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

extern gr_arena *golden_suite;               /* lives as long as the tests */
#define GOLDEN_NOW INT64_C(1594944000000000) /* 2020-07-17 */

gr_str golden_read_file(const char *path);
gr_plan *golden_plan(const gr_ctx *ctx, const gr_snapshot *s, json_t *json, bool rollups, bool as_if_built);
/* All cells as one text, in the order of the answer; what is to be built is built. */
gr_status golden_run(gr_exec *exec, const gr_ctx *ctx, json_t *json, bool rollups, gr_str *ret, gr_error *err);
/* Equal texts, but for the last digits of floating point: sums of parts round in another order (decisions 1). */
bool golden_are_same(gr_str a, gr_str b);
/* data.sql in a DuckDB file. */
void golden_make_data(gr_str root, gr_str file);
gr_config *golden_config(gr_str root, gr_source_config *source);
/* Opens it with the model. */
gr_exec *golden_open(const gr_config *config);
#endif
