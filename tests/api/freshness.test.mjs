// Builds that must not serve, and what goes on serving meanwhile: build ranges, limits, refresh keys that fail,
// verification and quarantine, several versions, tables that are put together.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { Database } from './duckdb.mjs';
import { csv, serve, Server, until } from './helpers.mjs';

const days = (n, from = Date.UTC(2024, 0, 1)) =>
  csv(['id', 'kind', 'amount', 'at'], Array.from({ length: n * 4 }, (_, i) => [i, 'abc'[i % 3], i % 17, new Date(from + (i >> 2) * 86400000 + (i % 4) * 3600000).toISOString().slice(0, 19)]));

const cube = (rest, { sql = 'sql_table: t', key = '' } = {}) => `cubes:
  - name: t
    ${sql}
${key}    measures:
      - {name: count, type: count}
      - {name: amount, sql: amount, type: sum}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: kind, sql: kind, type: string}
      - {name: at, sql: "{CUBE}.at", type: time}
    pre_aggregations:
      - name: main
        measures: [count, amount]
        dimensions: [kind]
        time_dimension: at
        granularity: day
        partition_granularity: month
${rest}`;
const files = (rest, options) => ({ 'data/t.csv': days(90), 'model/t.yml': cube(rest, options) });
const all = { measures: ['t.count', 't.amount'] };
const month = (m) => ({ ...all, timeDimensions: [{ dimension: 't.at', dateRange: [`2024-0${m}-01`, `2024-0${m}-${m === 2 ? 29 : 31}`] }] });
const error = async (server) => (await server.get('/ops/pre-aggregations')).body.pre_aggregations[0].error;
const build = async (server, wanted = 'done') => {
  await server.post('/ops/pre-aggregations/t.main/build?force=1', {});
  return until('the build', async () => {
    const { body } = await server.get('/ops/pre-aggregations/t.main/build');
    return body.is_done && (wanted === 'failed' ? body.status === 'failed' : body.status !== 'failed') ? body : undefined;
  });
};
const exchange = (server, name, text) => fs.writeFileSync(path.join(server.folder, name), text);
const remodel = async (server, text) => {
  exchange(server, 'model/t.yml', text);
  assert.equal((await server.post('/ops/reload', {})).status, 200);
};

describe('build ranges', () => {
  const cases = [
    ['starts at null', `        build_range_start: {sql: SELECT NULL}\n`],
    ['ends at null', `        build_range_start: {sql: "SELECT DATE '2024-01-01'"}\n        build_range_end: {sql: "SELECT max(t.at) FROM t WHERE false"}\n`],
    ['ends before it starts', `        build_range_start: {sql: "SELECT DATE '2024-03-01'"}\n        build_range_end: {sql: "SELECT DATE '2024-01-01'"}\n`],
  ];
  for (const [what, keys] of cases)
    test(`one that ${what}: preagg.build_range, and the source answers`, async (t) => {
      const server = await serve(t, files(keys));
      const answer = await server.result(month(1));
      assert.equal(answer.usedPreAggregations, undefined);
      assert.equal(answer.data[0]['t.count'], '124');
      const told = await server.post('/ops/pre-aggregations/t.main/build', {});
      assert.ok(told.status < 300, told.text);
      const failed = await until('the failure', async () => {
        const { body } = await server.get('/ops/pre-aggregations/t.main/build');
        return body.is_done ? body : undefined;
      });
      assert.equal(failed.error_id ?? failed.error?.id ?? 'preagg.build_range', 'preagg.build_range');
      assert.match(await error(server), new RegExp(what));
    });

  test('what lies outside is the source\'s, and joined to what is inside', async (t) => {
    const server = await serve(t, files(`        build_range_start: {sql: "SELECT DATE '2024-02-01'"}\n        build_range_end: {sql: "SELECT DATE '2024-02-20'"}\n`));
    const inside = await server.result({ ...all, timeDimensions: [{ dimension: 't.at', dateRange: ['2024-02-01', '2024-02-20'] }] });
    assert.deepEqual([Server.served(inside), inside.data[0]['t.count']], [['t.main'], '80']);
    const across = await server.load({ ...all, timeDimensions: [{ dimension: 't.at', dateRange: ['2024-01-30', '2024-02-25'] }] });
    assert.equal(across.body.data[0]['t.count'], String(27 * 4));
    assert.match(across.headers.get('x-granary-served-by'), /t\.main.*source/);
    const none = await server.load({ ...all, timeDimensions: [{ dimension: 't.at', dateRange: ['2024-03-01', '2024-03-05'] }] });
    assert.equal(none.body.data[0]['t.count'], '20');
    assert.equal(none.headers.get('x-granary-served-by'), 'source');
  });
});

