/* A folder of zones of the test's own: rules at the end of files, damaged files, names that ICU does not know, and
 * which variable names the folder. */
#include "tzif_test.h"

#include <ftw.h>
#include <sys/wait.h>
#include <unicode/ucal.h>

static char folder[64] = "/tmp/granary_zones_XXXXXX";
static char other[64] = "/tmp/granary_zones_XXXXXX";

static const struct {
    const char *name, *footer;
    int32_t offset_s; /* before the rule */
} ruled[] = {
    {"Test/New_York", "EST5EDT,M3.2.0,M11.1.0", -18000},
    {"Test/Sydney", "AEST-10AEDT,M10.1.0,M4.1.0/3", 36000},
    {"Test/Nuuk", "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", -7200},
    {"Test/Jerusalem", "IST-2IDT,M3.4.4/26,M10.5.0", 7200},
    {"Test/Cairo", "EET-2EEST,M4.5.5/0,M10.5.4/24", 7200},
    {"Test/Dublin", "IST-1GMT0,M10.5.0,M3.5.0/1", 3600},
    {"Test/Chatham", "<+1245>-12:45<+1345>,M9.5.0/2:45,M4.1.0/3:45", 45900},
    {"Test/Lord_Howe", "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", 37800},
    {"Test/Julian", "AAA0BBB,J60/0,J300/0", 0},
    {"Test/Zero", "AAA0BBB,59/0,299/0", 0},
    {"Test/Always", "XXX3EDT4,0/0,J365/23", -10800},
    {"Test/Always1", "EST5EDT,0/0,J365/25", -14400},
    {"Test/Never", "AAA0BBB,0/0,0/1", 0},
    {"Test/Week", "AAA0BBB,M3.1.0/167,M10.1.0/-167", 0},
    {"Test/Seconds", "AAA0:00:30", -30},
    {"Test/Plus", "AAA+3:30", -12600},
    {"Test/None", "", 5400},
};

