// Whether this code runs for one session, in a thread or a process that a launcher opened for it.

import { isMainThread, workerData } from 'node:worker_threads';
import type { Unit, UnitFactory } from './unit.ts';

/** Marks the surroundings of an isolated session. */
export const ISOLATED = 'PARLEY_ISOLATED_SESSION';

/** In one, `Runner` does nothing: the same file is loaded only for what it declares. */
export function isIsolated(): boolean {
  if (process.env[ISOLATED] === '1') return true;
  return !isMainThread && typeof workerData === 'object' && workerData !== null && ISOLATED in workerData;
}

/** A launcher that a module made when it was loaded. */
export interface DeclaredLauncher {
  /** Makes and warms an agent for the next session of this configuration. */
  prepare(configuration: unknown): Promise<void>;
  isolate(...parts: Parameters<UnitFactory>): Unit;
}

// Looked up by name: an author's module may have loaded this package another time.
const LAUNCHERS = Symbol.for('parley.launchers');

interface Launchers {
  count: number;
  /** Kept in isolation only: elsewhere a launcher is whoever holds it. */
  declared: DeclaredLauncher[];
}

function launchers(): Launchers {
  const here = globalThis as { [LAUNCHERS]?: Launchers };
  here[LAUNCHERS] ??= { count: 0, declared: [] };
  return here[LAUNCHERS];
}

/** The number of a launcher among those of this thread, in the order in which they were made. */
export function declareLauncher(launcher: DeclaredLauncher): number {
  const all = launchers();
  if (isIsolated()) all.declared.push(launcher);
  all.count += 1;
  return all.count - 1;
}

export function declaredLauncher(number: number): DeclaredLauncher | undefined {
  return launchers().declared[number];
}
