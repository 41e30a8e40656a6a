// What a client of OpenAI Realtime's shape says, as OpenAI Live takes it.

import { newId } from '@parley/core';
import { event } from '../openai/answer.ts';
import { renamedType } from '../openai/renamed-socket.ts';
import { encoded, listIn, objectIn, textIn, type Wire, type WireFrame } from '../openai/wire.ts';
import type { ModelSessionOptions } from '../port.ts';
import type { Inbound } from './inbound.ts';
import { type LiveSettings, startOf, toolsOf } from './session-config.ts';

/** An append holds at most 500 tokens; this many characters are fewer in every language that Live speaks. */
const APPEND_CHARS_MAX = 1_000;
const SAY_EXACTLY = 'Say exactly: ';

export interface OutboundOptions {
  session: ModelSessionOptions;
  settings: LiveSettings;
  inbound: Inbound;
  send: (message: Buffer) => void;
  /** Tells the client. */
  emit: (frame: Buffer) => void;
}

export class Outbound {
  readonly #options: OutboundOptions;
  #session: Wire | null = null;

  constructor(options: OutboundOptions) {
    this.#options = options;
  }

  get session(): Wire {
    return this.#session ?? {};
  }

  /** A plain append: only its name is another. */
  append(frame: Buffer): void {
    this.#options.send(renamedType(frame, 'input_audio_buffer.append', 'session.input_audio.append'));
  }

  receive(frame: WireFrame): void {
    const event_id = textIn(frame, 'event_id');
    switch (frame.type) {
      case 'session.update':
        return this.#update(objectIn(frame, 'session'), event_id);
      case 'input_audio_buffer.append':
        return this.#send({ type: 'session.input_audio.append', audio: frame['audio'] }, event_id);
      case 'conversation.item.create':
        return this.#item(objectIn(frame, 'item'), event_id);
      case 'conversation.item.truncate':
        // Live speaks in real time and knows what was heard.
        return this.#options.emit(
          event('conversation.item.truncated', {
            item_id: frame['item_id'],
            content_index: 0,
            audio_end_ms: frame['audio_end_ms'],
          }),
        );
      case 'response.create':
        return this.#create(objectIn(frame, 'response'), event_id);
      case 'response.cancel':
        if (!this.#options.inbound.cancel()) {
          this.#refuse(event_id, 'response_cancel_not_active', 'no answer is under way');
        }
        return;
      case 'output_audio_buffer.clear':
        return;
      default:
        return this.#refuse(event_id, 'unsupported_event', `OpenAI Live has nothing like ${frame.type}`);
    }
  }

  #update(session: Wire, event_id: string | undefined): void {
    const { settings, session: options } = this.#options;
    if (this.#session === null) {
      this.#session = session;
      return this.#send({ type: 'session.start', session: startOf(session, options, settings) }, event_id);
    }
    this.#session = { ...this.#session, ...session, audio: this.#session['audio'] };
    const instructions = textIn(session, 'instructions');
    // Instructions cannot be changed, but added to.
    if (instructions) this.#context('session.instructions.append', instructions, event_id);
    if ('tools' in session && settings.delegation === 'responses') {
      const delegation = { type: 'responses', responses: { tools: toolsOf(session) } };
      this.#send({ type: 'session.update', session: { delegation } }, event_id);
    }
    this.#options.emit(event('session.updated', { session: this.#session }));
  }

  #item(given: Wire, event_id: string | undefined): void {
    const item: Wire = { id: newId('item'), object: 'realtime.item', status: 'completed', ...given };
    const { settings, inbound } = this.#options;
    if (item['type'] === 'function_call_output') {
      const { call_id, output } = item;
      this.#send({ type: 'response.item.create', item: { type: 'function_call_output', call_id, output } }, event_id);
      return inbound.added(item);
    }
    if (item['type'] === 'function_call') {
      const { call_id, name, arguments: input } = item;
      const call = { type: 'function_call', call_id, name, arguments: input };
      this.#send({ type: 'response.item.create', item: call }, event_id);
      return inbound.added(item);
    }
    const text = listIn(item, 'content')
      .map((part) => textIn(part, 'text') ?? '')
      .join('\n');
    if (item['role'] === 'system') this.#context('session.instructions.append', text, event_id);
    else if (item['role'] === 'user' && settings.delegation === 'responses') {
      const message = { type: 'message', role: 'user', content: [{ type: 'input_text', text }] };
      this.#send({ type: 'response.item.create', item: message }, event_id);
    } else this.#context('session.thinking.append', text, event_id);
    inbound.added(item);
  }

  #create(response: Wire, event_id: string | undefined): void {
    const { inbound, settings } = this.#options;
    if (inbound.answering) {
      return this.#refuse(
        event_id,
        'conversation_already_has_active_response',
        'Conversation already has an active response in progress.',
      );
    }
    const metadata = 'metadata' in response ? objectIn(response, 'metadata') : null;
    inbound.expect({ event_id: event_id ?? newId('event'), metadata });
    const instructions = textIn(response, 'instructions');
    if (instructions?.startsWith(SAY_EXACTLY)) {
      return this.#context('session.commentary.append', instructions.slice(SAY_EXACTLY.length), event_id);
    }
    if (settings.delegation === 'client') {
      return this.#context('session.commentary.append', instructions ?? 'Answer what the user said.', event_id);
    }
    if (instructions !== undefined) this.#context('session.instructions.append', instructions, event_id);
    this.#send({ type: 'response.create' }, event_id);
  }

  /** Text for Live: what it is to say, to think of, or to keep to. */
  #context(type: string, text: string, event_id: string | undefined): void {
    const { inbound, settings } = this.#options;
    const delegation_id = settings.delegation === 'client' ? inbound.delegation_id : null;
    for (const content of pieces(text)) this.#send({ type, content, delegation_id }, event_id);
    if (type === 'session.commentary.append') inbound.delegation_id = null;
  }

  #refuse(event_id: string | undefined, code: string, message: string): void {
    const error = { type: 'invalid_request_error', code, message, param: null, event_id: event_id ?? null };
    this.#options.emit(event('error', { error }));
  }

  #send(message: Wire, event_id: string | undefined): void {
    this.#options.send(encoded(event_id === undefined ? message : { ...message, event_id }));
  }
}

/** A text in pieces that Live takes, cut behind white space where there is some. */
export function pieces(text: string): string[] {
  const all: string[] = [];
  let rest = text;
  while (rest.length > APPEND_CHARS_MAX) {
    const space = rest.lastIndexOf(' ', APPEND_CHARS_MAX);
    const cut = space > 0 ? space + 1 : APPEND_CHARS_MAX;
    all.push(rest.slice(0, cut));
    rest = rest.slice(cut);
  }
  return [...all, rest];
}
