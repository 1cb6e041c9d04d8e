// Time: ranges that begin and end inside stored buckets are put together from whole buckets, finer buckets and the source
// (decisions 1); zones with changes of clocks; custom granularities. Expected numbers are plain SQL over the same instants, on
// the wall clock of the zone.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ask, filters, leaf, is, table } from './answers.mjs';
import { csv, Server, shared } from './helpers.mjs';

// Every 97 minutes around each change of clocks, and every 23 hours over two years and a half.
const minute = 60000;
const instants = [];
for (let at = Date.UTC(2016, 10, 20, 3, 11); at < Date.UTC(2019, 4, 1); at += 23 * 60 * minute) instants.push(at);
for (const edge of ['2018-03-11T07:00Z', '2018-11-04T06:00Z', '2018-03-25T01:00Z', '2018-10-28T01:00Z'])
  for (let k = -30; k <= 30; k++) instants.push(Date.parse(edge) + k * 97 * minute);
const events = instants.map((at, i) => [i + 1, new Date(at).toISOString().slice(0, 19).replace('T', ' '), ['a', 'b', null][i % 3], (i * 31) % 17, (i * 7) % 11]);

const cube = (name, ...rollups) => `  - name: ${name}
    sql_table: events
    measures:
      - {name: count, type: count}
      - {name: total, type: sum, sql: amount}
      - {name: mean, type: avg, sql: amount}
      - {name: most, type: max, sql: amount}
      - {name: uniq, type: count_distinct, sql: usr}
      - {name: share, type: number, sql: "{total} / {count}"}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: kind, sql: kind, type: string}
      - name: at
        sql: at
        type: time
        granularities:
          - {name: half_year, interval: 6 months, origin: "2017-01-01"}
          - {name: shifted_half, interval: 6 months, origin: "2017-04-01"}
          - {name: fiscal_year, interval: 1 year, offset: 3 months}
          - {name: sunday_week, interval: 1 week, offset: -1 day}
          - {name: two_weeks, interval: 2 weeks, origin: "2017-01-02"}
          - {name: two_weeks_ten, interval: 2 weeks, origin: "2017-01-02 10:00:00"}
          - {name: six_hours, interval: 6 hours, origin: "2017-01-01"}
${rollups.length ? '    pre_aggregations:\n' : ''}${rollups.map((one) => `      - {${one}}\n`).join('')}`;
const stored = (name, granularity, more = '') => `name: ${name}, measures: [count, total, mean, most], dimensions: [kind], time_dimension: at, granularity: ${granularity}${more}`;
const loose = ', allow_non_strict_date_range_match: true';

const server = shared({
  'data/events.csv': csv(['id', 'at', 'kind', 'amount', 'usr'], events),
  'model/model.yml': `cubes:
${cube('both', stored('monthly', 'month'), stored('daily', 'day'))}
${cube('three', stored('monthly', 'month'), stored('daily', 'day'), stored('hourly', 'hour'))}
${cube('daily', stored('main', 'day'))}
${cube('hourly', stored('main', 'hour'))}
${cube('loose_hour', stored('monthly', 'month'), stored('daily', 'day'), stored('hourly', 'hour', loose))}
${cube('loose_day', stored('monthly', 'month'), stored('daily', 'day', loose))}
${cube('distinct', 'name: main, measures: [uniq, count], time_dimension: at, granularity: day')}
${cube('weeks', stored('main', 'two_weeks'))}
${cube('halves', stored('main', 'half_year'))}
${cube('months', stored('main', 'month'))}
`,
});
const same = table(server);

const wall = (zone) => `(("at"::TIMESTAMP AT TIME ZONE 'UTC') AT TIME ZONE '${zone}')`;
const trunc = (grain, zone) => (grain.startsWith('time_bucket') ? grain.replace('$', wall(zone)) : `date_trunc('${grain}', ${wall(zone)})`);
const inside = ([from, to], zone) => `${wall(zone)} >= TIMESTAMP '${from}' AND ${wall(zone)} <= TIMESTAMP '${to.length === 10 ? `${to} 23:59:59.999` : to}'`;
const sqlOf = { count: 'count(*)', total: 'sum(amount)', mean: 'avg(amount)', most: 'max(amount)', uniq: 'count(DISTINCT usr)', share: 'sum(amount) / count(*)' };

