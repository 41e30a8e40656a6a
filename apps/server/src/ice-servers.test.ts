import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { expect, test } from 'vitest';
import { credentialOf, IceServers } from './ice-servers.ts';

const SECRET = 'a-secret-of-both-servers';
const URLS = ['stun:turn.example:3478', 'turn:turn.example:3478?transport=udp'];
const NOW_MS = 1_800_000_000_000;
const HOUR_MS = 3_600_000;

const server = (ttl_ms?: number) => ({ urls: URLS, secret: SECRET, ...(ttl_ms === undefined ? {} : { ttl_ms }) });
const made = (ttl_ms: number | undefined, until_ms: number) =>
  new IceServers([server(ttl_ms)], () => NOW_MS).for({ id: 'sess_x', until_ms })[0];

// Reckoned by `openssl dgst -sha1 -hmac SECRET -binary | base64`.
test.each([
  ['a-secret-of-both-servers', '1433895918:sess_0123456789abcdef', 'HU/fEShj3EjeCVkVn3eGCcHy2bo='],
  ['logen', '1433895918:filippo', 'vqJQdRhkAMsaZ5wOk8nGm5Zp8b4='],
])('the password under %s of %s is the one that a TURN server reckons', (secret, username, credential) => {
  expect(credentialOf(secret, username)).toBe(credential);
});

test('the password of any name is what openssl makes of it', ({ skip }) => {
  const openssl = ['/usr/bin/openssl', '/usr/local/bin/openssl'].find((path) => existsSync(path));
  skip(openssl === undefined, 'needs openssl');
  const one = made(undefined, NOW_MS + HOUR_MS);
  const digest = execFileSync(openssl as string, ['dgst', '-sha1', '-hmac', SECRET, '-binary'], {
    input: one?.username as string,
  });
  expect(one?.credential).toBe(digest.toString('base64'));
});

test('a credential lasts as long as its session may, and a minute more', () => {
  const one = made(undefined, NOW_MS + HOUR_MS);
  expect(one).toEqual({ urls: URLS, username: '1800003660:sess_x', credential: expect.any(String) });
  // Of a session that is over, none that is good.
  expect(made(undefined, NOW_MS - HOUR_MS)?.username).toBe('1799996460:sess_x');
});

test('none lasts longer than it may: a day, or what was said', () => {
  const week_ms = 168 * HOUR_MS;
  expect(made(undefined, NOW_MS + week_ms)?.username).toBe('1800086400:sess_x');
  expect(made(60_500, NOW_MS + week_ms)?.username).toBe('1800000061:sess_x');
});

test('each call has its own, made when it is asked for', () => {
  let now_ms = NOW_MS;
  const ice = new IceServers([server(HOUR_MS)], () => now_ms);
  const user = (id: string) => ({ id, until_ms: NOW_MS + 10 * HOUR_MS });
  const first = ice.for(user('sess_x'))[0];
  expect(ice.for(user('sess_y'))[0]?.credential).not.toBe(first?.credential);
  now_ms += 1000;
  expect(ice.for(user('sess_x'))[0]).toMatchObject({ username: '1800003601:sess_x' });
});

test('servers with credentials of their own, or with none, stay as they were given, and nobody can change them', () => {
  const given = [{ urls: ['stun:s.example'] }, { urls: ['turn:t.example'], username: 'u', credential: 'c' }];
  const ice = new IceServers(given, () => NOW_MS);
  const user = { id: 'sess_x', until_ms: NOW_MS };
  expect(ice.for(user)).toEqual(given);
  (ice.for(user)[1] as { username: string }).username = 'somebody else';
  expect(ice.for(user)).toEqual(given);
});
