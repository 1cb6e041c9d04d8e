// Measures over windows of time (cube.md 5.8) and measures over measures (5.9): from the rows of the source, and from rollups
// that store them un-windowed and un-staged. Numbers of cases 85 to 92 of §7.2, and plain SQL.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { describe, test } from 'node:test';
import { ask, filter, filters, is, leaf, refused, table } from './answers.mjs';
import { csv, serve, Server, shared } from './helpers.mjs';

const visitors = [
  [1, 100, 'some', 1, '2017-01-03 00:00:00'],
  [2, 200, 'some', 2, '2017-01-05 00:00:00'],
  [3, 300, 'google', 1, '2017-01-06 00:00:00'],
  [4, 400, null, 3, '2017-01-07 00:00:00'],
  [5, 500, null, 3, '2017-01-07 03:00:00'],
  [6, 1, 'google', 2, '2016-09-07 00:00:00'],
  [7, 7, 'some', 1, '2017-03-31 23:30:00'],
];
const windows = {
  trail2: 'trailing: 2 day', trail2_start: 'trailing: 2 day, offset: start', trail5: 'trailing: 5 day', trail5_start: 'trailing: 5 day, offset: start', lead2: 'leading: 2 day', lead2_start: 'leading: 2 day, offset: start',
  around: 'trailing: 1 day, leading: 1 day', around_start: 'trailing: 1 day, leading: 1 day, offset: start', past: 'trailing: unbounded', past_start: 'trailing: unbounded, offset: start', future: 'leading: unbounded', future_start: 'leading: unbounded, offset: start',
  everything: 'trailing: unbounded, leading: unbounded', weekly: 'trailing: 1 week', monthly: 'trailing: 1 month', quarterly: 'trailing: 1 quarter',
  mtd: 'type: month_to_date', qtd: 'type: quarter_to_date', ytd: 'type: year_to_date', wtd: 'type: to_date, granularity: week',
};
const cube = (name, rollups) => `  - name: ${name}
    sql_table: visitors
    measures:
      - {name: revenue, type: sum, sql: amount}
      - {name: count, type: count}
${Object.entries(windows).map(([measure, window]) => `      - {name: ${measure}, type: sum, sql: amount, rolling_window: {${window}}}\n`).join('')}      - {name: total, type: running_total, sql: amount}
      - {name: counts, type: count, rolling_window: {trailing: 3 day}}
      - {name: means, type: avg, sql: amount, rolling_window: {trailing: 3 day}}
      - {name: least, type: min, sql: amount, rolling_window: {trailing: 3 day}}
      - {name: most, type: max, sql: amount, rolling_window: {trailing: 3 day}}
      - {name: people, type: count_distinct, sql: usr, rolling_window: {trailing: 3 day}}
      - {name: filtered, type: sum, sql: amount, rolling_window: {trailing: 3 day}, filters: [{sql: "{CUBE}.source = 'some'"}]}
      - {name: per_visit, type: number, sql: "{trail2} / NULLIF({counts}, 0)"}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: source, sql: source, type: string}
      - {name: at, sql: at, type: time}
${rollups.length ? `    pre_aggregations:\n${rollups.map((one) => `      - {${one}}\n`).join('')}` : ''}`;
const stored = 'measures: [revenue, count, means, least, most, filtered], dimensions: [source], time_dimension: at';

