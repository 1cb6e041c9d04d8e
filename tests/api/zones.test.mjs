// Time zones over their changes of clocks: what the source and the rollups say against buckets that are worked out here, row
// by row, with the calendar of JavaScript.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { csv, Server, shared } from './helpers.mjs';

// An instant every seven hours and a bit through 2024, and every 20 minutes for a day around each change of clocks below.
const edges = ['2024-03-10T07:00Z', '2024-11-03T06:00Z', '2024-03-31T01:00Z', '2024-10-27T01:00Z', '2024-04-06T14:00Z', '2024-09-28T14:00Z', '2024-04-06T15:00Z', '2024-10-05T15:30Z'];
const minute = 60000;
const instants = [];
for (let at = Date.UTC(2024, 0, 1); at < Date.UTC(2025, 0, 1); at += (7 * 60 + 13) * minute) instants.push(at);
for (const edge of edges) for (let k = -36; k <= 36; k++) instants.push(Date.parse(edge) + k * 20 * minute);

const cube = (name, granularity) => `  - name: ${name}
    sql_table: events
    measures:
      - {name: count, type: count}
      - {name: last, type: max, sql: id}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: at, sql: at, type: time}
    pre_aggregations:
      - {name: main, measures: [count, last], time_dimension: at, granularity: ${granularity}}
`;
// Hours are the same everywhere; which of them are November's is not.
const filtered = `  - name: november
    sql_table: events
    measures:
      - {name: count, type: count}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: at, sql: at, type: time}
      - {name: month_no, sql: "extract(month FROM {at.day})", type: number}
    pre_aggregations:
      - {name: main, measures: [count], time_dimension: at, granularity: hour, filters: [{member: month_no, operator: equals, values: ['11']}]}
`;
const files = {
  'data/events.csv': csv(['id', 'at'], instants.map((at, i) => [i, new Date(at).toISOString().slice(0, 19).replace('T', ' ')])),
  'model/events.yml': `cubes:\n${cube('hourly', 'hour')}${cube('daily', 'day')}${filtered}`,
};

// [zone, whether hours of UTC can be cut anew for it]
const zones = [
  ['America/New_York', true],
  ['Europe/Berlin', true],
  ['Pacific/Auckland', true],
  ['Australia/Lord_Howe', false], // half an hour of summer time
  ['Asia/Kolkata', false],
  ['Asia/Kathmandu', false],
];

function wallClock(zone) {
  const format = new Intl.DateTimeFormat('en-CA', { timeZone: zone, hourCycle: 'h23', year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', minute: '2-digit', second: '2-digit' });
  return (at) => {
    const part = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
    return `${part.year}-${part.month}-${part.day}T${part.hour}:${part.minute}:${part.second}.000`;
  };
}
function mondayOf(date) {
  const day = new Date(`${date}T00:00Z`);
  day.setUTCDate(day.getUTCDate() - ((day.getUTCDay() + 6) % 7));
  return day.toISOString().slice(0, 10);
}
const start = {
  hour: (local) => `${local.slice(0, 13)}:00:00.000`,
  day: (local) => `${local.slice(0, 10)}T00:00:00.000`,
  week: (local) => `${mondayOf(local.slice(0, 10))}T00:00:00.000`,
  month: (local) => `${local.slice(0, 7)}-01T00:00:00.000`,
  year: (local) => `${local.slice(0, 4)}-01-01T00:00:00.000`,
};

describe('changes of clocks', () => {
  const server = shared(files);

  const expected = (zone, granularity, range) => {
    const local = wallClock(zone);
    const buckets = new Map();
    instants.forEach((at, id) => {
      const text = local(at);
      if (range && (text.slice(0, 10) < range[0] || text.slice(0, 10) > range[1])) return;
      const key = start[granularity](text);
      const [count, last] = buckets.get(key) ?? [0, 0];
      buckets.set(key, [count + 1, Math.max(last, id)]);
    });
    return [...buckets].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, [count, last]]) => [key, String(count), String(last)]);
  };
  const ask = async (name, zone, granularity, range, params) => {
    const time = { dimension: `${name}.at`, granularity, ...(range && { dateRange: range }) };
    const result = await server.result({ measures: [`${name}.count`, `${name}.last`], timeDimensions: [time], timezone: zone, limit: 50000 }, params);
    return [result.data.map((row) => [row[`${name}.at.${granularity}`], row[`${name}.count`], row[`${name}.last`]]), Server.served(result)];
  };

  // Each range starts or ends on a day on which some clock changes.
  const ranges = [undefined, ['2024-03-31', '2024-04-07'], ['2024-10-06', '2024-11-03']];
  for (const [zone, isWhole] of zones)
    for (const granularity of Object.keys(start))
      test(`${granularity} in ${zone}`, async () => {
        for (const range of ranges) {
          const wanted = expected(zone, granularity, range);
          const [source] = await ask('hourly', zone, granularity, range, '?without_rollups=1');
          assert.deepEqual(source, wanted, 'the source');
          const [hourly, servedByHours] = await ask('hourly', zone, granularity, range);
          assert.deepEqual([hourly, servedByHours], [wanted, isWhole ? ['hourly.main'] : []]);
          const [daily, servedByDays] = await ask('daily', zone, granularity, range);
          assert.deepEqual([daily, servedByDays], [wanted, granularity === 'hour' ? [] : ['daily.main']]);
        }
      });

  test('each zone has a table of days of its own, and one table of hours serves all', async () => {
    const list = (await server.granary(['preagg', 'list', '--json'])).json.pre_aggregations.filter((p) => p.is_built);
    assert.deepEqual(list.filter((p) => p.id === 'daily.main').map((p) => p.timezone).sort(), zones.map(([zone]) => zone).sort());
    assert.deepEqual(list.filter((p) => p.id === 'hourly.main').map((p) => p.timezone), ['UTC']);
  });

  test('a static filter that reads the calendar of a zone is one of that zone', async () => {
    for (const [zone, isWhole] of [...zones, ['UTC', true]]) {
      const local = wallClock(zone);
      const days = new Map();
      for (const at of instants) if (local(at).slice(5, 7) === '11') days.set(start.day(local(at)), (days.get(start.day(local(at))) ?? 0) + 1);
      const wanted = [...days].sort(([a], [b]) => (a < b ? -1 : 1)).map(([key, n]) => [key, String(n)]);
      const query = {
        measures: ['november.count'],
        timeDimensions: [{ dimension: 'november.at', granularity: 'day' }],
        filters: [{ member: 'november.month_no', operator: 'equals', values: ['11'] }],
        timezone: zone,
      };
      for (const params of ['', '?without_rollups=1']) {
        const result = await server.result(query, params);
        assert.deepEqual(result.data.map((row) => [row['november.at.day'], row['november.count']]), wanted, `${zone} ${params}`);
        assert.deepEqual(Server.served(result), isWhole && !params ? ['november.main'] : [], zone);
      }
    }
  });
});
