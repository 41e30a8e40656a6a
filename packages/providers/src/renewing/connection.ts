// A session that outlives its connections to the provider. Before one comes to its end, between two turns, another one
// takes its place: it is opened first, so the caller hears no gap. One that is cut is followed by another one as soon as
// it can be had, in a stated time.
//
// P1  The log tells each renewal by `provider.renewed`, between the events of the two connections.
// P2  Nothing is generated twice and no command is lost: a planned renewal waits until nothing is under way.
// P3  Of a cut connection everything that was under way ends in an event, and is asked for again: an answer that was
//     begun, one that was not, a turn that nobody understood. Words that were begun to be spoken are not spoken twice.
// P4  A tool that was called runs once, whatever becomes of connections, and its output is told to one that goes on.
// P5  A provider that does not want this session again (a refused key, a policy, a wrong request) is not asked again.

import { type ErrorObject, type ModelCommand, type ModelEvent, ParleyError } from '@parley/core';
import type { Clock } from '@parley/transport';
import type { ModelClosed, ModelConnection, ModelSessionOptions, RealtimeModel } from '../port.ts';
import { History, type HistoryLimits } from './history.ts';
import { type ReconnectSettings, Retries } from './retries.ts';
import { type Handle, openSuccessor, type Successor } from './successor.ts';
import { changes, toldAgain } from './session-changes.ts';
import { SwitchMedia } from './switch-media.ts';
import { UnderWay } from './under-way.ts';

/** A planned renewal that failed is tried again after this, as long as there is time. */
const RETRY_MS = 5_000;

export interface RenewalSettings {
  clock: Clock;
  /** How long before the cap a renewal begins to wait for its turn boundary. */
  before_ms: number;
  history: HistoryLimits;
  /** How a connection that was cut is followed by another one; null: it ends the session. */
  reconnect: ReconnectSettings | null;
}

type State =
  | { kind: 'idle' }
  /** Waits for a boundary, for the provider, for a boundary again. */
  | { kind: 'due'; reason: 'cap' | 'going_away' }
  | { kind: 'connecting'; reason: 'cap' | 'going_away' }
  | { kind: 'ready'; reason: 'cap' | 'going_away'; next: Successor }
  /** There is no connection. `answers`: the next one answers what it is told again, without being asked. */
  | { kind: 'lost'; closed: ModelClosed; answers: boolean }
  | { kind: 'over' };

export class RenewingConnection implements ModelConnection {
  readonly media: SwitchMedia;
  readonly closed: Promise<ModelClosed>;
  readonly #model: RealtimeModel;
  readonly #settings: RenewalSettings;
  readonly #end = Promise.withResolvers<ModelClosed>();
  readonly #abort = new AbortController();
  readonly #history: History;
  readonly #underWay = new UnderWay();
  readonly #retries: Retries | null;
  /** Calls of connections that are gone: the next one knows nothing of them. */
  #orphans: ReadonlySet<string> = new Set();
  #options: ModelSessionOptions;
  #current: ModelConnection;
  #handle: Handle | null = null;
  #listener: ((event: ModelEvent) => void) | null = null;
  #timer: { cancel(): void } | null = null;
  #state: State = { kind: 'idle' };

  constructor(model: RealtimeModel, options: ModelSessionOptions, first: ModelConnection, settings: RenewalSettings) {
    this.#model = model;
    this.#options = options;
    this.#settings = settings;
    this.#history = new History(settings.history);
    this.#retries = settings.reconnect && new Retries(settings.reconnect, settings.clock);
    this.#current = first;
    this.media = new SwitchMedia({
      first: first.media,
      clock: settings.clock,
      detected: () => this.#options.turn_detection !== null,
      truncated: (item_id, audio_ms) => this.#truncated(item_id, audio_ms),
    });
    this.closed = this.#end.promise;
    this.#adopt(first);
  }

  get provider_session_id(): string | undefined {
    return this.#current.provider_session_id;
  }

