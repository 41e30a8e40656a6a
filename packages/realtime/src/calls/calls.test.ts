// What becomes of calls of tools: against a scripted model, in virtual time.

import { afterEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { z as z3 } from 'zod/v3';
import { RealtimeAgent } from '../agent.ts';
import type { ToolContext } from '../context.ts';
import { defineToolInputGuardrail, defineToolOutputGuardrail } from '../guard/tool-guardrail.ts';
import type { RealtimeSession } from '../session.ts';
import { type Started, started } from '../test-support/started.ts';
import { backgroundResult, tool, type ToolOptions } from '../tool.ts';

const open: RealtimeSession[] = [];
afterEach(async () => {
  for (const session of open.splice(0)) await session.close();
});

async function run(
  tools: ReturnType<typeof tool>[],
  replies: Parameters<typeof started>[1],
  options: Parameters<typeof started>[2] = {},
): Promise<Started<unknown>> {
  const all = await started(new RealtimeAgent({ name: 'desk', tools }), replies, options);
  open.push(all.session);
  return all;
}

const City = z.object({ city: z.string() });

function weather(options: Partial<ToolOptions<typeof City, unknown, unknown>> = {}) {
  return tool({
    name: 'weather',
    description: 'x',
    parameters: City,
    execute: ({ city }) => `rain in ${city}`,
    ...options,
  });
}

const asked = (callId: string, args: unknown = { city: 'Rome' }, name = 'weather') => ({
  name,
  arguments: args,
  callId,
});

/** A function that a test lets return when it likes. */
function held() {
  const calls: { input: unknown; context: ToolContext; done: PromiseWithResolvers<unknown> }[] = [];
  return {
    calls,
    execute: (input: unknown, context: ToolContext) => {
      const done = Promise.withResolvers<unknown>();
      calls.push({ input, context, done });
      return done.promise;
    },
  };
}

describe('input', () => {
  test('is parsed by zod 4, zod 3 or checked by JSON Schema, whichever the author wrote', async () => {
    const seen: unknown[] = [];
    const execute = (input: unknown, { callId }: ToolContext) => void seen.push([callId, input]);
    const { time, session } = await run(
      [
        tool({ name: 'four', description: '', parameters: z.object({ n: z.number().default(4) }), execute }),
        tool({ name: 'three', description: '', parameters: z3.object({ n: z3.number().default(3) }), execute }),
        tool({
          name: 'json',
          description: '',
          parameters: { type: 'object', properties: { n: { type: 'number' } } },
          execute,
        }),
        tool({ name: 'none', description: '', execute }),
      ],
      [{ calls: ['four', 'three', 'json', 'none'].map((name) => ({ name, callId: name })) }],
    );
    await session.sendMessage('go');
    await time.settle();
    expect(Object.fromEntries(seen as [string, unknown][])).toEqual({
      four: { n: 4 },
      three: { n: 3 },
      json: {},
      none: {},
    });
  });

  test('that is no JSON, or does not fit, is answered to the model and runs nothing', async () => {
    let ran = 0;
    const { time, session, scripted } = await run(
      [weather({ execute: () => void (ran += 1) })],
      [
        { calls: [asked('c1', '{"city":'), asked('c2', { city: 7 }), asked('c3', {}, 'nothing_of_that_name')] },
        'Sorry.',
      ],
    );
    await session.sendMessage('go');
    await time.settle();
    expect(ran).toBe(0);
    const outputs = scripted.outputs();
    expect(JSON.parse(outputs.get('c1')?.[0] ?? '')).toMatchObject({ error: { code: 'invalid_argument' } });
    expect(JSON.parse(outputs.get('c2')?.[0] ?? '')).toMatchObject({ error: { code: 'invalid_argument' } });
    expect(JSON.parse(outputs.get('c3')?.[0] ?? '')).toMatchObject({ error: { code: 'permission_denied' } });
    // One answer to all three.
    expect(scripted.framesOf('response.create')).toHaveLength(2);
    expect(session.history.at(-1)).toMatchObject({ role: 'assistant', content: [{ transcript: 'Sorry.' }] });
  });

  test('that a refinement refuses is answered too', async () => {
    const strict = City.refine(({ city }) => city !== 'Rome', { message: 'not Rome', path: ['city'] });
    const { time, session, scripted } = await run(
      [tool({ name: 'weather', description: '', parameters: strict, execute: () => 'rain' })],
      [{ calls: [asked('c1')] }],
    );
    await session.sendMessage('go');
    await time.settle();
    expect(scripted.outputs().get('c1')?.[0]).toContain('not Rome');
  });
});

describe('running', () => {
  test('eight calls of one answer run at once, and are answered by one response', async () => {
    const { calls, execute } = held();
    const { time, session, scripted } = await run(
      [weather({ execute })],
      [{ calls: Array.from({ length: 8 }, (_, n) => asked(`c${n}`)) }, 'Eight times rain.'],
    );
    await session.sendMessage('go');
    await time.settle();
    expect(calls).toHaveLength(8);
    for (const { done } of calls.toReversed()) done.resolve('rain');
    await time.settle();
    expect([...scripted.outputs().values()]).toEqual(Array.from({ length: 8 }, () => ['rain']));
    expect(scripted.framesOf('response.create')).toHaveLength(2);
  });

  test('more calls than the limit are answered with an error, and the rest runs', async () => {
    const { calls, execute } = held();
    const { time, session, scripted } = await run(
      [weather({ execute })],
      [{ calls: [asked('c1'), asked('c2'), asked('c3')] }],
      { config: { limits: { toolsInFlight: 2 } } },
    );
    await session.sendMessage('go');
    await time.settle();
    expect(calls).toHaveLength(2);
    expect(scripted.outputs().get('c3')?.[0]).toContain('resource_exhausted');
  });

  test('a call that takes too long is aborted and answered, and what it returns later goes nowhere', async () => {
    const { calls, execute } = held();
    const { time, session, scripted, of } = await run(
      [weather({ execute, timeoutMs: 1_000 })],
      [{ calls: [asked('c1')] }],
    );
    await session.sendMessage('go');
    await time.settle();
    await time.pass(999);
    expect(scripted.outputs().size).toBe(0);
    await time.pass(1);
    expect(calls[0]?.context.signal.aborted).toBe(true);
    expect(scripted.outputs().get('c1')?.[0]).toContain('deadline_exceeded');
    calls[0]?.done.resolve('too late');
    await time.settle();
    expect(scripted.outputs().get('c1')).toHaveLength(1);
    expect(of('agent_tool_end')).toMatchObject([{ status: 'timed_out', callId: 'c1' }]);
  });

  test('a tool that throws is an answer to the model and an error event, in the words of its author where there are any', async () => {
    const fails = () => {
      throw new Error('no such city');
    };
    const { time, session, scripted, of } = await run(
      [
        weather({ execute: fails }),
        tool({ name: 'worded', description: '', execute: fails, errorFunction: (error) => `Oh no: ${error.message}` }),
      ],
      [{ calls: [asked('c1'), asked('c2', {}, 'worded')] }],
    );
    await session.sendMessage('go');
    await time.settle();
    expect(scripted.outputs().get('c1')?.[0]).toContain('no such city');
    expect(scripted.outputs().get('c2')).toEqual(['Oh no: no such city']);
    expect(of('error').map(({ source }) => source)).toEqual(['tool', 'tool']);
  });

  test('a background result is given to the model without asking it to speak', async () => {
    const { time, session, scripted } = await run(
      [weather({ execute: () => backgroundResult({ noted: true }) })],
      [{ calls: [asked('c1')] }],
    );
    await session.sendMessage('go');
    await time.settle();
    expect(scripted.outputs().get('c1')).toEqual(['{"noted":true}']);
    expect(scripted.framesOf('response.create')).toHaveLength(1);
  });

  test('a call id that comes twice runs once and is answered once', async () => {
    let ran = 0;
    const { time, session, scripted } = await run(
      [weather({ execute: () => (ran += 1) })],
      [{ calls: [asked('c1'), asked('c1')] }, { calls: [asked('c1')] }],
    );
    await session.sendMessage('go');
    await time.settle();
    expect(ran).toBe(1);
    expect(scripted.outputs().get('c1')).toEqual(['1']);
  });

  test('a tool sees the context, the history and the ids of its call', async () => {
    const { calls, execute } = held();
    const { time, session, of } = await run([weather({ execute })], [{ calls: [asked('c1')] }], {
      context: { user: 7 },
    });
    await session.sendMessage('go');
    await time.settle();
    const { context } = calls[0] as (typeof calls)[number];
    expect(context.context).toEqual({ user: 7 });
    expect(context.callId).toBe('c1');
    expect(context.history[0]).toMatchObject({ role: 'user', content: [{ text: 'go' }] });
    expect(of('agent_tool_start')[0]).toMatchObject({
      callId: 'c1',
      input: { city: 'Rome' },
      responseId: context.responseId,
    });
    expect(of('agent_tool_start')[0]?.itemId).toBe(session.history[1]?.itemId);
  });

  test('a tool that was switched off since the answer began is not run', async () => {
    let enabled = true;
    const { time, session, scripted } = await run([weather({ isEnabled: () => enabled })], [{ calls: [asked('c1')] }]);
    enabled = false;
    await session.sendMessage('go');
    await time.settle();
    expect(scripted.outputs().get('c1')?.[0]).toContain('failed_precondition');
  });
});

describe('interruption', () => {
  test.for([
    { onInterrupt: 'cancel', onSpeech: true, onClose: true },
    { onInterrupt: 'finish', onSpeech: false, onClose: true },
    { onInterrupt: 'detach', onSpeech: false, onClose: false },
  ] as const)(
    'a tool that says $onInterrupt: its signal fires on speech $onSpeech, at the end $onClose',
    async (row) => {
      const { calls, execute } = held();
      const { time, session, scripted } = await run(
        [weather({ execute, onInterrupt: row.onInterrupt })],
        [{ calls: [asked('c1')] }],
      );
      await session.sendMessage('go');
      await time.settle();
      scripted.connection.userStarts();
      await time.settle();
      expect(calls[0]?.context.signal.aborted).toBe(row.onSpeech);
      expect(scripted.outputs().get('c1')?.length ?? 0).toBe(row.onSpeech ? 1 : 0);
      await session.close();
      expect(calls[0]?.context.signal.aborted).toBe(row.onClose);
      calls[0]?.done.resolve('late');
      await time.settle();
      expect(scripted.outputs().get('c1')?.length ?? 0).toBe(row.onSpeech ? 1 : 0);
    },
  );
});

describe('approvals', () => {
  test('a call waits for a yes by its id, and its time limit begins with it', async () => {
    const { time, session, scripted, of } = await run(
      [weather({ needsApproval: true, timeoutMs: 50 })],
      [{ calls: [asked('c1')] }],
    );
    await session.sendMessage('go');
    await time.pass(10_000);
    expect(of('tool_approval_requested')).toMatchObject([{ approvalItem: { callId: 'c1', input: { city: 'Rome' } } }]);
    expect(scripted.outputs().size).toBe(0);
    await session.approve('c1');
    await time.settle();
    expect(scripted.outputs().get('c1')).toEqual(['rain in Rome']);
  });

  test('a no is told to the model in the words of whoever said it, else of the run, else of ours', async () => {
    const replies = [{ calls: [asked('c1'), asked('c2')] }];
    const { time, session, scripted, of } = await run([weather({ needsApproval: true })], replies, {
      config: { toolErrorFormatter: ({ toolName }) => `No ${toolName} today.` },
    });
    await session.sendMessage('go');
    await time.settle();
    const [first] = of('tool_approval_requested');
    if (first) await session.reject(first.approvalItem, { message: '' });
    await session.reject('c2');
    await time.settle();
    expect(scripted.outputs().get('c1')).toEqual(['']);
    expect(scripted.outputs().get('c2')).toEqual(['No weather today.']);
  });

  test('a yes for always is for this tool of this agent, and for those that wait', async () => {
    const { time, session, scripted, of } = await run(
      [
        weather({ needsApproval: true }),
        tool({ name: 'other', description: '', needsApproval: true, execute: () => 'x' }),
      ],
      [{ calls: [asked('c1'), asked('c2'), asked('c3', {}, 'other')] }, { calls: [asked('c4')] }],
    );
    await session.sendMessage('go');
    await time.settle();
    await session.approve('c1', { alwaysApprove: true });
    await time.settle();
    expect([...scripted.outputs().keys()].sort()).toEqual(['c1', 'c2']);
    await session.reject('c3', { alwaysReject: true });
    await time.settle();
    expect(scripted.outputs().get('c4')).toEqual(['rain in Rome']);
    expect(of('tool_approval_requested')).toHaveLength(3);
  });

  test('may be given in the very event, and by a function that knows the input; one that throws asks', async () => {
    const { time, session, scripted } = await run(
      [
        weather({ needsApproval: (_, { city }) => city === 'Rome' }),
        tool({
          name: 'unsure',
          description: '',
          execute: () => 'ok',
          needsApproval: () => {
            throw new Error('cannot say');
          },
        }),
      ],
      [{ calls: [asked('c1', { city: 'Oslo' }), asked('c2'), asked('c3', {}, 'unsure')] }],
    );
    const askedFor: string[] = [];
    session.on('tool_approval_requested', ({ approvalItem }) => {
      askedFor.push(approvalItem.callId);
      void session.approve(approvalItem);
    });
    await session.sendMessage('go');
    await time.settle();
    expect(askedFor.toSorted()).toEqual(['c2', 'c3']);
    expect(scripted.outputs().size).toBe(3);
  });

  test('for a call that does not wait is refused with the ids of those that do', async () => {
    const { time, session } = await run([weather({ needsApproval: true })], [{ calls: [asked('c1')] }]);
    await session.sendMessage('go');
    await time.settle();
    await expect(session.approve('c9')).rejects.toMatchObject({
      code: 'not_found',
      message: expect.stringContaining('c1'),
    });
  });
});

describe('guardrails of a tool', () => {
  const noRome = defineToolInputGuardrail({
    name: 'no rome',
    run: ({ toolCall }) => ({
      behavior: toolCall.arguments.includes('Rome')
        ? { type: 'rejectContent', message: 'Not Rome.' }
        : { type: 'allow' },
      outputInfo: { why: 'rome' },
    }),
  });

  test('refuse what it is given, before an approval is asked for where that is wanted, and what it answers', async () => {
    const secret = defineToolOutputGuardrail({
      name: 'discretion',
      run: ({ output }) => ({
        behavior: String(output).includes('secret') ? { type: 'throwException' } : { type: 'allow' },
      }),
    });
    const { time, session, scripted, of } = await run(
      [
        weather({ inputGuardrails: [noRome], needsApproval: true }),
        tool({ name: 'leak', description: '', execute: () => 'a secret', outputGuardrails: [secret] }),
      ],
      [{ calls: [asked('c1'), asked('c2', {}, 'leak')] }],
      { config: { toolExecution: { preApprovalInputGuardrails: true } } },
    );
    await session.sendMessage('go');
    await time.settle();
    expect(of('tool_approval_requested')).toHaveLength(0);
    expect(scripted.outputs().get('c1')).toEqual(['Not Rome.']);
    expect(scripted.outputs().get('c2')?.[0]).toContain('permission_denied');
    expect(scripted.outputs().get('c2')?.[0]).not.toContain('secret');
    expect(Object.fromEntries(of('guardrail_tripped').map(({ kind, callId }) => [callId, kind]))).toEqual({
      c1: 'tool_input',
      c2: 'tool_output',
    });
  });

  test('look again after the approval', async () => {
    let refuse = false;
    const moody = defineToolInputGuardrail({
      name: 'moody',
      run: () => ({ behavior: refuse ? { type: 'rejectContent', message: 'Not now.' } : { type: 'allow' } }),
    });
    const { time, session, scripted } = await run(
      [weather({ inputGuardrails: [moody], needsApproval: true })],
      [{ calls: [asked('c1')] }],
      {
        config: { toolExecution: { preApprovalInputGuardrails: true } },
      },
    );
    await session.sendMessage('go');
    await time.settle();
    refuse = true;
    await session.approve('c1');
    await time.settle();
    expect(scripted.outputs().get('c1')).toEqual(['Not now.']);
  });
});

test('a listener that closes the session when a call starts stops the call', async () => {
  let ran = 0;
  const { time, session, scripted } = await run([weather({ execute: () => (ran += 1) })], [{ calls: [asked('c1')] }]);
  session.on('agent_tool_start', () => void session.close());
  await session.sendMessage('go');
  await time.settle();
  expect(ran).toBe(0);
  expect(scripted.outputs().size).toBe(0);
});

test('a tool that closes its own session waits for nobody', async () => {
  const { time, session } = await run([weather({ execute: () => session.close() })], [{ calls: [asked('c1')] }]);
  await session.sendMessage('go');
  await time.settle();
  expect(await session.closed).toEqual({ reason: 'closed' });
});
