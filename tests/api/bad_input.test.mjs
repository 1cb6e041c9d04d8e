// What must not hurt: malformed, huge, deep and hostile input; a source, a disk or a database that is not as it should be.
// Each gives an error with its id, and the server goes on.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import fs from 'node:fs';
import net from 'node:net';
import path from 'node:path';
import { afterEach, describe, test } from 'node:test';
import { Database } from './duckdb.mjs';
import { csv, makeFolder, Server, serve, shared, slowCube, workspace, write } from './helpers.mjs';

const model = `cubes:
  - name: items
    sql_table: items
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
      - {name: no_column, type: sum, sql: "{CUBE}.no_such_column"}
      - {name: no_number, type: sum, sql: "CAST({CUBE}.name AS INTEGER)"}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: name, sql: name, type: string}
      - {name: amount, sql: amount, type: number}
      - {name: at, sql: at, type: time}
  - name: missing
    sql_table: no_such_table
    measures:
      - {name: count, type: count}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
    pre_aggregations:
      - {name: main, measures: [count]}
`;
const files = {
  'data/items.csv': csv(['id', 'name', 'amount', 'at'], [[1, 'a', 10, '2024-01-01 00:00:00'], [2, 'b', 20, '2024-01-02 00:00:00']]),
  'model/items.yml': model,
};
const good = { measures: ['items.total'] };
const load = '/cubejs-api/v1/load';

