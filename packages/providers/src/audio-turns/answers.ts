// The answers of one session: at most one in the conversation, a few beside it, and whether another one is wanted.

import type { Clock } from '@parley/transport';
import { isObject, textIn, type Wire, type WireFrame } from '../openai/wire.ts';
import { Answer, type AnswerHost } from './answer.ts';
import type { ChatListener } from './chat.ts';
import type { Failure } from './failure.ts';
import { type History, type HistoryItem, messagesOf } from './history.ts';
import { itemOf } from './items.ts';
import type { TurnsLimits } from './limits.ts';
import { Refusal } from './refusal.ts';
import type { TurnsSession } from './session-config.ts';

export interface AnswersParts {
  clock: Clock;
  limits: TurnsLimits;
  history: History;
  conversation_id: string;
  session: TurnsSession;
  body: (response: Wire, messages: Wire[], modality: 'audio' | 'text') => Wire;
  stream: (request: Wire, signal: AbortSignal, on: ChatListener) => Promise<void>;
  send: (frame: WireFrame) => void;
  sendAudio: (ids: string, base64: string) => void;
  room: () => Promise<void>;
  /** The answer of the conversation is over: how long it sounds, and how long ago it began. */
  ended: (audio_ms: number, elapsed_ms: number) => void;
  fatal: (failure: Failure) => void;
}

export class Answers {
  readonly #parts: AnswersParts;
  readonly #host: AnswerHost;
  readonly #active = new Set<Answer>();
  #current: { answer: Answer; began_ms: number } | null = null;
  /** A turn ended while an answer was still being generated. */
  #wanted = false;

  constructor(parts: AnswersParts) {
    this.#parts = parts;
    const { clock, conversation_id, limits, history, send, sendAudio, room, stream } = parts;
    this.#host = {
      clock,
      conversation_id,
      answer_ms_max: limits.answer_ms_max,
      send,
      sendAudio,
      room,
      stream,
      insert: (item) => {
        history.add(item);
        return history.before(item.id);
      },
      before: (id) => history.before(id),
      ended: (answer, failure) => this.#ended(answer, failure),
    };
  }

  /** `response.create`. @throws Refusal */
  create(response: Wire): void {
    const { session, history, limits } = this.#parts;
    const outOfBand = response['conversation'] === 'none';
    if (!outOfBand && this.#current) {
      const message = `Conversation already has an active response in progress: ${this.#current.answer.id}`;
      throw new Refusal('conversation_already_has_active_response', message);
    }
    if (outOfBand && this.#active.size > limits.out_of_band_max) {
      throw new Refusal(
        'too_many_responses',
        `${limits.out_of_band_max} responses beside the conversation are the limit`,
      );
    }
    const [asked] = Array.isArray(response['output_modalities']) ? response['output_modalities'] : [];
    const modality = asked === 'audio' || asked === 'text' ? asked : session.modality;
    const messages = Array.isArray(response['input'])
      ? messagesOf(response['input'].map((item, n) => this.#input(item, `response.input.${n}`)))
      : history.messages();
    const request = this.#parts.body(response, messages, modality);
    const answer = new Answer({ modality, outOfBand, metadata: response['metadata'], request }, this.#host);
    this.#active.add(answer);
    if (!outOfBand) {
      this.#wanted = false;
      this.#current = { answer, began_ms: this.#parts.clock.now() };
    }
    void answer.run();
  }

  /** A turn of the user ended that the session answers by itself. */
  respond(): void {
    if (this.#current) this.#wanted = true;
    else this.create({});
  }

  /** `response.cancel`: the one that is named, else the one of the conversation. @throws Refusal */
  cancel(id: string | undefined): void {
    const answer = id === undefined ? this.#current?.answer : [...this.#active].find((one) => one.id === id);
    if (!answer) throw new Refusal('response_cancel_not_active', 'Cancellation failed: no active response found');
    this.#wanted = false;
    answer.cancel('client_cancelled');
  }

  /** The user speaks over the answer. */
  interrupt(): void {
    this.#wanted = false;
    this.#current?.answer.cancel('turn_detected');
  }

  stop(): void {
    for (const answer of this.#active) answer.drop();
    this.#active.clear();
    this.#current = null;
  }

  #input(item: unknown, param: string): HistoryItem {
    if (!isObject(item) || item['type'] !== 'item_reference') return itemOf(item, param);
    const found = this.#parts.history.find(textIn(item, 'id') ?? '');
    if (!found) throw new Refusal('invalid_value', 'there is no such item', `${param}.id`);
    return found;
  }

  #ended(answer: Answer, failure: Failure | null): void {
    this.#active.delete(answer);
    const current = this.#current;
    if (current?.answer !== answer) return;
    this.#current = null;
    if (failure?.fatal) return this.#parts.fatal(failure);
    this.#parts.ended(answer.audio_ms, this.#parts.clock.now() - current.began_ms);
    if (this.#wanted) this.create({});
  }
}
