// What is sent, what comes back, and what the history says of it.

import { afterEach, describe, expect, test } from 'vitest';
import { RealtimeAgent } from './agent.ts';
import type { RealtimeItem } from './history/item.ts';
import type { RealtimeSession } from './session.ts';
import { started } from './test-support/started.ts';

const open: RealtimeSession[] = [];
afterEach(async () => {
  for (const session of open.splice(0)) await session.close();
});

const agent = new RealtimeAgent({ name: 'desk', instructions: 'Be brief.' });

async function run(replies?: Parameters<typeof started>[1], options?: Parameters<typeof started>[2]) {
  const all = await started(agent, replies, options);
  open.push(all.session);
  return all;
}

const IMAGE = 'data:image/png;base64,iVBORw0KGgo=';

describe('sending', () => {
  test('resolves when the provider has taken it up, and rejects with what it refused it with', async () => {
    const { session, scripted, time, of } = await run();
    await session.sendMessage('Hello');
    expect(session.history[0]).toMatchObject({ role: 'user', content: [{ type: 'input_text', text: 'Hello' }] });
    scripted.fault({ kind: 'refuse', type: 'conversation.item.create', code: 'invalid_value', message: 'too long' });
    await expect(session.sendMessage('Again')).rejects.toMatchObject({
      message: 'too long',
      details: { provider_code: 'invalid_value' },
    });
    await time.settle();
    expect(of('error')).toHaveLength(1);
  });

  test('that nobody answers is given up after its time', async () => {
    const { session, scripted, time } = await run([], { config: { limits: { sendTimeoutMs: 5_000 } } });
    scripted.fault({ kind: 'lose', type: 'conversation.item.added' });
    scripted.fault({ kind: 'lose', type: 'conversation.item.done' });
    const sent = session.sendMessage('Hello');
    await time.pass(5_000);
    await expect(sent).rejects.toMatchObject({ code: 'deadline_exceeded' });
  });

  test('three messages at once are three items and, after the first answer, one more', async () => {
    const { session, scripted, time } = await run([{ say: 'One.', hold: true }, 'All.']);
    await Promise.all([session.sendMessage('a'), session.sendMessage('b'), session.sendMessage('c')]);
    expect(scripted.framesOf('response.create')).toHaveLength(1);
    scripted.connection.finish();
    await time.settle();
    expect(scripted.framesOf('response.create')).toHaveLength(2);
    expect(session.history.filter(({ type }) => type === 'message')).toHaveLength(5);
  });

  test('keeps images in the history, also those that the provider does not repeat', async () => {
    const { session, scripted } = await run();
    await session.sendMessage({
      type: 'message',
      role: 'user',
      content: [
        { type: 'input_text', text: 'What is this?' },
        { type: 'input_image', image: IMAGE, detail: 'low' },
      ],
    });
    await session.addImage(IMAGE);
    expect(scripted.framesOf('response.create')).toHaveLength(1);
    expect(scripted.framesOf('conversation.item.create')[0]).toMatchObject({
      item: { content: [{ type: 'input_text' }, { type: 'input_image', image_url: IMAGE, detail: 'low' }] },
    });
    expect(session.history).toMatchObject([
      { content: [{ text: 'What is this?' }, { type: 'input_image', image: IMAGE, detail: 'low' }] },
      {},
      { content: [{ type: 'input_image', image: IMAGE }] },
    ]);
  });

  test('sound goes out as it is, not while muted, and a commit resolves with the turn', async () => {
    const { session, scripted, time } = await run();
    const chunk = new Uint8Array([1, 2, 3, 4]).buffer;
    void session.sendAudio(chunk);
    void session.sendAudio(new Uint8Array(chunk, 2, 2));
    session.mute(true);
    void session.sendAudio(chunk);
    session.mute(false);
    await session.sendAudio(chunk, { commit: true });
    await time.settle();
    expect(scripted.framesOf('input_audio_buffer.append').map(({ audio }) => audio)).toEqual([
      'AQIDBA==',
      'AwQ=',
      'AQIDBA==',
    ]);
    expect(session.history).toMatchObject([{ role: 'user', content: [{ type: 'input_audio', transcript: null }] }]);
  });

  test('after the end is refused, and a promise that nobody awaits harms nobody', async () => {
    const { session } = await run();
    await session.close();
    void session.sendMessage('x');
    void session.sendAudio(new Uint8Array(2));
    await expect(session.sendMessage('x')).rejects.toMatchObject({ code: 'failed_precondition' });
    await expect(session.sendAudio(new Uint8Array(2))).rejects.toMatchObject({ code: 'failed_precondition' });
  });

  test('more than the bound are refused at once', async () => {
    const { session } = await run([], { config: { limits: { sendsInFlight: 1 } } });
    const first = session.sendMessage('a');
    await expect(session.sendMessage('b')).rejects.toMatchObject({ code: 'resource_exhausted' });
    await first;
  });
});