describe('requests', () => {
  const server = shared(files);
  // After each of them the server is there and right.
  afterEach(async () => assert.deepEqual(await server.rows(good), [{ 'items.total': '30' }]));

  const expectError = async (answer, status, id) => {
    const { status: actual, body, text } = await answer;
    assert.deepEqual([actual, body?.id], [status, id], text.slice(0, 300));
    assert.ok(body.error.length > 5 && body.error.length < 4000, 'an error text is neither empty nor endless');
    return body;
  };
  const ask = (query) => server.post(load, { query });
  const filtered = (filter) => ({ ...good, filters: [filter] });
  const nested = (depth, kind) => `${`{"${kind}":[`.repeat(depth)}{"member":"items.name","operator":"set"}${']}'.repeat(depth)}`;

  const malformed = ['{', '{"query": {"measures": ["items.total"]}', '{"query": nope}', '[1,2', '{"query": "{\\"measures\\""}', '{"query":{}}x', '\u0000', '{"a":1,}', '"', '{"query": {"measures": ["items.total"], "measures": 01}}'];
  for (const text of malformed) test(`malformed JSON: ${JSON.stringify(text)}`, () => expectError(server.post(load, text), 400, 'json.syntax'));

  const misshapen = ['[]', '"text"', '7', 'null', 'true', '{"query": 5}', '{"query": true}', '{"query": "5"}', '{"query": []}', '{"query": {"measures": {}}}', '{"query": {"measures": [5]}}', '{"query": {"measures": [null]}}', '{"query": {"measures": ["items.total"], "filters": {}}}', '{"query": {"measures": ["items.total"], "filters": [5]}}', '{"query": {"measures": ["items.total"], "timeDimensions": [[]]}}', '{"query": {"measures": ["items.total"], "order": "up"}}', '{"query": {"measures": ["items.total"], "limit": -1}}', '{"query": {"measures": ["items.total"], "limit": 1.5}}', '{"query": {"measures": ["items.total"], "limit": 99999999999999999999}}', '{"query": {"measures": ["a.b.c.d"]}}', '{"query": {"measures": ["items.total; DROP"]}}', '{"query": {"measures": [""]}}', '{"query": {"measures": ["."]}}'];
  for (const text of misshapen)
    test(`JSON of another shape: ${text}`, async () => {
      const { status, body } = await server.post(load, text);
      assert.ok([400].includes(status), `${status} ${JSON.stringify(body)}`);
      assert.match(body.id, /^(query\.(invalid|unsupported|unknown_member)|json\.syntax)$/);
    });

  for (const depth of [100, 1000, 100000])
    for (const kind of ['and', 'or'])
      test(`filters nested ${depth} deep (${kind})`, async () => {
        const { status, body } = await server.post(load, `{"query":{"measures":["items.total"],"filters":[${nested(depth, kind)}]}}`);
        assert.equal(status, depth > 60000 ? status : 400);
        assert.match(body.id, /^(limit\.exceeded|json\.limit|http\.body)$/);
      });
  test('filters nested as deep as is allowed', async () => {
    const { status, text } = await server.post(load, `{"query":{"measures":["items.total"],"filters":[${nested(20, 'and')}]}}`);
    assert.equal(status, 200, text);
  });
  test('brackets, 200,000 of them', () => expectError(server.post(load, '['.repeat(200000)), 400, 'json.limit'));
  test('objects in objects, 30,000 deep', () => expectError(server.post(load, `{"query":${'{"a":'.repeat(30000)}1${'}'.repeat(30000)}}`), 400, 'json.limit'));

  test('10,000 members', async () => {
    const many = Array.from({ length: 10000 }, () => 'items.total');
    await expectError(ask({ measures: many }), 400, 'limit.exceeded');
    await expectError(ask({ dimensions: many.map(() => 'items.name') }), 400, 'limit.exceeded');
    await expectError(ask({ ...good, timeDimensions: many.map(() => ({ dimension: 'items.at', granularity: 'day' })) }), 400, 'limit.exceeded');
    await expectError(ask({ ...good, filters: many.map(() => ({ member: 'items.name', operator: 'set' })) }), 400, 'limit.exceeded');
    await expectError(ask({ ...good, filters: [{ or: many.map(() => ({ member: 'items.name', operator: 'set' })) }] }), 400, 'limit.exceeded');
    await expectError(ask({ ...good, segments: many }), 400, 'limit.exceeded');
    await expectError(ask({ ...good, order: many.map((id) => [id, 'asc']) }), 400, 'limit.exceeded');
  });
  test('20,000 values of a filter', () => expectError(ask(filtered({ member: 'items.name', operator: 'equals', values: Array.from({ length: 20000 }, (_, i) => `v${i}`) })), 400, 'limit.exceeded'));
  test('5,000 values of a filter are allowed', async () => {
    const answer = await ask(filtered({ member: 'items.name', operator: 'equals', values: Array.from({ length: 5000 }, (_, i) => `v${i}`).concat('a') }));
    assert.deepEqual(answer.body.data, [{ 'items.total': '10' }]);
  });

  test('a body of 50 MB', async () => {
    const body = await expectError(server.post(load, Buffer.alloc(50 * 1000 * 1000, 0x20)), 413, 'http.body');
    assert.match(body.hint, /http\.body_max_bytes/);
  });
  test('a body of 2 MB in chunks, without a length', async () => {
    const stream = new ReadableStream({
      start(controller) {
        for (let i = 0; i < 32; i++) controller.enqueue(new Uint8Array(65536).fill(0x20));
        controller.close();
      },
    });
    await expectError(server.fetch(load, { method: 'POST', body: stream, duplex: 'half' }), 413, 'http.body');
  });
  test('a URL of 200,000 bytes', async () => {
    const answer = await server.fetch(`${load}?query=${'x'.repeat(200000)}`).catch((error) => error);
    assert.ok(answer instanceof Error || answer.status >= 400, 'it is refused or cut off');
  });
  test('a thousand headers', async () => {
    const headers = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`x-header-${i}`, 'x'.repeat(100)]));
    const answer = await server.fetch('/livez', { headers }).catch((error) => error);
    assert.ok(answer instanceof Error || answer.status >= 400, 'it is refused or cut off');
  });

  const badBytes = [[0xff], [0xc3, 0x28], [0xed, 0xa0, 0x80], [0xf5, 0x80, 0x80, 0x80], [0xc0, 0xaf], [0xe2, 0x82]];
  for (const bytes of badBytes)
    test(`invalid UTF-8: ${Buffer.from(bytes).toString('hex')}`, async () => {
      const wrap = (before, after) => Buffer.concat([Buffer.from(before), Buffer.from(bytes), Buffer.from(after)]);
      await expectError(server.post(load, wrap('{"query":{"measures":["items.total"],"filters":[{"member":"items.name","operator":"equals","values":["', '"]}]}}')), 400, 'json.syntax');
      const escaped = bytes.map((byte) => `%${byte.toString(16)}`).join('');
      const { status, body } = await server.fetch(`${load}?query=%7B%22measures%22:[%22items.${escaped}%22]%7D`);
      assert.equal(status, 400);
      assert.match(body.id, /^(json\.syntax|query\.invalid)$/);
    });
  test('a NUL and other control characters in a value', async () => {
    for (const value of ['a\u0000b', '\u0001', '\u001b[31m', '\ud83d\ude00', '\u202e', '%00', '\ufeff'])
      for (const operator of ['equals', 'contains', 'notContains']) {
        const { status, body, text } = await ask(filtered({ member: 'items.name', operator, values: [value] }));
        assert.ok(status === 200 || (status === 400 && body.id), text);
      }
  });
  test('texts that look like SQL stay texts', async () => {
    for (const value of ["' OR 1=1 --", "'; DROP TABLE items; --", '" OR ""="', '$1', '?', '{CUBE}', '%s%s%s%n', '\\', "\\'", '/* */', "a'||'"])
      for (const operator of ['equals', 'contains', 'startsWith', 'endsWith']) {
        const { status, body, text } = await ask(filtered({ member: 'items.name', operator, values: [value] }));
        assert.deepEqual([status, body.data], [200, [{ 'items.total': null }]], text);
      }
  });

  const dates = ['2021-02-30', '2021-13-01', '2021-00-10', '2021-02-29', '99999-01-01', '2021-01-01T25:00:00', '2021-1-1-1', '', ' ', 'some day', 'last 99999999999 years', 'from now to', "2021-01-01'; --"];
  for (const date of dates)
    test(`a date that does not exist: ${JSON.stringify(date)}`, async () => {
      const range = (dateRange) => ({ ...good, timeDimensions: [{ dimension: 'items.at', granularity: 'day', dateRange }] });
      await expectError(ask(range([date, '2021-03-01'])), 400, 'query.date');
      await expectError(ask(range([date])), 400, 'query.date');
      await expectError(ask(filtered({ member: 'items.at', operator: 'afterDate', values: [date] })), 400, 'query.date');
      await expectError(ask(filtered({ member: 'items.at', operator: 'inDateRange', values: [date, '2021-03-01'] })), 400, 'query.date');
    });
  test('2021-02-30: the text of the reference', async () => {
    const body = await expectError(ask({ ...good, timeDimensions: [{ dimension: 'items.at', dateRange: ['2021-02-30', '2021-03-01'] }] }), 400, 'query.date');
    assert.equal(body.error, "Can't parse date: '2021-02-30'");
  });
  for (const timezone of ['Mars/Phobos', '', 'UTC+5', '../../etc/passwd', 'x'.repeat(5000), '+05:00', 'America/'])
    test(`an unknown time zone: ${JSON.stringify(timezone.slice(0, 30))}`, () => expectError(ask({ ...good, timezone }), 400, 'query.timezone'));

  test('a missing table in the source', async () => {
    const body = await expectError(ask({ measures: ['missing.count'], dimensions: ['missing.id'] }), 400, 'query.hidden_member');
    assert.match(body.error, /missing\.id/);
    const missing = await expectError(ask({ measures: ['missing.count'] }), 400, 'engine.sql');
    assert.match(missing.error, /no_such_table/);
  });
  test('a missing column in the source', async () => {
    const body = await expectError(ask({ measures: ['items.no_column'] }), 400, 'engine.sql');
    assert.match(body.error, /no_such_column/);
    assert.ok(!/LINE 1/.test(body.error), 'the statement is not shown');
  });
  test('a value that does not convert', async () => {
    const body = await expectError(ask({ measures: ['items.no_number'] }), 400, 'engine.data');
    assert.match(body.error, /'[ab]'/);
  });

  test('bytes that are no HTTP', async () => {
    const { hostname, port } = new URL(server.url);
    for (const text of ['\u0000\u0001\u0002\r\n\r\n', 'GET\r\n\r\n', 'GET / HTTP/9.9\r\n\r\n', 'POST /cubejs-api/v1/load HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n', 'POST /cubejs-api/v1/load HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999999999999\r\n\r\n', `GET /${'%'.repeat(100)} HTTP/1.1\r\nHost: x\r\n\r\n`, 'POST /cubejs-api/v1/load HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"query"'])
      await new Promise((resolve) => {
        const socket = net.connect(Number(port), hostname, () => socket.write(text, 'latin1'));
        socket.setTimeout(150, () => socket.destroy());
        socket.on('data', () => {}).on('error', () => {}).on('close', resolve);
      });
  });
  test('a hundred connections that say nothing', async () => {
    const { hostname, port } = new URL(server.url);
    const sockets = await Promise.all(Array.from({ length: 100 }, () => new Promise((resolve) => { const socket = net.connect(Number(port), hostname, () => resolve(socket)); socket.on('error', () => {}); })));
    assert.equal((await server.fetch('/livez')).status, 200);
    sockets.forEach((socket) => socket.destroy());
  });
  test('pre-aggregations that do not exist', async () => {
    await expectError(server.post('/ops/pre-aggregations/items.nothing/build', ''), 404, 'preagg.not_found');
    await expectError(server.fetch('/ops/pre-aggregations/items.nothing', { method: 'DELETE' }), 404, 'preagg.not_found');
    await expectError(server.fetch('/ops/pre-aggregations/%27%3B--/build'), 404, 'preagg.not_found');
  });
});

