// Entries of the log as events for people.

import { type EventRecord, ParleyError, type SessionState } from '@parley/core';
import type { AgentHooks, RealtimeAgent } from './agent.ts';
import type { Calls } from './calls/calls.ts';
import type { RunContext } from './context.ts';
import type { EventHub } from './event-hub.ts';
import type { OutputWatch } from './guard/output-watch.ts';
import type { History } from './history/history.ts';
import type { Interruptions } from './interruptions.ts';
import type { Playback } from './play/playback.ts';
import type { Roster } from './roster.ts';

export interface NarratorOptions {
  hub: EventHub;
  history: History;
  playback: Playback;
  watch: OutputWatch;
  roster: Roster;
  calls: Calls;
  cuts: Interruptions;
  state(): SessionState;
  context(agent: RealtimeAgent): RunContext;
  said(sayId: string, spoken: { interrupted: boolean; spokenText: string; error?: ParleyError }): void;
}

export class Narrator {
  readonly #options: NarratorOptions;
  /** Who gives the answers that are being generated. */
  readonly #speaking = new Map<string, RealtimeAgent>();

  constructor(options: NarratorOptions) {
    this.#options = options;
  }

  tell(record: EventRecord): void {
    const { hub } = this.#options;
    switch (record.type) {
      case 'response.started':
        return this.#started(record.response_id);
      case 'response.completed':
        return this.#completed(record);
      case 'response.played':
        return hub.emit({ type: 'audio_played', responseId: record.response_id });
      case 'speech.started':
      case 'speech.stopped': {
        const { item_id: itemId, audio_ms: audioMs } = record;
        const type = record.type === 'speech.started' ? 'user_speech_started' : 'user_speech_stopped';
        return hub.emit({ type, audioMs, ...(itemId === undefined ? {} : { itemId }) });
      }
      case 'turn.completed': {
        const { item_id: itemId, text, source } = record;
        return hub.emit({ type: 'user_turn', text, source, ...(itemId === undefined ? {} : { itemId }) });
      }
      case 'tool.rejected': {
        const { execution_id } = this.#options.state().calls[record.call_id] ?? {};
        const call = this.#options.calls.callOf(record.call_id);
        const executionId = execution_id ?? call?.executionId;
        if (executionId !== undefined) this.#options.calls.refused(executionId, ParleyError.from(record.error));
        return;
      }
      case 'provider.failed':
        return hub.emit({ type: 'error', error: ParleyError.from(record.error), source: 'provider' });
      case 'limit.reached':
        return hub.emit({ type: 'limit_reached', limit: record.limit, value: record.value });
      case 'say.completed': {
        const error = record.error ? ParleyError.from(record.error) : undefined;
        return this.#options.said(record.say_id, {
          interrupted: record.interrupted,
          spokenText: record.spoken_text,
          ...(error === undefined ? {} : { error }),
        });
      }
      default:
    }
  }

  /** Calls a hook of an agent; nothing waits for it, and its failure is an event. */
  hook<K extends keyof AgentHooks>(agent: RealtimeAgent, name: K, ...args: HookArgs<K>): void {
    const run = agent.hooks[name] as ((...all: unknown[]) => unknown) | undefined;
    if (!run) return;
    const call = async (): Promise<unknown> => run.call(agent.hooks, this.#options.context(agent), agent, ...args);
    call().catch((thrown: unknown) => {
      const error = new ParleyError(
        'internal',
        `hook ${name} of agent '${agent.name}' threw: ${ParleyError.from(thrown).message}`,
        {
          cause: thrown,
        },
      );
      this.#options.hub.emit({ type: 'error', error, source: 'hook' });
    });
  }

  /** The connection is gone: what was being said is over. */
  dropped(): void {
    for (const [responseId, agent] of this.#speaking) {
      this.#end(responseId);
      this.#options.hub.emit({ type: 'agent_end', agent, responseId, output: '', status: 'incomplete' });
    }
    this.#speaking.clear();
  }

  #started(responseId: string): void {
    const { hub, roster, watch } = this.#options;
    roster.begin(responseId);
    const { agent } = roster.of(responseId);
    this.#speaking.set(responseId, agent);
    watch.begin(responseId, agent);
    hub.emit({ type: 'agent_start', agent, responseId });
    this.hook(agent, 'onStart');
  }

  #completed(record: Extract<EventRecord, { type: 'response.completed' }>): void {
    const { hub, roster, watch, cuts } = this.#options;
    const { response_id: responseId, status, text, error, usage, item_id: itemId } = record;
    const agent = this.#speaking.get(responseId) ?? roster.of(responseId).agent;
    this.#speaking.delete(responseId);
    // What was cut is not judged: nobody will hear it.
    watch.end(responseId, cuts.isCut(responseId) ? '' : text);
    this.#end(responseId);
    if (itemId !== undefined && status !== 'completed') this.#options.history.stop(itemId);
    if (usage) hub.emit({ type: 'usage', usage, total: this.#options.state().usage, responseId });
    hub.emit({
      type: 'agent_end',
      agent,
      responseId,
      output: text,
      status,
      ...(error === undefined ? {} : { error }),
      ...(usage === undefined ? {} : { usage }),
    });
    if (error) hub.emit({ type: 'error', error: ParleyError.from(error), source: 'provider' });
    this.hook(agent, 'onEnd', text);
  }

  #end(responseId: string): void {
    this.#options.playback.ended(responseId);
    this.#options.cuts.over(responseId);
  }
}

type HookArgs<K extends keyof AgentHooks> =
  Parameters<NonNullable<AgentHooks[K]>> extends [unknown, unknown, ...infer Rest] ? Rest : [];
