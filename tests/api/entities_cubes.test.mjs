// Cubes made by API: what they record and link, who shares what, widening, losing, deleting and coming back, their versions;
// and that nothing is built before somebody asks (the seed; dj.md 1.7, 8.7, appendix D; decisions 15, 17).
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { check } from './answers.mjs';
import { createCube, deleteNode, files, full, get, history, ids, isError, isMalformed, list, materialize, model, numbers, ok, patchNode, planBuilt, planOne, query, reload, send } from './entities.mjs';
import { Server, serve, shared, write } from './helpers.mjs';

const number = (what) => numbers.find((one) => one.what === what);
const byStatus = number('revenue and quantity by status'), byCategory = number('revenue by category'), byBoth = number('two facts by category');
const revenue = { query: query('total_revenue', 'status'), rows: byStatus.rows.map(([status, sum]) => [status, sum]) };
const cube = (server, name) => ok(server.fetch(`/cubes/${name}`));
const cubesOf = async (server, id) => (await get(server, id)).cubes;

describe('creating', () => {
  const server = shared(files());

  test('records what the cube needs, pending, and builds nothing, whatever is asked', async () => {
    const node = await createCube(server, 'sales.by_status', 'total_revenue total_quantity', 'status', { description: 'Sales.' });
    assert.deepEqual([node.name, node.type, node.namespace, node.version, node.status, node.mode, node.description, node.metrics, node.dimensions], ['sales.by_status', 'cube', 'sales', 'v1.0', 'valid', 'published', 'Sales.', full('total_revenue total_quantity'), full('status')]);
    assert.match(node.query, /SELECT/);
    const [id] = node.pre_aggregations;
    assert.deepEqual([node.pre_aggregations.length, node.warnings], [1, []]);
    const entity = await get(server, id);
    assert.deepEqual([entity.status, entity.cubes, entity.grain_columns, entity.strategy, entity.served_build], ['pending', ['sales.by_status'], ['order_details.status'], null, null]);
    await check(server, byStatus.query, byStatus.rows, 'match.not_built');
    assert.equal((await get(server, id)).status, 'pending', 'a query does not build it');
    await materialize(server, id);
    await check(server, byStatus.query, byStatus.rows, entity.name);
  });

  test('is shown as a cube, and as a node', async () => {
    const shown = await cube(server, 'sales.by_status');
    assert.deepEqual(shown.cube_elements.map(({ name, node_name, type }) => [name, node_name, type]), [
      ['order_details.total_revenue', 'order_details.total_revenue', 'metric'], ['order_details.total_quantity', 'order_details.total_quantity', 'metric'], ['status', 'order_details', 'dimension'],
    ]);
    assert.deepEqual([shown.cube_node_metrics, shown.cube_node_dimensions, shown.cube_filters, shown.type, shown.version], [full('total_revenue total_quantity'), full('status'), [], 'cube', 'v1.0']);
    assert.deepEqual(shown.columns.map(({ name, type }) => [name, type]), [['order_details.total_revenue', 'number'], ['order_details.total_quantity', 'number'], ['order_details.status', 'string']]);
    const names = await ok(server.fetch('/nodes?node_type=cube'));
    assert.deepEqual(names, ['sales.by_status']);
    assert.ok((await ok(server.fetch('/cubes/'))).includes('sales.by_status'));
    assert.deepEqual((await ok(server.fetch('/nodes/details'))).find(({ type }) => type === 'cube'), { name: 'sales.by_status', display_name: 'By Status', description: 'Sales.', type: 'cube' });
    assert.equal((await ok(server.fetch('/nodes/sales.by_status/'))).node_id, shown.node_id);
  });

  test('a row for each fact; filters are of the row; what cannot be stored is a warning', async () => {
    const two = await createCube(server, 'sales.two', 'total_revenue page_views.page_view_count top_product', 'product.category', { filters: ["product.category <> 'Garden'"] });
    assert.deepEqual(two.warnings.map(({ code }) => code), ['NON_DECOMPOSABLE']);
    const rows = await Promise.all(two.pre_aggregations.map((id) => get(server, id)));
    assert.deepEqual(rows.map(({ node_name, filters }) => [node_name, filters.length]).sort(), [['order_details', 1], ['page_views', 1]]);
    assert.deepEqual(await ok(server.fetch('/cubes/sales.two/pre-aggregations')), rows.sort((a, b) => a.id - b.id));
    assert.equal((await cube(server, 'sales.two')).cube_filters.length, 1);
  });

  const wrong = {
    'a name that is taken': [{ name: 'sales.by_status' }, 409, 'node.exists', /already exists/],
    'a name of the model': [{ name: 'order_details' }, 409, 'node.exists', /already exists/],
    'the long name of it': [{ name: 'cube.order_details' }, 409, 'node.exists', /already exists/],
    'a name that is none': [{ name: '2024.sales' }, 422, 'query.invalid', /2024/],
    'an empty part': [{ name: 'sales..x' }, 422, 'query.invalid', /sales\.\.x/],
    'no metric': [{ metrics: [] }, 422, 'query.invalid', /metric/],
    'metrics that there are not, each named': [{ metrics: ['order_details.one', 'order_details.total_revenue', 'other.two'] }, 404, 'node.not_found', /`order_details\.one` does not exist.*`other\.two` does not exist/],
    'a dimension as a metric': [{ metrics: full('status') }, 422, 'query.invalid', /status/],
    'a dimension that there is not': [{ dimensions: full('colour') }, 422, 'query.unknown_member', /colour/],
    'a dimension that no join leads to': [{ dimensions: ['location.city'] }, 422, 'plan.no_join_path', /location/],
    'a mode that there is not': [{ mode: 'secret' }, 422, 'query.invalid', /published, draft/],
    'a long display name': [{ display_name: 'x'.repeat(101) }, 422, 'query.invalid', /100/],
  };
  for (const [what, [more, status, id, text]] of Object.entries(wrong))
    test(`${what}: ${status}, and there is no cube`, async () => {
      const { total } = await list(server);
      isError(await server.post('/nodes/cube/', { name: 'sales.wrong', metrics: full('total_revenue'), dimensions: full('customer.email'), ...more }), status, id, text);
      assert.equal((await list(server)).total, total);
      isError(await server.fetch('/cubes/sales.wrong'), 404, 'node.not_found');
    });
});

