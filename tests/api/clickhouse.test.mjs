// ClickHouse as a data source, as the place of rollups, and as a cluster of two shards that rollups are spread over; and
// what goes wrong with servers.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import http from 'node:http';
import { Server, serve, shared, until } from './helpers.mjs';
import { ClickHouse } from './clickhouse.mjs';

const house = new ClickHouse();
const cluster = new ClickHouse(2);
after(() => (house.close(), cluster.close()));

if (!house.missing) {
  await house.sql('CREATE DATABASE shop');
  await house.sql("CREATE TABLE shop.users ENGINE = MergeTree ORDER BY id AS SELECT toInt64(number + 1) AS id, arrayElement(['DE', 'US', 'FR'], number % 3 + 1) AS country FROM numbers(90)");
  await house.sql(`CREATE TABLE shop.orders ENGINE = MergeTree ORDER BY id AS SELECT toInt64(number + 1) AS id, toInt64(number % 100 + 1) AS user_id,
    if(number % 4 = 3, CAST(NULL AS Nullable(String)), CAST(arrayElement(['new', 'do''ne', 'L\\\\ost'], number % 4 + 1) AS Nullable(String))) AS status,
    toDecimal64(number % 500, 2) / 100 AS amount, number % 2 AS paid, toDateTime('2024-01-01 00:00:00', 'UTC') + number * 1860 AS created_at FROM numbers(9000)`);
}

const orders = (preaggs) => `cubes:
  - name: orders
    sql_table: orders
    joins:
      - {name: users, sql: "{CUBE}.user_id = {users.id}", relationship: many_to_one}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true, public: true}
      - {name: status, sql: status, type: string}
      - {name: paid, sql: paid, type: boolean}
      - {name: created_at, sql: created_at, type: time}
      - {name: of_user, sql: "{users.count}", type: number, sub_query: true}
    measures:
      - {name: count, type: count}
      - {name: total, sql: amount, type: sum}
      - {name: average, sql: amount, type: avg}
      - {name: spread, sql: "stddev_samp({CUBE}.amount)", type: number}
      - {name: buyers, sql: user_id, type: count_distinct_approx}
      - {name: share, sql: "{total} / {count}", type: number}
    segments:
      - {name: big, sql: "{CUBE}.amount > 2"}
    pre_aggregations:
${preaggs.map((p) => `      - ${p}`).join('\n')}
  - name: users
    sql_table: users
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: country, sql: country, type: string}
    measures: [{name: count, type: count}]
`;
const measures = ['count', 'total', 'average', 'spread', 'buyers', 'share'].map((m) => `orders.${m}`);
const stored = 'measures: [count, total, average, spread, buyers]';
const source = house.config?.replace('}', ', database: shop}');
const files = (preaggs, more = '', storage = '') => ({
  'granary.yml': `data_sources:\n  default: ${source}\n${more}model: model\nstorage: {source_schema: pre${storage}}\ncache: {max_bytes: 0}\n`,
  'model/orders.yml': orders(preaggs),
});
const numbers = (rows, names) => rows.map((row) => names.map((n) => (typeof row[n] === 'boolean' || row[n] === null || Number.isNaN(Number(row[n])) ? row[n] : Number(Number(row[n]).toPrecision(11)))));

