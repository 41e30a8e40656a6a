// One turn as Codex tells about it: asked, accepted, started, ended. Only `turn/completed` ends it, or the end of the backend.

import type { ParleyError } from '@parley/core';
import { type AgentTurnEvent, type AgentTurnUsage, turnError, type TurnRequest } from '@parley/turns';
import { eventOf, summaryOf } from './items.ts';
import { asObject, asText, type Params } from './rpc.ts';
import { failedTurn } from './turn-failure.ts';

export interface TurnRunOptions {
  readonly request: TurnRequest;
  readonly eventsMax: number;
  readonly metadataCharsMax: number;
  /** A listener threw. */
  readonly onListenerError: (error: unknown) => void;
}

/** How it ended; `error` is null for a turn that was completed. */
export interface TurnEnd {
  readonly error: ParleyError | null;
}

type Phase = 'asked' | 'accepted' | 'started' | 'ended';

/** Notifications that can come before the answer to `turn/start` names the turn. */
const EARLY_MAX = 1000;

export class TurnRun {
  readonly #options: TurnRunOptions;
  readonly #events: AgentTurnEvent[] = [];
  readonly #early: [method: string, params: Params][] = [];
  /** What began and has not ended, by item id, or by a key of its own. */
  readonly #open = new Map<unknown, string>();
  readonly #begun = Promise.withResolvers<void>();
  readonly #ended = Promise.withResolvers<TurnEnd>();
  #phase: Phase = 'asked';
  #id: string | null = null;
  #dropped = 0;
  #answer = { text: '', final: false };
  #retrying: string | null = null;
  #usage: { first: Usage; last: Usage } | null = null;
  #ranCommand = false;

  constructor(options: TurnRunOptions) {
    this.#options = options;
  }

  get id(): string | null {
    return this.#id;
  }

  get over(): boolean {
    return this.#phase === 'ended';
  }

  /** A command of the model ran, and may have left something running. */
  get ranCommand(): boolean {
    return this.#ranCommand;
  }

  /** Resolves when it can be interrupted, or has ended. */
  get begun(): Promise<void> {
    return this.#begun.promise;
  }

  get ended(): Promise<TurnEnd> {
    return this.#ended.promise;
  }

  get assistantText(): string {
    return this.#answer.text;
  }

