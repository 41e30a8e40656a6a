import { CALL_FORMAT, samplesOf } from '../audio/format.ts';
import { answer, type Output, type PendingCalls } from '../model.ts';
import type { Script } from '../script.ts';
import type { Utterance, Voice } from '../voice.ts';
import type { Clock } from '../clock.ts';
import type { FaultPlan, Occasion } from '../faults.ts';
import type { ServerEvent } from '../wire.ts';
import type { SessionConfig } from './config.ts';
import type { Connection } from './connection.ts';
import type { Conversation, Entry, Hearing } from './conversation.ts';
import { hearingOf } from './hearing.ts';
import type { PartSound } from './message-part.ts';
import type { Playback } from './playback.ts';
import { Response, type ResponseHost } from './response.ts';
import type { ResponseSettings } from './response-params.ts';
import { add, itemTokens, NO_TOKENS, textTokens, type Tokens } from './usage.ts';
import { WireError } from './wire-error.ts';

// The responses of one session: at most one in the conversation, others beside it.

const PENDING_MAX = 256;
const OUT_OF_BAND_MAX = 32;
const RATE_LIMIT_REQUESTS = 10_000;
const RATE_LIMIT_TOKENS = 2_000_000;

export interface ResponderParts {
  script: Script;
  voice: Voice;
  clock: Clock;
  faults: FaultPlan;
  pace: number;
  occasion: Occasion;
  connection: Connection;
  conversation: Conversation;
  conversationId: string;
  config: () => SessionConfig;
  /** Where sound goes that is not sent as events. */
  playback: Playback | null;
  /** Called when the default response is over. */
  replied: (response: Response) => void;
}

export class Responder implements ResponseHost {
  readonly #parts: ResponderParts;
  readonly #active = new Set<Response>();
  #default: Response | null = null;
  /** Batches of calls that wait for their outputs, by call id. */
  readonly #pending = new Map<string, PendingCalls>();
  /** How the turn came that a response answers: it is spoken in the same manner. */
  readonly #manners = new WeakMap<Response, Hearing['kind']>();
  #lastContext: Tokens = NO_TOKENS;
  #tokensUsed = 0;
  readonly spoken: string[] = [];
  audioBytesOut = 0;

  constructor(parts: ResponderParts) {
    this.#parts = parts;
  }

  get clock(): Clock {
    return this.#parts.clock;
  }

  get conversationId(): string {
    return this.#parts.conversationId;
  }

  get pace(): number {
    return this.#parts.pace;
  }

  get busy(): boolean {
    return this.#default !== null;
  }

  /** Begins a response; throws the error event where one is under way. */
  create(settings: ResponseSettings): void {
    if (!settings.outOfBand && this.#default) {
      throw new WireError(
        'conversation_already_has_active_response',
        `Conversation already has an active response in progress: ${this.#default.id}. Wait until the response is finished before creating a new one.`,
      );
    }
    if (this.#active.size >= OUT_OF_BAND_MAX) {
      throw new WireError(
        'too_many_responses',
        `The session is at its limit of ${OUT_OF_BAND_MAX} responses at a time.`,
      );
    }
    const response = new Response(settings, this);
    this.#active.add(response);
    if (!settings.outOfBand) this.#default = response;
    void response.run();
  }

  /** `response.cancel`: the one named, else the default one. */
  cancel(id: string | undefined): void {
    const response = id === undefined ? this.#default : [...this.#active].find((active) => active.id === id);
    if (!response) throw new WireError('response_cancel_not_active', 'Cancellation failed: no active response found');
    response.cancel('client_cancelled');
  }

