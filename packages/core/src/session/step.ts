// The one function over a session's log. It touches no clock, socket, promise or random source: time is in the entry,
// ids are in the entry, and what has to be done comes back as effects.
//
// P1  Every call id gets exactly one answer.
// P2  A function runs only after `tool.dispatched` is in the log.
// P3  One answer is generated at a time; whatever else should be said waits for it.
// P4  After `session.closing` nothing new begins; everything begun ends in the log before `session.closed`.

import type { EventOf, EventRecord, ResolvedTool, SessionEvent } from '../contract/events.ts';
import type { ModelCommand, ModelCommandOf } from '../contract/model.ts';
import { LIMITS, TIMES } from '../contract/names.ts';
import type { ErrorObject } from '../errors.ts';
import type { Effect } from './effects.ts';
import { callEnded, isNative, tampered } from './calls.ts';
import { closing, cut } from './ending.ts';
import { completed as responseCompleted, failed, flush, interrupted, played, started, wantSay } from './responses.ts';
import type { SessionState } from './state.ts';
import { called, completed as toolCompleted, dispatched, rejected } from './tools.ts';

export interface Step {
  state: SessionState;
  effects: Effect[];
}

/** What still matters once a session is closing (P4): the ends of what was begun, and requests that need their no. */
const SETTLES: ReadonlySet<string> = new Set<SessionEvent['type']>([
  'response.completed',
  'say.requested',
  'tool.called',
  'tool.completed',
  'tool.rejected',
  'session.closed',
]);

/** Folds one entry. The entry is taken as it is: whoever appends it has checked it. */
export function step(before: SessionState, entry: EventRecord): Step {
  const state: SessionState = { ...before, seq: entry.seq };
  if (before.phase === 'closed') return { state, effects: [] };
  if (before.phase === 'closing' && !SETTLES.has(entry.type)) return { state, effects: [] };
  return { state, effects: effectsOf(state, entry) };
}

// `state` is this step's own copy: the functions below write to its fields, and never into what a field holds.
function effectsOf(state: SessionState, entry: EventRecord): Effect[] {
  switch (entry.type) {
    case 'session.created':
      return created(state, entry);
    case 'provider.connected':
      return providerConnected(state);
    case 'provider.disconnected':
      return close(
        state,
        'provider_lost',
        'provider',
        entry.error ?? {
          code: 'unavailable',
          message: `the provider ended the connection with ${entry.code}${entry.reason ? `: ${entry.reason}` : ''}`,
          retryable: true,
        },
      );
    case 'provider.reconnecting':
      return reconnecting(state, entry);
    case 'provider.failed':
      // Nobody can say what a session is that could not be put right.
      if (entry.command_id === 'restore') return close(state, 'tampered', 'server', entry.error);
      return failed(state, entry);
    case 'call.offered':
      // Of changes from now on the new call was not told.
      state.connecting = entry.media === 'native' || state.connecting;
      return [idle(state), ...connect(state)];
    case 'call.failed':
      if (isNative(state)) {
        state.connecting = false;
        state.waiting_update = null;
      }
      return [];
    case 'call.ended':
      return isNative(state) ? callEnded(state, entry) : [];
    case 'session.tampered':
      return tampered(state, entry);
    case 'client.attached':
      state.clients += 1;
      state.had_client = true;
      return [idle(state), ...connect(state)];
    case 'client.detached':
      return clientDetached(state, entry);
    case 'turn.requested':
      return turnRequested(state, entry);
    case 'speech.started':
      state.user_speaking = true;
      return [idle(state), ...interrupted(state, entry.at_ms, { played_ms: entry.played_ms })];
    case 'speech.stopped':
      state.user_speaking = false;
      return flush(state);
    case 'turn.completed':
      state.turns += 1;
      state.user_speaking = false;
      return [idle(state), ...flush(state)];
    case 'response.started':
      return started(state, entry);
    case 'response.completed':
      return responseCompleted(state, entry);
    case 'response.played':
      return played(state, entry);
    case 'item.truncated':
      return state.playing?.item_id === entry.item_id
        ? interrupted(state, entry.at_ms, { played_ms: entry.audio_ms, forced: true })
        : [];
    case 'interruption.requested':
      return [...cancel(state), ...interrupted(state, entry.at_ms, { played_ms: entry.played_ms, forced: true })];
    case 'say.requested':
      if (state.phase === 'closing') return wantSay(state, entry);
      return [idle(state), ...connect(state), ...wantSay(state, entry)];
    case 'input.injected':
      return injected(state, entry);
    case 'response.requested':
      state.respond_wanted = true;
      return [idle(state), ...connect(state), ...flush(state)];
    case 'session.updated':
      return updated(state, entry);
    case 'tool.called':
      return called(state, entry);
    case 'tool.rejected':
      return rejected(state, entry);
    case 'tool.dispatched':
      return dispatched(state, entry);
    case 'tool.completed':
      return toolCompleted(state, entry);
    case 'handler.attached':
      state.handler = 'attached';
      return [{ kind: 'timer.clear', timer: 'handler' }];
    case 'handler.detached':
      if (state.handler !== 'attached') return [];
      state.handler = 'detached';
      return [{ kind: 'timer.set', timer: 'handler', ms: TIMES.agent_resume_ms }];
    case 'handler.completed':
      state.handler = 'completed';
      return flush(state);
    case 'handler.failed':
      // While its agent is away, a failure is the agent's: it did not come back, or came back without the handler.
      return state.handler === 'detached'
        ? close(state, 'handler_lost', 'server', entry.error)
        : close(state, 'handler_failed', 'handler', entry.error);
    case 'timer.fired':
      return timerFired(state, entry);
    case 'session.closing':
      return closing(state, entry);
    case 'session.closed':
      state.phase = 'closed';
      return [];
    default:
      // Entries that only tell, and entries of types that came after this code was written.
      return [];
  }
}

