// Pre-aggregations that are not plain rollups: original_sql, rollups that are built from it, joins of rollups; and sketches of
// distinct values, which are merged.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ask, check, filter, filters, is, leaf, table } from './answers.mjs';
import { csv, Server, shared } from './helpers.mjs';

describe('original_sql', () => {
  const cube = (name, rollups) => `  - name: ${name}
    sql: "SELECT *, amount * 2 AS twice FROM raw WHERE amount IS NOT NULL"
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: twice}
      - {name: mean, type: avg, sql: twice}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: kind, sql: kind, type: string}
      - {name: at, sql: at, type: time}
    pre_aggregations:
${rollups.map((one) => `      - {${one}}\n`).join('')}`;
  const server = shared({
    'data/raw.csv': csv(['id', 'kind', 'amount', 'at'], [[1, 'a', 10, '2024-01-01 05:00:00'], [2, 'a', 20, '2024-01-31 23:00:00'], [3, 'b', 30, '2024-02-01 00:00:00'], [4, 'b', null, '2024-02-02 00:00:00'], [5, null, 50, '2024-02-29 12:00:00']]),
    'model/model.yml': `cubes:
${cube('plain', ['name: base, type: original_sql', 'name: main, measures: [count], dimensions: [kind]'])}
${cube('last', ['name: main, measures: [count], dimensions: [kind]', 'name: base, type: original_sql'])}
${cube('chained', ['name: base, type: original_sql, build: explicit', 'name: main, measures: [count, total], dimensions: [kind], time_dimension: at, granularity: day, use_original_sql_pre_aggregations: true'])}
${cube('beside', ['name: base, type: original_sql, external: true', 'name: main, measures: [count, total], dimensions: [kind], use_original_sql_pre_aggregations: true'])}
`,
  });
  const same = table(server);
  const byKind = [['a', 2, 60], ['b', 1, 60], [null, 1, 100]];
  same('a rollup goes first', ask('plain.count', 'plain.kind'), byKind.map((row) => row.slice(0, 2)), 'plain.main');
  same('a rollup goes first, wherever it stands', ask('last.count', 'last.kind'), byKind.map((row) => row.slice(0, 2)), 'last.main');
  for (const name of ['plain', 'last']) {
    same(`${name}: what no rollup serves`, ask(`${name}.count ${name}.total`, `${name}.kind`), byKind, [`${name}.base`, 'source']);
    same(`${name}: by month, filtered`, ask(`${name}.mean`, `${name}.at.month`, filter(`${name}.kind`, 'set')), [['2024-01-01', 30], ['2024-02-01', 60]], [`${name}.base`, 'source']);
    same(`${name}: rows`, { ...ask(`${name}.total`, `${name}.kind`), ungrouped: true }, [['a', 20], ['a', 40], ['b', 60], [null, 100]], [`${name}.base`, 'source']);
    same(`${name}: a ragged range`, ask(`${name}.count`, '', { ranges: { [`${name}.at`]: ['2024-01-01T06:00:00', '2024-02-10'] } }), [[2]], [`${name}.base`, 'source']);
  }
  same('a rollup built from it', ask('chained.count chained.total', 'chained.kind'), byKind, 'chained.main');
  same('a rollup built from it, outside of the source', ask('beside.count beside.total', 'beside.kind'), byKind, 'beside.main');
});

// ---- joins of rollups: cases 34 and 35 ------------------------------------------------------------------------------------

