// What every adapter has to keep, as cases that any test runner can run:
// `for (const { name, run } of agentRunnerSuite(open)) test(name, run);`

import assert from 'node:assert/strict';
import { join } from 'node:path';
import type { JsonSchema } from '@parley/core';
import type { AgentConfig } from '../config.ts';
import { type AgentTurnFailureReason, invalidOutputOf, turnFailureOf } from '../failures.ts';
import type { AgentRunner, AgentSessionFactory, AgentTurnEvent, HostFunction } from '../runner.ts';

/** One adapter with a backend that can be told what to do. */
export interface AdapterUnderTest extends AsyncDisposable {
  /** Makes a factory that was not started. */
  factory(): AgentSessionFactory;
  /** A directory that exists, where agents may work. */
  readonly workingDirectory: string;
  /** Prompts that make the backend do something. */
  readonly prompts: {
    /** Answers with this text. */
    say(text: string): string;
    /** Answers with the number of prompts in the conversation so far. */
    count(): string;
    /** Answers with this text, after a while (some 100 ms). */
    sayLater(text: string): string;
    /** Never ends by itself. */
    hang(): string;
    /** The turn fails; the backend and the conversation are well. */
    fail(): string;
    /** Calls a host function, then answers with `done`. */
    call(name: string, input: unknown): string;
  };
  /** Resolves once the backend has begun to work on the prompt of `hang`. */
  hanging(): Promise<unknown>;
  /** The backend of this factory is lost. */
  lose(factory: AgentSessionFactory): void;
}

export interface SuiteCase {
  readonly name: string;
  readonly run: () => Promise<void>;
}

const ORDER: JsonSchema = {
  type: 'object',
  properties: { order: { type: 'string' }, count: { type: 'integer' } },
  required: ['order', 'count'],
  additionalProperties: false,
};

type Body = (under: AdapterUnderTest) => Promise<void>;

/** The cases for an adapter; `open` is called once for each. */
export function agentRunnerSuite(open: () => Promise<AdapterUnderTest>): SuiteCase[] {
  return Object.entries(CASES).map(([name, body]) => ({
    name,
    run: async () => {
      await using under = await open();
      await body(under);
    },
  }));
}

const CASES: Readonly<Record<string, Body>> = {
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

  'a conversation begins with the first turn and goes on with the next': async (under) => {
    await using one = await ready(under);
    assert.equal(one.runner.conversationId, null);
    assert.equal((await one.runner.turn(under.prompts.count())).assistantText, '1');
    const id = one.runner.conversationId;
    assert.equal(typeof id, 'string');
    assert.equal((await one.runner.turn(under.prompts.count())).assistantText, '2');
    assert.equal(one.runner.conversationId, id);
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

  'a function of the host that never returns holds its turn no longer than the deadline, and is told': async (under) => {
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

function configOf(under: AdapterUnderTest): AgentConfig {
  return { workingDirectory: under.workingDirectory };
}

interface Ready extends AsyncDisposable {
  factory: AgentSessionFactory;
  runner: AgentRunner;
}

async function ready(under: AdapterUnderTest, functions: readonly HostFunction[] = []): Promise<Ready> {
  const factory = under.factory();
  await factory.start();
  const runner = await factory.runner(configOf(under), { functions });
  return { factory, runner, [Symbol.asyncDispose]: () => factory.close() };
}

interface Failure {
  code: string;
  message: string;
  retryable: boolean;
  details: Record<string, unknown> | undefined;
}

async function failsWith(reason: AgentTurnFailureReason, work: Promise<unknown>): Promise<Failure> {
  const error: unknown = await work.then(
    () => assert.fail(`expected the failure ${reason}, and it succeeded`),
    (thrown: unknown) => thrown,
  );
  assert.equal(turnFailureOf(error), reason, `expected the failure ${reason}, got ${String(error)}`);
  return error as Failure;
}
