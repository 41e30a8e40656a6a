import { afterEach, describe, expect, test } from 'vitest';
import { connected, handClock } from '../test-support/connected.ts';
import { type GaPeer, type GaPeerOptions, gaPeer, spokenAnswer } from '../test-support/ga-peer.ts';

const peers: GaPeer[] = [];
afterEach(async () => {
  for (const peer of peers.splice(0)) await peer[Symbol.asyncDispose]();
});

async function provider(options?: GaPeerOptions): Promise<GaPeer> {
  const peer = await gaPeer(options);
  peers.push(peer);
  return peer;
}

/** 100 ms of PCM16 at 24 kHz. */
const SOUND = Buffer.alloc(4800, 3);
const key = 'sk-test-0123456789';

describe('turns', () => {
  test('a spoken turn goes from the first sound to its words, however late they come', async () => {
    const peer = await provider();
    const { events, event } = await connected({ base_url: peer.base_url, key });
    peer.say(
      { type: 'input_audio_buffer.speech_started', item_id: 'item_u', audio_start_ms: 200 },
      { type: 'input_audio_buffer.speech_stopped', item_id: 'item_u', audio_end_ms: 1400 },
      { type: 'input_audio_buffer.committed', item_id: 'item_u', previous_item_id: null },
      ...spokenAnswer(1, 'Good morning.', SOUND),
      {
        type: 'conversation.item.input_audio_transcription.completed',
        item_id: 'item_u',
        content_index: 0,
        transcript: 'hello',
      },
    );
    const turn = await event('turn.completed');
    expect(turn).toMatchObject({ item_id: 'item_u', source: 'audio', text: 'hello', audio_ms: 1200 });
    expect(events.map((one) => one.type)).toEqual([
      'speech.started',
      'turn.started',
      'speech.stopped',
      'response.started',
      'transcript.completed',
      'response.completed',
      'transcript.completed',
      'turn.completed',
    ]);
    expect(events[1]).toMatchObject({ turn_id: turn.turn_id, item_id: 'item_u' });
    expect(await event('response.completed')).toMatchObject({
      response_id: 'resp_1',
      item_id: 'item_a1',
      status: 'completed',
      text: 'Good morning.',
      audio_ms: 100,
      usage: { input_tokens: 10, output_tokens: 20, input_audio_tokens: 6, output_audio_tokens: 15, cached_tokens: 2 },
    });
  });

  test('a transcript that fails, or never comes, leaves a turn without words', async () => {
    const peer = await provider();
    const clock = handClock();
    const { event, frame } = await connected({ base_url: peer.base_url, key }, {}, { clock });
    peer.say(
      { type: 'input_audio_buffer.committed', item_id: 'item_1' },
      { type: 'conversation.item.input_audio_transcription.failed', item_id: 'item_1', error: {} },
    );
    expect(await event('turn.completed')).toMatchObject({ item_id: 'item_1', text: '' });
    peer.say({ type: 'input_audio_buffer.committed', item_id: 'item_2' }, { type: 'vendor.mark' });
    await frame('vendor.mark');
    clock.advance(10_000);
    expect(await event('turn.completed', 1)).toMatchObject({ item_id: 'item_2', text: '' });
  });

  test('speech that goes on within the silence window is the same turn', async () => {
    const peer = await provider();
    const { events, frame } = await connected({ base_url: peer.base_url, key });
    const started = { type: 'input_audio_buffer.speech_started', item_id: 'item_u', audio_start_ms: 0 };
    peer.say(started, { type: 'input_audio_buffer.speech_stopped', item_id: 'item_u', audio_end_ms: 300 }, started, {
      type: 'vendor.mark',
    });
    await frame('vendor.mark');
    expect(events.filter((one) => one.type === 'turn.started')).toHaveLength(1);
  });

  test('a text of the client is a turn, and one that the server added is not', async () => {
    const peer = await provider();
    const { connection, events, event, frame } = await connected({ base_url: peer.base_url, key });
    connection.send({ type: 'add_text', role: 'user', text: 'by the server' });
    const added = await peer.next('conversation.item.create');
    const item = added['item'] as Record<string, unknown>;
    peer.say({ type: 'conversation.item.added', previous_item_id: null, item });
    const typed = { id: 'item_t', type: 'message', role: 'user', content: [{ type: 'input_text', text: 'typed' }] };
    peer.say({ type: 'conversation.item.added', previous_item_id: null, item: typed }, { type: 'vendor.mark' });
    expect(await event('turn.completed')).toMatchObject({ item_id: 'item_t', source: 'text', text: 'typed' });
    await frame('vendor.mark');
    expect(events.filter((one) => one.type === 'turn.completed')).toHaveLength(1);
  });

  test('push-to-talk measures a turn by the sound that was sent', async () => {
    const peer = await provider();
    const { connection, event } = await connected({ base_url: peer.base_url, key }, { turn_detection: null });
    const append = `{"type":"input_audio_buffer.append","audio":"${SOUND.toString('base64')}"}`;
    for (let n = 0; n < 5; n++) connection.media.send(Buffer.from(append));
    connection.media.send(Buffer.from('{"type":"input_audio_buffer.commit"}'));
    await peer.next('input_audio_buffer.commit');
    expect(peer.received.filter((one) => one['type'] === 'input_audio_buffer.append')).toHaveLength(5);
    peer.say(
      { type: 'input_audio_buffer.committed', item_id: 'item_u' },
      { type: 'conversation.item.input_audio_transcription.completed', item_id: 'item_u', transcript: 'five' },
    );
    expect(await event('turn.completed')).toMatchObject({ text: 'five', audio_ms: 500 });
    expect(connection.media.counts()).toMatchObject({ user_audio_ms: 500, frames_out: 6 });
  });
});

