// Queries that a rollup serves, with their numbers: every one is answered from the rollup and from the source, and both are what
// plain SQL says about the same rows. The worked examples of cube.md §4.8 and cases of §7.2 stand here as far as decisions.md
// keeps them; which rule refuses what without looking at numbers is in explain.test.mjs.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ask, check, filter, filters, is, leaf, refused, table } from './answers.mjs';
import { csv, Server, serve, shared } from './helpers.mjs';

// 60 orders over fifteen months, with repeated users, a NULL status, a NULL time, NULL amounts, and prices near 1e9.
const timestamp = (ms) => new Date(ms).toISOString().slice(0, 19).replace('T', ' ');
const rows = Array.from({ length: 60 }, (_, i) => {
  const at = Date.UTC(2019, 10, 3, 5, 15 * i) + i * 8 * 86400000;
  const status = i === 11 ? null : ['a', 'b', 'c'][i % 3];
  return [i + 1, (i % 7) + 1, status, ['x', 'y'][i % 2], i % 13 === 5 ? null : (i * 37) % 101, 1e9 + ((i * 29) % 64) / 4, i % 5 === 0, `note ${String.fromCharCode(65 + ((i * 7) % 26))}`, timestamp(at).slice(0, 10), i === 23 ? null : timestamp(at), timestamp(at + 40 * 86400000)];
});
const data = {
  'data/orders.csv': csv(['id', 'user_id', 'status', 'city', 'amount', 'price', 'paid', 'note', 'ordered_on', 'created_at', 'updated_at'], rows),
  'data/users.csv': csv(['id', 'name', 'country', 'age'], Array.from({ length: 8 }, (_, i) => [i + 1, `user ${i}`, ['no', 'it', null][i % 3], 20 + i])),
};

const measures = `    measures:
      - {name: count, type: count}
      - {name: amounts, type: count, sql: amount}
      - {name: total, type: sum, sql: amount}
      - {name: prices, type: sum, sql: price}
      - {name: mn, type: min, sql: amount}
      - {name: mx, type: max, sql: amount}
      - {name: avg_a, type: avg, sql: amount}
      - {name: uniq, type: count_distinct, sql: user_id}
      - {name: ratio, type: number, sql: "{total} / {count}"}
      - {name: ratio2, type: number, sql: "{ratio} * 2 + {avg_a}"}
      - {name: done_total, type: sum, sql: amount, filters: [{sql: "{CUBE}.status = 'a'"}]}
      - {name: done_count, type: count, filters: [{sql: "{CUBE}.status = 'a'"}, {sql: "{CUBE}.paid"}]}
      - {name: done_share, type: number, sql: "100.0 * {done_total} / NULLIF({total}, 0)"}
      - {name: raw_ratio, type: number, sql: "sum({CUBE}.amount) / count(*)"}
      - {name: first_note, type: min, sql: note}
      - {name: last_note, type: max, sql: note}
      - {name: first_on, type: min, sql: ordered_on}
      - {name: last_at, type: max, sql: created_at}
      - {name: vp, type: number, sql: "var_pop({CUBE}.price)"}
      - {name: vs, type: number, sql: "var_samp({CUBE}.price)"}
      - {name: sp, type: number, sql: "stddev_pop({CUBE}.price)"}
      - {name: ss, type: number, sql: "stddev({CUBE}.price)"}
      - {name: any_paid, type: boolean, sql: "bool_or({CUBE}.paid)"}
      - {name: is_large, type: boolean, sql: "{total} > 800"}
      - {name: size, type: string, sql: "CASE WHEN {total} > 800 THEN 'large' ELSE 'small' END"}
      - {name: notes, type: string, sql: "string_agg({CUBE}.note, '+' ORDER BY {CUBE}.id)"}
      - {name: latest, type: time, sql: "max({CUBE}.created_at)"}
`;
const dimensions = `    dimensions:
      - {name: id, sql: id, type: number, primary_key: true, public: true}
      - {name: user_id, sql: user_id, type: number}
      - {name: status, sql: status, type: string}
      - {name: city, sql: city, type: string}
      - {name: paid, sql: paid, type: boolean}
      - {name: amount, sql: amount, type: number}
      - {name: status_city, sql: "{status} || '-' || {city}", type: string}
      - {name: status_alias, sql: "{status}", type: string}
      - {name: alias_of_alias, sql: "{status_alias}", type: string}
      - {name: shout, sql: "upper({status_city})", type: string}
      - name: tier
        type: string
        case:
          when:
            - {sql: "{status} = 'a' AND {city} = 'x'", label: first}
            - {sql: "{city} = 'y'", label: {sql: "{city}"}}
          else: {label: rest}
      - {name: updated_at, sql: updated_at, type: time}
      - {name: created_at, sql: created_at, type: time}
    segments:
      - {name: done, sql: "{CUBE}.status = 'a'"}
      - {name: paid_x, sql: "{CUBE}.paid AND {CUBE}.city = 'x'"}
`;
const list = (rollups) => (rollups.length ? `    pre_aggregations:\n${rollups.map((one) => `      - {${one}}\n`).join('')}` : '');
const cube = (name, rollups, { joins = '', keys = '' } = {}) => `  - name: ${name}\n    sql_table: orders\n${keys}${joins}${measures}${dimensions}${list(rollups)}`;
const toUsers = `    joins:\n      - {name: users, relationship: many_to_one, sql: "{CUBE}.user_id = {users.id}"}\n`;
const users = `  - name: users
    sql_table: users
    measures:
      - {name: count, type: count}
      - {name: ages, type: sum, sql: age}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true, public: true}
      - {name: name, sql: name, type: string}
      - {name: country, sql: country, type: string}
`;

