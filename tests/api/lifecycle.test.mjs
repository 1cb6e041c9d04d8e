// Builds, restarts, reloads, signals, kills, and the command line beside a running server.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { test } from 'node:test';
import { Database } from './duckdb.mjs';
import { csv, granary, makeFolder, Server, serve, sleep, slowCube, startProcess, until, workspace, write } from './helpers.mjs';

const rows = Array.from({ length: 50 }, (_, i) => [i + 1, ['a', 'b', 'c'][i % 3], i]);
const itemsModel = ({ amount = 'amount', rollup = 'measures: [count, total], dimensions: [kind]', more = '' } = {}) => `cubes:
  - name: items
    sql_table: items
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: "${amount}"}
      - {name: bad, type: sum, sql: "{CUBE}.no_such_column"}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: kind, sql: kind, type: string}
${more}    pre_aggregations:
      - {name: main, ${rollup}}
`;
const files = { 'data/items.csv': csv(['id', 'kind', 'amount'], rows), 'model/items.yml': itemsModel() };
const query = { measures: ['items.total', 'items.count'], dimensions: ['items.kind'], order: { 'items.kind': 'asc' } };
const sums = (factor = 1) =>
  ['a', 'b', 'c'].map((kind) => {
    const of = rows.filter((row) => row[1] === kind);
    return { 'items.kind': kind, 'items.total': String(factor * of.reduce((sum, row) => sum + row[2], 0)), 'items.count': String(of.length) };
  });
// What was counted of hits comes later, with the next time that it is written.
const list = async (server) => (await server.granary(['preagg', 'list', '--json'])).json.pre_aggregations.map(({ hits, last_served_at, ...row }) => row);

// Tables of the embedded store that hold rollups, read with DuckDB while no server runs.
async function storedTables(folder) {
  const db = await Database.open(path.join(folder, '.granary/store.duckdb'), { access_mode: 'READ_ONLY' });
  const names = await db.rows("SELECT table_name AS name FROM duckdb_tables() WHERE NOT internal ORDER BY 1");
  db.close();
  return names.map((row) => row.name);
}

// A rollup whose build takes a second or so, and a query of it.
const slowRollup = '    pre_aggregations:\n      - {name: main, measures: [count, longest], dimensions: [k]}\n';
const slow = (n) => ({ 'model/slow.yml': slowCube('slow', n, slowRollup) });
const slowQuery = { measures: ['slow.count'], dimensions: ['slow.k'], limit: 1, order: { 'slow.k': 'asc' } };
const buildRuns = (server) => until('the build to run', async () => (await server.fetch('/ops/pre-aggregations')).body.pre_aggregations[0].status === 'materializing');

test('a hundred identical requests build once', async (t) => {
  const server = await serve(t, slow(600000));
  const answers = await Promise.all(Array.from({ length: 100 }, () => server.result(slowQuery)));
  for (const answer of answers) {
    assert.deepEqual(answer.data, [{ 'slow.k': '0', 'slow.count': '6000' }]);
    assert.deepEqual(Server.served(answer), ['slow.main']);
  }
  const [built] = await list(server);
  assert.deepEqual([built.id, built.version, built.rows, built.status], ['slow.main', 1, 100, 'active']);
  await server.stop();
  assert.equal((await storedTables(server.folder)).length, 1);
});

test('after a restart the stored table serves, and nothing is built again', async (t) => {
  const server = await serve(t, files);
  const first = await server.result(query);
  const [before] = await list(server);
  await server.restart();
  const second = await server.result(query);
  assert.deepEqual(second.data, sums());
  assert.deepEqual(second.usedPreAggregations, first.usedPreAggregations);
  const known = ({ refresh, ...rest }) => rest; // when it is looked at next is counted from the start
  assert.deepEqual((await list(server)).map(known), [known(before)]);
  assert.equal(second.lastRefreshTime, first.lastRefreshTime);
  // Data that changed since is not seen by the rollup, and is seen by the source: the answer says as of when it is.
  write(server.folder, 'data/items.csv', csv(['id', 'kind', 'amount'], [[1, 'a', 7]]));
  assert.deepEqual(await server.rows(query), sums());
  assert.deepEqual(await server.rows(query, '?without_rollups=1'), [{ 'items.kind': 'a', 'items.total': '7', 'items.count': '1' }]);
});