// One query of a cube: measures, granularity (or none), range, what serves.
function one(name, cubeName, what, granularity, range, serves, { timezone = 'UTC', by = '', where = 'true', grain = granularity, exactness, ...more } = {}) {
  const list = what.split(' ');
  const names = (text) => text.split(' ').filter(Boolean).map((n) => `${cubeName}.${n}`).join(' ');
  const groups = [...by.split(' ').filter(Boolean), ...(granularity ? [trunc(grain, timezone)] : [])];
  const query = ask(names(what), names(`${by}${granularity ? ` at.${granularity}` : ''}`), { ...(range && { ranges: { [`${cubeName}.at`]: range } }), ...(timezone !== 'UTC' && { timezone }), ...more });
  const expected = `SELECT ${[...groups, ...list.map((n) => sqlOf[n])].map((text, i) => `${text} AS c${i}`).join(', ')} FROM events WHERE (${range ? inside(range, timezone) : 'true'}) AND (${where})${groups.length ? ` GROUP BY ${groups.map((_, i) => i + 1)}` : ''}`;
  const ids = [serves].flat().map((id) => (id === 'source' || id.startsWith('match.') ? id : `${cubeName}.${id}`));
  same(`${cubeName}, ${name}`, query, expected, ids, { exactness });
}

const all = 'count total mean most share';

describe('ranges of whole buckets', () => {
  one('1: years from months, in Los Angeles', 'both', all, 'year', ['2016-12-01', '2018-12-31'], 'monthly', { timezone: 'America/Los_Angeles' });
  one('2: weeks from days', 'both', all, 'week', ['2017-01-02', '2019-02-08'], 'daily', filters({ or: [leaf('both.count', 'equals', '5'), leaf('both.count', 'gt', '0')] }));
  one('4: weeks never from months', 'three', all, 'week', ['2018-01-01', '2018-03-31'], 'daily');
  one('5: an end at a whole hour', 'three', all, 'week', ['2018-01-01', '2018-03-30 22:59:59.999'], 'hourly');
  one('11: months', 'loose_hour', all, 'month', ['2018-01-01', '2018-03-31'], 'monthly');
  one('14: days', 'daily', all, 'day', ['2018-01-03', '2018-03-31'], 'main');
  one('16: weeks, from a Wednesday', 'daily', all, 'week', ['2018-01-03', '2018-03-31'], 'main');
  one('17: distinct by week', 'distinct', 'uniq', 'week', ['2018-01-03', '2018-03-31'], 'match.exact_grain');
  one('distinct by day', 'distinct', 'uniq', 'day', ['2018-01-03', '2018-03-31'], 'main');
  one('no range', 'three', all, 'quarter', null, 'monthly', { by: 'kind' });
  one('years', 'months', all, 'year', ['2017-01-01', '2018-12-31'], 'main', { by: 'kind' });
  one('half a year alone', 'months', all, '', ['2017-01-01', '2017-06-30'], 'main');
  one('an empty range', 'daily', 'count total', '', ['2031-01-01', '2031-01-31'], 'main');
  one('an empty range by day', 'daily', 'count total', 'day', ['2031-01-01', '2031-01-31'], 'main');
});