describe('answers', () => {
  test('an answer is what was asked for: say by its id, respond as the model', async () => {
    const peer = await provider();
    const { connection, event } = await connected({ base_url: peer.base_url, key });
    connection.send({ type: 'say', say_id: 'say_1', text: 'Your parcel is on its way.' });
    const create = await peer.next('response.create');
    const response = create['response'] as Record<string, unknown>;
    expect(response).toMatchObject({
      conversation: 'auto',
      input: [],
      instructions: 'Say exactly: Your parcel is on its way.',
      tools: [],
      tool_choice: 'none',
      metadata: { parley_say: 'say_1' },
    });
    peer.say(...spokenAnswer(1, 'Your parcel is on its way.', SOUND, { metadata: response['metadata'] }));
    expect(await event('response.started')).toEqual({
      type: 'response.started',
      response_id: 'resp_1',
      cause: 'say',
      say_id: 'say_1',
    });
    connection.send({ type: 'respond' });
    const { response: second } = await peer.next('response.create');
    const { metadata } = second as Record<string, unknown>;
    peer.say(...spokenAnswer(2, 'Anything else?', SOUND, { metadata }));
    expect(await event('response.started', 1)).toMatchObject({ response_id: 'resp_2', cause: 'model' });
  });

  test('a refused request is told by its name, and the client does not see the refusal', async () => {
    const peer = await provider();
    const { connection, frames, event, frame } = await connected({ base_url: peer.base_url, key });
    connection.send({ type: 'say', say_id: 'say_1', text: 'x' });
    const { event_id } = await peer.next('response.create');
    const error = { type: 'invalid_request_error', code: 'conversation_already_has_active_response', message: 'busy' };
    peer.say({ type: 'error', error: { ...error, event_id } }, { type: 'vendor.mark' });
    expect(await event('provider.failed')).toMatchObject({
      command_id: 'say_1',
      provider_code: 'conversation_already_has_active_response',
    });
    connection.send({ type: 'respond' });
    await peer.next('response.create');
    peer.say({ type: 'error', error: { ...error, event_id: null } });
    expect(await event('provider.failed', 1)).toMatchObject({ command_id: 'respond' });
    await frame('vendor.mark');
    expect(frames.filter((one) => one.type === 'error' && one.text.includes(String(event_id)))).toEqual([]);
  });

  test('a request that the provider swallowed fails after a stated time', async () => {
    const peer = await provider();
    const clock = handClock();
    const { connection, events, event } = await connected({ base_url: peer.base_url, key }, {}, { clock });
    connection.send({ type: 'respond' });
    await peer.next('response.create');
    clock.advance(19_999);
    expect(events).toEqual([]);
    clock.advance(1);
    expect(await event('provider.failed')).toMatchObject({
      command_id: 'respond',
      error: { code: 'deadline_exceeded', retryable: true },
    });
  });

  test('an answer that was never created begins when it is first heard of', async () => {
    const peer = await provider();
    const { connection, events, event } = await connected({ base_url: peer.base_url, key });
    connection.send({ type: 'respond' });
    const { response } = await peer.next('response.create');
    const { metadata } = response as Record<string, unknown>;
    const answer = spokenAnswer(1, 'Hello.', SOUND, { metadata, created: false });
    peer.say(...answer, ...answer.slice(-2));
    expect(await event('response.completed')).toMatchObject({ response_id: 'resp_1', text: 'Hello.' });
    await event('response.completed');
    expect(events.filter((one) => one.type === 'response.started')).toHaveLength(1);
    expect(events.filter((one) => one.type === 'response.completed')).toHaveLength(1);
  });

  test('an interrupted answer is cancelled with what was said of it', async () => {
    const peer = await provider();
    const { connection, event } = await connected({ base_url: peer.base_url, key });
    const cut = spokenAnswer(1, 'Once upon', SOUND, { status: 'cancelled', reason: 'turn_detected' });
    peer.say(...cut.slice(0, 6));
    peer.say({ type: 'input_audio_buffer.speech_started', item_id: 'item_u2', audio_start_ms: 5000 });
    peer.say(...cut.slice(6));
    expect(await event('response.completed')).toMatchObject({
      status: 'cancelled',
      reason: 'turn_detected',
      text: 'Once upon',
      audio_ms: 100,
    });
    connection.send({ type: 'truncate', item_id: 'item_a1', audio_ms: 40.7 });
    expect(await peer.next('conversation.item.truncate')).toMatchObject({ item_id: 'item_a1', audio_end_ms: 40 });
    peer.say({ type: 'conversation.item.truncated', item_id: 'item_a1', content_index: 0, audio_end_ms: 40 });
    expect(await event('item.truncated')).toEqual({ type: 'item.truncated', item_id: 'item_a1', audio_ms: 40 });
  });

  test('a failed answer has an error in our codes', async () => {
    const peer = await provider();
    const { event } = await connected({ base_url: peer.base_url, key });
    peer.say({
      type: 'response.done',
      response: {
        id: 'resp_1',
        conversation_id: 'conv_1',
        status: 'failed',
        status_details: { type: 'failed', error: { code: 'rate_limit_exceeded', message: 'slow down' } },
        output: [],
        usage: null,
      },
    });
    expect(await event('response.completed')).toMatchObject({
      status: 'failed',
      error: { code: 'resource_exhausted', retryable: true, message: 'slow down' },
    });
  });

  test('a cancel that came too late is what was wanted', async () => {
    const peer = await provider();
    const { connection, events, frames, frame } = await connected({ base_url: peer.base_url, key });
    connection.send({ type: 'cancel' });
    const { event_id } = await peer.next('response.cancel');
    peer.say(
      { type: 'error', error: { type: 'invalid_request_error', code: 'response_cancel_not_active', event_id } },
      { type: 'vendor.mark' },
    );
    await frame('vendor.mark');
    expect(events).toEqual([]);
    expect(frames.map((one) => one.type)).toEqual(['session.created', 'vendor.mark']);
  });
});

