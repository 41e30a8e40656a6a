// What the vectors cannot show: identity, and values that JSON has no word for.

import { expect, test } from 'vitest';
import { CAPABILITIES, knownProviders } from './contract/capabilities.ts';
import { exposedToolName, parseDeclaration, parseFunction, parseTarget, resolveTools } from './declaration.ts';
import { newId } from './ids.ts';
import { ParleyError } from './errors.ts';

const plain = { name: 'voice', provider: 'openai', transport: 'websocket' };

test('a checked declaration is checked again to itself', () => {
  const once = parseDeclaration({ ...plain, provider: ' OpenAI', turn_detection: { type: 'semantic_vad' } });
  expect(parseDeclaration(once)).toEqual(once);
});

test('what was given is not changed, and the defaults are not shared', () => {
  const given = Object.freeze({ ...plain, tools: Object.freeze(['a']) as string[] });
  const first = parseDeclaration(given);
  first.client_events.push('image');
  first.modalities.push('image');
  first.tools.push('b');
  expect(parseDeclaration(given)).toMatchObject({ modalities: ['audio', 'text'], tools: ['a'] });
  expect(parseDeclaration(given).client_events).not.toContain('image');
});

test('a field that is undefined is a missing one', () => {
  expect(parseDeclaration({ ...plain, model: undefined, tools: undefined }).tools).toEqual([]);
});

test('fields of the prototype are not fields', () => {
  const inherited: unknown = Object.create(plain);
  expect(() => parseDeclaration(inherited)).toThrow('Session provider is required');
});

test('every row of the capability table gives working sessions, in alphabetical order', () => {
  expect(CAPABILITIES.map((row) => row.provider)).toEqual(knownProviders());
  for (const { provider, transports } of CAPABILITIES) {
    expect(Object.keys(transports).length).toBeGreaterThan(0);
    for (const transport of Object.keys(transports)) {
      expect(parseDeclaration({ name: 'v', provider, transport })).toMatchObject({ provider, transport });
    }
  }
});

test('a function keeps its identity, so that its schema is compiled once', () => {
  const declared = { name: 'find', kind: 'skill', input_schema: { type: 'object' } };
  expect(parseFunction(declared)).toBe(declared);
  const [tool] = resolveTools('support', ['find'], () => parseFunction(declared));
  expect(tool?.input_schema).toBe(declared.input_schema);
});

test('a tool that nobody offers can be there a moment later', () => {
  expect(() => resolveTools('a', ['f'], () => undefined)).toThrow(expect.objectContaining({ retryable: true }));
});

test('the examples of the docs', () => {
  expect(parseDeclaration({ name: 'voice', provider: 'OpenAI', transport: 'WebSocket' }).provider).toBe('openai');
  expect(parseTarget('support.voice')).toEqual({ agent: 'support', name: 'voice' });
  expect(exposedToolName('support.resolve')).toBe('resolve');
  expect(newId('execution')).toMatch(/^exec_/);
  const error = new ParleyError('resource_exhausted', 'agent support is at its limit of 10 sessions', {
    retry_after_ms: 2000,
    details: { limit: 10, current: 10 },
  });
  expect(error.toObject()).toMatchObject({ retryable: true, retry_after_ms: 2000 });
});