  /** The events, with a last one that says how many were too many. */
  get events(): readonly AgentTurnEvent[] {
    if (this.#dropped === 0) return this.#events;
    const summary = `${this.#dropped} more events`;
    return [...this.#events, { kind: 'eventsDropped', summary, metadata: { count: this.#dropped } }];
  }

  get usage(): AgentTurnUsage | undefined {
    if (!this.#usage) return undefined;
    const { first, last } = this.#usage;
    // Totals are of the whole conversation: what it had before this turn is what the first one says it had, less its own.
    const of = (field: string): number =>
      numberOf(last.total[field]) - numberOf(first.total[field]) + numberOf(first.last[field]);
    return {
      inputTokens: of('inputTokens'),
      cachedTokens: of('cachedInputTokens'),
      outputTokens: of('outputTokens'),
      reasoningTokens: of('reasoningOutputTokens'),
    };
  }

  /** What it waits for now, in words. */
  get waitingFor(): string {
    if (this.#retrying !== null) return `the provider (${this.#retrying})`;
    const open = [...this.#open.values()].at(-1);
    return open ?? (this.#phase === 'asked' ? 'Codex to take the turn' : 'the model');
  }

  /** Codex took it, under this id. */
  accept(id: string): void {
    if (this.#id !== null) return;
    this.#id = id;
    if (this.#phase === 'asked') this.#phase = 'accepted';
    for (const [method, params] of this.#early.splice(0)) this.notified(method, params);
  }

  /** It never began, or cannot end any more. */
  fail(error: ParleyError): void {
    this.#end({ error });
  }

  /** Something is waited for that is no item: an approval, a function of the host. Returns what to call when it is over. */
  waits(words: string): () => void {
    const key = {};
    this.#open.set(key, words);
    return () => this.#open.delete(key);
  }

  notified(method: string, params: Params): void {
    if (this.#phase === 'ended') return;
    const turn = asText(params['turnId']) ?? asText(asObject(params['turn'])['id']);
    if (turn === undefined) return;
    if (this.#id === null) {
      if (this.#early.length < EARLY_MAX) this.#early.push([method, params]);
      return;
    }
    if (turn !== this.#id) return;
    switch (method) {
      case 'turn/started':
        this.#phase = 'started';
        this.#begun.resolve();
        return;
      case 'item/started':
        return this.#began(asObject(params['item']));
      case 'item/completed':
        return this.#completed(asObject(params['item']));
      case 'thread/tokenUsage/updated':
        return this.#used(asObject(params['tokenUsage']));
      case 'error':
        return this.#failing(params);
      case 'turn/completed':
        return this.#end(endOf(asObject(params['turn'])));
      default:
        return;
    }
  }

  /** An event that is not an item: what was asked of the host and how it was answered. */
  record(event: AgentTurnEvent): void {
    if (this.#phase === 'ended') return;
    if (this.#events.length >= this.#options.eventsMax) {
      this.#dropped += 1;
      return;
    }
    this.#events.push(event);
    this.#tell(this.#options.request.onEvent, event);
  }

  progress(kind: string, summary: string, metadata: Params = {}): void {
    this.#tell(this.#options.request.onProgress, { kind, summary, metadata });
  }

  #began(item: Params): void {
    const type = asText(item['type']);
    if (type === 'userMessage') return;
    if (type === 'commandExecution') this.#ranCommand = true;
    this.#retrying = null;
    const summary = summaryOf(item);
    if (type !== 'agentMessage') this.#open.set(String(item['id']), `${type}: ${summary}`);
    this.progress('item.started', `${type}: ${summary}`, eventOf(item, this.#options.metadataCharsMax).metadata);
  }

  #completed(item: Params): void {
    this.#open.delete(String(item['id']));
    this.#retrying = null;
    const type = item['type'];
    // What the caller said is no news to the caller.
    if (type === 'userMessage') return;
    if (type === 'agentMessage') this.#said(item);
    this.record(eventOf(item, this.#options.metadataCharsMax));
  }

  /** The newest final answer wins, else the newest message without a phase; commentary is no answer. */
  #said(item: Params): void {
    const phase = item['phase'] ?? null;
    if (phase !== 'final_answer' && phase !== null) return;
    const final = phase === 'final_answer';
    if (final || !this.#answer.final) this.#answer = { text: asText(item['text']) ?? '', final };
  }

  #used(usage: Params): void {
    const now = { total: asObject(usage['total']), last: asObject(usage['last']) };
    this.#usage = { first: this.#usage?.first ?? now, last: now };
  }

  #failing(params: Params): void {
    if (params['willRetry'] !== true) return;
    const error = asObject(params['error']);
    const words = [asText(error['message']), asText(error['additionalDetails'])].filter(Boolean).join(': ');
    this.#retrying = words.slice(0, 500) || 'it failed and is tried again';
    this.progress('provider.retrying', this.#retrying);
  }

  #end(end: TurnEnd): void {
    if (this.#phase === 'ended') return;
    this.#phase = 'ended';
    this.#open.clear();
    this.#begun.resolve();
    this.#ended.resolve(end);
  }

  #tell(listener: ((event: AgentTurnEvent) => void) | undefined, event: AgentTurnEvent): void {
    try {
      listener?.(event);
    } catch (error) {
      this.#options.onListenerError(error);
    }
  }
}

interface Usage {
  readonly total: Params;
  readonly last: Params;
}

function endOf(turn: Params): TurnEnd {
  switch (turn['status']) {
    case 'completed':
      return { error: null };
    case 'failed':
      return { error: failedTurn(turn['error']) };
    case 'interrupted':
      return { error: turnError('interrupted', 'Codex interrupted the turn, and nobody here had asked for it') };
    default:
      return {
        error: turnError(
          'turn_failed',
          `the turn ended as '${String(turn['status'])}', which this version does not know`,
        ),
      };
  }
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}
