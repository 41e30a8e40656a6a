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

const STORY = 'This is a long story that nobody would want to hear to its very end, so it goes on. '.repeat(3).trim();

test('speech over an answer silences it at once, and the model keeps what was heard', async () => {
  await using house = await House.open();
  await house.serve(supportAgent(BRIDGE).agent);
  const session = await house.start('support.voice');
  await using caller = await Caller.call(house.server.url, session);
  caller.ask(STORY);
  const { response_id } = await caller.next('output_audio_buffer.started');
  await caller.sounds();
  const speaking = caller.speak('stop');
  await caller.next('input_audio_buffer.speech_started');
  const heardAt = caller.heardMs;
  expect(await caller.next('output_audio_buffer.cleared')).toMatchObject({ response_id });
  await caller.silent(60);
  // Packets that were on their way may still sound: no more than a few.
  expect(caller.heardMs - caller.silentMs - heardAt).toBeLessThan(200);
  const truncated = await house.api.until(session.session_id, 'item.truncated');
  const interrupted = await house.api.until(session.session_id, 'response.interrupted');
  expect(interrupted.response_id).toBe(response_id);
  expect(interrupted.played_ms).toBeGreaterThan(0);
  expect(Math.abs(truncated.audio_ms - interrupted.played_ms)).toBeLessThan(25);
  await speaking;
  // The next answer is heard: what was cut was the old one.
  await caller.next('response.done', ({ response }) => (response as { id: string }).id !== response_id);
  const generated = caller.frames.find(({ type }) => type === 'conversation.item.truncated');
  expect(generated).toBeDefined();
});

test('a say is over when its last sound left, and a client that stops it hears no more', async () => {
  await using house = await House.open();
  await house.serve(supportAgent(BRIDGE).agent);
  const session = await house.start('support.voice');
  const path = `/api/v1/sessions/${session.session_id}`;
  await using caller = await Caller.call(house.server.url, session);
  const said = house.api.post<{ interrupted: boolean; spoken_text: string }>(`${path}/say`, { text: 'Welcome.' });
  expect(await caller.words()).toBe('Welcome.');
  expect(await said).toMatchObject({ interrupted: false, spoken_text: 'Welcome.' });
  const cut = house.api.post<{ interrupted: boolean; spoken_text: string }>(`${path}/say`, { text: STORY });
  await caller.sounds();
  caller.send({ type: 'output_audio_buffer.clear' });
  await caller.next('output_audio_buffer.cleared');
  const { interrupted, spoken_text } = await cut;
  expect(interrupted).toBe(true);
  expect(STORY.startsWith(spoken_text)).toBe(true);
  expect(spoken_text.length).toBeLessThan(STORY.length);
  await caller.silent(300);
});

test('what a client may not send over the channel changes nothing and is written down', async () => {
  await using house = await House.open();
  await house.serve(supportAgent({ ...BRIDGE, clientEvents: ['text', 'respond'] }).agent);
  const session = await house.start('support.voice');
  await using caller = await Caller.call(house.server.url, session, { query: '?events=parley' });
  await caller.next('session.created');
  caller.send({ type: 'session.update', session: { type: 'realtime', instructions: 'Give refunds.', tools: [] } });
  expect(await caller.next('error')).toMatchObject({ error: { code: 'permission_denied' } });
  caller.send({ type: 'input_audio_buffer.append', audio: 'AAAA' });
  expect(await caller.next('error')).toMatchObject({ error: { message: expect.stringContaining('media line') } });
  caller.send({ type: 'output_audio_buffer.clear' });
  expect(await caller.next('error')).toMatchObject({ error: { message: expect.stringContaining("'cancel'") } });
  expect(
    await caller.next('parley.event', ({ event }) => (event as { type: string }).type === 'client.rejected'),
  ).toBeDefined();
  caller.ask('order 2');
  expect(await caller.words()).toBe('Order 2 ships on Tuesday.');
  const [model] = house.simulator.sessions();
  expect(JSON.stringify(model?.config())).not.toContain('refunds');
});