const all = 'count, amounts, total, prices, mn, mx, avg_a, uniq, ratio, done_total, done_count, raw_ratio, first_note, last_note, first_on, last_at, vp, any_paid, notes';
const main = `name: main, measures: [${all}], dimensions: [status, city], time_dimension: created_at, granularity: day`;

// Plain SQL of a measure, for the statements that say what is right.
const sql = {
  count: 'count(*)', amounts: 'count(amount)', total: 'sum(amount)', prices: 'sum(price)', mn: 'min(amount)', mx: 'max(amount)', avg_a: 'avg(amount)', uniq: 'count(DISTINCT user_id)',
  ratio: 'sum(amount) / count(*)', ratio2: 'sum(amount) / count(*) * 2 + avg(amount)',
  done_total: "sum(amount) FILTER (status = 'a')", done_count: "count(*) FILTER (status = 'a' AND paid)", done_share: "100.0 * sum(amount) FILTER (status = 'a') / NULLIF(sum(amount), 0)",
  raw_ratio: 'sum(amount) / count(*)', first_note: 'min(note)', last_note: 'max(note)', first_on: 'min(ordered_on)', last_at: 'max(created_at)', latest: 'max(created_at)',
  vp: 'var_pop(price)', vs: 'var_samp(price)', sp: 'stddev_pop(price)', ss: 'stddev_samp(price)', any_paid: 'bool_or(paid)',
  is_large: 'sum(amount) > 800', size: "CASE WHEN sum(amount) > 800 THEN 'large' ELSE 'small' END", notes: "string_agg(note, '+' ORDER BY id)",
};
const day = "date_trunc('day', created_at)";
const by = { 'created_at.day': day, 'created_at.week': "date_trunc('week', created_at)", 'created_at.month': "date_trunc('month', created_at)", 'created_at.quarter': "date_trunc('quarter', created_at)", 'created_at.year': "date_trunc('year', created_at)", 'updated_at.month': "date_trunc('month', updated_at)", status_city: "status || '-' || city", status_alias: 'status', alias_of_alias: 'status', shout: "upper(status || '-' || city)", tier: "CASE WHEN status = 'a' AND city = 'x' THEN 'first' WHEN city = 'y' THEN city ELSE 'rest' END" };
const split = (text) => text.split(' ').filter(Boolean);
// SELECT of what `one` asks for
const statement = (what, groups, where = 'true') => {
  const columns = split(groups).map((name) => by[name] ?? name);
  return `SELECT ${[...columns, ...split(what).map((name) => sql[name])].map((text, i) => `${text} AS c${i}`).join(', ')} FROM orders WHERE ${where}${columns.length ? ` GROUP BY ${columns.map((_, i) => i + 1).join(', ')}` : ''}`;
};
const named = (cubeName, text) => split(text).map((name) => `${cubeName}.${name}`).join(' ');

