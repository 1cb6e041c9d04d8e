// Plans: what identifies a pre-aggregation, planning again, widening, strategy and workflow, tables that were made elsewhere
// from the row's SQL, grain groups (dj.md 4.2–4.6, 8.3, as decisions 16 and 17 change them).
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { assertRows, check } from './answers.mjs';
import { Database } from './duckdb.mjs';
import { builds, data, files, full, get, history, ids, isError, isMalformed, jsonList, list, materialize, md5, model, numbers, ok, orderSql, plan, planBuilt, planOne, query, reload, sameRows, send } from './entities.mjs';
import { Server, serve, shared, until, write } from './helpers.mjs';

const number = (what) => numbers.find((one) => one.what === what);
const byStatus = number('revenue and quantity by status'), byCategory = number('revenue by category');

// ---- identity -----------------------------------------------------------------------------------------------------

const groupHash = (revision, grain) => md5(`${revision}:${jsonList([...grain].sort())}`);
const tokens = (measures) => measures.map(({ expr_hash, aggregation }) => `${expr_hash}:${aggregation ?? ''}`);
const preaggHash = (revision, grain, list) => md5(`${revision}:${jsonList([...grain].sort())}:${jsonList([...new Set(list)].sort())}`).slice(0, 8);

test('the formulas of the hashes are those of appendix C', () => {
  assert.equal(groupHash(8, ['v3.order_details.status']), '55327fdf3d2f019b116eea610ae23a0f');
  assert.equal(groupHash(8, ['v3.product.category', 'v3.order_details.status']), '8b15b7265a39f52380f29027dc8db28a');
  assert.equal(groupHash(8, []), '20b02f8e9ff881f1d0577b669f0bfcca');
  assert.equal(preaggHash(8, ['v3.order_details.status'], ['83632b779d87:SUM']), 'b038c6cc');
  assert.equal(preaggHash(9, ['v3.order_details.status'], ['83632b779d87:SUM']), 'd91fc5fa');
});

