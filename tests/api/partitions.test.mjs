// Partitions by the API and the command line: which there are and how they are called, and building chosen ones again.
import assert from 'node:assert/strict';
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { bin, granary, jwt, makeFolder, removeFolder, until, workspace } from './helpers.mjs';
import * as helpers from './helpers.mjs';
import { byDay, counts, dropRows, files, partitions, preagg, rebuilt, refresh, refreshed, settled, vectorRows, writeRows } from './partitioned.mjs';

// Nothing is built but what is asked for: the refresh in the background has tests of its own.
const still = (options = {}) => ({ ...options, env: { GRANARY_REFRESH_ENABLED: 'false', ...options.env } });
const serve = (t, written, options) => helpers.serve(t, written, still(options));
const shared = (written, options) => helpers.shared(written, still(options));

const names = (view) => view.partitions.map((one) => one.name);
const digits = (view) => view.partitions.map((one) => one.partition);
const hasScript = spawnSync('script', ['--version']).status === 0; // util-linux: gives a command a terminal
const NY = 'America/New_York';

// A zone gets an entity of its own with the first build in it.
async function inZone(server, name, timezone) {
  const answer = await server.post(`/ops/pre-aggregations/${name}/build`, { timezone });
  assert.ok([200, 202].includes(answer.status), answer.text);
  await until('the build to end', async () => (await server.fetch(`/ops/pre-aggregations/${name}/build?timezone=${encodeURIComponent(timezone)}`)).body.is_done);
  return settled(server, name, `?timezone=${encodeURIComponent(timezone)}`);
}

describe('names and bounds', () => {
  const late = [[900, 'a', 1, '2024-03-10T18:00:00Z']];
  const server = shared(files(preagg('table', 'day', 'day') + preagg('hourly', 'hour', 'hour') + preagg('monthly', 'day', 'month') + preagg('weekly', 'day', 'week') + preagg('flat', 'day') + preagg('yearly', 'month', 'year')));

  test('days in UTC', async () => {
    const view = await partitions(server, 'test.table');
    assert.deepEqual(names(view), ['test_table20240101', 'test_table20240102', 'test_table20240103']);
    assert.deepEqual(view.partitions.map((one) => one.status), ['missing', 'missing', 'missing']);
    assert.deepEqual([view.total, view.built, view.missing, view.quarantined, view.rows, view.timezone], [3, 0, 3, 0, 0, 'UTC']);
    const built = await refreshed(server, 'test.table');
    assert.deepEqual(names(built), names(view));
    assert.deepEqual([built.total, built.built, built.missing, built.rows], [3, 3, 0, 6]);
    assert.deepEqual(
      built.partitions.map(({ from, to, rows, status }) => [from, to, rows, status]),
      [1, 2, 3].map((day) => [`2024-01-0${day}T00:00:00.000`, `2024-01-0${day + 1}T00:00:00.000`, 2, 'built']),
    );
    for (const one of built.partitions) {
      assert.match(one.checksum, /^\d+$/);
      assert.match(one.table, /test_table202401/);
      assert.ok(one.built_at && one.verified_at && one.version === 1 && one.bytes > 0 && one.quarantine === null);
    }
    assert.equal((await partitions(server, 'test.table', '?summary=true')).partitions, undefined);
  });

  test('days in New York and Tokyo', async () => {
    const york = await inZone(server, 'test.table', NY), tokyo = await inZone(server, 'test.table', 'Asia/Tokyo');
    assert.deepEqual(names(york), ['test_table20231231', 'test_table20240101', 'test_table20240102', 'test_table20240103']);
    assert.deepEqual(names(tokyo), ['test_table20240101', 'test_table20240102', 'test_table20240103', 'test_table20240104']);
    assert.deepEqual([york.timezone, york.partitions[0].from, york.partitions[0].to], [NY, '2023-12-31T00:00:00.000', '2024-01-01T00:00:00.000']);
    assert.equal(tokyo.total, 4);
  });

  test('hours are instants: the same in every zone', async () => {
    const utc = await partitions(server, 'test.hourly');
    assert.equal(utc.total, 72);
    assert.deepEqual([utc.partitions[0].name, utc.partitions[71].name], ['test_hourly2024010100', 'test_hourly2024010323']);
    const york = await inZone(server, 'test.hourly', NY);
    assert.equal(york.pre_aggregation_id, utc.pre_aggregation_id);
    assert.deepEqual([york.total, york.built], [72, 72]);
  });

  test('weeks, months, years', async () => {
    assert.deepEqual(digits(await partitions(server, 'test.weekly')), ['20240101']);
    assert.deepEqual(digits(await partitions(server, 'test.monthly')), ['20240101']);
    assert.deepEqual(digits(await inZone(server, 'test.monthly', NY)), ['20231201', '20240101']);
    assert.deepEqual(digits(await inZone(server, 'test.yearly', NY)), ['20230101', '20240101']);
  });

  test('without partitions there is one', async () => {
    const view = await refreshed(server, 'test.flat');
    assert.deepEqual([view.total, view.built, view.rows], [1, 1, 6]);
    const [one] = view.partitions;
    assert.deepEqual([one.partition, one.name, one.from, one.to, one.rows], [null, 'test_flat', null, null, 6]);
    const again = await refreshed(server, 'test.flat', {});
    assert.notEqual(again.partitions[0].table, one.table);
    assert.equal(again.partitions[0].checksum, one.checksum);
    const kept = await refresh(server, 'test.flat', { force: false });
    assert.equal(kept.status, 200);
    assert.deepEqual(await partitions(server, 'test.flat'), again);
  });

  test('a day on which the clock changes is a day', async (t) => {
    const spring = await serve(t, files(preagg('table', 'day', 'day'), late));
    const view = await inZone(spring, 'test.table', NY);
    assert.deepEqual(view.partitions.map(({ name, from, to }) => [name, from, to]), [['test_table20240310', '2024-03-10T00:00:00.000', '2024-03-11T00:00:00.000']]);
    assert.deepEqual(counts(await spring.rows(byDay(NY))), [['2024-03-10', 1]]);
  });
});

