/* Time zones: each is read once, into a table of all its changes of offset; every conversion is then a binary search.
 * The table comes from the system's file of the zone (zone_dir.c, tzif.c), or where none is usable from ICU
 * (zone_icu.c).
 *
 *   segment i:  [start_us, start_us of i + 1) with one offset; the first begins at INT64_MIN, the last never ends
 *
 *   wall clock
 *     |        ___/        gap: no instant of any segment reads it
 *     |    ___/
 *     |  _/  /_            doubled: two segments read it; the earlier one answers
 *     |_/   /
 *     +-----------------> instants
 *
 * Rules repeat with the Gregorian calendar, every 400 years: what is beyond the table is looked up one or more cycles
 * earlier. Invariant: a segment table never changes once its pointer is published; a zone is built at most once, under
 * the mutex, and lives as long as the process (which sees new rules when it starts again). */
#include "base/log.h"
#include "base/mem.h"
#include "cal/zone_table.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

struct gr_tz {
    gr_str name;
    size_t n_segments;
    bool is_utc;
    const gr_cal_segment *segments;
};

typedef struct zone_entry {
    gr_str name;
    _Atomic(const gr_tz *) zone; /* NULL until first asked for */
} zone_entry;

#define CYCLE_US (146097 * US_PER_DAY)
#define MAX_NAMES 4096

static pthread_once_t names_once = PTHREAD_ONCE_INIT;
static pthread_mutex_t build_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    zone_entry *entries; /* by name, ASCII case folded */
    size_t n;
} names;
static const gr_cal_segment utc_segment = {INT64_MIN, 0, INT64_MAX, INT64_MIN};
static const gr_tz utc = {GR_STR_INIT("UTC"), 1, true, &utc_segment};

/* ---- tables ------------------------------------------------------------------------------------------------------ */

void gr_cal_table_init(gr_cal_table *table) {
    *table = (gr_cal_table){.v = gr_mem_alloc(GR_CAL_TABLE_MAX * sizeof *table->v)};
}

void gr_cal_table_done(gr_cal_table *table) {
    free(table->v);
    *table = (gr_cal_table){0};
}

bool gr_cal_table_add(gr_cal_table *table, int64_t start_us, int64_t offset_us) {
    if (start_us == INT64_MIN) table->n = 0;
    if (table->n > 0 && table->v[table->n - 1].offset_us == offset_us) return true;
    if (table->n == GR_CAL_TABLE_MAX) return false;
    table->v[table->n++] = (gr_cal_segment){.start_us = start_us, .offset_us = offset_us};
    return true;
}

/* ---- names -------------------------------------------------------------------------------------------------- */

static int fold(char c) { return c >= 'A' && c <= 'Z' ? c + ('a' - 'A') : (unsigned char)c; }

static int name_cmp(gr_str a, gr_str b) {
    size_t n = a.n < b.n ? a.n : b.n;
    for (size_t i = 0; i < n; i++)
        if (fold(a.p[i]) != fold(b.p[i])) return fold(a.p[i]) - fold(b.p[i]);
    return a.n < b.n ? -1 : a.n > b.n;
}

static int entry_cmp(const void *a, const void *b) {
    const zone_entry *x = a, *y = b;
    return name_cmp(x->name, y->name);
}

/* Three letters that early Java gave to zones: ICU knows them, the IANA data base does not; most mean several zones. */
static bool is_javas(gr_str name) {
    static const char javas[][4] = {"ACT", "AET", "AGT", "ART", "AST", "BET", "BST", "CAT", "CNT",
                                    "CST", "CTT", "EAT", "ECT", "IET", "IST", "JST", "MIT", "NET",
                                    "NST", "PLT", "PNT", "PRT", "PST", "SST", "VST"};
    for (size_t i = 0; i < sizeof javas / sizeof *javas; i++)
        if (gr_str_eq_nocase(name, gr_str_from(javas[i]))) return true;
    return false;
}

/* Among the first `n`. */
static zone_entry *entry_find(gr_str name, size_t n) {
    size_t from = 0, to = n;
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        int c = name_cmp(names.entries[mid].name, name);
        if (c == 0) return &names.entries[mid];
        if (c < 0)
            from = mid + 1;
        else
            to = mid;
    }
    return NULL;
}

static void name_add(void *into, gr_str name) {
    (void)into;
    if (names.n < MAX_NAMES && !is_javas(name))
        names.entries[names.n++].name = (gr_str){gr_mem_dup(name.p, name.n), name.n};
}

