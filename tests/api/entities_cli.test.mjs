// The command line of entities, cubes, lineage and import, through a running server and by itself: both do the same.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { before, describe, test } from 'node:test';
import { files, full, get, md5, model, numbers, orderSql, query, storedTables } from './entities.mjs';
import { Server, serve, shared, slowCube, startProcess, until, workspace, write } from './helpers.mjs';

const members = (metrics, dimensions) => ['--metrics', full(metrics).join(), ...(dimensions ? ['--dimensions', full(dimensions).join()] : [])];
const one = numbers.find(({ what }) => what === 'revenue and quantity by status');
const rowsOf = (result) => result.data.map((row) => [row['order_details.status'], Number(row['order_details.total_revenue']), Number(row['order_details.total_quantity'])]).sort();

// Runs a command that works; its JSON.
async function done(run, args) {
  const result = await run([...args, '--json']);
  assert.equal(result.code, 0, `${args.join(' ')}: ${result.stdout}${result.stderr}`);
  assert.ok(result.json !== undefined, result.stdout);
  return result.json;
}
async function refused(run, args, code, id) {
  const result = await run(args);
  assert.equal(result.code, code, result.stdout + result.stderr);
  assert.match(result.stderr, new RegExp(`error\\[${id.replace('.', '\\.')}\\]`));
  return result.stderr;
}
const text = async (run, args) => {
  const result = await run(args);
  assert.equal(result.code, 0, result.stdout + result.stderr);
  return result.stdout;
};

