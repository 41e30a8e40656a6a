// Answers: one is generated at a time (P3), and one is over when it was heard, not when it was generated.

import type { EventOf, EventRecord, Usage } from '../contract/events.ts';
import { LIMITS, TIMES } from '../contract/names.ts';
import type { Effect } from './effects.ts';
import { cut, heardText } from './ending.ts';
import type { Creating, SessionState } from './state.ts';

export function wantSay(state: SessionState, entry: EventRecord<EventOf<'say.requested'>>): Effect[] {
  if (state.phase !== 'starting' && state.phase !== 'live') return [cut(entry.say_id, '')];
  if (state.says.length >= LIMITS.says_waiting_max) {
    const error = {
      code: 'resource_exhausted' as const,
      message: `${LIMITS.says_waiting_max} texts already wait to be spoken`,
      retryable: true,
    };
    return [
      {
        kind: 'record',
        event: { type: 'say.completed', say_id: entry.say_id, interrupted: true, spoken_text: '', error },
      },
    ];
  }
  state.says = [...state.says, { say_id: entry.say_id, text: entry.text }];
  return flush(state);
}

/** Begins the next answer when nothing stands in its way. */
export function flush(state: SessionState): Effect[] {
  if (state.phase !== 'live' || state.creating || state.response || state.user_speaking) return [];
  // The model answers tool outputs once all of them are there.
  if (state.respond_wanted && !Object.values(state.calls).some((call) => call.source === 'model')) {
    state.respond_wanted = false;
    return create(state, { kind: 'respond' });
  }
  const [next, ...rest] = state.says;
  if (next && !state.playing) {
    state.says = rest;
    return create(state, { kind: 'say', say: next });
  }
  if (!next && !state.playing && state.handler === 'completed') {
    return [{ kind: 'record', event: { type: 'session.closing', reason: 'handler_completed', by: 'handler' } }];
  }
  return [];
}

function create(state: SessionState, creating: Creating): Effect[] {
  state.creating = creating;
  const command =
    creating.kind === 'respond'
      ? ({ type: 'respond' } as const)
      : ({ type: 'say', say_id: creating.say.say_id, text: creating.say.text } as const);
  return [
    { kind: 'provider.send', command },
    { kind: 'timer.set', timer: 'creating', ms: TIMES.response_creating_ms },
  ];
}

export function started(state: SessionState, entry: EventRecord<EventOf<'response.started'>>): Effect[] {
  const effects: Effect[] = [];
  const { creating } = state;
  let say_id: string | null = null;
  if (creating && (creating.kind === 'respond' ? entry.cause !== 'say' : creating.say.say_id === entry.say_id)) {
    // Only a say that is waited for is one: a say that was given up has its `say.completed` already.
    if (creating.kind === 'say') say_id = creating.say.say_id;
    state.creating = null;
    effects.push({ kind: 'timer.clear', timer: 'creating' });
  }
  // A new answer follows one that is still being heard: that one is played on, and counts as heard.
  if (state.playing) effects.push(...heard(state));
  // One that is still being generated is over, whatever the provider forgot to say.
  if (state.response && state.response.say_id !== null) effects.push(cut(state.response.say_id, ''));
  state.response = { response_id: entry.response_id, say_id, started_at_ms: entry.at_ms, interrupted_ms: null };
  return effects;
}

export function completed(state: SessionState, entry: EventRecord<EventOf<'response.completed'>>): Effect[] {
  const active = state.response?.response_id === entry.response_id ? state.response : null;
  if (active) state.response = null;
  state.usage = addUsage(state.usage, entry.usage);
  const say_id = active?.say_id ?? null;
  if (entry.status === 'failed' && say_id !== null) {
    const error = entry.error ?? {
      code: 'unknown' as const,
      message: 'the provider failed to speak it',
      retryable: false,
    };
    return [
      { kind: 'record', event: { type: 'say.completed', say_id, interrupted: true, spoken_text: '', error } },
      ...flush(state),
    ];
  }
  if (!active) return flush(state);
  // A provider may have generated everything by the time the user speaks over it: that is an interruption all the same.
  if (entry.status !== 'completed' || active.interrupted_ms !== null) {
    const played_ms = active.interrupted_ms ?? entry.at_ms - active.started_at_ms;
    const effects: Effect[] = say_id === null ? [] : [cut(say_id, heardText(entry.text, played_ms, entry.audio_ms))];
    return [...effects, ...flush(state)];
  }
  state.playing = {
    response_id: entry.response_id,
    item_id: entry.item_id ?? null,
    say_id,
    started_at_ms: active.started_at_ms,
    audio_ms: entry.audio_ms,
    text: entry.text,
  };
  const reckoned_ms = active.started_at_ms + entry.audio_ms - entry.at_ms;
  // Who plays it will say when it was heard; the timer is for one that never does.
  const left_ms = entry.playback_reported ? Math.max(0, reckoned_ms) + TIMES.playback_report_ms : reckoned_ms;
  const playback: Effect =
    left_ms > 0
      ? { kind: 'timer.set', timer: 'playback', ms: left_ms }
      : { kind: 'record', event: { type: 'response.played', response_id: entry.response_id } };
  return [playback, ...flush(state)];
}

