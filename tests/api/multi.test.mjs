// Several queries in one request: the ranges of compareDateRange and arrays (data blending), through the reference's
// own client and as plain JSON.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import cube from '@cubejs-client/core';
import { csv, serve, shared, slowCube } from './helpers.mjs';

const files = {
  'data/orders.csv': csv(['id', 'status', 'amount', 'created_at', 'paid_at'], [
    [1, 'new', 10, '2024-01-01 10:00:00', '2024-01-02 10:00:00'],
    [2, 'new', 20, '2024-01-01 11:00:00', '2024-01-02 10:00:00'],
    [3, 'done', 30, '2024-01-03 12:00:00', '2024-01-04 10:00:00'],
    [4, 'done', 40, '2023-01-02 13:00:00', '2023-01-03 10:00:00'],
    [5, 'done', 50, '2023-01-02 14:00:00', '2023-01-05 10:00:00'],
    [6, 'new', 60, '2023-01-03 00:00:00', '2023-01-05 10:00:00'],
    [7, 'new', 70, '2022-07-01 00:00:00', '2022-07-05 10:00:00'],
  ]),
  'data/visits.csv': csv(['id', 'country', 'at'], [
    [1, 'Norway', '2024-01-01 09:00:00'],
    [2, 'Italy', '2024-01-02 09:00:00'],
    [3, 'Norway', '2024-01-02 10:00:00'],
    [4, 'Norway', '2024-01-03 10:00:00'],
  ]),
  'model/shop.yml': `cubes:
  - name: orders
    sql_table: orders
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
      - {name: broken, type: sum, sql: "{CUBE}.no_such_column"}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: status, sql: status, type: string}
      - {name: created_at, sql: created_at, type: time}
      - {name: paid_at, sql: paid_at, type: time}
    pre_aggregations:
      - {name: main, measures: [count, total], dimensions: [status], time_dimension: created_at, granularity: day}
  - name: visits
    sql_table: visits
    measures:
      - {name: count, type: count}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: country, sql: country, type: string}
      - {name: at, sql: at, type: time}
`,
};

const T0 = 'T00:00:00.000';
const now = ['2024-01-01', '2024-01-03'];
const then = ['2023-01-01', '2023-01-03'];
const nowText = `2024-01-01${T0} - 2024-01-03T23:59:59.999`;
const thenText = `2023-01-01${T0} - 2023-01-03T23:59:59.999`;
const notSupported = (type) => `'${type}' query type is not supported by the client.Please update the client.`;
const load = '/cubejs-api/v1/load';
const created = (rest) => [{ dimension: 'orders.created_at', granularity: 'day', ...rest }];
const compare = { measures: ['orders.count', 'orders.total'], timeDimensions: created({ compareDateRange: [now, then] }) };
const blend = [
  { measures: ['orders.total'], timeDimensions: created({ dateRange: now }) },
  { measures: ['visits.count'], dimensions: ['visits.country'], timeDimensions: [{ dimension: 'visits.at', granularity: 'day', dateRange: now }] },
];

