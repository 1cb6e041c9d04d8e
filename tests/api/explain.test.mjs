// Which rollup serves which query, and the rule that refuses the others. Every row of a table is asked of the plan and then
// executed: an answer from a rollup is the answer from the source.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { csv, repo, Server, serve, shared } from './helpers.mjs';

const rules = [...fs.readFileSync(path.join(repo, 'src/plan/rules.def'), 'utf8').matchAll(/^GR_RULE\(\w+, "([^"]+)"/gm)].map((m) => m[1]);

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
// Where the number has a note, our rule is another than the reference's: exact ranges by default; avg is stored as sum and count.
const worked = [
  ['1', q('orders', 'count', 'status'), yes],
  ['2', q('orders', 'count'), yes],
  ['3', q('orders', 'uniq', 'status'), 'match.exact_grain'],
  ['4', q('orders', 'uniq', 'status city'), 'match.exact_grain'],
  ['5', q('orders', 'uniq', 'city status', { times: [day] }), yes],
  ['6', q('orders', 'uniq', 'status city', { times: [td('month')] }), 'match.exact_grain'],
  ['7', q('orders', 'uniq', 'status city', { times: [td('day', january)] }), yes],
  ['8, exact by default', q('orders', 'uniq', 'status city', { times: [td('day', cut)] }), 'match.range_not_aligned'],
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
  ['20, exact by default', q('orders', 'count', '', { times: [td(undefined, cut)] }), 'match.range_not_aligned'],
  ['20, not strict', q('loose', 'count', '', { times: [td(undefined, cut)] }), yes, 'inexact'],
  ['21, exact by default', q('orders', 'total', '', { times: [td('month', cut)] }), 'match.range_not_aligned'],
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
  ['approximate, coarser', q('orders', 'uniqa', 'status'), 'match.exact_grain'],
  ['a measure with aggregates of its own, exact grain', q('orders', 'raw_ratio', 'status city', { times: [day] }), yes],
  ['a measure with aggregates of its own, coarser', q('orders', 'raw_ratio', 'status'), 'match.exact_grain'],
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
      if (expected.startsWith('match.')) {
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

  test('match.fan_out: a join of the rollup multiplies its measure', async () => {
    const plan = await server.explain(q('inflated', 'count', 'status'));
    note(plan);
    assert.deepEqual(plan.refusals.map((r) => [r.pre_aggregation, r.rule]), [['inflated.main', 'match.fan_out']]);
    const build = await server.granary(['preagg', 'build', 'inflated.main', '--json']);
    assert.equal(build.json.pre_aggregations[0].error_id, 'plan.fan_out_unsupported');
    assert.equal(build.code, 1);
  });

  test('match.cannot_build: its cubes live in different data sources', async () => {
    const plan = await server.explain(q('distant', 'count'));
    note(plan);
    assert.deepEqual(plan.refusals.map((r) => [r.pre_aggregation, r.rule]), [['distant.main', 'match.cannot_build']]);
    assert.match(plan.refusals[0].detail, /different data sources/);
  });

  // Queries that are refused as a whole: never an inflated sum, never a join that is not there.
  const refused = [
    ['plan.fan_out_unsupported', q('orders', 'count users.total_age', 'status'), /users/],
    ['plan.fan_out_unsupported', q('users', 'count', 'orders.status'), /users/],
    ['plan.fan_out_unsupported', q('orders', 'count', 'status', { filters: [{ member: 'users.total_age', operator: 'gt', values: ['1'] }] }), /users/],
    ['plan.no_join_path', q('orders', 'count islands.count'), /orders.*islands/],
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

  test('every rule of rules.def was produced', () => {
    assert.deepEqual(rules.filter((rule) => !produced.has(rule)), []);
  });
});

// Numbers may differ by rounding in floating point; everything else is equal. Without an order the rows are a set.
function assertSameRows(actual, expected) {
  const key = (row) => JSON.stringify(Object.entries(row).map(([name, value]) => [name, isNumber(value) ? Number(value).toPrecision(9) : value]));
  assert.deepEqual(actual.map(key).sort(), expected.map(key).sort());
}
const isNumber = (value) => typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value);
