/* Time zones: ICU is asked once per zone for all its changes of offset; every conversion is then a binary search.
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
 * the mutex, and lives as long as the process. ICU's calendar objects are used under that mutex only. */
#include "base/mem.h"
#include "cal/internal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unicode/ucal.h>

typedef struct segment {
    int64_t start_us, offset_us;
    int64_t wall_sup_us; /* every reading in this segment and before it is less than this */
    int64_t wall_inf_us; /* no reading in this segment or after it is less than this */
} segment;

struct gr_tz {
    gr_str name;
    size_t n_segments;
    bool is_utc;
    const segment *segments;
};

typedef struct zone_entry {
    gr_str name;
    _Atomic(const gr_tz *) zone; /* NULL until first asked for */
} zone_entry;

#define CYCLE_US (146097 * US_PER_DAY)
#define TABLE_END_US (INT64_C(16725225600) * US_PER_SECOND) /* 2500-01-01: beyond it, look a cycle earlier */
#define SCAN_START_MS (-6e13)                               /* year 68: before the first change of any zone */
#define SCAN_END_MS (16725225600e3 + 366 * 86400e3)         /* a year more, so that bounds at the end see neighbours */
#define MAX_SEGMENTS 4096
#define MAX_NAME 64

static pthread_once_t names_once = PTHREAD_ONCE_INIT;
static pthread_mutex_t build_lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    zone_entry *entries; /* by name, ASCII case folded */
    size_t n;
} names;
static const segment utc_segment = {INT64_MIN, 0, INT64_MAX, INT64_MIN};
static const gr_tz utc = {GR_STR_INIT("UTC"), 1, true, &utc_segment};

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

/* ICU also knows names that are not of the IANA data base: the three letters of early Java, and System V's. */
static bool is_iana(gr_str name) {
    static const char not_iana[][4] = {"ACT", "AET", "AGT", "ART", "AST", "BET", "BST", "CAT", "CNT",
                                       "CST", "CTT", "EAT", "ECT", "IET", "IST", "JST", "MIT", "NET",
                                       "NST", "PLT", "PNT", "PRT", "PST", "SST", "VST"};
    for (size_t i = 0; i < sizeof not_iana / sizeof *not_iana; i++)
        if (gr_str_eq_z(name, not_iana[i])) return false;
    return name.n > 0 && name.n <= MAX_NAME && !gr_str_starts(name, GR_STR("SystemV/")) &&
           !gr_str_eq(name, GR_STR("Etc/Unknown"));
}

static void names_load(void) {
    UErrorCode status = U_ZERO_ERROR;
    UEnumeration *ids = ucal_openTimeZoneIDEnumeration(UCAL_ZONE_TYPE_ANY, NULL, NULL, &status);
    int32_t count = U_SUCCESS(status) ? uenum_count(ids, &status) : 0;
    if (U_FAILURE(status) || count < 0) count = 0;
    zone_entry *entries = gr_mem_calloc((size_t)count + 1, sizeof *entries);
    size_t n = 0;
    for (int32_t i = 0; i < count; i++) {
        int32_t length;
        const char *id = uenum_next(ids, &length, &status);
        if (U_FAILURE(status) || !id) break;
        gr_str name = {id, (size_t)length};
        if (!is_iana(name)) continue;
        entries[n++].name = (gr_str){gr_mem_dup(name.p, name.n), name.n};
    }
    uenum_close(ids);
    qsort(entries, n, sizeof *entries, entry_cmp);
    for (size_t i = 0; i < n; i++)
        if (gr_str_eq(entries[i].name, utc.name)) atomic_init(&entries[i].zone, &utc);
    names.entries = entries;
    names.n = n;
}

