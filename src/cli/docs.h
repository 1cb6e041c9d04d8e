/* Documents that are made from tables by `granary docs`, as far as this room writes them. */
#ifndef GR_CLI_DOCS_H
#define GR_CLI_DOCS_H
#include "base/buf.h"

#define GR_CLI_DOCS_BANNER "<!-- Made from %s by `granary docs`; do not edit. -->\n\n" /* %s: where it is made from */
void gr_cli_write_matching_docs(gr_buf *out);
#endif
