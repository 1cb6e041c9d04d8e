// Places where a stored table and its source came apart once. Every query is answered twice, with rollups and without; both
// answers are the one that is written here.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Database } from './duckdb.mjs';
import { granary, makeFolder, patience, removeFolder, Server, serve, shared, write } from './helpers.mjs';

const values = (columns, ...rows) => `sql: "SELECT * FROM (VALUES ${rows.join(', ')}) t(${columns})"`;
const model = `cubes:
  - name: taken
    ${values('id, status, amount, created_at', "(1, 'a', 10, TIMESTAMP '2024-01-01 05:00')", "(2, 'a', 20, TIMESTAMP '2024-01-01 13:00')", "(3, 'b', 30, TIMESTAMP '2024-02-10 00:00')", "(4, 'b', 40, TIMESTAMP '2024-02-10 12:00')")}
    measures:
      - {name: amount, type: avg, sql: amount}
      - {name: amount__sum, type: max, sql: amount}
      - {name: cnt, type: count}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: status, sql: status, type: string}
      - {name: created_at_day, sql: "strftime({CUBE}.created_at, '%Y')", type: string}
      - name: created_at
        sql: created_at
        type: time
        granularities:
          - {name: Day, interval: 1 day, offset: 6 hours}
    pre_aggregations:
      - {name: average, measures: [amount, amount__sum], dimensions: [status]}
      - {name: daily, measures: [cnt], dimensions: [created_at_day], time_dimension: created_at, granularity: day}
      - name: both
        measures: [cnt]
        time_dimensions:
          - {dimension: created_at, granularity: day}
          - {dimension: created_at, granularity: Day}

  - name: doubled
    ${values('id, usr, ts', "(1, 'x', TIMESTAMP '2024-11-03 05:30')", "(2, 'y', TIMESTAMP '2024-11-03 06:30')", "(3, 'z', TIMESTAMP '2024-03-10 06:30')", "(4, 'z', TIMESTAMP '2024-03-10 07:30')", "(5, 'z', TIMESTAMP '2024-03-10 07:00')")}
    measures:
      - {name: users, type: count_distinct, sql: usr}
      - {name: cnt, type: count}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: at, sql: ts, type: time}
    pre_aggregations:
      - {name: main, measures: [users, cnt], dimensions: [at]}

  - name: spelt
    ${values('id, usr, code, ts, flag, seg, big', "(1, 'x', '1', '2024-01-01', 't', 1, 12345678901234567890::UHUGEINT)", "(2, 'y', '01', '2024-01-01T00:00:00Z', 'true', 2, 12345678901234567891::UHUGEINT)", "(3, 'z', '2', '2024-01-02', 'f', 0, 5::UHUGEINT)")}
    measures:
      - {name: users, type: count_distinct, sql: usr}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: code, sql: code, type: number}
      - {name: at, sql: ts, type: time}
      - {name: flag, sql: flag, type: boolean}
      - {name: big, sql: big, type: number}
    segments:
      - {name: seg, sql: "{CUBE}.seg"}
    pre_aggregations:
      - {name: codes, measures: [users], dimensions: [code]}
      - {name: times, measures: [users], dimensions: [at]}
      - {name: flags, measures: [users], dimensions: [flag]}
      - {name: segs, measures: [users], segments: [seg]}
      - {name: bigs, measures: [users], dimensions: [big]}

  - name: logic
    ${values('id, a, b, n, amount, year, date', '(1, true, false, 1, 5, 2020, 10)', '(2, true, true, 2, 15, 2021, 11)', '(3, false, true, 3, 25, 2022, 12)', '(4, false, false, 4, 10, 2022, 12)')}
    measures:
      - {name: cnt, type: count}
      - {name: tot, type: sum, sql: n}
      - {name: big, type: boolean, sql: "{tot} > 3 OR {cnt} > 5"}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: either, sql: "{CUBE}.a OR {CUBE}.b", type: boolean}
      - {name: both, sql: "{CUBE}.a AND {CUBE}.b", type: boolean}
      - {name: large, sql: "{CUBE}.amount > 10", type: boolean}
      - {name: n, sql: n, type: number}
      - {name: y, sql: "CASE WHEN {n} > 1 THEN year ELSE 0 END", type: number}
      - {name: d, sql: "CASE WHEN {n} > 1 THEN date ELSE 0 END", type: number}
    pre_aggregations:
      - {name: flags, measures: [cnt, tot], dimensions: [either, both, large]}
      - {name: numbers, measures: [cnt, tot], dimensions: [n]}

  - name: visits
    ${values('id, ts', "(1, TIMESTAMP '2024-01-01 02:00')", "(2, TIMESTAMP '2024-01-02 10:00')", "(3, TIMESTAMP '2024-01-02 11:00')")}
    joins:
      - name: days
        relationship: many_to_one
        sql: "CAST({CUBE.at.day} AS DATE) = {days}.day"
    measures:
      - {name: cnt, type: count}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: at, sql: ts, type: time}
    pre_aggregations:
      - {name: main, measures: [cnt], dimensions: [days.holiday]}
  - name: days
    ${values('day, holiday', "(DATE '2023-12-31', 'eve')", "(DATE '2024-01-01', 'new year')", "(DATE '2024-01-02', 'none')")}
    dimensions:
      - {name: day, sql: day, type: time, primary_key: true}
      - {name: holiday, sql: holiday, type: string}

  - name: loose
    ${values('id, ts', "(1, TIMESTAMP '2024-11-03 05:30')", "(2, TIMESTAMP '2024-11-20 06:30')", "(3, TIMESTAMP '2024-12-20 06:30')", "(4, TIMESTAMP '2024-12-30 06:30')", "(5, TIMESTAMP '2024-12-31 06:30')")}
    measures:
      - {name: cnt, type: count}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: at, sql: ts, type: time}
    pre_aggregations:
      - name: main
        measures: [cnt]
        allow_non_strict_date_range_match: true
        time_dimensions:
          - {dimension: at, granularity: month}
          - {dimension: at, granularity: day}
`;

