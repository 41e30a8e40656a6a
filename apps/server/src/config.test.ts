import { expect, test } from 'vitest';
import { completeConfig, isLoopback, optionsFromEnv } from './config.ts';

test('everything that can be set has its variable', () => {
  const options = optionsFromEnv({
    PARLEY_HOST: '::1',
    PARLEY_PORT: '7701',
    PARLEY_DATA: '/var/lib/parley',
    PARLEY_KEY: 'a-key-of-sixteen-and-more',
    PARLEY_ALLOWED_ORIGINS: 'https://a.example, https://b.example',
    PARLEY_DRAIN_MS: '5000',
    PARLEY_LIMITS: 'sessions_max=7, agent_resume_ms=900',
    PARLEY_LOG_LEVEL: 'warn',
    PARLEY_ICE_SERVERS: '[{"urls":"stun:s.example:3478"},{"urls":["turn:t.example"],"username":"u","credential":"c"}]',
    PARLEY_RTC_PORTS: '50000-50999',
    PARLEY_RTC_HOST: '0.0.0.0',
    OPENAI_API_KEY: 'sk-x',
    PARLEY_SIMULATOR_URL: 'http://127.0.0.1:1/v1',
  });
  expect(completeConfig(options)).toMatchObject({
    host: '::1',
    port: 7701,
    data: '/var/lib/parley',
    keys: ['a-key-of-sixteen-and-more'],
    allowed_origins: ['https://a.example', 'https://b.example'],
    drain_ms: 5000,
    limits: { sessions_max: 7, agent_resume_ms: 900, sockets_max: 20_000 },
    log_level: 'warn',
    ice_servers: [{ urls: ['stun:s.example:3478'] }, { urls: ['turn:t.example'], username: 'u', credential: 'c' }],
    rtc: { host: '0.0.0.0', range: [50_000, 50_999], one: null },
    providers: {
      openai: { base_url: 'https://api.openai.com/v1', key: 'sk-x' },
      simulator: { base_url: 'http://127.0.0.1:1/v1' },
    },
  });
});

test.each([
  { PARLEY_PORT: 'http' },
  { PARLEY_DRAIN_MS: 'soon' },
  { PARLEY_LIMITS: 'sessions=7' },
  { PARLEY_LIMITS: 'sessions_max' },
  { PARLEY_LIMITS: 'sessions_max=-1' },
  { PARLEY_LIMITS: '__proto__=1' },
  { PARLEY_LOG_LEVEL: 'loud' },
  { PARLEY_ICE_SERVERS: 'stun:s.example' },
  { PARLEY_ICE_SERVERS: '{"urls":[]}' },
  { PARLEY_ICE_SERVERS: '[{"urls":"http://s.example"}]' },
  { PARLEY_ICE_SERVERS: '[{"urls":"turn:t.example","username":"u"}]' },
  { PARLEY_ICE_SERVERS: '[{"urls":"turn:t.example","secret":"short"}]' },
  { PARLEY_ICE_SERVERS: '[{"urls":"turn:t.example","secret":12345678901234567890}]' },
  { PARLEY_ICE_SERVERS: '[{"urls":"stun:t.example","secret":"a-secret-of-both-servers"}]' },
  { PARLEY_ICE_SERVERS: '[{"urls":"turn:t.example","secret":"a-secret-of-both-servers","username":"u"}]' },
  { PARLEY_ICE_SERVERS: '[{"urls":"turn:t.example","secret":"a-secret-of-both-servers","ttl":600}]' },
  { PARLEY_ICE_SERVERS: '[{"urls":"turn:t.example","secret":"a-secret-of-both-servers","ttl_ms":59999}]' },
  { PARLEY_ICE_SERVERS: '[{"urls":"turn:t.example","secret":"a-secret-of-both-servers","ttl_ms":604800001}]' },
  { PARLEY_ICE_SERVERS: '[{"urls":"turn:t.example","username":"u","credential":"c","ttl_ms":600000}]' },
  { PARLEY_RTC_PORTS: '0' },
  { PARLEY_RTC_PORTS: '50001-50000' },
  { PARLEY_RTC_PORTS: 'any' },
])('a value that cannot be is refused: %j', (env) => {
  expect(() => completeConfig(optionsFromEnv(env))).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
});

test('a refusal of a TURN server names neither its secret nor its credential', () => {
  const hidden = 'hidden-and-long-enough';
  for (const entry of [
    { urls: ['turn:t.example'], secret: hidden, credential: hidden },
    { urls: ['stun:t.example'], secret: hidden },
    { urls: ['turn:t.example'], secret: hidden, ttl_ms: 1 },
    { urls: ['turn:t.example'], credential: hidden },
  ]) {
    expect(() => completeConfig({ ice_servers: [entry] })).toThrow(
      expect.objectContaining({ message: expect.not.stringContaining(hidden) }),
    );
  }
});

test('loopback is what cannot be reached from elsewhere, and nothing that looks like it', () => {
  for (const host of ['127.0.0.1', '127.8.9.1', 'localhost', '::1', '[::1]']) expect(isLoopback(host)).toBe(true);
  for (const host of ['0.0.0.0', '::', '127.0.0.1.example', '127.1', 'localhost.example', '10.0.0.1', '']) {
    expect(isLoopback(host)).toBe(false);
  }
});