describe('several queries in one request', () => {
  const server = shared(files);
  const multi = (query, route = load) => server.post(route, { query, queryType: 'multi' });
  let api;
  before(async () => {
    api = cube('any token', { apiUrl: `${server.url}/cubejs-api/v1` });
  });

  // ---- comparisons ----
  test('compareDateRange: a series for each range and measure, with the missing days', async () => {
    const set = await api.load(compare);
    assert.deepEqual(set.series().map((series) => [series.key, series.series.map((point) => [point.x, point.value])]), [
      [`${nowText},orders.count`, [['2024-01-01', 2], ['2024-01-02', 0], ['2024-01-03', 1]].map(([x, n]) => [x + T0, n])],
      [`${nowText},orders.total`, [['2024-01-01', 30], ['2024-01-02', 0], ['2024-01-03', 30]].map(([x, n]) => [x + T0, n])],
      [`${thenText},orders.count`, [['2024-01-01', 0], ['2024-01-02', 2], ['2024-01-03', 1]].map(([x, n]) => [x + T0, n])],
      [`${thenText},orders.total`, [['2024-01-01', 0], ['2024-01-02', 90], ['2024-01-03', 60]].map(([x, n]) => [x + T0, n])],
    ]);
    assert.deepEqual(set.seriesNames().map((name) => name.title), [
      `${nowText}, Orders Count`,
      `${nowText}, Orders Total`,
      `${thenText}, Orders Count`,
      `${thenText}, Orders Total`,
    ]);
  });

  test('compareDateRange: tablePivot and decompose', async () => {
    const set = await api.load({ ...compare, measures: ['orders.total'] });
    assert.deepEqual(set.tablePivot().map((row) => Object.values(row)), [
      [`2024-01-01${T0}`, '30', 0],
      [`2024-01-02${T0}`, 0, '90'],
      [`2024-01-03${T0}`, '30', '60'],
    ]);
    assert.throws(() => set.rawData(), /decompose/);
    const parts = set.decompose();
    assert.deepEqual(parts.map((part) => part.rawData().map((row) => [row['orders.created_at.day'], row['orders.total'], row.compareDateRange])), [
      [[`2024-01-01${T0}`, '30', nowText], [`2024-01-03${T0}`, '30', nowText]],
      [[`2023-01-02${T0}`, '90', thenText], [`2023-01-03${T0}`, '60', thenText]],
    ]);
    assert.deepEqual(parts.map((part) => part.chartPivot().map((row) => row['orders.total'])), [[30, 0, 30], [0, 90, 60]]);
    assert.deepEqual(parts.map((part) => part.query().timeDimensions[0].dateRange.join(' - ')), [nowText, thenText]);
  });

  test('compareDateRange: another dimension, no granularity, one range of three is empty', async () => {
    const set = await api.load({
      measures: ['orders.count'],
      dimensions: ['orders.status'],
      timeDimensions: [{ dimension: 'orders.created_at', compareDateRange: [now, ['2020-01-01', '2020-12-31'], then] }],
      order: { 'orders.status': 'asc' },
    });
    assert.deepEqual(set.decompose().map((part) => part.rawData().map((row) => [row['orders.status'], row['orders.count']])), [
      [['done', '1'], ['new', '2']],
      [],
      [['done', '2'], ['new', '1']],
    ]);
  });

  test('compareDateRange: the whole answer', async () => {
    const answer = await multi({ ...compare, dimensions: ['orders.status'], limit: 5, order: [['orders.created_at', 'asc'], ['orders.status', 'asc']] });
    assert.equal(answer.status, 200, answer.text);
    assert.equal(answer.headers.get('x-granary-served-by'), 'orders.main');
    const { queryType, results, pivotQuery, slowQuery, ...rest } = answer.body;
    assert.deepEqual([queryType, slowQuery, rest], ['compareDateRangeQuery', false, {}]);
    const query = {
      measures: ['orders.count', 'orders.total'],
      dimensions: ['orders.status'],
      timeDimensions: created({ dateRange: nowText.split(' - ') }),
      filters: [],
      order: [{ id: 'orders.created_at', desc: false }, { id: 'orders.status', desc: false }],
      limit: 5,
      rowLimit: 5,
      timezone: 'UTC',
      queryType: 'compareDateRangeQuery',
      cacheMode: 'stale-if-slow',
    };
    assert.deepEqual(pivotQuery, { ...query, dimensions: ['compareDateRange', 'orders.status'] });
    assert.deepEqual(results.map((result) => result.query), [query, { ...query, timeDimensions: created({ dateRange: thenText.split(' - ') }) }]);
    assert.deepEqual(results[1].data[0], {
      'orders.status': 'done',
      'orders.created_at.day': `2023-01-02${T0}`,
      'orders.created_at': `2023-01-02${T0}`,
      'orders.count': '2',
      'orders.total': '90',
      compareDateRange: thenText,
    });
    for (const result of results) {
      assert.deepEqual(Object.keys(result.usedPreAggregations), ['granary.orders_main']);
      assert.ok(result.annotation.timeDimensions['orders.created_at.day'].granularity);
      assert.equal(result.total, null);
    }
  });

  test('compareDateRange: relative ranges in the zone of the query, and a total of each', async () => {
    const answer = await multi({ measures: ['orders.count'], timezone: 'Asia/Tokyo', total: true, timeDimensions: created({ compareDateRange: ['from 2024-01-01 to 2024-01-03', '2023-01-02'] }) });
    assert.deepEqual(answer.body.results.map((result) => [result.total, ...result.data.map((row) => row.compareDateRange)]), [
      [2, nowText, nowText],
      [1, `2023-01-02${T0} - 2023-01-02T23:59:59.999`],
    ]);
  });

  test('compareDateRange on a time dimension that is not the first', async () => {
    const answer = await multi({ measures: ['orders.count'], timeDimensions: [{ dimension: 'orders.paid_at', dateRange: ['2023-01-01', '2024-01-02'] }, ...created({ compareDateRange: [now, then] })] });
    assert.deepEqual(answer.body.results.map((result) => result.data.map((row) => [row['orders.count'], row.compareDateRange])), [
      [['2', nowText]],
      [['2', thenText], ['1', thenText]],
    ]);
  });

  // ---- blends ----
  test('blending: one series for each measure and dimension over the common time', async () => {
    const set = await api.load(blend);
    assert.deepEqual(set.series({ x: ['time.day'], y: ['visits.country', 'measures'] }).map((series) => [series.key, series.series.map((point) => point.value)]), [
      ['orders.total', [30, 0, 30]],
      ['Norway,visits.count', [1, 1, 1]],
      ['Italy,visits.count', [0, 1, 0]],
    ]);
    assert.deepEqual(set.tablePivot({ x: ['time.day'], y: ['measures', 'visits.country'] }).map((row) => row['time.day']), [`2024-01-01${T0}`, `2024-01-02${T0}`, `2024-01-03${T0}`]);
    assert.deepEqual(set.decompose().map((part) => part.rawData().length), [2, 4]);
    assert.deepEqual(set.decompose()[0].rawData()[1], {
      'orders.created_at.day': `2024-01-03${T0}`,
      'orders.created_at': `2024-01-03${T0}`,
      'orders.total': '30',
      'time.day': `2024-01-03${T0}`,
    });
  });

  test('blending: the same measure twice', async () => {
    const set = await api.load([
      { measures: ['orders.count'], timeDimensions: created({ dateRange: now }) },
      { measures: ['orders.count'], timeDimensions: [{ dimension: 'orders.paid_at', granularity: 'day', dateRange: now }] },
    ]);
    assert.deepEqual(set.chartPivot({ aliasSeries: ['created', 'paid'] }).map((row) => [row.x.slice(0, 10), row['created,orders.count'], row['paid,orders.count']]), [
      ['2024-01-01', 2, 0],
      ['2024-01-02', 0, 2],
      ['2024-01-03', 1, 0],
    ]);
  });

  test('blending: the whole answer', async () => {
    const { status, headers, body } = await multi(blend);
    assert.equal(status, 200);
    assert.equal(headers.get('x-granary-served-by'), 'orders.main, source');
    assert.deepEqual([body.queryType, body.slowQuery, Object.keys(body)], ['blendingQuery', false, ['queryType', 'results', 'pivotQuery', 'slowQuery']]);
    assert.deepEqual(body.pivotQuery, {
      measures: ['orders.total', 'visits.count'],
      dimensions: ['visits.country'],
      timeDimensions: [{ dimension: 'time', granularity: 'day' }],
      queryType: 'blendingQuery',
    });
    assert.deepEqual(body.results.map((result) => [result.query.queryType, result.query.measures, result.usedPreAggregations === undefined]), [
      ['blendingQuery', ['orders.total'], false],
      ['blendingQuery', ['visits.count'], true],
    ]);
  });

  test('an array of one query is a blend', async () => {
    const { body } = await multi([blend[0]]);
    assert.deepEqual([body.queryType, body.results.length, body.results[0].data[0]['time.day']], ['blendingQuery', 1, `2024-01-01${T0}`]);
  });

  // ---- forms ----
  for (const [what, query, extra] of [['compareDateRange', compare, 'compareDateRange'], ['blending', blend, 'time.day']])
    for (const format of ['compact', 'columnar'])
      test(`${what}: the ${format} form says the same as the default one`, async () => {
        const [plain, packed] = [await api.load(query), await api.load(query, {}, undefined, format)];
        assert.deepEqual(packed.decompose().map((part) => part.rawData()), plain.decompose().map((part) => part.rawData()));
        assert.deepEqual(packed.series(), plain.series());
        const asked = Array.isArray(query) ? query.map((q) => ({ ...q, responseFormat: format })) : { ...query, responseFormat: format };
        const { body } = await multi(asked);
        for (const result of body.results) {
          assert.equal(result.query.responseFormat, format);
          assert.equal(result.data.members.at(-1), extra);
          const rows = result.data.dataset ?? result.data.columns[0].map((_, i) => result.data.columns.map((column) => column[i]));
          assert.ok(rows.length > 0);
          for (const row of rows) assert.equal(row.length, result.data.members.length);
        }
      });

  test('a regular query with queryType=multi, by GET and by POST', async () => {
    const query = { measures: ['orders.count'] };
    for (const answer of [await server.get(`${load}?queryType=multi`, query), await multi(query)]) {
      assert.deepEqual([answer.body.queryType, answer.body.results.length, answer.body.results[0].data], ['regularQuery', 1, [{ 'orders.count': '7' }]]);
      assert.deepEqual(answer.body.pivotQuery, answer.body.results[0].query);
      assert.equal(answer.body.pivotQuery.queryType, 'regularQuery');
    }
  });

  test('without queryType=multi: 400, by GET and by POST', async () => {
    for (const [query, type] of [[compare, 'compareDateRangeQuery'], [blend, 'blendingQuery']])
      for (const answer of [await server.get(load, query), await server.post(load, { query }), await server.get(`${load}?queryType=other`, query)]) {
        assert.deepEqual([answer.status, answer.body.error, answer.body.id, answer.body.type], [400, notSupported(type), 'query.unsupported', 'UserError']);
      }
    const texts = await server.get(`${load}?queryType=multi`, blend);
    assert.equal(texts.status, 200, texts.text);
    const asText = await multi(JSON.stringify(compare));
    assert.equal(asText.body.results.length, 2, 'a query as JSON text');
  });

  // ---- /v1/sql, /v1/dry-run: the client sends no queryType there ----
  test('sql: one statement for each query', async () => {
    for (const query of [compare, blend]) {
      const answers = await api.sql(query);
      assert.equal(answers.length, 2);
      for (const answer of answers) assert.match(answer.sql(), /SELECT/i);
      assert.notDeepEqual(answers[0].rawQuery(), answers[1].rawQuery());
    }
    const alone = await api.sql({ ...compare, timeDimensions: created({ dateRange: then }) });
    assert.deepEqual((await api.sql(compare))[1].rawQuery(), alone.rawQuery());
  });

  test('dryRun: what each query is, and the pivot', async () => {
    for (const query of [compare, blend]) {
      const answer = await api.dryRun(query);
      const { body } = await multi(query);
      assert.equal(answer.queryType, body.queryType);
      assert.deepEqual(answer.normalizedQueries, body.results.map((result) => result.query));
      assert.deepEqual(answer.pivotQuery, body.pivotQuery);
      assert.equal(answer.transformedQueries.length, 2);
    }
    assert.deepEqual((await api.dryRun(blend)).queryOrder, [{ 'orders.created_at': 'asc' }, { 'visits.at': 'asc' }]);
  });

  // ---- what is wrong ----
  const month = { measures: ['visits.count'], timeDimensions: [{ dimension: 'visits.at', granularity: 'month' }] };
  const failures = [
    ['granularities that differ', [blend[0], month], 'query.invalid', 'Data blending query granularities must match'],
    ['no granularity', [{ measures: ['orders.count'] }], 'query.unsupported', 'Data blending query without granularity is not supported'],
    ['no queries', [], 'query.unsupported', 'Data blending query without granularity is not supported'],
    ['a member that does not exist, in the second', [blend[0], { ...blend[1], measures: ['visits.nothing'] }], 'query.unknown_member', "'nothing' not found for path 'visits.nothing'"],
    ['two comparisons', { ...compare, timeDimensions: [...compare.timeDimensions, { dimension: 'orders.paid_at', compareDateRange: [now] }] }, 'query.invalid', 'compareDateRange can only exist for one timeDimension'],
    ['dateRange and compareDateRange', { ...compare, timeDimensions: created({ dateRange: now, compareDateRange: [now] }) }, 'query.invalid', /"timeDimensions\[0\]" contains a conflict between optional exclusive peers/],
    ['no ranges', { ...compare, timeDimensions: created({ compareDateRange: [] }) }, 'query.invalid', /"timeDimensions\[0\]\.compareDateRange" must contain at least 1 items/],
    ['a range that is no date', { ...compare, timeDimensions: created({ compareDateRange: [now, 'some day'] }) }, 'query.date', "Can't parse date: 'some day'"],
    ['101 ranges', { ...compare, timeDimensions: created({ compareDateRange: Array(101).fill(now) }) }, 'limit.exceeded', /101 ranges, the limit is 100/],
    ['101 queries', Array(101).fill(blend[0]), 'limit.exceeded', /101 queries, the limit is 100/],
    ['a comparison in a blend', [blend[0], compare], 'query.unsupported', /compareDateRange/],
    ['a column that is missing, in the second', [blend[0], { ...blend[0], measures: ['orders.broken'] }], 'engine.sql', /no_such_column/],
  ];
  for (const [what, query, id, text] of failures)
    test(`error: ${what}: ${id}`, async () => {
      const answer = await multi(query);
      assert.deepEqual([answer.status, answer.body.id], [400, id], answer.text);
      if (text instanceof RegExp) assert.match(answer.body.error, text);
      else assert.equal(answer.body.error, text);
      await assert.rejects(api.load(query), (error) => error.message === answer.body.error);
    });

  test('a hundred ranges', async () => {
    const { body } = await multi({ measures: ['orders.count'], timeDimensions: created({ compareDateRange: Array(100).fill(now) }) });
    assert.equal(body.results.length, 100);
    assert.deepEqual(body.results[99].data, body.results[0].data);
  });

  // ---- keys of a request ----
  test('preAggregations and selection: shown when they were given, refused when unknown', async () => {
    const query = { measures: ['orders.count'], preAggregations: 'prefer', selection: 'first' };
    const { query: shown } = await server.result(query);
    assert.deepEqual([shown.preAggregations, shown.selection], ['prefer', 'first']);
    const { query: bare } = await server.result({ measures: ['orders.count'] });
    assert.ok(!('preAggregations' in bare) && !('selection' in bare));
    for (const [key, words] of [['preAggregations', 'prefer, require, forbid'], ['selection', 'first, cheapest']]) {
      const answer = await server.post(load, { query: { ...query, [key]: 'whatever' } });
      assert.deepEqual([answer.status, answer.body.id, answer.body.error], [400, 'query.invalid', `Invalid query format: "${key}" must be one of [${words}]`]);
    }
  });
});

