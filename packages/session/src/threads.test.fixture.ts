// Functions as an author puts them into a module of its own, and some that nobody should write.

import { threadId } from 'node:worker_threads';
import { ParleyError } from '@parley/core';
import type { Context } from './context.ts';

export function block({ ms }: { ms: number }, context: Context) {
  context.note('started', { thread: threadId });
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, ms);
  return { thread: threadId };
}

export async function patient(_: unknown, context: Context) {
  context.note('started');
  await new Promise((resolve) => context.signal.addEventListener('abort', resolve));
  context.log.info('told to stop', { why: (context.signal.reason as ParleyError).message });
  throw context.signal.reason;
}

export async function caller(_: unknown, context: Context) {
  const answer = await context.call('answer', { n: 1 });
  return { answer, ids: [context.executionId, context.workflowId] };
}

export async function carelessCaller(_: unknown, context: Context) {
  const giveUp = AbortSignal.abort(new ParleyError('cancelled', 'not needed'));
  const early = await context.call('answer', {}, { signal: giveUp }).catch((error: ParleyError) => error.message);
  const later = new AbortController();
  const call = context.call('answer', {}, { signal: later.signal }).catch((error: ParleyError) => error.message);
  later.abort(new ParleyError('cancelled', 'changed my mind'));
  return { early, later: await call };
}

export function refuse() {
  throw new ParleyError('failed_precondition', 'no kettle here', { details: { kettle: 7 } });
}

export function fail() {
  throw new TypeError('the kettle is empty');
}

export function exit() {
  process.exit(3);
}

export function crash() {
  setImmediate(() => {
    throw new Error('out of the blue');
  });
  return new Promise(() => {});
}

export function hoard() {
  const all: unknown[] = [];
  for (;;) all.push(Array.from({ length: 10_000 }, (_, i) => ({ i })));
}

export function uncloneable() {
  return { call: () => 1 };
}

export function map() {
  return { found: new Map() };
}

export default ({ at }: { at: Date }) => ({ year: at.getUTCFullYear() });
