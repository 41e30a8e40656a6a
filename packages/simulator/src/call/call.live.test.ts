import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { text } from 'node:stream/consumers';
import { describe, expect, test, vi } from 'vitest';
import { WebSocket } from 'ws';
import { parseScript, startSimulator, VirtualClock } from '../index.ts';
import { WireClient } from '../wire-client.test.support.ts';
import type { ServerEvent } from '../wire.ts';
import { Caller, callForm, isLoud } from './call-client.test.support.ts';

// Calls take the time that speaking takes.
vi.setConfig({ testTimeout: 60_000 });

const LONG = 'a long answer that goes on and on so that there is plenty of time to speak over it before it is over';

/** The last packets may be on their way when an event says that all was played. */
const WORDS = { timeout: 15_000, interval: 200 };

function sideband(wsUrl: string, id: string, key = 'sk-test'): WireClient {
  return new WireClient(`${wsUrl}?call_id=${id}`, ['realtime'], { headers: { authorization: `Bearer ${key}` } });
}

describe('a spoken call', () => {
  test('coded words cross the media both ways, and events have no sound in them', async () => {
    await using simulator = await startSimulator({
      script: parseScript('rules: [{ heard: "order (\\\\d+)", say: "Order $1 ships on Friday." }]'),
    });
    await using caller = await Caller.call(simulator, {
      audio: { input: { transcription: { model: 'gpt-transcribe' } } },
    });
    await caller.say('where is order 1042');
    await caller.next('input_audio_buffer.speech_started');
    await caller.next('input_audio_buffer.speech_stopped');
    await caller.next('output_audio_buffer.started');
    await caller.next('output_audio_buffer.stopped');
    expect(simulator.sessions()[0]?.heard).toEqual(['where is order 1042']);
    await expect.poll(() => caller.words(), WORDS).toBe('Order 1042 ships on Friday.');
    expect(caller.of('conversation.item.input_audio_transcription.completed')[0]?.['transcript']).toBe(
      'where is order 1042',
    );
    const types = caller.types();
    expect(types).not.toContain('response.output_audio.delta');
    expect(types).toContain('response.output_audio_transcript.delta');
    expect(types).toContain('response.output_audio.done');
    // The response is made faster than it is heard.
    expect(types.indexOf('response.done')).toBeLessThan(types.indexOf('output_audio_buffer.stopped'));
    expect(types.indexOf('response.created')).toBeLessThan(types.indexOf('output_audio_buffer.started'));
    const id = caller.of('response.done')[0]?.['response'] as { id: string };
    expect(caller.of('output_audio_buffer.started').map((event) => event['response_id'])).toEqual([id.id]);
  });

  test('speaking over an answer silences it, and the server truncates it to what was heard', async () => {
    await using simulator = await startSimulator({ script: parseScript(`rules: [{ heard: "talk", say: "${LONG}" }]`) });
    await using caller = await Caller.call(simulator);
    caller.type('talk');
    const started = await caller.next('output_audio_buffer.started');
    const done = await caller.next('response.done');
    await caller.say('stop please');
    await caller.next('input_audio_buffer.speech_started');
    const cleared = await caller.next('output_audio_buffer.cleared');
    const truncated = await caller.next('conversation.item.truncated');
    const item = (done['response'] as { output: { id: string }[] }).output[0];
    expect(cleared['response_id']).toBe(started['response_id']);
    expect(truncated).toMatchObject({ item_id: item?.id, content_index: 0 });
    expect(caller.types().indexOf('input_audio_buffer.speech_started')).toBe(caller.events.indexOf(cleared) - 1);
    expect(truncated['audio_end_ms']).toBeGreaterThan(0);
    caller.send({ type: 'conversation.item.retrieve', item_id: item?.id });
    const retrieved = (await caller.next('conversation.item.retrieved'))['item'] as {
      content: { transcript: string }[];
    };
    const transcript = retrieved.content[0]?.transcript ?? '';
    expect(LONG.startsWith(transcript)).toBe(true);
    expect(transcript.length).toBeLessThan(LONG.length);
    const second = await caller.next('response.created');
    expect(caller.of('output_audio_buffer.stopped')).toEqual([]);
    await caller.next('output_audio_buffer.stopped');
    expect(simulator.sessions()[0]?.heard).toContain('stop please');
    await expect.poll(() => caller.words(caller.timeOf(second)), WORDS).toBe('You said: stop please');
  });

  test('an answer that is still being made is cut in the order of the provider', async () => {
    await using simulator = await startSimulator({
      script: parseScript(`rules: [{ heard: "talk", say: "${LONG}" }]`),
      pace: 1.05,
    });
    await using caller = await Caller.call(simulator);
    caller.type('talk');
    await caller.next('output_audio_buffer.started');
    await caller.say('stop');
    await caller.next('response.done');
    const types = caller.types();
    const order = [
      'input_audio_buffer.speech_started',
      'output_audio_buffer.cleared',
      'conversation.item.truncated',
      'response.output_audio.done',
      'response.done',
    ].map((type) => types.indexOf(type));
    expect(order).toEqual(order.toSorted((a, b) => a - b));
    expect(order).not.toContain(-1);
    const [done] = caller.of('response.done') as (ServerEvent & { response: Record<string, unknown> })[];
    expect(done?.response).toMatchObject({ status: 'cancelled', status_details: { reason: 'turn_detected' } });
    const [truncated] = caller.of('conversation.item.truncated');
    const next = await caller.next('output_audio_buffer.stopped');
    expect(next['response_id']).not.toBe(done?.response['id']);
    caller.send({ type: 'conversation.item.retrieve', item_id: truncated?.['item_id'] });
    const retrieved = (await caller.next('conversation.item.retrieved'))['item'] as { content: unknown[] };
    expect(retrieved.content).toHaveLength(1);
  });

  test('output_audio_buffer.clear falls silent, and without sound it changes nothing', async () => {
    await using simulator = await startSimulator({ script: parseScript(`rules: [{ heard: "talk", say: "${LONG}" }]`) });
    await using caller = await Caller.call(simulator);
    caller.send({ type: 'output_audio_buffer.clear' });
    caller.type('talk');
    await caller.next('output_audio_buffer.started');
    await caller.next('response.done');
    await expect.poll(() => caller.heard.some(isLoud)).toBe(true);
    caller.send({ type: 'output_audio_buffer.clear' });
    const cleared = await caller.next('output_audio_buffer.cleared');
    await caller.next('conversation.item.truncated');
    // Sound goes on arriving as silence, after the little that was on its way.
    const after = () => caller.heard.filter(({ at }) => at > caller.timeOf(cleared));
    await expect.poll(() => after().length).toBeGreaterThan(25);
    expect(after().filter(isLoud).length).toBeLessThanOrEqual(5);
    expect(caller.of('output_audio_buffer.cleared')).toHaveLength(1);
    expect(caller.of('error')).toEqual([]);
  });

  test('appending sound is refused: it comes over the media', async () => {
    await using simulator = await startSimulator();
    await using caller = await Caller.call(simulator);
    caller.send({ type: 'input_audio_buffer.append', audio: 'AAAA', event_id: 'one' });
    expect((await caller.next('error'))['error']).toMatchObject({ code: 'invalid_value', event_id: 'one' });
  });

  test('a session that expires ends the call', async () => {
    const clock = new VirtualClock();
    await using simulator = await startSimulator({ clock, sessionMaxMs: 1_000 });
    await using caller = await Caller.call(simulator);
    clock.advance(1_000);
    expect((await caller.next('error'))['error']).toMatchObject({ code: 'session_expired' });
    expect(await caller.ended).toEqual({ kind: 'closed', by: 'peer' });
    expect([simulator.calls(), simulator.sessions()]).toEqual([[], []]);
  });

  test('the load mode sends sound back', async () => {
    await using simulator = await startSimulator({ script: { mode: 'echo' } });
    await using caller = await Caller.call(simulator);
    await caller.say('there and back');
    await expect.poll(() => caller.words(), WORDS).toBe('there and back');
  });
});