describe('ranges that are put together', () => {
  one('7: weeks, an end inside an hour', 'three', all, 'week', ['2018-01-01', '2018-03-30 22:50:50.999'], ['daily', 'hourly', 'source']);
  one('8: no granularity, an end inside an hour', 'three', all, '', ['2018-01-01', '2018-03-30 22:50:50.999'], ['monthly', 'daily', 'hourly', 'source']);
  one('10: days alone', 'daily', all, '', ['2018-01-01', '2018-03-30 22:50:50.999'], ['main', 'source']);
  one('both ends ragged', 'three', all, 'month', ['2017-12-30 23:30:00', '2018-03-30 22:50:50.999'], ['monthly', 'daily', 'hourly', 'source']);
  one('both ends ragged, by kind', 'both', all, 'year', ['2017-03-17 12:00:00', '2018-10-09 05:59:59.999'], ['monthly', 'daily', 'source'], { by: 'kind' });
  one('both ends on days', 'both', all, 'year', ['2017-03-17', '2018-10-09'], 'daily');
  one('months with days at both ends', 'both', all, '', ['2017-03-17', '2018-10-09'], 'daily');
  one('months alone, days at both ends', 'months', all, 'quarter', ['2017-03-17', '2018-10-09'], ['main', 'source'], { by: 'kind' });
  one('no whole bucket inside', 'months', all, '', ['2017-03-17', '2017-04-09'], 'match.range_not_aligned');
  one('one bucket and a bit before', 'months', all, '', ['2017-03-31 23:00:00', '2017-04-30'], ['main', 'source']);
  one('one bucket and a bit after', 'months', all, '', ['2017-04-01', '2017-05-01 00:00:00'], ['main', 'source']);
  one('filtered', 'months', all, 'month', ['2017-03-17', '2018-10-09'], ['main', 'source'], { where: "kind = 'a'", ...filters(is('months.kind', 'a')) });
  one('filtered by a measure of all pieces', 'months', 'count', 'quarter', ['2017-03-17', '2018-10-09'], ['main', 'source'], { ...filters(leaf('months.count', 'gte', '0')) });
  one('distinct numbers are not put together', 'distinct', 'uniq', '', ['2018-01-03', '2018-03-31 12:00:00'], 'match.range_not_aligned');
  one('counts beside them are', 'distinct', 'count', '', ['2018-01-03', '2018-03-31 12:00:00'], ['main', 'source']);
  test('a measure filter looks at the sum of the pieces', async () => {
    const range = ['2017-03-17', '2017-05-09'];
    const [[count]] = (await server.rows(ask('months.count', '', { ranges: { 'months.at': range } }))).map(Object.values);
    for (const [value, n] of [[count, 1], [String(Number(count) + 1), 0]]) {
      const query = ask('months.count', '', { ranges: { 'months.at': range }, ...filters(leaf('months.count', 'equals', value)) });
      const result = await server.result(query);
      assert.equal(result.data.length, n);
      assert.deepEqual(Server.served(result), ['months.main']);
    }
  });
  test('order, limit and total are those of the whole', async () => {
    const query = ask('months.total', 'months.kind', { ranges: { 'months.at': ['2017-03-17', '2018-10-09'] }, order: [['months.total', 'desc']], limit: 2, total: true });
    const [whole, forbidden] = [await server.result(query), await server.result({ ...query, preAggregations: 'forbid' })];
    assert.deepEqual(whole.data, forbidden.data);
    assert.deepEqual([whole.total, forbidden.total, whole.data.length], [3, 3, 2]);
  });
});

describe('ranges that may be taken loosely', () => {
  one('13: hours', 'loose_hour', all, '', ['2018-01-01', '2018-03-30 22:50:50.999'], 'hourly', { exactness: 'non_strict_range' });
  one('10: days', 'loose_day', all, '', ['2018-01-01', '2018-03-30 22:50:50.999'], 'daily', { exactness: 'non_strict_range' });
  one('20: exact all the same where it can be', 'loose_day', all, 'month', ['2018-01-01', '2018-03-31'], 'monthly');
  test('the last bucket is whole', async () => {
    const range = (to) => ask('loose_day.count', '', { ranges: { 'loose_day.at': ['2018-01-01', to] } });
    assert.deepEqual(await server.rows(range('2018-03-30T22:50:50.999')), await server.rows(range('2018-03-30')));
  });
});

describe('custom granularities', () => {
  const bucket = (width, origin) => `time_bucket(INTERVAL '${width}', $, TIMESTAMP '${origin}')`;
  const fortnight = bucket('14 days', '2017-01-02');
  one('half years from days', 'daily', all, 'half_year', ['2017-01-01', '2018-12-31'], 'main', { grain: bucket('6 months', '2017-01-01') });
  one('half years from months', 'months', all, 'half_year', ['2017-01-01', '2018-12-31'], 'main', { grain: bucket('6 months', '2017-01-01') });
  one('half years from April', 'months', all, 'shifted_half', ['2017-01-01', '2018-12-31'], 'main', { grain: bucket('6 months', '2017-04-01') });
  one('fiscal years', 'months', all, 'fiscal_year', ['2017-01-01', '2018-12-31'], 'main', { grain: bucket('1 year', '2017-04-01') });
  one('weeks from Sunday', 'daily', all, 'sunday_week', ['2017-01-01', '2018-12-31'], 'main', { grain: bucket('7 days', '2017-01-01') });
  one('weeks from Sunday, never of months', 'months', all, 'sunday_week', ['2017-01-01', '2018-12-31'], 'match.granularity', { grain: bucket('7 days', '2017-01-01') });
  one('20: two weeks from midnight', 'daily', all, 'two_weeks', ['2017-01-01', '2018-12-31'], 'main', { grain: fortnight });
  one('22: two weeks from ten', 'daily', all, 'two_weeks_ten', ['2017-01-01', '2018-12-31'], 'match.granularity', { grain: bucket('14 days', '2017-01-02 10:00') });
  one('two weeks from ten, of hours', 'hourly', all, 'two_weeks_ten', ['2017-01-01', '2018-12-31'], 'main', { grain: bucket('14 days', '2017-01-02 10:00') });
  one('six hours', 'hourly', all, 'six_hours', ['2018-06-01', '2018-06-30'], 'main', { grain: bucket('6 hours', '2017-01-01') });
  one('74: stored itself', 'weeks', all, 'two_weeks', ['2017-01-02', '2017-12-31'], 'main', { grain: fortnight, by: 'kind' });
  one('74: stored itself, no range', 'weeks', all, 'two_weeks', null, 'main', { grain: fortnight });
  one('74: finer than stored', 'weeks', all, 'week', ['2017-01-02', '2017-12-31'], 'match.granularity');
  one('74: another one of the same length', 'weeks', all, 'two_weeks_ten', null, 'match.granularity', { grain: bucket('14 days', '2017-01-02 10:00') });
  one('19: a range inside its buckets', 'weeks', all, 'two_weeks', ['2017-01-05', '2017-12-27'], ['main', 'source'], { grain: fortnight });
  one('half years, stored', 'halves', all, 'half_year', ['2017-01-01', '2018-12-31'], 'main', { grain: bucket('6 months', '2017-01-01'), by: 'kind' });
  one('half years, a ragged range', 'halves', all, 'half_year', ['2017-02-03', '2018-12-30'], ['main', 'source'], { grain: bucket('6 months', '2017-01-01') });
});

