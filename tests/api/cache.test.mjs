// The result cache: what is answered from it, and what must not be. The cubes of the tests tell whether they were asked:
// their one value is another one in every run.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { csv, jwt, serve, shared, sleep, until, write } from './helpers.mjs';

const cube = (name, rest = '', rows = 1) => `  - name: ${name}
    sql: "SELECT i AS id, i % 3 AS k, random() AS r, TIMESTAMP '2024-01-15' + INTERVAL (i % 50) DAY AS at FROM range(${rows}) AS t(i)"
${rest}    measures:
      - {name: count, type: count}
      - {name: value, type: max, sql: r}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true, public: true}
      - {name: k, sql: k, type: number}
      - {name: at, sql: at, type: time}
`;
const key = (text) => `    refresh_key: {${text}}\n`;
const rollup = `    pre_aggregations:
      - {name: main, measures: [count, value], dimensions: [k]}
`;
const config = (more = '') => `data_sources:\n  default: {type: duckdb, path: data}\nmodel: model\n${more}`;
const model = `cubes:
${cube('plain')}${cube('fast', key('every: 1 second'))}${cube('fixed', key('immutable: true'), 1000)}
${cube('keyed', key('sql: "SELECT max(n) FROM versions", every: 1 second'))}
${cube('hourly', key('sql: "SELECT max(n) FROM versions", every: 1 hour'))}
${cube('broken', key('sql: "SELECT nothing FROM nowhere"'))}${cube('empty', key('sql: "SELECT 1 WHERE false"'))}
${cube('stored', rollup, 30)}${cube('other', rollup, 30)}`;
const versions = (...n) => csv(['n'], n.map((v) => [v]));
const files = (more) => ({ 'granary.yml': config(more), 'model/all.yml': model, 'data/versions.csv': versions(1) });

const value = (name) => ({ measures: [`${name}.value`] });
// {from: "hit", body, value, data}
const ask = async (server, query, params = '', headers = {}) => {
  const answer = await server.post(`/cubejs-api/v1/load${params}`, { query }, headers);
  assert.equal(answer.status, 200, answer.text);
  const from = answer.headers.get('x-granary-cache');
  const results = answer.body.results ?? [answer.body];
  if (from === 'hit') for (const result of results) assert.equal(result.fromCache, true);
  if (from === 'miss' && results.length === 1) assert.equal(results[0].fromCache, false);
  const row = results[0].data?.[0];
  return { from, text: answer.text, body: answer.body, data: results[0].data, value: row && Object.entries(row).find(([name]) => name.endsWith('.value'))?.[1] };
};
const stats = async (server) => (await server.fetch('/ops/status')).body.cache;
// Early in a window of so many seconds of the clock, so that what follows stays in it.
const early = async (seconds, within = 0.5) => {
  for (;;) {
    const at = (Date.now() / 1000) % seconds;
    if (at < within * seconds) return;
    await sleep((seconds - at) * 1000 + 5);
  }
};

