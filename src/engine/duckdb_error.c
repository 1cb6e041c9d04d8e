/* What DuckDB says, in Granary's errors. A failed result has a numeric type; a failed prepare has only a text, whose
 * prefix ("Binder Error: ") gives the type away. Only the first line goes out: the rest draws the statement and lists
 * names that were not asked for.
 * Invariant: every type of the engine maps to one status; what is unknown is a defect, not a user's mistake. */
#include "engine/duckdb_internal.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *prefix;
    gr_status status;
} kinds[] = {
    [DUCKDB_ERROR_INVALID] = {"Invalid Error", GR_ERR_INTERNAL},
    [DUCKDB_ERROR_OUT_OF_RANGE] = {"Out of Range Error", GR_ERR_ENGINE_DATA},
    [DUCKDB_ERROR_CONVERSION] = {"Conversion Error", GR_ERR_ENGINE_DATA},
    [DUCKDB_ERROR_UNKNOWN_TYPE] = {"Unknown Type Error", GR_ERR_ENGINE_SQL},
    [DUCKDB_ERROR_DECIMAL] = {"Decimal Error", GR_ERR_ENGINE_DATA},
    [DUCKDB_ERROR_MISMATCH_TYPE] = {"Mismatch Type Error", GR_ERR_ENGINE_DATA},
    [DUCKDB_ERROR_DIVIDE_BY_ZERO] = {"Divide by Zero Error", GR_ERR_ENGINE_DATA},
    [DUCKDB_ERROR_OBJECT_SIZE] = {"Object Size Error", GR_ERR_ENGINE_DATA},
    [DUCKDB_ERROR_INVALID_TYPE] = {"Invalid type Error", GR_ERR_ENGINE_DATA},
    [DUCKDB_ERROR_SERIALIZATION] = {"Serialization Error", GR_ERR_ENGINE_IO},
    [DUCKDB_ERROR_TRANSACTION] = {"TransactionContext Error", GR_ERR_ENGINE_SQL},
    [DUCKDB_ERROR_NOT_IMPLEMENTED] = {"Not implemented Error", GR_ERR_ENGINE_SQL},
    [DUCKDB_ERROR_EXPRESSION] = {"Expression Error", GR_ERR_ENGINE_SQL},
    [DUCKDB_ERROR_CATALOG] = {"Catalog Error", GR_ERR_ENGINE_SQL},
    [DUCKDB_ERROR_PARSER] = {"Parser Error", GR_ERR_ENGINE_SQL},
    [DUCKDB_ERROR_PLANNER] = {"Planner Error", GR_ERR_ENGINE_SQL},
    [DUCKDB_ERROR_SCHEDULER] = {"Scheduler Error", GR_ERR_INTERNAL},
    [DUCKDB_ERROR_EXECUTOR] = {"Executor Error", GR_ERR_ENGINE_DATA},
    [DUCKDB_ERROR_CONSTRAINT] = {"Constraint Error", GR_ERR_ENGINE_DATA},
    [DUCKDB_ERROR_INDEX] = {"Index Error", GR_ERR_ENGINE_DATA},
    [DUCKDB_ERROR_STAT] = {"Stat Error", GR_ERR_INTERNAL},
    [DUCKDB_ERROR_CONNECTION] = {"Connection Error", GR_ERR_ENGINE_IO},
    [DUCKDB_ERROR_SYNTAX] = {"Syntax Error", GR_ERR_ENGINE_SQL},
    [DUCKDB_ERROR_SETTINGS] = {"Settings Error", GR_ERR_ENGINE_SQL},
    [DUCKDB_ERROR_BINDER] = {"Binder Error", GR_ERR_ENGINE_SQL},
    [DUCKDB_ERROR_NETWORK] = {"Network Error", GR_ERR_ENGINE_IO},
    [DUCKDB_ERROR_OPTIMIZER] = {"Optimizer Error", GR_ERR_INTERNAL},
    [DUCKDB_ERROR_NULL_POINTER] = {"NullPointer Error", GR_ERR_INTERNAL},
    [DUCKDB_ERROR_IO] = {"IO Error", GR_ERR_ENGINE_IO},
    [DUCKDB_ERROR_INTERRUPT] = {"INTERRUPT Error", GR_ERR_CANCELLED},
    [DUCKDB_ERROR_FATAL] = {"FATAL Error", GR_ERR_ENGINE_STOPPED},
    [DUCKDB_ERROR_INTERNAL] = {"INTERNAL Error", GR_ERR_INTERNAL},
    [DUCKDB_ERROR_INVALID_INPUT] = {"Invalid Input Error", GR_ERR_ENGINE_DATA},
    [DUCKDB_ERROR_OUT_OF_MEMORY] = {"Out of Memory Error", GR_ERR_ENGINE_MEMORY},
    [DUCKDB_ERROR_PERMISSION] = {"Permission Error", GR_ERR_ENGINE_SQL},
    [DUCKDB_ERROR_PARAMETER_NOT_RESOLVED] = {"Parameter Not Resolved Error", GR_ERR_ENGINE_SQL},
    [DUCKDB_ERROR_PARAMETER_NOT_ALLOWED] = {"Parameter Not Allowed Error", GR_ERR_ENGINE_SQL},
    [DUCKDB_ERROR_DEPENDENCY] = {"Dependency Error", GR_ERR_ENGINE_SQL},
    [DUCKDB_ERROR_HTTP] = {"HTTP Error", GR_ERR_ENGINE_IO},
    [DUCKDB_ERROR_MISSING_EXTENSION] = {"Missing Extension Error", GR_ERR_ENGINE_SQL},
    [DUCKDB_ERROR_AUTOLOAD] = {"Extension Autoloading Error", GR_ERR_ENGINE_SQL},
    [DUCKDB_ERROR_SEQUENCE] = {"Sequence Error", GR_ERR_ENGINE_DATA},
    [DUCKDB_INVALID_CONFIGURATION] = {"Invalid Configuration Error", GR_ERR_ENGINE_SQL},
};
enum { N_KINDS = sizeof kinds / sizeof *kinds };