test('a forced build that joins one under way is built after it was asked for', async (t) => {
  const server = await serve(t, slow(700000));
  const answer = server.result(slowQuery);
  await buildRuns(server);
  const forced = await server.granary(['preagg', 'build', 'slow.main', '--force', '--json']);
  assert.deepEqual(forced.json.pre_aggregations.map((p) => [p.id, p.result]), [['slow.main', 'built']]);
  assert.deepEqual(Server.served(await answer), ['slow.main']);
  assert.equal((await list(server))[0].version, 2);
});

test('preagg build --force builds again, and old tables go away', async (t) => {
  const server = await serve(t, files);
  await server.result(query);
  const again = await server.granary(['preagg', 'build', 'items.main', '--json']);
  assert.deepEqual(again.json.pre_aggregations.map((p) => [p.id, p.result]), [['items.main', 'is built already']]);
  const forced = await server.granary(['preagg', 'build', 'items.main', '--force', '--json']);
  assert.deepEqual(forced.json.pre_aggregations.map((p) => [p.id, p.result]), [['items.main', 'built']]);
  assert.equal((await list(server))[0].version, 2);
  assert.deepEqual(await server.rows(query), sums());
  await server.stop();
  assert.equal((await storedTables(server.folder)).length, 1);
});

test('a build tells its progress, as JSON and as a stream of events', async (t) => {
  const server = await serve(t, slow(700000));
  const route = '/ops/pre-aggregations/slow.main/build';
  const stream = server.post(route, '', { accept: 'text/event-stream' });
  await buildRuns(server);
  const progress = await server.fetch(route);
  assert.deepEqual([progress.status, progress.body.pre_aggregation, progress.body.status, progress.body.is_done], [200, 'slow.main', 'materializing', false], progress.text);
  const { status, headers, text } = await stream;
  assert.equal(status, 200);
  assert.match(headers.get('content-type'), /^text\/event-stream/);
  const events = [...text.matchAll(/^data: (.*)$/gm)].map(([, json]) => JSON.parse(json));
  assert.ok(events.length >= 2, text);
  assert.deepEqual([events.at(0).is_done, events.at(-1).is_done, events.at(-1).status, events.at(-1).rows], [false, true, 'active', 100], text);
  assert.equal((await server.fetch(route)).body.is_done, true);
});

test('a model that was edited between two runs never serves the old table', async (t) => {
  const server = await serve(t, files);
  assert.deepEqual(await server.rows(query), sums());
  await server.stop();
  write(server.folder, 'model/items.yml', itemsModel({ amount: '{CUBE}.amount * 2' }));
  await server.start();
  const result = await server.result(query);
  assert.deepEqual(result.data, sums(2));
  assert.deepEqual(Server.served(result), ['items.main']);
  await server.stop();
  // And back again: the first definition gets its own table, with its own numbers.
  write(server.folder, 'model/items.yml', itemsModel());
  await server.start();
  assert.deepEqual(await server.rows(query), sums());
});

test('a rollup that loses a measure, and gets it back', async (t) => {
  const server = await serve(t, files);
  await server.result(query);
  await server.stop();
  write(server.folder, 'model/items.yml', itemsModel({ rollup: 'measures: [count], dimensions: [kind]' }));
  await server.start();
  const narrow = await server.result(query);
  assert.deepEqual([narrow.data, Server.served(narrow)], [sums(), []]);
  write(server.folder, 'model/items.yml', itemsModel());
  server.signal('SIGHUP');
  const result = await until('the reload', async () => {
    const answer = await server.result(query);
    return Server.served(answer).length && answer;
  });
  assert.deepEqual(result.data, sums());
});

const extra = '      - {name: doubled, sql: "{CUBE}.amount * 2", type: number}\n';
const doubled = { dimensions: ['items.doubled'], limit: 1, order: { 'items.doubled': 'desc' } };