test('more partitions than the limit: preagg.too_many_partitions with both numbers', async (t) => {
  const model = cube('').replace('partition_granularity: month', 'partition_granularity: hour').replace('granularity: day', 'granularity: hour');
  const server = await serve(t, { 'data/t.csv': days(31), 'model/t.yml': model }, { env: { GRANARY_BUILD_MAX_PARTITIONS: '100' } });
  assert.equal((await server.rows(all))[0]['t.count'], '124');
  await server.post('/ops/pre-aggregations/t.main/build', {});
  await until('the failure', async () => /requested to build 724 partitions.* of 100$/.test(await error(server)));
});

describe('refresh keys', () => {
  test('SQL that fails, or gives no row: preagg.refresh_key for who revalidates; the old version serves on', async (t) => {
    const key = (sql) => `        refresh_key: {sql: "${sql}"}\n`;
    for (const sql of ['SELECT max(nothing) FROM t', 'SELECT 1 WHERE false']) {
      const server = await serve(t, files(key(sql)));
      assert.deepEqual(Server.served(await server.result(all)), ['t.main']);
      const answer = await server.post('/cubejs-api/v1/load', { query: all, cache: 'must-revalidate' });
      assert.equal(answer.status, 400, answer.text);
      assert.match(answer.body.error, /refresh key failed/);
      assert.equal(answer.body.id ?? 'preagg.refresh_key', 'preagg.refresh_key');
      assert.deepEqual(Server.served(await server.result(all)), ['t.main'], 'who does not ask for it is served');
    }
  });

  test('must-revalidate waits for what has changed, and for nothing else', async (t) => {
    const server = await serve(t, { ...files(`        refresh_key: {sql: SELECT max(v) FROM version, every: 1 hour}\n`), 'data/version.csv': csv(['v'], [[1]]) });
    const revalidate = async (query) => {
      for (;;) {
        const answer = await server.post('/cubejs-api/v1/load', { query, cache: 'must-revalidate' });
        if (answer.body.error !== 'Continue wait') return answer.body;
      }
    };
    const first = await server.result(all);
    exchange(server, 'data/t.csv', days(91));
    await server.post('/ops/reload', {});
    assert.deepEqual((await revalidate(all)).data, first.data, 'the key is what it was');
    exchange(server, 'data/version.csv', csv(['v'], [[2]]));
    await server.post('/ops/reload', {});
    assert.deepEqual((await server.result(all)).data, first.data, 'without it the old version serves');
    const fresh = await revalidate(all);
    assert.deepEqual([Server.served(fresh), fresh.data[0]['t.count']], [['t.main'], '364']);
    assert.deepEqual((await server.result(all)).data, fresh.data);
  });

  test('scheduled_refresh: false is never refreshed by itself', async (t) => {
    const server = await serve(t, files('        refresh_key: {every: 1 second}\n        scheduled_refresh: false\n'));
    const first = await server.result(all);
    await new Promise((resolve) => setTimeout(resolve, 3500));
    const later = await server.result(all);
    assert.equal(later.lastRefreshTime, first.lastRefreshTime);
  });
});

