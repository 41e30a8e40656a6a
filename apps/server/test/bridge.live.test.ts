// Calls over WebRTC whose media end here: Opus to the ear and from the mouth of a client, sound and frames to the model.

import { expect, test, vi } from 'vitest';
import { Caller } from './support/caller.ts';
import { House } from './support/house.ts';
import { supportAgent } from './support/support-agent.ts';

vi.setConfig({ testTimeout: 60_000 });

const BRIDGE = { transport: 'webrtc', media: 'bridge', modalities: ['audio', 'text'] } as const;

test('a question that is spoken is answered in sound, and its tool ran on the server', async () => {
  await using house = await House.open();
  const support = supportAgent(BRIDGE);
  await house.serve(support.agent);
  const session = await house.start('support.voice');
  expect(session).toMatchObject({ media: 'bridge', ice_servers: [] });
  await using caller = await Caller.call(house.server.url, session);
  await caller.next('session.created');
  await caller.speak('order 1');
  expect(await caller.words()).toBe('Order 1 ships on Monday.');
  expect(support.found).toEqual([{ order: '1' }]);
  expect(caller.frames.filter((frame) => JSON.stringify(frame).includes('find_order'))).toEqual([]);
  const types = caller.frames.map(({ type }) => type);
  expect(types).toContain('output_audio_buffer.started');
  expect(types).toContain('output_audio_buffer.stopped');
  expect(types.indexOf('output_audio_buffer.started')).toBeLessThan(types.indexOf('output_audio_buffer.stopped'));
  expect(types).not.toContain('response.output_audio.delta');
  expect(types).toContain('response.output_audio_transcript.delta');
  const events = (await house.api.events(session.session_id)).map(({ type }) => type);
  expect(events.slice(0, 3)).toEqual(['session.created', 'call.offered', 'call.created']);
  expect(events).toContain('media.connected');
  expect(events).toContain('tool.answered');
  expect(events).toContain('response.played');
});
