/* Vectors of RFC 1321. */
#include "data/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void vectors(void **state) {
    (void)state;
    gr_arena *arena = gr_arena_new();
    assert_string_equal(gr_digest_md5_hex(GR_STR(""), arena).p, "d41d8cd98f00b204e9800998ecf8427e");
    assert_string_equal(gr_digest_md5_hex(GR_STR("message digest"), arena).p, "f96b697d7cb7938d525a2f31aaf161d0");
    gr_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(vectors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
