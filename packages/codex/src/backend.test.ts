// The adapter over a wire in memory, for what a real Codex does seldom or never.

import { checkAgentConfig } from '@parley/turns';
import { tmpdir } from 'node:os';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Backend } from './backend.ts';
import type { CodexOptions } from './options.ts';
import type { Params } from './rpc.ts';
import { CodexRunner } from './runner.ts';
import { settle } from './settings.ts';
import { rejection } from './test-support/workbench.ts';

beforeEach(() => vi.useFakeTimers());
afterEach(() => vi.useRealTimers());

interface Message {
  id?: number | string | undefined;
  method?: string;
  params: Params;
  result?: unknown;
  error?: { code: number; message: string };
}

/** A Codex that answers what it is told to answer. */
function counterpart(options: CodexOptions = {}) {
  const sent: Message[] = [];
  const ended = Promise.withResolvers<string>();
  let hear: (line: string) => void = () => undefined;
  let stops = 0;
  let threads = 0;
  const answers: Record<string, (message: Message) => unknown> = {
    'thread/start': () => ({ thread: { id: `thread-${++threads}` } }),
    'turn/start': ({ params }) => ({ turn: { id: `turn-of-${String(params['threadId'])}` } }),
    'thread/delete': () => ({}),
  };
  const backend = new Backend(settle({ cleanUpMs: 1000, ...options }), ({ onMessage }) => {
    hear = onMessage;
    return {
      pid: undefined,
      send: (text) => {
        const message = JSON.parse(text) as Message;
        sent.push(message);
        const answer = answers[message.method ?? ''];
        if (answer && message.id !== undefined) {
          queueMicrotask(() => say({ id: message.id, result: answer(message) }));
        }
      },
      stop: async () => {
        stops += 1;
        ended.resolve('it was stopped');
      },
      ended: ended.promise,
      stderrTail: () => 'first\nthe last words',
    };
  });
  const say = (message: Partial<Message>): void => hear(JSON.stringify(message));
  const runner = () =>
    new CodexRunner(
      { backend, config: checkAgentConfig({ workingDirectory: tmpdir() }), functions: [], resumes: undefined },
      () => undefined,
    );
  const event = (method: string, thread: number, more: Params = {}, turn = `turn-of-thread-${thread}`): void =>
    say({ method, params: { threadId: `thread-${thread}`, turnId: turn, ...more } });
  const message = (thread: number, text: string): void =>
    event('item/completed', thread, { item: { type: 'agentMessage', id: text, text, phase: null } });
  const done = (thread: number, status = 'completed'): void => {
    const turn = { id: `turn-of-thread-${thread}`, status, error: null };
    say({ method: 'turn/completed', params: { threadId: `thread-${thread}`, turn } });
  };
  const sentOf = (method: string) => sent.filter((one) => one.method === method);
  const answered = () => sent.filter((one) => one.method === undefined);
  /** Resolves when the adapter has sent this. */
  const sends = async (method: string, count = 1): Promise<void> => {
    while (sentOf(method).length < count) await vi.advanceTimersByTimeAsync(0);
  };
  return {
    backend,
    answers,
    say,
    hear: (line: string) => hear(line),
    runner,
    event,
    message,
    done,
    sentOf,
    sends,
    answered,
    ended,
    stops: () => stops,
  };
}

test('what comes before the answer to turn/start belongs to the turn all the same', async () => {
  const codex = counterpart();
  delete codex.answers['turn/start'];
  const turn = codex.runner().turn('x');
  await codex.sends('turn/start');
  codex.event('turn/started', 1);
  codex.message(1, 'early');
  codex.done(1);
  codex.say({ id: codex.sentOf('turn/start')[0]?.id, result: { turn: { id: 'turn-of-thread-1' } } });
  expect((await turn).assistantText).toBe('early');
});

test('messages of other turns and conversations are not heard', async () => {
  const codex = counterpart();
  const [one, two] = [codex.runner(), codex.runner()];
  const turns = [one.turn('x'), two.turn('y')];
  await codex.sends('turn/start', 2);
  await vi.advanceTimersByTimeAsync(0);
  codex.event('item/completed', 1, { item: { type: 'agentMessage', id: 'a', text: 'of an older turn' } }, 'another');
  codex.event('item/completed', 7, { item: { type: 'agentMessage', id: 'b', text: 'of nobody' } });
  codex.message(2, 'two');
  codex.message(1, 'one');
  codex.done(2);
  codex.done(1);
  expect((await Promise.all(turns)).map(({ events, assistantText }) => [events.length, assistantText])).toEqual([
    [1, 'one'],
    [1, 'two'],
  ]);
});

