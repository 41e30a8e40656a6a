// Runs one session in a thread or a process of its own.
//
// P1  A crash or a blocked event loop ends the one session that it is in, and so does a full heap of a process. A thread
//     that fills its heap too fast for Node to stop it takes the process with it.
// P2  Whoever does not end when told to is ended: a thread and a process can be, a function cannot.

import { type ChildProcess, fork } from 'node:child_process';
import { Worker } from 'node:worker_threads';
import { ParleyError } from '@parley/core';
import type { Clock, FrameSocket } from '@parley/transport';
import { wantsEvents } from '../local/event-sockets.ts';
import type { IsolateOrder, IsolateReport } from './isolate-messages.ts';
import { ISOLATED } from './isolated.ts';
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

/** A thread or a process, as far as it matters here. */
interface Place {
  readonly name: string;
  post(order: IsolateOrder): void;
  kill(): void;
}

interface Hearing {
  readonly report: (report: IsolateReport) => void;
  readonly gone: (error: ParleyError) => void;
}

// Beside this file: TypeScript where this is, as Node runs it, and JavaScript once it was built.
const ENTRY = new URL(import.meta.url.endsWith('.ts') ? './isolate.ts' : './isolate.js', import.meta.url);
/** What clients may send between two signs of life: past it they are not read until the next one. */
const UNHEARD_BYTES_MAX = 16 * 1024 * 1024;
/** A blocked loop is known by so many signs of life that did not come. */
const SIGNS = 4;

export class IsolatedUnit implements Unit {
  readonly #order: UnitOrder;
  readonly #parts: IsolationParts;
  readonly #ports: UnitPorts;
  readonly #place: Place;
  readonly #ended = Promise.withResolvers<UnitEnd>();
  readonly #clients = new Map<number, FrameSocket>();
  #attached = 0;
  #unheardBytes = 0;
  #closing: string | null = null;
  #grace: { cancel(): void } | null = null;
  #watch: { cancel(): void } | null = null;
  #aliveAt: number;
  #over = false;

  constructor(order: UnitOrder, parts: IsolationParts, ports: UnitPorts) {
    this.#order = order;
    this.#parts = parts;
    this.#ports = ports;
    this.#aliveAt = parts.clock.now();
    const hearing: Hearing = {
      report: (report) => this.#report(report),
      gone: (error) => this.#end({ reason: 'failed', error }),
    };
    this.#place = parts.kind === 'worker' ? thread(parts, hearing) : processOf(parts, hearing);
    void this.#begin();
  }

  async #begin(): Promise<void> {
    const { module, launcher, blockedMs, simulatorUrl } = this.#parts;
    const aliveMs = blockedMs > 0 ? Math.max(1, Math.floor(blockedMs / SIGNS)) : 1_000;
    try {
      const url = await simulatorUrl;
      this.#post({ type: 'begin', order: this.#order, module, launcher, aliveMs, simulatorUrl: url });
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

/** The flags of this program, without those that say what it runs. */
const FLAGS = process.execArgv.filter((flag, at, all) => {
  // What follows these is a program of its own.
  const evaluates = (one = ''): boolean => /^(?:-p?e|-p|--eval|--print)$/.test(one);
  return !evaluates(flag) && !evaluates(all[at - 1]) && !/^--(?:input-type|inspect|eval|print)/.test(flag);
});

function thread({ heapMb }: IsolationParts, { report, gone }: Hearing): Place {
  const worker = new Worker(ENTRY, {
    workerData: { [ISOLATED]: true },
    execArgv: FLAGS,
    resourceLimits: { maxOldGenerationSizeMb: heapMb },
    stdout: true,
  });
  // As of a process: what a session prints is not the launcher's answer.
  worker.stdout.on('data', (chunk: Buffer) => process.stderr.write(chunk));
  worker.on('message', report);
  worker.on('error', (error) => gone(crashed('thread', error)));
  worker.on('exit', (code) => gone(crashed('thread', new Error(`it ended with ${code}`))));
  return { name: 'thread', post: (order) => worker.postMessage(order), kill: () => void worker.terminate() };
}

function processOf({ heapMb }: IsolationParts, { report, gone }: Hearing): Place {
  const child: ChildProcess = fork(ENTRY, [], {
    env: { ...process.env, [ISOLATED]: '1' },
    execArgv: [...FLAGS, `--max-old-space-size=${heapMb}`],
    serialization: 'advanced',
    // What a session prints is not the launcher's answer: it goes to stderr.
    stdio: ['ignore', 2, 'inherit', 'ipc'],
  });
  child.on('message', (message) => report(message as IsolateReport));
  child.on('error', (error) => gone(crashed('process', error)));
  child.on('exit', (code, signal) => gone(crashed('process', new Error(`it ended with ${signal ?? code}`))));
  return {
    name: 'process',
    post: (order) => {
      // A process that is going is heard of by its exit.
      if (child.connected) child.send(order, () => undefined);
    },
    kill: () => void child.kill('SIGKILL'),
  };
}

function crashed(where: string, error: Error): ParleyError {
  return new ParleyError('internal', `the ${where} of this session crashed: ${error.message}`, { cause: error });
}
