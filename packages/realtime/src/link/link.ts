// The connection to the model over the life of a session: it is made again when it drops, and replaced at a turn boundary
// before the provider's own limit ends it. Whoever sends does not see which one it is.
//
// K1  One connection is listened to at a time; what an older one still says is not heard.
// K2  A new connection is told the conversation before anything else is sent on it.
// K3  A renewal has the new connection before it lets the old one go.
// K4  Where the provider has the conversation by a handle, it is told only what the handle does not stand for; a handle
//     that is refused costs one more connection, which is told everything.

import { type ModelCommand, type ModelEvent, ParleyError } from '@parley/core';
import {
  type ModelClosed,
  type ModelConnection,
  type ModelOwner,
  type ModelSessionOptions,
  openSuccessor,
  type RealtimeModel,
  type Successor,
} from '@parley/providers';
import { Backoff, type Clock, systemClock } from '@parley/transport';
import type { ReplayPlan } from '../history/replay.ts';
import type { RealtimeEventFields, RealtimeSessionEvent } from '../events.ts';
import type { ReconnectOptions, RenewalOptions } from '../options.ts';
import { type Owned, owned } from './owner.ts';
import type { Handle, Resumption } from './resumption.ts';

export interface LinkOptions {
  clock: Clock;
  /** Asked for each connection, so that a key may change. */
  model(): Promise<RealtimeModel>;
  /** What the model is told at the beginning of each connection. */
  terms(model: RealtimeModel): Omit<ModelSessionOptions, 'signal'>;
  /** What a connection is told: everything, or these items and nothing else. */
  plan(only: ReadonlySet<string> | null): ReplayPlan;
  resumption: Resumption;
  /** The last item of the history that is not among these. */
  lastBut(items: ReadonlySet<string>): string | undefined;
  /** Whether nobody speaks, nothing is asked for and nothing is heard: a connection may be replaced. */
  quiet(): boolean;
  reconnect: ReconnectOptions | false;
  renewal: RenewalOptions | false;
  frame: Parameters<ModelOwner['onFrame']>[0];
  event(event: ModelEvent): void;
  /** A connection is there and was told the conversation; `renewed` without anybody having noticed. */
  connected(connection: ModelConnection, owner: ModelOwner, renewed: boolean): void;
  /** It ended. `again`: another one is about to be made. */
  lost(closed: ModelClosed, again: boolean): void;
  emit(event: RealtimeSessionEvent): void;
}

const LEAD_MS = 2 * 60_000;
const RENEW_AGAIN_MS = 5_000;

type Next = Successor<Handle>;

interface Live {
  connection: ModelConnection;
  owner: ModelOwner;
  send: Owned['send'];
  sinceMs: number;
  /** Items that it knows by words alone, and calls that it was not told of. */
  replayed: ReadonlySet<string>;
  openCalls: Set<string>;
}

export class ModelLink {
  readonly #options: LinkOptions;
  readonly #backoff: Backoff;
  readonly #first = Promise.withResolvers<void>();
  readonly #stop = new AbortController();
  #model: RealtimeModel | null = null;
  #live: Live | null = null;
  #next: Next | null = null;
  #renewal: { cancel(): void } | null = null;
  #attempts = 0;
  #begun = false;
  #renewing = false;
  /** The session was changed since a connection that is not there yet was told what it is. */
  #changed = false;

