// Joins that repeat rows. A measure counts each row of its cube once for each group of the answer, however often the joins
// repeat it (cube.md 5.3); facts that meet nowhere are computed apart and laid side by side; rollups over such joins store
// numbers that may not be added up over what multiplied them.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ask, filter, filters, is, leaf, refused, table } from './answers.mjs';
import { csv, Server, shared, workspace } from './helpers.mjs';

const data = {
  'data/customers.csv': csv(['id', 'city', 'country', 'age'], [[1, 'Oslo', 'no', 30], [2, 'Rome', 'it', 40], [3, 'Bergen', 'no', 50], [4, null, 'it', 60], [5, 'Bern', 'ch', 70]]),
  'data/orders.csv': csv(['id', 'customer_id', 'status', 'amount', 'created_at'], [
    [1, 1, 'done', 100, '2024-01-05 10:00:00'],
    [2, 1, 'open', 50, '2024-01-06 09:00:00'],
    [3, 2, 'done', 70, '2024-01-20 12:00:00'],
    [4, 3, 'done', 30, '2024-02-03 08:00:00'],
    [5, 4, null, 20, '2024-02-10 23:30:00'],
    [6, null, 'open', 10, '2024-02-11 00:00:00'],
    [7, 2, 'open', null, '2024-03-01 00:00:00'], // without items
  ]),
  'data/items.csv': csv(['id', 'order_id', 'product', 'qty'], [
    [1, 1, 'apple', 2],
    [2, 1, 'apple', 3], // the same product twice in one order
    [3, 1, 'pear', 1],
    [4, 2, 'apple', 5],
    [5, 3, 'pear', 4],
    [6, 3, null, 7],
    [7, 4, 'apple', 1],
    [8, 5, 'fig', 9],
    [9, 6, 'pear', 2],
    [10, 6, 'fig', null],
    [11, null, 'fig', 6], // of no order
  ]),
  'data/returns.csv': csv(['id', 'customer_id', 'reason', 'amount', 'created_at'], [
    [1, 1, 'broken', 5, '2024-01-05 20:00:00'],
    [2, 1, 'late', 6, '2024-03-07 00:00:00'],
    [3, 5, 'late', 7, '2024-02-03 00:00:00'],
    [4, null, 'broken', 8, '2024-02-11 12:00:00'],
  ]),
  'data/parcels.csv': csv(['order_id', 'no', 'weight'], [[1, 1, 10], [1, 2, 20], [2, 1, 30], [11, 1, 40]]),
  'data/scans.csv': csv(['id', 'order_id', 'no', 'place'], [[1, 1, 1, 'dock'], [2, 1, 1, 'dock'], [3, 1, 2, 'dock'], [4, 2, 1, 'ship'], [5, 1, 1, 'ship'], [6, 11, 1, 'dock']]),
};

// Where the numbers below are not obvious:
//   products of orders: apple {1, 2, 4}, pear {1, 3, 6}, fig {5, 6}, null {3, and 7 that has no items}
//   countries of orders: no {1, 2, 4}, it {3, 5, 7}, null {6}
const orders = (name, { rollups = '', joins = 'items customers', toItems = 'items' } = {}) => `  - name: ${name}
    sql_table: orders
    joins:
${joins.includes('items') ? `      - {name: ${toItems}, relationship: one_to_many, sql: "{CUBE.id} = {${toItems}.order_id}"}\n` : ''}${joins.includes('customers') ? '      - {name: customers, relationship: many_to_one, sql: "{CUBE.customer_id} = {customers.id}"}\n' : ''}    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
      - {name: mean, type: avg, sql: amount}
      - {name: least, type: min, sql: amount}
      - {name: most, type: max, sql: amount}
      - {name: first_at, type: min, sql: created_at}
      - {name: buyers, type: count_distinct, sql: customer_id}
      - {name: per_order, type: number, sql: "{total} / {count}"}
      - {name: spread, type: number, sql: "var_pop({CUBE}.amount)"}
      - {name: big_total, type: sum, sql: amount, filters: [{sql: "{CUBE}.amount >= 50"}]}
      - {name: old_total, type: sum, sql: amount, filters: [{sql: "{customers.age} > 35"}]}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: customer_id, sql: customer_id, type: number}
      - {name: status, sql: status, type: string}
      - {name: created_at, sql: created_at, type: time}
${rollups}`;
const items = (name, more = '') => `  - name: ${name}
    sql_table: items
${more}    measures:
      - {name: count, type: count}
      - {name: qty, type: sum, sql: qty}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: order_id, sql: order_id, type: number}
      - {name: product, sql: product, type: string}
      - {name: qty_each, sql: qty, type: number}
`;
const customers = (more = '') => `  - name: customers
    sql_table: customers
${more}    measures:
      - {name: count, type: count}
      - {name: ages, type: sum, sql: age}
      - {name: eldest, type: max, sql: age}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: city, sql: city, type: string}
      - {name: country, sql: country, type: string}
      - {name: age, sql: age, type: number}
`;

