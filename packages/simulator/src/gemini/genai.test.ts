import { once } from 'node:events';
import { type CreateAuthTokenConfig, GoogleGenAI, type LiveServerMessage, Modality, type Session } from '@google/genai';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { decodeSpeech, encodeSpeech } from '../speech.ts';
import { parseScript } from '../script.ts';
import { type Simulator, startSimulator } from '../simulator.ts';

// Google's own client, as it comes from npm, against the simulator.

let simulator: Simulator;
beforeAll(async () => {
  const script = parseScript(`
rules:
  - heard: "order (\\\\d+)"
    call: { name: lookup_order, arguments: { order: "$1" } }
    then: "It ships on {{output.ship_day}}."
otherwise: "You said: {{heard}}"
`);
  simulator = await startSimulator({ script, voice: 'coded', pace: 40 });
});
afterAll(() => simulator.close());

interface Live {
  session: Session;
  messages: LiveServerMessage[];
  /** Waits until the messages so far hold something. */
  until: (holds: (messages: LiveServerMessage[]) => boolean) => Promise<void>;
  closed: Promise<{ code: number; reason: string }>;
}

async function live(config: object, apiKey = 'any', apiVersion = 'v1beta'): Promise<Live> {
  const client = new GoogleGenAI({ apiKey, httpOptions: { baseUrl: simulator.url, apiVersion } });
  const messages: LiveServerMessage[] = [];
  const arrivals = new EventTarget();
  const ended = Promise.withResolvers<{ code: number; reason: string }>();
  const session = await client.live.connect({
    model: 'gemini-3.8-live',
    config,
    callbacks: {
      onmessage: (message) => {
        messages.push(message);
        arrivals.dispatchEvent(new Event('message'));
      },
      onclose: ({ code, reason }) => ended.resolve({ code, reason }),
    },
  });
  const until = async (holds: (all: LiveServerMessage[]) => boolean): Promise<void> => {
    while (!holds(messages)) await once(arrivals, 'message');
  };
  return { session, messages, until, closed: ended.promise };
}

const complete = (messages: LiveServerMessage[]): boolean =>
  messages.some((message) => message.serverContent?.turnComplete === true);

test('a text turn is answered in text', async () => {
  const { session, messages, until } = await live({ responseModalities: [Modality.TEXT] });
  session.sendClientContent({ turns: 'good morning', turnComplete: true });
  await until(complete);
  expect(messages.map((message) => message.text ?? '').join('')).toBe('You said: good morning');
  expect(messages.at(-1)?.usageMetadata?.totalTokenCount).toBeGreaterThan(0);
  session.close();
});

test('what is spoken at 16 kHz is heard, and the answer is sound at 24 kHz', async () => {
  const { session, messages, until } = await live({
    responseModalities: [Modality.AUDIO],
    inputAudioTranscription: {},
    outputAudioTranscription: {},
  });
  const said = await encodeSpeech('hello gemini', { sampleRate: 16_000 });
  const sound = Buffer.concat([
    Buffer.from(said.buffer, said.byteOffset, said.byteLength),
    Buffer.alloc(16 * 2 * 1500),
  ]);
  for (let at = 0; at < sound.length; at += 640) {
    const data = sound.subarray(at, at + 640).toString('base64');
    session.sendRealtimeInput({ audio: { data, mimeType: 'audio/pcm;rate=16000' } });
  }
  await until(complete);
  const contents = messages.map((message) => message.serverContent);
  expect(contents.map((content) => content?.inputTranscription?.text ?? '').join('')).toBe('hello gemini');
  expect(contents.map((content) => content?.outputTranscription?.text ?? '').join('')).toBe('You said: hello gemini');
  expect(contents.findIndex((one) => one?.generationComplete)).toBeLessThan(
    contents.findIndex((one) => one?.turnComplete),
  );
  const parts = contents.flatMap((content) => content?.modelTurn?.parts ?? []);
  expect(parts[0]?.inlineData?.mimeType).toBe('audio/pcm;rate=24000');
  const reply = Buffer.concat(parts.map((part) => Buffer.from(part.inlineData?.data ?? '', 'base64')));
  const samples = new Int16Array(reply.buffer.slice(reply.byteOffset, reply.byteOffset + reply.length));
  expect(await decodeSpeech(samples, 24_000)).toContain('You said: hello gemini');
  session.close();
});