describe('identity', () => {
  const server = shared(files());

  test('the hashes of a row: its sorted grain, its revision, its measures', async () => {
    const entity = await planOne(server, 'total_revenue total_quantity max_unit_price order_count line_count', 'status product.category');
    const grain = ['order_details.product.category', 'order_details.status'];
    assert.deepEqual(entity.grain_columns, grain);
    assert.equal(entity.grain_hash, md5('["order_details.product.category", "order_details.status"]'));
    assert.equal(entity.grain_group_hash, groupHash(entity.node_revision_id, grain));
    assert.equal(entity.preagg_hash, preaggHash(entity.node_revision_id, grain, tokens(entity.measures)));
    const hash = Object.fromEntries(entity.measures.map((measure) => [measure.measure.split('.')[1], `${measure.expr_hash}:${measure.aggregation ?? ''}`]));
    assert.deepEqual(hash, { total_revenue: '83632b779d87:SUM', total_quantity: '221d2a4bfdae:SUM', max_unit_price: 'db19bd0eefd9:MAX', order_count: '69dfcb072307:', line_count: '3389dae361af:COUNT' });
    assert.match(entity.table_hash, /^[0-9a-f]{16}$/);
  });

  test('the order of dimensions and measures, and names that mean the same, make no other row', async () => {
    const one = await planOne(server, 'total_revenue total_quantity', 'status product.category date.date_value.day');
    for (const [measures, dimensions] of [
      ['total_quantity total_revenue', 'date.date_value.day product.category status'], ['total_revenue total_revenue', 'order_details.product.category status order_details.date.date_value.day status'],
    ]) {
      const other = await planOne(server, measures, dimensions);
      assert.deepEqual([other.id, other.grain_hash, other.preagg_hash], [one.id, one.grain_hash, one.preagg_hash]);
    }
    assert.deepEqual(one.grain_columns, ['order_details.date.date_value.day', 'order_details.product.category', 'order_details.status']);
  });

  test('no dimension: one row, which serves queries without dimensions, and no others', async () => {
    const [entity] = await planBuilt(server, 'total_revenue');
    assert.deepEqual([entity.grain_columns, entity.grain_hash, entity.row_count], [[], md5('[]'), 1]);
    await check(server, query('total_revenue'), [[338]], entity.name);
    await check(server, number('revenue by date').query, number('revenue by date').rows, 'match.dimension_missing');
  });

  test('a role is another column, and so is a grain of time', async () => {
    const hashes = new Set();
    for (const dimensions of ['location_from.country', 'location_to.country', 'location_home.country', 'date.date_value.day', 'date.date_value.month', 'date.date_id'])
      hashes.add((await planOne(server, 'total_revenue', dimensions)).grain_hash);
    assert.equal(hashes.size, 6);
  });

  test('a time zone is of the identity where a column depends on it', async () => {
    const rome = await planOne(server, 'total_revenue', 'date.date_value.day', { timezone: 'Europe/Rome' });
    const utc = await planOne(server, 'total_revenue', 'date.date_value.day');
    assert.notEqual(rome.id, utc.id);
    assert.deepEqual([rome.time_zone, utc.grain_hash], ['Europe/Rome', md5('["order_details.date.date_value.day"]')]);
    assert.equal(rome.grain_hash, md5('{"grain": ["order_details.date.date_value.day"], "time_zone": "Europe/Rome"}'));
    const hours = await Promise.all(['UTC', 'Europe/Rome'].map((timezone) => planOne(server, 'total_revenue', 'date.date_value.hour', { timezone })));
    assert.equal(hours[0].id, hours[1].id, 'hours are instants');
  });

  test('filters are of the identity; what is only filtered by is no column', async () => {
    const plain = await planOne(server, 'total_revenue', 'status');
    const toys = await planOne(server, 'total_revenue', 'status', { filters: ["product.category = 'Toys'"] });
    assert.notEqual(plain.id, toys.id);
    assert.notEqual(plain.grain_hash, toys.grain_hash);
    assert.deepEqual([plain.filters, toys.filters, toys.grain_columns], [[], [{ member: 'product.category', operator: 'equals', values: ['Toys'] }], ['order_details.status']]);
    assert.doesNotMatch((await get(server, plain.id)).sql, /Toys/, 'the row without filters keeps its SQL');
    assert.equal((await planOne(server, 'total_revenue', 'status', { filters: [{ member: 'product.category', operator: 'equals', values: ['Toys'] }] })).id, toys.id, 'as SQL or as a filter of queries');
  });
});

test('a filtered row serves only what asks for no other rows', async (t) => {
  const server = await serve(t, files());
  const [toys] = await planBuilt(server, 'total_revenue', 'status', { filters: ["product.category = 'Toys'"] });
  await check(server, byStatus.query, byStatus.rows, 'match.static_filter');
  const revenue = (filters) => query('total_revenue', 'status', { filters });
  await check(server, query('total_revenue', 'status'), [['completed', 158], ['pending', 180]], 'match.static_filter');
  const toysOnly = { member: 'product.category', operator: 'equals', values: ['Toys'] };
  await check(server, revenue([toysOnly]), [['completed', 26]], toys.name);
  await check(server, revenue([{ ...toysOnly, values: ['Toys', 'Office'] }]), [['completed', 151], ['pending', 180]], 'match.static_filter');
});

// ---- planning -----------------------------------------------------------------------------------------------------

