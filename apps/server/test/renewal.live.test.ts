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

test('a connection that is cut while a tool runs is followed by another one: the tool runs once, and is answered once', async () => {
  await using house = await House.open();
  const support = supportAgent({ provider: 'simulator', transport: 'websocket' });
  await house.serve(support.agent);
  const { session, client } = await house.call('support.voice');
  const item = { type: 'message', role: 'user', content: [{ type: 'input_text', text: 'slow' }] };
  client.send({ type: 'conversation.item.create', item });
  client.send({ type: 'response.create' });
  await house.api.until(session.session_id, 'tool.dispatched');
  house.simulator.faults.add({ when: 'append', kind: 'drop' });
  client.send({ type: 'input_audio_buffer.append', audio: Buffer.alloc(4800).toString('base64') });
  const renewed = await house.api.until(session.session_id, 'provider.renewed');
  expect(renewed).toMatchObject({ reason: 'lost', by: 'replay' });
  (await support.slow)('done');
  await house.api.until(session.session_id, 'response.completed', ({ text }) => text.includes('done'));
  const events = await house.api.events(session.session_id);
  const count = (type: string): number => events.filter((event) => event.type === type).length;
  expect(['tool.called', 'tool.dispatched', 'tool.completed', 'tool.answered'].map(count)).toEqual([1, 1, 1, 1]);
  expect(events.find(({ type }) => type === 'provider.failed')).toMatchObject({
    command_id: 'connection',
    error: { details: { close_code: 1006 } },
  });
  expect(count('provider.disconnected')).toBe(0);
  const outputs = house.simulator
    .sessions()[0]
    ?.items()
    .filter(({ type }) => type === 'function_call_output');
  expect(outputs).toHaveLength(1);
});

test('a provider that cannot be had again ends the session, with its own code and words', async () => {
  await using house = await House.open();
  await house.serve(supportAgent({ provider: 'simulator', transport: 'websocket' }).agent);
  const { session, client } = await house.call('support.voice');
  await house.api.until(session.session_id, 'provider.connected');
  const body = {
    error: { message: 'Your account was closed.', type: 'invalid_request_error', code: 'account_closed' },
  };
  house.simulator.faults.add({ when: 'upgrade', kind: 'status', status: 403, body });
  house.simulator.faults.add({ when: 'append', kind: 'drop' });
  client.send({ type: 'input_audio_buffer.append', audio: Buffer.alloc(4800).toString('base64') });
  const closed = await house.api.until(session.session_id, 'session.closed');
  expect(closed).toMatchObject({
    reason: 'provider_lost',
    error: {
      code: 'permission_denied',
      retryable: false,
      details: { status: 403, provider_code: 'account_closed', provider_message: 'Your account was closed.' },
    },
  });
});
