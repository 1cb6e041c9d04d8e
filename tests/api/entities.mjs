// DataJunction's fixture (dj.md, appendices A and B) as a model of Granary, its numbers, and calls of the routes of entities.
// A dimension that DataJunction reaches in two roles is a cube for each role.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import path from 'node:path';
import { assertRows, ask, filters, is, leaf } from './answers.mjs';
import { Database } from './duckdb.mjs';
import { csv } from './helpers.mjs';

const words = (text) => (text ?? '').split(' ').filter(Boolean);
// What is not qualified is of order_details.
export const full = (text) => words(text).map((name) => (name.includes('.') ? name : `order_details.${name}`));
export const md5 = (text) => createHash('md5').update(text).digest('hex');
// JSON as Python writes it: what hashes are made of.
export const jsonList = (list) => `[${list.map((text) => JSON.stringify(text)).join(', ')}]`;

// ---- data (appendix B) --------------------------------------------------------------------------------------------

export const data = {
  'data/locations.csv': csv(['location_id', 'postal_code', 'city', 'region', 'country'], [[1, 10, 'A', 'E', 'US'], [2, 20, 'B', 'W', 'US'], [3, 30, 'C', 'N', 'CA']]),
  'data/customers.csv': csv(['customer_id', 'name', 'email', 'registration_date', 'location_id'], [[1, 'Ann', 'a@x', 20240101, 1], [2, 'Bob', 'b@x', 20240108, 3], [3, 'Cy', 'c@x', 20240108, null]]),
  'data/products.csv': csv(['product_id', 'name', 'category', 'subcategory', 'price'], [[10, 'pen', 'Office', 'Small', 2], [11, 'desk', 'Office', 'Big', 100], [12, 'ball', 'Toys', 'Small', 5], [13, 'kite', 'Garden', 'Big', 20]]),
  'data/dates.csv': csv(
    ['date_id', 'date_value', 'day_of_week', 'week', 'month', 'quarter', 'year'],
    [[20240101, '2024-01-01', 1, 1, 1, 1, 2024], [20240102, '2024-01-02', 2, 1, 1, 1, 2024], [20240108, '2024-01-08', 1, 2, 1, 1, 2024], [20240215, '2024-02-15', 4, 7, 2, 1, 2024]],
  ),
  'data/orders.csv': csv(
    ['order_id', 'customer_id', 'order_date', 'from_location_id', 'to_location_id', 'status'],
    [[100, 1, 20240101, 1, 2, 'completed'], [101, 2, 20240102, 1, 3, 'completed'], [102, 1, 20240108, 2, 1, 'pending'], [103, 3, 20240215, 2, 3, 'completed']],
  ),
  'data/order_items.csv': csv(
    ['order_id', 'line_number', 'product_id', 'quantity', 'unit_price'],
    [[100, 1, 10, 5, '2.0'], [100, 2, 11, 1, '100.0'], [101, 1, 10, 10, '1.5'], [101, 2, 12, 2, '5.0'], [102, 1, 11, 2, '90.0'], [103, 1, 12, 4, '4.0'], [103, 2, 99, 1, '7.0']],
  ),
  'data/page_views.csv': csv(
    ['view_id', 'session_id', 'customer_id', 'page_date', 'page_type', 'product_id'],
    [[1, 's1', 1, 20240101, 'product', 10], [2, 's1', 1, 20240101, 'checkout', null], [3, 's2', 2, 20240102, 'product', 12], [4, 's3', 3, 20240108, 'product', 13], [5, 's3', 3, 20240108, 'product', 10], [6, 's4', 1, 20240215, 'home', null]],
  ),
};

// ---- model (appendix A) -------------------------------------------------------------------------------------------

export const orderSql = (where = '') =>
  `SELECT o.order_id, i.line_number, o.customer_id, o.order_date, o.from_location_id, o.to_location_id, o.status, i.product_id, i.quantity, i.unit_price, i.quantity * i.unit_price AS line_total FROM orders o JOIN order_items i ON o.order_id = i.order_id${where}`;

