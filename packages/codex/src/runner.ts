// A runner: one conversation, one turn at a time.

import { ParleyError } from '@parley/core';
import {
  type AgentRunner,
  type AgentTurnResult,
  type CheckedAgentConfig,
  interruptionOf,
  parseStructured,
  turnError,
  type TurnOptions,
  type TurnRequest,
  turnRequest,
} from '@parley/turns';
import type { Backend } from './backend.ts';
import { Conversation, type ConversationOptions } from './conversation.ts';
import { TurnRun } from './turn-run.ts';

export class CodexRunner implements AgentRunner {
  readonly config: CheckedAgentConfig;
  readonly #backend: Backend;
  readonly #conversation: Conversation;
  readonly #disposed = new AbortController();
  readonly #onDisposed: () => void;
  // Codex takes a second prompt as a correction of the running turn, so the lock is here. It is held through clean-up.
  #turn: Promise<unknown> | null = null;
  #gone: Promise<void> | null = null;

  constructor(options: ConversationOptions, onDisposed: () => void) {
    this.config = options.config;
    this.#backend = options.backend;
    this.#conversation = new Conversation(options);
    this.#onDisposed = onDisposed;
  }

  get conversationId(): string | null {
    return this.#conversation.id;
  }

  async turn(prompt: string, options: TurnOptions = {}): Promise<AgentTurnResult> {
    const request = turnRequest(prompt, options);
    if (this.#disposed.signal.aborted) throw this.#disposed.signal.reason;
    if (this.#backend.lost.aborted) throw refusal(this.#backend.lost.reason);
    if (this.#turn) {
      throw turnError('concurrent_turn', 'a turn of this runner is running: wait for it, or make another runner');
    }
    const running = this.#run(request);
    this.#turn = running;
    try {
      return await running;
    } finally {
      this.#turn = null;
    }
  }

  dispose(): Promise<void> {
    return (this.#gone ??= this.#dispose());
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #run(request: TurnRequest): Promise<AgentTurnResult> {
    const { eventsMax, metadataCharsMax } = this.#backend.settings;
    const turn: TurnRun = new TurnRun({
      request,
      eventsMax,
      metadataCharsMax,
      onListenerError: (error) => over.end(error),
    });
    using over = interruptionOf(request, [this.#backend.lost, this.#disposed.signal], () => turn.waitingFor);
    await this.#conversation.run(request, turn, over.signal);
    // A listener may have thrown at the last event.
    over.signal.throwIfAborted();
    const { assistantText, events, usage } = turn;
    const { outputSchema } = request;
    return {
      assistantText,
      events,
      ...(outputSchema && { structured: parseStructured(outputSchema, assistantText) }),
      ...(usage && { usage }),
    };
  }

  async #dispose(): Promise<void> {
    this.#disposed.abort(turnError('backend_closed', 'this runner was disposed of'));
    // How the turn ended is told to whoever asked for it.
    await this.#turn?.catch(() => undefined);
    try {
      await this.#conversation.delete();
    } finally {
      this.#onDisposed();
    }
  }
}

/** What a lost backend tells a later caller: the same words, with a stack of the caller's own. */
function refusal(reason: unknown): ParleyError {
  const { code, message, retryable, details } = ParleyError.from(reason);
  return new ParleyError(code, message, { retryable, details, cause: reason });
}