describe('planning', () => {
  const server = shared(files());

  test('two measures: one pending row with its SQL, whose columns and rows are those that appendix B says', async () => {
    const { preaggs, warnings } = await plan(server, 'total_revenue total_quantity avg_unit_price price_spread', 'status product.category');
    assert.deepEqual([preaggs.length, warnings, preaggs[0].status, preaggs[0].is_in_service], [1, [], 'pending', true]);
    const [{ columns, sql, measures }] = preaggs;
    assert.deepEqual(columns.map(({ semantic_entity, semantic_type }) => [semantic_entity, semantic_type]).slice(0, 2), [['order_details.status', 'dimension'], ['product.category', 'dimension']]);
    assert.deepEqual(columns.slice(2).map(({ name, semantic_type }) => [name, semantic_type]), measures.map(({ name }) => [name, 'metric_component']));
    const db = await shop(server);
    const rows = await db.rows(sql);
    db.close();
    assert.deepEqual(Object.keys(rows[0]), columns.map(({ name }) => name));
    const column = (member, aggregation) => measures.find((m) => m.measure.endsWith(`.${member}`) && m.aggregation === aggregation).name;
    const keys = ['order_details__status', 'product__category', column('total_revenue', 'SUM'), column('total_quantity', 'SUM'), column('avg_unit_price', 'COUNT'), column('avg_unit_price', 'SUM'), column('max_unit_price', 'MAX'), column('min_unit_price', 'MIN')];
    assertRows(rows.map((row) => keys.map((key) => row[key])), [['completed', null, 7, 7 / 7, 1, 7, 7, 7], ['completed', 'Office', 125, 16, 3, 103.5, 100, 1.5], ['completed', 'Toys', 26, 6, 2, 9, 5, 4], ['pending', 'Office', 180, 2, 1, 90, 90, 90]]);
  });

  test('the same again is the same row, and the list has one', async () => {
    const first = await planOne(server, 'total_revenue', 'customer.name');
    const again = await planOne(server, 'total_revenue', 'customer.name');
    assert.deepEqual(again, first);
    assert.equal((await list(server, '?grain=order_details.customer.name')).total, 1);
    assert.deepEqual((await history(server, first.id)).map((row) => row.activity_type), ['create']);
  });

  test('more measures at the same grain widen the row', async () => {
    const narrow = await planOne(server, 'total_revenue', 'location_to.city');
    const wide = await planOne(server, 'total_revenue total_quantity', 'location_to.city');
    assert.deepEqual([wide.id, wide.grain_hash, wide.grain_group_hash, wide.measures.length], [narrow.id, narrow.grain_hash, narrow.grain_group_hash, 2]);
    assert.notEqual(wide.preagg_hash, narrow.preagg_hash);
    const fewer = await planOne(server, 'max_unit_price', 'location_to.city');
    assert.deepEqual([fewer.id, fewer.measures.map(({ measure }) => measure)], [narrow.id, ['order_details.total_revenue', 'order_details.total_quantity', 'order_details.max_unit_price']]);
    assert.equal((await list(server, '?grain=order_details.location_to.city')).total, 1);
    assert.deepEqual((await history(server, narrow.id)).map((row) => row.activity_type), ['widen', 'widen', 'create']);
  });

  test('what is calculated is stored as what it is calculated from', async () => {
    const entity = await planOne(server, 'price_spread_pct', 'location_from.city');
    assert.deepEqual(entity.measures.map(({ measure, aggregation }) => [measure, aggregation]).sort(), [['order_details.avg_unit_price', 'COUNT'], ['order_details.avg_unit_price', 'SUM'], ['order_details.max_unit_price', 'MAX'], ['order_details.min_unit_price', 'MIN']]);
    for (const metric of full('avg_unit_price max_unit_price min_unit_price price_spread price_spread_pct total_unit_price')) assert.ok(entity.related_metrics.includes(metric), metric);
  });

  test('two facts: a row for each', async () => {
    const { preaggs } = await plan(server, 'total_revenue page_views.page_view_count', 'product.subcategory');
    assert.deepEqual(preaggs.map(({ node_name, grain_columns }) => [node_name, grain_columns]).sort(), [['order_details', ['order_details.product.subcategory']], ['page_views', ['page_views.product.subcategory']]]);
  });

  test('what has no parts that can be merged is left out with a warning, and alone makes no row', async () => {
    const total = (await list(server)).total;
    const { preaggs, warnings } = await plan(server, 'total_revenue top_product', 'order_date');
    assert.deepEqual([preaggs.length, preaggs[0].measures.map(({ measure }) => measure)], [1, ['order_details.total_revenue']]);
    assert.deepEqual(warnings.map(({ code, debug }) => [code, debug.member]), [['NON_DECOMPOSABLE', 'order_details.top_product']]);
    const alone = await plan(server, 'top_product', 'order_id');
    assert.deepEqual([alone.preaggs, alone.warnings.length, (await list(server)).total], [[], 1, total + 1]);
  });

  test('strategy, schedule and lookback window are kept; a later plan replaces what it names', async () => {
    const first = await planOne(server, 'total_revenue', 'date.date_value.month', { strategy: 'full', schedule: '0 3 * * *' });
    assert.deepEqual([first.strategy, first.schedule, first.lookback_window, first.workflow_status, first.workflow_urls], ['full', '0 3 * * *', null, null, null]);
    const second = await planOne(server, 'total_revenue', 'date.date_value.month', { strategy: 'incremental_time', lookback_window: '3 DAYS' });
    assert.deepEqual([second.id, second.strategy, second.schedule, second.lookback_window], [first.id, 'incremental_time', '0 3 * * *', '3 DAYS']);
  });

  const wrong = {
    'a strategy that there is not': [{ strategy: 'view' }, 'query.invalid', /full.*incremental_time/],
    'one of somebody else': [{ strategy: 'external' }, 'query.invalid', /full.*incremental_time/],
    'incremental_time without a time': [{ strategy: 'incremental_time' }, 'query.invalid', /order_details/],
    'a schedule that is none': [{ schedule: 'daily' }, 'query.invalid', /daily/],
    'no metric': [{ metrics: [] }, 'query.invalid', /metric/],
    'a metric that there is not': [{ metrics: ['order_details.nothing'] }, 'query.unknown_member', /nothing/],
    'a cube that there is not': [{ metrics: ['nowhere.count'] }, 'query.unknown_member', /nowhere/],
    'a dimension as a metric': [{ metrics: ['order_details.status'] }, 'query.invalid', /order_details\.status.*not a metric/],
    'a dimension that there is not': [{ dimensions: ['order_details.colour'] }, 'query.unknown_member', /colour/],
    'a dimension that no join leads to': [{ dimensions: ['page_views.page_type'] }, 'plan.no_join_path', /page_views/],
    'a path that no join leads along': [{ dimensions: ['order_details.product.location.city'] }, 'plan.no_join_path', /location/],
    'a filter on a metric': [{ filters: ['order_details.total_revenue > 5'] }, 'query.invalid', /measure/],
    'a filter that is no SQL': [{ filters: ['order_details.status ='] }, 'query.invalid', /./],
    'a relative date': [{ filters: [{ member: 'date.date_value', operator: 'inDateRange', values: ['last week'] }] }, 'query.invalid', /relative/],
    'a zone that there is not': [{ timezone: 'Europe/Atlantis' }, 'query.timezone', /Atlantis/],
  };
  for (const [what, [more, id, text]] of Object.entries(wrong))
    test(`${what}: 422, and nothing is recorded`, async () => {
      const { total } = await list(server);
      isError(await server.post('/preaggs/plan', { metrics: full('total_revenue'), dimensions: full('status'), ...more }), 422, id, text);
      assert.equal((await list(server)).total, total);
    });
});

