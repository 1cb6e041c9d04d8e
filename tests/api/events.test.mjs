// Events: the stream of /ops/events, and webhooks through a real receiver.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { csv, jwt, serve, sleep, until, workspace, write } from './helpers.mjs';
import { scrape } from './prometheus.mjs';
import { freePort, isSigned, Receiver, Stream } from './receiver.mjs';

const model = (more = '') => `cubes:
  - name: items
    sql_table: items
    measures:
      - {name: count, type: count}
      - {name: bad, type: sum, sql: "{CUBE}.no_such_column"}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: kind, sql: kind, type: string}
${more}    pre_aggregations:
      - {name: main, measures: [count], dimensions: [kind]}
      - {name: broken, measures: [bad], dimensions: [id]}
`;
const query = { measures: ['items.count'], dimensions: ['items.kind'] };
const config = (hooks = '') => `data_sources:\n  default: {type: duckdb, path: data}\nmodel: model\nwatch: false\n${hooks}`;
const hook = (url, rest = '') => `webhooks:\n  - url: "${url}"\n${rest}`;
const files = (hooks) => ({ 'granary.yml': config(hooks), 'data/items.csv': csv(['id', 'kind'], [[1, 'a'], [2, 'b'], [3, 'a']]), 'model/items.yml': model() });
const build = async (server, name = 'items.main', headers = {}) => {
  const answer = await server.post(`/ops/pre-aggregations/${name}/build`, { force: true }, headers);
  assert.equal(answer.status, 202, answer.text);
  await until('the build to end', async () => (await server.fetch(`/ops/pre-aggregations/${name}/build`)).body.is_done);
};
const stream = async (t, server, headers, params = '') => {
  const s = await new Stream(`${server.url}/ops/events${params}`, headers).open();
  t.after(() => s.close());
  return s;
};
const trace = '4bf92f3577b34da6a3ce929d0e0e4736';
const traceparent = `00-${trace}-00f067aa0ba902b7-01`;

// ---- the stream ---------------------------------------------------------------------------------------------------

test('a build tells what happens, in order', async (t) => {
  const server = await serve(t, files());
  const s = await stream(t, server);
  assert.equal(s.response.status, 200);
  assert.equal(s.response.headers.get('content-type'), 'text/event-stream; charset=utf-8');
  await server.load(query);
  await build(server, 'items.broken', { traceparent });
  await s.has('preagg.build_failed');
  assert.deepEqual(s.events.map((e) => e.event), ['preagg.build_started', 'preagg.build_done', 'preagg.version_published', 'preagg.build_started', 'preagg.build_failed']);
  assert.match(server.log(), /warn preagg\.build_failed pre_aggregation=items\.broken zone=UTC ms=\d+ id=\S+ error=.+ trace=4bf92f3577b34da6a3ce929d0e0e4736/i);
  const [started, done, published, , failed] = s.events.map((e) => e.data);
  for (const e of s.events) {
    assert.equal(e.id, e.data.id);
    assert.equal(e.event, e.data.event);
    assert.ok(Math.abs(Date.parse(e.data.at) - Date.now()) < 60000);
    assert.equal(e.data.zone, 'UTC');
  }
  assert.equal(new Set(s.events.map((e) => e.id)).size, 5);
  const [row] = (await server.fetch('/ops/pre-aggregations')).body.pre_aggregations;
  const { id, at, trace_id, duration_ms, ...rest } = done;
  assert.ok(duration_ms >= 0);
  assert.match(trace_id, /^[0-9a-f]{32}$/);
  assert.deepEqual(rest, { event: 'preagg.build_done', pre_aggregation: 'items.main', entity_id: row.entity_id, zone: 'UTC', build_number: row.version, rows: 2 });
  assert.equal(started.pre_aggregation, 'items.main');
  assert.deepEqual([published.build_number, published.rows], [row.version, 2]);
  assert.match(failed.error, /no_such_column/);
  assert.equal(failed.pre_aggregation, 'items.broken');
  assert.equal(failed.trace_id, trace);
  assert.notEqual(trace_id, trace);
});