test('SIGHUP reloads the model', async (t) => {
  const server = await serve(t, files, { env: { GRANARY_WATCH: 'false' } });
  assert.equal((await server.load(doubled)).body.id, 'query.unknown_member');
  write(server.folder, 'model/items.yml', itemsModel({ more: extra }));
  await sleep(1300);
  assert.equal((await server.load(doubled)).status, 400, 'without the watcher nothing happens by itself');
  server.signal('SIGHUP');
  await until('the reload', () => server.log().includes('model.reloaded'));
  assert.deepEqual(await server.rows(doubled), [{ 'items.doubled': '98' }]);
});

test('a change of a file reloads the model, also a new file and a removed one', async (t) => {
  const server = await serve(t, files);
  write(server.folder, 'model/items.yml', itemsModel({ more: extra }));
  await until('the reload', async () => (await server.load(doubled)).status === 200, 5000);
  write(server.folder, 'model/deeper/other.yml', itemsModel().replace('name: items', 'name: other'));
  await until('the new file', async () => (await server.load({ measures: ['other.count'] })).status === 200, 5000);
  fs.unlinkSync(path.join(server.folder, 'model/deeper/other.yml'));
  await until('the removal', async () => (await server.load({ measures: ['other.count'] })).status === 400, 5000);
  assert.deepEqual(await server.rows(query), sums());
});

test('an invalid model never replaces the one in service', async (t) => {
  const server = await serve(t, files);
  await server.result(query);
  const broken = [
    ['model.unresolved', itemsModel({ rollup: 'measures: [nothing], dimensions: [kind]' })],
    ['yaml.syntax', 'cubes:\n  - name: items\n    sql_table: [items\n'],
    ['model.duplicate', itemsModel({ more: '      - {name: kind, sql: kind, type: string}\n' })],
  ];
  for (const [id, text] of broken) {
    write(server.folder, 'model/items.yml', text);
    const reload = await server.post('/ops/reload', '');
    assert.deepEqual([reload.status, reload.body.id], [500, 'model.errors'], reload.text);
    const found = reload.body.diagnostics.find((d) => d.id === id);
    assert.ok(found, `${id} in ${reload.text}`);
    assert.match(found.file, /items\.yml$/);
    assert.ok(found.line > 0 && found.column > 0);
    const result = await server.result(query);
    assert.deepEqual([result.data, Server.served(result)], [sums(), ['items.main']]);
  }
  server.signal('SIGHUP');
  await until('the log of it', () => server.log().includes('model.kept'));
  fs.unlinkSync(path.join(server.folder, 'model/items.yml'));
  assert.equal((await server.post('/ops/reload', '')).status, 500);
  assert.deepEqual(await server.rows(query), sums());
  write(server.folder, 'model/items.yml', itemsModel({ more: extra }));
  const reload = await server.post('/ops/reload', '');
  assert.deepEqual([reload.status, reload.body.reloaded, reload.body.changed], [200, true, true], reload.text);
  assert.equal((await server.rows(doubled)).length, 1);
});

test('queries go on while the model is reloaded again and again', async (t) => {
  const server = await serve(t, files);
  await server.result(query);
  let isOver = false;
  const asking = Array.from({ length: 4 }, async () => {
    for (let n = 0; !isOver; n++) assert.deepEqual(await server.rows(query), sums(), `answer ${n}`);
  });
  for (let i = 0; i < 20; i++) {
    write(server.folder, 'model/items.yml', itemsModel({ more: i % 2 ? '' : extra }));
    assert.equal((await server.post('/ops/reload', '')).status, 200);
  }
  isOver = true;
  await Promise.all(asking);
  assert.equal((await list(server))[0].version, 1, 'a reload that does not touch the rollup builds nothing');
});

