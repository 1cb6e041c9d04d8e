// PostgreSQL as a data source: rollups in Granary's store and beside the data, pieces of both in one answer, and what
// goes wrong with servers.
import assert from 'node:assert/strict';
import { after, describe, test } from 'node:test';
import path from 'node:path';
import { Database } from './duckdb.mjs';
import { Server, serve, shared, until, workspace } from './helpers.mjs';
import { Postgres } from './postgres.mjs';

const pg = new Postgres();
after(() => pg.close());

if (!pg.missing)
  pg.sql(`CREATE TABLE users AS SELECT i AS id, (ARRAY['DE', 'US', 'FR'])[1 + i % 3] AS country FROM generate_series(1, 100) i;
    CREATE TABLE orders AS SELECT i AS id, 1 + i % 100 AS user_id, (ARRAY['new', 'done', 'Lost', NULL])[1 + i % 4] AS status,
      (i % 500)::numeric / 100 AS amount, timestamptz '2024-01-01+00' + i * interval '31 minutes' AS created_at FROM generate_series(1, 9000) i;
    CREATE SCHEMA sales; CREATE TABLE sales.deals AS SELECT i AS id, i * 2 AS n FROM generate_series(1, 10) i;
    CREATE TABLE names AS SELECT i AS id, (ARRAY['b', 'A', 'a', 'B', 'ä'])[i] COLLATE "und-x-icu" AS name FROM generate_series(1, 5) i`);

const orders = (preaggs) => `cubes:
  - name: orders
    sql_table: public.orders
    joins:
      - {name: users, sql: "{CUBE}.user_id = {users.id}", relationship: many_to_one}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: status, sql: status, type: string}
      - {name: created_at, sql: created_at, type: time}
    measures:
      - {name: count, type: count}
      - {name: total, sql: amount, type: sum}
      - {name: average, sql: amount, type: avg}
      - {name: spread, sql: "stddev_samp({CUBE}.amount)", type: number}
      - {name: buyers, sql: user_id, type: count_distinct_approx}
      - {name: thirds, sql: "{count} / 3", type: number}
      - {name: share, sql: "{total} / {count}", type: number}
    pre_aggregations:
${preaggs.map((p) => `      - ${p}`).join('\n')}
  - name: users
    sql_table: public.users
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: country, sql: country, type: string}
`;

const measures = ['orders.count', 'orders.total', 'orders.average', 'orders.spread', 'orders.buyers', 'orders.thirds', 'orders.share'];
const stored = 'measures: [count, total, average, spread, buyers]';
const files = (preaggs, sources = `default: ${pg.config}`) => ({
  'granary.yml': `data_sources:\n  ${sources}\nmodel: model\nstorage: {source_schema: pre}\ncache: {max_bytes: 0}\n`,
  'model/orders.yml': orders(preaggs),
});

const number = (value) => (value === null ? null : Number(value));
const near = (a, b) => a === b || Math.abs(a - b) <= 1e-9 * Math.max(1, Math.abs(a), Math.abs(b));

// All measures by status, as SQL says.
async function assertByStatus(server, query = {}, where = '', serves) {
  const result = await server.result({ measures, dimensions: ['orders.status'], order: { 'orders.status': 'asc' }, ...query });
  const expected = pg.sql(`SELECT status, count(*), sum(amount), avg(amount)::float8, stddev_samp(amount::float8), count(DISTINCT user_id), count(*) / 3,
    sum(amount) / count(*) FROM orders ${where} GROUP BY 1 ORDER BY status COLLATE "C" NULLS LAST`);
  const rows = result.data.map((row) => [row['orders.status'] ?? '', ...measures.map((m) => number(row[m]))]);
  assert.equal(rows.length, expected.length);
  rows.forEach((row, i) => {
    assert.equal(row[0], expected[i][0]);
    row.slice(1).forEach((value, k) => assert.ok(near(value, Number(expected[i][k + 1])), `${measures[k]} of ${row[0]}: ${value}, expected ${expected[i][k + 1]}`));
  });
  if (serves) assert.deepEqual(Server.served(result), serves);
  return result;
}