// The shop's tables in DuckDB alone.
async function shop(server) {
  const db = await Database.open();
  for (const file of Object.keys(data)) await db.run(`CREATE TABLE ${path.basename(file, '.csv')} AS SELECT * FROM read_csv('${path.join(server.folder, file)}', header = true, nullstr = '')`);
  return db;
}

// ---- widening -----------------------------------------------------------------------------------------------------

test('a widened row: pending, and what was built serves what it holds', async (t) => {
  const server = await serve(t, files());
  const [narrow] = await planBuilt(server, 'total_revenue', 'status');
  const wide = await planOne(server, 'total_revenue total_quantity', 'status');
  assert.deepEqual([wide.id, wide.status, wide.served_build.measures, wide.table], [narrow.id, 'pending', ['order_details__total_revenue'], narrow.table]);
  const revenue = query('total_revenue', 'status');
  const rows = byStatus.rows.map(([status, sum]) => [status, sum]);
  await check(server, revenue, rows, narrow.name);
  await check(server, byStatus.query, byStatus.rows, 'match.not_built');
  const built = await materialize(server, wide.id);
  assert.deepEqual([built.served_build.version, built.served_build.measures], [2, ['order_details__total_revenue', 'order_details__total_quantity']]);
  await check(server, byStatus.query, byStatus.rows, narrow.name);
  await check(server, revenue, rows, narrow.name);
});

