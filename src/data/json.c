/* JSON in: jansson behind a scan that bounds what it will see.
 * Invariant: jansson is given only UTF-8 of at most max_bytes and GR_JSON_MAX_DEPTH levels, so that its recursion is
 * bounded; a name that comes twice in one object is refused, so that nothing is silently lost. */
#include "data/json.h"
#include "base/mem.h"
#include "data/internal.h"

static gr_status fail_at(gr_error *err, gr_status status, uint32_t line, uint32_t col, const char *what) {
    gr_error_set(err, status, "The JSON text cannot be read: %s (line %u, column %u).", what, line, col);
    gr_error_at(err, (gr_loc){.line = line, .col = col});
    return status;
}

static gr_status fail(gr_error *err, gr_status status, gr_str text, size_t offset, const char *what) {
    uint32_t line, col;
    gr_data_place(text, offset, &line, &col);
    return fail_at(err, status, line, col, what);
}

/* Where the first bracket beyond the depth limit stands; SIZE_MAX when none is. Brackets in strings do not count. */
static size_t too_deep_at(gr_str text) {
    size_t depth = 0;
    bool is_string = false;
    for (size_t i = 0; i < text.n; i++) {
        char c = text.p[i];
        if (is_string) {
            if (c == '\\') i++;
            if (c == '"') is_string = false;
        } else if (c == '"') {
            is_string = true;
        } else if (c == '[' || c == '{') {
            if (++depth > GR_JSON_MAX_DEPTH) return i;
        } else if ((c == ']' || c == '}') && depth) {
            depth--;
        }
    }
    return SIZE_MAX;
}

static const struct {
    enum json_error_code code;
    const char *what;
} known_errors[] = {
    {json_error_numeric_overflow,
     "a number is too large: an integer has at most 64 bits, a real number is at most 1.8e308"},
    {json_error_null_character, "\\u0000 is not allowed in a string"},
    {json_error_null_byte_in_key, "\\u0000 is not allowed in a name"},
    {json_error_duplicate_key, "a name comes twice in one object"},
    {json_error_end_of_input_expected, "something follows the end of the value"},
    {json_error_premature_end_of_input, "the text ends too early"},
};

static gr_status fail_of_jansson(gr_error *err, const json_error_t *e, size_t n) {
    enum json_error_code code = json_error_code(e);
    if (code == json_error_out_of_memory) gr_mem_die(n);
    char what[JSON_ERROR_TEXT_LENGTH + 1];
    snprintf(what, sizeof what, "%s", e->text);
    for (size_t i = 0; i < sizeof known_errors / sizeof *known_errors; i++)
        if (known_errors[i].code == code) snprintf(what, sizeof what, "%s", known_errors[i].what);
    for (char *p = what; *p; p++)
        if ((unsigned char)*p < ' ') *p = ' ';
    return fail_at(err, GR_ERR_JSON_SYNTAX, e->line > 0 ? (uint32_t)e->line : 1,
                   e->column > 0 ? (uint32_t)e->column : 1, what);
}

static void release(void *value) { json_decref(value); }

gr_status gr_json_parse(gr_str text, size_t max_bytes, gr_arena *arena, json_t **ret, gr_error *err) {
    if (text.n > max_bytes)
        return gr_error_set(err, GR_ERR_JSON_LIMIT, "The JSON text has %zu bytes; at most %zu are allowed.", text.n,
                            max_bytes);
    if (gr_str_trim(text).n == 0) return fail_at(err, GR_ERR_JSON_SYNTAX, 1, 1, "it is empty");
    size_t bad = gr_data_utf8_bad(text);
    if (bad != SIZE_MAX) return fail(err, GR_ERR_JSON_SYNTAX, text, bad, "it is not valid UTF-8");
    size_t deep = too_deep_at(text);
    if (deep != SIZE_MAX) return fail(err, GR_ERR_JSON_LIMIT, text, deep, "it is nested deeper than 64 levels");
    json_error_t e;
    json_t *value = json_loadb(text.p, text.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &e);
    if (!value) return fail_of_jansson(err, &e, text.n);
    gr_arena_defer(arena, release, value);
    *ret = value;
    return GR_OK;
}
