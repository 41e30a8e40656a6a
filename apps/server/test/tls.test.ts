// A server with a certificate: HTTPS and WSS on its one port, and nothing in clear.

import { writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { beforeAll, expect, test } from 'vitest';
import { optionsFromEnv } from '../src/config.ts';
import { startServer } from '../src/index.ts';
import { certificate } from './support/certificate.ts';
import { Client } from './support/client.ts';
import { temporary } from './support/directory.ts';

let tls: { cert: string; key: string };
beforeAll(async () => {
  tls = await certificate();
});

function get(url: string, ca: string): Promise<number | undefined> {
  return new Promise((resolve, reject) => {
    request(url, { ca }, (response) => {
      response.resume();
      resolve(response.statusCode);
    })
      .on('error', reject)
      .end();
  });
}

test('the files that the environment names serve HTTPS and WSS on one port, and what comes in clear is cut', async () => {
  await using directory = await temporary();
  const files = { PARLEY_TLS_CERT: join(directory.path, 'cert.pem'), PARLEY_TLS_KEY: join(directory.path, 'key.pem') };
  writeFileSync(files.PARLEY_TLS_CERT, tls.cert);
  writeFileSync(files.PARLEY_TLS_KEY, tls.key);
  const options = optionsFromEnv({ ...files, PARLEY_PORT: '0', PARLEY_DATA: ':memory:', PARLEY_LOG_LEVEL: 'silent' });
  await using server = await startServer(options);
  expect(server.url).toBe(`https://127.0.0.1:${server.port}`);
  expect(await get(`${server.url}/health`, tls.cert)).toBe(200);
  await expect(get(`${server.url}/health`, (await certificate()).cert)).rejects.toThrow(/self-signed|verify/i);
  await using client = new Client(`${server.url}/v1/realtime?model=nobody.there`, [], { ca: tls.cert });
  expect((await client.next('error'))['error']).toMatchObject({ code: 'model_not_found' });
  await expect(fetch(server.url.replace('https', 'http'))).rejects.toThrow('fetch failed');
});

test('a certificate without its key, one that is not there, and two that do not belong together are refused', async () => {
  await using directory = await temporary();
  const [cert, other] = [join(directory.path, 'cert.pem'), join(directory.path, 'key.pem')];
  writeFileSync(cert, tls.cert);
  writeFileSync(other, (await certificate()).key);
  const read = (PARLEY_TLS_CERT?: string, PARLEY_TLS_KEY?: string) => () =>
    optionsFromEnv({ PARLEY_TLS_CERT, PARLEY_TLS_KEY });
  expect(read(cert)).toThrow('the key is missing');
  expect(read(undefined, cert)).toThrow('the certificate is missing');
  expect(read(join(directory.path, 'gone.pem'), other)).toThrow('gone.pem cannot be read: ENOENT');
  expect(read(cert, other)).toThrow('cannot be used');
  expect(read(other, other)).toThrow('cannot be used');
});
