// A Portico of a test's own, under TLS, in front of backends that the test is itself.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

/** True when the caller said which program to start, and with which certificate. */
export const canStart = Boolean(process.env.PORTICO_BINARY && process.env.PORTICO_CERTIFICATES);

/** A backend on a free port, ended with the test `t`. */
export async function startBackend(t, answer) {
  const server = createServer(answer);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  return `http://127.0.0.1:${server.address().port}`;
}

/**
 * Starts a Portico in front of `cpa` and waits until it is ready. It ends with the test `t`, if not before.
 * Returns its base URL, the process, and the promise of its exit status.
 */
export async function startPortico(t, cpa) {
  const folder = await mkdtemp(join(tmpdir(), 'portico-client-'));
  const certificates = process.env.PORTICO_CERTIFICATES;
  const settings = join(folder, 'portico.json');
  await writeFile(settings, JSON.stringify({
    listen: [],
    workers: 1,
    tls: {
      listen: ['127.0.0.1:0'], certificates: [join(certificates, 'front.pem')], keys: [join(certificates, 'front.key')],
    },
    admin: { listen: '127.0.0.1:0' },
    telemetry: { key_file: join(folder, 'fingerprint.key') },
    upstreams: { cpa: { endpoints: [cpa] } },
    timeouts: { drain: '20s' },
  }));
  const portico = spawn(process.env.PORTICO_BINARY, ['run', '--config', settings], { stdio: ['ignore', 'pipe', 'pipe'] });
  const ended = once(portico, 'exit').then(([status]) => status);
  t.after(async () => {
    portico.kill('SIGKILL');
    await ended;
    await rm(folder, { recursive: true });
  });
  const said = [];
  const ready = new Promise((resolve, reject) => {
    for (const output of [portico.stdout, portico.stderr]) {
      createInterface(output).on('line', (line) => {
        said.push(line);
        if (line === 'ready') resolve();
      });
    }
    ended.then(() => reject(new Error(`Portico does not get ready:\n${said.join('\n')}`)));
  });
  await ready;
  const address = said.map((line) => /^listening on https:\/\/127\.0\.0\.1:(\d+)/.exec(line)).find(Boolean);
  assert.ok(address, said.join('\n'));
  return { url: `https://localhost:${address[1]}`, process: portico, ended };
}