describe('words of both sides', () => {
  test('come as patches while they are said, and end as they were understood', async () => {
    const { session, scripted, time, of } = await run([{ say: 'Good morning to you.' }]);
    const itemId = scripted.connection.userSays('good morning');
    await time.settle();
    const patches = of('history_delta');
    const said = (id: string): string =>
      patches
        .filter((patch) => patch.itemId === id)
        .map(({ delta }) => delta)
        .join('');
    expect(said(itemId)).toBe('good morning');
    const [, answer] = session.history;
    expect(said(answer?.itemId ?? '')).toBe('Good morning to you.');
    expect(patches.filter((patch) => patch.itemId === itemId)).toHaveLength(2);
    expect(session.history).toMatchObject([
      { role: 'user', content: [{ type: 'input_audio', transcript: 'good morning' }] },
      {
        role: 'assistant',
        status: 'completed',
        content: [{ type: 'output_audio', transcript: 'Good morning to you.' }],
      },
    ]);
    expect(of('user_turn')).toMatchObject([{ text: 'good morning', source: 'audio', itemId }]);
  });

  test('a transcription that fails leaves the item, and is told', async () => {
    const { session, scripted, time, of } = await run();
    const itemId = scripted.connection.userStarts();
    scripted.connection.userStops(itemId, null);
    scripted.connection.say({
      type: 'conversation.item.input_audio_transcription.failed',
      item_id: itemId,
      content_index: 0,
      error: { type: 'transcription_error', code: 'x', message: 'nothing was heard', param: null },
    });
    await time.settle();
    expect(of('user_transcription_failed')).toMatchObject([{ itemId, error: { message: 'nothing was heard' } }]);
    expect(session.history[0]?.status).toBe('completed');
  });

  test('text answers are in the history too', async () => {
    const { session, time, of } = await run(['In writing.'], {
      config: { modelSettings: { outputModalities: ['text'] } },
    });
    await session.sendMessage('Write.');
    await time.settle();
    expect(session.history[1]).toMatchObject({ content: [{ type: 'output_text', text: 'In writing.' }] });
    expect(of('history_delta').map(({ field }) => field)).toEqual(['text', 'text']);
  });
});

