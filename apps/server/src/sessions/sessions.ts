// All sessions of this process: starts them, finds them, ends them, and picks up what an earlier process left.

import { ParleyError, type SessionDeclaration, type SessionResource, type StartRequest } from '@parley/core';
import type { RealtimeModel } from '@parley/providers';
import type { AgentDirectory, ExecutionEngine } from '../agents/ports.ts';
import type { ClaimRow, SessionQuery, Store, Write } from '../store/store.ts';
import type { Logger } from '../telemetry/logger.ts';
import type { Metrics } from '../telemetry/metrics.ts';
import type { Bridges } from './bridge/bridges.ts';
import { admit } from './admission.ts';
import { recoverSession } from './recovery.ts';
import type { Claim } from './repeats.ts';
import { newResource, rootExecution } from './resource.ts';
import { Session } from './session.ts';

export interface SessionsDeps {
  store: Store;
  agents: AgentDirectory;
  executions: ExecutionEngine;
  /** The model of a provider, or null when it is not configured. */
  model: (provider: string) => RealtimeModel | null;
  logger: Logger;
  metrics: Metrics;
  now: () => number;
  sessions_max: number;
  client_soft_bytes: number;
  client_hard_bytes: number;
  client_patience_ms: number;
  sideband_ms: number;
  bridges: Bridges;
}

export interface Started {
  resource: SessionResource;
  declaration: SessionDeclaration;
  /** True when the same idempotency key had started it before. */
  repeated: boolean;
}

export class Sessions {
  readonly #deps: SessionsDeps;
  readonly #live = new Map<string, Session>();
  readonly #perTarget = new Map<string, number>();
  /** Starts with an idempotency key that are being written. */
  readonly #claiming = new Map<string, Promise<void>>();
  /** Calls that the provider is being told to end. */
  readonly #hangingUp = new Set<Promise<unknown>>();
  #draining = false;
  #emptied: (() => void) | null = null;

  constructor(deps: SessionsDeps) {
    this.#deps = deps;
  }

  get size(): number {
    return this.#live.size;
  }

  openFor(target: string): number {
    return this.#perTarget.get(target) ?? 0;
  }

  /** A session that lives in this process. Throws `not_found`, or `failed_precondition` when it is over. */
  async live(session_id: string): Promise<Session> {
    const session = this.#live.get(session_id);
    if (session) return session;
    const row = await this.#deps.store.session(session_id);
    if (!row) throw new ParleyError('not_found', `no session ${session_id.slice(0, 64)}`);
    throw new ParleyError(
      'failed_precondition',
      `session ${session_id} is closed${row.close_reason ? `: ${row.close_reason}` : ''}`,
    );
  }

  /** The same without a look at the disk, for frames of an agent link. */
  get(session_id: string): Session {
    const session = this.#live.get(session_id);
    if (!session) throw new ParleyError('not_found', `no live session ${session_id.slice(0, 64)}`);
    return session;
  }

  find(session_id: string): Session | undefined {
    return this.#live.get(session_id);
  }

  async resource(session_id: string): Promise<SessionResource> {
    const live = this.#live.get(session_id);
    if (live) return live.resource();
    const row = await this.#deps.store.session(session_id);
    if (!row) throw new ParleyError('not_found', `no session ${session_id.slice(0, 64)}`);
    return row;
  }

