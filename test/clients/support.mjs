// What the tests of all client libraries share: where to call, and the sample backend's own account of what it saw.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';

/** Base URL of Portico, or of the sample CPA itself: every test must pass either way. */
export const url = (process.env.PORTICO_URL ?? 'http://127.0.0.1:8080').replace(/\/+$/, '');

/** What fetch speaks in this run: `h2`, or HTTP/1.1. */
export const speaksHttp2 = process.env.PORTICO_FETCH === 'h2';

/** A backend must notice within this time that its client left. */
const noticeDeadlineMs = 1000;

/** A model name that nobody else uses, so that its abort can be found again. The sample ignores the last piece. */
export const uniqueModel = (script) => `${script}+test-${randomUUID()}`;

export async function stats() {
  const response = await fetch(`${url}/v1/sample/stats`);
  assert.equal(response.status, 200);
  return response.json();
}

/** True when a Portico stands in front of the sample: it adds a request id to every response. */
export async function throughPortico() {
  const response = await fetch(`${url}/healthz`);
  assert.equal(response.headers.get('x-portico-sample'), 'cpa', 'the backend must be the sample CPA');
  await response.arrayBuffer();
  return response.headers.has('x-request-id');
}

/** Waits until the backend saw the client of `model` leave, and checks that it did so in time. */
export async function assertBackendNoticed(model, abortedAtMs) {
  while (Date.now() - abortedAtMs < 2 * noticeDeadlineMs) {
    const abort = (await stats()).aborts.find((a) => a.model === model);
    if (abort !== undefined) {
      const took = abort.noticed_unix_ms - abortedAtMs;
      assert.ok(took <= noticeDeadlineMs, `the backend noticed only after ${took} ms`);
      return;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  assert.fail(`the backend did not notice within ${2 * noticeDeadlineMs} ms that the client left`);
}

/** Portico's own records of a model, the newest first, once there is one: a record counts at its end. */
export async function recordsOf(model) {
  const address = `${process.env.PORTICO_ADMIN_URL}/api/v1/requests?model=${encodeURIComponent(model)}`;
  for (const begun = Date.now(); Date.now() - begun < 10_000;) {
    const { requests } = await (await fetch(address)).json();
    if (requests.length > 0) return requests;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return assert.fail(`Portico has no record of ${model}`);
}

/** What was served for a model: its series in the sample's account. */
export async function servedFor(model) {
  return (await stats()).served.find((s) => s.model === model);
}