describe('windows of time', () => {
  const server = shared({
    'data/visitors.csv': csv(['id', 'amount', 'source', 'usr', 'at'], visitors),
    'data/biweekly.csv': csv(['id', 'at'], Array.from({ length: 60 }, (_, i) => [i + 1, new Date(Date.UTC(2024, 0, 1) + i * 14 * 86400000).toISOString().slice(0, 10)])),
    'model/model.yml': `cubes:
${cube('raw', [])}
${cube('daily', [`name: main, ${stored}, granularity: day`])}
${cube('hourly', [`name: main, ${stored}, granularity: hour`])}
${cube('months', [`name: main, ${stored}, granularity: month`])}
  - name: biweekly
    sql_table: biweekly
    measures:
      - {name: count, type: count}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - name: at
        sql: at
        type: time
        granularities:
          - {name: half_year, interval: 6 months, origin: "2024-01-01"}
          - {name: half_year_april, interval: 6 months, offset: 3 months}
    pre_aggregations:
      - {name: main, measures: [count], time_dimension: at, granularity: day}
`,
  });
  const same = table(server);
  const la = { timezone: 'America/Los_Angeles' };
  const days = (from, values) => values.map((value, i) => [new Date(Date.parse(from) + i * 86400000).toISOString().slice(0, 10), value]);
  const cubes = [['raw', 'source'], ['daily', 'daily.main'], ['hourly', 'hourly.main']];

  for (const [name, serves] of cubes) {
    const q = (measure, granularity, range, more) => ask(`${name}.${measure}`, granularity ? `${name}.at.${granularity}` : '', { ...(range && { ranges: { [`${name}.at`]: range } }), ...more });
    const january = ['2017-01-01', '2017-01-10'];
    same(`${name}, 88: leading unbounded from the start`, q('future_start', '', january, la), [[1507]], serves);
    same(`${name}, 88: leading unbounded from the end`, q('future', '', ['2017-01-01', '2017-03-31'], la), [[null]], serves);
    same(`${name}, 89: trailing 5 days from the start`, q('trail5_start', '', ['2017-01-06', '2017-01-10']), [[300]], serves);
    same(`${name}, 89: trailing 5 days from the end`, q('trail5', '', ['2017-01-06', '2017-01-10']), [[1200]], serves);
    same(`${name}, 91: quarter to date`, q('qtd', 'day', ['2017-01-05', '2017-01-10'], la), days('2017-01-05', [600, 1500, 1500, 1500, 1500, 1500]), serves);
    same(`${name}, 92: running total without granularity`, q('total', '', ['2017-01-01', '2017-01-10'], la), [[1501]], serves);
    same(`${name}, running total by day`, q('total', 'day', ['2017-01-01', '2017-01-08']), days('2017-01-01', [1, 1, 101, 101, 301, 601, 1501, 1501]), serves);
    same(`${name}, no time at all`, ask(['trail2', 'past', 'qtd', 'total', 'counts'].map((one) => `${name}.${one}`).join(' ')), [[1508, 1508, 1508, 1508, 7]], serves);
    same(`${name}, a time that is not the window's measure alone`, q('revenue', 'day', ['2017-01-05', '2017-01-08']), days('2017-01-05', [200, 300, 900]), serves);
  }

  // What a window means, in SQL: f is the first moment of a bucket, t its last millisecond, b a row's time.
  const meaning = {
    trail2: "b > t - INTERVAL '2 day' AND b <= t", trail2_start: "b >= f - INTERVAL '2 day' AND b < f", lead2: "b > t AND b <= t + INTERVAL '2 day'", lead2_start: "b >= f AND b < f + INTERVAL '2 day'",
    around: "b > t - INTERVAL '1 day' AND b <= t + INTERVAL '1 day'", around_start: "b >= f - INTERVAL '1 day' AND b < f + INTERVAL '1 day'", past: 'b <= t', past_start: 'b < f', future: 'b > t', future_start: 'b >= f', everything: 'true',
    weekly: "b > t - INTERVAL '7 day' AND b <= t", monthly: "b > t - INTERVAL '1 month' AND b <= t", quarterly: "b > t - INTERVAL '3 month' AND b <= t",
    mtd: "b >= date_trunc('month', f) AND b <= t", qtd: "b >= date_trunc('quarter', f) AND b <= t", ytd: "b >= date_trunc('year', f) AND b <= t", wtd: "b >= date_trunc('week', f) AND b <= t",
  };
  const rows = (zone) => `(SELECT *, (at::TIMESTAMP AT TIME ZONE 'UTC') AT TIME ZONE '${zone}' AS b FROM visitors)`.replace('(at::', '("at"::');
  const buckets = (grain, [from, to]) => `(SELECT f, f + INTERVAL '1 ${grain}' - INTERVAL '1 millisecond' AS t FROM (SELECT unnest(generate_series(TIMESTAMP '${from}', TIMESTAMP '${to}', INTERVAL '1 ${grain}')) AS f))`;
  const windowed = (measure, grain, range, zone, value = 'sum(amount)') => `SELECT f, (SELECT ${value} FROM ${rows(zone)} WHERE ${meaning[measure]}) AS v FROM ${buckets(grain, range)}`;
  const ranges = { day: ['2017-01-01', '2017-01-12'], week: ['2016-12-26', '2017-01-22'], month: ['2016-08-01', '2017-04-30'] };
  const q = (name, measures, grain, range, more) => ask(measures.split(' ').map((m) => `${name}.${m}`).join(' '), `${name}.at.${grain}`, { ...(range && { ranges: { [`${name}.at`]: range } }), ...more });
  for (const [grain, range] of Object.entries(ranges))
    for (const measure of Object.keys(meaning))
      for (const [zone, more] of [['UTC', {}], ['America/Los_Angeles', la]])
        for (const [name, serves] of [['daily', 'daily.main'], ['hourly', 'hourly.main']])
          same(`${name}, ${measure} by ${grain} in ${zone}`, q(name, measure, grain, range, more), windowed(measure, grain, range, zone), serves);

  for (const measure of ['past', 'future', 'monthly', 'quarterly', 'mtd', 'ytd'])
    same(`months, ${measure}`, q('months', measure, 'month', ranges.month), windowed(measure, 'month', ranges.month, 'UTC'), measure === 'monthly' || measure === 'quarterly' ? 'match.granularity' : 'months.main');
  same('months do not serve days', q('months', 'trail2', 'month', ranges.month), windowed('trail2', 'month', ranges.month, 'UTC'), 'match.granularity');

  // Every kind of aggregate.
  const three = "b > t - INTERVAL '3 day' AND b <= t";
  for (const [measure, value] of Object.entries({ counts: 'count(*)', means: 'avg(amount)', least: 'min(amount)', most: 'max(amount)', filtered: "sum(amount) FILTER (source = 'some')", people: 'count(DISTINCT usr)' }))
    same(`${measure} over three days`, q('daily', measure, 'day', ranges.day), `SELECT f, (SELECT ${value} FROM ${rows('UTC')} WHERE ${three}) AS v FROM ${buckets('day', ranges.day)}`, measure === 'people' ? 'source' : 'daily.main');
  same('a calculation over two windows', q('daily', 'per_visit', 'day', ranges.day), `SELECT f, (SELECT sum(amount) FROM ${rows('UTC')} WHERE ${meaning.trail2}) / NULLIF((SELECT count(*) FROM ${rows('UTC')} WHERE ${three}), 0) AS v FROM ${buckets('day', ranges.day)}`, 'daily.main');
  same('several windows and a plain measure', q('daily', 'revenue trail2 past count', 'day', ['2017-01-04', '2017-01-07']), [['2017-01-04', null, 100, 101, 0], ['2017-01-05', 200, 200, 301, 1], ['2017-01-06', 300, 500, 601, 1], ['2017-01-07', 900, 1200, 1501, 2]], 'daily.main');

  // Dimensions: a combination is there when its window has rows.
  const bySource = ['2017-01-04', '2017-01-08'];
  const grouped = (measure) => `SELECT source, f, sum(amount) AS v FROM ${buckets('day', bySource)} JOIN ${rows('UTC')} ON ${meaning[measure]} GROUP BY 1, 2`;
  for (const measure of ['trail2', 'past', 'lead2', 'mtd', 'everything']) {
    same(`${measure} by source`, ask(`daily.${measure}`, 'daily.source daily.at.day', { ranges: { 'daily.at': bySource } }), grouped(measure), 'daily.main');
    same(`${measure} of one source`, q('daily', measure, 'day', bySource, filters(is('daily.source', 'some'))), `SELECT f, (SELECT sum(amount) FROM ${rows('UTC')} WHERE source = 'some' AND ${meaning[measure]}) AS v FROM ${buckets('day', bySource)}`, 'daily.main');
  }
  same('by source, no granularity', ask('daily.trail5', 'daily.source', { ranges: { 'daily.at': ['2017-01-06', '2017-01-10'] } }), [['google', 300], [null, 900]], 'daily.main');
  same('filtered by its value', q('daily', 'trail2', 'day', bySource, filter('daily.trail2', 'gte', '500')), [['2017-01-06', 500], ['2017-01-07', 1200], ['2017-01-08', 900]], 'daily.main');
  same('in order, with a limit', q('daily', 'trail2', 'day', bySource, { order: [['daily.trail2', 'desc']], limit: 2 }), [['2017-01-07', 1200], ['2017-01-08', 900]], 'daily.main', { ordered: true });

  // Without dateRange the series goes from the first time to the last.
  same('no dateRange, by month', q('daily', 'past', 'month'), windowed('past', 'month', ['2016-09-01', '2017-03-31'], 'UTC'), 'daily.main');
  same('no dateRange, by month, from the source', q('raw', 'mtd', 'month'), windowed('mtd', 'month', ['2016-09-01', '2017-03-31'], 'UTC'), 'source');
  same('no dateRange, in Los Angeles', q('daily', 'trail2', 'month', null, la), windowed('trail2', 'month', ['2016-09-01', '2017-03-31'], 'America/Los_Angeles'), 'daily.main');
  test('no dateRange and no rows', async () => {
    assert.deepEqual(await server.rows(q('daily', 'past', 'day', null, filters(is('daily.source', 'none')))), []);
  });
  refused(server)('too long a series', q('daily', 'trail2', 'hour', ['2000-01-01', '2017-01-01']), 'plan.series_too_long', /at/);

  // Cases 85 and 86: half years by the calendar.
  const london = { timezone: 'Europe/London' };
  const halves = (name) => ask('biweekly.count', `biweekly.at.${name}`, { ranges: { 'biweekly.at': ['2024-01-01', '2025-12-31'] }, ...london });
  same('85: half years', halves('half_year'), [['2024-01-01', 13], ['2024-07-01', 14], ['2025-01-01', 13], ['2025-07-01', 13]], 'biweekly.main');
  same('86: half years from April', halves('half_year_april'), [['2023-10-01', 7], ['2024-04-01', 13], ['2024-10-01', 13], ['2025-04-01', 13], ['2025-10-01', 7]], 'biweekly.main');
});