const q = (cube, measure, more = {}) => ({ measures: [`${cube}.${measure}`], ...more });
const by = (...dimensions) => ({ dimensions });
const td = (dimension, granularity) => ({ timeDimensions: [{ dimension, granularity }] });
const where = (member, operator, ...list) => ({ filters: [{ member, operator, values: list }] });
const newYork = { timezone: 'America/New_York' };
const at = (time) => `${time}:00.000`;
const sorted = (rows) => rows.map((row) => JSON.stringify(Object.entries(row).sort())).sort();

// [name, query, rows (without names of members), what serves: an id, or the rule that refuses, or null when either may be]
const twice = (server, name, query, rows, expected = null) =>
  test(name, async () => {
    const source = await server.result(query, '?without_rollups=1');
    assert.deepEqual(Server.served(source), []);
    const members = [...(query.measures ?? []), ...(query.dimensions ?? []), ...(query.timeDimensions ?? []).filter((t) => t.granularity).map((t) => `${t.dimension}.${t.granularity}`)];
    const plain = (result) => result.data.map((row) => JSON.stringify(members.map((m) => row[m]))).sort();
    const wanted = rows.map((row) => JSON.stringify(row)).sort();
    assert.deepEqual(plain(source), wanted, 'from the source');
    const result = await server.result(query);
    assert.deepEqual(plain(result), wanted, `from ${Server.served(result).join() || 'the source'}`);
    assert.deepEqual(sorted(result.data), sorted(source.data));
    if (expected === null) return;
    if (!expected.startsWith('match.')) return assert.deepEqual(Server.served(result), [expected]);
    assert.deepEqual(Server.served(result), []);
    const { refusals } = await server.explain(query);
    assert.ok(refusals.some((refusal) => refusal.rule === expected), JSON.stringify(refusals));
  });

