/* Entities: a list of 10,000 of them, filtered and paged, beside what SQLite itself takes for the same page by its
 * primary key; making a cube of 50 metrics by 20 dimensions with few and with 1,000 entities there; planning a query
 * that 1,000 entities of another cube do not touch, beside the same without them. Prints one JSON object.
 *
 *   bench_entities FOLDER     (made anew; its catalog stays there) */
#include "base/buf.h"
#include "serve/entities.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

enum { N_LIST = 10000, N_ENTITIES = 1000, N_METRICS = 50, N_DIMENSIONS = 20, PAGES = 400, PLANS = 20000 };

static int64_t now_ns(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

static void must(gr_status status, const gr_error *err) {
    if (!status) return;
    fprintf(stderr, "%s: %s\n", gr_error_info_of(status)->id, err->message);
    exit(1);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double at_share(double *took, size_t n, double share) {
    qsort(took, n, sizeof *took, by_value);
    size_t at = (size_t)((double)n * share);
    return took[at < n ? at : n - 1];
}

/* ---- the list ------------------------------------------------------------------------------------------------------
 */

static gr_preagg_decl decl_of(size_t i, gr_arena *arena) {
    static gr_component_decl components[2];
    static const char *const measures[] = {"count", "total", "items", "price", "age"};
    for (size_t k = 0; k < 2; k++) {
        gr_str name = gr_arena_printf(arena, "c__%s", measures[(i + k * (1 + i % 4)) % 5]);
        components[k] = (gr_component_decl){.name = name,
                                            .signature = GR_STR("0123456789abcdef0123456789abcdef"),
                                            .token = GR_STR("0123456789ab:SUM"),
                                            .details = GR_STR("{\"name\": \"x\"}")};
    }
    return (gr_preagg_decl){
        .node = gr_arena_printf(arena, "n%zu", i % 50),
        .grain_hash = gr_arena_printf(arena, "%032zx", i),
        .grain_columns = gr_arena_printf(arena, "[\"n%zu.a%zu\", \"n%zu.b%zu\"]", i % 50, i % 17, i % 50, i % 23),
        .components = components,
        .n_components = 2,
        .base_hash = gr_arena_printf(arena, "%032zx", i),
        .structure_hash = gr_arena_printf(arena, "%032zx", i),
        .store = GR_STR("embedded"),
        .sql = GR_STR("SELECT 1"),
        .columns = GR_STR("[]"),
        .definition = GR_STR("{}")};
}

static void fill(gr_catalog *catalog, gr_error *err) {
    gr_arena *arena = gr_arena_new();
    gr_node_decl nodes[50];
    for (size_t i = 0; i < 50; i++)
        nodes[i] = (gr_node_decl){
            .name = gr_arena_printf(arena, "n%zu", i), .content_hash = GR_STR("c"), .meta_hash = GR_STR("m")};
    gr_model_decl model = {nodes, 50, NULL, 0};
    gr_actor actor = {gr_clock_now_us(), {0}};
    gr_node_row *node_rows;
    gr_preagg_row *rows;
    must(gr_catalog_declare(catalog, &model, actor, arena, &node_rows, &rows, err), err);
    for (size_t i = 0; i < N_LIST; i += 500) {
        gr_preagg_decl decls[500];
        for (size_t k = 0; k < 500; k++) {
            decls[k] = decl_of(i + k, arena);
            gr_component_decl *own = GR_NEW_N(arena, gr_component_decl, 2);
            memcpy(own, decls[k].components, 2 * sizeof *own);
            decls[k].components = own;
        }
        must(gr_catalog_add(catalog, decls, 500, NULL, actor, arena, &rows, NULL, err), err);
    }
    gr_arena_free(arena);
}

typedef struct figures {
    double p50_ms, p99_ms;
} figures;

static figures list_pages(gr_catalog *catalog, bool is_filtered, gr_error *err) {
    double took[PAGES];
    for (size_t i = 0; i < PAGES; i++) {
        gr_arena *arena = gr_arena_new();
        gr_str measure = GR_STR("c__count"), grain = gr_arena_printf(arena, "n%zu.a%zu", i % 50, i % 17);
        gr_preagg_filter filter = {.limit = 50, .offset = (int64_t)(i * 23 % 5000)};
        if (is_filtered) {
            filter.measures = &measure;
            filter.n_measures = 1;
            filter.statuses = 1u << GR_PREAGG_PENDING;
            filter.offset = (int64_t)(i % 40);
            if (i % 2) {
                filter.grain = &grain;
                filter.n_grain = 1;
                filter.has_grain = true;
                filter.grain_mode = GR_GRAIN_MODE_SUPERSET;
            }
        }
        gr_preagg_row *rows;
        size_t n;
        int64_t total, start = now_ns();
        must(gr_catalog_find(catalog, &filter, arena, &rows, &n, &total, err), err);
        took[i] = (double)(now_ns() - start) / 1e6;
        gr_arena_free(arena);
    }
    figures f = {at_share(took, PAGES, 0.5), at_share(took, PAGES, 0.99)};
    return f;
}

static void bench_list(const char *folder, gr_error *err) {
    gr_arena *arena = gr_arena_new();
    gr_catalog_options options = {.file = gr_arena_printf(arena, "%s/list.sqlite", folder), .store = GR_STR("bench")};
    gr_catalog *catalog;
    must(gr_catalog_open(&options, &catalog, err), err);
    fill(catalog, err);
    figures all = list_pages(catalog, false, err), filtered = list_pages(catalog, true, err);
    printf("{\"list\": {\"entities\": %d, \"page\": 50, \"p50_ms\": %.3f, \"p99_ms\": %.3f, \"filtered_p50_ms\": %.3f, "
           "\"filtered_p99_ms\": %.3f},\n",
           N_LIST, all.p50_ms, all.p99_ms, filtered.p50_ms, filtered.p99_ms);
    gr_catalog_close(catalog);
    gr_arena_free(arena);
}

/* ---- cubes and plans -----------------------------------------------------------------------------------------------
 */

static void write_file(const char *path, gr_str text) {
    FILE *f = fopen(path, "w");
    if (!f || fwrite(text.p, 1, text.n, f) != text.n || fclose(f)) {
        fprintf(stderr, "%s cannot be written\n", path);
        exit(1);
    }
}

static void put_cube(gr_buf *y, gr_buf *csv, const char *name) {
    gr_buf_printf(y, "- name: %s\n  sql_table: %s\n  dimensions:\n", name, name);
    gr_buf_z(y, "  - {name: id, sql: id, type: number, primary_key: true}\n");
    gr_buf_z(csv, "id");
    for (int i = 0; i < N_DIMENSIONS; i++) {
        gr_buf_printf(y, "  - {name: d%d, sql: d%d, type: number}\n", i, i);
        gr_buf_printf(csv, ",d%d", i);
    }
    gr_buf_z(y, "  measures:\n");
    for (int i = 0; i < N_METRICS; i++) {
        gr_buf_printf(y, "  - {name: m%d, sql: m%d, type: sum}\n", i, i);
        gr_buf_printf(csv, ",m%d", i);
    }
    gr_buf_z(csv, "\n1");
    for (int i = 0; i < N_DIMENSIONS + N_METRICS; i++) gr_buf_printf(csv, ",%d", i);
    gr_buf_char(csv, '\n');
    gr_buf_printf(y, "  pre_aggregations:\n  - {name: main, measures: [m0, m1], dimensions: [d0, d1]}\n");
}

static gr_serve *open_server(const char *folder, gr_arena *arena, gr_config **config, gr_error *err) {
    static char *const nothing[] = {NULL};
    gr_buf y;
    gr_buf_init(&y, 1 << 20);
    gr_buf_z(&y, "cubes:\n");
    mkdir(gr_arena_printf(arena, "%s/data", folder).p, 0700);
    mkdir(gr_arena_printf(arena, "%s/model", folder).p, 0700);
    static const char *const names[] = {"busy", "idle"};
    for (size_t i = 0; i < 2; i++) {
        gr_buf csv;
        gr_buf_init(&csv, 1 << 20);
        put_cube(&y, &csv, names[i]);
        write_file(gr_arena_printf(arena, "%s/data/%s.csv", folder, names[i]).p, gr_buf_str(&csv));
        gr_buf_done(&csv);
    }
    write_file(gr_arena_printf(arena, "%s/model/m.yml", folder).p, gr_buf_str(&y));
    gr_buf_done(&y);
    gr_str file = gr_arena_printf(arena, "%s/granary.yml", folder);
    write_file(file.p, GR_STR("data_sources:\n  default: {type: duckdb, path: data}\nmodel: model\n"));
    gr_diags diags;
    gr_serve *serve;
    gr_diags_init(&diags, arena);
    must(gr_config_load(file, NULL, 0, nothing, arena, config, err), err);
    must(gr_serve_open(*config, (gr_serve_options){0}, &diags, &serve, err), err);
    return serve;
}

static double make_cube(gr_serve *serve, const char *name, size_t left_out, gr_error *err) {
    gr_arena *arena = gr_arena_new();
    gr_str metrics[N_METRICS], dimensions[N_DIMENSIONS];
    for (int i = 0; i < N_METRICS; i++) metrics[i] = gr_arena_printf(arena, "busy.m%d", i);
    for (int i = 0; i < N_DIMENSIONS; i++) dimensions[i] = gr_arena_printf(arena, "busy.d%d", i);
    dimensions[left_out] = GR_STR("busy.id"); /* a grain of its own: a new entity */
    gr_cube_ask ask = {.name = gr_str_from(name), .ask = {metrics, dimensions, N_METRICS, N_DIMENSIONS, NULL, {0}}};
    gr_node_view view;
    gr_entity_plan plan;
    gr_actor actor = {gr_clock_now_us(), {0}};
    int64_t start = now_ns();
    must(gr_serve_cube_put(serve, &ask, actor, arena, &view, &plan, err), err);
    double took = (double)(now_ns() - start) / 1e6;
    gr_arena_free(arena);
    return took;
}

static double make_cubes(gr_serve *serve, const char *prefix, gr_error *err) {
    double took[9];
    for (size_t i = 0; i < 9; i++) {
        char name[32];
        snprintf(name, sizeof name, "%s%zu", prefix, i);
        took[i] = make_cube(serve, name, i + (*prefix == 'a' ? 0 : 9), err);
    }
    return at_share(took, 9, 0.5);
}

static void make_entities(gr_serve *serve, size_t n, gr_error *err) {
    for (size_t i = 0; i < n; i++) {
        gr_arena *arena = gr_arena_new();
        gr_str metrics[] = {gr_arena_printf(arena, "busy.m%zu", i % N_METRICS)}, dimensions[N_DIMENSIONS];
        size_t k = 0;
        for (size_t d = 0; d < N_DIMENSIONS; d++)
            if ((i + 3) >> d & 1) dimensions[k++] = gr_arena_printf(arena, "busy.d%zu", d);
        gr_entity_ask ask = {metrics, dimensions, 1, k, NULL, {0}};
        gr_entity_plan plan;
        gr_entity_view *views;
        gr_actor actor = {gr_clock_now_us(), {0}};
        must(gr_serve_entity_plan(serve, &ask, NULL, actor, arena, &plan, &views, err), err);
        gr_arena_free(arena);
    }
}

/* JSON to plan, of the cube that has one rollup. */
static double plan_idle(gr_serve *serve, gr_error *err) {
    static const char text[] = "{\"measures\":[\"idle.m0\"],\"dimensions\":[\"idle.d0\"]}";
    double took[9];
    for (size_t round = 0; round < 9; round++) {
        int64_t start = now_ns();
        for (size_t i = 0; i < PLANS / 9; i++) {
            gr_arena *arena = gr_arena_new();
            json_t *query;
            gr_answer answer;
            must(gr_json_parse(gr_str_from(text), 1 << 16, arena, &query, err), err);
            gr_ctx ctx = {.arena = arena, .now_us = gr_clock_now_us()};
            must(gr_serve_plan(serve, &ctx, &(gr_request){.query = query}, true, &answer, err), err);
            gr_answer_done(&answer);
            gr_arena_free(arena);
        }
        took[round] = (double)(now_ns() - start) / 1e3 / (PLANS / 9);
    }
    return at_share(took, 9, 0.5);
}

static void bench_cubes(const char *folder, gr_error *err) {
    gr_arena *arena = gr_arena_new();
    gr_config *config;
    gr_serve *serve = open_server(folder, arena, &config, err);
    double few_ms = make_cubes(serve, "a", err), plan_few_us = plan_idle(serve, err);
    make_entities(serve, N_ENTITIES, err);
    double many_ms = make_cubes(serve, "b", err), plan_many_us = plan_idle(serve, err);
    printf(" \"cube_50_by_20\": {\"ms\": %.2f, \"ms_with_1000_entities\": %.2f},\n"
           " \"plan_and_sql\": {\"us\": %.2f, \"us_with_1000_entities_of_another_cube\": %.2f, \"ratio\": %.3f}}\n",
           few_ms, many_ms, plan_few_us, plan_many_us, plan_many_us / plan_few_us);
    gr_serve_close(serve);
    gr_arena_free(arena);
}

int main(int argc, char **argv) {
    gr_error err = {0};
    if (argc != 2 || mkdir(argv[1], 0700)) {
        fprintf(stderr, "usage: bench_entities FOLDER, which is made anew\n");
        return 2;
    }
    bench_list(argv[1], &err);
    bench_cubes(argv[1], &err);
    return 0;
}
