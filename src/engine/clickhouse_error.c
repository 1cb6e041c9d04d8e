/* What ClickHouse says, in Granary's errors, by the number of its exception: `Code: 47, e.displayText() =
 * DB::Exception: text, e.what() = …` (18), `Code: 47. DB::Exception: text. (UNKNOWN_IDENTIFIER)` (modern). Invariant:
 * no message has a password in it; the server does not know ours but by a header. */
#include "engine/clickhouse_internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
    int code;
    gr_status status;
    const char *hint;
} codes[] = {
    {159, GR_ERR_TIMEOUT, "look at max_execution_time of the user's profile"},
    {394, GR_ERR_CANCELLED, ""},
    {241, GR_ERR_ENGINE_MEMORY, "raise max_memory_usage of the user's profile, or lower what runs at once"},
    {192, GR_ERR_ENGINE_OPEN, "check user and password"},
    {193, GR_ERR_ENGINE_OPEN, "check user and password"},
    {194, GR_ERR_ENGINE_OPEN, "check user and password"},
    {195, GR_ERR_ENGINE_OPEN, "the user may not come from this address"},
    {516, GR_ERR_ENGINE_OPEN, "check user and password"},
    {81, GR_ERR_ENGINE_OPEN, "create the database, or name another one"},
    {164, GR_ERR_ENGINE_SQL,
     "the user's profile is read-only: builds need one that may write, queries one that may set"},
    {497, GR_ERR_ENGINE_SQL, "grant the user what it needs: SELECT on the tables, CREATE and INSERT for builds"},
    {202, GR_ERR_ENGINE_LOCKED, "too many queries at once: try again, or lower engine.connections"},
    {203, GR_ERR_ENGINE_OPEN, "too many connections at once"},
    {209, GR_ERR_ENGINE_IO, "a server of the cluster is away"},
    {210, GR_ERR_ENGINE_IO, "a server of the cluster is away"},
    {279, GR_ERR_ENGINE_IO, "a server of the cluster is away"},
    {243, GR_ERR_ENGINE_IO, "the disk of the server is full: free some space"},
    {252, GR_ERR_ENGINE_SQL, "too many parts: merge them, or insert less often"},
    {6, GR_ERR_ENGINE_DATA, ""},
    {27, GR_ERR_ENGINE_DATA, ""},
    {38, GR_ERR_ENGINE_DATA, ""},
    {41, GR_ERR_ENGINE_DATA, ""},
    {69, GR_ERR_ENGINE_DATA, ""},
    {70, GR_ERR_ENGINE_DATA, ""},
    {72, GR_ERR_ENGINE_DATA, ""},
    {131, GR_ERR_ENGINE_DATA, ""},
    {153, GR_ERR_ENGINE_DATA, ""},
    {321, GR_ERR_ENGINE_DATA, ""},
    {349, GR_ERR_ENGINE_DATA, ""},
    {395, GR_ERR_ENGINE_DATA,
     "a sum that passes 64 bits (sum toDecimal128(…, 0) instead), or a bucket or wall clock before 1970; when no SQL "
     "of yours throws"},
    {407, GR_ERR_ENGINE_DATA, ""},
};

/* Between the class and what follows the sentence. */
static gr_str sentence(gr_str body) {
    gr_str head = GR_STR("DB::Exception: ");
    size_t at = gr_str_find_str(body, head);
    if (at != SIZE_MAX) body = gr_str_sub(body, at + head.n, body.n - at - head.n);
    size_t end = gr_str_find_str(body, GR_STR(", e.what() ="));
    if (end == SIZE_MAX) end = gr_str_find_str(body, GR_STR(" (version "));
    if (end != SIZE_MAX) body = gr_str_sub(body, 0, end);
    return gr_str_trim(body);
}

gr_status gr_engine_clickhouse_fail(const gr_clickhouse_conn *conn, gr_str body, gr_error *err) {
    enum { MOST = 700 };
    int code = 0;
    gr_str head = GR_STR("Code: ");
    size_t at = gr_str_find_str(body, head);
    for (size_t i = at == SIZE_MAX ? body.n : at + head.n; i < body.n && isdigit((unsigned char)body.p[i]); i++)
        code = code < 100000 ? code * 10 + (body.p[i] - '0') : code;
    gr_str text = sentence(body);
    gr_status status =
        code ? GR_ERR_ENGINE_SQL : GR_ERR_ENGINE_IO; /* without a number it is not ClickHouse that speaks */
    const char *hint = code ? "" : "is the address that of ClickHouse's HTTP interface?";
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (codes[i].code != code) continue;
        status = codes[i].status;
        hint = codes[i].hint;
    }
    /* Servers of a cluster are there, and one of them has not the table: that is no server that is away. */
    if (status == GR_ERR_ENGINE_IO && code && gr_str_find_str(body, GR_STR("There is no table")) != SIZE_MAX) {
        status = GR_ERR_ENGINE_SQL;
        hint = "the table is gone on a server of the cluster; of a rollup it is built again";
    }
    char line[MOST + 1];
    size_t n = 0;
    for (size_t i = 0; i < text.n && n < MOST; i++) line[n++] = (unsigned char)text.p[i] < ' ' ? ' ' : text.p[i];
    while (n && ((unsigned char)line[n - 1] & 0xc0) == 0x80 && n == MOST) n--; /* no half characters */
    line[n] = 0;
    gr_error_set(err, status, "%s: %s", conn->what, n ? line : "the server gave no reason");
    if (*hint) gr_error_hint(err, "%s", hint);
    if (err) snprintf(err->engine_state, sizeof err->engine_state, "%d", code);
    return status;
}

gr_status gr_engine_clickhouse_unreachable(const gr_clickhouse_conn *conn, CURLcode code, gr_error *err) {
    bool is_lost =
        code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR || code == CURLE_PARTIAL_FILE || code == CURLE_GOT_NOTHING;
    gr_status status = is_lost ? GR_ERR_ENGINE_IO : GR_ERR_ENGINE_OPEN;
    gr_error_set(err, status, "%s %s: %s", conn->what, is_lost ? "broke off" : "cannot be reached",
                 curl_easy_strerror(code));
    gr_error_hint(err, is_lost ? "try again: the next statement opens the connection again"
                               : "check that the server runs and takes HTTP connections from here, and its address");
    return status;
}
