// One worker thread of the store, seen from the main side: its start, its reads, and its end.

import { Worker } from 'node:worker_threads';
import { ParleyError } from '@parley/core';
import type { ReadName, SqliteReader } from './sqlite-reader.ts';
import type {
  GroupAnswer,
  GroupMessage,
  ReadAnswer,
  ReadMessage,
  WireError,
  WorkerAnswer,
  WorkerStart,
} from './wire.ts';

const WORKER = import.meta.url.endsWith('.ts') ? './sqlite-worker.ts' : './sqlite-worker.js';

interface Reading {
  resolve(value: unknown): void;
  reject(error: Error): void;
}

export class StoreThread {
  private readonly worker: Worker;
  private readonly reads = new Map<number, Reading>();
  private readonly ended: Promise<void>;
  private next_read = 1;
  private broken: WireError | null = null;
  onGroup: (answer: GroupAnswer) => void = () => {};
  onBroken: (error: WireError) => void = () => {};

  private constructor(start: WorkerStart) {
    this.worker = new Worker(new URL(WORKER, import.meta.url), {
      workerData: start,
      name: `parley-store-${start.role}`,
    });
    this.ended = new Promise((resolve) => this.worker.once('exit', () => resolve()));
  }

  /** @throws ParleyError with the reason the worker gave, when it cannot open the database. */
  static open(start: WorkerStart): Promise<StoreThread> {
    const thread = new StoreThread(start);
    return new Promise((resolve, reject) => {
      const { worker } = thread;
      const end = (message: string): void => {
        thread.breaks({ code: 'unavailable', message });
        reject(new ParleyError('unavailable', message));
      };
      worker.on('error', (error) => end(`the store's ${start.role} thread failed: ${String(error)}`));
      worker.on('exit', () => end(`the store's ${start.role} thread ended`));
      worker.on('message', (answer: WorkerAnswer) => {
        switch (answer.kind) {
          case 'group':
            return thread.onGroup(answer);
          case 'read':
            return thread.readAnswered(answer);
          case 'ready':
            return resolve(thread);
          case 'refused':
            return reject(new ParleyError(answer.error.code, answer.error.message));
        }
      });
    });
  }

  get reading(): number {
    return this.reads.size;
  }

  write(message: GroupMessage): void {
    this.worker.postMessage(message);
  }

  read<Name extends ReadName>(
    name: Name,
    ...args: Parameters<SqliteReader[Name]>
  ): Promise<ReturnType<SqliteReader[Name]>> {
    if (this.broken) return Promise.reject(new ParleyError(this.broken.code, this.broken.message));
    const id = this.next_read++;
    const message: ReadMessage = { kind: 'read', id, name, args };
    this.worker.postMessage(message);
    return new Promise((resolve, reject) => {
      this.reads.set(id, { resolve: resolve as (value: unknown) => void, reject });
    });
  }

  /** Ends the thread after everything it was sent. */
  async close(): Promise<void> {
    this.onBroken = () => {};
    if (!this.broken) this.worker.postMessage({ kind: 'close' });
    await this.ended;
  }

  /** Ends the thread at once, as a crash of it would. */
  async kill(): Promise<void> {
    await this.worker.terminate();
  }

  private readAnswered(answer: ReadAnswer): void {
    const reading = this.reads.get(answer.id);
    this.reads.delete(answer.id);
    if ('error' in answer) reading?.reject(new ParleyError(answer.error.code, answer.error.message));
    else reading?.resolve(answer.value);
  }

  private breaks(error: WireError): void {
    if (this.broken) return;
    this.broken = error;
    for (const reading of this.reads.values()) reading.reject(new ParleyError(error.code, error.message));
    this.reads.clear();
    this.onBroken(error);
  }
}
