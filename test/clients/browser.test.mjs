// A real browser: pages, streams, uploads and WebSockets of Chromium through TLS and HTTP/2.

import assert from 'node:assert/strict';
import { createHash, X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';

import { chromium } from 'playwright-core';

import { canStart, startBackend, startPortico } from './portico.mjs';
import { assertBackendNoticed, recordsOf, servedFor, uniqueModel, url } from './support.mjs';

const executablePath = process.env.PORTICO_CHROMIUM ?? '/usr/bin/chromium';
const skip = !existsSync(executablePath) ? `there is no ${executablePath} (Debian package chromium)` : false;
if (skip) console.log(`skipped: the browser, because ${skip}`);

/** What Chromium takes for a certificate that it was told to trust. */
function publicKeyHash() {
  const pem = readFileSync(join(process.env.PORTICO_CERTIFICATES, 'front.pem'));
  const key = new X509Certificate(pem).publicKey.export({ type: 'spki', format: 'der' });
  return createHash('sha256').update(key).digest('base64');
}

let browser;
before(async () => {
  if (skip) return;
  browser = await chromium.launch({
    executablePath,
    // The process that is told to end ends, and the browser with it: its end of their pipe is gone.
    handleSIGTERM: false,
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync',
      `--ignore-certificate-errors-spki-list=${publicKeyHash()}`,
    ],
  });
});
after(() => browser?.close());

/** A test with a page of its own, in a profile of its own: nothing is cached, and connections are new. */
const browserTest = (name, run) => test(`chromium: ${name}`, { skip, timeout: 60_000 }, async (t) => {
  const context = await browser.newContext();
  t.after(() => context.close());
  await run(await context.newPage(), t);
});

/** The panel, and in the page a reader of event streams: `open` asks a model, `next` has the next text. */
async function openPanel(page, base = url) {
  await page.goto(`${base}/management.html`);
  await page.evaluate(() => {
    window.streams = {};
    window.open = async (model) => {
      const controller = new AbortController();
      const response = await fetch('/v1/chat/completions', {
        method: 'POST',
        signal: controller.signal,
        headers: { 'content-type': 'application/json', authorization: 'Bearer sk-test-browser-0001' },
        body: JSON.stringify({ model, stream: true, messages: [{ role: 'user', content: 'Name a tree.' }] }),
      });
      const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
      window.streams[model] = { controller, reader, rest: '' };
      return response.status;
    };
    window.next = async (model) => {
      const stream = window.streams[model];
      while (true) {
        const end = stream.rest.indexOf('\n\n');
        if (end < 0) {
          const { done, value } = await stream.reader.read();
          if (done) return null;
          stream.rest += value;
          continue;
        }
        const event = stream.rest.slice(0, end);
        stream.rest = stream.rest.slice(end + 2);
        if (event === 'data: [DONE]') return '[DONE]';
        const text = event.startsWith('data: {') && JSON.parse(event.slice(6)).choices[0]?.delta.content;
        if (text) return text;
      }
    };
  });
}

const ask = (page, model) => page.evaluate((m) => window.open(m), model);
const next = (page, model) => page.evaluate((m) => window.next(m), model);

/** What the browser's network says of itself, kept from now on: events of its debugging protocol. */
async function watchNetwork(page) {
  const debug = await page.context().newCDPSession(page);
  await debug.send('Network.enable');
  const seen = { responses: [], handshakes: [] };
  debug.on('Network.responseReceived', ({ response }) => seen.responses.push(response));
  debug.on('Network.webSocketHandshakeResponseReceived', ({ response }) => seen.handshakes.push(response));
  return seen;
}

browserTest('the panel loads over HTTP/2 from /, and so does what its page asks for', async (page) => {
  const response = await page.goto(url);
  assert.equal(response.status(), 200);
  assert.equal(page.url(), `${url}/management.html`);
  assert.equal(await response.headerValue('x-portico-sample'), 'cpamp');
  await page.waitForFunction(() => document.getElementById('health').textContent.includes('"ok":true'));
  const protocols = await page.evaluate(() => ['navigation', 'resource'].map((type) =>
    performance.getEntriesByType(type).filter((entry) => !entry.name.endsWith('/favicon.ico'))
      .map((entry) => entry.nextHopProtocol)));
  assert.deepEqual(protocols, [['h2'], ['h2']]);
});

