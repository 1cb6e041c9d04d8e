// Ways in which one user's definition could have spoilt another's, or a build have been taken for what it is not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { csv, Server, serve, slowCube, sleep, until, write } from './helpers.mjs';
import { get, list, materialize, ok, plan, reload, send } from './entities.mjs';

const shop = (more = '') => `cubes:
  - name: orders
    sql_table: orders
    joins:
      - {name: users, sql: "{CUBE}.user_id = {users.id}", relationship: many_to_one}
      - {name: shops, sql: "{CUBE}.shop_id = {shops.id}", relationship: many_to_one}
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
      - {name: mean, type: avg, sql: amount}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: user_id, sql: user_id, type: number}
      - {name: status, sql: status, type: string}
      - {name: at, sql: at, type: time}
    pre_aggregations:
      - {name: raw, type: original_sql}
      - {name: by_status, measures: [count], dimensions: [status], use_original_sql_pre_aggregations: true}
  - name: users
    sql_table: users
    joins:
      - {name: orders, sql: "{CUBE}.id = {orders.user_id}", relationship: one_to_many}
    measures:
      - {name: ages, type: sum, sql: age}
      - {name: people, type: count}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: country, sql: country, type: string}
  - name: shops
    sql_table: shops
    joins:
      - {name: users, sql: "{CUBE}.owner_id = {users.id}", relationship: many_to_one}
    measures:
      - {name: shops, type: count}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: town, sql: town, type: string}
views:
  - name: owners
    cubes:
      - {join_path: orders, includes: [status, count]}
      - {join_path: orders.shops.users, includes: [people]}
${more}`;
const files = (more) => ({
  'model/shop.yml': shop(more),
  'data/orders.csv': csv(['id', 'status', 'at', 'amount', 'user_id', 'shop_id'], Array.from({ length: 40 }, (_, i) => [i, 'abc'[i % 3], `2024-01-${10 + (i % 9)} 23:30:00`, i % 7, i % 5, i % 2])),
  'data/users.csv': csv(['id', 'country', 'age'], [[0, 'IT', 20], [1, 'DE', 30], [2, 'IT', 40], [3, 'FR', 50], [4, 'DE', 60]]),
  'data/shops.csv': csv(['id', 'town', 'owner_id'], [[0, 'Rome', 1], [1, 'Bonn', 2]]),
});
const ask = (measures, dimensions) => ({ measures, dimensions });
const rows = (result) => result.data.map((row) => JSON.stringify(row)).sort();
async function isServed(server, one, name) {
  const [fast, slow] = [await server.result(one), await server.result(one, '?without_rollups=1')];
  assert.deepEqual(rows(fast), rows(slow));
  assert.deepEqual(Server.served(fast), name ? [name] : []);
}

test('a second user whose measures start at another cube changes nothing of the first one\'s entity', async (t) => {
  const server = await serve(t, files());
  const by = ['orders.status'];
  const cube = await ok(server.post('/nodes/cube', { name: 'ages', metrics: ['users.ages'], dimensions: by }), 201);
  const first = await materialize(server, cube.pre_aggregations[0]);
  await isServed(server, ask(['users.ages'], by), first.name);
  const [orders] = (await plan(server, 'orders.total', 'orders.status')).preaggs;
  const [both] = (await plan(server, 'users.ages orders.count', 'orders.status')).preaggs;
  assert.deepEqual([both.id, orders.id === both.id], [first.id, false], 'the first measure is the root of the joins');
  await isServed(server, ask(['users.ages'], by), first.name);
  const wide = await materialize(server, first.id);
  await isServed(server, ask(['users.ages', 'orders.count'], by), wide.name);
  await reload(server);
  await server.restart();
  await isServed(server, ask(['users.ages'], by), first.name);
  assert.deepEqual((await get(server, first.id)).cubes, ['ages']);
});

test('wider by a measure over the same column: the columns keep their names, and what was built serves on', async (t) => {
  const server = await serve(t, files());
  const [{ id, name }] = (await plan(server, 'orders.total users.people', 'orders.at.day')).preaggs;
  await materialize(server, id);
  await plan(server, 'orders.mean shops.shops', 'orders.at.day');
  const wide = await get(server, id);
  assert.deepEqual([wide.status, wide.served_build.measures[0], wide.is_current], ['pending', 'orders__total', true]);
  await isServed(server, { measures: ['orders.total'], dimensions: [], timeDimensions: [{ dimension: 'orders.at', granularity: 'day' }] }, name);
});

