import { afterAll, beforeAll, expect, test } from 'vitest';
import { faultsOfEvent } from './schema.test.support.ts';
import { type Simulator, startSimulator } from './simulator.ts';
import { answered, connect, userText, WireClient } from './wire-client.test.support.ts';
import type { Wire } from './wire.ts';

// What a client does wrong, and how the wire says so.

let simulator: Simulator;
beforeAll(async () => {
  simulator = await startSimulator({
    voice: 'coded',
    deniedModels: ['gpt-secret'],
    models: ['gpt-realtime-2.1', 'gpt-secret'],
  });
});
afterAll(() => simulator.close());

test('the schema check refuses what is not on the wire', () => {
  expect(faultsOfEvent({ type: 'response.cancelled', event_id: 'e' })).toEqual([
    'unknown event type response.cancelled',
  ]);
  expect(faultsOfEvent({ type: 'error', event_id: 'e', error: { type: 'x', code: 5, message: 'm' } })).not.toEqual([]);
  expect(faultsOfEvent({ type: 'conversation.item.deleted', event_id: 'e', item_id: null })).not.toEqual([]);
});

test.each([
  [
    'a bad key',
    ['realtime', 'openai-insecure-api-key.sk-invalid-1'],
    {},
    3000,
    'invalid_request_error.invalid_api_key',
    'invalid_api_key',
  ],
  ['no key', ['realtime'], {}, 3000, 'invalid_request_error.missing_authentication', null],
  [
    'an unknown client secret',
    ['realtime', 'openai-insecure-api-key.ek_1'],
    {},
    3000,
    'invalid_request_error.invalid_api_key',
    'invalid_api_key',
  ],
  [
    'the beta subprotocol',
    ['realtime', 'openai-insecure-api-key.sk-1', 'openai-beta.realtime-v1'],
    {},
    4000,
    'invalid_request_error.beta_api_shape_disabled',
    'beta_api_shape_disabled',
  ],
  [
    'the beta header',
    ['realtime', 'openai-insecure-api-key.sk-1'],
    { 'OpenAI-Beta': 'realtime=v1' },
    4000,
    'invalid_request_error.beta_api_shape_disabled',
    'beta_api_shape_disabled',
  ],
])('%s is told by an event and a close, not by the upgrade', async (_, protocols, headers, code, reason, errorCode) => {
  await using client = new WireClient(`${simulator.wsUrl}?model=gpt-realtime-2.1`, protocols, { headers });
  expect(await client.closed).toEqual({ code, reason });
  expect(client.events).toMatchObject([{ type: 'error', error: { type: 'invalid_request_error', code: errorCode } }]);
  expect(client.socket.protocol).toBe('realtime');
});

test('a model without access is refused at the upgrade, an unknown one after it, an unknown path with 404', async () => {
  const refusal = async (path: string) => {
    const client = new WireClient(simulator.url.replace('http', 'ws') + path, [], {
      headers: { Authorization: 'Bearer sk-1' },
    });
    const status = await new Promise<number | undefined>((resolve) => {
      client.socket.on('unexpected-response', (request, response) => {
        resolve(response.statusCode);
        request.destroy();
      });
    });
    return status;
  };
  expect(await refusal('/v1/realtime?model=gpt-secret')).toBe(403);
  expect(await refusal('/v1/elsewhere')).toBe(404);
  expect(await refusal('/v1/realtime?call_id=rtc_1')).toBe(404);
  await using client = new WireClient(`${simulator.wsUrl}?model=nothing`, [], {
    headers: { Authorization: 'Bearer sk-1' },
  });
  expect((await client.closed).reason).toBe('invalid_request_error.model_not_found');
});