test('turmoil: queries, builds, drops, reloads and clients that leave, all at once', async (t) => {
  const zones = ['UTC', 'Europe/Berlin', 'Asia/Tokyo', 'America/New_York'];
  const times = rows.map((row, i) => [...row, `2024-01-${String((i % 28) + 1).padStart(2, '0')} ${String(i % 24).padStart(2, '0')}:30:00`]);
  const turmoil = (more = '') =>
    itemsModel({ rollup: 'measures: [count, total], dimensions: [kind], time_dimension: at, granularity: day', more: `      - {name: at, sql: at, type: time}\n${more}` });
  const server = await serve(t, { 'data/items.csv': csv(['id', 'kind', 'amount', 'at'], times), 'model/items.yml': turmoil() });
  const end = Date.now() + 2500;
  const repeat = async (work) => {
    for (let n = 0; Date.now() < end; n++) await work(n);
  };
  const ok = (answer, ...ids) => assert.ok(answer.status < 300 || ids.includes(answer.body?.id), answer.text);
  const leave = async (n) => {
    const leaving = new AbortController();
    const asked = fetch(`${server.url}/cubejs-api/v1/load`, { method: 'POST', body: JSON.stringify({ query: { ...query, timezone: zones[n % 4] } }), signal: leaving.signal });
    setTimeout(() => leaving.abort(), n % 7);
    await asked.then((response) => response.text()).catch(() => {});
  };
  await Promise.all([
    ...zones.map((timezone) => repeat(async () => assert.deepEqual(await server.rows({ ...query, timezone }), sums()))),
    ...zones.map((timezone) => repeat(async () => ok(await server.post('/v1/explain', { query: { ...query, timezone } })))),
    repeat(async (n) => ok(await server.post('/ops/pre-aggregations/items.main/build', { timezone: zones[n % 4], force: true }), 'cancelled')),
    repeat(async () => ok(await server.fetch('/ops/pre-aggregations/items.main', { method: 'DELETE' }))),
    repeat(async () => ok(await server.fetch('/ops/pre-aggregations'))),
    repeat(async (n) => {
      write(server.folder, 'model/items.yml', turmoil(n % 2 ? '' : extra));
      ok(await server.post('/ops/reload', ''));
    }),
    repeat(leave),
    repeat(leave),
  ]);
  assert.deepEqual(await server.rows(query), sums());
  await until('the last request to end', async () => (await server.fetch('/ops/status')).body.open_requests === 1);
  assert.equal((await server.stop()).code, 0);
  const list = await server.granary(['preagg', 'list', '--json']);
  assert.equal((await storedTables(server.folder)).length, list.json.pre_aggregations.filter((p) => p.is_built).length, 'no table is left that nothing names');
});

test('SIGTERM lets a running query finish, then ends with 0', async (t) => {
  const server = await serve(t, slow(1500000));
  const answer = server.fetch('/cubejs-api/v1/load?without_rollups=1', { method: 'POST', body: JSON.stringify({ query: { measures: ['slow.longest'] } }) });
  await until('the query to run', async () => (await server.fetch('/ops/status')).body.busy_workers >= 1);
  server.signal('SIGTERM');
  const { status, text } = await answer;
  assert.equal(status, 200, text);
  await server.run.ended;
  assert.deepEqual([server.run.code, server.run.signal], [0, null]);
  assert.ok(!fs.existsSync(path.join(server.state, 'server.json')));
  assert.match(server.log(), /serve\.stopped/);
  await assert.rejects(fetch(`${server.url}/livez`));
});

test('SIGTERM cancels what does not finish in time', async (t) => {
  const server = await serve(t, slow(200000000), { env: { GRANARY_HTTP_DRAIN_MS: '200' } });
  const answer = server.fetch('/cubejs-api/v1/load?without_rollups=1', { method: 'POST', body: JSON.stringify({ query: { measures: ['slow.longest'] } }) });
  await until('the query to run', async () => (await server.fetch('/ops/status')).body.busy_workers >= 1);
  const before = Date.now();
  server.signal('SIGTERM');
  const { status, body } = await answer;
  assert.deepEqual([status, body.id], [400, 'cancelled']);
  await server.run.ended;
  assert.equal(server.run.code, 0);
  assert.ok(Date.now() - before < 5000, 'it ends soon');
});

