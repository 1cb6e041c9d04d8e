// The worked examples of the getting-started text of pre-aggregations, with its own sample rows.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { Database } from './duckdb.mjs';
import { csv, Server, serve, shared, workspace } from './helpers.mjs';

const ordersCsv = csv(['id', 'status', 'completed_at'], [
  [1, 'completed', '2021-02-15T12:21:11.290'],
  [2, 'completed', '2021-02-25T18:15:12.369'],
  [3, 'shipped', '2021-03-15T20:40:57.404'],
  [4, 'processing', '2021-03-13T10:30:21.360'],
  [5, 'completed', '2021-03-10T18:25:32.109'],
]);
const lineItemsCsv = csv(['id', 'product_id', 'order_id', 'quantity', 'price', 'profit_margin', 'created_at'], [
  [1, 31, 1, 1, 275, 1, '2021-01-20 00:00:00.000000'],
  [2, 49, 2, 6, 248, 0.1, '2021-01-20 00:00:00.000000'],
  [3, 89, 3, 6, 197, 0.35, '2021-01-21 00:00:00.000000'],
  [4, 71, 4, 8, 223, 0.15, '2021-01-21 00:00:00.000000'],
  [5, 64, 5, 5, 75, 0.75, '2021-01-22 00:00:00.000000'],
  [6, 62, 6, 8, 75, 0.65, '2021-01-22 00:00:00.000000'],
]);

const ordersCube = (rollups) => `cubes:
  - name: orders
    sql_table: orders

    measures:
      - name: count
        type: count

    dimensions:
      - name: id
        sql: id
        type: number
        primary_key: true

      - name: status
        sql: status
        type: string

      - name: completed_at
        sql: completed_at
        type: time
${rollups}`;

const ordersRollups = (more = '') => `
    pre_aggregations:
      - name: order_statuses
        dimensions:
          - status
${more}
      - name: orders_by_completed_at
        measures:
          - count
        time_dimension: completed_at
        granularity: month
${more}`;

const lineItemsCube = (measures = '', rollups = '') => `cubes:
  - name: line_items
    sql_table: line_items

    joins:
      - name: orders
        sql: "{CUBE}.order_id = {orders.id}"
        relationship: many_to_one

    measures:
      - name: count
        type: count

      - name: quantity
        sql: quantity
        type: sum

      - name: price
        type: sum
        sql: price
        format: currency
${measures}
    dimensions:
      - name: id
        sql: id
        type: number
        primary_key: true

      - name: profit_margin
        sql: profit_margin
        type: number
        format: percent

      - name: created_at
        sql: created_at
        type: time
${rollups}`;

const brokenCost = `
      - name: cost
        sql: "{CUBE.price} / (1 + {CUBE.profit_margin}"
        type: sum
`;
const cost = `
      - name: cost
        sql: "{CUBE}.price / (1 + {CUBE}.profit_margin)"
        type: sum

      - name: count_distinct_products
        sql: product_id
        type: count_distinct

      - name: count_distinct_products_approx
        sql: product_id
        type: count_distinct_approx
`;
const lineItemsRollups = `
    pre_aggregations:
      - name: by_day
        measures:
          - quantity
          - price
          - cost
          - count_distinct_products
        time_dimension: created_at
        granularity: day
`;

const files = {
  'data/orders.csv': ordersCsv,
  'data/line_items.csv': lineItemsCsv,
  'model/orders.yml': ordersCube(ordersRollups()),
  'model/line_items.yml': lineItemsCube(cost, lineItemsRollups),
};

