// Frames of the provider, on their way into the history, the player and the guardrails. What is decoded already is not
// decoded again, and sound is never parsed: its few fields are, and its base64 goes straight to bytes.

import { heardText, ParleyError } from '@parley/core';
import type { EventHub } from './event-hub.ts';
import type { OutputWatch } from './guard/output-watch.ts';
import type { History } from './history/history.ts';
import { isObject, number, text, textOf, type Wire } from './history/item.ts';
import type { Sends } from './link/sends.ts';
import type { Playback } from './play/playback.ts';

export interface IncomingOptions {
  hub: EventHub;
  history: History;
  playback: Playback;
  watch: OutputWatch;
  sends: Sends;
  /** Whether the sound of an answer is not wanted any more. */
  isCut(responseId: string): boolean;
  /** Whether this side cut an item, and knows what was heard of it. */
  wasCut(itemId: string): boolean;
  /** The user's words are known. */
  understood(itemId: string, words: string): void;
  sessionChanged(session: Wire): void;
  /** An item of an MCP server that the provider calls by itself. */
  hosted(item: Wire, done: boolean): void;
  /** Arguments of one: more of them, or all. */
  hostedArguments(itemId: string, json: string, whole: boolean): void;
  hostedFailed(itemId: string): void;
}

const DELTA = Buffer.from('"delta":"');

export class Incoming {
  readonly #options: IncomingOptions;

  constructor(options: IncomingOptions) {
    this.#options = options;
  }

  take(type: string | null, frame: Buffer, decoded: Wire | null): void {
    const { hub } = this.#options;
    if (hub.wants('transport_event')) {
      const event = parsed(frame);
      // Anew, whoever decoded it before: what a listener changes in it is the listener's.
      if (event) hub.emit({ type: 'transport_event', event });
    }
    if (type === 'response.output_audio.delta') return this.#sound(frame);
    if (type === null || !KNOWN.has(type)) return;
    const event = decoded ?? parsed(frame);
    if (event) this.#structural(type, event);
  }

  #sound(frame: Buffer): void {
    const { hub, history, playback } = this.#options;
    const at = frame.indexOf(DELTA);
    const end = at < 0 ? -1 : frame.indexOf(0x22, at + DELTA.length);
    let event: Wire | null;
    let data: Buffer;
    if (end < 0) {
      event = parsed(frame);
      data = Buffer.from(text(event?.['delta']) ?? '', 'base64');
    } else {
      event = parsedText(`${frame.toString('utf8', 0, at + DELTA.length)}${frame.toString('utf8', end)}`);
      data = Buffer.from(frame.toString('latin1', at + DELTA.length, end), 'base64');
    }
    const responseId = text(event?.['response_id']);
    const itemId = text(event?.['item_id']);
    if (responseId === undefined || itemId === undefined || data.length === 0) return;
    if (this.#options.isCut(responseId)) return;
    const contentIndex = number(event?.['content_index']) ?? 0;
    const first = playback.came(responseId, itemId, contentIndex, data.length);
    if (first) hub.emit({ type: 'audio_start', itemId, contentIndex, responseId });
    history.sound(itemId, contentIndex, data);
    if (hub.wants('audio')) hub.emit({ type: 'audio', data, itemId, contentIndex, responseId });
  }

