// An agent as somebody would write it, run by tests as its own program.

import { Agent, AgentLauncher, Runner } from '@parley/session';

const launcher = new AgentLauncher({
  createAgent: () => {
    const agent = new Agent('desk');
    const find = agent.skill('find_order', {}, (input) => ({ state: 'on its way', input }));
    agent.session('model', { provider: 'simulator', transport: 'websocket', tools: ['find_order'] });
    return agent.session('default', { provider: 'simulator', transport: 'websocket' }, async (session) => {
      for await (const turn of session) {
        const { state } = await session.call(find, { order: turn.text });
        await session.say(`Order ${turn.text} is ${state}.`);
      }
    });
  },
  joinCall: async (agent, callType, callId) => {
    if (callId === 'broken') throw new Error('the line is cut');
    await using _call = await agent.join(agent.createCall(callType, callId));
    await agent.finish();
  },
  maxConcurrentSessions: 2,
});

await new Runner({ launcher }).cli();
