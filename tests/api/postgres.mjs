// A PostgreSQL server for the tests of a file: private, on loopback, ended by its process id. Without PostgreSQL on the
// machine `missing` says so, for node's `skip`.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { repo } from './helpers.mjs';

const script = path.join(repo, 'tests/postgres/private');

export class Postgres {
  constructor() {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'granary-postgres-'));
    const run = spawnSync(script, ['start', this.folder], { encoding: 'utf8' });
    this.missing = run.status === 77 ? 'there is no PostgreSQL on this machine' : false;
    if (run.status !== 0 && !this.missing) throw new Error(run.stderr);
    this.connection = run.stdout.trim();
    const parts = Object.fromEntries(this.connection.split(' ').map((pair) => pair.split('=')));
    this.port = parts.port;
    this.config = `{type: postgres, host: 127.0.0.1, port: ${parts.port}, user: postgres, database: postgres}`;
  }

  // Rows as arrays of texts.
  sql(text) {
    const run = spawnSync('psql', [this.connection, '-X', '-q', '-A', '-t', '-F', '|', '-v', 'ON_ERROR_STOP=1', '-c', text], { encoding: 'utf8' });
    if (run.status !== 0) throw new Error(run.stderr);
    return run.stdout.trim().split('\n').filter(Boolean).map((line) => line.split('|'));
  }

  has(extension) {
    return this.sql(`SELECT 1 FROM pg_available_extensions WHERE name = '${extension}'`).length > 0;
  }

  stop() {
    spawnSync(script, ['stop', this.folder]);
  }

  again() {
    const run = spawnSync(script, ['again', this.folder, this.port], { encoding: 'utf8' });
    if (run.status !== 0) throw new Error(run.stderr);
  }

  close() {
    if (!this.missing) this.stop();
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}
