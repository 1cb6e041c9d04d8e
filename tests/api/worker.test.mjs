// Orders to the background refresh (pause, drain, look now), the limits of builds and queries, and `granary worker`: by
// itself, beside a server that owns an embedded store, and beside one that shares its store.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Server, makeFolder, removeFolder, repo, serve, sleep, slowSql, startProcess, until, workspace, write } from './helpers.mjs';
import { change, cube, item, keyOf, metric, preagg, refresh, rows, served, setKey, tables, total, untilServed } from './refresh_world.mjs';

const config = (more = '', sources = '') => `data_sources:\n  default: {type: duckdb, path: data${sources}}\nmodel: model\nengine: {threads: 1}\n${more}`;
const hourly = 'every: 1 hour';
// A rollup that takes about a second for each million rows.
const slow = (name, million, source = '') => `  - name: ${name}
    sql: "${slowSql(million * 1000000)}"
${source && `    data_source: ${source}\n`}    refresh_key: {every: 1 day}
    measures:
      - {name: longest, type: max, sql: "md5({CUBE}.h || 'x')"}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: k, sql: k, type: number}
    pre_aggregations:
      - {name: main, measures: [longest], dimensions: [k]}
`;
const longest = (name) => ({ measures: [`${name}.longest`], dimensions: [`${name}.k`] });
const build = (server, name) => server.post(`/ops/pre-aggregations/${name}.main/build`, {});
const isBuilt = async (server, name) => (await preagg(server, name))?.is_built === true;

