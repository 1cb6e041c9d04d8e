// The life of an entity: its source changes and it becomes stale, versions that a query pins, builds that fail, a server that
// is killed in a build, builds as JSON and as events; and the whole way on real data (dj.md 5, 8.7; decisions 17–19).
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { assertRows, check } from './answers.mjs';
import { builds, createCube, data, files, get, history, ids, isError, list, materialize, model, numbers, ok, orderSql, planBuilt, planOne, query, reload, sameRows, send, storedTables } from './entities.mjs';
import { csv, Server, serve, until, write } from './helpers.mjs';

const number = (what) => numbers.find((one) => one.what === what);
const revenue = { query: query('total_revenue', 'status'), rows: [['completed', 158], ['pending', 180]] };
const byCategory = number('revenue by category');

async function change(server, changes) {
  write(server.folder, 'model/shop.yml', model(changes)['model/shop.yml']);
  await reload(server);
}

// ---- the source changes -------------------------------------------------------------------------------------------

test('another description: nothing is stale, and the row follows to the new version', async (t) => {
  const server = await serve(t, files());
  const [entity] = await planBuilt(server, 'total_revenue', 'status');
  await createCube(server, 'a.cube', 'total_revenue', 'status');
  await change(server, { description: 'Told otherwise.' });
  const after = await get(server, entity.id);
  assert.deepEqual([after.status, after.node_version, after.is_current, after.cubes, after.served_build], ['active', 'v1.1', true, ['a.cube'], entity.served_build]);
  assert.equal((await list(server)).total, 1);
  await check(server, revenue.query, revenue.rows, entity.name);
  assert.equal((await ok(server.fetch('/nodes/order_details'))).description, 'Told otherwise.');
  assert.deepEqual((await ok(server.fetch('/nodes/order_details/revisions'))).map(({ version }) => version), ['v1.0', 'v1.1']);
});

test('another measure of the source that the row does not hold: nothing is stale', async (t) => {
  const server = await serve(t, files());
  const [entity] = await planBuilt(server, 'total_revenue', 'status');
  await change(server, { measures: '      - {name: bonus, type: sum, sql: "{CUBE}.quantity * 2"}\n' });
  const after = await get(server, entity.id);
  assert.deepEqual([after.status, after.served_build, after.is_current], ['active', entity.served_build, true]);
  await check(server, revenue.query, revenue.rows, entity.name);
});

const newSql = orderSql(' WHERE i.quantity > 1'); // loses 100, 7
const newRows = [['completed', 51], ['pending', 180]];

test('another SQL: stale, with a pending twin that has the cubes and settings; the answer is the source\'s', async (t) => {
  const server = await serve(t, files());
  const [old] = await planBuilt(server, 'total_revenue', 'status', { strategy: 'full', schedule: '0 4 * * *' });
  await createCube(server, 'a.cube', 'total_revenue', 'status');
  await change(server, { sql: newSql });
  const stale = await get(server, old.id);
  const [twin] = await ok(server.fetch('/cubes/a.cube/pre-aggregations'));
  assert.deepEqual([stale.status, stale.node_version, stale.is_current, stale.cubes, stale.is_in_service, stale.served_build], ['stale', 'v1.0', false, [], false, old.served_build]);
  assert.notEqual(twin.id, old.id);
  assert.deepEqual([twin.status, twin.node_version, twin.is_current, twin.grain_hash, twin.cubes, twin.strategy, twin.schedule, twin.served_build], ['pending', 'v2.0', true, old.grain_hash, ['a.cube'], 'full', '0 4 * * *', null]);
  assert.deepEqual(ids((await list(server, '?status=stale')).items), [old.id]);
  // the stale one serves nobody who does not ask for its version
  await check(server, revenue.query, newRows, 'match.not_built');
  await server.restart();
  await check(server, revenue.query, newRows, 'match.not_built');
  assert.equal((await ok(server.fetch('/nodes/order_details'))).version, 'v2.0');
  const built = await materialize(server, twin.id);
  await check(server, revenue.query, newRows, built.name);
  assert.ok((await history(server, old.id)).some((row) => row.activity_type === 'status_change' && JSON.stringify(row.post).includes('stale')));
  isError(await server.post(`/pre-aggregations/${old.id}/materialize`, {}), 409, 'preagg.stale', /v1\.0/);
});