describe('a stored table says what its source says', () => {
  const server = shared({ 'model/pitfalls.yml': model });
  const same = (...row) => twice(server, ...row);

  describe('columns that want one name', () => {
    same('an average beside a measure of the name of its sum', { measures: ['taken.amount', 'taken.amount__sum'], dimensions: ['taken.status'] }, [['15', '20', 'a'], ['35', '40', 'b']], 'taken.average');
    same('a dimension of the name of a time by day', q('taken', 'cnt', { ...by('taken.created_at_day'), ...td('taken.created_at', 'day') }), [['2', '2024', at('2024-01-01T00:00')], ['2', '2024', at('2024-02-10T00:00')]], 'taken.daily');
    same('such a time alone', q('taken', 'cnt', td('taken.created_at', 'day')), [['2', at('2024-01-01T00:00')], ['2', at('2024-02-10T00:00')]], 'taken.daily');
    same('a custom granularity Day beside day', q('taken', 'cnt', td('taken.created_at', 'Day')), [['1', at('2023-12-31T06:00')], ['1', at('2024-01-01T06:00')], ['1', at('2024-02-09T06:00')], ['1', at('2024-02-10T06:00')]], 'taken.both');
  });

  describe('exact grain, and values that the query does not tell apart', () => {
    const all = [at('2024-03-10T06:30'), at('2024-03-10T07:00'), at('2024-03-10T07:30'), at('2024-11-03T05:30'), at('2024-11-03T06:30')];
    same('times in UTC', q('doubled', 'users', by('doubled.at')), all.map((time) => ['1', time]), 'doubled.main');
    same('times over a doubled hour', q('doubled', 'users', { ...by('doubled.at'), ...newYork }), [['1', at('2024-03-10T01:30')], ['1', at('2024-03-10T03:00')], ['1', at('2024-03-10T03:30')], ['2', at('2024-11-03T01:30')]], 'match.exact_grain');
    same('numbers in texts', q('spelt', 'users', where('spelt.code', 'equals', '1')), [['2']]);
    same('times in texts', q('spelt', 'users', where('spelt.at', 'equals', '2024-01-01')), [['2']]);
    same('times in texts, grouped by', q('spelt', 'users', by('spelt.at')), [['2', at('2024-01-01T00:00')], ['1', at('2024-01-02T00:00')]]);
    same('booleans in texts', q('spelt', 'users', where('spelt.flag', 'equals', 'true')), [['2']]);
    same('integers of 128 bits', q('spelt', 'users', where('spelt.big', 'equals', '12345678901234567890')), [['1']]);
    same('a segment of integers', q('spelt', 'users', { segments: ['spelt.seg'] }), [['2']]);
  });

  describe('member SQL with operators in a condition', () => {
    for (const [member, yes] of [['either', '3'], ['both', '1'], ['large', '2']]) {
      const is = (...filter) => q('logic', 'cnt', where(`logic.${member}`, ...filter));
      same(`${member} = true`, is('equals', 'true'), [[yes]], 'logic.flags');
      same(`${member} = false`, is('equals', 'false'), [[String(4 - yes)]], 'logic.flags');
      same(`${member} <> true`, is('notEquals', 'true'), [[String(4 - yes)]], 'logic.flags');
      same(`${member} not set`, is('notSet'), [['0']], 'logic.flags');
    }
    const having = (value, ...ns) => same(`a measure = ${value}`, q('logic', 'cnt', { ...by('logic.n'), ...where('logic.big', 'equals', value) }), ns.map((n) => ['1', n]), 'logic.numbers');
    having('true', '4');
    having('false', '1', '2', '3');
  });

  describe('columns named like parts of a date or types', () => {
    same('year', q('logic', 'cnt', by('logic.y')), [['1', '0'], ['1', '2021'], ['2', '2022']]);
    same('date', q('logic', 'cnt', by('logic.d')), [['1', '0'], ['1', '11'], ['2', '12']]);
  });

  describe('a join that truncates time', () => {
    const holidays = (zone) => q('visits', 'cnt', { ...by('days.holiday'), ...zone });
    same('UTC', holidays({}), [['1', 'new year'], ['2', 'none']], 'visits.main');
    same('New York', holidays(newYork), [['1', 'eve'], ['2', 'none']], 'visits.main');
    test('each zone has its own table', async () => {
      const { json } = await server.granary(['preagg', 'list', '--json']);
      const zones = json.pre_aggregations.filter((p) => p.id === 'visits.main' && p.is_built).map((p) => p.timezone);
      assert.deepEqual(zones.sort(), ['America/New_York', 'UTC']);
    });
  });

  describe('a reading of the clock that comes twice, or never', () => {
    const is = (operator, time) => q('doubled', 'cnt', { ...where('doubled.at', operator, time), ...newYork });
    same('equals, twice', is('equals', '2024-11-03T01:30:00'), [['2']]);
    same('notEquals, twice', is('notEquals', '2024-11-03T01:30:00'), [['3']]);
    same('equals, never', is('equals', '2024-03-10T02:30:00'), [['0']]);
    same('notEquals, never', is('notEquals', '2024-03-10T02:30:00'), [['5']]);
  });

  describe('a range that may be taken loosely', () => {
    const range = { timeDimensions: [{ dimension: 'loose.at', dateRange: ['2024-11-05', '2024-12-25'] }] };
    same('is served exactly where days are stored too', q('loose', 'cnt', range), [['2']], 'loose.main');
  });
});

