// rollup_lambda: rollups one after the other in time, and at last the source. What is closed is read from the rollups alone; what
// came since, from the source; each row once.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { ask, assertRows, filter } from './answers.mjs';
import { csv, Server, serve } from './helpers.mjs';

const columns = ['id', 'kind', 'amount', 'who', 'at'];
const hour = 3600000;
const stamp = (ms) => new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
// A row every 5 hours of 2021-04-01 … 2021-06-01T04:00, of two kinds and 40 people.
const base = Array.from({ length: 294 }, (_, i) => [i + 1, i % 3 ? 'a' : 'b', (i * 7) % 50, (i * 11) % 40, stamp(Date.UTC(2021, 3, 1) + i * 5 * hour)]).filter((row) => row[4] < '2021-06-01 05');

const members = 'measures: [count, total, mean, people, last], dimensions: [kind], time_dimension: at';
const model = (preaggs) => `cubes:
  - name: events
    sql_table: events
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
      - {name: mean, type: avg, sql: amount}
      - {name: people, type: count_distinct_approx, sql: who}
      - {name: last, type: max, sql: id}
      - {name: exact_people, type: count_distinct, sql: who}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: kind, sql: kind, type: string}
      - {name: who, sql: who, type: number}
      - {name: at, sql: at, type: time}
    pre_aggregations:
${preaggs.map((one) => `      - {${one}}\n`).join('')}`;

const world = (preaggs, rows = base) => ({ 'data/events.csv': csv(columns, rows), 'model/model.yml': model(preaggs) });
const add = (server, rows) => fs.appendFileSync(path.join(server.folder, 'data/events.csv'), rows.map((row) => `${row.map((v) => v ?? '').join(',')}\n`).join(''));
const hide = (server) => fs.renameSync(path.join(server.folder, 'data/events.csv'), path.join(server.folder, 'events.hidden'));
const show = (server) => fs.renameSync(path.join(server.folder, 'events.hidden'), path.join(server.folder, 'data/events.csv'));

const all = 'events.count events.total events.mean events.people events.last';
const between = (from, to, more = {}) => ({ ranges: { 'events.at': [from, to] }, ...more });
// Rows are added all the time: what was answered before is not asked for again (the result cache has tests of its own).
const answered = async (server, query) => {
  const answer = await server.load({ ...query, cache: 'no-cache' });
  assert.equal(answer.status, 200, answer.text);
  return { ...answer.body, servedBy: answer.headers.get('x-granary-served-by') };
};
const keys = (query) => [...query.dimensions, ...(query.timeDimensions ?? []).filter((t) => t.granularity).map((t) => `${t.dimension}.${t.granularity}`), ...query.measures];
const rowsOf = (result, query) => result.data.map((row) => keys(query).map((key) => row[key]));

// As the source answers now, and served by these.
async function same(server, query, servedBy) {
  const result = await answered(server, query), source = await answered(server, { ...query, preAggregations: 'forbid' });
  assert.equal(source.servedBy, 'source');
  assertRows(rowsOf(result, query), rowsOf(source, query).map((row) => row.map((v) => (/^-?\d+(\.\d+)?$/.test(v ?? '') ? Number(v) : v))), {}, servedBy);
  assert.equal(result.servedBy, servedBy);
  return result;
}

