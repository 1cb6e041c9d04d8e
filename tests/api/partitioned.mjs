// A cube whose rows are those of the vectors of cube.md 6.4: 2024-01-01T00:00Z to 2024-01-03T23:59:59.999Z, one each hour
// and one at the end; and what tests of partitions ask of it.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { csv, until, write } from './helpers.mjs';

const hours = Array.from({ length: 72 }, (_, i) => new Date(Date.UTC(2024, 0, 1, i)).toISOString());
export const vectorRows = [...hours, '2024-01-03T23:59:59.999Z'].map((at, i) => [i, 'ab'[i % 2], i % 7, at]);
export const rowsFile = (rows) => csv(['id', 'status', 'amount', 'created_at'], rows);
export const writeRows = (server, rows) => write(server.folder, 'data/test.csv', rowsFile(rows));
export const dropRows = (server) => fs.unlinkSync(path.join(server.folder, 'data/test.csv'));

export const preagg = (name, granularity, partition, rest = '') =>
  `      - {name: ${name}, measures: [count, total], dimensions: [status], time_dimension: created_at, granularity: ${granularity}${partition ? `, partition_granularity: ${partition}` : ''}${rest}}\n`;
export const cube = (preaggs, { name = 'test', sql = 'sql_table: test', more = '' } = {}) => `  - name: ${name}
    ${sql}
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: status, sql: status, type: string}
      - {name: created_at, sql: created_at, type: time}
${more}    pre_aggregations:
${preaggs}`;
export const files = (preaggs, rows = vectorRows, options) => ({ 'data/test.csv': rowsFile(rows), 'model/test.yml': `cubes:\n${cube(preaggs, options)}` });

export const byDay = (timezone, from = '2023-12-01', to = '2025-12-31') => ({
  measures: ['test.count', 'test.total'],
  timeDimensions: [{ dimension: 'test.created_at', granularity: 'day', dateRange: [from, to] }],
  order: { 'test.created_at': 'asc' },
  timezone,
});
export const counts = (rows) => rows.map((row) => [row['test.created_at.day'].slice(0, 10), Number(row['test.count'])]);

// ---- the routes ---------------------------------------------------------------------------------------------------

export async function partitions(server, name, params = '') {
  const answer = await server.fetch(`/pre-aggregations/${name}/partitions${params}`);
  assert.equal(answer.status, 200, answer.text);
  return answer.body;
}

export const refresh = (server, name, body) => server.post(`/pre-aggregations/${name}/partitions:refresh`, body === undefined ? '' : body);

export async function settled(server, name, params = '') {
  return until('the build to end', async () => {
    const view = await partitions(server, name, params);
    return view.is_building ? undefined : view;
  }, 20000);
}

export async function refreshed(server, name, body, params) {
  const answer = await refresh(server, name, body);
  assert.ok([200, 202].includes(answer.status), answer.text);
  return settled(server, name, params);
}

// What was built between two lists, by time: compaction moves partitions into other tables and versions as they are.
export function rebuilt(before, after) {
  const content = ({ table, version, ...rest }) => JSON.stringify(rest);
  const was = new Map(before.partitions.map((one) => [one.name, content(one)]));
  return after.partitions.filter((one) => one.status === 'built' && was.get(one.name) !== content(one)).map((one) => one.partition);
}