// What tests change: the SQL and the description of order_details, its measures, what its rollups are.
export const orderDetails = ({ sql = orderSql(), description = 'Lines of orders.', measures = '', preaggs = '', revenue = '{CUBE}.line_total' } = {}) => `  - name: order_details
    description: "${description}"
    sql: "${sql}"
    joins:
      - {name: customer, relationship: many_to_one, sql: "{CUBE}.customer_id = {customer.customer_id}"}
      - {name: date, relationship: many_to_one, sql: "{CUBE}.order_date = {date.date_id}"}
      - {name: location_from, relationship: many_to_one, sql: "{CUBE}.from_location_id = {location_from.location_id}"}
      - {name: location_to, relationship: many_to_one, sql: "{CUBE}.to_location_id = {location_to.location_id}"}
      - {name: product, relationship: many_to_one, sql: "{CUBE}.product_id = {product.product_id}"}
    measures:
      - {name: total_revenue, type: sum, sql: "${revenue}"}
      - {name: total_quantity, type: sum, sql: "{CUBE}.quantity"}
      - {name: order_count, type: count_distinct, sql: "{CUBE}.order_id"}
      - {name: line_count, type: count}
      - {name: avg_unit_price, type: avg, sql: "{CUBE}.unit_price"}
      - {name: total_unit_price, type: sum, sql: "{CUBE}.unit_price"}
      - {name: max_unit_price, type: max, sql: "{CUBE}.unit_price"}
      - {name: min_unit_price, type: min, sql: "{CUBE}.unit_price"}
      - {name: customer_count, type: count_distinct_approx, sql: "{CUBE}.customer_id"}
      - {name: completed_order_revenue, type: sum, sql: "{CUBE}.line_total", filters: [{sql: "{CUBE}.status = 'completed'"}]}
      - {name: price_spread, type: number, sql: "{max_unit_price} - {min_unit_price}"}
      - {name: price_spread_pct, type: number, sql: "100.0 * {price_spread} / {avg_unit_price}"}
      - {name: avg_order_value, type: number, sql: "1.0 * {total_revenue} / NULLIF({order_count}, 0)"}
      - {name: price_var_pop, type: number, sql: "var_pop({CUBE}.unit_price)"}
      - {name: price_var_samp, type: number, sql: "var_samp({CUBE}.unit_price)"}
      - {name: price_stddev_pop, type: number, sql: "stddev_pop({CUBE}.unit_price)"}
      - {name: price_stddev_samp, type: number, sql: "stddev_samp({CUBE}.unit_price)"}
      - {name: top_product, type: number, sql: "arg_max({CUBE}.product_id, {CUBE}.line_total)"}
${measures}    dimensions:
      - {name: key, sql: "{CUBE}.order_id || '-' || {CUBE}.line_number", type: string, primary_key: true}
      - {name: order_id, sql: order_id, type: number}
      - {name: status, sql: status, type: string}
      - {name: order_date, sql: order_date, type: number}
${preaggs}`;