describe('what is asked again', () => {
  const server = shared(files());

  test('comes from the cache, says so, and is the same', async () => {
    await early(10, 0.8);
    const first = await ask(server, value('plain'));
    assert.equal(first.from, 'miss');
    for (let i = 0; i < 6; i++) {
      const again = await ask(server, value('plain'));
      assert.deepEqual([again.from, again.value], ['hit', first.value]);
      assert.deepEqual({ ...again.body, fromCache: false }, first.body);
    }
  });

  test('by GET, as POST, as text in the body and with the envelope of the client: one entry', async () => {
    await early(10, 0.8);
    const query = { ...value('plain'), limit: 77 };
    const first = await ask(server, query);
    const misses = (await stats(server)).misses;
    const get = await server.get('/cubejs-api/v1/load', query);
    assert.deepEqual([get.headers.get('x-granary-cache'), get.body], ['hit', { ...first.body, fromCache: true }]);
    const multi = await server.post('/cubejs-api/v1/load', { query, queryType: 'multi' });
    assert.equal(multi.headers.get('x-granary-cache'), 'hit');
    assert.deepEqual(multi.body.results, [get.body]);
    assert.deepEqual(multi.body.pivotQuery, get.body.query);
    const text = await server.post('/cubejs-api/v1/load', { query: JSON.stringify(query) });
    assert.deepEqual(text.body, get.body);
    const blanks = await server.post('/cubejs-api/v1/load', ` {"query" : ${JSON.stringify(query, undefined, 2)}}`);
    assert.deepEqual(blanks.body, get.body);
    assert.equal((await stats(server)).misses, misses);
  });

  test('lastRefreshTime is that of the answer that was kept', async () => {
    await early(10, 0.5);
    const query = { ...value('plain'), limit: 78 };
    const first = await ask(server, query);
    await sleep(1200);
    const again = await ask(server, query);
    assert.equal(again.from, 'hit');
    assert.equal(again.body.lastRefreshTime, first.body.lastRefreshTime);
  });

  test('in another form, order, number of rows, zone or filter it is another question', async () => {
    await early(10, 0.5);
    const query = { measures: ['fixed.value'], dimensions: ['fixed.id'], limit: 5, order: { 'fixed.id': 'asc' } };
    const day = { dimension: 'fixed.at', granularity: 'day' };
    const variants = [
      query,
      { ...query, limit: 6 },
      { ...query, offset: 1 },
      { ...query, order: { 'fixed.id': 'desc' } },
      { ...query, responseFormat: 'compact' },
      { ...query, responseFormat: 'columnar' },
      { ...query, total: true },
      { ...query, ungrouped: true },
      { ...query, timezone: 'Asia/Tokyo' },
      { ...query, timeDimensions: [day] },
      { ...query, timeDimensions: [day], timezone: 'America/Los_Angeles' },
      { ...query, timeDimensions: [{ ...day, dateRange: ['2024-01-15', '2024-01-20'] }] },
      { ...query, filters: [{ member: 'fixed.k', operator: 'equals', values: ['1'] }] },
      { ...query, filters: [{ member: 'fixed.k', operator: 'notEquals', values: ['1'] }] },
      { ...query, filters: [{ member: 'fixed.k', operator: 'equals', values: ['2'] }] },
      { ...query, filters: [{ or: [{ member: 'fixed.k', operator: 'equals', values: ['2'] }, { member: 'fixed.k', operator: 'equals', values: ['1'] }] }] },
    ];
    const seen = new Map();
    for (const variant of variants) {
      const { from, body } = await ask(server, variant);
      assert.equal(from, 'miss', JSON.stringify(variant));
      seen.set(variant, body);
    }
    for (const variant of variants) {
      for (let i = 0; i < 3; i++) {
        const { from, body } = await ask(server, variant);
        assert.equal(from, 'hit', JSON.stringify(variant));
        assert.deepEqual(body, { ...seen.get(variant), fromCache: true });
      }
    }
  });

  test('relative ranges move with the clock, in time dimensions and in filters', async () => {
    const moving = [
      { ...value('fixed'), timeDimensions: [{ dimension: 'fixed.at', dateRange: 'this second' }] },
      { ...value('fixed'), filters: [{ member: 'fixed.at', operator: 'inDateRange', values: ['this second'] }] },
      { ...value('fixed'), filters: [{ member: 'fixed.at', operator: 'afterDate', values: ['1 second ago'] }] },
      { ...value('fixed'), filters: [{ or: [{ member: 'fixed.at', operator: 'beforeDate', values: ['1 second ago'] }, { member: 'fixed.k', operator: 'equals', values: ['7'] }] }], cache: 'stale-while-revalidate' },
    ];
    for (const query of moving) {
      await ask(server, query);
      await ask(server, query);
      await ask(server, query);
      await sleep(1100);
      assert.equal((await ask(server, query)).from, 'miss', JSON.stringify(query));
    }
    const still = { ...value('fixed'), timeDimensions: [{ dimension: 'fixed.at', dateRange: 'last 2 years' }] };
    await ask(server, still);
    await sleep(1100);
    assert.equal((await ask(server, still)).from, 'hit');
  });

  test('explanations and answers that must come from the source are not from the cache', async () => {
    for (const params of ['?explain=1', '?without_rollups=1']) {
      await ask(server, value('plain'), params);
      assert.equal((await ask(server, value('plain'), params)).from, 'bypass');
    }
    const explained = await ask(server, value('plain'), '?explain=1');
    assert.equal(explained.body.fromCache, false);
    assert.ok(explained.body.explain);
  });

  test('an error is not kept', async () => {
    const query = { measures: ['plain.none'] };
    const { entries } = await stats(server);
    for (let i = 0; i < 3; i++) {
      const answer = await server.post('/cubejs-api/v1/load', { query });
      assert.equal(answer.status, 400);
      assert.equal(answer.headers.get('x-granary-cache'), null);
    }
    assert.equal((await stats(server)).entries, entries);
  });
});

