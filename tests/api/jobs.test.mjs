// /cubejs-api/v1/pre-aggregations/jobs as orchestrators use it (cube.md 3.9; cases 121, 122 and 125 of 7.2).
import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, test } from 'node:test';
import { Database } from './duckdb.mjs';
import { jwt, serve, shared, sleep, slowCube, until, write } from './helpers.mjs';
import { byDay, counts, cube, dropRows, files, partitions, preagg, vectorRows, writeRows } from './partitioned.mjs';

const route = '/cubejs-api/v1/pre-aggregations/jobs';
const contexts = [{ securityContext: {} }];
const selector = (more = {}) => ({ contexts, timezones: ['UTC'], ...more });
const send = (server, body, headers) => server.post(route, body, headers);

async function post(server, more) {
  const answer = await send(server, { action: 'post', selector: selector(more) });
  assert.equal(answer.status, 200, answer.text);
  assert.ok(Array.isArray(answer.body), answer.text);
  for (const token of answer.body) assert.match(token, /^[0-9a-f]{32}$/);
  assert.equal(new Set(answer.body).size, answer.body.length);
  return answer.body;
}

async function look(server, tokens, more = {}) {
  const answer = await send(server, { action: 'get', tokens, ...more });
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
}

const isOver = (job) => !['scheduled', 'processing'].includes(job.status);
const ended = (server, tokens, ms = 20000) =>
  until('the jobs to end', async () => {
    const jobs = await look(server, tokens);
    return jobs.every(isOver) && jobs;
  }, ms);

async function run(server, more) {
  const tokens = await post(server, more);
  return ended(server, tokens);
}
const statuses = (jobs) => [...new Set(jobs.map((job) => job.status))].sort();
const tables = (jobs) => jobs.map((job) => job.table);

