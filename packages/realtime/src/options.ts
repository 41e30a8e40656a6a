// What a runner and a run are told. Everything that can grow has a limit here, with its default.

import type { RealtimeModel } from '@parley/providers';
import type { Clock } from '@parley/transport';
import type { MaybePromise } from './context.ts';
import type { RealtimeInputGuardrail, RealtimeOutputGuardrail } from './guard/guardrail.ts';
import type { RealtimeItem } from './history/item.ts';
import type { PlaybackTracker } from './play/tracker.ts';
import type { RealtimeModelSettings } from './settings.ts';
import type { Telemetry } from './telemetry.ts';

export interface RealtimeLimits {
  /** Items of the local history; the oldest are let go. */
  historyItems: number;
  /** Outputs of tools that stay in the history with their calls. */
  toolOutputs: number;
  /** Bytes of sound in the history, where `historyStoreAudio` is on. */
  historyAudioBytes: number;
  /** Bytes of the user's sound that wait while the connection is made again; the oldest are let go. */
  waitingAudioBytes: number;
  /** Calls that run, or wait for an approval, at a time; one more is answered with an error. */
  toolsInFlight: number;
  /** Sends that wait for the provider's word. */
  sendsInFlight: number;
  /** Milliseconds until a send that nobody answers is given up. */
  sendTimeoutMs: number;
  /** Events that wait for one iterator, and bytes of sound among them. */
  queueEvents: number;
  queueAudioBytes: number;
  /** Milliseconds of a session over all its connections. */
  durationMs: number;
  /** Milliseconds without a turn, a message or an answer; null never ends a session for that. */
  idleMs: number | null;
}

export const DEFAULT_LIMITS: RealtimeLimits = {
  historyItems: 20_000,
  toolOutputs: 256,
  historyAudioBytes: 32 * 1024 * 1024,
  waitingAudioBytes: 10 * 48_000,
  toolsInFlight: 16,
  sendsInFlight: 1024,
  sendTimeoutMs: 20_000,
  queueEvents: 4096,
  queueAudioBytes: 4 * 1024 * 1024,
  durationMs: 4 * 60 * 60_000,
  idleMs: null,
};

export interface ReconnectOptions {
  /** Tries in a row before the session is given up. Default 6. */
  attempts?: number;
  /** Ceiling of the first wait and of every wait, in milliseconds. Defaults 250 and 10,000. */
  minMs?: number;
  maxMs?: number;
  /** Whether an answer that the drop cut is asked for again. Default true. */
  resumeAnswer?: boolean;
}

export interface RenewalOptions {
  /** How long before the provider's own limit a new connection is made. Default 2 minutes, or a quarter of the limit. */
  leadMs?: number;
}

export interface ReplayOptions {
  /** Items that a new connection is given at most, the newest. Default 400. */
  maxItems?: number;
  /** Characters of words among them at most. Default 200,000. */
  maxChars?: number;
}

/** What is said to the model where a tool gives no output of its own. */
export type ToolErrorFormatter = (problem: {
  kind: 'approval_rejected' | 'guardrail_rejected';
  toolName: string;
  callId: string;
  defaultMessage: string;
}) => MaybePromise<string | undefined>;

export interface RealtimeRunConfig<C = unknown> {
  /** Settings of all runs. An agent's own instructions and voice go over them, and `initialModelSettings` over those. */
  modelSettings?: RealtimeModelSettings;
  /** For every agent, besides its own. */
  outputGuardrails?: readonly RealtimeOutputGuardrail<C>[];
  inputGuardrails?: readonly RealtimeInputGuardrail<C>[];
  /** Characters between two looks at a growing answer; 0 looks at every fragment, a negative number only at the end. Default 100. */
  outputGuardrailSettings?: { debounceTextLength?: number };
  toolExecution?: {
    /** Run input guardrails of a tool before its approval is asked for too. Default false. */
    preApprovalInputGuardrails?: boolean;
    /** Ask the model for an answer when the provider has called a tool of an MCP server by itself. Default true. */
    respondToHostedCalls?: boolean;
  };
  toolErrorFormatter?: ToolErrorFormatter;
  /** Keep the sound of answers in the history, up to `limits.historyAudioBytes`. Default false. */
  historyStoreAudio?: boolean;
  limits?: Partial<RealtimeLimits>;
  /** false ends the session with its first connection. */
  reconnect?: ReconnectOptions | false;
  renewal?: RenewalOptions | false;
  replay?: ReplayOptions;
  /** Spans of session, turn, answer and tool. Default: the tracer that is registered with OpenTelemetry; false makes none. */
  telemetry?: Telemetry | false;
}

export interface RealtimeModelConfig {
  /** The provider's key, or what gets one; asked again for each connection. Default `OPENAI_API_KEY`. */
  apiKey?: string | (() => MaybePromise<string>) | undefined;
  /** Default `https://api.openai.com/v1`. */
  baseUrl?: string;
  headers?: Record<string, string>;
  model?: string;
  initialModelSettings?: RealtimeModelSettings;
  /** Who knows what was heard. Without it: a clock, as if all sound were played at once and without a pause. */
  playbackTracker?: PlaybackTracker;
  /** Stable, hashed id of the end user, for the provider's safety systems. */
  safetyId?: string;
  connectTimeoutMs?: number;
}

/** A model, or what makes one for a run. A runner makes one connection of it for each session. */
export type RealtimeModelSource = RealtimeModel | ((config: RealtimeModelConfig) => MaybePromise<RealtimeModel>);

export interface RealtimeRunnerOptions<C = unknown> {
  /** Default OpenAI over WebSocket. */
  model?: RealtimeModelSource;
  config?: RealtimeRunConfig<C>;
}

export interface RealtimeRunOptions<C = unknown> {
  context?: C;
  modelConfig?: RealtimeModelConfig;
  /** A conversation to go on with: given to the model before anything else. */
  history?: readonly RealtimeItem[];
  /** Ends the connecting, and after that the session. */
  signal?: AbortSignal;
  /** For tests. */
  clock?: Clock;
}
