// Who listens to a session, in three manners: by type, to everything, and by iterating.
//
// L1  A listener that throws harms neither the session nor other listeners: it is told as an `error` event.
// L2  An event that nobody wants is not made.
// L3  Everybody hears events in one order: what a listener causes is told after what it was told of.
// L4  Iterators have a bound. Sound is let go oldest first; structural events never: one that cannot be kept ends the
//     iterator that is too slow, with `resource_exhausted`.

import { ParleyError } from '@parley/core';
import type { RealtimeEventOf, RealtimeEventType, RealtimeSessionEvent } from './events.ts';

/** What it returns is ignored; where that is a promise, its failure is an event. */
export type RealtimeListener = (event: RealtimeSessionEvent) => unknown;

export interface HubLimits {
  /** Events that wait for one iterator. */
  queueEvents: number;
  /** Bytes of sound among them. */
  queueAudioBytes: number;
}

export class EventHub {
  readonly #limits: HubLimits;
  readonly #typed = new Map<RealtimeEventType, RealtimeListener[]>();
  #all: RealtimeListener[] = [];
  /** Events from before the first iterator: it begins with them. */
  #early: Mailbox | null;
  #mailboxes: Mailbox[];
  #over = false;
  /** What was caused by the event that is being told. */
  #waiting: (RealtimeSessionEvent | null)[] = [];
  #telling = false;

  constructor(limits: HubLimits) {
    this.#limits = limits;
    this.#early = new Mailbox(limits);
    this.#mailboxes = [this.#early];
  }

  /** Whether an event of this type would reach anybody. */
  wants(type: RealtimeEventType): boolean {
    // Frames as they came are for those who ask for them by name: making them costs as much as all the rest.
    if (type === 'transport_event') return this.#typed.has(type);
    return this.#mailboxes.length > 0 || this.#all.length > 0 || this.#typed.has(type);
  }

