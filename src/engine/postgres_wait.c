/* Waiting for the server. Nothing blocks in libpq: between two looks at the socket, cancel, deadline and interrupt are
 * seen, and the statement is stopped at the server by a cancel request.
 *
 *   sent ──> readable ──> a result
 *     │ 10 ms
 *     └──> cancelled? late? interrupted? ──> cancel request ──> its error is the result
 *
 * Invariant: a server that does not answer a cancel request within STOP_US has lost its connection with us. */
#include "engine/postgres_internal.h"

#include <poll.h>

enum { LOOK_MS = 10, TICK_US = 100 * 1000, STOP_US = 10 * 1000 * 1000 };

static gr_status reason(const gr_postgres_conn *conn, const gr_postgres_wait *wait) {
    if (conn && atomic_load(&conn->is_interrupted)) return GR_ERR_CANCELLED;
    if (wait->ctx && gr_ctx_is_cancelled(wait->ctx)) return GR_ERR_CANCELLED;
    return wait->ctx && gr_ctx_is_late(wait->ctx) ? GR_ERR_TIMEOUT : GR_OK;
}

gr_status gr_engine_postgres_wait_begin(gr_postgres_wait *wait, const gr_ctx *ctx, gr_error *err) {
    *wait = (gr_postgres_wait){.ctx = ctx, .next_tick_us = gr_clock_mono_us() + TICK_US};
    gr_status status = reason(NULL, wait);
    return status ? gr_engine_postgres_fail(NULL, NULL, status, err) : GR_OK;
}

static void send_cancel(gr_postgres_conn *conn) {
    char why[256];
    PGcancel *cancel = PQgetCancel(conn->pg->conn);
    if (cancel) PQcancel(cancel, why, sizeof why);
    PQfreeCancel(cancel);
}

static void look(gr_postgres_conn *conn, gr_postgres_wait *wait) {
    int64_t now = gr_clock_mono_us();
    if (!wait->fired && (wait->fired = reason(conn, wait))) {
        wait->fired_us = now;
        send_cancel(conn);
    }
    if (wait->on_tick && now >= wait->next_tick_us) {
        wait->next_tick_us = now + TICK_US;
        wait->on_tick(wait->arg, -1);
    }
}

gr_status gr_engine_postgres_wait_look(gr_postgres_conn *conn, gr_postgres_wait *wait) {
    look(conn, wait);
    return wait->fired;
}

static bool is_hopeless(const gr_postgres_wait *wait) {
    return wait->fired && gr_clock_mono_us() - wait->fired_us > STOP_US;
}

PGresult *gr_engine_postgres_wait_next(gr_postgres_conn *conn, gr_postgres_wait *wait) {
    PGconn *pg = conn->pg->conn;
    while (pg && PQisBusy(pg)) {
        struct pollfd fd = {.fd = PQsocket(pg), .events = POLLIN};
        int n = fd.fd < 0 ? -1 : poll(&fd, 1, LOOK_MS);
        if (n != 0 && !PQconsumeInput(pg)) break; /* PQgetResult says what it was */
        look(conn, wait);
        if (is_hopeless(wait)) {
            gr_pg_hang_up(conn->pg);
            return NULL;
        }
    }
    return pg ? PQgetResult(pg) : NULL;
}

int gr_engine_postgres_wait_copied(gr_postgres_conn *conn, gr_postgres_wait *wait, char **ret) {
    PGconn *pg = conn->pg->conn;
    for (;;) {
        int n = pg ? PQgetCopyData(pg, ret, 1) : -2;
        if (n != 0) return n == -1 ? 0 : n;
        struct pollfd fd = {.fd = PQsocket(pg), .events = POLLIN};
        int ready = fd.fd < 0 ? -1 : poll(&fd, 1, LOOK_MS);
        if (ready != 0 && !PQconsumeInput(pg)) return -2;
        look(conn, wait);
        if (is_hopeless(wait)) {
            gr_pg_hang_up(conn->pg);
            return -2;
        }
    }
}

void gr_engine_postgres_drain(gr_postgres_conn *conn, bool stop) {
    gr_postgres_wait wait = {0};
    if (!conn->pg->conn || PQtransactionStatus(conn->pg->conn) != PQTRANS_ACTIVE) stop = false;
    if (stop) {
        wait.fired = GR_ERR_CANCELLED;
        wait.fired_us = gr_clock_mono_us();
        send_cancel(conn);
    }
    for (PGresult *r; (r = gr_engine_postgres_wait_next(conn, &wait));) {
        bool is_copy = PQresultStatus(r) == PGRES_COPY_IN || PQresultStatus(r) == PGRES_COPY_OUT;
        bool is_read = PQresultStatus(r) == PGRES_COPY_OUT && stop; /* it ends soon */
        PQclear(r);
        char *row;
        int n = 1;
        while (is_read && (n = gr_engine_postgres_wait_copied(conn, &wait, &row)) > 0) PQfreemem(row);
        if (is_read && n <= 0 && conn->pg->conn) continue;
        if (is_copy) { /* nobody reads or writes it */
            gr_pg_hang_up(conn->pg);
            return;
        }
    }
}

void gr_engine_postgres_rollback(gr_postgres_conn *conn) {
    PGconn *pg = conn->pg->conn;
    PGTransactionStatusType now = pg ? PQtransactionStatus(pg) : PQTRANS_UNKNOWN;
    if (now == PQTRANS_INTRANS || now == PQTRANS_INERROR) PQclear(PQexec(pg, "ROLLBACK"));
}
