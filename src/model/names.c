/* Names that are made from names: SQL aliases and titles (cube.md 1.17). ASCII only: identifiers are. */
#include "model/model.h"

static bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
static bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
static bool is_digit(char c) { return c >= '0' && c <= '9'; }
static char to_lower(char c) { return is_upper(c) ? (char)(c - 'A' + 'a') : c; }
static char to_upper(char c) { return is_lower(c) ? (char)(c - 'a' + 'A') : c; }

/* A hump starts at i: "aB", "1B", or the last capital of "PAIndex". */
static bool is_hump(gr_str s, size_t i) {
    if (i == 0 || !is_upper(s.p[i])) return false;
    char before = s.p[i - 1];
    if (is_lower(before) || is_digit(before)) return true;
    return is_upper(before) && i + 1 < s.n && is_lower(s.p[i + 1]);
}

gr_str gr_model_underscore(gr_str name, gr_arena *arena) {
    char *out = gr_arena_alloc(arena, 2 * name.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < name.n; i++) {
        if (is_hump(name, i)) out[n++] = '_';
        out[n++] = to_lower(name.p[i]);
    }
    return (gr_str){out, n};
}

gr_str gr_model_titleize(gr_str name, gr_arena *arena) {
    gr_str s = gr_model_underscore(name, arena);
    char *out = gr_arena_alloc(arena, s.n + 1);
    size_t n = 0, word = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] == '_') {
            if (n && out[n - 1] != ' ') out[n++] = ' ';
            word = n;
        } else {
            out[n] = n == word ? to_upper(s.p[i]) : s.p[i];
            n++;
        }
    }
    while (n && out[n - 1] == ' ') n--;
    /* The last word "id" is an abbreviation. */
    if (n >= 2 && memcmp(out + n - 2, n == 2 || out[n - 3] == ' ' ? "Id" : "--", 2) == 0) out[n - 1] = 'D';
    return n ? (gr_str){out, n} : name;
}