describe('jobs', () => {
  const other = `  - name: others
    sql_table: others
    measures: [{name: count, type: count}]
    dimensions: [{name: id, sql: id, type: number, primary_key: true}]
    pre_aggregations:
      - {name: all, measures: [count], dimensions: [id]}
`;
  const config = 'data_sources:\n  default: {type: duckdb, path: data}\n  second: {type: duckdb, path: second}\nmodel: model\n';
  const more = { 'granary.yml': config, 'second/others.csv': 'id\n1\n2\n' };
  const base = files(preagg('table', 'day', 'day') + preagg('hourly', 'hour', 'hour') + preagg('flat', 'day'));
  const server = shared({ ...base, ...more, 'model/test.yml': base['model/test.yml'] + other.replace('sql_table', 'data_source: second\n    sql_table') });

  test('a token for each partition, polled until they are done', async () => {
    const tokens = await post(server, { preAggregations: ['test.table'] });
    assert.equal(tokens.length, 3);
    const jobs = await ended(server, tokens);
    assert.deepEqual(
      jobs,
      [1, 2, 3].map((day, i) => ({
        token: tokens[i],
        table: `granary.test_table2024010${day}`,
        status: 'done',
        selector: { cubes: ['test'], preAggregations: ['test.table'], contexts: [{ securityContext: {} }], timezones: ['UTC'], dataSources: ['default'] },
      })),
    );
    assert.deepEqual(Object.keys(jobs[0]), ['token', 'table', 'status', 'selector']);
    const object = await look(server, tokens, { resType: 'object' });
    assert.deepEqual(object, Object.fromEntries(jobs.map(({ token, ...rest }) => [token, rest])));
    assert.deepEqual(await look(server, tokens, { resType: 'array' }), jobs);
    assert.deepEqual((await partitions(server, 'test.table')).built, 3);
    assert.deepEqual(counts(await server.rows(byDay('UTC'))), [['2024-01-01', 24], ['2024-01-02', 24], ['2024-01-03', 25]]);
  });

  test('zones have tables of their own, where the zone matters', async () => {
    const york = await run(server, { preAggregations: ['test.table'], timezones: ['America/New_York'] });
    assert.deepEqual(tables(york), ['20231231', '20240101', '20240102', '20240103'].map((day) => `granary.test_table${day}`));
    assert.deepEqual(statuses(york), ['done']);
    const both = await run(server, { preAggregations: ['test.table'], timezones: ['UTC', 'Asia/Tokyo'] });
    assert.deepEqual(both.map((job) => job.selector.timezones[0]), [...Array(3).fill('UTC'), ...Array(4).fill('Asia/Tokyo')]);
    const hourly = await run(server, { preAggregations: ['test.hourly'], timezones: ['UTC', 'America/New_York'] });
    assert.equal(hourly.length, 72);
    assert.deepEqual([hourly[0].table, hourly[71].table], ['granary.test_hourly2024010100', 'granary.test_hourly2024010323']);
    assert.deepEqual(hourly[0].selector.timezones, ['UTC', 'America/New_York']);
    assert.deepEqual(statuses(hourly), ['done']);
  });

  test('a token for each context', async () => {
    const tenants = ['t1', 't2'].map((tenant) => ({ securityContext: { tenant } }));
    const jobs = await run(server, { preAggregations: ['test.flat'], contexts: tenants });
    assert.deepEqual(jobs.map((job) => [job.table, job.status, job.selector.contexts]), tenants.map((tenant) => ['granary.test_flat', 'done', [tenant]]));
  });

  test('what is fresh is built again, and nothing else', async () => {
    const [table, flat] = [await partitions(server, 'test.table'), await partitions(server, 'test.flat')];
    const jobs = await run(server, { preAggregations: ['test.table'], dateRange: ['2024-01-02', '2024-01-02'] });
    assert.deepEqual(tables(jobs), ['granary.test_table20240102']);
    const after = await partitions(server, 'test.table');
    assert.deepEqual(after.partitions.map((one, i) => one.table === table.partitions[i].table), [true, false, true]);
    assert.deepEqual(after.partitions.map((one) => one.checksum), table.partitions.map((one) => one.checksum));
    assert.deepEqual(await partitions(server, 'test.flat'), flat);
  });

  for (const [what, more, expected] of [
    ['a cube', { cubes: ['others'] }, ['granary.others_all']],
    ['a data source', { dataSources: ['second'] }, ['granary.others_all']],
    ['both', { dataSources: ['second'], preAggregations: ['others.all', 'test.flat'] }, ['granary.others_all']],
    ['a range, which says nothing about what has no partitions', { cubes: ['test'], preAggregations: ['test.flat'], dateRange: ['2030-01-01', '2030-01-02'] }, ['granary.test_flat']],
    ['a range of times with a zone', { preAggregations: ['test.hourly'], dateRange: ['2024-01-01T10:00:00Z', '2024-01-01T10:59:59Z'] }, ['granary.test_hourly2024010110']],
    ["a range on the zone's clock", { preAggregations: ['test.hourly'], timezones: ['America/New_York'], dateRange: ['2024-01-01T10:00:00', '2024-01-01T10:30:00'] }, ['granary.test_hourly2024010115']],
  ])
    test(`selected: ${what}`, async () => {
      const jobs = await run(server, more);
      assert.deepEqual(tables(jobs), expected);
      assert.deepEqual(statuses(jobs), ['done']);
    });

  test('all of them', async () => {
    const jobs = await run(server);
    assert.equal(jobs.length, 3 + 72 + 1 + 1);
    assert.deepEqual(statuses(jobs), ['done']);
  });

  test('two at once are both done', async () => {
    const posts = await Promise.all([1, 2, 3].map(() => post(server, { preAggregations: ['test.table'] })));
    for (const tokens of posts) assert.deepEqual(statuses(await ended(server, tokens)), ['done']);
  });

  const noMatch = "A user's selector doesn't match any of the pre-aggregations defined in the data model.";
  for (const [what, more] of [
    ['no such cube', { cubes: ['nothing'] }],
    ['no such pre-aggregation', { preAggregations: ['test.nothing'] }],
    ['one of another cube', { cubes: ['others'], preAggregations: ['test.table'] }],
    ['no such source', { dataSources: ['third'] }],
    ['an empty list', { cubes: [] }],
    ['a range without partitions', { preAggregations: ['test.table'], dateRange: ['2030-01-01', '2030-01-02'] }],
  ])
    test(`matches nothing: ${what}`, async () => {
      const answer = await send(server, { action: 'post', selector: selector(more) });
      assert.equal(answer.status, 400, answer.text);
      assert.deepEqual([answer.body.type, answer.body.error], ['UserError', noMatch]);
    });

  const format = 'Invalid Job query format: ';
  const token = 'e1578a60514a7c55689016adf0863965';
  for (const [body, text] of [
    [undefined, 'No job description provided'],
    [{}, 'No job description provided'],
    [[], 'No job description provided'],
    [[1], `${format}"value" must be of type object`],
    [{ selector: selector() }, `${format}"action" is required`],
    [{ action: 'delete' }, `${format}"action" must be one of [post, get]`],
    [{ action: 1 }, `${format}"action" must be one of [post, get]`],
    [{ action: 'post' }, `${format}"selector" is required`],
    [{ action: 'post', selector: 'all' }, `${format}"selector" must be of type object`],
    [{ action: 'post', selector: { timezones: ['UTC'] } }, `${format}"selector.contexts" is required`],
    [{ action: 'post', selector: { contexts: [], timezones: ['UTC'] } }, `${format}"selector.contexts" must contain at least 1 items`],
    [{ action: 'post', selector: { contexts: {}, timezones: ['UTC'] } }, `${format}"selector.contexts" must be an array`],
    [{ action: 'post', selector: { contexts: ['x'], timezones: ['UTC'] } }, `${format}"selector.contexts[0]" must be of type object`],
    [{ action: 'post', selector: { contexts: [{}], timezones: ['UTC'] } }, `${format}"selector.contexts[0].securityContext" is required`],
    [{ action: 'post', selector: { contexts: [{ securityContext: {}, x: 1 }], timezones: ['UTC'] } }, `${format}"selector.contexts[0].x" is not allowed`],
    [{ action: 'post', selector: { contexts } }, `${format}"selector.timezones" is required`],
    [{ action: 'post', selector: { contexts, timezones: [] } }, `${format}"selector.timezones" must contain at least 1 items`],
    [{ action: 'post', selector: { contexts, timezones: ['Mars/Base'] } }, `${format}"selector.timezones[0]" is not a time zone: Mars/Base`],
    [{ action: 'post', selector: { contexts, timezones: [1] } }, `${format}"selector.timezones[0]" must be a string`],
    [{ action: 'post', selector: selector({ cubes: 'test' }) }, `${format}"selector.cubes" must be an array`],
    [{ action: 'post', selector: selector({ cubes: [''] }) }, `${format}"selector.cubes[0]" is not allowed to be empty`],
    [{ action: 'post', selector: selector({ preAggregations: [{}] }) }, `${format}"selector.preAggregations[0]" must be a string`],
    [{ action: 'post', selector: selector({ dataSources: null }) }, `${format}"selector.dataSources" must be an array`],
    [{ action: 'post', selector: selector({ dateRange: ['2024-01-01'] }) }, `${format}"selector.dateRange" must contain 2 items`],
    [{ action: 'post', selector: selector({ dateRange: ['yesterday', 'now'] }) }, 'Cannot parse selector date range yesterday,now'],
    [{ action: 'post', selector: selector({ dateRange: ['2024-01-02', '2024-01-01'] }) }, 'Cannot parse selector date range 2024-01-02,2024-01-01'],
    [{ action: 'post', selector: selector({ cube: ['test'] }) }, `${format}"selector.cube" is not allowed`],
    [{ action: 'post', selector: selector(), tokens: [token] }, `${format}"tokens" is not allowed`],
    [{ action: 'post', selector: selector(), resType: 'object' }, `${format}"resType" is not allowed`],
    [{ action: 'get' }, `${format}"tokens" is required`],
    [{ action: 'get', tokens: [] }, `${format}"tokens" must contain at least 1 items`],
    [{ action: 'get', tokens: token }, `${format}"tokens" must be an array`],
    [{ action: 'get', tokens: [7] }, `${format}"tokens[0]" must be a string`],
    [{ action: 'get', tokens: [token], resType: 'map' }, `${format}"resType" must be one of [array, object]`],
    [{ action: 'get', tokens: [token], selector: selector() }, `${format}"selector" is not allowed`],
  ])
    test(`refused: ${JSON.stringify(body)}`, async () => {
      const answer = await send(server, body ?? '');
      assert.equal(answer.status, 400, answer.text);
      assert.deepEqual([answer.body.type, answer.body.error], ['UserError', text]);
    });

  test('no JSON, other methods, tokens that nobody has', async () => {
    assert.equal((await send(server, '{"action"')).status, 400);
    assert.equal((await server.fetch(route)).status, 405);
    assert.deepEqual(await look(server, [token, 'x']), [{ token, status: 'not_found' }, { token: 'x', status: 'not_found' }]);
    assert.deepEqual(await look(server, [token, token], { resType: 'object' }), { [token]: { status: 'not_found' } });
  });
});

