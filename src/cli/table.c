/* Tables for people. Invariant: nothing of a cell reaches the terminal as a control character, so that data can neither
 * break a row nor speak to the terminal. */
#include "cli/table.h"

struct gr_cli_table {
    gr_arena *arena;
    const gr_cli_column *columns;
    size_t n_columns;
    GR_VEC(gr_str) cells; /* row-major, as they will be shown */
};

typedef struct code_range {
    uint32_t from, to;
} code_range;

/* Marks that stand on the letter before them, and joiners. */
static const code_range zero_width[] = {
    {0x0300, 0x036F}, {0x0483, 0x0489}, {0x0591, 0x05BD}, {0x0610, 0x061A}, {0x064B, 0x065F},
    {0x06D6, 0x06DC}, {0x0900, 0x0902}, {0x093C, 0x093C}, {0x0941, 0x0948}, {0x094D, 0x094D},
    {0x0E31, 0x0E31}, {0x0E34, 0x0E3A}, {0x0E47, 0x0E4E}, {0x1AB0, 0x1AFF}, {0x1DC0, 0x1DFF},
    {0x200B, 0x200F}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}, {0xFE20, 0xFE2F}, {0xE0100, 0xE01EF},
};
/* East Asian wide and full-width forms, and pictures. */
static const code_range double_width[] = {
    {0x1100, 0x115F}, {0x231A, 0x231B},   {0x2E80, 0x303E},   {0x3041, 0x33FF},   {0x3400, 0x4DBF},   {0x4E00, 0x9FFF},
    {0xA000, 0xA4CF}, {0xA960, 0xA97C},   {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},   {0xFF00, 0xFF60},
    {0xFFE0, 0xFFE6}, {0x1F300, 0x1F64F}, {0x1F680, 0x1F6FF}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD},
};

static bool is_within(uint32_t code, const code_range *ranges, size_t n) {
    for (size_t i = 0; i < n; i++)
        if (code >= ranges[i].from && code <= ranges[i].to) return true;
    return false;
}

/* One code point from s.p[at]; *ret_bytes of it. Bad bytes are U+FFFD of one byte. */
static uint32_t decode(gr_str s, size_t at, size_t *ret_bytes) {
    unsigned char c = (unsigned char)s.p[at];
    size_t n = c < 0x80 ? 1 : c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;
    *ret_bytes = 1;
    if (n == 1) return c;
    if (c < 0xC2 || c > 0xF4 || at + n > s.n || !gr_str_is_utf8(gr_str_sub(s, at, n))) return 0xFFFD;
    uint32_t code = c & (0x7Fu >> n);
    for (size_t i = 1; i < n; i++) code = code << 6 | ((unsigned char)s.p[at + i] & 0x3F);
    *ret_bytes = n;
    return code;
}

static size_t code_width(uint32_t code) {
    if (is_within(code, zero_width, sizeof zero_width / sizeof zero_width[0])) return 0;
    return is_within(code, double_width, sizeof double_width / sizeof double_width[0]) ? 2 : 1;
}

size_t gr_cli_text_width(gr_str text) {
    size_t width = 0, bytes;
    for (size_t at = 0; at < text.n; at += bytes) width += code_width(decode(text, at, &bytes));
    return width;
}

/* Control characters (also C1 and the ones that turn the direction of writing) as visible escapes. */
static bool is_control(uint32_t code) {
    return code < 0x20 || (code >= 0x7F && code < 0xA0) || (code >= 0x202A && code <= 0x202E) ||
           (code >= 0x2066 && code <= 0x2069);
}

static void add_control(gr_buf *out, uint32_t code) {
    static const struct {
        uint32_t code;
        const char *text;
    } names[] = {{'\n', "\\n"}, {'\t', "\\t"}, {'\r', "\\r"}};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (names[i].code == code) {
            gr_buf_z(out, names[i].text);
            return;
        }
    gr_buf_printf(out, "\\u%04x", (unsigned)code);
}

