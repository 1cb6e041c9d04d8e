/* Text helpers of this room: UTF-8 with the place of the first bad byte, and lines and columns. Nothing allocates. */
#include "data/internal.h"

size_t gr_data_utf8_step(gr_str s) {
    unsigned char first = (unsigned char)s.p[0];
    if (first < 0x80) return 1;
    size_t len = first < 0xC2 ? 0 : first < 0xE0 ? 2 : first < 0xF0 ? 3 : first < 0xF5 ? 4 : 0;
    if (len == 0 || s.n < len) return 0;
    return gr_str_is_utf8(gr_str_sub(s, 0, len)) ? len : 0;
}

size_t gr_data_utf8_bad(gr_str s) {
    for (size_t i = 0; i < s.n;) {
        if ((unsigned char)s.p[i] < 0x80) {
            i++;
            continue;
        }
        size_t step = gr_data_utf8_step(gr_str_sub(s, i, s.n - i));
        if (!step) return i;
        i += step;
    }
    return SIZE_MAX;
}

void gr_data_place(gr_str text, size_t offset, uint32_t *ret_line, uint32_t *ret_col) {
    uint32_t line = 1, col = 1;
    for (size_t i = 0; i < offset && i < text.n; i++) {
        unsigned char c = (unsigned char)text.p[i];
        if (c == '\n') {
            line++;
            col = 1;
        } else if ((c & 0xC0) != 0x80) {
            col++;
        }
    }
    *ret_line = line;
    *ret_col = col;
}
