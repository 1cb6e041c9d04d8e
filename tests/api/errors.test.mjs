// Every id of errors.def is produced by a test: tests/errors/produced names one for each.
import assert from 'node:assert/strict';
import fs from 'node:fs';
import path from 'node:path';
import { test } from 'node:test';
import { repo } from './helpers.mjs';

const read = (file) => fs.readFileSync(path.join(repo, file), 'utf8');
const defined = [...read('src/base/errors.def').matchAll(/^GR_ERROR\((\w+), "([^"]+)"/gm)].map(([, name, id]) => ({ name, id }));
const produced = new Map(
  read('tests/errors/produced')
    .split('\n')
    .filter((line) => line.trim() && !line.startsWith('#'))
    .map((line) => line.split(/\s+/)),
);

test('errors.def was understood', () => {
  assert.ok(defined.length > 40);
  assert.equal(defined.length, read('src/base/errors.def').match(/^GR_ERROR\(/gm).length);
});

test('each id has its line, and no line is of an id that is gone', () => {
  assert.deepEqual([...produced.keys()].sort(), defined.map((error) => error.id).sort());
});

// A test in C names an id by its enumerator.
for (const { name, id } of defined)
  test(`${id} is produced by ${produced.get(id)}`, () => {
    const file = produced.get(id);
    assert.ok(file, 'it has a line in tests/errors/produced');
    const text = read(file);
    const quoted = new RegExp(`(?<![\\w.])${id.replace('.', '\\.')}(?![\\w.])`);
    assert.ok(file.endsWith('.c') ? new RegExp(`\\bGR_ERR_${name}\\b`).test(text) : quoted.test(text.replaceAll('\\.', '.')), `${file} names ${id}`);
  });