test('more requests than may wait: http.busy with Retry-After', async (t) => {
  const server = await serve(t, { 'model/slow.yml': slowCube('slow', 1000000) }, { env: { GRANARY_HTTP_WORKERS: '1', GRANARY_HTTP_QUEUE: '2' } });
  const answers = await Promise.all(Array.from({ length: 12 }, () => server.post(load, { query: { measures: ['slow.longest'] } })));
  const busy = answers.filter((answer) => answer.status === 503);
  assert.ok(busy.length >= 1 && busy.length < 12, `${busy.length} of 12 were refused`);
  for (const answer of busy) assert.deepEqual([answer.body.id, answer.headers.get('retry-after')], ['http.busy', '1']);
  for (const answer of answers.filter((a) => a.status !== 503)) assert.equal(answer.status, 200);
  await server.assertAlive();
});

test('a query that needs more memory than it may have', async (t) => {
  const sql = 'SELECT i AS id, list(j) AS big FROM range(4) AS a(i), range(6000000) AS b(j) GROUP BY i';
  const cube = `cubes:\n  - name: big\n    sql: "${sql}"\n    measures:\n      - {name: most, type: max, sql: "len({CUBE}.big)"}\n      - {name: count, type: count}\n    dimensions:\n      - {name: id, sql: id, type: number, primary_key: true}\n`;
  const server = await serve(t, { 'model/big.yml': cube, ...files }, { env: { GRANARY_ENGINE_MEMORY_MB: '64', GRANARY_ENGINE_THREADS: '1' } });
  const answer = await server.post(load, { query: { measures: ['big.most'] } });
  assert.deepEqual([answer.status, answer.body.id], [400, 'engine.memory'], answer.text);
  assert.deepEqual(await server.rows(good), [{ 'items.total': '30' }]);
});

