// What lies below the surface of a member: filters that reach a sub_query through an expression, values spread over rows of
// another fact, a root that only a stage names, a join of rollups over two data sources, original_sql for operators.
import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, test } from 'node:test';
import { ask, filters, is, leaf, refused, table } from './answers.mjs';
import { Database } from './duckdb.mjs';
import { shared } from './helpers.mjs';

const values = (columns, ...rows) => `sql: "SELECT * FROM (VALUES ${rows.join(', ')}) t(${columns})"`;
const id = '{name: id, sql: id, type: number, primary_key: true, public: true}';

describe('below the surface', () => {
  const server = shared({
    'model/deep.yml': `cubes:
  - name: customers
    ${values('id, city', "(1, 'Oslo')", "(2, 'Rome')", "(3, 'Rome')")}
    joins:
      - {name: deals, sql: "{CUBE.id} = {deals.customer_id}", relationship: one_to_many}
    dimensions:
      - ${id}
      - {name: city, sql: city, type: string}
      - {name: spent, sql: "{deals.total}", type: number, sub_query: true, propagate_filters_to_sub_query: true}
      - {name: twice, sql: "{spent} * 2", type: number}
    measures:
      - {name: count, type: count}
      - {name: spent_sum, sql: "{spent}", type: sum}
    pre_aggregations:
      - {name: main, measures: [count], dimensions: [twice, deals.status]}
      - {name: sums, measures: [spent_sum], dimensions: [city, deals.status]}
  - name: deals
    ${values('id, customer_id, status, amount', "(1, 1, 'a', 10)", "(2, 1, 'b', 20)", "(3, 2, 'b', 40)", "(4, 3, 'a', 5)")}
    joins:
      - {name: parts, sql: "{CUBE}.id = {parts.deal_id}", relationship: one_to_many}
    dimensions:
      - ${id}
      - {name: customer_id, sql: customer_id, type: number}
      - {name: status, sql: status, type: string}
    measures:
      - {name: count, type: count}
      - {name: total, sql: amount, type: sum}
      - {name: by_status, sql: "{total}", type: avg, multi_stage: true, add_group_by: [status]}
  - name: parts
    ${values('id, deal_id, qty', '(1, 1, 3)', '(2, 1, 4)', '(3, 3, 5)')}
    dimensions:
      - ${id}
      - {name: deal_id, sql: deal_id, type: number}
    measures:
      - {name: qty, sql: qty, type: sum}
  - name: refunds
    ${values('id, customer_id, fee', '(1, 1, 5)')}
    joins:
      - {name: customers, sql: "{CUBE}.customer_id = {customers.id}", relationship: many_to_one}
    dimensions:
      - ${id}
    measures:
      - {name: fee, sql: fee, type: sum}
      - {name: whole, sql: "{fee}", type: number, multi_stage: true, group_by: []}
  - name: visits
    ${values('id, customer_id', '(1, 1)', '(2, 1)', '(3, 2)')}
    joins:
      - {name: customers, sql: "{CUBE}.customer_id = {customers.id}", relationship: many_to_one}
    dimensions:
      - ${id}
    measures:
      - {name: count, type: count}
  - name: aside
    ${values('id', '(1)')}
    dimensions:
      - ${id}
    pre_aggregations:
      - {name: base, type: original_sql}
`,
  });
  const same = table(server);

  const open = filters(is('deals.status', 'b'));
  same('a dimension over a sub_query that takes the filter', ask('customers.count', 'customers.twice', open), [[40, 1], [80, 1]], 'match.sub_query_filter');
  same('the same, and no filter', ask('customers.count', 'customers.twice'), [[10, 1], [60, 1], [80, 1]], 'source');
  same('the same, as it is stored', ask('customers.count', 'customers.twice deals.status'), [[10, 'a', 1], [60, 'a', 1], [60, 'b', 1], [80, 'b', 1]], 'customers.main');
  same('a measure over it', ask('customers.spent_sum', 'customers.city', open), [['Oslo', 20], ['Rome', 40]], 'match.sub_query_filter');

  same('a value spread over rows of another fact', ask('visits.count refunds.whole', 'customers.city'), [['Oslo', 2, 5], ['Rome', 1, 5]], 'source');
  same('a root that only a stage names', ask('deals.by_status parts.qty', ''), [[37.5, 12]], 'source');

  test('original_sql is listed and built like the others', async () => {
    const list = (await server.granary(['preagg', 'list', '--json'])).json.pre_aggregations;
    assert.ok(list.some((p) => p.id === 'aside.base'), JSON.stringify(list.map((p) => p.id)));
    const built = await server.granary(['preagg', 'build', 'aside.base']);
    assert.equal(built.code, 0, built.stderr);
  });
});

