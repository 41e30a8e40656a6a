// What a client of OpenAI's shape says, as Gemini takes it.

import { newId } from '@parley/core';
import type { Clock } from '@parley/transport';
import { Pcm16Resampler } from '@parley/transport/audio';
import type { ModelSessionOptions } from '../port.ts';
import { encoded, listIn, objectIn, textIn, type Wire, type WireFrame } from '../openai/wire.ts';
import { event } from '../openai/answer.ts';
import type { Inbound } from './inbound.ts';
import { contextOf, INPUT_RATE, setupOf } from './setup.ts';

/** Sound of a turn that the client has not committed yet: five minutes. */
const HELD_BYTES_MAX = 2 * INPUT_RATE * 300;
const SOURCE_RATE = 24_000;
/** A stream of sound that pauses this long has to be said to have ended, or the end of a turn is waited for in vain. */
const PAUSE_MS = 1_000;
const BYTES_PER_MS = (SOURCE_RATE * 2) / 1000;

export interface OutboundOptions {
  session: ModelSessionOptions;
  inbound: Inbound;
  clock: Clock;
  /** Sends one message to Gemini. */
  send: (message: string | Buffer) => void;
  /** Tells the client. */
  emit: (frame: Buffer) => void;
}

export class Outbound {
  readonly #options: OutboundOptions;
  readonly #resampler = new Pcm16Resampler(SOURCE_RATE, INPUT_RATE);
  /** The session in OpenAI's shape, as far as it was told; null before the first update. */
  #session: Wire | null = null;
  /** Push-to-talk: the sound of the turn that is not over. Gemini cannot take sound back, so it is kept until then. */
  #held: string[] = [];
  #heldBytes = 0;
  #sentBytes = 0;
  /** Gemini was given the outputs of its tools, or the end of a turn: it answers without being asked. */
  #continues = false;
  /** Sound came since the end of the stream was said. */
  #streaming: { last_ms: number; timer: { cancel(): void } } | null = null;

  constructor(options: OutboundOptions) {
    this.#options = options;
  }

  get sent_ms(): number {
    return Math.round(this.#sentBytes / BYTES_PER_MS);
  }

  get session(): Wire {
    return this.#session ?? {};
  }

  /** The sound of an append. Nothing else of the frame is looked at. */
  audio(base64: string): void {
    const pcm = Buffer.from(base64, 'base64');
    this.#sentBytes += pcm.length;
    const data = this.#resampler.push(pcm).toString('base64');
    if (data === '') return;
    if (this.#detects) {
      this.#options.send(audioMessage(data));
      return this.#streams();
    }
    if (this.#heldBytes + data.length > HELD_BYTES_MAX) {
      return this.#refuse(undefined, 'input_audio_buffer_full', 'the turn that is not committed is too long');
    }
    this.#heldBytes += data.length;
    this.#held.push(data);
  }

  /** The connection is gone. */
  stop(): void {
    this.#streaming?.timer.cancel();
    this.#streaming = null;
  }

  #streams(): void {
    const { clock } = this.#options;
    if (this.#streaming) this.#streaming.last_ms = clock.now();
    else this.#streaming = { last_ms: clock.now(), timer: clock.after(PAUSE_MS, () => this.#paused()) };
  }

  /** One timer for many frames: it looks whether there was a pause, and waits for the rest of it if there was none. */
  #paused(): void {
    const streaming = this.#streaming;
    if (!streaming) return;
    const left_ms = PAUSE_MS - (this.#options.clock.now() - streaming.last_ms);
    if (left_ms > 0) {
      streaming.timer = this.#options.clock.after(left_ms, () => this.#paused());
      return;
    }
    this.#streaming = null;
    this.#send({ realtimeInput: { audioStreamEnd: true } });
  }

  /** Gemini has begun to answer. */
  began(): void {
    this.#continues = false;
  }

  receive(frame: WireFrame): void {
    const event_id = textIn(frame, 'event_id');
    switch (frame.type) {
      case 'session.update':
        return this.#update(objectIn(frame, 'session'));
      case 'input_audio_buffer.append':
        return this.audio(textIn(frame, 'audio') ?? '');
      case 'input_audio_buffer.commit':
        return this.#commit(event_id);
      case 'input_audio_buffer.clear':
        this.#held = [];
        this.#heldBytes = 0;
        return this.#options.emit(event('input_audio_buffer.cleared', {}));
      case 'conversation.item.create':
        return this.#item(objectIn(frame, 'item'));
      case 'conversation.item.truncate':
        // Gemini has counted itself what was heard.
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
          return this.#refuse(event_id, 'response_cancel_not_active', 'no answer is under way');
        }
        // Content of the client is what stops Gemini. A list of no turns is refused.
        return this.#send({ clientContent: { turnComplete: false } });
      case 'output_audio_buffer.clear':
        return;
      default:
        return this.#refuse(event_id, 'unsupported_event', `Gemini has nothing like ${frame.type}`);
    }
  }

