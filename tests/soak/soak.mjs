// Mixed load with refreshes, for as long as is asked: `tests/soak/run [SECONDS]` (60 when not said).
// Two years of history that never changes, and a month that grows every half second; rollups of both are refreshed by
// their keys while clients ask for random stretches. Held: no request fails; answers over history are the known ones,
// answers over the live month never go back and never know more than was written; what is stored equals the source at
// the end; the memory of the server is flat; the store does not grow without end.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { makeFolder, removeFolder, Server, sleep, until } from '../api/helpers.mjs';

const seconds = Number(process.argv[2] ?? 60), clients = 6;
const DAY = 86400000, from = Date.UTC(2023, 0, 1), live = Date.UTC(2025, 0, 1);
const iso = (ms) => new Date(ms).toISOString();
let seed = 7;
const random = (n) => (seed = (seed * 1103515245 + 12345) & 0x7fffffff) % n;

// ---- data ---------------------------------------------------------------------------------------------------------
const perDay = [];
const history = ['id,kind,amount,at'];
for (let day = 0, id = 0; from + day * DAY < live; day++) {
  perDay[day] = { count: 20 + random(30), amount: 0 };
  for (let i = 0; i < perDay[day].count; i++) {
    const amount = random(1000);
    perDay[day].amount += amount;
    history.push(`${id++},${'abcde'[random(5)]},${amount},${iso(from + day * DAY + random(DAY)).slice(0, 19)}`);
  }
}
const cube = (name, rest) => `cubes:
  - name: ${name}
    sql_table: ${name}
    measures:
      - {name: count, type: count}
      - {name: amount, sql: amount, type: sum}
      - {name: mean, sql: amount, type: avg}
      - {name: kinds, sql: kind, type: count_distinct_approx}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: kind, sql: kind, type: string}
      - {name: at, sql: "{CUBE}.at", type: time}
    pre_aggregations:
      - name: main
        measures: [count, amount, mean, kinds]
        dimensions: [kind]
        time_dimension: at
        granularity: day
        partition_granularity: ${rest}
`;
const folder = makeFolder({
  'data/history.csv': `${history.join('\n')}\n`,
  'data/live.csv': `id,kind,amount,at\n0,a,1,${iso(live).slice(0, 19)}\n`,
  'model/history.yml': cube('history', 'month\n        refresh_key: {every: 2 seconds}'),
  'model/live.yml': cube('live', 'day\n        refresh_key: {every: 1 second, fingerprint: rows}'),
});

// ---- what is asked ------------------------------------------------------------------------------------------------
const range = (a, b) => [iso(a).slice(0, 10), iso(b).slice(0, 10)];
function askHistory() {
  const first = random(perDay.length), last = first + random(Math.min(120, perDay.length - first));
  const days = perDay.slice(first, last + 1);
  return {
    query: { measures: ['history.count', 'history.amount'], timeDimensions: [{ dimension: 'history.at', dateRange: range(from + first * DAY, from + last * DAY) }] },
    check: ([row]) => {
      assert.equal(Number(row['history.count']), days.reduce((sum, d) => sum + d.count, 0));
      assert.equal(Number(row['history.amount']), days.reduce((sum, d) => sum + d.amount, 0));
    },
  };
}
let written = 1;
function askLive(seen) {
  const before = seen.rows;
  return {
    query: { measures: ['live.count', 'live.mean'] },
    check: ([row]) => {
      const n = Number(row['live.count']);
      assert.ok(n >= before && n <= written, `${n} rows, after ${before}, of ${written}`);
      seen.rows = Math.max(seen.rows, n);
    },
  };
}

// ---- the run ------------------------------------------------------------------------------------------------------
const server = new Server(folder, {});
const rss = () => Number(/VmRSS:\s+(\d+)/.exec(fs.readFileSync(`/proc/${server.pid}/status`, 'utf8'))[1]) / 1024;
const counts = { requests: 0, waits: 0, hits: 0 };
let isOver = false;

async function client() {
  const seen = { rows: 0 };
  while (!isOver) {
    const { query, check } = random(3) ? askHistory() : askLive(seen);
    const cache = ['stale-if-slow', 'no-cache', 'stale-if-slow', 'must-revalidate'][random(4)];
    const answer = await server.post('/cubejs-api/v1/load', { query, cache });
    counts.requests++;
    assert.equal(answer.status, 200, answer.text);
    if (answer.body.error === 'Continue wait') {
      counts.waits++;
      continue;
    }
    counts.hits += answer.headers.get('x-granary-cache') === 'hit';
    check(answer.body.data);
  }
}

async function writer() {
  const file = path.join(folder, 'data/live.csv');
  const lines = fs.readFileSync(file, 'utf8').trim().split('\n');
  while (!isOver) {
    lines.push(`${lines.length},${'abc'[random(3)]},${random(100)},${iso(live + random(28) * DAY + random(DAY)).slice(0, 19)}`);
    written = lines.length - 1;
    fs.writeFileSync(`${file}.new`, `${lines.join('\n')}\n`);
    fs.renameSync(`${file}.new`, file);
    const answer = await server.post('/ops/reload', {});
    assert.equal(answer.status, 200, answer.text);
    await sleep(500);
  }
}

const memory = [];
async function watch() {
  while (!isOver) {
    memory.push(rss());
    await sleep(Math.max(200, (seconds * 1000) / 120));
  }
}

const mean = (list) => list.reduce((a, b) => a + b, 0) / list.length;
try {
  await server.start();
  const work = [watch(), writer(), ...Array.from({ length: clients }, client)];
  await Promise.race([sleep(seconds * 1000), ...work]);
  isOver = true;
  await Promise.all(work);
  const third = Math.floor(memory.length / 3), middle = mean(memory.slice(third, 2 * third)), last = mean(memory.slice(2 * third));
  assert.ok(last <= middle * 1.25 + 24, `memory grows: ${middle.toFixed(0)} MB, then ${last.toFixed(0)} MB`);
  await until('the live rollup to be as its source', async () => {
    const answer = await server.post('/cubejs-api/v1/load', { query: { measures: ['live.count'] }, cache: 'must-revalidate' });
    return Number(answer.body.data?.[0]['live.count']) === written;
  }, 30000);
  for (const name of ['history.main', 'live.main']) {
    const run = await server.granary(['preagg', 'verify', name, '--json'], { timeout: 60000 });
    assert.deepEqual([run.code, run.json.stale, run.json.quarantined], [0, 0, 0], run.stdout + run.stderr);
  }
  const list = (await server.get('/ops/pre-aggregations')).body.pre_aggregations;
  for (const one of list) assert.ok(!one.error, one.error);
  await server.stop();
  const megabytes = fs.statSync(path.join(folder, '.granary/store.duckdb')).size / 1e6;
  assert.ok(megabytes < 200, `the store has ${megabytes} MB`);
  console.log(JSON.stringify({ seconds, ...counts, rows_written: written, builds: list.map((p) => p.version), memory_mb: [middle, last].map(Math.round), store_mb: Math.round(megabytes) }));
} finally {
  isOver = true;
  await server.stop().catch(() => {});
  removeFolder(folder);
}