test('deleted, planned again, built: another table, also while a query holds the old one', async (t) => {
  const server = await serve(t, files());
  const tables = new Set();
  for (let i = 0; i < 3; i++) {
    const [{ id, name }] = (await plan(server, 'orders.total', 'users.country')).preaggs;
    const [built, answers] = [await materialize(server, id), Promise.all(Array.from({ length: 20 }, () => server.result(ask(['orders.total'], ['users.country']))))];
    tables.add(built.table);
    await isServed(server, ask(['orders.total'], ['users.country']), name);
    await ok(send(server, 'DELETE', `/pre-aggregations/${id}`));
    await answers;
  }
  assert.equal(tables.size, 3);
});

test('a build that was asked for while an older one of the same entity waits holds what the catalog says', async (t) => {
  const slow = slowCube('slow', 3000000, '    pre_aggregations:\n      - {name: main, measures: [longest], dimensions: [k]}\n').replace(/^cubes:\n/, '');
  const server = await serve(t, { ...files(), 'model/slow.yml': `cubes:\n${slow}` });
  await ok(server.post('/pre-aggregations/slow.main/materialize', {}), 202);
  const [planned] = (await plan(server, 'orders.count', 'shops.town')).preaggs;
  await ok(server.post(`/pre-aggregations/${planned.id}/materialize`, {}), 202);
  const waiting = server.result(ask(['orders.count'], ['orders.status']));
  await sleep(100);
  const [wide] = (await plan(server, 'orders.total', 'orders.status')).preaggs;
  await server.post(`/pre-aggregations/${wide.id}/materialize`, {});
  assert.equal((await waiting).data.length, 3);
  await until('all builds to end', async () => (await list(server, '?status=materializing')).total === 0, 60000);
  const built = await get(server, wide.id);
  assert.equal(built.status, 'active');
  await isServed(server, ask(['orders.total', 'orders.count'], ['orders.status']), built.name);
});

test('asked for again at the moment when a build ends: it is built again, and nothing stays materializing', async (t) => {
  const server = await serve(t, files());
  const [{ id }] = (await plan(server, 'orders.total', 'orders.status')).preaggs;
  for (let i = 1; i <= 10; i++) {
    const answer = await server.post(`/pre-aggregations/${id}/materialize`, { force: true });
    assert.equal(answer.status, 202, answer.text);
    await until('it to be active', async () => (await get(server, id)).status === 'active', 20000);
  }
  assert.equal((await get(server, id)).served_build.version, 10);
});

test('a cube by API is made in its time zone', async (t) => {
  const server = await serve(t, files());
  const day = { name: 'days', metrics: ['orders.count'], dimensions: ['orders.at.day'], timezone: 'Europe/Rome' };
  const cube = await ok(server.post('/nodes/cube', day), 201);
  const built = await materialize(server, cube.pre_aggregations[0]);
  assert.equal(built.time_zone, 'Europe/Rome');
  const one = { measures: ['orders.count'], timeDimensions: [{ dimension: 'orders.at', granularity: 'day' }], timezone: 'Europe/Rome' };
  await isServed(server, one, built.name);
  await ok(send(server, 'PATCH', '/nodes/days', { description: 'by day' }));
  assert.deepEqual((await get(server, built.id)).cubes, ['days']);
});

test('a measure that a view reaches by a join path is refused, not taken for another', async (t) => {
  const server = await serve(t, files());
  for (const [route, more] of [['/preaggs/plan', {}], ['/nodes/cube', { name: 'v' }]]) {
    const answer = await server.post(route, { metrics: ['owners.people'], dimensions: ['orders.status'], ...more });
    assert.equal(answer.status, 422, answer.text);
    assert.match(answer.text, /join path/);
  }
  await plan(server, 'owners.count', 'orders.status');
});

test('a cube of the model takes the place of one by API: the server starts, and says so', async (t) => {
  const server = await serve(t, files());
  await ok(server.post('/nodes/cube', { name: 'sales', metrics: ['orders.total'], dimensions: ['orders.status'] }), 201);
  await server.stop();
  write(server.folder, 'model/sales.yml', 'cubes:\n  - name: sales\n    sql_table: orders\n    measures: [{name: n, type: count}]\n');
  await server.start();
  assert.equal((await ok(server.fetch('/nodes/sales'))).type, 'source');
  assert.equal((await server.result(ask(['sales.n'], []))).data[0]['sales.n'], '40');
});

test('what was built from a stored original_sql is as old as that', async (t) => {
  const server = await serve(t, files());
  const one = ask(['orders.count'], ['orders.status']);
  const first = await server.result(one);
  assert.deepEqual(Server.served(first), ['orders.by_status']);
  await sleep(1100);
  await ok(server.post('/pre-aggregations/orders.by_status/materialize', { force: true, wait: true }));
  const [raw] = (await list(server)).items.filter((item) => item.name === 'orders.raw');
  const again = await server.result(one);
  assert.ok(Date.parse(again.lastRefreshTime) <= Date.parse(raw.served_build.finished_at), `${again.lastRefreshTime} is after ${raw.served_build.finished_at}`);
});
