// What was heard decides what is cut: by a clock, or by the player that knows.

import { afterEach, describe, expect, test } from 'vitest';
import { RealtimeAgent } from './agent.ts';
import { PlaybackTracker } from './play/tracker.ts';
import type { RealtimeSession } from './session.ts';
import { started } from './test-support/started.ts';

const open: RealtimeSession[] = [];
afterEach(async () => {
  for (const session of open.splice(0)) await session.close();
});

const agent = new RealtimeAgent({ name: 'desk' });

async function run(replies?: Parameters<typeof started>[1], options?: Parameters<typeof started>[2]) {
  const all = await started(agent, replies, options);
  open.push(all.session);
  return all;
}

/** Two seconds of sound, in ten words. */
const LONG = { say: 'one two three four five six seven eight nine ten', audioMs: 2_000 };

describe('by a clock', () => {
  test('speech over a generated answer cuts what was not heard of it', async () => {
    const { session, scripted, time, of } = await run([LONG]);
    await session.sendMessage('count');
    await time.pass(700);
    scripted.connection.userStarts();
    await time.settle();
    expect(scripted.framesOf('conversation.item.truncate')).toMatchObject([{ content_index: 0, audio_end_ms: 700 }]);
    expect(of('audio_interrupted')).toMatchObject([{ playedMs: 700, itemId: session.history[1]?.itemId }]);
    expect(session.history[1]).toMatchObject({ status: 'incomplete', content: [{ transcript: 'one two three' }] });
    expect(scripted.framesOf('response.cancel')).toHaveLength(0);
  });

  test('speech over an answer that is still being generated lets nothing more of it through', async () => {
    const { session, scripted, time, of } = await run([{ ...LONG, hold: true }]);
    await session.sendMessage('count');
    await time.pass(500);
    scripted.connection.say({ type: 'input_audio_buffer.speech_started', item_id: 'item_u', audio_start_ms: 0 });
    await time.settle();
    const heard = of('audio').length;
    const { itemId, responseId } = of('audio')[0] as { itemId: string; responseId: string };
    const at = { response_id: responseId, item_id: itemId, content_index: 0, output_index: 0 };
    scripted.connection.say(
      { type: 'response.output_audio.delta', ...at, delta: Buffer.alloc(480).toString('base64') },
      { type: 'response.output_audio_transcript.delta', ...at, delta: ' eleven' },
    );
    await time.settle();
    expect(of('audio')).toHaveLength(heard);
    expect(of('audio_interrupted')).toHaveLength(1);
    scripted.connection.finish();
    await time.settle();
    expect(session.history[1]).toMatchObject({ status: 'incomplete', content: [{ transcript: 'one two' }] });
  });

  test('an answer that was heard is not cut', async () => {
    const { session, scripted, time, of } = await run([LONG]);
    await session.sendMessage('count');
    await time.pass(2_000);
    scripted.connection.userStarts();
    await time.settle();
    expect(of('audio_played')).toHaveLength(1);
    expect(scripted.framesOf('conversation.item.truncate')).toHaveLength(0);
    expect(of('audio_interrupted')).toHaveLength(0);
  });

  test('two answers behind each other: the first is cut where it is, the second before its first sound', async () => {
    const { session, scripted, time } = await run([LONG, LONG]);
    await session.sendMessage('count');
    await time.settle();
    await session.sendMessage('again');
    await time.pass(300);
    session.interrupt();
    await time.settle();
    expect(scripted.framesOf('conversation.item.truncate').map(({ audio_end_ms }) => audio_end_ms)).toEqual([300, 0]);
  });

  test('where the session says that speech interrupts nothing, it does not', async () => {
    const { session, scripted, time, of } = await run([{ ...LONG, hold: true }], {
      config: { modelSettings: { turnDetection: { type: 'server_vad', interruptResponse: false } } },
    });
    await session.sendMessage('count');
    await time.pass(500);
    scripted.connection.say({ type: 'input_audio_buffer.speech_started', item_id: 'item_u', audio_start_ms: 0 });
    await time.settle();
    expect(of('audio_interrupted')).toHaveLength(0);
    session.interrupt();
    expect(of('audio_interrupted')).toMatchObject([{ playedMs: 500 }]);
  });
});

