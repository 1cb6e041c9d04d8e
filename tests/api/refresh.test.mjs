// The background refresh: each kind of key rebuilds what it says, when it says, while the old version serves.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { serve, shared, sleep, until } from './helpers.mjs';
import { byDay, change, cube, date, day, days, item, keyOf, mended, metric, preagg, put, refresh, rows, served, setKey, tables, today, total, untilServed } from './refresh_world.mjs';

const config = (more = '') => `data_sources:\n  default: {type: duckdb, path: data}\nmodel: model\nengine: {threads: 1}\n${more}`;

describe('keys', { concurrency: true }, () => {
  // Yesterday's partition closes some seconds after the server begins.
  const closesIn = Math.ceil((Date.now() - today()) / 1000) + 8;
  const names = ['ticks', 'crons', 'asked', 'paced', 'fixed', 'closing', 'framed', 'printed', 'columned', 'unscheduled', 'waiting', 'broken', 'blank'];
  const server = shared({
    ...tables(names),
    'granary.yml': config('refresh: {key_timeout_ms: 5000}\nbuild: {at_once: 4}\n'),
    'model/all.yml': `cubes:
${cube('ticks', 'every: 1 second')}${cube('crons', "every: '* * * * * *'")}${cube('asked', keyOf('asked'))}
${cube('paced', "sql: 'SELECT random()', every: 3 seconds")}${cube('fixed', '', { cubeKey: 'immutable: true' })}
${cube('closing', `every: 1 day, incremental: true, update_window: ${closesIn} seconds`, { parts: true })}
${cube('framed', `every: 1 second, incremental: true, update_window: 1 day`, { parts: true })}
${cube('printed', 'fingerprint: rows, every: 1 second', { parts: true })}
${cube('columned', "fingerprint: '{CUBE}.changed', every: 1 second", { parts: true })}
${cube('unscheduled', 'every: 1 second', { more: '        scheduled_refresh: false\n' })}
${cube('waiting', `${keyOf('waiting')}, every: 1 hour`, { parts: true })}
${cube('broken', `${keyOf('broken')}, every: 1 second`)}${cube('blank', `sql: 'SELECT v FROM blank_key WHERE v > 0', every: 1 second`)}`,
  });

  for (const name of ['ticks', 'crons']) {
    test(`${name}: time goes by`, async () => {
      assert.equal(await served(server, name), 5);
      const { entity_id, version } = await until('an item', () => preagg(server, name));
      assert.ok(entity_id);
      change(server, name, rows(2));
      await untilServed(server, name, 10);
      const shown = await until('a next time', () => item(server, name));
      assert.ok(Math.abs(Date.parse(shown.next_at) - Date.now()) < 5000, JSON.stringify(shown));
      assert.ok(Date.parse(shown.looked_at) <= Date.now());
      assert.ok((await preagg(server, name)).version > version);
    });
  }

  test('a key that is SQL alone is asked every 10 seconds; nothing is built until it changes', async () => {
    assert.equal(await served(server, 'asked'), 5);
    await until('the first look', async () => (await item(server, 'asked'))?.looked_at);
    change(server, 'asked', rows(3));
    await sleep(2500);
    assert.equal(await served(server, 'asked'), 5);
    setKey(server, 'asked', 2);
    await untilServed(server, 'asked', 15, 15000);
    const { version } = await preagg(server, 'asked');
    change(server, 'asked', rows(4));
    await sleep(1500);
    assert.equal((await preagg(server, 'asked')).version, version);
  });

  test('a key is asked once for all requests, and no sooner than its `every` says', async () => {
    // Its value is another one each time that it is asked: every asking is a build.
    assert.equal(await served(server, 'paced'), 5);
    const before = (await until('it to be built', () => preagg(server, 'paced'))).version;
    const began = Date.now();
    let n = 0;
    while (Date.now() - began < 7000) {
      await Promise.all(Array.from({ length: 5 }, () => served(server, 'paced')));
      n += 5;
      await sleep(20);
    }
    const builds = (await preagg(server, 'paced')).version - before;
    const most = Math.floor((Date.now() - began) / 3000) + 2; // the first look, and what began before
    assert.ok(n > 100 && builds >= 1 && builds <= most, `${builds} builds in ${n} requests, at most ${most}`);
  });

  test('what is immutable is never looked at again', async () => {
    assert.equal(await served(server, 'fixed'), 5);
    change(server, 'fixed', rows(2));
    await sleep(3000);
    assert.equal(await served(server, 'fixed'), 5);
    assert.equal((await item(server, 'fixed')).next_at, null);
  });

  test('incremental: a partition in the window is built again, a closed one is not', async () => {
    assert.deepEqual(await days(server, 'framed'), [1, 1, 1, 1, 1]);
    change(server, 'framed', rows(2));
    await until('today', async () => (await days(server, 'framed')).at(-1) === 2);
    await until('yesterday', async () => (await days(server, 'framed')).at(-2) === 2);
    assert.deepEqual(await days(server, 'framed'), [1, 1, 1, 2, 2]);
    change(server, 'framed', rows(3));
    await until('today again', async () => (await days(server, 'framed')).at(-1) === 3);
    assert.deepEqual((await days(server, 'framed')).slice(0, 3), [1, 1, 1]);
  });

  test('incremental: a partition that closes is built once more, and then no more', async () => {
    assert.deepEqual(await days(server, 'closing'), [1, 1, 1, 1, 1]);
    change(server, 'closing', rows(2));
    const closes = today() + closesIn * 1000;
    assert.ok(Date.now() < closes - 500, 'the machine is too slow for this test');
    assert.deepEqual(await days(server, 'closing'), [1, 1, 1, 1, 1]);
    await until('yesterday to be closed', async () => (await days(server, 'closing'))[3] === 2, 20000);
    assert.ok(Date.now() >= closes - 200);
    assert.deepEqual(await days(server, 'closing'), [1, 1, 1, 2, 1]);
    change(server, 'closing', rows(3));
    await sleep(2000);
    assert.deepEqual(await days(server, 'closing'), [1, 1, 1, 2, 1]);
  });

  test('fingerprint of rows: a late row in an old partition is found', async () => {
    assert.deepEqual(await days(server, 'printed'), [1, 1, 1, 1, 1]);
    const { version } = await preagg(server, 'printed');
    await sleep(2500);
    assert.equal((await preagg(server, 'printed')).version, version, 'nothing has changed');
    change(server, 'printed', [...rows(1), [9, 1, 10, `${date(today() - 4 * day)} 09:00:00`, '2020-01-01']]);
    await until('the late row', async () => (await days(server, 'printed'))[0] === 11);
    assert.deepEqual(await days(server, 'printed'), [11, 1, 1, 1, 1]);
  });

  test('fingerprint of a column: a row that was changed in an old partition is found', async () => {
    assert.deepEqual(await days(server, 'columned'), [1, 1, 1, 1, 1]);
    const list = rows(1);
    list[3] = [3, 1, 7, list[3][3], `${date(today())} 23:00:00`];
    change(server, 'columned', list);
    await until('the changed row', async () => (await days(server, 'columned'))[1] === 7);
    assert.deepEqual(await days(server, 'columned'), [1, 7, 1, 1, 1]);
  });

  test('scheduled_refresh: false is not refreshed by itself', async () => {
    assert.equal(await served(server, 'unscheduled'), 5);
    change(server, 'unscheduled', rows(2));
    await sleep(2500);
    assert.equal(await served(server, 'unscheduled'), 5);
    assert.equal(await item(server, 'unscheduled'), undefined);
    assert.equal((await preagg(server, 'unscheduled')).refresh, null);
  });

  test('must-revalidate waits for what the key says now, alone and among several', async () => {
    assert.equal(await served(server, 'waiting'), 5);
    change(server, 'waiting', rows(2));
    setKey(server, 'waiting', 2);
    assert.equal(await served(server, 'waiting'), 5);
    assert.equal(await served(server, 'waiting', { cache: 'must-revalidate' }), 10);
    assert.equal(await served(server, 'waiting'), 10);
    change(server, 'waiting', rows(3));
    setKey(server, 'waiting', 3);
    const at = (back) => date(today() - back * day);
    const compared = { ...total('waiting'), cache: 'must-revalidate', timeDimensions: [{ dimension: 'waiting.at', compareDateRange: [[at(4), at(2)], [at(1), at(0)]] }] };
    const several = await server.post('/cubejs-api/v1/load', { query: compared, queryType: 'multi' });
    assert.equal(several.status, 200, several.text);
    assert.deepEqual(several.body.results.map((result) => Number(result.data[0]['waiting.total'])), [9, 6]);
  });

  test('a key that fails: the old version serves, the error is told, and mended it goes on', async () => {
    assert.equal(await served(server, 'broken'), 5);
    await until('the first look', async () => (await item(server, 'broken'))?.looked_at);
    change(server, 'broken', rows(2));
    put(server, 'broken_key', ['other'], [[1]]);
    const failing = await until('failures', async () => {
      const shown = await item(server, 'broken');
      return shown.failures > 1 && shown;
    });
    assert.match(failing.error, /refresh key failed/);
    assert.equal(await served(server, 'broken'), 5);
    const listed = await preagg(server, 'broken');
    assert.match(listed.refresh.error, /refresh key failed/);
    const { body } = await server.fetch(`/pre-aggregations/${listed.entity_id}`);
    assert.ok(body.refresh.failures > 1);
    assert.ok((await metric(server, 'granary_preagg_refresh_failures{pre_aggregation="broken.main",zone="UTC"}')) > 1);
    const list = await server.granary(['preagg', 'list']);
    assert.match(list.stdout, /refresh key failed/);
    assert.match((await server.granary(['preagg', 'show', 'broken.main'])).stdout, /refresh error +The refresh key failed/);
    setKey(server, 'broken', 2);
    await untilServed(server, 'broken', 10, 20000);
    assert.equal((await mended(server, 'broken')).error, null);
  });

  test('a key that has no row: the old version serves until it has one', async () => {
    assert.equal(await served(server, 'blank'), 5);
    await until('the first look', async () => (await item(server, 'blank'))?.looked_at);
    setKey(server, 'blank', 0);
    await until('it to be told', async () => (await item(server, 'blank')).error);
    change(server, 'blank', rows(2));
    await sleep(1500);
    assert.equal(await served(server, 'blank'), 5);
    setKey(server, 'blank', 2);
    await untilServed(server, 'blank', 10, 20000);
  });

  test('its next time is a metric', async () => {
    await served(server, 'ticks');
    const next = await until('a time', () => metric(server, 'granary_preagg_next_refresh_timestamp_seconds{pre_aggregation="ticks.main",zone="UTC"}'));
    assert.ok(Math.abs(next - Date.now() / 1000) < 5);
    await until('a refresh to be counted', async () => (await metric(server, 'granary_refreshes_total{result="done"}')) > 0);
    assert.equal(await metric(server, 'granary_refresh_state{state="running"}'), 1);
  });
});