describe('the sample rows', () => {
  const server = shared(files);

  test('order statuses fill a drop-down, from the rollup order_statuses', async () => {
    const result = await server.result({ dimensions: ['orders.status'] });
    assert.deepEqual(result.data, [{ 'orders.status': 'completed' }, { 'orders.status': 'processing' }, { 'orders.status': 'shipped' }]);
    assert.deepEqual(Server.served(result), ['orders.order_statuses']);
    assert.deepEqual(Object.keys(result.usedPreAggregations), ['granary.orders_order_statuses']);
  });

  test('orders by month are 2 and 3, from the rollup of months', async () => {
    const result = await server.result({ measures: ['orders.count'], timeDimensions: [{ dimension: 'orders.completed_at', granularity: 'month' }] });
    assert.deepEqual(
      result.data.map((row) => [row['orders.completed_at.month'], row['orders.completed_at'], row['orders.count']]),
      [
        ['2021-02-01T00:00:00.000', '2021-02-01T00:00:00.000', '2'],
        ['2021-03-01T00:00:00.000', '2021-03-01T00:00:00.000', '3'],
      ],
    );
    assert.deepEqual(Server.served(result), ['orders.orders_by_completed_at']);
  });

  test('the query with "timeDimensions": ["orders.completed_at"], as printed', async () => {
    const result = await server.result({ measures: ['orders.count'], timeDimensions: ['orders.completed_at'] });
    assert.deepEqual(result.data, [{ 'orders.count': '5' }]);
    assert.deepEqual(Server.served(result), ['orders.orders_by_completed_at']);
  });

  const byDay = { measures: ['line_items.quantity', 'line_items.price'], timeDimensions: [{ dimension: 'line_items.created_at', granularity: 'day' }] };
  for (const params of ['', '?without_rollups=1'])
    test(`quantity and price by day can be added${params && ', from the source'}`, async () => {
      const result = await server.result(byDay, params);
      assert.deepEqual(
        result.data.map((row) => [row['line_items.created_at.day'], row['line_items.quantity'], row['line_items.price']]),
        [
          ['2021-01-20T00:00:00.000', '7', '523'],
          ['2021-01-21T00:00:00.000', '14', '420'],
          ['2021-01-22T00:00:00.000', '13', '150'],
        ],
      );
      assert.deepEqual(Server.served(result), params ? [] : ['line_items.by_day']);
      assert.deepEqual(await server.rows({ measures: byDay.measures }, params), [{ 'line_items.quantity': '34', 'line_items.price': '1093' }]);
    });

  test('profit_margin is a dimension, one value for each row', async () => {
    const rows = await server.rows({
      dimensions: ['line_items.profit_margin'],
      measures: ['line_items.price'],
      timeDimensions: [{ dimension: 'line_items.created_at', dateRange: ['2021-01-20', '2021-01-20'] }],
      order: { 'line_items.profit_margin': 'desc' },
    });
    assert.deepEqual(rows, [
      { 'line_items.profit_margin': '1', 'line_items.price': '275' },
      { 'line_items.profit_margin': '0.1', 'line_items.price': '248' },
    ]);
  });

  test('the repaired cost is additive: 362.95… on the first day, and the days add up', async () => {
    const days = await server.result({ measures: ['line_items.cost'], timeDimensions: [{ dimension: 'line_items.created_at', granularity: 'day' }] });
    assert.deepEqual(Server.served(days), ['line_items.by_day']);
    const close = (text, expected) => assert.ok(Math.abs(Number(text) - expected) < 1e-9, `${text} is not ${expected}`);
    close(days.data[0]['line_items.cost'], 275 / 2 + 248 / 1.1);
    const total = await server.result({ measures: ['line_items.cost'] });
    assert.deepEqual(Server.served(total), ['line_items.by_day']);
    close(total.data[0]['line_items.cost'], days.data.reduce((sum, row) => sum + Number(row['line_items.cost']), 0));
    close(total.data[0]['line_items.cost'], Number((await server.rows({ measures: ['line_items.cost'] }, '?without_rollups=1'))[0]['line_items.cost']));
  });

  test('currency and percent are in the meta and in the annotation', async () => {
    const { body } = await server.fetch('/cubejs-api/v1/meta');
    const cube = body.cubes.find((c) => c.name === 'line_items');
    assert.equal(cube.measures.find((m) => m.name === 'line_items.price').format, 'currency');
    assert.equal(cube.dimensions.find((d) => d.name === 'line_items.profit_margin').format, 'percent');
    const { annotation } = await server.result({ measures: ['line_items.price'], dimensions: ['line_items.profit_margin'] });
    assert.equal(annotation.measures['line_items.price'].format, 'currency');
    assert.equal(annotation.dimensions['line_items.profit_margin'].format, 'percent');
    assert.equal(annotation.measures['line_items.price'].formatDescription.specifier, '$,.2f');
    assert.equal(annotation.dimensions['line_items.profit_margin'].formatDescription.specifier, '.2%');
  });

  // The rules of selection of the text; the rollups are by_day, order_statuses and orders_by_completed_at.
  const day = (more) => ({ dimension: 'line_items.created_at', ...more });
  const completed = (more) => ({ dimension: 'orders.completed_at', ...more });
  const rules = [
    ['additive measures, a subset of what is stored', { measures: ['line_items.quantity'] }, 'line_items.by_day'],
    ['a day serves a month', { measures: ['line_items.price'], timeDimensions: [day({ granularity: 'month' })] }, 'line_items.by_day'],
    ['a day does not serve an hour', { measures: ['line_items.price'], timeDimensions: [day({ granularity: 'hour' })] }, null],
    ['a leaf measure that is not stored', { measures: ['line_items.count'] }, null],
    ['a filter dimension that is not stored', { measures: ['line_items.price'], filters: [{ member: 'line_items.profit_margin', operator: 'gt', values: ['0.5'] }] }, null],
    ['a dimension that is not stored', { measures: ['line_items.price'], dimensions: ['line_items.profit_margin'] }, null],
    ['a distinct count over all days', { measures: ['line_items.count_distinct_products'] }, null],
    ['a distinct count by month', { measures: ['line_items.count_distinct_products'], timeDimensions: [day({ granularity: 'month' })] }, null],
    ['a distinct count at exactly the stored grain', { measures: ['line_items.count_distinct_products'], timeDimensions: [day({ granularity: 'day' })] }, 'line_items.by_day'],
    ['a distinct count, time dimension without granularity', { measures: ['line_items.count_distinct_products'], timeDimensions: [day({ dateRange: ['2021-01-20', '2021-01-21'] })] }, null],
    ['a range of whole days', { measures: ['line_items.price'], timeDimensions: [day({ granularity: 'day', dateRange: ['2021-01-20T00:00:00.000', '2021-01-21T23:59:59.999'] })] }, 'line_items.by_day'],
    ['a range that cuts a day', { measures: ['line_items.price'], timeDimensions: [day({ granularity: 'day', dateRange: ['2021-01-20T00:00:00.000', '2021-01-21T12:00:00.000'] })] }, 'line_items.by_day'], // the whole day; the half from the source
    ['a range of whole months', { measures: ['orders.count'], timeDimensions: [completed({ granularity: 'month', dateRange: ['2021-02-01T00:00:00.000', '2021-02-28T23:59:59.999'] })] }, 'orders.orders_by_completed_at'],
    ['a range that cuts a month', { measures: ['orders.count'], timeDimensions: [completed({ granularity: 'month', dateRange: ['2021-02-01', '2021-02-15'] })] }, null],
    ['a month serves a year', { measures: ['orders.count'], timeDimensions: [completed({ granularity: 'year' })] }, 'orders.orders_by_completed_at'],
    ['a month does not serve a week', { measures: ['orders.count'], timeDimensions: [completed({ granularity: 'week' })] }, null],
    ['the other time dimension', { measures: ['orders.count'], dimensions: ['orders.completed_at'] }, null],
    ['a dimension alone', { dimensions: ['orders.status'] }, 'orders.order_statuses'],
  ];
  for (const [name, query, served] of rules)
    test(`selection: ${name}: ${served ?? 'the source'}`, async () => {
      const plan = await server.explain(query, '?as_if_built=1');
      assert.deepEqual(plan.pre_aggregations, served ? [served] : []);
      if (!served) assert.ok(plan.refusals.length, 'a candidate that does not serve says why');
      const result = await server.result(query);
      assert.deepEqual(Server.served(result), served ? [served] : []);
      assert.deepEqual(result.data, await server.rows(query, '?without_rollups=1'));
    });
});

