// What every test stands on: a folder with a configuration, a model and data; a server started in it; calls to both.
// Whatever is started is ended by its own process id, and whatever is written is removed, also when a test fails.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHmac } from 'node:crypto';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';

export const repo = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../..');
const given = process.env.GRANARY_BIN;
export const bin = given ? path.resolve(given) : path.join(repo, 'build/release/granary');
// Under a sanitizer everything is slower; limits on time are multiplied by this.
export const patience = Number(process.env.GRANARY_TEST_PATIENCE ?? 1);

const running = new Set();
const folders = new Set();
process.on('exit', () => {
  for (const child of running) {
    try {
      process.kill(child.pid, 'SIGKILL');
    } catch {
      // it has ended by itself
    }
  }
  for (const folder of folders) removeFolder(folder);
});

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

export async function until(what, check, ms = 10000) {
  const end = Date.now() + ms * patience;
  for (;;) {
    const value = await check();
    if (value) return value;
    assert.ok(Date.now() < end, `waited ${ms} ms in vain for ${what}`);
    await sleep(20);
  }
}

// The environment of the tests without settings of Granary's, so that a developer's own do not change them.
function environment(extra) {
  const env = Object.fromEntries(Object.entries(process.env).filter(([key]) => !/^(GRANARY_|CUBEJS_|PORT$)/.test(key)));
  return { ...env, ...extra };
}

// ---- folders ------------------------------------------------------------------------------------------------------

export function removeFolder(folder) {
  folders.delete(folder);
  if (!fs.existsSync(folder)) return;
  try {
    fs.chmodSync(folder, 0o755);
    fs.rmSync(folder, { recursive: true, force: true });
  } catch {
    // a folder below may be read-only still
    fs.readdirSync(folder, { withFileTypes: true })
      .filter((entry) => entry.isDirectory())
      .forEach((entry) => fs.chmodSync(path.join(folder, entry.name), 0o755));
    fs.rmSync(folder, { recursive: true, force: true });
  }
}

export const defaultConfig = 'data_sources:\n  default: {type: duckdb, path: data}\nmodel: model\n';

// `files`: path below the folder -> text. granary.yml is the least configuration when it is not given.
export function makeFolder(files = {}) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'granary-test-'));
  folders.add(folder);
  fs.chmodSync(folder, 0o755);
  fs.mkdirSync(path.join(folder, 'data'));
  fs.mkdirSync(path.join(folder, 'model'));
  for (const [name, text] of Object.entries({ 'granary.yml': defaultConfig, ...files })) write(folder, name, text);
  return folder;
}

export function write(folder, name, text) {
  const file = path.join(folder, name);
  fs.mkdirSync(path.dirname(file), { recursive: true });
  fs.writeFileSync(file, text);
}

export const csv = (columns, rows) => `${columns.join(',')}\n${rows.map((row) => row.map((v) => v ?? '').join(',')).join('\n')}\n`;

// ---- processes ----------------------------------------------------------------------------------------------------

