import assert from 'node:assert/strict';
import { PacedSink, SAMPLE_RATE, startCall } from '@parley/client';
import { encodeSpeech } from '@parley/simulator/speech';
import type { Cases } from './case.ts';
import type { Conversation } from './conversation.ts';
import { AGENT, type House } from './house.ts';

const LONG = Array(3).fill('one two three four five six seven eight nine ten').join(' ');
/** How much of it the user hears before they speak: a good part, and far from all. */
const HEARD_MS = 1_500;

export const interrupt: Cases = {
  async 'a user who speaks over the agent cuts what it says, and the handler knows what was heard'({ house, signal }) {
    await house.agentUp(signal);
    const { cut, next } = await speakOver(house, signal, `${AGENT}.interrupt`);
    assert.ok(cut.spoken_text !== '' && cut.spoken_text !== LONG && LONG.startsWith(cut.spoken_text), cut.spoken_text);
    assert.equal(next.text, `cut after: ${cut.spoken_text}`);
  },

  async 'work for a turn is cancelled when the user goes on speaking'({ house, signal }) {
    await house.agentUp(signal);
    const call = await house.call('cancel');
    await house.slowCancelled(
      signal,
      () => work(house, signal, call),
      async () => {
        call.type('never mind');
        assert.equal(await call.answer(signal), 'heard never mind');
      },
    );
    await call.close(signal);
  },

  async 'the end of a session cancels what its handler waits for'({ house, signal }) {
    await house.agentUp(signal);
    const call = await house.call('cancel');
    await house.slowCancelled(
      signal,
      () => work(house, signal, call),
      () => call.close(signal),
    );
    // A handler that saw its session end has not failed.
    assert.ok(!(await call.log()).some(({ type }) => type === 'handler.failed'));
  },
};

/** Lets the handler call `slow`. Returns the id of that execution. */
function work(house: House, signal: AbortSignal, call: Conversation): Promise<string> {
  call.type('work');
  return house.child(signal, call.workflow_id, `${AGENT}.slow`);
}

/**
 * Lets the agent speak, speaks over it, and waits for what it says next.
 * @throws AssertionError when it was not interrupted, or the user was not understood.
 */
export async function speakOver(house: House, signal: AbortSignal, target: string) {
  const speaks = Promise.withResolvers<void>();
  let heard = 0;
  const sink = new PacedSink({
    onHeard: (pcm) => {
      heard += pcm.length;
      if (heard >= (SAMPLE_RATE * HEARD_MS) / 1000) speaks.resolve();
    },
  });
  async function* source(): AsyncGenerator<Int16Array> {
    const words = await encodeSpeech('stop please');
    await speaks.promise;
    yield words;
  }
  const { session_id, client_token } = await house.client.sessions.start(target);
  const audio = { source: source(), sink };
  const call = await startCall({ url: house.server.url, sessionId: session_id, token: client_token, audio, signal });
  const log = house.logOf(session_id);
  await log.until(signal, 'handler.attached');
  call.sendText('go on');
  const cut = await log.until(signal, 'say.completed');
  assert.equal(cut.interrupted, true);
  const turn = await log.until(signal, 'turn.completed', ({ source: from }) => from === 'audio');
  assert.equal(turn.text, 'stop please');
  const next = await log.until(signal, 'say.requested', ({ seq }) => seq > cut.seq);
  await call.hangUp();
  return { cut, next };
}
