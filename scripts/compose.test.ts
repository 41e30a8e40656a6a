import { expect, test } from 'vitest';
import { readCompose } from './compose.ts';

const AGENT = 'services:\n  agent:\n    build: .\n';

test('variables are filled in, and what they stand in for where they are empty', () => {
  const text = `${AGENT}    environment:\n      KEY: \${KEY:-usual}\n      URL: ws://\${HOST}\n`;
  expect(readCompose(text, { KEY: '', HOST: 'parley' }).get('agent')?.environment).toEqual({
    KEY: 'usual',
    URL: 'ws://parley',
  });
  expect(() => readCompose(text, {})).toThrow('agent.environment.URL: HOST is not set');
});

test('a dollar that is meant as one is written twice', () => {
  const text = AGENT + '    healthcheck: { test: [CMD, node, "$${process.env.PORT}"] }\n';
  expect(readCompose(text, {}).get('agent')?.healthcheck).toEqual(['node', '${process.env.PORT}']);
});

test.for([
  ['    port: [8000]\n', 'agent: port is not known here'],
  ['    ports: ["8000:8000"]\n', 'must be 127.0.0.1:outside:inside, got 8000:8000'],
  ['    image: node\n', 'either build or image'],
  ['    healthcheck: { test: [CMD-SHELL, x] }\n', 'must begin with CMD'],
  ['    depends_on: [parley]\n', 'agent depends on parley, which is no service'],
  ['    stop_grace_period: 40\n', 'must be in seconds'],
] as const)('%s is refused', ([more, words]) => {
  expect(() => readCompose(AGENT + more, {})).toThrow(words);
});

test('without a grace period an engine waits ten seconds', () => {
  expect(readCompose(AGENT, {}).get('agent')).toMatchObject({ build: '.', stopGraceMs: 10_000, ports: [] });
});