describe('orders', () => {
  test('paused: nothing is refreshed by itself, what a query needs is built; then it goes on', async (t) => {
    const server = await serve(t, { ...tables(['a', 'b']), 'granary.yml': config(), 'model/a.yml': `cubes:\n${cube('a', 'every: 1 second')}${cube('b', hourly)}` });
    assert.equal(await served(server, 'a'), 5);
    assert.equal((await refresh(server, { state: 'paused' })).state, 'paused');
    await sleep(500); // what had begun
    change(server, 'a', rows(2));
    await sleep(2500);
    assert.equal(await served(server, 'a'), 5);
    assert.equal(await served(server, 'b'), 5);
    assert.equal((await server.fetch('/ops/status')).body.refresh.state, 'paused');
    assert.equal(await metric(server, 'granary_refresh_state{state="paused"}'), 1);
    assert.equal((await refresh(server)).is_drained, false);
    assert.equal((await refresh(server, { state: 'running' })).state, 'running');
    await untilServed(server, 'a', 10);
  });

  test('drained: no build begins, queries go on without, who asks by name is told', async (t) => {
    const server = await serve(t, { ...tables(['a', 'b']), 'granary.yml': config('build: {at_once: 1}\n'), 'model/a.yml': `cubes:\n${cube('a', 'every: 1 second')}${cube('b', hourly)}${slow('s', 3)}` });
    assert.equal(await served(server, 'a'), 5);
    assert.equal((await build(server, 's')).status, 202);
    await until('it to run', async () => (await metric(server, 'granary_builds_running')) === 1);
    const waits = server.result(total('b')); // behind the slow one
    await until('one to wait', async () => (await metric(server, 'granary_builds_queued')) >= 1);
    const drained = await refresh(server, { state: 'drained' });
    assert.deepEqual([drained.state, drained.is_drained], ['drained', false]);
    const without = await waits;
    assert.deepEqual([Server.served(without), Number(without.data[0]['b.total'])], [[], 5]);
    assert.equal(await isBuilt(server, 's'), false, 'it went on without waiting for the build that runs');
    await until('what ran to end', async () => (await refresh(server)).is_drained, 20000);
    assert.equal(await isBuilt(server, 's'), true);

    const explained = await server.explain({ ...total('b'), limit: 7 });
    assert.deepEqual(explained.refusals.map(({ pre_aggregation, rule }) => [pre_aggregation, rule]), [['b.main', 'match.not_built']]);
    const busy = await build(server, 'b');
    assert.deepEqual([busy.status, busy.body.id], [503, 'http.busy']);
    assert.match(busy.body.hint, /running/);
    const { entity_id } = await preagg(server, 'a');
    const claimed = await server.post(`/pre-aggregations/${entity_id}/materialize`, { force: true });
    assert.equal(claimed.status, 503, claimed.text);
    change(server, 'a', rows(2));
    await sleep(1500);
    assert.equal(await served(server, 'a'), 5);
    assert.equal((await item(server, 'a')).failures, 0);
    const stale = await server.load({ ...total('a'), cache: 'must-revalidate' });
    assert.deepEqual([stale.status, stale.body.id], [503, 'http.busy'], stale.text);
    await refresh(server, { state: 'running' });
    await untilServed(server, 'a', 10);
    assert.equal(await served(server, 'b'), 5);
  });

  test('run-scheduled-refresh builds what nobody has asked for, and tells when it has ended', async (t) => {
    const server = await serve(t, { ...tables(['a', 'b']), 'granary.yml': config('refresh: {enabled: false}\n'), 'model/a.yml': `cubes:\n${cube('a', `${keyOf('a')}, every: 1 hour`)}${cube('b', hourly)}` });
    const run = async () => {
      const answer = await server.fetch('/cubejs-api/v1/run-scheduled-refresh');
      assert.equal(answer.status, 200, answer.text);
      assert.deepEqual(Object.keys(answer.body), ['finished']);
      return answer.body.finished;
    };
    await sleep(1000);
    assert.equal(await isBuilt(server, 'a'), false);
    assert.equal(await run(), false);
    await until('its end', run);
    assert.deepEqual([await isBuilt(server, 'a'), await isBuilt(server, 'b')], [true, true]);
    change(server, 'a', rows(2));
    setKey(server, 'a', 2);
    assert.equal(await run(), false); // the next one
    await until('its end', run);
    assert.equal(await served(server, 'a'), 10);
  });

  test('now: keys whose time has not come are asked, too', async (t) => {
    const server = await serve(t, { ...tables(['a']), 'granary.yml': config(), 'model/a.yml': `cubes:\n${cube('a', `${keyOf('a')}, every: 1 hour`)}` });
    assert.equal(await served(server, 'a'), 5);
    await until('the first look', async () => (await item(server, 'a'))?.looked_at);
    change(server, 'a', rows(2));
    setKey(server, 'a', 2);
    await refresh(server, { prebuild: true });
    await sleep(1000);
    assert.equal(await served(server, 'a'), 5);
    await refresh(server, { now: true });
    await untilServed(server, 'a', 10);
  });

  test('an order that is none is refused', async (t) => {
    const server = await serve(t, { ...tables(['a']), 'model/a.yml': `cubes:\n${cube('a', hourly)}` });
    for (const body of ['', '[]', '{}', '{"state": "asleep"}', '{"state": 1}', '{"now": "yes"}', '{"later": true}', '{']) {
      const answer = await server.post('/ops/refresh', body);
      assert.equal(answer.status, 400, `${body}: ${answer.text}`);
    }
    assert.equal((await refresh(server)).state, 'running');
  });
});

