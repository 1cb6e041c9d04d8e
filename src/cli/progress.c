/* The progress bar:  orders      [##########------------------------------]  25 %   1.2 s  */
#include "cli/progress.h"

#include "base/clock.h"

#include <stdio.h>
#include <unistd.h>

enum { BAR_WIDTH = 40, REDRAW_US = 100000 };

void gr_cli_progress_start(gr_cli_progress *p, gr_str label) {
    *p = (gr_cli_progress){.is_shown = isatty(STDERR_FILENO) == 1, .started_mono_us = gr_clock_mono_us()};
    snprintf(p->label, sizeof p->label, GR_FMT, GR_ARG(label));
    gr_cli_progress_update(p, 0);
}

void gr_cli_progress_update(gr_cli_progress *p, double fraction) {
    int64_t now = gr_clock_mono_us();
    if (!p->is_shown || (p->drawn_mono_us && now - p->drawn_mono_us < REDRAW_US)) return;
    p->drawn_mono_us = now;
    char bar[BAR_WIDTH + 1];
    bool is_known = fraction >= 0;
    if (fraction > 1) fraction = 1;
    size_t full = is_known ? (size_t)(fraction * BAR_WIDTH) : 0;
    for (size_t i = 0; i < BAR_WIDTH; i++) bar[i] = i < full ? '#' : '-';
    if (!is_known) /* a piece that wanders says: alive, end unknown */
        for (size_t i = 0; i < 6; i++) bar[(p->turn + i) % BAR_WIDTH] = '#';
    bar[BAR_WIDTH] = 0;
    p->turn = (p->turn + 2) % BAR_WIDTH;
    char percent[8] = "    ";
    if (is_known) snprintf(percent, sizeof percent, "%3d%%", (int)(fraction * 100));
    fprintf(stderr, "\r%-24s [%s] %s %6.1f s %s\033[K", p->label, bar, percent,
            (double)(now - p->started_mono_us) / 1e6, p->note);
    fflush(stderr);
}

void gr_cli_progress_note(gr_cli_progress *p, int64_t done, int64_t due, int64_t rows) {
    snprintf(p->note, sizeof p->note, "%lld/%lld partitions, %lld rows", (long long)done, (long long)due,
             (long long)rows);
}

void gr_cli_progress_note_transfer(gr_cli_progress *p, int64_t rows, double rows_per_s, double bytes_per_s) {
    snprintf(p->note, sizeof p->note, "%lld rows, %.0f rows/s, %.1f MB/s", (long long)rows, rows_per_s,
             bytes_per_s / 1e6);
}

void gr_cli_progress_end(gr_cli_progress *p) {
    if (!p->is_shown) return;
    fputs("\r\033[K", stderr);
    fflush(stderr);
    p->is_shown = false;
}

void gr_cli_progress_callback(void *arg, double fraction) { gr_cli_progress_update(arg, fraction); }
