// count_distinct_approx of data in ClickHouse: states of its own (uniqCombined), merged where they are kept, and the same
// number whatever keeps them.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import { Server, serve, shared } from './helpers.mjs';
import { ClickHouse } from './clickhouse.mjs';
import { Postgres } from './postgres.mjs';

const house = new ClickHouse();
const cluster = new ClickHouse(2);
const pg = new Postgres();
after(() => (house.close(), cluster.close(), pg.close()));

const rows = 120000;
if (!house.missing) {
  await house.sql('CREATE DATABASE web');
  await house.sql(`CREATE TABLE web.visits ENGINE = MergeTree ORDER BY id AS SELECT toInt64(number) AS id, if(number % 11 = 0, CAST(NULL AS Nullable(Int64)), toInt64(intHash32(number) % 20000) - 9000) AS user_id,
    concat('p', toString(intHash32(number + 5) % 3000)) AS page, CAST(arrayElement(['DE', 'US', 'FR', 'IT'], number % 4 + 1) AS Nullable(String)) AS country, toDecimal64(intHash32(number) % 700, 2) AS price, toDateTime('2024-01-01 00:00:00', 'UTC') + intDiv(number * 86400 * 90, ${rows}) AS at FROM numbers(${rows})`);
  await house.sql(`CREATE TABLE web.clicks ENGINE = MergeTree ORDER BY id AS SELECT toInt64(number) AS id, toInt64(intHash32(number) % ${rows}) AS visit_id, concat('b', toString(intHash32(number) % 900)) AS button FROM numbers(40000)`);
}
const hasHll = !pg.missing && pg.has('hll');
if (hasHll) {
  pg.sql('CREATE DATABASE sketched');
  Object.assign(Object.create(Postgres.prototype), { connection: pg.connection.replace('dbname=postgres', 'dbname=sketched') }).sql('CREATE EXTENSION hll');
}

const source = house.config?.replace('}', ', database: web}');
const model = (preaggs, table = 'visits') => `cubes:
  - name: visits
    sql_table: ${table}
    joins:
      - {name: clicks, sql: "{CUBE}.id = {clicks.visit_id}", relationship: one_to_many}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true, public: true}
      - {name: user_id, sql: user_id, type: number}
      - {name: page, sql: page, type: string}
      - {name: country, sql: country, type: string}
      - {name: at, sql: at, type: time}
    measures:
      - {name: count, type: count}
      - {name: users, sql: user_id, type: count_distinct_approx}
      - {name: precise, sql: user_id, type: count_distinct_approx, precision: 14}
      - {name: pages, sql: page, type: count_distinct_approx}
      - {name: prices, sql: price, type: count_distinct_approx}
      - {name: odd_users, sql: user_id, type: count_distinct_approx, filters: [{sql: "{CUBE}.user_id % 2 = 1"}]}
      - {name: each, sql: "1.0 * {count} / {users}", type: number}
      - {name: lately, sql: user_id, type: count_distinct_approx, rolling_window: {trailing: 7 day}}
      - {name: spread, sql: "var_pop({CUBE}.id)", type: number}
    pre_aggregations:
${preaggs.map((p) => `      - ${p}`).join('\n')}
  - name: clicks
    sql_table: clicks
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: visit_id, sql: visit_id, type: number}
      - {name: button, sql: button, type: string}
    measures:
      - {name: buttons, sql: button, type: count_distinct_approx}
`;
const files = (preaggs, storage = '', more = '') => ({
  'granary.yml': `data_sources:\n  default: ${source}\n${more}model: model\nstorage: {source_schema: pre${storage}}\ncache: {max_bytes: 0}\n`,
  'model/web.yml': model(preaggs),
});
const names = ['users', 'precise', 'pages', 'prices', 'odd_users', 'each'].map((m) => `visits.${m}`);
const stored = 'measures: [count, users, precise, pages, prices, odd_users, lately], dimensions: [country], time_dimension: at, granularity: day';
const day = (...dateRange) => [{ dimension: 'visits.at', granularity: 'day', dateRange }];
const queries = {
  'over everything': { measures: names },
  'by group': { measures: names, dimensions: ['visits.country'] },
  'by month': { measures: names, timeDimensions: [{ dimension: 'visits.at', granularity: 'month' }] },
  'of a range': { measures: names, dimensions: ['visits.country'], timeDimensions: [{ dimension: 'visits.at', dateRange: ['2024-02-03', '2024-03-10'] }] },
  'of no rows': { measures: names, filters: [{ member: 'visits.country', operator: 'equals', values: ['nowhere'] }] },
  'by day in a window': { measures: ['visits.lately', 'visits.users'], timeDimensions: day('2024-01-20', '2024-01-30') },
  'filtered by it': { measures: ['visits.users'], dimensions: ['visits.country'], filters: [{ member: 'visits.users', operator: 'gt', values: ['12000'] }] },
};
const ordered = (query) => ({ ...query, order: Object.fromEntries([...(query.dimensions ?? []).map((d) => [d, 'asc']), ...(query.timeDimensions?.[0].granularity ? [['visits.at', 'asc']] : [])]) });

