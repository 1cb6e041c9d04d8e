// Tables that somebody else fills: registered with what their columns hold, checked, served, told of again (dj.md 4.5, 4.6,
// 8.4). They hold ten times what the source has, so that an answer shows where it came from.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { files, full, get, ids, isError, isMalformed, list, model, numbers, ok, orderSql, query, reload, sameRows, send } from './entities.mjs';
import { csv, Server, serve, shared, write } from './helpers.mjs';

const tables = {
  'data/by_category.csv': csv(['cat', 'rev', 'qty', 'highest', 'label'], [[null, 70, 10, 70, 'a'], ['Office', 3050, 180, 1000, 'b'], ['Toys', 260, 60, 50, 'c']]),
  'data/by_category_narrow.csv': csv(['cat', 'rev'], [[null, 700], ['Office', 30500], ['Toys', 2600]]),
  'data/by_status.csv': csv(['order_details__status', 'rev'], [['completed', 1580], ['pending', 1800]]),
  'data/by_both.csv': csv(['cat', 'st', 'rev'], [[null, 'completed', 70], ['Office', 'completed', 1250], ['Toys', 'completed', 260], ['Office', 'pending', 1800]]),
  'data/order_ids.csv': csv(['st', 'order_id', 'rev'], [['completed', 100, 1100], ['completed', 101, 250], ['completed', 103, 230], ['completed', 104, 0], ['pending', 102, 1800]]),
  'data/by_day.csv': csv(['day', 'rev'], [['2024-01-01 00:00:00', 1100], ['2024-01-02 00:00:00', 250], ['2024-01-08 00:00:00', 1800], ['2024-02-15 00:00:00', 230]]),
  'data/two_facts.csv': csv(['cat', 'rev', 'views'], [[null, 70, 20], ['Garden', null, 10], ['Office', 3050, 20], ['Toys', 260, 10]]),
};
const all = (changes, more) => ({ ...files(changes, more), ...tables });
const tenfold = (rows) => rows.map((row) => row.map((value) => (typeof value === 'number' ? 10 * value : value)));
const byCategory = numbers.find((one) => one.what === 'revenue by category');

const bound = (list) => Object.fromEntries(Object.entries(list).map(([name, column]) => [full(name)[0], column]));
const body = (metrics, dimensions, table, measures, columns = {}, more = {}) => ({
  metrics: full(metrics), dimensions: full(dimensions), table: { catalog: 'default', schema: 'main', table, valid_through_ts: 20240215 },
  measure_columns: bound(measures), dimension_columns: bound(columns), ...more,
});
const category = (more, measures = { total_revenue: 'rev' }) => body('total_revenue', 'product.category', 'by_category', measures, { 'product.category': 'cat' }, more);
const pendingTable = (table) => ({ table: { catalog: 'default', schema: 'main', table } });
const register = (server, request) => ok(server.post('/preaggs/register/', request), 201);
async function registerOne(server, request) {
  const { preaggs, warnings } = await register(server, request);
  assert.deepEqual([preaggs.length, warnings], [1, []]);
  return preaggs[0];
}
// Rows of the registered table, or the source's.
async function from(server, one, rows, entity) {
  const result = await server.result(one);
  sameRows(result, one, rows);
  const served = Object.values(result.usedPreAggregations ?? {});
  assert.deepEqual([served.map((used) => used.id), Server.served(result).length], [entity ? [entity.id] : [], entity ? 1 : 0]);
}

