/* ICU's part in time zones: the names and their canonical spelling; and its rules, for a zone that the system has no
 * usable file of. ICU's own data is as old as its package, so the file goes first (zone.c).
 * Invariant: no calendar object outlives a call. Threads: any; the caller holds its lock all the same. */
#include "cal/zone_table.h"

#include <unicode/ucal.h>

#define SCAN_START_MS (-6e13) /* year 68: before the first change of any zone */
#define SCAN_END_MS ((double)GR_CAL_SCAN_END_US / 1000)

/* ICU also knows names that are not of the IANA data base: System V's here, those of early Java in zone.c. */
static bool is_iana(gr_str name) {
    return name.n > 0 && name.n <= GR_CAL_ZONE_NAME_MAX && !gr_str_starts(name, GR_STR("SystemV/")) &&
           !gr_str_eq(name, GR_STR("Etc/Unknown"));
}

void gr_cal_icu_names(gr_cal_name_fn *fn, void *into) {
    UErrorCode status = U_ZERO_ERROR;
    UEnumeration *ids = ucal_openTimeZoneIDEnumeration(UCAL_ZONE_TYPE_ANY, NULL, NULL, &status);
    while (U_SUCCESS(status)) {
        int32_t length;
        const char *id = uenum_next(ids, &length, &status);
        if (U_FAILURE(status) || !id) break;
        gr_str name = {id, (size_t)length};
        if (is_iana(name)) fn(into, name);
    }
    uenum_close(ids);
}

static UCalendar *calendar_open(gr_str name) {
    UChar id[GR_CAL_ZONE_NAME_MAX + 1];
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

bool gr_cal_icu_read(gr_str name, gr_cal_table *table) {
    UCalendar *calendar = calendar_open(name);
    if (!calendar) return false;
    UErrorCode status = U_ZERO_ERROR;
    UDate at = SCAN_START_MS, next;
    table->n = 0;
    bool ok = gr_cal_table_add(table, INT64_MIN, calendar_offset_us(calendar, at, &status));
    while (ok && U_SUCCESS(status) &&
           ucal_getTimeZoneTransitionDate(calendar, UCAL_TZ_TRANSITION_NEXT, &next, &status) && next > at &&
           next < SCAN_END_MS) {
        at = next;
        ok = gr_cal_table_add(table, (int64_t)at * 1000, calendar_offset_us(calendar, at, &status));
    }
    ucal_close(calendar);
    return ok && U_SUCCESS(status);
}
