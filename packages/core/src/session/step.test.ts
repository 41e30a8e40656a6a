// Promises of `step` over random logs: whatever order providers, clients, handlers and timers come in, they hold.

import { describe, expect, test } from 'vitest';
import type { EventRecord, SessionEvent } from '../contract/events.ts';
import { LIMITS } from '../contract/names.ts';
import { parseDeclaration } from '../declaration.ts';
import type { PerformedEffect } from './effects.ts';
import { fold, replay } from './fold.ts';
import { initialState, type SessionState } from './state.ts';

const EVENTS = 1_500;

/** mulberry32: a seed that failed fails again. */
function randomOf(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function created(random: () => number): SessionEvent {
  return {
    type: 'session.created',
    session_id: 's',
    workflow_id: 'w',
    execution_id: 'root',
    agent: 'support',
    target: 'support.voice',
    declaration: parseDeclaration({
      name: 'voice',
      provider: 'simulator',
      transport: 'websocket',
      ...(random() < 0.5 ? { limits: { max_tool_calls_in_flight: 2 } } : {}),
      ...(random() < 0.3 ? { turn_detection: { type: 'server_vad', interrupt_response: false } } : {}),
    }),
    tools: [
      { name: 'find', target: 'support.find', kind: 'skill', input_schema: { type: 'object', required: ['order'] } },
      { name: 'book', target: 'support.book', kind: 'skill', on_interrupt: 'cancel' },
    ],
    metadata: {},
  };
}

/** A plausible or an impossible next event: ids are drawn from those in use and from some that never were. */
function nextEvent(random: () => number, state: SessionState, n: number): SessionEvent {
  const pick = <T>(values: readonly T[]): T => values[Math.floor(random() * values.length)] as T;
  const calls = [...Object.keys(state.calls), ...state.answered.slice(-3), `call_${n}`, '__proto__', 'constructor'];
  const response_id = pick([state.response?.response_id ?? `r_${n}`, state.playing?.response_id ?? `r_${n}`, `r_${n}`]);
  const creating = state.creating?.kind === 'say' ? state.creating.say.say_id : undefined;
  const error = { code: 'internal' as const, message: 'x', retryable: false };
  const by = pick(['handler', 'api'] as const);
  const call_id = pick(calls);
  const candidates: (() => SessionEvent)[] = [
    () => ({ type: 'provider.connected' }),
    () => ({
      type: 'provider.failed',
      error,
      ...pick([{}, { command_id: 'respond' }, { command_id: creating ?? 'other' }]),
      ...pick([{}, { provider_code: 'conversation_already_has_active_response' }]),
    }),
    () => ({ type: 'client.attached', connection_id: `c_${n}` }),
    () => ({ type: 'client.detached', connection_id: 'c', code: 1006, reason: '' }),
    () => ({ type: 'speech.started', audio_ms: n }),
    () => ({ type: 'speech.stopped', audio_ms: n }),
    () => ({ type: 'turn.completed', turn_id: `t_${n}`, source: 'audio', text: 'hi' }),
    () => ({ type: 'response.started', response_id, cause: pick(['model', 'other'] as const) }),
    () => ({
      type: 'response.started',
      response_id: `r_${n}`,
      cause: 'say',
      ...(creating ? { say_id: creating } : {}),
    }),
    () => ({
      type: 'response.completed',
      response_id,
      status: pick(['completed', 'completed', 'cancelled', 'failed', 'incomplete'] as const),
      text: 'one two three',
      audio_ms: pick([0, 800, 5_000]),
      item_id: `i_${response_id}`,
      usage: { output_tokens: 1 },
    }),
    () => ({ type: 'item.truncated', item_id: state.playing?.item_id ?? 'none', audio_ms: 100 }),
    () => ({ type: 'say.requested', say_id: `say_${n}`, text: 'one two three', by }),
    () => ({ type: 'input.injected', text: 'x', respond: random() < 0.5, by }),
    () => ({ type: 'response.requested', by }),
    () => ({ type: 'session.updated', tools: pick([['find'], ['find', 'book'], ['other'], []]), by }),
    () => ({
      type: 'tool.called',
      call_id: pick([call_id, `call_${n}`]),
      name: pick(['find', 'book', 'toString', 'other']),
      arguments: pick(['{"order":"7"}', '{}', '', '{', 'null']),
      execution_id: `e_${n}`,
      source: pick(['model', 'model', 'client'] as const),
      response_id,
    }),
    () => ({
      type: 'tool.completed',
      call_id,
      name: 'find',
      execution_id: 'e',
      status: pick(['succeeded', 'failed', 'cancelled', 'timed_out', 'unknown'] as const),
      duration_ms: 1,
    }),
    () => ({ type: 'tool.rejected', call_id, name: 'find', error }),
    () => ({ type: 'handler.attached', link_id: 'l' }),
    () => ({ type: 'handler.detached', link_id: 'l', reason: 'cut' }),
    () => ({ type: 'timer.fired', timer: random() < 0.01 ? 'handler' : pick(['playback', 'creating', 'unknown']) }),
    () => ({ type: 'weather.changed', sky: 'grey' }) as unknown as SessionEvent,
  ];
  return pick(candidates)();
}

const ENDS: SessionEvent[] = [
  { type: 'session.closing', reason: 'done', by: 'api' },
  { type: 'timer.fired', timer: 'duration' },
  { type: 'timer.fired', timer: 'idle' },
  { type: 'handler.failed', error: { code: 'internal', message: 'x', retryable: false } },
  { type: 'provider.disconnected', code: 1006, reason: '', recoverable: false },
];

interface Run {
  log: EventRecord[];
  steps: { before: SessionState; after: SessionState; records: EventRecord[]; effects: PerformedEffect[] }[];
  /** Number of steps before the one that ends the session. */
  ended: number;
}

function runOf(seed: number): Run {
  const random = randomOf(seed);
  const run: Run = { log: [], steps: [], ended: EVENTS };
  let state = frozen(initialState());
  let at_ms = 1_000;
  for (let n = 0; n <= EVENTS + 200; n++) {
    const event =
      n === 0
        ? created(random)
        : n === EVENTS
          ? (ENDS[seed % ENDS.length] as SessionEvent)
          : // Everything else may still come after the end, other ends among it.
            n > EVENTS && random() < 0.2
            ? (ENDS[Math.floor(random() * ENDS.length)] as SessionEvent)
            : nextEvent(random, state, n);
    at_ms += Math.floor(random() * 700);
    const { state: after, records, effects } = fold(state, event, at_ms);
    run.steps.push({ before: state, after, records, effects });
    run.log.push(...records);
    state = frozen(after);
    // A handler that is waited for in vain is an end of its own.
    if (run.ended === EVENTS && state.phase === 'closing' && n < EVENTS) run.ended = n;
  }
  return run;
}

/** Writing into what a state holds would throw. */
function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) frozen(inner);
  }
  return value;
}

