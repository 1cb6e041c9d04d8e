// The OpenAPI document against the server that serves it: every operation is called, and what it answers is what the document
// says, status and body; so are its errors.
import assert from 'node:assert/strict';
import { before, describe, test } from 'node:test';
import { createCube, files, full, materialize, ok, planOne, query, send } from './entities.mjs';
import { csv, shared } from './helpers.mjs';
import { problems, resolve } from './schema.mjs';

const rollup = '    pre_aggregations:\n      - {name: main, measures: [total_quantity], dimensions: [status]}\n';
let server;
const made = { ...files({ preaggs: rollup }), 'data/told.csv': csv(['status', 'revenue'], [['completed', 158], ['pending', 180]]), 'data/told_later.csv': csv(['status', 'revenue'], [['completed', 158]]) };
let document, external, planned;

const table = (name) => ({ catalog: 'default', schema: 'main', table: name });
const registration = (name) => ({ name, metrics: full('total_revenue'), dimensions: full('status'), table: { ...table(name), valid_through_ts: 20240215 }, measure_columns: { 'order_details.total_revenue': 'revenue' }, dimension_columns: { 'order_details.status': 'status' } });
const fresh = async (dimensions, more) => (await planOne(server, 'total_revenue', dimensions, more)).id;
const load = { query: query('total_revenue', 'status') };
const asParam = `?query=${encodeURIComponent(JSON.stringify(load.query))}`;
const cubeRoutes = ['/cubejs-api/v1/load', '/cubejs-api/v1/sql', '/cubejs-api/v1/dry-run', '/cubejs-api/v1/explain', '/v1/explain'];
const blob = { 'reports.old': { measures_materialization: { source_node: 'order_details', grain: ['status'], measures: ['total_revenue'], table_hash: 'abc', status: 'active' } } };

