// Where agents, executions and sessions meet inside the server. Each of the three knows the others by these only.

import type {
  EventRecord,
  ExecutionResource,
  FunctionDeclaration,
  ResolvedTool,
  ServerFrameOf,
  SessionDeclaration,
} from '@parley/core';

/** What sessions and HTTP need of the registered agents. */
export interface AgentDirectory {
  /** The declaration of a session that a connected, not draining agent offers; undefined when none does. */
  session(agent: string, name: string): SessionDeclaration | undefined;
  /** The same object for the same registration: compiled schemas are kept by identity. */
  function(agent: string, name: string): FunctionDeclaration | undefined;
  /** True when any agent of this name is or was registered. */
  known(agent: string): boolean;
  /** Picks the link that will run a session's handler (least loaded, not draining), or null. */
  placeHandler(agent: string, name: string): HandlerLink | null;
  /** Concurrent sessions, for `max_concurrent`. */
  sessionsOpen(target: string): number;
}

/** One agent link, as a session with a handler sees it. Frames to a link that is gone are dropped. */
export interface HandlerLink {
  readonly link_id: string;
  readonly instance_id: string;
  /** Registered, and neither cut nor replaced. */
  readonly up: boolean;
  open(frame: Omit<ServerFrameOf<'session.open'>, 'type'>): void;
  event(session_id: string, event: EventRecord): void;
  /** Nothing more will be told of this session: its handler is over, without an entry that says so. */
  lost(session_id: string, message: string): void;
}

/** What agents need of the sessions. Every promise may reject with a ParleyError, which becomes the reply's error. */
export interface SessionHost {
  say(session_id: string, text: string): Promise<{ interrupted: boolean; spoken_text: string }>;
  inject(session_id: string, text: string, respond: boolean): Promise<void>;
  update(session_id: string, change: SessionChange): Promise<void>;
  close(session_id: string, reason: string, by: 'handler'): Promise<void>;
  handled(session_id: string, error: ExecutionResource['error']): void;
  /** The session's root execution, for `function.call` with a session_id. Throws `not_found`. */
  root(session_id: string): { workflow_id: string; execution_id: string };
  /** A link is gone; the handlers that it ran wait for the same instance. */
  handlerLost(link_id: string, session_ids: readonly string[], reason: string): void;
  /** The same instance is back: events after `after_seq` are sent again over the new link. Throws `not_found`. */
  handlerResumed(session_id: string, after_seq: number, link: HandlerLink): Promise<void>;
}

export interface SessionChange {
  instructions?: string | undefined;
  voice?: string | undefined;
  turn_detection?: SessionDeclaration['turn_detection'];
  tools?: string[] | undefined;
}

export interface StartExecution {
  target: string;
  input: unknown;
  /** Given by whoever wrote the intent before; made here otherwise. */
  execution_id?: string | undefined;
  workflow_id?: string | undefined;
  parent_execution_id?: string | undefined;
  session_id?: string | undefined;
  timeout_ms?: number | undefined;
}

/** What sessions, HTTP and agents need of the executions. */
export interface ExecutionEngine {
  /**
   * Admits an execution, writes it down, and dispatches it. Resolves when it is on disk (status `queued` or `running`).
   * @throws ParleyError `not_found` (no such function), `resource_exhausted` (queue full), `invalid_argument` (input
   * does not fit), `unavailable` (draining).
   */
  start(
    request: StartExecution,
    claim?: { scope: string; key: string; fingerprint: string },
  ): Promise<ExecutionResource>;
  /** Resolves with the execution once it is terminal, or as it is after `timeout_ms`. */
  wait(execution_id: string, timeout_ms: number): Promise<ExecutionResource>;
  /** Resolves with the execution once it is terminal; every execution has a timeout. */
  ended(execution_id: string): Promise<ExecutionResource>;
  /** Ends it as cancelled, tells its agent, and its running children. Returns it; a terminal one is returned as it is. */
  cancel(execution_id: string, reason: string): Promise<ExecutionResource>;
  /** Executions that are queued or running now. */
  readonly running: number;
}

export type { EventRecord, ExecutionResource, ResolvedTool };