  emit(event: RealtimeSessionEvent): void {
    if (this.#telling) this.#waiting.push(event);
    else this.#drain(event);
  }

  on<T extends RealtimeEventType>(type: T, listener: (event: RealtimeEventOf<T>) => unknown): void {
    this.#typed.set(type, [...(this.#typed.get(type) ?? []), listener as unknown as RealtimeListener]);
  }

  off<T extends RealtimeEventType>(type: T, listener: (event: RealtimeEventOf<T>) => unknown): void {
    const left = (this.#typed.get(type) ?? []).filter((one) => one !== (listener as unknown as RealtimeListener));
    if (left.length > 0) this.#typed.set(type, left);
    else this.#typed.delete(type);
  }

  subscribe(listener: RealtimeListener): () => void {
    // Each subscription is its own, also of one function twice.
    const own: RealtimeListener = (event) => listener(event);
    this.#all = [...this.#all, own];
    return () => {
      this.#all = this.#all.filter((one) => one !== own);
    };
  }

  iterate(): AsyncIterableIterator<RealtimeSessionEvent> {
    let mailbox = this.#early;
    this.#early = null;
    if (!mailbox) {
      mailbox = new Mailbox(this.#limits);
      if (this.#over) mailbox.end();
      else this.#mailboxes = [...this.#mailboxes, mailbox];
    }
    const own = mailbox;
    return own.iterator(() => {
      this.#mailboxes = this.#mailboxes.filter((other) => other !== own);
    });
  }

  /** Nothing follows; iterators end after what they have. */
  end(): void {
    if (this.#telling) this.#waiting.push(null);
    else this.#drain(null);
  }

  #drain(first: RealtimeSessionEvent | null): void {
    this.#telling = true;
    this.#deliver(first);
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) this.#deliver(next);
    this.#telling = false;
  }

  #deliver(event: RealtimeSessionEvent | null): void {
    if (this.#over) return;
    if (event === null) {
      this.#over = true;
      for (const mailbox of this.#mailboxes) mailbox.end();
      return;
    }
    const typed = this.#typed.get(event.type);
    // Lists are replaced and never changed: a listener may leave while it is being told.
    if (typed) for (const listener of typed) this.#tell(listener, event);
    if (event.type === 'transport_event') return;
    if (this.#all.length > 0) for (const listener of this.#all) this.#tell(listener, event);
    for (const mailbox of this.#mailboxes) {
      // For somebody who may iterate later much is kept, but not for ever while others listen.
      const idle = mailbox === this.#early && (this.#all.length > 0 || this.#typed.size > 0);
      if (!(idle && mailbox.full) && mailbox.put(event)) continue;
      this.#mailboxes = this.#mailboxes.filter((other) => other !== mailbox);
      if (mailbox === this.#early) this.#early = null;
    }
  }

  #tell(listener: RealtimeListener, event: RealtimeSessionEvent): void {
    try {
      const result: unknown = listener(event);
      // An async listener is not waited for, and its failure is a failure of the same kind.
      if (result instanceof Promise) result.catch((error: unknown) => this.#failed(error, event));
    } catch (error) {
      this.#failed(error, event);
    }
  }

  #failed(thrown: unknown, event: RealtimeSessionEvent): void {
    const error = new ParleyError(
      'internal',
      `a listener of '${event.type}' threw: ${ParleyError.from(thrown).message}`,
      {
        details: { boundary: 'session -> listener' },
        cause: thrown,
      },
    );
    // A listener of errors that throws would be told of itself for ever.
    if (event.type === 'error') process.emitWarning(error.message, { type: 'ParleyRealtimeWarning' });
    else this.emit({ type: 'error', error, source: 'listener' });
  }
}

class Mailbox {
  readonly #limits: HubLimits;
  #queue: RealtimeSessionEvent[] = [];
  #audioBytes = 0;
  #waiting: PromiseWithResolvers<IteratorResult<RealtimeSessionEvent>> | null = null;
  #ended: 'open' | 'done' | ParleyError = 'open';

  constructor(limits: HubLimits) {
    this.#limits = limits;
  }

  /** Whether something would have to be let go for one more event. */
  get full(): boolean {
    return this.#queue.length >= this.#limits.queueEvents || this.#audioBytes >= this.#limits.queueAudioBytes / 4;
  }

  /** False when it is too full to be kept up with. */
  put(event: RealtimeSessionEvent): boolean {
    if (this.#ended !== 'open') return false;
    const waiting = this.#waiting;
    if (waiting) {
      this.#waiting = null;
      waiting.resolve({ done: false, value: event });
      return true;
    }
    this.#queue.push(event);
    if (event.type === 'audio') this.#audioBytes += event.data.length;
    if (this.#audioBytes > this.#limits.queueAudioBytes) this.#shed();
    if (this.#queue.length <= this.#limits.queueEvents) return true;
    if (this.#shed()) return true;
    this.#ended = new ParleyError(
      'resource_exhausted',
      `more than ${this.#limits.queueEvents} events wait for an iterator that is too slow`,
      { retryable: false, details: { limit: 'queueEvents', value: this.#limits.queueEvents } },
    );
    this.#queue = [];
    return false;
  }

  end(): void {
    if (this.#ended !== 'open') return;
    this.#ended = 'done';
    this.#waiting?.resolve({ done: true, value: undefined });
    this.#waiting = null;
  }

  iterator(released: () => void): AsyncIterableIterator<RealtimeSessionEvent> {
    const iterator: AsyncIterableIterator<RealtimeSessionEvent> = {
      next: () => {
        const event = this.#queue.shift();
        if (event) {
          if (event.type === 'audio') this.#audioBytes -= event.data.length;
          return Promise.resolve({ done: false, value: event });
        }
        if (this.#ended instanceof ParleyError) {
          const error = this.#ended;
          this.#ended = 'done';
          return Promise.reject(error);
        }
        if (this.#ended === 'done') return Promise.resolve({ done: true, value: undefined });
        this.#waiting ??= Promise.withResolvers();
        return this.#waiting.promise;
      },
      return: () => {
        released();
        this.end();
        this.#queue = [];
        return Promise.resolve({ done: true, value: undefined });
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  /** Lets the older half of the sound go. */
  #shed(): boolean {
    const sounds = this.#queue.filter((event) => event.type === 'audio').length;
    if (sounds === 0) return false;
    let left = Math.ceil(sounds / 2);
    this.#queue = this.#queue.filter((event) => {
      if (event.type !== 'audio' || left === 0) return true;
      left -= 1;
      this.#audioBytes -= event.data.length;
      return false;
    });
    return true;
  }
}