test('a result that is too large for its limit of rows is cut by the limit, not by the server', async (t) => {
  const server = await serve(t, { 'model/slow.yml': slowCube('slow', 60000).replace('primary_key: true', 'primary_key: true, public: true') });
  assert.equal((await server.rows({ dimensions: ['slow.id'] })).length, 10000);
  assert.equal((await server.rows({ dimensions: ['slow.id'], limit: 50000 })).length, 50000);
});

// ---- model and configuration ----------------------------------------------------------------------------------------

const bomb = (levels) =>
  `a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n${Array.from({ length: levels }, (_, i) => `a${i + 1}: &a${i + 1} [${Array(10).fill(`*a${i}`).join(', ')}]`).join('\n')}\ncubes: *a${levels}\n`;

test('a YAML bomb of aliases as a model: refused quickly, at start and at a reload', async (t) => {
  const { granary } = workspace(t, { ...files, 'model/bomb.yml': bomb(9) });
  const before = Date.now();
  const check = await granary(['check', '--json']);
  assert.equal(check.code, 1, check.stderr);
  assert.ok(check.json.diagnostics.some((d) => d.id === 'yaml.limit' && /bomb\.yml$/.test(d.file)), check.stdout.slice(0, 500));
  assert.ok(Date.now() - before < 3000, 'it does not take long');
  const server = await serve(t, files);
  for (const text of [bomb(9), 'cubes: &c [*c]\n', `cubes: ${'['.repeat(5000)}`, `x: ${'y'.repeat(20 << 20)}\n`, '\u0000\u0001', 'cubes: [{name: "\\xff"}]\n', '{{ jinja }}\n']) {
    write(server.folder, 'model/bomb.yml', text);
    const reload = await server.post('/ops/reload', '');
    assert.deepEqual([reload.status, reload.body?.id], [500, 'model.errors'], reload.text.slice(0, 300));
    assert.ok(reload.body.diagnostics.length >= 1 && reload.body.diagnostics.every((d) => d.id && d.message), reload.text.slice(0, 300));
    assert.deepEqual(await server.rows(good), [{ 'items.total': '30' }]);
  }
});

