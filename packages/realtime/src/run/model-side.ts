// What comes of the model's side: its events, the end of its connection, and whether it is at rest.

import { type ModelEvent, ParleyError } from '@parley/core';
import type { ModelClosed } from '@parley/providers';
import type { Parts } from './parts.ts';

/** What the model says has happened. */
export function modelSaid(parts: Parts, event: ModelEvent): void {
  const { calls, closing, cuts, hosted, machine, playback, roster, speakers } = parts;
  if (closing) return;
  switch (event.type) {
    case 'tool.called':
      return machine.append(calls.called(event));
    case 'speech.started': {
      const { response, playing, declaration } = machine.state;
      if (declaration?.turn_detection?.interrupt_response === false) return machine.append(event);
      const responseId = response?.response_id ?? playing?.response_id;
      const played_ms = responseId === undefined ? 0 : playback.heardMs(responseId);
      if (response) cuts.silence(response.response_id);
      machine.append({ ...event, played_ms });
      cuts.cut();
      return;
    }
    case 'response.started':
      roster.begin(event.response_id);
      return machine.append(event);
    case 'response.completed':
      if (event.audio_ms > 0) speakers.sounded();
      hosted.answered();
      return machine.append(event);
    default:
      machine.append(event);
  }
}

/** The connection is gone; `again`: another one is about to be made. */
export function connectionLost(parts: Parts, { code, reason, recoverable, error }: ModelClosed, again: boolean): void {
  const { closing, config, history, hosted, machine, narrator, sends, watch } = parts;
  if (closing) return;
  narrator.dropped();
  hosted.lost();
  watch.clear();
  const gone = new ParleyError('unavailable', 'the connection was lost before the provider answered', {
    details: { boundary: 'session -> provider' },
  });
  // What the history holds is sent again.
  sends.lost(gone, (ack) => ack.startsWith('item:') && history.item(ack.slice(5)) !== undefined);
  if (!again) {
    const why = error === undefined ? {} : { error };
    return machine.append({ type: 'provider.disconnected', code, reason, recoverable, ...why });
  }
  for (const item of history.items) {
    if (item.status === 'in_progress' && item.type === 'message') history.stop(item.itemId);
  }
  const { reconnect } = config;
  const respond = reconnect === undefined || reconnect === false || reconnect.resumeAnswer !== false;
  machine.append({ type: 'provider.reconnecting', code, reason, respond });
}

/** Nobody speaks, nothing is asked for, nothing is heard. */
export function isQuiet({ machine, playback }: Parts): boolean {
  const { phase, response, creating, playing, user_speaking, respond_wanted } = machine.state;
  if (phase !== 'live' || response || creating || playing || user_speaking || respond_wanted) return false;
  return playback.unheard().length === 0;
}
