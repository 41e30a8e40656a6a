// Whole turns over HTTP: sound and words in, the answer out, against a simulator that answers by chat completions.

import type { TurnResponse } from '@parley/core';
import { Agent, type SessionOptions } from '@parley/session';
import { decodeSpeech, encodeSpeech, readWav, writeWav } from '@parley/simulator/speech';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { House } from './support/house.ts';
import { supportAgent } from './support/support-agent.ts';
import { oggOpus } from './support/ogg-opus.ts';

const TURNS: Partial<SessionOptions> = {
  provider: 'simulator',
  transport: 'audio_turns',
  modalities: ['audio', 'text'],
};

let house: House;
const support = supportAgent(TURNS);
beforeAll(async () => {
  house = await House.open({ simulator: { pace: 40 } });
  support.agent.session('muted', { ...TURNS, provider: 'simulator', transport: 'audio_turns', clientEvents: ['text'] });
  support.agent.session('socket', { provider: 'simulator', transport: 'websocket' });
  support.agent.session('desk', { ...TURNS, provider: 'simulator', transport: 'audio_turns' }, async (session) => {
    for await (const turn of session) await session.say(`The desk heard: ${turn.text}`);
  });
  await house.serve(support.agent);
});
afterAll(() => house[Symbol.asyncDispose]());

async function wav(text: string, rate = 24_000): Promise<Uint8Array> {
  return writeWav(await encodeSpeech(text, { sampleRate: rate }), rate);
}

interface Sent {
  status: number;
  headers: Headers;
  bytes: Buffer;
  json: () => TurnResponse & { error?: { code: string; message: string } };
}

async function send(
  session_id: string,
  body: Uint8Array | object,
  headers: Record<string, string> = {},
): Promise<Sent> {
  const sound = body instanceof Uint8Array;
  const response = await fetch(`${house.server.url}/api/v1/sessions/${session_id}/turns`, {
    method: 'POST',
    headers: { 'content-type': sound ? 'audio/wav' : 'application/json', ...headers },
    body: sound ? new Uint8Array(body) : JSON.stringify(body),
  });
  const bytes = Buffer.from(await response.arrayBuffer());
  const json = () => JSON.parse(bytes.toString()) as ReturnType<Sent['json']>;
  return { status: response.status, headers: response.headers, bytes, json };
}

function heardIn(bytes: Uint8Array): Promise<string> {
  const { samples, sampleRate } = readWav(bytes);
  return decodeSpeech(samples, sampleRate);
}

test('a WAV is a turn: written down, answered in words and in sound', async () => {
  const session = await house.start('support.voice');
  expect(session.model).toBe('gpt-audio');
  expect(session.urls.turns).toBe(`/api/v1/sessions/${session.session_id}/turns`);
  const answer = (await send(session.session_id, await wav('good morning'))).json();
  expect(answer).toMatchObject({
    session_id: session.session_id,
    turn_id: expect.stringMatching(/^turn_/),
    user_text: 'good morning',
    text: 'You said: good morning',
    interrupted: false,
    tool_calls: [],
    audio: { format: 'wav', sample_rate: 24_000 },
  });
  expect(answer.usage?.output_audio_tokens).toBeGreaterThan(0);
  const bytes = Buffer.from(answer.audio?.data ?? '', 'base64');
  expect(await heardIn(bytes)).toBe('You said: good morning');
  expect(answer.audio?.audio_ms).toBe(Math.round((bytes.length - 44) / 48));
});