test('an interrupt waits for turn/started and is sent once; its answer is not waited for', async () => {
  const codex = counterpart();
  const abort = new AbortController();
  const turn = codex.runner().turn('x', { signal: abort.signal });
  const ended = rejection(turn);
  await codex.sends('turn/start');
  abort.abort();
  await vi.advanceTimersByTimeAsync(100);
  expect(codex.sentOf('turn/interrupt')).toEqual([]);
  codex.event('turn/started', 1);
  await codex.sends('turn/interrupt');
  await vi.advanceTimersByTimeAsync(100);
  codex.done(1, 'interrupted');
  expect(await ended).toMatchObject({ details: { reason: 'aborted' } });
  expect(codex.sentOf('turn/interrupt')).toHaveLength(1);
  expect(codex.backend.lost.aborted).toBe(false);
});

test('a turn that ends by itself while its interrupt waits is not interrupted', async () => {
  const codex = counterpart();
  const abort = new AbortController();
  const runner = codex.runner();
  const turn = runner.turn('x', { signal: abort.signal });
  const ended = rejection(turn);
  await codex.sends('turn/start');
  abort.abort();
  await expect(runner.turn('y')).rejects.toMatchObject({ details: { reason: 'concurrent_turn' } });
  codex.done(1);
  expect(await ended).toMatchObject({ details: { reason: 'aborted' } });
  expect(codex.sentOf('turn/interrupt')).toEqual([]);
});

test('an interrupted turn that does not end in time costs the backend', async () => {
  const codex = counterpart();
  const other = codex.runner();
  const hanging = rejection(other.turn('y'));
  await codex.sends('turn/start');
  const turn = codex.runner().turn('x', { timeoutSeconds: 2 });
  const ended = rejection(turn);
  await codex.sends('turn/start', 2);
  codex.event('turn/started', 2);
  await vi.advanceTimersByTimeAsync(2999);
  expect(codex.backend.lost.aborted).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(await ended).toMatchObject({ code: 'deadline_exceeded' });
  expect(await hanging).toMatchObject({ details: { reason: 'backend_invalid' } });
  expect(codex.stops()).toBe(1);
  await expect(other.turn('z')).rejects.toMatchObject({ message: expect.stringContaining('the last words') as string });
});

test('the deadline counts from the call, with the start of the conversation; the next turn uses what came late', async () => {
  const codex = counterpart({ cleanUpMs: 5000 });
  delete codex.answers['thread/start'];
  const runner = codex.runner();
  const turn = runner.turn('x', { timeoutSeconds: 1 });
  const ended = rejection(turn);
  await vi.advanceTimersByTimeAsync(2000);
  codex.say({ id: codex.sentOf('thread/start')[0]?.id, result: { thread: { id: 'thread-1' } } });
  expect(await ended).toMatchObject({
    details: { reason: 'timeout', waiting_for: 'Codex to begin the conversation' },
  });
  const next = runner.turn('y');
  await codex.sends('turn/start');
  await vi.advanceTimersByTimeAsync(0);
  codex.done(1);
  await next;
  expect(codex.sentOf('thread/start')).toHaveLength(1);
});

test('a conversation that does not begin long after its turn was given up costs the backend', async () => {
  const codex = counterpart({ cleanUpMs: 5000 });
  delete codex.answers['thread/start'];
  const runner = codex.runner();
  for (const _ of [1, 2]) {
    const turn = rejection(runner.turn('x', { timeoutSeconds: 1 }));
    await vi.advanceTimersByTimeAsync(1000);
    expect(await turn).toMatchObject({ details: { reason: 'timeout' } });
  }
  await vi.advanceTimersByTimeAsync(3999);
  expect(codex.backend.lost.aborted).toBe(false);
  await vi.advanceTimersByTimeAsync(1);
  expect(codex.backend.lost.aborted).toBe(true);
  expect(codex.sentOf('thread/start')).toHaveLength(1);
  await runner.dispose();
});

test('a conversation that was refused is asked for again by the next turn', async () => {
  const codex = counterpart();
  const begin = codex.answers['thread/start'] as () => unknown;
  delete codex.answers['thread/start'];
  const runner = codex.runner();
  const turn = rejection(runner.turn('x'));
  await codex.sends('thread/start');
  codex.say({ id: codex.sentOf('thread/start')[0]?.id, error: { code: -32_600, message: 'no such model' } });
  expect(await turn).toMatchObject({ details: { reason: 'rejected' } });
  codex.answers['thread/start'] = begin;
  const next = runner.turn('y');
  await codex.sends('turn/start');
  await vi.advanceTimersByTimeAsync(0);
  codex.done(1);
  await next;
});

