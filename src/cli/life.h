/* The life of a command that goes on until it is told to stop: `serve` and `worker`. Signals are blocked before any
 * thread exists and are taken one at a time by the main thread, which therefore may do anything in answer to one:
 * SIGTERM and SIGINT end it, SIGHUP (and a change of its files) loads the model again. */
#ifndef GR_CLI_LIFE_H
#define GR_CLI_LIFE_H
#include "cli/door.h"
#include "serve/serve.h"

#include <signal.h>

void gr_cli_life_block(sigset_t *ret);
/* Until SIGTERM or SIGINT; returns which. `must_watch`: the model's files. */
int gr_cli_life_wait(gr_serve *serve, const sigset_t *signals, bool must_watch);
/* The same for so long at most; 0: neither came. */
int gr_cli_life_step(gr_serve *serve, const sigset_t *signals, bool must_watch, int64_t ms);
/* A second Ctrl-C while what runs comes to its end ends the process at once. */
void gr_cli_life_let_kill(const sigset_t *signals);
#endif
