// Of factories: their states, what they make, and how runners end with them.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { AgentConfig } from '../config.ts';
import { type Cases, configOf, failsWith, ready } from './case.ts';

export const factoryCases: Cases = {
  'a factory that was not started makes no runner': async (under) => {
    await using factory = under.factory();
    assert.equal(factory.state, 'new');
    await failsWith('backend_not_started', factory.runner(configOf(under)));
  },

  'a factory is started once': async (under) => {
    await using factory = under.factory();
    await factory.start();
    assert.equal(factory.state, 'ready');
    await assert.rejects(factory.start(), { code: 'failed_precondition' });
    assert.equal(factory.state, 'ready');
  },

  'after close everything is refused, a second close is nothing, and it is not started again': async (under) => {
    await using factory = under.factory();
    await factory.start();
    const runner = await factory.runner(configOf(under));
    await runner.turn(under.prompts.say('one'));
    await factory.close();
    await factory.close();
    assert.equal(factory.state, 'closed');
    await failsWith('backend_closed', factory.runner(configOf(under)));
    await failsWith('backend_closed', runner.turn(under.prompts.say('two')));
    await assert.rejects(factory.start(), { code: 'failed_precondition' });
  },

  'a factory that was never started can be closed': async (under) => {
    const factory = under.factory();
    await factory.close();
    assert.equal(factory.state, 'closed');
  },

  'a config is checked: the directory, the words, and fields that nobody knows': async (under) => {
    await using factory = under.factory();
    await factory.start();
    const good = configOf(under);
    const wrong: [string, unknown][] = [
      ['workingDirectory', { ...good, workingDirectory: join(under.workingDirectory, 'nowhere') }],
      ['workingDirectory', { ...good, workingDirectory: '.' }],
      ['workingDirectory', {}],
      ['sandbox', { ...good, sandbox: 'open' }],
      ['approval', { ...good, approval: 'always' }],
      ['reasoningEffort', { ...good, reasoningEffort: 'immense' }],
      ['personality', { ...good, personality: 'friendly' }],
      ['tools', { ...good, tools: ['read'] }],
    ];
    for (const [field, config] of wrong) {
      const error = await failsWith('invalid_argument', factory.runner(config as AgentConfig));
      assert.match(error.message, new RegExp(field), `the message names ${field}: ${error.message}`);
    }
    const { config } = await factory.runner(good);
    assert.deepEqual({ ...config }, { ...good, approval: 'never', sandbox: 'read-only' });
    assert.ok(Object.isFrozen(config));
  },

  'runners of one factory have conversations of their own, and run side by side': async (under) => {
    await using one = await ready(under);
    const runners = await Promise.all(Array.from({ length: 5 }, () => one.factory.runner(configOf(under))));
    for (const count of ['1', '2']) {
      const results = await Promise.all(runners.map((runner) => runner.turn(under.prompts.count())));
      assert.deepEqual(
        results.map(({ assistantText }) => assistantText),
        runners.map(() => count),
      );
    }
    const texts = await Promise.all(runners.map((runner, i) => runner.turn(under.prompts.sayLater(`mine ${i}`))));
    assert.deepEqual(
      texts.map(({ assistantText }) => assistantText),
      runners.map((_, i) => `mine ${i}`),
    );
    assert.equal(new Set(runners.map(({ conversationId }) => conversationId)).size, runners.length);
  },

  'close during a turn ends the turn': async (under) => {
    await using factory = under.factory();
    await factory.start();
    const runner = await factory.runner(configOf(under));
    const turn = runner.turn(under.prompts.hang());
    turn.catch(() => undefined);
    await under.hanging();
    await factory.close();
    await failsWith('backend_closed', turn);
  },

  'a backend that is lost ends every turn, and every runner refuses the next': async (under) => {
    await using factory = under.factory();
    await factory.start();
    const [one, two] = [await factory.runner(configOf(under)), await factory.runner(configOf(under))];
    const turn = one.turn(under.prompts.hang());
    turn.catch(() => undefined);
    await under.hanging();
    under.lose(factory);
    const error = await failsWith('backend_invalid', turn);
    assert.equal(error.code, 'unavailable');
    assert.equal(error.retryable, false);
    assert.equal(factory.state, 'invalid');
    await failsWith('backend_invalid', two.turn(under.prompts.say('x')));
    await failsWith('backend_invalid', factory.runner(configOf(under)));
    await factory.close();
    assert.equal(factory.state, 'closed');
  },

  'a runner that was disposed of refuses turns, the others go on': async (under) => {
    await using one = await ready(under);
    const other = await one.factory.runner(configOf(under));
    await one.runner.turn(under.prompts.say('x'));
    await one.runner.dispose();
    await one.runner.dispose();
    await failsWith('backend_closed', one.runner.turn(under.prompts.say('x')));
    assert.equal((await other.turn(under.prompts.say('y'))).assistantText, 'y');
  },

  'disposing of a runner ends its turn': async (under) => {
    await using one = await ready(under);
    const turn = one.runner.turn(under.prompts.hang());
    turn.catch(() => undefined);
    await under.hanging();
    await one.runner.dispose();
    await failsWith('backend_closed', turn);
    assert.equal(one.factory.state, 'ready');
  },

  'a conversation that nobody knows cannot be gone on with': async (under) => {
    await using factory = under.factory();
    await factory.start();
    const id = '00000000-0000-4000-8000-000000000000';
    const go = async (): Promise<unknown> => {
      const runner = await factory.runner(configOf(under), { conversationId: id });
      return runner.turn(under.prompts.say('x'));
    };
    await failsWith('rejected', go());
    assert.equal(factory.state, 'ready');
  },
};