describe('registering', () => {
  const server = shared(all());

  test('with the time that it holds: active, external, its columns kept, and it serves', async () => {
    const entity = await registerOne(server, category({ name: 'revenue_of_others' }));
    assert.deepEqual(
      [entity.status, entity.strategy, entity.external, entity.name, entity.valid_through_ts, entity.table, entity.materialized_table_ref],
      ['active', 'external', true, 'revenue_of_others', 20240215, 'default.main.by_category', 'default.main.by_category'],
    );
    assert.deepEqual(entity.grain_columns, ['order_details.product.category']);
    assert.deepEqual(entity.columns.map(({ semantic_entity, source_column }) => [semantic_entity, source_column]), [['product.category', 'cat'], ['order_details.total_revenue', 'rev']]);
    assert.deepEqual(entity.measures.map(({ measure, expr_hash, aggregation }) => [measure, expr_hash, aggregation]), [['order_details.total_revenue', '83632b779d87', 'SUM']]);
    await from(server, byCategory.query, tenfold(byCategory.rows), entity);
    assert.deepEqual(ids((await list(server, '?external=true')).items), [entity.id]);
    assert.equal((await get(server, 'revenue_of_others')).id, entity.id, 'by its name');
  });

  test('filters, other names of columns and rolling up read the table too', async () => {
    const [entity] = (await list(server, '?external=true')).items;
    await from(server, query('total_revenue', 'product.category', { filters: [{ member: 'product.category', operator: 'equals', values: ['Office'] }] }), [['Office', 3050]], entity);
    await from(server, query('total_revenue', ''), [[3380]], entity);
    await from(server, query('total_revenue', 'product.category', { filters: [{ member: 'order_details.total_revenue', operator: 'gt', values: ['100'] }] }), [['Office', 3050], ['Toys', 260]], entity);
    await from(server, query('total_revenue', 'status'), [['completed', 158], ['pending', 180]], null);
  });

  test('a dimension without a column is looked for under the name that a built table has', async () => {
    const entity = await registerOne(server, body('total_revenue', 'status', 'by_status', { total_revenue: 'rev' }));
    await from(server, query('total_revenue', 'status'), [['completed', 1580], ['pending', 1800]], entity);
    isError(await server.post('/preaggs/register', body('total_revenue', 'order_date', 'by_status', { total_revenue: 'rev' })), 422, 'query.invalid', /order_details__order_date/);
  });

  test('a day of time, in the grain of the table', async () => {
    const entity = await registerOne(server, body('total_revenue', 'date.date_value.day', 'by_day', { total_revenue: 'rev' }, { 'date.date_value.day': 'day' }));
    await from(server, { measures: full('total_revenue'), dimensions: [], timeDimensions: [{ dimension: 'date.date_value', granularity: 'month' }] }, [['2024-01-01', 3150], ['2024-02-01', 230]], entity);
  });

  test('a distinct count is bound to the values that it counts', async () => {
    const entity = await registerOne(server, body('order_count', 'status', 'order_ids', { order_count: 'order_id' }, { status: 'st' }));
    await from(server, query('order_count', 'status'), [['completed', 4], ['pending', 1]], entity);
  });

  test('more of the same table is the same row, which loses nothing; a column said anew replaces the old one', async () => {
    const [first] = (await list(server, '?external=true&grain=order_details.product.category')).items;
    const highest = query('max_unit_price', 'product.category');
    const again = (column) => registerOne(server, body('max_unit_price', 'product.category', 'by_category', { max_unit_price: column }, { 'product.category': 'cat' }));
    assert.equal((await again('highest')).id, first.id);
    await from(server, highest, [[null, 70], ['Office', 1000], ['Toys', 50]], first);
    await from(server, byCategory.query, tenfold(byCategory.rows), first);
    assert.equal((await again('qty')).id, first.id);
    await from(server, highest, [[null, 10], ['Office', 180], ['Toys', 60]], first);
  });
});

test('another table at the same grain is a row of its own; the first that was registered serves', async (t) => {
  const server = await serve(t, all());
  const wide = await registerOne(server, body('total_revenue total_quantity', 'product.category', 'by_category', { total_revenue: 'rev', total_quantity: 'qty' }, { 'product.category': 'cat' }));
  const narrow = await registerOne(server, body('total_revenue', 'product.category', 'by_category_narrow', { total_revenue: 'rev' }, { 'product.category': 'cat' }));
  assert.notEqual(wide.id, narrow.id);
  assert.notEqual(wide.grain_hash, narrow.grain_hash);
  assert.deepEqual(wide.grain_columns, narrow.grain_columns);
  await from(server, byCategory.query, tenfold(byCategory.rows), wide);
  await from(server, query('total_quantity', 'product.category'), [[null, 10], ['Office', 180], ['Toys', 60]], wide);
  await ok(send(server, 'DELETE', `/pre-aggregations/${wide.id}`));
  await from(server, byCategory.query, tenfold(tenfold(byCategory.rows)), narrow);
});