/* Names newer than ICU, when their file is good. `known`: how many came from ICU, in order. */
static void name_add_new(void *into, gr_str name) {
    const size_t *known = into;
    for (size_t i = *known; i < names.n; i++)
        if (name_cmp(names.entries[i].name, name) == 0) return;
    if (entry_find(name, *known)) return;
    gr_cal_table table;
    gr_cal_table_init(&table);
    if (gr_cal_dir_read(name, &table)) name_add(NULL, name);
    gr_cal_table_done(&table);
}

static void names_load(void) {
    names.entries = gr_mem_calloc(MAX_NAMES, sizeof *names.entries);
    gr_cal_icu_names(name_add, NULL);
    size_t known = names.n;
    qsort(names.entries, known, sizeof *names.entries, entry_cmp);
    gr_cal_dir_names(name_add_new, &known);
    qsort(names.entries, names.n, sizeof *names.entries, entry_cmp);
    for (size_t i = 0; i < names.n; i++)
        if (gr_str_eq(names.entries[i].name, utc.name)) atomic_init(&names.entries[i].zone, &utc);
}

/* ---- building a table ---------------------------------------------------------------------------------------- */

static void segments_bound(gr_cal_segment *s, size_t n) {
    int64_t sup = INT64_MIN, inf = INT64_MAX;
    for (size_t i = 0; i < n; i++) {
        int64_t end = i + 1 < n ? gr_cal_add(s[i + 1].start_us, s[i].offset_us) : INT64_MAX;
        if (end > sup) sup = end;
        s[i].wall_sup_us = sup;
    }
    for (size_t i = n; i-- > 0;) {
        int64_t start = i > 0 ? gr_cal_add(s[i].start_us, s[i].offset_us) : INT64_MIN;
        if (start < inf) inf = start;
        s[i].wall_inf_us = inf;
    }
}

static const gr_tz *zone_build(gr_str name) {
    gr_cal_table table;
    gr_cal_table_init(&table);
    bool is_read = gr_cal_dir_read(name, &table);
    if (!is_read) {
        gr_log_event(GR_LOG_DEBUG, "cal.zone_without_file", "zone", name, NULL);
        is_read = gr_cal_icu_read(name, &table);
    }
    if (!is_read) {
        gr_cal_table_done(&table);
        return NULL;
    }
    segments_bound(table.v, table.n);
    gr_tz *zone = gr_mem_calloc(1, sizeof *zone);
    zone->name = name;
    zone->n_segments = table.n;
    zone->is_utc = table.n == 1 && table.v[0].offset_us == 0;
    zone->segments = gr_mem_realloc(table.v, table.n * sizeof *table.v);
    return zone;
}

static const gr_tz *entry_zone(zone_entry *entry) {
    const gr_tz *zone = atomic_load_explicit(&entry->zone, memory_order_acquire);
    if (zone) return zone;
    pthread_mutex_lock(&build_lock);
    zone = atomic_load_explicit(&entry->zone, memory_order_relaxed);
    if (!zone) {
        zone = zone_build(entry->name);
        atomic_store_explicit(&entry->zone, zone, memory_order_release);
    }
    pthread_mutex_unlock(&build_lock);
    return zone;
}

static void hint_nearest(gr_str name, gr_error *err) {
    gr_str *all = gr_mem_calloc(names.n + 1, sizeof *all);
    for (size_t i = 0; i < names.n; i++) all[i] = names.entries[i].name;
    gr_str near = gr_diags_nearest(name, all, names.n);
    if (near.n)
        gr_error_hint(err, "Did you mean '" GR_FMT "'?", GR_ARG(near));
    else
        gr_error_hint(err, "Use an IANA name, such as 'Europe/London'; offsets such as '+05:00' are not names.");
    free(all);
}

gr_status gr_tz_get(gr_str name, const gr_tz **ret, gr_error *err) {
    pthread_once(&names_once, names_load);
    zone_entry *entry = name.n <= GR_CAL_ZONE_NAME_MAX ? entry_find(name, names.n) : NULL;
    const gr_tz *zone = entry ? entry_zone(entry) : NULL;
    if (!zone) {
        gr_str shown = name.n > GR_CAL_ZONE_NAME_MAX ? gr_str_sub(name, 0, GR_CAL_ZONE_NAME_MAX) : name;
        gr_status status = gr_error_set(err, GR_ERR_QUERY_TIMEZONE, "Unknown time zone: '" GR_FMT "'", GR_ARG(shown));
        if (name.n > 0 && name.n <= GR_CAL_ZONE_NAME_MAX) hint_nearest(name, err);
        return status;
    }
    *ret = zone;
    return GR_OK;
}

