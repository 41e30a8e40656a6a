import assert from 'node:assert/strict';
import { ParleyError } from '@parley/core';
import type { Cases } from './case.ts';

export const functions: Cases = {
  async 'the agent is listed with everything that it offers'({ house, signal }) {
    await house.agentUp(signal);
    const listed = await house.listed();
    const names = (all: readonly { name: string }[] | undefined) => (all ?? []).map(({ name }) => name).sort();
    const offered = 'big block chain echo fail nested refuse seen slow wait';
    const sessions = 'cancel control interrupt never parrot throws tools workflow';
    assert.equal(names(listed?.functions).join(' '), offered);
    assert.equal(names(listed?.sessions).join(' '), sessions);
    const kinds = listed?.functions.filter(({ kind }) => kind === 'reasoner').map(({ name }) => name);
    assert.deepEqual(kinds?.sort(), ['chain', 'nested']);
    assert.equal(listed?.functions.find(({ name }) => name === 'slow')?.on_interrupt, 'cancel');
    const responders = listed?.sessions.map(({ name, responder }) => `${name}:${responder}`);
    assert.ok(responders?.includes('tools:model') && responders.includes('parrot:handler'));
  },

  async 'a skill answers, and text comes back as it went in'({ house, signal }) {
    await house.agentUp(signal);
    for (const text of ['', 'hello', 'Grüße, 世界 😀', 'a\u0000b\u2028c\\"\n', '9007199254740993', '__proto__']) {
      const { status, output } = await house.client.executions.execute('testee.echo', { text });
      assert.deepEqual({ status, output }, { status: 'succeeded', output: { text } });
    }
  },

  async 'an input that does not fit the declared schema is refused before it runs'({ house, signal }) {
    await house.agentUp(signal);
    for (const input of [{ text: 5 }, {}, { text: null }, [], 'hello']) {
      const refused = await house.client.executions.execute('testee.echo', input).then(
        (execution) => execution.error,
        (error: unknown) => ParleyError.from(error),
      );
      assert.equal(refused?.code, 'invalid_argument', JSON.stringify(input));
    }
  },

  async 'a reasoner calls a skill, as its child in one workflow'({ house, signal }) {
    await house.agentUp(signal);
    const run = await house.client.executions.execute('testee.nested', { text: 'hello' });
    assert.deepEqual(run.output, { text: 'hello', by: 'echo' });
    const { nodes } = await house.client.workflows.dag(run.workflow_id);
    const shown = nodes.map(({ target, kind, status }) => `${target} ${kind} ${status}`);
    assert.deepEqual(shown, ['testee.nested reasoner succeeded', 'testee.echo skill succeeded']);
    assert.equal(nodes[1]?.parent_execution_id, run.execution_id);
    const { notes } = await house.client.executions.get(run.execution_id);
    assert.deepEqual(
      notes?.map(({ text, data }) => ({ text, data })),
      [{ text: 'asking', data: { text: 'hello' } }],
    );
  },

  async 'a function that throws has failed, in its own words'({ house, signal }) {
    await house.agentUp(signal);
    const { status, error } = await house.client.executions.execute('testee.fail', {});
    assert.equal(status, 'failed');
    assert.deepEqual([error?.code, error?.message], ['unknown', 'the kettle is empty']);
  },

  async 'a ParleyError keeps its code, its message and its details'({ house, signal }) {
    await house.agentUp(signal);
    const { status, error } = await house.client.executions.execute('testee.refuse', {});
    assert.equal(status, 'failed');
    const { code, message, retryable, details } = error ?? {};
    const expected = {
      code: 'failed_precondition',
      message: 'no kettle here',
      retryable: false,
      details: { kettle: 7 },
    };
    assert.deepEqual({ code, message, retryable, details }, expected);
  },

  async 'the error of a function that was called is the error of the call'({ house, signal }) {
    await house.agentUp(signal);
    for (const [target, code, message] of [
      ['testee.fail', 'unknown', 'the kettle is empty'],
      ['testee.refuse', 'failed_precondition', 'no kettle here'],
    ]) {
      const { status, error } = await house.client.executions.execute('testee.chain', { target });
      assert.deepEqual([status, error?.code, error?.message], ['failed', code, message]);
    }
    const missing = await house.client.executions.execute('testee.chain', { target: 'testee.missing' });
    assert.deepEqual([missing.status, missing.error?.code], ['failed', 'not_found']);
  },

  async 'an execution that is cancelled ends as cancelled, and its work stops'({ house, signal }) {
    await house.agentUp(signal);
    await house.slowCancelled(
      signal,
      async () => (await house.client.executions.executeAsync('testee.slow', {})).execution_id,
      (id) => house.client.executions.cancel(id, 'not needed any more'),
    );
  },

  async 'an execution that is not done in its time ends as timed_out, and its work stops'({ house, signal }) {
    await house.agentUp(signal);
    const starts = async () => {
      const { execution_id } = await house.client.executions.executeAsync('testee.slow', {}, { timeoutMs: 600 });
      return execution_id;
    };
    await house.slowCancelled(signal, starts, async () => {}, 'timed_out');
  },

  async 'a parent that is cancelled takes its child with it'({ house, signal }) {
    await house.agentUp(signal);
    const parent = await house.client.executions.executeAsync('testee.chain', { target: 'testee.slow' });
    await house.slowCancelled(
      signal,
      () => house.child(signal, parent.workflow_id, 'testee.slow'),
      () => house.client.executions.cancel(parent.execution_id),
    );
    assert.equal((await house.client.executions.get(parent.execution_id)).status, 'cancelled');
  },

  async 'an output that is too large is an error and not a broken link'({ house, signal }) {
    await house.agentUp(signal);
    const { status, error } = await house.client.executions.execute('testee.big', { bytes: 1_100_000 });
    assert.deepEqual([status, error?.code], ['failed', 'resource_exhausted']);
    const large = await house.client.executions.execute('testee.big', { bytes: 1_000_000 });
    assert.equal((large.output as { text: string }).text.length, 1_000_000);
  },

  async 'a hundred executions at once are all answered, each with its own'({ house, signal }) {
    await house.agentUp(signal);
    const texts = Array.from({ length: 100 }, (_, i) => `number ${i}`);
    const runs = await Promise.all(texts.map((text) => house.client.executions.execute('testee.echo', { text })));
    assert.deepEqual(
      runs.map(({ output }) => (output as { text: string } | undefined)?.text),
      texts,
    );
  },
};
