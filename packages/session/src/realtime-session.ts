// A session as its handler sees it.

import {
  type EventOf,
  parseTarget,
  ParleyError,
  type ResolvedTool,
  type ServerFrameOf,
  type SessionDeclaration,
  type SessionEvent,
} from '@parley/core';
import type { Call, CallOptions } from './context.ts';
import type { FunctionRef } from './functions.ts';
import { payloadText } from './json.ts';
import type { Log } from './log.ts';
import type { RequestFrame } from './requests.ts';
import { turnDetectionOnWire, type TurnDetectionOptions } from './session-options.ts';
import { Turn, TurnQueue } from './turns.ts';

export interface Spoken {
  /** True when the user spoke over it, or it was cut in another way. */
  interrupted: boolean;
  /** What was heard, to the last whole word; an estimate when it was interrupted. */
  spokenText: string;
}

export interface SessionChange {
  instructions?: string;
  voice?: string;
  /** null is push-to-talk. */
  turnDetection?: TurnDetectionOptions | null;
  /** Narrows the tools that the model may call, by their exposed names. */
  tools?: string[];
}

/**
 * One conversation, in the hands of its handler. After its end every method rejects with a ParleyError (`cancelled`,
 * `details.reason` says why it ended), and a `for await` over it is done.
 *
 * @example
 * support.session('desk', { provider: 'simulator', transport: 'websocket' }, async (session) => {
 *   for await (const turn of session) {
 *     const found = await session.call<{ answer: string }>('support.look_up', { text: turn.text }, { signal: turn.signal });
 *     await session.say(found.answer);
 *   }
 * });
 */
export interface RealtimeSession extends AsyncIterable<Turn> {
  readonly id: string;
  /** `agent.session`. */
  readonly target: string;
  readonly workflowId: string;
  /** The root execution of the workflow. */
  readonly executionId: string;
  readonly declaration: SessionDeclaration;
  /** What the model may call. */
  readonly tools: readonly ResolvedTool[];
  /** What the caller gave at the start. */
  readonly metadata: Record<string, unknown>;
  /** Aborted when the session ends; its reason is the ParleyError. */
  readonly signal: AbortSignal;
  readonly log: Log;
  /** Resolves with the next turn of the user. The turn before it counts as answered. */
  input(options?: CallOptions): Promise<Turn>;
  /** Speaks; resolves when it was heard, or cut. At most 16,384 characters. */
  say(text: string): Promise<Spoken>;
  /** Runs a function as a child of the session. It is cancelled when the session ends. */
  readonly call: Call;
  /** Changes what the model was told. */
  update(change: SessionChange): Promise<void>;
  /** Puts text into the conversation as the user's; `respond` lets the model answer it. */
  inject(text: string, options?: { respond?: boolean }): Promise<void>;
  /** Ends the session. */
  close(reason?: string): Promise<void>;
}

export interface SessionPort {
  agent: string;
  request(frame: RequestFrame, signal: AbortSignal): Promise<unknown>;
  log: Log;
  /** Turns that may wait for the handler. */
  turnsMax: number;
}

/** The session behind the face: it takes the entries of the log and turns the methods into requests. */
export class LiveSession implements RealtimeSession {
  readonly id: string;
  readonly target: string;
  readonly workflowId: string;
  readonly executionId: string;
  readonly declaration: SessionDeclaration;
  readonly tools: readonly ResolvedTool[];
  readonly metadata: Record<string, unknown>;
  readonly log: Log;
  readonly #port: SessionPort;
  readonly #turns: TurnQueue;
  readonly #end = new AbortController();
  #seq = 0;

  constructor(open: Omit<ServerFrameOf<'session.open'>, 'type'>, port: SessionPort) {
    this.id = open.session_id;
    this.target = `${port.agent}.${open.session}`;
    this.workflowId = open.workflow_id;
    this.executionId = open.execution_id;
    this.declaration = open.declaration as SessionDeclaration;
    this.tools = open.tools;
    this.metadata = open.metadata;
    this.log = port.log;
    this.#port = port;
    this.#turns = new TurnQueue(port.turnsMax);
  }

  get signal(): AbortSignal {
    return this.#end.signal;
  }

  /** The number of the last entry that was seen. */
  get afterSeq(): number {
    return this.#seq;
  }

  /** Takes an entry of the log. One that was seen before (a resume sends some twice) changes nothing. */
  deliver(event: Record<string, unknown>): void {
    const seq = event['seq'];
    if (typeof seq === 'number') {
      if (seq <= this.#seq) return;
      this.#seq = seq;
    }
    // The frame was checked only to be an object: entries of types that came later pass through here.
    const entry = event as SessionEvent;
    switch (entry.type) {
      case 'turn.started':
      case 'response.interrupted':
        return this.#turns.interrupt();
      case 'turn.completed':
        return this.#turn(entry);
      case 'session.closing':
      case 'session.closed':
        return this.end(
          new ParleyError('cancelled', `the session ended: ${entry.reason}`, { details: { reason: entry.reason } }),
        );
      default:
        return;
    }
  }

  end(error: ParleyError): void {
    if (this.signal.aborted) return;
    this.#end.abort(error);
    this.#turns.end(error);
  }

  input(options: CallOptions = {}): Promise<Turn> {
    return this.#turns.next(options.signal);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Turn, void, undefined> {
    while (!this.signal.aborted) {
      const turn = await this.#turns.next().catch((error: unknown) => {
        if (this.signal.aborted) return null;
        throw error;
      });
      if (!turn) return;
      yield turn;
    }
  }

  async say(text: string): Promise<Spoken> {
    const reply = await this.#request({ type: 'session.say', session_id: this.id, text });
    const { interrupted, spoken_text } = reply as { interrupted: boolean; spoken_text: string };
    return { interrupted, spokenText: spoken_text };
  }

  // One function answers both signatures of Call: a reference is a target with types.
  readonly call = (async (target: string | FunctionRef, input?: unknown, options: CallOptions = {}) =>
    this.#request({ ...callFrame(this.#port.agent, target, input), session_id: this.id }, options.signal)) as Call;

  async update(change: SessionChange): Promise<void> {
    const { turnDetection, ...rest } = change;
    const detection = turnDetection === undefined ? {} : { turn_detection: turnDetectionOnWire(turnDetection) };
    await this.#request({ type: 'session.update', session_id: this.id, ...rest, ...detection });
  }

  async inject(text: string, options: { respond?: boolean } = {}): Promise<void> {
    await this.#request({ type: 'session.inject', session_id: this.id, text, ...options });
  }

  async close(reason?: string): Promise<void> {
    await this.#request({ type: 'session.close', session_id: this.id, ...(reason === undefined ? {} : { reason }) });
  }

  #turn(event: EventOf<'turn.completed'>): void {
    const dropped = this.#turns.push(new Turn(event));
    if (dropped) this.log.warn('a turn was dropped: the handler does not keep up', { turn_id: dropped.id });
  }

  #request(frame: RequestFrame, signal?: AbortSignal): Promise<unknown> {
    return this.#port.request(frame, signal ? AbortSignal.any([this.signal, signal]) : this.signal);
  }
}

/** A checked `function.call`. A bare name is a function of the same agent. */
export function callFrame(
  agent: string,
  target: string | FunctionRef,
  input: unknown,
): { type: 'function.call'; target: string; input: unknown } {
  const name = typeof target === 'string' ? target : target.target;
  const full = name.includes('.') ? name : `${agent}.${name}`;
  parseTarget(full);
  payloadText(input, `the input of ${full}`, 'invalid_argument');
  return { type: 'function.call', target: full, input: input ?? {} };
}
