// Holds the other tests of a run to their protocol: were it another one, they would pass all the same.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { speaksHttp2, url } from './support.mjs';

test('protocol: the version and the scheme of this run are what Portico sees', async () => {
  const { headers } = await (await fetch(`${url}/v1/sample/echo`)).json();
  const all = (wanted) => headers.filter(([name]) => name.toLowerCase() === wanted).map(([, value]) => value);
  assert.deepEqual(all('via'), [`${speaksHttp2 ? '2.0' : '1.1'} front`]);
  assert.deepEqual(all('x-forwarded-proto'), [new URL(url).protocol.replace(':', '')]);
});