// ---- measures over measures ---------------------------------------------------------------------------------------------------

const sales = [
  [1, 'Oslo', 'x', 'c1', 10, '2023-01-15 10:00:00'],
  [2, 'Oslo', 'y', 'c2', 20, '2023-02-28 23:00:00'],
  [3, 'Rome', 'x', 'c1', 30, '2023-02-10 00:00:00'],
  [4, 'Rome', 'x', 'c3', 40, '2024-01-20 00:00:00'],
  [5, 'Oslo', 'x', 'c1', 50, '2024-01-31 12:00:00'],
  [6, 'Oslo', 'y', 'c1', 60, '2024-02-29 01:00:00'],
  [7, null, 'y', 'c2', 70, '2024-02-05 00:00:00'],
  [8, 'Rome', 'y', 'c3', 80, '2024-03-31 00:00:00'],
];
const stages = (name, rollup) => `  - name: ${name}
    sql_table: sales
    measures:
      - {name: revenue, type: sum, sql: amount}
      - {name: count, type: count}
      - {name: mean, type: avg, sql: amount}
      - {name: of_city, type: sum, sql: "{revenue}", multi_stage: true, group_by: [city]}
      - {name: of_all, type: number, sql: "{revenue}", multi_stage: true, group_by: []}
      - {name: mean_of_city, type: number, sql: "{mean}", multi_stage: true, group_by: [city]}
      - {name: share_of_city, type: number, sql: "100.0 * {revenue} / {of_city}"}
      - {name: share_of_all, type: number, sql: "100.0 * {revenue} / NULLIF({of_all}, 0)"}
      - {name: of_others, type: sum, sql: "{revenue}", multi_stage: true, reduce_by: [kind]}
      - {name: best_kind, type: max, sql: "{revenue}", multi_stage: true, reduce_by: [kind]}
      - {name: per_customer, type: avg, sql: "{revenue}", multi_stage: true, add_group_by: [customer]}
      - {name: best_customer, type: max, sql: "{revenue}", multi_stage: true, add_group_by: [customer]}
      - {name: year_ago, type: sum, sql: "{revenue}", multi_stage: true, time_shift: [{time_dimension: at, interval: 1 year, type: prior}]}
      - {name: month_ago, type: number, sql: "{revenue}", multi_stage: true, time_shift: [{interval: 1 month, type: prior}]}
      - {name: month_ahead, type: number, sql: "{revenue}", multi_stage: true, time_shift: [{interval: 1 month, type: next}]}
      - {name: count_year_ago, type: number, sql: "{count}", multi_stage: true, time_shift: [{interval: 1 year, type: prior}]}
      - {name: growth, type: number, sql: "{revenue} - {year_ago}"}
      - {name: place, type: rank, multi_stage: true, reduce_by: [city], order_by: [{sql: "{revenue}", dir: desc}]}
      - {name: place_of_all, type: rank, multi_stage: true, reduce_by: [city, kind], order_by: [{sql: "{revenue}", dir: asc}]}
      - {name: any_city, type: number, sql: "{revenue}", multi_stage: true, filter: {exclude: [city]}}
      - {name: city_only, type: number, sql: "{revenue}", multi_stage: true, filter: {keep_only: [city]}}
      - {name: share_of_any, type: number, sql: "100.0 * {revenue} / {any_city}"}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: city, sql: city, type: string}
      - {name: kind, sql: kind, type: string}
      - {name: customer, sql: customer, type: string}
      - {name: at, sql: at, type: time}
${rollup}`;

