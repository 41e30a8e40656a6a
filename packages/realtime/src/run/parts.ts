// What a running session is made of. Each part holds its own state; this names them, and makes those that need no other.

import { newId, ParleyError, type Usage } from '@parley/core';
import type { Clock } from '@parley/transport';
import type { RealtimeAgent } from '../agent.ts';
import type { Calls } from '../calls/calls.ts';
import type { HostedCalls } from '../calls/hosted-calls.ts';
import type { RunContext } from '../context.ts';
import { EventHub } from '../event-hub.ts';
import type { ClosedReason } from '../events.ts';
import { History } from '../history/history.ts';
import type { RealtimeItem } from '../history/item.ts';
import type { Interruptions } from '../interruptions.ts';
import type { ModelLink } from '../link/link.ts';
import { Resumption } from '../link/resumption.ts';
import { Sends } from '../link/sends.ts';
import type { Machine } from '../machine.ts';
import type { Narrator } from '../narrator.ts';
import {
  DEFAULT_LIMITS,
  type RealtimeLimits,
  type RealtimeModelSource,
  type RealtimeRunConfig,
  type RealtimeRunOptions,
} from '../options.ts';
import type { OutputWatch } from '../guard/output-watch.ts';
import { Playback } from '../play/playback.ts';
import type { Roster } from '../roster.ts';
import { type RealtimeModelSettings, settingsOver } from '../settings.ts';
import { historyEvents } from './history-events.ts';
import type { Inputs } from './inputs.ts';
import type { Speakers } from './speakers.ts';
import type { Trips } from './trips.ts';

/** What a runner makes a session of. */
export interface SessionOptions<C = unknown> {
  agent: RealtimeAgent<C>;
  source: RealtimeModelSource | undefined;
  config: RealtimeRunConfig<C>;
  run: RealtimeRunOptions<C>;
  clock: Clock;
}

export interface SessionClosed {
  reason: ClosedReason;
  error?: ParleyError;
}

/** What all parts know of the session that they belong to. */
export interface Base {
  readonly id: string;
  readonly clock: Clock;
  readonly config: RealtimeRunConfig;
  readonly run: RealtimeRunOptions;
  readonly source: RealtimeModelSource | undefined;
  readonly limits: RealtimeLimits;
  readonly settings: RealtimeModelSettings;
  readonly hub: EventHub;
  readonly history: History;
  readonly playback: Playback;
  readonly sends: Sends;
  /** What functions of each agent are given: one for a session, because what it says is read when it is asked for. */
  readonly contexts: Map<RealtimeAgent, RunContext>;
  readonly resumption: Resumption;
  /** Nothing of the session runs any more, or will in a moment. */
  closing: boolean;
}

export interface Parts extends Base {
  machine: Machine;
  roster: Roster;
  calls: Calls;
  hosted: HostedCalls;
  link: ModelLink;
  cuts: Interruptions;
  watch: OutputWatch;
  narrator: Narrator;
  inputs: Inputs;
  speakers: Speakers;
  trips: Trips;
}

/** The parts that stand on no other. */
export function baseOf(options: SessionOptions): Base {
  const { clock, config, run, source } = options;
  const limits = { ...DEFAULT_LIMITS, ...config.limits };
  const { model, playbackTracker, initialModelSettings = {} } = run.modelConfig ?? {};
  const hub = new EventHub(limits);
  const bounds = {
    items: limits.historyItems,
    toolOutputs: limits.toolOutputs,
    audioBytes: config.historyStoreAudio === true ? limits.historyAudioBytes : 0,
  };
  const resumption = new Resumption();
  const history: History = new History(bounds, (change) => {
    const { kind, itemId } = change;
    if (kind === 'deleted') resumption.gone(itemId);
    else if (kind === 'added') resumption.came(itemId, history.isOwn(itemId));
    historyEvents(hub, history, change);
  });
  return {
    id: newId('session'),
    clock,
    config,
    run,
    source,
    limits,
    settings: settingsOver(
      { ...config.modelSettings, ...(model === undefined ? {} : { model }) },
      initialModelSettings,
    ),
    hub,
    history,
    resumption,
    playback: new Playback(clock, playbackTracker),
    sends: new Sends(clock, limits.sendsInFlight, limits.sendTimeoutMs),
    contexts: new Map(),
    closing: false,
  };
}

/** What functions of an agent are given. */
export function contextOf(parts: Parts, agent: RealtimeAgent): RunContext {
  const known = parts.contexts.get(agent);
  if (known) return known;
  const context: RunContext = {
    context: parts.run.context,
    agent,
    get history(): readonly RealtimeItem[] {
      return parts.history.items;
    },
    get usage(): Usage {
      return parts.machine.state.usage;
    },
  };
  parts.contexts.set(agent, context);
  return context;
}

export function sessionOver(): ParleyError {
  return new ParleyError('failed_precondition', 'the session is over');
}

/** A promise whose rejection harms nobody who does not look at it. */
export function quiet<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {
    // Who awaits it is told.
  });
  return promise;
}
