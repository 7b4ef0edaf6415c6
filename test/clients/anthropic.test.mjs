import assert from 'node:assert/strict';
import { test } from 'node:test';

import Anthropic from '@anthropic-ai/sdk';

import { assertBackendNoticed, servedFor, uniqueModel, url } from './support.mjs';

const makeClient = (options = {}) =>
  new Anthropic({ apiKey: 'sk-ant-test-0001', baseURL: url, maxRetries: 0, ...options });
const client = makeClient();
const ask = (model) => ({ model, max_tokens: 1024, messages: [{ role: 'user', content: 'Name a tree.' }] });

test('anthropic: a message arrives whole, with its usage', async () => {
  const model = uniqueModel('fast');
  const message = await client.messages.create(ask(model));
  assert.equal(message.stop_reason, 'end_turn');
  assert.match(message.content[0].text, /^This is the sample/);
  const { tokens } = await servedFor(model);
  assert.equal(message.usage.input_tokens, tokens.input);
  assert.equal(message.usage.cache_read_input_tokens, tokens.cache_read);
  assert.equal(message.usage.cache_creation_input_tokens, tokens.cache_creation);
  assert.equal(message.usage.output_tokens, tokens.output + tokens.reasoning);
});

test('anthropic: a streamed message adds up to the final one', async () => {
  let text = '';
  const stream = client.messages.stream(ask('long-20+delay-5')).on('text', (piece) => { text += piece; });
  const message = await stream.finalMessage();
  assert.equal(message.content[0].text, text);
  assert.equal(message.stop_reason, 'end_turn');
  assert.equal(message.usage.output_tokens, 25);
});

test('anthropic: an aborted stream ends the request at the backend', async () => {
  const model = uniqueModel('long-100000+delay-10');
  const stream = await client.messages.create({ ...ask(model), stream: true });
  for await (const event of stream) if (event.type === 'content_block_delta') break;
  const abortedAt = Date.now();
  stream.controller.abort();
  await assertBackendNoticed(model, abortedAt);
});

for (const [status, type, name] of [
  [400, Anthropic.BadRequestError, 'invalid_request_error'],
  [401, Anthropic.AuthenticationError, 'authentication_error'],
  [404, Anthropic.NotFoundError, 'not_found_error'],
  [429, Anthropic.RateLimitError, 'rate_limit_error'],
  [529, Anthropic.InternalServerError, 'overloaded_error'],
]) {
  test(`anthropic: a ${status} arrives as the library's own error class with its type`, async () => {
    await assert.rejects(client.messages.create(ask(`fail-${status}`)), (error) => {
      assert.ok(error instanceof type);
      assert.equal(error.status, status);
      assert.equal(error.error.error.type, name);
      assert.ok(error.error.error.message.length > 5);
      return true;
    });
  });
}

test('anthropic: a wrong key is an authentication error', async () => {
  await assert.rejects(makeClient({ apiKey: 'wrong-key' }).messages.create(ask('fast')), Anthropic.AuthenticationError);
});

test('anthropic: an error inside the stream is thrown', async () => {
  const stream = await client.messages.create({ ...ask('fast+fail-mid-stream'), stream: true });
  await assert.rejects(async () => {
    for await (const event of stream) assert.ok(event);
  }, /Overloaded/);
});

test('anthropic: a stream that the backend cuts never looks complete', async () => {
  await assert.rejects(client.messages.stream(ask('fast+cut-mid-stream')).finalMessage());
});

test('anthropic: tokens are counted', async () => {
  const { model, messages } = ask('fast');
  assert.ok((await client.messages.countTokens({ model, messages })).input_tokens > 0);
});

test('anthropic: the model list comes in its own shape', async () => {
  const page = await client.models.list();
  assert.ok(page.data.some((model) => model.id === 'claude-sonnet-4-6' && model.type === 'model'));
});