describe('rows that joins repeat', () => {
  const server = shared({
    ...data,
    'model/model.yml': `cubes:
${orders('orders')}
${items('items')}
${customers()}
${items('lines', `    joins:
      - {name: bills, relationship: many_to_one, sql: "{CUBE.order_id} = {bills.id}"}
`)}
${orders('bills', { toItems: 'lines' })}
  - name: parcels
    sql_table: parcels
    joins:
      - {name: scans, relationship: one_to_many, sql: "{CUBE.order_id} = {scans.order_id} AND {CUBE.no} = {scans.no}"}
    measures:
      - {name: count, type: count}
      - {name: weight, type: sum, sql: weight}
    dimensions:
      - {name: order_id, sql: order_id, type: number, primary_key: true}
      - {name: no, sql: no, type: number, primary_key: true}
  - name: scans
    sql_table: scans
    measures:
      - {name: count, type: count}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: order_id, sql: order_id, type: number}
      - {name: no, sql: no, type: number}
      - {name: place, sql: place, type: string}
`,
  });
  const same = (name, query, rows, options) => table(server)(name, query, rows, 'source', options);

  same('total by product, over distinct orders', ask('orders.total', 'items.product'), [['apple', 180], ['pear', 180], ['fig', 30], [null, 70]], {
    sql: 'SELECT product, sum(amount) FROM (SELECT DISTINCT i.product, o.id, o.amount FROM orders o LEFT JOIN items i ON i.order_id = o.id) GROUP BY 1',
  });
  same('counts of both by product', ask('orders.count items.count', 'items.product'), [['apple', 3, 4], ['pear', 3, 3], ['fig', 2, 2], [null, 2, 1]]);
  same('average by product', ask('orders.mean', 'items.product'), [['apple', 60], ['pear', 60], ['fig', 15], [null, 70]]);
  same('extremes by product', ask('orders.least orders.most orders.first_at', 'items.product'), [
    ['apple', 30, 100, '2024-01-05T10:00'],
    ['pear', 10, 100, '2024-01-05T10:00'],
    ['fig', 10, 20, '2024-02-10T23:30'],
    [null, 70, 70, '2024-01-20T12:00'],
  ]);
  same('distinct buyers by product', ask('orders.buyers', 'items.product'), [['apple', 2], ['pear', 2], ['fig', 1], [null, 1]]);
  same('a ratio by product', ask('orders.per_order', 'items.product'), [['apple', 60], ['pear', 60], ['fig', 15], [null, 35]]);
  same('a variance by product', ask('orders.spread', 'items.product'), [['apple', 2600 / 3], ['pear', 1400], ['fig', 25], [null, 0]]);
  same('filtered sums by product', ask('orders.big_total orders.old_total', 'items.product'), [['apple', 150, 30], ['pear', 170, 70], ['fig', null, 20], [null, 70, 70]]);
  same('by product and status', ask('orders.total orders.count', 'items.product orders.status'), [
    ['apple', 'done', 130, 2],
    ['apple', 'open', 50, 1],
    ['pear', 'done', 170, 2],
    ['pear', 'open', 10, 1],
    ['fig', null, 20, 1],
    ['fig', 'open', 10, 1],
    [null, 'done', 70, 1],
    [null, 'open', null, 1],
  ]);
  same('by product and month', ask('orders.total', 'items.product orders.created_at.month', { ranges: { 'orders.created_at': ['2024-01-01', '2024-02-29'] } }), [
    ['apple', '2024-01-01', 150],
    ['apple', '2024-02-01', 30],
    ['pear', '2024-01-01', 170],
    ['pear', '2024-02-01', 10],
    ['fig', '2024-02-01', 30],
    [null, '2024-01-01', 70],
  ]);
  same('quantities and totals by country', ask('items.qty orders.total', 'customers.country'), [['no', 12, 180], ['it', 20, 90], [null, 2, 10]]);
  same('quantities alone, joined through a cube that only a filter names', ask('items.qty', 'customers.country', filter('orders.id', 'set')), [['no', 12], ['it', 20], [null, 2]]);
  refused(server)('quantities alone: no cube of the query is the root', ask('items.qty', 'customers.country'), 'plan.no_join_path', /items.*customers/);
  same('three multiplied cubes by product', ask('items.qty orders.total customers.ages', 'items.product'), [['apple', 11, 180, 80], ['pear', 7, 180, 70], ['fig', 9, 30, 60], [null, 7, 70, 40]]);
  same('counts of three cubes by country', ask('items.count orders.count customers.count', 'customers.country'), [['no', 5, 3, 2], ['it', 3, 3, 2], [null, 2, 1, 0]]);
  same('customers by status of their orders', ask('customers.count customers.ages customers.eldest', 'orders.status'), [['done', 3, 120, 50], ['open', 2, 70, 40], [null, 1, 60, 60]]);
  same('no dimensions', ask('items.qty items.count orders.total orders.count orders.mean customers.ages'), [[34, 10, 280, 7, 280 / 6, 180]]);
  same('no dimensions, no rows', ask('items.qty items.count orders.total orders.count', '', filter('orders.status', 'equals', 'lost')), [[null, 0, null, 0]]);
  same('no rows by product', ask('orders.total items.count', 'items.product', filter('orders.status', 'equals', 'lost')), []);

  same('a filter on the repeating cube', ask('orders.total orders.count', '', filter('items.product', 'equals', 'apple')), [[180, 3]]);
  same('a filter on its rows', ask('orders.total', 'items.product', filter('items.qty_each', 'gte', '4')), [['apple', 50], ['pear', 70], ['fig', 20], [null, 70]]);
  same('a filter on a third cube', ask('orders.total items.qty', 'items.product', filter('customers.country', 'equals', 'no')), [['apple', 180, 11], ['pear', 100, 1]]);
  same('a filter of a measure', ask('orders.total', 'items.product', filter('orders.total', 'gt', '100')), [['apple', 180], ['pear', 180]]);
  same('a filter of a measure that is not asked for', ask('orders.total', 'items.product', filter('customers.ages', 'gt', '65')), [['apple', 180], ['pear', 180]]);
  same('filters of measures of two cubes, ORed', ask('orders.count', 'items.product', filters({ or: [leaf('items.qty', 'gt', '10'), leaf('orders.total', 'lt', '50')] })), [['apple', 3], ['fig', 2]]);
  same('order and limit', ask('orders.total items.qty', 'items.product', { order: [['items.qty', 'desc']], limit: 2 }), [['apple', 180, 11], ['fig', 30, 9]], { ordered: true });
  same('ties are broken by the dimensions', ask('orders.total', 'items.product', { order: [['orders.total', 'desc']], limit: 2 }), [['apple', 180], ['pear', 180]], { ordered: true });
  same('the products of orders, once each', ask('', 'items.product', filter('orders.status', 'equals', 'done')), [['apple'], ['pear'], [null]]);

  same('a key of two columns', ask('parcels.weight parcels.count scans.count', 'scans.place'), [['dock', 70, 3, 4], ['ship', 40, 2, 2]]);
  same('a key of two columns, no dimensions', ask('parcels.weight parcels.count scans.count'), [[100, 4, 6]]);

  // Joins from both ends: the first cube of the query is the root, and its rows without partner stay.
  same('rooted at lines, those of no order too', ask('lines.qty bills.total', 'customers.country'), [['no', 12, 180], ['it', 20, 90], [null, 8, 10]]);
  same('rooted at bills, those without lines too', ask('bills.total lines.qty', 'customers.country'), [['no', 180, 12], ['it', 90, 20], [null, 10, 2]]);

  test('the total of rows counts groups', async () => {
    const result = await server.result(ask('orders.total items.qty', 'items.product', { total: true, limit: 1 }));
    assert.deepEqual([result.total, result.data.length], [4, 1]);
  });
});

