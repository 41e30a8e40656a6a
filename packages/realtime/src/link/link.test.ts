// What becomes of a session when its connection drops, ends, or comes to its time.

import { afterEach, describe, expect, test } from 'vitest';
import { RealtimeAgent } from '../agent.ts';
import type { RealtimeSession } from '../session.ts';
import { started } from '../test-support/started.ts';
import { tool } from '../tool.ts';

const open: RealtimeSession[] = [];
afterEach(async () => {
  for (const session of open.splice(0)) await session.close();
});

async function run(...args: Parameters<typeof started>) {
  const all = await started(...args);
  open.push(all.session);
  return all;
}

const desk = new RealtimeAgent({ name: 'desk', instructions: 'Be brief.' });
const HOUR = 3_600_000;

describe('a drop', () => {
  test('between turns: the next connection is told the conversation, and the history goes on', async () => {
    const { session, scripted, time, of } = await run(desk, ['Hello.', 'Still here.']);
    scripted.connection.userSays('hi there');
    await time.pass(5_000);
    const before = session.history.map(({ itemId }) => itemId);
    scripted.connection.drop();
    await time.pass(1_000);
    expect(scripted.connections).toHaveLength(2);
    expect(of('connection').map(({ status }) => status)).toEqual(['reconnecting', 'reconnecting', 'connected']);
    expect(scripted.connection.conversation).toMatchObject([
      { role: 'user', content: [{ type: 'input_text', text: 'hi there' }] },
      { role: 'assistant', content: [{ type: 'output_text', text: 'Hello.' }] },
    ]);
    expect(scripted.connection.session).toMatchObject({ instructions: 'Be brief.' });
    await session.sendMessage('are you there?');
    await time.settle();
    expect(session.history.map(({ itemId }) => itemId).slice(0, 2)).toEqual(before);
    // What was heard stays sound in the history, whatever the model was told of it.
    expect(session.history).toMatchObject([
      { content: [{ type: 'input_audio', transcript: 'hi there' }] },
      { content: [{ type: 'output_audio', transcript: 'Hello.' }] },
      { content: [{ text: 'are you there?' }] },
      { content: [{ transcript: 'Still here.' }] },
    ]);
  });

  test('in the middle of an answer: what was said stays as words, and the model is asked again', async () => {
    const { session, scripted, time, of } = await run(desk, [{ say: 'one two three', hold: true }, 'Where was I.']);
    await session.sendMessage('count');
    await time.settle();
    scripted.connection.drop();
    await time.pass(1_000);
    expect(of('agent_end')[0]).toMatchObject({ status: 'incomplete' });
    expect(session.history).toMatchObject([
      {},
      { status: 'incomplete', content: [{ transcript: 'one two three' }] },
      { content: [{ transcript: 'Where was I.' }] },
    ]);
  });

  test('in the middle of a tool: it runs on, once, and its call and output reach the new connection together', async () => {
    const done = Promise.withResolvers<string>();
    let ran = 0;
    const slow = tool({
      name: 'slow',
      description: '',
      execute: () => {
        ran += 1;
        return done.promise;
      },
    });
    const agent = new RealtimeAgent({ name: 'desk', tools: [slow] });
    const { session, scripted, time } = await run(agent, [{ calls: [{ name: 'slow', callId: 'c1' }] }, 'Done.']);
    await session.sendMessage('go');
    await time.settle();
    scripted.connection.drop();
    await time.pass(1_000);
    expect(scripted.connections).toHaveLength(2);
    expect(scripted.connection.conversation).toHaveLength(1);
    done.resolve('42');
    await time.settle();
    expect(ran).toBe(1);
    expect(scripted.outputs().get('c1')).toEqual(['42']);
    expect(scripted.connection.conversation.map(({ type }) => type)).toEqual([
      'message',
      'function_call',
      'function_call_output',
      'message',
    ]);
    expect(session.history.at(-1)).toMatchObject({ content: [{ transcript: 'Done.' }] });
  });

  test('while a tool ends: its output waits for the connection and goes out once', async () => {
    const done = Promise.withResolvers<string>();
    const agent = new RealtimeAgent({
      name: 'desk',
      tools: [tool({ name: 'slow', description: '', execute: () => done.promise })],
    });
    const { session, scripted, time } = await run(agent, [{ calls: [{ name: 'slow', callId: 'c1' }] }, 'Done.']);
    await session.sendMessage('go');
    await time.settle();
    scripted.fault({ kind: 'refuse_connection', times: 2 });
    scripted.connection.drop();
    await time.settle();
    done.resolve('42');
    await time.pass(10_000);
    expect(scripted.outputs().get('c1')).toEqual(['42']);
    expect(scripted.connection.conversation.filter(({ type }) => type === 'function_call')).toHaveLength(1);
    expect(session.history).toMatchObject([
      {},
      { type: 'function_call', output: '42' },
      { content: [{ transcript: 'Done.' }] },
    ]);
  });

  test('what is sent meanwhile waits: messages in order, sound up to its bound', async () => {
    const { session, scripted, time } = await run(desk, ['Yes.'], { config: { limits: { waitingAudioBytes: 4 } } });
    scripted.fault({ kind: 'refuse_connection' });
    scripted.connection.drop();
    await time.settle();
    const sent = session.sendMessage('are you there?');
    void session.sendAudio(new Uint8Array([1, 1]));
    void session.sendAudio(new Uint8Array([2, 2]));
    void session.sendAudio(new Uint8Array([3, 3]));
    await time.pass(2_000);
    await sent;
    expect(scripted.framesOf('input_audio_buffer.append').map(({ audio }) => audio)).toEqual(['AgI=', 'AwM=']);
    expect(session.history.at(-1)).toMatchObject({ content: [{ transcript: 'Yes.' }] });
  });

  test('that cannot be mended ends the session with its reason, and nothing throws', async () => {
    const { session, scripted, time, of } = await run(desk, [], { config: { reconnect: { attempts: 2 } } });
    scripted.fault({ kind: 'refuse_connection', times: 2 });
    scripted.connection.drop();
    await time.pass(60_000);
    expect(await session.closed).toMatchObject({ reason: 'provider_lost', error: { code: 'unavailable' } });
    expect(of('closed')).toMatchObject([{ reason: 'provider_lost' }]);
    expect(of('connection').at(-1)).toMatchObject({ status: 'closed' });
  });

  test('that a new key will not mend is not tried again', async () => {
    const { session, scripted, time } = await run(desk);
    scripted.fault({ kind: 'refuse_connection', code: 'unauthenticated', times: 9 });
    scripted.connection.drop();
    await time.pass(60_000);
    expect((await session.closed).error).toMatchObject({ code: 'unauthenticated' });
    expect(scripted.connections).toHaveLength(1);
  });

  test.for([
    { closeCode: 1000, times: 1 },
    { closeCode: 3000, times: 1 },
  ])('a close with $closeCode is the end', async ({ closeCode }) => {
    const { session, scripted, time } = await run(desk);
    scripted.connection.close(closeCode, 'enough');
    await time.pass(60_000);
    expect((await session.closed).reason).toBe('provider_lost');
    expect(scripted.connections).toHaveLength(1);
  });

  test('where reconnecting is switched off is the end', async () => {
    const { session, scripted, time } = await run(desk, [], { config: { reconnect: false } });
    scripted.connection.drop();
    await time.settle();
    expect((await session.closed).reason).toBe('provider_lost');
  });

  test('keeps the agent that was handed over to', async () => {
    const billing = new RealtimeAgent({ name: 'billing', instructions: 'You do billing.', voice: 'cedar' });
    const { session, scripted, time } = await run(desk);
    await session.updateAgent(billing);
    scripted.connection.drop();
    await time.pass(1_000);
    expect(scripted.connection.session).toMatchObject({
      instructions: 'You do billing.',
      audio: { output: { voice: 'cedar' } },
    });
  });
});

