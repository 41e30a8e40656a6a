import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseScript } from './script.ts';
import { type Simulator, startSimulator } from './simulator.ts';
import { decodeSpeech } from './speech.ts';
import { answered, connect, samples, userText, type WireClient } from './wire-client.test.support.ts';
import type { Item, Wire } from './wire.ts';

// The event orders of the wire, each from the first event to the last.

const SCRIPT = `
rules:
  - heard: "two orders (\\\\d+) and (\\\\d+)"
    call: [{ name: lookup_order, arguments: { order: "$1" } }, { name: lookup_order, arguments: { order: "$2" } }]
    then: "They ship on {{outputs.0.ship_day}} and {{outputs.1.ship_day}}."
  - heard: "order (\\\\d+)"
    call: { name: lookup_order, arguments: { order: "$1" } }
    then: "Order $1 ships on {{output.ship_day}}."
  - heard: "both (\\\\d+)"
    say: "One moment."
    call: { name: lookup_order, arguments: { order: "$1" } }
otherwise: "You said: {{heard}}"
`;
const TOOL = {
  type: 'function',
  name: 'lookup_order',
  description: 'Looks up an order',
  parameters: { type: 'object', properties: { order: { type: 'integer' } }, required: ['order'] },
};

let simulator: Simulator;
beforeAll(async () => {
  simulator = await startSimulator({ script: parseScript(SCRIPT), voice: 'coded', pace: 40 });
});
afterAll(() => simulator.close());

/** Types without repeats in a row, from an event on. */
function order(client: WireClient, from: string): string[] {
  const types = client.types();
  return types.slice(types.indexOf(from)).filter((type, index, all) => type !== all[index - 1]);
}

test('a spoken turn is answered in the order of the wire, and the words cross as sound both ways', async () => {
  await using client = await connect(simulator, {
    audio: { input: { transcription: { model: 'gpt-4o-transcribe' } } },
  });
  await client.say('hello there');
  const done = await answered(client);
  await client.next('rate_limits.updated');
  const types = order(client, 'input_audio_buffer.speech_started').filter((type) => !type.includes('transcription'));
  expect(types.slice(0, 9)).toEqual([
    'input_audio_buffer.speech_started',
    'input_audio_buffer.speech_stopped',
    'input_audio_buffer.committed',
    'conversation.item.added',
    'conversation.item.done',
    'response.created',
    'response.output_item.added',
    'conversation.item.added',
    'response.content_part.added',
  ]);
  expect(types[9]).toBe('response.output_audio_transcript.delta');
  expect(types.slice(-7)).toEqual([
    'response.output_audio.done',
    'response.output_audio_transcript.done',
    'response.content_part.done',
    'conversation.item.done',
    'response.output_item.done',
    'response.done',
    'rate_limits.updated',
  ]);
  const completed = client.of('conversation.item.input_audio_transcription.completed')[0];
  expect(completed?.['transcript']).toBe('hello there');
  const response = done['response'] as Wire & { output: Item[]; usage: Record<string, number> };
  expect(response['status']).toBe('completed');
  expect(response.output[0]?.content?.[0]).toEqual({ type: 'output_audio', transcript: 'You said: hello there' });
  expect(await decodeSpeech(samples(client.audio()), 24_000)).toBe('You said: hello there');
  expect(response.usage['total_tokens']).toBe(
    (response.usage['input_tokens'] ?? 0) + (response.usage['output_tokens'] ?? 0),
  );
});

test('ids link the turn: speech, commit, item and answer', async () => {
  await using client = await connect(simulator);
  await client.say('hello');
  await answered(client);
  const [started] = client.of('input_audio_buffer.speech_started');
  const [stopped] = client.of('input_audio_buffer.speech_stopped');
  const [committed] = client.of('input_audio_buffer.committed');
  const [user, assistant] = client.of('conversation.item.added');
  expect(stopped?.['item_id']).toBe(started?.['item_id']);
  expect(committed?.['item_id']).toBe(started?.['item_id']);
  expect((user?.['item'] as Item | undefined)?.id).toBe(started?.['item_id']);
  expect(user?.['previous_item_id']).toBeNull();
  expect(assistant?.['previous_item_id']).toBe(started?.['item_id']);
  expect(new Set(client.events.map((event) => event['event_id'])).size).toBe(client.events.length);
  const deltas = client
    .of('response.output_audio_transcript.delta')
    .map((event) => event['delta'])
    .join('');
  expect(client.of('response.output_audio_transcript.done')[0]?.['transcript']).toBe(deltas);
});

test('a typed turn is answered as text', async () => {
  await using client = await connect(simulator, { output_modalities: ['text'] });
  client.type('good morning');
  await answered(client);
  expect(order(client, 'conversation.item.added').slice(0, 7)).toEqual([
    'conversation.item.added',
    'conversation.item.done',
    'response.created',
    'response.output_item.added',
    'conversation.item.added',
    'response.content_part.added',
    'response.output_text.delta',
  ]);
  expect(client.of('response.output_text.done')[0]?.['text']).toBe('You said: good morning');
  expect(client.of('response.content_part.done')[0]?.['part']).toEqual({
    type: 'text',
    text: 'You said: good morning',
  });
});

test('push-to-talk answers only when it is asked', async () => {
  await using client = await connect(simulator, { audio: { input: { turn_detection: null } } });
  await client.say('hello');
  client.send({ type: 'input_audio_buffer.commit' });
  await client.next('input_audio_buffer.committed');
  client.send({ type: 'input_audio_buffer.commit', event_id: 'again' });
  const error = (await client.next('error'))['error'] as Wire;
  expect(error).toMatchObject({ code: 'input_audio_buffer_commit_empty', event_id: 'again' });
  expect(client.of('response.created')).toEqual([]);
  client.send({ type: 'response.create' });
  await answered(client);
  expect(client.of('response.output_audio_transcript.done')[0]?.['transcript']).toBe('You said: hello');
});

