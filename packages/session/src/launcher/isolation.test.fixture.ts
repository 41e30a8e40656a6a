// A program with one launcher, whose sessions do what their call is named after.

import { Agent, AgentLauncher, type AgentLauncherOptions } from '@parley/session';
import { isIsolated } from './isolated.ts';

/** How each agent was made. */
const made = new WeakMap<Agent, string>();

export function launcherOf(options: Partial<AgentLauncherOptions> = {}): AgentLauncher {
  return new AgentLauncher({
    createAgent: ({ configuration, session }) => {
      const agent = new Agent('desk').session('voice', { provider: 'simulator', transport: 'websocket' });
      made.set(agent, `${session ? 'for its session' : 'in advance'}, ${String(configuration)}`);
      // Not in the launcher's own process, which would go with it.
      if (configuration === 'mortal' && isIsolated()) setTimeout(() => process.exit(3), 50);
      return agent;
    },
    configure: (input) => input,
    joinCall: async (agent, callType, callId, session) => {
      if (callId === 'tells') throw new Error(`made ${made.get(agent)}`);
      if (callId === 'throws') throw new TypeError('thrown in joinCall');
      if (callId === 'talks') {
        await using _call = await agent.join(agent.createCall(callType, callId));
        return await agent.finish();
      }
      session.active();
      // As the machine does it that has no memory left.
      if (callId === 'killed') process.kill(process.pid, 'SIGKILL');
      if (callId === 'hoards') hoard();
      // Its answer is the launcher's stdout.
      if (callId === 'prints') console.log('printed in isolation');
      if (callId === 'crashes') {
        setTimeout(() => {
          throw new Error('thrown where nobody catches');
        }, 5);
      }
      // A loop that never ends, as a bug would have it.
      if (callId === 'blocks') setTimeout(() => blockFor(60_000), 20);
      if (callId === 'stalls') setTimeout(() => blockFor(1_500), 20);
      await new Promise((resolve) => session.signal.addEventListener('abort', resolve));
    },
    module: new URL(import.meta.url),
    onEntry: ({ type }) => {
      throw new Error(`no room for ${type}`);
    },
    blockedMs: 3_000,
    closeMs: 500,
    ...options,
  });
}

function hoard(): void {
  const kept: unknown[] = [];
  const more = (): void => {
    for (let at = 0; at < 100_000; at += 1) kept.push({ at });
    setImmediate(more);
  };
  more();
}

function blockFor(ms: number): void {
  const end = performance.now() + ms;
  while (performance.now() < end);
}

launcherOf();