// ---- versions -----------------------------------------------------------------------------------------------------

test('the parent changes: old rows are listed when asked for, and hashes differ by revision', async (t) => {
  const server = await serve(t, files());
  const old = await planOne(server, 'total_revenue', 'status', { strategy: 'full' });
  write(server.folder, 'model/shop.yml', model({ sql: orderSql(" WHERE o.status <> 'pending'") })['model/shop.yml']);
  await reload(server);
  const { id } = await planOne(server, 'total_revenue', 'status');
  const [stale, fresh] = [await get(server, old.id), await get(server, id)];
  assert.notEqual(id, old.id);
  assert.deepEqual([stale.status, stale.node_version, stale.is_current, fresh.status, fresh.node_version, fresh.is_current], ['stale', 'v1.0', false, 'pending', 'v2.0', true]);
  assert.equal(stale.grain_hash, fresh.grain_hash);
  assert.notEqual(stale.grain_group_hash, fresh.grain_group_hash);
  assert.notEqual(stale.preagg_hash, fresh.preagg_hash);
  assert.equal(stale.grain_group_hash, old.grain_group_hash, 'the old one keeps its own');
  const shown = async (params) => ids((await ok(server.fetch(`/preaggs/?${params}`))).items);
  assert.deepEqual(await shown('node_name=order_details'), [fresh.id]);
  assert.deepEqual(await shown('node_name=order_details&include_stale=false'), [fresh.id]);
  assert.deepEqual(await shown('node_name=order_details&include_stale=true'), [old.id, fresh.id]);
  assert.deepEqual(await shown('node_name=order_details&node_version=v1.0'), [old.id]);
  assert.deepEqual(ids((await list(server, '?source_node=order_details')).items), [old.id, fresh.id], 'the seed: all versions');
  assert.deepEqual(ids((await list(server, '?source_node=order_details&version=v2.0')).items), [fresh.id]);
  assert.deepEqual(ids(await ok(server.fetch('/nodes/order_details/pre-aggregations'))), [old.id, fresh.id]);
  assert.deepEqual(ids(await ok(server.fetch('/nodes/order_details/pre-aggregations?include_stale=false'))), [fresh.id]);
  assert.deepEqual(ids(await ok(server.fetch('/nodes/order_details/pre-aggregations?version=v1.0&status=stale'))), [old.id]);
  assert.equal(fresh.strategy, 'full', 'settings go over to the new one');
});

// ---- configuration and workflows ----------------------------------------------------------------------------------

