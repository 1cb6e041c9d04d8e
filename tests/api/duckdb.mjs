// DuckDB itself, without Granary: what tests write database files with, and what hand-written SQL runs on.
// The native binding is the one whose library Granary is linked to; only its plainest calls are used.
import { createRequire } from 'node:module';

const binding = createRequire(new URL('../../package.json', import.meta.url))('@duckdb/node-bindings');

// One VARCHAR of a vector: 16 bytes, a length, then the text itself or the address of it.
function textAt(data, row) {
  const at = row * 16;
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const n = view.getUint32(at, true);
  const bytes = n <= 12 ? data.subarray(at + 4, at + 4 + n) : binding.get_data_from_pointer(data.buffer, data.byteOffset + at + 8, n);
  return Buffer.from(bytes).toString('utf8');
}

export class Database {
  static async open(path = ':memory:', settings = {}) {
    const config = binding.create_config();
    for (const [key, value] of Object.entries(settings)) binding.set_config(config, key, value);
    const self = new Database();
    self.db = await binding.open(path, config);
    self.connection = await binding.connect(self.db);
    return self;
  }

  async run(sql) {
    await binding.query(this.connection, sql);
  }

  // The rows as objects, each value as DuckDB writes it in JSON (BIGINT beyond 2^53 would lose digits; tests stay below).
  async rows(sql) {
    const result = await binding.query(this.connection, `SELECT to_json(t)::VARCHAR AS row FROM (${sql}) t`);
    const rows = [];
    for (;;) {
      const chunk = await binding.fetch_chunk(result);
      const n = chunk ? binding.data_chunk_get_size(chunk) : 0;
      if (!n) return rows;
      const data = binding.vector_get_data(binding.data_chunk_get_vector(chunk, 0), n * 16);
      for (let i = 0; i < n; i++) rows.push(JSON.parse(textAt(data, i)));
    }
  }

  close() {
    binding.disconnect_sync(this.connection);
    binding.close_sync(this.db);
  }
}
