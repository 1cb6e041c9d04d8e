// Queries that take longer than http.continue_wait_ms: the client is told to continue waiting, asks again, and gets the result
// of the one run.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { describe, test } from 'node:test';
import { repo, shared, sleep, until, workspace } from './helpers.mjs';

const cube = createRequire(`${repo}/package.json`)('@cubejs-client/core').default;

// A cross join that the engine can not shorten: every pair is hashed.
const pairs = (name, n) => `  - name: ${name}
    sql: "SELECT a.i % 4 AS k, hash(a.i, b.i) % 1000 AS h FROM range(${n}) AS a(i), range(${n}) AS b(i)"
    measures:
      - {name: count, type: count}
      - {name: largest, type: max, sql: h}
    dimensions:
      - {name: k, sql: k, type: number}
`;
const size = 14000;
const model = `cubes:\n${pairs('pairs', size)}${pairs('endless', 3000000)}`;
const config = 'data_sources:\n  default: {type: duckdb, path: data}\nmodel: model\nhttp: {continue_wait_ms: 200}\n';

describe('a query that outlasts the wait', () => {
  const server = shared({ 'granary.yml': config, 'model/pairs.yml': model });
  const status = async () => (await server.fetch('/ops/status')).body;
  const asked = { measures: ['pairs.count', 'pairs.largest'], dimensions: ['pairs.k'], order: { 'pairs.k': 'asc' } };
  const rows = [0, 1, 2, 3].map((k) => ({ 'pairs.k': `${k}`, 'pairs.count': `${(size / 4) * size}`, 'pairs.largest': '999' }));

  test('load of the client resolves with the result', async () => {
    const before = (await status()).counters.continue_wait;
    const client = cube(undefined, { apiUrl: `${server.url}/cubejs-api/v1` });
    const result = await client.load(asked);
    assert.deepEqual(result.rawData(), rows);
    assert.ok((await status()).counters.continue_wait > before, 'it was told to continue waiting');
    assert.equal((await status()).detached, 0);
  });

  test('several clients that ask the same get the result of one run', async () => {
    const query = { ...asked, limit: 4 }; // not in the cache yet
    const first = await server.post('/cubejs-api/v1/load', { query });
    assert.deepEqual(first.body, { error: 'Continue wait' });
    const work = Promise.all(Array.from({ length: 5 }, () => server.rows(query)));
    for (let i = 0; i < 10; i++) {
      const { detached, busy_workers: busy, queued } = await status();
      assert.deepEqual({ detached, busy, queued }, { detached: 1, busy: 1, queued: 0 });
      await sleep(100);
    }
    for (const data of await work) assert.deepEqual(data, rows);
    assert.equal((await status()).detached, 0);
  });

  test('the server ends in time while one runs that nobody waits for', async () => {
    const answer = await server.post('/cubejs-api/v1/load', { query: { measures: ['endless.largest'] } });
    assert.deepEqual(answer.body, { error: 'Continue wait' });
    await until('the run to be on its own', async () => (await status()).detached === 1);
    const start = Date.now();
    await server.stop();
    assert.ok(Date.now() - start < 10000);
  });
});

test('a query of the command line ends at query.timeout_ms too', async (t) => {
  const place = workspace(t, { 'granary.yml': `${config}query: {timeout_ms: 300}\n`, 'data/none.csv': 'n\n1\n', 'model/pairs.yml': model });
  const started = Date.now();
  const run = await place.granary(['query', JSON.stringify({ measures: ['endless.largest'] })]);
  assert.equal(run.code, 4, run.stderr);
  assert.match(run.stderr, /error\[timeout\]/);
  assert.ok(Date.now() - started < 60000);
});