describe('what is refused', () => {
  const server = shared(all());
  const wrong = {
    'a mean is no measure': [category({ metrics: full('avg_unit_price') }, { avg_unit_price: 'rev' }), 'query.invalid', /avg_unit_price.*not a measure/],
    'a calculated one neither': [category({ metrics: full('price_spread') }, { price_spread: 'rev' }), 'query.invalid', /price_spread.*not a measure/],
    'a column that the table has not': [category({}, { total_revenue: 'revenu' }), 'query.invalid', /revenu/],
    'a dimension\'s column that it has not': [category({ dimension_columns: { 'product.category': 'category' } }), 'query.invalid', /category/],
    'text where a sum needs numbers': [category({}, { total_revenue: 'label' }), 'query.invalid', /label/],
    'numbers where a dimension is text': [category({ dimension_columns: { 'product.category': 'qty' } }), 'query.invalid', /qty/],
    'numbers where a sketch is needed': [category({ metrics: full('customer_count') }, { customer_count: 'qty' }), 'query.invalid', /qty/],
    'a metric that there is not': [category({}, { no_such: 'rev' }), 'query.unknown_member', /no_such/],
    'a metric that is none': [category({}, { status: 'rev' }), 'query.invalid', /status.*not a measure/],
    'a requested metric without a column': [category({ metrics: full('total_revenue total_quantity') }), 'query.invalid', /total_quantity/],
    'a column of a dimension that is not asked for': [category({ dimension_columns: { 'product.category': 'cat', 'order_details.status': 'label' } }), 'query.invalid', /status/],
    'a dimension that no join leads to': [category({ dimensions: ['location.country'], dimension_columns: {} }), 'plan.no_join_path', /location/],
    'a table that there is not': [category(pendingTable('nowhere')), 'query.invalid', /nowhere/],
  };
  for (const [what, [request, id, text]] of Object.entries(wrong))
    test(`${what}: 422, and nothing is recorded`, async () => {
      isError(await server.post('/preaggs/register', request), 422, id, text);
      assert.equal((await list(server)).total, 0);
    });

  test('a catalog that there is not: 404', async () => {
    isError(await server.post('/preaggs/register', category({ table: { catalog: 'lake', schema: 'main', table: 'by_category' } })), 404, 'config.source_unknown', /lake/);
  });

  test('a request of another shape', async () => {
    isMalformed(await server.post('/preaggs/register', { ...category(), table: { catalog: 'default', valid_through_ts: 'now' }, measure_columns: { 'order_details.total_revenue': 1 } }), 'body schema', 'body table', 'body valid_through_ts', 'body measure_columns');
    isMalformed(await server.post('/preaggs/register', { ...category(), table: 'by_category', dimension_columns: [] }), 'body table', 'body dimension_columns');
  });
});

