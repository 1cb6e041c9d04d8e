// Pre-aggregations as entities over HTTP: lists, one, its cubes, building and deleting, errors, who may. The seed's routes
// and DataJunction's (dj.md 4.3, 5, appendix D). What they say of themselves is in entities_openapi.test.mjs.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { check } from './answers.mjs';
import { createCube, deleteNode, files, full, get, ids, isError, isMalformed, jsonList, list, materialize, md5, numbers, ok, planBuilt, planOne, query, send, storedTables } from './entities.mjs';
import { jwt, serve, shared, slowCube, until } from './helpers.mjs';

describe('numbers, from the source and from what was planned and built', () => {
  const server = shared(files());
  for (const { what, measures, dimensions, rows, grain, query: one, tolerance } of numbers)
    test(what, async () => {
      const entities = await planBuilt(server, measures, `${dimensions} ${grain}`);
      await check(server, one, rows, entities.map((entity) => entity.name), { tolerance });
    });
});

describe('rolling up', () => {
  const server = shared(files());
  const stored = 'status product.category';
  let entity;
  before(async () => {
    [entity] = await planBuilt(server, 'total_revenue total_quantity avg_unit_price price_spread customer_count', stored);
  });
  const serves = ({ what, measures, dimensions }) =>
    full(dimensions).every((name) => full(stored).includes(name)) && !/page_views|order_count|avg_order_value|completed|var_/.test(measures) && !/country|some days/.test(what);
  for (const one of numbers.filter(serves))
    test(`${one.what}, from the grain of ${stored}`, () => check(server, one.query, one.rows, entity.name, { tolerance: one.tolerance }));

  test('a distinct count is not added up, and a value made of one neither', async () => {
    await materialize(server, (await planOne(server, 'order_count total_revenue', stored)).id);
    for (const what of ['value of an order by status', 'orders by category, each counted once']) {
      const one = numbers.find((other) => other.what === what);
      await check(server, one.query, one.rows, 'match.exact_grain');
    }
    const exact = numbers.find((one) => one.what === 'orders by status and category');
    await check(server, exact.query, exact.rows, entity.name);
  });
});