describe('rollups of two data sources', () => {
  const server = shared({
    'data/visitors.csv': 'id,source\n1,google\n2,some\n3,some\n',
    'more/checkins.csv': 'id,visitor_id\n1,1\n2,2\n3,2\n4,9\n',
    'granary.yml': 'data_sources:\n  default: {type: duckdb, path: data}\n  other: {type: duckdb, path: more}\n',
    'model/m.yml': `cubes:
  - name: checkins
    data_source: other
    sql_table: checkins
    joins:
      - {name: visitors, sql: "{CUBE.visitor_id} = {visitors.id}", relationship: many_to_one}
    dimensions:
      - ${id}
      - {name: visitor_id, sql: visitor_id, type: number}
    measures:
      - {name: count, type: count}
    pre_aggregations:
      - {name: per_visitor, measures: [count], dimensions: [visitor_id]}
      - {name: joined, type: rollup_join, measures: [count], dimensions: [visitors.source], rollups: [per_visitor, visitors.all]}
  - name: visitors
    sql_table: visitors
    dimensions:
      - ${id}
      - {name: source, sql: source, type: string}
    pre_aggregations:
      - {name: all, dimensions: [id, source]}
`,
  });

  test('are joined where they are stored', async () => {
    const result = await server.result(ask('checkins.count', 'visitors.source'));
    assert.deepEqual(result.data.map((row) => [row['visitors.source'], row['checkins.count']]).sort(), [['google', '1'], ['some', '2'], [null, '1']].sort());
    assert.deepEqual(Object.keys(result.usedPreAggregations).length, 1);
  });
  test('without them the two sources do not meet', async () => {
    const answer = await server.load({ ...ask('checkins.count', 'visitors.source'), preAggregations: 'forbid' });
    assert.deepEqual([answer.status, answer.body.id], [400, 'plan.mixed_sources']);
  });
});

