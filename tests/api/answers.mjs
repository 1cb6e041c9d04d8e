// Tables of queries with their numbers. Each row of a table is answered in every way that there is, and each must give the same:
// by hand (or by plain SQL on DuckDB over the same data), with whatever rollups serve, and from the source alone.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { Database } from './duckdb.mjs';
import { Server } from './helpers.mjs';

const words = (text) => (text ?? '').split(' ').filter(Boolean);

// ask('orders.total', 'items.product orders.created_at.day', {…}): a dimension with a granularity is a time dimension, and
// `ranges` says which dates of it are wanted.
export function ask(measures, dimensions = '', { ranges = {}, ...rest } = {}) {
  const parts = words(dimensions).map((name) => name.split('.'));
  const times = parts.filter((part) => part.length === 3).map(([cube, name, granularity]) => ({ dimension: `${cube}.${name}`, granularity }));
  for (const [dimension, dateRange] of Object.entries(ranges)) {
    const time = times.find((t) => t.dimension === dimension);
    if (time) time.dateRange = dateRange;
    else times.push({ dimension, dateRange });
  }
  return {
    measures: words(measures),
    dimensions: parts.filter((part) => part.length === 2).map((part) => part.join('.')),
    ...(times.length && { timeDimensions: times }),
    ...rest,
  };
}

const leaf = (member, operator, ...values) => ({ member, operator, ...(values.length && { values }) });
export const is = (member, ...values) => leaf(member, 'equals', ...values);
export const filter = (member, operator, ...values) => ({ filters: [leaf(member, operator, ...values)] });
export const filters = (...list) => ({ filters: list });
export { leaf };

const columnsOf = (query) => [
  ...(query.dimensions ?? []),
  ...(query.timeDimensions ?? []).filter((t) => t.granularity).map((t) => `${t.dimension}.${t.granularity}`),
  ...(query.measures ?? []),
];

// DuckDB's "2024-01-01 00:00:00" and a date are what the API writes as "2024-01-01T00:00:00.000".
const time = /^(\d{4}-\d\d-\d\d)(?:[ T](\d\d:\d\d(?::\d\d)?)(\.\d+)?)?$/;
function plain(value) {
  const match = typeof value === 'string' && time.exec(value);
  if (!match) return value;
  const clock = match[2] ?? '00:00';
  return `${match[1]}T${clock.length === 5 ? `${clock}:00` : clock}${(match[3] ?? '.000').padEnd(4, '0').slice(0, 4)}`;
}
const isNumber = (value) => typeof value === 'number' || (typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value));
const sortKey = (row) => JSON.stringify(row.map((value) => (isNumber(value) ? Number(value).toPrecision(8) : plain(value))));
const sorted = (rows) => [...rows].sort((a, b) => (sortKey(a) < sortKey(b) ? -1 : 1));

function equal(actual, expected, tolerance) {
  if (typeof expected === 'number' && isNumber(actual)) return Math.abs(Number(actual) - expected) <= tolerance * Math.max(1, Math.abs(expected));
  return plain(actual) === plain(expected);
}

export function assertRows(actual, expected, { ordered = false, tolerance = 1e-9 } = {}, from = '') {
  const [a, b] = ordered ? [actual, expected] : [sorted(actual), sorted(expected)];
  const same = a.length === b.length && a.every((row, i) => row.length === b[i].length && row.every((value, k) => equal(value, b[i][k], tolerance)));
  if (!same) assert.deepEqual(a, b.map((row) => row.map((value) => (typeof value === 'number' ? String(value) : plain(value)))), from);
}

const rowsOf = (result, query) => result.data.map((row) => columnsOf(query).map((name) => row[name]));

// The same data in a database of its own: every CSV file of the folder is a table.
async function sqlRows(server, sql) {
  if (!server.database) {
    const data = path.join(server.folder, 'data');
    const database = await Database.open();
    await database.run('SET TimeZone = \'UTC\'');
    for (const file of fs.readdirSync(data).filter((name) => name.endsWith('.csv')))
      await database.run(`CREATE TABLE ${path.basename(file, '.csv')} AS SELECT * FROM read_csv('${path.join(data, file)}', header = true, nullstr = '')`);
    server.database = database;
  }
  return (await server.database.rows(sql)).map((row) => Object.values(row));
}

async function load(server, query) {
  const answer = await server.load(query);
  assert.equal(answer.status, 200, answer.text);
  const header = answer.headers.get('x-granary-served-by').split(',').map((id) => id.trim());
  return { ...answer.body, header: header.sort() };
}

// `serves`: the ids of what serves, with `source` among them when some part comes from there; or the rule that refuses the
// rollup, and the source answers. `expected`: rows in the order of the query's columns (numbers as numbers), or SQL.
export async function check(server, query, expected, serves, options = {}) {
  const { exactness = 'exact', sql } = options;
  const wanted = typeof expected === 'string' ? await sqlRows(server, expected) : expected;
  if (sql) assertRows(await sqlRows(server, sql), wanted, options, 'SQL by hand');
  const source = await load(server, { ...query, preAggregations: 'forbid' });
  assert.deepEqual([Server.served(source), source.header], [[], ['source']]);
  assertRows(rowsOf(source, query), wanted, options, 'from the source');
  const result = await load(server, query);
  const list = [serves].flat();
  const rule = list[0].startsWith('match.') ? list[0] : null;
  const ids = rule ? [] : list.filter((id) => id !== 'source');
  if (exactness === 'exact') assertRows(rowsOf(result, query), wanted, options, `from ${list.join()}`);
  assert.deepEqual(Server.served(result).sort(), [...ids].sort());
  assert.deepEqual(result.header, rule ? ['source'] : [...list].sort());
  for (const used of Object.values(result.usedPreAggregations ?? {})) assert.equal(used.exactness, exactness);
  if (!rule) return result;
  const { refusals } = await server.explain(query);
  assert.ok(refusals.some((refusal) => refusal.rule === rule), JSON.stringify(refusals));
  return result;
}

// A row of a table: same('name', query, rows or SQL, what serves, options).
export const table = (server) => (name, query, expected, serves, options) =>
  test(`${name}: ${[serves].flat().join(', ')}`, () => check(server, query, expected, serves, options));

// A query that is refused as a whole, with rollups and without.
export const refused = (server) => (name, query, id, text) =>
  test(`${name}: ${id}`, async () => {
    for (const more of [{}, { preAggregations: 'forbid' }]) {
      const answer = await server.load({ ...query, ...more });
      assert.deepEqual([answer.status, answer.body.id], [400, id], answer.text);
      if (text) assert.match(answer.body.error, text);
    }
  });
