// A runner of the fake: it performs what the script says, and keeps what the port promises about it.

import { randomUUID } from 'node:crypto';
import { inputProblem } from '@parley/core';
import type { CheckedAgentConfig } from '../config.ts';
import { turnError } from '../failures.ts';
import { interruptionOf, untilAborted } from '../interruption.ts';
import { type TurnRequest, turnRequest } from '../request.ts';
import type { AgentRunner, AgentTurnEvent, AgentTurnResult, HostFunction, TurnOptions } from '../runner.ts';
import { parseStructured } from '../structured.ts';
import type { FakeReply, FakeScript, FakeTurn } from './fake-script.ts';

/** What a runner knows of its factory. */
export interface FakeBackend {
  readonly script: FakeScript;
  /** Aborted with what running turns have to end with. */
  readonly lost: AbortSignal;
  /** Every turn of every runner. */
  readonly turns: FakeTurn[];
  checkUsable(): void;
  lose(): void;
  conversation(id: string): FakeTurn[];
  forget(id: string): void;
}

/** A runner of the fake; `turns` are the ones it was asked for. */
export class FakeAgentRunner implements AgentRunner {
  readonly config: CheckedAgentConfig;
  readonly #factory: FakeBackend;
  readonly #functions: readonly HostFunction[];
  readonly #disposed = new AbortController();
  #conversationId: string | null;
  #busy = false;

  constructor(
    factory: FakeBackend,
    config: CheckedAgentConfig,
    functions: readonly HostFunction[],
    conversationId: string | null,
  ) {
    this.#factory = factory;
    this.config = config;
    this.#functions = functions;
    this.#conversationId = conversationId;
  }

  get conversationId(): string | null {
    return this.#conversationId;
  }

  /** What this conversation was asked. */
  get turns(): readonly FakeTurn[] {
    return this.#conversationId === null ? [] : this.#factory.conversation(this.#conversationId);
  }

  async turn(prompt: string, options: TurnOptions = {}): Promise<AgentTurnResult> {
    const request = turnRequest(prompt, options);
    if (this.#disposed.signal.aborted) throw this.#disposed.signal.reason;
    this.#factory.checkUsable();
    if (this.#busy) throw turnError('concurrent_turn', 'a turn of this runner is running already');
    this.#busy = true;
    try {
      return await this.#run(request);
    } finally {
      this.#busy = false;
    }
  }

  async dispose(): Promise<void> {
    if (this.#disposed.signal.aborted) return;
    this.#disposed.abort(turnError('backend_closed', 'this runner was disposed of'));
    if (this.#conversationId !== null) this.#factory.forget(this.#conversationId);
    await Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.dispose();
  }

  async #run(request: TurnRequest): Promise<AgentTurnResult> {
    this.#conversationId ??= randomUUID();
    const turns = this.#factory.conversation(this.#conversationId);
    const { prompt, outputSchema, timeoutMs } = request;
    const turn = { prompt, index: turns.length, config: this.config, outputSchema, timeoutSeconds: timeoutMs / 1000 };
    turns.push(turn);
    this.#factory.turns.push(turn);

    using over = interruptionOf(request, [this.#factory.lost, this.#disposed.signal], () => 'what its script says');
    const scripted = await untilAborted(Promise.resolve(this.#factory.script(turn)), over.signal);
    const reply = typeof scripted === 'string' ? { text: scripted } : scripted;
    try {
      const events = await this.#perform(reply, request, over.signal);
      await waited(reply.delayMs ?? 0, over.signal);
      if (reply.losesBackend) this.#factory.lose();
      over.signal.throwIfAborted();
      if (reply.error) throw reply.error;
      const assistantText = reply.text ?? '';
      return {
        assistantText,
        events,
        ...(outputSchema && { structured: parseStructured(outputSchema, assistantText) }),
        ...(reply.usage && { usage: reply.usage }),
      };
    } catch (error) {
      if (over.signal.aborted && reply.cleanUpMs !== undefined) await waited(reply.cleanUpMs, this.#factory.lost);
      throw error;
    }
  }

  async #perform(reply: FakeReply, request: TurnRequest, signal: AbortSignal): Promise<AgentTurnEvent[]> {
    const events: AgentTurnEvent[] = [];
    const tell = (event: AgentTurnEvent): void => {
      events.push(event);
      request.onEvent?.(event);
    };
    for (const event of reply.events ?? []) tell(event);
    for (const { name, input } of reply.calls ?? []) {
      const metadata = { tool: name, arguments: input, ...(await this.#call(name, input, signal)) };
      tell({ kind: 'dynamicToolCall', summary: name, metadata });
    }
    if (reply.text !== undefined && !reply.error) {
      tell({ kind: 'agentMessage', summary: reply.text.slice(0, 200), metadata: { text: reply.text } });
    }
    return events;
  }

  async #call(name: string, input: unknown, signal: AbortSignal): Promise<{ success: boolean; output: string }> {
    const found = this.#functions.find((one) => one.name === name);
    if (!found) return { success: false, output: `there is no function '${name}'` };
    const problem = inputProblem(found.inputSchema, input);
    if (problem !== null) return { success: false, output: problem };
    try {
      const output = await untilAborted(Promise.resolve(found.run(input, { signal })), signal);
      return { success: true, output: typeof output === 'string' ? output : JSON.stringify(output ?? null) };
    } catch (error) {
      signal.throwIfAborted();
      return { success: false, output: error instanceof Error ? error.message : String(error) };
    }
  }
}

function waited(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    // No timer where none is asked for: tests with a virtual clock then need not turn it.
    if (ms <= 0) return resolve();
    const cut = (): void => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const done = (): void => {
      signal.removeEventListener('abort', cut);
      resolve();
    };
    const timer = Number.isFinite(ms) ? setTimeout(done, ms) : undefined;
    signal.addEventListener('abort', cut, { once: true });
  });
}