function counted(ids: Iterable<string>): Map<string, number> {
  const counts = new Map<string, number>();
  for (const id of ids) counts.set(id, (counts.get(id) ?? 0) + 1);
  return counts;
}

function idsOf<T extends SessionEvent['type'], K extends string>(log: EventRecord[], type: T, key: K): string[] {
  return log.filter((one) => one.type === type).map((one) => (one as unknown as Record<K, string>)[key]);
}

const RUNS = Array.from({ length: 16 }, (_, seed) => runOf(seed));

test('the random sessions reach everything that a session records by itself', () => {
  const recorded = new Set(
    RUNS.flatMap(({ steps }) => steps.flatMap(({ records }) => records.slice(1).map((one) => one.type))),
  );
  expect([...recorded].sort()).toEqual([
    'limit.reached',
    'provider.failed',
    'response.interrupted',
    'response.played',
    'say.completed',
    'session.closing',
    'tool.answered',
    'tool.completed',
    'tool.dispatched',
    'tool.rejected',
  ]);
  const done = new Set(RUNS.flatMap(({ steps }) => steps.flatMap(({ effects }) => effects.map((one) => one.kind))));
  expect([...done].sort()).toEqual([
    'execution.cancel',
    'execution.dispatch',
    'provider.connect',
    'provider.send',
    'session.end',
    'timer.clear',
    'timer.set',
  ]);
});

