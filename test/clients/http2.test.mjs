// Node's HTTP/2 client, which shows every frame's meaning: streams, trailers, resets, the end of a connection.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import http2 from 'node:http2';
import { test } from 'node:test';

import { canStart, startBackend, startPortico } from './portico.mjs';
import { assertBackendNoticed, recordsOf, servedFor, uniqueModel, url } from './support.mjs';

const { NGHTTP2_CANCEL, NGHTTP2_INTERNAL_ERROR, NGHTTP2_NO_ERROR } = http2.constants;
const key = { authorization: 'Bearer sk-test-h2-0001' };

/** A connection that ends with the test, and whose faults fail it. */
async function connect(t, base = url) {
  const session = http2.connect(base);
  session.on('error', (error) => t.diagnostic(`connection: ${error.message}`));
  t.after(() => session.destroy());
  await Promise.all([once(session, 'connect'), once(session, 'remoteSettings')]);
  assert.equal(session.alpnProtocol, 'h2');
  return session;
}

/** The head and the body of the answer to a request. */
async function answerOf(stream) {
  const [headers] = await once(stream, 'response');
  const pieces = [];
  for await (const piece of stream) pieces.push(piece);
  return { headers, body: Buffer.concat(pieces) };
}

function ask(session, path, body) {
  const stream = session.request({ ...key, ':method': body === undefined ? 'GET' : 'POST', ':path': path });
  stream.end(body);
  return stream;
}

const askModel = (session, model) =>
  ask(session, '/v1/chat/completions', JSON.stringify({ model, stream: true, messages: [] }));

/** The pieces of text in a chat stream, as they come. */
async function* textOf(stream) {
  let rest = '';
  stream.setEncoding('utf8');
  for await (const piece of stream) {
    const events = (rest + piece).split('\n\n');
    rest = events.pop();
    for (const event of events) {
      if (!event.startsWith('data: {')) continue;
      const text = JSON.parse(event.slice('data: '.length)).choices[0]?.delta.content;
      if (text) yield text;
    }
  }
}

test('http2: a GET has its answer, and the answer no field of a connection', async (t) => {
  const session = await connect(t);
  const { headers, body } = await answerOf(ask(session, '/v1/models'));
  assert.equal(headers[':status'], 200);
  assert.equal(headers['x-portico-sample'], 'cpa');
  assert.ok(JSON.parse(body).data.some((model) => model.id === 'gpt-5.4'));
  for (const name of ['connection', 'keep-alive', 'transfer-encoding']) assert.equal(headers[name], undefined);
});

test('http2: 8 MiB go up and come down unchanged', async (t) => {
  const session = await connect(t);
  const sent = randomBytes(8 << 20);
  const sink = await answerOf(ask(session, '/v1/sample/sink', sent));
  assert.deepEqual(JSON.parse(sink.body), {
    bytes: sent.length, sha256: createHash('sha256').update(sent).digest('hex'),
  });
  const { body } = await answerOf(ask(session, `/v1/sample/bytes?size=${sent.length}`));
  assert.equal(body.length, sent.length);
  assert.ok(body.every((byte, i) => byte === i % 251));
});

test('http2: events arrive while the backend still has more to say', async (t) => {
  const session = await connect(t);
  const model = uniqueModel('long-100+delay-20');
  let pieces = 0;
  for await (const text of textOf(askModel(session, model))) {
    assert.ok(text);
    // The backend counts a request at its end, and this one has not come to it.
    if (++pieces === 1) assert.equal(await servedFor(model), undefined);
  }
  assert.equal(pieces, 100);
  assert.equal((await servedFor(model)).requests, 1);
});

test('http2: a cancelled stream ends its request at the backend and leaves the others alone', async (t) => {
  const session = await connect(t);
  const model = uniqueModel('stall-3');
  const other = askModel(session, 'long-50+delay-20');
  const stream = askModel(session, model);
  let pieces = 0;
  for await (const text of textOf(stream)) {
    assert.ok(text);
    if (++pieces === 3) break;
  }
  const abortedAt = Date.now();
  stream.close(NGHTTP2_CANCEL);
  await assertBackendNoticed(model, abortedAt);
  assert.equal((await recordsOf(model))[0].ended, 'client_gone');
  let rest = 0;
  for await (const text of textOf(other)) rest += text ? 1 : 0;
  assert.equal(rest, 50);
});