describe('the modes', () => {
  const server = shared(files());
  const mode = (cache, name = 'plain') => ({ ...value(name), cache });

  test('no-cache runs always, and what it found is what the next one gets', async () => {
    await early(10, 0.8);
    const first = await ask(server, value('plain'));
    const second = await ask(server, mode('no-cache'));
    const third = await ask(server, mode('no-cache'));
    assert.deepEqual([second.from, third.from], ['miss', 'miss']);
    assert.equal(new Set([first.value, second.value, third.value]).size, 3);
    assert.equal(third.body.query.cacheMode, 'no-cache');
    const last = await ask(server, value('plain'));
    assert.deepEqual([last.from, last.value, last.body.query.cacheMode], ['hit', third.value, 'stale-if-slow']);
  });

  test('stale-if-slow waits for a new answer when the refresh key has another value', async () => {
    await early(1);
    const first = await ask(server, value('fast'));
    assert.deepEqual(await ask(server, value('fast')).then(({ from, value }) => [from, value]), ['hit', first.value]);
    await sleep(1050);
    const later = await ask(server, value('fast'));
    assert.equal(later.from, 'miss');
    assert.notEqual(later.value, first.value);
  });

  for (const asked of [{ cache: 'must-revalidate' }, { renewQuery: true }]) {
    test(`${JSON.stringify(asked)} asks the refresh key anew`, async () => {
      const query = { ...value('hourly'), limit: asked.cache ? 11 : 12 };
      const first = await ask(server, query);
      write(server.folder, 'data/versions.csv', versions(Date.now()));
      assert.deepEqual(await ask(server, query).then(({ from, value }) => [from, value]), ['hit', first.value]);
      const renewed = await ask(server, { ...query, ...asked });
      assert.equal(renewed.from, 'miss');
      assert.notEqual(renewed.value, first.value);
      const again = await ask(server, { ...query, ...asked });
      assert.deepEqual([again.from, again.value], ['hit', renewed.value], 'made from exactly these values');
      assert.equal((await ask(server, query)).value, renewed.value);
    });
  }

  test('must-revalidate asks each time, however often it is asked', async () => {
    const query = { ...mode('must-revalidate', 'hourly'), limit: 13 };
    for (let i = 1; i <= 4; i++) {
      write(server.folder, 'data/versions.csv', versions(Date.now() + i));
      assert.equal((await ask(server, query)).from, 'miss');
      for (let k = 0; k < 5; k++) assert.equal((await ask(server, query)).from, 'hit');
    }
  });

  test('stale-while-revalidate answers at once, and one of many makes it anew', async () => {
    const query = mode('stale-while-revalidate', 'fast');
    const first = await ask(server, query);
    await sleep(1100);
    await early(1);
    const { misses } = await stats(server);
    const many = await Promise.all(Array.from({ length: 40 }, () => ask(server, query)));
    assert.ok(many.some(({ from }) => from === 'stale'));
    for (const { from, value, body } of many) {
      assert.equal(body.fromCache, true);
      if (from === 'stale') assert.equal(value, first.value);
    }
    await until('the new value', async () => (await ask(server, query)).value !== first.value);
    const made = (await stats(server)).misses - misses;
    assert.ok(made >= 1 && made <= 3, `made anew ${made} times`); // once in a second
  });

  test('stale-while-revalidate: the parts of a comparison', async () => {
    const compare = { measures: ['fast.value'], timeDimensions: [{ dimension: 'fast.at', compareDateRange: [['2024-01-01', '2024-01-31'], ['2024-01-10', '2024-02-29']] }], cache: 'stale-while-revalidate' };
    const load = () => server.post('/cubejs-api/v1/load', { query: compare, queryType: 'multi' });
    const first = await load();
    assert.equal(first.headers.get('x-granary-cache'), 'miss');
    await sleep(1100);
    const stale = await load();
    assert.equal(stale.headers.get('x-granary-cache'), 'stale');
    assert.deepEqual(stale.body.results.map(({ data }) => data), first.body.results.map(({ data }) => data));
    await until('both new values', async () => {
      const { body } = await load();
      return body.results.every(({ data }, i) => data[0]['fast.value'] !== first.body.results[i].data[0]['fast.value']);
    });
  });

  test('an unknown mode is an error', async () => {
    const answer = await server.post('/cubejs-api/v1/load', { query: { ...value('plain'), cache: 'always' } });
    assert.equal(answer.status, 400);
  });
});