describe('creating a call', () => {
  test('a client secret and bare SDP make a call with the session of the secret', async () => {
    await using simulator = await startSimulator();
    const secret = (await (
      await fetch(`${simulator.url}/v1/realtime/client_secrets`, {
        method: 'POST',
        headers: { authorization: 'Bearer sk-test', 'content-type': 'application/json' },
        body: JSON.stringify({
          session: { type: 'realtime', model: 'gpt-realtime-2.1-mini', instructions: 'Be short.' },
        }),
      })
    ).json()) as { value: string };
    await using caller = await Caller.open();
    const response = await fetch(`${simulator.url}/v1/realtime/calls`, {
      method: 'POST',
      headers: {
        authorization: `Bearer ${secret.value}`,
        'content-type': 'application/sdp',
        origin: 'https://page.test',
      },
      body: await caller.peer.offer(),
    });
    expect(response.status).toBe(201);
    expect(response.headers.get('content-type')).toBe('application/sdp');
    expect(response.headers.get('location')).toMatch(/^\/v1\/realtime\/calls\/rtc_[0-9a-z]+$/u);
    expect(response.headers.get('access-control-allow-origin')).toBe('*');
    expect(response.headers.get('access-control-expose-headers')).toContain('Location');
    await caller.accept(response);
    expect((await caller.next('session.created'))['session']).toMatchObject({
      model: 'gpt-realtime-2.1-mini',
      instructions: 'Be short.',
    });
    // A secret is no key for a sideband.
    const refused = sideband(simulator.wsUrl, caller.id, secret.value);
    const [, answer] = (await once(refused.socket, 'unexpected-response')) as [unknown, { statusCode: number }];
    expect(answer.statusCode).toBe(404);
    refused.socket.terminate();
  });

  test('the TLS side makes calls too', async () => {
    await using simulator = await startSimulator({ tlsPort: 0 });
    await using caller = await Caller.open();
    const asked = request(`${simulator.tls?.url}/v1/realtime/calls?model=gpt-realtime-2.1`, {
      method: 'POST',
      ca: simulator.tls?.ca,
      headers: { authorization: 'Bearer sk-test', 'content-type': 'application/sdp' },
    });
    asked.end(await caller.peer.offer());
    const [answer] = (await once(asked, 'response')) as [IncomingMessage];
    expect(answer.statusCode).toBe(201);
    await caller.peer.accept(await text(answer));
    await caller.next('session.created');
    const id = answer.headers.location?.split('/').at(-1) ?? '';
    const socket = new WebSocket(`${simulator.tls?.wsUrl}?call_id=${id}`, {
      ca: simulator.tls?.ca ?? '',
      headers: { authorization: 'Bearer sk-test' },
    });
    const [frame] = (await once(socket, 'message')) as [Buffer];
    expect(JSON.parse(frame.toString())).toMatchObject({ type: 'session.created' });
    socket.terminate();
  });

  test('a page may ask first', async () => {
    await using simulator = await startSimulator();
    const response = await fetch(`${simulator.url}/v1/realtime/calls`, { method: 'OPTIONS' });
    expect(response.status).toBe(204);
    expect(response.headers.get('access-control-allow-headers')).toContain('authorization');
  });

  test('what cannot be a call is answered in the shape of the provider', async () => {
    await using simulator = await startSimulator({ models: ['gpt-realtime-2.1'] });
    await using caller = await Caller.open();
    const offer = await caller.peer.offer();
    const sdp = { 'content-type': 'application/sdp' };
    const bad: [FormData | string, Record<string, string>, number, Record<string, unknown>][] = [
      ['hello', sdp, 400, { code: 'invalid_offer', type: 'invalid_request_error' }],
      ['', sdp, 400, { code: 'missing_required_parameter', param: 'sdp' }],
      [offer, { 'content-type': 'text/plain' }, 400, { code: null }],
      [callForm(offer, { type: 'realtime', model: 'gpt-none' }), {}, 400, { code: 'model_not_found' }],
      [callForm(offer, { model: 'gpt-realtime-2.1' }), {}, 400, { param: 'session.type' }],
      [callForm(offer, { type: 'realtime', nonsense: 1 }), {}, 400, { code: 'unknown_parameter' }],
      ['--x\r\nbroken', { 'content-type': 'multipart/form-data; boundary=x' }, 400, { type: 'invalid_request_error' }],
      [offer, { ...sdp, authorization: 'Bearer sk-invalid' }, 401, { code: 'invalid_api_key' }],
      [offer, { ...sdp, authorization: 'Bearer ek_unknown' }, 401, { code: 'invalid_api_key' }],
      [`v=0\r\n${'a=x\r\n'.repeat(400_000)}`, sdp, 413, { code: 'too_long' }],
    ];
    for (const [body, headers, status, error] of bad) {
      const response = await fetch(`${simulator.url}/v1/realtime/calls`, {
        method: 'POST',
        headers: { authorization: 'Bearer sk-test', ...headers },
        body,
      });
      expect([response.status, ((await response.json()) as { error: unknown }).error]).toMatchObject([status, error]);
    }
    expect(simulator.calls()).toEqual([]);
  });
});