describe('one rollup and the source', () => {
  for (const [name, granularity, partition, opens] of [
    ['days, by month', 'day', ', partition_granularity: month', '2021-06-01'],
    ['hours, by day', 'hour', ', partition_granularity: day', '2021-06-01T04:00'],
    ['hours, in one table', 'hour', '', '2021-06-01T04:00'],
    ['days, in one table', 'day', '', '2021-06-01'],
  ])
    test(name, async (t) => {
      const server = await serve(t, world([`name: live, type: rollup_lambda, rollups: [main], union_with_source_data: true`, `name: main, ${members}, granularity: ${granularity}${partition}`]));
      await same(server, ask(all, 'events.kind events.at.month', between('2021-04-01', '2021-06-30')), 'events.main, source');
      // rows in the bucket that was open, and later ones
      add(server, [[1001, 'a', 500, 77, '2021-06-01 04:30:00'], [1002, 'c', 7, 78, '2021-06-02 00:00:00'], [1003, 'a', 9, 79, '2021-08-15 12:00:00']]);
      const both = await same(server, ask(all, 'events.kind events.at.month', between('2021-04-01', '2021-08-31')), 'events.main, source');
      assert.equal(Object.values(both.usedPreAggregations)[0].rollupLambdaId, 'events.live');
      assert.deepEqual(Server.served(both), ['events.main']);
      for (const grain of ['day', 'week', 'year']) await same(server, ask(all, `events.at.${grain}`, between('2021-04-01', '2021-08-31')), 'events.main, source');
      await same(server, ask(all, '', between('2021-05-15', '2021-08-31')), 'events.main, source');
      // without a range, and with rows that have no time
      await same(server, ask(all, 'events.kind'), 'events.main, source');
      await same(server, ask('events.count', 'events.at.month', filter('events.kind', 'equals', 'a')), 'events.main, source');
      // what is open is the source's alone
      await same(server, ask(all, 'events.kind', between(opens, '2021-08-31')), 'source');
      // what is closed never reads the source, also when that is gone
      const closed = ask(all, 'events.kind events.at.day', between('2021-04-10', '2021-05-31'));
      const before = await same(server, closed, 'events.main');
      hide(server);
      assert.deepEqual((await answered(server, closed)).data, before.data);
      assert.equal((await server.load(ask(all, 'events.kind', between('2021-05-31', '2021-06-05')))).status >= 400, true);
      show(server);
      // late rows in closed time: as of the watermark, until a refresh
      add(server, [[1004, 'a', 100000, 80, '2021-05-20 10:00:00']]);
      const late = await answered(server, closed);
      assert.deepEqual([late.data, late.servedBy, late.lastRefreshTime], [before.data, 'events.main', before.lastRefreshTime]);
      const whole = await answered(server, ask('events.last', '', between('2021-04-01', '2021-08-31')));
      assert.deepEqual([whole.data[0]['events.last'], whole.servedBy], ['1003', 'events.main, source']);
      assert.ok(whole.lastRefreshTime <= before.lastRefreshTime); // the oldest of what is read, and not now
      const built = await server.granary(['preagg', 'build', 'events.live', '--force']);
      assert.equal(built.code, 0, built.stderr);
      const forced = await server.granary(['preagg', 'build', 'events.main', '--force']);
      assert.equal(forced.code, 0, forced.stderr);
      await same(server, closed, 'events.main');
      await same(server, ask(all, 'events.kind events.at.day', between('2021-04-01', '2021-09-30')), 'events.main, source');
    });

  test('rows without a time come once', async (t) => {
    const server = await serve(t, world([`name: live, type: rollup_lambda, rollups: [main], union_with_source_data: true`, `name: main, ${members}, granularity: day, partition_granularity: month`], [...base, [900, 'n', 5, 1, null], [901, null, 6, 2, null]]));
    await same(server, ask(all, 'events.kind'), 'events.main, source');
    await same(server, ask(all, 'events.at.month'), 'events.main, source');
    await same(server, ask(all, 'events.at.year events.kind'), 'events.main, source');
    await same(server, ask(all, 'events.kind', between('2021-05-01', '2021-12-31')), 'events.main, source');
  });

  test('an empty source is open from its beginning', async (t) => {
    for (const partition of ['', ', partition_granularity: month']) {
      const server = await serve(t, world([`name: live, type: rollup_lambda, rollups: [main], union_with_source_data: true`, `name: main, ${members}, granularity: day${partition}`], []));
      const query = ask('events.count', 'events.at.month', between('2021-01-01', '2021-12-31'));
      assert.deepEqual((await answered(server, query)).data, []);
      add(server, [[1, 'a', 5, 1, '2021-03-04 05:00:00'], [2, 'a', 5, 1, '2021-05-04 05:00:00']]);
      await same(server, query, 'source');
    }
  });

  test('what is built in parts, at different times, is open where the first of them was', async (t) => {
    const server = await serve(t, world([`name: live, type: rollup_lambda, rollups: [main], union_with_source_data: true`, `name: main, ${members}, granularity: day, partition_granularity: month`]));
    await same(server, ask(all, 'events.kind', between('2021-06-01', '2021-06-30')), 'source'); // June is built, up to its first day
    add(server, [[1001, 'a', 500, 77, '2021-06-10 04:30:00'], [1002, 'c', 7, 78, '2021-06-20 00:00:00']]);
    // April and May are built now; June is what it was
    await same(server, ask(all, 'events.kind events.at.day', between('2021-04-01', '2021-06-30')), 'events.main, source');
    await same(server, ask(all, 'events.kind events.at.day', between('2021-06-02', '2021-06-30')), 'source');
    await same(server, ask(all, 'events.at.day', between('2021-04-01', '2021-05-31')), 'events.main');
  });

  test('measures that cannot be merged are cut at whole groups, or not served', async (t) => {
    const server = await serve(t, world([`name: live, type: rollup_lambda, rollups: [main], union_with_source_data: true`, `name: main, measures: [exact_people], time_dimension: at, granularity: day`]));
    await same(server, ask('events.exact_people', 'events.at.day', between('2021-05-01', '2021-06-30')), 'events.main, source');
    await same(server, ask('events.exact_people', 'events.at.month', between('2021-05-01', '2021-06-30')), 'source');
    await same(server, ask('events.exact_people', '', between('2021-05-01', '2021-06-30')), 'source');
    const { refusals } = await server.explain(ask('events.exact_people', '', between('2021-05-01', '2021-06-30')));
    assert.deepEqual(refusals.filter((r) => r.pre_aggregation === 'events.live').map((r) => [r.rule, r.member]), [['match.exact_grain', 'events.exact_people']]);
  });
});

