/* A bar for work that takes long: one line on stderr while it is a terminal, nothing at all when it is not.
 * Threads: one at a time. */
#ifndef GR_CLI_PROGRESS_H
#define GR_CLI_PROGRESS_H
#include "base/str.h"

typedef struct gr_cli_progress {
    bool is_shown;
    char label[64];
    int64_t started_mono_us, drawn_mono_us;
    unsigned turn;
    char note[64]; /* behind the time */
} gr_cli_progress;

void gr_cli_progress_start(gr_cli_progress *p, gr_str label);
/* 0…1, or below 0 when it is not known. Draws at most ten times a second. */
void gr_cli_progress_update(gr_cli_progress *p, double fraction);
/* What stands behind the time from the next drawing on: "3/10 partitions, 1200 rows". */
void gr_cli_progress_note(gr_cli_progress *p, int64_t done, int64_t due, int64_t rows);
/* The same of rows that go from one place to another: "1200000 rows, 310000 rows/s, 24.0 MB/s". */
void gr_cli_progress_note_transfer(gr_cli_progress *p, int64_t rows, double rows_per_s, double bytes_per_s);
/* Removes the bar, so that the line is free for what is printed next. */
void gr_cli_progress_end(gr_cli_progress *p);
/* The same, as the engine calls it: `arg` is the gr_cli_progress. */
void gr_cli_progress_callback(void *arg, double fraction);
#endif