  send(command: ModelCommand): void {
    this.#look();
    const before = this.#history.version;
    this.#history.command(command);
    if (command.type === 'truncate' && this.media.isOlder(command.item_id)) {
      // The history above has kept what was heard.
      return queueMicrotask(() => this.#truncated(command.item_id, command.audio_ms));
    }
    this.#underWay.command(command);
    if (command.type === 'update') this.#options = { ...this.#options, ...changes(command) };
    // Who comes next is told the history, and what was asked for meanwhile.
    if (this.#state.kind === 'lost') return;
    const orphan = command.type === 'tool_output' && this.#orphans.has(command.call_id);
    for (const one of orphan ? this.#history.replay(before) : [command]) this.#current.send(one);
    this.#progress();
  }

  onEvent(listener: (event: ModelEvent) => void): void {
    this.#listener = listener;
    this.#listen(this.#current);
  }

  close(reason?: string): void {
    const lost = this.#state.kind === 'lost';
    this.#stop();
    if (lost) this.#end.resolve({ code: 1000, reason: reason ?? 'closed', recoverable: false });
    else this.#current.close(reason);
  }

  #stop(): void {
    if (this.#state.kind === 'ready') this.#state.next.connection.close('not_needed');
    this.#state = { kind: 'over' };
    this.#timer?.cancel();
    this.#retries?.stop();
    this.#abort.abort();
  }

  #adopt(connection: ModelConnection): void {
    this.#current = connection;
    this.#state = { kind: 'idle' };
    const { clock, before_ms } = this.#settings;
    const cap_ms = this.#model.capabilities.session_max_ms;
    this.#timer?.cancel();
    this.#timer = clock.after(Math.max(0, cap_ms - before_ms), () => this.#due('cap'));
    connection.onGoingAway?.(() => this.#due('going_away'));
    this.#retries?.connected();
    void connection.closed.then((closed) => {
      if (this.#current === connection) this.#ended(closed);
    });
  }

  #listen(connection: ModelConnection): void {
    connection.onEvent((event) => {
      if (this.#current !== connection) return;
      this.#look();
      this.#told(event);
      this.#underWay.event(event, () => this.media.counts().reply_audio_ms);
      this.media.unheard.event(event);
      if ('item_id' in event && event.item_id !== undefined) this.media.knows(event.item_id);
      this.#listener?.(event);
      this.#progress();
    });
  }

  /** A handle stands for what was said before it was there, also where its words come later. */
  #look(): void {
    const value = this.#current.resumeHandle;
    if (value === undefined || value === this.#handle?.value) return;
    this.#handle = { value, version: this.#history.version, covers: new Set(this.#underWay.ids) };
  }

  #told(event: ModelEvent): void {
    const before = this.#history.version;
    this.#history.event(event);
    const id =
      event.type === 'turn.completed' ? event.turn_id : event.type === 'response.completed' ? event.response_id : null;
    const handle = this.#handle;
    if (id === null || !handle?.covers.has(id) || handle.version !== before) return;
    this.#handle = { ...handle, version: this.#history.version };
  }

  #truncated(item_id: string, audio_ms: number): void {
    const event: ModelEvent = { type: 'item.truncated', item_id, audio_ms };
    this.#history.event(event);
    this.#listener?.(event);
  }

  #due(reason: 'cap' | 'going_away'): void {
    if (this.#state.kind !== 'idle') return;
    this.#state = { kind: 'due', reason };
    this.#progress();
  }

  #progress(): void {
    const state = this.#state;
    if (!this.#underWay.nothing) return;
    if (state.kind === 'due') return void this.#prepare(state.reason);
    if (state.kind !== 'ready') return;
    if (state.next.by === 'handle' && state.next.handle?.value !== this.#handle?.value) {
      // A newer handle knows what was said since as it was said, and not as text.
      this.#state = { kind: 'due', reason: state.reason };
      state.next.connection.close('outdated');
      return void this.#prepare(state.reason);
    }
    this.#renew(state.next, state.reason);
  }

  async #prepare(reason: 'cap' | 'going_away'): Promise<void> {
    this.#state = { kind: 'connecting', reason };
    this.#look();
    try {
      const next = await this.#successor();
      if (this.#abort.signal.aborted) return next.connection.close('not_needed');
      if (this.#lost) return this.#recovered(next);
      void next.connection.closed.then(() => this.#nextLost(next));
      this.#state = { kind: 'ready', reason, next };
      this.#progress();
    } catch (caught) {
      if (this.#abort.signal.aborted) return;
      const error = ParleyError.from(caught, 'unavailable');
      if (this.#lost) return this.#refused(error);
      this.#listener?.({ type: 'provider.failed', error: error.toObject(), command_id: 'renew' });
      this.#state = { kind: 'idle' };
      this.#timer = this.#settings.clock.after(RETRY_MS, () => this.#due(reason));
    }
  }

  async #successor(): Promise<Successor> {
    const options = this.#options;
    const asked = { ...options, resume_item_id: this.media.lastItem };
    const next = await openSuccessor(this.#model, asked, this.#handle, this.#abort.signal);
    return { ...next, options };
  }

  /** The connection that was to follow ended before its turn came. */
  #nextLost(next: Successor): void {
    const state = this.#state;
    if (state.kind !== 'ready' || state.next !== next) return;
    this.#state = { kind: 'idle' };
    this.#due(state.reason);
  }

  get #lost(): Extract<State, { kind: 'lost' }> | null {
    return this.#state.kind === 'lost' ? this.#state : null;
  }

  /** The current connection is gone. */
  #ended(closed: ModelClosed): void {
    const before = this.#state;
    const wait_ms = closed.recoverable && before.kind !== 'over' ? (this.#retries?.cut() ?? null) : null;
    if (wait_ms === null) return this.#over(closed);
    this.#look();
    this.#timer?.cancel();
    const { user_audio_ms: heard_ms, reply_audio_ms: replied_ms } = this.media.counts();
    const { unheard, words } = this.media;
    const answers = unheard.turn && this.#answersTurns;
    this.#state = { kind: 'lost', closed, answers };
    this.#listener?.({ type: 'provider.failed', error: closed.error ?? cut(closed), command_id: 'connection' });
    const endings = this.#underWay.broken({ heard_ms, replied_ms }, words, unheard.asked);
    this.#orphans = new Set(this.#underWay.calls);
    this.media.lost(endings);
    for (const ending of endings) {
      this.#history.event(ending);
      this.#listener?.(ending);
    }
    if (before.kind === 'ready') this.#recovered(before.next);
    else if (before.kind !== 'connecting') this.#retries?.after(wait_ms, () => void this.#redial());
  }

  /** Whether an answer follows a turn without being asked for. */
  get #answersTurns(): boolean {
    const { responder, turn_detection } = this.#options;
    return responder === 'model' && turn_detection !== null && turn_detection.create_response !== false;
  }

  async #redial(): Promise<void> {
    try {
      const next = await this.#successor();
      if (this.#lost) this.#recovered(next);
      else next.connection.close('not_needed');
    } catch (caught) {
      if (this.#lost) this.#refused(ParleyError.from(caught, 'unavailable'));
    }
  }

  /** The next connection could not be had. */
  #refused(refusal: ParleyError): void {
    const lost = this.#lost;
    if (!lost) return;
    const error = refusal.toObject();
    const wait_ms = refusal.retryable ? (this.#retries?.next(refusal.retryAfterMs) ?? null) : null;
    if (wait_ms === null) {
      const { code, reason } = lost.closed;
      const details = { ...error.details, close_code: code, attempts: this.#retries?.attempts ?? 0 };
      return this.#over({ code, reason, recoverable: error.retryable, error: { ...error, details } });
    }
    this.#listener?.({ type: 'provider.failed', error, command_id: 'connection' });
    this.#retries?.after(wait_ms, () => void this.#redial());
  }

  #over(closed: ModelClosed): void {
    this.#stop();
    this.media.flush();
    this.#end.resolve(closed);
  }

  #recovered(next: Successor): void {
    const answers = this.#lost?.answers ?? false;
    this.#renew(next, 'lost');
    if (this.media.unheard.asked) this.#underWay.command({ type: 'respond' });
    this.media.again();
    for (const command of this.#underWay.asked) {
      if (!answers || command.type !== 'respond') this.#current.send(command);
    }
  }

  #renew({ connection, by, handle, options }: Successor, reason: 'cap' | 'going_away' | 'lost'): void {
    const old = this.#current;
    // What a handle stands for is known better now; one that was not taken is of no use.
    const known = handle?.value === this.#handle?.value ? this.#handle : handle;
    this.#handle = known;
    const replay = this.#history.replay(known?.version);
    this.#adopt(connection);
    // What the client says now goes to it, and what it says to the client.
    const shown = replay.filter((one) => one.type === 'add_text' && one.role !== 'system').length;
    this.media.switchTo(connection.media, shown);
    this.#listen(connection);
    // The session may have been changed since it was asked for.
    if (options !== this.#options) connection.send(toldAgain(this.#options));
    for (const command of replay) connection.send(command);
    old.close('renewed');
    const { provider_session_id: id } = connection;
    this.#listener?.({
      type: 'provider.renewed',
      reason,
      by,
      items: replay.length,
      ...(id === undefined ? {} : { provider_session_id: id }),
    });
  }
}

function cut({ code, reason }: ModelClosed): ErrorObject {
  const why = reason === '' ? '' : `: ${reason}`;
  return { code: 'unavailable', message: `the connection to the provider ended with ${code}${why}`, retryable: true };
}