describe('several rollups', () => {
  // cube.md 7.2, cases 79 and 109; the picture of 6.10: days up to 05-31T00:00, hours from 05-30 on.
  const picture = [
    `name: joined, type: rollup_lambda, rollups: [days, hours]`,
    `name: days, ${members}, granularity: hour, partition_granularity: day, build_range_start: {sql: "SELECT TIMESTAMP '2021-05-01'"}, build_range_end: {sql: "SELECT TIMESTAMP '2021-05-31'"}`,
    `name: hours, ${members}, granularity: hour, partition_granularity: hour, build_range_start: {sql: "SELECT TIMESTAMP '2021-05-30'"}, build_range_end: {sql: "SELECT TIMESTAMP '2021-06-01'"}`,
  ];
  test('79, 109: days, then hours', async (t) => {
    const server = await serve(t, world(picture));
    const query = ask(all, 'events.kind events.at.hour', between('2021-05-01', '2021-05-31'));
    const result = await same(server, query, 'events.days, events.hours');
    const used = Object.values(result.usedPreAggregations);
    assert.deepEqual(used.map((u) => [u.preAggregationId, u.rollupLambdaId]), [['events.days', 'events.joined'], ['events.hours', 'events.joined']]);
    const { body } = await server.post('/cubejs-api/v1/sql', { query });
    const [text, params] = body.sql.sql;
    assert.equal(text.split('UNION ALL').length >= 2, true);
    // days from 05-01, no hour of 05-30, hours from 05-31T00 on
    const stamps = params.map(String).filter((p) => /^2021-0/.test(p)).map((p) => p.slice(0, 13).replace('T', ' '));
    assert.deepEqual(stamps, ['2021-05-01 00', '2021-05-31 00', '2021-05-31 00', '2021-06-01 00']);
    await same(server, ask(all, 'events.kind', between('2021-05-02', '2021-05-30')), 'events.days');
    await same(server, ask(all, 'events.kind', between('2021-05-31', '2021-05-31')), 'events.hours');
    // beyond what the last one has is never answered as empty, and neither is what lies before the first
    await same(server, ask(all, 'events.kind', between('2021-05-02', '2021-06-05')), 'events.days, events.hours, source');
    await same(server, ask(all, 'events.kind', between('2021-04-02', '2021-05-31')), 'events.days, events.hours, source');
    await same(server, ask(all, 'events.kind'), 'source');
  });

  test('three, and the source', async (t) => {
    const still = 'refresh_key: {every: 1 hour}'; // else a slow machine builds them again in between
    const server = await serve(t, world([
      `name: live, type: rollup_lambda, rollups: [months, days, hours], union_with_source_data: true`,
      `name: months, ${members}, granularity: hour, partition_granularity: month, ${still}`,
      `name: days, ${members}, granularity: hour, partition_granularity: day, ${still}`,
      `name: hours, ${members}, granularity: hour, partition_granularity: hour, ${still}, build_range_start: {sql: "SELECT TIMESTAMP '2021-05-31 12:00:00'"}`,
    ]));
    const wide = ask(all, 'events.kind events.at.day', between('2021-04-05', '2021-07-31'));
    await same(server, wide, 'events.months, events.days, events.hours, source'.replace('events.days, ', ''));
    add(server, [[1001, 'a', 500, 77, '2021-06-01 04:30:00'], [1002, 'c', 7, 78, '2021-06-02 00:00:00'], [1003, 'a', 9, 79, '2021-07-15 12:00:00']]);
    await same(server, wide, 'events.months, events.hours, source');
    // the newest are refreshed; the months stay closed where they were
    for (const name of ['days', 'hours']) assert.equal((await server.granary(['preagg', 'build', `events.${name}`, '--force'])).code, 0);
    await same(server, wide, 'events.months, events.days, events.hours, source');
    await same(server, ask(all, 'events.kind', between('2021-06-02', '2021-07-10')), 'events.days');
    for (const grain of ['hour', 'week', 'month']) await same(server, ask(all, `events.at.${grain}`, between('2021-05-20', '2021-07-31')), 'events.months, events.days, events.hours, source');
  });

  test('hours go on where days end', async (t) => {
    const server = await serve(t, world([
      `name: live, type: rollup_lambda, rollups: [days, hours], union_with_source_data: true`,
      `name: days, ${members}, granularity: hour, partition_granularity: month, build_range_end: {sql: "SELECT TIMESTAMP '2021-05-31 23:59:59'"}`,
      `name: hours, ${members}, granularity: hour, partition_granularity: day`,
    ]));
    add(server, [[1001, 'a', 500, 77, '2021-06-01 04:30:00'], [1002, 'c', 7, 78, '2021-06-02 00:00:00']]);
    await same(server, ask(all, 'events.kind events.at.day', between('2021-04-05', '2021-06-30')), 'events.days, events.hours, source');
    await same(server, ask(all, 'events.kind events.at.day', between('2021-04-05T03:30:00', '2021-06-01T09:15:00')), 'events.days, events.hours, source');
  });
});

