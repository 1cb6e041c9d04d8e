// Which rollup serves which query, and the rule that refuses the others. Every row of a table is asked of the plan and then
// executed: an answer from a rollup is the answer from the source.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, describe, test } from 'node:test';
import cube from '@cubejs-client/core';
import { csv, jwt, repo, Server, serve, shared, write } from './helpers.mjs';
import { Postgres } from './postgres.mjs';

const pg = new Postgres(); // of one rule alone
after(() => pg.close());

const rules = [...fs.readFileSync(path.join(repo, 'src/plan/rules.def'), 'utf8').matchAll(/^GR_RULE\(\w+, "([^"]+)"/gm)].map((m) => m[1]);

// What no query needs is not built in the background meanwhile.
const byQueriesOnly = { env: { GRANARY_REFRESH_ENABLED: 'false' } };

// 60 orders over fifteen months, with repeated users, a NULL status and a NULL time.
const orders = Array.from({ length: 60 }, (_, i) => {
  const at = new Date(Date.UTC(2019, 10, 3, 5, 15 * i) + i * 8 * 86400000);
  const text = at.toISOString().slice(0, 19).replace('T', ' ');
  const updated = new Date(at.getTime() + 40 * 86400000).toISOString().slice(0, 19).replace('T', ' ');
  return [i + 1, (i % 7) + 1, i === 11 ? null : ['a', 'b', 'c'][i % 3], ['x', 'y'][i % 2], (i * 37) % 101, i === 23 ? null : text, updated, (i % 4) + 1];
});
const data = {
  'data/orders.csv': csv(['id', 'user_id', 'status', 'city', 'amount', 'created_at', 'updated_at', 'shop_id'], orders),
  'data/users.csv': csv(['id', 'name', 'country', 'age', 'town_id'], Array.from({ length: 7 }, (_, i) => [i + 1, `user ${i}`, ['no', 'it'][i % 2], 20 + i, (i % 2) + 1])),
  'data/shops.csv': csv(['id', 'town_id'], [[1, 1], [2, 2], [3, 2], [4, 1]]),
  'data/towns.csv': csv(['id', 'name'], [[1, 'North'], [2, 'South']]),
  'data/islands.csv': csv(['id', 'name'], [[1, 'Capri']]),
  'other/far.csv': csv(['id', 'label'], [[1, 'one'], [2, 'two']]),
};
const config = `data_sources:
  default: {type: duckdb, path: data}
  other: {type: duckdb, path: other}
model: model
`;

// One cube over the table of orders for each set of rollups, so that they do not meet.
const orderCube = (name, rollups, joins = '') => `  - name: ${name}
    sql_table: orders
${joins}    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
      - {name: mn, type: min, sql: amount}
      - {name: avg_a, type: avg, sql: amount}
      - {name: uniq, type: count_distinct, sql: user_id}
      - {name: uniqa, type: count_distinct_approx, sql: user_id}
      - {name: ratio, type: number, sql: "{total} / {count}"}
      - {name: ratio2, type: number, sql: "{ratio} * 2 + {avg_a}"}
      - {name: done_total, type: sum, sql: amount, filters: [{sql: "{CUBE}.status = 'a'"}]}
      - {name: raw_ratio, type: number, sql: "sum({CUBE}.amount) / count(*)"}
      - {name: bad, type: sum, sql: "{CUBE}.no_such_column"}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: user_id, sql: user_id, type: number}
      - {name: status, sql: status, type: string}
      - {name: city, sql: city, type: string}
      - {name: status_city, sql: "{status} || {city}", type: string}
      - {name: status_alias, sql: "{status}", type: string}
      - {name: updated_at, sql: updated_at, type: time}
      - name: created_at
        sql: created_at
        type: time
        granularities:
          - {name: fiscal_year, interval: 1 year, offset: 3 months}
          - {name: half_year, interval: 6 months, origin: "2020-01-01"}
          - {name: sunday_week, interval: 1 week, offset: -1 day}
          - {name: fifteen_min, interval: 15 minutes, origin: "2020-01-01"}
    segments:
      - {name: done, sql: "{CUBE}.status = 'a'"}
${rollups.length ? '    pre_aggregations:\n' : ''}${rollups.map((rollup) => `      - ${rollup}\n`).join('')}`;

const joins = `    joins:
      - {name: users, relationship: many_to_one, sql: "{CUBE}.user_id = {users.id}"}
      - {name: shops, relationship: many_to_one, sql: "{CUBE}.shop_id = {shops.id}"}
`;
const usersJoin = `    joins:
      - {name: users, relationship: many_to_one, sql: "{CUBE}.user_id = {users.id}"}
`;
const main = 'name: main, measures: [count, total, mn, avg_a, uniq, uniqa, raw_ratio], dimensions: [status, city], time_dimension: created_at, granularity: day';

const model = `cubes:
${orderCube('orders', [`{${main}}`], joins)}
${orderCube('loose', [`{${main}, allow_non_strict_date_range_match: true}`])}
${orderCube('segmented', ['{name: main, measures: [count, uniq], dimensions: [status], segments: [done]}'])}
${orderCube('timeless', ['{name: main, measures: [count, uniq], dimensions: [status]}'])}
${orderCube('two_times', ['{name: main, measures: [count], time_dimensions: [{dimension: created_at, granularity: day}, {dimension: updated_at, granularity: month}]}'])}
${orderCube('plain_time', ['{name: main, measures: [count], dimensions: [created_at]}'])}
${orderCube('hourly', ['{name: main, measures: [count], time_dimension: created_at, granularity: hour}'])}
${orderCube('ordered', ['{name: coarse, measures: [count], dimensions: [status]}', '{name: fine, measures: [count], dimensions: [status], time_dimension: created_at, granularity: day}'])}
${orderCube('explicit', ['{name: main, measures: [count], dimensions: [status], build: explicit}'])}
${orderCube('failing', ['{name: main, measures: [count, bad], dimensions: [status]}'])}
${orderCube('abroad', ['{name: main, measures: [count, total], dimensions: [users.country]}'], usersJoin)}
${orderCube('roundabout', ['{name: main, measures: [count], dimensions: [shops.towns.name]}'], joins)}
${orderCube('small', ["{name: main, measures: [count], dimensions: [city], filters: [{member: status, operator: equals, values: ['a']}]}"])}
${orderCube('kept', ['{name: main, measures: [count], dimensions: [user_id], time_dimension: created_at, granularity: day}'])}
${orderCube('second', [], usersJoin)}
${orderCube('both', ['{name: main, measures: [count, second.count], dimensions: [users.country]}'], usersJoin)}
${orderCube('ranged', [`{name: main, measures: [count], time_dimension: created_at, granularity: day, build_range_start: {sql: "SELECT TIMESTAMP '2020-02-01'"}, build_range_end: {sql: "SELECT TIMESTAMP '2020-05-01'"}}`])}
${orderCube('inflated', ['{name: main, measures: [users.total_age], dimensions: [status]}'], usersJoin)}
${orderCube('visits', [], '    joins:\n      - {name: guests, relationship: many_to_one, sql: "{CUBE}.user_id = {guests.id}"}\n')}
${orderCube('distant', ['{name: main, measures: [count], dimensions: [far.label]}'], '    joins:\n      - {name: far, relationship: many_to_one, sql: "{CUBE}.shop_id = {far.id}"}\n')}
  - name: users
    sql_table: users
    joins:
      - {name: towns, relationship: many_to_one, sql: "{CUBE}.town_id = {towns.id}"}
    measures:
      - {name: count, type: count}
      - {name: total_age, type: sum, sql: age}
      - {name: oldest, type: max, sql: age}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: name, sql: name, type: string}
      - {name: country, sql: country, type: string}
  - name: guests
    sql_table: users
    measures:
      - {name: count, type: count}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: country, sql: country, type: string}
    pre_aggregations:
      - {name: main, measures: [visits.count], dimensions: [country]}
  - name: hosts
    sql_table: users
    joins:
      - {name: visits, relationship: one_to_many, sql: "{CUBE}.id = {visits.user_id}"}
    measures:
      - {name: count, type: count}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: country, sql: country, type: string}
      - {name: visits, sql: "{visits.count}", type: number, sub_query: true, propagate_filters_to_sub_query: true}
    pre_aggregations:
      - {name: main, measures: [count], dimensions: [visits, country]}
  - name: shops
    sql_table: shops
    joins:
      - {name: towns, relationship: many_to_one, sql: "{CUBE}.town_id = {towns.id}"}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
  - name: towns
    sql_table: towns
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: name, sql: name, type: string}
  - name: islands
    sql_table: islands
    measures:
      - {name: count, type: count}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: name, sql: name, type: string}
  - name: far
    sql_table: far
    data_source: other
    measures:
      - {name: count, type: count}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: label, sql: label, type: string}
views:
  - name: ov
    cubes:
      - join_path: orders
        includes: "*"
`;

// ---- short ways to write queries ----------------------------------------------------------------------------------
const td = (granularity, dateRange, dimension = 'created_at') => ({ dimension, ...(granularity && { granularity }), ...(dateRange && { dateRange }) });
const eq = (member, ...values) => ({ member, operator: 'equals', values });
const full = (cube, name) => (name.includes('.') ? name : `${cube}.${name}`);
const filterIn = (cube, filter) => {
  for (const kind of ['and', 'or']) if (filter[kind]) return { [kind]: filter[kind].map((f) => filterIn(cube, f)) };
  return { ...filter, member: full(cube, filter.member) };
};
// query('orders', 'count uniq', 'status', …)
function query(cube, measures, dimensions = '', { times = [], filters = [], segments = [], ...rest } = {}) {
  const names = (text) => text.split(' ').filter(Boolean).map((name) => full(cube, name));
  return {
    measures: names(measures),
    dimensions: names(dimensions),
    timeDimensions: times.map((time) => ({ ...time, dimension: full(cube, time.dimension) })),
    filters: filters.map((f) => filterIn(cube, f)),
    segments: segments.map((name) => full(cube, name)),
    ...rest,
  };
}

const day = td('day');
const january = ['2020-01-01', '2020-01-31'];
const cut = ['2020-01-01T00:00:00.000', '2020-01-31T15:30:00.000'];
const yes = 'main';
const q = query;

// [number in the table of worked examples, query, what serves it: `main`, or the rule that refuses it]
// Where the number has a note, our rule is another than the reference's: ranges are cut into whole buckets and edges by default;
// avg is stored as sum and count. 'tiled': the rollup gives the whole buckets, the source the edges. 'edges': they cannot be merged.
const worked = [
  ['1', q('orders', 'count', 'status'), yes],
  ['2', q('orders', 'count'), yes],
  ['3', q('orders', 'uniq', 'status'), 'match.exact_grain'],
  ['4', q('orders', 'uniq', 'status city'), 'match.exact_grain'],
  ['5', q('orders', 'uniq', 'city status', { times: [day] }), yes],
  ['6', q('orders', 'uniq', 'status city', { times: [td('month')] }), 'match.exact_grain'],
  ['7', q('orders', 'uniq', 'status city', { times: [td('day', january)] }), yes],
  ['8, exact by default', q('orders', 'uniq', 'status city', { times: [td('day', cut)] }), yes, 'tiled'],
  ['distinct users from a rollup that keeps them', q('kept', 'uniq', '', { times: [td('month', january)] }), yes],
  ['the same of days that make no whole month', q('kept', 'uniq', '', { times: [td('month', cut)] }), 'match.edges', 'edges'],
  ['8, not strict', q('loose', 'uniq', 'status city', { times: [td('day', cut)] }), yes, 'inexact'],
  ['9', q('orders', 'uniq', '', { times: [day], filters: [eq('status', 'a'), eq('city', 'x')] }), yes],
  ['9, inside and', q('orders', 'uniq', '', { times: [day], filters: [{ and: [eq('status', 'a'), eq('city', 'x')] }] }), yes],
  ['10', q('orders', 'uniq', 'city', { times: [day], filters: [eq('status', 'a')] }), yes],
  ['11', q('orders', 'uniq', 'city', { times: [day], filters: [eq('status', 'a', 'b')] }), 'match.exact_grain'],
  ['12, in', q('orders', 'uniq', 'city status', { times: [day], filters: [eq('status', 'a', 'b')] }), yes],
  ['12, not equal', q('orders', 'uniq', 'city status', { times: [day], filters: [{ member: 'status', operator: 'notEquals', values: ['a'] }] }), yes],
  ['13', q('orders', 'avg_a', 'city status', { times: [day] }), yes],
  ['13, coarser: sum and count are stored', q('orders', 'avg_a', 'city'), yes],
  ['14', q('orders', 'ratio', 'status'), yes],
  ['15, sum and count are stored', q('orders', 'ratio2', 'status'), yes],
  ['16', q('orders', 'ratio2', 'status city', { times: [day] }), yes],
  ['17', q('orders', 'done_total', 'status'), 'match.measure_missing'],
  ['18', q('orders', 'count', '', { times: [td('day', undefined, 'updated_at')] }), 'match.time_dimension_missing'],
  ['19', q('orders', 'count', '', { times: [td(undefined, january)] }), yes],
  ['20, exact by default', q('orders', 'count', '', { times: [td(undefined, cut)] }), yes, 'tiled'],
  ['20, not strict', q('loose', 'count', '', { times: [td(undefined, cut)] }), yes, 'inexact'],
  ['21, exact by default', q('orders', 'total', '', { times: [td('month', cut)] }), yes, 'tiled'],
  ['21, not strict', q('loose', 'total', '', { times: [td('month', cut)] }), yes, 'inexact'],
  ['22', q('orders', 'count', '', { times: [td('hour')] }), 'match.granularity'],
  ...['week', 'month', 'quarter', 'year', 'fiscal_year', 'half_year', 'sunday_week'].map((g) => [`23, ${g}`, q('orders', 'count', '', { times: [td(g)] }), yes]),
  ['24', q('orders', 'count', '', { times: [td('fifteen_min')] }), 'match.granularity'],
  ['25', q('orders', 'count', '', { times: [day, td('month')] }), yes],
  ['26', q('orders', 'count', '', { filters: [{ member: 'created_at', operator: 'inDateRange', values: january }] }), 'match.filter_missing'],
  ['27', q('orders', 'count', 'created_at'), 'match.dimension_missing'],
  ['28', q('orders', 'count', 'status_city'), yes],
  ['29', q('orders', 'uniq', 'status_city', { times: [day] }), 'match.exact_grain'],
  ['30', q('orders', 'uniq', 'status_alias city', { times: [day] }), yes],
  ['31', q('orders', 'count', '', { segments: ['done'] }), 'match.segment_missing'],
  ['32', q('orders', 'count', 'status', { filters: [{ member: 'count', operator: 'gt', values: ['19'] }] }), yes],
  ['33', q('orders', 'count', 'status', { filters: [{ member: 'done_total', operator: 'gt', values: ['1'] }] }), 'match.measure_missing'],
  ['34', q('orders', 'count', '', { filters: [{ or: [eq('status', 'a'), eq('city', 'x')] }] }), yes],
  ['35', q('orders', 'count', 'users.name'), 'match.dimension_missing'],
  ['36, count', q('ov', 'count', 'status'), yes],
  ['36, ratio', q('ov', 'ratio', 'status'), yes],
  ['36, avg', q('ov', 'avg_a', 'status city', { times: [day] }), yes],
  ['37', q('orders', '', 'status'), yes],
  ['38', q('orders', '', 'user_id'), 'match.dimension_missing'],
  ['39', q('orders', 'count', 'status', { ungrouped: true }), 'match.ungrouped'],
  ['40', q('orders', 'count', '', { filters: [{ member: 'done_total', operator: 'measureFilter' }] }), 'match.measure_filter', 'plan only'],
  ['41', q('orders', 'count', 'status', { order: { 'orders.status': 'desc' }, limit: 2, offset: 1 }), yes],
  ['min', q('orders', 'mn', 'city', { times: [td('year')] }), yes],
  ['approximate, exact grain', q('orders', 'uniqa', 'city status', { times: [day] }), yes],
  ['approximate, coarser', q('orders', 'uniqa', 'status'), yes],
  ['a measure with aggregates of its own, exact grain', q('orders', 'raw_ratio', 'status city', { times: [day] }), yes],
  ['a measure with aggregates of its own, coarser', q('orders', 'raw_ratio', 'status'), yes],
  ['segment rollup, without the segment', q('segmented', 'count', 'status'), yes],
  ['segment rollup, with the segment', q('segmented', 'count', 'status', { segments: ['done'] }), yes],
  ['segment rollup, distinct with the segment', q('segmented', 'uniq', 'status', { segments: ['done'] }), yes],
  ['segment rollup, distinct without', q('segmented', 'uniq', 'status'), 'match.exact_grain'],
  ['no time: distinct by status', q('timeless', 'uniq', 'status'), yes],
  ['no time: distinct in all', q('timeless', 'uniq'), 'match.exact_grain'],
  ['no time: distinct, status = a', q('timeless', 'uniq', '', { filters: [eq('status', 'a')] }), yes],
  ['no time: distinct, status = a inside and', q('timeless', 'uniq', '', { filters: [{ and: [eq('status', 'a')] }] }), yes],
  ['no time: distinct, status = a inside or', q('timeless', 'uniq', '', { filters: [{ or: [eq('status', 'a'), eq('status', 'b')] }] }), 'match.exact_grain'],
  ['no time: a range', q('timeless', 'count', '', { times: [td(undefined, january)] }), 'match.time_dimension_missing'],
  ['two times: created by day', q('two_times', 'count', '', { times: [day] }), yes],
  ['two times: updated by month', q('two_times', 'count', '', { times: [td('month', undefined, 'updated_at')] }), yes],
  ['two times: updated by day', q('two_times', 'count', '', { times: [td('day', undefined, 'updated_at')] }), 'match.granularity'],
  ['two times: both', q('two_times', 'count', '', { times: [day, td('month', undefined, 'updated_at')] }), yes],
  ['a time stored plain: as a dimension', q('plain_time', 'count', 'created_at'), yes],
  ['a time stored plain: inDateRange', q('plain_time', 'count', '', { filters: [{ member: 'created_at', operator: 'inDateRange', values: january }] }), yes],
  ['a time stored plain: with a granularity', q('plain_time', 'count', '', { times: [day] }), 'match.time_dimension_missing'],
  ['a time stored plain: with a range', q('plain_time', 'count', '', { times: [td(undefined, january)] }), 'match.time_dimension_missing'],
  ['joined: total by country', q('abroad', 'total', 'users.country'), yes],
  ['joined: total', q('abroad', 'total'), yes],
  ['joined: total by status', q('abroad', 'total', 'status'), 'match.dimension_missing'],
  ['joined: total by country, filtered by country', q('abroad', 'total', 'users.country', { filters: [eq('users.country', 'no')] }), yes],
  ['joined: total by town', q('abroad', 'total', 'towns.name'), 'match.dimension_missing'],
  ['joined: a rollup of visits by country, for the country alone', q('guests', '', 'country'), 'match.join_root'],
  ['joined: a rollup of visits by country, for guests by country', q('guests', 'count', 'country'), 'match.join_root'],
  ['joined: a rollup of visits by country, declared in guests', q('visits', 'count', 'guests.country'), 'guests.main'],
  ['hours serve days', q('hourly', 'count', '', { times: [day] }), yes],
  ['hours serve days in a zone of whole hours', q('hourly', 'count', '', { times: [day], timezone: 'America/New_York' }), yes],
  ['hours do not serve a zone of half hours', q('hourly', 'count', '', { times: [day], timezone: 'Asia/Kolkata' }), 'match.time_zone'],
  ['days serve another zone by a table of its own', q('orders', 'count', '', { times: [day], timezone: 'Asia/Kolkata' }), yes],
  ['the first that matches, though it is coarser', q('ordered', 'count', 'status'), 'coarse'],
  ['the second when the first does not match', q('ordered', 'count', 'status', { times: [day] }), 'fine'],
  ['another way of joins', q('roundabout', 'count', 'towns.name'), 'match.join_path'],
  ['a static filter that the query does not ask for', q('small', 'count', 'city'), 'match.static_filter'],
  ['a static filter that the query asks for', q('small', 'count', 'city', { filters: [eq('status', 'a')] }), yes],
  ['rows of users repeat for each status', q('inflated', 'users.total_age', '', { filters: [eq('status', 'a', 'b')] }), 'match.fan_out'],
  ['rows of users, one status at a time', q('inflated', 'users.total_age', 'status'), 'inflated.main'],
  ['a sub_query takes over the filter', q('hosts', 'count', 'visits', { filters: [eq('country', 'no')] }), 'match.sub_query_filter'],
  ['one of two facts', q('both', 'count', 'users.country'), 'match.facts'],
];

const produced = new Set();

describe('rollups', () => {
  const server = shared({ 'granary.yml': config, 'model/model.yml': model, ...data });

  const note = (plan) => plan.refusals.forEach((refusal) => produced.add(refusal.rule));
  const cubeOf = (asked) => asked.measures.concat(asked.dimensions)[0].split('.')[0].replace('ov', 'orders');

  for (const [name, asked, expected, how] of worked)
    test(`${name}: ${expected.startsWith('match.') ? expected : `served by ${expected}`}`, async () => {
      const plan = await server.explain(asked, '?as_if_built=1');
      note(plan);
      const cube = cubeOf(asked);
      if (how === 'tiled') {
        assert.deepEqual([plan.pre_aggregations, plan.source, plan.exactness], [[`${cube}.${expected}`], 'default', 'exact']);
        assert.deepEqual(plan.refusals[0].rule, 'match.range_not_aligned');
        assert.ok(plan.pieces.length > 1);
      } else if (how === 'edges') {
        assert.deepEqual([plan.pre_aggregations, plan.refusals.map((r) => r.rule)], [[], ['match.range_not_aligned', expected]]);
      } else if (expected.startsWith('match.')) {
        assert.deepEqual(plan.pre_aggregations, []);
        assert.deepEqual(plan.refusals.map((r) => r.rule), [expected]);
        assert.ok(plan.refusals[0].detail.length > 10);
      } else {
        assert.deepEqual(plan.pre_aggregations, [expected.includes('.') ? expected : `${cube}.${expected}`]);
        assert.equal(plan.exactness, how === 'inexact' ? 'non_strict_range' : 'exact');
      }
      if (how === 'plan only') return;
      const [fromRollup, fromSource] = [await server.result(asked), await server.result(asked, '?without_rollups=1')];
      assert.deepEqual(Server.served(fromRollup), plan.pre_aggregations);
      if (how === 'inexact') assert.equal(Object.values(fromRollup.usedPreAggregations)[0].exactness, 'non_strict_range');
      else assertSameRows(fromRollup.data, fromSource.data);
    });

  test('a repair is named where there is one', async () => {
    const [refusal] = (await server.explain(q('orders', 'done_total', 'status'))).refusals;
    assert.deepEqual([refusal.pre_aggregation, refusal.member], ['orders.main', 'orders.done_total']);
    assert.equal(refusal.repair, 'add orders.done_total to the measures of orders.main');
  });

  test('match.forbidden: the request asked for the source', async () => {
    const plan = await server.explain(q('orders', 'count'), '?without_rollups=1');
    note(plan);
    assert.deepEqual([plan.refusals.map((r) => r.rule), plan.source], [['match.forbidden'], 'default']);
  });

  test('match.not_built: it is built only when asked', async () => {
    const asked = q('explicit', 'count', 'status');
    const plan = await server.explain(asked);
    note(plan);
    assert.deepEqual(plan.refusals.map((r) => [r.rule, r.repair]), [['match.not_built', 'granary preagg build explicit.main']]);
    assert.deepEqual(Server.served(await server.result(asked)), []);
    assert.equal((await server.granary(['preagg', 'build', 'explicit.main'])).code, 0);
    assert.deepEqual(Server.served(await server.result(asked)), ['explicit.main']);
  });

  test('what fits and is built on demand is named in to_build', async () => {
    const asked = q('two_times', 'count', '', { times: [td('month', undefined, 'updated_at')], timezone: 'Europe/Rome' });
    const plan = await server.explain(asked);
    assert.deepEqual(plan.to_build, [{ pre_aggregation: 'two_times.main', timezone: 'Europe/Rome' }]);
    assert.deepEqual([plan.pre_aggregations, plan.source], [['two_times.main'], null]);
  });

  test('match.build_failed: the answer comes from the source, and the refusal says so', async () => {
    const asked = q('failing', 'count', 'status');
    assertSameRows(await server.rows(asked), await server.rows(asked, '?without_rollups=1'));
    const plan = await server.explain(asked);
    note(plan);
    assert.deepEqual([plan.refusals.map((r) => r.rule), plan.source], [['match.build_failed'], 'default']);
    assert.deepEqual(Server.served(await server.result(asked)), []);
  });

  test('match.version: one rollup has the pinned version, another one has not', async (t) => {
    const cube = (sql) => `cubes:
  - name: orders
    sql_table: orders
    measures: [{name: count, type: count}, {name: total, sql: "${sql}", type: sum}]
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: status, sql: status, type: string}
    pre_aggregations:
      - {name: first, measures: [count], dimensions: [id, status]}
      - {name: second, measures: [count, total], dimensions: [status]}
`;
    const own = await serve(t, { 'model/m.yml': cube('id'), 'data/orders.csv': csv(['id', 'status'], [[1, 'a'], [2, 'b'], [3, 'a']]) });
    assert.equal((await own.granary(['preagg', 'build', '--all'])).code, 0);
    write(own.folder, 'model/m.yml', cube('id * 2'));
    assert.equal((await own.post('/ops/reload', {})).body.changed, true);
    const asked = { ...q('orders', 'count', 'status'), preAggregationVersion: 'v1.0' };
    const plan = await own.explain(asked);
    note(plan);
    assert.deepEqual(plan.refusals.map((r) => [r.pre_aggregation, r.rule]), [['orders.first', 'match.version']]);
    assert.deepEqual(Server.served(await own.result(asked)), ['orders.second']);
    assert.match(plan.refusals[0].repair, /pin a version/);
    const total = { ...q('orders', 'total', 'status'), preAggregationVersion: 'v1.0' };
    assert.deepEqual((await own.rows(total)).map((r) => r['orders.total']).sort(), ['2', '4']);
    assert.deepEqual((await own.rows(q('orders', 'total', 'status'))).map((r) => r['orders.total']).sort(), ['4', '8']);
    // what is stored under another name, or calculated, is today's to say
    write(own.folder, 'model/m.yml', cube('id * 2').replace('type: count}', 'type: count}, {name: half, sql: "{total} / 2", type: number}'));
    assert.equal((await own.post('/ops/reload', {})).body.changed, true);
    const half = { ...q('orders', 'half', 'status'), preAggregationVersion: 'v1.0' };
    const refused = await own.load(half);
    assert.deepEqual([refused.status, refused.body.id], [400, 'plan.version']);
    assert.match(refused.body.hint, /orders\.half: How it is computed .* has changed/);
    produced.add('match.version_changed');
    const none = await own.load({ ...q('orders', 'count'), preAggregationVersion: 'v7.0' });
    assert.deepEqual([none.status, none.body.id], [400, 'plan.version']);
  });

  test('match.build_range: the time before it comes from the source', async () => {
    const asked = (...range) => q('ranged', 'count', '', { times: [td('day', range)] });
    assert.deepEqual(Server.served(await server.result(asked('2020-02-03', '2020-02-20'))), ['ranged.main']);
    const plan = await server.explain(asked('2020-01-10', '2020-01-20'));
    note(plan);
    assert.deepEqual([plan.refusals.map((r) => r.rule), plan.source, plan.pre_aggregations], [['match.build_range'], 'default', []]);
    assert.match(plan.refusals[0].repair, /widen build_range_start/);
  });

  test('match.partition_missing: what is there serves, and what cannot be built does not', async (t) => {
    const own = await serve(t, { 'granary.yml': config, 'model/model.yml': `cubes:\n${orderCube('orders', ['{name: main, measures: [count], time_dimension: created_at, granularity: day, partition_granularity: month}'])}`, ...data }, byQueriesOnly);
    const asked = (...range) => q('orders', 'count', '', { times: [td('day', range)] });
    assert.deepEqual(Server.served(await own.result(asked('2020-02-01', '2020-02-29'))), ['orders.main']);
    fs.renameSync(path.join(own.folder, 'data/orders.csv'), path.join(own.folder, 'orders.hidden'));
    assert.equal((await own.load(asked('2020-03-01', '2020-03-31'))).status >= 400, true);
    const plan = await own.explain(asked('2020-03-01', '2020-03-31'));
    note(plan);
    assert.deepEqual([plan.refusals.map((r) => r.rule), plan.source], [['match.build_failed', 'match.partition_missing'], 'default']);
    assert.deepEqual(Server.served(await own.result(asked('2020-02-03', '2020-02-20'))), ['orders.main']);
  });

  test('match.lambda: a cut in a doubled hour', async (t) => {
    const rollups = ['{name: live, type: rollup_lambda, rollups: [main], union_with_source_data: true}', `{name: main, measures: [count], time_dimension: created_at, granularity: minute, build_range_end: {sql: "SELECT TIMESTAMP '2019-11-03 05:30:00'"}}`];
    const own = await serve(t, { 'granary.yml': config, 'model/model.yml': `cubes:\n${orderCube('orders', rollups)}`, ...data });
    const asked = (timezone) => q('orders', 'count', '', { times: [td('day', ['2019-11-01', '2020-02-29'])], timezone });
    assert.deepEqual(Server.served(await own.result(asked('UTC'))), ['orders.main']);
    const plan = await own.explain(asked('America/New_York'));
    note(plan);
    assert.deepEqual(plan.refusals.filter((r) => r.pre_aggregation === 'orders.live').map((r) => [r.rule, r.member]), [['match.lambda', 'orders.created_at']]);
  });

  test('match.cannot_build: its cubes live in different data sources', async () => {
    const plan = await server.explain(q('distant', 'count'));
    note(plan);
    assert.deepEqual(plan.refusals.map((r) => [r.pre_aggregation, r.rule]), [['distant.main', 'match.cannot_build']]);
    assert.match(plan.refusals[0].detail, /different data sources/);
  });

  // Queries that are refused as a whole: never an inflated sum, never a join that is not there.
  const refused = [
    ['plan.no_join_path', q('orders', 'count', 'islands.name'), /orders.*islands/],
    ['plan.mixed_sources', q('distant', 'count', 'far.label'), /different data sources/],
    ['plan.unsupported', q('orders', 'raw_ratio', 'status', { ungrouped: true }), /raw_ratio/],
  ];
  for (const [id, asked, text] of refused)
    test(`${id}: ${JSON.stringify(asked)}`, async () => {
      for (const route of ['/cubejs-api/v1/load', '/v1/explain']) {
        const answer = await server.post(route, { query: asked });
        assert.deepEqual([answer.status, answer.body.id, answer.body.type], [400, id, 'UserError'], answer.text);
        assert.match(answer.body.error, text);
      }
    });

  test('a maximum survives the multiplication', async () => {
    const rows = await server.rows(q('orders', 'count users.oldest', 'users.country'));
    assert.deepEqual(rows.map((row) => [row['users.country'], row['users.oldest']]).sort(), [['it', '25'], ['no', '26']]);
  });

  test('match.time_zone: only so many zones are built on demand', async (t) => {
    const few = await serve(t, { 'granary.yml': `${config}build: {max_time_zones: 2}\n`, 'model/model.yml': model, ...data });
    const asked = (timezone) => q('orders', 'count', '', { times: [day], timezone });
    assert.deepEqual(Server.served(await few.result(asked('Asia/Tokyo'))), ['orders.main']);
    const plan = await few.explain(asked('Asia/Seoul'));
    note(plan);
    assert.deepEqual(plan.refusals.map((r) => r.rule), ['match.time_zone']);
    assert.deepEqual(Server.served(await few.result(asked('Asia/Seoul'))), []);
    assert.deepEqual(Server.served(await few.result(asked('UTC'))), ['orders.main']);
  });

  test('rollup-only mode: a query that nothing serves is an error with the first reason', async (t) => {
    const only = await serve(t, { 'granary.yml': `${config}rollup_only: true\n`, 'model/model.yml': model, ...data });
    assert.deepEqual(Server.served(await only.result(q('orders', 'count', 'status'))), ['orders.main']);
    const answer = await only.load(q('orders', 'count', 'user_id'));
    assert.deepEqual([answer.status, answer.body.id], [400, 'plan.rollup_only']);
    assert.match(answer.body.hint, /orders\.main.*user_id/);
  });

  test('match.partition_missing: the time that is asked for is not built, and its build fails', async (t) => {
    const rollup = '- {name: months, measures: [count], time_dimension: at, granularity: day, partition_granularity: month}';
    const cube = `cubes:\n  - name: t\n    sql_table: t\n    measures: [{name: count, type: count}]\n    dimensions: [{name: id, sql: id, type: number, primary_key: true}, {name: at, sql: "{CUBE}.at", type: time}]\n    pre_aggregations:\n      ${rollup}\n`;
    const rows = 'id,at\n1,2024-01-05\n2,2024-02-05\n';
    const own = await serve(t, { 'model/t.yml': cube, 'data/t.csv': rows }, byQueriesOnly);
    const month = (from, to) => ({ measures: ['t.count'], timeDimensions: [{ dimension: 't.at', dateRange: [from, to] }] });
    assert.deepEqual(Server.served(await own.result(month('2024-01-01', '2024-01-31'))), ['t.months']);
    fs.writeFileSync(path.join(own.folder, 'data/t.csv'), 'id,at\n1,2024-01-05\n2,no time\n');
    await own.post('/ops/reload', {});
    await own.load(month('2024-02-01', '2024-02-29'));
    const plan = await own.explain(month('2024-02-01', '2024-02-29'));
    note(plan);
    assert.deepEqual(plan.refusals.map((r) => r.rule).sort(), ['match.build_failed', 'match.partition_missing']);
    assert.match(plan.refusals.find((r) => r.rule === 'match.partition_missing').repair ?? '', /preagg refresh t\.months|^$/);
    assert.deepEqual(Server.served(await own.result(month('2024-01-01', '2024-01-31'))), ['t.months'], 'what is built serves on');
  });

  test('SQL of members that another engine would work out', { skip: pg.missing }, async (t) => {
    pg.sql('CREATE TABLE half AS SELECT i AS id, i + 0.5 AS x FROM generate_series(1, 9) i');
    const server = await serve(t, {
      'granary.yml': `data_sources: {default: ${pg.config}}\nmodel: model\n`,
      'model/h.yml': `cubes:\n  - {name: half, sql_table: half, dimensions: [{name: id, sql: id, type: number}], measures: [{name: total, sql: x, type: sum}, {name: whole, sql: '{total}::int', type: number}], pre_aggregations: [{name: main, measures: [total], dimensions: [id]}]}\n`,
    });
    const plan = await server.explain({ measures: ['half.whole'], dimensions: ['half.id'] });
    note(plan);
    assert.deepEqual(plan.refusals.map((r) => r.rule), ['match.engine_sql']);
    assert.match(plan.refusals[0].repair, /keep half\.main beside the data \(external: false\), or write half\.whole/);
  });

  test('every rule of rules.def was produced', () => {
    assert.deepEqual(rules.filter((rule) => !produced.has(rule) && !(pg.missing && rule === 'match.engine_sql')), []);
  });
});

// ---- repairs ------------------------------------------------------------------------------------------------------
// What `add` of a repair says, done to the definition; rollups stand in the model as JSON, which is YAML too.
function repaired(rollup, add) {
  const joined = (key) => [...(rollup[key] ?? []), ...(add[key] ?? [])];
  const times = (rollup.time_dimensions ?? []).map((time) => {
    const change = (add.time_dimensions ?? []).find((t) => t.dimension === time.dimension && t.instead_of === time.granularity);
    return change ? { dimension: change.dimension, granularity: change.granularity } : time;
  });
  for (const { dimension, granularity, instead_of } of add.time_dimensions ?? []) if (!instead_of) times.push({ dimension, granularity });
  return { ...rollup, measures: joined('measures'), dimensions: joined('dimensions'), segments: joined('segments'), time_dimensions: times };
}
const cubes = model.slice(model.indexOf('  - name: users\n'), model.indexOf('  - name: guests\n')) + model.slice(model.indexOf('  - name: shops\n'), model.indexOf('  - name: islands\n'));
const withRollups = (rollups) => `cubes:\n${orderCube('orders', rollups.map((rollup) => JSON.stringify(rollup)), joins)}\n${cubes}`;
const at = (granularity) => [{ dimension: 'created_at', granularity }];

// [what, rollup, query, failed rules with their members, the repair's additions]
const repairs = [
  ['a dimension', { measures: ['count'], dimensions: ['status'] }, q('orders', 'count', 'city'), ['match.dimension_missing orders.city'], { dimensions: ['city'] }],
  ['a filter', { measures: ['count'], dimensions: ['status'] }, q('orders', 'count', 'status', { filters: [eq('city', 'x')] }), ['match.filter_missing orders.city'], { dimensions: ['city'] }],
  ['a measure', { measures: ['count'], dimensions: ['status'] }, q('orders', 'total', 'status'), ['match.measure_missing orders.total'], { measures: ['total'] }],
  ['what a calculated measure is made of', { measures: ['count'], dimensions: ['status'] }, q('orders', 'ratio', 'status'), ['match.measure_missing orders.total'], { measures: ['total'] }],
  ['a measure with aggregates of its own', { measures: ['mn'], dimensions: ['status'] }, q('orders', 'raw_ratio', 'status'), ['match.measure_missing orders.raw_ratio', 'match.measure_missing orders.raw_ratio'], { measures: ['raw_ratio'] }],
  ['a segment', { measures: ['count'], dimensions: ['status'] }, q('orders', 'count', 'status', { segments: ['done'] }), ['match.segment_missing orders.done'], { segments: ['done'] }],
  ['a time dimension', { measures: ['count'], dimensions: ['status'] }, q('orders', 'count', '', { times: [td('week')] }), ['match.time_dimension_missing orders.created_at'], { time_dimensions: at('week') }],
  ['a range alone', { measures: ['count'] , dimensions: ['status'] }, q('orders', 'count', '', { times: [td(undefined, january)] }), ['match.time_dimension_missing orders.created_at'], { time_dimensions: at('day') }],
  ['a range of hours alone', { measures: ['count'], dimensions: ['status'] }, q('orders', 'count', '', { times: [td(undefined, ['2020-01-01T00:00:00.000', '2020-01-20T15:59:59.999'])] }), ['match.time_dimension_missing orders.created_at'], { time_dimensions: at('hour') }],
  ['a finer granularity', { measures: ['count'], time_dimensions: at('month') }, q('orders', 'count', '', { times: [td('day')] }), ['match.granularity orders.created_at'], { time_dimensions: [{ dimension: 'created_at', granularity: 'day', instead_of: 'month' }] }],
  ['what weeks and months have in common', { measures: ['count'], time_dimensions: at('week') }, q('orders', 'count', '', { times: [td('month')] }), ['match.granularity orders.created_at'], { time_dimensions: [{ dimension: 'created_at', granularity: 'day', instead_of: 'week' }] }],
  ['a range within a month', { measures: ['count'], time_dimensions: at('month') }, q('orders', 'count', '', { times: [td(undefined, ['2020-01-10', '2020-01-20'])] }), ['match.range_not_aligned orders.created_at'], { time_dimensions: [{ dimension: 'created_at', granularity: 'day', instead_of: 'month' }] }],
  ['a distinct count at its own grain', { measures: ['uniq'], dimensions: ['status'], time_dimensions: at('week') }, q('orders', 'uniq', 'status', { times: [td('month')] }), ['match.granularity orders.created_at', 'match.exact_grain orders.uniq'], { time_dimensions: [{ dimension: 'created_at', granularity: 'month', instead_of: 'week' }] }],
  ['a member of a joined cube', { measures: ['count'] , dimensions: ['status'] }, q('orders', 'count', 'users.country'), ['match.dimension_missing users.country'], { dimensions: ['users.country'] }],
  ['a member by its way', { measures: ['count'], dimensions: ['users.country'] }, q('orders', 'count', 'towns.name'), ['match.dimension_missing towns.name'], { dimensions: ['users.towns.name'] }],
  ['rows', { measures: ['count'], dimensions: ['status'] }, q('orders', 'total', 'status', { ungrouped: true }), ['match.ungrouped orders.id', 'match.measure_missing orders.total'], { measures: ['total'], dimensions: ['id'] }],
  ['all at once', { measures: ['count'], dimensions: ['status'], time_dimensions: at('month') }, q('orders', 'total', 'city', { times: [day], segments: ['done'], filters: [eq('users.country', 'no')] }),
    ['match.dimension_missing orders.city', 'match.segment_missing orders.done', 'match.filter_missing users.country', 'match.granularity orders.created_at', 'match.measure_missing orders.total'],
    { measures: ['total'], dimensions: ['city', 'users.country'], segments: ['done'], time_dimensions: [{ dimension: 'created_at', granularity: 'day', instead_of: 'month' }] }],
];

describe('repairs', () => {
  const rollups = repairs.map(([, rollup], i) => ({ name: `r${i}`, build: 'explicit', ...rollup }));
  const before = shared({ 'granary.yml': config, 'model/model.yml': withRollups(rollups), ...data });
  const after = shared({ 'granary.yml': config, 'model/model.yml': withRollups([]), ...data });
  const candidate = (plan, id) => plan.grain_groups[0].candidates.find((c) => c.pre_aggregation === id);

  for (const [i, [what, , asked, failed, add]] of repairs.entries())
    test(`${what}: the model with the repair serves the query`, async () => {
      const found = candidate(await before.explain(asked), `orders.r${i}`);
      assert.deepEqual(found.failed.map((f) => `${f.rule} ${f.member}`), failed);
      assert.deepEqual([found.repair.is_proved, found.repair.add], [true, add]);
      assert.ok(found.repair.changes.length >= 1 && found.repair.changes.every((change) => change.length > 10));
      const now = { ...repaired(rollups[i], found.repair.add), build: 'on_demand' };
      write(after.folder, 'model/model.yml', withRollups([now]));
      assert.equal((await after.post('/ops/reload', {})).status, 200);
      const result = await after.result(asked);
      assert.deepEqual([Server.served(result), result.preAggregationRefusals], [[`orders.r${i}`], undefined]);
      assertSameRows(result.data, await after.rows(asked, '?without_rollups=1'));
    });

  test('every candidate says every rule that it failed and passed', async () => {
    const asked = q('orders', 'total', 'city', { times: [day] });
    const [group] = (await before.explain(asked)).grain_groups;
    assert.equal(group.candidates.length, repairs.length);
    for (const one of group.candidates) {
      const failed = one.failed.map((f) => f.rule);
      assert.ok(failed.length && one.passed.length && !one.is_chosen);
      assert.deepEqual(failed.filter((rule) => one.passed.includes(rule) || !rules.includes(rule)), []);
      const momentary = ['match.forbidden', 'match.time_zone', 'match.build_range', 'match.edges', 'match.not_built', 'match.version', 'match.version_changed', 'match.build_failed', 'match.lambda', 'match.partition_missing'];
      assert.deepEqual([...new Set([...failed, ...one.passed, ...momentary])].sort(), [...rules].sort());
    }
    const texts = group.candidates[0].repair.changes;
    assert.deepEqual(texts, [
      'add orders.city to the dimensions of orders.r0',
      'give orders.r0 the time_dimension orders.created_at with granularity day',
      'add orders.total to the measures of orders.r0',
    ]);
  });

  test('a rollup that no addition makes fit says what else would help, and proves nothing', async () => {
    const asked = q('orders', 'uniq', 'city');
    const found = candidate(await before.explain(asked), 'orders.r12');
    assert.deepEqual(found.failed.map((f) => f.rule), ['match.dimension_missing', 'match.exact_grain']);
    assert.deepEqual([found.repair.is_proved, found.repair.add, found.repair.changes.length], [false, undefined, 2]);
  });

  test('where a rule has no repair there is none: measureFilter', async () => {
    const asked = q('orders', 'count', '', { filters: [{ member: 'total', operator: 'measureFilter' }] });
    const found = candidate(await before.explain(asked), 'orders.r0');
    assert.deepEqual([found.failed.map((f) => f.rule), found.repair], [['match.measure_filter'], null]);
  });

  test('not built, and nothing else: no repair of the definition', async () => {
    const found = candidate(await before.explain(q('orders', 'count', 'status')), 'orders.r0');
    assert.deepEqual([found.failed.map((f) => [f.rule, f.repair]), found.repair], [[['match.not_built', 'granary preagg build orders.r0']], null]);
  });

  test('the estimate counts the rows of the changed rollup', async () => {
    assert.equal((await before.granary(['preagg', 'build', 'orders.r0'])).code, 0);
    const asked = q('orders', 'count', 'status city');
    const groups = (await before.rows(asked, '?without_rollups=1')).length;
    const answer = await before.post('/v1/explain', { query: asked, estimate: true });
    const { repair } = candidate(answer.body, 'orders.r0');
    assert.deepEqual([repair.rows_now, repair.estimated_rows, repair.estimated_rows_added], [4, groups, groups - 4]);
    assert.ok(groups > 4);
    const without = candidate(await before.explain(asked), 'orders.r0').repair;
    assert.deepEqual([without.rows_now, without.estimated_rows, without.estimated_rows_added], [4, undefined, undefined]);
    const measure = candidate(await before.explain(q('orders', 'total', 'status')), 'orders.r0').repair;
    assert.equal(measure.estimated_rows_added, 0);
    const hidden = await before.post('/v1/explain', { query: q('orders', 'count', 'status', { ungrouped: true }), estimate: true });
    assert.deepEqual(candidate(hidden.body, 'orders.r0').repair.estimate_problem, 'orders.id is not public');
  });

  test('granary explain: the table, and the JSON', async () => {
    const asked = JSON.stringify(q('orders', 'total', 'status city'));
    const table = await before.granary(['explain', asked, '--estimate']);
    assert.equal(table.code, 0, table.stderr);
    assert.match(table.stdout, /^Served by: the source "default"$/m);
    assert.match(table.stdout, /^orders\.r0 +match\.dimension_missing +orders\.city: /m);
    assert.match(table.stdout, /^orders\.r0 +match\.measure_missing +orders\.total: /m);
    assert.match(table.stdout, /^To use orders\.r0: add orders\.city to the dimensions of orders\.r0; add orders\.total to the measures of orders\.r0 \(\d+ rows then, \d+ more than now\)$/m);
    const json = await before.granary(['explain', asked, '--json']);
    const same = await before.explain(JSON.parse(asked));
    assert.deepEqual({ ...json.json, timings_us: 0 }, { ...same, timings_us: 0 });
    await before.stop();
    const local = await before.granary(['explain', asked, '--json']);
    await before.start();
    assert.deepEqual({ ...local.json, timings_us: 0 }, { ...same, timings_us: 0 });
  });
});

describe('what is chosen', () => {
  const server = shared({
    'granary.yml': config,
    'model/model.yml': withRollups([
      { name: 'by_month', measures: ['count', 'total'], time_dimensions: at('month') },
      { name: 'by_day', measures: ['count'], time_dimensions: at('day') },
      { name: 'by_country', measures: ['count'], dimensions: ['users.country'] },
    ]).replace('  - name: users\n', `${orderCube('second', ['{name: main, measures: [total], dimensions: [users.country]}'], usersJoin)}\n  - name: users\n`).replace('{name: uniqa,', '{name: recent, type: sum, sql: amount, rolling_window: {trailing: 40 day}}\n      - {name: uniqa,'),
    ...data,
  });
  const ragged = td(undefined, ['2020-01-10', '2020-03-15']);

  test('tiles: each piece with what it reads, its range and its SQL; all of them serve', async () => {
    const asked = q('orders', 'count', '', { times: [ragged] });
    const monthly = q('orders', 'total', '', { times: [ragged] });
    await server.rows(asked);
    const result = await server.result(monthly);
    assert.deepEqual(Server.served(result), ['orders.by_month']);
    assert.deepEqual([result.external, Object.values(result.usedPreAggregations)[0].exactness], [false, 'exact']);
    assert.equal((await server.load(monthly)).headers.get('x-granary-served-by'), 'orders.by_month, source');
    const plan = await server.explain(monthly);
    assert.deepEqual([plan.pre_aggregations, plan.source], [['orders.by_month'], 'default']);
    const span = (piece) => [piece.kind, piece.pre_aggregation ?? piece.source, piece.ranges[0].from, piece.ranges[0].to];
    assert.deepEqual(plan.pieces.map(span), [
      ['scan', 'orders.by_month', '2020-02-01T00:00:00.000', '2020-03-01T00:00:00.000'],
      ['scan', 'default', '2020-01-10T00:00:00.000', '2020-02-01T00:00:00.000'],
      ['scan', 'default', '2020-03-01T00:00:00.000', '2020-03-16T00:00:00.000'],
    ]);
    for (const piece of plan.pieces) {
      assert.match(piece.sql, /^SELECT /);
      assert.deepEqual(piece.params, piece.ranges.flatMap(({ from, to }) => [from, to]));
    }
    assert.deepEqual(Object.keys(plan.timings_us), ['parse', 'plan', 'render']);
    assert.ok(Object.values(plan.timings_us).every((us) => us >= 0));
    const table = await server.granary(['explain', JSON.stringify(monthly)]);
    assert.match(table.stdout, /^Served by: orders\.by_month, the source "default"$/m);
    assert.match(table.stdout, /^scan +orders\.by_month +orders\.created_at from 2020-02-01T00:00:00\.000 to before 2020-03-01/m);
    const sql = (await server.post('/cubejs-api/v1/sql', { query: monthly })).body.sql;
    assert.deepEqual([sql.external, sql.preAggregations.map((p) => p.preAggregationId)], [false, ['orders.by_month']]);
  });

  test('two facts, a rollup for each: both are listed, in the answer and in its header', async () => {
    const asked = q('orders', 'count second.total', 'users.country');
    const answer = await server.load(asked);
    assert.deepEqual(Server.served(answer.body), ['orders.by_country', 'second.main']);
    assert.deepEqual([answer.headers.get('x-granary-served-by'), answer.body.external, answer.body.preAggregationRefusals], ['orders.by_country, second.main', true, undefined]);
    assertSameRows(answer.body.data, await server.rows(asked, '?without_rollups=1'));
    const plan = await server.explain(asked);
    assert.deepEqual([plan.pre_aggregations, plan.source], [['orders.by_country', 'second.main'], null]);
    assert.deepEqual(plan.grain_groups.map((g) => [g.fact, g.candidates.filter((c) => c.is_chosen && !c.failed.length).map((c) => c.pre_aggregation)]), [['orders', ['orders.by_country']], ['second', ['second.main']]]);
    const sql = (await server.post('/cubejs-api/v1/sql', { query: asked })).body.sql;
    assert.deepEqual([sql.external, sql.preAggregations.map((p) => p.preAggregationId)], [true, ['orders.by_country', 'second.main']]);
  });

  test('rows that joins repeat: a grain group over distinct keys, and the tree says why', async () => {
    const plan = await server.explain(q('orders', 'count users.total_age', 'status'));
    assert.deepEqual(plan.grain_groups.map((g) => [g.fact, g.key_cube]), [['orders', null], ['orders', 'users']]);
    assert.deepEqual(plan.grain_groups[1].components.map((c) => [c.measure, c.aggregation, c.mergeable]), [['users.total_age', 'sum', true]]);
    assert.deepEqual(plan.join_tree, [
      { cube: 'orders', parent: null, relationship: null, multiplied: false },
      { cube: 'users', parent: 'orders', relationship: 'many_to_one', multiplied: true },
    ]);
  });

  test('a window: what it is made of stands inside', async () => {
    const plan = await server.explain(q('orders', 'recent', '', { times: [td('month', ['2020-01-01', '2020-03-31'])] }));
    assert.deepEqual(plan.pieces.map((p) => [p.kind, p.buckets, p.pieces.length > 0]), [['window', 3, true]]);
    const table = await server.granary(['explain', JSON.stringify(q('orders', 'recent', '', { times: [td('month', ['2020-01-01', '2020-03-31'])] }))]);
    assert.match(table.stdout, /^window +$/m);
  });

  test('comparisons and blends: a list of explanations', async () => {
    const compared = { ...q('orders', 'count'), timeDimensions: [{ dimension: 'orders.created_at', compareDateRange: [['2020-01-01', '2020-01-31'], ['2020-02-01', '2020-02-29']] }] };
    const blended = [q('orders', 'count', '', { times: [day] }), q('orders', 'mn', '', { times: [day] })];
    for (const asked of [compared, blended]) {
      const answer = await server.post('/v1/explain', { query: asked });
      assert.equal(answer.status, 200, answer.text);
      assert.equal(answer.body.length, 2);
      assert.ok(answer.body.every((plan) => plan.sql && plan.grain_groups.length === 1));
    }
    const list = await server.granary(['explain', JSON.stringify(blended)]);
    assert.match(list.stdout, /^Query 1 of 2\nServed by: orders\.by_day\n[^]*^Query 2 of 2\nServed by: the source "default"\n/m);
    const bad = await server.post('/v1/explain', { query: [blended[0], { measures: ['orders.nothing'] }] });
    assert.deepEqual([bad.status, bad.body.id], [400, 'query.unknown_member']);
  });
});

describe('refusals in the answers', () => {
  const files = { 'model/model.yml': withRollups([{ name: 'main', measures: ['count'], dimensions: ['status'] }]), ...data };
  const open = shared({ 'granary.yml': config, ...files });
  const short = [{ preAggregation: 'orders.main', rule: 'match.dimension_missing', member: 'orders.city' }];

  test('developer mode: ids alone, where the source answered', async () => {
    assert.deepEqual((await open.result(q('orders', 'count', 'city'))).preAggregationRefusals, short);
    assert.equal('preAggregationRefusals' in (await open.result(q('orders', 'count', 'status'))), false);
    assert.deepEqual((await open.result(q('orders', 'count', 'status'), '?explain=1')).preAggregationRefusals, []);
  });

  test('with a secret only when asked', async (t) => {
    const closed = await serve(t, { 'granary.yml': `${config}api_secret: secret-for-the-test\n`, ...files });
    const token = jwt({}, 'secret-for-the-test');
    const load = async (params) => (await closed.post(`/cubejs-api/v1/load${params}`, { query: q('orders', 'count', 'city') }, { authorization: token })).body;
    assert.equal('preAggregationRefusals' in (await load('')), false);
    assert.deepEqual((await load('?explain=1')).preAggregationRefusals, short);
  });

  test('the client of Cube goes on as before', async () => {
    const client = cube('', { apiUrl: `${open.url}/cubejs-api/v1` });
    const result = await client.load({ measures: ['orders.count'], dimensions: ['orders.city'] });
    assert.deepEqual(result.tablePivot().map((row) => [row['orders.city'], row['orders.count']]).sort(), [['x', 30], ['y', 30]].map(([city, n]) => [city, typeof result.tablePivot()[0]['orders.count'] === 'number' ? n : String(n)]));
  });
});

// Numbers may differ by rounding in floating point; everything else is equal. Without an order the rows are a set.
function assertSameRows(actual, expected) {
  const key = (row) => JSON.stringify(Object.entries(row).map(([name, value]) => [name, isNumber(value) ? Number(value).toPrecision(9) : value]));
  assert.deepEqual(actual.map(key).sort(), expected.map(key).sort());
}
const isNumber = (value) => typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value);