// ---- a DuckDB file as source --------------------------------------------------------------------------------------------

const shopConfig = (file = 'shop.duckdb') => `data_sources:\n  default: {type: duckdb, path: ${file}, read_only: false}\nmodel: model\n`;
const shopModel = (more = ', external: false') => `cubes:
  - name: orders
    sql_table: orders
    measures:
      - {name: cnt, type: count}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: status, sql: status, type: string}
    pre_aggregations:
      - {name: main, measures: [cnt], dimensions: [status]${more}}
`;
const shopQuery = { measures: ['orders.cnt'], dimensions: ['orders.status'] };
const counts = (rows) => rows.map((row) => `${row['orders.status']} ${row['orders.cnt']}`).sort();
async function makeShop(file, ...statuses) {
  const db = await Database.open(file);
  await db.run(`CREATE TABLE orders AS SELECT * FROM (VALUES ${statuses.map((status, i) => `(${i}, '${status}')`).join(', ')}) t(id, status)`);
  db.close();
}

describe('numbers beyond 64 bits in filters', () => {
  const large = {
    h: ['9223372036854775808', '9223372036854775809', '-99999999999999999999999999999999999999'],
    u: ['12345678901234567890', '12345678901234567891', '99999999999999999999999999999999999999'],
    d: ['12345678901234567890123456789012345678', '12345678901234567890123456789012345679', '-99999999999999999999999999999999999999'],
  };
  const numbers = `cubes:
  - name: numbers
    sql_table: numbers
    measures:
      - {name: cnt, type: count}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
${Object.keys(large).map((name) => `      - {name: ${name}, sql: ${name}, type: number}\n`).join('')}    pre_aggregations:
${Object.keys(large).map((name) => `      - {name: by_${name}, measures: [cnt], dimensions: [${name}]}\n`).join('')}`;
  const server = shared({ 'granary.yml': 'data_sources:\n  default: {type: duckdb, path: numbers.duckdb}\nmodel: model\n', 'model/numbers.yml': numbers }, {
    prepare: async (folder) => {
      const db = await Database.open(path.join(folder, 'numbers.duckdb'));
      await db.run('CREATE TABLE numbers (id INTEGER, h HUGEINT, u UHUGEINT, d DECIMAL(38, 0))');
      for (let i = 0; i < 3; i++) await db.run(`INSERT INTO numbers VALUES (${i}, '${large.h[i]}', '${large.u[i]}', '${large.d[i]}')`);
      db.close();
    },
  });
  for (const [name, [first, second, third]] of Object.entries(large)) {
    const member = `numbers.${name}`;
    const is = (operator, list, ...found) =>
      twice(server, `${name} ${operator} ${list.join()}`, q('numbers', 'cnt', { ...by(member), ...where(member, operator, ...list) }), found.map((value) => ['1', value]));
    is('equals', [first], first);
    is('equals', [first, third], first, third);
    is('notEquals', [first], second, third);
    is('gt', [first], ...(name === 'u' ? [second, third] : [second]));
    is('lte', [first], ...(name === 'u' ? [first] : [first, third]));
    is('equals', [first, '0.5'], first); // a value of another type must not make all of them floating point
    is('gt', ['0.5'], ...(name === 'u' ? large.u : [first, second])); // nor cast the column to what it does not fit
  }
});