browserTest('the plain listener leads to the same page under TLS', async (page, t) => {
  const plain = process.env.PORTICO_REDIRECT_URL;
  if (!plain) return t.skip('nobody said where the plain listener is');
  await page.goto(`${plain}/?from=plain`);
  assert.equal(page.url(), `${url}/management.html`);
  assert.equal(await page.evaluate(() => performance.getEntriesByType('navigation')[0].nextHopProtocol), 'h2');
});

browserTest('a refused target is a page that says why', async (page) => {
  const response = await page.goto(`${url}/v0/management/..%2fx`);
  assert.equal(response.status(), 400);
  assert.match(await response.headerValue('content-type'), /^text\/html/);
  assert.match(await page.locator('body').innerText(), /ambiguous_path/);
});

browserTest('a chat stream arrives event by event, in order and whole', async (page) => {
  await openPanel(page);
  const model = uniqueModel('long-100+delay-20');
  assert.equal(await ask(page, model), 200);
  const pieces = [await next(page, model)];
  // The backend counts a request at its end: the first event is here, and the last was not even sent.
  assert.equal(await servedFor(model), undefined);
  while (pieces.at(-1) !== '[DONE]') {
    pieces.push(await next(page, model));
    assert.notEqual(pieces.at(-1), null, 'the stream ends before its last event');
  }
  assert.equal(await next(page, model), null);
  assert.equal(pieces.length, 101);
  const whole = uniqueModel('long-100+fast');
  const { choices } = await page.evaluate(async (m) => (await fetch('/v1/chat/completions', {
    method: 'POST', body: JSON.stringify({ model: m, messages: [] }),
  })).json(), whole);
  assert.equal(pieces.slice(0, -1).join(''), choices[0].message.content);
  assert.equal((await recordsOf(model))[0].ended, 'complete');
});

browserTest('an aborted fetch ends the request at the backend', async (page) => {
  await openPanel(page);
  const model = uniqueModel('stall-5');
  await ask(page, model);
  // Nothing follows these five: none may wait for more to come.
  for (let i = 0; i < 5; ++i) assert.ok(await next(page, model));
  const abortedAt = await page.evaluate((m) => {
    window.streams[m].controller.abort();
    return Date.now();
  }, model);
  await assertBackendNoticed(model, abortedAt);
  assert.equal((await recordsOf(model))[0].ended, 'client_gone');
});

browserTest('a closed tab ends its stream at the backend', async (page) => {
  await openPanel(page);
  const model = uniqueModel('stall');
  await ask(page, model);
  assert.ok(await next(page, model));
  const closedAt = Date.now();
  await page.close();
  await assertBackendNoticed(model, closedAt);
});

browserTest('50 streams at once share one connection, and their end is told stream by stream', async (page) => {
  await openPanel(page);
  const seen = await watchNetwork(page);
  const models = Array.from({ length: 50 }, () => uniqueModel('stall'));
  await Promise.all(models.map((model) => ask(page, model)));
  for (const model of models) assert.ok(await next(page, model));
  const chats = seen.responses.filter((response) => response.url.endsWith('/v1/chat/completions'));
  assert.equal(chats.length, models.length);
  assert.deepEqual([...new Set(chats.map((response) => response.protocol))], ['h2']);
  assert.equal(new Set(chats.map((response) => response.connectionId)).size, 1);
  const abortedAt = await page.evaluate(() => {
    for (const stream of Object.values(window.streams)) stream.controller.abort();
    return Date.now();
  });
  for (const model of models) await assertBackendNoticed(model, abortedAt);
});

browserTest('16 MiB go up and come down unchanged', async (page) => {
  await openPanel(page);
  const size = 16 << 20;
  const [sink, digest, good] = await page.evaluate(async (bytes) => {
    const sent = new Uint8Array(bytes);
    for (let at = 0; at < bytes; at += 65536) crypto.getRandomValues(sent.subarray(at, at + 65536));
    const up = await (await fetch('/v1/sample/sink', { method: 'POST', body: new Blob([sent]) })).json();
    const sha256 = new Uint8Array(await crypto.subtle.digest('SHA-256', sent));
    const down = new Uint8Array(await (await fetch(`/v1/sample/bytes?size=${bytes}&chunked=1`)).arrayBuffer());
    const hex = [...sha256].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    return [up, hex, down.length === bytes && down.every((byte, i) => byte === i % 251)];
  }, size);
  assert.deepEqual(sink, { bytes: size, sha256: digest });
  assert.ok(good);
});

