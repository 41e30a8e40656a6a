import { RealtimeAgent, RealtimeSession, OpenAIRealtimeWebSocket, tool } from '@openai/agents-realtime';
import OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseScript } from './script.ts';
import { type Simulator, startSimulator } from './simulator.ts';
import { decodeSpeech, encodeSpeech } from './speech.ts';
import { faultsOf, faultsOfEvent } from './schema.test.support.ts';
import { samples } from './wire-client.test.support.ts';
import type { ServerEvent, Wire } from './wire.ts';

// The clients that people use, as they are published, hold a call.

const SCRIPT = parseScript(`
rules:
  - heard: "order (\\\\d+)"
    call: { name: lookup_order, arguments: { order: "$1" } }
    then: "Order $1 ships on {{output.ship_day}}."
  - heard: "story"
    say: "Once upon a time there was a parcel that travelled through seven countries, and in each of them it met somebody who had waited for another parcel for so long that they told it about their life."
`);
const TOOL = {
  type: 'function' as const,
  name: 'lookup_order',
  description: 'Looks up an order',
  parameters: {
    type: 'object',
    properties: { order: { type: 'string' } },
    required: ['order'],
    additionalProperties: false,
  },
};

let simulator: Simulator;
beforeAll(async () => {
  simulator = await startSimulator({ script: SCRIPT, voice: 'coded', tlsPort: 0, pace: 20 });
});
afterAll(() => simulator.close());

function base64(pcm: Int16Array): string {
  return Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength).toString('base64');
}

test('the openai client holds a call over wss: sound, a tool and an interruption', async () => {
  const { ca, url } = simulator.tls as { ca: string; url: string };
  const openai = new OpenAI({ apiKey: 'sk-test', baseURL: `${url}/v1` });
  const realtime = new OpenAIRealtimeWS({ model: 'gpt-realtime-2.1', options: { ca } }, openai);
  const events: ServerEvent[] = [];
  const waiting = new Set<() => void>();
  realtime.on('event', (event) => {
    events.push(event as unknown as ServerEvent);
    for (const go of waiting) go();
  });
  realtime.on('error', (error) => {
    throw error;
  });
  let seen = 0;
  const next = async (type: string): Promise<ServerEvent> => {
    for (;;) {
      const index = events.findIndex((event, at) => at >= seen && event.type === type);
      if (index >= 0) {
        seen = index + 1;
        return events[index] as ServerEvent;
      }
      await new Promise<void>((resolve) => {
        const go = () => {
          waiting.delete(go);
          resolve();
        };
        waiting.add(go);
      });
    }
  };
  await next('session.created');
  realtime.send({ type: 'session.update', session: { type: 'realtime', tools: [TOOL] } });
  await next('session.updated');

  realtime.send({ type: 'input_audio_buffer.append', audio: base64(await encodeSpeech('where is order 1042')) });
  const call = await next('response.function_call_arguments.done');
  expect(call).toMatchObject({ name: 'lookup_order', arguments: '{"order":"1042"}' });
  await next('response.done');
  realtime.send({
    type: 'conversation.item.create',
    item: { type: 'function_call_output', call_id: call['call_id'] as string, output: '{"ship_day":"Tuesday"}' },
  });
  realtime.send({ type: 'response.create' });
  const answer = (await next('response.done'))['response'] as Wire;
  const audio = events
    .filter((event) => event.type === 'response.output_audio.delta' && event['response_id'] === answer['id'])
    .map((event) => Buffer.from(event['delta'] as string, 'base64'));
  expect(await decodeSpeech(samples(Buffer.concat(audio)), 24_000)).toBe('Order 1042 ships on Tuesday.');

  realtime.send({ type: 'input_audio_buffer.append', audio: base64(await encodeSpeech('tell me a story')) });
  const delta = await next('response.output_audio.delta');
  realtime.send({ type: 'input_audio_buffer.append', audio: base64(await encodeSpeech('stop')) });
  await next('input_audio_buffer.speech_started');
  const cut = (await next('response.done'))['response'] as Wire;
  expect(cut).toMatchObject({
    id: delta['response_id'],
    status: 'cancelled',
    status_details: { reason: 'turn_detected' },
  });
  realtime.send({
    type: 'conversation.item.truncate',
    item_id: delta['item_id'] as string,
    content_index: 0,
    audio_end_ms: 200,
  });
  await next('conversation.item.truncated');
  const last = (await next('response.done'))['response'] as { output: { content: { transcript: string }[] }[] };
  expect(last.output[0]?.content[0]?.transcript).toBe('You said: stop');
  expect(events.flatMap(faultsOfEvent)).toEqual([]);
  realtime.close();
});