test('a reload tells that it was, and what became stale', async (t) => {
  const server = await serve(t, files());
  await server.load(query);
  const s = await stream(t, server);
  write(server.folder, 'model/items.yml', model().replace('dimensions: [kind]', 'dimensions: [kind, id]'));
  assert.equal((await server.post('/ops/reload', {}, { traceparent })).body.changed, true);
  const stale = await s.has('preagg.stale');
  assert.equal(stale.data.pre_aggregation, 'items.main');
  assert.ok(stale.data.entity_id > 0);
  assert.deepEqual(s.events.map((e) => [e.event, e.data.trace_id]), [['model.reloaded', trace], ['preagg.stale', trace]]);
  // Nothing has changed, or nothing that loads: no event.
  assert.equal((await server.post('/ops/reload', {})).body.changed, false);
  write(server.folder, 'model/items.yml', 'cubes: nonsense');
  assert.notEqual((await server.post('/ops/reload', {})).status, 200);
  write(server.folder, 'model/items.yml', model('      - {name: more, sql: kind, type: string}\n'));
  server.signal('SIGHUP');
  await until('the second reload', () => s.events.filter((e) => e.event === 'model.reloaded').length === 2);
});

test('a reader comes back where it was, and is told what it has missed', async (t) => {
  const server = await serve(t, files());
  const first = await stream(t, server);
  await build(server);
  const last = await first.has('preagg.build_done');
  await first.close();
  await build(server);
  const second = await stream(t, server, { 'last-event-id': last.id });
  await second.has('preagg.version_published');
  await until('what came meanwhile', () => second.events.length >= 4);
  assert.deepEqual(second.events.map((e) => e.event), ['preagg.version_published', 'preagg.build_started', 'preagg.build_done', 'preagg.version_published']);
  const param = await stream(t, server, {}, `?last_event_id=${last.id}`);
  await until('the same by parameter', () => param.events.length === 4);
  // Of another life, or none: nobody knows how many.
  for (const id of ['0123456789abcdef-3', 'x', `${last.id.split('-')[0]}-999`]) {
    const lost = await stream(t, server, { 'last-event-id': id });
    await until('everything that is kept', () => lost.events.length === 7);
    assert.deepEqual([lost.events[0].event, lost.events[0].data], ['missed', { missed: null }]);
    assert.equal(lost.events[1].event, 'preagg.build_started');
  }
  await server.restart();
  const other = await stream(t, server, { 'last-event-id': last.id });
  await other.has('missed');
});

test('a reader that was away for too long is told how much it has missed', async (t) => {
  const server = await serve(t, files());
  const first = await stream(t, server);
  await build(server);
  const start = await first.has('preagg.build_started');
  await first.close();
  const n = 360; // three events each: more than 1,024
  for (let i = 0; i < n; i++) await build(server);
  // Far more was told than the ring keeps.
  const late = await stream(t, server, { 'last-event-id': start.id });
  const missed = await late.has('missed');
  const events = (await scrape(server)).all('granary_events_total').reduce((sum, s) => sum + s.value, 0);
  assert.equal(events, 3 * (n + 1));
  assert.deepEqual(missed.data, { missed: events - 1024 - 1 });
  await until('the rest', () => late.events.length === 1 + 1024);
  assert.ok(late.events.slice(1).every((e) => e.event.startsWith('preagg.')));
});

test('streams need the scope, and end when the server stops', async (t) => {
  const server = await serve(t, files(), { env: { GRANARY_API_SECRET: 'secret' } });
  assert.equal((await fetch(`${server.url}/ops/events`)).status, 403);
  const s = await stream(t, server, { authorization: jwt({ scopes: ['jobs'] }, 'secret') });
  const stopped = server.stop();
  await s.ended;
  assert.equal((await stopped).code, 0);
});

// ---- webhooks -----------------------------------------------------------------------------------------------------

test('deliveries come in order, signed, with the trace of what caused them', async (t) => {
  const receiver = await new Receiver().listen();
  const server = await serve(t, files(hook(`${receiver.url}/in?key=1`, '    secret: s3cret\n')));
  const s = await stream(t, server);
  await build(server, 'items.main', { traceparent, tracestate: 'vendor=1' });
  await build(server, 'items.broken');
  const calls = await receiver.has(5);
  await sleep(100);
  assert.equal(calls.length, 5);
  assert.deepEqual(receiver.kinds(), ['preagg.build_started', 'preagg.build_done', 'preagg.version_published', 'preagg.build_started', 'preagg.build_failed']);
  await s.has('preagg.build_failed');
  assert.deepEqual(calls.map((call) => call.event), s.events.map((e) => e.data));
  for (const call of calls) {
    assert.deepEqual([call.method, call.url, call.headers['content-type']], ['POST', '/in?key=1', 'application/json']);
    assert.equal(call.headers['x-granary-event'], call.event.event);
    assert.equal(call.headers['x-granary-delivery'], call.event.id);
    assert.ok(isSigned(call, 's3cret'));
    assert.ok(!isSigned(call, 'other'));
  }
  const [first, , , fourth] = calls;
  assert.match(first.headers.traceparent, new RegExp(`^00-${trace}-[0-9a-f]{16}-01$`));
  assert.equal(first.headers.tracestate, 'vendor=1');
  assert.ok(!first.headers.traceparent.includes('00f067aa0ba902b7'));
  assert.ok(fourth.headers.traceparent.includes(fourth.event.trace_id) && fourth.event.trace_id !== trace);
  const m = await scrape(server);
  assert.equal(m.get('granary_webhook_events_total', { webhook: '0', result: 'delivered' }), 5);
});

