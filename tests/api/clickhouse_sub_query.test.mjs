// sub_query dimensions of data in ClickHouse, on one server and on shards: the answers are those of DuckDB over the same rows.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { Server, csv, serve, shared } from './helpers.mjs';
import { ClickHouse } from './clickhouse.mjs';

const house = new ClickHouse();
const cluster = new ClickHouse(2);
after(() => (house.close(), cluster.close()));

// customers without orders, orders without a customer, an order of a customer that is not there
const customers = Array.from({ length: 40 }, (_, i) => [i + 1, ['Rome', 'Oslo', null][i % 3], i % 4]);
const orders = Array.from({ length: 300 }, (_, i) => [i + 1, i % 7 === 0 ? null : (i * i) % 55, ['new', 'paid', 'lost'][i % 3], ((i * 37) % 1000) / 100, `2024-0${(i % 3) + 1}-${String((i % 27) + 1).padStart(2, '0')} 10:00:00`]);
const items = Array.from({ length: 500 }, (_, i) => [i % 290, i % 3, (i % 5) + 1]).filter(([o, n], i, all) => all.findIndex(([p, m]) => p === o && m === n) === i);
const tables = {
  customers: ['id Int64, city Nullable(String), level Int32', ['id', 'city', 'level'], customers],
  orders: ['id Int64, customer_id Nullable(Int64), status String, amount Decimal(9, 2), at DateTime', ['id', 'customer_id', 'status', 'amount', 'at'], orders],
  items: ['order_id Int64, n Int32, pieces Int32', ['order_id', 'n', 'pieces'], items],
};
const insert = (name, rows) => `INSERT INTO shop.${name} FORMAT CSV\n${rows.map((row) => row.map((v) => v ?? '\\N').join(',')).join('\n')}\n`;
if (!house.missing) {
  await house.sql('CREATE DATABASE shop');
  for (const node of [0, 1]) await cluster.sql('CREATE DATABASE shop', node);
  for (const [name, [columns, , rows]] of Object.entries(tables)) {
    await house.sql(`CREATE TABLE shop.${name} (${columns}) ENGINE = MergeTree ORDER BY tuple()`);
    await house.sql(insert(name, rows));
    for (const node of [0, 1]) {
      await cluster.sql(`CREATE TABLE shop.${name}_l (${columns}) ENGINE = MergeTree ORDER BY tuple()`, node);
      await cluster.sql(`CREATE TABLE shop.${name} AS shop.${name}_l ENGINE = Distributed(shards, shop, ${name}_l, rand())`, node);
      await cluster.sql(insert(`${name}_l`, rows.filter((_, i) => i % 2 === node)), node);
    }
  }
}

