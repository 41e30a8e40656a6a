// A served program whose calls do what they are named after; drain.test.ts runs it, and tells it to leave.

import { Agent, AgentLauncher, Runner } from '@parley/session';

const set = JSON.parse(process.env['DRAIN_TEST'] ?? '{}') as Record<string, unknown>;

const launcher = new AgentLauncher({
  createAgent: () => {
    const declared = { provider: 'simulator', transport: 'websocket' } as const;
    if (set['handler'] !== true) return new Agent('desk').session('voice', declared);
    return new Agent('desk').session('voice', declared, async (session) => {
      for await (const turn of session) await session.say(turn.text);
    });
  },
  // A model that is never copied; the timer is its download.
  ...(set['warms'] === 'never' && {
    warmUp: () => {
      process.stderr.write('{"msg":"warming up"}\n');
      return new Promise<void>(() => void setInterval(() => undefined, 1_000));
    },
  }),
  joinCall: async (agent, callType, callId) => {
    await using _call = await agent.join(agent.createCall(callType, callId));
    if (callId === 'stubborn') {
      setInterval(() => undefined, 1_000);
      await new Promise(() => undefined);
    }
    await agent.finish();
  },
  onNotice: async (agent, { reason, leftMs }, { callId, log }) => {
    log.info('noticed', { call_id: callId, reason, left_ms: leftMs });
    if (callId !== 'polite') return;
    await agent.joined?.session.say('Goodbye.');
    await agent.joined?.leave('goodbye');
  },
  maxConcurrentSessions: 3,
  ...(set['launcher'] as object),
});

await new Runner({ launcher }).cli();