browserTest('a stream that the backend cuts never looks complete', async (page) => {
  await openPanel(page);
  const model = uniqueModel('fast+cut-mid-stream');
  await ask(page, model);
  await assert.rejects(async () => {
    while ((await next(page, model)) !== null);
  }, /network error|ERR_HTTP2/);
});

browserTest('a WebSocket is one stream of the HTTP/2 connection, and frames pass both ways', async (page) => {
  await openPanel(page);
  const seen = await watchNetwork(page);
  const closed = await page.evaluate(async (address) => {
    const socket = new WebSocket(address);
    socket.binaryType = 'arraybuffer';
    await new Promise((resolve, reject) => {
      socket.onopen = resolve;
      socket.onerror = () => reject(new Error('the handshake failed'));
    });
    const echoed = (message) => new Promise((resolve, reject) => {
      socket.onmessage = ({ data }) => resolve(data);
      socket.onclose = ({ code }) => reject(new Error(`closed with ${code}`));
      socket.send(message);
    });
    for (const size of [0, 1, 125, 126, 65535, 65536, 200000]) {
      const text = 'ä'.repeat(size / 2);
      if ((await echoed(text)) !== text) throw new Error(`a text of ${size} bytes came back changed`);
      const sent = Uint8Array.from({ length: size }, (_, i) => i % 251);
      const got = new Uint8Array(await echoed(sent));
      if (got.length !== size || !got.every((byte, i) => byte === sent[i])) throw new Error(`${size} bytes changed`);
    }
    return new Promise((resolve) => {
      socket.onclose = ({ code, wasClean }) => resolve({ code, wasClean });
      socket.close(1000, 'done');
    });
  }, `${url.replace(/^http/, 'ws')}/v1/sample/ws`);
  assert.deepEqual(closed, { code: 1000, wasClean: true });
  // RFC 8441: the answer to an extended CONNECT is 200. Over HTTP/1.1 it would be 101.
  assert.deepEqual(seen.handshakes.map((response) => response.status), [200]);
});

browserTest('a WebSocket that is closed in a turn ends it at the backend', async (page) => {
  await openPanel(page);
  const model = uniqueModel('stall');
  const leftAt = await page.evaluate(async ([address, m]) => {
    const socket = new WebSocket(address);
    await new Promise((resolve, reject) => {
      socket.onerror = () => reject(new Error('the handshake failed'));
      socket.onopen = () => socket.send(JSON.stringify({ type: 'response.create', model: m }));
      socket.onmessage = resolve;
    });
    socket.close();
    return Date.now();
  }, [`${url.replace(/^http/, 'ws')}/v1/responses?key=sk-test-browser-0001`, model]);
  await assertBackendNoticed(model, leftAt);
});

browserTest('an EventSource goes on after a break where it was', async (page, t) => {
  if (!canStart) return t.skip('nobody said where Portico is');
  const asked = [];
  let breakOff;
  const backend = await startBackend(t, (request, response) => {
    if (request.url !== '/v1/events') return response.writeHead(200, { 'content-type': 'text/html' }).end('<p>a page');
    asked.push(request.headers['last-event-id']);
    breakOff = () => request.socket.destroy();
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`retry: 10\nid: ${asked.length}\ndata: event ${asked.length}\n\n`);
  });
  const portico = await startPortico(t, backend);
  // Not before the page has the event: with a reset Chromium throws away what it has not yet handed on.
  await page.exposeFunction('breakOff', () => breakOff());
  await page.goto(`${portico.url}/v1/page`);
  const data = await page.evaluate(() => new Promise((resolve) => {
    const got = [];
    const source = new EventSource('/v1/events');
    source.onmessage = (event) => {
      got.push(event.data);
      if (got.length < 3) return window.breakOff();
      source.close();
      resolve(got);
    };
  }));
  assert.deepEqual(data, ['event 1', 'event 2', 'event 3']);
  assert.deepEqual(asked, [undefined, '1', '2']);
});