describe('zones with changes of clocks', () => {
  const newYork = { timezone: 'America/New_York' };
  const berlin = { timezone: 'Europe/Berlin' };
  for (const [name, zone, spring, autumn] of [['New York', newYork, '2018-03-11', '2018-11-04'], ['Berlin', berlin, '2018-03-25', '2018-10-28']])
    for (const [season, date] of [['spring', spring], ['autumn', autumn]]) {
      const before = new Date(Date.parse(date) - 86400000).toISOString().slice(0, 10);
      const after = new Date(Date.parse(date) + 86400000).toISOString().slice(0, 10);
      one(`${name}, ${season}: days`, 'daily', all, 'day', [before, after], 'main', zone);
      one(`${name}, ${season}: days of hours`, 'hourly', all, 'day', [before, after], 'main', zone);
      one(`${name}, ${season}: hours`, 'hourly', all, 'hour', [before, after], 'main', { ...zone, by: 'kind' });
      one(`${name}, ${season}: noon to noon of days`, 'daily', all, 'day', [`${before} 12:00:00`, `${after} 12:00:00`], ['main', 'source'], zone);
      one(`${name}, ${season}: noon to noon of hours`, 'hourly', all, '', [`${before} 12:00:00`, `${after} 11:59:59.999`], 'main', zone);
      one(`${name}, ${season}: ragged, of days and hours`, 'three', all, 'day', [`${before} 12:20:00`, `${after} 17:40:00`], ['daily', 'hourly', 'source'], zone);
      one(`${name}, ${season}: the day itself`, 'hourly', all, 'hour', [date, date], 'main', zone);
      one(`${name}, ${season}: from inside the change`, 'hourly', all, 'hour', [`${date} 02:30:00`, `${after} 03:10:00`], ['main', 'source'], zone);
      one(`${name}, ${season}: to inside the change`, 'hourly', all, '', [`${before} 20:10:00`, `${date} 02:30:00`], ['main', 'source'], zone);
      one(`${name}, ${season}: an hour that comes twice, or not`, 'hourly', 'count total', '', [`${date} 01:00:00`, `${date} 02:59:59.999`], 'main', zone);
    }
  one('Kolkata: half hours off, of hours', 'hourly', all, 'day', ['2018-03-01', '2018-03-31'], 'match.time_zone', { timezone: 'Asia/Kolkata' });
  one('Kolkata: days of its own', 'daily', all, 'day', ['2018-03-01', '2018-03-31'], 'main', { timezone: 'Asia/Kolkata' });
  one('Kolkata: ragged days of its own', 'daily', all, 'week', ['2018-03-01 04:00:00', '2018-03-31 21:15:00'], ['main', 'source'], { timezone: 'Asia/Kolkata' });
  one('New York: ragged months', 'three', all, 'month', ['2018-02-10 12:20:00', '2018-11-20 17:40:00'], ['monthly', 'daily', 'hourly', 'source'], { ...newYork, by: 'kind' });
  one('New York: half years from April', 'months', all, 'shifted_half', ['2017-01-01', '2018-12-31'], 'main', { ...newYork, grain: "time_bucket(INTERVAL '6 months', $, TIMESTAMP '2017-04-01')" });
});