test('a build that fails: the old version serves, it is tried again, and mended it is built', async (t) => {
  const server = await serve(t, { ...tables(['a']), 'granary.yml': config(), 'model/a.yml': `cubes:\n${cube('a', `${keyOf('a')}, every: 1 second`)}` });
  assert.equal(await served(server, 'a'), 5);
  await until('the first look', async () => (await item(server, 'a'))?.looked_at);
  change(server, 'a', [[1, 1, 'no number', '2024-01-01', '2024-01-01']]);
  setKey(server, 'a', 2);
  await until('failures', async () => (await item(server, 'a')).failures > 1);
  assert.equal(await served(server, 'a'), 5);
  assert.ok((await refresh(server)).failed > 1);
  assert.ok((await metric(server, 'granary_refreshes_total{result="failed"}')) > 1);
  change(server, 'a', rows(4));
  await untilServed(server, 'a', 20, 20000);
  await mended(server, 'a');
});

test('several time zones are built ahead of queries', async (t) => {
  const server = await serve(t, {
    ...tables(['a']),
    'granary.yml': config("refresh: {prebuild: true, timezones: 'America/New_York, Asia/Tokyo,UTC'}\n"),
    'model/a.yml': `cubes:\n${cube('a', 'every: 1 second', { parts: true })}`,
  });
  const zones = async () => (await refresh(server)).items.filter(({ looked_at, failures }) => looked_at && !failures).map(({ zone }) => zone).sort();
  await until('all zones', async () => (await zones()).length === 3);
  assert.deepEqual(await zones(), ['America/New_York', 'Asia/Tokyo', 'UTC']);
  const query = (timezone) => ({ ...byDay('a'), timezone });
  await until('all to be built', async () => (await server.fetch('/ops/pre-aggregations')).body.pre_aggregations.every(({ is_built }) => is_built));
  const sum = async (timezone) => (await server.rows(query(timezone))).reduce((all, row) => all + Number(row['a.total']), 0);
  for (const zone of ['UTC', 'Asia/Tokyo']) assert.equal(await sum(zone), 5);
  change(server, 'a', rows(2));
  for (const zone of ['UTC', 'Asia/Tokyo', 'America/New_York']) await until(`${zone} to be refreshed`, async () => (await sum(zone)) === 10);
});

