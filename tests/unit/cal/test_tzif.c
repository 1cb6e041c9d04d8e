/* Bytes of zone files: what is refused and why, and that no damage to them does harm. Run under the address sanitizer.
 */
#include "cal/zone_table.h"
#include "tzif_test.h"

static const tzif_spec sound = {.n_times = 3,
                                .n_types = 3,
                                .times = {-2717650800, 1000000000, 1004853600},
                                .types = {1, 2, 1},
                                .offsets = {-17762, -18000, -14400},
                                .footer = "EST5EDT,M3.2.0,M11.1.0"};

static bool parse(const unsigned char *bytes, size_t n, gr_cal_table *table) {
    unsigned char *exact = malloc(n ? n : 1); /* so that a byte too many is seen */
    memcpy(exact, bytes, n);
    bool ok = gr_cal_tzif_parse(exact, n, table);
    free(exact);
    return ok;
}

static bool parse_spec(const tzif_spec *spec) {
    unsigned char bytes[TZIF_ROOM];
    gr_cal_table table;
    gr_cal_table_init(&table);
    bool ok = parse(bytes, tzif_write(spec, bytes), &table);
    gr_cal_table_done(&table);
    return ok;
}

static void assert_ordered(const gr_cal_table *table) {
    assert_true(table->n >= 1 && table->n <= GR_CAL_TABLE_MAX);
    assert_true(table->v[0].start_us == INT64_MIN);
    for (size_t i = 0; i < table->n; i++) {
        const gr_cal_segment *s = &table->v[i];
        assert_in_range((uint64_t)(s->offset_us / 1000000 + GR_CAL_OFFSET_MAX_S), 0, 2 * GR_CAL_OFFSET_MAX_S);
        if (i == 0) continue;
        assert_true(s->start_us > s[-1].start_us);
        assert_true(s->offset_us != s[-1].offset_us);
        assert_true(s->start_us < GR_CAL_SCAN_END_US);
    }
}

static void test_sound(void **state) {
    (void)state;
    unsigned char bytes[TZIF_ROOM];
    gr_cal_table table;
    gr_cal_table_init(&table);
    size_t n = tzif_write(&sound, bytes);
    assert_true(parse(bytes, n, &table));
    assert_ordered(&table);
    assert_int_equal(table.v[0].offset_us, INT64_C(-17762000000));
    assert_int_equal(table.v[1].start_us, INT64_C(-2717650800000000));
    assert_int_equal(table.v[4].start_us, at("2002-03-10T07:00"));
    assert_int_equal(table.n, 4 + 2 * (2500 - 2001));
    memcpy(bytes + n, "more", 4); /* later versions may append */
    assert_true(parse(bytes, n + 4, &table));
    gr_cal_table_done(&table);
}

static void test_refused(void **state) {
    (void)state;
    assert_true(parse_spec(&sound));
    static const struct {
        const char *what;
        size_t offset; /* of the byte that changes, from the second header on */
        unsigned char value;
    } bytes_wrong[] = {
        {"magic", 0, 'X'},         {"version 1", 4, 0},        {"flags without types", 23, 1},
        {"more flags", 27, 2},     {"leap seconds", 31, 1},    {"too many times", 32, 0xff},
        {"one time more", 35, 4},  {"no type", 39, 0},         {"too many types", 36, 0x7f},
        {"no names", 43, 0},       {"endless names", 40, 255}, {"times descend", 44, 0},
        {"type of a time", 68, 3}, {"huge offset", 71, 0x7f},  {"neither summer nor not", 75, 2},
        {"name of a type", 76, 4}, {"names end", 92, 'A'},     {"no line feed", 93, 'A'},
    };
    unsigned char bytes[TZIF_ROOM];
    gr_cal_table table;
    gr_cal_table_init(&table);
    for (size_t i = 0; i < COUNT(bytes_wrong); i++) {
        size_t n = tzif_write(&sound, bytes);
        assert_true(bytes[54 + bytes_wrong[i].offset] != bytes_wrong[i].value);
        bytes[54 + bytes_wrong[i].offset] = bytes_wrong[i].value;
        if (parse(bytes, n, &table)) fail_msg("accepted: %s", bytes_wrong[i].what);
    }
    size_t n = tzif_write(&sound, bytes);
    for (size_t cut = 0; cut < n; cut++)
        if (parse(bytes, cut, &table)) fail_msg("accepted when cut to %zu of %zu", cut, n);
    gr_cal_table_done(&table);

    tzif_spec wrong = sound;
    wrong.version = '1';
    assert_false(parse_spec(&wrong));
    wrong = sound, wrong.n_leaps = 2;
    assert_false(parse_spec(&wrong));
    wrong = sound, wrong.times[2] = wrong.times[1];
    assert_false(parse_spec(&wrong));
    wrong = sound, wrong.footer = "PST8PDT,M3.2.0,M11.1.0"; /* not what holds after the last time */
    assert_false(parse_spec(&wrong));
    wrong = sound, wrong.footer = "EST5EDT,M3.2.0";
    assert_false(parse_spec(&wrong));
    wrong = (tzif_spec){.n_types = 1, .offsets = {3600}, .footer = "AAA0"};
    assert_false(parse_spec(&wrong));
    wrong.footer = "AAA-1";
    assert_true(parse_spec(&wrong));
}