describe('a renewal', () => {
  test('comes before the provider ends the session, at a turn boundary, and nobody notices', async () => {
    const { session, scripted, time, of } = await run(desk, ['Hello.', 'Still here.']);
    await session.sendMessage('hi');
    await time.pass(HOUR - 2 * 60_000 - 10_000);
    expect(scripted.connections).toHaveLength(1);
    await time.pass(20_000);
    expect(scripted.connections).toHaveLength(2);
    expect(scripted.connections[0]?.open).toBe(false);
    expect(of('connection').map(({ status }) => status)).toEqual(['renewing', 'connected']);
    expect(scripted.connection.conversation).toHaveLength(2);
    await session.sendMessage('still there?');
    await time.settle();
    expect(session.history).toHaveLength(4);
    await time.pass(HOUR);
    expect(scripted.connections).toHaveLength(3);
  });

  test('waits for the end of an answer, with the new connection at hand', async () => {
    const { session, scripted, time } = await run(desk, [{ say: 'A long story.', hold: true }]);
    await time.pass(HOUR - 3 * 60_000);
    await session.sendMessage('tell me');
    await time.pass(90_000);
    expect(scripted.connections).toHaveLength(2);
    expect(scripted.connections[0]?.open).toBe(true);
    scripted.connections[0]?.finish();
    await time.pass(10_000);
    expect(scripted.connections[0]?.open).toBe(false);
    expect(scripted.connection.conversation).toMatchObject([{ role: 'user' }, { role: 'assistant' }]);
    expect(session.history[1]).toMatchObject({ status: 'completed', content: [{ transcript: 'A long story.' }] });
  });

  test('is of the agent that speaks by then, whoever spoke when it was begun', async () => {
    const { session, scripted, time } = await run(desk, [{ say: 'A long story.', hold: true }]);
    await time.pass(HOUR - 3 * 60_000);
    await session.sendMessage('tell me');
    await time.pass(90_000);
    expect(scripted.connections).toHaveLength(2);
    const changed = session.updateAgent(new RealtimeAgent({ name: 'billing', instructions: 'You do billing.' }));
    await time.settle();
    await changed;
    scripted.connections[0]?.finish();
    await time.pass(10_000);
    expect(scripted.connections.map(({ open: one }) => one)).toEqual([false, false, true]);
    expect(scripted.connection.session).toMatchObject({ instructions: 'You do billing.' });
    expect(scripted.connection.conversation).toHaveLength(2);
  });

  test('that fails is tried again, and the drop at the end is mended like any other', async () => {
    const { scripted, time, of } = await run(desk, ['Hello.']);
    await time.pass(HOUR - 2 * 60_000 - 1_000);
    scripted.fault({ kind: 'refuse_connection' });
    await time.pass(10_000);
    expect(of('error')).toHaveLength(1);
    expect(scripted.connections).toHaveLength(2);
  });

  test('may be switched off', async () => {
    const { scripted, time } = await run(desk, [], { config: { renewal: false } });
    await time.pass(HOUR + 1000);
    expect(scripted.connections).toHaveLength(1);
  });
});

