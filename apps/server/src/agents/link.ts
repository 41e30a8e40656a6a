// One agent link: frames in, frames out, and where it stands in its life. What a frame means is decided in agents.ts.
//
// P1  A frame is refused alone; the link stays. A link that keeps sending what cannot be read is closed.
// P2  What waits to be sent is bounded: an agent that stops reading loses its link.

import {
  type AgentFrame,
  type EventRecord,
  newId,
  ParleyError,
  problemOf,
  type ServerFrame,
  type ServerFrameOf,
} from '@parley/core';
import type { FrameClose, FrameSocket } from '@parley/transport';
import type { ServerClock } from './clock.ts';
import type { AgentInstance } from './instance.ts';
import type { AgentLimits } from './limits.ts';
import type { HandlerLink } from './ports.ts';

export type LinkState =
  | { kind: 'joining' }
  | { kind: 'up'; instance: AgentInstance; draining: boolean }
  /** Closed by us; the agent's side of the handshake may be outstanding. */
  | { kind: 'closing'; instance: AgentInstance | null }
  | { kind: 'closed' };

/** What whoever owns the links is told. */
export interface LinkOwner {
  frame(link: AgentLink, frame: AgentFrame, bytes: number): void;
  closed(link: AgentLink, close: FrameClose): void;
  drained(link: AgentLink): void;
  opened(link: AgentLink, frame: Omit<ServerFrameOf<'session.open'>, 'type'>): void;
}

export class AgentLink implements HandlerLink {
  readonly link_id = newId('link');
  readonly connected_at_ms: number;
  state: LinkState = { kind: 'joining' };
  /** Monotonic time of the last frame. */
  heard: number;
  readonly #socket: FrameSocket;
  readonly #owner: LinkOwner;
  readonly #limits: AgentLimits;
  readonly #clock: ServerClock;
  #violations = 0;

  constructor(socket: FrameSocket, owner: LinkOwner, limits: AgentLimits, clock: ServerClock) {
    this.#socket = socket;
    this.#owner = owner;
    this.#limits = limits;
    this.#clock = clock;
    this.heard = clock.now();
    this.connected_at_ms = clock.wall();
    socket.onFrame((frame) => this.#read(frame));
    socket.onDrain(() => owner.drained(this));
    socket.onClose((close) => owner.closed(this, close));
  }

  /** Unix milliseconds of the last frame. */
  get heard_at_ms(): number {
    return this.#clock.wall() - (this.#clock.now() - this.heard);
  }

  get instance_id(): string {
    return this.state.kind === 'up' ? this.state.instance.instance_id : '';
  }

  get up(): boolean {
    return this.state.kind === 'up';
  }

  /** Registered, and reading what it is sent. */
  get reading(): boolean {
    return this.state.kind === 'up' && this.#socket.bufferedBytes < this.#limits.congested_bytes;
  }

  /** Takes new work: it reads, and does not drain. */
  get ready(): boolean {
    return this.state.kind === 'up' && !this.state.draining && this.reading;
  }

  open(frame: Omit<ServerFrameOf<'session.open'>, 'type'>): void {
    this.#owner.opened(this, frame);
    this.send({ type: 'session.open', ...frame });
  }

  event(session_id: string, event: EventRecord): void {
    const handler = this.state.kind === 'up' ? this.state.instance.sessions.get(session_id) : undefined;
    if (handler && event.type === 'session.closed') handler.closed = true;
    this.send({ type: 'session.event', session_id, event: event as Record<string, unknown> });
  }

  lost(session_id: string, message: string): void {
    if (this.state.kind === 'up') this.state.instance.sessions.delete(session_id);
    // The one code that ends a handler: to its agent a session of which nothing is told is none.
    this.refuse(new ParleyError('not_found', message, { details: { session_id } }));
  }

  send(frame: ServerFrame): void {
    this.sendText(JSON.stringify(frame));
  }

  sendText(text: string): void {
    if (this.state.kind === 'closed' || this.state.kind === 'closing') return;
    this.#socket.send(text);
    if (this.#socket.bufferedBytes > this.#limits.outgoing_bytes_max) {
      const message = `the agent has not read ${this.#socket.bufferedBytes} bytes; the limit is ${this.#limits.outgoing_bytes_max}`;
      this.close(new ParleyError('resource_exhausted', message));
    }
  }

  /** Says that a frame was refused; the link stays. */
  refuse(error: ParleyError): void {
    this.send({ type: 'agent.error', error: error.toObject() });
  }

  /** Refuses a frame that cannot be read; the link stays, unless this was one too many (P1). */
  #misread(error: ParleyError): void {
    this.refuse(error);
    this.#violations += 1;
    if (this.#violations > this.#limits.violations_max) {
      const message = `${this.#violations} frames could not be read since the last heartbeat; the last: ${error.message}`;
      this.close(new ParleyError('invalid_argument', message));
    }
  }

  /** A heartbeat earns a new allowance of mistakes. */
  forgive(): void {
    this.#violations = 0;
  }

  /** Says why and closes with the close code of the error. */
  close(error: ParleyError): void {
    if (this.state.kind === 'closed' || this.state.kind === 'closing') return;
    this.#socket.send(JSON.stringify({ type: 'agent.error', error: error.toObject() } satisfies ServerFrame));
    this.state = { kind: 'closing', instance: this.state.kind === 'up' ? this.state.instance : null };
    this.#socket.close(error.closeCode, closeReason(error.message));
  }

  /** An end without a fault: the server is going. */
  leave(): void {
    if (this.state.kind === 'closed' || this.state.kind === 'closing') return;
    this.state = { kind: 'closing', instance: this.state.kind === 'up' ? this.state.instance : null };
    this.#socket.close(1001, 'the server is going');
  }

  #read(frame: Buffer): void {
    if (this.state.kind === 'closed' || this.state.kind === 'closing') return;
    this.heard = this.#clock.now();
    if (frame.length > this.#limits.frame_bytes_max) {
      const message = `a frame may have at most ${this.#limits.frame_bytes_max} bytes, got ${frame.length}`;
      this.close(new ParleyError('resource_exhausted', message, { retryable: false }));
      return;
    }
    let value: unknown;
    try {
      value = JSON.parse(frame.toString());
    } catch (error) {
      this.#misread(new ParleyError('invalid_argument', `the frame is not JSON: ${(error as Error).message}`));
      return;
    }
    const problem = problemOf('AgentFrame', value);
    if (problem) {
      const error = new ParleyError('invalid_argument', problem.message, { details: { path: problem.path } });
      // Before it is registered, a mistake in the first frame leaves nothing to stay for.
      if (this.state.kind === 'joining') this.close(error);
      else this.#misread(error);
      return;
    }
    try {
      this.#owner.frame(this, value as AgentFrame, frame.length);
    } catch (error) {
      this.refuse(ParleyError.from(error, 'internal'));
    }
  }
}

/** A close frame carries at most 123 bytes of reason. */
function closeReason(message: string): string {
  const bytes = Buffer.from(message);
  if (bytes.length <= 123) return message;
  let end = 120;
  // Not in the middle of a character.
  while (end > 0 && ((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return `${bytes.toString('utf8', 0, end)}…`;
}
