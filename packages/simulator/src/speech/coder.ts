import { Worker } from 'node:worker_threads';
import { ParleyError } from '@parley/core';
import type { Band, CoderReply, CoderRequest } from './coder-worker.ts';

// One worker thread a process, started with the first request and never in the way of the process's end.

/** Requests that may wait for the worker; past it the answer is `resource_exhausted`. */
const QUEUE_MAX = 1_024;
/** A request that took this long means that the worker hangs; it is replaced. Counted from when its turn came. */
const REQUEST_MS_MAX = 20_000;

interface Waiting {
  request: CoderRequest;
  resolve(reply: CoderReply): void;
  reject(error: ParleyError): void;
}

let worker: Worker | null = null;
let current: Waiting | null = null;
let deadline: NodeJS.Timeout | null = null;
let nextId = 1;
const queue: Waiting[] = [];

function start(): Worker {
  // Sources run as they are under Node 24, so the worker beside this file has this file's ending.
  const ending = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
  const started = new Worker(new URL(`./coder-worker.${ending}`, import.meta.url), { execArgv: [] });
  started.unref();
  started.on('message', (reply: CoderReply) => {
    if (reply.id === current?.request.id) settle((waiting) => waiting.resolve(reply));
  });
  started.on('error', (error) => replace(started, `the speech coder failed: ${error.message}`));
  started.on('exit', (code) => replace(started, `the speech coder ended with code ${code}`));
  return started;
}

function replace(ended: Worker, message: string): void {
  if (ended !== worker) return;
  worker = null;
  if (current) settle((waiting) => waiting.reject(new ParleyError('internal', message)));
}

function settle(end: (waiting: Waiting) => void): void {
  const waiting = current;
  current = null;
  if (deadline) clearTimeout(deadline);
  deadline = null;
  // The process may end when nobody waits any more.
  worker?.unref();
  if (waiting) end(waiting);
  next();
}

function next(): void {
  if (current) return;
  const waiting = queue.shift();
  if (!waiting) return;
  current = waiting;
  worker ??= start();
  const owner = worker;
  owner.ref();
  owner.postMessage(waiting.request);
  deadline = setTimeout(() => {
    replace(owner, `the speech coder took more than ${REQUEST_MS_MAX} ms`);
    void owner.terminate();
  }, REQUEST_MS_MAX);
  deadline.unref();
}

function ask(request: CoderRequest): Promise<CoderReply> {
  if (queue.length >= QUEUE_MAX) {
    const message = `the speech coder is at its limit of ${QUEUE_MAX} waiting requests`;
    return Promise.reject(new ParleyError('resource_exhausted', message, { details: { limit: QUEUE_MAX } }));
  }
  return new Promise((resolve, reject) => {
    queue.push({ request, resolve, reject });
    next();
  });
}

/** One message (140 bytes at most) as sound at 24 kHz, without padding. */
export async function encodeMessage(text: string, band: Band): Promise<Int16Array> {
  const reply = await ask({ id: nextId++, kind: 'encode', text, band });
  if (reply.kind === 'encoded') return reply.pcm;
  throw new ParleyError('internal', reply.kind === 'failed' ? reply.message : `unexpected answer ${reply.kind}`);
}

/** The messages in a sound at 24 kHz, in order. */
export async function decodeMessages(pcm: Int16Array): Promise<string[]> {
  const reply = await ask({ id: nextId++, kind: 'decode', pcm });
  if (reply.kind === 'decoded') return reply.texts;
  throw new ParleyError('internal', reply.kind === 'failed' ? reply.message : `unexpected answer ${reply.kind}`);
}