describe('configuration and workflow', () => {
  const server = shared(files());
  const strict = (id, route, body) => server.post(`/preaggs/${id}/${route}`, body ?? '');
  let id;
  before(async () => {
    id = (await planOne(server, 'total_revenue', 'status')).id;
  });

  test('config: what is null stays', async () => {
    const set = await ok(send(server, 'PATCH', `/preaggs/${id}/config`, { schedule: '*/5 * * * *', lookback_window: '2 DAYS' }));
    assert.deepEqual([set.strategy, set.schedule, set.lookback_window], [null, '*/5 * * * *', '2 DAYS']);
    const more = await ok(send(server, 'PATCH', `/preaggs/${id}/config/`, { strategy: 'full', schedule: null }));
    assert.deepEqual([more.strategy, more.schedule, more.lookback_window], ['full', '*/5 * * * *', '2 DAYS']);
    assert.deepEqual(await ok(send(server, 'PATCH', `/preaggs/${id}/config`, {})), more);
    for (const body of [{ strategy: 'external' }, { strategy: 'view' }, { schedule: 'now' }]) isError(await send(server, 'PATCH', `/preaggs/${id}/config`, body), 422, 'query.invalid');
    isMalformed(await send(server, 'PATCH', `/preaggs/${id}/config`, { strategies: 'full', schedule: 5 }), 'body strategies', 'body schedule');
    assert.deepEqual((await get(server, id)).strategy, 'full');
  });

  test('DataJunction\'s materialize needs a strategy, and makes a workflow', async () => {
    const other = (await planOne(server, 'total_revenue', 'product.category')).id;
    isError(await strict(other, 'materialize'), 422, 'query.invalid', /strategy/);
    assert.equal((await get(server, other)).status, 'pending');
    await ok(send(server, 'PATCH', `/preaggs/${other}/config`, { strategy: 'full' }));
    const running = await ok(strict(other, 'materialize'));
    assert.deepEqual([running.workflow_status, running.schedule, running.workflow_urls.map(({ label }) => label), running.workflow_names.length], ['active', '0 0 * * *', ['scheduled'], 1]);
    await until('the build', async () => (await get(server, other)).status === 'active');
    const mine = (await planOne(server, 'total_revenue', 'order_date', { strategy: 'full', schedule: '0 5 * * *' })).id;
    assert.equal((await ok(strict(mine, 'materialize', { wait: true }))).schedule, '0 5 * * *');
  });

  test('a workflow is stopped, with what belongs to it', async () => {
    const other = (await planOne(server, 'total_revenue', 'customer.name', { strategy: 'full', lookback_window: '1 DAY' })).id;
    const none = await ok(send(server, 'DELETE', `/preaggs/${other}/workflow`));
    assert.deepEqual([none.workflow_url, none.status], [null, 'none']);
    await ok(strict(other, 'materialize', { wait: true }));
    const stopped = await ok(send(server, 'DELETE', `/preaggs/${other}/workflow/`));
    assert.deepEqual([stopped.workflow_url, stopped.status], [null, 'none']);
    assert.notEqual(stopped.message, none.message);
    const { strategy, schedule, lookback_window, workflow_status, workflow_urls, workflow_names, status } = await get(server, other);
    assert.deepEqual({ strategy, schedule, lookback_window, workflow_status, workflow_urls, workflow_names, status }, { strategy: null, schedule: null, lookback_window: null, workflow_status: null, workflow_urls: null, workflow_names: null, status: 'active' });
  });

  test('a backfill builds again', async () => {
    const other = (await planOne(server, 'total_revenue', 'date.date_value.day', { strategy: 'full' })).id;
    isError(await strict(other, 'backfill', { start_date: '2024-01-01' }), 422, 'query.invalid', /workflow/);
    await ok(strict(other, 'materialize', { wait: true }));
    isMalformed(await strict(other, 'backfill', { start_date: '01/02/2024', end_date: 'today' }), 'body start_date', 'body end_date');
    isMalformed(await strict(other, 'backfill', {}), 'body start_date');
    isError(await strict(other, 'backfill', { start_date: '2024-02-01', end_date: '2024-01-01' }), 422, 'query.date');
    const started = await ok(strict(other, 'backfill', { start_date: '2024-01-01', end_date: '2024-02-01' }));
    assert.deepEqual(started, { job_url: `/pre-aggregations/${other}/builds`, start_date: '2024-01-01', end_date: '2024-02-01', status: 'running' });
    await until('the build', async () => (await get(server, other)).served_build.version === 2);
    const today = await ok(strict(other, 'backfill', { start_date: '2024-01-01' }));
    assert.equal(today.end_date, new Date().toISOString().slice(0, 10));
    await until('the build', async () => (await get(server, other)).served_build.version === 3);
  });

  test('the workflows of a node are stopped at once', async () => {
    const clear = (params) => send(server, 'DELETE', `/preaggs/workflows${params}`);
    isMalformed(await clear(''), 'query node_name');
    isError(await clear('?node_name=none'), 404, 'node.not_found');
    const nothing = await ok(clear('?node_name=page_views'));
    assert.deepEqual([nothing.deactivated_count, nothing.deactivated, nothing.skipped_count], [0, [], 0]);
    assert.ok(nothing.message);
    assert.equal((await ok(clear('?node_name=order_details&stale_only=true'))).deactivated_count, 0, 'all are of the current version');
    const active = (await list(server, '?source_node=order_details')).items.filter((item) => item.workflow_status);
    assert.ok(active.length > 1);
    const cleared = await ok(clear('?node_name=order_details'));
    assert.deepEqual([cleared.deactivated_count, ids(cleared.deactivated)], [active.length, ids(active)]);
    assert.ok(!(await list(server, '?source_node=order_details')).items.some((item) => item.workflow_status));
  });
});

