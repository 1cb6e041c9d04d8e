// What the tests of the background refresh stand on: cubes over tables that are exchanged whole while a server reads
// them, and what the server says of its refreshes.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { Server, csv, until } from './helpers.mjs';

export const day = 86400000;
export const date = (ms) => new Date(ms).toISOString().slice(0, 10);
export const today = () => Math.floor(Date.now() / day) * day;

// A reader sees the old file or the new one, never half of one.
export function put(server, table, columns, rows) {
  const file = path.join(server.folder, `${table}.new`);
  fs.writeFileSync(file, csv(columns, rows));
  fs.renameSync(file, path.join(server.folder, 'data', `${table}.csv`));
}

export const columns = ['id', 'k', 'n', 'at', 'changed'];
// One row for each day back from today: [id, k, n, at, changed].
export const rows = (n, from = today()) => Array.from({ length: 5 }, (_, i) => [i, i % 2, n, `${date(from - i * day)} 03:00:00`, `${date(from - i * day)} 04:00:00`]);

// `key`: of the pre-aggregation; `more`: other keys of it; `cubeKey`: of the cube; `parts`: a partition for each day.
export const cube = (name, key, { more = '', cubeKey = '', parts = false, source = '' } = {}) => `  - name: ${name}
    sql_table: ${name}
${source && `    data_source: ${source}\n`}${cubeKey && `    refresh_key: {${cubeKey}}\n`}    measures:
      - {name: total, type: sum, sql: n}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: k, sql: k, type: number}
      - {name: at, sql: at, type: time}
    pre_aggregations:
      - name: main
        measures: [total]
        dimensions: [k]
${parts ? '        time_dimension: at\n        granularity: day\n        partition_granularity: day\n' : ''}${key && `        refresh_key: {${key}}\n`}${more}`;

// Every cube's table and the table of its key, as they are at first.
export const tables = (names) =>
  Object.fromEntries(names.flatMap((name) => [[`data/${name}.csv`, csv(columns, rows(1))], [`data/${name}_key.csv`, csv(['v'], [[1]])]]));
export const keyOf = (name) => `sql: 'SELECT max(v) FROM ${name}_key'`;
export const setKey = (server, name, v) => put(server, `${name}_key`, ['v'], [[v]]);
export const change = (server, name, list) => put(server, name, columns, list);

export const total = (name) => ({ measures: [`${name}.total`] });
export const byDay = (name) => ({ measures: [`${name}.total`], timeDimensions: [{ dimension: `${name}.at`, granularity: 'day' }], order: [[`${name}.at`, 'asc']] });

// The number that the rollup says; that it is the rollup's is part of the test.
export async function served(server, name, more) {
  const result = await server.result({ ...total(name), ...more });
  assert.deepEqual(Server.served(result), [`${name}.main`]);
  return Number(result.data[0][`${name}.total`]);
}
export const days = async (server, name) => (await server.rows(byDay(name))).map((row) => Number(row[`${name}.total`]));
export const untilServed = (server, name, n, ms) => until(`${name} to say ${n}`, async () => (await served(server, name)) === n, ms);

export async function refresh(server, order) {
  const answer = order ? await server.post('/ops/refresh', order) : await server.fetch('/ops/refresh');
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
}
export const item = async (server, name) => (await refresh(server)).items.find(({ pre_aggregation }) => pre_aggregation === `${name}.main`);
// What is served is published a moment before the look that built it is noted.
export const mended = (server, name) =>
  until(`${name} to be mended`, async () => {
    const shown = await item(server, name);
    return shown.failures === 0 && shown;
  });
export const preagg = async (server, name) => (await server.fetch('/ops/pre-aggregations')).body.pre_aggregations.find(({ id }) => id === `${name}.main`);
export const metric = async (server, line) => {
  const found = (await server.fetch('/ops/metrics')).text.split('\n').find((text) => text.startsWith(`${line} `));
  return found && Number(found.slice(line.length + 1));
};
