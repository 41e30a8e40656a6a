// The answers of the model: which were asked for and have not begun, which are being generated, and what came of them.
//
// A response may be done without ever having been created, or begin without repeating our metadata; whatever happens,
// each request of ours ends in one `response.started` or one `provider.failed` (P3 of the port).

import type { ErrorObject, ModelEvent, Usage } from '@parley/core';
import type { Clock } from '@parley/transport';
import { BOUNDARY, providerError, type Redact } from './errors.ts';
import { listIn, numberIn, objectIn, textIn, type Wire, type WireFrame } from './wire.ts';

/** A provider that neither began nor refused an answer in this time has lost the request. */
const REQUEST_MS = 20_000;
const ENDED_MAX = 64;
/** After the sideband came back, an answer that nothing is heard of for this long was over before. */
const UNCERTAIN_MS = 5000;
/** What a second of the provider's speech is billed as. */
const MS_PER_AUDIO_TOKEN = 50;
/** Ids of a delta stand in front of its sound. */
const IDS_BYTES = 512;

interface Request {
  event_id: string;
  command_id: string;
  timer: { cancel(): void };
}

interface Active {
  id: Buffer;
  /** Beside the conversation (`conversation: none`): a client's own, not an answer of this session. */
  outOfBand: boolean;
  audioBytes: number;
  item_id: string | undefined;
  text: string;
  /** Its playing ended before its generating was told to be over. */
  played: boolean;
  /** Heard of since the sideband came back. */
  timer: { cancel(): void } | null;
}

export interface ResponsesOptions {
  emit: (event: ModelEvent) => void;
  clock: Clock;
  redact: Redact;
  /** Bytes of the reply's sound in one millisecond. */
  bytesPerMs: () => number;
  /** The provider plays the answers itself, and says when they were heard; their sound does not come this way. */
  plays: boolean;
}

export class Responses {
  readonly #options: ResponsesOptions;
  readonly #requests = new Map<string, Request>();
  readonly #active = new Map<string, Active>();
  #ended: string[] = [];
  #latest: Active | null = null;

  constructor(options: ResponsesOptions) {
    this.#options = options;
  }