static const struct {
    const char *zone, *utc, *local;
} readings[] = {
    {"Test/New_York", "2026-03-08T06:59:59", "2026-03-08T01:59:59"},
    {"Test/New_York", "2026-03-08T07:00", "2026-03-08T03:00"},
    {"Test/New_York", "2026-11-01T05:59:59", "2026-11-01T01:59:59"},
    {"Test/New_York", "2026-11-01T06:00", "2026-11-01T01:00"},
    {"Test/New_York", "2499-07-01", "2499-06-30T20:00"},
    {"Test/New_York", "2500-12-31", "2500-12-30T19:00"},
    {"Test/New_York", "3026-07-01", "3026-06-30T20:00"},
    {"Test/Sydney", "2026-01-01", "2026-01-01T11:00"},
    {"Test/Sydney", "2026-04-04T15:59:59", "2026-04-05T02:59:59"},
    {"Test/Sydney", "2026-04-04T16:00", "2026-04-05T02:00"},
    {"Test/Sydney", "2026-10-03T16:00", "2026-10-04T03:00"},
    {"Test/Nuuk", "2026-03-29T00:59:59", "2026-03-28T22:59:59"}, /* an hour before Sunday begins */
    {"Test/Nuuk", "2026-03-29T01:00", "2026-03-29T00:00"},
    {"Test/Nuuk", "2026-10-25T01:00", "2026-10-24T23:00"},
    {"Test/Jerusalem", "2026-03-26T23:59:59", "2026-03-27T01:59:59"}, /* Friday after the fourth Thursday */
    {"Test/Jerusalem", "2026-03-27T00:00", "2026-03-27T03:00"},
    {"Test/Jerusalem", "2026-10-24T23:00", "2026-10-25T01:00"},
    {"Test/Cairo", "2026-04-23T22:00", "2026-04-24T01:00"},
    {"Test/Cairo", "2026-10-29T20:59:59", "2026-10-29T23:59:59"},
    {"Test/Cairo", "2026-10-29T21:00", "2026-10-29T23:00"},
    {"Test/Dublin", "2026-01-15T12:00", "2026-01-15T12:00"}, /* summer time is the standard one */
    {"Test/Dublin", "2026-03-29T01:00", "2026-03-29T02:00"},
    {"Test/Dublin", "2026-07-15T12:00", "2026-07-15T13:00"},
    {"Test/Dublin", "2026-10-25T01:00", "2026-10-25T01:00"},
    {"Test/Chatham", "2026-09-26T13:59:59", "2026-09-27T02:44:59"},
    {"Test/Chatham", "2026-09-26T14:00", "2026-09-27T03:45"},
    {"Test/Lord_Howe", "2026-10-03T15:30", "2026-10-04T02:30"},
    {"Test/Lord_Howe", "2026-04-04T15:00", "2026-04-05T01:30"},
    {"Test/Julian", "2024-02-29T23:59:59", "2024-02-29T23:59:59"}, /* J60 is 1 March in any year */
    {"Test/Julian", "2024-03-01", "2024-03-01T01:00"},
    {"Test/Julian", "2023-02-28T23:59:59", "2023-02-28T23:59:59"},
    {"Test/Julian", "2023-03-01", "2023-03-01T01:00"},
    {"Test/Julian", "2024-10-26T22:59:59", "2024-10-26T23:59:59"},
    {"Test/Julian", "2024-10-26T23:00", "2024-10-26T23:00"},
    {"Test/Zero", "2024-02-29", "2024-02-29T01:00"}, /* day 59 is 29 February in a leap year */
    {"Test/Zero", "2023-02-28T23:59:59", "2023-02-28T23:59:59"},
    {"Test/Zero", "2023-03-01", "2023-03-01T01:00"},
    {"Test/Zero", "2024-10-25T23:00", "2024-10-25T23:00"},
    {"Test/Zero", "2023-10-26T22:59:59", "2023-10-26T23:59:59"},
    {"Test/Always", "2026-01-01T03:00", "2025-12-31T23:00"},
    {"Test/Always", "2026-01-01T02:59:59", "2025-12-31T22:59:59"},
    {"Test/Always", "2026-07-01", "2026-06-30T20:00"},
    {"Test/Always1", "2026-01-01T05:00", "2026-01-01T01:00"},
    {"Test/Always1", "2026-12-31T12:00", "2026-12-31T08:00"},
    {"Test/Never", "2026-01-01T00:30", "2026-01-01T00:30"},
    {"Test/Never", "2026-07-01", "2026-07-01"},
    {"Test/Week", "2026-03-07T22:59:59", "2026-03-07T22:59:59"}, /* Sunday, 1 March, and a week less one hour */
    {"Test/Week", "2026-03-07T23:00", "2026-03-08T00:00"},
    {"Test/Week", "2026-09-26T23:59:59", "2026-09-27T00:59:59"}, /* Sunday, 4 October, less as much */
    {"Test/Week", "2026-09-27T00:00", "2026-09-27T00:00"},
    {"Test/Seconds", "2026-01-01", "2025-12-31T23:59:30"},
    {"Test/Plus", "2026-07-01", "2026-06-30T20:30"},
    {"Test/None", "2026-07-01", "2026-07-01T01:30"},
};

static const char *const refused_footers[] = {
    "EST",
    "5",
    "ES5",
    "EST5 ",
    "EST25",
    "EST5:60",
    "EST5:00:60",
    "EST5EDT",
    "EST5EDT,M3.2.0",
    "EST5EDT,M3.2.0,",
    "EST5EDT,M0.2.0,M11.1.0",
    "EST5EDT,M13.2.0,M11.1.0",
    "EST5EDT,M3.0.0,M11.1.0",
    "EST5EDT,M3.6.0,M11.1.0",
    "EST5EDT,M3.2.7,M11.1.0",
    "EST5EDT,M3.2,M11.1.0",
    "EST5EDT,J0,J365",
    "EST5EDT,J1,J366",
    "EST5EDT,0,366",
    "EST5EDT,M3.2.0/168,M11.1.0",
    "EST5EDT,M3.2.0/-168,M11.1.0",
    "EST5EDT,M3.2.0/,M11.1.0",
    "EST5EDT,M3.2.0/2:,M11.1.0",
    "EST5EDT,M3.2.0,M11.1.0,",
    "EST5EDT,M3.2.0/99999999999999999999,M11.1.0",
    "<-05>5<-04",
    "<EST5",
    ":America/New_York",
};