static gr_str visible(gr_arena *arena, gr_str cell) {
    gr_buf out;
    size_t bytes;
    gr_buf_init(&out, cell.n * 6 + 16);
    for (size_t at = 0; at < cell.n; at += bytes) {
        uint32_t code = decode(cell, at, &bytes);
        if (is_control(code))
            add_control(&out, code);
        else if (code == 0xFFFD)
            gr_buf_z(&out, "\xEF\xBF\xBD");
        else
            gr_buf_add(&out, gr_str_sub(cell, at, bytes));
    }
    gr_str copy = gr_arena_dup(arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return copy;
}

gr_cli_table *gr_cli_table_new(gr_arena *arena, const gr_cli_column *columns, size_t n) {
    gr_cli_table *table = GR_NEW(arena, gr_cli_table);
    gr_cli_column *copy = GR_NEW_N(arena, gr_cli_column, n ? n : 1);
    for (size_t i = 0; i < n; i++) copy[i] = (gr_cli_column){visible(arena, columns[i].title), columns[i].align};
    *table = (gr_cli_table){.arena = arena, .columns = copy, .n_columns = n};
    return table;
}

void gr_cli_table_row(gr_cli_table *table, const gr_str *cells) {
    for (size_t i = 0; i < table->n_columns; i++) {
        gr_str shown = visible(table->arena, cells[i]);
        GR_PUSH(table->arena, &table->cells, shown);
    }
}

/* Bytes of `text` that fit into `width` columns. */
static size_t fitting(gr_str text, size_t width) {
    size_t used = 0, bytes, at = 0;
    for (; at < text.n; at += bytes) {
        used += code_width(decode(text, at, &bytes));
        if (used > width) break;
    }
    return at;
}

static void add_spaces(gr_buf *out, size_t n) {
    while (n--) gr_buf_char(out, ' ');
}

static void print_cell(gr_buf *out, gr_str text, size_t width, gr_cli_align align, bool is_last) {
    size_t have = gr_cli_text_width(text);
    bool is_cut = have > width;
    gr_str shown = is_cut ? gr_str_sub(text, 0, fitting(text, width - 1)) : text;
    have = is_cut ? gr_cli_text_width(shown) + 1 : have;
    if (align == GR_ALIGN_RIGHT) add_spaces(out, width - have);
    gr_buf_add(out, shown);
    if (is_cut) gr_buf_z(out, "…");
    if (align == GR_ALIGN_LEFT && !is_last) add_spaces(out, width - have);
}

static void print_row(const gr_cli_table *table, const gr_str *cells, const size_t *widths, gr_buf *out) {
    for (size_t i = 0; i < table->n_columns; i++) {
        if (i) gr_buf_z(out, "  ");
        gr_str cell = cells ? cells[i] : table->columns[i].title;
        print_cell(out, cell, widths[i], table->columns[i].align, i + 1 == table->n_columns);
    }
    gr_buf_char(out, '\n');
}

void gr_cli_table_print(const gr_cli_table *table, size_t max_cell, gr_buf *out) {
    size_t n = table->n_columns, n_rows = n ? table->cells.n / n : 0;
    if (!n) return;
    size_t *widths = GR_NEW_N(table->arena, size_t, n);
    for (size_t i = 0; i < n; i++) widths[i] = gr_cli_text_width(table->columns[i].title);
    for (size_t i = 0; i < table->cells.n; i++) {
        size_t width = gr_cli_text_width(table->cells.v[i]);
        if (width > widths[i % n]) widths[i % n] = width;
    }
    for (size_t i = 0; i < n; i++) {
        if (max_cell && widths[i] > max_cell) widths[i] = max_cell;
        if (!widths[i]) widths[i] = 1;
    }
    print_row(table, NULL, widths, out);
    for (size_t i = 0; i < n; i++) {
        if (i) gr_buf_z(out, "  ");
        for (size_t w = 0; w < widths[i]; w++) gr_buf_char(out, '-');
    }
    gr_buf_char(out, '\n');
    for (size_t row = 0; row < n_rows; row++) print_row(table, table->cells.v + row * n, widths, out);
}
