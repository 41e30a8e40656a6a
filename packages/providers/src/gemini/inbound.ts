// What Gemini says, in OpenAI's frames.

import { newId, randomSuffix } from '@parley/core';
import { isObject, listIn, numberIn, objectIn, textIn, type Wire } from '../openai/wire.ts';
import { Answer, type AnswerRequest, event } from '../openai/answer.ts';
import { UserTurn } from '../openai/user-turn.ts';

export interface InboundOptions {
  emit: (frame: Buffer) => void;
  /** Milliseconds of sound that were sent so far. */
  sent_ms: () => number;
  speaks: boolean;
  /** Whether Gemini detects speech; else the client says when a turn is over. */
  detects: boolean;
  /** A handler answers: what Gemini says without being asked is not shown. */
  asked_only: boolean;
  /** Gemini has begun to answer. */
  began: () => void;
  /** The item behind which the next one stands; null at the beginning of a conversation. */
  last_item_id: string | null;
}

/** Calls that wait for their outputs. Gemini goes on when it has all of a message of them. */
export interface OpenCalls {
  names: Map<string, string>;
  outputs: Wire[];
}

export class Inbound {
  readonly conversation_id = `conv_${randomSuffix()}`;
  readonly calls: OpenCalls = { names: new Map(), outputs: [] };
  /** The newest handle with which the session can be taken up again. */
  resume_handle: string | null = null;
  /** Is told that Gemini is about to end the connection. */
  onGoingAway: ((ms: number) => void) | null = null;
  readonly #options: InboundOptions;
  #turn: UserTurn | null = null;
  #answer: Answer | null = null;
  /** Gemini speaks and nobody asked it to. */
  #unasked = false;
  /** What was said of an answer that was cancelled here still comes, until its end. */
  #skipping = false;
  #request: AnswerRequest | null = null;
  #last_item_id: string | null;
  #usage: Wire | null = null;

  constructor(options: InboundOptions) {
    this.#options = options;
    this.#last_item_id = options.last_item_id;
  }

  /** Whether an answer is under way that the client knows of. */
  get answering(): boolean {
    return this.#answer !== null || this.#request !== null;
  }

  get last_item_id(): string | null {
    return this.#last_item_id;
  }

  /** The next answer is one that was asked for. */
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

  /** The client said that the user's turn is over. */
  committed(): void {
    this.#userTurn().commit();
    this.#last_item_id = this.#turn?.item_id ?? this.#last_item_id;
  }

  /** The client cancelled the answer: it is over here, whatever still comes of it. */
  cancel(): boolean {
    if (!this.#answer) return false;
    this.#end('cancelled', 'client_cancelled');
    this.#skipping = true;
    return true;
  }

  receive(message: Wire): void {
    if (isObject(message['usageMetadata'])) this.#usage = usageOf(message['usageMetadata']);
    const activity =
      textIn(objectIn(message, 'voiceActivity'), 'voiceActivityType') ??
      textIn(objectIn(message, 'voiceActivityDetectionSignal'), 'vadSignalType');
    if (activity !== undefined) this.#activity(activity);
    if (isObject(message['serverContent'])) this.#content(message['serverContent']);
    if (isObject(message['toolCall'])) this.#toolCall(message['toolCall']);
    if (isObject(message['toolCallCancellation'])) this.#cancelled(message['toolCallCancellation']);
    const resumption = objectIn(message, 'sessionResumptionUpdate');
    if (resumption['resumable'] === true) this.resume_handle = textIn(resumption, 'newHandle') ?? this.resume_handle;
    if (isObject(message['goAway'])) this.onGoingAway?.(durationMs(textIn(message['goAway'], 'timeLeft') ?? '0s'));
  }

  #activity(type: string): void {
    if (/START|SOS/.test(type)) {
      // A new turn of the user, unless the old one goes on.
      if (this.#turn?.committed) this.#closeTurn();
      this.#userTurn();
    } else if (/END|EOS/.test(type)) this.#commitTurn();
  }

  #content(content: Wire): void {
    const heard = objectIn(content, 'inputTranscription');
    if ('text' in heard || 'finished' in heard) this.#heard(textIn(heard, 'text') ?? '', heard['finished'] === true);
    if (content['interrupted'] === true) this.#interrupted();
    for (const part of listIn(objectIn(content, 'modelTurn'), 'parts')) this.#part(part);
    const said = textIn(objectIn(content, 'outputTranscription'), 'text');
    if (said !== undefined && said !== '') this.#begun()?.words(said);
    if (content['turnComplete'] === true) this.#turnComplete();
  }

