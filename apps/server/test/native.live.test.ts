// Calls over WebRTC whose media end at the provider: the server creates them, attaches to them, and runs their tools.

import { expect, test, vi } from 'vitest';
import { Caller } from './support/caller.ts';
import { House } from './support/house.ts';
import { supportAgent } from './support/support-agent.ts';

vi.setConfig({ testTimeout: 60_000 });

const NATIVE = { transport: 'webrtc', modalities: ['audio', 'text'] } as const;
const STORY = 'This is a long story that nobody would want to hear to its very end, so it goes on. '.repeat(3).trim();

test('a question that is spoken to the provider is answered in sound, and its tool ran on the server', async () => {
  await using house = await House.open();
  const support = supportAgent({ ...NATIVE, instructions: 'Be kind.' });
  await house.serve(support.agent);
  const session = await house.start('support.voice');
  expect(session).toMatchObject({ media: 'native', transport: 'webrtc' });
  await using caller = await Caller.call(house.server.url, session);
  await caller.speak('order 1');
  expect(await caller.words()).toBe('Order 1 ships on Monday.');
  expect(support.found).toEqual([{ order: '1' }]);
  const events = await house.api.events(session.session_id);
  const types = events.map(({ type }) => type);
  expect(types.slice(0, 4)).toEqual(['session.created', 'call.offered', 'call.created', 'client.attached']);
  expect(types.filter((type) => type === 'tool.answered')).toHaveLength(1);
  expect(types).toContain('sideband.attached');
  expect(types).not.toContain('session.tampered');
  expect(await house.api.until(session.session_id, 'turn.completed')).toMatchObject({ source: 'audio', text: 'order 1' });
  await house.api.until(session.session_id, 'response.played', ({ response_id }) => response_id !== '');
  const provider_call_id = events.find(({ type }) => type === 'call.created');
  expect(provider_call_id).toMatchObject({ media: 'native', provider_call_id: expect.stringMatching(/^rtc_/) });
  expect(await house.api.get(`/api/v1/sessions/${session.session_id}/realtime-call`)).toMatchObject({
    status: 'connected',
  });
});
