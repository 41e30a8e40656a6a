// The agent: what it can do, how it answers, and how it is started for each call.

import { Agent, AgentLauncher } from '@parley/session';
import { z } from 'zod';

const STATES = new Map([
  ['42', 'on its way'],
  ['43', 'at the door'],
]);

export function createAgent(): Agent {
  const desk = new Agent('{{name}}');

  const findOrder = desk.skill(
    'find_order',
    { description: 'Finds out where an order is.', input: z.object({ order: z.string() }) },
    ({ order }) => ({ state: STATES.get(order) ?? 'not known to us' }),
  );

  // Another provider is one word: 'openai', with its key in .env.
  desk.session('voice', { provider: 'simulator', transport: 'websocket' }, async (session) => {
    for await (const turn of session) {
      const order = /\d+/.exec(turn.text)?.[0];
      if (order === undefined) {
        await session.say('Which order do you mean?');
        continue;
      }
      const { state } = await session.call(findOrder, { order }, { signal: turn.signal });
      await session.say(`Order ${order} is ${state}.`);
    }
  });

  return desk;
}

export const launcher = new AgentLauncher({
  createAgent,
  joinCall: async (agent, callType, callId) => {
    await using _call = await agent.join(agent.createCall(callType, callId));
    await agent.finish();
  },
  maxConcurrentSessions: 10,
  maxSessionsPerCall: 1,
});