export const otherCubes = `  - name: page_views
    sql_table: page_views
    joins:
      - {name: customer, relationship: many_to_one, sql: "{CUBE}.customer_id = {customer.customer_id}"}
      - {name: date, relationship: many_to_one, sql: "{CUBE}.page_date = {date.date_id}"}
      - {name: product, relationship: many_to_one, sql: "{CUBE}.product_id = {product.product_id}"}
    measures:
      - {name: page_view_count, type: count, sql: "{CUBE}.view_id"}
      - {name: product_view_count, type: count, filters: [{sql: "{CUBE}.page_type = 'product'"}]}
      - {name: session_count, type: count_distinct, sql: "{CUBE}.session_id"}
      - {name: visitor_count, type: count_distinct, sql: "{CUBE}.customer_id"}
      - {name: product_session_count, type: count_distinct, sql: "CASE WHEN {CUBE}.page_type = 'product' THEN {CUBE}.session_id END"}
    dimensions:
      - {name: view_id, sql: view_id, type: number, primary_key: true}
      - {name: page_type, sql: page_type, type: string}
  - name: customer
    sql_table: customers
    joins:
      - {name: date_registration, relationship: many_to_one, sql: "{CUBE}.registration_date = {date_registration.date_id}"}
      - {name: location_home, relationship: many_to_one, sql: "{CUBE}.location_id = {location_home.location_id}"}
    dimensions:
      - {name: customer_id, sql: customer_id, type: number, primary_key: true, public: true}
      - {name: name, sql: name, type: string}
      - {name: email, sql: email, type: string}
  - name: product
    sql_table: products
    dimensions:
      - {name: product_id, sql: product_id, type: number, primary_key: true, public: true}
      - {name: name, sql: name, type: string}
      - {name: category, sql: category, type: string}
      - {name: subcategory, sql: subcategory, type: string}
  - name: date
    sql_table: dates
    dimensions:
      - {name: date_id, sql: date_id, type: number, primary_key: true, public: true}
      - {name: date_value, sql: "CAST({CUBE}.date_value AS TIMESTAMP)", type: time}
      - {name: week, sql: week, type: number}
      - {name: month, sql: month, type: number}
      - {name: year, sql: year, type: number}
  - {name: date_registration, extends: date}
  - name: location
    sql_table: locations
    dimensions:
      - {name: location_id, sql: location_id, type: number, primary_key: true, public: true}
      - {name: city, sql: city, type: string}
      - {name: region, sql: region, type: string}
      - {name: country, sql: country, type: string}
  - {name: location_home, extends: location}
  - {name: location_from, extends: location}
  - {name: location_to, extends: location}
`;

export const model = (changes, more = '') => ({ 'model/shop.yml': `cubes:\n${orderDetails(changes)}${otherCubes}${more}` });
export const files = (changes, more) => ({ ...data, ...model(changes, more) });

// ---- numbers (appendix B) -----------------------------------------------------------------------------------------

const query = (measures, dimensions, rest) => ask(full(measures).join(' '), full(dimensions).join(' '), rest);
export { query };
const category = (...values) => is('product.category', ...values);