test('a pinned version is answered with its own numbers, until it is deleted', async (t) => {
  const server = await serve(t, files());
  const [old] = await planBuilt(server, 'total_revenue', 'status product.category');
  await change(server, { sql: newSql });
  const [fresh] = await planBuilt(server, 'total_revenue', 'status product.category');
  const pinned = async (key, version) => server.load({ ...revenue.query, [key]: version });
  for (const key of ['preAggregationVersion', 'pre_aggregation_version'])
    for (const [version, id, rows] of [['v1.0', old.id, revenue.rows], ['v2.0', fresh.id, newRows]]) {
      const { status, body, text } = await pinned(key, version);
      assert.equal(status, 200, text);
      sameRows(body, revenue.query, rows);
      assert.deepEqual(Object.values(body.usedPreAggregations).map((used) => used.id), [id]);
    }
  await check(server, revenue.query, newRows, fresh.name);
  const none = await pinned('preAggregationVersion', 'v7.0');
  assert.deepEqual([none.status, none.body.usedPreAggregations], [400, undefined], none.text);
  assert.match(none.body.error, /v7\.0/);
  const unheld = await server.load({ ...query('total_quantity', 'status'), preAggregationVersion: 'v1.0' });
  assert.equal(unheld.status, 400, 'the source has the new definition, and does not answer for the old one');
  assert.equal((await server.load({ ...revenue.query, preAggregationVersion: 3 })).status, 400);
  await server.restart();
  sameRows((await pinned('preAggregationVersion', 'v1.0')).body, revenue.query, revenue.rows);
  await ok(send(server, 'DELETE', `/pre-aggregations/${old.id}`));
  assert.equal((await pinned('preAggregationVersion', 'v1.0')).status, 400);
  await check(server, revenue.query, newRows, fresh.name);
});

test('a pinned version: what its columns hold is its own; what today makes of them otherwise is not answered', async (t) => {
  const server = await serve(t, files());
  const text = model()['model/shop.yml'];
  const edit = async (...changes) => {
    const edited = changes.reduce((was, [from, to]) => was.replace(from, to), text);
    assert.notEqual(edited, text);
    write(server.folder, 'model/shop.yml', edited);
    await reload(server);
  };
  const old = (measures, dimensions = 'status') => server.load({ ...query(measures, dimensions), preAggregationVersion: 'v1.0' });
  const refused = async (measures, dimensions) => {
    const answer = await old(measures, dimensions);
    assert.deepEqual([answer.status, answer.body.id], [400, 'plan.version'], `${measures}: ${answer.text}`);
  };
  await planBuilt(server, 'total_revenue max_unit_price min_unit_price price_spread', 'status');
  await planBuilt(server, 'total_quantity max_unit_price', 'status product.category');
  const [max, spread] = [query('max_unit_price', 'status'), query('price_spread', 'status')];
  const [maxRows, spreadRows] = [(await server.result(max)).data, (await server.result(spread)).data];
  const plain = (rows) => [...(rows ?? [])].map((row) => JSON.stringify(row)).sort();

  const same = async (measures, rows) => {
    const { body, text } = await old(measures);
    assert.deepEqual(plain(body.data), plain(rows), text);
  };

  // another formula over the same columns; another SQL of what is stored
  const twice = ['{name: max_unit_price, type: max, sql: "{CUBE}.unit_price"}', '{name: max_unit_price, type: max, sql: "{CUBE}.unit_price * 2"}'];
  await edit(twice, ['{max_unit_price} - {min_unit_price}', '{max_unit_price} + {min_unit_price}']);
  await refused('price_spread');
  await same('max_unit_price', maxRows);
  await edit(twice);
  await same('max_unit_price', maxRows);
  await same('price_spread', spreadRows);
  // another aggregation: maxima are not summed
  await edit(['{name: max_unit_price, type: max,', '{name: max_unit_price, type: sum,']);
  await refused('max_unit_price');
  await refused('max_unit_price', '');
  await refused('price_spread');
  assert.equal((await old('total_revenue')).status, 200);
  assert.equal((await old('total_quantity')).status, 200);
  // other joins: which rows were repeated is not known any more, where the table was made over joins
  const product = /(name: product\b[^}]*relationship: )many_to_one/;
  assert.match(text, product);
  await edit(twice, [product, '$1one_to_one']);
  await refused('total_quantity');
  assert.equal((await old('total_revenue')).status, 200);
});