test('a client that leaves has its query cancelled', async (t) => {
  const server = await serve(t, slow(400000000));
  const leaving = new AbortController();
  const answer = fetch(`${server.url}/cubejs-api/v1/load?without_rollups=1`, { method: 'POST', body: JSON.stringify({ query: { measures: ['slow.longest'] } }), signal: leaving.signal });
  await until('the query to run', async () => (await server.fetch('/ops/status')).body.busy_workers >= 1);
  leaving.abort();
  await assert.rejects(answer);
  await until('the worker to be free', async () => (await server.fetch('/ops/status')).body.busy_workers === 0, 5000);
});

test('a query that runs into its time limit', async (t) => {
  const server = await serve(t, slow(400000000), { env: { GRANARY_QUERY_TIMEOUT_MS: '200' } });
  const answer = await server.post('/cubejs-api/v1/load?without_rollups=1', { query: { measures: ['slow.longest'] } });
  assert.deepEqual([answer.status, answer.body.id], [400, 'timeout']);
  await server.assertAlive();
});

test('SIGTERM during a build leaves no half table', async (t) => {
  const server = await serve(t, slow(100000000), { env: { GRANARY_HTTP_CONTINUE_WAIT_MS: '50', GRANARY_HTTP_DRAIN_MS: '100' } });
  assert.equal((await server.post('/cubejs-api/v1/load', { query: slowQuery })).body.error, 'Continue wait');
  await buildRuns(server);
  const before = Date.now();
  assert.equal((await server.stop()).code, 0);
  assert.ok(Date.now() - before < 6000);
  assert.deepEqual(await storedTables(server.folder), []);
});

test('kill -9 during a build: the next start works, sees no half table, and builds anew', async (t) => {
  const server = await serve(t, slow(100000000), { env: { GRANARY_HTTP_CONTINUE_WAIT_MS: '50' } });
  assert.equal((await server.post('/cubejs-api/v1/load', { query: slowQuery })).body.error, 'Continue wait');
  await buildRuns(server);
  await sleep(100);
  await server.kill();
  assert.ok(fs.existsSync(path.join(server.state, 'server.json')), 'what the dead server left behind is no hindrance');
  write(server.folder, 'model/slow.yml', slowCube('slow', 1000, slowRollup)); // so that the next build is quick
  await server.start({ env: {} });
  const [entry] = await list(server);
  assert.deepEqual([entry.is_built, entry.status === 'materializing'], [false, false]);
  const result = await server.result(slowQuery);
  assert.deepEqual([result.data, Server.served(result)], [[{ 'slow.k': '0', 'slow.count': '10' }], ['slow.main']]);
  await server.stop();
  assert.equal((await storedTables(server.folder)).length, 1);
});

test('kill -9 while a rollup is built again: the old version goes on serving', async (t) => {
  const server = await serve(t, slow(800000));
  const first = await server.result(slowQuery);
  assert.equal((await server.post('/ops/pre-aggregations/slow.main/build', { force: true })).status, 202);
  await buildRuns(server);
  await server.kill();
  await server.start();
  const second = await server.result(slowQuery);
  assert.deepEqual([second.data, second.usedPreAggregations], [first.data, first.usedPreAggregations]);
  await server.stop();
  assert.equal((await storedTables(server.folder)).length, 1);
});