  /** The user speaks over the answer, or the client silences it. */
  interrupt(reason: 'turn_detected' | 'client_cancelled' = 'turn_detected'): void {
    const { playback } = this.#parts;
    if (playback) playback.interrupt(() => this.#default?.cancel(reason));
    else this.#default?.cancel(reason);
  }

  close(): void {
    for (const response of this.#active) response.drop();
    this.#active.clear();
    this.#default = null;
  }

  ready(): boolean {
    return this.#parts.connection.ready;
  }

  send(event: ServerEvent): void {
    this.#parts.connection.send(event);
  }

  sendAudio({ responseId, itemId, head }: PartSound, delta: string): void {
    this.audioBytesOut += (delta.length * 3) / 4;
    const { playback, connection } = this.#parts;
    if (!playback) return connection.sendAudio(head, delta);
    const samples = samplesOf(Buffer.from(delta, 'base64'), CALL_FORMAT);
    if (!playback.play(responseId, itemId, samples)) throw new Error('the output audio buffer is full');
  }

  insert(entry: Entry): string | null {
    return this.#parts.conversation.insert(entry);
  }

  before(entry: Entry): string | null {
    return this.#parts.conversation.before(entry);
  }

  change(entry: Entry, change: () => void): void {
    this.#parts.conversation.change(entry, change);
  }

  async plan(response: Response): Promise<Output[] | null> {
    if (await this.#strike(response)) return null;
    const { settings } = response;
    const context = settings.input ?? this.#parts.conversation.entries;
    const lastUser = context.findLast(isUser) ?? null;
    // A response with a context of its own is still spoken to the caller whose turn was the last.
    const addressed = lastUser ?? this.#parts.conversation.entries.findLast(isUser);
    const heard = addressed ? await hearingOf(addressed) : null;
    if (response.ended) return null;
    if (heard) this.#manners.set(response, heard.kind);
    const hearing = lastUser ? heard : null;
    const decided = answer(this.#parts.script, {
      ...settings,
      context,
      lastUser,
      hearing,
      pending: (callId) => this.#pending.get(callId),
    });
    if (decided.pending) this.#remember(decided.pending);
    return decided.outputs;
  }

  /** A fault on this response; true where it ended the response. */
  async #strike(response: Response): Promise<boolean> {
    const fault = this.#parts.faults.take('response', this.#parts.occasion);
    const { connection } = this.#parts;
    if (fault?.kind === 'delay') await response.delay(fault.ms);
    if (fault?.kind === 'rate_limit') {
      const limited = WireError.rateLimit();
      connection.send(limited.toEvent(null));
      response.fail(limited.type, 'rate_limit_exceeded', limited.message);
    } else if (fault) connection.strike(fault);
    return response.ended;
  }

  #remember(calls: PendingCalls): void {
    for (const callId of calls.callIds) {
      if (this.#pending.size >= PENDING_MAX) this.#pending.delete(this.#pending.keys().next().value as string);
      this.#pending.set(callId, calls);
    }
  }

  async speak(output: Output & { kind: 'say' | 'playback' }, response: Response): Promise<Utterance> {
    const { voice } = this.#parts;
    // A call sounds as its media does, whatever the session says about formats.
    const format = this.#parts.playback ? CALL_FORMAT : response.settings.format;
    if (output.kind === 'playback') return voice.playback(output.audio, format);
    return voice.say(output.text, format, this.#manners.get(response) ?? null, response.signal);
  }

  inputTokens(response: Response): { now: Tokens; before: Tokens } {
    const config = this.#parts.config();
    const { input, instructions, tools } = response.settings;
    const items = input
      ? input.reduce((sum, { item, audioMs }) => add(sum, itemTokens(item, audioMs)), NO_TOKENS)
      : this.#parts.conversation.tokens;
    const prompt =
      textTokens(instructions ?? config.instructions) + (tools.length === 0 ? 0 : textTokens(JSON.stringify(tools)));
    const now = add(items, { text: prompt, audio: 0, image: 0 });
    const before = this.#lastContext;
    if (!response.settings.outOfBand) this.#lastContext = now;
    return { now, before };
  }

  ended(response: Response): void {
    this.#active.delete(response);
    this.#parts.playback?.end(response.id);
    this.#remark(response);
    this.#sendRateLimits();
    if (this.#default !== response) return;
    this.#default = null;
    this.#parts.replied(response);
  }

  #remark(response: Response): void {
    this.spoken.push(...response.spokenTexts());
    if (this.spoken.length > PENDING_MAX) this.spoken.splice(0, this.spoken.length - PENDING_MAX);
    this.#tokensUsed += response.outputTokens;
  }

  #sendRateLimits(): void {
    this.send({
      type: 'rate_limits.updated',
      rate_limits: [
        { name: 'requests', limit: RATE_LIMIT_REQUESTS, remaining: RATE_LIMIT_REQUESTS - 1, reset_seconds: 0.006 },
        {
          name: 'tokens',
          limit: RATE_LIMIT_TOKENS,
          remaining: Math.max(0, RATE_LIMIT_TOKENS - this.#tokensUsed),
          reset_seconds: 0.03,
        },
      ],
    });
  }
}

function isUser({ item }: Entry): boolean {
  return item.role === 'user';
}