test('there and back with what it does not hold: the current version is pinned as it is asked for', async (t) => {
  const server = await serve(t, files());
  await planBuilt(server, 'total_revenue', 'status');
  await change(server, { measures: '      - {name: bonus, type: sum, sql: "{CUBE}.quantity * 2"}\n' });
  const pinned = async () => {
    const { version } = await ok(server.fetch('/nodes/order_details'));
    sameRows(await server.result({ ...revenue.query, preAggregationVersion: version }), revenue.query, revenue.rows);
    return version;
  };
  assert.equal(await pinned(), 'v2.0');
  await change(server, {});
  assert.equal(await pinned(), 'v1.0');
});

test('back to what it was: the old version is the current one, and what was built serves again', async (t) => {
  const server = await serve(t, files());
  const [old] = await planBuilt(server, 'total_revenue', 'status');
  await change(server, { sql: newSql });
  assert.equal((await get(server, old.id)).status, 'stale');
  await change(server, {});
  const again = await get(server, old.id);
  assert.deepEqual([again.status, again.node_version, again.is_current, again.served_build], ['active', 'v1.0', true, old.served_build]);
  await check(server, revenue.query, revenue.rows, old.name);
});

test('a cube that is joined changes: what reads it is stale, what does not is not', async (t) => {
  const server = await serve(t, files());
  const [status] = await planBuilt(server, 'total_revenue', 'status');
  const [category] = await planBuilt(server, 'total_revenue', 'product.category');
  const text = model()['model/shop.yml'].replace('- {name: category, sql: category, type: string}', '- {name: category, sql: "upper({CUBE}.category)", type: string}');
  write(server.folder, 'model/shop.yml', text);
  await reload(server);
  assert.deepEqual([(await get(server, status.id)).status, (await get(server, category.id)).status], ['active', 'stale']);
  await check(server, revenue.query, revenue.rows, status.name);
  await check(server, byCategory.query, [[null, 7], ['OFFICE', 305], ['TOYS', 26]], 'match.not_built');
});

test('a measure changes: what holds it is stale, and its neighbours are not served from it', async (t) => {
  const server = await serve(t, files());
  const [held] = await planBuilt(server, 'total_revenue', 'status');
  const [other] = await planBuilt(server, 'total_quantity', 'product.category');
  await change(server, { revenue: '{CUBE}.line_total * 2' });
  assert.deepEqual([(await get(server, held.id)).status, (await get(server, other.id)).status], ['stale', 'active']);
  await check(server, revenue.query, [['completed', 316], ['pending', 360]], 'match.not_built');
  await check(server, query('total_quantity', 'product.category'), [[null, 1], ['Office', 18], ['Toys', 6]], other.name);
});

test('the source changes while it is built: the build ends stale, and is not served', async (t) => {
  const server = await serve(t, { ...files(), ...heavy(5) }, quick);
  const { id } = await planOne(server, 'heavy.longest', 'heavy.k');
  assert.equal((await server.post(`/pre-aggregations/${id}/materialize`, '')).status, 202);
  await building(server, id);
  write(server.folder, 'model/heavy.yml', heavyModel.replace("|| 'x'", "|| 'y'"));
  await reload(server);
  const after = await until('the build to end', async () => {
    const entity = await get(server, id);
    return entity.status === 'materializing' ? null : entity;
  }, 60000);
  assert.deepEqual([after.status, after.is_current], ['stale', false]);
  const [row] = await server.rows({ measures: ['heavy.longest'] });
  assert.match(row['heavy.longest'], /^[0-9a-f]{32}$/);
  assert.deepEqual(Server.served(await server.result({ measures: ['heavy.longest'], dimensions: ['heavy.k'], limit: 1 })), []);
});

// ---- builds that fail ---------------------------------------------------------------------------------------------

// One quantity decides whether a build can be done; types stay.
const items = (quantity) => data['data/order_items.csv'].replace('103,2,99,1,', `103,2,99,${quantity},`);
const strict = { measures: `      - {name: checked, type: sum, sql: "CASE WHEN {CUBE}.quantity > 1000 THEN CAST({CUBE}.status || ' is too much' AS INTEGER) ELSE {CUBE}.quantity END"}\n` };
const checked = { query: query('checked', 'status'), rows: [['completed', 23], ['pending', 2]] };