const NOT_CHANGED: [string, Wire, Wire][] = [
  ['an unknown event', { type: 'session.upgrade' }, { code: 'invalid_value', param: 'type' }],
  ['no type', {}, { code: 'missing_required_parameter', param: 'type' }],
  ['an update without a session', { type: 'session.update' }, { code: 'missing_required_parameter', param: 'session' }],
  [
    'an update without a type',
    { type: 'session.update', session: {} },
    { code: 'missing_required_parameter', param: 'session.type' },
  ],
  ['an unknown field', update({ voices: 1 }), { code: 'unknown_parameter', param: 'session.voices' }],
  ['a beta field', update({ modalities: ['text'] }), { code: 'unknown_parameter', param: 'session.modalities' }],
  [
    'both modalities',
    update({ output_modalities: ['text', 'audio'] }),
    { code: 'invalid_value', param: 'session.output_modalities' },
  ],
  ['another model', update({ model: 'gpt-other' }), { code: 'invalid_value', param: 'session.model' }],
  [
    'another type',
    { type: 'session.update', session: { type: 'transcription' } },
    { code: 'invalid_value', param: 'session.type' },
  ],
  [
    'a rate that is not on the wire',
    update({ audio: { input: { format: { type: 'audio/pcm', rate: 16_000 } } } }),
    { param: 'session.audio.input.format.rate' },
  ],
  [
    'an idle timeout out of range',
    update({ audio: { input: { turn_detection: { type: 'server_vad', idle_timeout_ms: 1 } } } }),
    { param: 'session.audio.input.turn_detection.idle_timeout_ms' },
  ],
  [
    'a tool without a name',
    update({ tools: [{ type: 'function' }] }),
    { code: 'missing_required_parameter', param: 'session.tools[0].name' },
  ],
  ['no audio', { type: 'input_audio_buffer.append' }, { code: 'missing_required_parameter', param: 'audio' }],
  [
    'audio that is not base64',
    { type: 'input_audio_buffer.append', audio: '***' },
    { code: 'invalid_value', param: 'audio' },
  ],
  ['an empty commit', { type: 'input_audio_buffer.commit' }, { code: 'input_audio_buffer_commit_empty' }],
  ['cancelling nothing', { type: 'response.cancel' }, { code: 'response_cancel_not_active' }],
  [
    'retrieving what is not there',
    { type: 'conversation.item.retrieve', item_id: 'x' },
    { code: 'item_retrieve_invalid_item_id' },
  ],
  [
    'deleting what is not there',
    { type: 'conversation.item.delete', item_id: 'x' },
    { code: 'item_delete_invalid_item_id' },
  ],
  [
    'truncating what is not there',
    { type: 'conversation.item.truncate', item_id: 'x', content_index: 0, audio_end_ms: 0 },
    { code: 'item_truncate_invalid_item_id' },
  ],
  [
    'an item without a type',
    { type: 'conversation.item.create', item: {} },
    { code: 'missing_required_parameter', param: 'item.type' },
  ],
  [
    'assistant audio',
    {
      type: 'conversation.item.create',
      item: { type: 'message', role: 'assistant', content: [{ type: 'output_audio' }] },
    },
    { param: 'item.content[0].type' },
  ],
  [
    'an item id that is too long',
    { type: 'conversation.item.create', item: { id: 'i'.repeat(33), ...userText('x') } },
    { param: 'item.id' },
  ],
  [
    'a response field that does not exist',
    { type: 'response.create', response: { modalities: ['text'] } },
    { code: 'unknown_parameter', param: 'response.modalities' },
  ],
  [
    'a reference to nothing',
    { type: 'response.create', response: { input: [{ type: 'item_reference', id: 'x' }] } },
    { param: 'response.input[0].id' },
  ],
];

function update(session: Wire): Wire {
  return { type: 'session.update', session: { type: 'realtime', ...session } };
}

test.each(NOT_CHANGED)('%s is an error that names the event, and the session goes on', async (_, event, expected) => {
  await using client = await connect(simulator);
  client.send({ ...event, event_id: 'mine' });
  expect((await client.next('error'))['error']).toMatchObject({
    type: 'invalid_request_error',
    event_id: 'mine',
    ...expected,
  });
  client.send(update({ instructions: 'still here' }));
  expect(await client.next('session.updated')).toMatchObject({ session: { instructions: 'still here' } });
});

test.each([
  ['text that is not JSON', '{"type":', false],
  ['a list', '[1]', false],
  ['a binary frame', '{"type":"response.create"}', true],
])('%s is an error, and the session goes on', async (_, data, binary) => {
  await using client = await connect(simulator);
  client.socket.send(Buffer.from(data), { binary });
  expect((await client.next('error'))['error']).toMatchObject({ code: 'invalid_event', event_id: null });
  client.type('hi', { output_modalities: ['text'] });
  await answered(client);
});

test('an event of more than 15 MiB is an error', async () => {
  await using client = await connect(simulator);
  client.send({ type: 'input_audio_buffer.append', audio: 'A'.repeat(15 * 1024 * 1024) });
  expect((await client.next('error'))['error']).toMatchObject({ code: 'invalid_event' });
});

test('a patch changes what it names and nothing else', async () => {
  await using client = await connect(simulator, { instructions: 'one', tools: [{ type: 'function', name: 'f' }] });
  client.send(update({ audio: { input: { turn_detection: { type: 'server_vad', silence_duration_ms: 400 } } } }));
  const { session } = (await client.next('session.updated')) as Wire as { session: Wire };
  expect(session).toMatchObject({ instructions: 'one', tools: [{ name: 'f' }] });
  expect(session['audio']).toMatchObject({
    input: {
      turn_detection: { type: 'server_vad', silence_duration_ms: 400, prefix_padding_ms: 300, create_response: true },
    },
    output: { voice: 'marin' },
  });
  client.send(update({ instructions: '', tools: [], audio: { input: { turn_detection: null } } }));
  const cleared = (await client.next('session.updated')) as Wire as { session: Wire };
  expect(cleared.session).toMatchObject({ instructions: '', tools: [], audio: { input: { turn_detection: null } } });
});

test('a second response is refused while one is under way; after audio the voice stays', async () => {
  await using client = await connect(simulator);
  client.type('tell me something that takes a while');
  const { response } = (await client.next('response.created')) as Wire as { response: { id: string } };
  client.send({ type: 'response.create', event_id: 'second' });
  expect((await client.next('error'))['error']).toMatchObject({
    code: 'conversation_already_has_active_response',
    message: `Conversation already has an active response in progress: ${response.id}. Wait until the response is finished before creating a new one.`,
    event_id: 'second',
  });
  await client.next('response.output_audio.delta');
  client.send(update({ audio: { output: { voice: 'cedar' } } }));
  expect((await client.next('error'))['error']).toMatchObject({ code: 'cannot_update_voice' });
  client.send({ type: 'response.cancel' });
  expect(await answered(client)).toMatchObject({
    response: { status: 'cancelled', status_details: { reason: 'client_cancelled' } },
  });
});
