/* Facts, join trees and grain groups (cube.md §5.1-5.3): which rows are joined, whose are repeated, and what is
 * computed over the distinct keys of which cube. A group in words: its tree, root first, with a * at cubes that the
 * joins repeat; its key; what it computes. */
#include "plan/internal.h"
#include "plan_test.h"

#define CUBE(name, joins, dimensions, measures)                                                                        \
    "- name: " name "\n  sql_table: " name "\n  joins: [" joins "]\n"                                                  \
    "  dimensions:\n  - {name: id, sql: id, type: number, primary_key: true}\n" dimensions "  measures:\n" measures
#define JOIN(to, how) "{name: " to ", sql: '{CUBE}." to "_id = {" to "}.id', relationship: " how "}"
#define ONE(to) JOIN(to, "many_to_one")
#define TEXT(name) "  - {name: " name ", sql: " name ", type: string}\n"
#define SUM(name, sql) "  - {name: " name ", sql: \"" sql "\", type: sum}\n"
#define COUNT_OF "  - {name: count, type: count}\n"

/*   items -> products              returns -> users -> cities (no key), passports (1:1), regions
 *     \-> orders -> users, shops          islands          left <-> right
 *                   shops -> regions, shops <- visits (declared at shops)               */
#define MODEL                                                                                                          \
    "cubes:\n" CUBE(                                                                                                   \
        "orders", ONE("users") "," ONE("shops"),                                                                       \
        TEXT("status") "  - {name: amount, sql: amount, type: number}\n"                                               \
                       "  - {name: created_at, sql: created_at, type: time}\n",                                        \
        COUNT_OF SUM("total", "amount") "  - {name: avg_a, sql: amount, type: avg}\n" SUM("ages", "{users.born}")      \
            SUM("people",                                                                                              \
                "{users.cities.size}") "  - {name: per_user, sql: \"{total} / {users.count}\", type: number}\n"        \
                                       "  - {name: done_total, sql: amount, type: sum, filters: [{sql: \"{CUBE}.x = "  \
                                       "1\"}]}\n") "  segments:\n  - {name: done, sql: \"{CUBE}.status = 'done'\"}\n"  \
                                                   "  pre_aggregations:\n"
#define OTHERS                                                                                                         \
    CUBE("users", ONE("cities") "," JOIN("passports", "one_to_one") "," ONE("regions"),                                \
         TEXT("country") "  - {name: born, sql: born, type: number}\n",                                                \
         COUNT_OF SUM("age", "age") "  - {name: top_age, sql: age, type: max}\n"                                       \
                                    "  - {name: uniq, sql: name, type: count_distinct}\n"                              \
                                    "  - {name: uniqa, sql: name, type: count_distinct_approx}\n"                      \
                                    "  - {name: names, sql: \"string_agg({CUBE}.name, ',')\", type: string}\n"         \
                                    "  - {name: mean, sql: \"sum({CUBE}.age) / count(*)\", type: number}\n" SUM(       \
                                        "spent", "{orders.amount}"))                                                   \
    "- name: cities\n  sql_table: cities\n  dimensions:\n" TEXT(                                                       \
        "name") "  - {name: size, sql: size, type: number}\n"                                                          \
                "  measures:\n"                                                                                        \
                "  - {name: filled, sql: people, type: count}\n  - {name: top, sql: people, type: max}\n" CUBE(        \
                    "passports", "", TEXT("number"), COUNT_OF)                                                         \
                    CUBE(                                                                                              \
                        "shops", ONE("regions") "," JOIN("visits", "one_to_many"), TEXT("name"),                       \
                        COUNT_OF SUM(                                                                                  \
                            "size",                                                                                    \
                            "size")) "  pre_aggregations:\n  - {name: sizes, measures: [size]}\n" CUBE("visits", "",   \
                                                                                                       TEXT(           \
                                                                                                           "channel"), \
                                                                                                       COUNT_OF)       \
                        CUBE("regions", "", TEXT("name"), COUNT_OF) CUBE("items", ONE("orders") "," ONE("products"),   \
                                                                         TEXT("size"), COUNT_OF SUM("qty", "qty"))     \
                            CUBE("products", "", TEXT("name"), COUNT_OF SUM("weight", "weight"))                       \
                                CUBE("returns", ONE("users"), TEXT("reason"), COUNT_OF SUM("total", "amount"))         \
                                    CUBE("islands", "", TEXT("name"), COUNT_OF)                                        \
                                        CUBE("left", JOIN("right", "one_to_one"), TEXT("name"), COUNT_OF)              \
                                            CUBE("right", JOIN("left", "one_to_one"), TEXT("name"),                    \
                                                 COUNT_OF) "views:\n- name: by_user\n  cubes:\n  - {join_path: "       \
                                                           "orders, includes: [total, status]}\n"                      \
                                                           "  - {join_path: orders.users.regions, includes: [name]}\n" \
                                                           "- name: by_shop\n  cubes:\n  - {join_path: orders, "       \
                                                           "includes: [total, status]}\n"                              \
                                                           "  - {join_path: orders.shops.regions, includes: [name]}\n"