describe('building again', () => {
  const server = shared(files(preagg('table', 'day', 'day')));

  test('one partition, and its table alone changes', async () => {
    const before = await refreshed(server, 'test.table');
    const answer = await refresh(server, 'test.table', { partitions: ['20240102'] });
    assert.equal(answer.status, 202, answer.text);
    assert.deepEqual([answer.body.name, answer.body.status], ['test.table', 'materializing']);
    const after = await settled(server, 'test.table');
    assert.deepEqual(rebuilt(before, after), ['20240102']);
    assert.deepEqual(after.partitions.map((one) => one.version), [1, 2, 1]);
    assert.notEqual(after.partitions[1].table, before.partitions[1].table);
    assert.deepEqual(after.partitions.map((one) => one.checksum), before.partitions.map((one) => one.checksum));
  });

  for (const [what, body, expected] of [
    ['a date', { partitions: ['2024-01-03'] }, ['20240103']],
    ['the whole name', { partitions: ['test_table20240101'] }, ['20240101']],
    ['the bound as it is listed', { partitions: ['2024-01-01T00:00:00.000'] }, ['20240101']],
    ['two with one between them that stays', { partitions: ['20240103', '20240101'] }, ['20240101', '20240103']],
    ['a range of dates', { dateRange: ['2024-01-02', '2024-01-03'] }, ['20240102', '20240103']],
    ['a range of times', { dateRange: ['2024-01-01T10:00:00', '2024-01-01T11:00:00Z'] }, ['20240101']],
    ['a range beyond both ends', { dateRange: ['2000-01-01', '2100-01-01'] }, ['20240101', '20240102', '20240103']],
    ['all', {}, ['20240101', '20240102', '20240103']],
    ['what is fresh, unforced', { force: false }, []],
  ])
    test(what, async () => {
      const before = await partitions(server, 'test.table');
      const after = await refreshed(server, 'test.table', body);
      assert.deepEqual(rebuilt(before, after), expected);
      assert.equal(after.status, 'active');
      assert.deepEqual(after.partitions.map((one) => one.checksum), before.partitions.map((one) => one.checksum));
    });

  test('waiting for it', async () => {
    const before = await partitions(server, 'test.table');
    const answer = await refresh(server, 'test.table', { partitions: ['20240101'], wait: true });
    assert.deepEqual([answer.status, answer.body.status], [200, 'active']);
    assert.deepEqual(rebuilt(before, await partitions(server, 'test.table')), ['20240101']);
  });

  test("on DataJunction's path", async () => {
    const before = await partitions(server, 'test.table');
    const answer = await server.post(`/preaggs/${before.pre_aggregation_id}/partitions:refresh`, { partitions: ['20240103'] });
    assert.equal(answer.status, 200, answer.text);
    const after = await settled(server, 'test.table');
    assert.deepEqual(rebuilt(before, after), ['20240103']);
    assert.deepEqual((await server.fetch(`/preaggs/${before.pre_aggregation_id}/partitions`)).body, after);
  });
});

