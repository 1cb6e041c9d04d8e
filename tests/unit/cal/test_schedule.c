/* `every:` and cron lines. Vectors: cube.md 1.5, 6.6, 9.4; decisions 24 (months are accepted). */
#include "cal_test.h"

static void test_every(void **state) {
    (void)state;
    static const struct {
        const char *text;
        int64_t seconds, months;
    } good[] = {
        {"10 minutes", 600, 0},
        {"1 day", 86400, 0},
        {"1 week", 604800, 0},
        {"5 minutes", 300, 0},
        {"1 hour", 3600, 0},
        {"30 seconds", 30, 0},
        {"1 seconds", 1, 0},
        {"1 month", 0, 1},
        {"3 months", 0, 3},
        {"7 days", 604800, 0},
        {"999999999 weeks", INT64_C(604799999395200), 0},
    };
    for (size_t i = 0; i < COUNT(good); i++) {
        int64_t seconds = -1, months = -1;
        if (!gr_every_parse(gr_str_from(good[i].text), &seconds, &months)) fail_msg("refused: %s", good[i].text);
        assert_int_equal(seconds, good[i].seconds);
        assert_int_equal(months, good[i].months);
    }
    static const char *const bad[] = {
        "",        "hour",  "1",      "0 hours", "-1 hour", "1 year",           "2 quarters", "1 hour 30 minutes",
        "1  hour", "1hour", "1 Hour", "1 hour ", " 1 hour", "1234567890 hours", "* * * * *"};
    for (size_t i = 0; i < COUNT(bad); i++) {
        int64_t seconds = 42, months = 42;
        if (gr_every_parse(gr_str_from(bad[i]), &seconds, &months)) fail_msg("accepted: %s", bad[i]);
        assert_int_equal(seconds, 42);
        assert_int_equal(months, 42);
    }
}

static void test_cron(void **state) {
    (void)state;
    static const char *const good[] = {
        "* * * * *",   "30 5 * * 5",    "0 8 * * *",        "0 10 * * *",      "*/15 * * * *",
        "0 8 * * 1-3", "0 8 * * 1-3/2", "0 0 1,15 * *",     "0 0 1 JAN-Mar *", "0 0 ? * mon,WED",
        "0 0 * * 7",   "0 0 0 1 1 ?",   "59 59 23 31 12 0", "  0 8  * * *\t",  "5/10 * * * *",
    };
    for (size_t i = 0; i < COUNT(good); i++)
        if (!gr_cron_is_valid(gr_str_from(good[i]))) fail_msg("refused: %s", good[i]);
    static const char *const bad[] = {
        "",
        "* * * *",
        "* * * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * 0 *",
        "* * * * 8",
        "*/0 * * * *",
        "*/99 * * * *",
        "5-1 * * * *",
        "1, * * * *",
        ",1 * * * *",
        "1-* * * * *",
        "a * * * *",
        "* * * foo *",
        "* * * * monday",
        "-1 * * * *",
        "? * * * *",
        "*5 * * * *",
        "1 hour",
        "60 * * * * *",
        "99999999999999999999 * * * *",
        "* * * ja *",
        "1/ * * * *",
    };
    for (size_t i = 0; i < COUNT(bad); i++)
        if (gr_cron_is_valid(gr_str_from(bad[i]))) fail_msg("accepted: %s", bad[i]);
    char big[1000];
    memset(big, ' ', sizeof big);
    memcpy(big, "* * * * *", 9);
    assert_false(gr_cron_is_valid((gr_str){big, sizeof big}));
    assert_true(gr_cron_is_valid((gr_str){big, 200}));
    assert_false(gr_cron_is_valid((gr_str){0}));
}

int main(void) {
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_every), cmocka_unit_test(test_cron)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
