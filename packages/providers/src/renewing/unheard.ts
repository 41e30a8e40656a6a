// What a client said that nobody can repeat for it: sound of a turn that has no words yet, a message that was not taken
// into the conversation, an answer that it asked for. When the connection is cut, the next one is told it again.

import type { ModelEvent } from '@parley/core';
import { frameType } from '@parley/transport';

/** Sound of one turn, in frames as they came: three quarters of a minute of PCM16 in base64. The oldest goes first. */
const SOUND_BYTES_MAX = 3 * 1024 * 1024;
/** Sound before the provider notices that somebody speaks. */
const LEAD_BYTES = 96 * 1024;
const MESSAGES_MAX = 32;
/** A turn that is said again, before the next connection has named it. */
const AGAIN = '';
const TEXT_PART = Buffer.from('"input_text"');

export class Unheard {
  /** Of push-to-talk: whatever was not committed is a turn. */
  readonly #detected: () => boolean;
  #sound: Buffer[] = [];
  #bytes = 0;
  /** Turns without words, and the frames of `#sound` at which each begins and ends. */
  #turns: { turn_id: string; at: number; end: number | null }[] = [];
  #messages: { frame: Buffer; hasText: boolean }[] = [];
  #asked = false;
  #holding: 'turn' | 'silence' | null = null;

  /** @param detected whether the provider says when somebody speaks. */
  constructor(detected: () => boolean) {
    this.#detected = detected;
  }

  /** Whether a client waits for an answer that it asked for itself. */
  get asked(): boolean {
    return this.#asked;
  }

  /** Whether a turn has sound and no words. */
  get turn(): boolean {
    return this.#detected() ? this.#turns.length > 0 : this.#sound.length > 0;
  }

  /** Plain sound goes to the provider. */
  heard(frame: Buffer): void {
    this.#keep(frame);
  }

  /** Another frame of the client goes to the provider. */
  sent(frame: Buffer): void {
    switch (frameType(frame)) {
      case 'input_audio_buffer.append':
      case 'input_audio_buffer.commit':
        return this.#keep(frame);
      case 'input_audio_buffer.clear':
        return this.#forget(this.#sound.length);
      case 'conversation.item.create':
        this.#messages = [...this.#messages, { frame, hasText: frame.includes(TEXT_PART) }].slice(-MESSAGES_MAX);
        return;
      case 'response.create':
        this.#asked = true;
        return;
      case 'response.cancel':
        this.#asked = false;
        return;
      default:
    }
  }

  event(event: ModelEvent): void {
    switch (event.type) {
      case 'turn.started':
        if (event.source === 'audio') this.#began(event.turn_id);
        break;
      case 'speech.stopped': {
        const turn = this.#turns.at(-1);
        if (turn) turn.end = this.#sound.length;
        break;
      }
      case 'turn.completed':
        if (event.source === 'text') this.#taken();
        else this.#understood(event.turn_id);
        break;
      case 'response.started':
        this.#asked = false;
        break;
      case 'response.completed':
        this.#messages = this.#messages.filter(({ hasText }) => hasText);
        break;
      default:
    }
  }

  /**
   * The frames to say again, in order. They are kept until they are understood. Without a turn it is the last moment:
   * a provider notices speech only when it has heard some.
   */
  frames(): Buffer[] {
    return [...this.#messages.map(({ frame }) => frame), ...this.#sound];
  }

  /** From now on nobody hears anything: all of it is kept, until `release`. */
  hold(): void {
    this.#holding = this.turn ? 'turn' : 'silence';
    this.#turns = [{ turn_id: AGAIN, at: 0, end: null }];
  }

  /** Another connection was told it, and hears what was a turn as one turn, under a name of its own. */
  release(): void {
    if (this.#holding === 'silence') this.#turns = [];
    this.#holding = null;
  }

  #keep(frame: Buffer): void {
    this.#sound.push(frame);
    this.#bytes += frame.length;
    const max = this.turn || this.#holding !== null ? SOUND_BYTES_MAX : LEAD_BYTES;
    let count = 0;
    let over = this.#bytes - max;
    while (over > 0 && count < this.#sound.length - 1) over -= (this.#sound[count++] as Buffer).length;
    if (count > 0) this.#forget(count);
  }

  #forget(count: number): void {
    for (const frame of this.#sound.splice(0, count)) this.#bytes -= frame.length;
    for (const turn of this.#turns) {
      turn.at = Math.max(0, turn.at - count);
      if (turn.end !== null) turn.end = Math.max(0, turn.end - count);
    }
  }

  #began(turn_id: string): void {
    const [first] = this.#turns;
    if (first?.turn_id === AGAIN) first.turn_id = turn_id;
    else this.#turns.push({ turn_id, at: first === undefined ? 0 : this.#leadAt(), end: null });
  }

  /** A message is in the conversation. */
  #taken(): void {
    const first = this.#messages.findIndex(({ hasText }) => hasText);
    if (first >= 0) this.#messages.splice(first, 1);
  }

  /** A turn has its words. Others may have begun since. */
  #understood(turn_id: string): void {
    if (!this.#detected()) {
      const commit = this.#sound.findIndex((frame) => frameType(frame) === 'input_audio_buffer.commit');
      return this.#forget(commit + 1);
    }
    const end = this.#turns.find((turn) => turn.turn_id === turn_id)?.end ?? this.#sound.length;
    this.#turns = this.#turns.filter((turn) => turn.turn_id !== turn_id);
    this.#forget(Math.min(end, this.#turns[0]?.at ?? end));
  }

  /** Where the last moment before now begins. */
  #leadAt(): number {
    let at = this.#sound.length;
    for (let bytes = 0; at > 0 && bytes < LEAD_BYTES; ) bytes += (this.#sound[--at] as Buffer).length;
    return at;
  }
}