  #structural(type: string, event: Wire): void {
    const { hub, history, sends } = this.#options;
    const itemId = text(event['item_id']) ?? '';
    switch (type) {
      case 'session.updated':
        sends.taken('updated');
        if (isObject(event['session'])) this.#options.sessionChanged(event['session']);
        return;
      case 'conversation.item.added':
      case 'conversation.item.created':
      case 'conversation.item.done':
        return this.#item(type === 'conversation.item.done', event, true);
      case 'response.output_item.added':
      case 'response.output_item.done':
        return this.#item(type === 'response.output_item.done', event, false);
      case 'conversation.item.retrieved':
        return this.#item(true, event, false);
      case 'conversation.item.deleted':
        history.delete(itemId);
        sends.taken(`deleted:${itemId}`);
        return;
      case 'response.mcp_call_arguments.delta':
        return this.#options.hostedArguments(itemId, text(event['delta']) ?? '', false);
      case 'response.mcp_call_arguments.done':
        return this.#hostedArguments(itemId, text(event['arguments']) ?? '');
      case 'mcp_list_tools.failed':
        return this.#options.hostedFailed(itemId);
      case 'conversation.item.truncated':
        return this.#truncated(itemId, event);
      case 'conversation.item.input_audio_transcription.delta':
        return this.#grow(event, 'transcript', 'user');
      case 'conversation.item.input_audio_transcription.completed': {
        const words = text(event['transcript']) ?? '';
        history.complete(itemId, number(event['content_index']) ?? 0, 'transcript', words, 'user');
        return this.#options.understood(itemId, words);
      }
      case 'conversation.item.input_audio_transcription.failed': {
        const error = isObject(event['error']) ? event['error'] : {};
        const message = text(error['message']) ?? 'the provider could not write down what was said';
        history.stop(itemId);
        hub.emit({
          type: 'user_transcription_failed',
          itemId,
          error: new ParleyError('unknown', message).toObject(),
        });
        return;
      }
      case 'response.output_text.delta':
        return this.#grow(event, 'text', 'assistant');
      case 'response.output_audio_transcript.delta':
        return this.#grow(event, 'transcript', 'assistant');
      case 'response.output_text.done':
        return this.#complete(event, 'text', text(event['text']));
      case 'response.output_audio_transcript.done':
        return this.#complete(event, 'transcript', text(event['transcript']));
      case 'response.output_audio.done':
        return this.#soundDone(event);
      case 'input_audio_buffer.committed':
        sends.taken('committed');
        return;
      case 'input_audio_buffer.cleared':
        sends.taken('cleared');
        return;
      case 'input_audio_buffer.timeout_triggered':
        hub.emit({ type: 'input_audio_timeout_triggered', ...(itemId === '' ? {} : { itemId }) });
        return;
      case 'input_audio_buffer.dtmf_event_received':
        hub.emit({ type: 'dtmf', digit: text(event['event']) ?? '' });
        return;
      case 'rate_limits.updated':
        hub.emit({
          type: 'rate_limits_updated',
          rateLimits: Array.isArray(event['rate_limits']) ? event['rate_limits'] : [],
        });
        return;
      case 'error':
        return this.#refused(event);
      default:
    }
  }

  #item(done: boolean, event: Wire, placed: boolean): void {
    const item = event['item'];
    if (!isObject(item)) return;
    const { previous_item_id: previous } = event;
    const place = placed && (previous === null || typeof previous === 'string') ? previous : undefined;
    this.#options.history.put(item, place, done ? 'completed' : 'in_progress');
    const id = text(item['id']) ?? '';
    const type = text(item['type']) ?? '';
    if (type.startsWith('mcp_')) this.#options.hosted(item, done);
    if (placed) {
      if (this.#options.sends.waiting) this.#options.sends.taken(`item:${id}`);
    } else if (done && type === 'function_call' && this.#options.history.isOtherCall(id)) {
      const callId = text(item['call_id']) ?? '';
      const error = new ParleyError('already_exists', `the model used call id '${callId}' for two different calls`, {
        details: { boundary: 'session -> provider', call_id: callId },
      });
      this.#options.hub.emit({ type: 'error', error, source: 'provider' });
    }
  }

  #hostedArguments(itemId: string, json: string): void {
    const { history } = this.#options;
    const item = history.item(itemId);
    if (item?.type === 'mcp_call' || item?.type === 'mcp_approval_request') {
      history.put({ id: itemId, type: item.type, arguments: json }, undefined, item.status);
    }
    this.#options.hostedArguments(itemId, json, true);
  }

  #grow(event: Wire, field: 'text' | 'transcript', role: 'user' | 'assistant'): void {
    const itemId = text(event['item_id']);
    const delta = text(event['delta']);
    const responseId = text(event['response_id']);
    if (itemId === undefined || delta === undefined || delta === '') return;
    if (responseId !== undefined && this.#options.isCut(responseId)) return;
    this.#options.history.grow(itemId, number(event['content_index']) ?? 0, field, delta, role);
    if (role === 'assistant') this.#options.watch.grow(responseId, itemId, delta);
  }

  #complete(event: Wire, field: 'text' | 'transcript', words: string | undefined): void {
    const itemId = text(event['item_id']);
    const responseId = text(event['response_id']);
    if (itemId === undefined || words === undefined) return;
    if (responseId !== undefined && this.#options.isCut(responseId)) return;
    this.#options.history.complete(itemId, number(event['content_index']) ?? 0, field, words, 'assistant');
  }

  #soundDone(event: Wire): void {
    const itemId = text(event['item_id']) ?? '';
    const contentIndex = number(event['content_index']) ?? 0;
    const responseId = text(event['response_id']) ?? '';
    this.#options.playback.completed(itemId, contentIndex);
    if (!this.#options.isCut(responseId)) {
      this.#options.hub.emit({ type: 'audio_stopped', itemId, contentIndex, responseId });
    }
  }

  #truncated(itemId: string, event: Wire): void {
    const { history, playback, sends } = this.#options;
    const contentIndex = number(event['content_index']) ?? 0;
    const item = history.item(itemId);
    const all = playback.receivedMs(itemId, contentIndex);
    const endMs = number(event['audio_end_ms']) ?? 0;
    // The provider lets all words go with the sound; what is kept here is what was heard of them. Where this side cut it,
    // that is known already.
    if (!this.#options.wasCut(itemId))
      history.cut(itemId, contentIndex, heardText(item ? textOf(item) : '', endMs, all > 0 ? all : endMs));
    sends.taken(`truncated:${itemId}`);
  }

  #refused(event: Wire): void {
    const error = isObject(event['error']) ? event['error'] : {};
    const eventId = text(error['event_id']);
    if (eventId === undefined) return;
    const code = text(error['code']) ?? text(error['type']) ?? 'unknown';
    this.#options.sends.refused(eventId, {
      code: 'invalid_argument',
      message: text(error['message']) ?? `the provider refused it with ${code}`,
      retryable: false,
      details: { boundary: 'session -> provider', provider_code: code },
    });
  }
}

