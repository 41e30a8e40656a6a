// Names that OpenAI Realtime had before it was generally available. Several servers of its shape still send them.

import { frameType } from '@parley/transport';
import { renamedType } from './renamed-socket.ts';

const NEWER: ReadonlyMap<string, string> = new Map([
  ['response.audio.delta', 'response.output_audio.delta'],
  ['response.audio.done', 'response.output_audio.done'],
  ['response.audio_transcript.delta', 'response.output_audio_transcript.delta'],
  ['response.audio_transcript.done', 'response.output_audio_transcript.done'],
  ['response.text.delta', 'response.output_text.delta'],
  ['response.text.done', 'response.output_text.done'],
  ['conversation.item.created', 'conversation.item.added'],
]);

/** A frame under the name that it has today; one that has it already is the same buffer. */
export function underNewerName(frame: Buffer): Buffer {
  const type = frameType(frame);
  const newer = type === null ? undefined : NEWER.get(type);
  return type === null || newer === undefined ? frame : renamedType(frame, type, newer);
}