test('a build fails: failed with the reason; the next try works and the reason is gone', async (t) => {
  const server = await serve(t, { ...files(strict), 'data/order_items.csv': items(5000) });
  const { id, name } = await planOne(server, 'checked', 'status');
  isError(await server.post(`/pre-aggregations/${id}/materialize`, { wait: true }), 500, 'preagg.build_failed', /is too much/);
  const failed = await get(server, id);
  assert.deepEqual([failed.status, failed.table, failed.served_build, failed.materialized_at], ['failed', null, null, null]);
  assert.match(failed.materialization_error, /is too much/);
  const [build] = await builds(server, id);
  assert.deepEqual([build.status, build.version, build.rows], ['failed', 1, null]);
  assert.match(build.error, /is too much/);
  assert.deepEqual(ids((await list(server, '?status=failed')).items), [id]);
  await server.restart();
  assert.deepEqual(await get(server, id), failed, 'it is told after a restart');
  isError(await server.post(`/pre-aggregations/${id}/materialize`, { wait: true }), 500, 'preagg.build_failed');
  write(server.folder, 'data/order_items.csv', items(1));
  const built = await materialize(server, id);
  assert.deepEqual([built.materialization_error, built.served_build.version], [null, 3]);
  assert.deepEqual((await builds(server, id)).map(({ version, status }) => [version, status]), [[3, 'done'], [2, 'failed'], [1, 'failed']]);
  await check(server, checked.query, checked.rows, name);
  const steps = (await history(server, id)).filter((row) => row.activity_type === 'status_change').map((row) => row.post.status);
  assert.deepEqual(steps.reverse(), ['materializing', 'failed', 'materializing', 'failed', 'materializing', 'active']);
  await server.stop();
  assert.equal((await storedTables(server.folder)).length, 1);
});

test('a build fails where one served: it goes on serving, and both is told', async (t) => {
  const server = await serve(t, files(strict));
  const [entity] = await planBuilt(server, 'checked total_revenue', 'status');
  write(server.folder, 'data/order_items.csv', items(5000));
  assert.equal((await server.post(`/pre-aggregations/${entity.id}/materialize`, { wait: true, force: true })).status, 500);
  const after = await get(server, entity.id);
  assert.deepEqual([after.status, after.served_build, after.table], ['failed', entity.served_build, entity.table]);
  assert.match(after.materialization_error, /is too much/);
  for (const { query: one, rows } of [checked, revenue]) {
    const result = await server.result(one);
    sameRows(result, one, rows);
    assert.deepEqual(Server.served(result), [entity.name]);
  }
  await server.restart();
  assert.deepEqual(Server.served(await server.result(checked.query)), [entity.name]);
});

// ---- long builds --------------------------------------------------------------------------------------------------

// `size` million rows, from a file, so that the same definition is long or short.
const heavyModel = `cubes:
  - name: heavy
    sql: "SELECT i AS id, i % 100 AS k, md5(i::VARCHAR) AS h FROM size, range(100000) AS r(i)"
    measures:
      - {name: rows, type: count}
      - {name: longest, type: max, sql: "md5({CUBE}.h || 'x')"}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: k, sql: k, type: number}
`;
const size = (n) => csv(['n'], Array.from({ length: n * 10 }, (_, i) => [i]));
const heavy = (n) => ({ 'model/heavy.yml': heavyModel, 'data/size.csv': size(n) });
const quick = { env: { GRANARY_HTTP_DRAIN_MS: '50' } };
const building = (server, id) => until('the build to run', async () => (await builds(server, id))[0]?.status === 'running');

test('kill -9 in a build: failed after the restart, with the reason, no half table; the next try works', async (t) => {
  const server = await serve(t, { ...files(), ...heavy(400) }, quick);
  const { id, name } = await planOne(server, 'heavy.longest heavy.rows', 'heavy.k');
  assert.equal((await server.post(`/pre-aggregations/${id}/materialize`, '')).status, 202);
  await building(server, id);
  await server.kill();
  await server.start();
  const failed = await get(server, id);
  assert.deepEqual([failed.status, failed.table, failed.served_build], ['failed', null, null]);
  assert.ok(failed.materialization_error, 'there is a reason');
  const [build] = await builds(server, id);
  assert.deepEqual([build.status, build.version, build.error], ['failed', 1, failed.materialization_error]);
  const one = { measures: ['heavy.rows'], dimensions: ['heavy.k'], limit: 1, order: { 'heavy.k': 'asc' } };
  await server.stop();
  assert.deepEqual(await storedTables(server.folder), []);
  write(server.folder, 'data/size.csv', size(1));
  await server.start();
  const built = await materialize(server, id);
  assert.deepEqual([built.materialization_error, built.row_count, built.served_build.version], [null, 100, 2]);
  const result = await server.result(one);
  assert.deepEqual([Server.served(result), result.data], [[name], [{ 'heavy.k': '0', 'heavy.rows': '10000' }]]);
  await server.stop();
  assert.equal((await storedTables(server.folder)).length, 1);
});