test('wait and poll: a blend whose second query needs a build, and a comparison that does', async (t) => {
  const server = await serve(
    t,
    { ...files, 'model/slow.yml': slowCube('slow', 1500000, '    pre_aggregations:\n      - {name: main, measures: [count, longest], dimensions: [k], time_dimension: at, granularity: day}\n') },
    { env: { GRANARY_HTTP_CONTINUE_WAIT_MS: '30' } },
  );
  const api = cube(undefined, { apiUrl: `${server.url}/cubejs-api/v1`, pollInterval: 0 });
  const stages = [];
  const day = { dimension: 'slow.at', granularity: 'day', dateRange: now };
  const set = await api.load([blend[1], { measures: ['slow.count'], timeDimensions: [day] }], { progressCallback: (progress) => stages.push(progress) });
  assert.ok(stages.length > 0, 'at least one `Continue wait` was seen');
  assert.deepEqual(set.decompose()[1].rawData().map((row) => row['slow.count']), ['16667', '16667', '16667']);
  const again = [];
  const both = await api.load({ measures: ['slow.longest'], timeDimensions: [{ ...day, dateRange: undefined, compareDateRange: [now, ['2024-02-01', '2024-02-02']] }] }, { progressCallback: (progress) => again.push(progress) });
  assert.ok(again.length < stages.length / 2, `what is built is not built again: ${again.length} waits, ${stages.length} at first`);
  assert.deepEqual(both.decompose().map((part) => part.rawData().length), [3, 2]);
});

test('wait and poll: a comparison that is slow at the source goes on without its client', async (t) => {
  const server = await serve(t, { 'model/slow.yml': slowCube('slow', 1500000) }, { env: { GRANARY_HTTP_CONTINUE_WAIT_MS: '50' } });
  const api = cube(undefined, { apiUrl: `${server.url}/cubejs-api/v1`, pollInterval: 0 });
  const stages = [];
  const set = await api.load({ measures: ['slow.longest'], timeDimensions: [{ dimension: 'slow.at', compareDateRange: [['2024-01-01', '2024-02-15'], ['2024-02-16', '2024-12-31']] }] }, { progressCallback: (progress) => stages.push(progress) });
  assert.ok(stages.length > 0, 'at least one `Continue wait` was seen');
  assert.match(set.decompose()[1].rawData()[0]['slow.longest'], /^[0-9a-f]{32}$/);
});
