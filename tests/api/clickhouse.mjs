// ClickHouse servers for the tests of a file: private, on loopback, ended by their process ids. Without ClickHouse on the
// machine `missing` says so, for node's `skip`.
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { repo } from './helpers.mjs';

const script = path.join(repo, 'tests/clickhouse/private');

export class ClickHouse {
  constructor(nodes = 1) {
    this.folder = fs.mkdtempSync(path.join(os.tmpdir(), 'granary-clickhouse-'));
    const run = spawnSync(script, ['start', this.folder, String(nodes)], { encoding: 'utf8' });
    this.missing = run.status === 77 ? 'there is no ClickHouse on this machine' : false;
    if (run.status !== 0 && !this.missing) throw new Error(run.stderr);
    this.urls = run.stdout.trim().split('\n');
    const cluster = nodes > 1 ? `, cluster: shards, nodes: [${this.urls.map((url) => `'${url}'`).join(', ')}]` : '';
    this.config = `{type: clickhouse, url: '${this.urls[0]}', user: granary, password: secret${cluster}}`;
  }

  // Rows as arrays of texts, of the first node or another.
  async sql(text, node = 0) {
    const answer = await fetch(`${this.urls[node]}/?user=granary&password=secret&wait_end_of_query=1&join_use_nulls=1&insert_distributed_sync=1&allow_experimental_low_cardinality_type=1`, { method: 'POST', body: text });
    const body = await answer.text();
    if (!answer.ok) throw new Error(body);
    return body.trim().split('\n').filter(Boolean).map((line) => line.split('\t'));
  }

  stop(node = 1) {
    spawnSync(script, ['stop', this.folder, String(node)]);
  }

  again(node = 1) {
    const run = spawnSync(script, ['again', this.folder, String(node)], { encoding: 'utf8' });
    if (run.status !== 0) throw new Error(run.stderr);
  }

  close() {
    if (!this.missing) spawnSync(script, ['stop', this.folder]);
    fs.rmSync(this.folder, { recursive: true, force: true });
  }
}