  get #detects(): boolean {
    return objectIn(objectIn(this.session, 'audio'), 'input')['turn_detection'] != null;
  }

  #update(session: Wire): void {
    if (this.#session === null) {
      this.#session = session;
      return this.#send({ setup: setupOf(session, this.#options.session) });
    }
    this.#session = { ...this.#session, ...session, audio: this.#session['audio'] };
    const context = contextOf(session);
    if (Object.keys(context).length > 0) this.#send({ contextUpdate: context });
    this.#options.emit(event('session.updated', { session: this.#session }));
  }

  #commit(event_id: string | undefined): void {
    if (this.#detects) return;
    if (this.#held.length === 0) {
      return this.#refuse(event_id, 'input_audio_buffer_commit_empty', 'the input audio buffer is empty');
    }
    this.#send({ realtimeInput: { activityStart: {} } });
    for (const data of this.#held) this.#options.send(audioMessage(data));
    this.#send({ realtimeInput: { activityEnd: {} } });
    this.#held = [];
    this.#heldBytes = 0;
    this.#continues = true;
    this.#options.inbound.committed();
  }

  #item(given: Wire): void {
    const item: Wire = { id: newId('item'), object: 'realtime.item', status: 'completed', ...given };
    if (item['type'] === 'function_call_output') return this.#output(item);
    const text = listIn(item, 'content')
      .map((part) => textIn(part, 'text') ?? '')
      .join('\n');
    const role = item['role'] === 'assistant' ? 'model' : 'user';
    this.#send({ clientContent: { turns: [{ role, parts: [{ text }] }], turnComplete: false } });
    this.#options.inbound.added(item);
  }

  #output(item: Wire): void {
    const { calls } = this.#options.inbound;
    const call_id = textIn(item, 'call_id') ?? '';
    const name = calls.names.get(call_id);
    // Gemini took the call back, because the user went on speaking.
    if (name === undefined) return;
    const output = textIn(item, 'output') ?? '';
    calls.outputs.push({ id: call_id, name, response: responseOf(output) });
    if (calls.outputs.length < calls.names.size) return;
    this.#send({ toolResponse: { functionResponses: calls.outputs } });
    calls.names.clear();
    calls.outputs = [];
    this.#continues = true;
  }

  #create(response: Wire, event_id: string | undefined): void {
    const { inbound } = this.#options;
    if (inbound.answering) {
      return this.#refuse(
        event_id,
        'conversation_already_has_active_response',
        'Conversation already has an active response in progress.',
      );
    }
    const metadata = 'metadata' in response ? objectIn(response, 'metadata') : null;
    inbound.expect({ event_id: event_id ?? newId('event'), metadata });
    const continues = this.#continues;
    this.#continues = false;
    const instructions = textIn(response, 'instructions');
    if (continues && instructions === undefined) return;
    const turns = instructions === undefined ? {} : { turns: [{ role: 'user', parts: [{ text: instructions }] }] };
    this.#send({ clientContent: { ...turns, turnComplete: true } });
  }

  #refuse(event_id: string | undefined, code: string, message: string): void {
    const error = { type: 'invalid_request_error', code, message, param: null, event_id: event_id ?? null };
    this.#options.emit(event('error', { error }));
  }

  #send(message: Wire): void {
    this.#options.send(encoded(message));
  }
}

function audioMessage(base64: string): string {
  return `{"realtimeInput":{"audio":{"mimeType":"audio/pcm;rate=${INPUT_RATE}","data":"${base64}"}}}`;
}

/** Gemini takes an object. */
function responseOf(output: string): Wire {
  try {
    const value: unknown = JSON.parse(output);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Wire;
    return { output: value };
  } catch {
    return { output };
  }
}