const model = (preaggs = []) => `cubes:
  - name: customers
    sql_table: customers
    joins:
      - {name: orders, relationship: one_to_many, sql: "{CUBE}.id = {orders.customer_id}"}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true, public: true}
      - {name: city, sql: city, type: string}
      - {name: level, sql: level, type: number}
      - {name: n_orders, sql: "{orders.count}", type: number, sub_query: true}
      - {name: spent, sql: "{orders.total}", type: number, sub_query: true}
      - {name: mean, sql: "{orders.mean}", type: number, sub_query: true}
      - {name: dearest, sql: "{orders.dearest}", type: number, sub_query: true}
      - {name: kinds, sql: "{orders.kinds}", type: number, sub_query: true}
      - {name: n_paid, sql: "{orders.n_paid}", type: number, sub_query: true}
      - {name: rate, sql: "{orders.rate}", type: number, sub_query: true}
      - {name: about, sql: "{orders.about}", type: number, sub_query: true}
      - {name: first_at, sql: "{orders.first_at}", type: time, sub_query: true}
      - {name: class, type: string, case: {when: [{sql: "{n_orders} > 5", label: many}, {sql: "{n_orders} > 0", label: some}], else: {label: none}}}
    measures:
      - {name: count, type: count}
      - {name: most, sql: "{n_orders}", type: max}
      - {name: all_spent, sql: "{spent}", type: sum}
    segments:
      - {name: rich, sql: "{spent} > 25"}
    pre_aggregations: [${preaggs.join(', ')}]
  - name: orders
    sql_table: orders
    joins:
      - {name: customers, relationship: many_to_one, sql: "{CUBE.customer_id} = {customers.id}"}
      - {name: items, relationship: one_to_many, sql: "{CUBE}.id = {items.order_id}"}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: customer_id, sql: customer_id, type: number}
      - {name: status, sql: status, type: string}
      - {name: at, sql: at, type: time}
      - {name: pieces, sql: "{items.pieces}", type: number, sub_query: true}
    measures:
      - {name: count, type: count}
      - {name: total, sql: amount, type: sum}
      - {name: mean, sql: amount, type: avg}
      - {name: dearest, sql: amount, type: max}
      - {name: kinds, sql: status, type: count_distinct}
      - {name: first_at, sql: at, type: min}
      - {name: n_paid, type: count, filters: [{sql: "{CUBE}.status = 'paid'"}]}
      - {name: rate, sql: "1.0 * {n_paid} / {count}", type: number}
      - {name: about, sql: status, type: count_distinct_approx}
      - {name: sent, sql: "{pieces}", type: sum}
  - name: items
    sql_table: items
    dimensions:
      - {name: order_id, sql: order_id, type: number, primary_key: true}
      - {name: n, sql: n, type: number, primary_key: true}
    measures:
      - {name: pieces, sql: pieces, type: sum}
`;
const files = (config, preaggs, more = '') => ({ 'granary.yml': `data_sources:\n  default: ${config}\nmodel: model\nstorage: {source_schema: pre${more}}\ncache: {max_bytes: 0}\n`, 'model/shop.yml': model(preaggs) });
const duck = () => ({ ...files('{type: duckdb, path: data}'), ...Object.fromEntries(Object.entries(tables).map(([name, [, columns, rows]]) => [`data/${name}.csv`, csv(columns, rows)])) });
const inside = (config) => config.replace('}', ', database: shop}');

const by = (measures, dimensions, more = {}) => ({ measures, dimensions, ...more, order: Object.fromEntries(dimensions.map((d) => [d, 'asc'])) });
const filter = (member, operator, ...values) => ({ filters: [{ member, operator, values }] });
const queries = {
  'a count': by(['customers.count'], ['customers.n_orders']),
  'a sum': by(['customers.count'], ['customers.spent']),
  'several at once': by(['customers.count'], ['customers.id', 'customers.n_orders', 'customers.spent', 'customers.dearest', 'customers.kinds', 'customers.n_paid']),
  'an average': by(['customers.count'], ['customers.id', 'customers.mean']),
  'beside another dimension': by(['customers.count'], ['customers.city', 'customers.n_orders']),
  'in a case': by(['customers.count'], ['customers.class']),
  'filtered by it': by(['customers.count'], ['customers.city'], filter('customers.n_orders', 'gte', '6')),
  'where it is not set': by(['customers.count'], ['customers.city'], filter('customers.spent', 'notSet')),
  'in a segment': by(['customers.count'], ['customers.city'], { segments: ['customers.rich'] }),
  'in measures': by(['customers.most', 'customers.all_spent'], ['customers.city']),
  'of a joined cube': by(['orders.count', 'orders.total'], ['customers.n_orders']),
  'of a joined cube, by month': by(['orders.count'], ['customers.n_orders'], { timeDimensions: [{ dimension: 'orders.at', granularity: 'month' }] }),
  'over rows that a join repeats': by(['customers.count', 'orders.count'], ['customers.class']),
  'a time': by(['customers.count'], ['customers.first_at']),
  'a time, by month in a zone': by(['customers.count'], [], { timezone: 'Europe/Berlin', timeDimensions: [{ dimension: 'customers.first_at', granularity: 'month' }] }),
  'in a range of it': by(['customers.count'], ['customers.id'], { timeDimensions: [{ dimension: 'customers.first_at', dateRange: ['2024-01-05', '2024-02-10'] }] }),
  'sketches, from both shards': by(['orders.about', 'orders.n_paid'], ['customers.city']),
  'two levels deep': by(['orders.sent'], ['customers.class']),
  'rows': { ungrouped: true, dimensions: ['customers.id', 'customers.n_orders', 'customers.spent'], order: { 'customers.id': 'asc' } },
};
const plain = (rows) => rows.map((row) => Object.fromEntries(Object.entries(row).map(([k, v]) => [k, v === null || v === '' || Number.isNaN(Number(v)) ? v : Number(Number(v).toPrecision(12))])));
const sorted = (rows) => [...rows].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1));

