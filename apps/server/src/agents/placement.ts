// Which instance gets the next piece of work: the one that is least full. Work from elsewhere counts for the choice,
// but only what this server gave counts against a capacity: a report is up to a heartbeat old.

import type { AgentInstance } from './instance.ts';
import type { AgentLimits } from './limits.ts';
import type { Caller } from './work.ts';

let placements = 0;

export type Work = 'executions' | 'sessions';

/** The least full of those that offer `name` and have room; of equals the one with less work, then who waited longer. */
export function leastLoaded(
  instances: Iterable<AgentInstance>,
  work: Work,
  name: string,
  limits: AgentLimits,
): AgentInstance | null {
  let best: AgentInstance | null = null;
  let best_fill = 0;
  let best_count = 0;
  for (const instance of instances) {
    if (!instance.link?.ready || !offers(instance, work, name)) continue;
    const own = instance.count(work);
    const capacity = capacityOf(instance, work, limits);
    if (own >= capacity) continue;
    const count = own + instance.foreign[work];
    const fill = count / capacity;
    const order = fill - best_fill || count - best_count || instance.placed - (best?.placed ?? 0);
    if (best === null || order < 0) {
      best = instance;
      best_fill = fill;
      best_count = count;
    }
  }
  if (best) best.placed = ++placements;
  return best;
}

/**
 * Where work that is under way belongs when nobody takes new work: the draining instance that its caller runs on. A
 * drain lets the old finish, and what the old calls is a part of it.
 */
export function homeOf(
  instances: Iterable<AgentInstance>,
  name: string,
  caller: Caller,
  limits: AgentLimits,
): AgentInstance | null {
  for (const instance of instances) {
    const mine =
      instance === caller.instance || (caller.session_id !== undefined && instance.sessions.has(caller.session_id));
    if (!mine || !instance.link?.reading || !offers(instance, 'executions', name)) continue;
    if (instance.count('executions') < capacityOf(instance, 'executions', limits)) return instance;
  }
  return null;
}

function capacityOf(instance: AgentInstance, work: Work, limits: AgentLimits): number {
  return instance.registration.capacity[work] ?? (work === 'executions' ? limits.executions_max : limits.sessions_max);
}

function offers(instance: AgentInstance, work: Work, name: string): boolean {
  const { functions, sessions } = instance.registration;
  return work === 'executions' ? functions.has(name) : sessions.has(name);
}