describe('the same number, whatever keeps them', { skip: house.missing }, () => {
  const partitioned = `{name: main, ${stored}, partition_granularity: month}`;
  const servers = {
    'the source': [shared(files(['{name: none, measures: [count], dimensions: [id]}'])), []],
    'the store': [shared(files([`{name: main, ${stored}}`])), ['visits.main']],
    'tables beside the data': [shared(files([`{name: main, external: false, ${stored}, partition_granularity: month}`])), ['visits.main']],
    'shards of another ClickHouse': [shared(files([partitioned], ', store: shards', `  shards: ${cluster.config}\n`)), ['visits.main']],
    'raw values in the store': [shared(files(['{name: main, measures: [count], dimensions: [country, user_id, page], time_dimension: at, granularity: day}'])), []],
  };
  if (!pg.missing) servers['PostgreSQL without the extension'] = [shared(files([partitioned], ', store: pg', `  pg: ${pg.config}\n`)), ['visits.main']];
  if (hasHll) servers['PostgreSQL with the extension'] = [shared(files([partitioned], ', store: pg', `  pg: ${pg.config.replace('database: postgres', 'database: sketched')}\n`)), ['visits.main']];
  const wanted = {};
  for (const [where, [server, served]] of Object.entries(servers))
    describe(where, () => {
      for (const [what, query] of Object.entries(queries))
        test(what, async () => {
          const result = await server.result(ordered(query));
          if (where !== 'raw values in the store') assert.deepEqual(Server.served(result), served);
          wanted[what] ??= result.data;
          assert.deepEqual(result.data, wanted[what]);
          if (what !== 'of no rows') assert.ok(result.data.length >= 1);
        });
    });
  test('values that a rollup keeps are counted as the source counts them', async () => {
    const [server] = servers['raw values in the store'];
    for (const query of [{ measures: ['visits.users', 'visits.pages', 'visits.precise'], dimensions: ['visits.country'] }, { measures: ['visits.users', 'visits.pages'] }]) {
      const result = await server.result(ordered(query));
      assert.deepEqual(Server.served(result), ['visits.main']);
      assert.deepEqual(result.data, (await servers['the source'][0].result(ordered(query))).data);
    }
  });
  test('it is near the exact one', async () => {
    const [server] = servers['the source'];
    const [row] = await server.rows({ measures: names });
    const [exact] = await house.sql('SELECT uniqExact(user_id), uniqExact(page), uniqExact(price), uniqExact(if(user_id % 2 = 1, user_id, NULL)) FROM web.visits');
    const errors = { users: [exact[0], 0.065], precise: [exact[0], 0.033], pages: [exact[1], 0.065], prices: [exact[2], 0.065], odd_users: [exact[3], 0.065] };
    for (const [name, [value, most]] of Object.entries(errors)) assert.ok(Math.abs(row[`visits.${name}`] / value - 1) < most, `${name}: ${row[`visits.${name}`]} of ${value}`);
  });
  test('rows that joins repeat are counted once', async () => {
    const answers = [];
    for (const where of ['the source', 'the store', 'tables beside the data']) answers.push(await servers[where][0].rows({ measures: ['visits.users', 'clicks.buttons'], dimensions: ['visits.country'], order: { 'visits.country': 'asc' } }));
    const exact = await house.sql('SELECT country, uniqExact(user_id), uniqExact(button) FROM (SELECT id, user_id, country FROM web.visits) ALL LEFT JOIN (SELECT visit_id AS id, button FROM web.clicks) USING id GROUP BY country ORDER BY country');
    for (const data of answers) {
      assert.deepEqual(data, answers[0]);
      data.forEach((row, i) => {
        assert.equal(row['visits.country'], exact[i]?.[0] ?? null);
        assert.ok(Math.abs(row['visits.users'] / exact[i][1] - 1) < 0.065 && Math.abs(row['clicks.buttons'] / exact[i][2] - 1) < 0.065, JSON.stringify([row, exact[i]]));
      });
    }
  });
  test('in ClickHouse they are its own states, which it merges itself', async () => {
    const columns = async (server, node, table) => Object.fromEntries(await server.sql(`SELECT name, any(type) FROM system.columns WHERE database = 'pre' AND type LIKE 'Aggregate%' AND table LIKE '${table}' GROUP BY name`, node));
    const types = { visits__users: 'AggregateFunction(uniqCombined(12), UInt64)', visits__precise: 'AggregateFunction(uniqCombined(14), UInt64)', visits__pages: 'AggregateFunction(uniqCombined(12), UInt64)', visits__prices: 'AggregateFunction(uniqCombined(12), UInt64)', visits__odd_users: 'AggregateFunction(uniqCombined(12), UInt64)' };
    assert.deepEqual(await columns(house, 0, '%'), types);
    for (const node of [0, 1]) assert.deepEqual(await columns(cluster, node, '%\\_l'), types);
    const [[table]] = await house.sql("SELECT table FROM system.columns WHERE database = 'pre' AND name = 'visits__users' ORDER BY table LIMIT 1");
    const [[merged, first, last]] = await house.sql(`SELECT uniqCombinedMerge(12)(visits__users), toDate(min(visits__at_day)), toDate(max(visits__at_day)) FROM pre.\`${table}\``);
    const [[exact]] = await house.sql(`SELECT uniqExact(user_id) FROM web.visits WHERE toDate(at) BETWEEN toDate('${first}') AND toDate('${last}')`);
    assert.ok(Math.abs(merged / exact - 1) < 0.065, `${merged} of ${exact}`);
  });
});