for (const [name, rollup, serves] of [
  ['plain', '', 'source'],
  ['daily', '    pre_aggregations:\n      - {name: main, measures: [revenue, count, mean], dimensions: [city, kind, customer], time_dimension: at, granularity: day}\n', 'daily.main'],
])
  describe(`measures over measures, from ${serves}`, () => {
    const server = shared({ 'data/sales.csv': csv(['id', 'city', 'kind', 'customer', 'amount', 'at'], sales), 'model/model.yml': `cubes:\n${stages(name, rollup)}` });
    const q = (measures, dimensions = '', { range, ...more } = {}) => {
      const full = (text) => text.split(' ').filter(Boolean).map((one) => `${name}.${one}`).join(' ');
      return ask(full(measures), full(dimensions), { ...(range && { ranges: { [`${name}.at`]: range } }), ...more });
    };
    const same = (what, query, expected, options) => table(server)(what, query, expected, serves, options);
    const grain = 'SELECT city, kind, sum(amount) AS r FROM sales GROUP BY 1, 2';
    const year = ['2024-01-01', '2024-12-31'];

    same('of the city', q('revenue of_city share_of_city', 'city kind'), `SELECT city, kind, r, sum(r) OVER (PARTITION BY city) AS c, 100.0 * r / sum(r) OVER (PARTITION BY city) AS p FROM (${grain})`);
    same('of all', q('revenue of_all share_of_all', 'city kind'), `SELECT city, kind, r, 360 AS whole, 100.0 * r / 360 AS p FROM (${grain})`);
    same('of all, alone', q('share_of_all', 'kind'), [['x', 100 * 130 / 360], ['y', 100 * 230 / 360]]);
    same('of all, no dimensions', q('of_all share_of_all'), [[360, 100]]);
    same('of the city, which is not asked for', q('of_city', 'kind'), [['x', 360], ['y', 360]]);
    same('an average of the city', q('mean mean_of_city', 'city kind'), 'SELECT city, kind, avg(amount), m FROM sales JOIN (SELECT city AS c, avg(amount) AS m FROM sales GROUP BY 1) ON c IS NOT DISTINCT FROM city GROUP BY 1, 2, 4');
    same('of all in a range, by month', q('revenue of_all', 'at.month', { range: year }), [['2024-01-01', 90, 300], ['2024-02-01', 130, 300], ['2024-03-01', 80, 300]]);
    same('of the city, filtered', q('share_of_city', 'city kind', filter(`${name}.kind`, 'equals', 'x')), [['Oslo', 'x', 100], ['Rome', 'x', 100]]);
    same('reduced by kind', q('revenue of_others best_kind', 'city kind'), `SELECT city, kind, r, sum(r) OVER (PARTITION BY city) AS o, max(r) OVER (PARTITION BY city) AS b FROM (${grain})`);
    same('reduced by what is not asked for', q('of_others', 'city'), [['Oslo', 140], ['Rome', 150], [null, 70]]);
    // Oslo: c1 120, c2 20; Rome: c1 30, c3 120; none: c2 70
    same('averages of customers', q('per_customer best_customer', 'city'), [['Oslo', 70, 120], ['Rome', 75, 120], [null, 70, 70]]);
    same('averages of customers, no dimensions', q('per_customer best_customer'), [[120, 150]]);
    same('averages of customers, who are asked for', q('per_customer', 'customer'), [['c1', 150], ['c2', 90], ['c3', 120]]);

    same('a year ago, by month', q('revenue year_ago growth', 'at.month', { range: ['2024-01-01', '2024-02-29'] }), [['2024-01-01', 90, 10, 80], ['2024-02-01', 130, 50, 80]]);
    same('a year ago, without granularity', q('revenue year_ago count_year_ago', '', { range: year }), [[300, 60, 3]]);
    same('a year ago, by city', q('revenue year_ago', 'city', { range: year }), [['Oslo', 110, 30], ['Rome', 120, 30], [null, 70, null]]);
    same('a year ago, by quarter', q('year_ago count_year_ago', 'at.quarter', { range: year }), [['2024-01-01', 60, 3]]);
    same('a year ago, no dateRange', q('revenue year_ago', 'at.year'), [['2023-01-01', 60, null], ['2024-01-01', 300, 60], ['2025-01-01', null, 300]]);
    same('a month ago', q('revenue month_ago', 'at.month', { range: ['2024-01-01', '2024-03-31'] }), [['2024-01-01', 90, null], ['2024-02-01', 130, 90], ['2024-03-01', 80, 130]]);
    same('a month ahead', q('revenue month_ahead', 'at.month', { range: ['2024-01-01', '2024-03-31'] }), [['2024-01-01', 90, 130], ['2024-02-01', 130, 80], ['2024-03-01', 80, null]]);
    same('a month ago by day: the ends of months are one day', q('month_ago', 'at.day', { range: ['2024-02-01', '2024-03-31'] }), [['2024-02-20', 40], ['2024-02-29', 50], ['2024-03-05', 70], ['2024-03-29', 60]]);
    same('a year ago, filtered', q('revenue year_ago', 'at.month', { range: ['2024-01-01', '2024-02-29'], ...filters(is(`${name}.city`, 'Oslo')) }), [['2024-01-01', 50, 10], ['2024-02-01', 60, 20]]);

    same('places of cities within a kind', q('revenue place', 'city kind'), [['Oslo', 'x', 60, 2], ['Rome', 'x', 70, 1], ['Oslo', 'y', 80, 1], [null, 'y', 70, 3], ['Rome', 'y', 80, 1]]);
    same('places of all', q('place_of_all', 'city kind'), [['Oslo', 'x', 1], ['Rome', 'x', 2], [null, 'y', 2], ['Oslo', 'y', 4], ['Rome', 'y', 4]]);
    same('places, filtered by place', q('place', 'city kind', filter(`${name}.place`, 'equals', '1')), [['Rome', 'x', 1], ['Oslo', 'y', 1], ['Rome', 'y', 1]]);
    same('places, in order', q('place revenue', 'city', { order: [[`${name}.place`, 'asc']] }), [['Rome', 1, 150], ['Oslo', 2, 140], [null, 3, 70]], { ordered: true });

    same('without the filter of the city', q('revenue any_city share_of_any', 'kind', filters(is(`${name}.city`, 'Oslo'))), [['x', 60, 130, 600 / 13], ['y', 80, 230, 800 / 23]]);
    same('other filters hold', q('revenue any_city city_only', '', filters(is(`${name}.city`, 'Oslo'), is(`${name}.kind`, 'x'))), [[60, 130, 140]]);
    same('a filter of a share', q('share_of_all', 'city', filters(leaf(`${name}.share_of_all`, 'gt', '39'))), [['Rome', 100 * 150 / 360]]);
    test('ungrouped rows have none', async () => {
      const answer = await server.load({ ...q('of_city', 'city'), ungrouped: true });
      assert.deepEqual([answer.status, answer.body.id], [400, 'plan.unsupported'], answer.text);
    });
  });