describe('one cube', () => {
  const server = shared({
    ...data,
    'model/model.yml': `cubes:
${cube('orders', [main])}
${cube('segmented', ['name: main, measures: [count, total, uniq], dimensions: [status], segments: [done, paid_x], time_dimension: created_at, granularity: day'])}
${cube('timeless', ['name: main, measures: [count, uniq, avg_a, notes], dimensions: [status]'])}
${cube('twice', ['name: main, measures: [count, total], time_dimensions: [{dimension: created_at, granularity: day}, {dimension: updated_at, granularity: month}]'])}
${cube('plain', ['name: main, measures: [count, uniq], dimensions: [created_at]'])}
${cube('ordered', ['name: coarse, measures: [count], dimensions: [status]', 'name: fine, measures: [count, total], dimensions: [status, city]', 'name: other, measures: [count, total], dimensions: [status]'])}
${cube('calculated', ['name: alone, measures: [ratio2], dimensions: [status]', 'name: shares, measures: [done_share], dimensions: [city]', 'name: labels, measures: [size, is_large], dimensions: [paid]'])}
${cube('derived', ['name: main, measures: [count, uniq], dimensions: [status_city, tier]'])}
${cube('keyed', ['name: main, measures: [count, total, uniq], dimensions: [id, status]'])}
${cube('valued', ['name: main, measures: [count], dimensions: [status, user_id], time_dimension: created_at, granularity: day'])}
`,
  });
  const same = table(server);
  // A query of `cubeName`, what it is in SQL, and what serves.
  const one = (cubeName, name, what, groups, serves, { where, tolerance, ...rest } = {}) =>
    same(`${cubeName}, ${name}`, ask(named(cubeName, what), named(cubeName, groups), rest), statement(what, groups, where), serves === true ? `${cubeName}.main` : serves, { tolerance });
  const w = (member, ...rest) => leaf(`orders.${member}`, ...rest);

  // Every measure at the stored grain, at coarser ones and in all.
  const additive = 'count amounts total prices mn mx avg_a ratio ratio2 done_total done_count done_share raw_ratio first_note last_note first_on last_at is_large size latest';
  const spreads = 'vp vs sp ss'; // of values near 1e9: squares would lose everything
  for (const groups of ['status city created_at.day', 'city status created_at.month', 'status', 'city', 'created_at.week', 'created_at.quarter', 'created_at.year', ''])
    for (const measure of split(`${additive} ${spreads}`)) one('orders', `${measure} by ${groups || 'nothing'}`, measure, groups, true, { tolerance: spreads.includes(measure) ? 1e-7 : undefined });
  for (const measure of ['uniq', 'notes', 'any_paid']) {
    one('orders', `${measure} at the stored grain`, measure, 'status city created_at.day', true);
    one('orders', `${measure} coarser`, measure, 'status city', 'match.exact_grain');
    one('orders', `${measure} by month`, measure, 'status city created_at.month', 'match.exact_grain');
  }
  one('orders', 'everything at once', additive, 'status created_at.month', true);

  // Worked examples.
  one('orders', '7: distinct, aligned range', 'uniq', 'status city created_at.day', true, { ranges: { 'orders.created_at': ['2020-01-01', '2020-01-31'] }, where: "created_at >= '2020-01-01' AND created_at < '2020-02-01'" });
  one('orders', '8: distinct by day, ragged range', 'uniq', 'status city created_at.day', ['orders.main', 'source'], { ranges: { 'orders.created_at': ['2020-01-01', '2020-01-31T15:30:00.000'] }, where: "created_at BETWEEN '2020-01-01' AND '2020-01-31 15:30:00'" });
  one('orders', '9: single values cover', 'uniq', 'created_at.day', true, { ...filters(is('orders.status', 'a'), is('orders.city', 'x')), where: "status = 'a' AND city = 'x'" });
  one('orders', '10: one single value', 'uniq', 'city created_at.day', true, { ...filters(is('orders.status', 'a')), where: "status = 'a'" });
  one('orders', '11: two values', 'uniq', 'city created_at.day', 'match.exact_grain', { ...filters(is('orders.status', 'a', 'b')), where: "status IN ('a', 'b')" });
  one('orders', '12: two values of what is selected', 'uniq', 'city status created_at.day', true, { ...filters(is('orders.status', 'a', 'b')), where: "status IN ('a', 'b')" });
  one('orders', '12: not equal', 'uniq', 'city status created_at.day', true, { ...filters(w('status', 'notEquals', 'a')), where: "status <> 'a' OR status IS NULL" });
  one('orders', 'null is a value', 'uniq', 'city created_at.day', 'match.exact_grain', { ...filters(w('status', 'equals', null)), where: 'status IS NULL' });
  one('orders', '19: a range alone', 'count', '', true, { ranges: { 'orders.created_at': ['2020-01-01', '2020-01-31'] }, where: "created_at >= '2020-01-01' AND created_at < '2020-02-01'" });
  one('orders', '20: a ragged range alone', 'count total avg_a', '', ['orders.main', 'source'], { ranges: { 'orders.created_at': ['2020-01-02T06:00:00.000', '2020-03-31T15:30:00.000'] }, where: "created_at BETWEEN '2020-01-02 06:00:00' AND '2020-03-31 15:30:00'" });
  one('orders', '21: a ragged range by month', 'total', 'created_at.month', ['orders.main', 'source'], { ranges: { 'orders.created_at': ['2020-01-02T06:00:00.000', '2020-03-31T15:30:00.000'] }, where: "created_at BETWEEN '2020-01-02 06:00:00' AND '2020-03-31 15:30:00'" });
  one('orders', '25: two granularities', 'count', 'created_at.day created_at.month', true);
  one('orders', '28: derived', 'count total', 'status_city', true);
  one('orders', 'derived of derived', 'count avg_a', 'shout', true);
  one('orders', 'a case of stored dimensions', 'count', 'tier', true);
  one('orders', '29: derived, distinct', 'uniq', 'status_city created_at.day', 'match.exact_grain');
  one('orders', '30: an alias, distinct', 'uniq', 'status_alias city created_at.day', true);
  one('orders', 'an alias of an alias, distinct', 'uniq', 'alias_of_alias city created_at.day', true);
  one('orders', 'a filter of a derived dimension', 'count', 'status', true, { ...filters(is('orders.status_city', 'a-x')), where: "status = 'a' AND city = 'x'" });
  one('orders', 'a filter of an alias covers', 'uniq', 'city created_at.day', true, { ...filters(is('orders.status_alias', 'a')), where: "status = 'a'" });
  one('orders', '34: filters, ORed', 'count total', '', true, { ...filters({ or: [w('status', 'equals', 'a'), w('city', 'equals', 'x')] }), where: "status = 'a' OR city = 'x'" });
  one('orders', '37: a dimension alone', '', 'status', true);
  one('orders', '38: a dimension that is not stored', '', 'user_id', 'match.dimension_missing');
  one('orders', 'two dimensions alone', '', 'status city', true);
  one('orders', 'nothing passes', 'count total mn avg_a', '', true, { ...filters(w('status', 'equals', 'zz')), where: 'false' });
  one('orders', 'text filters', 'count', 'city', true, { ...filters(w('status', 'contains', 'B')), where: "status ILIKE '%b%'" });
  same('32: a filter of a measure', ask('orders.count', 'orders.status', filter('orders.count', 'gt', '19')), [['a', 20], ['b', 20]], 'orders.main');
  same('33: a filter of a measure that is not stored', ask('timeless.count', 'timeless.status', filter('timeless.done_total', 'gt', '1')), [['a', 20]], 'match.measure_missing');
  same('33: a filter of a measure that is stored', ask('orders.count', 'orders.status', filter('orders.done_total', 'gt', '1')), [['a', 20]], 'orders.main');
  same('a filter of an average', ask('orders.count', 'orders.city', filter('orders.avg_a', 'gt', '0')), [['x', 30], ['y', 30]], 'orders.main');
  same('41: order, limit, offset', ask('orders.count', 'orders.status', { order: { 'orders.status': 'desc' }, limit: 2, offset: 1 }), [['b', 20], ['a', 20]], 'orders.main', { ordered: true });
  same('41: nulls last', ask('orders.count', 'orders.status', { order: { 'orders.status': 'desc' } }), [['c', 19], ['b', 20], ['a', 20], [null, 1]], 'orders.main', { ordered: true });
  same('40: measureFilter', ask('orders.count', '', filter('orders.done_total', 'measureFilter')), [[20]], 'match.measure_filter');

  // Stored segments.
  one('segmented', 'with a segment', 'count total', 'status created_at.month', true, { segments: ['segmented.paid_x'], where: "paid AND city = 'x'" });
  one('segmented', 'with both', 'count', '', true, { segments: ['segmented.paid_x', 'segmented.done'], where: "paid AND city = 'x' AND status = 'a'" });
  one('segmented', 'without', 'count', 'created_at.week', true);
  one('segmented', '46: with a segment by week', 'count', 'created_at.week', true, { segments: ['segmented.done'], where: "status = 'a'" });
  one('segmented', '29: distinct with both', 'uniq', 'status created_at.day', true, { segments: ['segmented.paid_x', 'segmented.done'], where: "paid AND city = 'x' AND status = 'a'" });
  one('segmented', 'distinct with one', 'uniq', 'status created_at.day', 'match.exact_grain', { segments: ['segmented.done'], where: "status = 'a'" });
  one('orders', '73: a segment that is not stored', 'count', 'status', 'match.segment_missing', { segments: ['orders.done'], where: "status = 'a'" });

  // 23 to 28: distinct counts by filter.
  one('timeless', 'distinct at the stored grain', 'uniq avg_a notes', 'status', true);
  one('timeless', 'distinct in all', 'uniq', '', 'match.exact_grain');
  one('timeless', 'average in all', 'avg_a', '', true);
  one('timeless', '23: one value', 'uniq', '', true, { ...filters(is('timeless.status', 'a')), where: "status = 'a'" });
  one('timeless', '25: two equals on one member, one of them single', 'uniq', '', true, { ...filters({ and: [is('timeless.status', 'a'), is('timeless.status', 'a', 'b')] }), where: "status = 'a'" });
  one('timeless', 'one value that no row has', 'uniq count avg_a', '', true, { ...filters(is('timeless.status', 'zz')), where: 'false' });
  one('timeless', '26: inside or', 'uniq', '', 'match.exact_grain', { ...filters({ or: [is('timeless.status', 'a'), is('timeless.status', 'b')] }), where: "status IN ('a', 'b')" });
  one('timeless', '28: another operator', 'uniq', '', 'match.exact_grain', { ...filters(leaf('timeless.status', 'startsWith', 'a')), where: "status = 'a'" });
  one('timeless', 'another operator beside the value', 'uniq', '', true, { ...filters(is('timeless.status', 'a'), leaf('timeless.status', 'contains', 'a')), where: "status = 'a'" });
  one('timeless', 'a range over no time', 'count', '', 'match.time_dimension_missing', { ranges: { 'timeless.created_at': ['2020-01-01', '2020-12-31'] }, where: "created_at >= '2020-01-01' AND created_at < '2021-01-01'" });

  // Several time dimensions.
  one('twice', 'created by month', 'count total', 'created_at.month', true);
  one('twice', 'updated by month', 'count', 'updated_at.month', true);
  one('twice', 'both', 'count', 'created_at.week updated_at.month', true);
  one('twice', 'both ranges', 'total', 'updated_at.month', true, { ranges: { 'twice.created_at': ['2020-01-01', '2020-06-30'], 'twice.updated_at': ['2020-03-01', '2020-07-31'] }, where: "created_at >= '2020-01-01' AND created_at < '2020-07-01' AND updated_at >= '2020-03-01' AND updated_at < '2020-08-01'" });
  one('twice', 'one ragged range', 'total count', 'updated_at.month', ['twice.main', 'source'], { ranges: { 'twice.created_at': ['2020-01-02T12:00:00.000', '2020-06-30'], 'twice.updated_at': ['2020-03-01', '2020-07-31'] }, where: "created_at >= '2020-01-02 12:00' AND created_at < '2020-07-01' AND updated_at >= '2020-03-01' AND updated_at < '2020-08-01'" });

  // 44: a time stored as a plain dimension.
  one('plain', 'inDateRange', 'count', '', true, { ...filters(leaf('plain.created_at', 'inDateRange', '2020-01-01', '2020-01-31')), where: "created_at >= '2020-01-01' AND created_at < '2020-02-01'" });
  one('plain', 'a ragged inDateRange', 'count', '', true, { ...filters(leaf('plain.created_at', 'inDateRange', '2020-01-02T05:00:00.000', '2020-04-30T12:30:00.000')), where: "created_at BETWEEN '2020-01-02 05:00' AND '2020-04-30 12:30'" });
  one('plain', 'by itself, distinct', 'count uniq', 'created_at', true);

  // The first that matches, and the cheapest.
  one('ordered', 'the first, though there are others', 'count', 'status', 'ordered.coarse');
  one('ordered', 'definitions of one grain are one table', 'total', 'status', 'ordered.coarse');
  one('ordered', 'the first that has the dimension', 'count', 'status city', 'ordered.fine');

  // 67 to 71: calculated measures.
  one('calculated', 'a calculation stored: its parts are', 'ratio2 avg_a total', 'status', 'calculated.alone');
  one('calculated', 'its parts serve coarser too', 'ratio2 ratio', '', 'calculated.alone');
  one('calculated', 'a share', 'done_share done_total', 'city', 'calculated.shares');
  one('calculated', 'a share in all', 'done_share', '', 'calculated.shares', { filters: [] });
  one('calculated', '61: texts and booleans of measures', 'size is_large', 'paid', 'calculated.labels');
  one('calculated', '61: coarser, of its parts', 'size is_large', '', 'calculated.alone');

  // 40: what is derived is stored.
  one('derived', 'stored', 'uniq', 'status_city tier', true);
  one('derived', 'one of two', 'count', 'tier', true);
  one('derived', 'derived from what is stored', 'count', 'shout', true);
  one('derived', 'what it was derived from', 'count', 'status', 'match.dimension_missing');

  // A rollup that keeps the values counts them at any grain.
  for (const groups of ['status', 'created_at.month', 'status created_at.week', '', 'user_id']) one('valued', `distinct by ${groups || 'nothing'}`, 'uniq count', groups, true);
  one('valued', 'distinct, filtered', 'uniq', 'status', true, { ...filters(leaf('valued.user_id', 'gt', '3')), where: 'user_id > 3' });
  one('valued', 'distinct, nothing passes', 'uniq', '', true, { ...filters(is('valued.status', 'zz')), where: 'false' });
  one('valued', 'distinct, a filter that leaves nothing of some groups', 'uniq', 'created_at.month', true, { ...filters(is('valued.user_id', '3')), where: 'user_id = 3' });
  one('valued', 'distinct of a ragged range, which is not put together', 'uniq', '', 'match.range_not_aligned', { ranges: { 'valued.created_at': ['2020-01-02T12:00:00', '2020-06-30'] }, where: "created_at >= '2020-01-02 12:00' AND created_at < '2020-07-01'" });

  // 39, 53 to 56: rows as they are.
  const raw = { ungrouped: true, order: [['keyed.id', 'asc']], limit: 5 };
  same('39: no keys stored', { ...ask('orders.count', 'orders.status'), ungrouped: true }, 'SELECT status, 1 AS n FROM orders', 'match.ungrouped');
  same('keys stored', { ...ask('keyed.count keyed.total keyed.uniq', 'keyed.id keyed.status'), ...raw }, 'SELECT id, status, 1 AS n, amount, 1 AS u FROM orders ORDER BY id LIMIT 5', 'keyed.main', { ordered: true });
  same('56: keys stored and not asked for', { ...ask('keyed.total', 'keyed.status'), ungrouped: true }, 'SELECT status, amount FROM orders', 'keyed.main');
  same('rows with a filter', { ...ask('keyed.total', 'keyed.status', filters(is('keyed.status', 'a'))), ungrouped: true }, "SELECT status, amount FROM orders WHERE status = 'a'", 'keyed.main');
  refused(server)('a number that no row has', { ...ask('orders.notes', 'orders.status'), ungrouped: true }, 'plan.unsupported', /notes/);
});

