/* The demo's data set, made by SQL in the engine itself: four CREATE TABLE AS over row numbers.
 * Invariant: every value is a function of its row number, the counts and the seed (hash() of the pinned engine, integer
 * arithmetic and sqrt, which IEEE 754 rounds in one way), so that the tables are the same on every machine. The file
 * gets its name when it is complete, and shop.json, written last, says for which size it is. */
#include "cli/demo.h"

#include "cli/progress.h"
#include "engine/engine.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

/* Placeholders of the templates: @orders@, @users@ … the counts, @h(n)@ = hash of the row's number `i` under key n.
 * Orders grow over three years from 2022 on: the moment of order i is a function of i, so that line items know it. */
#define ORDER_TIME(id)                                                                                                 \
    "make_timestamp(1640995200000000 + (94521600000000 * sqrt((" id ") / @orders@::DOUBLE))::BIGINT"                   \
    " + (hash(" id ", 17, @seed@) % 86400000000::UBIGINT)::BIGINT)"

static const struct {
    const char *name, *sql;
} tables[] = {
    {"users",
     "CREATE TABLE users AS SELECT i AS id, "
     "['Ada','Alan','Amira','Bo','Chen','Dana','Elif','Femi','Grace','Hana','Ivan','Jo','Kofi','Lena','Mei','Nils',"
     "'Olga','Paulo','Quinn','Rosa','Sven','Tala','Uma','Yuki'][1 + (@h(31)@ % 24::UBIGINT)::INTEGER] || ' ' || "
     "['Abara','Berg','Costa','Diaz','Evans','Fischer','Garcia','Haddad','Ito','Jansen','Kaya','Lopez','Moreau','Novak'"
     ","
     "'Okafor','Petrov','Rossi','Sato','Tanaka','Wang'][1 + (@h(32)@ % 20::UBIGINT)::INTEGER] AS name, "
     "place.city AS city, place.country AS country, "
     "make_timestamp(1577836800000000 + (@h(34)@ % 63158400000000::UBIGINT)::BIGINT) AS created_at "
     "FROM (SELECT range AS i, ["
     "{'city':'Berlin','country':'Germany'},{'city':'Hamburg','country':'Germany'},{'city':'Munich','country':'Germany'"
     "},"
     "{'city':'Paris','country':'France'},{'city':'Lyon','country':'France'},{'city':'Madrid','country':'Spain'},"
     "{'city':'Seville','country':'Spain'},{'city':'London','country':'United Kingdom'},"
     "{'city':'Leeds','country':'United Kingdom'},{'city':'New York','country':'United States'},"
     "{'city':'Chicago','country':'United States'},{'city':'Austin','country':'United States'},"
     "{'city':'Seattle','country':'United States'},{'city':'Toronto','country':'Canada'},"
     "{'city':'Montréal','country':'Canada'},{'city':'São "
     "Paulo','country':'Brazil'},{'city':'Recife','country':'Brazil'},"
     "{'city':'Tokyo','country':'Japan'},{'city':'Osaka','country':'Japan'},{'city':'Mumbai','country':'India'},"
     "{'city':'Pune','country':'India'},{'city':'Lagos','country':'Nigeria'},{'city':'Nairobi','country':'Kenya'},"
     "{'city':'Sydney','country':'Australia'}][1 + (hash(range, 33, @seed@) % 24::UBIGINT)::INTEGER] AS place "
     "FROM range(1, @users@ + 1))"},
    {"products",
     "CREATE TABLE products AS SELECT i AS id, "
     "['Plain','Bright','Quiet','Solid','Light','Round','Tall','Small','Warm','Blue'][1 + (@h(41)@ % "
     "10::UBIGINT)::INTEGER] "
     "|| ' ' || "
     "['Lamp','Chair','Kettle','Jacket','Backpack','Puzzle','Novel','Racket','Speaker','Notebook','Mug','Blanket']"
     "[1 + (@h(42)@ % 12::UBIGINT)::INTEGER] || ' ' || i AS name, "
     "['Books','Clothing','Electronics','Garden','Home','Kitchen','Music','Office','Outdoor','Sports','Toys','Travel']"
     "[1 + (@h(43)@ % 12::UBIGINT)::INTEGER] AS category, "
     "((300 + @h(44)@ % 29700::UBIGINT)::DECIMAL(10,0) / 100)::DECIMAL(10,2) AS price "
     "FROM (SELECT range AS i FROM range(1, @products@ + 1))"},
    {"orders",
     "CREATE TABLE orders AS SELECT i AS id, 1 + (@h(11)@ % @users@::UBIGINT)::BIGINT AS user_id, "
     "CASE WHEN r < 70 THEN 'completed' WHEN r < 85 THEN 'shipped' WHEN r < 95 THEN 'processing' ELSE 'cancelled' END "
     "AS status, "
     "CASE WHEN r < 85 THEN created_at + to_microseconds(1 + (@h(13)@ % 1209600000000::UBIGINT)::BIGINT) END AS "
     "completed_at, "
     "created_at FROM (SELECT range AS i, (hash(range, 12, @seed@) % 100::UBIGINT)::INTEGER AS r, " ORDER_TIME(
         "range") " AS created_at FROM range(1, @orders@ + 1))"},
    {"line_items",
     "CREATE TABLE line_items AS SELECT i AS id, product_id, order_id, quantity, "
     "((300 + hash(product_id, 44, @seed@) % 29700::UBIGINT)::DECIMAL(10,0) * quantity / 100)::DECIMAL(10,2) AS price, "
     "((1 + @h(23)@ % 19::UBIGINT)::DECIMAL(4,0) * 5 / 100)::DECIMAL(3,2) AS profit_margin, " ORDER_TIME(
         "order_id") " AS created_at FROM (SELECT range AS i, 1 + ((hash(range, 21, @seed@) % @products@::UBIGINT) "
                     "* (hash(range, 25, @seed@) % 1000::UBIGINT) // 1000::UBIGINT)::BIGINT AS product_id, "
                     "greatest(1, least(@orders@, 1 + (range - 1) * @orders@ // @line_items@ + (hash(range, 22, "
                     "@seed@) % 7::UBIGINT)::BIGINT - 3)) "
                     "AS order_id, 1 + (hash(range, 24, @seed@) % 5::UBIGINT)::INTEGER AS quantity FROM range(1, "
                     "@line_items@ + 1))"},
};

