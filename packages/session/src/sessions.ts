// The handlers that run here, one for each open session.
//
// P1  A handler that throws, or never returns, touches no other session.
// P2  `session.handled` is said once a handler ended, and again when the link that took it was cut, until the session
//     is closed. A session that is closed already is not told.

import { type AgentFrameOf, ParleyError, type ServerFrameOf } from '@parley/core';
import type { LinkConnection } from '@parley/transport';
import { type Log, withFields } from './log.ts';
import { LiveSession } from './realtime-session.ts';
import type { RequestFrame } from './requests.ts';
import type { SessionDefinition, SessionHandler } from './session-options.ts';

export interface SessionLimits {
  openMax: number;
  turnsMax: number;
}

export interface SessionPorts {
  agent: string;
  definitions: ReadonlyMap<string, SessionDefinition>;
  request(frame: RequestFrame, over: LinkConnection | null, signal: AbortSignal): Promise<unknown>;
  /** Sends a frame when there is a link. Returns the connection that took it, or null. */
  send(frame: AgentFrameOf<'session.handled'>, over: LinkConnection | null): LinkConnection | null;
  changed(): void;
  log: Log;
}

interface Open {
  readonly session: LiveSession;
  /** The connection that its entries came over last. */
  over: LinkConnection;
  /** What to say about how the handler ended; null while it runs. */
  handled: AgentFrameOf<'session.handled'> | null;
  /** The connection that took it. */
  saidOver: LinkConnection | null;
  /** `session.closed` was seen: nothing follows. */
  closed: boolean;
}

/** Ended handlers whose session was not closed yet. More than this, and the oldest is forgotten. */
const HANDLED_MAX = 1024;

export class Sessions {
  readonly #ports: SessionPorts;
  readonly #limits: SessionLimits;
  readonly #open = new Map<string, Open>();

  constructor(ports: SessionPorts, limits: SessionLimits) {
    this.#ports = ports;
    this.#limits = limits;
  }

  /** Handlers that run. */
  get size(): number {
    let running = 0;
    for (const { handled } of this.#open.values()) if (!handled) running += 1;
    return running;
  }

  uses(connection: LinkConnection): boolean {
    return [...this.#open.values()].some(({ over, handled }) => over === connection && !handled);
  }

  /** For the registration: sessions that are not closed, with the last entry seen. */
  list(): { session_id: string; after_seq: number }[] {
    return [...this.#open].map(([session_id, { session }]) => ({ session_id, after_seq: session.afterSeq }));
  }

  open(frame: ServerFrameOf<'session.open'>, over: LinkConnection): void {
    const known = this.#open.get(frame.session_id);
    if (known) {
      known.over = over;
      return;
    }
    const handler = this.#ports.definitions.get(frame.session)?.handler;
    const refusal = !handler
      ? new ParleyError('not_found', `this agent has no handler for the session '${frame.session}'`)
      : this.size >= this.#limits.openMax
        ? new ParleyError('resource_exhausted', `this agent runs ${this.#limits.openMax} sessions already`)
        : null;
    if (refusal) {
      const { session_id } = frame;
      this.#ports.send({ type: 'session.handled', session_id, error: refusal.toObject() }, over);
      return;
    }
    const log = withFields(this.#ports.log, { session_id: frame.session_id });
    const open: Open = {
      session: new LiveSession(frame, {
        agent: this.#ports.agent,
        request: (request, signal) => this.#ports.request(request, open.over, signal),
        log,
        turnsMax: this.#limits.turnsMax,
      }),
      over,
      handled: null,
      saidOver: null,
      closed: false,
    };
    this.#open.set(frame.session_id, open);
    void this.#run(open, handler as SessionHandler);
  }

  event(frame: ServerFrameOf<'session.event'>, over: LinkConnection): void {
    const open = this.#open.get(frame.session_id);
    if (!open) return;
    open.over = over;
    open.session.deliver(frame.event);
    if (frame.event['type'] === 'session.closed') this.#closed(open);
  }

  /** The server does not know this session any more. */
  lost(session_id: string, error: ParleyError): void {
    const open = this.#open.get(session_id);
    if (!open) return;
    open.session.end(error);
    this.#closed(open);
  }

  /**
   * Says again what a cut link took with it. To be called when the server has answered a heartbeat on the new
   * connection: it has told by then which sessions are gone.
   */
  repeat(): void {
    for (const open of this.#open.values()) this.#sayHandled(open);
  }

  endAll(error: ParleyError): void {
    for (const { session } of this.#open.values()) session.end(error);
  }

  async #run(open: Open, handler: SessionHandler): Promise<void> {
    const { session } = open;
    let failure: ParleyError | null = null;
    try {
      // The handler starts in its own turn of the event loop, so what it does first cannot hold up the link.
      await Promise.resolve();
      await handler(session);
    } catch (error) {
      failure = ParleyError.from(error);
      if (error instanceof Error) session.log.debug('the handler threw', { stack: error.stack });
    }
    const end: unknown = session.signal.reason;
    // A handler that lets the end of its session pass through has not failed. An agent that stops has.
    if (failure !== null && failure === end && failure.code === 'cancelled') failure = null;
    if (failure === null && end instanceof ParleyError && end.code !== 'cancelled') failure = end;
    const error = failure === null ? {} : { error: failure.toObject() };
    open.handled = { type: 'session.handled', session_id: session.id, ...error };
    session.log.info('the handler ended', failure === null ? {} : { code: failure.code });
    session.end(new ParleyError('failed_precondition', 'the handler of this session has ended'));
    if (open.closed) this.#open.delete(session.id);
    else this.#sayHandled(open);
    const ended = [...this.#open.values()].filter(({ handled }) => handled);
    if (ended.length > HANDLED_MAX) this.#open.delete((ended[0] as Open).session.id);
    this.#ports.changed();
  }

  #sayHandled(open: Open): void {
    if (open.handled && !open.saidOver?.up) open.saidOver = this.#ports.send(open.handled, open.over);
  }

  #closed(open: Open): void {
    open.closed = true;
    if (open.handled) this.#open.delete(open.session.id);
    this.#ports.changed();
  }
}