test('a tool is called with an object, and the answer goes on by itself', async () => {
  const { session, messages, until } = await live({
    responseModalities: [Modality.TEXT],
    tools: [{ functionDeclarations: [{ name: 'lookup_order', parametersJsonSchema: { type: 'object' } }] }],
  });
  session.sendClientContent({ turns: 'order 42', turnComplete: true });
  await until((all) => all.some((message) => message.toolCall));
  const [call] = messages.find((message) => message.toolCall)?.toolCall?.functionCalls ?? [];
  expect(call).toMatchObject({ name: 'lookup_order', args: { order: expect.anything() } });
  session.sendToolResponse({
    functionResponses: [{ id: call?.id as string, name: 'lookup_order', response: { ship_day: 'Friday' } }],
  });
  await until(complete);
  expect(messages.map((message) => message.text ?? '').join('')).toBe('It ships on Friday.');
  session.close();
});

test('a key that is not good ends the connection with a reason', async () => {
  const socket = new WebSocket(
    `${simulator.url.replace('http', 'ws')}/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent?key=sk-invalid`,
  );
  const [event] = (await once(socket, 'close')) as [CloseEvent];
  expect(event.code).toBe(1007);
  expect(event.reason).toContain('API key not valid');
});

test('a call among the turns of the client, and a list of no turns, end the connection with 1007', async () => {
  const call = { role: 'model', parts: [{ functionCall: { name: 'lookup_order', args: {} } }] };
  const output = { role: 'user', parts: [{ functionResponse: { name: 'lookup_order', response: {} } }] };
  for (const turns of [[call, output], []]) {
    const socket = new WebSocket(
      `${simulator.url.replace('http', 'ws')}/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent?key=any`,
    );
    await once(socket, 'open');
    socket.send('{"setup":{"model":"models/gemini-3.8-live"}}');
    socket.send(JSON.stringify({ clientContent: { turns, turnComplete: false } }));
    const [event] = (await once(socket, 'close')) as [CloseEvent];
    expect([event.code, event.reason]).toEqual([1007, 'Request contains an invalid argument.']);
  }
});

test('a first message that is no setup, and a key that nobody knows, end the connection with 1007', async () => {
  for (const message of [
    '{"clientContent":{}}',
    '{"setup":{"model":"models/m"},"vendor":{}}',
    '{"setup":{"modle":"m"}}',
  ]) {
    const socket = new WebSocket(
      `${simulator.url.replace('http', 'ws')}//ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent?key=any`,
    );
    await once(socket, 'open');
    socket.send(message);
    const [event] = (await once(socket, 'close')) as [CloseEvent];
    expect(event.code).toBe(1007);
  }
});

const tokenFor = async (config: CreateAuthTokenConfig): Promise<string> => {
  const client = new GoogleGenAI({ apiKey: 'any', httpOptions: { baseUrl: simulator.url, apiVersion: 'v1alpha' } });
  return (await client.authTokens.create({ config })).name ?? '';
};

test('a token opens one session, with what its maker locked', async () => {
  const liveConnectConstraints = {
    model: 'gemini-3.8-live',
    config: { responseModalities: [Modality.TEXT], systemInstruction: 'Be kind.' },
  };
  const token = await tokenFor({ uses: 1, liveConnectConstraints });
  expect(token).toMatch(/^auth_tokens\//);
  const { session, messages, until } = await live({ systemInstruction: 'Be rude.' }, token, 'v1alpha');
  session.sendClientContent({ turns: 'good morning', turnComplete: true });
  await until(complete);
  expect(messages.map((message) => message.text ?? '').join('')).toBe('You said: good morning');
  expect(simulator.sessions().at(-1)?.config()).toMatchObject({ instructions: 'Be kind.' });
  session.close();
  await expect(live({}, token, 'v1alpha')).rejects.toThrow(/too many times/);
});

test('a token that is too old for a new session opens none, and one that nobody made neither', async () => {
  const late = await tokenFor({ newSessionExpireTime: new Date(Date.now() - 1_000).toISOString() });
  await expect(live({}, late, 'v1alpha')).rejects.toThrow(/expired for new sessions/);
  await expect(live({}, 'auth_tokens/none', 'v1alpha')).rejects.toThrow(/not found/);
});

test('the session of a token ends when the token does', async () => {
  const token = await tokenFor({ expireTime: new Date(Date.now() + 700).toISOString() });
  const { closed } = await live({ responseModalities: [Modality.TEXT] }, token, 'v1alpha');
  expect(await closed).toMatchObject({ code: 1008, reason: 'Auth token has expired.' });
});