describe('rollup_join', () => {
  const server = shared({
    'data/visitors.csv': csv(['id', 'source', 'created_at'], [[1, 'some', '2017-01-02'], [2, 'some', '2017-01-04'], [3, 'google', '2017-01-05'], [4, null, '2017-01-06'], [5, null, '2017-02-06']]),
    'data/checkins.csv': csv(['id', 'visitor_id', 'created_at', 'stay'], [[1, 1, '2017-01-03', 10], [2, 1, '2017-01-04', 20], [3, 1, '2017-01-05', 30], [4, 2, '2017-01-05', 40], [5, 2, '2017-02-05', null], [6, 3, '2017-01-06', 60]]),
    'data/cards.csv': csv(['visitor_id', 'color'], [[1, 'red'], [3, 'blue'], [4, 'red']]),
    'model/model.yml': `cubes:
  - name: visitors
    sql_table: visitors
    joins:
      - {name: vc, relationship: one_to_many, sql: "{CUBE.id} = {vc.visitor_id}"}
      - {name: cards, relationship: one_to_one, sql: "{CUBE.id} = {cards.visitor_id}"}
    measures:
      - {name: count, type: count}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true, public: true}
      - {name: source, sql: source, type: string}
      - {name: created_at, sql: created_at, type: time}
    pre_aggregations:
      - {name: for_join, dimensions: [id, source]}
      - {name: joined, type: rollup_join, measures: [vc.count, vc.stays, vc.mean, vc.longest], dimensions: [source], rollups: [for_join, vc.for_join]}
      - {name: three, type: rollup_join, measures: [vc.count], dimensions: [source, cards.visitor_id, cards.color], rollups: [for_join, vc.for_join, cards.for_join]}
      - {name: by_day, type: rollup_join, measures: [vc.count], dimensions: [source], time_dimension: vc.created_at, granularity: day, rollups: [for_join, vc.by_day]}
  - name: vc
    sql_table: checkins
    measures:
      - {name: count, type: count}
      - {name: stays, type: sum, sql: stay}
      - {name: mean, type: avg, sql: stay}
      - {name: longest, type: max, sql: stay}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: visitor_id, sql: visitor_id, type: number}
      - {name: created_at, sql: created_at, type: time}
    pre_aggregations:
      - {name: for_join, measures: [count, stays, mean, longest], dimensions: [visitor_id]}
      - {name: by_day, measures: [count], dimensions: [visitor_id], time_dimension: created_at, granularity: day}
  - name: cards
    sql_table: cards
    measures:
      - {name: count, type: count}
    dimensions:
      - {name: visitor_id, sql: visitor_id, type: number, primary_key: true, public: true}
      - {name: color, sql: color, type: string}
    pre_aggregations:
      - {name: for_join, dimensions: [visitor_id, color]}
`,
  });
  const same = table(server);
  same('34: by source', ask('vc.count', 'visitors.source'), [['some', 5], ['google', 1], [null, 0]], 'visitors.joined');
  same('34: sums, averages, extremes', ask('vc.stays vc.mean vc.longest', 'visitors.source'), [['some', 100, 25, 40], ['google', 60, 60, 60], [null, null, null, null]], 'visitors.joined');
  same('34: filtered', ask('vc.count', '', filters(is('visitors.source', 'some'))), [[5]], 'visitors.joined');
  same('34: filtered by a measure', ask('vc.count', 'visitors.source', filter('vc.count', 'gt', '0')), [['some', 5], ['google', 1]], 'visitors.joined');
  same('34: in order', ask('vc.count', 'visitors.source', { order: [['vc.count', 'desc']], limit: 1 }), [['some', 5]], 'visitors.joined', { ordered: true });
  same('35: three cubes', ask('vc.count', 'visitors.source cards.visitor_id'), [['google', 3, 1], ['some', 1, 3], ['some', null, 2], [null, 4, 0], [null, null, 0]], 'visitors.three');
  same('35: by color', ask('vc.count', 'cards.color', filter('visitors.source', 'notEquals', 'other')), [['red', 3], ['blue', 1], [null, 2]], 'visitors.three');
  same('by month', ask('vc.count', 'visitors.source vc.created_at.month'), [['some', '2017-01-01', 4], ['some', '2017-02-01', 1], ['google', '2017-01-01', 1], [null, null, 0]], 'visitors.by_day');
  same('in a range', ask('vc.count', 'visitors.source', { ranges: { 'vc.created_at': ['2017-01-04', '2017-01-31'] } }), [['some', 3], ['google', 1]], 'visitors.by_day');
  same('what no part stores', ask('vc.count', 'visitors.created_at.month'), [['2017-01-01', 6], ['2017-02-01', 0]], 'match.time_dimension_missing');
});

// ---- sketches -----------------------------------------------------------------------------------------------------------

