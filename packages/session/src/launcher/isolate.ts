// Inside of the thread or process of one session: loads the author's module for what it declares, and runs the session.

import { parentPort } from 'node:worker_threads';
import { ParleyError } from '@parley/core';
import { type FrameSocket, memorySocketPair } from '@parley/transport';
import { withEvents } from '../local/event-sockets.ts';
import type { Log, LogLevel } from '../log.ts';
import { CallMetrics } from './call-metrics.ts';
import type { IsolatedProgram, IsolateOrder, IsolateReport } from './isolate-messages.ts';
import { type DeclaredLauncher, declaredLauncher } from './isolated.ts';
import type { Unit } from './unit.ts';

const tell = (report: IsolateReport): void => {
  if (parentPort) parentPort.postMessage(report);
  else if (process.connected) process.send?.(report);
};

const COUNTED = new Set(['turn.completed', 'response.started', 'response.completed', 'tool.completed']);

let unit: Unit | null = null;
/** It was told to end before it had begun, and has said that it did. */
let over = false;
const clients = new Map<number, FrameSocket>();

let loading: Promise<DeclaredLauncher> | null = null;

/** The author's module, once: what is prepared is of the same launcher as what begins. */
function loaded(program: IsolatedProgram): Promise<DeclaredLauncher> {
  loading ??= load(program);
  return loading;
}

async function load({ module, launcher, aliveMs, simulatorUrl }: IsolatedProgram): Promise<DeclaredLauncher> {
  // One simulator serves all: native modules that it loads would not bear to end with a thread.
  if (simulatorUrl !== undefined) process.env['PARLEY_SIMULATOR_URL'] = simulatorUrl;
  setInterval(() => tell({ type: 'alive' }), aliveMs);
  await import(module);
  // From here on it is watched: loading may take its time.
  tell({ type: 'alive' });
  const declared = declaredLauncher(launcher);
  if (!declared) {
    throw new ParleyError('failed_precondition', `${module} made no AgentLauncher when it was loaded in isolation`);
  }
  return declared;
}

async function prepare({ configuration, program }: Extract<IsolateOrder, { type: 'prepare' }>): Promise<void> {
  await (await loaded(program)).prepare(configuration);
  tell({ type: 'ready' });
}

async function begin({ order, program }: Extract<IsolateOrder, { type: 'begin' }>): Promise<void> {
  const declared = await loaded(program);
  if (over) return;
  const at =
    (level: LogLevel) =>
    (message: string, fields?: Record<string, unknown>): void =>
      tell({ type: 'log', level, message, fields });
  const log: Log = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
  const metrics = new CallMetrics();
  unit = declared.isolate(order, {
    log,
    active: () => tell({ type: 'active' }),
    presence: (what) => tell({ type: 'presence', what }),
    metrics: () => undefined,
    entry: (entry) => {
      metrics.event(entry);
      if (COUNTED.has(entry.type)) tell({ type: 'metrics', report: metrics.report() });
    },
  });
  const { reason, error } = await unit.ended;
  tell({ type: 'metrics', report: metrics.report() });
  tell({ type: 'ended', end: { reason, error: error?.toObject() ?? null } });
}

function attach({ client, wantsEvents }: Extract<IsolateOrder, { type: 'client.attach' }>): void {
  const [ours, place] = memorySocketPair();
  clients.set(client, ours);
  ours.onFrame((frame) => tell({ type: 'client.frame', client, frame }));
  ours.onClose(({ code, reason }) => {
    clients.delete(client);
    tell({ type: 'client.closed', client, code, reason });
  });
  try {
    if (!unit) throw new ParleyError('failed_precondition', 'the session has not begun', { retryable: true });
    unit.attach(wantsEvents ? withEvents(place) : place);
  } catch (thrown) {
    const error = ParleyError.from(thrown);
    place.close(error.closeCode, error.message);
  }
}

function failed(thrown: unknown): void {
  tell({ type: 'ended', end: { reason: 'failed', error: ParleyError.from(thrown).toObject() } });
}

function close({ reason }: Extract<IsolateOrder, { type: 'close' }>): void {
  if (unit) return unit.close(reason);
  // Nothing of the session runs yet, so there is nothing to wait for.
  over = true;
  tell({ type: 'ended', end: { reason, error: null } });
}

function take(order: IsolateOrder): void {
  switch (order.type) {
    case 'prepare':
      void prepare(order).catch(failed);
      return;
    case 'begin':
      void begin(order).catch(failed);
      return;
    case 'notice':
      return unit?.notice(order.notice);
    case 'close':
      return close(order);
    case 'client.attach':
      return attach(order);
    case 'client.frame':
      return clients.get(order.client)?.send(typeof order.frame === 'string' ? order.frame : Buffer.from(order.frame));
    case 'client.closed':
      return clients.get(order.client)?.close(order.code, order.reason);
  }
}

if (parentPort) parentPort.on('message', take);
else {
  process.on('message', take);
  // A terminal, and a service manager, signal the whole group. Its launcher drains then, and tells it what to do.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => undefined);
  // Without its launcher nobody would end it.
  process.on('disconnect', () => process.exit(1));
}