function created(state: SessionState, entry: EventRecord<EventOf<'session.created'>>): Effect[] {
  const declaration = entry.declaration as SessionState['declaration'];
  state.phase = 'starting';
  state.session_id = entry.session_id;
  state.created_at_ms = entry.at_ms;
  state.declaration = declaration;
  state.tools = entry.tools;
  state.enabled_tools = entry.tools.map((tool) => tool.name);
  return [
    { kind: 'timer.set', timer: 'duration', ms: declaration?.limits.max_duration_ms ?? TIMES.session_max_ms },
    idle(state),
  ];
}

/** The provider is connected late, when somebody is there: providers bill by the second. */
function connect(state: SessionState): Effect[] {
  // A call that the provider terminates begins with the client's offer.
  if (state.phase !== 'starting' || state.connecting || isNative(state)) return [];
  state.connecting = true;
  return [{ kind: 'provider.connect' }];
}

function providerConnected(state: SessionState): Effect[] {
  if (state.phase !== 'starting') return [];
  state.phase = 'live';
  state.connecting = false;
  const waiting = state.waiting_commands;
  state.waiting_commands = [];
  const update = state.waiting_update;
  state.waiting_update = null;
  return [
    ...(update ? [{ kind: 'provider.send' as const, command: update }] : []),
    ...waiting.flatMap(sent),
    ...flush(state),
  ];
}

/** A connection is replaced by another one, and what was asked of the first is asked of the second. */
function reconnecting(state: SessionState, entry: EventRecord<EventOf<'provider.reconnecting'>>): Effect[] {
  if (state.phase !== 'live') return [];
  const { creating, response } = state;
  state.phase = 'starting';
  state.connecting = true;
  state.user_speaking = false;
  state.creating = null;
  state.response = null;
  const effects: Effect[] = [{ kind: 'timer.clear', timer: 'creating' }, { kind: 'provider.connect' }];
  if (creating?.kind === 'say') state.says = [creating.say, ...state.says];
  if (creating?.kind === 'respond' || (response && response.say_id === null && entry.respond)) {
    state.respond_wanted = true;
  }
  if (response && response.say_id !== null) effects.push(cut(response.say_id, ''));
  return effects;
}

/** A whole turn is here: whatever is being said is over, as when the user begins to speak. */
function turnRequested(state: SessionState, entry: EventRecord<EventOf<'turn.requested'>>): Effect[] {
  const { response, creating } = state;
  const busy = state.phase === 'live' && (response !== null || creating !== null);
  const which = response === null ? {} : { response_id: response.response_id };
  return [
    idle(state),
    ...connect(state),
    ...(busy ? [{ kind: 'provider.send' as const, command: { type: 'cancel' as const, ...which } }] : []),
    ...interrupted(state, entry.at_ms, {}),
  ];
}

function injected(state: SessionState, entry: EventRecord<EventOf<'input.injected'>>): Effect[] {
  if (entry.respond) state.respond_wanted = true;
  const command: ModelCommand = entry.item
    ? {
        type: 'add_item',
        item: entry.item,
        ...(entry.previous_item_id === undefined ? {} : { previous_item_id: entry.previous_item_id }),
      }
    : { type: 'add_text', role: 'user', text: entry.text };
  if (state.phase === 'starting') {
    if (state.waiting_commands.length >= LIMITS.texts_waiting_max)
      return [record({ type: 'limit.reached', limit: 'texts_waiting_max', value: LIMITS.texts_waiting_max })];
    state.waiting_commands = [...state.waiting_commands, command];
    return [idle(state), ...connect(state)];
  }
  return [idle(state), ...sent(command), ...flush(state)];
}

/** A command goes out; that of a tool's output is the call's one answer. */
function sent(command: ModelCommand): Effect[] {
  const effect: Effect = { kind: 'provider.send', command };
  return command.type === 'tool_output'
    ? [effect, record({ type: 'tool.answered', call_id: command.call_id })]
    : [effect];
}

