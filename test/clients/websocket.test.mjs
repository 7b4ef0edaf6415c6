import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { test } from 'node:test';

import WebSocket from 'ws';

import { assertBackendNoticed, servedFor, uniqueModel, url } from './support.mjs';

const wsUrl = url.replace(/^http/, 'ws');
const options = { headers: { authorization: 'Bearer sk-test-ws-0001' }, perMessageDeflate: false };

async function open(path) {
  const socket = new WebSocket(wsUrl + path, options);
  await once(socket, 'open');
  return socket;
}

/** Events of one turn, up to and including the one that ends it. */
async function turn(socket, request, last) {
  const events = [];
  const done = new Promise((resolve, reject) => {
    socket.once('close', (code) => reject(new Error(`closed with ${code}`)));
    socket.on('message', function onMessage(data) {
      const event = JSON.parse(data);
      events.push(event);
      if (!last.includes(event.type)) return;
      socket.off('message', onMessage);
      socket.removeAllListeners('close');
      resolve();
    });
  });
  socket.send(JSON.stringify(request));
  await done;
  return events;
}

test('ws: 1,000 frames of 0 to 100 KB come back unchanged and in order', { timeout: 120_000 }, async () => {
  const count = 1000;
  const size = (i) => Math.floor((i * 7919) % 102_401);
  const frame = (i) => (i % 2 === 0 ? Buffer.alloc(size(i), i % 251) : 'ä'.repeat(size(i) / 2));
  const digest = (bytes) => createHash('sha256').update(bytes).digest('hex');
  const socket = await open('/v1/sample/ws');
  let received = 0;
  const done = new Promise((resolve, reject) => {
    socket.on('error', reject);
    socket.on('close', (code) => reject(new Error(`closed with ${code} after ${received} frames`)));
    socket.on('message', (data, isBinary) => {
      try {
        const expected = frame(received);
        assert.equal(isBinary, received % 2 === 0, `kind of frame ${received}`);
        assert.equal(digest(data), digest(expected), `content of frame ${received}`);
      } catch (error) {
        reject(error);
        return;
      }
      if (++received === count) resolve();
    });
  });
  for (let i = 0; i < count; ++i) socket.send(frame(i));
  await done;
  socket.removeAllListeners('close');
  socket.close(1000);
  const [code] = await once(socket, 'close');
  assert.equal(code, 1000);
});

test('ws: Responses turns follow one another, with a warm-up that costs nothing', async () => {
  const model = uniqueModel('fast+long-8');
  const socket = await open('/v1/responses');
  const last = ['response.completed', 'error'];
  const warm = await turn(socket, { type: 'response.create', model, generate: false, input: [] }, last);
  assert.match(warm.at(-1).response.id, /^resp_prewarm_/);
  assert.equal(warm.at(-1).response.usage.total_tokens, 0);
  const first = await turn(socket, { type: 'response.create', input: 'a tree' }, last);
  const previous_response_id = first.at(-1).response.id;
  const second = await turn(socket, { type: 'response.create', input: 'another', previous_response_id }, last);
  const total = first.at(-1).response.usage.total_tokens + second.at(-1).response.usage.total_tokens;
  assert.equal((await servedFor(model)).tokens.total, total);
  assert.equal((await servedFor(model)).requests, 2);
  socket.close();
});

test('ws: the handshake echoes x-codex-turn-state', async () => {
  const socket = new WebSocket(`${wsUrl}/backend-api/codex/responses`, {
    ...options, headers: { ...options.headers, 'x-codex-turn-state': 'ts-1' },
  });
  const opened = once(socket, 'open');
  const [response] = await once(socket, 'upgrade');
  assert.equal(response.headers['x-codex-turn-state'], 'ts-1');
  assert.equal(response.headers['x-portico-sample'], 'cpa');
  await opened;
  socket.close();
});

test('ws: a request fault is told in a frame, then the connection ends without a close frame', async () => {
  const socket = await open('/v1/responses');
  const closed = once(socket, 'close');
  const request = { type: 'response.create', model: 'fast', previous_response_id: 'resp_unknown' };
  const message = once(socket, 'message');
  socket.send(JSON.stringify(request));
  const error = JSON.parse((await message)[0]);
  assert.equal(error.status, 409);
  assert.equal(error.error.code, 'previous_response_not_found');
  assert.equal((await closed)[0], 1006);
});

test('ws: any other fault ends the connection without a word', async () => {
  const socket = await open('/v1/responses');
  const closed = once(socket, 'close');
  socket.on('message', () => assert.fail('a frame came'));
  socket.send(JSON.stringify({ type: 'response.create', model: 'fail-503' }));
  assert.equal((await closed)[0], 1006);
});

test('ws: a client that leaves in a turn ends it at the backend', async () => {
  const model = uniqueModel('stall');
  const socket = await open('/v1/responses');
  const message = once(socket, 'message');
  socket.send(JSON.stringify({ type: 'response.create', model }));
  await message;
  const abortedAt = Date.now();
  socket.terminate();
  await assertBackendNoticed(model, abortedAt);
});

test('ws: a realtime session answers response.create with usage', async () => {
  const socket = new WebSocket(`${wsUrl}/v1/realtime?model=fast`, options);
  const [created] = await once(socket, 'message');
  assert.equal(JSON.parse(created).session.model, 'fast');
  const events = await turn(socket, { type: 'response.create' }, ['response.done', 'error']);
  const { usage } = events.at(-1).response;
  assert.equal(usage.total_tokens, usage.input_tokens + usage.output_tokens);
  socket.close();
});

test('ws: a refused upgrade arrives as an ordinary response', async () => {
  const socket = new WebSocket(`${wsUrl}/v1/responses`, { ...options, headers: { authorization: 'Bearer wrong-key' } });
  const [, response] = await once(socket, 'unexpected-response');
  assert.equal(response.statusCode, 401);
  let body = '';
  for await (const piece of response) body += piece;
  assert.deepEqual(JSON.parse(body), { error: 'Invalid API key' });
  socket.on('error', () => {}); // terminate() reports a handshake that never ended
  socket.terminate();
});