describe('time zones', () => {
  // The last row is of the evening of May 31 in New York, and of the morning of June 1 in Kolkata, where the months end with May.
  for (const [timezone, granularity, servedBy] of [
    ['America/New_York', 'day', 'events.months, events.days, source'],
    ['America/New_York', 'hour', 'events.months, events.days, source'],
    ['Asia/Kolkata', 'day', 'events.months, source'],
  ])
    test(`${timezone}, by ${granularity}`, async (t) => {
      const server = await serve(t, world([
        `name: live, type: rollup_lambda, rollups: [months, days], union_with_source_data: true`,
        `name: months, ${members}, granularity: ${granularity}, partition_granularity: month`,
        `name: days, ${members}, granularity: ${granularity}, partition_granularity: day`,
      ]));
      const zoned = (query) => ({ ...query, timezone });
      await same(server, zoned(ask(all, 'events.kind events.at.day', between('2021-04-05', '2021-06-30'))), servedBy);
      add(server, [[1001, 'a', 500, 77, '2021-06-01 04:30:00'], [1002, 'c', 7, 78, '2021-06-02 00:00:00']]);
      for (const grain of ['day', 'month']) await same(server, zoned(ask(all, `events.kind events.at.${grain}`, between('2021-04-05', '2021-06-30'))), servedBy);
      await same(server, zoned(ask(all, 'events.kind')), servedBy);
      await same(server, zoned(ask(all, 'events.kind events.at.day', between('2021-04-02', '2021-04-20'))), 'events.months');
    });

  test('hours of UTC are no hours of Kolkata: the source, and the rule', async (t) => {
    const server = await serve(t, world([`name: live, type: rollup_lambda, rollups: [main], union_with_source_data: true`, `name: main, ${members}, granularity: hour`]));
    const query = { ...ask(all, 'events.at.day', between('2021-04-05', '2021-06-30')), timezone: 'Asia/Kolkata' };
    await same(server, query, 'source');
    const { refusals } = await server.explain(query);
    assert.ok(refusals.some((r) => r.pre_aggregation === 'events.live' && r.rule === 'match.time_zone'), JSON.stringify(refusals));
  });
});

