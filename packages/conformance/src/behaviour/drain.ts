import assert from 'node:assert/strict';
import { ParleyClient } from '@parley/client';
import { Cable } from './cable.ts';
import type { Cases } from './case.ts';
import { AGENT, until } from './house.ts';

/** Long enough for another agent to start meanwhile. */
const WORK_MS = 4_000;

export const drain: Cases = {
  async 'an agent without work leaves at once, with exit code 0'({ house, signal }) {
    const agent = await house.freshAgent(signal);
    agent.signal('SIGTERM');
    assert.equal(await agent.exited, 0);
    assert.deepEqual((await house.listed())?.links, []);
  },

  async 'what runs is finished, and new work goes to another instance'({ house, signal }) {
    const leaving = await house.freshAgent(signal);
    const { execution_id } = await house.client.executions.executeAsync(`${AGENT}.wait`, { ms: WORK_MS });
    await house.note(signal, execution_id, 'started');
    await using staying = house.spawn();
    await until(signal, 'the other', async () => (await house.listed())?.links.length === 2);
    leaving.signal('SIGTERM');
    const connected = async () => (await house.listed())?.links.filter(({ status }) => status === 'connected');
    await until(signal, 'the drain', async () => (await connected())?.length === 1);
    // Each process counts its own runs, so this tells who ran it.
    const { output } = await house.client.executions.execute(`${AGENT}.wait`, { ms: 1 });
    assert.deepEqual(output, { ms: 1, run: 1 });
    const first = await house.client.executions.wait(execution_id, { signal });
    assert.deepEqual([first.status, first.output], ['succeeded', { ms: WORK_MS, run: 1 }]);
    assert.equal(await leaving.exited, 0);
    assert.equal(staying.gone, false);
  },

  async 'a session that is open is served to its end'({ house, signal }) {
    const agent = await house.freshAgent(signal);
    const call = await house.call('cancel');
    call.type('one');
    assert.equal(await call.answer(signal), 'heard one');
    agent.signal('SIGTERM');
    await until(signal, 'the drain', async () => (await house.listed())?.status === 'draining');
    call.type('two');
    assert.equal(await call.answer(signal), 'heard two');
    assert.equal(agent.gone, false);
    await call.close(signal);
    assert.equal(await agent.exited, 0);
  },

  async 'a handler of a draining agent still calls functions of its own agent'({ house, signal }) {
    const agent = await house.freshAgent(signal);
    const call = await house.call('workflow');
    call.type('one');
    assert.equal(await call.answer(signal), 'one');
    agent.signal('SIGTERM');
    await until(signal, 'the drain', async () => (await house.listed())?.status === 'draining');
    // The handler calls `nested`, and that calls `echo`.
    call.type('two');
    assert.equal(await call.answer(signal), 'two');
    await call.close(signal);
    assert.equal(await agent.exited, 0);
  },

  async 'a second signal cancels what runs, and says so'({ house, signal }) {
    const agent = await house.freshAgent(signal);
    const { execution_id } = await house.client.executions.executeAsync(`${AGENT}.slow`, {});
    await house.note(signal, execution_id, 'started');
    agent.signal('SIGTERM');
    await until(signal, 'the drain', async () => (await house.listed())?.status === 'draining');
    agent.signal('SIGTERM');
    assert.equal((await house.client.executions.wait(execution_id, { signal })).status, 'cancelled');
    await agent.exited;
  },

  async 'when the server drains, the agent finishes there and goes on at the next'({ house, signal }) {
    await house.endAgent(signal);
    await using first = await house.anotherServer();
    await using second = await house.anotherServer();
    await using cable = await Cable.to(first.url);
    await using agent = house.spawn({ url: cable.url });
    const [atFirst, atSecond] = [new ParleyClient({ url: first.url }), new ParleyClient({ url: second.url })];
    await house.registered(signal, agent, atFirst);
    const work = atFirst.executions.execute(`${AGENT}.wait`, { ms: 2_000 });
    await until(signal, 'the work', async () => (await house.listed(atFirst))?.links[0]?.executions === 1);
    cable.plugInto(second.url);
    const closed = first.close({ drain_ms: 10_000 });
    await house.registered(signal, agent, atSecond);
    const { output } = await atSecond.executions.execute(`${AGENT}.echo`, { text: 'here' });
    assert.deepEqual(output, { text: 'here' });
    assert.equal((await work).status, 'succeeded');
    await closed;
    assert.equal(agent.gone, false);
  },
};
