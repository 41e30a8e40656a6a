import assert from 'node:assert/strict';
import { ParleyClient } from '@parley/client';
import type { Cases } from './case.ts';
import { AGENT, type House, until } from './house.ts';

async function answers(house: House): Promise<void> {
  const { output } = await house.client.executions.execute(`${AGENT}.echo`, { text: 'still here' });
  assert.deepEqual(output, { text: 'still here' });
}

export const broken: Cases = {
  async 'a handler that throws ends its session as failed, in its own words, and nothing else'({ house, signal }) {
    await house.agentUp(signal);
    const call = await house.call('throws');
    call.type('hello');
    const { reason, error } = await call.until(signal, 'session.closed');
    assert.deepEqual([reason, error?.code, error?.message], ['handler_failed', 'unknown', 'the handler is broken']);
    assert.equal((await house.client.executions.get(call.execution_id)).status, 'failed');
    await answers(house);
  },

  async 'a session ends although its handler never returns, and the agent goes on'({ house, signal }) {
    await house.freshAgent(signal);
    const call = await house.call('never');
    await call.until(signal, 'handler.attached');
    call.type('is somebody there?');
    await call.until(signal, 'turn.completed');
    await call.close(signal);
    await answers(house);
    const next = await house.call('parrot');
    next.type('hello');
    assert.equal(await next.answer(signal), 'hello');
    await next.close(signal);
  },

  async 'a handler that never returns is still there after a cut, and cannot keep the agent from stopping'({
    house,
    signal,
  }) {
    const agent = await house.freshAgent(signal);
    const call = await house.call('never');
    await call.until(signal, 'handler.attached');
    // A link keeps its order: an agent that answers this has begun the handler.
    await answers(house);
    house.cable.cut();
    const { seq } = await call.until(signal, 'handler.detached');
    await call.until(signal, 'handler.attached', (event) => event.seq > seq);
    agent.signal('SIGTERM');
    await until(signal, 'the drain', async () => (await house.listed())?.status === 'draining');
    agent.signal('SIGTERM');
    await agent.exited;
    await call.close(signal);
  },

  async 'a function that blocks its thread ends, and the agent goes on'({ house, signal }) {
    await house.agentUp(signal);
    const { status, output } = await house.client.executions.execute(`${AGENT}.block`, { ms: 300 });
    assert.deepEqual({ status, output }, { status: 'succeeded', output: { ms: 300 } });
    await answers(house);
  },

  async 'a function that blocks its thread holds up no other'({ house, signal }) {
    await house.freshAgent(signal);
    const { execution_id } = await house.client.executions.executeAsync(`${AGENT}.block`, { ms: 3_000 });
    await house.note(signal, execution_id, 'started');
    await answers(house);
    assert.equal((await house.client.executions.get(execution_id)).status, 'running');
    assert.equal((await house.client.executions.wait(execution_id, { signal })).status, 'succeeded');
  },

  async 'a function that blocks for longer than the lease does not cost the link'({ house, signal }) {
    await house.endAgent(signal);
    await using server = await house.anotherServer({ limits: { agent_heartbeat_ms: 200, agent_lease_ms: 1_000 } });
    await using agent = house.spawn({ url: server.url });
    const client = new ParleyClient({ url: server.url });
    await house.registered(signal, agent, client);
    const before = (await house.listed(client))?.links;
    const { status } = await client.executions.execute(`${AGENT}.block`, { ms: 2_500 });
    assert.equal(status, 'succeeded');
    const now = (await house.listed(client))?.links;
    assert.equal(now?.[0]?.link_id, before?.[0]?.link_id);
  },
};
