// /v1/load, /v1/sql, /v1/dry-run and /v1/meta over HTTP: every operator against rows worked out by hand, the forms of the
// answer, and the texts and statuses of errors.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { csv, Server, shared } from './helpers.mjs';

// name, city, amount, rate, paid and at may be NULL.
const items = [
  [1, 'Apple', 'Oslo', 10, 1.5, true, '2024-01-01 00:30:00'],
  [2, 'banana', 'Rome', 20, 2.25, false, '2024-01-01 12:00:00'],
  [3, 'Cherry', null, 30, null, true, '2024-01-02 23:30:00'],
  [4, 'apple pie', 'Oslo', 40, 0.5, null, '2024-02-29 10:00:00'],
  [5, '100%_x\\y', 'Oslo', 50, 3, false, '2024-03-31 01:30:00'],
  [6, null, 'Rome', null, 4, true, null],
];
const files = {
  'data/items.csv': csv(['id', 'name', 'city', 'amount', 'rate', 'paid', 'at'], items),
  'model/items.yml': `cubes:
  - name: items
    sql_table: items
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
      - {name: mean, type: avg, sql: amount}
      - {name: least, type: min, sql: rate}
      - {name: most, type: max, sql: rate}
      - {name: cities, type: count_distinct, sql: city}
      - {name: paid_total, type: sum, sql: amount, filters: [{sql: "{CUBE}.paid"}]}
      - {name: per_item, type: number, sql: "{total} / NULLIF({count}, 0)"}
      - {name: secret_total, type: sum, sql: amount, public: false}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true, public: true}
      - {name: name, sql: name, type: string}
      - {name: city, sql: city, type: string}
      - {name: amount, sql: amount, type: number}
      - {name: rate, sql: rate, type: number}
      - {name: paid, sql: paid, type: boolean}
      - {name: hidden, sql: city, type: string, public: false}
      - name: at
        sql: at
        type: time
        granularities:
          - {name: half_year, interval: 6 months, origin: "2024-01-01"}
      - name: size
        type: string
        case:
          when:
            - {sql: "{CUBE}.amount >= 40", label: large}
            - {sql: "{CUBE}.amount >= 20", label: middle}
          else: {label: small}
    segments:
      - {name: in_oslo, sql: "{CUBE}.city = 'Oslo'"}
      - {name: cheap, sql: "{CUBE}.amount <= 20"}
  - name: ghosts
    sql_table: items
    public: false
    measures:
      - {name: count, type: count}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
`,
};

