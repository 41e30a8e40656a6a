// Of what comes of a turn: structured answers, events, and functions of the host.

import assert from 'node:assert/strict';
import type { JsonSchema } from '@parley/core';
import { invalidOutputOf } from '../failures.ts';
import type { AgentTurnEvent, HostFunction } from '../runner.ts';
import { type Cases, configOf, failsWith, ready } from './case.ts';

/** A schema in strict form. */
export const ORDER: JsonSchema = {
  type: 'object',
  properties: { order: { type: 'string' }, count: { type: 'integer' } },
  required: ['order', 'count'],
  additionalProperties: false,
};

export const answerCases: Cases = {
  'an answer that fits its schema is parsed; a turn without a schema has none': async (under) => {
    await using one = await ready(under);
    const text = '{"order":"42","count":2}';
    const result = await one.runner.turn(under.prompts.say(text), { outputSchema: ORDER });
    assert.deepEqual(result.structured, { order: '42', count: 2 });
    assert.equal(result.assistantText, text);
    const plain = await one.runner.turn(under.prompts.say(text));
    assert.equal('structured' in plain, false);
  },

  'an answer that does not fit is an error that keeps the text, and a repair turn mends it': async (under) => {
    await using one = await ready(under);
    for (const text of ['order 42, twice', '{"order":"42"}', '{"order":"42","count":2,"more":1}', '']) {
      const error = await failsWith(
        'output_invalid',
        one.runner.turn(under.prompts.say(text), { outputSchema: ORDER }),
      );
      assert.equal(invalidOutputOf(error), text);
      assert.equal(typeof error.details?.['problem'], 'string');
    }
    const repair = one.runner.turn(under.prompts.say('{"order":"42","count":2}'), { outputSchema: ORDER });
    assert.deepEqual((await repair).structured, { order: '42', count: 2 });
  },

  'events come as they happen and stand in the result in that order': async (under) => {
    await using one = await ready(under);
    const seen: AgentTurnEvent[] = [];
    const { events } = await one.runner.turn(under.prompts.say('hello'), { onEvent: (event) => seen.push(event) });
    assert.deepEqual(seen, events);
    const said = events.at(-1);
    assert.equal(said?.kind, 'agentMessage');
    assert.equal(said.summary, 'hello');
    assert.equal(said.metadata['text'], 'hello');
  },

  'what a listener throws ends the turn, and only that': async (under) => {
    await using one = await ready(under);
    const broken = new Error('the listener is broken');
    const onEvent = (): never => {
      throw broken;
    };
    await assert.rejects(one.runner.turn(under.prompts.say('hello'), { onEvent }), (error) => error === broken);
    assert.equal((await one.runner.turn(under.prompts.say('after'))).assistantText, 'after');
  },

  'a function of the host is called here, with an input that was checked': async (under) => {
    const inputs: unknown[] = [];
    const find: HostFunction = {
      name: 'find_order',
      description: 'Finds an order.',
      inputSchema: { type: 'object', properties: { order: { type: 'string' } }, required: ['order'] },
      run: (input) => {
        inputs.push(input);
        if ((input as { order: string }).order === '0') throw new Error('no such order');
        return { ships: 'Friday' };
      },
    };
    await using one = await ready(under, [find]);
    const call = async (input: unknown): Promise<AgentTurnEvent> => {
      const { events } = await one.runner.turn(under.prompts.call('find_order', input));
      const event = events.find(({ kind }) => kind === 'dynamicToolCall');
      assert.ok(event, `there is an event of the call: ${JSON.stringify(events)}`);
      assert.equal(event.summary, 'find_order');
      return event;
    };
    assert.equal((await call({ order: '42' })).metadata['success'], true);
    assert.equal((await call({ order: '0' })).metadata['success'], false);
    assert.equal((await call({ order: 7 })).metadata['success'], false);
    assert.deepEqual(inputs, [{ order: '42' }, { order: '0' }]);
  },

  'a function of the host that never returns holds its turn no longer than the deadline, and is told': async (
    under,
  ) => {
    const begun = Promise.withResolvers<AbortSignal>();
    const stuck: HostFunction = {
      name: 'stuck',
      description: 'Never returns.',
      inputSchema: { type: 'object' },
      run: (_, { signal }) => (begun.resolve(signal), new Promise(() => undefined)),
    };
    await using one = await ready(under, [stuck]);
    await one.runner.turn(under.prompts.say('warm'));
    const turn = one.runner.turn(under.prompts.call('stuck', {}), { timeoutSeconds: 1 });
    turn.catch(() => undefined);
    const signal = await begun.promise;
    assert.equal(signal.aborted, false);
    await failsWith('timeout', turn);
    assert.equal(signal.aborted, true);
    assert.equal(one.factory.state, 'ready');
    assert.equal((await one.runner.turn(under.prompts.say('after'))).assistantText, 'after');
  },

  'two functions of one name are refused': async (under) => {
    await using factory = under.factory();
    await factory.start();
    const one = { name: 'f', description: 'f', inputSchema: { type: 'object' }, run: () => null };
    await failsWith('invalid_argument', factory.runner(configOf(under), { functions: [one, one] }));
    await failsWith('invalid_argument', factory.runner(configOf(under), { functions: [{ ...one, name: 'a b' }] }));
  },
};