describe('verification', () => {
  const stored = async (server, sql) => {
    const db = await Database.open(path.join(server.folder, '.granary/store.duckdb'));
    const [{ name }] = await db.rows(`SELECT table_name AS name FROM duckdb_tables() WHERE table_name LIKE 't_main202401%'`);
    await db.run(sql(name));
    await db.run('CHECKPOINT');
    db.close();
  };

  test('a build that does not equal its source: preagg.mismatch, and it does not serve', async (t) => {
    // What it says depends on the statement around it, so that the load and the source's own sum differ every time.
    const sql = `sql: "SELECT 1 AS id, 'a' AS kind, length(current_query()) AS amount, TIMESTAMP '2024-01-01' AS at"`;
    const server = await serve(t, files('', { sql }));
    const answer = await server.result(all);
    assert.equal(answer.usedPreAggregations, undefined);
    await until('the failure', async () => /differs from the source: 20240101 t__amount: stored \d+, source \d+/.test(await error(server)));
  });

  test('what was changed behind its back is found, serves no more, and is built anew', async (t) => {
    const server = await serve(t, files('        refresh_key: {every: 1 hour, incremental: true}\n'));
    const right = await server.result(all);
    const clean = await server.granary(['preagg', 'verify', 't.main', '--json']);
    assert.deepEqual([clean.code, clean.json.equal, clean.json.quarantined], [0, 3, 0], clean.stderr);
    const twice = await server.granary(['preagg', 'verify', 't.main', '1']);
    assert.match(twice.stdout, /^t\.main: 3 equal, .*\n1: 3 equal, /);
    const lost = await server.granary(['preagg', 'verify', 't.main', 't.nothing']);
    assert.deepEqual([lost.code, /^t\.main: 3 equal/.test(lost.stdout), /t\.nothing/.test(lost.stderr)], [1, true, true], lost.stderr);
    await server.stop();
    await stored(server, (name) => `UPDATE "${name}" SET t__amount = t__amount + 1 WHERE t__at_day = TIMESTAMP '2024-01-05'`);
    await server.start();
    assert.notDeepEqual((await server.result(all)).data, right.data, 'the store was changed');
    const found = await server.granary(['preagg', 'verify', 't.main', '--json']);
    assert.deepEqual([found.code, found.json.quarantined, found.json.rebuilding], [1, 1, true], found.stderr);
    assert.match(found.json.partitions.find((p) => p.verdict === 'quarantined').difference, /^t__amount: stored \d+, source \d+$/);
    assert.deepEqual((await server.rows(all)), right.data, 'never again with what is wrong in it');
    const again = await until('the rebuild', async () => {
      const run = await server.granary(['preagg', 'verify', 't.main', '--json']);
      return run.json.equal === 3 ? run : undefined;
    });
    assert.equal(again.code, 0);
    assert.match((await server.get('/ops/metrics')).text, /granary_events_total\{event="preagg.quarantined"\} 1\n/);
  });

  test('a sample of what is served is verified in the background', async (t) => {
    const server = await serve(t, files('        refresh_key: {every: 1 hour, incremental: true}\n'), { env: { GRANARY_VERIFY_ONE_IN: '1' } });
    const right = await server.result(all);
    await server.stop();
    await stored(server, (name) => `DELETE FROM "${name}" WHERE t__kind = 'a'`);
    await server.start();
    await until('the answer to be right again', async () => {
      const { body } = await server.post('/cubejs-api/v1/load', { query: all, cache: 'no-cache' });
      return body.data?.[0]?.['t.count'] === right.data[0]['t.count'];
    }, 20000);
  });
});

test('earlier versions are kept on request, and read whole', async (t) => {
  const server = await serve(t, files(''), { env: { GRANARY_STORAGE_KEEP_VERSIONS: '2' } });
  await server.result(all);
  for (let i = 0; i < 4; i++) await build(server);
  const { body } = await server.get('/pre-aggregations/1/builds');
  assert.equal(body.filter((b) => b.status === 'done').length, 3);
  await server.stop();
  const db = await Database.open(path.join(server.folder, '.granary/store.duckdb'));
  const [{ n }] = await db.rows(`SELECT count(*) AS n FROM duckdb_tables() WHERE table_name LIKE 't_main%'`);
  db.close();
  assert.equal(n, 3, "a table for each version");
});

test('many small tables are put together, and the answers stay', async (t) => {
  const model = cube('        refresh_key: {every: 1 second, fingerprint: rows}\n').replace('partition_granularity: month', 'partition_granularity: day');
  const server = await serve(t, { 'data/t.csv': days(60), 'model/t.yml': model });
  assert.equal((await server.rows(all))[0]['t.count'], '240');
  const rows = days(60).trim().split('\n');
  for (let i = 0; i < 12; i++) {
    rows.push(`${1000 + i},a,1,2024-01-${String(2 + 2 * i).padStart(2, '0')}T00:00:00`);
    exchange(server, 'data/t.csv', `${rows.join('\n')}\n`);
    await server.post('/ops/reload', {});
    await until('the late row', async () => (await server.rows(all))[0]['t.count'] === String(241 + i));
  }
  await server.stop();
  const db = await Database.open(path.join(server.folder, '.granary/store.duckdb'));
  const [{ n }] = await db.rows(`SELECT count(*) AS n FROM duckdb_tables() WHERE table_name LIKE 't_main%'`);
  db.close();
  assert.ok(n <= 10, `${n} tables`);
  await server.start();
  assert.equal((await server.rows(all))[0]['t.count'], '252');
});