  async list(query: SessionQuery): Promise<{ sessions: SessionResource[]; next_cursor?: string }> {
    const page = await this.#deps.store.sessions(query);
    // A row on disk says how a session began or ended; what it is now is known here.
    const sessions = page.rows
      .map((row) => this.#live.get(row.session_id)?.resource() ?? row)
      .filter(({ status }) => query.status === undefined || status === query.status);
    return page.next_cursor === undefined ? { sessions } : { sessions, next_cursor: page.next_cursor };
  }

  /** Starts a session of a registered declaration. One durable unit; nothing is dialled yet. */
  async start(target: string, request: StartRequest, claim?: Claim): Promise<Started> {
    if (!claim) return this.#start(target, request);
    const id = JSON.stringify([claim.scope, claim.key]);
    // The same request a moment ago: it may be refused, and then this one is the first.
    for (let other = this.#claiming.get(id); other; other = this.#claiming.get(id)) await other;
    const starting = this.#claimed(target, request, claim);
    const settled = starting.then(
      () => undefined,
      () => undefined,
    );
    this.#claiming.set(id, settled);
    try {
      return await starting;
    } finally {
      if (this.#claiming.get(id) === settled) this.#claiming.delete(id);
    }
  }

  async #claimed(target: string, request: StartRequest, claim: Claim): Promise<Started> {
    const existing = await this.#deps.store.claim(claim.scope, claim.key);
    return existing ? this.#again(existing, claim.fingerprint) : this.#start(target, request, claim);
  }

  async #start(target: string, request: StartRequest, claim?: Claim): Promise<Started> {
    const admitted = admit(this.#deps, target, request);
    const { agent, declaration, tools, model } = admitted;
    this.#checkRoom(target, declaration);
    const resource = newResource(admitted, this.#deps.now());
    const session = new Session(resource, declaration.client_events, {
      store: this.#deps.store,
      agents: this.#deps.agents,
      executions: this.#deps.executions,
      model,
      logger: this.#deps.logger,
      metrics: this.#deps.metrics,
      now: this.#deps.now,
      client_soft_bytes: this.#deps.client_soft_bytes,
      client_hard_bytes: this.#deps.client_hard_bytes,
      client_patience_ms: this.#deps.client_patience_ms,
      sideband_ms: this.#deps.sideband_ms,
      bridges: this.#deps.bridges,
      pending: (hangUp) => this.#pending(hangUp),
      ended: (ended, closed) => this.#ended(ended, closed),
      lost: (lost) => this.#remove(lost, target),
    });
    this.#add(session, target);
    const { session_id, workflow_id, execution_id, metadata } = resource;
    const committed = await session.log
      .append(
        { type: 'session.created', session_id, workflow_id, execution_id, agent, target, declaration, tools, metadata },
        () => {
          const writes: Write[] = [
            { op: 'session.insert', session: resource },
            { op: 'execution.insert', execution: rootExecution(resource) },
          ];
          if (claim)
            writes.unshift({
              op: 'claim.insert',
              claim: { ...claim, result: session_id, at_ms: resource.created_at_ms },
            });
          return writes;
        },
      )
      .catch((error: unknown) => {
        this.#remove(session, target);
        throw error;
      });
    if (!committed.ok) {
      this.#remove(session, target);
      return this.#again(committed.existing, claim?.fingerprint ?? '');
    }
    this.#deps.metrics.sessionsStarted.inc({ provider: resource.provider });
    return { resource, declaration, repeated: false };
  }

  /** No new sessions; the rest are told, and ended at the deadline. Resolves when none is left. */
  async drain(deadline_ms: number): Promise<void> {
    this.#draining = true;
    if (this.#live.size === 0) return;
    const empty = new Promise<void>((resolve) => {
      this.#emptied = resolve;
    });
    for (const session of this.#live.values()) session.record({ type: 'session.draining', deadline_ms });
    const timer = setTimeout(() => {
      for (const session of this.#live.values()) {
        session
          .close('drain', 'server')
          .catch((error: unknown) => this.#deps.logger.error({ err: error }, 'a session could not be ended'));
      }
    }, deadline_ms);
    await empty;
    clearTimeout(timer);
  }

  /** Resolves when the provider was told of every call that is over, or when that took too long. */
  async hungUp(within_ms: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const enough = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, within_ms);
    });
    await Promise.race([Promise.allSettled([...this.#hangingUp]), enough]);
    clearTimeout(timer);
  }

  #pending(hangUp: Promise<unknown>): void {
    this.#hangingUp.add(hangUp);
    void hangUp.finally(() => this.#hangingUp.delete(hangUp));
  }

  /** Ends, with a reason, every session that an earlier process left open: its provider connection is gone. */
  async recover(): Promise<number> {
    const left = await this.#deps.store.unfinishedSessions();
    for (const row of left) await recoverSession(this.#deps.store, row, this.#deps.now());
    return left.length;
  }

  #checkRoom(target: string, declaration: SessionDeclaration): void {
    if (this.#draining) throw new ParleyError('unavailable', 'this server is draining', { retry_after_ms: 1000 });
    const { sessions_max } = this.#deps;
    if (this.#live.size >= sessions_max) {
      throw new ParleyError('resource_exhausted', `this server is at its limit of ${sessions_max} sessions`, {
        retry_after_ms: 1000,
        details: { limit: sessions_max, current: this.#live.size },
      });
    }
    const limit = declaration.limits.max_concurrent;
    const current = this.openFor(target);
    if (limit !== undefined && current >= limit) {
      throw new ParleyError('resource_exhausted', `session ${target} is at its limit of ${limit} sessions`, {
        retry_after_ms: 2000,
        details: { limit, current },
      });
    }
  }

  async #again(existing: ClaimRow, fingerprint: string): Promise<Started> {
    if (existing.fingerprint !== fingerprint) {
      throw new ParleyError('already_exists', 'this Idempotency-Key was used for another request', {
        retryable: false,
      });
    }
    const resource = await this.resource(existing.result);
    const first = (await this.#deps.store.events(resource.session_id, 0, 1)).events[0];
    const { declaration } = JSON.parse(first?.json ?? '{}') as { declaration: SessionDeclaration };
    return { resource, declaration, repeated: true };
  }

  #add(session: Session, target: string): void {
    this.#live.set(session.id, session);
    this.#perTarget.set(target, this.openFor(target) + 1);
  }

  #remove(session: Session, target: string): void {
    if (!this.#live.delete(session.id)) return;
    const left = this.openFor(target) - 1;
    if (left > 0) this.#perTarget.set(target, left);
    else this.#perTarget.delete(target);
    if (this.#live.size === 0) this.#emptied?.();
  }

  #ended(session: Session, resource: SessionResource): void {
    this.#remove(session, resource.target);
    const { metrics, logger } = this.#deps;
    metrics.sessionsClosed.inc({ reason: resource.close_reason ?? 'closed' });
    logger.info(
      { session_id: session.id, target: resource.target, reason: resource.close_reason, turns: resource.turns },
      'session closed',
    );
  }
}
