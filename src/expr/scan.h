/* The lexical skeleton of SQL: what is code, and what is quoted or commented out. One state machine for the three users
 * of it in this room (pairing brackets, folding blanks, finding aggregates), so that they cannot disagree. Knows: '…'
 * with '' doubled, E'…' with backslashes, "…", `…`, $tag$…$tag$, -- to the end of the line, nested block comments. */
#ifndef GR_EXPR_SCAN_H
#define GR_EXPR_SCAN_H
#include "base/str.h"

typedef enum gr_scan_mode {
    GR_SCAN_CODE,
    GR_SCAN_SINGLE,
    GR_SCAN_ESCAPED,
    GR_SCAN_DOUBLE,
    GR_SCAN_BACKTICK,
    GR_SCAN_DOLLAR,
    GR_SCAN_LINE_COMMENT,
    GR_SCAN_BLOCK_COMMENT
} gr_scan_mode;

typedef struct gr_scan {
    gr_scan_mode mode;
    gr_str tag;     /* DOLLAR: the opening tag, with both dollars; borrowed from the text */
    unsigned depth; /* BLOCK_COMMENT: nesting */
    char before;    /* the last byte of code, 0 at the start */
} gr_scan;

/* Takes one unit of `text` at `i` (i < text.n) and returns its bytes. It was code when the mode is CODE before and
 * after. */
size_t gr_expr_scan_step(gr_scan *scan, gr_str text, size_t i);
/* A hole stood here: for the text around it, that is like a word. */
static inline void gr_expr_scan_hole(gr_scan *scan) {
    if (scan->mode == GR_SCAN_CODE) scan->before = 'x';
}
static inline bool gr_expr_scan_is_comment(gr_scan_mode mode) {
    return mode == GR_SCAN_LINE_COMMENT || mode == GR_SCAN_BLOCK_COMMENT;
}
static inline bool gr_expr_scan_is_word(char c) {
    unsigned char u = (unsigned char)c;
    return (u >= '0' && u <= '9') || (u >= 'a' && u <= 'z') || (u >= 'A' && u <= 'Z') || u == '_' || u >= 0x80;
}
#endif
