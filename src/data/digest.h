/* MD5 as an identity of texts (grain hashes, structure hashes, DJ's and Cube's own): never for secrets. */
#ifndef GR_DATA_DIGEST_H
#define GR_DATA_DIGEST_H
#include "base/arena.h"

/* 32 lower-case hex digits, in the arena. */
gr_str gr_digest_md5_hex(gr_str text, gr_arena *arena);
#endif