describe('lists', () => {
  const server = shared(files({ preaggs: '    pre_aggregations:\n      - {name: main, measures: [total_quantity], dimensions: [status, order_date]}\n' }));
  const made = {}; // name -> id
  before(async () => {
    const requests = {
      byStatus: ['total_revenue', 'status'], byCategory: ['total_revenue max_unit_price', 'product.category'], byBoth: ['total_revenue', 'status product.category'],
      views: ['page_views.page_view_count', 'product.category'], byDay: ['total_revenue', 'date.date_value.day'], filtered: ['total_revenue', 'status', { filters: ["product.category = 'Toys'"] }],
    };
    for (const [name, request] of Object.entries(requests)) made[name] = (await planOne(server, ...request)).id;
    await materialize(server, made.byBoth);
    await createCube(server, 'reports.by_both', 'total_revenue', 'status product.category');
  });
  const idsOf = async (params) => ids((await list(server, params)).items);
  const named = (...names) => names.map((name) => made[name]).sort((a, b) => a - b);
  const main = async () => (await get(server, 'order_details.main')).id;

  test('all of them by id, with the page', async () => {
    const all = await list(server);
    assert.deepEqual(Object.keys(all).sort(), ['items', 'limit', 'offset', 'total']);
    assert.deepEqual([all.total, all.limit, all.offset], [7, 50, 0]);
    assert.deepEqual(ids(all.items), [await main(), ...Object.values(made)].sort((a, b) => a - b));
  });

  test('filters come before the page, and the total counts what they let through', async () => {
    const measures = 'measures=order_details__total_revenue';
    const wanted = named('byStatus', 'byCategory', 'byBoth', 'byDay', 'filtered');
    assert.deepEqual(await idsOf(`?${measures}`), wanted);
    for (const [at, id] of wanted.entries()) {
      const page = await list(server, `?${measures}&limit=1&offset=${at}`);
      assert.deepEqual([ids(page.items), page.total, page.limit, page.offset], [[id], wanted.length, 1, at]);
    }
    const behind = await list(server, `?${measures}&offset=100`);
    assert.deepEqual([behind.items, behind.total], [[], wanted.length]);
  });

  const filters = {
    'source_node=page_views': ['views'], 'node_name=page_views': ['views'], 'source_node=cube.page_views': ['views'],
    'status=active': ['byBoth'], 'status=failed': [], 'status=active&status=pending&source_node=page_views': ['views'],
    'measures=order_details__total_revenue,ORDER_DETAILS__MAX_UNIT_PRICE': ['byCategory'], 'measures=no_such': [],
    'grain=order_details.status': ['byStatus', 'filtered'], 'grain=ORDER_DETAILS.Status': ['byStatus', 'filtered'],
    'grain=order_details.status,order_details.product.category': ['byBoth'], 'grain=order_details.product.category,order_details.status&grain_mode=exact': ['byBoth'],
    'grain=order_details.product.category&grain_mode=superset': ['byCategory', 'byBoth'],
    'grain=order_details.date.date_value.day': ['byDay'], 'external=true': [], 'cube=reports.by_both': ['byBoth'],
  };
  for (const [params, names] of Object.entries(filters))
    test(`?${params}`, async () => {
      assert.deepEqual(await idsOf(`?${params}`), named(...names));
      assert.deepEqual(ids((await ok(server.fetch(`/preaggs/?${params}`))).items), named(...names), 'and with /preaggs/');
    });

  test('of a cube of the model: what its file declares', async () => {
    assert.deepEqual(await idsOf('?cube=order_details'), [await main()]);
    assert.deepEqual((await list(server, '?external=false')).total, 7);
  });

  test('by the hash of the grain group', async () => {
    const { grain_group_hash: hash } = await get(server, made.byBoth);
    assert.deepEqual(await idsOf(`?grain_group_hash=${hash}`), named('byBoth'));
  });

  test('of a node and of a cube', async () => {
    assert.deepEqual(ids(await ok(server.fetch('/nodes/page_views/pre-aggregations'))), named('views'));
    assert.deepEqual(ids(await ok(server.fetch('/nodes/cube.order_details/pre-aggregations?status=active'))), named('byBoth'));
    assert.deepEqual(ids(await ok(server.fetch('/cubes/reports.by_both/pre-aggregations/'))), named('byBoth'));
    assert.deepEqual(ids(await ok(server.fetch('/cubes/order_details/pre-aggregations'))), [await main()]);
    assert.deepEqual(await ok(server.fetch('/cubes/page_views/pre-aggregations')), []);
    assert.deepEqual(await ok(server.fetch('/nodes/customer/pre-aggregations')), []);
    assert.deepEqual(ids(await ok(server.fetch('/nodes/page_views/pre-aggregations?version=v1.0'))), named('views'));
  });

  test('what is asked for and does not exist is an error, not an empty list', async () => {
    for (const route of ['/pre-aggregations/?source_node=no', '/preaggs/?node_name=no', '/pre-aggregations?cube=no', '/nodes/no/pre-aggregations', '/cubes/no/pre-aggregations/', '/nodes/no/', '/cubes/no', '/nodes/no/revisions'])
      isError(await server.fetch(route), 404, 'node.not_found', /^A node with name `no` does not exist\.$/);
    isError(await server.fetch('/pre-aggregations/?source_node=page_views&version=v9.0'), 404, 'node.not_found', /node .* does not exist/);
    isError(await server.fetch('/preaggs/?node_name=page_views&node_version=v9.0'), 404, 'node.not_found');
    isError(await server.fetch('/nodes/page_views/pre-aggregations?version=v9.0'), 404, 'node.not_found');
    assert.equal((await ok(server.fetch('/preaggs/?node_version=v9.0'))).total, 7, 'DataJunction ignores a version without a node');
  });

  test('parameters that mean nothing', async () => {
    isMalformed(await server.fetch('/pre-aggregations/?status=ready'), 'query status');
    isError(await server.fetch('/preaggs/?status=ready'), 404, 'preagg.not_found', /ready/);
    for (const base of ['/pre-aggregations/', '/preaggs/']) {
      for (const limit of ['0', '101', '-1', 'ten']) isMalformed(await server.fetch(`${base}?limit=${limit}`), 'query limit');
      isMalformed(await server.fetch(`${base}?offset=-1&grain_mode=loose&limit=1.5`), ...(base === '/preaggs/' ? ['query limit', 'query offset', 'query grain_mode'] : ['query limit', 'query offset', 'query grain_mode']));
      isMalformed(await server.fetch(`${base}?external=perhaps`), 'query external');
    }
    isMalformed(await server.fetch('/nodes/page_views/pre-aggregations?status=ready&include_stale=maybe'), 'query include_stale', 'query status');
  });
});