test('two projects beside one source leave each other\'s tables alone', async (t) => {
  const place = makeFolder();
  t.after(() => removeFolder(place));
  const shop = path.join(place, 'shop.duckdb');
  await makeShop(shop, 'a', 'a', 'b');
  const projects = ['one', 'two'].map((name) => {
    const folder = path.join(place, name);
    write(folder, 'granary.yml', shopConfig(shop));
    write(folder, 'model/orders.yml', shopModel());
    return (...args) => granary([...args, '--json', '-c', path.join(folder, 'granary.yml')], { cwd: folder });
  });
  const tables = async () => {
    const db = await Database.open(shop, { access_mode: 'READ_ONLY' });
    const rows = await db.rows("SELECT table_name AS name FROM duckdb_tables() WHERE schema_name = 'granary' ORDER BY 1");
    db.close();
    return rows.map((row) => row.name);
  };
  const ask = async (project) => {
    const { json, stdout, stderr } = await project('query', JSON.stringify(shopQuery));
    assert.deepEqual(counts(json?.data ?? []), ['a 2', 'b 1'], stdout + stderr);
    assert.deepEqual(Server.served(json), ['orders.main']);
  };
  for (const i of [0, 1, 0, 1]) await ask(projects[i]);
  const both = await tables();
  assert.equal(both.length, 2, both.join());
  assert.equal((await projects[0]('preagg', 'drop', 'orders.main')).code, 0);
  const [left] = await tables();
  assert.ok(both.includes(left), 'the table of the other project is there');
  await ask(projects[1]);
  assert.deepEqual(await tables(), [left]);
});

test('a source file that is exchanged behind a running server, with its rollups in it', async (t) => {
  const server = await serve(t, { 'granary.yml': shopConfig(), 'model/orders.yml': shopModel() }, { prepare: (folder) => makeShop(path.join(folder, 'shop.duckdb'), 'a', 'a', 'b') });
  const first = await server.result(shopQuery);
  assert.deepEqual([counts(first.data), Server.served(first)], [['a 2', 'b 1'], ['orders.main']]);
  await makeShop(path.join(server.folder, 'fresh.duckdb'), 'a', 'b', 'b', 'c');
  fs.rmSync(path.join(server.folder, 'shop.duckdb.wal'), { force: true });
  fs.renameSync(path.join(server.folder, 'fresh.duckdb'), path.join(server.folder, 'shop.duckdb'));
  // The next model opens the new file.
  write(server.folder, 'model/orders.yml', shopModel().replace('- {name: cnt,', '- {name: cnt, title: Orders,'));
  const reload = await server.post('/ops/reload', {});
  assert.equal(reload.status, 200, reload.text);
  for (const params of ['', '?without_rollups=1', ''])
    assert.deepEqual(counts(await server.rows(shopQuery, params)), ['a 1', 'b 2', 'c 1'], params);
  assert.deepEqual(Server.served(await server.result(shopQuery)), ['orders.main']);
});

// ---- the catalog --------------------------------------------------------------------------------------------------------

const python = (code, ...args) => execFileSync('python3', ['-c', code, ...args], { encoding: 'utf8' });
const filesConfig = { 'data/orders.csv': 'id,status\n1,a\n2,a\n3,b\n', 'model/orders.yml': shopModel('') };

test('replaced builds keep no table name', async (t) => {
  const server = await serve(t, filesConfig);
  await server.rows(shopQuery);
  for (let i = 0; i < 3; i++) assert.equal((await server.granary(['preagg', 'build', 'orders.main', '--force'])).code, 0);
  await server.restart();
  await server.stop();
  const read = 'import json, sqlite3, sys; print(json.dumps(sqlite3.connect(sys.argv[1]).execute("SELECT status, table_name <> \'\' FROM builds ORDER BY number").fetchall()))';
  const builds = JSON.parse(python(read, path.join(server.state, 'catalog.sqlite')));
  assert.deepEqual(builds, [['dropped', 0], ['dropped', 0], ['dropped', 0], ['done', 1]]);
});

test('a store that was deleted while no server ran is built anew', async (t) => {
  const server = await serve(t, filesConfig);
  await server.rows(shopQuery);
  await server.stop();
  for (const name of fs.readdirSync(server.state).filter((file) => file.startsWith('store.duckdb'))) fs.rmSync(path.join(server.state, name));
  await server.start();
  for (let i = 0; i < 2; i++) {
    const result = await server.result(shopQuery);
    assert.deepEqual([counts(result.data), Server.served(result)], [['a 2', 'b 1'], ['orders.main']]);
  }
});