describe('limits', () => {
  test('max_builds of a source: its builds wait, those of another one go ahead', async (t) => {
    const server = await serve(t, {
      ...tables(['a']),
      'granary.yml': `data_sources:\n  default: {type: duckdb, path: data, max_builds: 1}\n  other: {type: duckdb, path: data}\nmodel: model\nengine: {threads: 1}\nbuild: {at_once: 4}\n`,
      'model/a.yml': `cubes:\n${slow('s1', 2)}${slow('s2', 2)}${slow('s3', 0.2)}${slow('o', 0.1, 'other')}`,
    });
    for (const name of ['s1', 's2', 's3', 'o']) assert.equal((await build(server, name)).status, 202);
    const order = [];
    let most = 0;
    await until('all of them', async () => {
      most = Math.max(most, await metric(server, 'granary_builds_running'));
      for (const name of ['s1', 's2', 's3', 'o']) if (!order.includes(name) && (await isBuilt(server, name))) order.push(name);
      return order.length === 4;
    }, 40000);
    assert.deepEqual(order, ['o', 's1', 's2', 's3']);
    assert.ok(most >= 1 && most <= 2, `${most} at once`);
  });

  test('max_queries of a source: its queries wait for one another, not for builds or for other sources', async (t) => {
    const server = await serve(t, {
      ...tables(['a', 'b']),
      'granary.yml': `data_sources:\n  default: {type: duckdb, path: data, max_queries: 1}\n  other: {type: duckdb, path: data}\nmodel: model\nengine: {threads: 1}\n`,
      'model/a.yml': `cubes:\n${slow('s', 8)}${cube('a', hourly)}${cube('b', hourly, { source: 'other' })}`,
    });
    const ended = {};
    const run = async (name, query) => {
      assert.equal((await server.load(query, '?without_rollups=1')).status, 200);
      ended[name] = performance.now();
    };
    const first = run('slow', longest('s'));
    await sleep(300);
    await Promise.all([first, run('same source', { ...total('a'), limit: 1 }), run('other source', total('b'))]);
    assert.ok(ended['other source'] < ended.slow - 500, JSON.stringify(ended));
    assert.ok(ended['same source'] > ended.slow - 200, JSON.stringify(ended)); // whose last bytes are still on their way
    assert.equal((await build(server, 's')).status, 202);
    await run('beside a build', { ...total('a'), limit: 2 });
    assert.equal(await isBuilt(server, 's'), false);
  });

  test('a build may take longer than a query', async (t) => {
    const server = await serve(t, { 'granary.yml': config('query: {timeout_ms: 200}\n'), 'model/a.yml': `cubes:\n${slow('s', 2)}` });
    const began = Date.now();
    assert.equal((await server.load(longest('s'), '?without_rollups=1')).body.id, 'timeout');
    assert.equal((await build(server, 's')).status, 202);
    await until('it to be built', () => isBuilt(server, 's'), 20000);
    assert.ok(Date.now() - began > 400);
  });

  for (const [text, what] of [['max_builds: 0', /max_builds/], ['max_queries: many', /max_queries/], ['max_builds: 17', /from 1 to 16/]]) {
    test(`${text} is refused`, async (t) => {
      const { granary } = workspace(t, { ...tables(['a']), 'granary.yml': config('', `, ${text}`), 'model/a.yml': `cubes:\n${cube('a', hourly)}` });
      const run = await granary(['check']);
      assert.equal(run.code, 1);
      assert.match(run.stderr, what);
    });
  }
});

// ---- granary worker -----------------------------------------------------------------------------------------------

const workerIn = (t, folder, { file = 'granary.yml', env } = {}) => {
  const run = startProcess(['worker', '-c', path.join(folder, file)], { cwd: folder, env });
  t.after(() => run.child.kill('SIGKILL'));
  run.stop = async () => {
    run.child.kill('SIGTERM');
    await run.ended;
    assert.deepEqual([run.code, run.signal], [0, null], run.stderr);
  };
  return run;
};