test('late rows are seen after a refresh of their partition, and not before', async (t) => {
  const server = await serve(t, files(preagg('table', 'day', 'day')));
  await refreshed(server, 'test.table');
  const served = async () => {
    const result = await server.result(byDay('UTC', '2024-01-01', '2024-01-03'));
    assert.deepEqual(Object.values(result.usedPreAggregations).map((used) => used.preAggregationId), ['test.table']);
    return counts(result.data);
  };
  const first = [['2024-01-01', 24], ['2024-01-02', 24], ['2024-01-03', 25]];
  assert.deepEqual(await served(), first);
  writeRows(server, [...vectorRows, [1000, 'a', 1, '2024-01-01T12:30:00Z'], [1001, 'b', 1, '2024-01-02T12:30:00Z']]);
  assert.deepEqual(await served(), first);
  const before = await partitions(server, 'test.table');
  const after = await refreshed(server, 'test.table', { partitions: ['20240102'] });
  assert.deepEqual(rebuilt(before, after), ['20240102']);
  assert.notEqual(after.partitions[1].checksum, before.partitions[1].checksum);
  assert.deepEqual(await served(), [first[0], ['2024-01-02', 25], first[2]]);
  await refreshed(server, 'test.table', { dateRange: ['2024-01-01', '2024-01-01'] });
  assert.deepEqual(await served(), [['2024-01-01', 25], ['2024-01-02', 25], first[2]]);
});

test('what is missing is told, and built without force alone', async (t) => {
  const server = await serve(t, files(preagg('table', 'day', 'day')));
  const first = await refreshed(server, 'test.table', { partitions: ['20240102'] });
  assert.deepEqual(first.partitions.map((one) => [one.partition, one.status]), [['20240101', 'missing'], ['20240102', 'built'], ['20240103', 'missing']]);
  assert.deepEqual([first.total, first.built, first.missing], [3, 1, 2]);
  assert.deepEqual([first.partitions[0].from, first.partitions[0].to, first.partitions[0].table, first.partitions[0].rows], ['2024-01-01T00:00:00.000', '2024-01-02T00:00:00.000', null, null]);
  const second = await refreshed(server, 'test.table', { force: false });
  assert.deepEqual(rebuilt(first, second), ['20240101', '20240103']);
  // A day that came since is a partition as soon as it is asked for.
  writeRows(server, [...vectorRows, [1000, 'a', 1, '2024-01-05T12:30:00Z']]);
  const third = await refreshed(server, 'test.table', { partitions: ['2024-01-05'] });
  assert.deepEqual(third.partitions.map((one) => [one.partition, one.status]), [['20240101', 'built'], ['20240102', 'built'], ['20240103', 'built'], ['20240104', 'missing'], ['20240105', 'built']]);
  assert.deepEqual(counts(await server.rows(byDay('UTC', '2024-01-01', '2024-01-05'))), [['2024-01-01', 24], ['2024-01-02', 24], ['2024-01-03', 25], ['2024-01-05', 1]]);
});

