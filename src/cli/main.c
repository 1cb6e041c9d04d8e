/* The program: everything is in gr_cli_main, so that tests can link it. */
#include "cli/cli.h"

#include <unistd.h>

int main(int argc, char **argv) { return gr_cli_main(argc, argv, environ); }
