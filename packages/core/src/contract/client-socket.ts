// The client socket: OpenAI Realtime GA event names, and besides them, for a client that asks for them by
// subprotocol, `parley.*` frames with entries of the log.

import type { ClientEventName } from './declaration.ts';

/** Every client socket selects this one. */
export const CLIENT_SUBPROTOCOL = 'realtime';
/** Offered beside `realtime` by clients that want `parley.*` frames. */
export const PARLEY_EVENTS_SUBPROTOCOL = 'parley.events.v1';
/** Prefix of the subprotocol that carries a session token or a key; browsers cannot set headers. */
export const TOKEN_SUBPROTOCOL_PREFIX = 'parley.token.';

/** Which name of `client_events` each frame type of a client needs. Types that are not here are refused. */
export const CLIENT_EVENT_OF_FRAME: Readonly<Record<string, ClientEventName>> = {
  'input_audio_buffer.append': 'audio',
  'input_audio_buffer.commit': 'commit',
  'input_audio_buffer.clear': 'clear',
  'conversation.item.create': 'text',
  'conversation.item.truncate': 'truncate',
  'conversation.item.retrieve': 'retrieve',
  'conversation.item.delete': 'delete',
  'response.create': 'respond',
  'response.cancel': 'cancel',
  'output_audio_buffer.clear': 'cancel',
};