// [what, measures, dimensions, rows, {filter}, grain beyond the dimensions, and how it is when an entity serves]
// `exact`: something in it is a distinct count, which an entity serves at its own grain.
export const numbers = [
  ['everything', 'total_revenue total_quantity order_count avg_unit_price max_unit_price', '', [[338, 25, 4, 419 / 14, 100]]],
  ['revenue and quantity by status', 'total_revenue total_quantity', 'status', [['completed', 158, 23], ['pending', 180, 2]]],
  ['revenue by category', 'total_revenue', 'product.category', [[null, 7], ['Office', 305], ['Toys', 26]]],
  ['orders by category, each counted once', 'order_count', 'product.category', [[null, 1], ['Office', 3], ['Toys', 2]]],
  ['orders by status and category', 'order_count', 'status product.category', [['completed', null, 1], ['completed', 'Office', 2], ['completed', 'Toys', 2], ['pending', 'Office', 1]]],
  ['value of an order by status', 'avg_order_value', 'status', [['completed', 158 / 3], ['pending', 180]]],
  ['value of an order', 'avg_order_value', '', [[84.5]]],
  ['mean price by status', 'avg_unit_price', 'status', [['completed', 119.5 / 6], ['pending', 90]]],
  ['prices by category', 'avg_unit_price max_unit_price min_unit_price', 'product.category', [[null, 7, 7, 7], ['Office', 48.375, 100, 1.5], ['Toys', 4.5, 5, 4]]],
  ['spread of prices by category', 'price_spread price_spread_pct', 'product.category', [[null, 0, 0], ['Office', 98.5, 9850 / 48.375], ['Toys', 1, 100 / 4.5]]],
  ['revenue of completed orders by name', 'completed_order_revenue', 'customer.name', [['Ann', 110], ['Bob', 25], ['Cy', 23]]],
  ['revenue by country, two joins away', 'total_revenue', 'location_home.country', [[null, 23], ['CA', 25], ['US', 290]]],
  ['revenue by two roles of one table', 'total_revenue', 'location_from.country location_to.country', [['US', 'CA', 48], ['US', 'US', 290]]],
  ['revenue by date', 'total_revenue', 'date.date_id', [[20240101, 110], [20240102, 25], [20240108, 180], [20240215, 23]]],
  ['revenue by week', 'total_revenue', 'date.week', [[1, 135], [2, 180], [7, 23]]],
  ['revenue by month and status', 'total_revenue', 'date.month status', [[1, 'completed', 135], [1, 'pending', 180], [2, 'completed', 23]]],
  ['customers by status, by sketch', 'customer_count', 'status', [['completed', 3], ['pending', 1]]],
  ['variance and deviation of prices', 'price_var_pop price_var_samp price_stddev_pop price_stddev_samp', '', [[1703.744898, 1987.702381, 41.276445, 44.583656]], { tolerance: 1e-6 }],
  ['page views by category', 'page_views.page_view_count page_views.session_count page_views.visitor_count', 'product.category', [[null, 2, 2, 1], ['Garden', 1, 1, 1], ['Office', 2, 2, 2], ['Toys', 1, 1, 1]]],
  ['sessions that saw a product', 'page_views.product_session_count', '', [[3]]],
  ['two facts by category', 'total_revenue page_views.page_view_count', 'product.category', [[null, 7, 2], ['Garden', null, 1], ['Office', 305, 2], ['Toys', 26, 1]]],
  ['value of an order beside page views', 'avg_order_value page_views.page_view_count', 'product.category', [[null, 7, 2], ['Garden', null, 1], ['Office', 305 / 3, 2], ['Toys', 13, 1]]],
  ['two facts by category, filtered', 'total_revenue page_views.page_view_count', 'product.category', [['Garden', null, 1], ['Office', 305, 2]], { filter: [category('Garden', 'Office')] }],
  ['revenue without a category', 'total_revenue', '', [[7]], { filter: [leaf('product.category', 'notSet')], grain: 'product.category' }],
  ['revenue by category, one or none', 'total_revenue', 'product.category', [[null, 7], ['Office', 305]], { filter: [category('Office', null)] }],
  ['revenue by status of one category', 'total_revenue', 'status', [['completed', 125], ['pending', 180]], { filter: [category('Office')], grain: 'product.category' }],
  ['orders of one category', 'order_count', '', [[3]], { filter: [category('Office')], grain: 'product.category' }],
  ['revenue by status of one country', 'total_revenue', 'status', [['completed', 110], ['pending', 180]], { filter: [is('location_home.country', 'US')], grain: 'location_home.country' }],
  ['revenue by category in some days', 'total_revenue', 'product.category', [['Office', 195], ['Toys', 10]], { filter: [leaf('date.date_id', 'gte', '20240102'), leaf('date.date_id', 'lte', '20240108')], grain: 'date.date_id' }],
  ['statuses of more revenue than', 'total_revenue', 'status', [['pending', 180]], { filter: [leaf('order_details.total_revenue', 'gt', '158')] }],
].map(([what, measures, dimensions, rows, { filter = [], grain = '', tolerance } = {}]) => ({
  what, measures, dimensions, rows, grain, tolerance, query: query(measures, dimensions, filter.length ? filters(...filter) : {}),
}));

// ---- calls --------------------------------------------------------------------------------------------------------

export const send = (server, method, route, body) =>
  server.fetch(route, { method, ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body), headers: { 'content-type': 'application/json' } }) });

export async function ok(answer, status = 200) {
  const { status: got, text, body } = await answer;
  assert.equal(got, status, text);
  return body;
}

export const plan = (server, metrics, dimensions = '', more = {}) => ok(server.post('/preaggs/plan/', { metrics: full(metrics), dimensions: full(dimensions), ...more }), 201);