// What is asked of the source for the buckets would show days that the rollup knows nothing of.
test('without a range, buckets are as old as the values', async (t) => {
  const server = await serve(t, { 'data/visitors.csv': csv(['id', 'amount', 'source', 'usr', 'at'], visitors), 'model/model.yml': `cubes:\n${cube('daily', [`name: main, ${stored}, granularity: day`])}` });
  const query = { measures: ['daily.trail2', 'daily.past'], timeDimensions: [{ dimension: 'daily.at', granularity: 'month' }], filters: [{ member: 'daily.source', operator: 'equals', values: ['some'] }], cache: 'no-cache' };
  const months = (result) => result.data.map((row) => row['daily.at.month'].slice(0, 7));
  const before = await server.result(query);
  assert.deepEqual([months(before), Server.served(before)], [['2017-01', '2017-02', '2017-03'], ['daily.main']]);
  fs.appendFileSync(path.join(server.folder, 'data/visitors.csv'), '8,11,some,1,2017-05-09 00:00:00\n9,11,some,1,2016-12-09 00:00:00\n');
  const after = await server.result(query);
  assert.deepEqual([after.data, Server.served(after)], [before.data, ['daily.main']]);
  const source = await server.result({ ...query, preAggregations: 'forbid' });
  assert.deepEqual(months(source), ['2016-12', '2017-01', '2017-02', '2017-03', '2017-04', '2017-05']);
});

