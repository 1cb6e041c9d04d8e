// Versions that take each other's place under readers, and what a start finds in stores: tables that no record names,
// records whose table is gone. Budget: 20 s.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Database } from './duckdb.mjs';
import { Server, csv, write } from './helpers.mjs';

const SWAPS = Number(process.env.GRANARY_TEST_SWAPS ?? 100);
const READERS = 4;
const DAYS = 60;

const cube = (table, source, extra) => `
  - name: ${table}
    sql_table: ${table}
    data_source: ${source}
    measures:
      - {name: count, type: count}
      - {name: oldest, type: min, sql: version}
      - {name: newest, type: max, sql: version}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: at, sql: at, type: time}
    pre_aggregations:
      - {name: parted, measures: [count, oldest, newest], time_dimension: at, granularity: day, partition_granularity: month${extra}}
`;
const total = { measures: ['sales.count', 'sales.oldest', 'sales.newest'], timeDimensions: [{ dimension: 'sales.at', dateRange: ['2024-01-01', '2024-02-29'] }] };
const byMonth = { ...total, timeDimensions: [{ ...total.timeDimensions[0], granularity: 'month' }] };

// As an editor writes it: a reader of the folder sees the old file or the new one.
function writeVersion(folder, version) {
  const rows = Array.from({ length: DAYS * 3 }, (_, i) => [i + 1, new Date(Date.UTC(2024, 0, 1 + (i % DAYS))).toISOString().slice(0, 10) + ' 12:00:00', version]);
  write(folder, 'sales.new', csv(['id', 'at', 'version'], rows));
  fs.renameSync(path.join(folder, 'sales.new'), path.join(folder, 'data/sales.csv'));
}

async function entity(server) {
  const { body } = await server.get('/pre-aggregations/');
  return body.items.find((row) => row.declared_by.includes('sales.parted'));
}

async function rebuild(server, id) {
  const answer = await server.post(`/pre-aggregations/${id}/materialize`, { force: true, wait: true });
  assert.equal(answer.status, 200, answer.text);
}

describe('swaps under readers', () => {
  const server = new Server(null, { prepare: (folder) => writeVersion(folder, 1) });
  before(() => server.open({ 'model/model.yml': `cubes:${cube('sales', 'default', '')}` }));
  after(() => server.close());

  test(`each answer has exactly one version, over ${SWAPS} rebuilds`, async () => {
    const { id } = await entity(server);
    await rebuild(server, id);
    const state = { isOver: false, looks: 0, seen: new Set() };
    const read = async (query) => {
      let last = 1;
      while (!state.isOver) {
        const result = await server.result(query);
        assert.deepEqual(Server.served(result), ['sales.parted']);
        const versions = new Set(result.data.flatMap((row) => [Number(row['sales.oldest']), Number(row['sales.newest'])]));
        assert.equal(versions.size, 1, `an answer of several versions: ${JSON.stringify(result.data)}`);
        assert.equal(result.data.reduce((sum, row) => sum + Number(row['sales.count']), 0), DAYS * 3);
        const [version] = versions;
        assert.ok(version >= last, `version ${version} came after ${last}`);
        last = version;
        state.seen.add(version);
        state.looks++;
      }
    };
    const readers = Array.from({ length: READERS }, (_, i) => read(i % 2 ? byMonth : total));
    const failed = Promise.all(readers); // the first failure ends the test at once
    const write_on = async () => {
      for (let version = 2; version <= SWAPS + 1; version++) {
        writeVersion(server.folder, version);
        await rebuild(server, id);
      }
      state.isOver = true;
    };
    try {
      await Promise.all([write_on(), failed]);
    } finally {
      state.isOver = true;
    }
    assert.ok(state.looks > SWAPS, `readers looked ${state.looks} times`);
    assert.ok(state.seen.size > SWAPS / 2, `readers saw ${state.seen.size} versions`);
    const [row] = await server.rows(total);
    assert.equal(Number(row['sales.newest']), SWAPS + 1);
    await server.stop();
    const db = await Database.open(path.join(server.state, 'store.duckdb'), { access_mode: 'READ_ONLY' });
    const tables = await db.rows('SELECT table_name AS name FROM duckdb_tables()');
    db.close();
    assert.equal(tables.length, 1, `tables of old versions are left: ${JSON.stringify(tables)}`);
  });
});