describe('answers', { skip: pg.missing }, () => {
  const main = `{name: main, ${stored}, dimensions: [status], time_dimension: created_at, granularity: day}`;
  const parts = `{name: parts, ${stored}, dimensions: [status], time_dimension: created_at, granularity: day, partition_granularity: month}`;
  const beside = `{name: beside, external: false, ${stored}, dimensions: [status], time_dimension: created_at, granularity: day, indexes: [{name: by_status, columns: [status, CUBE.created_at]}]}`;
  const plain = shared(files(['{name: none, measures: [count], dimensions: [users.country]}']));
  const inStore = shared(files([main]));
  const inParts = shared(files([parts]));
  const inSource = shared(files([beside]));
  const aligned = { timeDimensions: [{ dimension: 'orders.created_at', dateRange: ['2024-02-01', '2024-03-31'] }] };
  const cut = { timeDimensions: [{ dimension: 'orders.created_at', dateRange: ['2024-02-01T05:00:00', '2024-03-31T17:00:00'] }] };
  const alignedWhere = "WHERE created_at >= '2024-02-01+00' AND created_at < '2024-04-01+00'";
  const cutWhere = "WHERE created_at >= '2024-02-01 05:00+00' AND created_at <= '2024-03-31 17:00+00'";

  test('from the source, with its own division of integers', async () => {
    const result = await assertByStatus(plain, {}, '', []);
    assert.equal(result.dbType, 'postgres');
  });
  test('from a rollup in the store', () => assertByStatus(inStore, aligned, alignedWhere, ['orders.main']));
  test('from partitions in the store', () => assertByStatus(inParts, aligned, alignedWhere, ['orders.parts']));
  test('from a rollup beside the data', () => assertByStatus(inSource, aligned, alignedWhere, ['orders.beside']));
  test('from a rollup in the store and the source at its edges', () => assertByStatus(inStore, cut, cutWhere, ['orders.main']));
  test('from a rollup beside the data and the source at its edges', () => assertByStatus(inSource, cut, cutWhere, ['orders.beside']));

  test('tables beside the data lie in the schema of the configuration, with their indexes', async () => {
    await assertByStatus(inSource, aligned, alignedWhere);
    const indexes = pg.sql("SELECT indexdef FROM pg_indexes WHERE schemaname = 'pre'");
    assert.match(indexes[0]?.[0] ?? '', /\(orders__status, orders__created_at_day\)/);
  });
  test('an unbuilt version is dropped when another is built', async () => {
    const before = pg.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'pre'");
    const order = await inSource.post('/pre-aggregations/orders.beside/partitions:refresh', { force: true });
    assert.ok(order.status < 300, order.text);
    await until('the old table to go', () => pg.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'pre'")[0][0] === before[0][0]);
    await assertByStatus(inSource, aligned, alignedWhere, ['orders.beside']);
  });
  test('what is compared says that they are equal', async () => {
    for (const [server, name] of [[inStore, 'orders.main'], [inParts, 'orders.parts'], [inSource, 'orders.beside']]) {
      await assertByStatus(server, aligned, alignedWhere);
      const run = await server.granary(['preagg', 'verify', name, '--json']);
      assert.equal(run.code, 0, run.stderr);
      assert.doesNotMatch(run.stdout, /quarantined": [1-9]/);
    }
  });
  test('explain shows what is fetched from where', async () => {
    const { queries } = await inStore.explain({ measures: ['orders.count'], dimensions: ['orders.status'], ...cut }).then((body) => ({ queries: [body].flat() }));
    const [first] = queries;
    assert.match(first.sql, /temp\.main\.granary_f0/);
    assert.deepEqual(first.fetches.map(({ source, table }) => [source, table]), [['default', 'granary_f0'], ['default', 'granary_f1']]);
    assert.match(first.fetches[0].sql, /FROM public\.orders/);
    assert.equal(first.fetches[0].params.length, 2);
  });
});

describe('order, names and schemas', { skip: pg.missing }, () => {
  const cube = (name, table, column, source = '') => `  - name: ${name}
    sql_table: ${table}
${source}    dimensions:
      - {name: ${column}, sql: ${column}, type: string}
    measures: [{name: count, type: count}]
`;
  test('texts are ordered by their bytes, as in the store', async (t) => {
    const server = await serve(t, { 'granary.yml': `data_sources: {default: ${pg.config}}\nmodel: model\n`, 'model/n.yml': `cubes:\n${cube('names', 'names', 'name')}` });
    const rows = await server.rows({ measures: ['names.count'], dimensions: ['names.name'], order: { 'names.name': 'asc' }, limit: 3 });
    assert.deepEqual(rows.map((row) => row['names.name']), ['A', 'B', 'a']);
  });
  test('names that are longer than the database has them', async (t) => {
    const name = `a_cube_whose_name_is_so_long_that_with_a_member_it_passes_${'x'.repeat(30)}`;
    const preagg = '    pre_aggregations: [{name: r, external: false, measures: [count], dimensions: [n_one, n_two]}]\n';
    const model = `cubes:\n  - name: ${name}\n    sql_table: sales.deals\n    dimensions:\n      - {name: n_one, sql: n, type: number}\n      - {name: n_two, sql: n + 1, type: number}\n    measures: [{name: count, type: count}]\n${preagg}`;
    const server = await serve(t, { 'granary.yml': `data_sources: {default: ${pg.config}}\nmodel: model\nstorage: {source_schema: pre_long}\n`, 'model/n.yml': model });
    const result = await server.result({ measures: [`${name}.count`], dimensions: [`${name}.n_one`, `${name}.n_two`], order: { [`${name}.n_two`]: 'asc' } });
    assert.equal(result.data.length, 10);
    assert.equal(Number(result.data[9][`${name}.n_two`]), 21);
    assert.deepEqual(Server.served(result), [`${name}.r`]);
  });
  test('a schema of the configuration is where plain names are looked for', async (t) => {
    const server = await serve(t, { 'granary.yml': `data_sources: {default: ${pg.config.replace('}', ', schema: sales}')}}\nmodel: model\n`, 'model/n.yml': `cubes:\n${cube('deals', 'deals', 'n')}` });
    assert.equal(Number((await server.rows({ measures: ['deals.count'] }))[0]['deals.count']), 10);
  });
  describe('types that are texts in rollups are texts at the source', () => {
    const kinds = { mood: "(ARRAY['new','paid','shipped','cancelled'])[1 + i % 4]::mood", id: "('00000000-0000-0000-0000-0000000000' || lpad(to_hex(170 + i % 3), 2, '0'))::uuid", at: "make_time(i % 24, i % 7, 0)", code: "('c' || i % 3)::char(6)", doc: "jsonb_build_object('b', i % 2, 'aa', 1)", raw: "json_build_object('b', i % 2)", ci: "(ARRAY['Ab','aB','x'])[1 + i % 3]::citext", word: "(ARRAY['b','B','a','_c'])[1 + i % 4]" };
    const names = Object.keys(kinds);
    const model = (more) => `cubes:
  - name: odd
    sql_table: sales.odd
    dimensions:
${names.map((n) => `      - {name: ${n}, sql: '${n}', type: string}\n`).join('')}      - {name: day, sql: day, type: time}
    measures: [{name: count, type: count}, {name: top_mood, type: max, sql: mood}, {name: low_word, type: min, sql: word}, {name: top_word, type: max, sql: word}]
${more ? `    pre_aggregations:\n      - {name: ends, ${more}, measures: [top_mood, low_word, top_word], dimensions: [code, word], time_dimension: day, granularity: day}\n${names.map((n) => `      - {name: by_${n}, ${more}, measures: [count], dimensions: [${n}], time_dimension: day, granularity: day, partition_granularity: month}\n`).join('')}` : ''}`;
    const filters = [['mood', 'gt', 'new'], ['mood', 'lt', 'paid'], ['mood', 'contains', 'AI'], ['mood', 'equals', 'nothing'], ['id', 'equals', '00000000-0000-0000-0000-0000000000AA'], ['id', 'equals', '00000000-0000-0000-0000-0000000000aa'], ['at', 'gt', '12:00'], ['at', 'equals', '01:01:00'], ['code', 'equals', 'c1'], ['code', 'endsWith', '1'], ['doc', 'equals', '{"aa": 1, "b": 1}'], ['doc', 'equals', '{"b": 1, "aa": 1}'], ['raw', 'notEquals', '{"b" : 1}'], ['ci', 'equals', 'AB'], ['ci', 'equals', 'aB'], ['word', 'gt', 'a'], ['word', 'lte', 'B']];
    const dateRange = ['2024-01-01', '2024-03-31'];
    const results = {};
    const cases = { 'from the source': '', 'from the store': 'external: true', 'from beside the data': 'external: false' };
    for (const [what, more] of Object.entries(cases))
      test(what, async (t) => {
        pg.sql(`CREATE EXTENSION IF NOT EXISTS citext; DO $$ BEGIN CREATE TYPE mood AS ENUM ('new','paid','shipped','cancelled'); EXCEPTION WHEN duplicate_object THEN NULL; END $$; DROP TABLE IF EXISTS sales.odd; CREATE TABLE sales.odd AS SELECT ${names.map((n) => `${kinds[n]} AS ${n}`).join(', ')}, timestamp '2024-01-01' + i * interval '1 hour' AS day FROM generate_series(0, 1999) i`);
        const server = await serve(t, { 'granary.yml': `data_sources: {default: ${pg.config}}\nmodel: model\nstorage: {source_schema: pre_odd}\n`, 'model/n.yml': model(more) });
        const seen = [];
        for (const [name, operator, value] of filters) {
          const result = await server.result({ measures: ['odd.count'], filters: [{ member: `odd.${name}`, operator, values: [value] }], timeDimensions: [{ dimension: 'odd.day', dateRange }] });
          assert.deepEqual(Server.served(result), more ? [`odd.by_${name}`] : []);
          seen.push([name, operator, value, Number(result.data[0]['odd.count'])]);
        }
        const ends = await server.result({ measures: ['odd.top_mood', 'odd.low_word', 'odd.top_word'], dimensions: ['odd.code'], order: { 'odd.code': 'asc' }, timeDimensions: [{ dimension: 'odd.day', dateRange }] });
        assert.deepEqual(Server.served(ends), more ? ['odd.ends'] : []);
        seen.push(ends.data.map((row) => [row['odd.code'], row['odd.top_mood'], row['odd.low_word'], row['odd.top_word']]));
        assert.deepEqual(seen.at(-1)[0].slice(1), ['shipped', 'B', 'b']);
        for (const name of names) {
          const result = await server.result({ measures: ['odd.count'], dimensions: [`odd.${name}`], order: { [`odd.${name}`]: 'asc' }, limit: 3, timeDimensions: [{ dimension: 'odd.day', dateRange }] });
          seen.push(result.data.map((row) => [row[`odd.${name}`], Number(row['odd.count'])]));
        }
        results[what] = seen;
        assert.deepEqual(seen, results['from the source']);
        assert.ok(seen.slice(0, filters.length).some(([, , , n]) => n > 0));
      });
  });
  describe('SQL of members is worked out by PostgreSQL, or alike', () => {
    // One row for each i: sums are halves, which engines round differently, and quotients that floating point has not.
    const number = { same: '{total} / {count}', wide: '{total}::float / {count} / 3', cents: 'ROUND({total} / {count} / 100, 2)', big: 'ROUND({total} * 100000000000000.01, 2)', quote: "CASE WHEN {count} > 1 THEN 0.1 * {total} ELSE -1 END", whole: '{total}::int', text: "to_char({total}, 'FM990.0')", power: '{count} # 5', nested: '{whole} + 1' };
    const common = ['same', 'wide', 'cents', 'big', 'quote'];
    const string = { tag: "{name} || '!'", upper: 'upper({name})', like: "CASE WHEN {name} ~ 'a' THEN 'y' ELSE 'n' END" };
    const model = (more) => `cubes:
  - name: half
    sql: SELECT i, 'ab' || i AS name, timestamp '2024-01-01' + i * interval '1 day' AS day, (i + 0.5)::numeric(10, 1) AS x FROM generate_series(0, 9) i
    dimensions:
      - {name: i, sql: i, type: number, primary_key: true, public: true}
      - {name: name, sql: name, type: string}
      - {name: day, sql: day, type: time}
${Object.entries(string).map(([n, sql]) => `      - {name: ${n}, sql: "${sql}", type: string}\n`).join('')}    measures:
      - {name: count, type: count}
      - {name: total, sql: x, type: sum}
      - {name: running, sql: x, type: sum, rolling_window: {trailing: unbounded}}
${Object.entries(number).map(([n, sql]) => `      - {name: ${n}, sql: "${sql}", type: ${n === 'text' ? 'string' : 'number'}}\n`).join('')}    pre_aggregations:
      - {name: main, ${more}, measures: [count, total], dimensions: [i, name], time_dimension: day, granularity: day}
`;
    const config = { 'granary.yml': `data_sources: {default: ${pg.config}}\nmodel: model\nstorage: {source_schema: pre_half}\ncache: {max_bytes: 0}\n` };
    for (const [where, more] of Object.entries({ 'in the store': 'external: true', 'beside the data': 'external: false' }))
      test(`a rollup ${where}`, async (t) => {
        const server = await serve(t, { ...config, 'model/n.yml': model(more) });
        const isBeside = where !== 'in the store';
        const ask = async (query, isServed, rule) => {
          const order = { 'half.i': 'asc' };
          const served = await server.result({ ...query, order });
          const source = await server.result({ ...query, order }, '?without_rollups=1');
          assert.deepEqual(Server.served(source), []);
          assert.deepEqual(Server.served(served), isServed ? ['half.main'] : [], JSON.stringify(query));
          const value = (v) => (v === null || !/^-?[0-9.]+(e[+-]?[0-9]+)?$/.test(v) ? v : Number(Number(v).toPrecision(14)));
          const rows = (result) => result.data.map((row) => Object.values(row).map(value));
          assert.deepEqual(rows(served), rows(source));
          assert.ok(served.data.length >= 1);
          if (rule) assert.ok(JSON.stringify(await server.explain({ ...query, order })).includes(rule));
        };
        for (const name of Object.keys(number)) await ask({ measures: [`half.${name}`], dimensions: ['half.i'] }, isBeside || common.includes(name), isBeside || common.includes(name) ? '' : 'match.engine_sql');
        for (const name of Object.keys(string)) await ask({ measures: ['half.count'], dimensions: ['half.i', `half.${name}`] }, isBeside || name === 'tag');
        // Where rows of several readings meet, there is no other engine to ask.
        const times = { timeDimensions: [{ dimension: 'half.day', granularity: 'day', dateRange: ['2024-01-01', '2024-01-05'] }] };
        const refused = await server.load({ measures: ['half.running', 'half.whole'], ...times });
        assert.equal(refused.status, 400, refused.text);
        assert.match(refused.text, /plan\.unsupported/);
        assert.match(refused.text, /\{total\}::int/);
        assert.equal((await server.rows({ measures: ['half.running', 'half.cents'], ...times })).length, 5);
      });
  });
  test('numbers in filters that are wider than 64 bits', async (t) => {
    const cubes = `cubes:\n  - {name: wide, sql: 'SELECT 9223372036854775807 - i AS n, (9223372036854775807.25 - i)::numeric(30,2) AS d FROM generate_series(0, 3) i', dimensions: [{name: n, sql: n, type: number}, {name: d, sql: d, type: number}], measures: [{name: count, type: count}]}\n`;
    const server = await serve(t, { 'granary.yml': `data_sources: {default: ${pg.config}}\nmodel: model\n`, 'model/n.yml': cubes });
    const count = async (member, operator, value) => Number((await server.rows({ measures: ['wide.count'], filters: [{ member, operator, values: [value] }] }))[0]['wide.count']);
    assert.equal(await count('wide.n', 'lt', '9223372036854775808'), 4);
    assert.equal(await count('wide.n', 'gt', '99999999999999999999'), 0);
    assert.equal(await count('wide.n', 'gte', '9223372036854775805.5'), 2);
    assert.equal(await count('wide.d', 'gt', '9223372036854775806.25'), 1);
    assert.equal(await count('wide.d', 'equals', '9223372036854775805.25'), 1);
  });
  test('two sources in one model; one query does not mix them', async (t) => {
    const server = await serve(t, {
      'granary.yml': `data_sources:\n  default: {type: duckdb, path: data}\n  pg: ${pg.config}\nmodel: model\n`,
      'data/local.csv': 'n\n1\n2\n',
      'model/n.yml': `cubes:\n${cube('local', 'local', 'n')}${cube('deals', 'sales.deals', 'n', '    data_source: pg\n')}`,
    });
    assert.equal(Number((await server.rows({ measures: ['local.count'] }))[0]['local.count']), 2);
    assert.equal(Number((await server.rows({ measures: ['deals.count'] }))[0]['deals.count']), 10);
    const mixed = await server.load({ measures: ['local.count', 'deals.count'] });
    assert.equal(mixed.status, 400, mixed.text);
  });
});

describe('rollups in a database that is neither the source nor the store', { skip: pg.missing }, () => {
  const local = async (folder) => {
    const db = await Database.open(path.join(folder, 'other.duckdb'));
    await db.run('CREATE TABLE nothing (n INTEGER)');
    db.close();
  };
  const columns = ['orders.count', 'orders.total', 'orders.buyers'];
  const query = (dateRange) => ({ measures: columns, dimensions: ['orders.status'], order: { 'orders.status': 'asc' }, timeDimensions: [{ dimension: 'orders.created_at', dateRange }] });
  const whole = query(['2024-02-01', '2024-03-31']);
  const cut = query(['2024-02-01T05:00:00', '2024-03-31T17:00:00']);
  const rollup = (store, more = '') => `{name: main, store: ${store}, measures: [count, total, buyers], dimensions: [status], time_dimension: created_at, granularity: day${more}}`;
  const rows = (result) => result.data.map((row) => [row['orders.status'], ...columns.map((m) => number(row[m]))]);

  async function assertServed(server, serves) {
    for (const q of [whole, cut]) {
      const result = await server.result(q), plain = await server.result({ ...q, ungrouped: false, measures: [...columns, 'orders.spread'] });
      assert.deepEqual(Server.served(result), serves);
      assert.deepEqual(Server.served(plain), []);
      const [a, b] = [rows(result), rows(plain)];
      assert.equal(a.length, b.length);
      a.forEach((row, i) => row.forEach((v, k) => assert.ok(k ? near(v, b[i][k]) : v === b[i][k], `${v}, and from the source ${b[i][k]}`)));
    }
    const run = await server.granary(['preagg', 'verify', 'orders.main', '--json']);
    assert.equal(run.code, 0, run.stderr);
  }

  for (const more of ['', ', partition_granularity: month'])
    test(`from PostgreSQL into a DuckDB file${more && ', in partitions'}`, async (t) => {
      const server = new Server(undefined, { prepare: local });
      t.after(() => server.close());
      await server.open(files([rollup('other', more)], `default: ${pg.config}\n  other: {type: duckdb, path: other.duckdb}`));
      await assertServed(server, ['orders.main']);
    });
  for (const more of ['', ', partition_granularity: month'])
    test(`from files into PostgreSQL${more && ', in partitions'}`, async (t) => {
      const server = new Server(undefined, {});
      t.after(() => server.close());
      const csv = pg.sql("SELECT id, user_id, status, amount, to_char(created_at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS') FROM orders ORDER BY id").map((row) => row.join(','));
      const model = files([rollup('away', more)], `default: {type: duckdb, path: data}\n  away: ${pg.config}`);
      await server.open({ ...model, 'model/orders.yml': model['model/orders.yml'].replaceAll('public.', ''), 'data/orders.csv': `id,user_id,status,amount,created_at\n${csv.join('\n')}\n`, 'data/users.csv': 'id,country\n1,DE\n' });
      await assertServed(server, ['orders.main']);
      assert.ok(pg.sql("SELECT count(*) FROM pg_tables WHERE schemaname = 'pre' AND tablename LIKE 'orders_main%'")[0][0] > 0);
    });
  test('a build tells how many rows and bytes went from one place to the other', async (t) => {
    const server = new Server(undefined, {});
    t.after(() => server.close());
    await server.open(files([rollup('away', ', partition_granularity: month')], `default: ${pg.config}\n  away: ${pg.config}`));
    const { text } = await server.post('/ops/pre-aggregations/orders.main/build', '', { accept: 'text/event-stream' });
    const last = JSON.parse([...text.matchAll(/^data: (.*)$/gm)].at(-1)[1]);
    assert.equal(last.status, 'active', text);
    assert.equal(last.transfer.rows, last.rows, text);
    assert.ok(last.transfer.bytes > 8 * last.rows && last.transfer.rows_per_second > 0 && last.transfer.bytes_per_second > 0, text);
  });
  test('from PostgreSQL into another PostgreSQL database, as the configuration says for all', async (t) => {
    pg.sql('CREATE DATABASE elsewhere');
    const server = new Server(undefined, {});
    t.after(() => server.close());
    const model = files([rollup('away').replace('store: away, ', '')], `default: ${pg.config}\n  away: ${pg.config.replace('database: postgres', 'database: elsewhere')}`);
    model['granary.yml'] = model['granary.yml'].replace('storage: {', 'storage: {store: away, ');
    await server.open(model);
    await assertServed(server, ['orders.main']);
  });
  test('measures over measures of a DuckDB source are worked out as DuckDB does', async (t) => {
    const server = await serve(t, {
      'granary.yml': `data_sources:\n  default: {type: duckdb, path: data}\n  away: ${pg.config}\nmodel: model\nstorage: {store: away}\ncache: {max_bytes: 0}\n`,
      'data/parts.csv': 'id,kind,n\n1,a,2\n2,a,3\n3,b,7\n',
      'model/m.yml': `cubes:
  - name: parts
    sql_table: parts
    dimensions: [{name: kind, sql: kind, type: string}, {name: n, sql: n, type: number}, {name: half, sql: '{n} / 2', type: number}]
    measures: [{name: count, type: count}, {name: total, sql: n, type: sum}, {name: share, sql: '{total} / {count}', type: number}]
    pre_aggregations: [{name: main, measures: [count, total], dimensions: [kind, n]}]
`,
    });
    const shares = { measures: ['parts.share'], dimensions: ['parts.kind'], order: { 'parts.kind': 'asc' } };
    const served = await server.result(shares);
    assert.deepEqual(Server.served(served), ['parts.main']);
    assert.deepEqual(served.data.map((row) => Number(row['parts.share'])), [2.5, 7]);
    const halves = await server.result({ measures: ['parts.count'], dimensions: ['parts.half'], order: { 'parts.half': 'asc' } });
    assert.deepEqual(halves.data.map((row) => Number(row['parts.half'])), [1, 1.5, 3.5]);
    assert.deepEqual(Server.served(halves), []);
  });
  test('distribute_by is handed to Citus, where it is', async (t) => {
    // A stand-in for the function of Citus, which Debian does not have.
    pg.sql('CREATE DATABASE spread');
    const inside = Object.assign(Object.create(Postgres.prototype), { connection: pg.connection.replace('dbname=postgres', 'dbname=spread') });
    inside.sql(`CREATE TABLE calls (what text, by_what text); CREATE FUNCTION create_distributed_table(t regclass, c text) RETURNS void LANGUAGE sql AS $$ INSERT INTO calls VALUES (t::text, c) $$`);
    const build = async (by) => {
      const server = await serve(t, files([rollup('away', `, distribute_by: ${by}`)], `default: ${pg.config}\n  away: ${pg.config.replace('database: postgres', 'database: spread')}`));
      return (await server.post('/ops/pre-aggregations/orders.main/build', '', { accept: 'text/event-stream' })).text;
    };
    assert.match(await build('status'), /"status":"active"/);
    assert.match(inside.sql('SELECT what, by_what FROM calls').join(), /^granary\.orders_main_[0-9a-z_]+,orders__status$|^pre\.orders_main_[0-9a-z_]+,orders__status$/);
    assert.match(await build('colour'), /'orders\.main' is distributed by 'colour', which is none of its dimensions/);
  });
  test('a store that is no data source is refused, with its place', async (t) => {
    const run = await workspace(t, files([rollup('nowhere')])).granary(['check']);
    assert.notEqual(run.code, 0);
    assert.match(run.stdout + run.stderr, /orders\.yml:\d+:\d+: .*'orders\.main' is to be kept in 'nowhere': there is no such data source/);
  });
});

describe('sketches by the extension hll', { skip: pg.missing || (!pg.has('hll') && 'the extension hll is not installed') }, () => {
  test('their bytes are made there and read here', async (t) => {
    pg.sql('CREATE DATABASE sketched');
    const config = pg.config.replace('database: postgres', 'database: sketched');
    const inside = (text) => pg.sql(text);
    inside('SELECT 1');
    const other = Object.assign(Object.create(Postgres.prototype), { connection: pg.connection.replace('dbname=postgres', 'dbname=sketched') });
    other.sql('CREATE EXTENSION hll; CREATE TABLE users AS SELECT 1 AS id, 2 AS country LIMIT 0; CREATE TABLE orders AS SELECT i AS id, i % 700 AS user_id, (i % 3)::text AS status, 1.5 AS amount, timestamp \'2024-01-01\' + i * interval \'1 hour\' AS created_at FROM generate_series(1, 5000) i');
    const day = 'time_dimension: created_at, granularity: day';
    const external = await serve(t, files([`{name: main, measures: [buyers], dimensions: [status], ${day}}`], `default: ${config}`));
    const internal = await serve(t, files([`{name: main, external: false, measures: [buyers], dimensions: [status], ${day}}`], `default: ${config}`));
    const query = { measures: ['orders.buyers'], dimensions: ['orders.status'], order: { 'orders.status': 'asc' } };
    const expected = other.sql('SELECT status, round(hll_cardinality(hll_add_agg(hll_hash_bigint(user_id)))::numeric) FROM orders GROUP BY 1 ORDER BY 1');
    for (const server of [external, internal]) {
      const result = await server.result(query);
      assert.deepEqual(Server.served(result), ['orders.main']);
      assert.deepEqual(result.data.map((row) => [row['orders.status'], String(row['orders.buyers'])]), expected);
    }
  });
});

describe('servers that fail', { skip: pg.missing }, () => {
  const local = 'default: {type: duckdb, path: data}\n  pg: ';
  const count = (cube) => ({ measures: [`${cube}.count`] });
  const cubes = `cubes:
  - {name: local, sql_table: local, measures: [{name: count, type: count}]}
  - {name: deals, data_source: pg, sql_table: sales.deals, measures: [{name: count, type: count}]}
`;
  const two = (config) => ({ 'granary.yml': `data_sources:\n  ${local}${config}\nmodel: model\ncache: {max_bytes: 0}\n`, 'data/local.csv': 'n\n1\n', 'model/m.yml': cubes });

  test('one that is down at the start: other sources answer, and it does when it is there', async (t) => {
    pg.stop();
    const server = await serve(t, two(pg.config));
    assert.equal(Number((await server.rows(count('local')))[0]['local.count']), 1);
    const down = await server.load(count('deals'));
    assert.equal(down.body.id, 'engine.open');
    assert.match(down.body.error, /data source "pg" cannot be reached/);
    pg.again();
    await until('the source to answer', async () => (await server.load(count('deals'))).status === 200);
    assert.equal(Number((await server.rows(count('deals')))[0]['deals.count']), 10);
  });
  test('a restart in between is noticed and got over', async (t) => {
    const server = await serve(t, two(pg.config));
    assert.equal((await server.load(count('deals'))).status, 200);
    pg.stop();
    assert.ok((await server.load(count('deals'))).status >= 500);
    pg.again();
    assert.equal((await server.load(count('deals'))).status, 200);
  });
  test('a wrong password is told without it', async (t) => {
    pg.sql("DO $$ BEGIN CREATE ROLE locked LOGIN PASSWORD 'right'; EXCEPTION WHEN duplicate_object THEN NULL; END $$");
    const server = await serve(t, two(pg.config.replace('user: postgres', "user: locked, password: 'w%rong/pass wörd'")));
    const answer = await server.load(count('deals'));
    assert.ok(answer.status >= 400);
    assert.match(answer.text, /password authentication failed/);
    for (const text of [answer.text, server.log(), (await server.granary(['doctor'])).stdout]) assert.doesNotMatch(text, /w%rong/);
  });
  test('a right password with odd characters, by itself and in a url', async (t) => {
    const password = `w%r@ng/pa:ss wö'rd"\\`;
    pg.sql(`DO $$ BEGIN CREATE ROLE odd LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$; ALTER ROLE odd PASSWORD '${password.replaceAll("'", "''")}'; GRANT USAGE ON SCHEMA sales TO odd; GRANT SELECT ON ALL TABLES IN SCHEMA sales TO odd`);
    const ways = [pg.config.replace('user: postgres', `user: odd, password: '${password.replaceAll("'", "''")}'`), `{type: postgres, url: 'postgres://odd:${encodeURIComponent(password).replaceAll("'", '%27')}@127.0.0.1:${pg.port}/postgres'}`];
    for (const config of ways) {
      const server = await serve(t, two(config));
      assert.equal(Number((await server.rows(count('deals')))[0]['deals.count']), 10);
      assert.ok(!server.log().includes('w%r@ng') && !(await server.granary(['doctor'])).stdout.includes('w%r@ng'));
    }
  });
  test('names with quotes, spaces and reserved words', async (t) => {
    pg.sql(`DROP TABLE IF EXISTS sales."se ""lect"" 'x'"; CREATE TABLE sales."se ""lect"" 'x'" AS SELECT i AS id, i % 3 AS "group", 'v' || i % 2 AS "a ""b"" 'c'" FROM generate_series(1, 60) i`);
    const model = `cubes:
  - name: odd
    data_source: pg
    sql_table: sales."se ""lect"" 'x'"
    dimensions:
      - {name: group, sql: '{CUBE}."group"', type: number}
      - {name: table, sql: "{CUBE}.\\"a \\"\\"b\\"\\" 'c'\\"", type: string}
    measures: [{name: count, type: count}, {name: order, type: sum, sql: '{CUBE}.id'}]
    pre_aggregations:
      - {name: select, external: false, measures: [count, order], dimensions: [group, table]}
`;
    const config = { ...two(pg.config), 'model/m.yml': model };
    const query = { measures: ['odd.count', 'odd.order'], dimensions: ['odd.group', 'odd.table'], order: { 'odd.group': 'asc', 'odd.table': 'asc' } };
    const wanted = pg.sql(`SELECT "group", "a ""b"" 'c'", count(*), sum(id) FROM sales."se ""lect"" 'x'" GROUP BY 1, 2 ORDER BY 1, 2`);
    for (const [text, served] of [[model, ['odd.select']], [model.replace('external: false', 'external: true'), ['odd.select']], [model.replace(/ {4}pre_agg[^]*/, ''), []]]) {
      const server = await serve(t, { ...config, 'model/m.yml': text });
      const result = await server.result(query);
      assert.deepEqual(result.data.map((row) => ['odd.group', 'odd.table', 'odd.count', 'odd.order'].map((name) => String(row[name]))), wanted);
      assert.deepEqual(Server.served(result), served);
    }
  });
  for (const place of ['external: false', 'external: true'])
    test(`a restart in a build (${place}): it fails with the reason, leaves nothing, and the next one is whole`, async (t) => {
      const model = cubes.replace('sql_table: sales.deals', "sql: 'SELECT n FROM sales.deals WHERE pg_sleep(0.3) IS NOT NULL'").replace(/count}]}\n$/, `count}], dimensions: [{name: n, sql: n, type: number}], pre_aggregations: [{name: main, ${place}, measures: [count], dimensions: [n]}]}\n`);
      const tables = () => Number(pg.sql("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'deals_main%'")[0][0]);
      const before = tables();
      const server = await serve(t, { ...two(pg.config), 'model/m.yml': model });
      const route = '/ops/pre-aggregations/deals.main/build';
      const building = server.post(route, '', { accept: 'text/event-stream' });
      await until('the build to run', () => Number(pg.sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(0.3)%' AND state = 'active' AND pid <> pg_backend_pid()")[0][0]) === 1);
      pg.stop();
      pg.again();
      const last = JSON.parse([...(await building).text.matchAll(/^data: (.*)$/gm)].at(-1)[1]);
      assert.equal(last.is_done, true);
      if (last.status === 'failed') assert.match(last.error, /terminat|connection|closed|reached/i);
      const again = await server.post(`${route}?force=true`, '', { accept: 'text/event-stream' });
      assert.match(again.text, /"status":"active"/);
      const result = await server.result({ measures: ['deals.count'], dimensions: ['deals.n'] });
      assert.equal(result.data.length, 10);
      assert.deepEqual(Server.served(result), ['deals.main']);
      assert.equal(tables() - before, place === 'external: false' ? 1 : 0);
    });
  test('a table that is dropped under a running server, and made again', async (t) => {
    pg.sql('CREATE TABLE sales.gone AS SELECT 1 AS id');
    const server = await serve(t, { ...two(pg.config), 'model/m.yml': cubes.replace('sales.deals', 'sales.gone') });
    assert.equal((await server.load(count('deals'))).status, 200);
    pg.sql('DROP TABLE sales.gone');
    const answer = await server.load(count('deals'));
    assert.ok(answer.status >= 400);
    assert.match(answer.text, /relation .*sales\.gone.* does not exist/);
    pg.sql('CREATE TABLE sales.gone AS SELECT 1 AS id UNION ALL SELECT 2');
    assert.equal(Number((await server.rows(count('deals')))[0]['deals.count']), 2);
  });
  test('a rollup whose table somebody dropped is built again', async (t) => {
    const server = await serve(t, files([`{name: beside, external: false, measures: [count], dimensions: [status]}`]));
    const query = { measures: ['orders.count'], dimensions: ['orders.status'] };
    assert.deepEqual(Server.served(await server.result(query)), ['orders.beside']);
    for (const [table] of pg.sql("SELECT tablename FROM pg_tables WHERE schemaname = 'pre'")) pg.sql(`DROP TABLE pre."${table}"`);
    const result = await server.result(query);
    assert.equal(result.data.reduce((sum, row) => sum + Number(row['orders.count']), 0), 9000);
  });
  test('a query that its reader gives up is stopped at the server', async (t) => {
    const server = await serve(t, { ...two(pg.config), 'model/m.yml': cubes.replace('sql_table: sales.deals', "sql: 'SELECT pg_sleep(30) AS id'") });
    const abort = new AbortController();
    const waiting = server.fetch('/cubejs-api/v1/load?query=' + encodeURIComponent(JSON.stringify(count('deals'))), { signal: abort.signal }).catch(() => 'aborted');
    const sleeping = () => Number(pg.sql("SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)%' AND state = 'active' AND pid <> pg_backend_pid()")[0][0]);
    await until('the query to run', () => sleeping() === 1);
    abort.abort();
    assert.equal(await waiting, 'aborted');
    await until('the query to be stopped', () => sleeping() === 0);
  });
  test('doctor says of each source what it is and what to do', async (t) => {
    const server = await serve(t, two(pg.config));
    const good = await server.granary(['doctor']);
    assert.match(good.stdout, /source pg: PostgreSQL 15.*the user may create schemas for rollups/);
    const bad = await serve(t, two('{type: postgres, host: 127.0.0.1, port: 1}'));
    const run = await bad.granary(['doctor']);
    assert.match(run.stdout, /FAILED +source pg: .*refused/);
    assert.notEqual(run.code, 0);
  });
});