test('the openai client makes a client secret, and the secret opens a session with its config', async () => {
  const openai = new OpenAI({ apiKey: 'sk-test', baseURL: `${simulator.url}/v1` });
  const secret = await openai.realtime.clientSecrets.create({
    expires_after: { anchor: 'created_at', seconds: 60 },
    session: { type: 'realtime', model: 'gpt-realtime-2.1-mini', instructions: 'Be brief.' },
  });
  expect(faultsOf('RealtimeCreateClientSecretResponse', secret as unknown as Wire)).toEqual([]);
  const transport = new OpenAIRealtimeWebSocket({ url: simulator.wsUrl, useInsecureApiKey: true });
  const created = new Promise<Wire>((resolve) => {
    transport.on('*', (event: Wire) => {
      if (event['type'] === 'session.created') resolve(event['session'] as Wire);
    });
  });
  await transport.connect({ apiKey: secret.value, model: 'gpt-realtime-2.1-mini' });
  expect(await created).toMatchObject({ instructions: 'Be brief.', model: 'gpt-realtime-2.1-mini' });
  transport.close();
  await expect(
    new OpenAI({ apiKey: 'sk-invalid', baseURL: `${simulator.url}/v1`, maxRetries: 0 }).realtime.clientSecrets.create(
      {},
    ),
  ).rejects.toMatchObject({ status: 401, code: 'invalid_api_key' });
});

test.each(['ws', 'wss'])('a RealtimeSession of agents-realtime holds a call over %s', async (scheme) => {
  const asked: unknown[] = [];
  const lookup = tool({
    name: 'lookup_order',
    description: 'Looks up an order',
    parameters: TOOL.parameters as never,
    strict: false as never,
    execute: async (input: unknown) => {
      asked.push(input);
      return JSON.stringify({ ship_day: 'Tuesday' });
    },
  });
  const agent = new RealtimeAgent({ name: 'support', instructions: 'Help with orders.', tools: [lookup] });
  const url = scheme === 'ws' ? simulator.wsUrl : (simulator.tls?.wsUrl as string);
  const transport = new OpenAIRealtimeWebSocket({
    url: `${url}?model=gpt-realtime-2.1`,
    ...(scheme === 'wss' ? { createWebSocket: trusting(simulator.tls?.ca as string) } : {}),
  });
  const session = new RealtimeSession(agent, { transport, model: 'gpt-realtime-2.1' });
  const errors: unknown[] = [];
  const events: Wire[] = [];
  const sound: Buffer[] = [];
  let interrupted = 0;
  session.on('error', (error) => errors.push(error));
  session.on('audio_interrupted', () => interrupted++);
  session.on('audio', ({ data }) => sound.push(Buffer.from(data)));
  session.on('transport_event', (event) => events.push(event as Wire));
  await session.connect({ apiKey: 'sk-test' });

  const spoke = (text: string) =>
    until(session, () =>
      events.some((event) => event['type'] === 'response.output_audio_transcript.done' && event['transcript'] === text),
    );
  const say = async (text: string) => {
    const pcm = await encodeSpeech(text);
    session.sendAudio(Uint8Array.from(Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength)).buffer);
  };
  await say('where is order 1042');
  await spoke('Order 1042 ships on Tuesday.');
  expect(asked).toEqual([{ order: '1042' }]);
  await until(session, () => count(events, 'response.done') >= 2);
  expect(await decodeSpeech(samples(Buffer.concat(sound)), 24_000)).toBe('Order 1042 ships on Tuesday.');

  const before = count(events, 'response.output_audio.delta');
  await say('tell me a story');
  await until(session, () => count(events, 'response.output_audio.delta') > before);
  await say('stop');
  await spoke('You said: stop');
  expect(interrupted).toBeGreaterThan(0);
  expect(count(events, 'conversation.item.truncated')).toBeGreaterThan(0);
  expect(errors.filter((error) => !JSON.stringify(error).includes('response_cancel_not_active'))).toEqual([]);
  expect(events.filter((event) => event['event_id'] !== undefined).flatMap(faultsOfEvent)).toEqual([]);
  session.close();
});

function count(events: Wire[], type: string): number {
  return events.filter((event) => event['type'] === type).length;
}

function until(session: RealtimeSession, test: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = () => {
      if (!test()) return;
      session.off('transport_event', look);
      resolve();
    };
    session.on('transport_event', look);
    look();
  });
}

/** agents-realtime takes a socket of one's own where the certificate is not a public one. */
function trusting(ca: string) {
  return async ({ url, apiKey }: { url: string; apiKey: string }) => {
    const { WebSocket } = await import('ws');
    return new WebSocket(url, { ca, headers: { Authorization: `Bearer ${apiKey}` } }) as never;
  };
}
