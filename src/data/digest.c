#include "data/digest.h"

#include <openssl/evp.h>

gr_str gr_digest_md5_hex(gr_str text, gr_arena *arena) {
    static const char digits[] = "0123456789abcdef";
    unsigned char sum[EVP_MAX_MD_SIZE];
    unsigned n = 0;
    EVP_Digest(text.p, text.n, sum, &n, EVP_md5(), NULL);
    char *hex = gr_arena_alloc(arena, 2 * n + 1);
    for (unsigned i = 0; i < n; i++) {
        hex[2 * i] = digits[sum[i] >> 4];
        hex[2 * i + 1] = digits[sum[i] & 15];
    }
    return (gr_str){hex, 2 * n};
}