describe('answers', { skip: house.missing }, () => {
  const dimensions = ['status', 'paid', 'users.country'];
  const main = (more) => `{name: main, ${more}${stored}, dimensions: [${dimensions.join(', ')}], segments: [big], time_dimension: created_at, granularity: hour, partition_granularity: month}`;
  const servers = {
    'from the source': [shared(files(['{name: none, measures: [count], dimensions: [id]}'])), []],
    'from rollups in the store': [shared(files([main('')])), ['orders.main']],
    'from rollups beside the data': [shared(files([main('external: false, ')])), ['orders.main']],
    'from rollups on two shards': [shared(files([main('')], `  shards: ${cluster.config}\n`, ', store: shards')), ['orders.main']],
  };
  const range = { timeDimensions: [{ dimension: 'orders.created_at', dateRange: ['2024-02-01', '2024-03-31'] }] };
  const filter = (member, operator, ...values) => ({ filters: [{ member: `orders.${member}`, operator, values }], ...range });
  const queries = {
    'by text': { dimensions: ['orders.status'], ...range },
    'by a joined text and a boolean': { dimensions: ['users.country', 'orders.paid'], ...range },
    'without groups': range,
    'of no rows': { dimensions: ['orders.status'], timeDimensions: [{ dimension: 'orders.created_at', dateRange: ['2020-01-01', '2020-01-31'] }] },
    'a segment': { segments: ['orders.big'], dimensions: ['orders.status'], ...range },
    'not equal to two': filter('status', 'notEquals', 'new', 'x'),
    'a quote in a value': filter('status', 'equals', "do'ne"),
    'a backslash in a value': filter('status', 'contains', '\\o'),
    'a boolean': filter('paid', 'equals', 'true'),
    'not set': filter('status', 'notSet'),
    'by week, where a day begins with a change of the clock': { timezone: 'Asia/Beirut', timeDimensions: [{ dimension: 'orders.created_at', granularity: 'week', dateRange: ['2024-03-04', '2024-04-14'] }] },
    'by day, where clocks move by half an hour': { timezone: 'Australia/Lord_Howe', timeDimensions: [{ dimension: 'orders.created_at', granularity: 'day', dateRange: ['2024-04-05', '2024-04-09'] }] },
    'with its edges from the source': { dimensions: ['orders.status'], timeDimensions: [{ dimension: 'orders.created_at', dateRange: ['2024-02-01T05:10:00', '2024-03-31T17:20:00'] }] },
    'filtered by a measure': { dimensions: ['orders.status', 'users.country'], filters: [{ member: 'orders.total', operator: 'gt', values: ['400'] }], ...range },
  };
  const wanted = {};
  for (const [where, [server, served]] of Object.entries(servers))
    describe(where, () => {
      for (const [what, query] of Object.entries(queries))
        test(what, async () => {
          const result = await server.result({ measures, order: Object.fromEntries((query.dimensions ?? []).map((d) => [d, 'asc'])), ...query });
          const isHalfHours = what.includes('half an hour'); /* hours are not whole there */
          assert.deepEqual(Server.served(result), isHalfHours ? [] : served);
          const names = [...(query.dimensions ?? []), ...(query.timeDimensions?.[0].granularity ? [`orders.created_at.${query.timeDimensions[0].granularity}`] : []), ...measures];
          const rows = numbers(result.data, names);
          wanted[what] ??= rows;
          assert.deepEqual(rows, wanted[what]);
          if (what === 'of no rows') assert.equal(rows.length, 0);
          else assert.ok(rows.length >= 1);
        });
    });
  test('they are those of ClickHouse itself', async () => {
    const [server] = servers['from rollups on two shards'];
    const rows = await server.rows({ measures: measures.slice(0, 4), dimensions: ['orders.status'], order: { 'orders.status': 'asc' }, ...range });
    const own = await house.sql("SELECT status, count(), sum(amount), avg(toFloat64(amount)), stddevSamp(toFloat64(amount)) FROM shop.orders WHERE created_at >= '2024-02-01 00:00:00' AND created_at < '2024-04-01 00:00:00' GROUP BY status ORDER BY status");
    assert.deepEqual(numbers(rows, measures.slice(0, 4)), own.map((row) => row.slice(1).map((v) => Number(Number(v).toPrecision(11)))));
    assert.deepEqual(rows.map((row) => row['orders.status']), ['L\\ost', "do'ne", 'new', null]);
  });
  test('enums, UUIDs and texts of fixed length are texts, whatever serves', async (t) => {
    await house.sql("CREATE TABLE IF NOT EXISTS shop.odd ENGINE = Memory AS SELECT CAST(number % 3 + 1 AS Enum8('new' = 1, 'paid' = 2, 'lost' = 3)) AS mood, toUUID(concat('00000000-0000-0000-0000-0000000000', hex(toUInt8(160 + number % 4)))) AS id, toFixedString(arrayElement(['a', 'bc', 'B'], number % 3 + 1), 4) AS code FROM numbers(100)");
    const names = ['mood', 'id', 'code'];
    const model = (more) => `cubes:\n  - name: odd\n    sql_table: odd\n    dimensions:\n${names.map((n) => `      - {name: ${n}, sql: ${n}, type: string}\n`).join('')}    measures: [{name: count, type: count}]\n    pre_aggregations: [${more}]\n`;
    const filters = [['mood', 'equals', 'paid'], ['mood', 'equals', 'zz'], ['mood', 'gt', 'new'], ['mood', 'contains', 'A'], ['id', 'equals', '00000000-0000-0000-0000-0000000000a1'], ['id', 'equals', '00000000-0000-0000-0000-0000000000A1'], ['code', 'equals', 'bc'], ['code', 'lt', 'a']];
    const seen = [];
    for (const more of ['', '{name: main, measures: [count], dimensions: [mood, id, code]}', '{name: main, external: false, measures: [count], dimensions: [mood, id, code]}']) {
      const server = await serve(t, { ...files([]), 'granary.yml': files([])['granary.yml'].replace('source_schema: pre', 'source_schema: pre_odd'), 'model/orders.yml': model(more) });
      const answers = [];
      for (const [name, operator, value] of filters) {
        const result = await server.result({ measures: ['odd.count'], filters: [{ member: `odd.${name}`, operator, values: [value] }] });
        assert.deepEqual(Server.served(result), more ? ['odd.main'] : []);
        answers.push(Number(result.data[0]['odd.count']));
      }
      for (const name of names) answers.push((await server.rows({ measures: ['odd.count'], dimensions: [`odd.${name}`], order: { [`odd.${name}`]: 'asc' } })).map((row) => [row[`odd.${name}`], Number(row['odd.count'])]));
      seen.push(answers);
    }
    assert.deepEqual(seen[0].slice(0, filters.length), [33, 0, 33, 33, 25, 0, 33, 33]);
    assert.deepEqual(seen[1], seen[0]);
    assert.deepEqual(seen[2], seen[0]);
  });
  test('LowCardinality is what it holds, whatever serves', async (t) => {
    // more words than fit numbers of one byte; nulls
    await house.sql("CREATE TABLE IF NOT EXISTS shop.low (id UInt32, word LowCardinality(String), maybe LowCardinality(Nullable(String)), day Date, n Int16) ENGINE = MergeTree ORDER BY id");
    await house.sql('DROP TABLE IF EXISTS shop.plain');
    await house.sql('CREATE TABLE shop.plain (id UInt32, word String, maybe Nullable(String), day Date, n Int16) ENGINE = MergeTree ORDER BY id');
    for (const name of ['low', 'plain']) {
      await house.sql(`TRUNCATE TABLE shop.${name}`);
      await house.sql(`INSERT INTO shop.${name} SELECT number, concat('w', toString(number % 700)), if(number % 5 = 0, NULL, if(number % 5 = 1, '', toString(number % 400))), toDate(19000 + number % 40), toInt16(number % 9 - 4) FROM numbers(20000)`);
    }
    const names = ['word', 'maybe', 'day', 'n'], types = { day: 'time', n: 'number' };
    const measures = ['count', 'words', 'people', 'total', 'last', 'greatest', 'some', 'maybes'];
    const model = (more) => `cubes:\n${['low', 'plain'].map((name) => `  - name: ${name}
    sql_table: ${name}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
${names.map((n) => `      - {name: ${n}, sql: ${n}, type: ${types[n] ?? 'string'}}\n`).join('')}      - {name: kind, type: string, case: {when: [{sql: "word = 'w7'", label: seven}, {sql: "maybe IS NULL", label: none}], else: {label: other}}}
    measures:
      - {name: count, type: count}
      - {name: words, type: count_distinct, sql: word}
      - {name: people, type: count_distinct_approx, sql: word}
      - {name: total, type: sum, sql: n}
      - {name: last, type: max, sql: n}
      - {name: greatest, type: max, sql: maybe}
      - {name: some, type: count, sql: maybe}
      - {name: maybes, type: count_distinct, sql: maybe}
    pre_aggregations: [${name === 'low' ? more : ''}]
`).join('')}`;
    const queries = [
      ...names.filter((n) => n !== 'day').map((n) => (cube) => ({ measures: measures.map((m) => `${cube}.${m}`), dimensions: [`${cube}.${n}`], order: { [`${cube}.${n}`]: 'asc' } })),
      (cube) => ({ measures: measures.map((m) => `${cube}.${m}`), dimensions: [`${cube}.kind`], order: { [`${cube}.kind`]: 'asc' } }),
      (cube) => ({ measures: measures.map((m) => `${cube}.${m}`), timeDimensions: [{ dimension: `${cube}.day`, granularity: 'month' }] }),
      ...[['word', 'equals', 'w7'], ['word', 'gt', 'w5'], ['word', 'contains', '9'], ['word', 'notStartsWith', 'w1'], ['maybe', 'set'], ['maybe', 'notSet'], ['maybe', 'equals', ''], ['maybe', 'notEquals', '7'], ['n', 'gte', '2'], ['n', 'equals', '-4'], ['day', 'beforeDate', '2022-01-20']].map(([name, operator, value]) => (cube) => ({ measures: measures.map((m) => `${cube}.${m}`), filters: [{ member: `${cube}.${name}`, operator, ...(value === undefined ? {} : { values: [value] }) }] })),
    ];
    const rollup = 'measures: [count, words, people, total, last, greatest, some, maybes], dimensions: [word, maybe, n, kind], time_dimension: day, granularity: day';
    for (const more of ['', `{name: main, ${rollup}}`, `{name: main, external: false, ${rollup}}`]) {
      const server = await serve(t, { ...files([]), 'granary.yml': files([])['granary.yml'].replace('source_schema: pre', 'source_schema: pre_low'), 'model/orders.yml': model(more) });
      let served = 0;
      for (const query of queries) {
        const low = await server.result(query('low')), plain = await server.result(query('plain'));
        served += Server.served(low).length;
        assert.ok(plain.data.length > 0);
        assert.equal(JSON.stringify(low.data).replaceAll('low.', ''), JSON.stringify(plain.data).replaceAll('plain.', ''), JSON.stringify(query('low')));
      }
      assert.ok(more ? served > 0 : served === 0, String(served));
    }
  });
  test('enums and UUIDs of joined tables, as keys and in measures, where a row has none', async (t) => {
    const uuid = (n) => `00000000-0000-0000-0000-00000000000${n}`;
    await house.sql('CREATE TABLE shop.parents (id Int64, u UUID, mark FixedString(2)) ENGINE = MergeTree ORDER BY id');
    await house.sql(`INSERT INTO shop.parents VALUES (1, '${uuid(1)}', 'aa'), (2, '${uuid(2)}', 'bb'), (3, '${uuid(3)}', 'cc')`);
    await house.sql("CREATE TABLE shop.children (id Int64, parent Int64, pu UUID, mark FixedString(2), e Enum8('lo' = 1, 'hi' = 2)) ENGINE = MergeTree ORDER BY id");
    await house.sql(`INSERT INTO shop.children VALUES (1, 1, '${uuid(1)}', 'aa', 'lo'), (2, 1, '${uuid(1)}', 'aa', 'hi'), (3, 2, '${uuid(2)}', 'bb', 'hi')`);
    const text = (on, dimension) => `cubes:
  - name: parents
    sql_table: parents
    joins: [{name: children, relationship: one_to_many, sql: "${on}"}]
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true, public: true}
${dimension}      - {name: first, sql: "{children.least}", type: string, sub_query: true}
    measures: [{name: count, type: count}]
  - name: children
    sql_table: children
    dimensions: [{name: id, sql: id, type: number, primary_key: true}]
    measures:
      - {name: count, type: count}
      - {name: least, sql: e, type: min}
      - {name: kinds, sql: e, type: count_distinct}
      - {name: about, sql: e, type: count_distinct_approx}
      - {name: marks, sql: mark, type: max}
      - {name: with_e, sql: e, type: count}
`;
    for (const on of ['{CUBE}.id = {children}.parent', '{CUBE}.u = {children}.pu', '{CUBE}.mark = {children}.mark'])
      for (const dimension of ['', '      - {name: u, sql: u, type: string}\n      - {name: mark, sql: mark, type: string}\n']) {
        const server = await serve(t, { ...files([]), 'model/orders.yml': text(on, dimension) });
        const rows = await server.rows({ measures: ['count', 'least', 'kinds', 'about', 'marks', 'with_e'].map((m) => `children.${m}`), dimensions: ['parents.id'], order: { 'parents.id': 'asc' } });
        assert.deepEqual(rows.map((row) => Object.values(row).map((v) => (v === null || Number.isNaN(Number(v)) ? v : Number(v)))), [[1, 2, 'hi', 2, 2, 'aa', 2], [2, 1, 'hi', 1, 1, 'bb', 1], [3, 0, null, 0, 0, null, 0]], on);
        assert.deepEqual((await server.rows({ dimensions: ['parents.id', 'parents.first'], order: { 'parents.id': 'asc' } })).map((row) => row['parents.first']), ['hi', 'hi', null]);
      }
  });
  describe('of a joined table the key, an enum and what is counted of it', () => {
    const model = (more) => `cubes:
  - name: a
    sql_table: a
    joins:
      - {name: b, relationship: many_to_one, sql: "{CUBE}.k = {b.id}"}
      - {name: c, relationship: many_to_one, sql: "{CUBE}.ks = {c.code}"}
    dimensions:
      - {name: id, sql: "{CUBE}.id", type: number, primary_key: true, public: true}
      - {name: flag, sql: "{CUBE}.flag", type: boolean}
      - {name: ks, sql: "{CUBE}.ks", type: string}
      - {name: known, type: string, case: {when: [{sql: "{b.id} IS NULL", label: anonymous}], else: {label: known}}}
      - {name: is_known, type: boolean, sql: "{b.id} IS NOT NULL"}
    measures:
      - {name: count, type: count}
      - {name: linked, type: count_distinct, sql: "{b.id}"}
      - {name: last, type: max, sql: "{b.e}"}
      - {name: any_flag, type: max, sql: "{CUBE}.flag != 0"}
    pre_aggregations: [${more}]
  - name: b
    sql_table: b
    dimensions: [{name: id, sql: "{CUBE}.id", type: number, primary_key: true, public: true}, {name: e, sql: e, type: string}, {name: u, sql: "{CUBE}.u", type: string}]
    measures: [{name: count, type: count}]
  - {name: c, sql_table: b, dimensions: [{name: code, sql: "{CUBE}.code", type: string, primary_key: true, public: true}], measures: [{name: count, type: count}]}
`;
    const by = (dimension, ...names) => [{ measures: names, dimensions: [dimension], order: { [dimension]: 'asc' } }, [dimension, ...names]];
    const filtered = (member, operator, ...values) => [{ measures: ['a.count'], filters: [{ member, operator, values }] }, ['a.count']];
    const cases = [
      [by('b.id', 'a.count'), [[1, 2], [2, 1], [null, 1]]],
      [by('c.code', 'a.count'), [['x', 2], ['y', 1], [null, 1]]],
      [filtered('b.id', 'notSet'), [[1]]],
      [filtered('b.id', 'lt', '1'), [[0]]],
      [by('a.ks', 'a.count', 'b.count'), [['nope', 1, 0], ['x', 2, 1], ['y', 1, 1]]],
      [by('a.known', 'a.count'), [['anonymous', 1], ['known', 3]]],
      [by('a.is_known', 'a.count'), [[false, 1], [true, 3]]],
      [by('a.ks', 'a.linked'), [['nope', 0], ['x', 1], ['y', 1]]],
      [[{ measures: ['a.linked'] }, ['a.linked']], [[2]]],
      [by('b.e', 'a.count'), [['b', 1], ['c', 2], [null, 1]]],
      [by('a.ks', 'a.last', 'a.any_flag'), [['nope', null, 1], ['x', 'c', 1], ['y', 'b', 1]]],
      [[{ measures: ['a.last'] }, ['a.last']], [['c']]],
      [filtered('b.e', 'equals', 'zz'), [[0]]],
      [by('b.u', 'a.count'), [['00000000-0000-0000-0000-000000000001', 2], ['ffffffff-0000-0000-ffff-000000000003', 1], [null, 1]]],
      [by('a.flag', 'a.count'), [[false, 1], [true, 3]]],
      [filtered('a.flag', 'equals', 'true'), [[3]]],
      [filtered('a.id', 'gt', '1.5'), [[3]]],
      [filtered('a.id', 'equals', '1.5'), [[0]]],
      [filtered('a.id', 'equals', '18446744073709551616'), [[0]]],
    ];
    const rollup = (more) => `{name: main, ${more}measures: [count, linked, last, any_flag, b.count], dimensions: [id, flag, ks, known, is_known, b.id, b.e, b.u, c.code]}`;
    for (const [what, more] of Object.entries({ 'from the source': '', 'from a rollup': rollup(''), 'from a rollup beside the data': rollup('external: false, ') }))
      test(what, async (t) => {
        await house.sql('CREATE DATABASE IF NOT EXISTS joined');
        await house.sql('CREATE TABLE IF NOT EXISTS joined.a (id UInt64, k UInt64, ks String, v Decimal(9,2), flag UInt8) ENGINE = MergeTree ORDER BY id');
        await house.sql("CREATE TABLE IF NOT EXISTS joined.b (id UInt64, code String, e Enum8('a' = 1, 'c' = 2, 'b' = 3, 'z' = 4), u UUID) ENGINE = MergeTree ORDER BY id");
        if (!Number((await house.sql('SELECT count() FROM joined.a'))[0][0])) {
          await house.sql("INSERT INTO joined.a VALUES (1,1,'x',1,1),(2,1,'x',2,0),(3,2,'y',3,5),(4,99,'nope',4,1)");
          await house.sql("INSERT INTO joined.b VALUES (1,'x','c','00000000-0000-0000-0000-000000000001'),(2,'y','b','ffffffff-0000-0000-ffff-000000000003')");
        }
        const server = await serve(t, { 'granary.yml': files([])['granary.yml'].replace('database: shop', 'database: joined').replace('source_schema: pre', 'source_schema: pre_joined'), 'model/m.yml': model(more) });
        let served = 0;
        for (const [[query, names], wanted] of cases) {
          const result = await server.result(query);
          served += Server.served(result).length;
          assert.deepEqual(numbers(result.data, names), wanted, JSON.stringify(query));
        }
        assert.ok(more ? served >= 8 : served === 0, String(served));
      });
  });
  test('bounds between seconds, before 1970 and after 2106', async (t) => {
    await house.sql("CREATE TABLE IF NOT EXISTS shop.edges ENGINE = Memory AS SELECT toDateTime(arrayJoin([0, 1, 1704067200, 1704067201, 4294967295]), 'UTC') AS at");
    const at = ['1970-01-01T00:00:00', '1970-01-01T00:00:01', '2024-01-01T00:00:00', '2024-01-01T00:00:01', '2106-02-07T06:28:15'];
    const model = (more) => `cubes:\n  - {name: edges, sql_table: edges, dimensions: [{name: at, sql: at, type: time}], measures: [{name: count, type: count}], pre_aggregations: [${more}]}\n`;
    const bounds = ['1969-12-31T23:59:59', '1970-01-01T00:00:00', '1970-01-01T00:00:00.500', '2024-01-01T00:00:00', '2024-01-01T00:00:00.001', '2024-01-01T00:00:01', '2106-02-07T06:28:15', '2150-01-01T00:00:00'];
    const kept = { beforeDate: (a, b) => a < b, beforeOrOnDate: (a, b) => a <= b, afterDate: (a, b) => a > b, afterOrOnDate: (a, b) => a >= b, equals: (a, b) => a === b, notEquals: (a, b) => a !== b };
    for (const more of ['', '{name: main, measures: [count], time_dimension: at, granularity: second, external: false}']) {
      const server = await serve(t, { ...files([]), 'granary.yml': files([])['granary.yml'].replace('source_schema: pre', 'source_schema: pre_edges'), 'model/orders.yml': model(more) });
      const count = async (query) => Number((await server.rows({ measures: ['edges.count'], ...query }))[0]['edges.count']);
      for (const bound of bounds) {
        for (const [operator, keeps] of Object.entries(kept)) {
          const wanted = at.filter((a) => keeps(Date.parse(`${a}Z`), Date.parse(`${bound}Z`))).length;
          assert.equal(await count({ filters: [{ member: 'edges.at', operator, values: [bound] }] }), wanted, `${operator} ${bound} ${more}`);
        }
        const wanted = at.filter((a) => Date.parse(`${a}Z`) === Date.parse(`${bound}Z`)).length;
        assert.equal(await count({ timeDimensions: [{ dimension: 'edges.at', dateRange: [bound, bound] }] }), wanted, `${bound} ${more}`);
      }
    }
  });
  test('rows', async () => {
    const [server] = servers['from rollups beside the data'];
    const query = { measures: ['orders.total', 'orders.count'], dimensions: ['orders.id', 'orders.status', 'orders.paid', 'users.country'], ungrouped: true, filters: [{ member: 'orders.status', operator: 'notEquals', values: ['new'] }], order: { 'orders.total': 'desc', 'orders.id': 'asc' }, limit: 3, offset: 4, total: true };
    const result = await server.result(query);
    assert.deepEqual(Server.served(result), []);
    const own = await house.sql("SELECT o.id, status, paid, country, amount FROM shop.orders AS o ALL LEFT JOIN shop.users AS u ON o.user_id = u.id WHERE status != 'new' OR status IS NULL ORDER BY amount DESC, o.id LIMIT 4, 3");
    const wanted = own.map(([id, status, paid, country, amount]) => [Number(id), status === '\\N' ? null : status.replaceAll('\\\\', '\\').replaceAll("\\'", "'"), paid === '1', country === '\\N' ? null : country, Number(amount), 1]);
    assert.deepEqual(result.data.map((row) => [Number(row['orders.id']), row['orders.status'], row['orders.paid'], row['users.country'], Number(row['orders.total']), Number(row['orders.count'])]), wanted);
    assert.equal(result.total, Number((await house.sql("SELECT count() FROM shop.orders WHERE status != 'new' OR status IS NULL"))[0][0]));
  });
  test('what it is not asked for is refused with the reason', async () => {
    const [server] = servers['from the source'];
    for (const [query, reason] of [[{ measures: ['orders.share'], dimensions: ['orders.status'], ungrouped: true }, /orders\.share' is computed from other measures/]]) {
      const answer = await server.load(query);
      assert.equal(answer.status, 400, answer.text);
      assert.equal(answer.body.id, 'plan.unsupported');
      assert.match(answer.body.error, reason);
    }
  });
  test('rows that a join repeats count once, however many threads read them', async (t) => {
    const size = 1500000;
    await house.sql(`CREATE TABLE shop.lines ENGINE = MergeTree ORDER BY id AS SELECT toInt64(number) AS id, toInt64(number % 1000) AS kind_id, toInt64(number % 2) AS half FROM numbers(${size})`);
    await house.sql('CREATE TABLE shop.kinds ENGINE = MergeTree ORDER BY id AS SELECT toInt64(number) AS id, toInt64(number % 7 + 1) AS weight FROM numbers(1000)');
    for (const node of [0, 1]) {
      await cluster.sql('CREATE DATABASE IF NOT EXISTS few', node);
      for (const [name, columns, select] of [['lines', 'id Int64, kind_id Int64, half Int64', 'SELECT toInt64(number * 2 + ' + node + ') AS id, toInt64(id % 1000), toInt64(id % 2) FROM numbers(2000)'], ['kinds', 'id Int64, weight Int64', 'SELECT toInt64(number * 2 + ' + node + ') AS id, toInt64(id % 7 + 1) FROM numbers(500)']]) {
        await cluster.sql(`CREATE TABLE few.${name}_l (${columns}) ENGINE = MergeTree ORDER BY tuple()`, node);
        await cluster.sql(`INSERT INTO few.${name}_l ${select}`, node);
        await cluster.sql(`CREATE TABLE few.${name} AS few.${name}_l ENGINE = Distributed(shards, few, ${name}_l, rand())`, node);
      }
    }
    const text = (more) => `cubes:
  - name: lines
    sql_table: lines
    joins: [{name: kinds, sql: "{CUBE}.kind_id = {kinds.id}", relationship: many_to_one}]
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: half, sql: half, type: number}
    measures: [{name: count, type: count}]
    pre_aggregations: [${more}]
  - name: kinds
    sql_table: kinds
    dimensions: [{name: id, sql: id, type: number, primary_key: true}]
    measures: [{name: count, type: count}, {name: weight, sql: weight, type: sum}, {name: mean, sql: weight, type: avg}]
`;
    const rollup = '{name: main, external: false, measures: [lines.count, kinds.count, kinds.weight], dimensions: [half]}';
    const sum = (half) => Array.from({ length: 1000 }, (_, i) => (i % 2 === half ? (i % 7) + 1 : 0)).reduce((a, b) => a + b);
    for (const [config, n] of [[house.config.replace('}', ', database: shop}'), size], [cluster.config.replace('}', ', database: few}'), 4000]])
      for (const more of ['', rollup]) {
        const server = await serve(t, { 'granary.yml': `data_sources:\n  default: ${config}\nmodel: model\nstorage: {source_schema: pre_lines}\ncache: {max_bytes: 0}\n`, 'model/lines.yml': text(more) });
        const result = await server.result({ measures: ['lines.count', 'kinds.count', 'kinds.weight'], dimensions: ['lines.half'], order: { 'lines.half': 'asc' } });
        assert.equal(Server.served(result).length, more ? 1 : 0);
        assert.deepEqual(result.data.map((row) => Object.values(row).map(Number).sort((a, b) => a - b)), [0, 1].map((half) => [half, n / 2, 500, sum(half)].sort((a, b) => a - b)));
        if (more) continue;
        const [all] = await server.rows({ measures: ['lines.count', 'kinds.count', 'kinds.weight'] });
        assert.deepEqual([all['lines.count'], all['kinds.count'], all['kinds.weight']].map(Number), [n, 1000, sum(0) + sum(1)]);
      }
  });
  test('rollups are spread over the shards, and dropped from all', async (t) => {
    const rows = async (node) => Number((await cluster.sql("SELECT sum(rows) FROM system.parts WHERE table LIKE 'orders_apart%' AND active", node))[0][0]);
    const server = await serve(t, files([main('').replace('main', 'apart')], `  shards: ${cluster.config}\n`, ', store: shards'));
    const build = () => server.post('/ops/pre-aggregations/orders.apart/build?force=true', '', { accept: 'text/event-stream' });
    assert.match((await build()).text, /"status":"active"/);
    const first = [await rows(0), await rows(1)];
    assert.ok(first[0] > 500 && first[1] > 500, String(first));
    assert.match((await server.granary(['preagg', 'list'])).stdout, /orders\.apart .*store:shards/);
    assert.match((await build()).text, /"status":"active"/);
    await until('the first version to go', async () => (await rows(0)) + (await rows(1)) === first[0] + first[1]);
  });
});

describe('servers that fail', { skip: house.missing }, () => {
  const cubes = `cubes:
  - {name: local, sql_table: local, measures: [{name: count, type: count}]}
  - {name: deals, data_source: ch, sql_table: shop.users, measures: [{name: count, type: count}], dimensions: [{name: country, sql: country, type: string}]}
`;
  const two = (config, model = cubes) => ({ 'granary.yml': `data_sources:\n  default: {type: duckdb, path: data}\n  ch: ${config}\nmodel: model\ncache: {max_bytes: 0}\n`, 'data/local.csv': 'n\n1\n', 'model/m.yml': model });
  const count = (cube) => ({ measures: [`${cube}.count`] });

  test('one that is down at the start: other sources answer, and it does when it is there', async (t) => {
    house.stop();
    const server = await serve(t, two(house.config));
    assert.equal(Number((await server.rows(count('local')))[0]['local.count']), 1);
    const down = await server.load(count('deals'));
    assert.equal(down.body.id, 'engine.open');
    assert.match(down.body.error, /data source "ch" cannot be reached/);
    house.again();
    await until('the source to answer', async () => (await server.load(count('deals'))).status === 200);
    house.stop();
    assert.ok((await server.load(count('deals'))).status >= 500);
    house.again();
    await until('the source to answer again', async () => (await server.load(count('deals'))).status === 200);
  });
  test('a wrong password is told without it', async (t) => {
    const server = await serve(t, two(house.config.replace('secret', "'w%rong/pass wörd'")));
    const answer = await server.load(count('deals'));
    assert.ok(answer.status >= 400);
    assert.match(answer.text, /password|Authentication/i);
    for (const text of [answer.text, server.log(), (await server.granary(['doctor'])).stdout]) assert.doesNotMatch(text, /w%rong/);
  });
  test('user, password and database in the url', async (t) => {
    const server = await serve(t, two(`{type: clickhouse, url: '${house.urls[0].replace('://', '://granary:secret@')}/shop'}`, cubes.replace('shop.users', 'users')));
    assert.equal(Number((await server.rows(count('deals')))[0]['deals.count']), 90);
  });
  test('something else that listens there', async (t) => {
    for (const answer of ['no ClickHouse', '\u0001\u0001\u0001x\u0005Array', '']) {
      const other = http.createServer((request, response) => response.end(answer)).listen(0, '127.0.0.1');
      await new Promise((resolve) => other.once('listening', resolve));
      t.after(() => other.close());
      const server = await serve(t, two(`{type: clickhouse, url: 'http://127.0.0.1:${other.address().port}'}`));
      const failed = await server.load(count('deals'));
      assert.ok(failed.status >= 500, failed.text);
      assert.match(failed.body.error, /data source "ch": what answers is no ClickHouse/);
    }
  });
  test('a table that is dropped under a running server, and made again', async (t) => {
    await house.sql('CREATE TABLE shop.gone ENGINE = Memory AS SELECT 1 AS id');
    const server = await serve(t, two(house.config, cubes.replace('shop.users', 'shop.gone').replace('sql: country', 'sql: id')));
    assert.equal((await server.load(count('deals'))).status, 200);
    await house.sql('DROP TABLE shop.gone');
    const answer = await server.load(count('deals'));
    assert.ok(answer.status >= 400);
    assert.match(answer.text, /shop\.gone doesn't exist/);
    await house.sql('CREATE TABLE shop.gone ENGINE = Memory AS SELECT 1 AS id UNION ALL SELECT 2');
    assert.equal(Number((await server.rows(count('deals')))[0]['deals.count']), 2);
  });
  test('a rollup whose table somebody dropped is built again', async (t) => {
    const server = await serve(t, { ...files(['{name: beside, external: false, measures: [count], dimensions: [status]}']), 'granary.yml': files([])['granary.yml'].replace('source_schema: pre', 'source_schema: pre_lost') });
    const query = { measures: ['orders.count'], dimensions: ['orders.status'] };
    assert.deepEqual(Server.served(await server.result(query)), ['orders.beside']);
    for (const [table] of await house.sql('SHOW TABLES FROM pre_lost')) await house.sql(`DROP TABLE pre_lost.${table}`);
    const result = await server.result(query);
    assert.equal(result.data.reduce((sum, row) => sum + Number(row['orders.count']), 0), 9000);
  });
  test('a query that its reader gives up is stopped at the server', async (t) => {
    const server = await serve(t, two(house.config, cubes.replace('sql_table: shop.users', "sql: 'SELECT number AS id, toString(number) AS country FROM system.numbers LIMIT 1000000000000'").replace('{name: count, type: count}], dim', '{name: count, type: sum, sql: id}], dim')));
    const abort = new AbortController();
    const waiting = server.fetch('/cubejs-api/v1/load?query=' + encodeURIComponent(JSON.stringify(count('deals'))), { signal: abort.signal }).catch(() => 'aborted');
    const running = async () => Number((await house.sql("SELECT count() FROM system.processes WHERE query LIKE '%LIMIT 1000000000000%' AND query NOT LIKE '%system.processes%'"))[0][0]);
    await until('the query to run', async () => (await running()) === 1);
    abort.abort();
    assert.equal(await waiting, 'aborted');
    await until('the query to be stopped', async () => (await running()) === 0);
  });
  test('a configuration that is none', async (t) => {
    for (const [config, message] of [["{type: clickhouse, url: 'tcp://127.0.0.1:9000'}", /none of HTTP/], ['{type: clickhouse, cluster: shards}', /needs both `cluster` and `nodes`/], ["{type: clickhouse, cluster: shards, nodes: ['127.0.0.1']}", /no HTTP address/]]) {
      const run = await (await import('./helpers.mjs')).workspace(t, two(config)).granary(['check']);
      assert.notEqual(run.code, 0);
      assert.match(run.stdout + run.stderr, /granary\.yml:\d+:\d+/);
      assert.match(run.stdout + run.stderr, message);
    }
  });
  test('doctor says what it is and what to do', async (t) => {
    const server = await serve(t, two(house.config));
    assert.match((await server.granary(['doctor'])).stdout, /source ch: ClickHouse \d+\.\d+/);
    const bad = await serve(t, two('{type: clickhouse, host: 127.0.0.1, port: 1}'));
    const run = await bad.granary(['doctor']);
    assert.match(run.stdout, /FAILED +source ch: .*cannot be reached/);
    assert.notEqual(run.code, 0);
    const spread = await serve(t, { ...two(cluster.config), 'granary.yml': `${two(cluster.config)['granary.yml']}storage: {store: ch}\n` });
    const nodes = (await spread.granary(['doctor'])).stdout;
    assert.equal([...nodes.matchAll(/ok +source ch, node http:\S+ +ClickHouse \S+, 2 servers in the cluster 'shards'/gi)].length, 2, nodes);
    for (const [name, seen] of [['nowhere', 'nowhere'], [`"no'where"`, "no'where"]]) {
      const wrong = await serve(t, two(cluster.config.replace('cluster: shards', `cluster: ${name}`)));
      assert.match((await wrong.granary(['doctor'])).stdout, new RegExp(`FAILED +source ch, node .*it does not know the cluster '${seen}'`));
    }
  });
});

describe('a shard that is away', { skip: house.missing }, () => {
  const main = `{name: main, ${stored}, dimensions: [status], time_dimension: created_at, granularity: day}`;
  const query = { measures, dimensions: ['orders.status'], timeDimensions: [{ dimension: 'orders.created_at', dateRange: ['2024-02-01', '2024-03-31'] }] };
  const more = `  shards: ${cluster.config}\n`;

  test('is an error and never half an answer', async (t) => {
    const server = await serve(t, files([main], more, ', store: shards'));
    const whole = await server.result(query);
    assert.deepEqual(Server.served(whole), ['orders.main']);
    cluster.stop(2);
    const answer = await server.load(query);
    assert.equal(answer.body.id, 'engine.io', answer.text);
    assert.match(answer.body.error, /data source "shards"/);
    cluster.again(2);
    await until('the shard to be back', async () => (await server.load(query)).status === 200);
    assert.deepEqual(numbers((await server.result(query)).data, ['orders.status', ...measures]), numbers(whole.data, ['orders.status', ...measures]));
  });
  test('a part that somebody dropped on one of them: the rollup is built again', async (t) => {
    const server = await serve(t, files([main.replace('main', 'torn')], more, ', store: shards'));
    const whole = await server.result(query);
    assert.deepEqual(Server.served(whole), ['orders.torn']);
    const [[table]] = await cluster.sql("SELECT concat(database, '.', name) FROM system.tables WHERE name LIKE 'orders_torn%_l'", 1);
    await cluster.sql(`DROP TABLE ${table}`, 1);
    const again = await server.result(query);
    assert.deepEqual(numbers(again.data, ['orders.status', ...measures]), numbers(whole.data, ['orders.status', ...measures]));
    await until('the rollup to serve again', async () => Server.served(await server.result(query)).length === 1);
  });
  test('makes a build fail with its name, which leaves nothing and succeeds later', async (t) => {
    const server = await serve(t, files([main.replace('main', 'late')], more, ', store: shards'));
    cluster.stop(2);
    const failed = await server.post('/ops/pre-aggregations/orders.late/build', '', { accept: 'text/event-stream' });
    assert.match(failed.text, /"status":"failed"/);
    assert.match(failed.text, /data source \\"shards\\", node http/);
    const left = async () => (await cluster.sql("SELECT name FROM system.tables WHERE name LIKE 'orders_late%'")).length;
    assert.equal(await left(), 0);
    cluster.again(2);
    const built = await server.post('/ops/pre-aggregations/orders.late/build?force=true', '', { accept: 'text/event-stream' });
    assert.match(built.text, /"status":"active"/);
    assert.equal(await left(), 2);
  });
});