/** Once: an answer that was interrupted already is being cancelled. */
function cancel({ response }: SessionState): Effect[] {
  if (!response || response.interrupted_ms !== null) return [];
  return [{ kind: 'provider.send', command: { type: 'cancel', response_id: response.response_id } }];
}

/** A client that hangs up ends the session; one that was cut off may come back. */
function clientDetached(state: SessionState, entry: EventRecord<EventOf<'client.detached'>>): Effect[] {
  state.clients = Math.max(0, state.clients - 1);
  const hungUp = entry.code === 1000 || entry.code === 1001 || entry.code === 1005;
  if (hungUp && state.clients === 0) return close(state, 'client_left', 'client');
  return [idle(state)];
}

function updated(state: SessionState, entry: EventRecord<EventOf<'session.updated'>>): Effect[] {
  const command: Extract<Effect, { kind: 'provider.send' }>['command'] = { type: 'update' };
  if (entry.instructions !== undefined) command.instructions = entry.instructions;
  if (entry.voice !== undefined) command.voice = entry.voice;
  if (entry.turn_detection !== undefined) command.turn_detection = entry.turn_detection;
  if (entry.resolved_tools !== undefined) {
    // Another agent takes over. What the model says in the answer that it is giving was begun with the tools of before.
    if (state.response) {
      const began_with = state.response.tools ?? state.tools.filter((tool) => state.enabled_tools.includes(tool.name));
      state.response = { ...state.response, tools: began_with };
    }
    state.tools = entry.resolved_tools;
    state.enabled_tools = entry.resolved_tools.map((tool) => tool.name);
    command.tools = told(entry.resolved_tools);
  }
  if (entry.tools !== undefined) {
    const wanted = new Set(entry.tools);
    // Only what was resolved at the start can be enabled: an update narrows the allowlist, it never widens it.
    const enabled = state.tools.filter((tool) => wanted.has(tool.name));
    state.enabled_tools = enabled.map((tool) => tool.name);
    command.tools = told(enabled);
  }
  if (entry.settings !== undefined) command.settings = entry.settings;
  if (state.declaration) {
    const { instructions, voice, turn_detection } = command;
    state.declaration = {
      ...state.declaration,
      ...(instructions === undefined ? {} : { instructions }),
      ...(voice === undefined ? {} : { voice }),
      ...(turn_detection === undefined ? {} : { turn_detection }),
    };
  }
  // A connection that is being made was told the old values; one that is made later is told the new ones.
  if (state.connecting) state.waiting_update = { ...state.waiting_update, ...command };
  return state.phase === 'live' ? [{ kind: 'provider.send', command }] : [];
}

function told(tools: readonly ResolvedTool[]): NonNullable<ModelCommandOf<'update'>['tools']> {
  return tools.map(({ name, description, input_schema }) => ({
    name,
    ...(description === undefined ? {} : { description }),
    ...(input_schema === undefined ? {} : { input_schema }),
  }));
}

function timerFired(state: SessionState, entry: EventRecord<EventOf<'timer.fired'>>): Effect[] {
  switch (entry.timer) {
    case 'duration':
      return [
        record({ type: 'limit.reached', limit: 'max_duration_ms', value: entry.at_ms - state.created_at_ms }),
        ...close(state, 'max_duration', 'limit'),
      ];
    case 'idle':
      return [
        record({
          type: 'limit.reached',
          limit: 'idle_timeout_ms',
          value: idleMs(state),
        }),
        ...close(state, 'idle_timeout', 'limit'),
      ];
    case 'playback':
      return state.playing ? [record({ type: 'response.played', response_id: state.playing.response_id })] : [];
    case 'creating':
      return state.creating
        ? [
            record({
              type: 'provider.failed',
              error: {
                code: 'deadline_exceeded',
                message: 'the provider did not begin an answer in time',
                retryable: true,
              },
            }),
          ]
        : [];
    case 'handler':
      if (state.handler !== 'detached') return [];
      return close(state, 'handler_lost', 'server', {
        code: 'unavailable',
        message: 'the agent that ran the handler did not come back',
        retryable: true,
      });
    default:
      return [];
  }
}

function idle(state: SessionState): Effect {
  return { kind: 'timer.set', timer: 'idle', ms: idleMs(state) };
}

function idleMs(state: SessionState): number {
  const idle_ms = state.declaration?.limits.idle_timeout_ms ?? TIMES.session_idle_ms;
  // A call whose client was cut off costs money while nobody hears it.
  const alone = state.clients === 0 && state.had_client;
  return alone ? Math.min(idle_ms, TIMES.client_resume_ms) : idle_ms;
}

function record(event: SessionEvent): Effect {
  return { kind: 'record', event };
}

/** Asks for the end, and says with what error it will be. */
function close(
  state: SessionState,
  reason: string,
  by: EventOf<'session.closing'>['by'],
  error: ErrorObject | null = null,
): Effect[] {
  state.closing = { reason, error };
  return [record({ type: 'session.closing', reason, by })];
}