describe('what a start finds in the embedded store', () => {
  const server = new Server(null, { prepare: (folder) => writeVersion(folder, 1) });
  before(() => server.open({ 'model/model.yml': `cubes:${cube('sales', 'default', '')}` }));
  after(() => server.close());
  const store = () => Database.open(path.join(server.state, 'store.duckdb'));
  const tables = async (db) => (await db.rows("SELECT table_name AS name FROM duckdb_tables() ORDER BY 1")).map((row) => row.name);

  test('a table of our form without a record goes, and is told; others stay', async () => {
    await rebuild(server, (await entity(server)).id);
    await server.stop();
    let db = await store();
    const live = await tables(db);
    assert.equal(live.length, 2);
    const foreign = ['notes', 'sales_parted', 'x_1234567_1', 'x_12345678_W', '_12345678_1'];
    for (const name of [...foreign, 'sales_parted20240101_0badcafe_7', 'other_0123abcd_v1']) await db.run(`CREATE TABLE "${name}" AS SELECT 1 AS one`);
    db.close();
    await server.start();
    const told = server.log().split('\n').filter((line) => line.includes('store.orphan'));
    assert.equal(told.length, 2, server.log());
    for (const name of ['sales_parted20240101_0badcafe_7', 'other_0123abcd_v1']) assert.ok(told.some((line) => line.includes(name) && line.includes('action=removed')), server.log());
    assert.equal(Number((await server.rows(total))[0]['sales.count']), DAYS * 3);
    await server.stop();
    db = await store();
    assert.deepEqual(await tables(db), [...live, ...foreign].sort());
    db.close();
  });

  test('a partition whose table is gone is built again, the others serve on', async () => {
    let db = await store();
    const [lost, kept] = (await tables(db)).filter((name) => /^sales_parted\d/.test(name));
    await db.run(`DROP TABLE "${lost}"`);
    db.close();
    writeVersion(server.folder, 2);
    await server.start();
    const rows = await server.rows(byMonth);
    assert.deepEqual(rows.map((row) => [row['sales.at.month'].slice(0, 7), Number(row['sales.oldest']), Number(row['sales.newest'])]), lost.includes('20240101') ? [['2024-01', 2, 2], ['2024-02', 1, 1]] : [['2024-01', 1, 1], ['2024-02', 2, 2]]);
    await server.stop();
    db = await store();
    const now = await tables(db);
    db.close();
    assert.ok(now.includes(kept), `the table ${kept} was made again`);
    assert.ok(!now.includes(lost) && now.filter((name) => /^sales_parted\d/.test(name)).length === 2, now.join());
  });
});

describe('what a start finds in a source', () => {
  const config = 'data_sources:\n  shop: {type: duckdb, path: shop.duckdb, read_only: false}\nmodel: model\n';
  const server = new Server(null, {
    prepare: async (folder) => {
      const db = await Database.open(path.join(folder, 'shop.duckdb'));
      await db.run(`CREATE TABLE sales AS SELECT i AS id, TIMESTAMP '2024-01-01 12:00:00' + to_days((i % ${DAYS})::INTEGER) AS at, 1 AS version FROM range(${DAYS * 3}) AS r(i)`);
      db.close();
    },
  });
  before(() => server.open({ 'granary.yml': config, 'model/model.yml': `cubes:${cube('sales', 'shop', ', external: false')}` }));
  after(() => server.close());

  test('nothing goes that no record names: what may be ours is told, and stays', async () => {
    await rebuild(server, (await entity(server)).id);
    await server.stop();
    const open = () => Database.open(path.join(server.folder, 'shop.duckdb'));
    const list = 'SELECT schema_name AS schema, table_name AS name FROM duckdb_tables() ORDER BY 1, 2';
    let db = await open();
    const ours = (await db.rows(list)).filter((row) => /^sales_parted\d/.test(row.name));
    assert.equal(ours.length, 2);
    const like = ours[0].name.replace(/_[^_]*$/, '_vv');
    for (const name of [like, 'sales_parted20240101_0badcafe_7', 'notes']) await db.run(`CREATE TABLE "${ours[0].schema}"."${name}" AS SELECT 1 AS one`);
    const all = await db.rows(list);
    db.close();
    await server.start();
    const told = server.log().split('\n').filter((line) => line.includes('store.orphan'));
    assert.equal(told.length, 1, server.log());
    assert.ok(told[0].includes(like) && told[0].includes('action=kept'), told[0]);
    assert.equal(Number((await server.rows(total))[0]['sales.count']), DAYS * 3);
    await server.stop();
    db = await open();
    assert.deepEqual(await db.rows(list), all);
    db.close();
  });

  test('a table of somebody else that has the name of the next one stays', async () => {
    let db = await Database.open(path.join(server.folder, 'shop.duckdb'));
    const list = 'SELECT schema_name AS schema, table_name AS name FROM duckdb_tables() ORDER BY 1, 2';
    const ours = (await db.rows(list)).filter((row) => /^sales_parted\d.*_[0-9a-u]+$/.test(row.name) && !row.name.includes('0badcafe'));
    const next = ours.map((row) => row.name.replace(/_([^_]*)$/, (_, n) => `_${(parseInt(n, 32) + 1).toString(32)}`));
    for (const name of next) await db.run(`CREATE TABLE "${ours[0].schema}"."${name}" AS SELECT 'precious' AS word`);
    db.close();
    await server.start();
    const { id } = await entity(server);
    const answer = await server.post(`/pre-aggregations/${id}/materialize`, { force: true, wait: true });
    assert.ok(answer.status >= 400, answer.text);
    assert.equal(Number((await server.rows(total))[0]['sales.count']), DAYS * 3);
    await server.restart(); // the sweep
    await rebuild(server, id); // under the number after
    assert.equal(Number((await server.rows(total))[0]['sales.count']), DAYS * 3);
    await server.stop();
    db = await Database.open(path.join(server.folder, 'shop.duckdb'));
    for (const name of next) assert.deepEqual(await db.rows(`SELECT * FROM "${ours[0].schema}"."${name}"`), [{ word: 'precious' }]);
    db.close();
  });
});
