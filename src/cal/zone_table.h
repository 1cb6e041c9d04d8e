/* What the files about time zones share: the table of a zone's offsets and those who fill it.
 *
 *   zone.c      names, lookup, conversion
 *   zone_dir.c  the folder of compiled zones: which names it has, the bytes of one       tzif.c      those bytes ->
 * table zone_icu.c  the names that ICU knows; its rules, for what the folder does not have   posix_tz.c  the rule at
 * their end
 *
 * Invariant of a table that was filled: the first segment begins at INT64_MIN, starts ascend, neighbours have different
 * offsets. Threads: a table belongs to its filler. */
#ifndef GR_CAL_ZONE_TABLE_H
#define GR_CAL_ZONE_TABLE_H
#include "cal/internal.h"

#define GR_CAL_TABLE_MAX 8192  /* segments: two a year for 2,500 years, and more than any file has */
#define GR_CAL_TABLE_YEAR 2500 /* from here on, conversions look whole cycles of 400 years earlier */
#define GR_CAL_TABLE_END_US (INT64_C(16725225600) * US_PER_SECOND)
/* A year more, so that bounds at the end see their neighbours. */
#define GR_CAL_SCAN_END_US (GR_CAL_TABLE_END_US + 366 * US_PER_DAY)
#define GR_CAL_ZONE_NAME_MAX 64
#define GR_CAL_OFFSET_MAX_S (26 * 3600)

/* [start_us, start_us of the next one) with one offset. */
typedef struct gr_cal_segment {
    int64_t start_us, offset_us;
    int64_t wall_sup_us; /* every reading in this segment and before it is less than this */
    int64_t wall_inf_us; /* no reading in this segment or after it is less than this */
} gr_cal_segment;

typedef struct gr_cal_table {
    gr_cal_segment *v; /* room for GR_CAL_TABLE_MAX */
    size_t n;
} gr_cal_table;

void gr_cal_table_init(gr_cal_table *table);
void gr_cal_table_done(gr_cal_table *table);
/* From `start_us`, which is after all that is there, the offset is this one. INT64_MIN: it always was. False when full.
 */
bool gr_cal_table_add(gr_cal_table *table, int64_t start_us, int64_t offset_us);

/* ---- the rule at the end of a file: POSIX TZ text, with the hours of -167 to 167 that files may have ---------- */
typedef enum gr_cal_rule_kind { GR_CAL_RULE_WEEKDAY, GR_CAL_RULE_JULIAN, GR_CAL_RULE_DAY } gr_cal_rule_kind;

typedef struct gr_cal_rule {
    gr_cal_rule_kind kind;
    int month, week, day; /* Mm.w.d; of Jn and n only `day` */
    int64_t time_s;       /* after that day's midnight */
} gr_cal_rule;

typedef struct gr_cal_rules {
    int64_t standard_s, summer_s; /* east of Greenwich */
    bool has_summer;
    gr_cal_rule start, end; /* of summer time */
} gr_cal_rules;

/* False when the text is not of that form. Summer time without its two days is refused: nobody says which they are. */
bool gr_cal_rules_parse(gr_str text, gr_cal_rules *ret);
/* Years beyond ±10,000 are refused by the caller. */
int64_t gr_cal_rules_offset_s(const gr_cal_rules *rules, int64_t year, int64_t utc_s);
/* Append what the rules say from `year` to the end of the table, as far as it is after `after_us`. False when full. */
bool gr_cal_rules_expand(const gr_cal_rules *rules, int64_t year, int64_t after_us, gr_cal_table *table);

/* ---- sources of tables ------------------------------------------------------------------------------------------ */
/* Fill an initialised table from the bytes of a TZif file, version 2 or later. False, and the table is undefined, when
 * anything in them does not hold, or when they count leap seconds. */
bool gr_cal_tzif_parse(const unsigned char *bytes, size_t n, gr_cal_table *table);
/* The same from the file of that name in the folder of zones. */
bool gr_cal_dir_read(gr_str name, gr_cal_table *table);
bool gr_cal_icu_read(gr_str name, gr_cal_table *table);

/* Called with each name; `name` is borrowed for the call. */
typedef void gr_cal_name_fn(void *into, gr_str name);
void gr_cal_dir_names(gr_cal_name_fn *fn, void *into);
void gr_cal_icu_names(gr_cal_name_fn *fn, void *into);
#endif