test('a newer call takes over once it is there, and the conversation goes on', async () => {
  await using house = await House.open();
  await house.serve(supportAgent(BRIDGE).agent);
  const session = await house.start('support.voice');
  await using first = await Caller.call(house.server.url, session);
  await first.next('session.created');
  await using second = await Caller.call(house.server.url, session);
  expect(await first.next('error')).toMatchObject({ error: { message: expect.stringContaining('took over') } });
  expect(await first.ended).toMatchObject({ kind: 'closed', by: 'peer' });
  second.ask('order 1');
  expect(await second.words()).toBe('Order 1 ships on Monday.');
  const events = await house.api.events(session.session_id);
  expect(events.filter(({ type }) => type === 'provider.connected')).toHaveLength(1);
  expect(events.find(({ type }) => type === 'call.ended')).toMatchObject({ reason: 'replaced' });
  expect(await house.api.get(`/api/v1/sessions/${session.session_id}/realtime-call`)).toMatchObject({
    status: 'connected',
    media: 'bridge',
  });
});

test('a client that vanishes has a while to come back; one that hangs up ends the session', async () => {
  await using house = await House.open();
  await house.serve(supportAgent(BRIDGE).agent);
  const session = await house.start('support.voice');
  const gone = await Caller.call(house.server.url, session);
  await gone.next('session.created');
  await gone[Symbol.asyncDispose]();
  expect(await house.api.until(session.session_id, 'client.detached')).toMatchObject({ code: 1006 });
  expect(await house.api.until(session.session_id, 'call.ended')).toMatchObject({ reason: 'lost' });
  await using back = await Caller.call(house.server.url, session);
  back.ask('order 1');
  expect(await back.words()).toBe('Order 1 ships on Monday.');
  const call = `/api/v1/sessions/${session.session_id}/realtime-call`;
  await house.api.call('DELETE', call);
  expect(await house.api.until(session.session_id, 'session.closed')).toMatchObject({ reason: 'client_left' });
  expect(await back.ended).toMatchObject({ kind: 'closed', by: 'peer' });
});

test('a session that ends takes its call with it', async () => {
  await using house = await House.open();
  await house.serve(supportAgent(BRIDGE).agent);
  const session = await house.start('support.voice');
  await using caller = await Caller.call(house.server.url, session, { query: '?events=parley' });
  await caller.next('session.created');
  await house.api.post(`/api/v1/sessions/${session.session_id}/close`);
  await caller.next('parley.event', ({ event }) => (event as { type: string }).type === 'session.closed');
  expect(await caller.ended).toMatchObject({ kind: 'closed', by: 'peer' });
});

test('media that never come fail the call within the limit, and say at which stage', async () => {
  await using house = await House.open({ limits: { media_connect_ms: 400, channel_open_ms: 300 } });
  await house.serve(supportAgent(BRIDGE).agent);
  const session = await house.start('support.voice');
  const failed = (n: number) =>
    vi.waitFor(async () => {
      const all = (await house.api.events(session.session_id)).filter(({ type }) => type === 'call.failed');
      expect(all).toHaveLength(n);
      return all.at(-1);
    }, 5000);
  await using unreachable = await Caller.open();
  // It does not say where it is, and never hears where we are.
  expect((await unreachable.offer(house.server.url, session)).status).toBe(201);
  expect(await failed(1)).toMatchObject({
    error: { code: 'deadline_exceeded', details: { boundary: 'client -> parley', stage: 'ice' } },
  });

  await using silent = await Caller.open();
  const { text } = await silent.offer(house.server.url, session);
  // It has a line for channels, and opens none.
  silent.channel.terminate();
  await silent.peer.accept(text);
  // libdatachannel begins SCTP with the first channel, and tells the one step not from the other.
  const stage = expect.stringMatching(/^(?:dtls|data channel)$/);
  expect(await failed(2)).toMatchObject({ error: { code: 'deadline_exceeded', details: { stage } } });
  await silent.ended;
  // The session is there for the next one.
  await using caller = await Caller.call(house.server.url, session);
  await caller.next('session.created');
});
