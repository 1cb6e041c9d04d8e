// The reference's own client, @cubejs-client/core, as an application would use it.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import cube from '@cubejs-client/core';
import { csv, jwt, serve, shared, slowCube } from './helpers.mjs';

const files = {
  'data/orders.csv': csv(['id', 'status', 'city', 'amount', 'created_at'], [
    [1, 'new', 'Oslo', 10, '2024-01-01 10:00:00'],
    [2, 'new', 'Rome', 20, '2024-01-01 11:00:00'],
    [3, 'done', 'Oslo', 30, '2024-01-03 12:00:00'],
    [4, 'done', 'Rome', 40, '2024-01-03 13:00:00'],
    [5, 'done', 'Rome', 50, '2024-01-04 00:00:00'],
  ]),
  'model/orders.yml': `cubes:
  - name: orders
    sql_table: orders
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount, format: currency}
      - {name: broken, type: sum, sql: "{CUBE}.no_such_column"}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: status, sql: status, type: string}
      - {name: city, sql: city, type: string}
      - {name: created_at, sql: created_at, type: time}
    segments:
      - {name: large, sql: "{CUBE}.amount > 25"}
    pre_aggregations:
      - {name: main, measures: [count, total], dimensions: [status], time_dimension: created_at, granularity: day}
`,
};

describe('the client', () => {
  const server = shared(files);
  let api;
  before(async () => {
    api = cube('any token', { apiUrl: `${server.url}/cubejs-api/v1` });
  });

  const byDay = {
    measures: ['orders.count', 'orders.total'],
    timeDimensions: [{ dimension: 'orders.created_at', granularity: 'day', dateRange: ['2024-01-01', '2024-01-04'] }],
  };

  test('load: raw rows, and a pivot that fills the missing day', async () => {
    const set = await api.load(byDay);
    assert.equal(set.rawData().length, 3);
    assert.deepEqual(set.chartPivot().map((row) => [row.x, Number(row['orders.count']), Number(row['orders.total'])]), [
      ['2024-01-01T00:00:00.000', 2, 30],
      ['2024-01-02T00:00:00.000', 0, 0],
      ['2024-01-03T00:00:00.000', 2, 70],
      ['2024-01-04T00:00:00.000', 1, 50],
    ]);
    assert.deepEqual(set.tableColumns().map((column) => column.key), ['orders.created_at.day', 'orders.count', 'orders.total']);
    assert.equal(set.annotation().measures['orders.total'].format, 'currency');
    assert.deepEqual(Object.values(set.serialize().loadResponse.results[0].usedPreAggregations).map((used) => used.preAggregationId), ['orders.main']);
  });

  test('load: a dimension on the y axis', async () => {
    const set = await api.load({ measures: ['orders.count'], dimensions: ['orders.status', 'orders.city'] });
    const pivot = set.pivot({ x: ['orders.status'], y: ['orders.city', 'measures'] });
    const cells = Object.fromEntries(pivot.map((row) => [row.xValues[0], Object.fromEntries(row.yValuesArray.map(([[city], count]) => [city, Number(count)]))]));
    assert.deepEqual(cells, { done: { Oslo: 1, Rome: 2 }, new: { Oslo: 1, Rome: 1 } });
    assert.deepEqual(set.seriesNames({ x: ['orders.status'], y: ['orders.city', 'measures'] }).map((series) => series.yValues[0]).sort(), ['Oslo', 'Rome']);
  });

  test('load: castNumerics gives numbers', async () => {
    const set = await api.load({ measures: ['orders.total', 'orders.count'] }, { castNumerics: true });
    assert.deepEqual(set.rawData(), [{ 'orders.total': 150, 'orders.count': 5 }]);
  });

  test('load: total rows, order, limit and offset', async () => {
    const rows = await api.load({ dimensions: ['orders.status', 'orders.city'], measures: ['orders.total'], order: [['orders.total', 'desc']], limit: 2, offset: 1, total: true });
    assert.equal(rows.totalRows(), 4);
    assert.deepEqual(rows.rawData().map((row) => row['orders.total']), ['30', '20']);
  });

  test('load: a query of several filters and a segment, too long for GET', async () => {
    const values = Array.from({ length: 300 }, (_, i) => `city ${i}`).concat('Rome');
    const set = await api.load({ measures: ['orders.count'], segments: ['orders.large'], filters: [{ member: 'orders.city', operator: 'equals', values }] });
    assert.deepEqual(set.rawData(), [{ 'orders.count': '2' }]);
  });

  test('sql: the text of the rollup', async () => {
    const sql = await api.sql({ measures: ['orders.count'], filters: [{ member: 'orders.status', operator: 'equals', values: ["it's"] }] });
    assert.match(sql.sql(), /SELECT/i);
    const [text, params] = sql.rawQuery().sql;
    assert.ok(!text.includes("it's"), 'a value is never in the text');
    assert.deepEqual(params, ["it's"]);
  });

  test('meta: members, their types, and what is default for a query', async () => {
    const meta = await api.meta();
    const [orders] = meta.cubes;
    assert.equal(orders.name, 'orders');
    assert.equal(orders.connectedComponent, 1);
    assert.deepEqual(orders.measures.map((m) => m.name), ['orders.count', 'orders.total', 'orders.broken']);
    assert.deepEqual(orders.dimensions.map((d) => [d.name, d.type]), [['orders.status', 'string'], ['orders.city', 'string'], ['orders.created_at', 'time']]);
    assert.deepEqual(orders.segments.map((s) => s.name), ['orders.large']);
    assert.equal(meta.resolveMember('orders.total', 'measures').shortTitle, 'Total');
    assert.equal(meta.resolveMember('orders.status', 'dimensions').title, 'Orders Status');
    assert.equal(meta.defaultTimeDimensionNameFor('orders.count'), 'orders.created_at');
  });

  test('dryRun: the normalized query without running it', async () => {
    const answer = await api.dryRun({ ...byDay, order: { 'orders.count': 'desc' } });
    assert.equal(answer.queryType, 'regularQuery');
    assert.deepEqual(answer.queryOrder, [{ 'orders.count': 'desc' }]);
    const [normalized] = answer.normalizedQueries;
    assert.deepEqual(normalized.timeDimensions, [
      { dimension: 'orders.created_at', granularity: 'day', dateRange: ['2024-01-01T00:00:00.000', '2024-01-04T23:59:59.999'] },
    ]);
    assert.deepEqual([normalized.timezone, normalized.limit, normalized.rowLimit], ['UTC', 10000, 10000]);
    assert.deepEqual(answer.pivotQuery.measures, byDay.measures);
  });

  const failures = [
    ['an unknown member', { measures: ['orders.nothing'] }, /'nothing' not found for path 'orders\.nothing'/],
    ['a missing column in the source', { measures: ['orders.broken'] }, /no_such_column/],
    ['an empty query', {}, /Query should contain either measures, dimensions or timeDimensions/],
  ];
  for (const [what, query, text] of failures)
    test(`a failing query: ${what}`, async () => {
      await assert.rejects(api.load(query), (error) => {
        assert.match(error.message, text);
        assert.equal(error.response.error, error.message);
        return true;
      });
      assert.equal((await api.load({ measures: ['orders.count'] })).rawData()[0]['orders.count'], '5');
    });

  test('two queries at once', async () => {
    const sets = await Promise.all([api.load({ measures: ['orders.count'] }), api.load({ measures: ['orders.total'] })]);
    assert.deepEqual(sets.map((set) => Object.values(set.rawData()[0])), [['5'], ['150']]);
  });
});