describe.each(RUNS.map((run, seed) => ({ run, seed })))('a random session, seed $seed', ({ run }) => {
  test('no call id is answered, dispatched or given out twice', () => {
    const sent = run.steps.flatMap(({ effects }) => effects);
    const outputs = sent.flatMap((one) =>
      one.kind === 'provider.send' && one.command.type === 'tool_output' ? [one.command.call_id] : [],
    );
    const dispatched = sent.flatMap((one) => (one.kind === 'execution.dispatch' ? [one.call_id] : []));
    for (const ids of [outputs, dispatched, idsOf(run.log, 'tool.answered', 'call_id')]) {
      // Ids that were forgotten may come again; only `__proto__` and `constructor` are used often enough for that.
      expect([...counted(ids)].filter(([id, n]) => n > 1 && id.startsWith('call_'))).toEqual([]);
    }
    expect(outputs).toEqual(idsOf(run.log, 'tool.answered', 'call_id'));
  });

  test('one answer is asked for at a time, and never into another', () => {
    for (const { after, effects, before } of run.steps) {
      const asked = effects.filter(
        (one) => one.kind === 'provider.send' && (one.command.type === 'say' || one.command.type === 'respond'),
      );
      expect(asked.length).toBeLessThanOrEqual(1);
      if (asked.length === 0) continue;
      expect(after).toMatchObject({ phase: 'live', response: null, user_speaking: false });
      expect(after.creating).not.toBeNull();
      expect(after.creating).not.toBe(before.creating);
    }
  });

  test('every say ends once', () => {
    const ended = counted(idsOf(run.log, 'say.completed', 'say_id'));
    for (const say_id of idsOf(run.log, 'say.requested', 'say_id'))
      expect([say_id, ended.get(say_id)]).toEqual([say_id, 1]);
  });

  test('after session.closing nothing begins, and what was begun has ended', () => {
    const ends = run.steps.flatMap(({ effects }) => effects.filter((one) => one.kind === 'session.end'));
    expect(ends).toHaveLength(1);
    expect(idsOf(run.log, 'session.closing', 'reason')).toHaveLength(
      // A second request for the end that came from outside is a fact, and stays in the log.
      1 + run.steps.slice(run.ended + 1).filter(({ records }) => records[0]?.type === 'session.closing').length,
    );
    for (const { effects, after } of run.steps.slice(run.ended + 1)) {
      expect(effects).toEqual([]);
      expect(after).toMatchObject({ calls: {}, says: [], creating: null, response: null, playing: null });
    }
  });

  test('the state is plain JSON and does not grow with the log', () => {
    for (const { after } of run.steps) {
      expect(after.answered.length).toBeLessThanOrEqual(LIMITS.answered_calls_max);
      expect(after.says.length).toBeLessThanOrEqual(LIMITS.says_waiting_max + 1);
      expect(after.waiting_commands.length).toBeLessThanOrEqual(LIMITS.texts_waiting_max);
      expect(Object.keys(after.calls).length).toBeLessThanOrEqual(LIMITS.tool_calls_in_flight);
    }
    const { after } = run.steps.at(-1) as Run['steps'][number];
    expect(JSON.parse(JSON.stringify(after))).toEqual(after);
    expect(structuredClone(after)).toEqual(after);
    expect(JSON.stringify(after).length).toBeLessThan(32_000);
  });

  test('the log is numbered without gaps, and a replay of it from text gives the same state', () => {
    expect(run.log.map((one) => one.seq)).toEqual(run.log.map((_, i) => i + 1));
    const stored = run.log.map((one) => JSON.parse(JSON.stringify(one)) as EventRecord);
    expect(replay(stored, initialState()).state).toEqual(run.steps.at(-1)?.after);
    const half = Math.floor(stored.length / 2);
    const resumed = JSON.parse(JSON.stringify(replay(stored.slice(0, half), initialState()).state)) as SessionState;
    expect(replay(stored.slice(half), resumed).state).toEqual(run.steps.at(-1)?.after);
  });
});