describe('refresh keys of cubes', () => {
  const server = shared(files());

  test('sql: a new value makes a new answer, once it was asked again', async () => {
    write(server.folder, 'data/versions.csv', versions(1));
    const first = await ask(server, value('keyed'));
    await sleep(1100);
    assert.deepEqual(await ask(server, value('keyed')).then(({ from, value }) => [from, value]), ['hit', first.value], 'asked again, and the same');
    write(server.folder, 'data/versions.csv', versions(1, 2));
    await sleep(1100);
    const later = await ask(server, value('keyed'));
    assert.equal(later.from, 'miss');
    assert.notEqual(later.value, first.value);
  });

  for (const name of ['broken', 'empty']) {
    test(`one that ${name === 'broken' ? 'fails' : 'gives no row'}: nothing is kept, and it is told once`, async () => {
      const seen = new Set();
      for (let i = 0; i < 5; i++) {
        const { from, value: one } = await ask(server, value(name));
        assert.equal(from, 'bypass');
        seen.add(one);
      }
      assert.equal(seen.size, 5);
      await ask(server, { ...value(name), cache: 'must-revalidate' });
      const told = server.log().split('\n').filter((line) => line.includes('refresh_key.failed') && line.includes(`cube=${name}`));
      assert.equal(told.length, 1, told.join('\n'));
    });
  }

  test('immutable: valid as long as nothing else says otherwise; by default ten seconds', async () => {
    await early(10, 0.5);
    const [fixed, plain] = [await ask(server, value('fixed')), await ask(server, value('plain'))];
    assert.equal((await ask(server, value('plain'))).from, 'hit');
    await sleep(10100);
    assert.deepEqual(await ask(server, value('fixed')).then(({ from, value }) => [from, value]), ['hit', fixed.value]);
    const later = await ask(server, value('plain'));
    assert.equal(later.from, 'miss');
    assert.notEqual(later.value, plain.value);
  });
});

describe('answers from rollups', () => {
  const server = shared(files());
  const query = (name) => ({ measures: [`${name}.value`, `${name}.count`], dimensions: [`${name}.k`], order: { [`${name}.k`]: 'asc' } });
  const build = async (id) => {
    const answer = await server.post(`/ops/pre-aggregations/${id}/build?force=1`, {});
    assert.ok(answer.status < 300, answer.text);
    await until(`${id} to be built`, async () => (await server.get(`/ops/pre-aggregations/${id}/build`)).body.is_done);
  };

  test('are valid until their own rollup is built anew', async () => {
    const first = (await server.load(query('stored'))).body;
    await server.load(query('other'));
    assert.deepEqual(await ask(server, query('stored')).then(({ from, data }) => [from, data]), ['hit', first.data]);
    await build('other.main');
    const kept = await ask(server, query('stored'));
    assert.deepEqual([kept.from, kept.data], ['hit', first.data], 'the build of another one does not matter');
    assert.deepEqual(kept.body.usedPreAggregations, first.usedPreAggregations);
    for (let i = 0; i < 3; i++) await ask(server, query('stored'));
    await build('stored.main');
    const fresh = await ask(server, query('stored'));
    assert.equal(fresh.from, 'miss');
    assert.notDeepEqual(fresh.data, first.data);
    const [used] = Object.values(fresh.body.usedPreAggregations);
    assert.equal(used.version, Object.values(first.usedPreAggregations)[0].version + 1);
    assert.ok(Date.parse(fresh.body.lastRefreshTime) > Date.parse(first.lastRefreshTime));
  });

  test('readers during builds never get an older version after a newer one', async () => {
    let last = 0, done = false;
    const reader = async () => {
      let mine = 0;
      while (!done) {
        const { body } = await ask(server, query('stored'));
        const [{ version }] = Object.values(body.usedPreAggregations);
        assert.ok(version >= mine, `${version} after ${mine}`);
        mine = version;
        last = Math.max(last, version);
      }
    };
    const readers = [reader(), reader(), reader(), reader()];
    for (let i = 0; i < 8; i++) {
      await build('stored.main');
      const { body } = await ask(server, query('stored'));
      const [used] = Object.values(body.usedPreAggregations);
      assert.ok(used.version >= last, 'who asks after a build gets what it made');
    }
    done = true;
    await Promise.all(readers);
  });

  test('are counted as uses of the rollup', async () => {
    const { body } = await server.get('/pre-aggregations');
    const { id } = body.items.find(({ source_node: node, grain_columns: grain }) => JSON.stringify([node, grain]).includes('stored'));
    for (let i = 0; i < 25; i++) assert.equal((await ask(server, query('stored'))).from === 'bypass', false);
    await until('its uses to be written', async () => {
      const row = (await server.get(`/pre-aggregations/${id}`)).body;
      return row.hits >= 25;
    });
  });

  test('a rollup that is dropped: from the source, or built anew, and not what is gone', async () => {
    const before = await ask(server, query('stored'));
    const answer = await server.fetch('/ops/pre-aggregations/stored.main', { method: 'DELETE' });
    assert.equal(answer.status, 200);
    const after = (await server.load(query('stored'))).body;
    assert.equal(after.fromCache, false);
    assert.notDeepEqual(after.data, before.data);
  });
});