const gr_tz *gr_tz_utc(void) { return &utc; }

gr_str gr_tz_name(const gr_tz *tz) { return tz->name; }

bool gr_tz_is_utc(const gr_tz *tz) { return tz->is_utc; }

/* ---- conversions --------------------------------------------------------------------------------------------- */

/* How far back (a whole number of cycles) a time beyond the table is looked up. */
static int64_t cycles_us(const gr_tz *tz, int64_t us) {
    if (us < GR_CAL_TABLE_END_US || tz->n_segments == 1) return 0;
    return ((us - GR_CAL_TABLE_END_US) / CYCLE_US + 1) * CYCLE_US;
}

/* The segment that holds an instant of the table. */
static size_t segment_at(const gr_tz *tz, int64_t utc_us) {
    size_t from = 0, to = tz->n_segments - 1;
    while (from < to) {
        size_t mid = from + (to - from + 1) / 2;
        if (tz->segments[mid].start_us <= utc_us)
            from = mid;
        else
            to = mid - 1;
    }
    return from;
}

int64_t gr_tz_to_local(const gr_tz *tz, int64_t utc_us) {
    if (tz->is_utc) return utc_us;
    size_t i = segment_at(tz, utc_us - cycles_us(tz, utc_us));
    return gr_cal_add(utc_us, tz->segments[i].offset_us);
}

int64_t gr_tz_to_utc(const gr_tz *tz, int64_t local_us, bool *ret_is_ambiguous) {
    if (ret_is_ambiguous) *ret_is_ambiguous = false;
    if (tz->is_utc) return local_us;
    int64_t back = cycles_us(tz, local_us);
    int64_t wall = local_us - back;
    size_t from = 0, to = tz->n_segments - 1; /* the first segment that reaches beyond `wall` */
    while (from < to) {
        size_t mid = from + (to - from) / 2;
        if (tz->segments[mid].wall_sup_us > wall)
            to = mid;
        else
            from = mid + 1;
    }
    const gr_cal_segment *s = &tz->segments[from];
    if (ret_is_ambiguous) *ret_is_ambiguous = from + 1 < tz->n_segments && s[1].wall_inf_us < wall;
    int64_t instant = gr_cal_sub(wall, s->offset_us);
    if (instant < s->start_us) instant = s->start_us; /* in the gap before this segment */
    return gr_cal_add(instant, back);
}

int64_t gr_cal_reached(const gr_tz *tz, int64_t utc_us) {
    if (tz->is_utc) return utc_us;
    int64_t back = cycles_us(tz, utc_us);
    size_t i = segment_at(tz, utc_us - back);
    int64_t wall = gr_cal_add(utc_us - back, tz->segments[i].offset_us);
    if (i > 0 && tz->segments[i - 1].wall_sup_us > wall) wall = tz->segments[i - 1].wall_sup_us - 1;
    return gr_cal_add(wall, back);
}

int64_t gr_cal_next_change(const gr_tz *tz, int64_t utc_us) {
    int64_t back = cycles_us(tz, utc_us);
    size_t next = segment_at(tz, utc_us - back) + 1;
    return next < tz->n_segments ? gr_cal_add(tz->segments[next].start_us, back) : INT64_MAX;
}

static bool segments_divide(const gr_tz *tz, size_t first, size_t last, int64_t unit_us) {
    for (size_t i = first; i <= last; i++)
        if (tz->segments[i].offset_us % unit_us != 0) return false;
    return true;
}

bool gr_tz_offsets_divide(const gr_tz *tz, int64_t from_utc_us, int64_t to_utc_us, int64_t seconds) {
    if (seconds <= 0) return false;
    if (from_utc_us >= to_utc_us || tz->is_utc || seconds == 1) return true;
    int64_t unit_us = gr_cal_mul(seconds, US_PER_SECOND);
    bool is_beyond = to_utc_us > GR_CAL_TABLE_END_US;
    if (is_beyond) to_utc_us = GR_CAL_TABLE_END_US;
    /* beyond the table, all of the rule's offsets count: those of the cycle that ends with the table */
    if (is_beyond && from_utc_us > GR_CAL_TABLE_END_US - CYCLE_US) from_utc_us = GR_CAL_TABLE_END_US - CYCLE_US;
    return segments_divide(tz, segment_at(tz, from_utc_us), segment_at(tz, to_utc_us - 1), unit_us);
}