test('a failing job stays a failure, and what serves goes on (case 121)', async (t) => {
  const server = await serve(t, files(preagg('table', 'day', 'day') + preagg('flat', 'day')));
  await run(server);
  const before = await partitions(server, 'test.table');
  dropRows(server);
  const tokens = await post(server);
  assert.equal(tokens.length, 4);
  const first = await ended(server, tokens);
  for (const job of first) assert.match(job.status, /^failure: ./);
  await sleep(200);
  assert.deepEqual(await look(server, tokens), first);
  assert.deepEqual((await partitions(server, 'test.table')).partitions, before.partitions);
  assert.deepEqual(counts(await server.rows(byDay('UTC', '2024-01-01', '2024-01-02'))), [['2024-01-01', 24], ['2024-01-02', 24]]);
  // Nothing is left of what they began.
  await server.stop();
  const db = await Database.open(path.join(server.folder, '.granary/store.duckdb'), { access_mode: 'READ_ONLY' });
  const stored = (await db.rows('SELECT table_name AS name FROM duckdb_tables() WHERE NOT internal')).map((row) => row.name);
  db.close();
  assert.deepEqual(stored.filter((name) => name.startsWith('test_table')).sort(), [...new Set(before.partitions.map((one) => one.table.split('.').pop()))].sort());
  writeRows(server, vectorRows);
  await server.start();
  assert.deepEqual(statuses(await run(server)), ['done']);
});