static zone_entry *entry_find(gr_str name) {
    size_t from = 0, to = names.n;
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

/* ---- building a table ---------------------------------------------------------------------------------------- */

static UCalendar *calendar_open(gr_str name) {
    UChar id[MAX_NAME + 1];
    for (size_t i = 0; i < name.n; i++) id[i] = (UChar)(unsigned char)name.p[i];
    UErrorCode status = U_ZERO_ERROR;
    UCalendar *calendar = ucal_open(id, (int32_t)name.n, "en", UCAL_GREGORIAN, &status);
    if (U_SUCCESS(status)) return calendar;
    ucal_close(calendar);
    return NULL;
}

static int64_t calendar_offset_us(UCalendar *calendar, UDate at, UErrorCode *status) {
    ucal_setMillis(calendar, at, status);
    int64_t ms = ucal_get(calendar, UCAL_ZONE_OFFSET, status);
    return (ms + ucal_get(calendar, UCAL_DST_OFFSET, status)) * 1000;
}

/* Segments in order, neighbours with different offsets. 0 when ICU fails. */
static size_t segments_read(UCalendar *calendar, segment *out) {
    UErrorCode status = U_ZERO_ERROR;
    UDate at = SCAN_START_MS, next;
    out[0] = (segment){.start_us = INT64_MIN, .offset_us = calendar_offset_us(calendar, at, &status)};
    size_t n = 1;
    while (U_SUCCESS(status) && ucal_getTimeZoneTransitionDate(calendar, UCAL_TZ_TRANSITION_NEXT, &next, &status) &&
           next > at && next < SCAN_END_MS) {
        at = next;
        int64_t offset_us = calendar_offset_us(calendar, at, &status);
        if (offset_us == out[n - 1].offset_us) continue;
        if (n == MAX_SEGMENTS) return 0;
        out[n++] = (segment){.start_us = (int64_t)at * 1000, .offset_us = offset_us};
    }
    return U_SUCCESS(status) ? n : 0;
}

static void segments_bound(segment *s, size_t n) {
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
    UCalendar *calendar = calendar_open(name);
    if (!calendar) return NULL;
    segment *segments = gr_mem_alloc(MAX_SEGMENTS * sizeof *segments);
    size_t n = segments_read(calendar, segments);
    ucal_close(calendar);
    if (n == 0) {
        free(segments);
        return NULL;
    }
    segments_bound(segments, n);
    gr_tz *zone = gr_mem_calloc(1, sizeof *zone);
    zone->name = name;
    zone->n_segments = n;
    zone->is_utc = n == 1 && segments[0].offset_us == 0;
    zone->segments = gr_mem_realloc(segments, n * sizeof *segments);
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
    zone_entry *entry = name.n <= MAX_NAME ? entry_find(name) : NULL;
    const gr_tz *zone = entry ? entry_zone(entry) : NULL;
    if (!zone) {
        gr_str shown = name.n > MAX_NAME ? gr_str_sub(name, 0, MAX_NAME) : name;
        gr_status status = gr_error_set(err, GR_ERR_QUERY_TIMEZONE, "Unknown time zone: '" GR_FMT "'", GR_ARG(shown));
        if (name.n > 0 && name.n <= MAX_NAME) hint_nearest(name, err);
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
    if (us < TABLE_END_US || tz->n_segments == 1) return 0;
    return ((us - TABLE_END_US) / CYCLE_US + 1) * CYCLE_US;
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
    const segment *s = &tz->segments[from];
    if (ret_is_ambiguous) *ret_is_ambiguous = from + 1 < tz->n_segments && s[1].wall_inf_us < wall;
    int64_t instant = gr_cal_sub(wall, s->offset_us);
    if (instant < s->start_us) instant = s->start_us; /* in the gap before this segment */
    return gr_cal_add(instant, back);
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
    bool is_beyond = to_utc_us > TABLE_END_US;
    if (is_beyond) to_utc_us = TABLE_END_US;
    /* beyond the table, all of the rule's offsets count: those of the cycle that ends with the table */
    if (is_beyond && from_utc_us > TABLE_END_US - CYCLE_US) from_utc_us = TABLE_END_US - CYCLE_US;
    return segments_divide(tz, segment_at(tz, from_utc_us), segment_at(tz, to_utc_us - 1), unit_us);
}