describe('tools', () => {
  const call = (n: number, status = 'completed') => ({
    id: `item_f${n}`,
    object: 'realtime.item',
    type: 'function_call',
    status,
    name: 'lookup',
    call_id: `call_${n}`,
    arguments: `{"n":${n}}`,
  });

  test('parallel calls are told once each, and the client sees none of it', async () => {
    const peer = await provider();
    const { connection, events, frames, frame } = await connected({ base_url: peer.base_url, key });
    const response = { id: 'resp_1', conversation_id: 'conv_1', status: 'completed', status_details: null };
    for (const n of [1, 2]) {
      const item = call(n);
      const at = { response_id: 'resp_1', output_index: n - 1, item_id: item.id, call_id: item.call_id };
      peer.say(
        { type: 'response.output_item.added', response_id: 'resp_1', output_index: n - 1, item },
        { type: 'conversation.item.added', previous_item_id: n === 1 ? 'item_u' : 'item_f1', item },
        { type: 'response.function_call_arguments.delta', ...at, delta: item.arguments },
        { type: 'response.function_call_arguments.done', ...at, name: 'lookup', arguments: item.arguments },
        { type: 'conversation.item.done', previous_item_id: null, item },
        { type: 'response.output_item.done', response_id: 'resp_1', output_index: n - 1, item },
      );
    }
    peer.say({ type: 'response.done', response: { ...response, output: [call(1), call(2), call(3, 'incomplete')] } });
    const done = await frame('response.done');
    expect(done['response']).toMatchObject({ id: 'resp_1', output: [] });
    expect(events.filter((one) => one.type === 'tool.called')).toEqual([
      {
        type: 'tool.called',
        call_id: 'call_1',
        name: 'lookup',
        arguments: '{"n":1}',
        source: 'model',
        response_id: 'resp_1',
      },
      {
        type: 'tool.called',
        call_id: 'call_2',
        name: 'lookup',
        arguments: '{"n":2}',
        source: 'model',
        response_id: 'resp_1',
      },
    ]);
    connection.send({ type: 'tool_output', call_id: 'call_1', output: '{"ok":true}' });
    const created = await peer.next('conversation.item.create');
    expect(created['item']).toMatchObject({ type: 'function_call_output', call_id: 'call_1', output: '{"ok":true}' });
    // What follows a hidden item is shown as following the visible one before it.
    const answer = { id: 'item_a', type: 'message', role: 'assistant', content: [] };
    peer.say({ type: 'conversation.item.added', previous_item_id: 'item_f2', item: answer });
    expect(await frame('conversation.item.added')).toMatchObject({ previous_item_id: 'item_u', item: answer });
    expect(frames.map((one) => one.text).join()).not.toMatch(/function_call|lookup/);
  });
});