// The whole way of an entity. `run` runs a command in the folder.
async function wholeWay(run) {
  const shown = await done(run, ['preagg', 'plan', ...members('total_revenue top_product', 'status'), '--dry-run']);
  assert.deepEqual([shown.grain_groups.length, shown.grain_groups[0].pre_aggregation_id, shown.warnings[0].code], [1, null, 'NON_DECOMPOSABLE']);
  assert.deepEqual(await done(run, ['preagg', 'list']), { pre_aggregations: [] });

  const planned = await done(run, ['preagg', 'plan', ...members('total_revenue', 'status'), '--strategy', 'full', '--schedule', '0 3 * * *']);
  const [{ id, name, status, strategy, schedule, grain_hash }] = planned.preaggs;
  assert.deepEqual([planned.preaggs.length, status, strategy, schedule, grain_hash], [1, 'pending', 'full', '0 3 * * *', md5('["order_details.status"]')]);
  const wide = await done(run, ['preagg', 'plan', ...members('total_quantity', 'status')]);
  assert.deepEqual([wide.preaggs[0].id, wide.preaggs[0].measures.length], [id, 2]);
  const filtered = await done(run, ['preagg', 'plan', ...members('total_revenue', 'date.date_value.day'), '--filter', "order_details.status = 'completed'", '--filter', "product.category = 'Toys'", '--timezone', 'Europe/Rome']);
  assert.deepEqual([filtered.preaggs[0].filters.length, filtered.preaggs[0].time_zone], [2, 'Europe/Rome']);

  const list = (await done(run, ['preagg', 'list'])).pre_aggregations;
  assert.deepEqual(list.map((entry) => entry.id).sort(), [name, filtered.preaggs[0].name].sort());
  assert.match(await text(run, ['preagg', 'list']), new RegExp(`${name} +${id} .*pending`));
  const entity = await done(run, ['preagg', 'show', String(id)]);
  assert.deepEqual([entity.id, entity.name, entity.status, entity.measures], [id, name, 'pending', ['order_details__total_revenue', 'order_details__total_quantity']]);
  assert.deepEqual(await done(run, ['preagg', 'show', name]), entity, 'by name too');
  const page = await text(run, ['preagg', 'show', name]);
  for (const part of [/^status +pending$/m, /^grain +order_details\.status$/m, /^sql +SELECT /m, new RegExp(`^name +${name}$`, 'm')]) assert.match(page, part);

  const cube = await done(run, ['cube', 'create', 'reports.sales', ...members('total_revenue', 'status'), '--description', 'Sales.']);
  assert.deepEqual([cube.name, cube.version, cube.description, cube.pre_aggregations], ['reports.sales', 'v1.0', 'Sales.', [id]]);
  assert.deepEqual((await done(run, ['preagg', 'cubes', String(id)])).map((used) => used.name), ['reports.sales']);
  assert.match(await text(run, ['preagg', 'cubes', name]), /reports\.sales +cube +v1\.0 +valid/);
  assert.ok((await done(run, ['cube', 'list'])).some((other) => other.name === 'reports.sales'));
  assert.match(await text(run, ['cube', 'show', 'reports.sales']), /order_details\.total_revenue/);

  assert.match(await text(run, ['preagg', 'materialize', name]), new RegExp(`${name}: built \\(\\d+ ms, 2 rows\\)`));
  assert.match(await text(run, ['preagg', 'materialize', String(id)]), /is built already/);
  const built = await done(run, ['preagg', 'materialize', String(id), '--force']);
  assert.deepEqual([built.status, built.served_build.version, built.row_count], ['active', 2, 2]);
  assert.deepEqual((await done(run, ['preagg', 'builds', String(id)])).map((build) => [build.version, build.status]), [[2, 'done'], [1, 'dropped']]);
  const answer = await done(run, ['query', JSON.stringify(one.query)]);
  assert.deepEqual([rowsOf(answer), Server.served(answer)], [one.rows, [name]]);

  const history = await done(run, ['preagg', 'history', String(id)]);
  assert.deepEqual(history.filter((row) => ['create', 'widen'].includes(row.activity_type)).map((row) => [row.activity_type, row.user]).reverse(), [['create', 'cli'], ['widen', 'cli']]);
  assert.match(await text(run, ['preagg', 'history', String(id)]), /status_change/);
  for (const [flag, value, wanted] of [['--node', 'order_details', 2], ['--status', 'active', 1], ['--cube', 'reports.sales', 1], ['--node', 'page_views', 0]])
    assert.equal((await done(run, ['preagg', 'list', flag, value])).pre_aggregations.length, wanted, `${flag} ${value}`);

  assert.match(await refused(run, ['preagg', 'rm', String(id)], 1, 'preagg.in_use'), /reports\.sales/);
  await text(run, ['cube', 'rm', 'reports.sales']);
  assert.match(await text(run, ['preagg', 'rm', name]), /deleted/);
  await refused(run, ['preagg', 'rm', String(id)], 1, 'preagg.not_found');
  const after = await done(run, ['query', JSON.stringify(one.query)]);
  assert.deepEqual([rowsOf(after), Server.served(after)], [one.rows, []]);
}

test('the whole way of an entity, through a running server', async (t) => {
  const server = await serve(t, files());
  await wholeWay((args) => server.granary(args));
  await server.stop();
  assert.deepEqual(await storedTables(server.folder), []);
});

test('the whole way of an entity, without a server', async (t) => {
  const { folder, granary } = workspace(t, files());
  await wholeWay(granary);
  assert.deepEqual(await storedTables(folder), []);
});

test('what one command made the next finds, with a server or without, and at an older version', async (t) => {
  const { folder, granary: run } = workspace(t, files());
  const { preaggs: [{ id, name }] } = await done(run, ['preagg', 'plan', ...members('total_revenue total_quantity', 'status')]);
  await text(run, ['preagg', 'materialize', name]);
  const server = new Server(folder, {});
  t.after(() => server.stop());
  await server.start();
  assert.deepEqual(Server.served(await server.result(one.query)), [name]);
  assert.equal((await get(server, id)).status, 'active');
  await server.stop();
  write(folder, 'model/shop.yml', model({ sql: orderSql(' WHERE i.quantity > 1') })['model/shop.yml']);
  assert.equal((await done(run, ['preagg', 'show', String(id)])).status, 'stale');
  assert.deepEqual((await done(run, ['preagg', 'list', '--status', 'stale'])).pre_aggregations.length, 1);
  const old = await done(run, ['query', JSON.stringify({ ...one.query, preAggregationVersion: 'v1.0' })]);
  assert.deepEqual([rowsOf(old), Object.values(old.usedPreAggregations).map((used) => used.id)], [one.rows, [id]]);
  await text(run, ['preagg', 'rm', String(id)]);
});