test('kill -9 while it is built again: what served goes on serving after the restart', async (t) => {
  const server = await serve(t, { ...files(), ...heavy(1) }, quick);
  const [entity] = await planBuilt(server, 'heavy.longest', 'heavy.k');
  write(server.folder, 'data/size.csv', size(400));
  assert.equal((await server.post(`/pre-aggregations/${entity.id}/materialize`, { force: true })).status, 202);
  await building(server, entity.id);
  await server.kill();
  await server.start();
  const after = await get(server, entity.id);
  assert.deepEqual([after.status, after.served_build, after.table], ['failed', entity.served_build, entity.table]);
  assert.deepEqual(Server.served(await server.result({ measures: ['heavy.longest'], dimensions: ['heavy.k'], limit: 1 })), [entity.name]);
  await server.stop();
  assert.equal((await storedTables(server.folder)).length, 1);
});

// Events of a stream: [{event, data}]
const eventsOf = (text) =>
  text.split('\n\n').map((part) => ({ event: /^event: (.*)$/m.exec(part)?.[1], data: /^data: (.*)$/m.exec(part)?.[1] })).filter(({ event }) => event).map(({ event, data: json }) => ({ event, data: JSON.parse(json) }));

test('builds, as JSON and as events with progress', async (t) => {
  const server = await serve(t, { ...files(strict), ...heavy(4) });
  const { id, name } = await planOne(server, 'heavy.longest', 'heavy.k');
  assert.deepEqual(await builds(server, id), []);
  const stream = (which) => server.fetch(`/pre-aggregations/${which}/builds`, { headers: { accept: 'text/event-stream' } });
  assert.equal((await server.post(`/pre-aggregations/${id}/materialize`, '')).status, 202);
  const listening = stream(id);
  await building(server, id);
  const [running] = await builds(server, id);
  assert.deepEqual([running.pre_aggregation_id, running.version, running.status, running.finished_at, running.rows, running.error], [id, 1, 'running', null, null, null]);
  assert.ok(running.progress === null || (running.progress >= 0 && running.progress <= 1));
  const { status, headers, text } = await listening;
  assert.equal(status, 200);
  assert.match(headers.get('content-type'), /^text\/event-stream/);
  const events = eventsOf(text);
  assert.ok(events.length >= 2, text);
  for (const { event, data: one } of events.slice(0, -1)) assert.deepEqual([event, one.pre_aggregation_id, one.pre_aggregation, one.status, one.is_done], ['progress', id, name, 'materializing', false], text);
  const shares = events.map((one) => one.data.progress).filter((share) => share !== null);
  assert.deepEqual(shares, [...shares].sort((a, b) => a - b), 'it does not go back');
  const last = events.at(-1);
  assert.deepEqual([last.event, last.data.status, last.data.is_done, last.data.progress, last.data.rows], ['done', 'active', true, 1, 100], text);
  const [done] = await builds(server, id);
  assert.deepEqual([done.status, done.progress, done.rows, done.measures, done.error], ['done', 1, 100, ['heavy__longest'], null]);
  assert.ok(done.finished_at >= done.started_at && done.build_ms > 0 && done.server);
  // of a build that is over: one event
  assert.deepEqual(eventsOf((await stream(id)).text).map(({ event, data: one }) => [event, one.is_done]), [['done', true]]);
  for (let version = 2; version <= 3; version++) await materialize(server, id, { force: true });
  assert.deepEqual((await ok(server.fetch(`/pre-aggregations/${id}/builds?limit=2`))).map((build) => build.version), [3, 2]);
  // one that fails says so
  write(server.folder, 'data/order_items.csv', items(5000));
  const broken = await planOne(server, 'checked', 'status');
  await server.post(`/pre-aggregations/${broken.id}/materialize`, { wait: true });
  const [failed] = eventsOf((await stream(broken.id)).text);
  assert.deepEqual([failed.event, failed.data.is_done, failed.data.status], ['failed', true, 'failed']);
  assert.match(failed.data.error, /is too much/);
});

test('many ask for one build at once: one is made', async (t) => {
  const server = await serve(t, { ...files(), ...heavy(3) });
  const { id } = await planOne(server, 'heavy.longest', 'heavy.k');
  const answers = await Promise.all(Array.from({ length: 8 }, () => server.post(`/pre-aggregations/${id}/materialize`, '')));
  const by = (status) => answers.filter((answer) => answer.status === status).length;
  assert.deepEqual([by(202), by(409)], [1, 7], answers.map(({ text }) => text.slice(0, 200)).join('\n'));
  await until('the build', async () => (await get(server, id)).status === 'active', 30000);
  assert.equal((await builds(server, id)).length, 1);
});

