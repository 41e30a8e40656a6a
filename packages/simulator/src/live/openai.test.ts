import { once } from 'node:events';
import OpenAI from 'openai';
import { LiveWS } from 'openai/resources/live/ws';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { parseScript } from '../script.ts';
import { decodeSpeech, encodeSpeech } from '../speech.ts';
import { type Simulator, startSimulator } from '../simulator.ts';

// OpenAI's own client for Live, as it comes from npm, against the simulator.

type Event = { type: string } & Record<string, unknown>;

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
  socket: LiveWS;
  events: Event[];
  /** The first event of a type, when it is there. */
  event: (type: string) => Promise<Event>;
}

async function live(): Promise<Live> {
  const client = new OpenAI({ apiKey: 'any', baseURL: `${simulator.url}/v1` });
  const socket = new LiveWS(client);
  const events: Event[] = [];
  const arrivals = new EventTarget();
  socket.on('event', (event) => {
    events.push(event as unknown as Event);
    arrivals.dispatchEvent(new Event('event'));
  });
  // Errors come as events as well; without a listener the client would throw.
  socket.on('error', () => undefined);
  await once(socket.socket as unknown as EventTarget, 'open');
  const event = async (type: string): Promise<Event> => {
    for (;;) {
      const found = events.find((one) => one.type === type);
      if (found) return found;
      await once(arrivals, 'event');
    }
  };
  return { socket, events, event };
}

async function speak(socket: LiveWS, text: string): Promise<void> {
  const said = await encodeSpeech(text, { sampleRate: 24_000 });
  const sound = Buffer.concat([Buffer.from(said.buffer, said.byteOffset, said.byteLength), Buffer.alloc(48 * 1500)]);
  for (let at = 0; at < sound.length; at += 4800) {
    socket.send({ type: 'session.input_audio.append', audio: sound.subarray(at, at + 4800).toString('base64') });
  }
}

const joined = (events: readonly Event[], type: string): string =>
  events
    .filter((event) => event.type === type)
    .map((event) => String(event['delta']))
    .join('');

test('what is spoken is written down in fragments, and answered in sound and fragments', async () => {
  const { socket, events, event } = await live();
  socket.send({ type: 'session.start', session: { model: 'gpt-live-1', delegation: responses([]) } });
  const started = await event('session.started');
  expect(started['session']).toMatchObject({ id: expect.stringMatching(/^live_/), status: 'active' });
  await speak(socket, 'hello live');
  await expect.poll(() => joined(events, 'session.output_transcript.delta')).toBe('You said: hello live');
  expect(joined(events, 'session.input_transcript.delta')).toBe('hello live');
  socket.close();
});

test('an answer can be heard, and its words are those of its sound', async () => {
  const { socket, events, event } = await live();
  socket.send({ type: 'session.start', session: { model: 'gpt-live-1' } });
  await event('session.started');
  socket.send({ type: 'session.commentary.append', content: 'Good morning.', delegation_id: null, event_id: 'c1' });
  expect(await event('session.commentary.appended')).toMatchObject({ client_event_id: 'c1' });
  const heard = async (): Promise<string> => {
    const parts = events.filter((one) => one.type === 'session.output_audio.delta');
    const pcm = Buffer.concat(parts.map((one) => Buffer.from(String(one['delta']), 'base64')));
    return decodeSpeech(new Int16Array(pcm.buffer.slice(pcm.byteOffset, pcm.byteOffset + pcm.length)), 24_000);
  };
  await expect.poll(heard, { timeout: 10_000 }).toContain('Good morning.');
  expect(joined(events, 'session.output_transcript.delta')).toBe('Good morning.');
  expect(events.find((one) => one.type === 'session.output_audio.delta')).not.toHaveProperty('event_id');
  socket.close();
});

test('work that the client owns is delegated to it', async () => {
  const { socket, events, event } = await live();
  socket.send({ type: 'session.start', session: { model: 'gpt-live-1', delegation: { type: 'client' } } });
  await event('session.started');
  await speak(socket, 'what now');
  const { delegation } = (await event('session.delegation.created')) as unknown as { delegation: { id: string } };
  expect(delegation).toMatchObject({ type: 'delegation', target: 'client' });
  socket.send({ type: 'session.commentary.append', content: 'Wait for Friday.', delegation_id: delegation.id });
  await expect.poll(() => joined(events, 'session.output_transcript.delta')).toBe('Wait for Friday.');
  socket.close();
});

test('tools of the backend are called and answered', async () => {
  const { socket, events, event } = await live();
  const tool = { type: 'function', name: 'lookup_order', parameters: { type: 'object' } } as const;
  socket.send({ type: 'session.start', session: { model: 'gpt-live-1', delegation: responses([tool]) } });
  await event('session.started');
  await speak(socket, 'order 42');
  await expect.poll(() => events.filter((one) => one.type === 'response.event').length).toBe(3);
  const inner = events
    .filter((one) => one.type === 'response.event')
    .map((one) => one['event'] as Event & { item?: Record<string, unknown> });
  expect(inner.map((one) => one.type)).toEqual(['response.created', 'response.output_item.done', 'response.completed']);
  const call = inner[1]?.item;
  expect(call).toMatchObject({ type: 'function_call', name: 'lookup_order' });
  const output = { type: 'function_call_output', call_id: String(call?.['call_id']), output: '{"ship_day":"Friday"}' };
  socket.send({ type: 'response.item.create', item: output as never });
  socket.send({ type: 'response.create' });
  await expect.poll(() => joined(events, 'session.output_transcript.delta')).toBe('It ships on Friday.');
  socket.close();
});

test('what is sent before the start, what is unknown and what cannot change is refused by its name', async () => {
  const { socket, events, event } = await live();
  const codes = (): unknown[] =>
    events.filter((one) => one.type === 'error').map((one) => (one['error'] as { code: string }).code);
  socket.send({ type: 'response.create', event_id: 'early' });
  await expect.poll(codes).toEqual(['session_not_started']);
  expect(events[0]).toMatchObject({ client_event_id: 'early', error: { client_event_id: 'early' } });
  socket.send({ type: 'session.start', session: { model: 'gpt-live-1', modle: 1 } as never });
  await expect.poll(codes).toEqual(['session_not_started', 'unknown_parameter']);
  socket.send({ type: 'session.start', session: { model: 'gpt-live-1' } });
  await event('session.started');
  socket.send({ type: 'session.update', session: { instructions: 'new' } as never });
  socket.send({ type: 'vendor.event' } as never);
  socket.send({ type: 'session.commentary.append', content: 'x' } as never);
  await expect
    .poll(codes)
    .toEqual([
      'session_not_started',
      'unknown_parameter',
      'immutable_parameter',
      'invalid_value',
      'missing_required_parameter',
    ]);
  socket.close();
});

test('a session that is closed says what it cost, and then ends', async () => {
  const { socket, event } = await live();
  socket.send({ type: 'session.start', session: { model: 'gpt-live-1' } });
  await event('session.started');
  socket.send({ type: 'session.input_audio.mute', event_id: 'm' });
  expect(await event('session.input_audio.muted')).toMatchObject({ client_event_id: 'm' });
  socket.send({ type: 'session.close' });
  const closed = await event('session.closed');
  expect(closed).toMatchObject({ reason: 'close_requested', session: { model: 'gpt-live-1' } });
  expect((closed['usage'] as { seconds: number }).seconds).toBeGreaterThanOrEqual(0);
});

function responses(tools: readonly object[]): { type: 'responses'; responses: { model: string; tools: never[] } } {
  return { type: 'responses', responses: { model: 'gpt-5.5', tools: tools as never[] } };
}