function output(callId: unknown, value: Wire): Wire {
  return {
    type: 'conversation.item.create',
    item: { type: 'function_call_output', call_id: callId, output: JSON.stringify(value) },
  };
}

test('a tool is called, and its output is spoken', async () => {
  await using client = await connect(simulator, { tools: [TOOL] });
  await client.say('where is order 1042');
  await answered(client);
  expect(order(client, 'response.created').slice(0, 8)).toEqual([
    'response.created',
    'response.output_item.added',
    'conversation.item.added',
    'response.function_call_arguments.delta',
    'response.function_call_arguments.done',
    'conversation.item.done',
    'response.output_item.done',
    'response.done',
  ]);
  const [call] = client.of('response.function_call_arguments.done');
  expect(call).toMatchObject({ name: 'lookup_order', arguments: '{"order":1042}' });
  client.send(output(call?.['call_id'], { ship_day: 'Tuesday' }));
  client.send({ type: 'response.create' });
  const done = await answered(client);
  expect((done['response'] as { output: Item[] }).output[0]?.content?.[0]?.transcript).toBe(
    'Order 1042 ships on Tuesday.',
  );
});

test('parallel calls have one output index each, and are answered together', async () => {
  await using client = await connect(simulator, { tools: [TOOL], output_modalities: ['text'] });
  client.type('two orders 1 and 2');
  const done = await answered(client);
  const calls = (done['response'] as { output: Item[] }).output;
  expect(calls.map(({ arguments: args }) => args)).toEqual(['{"order":1}', '{"order":2}']);
  expect(client.of('response.output_item.added').map((event) => event['output_index'])).toEqual([0, 1]);
  client.send(output(calls[1]?.call_id, { ship_day: 'Friday' }));
  client.send(output(calls[0]?.call_id, { ship_day: 'Monday' }));
  client.send({ type: 'response.create' });
  await answered(client);
  expect(client.of('response.output_text.done')[0]?.['text']).toBe('They ship on Monday and Friday.');
});

test('a response may speak first and call then; a failed call is told', async () => {
  await using client = await connect(simulator, { tools: [TOOL], output_modalities: ['text'] });
  client.type('both 7');
  const { output: items } = (await answered(client))['response'] as { output: Item[] };
  expect(items.map(({ type }) => type)).toEqual(['message', 'function_call']);
  client.send(output(items[1]?.call_id, { error: { message: 'no such order' } }));
  client.send({ type: 'response.create' });
  await answered(client);
  expect(client.of('response.output_text.done')[1]?.['text']).toBe('I am sorry, that did not work: no such order');
});

test('a tool that the session does not have is not called', async () => {
  await using client = await connect(simulator, { output_modalities: ['text'] });
  client.type('order 5');
  await answered(client);
  expect(client.of('response.output_text.done')[0]?.['text']).toContain('I have no tool named lookup_order');
});

test('a forced tool is called with the smallest arguments that its schema takes', async () => {
  await using client = await connect(simulator, { tools: [TOOL], tool_choice: 'required' });
  client.type('anything');
  const { output: items } = (await answered(client))['response'] as { output: Item[] };
  expect(items).toMatchObject([{ type: 'function_call', name: 'lookup_order', arguments: '{"order":0}' }]);
  client.type('order 5', { tool_choice: 'none', output_modalities: ['text'] });
  await answered(client);
  expect(client.of('response.output_text.done')[0]?.['text']).toBe('You said: order 5');
});

test('instructions to say exactly a text are obeyed, also beside the conversation', async () => {
  await using client = await connect(simulator);
  client.send({
    type: 'response.create',
    response: {
      conversation: 'none',
      input: [],
      tool_choice: 'none',
      instructions: 'Say exactly: "Your parcel: it left."',
      metadata: { for: 'say' },
    },
  });
  const response = (await answered(client))['response'] as Wire & { output: Item[] };
  expect(response).toMatchObject({ conversation_id: null, metadata: { for: 'say' }, status: 'completed' });
  expect(response.output[0]?.content?.[0]?.transcript).toBe('Your parcel: it left.');
  expect(client.types().filter((type) => type.startsWith('conversation.item'))).toEqual([]);
});

test('items are put where the client says, retrieved and deleted', async () => {
  await using client = await connect(simulator);
  const create = (id: string, previous?: string) =>
    client.send({
      type: 'conversation.item.create',
      item: { id, ...userText(id) },
      ...(previous ? { previous_item_id: previous } : {}),
    });
  create('b');
  create('c');
  create('a', 'root');
  create('bb', 'b');
  for (const [id, before] of [
    ['b', null],
    ['c', 'b'],
    ['a', null],
    ['bb', 'b'],
  ]) {
    expect(await client.next('conversation.item.done')).toMatchObject({ item: { id }, previous_item_id: before });
  }
  create('x', 'nowhere');
  expect((await client.next('error'))['error']).toMatchObject({ param: 'previous_item_id' });
  create('b');
  expect((await client.next('error'))['error']).toMatchObject({ param: 'item.id' });
  client.send({ type: 'conversation.item.delete', item_id: 'b' });
  await client.next('conversation.item.deleted');
  client.send({ type: 'conversation.item.retrieve', item_id: 'b', event_id: 'r1' });
  expect((await client.next('error'))['error']).toMatchObject({
    code: 'item_retrieve_invalid_item_id',
    event_id: 'r1',
  });
  client.send({ type: 'conversation.item.retrieve', item_id: 'c' });
  expect(await client.next('conversation.item.retrieved')).toMatchObject({ item: { id: 'c' } });
});
