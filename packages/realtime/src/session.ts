// One conversation with a model, in this process. `step` decides, the engine performs, and this is what a program sees.

import type { Usage } from '@parley/core';
import type { RealtimeAgent } from './agent.ts';
import type { RealtimeListener } from './event-hub.ts';
import type { RealtimeEventOf, RealtimeEventType, RealtimeSessionEvent, ToolApprovalItem } from './events.ts';
import type { RealtimeItem, RealtimeItemInput } from './history/item.ts';
import type { RealtimeLimits } from './options.ts';
import { Engine, type Spoken } from './run/engine.ts';
import type { RealtimeUserInput } from './run/inputs.ts';
import { type Parts, quiet, type SessionClosed, type SessionOptions } from './run/parts.ts';

export interface SendMessageOptions {
  /** Whether the model is asked to answer. Default true; of `addImage` false. */
  triggerResponse?: boolean;
}

/** A running session. A {@link RealtimeRunner} makes one, connected; it is over when it is closed. */
export class RealtimeSession<C = unknown> implements AsyncDisposable {
  readonly #engine: Engine;
  readonly #parts: Parts;
  readonly #context: C;

  constructor(options: SessionOptions<C>) {
    // Inside a context is a value that is handed on as it is; here alone it has a type.
    this.#engine = new Engine(options as unknown as SessionOptions);
    this.#parts = this.#engine.parts;
    this.#context = options.run.context as C;
  }

  get id(): string {
    return this.#parts.id;
  }

  get limits(): Readonly<RealtimeLimits> {
    return this.#parts.limits;
  }

  /** The agent that speaks. */
  get currentAgent(): RealtimeAgent<C> {
    return this.#parts.roster.current.agent as unknown as RealtimeAgent<C>;
  }

  /** The conversation in the provider's order; the same list until something changes. */
  get history(): readonly RealtimeItem[] {
    return this.#parts.history.items;
  }

  /** What the session has cost so far. */
  get usage(): Usage {
    return this.#parts.machine.state.usage;
  }

  get context(): C {
    return this.#context;
  }

  get muted(): boolean {
    return this.#parts.inputs.muted;
  }

  /** Resolves when the session is over, with the reason. Never rejects. */
  get closed(): Promise<SessionClosed> {
    return this.#engine.over;
  }

  /** For the runner. */
  start(): Promise<void> {
    return this.#engine.start();
  }