  /** A `response.create` of ours went out. */
  asked(event_id: string, command_id: string): void {
    const timer = this.#options.clock.after(REQUEST_MS, () => {
      this.#requests.delete(event_id);
      const message = `the provider did not begin an answer within ${REQUEST_MS} ms`;
      const error: ErrorObject = {
        code: 'deadline_exceeded',
        message,
        retryable: true,
        details: { boundary: BOUNDARY },
      };
      this.#options.emit({ type: 'provider.failed', error, command_id });
    });
    this.#requests.set(event_id, { event_id, command_id, timer });
  }

  /** The provider refused an answer: the command that it was, when it was one of ours. */
  refused(event_id: string | undefined, provider_code: string | undefined): string | undefined {
    // Some providers do not say which request they refuse: then it was the oldest.
    const oldest = provider_code === 'conversation_already_has_active_response' ? this.#requests.values().next() : null;
    const request = event_id === undefined ? oldest?.value : this.#requests.get(event_id);
    if (request) this.#settle(request);
    return request?.command_id;
  }

  created(response: Wire): void {
    const id = textIn(response, 'id');
    if (id !== undefined && !this.#active.has(id) && !this.#ended.includes(id)) this.#begin(id, response);
  }

  /** A part of a response came, perhaps before anything else of it. */
  heardOf(response_id: string | undefined): void {
    if (response_id !== undefined) this.#opened(response_id);
  }

  /** The provider played an answer to its end. */
  played(response_id: string | undefined): void {
    const active = response_id === undefined ? undefined : this.#active.get(response_id);
    if (active) active.played = true;
    else if (response_id !== undefined) this.#options.emit({ type: 'response.played', response_id });
  }

  /** Events may have been missed: an answer that is over would be waited for without end. */
  uncertain(): void {
    for (const [id, active] of this.#active) {
      active.timer?.cancel();
      active.timer = this.#options.clock.after(UNCERTAIN_MS, () => {
        this.done({ id, status: 'incomplete', status_details: { reason: 'sideband_lost' } });
      });
    }
  }

  /** Sound of an answer. Allocates nothing while one answer is generated. */
  audio(bytes: number, frame: Buffer): void {
    const one = this.#active.size === 1 ? this.#latest : this.#activeIn(frame);
    if (one) one.audioBytes += bytes;
  }

  /** `response.output_audio_transcript.done` or `response.output_text.done`. */
  spoken(event: WireFrame, text: string): void {
    const response_id = textIn(event, 'response_id');
    const item_id = textIn(event, 'item_id');
    const active = response_id === undefined ? undefined : this.#opened(response_id);
    if (active) {
      active.text += text;
      active.item_id ??= item_id;
      if (active.outOfBand) return;
    }
    this.#options.emit({
      type: 'transcript.completed',
      track: 'agent',
      text,
      ...(item_id === undefined ? {} : { item_id }),
      ...(response_id === undefined ? {} : { response_id }),
    });
  }

  done(response: Wire): void {
    const response_id = textIn(response, 'id');
    if (response_id === undefined || this.#ended.includes(response_id)) return;
    const active = this.#active.get(response_id) ?? this.#begin(response_id, response);
    active.timer?.cancel();
    this.#active.delete(response_id);
    this.#ended = [...this.#ended.slice(-(ENDED_MAX - 1)), response_id];
    if (this.#latest === active) this.#latest = [...this.#active.values()].at(-1) ?? null;
    const details = objectIn(response, 'status_details');
    const reason = textIn(details, 'reason');
    const status = statusOf(response);
    const messages = listIn(response, 'output').filter((item) => item['type'] === 'message');
    const item_id = active.item_id ?? textIn(messages[0] ?? {}, 'id');
    const usage = usageOf(response);
    const { plays } = this.#options;
    const spoken = messages.some((item) => listIn(item, 'content').some((part) => part['type'] === 'output_audio'));
    this.#options.emit({
      type: 'response.completed',
      response_id,
      status,
      text: textOf(messages) || active.text,
      audio_ms: plays
        ? (usage?.output_audio_tokens ?? 0) * MS_PER_AUDIO_TOKEN
        : Math.round(active.audioBytes / this.#options.bytesPerMs()),
      ...(item_id === undefined ? {} : { item_id }),
      ...(reason === undefined ? {} : { reason }),
      ...(status === 'failed' ? { error: providerError(objectIn(details, 'error'), this.#options.redact) } : {}),
      ...(usage === undefined ? {} : { usage }),
      ...(plays && spoken ? { playback_reported: true } : {}),
    });
    if (active.played) this.#options.emit({ type: 'response.played', response_id });
  }

  /** The connection ended; its close settles what was asked for. */
  stop(): void {
    for (const { timer } of this.#requests.values()) timer.cancel();
    for (const { timer } of this.#active.values()) timer?.cancel();
    this.#requests.clear();
    this.#active.clear();
    this.#latest = null;
  }

  #begin(response_id: string, response: Wire): Active {
    const metadata = objectIn(response, 'metadata');
    const named = textIn(metadata, 'parley_request');
    // A response whose beginning was lost tells nothing of itself: it is what was waited for.
    const lost = response['id'] === undefined;
    const request = lost ? this.#requests.values().next().value : this.#requests.get(named ?? '');
    if (request) this.#settle(request);
    const active: Active = {
      id: Buffer.from(`"${response_id}"`),
      outOfBand: response['conversation_id'] === null && !request,
      audioBytes: 0,
      item_id: undefined,
      text: '',
      played: false,
      timer: null,
    };
    this.#active.set(response_id, active);
    this.#latest = active;
    if (active.outOfBand) return active;
    const asked_id = request && request.command_id !== 'respond' ? request.command_id : undefined;
    const say_id = textIn(metadata, 'parley_say') ?? asked_id;
    this.#options.emit(
      say_id === undefined
        ? { type: 'response.started', response_id, cause: 'model' }
        : { type: 'response.started', response_id, cause: 'say', say_id },
    );
    return active;
  }

  #opened(response_id: string): Active | undefined {
    if (this.#ended.includes(response_id)) return undefined;
    const active = this.#active.get(response_id) ?? this.#begin(response_id, {});
    active.timer?.cancel();
    active.timer = null;
    return active;
  }

  #activeIn(frame: Buffer): Active | null {
    for (const active of this.#active.values()) {
      const at = frame.indexOf(active.id);
      if (at >= 0 && at < IDS_BYTES) return active;
    }
    return null;
  }

  #settle(request: Request): void {
    request.timer.cancel();
    this.#requests.delete(request.event_id);
  }
}

type Status = Extract<ModelEvent, { type: 'response.completed' }>['status'];

function statusOf(response: Wire): Status {
  const status = response['status'];
  return status === 'cancelled' || status === 'failed' || status === 'incomplete' ? status : 'completed';
}

function textOf(messages: readonly Wire[]): string {
  return messages
    .flatMap((item) => listIn(item, 'content'))
    .map((part) => textIn(part, 'transcript') ?? textIn(part, 'text') ?? '')
    .join('');
}

function usageOf(response: Wire): Usage | undefined {
  const usage = objectIn(response, 'usage');
  const input = objectIn(usage, 'input_token_details');
  const output = objectIn(usage, 'output_token_details');
  const counts: { [K in keyof Usage]-?: number | undefined } = {
    input_tokens: numberIn(usage, 'input_tokens'),
    output_tokens: numberIn(usage, 'output_tokens'),
    input_audio_tokens: numberIn(input, 'audio_tokens'),
    output_audio_tokens: numberIn(output, 'audio_tokens'),
    input_text_tokens: numberIn(input, 'text_tokens'),
    output_text_tokens: numberIn(output, 'text_tokens'),
    cached_tokens: numberIn(input, 'cached_tokens'),
    seconds: numberIn(usage, 'seconds'),
  };
  const known = Object.entries(counts).filter(([, count]) => count !== undefined);
  return known.length === 0 ? undefined : (Object.fromEntries(known) as Usage);
}