static void write_damaged(void) {
    static const tzif_spec seven = {.n_types = 1, .offsets = {25200}, .footer = "AAA-7"};
    unsigned char bytes[TZIF_ROOM];
    size_t n = tzif_write(&seven, bytes);
    zone_write(folder, "Asia/Kolkata", &seven); /* sound: what the file says goes, even when ICU knows better */
    file_write(folder, "America/New_York", bytes, n / 2);
    file_write(folder, "America/Chicago", bytes, 0);
    file_write(folder, "Europe/London", "hello\n", 6);
    bytes[54 + 44] = 0x7f; /* the offset of the first type */
    file_write(folder, "Europe/Paris", bytes, n);
    char path[128];
    snprintf(path, sizeof path, "%s/Europe/Berlin", folder);
    assert_int_equal(mkdir(path, 0700), 0);
    snprintf(path, sizeof path, "%s/Europe/Rome", folder);
    assert_int_equal(mkfifo(path, 0600), 0); /* nobody may wait for it */
    static unsigned char big[300 * 1024];
    memcpy(big, bytes, n);
    file_write(folder, "Asia/Tokyo", big, sizeof big);
    static const char *const sound_elsewhere[] = {
        "right/Test/Plus", "posix/Test/Plus",  "posixrules", "localtime",
        "a/b/c/d",         "Bad name/Plus",    "tz.data",    "IST",
        "Test/.hidden",    "Etc/Unknown~back", "New/Zone",   "New/North/West"};
    for (size_t i = 0; i < COUNT(sound_elsewhere); i++) zone_write(folder, sound_elsewhere[i], &seven);
    file_write(folder, "New/Broken", bytes, n);
}

static int folders_make(void **state) {
    (void)state;
    if (!mkdtemp(folder) || !mkdtemp(other)) return -1;
    for (size_t i = 0; i < COUNT(ruled); i++)
        zone_write(folder, ruled[i].name,
                   &(tzif_spec){.n_types = 1, .offsets = {ruled[i].offset_s}, .footer = ruled[i].footer});
    for (size_t i = 0; i < COUNT(refused_footers); i++) {
        char name[32];
        snprintf(name, sizeof name, "Refused/R%zu", i);
        zone_write(folder, name, &(tzif_spec){.n_types = 1, .offsets = {-18000}, .footer = refused_footers[i]});
    }
    write_damaged();
    zone_write(folder, "Africa/Cairo", &(tzif_spec){.n_types = 1, .offsets = {25200}, .footer = "AAA-7"});
    zone_write(other, "Africa/Cairo", &(tzif_spec){.n_types = 1, .offsets = {32400}, .footer = "AAA-9"});
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw) {
    (void)st, (void)type, (void)ftw;
    return remove(path);
}

