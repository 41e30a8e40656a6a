import { once } from 'node:events';
import { request } from 'node:http';
import OpenAI, { APIError, toFile } from 'openai';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { type Simulator, startSimulator } from '../simulator.ts';
import { parseScript } from '../script.ts';
import { decodeSpeech, encodeSpeech, writeWav } from '../speech.ts';

// OpenAI's own client, as it is, against the chat completions of the simulator; and what it would not show, over plain
// HTTP.

const SCRIPT = parseScript(`
rules:
  - heard: "order (\\\\d+)"
    call: { name: lookup_order, arguments: { order: "$1" } }
    then: "Order $1 ships on {{output.ship_day}}."
  - heard: "long story"
    say: "${'and then they walked on through the wood '.repeat(20)}"
otherwise: "You said: {{heard}}"
`);
const AUDIO = {
  modalities: ['text', 'audio'] as ('text' | 'audio')[],
  audio: { voice: 'marin', format: 'pcm16' as const },
};
const TOOLS = [
  {
    type: 'function' as const,
    function: { name: 'lookup_order', parameters: { type: 'object', properties: { order: { type: 'string' } } } },
  },
];

let simulator: Simulator;
let openai: OpenAI;
beforeAll(async () => {
  simulator = await startSimulator({ script: SCRIPT, voice: 'coded', pace: 40 });
  openai = new OpenAI({ apiKey: 'any', baseURL: `${simulator.url}/v1`, maxRetries: 0 });
});
afterEach(() => simulator.faults.clear());
afterAll(() => simulator.close());

async function said(text: string) {
  const data = Buffer.from(writeWav(await encodeSpeech(text), 24_000)).toString('base64');
  return {
    role: 'user' as const,
    content: [{ type: 'input_audio' as const, input_audio: { data, format: 'wav' as const } }],
  };
}

interface Told {
  text: string;
  transcript: string;
  pcm: Int16Array;
  /** Chunks whose base64 was padded. */
  padded: number;
  calls: { id: string; name: string; arguments: string }[];
  finish: string | null;
  usage: OpenAI.CompletionUsage | null;
}

async function collected(stream: AsyncIterable<OpenAI.ChatCompletionChunk>): Promise<Told> {
  const told: Told = {
    text: '',
    transcript: '',
    pcm: new Int16Array(0),
    padded: 0,
    calls: [],
    finish: null,
    usage: null,
  };
  const sound: Buffer[] = [];
  for await (const { choices, usage } of stream) {
    if (usage) told.usage = usage;
    const [choice] = choices;
    if (!choice) continue;
    told.finish = choice.finish_reason ?? told.finish;
    told.text += choice.delta.content ?? '';
    const { audio } = choice.delta as { audio?: { data?: string; transcript?: string } };
    told.transcript += audio?.transcript ?? '';
    if (audio?.data) sound.push(Buffer.from(audio.data, 'base64'));
    if (audio?.data?.endsWith('=')) told.padded++;
    for (const { index, id, function: call } of choice.delta.tool_calls ?? []) {
      told.calls[index] ??= { id: id ?? '', name: call?.name ?? '', arguments: '' };
      told.calls[index].arguments += call?.arguments ?? '';
    }
  }
  told.pcm = new Int16Array(Uint8Array.from(Buffer.concat(sound)).buffer);
  return told;
}

test('a spoken turn is answered aloud, in chunks of their own base64, with the words beside the sound', async () => {
  const stream = await openai.chat.completions.create({
    model: 'gpt-audio',
    ...AUDIO,
    stream: true,
    stream_options: { include_usage: true },
    messages: [await said('hello there')],
  });
  const told = await collected(stream);
  expect(told.transcript).toBe('You said: hello there');
  expect(await decodeSpeech(told.pcm, 24_000)).toBe('You said: hello there');
  expect(told.padded).toBeGreaterThan(2);
  expect(told.finish).toBe('stop');
  const { prompt_tokens, completion_tokens, total_tokens } = told.usage ?? {};
  expect(total_tokens).toBe((prompt_tokens ?? 0) + (completion_tokens ?? 0));
  expect(told.usage?.prompt_tokens_details?.audio_tokens).toBeGreaterThan(10);
  expect(simulator.turns().at(-1)).toMatchObject({ host: 'openai', heard: 'hello there', status: 'completed' });
});

test('a tool is called in pieces, and spoken of once its output is told', async () => {
  const ask = { model: 'gpt-audio', ...AUDIO, stream: true as const, tools: TOOLS };
  const question = await said('where is order 42');
  const { calls, finish } = await collected(await openai.chat.completions.create({ ...ask, messages: [question] }));
  expect(finish).toBe('tool_calls');
  expect(calls).toMatchObject([{ name: 'lookup_order', arguments: '{"order":"42"}' }]);
  const [call] = calls;
  const tool_calls = [
    {
      id: call?.id ?? '',
      type: 'function' as const,
      function: { name: 'lookup_order', arguments: call?.arguments ?? '' },
    },
  ];
  const told = await collected(
    await openai.chat.completions.create({
      ...ask,
      messages: [
        question,
        { role: 'assistant', tool_calls },
        { role: 'tool', tool_call_id: call?.id ?? '', content: '{"ship_day":"Friday"}' },
      ],
    }),
  );
  expect(told.transcript).toBe('Order 42 ships on Friday.');
});

test('words are answered in words, in one piece for those who do not stream', async () => {
  const { choices, usage } = await openai.chat.completions.create({
    model: 'gpt-audio',
    messages: [
      { role: 'system', content: 'You answer.' },
      { role: 'user', content: 'good day' },
    ],
  });
  expect(choices[0]?.message.content).toBe('You said: good day');
  expect(usage?.total_tokens).toBeGreaterThan(0);
});