describe('a catalog that another process keeps locked', () => {
  const server = shared(filesConfig);
  let holder;
  before(async () => {
    const code = 'import sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); c.execute("BEGIN IMMEDIATE"); print("locked", flush=True); sys.stdin.read()';
    holder = spawn('python3', ['-c', code, path.join(server.state, 'catalog.sqlite')], { stdio: ['pipe', 'pipe', 'inherit'] });
    await new Promise((resolve, reject) => {
      holder.stdout.once('data', resolve);
      holder.once('exit', () => reject(new Error('the catalog was not locked')));
    });
  });
  after(() => holder?.stdin.end());
  test('the source answers within the time limit', { timeout: 60000 * patience }, async () => {
    const start = Date.now();
    const result = await server.result(shopQuery);
    assert.ok(Date.now() - start < 40000 * patience, `${Date.now() - start} ms`);
    assert.deepEqual([counts(result.data), Server.served(result)], [['a 2', 'b 1'], []]);
    await server.assertAlive();
  });
});

// The engine keeps a buffer of 30 MiB for each file of a statement that is prepared, however small the file.
test('many different queries over small CSV files do not use the memory up', async (t) => {
  const n = 12;
  const cube = (name, joins = '') => `  - name: ${name}
    sql_table: t
${joins}    dimensions:
      - {name: id, sql: "{CUBE}.id", type: number, primary_key: true, public: true}
    measures:
${Array.from({ length: n }, (_, i) => `      - {name: m${i}, sql: "{CUBE}.v + ${i}", type: sum}`).join('\n')}
`;
  const others = ['u1', 'u2', 'u3'];
  const joins = `    joins:\n${others.map((u) => `      - {name: ${u}, relationship: many_to_one, sql: "{CUBE}.k = {${u}.id}"}\n`).join('')}`;
  const server = await serve(t, { 'granary.yml': 'data_sources:\n  default: {type: duckdb, path: data}\nmodel: model\ncache: {max_bytes: 0}\nengine: {memory_mb: 512}\n', 'data/t.csv': 'id,k,v\n1,1,2\n2,1,3\n', 'model/m.yml': `cubes:\n${cube('t', joins)}${others.map((u) => cube(u)).join('')}` });
  for (let i = 0; i < n; i++) {
    const rows = await server.rows({ measures: [`t.m${i}`], dimensions: others.map((u) => `${u}.id`) });
    assert.deepEqual(rows.map((row) => Number(row[`t.m${i}`])), [5 + 2 * i]);
  }
});

// Two definitions of one grain share a table; which of them stands first decides the order of its columns.
test('partitions that were built before two definitions changed places', async (t) => {
  const one = { a: 'measures: [count]', b: 'measures: [total]' };
  const text = (...names) => `cubes:
  - name: events
    sql_table: events
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: at, sql: at, type: time}
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
    pre_aggregations:
${names.map((name) => `      - {name: ${name}, ${one[name]}, time_dimension: at, granularity: day, partition_granularity: month}\n`).join('')}`;
  const server = await serve(t, { 'granary.yml': 'data_sources:\n  default: {type: duckdb, path: data}\nmodel: model\ncache: {max_bytes: 0}\n', 'data/events.csv': 'id,amount,at\n1,10,2024-01-05 01:00:00\n2,20,2024-01-06 01:00:00\n3,30,2024-02-05 01:00:00\n4,40,2024-03-05 01:00:00\n', 'model/m.yml': text('a', 'b') });
  const query = (from, to) => ({ measures: ['events.count', 'events.total'], timeDimensions: [{ dimension: 'events.at', dateRange: [from, to] }] });
  const numbers = (result) => [Number(result.data[0]['events.count']), Number(result.data[0]['events.total'])];
  assert.deepEqual(numbers(await server.result(query('2024-01-01', '2024-01-31'))), [2, 30]);
  const statements = [];
  for (const names of [['a', 'b'], ['b', 'a'], ['a', 'b']]) {
    write(server.folder, 'model/m.yml', text(...names));
    assert.equal((await server.post('/ops/reload', {})).status, 200);
    for (const [to, wanted] of [['2024-02-29', [3, 60]], ['2024-03-31', [4, 100]]]) {
      const result = await server.result(query('2024-01-01', to));
      assert.equal(Server.served(result).length, 1);
      assert.deepEqual(numbers(result), wanted);
      statements.push((await server.explain(query('2024-01-01', to))).sql);
    }
  }
  const unions = statements.filter((sql) => /UNION ALL/.test(sql));
  assert.ok(unions.length > 0, statements[0]);
  for (const sql of unions) assert.doesNotMatch(sql, /SELECT \*/); // by name, whatever order each table has
});