test('a build that fails: the query is answered from the source, the failure is told, the next query works', async (t) => {
  const server = await serve(t, { ...files, 'model/items.yml': itemsModel({ rollup: 'measures: [count, bad], dimensions: [kind]' }) });
  const count = { measures: ['items.count'], dimensions: ['items.kind'], order: { 'items.kind': 'asc' } };
  const expected = sums().map(({ 'items.total': _, ...row }) => row);
  for (let i = 0; i < 3; i++) {
    const result = await server.result(count);
    assert.deepEqual([result.data, Server.served(result)], [expected, []]);
  }
  const [entry] = await list(server);
  assert.deepEqual([entry.status, entry.is_built], ['failed', false]);
  assert.match(entry.error, /no_such_column/);
  const build = await server.granary(['preagg', 'build', 'items.main', '--json']);
  assert.notEqual(build.code, 0);
  assert.deepEqual(build.json.pre_aggregations.map((p) => [p.id, p.result, p.error_id]), [['items.main', 'failed', 'engine.sql']]);
  // After a restart the failure is still told.
  await server.restart();
  const progress = await server.fetch('/ops/pre-aggregations/items.main/build');
  assert.deepEqual([progress.status, progress.body.status, progress.body.error_id], [200, 'failed', 'preagg.build_failed'], progress.text);
  // And the column appears: the next try works.
  write(server.folder, 'model/items.yml', itemsModel());
  assert.equal((await server.post('/ops/reload', '')).status, 200);
  assert.deepEqual(Server.served(await server.result(query)), ['items.main']);
});

test('the command line beside a running server goes through it', async (t) => {
  const server = await serve(t, files);
  const text = JSON.stringify(query);
  const answer = await server.granary(['query', text, '--json']);
  assert.equal(answer.code, 0, answer.stderr);
  assert.deepEqual(answer.json.data, sums());
  assert.deepEqual(Server.served(answer.json), ['items.main']);
  const fromSource = await server.granary(['query', '-', '--json', '--no-rollups'], { input: text });
  assert.deepEqual([fromSource.json.data, Server.served(fromSource.json)], [sums(), []]);
  const explain = await server.granary(['explain', text, '--json']);
  assert.deepEqual([explain.json.pre_aggregations, explain.json.refusals], [['items.main'], []]);
  const sql = await server.granary(['sql', text, '--json']);
  assert.match(sql.json.sql.sql[0], /SELECT/i);
  assert.match((await server.granary(['query', text])).stdout, /items\.kind|Kind/);
  const before = await list(server);
  assert.deepEqual(before.map((p) => [p.id, p.version, p.is_built]), [['items.main', 1, true]]);
  const drop = await server.granary(['preagg', 'drop', 'items.main', '--json']);
  assert.deepEqual([drop.code, drop.json.pre_aggregations], [0, [{ id: 'items.main', result: 'dropped', tables: 1 }]]);
  assert.deepEqual((await list(server)).map((p) => [p.status, p.is_built]), [['pending', false]]);
  assert.deepEqual(await server.rows(query), sums());
  assert.equal((await list(server))[0].version, 2);
  const all = await server.granary(['preagg', 'build', '--all', '--json']);
  assert.deepEqual([all.code, all.json.pre_aggregations.map((p) => p.result)], [0, ['is built already']]);
  const doctor = await server.granary(['doctor']);
  assert.equal(doctor.code, 0, doctor.stdout + doctor.stderr);
  const nowhere = await server.granary(['doctor'], { env: { GRANARY_CATALOG_POSTGRES: 'postgresql://me:hidden@127.0.0.1:1/none' } });
  assert.notEqual(nowhere.code, 0);
  assert.match(nowhere.stdout, /FAILED +catalog: .*127\.0\.0\.1:1/);
  assert.doesNotMatch(nowhere.stdout + nowhere.stderr, /hidden/);
  const local = await server.granary(['query', text, '--json', '--local']);
  assert.deepEqual([local.code, local.json.id], [3, 'store.locked'], local.stderr);
  assert.deepEqual(await server.rows(query), sums());
});

test('the command line without a server works by itself', async (t) => {
  const { granary: run } = workspace(t, files);
  const text = JSON.stringify(query);
  const explain = await run(['explain', text, '--json']);
  assert.deepEqual([explain.json.pre_aggregations, explain.json.to_build.map((b) => b.pre_aggregation)], [['items.main'], ['items.main']]);
  const built = await run(['preagg', 'build', '--all', '--json']);
  assert.deepEqual([built.code, built.json.pre_aggregations.map((p) => [p.id, p.result])], [0, [['items.main', 'built']]]);
  const answer = await run(['query', text, '--json']);
  assert.deepEqual([answer.json.data, Server.served(answer.json)], [sums(), ['items.main']]);
  assert.deepEqual((await run(['explain', text, '--json'])).json.pre_aggregations, ['items.main']);
  assert.deepEqual((await run(['preagg', 'list', '--json'])).json.pre_aggregations.map((p) => [p.id, p.version]), [['items.main', 1]]);
  const bad = await run(['query', '{"measures": ["items.nothing"]}', '--json']);
  assert.deepEqual([bad.code, bad.json.id], [1, 'query.unknown_member']);
});