describe('beside a call', () => {
  test('a sideband sees the same events, and what it sends counts', async () => {
    await using simulator = await startSimulator();
    await using caller = await Caller.call(simulator);
    await using side = sideband(simulator.wsUrl, caller.id);
    const created = await side.next('session.created');
    expect((created['session'] as { id: string }).id).toBe(simulator.sessions()[0]?.id);
    side.send({ type: 'session.update', session: { type: 'realtime', instructions: 'From the server.' } });
    await caller.next('session.updated');
    await side.next('session.updated');
    side.type('hello there');
    const [a, b] = await Promise.all([caller.next('response.done'), side.next('response.done')]);
    expect(a).toEqual(b);
    await caller.next('output_audio_buffer.stopped');
    await side.next('output_audio_buffer.stopped');
    expect(side.types().filter((type) => type === 'response.output_audio.delta')).toEqual([]);
    expect(simulator.calls()[0]).toMatchObject({ id: caller.id, sidebands: 1, state: 'connected' });
    simulator.calls()[0]?.dropSidebands();
    expect((await side.closed).code).toBe(1006);
    await using again = sideband(simulator.wsUrl, caller.id);
    await again.next('session.created');
    expect(caller.peer.state).toBe('connected');
  });

  test('a call is hung up by its id, with an API key', async () => {
    await using simulator = await startSimulator();
    await using caller = await Caller.call(simulator);
    await using side = sideband(simulator.wsUrl, caller.id);
    await side.next('session.created');
    const hangUp = (id: string, key: string) =>
      fetch(`${simulator.url}/v1/realtime/calls/${id}/hangup`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}` },
      });
    expect((await hangUp(caller.id, 'ek_other')).status).toBe(401);
    const unknown = await hangUp('rtc_none', 'sk-test');
    expect([unknown.status, await unknown.json()]).toMatchObject([404, { error: { code: 'call_id_not_found' } }]);
    expect((await hangUp(caller.id, 'sk-test')).status).toBe(200);
    expect(await caller.ended).toEqual({ kind: 'closed', by: 'peer' });
    expect((await side.closed).code).toBe(1000);
    expect((await hangUp(caller.id, 'sk-test')).status).toBe(404);
    expect(simulator.sessions()).toEqual([]);
  });

  test('a caller that goes away ends the session and its sidebands', async () => {
    await using simulator = await startSimulator();
    await using caller = await Caller.call(simulator);
    await using side = sideband(simulator.wsUrl, caller.id);
    await side.next('session.created');
    caller.peer.close();
    expect((await side.closed).code).toBe(1000);
    expect(simulator.sessions()).toEqual([]);
  });

  test('a call that nobody knows has no sideband', async () => {
    await using simulator = await startSimulator();
    const refused = sideband(simulator.wsUrl, 'rtc_none');
    const [, answer] = (await once(refused.socket, 'unexpected-response')) as [unknown, { statusCode: number }];
    expect(answer.statusCode).toBe(404);
    refused.socket.terminate();
  });
});

describe('what goes wrong', () => {
  test('creating a call fails, hangs and is slow as it is told', async () => {
    await using simulator = await startSimulator();
    await using caller = await Caller.open();
    const body = await caller.peer.offer();
    const ask = (signal?: AbortSignal) =>
      fetch(`${simulator.url}/v1/realtime/calls`, {
        method: 'POST',
        headers: { authorization: 'Bearer sk-test', 'content-type': 'application/sdp' },
        body,
        ...(signal ? { signal } : {}),
      });
    simulator.faults.add({ when: 'call', kind: 'status', status: 429 });
    simulator.faults.add({ when: 'call', kind: 'status', status: 503 });
    simulator.faults.add({ when: 'call', kind: 'drop' });
    simulator.faults.add({ when: 'call', kind: 'stall' });
    simulator.faults.add({ when: 'call', kind: 'delay', ms: 60 });
    expect(await (await ask()).json()).toMatchObject({ error: { code: 'rate_limit_exceeded' } });
    expect((await ask()).status).toBe(503);
    await expect(ask()).rejects.toThrow('fetch failed');
    await expect(ask(AbortSignal.timeout(150))).rejects.toThrow('timeout');
    expect((await ask()).status).toBe(201);
    expect(simulator.faults.list()).toEqual([]);
  });

  test('a sideband is refused and lost as it is told, and the caller does not notice', async () => {
    await using simulator = await startSimulator();
    await using caller = await Caller.call(simulator);
    simulator.faults.add({ when: 'sideband', kind: 'status', status: 500 });
    const refused = sideband(simulator.wsUrl, caller.id);
    const [, answer] = (await once(refused.socket, 'unexpected-response')) as [unknown, { statusCode: number }];
    expect(answer.statusCode).toBe(500);
    refused.socket.terminate();
    simulator.faults.add({ when: 'sideband_send', kind: 'drop', match: { type: 'response.created' } });
    await using side = sideband(simulator.wsUrl, caller.id);
    await side.next('session.created');
    caller.type('hello');
    expect((await side.closed).code).toBe(1006);
    await caller.next('response.done');
  });

  test('media that leads nowhere fails at the caller as ICE, and a channel that never opens as that', async () => {
    await using simulator = await startSimulator();
    simulator.faults.add({ when: 'media', kind: 'no_ice' });
    simulator.faults.add({ when: 'media', kind: 'no_channel' });
    await using lost = await Caller.open();
    const post = async (caller: Caller) =>
      caller.accept(
        await fetch(`${simulator.url}/v1/realtime/calls`, {
          method: 'POST',
          headers: { authorization: 'Bearer sk-test', 'content-type': 'application/sdp' },
          body: await caller.peer.offer(),
        }),
      );
    await post(lost);
    await using mute = await Caller.open();
    await post(mute);
    // Sound flows; the channel stays where it is.
    await expect.poll(() => mute.heard.length).toBeGreaterThan(30);
    expect(mute.channel.open).toBe(false);
    expect(lost.peer.state).toBe('connecting');
  });
});
