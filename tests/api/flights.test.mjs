// Real flights and airports, or a stand-in of the same shape where GRANARY_TEST_DATA is not set: eight queries, each
// against SQL written by hand and run by DuckDB alone.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Database } from './duckdb.mjs';
import { Server, shared } from './helpers.mjs';

const real = process.env.GRANARY_TEST_DATA && path.resolve(process.env.GRANARY_TEST_DATA, 'flights');

// 20,000 flights of three months between 40 airports of 12 states, from a fixed seed.
async function makeStandIn(folder) {
  let seed = 12345;
  const random = (n) => {
    seed = (seed * 48271) % 2147483647;
    return Math.floor((seed / 2147483647) * n);
  };
  const codes = Array.from({ length: 40 }, (_, i) => `A${String.fromCharCode(65 + (i % 26))}${i}`);
  const airports = codes.map((code, i) => [code, `"Field, ${i}"`, `City ${i % 30}`, `S${i % 12}`, 'USA', 30 + (i % 17), -70 - (i % 40)].join(','));
  fs.writeFileSync(path.join(folder, 'airports.csv'), `iata,name,city,state,country,latitude,longitude\n${airports.join('\n')}\n`);
  const flights = Array.from({ length: 20000 }, () => {
    const at = new Date(Date.UTC(2001, 0, 1) + random(90 * 24 * 60) * 60000).toISOString().slice(0, 19).replace('T', ' ');
    return [at, random(200) - 40, 100 + random(2400), codes[random(40)], codes[random(40)]].join(',');
  });
  fs.writeFileSync(path.join(folder, 'raw.csv'), `departed_at,delay,distance,origin,destination\n${flights.join('\n')}\n`);
  const db = await Database.open();
  await db.run(`COPY (SELECT departed_at::TIMESTAMP AS departed_at, delay::DOUBLE AS delay, distance, origin, destination FROM '${folder}/raw.csv') TO '${folder}/flights.parquet' (FORMAT parquet)`);
  db.close();
  fs.unlinkSync(path.join(folder, 'raw.csv'));
}

async function makeData(folder) {
  const data = path.join(folder, 'data');
  if (real && fs.existsSync(path.join(real, 'flights.parquet'))) for (const file of ['flights.parquet', 'airports.csv']) fs.copyFileSync(path.join(real, file), path.join(data, file));
  else await makeStandIn(data);
}

const model = `cubes:
  - name: flights
    sql_table: flights
    joins:
      - {name: airports, relationship: many_to_one, sql: "{CUBE}.origin = {airports.iata}"}
    measures:
      - {name: count, type: count}
      - {name: distance, type: sum, sql: distance}
      - {name: mean_delay, type: avg, sql: delay}
      - {name: worst_delay, type: max, sql: delay}
      - {name: late, type: count, filters: [{sql: "{CUBE}.delay > 15"}]}
      - {name: late_share, type: number, sql: "1.0 * {late} / NULLIF({count}, 0)", format: percent}
      - {name: destinations, type: count_distinct, sql: destination}
    dimensions:
      - {name: key, sql: "{CUBE}.origin || {CUBE}.destination || {CUBE}.departed_at", type: string, primary_key: true}
      - {name: origin, sql: origin, type: string}
      - {name: destination, sql: destination, type: string}
      - {name: distance_band, type: string, case: {when: [{sql: "{CUBE}.distance < 500", label: short}, {sql: "{CUBE}.distance < 1500", label: middle}], else: {label: long}}}
      - {name: departed_at, sql: departed_at, type: time}
    segments:
      - {name: night, sql: "hour({CUBE}.departed_at) < 6"}
    pre_aggregations:
      - name: by_state
        measures: [count, distance, mean_delay, worst_delay, late]
        dimensions: [airports.state, origin]
        time_dimension: departed_at
        granularity: hour
      - name: destinations_by_day
        measures: [destinations]
        time_dimension: departed_at
        granularity: day
  - name: airports
    sql_table: airports
    measures:
      - {name: count, type: count}
    dimensions:
      - {name: iata, sql: iata, type: string, primary_key: true}
      - {name: name, sql: name, type: string}
      - {name: city, sql: city, type: string}
      - {name: state, sql: state, type: string}
      - name: place
        type: geo
        latitude: {sql: latitude}
        longitude: {sql: longitude}
`;

