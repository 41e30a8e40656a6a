import type { HostFunction } from '@parley/turns';
import { expect, test as base } from 'vitest';
import { type Lab, lab } from './test-support/codex-test.ts';
import { promptsOf } from './testing/script.ts';
import { KEY, runnerOf, shell, steps } from './test-support/workbench.ts';

const test = base.extend<Lab>(lab);

const SCHEMA = {
  type: 'object',
  properties: { files: { type: 'array', items: { type: 'string' } } },
  required: ['files'],
  additionalProperties: false,
};

test('what was said before goes with every request, and the key with it', async ({ lab }) => {
  const { runner } = await runnerOf(lab);
  await runner.turn(steps({ text: 'one' }));
  await runner.turn(steps({ text: 'two' }));
  const [first, second] = lab.provider.requests;
  expect(promptsOf(first!.body)).toHaveLength(1);
  expect(promptsOf(second!.body)).toHaveLength(2);
  expect(second!.body.input.filter(({ role }) => role === 'assistant')).toHaveLength(1);
  expect(first!.headers.authorization).toBe(`Bearer ${KEY}`);
  expect(first!.headers['originator']).toBe('parley');
  expect(first!.body.model).toBe('mock-model');
  expect(lab.provider.strays).toEqual([]);
});

test('ten runners side by side share one process and never hear each other', async ({ lab }) => {
  const factory = await lab.started();
  const { pid } = factory;
  const runners = await Promise.all(Array.from({ length: 10 }, () => factory.runner({ workingDirectory: lab.folder })));
  for (const round of [1, 2]) {
    const answers = await Promise.all(
      runners.map((runner, i) => runner.turn(steps({ text: `${i} of ${round}`, delayMs: 100 }))),
    );
    expect(answers.map(({ assistantText }) => assistantText)).toEqual(runners.map((_, i) => `${i} of ${round}`));
  }
  expect(factory.pid).toBe(pid);
  const last = lab.provider.requests.slice(-10).map(({ body }) => promptsOf(body).length);
  expect(last).toEqual(Array.from({ length: 10 }, () => 2));
});

test('a schema goes with every request of its turn and with no other; the repair turn is told what was wrong', async ({
  lab,
}) => {
  const { runner } = await runnerOf(lab, {}, { sandbox: 'danger-full-access' });
  const asked = steps({ call: 'exec_command', input: { cmd: 'true' } }, { text: 'files: a' });
  const turn = runner.turn(asked, { outputSchema: SCHEMA });
  await expect(turn).rejects.toMatchObject({
    code: 'internal',
    retryable: true,
    details: { reason: 'output_invalid', assistant_text: 'files: a' },
  });
  const repaired = await runner.turn(steps({ text: '{"files":["a"]}' }), { outputSchema: SCHEMA });
  expect(repaired.structured).toEqual({ files: ['a'] });
  await runner.turn(steps({ text: 'as you like' }));
  const formats = lab.provider.requests.map(({ body }) => body.text?.format);
  expect(formats.slice(0, 3).map((format) => [format?.schema, format?.strict])).toEqual(Array(3).fill([SCHEMA, true]));
  expect(formats[3]).toBeUndefined();
});

test('instructions, model and effort are those of the config', async ({ lab }) => {
  const { runner } = await runnerOf(
    lab,
    {},
    {
      model: 'other-model',
      reasoningEffort: 'high',
      baseInstructions: 'You are a mason.',
      developerInstructions: 'Lay bricks only.',
    },
  );
  await runner.turn(steps({ text: 'laid' }));
  const [{ body }] = lab.provider.requests as [(typeof lab.provider.requests)[number]];
  const text = JSON.stringify(body);
  expect(body.model).toBe('other-model');
  expect(text).toContain('You are a mason.');
  expect(text).toContain('Lay bricks only.');
  expect(text).not.toContain('You are a coding agent');
});

test('the final answer wins over what was said on the way, and commentary is no answer', async ({ lab }) => {
  const { runner } = await runnerOf(lab);
  const answer = async (...items: { text: string; phase?: string }[]) =>
    (await runner.turn(steps({ items }))).assistantText;
  expect(await answer({ text: 'final', phase: 'final_answer' }, { text: 'later' })).toBe('final');
  expect(await answer({ text: 'looking', phase: 'commentary' }, { text: 'found' })).toBe('found');
  expect(await answer({ text: 'only looking', phase: 'commentary' })).toBe('');
});

