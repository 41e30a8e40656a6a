import { expect, test } from 'vitest';
import { Agent } from './agent.ts';
import { memoryLog, type PeerLink, serving, until } from './control-plane.test.peer.ts';
import type { RealtimeSession } from './realtime-session.ts';
import type { SessionHandler, SessionOptions } from './session-options.ts';
import type { Turn } from './turns.ts';

const SIMULATED: SessionOptions = { provider: 'simulator', transport: 'websocket' };
const CLOSED = {
  type: 'session.closed',
  reason: 'client_closed',
  duration_ms: 1,
  turns: 1,
  tool_calls: 0,
  user_audio_ms: 0,
  reply_audio_ms: 0,
};

function desk(handler: SessionHandler): Agent {
  return new Agent('support').session('desk', SIMULATED, handler);
}

function say(log: (event: Record<string, unknown>) => void, turn_id: string, text: string): void {
  log({ type: 'turn.started', turn_id, source: 'audio' });
  log({ type: 'turn.completed', turn_id, source: 'audio', text, audio_ms: 800 });
}

/** A handler that hands out its session and stays until the end. */
function held(): { handler: SessionHandler; session: Promise<RealtimeSession> } {
  const given = Promise.withResolvers<RealtimeSession>();
  const handler: SessionHandler = async (session) => {
    given.resolve(session);
    await new Promise((resolve) => session.signal.addEventListener('abort', resolve));
  };
  return { handler, session: given.promise };
}

async function answer(link: PeerLink, result: unknown): Promise<string> {
  const frame = await link.next('session.say');
  link.send({ type: 'reply', request_id: frame.request_id, result });
  return frame.text;
}

test('speaking over an answer aborts the turn that is answered, and no other', async () => {
  for (const interruption of [
    { type: 'response.interrupted', response_id: 'resp_1', played_ms: 300 },
    { type: 'turn.started', turn_id: 'turn_2', source: 'audio' },
  ]) {
    const turns: Turn[] = [];
    const agent = desk(async (session) => {
      for await (const turn of session) {
        turns.push(turn);
        await session.call('look_up', { text: turn.text }, { signal: turn.signal }).catch(() => undefined);
      }
    });
    await using rig = await serving(agent);
    const { log } = rig.link.openSession('desk');
    say(log, 'turn_1', 'Where is 42?');
    const call = await rig.link.next('function.call');
    log(interruption);
    expect(await rig.link.next('function.cancel')).toEqual({ type: 'function.cancel', request_id: call.request_id });
    expect(turns[0]?.signal.reason).toMatchObject({ code: 'cancelled', message: 'the user interrupted' });
    say(log, 'turn_2', 'And 43?');
    await rig.link.next('function.call');
    expect(turns.map((turn) => [turn.id, turn.text, turn.source, turn.audioMs, turn.signal.aborted])).toEqual([
      ['turn_1', 'Where is 42?', 'audio', 800, true],
      ['turn_2', 'And 43?', 'audio', 800, false],
    ]);
  }
});

test('a turn that was answered is not aborted by the next one', async () => {
  const first = Promise.withResolvers<Turn>();
  const second = Promise.withResolvers<Turn>();
  const agent = desk(async (session) => {
    first.resolve(await session.input());
    second.resolve(await session.input());
  });
  await using rig = await serving(agent);
  const { log } = rig.link.openSession('desk');
  say(log, 'turn_1', 'one');
  const one = await first.promise;
  // The handler asked for the next turn: the first one is answered.
  await new Promise((resolve) => setImmediate(resolve));
  say(log, 'turn_2', 'two');
  await second.promise;
  expect(one.signal.aborted).toBe(false);
});

test('say resolves with what was heard', async () => {
  const heard = Promise.withResolvers<unknown>();
  const agent = desk(async (session) => heard.resolve(await session.say('It ships on Friday.')));
  await using rig = await serving(agent);
  rig.link.openSession('desk');
  expect(await answer(rig.link, { interrupted: true, spoken_text: 'It ships' })).toBe('It ships on Friday.');
  expect(await heard.promise).toEqual({ interrupted: true, spokenText: 'It ships' });
  expect(await rig.link.next('session.handled')).not.toHaveProperty('error');
});

