// A session that outlives its provider's cap: before the connection comes to its end, between two turns, another one
// takes its place. It is opened first, so the caller hears no gap.
//
// P1  The log tells each renewal by `provider.renewed`, between the events of the two connections.
// P2  Nothing is generated twice and no command is lost: a renewal waits until nothing is under way.
// P3  A provider that lets its hour pass with a turn under way ends the session, as one that cannot be renewed does.

import { type ModelCommand, type ModelEvent, ParleyError } from '@parley/core';
import type { Clock } from '@parley/transport';
import type { ModelClosed, ModelConnection, ModelSessionOptions, RealtimeModel } from '../port.ts';
import { Boundary } from './boundary.ts';
import { History, type HistoryLimits } from './history.ts';
import { SwitchMedia } from './switch-media.ts';

/** A renewal that failed is tried again after this, as long as there is time. */
const RETRY_MS = 5_000;
const ITEMS_MAX = 64;

export interface RenewalSettings {
  clock: Clock;
  /** How long before the cap a renewal begins to wait for its turn boundary. */
  before_ms: number;
  history: HistoryLimits;
}

export class RenewingConnection implements ModelConnection {
  readonly media: SwitchMedia;
  readonly closed: Promise<ModelClosed>;
  readonly #model: RealtimeModel;
  readonly #settings: RenewalSettings;
  readonly #end = Promise.withResolvers<ModelClosed>();
  readonly #abort = new AbortController();
  readonly #history: History;
  readonly #boundary = new Boundary();
  /** Items of the current connection: what is older cannot be truncated there. */
  #items: string[] = [];
  #options: ModelSessionOptions;
  #current: ModelConnection;
  #listener: ((event: ModelEvent) => void) | null = null;
  #timer: { cancel(): void } | null = null;
  /** `due` waits for a boundary, `connecting` for the provider, `ready` for a boundary again. */
  #state: 'idle' | 'due' | 'connecting' | 'ready' | 'over' = 'idle';
  #reason: 'cap' | 'going_away' = 'cap';
  #next: { connection: ModelConnection; version: number; by: 'handle' | 'replay' } | null = null;

  constructor(model: RealtimeModel, options: ModelSessionOptions, first: ModelConnection, settings: RenewalSettings) {
    this.#model = model;
    this.#options = options;
    this.#settings = settings;
    this.#history = new History(settings.history);
    this.#current = first;
    this.media = new SwitchMedia(first.media);
    this.closed = this.#end.promise;
    this.#adopt(first);
  }

  get provider_session_id(): string | undefined {
    return this.#current.provider_session_id;
  }

  send(command: ModelCommand): void {
    this.#history.command(command);
    this.#boundary.command(command);
    if (command.type === 'update') this.#updated(command);
    if (command.type === 'truncate' && !this.#items.includes(command.item_id)) {
      // It was said over a connection that is gone; the history above has kept what was heard.
      const { item_id, audio_ms } = command;
      queueMicrotask(() => this.#listener?.({ type: 'item.truncated', item_id, audio_ms }));
      return;
    }
    this.#current.send(command);
    this.#progress();
  }

  onEvent(listener: (event: ModelEvent) => void): void {
    this.#listener = listener;
    this.#listen(this.#current);
  }

  close(reason?: string): void {
    this.#stop();
    this.#current.close(reason);
  }

  #stop(): void {
    this.#state = 'over';
    this.#timer?.cancel();
    this.#abort.abort();
    this.#next?.connection.close('not_needed');
    this.#next = null;
  }

  #adopt(connection: ModelConnection): void {
    this.#current = connection;
    this.#items = [];
    this.#state = 'idle';
    const { clock, before_ms } = this.#settings;
    const cap_ms = this.#model.capabilities.session_max_ms;
    this.#timer?.cancel();
    this.#timer = clock.after(Math.max(0, cap_ms - before_ms), () => this.#due('cap'));
    connection.onGoingAway?.(() => this.#due('going_away'));
    void connection.closed.then((closed) => {
      if (this.#current !== connection) return;
      this.#stop();
      this.#end.resolve(closed);
    });
  }

  #listen(connection: ModelConnection): void {
    connection.onEvent((event) => {
      if (this.#current !== connection) return;
      this.#history.event(event);
      this.#boundary.event(event);
      const item_id = 'item_id' in event ? event.item_id : undefined;
      if (item_id !== undefined && !this.#items.includes(item_id)) {
        this.#items = [...this.#items.slice(-(ITEMS_MAX - 1)), item_id];
      }
      this.#listener?.(event);
      this.#progress();
    });
  }

  #updated({ instructions, voice, turn_detection, tools }: Extract<ModelCommand, { type: 'update' }>): void {
    this.#options = {
      ...this.#options,
      ...(instructions === undefined ? {} : { instructions }),
      ...(voice === undefined ? {} : { voice }),
      ...(turn_detection === undefined ? {} : { turn_detection }),
      ...(tools === undefined ? {} : { tools }),
    };
  }

  #due(reason: 'cap' | 'going_away'): void {
    if (this.#state !== 'idle') return;
    this.#state = 'due';
    this.#reason = reason;
    this.#progress();
  }

  #progress(): void {
    if (this.#state !== 'due' && this.#state !== 'ready') return;
    if (!this.#boundary.reached) return;
    if (this.#state === 'due') return void this.#connect();
    const next = this.#next;
    if (!next) return;
    if (next.by === 'handle' && next.version !== this.#history.version) {
      // The handle knows nothing of what was said since: once more, from a newer one.
      this.#next = null;
      next.connection.close('outdated');
      return void this.#connect();
    }
    this.#renew(next.connection, next.by);
  }

  async #connect(): Promise<void> {
    this.#state = 'connecting';
    const handle = this.#current.resumeHandle ?? undefined;
    const by = handle === undefined ? 'replay' : 'handle';
    const { version } = this.#history;
    try {
      const { signal } = this.#abort;
      const connection = await this.#model.connect({ ...this.#options, resume_handle: handle, signal });
      if (this.#abort.signal.aborted) return connection.close('not_needed');
      void connection.closed.then(() => this.#nextLost(connection));
      this.#next = { connection, version, by };
      this.#state = 'ready';
      this.#progress();
    } catch (caught) {
      if (this.#abort.signal.aborted) return;
      const error = ParleyError.from(caught, 'unavailable').toObject();
      this.#listener?.({ type: 'provider.failed', error, command_id: 'renew' });
      this.#state = 'idle';
      this.#timer = this.#settings.clock.after(RETRY_MS, () => this.#due(this.#reason));
    }
  }

  /** The connection that was to follow ended before its turn came. */
  #nextLost(connection: ModelConnection): void {
    if (this.#next?.connection !== connection || this.#state !== 'ready') return;
    this.#next = null;
    this.#state = 'idle';
    this.#due(this.#reason);
  }

  #renew(connection: ModelConnection, by: 'handle' | 'replay'): void {
    this.#next = null;
    const old = this.#current;
    const replay = by === 'replay' ? this.#history.replay() : [];
    this.#adopt(connection);
    this.#listen(connection);
    this.media.switchTo(connection.media, replay.length);
    for (const command of replay) connection.send(command);
    old.close('renewed');
    const { provider_session_id: id } = connection;
    this.#listener?.({
      type: 'provider.renewed',
      reason: this.#reason,
      by,
      items: replay.length,
      ...(id === undefined ? {} : { provider_session_id: id }),
    });
  }
}
