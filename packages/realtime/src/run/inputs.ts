// What the user and the program send: messages, sound, changes of the conversation.

import { newId, ParleyError } from '@parley/core';
import { editsBetween } from '../history/edit.ts';
import { type RealtimeContent, type RealtimeItem, type RealtimeItemInput, textOf, wireOf } from '../history/item.ts';
import type { Ack } from '../link/sends.ts';
import { WaitingAudio } from '../link/waiting-audio.ts';
import { type Parts, quiet, sessionOver } from './parts.ts';

/** A message of the user: words, or words and images. */
export type RealtimeUserInput =
  | string
  | {
      type: 'message';
      role?: 'user';
      content: (
        | { type: 'input_text'; text: string }
        | { type: 'input_image'; image?: string; image_url?: string; detail?: string }
      )[];
    };

const DONE = Promise.resolve();

export class Inputs {
  readonly #parts: Parts;
  readonly #audio: WaitingAudio;
  /** Ids of frames that somebody waits for, by what they are about. */
  readonly #eventIds = new Map<string, string>();
  muted = false;

  constructor(parts: Parts) {
    this.#parts = parts;
    this.#audio = new WaitingAudio(parts.limits.waitingAudioBytes);
  }

  async message(message: RealtimeUserInput, respond: boolean): Promise<void> {
    const content =
      typeof message === 'string' ? [{ type: 'input_text' as const, text: message }] : message.content.map(partOf);
    const words = content.map((part) => (part.type === 'input_text' ? part.text : '')).join('');
    if (words !== '' && this.#parts.trips.watchesInput()) await this.#parts.trips.text(words);
    return this.content(content, respond);
  }

  /** An item of the user. */
  content(content: RealtimeContent[], respond: boolean): Promise<void> {
    const { closing, history, machine } = this.#parts;
    if (closing) return Promise.reject(sessionOver());
    const item: RealtimeItem = { itemId: newId('item'), type: 'message', role: 'user', status: 'completed', content };
    let sent: Promise<void>;
    try {
      sent = this.expect(item.itemId, `item:${item.itemId}`);
    } catch (error) {
      return Promise.reject(ParleyError.from(error));
    }
    history.sending(item);
    machine.append({ type: 'input.injected', text: textOf(item), respond, by: 'handler', item: wireOf(item) });
    return sent;
  }

  audio(audio: ArrayBuffer | Uint8Array, commit: boolean): Promise<void> {
    if (this.#parts.closing) return quiet(Promise.reject(sessionOver()));
    if (!this.muted && audio.byteLength > 0) {
      const bytes =
        audio instanceof Uint8Array
          ? Buffer.from(audio.buffer, audio.byteOffset, audio.byteLength)
          : Buffer.from(audio);
      if (!this.#parts.link.sendAudio(bytes)) this.#audio.hold(bytes);
    }
    return commit ? quiet(this.frame({ type: 'input_audio_buffer.commit' }, 'committed')) : DONE;
  }

  clearAudio(): Promise<void> {
    this.#audio.clear();
    return quiet(this.frame({ type: 'input_audio_buffer.clear' }, 'cleared'));
  }

  /** Sound that waited for the connection. */
  waitingAudio(): Buffer[] {
    return this.#audio.take();
  }

  /** A frame whose answer is waited for. */
  frame(event: Record<string, unknown> & { type: string }, ack: Ack): Promise<void> {
    const { closing, link, sends } = this.#parts;
    if (closing) return Promise.reject(sessionOver());
    if (!link.open) return Promise.reject(new ParleyError('unavailable', 'the connection is being made again'));
    try {
      const event_id = newId('event');
      const sent = sends.expect(event_id, ack);
      link.sendEvent({ ...event, event_id });
      return sent;
    } catch (error) {
      return Promise.reject(ParleyError.from(error));
    }
  }

  async edit(items: readonly RealtimeItemInput[]): Promise<void> {
    const { history } = this.#parts;
    const edits = editsBetween(history.items, items, (callId) => history.outputItemOf(callId));
    const results = await Promise.allSettled(edits.map(({ frame, ack }) => this.frame(frame, ack)));
    const refused = results.find((one) => one.status === 'rejected');
    if (refused) throw refused.reason;
  }

  /** Waits for the word on a frame that `step` will send. */
  expect(about: string, ack: Ack): Promise<void> {
    const eventId = newId('event');
    const sent = this.#parts.sends.expect(eventId, ack);
    this.#eventIds.set(about, eventId);
    return sent;
  }

  /** The id that such a frame has to have. */
  takeEventId(about: string): string | undefined {
    const eventId = this.#eventIds.get(about);
    this.#eventIds.delete(about);
    return eventId;
  }
}

function partOf(
  part: Exclude<RealtimeUserInput, string>['content'][number],
): Extract<RealtimeContent, { type: 'input_text' | 'input_image' }> {
  if (part.type === 'input_text') return part;
  return {
    type: 'input_image',
    image: part.image ?? part.image_url ?? null,
    ...(part.detail === undefined ? {} : { detail: part.detail }),
  };
}