test('another model: its answers are its own, and when the first comes back so do its', async (t) => {
  const server = await serve(t, files());
  const query = { measures: ['fixed.count'] };
  for (let i = 0; i < 4; i++) assert.equal((await ask(server, query)).data[0]['fixed.count'], '1000');
  write(server.folder, 'model/all.yml', model.replace('range(1000)', 'range(500)'));
  assert.equal((await server.post('/ops/reload', {})).body.changed, true);
  const changed = await ask(server, query);
  assert.deepEqual([changed.from, changed.data[0]['fixed.count']], ['miss', '500']);
  write(server.folder, 'model/all.yml', model);
  await server.post('/ops/reload', {});
  assert.equal((await ask(server, query)).data[0]['fixed.count'], '1000');
});

test('a reload without a change: what the source is asked for, it is asked anew', async (t) => {
  const server = await serve(t, files());
  const first = await ask(server, value('fixed'));
  for (let i = 0; i < 3; i++) assert.equal((await ask(server, value('fixed'))).value, first.value);
  await server.post('/ops/reload', {});
  const again = await ask(server, value('fixed'));
  assert.equal(again.from, 'miss');
  assert.notEqual(again.value, first.value);
});

describe('who may', () => {
  const secret = 'a secret of the tests';
  const server = shared({ ...files(), 'granary.yml': config(`api_secret: ${secret}\n`) });
  const as = (payload) => ({ authorization: jwt(payload, secret) });

  test('an answer in the cache is for those who may ask', async () => {
    const query = value('fixed');
    for (let i = 0; i < 4; i++) await ask(server, query, '', as({ scopes: ['data'] }));
    assert.equal((await ask(server, query, '', as({ scopes: ['data'], sub: 'another' }))).from, 'hit');
    const refused = [{}, { authorization: 'nonsense' }, { authorization: jwt({}, 'another secret') }, as({ scopes: ['meta'] }), as({ exp: 1 })];
    for (const headers of refused) {
      const answer = await server.post('/cubejs-api/v1/load', { query }, headers);
      assert.equal(answer.status, 403, answer.text);
      assert.ok(!answer.text.includes('fixed.value'));
    }
  });
});