static gr_str group_words(const gr_group *g, gr_arena *arena) {
    gr_buf out;
    gr_buf_init(&out, 1 << 16);
    if (g->fact) gr_buf_printf(&out, "#%d ", (int)g->fact);
    for (size_t i = 0; i < g->tree.n; i++) {
        const gr_tree_node *node = &g->tree.nodes[i];
        if (i) gr_buf_printf(&out, " " GR_FMT ">", GR_ARG(g->tree.nodes[node->parent].cube->name));
        gr_buf_printf(&out, GR_FMT "%s", GR_ARG(node->cube->name), node->is_multiplied ? "*" : "");
    }
    if (g->key_node != GR_TREE_NONE) gr_buf_printf(&out, " /" GR_FMT, GR_ARG(g->tree.nodes[g->key_node].cube->name));
    gr_buf_char(&out, ':');
    for (size_t i = 0; i < g->components.n; i++)
        gr_buf_printf(&out, " " GR_FMT "." GR_FMT GR_FMT, GR_ARG(g->components.v[i].measure->cube->name),
                      GR_ARG(g->components.v[i].measure->name), GR_ARG(g->components.v[i].suffix));
    gr_str text = gr_arena_dup(arena, gr_buf_str(&out));
    gr_buf_done(&out);
    return text;
}

typedef struct group_case {
    const char *measures, *dimensions, *times, *more;
    const char *groups; /* separated by " | ", or the id of the error and a part of its message */
} group_case;

