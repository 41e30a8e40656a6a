import { ParleyError } from '@parley/core';
import { parseScript, type Simulator, startSimulator } from '@parley/simulator';
import { encodeSpeech } from '@parley/simulator/speech';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { ModelConfig, ModelSessionOptions } from './port.ts';
import { createModel } from './registry.ts';
import { collected, type Connected, connected, SESSION } from './test-support/connected.ts';

// What every adapter must do, whatever its provider speaks: nothing here is said by the test but the user's side. The
// provider is its counterpart in the simulator, over real sockets.

/** An adapter, and where its counterpart is found in the simulator. */
export interface ModelUnderTest {
  provider: string;
  /** The base URL, under that of the simulator. */
  path: string;
  /** An event of its wire that no documentation has. */
  unknown?: string;
  /** What the provider cannot do, with its reason. */
  lacks?: {
    push_to_talk?: string;
    failed_transcripts?: string;
    new_instructions?: string;
    tokens?: string;
    socket?: string;
  };
  /** Where it can do more than one. */
  transport?: string;
}

const UNKNOWN = '{"type":"vendor.news","event_id":"event_1"}';

const SCRIPT = `
rules:
  - heard: "two orders (\\\\d+) and (\\\\d+)"
    call: [{ name: lookup_order, arguments: { order: "$1" } }, { name: lookup_order, arguments: { order: "$2" } }]
    then: "They ship on {{outputs.0.ship_day}} and {{outputs.1.ship_day}}."
otherwise: "You said: {{heard}}"
`;
/** A tenth of a second of silence. */
const APPEND = Buffer.from(`{"type":"input_audio_buffer.append","audio":"${Buffer.alloc(4800).toString('base64')}"}`);

const TOOLS: ModelSessionOptions['tools'] = [
  {
    name: 'lookup_order',
    input_schema: { type: 'object', properties: { order: { type: 'integer' } }, required: ['order'] },
  },
];