describe('load', () => {
  const server = shared(files);

  const ids = async (query) =>
    (await server.rows({ dimensions: ['items.id'], order: { 'items.id': 'asc' }, ...query })).map((row) => Number(row['items.id']));
  const f = (member, operator, values) => ({ member: `items.${member}`, operator, ...(values && { values }) });

  // filter -> ids of the rows that pass
  const filters = [
    [f('name', 'equals', ['Apple']), [1]],
    [f('name', 'equals', ['Apple', 'Cherry']), [1, 3]],
    [f('name', 'equals', [null]), [6]],
    [f('name', 'equals', ['Apple', null]), [1, 6]],
    [f('name', 'equals', ["'; DROP TABLE items; --"]), []],
    [f('amount', 'equals', ['10']), [1]],
    [f('amount', 'equals', [10, 20]), [1, 2]],
    [f('rate', 'equals', ['2.250']), [2]],
    [f('paid', 'equals', ['true']), [1, 3, 6]],
    [f('paid', 'equals', [false]), [2, 5]],
    [f('name', 'in', ['Apple']), [1]],
    [f('name', 'in', [null]), [6]],
    [f('city', 'in', ['Rome', null]), [2, 3, 6]],
    [f('city', 'notEquals', ['Oslo']), [2, 3, 6]],
    [f('city', 'notEquals', ['Oslo', 'Rome']), [3]],
    [f('city', 'notEquals', [null]), [1, 2, 4, 5, 6]],
    [f('city', 'notEquals', ['Oslo', null]), [2, 6]],
    [f('city', 'notIn', ['Oslo']), [2, 3, 6]],
    [f('city', 'notIn', ['Oslo', null]), [2, 6]],
    [f('amount', 'notEquals', ['10']), [2, 3, 4, 5, 6]],
    [f('name', 'contains', ['APPLE']), [1, 4]],
    [f('name', 'contains', ['pie', 'ban']), [2, 4]],
    [f('name', 'contains', ['%']), [5]],
    [f('name', 'contains', ['_']), [5]],
    [f('name', 'contains', ['\\']), [5]],
    [f('name', 'contains', ['nan', null]), [2, 6]],
    [f('name', 'notContains', ['apple']), [2, 3, 5, 6]],
    [f('name', 'notContains', ['apple', 'x']), [2, 3, 6]],
    [f('name', 'notContains', ['apple', null]), [2, 3, 5]],
    [f('name', 'startsWith', ['app']), [1, 4]],
    [f('name', 'startsWith', ['1', 'C']), [3, 5]],
    [f('name', 'notStartsWith', ['app']), [2, 3, 5, 6]],
    [f('name', 'endsWith', ['E']), [1, 4]],
    [f('name', 'endsWith', ['y', 'a']), [2, 3, 5]],
    [f('name', 'notEndsWith', ['e']), [2, 3, 5, 6]],
    [f('amount', 'gt', ['20']), [3, 4, 5]],
    [f('amount', 'gt', ['20', '1']), [3, 4, 5]], // only the first value counts
    [f('amount', 'gte', ['20']), [2, 3, 4, 5]],
    [f('amount', 'lt', ['20']), [1]],
    [f('amount', 'lte', [20]), [1, 2]],
    [f('rate', 'gt', ['1e0']), [1, 2, 5, 6]],
    [f('city', 'set'), [1, 2, 4, 5, 6]],
    [f('city', 'notSet'), [3]],
    [f('at', 'set'), [1, 2, 3, 4, 5]],
    [f('at', 'inDateRange', ['2024-01-01', '2024-01-02']), [1, 2, 3]],
    [f('at', 'inDateRange', ['2024-01-01']), [1, 2]],
    [f('at', 'inDateRange', ['2024-01-01T12:00:00.000', '2024-02-29T10:00:00.000']), [2, 3, 4]],
    [f('at', 'notInDateRange', ['2024-01-01', '2024-01-31']), [4, 5]], // a NULL is not outside of anything
    [f('at', 'onTheDate', ['2024-02-29']), [4]],
    [f('at', 'onTheDate', ['2024-01-01T23:00:00']), [1, 2]],
    [f('at', 'beforeDate', ['2024-01-02']), [1, 2]],
    [f('at', 'beforeDate', ['2024-01-01T12:00:00.000']), [1]],
    [f('at', 'beforeOrOnDate', ['2024-01-01T12:00:00.000']), [1, 2]],
    [f('at', 'beforeOrOnDate', ['2024-01-02']), [1, 2]], // a bare date is its midnight
    [f('at', 'afterDate', ['2024-02-29T10:00:00.000']), [5]],
    [f('at', 'afterOrOnDate', ['2024-02-29T10:00:00.000']), [4, 5]],
    [f('at', 'afterOrOnDate', ['2024-02-29']), [4, 5]],
    [{ dimension: 'items.city', operator: 'equals', values: ['Rome'] }, [2, 6]],
    [{ or: [f('city', 'equals', ['Rome']), f('amount', 'equals', ['50'])] }, [2, 5, 6]],
    [{ and: [f('city', 'equals', ['Oslo']), { or: [f('amount', 'lt', ['20']), f('amount', 'gt', ['40'])] }] }, [1, 5]],
    [{ or: [f('at', 'onTheDate', ['2024-01-01']), f('at', 'notSet')] }, [1, 2, 6]],
    [{ and: [] }, [1, 2, 3, 4, 5, 6]],
    [{ or: [{ and: [] }, { or: [] }] }, [1, 2, 3, 4, 5, 6]],
  ];
  for (const [filter, expected] of filters)
    test(`filter ${JSON.stringify(filter)}`, async () => assert.deepEqual(await ids({ filters: [filter] }), expected));

  // filters of measures: cities that pass. Sums: Oslo 100 (3 rows), Rome 20 (2), NULL 30 (1)
  const measureFilters = [
    [f('total', 'gt', ['20']), [null, 'Oslo']],
    [f('total', 'gte', ['20']), [null, 'Oslo', 'Rome']],
    [f('count', 'equals', ['2']), ['Rome']],
    [f('count', 'notEquals', ['2']), [null, 'Oslo']],
    [f('total', 'lt', ['30']), ['Rome']],
    [f('mean', 'lte', ['30']), [null, 'Rome']],
    [f('paid_total', 'set'), [null, 'Oslo']],
    [f('paid_total', 'notSet'), ['Rome']],
    [f('count', 'in', ['1', '3']), [null, 'Oslo']],
    [{ or: [f('count', 'equals', ['2']), f('total', 'gt', ['99'])] }, ['Oslo', 'Rome']],
    [f('per_item', 'gt', ['10']), [null, 'Oslo']],
  ];
  for (const [filter, expected] of measureFilters)
    test(`filter of a measure ${JSON.stringify(filter)}`, async () => {
      const rows = await server.rows({ measures: ['items.count'], dimensions: ['items.city'], filters: [filter] });
      assert.deepEqual(new Set(rows.map((row) => row['items.city'])), new Set(expected));
    });

  test('operators over relative dates', async () => {
    assert.deepEqual(await ids({ filters: [f('at', 'beforeDate', ['today'])] }), [1, 2, 3, 4, 5]);
    assert.deepEqual(await ids({ filters: [f('at', 'afterDate', ['yesterday'])] }), []);
    assert.deepEqual(await ids({ filters: [f('at', 'inDateRange', ['last 3 days'])] }), []);
    assert.deepEqual(await ids({ timeDimensions: [{ dimension: 'items.at', dateRange: 'from 2024-01-01 to 2024-01-02' }] }), [1, 2, 3]);
  });

  test('every measure type', async () => {
    const measures = ['count', 'total', 'mean', 'least', 'most', 'cities', 'paid_total', 'per_item'].map((name) => `items.${name}`);
    assert.deepEqual(await server.rows({ measures }), [
      {
        'items.count': '6',
        'items.total': '150',
        'items.mean': '30',
        'items.least': '0.5',
        'items.most': '4',
        'items.cities': '2',
        'items.paid_total': '40',
        'items.per_item': '25',
      },
    ]);
  });

  test('measures of no rows: 0 for counts, null for the rest', async () => {
    const filters = [f('id', 'equals', ['99'])];
    assert.deepEqual(await server.rows({ measures: ['items.count', 'items.total', 'items.mean', 'items.cities'], filters }), [
      { 'items.count': '0', 'items.total': null, 'items.mean': null, 'items.cities': '0' },
    ]);
    assert.deepEqual(await server.rows({ measures: ['items.count'], dimensions: ['items.city'], filters }), []);
  });

  test('numbers are decimal strings, booleans and nulls are JSON', async () => {
    assert.deepEqual(await server.rows({ dimensions: ['items.id', 'items.rate', 'items.paid', 'items.name'], filters: [f('id', 'gte', ['3'])], order: [['items.id', 'asc']] }), [
      { 'items.id': '3', 'items.rate': null, 'items.paid': true, 'items.name': 'Cherry' },
      { 'items.id': '4', 'items.rate': '0.5', 'items.paid': null, 'items.name': 'apple pie' },
      { 'items.id': '5', 'items.rate': '3', 'items.paid': false, 'items.name': '100%_x\\y' },
      { 'items.id': '6', 'items.rate': '4', 'items.paid': true, 'items.name': null },
    ]);
  });

  test('a plain time dimension keeps its time of day', async () => {
    const rows = await server.rows({ dimensions: ['items.at'], order: { 'items.at': 'asc' }, limit: 1 });
    assert.deepEqual(rows, [{ 'items.at': '2024-01-01T00:30:00.000' }]);
  });

  test('case dimensions and segments', async () => {
    const rows = await server.rows({ measures: ['items.count'], dimensions: ['items.size'], order: { 'items.size': 'asc' } });
    assert.deepEqual(rows.map((row) => [row['items.size'], row['items.count']]), [['large', '2'], ['middle', '2'], ['small', '2']]);
    assert.deepEqual(await ids({ segments: ['items.in_oslo'] }), [1, 4, 5]);
    assert.deepEqual(await ids({ segments: ['items.in_oslo', 'items.cheap'] }), [1]);
  });

  test('ungrouped gives rows', async () => {
    const rows = await server.rows({ measures: ['items.total', 'items.count'], dimensions: ['items.city'], ungrouped: true, filters: [f('city', 'equals', ['Rome'])], order: [['items.total', 'desc']] });
    assert.deepEqual(rows, [
      { 'items.city': 'Rome', 'items.total': '20', 'items.count': '1' },
      { 'items.city': 'Rome', 'items.total': null, 'items.count': '1' },
    ]);
  });

  const month = { measures: ['items.count'], timeDimensions: [{ dimension: 'items.at', granularity: 'month' }] };
  const times = (rows) => rows.map((row) => [row['items.at']?.slice(0, 16) ?? null, row['items.count']]);

  const byZone = [
    ['UTC', [['2024-01-01T00:00', '2'], ['2024-01-02T00:00', '1'], ['2024-02-29T00:00', '1'], ['2024-03-31T00:00', '1']]],
    ['America/New_York', [['2023-12-31T00:00', '1'], ['2024-01-01T00:00', '1'], ['2024-01-02T00:00', '1'], ['2024-02-29T00:00', '1'], ['2024-03-30T00:00', '1']]],
    ['Asia/Kolkata', [['2024-01-01T00:00', '2'], ['2024-01-03T00:00', '1'], ['2024-02-29T00:00', '1'], ['2024-03-31T00:00', '1']]],
    ['europe/berlin', [['2024-01-01T00:00', '2'], ['2024-01-03T00:00', '1'], ['2024-02-29T00:00', '1'], ['2024-03-31T00:00', '1']]],
    ['Pacific/Auckland', [['2024-01-01T00:00', '1'], ['2024-01-02T00:00', '1'], ['2024-01-03T00:00', '1'], ['2024-02-29T00:00', '1'], ['2024-03-31T00:00', '1']]],
  ];
  for (const [timezone, expected] of byZone)
    test(`days in ${timezone}`, async () => {
      const rows = await server.rows({ measures: ['items.count'], timeDimensions: [{ dimension: 'items.at', granularity: 'day' }], filters: [f('at', 'set')], timezone });
      assert.deepEqual(times(rows), expected);
    });

  test('hours around the change to summer time in Berlin', async () => {
    // 01:30 UTC on 2024-03-31 is 03:30 in Berlin: the hour from two to three does not exist there.
    const rows = await server.rows({ measures: ['items.count'], timeDimensions: [{ dimension: 'items.at', granularity: 'hour', dateRange: ['2024-03-31', '2024-03-31'] }], timezone: 'Europe/Berlin' });
    assert.deepEqual(times(rows), [['2024-03-31T03:00', '1']]);
  });

  test('the NULL bucket comes last; a date range leaves it out', async () => {
    assert.deepEqual(times(await server.rows(month)), [['2024-01-01T00:00', '3'], ['2024-02-01T00:00', '1'], ['2024-03-01T00:00', '1'], [null, '1']]);
    const ranged = { ...month, timeDimensions: [{ ...month.timeDimensions[0], dateRange: ['2024-01-01', '2024-02-29'] }] };
    assert.deepEqual(times(await server.rows(ranged)), [['2024-01-01T00:00', '3'], ['2024-02-01T00:00', '1']]);
  });

  test('several granularities at once; the bare key has the smallest', async () => {
    const rows = await server.rows({ measures: ['items.count'], timeDimensions: [{ dimension: 'items.at', granularity: 'month', dateRange: ['2024-02-01', '2024-03-31'] }, { dimension: 'items.at', granularity: 'day' }] });
    assert.deepEqual(rows, [
      { 'items.at.month': '2024-02-01T00:00:00.000', 'items.at.day': '2024-02-29T00:00:00.000', 'items.at': '2024-02-29T00:00:00.000', 'items.count': '1' },
      { 'items.at.month': '2024-03-01T00:00:00.000', 'items.at.day': '2024-03-31T00:00:00.000', 'items.at': '2024-03-31T00:00:00.000', 'items.count': '1' },
    ]);
  });

  test('a dimension of three parts, and a custom granularity', async () => {
    const rows = await server.rows({ measures: ['items.count'], dimensions: ['items.at.quarter'], filters: [f('at', 'set')] });
    assert.deepEqual(rows.map((row) => [row['items.at.quarter'], row['items.count']]), [['2024-01-01T00:00:00.000', '5']]);
    const half = await server.result({ measures: ['items.count'], timeDimensions: [{ dimension: 'items.at', granularity: 'half_year' }], filters: [f('at', 'set')] });
    assert.deepEqual(half.data.map((row) => [row['items.at.half_year'], row['items.count']]), [['2024-01-01T00:00:00.000', '5']]);
    assert.equal(half.annotation.timeDimensions['items.at.half_year'].granularity.interval, '6 months');
  });

  test('order: object, pairs, several, nulls last, default, none', async () => {
    const cities = async (order) => (await server.rows({ measures: ['items.total'], dimensions: ['items.city'], ...(order && { order }) })).map((row) => row['items.city']);
    assert.deepEqual(await cities({ 'items.city': 'asc' }), ['Oslo', 'Rome', null]);
    assert.deepEqual(await cities([['items.city', 'desc']]), ['Rome', 'Oslo', null]);
    assert.deepEqual(await cities(), ['Oslo', null, 'Rome']); // first measure, descending: 100, 30, 20
    assert.deepEqual(await cities({ 'items.name': 'asc', 'items.total': 'asc' }), ['Rome', null, 'Oslo']); // unselected: ignored
    assert.equal((await cities([])).length, 3);
    const { data } = await server.result({ dimensions: ['items.city', 'items.id'], order: [['items.city', 'desc'], ['items.id', 'desc']] });
    assert.deepEqual(data.map((row) => Number(row['items.id'])), [6, 2, 5, 4, 1, 3]);
  });

  test('limit, offset and total', async () => {
    assert.deepEqual(await ids({ limit: 2 }), [1, 2]);
    assert.deepEqual(await ids({ limit: 2, offset: 4 }), [5, 6]);
    assert.deepEqual(await ids({ limit: 0 }), []);
    assert.deepEqual(await ids({ offset: 6 }), []);
    const result = await server.result({ dimensions: ['items.id'], limit: 2, total: true });
    assert.deepEqual([result.data.length, result.total], [2, 6]);
    assert.equal((await server.result({ dimensions: ['items.id'] })).total, null);
    const pages = [];
    for (let offset = 0; offset < 6; offset += 2) pages.push(...(await server.rows({ dimensions: ['items.name', 'items.paid'], order: { 'items.paid': 'asc' }, limit: 2, offset })));
    assert.equal(new Set(pages.map((row) => row['items.name'])).size, 6, 'pages do not overlap, whatever ties there are');
  });

  const compactQuery = { measures: ['items.count'], dimensions: ['items.city'], timeDimensions: [{ dimension: 'items.at', granularity: 'year' }], order: [['items.count', 'desc'], ['items.city', 'asc']], filters: [f('at', 'set')] };
  const members = ['items.city', 'items.at.year', 'items.at', 'items.count'];
  const year = '2024-01-01T00:00:00.000';
  test('responseFormat default, compact and columnar say the same', async () => {
    const dataset = [['Oslo', year, year, '3'], ['Rome', year, year, '1'], [null, year, year, '1']];
    assert.deepEqual((await server.result(compactQuery)).data, dataset.map((row) => Object.fromEntries(row.map((value, i) => [members[i], value]))));
    assert.deepEqual((await server.result({ ...compactQuery, responseFormat: 'compact' })).data, { members, dataset });
    assert.deepEqual((await server.result({ ...compactQuery, responseFormat: 'columnar' })).data, { members, columns: members.map((_, i) => dataset.map((row) => row[i])) });
  });

  test('GET, POST with an object, POST with a text: one answer', async () => {
    const route = '/cubejs-api/v1/load';
    const answers = await Promise.all([
      server.get(route, compactQuery),
      server.post(route, { query: compactQuery }),
      server.post(route, { query: JSON.stringify(compactQuery) }),
    ]);
    for (const answer of answers) {
      assert.equal(answer.status, 200);
      assert.match(answer.headers.get('content-type'), /^application\/json/);
      assert.equal(answer.headers.get('x-granary-served-by'), 'source');
      assert.match(answer.headers.get('x-request-id'), /-span-\d+$/);
      assert.deepEqual(answer.body.data, answers[0].body.data);
    }
    assert.equal(answers[0].body.data.length, 3);
    const named = await server.post(route, { query: compactQuery }, { 'x-request-id': 'mine-span-3' });
    assert.equal(named.headers.get('x-request-id'), 'mine-span-3');
  });

  test('queryType=multi wraps the one result', async () => {
    const { body } = await server.get('/cubejs-api/v1/load?queryType=multi', compactQuery);
    assert.equal(body.queryType, 'regularQuery');
    assert.equal(body.results.length, 1);
    assert.equal(body.slowQuery, false);
    assert.deepEqual(body.pivotQuery.dimensions, ['items.city']);
    assert.deepEqual(body.results[0].data, (await server.result(compactQuery)).data);
  });

  test('the result says what it is: query, annotation, source, time', async () => {
    const before = Date.now();
    const result = await server.result({ measures: ['items.count'], timeDimensions: [{ dimension: 'items.at', granularity: 'day', dateRange: '2024-01-02' }], timezone: 'utc' });
    assert.deepEqual(result.query.timeDimensions, [{ dimension: 'items.at', granularity: 'day', dateRange: ['2024-01-02T00:00:00.000', '2024-01-02T23:59:59.999'] }]);
    assert.deepEqual([result.query.timezone, result.query.queryType, result.query.cacheMode], ['UTC', 'regularQuery', 'stale-if-slow']);
    assert.deepEqual([result.dataSource, result.dbType, result.external, result.slowQuery], ['default', 'duckdb', null, false]);
    assert.equal(result.usedPreAggregations, undefined);
    assert.ok(Date.parse(result.lastRefreshTime) >= before - 1000);
    assert.deepEqual(Object.keys(result.annotation.timeDimensions), ['items.at.day', 'items.at']);
    assert.equal(result.annotation.measures['items.count'].type, 'number');
    assert.deepEqual(result.annotation.timeDimensions['items.at.day'].granularity, { name: 'day', title: 'day', interval: '1 day' });
  });

  test('cache modes and renewQuery are accepted', async () => {
    for (const cache of ['stale-if-slow', 'stale-while-revalidate', 'must-revalidate', 'no-cache']) {
      assert.equal((await server.result({ measures: ['items.count'], cache })).query.cacheMode, cache);
      assert.equal((await server.post('/cubejs-api/v1/load', { query: { measures: ['items.count'] }, cache })).status, 200);
    }
    assert.equal((await server.result({ measures: ['items.count'], renewQuery: true })).query.cacheMode, 'must-revalidate');
    assert.equal((await server.post('/cubejs-api/v1/load', { query: { measures: ['items.count'] }, cache: 'never' })).body.id, 'query.invalid');
  });

  test('?explain=1 adds what serves and why nothing else does', async () => {
    const { explain } = await server.result({ measures: ['items.count'] }, '?explain=1');
    assert.deepEqual([explain.pre_aggregations, explain.source, explain.refusals], [[], 'default', []]);
  });

  test('sql and dry-run', async () => {
    const query = { measures: ['items.count'], filters: [f('name', 'contains', ['x"y'])] };
    for (const answer of [await server.get('/cubejs-api/v1/sql', query), await server.post('/cubejs-api/v1/sql', { query })]) {
      assert.equal(answer.status, 200, answer.text);
      const [text, params] = answer.body.sql.sql;
      assert.match(text, /\$1/);
      assert.ok(!text.includes('x"y'));
      assert.equal(params.length, 1);
      assert.match(params[0], /x"y/);
      assert.deepEqual(Object.values(answer.body.sql.aliasNameToMember), ['items.count']);
    }
    const { body } = await server.post('/cubejs-api/v1/dry-run', { query: { ...query, order: [['items.count', 'asc']] } });
    assert.equal(body.queryType, 'regularQuery');
    assert.deepEqual(body.queryOrder, [{ 'items.count': 'asc' }]);
    assert.equal(body.normalizedQueries.length, 1);
    assert.deepEqual(body.transformedQueries[0].measures, ['items.count']);
    assert.deepEqual(body.pivotQuery, body.normalizedQueries[0]);
  });

  test('meta leaves out what is hidden and shows no SQL unless asked', async () => {
    const { body, text } = await server.fetch('/cubejs-api/v1/meta');
    assert.deepEqual(body.cubes.map((cube) => cube.name), ['items']);
    const [cube] = body.cubes;
    assert.ok(!cube.measures.some((m) => m.name === 'items.secret_total'));
    assert.ok(!cube.dimensions.some((d) => d.name === 'items.hidden'));
    assert.deepEqual(cube.measures.map((m) => m.aggType), ['count', 'sum', 'avg', 'min', 'max', 'countDistinct', 'sum', 'number']);
    assert.deepEqual(cube.dimensions.find((d) => d.name === 'items.at').granularities.map((g) => [g.name, g.interval]), [['half_year', '6 months']]);
    assert.ok(!text.includes('NULLIF'));
    const extended = await server.fetch('/cubejs-api/v1/meta?extended');
    assert.ok(extended.text.includes('NULLIF'));
    assert.deepEqual((await server.fetch('/cubejs-api/v1/meta?onlyViews=true')).body.cubes, []);
  });

  // ---- errors -----------------------------------------------------------------------------------------------------
  const hidden = (member) =>
    `You requested hidden member: '${member}'. Please make it visible using \`public: true\`. Please note primaryKey fields are \`public: false\` by default: https://cube.dev/docs/schema/reference/joins#setting-a-primary-key.`;
  const errors = [
    ['an unknown measure', { measures: ['items.cuont'] }, 400, 'query.unknown_member', "'cuont' not found for path 'items.cuont'"],
    ['an unknown cube', { measures: ['itms.count'] }, 400, 'query.unknown_member', "Cube 'itms' not found for path 'itms.count'"],
    ['an unknown dimension', { dimensions: ['items.x'] }, 400, 'query.unknown_member', "'x' not found for path 'items.x'"],
    ['an unknown member of a filter', { measures: ['items.count'], filters: [f('x', 'set')] }, 400, 'query.unknown_member', "'x' not found for path 'items.x'"],
    ['an unknown segment', { measures: ['items.count'], segments: ['items.x'] }, 400, 'query.unknown_member', "'x' not found for path 'items.x'"],
    ['a hidden measure', { measures: ['items.secret_total'] }, 400, 'query.hidden_member', hidden('items.secret_total')],
    ['a hidden dimension', { dimensions: ['items.hidden'] }, 400, 'query.hidden_member', hidden('items.hidden')],
    ['a member of a hidden cube', { measures: ['ghosts.count'] }, 400, 'query.hidden_member', hidden('ghosts.count')],
    ['nothing asked', {}, 400, 'query.invalid', 'Query should contain either measures, dimensions or timeDimensions with granularities in order to be valid'],
    ['a time dimension without granularity alone', { timeDimensions: [{ dimension: 'items.at' }] }, 400, 'query.invalid', 'Query should contain either measures, dimensions or timeDimensions with granularities in order to be valid'],
    ['an unknown key', { measures: ['items.count'], foo: 1 }, 400, 'query.invalid', 'Invalid query format: "foo" is not allowed'],
    ['a limit over the maximum', { measures: ['items.count'], limit: 50001 }, 500, 'query.limit', 'Error: The query limit has been exceeded.'],
    ['a limit that is a text', { measures: ['items.count'], limit: '10' }, 400, 'query.invalid', 'Invalid query format: "limit" must be a number'],
    ['an operator that does not exist', { measures: ['items.count'], filters: [f('city', 'like', ['x'])] }, 400, 'query.operator', 'Operator like not supported for filter: {"member":"items.city","operator":"like","values":["x"]}'],
    ['an operator of texts on a number', { measures: ['items.count'], filters: [f('amount', 'contains', ['1'])] }, 400, 'query.operator', /contains/],
    ['a value that is no number', { measures: ['items.count'], filters: [f('amount', 'gt', ['many'])] }, 400, 'query.operator', /'many' of items\.amount is not a number/],
    ['values that are missing', { measures: ['items.count'], filters: [f('city', 'equals', [])] }, 400, 'query.operator', 'Values required for filter: {"member":"items.city","operator":"equals","values":[]}'],
    ['a dimension and a measure in one group', { measures: ['items.count'], filters: [{ or: [f('city', 'set'), f('count', 'gt', ['1'])] }] }, 400, 'query.invalid', /^You cannot use dimension and measure in same condition: /],
    ['a zone that does not exist', { measures: ['items.count'], timezone: 'Mars/Olympus' }, 400, 'query.timezone', /Mars\/Olympus/],
    ['an offset for a zone', { measures: ['items.count'], timezone: '+05:00' }, 400, 'query.timezone', /\+05:00/],
    ['a date that cannot be parsed', { measures: ['items.count'], timeDimensions: [{ dimension: 'items.at', dateRange: 'the day after' }] }, 400, 'query.date', "Can't parse date: 'the day after'"],
    ['an unknown granularity', { timeDimensions: [{ dimension: 'items.at', granularity: 'fortnight' }] }, 400, 'query.granularity', 'Granularity "fortnight" does not exist in dimension items.at'],
    ['a granularity of a text', { dimensions: ['items.city.day'] }, 400, 'query.granularity', /items\.city/],
    ['an array of queries', [{ measures: ['items.count'] }], 400, 'query.unsupported', /blending/i],
    ['ungrouped that is no boolean', { measures: ['items.count'], dimensions: ['items.id'], ungrouped: 'yes' }, 400, 'query.invalid', 'Invalid query format: "ungrouped" must be a boolean'],
  ];
  for (const [what, query, status, id, text] of errors)
    test(`error: ${what}: ${status} ${id}`, async () => {
      for (const answer of [await server.post('/cubejs-api/v1/load', { query }), await server.get('/cubejs-api/v1/load', query), await server.post('/cubejs-api/v1/sql', { query })]) {
        assert.deepEqual([answer.status, answer.body?.id], [status, id], answer.text);
        if (text instanceof RegExp) assert.match(answer.body.error, text);
        else assert.equal(answer.body.error, text);
        if (status === 400) assert.equal(answer.body.type, 'UserError');
      }
    });

  test('a misspelt member gets a hint', async () => {
    const { body } = await server.post('/cubejs-api/v1/load', { query: { measures: ['items.cuont'] } });
    assert.match(body.hint, /count/);
  });

  test('requests without a query', async () => {
    for (const answer of [await server.fetch('/cubejs-api/v1/load'), await server.post('/cubejs-api/v1/load', {}), await server.post('/cubejs-api/v1/load', ''), await server.fetch('/cubejs-api/v1/load?query=')])
      assert.deepEqual([answer.status, answer.body.error, answer.body.id], [400, 'Query param is required', 'query.invalid']);
    const broken = await server.fetch('/cubejs-api/v1/load?query=%7B%22measures');
    assert.equal(broken.status, 400);
    assert.equal(broken.body.id, 'json.syntax');
    assert.match(broken.body.error, /^Unable to decode query param as JSON, error: /);
  });

  test('routes and methods', async () => {
    const missing = await server.fetch('/cubejs-api/v1/nothing');
    assert.deepEqual([missing.status, missing.body.id], [404, 'http.not_found']);
    const wrong = await server.fetch('/cubejs-api/v1/load', { method: 'DELETE' });
    assert.deepEqual([wrong.status, wrong.body.id], [405, 'http.method']);
    assert.match(wrong.headers.get('allow'), /GET/);
    for (const route of ['/livez', '/readyz', '/cubejs-api/livez', '/cubejs-api/readyz']) {
      const { status, body } = await server.fetch(route);
      assert.deepEqual([status, body], [200, { health: 'HEALTH' }]);
    }
    assert.equal(Server.served(await server.result({ measures: ['items.count'] })).length, 0);
  });

  test('CORS: a preflight and an answer', async () => {
    const origin = 'http://app.example';
    const preflight = await server.fetch('/cubejs-api/v1/load', { method: 'OPTIONS', headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' } });
    assert.equal(preflight.status, 204);
    assert.equal(preflight.headers.get('access-control-allow-origin'), '*');
    assert.match(preflight.headers.get('access-control-allow-methods'), /POST/);
    assert.match(preflight.headers.get('access-control-allow-headers'), /authorization/i);
    assert.equal((await server.get('/cubejs-api/v1/meta', undefined, { origin })).headers.get('access-control-allow-origin'), '*');
  });
});