describe('many at once', () => {
  // A run takes a while, so that all the others come while it is running.
  const slow = (name, key, rows) => `  - name: ${name}
    sql: "SELECT random() + hash(a.i, b.i) % 10 * 0 AS r FROM range(${rows}) AS a(i), range(${rows}) AS b(i)"
    refresh_key: {${key}}
    measures:
      - {name: value, type: max, sql: r}
      - {name: bad, type: max, sql: "CASE WHEN {CUBE}.r > 2 THEN 1 ELSE error('it broke after all') END"}
`;
  const server = shared({ ...files('http: {continue_wait_ms: 60000}\n'), 'model/slow.yml': `cubes:\n${slow('slow', 'immutable: true', 6000)}${slow('moving', 'every: 2 seconds', 10000)}` });

  test('200 identical queries run once', async () => {
    const before = await stats(server);
    const all = await Promise.all(Array.from({ length: 200 }, (_, i) => ask(server, { ...value('slow'), ...(i % 2 ? {} : { timezone: 'utc' }) })));
    assert.equal(new Set(all.map((one) => one.value)).size, 1);
    assert.equal(all.filter(({ from }) => from === 'miss').length, 1);
    const after = await stats(server);
    assert.deepEqual([after.misses - before.misses, after.hits - before.hits], [1, 199]);
  });

  test('those who came before the refresh key moved get what was made for them', async () => {
    await until('the last part of a window', () => Date.now() % 2000 > 1200 && Date.now() % 2000 < 1400);
    const { misses } = await stats(server);
    const window = Math.floor(Date.now() / 2000);
    const all = await Promise.all(Array.from({ length: 60 }, () => ask(server, value('moving'))));
    assert.equal(new Set(all.map((one) => one.value)).size, 1);
    assert.equal((await stats(server)).misses - misses, 1);
    assert.ok(Math.floor(Date.now() / 2000) > window, 'it ran on into the next window');
    assert.equal((await ask(server, value('moving'))).from, 'miss', 'whoever comes later does not');
  });

  test('those who wait for one that must run always do not get an older answer', async () => {
    const values = await Promise.all([1, 2, 3].map(() => ask(server, { ...value('slow'), cache: 'no-cache' })));
    assert.equal(new Set(values.map((one) => one.value)).size, 3);
  });

  test('the one that runs loses its client: another one of those who wait runs', async () => {
    const query = { ...value('slow'), limit: 9 };
    const leaving = new AbortController();
    const first = fetch(`${server.url}/cubejs-api/v1/load`, { method: 'POST', body: JSON.stringify({ query }), headers: { 'content-type': 'application/json' }, signal: leaving.signal }).catch(() => 'left');
    await until('it to run', async () => (await server.fetch('/ops/status')).body.busy_workers === 1);
    const before = await stats(server);
    const others = Array.from({ length: 30 }, () => ask(server, query));
    await sleep(100);
    leaving.abort();
    assert.equal(await first, 'left');
    const all = await Promise.all(others);
    assert.equal(new Set(all.map((one) => one.value)).size, 1);
    assert.equal((await stats(server)).misses - before.misses, 1);
  });

  test('what fails is told to all who asked, each time', async () => {
    const query = { measures: ['slow.bad'], timezone: 'utc' };
    for (let round = 0; round < 2; round++) {
      const all = await Promise.all(Array.from({ length: 20 }, () => server.post('/cubejs-api/v1/load', { query })));
      for (const answer of all) {
        assert.equal(answer.status, 400, answer.text);
        assert.match(answer.body.error, /it broke after all/);
      }
    }
    await server.assertAlive(value('plain'));
  });
});

test('a load that was told to continue waiting: its answer is kept, the waiting is not', async (t) => {
  const pairs = `cubes:
  - name: pairs
    sql: "SELECT random() + hash(a.i, b.i) % 10 * 0 AS r FROM range(12000) AS a(i), range(12000) AS b(i)"
    refresh_key: {immutable: true}
    measures:
      - {name: value, type: max, sql: r}
`;
  const server = await serve(t, { 'granary.yml': config('http: {continue_wait_ms: 100}\n'), 'model/pairs.yml': pairs });
  const first = await server.post('/cubejs-api/v1/load', { query: value('pairs') });
  assert.deepEqual(first.body, { error: 'Continue wait' });
  assert.equal(first.headers.get('x-granary-cache'), null);
  const done = await server.load(value('pairs'));
  const again = await ask(server, { ...value('pairs'), timezone: 'utc' });
  assert.deepEqual([again.from, again.value], ['hit', done.body.data[0]['pairs.value']]);
});

describe('its size', () => {
  const max = 300000;
  const server = shared(files(`cache: {max_bytes: ${max}}\n`));

  test('stays in its bounds whatever is asked, and the oldest goes first', async () => {
    const query = (limit) => ({ measures: ['fixed.value'], dimensions: ['fixed.id'], limit, order: { 'fixed.id': 'asc' } });
    for (let i = 1; i <= 1000; i++) {
      const { data } = await ask(server, query((i % 500) + 1));
      assert.equal(data.length, (i % 500) + 1);
      if (i % 100) continue;
      const { bytes, max_bytes } = await stats(server);
      assert.ok(bytes <= max && max_bytes === max, `${bytes} of ${max_bytes}`);
    }
    const { evictions, entries } = await stats(server);
    assert.ok(evictions > 100 && entries > 5, JSON.stringify({ evictions, entries }));
    await ask(server, query(20));
    assert.equal((await ask(server, query(20))).from, 'hit');
  });

  test('what is larger than an eighth of it is not kept', async () => {
    const query = { measures: ['fixed.value'], dimensions: ['fixed.id'], limit: 1000 };
    assert.equal((await ask(server, query)).data.length, 1000);
    assert.equal((await ask(server, query)).from, 'miss');
    const many = await Promise.all(Array.from({ length: 20 }, () => ask(server, query)));
    assert.ok(many.every(({ data }) => data.length === 1000), 'those who waited for another one run on their own');
  });
});

