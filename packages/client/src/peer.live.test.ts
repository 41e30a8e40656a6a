// The call over WebRTC as a page makes it, in a real browser. The far end is a page as well.

import { expect, test } from 'vitest';
import { complaintsOf } from './call/page.test.support.ts';
import { HELLO, PUSH_TO_TALK, start, state, told, withBrowser } from './peer.test.support.ts';

const farEnd = withBrowser();

test('sound crosses both ways, frames cross the channel, and hanging up gives everything back', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  const complaints = complaintsOf(page);
  await start(page);
  await far.say(HELLO);
  await state(page, 'listening');
  expect(await told(page, 'call.path')).toBe('webrtc');
  // The fake microphone beeps once a second.
  expect(await far.hears(1500)).toBeGreaterThan(0.02);
  await far.sound(true);
  await far.say(
    { type: 'response.created', response: { id: 'resp_1' } },
    { type: 'output_audio_buffer.started', response_id: 'resp_1' },
    { type: 'response.output_audio_transcript.delta', response_id: 'resp_1', item_id: 'item_1', delta: 'Hello ' },
    {
      type: 'response.output_audio_transcript.done',
      response_id: 'resp_1',
      item_id: 'item_1',
      transcript: 'Hello there',
    },
    { type: 'response.done', response: { id: 'resp_1', status: 'completed', output: [] } },
  );
  await state(page, 'speaking');
  await page.waitForFunction('window.told.levels.speaker > 0.1 && window.told.levels.mic > 0.02');
  await far.sound(false);
  await far.say({ type: 'output_audio_buffer.stopped', response_id: 'resp_1' });
  await state(page, 'listening');
  expect(await told(page, 'told.words')).toEqual(['agent: Hello ', 'agent: Hello there.']);
  await page.waitForFunction('window.told.quality?.roundTripMs != null && window.told.quality.lost != null');
  await page.evaluate("call.sendText('and now?')");
  await far.next('response.create');
  expect(far.frames.map(({ type }) => type)).toEqual(['conversation.item.create', 'response.create']);
  const end = await told<{ reason: string; error: null; stats: Record<string, number> }>(page, "call.hangUp('enough')");
  expect(end).toMatchObject({ reason: 'enough', error: null, stats: { interruptions: 0, reconnections: 0 } });
  expect(end.stats['userAudioMs']).toBeGreaterThan(1000);
  expect(end.stats['replyAudioMs']).toBeGreaterThan(0);
  expect(far.closed).toEqual([{ reason: 'enough' }]);
  expect(complaints).toEqual([]);
});

test('the log comes by its own stream, and its end ends the call with the reason', async () => {
  await using far = await farEnd();
  far.log({ type: 'session.created' });
  const page = await far.caller();
  const complaints = complaintsOf(page);
  await start(page);
  await far.say(HELLO);
  await state(page, 'listening');
  const input = { order: '42' };
  far.log({
    type: 'tool.called',
    call_id: 'call_1',
    name: 'lookup',
    arguments: '{}',
    execution_id: 'e',
    source: 'model',
  });
  far.log({ type: 'tool.dispatched', call_id: 'call_1', name: 'lookup', target: 'a.lookup', execution_id: 'e', input });
  await state(page, 'thinking');
  far.log({
    type: 'tool.completed',
    call_id: 'call_1',
    name: 'lookup',
    execution_id: 'e',
    status: 'succeeded',
    duration_ms: 3,
  });
  await state(page, 'listening');
  expect(await told(page, 'told.tools')).toEqual(['lookup called', 'lookup dispatched', 'lookup succeeded']);
  // A piece of the log on the channel is no second copy.
  await far.say({ type: 'parley.event', event: { seq: 99, at_ms: 1, type: 'handler.completed' } });
  const error = { code: 'unavailable', message: 'the provider is gone', retryable: true };
  far.log({
    type: 'session.closed',
    reason: 'provider_lost',
    error,
    duration_ms: 1,
    turns: 0,
    tool_calls: 1,
    user_audio_ms: 0,
    reply_audio_ms: 0,
  });
  const end = await told(page, 'call.ended.then(({ reason, error }) => [reason, error.code, error.message])');
  expect(end).toEqual(['provider_lost', 'unavailable', 'the provider is gone']);
  expect(await told(page, 'told.seqs')).toEqual([2, 3, 4, 5]);
  expect(far.closed).toEqual([]);
  expect(complaints).toEqual([]);
});

test('the far end cuts an answer by itself, and the call tells how much of it was heard', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  await start(page);
  const playing = [
    { type: 'response.created', response: { id: 'resp_1' } },
    { type: 'output_audio_buffer.started', response_id: 'resp_1' },
  ];
  await far.say(HELLO, ...playing);
  await state(page, 'speaking');
  await far.say(
    { type: 'input_audio_buffer.speech_started', item_id: 'item_2', audio_start_ms: 1 },
    { type: 'output_audio_buffer.cleared', response_id: 'resp_1' },
    { type: 'conversation.item.truncated', item_id: 'item_1', content_index: 0, audio_end_ms: 320 },
    { type: 'response.done', response: { id: 'resp_1', status: 'cancelled', output: [] } },
  );
  await state(page, 'user_speaking');
  expect(await told(page, 'told.cuts')).toEqual([{ itemId: 'item_1', playedMs: 320 }]);
  await far.say({ type: 'input_audio_buffer.speech_stopped', item_id: 'item_2' }, ...playing);
  await state(page, 'speaking');
  // Nothing was asked of a far end that stops by itself; one who interrupts in writing asks for both.
  expect(far.frames).toEqual([]);
  await page.evaluate('call.interrupt()');
  await far.next('output_audio_buffer.clear');
  expect(far.frames.map(({ type }) => type)).toEqual(['response.cancel', 'output_audio_buffer.clear']);
  await page.evaluate('call.hangUp()');
});

test('push-to-talk is heard only while it is pressed, and letting go asks for the answer', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  await start(page);
  await far.say(PUSH_TO_TALK);
  await state(page, 'listening');
  expect(await told(page, 'call.pushToTalk')).toBe(true);
  // What was on its way when the microphone closed has passed.
  await far.hears(500);
  expect(await far.hears(1500)).toBeLessThan(0.001);
  await page.evaluate('call.press()');
  expect(await far.hears(1500)).toBeGreaterThan(0.02);
  await page.evaluate('call.release()');
  await far.next('response.create');
  expect(far.frames.map(({ type }) => type)).toEqual([
    'input_audio_buffer.clear',
    'input_audio_buffer.commit',
    'response.create',
  ]);
  expect(await told(page, 'told.microphone')).toEqual([false, true, false]);
  await page.evaluate('call.hangUp()');
});

test('a muted microphone is heard as silence', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  await start(page);
  await far.say(HELLO);
  await state(page, 'listening');
  await page.evaluate('call.mute()');
  await far.hears(500);
  expect(await far.hears(1500)).toBeLessThan(0.001);
  await page.evaluate('call.unmute()');
  expect(await far.hears(1500)).toBeGreaterThan(0.02);
  await page.evaluate('call.hangUp()');
});

test('a page that is left ends its session', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  await start(page);
  await page.goto('about:blank');
  await far.until(() => far.closed.length > 0);
  expect(far.closed).toEqual([{ reason: 'client_left' }]);
});
