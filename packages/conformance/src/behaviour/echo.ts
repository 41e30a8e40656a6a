import assert from 'node:assert/strict';
import type { Cases } from './case.ts';

export const echo: Cases = {
  async 'a handler hears each turn, calls a function and says what it returned'({ house, signal }) {
    await house.agentUp(signal);
    const call = await house.call('parrot');
    for (const text of ['hello', 'Where is my desk?', 'Grüße']) {
      call.type(text);
      assert.equal(await call.answer(signal), text);
    }
    const { nodes } = await house.client.sessions.workflow(call.session_id);
    const children = nodes.filter(({ parent_execution_id }) => parent_execution_id === call.execution_id);
    assert.deepEqual(
      children.map(({ target, status }) => `${target} ${status}`),
      Array(3).fill('testee.echo succeeded'),
    );
    await call.close(signal);
  },

  async 'a handler that returns ends the session as completed'({ house, signal }) {
    await house.agentUp(signal);
    const call = await house.call('parrot');
    call.type('hello');
    await call.answer(signal);
    call.type('bye');
    const closed = await call.until(signal, 'session.closed');
    assert.equal(closed.reason, 'handler_completed');
    assert.equal((await house.client.executions.get(call.execution_id)).status, 'succeeded');
  },

  async 'what a handler calls may call others: session, reasoner, skill'({ house, signal }) {
    await house.agentUp(signal);
    const call = await house.call('workflow');
    call.type('hello');
    assert.equal(await call.answer(signal), 'hello');
    const { nodes } = await house.client.sessions.workflow(call.session_id);
    const kinds = nodes.map(({ kind, target }) => (kind === 'session' ? kind : `${kind} ${target}`));
    assert.deepEqual(kinds, ['session', 'reasoner testee.nested', 'skill testee.echo']);
    assert.equal(nodes[1]?.parent_execution_id, nodes[0]?.execution_id);
    assert.equal(nodes[2]?.parent_execution_id, nodes[1]?.execution_id);
    await call.close(signal);
  },

  async 'ten sessions at once keep their turns apart'({ house, signal }) {
    await house.agentUp(signal);
    const calls = await Promise.all(Array.from({ length: 10 }, () => house.call('parrot')));
    await Promise.all(
      calls.map(async (call, i) => {
        call.type(`caller ${i}`);
        assert.equal(await call.answer(signal), `caller ${i}`);
        await call.close(signal);
      }),
    );
  },
};