  #part(part: Wire): void {
    if (part['thought'] === true) return;
    const data = textIn(objectIn(part, 'inlineData'), 'data');
    if (data !== undefined) this.#begun()?.sound(data);
    // Where it speaks, what it says is written in its transcription.
    else if (typeof part['text'] === 'string' && !this.#options.speaks) this.#begun()?.words(part['text']);
  }

  #heard(text: string, finished: boolean): void {
    const turn = this.#userTurn();
    turn.fragment(text);
    if (!finished) return;
    turn.written();
    if (turn.over) this.#turn = null;
  }

  #userTurn(): UserTurn {
    const { emit, sent_ms, detects } = this.#options;
    this.#turn ??= new UserTurn({ emit, sent_ms, previous_item_id: this.#last_item_id, detected: detects });
    return this.#turn;
  }

  #commitTurn(): void {
    if (!this.#turn || this.#turn.committed) return;
    this.#turn.commit();
    this.#last_item_id = this.#turn.item_id;
    if (this.#turn.over) this.#turn = null;
  }

  #closeTurn(): void {
    this.#commitTurn();
    this.#turn?.written();
    this.#turn = null;
  }

  /** Gemini says something: the user's turn is over, and an answer has begun. Null for one that is not shown. */
  #begun(): Answer | null {
    if (this.#skipping || this.#unasked) return null;
    if (this.#answer) return this.#answer;
    this.#commitTurn();
    if (this.#turn?.heard) this.#closeTurn();
    this.#options.began();
    const request = this.#request;
    if (!request && this.#options.asked_only) {
      this.#unasked = true;
      return null;
    }
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

  #toolCall(toolCall: Wire): void {
    const calls = listIn(toolCall, 'functionCalls');
    const answer = this.#begun();
    for (const call of calls) {
      const name = textIn(call, 'name');
      if (name === undefined) continue;
      const call_id = textIn(call, 'id') ?? newId('call');
      this.calls.names.set(call_id, name);
      answer?.call(call_id, name, JSON.stringify(call['args'] ?? {}));
    }
    // Gemini waits for the outputs now: this answer is over, and what follows them is another one.
    if (answer) this.#end('completed', null);
  }

  #cancelled(cancellation: Wire): void {
    const ids: unknown = cancellation['ids'];
    if (!Array.isArray(ids)) return;
    for (const id of ids) {
      this.calls.names.delete(String(id));
      this.calls.outputs = this.calls.outputs.filter((output) => output['id'] !== id);
    }
  }

  #interrupted(): void {
    if (this.#options.detects && (!this.#turn || this.#turn.committed) && this.#request === null) {
      if (this.#turn) this.#closeTurn();
      this.#userTurn();
    }
    if (this.#answer) this.#end('cancelled', this.#request === null ? 'turn_detected' : 'client_cancelled');
  }

  #turnComplete(): void {
    if (this.#answer) this.#end('completed', null);
    if (this.#turn?.committed) this.#closeTurn();
    this.#unasked = false;
    this.#skipping = false;
  }

  #end(status: 'completed' | 'cancelled', reason: string | null): void {
    const answer = this.#answer;
    if (!answer) return;
    this.#answer = null;
    answer.end(status, reason, this.#usage ?? NO_USAGE);
    this.#usage = null;
    this.#last_item_id = answer.last_item_id;
  }
}

/** Strict clients want every count, also of an answer that was cut off before it was counted. */
const NO_USAGE: Wire = {
  total_tokens: 0,
  input_tokens: 0,
  output_tokens: 0,
  input_token_details: { text_tokens: 0, audio_tokens: 0, cached_tokens: 0 },
  output_token_details: { text_tokens: 0, audio_tokens: 0 },
};

function usageOf(usage: Wire): Wire {
  const count = (key: string): number => numberIn(usage, key) ?? 0;
  const of = (key: string, modality: string): number =>
    listIn(usage, key)
      .filter((one) => one['modality'] === modality)
      .reduce((sum, one) => sum + (numberIn(one, 'tokenCount') ?? 0), 0);
  return {
    total_tokens: count('totalTokenCount'),
    input_tokens: count('promptTokenCount'),
    output_tokens: count('responseTokenCount'),
    input_token_details: {
      text_tokens: of('promptTokensDetails', 'TEXT'),
      audio_tokens: of('promptTokensDetails', 'AUDIO'),
      cached_tokens: count('cachedContentTokenCount'),
    },
    output_token_details: {
      text_tokens: of('responseTokensDetails', 'TEXT'),
      audio_tokens: of('responseTokensDetails', 'AUDIO'),
    },
  };
}

/** `9.5s` in milliseconds. */
function durationMs(text: string): number {
  const seconds = Number(/^(\d+(?:\.\d+)?)s$/.exec(text)?.[1] ?? 0);
  return Math.round(seconds * 1000);
}