test('http2: 1,000 requests at once on one connection have their own answers', async (t) => {
  const session = await connect(t);
  assert.equal(session.remoteSettings.maxConcurrentStreams, 128);
  const answers = await Promise.all(Array.from({ length: 1000 }, (_, i) =>
    answerOf(ask(session, `/v1/sample/echo/${i}`, 'x'.repeat(i)))));
  for (const [i, { headers, body }] of answers.entries()) {
    assert.equal(headers[':status'], 200);
    const { target, body_bytes } = JSON.parse(body);
    assert.deepEqual([target, body_bytes], [`/v1/sample/echo/${i}`, i]);
  }
});

test("http2: an answer that Portico itself gives has the API's shape", async (t) => {
  const session = await connect(t);
  const { headers, body } = await answerOf(ask(session, '/v1/models%00'));
  assert.equal(headers[':status'], 400);
  assert.equal(JSON.parse(body).error.code, 'bad_request');
});

test('http2: trailers pass both ways, and an early hint before the answer', async (t) => {
  if (!canStart) return t.skip('nobody said where Portico is');
  const backend = await startBackend(t, async (request, response) => {
    let body = '';
    for await (const piece of request) body += piece;
    response.writeEarlyHints({ link: '</style.css>; rel=preload' });
    response.writeHead(200, { trailer: 'x-sum' });
    response.write(body);
    response.addTrailers({ 'x-sum': request.trailers['x-sent'] ?? 'none' });
    response.end();
  });
  const session = await connect(t, (await startPortico(t, backend)).url);
  const stream = session.request(
    { ':method': 'POST', ':path': '/v1/files', te: 'trailers', trailer: 'x-sent' }, { waitForTrailers: true });
  stream.on('wantTrailers', () => stream.sendTrailers({ 'x-sent': '42' }));
  const interim = once(stream, 'headers');
  const trailers = once(stream, 'trailers');
  stream.end('hello');
  const { body } = await answerOf(stream);
  assert.equal(body.toString(), 'hello');
  assert.equal((await interim)[0][':status'], 103);
  assert.equal((await trailers)[0]['x-sum'], '42');
});

test('http2: an answer that the backend breaks off ends in a reset', async (t) => {
  if (!canStart) return t.skip('nobody said where Portico is');
  const backend = await startBackend(t, (request, response) => {
    response.write('a part', () => request.socket.destroy());
  });
  const session = await connect(t, (await startPortico(t, backend)).url);
  const stream = ask(session, '/v1/files');
  await assert.rejects(answerOf(stream), { code: 'ERR_HTTP2_STREAM_ERROR' });
  assert.equal(stream.rstCode, NGHTTP2_INTERNAL_ERROR);
});

test('http2: a drain lets the running stream finish behind a GOAWAY', async (t) => {
  if (!canStart) return t.skip('nobody said where Portico is');
  let held;
  const backend = await startBackend(t, (request, response) => {
    held = response;
    response.write('begun');
  });
  const portico = await startPortico(t, backend);
  const session = await connect(t, portico.url);
  const stream = ask(session, '/v1/files');
  const [first] = await once(stream, 'data');
  assert.equal(first.toString(), 'begun');
  const goaway = once(session, 'goaway');
  const closed = once(session, 'close');
  portico.process.kill('SIGTERM');
  assert.equal((await goaway)[0], NGHTTP2_NO_ERROR);
  // Only now does the backend go on.
  const end = once(stream, 'end');
  const last = once(stream, 'data');
  held.end('done');
  assert.equal((await last)[0].toString(), 'done');
  await end;
  assert.equal(stream.rstCode, NGHTTP2_NO_ERROR);
  await closed;
  assert.equal(await portico.ended, 0);
});