test('sound of a telephone, in JSON, and in Opus says the same', async () => {
  const { session_id } = await house.start('support.voice');
  expect((await send(session_id, await wav('over the line', 8000))).json().user_text).toBe('over the line');
  const pcm = await encodeSpeech('as samples', { sampleRate: 16_000 });
  const data = Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength).toString('base64');
  const inJson = await send(session_id, {
    audio: { format: 'pcm16', sample_rate: 16_000, data },
    reply_format: 'none',
  });
  expect(inJson.json()).toMatchObject({ user_text: 'as samples', text: 'You said: as samples' });
  expect(inJson.json().audio).toBeUndefined();
  const ogg = oggOpus(await encodeSpeech('as opus', { sampleRate: 48_000 }));
  const inOgg = await send(session_id, ogg, { 'content-type': 'audio/ogg; codecs=opus' });
  expect(inOgg.json()).toMatchObject({ user_text: 'as opus', text: 'You said: as opus' });
});

test('words are a turn too, and the answer can be sound alone', async () => {
  const { session_id } = await house.start('support.voice');
  const { headers, bytes } = await send(session_id, { text: 'typed words' }, { accept: 'audio/wav' });
  expect(headers.get('content-type')).toBe('audio/wav');
  expect(headers.get('x-turn-id')).toMatch(/^turn_/);
  expect(readWav(bytes).samples.length).toBeGreaterThan(24_000);
});

test('a tool of the model runs on the server within the turn, and the answer is about its output', async () => {
  const { session_id } = await house.start('support.voice');
  const answer = (await send(session_id, await wav('where is order 1'))).json();
  expect(answer.text).toBe('Order 1 ships on Monday.');
  expect(answer.tool_calls).toEqual([
    expect.objectContaining({ name: 'find_order', status: 'succeeded', output: { day: 'Monday' } }),
  ]);
  const log = await house.api.events(session_id);
  expect(log.map(({ type }) => type)).toEqual(
    expect.arrayContaining(['turn.requested', 'turn.started', 'turn.completed', 'tool.called', 'tool.answered']),
  );
});

test('a handler answers turns, and turns are told one after the other', async () => {
  const { session_id } = await house.start('support.desk');
  for (const words of ['the first', 'the second']) {
    const answer = (await send(session_id, await wav(words))).json();
    expect(answer).toMatchObject({ user_text: words, text: `The desk heard: ${words}` });
    expect(await heardIn(Buffer.from(answer.audio?.data ?? '', 'base64'))).toBe(`The desk heard: ${words}`);
  }
  const { turns } = await house.api.get<{ turns: number }>(`/api/v1/sessions/${session_id}`);
  expect(turns).toBe(2);
});

test('as a stream, words and sound come as they are made', async () => {
  const { session_id } = await house.start('support.voice');
  const { headers, bytes } = await send(session_id, await wav('stream this'), { accept: 'text/event-stream' });
  expect(headers.get('content-type')).toContain('text/event-stream');
  const entries = bytes
    .toString()
    .split('\n\n')
    .map((block) => ({ event: /^event: (.*)$/m.exec(block)?.[1], data: /^data: (.*)$/m.exec(block)?.[1] ?? '' }))
    .filter(({ event }) => event !== undefined);
  const of = (name: string) => entries.filter(({ event }) => event === name);
  const sound = of('audio.delta').map(({ data }) =>
    Buffer.from((JSON.parse(data) as { audio: string }).audio, 'base64'),
  );
  expect(sound.length).toBeGreaterThan(3);
  const pcm = new Int16Array(Uint8Array.from(Buffer.concat(sound)).buffer);
  expect(await decodeSpeech(pcm, 24_000)).toBe('You said: stream this');
  expect(
    of('text.delta')
      .map(({ data }) => (JSON.parse(data) as { text: string }).text)
      .join(''),
  ).toBe('You said: stream this');
  expect(of('turn.started')).toHaveLength(1);
  expect(of('response.completed')).toHaveLength(1);
  const last = entries.at(-1);
  expect(last?.event).toBe('turn.answered');
  expect(JSON.parse(last?.data ?? '')).toMatchObject({ user_text: 'stream this', text: 'You said: stream this' });
});