describe('sub_query dimensions', { skip: house.missing }, () => {
  const wanted = shared(duck());
  const servers = { 'one server': shared(files(inside(house.config ?? '{}'))), 'two shards': shared(files(inside(cluster.config ?? '{}'))) };
  for (const [where, server] of Object.entries(servers))
    describe(where, () => {
      for (const [what, query] of Object.entries(queries))
        test(what, async () => {
          const rows = plain(await server.rows(query)), expected = plain(await wanted.rows(query));
          assert.ok(expected.length > 1, String(expected.length));
          assert.deepEqual(sorted(rows), sorted(expected));
        });
      test('what would be finished by DuckDB is refused with the reason', async () => {
        for (const [name, measure] of [['rate', 'rate'], ['about', 'about']]) {
          const answer = await server.load(by(['customers.count'], [`customers.${name}`]));
          assert.equal(answer.body.id, 'plan.unsupported');
          assert.match(answer.body.error, new RegExp(`'orders\\.${measure}' is the value of a sub_query dimension`));
        }
      });
    });
  test('a cube of the name of one', async (t) => {
    const text = `cubes:
  - name: customers
    sql_table: customers
    joins:
      - {name: orders, relationship: one_to_many, sql: "{CUBE}.id = {orders.customer_id}"}
      - {name: customers__n, relationship: many_to_one, sql: "{CUBE}.level = {customers__n.order_id}"}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true, public: true}
      - {name: n, sql: "{orders.count}", type: number, sub_query: true}
    measures: [{name: count, type: count}]
  - name: orders
    sql_table: orders
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: customer_id, sql: customer_id, type: number}
    measures: [{name: count, type: count}]
  - name: customers__n
    sql: SELECT order_id, max(pieces) AS value FROM items GROUP BY order_id
    dimensions:
      - {name: order_id, sql: "CAST({CUBE}.order_id AS int)", type: number, primary_key: true}
      - {name: value, sql: value, type: number}
`;
    const query = by(['customers.count'], ['customers.id', 'customers.n', 'customers__n.value']);
    const here = await serve(t, { ...files(inside(house.config)), 'model/shop.yml': text.replace('AS int', 'AS Int32') }), there = await serve(t, { ...duck(), 'model/shop.yml': text });
    const expected = plain(await there.rows(query));
    assert.ok(expected.some((row) => row['customers.n'] !== row['customers__n.value']));
    assert.deepEqual(sorted(plain(await here.rows(query))), sorted(expected));
  });
  const dimensions = ['customers.city', 'customers.n_orders', 'customers.class'];
  for (const [where, config, more] of [['the store', () => house.config, ''], ['beside the data', () => house.config, 'external: false, '], ['on the shards', () => cluster.config, 'external: false, ']])
    test(`rollups of them ${where}`, async (t) => {
      const server = await serve(t, files(inside(config()), [`{name: main, ${more}measures: [count], dimensions: [city, n_orders, class]}`], where === 'on the shards' ? '_shards' : ''));
      for (const query of [by(['customers.count'], dimensions), by(['customers.count'], ['customers.class']), by(['customers.count'], ['customers.city'], filter('customers.n_orders', 'lt', '3'))]) {
        const result = await server.result(query);
        assert.deepEqual(Server.served(result), ['customers.main']);
        assert.deepEqual(sorted(plain(result.data)), sorted(plain(await wanted.rows(query))));
      }
    });
});