enum { MOST_SQL_BYTES = 64 * 1024 };

/* ---- templates ----------------------------------------------------------------------------------------------------
 */

static void add_placeholder(gr_buf *out, gr_str name, const gr_demo_size *size) {
    const struct {
        const char *name;
        int64_t value;
    } counts[] = {{"orders", size->orders},
                  {"line_items", size->line_items},
                  {"users", size->users},
                  {"products", size->products},
                  {"seed", size->seed}};
    if (gr_str_starts(name, GR_STR("h("))) {
        gr_buf_z(out, "hash(i, ");
        gr_buf_add(out, gr_str_sub(name, 2, name.n - 3));
        gr_buf_printf(out, ", %lld)", (long long)size->seed);
    }
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        if (gr_str_eq_z(name, counts[i].name)) gr_buf_i64(out, counts[i].value);
}

static void expand(gr_str form, const gr_demo_size *size, gr_buf *out) {
    size_t at = 0;
    for (;;) {
        size_t open = gr_str_find(form, '@', at),
               close = open == SIZE_MAX ? SIZE_MAX : gr_str_find(form, '@', open + 1);
        if (close == SIZE_MAX) break;
        gr_buf_add(out, gr_str_sub(form, at, open - at));
        add_placeholder(out, gr_str_sub(form, open + 1, close - open - 1), size);
        at = close + 1;
    }
    gr_buf_add(out, gr_str_sub(form, at, form.n - at));
}

/* ---- making -------------------------------------------------------------------------------------------------------
 */

static gr_str describe(const gr_demo_size *size, gr_arena *arena) {
    return gr_arena_printf(
        arena, "{\"form\":1,\"orders\":%lld,\"line_items\":%lld,\"users\":%lld,\"products\":%lld,\"seed\":%lld}\n",
        (long long)size->orders, (long long)size->line_items, (long long)size->users, (long long)size->products,
        (long long)size->seed);
}