test('a draft begins at v0.1', async (t) => {
  const server = await serve(t, files());
  const draft = await createCube(server, 'sales.draft', 'total_revenue', 'status', { mode: 'draft' });
  assert.deepEqual([draft.version, draft.mode], ['v0.1', 'draft']);
});

// ---- sharing ------------------------------------------------------------------------------------------------------

test('two cubes of one source and grain share one row; a second one with more measures widens it', async (t) => {
  const server = await serve(t, files());
  const [planned] = await planBuilt(server, 'total_revenue', 'status');
  const first = await createCube(server, 'a.first', 'total_revenue', 'status');
  assert.deepEqual([first.pre_aggregations, (await get(server, planned.id)).status], [[planned.id], 'active'], 'what is there is linked');
  await check(server, revenue.query, revenue.rows, planned.name);

  const second = await createCube(server, 'b.second', 'total_quantity max_unit_price', 'status');
  assert.deepEqual(second.pre_aggregations, [planned.id]);
  const wide = await get(server, planned.id);
  assert.deepEqual([wide.status, wide.cubes, wide.measures, wide.served_build.measures], ['pending', ['a.first', 'b.second'], full('total_revenue total_quantity max_unit_price').map((name) => name.replace('.', '__')), ['order_details__total_revenue']]);
  assert.equal((await list(server)).total, 1);
  // the first goes on being served by what was built; the second not before the new build
  await check(server, revenue.query, revenue.rows, planned.name);
  await check(server, byStatus.query, byStatus.rows, 'match.not_built');
  await server.restart();
  await check(server, revenue.query, revenue.rows, planned.name);
  const built = await materialize(server, planned.id);
  assert.deepEqual([built.served_build.version, built.served_build.measures.length], [2, 3]);
  await check(server, byStatus.query, byStatus.rows, planned.name);
  await check(server, revenue.query, revenue.rows, planned.name);
  const activities = (await history(server, planned.id)).map((row) => row.activity_type);
  assert.ok(activities.includes('widen') && activities.at(-1) === 'create', activities.join());
});