test('many plan at one grain at once: one row with all of it', async (t) => {
  const server = await serve(t, files());
  const metrics = ['total_revenue', 'total_quantity', 'max_unit_price', 'min_unit_price', 'line_count', 'customer_count'];
  const made = await Promise.all(metrics.map((metric, i) => (i % 2 ? createCube(server, `a.cube${i}`, metric, 'status').then((node) => node.pre_aggregations[0]) : planOne(server, metric, 'status').then((entity) => entity.id))));
  assert.equal(new Set(made).size, 1);
  const entity = await get(server, made[0]);
  assert.deepEqual([entity.measures.length, entity.cubes], [6, ['a.cube1', 'a.cube3', 'a.cube5']]);
  await materialize(server, entity.id);
  await check(server, query('total_revenue total_quantity max_unit_price line_count', 'status'), [['completed', 158, 23, 100, 6], ['pending', 180, 2, 90, 1]], entity.name);
});

// ---- real data ----------------------------------------------------------------------------------------------------

const real = process.env.GRANARY_TEST_DATA && path.resolve(process.env.GRANARY_TEST_DATA, 'flights');
const flights = `cubes:
  - name: flights
    sql_table: flights
    joins:
      - {name: airports, relationship: many_to_one, sql: "{CUBE}.origin = {airports.iata}"}
    measures:
      - {name: count, type: count}
      - {name: distance, type: sum, sql: distance}
      - {name: mean_delay, type: avg, sql: delay}
      - {name: worst_delay, type: max, sql: delay}
      - {name: destinations, type: count_distinct_approx, sql: destination}
    dimensions:
      - {name: key, sql: "{CUBE}.origin || {CUBE}.destination || {CUBE}.departed_at", type: string, primary_key: true}
      - {name: origin, sql: origin, type: string}
      - {name: departed_at, sql: departed_at, type: time}
  - name: airports
    sql_table: airports
    dimensions:
      - {name: iata, sql: iata, type: string, primary_key: true}
      - {name: state, sql: state, type: string}
`;

test('real flights: planned, built, and answers from the entity are those of the source', { skip: !(real && fs.existsSync(path.join(real, 'flights.parquet'))) }, async (t) => {
  const server = await serve(t, { 'model/flights.yml': flights }, { prepare: (folder) => ['flights.parquet', 'airports.csv'].forEach((file) => fs.copyFileSync(path.join(real, file), path.join(folder, 'data', file))) });
  const measures = ['flights.count', 'flights.distance', 'flights.mean_delay', 'flights.worst_delay', 'flights.destinations'];
  const { preaggs } = await ok(server.post('/preaggs/plan', { metrics: measures, dimensions: ['flights.origin', 'airports.state', 'flights.departed_at.day'] }), 201);
  const [{ id, name, grain_columns }] = preaggs;
  assert.deepEqual([preaggs.length, grain_columns], [1, ['flights.airports.state', 'flights.departed_at.day', 'flights.origin']]);
  const built = await materialize(server, id);
  assert.ok(built.row_count > 1000);
  const queries = [
    { measures, dimensions: ['airports.state'] },
    { measures, dimensions: [] },
    { measures: measures.slice(0, 4), dimensions: ['flights.origin'], timeDimensions: [{ dimension: 'flights.departed_at', granularity: 'month' }] },
    { measures, dimensions: [], timeDimensions: [{ dimension: 'flights.departed_at', granularity: 'week' }], filters: [{ member: 'airports.state', operator: 'equals', values: ['CA', 'TX'] }] },
  ];
  for (const one of queries) {
    const limited = { ...one, limit: 50000 };
    const [fromEntity, fromSource] = [await server.result(limited), await server.result(limited, '?without_rollups=1')];
    assert.deepEqual([Server.served(fromEntity), Server.served(fromSource)], [[name], []]);
    const columns = Object.keys(fromSource.data[0]);
    assert.ok(fromSource.data.length > 0);
    const rows = (result) => result.data.map((row) => columns.map((key) => (/^-?\d/.test(row[key] ?? '') && !/T/.test(row[key]) ? Number(row[key]) : row[key])));
    assertRows(rows(fromEntity), rows(fromSource));
  }
});