test('after the end every method rejects, and says why it ended', async () => {
  const { handler, session } = held();
  await using rig = await serving(desk(handler));
  const { log } = rig.link.openSession('desk');
  const live = await session;
  const waiting = Promise.allSettled([
    live.input(),
    live.say('hello'),
    live.call('look_up'),
    live.update({ voice: 'x' }),
  ]);
  await rig.link.next('function.call');
  log({ type: 'session.closing', reason: 'max_duration', by: 'limit' });
  const late = Promise.allSettled([live.input(), live.say('hello'), live.call('look_up')]);
  for (const outcome of [...(await waiting), ...(await late)]) {
    expect(outcome).toMatchObject({
      status: 'rejected',
      reason: { code: 'cancelled', message: 'the session ended: max_duration', details: { reason: 'max_duration' } },
    });
  }
  for await (const turn of live) expect.unreachable(`a turn after the end: ${turn.id}`);
  expect(live.signal.aborted).toBe(true);
  expect(await rig.link.next('session.handled')).not.toHaveProperty('error');
});

test('a handler that lets the end pass through has not failed; one that throws has', async () => {
  const { log: memory, entries } = memoryLog();
  const agent = new Agent('support', { log: memory })
    .session('waits', SIMULATED, async (session) => {
      await session.input();
    })
    .session('breaks', SIMULATED, () => {
      throw new Error('no database');
    });
  await using rig = await serving(agent, { log: memory });
  const waits = rig.link.openSession('waits');
  const breaks = rig.link.openSession('breaks');
  const failed = await rig.link.next('session.handled', (frame) => frame.session_id === breaks.session_id);
  expect(failed.error).toMatchObject({ code: 'unknown', message: 'no database' });
  waits.log({ type: 'session.closing', reason: 'hung_up', by: 'client' });
  const ended = await rig.link.next('session.handled', (frame) => frame.session_id === waits.session_id);
  expect(ended).toEqual({ type: 'session.handled', session_id: waits.session_id });
  expect(entries.join('\n')).toContain('the handler ended');
});

test('a handler that never returns holds up no other session', async () => {
  const agent = new Agent('support')
    .session('stuck', SIMULATED, () => new Promise(() => undefined))
    .session('desk', SIMULATED, async (session) => {
      for await (const turn of session) await session.say(turn.text);
    });
  await using rig = await serving(agent);
  rig.link.openSession('stuck');
  const { log } = rig.link.openSession('desk');
  say(log, 'turn_1', 'hello');
  expect(await answer(rig.link, { interrupted: false, spoken_text: 'hello' })).toBe('hello');
  expect(rig.handle.status.sessions).toBe(2);
});

test('a session that this agent has no handler for, or no room for, is handed back', async () => {
  const agent = new Agent('support', { sessionsMax: 1 }).session('desk', SIMULATED, () => new Promise(() => undefined));
  await using rig = await serving(agent);
  const wrong = rig.link.openSession('voice');
  expect(await rig.link.next('session.handled', (frame) => frame.session_id === wrong.session_id)).toMatchObject({
    error: { code: 'not_found' },
  });
  rig.link.openSession('desk');
  const full = rig.link.openSession('desk');
  expect(await rig.link.next('session.handled', (frame) => frame.session_id === full.session_id)).toMatchObject({
    error: { code: 'resource_exhausted' },
  });
});

test('when the handler does not keep up, the oldest turn goes', async () => {
  const { handler, session } = held();
  const { log: memory, entries } = memoryLog();
  await using rig = await serving(desk(handler), { turnsMax: 2, log: memory });
  const { log } = rig.link.openSession('desk');
  const live = await session;
  for (const id of ['turn_1', 'turn_2', 'turn_3']) say(log, id, id);
  await until(() => entries.some((entry) => entry.includes('a turn was dropped')));
  expect((await live.input()).id).toBe('turn_2');
  expect((await live.input()).id).toBe('turn_3');
  expect(entries.join('\n')).not.toContain('"text"');
});

