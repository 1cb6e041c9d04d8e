// What tests of events need: a receiver of webhooks on a free loopback port, and a reader of server-sent events.
import { createHmac, timingSafeEqual } from 'node:crypto';
import http from 'node:http';
import { after } from 'node:test';
import { until } from './helpers.mjs';

const open = new Set();
after(async () => {
  for (const receiver of open) await receiver.close();
});

// `answer(call, response)` may answer late, or with another status; without it all are taken.
export class Receiver {
  constructor(answer) {
    this.answer = answer;
    this.calls = [];
  }

  async listen(port = 0) {
    this.server = http.createServer((request, response) => {
      const chunks = [];
      request.on('data', (chunk) => chunks.push(chunk));
      request.on('end', () => {
        const text = Buffer.concat(chunks).toString();
        const call = { method: request.method, url: request.url, headers: request.headers, text, at: Date.now(), event: JSON.parse(text) };
        this.calls.push(call);
        if (this.answer) this.answer(call, response, this.calls.length);
        else response.writeHead(204).end();
      });
    });
    await new Promise((resolve, reject) => this.server.on('error', reject).listen(port, '127.0.0.1', resolve));
    this.port = this.server.address().port;
    open.add(this);
    return this;
  }

  get url() {
    return `http://127.0.0.1:${this.port}`;
  }

  kinds() {
    return this.calls.map((call) => call.event.event);
  }

  has(n, ms) {
    return until(`${n} deliveries`, () => this.calls.length >= n && this.calls, ms);
  }

  async close() {
    open.delete(this);
    this.server?.closeAllConnections();
    await new Promise((resolve) => (this.server ? this.server.close(resolve) : resolve()));
    this.server = undefined;
  }
}

// A port that nobody listens on.
export async function freePort() {
  const receiver = await new Receiver().listen();
  const { port } = receiver;
  await receiver.close();
  return port;
}

export function isSigned(call, secret) {
  const want = Buffer.from(`sha256=${createHmac('sha256', secret).update(call.text).digest('hex')}`);
  const got = Buffer.from(call.headers['x-granary-signature'] ?? '');
  return want.length === got.length && timingSafeEqual(want, got);
}

// Events of /ops/events as they come: [{id, event, data}].
export class Stream {
  constructor(url, headers = {}) {
    this.url = url;
    this.headers = headers;
    this.events = [];
    this.comments = [];
    this.stop = new AbortController();
  }

  async open() {
    this.response = await fetch(this.url, { headers: this.headers, signal: this.stop.signal });
    this.ended = this.read().catch(() => {});
    return this;
  }

  async read() {
    const decoder = new TextDecoder();
    let rest = '';
    for await (const chunk of this.response.body) {
      rest += decoder.decode(chunk, { stream: true });
      for (let at; (at = rest.indexOf('\n\n')) >= 0; rest = rest.slice(at + 2)) this.take(rest.slice(0, at));
    }
  }

  take(block) {
    const fields = {};
    for (const line of block.split('\n')) {
      const at = line.indexOf(':');
      if (at === 0) this.comments.push(line);
      else fields[line.slice(0, at)] = line.slice(at + 1).trim();
    }
    if (fields.data) this.events.push({ ...fields, data: JSON.parse(fields.data) });
  }

  has(what, ms) {
    return until(`events ${what}`, () => this.events.filter((e) => e.event === what).at(-1), ms);
  }

  async close() {
    this.stop.abort();
    await this.ended;
  }
}
