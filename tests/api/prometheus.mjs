// A strict reader of the Prometheus text format 0.0.4: what a scraper would forgive is an error here.
import assert from 'node:assert/strict';

const nameOf = /^[a-zA-Z_:][a-zA-Z0-9_:]*/;
const labelOf = /^[a-zA-Z_][a-zA-Z0-9_]*/;

// {labels, rest} of '{a="b",c="d"} 1'
function readLabels(text, line) {
  const labels = {};
  if (text[0] !== '{') return { labels, rest: text };
  let at = 1;
  for (;;) {
    const name = labelOf.exec(text.slice(at))?.[0];
    assert.ok(name, `a label's name: ${line}`);
    at += name.length;
    assert.equal(text.slice(at, at + 2), '="', line);
    at += 2;
    let value = '';
    for (; text[at] !== '"'; at++) {
      assert.ok(at < text.length, `the value of a label ends: ${line}`);
      if (text[at] !== '\\') {
        value += text[at];
        continue;
      }
      at++;
      assert.ok('\\"n'.includes(text[at]), `an escape: ${line}`);
      value += text[at] === 'n' ? '\n' : text[at];
    }
    assert.ok(!(name in labels), `a label once: ${line}`);
    labels[name] = value;
    at++;
    if (text[at] === '}') return { labels, rest: text.slice(at + 1) };
    assert.equal(text[at], ',', line);
    at++;
  }
}

function readSample(line) {
  const name = nameOf.exec(line)?.[0];
  assert.ok(name, `a name: ${line}`);
  const { labels, rest } = readLabels(line.slice(name.length), line);
  const value = /^ (-?\d+(\.\d+)?(e[+-]?\d+)?|\+Inf|-Inf|NaN)$/.exec(rest)?.[1];
  assert.ok(value, `one blank and a number: ${line}`);
  return { name, labels, value: Number(value.replace('Inf', 'Infinity')) };
}

const keyOf = (labels) => JSON.stringify(Object.entries(labels).sort());
const without = ({ le, ...labels }) => labels;

function checkHistogram(family) {
  const series = new Map();
  for (const { name, labels, value } of family.samples) {
    const key = keyOf(without(labels));
    if (!series.has(key)) series.set(key, { buckets: [] });
    const one = series.get(key);
    if (name === `${family.name}_bucket`) {
      assert.ok('le' in labels, `a bucket of ${family.name} has le`);
      one.buckets.push([labels.le === '+Inf' ? Infinity : Number(labels.le), value]);
    } else {
      assert.ok(!('le' in labels));
      one[name.slice(family.name.length + 1)] = value;
    }
  }
  for (const [key, { buckets, sum, count }] of series) {
    const what = `${family.name}${key}`;
    assert.ok(buckets.length > 1, what);
    for (let i = 1; i < buckets.length; i++) {
      assert.ok(buckets[i][0] > buckets[i - 1][0], `${what}: bounds ascend`);
      assert.ok(buckets[i][1] >= buckets[i - 1][1], `${what}: buckets are cumulative`);
    }
    assert.equal(buckets.at(-1)[0], Infinity, what);
    assert.equal(buckets.at(-1)[1], count, `${what}: +Inf is the count`);
    assert.ok(sum >= 0, what);
  }
}

function checkFamily(family) {
  const suffixes = family.type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
  const names = suffixes.map((suffix) => family.name + suffix);
  if (family.type === 'counter') assert.ok(family.name.endsWith('_total'), `${family.name} is a counter`);
  if (family.type !== 'counter') assert.ok(!family.name.endsWith('_total'), `${family.name} is no counter`);
  const seen = new Set();
  for (const { name, labels, value } of family.samples) {
    assert.ok(names.includes(name), `${name} in ${family.name}`);
    const key = name + keyOf(labels);
    assert.ok(!seen.has(key), `${key} once`);
    seen.add(key);
    if (family.type !== 'gauge') assert.ok(value >= 0, key);
  }
  if (family.type === 'histogram') checkHistogram(family);
}

// Map of families by name: {name, help, type, samples: [{name, labels, value}]}.
export function parse(text) {
  assert.ok(text.endsWith('\n'), 'the last line ends');
  const families = new Map();
  let current;
  for (const line of text.slice(0, -1).split('\n')) {
    assert.ok(line, 'no empty line');
    const comment = /^# (HELP|TYPE) ([^ ]+) (.+)$/.exec(line);
    if (!comment) {
      assert.notEqual(line[0], '#', line);
      assert.ok(current?.type, `HELP and TYPE come first: ${line}`);
      current.samples.push(readSample(line));
      continue;
    }
    const [, kind, name, rest] = comment;
    assert.equal(nameOf.exec(name)[0], name);
    if (kind === 'HELP') {
      assert.ok(!families.has(name), `${name} once`);
      current = { name, help: rest, samples: [] };
      families.set(name, current);
    } else {
      assert.equal(current?.name, name, 'TYPE follows its HELP');
      assert.ok(!current.type && ['counter', 'gauge', 'histogram'].includes(rest), line);
      current.type = rest;
    }
  }
  for (const family of families.values()) checkFamily(family);
  return families;
}

// What a scrape says: one value, by the sample's name and some of its labels; undefined when it is not there.
export class Metrics {
  constructor(text) {
    this.families = parse(text);
    this.samples = [...this.families.values()].flatMap((family) => family.samples);
  }

  all(name, labels = {}) {
    return this.samples.filter((s) => s.name === name && Object.entries(labels).every(([k, v]) => s.labels[k] === v));
  }

  get(name, labels) {
    const found = this.all(name, labels);
    assert.ok(found.length < 2, `${name} ${JSON.stringify(labels)} is one sample`);
    return found[0]?.value;
  }
}

export async function scrape(server, headers) {
  const answer = await server.get('/ops/metrics', undefined, headers);
  assert.equal(answer.status, 200, answer.text);
  assert.equal(answer.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
  return new Metrics(answer.text);
}
