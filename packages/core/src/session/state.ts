// What is true of a session at one point of its log. Plain JSON, bounded: nothing in it grows with the length of a call.

import type { SessionDeclaration } from '../contract/declaration.ts';
import type { ResolvedTool, Usage } from '../contract/events.ts';
import type { ModelCommand, ModelCommandOf } from '../contract/model.ts';
import type { ErrorObject } from '../errors.ts';

export type Phase = 'new' | 'starting' | 'live' | 'closing' | 'closed';

/** An answer that the model is generating. */
export interface ActiveResponse {
  response_id: string;
  say_id: string | null;
  started_at_ms: number;
  /** How much of it was heard when the user spoke over it; null when nobody did. */
  interrupted_ms: number | null;
  /** The tools it began with, when others took their place since. */
  tools?: ResolvedTool[];
}

/** An answer that was generated and is still being heard. Models generate faster than real time. */
export interface PlayingResponse {
  response_id: string;
  item_id: string | null;
  say_id: string | null;
  started_at_ms: number;
  audio_ms: number;
  text: string;
}

/** An answer that was asked for and has not begun. */
export type Creating = { kind: 'respond' } | { kind: 'say'; say: Say };

export interface Say {
  say_id: string;
  text: string;
}

export interface RunningCall {
  name: string;
  execution_id: string;
  /** `orphan`: the model that asked is gone with its call, and nobody waits for the answer. */
  source: 'model' | 'client' | 'orphan';
  response_id: string | null;
  on_interrupt: 'finish' | 'cancel';
  started_at_ms: number;
}

export interface SessionState {
  seq: number;
  phase: Phase;
  session_id: string;
  created_at_ms: number;
  declaration: SessionDeclaration | null;
  /** All tools that were resolved at the start, and the names of those that the model may use now. */
  tools: ResolvedTool[];
  enabled_tools: string[];
  /** The provider was asked for and is not there yet. */
  connecting: boolean;
  /** Inputs, and outputs of tools, that wait for it. */
  waiting_commands: ModelCommand[];
  /** Changes that came while it was being connected. */
  waiting_update: ModelCommandOf<'update'> | null;
  clients: number;
  had_client: boolean;
  user_speaking: boolean;
  creating: Creating | null;
  response: ActiveResponse | null;
  playing: PlayingResponse | null;
  /** Tool outputs or injected text wait for an answer of the model. */
  respond_wanted: boolean;
  says: Say[];
  calls: Record<string, RunningCall>;
  /** The latest call ids that were answered; a provider that repeats one is not answered twice. */
  answered: string[];
  handler: 'none' | 'attached' | 'detached' | 'completed';
  turns: number;
  tool_calls: number;
  usage: Usage;
  /** How often the client changed what belongs to the server. */
  tamperings: number;
  closing: { reason: string; error: ErrorObject | null } | null;
}

/** The state before the first event. */
export function initialState(): SessionState {
  return {
    seq: 0,
    phase: 'new',
    session_id: '',
    created_at_ms: 0,
    declaration: null,
    tools: [],
    enabled_tools: [],
    connecting: false,
    waiting_commands: [],
    waiting_update: null,
    clients: 0,
    had_client: false,
    user_speaking: false,
    creating: null,
    response: null,
    playing: null,
    respond_wanted: false,
    says: [],
    calls: {},
    answered: [],
    handler: 'none',
    turns: 0,
    tool_calls: 0,
    usage: {},
    tamperings: 0,
    closing: null,
  };
}
