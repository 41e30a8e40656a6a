// The figures of a launcher, for Prometheus.

import { Counter, Gauge, Registry } from 'prom-client';
import type { AgentLauncher, LauncherStatus } from '../../launcher/launcher.ts';

const FIGURES: readonly [name: string, help: string, of: (status: LauncherStatus) => number][] = [
  ['parley_launcher_active_sessions', 'Sessions that hold a place.', ({ active }) => active],
  ['parley_launcher_queued_sessions', 'Starts that wait for a place.', ({ queued }) => queued],
  ['parley_launcher_sessions_limit', 'Sessions that may run at the same time.', ({ limit }) => limit],
  ['parley_launcher_sessions_started_total', 'Sessions that were started.', ({ totalStarted }) => totalStarted],
  ['parley_launcher_sessions_failed_total', 'Sessions that ended with an error.', ({ totalFailed }) => totalFailed],
  ['parley_launcher_sessions_ended_total', 'Sessions that ended without one.', ({ totalEnded }) => totalEnded],
  [
    'parley_launcher_sessions_abandoned_total',
    'Sessions that did not end when they were told to.',
    ({ totalAbandoned }) => totalAbandoned,
  ],
  ['parley_launcher_starts_refused_total', 'Starts that met a limit.', ({ totalRefused }) => totalRefused],
  ['parley_launcher_warm_agents', 'Agents that are kept ready.', ({ warmAgents }) => warmAgents],
  ['parley_launcher_warmed_up', '1 once it is warm.', ({ warmedUp }) => Number(warmedUp)],
  ['parley_launcher_running', '1 while it takes starts.', ({ phase }) => Number(phase === 'running')],
];

/** A registry that asks the launcher when it is read. */
export function launcherRegistry(launcher: AgentLauncher): Registry {
  const registry = new Registry();
  const registers = [registry];
  for (const [name, help, of] of FIGURES) {
    if (!name.endsWith('_total')) {
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(of(launcher.status));
        },
      });
      continue;
    }
    new Counter({
      name,
      help,
      registers,
      collect() {
        // It is counted by the launcher.
        this.reset();
        this.inc(of(launcher.status));
      },
    });
  }
  return registry;
}

/** The same as JSON. */
export function launcherFigures({ phase, warmedUp, active, queued, limit, ...totals }: LauncherStatus) {
  return {
    active_sessions: active,
    total_sessions_started: totals.totalStarted,
    warmed_up: warmedUp,
    running: phase === 'running',
    queued_sessions: queued,
    sessions_limit: limit,
    total_sessions_failed: totals.totalFailed,
    total_sessions_ended: totals.totalEnded,
    total_sessions_abandoned: totals.totalAbandoned,
    total_starts_refused: totals.totalRefused,
    warm_agents: totals.warmAgents,
  };
}