describe('count_distinct_approx', () => {
  const visits = Array.from({ length: 9000 }, (_, i) => [i + 1, `user-${(i * 7919) % 3000}`, (i * 31) % 1000, 'abc'[i % 3], new Date(Date.UTC(2024, 0, 1) + i * 11 * 60000).toISOString().slice(0, 19).replace('T', ' ')]);
  const measures = `    measures:
      - {name: names, type: count_distinct_approx, sql: name}
      - {name: precise, type: count_distinct_approx, sql: name, precision: 14}
      - {name: numbers, type: count_distinct_approx, sql: number}
      - {name: exact, type: count_distinct, sql: name}
      - {name: per_name, type: number, sql: "{count} * 1.0 / {names}"}
      - {name: count, type: count}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: kind, sql: kind, type: string}
      - {name: at, sql: at, type: time}
`;
  const server = shared({
    'data/visits.csv': csv(['id', 'name', 'number', 'kind', 'at'], visits),
    'data/few.csv': csv(['id', 'name', 'number', 'kind', 'at'], [[1, 'x', 1, 'a', '2024-01-01'], [2, 'x', 2, 'a', '2024-01-02'], [3, 'y', 1, 'b', '2024-01-03'], [4, null, null, 'b', '2024-01-04'], [5, null, null, 'c', '2024-02-05']]),
    'model/model.yml': `cubes:
  - name: visits
    sql_table: visits
${measures}    pre_aggregations:
      - {name: main, measures: [names, precise, numbers, exact, count], dimensions: [kind], time_dimension: at, granularity: day}
  - name: few
    sql_table: few
${measures}    pre_aggregations:
      - {name: main, measures: [names, numbers, count], dimensions: [kind], time_dimension: at, granularity: day}
`,
  });
  const same = table(server);
  same('few values are counted exactly', ask('few.names few.numbers', 'few.kind'), [['a', 1, 2], ['b', 1, 1], ['c', 0, 0]], 'few.main');
  same('few values in all', ask('few.names few.numbers'), [[2, 2]], 'few.main');
  same('few values by month', ask('few.names few.numbers', 'few.at.month'), [['2024-01-01', 2, 2], ['2024-02-01', 0, 0]], 'few.main');
  same('no rows', ask('few.names', '', filter('few.kind', 'equals', 'z')), [[0]], 'few.main');
  same('in a calculation', ask('few.per_name', 'few.kind', filter('few.kind', 'notEquals', 'c')), [['a', 2], ['b', 2]], 'few.main');
  same('in a ragged range', ask('few.names few.numbers', '', { ranges: { 'few.at': ['2024-01-02', '2024-01-03T12:00:00'] } }), [[2, 2]], ['few.main', 'source']);

  // Merged from a rollup and made from the rows, the estimate is one and the same, and near to the truth.
  for (const groups of ['', 'visits.kind', 'visits.at.month', 'visits.kind visits.at.day'])
    test(`estimates by ${groups || 'nothing'}`, async () => {
      const query = ask('visits.names visits.precise visits.numbers', groups);
      const source = await server.rows({ ...query, preAggregations: 'forbid' });
      const result = await server.result(query);
      assert.deepEqual(Server.served(result), ['visits.main']);
      assert.deepEqual(result.data, source);
      const truth = await server.rows(ask('visits.exact', groups, { preAggregations: 'forbid' }));
      const key = (row) => JSON.stringify(Object.entries(row).filter(([name]) => !/names|precise|numbers|exact/.test(name)));
      const exact = new Map(truth.map((row) => [key(row), Number(row['visits.exact'])]));
      assert.equal(source.length, truth.length);
      for (const row of source) {
        const n = exact.get(key(row));
        assert.ok(Math.abs(row['visits.names'] - n) <= 0.08 * n, `${row['visits.names']} for ${n}`);
        assert.ok(Math.abs(row['visits.precise'] - n) <= 0.03 * n, `${row['visits.precise']} for ${n}`);
      }
    });
  test('a filter of an estimate', async () => {
    const query = ask('visits.names', 'visits.at.month', filters(leaf('visits.names', 'gt', '2000')));
    assert.deepEqual(await server.rows(query), await server.rows({ ...query, preAggregations: 'forbid' }));
  });
  test('exact and estimated in one answer', () => check(server, ask('few.names few.exact', 'few.kind'), [['a', 1, 1], ['b', 1, 1], ['c', 0, 0]], 'match.measure_missing'));
});

describe('a rollup of nothing', () => {
  const server = shared({
    'data/raw.csv': csv(['id', 'kind', 'amount'], [[1, 'a', 10], [2, 'b', 20]]),
    'model/model.yml': `cubes:
  - name: raw
    sql_table: raw
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: kind, sql: kind, type: string}
    pre_aggregations:
      - {name: none, measures: [count, total], filters: [{member: kind, operator: equals, values: [z]}]}
`,
  });
  table(server)('one row, also when no row passes its filters', ask('raw.count raw.total', '', filter('raw.kind', 'equals', 'z')), [[0, null]], 'raw.none');
});
