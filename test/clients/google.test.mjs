import assert from 'node:assert/strict';
import { test } from 'node:test';

import { ApiError, GoogleGenAI } from '@google/genai';

import { assertBackendNoticed, servedFor, uniqueModel, url } from './support.mjs';

const makeClient = (apiKey = 'AIza-test-google-0001') => new GoogleGenAI({ apiKey, httpOptions: { baseUrl: url } });
const client = makeClient();
const contents = 'Name a tree.';

test('google: a generated answer arrives whole, with usage that adds up', async () => {
  const model = uniqueModel('fast');
  const answer = await client.models.generateContent({ model, contents });
  assert.match(answer.text, /^This is the sample/);
  const { promptTokenCount, candidatesTokenCount, thoughtsTokenCount, totalTokenCount } = answer.usageMetadata;
  assert.equal(promptTokenCount + candidatesTokenCount + thoughtsTokenCount, totalTokenCount);
  assert.equal((await servedFor(model)).tokens.total, totalTokenCount);
});

test('google: a streamed answer arrives event by event', async () => {
  const stream = await client.models.generateContentStream({ model: 'long-20+delay-20', contents });
  let pieces = 0;
  let usage;
  let firstAt = 0;
  for await (const chunk of stream) {
    firstAt ||= performance.now();
    if (chunk.text) ++pieces;
    usage = chunk.usageMetadata ?? usage;
  }
  assert.equal(pieces, 20);
  assert.equal(usage.candidatesTokenCount, 20);
  assert.ok(performance.now() - firstAt > 200, 'the events came in one lump');
});

test('google: a model name with an escaped slash arrives as one name', async () => {
  const answer = await fetch(`${url}/v1beta/models/team%2Ffast:generateContent`, {
    method: 'POST', headers: { 'x-goog-api-key': 'AIza-test-google-0001' }, body: '{"contents":[]}',
  });
  assert.equal((await answer.json()).modelVersion, 'team/fast');
});

test('google: an aborted stream ends the request at the backend', async () => {
  const model = uniqueModel('long-100000+delay-10');
  const controller = new AbortController();
  const stream = await client.models.generateContentStream({
    model, contents, config: { abortSignal: controller.signal },
  });
  let abortedAt = 0;
  await assert.rejects(async () => {
    for await (const chunk of stream) {
      assert.ok(chunk);
      abortedAt ||= Date.now();
      controller.abort();
    }
  });
  await assertBackendNoticed(model, abortedAt);
});

for (const status of [400, 401, 404, 429, 503]) {
  test(`google: a ${status} arrives as the library's own error class`, async () => {
    await assert.rejects(client.models.generateContent({ model: `fail-${status}`, contents }), (error) => {
      assert.ok(error instanceof ApiError);
      assert.equal(error.status, status);
      assert.ok(error.message.length > 10);
      return true;
    });
  });
}

test('google: a wrong key is a 401', async () => {
  await assert.rejects(makeClient('wrong-key').models.generateContent({ model: 'fast', contents }), (error) => {
    assert.equal(error.status, 401);
    return true;
  });
});

test('google: a stream that the backend cuts never looks complete', async () => {
  const stream = await client.models.generateContentStream({ model: 'fast+cut-mid-stream', contents });
  await assert.rejects(async () => {
    for await (const chunk of stream) assert.ok(chunk);
  });
});

test('google: tokens are counted', async () => {
  assert.ok((await client.models.countTokens({ model: 'fast', contents })).totalTokens > 0);
});