test('--local beside a running server is refused: the store is its own', async (t) => {
  const server = await serve(t, files());
  await refused((args) => server.granary(args), ['preagg', 'plan', ...members('total_revenue', 'status'), '--local'], 3, 'store.locked');
});

describe('what is refused', () => {
  const server = shared(files());
  const run = (args) => server.granary(args);
  const wrong = [
    [['preagg', 'show', '4711'], 1, 'preagg.not_found'], [['preagg', 'show', 'order_details.none'], 1, 'preagg.not_found'], [['preagg', 'materialize', '4711'], 1, 'preagg.not_found'],
    [['preagg', 'plan', ...members('none', 'status')], 1, 'query.unknown_member'], [['preagg', 'plan', ...members('total_revenue', 'status'), '--strategy', 'view'], 1, 'query.invalid'],
    [['preagg', 'plan'], 2, 'cli.usage'], [['preagg', 'show'], 2, 'cli.usage'], [['preagg', 'list', '--status', 'ready'], 1, 'query.invalid'], [['preagg', 'list', '--node', 'none'], 1, 'node.not_found'],
    [['cube', 'show', 'none'], 1, 'node.not_found'], [['cube', 'rm', 'order_details'], 1, 'node.of_model'], [['lineage', 'none'], 1, 'node.not_found'], [['lineage', '--dot', '--json'], 2, 'cli.usage'],
    [['import', 'dj-materializations', '/no/such/file'], 2, 'cli.usage'],
  ];
  for (const [args, code, id] of wrong)
    test(`${args.join(' ')}: ${id}`, async () => {
      await refused(run, args, code, id);
      if (code === 2) return; // a command line that was not understood may have no --json
      const json = await run([...args, '--json']);
      assert.equal(json.code, code);
      assert.equal(json.json?.id, id, json.stdout);
    });
});

test('a build that fails: exit code, and the reason', async (t) => {
  const broken = files({ measures: '      - {name: broken, type: sum, sql: "CAST({CUBE}.status AS INTEGER)"}\n' });
  const { granary: run } = workspace(t, broken);
  const { preaggs: [{ id }] } = await done(run, ['preagg', 'plan', ...members('broken', 'product.category')]);
  const result = await run(['preagg', 'materialize', String(id)]);
  assert.notEqual(result.code, 0);
  assert.match(result.stderr, /error\[preagg\.build_failed\]: .*completed/);
  assert.match(await text(run, ['preagg', 'show', String(id)]), /^status +failed$/m);
});

test('Ctrl-C ends the waiting, and the server goes on with the build', async (t) => {
  const server = await serve(t, { ...files(), 'model/slow.yml': slowCube('slow', 400000000) }, { env: { GRANARY_HTTP_DRAIN_MS: '50' } });
  const { preaggs: [{ id }] } = await done((args) => server.granary(args), ['preagg', 'plan', '--metrics', 'slow.longest', '--dimensions', 'slow.k']);
  const waiting = startProcess(['preagg', 'materialize', String(id), '-c', path.join(server.folder, 'granary.yml')], { cwd: server.folder });
  await until('the build to run', async () => (await get(server, id)).status === 'materializing');
  waiting.child.kill('SIGINT');
  await waiting.ended;
  assert.equal(waiting.code, 4, waiting.stderr);
  assert.equal((await get(server, id)).status, 'materializing');
});

// ---- lineage ------------------------------------------------------------------------------------------------------