test('each webhook gets what it asked for; without a secret nothing is signed', async (t) => {
  const [a, b] = [await new Receiver().listen(), await new Receiver().listen()];
  const hooks = `webhooks:\n  - {url: "${a.url}", events: [preagg.build_failed]}\n  - {url: "${b.url}", events: ["*published", "model.*"]}\n`;
  const server = await serve(t, files(hooks));
  await build(server);
  await build(server, 'items.broken');
  await a.has(1);
  await b.has(1);
  assert.deepEqual([a.kinds(), b.kinds()], [['preagg.build_failed'], ['preagg.version_published']]);
  assert.equal(a.calls[0].headers['x-granary-signature'], undefined);
});

test('what fails with 500 is tried again, in its order; what is refused, or sent elsewhere, is lost', async (t) => {
  const elsewhere = await new Receiver().listen();
  let n = 0;
  const receiver = await new Receiver((call, response) => {
    n++;
    if (n === 1) response.writeHead(500).end('x');
    else if (n === 2) response.writeHead(503).end();
    else if (n === 3) response.writeHead(200).end();
    else if (n === 4) response.writeHead(307, { location: elsewhere.url }).end();
    else response.writeHead(404).end();
  }).listen();
  const server = await serve(t, files(hook(receiver.url)));
  await build(server);
  const calls = await receiver.has(5, 20000);
  const ids = calls.map((call) => call.headers['x-granary-delivery']);
  assert.equal(new Set(ids.slice(0, 3)).size, 1);
  assert.deepEqual(receiver.kinds(), ['preagg.build_started', 'preagg.build_started', 'preagg.build_started', 'preagg.build_done', 'preagg.version_published']);
  assert.deepEqual(calls[1].text, calls[0].text);
  const [wait1, wait2] = [calls[1].at - calls[0].at, calls[2].at - calls[1].at];
  assert.ok(wait1 >= 780 && wait1 < 2500, `${wait1} ms`);
  assert.ok(wait2 >= 1580 && wait2 < 4000, `${wait2} ms`);
  assert.equal(elsewhere.calls.length, 0);
  const m = await until('the counts', async () => {
    const now = await scrape(server);
    return now.get('granary_webhook_events_total', { result: 'lost' }) === 2 && now;
  });
  assert.equal(m.get('granary_webhook_events_total', { result: 'delivered' }), 1);
  assert.equal(m.get('granary_webhook_retries_total'), 2);
  assert.match(server.log(), /webhook\.lost .*status=307/);
  assert.match(server.log(), /webhook\.lost .*status=404/);
});

test('a slow receiver holds up neither the server nor another webhook', async (t) => {
  const slow = await new Receiver((call, response) => setTimeout(() => response.writeHead(200).end(), 700)).listen();
  const quick = await new Receiver().listen();
  const server = await serve(t, files(`webhooks:\n  - {url: "${slow.url}"}\n  - {url: "${quick.url}"}\n`));
  const started = Date.now();
  await build(server);
  await build(server);
  await quick.has(6);
  assert.ok(Date.now() - started < 2000, 'nobody waited');
  await server.assertAlive(query);
  await slow.has(6, 15000);
  assert.deepEqual(slow.calls.map((call) => call.event.id), quick.calls.map((call) => call.event.id));
  for (let i = 1; i < 6; i++) assert.ok(slow.calls[i].at - slow.calls[i - 1].at > 600, 'one at a time');
});

