import assert from 'node:assert/strict';
import { setTimeout as after } from 'node:timers/promises';
import { ParleyClient } from '@parley/client';
import { Cable } from './cable.ts';
import type { Cases } from './case.ts';
import { AGENT, type House, notesOf, until } from './house.ts';

/** The link that the agent is on. */
async function linkOf(house: House): Promise<string | undefined> {
  return (await house.listed())?.links.find(({ status }) => status === 'connected')?.link_id;
}

/** Cuts the link, and waits until the agent is on another. */
async function cutOnce(house: House, signal: AbortSignal): Promise<void> {
  const before = await linkOf(house);
  house.cable.cut();
  await until(signal, 'another link', async () => {
    const now = await linkOf(house);
    return now !== undefined && now !== before;
  });
}

export const resume: Cases = {
  async 'an execution goes on over a cut link, and is run once'({ house, signal }) {
    await house.freshAgent(signal);
    const { execution_id } = await house.client.executions.executeAsync(`${AGENT}.wait`, { ms: 1_200 });
    await house.note(signal, execution_id, 'started');
    house.cable.cut();
    const { status, output, notes } = await house.client.executions.wait(execution_id, { signal });
    assert.deepEqual(
      { status, output, notes: notes?.length },
      { status: 'succeeded', output: { ms: 1_200, run: 1 }, notes: 1 },
    );
  },

  async 'a result that nobody could be told is kept, and told over the next link'({ house, signal }) {
    await house.freshAgent(signal);
    for (let ms = 300, run = 1; ; ms *= 3, run++) {
      const { execution_id } = await house.client.executions.executeAsync(`${AGENT}.wait`, { ms });
      await house.note(signal, execution_id, 'started');
      // The agent dials again and finds nobody who answers: it goes on as soon as somebody does. Where it is refused, it
      // waits longer and longer, and each round would come later, at last later than the control plane remembers it.
      house.cable.hold();
      house.cable.cut();
      // The work ends while there is no link: that takes its time, and no event can tell of it.
      await after(ms + 400, undefined, { signal });
      const unheard = (await house.client.executions.get(execution_id)).status === 'running';
      house.cable.restore();
      const { status, output } = await house.client.executions.wait(execution_id, { signal });
      assert.deepEqual({ status, output }, { status: 'succeeded', output: { ms, run } });
      // A busy machine may come to the cable after the result did: then the work has to last longer.
      if (unheard) return;
    }
  },

  async 'a result that was sent and lost on the way is sent again'({ house, signal }) {
    await house.endAgent(signal);
    // No heartbeat within the time of this case: the new link itself has to bring the result.
    const limits = { agent_heartbeat_ms: 60_000, agent_lease_ms: 120_000, agent_resume_ms: 10_000 };
    await using server = await house.anotherServer({ limits });
    await using cable = await Cable.to(server.url);
    await using agent = house.spawn({ url: cable.url });
    const client = new ParleyClient({ url: server.url });
    await house.registered(signal, agent, client);
    const { execution_id } = await client.executions.executeAsync(`${AGENT}.wait`, { ms: 300 });
    await until(signal, 'the note', async () => notesOf(await client.executions.get(execution_id)).includes('started'));
    // What the agent sends now stays in the cable, and goes with it.
    cable.hold();
    await after(700, undefined, { signal });
    cable.cut();
    cable.restore();
    const { status, output } = await client.executions.wait(execution_id, { signal });
    assert.deepEqual({ status, output }, { status: 'succeeded', output: { ms: 300, run: 1 } });
  },

  async 'many executions and three cuts: each ends well, and none runs twice'({ house, signal }) {
    await house.freshAgent(signal);
    const started = Array.from({ length: 20 }, (_, i) =>
      house.client.executions.executeAsync(`${AGENT}.wait`, { ms: 200 + 40 * i }),
    );
    for (let cuts = 0; cuts < 3; cuts++) await cutOnce(house, signal);
    const ends = await Promise.all(
      started.map(async (one) => house.client.executions.wait((await one).execution_id, { signal })),
    );
    assert.deepEqual(new Set(ends.map(({ status }) => status)), new Set(['succeeded']));
    const runs = ends.map(({ output }) => (output as { run: number }).run).sort((a, b) => a - b);
    assert.deepEqual(
      runs,
      Array.from({ length: 20 }, (_, i) => i + 1),
    );
  },

  async 'the end of a call that came after a cut reaches its caller'({ house, signal }) {
    await house.freshAgent(signal);
    const parent = await house.client.executions.executeAsync(`${AGENT}.chain`, { target: `${AGENT}.slow` });
    const child = await house.child(signal, parent.workflow_id, `${AGENT}.slow`);
    await house.note(signal, child, 'started');
    await cutOnce(house, signal);
    await house.client.executions.cancel(child);
    const { status, error } = await house.client.executions.wait(parent.execution_id, { signal });
    assert.deepEqual([status, error?.code], ['failed', 'cancelled']);
  },

  async 'a handler goes on over the next link, and hears the turn that came meanwhile'({ house, signal }) {
    await house.freshAgent(signal);
    const call = await house.call('parrot');
    call.type('one');
    assert.equal(await call.answer(signal), 'one');
    house.cable.takeAway();
    await call.until(signal, 'handler.detached');
    call.type('two');
    await call.until(signal, 'turn.completed', ({ text }) => text === 'two');
    house.cable.restore();
    assert.equal(await call.answer(signal), 'two');
    call.type('three');
    assert.equal(await call.answer(signal), 'three');
    const ofHandler = (await call.log()).map(({ type }) => type).filter((type) => type.startsWith('handler.'));
    assert.deepEqual(ofHandler, ['handler.attached', 'handler.detached', 'handler.attached']);
    await call.close(signal);
  },

  async 'a handler whose opening was lost with the link begins over the next one, and only once'({ house, signal }) {
    await house.freshAgent(signal);
    // From here on nothing reaches the agent: what it is sent is lost with the link.
    house.cable.hold();
    const call = await house.call('parrot');
    await call.until(signal, 'handler.attached');
    call.type('one');
    await call.until(signal, 'turn.completed');
    house.cable.cut();
    house.cable.restore();
    assert.equal(await call.answer(signal), 'one');
    call.type('two');
    assert.equal(await call.answer(signal), 'two');
    const log = await call.log();
    const ofHandler = log.map(({ type }) => type).filter((type) => type.startsWith('handler.'));
    assert.deepEqual(ofHandler, ['handler.attached', 'handler.detached', 'handler.attached']);
    assert.equal(log.filter(({ type }) => type === 'say.requested').length, 2);
    await call.close(signal);
  },

  async 'an interruption after a cut still cancels the call that a handler made before it'({ house, signal }) {
    await house.freshAgent(signal);
    const call = await house.call('cancel');
    const starts = () => {
      call.type('work');
      return house.child(signal, call.workflow_id, `${AGENT}.slow`);
    };
    await house.slowCancelled(signal, starts, async () => {
      await cutOnce(house, signal);
      call.type('never mind');
      assert.equal(await call.answer(signal), 'heard never mind');
    });
    await call.close(signal);
  },

  async 'a session that was closed during a cut is forgotten, and the agent goes on'({ house, signal }) {
    await house.freshAgent(signal);
    const call = await house.call('parrot');
    call.type('one');
    assert.equal(await call.answer(signal), 'one');
    house.cable.takeAway();
    await call.until(signal, 'handler.detached');
    await call.close(signal);
    house.cable.restore();
    await until(signal, 'the agent to be back', async () => (await linkOf(house)) !== undefined);
    const next = await house.call('parrot');
    next.type('again');
    assert.equal(await next.answer(signal), 'again');
    await next.close(signal);
  },

  async 'an agent whose link has gone silent dials again'({ house, signal }) {
    await house.endAgent(signal);
    await using server = await house.anotherServer({
      limits: { agent_heartbeat_ms: 200, agent_lease_ms: 1_000, agent_resume_ms: 10_000 },
    });
    await using cable = await Cable.to(server.url);
    await using agent = house.spawn({ url: cable.url });
    const client = new ParleyClient({ url: server.url });
    await house.registered(signal, agent, client);
    const { execution_id } = await client.executions.executeAsync(`${AGENT}.wait`, { ms: 500 });
    await until(signal, 'the note', async () => notesOf(await client.executions.get(execution_id)).includes('started'));
    const dialled = cable.dialled;
    cable.hold();
    await until(signal, 'the agent to dial again', async () => cable.dialled > dialled);
    cable.restore();
    const { status, output } = await client.executions.wait(execution_id, { signal });
    assert.deepEqual({ status, output }, { status: 'succeeded', output: { ms: 500, run: 1 } });
    assert.equal(agent.gone, false);
  },

  async 'what an agent ran that died is unknown, and is not run again'({ house, signal }) {
    await house.endAgent(signal);
    await using server = await house.anotherServer({ limits: { agent_resume_ms: 1_000 } });
    const client = new ParleyClient({ url: server.url });
    await using agent = house.spawn({ url: server.url });
    await house.registered(signal, agent, client);
    const { execution_id } = await client.executions.executeAsync(`${AGENT}.slow`, {});
    await until(signal, 'the note', async () => notesOf(await client.executions.get(execution_id)).includes('started'));
    agent.signal('SIGKILL');
    await agent.exited;
    await using next = house.spawn({ url: server.url });
    await house.registered(signal, next, client);
    const { status, notes } = await client.executions.wait(execution_id, { signal });
    assert.deepEqual({ status, notes: notes?.length }, { status: 'unknown', notes: 1 });
  },
};