gr_status gr_cli_demo_is_complete(gr_str dir, const gr_demo_size *size, gr_arena *arena, bool *ret, gr_error *err) {
    gr_str have = {0};
    bool is_there = false;
    gr_str note = gr_arena_printf(arena, GR_FMT "/data/shop.json", GR_ARG(dir));
    GR_TRY(gr_cli_read_file(note, 4096, arena, &have, &is_there, err));
    *ret = is_there && gr_str_eq(have, describe(size, arena)) &&
           access(gr_arena_printf(arena, GR_FMT "/data/shop.duckdb", GR_ARG(dir)).p, R_OK) == 0;
    return GR_OK;
}

static gr_status make_tables(gr_engine_conn *conn, const gr_demo_size *size, gr_arena *arena, gr_error *err) {
    gr_ctx ctx = {.arena = arena, .is_cancelled = &gr_cli_is_interrupted, .now_us = gr_clock_now_us()};
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        gr_buf sql;
        gr_cli_progress bar;
        int64_t rows = 0, started = gr_clock_mono_us();
        gr_buf_init(&sql, MOST_SQL_BYTES);
        expand(gr_str_from(tables[i].sql), size, &sql);
        gr_cli_progress_start(&bar, gr_str_from(tables[i].name));
        gr_status status =
            conn->driver->update(conn, &ctx, gr_buf_str(&sql), NULL, 0, gr_cli_progress_callback, &bar, &rows, err);
        gr_cli_progress_end(&bar);
        gr_buf_done(&sql);
        GR_TRY(status);
        fprintf(stderr, "  %-12s %10lld rows  %6.1f s\n", tables[i].name, (long long)rows,
                (double)(gr_clock_mono_us() - started) / 1e6);
    }
    return GR_OK;
}

/* The engine's own store is a database file like any other: the new file is made as one. */
static gr_status make_file(gr_str file, const gr_demo_size *size, const gr_config *config, gr_arena *arena,
                           gr_error *err) {
    const gr_engine_driver *driver = &gr_engine_duckdb_driver;
    gr_engine *engine;
    gr_engine_conn *conn;
    gr_engine_options options = {config, file};
    GR_TRY(driver->open(&options, &engine, err));
    gr_status status = driver->connect(engine, GR_STR(""), &conn, err);
    if (!status) {
        status = make_tables(conn, size, arena, err);
        driver->disconnect(conn);
    }
    driver->close(engine);
    return status;
}

gr_status gr_cli_demo_write_data(gr_str dir, const gr_demo_size *size, const gr_config *config, gr_arena *arena,
                                 gr_error *err) {
    bool is_complete;
    GR_TRY(gr_cli_demo_is_complete(dir, size, arena, &is_complete, err));
    if (is_complete) return GR_OK;
    gr_str folder = gr_arena_printf(arena, GR_FMT "/data", GR_ARG(dir));
    gr_str final = gr_arena_printf(arena, GR_FMT "/shop.duckdb", GR_ARG(folder));
    gr_str note = gr_arena_printf(arena, GR_FMT "/shop.json", GR_ARG(folder));
    gr_str making = gr_arena_printf(arena, GR_FMT "/shop.making.%d", GR_ARG(folder), (int)getpid());
    gr_str log = gr_arena_printf(arena, GR_FMT ".wal", GR_ARG(making));
    GR_TRY(gr_cli_make_dir(folder, err));
    unlink(making.p);
    unlink(note.p);
    gr_status status = make_file(making, size, config, arena, err);
    /* A write-ahead log that is still there means that the file alone is not all of it. */
    if (!status && access(log.p, F_OK) == 0)
        status = gr_error_set(err, GR_ERR_STORE_IO, "%s was not written out", making.p);
    if (!status && rename(making.p, final.p))
        status = gr_error_set(err, GR_ERR_STORE_IO, "cannot rename %s: %m", making.p);
    if (!status) status = gr_cli_write_file(note, describe(size, arena), 0644, err);
    if (status) {
        unlink(making.p);
        unlink(log.p);
    }
    return status;
}