// Of a request that is one grain group.
export async function planOne(server, ...request) {
  const { preaggs } = await plan(server, ...request);
  assert.equal(preaggs.length, 1);
  return preaggs[0];
}

export const get = (server, id) => ok(server.fetch(`/pre-aggregations/${id}`));
export const list = (server, params = '') => ok(server.fetch(`/pre-aggregations/${params}`));
export const ids = (items) => items.map((item) => item.id);

export async function materialize(server, id, body = {}) {
  const entity = await ok(server.post(`/pre-aggregations/${id}/materialize`, { wait: true, ...body }));
  assert.equal(entity.status, 'active');
  return entity;
}

// Planned and built, whatever it was before.
export async function planBuilt(server, ...request) {
  const { preaggs } = await plan(server, ...request);
  for (const { id, status } of preaggs) if (status !== 'active') await materialize(server, id);
  return Promise.all(preaggs.map(({ id }) => get(server, id)));
}

export const createCube = (server, name, metrics, dimensions = '', more = {}) => ok(server.post('/nodes/cube/', { name, metrics: full(metrics), dimensions: full(dimensions), ...more }), 201);
export const patchNode = (server, name, body) => ok(send(server, 'PATCH', `/nodes/${name}`, body));
export const deleteNode = (server, name) => ok(send(server, 'DELETE', `/nodes/${name}`));
export const history = (server, id) => ok(server.fetch(`/pre-aggregations/${id}/history`));
export const builds = (server, id) => ok(server.fetch(`/pre-aggregations/${id}/builds`));

export async function reload(server) {
  const answer = await server.post('/ops/reload', '');
  assert.equal(answer.status, 200, answer.text);
}

// Rows of a query in the order of its columns, as numbers where they are numbers.
export function sameRows(result, one, rows, options) {
  const columns = [...one.dimensions, ...(one.timeDimensions ?? []).map((t) => `${t.dimension}.${t.granularity}`), ...one.measures];
  assertRows(result.data.map((row) => columns.map((name) => row[name])), rows, options);
}

// ---- errors -------------------------------------------------------------------------------------------------------

// An error as DataJunction writes them.
export function isError(answer, status, id, text = /./) {
  assert.equal(answer.status, status, answer.text);
  assert.deepEqual(Object.keys(answer.body).sort(), ['errors', 'message', 'warnings']);
  assert.match(answer.body.message, text);
  assert.equal(answer.body.errors.length, 1);
  const [error] = answer.body.errors;
  assert.deepEqual(Object.keys(error).sort(), ['code', 'context', 'debug', 'message']);
  assert.deepEqual([error.context, error.debug.id, error.message], [id, id, answer.body.message]);
  assert.match(error.code, /^[A-Z_]+$/);
  assert.equal(answer.headers.get('x-dj-error'), 'true');
  assert.match(answer.headers.get('x-dbapi-exception') ?? '', /^[A-Z][A-Za-z]+$/);
  assert.equal(answer.headers.get('content-type'), 'application/json');
}

// A malformed request: 422 with a list of what is wrong; `where`: "body metrics", "query limit".
export function isMalformed(answer, ...where) {
  assert.equal(answer.status, 422, answer.text);
  assert.deepEqual(answer.body.detail?.map((detail) => detail.loc.join(' ')), where, answer.text);
  for (const detail of answer.body.detail) {
    assert.deepEqual(Object.keys(detail).sort(), ['loc', 'msg', 'type']);
    assert.ok(detail.msg && detail.type);
  }
  assert.equal(answer.headers.get('content-type'), 'application/json');
}

// ---- the store ----------------------------------------------------------------------------------------------------

// Tables in the embedded store; the server must have ended.
export async function storedTables(folder) {
  const db = await Database.open(path.join(folder, '.granary/store.duckdb'), { access_mode: 'READ_ONLY' });
  try {
    return (await db.rows('SELECT schema_name || \'.\' || table_name AS name FROM duckdb_tables() ORDER BY 1')).map((row) => row.name);
  } finally {
    db.close();
  }
}
