/* Tables for people: widths, alignment, cutting, and that no cell can break out of its row. */
#include "cli/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof *(a))

static void widths(void **state) {
    (void)state;
    static const struct {
        const char *text;
        size_t n, width;
    } cases[] = {
        {"", 0, 0},          {"abc", 3, 3},  {"é", 2, 1}, {"e\xCC\x81", 3, 1}, /* with a combining accent */
        {"日本", 6, 4},      {"한글", 6, 4}, {"🚀", 4, 2}, {"São Paulo", 10, 9},
        {"\xFF\xFE", 2, 2}, /* bad bytes: one column each */
        {"\xE6\x97", 2, 2}, /* a torn letter */
        {"a\xF0\x9F", 3, 3},
    };
    for (size_t i = 0; i < COUNT(cases); i++)
        assert_int_equal(gr_cli_text_width((gr_str){cases[i].text, cases[i].n}), cases[i].width);
}

typedef struct table_case {
    const char *titles[3];
    gr_cli_align align[3];
    size_t n_columns;
    const char *cells[9];
    size_t n_cells, max_cell;
    const char *expected;
} table_case;

static const table_case tables[] = {
    {{"name", "n"},
     {GR_ALIGN_LEFT, GR_ALIGN_RIGHT},
     2,
     {"a", "1", "long name", "12345"},
     4,
     0,
     "name           n\n"
     "---------  -----\n"
     "a              1\n"
     "long name  12345\n"},
    {{"n", "name"},
     {GR_ALIGN_RIGHT, GR_ALIGN_LEFT},
     2,
     {"10", "日本", "9", "é"},
     4,
     0,
     " n  name\n"
     "--  ----\n"
     "10  日本\n"
     " 9  é\n"},
    {{"日", "x"},
     {GR_ALIGN_LEFT, GR_ALIGN_LEFT},
     2,
     {"a", "y"},
     2,
     0,
     "日  x\n"
     "--  -\n"
     "a   y\n"},
    {{"a", "b"}, {GR_ALIGN_LEFT, GR_ALIGN_LEFT}, 2, {NULL}, 0, 0, "a  b\n-  -\n"},
    {{"text", "n"},
     {GR_ALIGN_LEFT, GR_ALIGN_RIGHT},
     2,
     {"abcdefghij", "1"},
     2,
     5,
     "text   n\n"
     "-----  -\n"
     "abcd…  1\n"},
    {{"text", "n"},
     {GR_ALIGN_LEFT, GR_ALIGN_RIGHT},
     2,
     {"日本日本", "1"},
     2,
     6,
     "text    n\n"
     "------  -\n"
     "日本…   1\n"},
    {{"x"}, {GR_ALIGN_LEFT}, 1, {"two\nlines\t\r"}, 1, 0, "x\n--------------\ntwo\\nlines\\t\\r\n"},
    {{"x"}, {GR_ALIGN_LEFT}, 1, {"\x1B[2J"}, 1, 0, "x\n---------\n\\u001b[2J\n"},
    {{"x"}, {GR_ALIGN_LEFT}, 1, {"\xE2\x80\xAE!"}, 1, 0, "x\n-------\n\\u202e!\n"},
    {{"x"}, {GR_ALIGN_LEFT}, 1, {"\xC2\x9B"}, 1, 0, "x\n------\n\\u009b\n"},
    {{"x"}, {GR_ALIGN_LEFT}, 1, {"a\xFF"}, 1, 0, "x\n--\na\xEF\xBF\xBD\n"},
    {{""}, {GR_ALIGN_LEFT}, 1, {""}, 1, 0, "\n-\n\n"},
};

static void prints(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(tables); i++) {
        const table_case *c = &tables[i];
        gr_arena *arena = gr_arena_new();
        gr_cli_column columns[3];
        gr_str cells[9], text;
        gr_buf out;
        for (size_t k = 0; k < c->n_columns; k++) columns[k] = (gr_cli_column){gr_str_from(c->titles[k]), c->align[k]};
        for (size_t k = 0; k < c->n_cells; k++) cells[k] = gr_str_from(c->cells[k]);
        gr_cli_table *table = gr_cli_table_new(arena, columns, c->n_columns);
        for (size_t k = 0; k < c->n_cells; k += c->n_columns) gr_cli_table_row(table, cells + k);
        gr_buf_init(&out, 1 << 16);
        gr_cli_table_print(table, c->max_cell, &out);
        assert_true(gr_buf_finish(&out, &text));
        assert_string_equal(text.p, c->expected);
        gr_buf_done(&out);
        gr_arena_free(arena);
    }
}

static void no_columns(void **state) {
    (void)state;
    gr_arena *arena = gr_arena_new();
    gr_buf out;
    gr_buf_init(&out, 64);
    gr_cli_table_print(gr_cli_table_new(arena, NULL, 0), 0, &out);
    assert_int_equal(out.n, 0);
    gr_buf_done(&out);
    gr_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(widths), cmocka_unit_test(prints),
                                       cmocka_unit_test(no_columns)};
    return cmocka_run_group_tests_name("cli.table", tests, NULL, NULL);
}