test('DataJunction\'s materialize, when the build fails: 500 with the cause', async (t) => {
  const server = await serve(t, files({ measures: '      - {name: broken, type: sum, sql: "CAST({CUBE}.status AS INTEGER)"}\n' }));
  const { id } = await planOne(server, 'broken', 'product.category', { strategy: 'full' });
  isError(await server.post(`/preaggs/${id}/materialize`, { wait: true }), 500, 'preagg.build_failed', /completed/);
  const entity = await get(server, id);
  assert.equal(entity.status, 'failed');
  assert.match(entity.materialization_error, /completed/);
});

// ---- availability of planned rows ---------------------------------------------------------------------------------

describe('a table made elsewhere from the SQL of a row', () => {
  const server = shared(files());
  let entity;
  const tell = (more = {}) => server.post(`/preaggs/${entity.id}/availability/`, { catalog: 'default', schema: 'main', table: 'made_elsewhere', valid_through_ts: 20240215, ...more });
  before(async () => {
    entity = await planOne(server, 'total_revenue total_quantity', 'status product.category');
    const db = await shop(server);
    await db.run(`COPY (${entity.sql}) TO '${path.join(server.folder, 'data/made_elsewhere.parquet')}' (FORMAT parquet)`);
    await db.run(`COPY (SELECT * EXCLUDE (order_details__total_quantity) FROM (${entity.sql})) TO '${path.join(server.folder, 'data/lacks_one.parquet')}' (FORMAT parquet)`);
    db.close();
    await server.restart(); // a folder is scanned when the server starts
  });

  test('is refused when it is not there, or lacks a column', async () => {
    isError(await tell({ table: 'no_such' }), 422, 'query.invalid', /no_such/);
    isError(await tell({ table: 'lacks_one' }), 422, 'query.invalid', /order_details__total_quantity/);
    isError(await tell({ catalog: 'nowhere' }), 404, 'config.source_unknown', /nowhere/);
    isMalformed(await tell({ valid_through_ts: null }), 'body valid_through_ts');
    isMalformed(await tell({ valid_through_ts: 'soon', table: 7 }), 'body table', 'body valid_through_ts');
    assert.equal((await get(server, entity.id)).status, 'pending');
  });

  test('makes it active, and serves', async () => {
    const told = await ok(tell({ schema: null, schema_: 'main', min_temporal_partition: [20240101], max_temporal_partition: ['20240131'] }));
    assert.deepEqual([told.id, told.status, told.materialized_table_ref], [entity.id, 'active', 'default.main.made_elsewhere']);
    await check(server, byStatus.query, byStatus.rows, entity.name);
    await check(server, byCategory.query, byCategory.rows, entity.name);
  });

  test('is told of again: bounds grow, the last moment is replaced', async () => {
    const bounds = async (more) => {
      await ok(tell(more));
      const { min_partition, max_partition, valid_through_ts } = await get(server, entity.id);
      return [min_partition, max_partition, valid_through_ts];
    };
    assert.deepEqual(await bounds({ max_temporal_partition: [20240229], min_temporal_partition: [20240201], valid_through_ts: 20240229 }), [['20240101'], ['20240229'], 20240229]);
    assert.deepEqual(await bounds({ max_temporal_partition: [20240115], min_temporal_partition: [20231231], valid_through_ts: 20240115 }), [['20231231'], ['20240229'], 20240115]);
  });

  test('is gone: queries go on from the source', async () => {
    fs.unlinkSync(path.join(server.folder, 'data/made_elsewhere.parquet'));
    const result = await server.result(byStatus.query);
    sameRows(result, byStatus.query, byStatus.rows);
    assert.deepEqual(Server.served(result), []);
  });

  test('gives way to a build that is newer', async () => {
    const built = await materialize(server, entity.id, { force: true });
    assert.match(built.table, /order_details_preagg/);
    await check(server, byStatus.query, byStatus.rows, entity.name);
  });
});