test('a cube of the model and one by API share a row when their grain is one', async (t) => {
  const server = await serve(t, files({ preaggs: '    pre_aggregations:\n      - {name: main, measures: [total_revenue], dimensions: [status], build: explicit}\n' }));
  const { pre_aggregations: linked } = await createCube(server, 'sales.by_status', 'total_revenue total_quantity', 'status');
  const main = await get(server, 'order_details.main');
  assert.deepEqual([linked, main.cubes, main.declared_by, [...main.measures].sort()], [[main.id], ['order_details', 'sales.by_status'], ['order_details.main'], ['order_details__total_quantity', 'order_details__total_revenue']]);
  await materialize(server, main.id);
  await check(server, byStatus.query, byStatus.rows, 'order_details.main');
  await deleteNode(server, 'sales.by_status');
  assert.deepEqual(await cubesOf(server, main.id), ['order_details']);
  await check(server, revenue.query, revenue.rows, 'order_details.main');
});

// ---- changing -----------------------------------------------------------------------------------------------------

describe('changing', () => {
  const server = shared(files());

  test('it loses a metric: the link stays, the row does not shrink', async () => {
    const { pre_aggregations: [id] } = await createCube(server, 'a.loses', 'total_revenue total_quantity', 'status');
    await materialize(server, id);
    const node = await patchNode(server, 'a.loses', { metrics: full('total_revenue') });
    assert.deepEqual([node.version, node.metrics, node.dimensions, node.pre_aggregations], ['v2.0', full('total_revenue'), full('status'), [id]]);
    const entity = await get(server, id);
    assert.deepEqual([entity.measures.length, entity.status, entity.cubes], [2, 'active', ['a.loses']]);
    await check(server, byStatus.query, byStatus.rows, entity.name);
  });

  test('it loses a fact: that row is let go of, and stays', async () => {
    const { pre_aggregations: both } = await createCube(server, 'a.facts', 'total_revenue page_views.page_view_count', 'product.category');
    for (const id of both) await materialize(server, id);
    const { pre_aggregations: left } = await patchNode(server, 'a.facts', { metrics: full('total_revenue') });
    const [gone] = both.filter((id) => !left.includes(id));
    assert.deepEqual([left.length, (await get(server, gone)).node_name, await cubesOf(server, gone), await cubesOf(server, left[0]), (await get(server, gone)).status], [1, 'page_views', [], ['a.facts'], 'active']);
    assert.deepEqual(ids(await ok(server.fetch('/cubes/a.facts/pre-aggregations'))), left);
    await check(server, byBoth.query, byBoth.rows, (await Promise.all(both.map((id) => get(server, id)))).map(({ name }) => name));
    await ok(send(server, 'DELETE', `/pre-aggregations/${gone}`));
  });

  test('another grain is another row', async () => {
    const { pre_aggregations: [old] } = await createCube(server, 'a.grain', 'total_revenue', 'location_from.city');
    const { pre_aggregations: [now], version } = await patchNode(server, 'a.grain', { dimensions: full('location_to.city location_from.city') });
    assert.notEqual(old, now);
    assert.deepEqual([version, await cubesOf(server, old), await cubesOf(server, now)], ['v2.0', [], ['a.grain']]);
    const filtered = await patchNode(server, 'a.grain', { filters: ["order_details.status = 'completed'"] });
    assert.equal(filtered.version, 'v3.0');
    assert.deepEqual(await cubesOf(server, now), []);
  });

  test('what does not change what it is: a minor version, or none', async () => {
    const { pre_aggregations } = await createCube(server, 'a.minor', 'total_revenue total_quantity', 'status product.category');
    const versions = [];
    const changes = [{ description: 'Told.' }, { description: 'Told.' }, { display_name: 'Another' }, { metrics: full('total_quantity total_revenue') }, {}, { description: 'Told again.', columns: [], tags: null, query: null }];
    for (const change of changes) {
      const node = await patchNode(server, 'a.minor', change);
      assert.deepEqual(node.pre_aggregations, pre_aggregations);
      versions.push(node.version);
    }
    assert.deepEqual(versions, ['v1.1', 'v1.1', 'v1.2', 'v1.3', 'v1.3', 'v1.4']);
    const revisions = await ok(server.fetch('/nodes/a.minor/revisions/'));
    assert.deepEqual(revisions.map(({ version, current_version, description, display_name }) => [version, current_version, description, display_name]), [
      ['v1.0', 'v1.4', '', 'Minor'], ['v1.1', 'v1.4', 'Told.', 'Minor'], ['v1.2', 'v1.4', 'Told.', 'Another'], ['v1.3', 'v1.4', 'Told.', 'Another'], ['v1.4', 'v1.4', 'Told again.', 'Another'],
    ]);
    const old = await ok(server.fetch('/cubes/a.minor/versions/v1.0'));
    assert.deepEqual([old.version, old.cube_node_metrics], ['v1.0', full('total_revenue total_quantity')]);
    isError(await server.fetch('/cubes/a.minor/versions/v7.0'), 404, 'node.not_found', /v7\.0/);
  });

  test('what is refused', async () => {
    isError(await send(server, 'PATCH', '/nodes/none', { description: 'x' }), 404, 'node.not_found', /^A node with name `none` does not exist\.$/);
    for (const name of ['order_details', 'cube.order_details']) {
      isError(await send(server, 'PATCH', `/nodes/${name}`, { description: 'x' }), 409, 'node.of_model');
      isError(await send(server, 'DELETE', `/nodes/${name}`), 409, 'node.of_model');
    }
    isMalformed(await send(server, 'PATCH', '/nodes/a.minor', { colour: 'red', query: 'SELECT 1' }), 'body colour', 'body query');
    isMalformed(await send(server, 'PATCH', '/nodes/a.minor', { metrics: 'all' }), 'body metrics');
    isError(await send(server, 'PATCH', '/nodes/a.minor', { metrics: ['order_details.none'] }), 404, 'node.not_found', /order_details\.none/);
    isError(await send(server, 'PATCH', '/nodes/a.minor', { metrics: [] }), 422, 'query.invalid');
    isError(await send(server, 'PATCH', '/nodes/a.minor', { dimensions: full('colour') }), 422, 'query.unknown_member');
    assert.equal((await cube(server, 'a.minor')).version, 'v1.4');
  });
});

