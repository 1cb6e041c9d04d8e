/* The table of filter operators: what each is called, how many values it reads, which members it fits.
 * Invariant: one line per gr_filter_op; whatever asks about an operator asks this table. */
#include "query/internal.h"

enum {
    TEXT = GR_QUERY_TYPE_TEXT,
    NUMBER = GR_QUERY_TYPE_NUMBER,
    BOOLEAN = GR_QUERY_TYPE_BOOLEAN,
    TIME = GR_QUERY_TYPE_TIME,
    GEO = GR_QUERY_TYPE_GEO,
    ALL = TEXT | NUMBER | BOOLEAN | TIME | GEO,
};

static const gr_query_operator operators[GR_OP__COUNT] = {
    [GR_OP_EQUALS] = {GR_STR_INIT("equals"), GR_QUERY_ANY_VALUES, ALL, false, false},
    [GR_OP_NOT_EQUALS] = {GR_STR_INIT("notEquals"), GR_QUERY_ANY_VALUES, ALL, false, false},
    [GR_OP_IN] = {GR_STR_INIT("in"), GR_QUERY_ANY_VALUES, ALL, false, false},
    [GR_OP_NOT_IN] = {GR_STR_INIT("notIn"), GR_QUERY_ANY_VALUES, ALL, false, false},
    [GR_OP_CONTAINS] = {GR_STR_INIT("contains"), GR_QUERY_ANY_VALUES, TEXT | GEO, false, false},
    [GR_OP_NOT_CONTAINS] = {GR_STR_INIT("notContains"), GR_QUERY_ANY_VALUES, TEXT | GEO, false, false},
    [GR_OP_STARTS_WITH] = {GR_STR_INIT("startsWith"), GR_QUERY_ANY_VALUES, TEXT | GEO, false, false},
    [GR_OP_NOT_STARTS_WITH] = {GR_STR_INIT("notStartsWith"), GR_QUERY_ANY_VALUES, TEXT | GEO, false, false},
    [GR_OP_ENDS_WITH] = {GR_STR_INIT("endsWith"), GR_QUERY_ANY_VALUES, TEXT | GEO, false, false},
    [GR_OP_NOT_ENDS_WITH] = {GR_STR_INIT("notEndsWith"), GR_QUERY_ANY_VALUES, TEXT | GEO, false, false},
    [GR_OP_GT] = {GR_STR_INIT("gt"), GR_QUERY_FIRST_VALUE, TEXT | NUMBER | TIME, true, false},
    [GR_OP_GTE] = {GR_STR_INIT("gte"), GR_QUERY_FIRST_VALUE, TEXT | NUMBER | TIME, false, false},
    [GR_OP_LT] = {GR_STR_INIT("lt"), GR_QUERY_FIRST_VALUE, TEXT | NUMBER | TIME, false, false},
    [GR_OP_LTE] = {GR_STR_INIT("lte"), GR_QUERY_FIRST_VALUE, TEXT | NUMBER | TIME, true, false},
    [GR_OP_SET] = {GR_STR_INIT("set"), GR_QUERY_NO_VALUES, ALL, false, false},
    [GR_OP_NOT_SET] = {GR_STR_INIT("notSet"), GR_QUERY_NO_VALUES, ALL, false, false},
    [GR_OP_IN_DATE_RANGE] = {GR_STR_INIT("inDateRange"), GR_QUERY_RANGE, TIME, false, false},
    [GR_OP_NOT_IN_DATE_RANGE] = {GR_STR_INIT("notInDateRange"), GR_QUERY_RANGE, TIME, false, false},
    [GR_OP_ON_THE_DATE] = {GR_STR_INIT("onTheDate"), GR_QUERY_DAY, TIME, false, false},
    [GR_OP_BEFORE_DATE] = {GR_STR_INIT("beforeDate"), GR_QUERY_POINT, TIME, false, false},
    [GR_OP_BEFORE_OR_ON_DATE] = {GR_STR_INIT("beforeOrOnDate"), GR_QUERY_POINT, TIME, true, false},
    [GR_OP_AFTER_DATE] = {GR_STR_INIT("afterDate"), GR_QUERY_POINT, TIME, true, false},
    [GR_OP_AFTER_OR_ON_DATE] = {GR_STR_INIT("afterOrOnDate"), GR_QUERY_POINT, TIME, false, false},
    [GR_OP_MEASURE_FILTER] = {GR_STR_INIT("measureFilter"), GR_QUERY_NO_VALUES, ALL, false, true},
};

const gr_query_operator *gr_query_operator_of(gr_filter_op op) { return &operators[op]; }

gr_str gr_filter_op_name(gr_filter_op op) { return (unsigned)op < GR_OP__COUNT ? operators[op].name : (gr_str){0}; }

gr_query_value_type gr_query_value_type_of(const gr_member *member) {
    static const gr_query_value_type of_dimension[] = {
        [GR_DIM_STRING] = GR_QUERY_TYPE_TEXT,     [GR_DIM_NUMBER] = GR_QUERY_TYPE_NUMBER,
        [GR_DIM_BOOLEAN] = GR_QUERY_TYPE_BOOLEAN, [GR_DIM_TIME] = GR_QUERY_TYPE_TIME,
        [GR_DIM_GEO] = GR_QUERY_TYPE_GEO,
    };
    static const gr_query_value_type of_measure[] = {
        [GR_MEASURE_STRING] = GR_QUERY_TYPE_TEXT,
        [GR_MEASURE_BOOLEAN] = GR_QUERY_TYPE_BOOLEAN,
        [GR_MEASURE_TIME] = GR_QUERY_TYPE_TIME,
        [GR_MEASURE_M2] = GR_QUERY_TYPE_NUMBER, /* the last one: every other is a number */
    };
    if (member->kind == GR_MEMBER_DIMENSION) return of_dimension[member->dim_type];
    gr_query_value_type type = of_measure[member->agg];
    return type ? type : GR_QUERY_TYPE_NUMBER;
}