test('a YAML bomb as the configuration', async (t) => {
  const { granary } = workspace(t, { ...files, 'granary.yml': bomb(9) });
  const check = await granary(['check']);
  assert.equal(check.code, 1);
  assert.match(check.stderr, /granary\.yml:\d+:\d+: error\[yaml\.limit\]/);
});

const configs = [
  ['an unknown key', 'model: model\nmodle: x\n', 'config.unknown_key', 2],
  ['an unknown key in a group', 'data_sources:\n  default: {type: duckdb, path: data}\nhttp:\n  prot: 80\n', 'config.unknown_key', 4],
  ['a port that is none', 'data_sources:\n  default: {type: duckdb, path: data}\nhttp:\n  port: 70000\n', 'config.invalid', 4],
  ['a kind of source that is none', 'data_sources:\n  default: {type: oracle, path: data}\n', 'config.invalid', 2],
  ['no YAML', 'data_sources: [\n', 'yaml.syntax', undefined],
];
for (const [what, text, id, line] of configs)
  test(`configuration with ${what}: ${id}`, async (t) => {
    const { granary } = workspace(t, { ...files, 'granary.yml': text });
    const run = await granary(['check']);
    assert.equal(run.code, 1, run.stdout + run.stderr);
    assert.match(run.stderr, new RegExp(`granary\\.yml:${line ?? '\\d+'}:\\d+: error\\[${id.replace('.', '\\.')}\\]`));
  });

test('environment and flags with bad values: config.invalid', async (t) => {
  const { granary } = workspace(t, files);
  assert.match((await granary(['check'], { env: { GRANARY_HTTP_PORT: 'many' } })).stderr, /error\[config\.invalid\]: .*GRANARY_HTTP_PORT/);
  assert.match((await granary(['serve', '--port', '99999'])).stderr, /error\[config\.invalid\]/);
});

test('no configuration: config.not_found; no model folder: model.not_found', async (t) => {
  const { folder, granary } = workspace(t, files);
  fs.renameSync(path.join(folder, 'granary.yml'), path.join(folder, 'elsewhere.yml'));
  const run = await granary(['check', '--json']);
  assert.deepEqual([run.code, run.json.id], [1, 'config.not_found']);
  fs.renameSync(path.join(folder, 'elsewhere.yml'), path.join(folder, 'granary.yml'));
  fs.rmSync(path.join(folder, 'model'), { recursive: true });
  const check = await granary(['check', '--json']);
  assert.equal(check.code, 1);
  assert.match(check.stdout, /"model\.not_found"/);
});