test("a transcript is had with the client's form, and in JSON as the other host wants it", async () => {
  const wav = writeWav(await encodeSpeech('written down'), 24_000);
  const file = await toFile(Buffer.from(wav), 'turn.wav', { type: 'audio/wav' });
  expect((await openai.audio.transcriptions.create({ file, model: 'gpt-transcribe' })).text).toBe('written down');
  const data = Buffer.from(wav).toString('base64');
  const response = await fetch(`${simulator.url}/api/v1/audio/transcriptions`, {
    method: 'POST',
    headers: { authorization: 'Bearer any', 'content-type': 'application/json' },
    body: JSON.stringify({ model: 'openai/gpt-4o-transcribe', input_audio: { data, format: 'wav' } }),
  });
  expect(await response.json()).toMatchObject({ text: 'written down' });
});

test('a client that hangs up stops the generation, and the log says so', async () => {
  const stream = await openai.chat.completions.create({
    model: 'gpt-audio',
    ...AUDIO,
    stream: true,
    messages: [{ role: 'user', content: 'a long story' }],
  });
  for await (const chunk of stream) if (JSON.stringify(chunk).includes('"data"')) break;
  await vi.waitFor(() => expect(simulator.turns().at(-1)?.status).toBe('aborted'));
  const { audio_ms } = simulator.turns().at(-1) ?? { audio_ms: 0 };
  expect(audio_ms).toBeLessThan(20_000);
  await new Promise((resolve) => setImmediate(resolve));
  expect(simulator.turns().at(-1)?.audio_ms).toBe(audio_ms);
});

test('what the hosts refuse is refused, each in the shape of its host', async () => {
  const messages = [{ role: 'user', content: 'hello' }];
  const call = { id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } };
  const cases: [string, string, object, number, RegExp][] = [
    ['/api/v1', 'any', { ...AUDIO, messages }, 400, /stream: true/],
    [
      '/v1',
      'any',
      { ...AUDIO, audio: { voice: 'marin', format: 'wav' }, stream: true, messages },
      400,
      /'wav' when stream/,
    ],
    ['/v1', 'any', { stream: true, modalities: ['text', 'audio'], messages }, 400, /'audio'/],
    ['/v1', 'any', { messages: [] }, 400, /at least one message/],
    [
      '/v1',
      'any',
      { messages: [{ role: 'assistant', tool_calls: [call] }] },
      400,
      /did not have response messages: call_1/,
    ],
    ['/v1', 'any', { messages: [{ role: 'tool', tool_call_id: 'call_1', content: '' }] }, 400, /preceding message/],
    [
      '/v1',
      'any',
      { messages: [{ role: 'user', content: [{ type: 'input_audio', input_audio: {} }] }] },
      400,
      /Supported values/,
    ],
    ['/v1', 'sk-invalid-1', { messages }, 401, /Incorrect API key/],
    ['/api/v1', '', { messages }, 401, /No auth credentials/],
  ];
  for (const [base, key, body, status, message] of cases) {
    const response = await fetch(`${simulator.url}${base}/chat/completions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(key === '' ? {} : { authorization: `Bearer ${key}` }) },
      body: JSON.stringify({ model: 'gpt-audio', ...body }),
    });
    const { error } = (await response.json()) as { error: { message: string; code: unknown } };
    expect([response.status, error.message]).toEqual([status, expect.stringMatching(message)]);
    // One host says its status again, the other a name.
    expect(typeof error.code).toBe(base === '/api/v1' ? 'number' : error.code === null ? 'object' : 'string');
  }
});

test("the client's errors are those of the wire: too many, no credit, a break in the middle", async () => {
  const ask = {
    model: 'gpt-audio',
    ...AUDIO,
    stream: true as const,
    messages: [{ role: 'user' as const, content: 'hello' }],
  };
  for (const status of [402, 429, 503]) {
    simulator.faults.add({ when: 'request', kind: 'status', status, match: { type: 'chat' } });
    await expect(openai.chat.completions.create(ask)).rejects.toMatchObject({ status });
  }
  simulator.faults.add({ when: 'chunk', kind: 'error_chunk', after: 3 });
  const stream = await openai.chat.completions.create(ask);
  await expect(collected(stream)).rejects.toThrow(APIError);
  expect(simulator.turns().at(-1)?.status).toBe('failed');
});

test('one host keeps the connection awake with comments, and always tells the usage; the other does not', async () => {
  const texts = await Promise.all(['/api/v1', '/v1'].map((base) => raw(`${base}/chat/completions`)));
  const [openrouter = '', plain = ''] = texts;
  expect(openrouter).toMatch(/^: OPENROUTER PROCESSING\n\ndata: /);
  expect(openrouter).toContain('"usage":{');
  expect(plain).not.toContain(': OPENROUTER');
  expect(plain).not.toContain('"usage":{');
  for (const text of texts) expect(text).toMatch(/data: \[DONE\]\n\n$/);
});

async function raw(path: string): Promise<string> {
  const sent = request(`${simulator.url}${path}`, { method: 'POST', headers: { authorization: 'Bearer any' } });
  sent.end(JSON.stringify({ model: 'm', ...AUDIO, stream: true, messages: [{ role: 'user', content: 'hello' }] }));
  const [response] = (await once(sent, 'response')) as [AsyncIterable<Buffer>];
  let text = '';
  for await (const part of response) text += part.toString();
  return text;
}