test('usage is that of the turn, not of the conversation', async ({ lab }) => {
  const { runner } = await runnerOf(lab, {}, { sandbox: 'danger-full-access' });
  const one = { inputTokens: 100, cachedTokens: 20, outputTokens: 30, reasoningTokens: 10 };
  expect((await runner.turn(steps({ text: 'a' }))).usage).toEqual(one);
  expect((await runner.turn(shell('true'))).usage).toEqual({
    inputTokens: 200,
    cachedTokens: 40,
    outputTokens: 60,
    reasoningTokens: 20,
  });
  expect((await runner.turn(steps({ text: 'b' }))).usage).toEqual(one);
});

test('a long answer in a thousand pieces is one event', async ({ lab }) => {
  const { runner } = await runnerOf(lab);
  const text = 'wörd '.repeat(4000);
  const result = await runner.turn(steps({ text, chunks: 1000 }));
  expect(result.assistantText).toBe(text);
  expect(result.events.map(({ kind }) => kind)).toEqual(['agentMessage']);
  expect(String(result.events[0]?.metadata['text']).length).toBeLessThan(17_000);
});

test('past its limit a turn says how many events are not there', async ({ lab }) => {
  const { runner } = await runnerOf(lab, { eventsMax: 2 });
  const items = ['a', 'b', 'c', 'd'].map((text) => ({ text, phase: 'commentary' }));
  const { events } = await runner.turn(steps({ items }));
  expect(events.map(({ summary }) => summary)).toEqual(['a', 'b', '2 more events']);
});

test('past the limit of runners there is no other one, until one is disposed of', async ({ lab }) => {
  const { factory, runner } = await runnerOf(lab, { runnersMax: 1 });
  const config = { workingDirectory: lab.folder };
  await expect(factory.runner(config)).rejects.toMatchObject({ code: 'resource_exhausted', details: { limit: 1 } });
  await runner.dispose();
  await expect(factory.runner(config)).resolves.toBeDefined();
});

test('a conversation in a kept home goes on in another process, with its functions', async ({ lab }) => {
  const home = `${lab.folder}/home`;
  const seen: unknown[] = [];
  const functions: HostFunction[] = [
    { name: 'tell', description: 'Tells.', inputSchema: { type: 'object' }, run: (input) => void seen.push(input) },
  ];
  const { factory, runner } = await runnerOf(lab, { home }, {}, { functions });
  await runner.turn(steps({ text: 'one' }));
  const conversationId = runner.conversationId ?? '';
  const again = { workingDirectory: lab.folder };
  await expect(factory.runner(again, { conversationId })).rejects.toMatchObject({ code: 'already_exists' });
  await factory.close();

  const second = await runnerOf(lab, { home }, {}, { functions, conversationId });
  expect(second.runner.conversationId).toBe(conversationId);
  expect((await second.runner.turn(steps({ count: true }))).assistantText).toBe('2');
  await second.runner.turn(steps({ call: 'tell', input: { it: 1 } }, { text: 'told' }));
  expect(seen).toEqual([{ it: 1 }]);
  expect(lab.provider.requests.at(-1)?.headers.authorization).toBe(`Bearer ${KEY}`);
});

test('a conversation that is gone on with ends with its runner, also before a turn', async ({ lab }) => {
  const home = `${lab.folder}/home`;
  const { factory, runner } = await runnerOf(lab, { home });
  await runner.turn(steps({ text: 'one' }));
  const conversationId = runner.conversationId ?? '';
  await factory.close();
  const second = await runnerOf(lab, { home }, {}, { conversationId });
  await second.runner.dispose();
  const third = await second.factory.runner({ workingDirectory: lab.folder }, { conversationId });
  await expect(third.turn(steps({ text: 'two' }))).rejects.toMatchObject({ code: 'not_found' });
  await third.dispose();
  expect(second.factory.state).toBe('ready');
});

test('the address of a provider holds no password', ({ lab }) => {
  const providers = [{ id: 'one', baseUrl: 'https://user:secret@models.example/v1' }];
  expect(() => lab.factory({ providers })).toThrow(/must not hold a user or a password/);
  expect(() => lab.factory({ providers })).not.toThrow(/secret/);
});

test('an agent of a provider that nobody knows is refused, and the backend is well', async ({ lab }) => {
  const { factory, runner } = await runnerOf(lab, {}, { provider: 'nobody' });
  await expect(runner.turn(steps({ text: 'x' }))).rejects.toMatchObject({ details: { reason: 'rejected' } });
  expect(factory.state).toBe('ready');
});

test('each of two providers gets its own key', async ({ lab }) => {
  const other = { id: 'other', baseUrl: lab.provider.url, key: 'sk-of-the-other', headers: { 'x-team': 'masons' } };
  const { runner } = await runnerOf(lab, { providers: [...lab.providers, other] }, { provider: 'other' });
  await runner.turn(steps({ text: 'x' }));
  expect(lab.provider.requests[0]?.headers).toMatchObject({
    authorization: 'Bearer sk-of-the-other',
    'x-team': 'masons',
  });
});