// Each defect of a model has its id, and its place: the line that contains the mark.
const cube = (body, rest = '') => `cubes:\n  - name: orders\n    sql_table: orders\n    measures:\n      - {name: count, type: count}\n${body}    dimensions:\n      - {name: id, sql: id, type: number, primary_key: true}\n      - {name: status, sql: status, type: string}\n      - {name: at, sql: at, type: time}\n${rest}`;
const models = [
  ['model.unknown_key', cube('', '    mesures: []\n'), 'mesures'],
  ['model.invalid', cube('      - {name: x, type: median, sql: a}\n'), 'median'],
  ['model.invalid', cube('      - {name: x, type: sum}\n'), 'name: x'],
  ['model.duplicate', cube('      - {name: count, type: sum, sql: amount}\n'), 'type: sum'],
  ['model.unresolved', cube('      - {name: x, type: number, sql: "{nothing} + 1"}\n'), 'nothing'],
  ['model.unresolved', cube('', '    pre_aggregations:\n      - {name: main, measures: [cuont]}\n'), 'cuont'],
  ['model.expression', cube('      - {name: x, type: sum, sql: "({CUBE}.a + 1"}\n'), '({CUBE}'],
  ['model.nested_aggregate', cube('      - {name: x, type: sum, sql: "{count} + 1"}\n'), '{count}'],
  ['model.cycle', cube('      - {name: x, type: number, sql: "{y} + 1"}\n      - {name: y, type: number, sql: "{x} + 1"}\n'), 'name: '],
  ['model.join', cube('', '    joins:\n      - {name: nobody, relationship: many_to_one, sql: "{CUBE}.a = {nobody.id}"}\n'), 'nobody'],
  ['model.unsupported', cube('', '    access_policy: [{group: all}]\n'), 'access_policy'],
  ['model.unsupported', cube('      - {name: x, type: number, sql: a, case: {}}\n'), 'case'],
  ['yaml.syntax', 'cubes:\n  - name: orders\n   sql_table: x\n', ''],
];
for (const [id, text, mark] of models)
  test(`model: ${id} (${mark})`, async (t) => {
    const { granary } = workspace(t, { ...files, 'model/items.yml': text });
    const { code, json, stdout, stderr } = await granary(['check', '--json']);
    assert.equal(code, 1, stdout + stderr);
    const found = json.diagnostics.find((d) => d.id === id && d.severity === 'error');
    assert.ok(found, stdout);
    assert.match(found.file, /items\.yml$/);
    assert.ok(found.line >= 1 && found.column >= 1);
    assert.ok(text.split('\n')[found.line - 1].includes(mark), `line ${found.line} has ${mark}`);
  });

test('model.no_effect: read, kept and warned of', async (t) => {
  const text = cube('', '    rewrite_queries: true\n    pre_aggregations:\n      - {name: main, measures: [count], time_dimension: at, granularity: day, unique_key_columns: [id]}\n');
  const { granary } = workspace(t, { ...files, 'model/items.yml': text });
  const { code, json } = await granary(['check', '--json']);
  assert.equal(code, 0);
  const warnings = json.diagnostics.filter((d) => d.severity === 'warning' && d.id === 'model.no_effect');
  assert.ok(warnings.length >= 2 && warnings.every((d) => d.line > 0), JSON.stringify(json));
});

test('check refuses what serve would refuse: a model that does not fit the configuration', async (t) => {
  const misfits = [
    [cube('', '    data_source: absent\n'), 'model.unresolved'],
    [cube('', '    pre_aggregations:\n      - {name: main, measures: [count], external: false}\n'), 'model.invalid'],
  ];
  for (const [text, id] of misfits) {
    const { granary } = workspace(t, { ...files, 'model/items.yml': text });
    for (const args of [['serve', '--port', '0'], ['check']]) {
      const run = await granary(args, { timeout: 5000 });
      assert.equal(run.code, 1, `${args[0]}: ${run.stdout}${run.stderr}`);
      assert.match(run.stdout + run.stderr, new RegExp(`items\\.yml:\\d+:\\d+: error\\[${id.replace('.', '\\.')}\\]`), args[0]);
    }
  }
});

