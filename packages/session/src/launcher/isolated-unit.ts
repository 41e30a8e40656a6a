// Runs one session in a thread or a process of its own.
//
// P1  A crash or a blocked event loop ends the one session that it is in, and so does a full heap of a process. A thread
//     that fills its heap too fast for Node to stop it takes the process with it.
// P2  Whoever does not end when told to is ended: a thread and a process can be, a function cannot.

import { ParleyError } from '@parley/core';
import type { Clock, FrameSocket } from '@parley/transport';
import { wantsEvents } from '../local/event-sockets.ts';
import type { IsolatedProgram, IsolateOrder, IsolateReport } from './isolate-messages.ts';
import { type Hearing, IsolatedPlace } from './isolated-place.ts';
import type { Unit, UnitEnd, UnitOrder, UnitPorts } from './unit.ts';
import type { Notice } from './vigil.ts';

export interface IsolationParts {
  kind: 'worker' | 'process';
  /** The module that makes the launcher, and which of its launchers it is. */
  module: string;
  launcher: number;
  heapMb: number;
  blockedMs: number;
  closeMs: number;
  clock: Clock;
  /** Where the simulator is, if one is needed; it is not run inside. */
  simulatorUrl: Promise<string | undefined>;
}

/** What clients may send between two signs of life: past it they are not read until the next one. */
const UNHEARD_BYTES_MAX = 16 * 1024 * 1024;
/** A blocked loop is known by so many signs of life that did not come. */
const SIGNS = 4;

/** What is loaded in there. */
export async function programOf(parts: IsolationParts): Promise<IsolatedProgram> {
  const { module, launcher, blockedMs, simulatorUrl } = parts;
  const aliveMs = blockedMs > 0 ? Math.max(1, Math.floor(blockedMs / SIGNS)) : 1_000;
  return { module, launcher, aliveMs, simulatorUrl: await simulatorUrl };
}

export class IsolatedUnit implements Unit {
  readonly #order: UnitOrder;
  readonly #parts: IsolationParts;
  readonly #ports: UnitPorts;
  readonly #place: IsolatedPlace;
  readonly #ended = Promise.withResolvers<UnitEnd>();
  readonly #clients = new Map<number, FrameSocket>();
  #attached = 0;
  #unheardBytes = 0;
  #closing: string | null = null;
  #grace: { cancel(): void } | null = null;
  #watch: { cancel(): void } | null = null;
  #aliveAt: number;
  #over = false;

  /** @param warm one that was made for this configuration before the session came. */
  constructor(order: UnitOrder, parts: IsolationParts, ports: UnitPorts, warm: IsolatedPlace | null = null) {
    this.#order = order;
    this.#parts = parts;
    this.#ports = ports;
    this.#aliveAt = parts.clock.now();
    const hearing: Hearing = {
      report: (report) => this.#report(report),
      gone: (error) => this.#end({ reason: 'failed', error }),
    };
    this.#place = warm ?? new IsolatedPlace(parts.kind, parts.heapMb, hearing);
    warm?.handTo(hearing);
    void this.#begin();
  }

  async #begin(): Promise<void> {
    try {
      this.#post({ type: 'begin', order: this.#order, program: await programOf(this.#parts) });
    } catch (thrown) {
      // An input that cannot be cloned, or a simulator that did not start.
      this.#end({ reason: 'failed', error: ParleyError.from(thrown) });
    }
  }

  get ended(): Promise<UnitEnd> {
    return this.#ended.promise;
  }

  notice(notice: Notice): void {
    this.#post({ type: 'notice', notice });
  }

  close(reason: string): void {
    if (this.#closing !== null || this.#over) return;
    this.#closing = reason;
    this.#post({ type: 'close', reason });
    // It has `closeMs` itself to give up what does not end.
    this.#grace = this.#parts.clock.after(this.#parts.closeMs * 1.5 + 100, () => this.#end({ reason, error: null }));
  }

  attach(client: FrameSocket): void {
    const number = ++this.#attached;
    this.#clients.set(number, client);
    this.#post({ type: 'client.attach', client: number, wantsEvents: wantsEvents(client) });
    client.onFrame((frame) => {
      this.#post({ type: 'client.frame', client: number, frame });
      this.#unheardBytes += frame.length;
      if (this.#unheardBytes > UNHEARD_BYTES_MAX) client.pause();
    });
    client.onClose(({ code, reason }) => {
      if (this.#clients.delete(number)) this.#post({ type: 'client.closed', client: number, code, reason });
    });
  }

  #post(order: IsolateOrder): void {
    if (!this.#over) this.#place.post(order);
  }

  #report(report: IsolateReport): void {
    this.#aliveAt = this.#parts.clock.now();
    switch (report.type) {
      case 'alive':
        if (this.#unheardBytes > UNHEARD_BYTES_MAX) for (const client of this.#clients.values()) client.resume();
        this.#unheardBytes = 0;
        // The first sign: until then the module was being loaded, which may take its time.
        if (!this.#watch && this.#parts.blockedMs > 0) this.#look();
        return;
      case 'ready':
        return;
      case 'active':
        return this.#ports.active();
      case 'presence':
        return this.#ports.presence(report.what);
      case 'metrics':
        return this.#ports.metrics(report.report);
      case 'log':
        return this.#ports.log[report.level](report.message, report.fields);
      case 'client.frame': {
        const { frame } = report;
        return this.#clients.get(report.client)?.send(typeof frame === 'string' ? frame : Buffer.from(frame));
      }
      case 'client.closed': {
        const client = this.#clients.get(report.client);
        this.#clients.delete(report.client);
        return client?.close(report.code, report.reason);
      }
      case 'ended': {
        const { reason, error } = report.end;
        return this.#end({ reason, error: error && ParleyError.from(error) });
      }
    }
  }

  /** Looks whether its event loop turns. Where this one was held up, what came meanwhile is heard before it is judged. */
  #look(suspicious = false): void {
    const { clock, blockedMs, kind } = this.#parts;
    const wait = blockedMs / SIGNS;
    this.#watch = clock.after(wait, () => {
      const silentMs = Math.round(clock.now() - this.#aliveAt);
      if (silentMs < blockedMs) return this.#look();
      if (!suspicious) return this.#look(true);
      const { sessionId, callId } = this.#order;
      const message = `session ${sessionId} of call ${callId} blocked its event loop for ${silentMs} ms; its ${kind} was ended`;
      const details = { culprit: sessionId, call_id: callId, blocked_ms: silentMs };
      this.#ports.log.error('an event loop is blocked', details);
      this.#end({ reason: 'blocked', error: new ParleyError('internal', message, { details }) });
    });
  }

  #end(end: UnitEnd): void {
    if (this.#over) return;
    this.#over = true;
    this.#grace?.cancel();
    this.#watch?.cancel();
    this.#place.kill();
    const error = this.#closing === null ? end.error : null;
    const code = error?.closeCode ?? 1000;
    for (const client of this.#clients.values()) client.close(code, (error?.message ?? end.reason).slice(0, 100));
    this.#clients.clear();
    this.#ended.resolve({ reason: this.#closing ?? end.reason, error });
  }
}