describe('around it', () => {
  const preaggs = [`name: live, type: rollup_lambda, rollups: [main], union_with_source_data: true`, `name: main, ${members}, granularity: day, partition_granularity: month`];

  // cube.md 7.2, case 140
  test('140: both time columns, order and limit', async (t) => {
    const server = await serve(t, world(preaggs));
    const query = { ...ask('events.count', 'events.kind events.at.day', between('2021-05-01', '2021-06-30')), order: [['events.kind', 'asc'], ['events.at', 'desc']], limit: 3 };
    const { data } = await answered(server, query);
    assert.deepEqual(data.map((row) => [row['events.kind'], row['events.at.day'], row['events.at'], row['events.count']]), [
      ['a', '2021-06-01T00:00:00.000', '2021-06-01T00:00:00.000', '1'],
      ['a', '2021-05-31T00:00:00.000', '2021-05-31T00:00:00.000', data[1]['events.count']],
      ['a', '2021-05-30T00:00:00.000', '2021-05-30T00:00:00.000', data[2]['events.count']],
    ]);
    await same(server, query, 'events.main, source');
  });

  test('it has no table, and names what it needs', async (t) => {
    const server = await serve(t, world(preaggs));
    const query = ask(all, 'events.kind', between('2021-05-01', '2021-06-30'));
    const before = await server.explain(query);
    const candidate = (explained) => explained.grain_groups[0].candidates.find((c) => c.pre_aggregation === 'events.live');
    assert.deepEqual(candidate(before).failed, []);
    assert.equal(JSON.stringify(before.to_build).includes('events.main'), true);
    const listed = await server.granary(['preagg', 'list', '--json']);
    assert.equal(listed.code, 0, listed.stderr);
    const built = await server.granary(['preagg', 'build', 'events.live']);
    assert.equal(built.code, 0, built.stderr);
    await same(server, query, 'events.main, source');
    const chosen = candidate(await server.explain(query));
    assert.deepEqual([chosen.is_chosen, chosen.failed], [true, []]);
    const { body } = await server.get('/cubejs-api/v1/meta?extended=true');
    assert.ok(JSON.stringify(body).includes('rollupLambda'));
  });

  test('a part that is not built on demand leaves the answer to others', async (t) => {
    const server = await serve(t, world([preaggs[0], `${preaggs[1]}, build: explicit`]));
    const query = ask(all, 'events.kind', between('2021-05-01', '2021-06-30'));
    await same(server, query, 'source');
    const { refusals } = await server.explain(query);
    assert.deepEqual(refusals.find((r) => r.pre_aggregation === 'events.live').rule, 'match.not_built');
    assert.equal((await server.granary(['preagg', 'build', 'events.main'])).code, 0);
    await same(server, query, 'events.main, source');
  });

  test('a query that needs pre-aggregations alone gets no live half', async (t) => {
    const server = await serve(t, world(preaggs));
    const query = { ...ask(all, 'events.kind', between('2021-05-01', '2021-05-31')), preAggregations: 'require' };
    assert.equal((await answered(server, query)).servedBy, 'events.main');
    const wide = await server.load({ ...query, timeDimensions: [{ dimension: 'events.at', dateRange: ['2021-05-01', '2021-06-30'] }] });
    assert.deepEqual([wide.status, wide.body.id], [400, 'plan.rollup_only'], wide.text);
  });

  test('a dimension that a part lacks is told of the lambda', async (t) => {
    const server = await serve(t, world(preaggs));
    const query = ask('events.count', 'events.who', between('2021-05-01', '2021-05-31'));
    await same(server, query, 'source');
    const { refusals } = await server.explain(query);
    assert.ok(refusals.some((r) => r.pre_aggregation === 'events.live' && r.rule === 'match.dimension_missing' && r.member === 'events.who'), JSON.stringify(refusals));
  });

  test('build ranges before and after all data', async (t) => {
    const server = await serve(t, world([
      `name: before, type: rollup_lambda, rollups: [early], union_with_source_data: true`,
      `name: after, type: rollup_lambda, rollups: [late], union_with_source_data: true`,
      `name: early, ${members}, granularity: day, partition_granularity: month, build_range_end: {sql: "SELECT TIMESTAMP '2019-05-01'"}`,
      `name: late, ${members}, granularity: week, partition_granularity: month, build_range_start: {sql: "SELECT TIMESTAMP '2024-05-01'"}`,
    ]));
    await same(server, ask(all, 'events.at.month', between('2021-04-01', '2021-06-30')), 'source');
    await same(server, ask(all, 'events.at.month', between('2018-01-01', '2021-06-30')), 'events.early, source');
    for (const name of ['early', 'late']) assert.equal((await server.granary(['preagg', 'build', `events.${name}`])).code, 0);
  });
});