test('all diagnostics of a folder come at once', async (t) => {
  const { granary } = workspace(t, { ...files, 'model/items.yml': cube('      - {name: x, type: median, sql: a}\n      - {name: y, type: number, sql: "{nothing}"}\n', '    mesures: []\n'), 'model/b.yml': 'cubes: 5\n', 'model/c.yml': 'foo: 1\n' });
  const { json } = await granary(['check', '--json']);
  assert.deepEqual(new Set(json.diagnostics.map((d) => path.basename(d.file))), new Set(['items.yml', 'b.yml', 'c.yml']));
  assert.ok(json.errors >= 5, JSON.stringify(json));
});

// ---- sources, disks, databases --------------------------------------------------------------------------------------

test('a source that does not exist, or is no database: an error with its place', async (t) => {
  for (const [config, id, code] of [['path: nowhere', 'config.invalid', 1], ['path: model/items.yml', 'engine.open', 3]]) {
    const { granary } = workspace(t, { ...files, 'granary.yml': `data_sources:\n  default: {type: duckdb, ${config}}\nmodel: model\n` });
    const run = await granary(['query', JSON.stringify(good), '--json']);
    assert.deepEqual([run.code, run.json?.id], [code, id], run.stdout + run.stderr);
    assert.match(run.stderr, /granary\.yml:2:\d+/);
  }
});

test('a data file that goes away, and comes back', async (t) => {
  const server = await serve(t, files);
  fs.renameSync(path.join(server.folder, 'data/items.csv'), path.join(server.folder, 'items.csv'));
  const answer = await server.load(good);
  assert.deepEqual([answer.status, answer.body.id], [400, 'engine.io'], answer.text);
  await server.assertAlive();
  fs.renameSync(path.join(server.folder, 'items.csv'), path.join(server.folder, 'data/items.csv'));
  assert.deepEqual(await server.rows(good), [{ 'items.total': '30' }]);
});

const rollup = '    pre_aggregations:\n      - {name: main, measures: [count, total]}\n';
const withRollup = { ...files, 'model/items.yml': model.replace('  - name: missing', `${rollup}  - name: missing`) };

test('a storage folder that cannot be written: store.io at start', async (t) => {
  const folder = makeFolder(withRollup);
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  fs.writeFileSync(path.join(folder, 'file'), '');
  const server = new Server(folder);
  for (const storage of ['file/below', '/proc/granary-test']) {
    const run = await server.granary(['serve', '--port', '0', '--storage', storage], { timeout: 5000 });
    assert.equal(run.code, 3, run.stderr);
    assert.match(run.stderr, /error\[store\.io\]/);
  }
  fs.mkdirSync(path.join(folder, '.granary'), { mode: 0o555 });
  const run = await server.granary(['serve', '--port', '0'], { timeout: 5000, powerless: true });
  assert.equal(run.code, 3, run.stderr);
  assert.match(run.stderr, /error\[(store|catalog)\.io\]/);
});

test('a disk that becomes read-only: answers come from the source, what is built goes on serving', async (t) => {
  const server = await serve(t, withRollup, {
    powerless: true,
    prepare: (folder) => fs.mkdirSync(path.join(folder, '.granary')),
  });
  const makeWritable = (is) => {
    for (const name of fs.readdirSync(server.state)) fs.chmodSync(path.join(server.state, name), is ? 0o644 : 0o444);
    fs.chmodSync(server.state, is ? 0o755 : 0o555);
  };
  try {
    makeWritable(false);
    for (let i = 0; i < 2; i++) {
      const result = await server.result(good);
      assert.deepEqual([result.data, Server.served(result)], [[{ 'items.total': '30' }], []]);
    }
    assert.deepEqual((await server.explain(good)).refusals.map((r) => r.rule), ['match.build_failed']);
    await server.assertAlive(good);
  } finally {
    makeWritable(true);
  }
});