static int folders_remove(void **state) {
    (void)state;
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS) | nftw(other, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static void set_or_not(const char *name, const char *value) {
    if (value)
        setenv(name, value, 1);
    else
        unsetenv(name);
}

/* Each in a process of its own: the folder is chosen once. Runs first, before this process chooses its own. */
static void test_which_folder(void **state) {
    (void)state;
    static const struct {
        const char *granary_tzdir, *tzdir;
        int hours; /* of Cairo in July 2026 */
    } rows[] = {{folder, other, 7}, {NULL, other, 9}, {"", other, 9}, {other, folder, 9}, {NULL, NULL, 3}, {"", "", 3}};
    for (size_t i = 0; i < COUNT(rows); i++) {
        pid_t child = fork();
        if (child == 0) {
            set_or_not("GRANARY_TZDIR", rows[i].granary_tzdir);
            set_or_not("TZDIR", rows[i].tzdir);
            const gr_tz *tz;
            if (gr_tz_get(GR_STR("africa/cairo"), &tz, NULL)) _exit(99);
            int64_t t = INT64_C(1783000000000000);
            _exit((int)((gr_tz_to_local(tz, t) - t) / INT64_C(3600000000)));
        }
        int status = 0;
        assert_true(child > 0 && waitpid(child, &status, 0) == child);
        assert_true(WIFEXITED(status));
        if (WEXITSTATUS(status) != rows[i].hours) fail_msg("row %zu: %d hours", i, WEXITSTATUS(status));
    }
    setenv("GRANARY_TZDIR", folder, 1);
}

static void test_footers(void **state) {
    (void)state;
    for (size_t i = 0; i < COUNT(readings); i++) {
        char what[96];
        snprintf(what, sizeof what, "%s at %s", readings[i].zone, readings[i].utc);
        assert_point(gr_tz_to_local(zone_of(readings[i].zone), at(readings[i].utc)), readings[i].local, what);
    }
    for (size_t i = 0; i < COUNT(refused_footers); i++) {
        char name[32];
        const gr_tz *tz;
        snprintf(name, sizeof name, "Refused/R%zu", i);
        if (gr_tz_get(gr_str_from(name), &tz, NULL) != GR_ERR_QUERY_TIMEZONE)
            fail_msg("accepted: %s", refused_footers[i]);
    }
}

static int64_t icu_offset_us(const char *zone, int64_t utc_us) {
    UChar id[64];
    for (size_t i = 0; i <= strlen(zone); i++) id[i] = (UChar)zone[i];
    UErrorCode status = U_ZERO_ERROR;
    UCalendar *calendar = ucal_open(id, -1, "en", UCAL_GREGORIAN, &status);
    ucal_setMillis(calendar, (double)(utc_us / 1000), &status);
    int64_t ms = ucal_get(calendar, UCAL_ZONE_OFFSET, &status) + ucal_get(calendar, UCAL_DST_OFFSET, &status);
    ucal_close(calendar);
    assert_true(U_SUCCESS(status));
    return ms * 1000;
}

static void test_damaged(void **state) {
    (void)state;
    static const char *const damaged[] = {"America/New_York", "America/Chicago", "Europe/London", "Europe/Paris",
                                          "Europe/Berlin",    "Europe/Rome",     "Asia/Tokyo",    "Asia/Seoul"};
    static const char *const points[] = {"1800-01-01", "1943-06-01", "1990-01-01",
                                         "2026-01-15", "2026-07-15", "2460-07-15"};
    for (size_t i = 0; i < COUNT(damaged); i++)
        for (size_t k = 0; k < COUNT(points); k++) {
            int64_t t = at(points[k]), got = gr_tz_to_local(zone_of(damaged[i]), t) - t;
            if (got != icu_offset_us(damaged[i], t)) fail_msg("%s at %s: %ld us", damaged[i], points[k], (long)got);
        }
    assert_point(gr_tz_to_local(zone_of("Asia/Kolkata"), 0), "1970-01-01T07:00", "a sound file");
}

static void test_new_names(void **state) {
    (void)state;
    assert_text(gr_tz_name(zone_of("new/zone")), "New/Zone", "another case");
    assert_ptr_equal(zone_of("NEW/ZONE"), zone_of("New/Zone"));
    assert_text(gr_tz_name(zone_of("new/north/WEST")), "New/North/West", "three parts");
    assert_point(gr_tz_to_local(zone_of("New/Zone"), 0), "1970-01-01T07:00", "New/Zone");
    static const char *const bad[] = {"right/Test/Plus",
                                      "posix/Test/Plus",
                                      "posixrules",
                                      "localtime",
                                      "a/b/c/d",
                                      "Bad name/Plus",
                                      "tz.data",
                                      "IST",
                                      "Test/.hidden",
                                      "New/Broken",
                                      "New",
                                      "New/",
                                      "/New/Zone",
                                      "../New/Zone",
                                      "Test/../New/Zone",
                                      "./New/Zone",
                                      "New//Zone",
                                      "Etc/Unknown",
                                      "Etc/Unknown~back"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        const gr_tz *tz;
        if (gr_tz_get(gr_str_from(bad[i]), &tz, NULL) != GR_ERR_QUERY_TIMEZONE) fail_msg("accepted: %s", bad[i]);
    }
    gr_error err = {0};
    const gr_tz *tz;
    assert_int_equal(gr_tz_get(GR_STR("New/Zome"), &tz, &err), GR_ERR_QUERY_TIMEZONE);
    assert_non_null(strstr(err.hint, "New/Zone"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_which_folder),
        cmocka_unit_test(test_footers),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_new_names),
    };
    return cmocka_run_group_tests(tests, folders_make, folders_remove);
}
