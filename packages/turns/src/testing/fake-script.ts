// What is written for the fake: what happens in each turn.

import type { JsonSchema } from '@parley/core';
import type { CheckedAgentConfig } from '../config.ts';
import type { AgentTurnEvent, AgentTurnUsage } from '../runner.ts';

/** What a script is asked. */
export interface FakeTurn {
  readonly prompt: string;
  /** 0 for the first turn of the conversation. */
  readonly index: number;
  readonly config: CheckedAgentConfig;
  readonly outputSchema: JsonSchema | undefined;
  readonly timeoutSeconds: number;
}

/** What happens in a turn, in this order. A text alone is the answer. */
export interface FakeReply {
  readonly events?: readonly AgentTurnEvent[];
  /** Host functions that the agent calls. Each becomes an event of the kind `dynamicToolCall`. */
  readonly calls?: readonly { readonly name: string; readonly input: unknown }[];
  /** Milliseconds before the end; `Infinity` for a turn that never ends by itself. */
  readonly delayMs?: number;
  /** Milliseconds that the clean-up of an interrupted turn takes, in which the runner is still busy. */
  readonly cleanUpMs?: number;
  /** The turn fails with this. */
  readonly error?: Error;
  /** The backend is lost: all its runners are. */
  readonly losesBackend?: boolean;
  readonly text?: string;
  readonly usage?: AgentTurnUsage;
}

export type FakeScript = (turn: FakeTurn) => FakeReply | string | Promise<FakeReply | string>;
