/* The fake driver: answers, delays and failures by script, for tests of what stands above engines. Holds no data and
 * runs no SQL, so it is fit for ThreadSanitizer.
 * A statement takes the first answer of the script whose `sql_has` occurs in it and that is not used up; without one it
 * fails with engine.sql. Sources must be attached before they are connected to. Threads: any. */
#ifndef GR_ENGINE_FAKE_H
#define GR_ENGINE_FAKE_H
#include "engine/engine.h"

typedef enum gr_fake_step { GR_FAKE_STATEMENT = 0, GR_FAKE_ATTACH, GR_FAKE_CONNECT } gr_fake_step;

typedef struct gr_fake_answer {
    gr_fake_step step;      /* statements (query, update, describe), or attaching or connecting to a source */
    const char *sql_has;    /* part of the statement, or of the source's name; NULL = any */
    size_t times;           /* 0 = for ever */
    int64_t delay_ms;       /* before answering; ends early on cancel, deadline and interrupt */
    int64_t batch_delay_ms; /* before every batch */
    gr_status fail;         /* instead of an answer; message below */
    const char *fail_message;
    bool is_failing_late;           /* only after all rows */
    const gr_column_schema *schema; /* rows: borrowed until the engine is closed */
    size_t n_columns, n_rows;
    const gr_value *cells; /* row-major; decimals as the unscaled int64 in `i`, binary as text in `s` */
    size_t batch_rows;     /* 0 = 2,048 */
    int64_t rows_changed;  /* of an update; it reports progress 0, 0.5 and 1 */
} gr_fake_answer;

/* Replaces the script; the answers are copied, the texts and rows in them borrowed. */
void gr_engine_fake_script(gr_engine *engine, const gr_fake_answer *answers, size_t n);
/* How often answer `i` was given. */
size_t gr_engine_fake_hits(gr_engine *engine, size_t i);
/* Statements so far, and the text of one (the last 256 are kept; copied into arena; empty when gone). */
size_t gr_engine_fake_count(gr_engine *engine);
gr_str gr_engine_fake_statement(gr_engine *engine, size_t i, gr_arena *arena);
/* Connections open now, and how often statements were forgotten. */
size_t gr_engine_fake_connections(gr_engine *engine);
size_t gr_engine_fake_forgettings(gr_engine *engine);
#endif
