// One agent in one call, as whoever started it sees it. It can be read while it waits, while it runs, and for a while
// after its end, whatever that was.

import { type ErrorObject, newId, ParleyError } from '@parley/core';
import type { CallMetrics, CallMetricsReport } from './call-metrics.ts';
import type { Start } from './start-request.ts';

/**
 * `queued` waits for a place; `starting` until the agent has joined its call; `failed` says why in `error`, `ended` in
 * `reason`.
 */
export type LaunchStatus = 'queued' | 'starting' | 'active' | 'closing' | 'ended' | 'failed';

/** A session as it goes over the wire. Times are ISO 8601. */
export interface LaunchedSessionResource {
  session_id: string;
  call_id: string;
  call_type: string;
  status: LaunchStatus;
  started_at: string;
  active_at?: string;
  ended_at?: string;
  /** Its place in the queue, from 1. */
  place?: number;
  reason?: string;
  error?: ErrorObject;
  /** Who started it, where a hook told. */
  owner?: string;
  metadata: Record<string, unknown>;
}

const OVER: ReadonlySet<LaunchStatus> = new Set(['ended', 'failed']);

/** What a launcher does for its sessions. */
export interface SessionOwner {
  placeOf(session: LaunchedSession): number | null;
  close(session: LaunchedSession, reason: string): void;
}

export class LaunchedSession {
  readonly id: string;
  readonly callId: string;
  readonly callType: string;
  readonly input: unknown;
  readonly metadata: Record<string, unknown>;
  /** What the hook `canStartSession` returned. */
  readonly principal: unknown;
  readonly startedAt = new Date();
  readonly metrics: CallMetrics;
  readonly #owner: SessionOwner;
  readonly #active = Promise.withResolvers<void>();
  readonly #over = Promise.withResolvers<void>();
  #status: LaunchStatus = 'queued';
  #activeAt: Date | null = null;
  #endedAt: Date | null = null;
  #reason: string | null = null;
  #error: ParleyError | null = null;

  constructor(start: Start, metrics: CallMetrics, owner: SessionOwner, id: string = newId('session')) {
    this.id = id;
    this.callId = start.callId;
    this.callType = start.callType;
    this.input = start.input;
    this.metadata = start.metadata;
    this.principal = start.principal;
    this.metrics = metrics;
    this.#owner = owner;
    this.#active.promise.catch(() => undefined);
  }

  get status(): LaunchStatus {
    return this.#status;
  }

  get over(): boolean {
    return OVER.has(this.#status);
  }

  /** Why it ended: `client_left`, `task_completed`, `idle_timeout`, `max_duration`, `draining`, … */
  get reason(): string | null {
    return this.#reason;
  }

  get error(): ParleyError | null {
    return this.#error;
  }

  /** Resolves when the agent is in its call; rejects with the ParleyError of a session that ended before. */
  get active(): Promise<void> {
    return this.#active.promise;
  }

  /** Resolves when it is over, however it ended. */
  get finished(): Promise<void> {
    return this.#over.promise;
  }

  /** Asks for the end. Again, or after the end, changes nothing. */
  close(reason = 'closed'): Promise<void> {
    this.#owner.close(this, reason);
    return this.finished;
  }

  report(): CallMetricsReport {
    return this.metrics.report();
  }

  toJSON(): LaunchedSessionResource {
    const place = this.#owner.placeOf(this);
    const owner = ownerOf(this.principal);
    return {
      session_id: this.id,
      call_id: this.callId,
      call_type: this.callType,
      status: this.#status,
      started_at: this.startedAt.toISOString(),
      ...(this.#activeAt && { active_at: this.#activeAt.toISOString() }),
      ...(this.#endedAt && { ended_at: this.#endedAt.toISOString() }),
      ...(place !== null && { place }),
      ...(this.#reason !== null && { reason: this.#reason }),
      ...(this.#error && { error: this.#error.toObject() }),
      ...(owner !== undefined && { owner }),
      metadata: this.metadata,
    };
  }

  /** For its launcher. A session that is over stays as it is. */
  became(status: 'starting' | 'active' | 'closing', reason?: string): void {
    if (this.over) return;
    // One that was told to close while it joined does not go back.
    if (this.#status === 'closing') return;
    this.#status = status;
    if (status === 'closing') this.#reason = reason ?? null;
    if (status !== 'active') return;
    this.#activeAt = new Date();
    this.#active.resolve();
  }

  /** For its launcher: the end. */
  end(reason: string, error: ParleyError | null): void {
    if (this.over) return;
    this.#endedAt = new Date();
    this.#reason = reason;
    this.#error = error;
    this.#status = error ? 'failed' : 'ended';
    this.#active.reject(
      error ?? new ParleyError('failed_precondition', `session ${this.id} ended: ${reason}`, { details: { reason } }),
    );
    this.#over.resolve();
  }
}

/** A principal's name: itself when it is a string, or its `id`. The rest of it is nobody else's business. */
export function ownerOf(principal: unknown): string | undefined {
  if (typeof principal === 'string') return principal;
  if (typeof principal !== 'object' || principal === null) return undefined;
  const { id } = principal as { id?: unknown };
  return typeof id === 'string' ? id : undefined;
}
