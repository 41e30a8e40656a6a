import { randomSuffix } from '@parley/core';
import type { WebSocket } from 'ws';
import type { Clock } from '../clock.ts';
import type { Dialect } from '../dialect.ts';
import type { Fault, FaultPlan, Occasion } from '../faults.ts';
import type { ServerEvent } from '../wire.ts';

// The socket of one session: events out, with their ids, and a bound on what a slow reader may cost.
//
// P1 Audio is not produced while more than `pauseBytes` wait to be read.
// P2 A reader that lets more than `closeBytes` wait is closed with 1008 and cut off.

const CUT_AFTER_MS = 1_000;

export interface ConnectionLimits {
  pauseBytes: number;
  closeBytes: number;
}

export class Connection {
  readonly #socket: WebSocket;
  readonly #faults: FaultPlan;
  readonly #clock: Clock;
  readonly #limits: ConnectionLimits;
  readonly #occasion: Occasion;
  readonly #dialect: Dialect | undefined;
  /** Frames that wait while the connection stalls on request. */
  #stalled: string[] | null = null;
  #stalledBytes = 0;
  eventsSent = 0;

  constructor(
    socket: WebSocket,
    occasion: Occasion,
    faults: FaultPlan,
    clock: Clock,
    limits: ConnectionLimits,
    dialect?: Dialect,
  ) {
    this.#socket = socket;
    this.#occasion = occasion;
    this.#faults = faults;
    this.#clock = clock;
    this.#limits = limits;
    this.#dialect = dialect;
  }

  get open(): boolean {
    return this.#socket.readyState === this.#socket.OPEN;
  }

  /** Whether the reader keeps up, so that more audio may be made. */
  get ready(): boolean {
    return this.#stalled === null && this.#socket.bufferedAmount < this.#limits.pauseBytes;
  }

  send(event: ServerEvent): void {
    const fault = this.#faults.take('send', { ...this.#occasion, type: event.type });
    if (fault?.kind === 'lose' || fault?.kind === 'no_response_created') return;
    const shown = this.#dialect?.out(event) ?? [event];
    for (let times = fault?.kind === 'duplicate' ? 2 : 1; times > 0; times--) {
      for (const one of shown) this.sendRaw(JSON.stringify('type' in one ? { event_id: newEventId(), ...one } : one));
    }
    if (fault) this.strike(fault);
  }

  /** Sound in base64, behind the head of its event: nothing of it is read. */
  sendAudio(head: string, delta: string): void {
    const shown = this.#dialect?.sound?.(delta);
    this.sendRaw(shown ? JSON.stringify(shown) : `${head}${newEventId()}","delta":"${delta}"}`);
  }

  /** What a fault does to a socket; the kinds that are for others are left to them. */
  strike(fault: Fault): void {
    if (fault.kind === 'frame') this.#frame(fault.data);
    if (fault.kind === 'drop') this.drop();
    if (fault.kind === 'close') this.close(fault.code, fault.reason);
    if (fault.kind === 'stall') this.#stall(fault.ms);
  }

  /** Sends a frame that is already text (or the bytes of one). */
  sendRaw(frame: string | Uint8Array): void {
    if (!this.open) return;
    this.eventsSent++;
    if (this.#stalled) {
      const text = typeof frame === 'string' ? frame : Buffer.from(frame).toString();
      this.#stalledBytes += text.length;
      this.#stalled.push(text);
    } else this.#socket.send(frame, { binary: false });
    if (this.#socket.bufferedAmount + this.#stalledBytes > this.#limits.closeBytes) this.#cutOff();
  }

  #cutOff(): void {
    this.#socket.close(1008, 'the reader is too slow');
    // The close frame stands behind everything else that is not read, so it may never arrive.
    this.#clock.after(CUT_AFTER_MS, () => this.#socket.terminate());
  }

  /** A frame out of the blue: bytes make a binary frame. */
  #frame(data: string | Uint8Array): void {
    if (this.open) this.#socket.send(data, { binary: typeof data !== 'string' });
  }

  /** Stops reading and sending, for a time or for ever. */
  #stall(ms?: number): void {
    this.#socket.pause();
    this.#stalled ??= [];
    if (ms !== undefined) this.#clock.after(ms, () => this.#resume());
  }

  #resume(): void {
    const waiting = this.#stalled ?? [];
    this.#stalled = null;
    this.#stalledBytes = 0;
    if (!this.open) return;
    for (const frame of waiting) this.#socket.send(frame);
    this.#socket.resume();
  }

  pauseReading(): void {
    this.#socket.pause();
  }

  resumeReading(): void {
    if (this.open && !this.#stalled) this.#socket.resume();
  }

  close(code: number, reason = ''): void {
    this.#socket.close(code, reason);
  }

  /** Cuts the TCP connection. */
  drop(): void {
    this.#socket.terminate();
  }
}

export function newEventId(): string {
  return `event_${randomSuffix()}`;
}