test('a job for what was never built, of a source that is gone', async (t) => {
  const server = await serve(t, files(preagg('table', 'day', 'day')));
  dropRows(server);
  const [job, ...others] = await run(server, { preAggregations: ['test.table'] });
  assert.equal(others.length, 0);
  assert.deepEqual([job.table, job.status.slice(0, 9)], ['granary.test_table', 'failure: ']);
});

test('jobs build what queries may not, and original_sql first (cases 122, 125)', async (t) => {
  const preaggs = '      - {name: raw, type: original_sql, build: explicit}\n' + preagg('table', 'day', 'day', ', use_original_sql_pre_aggregations: true, build: explicit');
  const server = await serve(t, files(preaggs, vectorRows, { sql: 'sql: "SELECT * FROM test WHERE amount < 100"' }));
  const view = async (name) => (await server.fetch('/ops/pre-aggregations')).body.pre_aggregations.find((one) => one.id === name);
  await server.rows(byDay('UTC'));
  assert.deepEqual([(await view('test.raw')).is_built, (await view('test.table')).is_built], [false, false]);
  const jobs = await run(server, { preAggregations: ['test.table'], dateRange: ['2024-01-02', '2024-01-02'] });
  assert.deepEqual(jobs.map((job) => [job.table, job.status]), [['granary.test_table20240102', 'done']]);
  assert.equal((await view('test.raw')).is_built, true);
  const table = await partitions(server, 'test.table');
  assert.deepEqual(table.partitions.map((one) => one.status), ['missing', 'built', 'missing']);
  assert.ok((await partitions(server, 'test.raw')).partitions[0].built_at <= table.partitions[1].built_at);
});

test('a rollup_join stands for its parts', async (t) => {
  const server = await serve(t, {
    'data/visits.csv': 'id,person_id\n1,1\n2,1\n3,2\n',
    'data/people.csv': 'id,town\n1,Rome\n2,Oslo\n',
    'model/m.yml': `cubes:
  - name: visits
    sql_table: visits
    joins:
      - {name: people, sql: "{CUBE.person_id} = {people.id}", relationship: many_to_one}
    measures: [{name: count, type: count}]
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: person_id, sql: person_id, type: number}
    pre_aggregations:
      - {name: per_person, measures: [count], dimensions: [person_id]}
      - {name: joined, type: rollup_join, measures: [count], dimensions: [people.town], rollups: [per_person, people.all]}
  - name: people
    sql_table: people
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: town, sql: town, type: string}
    pre_aggregations:
      - {name: all, dimensions: [id, town]}
`,
  });
  const jobs = await run(server, { preAggregations: ['visits.joined'] });
  assert.deepEqual(jobs.map((job) => [job.table, job.status]), [['granary.visits_per_person', 'done'], ['granary.people_all', 'done']]);
  assert.equal((await run(server)).length, 2);
});