// ---- going and coming back ----------------------------------------------------------------------------------------

test('deleted, it is unlinked and gone; created again, it goes on with its next version', async (t) => {
  const server = await serve(t, files());
  const { pre_aggregations: [id], node_id } = await createCube(server, 'a.cube', 'total_revenue', 'status');
  await materialize(server, id);
  assert.deepEqual(Object.keys(await deleteNode(server, 'a.cube')), ['message']);
  assert.deepEqual(await cubesOf(server, id), []);
  for (const route of ['/cubes/a.cube', '/nodes/a.cube', '/cubes/a.cube/pre-aggregations', '/pre-aggregations/?cube=a.cube']) isError(await server.fetch(route), 404, 'node.not_found');
  isError(await send(server, 'DELETE', '/nodes/a.cube'), 404, 'node.not_found');
  isError(await send(server, 'PATCH', '/nodes/a.cube', { description: 'x' }), 404, 'node.not_found');
  assert.deepEqual(await ok(server.fetch('/nodes?node_type=cube')), []);
  await check(server, revenue.query, revenue.rows, (await get(server, id)).name);

  const same = await createCube(server, 'a.cube', 'total_revenue', 'status');
  assert.deepEqual([same.node_id, same.version, same.pre_aggregations, await cubesOf(server, id)], [node_id, 'v1.0', [id], ['a.cube']]);
  await deleteNode(server, 'a.cube');
  const other = await createCube(server, 'a.cube', 'total_quantity', 'product.category');
  assert.deepEqual([other.node_id, other.version, await cubesOf(server, id)], [node_id, 'v2.0', []]);
  const activities = (await ok(server.fetch('/history/node/a.cube'))).map((row) => row.activity_type);
  assert.deepEqual([activities.filter((activity) => activity === 'delete').length, activities.filter((activity) => activity === 'restore').length, activities.at(-1)], [2, 2, 'create']);
  assert.ok((await ok(server.fetch('/history?node=a.cube&limit=2'))).length === 2);
});

