// One app-server, shared by all runners of a factory.
//
// B1  Each message belongs to one conversation, and goes nowhere else.
// B2  A backend whose state is not known is given up as a whole: every turn ends, the process is stopped, nothing is
//     started again.
// B3  When it is stopped, nothing that its commands started is left, whichever way it ended.

import type { ParleyError } from '@parley/core';
import { turnError } from '@parley/turns';
import { endLeftovers } from './leftovers.ts';
import type { CodexSettings } from './options.ts';
import { asText, type Params, Rpc, RpcError } from './rpc.ts';
import type { Wire } from './wire.ts';

/** Who takes the messages of one conversation. */
export interface Listener {
  notified(method: string, params: Params): void;
  asked(method: string, params: Params): Promise<unknown>;
}

/** Notifications that nobody here reads, most of them deltas: a long answer would be a thousand. */
const UNREAD = [
  'item/agentMessage/delta',
  'item/plan/delta',
  'item/reasoning/summaryTextDelta',
  'item/reasoning/summaryPartAdded',
  'item/reasoning/textDelta',
  'item/commandExecution/outputDelta',
  'item/fileChange/outputDelta',
  'item/fileChange/patchUpdated',
  'turn/diff/updated',
  'turn/plan/updated',
  'thread/status/changed',
  'thread/readState/changed',
  'account/rateLimits/updated',
  'remoteControl/status/changed',
];

const METHOD_NOT_FOUND = -32_601;

export type WireFactory = (handlers: { onMessage: (line: string) => void; onBroken: (why: string) => void }) => Wire;

export class Backend {
  readonly #settings: CodexSettings;
  readonly #wire: Wire;
  readonly #rpc: Rpc;
  readonly #listeners = new Map<string, Listener>();
  /** Every conversation that was not deleted: what its commands started is marked with it. */
  readonly #conversations = new Set<string>();
  readonly #lost = new AbortController();
  #stopping: Promise<void> | null = null;

  constructor(settings: CodexSettings, openWire: WireFactory) {
    this.#settings = settings;
    this.#wire = openWire({
      onMessage: (line) => this.#rpc.receive(line),
      onBroken: (why) => this.invalidate(why),
    });
    this.#rpc = new Rpc((message) => this.#wire.send(message), {
      notified: (method, params) => this.#notified(method, params),
      asked: (method, params) => this.#asked(method, params),
      broken: (why) => this.invalidate(why),
    });
    void this.#wire.ended.then((how) => this.invalidate(how));
  }

  get rpc(): Rpc {
    return this.#rpc;
  }

  get settings(): CodexSettings {
    return this.#settings;
  }

  /** How many conversations there are that were not deleted. */
  get conversations(): number {
    return this.#conversations.size;
  }

  get pid(): number | undefined {
    return this.#wire.pid;
  }

  /** Aborted with the error that every turn ends with. */
  get lost(): AbortSignal {
    return this.#lost.signal;
  }

  /** The handshake. @throws ParleyError `backend_start_failed`. */
  async initialize(version: string): Promise<void> {
    const { startTimeoutMs, experimentalApi } = this.#settings;
    const late = setTimeout(() => this.invalidate(`Codex did not answer within ${startTimeoutMs} ms`), startTimeoutMs);
    try {
      await this.#rpc.request('initialize', {
        clientInfo: { name: 'parley', title: 'Parley', version },
        capabilities: { experimentalApi, requestAttestation: false, optOutNotificationMethods: UNREAD },
      });
      this.#rpc.notify('initialized');
    } catch (cause) {
      this.invalidate('Codex did not take the handshake');
      await this.stop();
      const why = (cause as Error).message;
      throw turnError('backend_start_failed', `Codex did not start: ${why}`, { cause });
    } finally {
      clearTimeout(late);
    }
  }

  /** From now on the messages of this conversation go to the listener. */
  listen(conversationId: string, listener: Listener): void {
    this.#conversations.add(conversationId);
    this.#listeners.set(conversationId, listener);
  }

  /** It was deleted, and nothing of it runs. */
  forget(conversationId: string): void {
    this.#listeners.delete(conversationId);
    this.#conversations.delete(conversationId);
  }

  /** Gives the backend up (B2). */
  invalidate(why: string): void {
    if (this.#lost.signal.aborted) return;
    const stderr = this.#wire.stderrTail().split('\n').at(-1) ?? '';
    const words = stderr === '' ? why : `${why}. It last said: ${stderr.slice(0, 500)}`;
    this.#lose(turnError('backend_invalid', `the Codex backend is lost: ${words}. Make a new factory`));
    void this.stop();
  }

  /** Ends every turn with `backend_closed`, and stops. */
  close(): Promise<void> {
    this.#lose(turnError('backend_closed', 'the Codex backend was closed'));
    return this.stop();
  }

  /** Resolves when the process, and what its commands started, is gone (B3). */
  stop(): Promise<void> {
    return (this.#stopping ??= this.#stop());
  }

  async #stop(): Promise<void> {
    await this.#wire.stop();
    await endLeftovers(this.#conversations, this.#settings.stopMs);
  }

  #lose(error: ParleyError): void {
    if (this.#lost.signal.aborted) return;
    this.#lost.abort(error);
    this.#rpc.end(error);
    this.#listeners.clear();
  }

  #notified(method: string, params: Params): void {
    const conversation = asText(params['threadId']);
    if (conversation !== undefined) this.#listeners.get(conversation)?.notified(method, params);
  }

  #asked(method: string, params: Params): Promise<unknown> {
    const listener = this.#listeners.get(asText(params['threadId']) ?? '');
    if (listener) return listener.asked(method, params);
    return Promise.reject(new RpcError(METHOD_NOT_FOUND, `this host does not answer ${method}`, undefined));
  }
}