test('a distinct count is not additive: products of the days do not add up to those of the month', async (t) => {
  const sold = `${lineItemsCsv}7,31,1,1,10,0.5,2021-01-22 00:00:00.000000\n`; // product 31 again, on another day
  const server = await serve(t, { ...files, 'data/line_items.csv': sold });
  const measures = ['line_items.count_distinct_products'];
  const days = await server.rows({ measures, timeDimensions: [{ dimension: 'line_items.created_at', granularity: 'day' }] });
  assert.equal(days.reduce((sum, row) => sum + Number(row[measures[0]]), 0), 7);
  const month = await server.result({ measures, timeDimensions: [{ dimension: 'line_items.created_at', granularity: 'month' }], order: [] });
  assert.equal(month.data[0][measures[0]], '6');
  assert.deepEqual(Server.served(month), []);
  const plan = await server.explain({ measures });
  assert.deepEqual(plan.refusals.map((r) => [r.pre_aggregation, r.rule]), [['line_items.by_day', 'match.exact_grain']]);
});

test('the broken cost, as printed: its errors with file, line and column; nothing is served from it', async (t) => {
  const { folder, granary } = workspace(t, { ...files, 'model/line_items.yml': lineItemsCube(brokenCost) });
  const text = fs.readFileSync(path.join(folder, 'model/line_items.yml'), 'utf8').split('\n');
  const line = text.findIndex((l) => l.includes('{CUBE.price}')) + 1;
  const check = await granary(['check', '--json']);
  assert.equal(check.code, 1);
  assert.equal(check.json.ok, false);
  const errors = check.json.diagnostics.filter((d) => d.severity === 'error');
  assert.deepEqual([...new Set(errors.map((d) => d.id))].sort(), ['model.expression', 'model.nested_aggregate']);
  for (const error of errors) {
    assert.match(error.file, /line_items\.yml$/);
    assert.equal(error.line, line);
    assert.ok(error.column > 1 && error.column <= text[line - 1].length, `column ${error.column}`);
    assert.ok(error.hint, `${error.id} has a hint`);
  }
  const people = await granary(['check']);
  assert.equal(people.code, 1);
  assert.match(people.stdout, new RegExp(`line_items\\.yml:${line}:\\d+: error\\[model\\.expression\\]`));
  const serving = await granary(['query', '{"measures": ["line_items.count"]}']);
  assert.equal(serving.code, 1);
});

