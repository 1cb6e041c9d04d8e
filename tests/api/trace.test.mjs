// W3C trace context: what a client gives is gone on with, in the answer, in the log and in what a request causes.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { csv, serve, shared, slowCube, until } from './helpers.mjs';
import { Stream } from './receiver.mjs';

const files = {
  'data/items.csv': csv(['id', 'kind'], [[1, 'a'], [2, 'b']]),
  'model/items.yml': `cubes:
  - name: items
    sql_table: items
    measures: [{name: count, type: count}]
    dimensions: [{name: id, sql: id, type: number, primary_key: true}, {name: kind, sql: kind, type: string}]
    pre_aggregations: [{name: main, measures: [count], dimensions: [kind]}]
`,
};
const query = { measures: ['items.count'], dimensions: ['items.kind'] };
const id = '4bf92f3577b34da6a3ce929d0e0e4736';
const span = '00f067aa0ba902b7';
const given = `00-${id}-${span}-01`;
const form = /^00-([0-9a-f]{32})-([0-9a-f]{16})-0([01])$/;
const text = shared(files, { env: { GRANARY_LOG_LEVEL: 'debug' } });
const json = shared(files, { env: { GRANARY_LOG_LEVEL: 'debug', GRANARY_LOG_FORMAT: 'json' } });
const logged = (server, requestId) => until(`the line of ${requestId}`, () => server.log().split('\n').find((line) => line.includes(requestId)));

test('a trace is gone on with, on every kind of route', async () => {
  for (const route of ['/livez', '/cubejs-api/v1/meta', '/ops/status', '/pre-aggregations', '/no/such/route', `/cubejs-api/v1/load?query=${encodeURIComponent(JSON.stringify(query))}`]) {
    const seen = new Set();
    for (const flags of ['00', '01']) {
      const answer = await text.fetch(route, { headers: { traceparent: `00-${id}-${span}-${flags}`, tracestate: 'a=1,b@c=x y' } });
      const [, trace, own, sampled] = form.exec(answer.headers.get('traceparent'));
      assert.equal(trace, id);
      assert.notEqual(own, span);
      assert.equal(`0${sampled}`, flags);
      assert.equal(answer.headers.get('tracestate'), 'a=1,b@c=x y');
      seen.add(own);
    }
    assert.equal(seen.size, 2);
  }
});

test('what is no trace is ignored, and a new one is made', async () => {
  const bad = [undefined, 'x', `01-${id}-${span}-01`, `00-${id.toUpperCase()}-${span}-01`, `00-${'0'.repeat(32)}-${span}-01`, `00-${id}-${'0'.repeat(16)}-01`,
    `${given}-x`, given.slice(1), `ff-${id}-${span}-01`, `00-${id}-${span}-zz`, 'a'.repeat(5000)];
  const seen = new Set();
  for (const traceparent of bad) {
    const answer = await text.fetch('/livez', { headers: { ...(traceparent ? { traceparent } : {}), tracestate: 'a=1' } });
    assert.equal(answer.status, 200);
    const trace = form.exec(answer.headers.get('traceparent'))[1];
    assert.notEqual(trace, id);
    assert.equal(answer.headers.get('tracestate'), null);
    seen.add(trace);
  }
  assert.equal(seen.size, bad.length);
  for (const tracestate of ['a', 'x'.repeat(600), '=1']) {
    const answer = await text.fetch('/livez', { headers: { traceparent: given, tracestate } });
    assert.equal(form.exec(answer.headers.get('traceparent'))[1], id);
    assert.equal(answer.headers.get('tracestate'), null);
  }
  const longest = `a=${'x'.repeat(510)}`;
  assert.equal((await text.fetch('/livez', { headers: { traceparent: given, tracestate: longest } })).headers.get('tracestate'), longest);
});

test('request ids are what they were', async () => {
  const ask = async (headers) => (await text.fetch('/livez', { headers })).headers.get('x-request-id');
  assert.equal(await ask({ 'x-request-id': 'mine-span-2', traceparent: given }), 'mine-span-2');
  assert.equal(await ask({ traceparent: given }), given);
  assert.match(await ask({}), /^[0-9a-f-]{36}-span-1$/);
});

test('every line of a request has its trace', async () => {
  await text.fetch('/ops/status', { headers: { traceparent: given, 'x-request-id': 'text-1' } });
  assert.match(await logged(text, 'text-1'), new RegExp(` http\\.request .*request_id=text-1 trace=${id}$`));
  const answer = await json.fetch('/no/such', { headers: { traceparent: given, 'x-request-id': 'json-1' } });
  const line = JSON.parse(await logged(json, 'json-1'));
  assert.deepEqual([line.event, line.trace_id, line.span_id], ['http.request', id, form.exec(answer.headers.get('traceparent'))[2]]);
  await json.load(query);
  await until('the line of the load', () => json.log().includes('/cubejs-api/v1/load'));
  for (const text of json.log().trim().split('\n')) {
    const entry = JSON.parse(text);
    if (entry.event === 'http.request') assert.match(entry.trace_id, /^[0-9a-f]{32}$/);
  }
});

test('a build belongs to the trace of the request that needed it, also when the client is told to wait', async (t) => {
  const model = slowCube('slow', 3000000, '    pre_aggregations:\n      - {name: main, measures: [count, longest], dimensions: [k]}\n');
  const server = await serve(t, { 'model/slow.yml': model }, { env: { GRANARY_HTTP_CONTINUE_WAIT_MS: '100' } });
  const s = await new Stream(`${server.url}/ops/events`).open();
  t.after(() => s.close());
  const answer = await server.post('/cubejs-api/v1/load', { query: { measures: ['slow.count'], dimensions: ['slow.k'] } }, { traceparent: given });
  assert.equal(answer.body.error, 'Continue wait');
  assert.equal(form.exec(answer.headers.get('traceparent'))[1], id);
  const other = id.replace('4', '5');
  await server.post('/cubejs-api/v1/load', { query: { measures: ['slow.count'], dimensions: ['slow.k'] } }, { traceparent: given.replace(id, other) });
  await s.has('preagg.version_published', 30000);
  assert.deepEqual(s.events.map((e) => [e.event, e.data.trace_id]), ['preagg.build_started', 'preagg.build_done', 'preagg.version_published'].map((e) => [e, id]));
  // A query that runs on without its client keeps its trace.
  const detached = await server.fetch(`/cubejs-api/v1/load?without_rollups=1&query=${encodeURIComponent(JSON.stringify({ measures: ['slow.longest'] }))}`, { headers: { traceparent: given } });
  assert.equal(detached.body.error, 'Continue wait');
  assert.equal(form.exec(detached.headers.get('traceparent'))[1], id);
});