describe('measures that the joins make impossible', () => {
  const server = shared({
    ...data,
    'model/model.yml': `cubes:
  - name: orders
    sql_table: orders
    joins:
      - {name: items, relationship: one_to_many, sql: "{CUBE.id} = {items.order_id}"}
      - {name: notes, relationship: one_to_many, sql: "{CUBE.id} = {notes.order_id}"}
    measures:
      - {name: count, type: count}
      - {name: weighted, type: sum, sql: "{CUBE}.amount * {items.qty_each}"}
      - {name: most, type: number, sql: "max({CUBE}.amount) - mode({CUBE}.amount)"}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: status, sql: status, type: string}
${items('items')}
  - name: notes
    sql_table: items
    joins:
      - {name: marks, relationship: one_to_many, sql: "{CUBE.note} = {marks.note}"}
    measures:
      - {name: noted, type: count, sql: qty}
      - {name: largest, type: max, sql: qty}
    dimensions:
      - {name: note, sql: id, type: number}
      - {name: order_id, sql: order_id, type: number}
  - name: marks
    sql: "SELECT * FROM (VALUES (1, 'x'), (1, 'y'), (2, 'x')) t(note, mark)"
    dimensions:
      - {name: note, sql: note, type: number}
      - {name: mark, sql: mark, type: string}
`,
  });
  const fails = refused(server);
  fails('a measure over a cube that repeats its rows', ask('orders.weighted', 'orders.status'), 'plan.fan_out_unsupported', /'orders\.weighted' references cubes that lead to row multiplication\. Please rewrite it using sub query\./);
  fails('a multiplied cube without primary key', ask('notes.noted', 'marks.mark'), 'plan.fan_out_unsupported', /'notes\.noted'.*no primary key/);
  fails('aggregates in its own SQL that cannot be taken apart', ask('orders.most', 'items.product'), 'plan.fan_out_unsupported', /'orders\.most'/);
  table(server)('no key is needed where nothing is counted twice', ask('notes.largest', 'marks.mark'), [['x', 3], ['y', 2], [null, 9]], 'source');

  test('a joined cube that counts needs a primary key', async (t) => {
    const model = `cubes:
${orders('orders', { joins: 'items' })}
${items('items').replace(', primary_key: true', '')}`;
    const { json, code } = await workspace(t, { ...data, 'model/model.yml': model.replace(/ {6}- \{name: old_total.*\n/, '') }).granary(['check', '--json']);
    assert.notEqual(code, 0);
    assert.match(JSON.stringify(json), /primary key for 'items' is required when join is defined in order to make aggregates work properly/);
  });
});

const preagg = (list) => `    pre_aggregations:\n${list.map((one) => `      - ${one}\n`).join('')}`;

describe('rollups over joins that repeat rows', () => {
  const server = shared({
    ...data,
    'model/model.yml': `cubes:
${orders('orders', { rollups: preagg(['{name: by_product, measures: [total, count, mean, most, items.qty], dimensions: [status, items.product]}']) })}
${items('items')}
${customers()}
${orders('sales', { toItems: 'parts', rollups: preagg(['{name: by_day, measures: [total, count, most, parts.qty, customers.ages], dimensions: [parts.product, customers.country], time_dimension: created_at, granularity: day}']) })}
${items('parts')}
`,
  });
  const same = table(server);
  const both = [
    ['apple', 'done', 130, 2, 6],
    ['apple', 'open', 50, 1, 5],
    ['pear', 'done', 170, 2, 5],
    ['pear', 'open', 10, 1, 2],
    ['fig', null, 20, 1, 9],
    ['fig', 'open', 10, 1, null],
    [null, 'done', 70, 1, 7],
    [null, 'open', null, 1, null],
  ];
  same('by product and status', ask('orders.total orders.count items.qty', 'items.product orders.status'), both, 'orders.by_product');
  same('by product: an order has one status', ask('orders.total orders.count', 'items.product'), [['apple', 180, 3], ['pear', 180, 3], ['fig', 30, 2], [null, 70, 2]], 'orders.by_product');
  same('averages by product', ask('orders.mean', 'items.product'), [['apple', 60], ['pear', 60], ['fig', 15], [null, 70]], 'orders.by_product');
  same('by status: an order has several products', ask('orders.total', 'orders.status'), [['done', 200], ['open', 60], [null, 20]], 'match.fan_out');
  same('the total of all', ask('orders.total orders.count'), [[280, 7]], 'match.fan_out');
  same('the maximum stands it', ask('orders.most', 'orders.status'), [['done', 100], ['open', 50], [null, 20]], 'orders.by_product');
  same('quantities by status, which nothing repeats', ask('items.qty', 'orders.status'), [['done', 18], ['open', 7], [null, 9]], 'orders.by_product');
  same('all quantities, also of no order', ask('items.qty'), [[40]], 'source');
  same('by status, one product alone', ask('orders.total', 'orders.status', filter('items.product', 'equals', 'pear')), [['done', 170], ['open', 10]], 'orders.by_product');
  same('by status, two products', ask('orders.total', 'orders.status', filter('items.product', 'equals', 'pear', 'apple')), [['done', 200], ['open', 60]], 'match.fan_out');
  same('by product, some statuses', ask('orders.total', 'items.product', filter('orders.status', 'notEquals', 'done')), [['apple', 50], ['pear', 10], ['fig', 30], [null, null]], 'orders.by_product');
  same('by product, filtered by totals', ask('orders.total', 'items.product', filter('orders.total', 'gt', '100')), [['apple', 180], ['pear', 180]], 'orders.by_product');
  same('one part from the rollup, the other from the source', ask('orders.total items.qty', 'orders.status'), [['done', 200, 18], ['open', 60, 7], [null, 20, 9]], ['orders.by_product', 'source']);

  same('stored by day, by month and product', ask('sales.total sales.count', 'parts.product sales.created_at.month'), [
    ['apple', '2024-01-01', 150, 2],
    ['apple', '2024-02-01', 30, 1],
    ['pear', '2024-01-01', 170, 2],
    ['pear', '2024-02-01', 10, 1],
    ['fig', '2024-02-01', 30, 2],
    [null, '2024-01-01', 70, 1],
    [null, '2024-03-01', null, 1],
  ], 'sales.by_day');
  same('by product', ask('sales.total', 'parts.product'), [['apple', 180], ['pear', 180], ['fig', 30], [null, 70]], 'sales.by_day');
  same('quantities by country', ask('parts.qty sales.most', 'customers.country'), [['no', 12, 100], ['it', 20, 70], [null, 2, 10]], 'sales.by_day');
  same('customers by product: many days', ask('customers.ages sales.most', 'parts.product'), [['apple', 80, 100], ['pear', 70, 100], ['fig', 60, 20], [null, 40, 70]], ['sales.by_day', 'source']);
  same('customers by product and day', ask('customers.ages', 'parts.product sales.created_at.day', { ranges: { 'sales.created_at': ['2024-01-05', '2024-01-06'] } }), [['apple', '2024-01-05', 30], ['pear', '2024-01-05', 30], ['apple', '2024-01-06', 30]], 'sales.by_day');

  test('the rule names the dimension that repeats', async () => {
    const plan = await server.explain(ask('orders.total', 'orders.status'));
    assert.deepEqual(plan.refusals.map((r) => [r.pre_aggregation, r.rule, r.member]), [['orders.by_product', 'match.fan_out', 'items.product']]);
  });
});

// ---- with ranges, windows and stages ------------------------------------------------------------------------------------------

describe('joins that repeat rows, in time', () => {
  const more = `      - {name: trail, type: sum, sql: amount, rolling_window: {trailing: 1 month}}
      - {name: so_far, type: running_total, sql: amount}
      - {name: whole, type: number, sql: "{total}", multi_stage: true, group_by: []}
      - {name: month_ago, type: number, sql: "{total}", multi_stage: true, time_shift: [{interval: 1 month, type: prior}]}
      - {name: best, type: max, sql: "{total}", multi_stage: true, add_group_by: [items.product]}
`;
  const withMore = (name, options) => orders(name, options).replace('    dimensions:\n', `${more.replaceAll('items.', `${options.toItems ?? 'items'}.`)}    dimensions:\n`);
  const server = shared({
    ...data,
    'model/model.yml': `cubes:
${withMore('orders', {})}
${items('items')}
${customers()}
${withMore('sales', { toItems: 'parts', rollups: preagg(['{name: monthly, measures: [total, count, parts.qty], dimensions: [parts.product], time_dimension: created_at, granularity: month}', '{name: daily, measures: [total, count], dimensions: [parts.product], time_dimension: created_at, granularity: day}']) })}
${items('parts')}
`,
  });
  const same = table(server);
  for (const [name, part, month, day] of [['orders', 'items', 'source', 'source'], ['sales', 'parts', 'sales.monthly', 'sales.daily']]) {
    const q = (measures, groups, range, rest) => ask(measures, groups, { ...(range && { ranges: { [`${name}.created_at`]: range } }), ...rest });
    const mixed = name === 'orders' ? ['source'] : ['sales.monthly', 'source'];
    same(`${name}: a ragged range`, q(`${name}.total ${name}.count`, `${part}.product`, ['2024-01-06T00:00:00', '2024-02-10T23:45:00']), [['apple', 80, 2], ['pear', 70, 1], ['fig', 20, 1], [null, 70, 1]], name === 'orders' ? 'source' : ['sales.daily', 'source']);
    same(`${name}: a ragged range around a month`, q(`${name}.total`, `${part}.product`, ['2024-01-05T11:00:00', '2024-02-29']), [['apple', 80], ['pear', 80], ['fig', 30], [null, 70]], name === 'orders' ? 'source' : ['sales.monthly', 'sales.daily', 'source']);
    same(`${name}: a ragged range of two multiplied cubes`, q(`${name}.total ${part}.qty`, `${part}.product`, ['2024-01-05T11:00:00', '2024-02-29']), [['apple', 80, 6], ['pear', 80, 6], ['fig', 30, 9], [null, 70, 7]], name === 'orders' ? 'source' : ['sales.monthly', 'sales.daily', 'source']);
    same(`${name}: a trailing month by product`, q(`${name}.trail`, `${part}.product ${name}.created_at.month`, ['2024-01-01', '2024-02-29']), [['apple', '2024-01-01', 150], ['pear', '2024-01-01', 170], [null, '2024-01-01', 70], ['apple', '2024-02-01', 30], ['pear', '2024-02-01', 10], ['fig', '2024-02-01', 30]], day);
    same(`${name}: a running total by product`, q(`${name}.so_far`, `${part}.product ${name}.created_at.month`, ['2024-02-01', '2024-02-29']), [['apple', '2024-02-01', 180], ['pear', '2024-02-01', 180], ['fig', '2024-02-01', 30], [null, '2024-02-01', 70]], month);
    same(`${name}: a share of the whole`, q(`${name}.total ${name}.whole`, `${part}.product`), [['apple', 180, 280], ['pear', 180, 280], ['fig', 30, 280], [null, 70, 280]], mixed);
    same(`${name}: a month ago by product`, q(`${name}.total ${name}.month_ago`, `${part}.product ${name}.created_at.month`, ['2024-02-01', '2024-02-29']), [['apple', '2024-02-01', 30, 150], ['pear', '2024-02-01', 10, 170], ['fig', '2024-02-01', 30, null], [null, '2024-02-01', null, 70]], month);
    same(`${name}: the best product of a month`, q(`${name}.best`, `${name}.created_at.month`), [['2024-01-01', 170], ['2024-02-01', 30], ['2024-03-01', null]], month);
  }
  test('total, compact and columnar answers of several parts', async () => {
    const query = ask('sales.total parts.qty', 'sales.status', { total: true, order: [['sales.status', 'asc']] });
    const plain = await server.result(query);
    assert.equal(plain.total, 3);
    const rows = [['done', '200', '18'], ['open', '60', '7'], [null, '20', '9']];
    assert.deepEqual(plain.data.map((row) => Object.values(row)), rows);
    const compact = await server.result({ ...query, responseFormat: 'compact' });
    assert.deepEqual(compact.data.dataset, rows);
    const columnar = await server.result({ ...query, responseFormat: 'columnar' });
    assert.deepEqual(columnar.data.columns, rows[0].map((_, i) => rows.map((row) => row[i])));
  });
});

// ---- facts that meet nowhere but in what they share -----------------------------------------------------------------------

const returns = (more = '') => `  - name: returns
    sql_table: returns
    joins:
      - {name: customers, relationship: many_to_one, sql: "{CUBE.customer_id} = {customers.id}"}
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: customer_id, sql: customer_id, type: number}
      - {name: reason, sql: reason, type: string}
      - {name: created_at, sql: created_at, type: time}
${more}`;

describe('several facts', () => {
  const models = {
    none: ['', '', ''],
    each: [preagg(['{name: by_city, measures: [count, total], dimensions: [customers.city, customers.country]}']), preagg(['{name: by_city, measures: [count, total], dimensions: [customers.city, customers.country]}']), ''],
    one: [preagg(['{name: by_city, measures: [count, total], dimensions: [customers.city, customers.country]}']), '', ''],
    all: ['', '', preagg(['{name: everything, measures: [orders.count, orders.total, returns.count, returns.total], dimensions: [city]}'])],
  };
  const four = 'orders.count orders.total returns.count returns.total';
  // A fact without rows counts 0, and its sum is null. Bergen has orders alone, Bern has returns alone; null: an order of a
  // customer without city, an order and a return without customer.
  const byCity = [['Oslo', 2, 150, 2, 11], ['Rome', 2, 70, 0, null], ['Bergen', 1, 30, 0, null], ['Bern', 0, null, 1, 7], [null, 2, 30, 1, 8]];
  const serves = { none: 'source', each: ['orders.by_city', 'returns.by_city'], one: ['orders.by_city', 'source'], all: 'customers.everything' };
  for (const [name, [ofOrders, ofReturns, ofCustomers]] of Object.entries(models)) {
    describe(`rollups: ${name}`, () => {
      const server = shared({
        ...data,
        'model/model.yml': `cubes:\n${orders('orders', { rollups: ofOrders, joins: 'customers' })}\n${returns(ofReturns)}\n${customers(ofCustomers)}`,
      });
      const same = (what, query, rows, options) => table(server)(what, query, rows, options?.serves ?? serves[name], options);
      same('four measures by city', ask(four, 'customers.city'), byCity, {
        sql: `SELECT city, coalesce(o.n, 0), o.total, coalesce(r.n, 0), r.total FROM
              (SELECT city, count(*) n, sum(amount) total FROM orders LEFT JOIN customers c ON c.id = customer_id GROUP BY 1) o FULL JOIN
              (SELECT city AS place, count(*) n, sum(amount) total FROM returns LEFT JOIN customers c ON c.id = customer_id GROUP BY 1) r
              ON city IS NOT DISTINCT FROM place`.replace('SELECT city, coalesce', 'SELECT coalesce(city, place) AS city, coalesce'),
      });
      same('four measures in all', ask(four), [[7, 280, 4, 26]]);
      same('a measure of each', ask('returns.total orders.total', 'customers.city'), byCity.map(([city, , total, , back]) => [city, back, total]));
      same('filtered by what they share', ask(four, 'customers.city', filter('customers.city', 'notEquals', 'Oslo')), byCity.slice(1));
      same('filtered by a measure', ask(four, 'customers.city', filter('returns.count', 'gt', '0')), [byCity[0], byCity[3], byCity[4]]);
      same('filtered by measures of both, ORed', ask(four, 'customers.city', filters({ or: [leaf('orders.total', 'gt', '100'), leaf('returns.total', 'equals', '7')] })), [byCity[0], byCity[3]]);
      same('filtered by a measure that is not asked for', ask('orders.total', 'customers.city', filter('returns.count', 'equals', '2')), [['Oslo', 150]]);
      same('order and limit', ask(four, 'customers.city', { order: [['returns.total', 'desc']], limit: 3 }), [byCity[0], byCity[4], byCity[3]], { ordered: true });
      same('no rows at all', ask(four, 'customers.city', filter('customers.city', 'equals', 'nowhere')), []);
      same('no rows, no dimensions', ask(four, '', filter('customers.city', 'equals', 'nowhere')), [[0, null, 0, null]]);
      if (name === 'all')
        same('a part of the facts: their rows alone are the groups', ask('orders.count', 'customers.city'), byCity.filter((row) => row[1]).map((row) => row.slice(0, 2)), { serves: 'match.facts' });
      same('in time, over one of them', ask('orders.total', 'customers.city orders.created_at.month', filter('orders.count', 'gt', '1')), [['Oslo', '2024-01-01', 150], [null, '2024-02-01', 30]], { serves: 'source' });
      refused(server)('a dimension that one of them does not reach', ask(four, 'orders.status'), 'plan.no_join_path', /orders/);
    });
  }
});

describe('facts of two data sources', () => {
  const cube = (name, source) => `  - name: ${name}\n    sql_table: ${name}\n    data_source: ${source}\n    measures:\n      - {name: count, type: count}\n      - {name: total, type: sum, sql: amount}\n    dimensions:\n      - {name: id, sql: id, type: number, primary_key: true}\n    pre_aggregations:\n      - {name: main, measures: [count]}\n`;
  const server = shared({
    'granary.yml': 'data_sources:\n  default: {type: duckdb, path: data}\n  other: {type: duckdb, path: other}\nmodel: model\n',
    'data/near.csv': csv(['id', 'amount'], [[1, 10], [2, 20]]),
    'other/far.csv': csv(['id', 'amount'], [[1, 5], [2, 6], [3, 7]]),
    'model/model.yml': `cubes:\n${cube('near', 'default')}${cube('far', 'other')}`,
  });
  test('each from its rollup', async () => {
    const result = await server.result(ask('far.count near.count'));
    assert.deepEqual([result.data, Server.served(result).sort()], [[{ 'far.count': '3', 'near.count': '2' }], ['far.main', 'near.main']]);
  });
  refused(server)('not from both sources at once', { ...ask('far.total near.total') }, 'plan.mixed_sources', /data source/);
});

// ---- several ways, and none -------------------------------------------------------------------------------------------------

describe('diamonds', () => {
  const key = (name, more = '') => `      - {name: id, sql: id, type: number, primary_key: true}\n      - {name: ${name}, sql: ${name}, type: string}\n${more}`;
  const join = (to, column) => `      - {name: ${to}, relationship: many_to_one, sql: "{CUBE}.${column} = {${to}.id}"}\n`;
  const server = shared({
    'data/trips.csv': csv(['id', 'from_id', 'ship_id', 'fare'], [[1, 1, 1, 10], [2, 1, 2, 20], [3, 2, 1, 40], [4, null, 2, 80]]),
    'data/ports.csv': csv(['id', 'name', 'land_id'], [[1, 'Hull', 1], [2, 'Cork', 2]]),
    'data/ships.csv': csv(['id', 'name', 'land_id'], [[1, 'Ann', 2], [2, 'Bob', 3]]),
    'data/lands.csv': csv(['id', 'name'], [[1, 'UK'], [2, 'Eire'], [3, 'Malta']]),
    'model/model.yml': `cubes:
  - name: trips
    sql_table: trips
    joins:
${join('ports', 'from_id')}${join('ships', 'ship_id')}    measures:
      - {name: count, type: count}
      - {name: fares, type: sum, sql: fare}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
    pre_aggregations:
      - {name: by_flag, measures: [fares], dimensions: [CUBE.ships.lands.name]}
      - {name: by_port, measures: [count], dimensions: [ports.name, CUBE.ports.lands.name]}
  - name: ports
    sql_table: ports
    joins:
${join('lands', 'land_id')}    dimensions:
${key('name')}  - name: ships
    sql_table: ships
    joins:
${join('lands', 'land_id')}    dimensions:
${key('name')}  - name: lands
    sql_table: lands
    dimensions:
${key('name')}  - name: seas
    sql_table: lands
    measures:
      - {name: count, type: count}
    dimensions:
${key('name')}views:
  - name: by_flag
    cubes:
      - {join_path: trips, includes: [count, fares]}
      - {join_path: trips.ships.lands, prefix: true, includes: [name]}
  - name: by_origin
    cubes:
      - {join_path: trips, includes: [count, fares]}
      - {join_path: trips.ports.lands, includes: [{name: name, alias: land}]}
      - {join_path: trips.ports, includes: [{name: name, alias: port}]}
`,
  });
  const same = table(server);
  // Of two ways of one length the first declared is walked.
  const origin = [['UK', 30], ['Eire', 40], [null, 80]];
  const flag = [['Eire', 50], ['Malta', 100]];
  same('the way that no path names', ask('trips.fares', 'lands.name'), origin, 'match.join_path');
  same('the way of a view', ask('by_flag.fares', 'by_flag.lands_name'), flag, 'trips.by_flag');
  same('the way of another view', ask('by_origin.fares', 'by_origin.land'), origin, 'match.join_path');
  same('the way of a view, served', ask('by_origin.count', 'by_origin.land'), [['UK', 2], ['Eire', 1], [null, 1]], 'trips.by_port');
  same('a filter by the way of a view', ask('by_flag.fares', '', filters(is('by_flag.lands_name', 'Malta'))), [[100]], 'trips.by_flag');
  refused(server)('no way', ask('trips.count seas.count', 'seas.name'), 'plan.no_join_path', /trips.*seas/);
});

// ---- dimensions that are measures of another cube -----------------------------------------------------------------------------

describe('sub_query dimensions', () => {
  const server = shared({
    ...data,
    'model/model.yml': `cubes:
  - name: customers
    sql_table: customers
    joins:
      - {name: orders, relationship: one_to_many, sql: "{CUBE.id} = {orders.customer_id}"}
    measures:
      - {name: count, type: count}
      - {name: spent, type: sum, sql: "{order_total}"}
      - {name: mean_spent, type: avg, sql: "{order_total}"}
      - {name: open_spent, type: sum, sql: "{filtered_total}"}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: country, sql: country, type: string}
      - {name: order_total, sql: "{orders.total}", type: number, sub_query: true}
      - {name: order_count, sql: "{orders.count}", type: number, sub_query: true}
      - {name: filtered_total, sql: "{orders.total}", type: number, sub_query: true, propagate_filters_to_sub_query: true}
    pre_aggregations:
      - {name: spending, measures: [count, spent, mean_spent], dimensions: [country]}
      - {name: totals, measures: [count], dimensions: [order_total, order_count]}
      - {name: filtered, measures: [open_spent], dimensions: [country]}
  - name: clients
    sql_table: customers
    joins:
      - {name: deals, relationship: one_to_many, sql: "{CUBE.id} = {deals.customer_id}"}
    measures:
      - {name: open_spent, type: sum, sql: "{filtered_total}"}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: country, sql: country, type: string}
      - {name: filtered_total, sql: "{deals.total}", type: number, sub_query: true, propagate_filters_to_sub_query: true}
    pre_aggregations:
      - {name: main, measures: [open_spent], dimensions: [country, deals.status]}
  - name: deals
    sql_table: orders
    measures:
      - {name: total, type: sum, sql: amount}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: customer_id, sql: customer_id, type: number}
      - {name: status, sql: status, type: string}
  - name: orders
    sql_table: orders
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: customer_id, sql: customer_id, type: number}
      - {name: status, sql: status, type: string}
`,
  });
  const same = table(server);
  // By customer: 150 of 2, 70 of 2 (one without amount), 30 of 1, 20 of 1, none.
  same('as a dimension', ask('customers.count', 'customers.order_total'), [[150, 1], [70, 1], [30, 1], [20, 1], [null, 1]], 'customers.totals');
  same('a count', ask('customers.count', 'customers.order_count'), [[2, 2], [1, 2], [0, 1]], 'customers.totals', {
    sql: 'SELECT n, count(*) FROM (SELECT c.id, count(o.id) n FROM customers c LEFT JOIN orders o ON c.id = o.customer_id GROUP BY 1) GROUP BY 1',
  });
  same('in a measure', ask('customers.spent customers.mean_spent', 'customers.country'), [['no', 180, 90], ['it', 90, 45], ['ch', null, null]], 'customers.spending');
  same('in a filter', ask('customers.count', '', filter('customers.order_total', 'gte', '70')), [[2]], 'customers.totals');
  same('in a filter beside what is not stored with it', ask('customers.count', 'customers.country', filter('customers.order_total', 'gte', '70')), [['no', 1], ['it', 1]], 'match.filter_missing');
  same('filters of the query stay outside', ask('customers.spent', 'customers.country', filter('orders.status', 'equals', 'open')), [['no', 150], ['it', 70]], 'match.filter_missing');
  same('unless they are propagated', ask('customers.open_spent', 'customers.country', filter('orders.status', 'equals', 'open')), [['no', 50], ['it', null]], 'match.filter_missing');
  same('no filters to propagate', ask('customers.open_spent', 'customers.country'), [['no', 180], ['it', 90], ['ch', null]], 'customers.spending');
  same('stored without filters', ask('clients.open_spent', 'clients.country deals.status'), [['no', 'done', 180], ['no', 'open', 150], ['it', 'done', 70], ['it', 'open', 70], ['it', null, 20], ['ch', null, null]], 'clients.main');
});
