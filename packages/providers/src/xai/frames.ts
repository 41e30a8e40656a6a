// Frames of xAI in OpenAI's names.

import { frameType } from '@parley/transport';
import { underNewerName } from '../openai/older-names.ts';
import type { Rename } from '../openai/renamed-socket.ts';
import { decoded, encoded, objectIn, textIn, type Wire } from '../openai/wire.ts';
import { sessionInOpenaiShape } from './session-config.ts';

/** Turns of which the words so far are remembered. */
const PARTIAL_MAX = 8;
const TRANSCRIPTION = 'conversation.item.input_audio_transcription';

/** The names of one connection: a transcript that comes whole again and again is told by what it grew. */
export function xaiFrames(): Rename {
  const partial = new Map<string, string>();
  let greeted = false;
  return (frame) => {
    switch (frameType(frame)) {
      case 'ping':
        return null;
      case 'conversation.created':
      case 'session.created': {
        // Either may be the first, and the first is the greeting.
        const event = greeted ? null : decoded(frame);
        greeted = true;
        return event && session(event, 'session.created');
      }
      case 'session.updated': {
        const event = decoded(frame);
        return event && session(event, 'session.updated');
      }
      case `${TRANSCRIPTION}.updated`: {
        const event = decoded(frame);
        return event && grown(event, partial);
      }
      case `${TRANSCRIPTION}.completed`: {
        const event = decoded(frame);
        if (event) partial.delete(textIn(event, 'item_id') ?? '');
        return frame;
      }
      default:
        return underNewerName(frame);
    }
  };
}

function grown(event: Wire, partial: Map<string, string>): Buffer | null {
  const { transcript: _whole, ...rest } = event;
  const item_id = textIn(event, 'item_id') ?? '';
  const text = textIn(event, 'transcript') ?? '';
  const before = partial.get(item_id) ?? '';
  // What was heard otherwise than before cannot be taken back in deltas; the completed transcript will say it.
  if (!text.startsWith(before) || text === before) return null;
  if (!partial.has(item_id) && partial.size >= PARTIAL_MAX) {
    const [oldest] = partial.keys();
    if (oldest !== undefined) partial.delete(oldest);
  }
  partial.set(item_id, text);
  return encoded({ ...rest, type: `${TRANSCRIPTION}.delta`, delta: text.slice(before.length) });
}

function session(event: Wire, type: string): Buffer {
  const { conversation: _conversation, ...rest } = event;
  return encoded({ ...rest, type, session: sessionInOpenaiShape(objectIn(event, 'session')) });
}
