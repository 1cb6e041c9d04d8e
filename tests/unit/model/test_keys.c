/* The table of keys: spellings, verdicts, and the page that is written from it. */
#include "unit/model/model_fixture.h"

#include "model/docs.h"
#include "model/keys.h"

static void test_spellings(void **state) {
    (void)state;
    static const struct {
        const char *snake, *text;
        bool matches;
    } rows[] = {
        {"sql_table", "sql_table", true},
        {"sql_table", "sqlTable", true},
        {"sql_table", "SqlTable", false},
        {"sql_table", "sql_Table", false},
        {"sql_table", "sqltable", false},
        {"sql_table", "sqlTable_", false},
        {"sql_table", "sql", false},
        {"sql", "sqlTable", false},
        {"use_original_sql_pre_aggregations", "useOriginalSqlPreAggregations", true},
        {"name", "name", true},
        {"name", "", false},
    };
    for (size_t i = 0; i < COUNT(rows); i++)
        if (gr_model_key_matches(gr_str_from(rows[i].snake), gr_str_from(rows[i].text)) != rows[i].matches)
            fail_msg("row %zu", i);
}

static void test_every_key_is_found_in_both_spellings(void **state) {
    (void)state;
    for (int k = 0; k < GR_KEY__COUNT; k++) {
        const gr_key_info *info = gr_model_key_info((gr_key)k);
        char camel[64];
        assert_int_equal(gr_model_key_find(info->context, info->name), k);
        gr_str other = gr_model_camel(info->name, camel);
        assert_int_equal(gr_model_key_find(info->context, other), k);
        assert_null(memchr(camel, '_', other.n));
        assert_true(strlen(info->doc) > 0);
    }
    for (int c = 0; c < GR_CONTEXT__COUNT; c++) {
        assert_true(gr_model_key_count((gr_context)c) <= GR_FIELDS_MAX);
        assert_true(gr_model_key_count((gr_context)c) >= 1);
    }
    assert_int_equal(gr_model_key_find(GR_CONTEXT_CUBE, GR_STR("nothing")), GR_KEY__COUNT);
}

/* The keys that decisions 24 refuses, by context. */
static void test_refused_keys(void **state) {
    (void)state;
    static const struct {
        gr_context context;
        const char *name;
    } rows[] = {
        {GR_CONTEXT_CUBE, "access_policy"},   {GR_CONTEXT_CUBE, "calendar"},
        {GR_CONTEXT_VIEW, "access_policy"},   {GR_CONTEXT_VIEW, "default_filters"},
        {GR_CONTEXT_DIMENSION, "mask"},       {GR_CONTEXT_DIMENSION, "multi_stage"},
        {GR_CONTEXT_DIMENSION, "values"},     {GR_CONTEXT_DIMENSION, "time_shift"},
        {GR_CONTEXT_MEASURE, "mask"},         {GR_CONTEXT_MEASURE, "case"},
        {GR_CONTEXT_STAGE_FILTER, "include"}, {GR_CONTEXT_TIME_SHIFT, "name"},
        {GR_CONTEXT_GRANULARITY, "sql"},      {GR_CONTEXT_CASE, "switch"},
        {GR_CONTEXT_VIEW_CUBE, "split"},
    };
    for (size_t i = 0; i < COUNT(rows); i++) {
        gr_key key = gr_model_key_find(rows[i].context, gr_str_from(rows[i].name));
        assert_int_not_equal(key, GR_KEY__COUNT);
        assert_int_equal(gr_model_key_info(key)->verdict, GR_VERDICT_UNSUPPORTED);
    }
}

static void test_page(void **state) {
    (void)state;
    gr_buf out;
    gr_buf_init(&out, 1u << 20);
    gr_model_write_key_docs(&out);
    gr_str text;
    assert_true(gr_buf_finish(&out, &text));
    FILE *file = fopen(GR_TEST_SOURCE_DIR "/docs/model-keys.md", "rb");
    assert_non_null(file);
    char *page = malloc(text.n + 2);
    size_t n = fread(page, 1, text.n + 2, file);
    fclose(file);
    bool is_same = gr_str_eq(text, (gr_str){page, n});
    free(page);
    gr_buf_done(&out);
    if (!is_same) fail_msg("docs/model-keys.md is not what the table says: write it anew");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_spellings),
        cmocka_unit_test(test_every_key_is_found_in_both_spellings),
        cmocka_unit_test(test_refused_keys),
        cmocka_unit_test(test_page),
    };
    (void)setup, (void)teardown, (void)print_diags;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