// ---- grain groups -------------------------------------------------------------------------------------------------

describe('grain groups', () => {
  const server = shared(files());
  const groups = async (metrics, dimensions = '', more = '') =>
    ok(server.fetch(`/grain-groups?${[...full(metrics).map((name) => `metrics=${name}`), ...full(dimensions).map((name) => `dimensions=${name}`)].join('&')}${more}`));

  test('of each fact one, and nothing is recorded', async () => {
    const { grain_groups: found, warnings } = await groups('total_revenue page_views.page_view_count', 'product.category');
    assert.deepEqual(warnings, []);
    assert.deepEqual(found.map(({ node_name, grain_columns, metrics, aggregability }) => [node_name, grain_columns, metrics, aggregability]).sort(), [
      ['order_details', ['order_details.product.category'], ['order_details.total_revenue'], 'full'],
      ['page_views', ['page_views.product.category'], ['page_views.page_view_count'], 'full'],
    ]);
    for (const { pre_aggregation_id, status, is_covered, is_served, problem, sql } of found) assert.deepEqual([pre_aggregation_id, status, is_covered, is_served, problem, /SELECT/.test(sql)], [null, null, false, false, null, true]);
    assert.equal((await list(server)).total, 0);
  });

  test('a distinct count makes it limited; what cannot be merged is a warning', async () => {
    assert.equal((await groups('avg_order_value', 'status')).grain_groups[0].aggregability, 'limited');
    const mixed = await groups('total_revenue top_product', 'status');
    assert.deepEqual([mixed.grain_groups[0].metrics, mixed.warnings.map(({ code }) => code)], [['order_details.total_revenue'], ['NON_DECOMPOSABLE']]);
  });

  test('show what there is of it: planned, built, covered', async () => {
    const state = async (metrics) => {
      const { pre_aggregation_id, status, is_covered, is_served } = (await groups(metrics, 'status')).grain_groups[0];
      return [pre_aggregation_id, status, is_covered, is_served];
    };
    const { id } = await planOne(server, 'total_revenue', 'status');
    assert.deepEqual(await state('total_revenue'), [id, 'pending', true, false]);
    await materialize(server, id);
    assert.deepEqual(await state('total_revenue'), [id, 'active', true, true]);
    assert.deepEqual(await state('total_revenue total_quantity'), [id, 'active', false, false]);
    assert.equal((await builds(server, id)).length, 1);
  });

  test('with filters and a time zone, in one parameter with commas or in several', async () => {
    const one = await ok(server.fetch(`/grain-groups?metrics=order_details.total_revenue,order_details.total_quantity&dimensions=order_details.status,date.date_value.day&filters=${encodeURIComponent("product.category = 'Toys'")}&timezone=Europe/Rome`));
    const [group] = one.grain_groups;
    assert.deepEqual([group.metrics.length, group.grain_columns.length, group.filters.length], [2, 2, 1]);
    assert.match(group.sql, /Toys|\?|\$1/);
    isError(await server.fetch('/grain-groups'), 422, 'query.invalid');
    isError(await server.fetch('/grain-groups?metrics=order_details.none'), 422, 'query.unknown_member');
  });
});