// Rows that only ever come later: whatever is built, when, and in which order, a lambda with the source is the source.
describe('a stream', () => {
  const random = (seed) => () => {
    seed = (seed + 0x6d2b79f5) | 0;
    let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
    t ^= t + Math.imul(t ^ (t >>> 7), 61 | t);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
  const shapes = [
    ['months, days', [['months', 'day', 'month'], ['days', 'day', 'day']]],
    ['months, days, hours', [['months', 'hour', 'month'], ['days', 'hour', 'day'], ['hours', 'hour', 'hour']]],
    ['weeks', [['weeks', 'hour', 'week']]],
    ['one table', [['whole', 'day', null]]],
  ];
  for (const [i, [name, parts]] of shapes.entries())
    test(name, async (t) => {
      const next = random(i + 1), pick = (list) => list[Math.floor(next() * list.length)];
      const preaggs = [`name: live, type: rollup_lambda, rollups: [${parts.map(([part]) => part)}], union_with_source_data: true`];
      for (const [part, granularity, partition] of parts) preaggs.push(`name: ${part}, ${members}, granularity: ${granularity}${partition ? `, partition_granularity: ${partition}` : ''}`);
      let now = Date.UTC(2021, 9, 20), id = 0; // clocks are set back on October 31 and November 7
      const more = (n) => Array.from({ length: n }, () => [++id, pick(['a', 'b', 'c']), Math.floor(next() * 50), Math.floor(next() * 40), stamp((now += Math.floor(next() * next() * 40) * (hour / 4)))]);
      const server = await serve(t, world(preaggs, more(30)));
      const served = new Set();
      for (let step = 0; step < 60; step++) {
        if (next() < 0.5) add(server, more(1 + Math.floor(next() * 8)));
        if (next() < 0.1) assert.equal((await server.granary(['preagg', 'build', `events.${pick(parts)[0]}`, ...(next() < 0.6 ? ['--force'] : [])])).code, 0);
        const point = () => new Date(Math.floor((Date.UTC(2021, 9, 15) + next() * (now - Date.UTC(2021, 9, 10))) / 86400000) * 86400000).toISOString().slice(0, 10);
        const [from, to] = [point(), point()].sort(), ragged = next() < 0.2;
        const range = next() < 0.25 ? {} : between(ragged ? `${from}T${pick(['05:00:00', '13:20:00'])}` : from, ragged ? `${to}T21:59:59.999` : to);
        const query = { ...ask(all, `${pick(['', 'events.kind'])} ${pick(['', 'events.at.day', 'events.at.month', 'events.at.hour'])}`, range), timezone: pick(['UTC', 'America/New_York', 'Europe/Berlin']) };
        const result = await answered(server, query), source = await answered(server, { ...query, preAggregations: 'forbid' });
        assertRows(rowsOf(result, query), rowsOf(source, query).map((row) => row.map((v) => (/^-?\d+(\.\d+)?$/.test(v ?? '') ? Number(v) : v))), {}, `step ${step}: ${JSON.stringify(query)} from ${result.servedBy}`);
        if (Object.values(result.usedPreAggregations ?? {}).every((u) => u.rollupLambdaId)) served.add(result.servedBy);
      }
      assert.ok([...served].some((by) => by.endsWith(', source')), [...served].join(' | '));
      assert.ok([...served].some((by) => by !== 'source' && !by.endsWith(', source')), [...served].join(' | '));
    });
});