test('the repaired model passes the check', async (t) => {
  const { granary } = workspace(t, files);
  const check = await granary(['check', '--json']);
  assert.equal(check.code, 0, check.stdout + check.stderr);
  assert.deepEqual([check.json.ok, check.json.errors, check.json.diagnostics], [true, 0, []]);
});

test('count_distinct_approx is accepted in a rollup and served at its exact grain', async (t) => {
  const rollups = `
    pre_aggregations:
      - name: my_rollup
        measures:
          - count_distinct_products_approx
        time_dimension: created_at
        granularity: day
`;
  const server = await serve(t, { ...files, 'model/line_items.yml': lineItemsCube(cost, rollups) });
  const measures = ['line_items.count_distinct_products_approx'];
  const query = { measures, timeDimensions: [{ dimension: 'line_items.created_at', granularity: 'day' }] };
  const result = await server.result(query);
  assert.deepEqual(result.data.map((row) => row[measures[0]]), ['2', '2', '2']);
  assert.deepEqual(Server.served(result), ['line_items.my_rollup']);
  assert.deepEqual(await server.rows({ measures }), [{ [measures[0]]: '6' }]);
});

test('the first rollup that matches serves, also when a later one is smaller', async (t) => {
  const rollups = `
    pre_aggregations:
      - {name: fine, measures: [count], dimensions: [status], time_dimension: completed_at, granularity: day}
      - {name: coarse, measures: [count], dimensions: [status]}
`;
  const server = await serve(t, { ...files, 'model/orders.yml': ordersCube(rollups) });
  const result = await server.result({ measures: ['orders.count'], dimensions: ['orders.status'] });
  assert.deepEqual(Server.served(result), ['orders.fine']);
  assert.deepEqual(result.data.map((row) => [row['orders.status'], row['orders.count']]), [['completed', '3'], ['processing', '1'], ['shipped', '1']]);
});

describe('where the rollup lives', () => {
  const config = 'data_sources:\n  default: {type: duckdb, path: data/shop.duckdb}\nmodel: model\n';
  const month = { measures: ['orders.count'], timeDimensions: [{ dimension: 'orders.completed_at', granularity: 'month' }] };
  const shop = async (folder) => {
    const db = await Database.open(path.join(folder, 'data/shop.duckdb'));
    await db.run(`CREATE TABLE orders AS SELECT * FROM read_csv('${path.join(folder, 'orders.csv')}')`);
    db.close();
  };
  const tables = async (file, schema) => {
    const db = await Database.open(file, { access_mode: 'READ_ONLY' });
    const rows = await db.rows(`SELECT table_name AS name FROM duckdb_tables() WHERE schema_name = '${schema}' ORDER BY 1`);
    db.close();
    return rows.map((row) => row.name);
  };
  for (const [where, more] of [['external: false', '        external: false\n'], ['embedded', '']])
    test(where, async (t) => {
      const server = await serve(t, { 'granary.yml': config, 'orders.csv': ordersCsv, 'model/orders.yml': ordersCube(ordersRollups(more)) }, { prepare: shop });
      const isExternal = !more;
      for (let i = 0; i < 2; i++) {
        const result = await server.result(month);
        assert.deepEqual(result.data.map((row) => row['orders.count']), ['2', '3']);
        assert.deepEqual(Server.served(result), ['orders.orders_by_completed_at']);
        assert.equal(result.external, isExternal);
        if (i === 0) await server.restart();
      }
      const list = await server.granary(['preagg', 'list', '--json']);
      const row = list.json.pre_aggregations.find((p) => p.id === 'orders.orders_by_completed_at');
      assert.deepEqual([row.version, row.rows, row.status], [1, 2, 'active']);
      await server.stop();
      const inSource = await tables(path.join(server.folder, 'data/shop.duckdb'), 'granary');
      assert.equal(inSource.length, isExternal ? 0 : 1, inSource.join());
      if (!isExternal) assert.match(inSource[0], /^orders_orders_by_completed_at_/);
    });

  test('external: false in a folder of files is refused with its place', async (t) => {
    const { folder, granary } = workspace(t, { 'data/orders.csv': ordersCsv, 'model/orders.yml': ordersCube(ordersRollups('        external: false\n')) });
    const run = await granary(['serve', '--port', '0'], { timeout: 5000 });
    assert.equal(run.code, 1, run.stderr);
    assert.match(run.stderr, /orders\.yml:\d+:\d+: error\[model\.invalid\]/);
    assert.ok(!fs.existsSync(path.join(folder, '.granary/server.json')));
  });
});
