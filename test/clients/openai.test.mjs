import assert from 'node:assert/strict';
import { test } from 'node:test';

import OpenAI from 'openai';

import { assertBackendNoticed, servedFor, throughPortico, uniqueModel, url } from './support.mjs';

const makeClient = (options = {}) =>
  new OpenAI({ apiKey: 'sk-test-openai-0001', baseURL: `${url}/v1`, maxRetries: 0, ...options });
const client = makeClient();
const messages = [{ role: 'user', content: 'Name a tree — naïve 🌲?' }];

test('openai: a chat completion arrives whole, with usage that adds up', async () => {
  const model = uniqueModel('fast');
  const answer = await client.chat.completions.create({ model, messages });
  assert.match(answer.choices[0].message.content, /^This is the sample .*🌲/);
  assert.equal(answer.choices[0].finish_reason, 'stop');
  const { prompt_tokens, completion_tokens, total_tokens } = answer.usage;
  assert.equal(prompt_tokens + completion_tokens, total_tokens);
  assert.equal((await servedFor(model)).tokens.total, total_tokens);
});

test('openai: a chat stream arrives event by event, with its usage at the end', async () => {
  const stream = await client.chat.completions.create({
    model: 'long-20+delay-20', messages, stream: true, stream_options: { include_usage: true },
  });
  let text = '';
  let pieces = 0;
  let usage = null;
  let firstAt = 0;
  for await (const chunk of stream) {
    const piece = chunk.choices[0]?.delta.content;
    if (piece) {
      firstAt ||= performance.now();
      text += piece;
      ++pieces;
    }
    usage = chunk.usage ?? usage;
  }
  assert.equal(pieces, 20);
  assert.match(text, /^This is the sample/);
  assert.equal(usage.total_tokens, usage.prompt_tokens + usage.completion_tokens);
  // 19 pauses of 20 ms lie behind the first event: a buffered stream would show it together with the last.
  assert.ok(performance.now() - firstAt > 200, 'the events came in one lump');
});

test('openai: a chat stream without include_usage has none', async () => {
  const stream = await client.chat.completions.create({ model: 'fast', messages, stream: true });
  for await (const chunk of stream) assert.equal(chunk.usage, undefined);
});

test('openai: an aborted chat stream ends the request at the backend', async () => {
  const model = uniqueModel('long-100000+delay-10');
  const stream = await client.chat.completions.create({ model, messages, stream: true });
  let pieces = 0;
  for await (const chunk of stream) {
    if (chunk.choices[0]?.delta.content && ++pieces === 3) break;
  }
  const abortedAt = Date.now();
  stream.controller.abort();
  await assertBackendNoticed(model, abortedAt);
});

test('openai: an abort while nothing comes ends the request at the backend', async () => {
  const model = uniqueModel('stall');
  const stream = await client.chat.completions.create({ model, messages, stream: true });
  for await (const chunk of stream) if (chunk.choices[0]?.delta.content) break;
  const abortedAt = Date.now();
  stream.controller.abort();
  await assertBackendNoticed(model, abortedAt);
});

test('openai: an abort before the head ends the request at the backend', async () => {
  const model = uniqueModel('slow-first-byte');
  const controller = new AbortController();
  const pending = client.chat.completions.create({ model, messages }, { signal: controller.signal });
  setTimeout(() => controller.abort(), 300);
  await assert.rejects(pending, OpenAI.APIUserAbortError);
  await assertBackendNoticed(model, Date.now());
});