// `powerless`: file modes hold for it, also when the tests run as root (in a container). It stays the same user: another
// one could not reach the binary in a clone below /root.
function start(args, { cwd, env = {}, input, powerless } = {}) {
  const dropped = powerless && process.getuid?.() === 0;
  const command = dropped ? ['setpriv', '--bounding-set=-dac_override,-dac_read_search', bin, ...args] : [bin, ...args];
  const child = spawn(command[0], command.slice(1), { cwd, env: environment(env), stdio: ['pipe', 'pipe', 'pipe'] });
  running.add(child);
  const out = { stdout: '', stderr: '', child };
  child.stdout.setEncoding('utf8').on('data', (text) => (out.stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (out.stderr += text));
  child.stdin.on('error', () => {}); // it may end before it has read everything
  child.stdin.end(input ?? '');
  out.ended = new Promise((resolve, reject) => {
    child.on('error', (error) => {
      running.delete(child);
      reject(error);
    });
    child.on('close', (code, signal) => {
      running.delete(child);
      out.code = code;
      out.signal = signal;
      resolve(out);
    });
  });
  out.ended.catch(() => {});
  return out;
}

// Run a command to its end: {code, signal, stdout, stderr}, and `json` when stdout is JSON.
export async function granary(args, options = {}) {
  const run = start(args, options);
  const timer = setTimeout(() => run.child.kill('SIGKILL'), (options.timeout ?? 30000) * patience);
  await run.ended;
  clearTimeout(timer);
  try {
    run.json = JSON.parse(run.stdout);
  } catch {
    run.json = undefined;
  }
  return run;
}

export const startProcess = start;

export class Server {
  constructor(folder, options) {
    this.folder = folder;
    this.options = options;
  }

  async open(files) {
    this.folder = makeFolder(files);
    await this.options.prepare?.(this.folder);
    await this.start();
  }

  async close() {
    try {
      await this.stop();
    } finally {
      if (this.folder) removeFolder(this.folder);
    }
  }

  get state() {
    return path.join(this.folder, '.granary');
  }

  async start(extra = {}) {
    const options = { ...this.options, ...extra };
    const args = ['serve', '-c', path.join(this.folder, 'granary.yml'), '--port', '0', ...(options.args ?? [])];
    this.run = start(args, { cwd: this.folder, ...options });
    const file = path.join(options.state ?? this.state, 'server.json');
    let info;
    await until('the server to listen', () => {
      if (this.run.code !== undefined || this.run.signal) throw new Error(`serve ended with ${this.run.code}: ${this.run.stderr}`);
      try {
        info = JSON.parse(fs.readFileSync(file, 'utf8'));
      } catch {
        return false;
      }
      return info.pid === this.run.child.pid;
    }, 20000);
    this.url = info.url;
    this.token = info.token;
    this.pid = info.pid;
    return this;
  }

  log() {
    return this.run.stderr;
  }

  signal(name) {
    process.kill(this.pid, name);
  }

  // SIGTERM, then its exit; a server that does not end is killed, and that is a failure.
  async stop() {
    if (!this.run || this.run.code !== undefined) return this.run;
    this.run.child.kill('SIGTERM');
    const timer = setTimeout(() => this.run.child.kill('SIGKILL'), 15000 * patience);
    await this.run.ended;
    clearTimeout(timer);
    assert.notEqual(this.run.signal, 'SIGKILL', 'the server did not end after SIGTERM');
    return this.run;
  }

  async kill() {
    this.run.child.kill('SIGKILL');
    await this.run.ended;
  }

  async restart(extra) {
    await this.stop();
    return this.start(extra);
  }

  // {status, headers, text, body}
  async fetch(route, options = {}) {
    const response = await fetch(this.url + route, options);
    const text = await response.text();
    let body;
    try {
      body = JSON.parse(text);
    } catch {
      body = undefined;
    }
    return { status: response.status, headers: response.headers, text, body };
  }

  post(route, body, headers = {}) {
    const text = typeof body === 'string' || body instanceof Uint8Array ? body : JSON.stringify(body);
    return this.fetch(route, { method: 'POST', body: text, headers: { 'content-type': 'application/json', ...headers } });
  }

  get(route, query, headers = {}) {
    const param = query === undefined ? '' : `${route.includes('?') ? '&' : '?'}query=${encodeURIComponent(JSON.stringify(query))}`;
    return this.fetch(route + param, { headers });
  }

  // /v1/load until it is no `Continue wait`.
  async load(query, params = '') {
    for (let i = 0; i < 2000; i++) {
      const answer = await this.post(`/cubejs-api/v1/load${params}`, { query });
      if (answer.body?.error !== 'Continue wait') return answer;
    }
    throw new Error('waited too often');
  }

  async result(query, params) {
    const answer = await this.load(query, params);
    assert.equal(answer.status, 200, answer.text);
    return answer.body;
  }

  async rows(query, params) {
    return (await this.result(query, params)).data;
  }

  // Ids of what served a result.
  static served(result) {
    return Object.values(result.usedPreAggregations ?? {}).map((used) => used.preAggregationId);
  }

  async explain(query, params = '') {
    const answer = await this.post(`/v1/explain${params}`, { query });
    assert.equal(answer.status, 200, answer.text);
    return answer.body;
  }

  granary(args, options = {}) {
    return granary([...args, '-c', path.join(this.folder, 'granary.yml')], { cwd: this.folder, ...this.options, ...options });
  }

  // It answers, whatever was done to it before.
  async assertAlive(query) {
    const health = await this.fetch('/livez');
    assert.equal(health.status, 200);
    assert.deepEqual(health.body, { health: 'HEALTH' });
    if (query) assert.equal((await this.load(query)).status, 200);
  }
}

// A folder and a server in it, for one test.
export async function serve(t, files, options = {}) {
  const server = new Server(undefined, options);
  t.after(() => server.close());
  await server.open(files);
  return server;
}

// The same for the tests of a `describe`.
export function shared(files, options = {}) {
  const server = new Server(undefined, options);
  before(() => server.open(files));
  after(() => server.close());
  return server;
}

// A folder for commands that need no server.
export function workspace(t, files) {
  const folder = makeFolder(files);
  t.after(() => removeFolder(folder));
  return { folder, granary: (args, options = {}) => granary([...args, '-c', path.join(folder, 'granary.yml')], { cwd: folder, ...options }) };
}

// ---- tokens -------------------------------------------------------------------------------------------------------

const base64url = (value) => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)).toString('base64url');

export function jwt(payload, secret, { header = {}, digest = 'sha256' } = {}) {
  const text = `${base64url({ alg: 'HS256', typ: 'JWT', ...header })}.${base64url(payload)}`;
  return `${text}.${secret === null ? '' : createHmac(digest, secret).update(text).digest('base64url')}`;
}

// ---- slow work ----------------------------------------------------------------------------------------------------

// A cube whose rows are made by the engine, `rows` of them, each costing a hash: work of any length without a large file.
export const slowSql = (rows) => `SELECT i AS id, i % 100 AS k, TIMESTAMP '2024-01-01' + INTERVAL (i % 90) DAY AS at, md5(i::VARCHAR) AS h FROM range(${rows}) AS r(i)`;

export const slowCube = (name, rows, rest = '') => `cubes:
  - name: ${name}
    sql: "${slowSql(rows)}"
    measures:
      - {name: count, type: count}
      - {name: longest, type: max, sql: "md5({CUBE}.h || 'x')"}
    dimensions:
      - {name: id, sql: id, type: number, primary_key: true}
      - {name: k, sql: k, type: number}
      - {name: at, sql: at, type: time}
${rest}`;
