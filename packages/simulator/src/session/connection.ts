import { randomSuffix } from '@parley/core';
import type { Clock } from '../clock.ts';
import type { Dialect } from '../dialect.ts';
import type { Fault, FaultPlan, Occasion } from '../faults.ts';
import type { ServerEvent } from '../wire.ts';
import type { Line } from './line.ts';

// What a session says, on every line that listens: events out, with their ids, and a bound on what a slow reader may
// cost.
//
// P1 Audio is not produced while more than `pauseBytes` wait to be read.
// P2 A reader that lets more than `closeBytes` wait is closed with 1008 and cut off.
// P3 All lines get the same frames, in the same order.

const CUT_AFTER_MS = 1_000;

export interface ConnectionLimits {
  pauseBytes: number;
  closeBytes: number;
}

export interface ConnectionParts {
  occasion: Occasion;
  faults: FaultPlan;
  clock: Clock;
  limits: ConnectionLimits;
  /** The names of its wire, where they are not OpenAI's. */
  dialect?: Dialect | undefined;
  /** Ends what carries the session besides its lines: the media of a call. Default: nothing does. */
  ended?: () => void;
}

export class Connection {
  readonly #parts: ConnectionParts;
  readonly #lines = new Set<Line>();
  /** Frames that wait while the connection stalls on request. */
  #stalled: string[] | null = null;
  #stalledBytes = 0;
  #closed = false;
  eventsSent = 0;

  constructor(parts: ConnectionParts) {
    this.#parts = parts;
  }

  /** Whether the session goes on: that of a call does without a line. */
  get open(): boolean {
    if (this.#closed) return false;
    return this.#parts.ended !== undefined || [...this.#lines].some((line) => line.open);
  }

  /** Whether the readers keep up, so that more audio may be made. */
  get ready(): boolean {
    if (this.#stalled !== null) return false;
    for (const line of this.#lines) if (line.waitingBytes >= this.#parts.limits.pauseBytes) return false;
    return true;
  }

  /** The lines of one kind. */
  lines(kind: Line['kind']): Line[] {
    return [...this.#lines].filter((line) => line.kind === kind);
  }

  attach(line: Line): void {
    this.#lines.add(line);
  }

  detach(line: Line): void {
    this.#lines.delete(line);
  }

  send(event: ServerEvent): void {
    const { faults, occasion } = this.#parts;
    const at = { ...occasion, type: event.type };
    const fault = faults.take('send', at);
    if (fault?.kind === 'lose' || fault?.kind === 'no_response_created') return;
    const shown = this.#shown(event);
    const sidebands = this.lines('sideband');
    const aside = sidebands.length > 0 ? faults.take('sideband_send', at) : null;
    const except = aside?.kind === 'lose' ? 'sideband' : null;
    for (const one of shown) this.sendRaw(one(), except);
    if (fault?.kind === 'duplicate') for (const one of shown) this.sendRaw(one());
    if (fault) this.strike(fault);
    for (const line of aside ? sidebands : []) {
      if (aside?.kind === 'drop') line.terminate();
      if (aside?.kind === 'close') line.close(aside.code, aside.reason ?? '');
    }
  }

  /** Sends to one line alone: what greets it. */
  sendTo(line: Line, event: ServerEvent): void {
    const fault = this.#parts.faults.take('send', { ...this.#parts.occasion, type: event.type });
    if (fault?.kind === 'lose') return;
    for (let times = fault?.kind === 'duplicate' ? 2 : 1; times > 0; times--) {
      for (const frame of this.#shown(event)) {
        if (this.#stalled) this.sendRaw(frame());
        else {
          this.eventsSent++;
          this.#sendOn(line, frame());
        }
      }
    }
    if (fault) this.strike(fault);
  }

  /** Sound in base64, behind the head of its event: nothing of it is read. */
  sendAudio(head: string, delta: string): void {
    const shown = this.#parts.dialect?.sound?.(delta);
    this.sendRaw(shown ? JSON.stringify(shown) : `${head}${newEventId()}","delta":"${delta}"}`);
  }

  /** An event in the words of the wire, as frames with an id of their own each time. */
  #shown(event: ServerEvent): (() => string)[] {
    const shown = this.#parts.dialect?.out(event) ?? [event];
    return shown.map((one) => () => JSON.stringify('type' in one ? { event_id: newEventId(), ...one } : one));
  }

  /** What a fault does to a session's lines; the kinds that are for others are left to them. */
  strike(fault: Fault): void {
    if (fault.kind === 'frame') this.#frame(fault.data);
    if (fault.kind === 'drop') this.drop();
    if (fault.kind === 'close') this.close(fault.code, fault.reason);
    if (fault.kind === 'stall') this.#stall(fault.ms);
  }

  /** Sends a frame that is already text (or the bytes of one), to all lines but those of one kind. */
  sendRaw(frame: string | Uint8Array, except: Line['kind'] | null = null): void {
    if (!this.open) return;
    this.eventsSent++;
    if (this.#stalled) {
      const text = typeof frame === 'string' ? frame : Buffer.from(frame).toString();
      this.#stalledBytes += text.length;
      this.#stalled.push(text);
      if (this.#stalledBytes > this.#parts.limits.closeBytes) for (const line of this.#lines) this.#cutOff(line);
      return;
    }
    for (const line of this.#lines) if (line.kind !== except) this.#sendOn(line, frame);
  }

  #sendOn(line: Line, frame: string | Uint8Array): void {
    if (!line.open) return;
    line.send(frame, false);
    if (line.waitingBytes > this.#parts.limits.closeBytes) this.#cutOff(line);
  }

  #cutOff(line: Line): void {
    line.close(1008, 'the reader is too slow');
    // The close frame stands behind everything else that is not read, so it may never arrive.
    this.#parts.clock.after(CUT_AFTER_MS, () => line.terminate());
  }

  /** A frame out of the blue: bytes make a binary frame. */
  #frame(data: string | Uint8Array): void {
    for (const line of this.#lines) if (line.open) line.send(data, typeof data !== 'string');
  }

  /** Stops reading and sending, for a time or for ever. */
  #stall(ms?: number): void {
    for (const line of this.#lines) line.pause();
    this.#stalled ??= [];
    if (ms !== undefined) this.#parts.clock.after(ms, () => this.#resume());
  }

  #resume(): void {
    const waiting = this.#stalled ?? [];
    this.#stalled = null;
    this.#stalledBytes = 0;
    if (!this.open) return;
    for (const line of this.#lines) {
      for (const frame of waiting) this.#sendOn(line, frame);
      if (line.open) line.resume();
    }
  }

  pauseReading(): void {
    for (const line of this.#lines) line.pause();
  }

  resumeReading(): void {
    if (this.#stalled) return;
    for (const line of this.#lines) if (line.open) line.resume();
  }

  close(code: number, reason = ''): void {
    for (const line of this.#lines) line.close(code, reason);
    this.#end();
  }

  /** Cuts everything. */
  drop(): void {
    for (const line of this.#lines) line.terminate();
    this.#end();
  }

  #end(): void {
    if (this.#closed || !this.#parts.ended) return;
    this.#closed = true;
    this.#parts.ended();
  }
}

export function newEventId(): string {
  return `event_${randomSuffix()}`;
}
