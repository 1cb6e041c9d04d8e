/* What the files of this room share and no other room sees. */
#ifndef GR_DATA_INTERNAL_H
#define GR_DATA_INTERNAL_H
#include "base/buf.h"

/* Length of the UTF-8 sequence at the start of `s` (not empty), 0 when it is not one. */
size_t gr_data_utf8_step(gr_str s);
/* Offset of the first byte that is not part of UTF-8, SIZE_MAX when all are. */
size_t gr_data_utf8_bad(gr_str s);
/* Line and column, from 1, in characters, of a byte of `text`. */
void gr_data_place(gr_str text, size_t offset, uint32_t *ret_line, uint32_t *ret_col);

/* The shortest decimal text that reads back as `v`, which is finite, without exponent: "0.1", "1000000000000000000000",
 * "0" also for -0. */
enum { GR_DATA_F64_MAX_BYTES = 400 };
size_t gr_data_f64_text(double v, char out[GR_DATA_F64_MAX_BYTES]);
/* The same for JSON: with an exponent from 10^17 and below 10^-6, so that no reader takes it for an integer too long.
 */
size_t gr_data_f64_json(double v, char out[GR_DATA_F64_MAX_BYTES]);
#endif