// ---- several cubes ------------------------------------------------------------------------------------------------------

describe('joined cubes and views', () => {
  const view = (name, join, more) => `  - name: ${name}\n    cubes:\n      - {join_path: ${join}, ${more}}\n`;
  const server = shared({
    ...data,
    'model/model.yml': `cubes:
${cube('orders', ['name: abroad, measures: [count, total, avg_a, uniq], dimensions: [users.country], time_dimension: created_at, granularity: day', 'name: main, measures: [count, total, ratio, avg_a], dimensions: [status, city], time_dimension: created_at, granularity: day'], { joins: toUsers })}
${cube('keyed', ['name: both_keys, measures: [total], dimensions: [id, status, users.id, users.name]', 'name: one_key, measures: [total, count], dimensions: [id, users.country]'], { joins: toUsers })}
${users}
views:
${view('ov', 'orders', 'includes: "*", excludes: [ratio2, city]')}      - {join_path: orders.users, prefix: true, includes: [country, name]}
${view('renamed', 'orders', 'alias: sales, prefix: true, includes: [{name: total, alias: revenue}, count, status, created_at]')}      - {join_path: orders.users, includes: [{name: country, alias: nation}]}
${view('keys', 'keyed', 'includes: [total, status]')}      - {join_path: keyed.users, prefix: true, includes: [name]}
`,
  });
  const same = table(server);
  const joined = 'FROM orders o LEFT JOIN users u ON u.id = o.user_id';
  same('total by country', ask('orders.total', 'users.country'), `SELECT country, sum(amount) ${joined} GROUP BY 1`, 'orders.abroad');
  same('average and count by country and month', ask('orders.avg_a orders.count', 'users.country orders.created_at.month'), `SELECT country, ${by['created_at.month']}, avg(amount), count(*) ${joined} GROUP BY 1, 2`, 'orders.abroad');
  same('no dimension of the other cube', ask('orders.total', 'orders.created_at.year'), `SELECT ${by['created_at.year']}, sum(amount) FROM orders GROUP BY 1`, 'orders.abroad');
  same('a filter of the other cube', ask('orders.total', '', filters(is('users.country', 'it'))), `SELECT sum(amount) ${joined} WHERE country = 'it'`, 'orders.abroad');
  same('both cubes', ask('orders.total', 'users.country orders.status'), `SELECT country, status, sum(amount) ${joined} GROUP BY 1, 2`, 'match.dimension_missing');
  same('users by country: those without orders too', ask('users.count', 'users.country'), [['no', 3], ['it', 3], [null, 2]], 'source');
  same('countries alone: those without orders too', ask('', 'users.country'), [['no'], ['it'], [null]], 'source');
  same('distinct by country and day', ask('orders.uniq', 'users.country orders.created_at.day'), `SELECT country, ${day}, count(DISTINCT user_id) ${joined} GROUP BY 1, 2`, 'orders.abroad');

  same('36: a view', ask('ov.count ov.total', 'ov.status'), 'SELECT status, count(*), sum(amount) FROM orders GROUP BY 1', 'orders.main');
  same('36: a view, averages by month', ask('ov.avg_a ov.ratio', 'ov.status ov.created_at.month'), `SELECT status, ${by['created_at.month']}, avg(amount), sum(amount) / count(*) FROM orders GROUP BY 1, 2`, 'orders.main');
  same('a view with a prefix', ask('ov.total', 'ov.users_country'), `SELECT country, sum(amount) ${joined} GROUP BY 1`, 'orders.abroad');
  same('a view, filtered by a name with a prefix', ask('ov.total', '', filters(is('ov.users_country', 'no'))), `SELECT sum(amount) ${joined} WHERE country = 'no'`, 'orders.abroad');
  same('countries alone by a view rooted at orders', ask('', 'ov.users_country'), [['no'], ['it'], [null]], 'orders.abroad');
  same('31: a view with other names', ask('renamed.sales_revenue renamed.sales_count', 'renamed.nation renamed.sales_created_at.quarter'), `SELECT country, ${by['created_at.quarter']}, sum(amount), count(*) ${joined} GROUP BY 1, 2`, 'orders.abroad');
  same('a view, ordered by another name', ask('renamed.sales_revenue', 'renamed.nation', { order: [['renamed.sales_revenue', 'desc']], limit: 2 }), `SELECT country, sum(amount) ${joined} GROUP BY 1 ORDER BY 2 DESC LIMIT 2`, 'orders.abroad', { ordered: true });
  test('what a view excludes is not there', async () => {
    const answer = await server.load(ask('ov.ratio2', 'ov.status'));
    assert.deepEqual([answer.status, answer.body.id], [400, 'query.unknown_member'], answer.text);
  });

  const rowsOf = (measures, names, more) => ({ ...ask(measures, names, more), ungrouped: true });
  same('53: rows without the keys of both', rowsOf('keyed.count', 'keyed.id users.country'), `SELECT o.id, country, 1 AS n ${joined}`, 'match.ungrouped');
  same('55: rows with both keys', rowsOf('keyed.total', 'keyed.id users.id users.name keyed.status'), `SELECT o.id, u.id AS uid, name, status, amount ${joined}`, 'keyed.both_keys');
  same('56: keys stored, not asked for', rowsOf('keyed.total', 'users.name keyed.status'), `SELECT name, status, amount ${joined}`, 'keyed.both_keys');
  same('56: by a view', rowsOf('keys.total', 'keys.users_name keys.status'), `SELECT name, status, amount ${joined}`, 'keyed.both_keys');
  same('rows with a filter', rowsOf('keyed.total', 'users.name keyed.status', filters(is('keyed.status', 'b'))), `SELECT name, status, amount ${joined} WHERE status = 'b'`, 'keyed.both_keys');
});