test('update, inject and close go out as requests', async () => {
  const { handler, session } = held();
  await using rig = await serving(desk(handler));
  const { session_id } = rig.link.openSession('desk');
  const live = await session;
  expect([live.metadata, live.target]).toEqual([{ caller: 'ada' }, 'support.desk']);
  const asked = Promise.all([
    live.update({
      instructions: 'Be brief.',
      turnDetection: { type: 'server_vad', silenceDurationMs: 300 },
      tools: [],
    }),
    live.inject('The user is a member.', { respond: true }),
    live.close('done'),
  ]);
  const update = await rig.link.next('session.update');
  expect(update).toMatchObject({
    session_id,
    instructions: 'Be brief.',
    turn_detection: { type: 'server_vad', silence_duration_ms: 300 },
    tools: [],
  });
  const inject = await rig.link.next('session.inject');
  expect(inject).toMatchObject({ session_id, text: 'The user is a member.', respond: true });
  const close = await rig.link.next('session.close');
  expect(close).toMatchObject({ session_id, reason: 'done' });
  for (const { request_id } of [update, inject, close]) rig.link.send({ type: 'reply', request_id, result: null });
  await asked;
  await expect(live.update({ turnDetection: { type: 'server_vad', threshold: 3 } })).rejects.toMatchObject({
    code: 'invalid_argument',
  });
  await expect(live.say('')).rejects.toMatchObject({ code: 'invalid_argument', message: 'text must not be empty' });
  await expect(live.say('x'.repeat(16_385))).rejects.toMatchObject({ details: { path: 'text' } });
  await expect(live.call('No Such Name')).rejects.toMatchObject({ code: 'invalid_argument' });
  await expect(live.call('look_up', { at: new Map() })).rejects.toMatchObject({ code: 'invalid_argument' });
});

test('a cut link is resumed: entries that come twice count once, a say goes on, and the end is told again', async () => {
  const turns: string[] = [];
  const spoken: unknown[] = [];
  const agent = desk(async (session) => {
    for await (const turn of session) {
      turns.push(turn.id);
      spoken.push(await session.say('yes'));
      if (turns.length === 2) return;
    }
  });
  await using rig = await serving(agent);
  const { session_id, log } = rig.link.openSession('desk');
  say(log, 'turn_1', 'one');
  const cutSay = await rig.link.next('session.say');
  rig.link.cut();

  const second = await rig.plane.link();
  const register = await second.register();
  expect(register.sessions_open).toEqual([{ session_id, after_seq: 2 }]);
  const event = (seq: number, more: Record<string, unknown>): void =>
    second.send({ type: 'session.event', session_id, event: { seq, at_ms: seq, source: 'text', ...more } });
  event(2, { type: 'turn.completed', turn_id: 'turn_1', text: 'one' });
  second.send({ type: 'reply', request_id: cutSay.request_id, result: { interrupted: false, spoken_text: 'yes' } });
  event(3, { type: 'turn.completed', turn_id: 'turn_2', text: 'two' });
  expect(await answer(second, { interrupted: false, spoken_text: 'yes' })).toBe('yes');
  await second.next('session.handled');
  second.cut();

  const third = await rig.plane.link();
  expect((await third.register()).sessions_open).toEqual([{ session_id, after_seq: 3 }]);
  third.send({ type: 'agent.alive' });
  await third.next('session.handled');
  third.send({ type: 'session.event', session_id, event: { seq: 4, at_ms: 4, ...CLOSED } });
  third.cut();
  expect((await (await rig.plane.link()).register()).sessions_open).toEqual([]);
  expect(turns).toEqual(['turn_1', 'turn_2']);
  expect(spoken).toEqual([
    { interrupted: false, spokenText: 'yes' },
    { interrupted: false, spokenText: 'yes' },
  ]);
});

test('a session that the server lost ends for its handler', async () => {
  const { handler, session } = held();
  await using rig = await serving(desk(handler));
  const { session_id } = rig.link.openSession('desk');
  const live = await session;
  rig.link.cut();
  const second = await rig.plane.link();
  await second.register();
  const error = { code: 'not_found', message: 'no such session', retryable: false, details: { session_id } } as const;
  second.send({ type: 'agent.error', error });
  await until(() => live.signal.aborted);
  await expect(live.say('hello')).rejects.toMatchObject({ code: 'not_found' });
  await until(() => rig.handle.status.sessions === 0);
});