  /**
   * Sends a message of the user. Resolves when the provider has taken it up, and rejects when it refused it.
   *
   * @throws ParleyError `permission_denied` when an input guardrail refused it; `resource_exhausted` when too many sends
   * wait; `failed_precondition` when the session is over; what the provider refused it with.
   */
  sendMessage(message: RealtimeUserInput, options: SendMessageOptions = {}): Promise<void> {
    return quiet(this.#parts.inputs.message(message, options.triggerResponse ?? true));
  }

  /** Sends an image: a data URI, or a URL where the provider takes one. The model is not asked to answer unless told. */
  addImage(image: string, options: SendMessageOptions = {}): Promise<void> {
    return quiet(this.#parts.inputs.content([{ type: 'input_image', image }], options.triggerResponse ?? false));
  }

  /**
   * Sends sound of the user in the input format of the session. While the connection is made again it waits, up to
   * `limits.waitingAudioBytes`; while muted it is dropped.
   *
   * @param options.commit the turn is over: for push-to-talk. Resolves when the provider has taken it up.
   */
  sendAudio(audio: ArrayBuffer | Uint8Array, options?: { commit?: boolean }): Promise<void> {
    return this.#parts.inputs.audio(audio, options?.commit === true);
  }

  /** Forgets sound that was sent and is no turn yet. */
  clearAudio(): Promise<void> {
    return this.#parts.inputs.clearAudio();
  }

  /** Whether sound of the user is dropped. */
  mute(muted: boolean): void {
    this.#parts.inputs.muted = muted;
  }

  /** Cuts the answer: it is cancelled, and what was not heard of it leaves the conversation. */
  interrupt(): void {
    this.#engine.interrupt();
  }

  /** Asks the model for an answer without telling it anything more; once the present answer is over, where there is one. */
  respond(): void {
    this.#engine.respond();
  }

  /**
   * Has the model speak these words and no others. Resolves when they were heard or cut.
   * @throws ParleyError when the provider refused, or the session ended.
   */
  say(words: string): Promise<Spoken> {
    return this.#engine.say(words);
  }

  /** Another agent takes over. Resolves when the provider has taken up what it is. */
  updateAgent(agent: RealtimeAgent<C>): Promise<RealtimeAgent<C>> {
    return quiet(this.#parts.speakers.change(agent as unknown as RealtimeAgent).then(() => agent));
  }

  /**
   * Changes the conversation: what is missing in `items` is deleted, what is new is created at its place, what is
   * different is made anew. Sound of the model is created as its words. Resolves when the provider has taken it all up.
   *
   * @throws ParleyError what the provider refused the first refused change with; `invalid_argument` for an item that only
   * a provider can make.
   */
  updateHistory(
    items: readonly RealtimeItemInput[] | ((history: readonly RealtimeItem[]) => readonly RealtimeItemInput[]),
  ): Promise<void> {
    return quiet(this.#parts.inputs.edit(typeof items === 'function' ? items(this.history) : items));
  }

  /**
   * Lets a call run that waits for it.
   * @param call its id, or the `approvalItem` of the event.
   * @throws ParleyError `not_found` when no such call waits.
   */
  approve(
    call: string | Pick<ToolApprovalItem, 'callId'>,
    options: { always?: boolean; alwaysApprove?: boolean } = {},
  ): Promise<void> {
    return this.#decide(call, { approved: true }, options.always ?? options.alwaysApprove ?? false);
  }

  /**
   * Answers a call that waits without running it.
   * @param options.message what the model is told.
   * @throws ParleyError `not_found` when no such call waits.
   */
  reject(
    call: string | Pick<ToolApprovalItem, 'callId'>,
    options: { always?: boolean; alwaysReject?: boolean; message?: string; rejectionMessage?: string } = {},
  ): Promise<void> {
    const message = options.message ?? options.rejectionMessage;
    return this.#decide(call, { approved: false, message }, options.always ?? options.alwaysReject ?? false);
  }

  /**
   * Sends a frame of the provider's protocol as it is, for what this library has no name for. Its refusal is an `error`
   * event.
   */
  sendEvent(event: Record<string, unknown> & { type: string }): void {
    if (!this.#parts.closing) this.#parts.link.sendEvent(event);
  }

  on<T extends RealtimeEventType>(type: T, listener: (event: RealtimeEventOf<T>) => unknown): this {
    this.#parts.hub.on(type, listener);
    return this;
  }

  off<T extends RealtimeEventType>(type: T, listener: (event: RealtimeEventOf<T>) => unknown): this {
    this.#parts.hub.off(type, listener);
    return this;
  }

  once<T extends RealtimeEventType>(type: T, listener: (event: RealtimeEventOf<T>) => unknown): this {
    const own = (event: RealtimeEventOf<T>): unknown => {
      this.#parts.hub.off(type, own);
      return listener(event);
    };
    return this.on(type, own);
  }

  /** Tells every event but `transport_event` to a listener. Returns what ends that. */
  subscribe(listener: RealtimeListener): () => void {
    return this.#parts.hub.subscribe(listener);
  }

  /** Every event but `transport_event`. The first iterator begins with what happened since the session began. */
  [Symbol.asyncIterator](): AsyncIterableIterator<RealtimeSessionEvent> {
    return this.#parts.hub.iterate();
  }

  /** Ends the session. Nothing of it runs afterwards; everybody who calls it waits for the same end. */
  close(): Promise<void> {
    return this.#engine.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  async #decide(
    call: string | Pick<ToolApprovalItem, 'callId'>,
    decision: { approved: boolean; message?: string | undefined },
    always: boolean,
  ): Promise<void> {
    this.#parts.calls.approvals.decide(typeof call === 'string' ? call : call.callId, decision, always);
  }
}