describe('the history', () => {
  const earlier: RealtimeItem[] = [
    {
      itemId: 'i1',
      type: 'message',
      role: 'user',
      status: 'completed',
      content: [{ type: 'input_audio', transcript: 'my name is Ada' }],
    },
    {
      itemId: 'i2',
      type: 'message',
      role: 'assistant',
      status: 'completed',
      content: [{ type: 'output_audio', transcript: 'Hello Ada.' }],
    },
    {
      itemId: 'i3',
      type: 'function_call',
      status: 'completed',
      callId: 'c1',
      name: 'find',
      arguments: '{}',
      output: '42',
    },
  ];

  test('can be there before the connection is: the model is told it first, in its order', async () => {
    const { session, scripted, time } = await run([], { history: earlier });
    await time.settle();
    expect(scripted.sent.map(({ type }) => type)).toEqual([
      'session.update',
      ...Array.from({ length: 4 }, () => 'conversation.item.create'),
    ]);
    expect(scripted.connection.conversation).toMatchObject([
      { id: 'i1', role: 'user', content: [{ type: 'input_text', text: 'my name is Ada' }] },
      { id: 'i2', role: 'assistant', content: [{ type: 'output_text', text: 'Hello Ada.' }] },
      { id: 'i3', type: 'function_call', call_id: 'c1' },
      { type: 'function_call_output', call_id: 'c1', output: '42' },
    ]);
    // What is shown stays what it was: sound that was heard.
    expect(session.history.map(({ previousItemId: _, ...item }) => item)).toEqual(earlier);
  });

  test('can be changed: what is gone is deleted, what is new stands at its place, what is different is made anew', async () => {
    const { session, scripted, time } = await run(['Yes.']);
    await session.sendMessage('one');
    await time.settle();
    await session.sendMessage('two', { triggerResponse: false });
    await time.settle();
    const [first, answer, second] = session.history as [RealtimeItem, RealtimeItem, RealtimeItem];
    await session.updateHistory([
      { type: 'message', role: 'system', content: [{ type: 'input_text', text: 'Note.' }] },
      { ...(first as RealtimeItem & { type: 'message' }), content: [{ type: 'input_text', text: 'ONE' }] },
      second,
    ]);
    expect(session.history).toMatchObject([
      { role: 'system', content: [{ text: 'Note.' }] },
      { itemId: first.itemId, content: [{ text: 'ONE' }] },
      { itemId: second.itemId },
    ]);
    expect(scripted.connection.conversation.map(({ id }) => id)).toEqual(session.history.map(({ itemId }) => itemId));
    expect(scripted.framesOf('conversation.item.delete').map(({ item_id }) => item_id)).toEqual([
      first.itemId,
      answer.itemId,
    ]);
  });

  test('takes a function, deletes calls with their outputs, and tells what was refused', async () => {
    const { session, scripted, time } = await run([], { history: earlier });
    await time.settle();
    await session.updateHistory((items) => items.slice(0, 1));
    expect(scripted.connection.conversation.map(({ id }) => id)).toEqual(['i1']);
    scripted.fault({ kind: 'refuse', type: 'conversation.item.delete', message: 'not now' });
    await expect(session.updateHistory([])).rejects.toMatchObject({ message: 'not now' });
    expect(session.history).toHaveLength(1);
  });

  test('costs nothing to be told of, and is made when it is read', async () => {
    const { session, time, of } = await run(['Yes.']);
    await session.sendMessage('one');
    await time.settle();
    const updates = of('history_updated');
    expect(updates.length).toBeGreaterThan(2);
    expect(updates.at(-1)?.history).toBe(session.history);
    expect(session.history).toBe(session.history);
    expect(Object.isFrozen(updates[0])).toBe(false);
    expect(updates[0]?.item).toMatchObject({ role: 'user' });
  });
});

test('settings of the run, the agent and the connection go over each other in this order', async () => {
  const speaker = new RealtimeAgent({ name: 'speaker', voice: 'cedar', instructions: () => Promise.resolve('Mine.') });
  const { session, scripted } = await started(speaker, [], {
    config: {
      modelSettings: {
        voice: 'marin',
        instructions: 'Theirs.',
        turnDetection: { type: 'server_vad', silenceDurationMs: 300 },
        audio: {
          input: { format: 'g711_ulaw', noiseReduction: { type: 'near_field' } },
          output: { format: 'g711_ulaw', speed: 1.1 },
        },
        maxOutputTokens: 100,
        toolChoice: 'none',
      },
    },
    modelConfig: { initialModelSettings: { maxOutputTokens: 50, providerData: { truncation: 'disabled' } } },
  });
  open.push(session);
  expect(scripted.connection.session).toMatchObject({
    instructions: 'Mine.',
    max_output_tokens: 50,
    tool_choice: 'none',
    truncation: 'disabled',
    audio: {
      input: {
        format: { type: 'audio/pcmu' },
        noise_reduction: { type: 'near_field' },
        turn_detection: { type: 'server_vad', silence_duration_ms: 300, interrupt_response: true },
      },
      output: { voice: 'cedar', speed: 1.1, format: { type: 'audio/pcmu' } },
    },
  });
});

test('a stored prompt goes out by its id', async () => {
  const prompted = new RealtimeAgent({
    name: 'p',
    prompt: () => ({ promptId: 'pmpt_1', version: '2', variables: { city: 'Rome' } }),
  });
  const { session, scripted } = await started(prompted);
  open.push(session);
  expect(scripted.connection.session).toMatchObject({
    prompt: { id: 'pmpt_1', version: '2', variables: { city: 'Rome' } },
  });
});