const KNOWN: ReadonlySet<string> = new Set([
  'session.updated',
  'conversation.item.added',
  'conversation.item.created',
  'conversation.item.done',
  'conversation.item.retrieved',
  'conversation.item.deleted',
  'conversation.item.truncated',
  'conversation.item.input_audio_transcription.delta',
  'conversation.item.input_audio_transcription.completed',
  'conversation.item.input_audio_transcription.failed',
  'response.output_item.added',
  'response.output_item.done',
  'response.output_text.delta',
  'response.output_text.done',
  'response.output_audio_transcript.delta',
  'response.output_audio_transcript.done',
  'response.output_audio.done',
  'input_audio_buffer.committed',
  'input_audio_buffer.cleared',
  'input_audio_buffer.timeout_triggered',
  'input_audio_buffer.dtmf_event_received',
  'rate_limits.updated',
  'response.mcp_call_arguments.delta',
  'response.mcp_call_arguments.done',
  'mcp_list_tools.failed',
  'error',
]);

function parsed(frame: Buffer): Wire | null {
  return parsedText(frame.toString());
}

function parsedText(json: string): Wire | null {
  try {
    const value: unknown = JSON.parse(json);
    return isObject(value) ? value : null;
  } catch {
    // A provider that sends something else than JSON has said nothing.
    return null;
  }
}
