// A launcher whose agents stay in their call until they are told to leave it, under a clock that the test moves.

import { once } from 'node:events';
import { ManualClock } from '@parley/transport';
import { Agent } from '../agent.ts';
import type { Log } from '../log.ts';
import { AgentLauncher } from './launcher.ts';
import type { AgentLauncherOptions, LaunchContext } from './options.ts';

export interface Logged {
  level: string;
  message: string;
  fields: Record<string, unknown>;
}

export function collected(): { log: Log; lines: Logged[] } {
  const lines: Logged[] = [];
  const at =
    (level: string) =>
    (message: string, fields: Record<string, unknown> = {}): void =>
      void lines.push({ level, message, fields });
  return { lines, log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') } };
}

export function newAgent(): Agent {
  return new Agent('desk').session('voice', { provider: 'simulator', transport: 'websocket' });
}

/** Is in its call at once, and leaves it when it is told to. */
export async function stays(session: LaunchContext): Promise<void> {
  session.active();
  if (!session.signal.aborted) await once(session.signal, 'abort');
}

export function launcherOf(options: Partial<AgentLauncherOptions> = {}) {
  const clock = new ManualClock();
  const { log, lines } = collected();
  const launcher = new AgentLauncher({
    createAgent: newAgent,
    joinCall: (_agent, _type, _id, session) => stays(session),
    clock,
    log,
    ...options,
  });
  return { launcher, clock, lines };
}

/** Lets everything run that waits for nothing but its turn. */
export async function settled(): Promise<void> {
  for (let turn = 0; turn < 5; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
