// A call outlives the time that its provider gives a connection: the caller goes on, and the log shows it.

import { startSimulator } from '@parley/simulator';
import { expect, test, vi } from 'vitest';
import { House, SCRIPT } from './support/house.ts';
import { supportAgent } from './support/support-agent.ts';

vi.setConfig({ testTimeout: 60_000 });

test('a provider that ends connections is followed by another one, between two turns', async () => {
  await using simulator = await startSimulator({ script: SCRIPT, voice: 'coded', sessionMaxMs: 4_000 });
  await using house = await House.open({ providers: { gemini: { base_url: simulator.url, key: 'any-key' } } });
  const support = supportAgent({ provider: 'gemini', transport: 'websocket', modalities: ['text'] });
  await house.serve(support.agent);
  const { session, client } = await house.call('support.voice');
  const ask = (text: string): void => {
    const item = { type: 'message', role: 'user', content: [{ type: 'input_text', text }] };
    client.send({ type: 'conversation.item.create', item });
    client.send({ type: 'response.create' });
  };
  ask('order 1');
  const renewed = await house.api.until(session.session_id, 'provider.renewed');
  expect(renewed).toMatchObject({ reason: 'going_away', by: 'handle' });
  ask('order 2');
  await expect.poll(() => support.found, { timeout: 10_000 }).toEqual([{ order: '1' }, { order: '2' }]);
  await expect
    .poll(
      () =>
        simulator
          .sessions()
          .at(-1)
          ?.items()
          .map(({ type }) => type),
      { timeout: 10_000 },
    )
    .toEqual([
      'message',
      'function_call',
      'function_call_output',
      'message',
      'message',
      'function_call',
      'function_call_output',
      'message',
    ]);
  const events = (await house.api.events(session.session_id)).map(({ type }) => type);
  expect(events).not.toContain('provider.disconnected');
  expect(events.indexOf('provider.renewed')).toBeGreaterThan(events.indexOf('tool.answered'));
});