// No window has anything, and the partitions, not all of them built, go from before 1970 to after it.
test('a filter that leaves no rows, without a range', async (t) => {
  const model = cube('daily', [`name: main, ${stored}, granularity: day, partition_granularity: month`]);
  const server = await serve(t, { 'data/visitors.csv': csv(['id', 'amount', 'source', 'usr', 'at'], [...visitors, [8, 1, 'old', 1, '1969-12-31 00:00:00']]), 'model/model.yml': `cubes:\n${model}` }, { env: { GRANARY_REFRESH_ENABLED: 'false' } });
  const query = { measures: ['daily.trail2'], timeDimensions: [{ dimension: 'daily.at', granularity: 'month' }], filters: [{ member: 'daily.source', operator: 'equals', values: ['nobody'] }] };
  const result = await server.result(query);
  assert.deepEqual(result.data, []);
});

// Days do not serve windows of 36 hours; only while the source has no rows there are no windows to serve, and then what is
// stored of older rows would stand beside buckets of now.
test('what serves only because the source has no rows does not serve', async (t) => {
  const model = `cubes:
  - name: daily
    sql_table: visitors
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
      - {name: half_days, type: sum, sql: amount, rolling_window: {trailing: 36 hours, offset: start}}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: source, sql: source, type: string}
      - {name: at, sql: at, type: time}
    pre_aggregations:
      - {name: main, measures: [count, total], dimensions: [source], time_dimension: at, granularity: day}
`;
  const server = await serve(t, { 'data/visitors.csv': csv(['id', 'amount', 'source', 'usr', 'at'], visitors), 'model/model.yml': model });
  const query = { measures: ['daily.count', 'daily.half_days'], timeDimensions: [{ dimension: 'daily.at', granularity: 'day' }], filters: [{ member: 'daily.source', operator: 'equals', values: ['some'] }], cache: 'no-cache' };
  const both = await server.result(query);
  assert.ok(both.data.length > 0 && Server.served(both).includes('daily.main'));
  fs.writeFileSync(path.join(server.folder, 'data/visitors.csv'), csv(['id', 'amount', 'source', 'usr', 'at'], visitors.filter((row) => row[2] !== 'some')));
  const after = await server.result(query);
  assert.deepEqual([after.data, Server.served(after)], [[], []]);
  const explained = await server.explain(query);
  assert.deepEqual(explained.refusals.map(({ pre_aggregation, rule }) => [pre_aggregation, rule]), [['daily.main', 'match.granularity']]);
});