  constructor(options: LinkOptions) {
    this.#options = options;
    const { minMs = 250, maxMs = 10_000 } = options.reconnect === false ? {} : options.reconnect;
    this.#backoff = new Backoff({ minMs, maxMs });
    this.#first.promise.catch(() => {
      // `run()` awaits it; a session that is closed while it connects has nobody to tell.
    });
  }

  /** Resolves with the first connection, and rejects when there is none. */
  get first(): Promise<void> {
    return this.#first.promise;
  }

  get open(): boolean {
    return this.#live !== null;
  }

  get truncates(): boolean {
    return this.#model?.capabilities.client_truncates ?? false;
  }

  /** Whether the model knows this item by its words alone. */
  replayed(itemId: string): boolean {
    return this.#live?.replayed.has(itemId) ?? false;
  }

  /** Whether the model has to be told of a call before it is told its output. */
  takeOpenCall(callId: string): boolean {
    return this.#live?.openCalls.delete(callId) ?? false;
  }

  send(command: ModelCommand, eventId?: string): void {
    this.#look();
    if (command.type === 'update') this.#changed = true;
    this.#live?.send(command, eventId);
  }

  sendEvent(event: Record<string, unknown> & { type: string }): void {
    this.#look();
    this.#live?.owner.send(event);
  }

  sendAudio(audio: Buffer): boolean {
    if (!this.#live) return false;
    this.#live.owner.sendAudio(audio);
    return true;
  }

  /** Makes a connection: the first, or one in place of another. */
  connect(): void {
    if (this.#begun) this.#again().catch((error: unknown) => this.#giveUp(ParleyError.from(error)));
    else this.#begin().catch((error: unknown) => this.#first.reject(ParleyError.from(error)));
  }

  /** Something may have come to its end: a connection that waits takes over when all is quiet. */
  settle(): void {
    if (!this.#next || !this.#live || !this.#options.quiet()) return;
    this.#look();
    const next = this.#next;
    const old = this.#live.connection;
    this.#next = null;
    if (this.#changed || next.handle !== this.#options.resumption.handle) {
      // A newer handle knows what was said since as it was said, and not as text.
      next.connection.close('outdated');
      return this.#prepare();
    }
    this.#attach(next, true);
    old.close('renewed');
  }

  close(reason: string): void {
    this.#stop.abort(new ParleyError('cancelled', 'the session was closed'));
    this.#renewal?.cancel();
    this.#next?.connection.close(reason);
    this.#next = null;
    const live = this.#live;
    this.#live = null;
    live?.connection.close(reason);
    this.#first.reject(new ParleyError('cancelled', 'the session was closed before it was connected'));
  }

  async #begin(): Promise<void> {
    this.#begun = true;
    this.#tell({ status: 'connecting', attempt: 1 });
    const next = await this.#dial();
    if (next) this.#attach(next, false);
  }

  async #again(): Promise<void> {
    const { reconnect } = this.#options;
    const attempts = reconnect === false ? 1 : (reconnect.attempts ?? 6);
    for (;;) {
      this.#attempts += 1;
      await this.#sleep(this.#backoff.next());
      if (this.#stop.signal.aborted) return;
      this.#tell({ status: 'reconnecting', attempt: this.#attempts });
      try {
        const next = await this.#dial();
        if (next) this.#attach(next, false);
        return;
      } catch (thrown) {
        const error = ParleyError.from(thrown);
        if (!error.retryable || this.#attempts >= attempts) throw error;
      }
    }
  }

  /** null when the session was closed meanwhile. */
  async #dial(): Promise<Next | null> {
    const { resumption } = this.#options;
    const model = await this.#options.model();
    this.#model = model;
    this.#look();
    const { handle } = resumption;
    this.#changed = false;
    const last = handle ? this.#options.lastBut(resumption.since) : undefined;
    const options = { ...this.#options.terms(model), resume_item_id: last };
    const next = await openSuccessor(model, options, handle, this.#stop.signal);
    if (handle && !next.handle) resumption.refused(handle);
    if (!this.#stop.signal.aborted && !this.#changed) return next;
    next.connection.close('outdated');
    return this.#stop.signal.aborted ? null : this.#dial();
  }

  #look(): void {
    if (this.#live) this.#options.resumption.look(this.#live.connection);
  }

  #attach({ connection, handle }: Next, renewed: boolean): void {
    const { clock, resumption } = this.#options;
    const { owner, send, show } = owned(connection);
    const plan = this.#options.plan(handle && resumption.since);
    const live: Live = {
      connection,
      owner,
      send,
      sinceMs: clock.now(),
      replayed: new Set(plan.itemIds),
      openCalls: new Set(plan.openCalls),
    };
    this.#live = live;
    this.#attempts = 0;
    owner.onFrame((type, frame, event) => {
      if (this.#live !== live) return;
      // Nothing that a handle stands for comes in a frame that nobody decoded.
      if (event) resumption.look(connection);
      this.#options.frame(type, frame, event);
    });
    connection.onEvent((event) => {
      if (this.#live !== live) return;
      resumption.look(connection);
      if (event.type === 'response.started') resumption.answers();
      show(event);
      this.#options.event(event);
    });
    connection.closed.then(
      (closed) => this.#ended(live, closed),
      (error: unknown) => this.#options.emit({ type: 'error', error: ParleyError.from(error), source: 'session' }),
    );
    // Some say when they will end it, long before or shortly.
    connection.onGoingAway?.(() => {
      if (this.#live === live && this.#options.renewal !== false && !this.#renewing) this.#renew();
    });
    for (const item of plan.items) send({ type: 'add_item', item });
    this.#schedule(owner);
    this.#tell({
      status: 'connected',
      ...(handle ? { resumed: true } : {}),
      ...(plan.items.length === 0 ? {} : { replayed: plan.itemIds.length }),
    });
    this.#options.connected(connection, owner, renewed);
    this.#first.resolve();
  }

  #ended(live: Live, closed: ModelClosed): void {
    if (this.#live !== live) return;
    this.#look();
    this.#live = null;
    this.#renewal?.cancel();
    this.#next?.connection.close('replaced');
    this.#next = null;
    this.#backoff.lived(this.#options.clock.now() - live.sinceMs);
    const again = closed.recoverable && this.#options.reconnect !== false && !this.#stop.signal.aborted;
    if (again) this.#tell({ status: 'reconnecting', attempt: 0, reason: closed.error?.message ?? closed.reason });
    this.#options.lost(closed, again);
  }

  #giveUp(error: ParleyError): void {
    if (this.#stop.signal.aborted) return;
    this.#options.lost({ code: 1006, reason: error.message, recoverable: false, error: error.toObject() }, false);
  }

  #schedule(owner: ModelOwner): void {
    const { renewal, clock } = this.#options;
    this.#renewal?.cancel();
    this.#renewal = null;
    const capMs = Math.min(this.#model?.capabilities.session_max_ms ?? Infinity, expiresInMs(owner, clock));
    if (renewal === false || !Number.isFinite(capMs)) return;
    const leadMs = Math.min(renewal.leadMs ?? LEAD_MS, capMs / 4);
    this.#renewal = clock.after(capMs - leadMs, () => this.#renew());
  }

  #renew(): void {
    this.#tell({ status: 'renewing' });
    this.#prepare();
  }

  #prepare(): void {
    this.#renewing = true;
    const old = this.#live;
    this.#dial().then(
      (next) => {
        this.#renewing = false;
        if (!next) return;
        if (this.#live !== old || !old) return next.connection.close('replaced');
        this.#next = next;
        next.connection.closed.then(
          () => {
            if (this.#next === next) this.#next = null;
          },
          () => {},
        );
        this.settle();
      },
      (error: unknown) => {
        this.#renewing = false;
        if (this.#stop.signal.aborted) return;
        this.#options.emit({ type: 'error', error: ParleyError.from(error), source: 'session' });
        this.#renewal = this.#options.clock.after(RENEW_AGAIN_MS, () => this.#renew());
      },
    );
  }

  #tell(fields: RealtimeEventFields['connection']): void {
    this.#options.emit({ type: 'connection', ...fields });
  }

  #sleep(ms: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#options.clock.after(ms, resolve);
    this.#stop.signal.addEventListener(
      'abort',
      () => {
        timer.cancel();
        resolve();
      },
      { once: true },
    );
    return promise;
  }
}

/** When the provider says that it will end the connection. Told in the time of day, so only a real clock can use it. */
function expiresInMs(owner: ModelOwner, clock: Clock): number {
  const at = owner.session['expires_at'];
  if (clock !== systemClock || typeof at !== 'number') return Infinity;
  const left = at * 1000 - Date.now();
  return left > 0 ? left : Infinity;
}
