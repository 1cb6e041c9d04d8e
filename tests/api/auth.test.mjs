// Who may: one JSON web token, HS256 with the API secret; scopes; developer mode without a secret.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import { describe, test } from 'node:test';
import { csv, jwt, serve, shared, workspace } from './helpers.mjs';

const files = {
  'data/items.csv': csv(['id', 'city'], [[1, 'Oslo'], [2, 'Rome']]),
  'model/items.yml': `cubes:
  - name: items
    sql_table: items
    measures:
      - {name: count, type: count}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: city, sql: city, type: string}
    pre_aggregations:
      - {name: main, measures: [count], dimensions: [city]}
`,
};
const query = { measures: ['items.count'] };
const secret = 'secret';
const vector = 'eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.e30.t-IDcSemACt8x4iTMCda8Yhe3iZaWbvV5XKSTbuAn0M'; // {} with `secret`
const now = Math.floor(Date.now() / 1000);

describe('with several secrets', () => {
  const server = shared(files, { env: { CUBEJS_API_SECRETS: 'first, second' } });
  for (const [key, status] of [['first', 200], ['second', 200], ['third', 403], ['first, second', 403]])
    test(`a token of ${key}: ${status}`, async () => {
      const answer = await server.get('/cubejs-api/v1/load', query, { authorization: jwt({}, key) });
      assert.equal(answer.status, status, answer.text);
    });
});

describe('with an API secret', () => {
  const server = shared(files, { env: { GRANARY_API_SECRET: secret } });
  const load = (headers) => server.get('/cubejs-api/v1/load', query, headers);

  test('the helper makes the known token', () => assert.equal(jwt('{}', secret), vector));

  const good = [
    ['raw', { authorization: vector }],
    ['Bearer', { authorization: `Bearer ${vector}` }],
    ['another first word', { authorization: `Token ${vector}` }],
    ['x-cube-authorization', { 'x-cube-authorization': vector }],
    ['a payload', { authorization: jwt({ u: { id: 1 }, tenant: 'a' }, secret) }],
    ['not expired', { authorization: jwt({ exp: now + 60, iat: now }, secret) }],
    ['scope data', { authorization: jwt({ scopes: ['data'] }, secret) }],
  ];
  for (const [what, headers] of good)
    test(`accepted: ${what}`, async () => {
      const answer = await load(headers);
      assert.equal(answer.status, 200, answer.text);
      assert.deepEqual(answer.body.data, [{ 'items.count': '2' }]);
    });

  const [head, payload, signature] = vector.split('.');
  const flipped = (text) => (text[0] === 'A' ? 'B' : 'A') + text.slice(1);
  const bad = [
    ['alg none, no signature', jwt({}, null, { header: { alg: 'none' } })],
    ['alg None, no signature', jwt({}, null, { header: { alg: 'None' } })],
    ['alg none with a signature', jwt({}, secret, { header: { alg: 'none' } })],
    ['labelled RS256', jwt({}, secret, { header: { alg: 'RS256' } })],
    ['HS512 with the right secret', jwt({}, secret, { header: { alg: 'HS512' }, digest: 'sha512' })],
    ['HS384 with the right secret', jwt({}, secret, { header: { alg: 'HS384' }, digest: 'sha384' })],
    ['expired', jwt({ exp: now - 10 }, secret)],
    ['an expiry that is a text', jwt({ exp: `${now + 60}` }, secret)],
    ['not yet valid', jwt({ nbf: now + 600 }, secret)],
    ['another secret', jwt({}, 'secre')],
    ['an empty secret', jwt({}, '')],
    ['a flipped signature', `${head}.${payload}.${flipped(signature)}`],
    ['a shortened signature', `${head}.${payload}.${signature.slice(0, -2)}`],
    ['another payload under the signature', `${head}.${Buffer.from('{"scopes":["jobs"]}').toString('base64url')}.${signature}`],
    ['no signature', `${head}.${payload}.`],
    ['two parts', `${head}.${payload}`],
    ['no token at all', 'nonsense'],
    ['only Bearer', 'Bearer '],
    ['dots', '...'],
    ['a payload that is no JSON', jwt('no json', secret)],
    ['a payload that is a list', jwt([1], secret)],
    ['20,000 bytes', jwt({ text: 'x'.repeat(20000) }, secret)],
  ];
  for (const [what, token] of bad)
    test(`refused: ${what}`, async () => {
      for (const authorization of [token, `Bearer ${token}`]) {
        const answer = await load({ authorization });
        assert.equal(answer.status, 403, answer.text);
        assert.deepEqual([answer.body.error, answer.body.id], ['Invalid token', 'auth.invalid']);
      }
    });

  test('no header: 403, on every route but health', async () => {
    for (const route of ['/cubejs-api/v1/load', '/cubejs-api/v1/sql', '/cubejs-api/v1/dry-run', '/cubejs-api/v1/meta', '/v1/explain', '/ops/status', '/ops/pre-aggregations', '/cubejs-api/v1/load?query=%7B'])
      for (const method of ['GET', 'POST']) {
        const answer = await server.fetch(route, { method, ...(method === 'POST' && { body: '{}' }) });
        if (answer.status === 405) continue;
        assert.equal(answer.status, 403, `${method} ${route}: ${answer.text}`);
        assert.deepEqual([answer.body.error, answer.body.id], ["Authorization header isn't set", 'auth.missing']);
      }
    const reload = await server.fetch('/ops/reload', { method: 'POST' });
    assert.equal(reload.body.id, 'auth.missing');
    for (const route of ['/livez', '/readyz']) assert.equal((await server.fetch(route)).status, 200);
  });

  // scopes of the token -> status of load, meta, sql, jobs
  const scopes = [
    [undefined, [200, 200, 200, 403]],
    [['data'], [200, 403, 403, 403]],
    [['meta'], [403, 200, 403, 403]],
    [['sql'], [403, 403, 200, 403]],
    [['jobs'], [403, 403, 403, 200]],
    [['data', 'meta', 'sql', 'jobs'], [200, 200, 200, 200]],
    [[], [403, 403, 403, 403]],
    ['data', [403, 403, 403, 403]],
  ];
  for (const [granted, expected] of scopes)
    test(`scopes ${JSON.stringify(granted)}`, async () => {
      const headers = { authorization: jwt(granted === undefined ? {} : { scopes: granted }, secret) };
      const answers = [
        await load(headers),
        await server.get('/cubejs-api/v1/meta', undefined, headers),
        await server.get('/cubejs-api/v1/sql', query, headers),
        await server.get('/ops/pre-aggregations', undefined, headers),
      ];
      assert.deepEqual(answers.map((answer) => answer.status), expected);
      answers.forEach((answer, i) => {
        if (answer.status === 403) assert.deepEqual([answer.body.id, answer.body.error], ['auth.scope', `API scope is missing: ${['data', 'meta', 'sql', 'jobs'][i]}`]);
      });
    });

  test('the token of server.json passes, another does not', async () => {
    assert.equal((await server.get('/ops/status', undefined, { 'x-granary-local-token': server.token })).status, 200);
    assert.equal((await server.get('/ops/status', undefined, { 'x-granary-local-token': `${server.token}0` })).status, 403);
    assert.equal((await server.get('/ops/status', undefined, { 'x-granary-local-token': server.token.slice(1) })).status, 403);
  });

  test('server.json is for its owner alone', () => assert.equal(fs.statSync(`${server.state}/server.json`).mode & 0o777, 0o600));

  test('the command line goes through the server with it', async () => {
    const run = await server.granary(['preagg', 'build', 'items.main', '--json']);
    assert.equal(run.code, 0, run.stderr);
    assert.equal((await server.granary(['query', JSON.stringify(query), '--json'])).json.data[0]['items.count'], '2');
  });

  test('a preflight needs no token', async () => {
    assert.equal((await server.fetch('/cubejs-api/v1/load', { method: 'OPTIONS', headers: { origin: 'http://a.example', 'access-control-request-method': 'GET' } })).status, 204);
  });

  test('the secret is shown nowhere', async (t) => {
    const long = await serve(t, files, { env: { GRANARY_API_SECRET: 'a-secret-of-some-length', GRANARY_LOG_LEVEL: 'debug' } });
    await long.get('/cubejs-api/v1/load', query, { authorization: 'wrong' });
    const doctor = await long.granary(['doctor', '--json']);
    await long.stop();
    for (const text of [long.log(), long.run.stdout, doctor.stdout, doctor.stderr]) assert.ok(!text.includes('a-secret-of-some-length'));
  });
});