test('a partition in quarantine is told once, does not serve, and is built without force', async (t) => {
  const server = await serve(t, files(preagg('table', 'day', 'day')));
  const before = await refreshed(server, 'test.table');
  await server.stop();
  const judge = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.execute(\"UPDATE partitions SET quarantine = 'it differs' WHERE from_us = 1704153600000000\"); assert c.total_changes == 1; c.commit()";
  execFileSync('python3', ['-c', judge, path.join(server.state, 'catalog.sqlite')]);
  await server.start();
  const view = await partitions(server, 'test.table');
  assert.deepEqual(view.partitions.map((one) => [one.partition, one.status, one.quarantine]), [['20240101', 'built', null], ['20240102', 'quarantined', 'it differs'], ['20240103', 'built', null]]);
  assert.deepEqual([view.total, view.built, view.missing, view.quarantined, view.rows], [3, 2, 0, 1, 4]);
  const after = await refreshed(server, 'test.table', { force: false });
  assert.deepEqual(rebuilt(view, after), ['20240102']);
  assert.deepEqual(after.partitions.map((one) => [one.status, one.checksum]), before.partitions.map((one) => ['built', one.checksum]));
});

test('rows without a time are a partition of their own', async (t) => {
  const server = await serve(t, files(preagg('table', 'day', 'day'), [...vectorRows, [2000, 'a', 1, null], [2001, 'b', 1, null]]));
  const view = await refreshed(server, 'test.table');
  assert.deepEqual(digits(view), ['null', '20240101', '20240102', '20240103']);
  assert.deepEqual([view.partitions[0].name, view.partitions[0].from, view.partitions[0].to, view.partitions[0].rows], ['test_tablenull', null, null, 2]);
  writeRows(server, [...vectorRows, [2000, 'a', 1, null]]);
  const after = await refreshed(server, 'test.table', { partitions: ['null'] });
  assert.deepEqual(rebuilt(view, after), ['null']);
  assert.equal(after.partitions[0].rows, 1);
  assert.deepEqual(await server.rows({ measures: ['test.count'] }), [{ 'test.count': '74' }]);
});

test('a forced build in many slices builds each partition once, and all of them', async (t) => {
  const days = Array.from({ length: 120 }, (_, i) => [i, 'a', 1, new Date(Date.UTC(2024, 0, 1 + i)).toISOString()]);
  const server = await serve(t, files(preagg('table', 'day', 'day'), days), { env: { GRANARY_BUILD_SLICE_MS: '1', GRANARY_BUILD_PARTITIONS_AT_ONCE: '1' } });
  const before = await refreshed(server, 'test.table', { dateRange: ['2024-01-01', '2024-04-29'] });
  assert.deepEqual([before.total, before.built], [120, 120]);
  const newest = async () => (await server.fetch('/pre-aggregations/test.table/builds')).body[0].version, first = await newest();
  const chosen = before.partitions.filter((_, i) => i % 3 === 0).map((one) => one.partition);
  const after = await refreshed(server, 'test.table', { partitions: chosen });
  assert.deepEqual(rebuilt(before, after), chosen);
  // Each slice is a version; more than one was needed (and one of compaction), or nothing was shown.
  assert.ok((await newest()) - first > 2);
});

test('a build that fails leaves what serves, and says why', async (t) => {
  const server = await serve(t, files(preagg('table', 'day', 'day')));
  const before = await refreshed(server, 'test.table');
  dropRows(server);
  const all = await refresh(server, 'test.table');
  assert.equal(all.status, 202);
  const after = await settled(server, 'test.table');
  assert.equal(after.status, 'failed');
  assert.ok(after.error.length > 0);
  assert.deepEqual(after.partitions, before.partitions);
  assert.deepEqual(counts(await server.rows(byDay('UTC', '2024-01-01', '2024-01-02'))), [['2024-01-01', 24], ['2024-01-02', 24]]);
  writeRows(server, vectorRows);
  const again = await refreshed(server, 'test.table');
  assert.deepEqual([again.status, again.error], ['active', null]);
  assert.deepEqual(rebuilt(before, again), digits(before));
});

describe('bad input', () => {
  const server = shared(files(preagg('table', 'day', 'day') + preagg('flat', 'day')));
  const idOf = (answer) => answer.body.errors?.[0]?.context;

  for (const [what, name, body, status, id] of [
    ['no such pre-aggregation', 'test.nothing', {}, 404, 'preagg.not_found'],
    ['no such partition', 'test.table', { partitions: ['20240101', '19000101'] }, 404, 'preagg.partition_not_found'],
    ['what is no name at all', 'test.table', { partitions: ["'; DROP TABLE x; --"] }, 404, 'preagg.partition_not_found'],
    ['an empty name', 'test.table', { partitions: [''] }, 404, 'preagg.partition_not_found'],
    ['a range without partitions', 'test.table', { dateRange: ['2030-01-01', '2030-01-02'] }, 404, 'preagg.partition_not_found'],
    ['a partition of what has none', 'test.flat', { partitions: ['20240101'] }, 404, 'preagg.partition_not_found'],
    ['no dates', 'test.table', { dateRange: ['yesterday', 'today'] }, 422, 'query.date'],
    ['a day that does not exist', 'test.table', { dateRange: ['2024-02-30', '2024-03-01'] }, 422, 'query.date'],
    ['a range that ends before it starts', 'test.table', { dateRange: ['2024-01-03', '2024-01-01'] }, 422, 'query.date'],
    ['the same without partitions', 'test.flat', { dateRange: ['2024-01-03', '2024-01-01'] }, 422, 'query.date'],
  ])
    test(what, async () => {
      const answer = await refresh(server, name, body);
      assert.deepEqual([answer.status, idOf(answer)], [status, id], answer.text);
    });

  for (const [what, body, field] of [
    ['an unknown field', { partition: ['20240101'] }, 'partition'],
    ['an empty list', { partitions: [] }, 'partitions'],
    ['no list', { partitions: '20240101' }, 'partitions'],
    ['no texts', { partitions: [20240101] }, 'partitions'],
    ['one bound', { dateRange: ['2024-01-01'] }, 'dateRange'],
    ['three bounds', { dateRange: ['2024-01-01', '2024-01-02', '2024-01-03'] }, 'dateRange'],
    ['an empty bound', { dateRange: ['', '2024-01-02'] }, 'dateRange'],
    ['both', { partitions: ['20240101'], dateRange: ['2024-01-01', '2024-01-02'] }, 'dateRange'],
    ['force that is no boolean', { force: 'yes' }, 'force'],
  ])
    test(what, async () => {
      const answer = await refresh(server, 'test.table', body);
      assert.equal(answer.status, 422, answer.text);
      assert.ok(answer.body.detail.some((detail) => detail.loc.includes(field)), answer.text);
    });

  test('nothing of it built anything', async () => {
    assert.equal((await refresh(server, 'test.table', '{')).status, 422);
    assert.equal((await refresh(server, 'test.table', [])).status, 422);
    for (const name of ['test.table', 'test.flat']) assert.equal((await partitions(server, name)).built, 0);
    assert.equal((await server.fetch('/pre-aggregations/test.nothing/partitions')).status, 404);
    assert.equal((await server.fetch('/preaggs/x/partitions')).status, 422);
    const zone = await server.fetch('/pre-aggregations/test.table/partitions?timezone=Asia/Tokyo');
    assert.deepEqual([zone.status, idOf(zone)], [422, 'query.timezone']);
  });

  test('scopes', async (t) => {
    const secret = 'secret of the test';
    const closed = await serve(t, files(preagg('table', 'day', 'day')), { env: { GRANARY_API_SECRET: secret, CUBEJS_API_SECRET: secret } });
    const as = (...scopes) => ({ authorization: jwt({ scopes }, secret) });
    const read = async (headers) => (await closed.fetch('/pre-aggregations/test.table/partitions', { headers })).status;
    const change = async (headers) => (await closed.post('/pre-aggregations/test.table/partitions:refresh', {}, headers)).status;
    assert.deepEqual([await read({}), await read(as('meta')), await read(as('data'))], [403, 200, 403]);
    assert.deepEqual([await change({}), await change(as('meta')), await change(as('jobs'))], [403, 403, 202]);
  });
});

describe('the command line', () => {
  const checks = (run) => {
    test('lists, builds what is missing, builds again by force', async () => {
      const first = await run(['preagg', 'partitions', 'test.table', '--json']);
      assert.equal(first.code, 0, first.stderr);
      assert.deepEqual([first.json.total, first.json.missing], [3, 3]);
      const one = await run(['preagg', 'refresh', 'test.table', '--partition', '2024-01-02', '--partition=20240103']);
      assert.equal(one.code, 0, one.stderr);
      assert.match(one.stdout, /^test\.table: 2 partitions built \(\d+ ms, 4 rows\)\n$/);
      const rest = await run(['preagg', 'refresh', 'test.table', '--json']);
      assert.deepEqual([rest.json.pre_aggregation, rest.json.built, rest.json.rows], ['test.table', ['test_table20240101'], 2], rest.stdout + rest.stderr);
      assert.equal((await run(['preagg', 'refresh', 'test.table'])).stdout, 'test.table: is built already\n');
      const forced = await run(['preagg', 'refresh', 'test.table', '--force', '--json', '--range', '2024-01-01', '2024-01-02']);
      assert.deepEqual(forced.json.built, ['test_table20240101', 'test_table20240102']);
      const flat = await run(['preagg', 'refresh', 'test.flat']);
      assert.match(flat.stdout, /^test\.flat: 1 partition built \(\d+ ms, 6 rows\)\n$/);
      const table = await run(['preagg', 'partitions', 'test.table']);
      assert.match(table.stdout, /^partition +from +to +status +rows/);
      for (const day of ['20240101', '20240102', '20240103']) assert.match(table.stdout, new RegExp(`^${day} .* built +2 `, 'm'));
    });

    for (const [args, code, id] of [
      [['preagg', 'refresh', 'test.table', '--partition', '19000101'], 1, 'preagg.partition_not_found'],
      [['preagg', 'refresh', 'test.nothing'], 1, 'preagg.not_found'],
      [['preagg', 'partitions', 'test.nothing'], 1, 'preagg.not_found'],
      [['preagg', 'refresh', 'test.table', '--range', 'x', 'y'], 1, 'query.date'],
      [['preagg', 'refresh', 'test.table', '--range', '2024-01-01', '2024-01-02', '--partition', '20240101'], 2, 'cli.usage'],
      [['preagg', 'refresh', 'test.table', '--range', '2024-01-01'], 2, 'cli.usage'],
      [['preagg', 'refresh'], 2, 'cli.usage'],
    ])
      test(args.join(' '), async () => {
        const answer = await run([...args, '--json']);
        assert.equal(answer.code, code, answer.stdout + answer.stderr);
        assert.ok(answer.stderr.includes(`error[${id}]`), answer.stderr);
      });
  };

  describe('with a server', () => {
    const server = shared(files(preagg('table', 'day', 'day') + preagg('flat', 'day')));
    checks((args) => server.granary(args));

    test('a build that fails is an error', async () => {
      dropRows(server);
      const answer = await server.granary(['preagg', 'refresh', 'test.table', '--force', '--json']);
      assert.deepEqual([answer.code, answer.json.id], [3, 'preagg.build_failed'], answer.stdout);
    });
  });

  test('a bar says how many partitions and rows are made', { skip: !hasScript }, async (t) => {
    const days = Array.from({ length: 1000 }, (_, i) => [i, 'a', 1, new Date(Date.UTC(2024, 0, 1 + i)).toISOString()]);
    const { folder } = workspace(t, files(preagg('table', 'day', 'day'), days));
    const env = { ...process.env, GRANARY_BUILD_PARTITIONS_AT_ONCE: '1', GRANARY_BUILD_SLICE_MS: '1' };
    const run = spawn('script', ['-qec', `${bin} preagg refresh test.table -c ${folder}/granary.yml`, '/dev/null'], { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    run.stdout.on('data', (bytes) => (text += bytes));
    assert.equal(await new Promise((resolve) => run.on('close', resolve)), 0, text);
    assert.match(text, /test\.table +\[[#-]{40}\] .* \d+\/\d+ partitions, \d+ rows/);
    assert.match(text, /test\.table: 1000 partitions built \(\d+ ms, 1000 rows\)/);
  });

  describe('without one', () => {
    let folder;
    before(() => (folder = makeFolder(files(preagg('table', 'day', 'day') + preagg('flat', 'day')))));
    after(() => removeFolder(folder));
    checks((args) => granary([...args, '-c', path.join(folder, 'granary.yml')], { cwd: folder }));
  });
});
