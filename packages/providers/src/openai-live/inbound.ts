// What OpenAI Live says, in OpenAI Realtime's frames.
//
// Live is full duplex: sound and words come in fragments that belong to no turn and no answer. Turns and answers are
// derived from them: an answer is a run of words with no long gap in it, and what the user said meanwhile is the turn
// that follows it.

import { newId, randomSuffix } from '@parley/core';
import type { Clock } from '@parley/transport';
import { Answer, type AnswerRequest, event } from '../openai/answer.ts';
import { isObject, numberIn, objectIn, textIn, type Wire } from '../openai/wire.ts';
import { UserTurn } from '../openai/user-turn.ts';

/** So long nothing is said before a run of words is over. */
export const GAP_MS = 700;
/** A pause between two fragments, on the session's timeline, in which the user was listened to. */
const PAUSE_MS = 300;
/** Louder than this, a sample of PCM16 is no silence. */
const SILENCE_PEAK = 200;

export interface InboundOptions {
  emit: (frame: Buffer) => void;
  clock: Clock;
  /** Milliseconds of sound that were sent so far. */
  sent_ms: () => number;
  speaks: boolean;
}

export class Inbound {
  readonly conversation_id = `conv_${randomSuffix()}`;
  /** Work that was handed to this side and is not answered. */
  delegation_id: string | null = null;
  readonly #options: InboundOptions;
  #turn: UserTurn | null = null;
  #turnEnds: { cancel(): void } | null = null;
  #answer: Answer | null = null;
  #answerEnds: { cancel(): void } | null = null;
  #request: AnswerRequest | null = null;
  /** Words of the user while an answer runs: they are heard of when it is over. */
  #meanwhile: string[] = [];
  /** What still comes of an answer that was cancelled here. */
  #skipping = false;
  /** Tools were called in the answer that runs. */
  #calling = false;
  #last_item_id: string | null = null;
  /** Where the last words of Live ended, on the session's timeline. */
  #said_ms = 0;
  #seconds = 0;
  #told_seconds = 0;

  constructor(options: InboundOptions) {
    this.#options = options;
  }

  get answering(): boolean {
    return this.#answer !== null || this.#request !== null;
  }

  /** Seconds that were billed so far. */
  get seconds(): number {
    return this.#seconds;
  }

  expect(request: AnswerRequest): void {
    this.#request = request;
  }

  /** An item that was put into the conversation from this side. */
  added(item: Wire): void {
    const previous_item_id = this.#last_item_id;
    this.#options.emit(event('conversation.item.added', { previous_item_id, item }));
    this.#options.emit(event('conversation.item.done', { previous_item_id, item }));
    this.#last_item_id = textIn(item, 'id') ?? previous_item_id;
  }

  cancel(): boolean {
    if (!this.#answer) return false;
    this.#end('cancelled', 'client_cancelled');
    this.#skipping = true;
    this.#restartGap();
    return true;
  }

  stop(): void {
    this.#turnEnds?.cancel();
    this.#answerEnds?.cancel();
  }

  receive(message: Wire): void {
    switch (message['type']) {
      case 'session.output_audio.delta':
        return this.#sound(textIn(message, 'delta') ?? '');
      case 'session.output_transcript.delta':
        return this.#said(message);
      case 'session.input_transcript.delta':
        return this.#heard(textIn(message, 'delta') ?? '');
      case 'session.delegation.created': {
        const delegation = objectIn(message, 'delegation');
        if (delegation['target'] === 'client') this.delegation_id = textIn(delegation, 'id') ?? null;
        // Whoever was handed the work needs the whole of what was said.
        return this.#closeTurn();
      }
      case 'response.event':
        return this.#backend(objectIn(message, 'event'));
      case 'session.usage.updated':
      case 'session.closed':
        this.#seconds = numberIn(objectIn(message, 'usage'), 'seconds') ?? this.#seconds;
        return;
      default:
    }
  }

  #said(fragment: Wire): void {
    const start_ms = numberIn(fragment, 'start_ms') ?? this.#said_ms;
    // Live stopped for what the user said, and speaks again: that is another answer.
    if (this.#meanwhile.length > 0 && start_ms - this.#said_ms > PAUSE_MS) this.#quiet();
    this.#said_ms = numberIn(fragment, 'end_ms') ?? start_ms;
    this.#begun()?.words(textIn(fragment, 'delta') ?? '');
  }

  #sound(data: string): void {
    if (!this.#options.speaks) {
      if (this.#answer) this.#restartGap();
      return;
    }
    // Silence between answers is nobody's answer.
    if (!this.#answer && !this.#request && isSilence(data)) return;
    if (this.#answer && isSilence(data)) {
      this.#answer.sound(data);
      return;
    }
    this.#begun()?.sound(data);
  }

  #heard(text: string): void {
    if (text === '') return;
    if (this.#answer) {
      this.#meanwhile.push(text);
      return;
    }
    this.#userTurn().fragment(text);
    this.#turnEnds?.cancel();
    this.#turnEnds = this.#options.clock.after(GAP_MS, () => this.#closeTurn());
  }

  #userTurn(): UserTurn {
    const { emit, sent_ms } = this.#options;
    this.#turn ??= new UserTurn({ emit, sent_ms, previous_item_id: this.#last_item_id, detected: true });
    return this.#turn;
  }