static void test_extreme_times(void **state) {
    (void)state;
    tzif_spec spec = {.n_times = 4,
                      .n_types = 2,
                      .times = {INT64_MIN, -(INT64_C(1) << 59), INT64_MAX - 1, INT64_MAX},
                      .types = {1, 0, 1, 0},
                      .offsets = {0, 3600},
                      .footer = "AAA0"};
    unsigned char bytes[TZIF_ROOM];
    gr_cal_table table;
    gr_cal_table_init(&table);
    assert_true(parse(bytes, tzif_write(&spec, bytes), &table));
    assert_int_equal(table.n, 1);
    assert_int_equal(table.v[0].offset_us, 0);
    spec.footer = "AAA0BBB,M3.2.0,M11.1.0";
    assert_true(parse(bytes, tzif_write(&spec, bytes), &table));
    assert_ordered(&table);
    spec.n_times = 2;
    assert_true(parse(bytes, tzif_write(&spec, bytes), &table));
    assert_ordered(&table);
    assert_int_equal(table.n, 1 + 2 * 2500); /* the rule from year 1 on */
    gr_cal_table_done(&table);
}

static void mutate(unsigned char *bytes, size_t *n, uint64_t *random) {
    for (uint64_t edits = 1 + next_random(random) % 4; edits-- > 0;) {
        size_t i = next_random(random) % *n;
        uint64_t how = next_random(random) % 5;
        if (how == 0)
            bytes[i] = (unsigned char)next_random(random);
        else if (how == 1)
            bytes[i] ^= (unsigned char)(1u << next_random(random) % 8);
        else if (how == 2)
            bytes[i] = (unsigned char)"\xff\x7f\x80,/0123456789-:.MJ<>\n"[next_random(random) % 24];
        else if (how == 3 && i >= 64)
            *n = i;
        else
            bytes[*n - 1 - i % (*n < 40 ? *n : 40)] = (unsigned char)("0123456789-:.MJ/,"[next_random(random) % 17]);
    }
}

static void test_mutations(void **state) {
    (void)state;
    static const char *const files[] = {NULL, "America/New_York", "Asia/Gaza", "Africa/Casablanca", "Antarctica/Troll"};
    static unsigned char bytes[1 << 16];
    uint64_t random = 5;
    size_t accepted = 0, refused = 0;
    gr_cal_table table;
    gr_cal_table_init(&table);
    for (size_t f = 0; f < COUNT(files); f++) {
        unsigned char original[TZIF_ROOM], *file = original;
        size_t size = 0;
        char path[128];
        snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", files[f] ? files[f] : "");
        if (!files[f])
            size = tzif_write(&sound, original);
        else if (!(size = file_read(path, &file)) || size > sizeof bytes)
            fail_msg("cannot read %s: is the package tzdata installed?", path);
        for (int i = 0; i < 6000; i++) {
            size_t n = size;
            memcpy(bytes, file, n);
            mutate(bytes, &n, &random);
            bool ok = parse(bytes, n, &table);
            accepted += ok;
            refused += !ok;
            if (ok && i % 8 == 0) assert_ordered(&table);
        }
        if (file != original) free(file);
    }
    gr_cal_table_done(&table);
    assert_true(accepted > 300);
    assert_true(refused > 300);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sound),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_extreme_times),
        cmocka_unit_test(test_mutations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