static const group_case groups[] = {
    /* One fact, nothing repeated. */
    {"total", "", "", "", "orders: orders.total"},
    {"total", "users.country", "", "", "orders orders>users*: orders.total"},
    {"total", "status", "", "'filters':[{'member':'users.country','operator':'equals','values':['DE']}]",
     "orders orders>users*: orders.total"},
    {"users.age", "users.country", "", "", "users: users.age"},
    {"users.age passports.count", "", "", "", "users users>passports: users.age passports.count"},
    {"ages", "", "", "", "orders orders>users*: orders.ages"},
    {"people", "", "", "", "orders orders>users* users>cities*: orders.people"},
    {"avg_a", "", "", "", "orders: orders.avg_a__sum orders.avg_a__count"},
    {"", "status users.country", "", "", "orders orders>users*:"},
    {"cities.filled", "cities.name", "", "", "cities: cities.filled"},
    {"items.qty", "products.name", "", "", "items items>products*: items.qty"},
    /* Rows that the joins repeat count once, by the keys of their cube. */
    {"users.age", "status", "", "", "orders orders>users* /users: users.age"},
    {"users.count", "status", "", "", "orders orders>users* /users: users.count"},
    {"users.mean", "status", "", "", "orders orders>users* /users: users.mean__sum1 users.mean__count2"},
    {"users.age", "", "", "'segments':['orders.done']", "orders orders>users* /users: users.age"},
    {"users.age", "", "", FILTER("status", "equals", "'a'"), "orders orders>users* /users: users.age"},
    {"users.age", "", "- 2020-01-01 2020-01-31", "", "orders orders>users* /users: users.age"},
    {"users.age", "", "", "'filters':[{'member':'orders.done_total','operator':'measureFilter'}]",
     "orders orders>users* /users: users.age"},
    {"products.weight", "items.size", "", "", "items items>products* /products: products.weight"},
    {"users.age", "items.size", "", "", "items items>orders* orders>users* /users: users.age"},
    /* What stands repetition needs no keys, but goes along with what does. */
    {"users.top_age", "status", "", "", "orders orders>users*: users.top_age"},
    {"users.uniq users.uniqa", "status", "", "", "orders orders>users*: users.uniq users.uniqa"},
    {"users.top_age users.age", "status", "", "", "orders orders>users* /users: users.top_age users.age"},
    {"users.top_age orders.total", "status", "", "", "orders orders>users*: users.top_age orders.total"},
    {"cities.top", "status", "", "", "orders orders>users* users>cities*: cities.top"},
    /* A group for each cube; branches that a group does not need are left out, the root stays. */
    {"total users.age", "status", "", "", "orders: orders.total | orders orders>users* /users: users.age"},
    {"users.age total", "status", "", "", "orders orders>users* /users: users.age | orders: orders.total"},
    {"total users.age", "users.country", "", "",
     "orders orders>users*: orders.total | orders orders>users* /users: users.age"},
    {"items.qty total users.age", "items.size", "", "",
     "items: items.qty | items items>orders* /orders: orders.total | "
     "items items>orders* orders>users* /users: users.age"},
    {"users.age shops.size", "status", "", "",
     "orders orders>users* /users: users.age | orders orders>shops* /shops: shops.size"},
    {"per_user", "", "", "", "orders: orders.total | orders orders>users* /users: users.count"},
    /* Declared from the side of the one: shops are repeated, until nothing needs the visits. */
    {"visits.count", "shops.name", "", "", "shops* shops>visits: visits.count"},
    {"shops.size", "visits.channel", "", "", "shops* shops>visits /shops: shops.size"},
    {"visits.count shops.size", "shops.name", "", "", "shops* shops>visits: visits.count | shops: shops.size"},
    {"visits.count shops.size", "visits.channel", "", "",
     "shops* shops>visits: visits.count | shops* shops>visits /shops: shops.size"},
    /* Both ways at once: orders meet the visits of their shop. */
    {"total", "visits.channel", "", "", "orders* orders>shops* shops>visits* /orders: orders.total"},
    {"visits.count", "status", "", "", "orders* orders>shops* shops>visits* /visits: visits.count"},
    /* Ties of roots: the cube that is named first. */
    {"left.count right.count", "", "", "", "left left>right: left.count right.count"},
    {"right.count left.count", "", "", "", "right right>left: right.count left.count"},
    {"left.count", "right.name", "", "", "left left>right: left.count"},
    {"", "right.name left.name", "", "", "right right>left:"},
    /* Several facts: each with every dimension and filter. */
    {"total returns.total", "", "", "", "orders: orders.total | #1 returns: returns.total"},
    {"total returns.total", "users.country", "", "",
     "orders orders>users*: orders.total | #1 returns returns>users*: returns.total"},
    {"total returns.total count returns.count", "users.country", "", "",
     "orders orders>users*: orders.total orders.count | #1 returns returns>users*: returns.total returns.count"},
    {"total returns.total", "", "", "'filters':[{'member':'users.country','operator':'equals','values':['DE']}]",
     "orders orders>users*: orders.total | #1 returns returns>users*: returns.total"},
    {"total", "", "", "'filters':[{'member':'returns.total','operator':'gt','values':['3']}]",
     "orders: orders.total | #1 returns: returns.total"},
    /* What the first fact reaches is computed there, over its rows. */
    {"total users.age returns.total", "users.country", "", "",
     "orders orders>users*: orders.total | orders orders>users* /users: users.age | "
     "#1 returns returns>users*: returns.total"},
    {"total islands.count", "", "", "", "orders: orders.total | #1 islands: islands.count"},
    {"items.qty returns.total islands.count", "", "", "",
     "items: items.qty | #1 returns: returns.total | #2 islands: islands.count"},
    /* Rows are not aggregated, so nothing is counted twice. */
    {"users.age", "status", "", "'ungrouped':true", "orders orders>users*: users.age"},
    {"cities.filled", "status", "", "'ungrouped':true", "orders orders>users* users>cities*: cities.filled"},
    {"total returns.total", "", "", "'ungrouped':true",
     "plan.no_join_path: Can't find join path to join 'orders', 'returns'"},
    /* Ways: the shortest, of equals the one that is declared first; a named one before all. */
    {"total", "regions.name", "", "", "orders orders>users* users>regions*: orders.total"},
    {"by_user.total", "by_user.name", "", "", "orders orders>users* users>regions*: orders.total"},
    {"by_shop.total", "by_shop.name", "", "", "orders orders>shops* shops>regions*: orders.total"},
    {"by_shop.total", "by_shop.name regions.name", "", "", "orders orders>shops* shops>regions*: orders.total"},
    {"by_shop.total", "regions.name by_shop.name", "", "", "orders orders>shops* shops>regions*: orders.total"},
    {"total", "regions.name shops.name", "", "", "orders orders>users* users>regions* orders>shops*: orders.total"},
    {"by_user.total", "by_user.name by_shop.name", "", "", "plan.no_join_path: 'regions'"},
    /* Refused. */
    {"cities.filled", "status", "", "", "plan.fan_out_unsupported: has no primary key"},
    {"users.names", "status", "", "", "plan.fan_out_unsupported: aggregates in its own SQL"},
    {"users.spent", "", "", "",
     "plan.fan_out_unsupported: 'users.spent' references cubes that lead to row multiplication. Please rewrite it "
     "using "
     "sub query."},
    /* A root is a cube that the query names: items would reach both. */
    {"products.weight", "status", "", "", "plan.no_join_path: Can't find join path to join 'products', 'orders'"},
    {"islands.count", "status", "", "", "plan.no_join_path: Can't find join path to join 'islands', 'orders'"},
    {"total returns.total", "items.size", "", "", "plan.no_join_path: 'orders', 'returns', 'items'"},
    {"total returns.total", "status", "", "", "plan.no_join_path: 'orders', 'returns'"},
    {"", "status islands.name", "", "", "plan.no_join_path: 'orders', 'islands'"},
};