describe('media', () => {
  test('sound and unknown frames reach the client in the bytes that they came in, in order', async () => {
    const peer = await provider();
    const { connection, frames, frame } = await connected({ base_url: peer.base_url, key });
    const texts = spokenAnswer(1, 'Grüß Gott', SOUND)
      .filter((one) => one['type'] !== 'rate_limits.updated')
      .map((one) => JSON.stringify({ ...one, obfuscation: 'x' }, null, 1));
    for (const text of [...texts, '{"type":"vendor.new","a":1e2}']) peer.raw(text);
    await frame('vendor.new');
    expect(frames.slice(1).map((one) => one.text)).toEqual([...texts, '{"type":"vendor.new","a":1e2}']);
    expect(frames.filter((one) => one.kind === 'audio')).toHaveLength(2);
    expect(connection.media.counts()).toMatchObject({ reply_audio_ms: 100, frames_in: 14 });
  });

  test('a client never learns instructions and tools', async () => {
    const peer = await provider();
    const { connection, frames, frame } = await connected({ base_url: peer.base_url, key });
    expect(await frame('session.created')).toMatchObject({
      session: { id: 'sess_peer', instructions: '', tools: [], audio: { output: { voice: 'marin' } } },
    });
    connection.send({ type: 'update', instructions: 'A new secret.', turn_detection: null });
    await frame('session.updated');
    connection.send({ type: 'add_text', role: 'system', text: 'A whispered secret.' });
    const { item } = await peer.next('conversation.item.create');
    peer.say({ type: 'conversation.item.added', previous_item_id: null, item }, { type: 'vendor.mark' });
    await frame('vendor.mark');
    expect(frames.map((one) => one.text).join()).not.toMatch(/secret|lookup/);
  });

  test('what a client may not say does not pass, even when the caller forgot to look', async () => {
    const peer = await provider();
    const { connection, event } = await connected({ base_url: peer.base_url, key });
    connection.media.send(Buffer.from('{"type":"session.update","session":{"instructions":"x"}}'));
    expect(await event('provider.failed')).toMatchObject({
      command_id: 'client',
      error: { code: 'permission_denied' },
    });
    connection.media.send(Buffer.from('{"type":"session.update","type":"response.cancel"}'));
    await peer.next('response.cancel');
    expect(peer.received.filter((one) => one['type'] === 'session.update')).toHaveLength(1);
  });

  test('frames that came with the end of the handshake are kept in order', async () => {
    const peer = await provider({
      update: (self, update) => {
        self.say({ type: 'session.updated', session: update['session'] }, { type: 'vendor.first' });
        self.say(...spokenAnswer(1, 'Welcome.', SOUND));
      },
    });
    const { frames, event } = await connected({ base_url: peer.base_url, key });
    expect(await event('response.completed')).toMatchObject({ text: 'Welcome.', audio_ms: 100 });
    expect(frames.slice(0, 3).map((one) => one.type)).toEqual(['session.created', 'vendor.first', 'response.created']);
  });
});

