// The end of a session: everything begun is settled in the log first (P4).

import type { EventOf, EventRecord } from '../contract/events.ts';
import type { Effect } from './effects.ts';
import type { SessionState } from './state.ts';

export function closing(state: SessionState, entry: EventRecord<EventOf<'session.closing'>>): Effect[] {
  state.phase = 'closing';
  const ended = state.closing ?? { reason: entry.reason, error: null };
  state.closing = ended;
  const effects: Effect[] = [];
  for (const [call_id, call] of Object.entries(state.calls)) {
    effects.push({ kind: 'execution.cancel', execution_id: call.execution_id, reason: 'session_closed' });
    effects.push({
      kind: 'record',
      event: {
        type: 'tool.completed',
        call_id,
        name: call.name,
        execution_id: call.execution_id,
        status: 'cancelled',
        error: { code: 'cancelled', message: 'the session ended before the call did', retryable: false },
        duration_ms: Math.max(0, entry.at_ms - call.started_at_ms),
      },
    });
  }
  const spoken = state.playing?.say_id ?? null;
  if (spoken !== null && state.playing) {
    const heard = heardText(state.playing.text, entry.at_ms - state.playing.started_at_ms, state.playing.audio_ms);
    effects.push(cut(spoken, heard));
  }
  for (const say_id of [state.response?.say_id, state.creating?.kind === 'say' ? state.creating.say.say_id : null]) {
    if (say_id) effects.push(cut(say_id, ''));
  }
  for (const say of state.says) effects.push(cut(say.say_id, ''));
  state.says = [];
  state.waiting_commands = [];
  state.waiting_update = null;
  state.playing = null;
  state.creating = null;
  state.response = null;
  state.respond_wanted = false;
  for (const timer of ['duration', 'idle', 'playback', 'creating', 'handler'] as const)
    effects.push({ kind: 'timer.clear', timer });
  effects.push(end(ended));
  return effects;
}

export function end(ended: NonNullable<SessionState['closing']>): Effect {
  return { kind: 'session.end', reason: ended.reason, error: ended.error };
}

export function cut(say_id: string, spoken_text: string): Effect {
  return { kind: 'record', event: { type: 'say.completed', say_id, interrupted: true, spoken_text } };
}

/**
 * What was heard of `text` after `played_ms` of `audio_ms`, to the last whole word. An estimate: speech is not spoken
 * at one speed, and providers do not say where each word stands.
 */
export function heardText(text: string, played_ms: number, audio_ms: number): string {
  if (audio_ms <= 0 || played_ms >= audio_ms) return text;
  if (played_ms <= 0) return '';
  // By code point: the other languages count no UTF-16 units.
  const chars = Array.from(text);
  const space = chars.lastIndexOf(' ', Math.floor((chars.length * played_ms) / audio_ms));
  return space <= 0 ? '' : chars.slice(0, space).join('');
}