// Each was a wrong number once.
describe('where two things looked like one', () => {
  const server = shared({
    'model/apart.yml': `cubes:
  - name: orders
    ${values('id, user_id, city, status, amount, price, discount, qty, ts', "(1, 1, 'x', 'a', 10, 100, 10, 2, TIMESTAMP '2024-01-01')", "(2, 2, 'y', 'a', 5, 50, 5, 3, TIMESTAMP '2024-01-01')", "(3, 2, 'x', 'b', 7, 20, 1, 4, TIMESTAMP '2024-01-05')")}
    joins:
      - {name: users, sql: "{CUBE.user_id} = {users.id}", relationship: many_to_one}
      - {name: items, sql: "{CUBE.id} = {items.order_id}", relationship: one_to_many}
    dimensions:
      - ${id}
      - {name: user_id, sql: user_id, type: number}
      - {name: city, sql: city, type: string}
      - {name: status, sql: status, type: string}
      - {name: at, sql: ts, type: time}
      - {name: shipped, sql: "{items.at}", type: time}
    measures:
      - {name: total, sql: amount, type: sum}
      - {name: count, type: count}
      - {name: net, sql: "price - discount", type: sum}
      - {name: all_of_it, sql: "({CUBE}.price - {CUBE}.discount) * {CUBE}.qty", type: sum}
      - {name: part_of_it, sql: "{CUBE}.price - {CUBE}.discount * {CUBE}.qty", type: sum}
      - {name: three_days, sql: amount, type: sum, rolling_window: {trailing: 3 day}}
      - {name: moved, sql: "{total}", type: number, multi_stage: true, time_shift: [{interval: 3 day, type: prior}]}
    pre_aggregations:
      - {name: it, measures: [all_of_it], dimensions: [city]}
      - {name: a, measures: [count], dimensions: [city], filters: [{member: status, operator: equals, values: [a]}]}
      - {name: per_user, measures: [total], dimensions: [user_id]}
      - {name: joined, type: rollup_join, measures: [total], dimensions: [users.country], rollups: [per_user, users.wide]}
      - {name: beside, measures: [count, reviews.count], dimensions: [users.country, users.age]}
  - name: users
    ${values('id, country, age', "(1, 'N', 20)", "(2, 'N', 26)", "(3, 'I', 28)")}
    joins:
      - {name: visits, sql: "{CUBE.id} = {visits.user_id}", relationship: one_to_many}
    dimensions:
      - ${id}
      - {name: country, sql: country, type: string}
      - {name: age, sql: age, type: number}
      - {name: kind, sql: "{visits.kind}", type: string}
    measures:
      - {name: count, type: count}
      - {name: oldest, sql: age, type: max}
    pre_aggregations:
      - {name: wide, dimensions: [id, country, kind]}
  - name: visits
    ${values('id, user_id, kind', "(1, 1, 'p')", "(2, 1, 'q')", "(3, 2, 'p')", "(4, 2, 'q')")}
    dimensions:
      - ${id}
      - {name: user_id, sql: user_id, type: number}
      - {name: kind, sql: kind, type: string}
  - name: items
    ${values('id, order_id, sku, ts', "(1, 1, 's1', TIMESTAMP '2024-01-01')", "(2, 1, NULL, TIMESTAMP '2024-01-02')", "(3, 2, 's1', TIMESTAMP '2024-01-02')")}
    dimensions:
      - ${id}
      - {name: order_id, sql: order_id, type: number}
      - {name: sku, sql: "coalesce(sku, 'none')", type: string}
      - {name: at, sql: ts, type: time}
    measures:
      - {name: skus, sql: "{sku}", type: count_distinct}
      - {name: skus_2, sql: "{sku}", type: count_distinct, rolling_window: {trailing: 2 day}}
      - {name: first_skus_2, sql: sku, type: count_distinct, filters: [{sql: "{CUBE}.sku = 's1'"}], rolling_window: {trailing: 2 day}}
  - name: reviews
    ${values('id, user_id', '(1, 1)', '(2, 3)')}
    joins:
      - {name: users, sql: "{CUBE}.user_id = {users.id}", relationship: many_to_one}
    dimensions:
      - ${id}
    measures:
      - {name: count, type: count}
`,
  });
  const same = table(server);
  const fails = refused(server);

  same('brackets make another expression', ask('orders.part_of_it', 'orders.city'), [['x', 96], ['y', 35]], 'match.measure_missing');
  same('and the two beside one another', ask('orders.all_of_it orders.part_of_it'), [[391, 131]], 'match.measure_missing');
  same('filters of the rollup, below an OR', ask('orders.count', '', filters({ or: [{ and: [is('orders.status', 'a'), is('orders.city', 'x')] }, { and: [is('orders.status', 'a'), is('orders.city', 'y')] }] })), [[2]], 'orders.a');
  same('a part that a derived column multiplies', ask('orders.total', 'users.country'), [['N', 22]], 'match.cannot_build');
  same('a value of one fact among the rows of two', ask('orders.count reviews.count users.oldest'), [[3, 2, 26]], 'source');
  same('distinct values of rows that are not there', ask('items.skus items.skus_2', 'orders.at.day', { ranges: { 'orders.at': ['2024-01-01', '2024-01-05'] } }),
    [['2024-01-01', 2, 2], ['2024-01-02', 0, 2], ['2024-01-03', 0, 0], ['2024-01-04', 0, 0], ['2024-01-05', 0, 0]], 'source');
  same('the same with a filter of its own', ask('items.first_skus_2', 'orders.at.day', { ranges: { 'orders.at': ['2024-01-01', '2024-01-02'] } }), [['2024-01-01', 1], ['2024-01-02', 1]], 'source');
  fails('a window over a time that repeats the rows', ask('orders.three_days', 'orders.shipped.day', { ranges: { 'orders.shipped': ['2024-01-01', '2024-01-03'] } }), 'plan.fan_out_unsupported', /repeats its rows/);
  fails('a moved measure and a filter that stays', ask('orders.moved', 'orders.at.day', filters(leaf('orders.at', 'inDateRange', '2024-01-01', '2024-01-09'))), 'plan.unsupported', /dateRange/);
});