describe('the end', () => {
  test.each([
    [1001, 'session_expired', true],
    [3000, 'invalid_request_error.invalid_api_key', false],
    [4000, 'invalid_request_error.beta_api_shape_disabled', false],
    [1011, 'oops', true],
    [1000, 'bye', false],
  ])('a close with %i is recoverable or not', async (code, reason, recoverable) => {
    const peer = await provider();
    const { connection } = await connected({ base_url: peer.base_url, key });
    peer.close(code, reason);
    expect(await connection.closed).toMatchObject({ code, reason, recoverable, error: { retryable: recoverable } });
  });

  test('a cut connection is 1006, and nothing is told after it', async () => {
    const peer = await provider();
    const { connection, events } = await connected({ base_url: peer.base_url, key });
    peer.cut();
    expect(await connection.closed).toMatchObject({ code: 1006, recoverable: true, error: { code: 'unavailable' } });
    connection.send({ type: 'respond' });
    connection.media.send(Buffer.from('{"type":"response.cancel"}'));
    connection.close();
    expect(events).toEqual([]);
  });

  test('an expired session says so', async () => {
    const peer = await provider();
    const { connection, event } = await connected({ base_url: peer.base_url, key });
    peer.say({ type: 'error', error: { type: 'invalid_request_error', code: 'session_expired', message: 'an hour' } });
    peer.close(1001, 'an hour');
    expect(await connection.closed).toMatchObject({
      code: 1001,
      recoverable: true,
      error: { message: 'an hour', details: { provider_code: 'session_expired' } },
    });
    expect(await event('provider.failed')).toMatchObject({ provider_code: 'session_expired' });
  });

  test('our own close is not an error', async () => {
    const peer = await provider();
    const { connection } = await connected({ base_url: peer.base_url, key });
    connection.close('handler_completed');
    expect(await connection.closed).toEqual({ code: 1000, reason: 'handler_completed', recoverable: false });
  });
});