test('a receiver that is down for a while gets everything when it is back', async (t) => {
  const port = await freePort();
  const server = await serve(t, files(hook(`http://127.0.0.1:${port}/`)));
  await build(server);
  await build(server);
  await until('a try that failed', async () => (await scrape(server)).get('granary_webhook_retries_total') > 0);
  assert.equal((await scrape(server)).get('granary_webhook_queued'), 5);
  const receiver = await new Receiver().listen(port);
  await receiver.has(6, 20000);
  assert.deepEqual(receiver.kinds(), ['preagg.build_started', 'preagg.build_done', 'preagg.version_published', 'preagg.build_started', 'preagg.build_done', 'preagg.version_published']);
});

test('a stop sends what waits, and waits for nobody beyond the drain time', async (t) => {
  const receiver = await new Receiver((call, response) => setTimeout(() => response.writeHead(200).end(), 100)).listen();
  const server = await serve(t, files(hook(receiver.url)));
  await build(server);
  await build(server);
  assert.equal((await server.stop()).code, 0);
  assert.equal(receiver.calls.length, 6);
  const silent = await new Receiver(() => {}).listen();
  const other = await serve(t, files(hook(silent.url)), { env: { GRANARY_HTTP_DRAIN_MS: '1500' } });
  await build(other);
  await silent.has(1);
  const started = Date.now();
  assert.equal((await other.stop()).code, 0);
  assert.ok(Date.now() - started < 4000, `${Date.now() - started} ms`);
  const dead = await serve(t, files(hook(`http://127.0.0.1:${await freePort()}`)));
  await build(dead);
  const at = Date.now();
  assert.equal((await dead.stop()).code, 0);
  assert.ok(Date.now() - at < 3000, 'a receiver that is down is not waited for');
});

test('a command without a server tells webhooks too', async (t) => {
  const receiver = await new Receiver().listen();
  const { granary } = workspace(t, files(hook(receiver.url)));
  const run = await granary(['preagg', 'build', 'items.main']);
  assert.equal(run.code, 0, run.stderr);
  assert.deepEqual(receiver.kinds(), ['preagg.build_started', 'preagg.build_done', 'preagg.version_published']);
});

test('userinfo, path, query and secret of a webhook are shown nowhere', async (t) => {
  const secrets = ['jo3user', 'passw0rd', 'pathT0ken', 'keyT0ken', 's1gningKey'];
  const [user, password, way, key, secret] = secrets;
  const receiver = await new Receiver((call, response, n) => response.writeHead(n === 1 ? 500 : 404).end(call.headers.authorization)).listen();
  const url = `http://${user}:${password}@127.0.0.1:${receiver.port}/${way}?k=${key}`;
  for (const format of ['text', 'json']) {
    const server = await serve(t, files(hook(url, `    secret: ${secret}\n`)), { env: { GRANARY_LOG_LEVEL: 'debug', GRANARY_LOG_FORMAT: format } });
    await build(server);
    await until('all three to be lost', () => server.log().match(/webhook\.lost/g)?.length === 3, 15000);
    const shown = [
      (await server.fetch('/ops/status')).text, (await server.fetch('/ops/metrics')).text, (await server.fetch('/openapi.json')).text,
      (await server.granary(['doctor'])).stdout, (await server.granary(['doctor', '--json'])).stdout, (await server.granary(['check'])).stdout,
    ];
    assert.match(shown[0], new RegExp(`"webhooks":\\[\\{"url":"${receiver.url}","delivered":0,"retried":[01],"lost":3,`));
    assert.match(shown[3], new RegExp(`webhook 0: ${receiver.url} is told of 12 of 12 kinds of events, signed`));
    const run = await server.stop();
    shown.push(run.stdout, run.stderr);
    assert.match(run.stderr, /webhook\.lost/);
    assert.ok(run.stderr.includes(`http://127.0.0.1:${receiver.port}`));
    for (const text of shown) for (const word of secrets) assert.ok(!text.includes(word), `${word} in ${text}`);
  }
  const call = receiver.calls[0];
  assert.equal(call.headers.authorization, `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}`);
  assert.ok(isSigned(call, secret));
  // The body of an event does not say it either, and a configuration that is wrong does not.
  for (const word of secrets) assert.ok(!call.text.includes(word));
  const { granary } = workspace(t, files(hook(`htp://${user}:${password}@h/${way}`)));
  for (const command of [['check'], ['doctor'], ['serve', '--port', '0']]) {
    const run = await granary(command);
    assert.notEqual(run.code, 0);
    assert.match(run.stdout + run.stderr, /granary\.yml:6:10/);
    for (const word of secrets) assert.ok(!(run.stdout + run.stderr).includes(word));
  }
});