describe('without an API secret', () => {
  test('developer mode: no token, or any', async (t) => {
    const server = await serve(t, files);
    for (const headers of [{}, { authorization: 'nonsense' }, { authorization: jwt({}, null, { header: { alg: 'none' } }) }])
      assert.equal((await server.get('/cubejs-api/v1/load', query, headers)).status, 200);
    assert.equal(new URL(server.url).hostname, '127.0.0.1');
  });

  test('it listens on loopback only', async (t) => {
    const { granary } = workspace(t, files);
    const run = await granary(['serve', '--port', '0', '--host', '0.0.0.0'], { timeout: 5000 });
    assert.notEqual(run.code, 0);
    assert.match(run.stderr, /error\[(config\.invalid|server\.listen)\]: .*api.secret/i);
  });
});

test('the configuration may hold the secret, and dev_mode lets everything pass', async (t) => {
  const config = 'data_sources:\n  default: {type: duckdb, path: data}\nmodel: model\napi_secret: secret\n';
  const server = await serve(t, { ...files, 'granary.yml': config });
  assert.equal((await server.get('/cubejs-api/v1/load', query)).status, 403);
  assert.equal((await server.get('/cubejs-api/v1/load', query, { authorization: vector })).status, 200);
  await server.restart({ args: ['--dev'] });
  assert.equal((await server.get('/cubejs-api/v1/load', query, { authorization: 'nonsense' })).status, 200);
});

test('CUBEJS_API_SECRET means the same', async (t) => {
  const server = await serve(t, files, { env: { CUBEJS_API_SECRET: secret } });
  assert.equal((await server.get('/cubejs-api/v1/load', query)).status, 403);
  assert.equal((await server.get('/cubejs-api/v1/load', query, { authorization: vector })).status, 200);
});