const td = (granularity, dateRange) => ({ dimension: 'flights.departed_at', ...(granularity && { granularity }), ...(dateRange && { dateRange }) });
const joined = 'flights f LEFT JOIN airports a ON f.origin = a.iata';

// [what, the query, the SQL (columns in the order of the keys), the keys, what serves it]
const queries = [
  ['flights by state, the most first', { measures: ['flights.count', 'flights.distance'], dimensions: ['airports.state'], order: [['flights.count', 'desc'], ['airports.state', 'asc']], limit: 10 },
    `SELECT a.state, count(*), sum(f.distance) FROM ${joined} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT 10`,
    ['airports.state', 'flights.count', 'flights.distance'], 'flights.by_state'],
  ['mean and worst delay by week', { measures: ['flights.mean_delay', 'flights.worst_delay'], timeDimensions: [td('week')] },
    `SELECT strftime(date_trunc('week', departed_at), '%Y-%m-%dT00:00:00.000'), avg(delay), max(delay) FROM flights GROUP BY 1 ORDER BY 1`,
    ['flights.departed_at.week', 'flights.mean_delay', 'flights.worst_delay'], 'flights.by_state'],
  ['share of late flights by month, of some origins', { measures: ['flights.late_share', 'flights.late'], timeDimensions: [td('month')], filters: [{ member: 'flights.origin', operator: 'startsWith', values: ['a'] }] },
    `SELECT strftime(date_trunc('month', departed_at), '%Y-%m-%dT00:00:00.000'), count(*) FILTER (delay > 15) * 1.0 / count(*), count(*) FILTER (delay > 15) FROM flights WHERE origin ILIKE 'a%' GROUP BY 1 ORDER BY 1`,
    ['flights.departed_at.month', 'flights.late_share', 'flights.late'], 'flights.by_state'],
  ['distinct destinations by day, at the stored grain', { measures: ['flights.destinations'], timeDimensions: [td('day', ['2001-02-01', '2001-02-28'])] },
    `SELECT strftime(date_trunc('day', departed_at), '%Y-%m-%dT00:00:00.000'), count(DISTINCT destination) FROM flights WHERE departed_at >= '2001-02-01' AND departed_at < '2001-03-01' GROUP BY 1 ORDER BY 1`,
    ['flights.departed_at.day', 'flights.destinations'], 'flights.destinations_by_day'],
  ['distinct destinations by month, which days cannot give', { measures: ['flights.destinations'], timeDimensions: [td('month')] },
    `SELECT strftime(date_trunc('month', departed_at), '%Y-%m-%dT00:00:00.000'), count(DISTINCT destination) FROM flights GROUP BY 1 ORDER BY 1`,
    ['flights.departed_at.month', 'flights.destinations'], null],
  ['flights by day in New York', { measures: ['flights.count'], timeDimensions: [td('day', ['2001-01-10', '2001-01-20'])], timezone: 'America/New_York' },
    `SELECT strftime(departed_at - INTERVAL 5 HOUR, '%Y-%m-%dT00:00:00.000'), count(*) FROM flights WHERE departed_at >= '2001-01-10 05:00:00' AND departed_at < '2001-01-21 05:00:00' GROUP BY 1 ORDER BY 1`,
    ['flights.departed_at.day', 'flights.count'], 'flights.by_state'],
  ['bands of distance, nights only, of more than ten flights', { measures: ['flights.count', 'flights.mean_delay'], dimensions: ['flights.distance_band', 'airports.state'], segments: ['flights.night'], filters: [{ member: 'flights.count', operator: 'gt', values: ['10'] }], order: [['flights.count', 'desc'], ['flights.distance_band', 'asc'], ['airports.state', 'asc']] },
    `SELECT CASE WHEN distance < 500 THEN 'short' WHEN distance < 1500 THEN 'middle' ELSE 'long' END, a.state, count(*), avg(delay) FROM ${joined} WHERE hour(departed_at) < 6 GROUP BY 1, 2 HAVING count(*) > 10 ORDER BY 3 DESC, 1, 2`,
    ['flights.distance_band', 'airports.state', 'flights.count', 'flights.mean_delay'], null],
  ['one state or far away, the second page, with its total', { measures: ['flights.count'], dimensions: ['airports.place', 'airports.name'], filters: [{ or: [{ member: 'airports.state', operator: 'equals', values: ['CA', 'S3', 'S4', 'S5'] }, { member: 'flights.origin', operator: 'contains', values: ['o'] }] }], order: { 'airports.name': 'asc', 'airports.place': 'asc' }, limit: 5, offset: 5, total: true },
    `SELECT a.latitude || ',' || a.longitude, a.name, count(*) FROM ${joined} WHERE a.state IN ('CA', 'S3', 'S4', 'S5') OR f.origin ILIKE '%o%' GROUP BY 1, 2 ORDER BY 2, 1 LIMIT 5 OFFSET 5`,
    ['airports.place', 'airports.name', 'flights.count'], null],
  ['airports that the join repeats, each once for a destination', { measures: ['airports.count', 'flights.distance'], dimensions: ['flights.destination'], order: { 'flights.destination': 'asc' }, limit: 40 },
    `SELECT f.destination, count(DISTINCT a.iata), sum(f.distance) FROM ${joined} GROUP BY 1 ORDER BY 1 LIMIT 40`,
    ['flights.destination', 'airports.count', 'flights.distance'], null],
];