test('cache.max_bytes: 0 keeps nothing', async (t) => {
  const server = await serve(t, files('cache: {max_bytes: 0}\n'));
  const seen = new Set();
  for (let i = 0; i < 4; i++) {
    const one = await ask(server, value('fixed'));
    assert.equal(one.from, 'bypass');
    seen.add(one.value);
  }
  assert.equal(seen.size, 4);
  assert.deepEqual(await stats(server).then(({ entries, bytes, hits }) => [entries, bytes, hits]), [0, 0, 0]);
});

test('developer mode: the id of the request is its own, also from the cache', async (t) => {
  const server = await serve(t, { ...files(), 'granary.yml': config('dev_mode: true\n') });
  for (let i = 0; i < 4; i++) {
    const { body, from } = await ask(server, value('fixed'), '', { 'x-request-id': `mine-span-${i}` });
    assert.equal(body.requestId, `mine-span-${i}`);
    assert.equal(from, i ? 'hit' : 'miss');
  }
});

describe('several queries in one request', () => {
  const server = shared(files());
  const compare = { measures: ['fixed.value'], timeDimensions: [{ dimension: 'fixed.at', compareDateRange: [['2024-01-15', '2024-01-20'], ['2024-02-01', '2024-02-10']] }] };
  const blend = [{ measures: ['fixed.value'], timeDimensions: [{ dimension: 'fixed.at', granularity: 'month' }] }, { measures: ['stored.count'], timeDimensions: [{ dimension: 'stored.at', granularity: 'month' }] }];

  for (const [what, query] of Object.entries({ compare, blend })) {
    test(`${what}: from the cache part by part, and the same`, async () => {
      await early(10, 0.7);
      const load = () => server.post('/cubejs-api/v1/load', { query, queryType: 'multi' });
      const first = await load();
      assert.equal(first.headers.get('x-granary-cache'), 'miss');
      for (let i = 0; i < 5; i++) {
        const again = await load();
        assert.equal(again.headers.get('x-granary-cache'), 'hit');
        assert.equal(again.headers.get('x-granary-served-by'), first.headers.get('x-granary-served-by'));
        assert.deepEqual(again.body, { ...first.body, results: first.body.results.map((result) => ({ ...result, fromCache: true })) });
      }
    });
  }

  test('a part is not the query alone: its rows have a column more', async () => {
    await server.post('/cubejs-api/v1/load', { query: compare, queryType: 'multi' });
    const alone = await ask(server, { measures: ['fixed.value'], timeDimensions: [{ dimension: 'fixed.at', dateRange: ['2024-01-15', '2024-01-20'] }] });
    assert.equal(alone.from, 'miss');
    assert.deepEqual(Object.keys(alone.data[0]), ['fixed.value']);
  });
});

test('granary query through a server gets what the server has', async (t) => {
  const server = await serve(t, files());
  const first = await ask(server, value('fixed'));
  const run = await server.granary(['query', JSON.stringify(value('fixed')), '--json']);
  assert.equal(run.code, 0, run.stderr);
  assert.ok(run.stdout.includes(first.value), run.stdout);
});

test('a source that changed is seen when its key has changed', async (t) => {
  const sales = `cubes:
  - name: sales
    sql_table: sales
    refresh_key: {every: 1 second}
    measures:
      - {name: total, type: sum, sql: n}
`;
  const server = await serve(t, { 'granary.yml': config(), 'model/sales.yml': sales, 'data/sales.csv': csv(['n'], [[1], [2]]) });
  const total = async () => (await server.rows({ measures: ['sales.total'] }))[0]['sales.total'];
  assert.equal(await total(), '3');
  write(server.folder, 'data/sales.csv', csv(['n'], [[1], [2], [39]]));
  assert.ok(fs.existsSync(path.join(server.folder, 'data/sales.csv')));
  await sleep(1050);
  assert.equal(await total(), '42');
});
