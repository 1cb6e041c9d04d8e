// /ops/metrics: the format, and that each number says what it is documented to say.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { csv, jwt, repo, serve, shared, slowCube, until, write } from './helpers.mjs';
import { parse, scrape } from './prometheus.mjs';

const rows = Array.from({ length: 40 }, (_, i) => [i + 1, ['a', 'b'][i % 2], `2024-01-${String((i % 20) + 1).padStart(2, '0')} 12:00:00`, i]);
const model = (rollups) => `cubes:
  - name: items
    sql_table: items
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
      - {name: bad, type: sum, sql: "{CUBE}.no_such_column"}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true, public: true}
      - {name: kind, sql: kind, type: string}
      - {name: at, sql: at, type: time}
    pre_aggregations:
${rollups}`;
const rollups = `      - {name: main, measures: [count, total], dimensions: [kind]}
      - {name: broken, measures: [bad], dimensions: [id]}
`;
const files = (given = rollups) => ({ 'data/items.csv': csv(['id', 'kind', 'at', 'amount'], rows), 'model/items.yml': model(given) });
const served = { measures: ['items.count'], dimensions: ['items.kind'] };
const missed = { measures: ['items.count'], dimensions: ['items.id'], limit: 3 };
const build = async (server, name) => {
  const answer = await server.post(`/ops/pre-aggregations/${name}/build`, { force: true });
  assert.equal(answer.status, 202, answer.text);
  return until(`the build of ${name}`, async () => {
    const progress = (await server.fetch(`/ops/pre-aggregations/${name}/build`)).body;
    return progress.is_done && progress;
  });
};

test('the reader is strict', () => {
  const good = '# HELP a_total x\n# TYPE a_total counter\na_total{l="a\\\\\\"\\n"} 1\n';
  assert.equal(parse(good).get('a_total').samples[0].labels.l, 'a\\"\n');
  const bucket = (le, n) => `h_bucket{le="${le}"} ${n}\n`;
  const histogram = (buckets, count) => `# HELP h x\n# TYPE h histogram\n${buckets}h_sum 1\nh_count ${count}\n`;
  parse(histogram(bucket('1', 1) + bucket('+Inf', 2), 2));
  const bad = [
    good.slice(0, -1), good + '\n', good + good, 'a_total 1\n', '# TYPE a_total counter\na_total 1\n',
    '# HELP a_total x\na_total 1\n', good.replaceAll('a_total', 'a'), good.replace('counter', 'gauge'),
    good.replace(' 1\n', ' one\n'), good.replace(' 1\n', '  1\n'), good.replace('\\n"', '\\x"'), good.replace('l=', 'l-='),
    `${good}a_total{l="a\\\\\\"\\n"} 2\n`, `${good}b_total 1\n`, good.replace('} 1', '} -1'),
    histogram(bucket('1', 3) + bucket('+Inf', 2), 2), histogram(bucket('2', 1) + bucket('1', 1) + bucket('+Inf', 2), 2),
    histogram(bucket('1', 1) + bucket('+Inf', 2), 3), histogram(bucket('1', 1) + bucket('2', 1), 1),
  ];
  for (const text of bad) assert.throws(() => parse(text), text);
});

