// WebRTC calls whose media the provider terminates: each is a conversation of its own with the provider, and the session
// outlives it. And what their clients can do behind the server's back.

import type { EventOf, EventRecord } from '../contract/events.ts';
import { LIMITS } from '../contract/names.ts';
import type { Effect } from './effects.ts';
import { cut, heardText } from './ending.ts';
import type { SessionState } from './state.ts';

/** The client offers its call to the provider through the server, which then attaches to it. */
export function isNative({ declaration }: SessionState): boolean {
  return declaration?.transport === 'webrtc' && declaration.media === 'native';
}

/** The provider forgot the conversation with the call. What was being said is over; what waits, waits for the next call. */
export function callEnded(state: SessionState, entry: EventRecord<EventOf<'call.ended'>>): Effect[] {
  if (state.phase !== 'live') return [];
  state.phase = 'starting';
  const { playing, response, creating } = state;
  const effects: Effect[] = [
    { kind: 'timer.clear', timer: 'playback' },
    { kind: 'timer.clear', timer: 'creating' },
  ];
  if (playing && playing.say_id !== null) {
    const heard = heardText(playing.text, entry.at_ms - playing.started_at_ms, playing.audio_ms);
    effects.push(cut(playing.say_id, heard));
  }
  if (response && response.say_id !== null) effects.push(cut(response.say_id, ''));
  // Words that were asked for and never begun are said in the next call.
  if (creating?.kind === 'say') state.says = [creating.say, ...state.says];
  state.playing = null;
  state.response = null;
  state.creating = null;
  state.respond_wanted = false;
  state.user_speaking = false;
  // Tools that run are finished: what they do is done in the world, whoever listens.
  state.calls = Object.fromEntries(
    Object.entries(state.calls).map(([call_id, call]) => [
      call_id,
      call.source === 'model' ? { ...call, source: 'orphan' as const } : call,
    ]),
  );
  return effects;
}

/** Put right a stated number of times; a client that goes on is not one to talk to. */
export function tampered(state: SessionState, entry: EventRecord<EventOf<'session.tampered'>>): Effect[] {
  if (state.phase === 'closing') return [];
  state.tamperings += 1;
  if (state.tamperings <= LIMITS.tamperings_max) return [{ kind: 'provider.send', command: { type: 'restore' } }];
  const message = `the client changed ${entry.fields.join(', ')} of the session for the ${state.tamperings}th time`;
  state.closing = { reason: 'tampered', error: { code: 'permission_denied', message, retryable: false } };
  return [
    { kind: 'record', event: { type: 'limit.reached', limit: 'tamperings_max', value: state.tamperings } },
    { kind: 'record', event: { type: 'session.closing', reason: 'tampered', by: 'server' } },
  ];
}