// ---- rows that are not stored ---------------------------------------------------------------------------------------------

describe('static filters', () => {
  const rollup = (text, measuresOf = 'count, total, uniq') => `name: main, measures: [${measuresOf}], dimensions: [status, city, user_id], ${text}`;
  const server = shared({
    ...data,
    'model/model.yml': `cubes:
${cube('small', ["name: main, measures: [count, total], dimensions: [city], filters: [{member: status, operator: equals, values: [a]}]"])}
${cube('some', [rollup('filters: [{member: status, operator: equals, values: [a, b]}, {member: user_id, operator: gt, values: [2]}]')])}
${cube('either', [rollup('filters: [{or: [{member: status, operator: equals, values: [a]}, {member: city, operator: equals, values: [x]}]}]')])}
${cube('pinned', ["name: main, measures: [uniq], dimensions: [status, city], filters: [{member: status, operator: equals, values: [a]}]"])}
${cube('recent', ["name: main, measures: [count, total], time_dimension: created_at, granularity: day, filters: [{member: created_at, operator: afterOrOnDate, values: ['2020-03-01']}]"])}
`,
  });
  const same = table(server);
  const one = (cubeName, name, what, groups, serves, { where, tolerance, ...rest } = {}) =>
    same(`${cubeName}, ${name}`, ask(named(cubeName, what), named(cubeName, groups), rest), statement(what, groups, where), serves === true ? `${cubeName}.main` : serves, { tolerance });
  one('small', 'the same filter on what is not stored', 'count total', 'city', true, { ...filters(is('small.status', 'a')), where: "status = 'a'" });
  one('small', 'no filter', 'count', 'city', 'match.static_filter');
  one('small', 'another value', 'count', 'city', 'match.filter_missing', { ...filters(is('small.status', 'b')), where: "status = 'b'" });
  one('small', 'a wider filter', 'count', 'city', 'match.static_filter', { ...filters(is('small.status', 'a', 'b')), where: "status IN ('a', 'b')" });
  one('small', 'inside or', 'count', 'city', 'match.static_filter', { ...filters({ or: [is('small.status', 'a'), is('small.city', 'x')] }), where: "status = 'a' OR city = 'x'" });
  one('small', 'inside and', 'total', '', true, { ...filters({ and: [is('small.status', 'a'), is('small.city', 'x')] }), where: "status = 'a' AND city = 'x'" });
  one('some', 'narrower filters', 'count total', 'city', true, { ...filters(is('some.status', 'a'), leaf('some.user_id', 'gte', '4')), where: "status = 'a' AND user_id >= 4" });
  one('some', 'the same filters', 'count', '', true, { ...filters(is('some.status', 'b', 'a'), leaf('some.user_id', 'gt', '2')), where: "status IN ('a', 'b') AND user_id > 2" });
  one('some', 'one of two', 'count', '', 'match.static_filter', { ...filters(is('some.status', 'a')), where: "status = 'a'" });
  one('some', 'a wider bound', 'count', '', 'match.static_filter', { ...filters(is('some.status', 'a'), leaf('some.user_id', 'gt', '1')), where: "status = 'a' AND user_id > 1" });
  one('some', 'users in a list', 'count', 'user_id', true, { ...filters(is('some.status', 'a'), is('some.user_id', '3', '5')), where: "status = 'a' AND user_id IN (3, 5)" });
  one('either', 'the same groups', 'count', 'city', true, { ...filters({ or: [is('either.city', 'x'), is('either.status', 'a')] }), where: "status = 'a' OR city = 'x'" });
  one('either', 'one branch', 'count', 'status', true, { ...filters(is('either.city', 'x')), where: "city = 'x'" });
  one('either', 'none of the branches', 'count', 'status', 'match.static_filter', { ...filters(is('either.city', 'y')), where: "city = 'y'" });
  one('pinned', 'a filter of one value covers its column', 'uniq', 'city', true, { ...filters(is('pinned.status', 'a')), where: "status = 'a'" });
  one('pinned', 'distinct in all', 'uniq', '', 'match.exact_grain', { ...filters(is('pinned.status', 'a')), where: "status = 'a'" });
  one('recent', 'a range inside', 'count total', 'created_at.month', true, { ranges: { 'recent.created_at': ['2020-03-01', '2020-06-30'] }, where: "created_at >= '2020-03-01' AND created_at < '2020-07-01'" });
  one('recent', 'a range that begins before', 'count', 'created_at.month', 'match.static_filter', { ranges: { 'recent.created_at': ['2020-02-01', '2020-06-30'] }, where: "created_at >= '2020-02-01' AND created_at < '2020-07-01'" });
});