describe('worker', () => {
  const files = (more) => ({ ...tables(['a', 'b']), 'granary.yml': config(more), 'model/a.yml': `cubes:\n${cube('a', 'every: 1 second')}${cube('b', hourly)}` });

  test('--once builds all that is due, and ends', async (t) => {
    const { granary, folder } = workspace(t, files());
    const run = await granary(['worker', '--once']);
    assert.equal(run.code, 0, run.stderr);
    const list = async () => (await granary(['preagg', 'list', '--json'])).json.pre_aggregations;
    assert.deepEqual((await list()).map(({ id, is_built }) => [id, is_built]), [['a.main', true], ['b.main', true]]);
    write(folder, 'data/b.csv', 'id,k,n,at,changed\n1,1,no number,2024-01-01,2024-01-01\n');
    write(folder, 'model/b.yml', `cubes:\n${cube('b2', hourly).replace('sql_table: b2', 'sql_table: b')}`);
    const failed = await granary(['worker', '--once']);
    assert.equal(failed.code, 1, failed.stderr);
    assert.match(failed.stderr, /b2\.main \(UTC\): /);
  });

  test('by itself it refreshes until it is told to stop', async (t) => {
    const { granary, folder } = workspace(t, files());
    const worker = workerIn(t, folder);
    await until('it to begin', () => worker.stderr.includes('worker.ready'));
    await sleep(2500);
    const second = await granary(['serve', '--port', '0']);
    assert.match(second.stderr, /store\.locked/);
    await worker.stop();
    assert.match(worker.stderr, /worker\.stopping signal=SIGTERM[\s\S]*worker\.stopped/);
    const list = (await granary(['preagg', 'list', '--json'])).json.pre_aggregations;
    assert.ok(list[0].version >= 2 && list[1].is_built, JSON.stringify(list));
  });

  test('beside a server with an embedded store it lets that build, and takes over when that has gone', async (t) => {
    const server = await serve(t, files('refresh: {enabled: false, worker_interval_ms: 200}\n'));
    await sleep(700);
    assert.equal(await isBuilt(server, 'b'), false);
    const worker = workerIn(t, server.folder);
    await until('the server to build', async () => (await isBuilt(server, 'a')) && (await isBuilt(server, 'b')));
    assert.match(worker.stderr, new RegExp(`worker\\.hands_over.*pid=${server.pid}`));
    change(server, 'a', rows(2));
    await untilServed(server, 'a', 10);
    const before = (await preagg(server, 'a')).version;
    await server.stop();
    await until('the worker to take over', () => worker.stderr.includes('worker.ready'), 15000);
    await sleep(1500);
    await worker.stop();
    const list = (await server.granary(['preagg', 'list', '--json'])).json.pre_aggregations;
    assert.ok(list[0].version > before);
  });

  test('--once through the server', async (t) => {
    const server = await serve(t, files());
    const run = await server.granary(['worker', '--once']);
    assert.equal(run.code, 0, run.stderr);
    assert.ok(await isBuilt(server, 'b'));
    change(server, 'a', [[1, 1, 'no number', '2024-01-01', '2024-01-01']]);
    await until('failures', async () => (await item(server, 'a')).failures > 0);
    const failed = await server.granary(['worker', '--once']);
    assert.equal(failed.code, 1, failed.stderr);
    assert.match(failed.stderr, /a\.main \(UTC\): /);
  });
});

describe('worker beside a server on a shared store', () => {
  const script = path.join(repo, 'tests/postgres/private');
  let folder, conninfo;
  before(() => {
    folder = fs.mkdtempSync(path.join(os.tmpdir(), 'granary-pg-'));
    try {
      conninfo = execFileSync(script, ['start', folder], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] }).trim();
    } catch (error) {
      if (error.status !== 77) throw error;
    }
  });
  after(() => {
    execFileSync(script, ['stop', folder]);
    fs.rmSync(folder, { recursive: true, force: true });
  });

  test('the worker builds and refreshes, the server serves', async (t) => {
    if (!conninfo) return t.skip('no PostgreSQL server is installed');
    const yaml = (state, more) => `${config(more)}catalog: {postgres: "${conninfo}"}\nstorage: {path: .${state}, shared: true, tables: ${home}/tables}\n`;
    const home = makeFolder({ ...tables(['a', 'b']), 'model/a.yml': `cubes:\n${cube('a', 'every: 1 second')}${cube('b', hourly)}` });
    t.after(() => removeFolder(home));
    write(home, 'granary.yml', yaml('granary', 'refresh: {enabled: false}\n'));
    write(home, 'worker.yml', yaml('worker', ''));
    const server = new Server(home, {});
    t.after(() => server.stop());
    await server.start();
    await sleep(500);
    assert.equal(await isBuilt(server, 'b'), false);
    const worker = workerIn(t, home, { file: 'worker.yml' });
    await until('both to be built', async () => (await isBuilt(server, 'a')) && (await isBuilt(server, 'b')), 15000);
    assert.equal(await served(server, 'a'), 5);
    change(server, 'a', rows(2));
    await untilServed(server, 'a', 10, 15000);
    assert.equal(await metric(server, 'granary_builds_total{result="done"}'), 0);
    await worker.stop();
    assert.match(worker.stderr, /worker\.ready/);
  });
});