duckdb_error_type gr_engine_duckdb_error_type(const char *message) {
    for (int i = 1; message && i < N_KINDS; i++) {
        size_t n = strlen(kinds[i].prefix);
        if (!strncmp(message, kinds[i].prefix, n) && message[n] == ':') return (duckdb_error_type)i;
    }
    return DUCKDB_ERROR_INVALID;
}

bool gr_engine_duckdb_is_lock(const char *message) { return message && strstr(message, "Conflicting lock is held"); }

long gr_engine_duckdb_lock_pid(const char *message) {
    const char *at = message ? strstr(message, "(PID ") : NULL;
    return at ? strtol(at + 5, NULL, 10) : 0;
}

/* Transaction errors are mistakes in the statements, except where two users met: then another try helps. */
static gr_status transaction_status(const char *message) {
    bool is_conflict = strcasestr(message, "conflict") || strstr(message, "other write transactions") ||
                       strstr(message, "Cannot CHECKPOINT");
    return is_conflict ? GR_ERR_ENGINE_LOCKED : GR_ERR_ENGINE_SQL;
}

/* An invalid input is bad data, except where it is the statement that is refused. */
static gr_status input_status(const char *message) {
    static const char *const refusals[] = {"Cannot prepare multiple statements", "No statement to prepare",
                                           "attached in read-only mode", "Values were not provided"};
    if (strstr(message, "sketch.invalid: ")) return GR_ERR_SKETCH;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++)
        if (strstr(message, refusals[i])) return GR_ERR_ENGINE_SQL;
    return GR_ERR_ENGINE_DATA;
}