/* False, and the reason is printed. */
static bool group_case_holds(const gr_snapshot *s, const group_case *c, size_t row, gr_arena *arena) {
    const char *json = test_json(c->measures, c->dimensions, c->times, c->more, arena);
    gr_plan *plan = NULL;
    gr_error err = {0};
    gr_str words = {0};
    if (test_plan(s, json, arena, &plan, &err)) {
        words = gr_arena_printf(arena, "%s: %s", gr_error_info_of(err.status)->id, err.message);
        const char *message = strstr(c->groups, ": ");
        size_t n = message ? (size_t)(message - c->groups) : 0;
        if (!strncmp(words.p, c->groups, n + 2) && n && strstr(err.message, message + 2) && err.hint[0]) return true;
    } else {
        gr_plan_report report;
        assert_int_equal(gr_plan_explain(plan, arena, &report, &err), GR_OK);
        for (size_t i = 0; i < report.groups.n; i++)
            words = gr_arena_printf(arena, GR_FMT "%s" GR_FMT, GR_ARG(words), i ? " | " : "",
                                    GR_ARG(group_words(&report.groups.v[i], arena)));
        if (gr_str_eq_z(words, c->groups)) return true;
    }
    print_error("row %zu %s:\n  '" GR_FMT "', expected\n  '%s'\n", row, json, GR_ARG(words), c->groups);
    return false;
}

static void grain_groups(void **state) {
    (void)state;
    gr_arena *arena = gr_arena_new();
    gr_snapshot s = test_snapshot(MODEL OTHERS, arena);
    size_t n_bad = 0;
    for (size_t i = 0; i < COUNT(groups); i++) n_bad += !group_case_holds(&s, &groups[i], i, arena);
    gr_model_unref(s.model);
    gr_arena_free(arena);
    assert_int_equal(n_bad, 0);
}

/* Each group finds its own rollup; one for everything goes first, wherever it is defined. */
#define BY_STATUS "  - {name: by_status, measures: [total, count], dimensions: [status, amount]}\n"
#define AGES "  - {name: of_users, measures: [users.age], dimensions: [status]}\n"
#define TOGETHER "  - {name: together, measures: [total, users.age], dimensions: [status, users.country]}\n"
#define TWO_FACTS "  - {name: facts, measures: [total, returns.total], dimensions: [users.country]}\n"