test('a second server on the same store is refused', async (t) => {
  const server = await serve(t, files);
  const second = await server.granary(['serve', '--port', '0']);
  assert.equal(second.code, 3);
  assert.match(second.stderr, /error\[store\.locked\]/);
  assert.match(second.stderr, new RegExp(`process ${server.pid}`));
  await server.assertAlive(query);
  assert.equal(JSON.parse(fs.readFileSync(path.join(server.state, 'server.json'), 'utf8')).pid, server.pid);
  // Without server.json the store's own lock still holds.
  fs.renameSync(path.join(server.state, 'server.json'), path.join(server.state, 'hidden'));
  const third = await server.granary(['serve', '--port', '0']);
  assert.equal(third.code, 3);
  assert.match(third.stderr, /error\[store\.locked\]/);
  fs.renameSync(path.join(server.state, 'hidden'), path.join(server.state, 'server.json'));
  // With a store of its own it may run beside the first.
  const other = new Server(server.folder, { args: ['--storage', 'other'], state: path.join(server.folder, 'other') });
  t.after(() => other.stop());
  await other.start();
  assert.deepEqual(await other.rows(query), sums());
  await server.assertAlive(query);
});

test('two servers that start at once: one serves, the other is refused', async (t) => {
  const folder = makeFolder(files);
  const args = ['serve', '-c', path.join(folder, 'granary.yml'), '--port', '0'];
  const runs = [startProcess(args, { cwd: folder }), startProcess(args, { cwd: folder })];
  t.after(async () => {
    for (const run of runs) run.child.kill('SIGTERM');
    await Promise.all(runs.map((run) => run.ended));
    fs.rmSync(folder, { recursive: true });
  });
  const loser = await Promise.race(runs.map((run) => run.ended));
  assert.equal(loser.code, 3, loser.stderr);
  assert.match(loser.stderr, /error\[(store\.locked|catalog\.io)\]/);
  const winner = runs.find((run) => run !== loser);
  await until('the other to serve', () => winner.stdout.includes('Granary serves on'));
  assert.equal(winner.code, undefined);
});

test('a port that is taken: server.listen', async (t) => {
  const { granary: run } = workspace(t, files);
  const taken = net.createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => taken.once('listening', resolve));
  const result = await run(['serve', '--port', String(taken.address().port)], { timeout: 5000 });
  taken.close();
  assert.equal(result.code, 3);
  assert.match(result.stderr, /error\[server\.listen\]: Cannot listen on 127\.0\.0\.1/);
});

test('Ctrl-C ends a local query with its own exit code', async (t) => {
  const { folder } = workspace(t, slow(400000000));
  const run = startProcess(['query', '-c', path.join(folder, 'granary.yml'), '--no-rollups', '{"measures": ["slow.longest"]}', '--json'], { cwd: folder });
  await sleep(700);
  run.child.kill('SIGINT');
  await run.ended;
  assert.equal(run.code, 4, run.stderr);
  assert.equal(JSON.parse(run.stdout).id, 'cancelled');
});

test('exit codes of the command line', async (t) => {
  const { folder, granary: run } = workspace(t, files);
  assert.equal((await run(['nonsense'])).code, 2);
  assert.match((await run(['query'])).stderr, /error\[cli\.usage\]/);
  assert.equal((await granary(['check', '-c', path.join(folder, 'missing.yml')])).code, 1);
  const version = await granary(['version', '--json']);
  assert.equal(version.code, 0);
  assert.match(JSON.stringify(version.json), /\d+\.\d+\.\d+/);
  assert.equal((await granary(['help'])).code, 0);
});