test('a catalog that is no database: catalog.io; a catalog of a newer Granary: catalog.version', async (t) => {
  const server = await serve(t, withRollup);
  await server.rows(good);
  await server.stop();
  const catalog = path.join(server.state, 'catalog.sqlite');
  const kept = fs.readFileSync(catalog);
  fs.writeFileSync(catalog, 'not a database, and long enough to be looked at'.repeat(100));
  const broken = await server.granary(['query', JSON.stringify(good), '--json']);
  assert.deepEqual([broken.code, broken.json.id], [3, 'catalog.io'], broken.stdout);
  fs.writeFileSync(catalog, kept);
  const sqlite = spawn('python3', ['-c', `import sqlite3; c = sqlite3.connect(${JSON.stringify(catalog)}); c.execute("INSERT INTO schema_migrations VALUES (99, 'from the future', 0)"); c.commit()`], { stdio: 'inherit' });
  assert.equal(await new Promise((resolve) => sqlite.on('close', resolve)), 0);
  const newer = await server.granary(['query', JSON.stringify(good), '--json']);
  assert.deepEqual([newer.code, newer.json.id], [3, 'catalog.version'], newer.stdout);
  fs.writeFileSync(catalog, kept);
  await server.start();
  assert.deepEqual(await server.rows(good), [{ 'items.total': '30' }]);
});

test('an embedded store that is no database: an error, and nothing is thrown away', async (t) => {
  const { folder, granary } = workspace(t, { ...withRollup, '.granary/store.duckdb': 'this is not a database'.repeat(1000) });
  const run = await granary(['query', JSON.stringify(good), '--json']);
  assert.equal(run.code, 3, run.stdout);
  assert.match(run.json.id, /^(store\.io|engine\.open)$/);
  assert.equal(fs.readFileSync(path.join(folder, '.granary/store.duckdb'), 'utf8').slice(0, 4), 'this');
});

test('a source database that another process holds: engine.locked, with its process', async (t) => {
  const config = 'data_sources:\n  default: {type: duckdb, path: data/shop.duckdb}\nmodel: model\n';
  const folder = makeFolder({ 'granary.yml': config, 'model/items.yml': model });
  t.after(() => fs.rmSync(folder, { recursive: true, force: true }));
  const db = await Database.open(path.join(folder, 'data/shop.duckdb')); // this process now holds it
  await db.run("CREATE TABLE items AS SELECT 1 AS id, 'a' AS name, 30 AS amount, TIMESTAMP '2024-01-01' AS at");
  const server = new Server(folder);
  const refused = await server.granary(['query', JSON.stringify(good), '--json']);
  assert.deepEqual([refused.code, refused.json.id], [3, 'engine.locked'], refused.stdout);
  assert.match(refused.json.error, /shop\.duckdb is held by another process/);
  assert.match(refused.json.hint, new RegExp(`process ${process.pid} holds it`));
  db.close();
  t.after(() => server.stop());
  await server.start();
  assert.deepEqual(await server.rows(good), [{ 'items.total': '30' }]);
});

test('folders that are no set of tables: engine.open', async (t) => {
  const odd = [
    ['two files for one table', { 'data/items.parquet': 'x' }, /would both be table/],
    ['a database in a folder of files', { 'data/shop.duckdb': 'x' }, /database inside a folder/],
    ['a Parquet file that is none', { 'data/broken.parquet': 'x' }, /broken\.parquet/],
    ['a subfolder of two kinds', { 'data/mixed/a.csv': 'x\n1\n', 'data/mixed/b.json': '[]' }, /mixes kinds/],
  ];
  for (const [what, more, text] of odd) {
    const { granary } = workspace(t, { ...files, ...more });
    const run = await granary(['query', JSON.stringify(good), '--json']);
    assert.deepEqual([run.code, run.json?.id], [3, 'engine.open'], `${what}: ${run.stdout}${run.stderr}`);
    assert.match(run.json.error, text);
  }
});

test('the wait for a build that fails is over when it fails', async (t) => {
  const server = await serve(t, files);
  const before = Date.now();
  const answer = await server.load({ measures: ['missing.count'] });
  assert.deepEqual([answer.status, answer.body.id], [400, 'engine.sql']);
  assert.ok(Date.now() - before < 3000);
});