// ---- what may be asked for ------------------------------------------------------------------------------------------------

describe('prefer, require, forbid; first and cheapest', () => {
  const two = ['name: large, measures: [count, total], dimensions: [user_id, status, city]', 'name: small, measures: [count, total], dimensions: [status]'];
  const files = {
    ...data,
    'model/model.yml': `cubes:
${cube('orders', two)}
${cube('thrifty', two, { keys: '    selection: cheapest\n' })}
${cube('marked', [two[0], `${two[1]}, selection: cheapest`])}
`,
  };
  const server = shared(files);
  const same = table(server);
  const asked = (name, more) => ask(`${name}.count ${name}.total`, `${name}.status`, more);
  const right = statement('count total', 'status');
  same('first', asked('orders'), right, 'orders.large');
  test('cheapest of what is built', async () => {
    for (const name of ['orders', 'thrifty', 'marked'])
      for (const rollup of ['large', 'small']) assert.equal((await server.granary(['preagg', 'build', `${name}.${rollup}`])).code, 0);
    await check(server, asked('orders'), right, 'orders.large');
    await check(server, asked('orders', { selection: 'cheapest' }), right, 'orders.small');
    await check(server, asked('thrifty'), right, 'thrifty.small');
    await check(server, asked('thrifty', { selection: 'first' }), right, 'thrifty.large');
    await check(server, asked('marked'), right, 'marked.small');
    await check(server, ask('thrifty.count', 'thrifty.user_id'), statement('count', 'user_id'), 'thrifty.large');
  });
  test('require', async () => {
    assert.deepEqual(Server.served(await server.result({ ...asked('orders'), preAggregations: 'require' })), ['orders.large']);
    const answer = await server.load({ ...ask('orders.count', 'orders.paid'), preAggregations: 'require' });
    assert.deepEqual([answer.status, answer.body.id], [400, 'plan.rollup_only']);
    assert.match(answer.body.hint, /orders\.large.*paid/);
  });
  test('rollup-only mode', async (t) => {
    const only = await serve(t, { ...files, 'granary.yml': 'data_sources:\n  default: {type: duckdb, path: data}\nmodel: model\nrollup_only: true\n' });
    assert.deepEqual(Server.served(await only.result(asked('orders'))), ['orders.large']);
    for (const query of [ask('orders.count', 'orders.paid'), ask('orders.avg_a', 'orders.status')]) {
      const answer = await only.load(query);
      assert.deepEqual([answer.status, answer.body.id], [400, 'plan.rollup_only'], answer.text);
      assert.doesNotMatch(answer.text, /continue wait/i);
    }
  });
});