export function realtimeModelTests({ provider, path, unknown = UNKNOWN, lacks = {}, transport }: ModelUnderTest): void {
  describe(`${provider}${transport === undefined ? '' : ` over ${transport}`}`, () => {
    let simulator: Simulator;
    let config: ModelConfig;
    const open: Connected[] = [];
    beforeAll(async () => {
      simulator = await startSimulator({ script: parseScript(SCRIPT), voice: 'coded', pace: 40 });
      config = { base_url: `${simulator.url}${path}` };
    });
    afterEach(async () => {
      simulator.faults.clear();
      for (const { connection } of open.splice(0)) {
        connection.close();
        await connection.closed;
      }
    });
    afterAll(() => simulator.close());

    async function call(options: Partial<ModelSessionOptions> = {}): Promise<Connected> {
      const one = await connected({ ...config, key: 'any' }, { tools: TOOLS, transport, ...options }, { provider });
      open.push(one);
      return one;
    }

    /** How a connection is refused by a provider that answers the first request so. */
    async function refused(answer: {
      status: number;
      body: unknown;
      headers?: Record<string, string>;
    }): Promise<ParleyError> {
      // By turns a request is asked again before it is given up.
      simulator.faults.add({ when: 'upgrade', kind: 'status', ...answer });
      const connecting = createModel(provider, { ...config, key: 'sk-very-secret-key' }).connect({
        ...SESSION,
        transport,
      });
      const error = await connecting.then(
        () => null,
        (caught: unknown) => ParleyError.from(caught),
      );
      return error ?? Promise.reject(new Error('it was not refused'));
    }

    function type({ connection }: Connected, text: string): void {
      const item = { type: 'message', role: 'user', content: [{ type: 'input_text', text }] };
      connection.media.send(Buffer.from(JSON.stringify({ type: 'conversation.item.create', item })));
    }

    /** Says it as a client would: frames of 20 ms, and silence after it. */
    async function speak({ connection }: Connected, text: string): Promise<void> {
      const sound = await encodeSpeech(text, { sampleRate: 24_000 });
      const pcm = Buffer.from(sound.buffer, sound.byteOffset, sound.byteLength);
      const all = Buffer.concat([pcm, Buffer.alloc(48 * 1500)]);
      for (let at = 0; at < all.length; at += 960) {
        const audio = all.subarray(at, at + 960).toString('base64');
        connection.media.send(Buffer.from(`{"type":"input_audio_buffer.append","audio":"${audio}"}`));
      }
    }

    test('a spoken turn is heard, answered and counted', async () => {
      const session = await call();
      await speak(session, 'hello there');
      expect(await session.event('turn.completed')).toMatchObject({ source: 'audio', text: 'hello there' });
      const done = await session.event('response.completed');
      expect(done).toMatchObject({ status: 'completed', text: 'You said: hello there' });
      const { output_tokens = 0, seconds } = done.usage ?? {};
      expect(lacks.tokens === undefined ? output_tokens > 0 : seconds !== undefined).toBe(true);
      const { reply_audio_ms, user_audio_ms } = session.connection.media.counts();
      expect(done.audio_ms).toBe(reply_audio_ms);
      expect(reply_audio_ms).toBeGreaterThan(500);
      expect(user_audio_ms).toBeGreaterThan(1500);
    });

    test('with a handler the model answers nothing by itself, and says exactly what it is given', async () => {
      const session = await call({ responder: 'handler' });
      await speak(session, 'hello');
      await session.event('turn.completed');
      session.connection.send({ type: 'say', say_id: 'say_1', text: 'Order 7 ships on Monday.' });
      expect(await session.event('response.started')).toMatchObject({ cause: 'say', say_id: 'say_1' });
      expect(await session.event('response.completed')).toMatchObject({ text: 'Order 7 ships on Monday.' });
      expect(session.events.filter((one) => one.type === 'response.started')).toHaveLength(1);
    });

    test('parallel tools are called, answered and spoken of', async () => {
      const session = await call();
      type(session, 'two orders 11 and 12');
      await session.event('turn.completed');
      session.connection.send({ type: 'respond' });
      const calls = [await session.event('tool.called', 0), await session.event('tool.called', 1)];
      expect(calls.map((one) => JSON.parse(one.arguments) as unknown)).toEqual([{ order: 11 }, { order: 12 }]);
      await session.event('response.completed');
      for (const [n, { call_id }] of calls.entries()) {
        const output = JSON.stringify({ ship_day: n === 0 ? 'Monday' : 'Friday' });
        session.connection.send({ type: 'tool_output', call_id, output });
      }
      session.connection.send({ type: 'respond' });
      expect(await session.event('response.completed', 1)).toMatchObject({ text: 'They ship on Monday and Friday.' });
      expect(session.frames.map((one) => one.text).join()).not.toMatch(/function_call|lookup_order|ship_day/);
    });

    test('a second request while one is answered is refused by its name', async () => {
      const session = await call();
      session.connection.send({ type: 'say', say_id: 'say_1', text: 'one '.repeat(40) });
      await session.event('response.started');
      session.connection.send({ type: 'say', say_id: 'say_2', text: 'two' });
      expect(await session.event('provider.failed')).toMatchObject({
        command_id: 'say_2',
        provider_code: 'conversation_already_has_active_response',
      });
      session.connection.send({ type: 'cancel' });
      expect(await session.event('response.completed')).toMatchObject({
        status: 'cancelled',
        reason: 'client_cancelled',
      });
    });

    test.for(unless(lacks.socket))('an answer whose beginning was lost is told from its other frames', async () => {
      simulator.faults.add({ when: 'send', kind: 'no_response_created' });
      const session = await call();
      session.connection.send({ type: 'say', say_id: 'say_1', text: 'Hello.' });
      expect(await session.event('response.started')).toMatchObject({ cause: 'say', say_id: 'say_1' });
      const done = await session.event('response.completed');
      expect(done.text).toBe('Hello.');
      expect(done.audio_ms).toBe(session.connection.media.counts().reply_audio_ms);
    });

    test.for(unless(lacks.failed_transcripts))('a turn whose transcript fails has no words', async () => {
      simulator.faults.add({ when: 'transcription', kind: 'fail' });
      const session = await call();
      await speak(session, 'hello');
      expect(await session.event('turn.completed')).toMatchObject({ text: '' });
    });

    test.for(unless(lacks.socket))('a cut connection is 1006', async () => {
      const session = await call();
      simulator.faults.add({ when: 'append', kind: 'drop' });
      session.connection.media.send(APPEND);
      expect(await session.connection.closed).toMatchObject({ code: 1006, recoverable: true });
    });

    test.for(unless(lacks.socket))('a session that comes to its hour says so', async () => {
      const session = await call();
      simulator.faults.add({ when: 'append', kind: 'expire' });
      session.connection.media.send(APPEND);
      expect(await session.connection.closed).toMatchObject({ code: 1001, recoverable: true });
    });

    test('refused keys, full providers and retired protocols are told apart', async () => {
      const refusal = (key: string) =>
        createModel(provider, { ...config, key })
          .connect({ ...SESSION, transport })
          .then(
            () => null,
            (error: unknown) => (error instanceof ParleyError ? error.code : error),
          );
      expect(await refusal('sk-invalid-1')).toBe('unauthenticated');
      simulator.faults.add({ when: 'upgrade', kind: 'status', status: 429 });
      expect(await refusal('any')).toBe('resource_exhausted');
      if (lacks.socket !== undefined) return;
      simulator.faults.add({ when: 'connected', kind: 'close', code: 4000, reason: 'beta' });
      expect(await refusal('any')).toBe('failed_precondition');
    });

    test('a provider behind its own authority is trusted when it is named, and not otherwise', async () => {
      await using secure = await startSimulator({ voice: 'coded', tlsPort: 0 });
      const base_url = `${secure.tls?.url}${path}`;
      const session = await connected({ base_url, key: 'any', ca: secure.tls?.ca }, { transport }, { provider });
      session.connection.close();
      await session.connection.closed;
      const refused = createModel(provider, { base_url, key: 'any' }).connect({ ...SESSION, transport });
      await expect(refused).rejects.toMatchObject({ code: 'unavailable', retryable: false });
    });

    test('speaking over an answer cuts it, and what was generated is told', async () => {
      const session = await call();
      session.connection.send({ type: 'say', say_id: 'say_1', text: 'one two three four '.repeat(30).trim() });
      await session.frame('response.output_audio.delta');
      await speak(session, 'stop');
      const done = await session.event('response.completed');
      expect(done).toMatchObject({ status: 'cancelled' });
      expect(done.audio_ms).toBeGreaterThan(0);
      expect(await session.event('turn.completed')).toMatchObject({ text: 'stop' });
      expect(await session.event('response.completed', 1)).toMatchObject({ text: 'You said: stop' });
    });

    test.for(unless(lacks.push_to_talk))(
      'with push-to-talk a turn is what was committed, and an answer what was asked for',
      async () => {
        const session = await call({ turn_detection: null });
        await speak(session, 'push to talk');
        expect(session.events.filter((one) => one.type === 'turn.completed')).toEqual([]);
        session.connection.media.send(Buffer.from('{"type":"input_audio_buffer.commit"}'));
        session.connection.send({ type: 'respond' });
        expect(await session.event('turn.completed')).toMatchObject({ source: 'audio', text: 'push to talk' });
        expect(await session.event('response.completed')).toMatchObject({ text: 'You said: push to talk' });
      },
    );

    test('a session in text speaks nothing', async () => {
      const session = await call({ modalities: ['text'] });
      type(session, 'only text');
      session.connection.send({ type: 'respond' });
      expect(await session.event('response.completed')).toMatchObject({ text: 'You said: only text', audio_ms: 0 });
      await session.frame('response.output_text.delta');
      expect(session.connection.media.counts().reply_audio_ms).toBe(0);
    });

    test.for(unless(lacks.socket))('an update reaches the model', async () => {
      const session = await call();
      session.connection.send({ type: 'update', instructions: 'Be brief.', tools: [] });
      await session.frame('session.updated');
      const told = (): Record<string, unknown> => simulator.sessions().at(-1)?.config() ?? {};
      await until(() => (told()['tools'] as unknown[] | undefined)?.length === 0);
      const instructions = lacks.new_instructions === undefined ? 'Be brief.' : SESSION.instructions;
      expect(told()['instructions']).toBe(instructions);
    });

    test('what a client sees of its session has no instructions and no tools', async () => {
      const session = await call();
      const created = await session.frame('session.created');
      expect(created['session']).toMatchObject({ instructions: '', tools: [] });
      expect(session.frames[0]?.type).toBe('session.created');
    });

    test.for(unless(lacks.socket))('an event that nobody has heard of ends nothing', async () => {
      const session = await call();
      simulator.faults.add({ when: 'append', kind: 'frame', data: unknown });
      session.connection.media.send(APPEND);
      type(session, 'still there?');
      session.connection.send({ type: 'respond' });
      expect(await session.event('response.completed')).toMatchObject({ text: 'You said: still there?' });
    });

    test.for(unless(lacks.socket))('a provider that opens and says nothing is given up in time', async () => {
      simulator.faults.add({ when: 'connected', kind: 'stall' });
      const connecting = createModel(provider, { ...config, key: 'any', connect_timeout_ms: 300 }).connect({
        ...SESSION,
        transport,
      });
      await expect(connecting).rejects.toMatchObject({
        code: 'deadline_exceeded',
        details: { boundary: 'parley -> provider' },
      });
    });

    test('connecting can be given up', async () => {
      simulator.faults.add({ when: 'upgrade', kind: 'stall' });
      const abort = new AbortController();
      const connecting = createModel(provider, { ...config, key: 'any' }).connect({
        ...SESSION,
        transport,
        signal: abort.signal,
      });
      abort.abort();
      await expect(connecting).rejects.toMatchObject({ code: 'cancelled' });
    });

    test.for([
      [401, 'unauthenticated', false],
      [403, 'permission_denied', false],
      [404, 'invalid_argument', false],
      [429, 'resource_exhausted', true],
      [500, 'unavailable', true],
      [503, 'unavailable', true],
    ] as const)('%i at the upgrade is %s, with the words of the provider', async ([status, code, retryable]) => {
      // A host without the path that is asked first may have all the others.
      if (lacks.socket !== undefined && status === 404) return;
      const error = await refused({ status, body: said('their_code', 'No, because. sk-very-secret-key') });
      expect(error).toMatchObject({ code, retryable });
      expect(error.details).toMatchObject({ boundary: 'parley -> provider', status, provider_code: 'their_code' });
      expect(error.details?.['provider_message']).toContain('No, because.');
      expect(JSON.stringify(error.toObject())).not.toContain('very-secret');
    });

    test('a provider that is full says when to come again, and one that was not paid is not asked again', async () => {
      const full = { status: 429, body: said('rate_limit_exceeded', 'Slow down.'), headers: { 'retry-after': '7' } };
      expect(await refused(full)).toMatchObject({ code: 'resource_exhausted', retryable: true, retryAfterMs: 7_000 });
      const unpaid = { status: 429, body: said('insufficient_quota', 'You exceeded your current quota.') };
      expect(await refused(unpaid)).toMatchObject({ code: 'resource_exhausted', retryable: false });
    });

    test.for(unless(lacks.socket))('a refusal that is no JSON is told as it is', async () => {
      const error = await refused({ status: 503, body: '<html>bad gateway</html>' });
      expect(error).toMatchObject({ code: 'unavailable', details: { status: 503 } });
      expect(error.details?.['provider_message']).toContain('bad gateway');
    });

    test.for(unless(lacks.socket))('a socket that is cut while it opens is unavailable', async () => {
      simulator.faults.add({ when: 'upgrade', kind: 'drop' });
      await expect(call()).rejects.toMatchObject({ code: 'unavailable', retryable: true });
      simulator.faults.add({ when: 'connected', kind: 'drop' });
      await expect(call()).rejects.toMatchObject({ code: 'unavailable', details: { close_code: 1006 } });
    });

    test.for(unless(lacks.socket))('a socket that is half open is given up when it does not answer', async () => {
      const session = collected(
        await createModel(provider, { ...config, key: 'any', ping_ms: 100 }).connect({ ...SESSION, transport }),
      );
      open.push(session);
      simulator.faults.add({ when: 'append', kind: 'stall' });
      session.connection.media.send(APPEND);
      expect(await session.connection.closed).toMatchObject({ code: 1006, recoverable: true });
    });

    test('an answer that fails in its middle ends with the code of the provider, and nothing waits for it', async () => {
      const session = await call();
      const socket = lacks.socket === undefined;
      simulator.faults.add(
        socket
          ? { when: 'response', kind: 'rate_limit' }
          : { when: 'chunk', after: 3, kind: 'error_chunk', status: 429, message: 'Rate limit reached' },
      );
      type(session, 'hello');
      await session.event('turn.completed');
      session.connection.send({ type: 'respond' });
      const failed = session.event('response.completed').then(({ error }) => error);
      const refused = session.event('provider.failed').then(({ error }) => error);
      const ended = session.connection.closed.then(({ error }) => error);
      const error = await Promise.race([failed, refused, ended]);
      expect(error).toMatchObject({ code: 'resource_exhausted', details: { boundary: 'parley -> provider' } });
      expect(error?.details?.['provider_code']).toBeTypeOf('string');
      expect(error?.details?.['provider_message']).toMatch(/limit|quota/i);
    });

    test.for(
      lacks.socket === undefined
        ? ([
            [1001, true],
            [1007, false],
            [1008, false],
            [1011, true],
            [1012, true],
            [3000, false],
            [4000, false],
          ] as const)
        : [],
    )('a connection that the provider ends with %i is told with its code', async ([code, recoverable]) => {
      const session = await call();
      simulator.faults.add({ when: 'append', kind: 'close', code, reason: 'because' });
      session.connection.media.send(APPEND);
      const closed = await session.connection.closed;
      expect(closed).toMatchObject({ code, recoverable, error: { retryable: recoverable } });
      expect(closed.reason + closed.error?.message).toContain('because');
      expect(closed.error?.details).toMatchObject({
        boundary: 'parley -> provider',
        close_code: code,
        provider_message: 'because',
      });
    });

    test.for(unless(lacks.socket))('a reader that stops reading stops the provider, and loses nothing', async () => {
      const session = await call();
      session.connection.media.socket.pause();
      session.connection.send({ type: 'say', say_id: 'say_1', text: 'Order 7 ships on Monday.' });
      const before = session.frames.length;
      const [live] = simulator.sessions().slice(-1);
      await until(() => (live?.counts.audioBytesOut ?? 0) > 0);
      expect(session.frames.length).toBe(before);
      session.connection.media.socket.resume();
      const done = await session.event('response.completed');
      expect(done).toMatchObject({ text: 'Order 7 ships on Monday.' });
      expect(done.audio_ms).toBe(session.connection.media.counts().reply_audio_ms);
    });

    test('nothing comes after the end, and the end comes once', async () => {
      const session = await call();
      session.connection.send({ type: 'say', say_id: 'say_1', text: 'one '.repeat(40) });
      await session.event('response.started');
      session.connection.close('enough');
      expect(await session.connection.closed).toMatchObject({ code: 1000, reason: 'enough', recoverable: false });
      const told = session.events.length;
      session.connection.send({ type: 'cancel' });
      session.connection.close('again');
      expect(await session.connection.closed).toMatchObject({ reason: 'enough' });
      expect(session.events.length).toBe(told);
    });
  });
}

/** The body of a refusal. */
const said = (code: string, message: string): unknown => ({ error: { type: 'invalid_request_error', code, message } });

/** One run of a test, or none where the provider cannot do it. */
function unless(reason: string | undefined): readonly string[] {
  return reason === undefined ? ['every provider'] : [];
}

async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
}