test('a second turn at a time is refused, and the first goes on', async () => {
  const { session_id } = await house.start('support.voice');
  const first = send(session_id, await wav('slow'));
  const release = await support.slow;
  const second = await send(session_id, { text: 'me too' });
  expect(second.status).toBe(409);
  expect(second.json().error).toMatchObject({ code: 'aborted', message: expect.stringContaining('another turn') });
  release({ done: true });
  expect((await first).json()).toMatchObject({ text: 'It took its time.', tool_calls: [{ status: 'succeeded' }] });
});

test('the same key and turn again is the same answer, and another turn is refused', async () => {
  const { session_id } = await house.start('support.voice');
  const sound = await wav('only once');
  const key = { 'idempotency-key': 'turn-1' };
  const [one, two] = await Promise.all([send(session_id, sound, key), send(session_id, sound, key)]);
  expect(one.json()).toEqual(two.json());
  expect((await send(session_id, sound, key)).json().turn_id).toBe(one.json().turn_id);
  const other = await send(session_id, { text: 'something else' }, key);
  expect(other.json().error).toMatchObject({ code: 'already_exists' });
  const { turns } = await house.api.get<{ turns: number }>(`/api/v1/sessions/${session_id}`);
  expect(turns).toBe(1);
});

test('who hangs up ends the answer at the provider, and the next turn is answered', async () => {
  const { session_id } = await house.start('support.voice');
  const gone = new AbortController();
  const response = await fetch(`${house.server.url}/api/v1/sessions/${session_id}/turns`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'text/event-stream' },
    body: JSON.stringify({ text: 'tell me everything '.repeat(40) }),
    signal: gone.signal,
  });
  const reader = response.body?.getReader();
  for (let seen = ''; !seen.includes('audio.delta'); )
    seen += Buffer.from((await reader?.read())?.value ?? []).toString();
  gone.abort();
  await vi.waitFor(() => expect(house.simulator.turns().at(-1)?.status).toBe('aborted'));
  const cut = await house.api.until(session_id, 'response.completed');
  expect(cut).toMatchObject({ status: 'cancelled', reason: 'client_cancelled' });
  await vi.waitFor(async () => expect((await send(session_id, { text: 'again' })).json().text).toBe('You said: again'));
});

test('what the provider fails with is the answer, with its status', async () => {
  const { session_id } = await house.start('support.voice');
  house.simulator.faults.add({ when: 'request', kind: 'status', status: 402, match: { type: 'chat' } });
  const poor = await send(session_id, { text: 'hello' });
  expect(poor.status).toBe(429);
  expect(poor.json().error).toMatchObject({ code: 'resource_exhausted', retryable: false, details: { status: 402 } });
  house.simulator.faults.add({ when: 'chunk', kind: 'error_chunk', after: 3 });
  const broken = await send(session_id, { text: 'hello' }, { accept: 'text/event-stream' });
  expect(broken.bytes.toString()).toMatch(/event: error\ndata: .*"code":"unavailable".*Upstream provider/);
  expect((await send(session_id, { text: 'hello' })).json().text).toBe('You said: hello');
});

test('a provider that never answers ends at the time that was asked for', async () => {
  const { session_id } = await house.start('support.voice');
  house.simulator.faults.add({ when: 'request', kind: 'stall', match: { type: 'chat' } });
  const late = await send(session_id, { text: 'hello', timeout_ms: 300 });
  expect(late.status).toBe(504);
  expect(late.json().error).toMatchObject({ code: 'deadline_exceeded', message: expect.stringContaining('300 ms') });
  expect((await send(session_id, { text: 'hello' })).json().text).toBe('You said: hello');
});

test('a provider that cannot be had ends the session and the turn, with the reason', async () => {
  house.simulator.faults.add({ when: 'request', kind: 'status', status: 401, match: { type: 'probe' } });
  const { session_id } = await house.start('support.voice');
  const refused = await send(session_id, { text: 'hello' });
  expect(refused.status).toBe(401);
  expect(refused.json().error).toMatchObject({ code: 'unauthenticated', details: { boundary: 'parley -> provider' } });
  expect((await send(session_id, { text: 'hello' })).json().error?.code).toBe('failed_precondition');
});