  #closeTurn(): void {
    this.#turnEnds?.cancel();
    const turn = this.#turn;
    if (!turn) return;
    this.#turn = null;
    turn.commit();
    turn.written();
    this.#last_item_id = turn.item_id;
  }

  #begun(): Answer | null {
    this.#restartGap();
    if (this.#skipping) return null;
    if (this.#answer) return this.#answer;
    this.#closeTurn();
    const request = this.#request;
    this.#request = null;
    this.#answer = new Answer({
      emit: this.#options.emit,
      request,
      conversation_id: this.conversation_id,
      speaks: this.#options.speaks,
      previous_item_id: this.#last_item_id,
    });
    return this.#answer;
  }

  #restartGap(): void {
    this.#answerEnds?.cancel();
    this.#answerEnds = this.#options.clock.after(GAP_MS, () => this.#quiet());
  }

  /** Nothing was said for a while. */
  #quiet(): void {
    this.#skipping = false;
    if (this.#answer) {
      const spokenOver = this.#meanwhile.length > 0;
      this.#end(spokenOver ? 'cancelled' : 'completed', spokenOver ? 'turn_detected' : null);
    }
    for (const text of this.#meanwhile.splice(0)) this.#heard(text);
  }

  /** The Responses model that Live handed work to. Its words are for Live; its calls are for us. */
  #backend(inner: Wire): void {
    if (inner['type'] === 'response.failed' || inner['type'] === 'error') {
      const error = objectIn(objectIn(inner, 'response'), 'error');
      this.#options.emit(
        event('error', { error: { type: 'server_error', ...error, event_id: this.#request?.event_id ?? null } }),
      );
      this.#request = null;
      return;
    }
    // Live waits for the outputs of its tools; what it says after them is another answer.
    if (inner['type'] === 'response.completed' && this.#calling) {
      this.#calling = false;
      return this.#end('completed', null);
    }
    const item = inner['item'];
    if (inner['type'] !== 'response.output_item.done' || !isObject(item) || item['type'] !== 'function_call') return;
    const name = textIn(item, 'name');
    if (name === undefined) return;
    this.#calling = true;
    this.#begun()?.call(textIn(item, 'call_id') ?? newId('call'), name, textIn(item, 'arguments') ?? '{}');
  }

  #end(status: 'completed' | 'cancelled', reason: string | null): void {
    const answer = this.#answer;
    if (!answer) return;
    this.#answer = null;
    const seconds = Math.max(0, this.#seconds - this.#told_seconds);
    this.#told_seconds = this.#seconds;
    answer.end(status, reason, { ...NO_TOKENS, seconds });
    this.#last_item_id = answer.last_item_id;
  }
}

/** Live counts seconds; strict clients want every count of tokens. */
const NO_TOKENS: Wire = {
  total_tokens: 0,
  input_tokens: 0,
  output_tokens: 0,
  input_token_details: { text_tokens: 0, audio_tokens: 0, cached_tokens: 0 },
  output_token_details: { text_tokens: 0, audio_tokens: 0 },
};

function isSilence(base64: string): boolean {
  const pcm = Buffer.from(base64, 'base64');
  for (let at = 0; at + 1 < pcm.length; at += 2) if (Math.abs(pcm.readInt16LE(at)) > SILENCE_PEAK) return false;
  return true;
}
