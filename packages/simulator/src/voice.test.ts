import { once } from 'node:events';
import { expect, test } from 'vitest';
import { findEspeak } from './espeak.ts';
import { startSimulator } from './simulator.ts';
import { decodeSpeech } from './speech.ts';
import { answered, connect, samples, WireClient } from './wire-client.test.support.ts';

test('a typed turn is spoken by espeak-ng where it is installed, and coded where it is not', async () => {
  const installed = await findEspeak();
  await using simulator = await startSimulator({ voice: 'auto' });
  await using client = await connect(simulator);
  client.type('hello');
  await answered(client);
  expect(client.audio().length).toBeGreaterThan(24_000);
  expect(await decodeSpeech(samples(client.audio()), 24_000)).toBe(installed ? '' : 'You said: hello');
  await client.say('hello in code');
  await answered(client);
  const second = client.of('response.created').at(-1)?.['response'] as { id: string };
  expect(await decodeSpeech(samples(client.audio(second.id)), 24_000)).toBe('You said: hello in code');
});

test('the certificate is good for the address that is listened on', async () => {
  await using simulator = await startSimulator({ tlsPort: 0 });
  const { ca, wsUrl } = simulator.tls as { ca: string; wsUrl: string };
  await using client = new WireClient(wsUrl, ['realtime', 'openai-insecure-api-key.sk-1'], { ca });
  await client.next('session.created');
  const stranger = new WireClient(wsUrl, ['realtime', 'openai-insecure-api-key.sk-1']);
  const [error] = (await once(stranger.socket, 'error')) as [{ code: string }];
  expect(error.code).toContain('SELF_SIGNED');
});

test('a simulator that is closed has cut its sessions and freed its port', async () => {
  const simulator = await startSimulator();
  await using client = await connect(simulator);
  await simulator.close();
  expect((await client.closed).code).toBe(1006);
  await using again = await startSimulator({ port: Number(new URL(simulator.url).port) });
  expect(again.url).toBe(simulator.url);
  await expect(startSimulator({ port: Number(new URL(again.url).port) })).rejects.toThrow('EADDRINUSE');
});
