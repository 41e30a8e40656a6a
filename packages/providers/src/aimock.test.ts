import { LLMock } from '@copilotkit/aimock';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { type Connected, connected } from './test-support/connected.ts';

// A second server, which is not ours and not faithful in every frame: what an adapter asks of a provider must not be
// more than it needs.

let mock: LLMock;
beforeAll(async () => {
  mock = new LLMock({ port: 0, host: '127.0.0.1' });
  mock.onMessage(/good morning/, { content: 'Good morning to you.' });
  mock.onMessage(/order 42/, { toolCalls: [{ name: 'lookup_order', arguments: '{"order":42}', id: 'call_42' }] });
  await mock.start();
});
afterAll(() => mock.stop());

const TOOLS = [{ name: 'lookup_order', input_schema: { type: 'object', properties: { order: { type: 'integer' } } } }];

const ask = async (provider: string, path: string, text: string): Promise<Connected> => {
  const config = { base_url: `${mock.url}${path}`, key: 'sk-mock' };
  const session = await connected(config, { modalities: ['text'], tools: TOOLS }, { provider });
  session.connection.send({ type: 'add_text', role: 'user', text });
  session.connection.send({ type: 'respond' });
  return session;
};

const PROVIDERS = [
  ['openai', '/v1'],
  ['gemini', ''],
] as const;

test.for(PROVIDERS)('%s takes a turn with a mock that knows it only roughly', async ([provider, path]) => {
  const session = await ask(provider, path, 'good morning');
  expect(await session.event('response.completed')).toMatchObject({
    status: 'completed',
    text: 'Good morning to you.',
  });
  session.connection.close();
  expect(await session.connection.closed).toMatchObject({ code: 1000 });
});

test.for(PROVIDERS)('%s is told of a tool by a mock that knows it only roughly', async ([provider, path]) => {
  const session = await ask(provider, path, 'order 42');
  const { name, arguments: input } = await session.event('tool.called');
  expect({ name, input: JSON.parse(input) as unknown }).toEqual({ name: 'lookup_order', input: { order: 42 } });
  session.connection.close();
  await session.connection.closed;
});