describe('beginning', () => {
  test('rejects with what the provider refused it with, and the runner can begin another one', async () => {
    await expect(
      (async () => {
        const { VirtualTime } = await import('../testing/virtual-time.ts');
        const { ScriptedModel } = await import('../testing/scripted-model.ts');
        const { RealtimeRunner } = await import('../runner.ts');
        const time = new VirtualTime();
        const scripted = new ScriptedModel({ time });
        const runner = new RealtimeRunner(desk, { model: scripted.model });
        scripted.fault({ kind: 'refuse_connection', code: 'unauthenticated' });
        await expect(runner.run({ clock: time })).rejects.toMatchObject({ code: 'unauthenticated' });
        const [one, two] = await Promise.all([runner.run({ clock: time }), runner.run({ clock: time })]);
        open.push(one, two);
        await one.sendMessage('only one');
        expect([one.history.length > 0, two.history.length]).toEqual([true, 0]);
      })(),
    ).resolves.toBeUndefined();
  });

  test('without a key says which one is missing, and never more', async () => {
    const { RealtimeRunner } = await import('../runner.ts');
    const key = process.env['OPENAI_API_KEY'];
    delete process.env['OPENAI_API_KEY'];
    try {
      await expect(new RealtimeRunner(desk).run()).rejects.toMatchObject({
        code: 'unauthenticated',
        message: expect.stringContaining('OPENAI_API_KEY'),
      });
    } finally {
      if (key !== undefined) process.env['OPENAI_API_KEY'] = key;
    }
  });
});