describe('availability of a registered table', () => {
  const server = shared(all());
  const told = (more) => ({ catalog: 'default', schema: 'main', table: 'by_category', valid_through_ts: 20240101, ...more });
  let entity;

  test('without a time it is pending and does not serve, until it is told of', async () => {
    entity = await registerOne(server, category(pendingTable('by_category')));
    assert.deepEqual([entity.status, entity.valid_through_ts, entity.max_partition], ['pending', null, null]);
    await from(server, byCategory.query, byCategory.rows, null);
    const after = await ok(server.post(`/preaggs/${entity.id}/availability`, told({ temporal_partitions: ['day'], min_temporal_partition: [20240101], max_temporal_partition: ['20240131'], url: 'http://elsewhere', links: {} })));
    assert.deepEqual([after.id, after.status, after.valid_through_ts, after.min_partition, after.max_partition], [entity.id, 'active', 20240101, ['20240101'], ['20240131']]);
    await from(server, byCategory.query, tenfold(byCategory.rows), entity);
  });

  test('bounds grow, as numbers where they are digits, and what is told last is the last moment', async () => {
    const after = async (more) => {
      const { min_partition, max_partition, valid_through_ts } = await ok(server.post(`/preaggs/${entity.id}/availability`, told(more)));
      return [min_partition, max_partition, valid_through_ts];
    };
    assert.deepEqual(await after({ max_temporal_partition: ['20240229'], min_temporal_partition: ['20240110'], valid_through_ts: 20240229 }), [['20240101'], ['20240229'], 20240229]);
    assert.deepEqual(await after({ max_temporal_partition: ['20240120'], min_temporal_partition: ['20231201'], valid_through_ts: 20240120 }), [['20231201'], ['20240229'], 20240120]);
    assert.deepEqual(await after({ max_temporal_partition: ['100000101'] }), [['20231201'], ['100000101'], 20240101]);
  });

  test('another table than the registered one is refused, and so are others\' rows', async () => {
    isError(await server.post(`/preaggs/${entity.id}/availability`, told({ table: 'by_category_narrow' })), 422, 'query.invalid', /by_category/);
    isMalformed(await server.post(`/preaggs/${entity.id}/availability`, told({ valid_through_ts: '2024' })), 'body valid_through_ts');
  });

  test('it is not built, nor filled again, and its strategy is its own', async () => {
    isError(await server.post(`/pre-aggregations/${entity.id}/materialize`, {}), 422, 'preagg.external');
    isError(await server.post(`/preaggs/${entity.id}/materialize`, { strategy: 'full' }), 422, 'preagg.external');
    isError(await server.post(`/preaggs/${entity.id}/backfill`, { start_date: '2024-01-01' }), 422, 'preagg.external');
    assert.equal((await get(server, entity.id)).strategy, 'external');
  });

  test('it is known after a restart, and when it is gone queries go on from the source', async () => {
    await server.restart();
    await from(server, byCategory.query, tenfold(byCategory.rows), entity);
    const [here, away] = ['data/by_category.csv', 'away'].map((name) => path.join(server.folder, name));
    fs.renameSync(here, away);
    try {
      await from(server, { ...byCategory.query, cache: 'no-cache' }, byCategory.rows, null);
    } finally {
      fs.renameSync(away, here);
    }
  });

  test('deleted, its table stays', async () => {
    const { message } = await ok(send(server, 'DELETE', `/pre-aggregations/${entity.id}`));
    assert.match(message, /table stays/);
    assert.ok(fs.existsSync(path.join(server.folder, 'data/by_category.csv')));
    await from(server, byCategory.query, byCategory.rows, null);
  });
});

test('the parent is revised: the row is stale, and the same table registered again is available as it was', async (t) => {
  const server = await serve(t, all());
  const old = await registerOne(server, category());
  write(server.folder, 'model/shop.yml', model({ sql: orderSql(' WHERE i.quantity > 0') })['model/shop.yml']);
  await reload(server);
  await from(server, byCategory.query, byCategory.rows, null);
  const { status, id } = await registerOne(server, category(pendingTable('by_category')));
  assert.deepEqual([status, (await get(server, old.id)).status, (await get(server, id)).valid_through_ts], ['active', 'stale', 20240215]);
  assert.notEqual(id, old.id);
  await from(server, byCategory.query, tenfold(byCategory.rows), { id });
});

test('one table for two facts: a row for each, available as one', async (t) => {
  const server = await serve(t, all());
  const { preaggs } = await register(server, body('total_revenue page_views.page_view_count', 'product.category', 'two_facts', { total_revenue: 'rev', 'page_views.page_view_count': 'views' }, { 'product.category': 'cat' }));
  assert.deepEqual(preaggs.map(({ node_name, status, valid_through_ts }) => [node_name, status, valid_through_ts]).sort(), [['order_details', 'active', 20240215], ['page_views', 'active', 20240215]]);
  const one = numbers.find(({ what }) => what === 'two facts by category');
  const result = await server.result(one.query);
  sameRows(result, one.query, tenfold(one.rows));
  assert.deepEqual(Object.values(result.usedPreAggregations).map((used) => used.id).sort(), ids(preaggs).sort());
});