/* Without the engine's prefix, and only the first line. */
static gr_str first_line(duckdb_error_type type, const char *message) {
    gr_str text = gr_str_from(message);
    size_t n = strlen(kinds[type].prefix);
    if (type != DUCKDB_ERROR_INVALID && gr_str_starts(text, gr_str_from(kinds[type].prefix)) && text.n > n + 1)
        text = gr_str_sub(text, n + 1, text.n - n - 1);
    text = gr_str_trim(text);
    size_t end = gr_str_find(text, '\n', 0);
    return gr_str_trim(end == SIZE_MAX ? text : gr_str_sub(text, 0, end));
}

static atomic_bool is_stopped;

bool gr_engine_duckdb_is_stopped(void) { return atomic_load(&is_stopped); }

/* A log or a checkpoint that could not be written for certain (a failed fsync): the engine refuses everything then, so
 * that nothing is built on what may be lost. What is on the disk is whole, and a new process reads it. */
static gr_status stopped(const char *message, gr_error *err) {
    gr_str text = first_line(DUCKDB_ERROR_FATAL, message);
    atomic_store(&is_stopped, true);
    gr_error_set(err, GR_ERR_ENGINE_STOPPED, "the engine has stopped after an error of the disk: " GR_FMT,
                 GR_ARG(text));
    if (err) snprintf(err->engine_state, sizeof err->engine_state, "%d", (int)DUCKDB_ERROR_FATAL);
    gr_error_hint(err, "a server starts again by itself; look at the disk that the store lies on");
    return GR_ERR_ENGINE_STOPPED;
}

gr_status gr_engine_duckdb_fail(duckdb_error_type type, const char *message, gr_error *err) {
    if (!message) message = "";
    if (type == DUCKDB_ERROR_INVALID) type = gr_engine_duckdb_error_type(message);
    if ((unsigned)type >= N_KINDS) type = DUCKDB_ERROR_INVALID;
    if (type == DUCKDB_ERROR_FATAL || strstr(message, "database has been invalidated")) return stopped(message, err);
    gr_status status = kinds[type].status;
    if (type == DUCKDB_ERROR_TRANSACTION) status = transaction_status(message);
    if (type == DUCKDB_ERROR_INVALID_INPUT) status = input_status(message);
    if (gr_engine_duckdb_is_lock(message)) status = GR_ERR_ENGINE_LOCKED;
    gr_str text = first_line(type, message);
    gr_error_set(err, status, GR_FMT, GR_ARG(text));
    if (err) snprintf(err->engine_state, sizeof err->engine_state, "%d", (int)type);
    if (status == GR_ERR_INTERNAL && type != DUCKDB_ERROR_INVALID)
        gr_error_hint(err, "the engine reported a defect of its own; restart the server");
    return status;
}

gr_status gr_engine_duckdb_fail_result(duckdb_result *result, gr_error *err) {
    return gr_engine_duckdb_fail(duckdb_result_error_type(result), duckdb_result_error(result), err);
}

gr_status gr_engine_duckdb_fired(gr_status fired, gr_error *err) {
    return gr_error_set(err, fired, "%s",
                        fired == GR_ERR_TIMEOUT ? "the statement ran longer than its limit"
                                                : "the statement was cancelled");
}

/* When one of the threads behind a stream meets bad data, the engine now and then (about 1 in 200, seen with 1.5.6)
 * reports how it stopped the others in place of the cause. That is no cancellation. */
gr_status gr_engine_duckdb_reason(gr_duckdb_conn *conn, gr_status fired, gr_status status, gr_error *err) {
    if (fired) return gr_engine_duckdb_fired(fired, err);
    if (status != GR_ERR_CANCELLED || atomic_load(&conn->is_interrupted)) return status;
    gr_error_set(err, GR_ERR_ENGINE_DATA, "the engine stopped the statement because of an error that it did not name");
    if (err) snprintf(err->engine_state, sizeof err->engine_state, "%d", (int)DUCKDB_ERROR_INTERRUPT);
    gr_error_hint(err, "most often a value does not convert or overflows; run the statement again to learn which");
    return GR_ERR_ENGINE_DATA;
}