export function played(state: SessionState, entry: EventRecord<EventOf<'response.played'>>): Effect[] {
  if (state.playing?.response_id !== entry.response_id) return [];
  return [...heard(state), ...flush(state)];
}

function heard(state: SessionState): Effect[] {
  const playing = state.playing;
  state.playing = null;
  if (!playing) return [];
  const effects: Effect[] = [{ kind: 'timer.clear', timer: 'playback' }];
  if (playing.say_id !== null) {
    effects.push({
      kind: 'record',
      event: { type: 'say.completed', say_id: playing.say_id, interrupted: false, spoken_text: playing.text },
    });
  }
  return effects;
}

export interface Cut {
  /** How much of the answer was heard, where somebody knows. */
  played_ms?: number | undefined;
  /** Whatever the declaration says of interruptions: this is not the user's voice. */
  forced?: boolean;
}

/** The user speaks, or somebody cuts the answer, while something is generated or heard, or a tool runs. */
export function interrupted(state: SessionState, at_ms: number, cut: Cut): Effect[] {
  const detection = state.declaration?.turn_detection;
  if (!cut.forced && detection?.interrupt_response === false) return [];
  return [...interruptedAnswer(state, at_ms, cut.played_ms), ...cancelledTools(state)];
}

function interruptedAnswer(state: SessionState, at_ms: number, cut_ms: number | undefined): Effect[] {
  const { response, playing } = state;
  if (playing) {
    const played_ms = Math.min(playing.audio_ms, cut_ms ?? Math.max(0, at_ms - playing.started_at_ms));
    state.playing = null;
    const effects: Effect[] = [
      { kind: 'timer.clear', timer: 'playback' },
      {
        kind: 'record',
        event: {
          type: 'response.interrupted',
          response_id: playing.response_id,
          ...(playing.item_id === null ? {} : { item_id: playing.item_id }),
          played_ms,
        },
      },
    ];
    if (playing.say_id !== null)
      effects.push(cut(playing.say_id, heardText(playing.text, played_ms, playing.audio_ms)));
    return effects;
  }
  if (response && response.interrupted_ms === null) {
    // Its `response.completed` ends what it said.
    const played_ms = cut_ms ?? Math.max(0, at_ms - response.started_at_ms);
    state.response = { ...response, interrupted_ms: played_ms };
    return [{ kind: 'record', event: { type: 'response.interrupted', response_id: response.response_id, played_ms } }];
  }
  return [];
}

/** Tools whose authors said so are not worth finishing once the user speaks again. They still get their one answer. */
function cancelledTools(state: SessionState): Effect[] {
  return Object.values(state.calls)
    .filter((call) => call.on_interrupt === 'cancel' && call.source === 'model')
    .map((call) => ({ kind: 'execution.cancel', execution_id: call.execution_id, reason: 'interrupted' }));
}

/** The provider refused something. When it was the answer that we asked for, that answer ends here. */
export function failed(state: SessionState, entry: EventRecord<EventOf<'provider.failed'>>): Effect[] {
  const { creating } = state;
  const busy = entry.provider_code === 'conversation_already_has_active_response';
  if (!creating) {
    // The answer that the provider began by itself was taken for ours, and ours is refused: it is wanted still.
    if (busy && entry.command_id === 'respond') state.respond_wanted = true;
    return [];
  }
  const own =
    entry.command_id === undefined || entry.command_id === (creating.kind === 'say' ? creating.say.say_id : 'respond');
  if (!own) return [];
  const effects: Effect[] = [{ kind: 'timer.clear', timer: 'creating' }];
  state.creating = null;
  if (busy) {
    // The provider began an answer by itself a moment before: ours follows it.
    if (creating.kind === 'respond') state.respond_wanted = true;
    else state.says = [creating.say, ...state.says];
    return effects;
  }
  if (creating.kind === 'say') {
    effects.push({
      kind: 'record',
      event: {
        type: 'say.completed',
        say_id: creating.say.say_id,
        interrupted: true,
        spoken_text: '',
        error: entry.error,
      },
    });
  }
  return [...effects, ...flush(state)];
}

function addUsage(total: Usage, more: Usage | undefined): Usage {
  if (!more) return total;
  const sum: Usage = { ...total };
  for (const [key, value] of Object.entries(more)) {
    if (typeof value === 'number') sum[key as keyof Usage] = (sum[key as keyof Usage] ?? 0) + value;
  }
  return sum;
}