describe(`flights, ${real ? 'the real ones' : 'a stand-in'}`, () => {
  const server = shared({ 'model/flights.yml': model }, { prepare: makeData });
  let db;
  before(async () => {
    db = await Database.open();
    for (const [table, file] of [['flights', 'flights.parquet'], ['airports', 'airports.csv']]) await db.run(`CREATE VIEW ${table} AS SELECT * FROM '${path.join(server.folder, 'data', file)}'`);
  });
  after(() => db?.close());

  for (const [what, query, sql, keys, served] of queries)
    test(`${what}: ${served ?? 'the source'}`, async () => {
      const expected = (await db.rows(sql)).map((row) => Object.values(row));
      assert.ok(expected.length > 1, 'the query has rows');
      for (const params of ['', '?without_rollups=1']) {
        const result = await server.result(query, params);
        assert.deepEqual(Server.served(result), served && !params ? [served] : []);
        assert.equal(result.data.length, expected.length);
        result.data.forEach((row, i) => keys.forEach((key, k) => assertCell(row[key], expected[i][k], `row ${i}, ${key}`)));
      }
    });

  test('total counts the rows of all pages', async () => {
    const [{ n }] = await db.rows(`SELECT count(*) AS n FROM (SELECT DISTINCT origin, destination FROM flights)`);
    const result = await server.result({ dimensions: ['flights.origin', 'flights.destination'], limit: 3, total: true });
    assert.deepEqual([result.total, result.data.length], [n, 3]);
  });

  test('what was built is there after a restart', async () => {
    const list = async () => (await server.granary(['preagg', 'list', '--json'])).json.pre_aggregations.map((p) => [p.id, p.timezone, p.version, p.rows]);
    const before = await list();
    await server.restart();
    assert.deepEqual(await list(), before);
    assert.deepEqual(Server.served(await server.result(queries[0][1])), ['flights.by_state']);
  });
});

function assertCell(actual, expected, where) {
  if (typeof expected !== 'number') return assert.equal(actual, expected, where);
  assert.equal(typeof actual, 'string', where);
  assert.ok(Math.abs(Number(actual) - expected) <= 1e-9 * Math.max(1, Math.abs(expected)), `${where}: ${actual} is not ${expected}`);
}
