#include "conformance/catalog/suite.h"
static void none(fixture *f) { assert_non_null(f); }
SUITE(suite_servers, CASE(none))