// operation -> the request of it: a route, or a function that gives {route, body, status, headers}
const requests = {
  ...Object.fromEntries(cubeRoutes.flatMap((route) => [[`GET ${route}`, `${route}${asParam}`], [`POST ${route}`, () => ({ route, body: load })]])),
  'POST /cubejs-api/v1/pre-aggregations/jobs': () => ({ route: '/cubejs-api/v1/pre-aggregations/jobs', body: { action: 'post', selector: { contexts: [{ securityContext: {} }], timezones: ['UTC'] } } }),
  'GET /cubejs-api/v1/meta': '/cubejs-api/v1/meta?extended',
  ...Object.fromEntries(['/livez', '/readyz', '/cubejs-api/livez', '/cubejs-api/readyz'].flatMap((route) => [[`GET ${route}`, route], [`HEAD ${route}`, route]])),
  'GET /ops/status': '/ops/status',
  'POST /ops/reload': () => ({ route: '/ops/reload', body: '' }),
  'GET /ops/refresh': '/ops/refresh',
  'POST /ops/refresh': () => ({ route: '/ops/refresh', body: { state: 'running', now: false } }),
  'GET /cubejs-api/v1/run-scheduled-refresh': '/cubejs-api/v1/run-scheduled-refresh',
  'GET /ops/pre-aggregations': '/ops/pre-aggregations',
  'DELETE /ops/pre-aggregations/{id}': '/ops/pre-aggregations/order_details.main',
  'POST /ops/pre-aggregations/{id}/build': () => ({ route: '/ops/pre-aggregations/order_details.main/build', body: { force: true } }),
  'GET /ops/pre-aggregations/{id}/build': '/ops/pre-aggregations/order_details.main/build',
  'GET /pre-aggregations': '/pre-aggregations/?limit=100',
  'GET /pre-aggregations/{id}': () => ({ route: `/pre-aggregations/${planned}` }),
  'DELETE /pre-aggregations/{id}': async () => ({ route: `/pre-aggregations/${await fresh('location_to.city')}` }),
  'GET /pre-aggregations/{id}/cubes': '/pre-aggregations/order_details.main/cubes',
  'POST /pre-aggregations/{id}/materialize': async () => ({ route: `/pre-aggregations/${await fresh('location_from.city')}/materialize`, body: {} }),
  'GET /pre-aggregations/{id}/builds': () => ({ route: `/pre-aggregations/${planned}/builds` }),
  'GET /pre-aggregations/{id}/partitions': '/pre-aggregations/order_details.main/partitions',
  'POST /pre-aggregations/{id}/partitions:refresh': async () => ({ route: `/pre-aggregations/${await fresh('location_from.region')}/partitions:refresh`, body: {} }),
  'POST /pre-aggregations/{id}/verify': () => ({ route: `/pre-aggregations/${planned}/verify`, body: {} }),
  'GET /pre-aggregations/{id}/history': () => ({ route: `/pre-aggregations/${planned}/history` }),
  'GET /pre-aggregations/{id}/lineage': () => ({ route: `/pre-aggregations/${planned}/lineage` }),
  'GET /cubes/{name}/pre-aggregations': '/cubes/order_details/pre-aggregations',
  'GET /nodes/{name}/pre-aggregations': '/nodes/order_details/pre-aggregations?status=active&status=pending&include_stale=false',
  'GET /nodes/{name}/lineage': '/nodes/order_details/lineage',
  'GET /lineage': '/lineage?name=order_details.total_revenue',
  'GET /grain-groups': `/grain-groups?${full('total_revenue order_count top_product').map((name) => `metrics=${name}`).join('&')}&dimensions=order_details.status,product.category`,
  'GET /cubes': '/cubes',
  'GET /cubes/{name}': '/cubes/reports.kept',
  'GET /cubes/{name}/versions/{version}': '/cubes/reports.kept/versions/v1.0',
  'GET /nodes': '/nodes?node_type=transform&prefix=order',
  'GET /nodes/details': '/nodes/details',
  'GET /nodes/{name}': '/nodes/reports.kept',
  'GET /nodes/{name}/revisions': '/nodes/order_details/revisions',
  'POST /nodes/cube': () => ({ route: '/nodes/cube', body: { name: 'reports.made', metrics: full('total_revenue'), dimensions: full('status') } }),
  'PATCH /nodes/{name}': async () => (await createCube(server, 'reports.patched', 'total_revenue', 'status'), { route: '/nodes/reports.patched', body: { description: 'Patched.' } }),
  'DELETE /nodes/{name}': async () => (await createCube(server, 'reports.gone', 'total_revenue', 'status'), { route: '/nodes/reports.gone' }),
  'GET /history': '/history?node=order_details&limit=20',
  'GET /history/{entity_type}/{entity_name}': '/history/node/order_details',
  'GET /preaggs': '/preaggs?include_stale=true',
  'GET /preaggs/{id}': () => ({ route: `/preaggs/${external}` }),
  'POST /preaggs/plan': () => ({ route: '/preaggs/plan', body: { metrics: full('total_revenue top_product page_views.page_view_count'), dimensions: full('product.category') } }),
  'POST /preaggs/register': () => ({ route: '/preaggs/register', body: registration('told_later') }),
  'POST /preaggs/{id}/materialize': async () => ({ route: `/preaggs/${await fresh('customer.name', { strategy: 'full' })}/materialize` }),
  'GET /preaggs/{id}/partitions': () => ({ route: `/preaggs/${planned}/partitions` }),
  'POST /preaggs/{id}/partitions:refresh': async () => ({ route: `/preaggs/${await fresh('location_to.region')}/partitions:refresh` }),
  'PATCH /preaggs/{id}/config': () => ({ route: `/preaggs/${planned}/config`, body: { schedule: '0 3 * * *' } }),
  'DELETE /preaggs/{id}/workflow': async () => {
    const id = await fresh('customer.email', { strategy: 'full' });
    await ok(server.post(`/preaggs/${id}/materialize`, { wait: true }));
    return { route: `/preaggs/${id}/workflow` };
  },
  'DELETE /preaggs/workflows': async () => {
    await ok(server.post(`/preaggs/${await fresh('product.name', { strategy: 'full' })}/materialize`, { wait: true }));
    return { route: '/preaggs/workflows?node_name=order_details' };
  },
  'POST /preaggs/{id}/backfill': async () => {
    const id = await fresh('product.subcategory', { strategy: 'full' });
    await ok(server.post(`/preaggs/${id}/materialize`, { wait: true }));
    return { route: `/preaggs/${id}/backfill`, body: { start_date: '2024-01-01', end_date: '2024-02-01' } };
  },
  'POST /preaggs/{id}/availability': () => ({ route: `/preaggs/${external}/availability`, body: { ...table('told'), valid_through_ts: 20240216, max_temporal_partition: [20240216] } }),
  'POST /import/dj-materializations': () => ({ route: '/import/dj-materializations', body: blob }),
  'GET /openapi.json': '/openapi.json',
  'GET /ops/metrics': '/ops/metrics',
  'GET /ops/events': '/ops/events',
};

const schemaOf = (operation, status) => (operation.responses[status] ?? operation.responses.default).content['application/json'].schema;