describe('what is asked of the server', { skip: house.missing }, () => {
  const fetches = async (server, query) => (await server.explain(query)).fetches.map((fetch) => fetch.sql);
  test('are states, and never the distinct values', async (t) => {
    const server = await serve(t, { ...files([`{name: main, external: false, ${stored}}`]), 'granary.yml': files([])['granary.yml'].replace('source_schema: pre', 'source_schema: pre_asked') });
    const query = { measures: ['visits.users', 'visits.pages'], dimensions: ['visits.country'] };
    await server.result(query);
    const [stored_] = await fetches(server, query), [source_, more] = await fetches(server, { ...query, preAggregations: 'forbid' });
    assert.match(stored_, /uniqCombinedMergeState\(12\)\("main"\."visits__users"\).*GROUP BY/);
    assert.match(source_, /uniqCombinedStateIf\(12\)\(assumeNotNull\(toUInt64\(toInt64\(.*user_id\)\)\).*uniqCombinedStateIf\(12\)\(assumeNotNull\(reinterpretAsUInt64\(substring\(murmurHash3_128\(.*GROUP BY/);
    assert.equal(more, undefined);
    assert.doesNotMatch(source_, /DISTINCT/);
    const { body } = await server.get('/preaggs');
    const details = body.items.find((item) => item.name === 'visits.main').measures.map((m) => [m.name, m.sketch]).filter(([, sketch]) => sketch);
    assert.deepEqual(details.map(([name, { family, log2m, relative_error }]) => [name, family, log2m, relative_error]).sort(), [['visits__odd_users', 'uniqCombined', 12, 0.01625], ['visits__pages', 'uniqCombined', 12, 0.01625], ['visits__precise', 'uniqCombined', 14, 0.00812], ['visits__prices', 'uniqCombined', 12, 0.01625], ['visits__users', 'uniqCombined', 12, 0.01625]]);
  });
  test('PostgreSQL refuses to merge them with sketches of its own', { skip: !hasHll && 'the extension hll is not installed' }, () => {
    const other = Object.assign(Object.create(Postgres.prototype), { connection: pg.connection.replace('dbname=postgres', 'dbname=sketched') });
    const own = 'SELECT hll_add_agg(hll_hash_bigint(i), 12, 5, -1, 1) AS h FROM generate_series(1, 9) i', state = "SELECT CAST('\\x118c48'::bytea AS hll) AS h";
    assert.equal(other.sql(`SELECT hll_cardinality(hll_union_agg(h)) FROM (${state} UNION ALL ${state}) u`).length, 1);
    assert.throws(() => other.sql(`SELECT hll_cardinality(hll_union_agg(h)) FROM (${own} UNION ALL ${state}) u`), /explicit threshold does not match/);
  });
});

describe('what is counted anew from kept values', { skip: house.missing }, () => {
  const odd = (more) => `cubes:
  - name: odd
    sql_table: odd
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: f, sql: f, type: number}
      - {name: z, sql: z, type: string}
      - {name: flag, sql: flag, type: boolean}
      - {name: name, sql: name, type: string}
      - {name: at, sql: at, type: time}
    measures:
      - {name: count, type: count}
${['f', 'z', 'flag', 'name'].map((m) => `      - {name: of_${m}, sql: ${m}, type: count_distinct_approx}\n      - {name: exact_${m}, sql: ${m}, type: count_distinct}\n`).join('')}    pre_aggregations: [${more.join(', ')}]
`;
  const world = (more, storage = '', sources = '') => ({ ...files([], storage, sources), 'model/web.yml': odd(more) });
  const batch = (more) => `{name: batch, ${more}measures: [count], dimensions: [f, z, flag, name], time_dimension: at, granularity: day, partition_granularity: month, build_range_end: {sql: "SELECT toDateTime('2024-02-15 00:00:00')"}}`;
  const lambda = '{name: live, type: rollup_lambda, rollups: [batch], union_with_source_data: true}';
  const range = [{ dimension: 'odd.at', dateRange: ['2024-01-01', '2024-03-20'] }];
  test('a number, a time of a zone and a boolean are what the source has', async (t) => {
    await house.sql("CREATE TABLE web.odd ENGINE = MergeTree ORDER BY id AS SELECT toInt64(number) AS id, toFloat64(number % 90) AS f, toDateTime('2023-10-29 00:00:00', 'Europe/Berlin') + number % 8 * 1800 AS z, toUInt8(number % 5) AS flag, concat('n', toString(number % 70)) AS name, toDateTime('2024-01-01 00:00:00', 'UTC') + number * 600 AS at FROM numbers(12000)");
    const measures = ['f', 'z', 'flag', 'name'].flatMap((m) => [`odd.of_${m}`, `odd.exact_${m}`]);
    const [exact] = await house.sql('SELECT uniqExact(f), uniqExact(z), uniqExact(flag), uniqExact(name) FROM web.odd');
    const wanted = exact.flatMap((n) => [Number(n), Number(n)]);
    const cases = [[[]], [[batch('')]], [[lambda, batch('')]], [[lambda, batch('external: false, ')], '_kept'], [[lambda, batch('')], ', store: shards', `  shards: ${cluster.config}\n`]];
    for (const [preaggs, storage, sources] of cases) {
      const server = await serve(t, world(preaggs, storage, sources));
      for (const measure of measures) {
        const result = await server.result({ measures: [measure], timeDimensions: range });
        assert.equal(Number(result.data[0][measure]), wanted[measures.indexOf(measure)], `${measure} ${JSON.stringify(preaggs)}`);
        if (measure === 'odd.of_name' && preaggs.includes(lambda)) assert.equal(Server.served(result).length, 1);
      }
    }
  });
});

describe('of one row it is 1 or nothing', { skip: house.missing }, () => {
  const query = { ungrouped: true, measures: ['visits.users'], dimensions: ['visits.id'], filters: [{ member: 'visits.id', operator: 'lt', values: ['24'] }], order: { 'visits.id': 'asc' } };
  const main = '{name: main, measures: [users], dimensions: [id]}';
  const cases = { 'the source': ['{name: none, measures: [count], dimensions: [country]}'], 'the store': [main] };
  if (hasHll) cases.PostgreSQL = [main, ', store: pg', `  pg: ${pg.config.replace('database: postgres', 'database: sketched')}\n`];
  for (const [where, [preagg, storage, more]] of Object.entries(cases))
    test(where, async (t) => {
      const server = await serve(t, files([preagg], `_rows${storage ?? ''}`, more));
      const result = await server.result(query);
      assert.deepEqual(Server.served(result), where === 'the source' ? [] : ['visits.main']);
      assert.deepEqual(result.data.map((row) => [Number(row['visits.id']), row['visits.users'] === null ? null : Number(row['visits.users'])]), Array.from({ length: 24 }, (_, i) => [i, i % 11 ? 1 : null]));
    });
});

describe('a rollup and what came later', { skip: house.missing }, () => {
  test('are one set', async (t) => {
    await house.sql("CREATE TABLE web.live ENGINE = MergeTree ORDER BY id AS SELECT * FROM web.visits WHERE at < '2024-02-15 00:00:00'");
    const live = (more) => ({ ...files([]), 'granary.yml': files([])['granary.yml'].replace('source_schema: pre', 'source_schema: pre_live'), 'model/web.yml': model(more, 'live') });
    const lambda = '{name: live, type: rollup_lambda, rollups: [main], union_with_source_data: true}';
    const query = ordered({ measures: names, dimensions: ['visits.country'], timeDimensions: [{ dimension: 'visits.at', granularity: 'month', dateRange: ['2024-01-01', '2024-03-31'] }] });
    const plain = await serve(t, live(['{name: none, measures: [count], dimensions: [id]}']));
    const servers = [];
    for (const more of ['external: false, ', '']) {
      const server = await serve(t, live([lambda, `{name: main, ${more}${stored}, partition_granularity: month}`]));
      await server.result(query);
      servers.push(server);
    }
    await house.sql("INSERT INTO web.live SELECT * FROM web.visits WHERE at >= '2024-02-15 00:00:00'");
    const wanted = await plain.rows(query);
    for (const server of servers) {
      const answer = await server.load(query);
      assert.equal(answer.headers.get('x-granary-served-by'), 'visits.main, source');
      assert.deepEqual(answer.body.data, wanted);
    }
  });
});

describe('beside what ClickHouse cannot merge', { skip: house.missing }, () => {
  test('they come as they are stored, and are merged here', async (t) => {
    const query = { measures: ['visits.users', 'visits.spread'], dimensions: ['visits.country'], order: { 'visits.country': 'asc' } };
    const plain = await serve(t, files(['{name: none, measures: [count], dimensions: [id]}']));
    const beside = await serve(t, { ...files(['{name: main, external: false, measures: [users, spread], dimensions: [country], time_dimension: at, granularity: day}']), 'granary.yml': files([])['granary.yml'].replace('source_schema: pre', 'source_schema: pre_spread') });
    const result = await beside.result(query);
    assert.deepEqual(Server.served(result), ['visits.main']);
    const round = (rows) => rows.map((row) => ({ ...row, 'visits.spread': Number(Number(row['visits.spread']).toPrecision(9)) }));
    assert.deepEqual(round(result.data), round(await plain.rows(query)));
  });
  test('rows of several facts meet here, and go back as states', async (t) => {
    const of = (more) => ({ ...files([]), 'granary.yml': files([])['granary.yml'].replace('source_schema: pre', 'source_schema: pre_facts'), 'model/web.yml': `cubes:
  - name: days
    sql: "SELECT toDate(toDateTime('2024-01-01 00:00:00', 'UTC') + number * 86400) AS day FROM system.numbers LIMIT 90"
    joins:
      - {name: a, sql: "{CUBE}.day = {a}.day", relationship: one_to_many}
      - {name: b, sql: "{CUBE}.day = {b}.day", relationship: one_to_many}
    dimensions:
      - {name: day, sql: "toString({CUBE}.day)", type: string, primary_key: true, public: true}
    pre_aggregations: [${more}]
${['a', 'b'].map((name) => `  - name: ${name}
    sql: "SELECT toDate(at, 'UTC') AS day, id, user_id FROM visits WHERE id % ${name === 'a' ? 2 : 3} = 0"
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
    measures:
      - {name: users, sql: user_id, type: count_distinct_approx}
`).join('')}` });
    const query = { measures: ['a.users', 'b.users'], dimensions: ['days.day'], order: { 'days.day': 'asc' } };
    const plain = await serve(t, of(''));
    const wanted = await plain.rows(query);
    assert.ok(wanted.length > 80 && wanted.every((row) => Number(row['a.users']) > 0 && Number(row['b.users']) > 0), JSON.stringify(wanted.slice(0, 3)));
    const beside = await serve(t, of('{name: main, external: false, measures: [a.users, b.users], dimensions: [day]}'));
    const result = await beside.result(query);
    assert.deepEqual(Server.served(result), ['days.main']);
    assert.deepEqual(result.data, wanted);
    const types = await house.sql("SELECT name, type FROM system.columns WHERE database = 'pre_facts' AND type LIKE 'Aggregate%' ORDER BY name");
    assert.deepEqual([...new Set(types.map(([name, type]) => `${name} ${type}`))], ['a__users AggregateFunction(uniqCombined(12), UInt64)', 'b__users AggregateFunction(uniqCombined(12), UInt64)']);
  });
});
