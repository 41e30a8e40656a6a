// The commands that stay: they print where they listen, and leave when they are told to.

import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ParleyClient } from '@parley/client';
import { generate } from 'selfsigned';
import { expect, test, vi } from 'vitest';
import { background, parley } from './command.test.fake.ts';

// Each command is a process of its own, and a test may start six of them.
vi.setConfig({ testTimeout: 40_000 });

const KEY = 'a-key-of-sixteen-characters';

test('serve prints its address, serves, and drains on SIGTERM with exit code 0', async () => {
  await using server = await background(['serve', '--port', '0', '--data', ':memory:', '--with-simulator']);
  const client = new ParleyClient({ url: server.firstLine });
  expect((await client.health()).status).toBe('ok');
  expect((await client.status()).checks?.['providers']).toContain('simulator');
  expect(await server.stop()).toBe(0);
}, 30_000);

test('serve with a key asks for it', async () => {
  const env = { PARLEY_KEY: KEY };
  await using server = await background(['serve', '--port', '0', '--data', ':memory:', '--json'], { env });
  const { url } = JSON.parse(server.firstLine) as { url: string };
  await expect(new ParleyClient({ url }).agents.list()).rejects.toMatchObject({ code: 'unauthenticated' });
  expect(await new ParleyClient({ url, key: KEY }).agents.list()).toEqual([]);
  const wrong = await parley(['agents'], { env: { PARLEY_URL: url, PARLEY_KEY: 'another-key-of-the-same-length' } });
  expect(wrong.code).toBe(3);
  expect(wrong.stderr).toContain('PARLEY_KEY or --key-file');
}, 30_000);

test('serve with a certificate speaks HTTPS, and says what is wrong with one that it cannot use', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'parley-'));
  const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
  const made = await generate([{ name: 'commonName', value: 'localhost' }], {
    keyType: 'ec',
    curve: 'P-256',
    algorithm: 'sha256',
    extensions: [{ name: 'subjectAltName', altNames: [{ type: 7, ip: '127.0.0.1' }] }],
  });
  writeFileSync(cert, made.cert);
  writeFileSync(key, made.private);
  const args = ['serve', '--port', '0', '--data', ':memory:'];
  await using server = await background([...args, '--tls-cert', cert, '--tls-key', key]);
  expect(server.firstLine).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/);
  // Every command reaches it, once Node trusts the certificate.
  const agents = await parley(['agents'], { env: { PARLEY_URL: server.firstLine, NODE_EXTRA_CA_CERTS: cert } });
  expect(agents.code).toBe(0);
  const half = await parley([...args, '--tls-cert', cert]);
  expect(half).toMatchObject({ code: 2, stdout: '' });
  expect(half.stderr).toContain('the key is missing');
  expect(await server.stop()).toBe(0);
}, 30_000);

test('serve refuses an open address without a key', async () => {
  const ran = await parley(['serve', '--host', '0.0.0.0', '--port', '0', '--data', ':memory:']);
  expect(ran).toMatchObject({ code: 2, stdout: '' });
  expect(ran.stderr).toMatch(/^parley: failed_precondition: refusing to listen on 0\.0\.0\.0 without a key/);
});

test('simulator runs a provider with a script of its own', async () => {
  const script = join(mkdtempSync(join(tmpdir(), 'parley-')), 'script.yaml');
  writeFileSync(script, 'rules:\n  - heard: hello\n    say: Good day.\notherwise: What?\n');
  await using simulator = await background(['simulator', '--script', script, '--json']);
  const { url, ws_url } = JSON.parse(simulator.firstLine) as { url: string; ws_url: string };
  expect(ws_url).toMatch(/^ws:/);
  expect((await fetch(`${url}/v1/nothing`)).status).toBe(404);
  expect(await simulator.stop('SIGINT')).toBe(0);
}, 30_000);

test('a script that is not one is exit code 2', async () => {
  const script = join(mkdtempSync(join(tmpdir(), 'parley-')), 'script.yaml');
  writeFileSync(script, 'rules: nonsense\n');
  for (const path of [script, '/nowhere.yaml']) {
    expect(await parley(['simulator', '--script', path])).toMatchObject({ code: 2, stdout: '' });
  }
});
