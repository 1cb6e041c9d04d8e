/* The reference of the model's keys, written from the table that reads them. */
#ifndef GR_MODEL_DOCS_H
#define GR_MODEL_DOCS_H
#include "base/buf.h"

/* Markdown, as in docs/model-keys.md. */
void gr_model_write_key_docs(gr_buf *out);
#endif