describe('the OpenAPI document', () => {
server = shared(made);
before(async () => {
  document = await ok(server.fetch('/openapi.json'));
  planned = (await planOne(server, 'total_revenue customer_count order_count avg_unit_price', 'status product.category', { filters: ["product.category = 'Toys'"], strategy: 'full' })).id;
  await materialize(server, planned);
  await createCube(server, 'reports.kept', 'total_revenue top_product', 'status date.date_value.day', { filters: ["order_details.status = 'completed'"] });
  external = (await ok(server.post('/preaggs/register', registration('told')), 201)).preaggs[0].id;
});

describe('itself', () => {
  test('is of every route, and says that each needs a token but health', () => {
    assert.equal(document.openapi, '3.1.0');
    const operations = Object.entries(document.paths).flatMap(([path, methods]) => Object.entries(methods).map(([method, operation]) => [`${method.toUpperCase()} ${path}`, operation]));
    assert.deepEqual(operations.map(([name]) => name).sort(), Object.keys(requests).sort());
    assert.deepEqual(operations.filter(([, operation]) => !operation.security.length).map(([name]) => name).sort(), Object.keys(requests).filter((name) => /livez|readyz/.test(name)).sort());
    assert.equal(new Set(operations.map(([, operation]) => operation.operationId)).size, operations.length);
    for (const [name, operation] of operations) {
      const wild = [...name.matchAll(/\{(\w+)\}/g)].map((match) => match[1]);
      assert.deepEqual(operation.parameters.filter((p) => p.in === 'path').map((p) => p.name), wild, name);
    }
  });

  test('its schemas need no field that they do not have, and all that is named is there', () => {
    for (const [name, schema] of Object.entries(document.components.schemas)) {
      for (const key of schema.required ?? []) assert.ok(schema.properties[key], `${name}.${key}`);
      assert.ok(schema.enum || Object.keys(schema.properties).length, name);
    }
    JSON.stringify(document, (key, value) => (value?.$ref && resolve(document, value), value));
  });
});

describe('what is answered is what the document says', () => {
  for (const [name, request] of Object.entries(requests))
    test(name, async () => {
      const [method, path] = name.split(' ');
      const operation = document.paths[path][method.toLowerCase()];
      assert.ok(operation, `${name} is in the document`);
      const { route, body } = typeof request === 'string' ? { route: request } : await request();
      if (operation.requestBody && body) assert.deepEqual(problems(document, operation.requestBody.content['application/json'].schema, body), [], 'the request');
      const [type] = Object.keys(Object.values(operation.responses)[0].content);
      if (type !== 'application/json') { // a stream has no end to wait for
        const stop = new AbortController();
        const answer = await fetch(server.url + route, { signal: stop.signal });
        assert.equal(answer.status, 200);
        assert.equal(answer.headers.get('content-type').split(';')[0], type);
        return stop.abort();
      }
      const answer = await send(server, method, route, body);
      const [documented] = Object.keys(operation.responses);
      assert.ok(operation.responses[answer.status] && answer.status < 300, `${answer.status}, not ${documented}: ${answer.text}`);
      if (method === 'HEAD') return assert.equal(answer.text, '');
      assert.match(answer.headers.get('content-type'), /^application\/json/);
      assert.deepEqual(problems(document, schemaOf(operation, answer.status), answer.body), []);
    });

  const errors = {
    'GET /pre-aggregations': '/pre-aggregations?limit=0', 'GET /pre-aggregations/{id}': '/pre-aggregations/4711', 'GET /nodes/{name}': '/nodes/none',
    'GET /cubejs-api/v1/load': '/cubejs-api/v1/load?query={}', 'GET /ops/pre-aggregations/{id}/build': '/ops/pre-aggregations/none/build', 'GET /grain-groups': '/grain-groups?metrics=none.at_all', 'GET /lineage': '/lineage?format=svg',
  };
  for (const [name, route] of Object.entries(errors))
    test(`the error of ${route}`, async () => {
      const [method, path] = name.split(' ');
      const answer = await server.fetch(route);
      assert.ok(answer.status >= 400 && answer.status < 500, answer.text);
      assert.deepEqual(problems(document, schemaOf(document.paths[path][method.toLowerCase()], answer.status), answer.body), []);
    });

  test('the validator finds what is wrong', () => {
    const wrong = (value) => problems(document, { $ref: '#/components/schemas/CubeName' }, value).length;
    const right = { name: 'a', display_name: 'A', type: 'cube', version: 'v1.0', status: 'valid' };
    assert.equal(wrong(right), 0);
    assert.deepEqual([wrong({ ...right, type: 'view' }), wrong({ ...right, name: 1 }), wrong({ ...right, name: undefined }), wrong({ name: 'a' }), wrong({ ...right, more: 1 }), wrong([])], [1, 1, 1, 4, 1, 1]);
  });
});
});