describe('interrupt()', () => {
  test('cancels the answer, then cuts it, once', async () => {
    const { session, scripted, time, of } = await run([{ ...LONG, hold: true }]);
    await session.sendMessage('count');
    await time.pass(400);
    session.interrupt();
    session.interrupt();
    await time.settle();
    const types = scripted.sent.map(({ type }) => type);
    expect(types.slice(-2)).toEqual(['response.cancel', 'conversation.item.truncate']);
    expect(scripted.framesOf('response.cancel')).toHaveLength(1);
    expect(of('agent_end')).toMatchObject([{ status: 'cancelled' }]);
  });

  test('with nothing to interrupt says nothing', async () => {
    const { session, scripted, time, of } = await run();
    session.interrupt();
    await time.settle();
    expect(scripted.sent).toHaveLength(1);
    expect(of('error')).toHaveLength(0);
  });
});

describe('by a player', () => {
  test('what it says counts, and not the clock', async () => {
    const tracker = new PlaybackTracker();
    const { session, scripted, time, of } = await run([LONG], { modelConfig: { playbackTracker: tracker } });
    await session.sendMessage('count');
    await time.pass(5_000);
    expect(of('audio_played')).toHaveLength(0);
    const [first] = of('audio');
    tracker.onPlayBytes(first?.itemId ?? '', 0, 48 * 250);
    tracker.onPlayMs(first?.itemId ?? '', 0, 50);
    scripted.connection.userStarts();
    await time.settle();
    expect(scripted.framesOf('conversation.item.truncate')).toMatchObject([{ audio_end_ms: 300 }]);
    expect(tracker.getState()).toBeNull();
  });

  test('never cuts after the last millisecond that came', async () => {
    const tracker = new PlaybackTracker();
    const { session, scripted, time } = await run([{ ...LONG, hold: true }], {
      modelConfig: { playbackTracker: tracker },
    });
    await session.sendMessage('count');
    await time.settle();
    tracker.onPlayMs(session.history[1]?.itemId ?? '', 0, 9_999.9);
    session.interrupt();
    await time.settle();
    expect(scripted.framesOf('conversation.item.truncate')).toMatchObject([{ audio_end_ms: 2_000 }]);
  });

  test('an answer is heard when the player says so', async () => {
    const tracker = new PlaybackTracker();
    const { session, time, of } = await run([LONG], { modelConfig: { playbackTracker: tracker } });
    await session.sendMessage('count');
    await time.pass(3_000);
    tracker.onPlayMs(of('audio')[0]?.itemId ?? '', 0, 2_000);
    await time.pass(500);
    expect(of('audio_played')).toHaveLength(1);
  });

  test('knows its format: a millisecond of G.711 is eight bytes', async () => {
    const tracker = new PlaybackTracker();
    const { session, scripted, time } = await run([{ ...LONG, audioMs: 200, hold: true }], {
      config: { modelSettings: { audio: { output: { format: 'g711_ulaw' } } } },
      modelConfig: { playbackTracker: tracker },
    });
    await session.sendMessage('count');
    await time.settle();
    tracker.onPlayBytes(session.history[1]?.itemId ?? '', 0, 800);
    session.interrupt();
    await time.settle();
    expect(scripted.framesOf('conversation.item.truncate')).toMatchObject([{ audio_end_ms: 100 }]);
  });
});

test('say resolves with what was heard of the words', async () => {
  const { session, scripted, time } = await run();
  const whole = session.say('All of this.');
  await time.pass(5_000);
  expect(await whole).toEqual({ interrupted: false, spokenText: 'All of this.' });
  const cut = session.say('one two three four five six seven eight');
  await time.pass(1_200);
  scripted.connection.userStarts();
  await time.settle();
  expect(await cut).toEqual({ interrupted: true, spokenText: 'one two three four' });
});

test('a part that is not heard at all and cannot be cut is deleted', async () => {
  const { session, scripted, time } = await run([{ ...LONG, hold: true }]);
  await session.sendMessage('count');
  await time.settle();
  scripted.fault({ kind: 'refuse', type: 'conversation.item.truncate', message: 'nothing to truncate' });
  session.interrupt();
  await time.settle();
  expect(scripted.framesOf('conversation.item.delete')).toHaveLength(1);
  expect(session.history).toHaveLength(1);
});