static const test_case served[] = {
    {BY_STATUS, "total users.age", "status", "", "", "by_status + source/users", NULL},
    {BY_STATUS AGES, "total users.age", "status", "", "", "by_status + of_users", NULL},
    /* One grain over one fact is one table, whoever declares it. */
    {AGES "  - {name: more, measures: [total], dimensions: [status]}\n", "total users.age", "status", "", "",
     "of_users", NULL},
    {BY_STATUS AGES TOGETHER, "total users.age", "status", "", "", "together", "measure_missing"},
    {TOGETHER, "users.age", "status", "", "", "together", NULL},
    /* Over the statuses a user would count again, but an order has one. */
    {TOGETHER, "users.age", "", "", FILTER("status", "equals", "'a','b'"), "source/users", "fan_out"},
    {TOGETHER, "users.age", "", "", FILTER("status", "equals", "'a'"), "together", NULL},
    {TOGETHER, "total", "", "", "", "together", NULL},
    {TOGETHER, "users.age", "", "", "", "source", "nothing"}, /* all users, not those that have orders */
    {TOGETHER, "total users.age", "", "", "", "together + source/users", "fan_out"},
    /* Pruned to its own cube, a group meets the rollup of that cube alone. */
    {"", "visits.count shops.size", "", "", "", "source + sizes", "measure_missing"},
    {"", "visits.count shops.size", "visits.channel", "", "", "source + source/shops", NULL},
    {TWO_FACTS, "total returns.total", "users.country", "", "", "facts", NULL},
    {TWO_FACTS, "total returns.total", "", "", "", "facts", NULL},
    {TWO_FACTS, "total", "users.country", "", "", "source", "facts"}, /* it has countries of returns too */
    {TWO_FACTS, "returns.total total", "", "",
     "'filters':[{'member':'users.country','operator':'equals','values':['DE']}]", "facts", NULL},
    {TWO_FACTS BY_STATUS, "total returns.total", "", "", "", "facts", NULL},
    {TWO_FACTS BY_STATUS, "count returns.total", "", "", "", "by_status + source", "measure_missing"},
    /* Built as groups, too: a rollup of measures that cannot be computed is refused as the query would be. */
    {"  - {name: bad, measures: [cities.filled], dimensions: [status]}\n", "cities.filled", "cities.name", "", "",
     "source", NULL},
    {"  - {name: bad, measures: [cities.filled, total], dimensions: [status]}\n", "total", "", "", "", "source",
     "cannot_build"},
    {"  - {name: bad, measures: [total], dimensions: [islands.name]}\n", "total", "", "", "", "source", "cannot_build"},
};

static void rollups_of_groups(void **state) {
    (void)state;
    test_check_cases(MODEL, OTHERS, served, COUNT(served), false);
}

/* Walking the tree from one cube to another meets several rows for one, or does not. */
static void walking_multiplies(void **state) {
    (void)state;
    static const struct {
        const char *from, *to;
        bool multiplies;
    } rows[] = {
        {"orders", "users", false}, {"users", "orders", true},  {"users", "shops", true},   {"orders", "shops", false},
        {"orders", "visits", true}, {"visits", "shops", false}, {"visits", "orders", true}, {"users", "users", false},
        {"visits", "users", true},  {"shops", "visits", true},
    };
    gr_arena *arena = gr_arena_new();
    gr_snapshot s = test_snapshot(MODEL OTHERS, arena);
    gr_plan *plan;
    gr_error err = {0};
    const char *json = test_json("visits.count", "status users.country", "", "", arena);
    assert_int_equal(test_plan(&s, json, arena, &plan, &err), GR_OK);
    for (size_t i = 0; i < COUNT(rows); i++) {
        uint32_t from = gr_tree_find(&plan->tree, gr_model_cube(s.model, gr_str_from(rows[i].from)));
        uint32_t to = gr_tree_find(&plan->tree, gr_model_cube(s.model, gr_str_from(rows[i].to)));
        assert_true(from != GR_TREE_NONE && to != GR_TREE_NONE);
        if (gr_tree_multiplies(&plan->tree, from, to) != rows[i].multiplies)
            fail_msg("%s to %s", rows[i].from, rows[i].to);
    }
    gr_model_unref(s.model);
    gr_arena_free(arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(grain_groups),
        cmocka_unit_test(rollups_of_groups),
        cmocka_unit_test(walking_multiplies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