test('what is no turn is refused before anything is asked of the provider', async () => {
  const { session_id } = await house.start('support.voice');
  const socket = await house.start('support.socket');
  const muted = await house.start('support.muted');
  const data = Buffer.alloc(48 * 200).toString('base64');
  const before = house.simulator.turns().length;
  const cases: [Promise<Sent>, number, string, RegExp][] = [
    [send(session_id, {}), 400, 'invalid_argument', /either text or audio/],
    [
      send(session_id, { text: 'a', audio: { format: 'pcm16', data } }),
      400,
      'invalid_argument',
      /either text or audio/,
    ],
    [send(session_id, { audio: { format: 'mp3', data } }), 400, 'invalid_argument', /opus, pcm16, wav/],
    [send(session_id, { audio: { format: 'pcm16', data: 'not base64!' } }), 400, 'invalid_argument', /base64/],
    [send(session_id, { audio: { format: 'pcm16', data: 'AAAA' } }), 400, 'invalid_argument', /at least 100 ms/],
    [send(session_id, Buffer.from('no sound at all')), 400, 'invalid_argument', /not a WAV/],
    [send(session_id, Buffer.from('OggS'), { 'content-type': 'audio/ogg' }), 400, 'invalid_argument', /Ogg Opus/],
    [
      send(session_id, Buffer.alloc(9), { 'content-type': 'audio/mpeg' }),
      400,
      'invalid_argument',
      /audio\/wav.*audio\/mpeg/,
    ],
    [send(session_id, writeWav(new Int16Array(8000 * 121), 8000)), 400, 'invalid_argument', /at most 120000 ms/],
    [send(session_id, Buffer.alloc(9 * 1024 * 1024)), 429, 'resource_exhausted', /larger than/],
    [send(session_id, { text: 'a', timeout_ms: 999_999 }), 400, 'invalid_argument', /timeout_ms/],
    [send(socket.session_id, { text: 'a' }), 400, 'failed_precondition', /'websocket'.*'audio_turns'/],
    [
      send(muted.session_id, { audio: { format: 'pcm16', data } }),
      403,
      'permission_denied',
      /'audio' in client_events/,
    ],
    [send('sess_none', { text: 'a' }), 404, 'not_found', /no session/],
  ];
  for (const [answer, status, code, message] of cases) {
    const { status: got, json } = await answer;
    expect([got, json().error?.code]).toEqual([status, code]);
    expect(json().error?.message).toMatch(message);
  }
  expect(house.simulator.turns()).toHaveLength(before);
});

test('a client that streams joins the same session over a socket, and the server hears when it speaks', async () => {
  const { session, client } = await house.call('support.voice');
  const pcm = await encodeSpeech('over the socket', { sampleRate: 24_000 });
  const all = Buffer.concat([Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength), Buffer.alloc(48 * 1000)]);
  for (let at = 0; at < all.length; at += 960) {
    client.send({ type: 'input_audio_buffer.append', audio: all.subarray(at, at + 960).toString('base64') });
  }
  await client.next('input_audio_buffer.speech_started');
  await client.next('response.done');
  expect(await house.api.until(session.session_id, 'turn.completed')).toMatchObject({ text: 'over the socket' });
});

test('a token takes turns of its own session and of no other', async () => {
  await using locked = await House.open({ keys: ['a-key-of-sixteen-characters'] });
  const other = new Agent('support');
  other.session('voice', { provider: 'simulator', transport: 'audio_turns' });
  await locked.serve(other);
  const [mine, yours] = [await locked.start('support.voice'), await locked.start('support.voice')];
  const post = async (id: string, token: string) => {
    const { status } = await locked.api.as(token).call('POST', `/api/v1/sessions/${id}/turns`, { text: 'hello' });
    return status;
  };
  expect(await post(mine.session_id, mine.client_token)).toBe(200);
  expect(await post(yours.session_id, mine.client_token)).toBe(403);
});