test('items and methods that nobody knows pass; a status that nobody knows is a failed turn', async () => {
  const codex = counterpart();
  const runner = codex.runner();
  const turn = runner.turn('x');
  await codex.sends('turn/start');
  await vi.advanceTimersByTimeAsync(0);
  codex.event('item/dreamt', 1);
  codex.event('item/completed', 1, { item: { type: 'dream', id: 'd', text: 'of sheep' } });
  codex.done(1);
  expect((await turn).events).toEqual([{ kind: 'dream', summary: 'of sheep', metadata: { text: 'of sheep' } }]);
  const odd = rejection(runner.turn('x'));
  await codex.sends('turn/start', 2);
  await vi.advanceTimersByTimeAsync(0);
  codex.done(1, 'paused');
  expect(await odd).toMatchObject({ details: { reason: 'turn_failed' } });
});

test('every request of Codex is answered, those that nobody knows with a refusal', async () => {
  const codex = counterpart();
  const turn = codex.runner().turn('x');
  await codex.sends('turn/start');
  const ask = async (id: string, method: string, params: Params = {}): Promise<void> => {
    codex.say({ id, method, params: { threadId: 'thread-1', ...params } });
    await vi.advanceTimersByTimeAsync(0);
  };
  await ask('a', 'item/commandExecution/requestApproval', { command: 'rm -rf /' });
  await ask('b', 'item/tomorrow/request');
  await ask('c', 'item/tool/requestUserInput', { questions: [{ id: 'q', question: 'Which?' }] });
  await ask('d', 'item/permissions/requestApproval', { permissions: { network: true } });
  codex.say({ id: 'e', method: 'account/chatgptAuthTokens/refresh', params: {} });
  await vi.advanceTimersByTimeAsync(0);
  const answers = Object.fromEntries(codex.answered().map(({ id, result, error }) => [id, result ?? error?.code]));
  expect(answers).toEqual({
    a: { decision: 'decline' },
    b: -32_601,
    c: { answers: {} },
    d: { permissions: {}, scope: 'turn' },
    e: -32_601,
  });
  codex.done(1);
  expect((await turn).events.map(({ kind }) => kind)).toEqual(['approval', 'request', 'approval', 'approval']);
});

test('an answer of the host that is no JSON is a refusal', async () => {
  const codex = counterpart({ approve: () => ({ answers: { amount: 7n } }) });
  const turn = codex.runner().turn('x');
  await codex.sends('turn/start');
  codex.say({
    id: 'a',
    method: 'mcpServer/elicitation/request',
    params: { threadId: 'thread-1', message: 'How much?' },
  });
  await vi.advanceTimersByTimeAsync(0);
  expect(codex.answered()).toMatchObject([{ id: 'a', error: { code: -32_603 } }]);
  codex.done(1);
  await turn;
});

test('a conversation that was deleted is forgotten, with one that Codex does not know any more', async () => {
  const codex = counterpart();
  delete codex.answers['thread/delete'];
  for (const thread of [1, 2]) {
    const runner = codex.runner();
    const turn = runner.turn('x');
    await codex.sends('turn/start', thread);
    await vi.advanceTimersByTimeAsync(0);
    codex.done(thread);
    await turn;
    const gone = runner.dispose();
    await codex.sends('thread/delete', thread);
    const { id } = codex.sentOf('thread/delete')[thread - 1] ?? {};
    codex.say(thread === 1 ? { id, result: {} } : { id, error: { code: -32_600, message: 'no rollout found' } });
    await gone;
  }
  expect(codex.backend.conversations).toBe(0);
});

test('a process that ends, and a line that is no message, end every turn', async () => {
  for (const end of [
    (codex: ReturnType<typeof counterpart>) => codex.ended.resolve('Codex ended with exit code 101'),
    (codex: ReturnType<typeof counterpart>) => codex.hear('thread panicked'),
    (codex: ReturnType<typeof counterpart>) => codex.hear('17'),
  ]) {
    const codex = counterpart();
    const turns = [codex.runner().turn('x'), codex.runner().turn('y')];
    const ended = turns.map((turn) => expect(turn).rejects.toMatchObject({ details: { reason: 'backend_invalid' } }));
    await codex.sends('turn/start', 2);
    end(codex);
    await Promise.all(ended);
    expect(codex.stops()).toBe(1);
  }
});
