// Grok voice, as far as it differs: `conversation.created` and a `ping` first, voice and turn detection flat in the
// session, no model in it, transcripts of the user that come whole each time, and text under its older names.

import { randomSuffix } from '@parley/core';
import type { Dialect } from '../dialect.ts';
import { type ClientEvent, isObject, type ServerEvent, type Wire } from '../wire.ts';

const OLDER: Readonly<Record<string, string>> = {
  'response.output_text.delta': 'response.text.delta',
  'response.output_text.done': 'response.text.done',
};
const TRANSCRIPTION = 'conversation.item.input_audio_transcription';

export class XaiDialect implements Dialect {
  /** The words so far of the turn that is being written down. */
  #partial = { item_id: '', transcript: '' };

  in<T extends ClientEvent>(event: T): T {
    if (event.type !== 'session.update' || !isObject(event['session'])) return event;
    const { voice, turn_detection, audio, ...rest } = event['session'];
    const given: Wire = isObject(audio) ? audio : {};
    const input: Wire = {
      ...part(given['input']),
      transcription: { model: 'grok' },
      ...(turn_detection === undefined ? {} : { turn_detection }),
    };
    const output: Wire = { ...part(given['output']), ...(voice === undefined ? {} : { voice }) };
    return { ...event, session: { ...rest, type: 'realtime', audio: { input, output } } };
  }

  out(event: ServerEvent): ServerEvent[] {
    switch (event.type) {
      case 'session.created':
        return [
          {
            type: 'conversation.created',
            conversation: { id: `conv_${randomSuffix()}`, object: 'realtime.conversation' },
          },
          { type: 'ping', timestamp: 0 },
          { ...event, session: flat(event['session']) },
        ];
      case 'session.updated':
        return [{ ...event, session: flat(event['session']) }];
      case `${TRANSCRIPTION}.delta`: {
        const { delta, ...rest } = event;
        const item_id = String(event['item_id']);
        const before = this.#partial.item_id === item_id ? this.#partial.transcript : '';
        this.#partial = { item_id, transcript: before + String(delta) };
        return [{ ...rest, type: `${TRANSCRIPTION}.updated`, transcript: this.#partial.transcript }];
      }
      default:
        return [{ ...event, type: OLDER[event.type] ?? event.type }];
    }
  }
}

function flat(session: unknown): Wire {
  if (!isObject(session)) return {};
  const { model: _model, audio, type: _type, ...rest } = session;
  const given: Wire = isObject(audio) ? audio : {};
  const { turn_detection = null, transcription: _transcription, ...input } = part(given['input']);
  const { voice, ...output } = part(given['output']);
  return { ...rest, voice, turn_detection, audio: { input, output } };
}

function part(value: unknown): Wire {
  return isObject(value) ? value : {};
}
