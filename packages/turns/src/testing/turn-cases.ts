// Of turns: conversations, overlap, deadlines, aborts and failures.

import assert from 'node:assert/strict';
import type { JsonSchema } from '@parley/core';
import { type Cases, failsWith, ready } from './case.ts';
import { ORDER } from './answer-cases.ts';

export const turnCases: Cases = {
  'a conversation begins with the first turn and goes on with the next': async (under) => {
    await using one = await ready(under);
    assert.equal(one.runner.conversationId, null);
    assert.equal((await one.runner.turn(under.prompts.count())).assistantText, '1');
    const id = one.runner.conversationId;
    assert.equal(typeof id, 'string');
    assert.equal((await one.runner.turn(under.prompts.count())).assistantText, '2');
    assert.equal(one.runner.conversationId, id);
  },

  'an overlapping turn is refused, even in the same tick, and the first one is not disturbed': async (under) => {
    await using one = await ready(under);
    const first = one.runner.turn(under.prompts.sayLater('first'));
    const error = await failsWith('concurrent_turn', one.runner.turn(under.prompts.say('second')));
    assert.equal(error.code, 'aborted');
    assert.equal(error.retryable, true);
    assert.equal((await first).assistantText, 'first');
    assert.equal((await one.runner.turn(under.prompts.count())).assistantText, '2');
  },

  'arguments are checked before anything else': async (under) => {
    await using one = await ready(under);
    const first = one.runner.turn(under.prompts.sayLater('first'));
    for (const timeoutSeconds of [0, -1, Number.NaN, Number.POSITIVE_INFINITY]) {
      await failsWith('invalid_argument', one.runner.turn(under.prompts.say('x'), { timeoutSeconds }));
    }
    await failsWith('invalid_argument', one.runner.turn('  '));
    for (const outputSchema of [
      { type: 'string' },
      { ...ORDER, additionalProperties: true },
      { ...ORDER, required: ['order'] },
      { ...ORDER, properties: { order: { type: 'object', properties: {} }, count: {} } },
      { ...ORDER, properties: { order: { type: 'text' }, count: {} } },
    ] as JsonSchema[]) {
      await failsWith('invalid_argument', one.runner.turn(under.prompts.say('x'), { outputSchema }));
    }
    await first;
  },

  'a turn that takes too long ends with timeout and says what it waited for; the runner can go on': async (under) => {
    await using one = await ready(under);
    await one.runner.turn(under.prompts.say('warm'));
    const error = await failsWith('timeout', one.runner.turn(under.prompts.hang(), { timeoutSeconds: 0.2 }));
    assert.equal(error.code, 'deadline_exceeded');
    assert.equal(error.retryable, true);
    assert.match(error.message, /0\.2 s/);
    assert.equal(typeof error.details?.['waiting_for'], 'string');
    assert.equal((await one.runner.turn(under.prompts.say('after'))).assistantText, 'after');
  },

  'the shortest deadline is a timeout like any other': async (under) => {
    await using one = await ready(under);
    await failsWith('timeout', one.runner.turn(under.prompts.hang(), { timeoutSeconds: 0.001 }));
    assert.equal(one.factory.state, 'ready');
    assert.equal((await one.runner.turn(under.prompts.say('after'))).assistantText, 'after');
  },

  'an aborted turn ends with aborted; the runner can go on': async (under) => {
    await using one = await ready(under);
    const before = await failsWith(
      'aborted',
      one.runner.turn(under.prompts.hang(), { signal: AbortSignal.abort(new Error('not now')) }),
    );
    assert.equal(before.code, 'cancelled');
    const abort = new AbortController();
    const turn = one.runner.turn(under.prompts.hang(), { signal: abort.signal });
    turn.catch(() => undefined);
    await under.hanging();
    const why = new Error('the user left');
    abort.abort(why);
    const error = await failsWith('aborted', turn);
    assert.equal((error as { cause?: unknown }).cause, why);
    assert.equal((await one.runner.turn(under.prompts.say('after'))).assistantText, 'after');
  },

  'an abort after the end of a turn is nothing': async (under) => {
    await using one = await ready(under);
    const abort = new AbortController();
    await one.runner.turn(under.prompts.say('done'), { signal: abort.signal });
    abort.abort();
    assert.equal((await one.runner.turn(under.prompts.count())).assistantText, '2');
  },

  'a failed turn is an error; the conversation goes on': async (under) => {
    await using one = await ready(under);
    await failsWith('turn_failed', one.runner.turn(under.prompts.fail()));
    assert.equal(one.factory.state, 'ready');
    assert.equal((await one.runner.turn(under.prompts.say('after'))).assistantText, 'after');
  },
};