// Two pieces over the same joins: DuckDB's common_subplan optimizer took the one for the other.
describe('two cubes that the same joins repeat', () => {
  const dims = `      - ${id}\n      - {name: up, sql: up, type: number}\n`;
  const tables = async (folder) => {
    const db = await Database.open(path.join(folder, 'chain.duckdb'));
    for (const name of ['a', 'b', 'c']) await db.run(`CREATE TABLE ${name}(id INTEGER, up INTEGER, num INTEGER)`);
    await db.run('INSERT INTO a VALUES (18, 0, -66)');
    db.close();
  };
  const server = shared({
    'granary.yml': 'data_sources:\n  default: {type: duckdb, path: chain.duckdb}\n',
    'model/chain.yml': `cubes:
  - name: a
    sql_table: a
    joins:
      - {name: b, sql: "{CUBE.id} = {b.up}", relationship: one_to_many}
    dimensions:
${dims}    measures:
      - {name: mean, sql: "{CUBE}.num", type: avg}
      - {name: total, sql: num, type: sum, rolling_window: {trailing: 1 week}}
  - name: b
    sql_table: b
    joins:
      - {name: c, sql: "{CUBE.id} = {c.up}", relationship: one_to_many}
    dimensions:
${dims}    measures:
      - {name: least, sql: num, type: min}
      - {name: kinds, sql: num, type: count_distinct}
      - {name: total, sql: "{CUBE}.num", type: sum}
  - name: c
    sql_table: c
    dimensions:
${dims}      - {name: more, sql: "{CUBE}.num + 2", type: number}
    measures:
      - {name: count, type: count}
`,
  }, { prepare: tables });
  table(server)('keep their own numbers', ask('b.least b.kinds b.total a.mean a.total', 'c.more'), [[null, null, 0, null, -66, -66]], 'source');
});

// DuckDB 1.5.6 wraps a sum around 2^63 when a joined table is empty and the query has a filter (docs/decisions/0007).
describe('sums beyond 64 bits over a join with an empty table', () => {
  const tables = async (folder) => {
    const db = await Database.open(path.join(folder, 'big.duckdb'));
    await db.run('CREATE TABLE sales AS SELECT id, region_id, units, CAST(amount AS DECIMAL(18,0)) AS amount FROM (VALUES (1, 10, 5000000000000000000, 900000000000000000), (2, 11, 8000000000000000000, 800000000000000000)) t(id, region_id, units, amount)');
    await db.run('CREATE TABLE regions(id INTEGER, name VARCHAR)');
    db.close();
  };
  const server = shared({
    'granary.yml': 'data_sources:\n  default: {type: duckdb, path: big.duckdb}\n',
    'model/big.yml': `cubes:
  - name: sales
    sql_table: sales
    joins:
      - {name: regions, sql: "{CUBE}.region_id = {regions.id}", relationship: many_to_one}
    dimensions:
      - ${id}
      - {name: region_id, sql: region_id, type: number}
    measures:
      - {name: units, sql: units, type: sum}
      - {name: mean, sql: units, type: avg}
      - {name: amount, sql: amount, type: sum}
    pre_aggregations:
      - {name: main, measures: [units, mean, amount], dimensions: [regions.name, region_id]}
  - name: regions
    sql_table: regions
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: name, sql: name, type: string}
`,
  }, { prepare: tables });
  for (const params of ['?without_rollups=1', ''])
    test(`they are whole ${params || 'from a rollup'}`, async () => {
      const query = { measures: ['sales.units', 'sales.mean', 'sales.amount'], dimensions: ['regions.name'], filters: [{ member: 'sales.region_id', operator: 'gt', values: ['5'] }] };
      const { data } = await server.result(query, params);
      assert.deepEqual(data.map((row) => [row['regions.name'], row['sales.units'], Number(row['sales.mean']), row['sales.amount']]), [[null, '13000000000000000000', 6.5e18, '1700000000000000000']]);
    });
});
