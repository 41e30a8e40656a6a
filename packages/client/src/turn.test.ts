import { ParleyError, type TurnResponse } from '@parley/core';
import { expect, test } from 'vitest';
import { ParleyClient } from './client.ts';
import { FakeControlPlane, refusal } from './control-plane.test.fake.ts';
import { encodePcm } from './pcm.ts';
import { type TurnPart, turnSound } from './turn.ts';

const PATH = 'POST /api/v1/sessions/sess_1/turns';
const ANSWER: TurnResponse = {
  session_id: 'sess_1',
  turn_id: 'turn_1',
  user_text: 'hello',
  text: 'Hello.',
  audio: { format: 'wav', sample_rate: 24_000, audio_ms: 10, data: btoa('RIFFsound') },
  interrupted: false,
  tool_calls: [],
  duration_ms: 5,
};

test('words, files and samples are turns, and the sound of the answer is bytes', async () => {
  await using peer = await FakeControlPlane.start();
  peer.route(PATH, 'TurnRequest', () => ({ body: ANSWER, is: 'TurnResponse' }));
  const { sessions } = new ParleyClient({ url: peer.url });
  const wav = new TextEncoder().encode('RIFF…');
  await sessions.turn('sess_1', { text: 'hello' }, { replyFormat: 'none' });
  await sessions.turn('sess_1', { audio: wav });
  await sessions.turn('sess_1', { audio: new TextEncoder().encode('OggS…') }, { idempotencyKey: 'k1' });
  const answer = await sessions.turn('sess_1', { samples: new Int16Array([1, -1]), sampleRate: 16_000 });
  expect(peer.asked.map(({ body }) => body)).toEqual([
    { text: 'hello', reply_format: 'none' },
    { audio: { format: 'wav', data: Buffer.from(wav).toString('base64') } },
    { audio: { format: 'opus', data: Buffer.from('OggS…').toString('base64') } },
    { audio: { format: 'pcm16', data: 'AQD//w==', sample_rate: 16_000 } },
  ]);
  expect(peer.asked[2]?.headers['idempotency-key']).toBe('k1');
  expect(new TextDecoder().decode(turnSound(answer) ?? undefined)).toBe('RIFFsound');
  expect(turnSound({ ...ANSWER, audio: undefined as never })).toBeNull();
});

test('bytes that are neither WAV nor Ogg are refused before they are sent', async () => {
  await using peer = await FakeControlPlane.start();
  const { sessions } = new ParleyClient({ url: peer.url });
  const refused = sessions.turn('sess_1', { audio: new Uint8Array([1, 2, 3]) });
  await expect(refused).rejects.toThrow(/WAV file or Opus/);
  expect(peer.asked).toEqual([]);
});

test('a turn while another one is answered is told as the server tells it, and not sent again', async () => {
  await using peer = await FakeControlPlane.start();
  peer.route(PATH, 'TurnRequest', () => refusal(new ParleyError('aborted', 'another turn')));
  const { sessions } = new ParleyClient({ url: peer.url });
  await expect(sessions.turn('sess_1', { text: 'a' })).rejects.toMatchObject({ code: 'aborted' });
  expect(peer.asked).toHaveLength(1);
});

test('a stream yields what comes, and ends with the answer', async () => {
  await using peer = await FakeControlPlane.start();
  peer.route(PATH, 'TurnRequest', () => (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const send = (event: string, data: unknown) => response.write(`event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
    send('turn.started', { type: 'turn.started', seq: 4 });
    send('text.delta', { text: 'Hel' });
    send('audio.delta', { audio: encodePcm(new Int16Array([7, 8])) });
    response.write(': ping\n\n');
    send('turn.answered', { ...ANSWER, audio: undefined });
    response.end();
  });
  const { sessions } = new ParleyClient({ url: peer.url });
  const parts: TurnPart[] = [];
  for await (const part of sessions.turnStream('sess_1', { text: 'hello' })) parts.push(part);
  expect(parts).toMatchObject([
    { type: 'event', event: { type: 'turn.started' } },
    { type: 'text', delta: 'Hel' },
    { type: 'audio', samples: new Int16Array([7, 8]) },
    { type: 'answered', answer: { text: 'Hello.' } },
  ]);
});

test('a stream that breaks off, and one that fails, end in an error', async () => {
  await using peer = await FakeControlPlane.start();
  const sent = ['event: text.delta\ndata: {"text":"a"}\n\n'];
  peer.route(PATH, 'TurnRequest', () => (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(sent.join(''));
  });
  const { sessions } = new ParleyClient({ url: peer.url });
  const all = async () => {
    for await (const part of sessions.turnStream('sess_1', { text: 'hello' })) expect(part.type).toBe('text');
  };
  await expect(all()).rejects.toMatchObject({ code: 'unavailable', message: expect.stringContaining('broke off') });
  sent.push(
    `event: error\ndata: ${JSON.stringify(new ParleyError('resource_exhausted', 'no credit').toBody('req_1'))}\n\n`,
  );
  await expect(all()).rejects.toMatchObject({ code: 'resource_exhausted', message: 'no credit' });
});