for (const [status, type, code] of [
  [400, OpenAI.BadRequestError, 'model_not_found'],
  [401, OpenAI.AuthenticationError, 'invalid_api_key'],
  [403, OpenAI.PermissionDeniedError, 'insufficient_quota'],
  [404, OpenAI.NotFoundError, 'model_not_found'],
  [429, OpenAI.RateLimitError, 'model_cooldown'],
  [500, OpenAI.InternalServerError, 'internal_server_error'],
  [503, OpenAI.InternalServerError, 'internal_server_error'],
]) {
  test(`openai: a ${status} arrives as the library's own error class with its code`, async () => {
    const pending = client.chat.completions.create({ model: `fail-${status}`, messages, stream: true });
    await assert.rejects(pending, (error) => {
      assert.ok(error instanceof type);
      assert.equal(error.status, status);
      assert.equal(error.code, code);
      assert.ok(error.message.length > 10);
      return true;
    });
  });
}

test('openai: a 429 keeps the reset time', async () => {
  await assert.rejects(client.chat.completions.create({ model: 'fail-429', messages }), (error) => {
    assert.equal(error.error.reset_seconds, 1742);
    return true;
  });
});

test('openai: a wrong key is an authentication error', async () => {
  const stranger = makeClient({ apiKey: 'wrong-key' });
  await assert.rejects(stranger.chat.completions.create({ model: 'fast', messages }), (error) => {
    assert.ok(error instanceof OpenAI.AuthenticationError);
    assert.match(error.message, /Invalid API key/);
    return true;
  });
});

test('openai: an error inside the stream is thrown', async () => {
  const stream = await client.chat.completions.create({ model: 'fast+fail-mid-stream', messages, stream: true });
  await assert.rejects(async () => {
    for await (const chunk of stream) assert.ok(chunk);
  }, /stream closed before/);
});

for (const how of ['cut', 'reset']) {
  test(`openai: a stream that the backend ${how}s never looks complete`, async () => {
    const stream = await client.chat.completions.create({ model: `fast+${how}-mid-stream`, messages, stream: true });
    await assert.rejects(async () => {
      for await (const chunk of stream) assert.ok(chunk);
    });
  });
}

test('openai: keep-alive blanks before the JSON do no harm', async () => {
  const answer = await client.chat.completions.create({ model: 'blanks+fast', messages });
  assert.match(answer.choices[0].message.content, /^This is/);
});

test('openai: a response object arrives whole', async () => {
  const answer = await client.responses.create({ model: 'fast', input: 'Name a tree.' });
  assert.equal(answer.status, 'completed');
  assert.match(answer.output_text, /^This is the sample/);
  assert.equal(answer.usage.total_tokens, answer.usage.input_tokens + answer.usage.output_tokens);
});

test('openai: a response stream ends with response.completed and its whole text', async () => {
  const stream = await client.responses.create({ model: 'long-20+delay-5', input: 'Name a tree.', stream: true });
  let text = '';
  let last;
  for await (const event of stream) {
    if (event.type === 'response.output_text.delta') text += event.delta;
    last = event;
  }
  assert.equal(last.type, 'response.completed');
  assert.equal(last.response.output[0].content[0].text, text);
  assert.equal(last.response.usage.output_tokens, 25);
});

test('openai: the model list arrives', async () => {
  const ids = [];
  for await (const model of client.models.list()) ids.push(model.id);
  assert.ok(ids.includes('gpt-5.4'));
});

test('openai: an image arrives with its usage', async () => {
  const image = await client.images.generate({ model: 'gpt-image-2', prompt: 'a tree' });
  assert.ok(image.data[0].b64_json.startsWith('iVBOR'));
  assert.equal(image.usage.total_tokens, image.usage.input_tokens + image.usage.output_tokens);
});

test("openai: an error that Portico itself makes arrives as the library's error", async (t) => {
  if (!(await throughPortico())) return t.skip('no Portico in front of the sample');
  // By their number: a head of more than 64 KiB does not leave Node's HTTP/2 client.
  const headers = Object.fromEntries(Array.from({ length: 250 }, (_, i) => [`x-many-${i}`, 'a']));
  const pending = client.chat.completions.create({ model: 'fast', messages }, { headers });
  await assert.rejects(pending, (error) => {
    assert.ok(error instanceof OpenAI.APIError);
    assert.equal(error.status, 431);
    return true;
  });
});
