// One turn that came in one request, from its first entry in the log to the answer that is complete.
//
// The answer is complete when nothing is generated, asked for or waited for any more: a model that calls tools answers
// once their outputs are there, and a handler may say several things.

import { type EventRecord, LIMITS, ParleyError, type SessionState, type TurnToolCall, type Usage } from '@parley/core';
import { frameType } from '@parley/transport';
import { BYTES_PER_MS } from '../sound/turn-input.ts';

export interface TurnResult {
  turn_id: string;
  user_text: string;
  text: string;
  /** 16-bit mono at 24 kHz. */
  pcm: Buffer;
  interrupted: boolean;
  tool_calls: TurnToolCall[];
  usage: Usage | undefined;
  duration_ms: number;
}

/** For readers of an answer that is still being made. */
export interface TurnListener {
  event(record: EventRecord, json: string): void;
  audio(base64: string): void;
  text(delta: string): void;
}

const REPLY_BYTES_MAX = LIMITS.turn_reply_ms_max * BYTES_PER_MS;
/** How long a complete answer waits for the words of the user to be written down. */
const USER_TEXT_MS = 2_000;

/** Entries that belong to a turn. */
const OWN: ReadonlySet<string> = new Set([
  'turn.started',
  'turn.completed',
  'response.started',
  'response.completed',
  'response.interrupted',
  'say.requested',
  'tool.called',
  'tool.rejected',
  'tool.dispatched',
  'tool.completed',
]);

export class Turn {
  readonly item_id: string;
  readonly result: Promise<TurnResult>;
  readonly #began_ms: number;
  readonly #now: () => number;
  readonly #listener: TurnListener | undefined;
  readonly #settle: { resolve: (result: TurnResult) => void; reject: (error: Error) => void };
  readonly #responses = new Set<string>();
  readonly #calls = new Map<string, TurnToolCall>();
  readonly #texts: string[] = [];
  readonly #audio: Buffer[] = [];
  #audioBytes = 0;
  #turn_id = '';
  #user_text: string | null = null;
  #usage: Usage | undefined;
  #answered = false;
  #interrupted = false;
  #patience: NodeJS.Timeout | undefined;

  constructor(item_id: string, now: () => number, listener: TurnListener | undefined) {
    this.item_id = item_id;
    this.#now = now;
    this.#began_ms = now();
    this.#listener = listener;
    const { promise, resolve, reject } = Promise.withResolvers<TurnResult>();
    this.result = promise;
    this.#settle = { resolve, reject };
    promise.catch(() => undefined).finally(() => clearTimeout(this.#patience));
  }

  fail(error: Error): void {
    this.#settle.reject(error);
  }

  /** An entry of the log; `state` is the session after it, or after some that are still to be told. */
  record(record: EventRecord, json: string, state: SessionState): void {
    if (OWN.has(record.type)) this.#listener?.event(record, json);
    switch (record.type) {
      case 'turn.started':
        if (record.item_id === this.item_id) this.#turn_id = record.turn_id;
        break;
      case 'turn.completed':
        if (record.item_id === this.item_id) this.#user_text = record.text;
        break;
      case 'response.started':
        this.#responses.add(record.response_id);
        break;
      case 'response.completed':
        if (this.#responses.has(record.response_id)) this.#completed(record);
        break;
      case 'tool.called':
        if (record.source === 'model') this.#call(record.call_id, record.name, { status: 'unknown' });
        break;
      case 'tool.rejected':
        this.#call(record.call_id, record.name, { status: 'rejected', error: record.error });
        break;
      case 'tool.completed': {
        const { call_id, name, status, output, error, duration_ms } = record;
        const ended = { status, duration_ms, ...(error === undefined ? {} : { error }) };
        this.#call(call_id, name, output === undefined ? ended : { ...ended, output });
        break;
      }
      case 'provider.failed':
        if (record.command_id === 'client' || this.#responses.size === 0) this.fail(ParleyError.from(record.error));
        break;
      case 'session.closed': {
        const { error, reason } = record;
        this.fail(
          error
            ? ParleyError.from(error)
            : new ParleyError('aborted', `the session ended: ${reason}`, { retryable: false }),
        );
        break;
      }
      default:
    }
    // The state is ahead of the entries that are told: it is looked at when they have met.
    if (record.seq === state.seq) this.#look(state);
  }

  /** A frame of the model. */
  frame(frame: Buffer, kind: 'audio' | 'other'): void {
    if (kind === 'audio') {
      const { delta } = JSON.parse(frame.toString()) as { delta: string };
      this.#listener?.audio(delta);
      this.#sound(Buffer.from(delta, 'base64'));
      return;
    }
    const type = frameType(frame);
    if (type !== 'response.output_audio_transcript.delta' && type !== 'response.output_text.delta') return;
    if (this.#listener) this.#listener.text((JSON.parse(frame.toString()) as { delta: string }).delta);
  }

  #sound(pcm: Buffer): void {
    this.#audioBytes += pcm.length;
    if (this.#audioBytes > REPLY_BYTES_MAX) {
      const message = `an answer may have at most ${LIMITS.turn_reply_ms_max} ms of sound`;
      this.fail(new ParleyError('resource_exhausted', message, { retryable: false }));
    } else this.#audio.push(pcm);
  }

  #call(call_id: string, name: string, ended: Omit<TurnToolCall, 'call_id' | 'name'>): void {
    if (ended.status !== 'unknown' && !this.#calls.has(call_id)) return;
    this.#calls.set(call_id, { call_id, name, ...ended });
  }

  #completed(record: EventRecord & { type: 'response.completed' }): void {
    const { status, text, usage, error } = record;
    if (text !== '') this.#texts.push(text);
    this.#usage = sum(this.#usage, usage);
    if (status === 'failed') {
      const failure = error ?? { code: 'unknown' as const, message: 'the provider failed', retryable: false };
      const details = { ...failure.details, turn_id: this.#turn_id };
      this.fail(ParleyError.from({ ...failure, details }));
    }
    this.#answered = true;
    this.#interrupted ||= status === 'cancelled';
  }

  #look(state: SessionState): void {
    if (!this.#answered) return;
    const { response, creating, respond_wanted, says, calls } = state;
    const waits = Object.values(calls).some((call) => call.source === 'model');
    if (!this.#interrupted && (response || creating || respond_wanted || waits || says.length > 0)) return;
    if (this.#user_text !== null) this.#finish();
    else this.#patience ??= setTimeout(() => this.#finish(), USER_TEXT_MS);
  }

  #finish(): void {
    this.#settle.resolve({
      turn_id: this.#turn_id,
      user_text: this.#user_text ?? '',
      text: this.#texts.join(' '),
      pcm: Buffer.concat(this.#audio),
      interrupted: this.#interrupted,
      tool_calls: [...this.#calls.values()],
      usage: this.#usage,
      duration_ms: this.#now() - this.#began_ms,
    });
  }
}

function sum(total: Usage | undefined, more: Usage | undefined): Usage | undefined {
  if (!total || !more) return total ?? more;
  const all = { ...total };
  for (const key of Object.keys(more) as (keyof Usage)[]) all[key] = (all[key] ?? 0) + (more[key] ?? 0);
  return all;
}