test('wait and poll: the client asks again until the build is done', async (t) => {
  const server = await serve(
    t,
    { 'model/slow.yml': slowCube('slow', 1500000, '    pre_aggregations:\n      - {name: main, measures: [count, longest], dimensions: [k]}\n') },
    { env: { GRANARY_HTTP_CONTINUE_WAIT_MS: '30' } },
  );
  const api = cube(undefined, { apiUrl: `${server.url}/cubejs-api/v1`, pollInterval: 0 });
  const stages = [];
  const set = await api.load({ measures: ['slow.count'] }, { progressCallback: (progress) => stages.push(progress) });
  assert.ok(stages.length > 0, 'at least one `Continue wait` was seen');
  assert.deepEqual(set.rawData(), [{ 'slow.count': '1500000' }]);
  const list = await server.granary(['preagg', 'list', '--json']);
  assert.deepEqual(list.json.pre_aggregations.map((p) => [p.id, p.version, p.rows]), [['slow.main', 1, 100]]);
  const again = [];
  await api.load({ measures: ['slow.count'], dimensions: ['slow.k'] }, { progressCallback: (progress) => again.push(progress) });
  assert.equal(again.length, 0, 'what is built answers at once');
});

test('with an API secret the client sends its token', async (t) => {
  const server = await serve(t, files, { env: { GRANARY_API_SECRET: 'secret' } });
  const apiUrl = `${server.url}/cubejs-api/v1`;
  const set = await cube(jwt({ user: 7 }, 'secret'), { apiUrl }).load({ measures: ['orders.count'] });
  assert.deepEqual(set.rawData(), [{ 'orders.count': '5' }]);
  await assert.rejects(cube(jwt({}, 'another'), { apiUrl }).load({ measures: ['orders.count'] }), /Invalid token/);
});
