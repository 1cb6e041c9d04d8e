/* The command line: the one function that main() calls. */
#ifndef GR_CLI_CLI_H
#define GR_CLI_CLI_H

/* Runs one command and returns the exit code (see gr_exit in cli/args.h). `environ_pairs`: environ. */
int gr_cli_main(int argc, char **argv, char *const *environ_pairs);
#endif