describe('one', () => {
  const server = shared(files({ preaggs: '    pre_aggregations:\n      - {name: main, measures: [total_quantity], dimensions: [status]}\n' }));

  test('by id, by name, and with either slash', async () => {
    const main = await get(server, 'order_details.main');
    assert.deepEqual([main.name, main.declared_by, main.cubes, main.source_node.name], ['order_details.main', ['order_details.main'], ['order_details'], 'order_details']);
    for (const route of [`/pre-aggregations/${main.id}`, `/pre-aggregations/${main.id}/`, '/pre-aggregations/order_details.main/']) assert.deepEqual(await ok(server.fetch(route)), main);
    const { measures, ...rest } = await ok(server.fetch(`/preaggs/${main.id}/`));
    assert.deepEqual({ ...rest, measures: measures.map((measure) => measure.name) }, main, 'DataJunction has objects for measures, and else it is one');
    assert.deepEqual(measures, main.measure_details);
  });

  test('every field of it', async () => {
    const { id } = await planOne(server, 'total_revenue order_count', 'status product.category');
    const before = await get(server, id);
    assert.deepEqual(before.grain_columns, ['order_details.product.category', 'order_details.status']);
    assert.equal(before.grain_hash, md5(jsonList(before.grain_columns)));
    assert.deepEqual(before.source_node, { id: before.source_node.id, name: 'order_details', type: 'transform' });
    const { source_node_version, node_name, node_version, filters, status, strategy, external, cubes, table, materialized_at, materialization_error, served_build, row_count, hits, is_current } = before;
    assert.deepEqual(
      { source_node_version, node_name, node_version, filters, status, strategy, external, cubes, table, materialized_at, materialization_error, served_build, row_count, hits, is_current },
      { source_node_version: 'v1.0', node_name: 'order_details', node_version: 'v1.0', filters: [], status: 'pending', strategy: null, external: false, cubes: [], table: null, materialized_at: null, materialization_error: null, served_build: null, row_count: null, hits: 0, is_current: true },
    );
    assert.deepEqual(before.measures, ['order_details__total_revenue', 'order_details__order_count'], 'in the order in which they were asked for');
    assert.deepEqual(before.measure_details.map(({ expression, aggregation, merge, rule, expr_hash }) => [expression, aggregation, merge, rule, expr_hash]), [
      ['line_total', 'SUM', 'SUM', { type: 'full', level: [] }, '83632b779d87'],
      ['order_id', null, null, { type: 'limited', level: ['order_id'] }, '69dfcb072307'],
    ]);
    assert.deepEqual(before.related_metrics, ['order_details.avg_order_value', 'order_details.order_count', 'order_details.total_revenue']);
    assert.match(before.created_at, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
    const after = await materialize(server, id);
    assert.deepEqual([after.row_count, after.served_build.version, after.served_build.measures, after.materialized_at], [4, 1, before.measures, after.served_build.finished_at]);
    assert.ok(after.build_ms >= 0 && after.bytes >= 0 && after.materialized_at >= before.created_at && after.updated_at >= before.updated_at);
    assert.match(after.table, /order_details_preagg_/);
    assert.equal(after.materialized_table_ref, after.table);
    // what it serves is counted
    await server.result(query('total_revenue', 'status product.category'));
    const served = await until('the count', async () => ((await get(server, id)).hits ? get(server, id) : null), 15000);
    assert.ok(served.hits === 1 && served.last_served_at >= after.materialized_at);
  });

  test('its cubes, by name', async () => {
    const { id } = await planOne(server, 'total_revenue', 'order_date');
    assert.deepEqual(await ok(server.fetch(`/pre-aggregations/${id}/cubes/`)), []);
    await createCube(server, 'zoo.second', 'total_revenue', 'order_date', { display_name: 'Second one' });
    await createCube(server, 'art.first', 'total_revenue', 'order_date');
    assert.deepEqual(await ok(server.fetch(`/pre-aggregations/${id}/cubes`)), [
      { name: 'art.first', display_name: 'First', type: 'cube', version: 'v1.0', status: 'valid' },
      { name: 'zoo.second', display_name: 'Second one', type: 'cube', version: 'v1.0', status: 'valid' },
    ]);
    assert.deepEqual((await get(server, id)).cubes, ['art.first', 'zoo.second']);
    assert.deepEqual((await ok(server.fetch('/pre-aggregations/order_details.main/cubes'))).map((cube) => cube.name), ['order_details']);
  });

  test('that does not exist', async () => {
    for (const [method, route] of [['GET', ''], ['GET', '/cubes'], ['GET', '/builds'], ['GET', '/history'], ['GET', '/lineage'], ['POST', '/materialize'], ['DELETE', '']])
      for (const id of ['4711', 'order_details.none']) isError(await send(server, method, `/pre-aggregations/${id}${route}`), 404, 'preagg.not_found', new RegExp(id));
    for (const [method, route, body] of [['GET', ''], ['POST', '/materialize'], ['PATCH', '/config', {}], ['DELETE', '/workflow'], ['POST', '/backfill', { start_date: '2024-01-01' }], ['POST', '/availability/', { catalog: 'default', schema: 's', table: 't', valid_through_ts: 1 }]]) {
      isError(await send(server, method, `/preaggs/4711${route}`, body), 404, 'preagg.not_found', /4711/);
      isMalformed(await send(server, method, `/preaggs/order_details.main${route}`, body), 'path preagg_id');
    }
    isError(await server.fetch('/pre-aggregations/order_details.mian'), 404, 'preagg.not_found');
    assert.match((await server.fetch('/pre-aggregations/order_details.mian')).body.errors[0].debug.hint, /order_details\.main/);
  });
});

const hold = { env: { GRANARY_HTTP_DRAIN_MS: '50' } };
const building = (server, id) => until('the build to run', async () => (await get(server, id)).status === 'materializing');

describe('materialize', () => {
  const server = shared(files());

  test('waited for: 200 and active; again: 200 and nothing built; forced: a new table', async () => {
    const { id } = await planOne(server, 'total_revenue', 'status');
    const first = await materialize(server, id);
    assert.deepEqual(await ok(server.post(`/pre-aggregations/${id}/materialize/`, '')), first);
    assert.deepEqual(await ok(server.post(`/pre-aggregations/${id}/materialize`, { force: false, wait: false })), first);
    const second = await materialize(server, id, { force: true });
    assert.deepEqual([first.served_build.version, second.served_build.version], [1, 2]);
    assert.notEqual(first.table, second.table);
    assert.deepEqual((await ok(server.fetch(`/pre-aggregations/${id}/builds`))).map((build) => [build.version, build.status]), [[2, 'done'], [1, 'dropped']]);
  });

  test('not waited for: 202 and materializing, then active', async () => {
    const { id } = await planOne(server, 'total_revenue', 'order_date');
    const answer = await server.post(`/pre-aggregations/${id}/materialize`, '');
    assert.deepEqual([answer.status, answer.body.status, answer.body.id], [202, 'materializing', id], answer.text);
    const entity = await until('the build', async () => ((await get(server, id)).status === 'active' ? get(server, id) : null));
    assert.equal(entity.served_build.version, 1);
  });

  test('with a strategy, which is kept; with one that there is not', async () => {
    const { id } = await planOne(server, 'total_revenue', 'product.category');
    isError(await server.post(`/pre-aggregations/${id}/materialize`, { strategy: 'view' }), 422, 'query.invalid', /full.*incremental_time/);
    assert.equal((await get(server, id)).status, 'pending');
    assert.equal((await materialize(server, id, { strategy: 'full' })).strategy, 'full');
  });

  test('bodies that are none', async () => {
    const { id } = await planOne(server, 'total_revenue', 'location_to.city');
    isMalformed(await server.post(`/pre-aggregations/${id}/materialize`, '[1]'), 'body');
    isMalformed(await server.post(`/pre-aggregations/${id}/materialize`, { force: 'yes', wait: 1, strategy: 3 }), 'body force', 'body strategy', 'body wait');
    assert.equal((await get(server, id)).status, 'pending');
  });
});

test('while it is built: 409 to another build and to removal, and a query is answered from the source', async (t) => {
  const server = await serve(t, { ...files(), 'model/slow.yml': slowCube('slow', 400000000) }, hold);
  const { id } = await planOne(server, 'slow.longest', 'slow.k');
  const answer = await server.post(`/pre-aggregations/${id}/materialize`, {});
  assert.deepEqual([answer.status, answer.body.status], [202, 'materializing']);
  isError(await server.post(`/pre-aggregations/${id}/materialize`, {}), 409, 'preagg.materializing', new RegExp(id));
  isError(await server.post(`/pre-aggregations/${id}/materialize`, { force: true, wait: true }), 409, 'preagg.materializing');
  isError(await server.post(`/preaggs/${id}/materialize`, { strategy: 'full' }), 409, 'preagg.materializing');
  isError(await send(server, 'DELETE', `/pre-aggregations/${id}`), 409, 'preagg.materializing');
  await building(server, id);
  assert.deepEqual((await list(server, '?status=materializing')).items.map((item) => item.id), [id]);
  const one = numbers.find(({ what }) => what === 'revenue by category');
  await check(server, one.query, one.rows, 'source');
});

describe('delete', () => {
  test('in use 409 with the cubes, not in use 200 and the table is gone, twice 404', async (t) => {
    const server = await serve(t, files({ preaggs: '    pre_aggregations:\n      - {name: main, measures: [total_quantity], dimensions: [status]}\n' }));
    const kept = await planOne(server, 'total_revenue', 'order_date');
    await materialize(server, kept.id);
    const { id } = await planOne(server, 'total_revenue', 'status product.category');
    const { table } = await materialize(server, id);
    await createCube(server, 'a.one', 'total_revenue', 'status product.category');
    await createCube(server, 'b.two', 'total_revenue', 'product.category status');
    isError(await send(server, 'DELETE', `/pre-aggregations/${id}`), 409, 'preagg.in_use', /a\.one.*b\.two/);
    await deleteNode(server, 'a.one');
    isError(await send(server, 'DELETE', `/pre-aggregations/${id}/`), 409, 'preagg.in_use', /b\.two/);
    await deleteNode(server, 'b.two');
    assert.equal((await get(server, id)).status, 'active', 'what was built stays until it is deleted');
    const gone = await ok(send(server, 'DELETE', `/pre-aggregations/${id}`));
    assert.deepEqual(Object.keys(gone), ['message']);
    isError(await send(server, 'DELETE', `/pre-aggregations/${id}`), 404, 'preagg.not_found');
    isError(await server.fetch(`/pre-aggregations/${id}`), 404, 'preagg.not_found');
    const one = numbers.find(({ what }) => what === 'revenue by category');
    await check(server, one.query, one.rows, 'source');
    isError(await send(server, 'DELETE', '/pre-aggregations/order_details.main'), 409, 'preagg.in_use', /order_details/);
    // the same request makes another one, with an id of its own
    const again = await planOne(server, 'total_revenue', 'status product.category');
    assert.ok(again.id > id && again.status === 'pending');
    await server.stop();
    const tables = await storedTables(server.folder);
    assert.equal(tables.length, 1, tables.join());
    assert.ok(!tables.some((name) => table.endsWith(name)));
  });
});

describe('requests that are none', () => {
  const server = shared(files(), { env: { GRANARY_HTTP_BODY_MAX_BYTES: '20000' } });

  test('no JSON, no object, missing and wrong fields', async () => {
    for (const route of ['/preaggs/plan', '/preaggs/register', '/nodes/cube/', '/import/dj-materializations']) {
      isMalformed(await server.post(route, '{"metrics": ['), 'body');
      isMalformed(await server.post(route, ''), 'body');
    }
    for (const route of ['/preaggs/plan', '/preaggs/register', '/nodes/cube/']) isMalformed(await server.post(route, '"metrics"'), 'body');
    isMalformed(await server.post('/preaggs/plan', { dimensions: 'status', filters: {}, schedule: 5 }), 'body metrics', 'body dimensions', 'body filters', 'body schedule');
    isMalformed(await server.post('/preaggs/plan', { metrics: ['a', 3] }), 'body metrics');
    isMalformed(await server.post('/nodes/cube/', {}), 'body name', 'body metrics');
    isMalformed(await server.post('/preaggs/register', {}), 'body metrics', 'body table', 'body measure_columns');
    isMalformed(await server.post('/preaggs/1/availability', {}), 'body catalog', 'body table', 'body valid_through_ts');
    assert.equal((await list(server)).total, 0, 'nothing of it was recorded');
  });

  test('null is as good as absent, and unknown fields of a plan are left alone', async () => {
    const entity = await planOne(server, 'total_revenue', 'status', { filters: null, strategy: null, schedule: null, lookback_window: null, custom_metadata: { any: 1 } });
    assert.deepEqual([entity.strategy, entity.schedule, entity.filters], [null, null, []]);
  });

  test('a body that is too large', async () => {
    const answer = await server.post('/preaggs/plan', { metrics: ['x'.repeat(30000)] });
    isError(answer, 413, 'http.body', /20000/);
    await server.assertAlive();
  });

  test('routes and methods that there are not', async () => {
    const answer = await send(server, 'DELETE', '/pre-aggregations');
    isError(answer, 405, 'http.method');
    assert.match(answer.headers.get('allow'), /GET/);
    isError(await send(server, 'PATCH', '/preaggs/plan', {}), 405, 'http.method');
    const nowhere = await server.fetch('/pre-aggregations/1/no/such');
    assert.deepEqual([nowhere.status, nowhere.body.id], [404, 'http.not_found'], nowhere.text);
  });

  test('percent-encoding that is none', async () => {
    const answer = await server.fetch('/pre-aggregations/%zz');
    assert.ok([400, 422].includes(answer.status), answer.text);
    await server.assertAlive();
  });
});

test('with a secret: reading needs `meta`, what changes something needs `jobs`', async (t) => {
  const secret = 'a secret of some length';
  const server = await serve(t, files(), { env: { GRANARY_API_SECRET: secret } });
  const as = (scopes) => ({ authorization: jwt({ scopes }, secret) });
  isError(await server.fetch('/pre-aggregations/'), 403, 'auth.missing');
  isError(await server.fetch('/preaggs/', { headers: { authorization: 'Bearer nonsense' } }), 403, 'auth.invalid');
  assert.equal((await server.fetch('/pre-aggregations/', { headers: as(['meta']) })).status, 200);
  const request = { metrics: full('total_revenue'), dimensions: full('status') };
  const changes = [['POST', '/preaggs/plan', request], ['POST', '/preaggs/register', {}], ['POST', '/preaggs/1/materialize'], ['PATCH', '/preaggs/1/config', {}], ['DELETE', '/preaggs/1/workflow'], ['DELETE', '/preaggs/workflows?node_name=order_details'],
    ['POST', '/preaggs/1/backfill', {}], ['POST', '/preaggs/1/availability', {}], ['POST', '/pre-aggregations/1/materialize'], ['DELETE', '/pre-aggregations/1'], ['POST', '/nodes/cube', {}], ['PATCH', '/nodes/x', {}], ['DELETE', '/nodes/x'], ['POST', '/import/dj-materializations', {}]];
  for (const [method, route, body] of changes)
    isError(await server.fetch(route, { method, body: body && JSON.stringify(body), headers: as(['meta', 'data', 'sql']) }), 403, 'auth.scope', /jobs/);
  const ann = { authorization: jwt({ scopes: ['jobs', 'meta'], username: 'ann' }, secret) };
  const planned = await server.post('/preaggs/plan', request, ann);
  assert.equal(planned.status, 201, planned.text);
  const history = await server.fetch(`/pre-aggregations/${planned.body.preaggs[0].id}/history`, { headers: ann });
  assert.deepEqual(history.body.map((h) => [h.activity_type, h.user]), [['create', 'ann']]);
});

test('what was planned, built and linked is there after a restart, and serves', async (t) => {
  const server = await serve(t, files());
  const { id, name } = await planOne(server, 'total_revenue total_quantity', 'status product.category');
  await materialize(server, id);
  await createCube(server, 'reports.by_both', 'total_revenue', 'status product.category', { description: 'Both.' });
  const waiting = await planOne(server, 'total_revenue', 'order_date');
  const state = async () => [await get(server, id), await get(server, waiting.id), await ok(server.fetch('/cubes/reports.by_both')), await ok(server.fetch('/nodes/order_details/'))];
  const before = await state();
  await server.restart();
  assert.deepEqual(await state(), before);
  const one = numbers.find(({ what }) => what === 'revenue by category');
  await check(server, one.query, one.rows, name);
});