describe('lineage', () => {
  const server = shared(files());
  const run = (args) => server.granary(args);
  let id, name, other;
  before(async () => {
    [{ id, name }] = (await done(run, ['preagg', 'plan', ...members('total_revenue', 'status product.category'), '--filter', "location_to.country = 'CA'"])).preaggs;
    [{ id: other }] = (await done(run, ['preagg', 'plan', '--metrics', 'page_views.page_view_count', '--dimensions', 'page_views.page_type'])).preaggs;
    await done(run, ['cube', 'create', 'reports.sales', ...members('total_revenue', 'status product.category'), '--filter', "location_to.country = 'CA'"]);
  });
  const has = (graph, ...wanted) => wanted.forEach((node) => assert.ok(graph.nodes.some((n) => n.id === node), `${node} is in ${graph.nodes.map((n) => n.id).join(' ')}`));
  const hasNot = (graph, ...others) => others.forEach((node) => assert.ok(!graph.nodes.some((n) => n.id === node), `${node} is not of it`));
  // all that it comes from
  const above = (graph, from) => {
    const found = new Set([from]);
    for (let grew = true; grew; ) {
      const before = found.size;
      for (const edge of graph.edges) if (found.has(edge.to)) found.add(edge.from);
      grew = found.size > before;
    }
    return found;
  };

  test('of an entity: from tables and columns to it, and on to the cube and what it serves', async () => {
    const graph = await done(run, ['lineage', String(id)]);
    const entity = `pre_aggregation:${id}`;
    has(graph, entity, 'member:order_details.total_revenue', 'member:order_details.status', 'member:product.category', 'member:location_to.country', 'table:products', 'column:products.category', 'column:locations.country', 'cube:reports.sales', 'metric:order_details.total_revenue', `component:${id}.order_details__total_revenue`);
    hasNot(graph, `pre_aggregation:${other}`, 'table:page_views', 'column:products.subcategory', 'member:order_details.total_quantity');
    const sources = above(graph, entity);
    for (const node of ['table:products', 'column:products.category', 'member:order_details.total_revenue', 'column:locations.country']) assert.ok(sources.has(node), node);
    for (const node of ['cube:reports.sales', 'metric:order_details.total_revenue']) assert.ok(!sources.has(node), node);
    assert.ok(graph.edges.some(({ from, to }) => from === entity && to === 'cube:reports.sales'));
    assert.ok(graph.edges.some(({ from, to }) => from === entity && to === 'metric:order_details.total_revenue'));
    assert.deepEqual(await done(run, ['lineage', name]), graph, 'by name');
    assert.deepEqual((await server.fetch(`/pre-aggregations/${id}/lineage`)).body, graph);
  });

  test('does not come from what it does not read', async () => {
    const graph = await done(run, ['lineage', String(id)]);
    const sources = above(graph, `pre_aggregation:${id}`);
    for (const node of ['member:order_details.order_count', 'member:order_details.avg_order_value', 'column:sql of order_details.order_id']) assert.ok(!sources.has(node), `${node} is read for ${[...sources].join(' ')}`);
  });

  test('of a member and of a node', async () => {
    has(await done(run, ['lineage', 'product.category']), 'column:products.category', `pre_aggregation:${id}`, 'cube:reports.sales');
    hasNot(await done(run, ['lineage', 'product.subcategory']), `pre_aggregation:${id}`);
    const node = await done(run, ['lineage', 'page_views']);
    has(node, 'table:page_views', 'member:page_views.page_view_count', `pre_aggregation:${other}`);
    hasNot(node, `pre_aggregation:${id}`);
    assert.deepEqual((await server.fetch('/nodes/page_views/lineage')).body, node);
    const all = await done(run, ['lineage']);
    has(all, 'table:products', `pre_aggregation:${id}`, `pre_aggregation:${other}`, 'member:location_from.city');
    const known = new Set(all.nodes.map((n) => n.id));
    assert.equal(known.size, all.nodes.length);
    for (const { from, to } of all.edges) assert.ok(known.has(from) && known.has(to) && from !== to, `${from} -> ${to}`);
  });

  test('as text, and as a graph for Graphviz with the same nodes and edges', async () => {
    const graph = await done(run, ['lineage', String(id)]);
    const arrows = await text(run, ['lineage', String(id)]);
    assert.match(arrows, new RegExp(`^component:${id}\\.order_details__total_revenue +pre_aggregation:${id}$`, 'm'));
    const dot = await text(run, ['lineage', String(id), '--dot']);
    assert.match(dot, /^digraph lineage \{\n/);
    assert.match(dot, /\n\}\n$/);
    assert.deepEqual([...dot.matchAll(/^ {2}"(.*?)" \[label="/gm)].map((match) => match[1]), graph.nodes.map((node) => node.id));
    assert.deepEqual([...dot.matchAll(/^ {2}"(.*?)" -> "(.*?)";$/gm)].map(([, from, to]) => ({ from, to })), graph.edges);
    const answer = await server.fetch(`/lineage?name=${id}&format=dot`);
    assert.deepEqual([answer.text, /^text\/vnd\.graphviz/.test(answer.headers.get('content-type'))], [dot, true]);
  });
});

// ---- import -------------------------------------------------------------------------------------------------------

const blob = (source_node, grain, measures) => ({ measures_materialization: { source_node, grain, measures, table_hash: 'abc123', status: 'active' } });

async function imports(run, folder) {
  const blobs = {
    'old.revenue': blob('v3.order_details', ['status'], ['total_revenue']),
    'old.more': blob('v3.order_details', ['status'], ['sum_quantity']),
    'old.by_category': blob('order_details', ['order_details.product.category'], ['order_details.total_revenue']),
    'old.lost': blob('order_details', ['colour'], ['total_revenue']),
    'old.nowhere': blob('v3.nothing', ['status'], ['total_revenue']),
  };
  write(folder, 'blobs.json', JSON.stringify(blobs));
  const { results } = await done(run, ['import', 'dj-materializations', path.join(folder, 'blobs.json')]);
  assert.deepEqual(results.map((line) => [line.cube, line.result, Boolean(line.pre_aggregation_id)]), [
    ['old.revenue', 'imported', true], ['old.more', 'shared', true], ['old.by_category', 'imported', true], ['old.lost', 'skipped', false], ['old.nowhere', 'skipped', false],
  ]);
  assert.equal(results[0].pre_aggregation_id, results[1].pre_aggregation_id, 'one source and grain is one entity');
  assert.match(results[3].problem, /colour/);
  assert.match(results[4].problem, /nothing/);
  const entity = await done(run, ['preagg', 'show', String(results[0].pre_aggregation_id)]);
  assert.deepEqual([entity.status, entity.grain_columns, entity.measures], ['pending', ['order_details.status'], ['order_details__total_revenue', 'order_details__total_quantity']]);
  await text(run, ['preagg', 'materialize', String(entity.id)]);
  const answer = await done(run, ['query', JSON.stringify(query('total_revenue total_quantity', 'status'))]);
  assert.deepEqual([rowsOf(answer), Server.served(answer)], [one.rows, [entity.name]]);
  const again = await done(run, ['import', 'dj-materializations', path.join(folder, 'blobs.json')]);
  assert.deepEqual(again.results.map((line) => line.result), ['shared', 'shared', 'shared', 'skipped', 'skipped'], 'again makes no others');
  assert.equal((await done(run, ['preagg', 'show', String(entity.id)])).status, 'active');
  fs.writeFileSync(path.join(folder, 'bad.json'), '{"cube": 5}');
  await refused(run, ['import', 'dj-materializations', path.join(folder, 'bad.json')], 1, 'query.invalid');
  fs.writeFileSync(path.join(folder, 'bad.json'), '{"cube": ');
  await refused(run, ['import', 'dj-materializations', path.join(folder, 'bad.json')], 1, 'json.syntax');
}

test('DataJunction\'s materializations are imported, through a running server', async (t) => {
  const server = await serve(t, files());
  await imports((args) => server.granary(args), server.folder);
});

test('DataJunction\'s materializations are imported, without a server, and from standard input', async (t) => {
  const { folder, granary: run } = workspace(t, files());
  await imports(run, folder);
  const piped = await run(['import', 'dj-materializations', '-', '--json'], { input: JSON.stringify([{ name: 'x', materialization_config: blob('order_details', [], ['total_revenue']) }]) });
  assert.deepEqual([piped.code, piped.json?.results.map((line) => [line.cube, line.result])], [0, [['x', 'imported']]], piped.stderr);
});