describe('jobs that wait', () => {
  // One build at a time, and one that takes long: what is asked meanwhile stands behind it.
  const slowRollup = '    pre_aggregations:\n      - {name: main, measures: [count, longest], dimensions: [k]}\n';
  const open = (t) =>
    serve(t, { ...files(preagg('table', 'day', 'day') + preagg('gone', 'day', 'day')), 'model/slow.yml': slowCube('slow', 4000000, slowRollup) }, { env: { GRANARY_BUILD_AT_ONCE: '1' } });
  const started = async (server) => {
    const slow = await post(server, { preAggregations: ['slow.main'] });
    await until('the slow build to run', async () => (await look(server, slow))[0].status === 'processing');
    return slow;
  };

  test('scheduled, processing, done; missing_partition and pre_agg_not_found', async (t) => {
    const server = await open(t);
    const slow = await started(server);
    const table = await post(server, { preAggregations: ['test.table'] }), gone = await post(server, { preAggregations: ['test.gone'] });
    await sleep(100);
    assert.deepEqual(statuses(await look(server, [...table, ...gone])), ['scheduled']);
    // What comes of them is decided when they are built.
    writeRows(server, vectorRows.filter((row) => row[3] < '2024-01-03'));
    write(server.folder, 'model/test.yml', `cubes:\n${cube(preagg('table', 'day', 'day'))}`);
    assert.equal((await server.post('/ops/reload')).status, 200);
    assert.deepEqual(statuses(await look(server, gone)), ['pre_agg_not_found']);
    assert.deepEqual((await look(server, slow))[0].status, 'processing', 'the slow build was not slow enough to show anything');
    const jobs = await ended(server, table, 60000);
    assert.deepEqual(jobs.map((job) => [job.table, job.status]), [['granary.test_table20240101', 'done'], ['granary.test_table20240102', 'done'], ['granary.test_table20240103', 'missing_partition']]);
    assert.deepEqual(statuses(await ended(server, slow)), ['done']);
    assert.deepEqual(statuses(await look(server, gone)), ['pre_agg_not_found']);
  });

  test('a job does not take a build for its own that began before it', async (t) => {
    const server = await open(t);
    const first = await started(server);
    const before = (await partitions(server, 'slow.main')).partitions;
    const second = await post(server, { preAggregations: ['slow.main'] });
    assert.deepEqual(statuses(await ended(server, first, 60000)), ['done']);
    const between = (await partitions(server, 'slow.main')).partitions;
    assert.deepEqual(statuses(await ended(server, second, 60000)), ['done']);
    const after = (await partitions(server, 'slow.main')).partitions;
    assert.deepEqual([before, between, after].map((list) => list[0].version), [null, 1, 2]);
  });

  test('a server that stops does not wait for them', async (t) => {
    const server = await open(t);
    await started(server);
    await post(server, { preAggregations: ['test.table'] });
    const from = Date.now();
    await server.stop();
    assert.ok(Date.now() - from < 10000);
    await server.start();
    assert.deepEqual(statuses(await look(server, ['0123456789abcdef0123456789abcdef'])), ['not_found']);
    assert.deepEqual(statuses(await run(server, { preAggregations: ['test.table'] })), ['done']);
  });
});

test('the scope', async (t) => {
  const secret = 'secret of the test';
  const server = await serve(t, files(preagg('table', 'day', 'day')), { env: { GRANARY_API_SECRET: secret, CUBEJS_API_SECRET: secret } });
  const status = async (payload) => (await send(server, { action: 'post', selector: selector() }, payload && { authorization: jwt(payload, secret) })).status;
  assert.deepEqual([await status(), await status({ scopes: ['data', 'meta', 'sql'] }), await status({ scopes: ['jobs'] })], [403, 403, 200]);
});
