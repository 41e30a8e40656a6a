import assert from 'node:assert/strict';
import { ParleyError } from '@parley/core';
import type { Cases } from './case.ts';

export const tools: Cases = {
  async 'the model calls a tool and says what came of it, and the workflow shows it'({ house, signal }) {
    await house.agentUp(signal);
    const call = await house.call('tools');
    call.ask('echo marmalade');
    assert.equal(await call.answer(signal), 'It said marmalade.');
    const { status, output } = await call.until(signal, 'tool.completed');
    assert.deepEqual({ status, output }, { status: 'succeeded', output: { text: 'marmalade' } });
    const { nodes } = await house.client.sessions.workflow(call.session_id);
    assert.deepEqual(
      nodes.map(({ kind, target }) => (kind === 'session' ? kind : `${kind} ${target}`)),
      ['session', 'skill testee.echo'],
    );
    await call.close(signal);
  },

  async 'tools that are called together are each answered once'({ house, signal }) {
    await house.agentUp(signal);
    const call = await house.call('tools');
    call.ask('both tea coffee');
    assert.equal(await call.answer(signal), 'tea and coffee.');
    const answered = (await call.log()).filter(({ type }) => type === 'tool.answered');
    assert.equal(answered.length, 2);
    await call.close(signal);
  },

  async 'a tool that throws is told to the model, which goes on'({ house, signal }) {
    await house.agentUp(signal);
    const call = await house.call('tools');
    call.ask('fail');
    assert.equal(await call.answer(signal), 'Failed: the kettle is empty');
    call.ask('refuse');
    assert.equal(await call.answer(signal), 'Failed: no kettle here');
    call.ask('echo honey');
    assert.equal(await call.answer(signal), 'It said honey.');
    await call.close(signal);
  },

  async 'a function outside of the allowlist is refused to a client'({ house, signal }) {
    await house.agentUp(signal);
    const call = await house.call('tools');
    const refused = await house.client.sessions
      .tool(call.session_id, 'wait', { input: { ms: 1 } })
      .catch((error: unknown) => ParleyError.from(error));
    assert.equal((refused as ParleyError).code, 'permission_denied');
    const allowed = await house.client.sessions.tool(call.session_id, 'echo', { input: { text: 'yes' } });
    assert.deepEqual(allowed.output, { text: 'yes' });
    await call.close(signal);
  },

  async 'the end of a session cancels the tool that it waits for'({ house, signal }) {
    await house.agentUp(signal);
    const call = await house.call('tools');
    await house.slowCancelled(
      signal,
      async () => {
        call.ask('slow');
        return (await call.until(signal, 'tool.dispatched')).execution_id;
      },
      () => call.close(signal),
    );
  },
};