test('a schedule that is set by API is followed at once, and no more when its workflow is stopped', async (t) => {
  const server = await serve(t, { ...tables(['a']), 'granary.yml': config(), 'model/a.yml': `cubes:\n${cube('a', 'every: 1 hour')}` });
  const planned = await server.post('/preaggs/plan', { metrics: ['a.total'], dimensions: ['a.id'], strategy: 'full' });
  assert.equal(planned.status, 201, planned.text);
  const { id } = planned.body.preaggs[0];
  const configure = (body) => server.fetch(`/preaggs/${id}/config`, { method: 'PATCH', body: JSON.stringify(body), headers: { 'content-type': 'application/json' } });
  const n = async () => (await server.fetch(`/pre-aggregations/${id}/builds?limit=100`)).body.length;
  assert.equal((await server.post(`/preaggs/${id}/materialize`, {})).status, 200);
  await until('the first build', async () => (await server.fetch(`/pre-aggregations/${id}`)).body.status === 'active');
  const next = async () => (await server.fetch(`/pre-aggregations/${id}`)).body.refresh?.next_at;
  await until('its daily turn', async () => Date.parse(await next()) > Date.now());
  await sleep(1500);
  assert.equal(await n(), 1);
  assert.equal((await configure({ schedule: '* * * * * *' })).status, 200);
  await until('a build each second', async () => (await n()) >= 4, 8000);
  assert.equal((await server.fetch(`/preaggs/${id}/workflow`, { method: 'DELETE' })).status, 200);
  await until('it to be let alone', async () => (await server.fetch(`/pre-aggregations/${id}`)).body.refresh === null);
  await sleep(500);
  const before = await n();
  await sleep(2500);
  assert.equal(await n(), before);
});