test('the model loses what a cube is made of: the cube is invalid, and valid when it is back', async (t) => {
  const server = await serve(t, files({ measures: '      - {name: bonus, type: sum, sql: "{CUBE}.quantity * 2"}\n' }));
  const { pre_aggregations: [id] } = await createCube(server, 'a.cube', 'bonus', 'status');
  await materialize(server, id);
  const change = async (changes) => {
    write(server.folder, 'model/shop.yml', model(changes)['model/shop.yml']);
    await reload(server);
  };
  await change({});
  assert.equal((await cube(server, 'a.cube')).status, 'invalid');
  await server.assertAlive(revenue.query);
  await change({ measures: '      - {name: bonus, type: sum, sql: "{CUBE}.quantity * 2"}\n' });
  assert.equal((await cube(server, 'a.cube')).status, 'valid');
  const [now] = await ok(server.fetch('/cubes/a.cube/pre-aggregations'));
  assert.deepEqual([now.is_current, now.is_in_service], [true, true]);
  if (now.status !== 'active') await materialize(server, now.id);
  await check(server, query('bonus', 'status'), [['completed', 46], ['pending', 4]], now.name);
});

// ---- what answers say ---------------------------------------------------------------------------------------------

describe('answers', () => {
  const server = shared(files());

  test('name the entity that served, and its build', async () => {
    const { pre_aggregations: [id] } = await createCube(server, 'a.cube', 'total_revenue', 'product.category');
    const entity = await materialize(server, id);
    const { usedPreAggregations: used } = await server.result(byCategory.query);
    assert.deepEqual(used, {
      [`granary.${entity.name.replace('.', '_')}`]: { preAggregationId: entity.name, lastUpdatedAt: Date.parse(entity.materialized_at), type: 'rollup', version: 1, id, exactness: 'exact' },
    });
    const answer = await server.load(byCategory.query);
    assert.equal(answer.headers.get('x-granary-served-by'), entity.name);
    const { pre_aggregations: names, grain_groups: [group] } = await server.explain(byCategory.query);
    assert.deepEqual([names, group.candidates.find((candidate) => candidate.is_chosen).pre_aggregation], [[entity.name], entity.name]);
  });

  test('tell why the others did not, when asked', async () => {
    const pending = await planOne(server, 'total_quantity', 'product.category status');
    const coarse = await planOne(server, 'total_quantity', 'customer.name');
    const one = query('total_quantity', 'status');
    const result = await server.result(one, '?explain=1');
    assert.deepEqual(Server.served(result), []);
    const rules = Object.fromEntries(result.preAggregationRefusals.map(({ preAggregation, rule, member }) => [preAggregation, [rule, member]]));
    assert.deepEqual([rules[pending.name], rules[coarse.name]], [['match.not_built', undefined], ['match.dimension_missing', 'order_details.status']]);
    assert.equal(result.explain.refusals.find(({ pre_aggregation }) => pre_aggregation === pending.name).rule, 'match.not_built');
    await materialize(server, pending.id);
    assert.deepEqual(Server.served(await server.result(one, '?explain=1')), [pending.name]);
  });

  test('`require` and `forbid` hold for entities', async () => {
    const entity = await planOne(server, 'min_unit_price', 'location_to.city');
    const one = query('min_unit_price', 'location_to.city');
    const answer = await server.load({ ...one, preAggregations: 'require' });
    assert.equal(answer.status, 400, answer.text);
    await materialize(server, entity.id);
    assert.deepEqual(Server.served(await server.result({ ...one, preAggregations: 'require' })), [entity.name]);
    assert.deepEqual(Server.served(await server.result({ ...one, preAggregations: 'forbid' })), []);
  });
});