test('what is documented is there, in its order, and nothing else', async (t) => {
  const server = await serve(t, files());
  const text = fs.readFileSync(path.join(repo, 'docs/metrics.md'), 'utf8');
  const wanted = [...text.matchAll(/^\| `([^`]+)` \| (\w+) \| ([^|]*) \| (.*) \|$/gm)].map(([, name, type, labels, help]) => ({ name, type, labels, help }));
  assert.ok(wanted.length > 25);
  await server.result(served);
  const metrics = await scrape(server);
  assert.deepEqual([...metrics.families.values()].map(({ name, type, help }) => ({ name, type, help })), wanted.map(({ labels, ...rest }) => rest));
  for (const { name, labels } of wanted)
    for (const sample of metrics.families.get(name).samples) {
      const { le, ...own } = sample.labels;
      assert.equal(Object.keys(own).join(', '), labels.trim(), name);
    }
  // Only webhooks may have no sample here, for there are none.
  const empty = wanted.filter(({ name }) => !metrics.families.get(name).samples.length).map(({ name }) => name);
  assert.deepEqual(empty, ['granary_webhook_events_total', 'granary_webhook_retries_total', 'granary_webhook_queued']);
});

test('answered queries are counted by what served them, and refusals by rule', async (t) => {
  const server = await serve(t, files());
  const counts = async () => {
    const m = await scrape(server);
    const by = (what) => m.get('granary_queries_total', { served_by: what });
    return { rollup: by('rollup'), source: by('source'), both: by('rollup_and_source'),
      hits: m.get('granary_preagg_hits_total', { pre_aggregation: 'items.main', zone: 'UTC' }),
      dimension: m.get('granary_refusals_total', { rule: 'match.dimension_missing' }),
      forbidden: m.get('granary_refusals_total', { rule: 'match.forbidden' }) };
  };
  const zero = { rollup: 0, source: 0, both: 0, hits: 0, dimension: 0, forbidden: 0 };
  assert.deepEqual(await counts(), zero);
  await server.result(served);
  await server.result(served);
  assert.deepEqual(await counts(), { ...zero, rollup: 2, hits: 2 });
  await server.result(missed);
  const once = await counts();
  assert.deepEqual({ ...once, dimension: 0 }, { ...zero, rollup: 2, hits: 2, source: 1 });
  const explained = (await server.explain(missed)).refusals.filter((r) => r.rule === 'match.dimension_missing').length;
  assert.ok(explained > 0);
  assert.equal(once.dimension, explained); // a refusal for each candidate of the query
  await server.result(served, '?without_rollups=1');
  const forbidden = await counts();
  assert.equal(forbidden.source, 2);
  assert.ok(forbidden.forbidden > 0);
  // Two ranges of a comparison are two queries.
  const compared = { measures: ['items.count'], timeDimensions: [{ dimension: 'items.at', compareDateRange: [['2024-01-01', '2024-01-02'], ['2024-01-03', '2024-01-04']] }] };
  const several = await server.fetch(`/cubejs-api/v1/load?queryType=multi&query=${encodeURIComponent(JSON.stringify(compared))}`);
  assert.equal(several.body.results.length, 2, several.text);
  assert.equal((await counts()).source, 4);
  // What is only planned, or fails, is not an answer.
  const before = await counts();
  await server.post('/cubejs-api/v1/sql', { query: served });
  assert.equal((await server.load({ measures: ['items.bad'] }, '?without_rollups=1')).status, 400);
  assert.equal((await server.load({ measures: ['items.none'] })).status, 400);
  assert.deepEqual(await counts(), before);
});

test('builds, and what is built', async (t) => {
  const server = await serve(t, files());
  let m = await scrape(server);
  const of = { pre_aggregation: 'items.main', zone: 'UTC' };
  assert.equal(m.get('granary_preaggregations'), 2);
  assert.equal(m.get('granary_preaggregations_left_out'), 0);
  assert.equal(m.get('granary_preagg_built', of), 0);
  assert.equal(m.get('granary_preagg_watermark_seconds', of), undefined);
  const answer = await server.result(served);
  assert.equal((await build(server, 'items.broken')).status, 'failed');
  m = await scrape(server);
  assert.equal(m.get('granary_builds_total', { result: 'done' }), 1);
  assert.equal(m.get('granary_builds_total', { result: 'failed' }), 1);
  assert.equal(m.get('granary_build_duration_seconds_count'), 2);
  assert.equal(m.get('granary_preagg_built', of), 1);
  assert.equal(m.get('granary_preagg_built', { pre_aggregation: 'items.broken' }), 0);
  const watermark = m.get('granary_preagg_watermark_seconds', of);
  assert.equal(new Date(Math.floor(watermark * 1000)).toISOString(), answer.lastRefreshTime);
  const behind = m.get('granary_preagg_behind_seconds', of);
  assert.ok(Math.abs(Date.now() / 1000 - watermark - behind) < 5, `${behind} s behind`);
  const [built] = (await server.fetch('/ops/pre-aggregations')).body.pre_aggregations;
  assert.equal(m.get('granary_preagg_rows', of), 2);
  assert.equal(m.get('granary_preagg_rows', of), built.rows);
  assert.ok(m.get('granary_preagg_bytes', of) >= 0);
  assert.equal(m.get('granary_events_total', { event: 'preagg.build_started' }), 2);
  assert.equal(m.get('granary_events_total', { event: 'preagg.build_failed' }), 1);
  // Another zone is another table.
  await server.result({ ...served, timeDimensions: [], timezone: 'Europe/Paris' });
  write(server.folder, 'model/items.yml', model(rollups).replace('[count, total], dimensions: [kind]', '[count], dimensions: [kind], time_dimension: at, granularity: day'));
  assert.equal((await server.post('/ops/reload', {})).body.changed, true);
  const day = { measures: ['items.count'], timeDimensions: [{ dimension: 'items.at', granularity: 'day' }] };
  await server.result(day);
  await server.result({ ...day, timezone: 'Asia/Kolkata' });
  m = await scrape(server);
  assert.ok(m.all('granary_preagg_built', { pre_aggregation: 'items.main' }).length >= 1);
});

test('requests by route, method and status', async (t) => {
  const server = await serve(t, files());
  const load = '/cubejs-api/v1/load';
  await server.result(served);
  await server.get(load, served);
  await server.post(load, { query: { measures: ['x.y'] } });
  await server.fetch('/livez');
  await server.fetch('/livez', { method: 'HEAD' });
  await server.fetch('/no/such/"route"\\');
  await server.fetch('/livez', { method: 'OPTIONS' });
  await server.fetch('/livez', { method: 'PUT' });
  await server.fetch('/ops/pre-aggregations/items.main/build');
  const m = await scrape(server);
  const n = (route, method, status) => m.get('granary_http_requests_total', { route, method, status });
  assert.ok(n(load, 'POST', '2xx') >= 1);
  assert.equal(n(load, 'GET', '2xx'), 1);
  assert.equal(n(load, 'POST', '4xx'), 1);
  assert.equal(n('/livez', 'GET', '2xx'), 1);
  assert.equal(n('/livez', 'HEAD', '2xx'), 1);
  assert.equal(n('none', 'GET', '4xx'), 1);
  assert.equal(n('none', 'OPTIONS', '2xx'), 1);
  assert.equal(n('none', 'other', '4xx'), 1);
  assert.equal(n('/ops/pre-aggregations/{}/build', 'GET', '2xx'), 1);
  const count = (group) => m.get('granary_http_request_duration_seconds_count', { group });
  assert.equal(count('load'), m.all('granary_http_requests_total', { route: load }).reduce((sum, s) => sum + s.value, 0));
  assert.equal(count('health'), 2);
  assert.equal(count('none'), 3);
  assert.ok(m.get('granary_http_request_duration_seconds_sum', { group: 'load' }) > 0);
  const bounds = m.all('granary_http_request_duration_seconds_bucket', { group: 'load' }).map((s) => s.labels.le);
  assert.deepEqual([bounds[0], bounds.at(-2), bounds.at(-1)], ['0.0005', '30', '+Inf']);
  assert.ok(m.get('process_resident_memory_bytes') > 1e6);
  const fds = fs.readdirSync(`/proc/${server.pid}/fd`).length;
  assert.ok(Math.abs(m.get('process_open_fds') - fds) < 10);
});

test('lanes and builds that are busy', async (t) => {
  const text = slowCube('slow', 4000000, '    pre_aggregations:\n      - {name: main, measures: [count, longest], dimensions: [k]}\n');
  const server = await serve(t, { 'model/slow.yml': text }, { env: { GRANARY_HTTP_WORKERS: '1' } });
  const direct = (k) => server.load({ measures: ['slow.longest'], filters: [{ member: 'slow.k', operator: 'equals', values: [k] }] }, '?without_rollups=1');
  const running = [direct('1'), direct('2')];
  const busy = await until('a worker to be busy and a query to wait', async () => {
    const m = await scrape(server);
    return m.get('granary_lane_busy_workers', { lane: 'query' }) === 1 && m.get('granary_lane_queued', { lane: 'query' }) === 1 && m;
  });
  assert.equal(busy.get('granary_lane_workers', { lane: 'query' }), 1);
  assert.equal(busy.get('granary_lane_busy_workers', { lane: 'light' }), 1);
  assert.ok(busy.get('granary_http_open_requests') >= 3);
  await Promise.all(running);
  const answers = [server.post('/ops/pre-aggregations/slow.main/build', {}), server.result({ measures: ['slow.count'], dimensions: ['slow.k'], limit: 1 })];
  await until('the build to run', async () => {
    const m = await scrape(server);
    return m.get('granary_builds_running') === 1 && m.get('granary_lane_busy_workers', { lane: 'build' }) === 1;
  });
  await Promise.all(answers);
  await until('all to be idle', async () => {
    const m = await scrape(server);
    return m.get('granary_builds_running') === 0 && m.get('granary_lane_busy_workers', { lane: 'query' }) === 0;
  });
});

test('label sets are bounded, and what is left out is said', async (t) => {
  const many = Array.from({ length: 1007 }, (_, i) => `      - {name: r${i}, measures: [count], dimensions: [kind], build: explicit}\n`).join('');
  const server = await serve(t, files(many));
  const m = await scrape(server);
  assert.equal(m.get('granary_preaggregations'), 1007);
  assert.equal(m.get('granary_preaggregations_left_out'), 7);
  const names = m.all('granary_preagg_built').map((s) => s.labels.pre_aggregation);
  assert.equal(names.length, 1000);
  assert.equal(names[0], 'items.r0');
  assert.deepEqual((await scrape(server)).all('granary_preagg_built').map((s) => s.labels.pre_aggregation), names);
});

test('a scraper needs the scope', async (t) => {
  const server = await serve(t, files(), { env: { GRANARY_API_SECRET: 'secret' } });
  assert.equal((await server.get('/ops/metrics')).status, 403);
  assert.equal((await server.get('/ops/metrics', undefined, { authorization: jwt({}, 'secret') })).status, 403);
  const m = await scrape(server, { authorization: `Bearer ${jwt({ scopes: ['jobs'] }, 'secret')}` });
  assert.equal(m.get('granary_http_requests_total', { route: '/ops/metrics', method: 'GET', status: '4xx' }), 2);
});

const busyServer = shared(files());
test('requests of many clients at once are all counted', async () => {
  const before = (await scrape(busyServer)).get('granary_queries_total', { served_by: 'rollup' });
  for (let i = 0; i < 10; i++) await Promise.all(Array.from({ length: 50 }, () => busyServer.result(served)));
  const after = await scrape(busyServer);
  assert.equal(after.get('granary_queries_total', { served_by: 'rollup' }) - before, 500);
});
