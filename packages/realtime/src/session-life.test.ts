// How a session tells what happens, and how it ends.

import { afterEach, describe, expect, test } from 'vitest';
import { RealtimeAgent } from './agent.ts';
import type { RealtimeSessionEvent } from './events.ts';
import type { RealtimeSession } from './session.ts';
import { started } from './test-support/started.ts';

const open: RealtimeSession[] = [];
afterEach(async () => {
  for (const session of open.splice(0)) await session.close();
});

async function run(...args: Parameters<typeof started>) {
  const all = await started(...args);
  open.push(all.session);
  return all;
}

const desk = new RealtimeAgent({ name: 'desk' });

describe('listening', () => {
  test('by type, to all, and by iterating: each hears everything, in one order', async () => {
    const { session, time, events } = await run(desk, ['Hello.']);
    const second: RealtimeSessionEvent[] = [];
    const stop = session.subscribe((event) => void second.push(event));
    let sounds = 0;
    session.on('audio', ({ data }) => void (sounds += data.length));
    let once = 0;
    session.once('agent_start', () => void (once += 1));
    const iterated: RealtimeSessionEvent[] = [];
    const reading = (async () => {
      for await (const event of session) iterated.push(event);
    })();
    await session.sendMessage('hi');
    await time.settle();
    stop();
    await session.close();
    await reading;
    expect(second).toEqual(events.slice(0, second.length));
    // It was there from the beginning.
    expect(iterated.slice(-events.length)).toEqual(events);
    expect(iterated[0]).toMatchObject({ type: 'connection', status: 'connecting' });
    expect(sounds).toBe('Hello.'.length * 60 * 48);
    expect(once).toBe(1);
    expect(events.at(-1)).toMatchObject({ type: 'closed', reason: 'closed' });
  });

  test('a listener that throws, or rejects, harms nobody and is told', async () => {
    const { session, time, of } = await run(desk, ['Hello.']);
    session.on('agent_start', () => {
      throw new Error('one');
    });
    session.on('agent_end', async () => {
      throw new Error('two');
    });
    await session.sendMessage('hi');
    await time.settle();
    expect(of('error').map(({ source, error }) => [source, error.message])).toEqual([
      ['listener', "a listener of 'agent_start' threw: one"],
      ['listener', "a listener of 'agent_end' threw: two"],
    ]);
  });

  test('an error without a listener, and a listener of errors that throws, kill nothing', async () => {
    const warned: string[] = [];
    const hear = (warning: Error): void => void warned.push(warning.message);
    process.on('warning', hear);
    const { session, scripted, time } = await run(desk);
    scripted.connection.say({ type: 'error', error: { type: 'server_error', code: 'x', message: 'boom' } });
    await time.settle();
    session.on('error', () => {
      throw new Error('again');
    });
    scripted.connection.say({ type: 'error', error: { type: 'server_error', code: 'x', message: 'boom' } });
    await expect.poll(() => warned.length).toBe(1);
    process.off('warning', hear);
    expect(warned[0]).toContain('again');
  });

  test('an iterator that is too slow loses sound first, and is ended rather than lose anything else', async () => {
    const { session, scripted, time } = await run(desk, [{ say: 'Hello there.', audioMs: 10_000 }], {
      config: { limits: { queueEvents: 60, queueAudioBytes: 20_000 } },
    });
    const iterator = session[Symbol.asyncIterator]();
    await session.sendMessage('hi');
    await time.settle();
    const got: RealtimeSessionEvent[] = [];
    for (let next = await iterator.next(); !next.done && next.value.type !== 'agent_end'; next = await iterator.next())
      got.push(next.value);
    const sounds = got.filter(({ type }) => type === 'audio').length;
    expect(sounds).toBeGreaterThan(0);
    expect(sounds).toBeLessThan(10);
    for (let n = 0; n < 80; n++) scripted.connection.say({ type: 'rate_limits.updated', rate_limits: [] });
    await time.settle();
    await expect(
      (async () => {
        while (!(await iterator.next()).done);
      })(),
    ).rejects.toMatchObject({ code: 'resource_exhausted' });
    expect((await iterator.next()).done).toBe(true);
    expect(session.usage).toMatchObject({ output_tokens: 20 });
  });

  test('frames as they came, unknown ones too, each a copy of its own; what is no frame is no event', async () => {
    const { session, scripted, time, of } = await run(desk, ['Hello.']);
    const raw: Record<string, unknown>[] = [];
    session.on('transport_event', ({ event }) => {
      raw.push(event);
      const item = event['item'] as Record<string, unknown> | undefined;
      if (item) item['content'] = 'spoilt';
    });
    scripted.connection.raw('no json');
    scripted.connection.raw('[1]');
    scripted.connection.say({ type: 'something.new', deep: { previous_item_id: null } });
    await session.sendMessage('hi');
    await time.settle();
    expect(raw[0]).toMatchObject({ type: 'something.new', deep: { previous_item_id: null } });
    expect(session.history[1]).toMatchObject({ content: [{ transcript: 'Hello.' }] });
    expect(of('error')).toHaveLength(0);
    expect(of('transport_event')).toHaveLength(0);
  });

  test('DTMF, idle timeouts and rate limits have events of their own', async () => {
    const { scripted, time, of } = await run(desk);
    scripted.connection.raw(
      JSON.stringify({ type: 'input_audio_buffer.dtmf_event_received', event: '5', received_at: 1 }),
    );
    scripted.connection.say(
      { type: 'input_audio_buffer.timeout_triggered', audio_start_ms: 0, audio_end_ms: 9, item_id: 'u' },
      { type: 'rate_limits.updated', rate_limits: [{ name: 'requests' }] },
    );
    await time.settle();
    expect(of('dtmf')).toMatchObject([{ digit: '5' }]);
    expect(of('input_audio_timeout_triggered')).toMatchObject([{ itemId: 'u' }]);
    expect(of('rate_limits_updated')).toMatchObject([{ rateLimits: [{ name: 'requests' }] }]);
  });

  test('what an answer costs, before its end is told, and the sum', async () => {
    const { session, time, events, of } = await run(desk, ['One.', 'Two.']);
    await session.sendMessage('a');
    await time.settle();
    await session.sendMessage('b');
    await time.settle();
    expect(of('usage').map(({ total }) => total.output_tokens)).toEqual([20, 40]);
    const types = events.map(({ type }) => type);
    expect(types.indexOf('usage')).toBeLessThan(types.indexOf('agent_end'));
    expect(session.usage).toMatchObject({ input_tokens: 20, input_audio_tokens: 12, cached_tokens: 4 });
  });

  test('an answer that failed says why', async () => {
    const { session, time, of } = await run(desk, [{ say: 'x', status: 'failed' }]);
    await session.sendMessage('a');
    await time.settle();
    expect(of('agent_end')).toMatchObject([{ status: 'failed', error: { message: 'it failed as the script says' } }]);
    expect(of('error')).toHaveLength(1);
  });
});

describe('the end', () => {
  test('is one for everybody who closes, and nothing follows it', async () => {
    const { session, scripted, time, events } = await run(desk, [{ say: 'x', hold: true }]);
    await session.sendMessage('a');
    await time.settle();
    await Promise.all([session.close(), session.close(), session[Symbol.asyncDispose]()]);
    expect(await session.closed).toEqual({ reason: 'closed' });
    const { length } = events;
    scripted.connection.finish();
    session.interrupt();
    session.mute(true);
    await time.pass(60_000);
    expect(events).toHaveLength(length);
    expect(time.waiting).toEqual([]);
  });

  test('may be asked for within any event', async () => {
    for (const type of ['agent_start', 'audio', 'history_added', 'agent_end', 'connection'] as const) {
      const { session, time, events } = await run(desk, ['Hello.']);
      session.on(type, () => void session.close());
      void session.sendMessage('a');
      await time.settle();
      await session.close();
      const closes = events.filter((event) => event.type === 'closed').length;
      expect({ type, closes, last: events.at(-1)?.type }).toEqual({ type, closes: 1, last: 'closed' });
    }
  });

  test('comes after the time of a session, and after the idle time where there is one', async () => {
    const long = await run(desk, [], { config: { limits: { durationMs: 5_000 } } });
    await long.time.pass(5_000);
    expect((await long.session.closed).reason).toBe('max_duration');
    const idle = await run(desk, [], { config: { limits: { idleMs: 3_000 } } });
    await idle.time.pass(2_000);
    await idle.session.sendMessage('still here');
    await idle.time.pass(2_900);
    expect(idle.of('closed')).toHaveLength(0);
    await idle.time.pass(100);
    expect((await idle.session.closed).reason).toBe('idle_timeout');
    expect(idle.of('limit_reached')).toMatchObject([{ limit: 'idle_timeout_ms' }]);
  });

  test('comes with the signal of the run', async () => {
    const { VirtualTime } = await import('./testing/virtual-time.ts');
    const { ScriptedModel } = await import('./testing/scripted-model.ts');
    const { RealtimeRunner } = await import('./runner.ts');
    const time = new VirtualTime();
    const scripted = new ScriptedModel({ time });
    const abort = new AbortController();
    const session = await new RealtimeRunner(desk, { model: scripted.model }).run({
      clock: time,
      signal: abort.signal,
    });
    abort.abort();
    expect(await session.closed).toEqual({ reason: 'closed' });
    await expect(
      new RealtimeRunner(desk, { model: scripted.model }).run({ clock: time, signal: abort.signal }),
    ).rejects.toMatchObject({ code: 'cancelled' });
    const during = new AbortController();
    const connecting = new RealtimeRunner(desk, { model: scripted.model }).run({ clock: time, signal: during.signal });
    during.abort();
    await expect(connecting).rejects.toMatchObject({ code: 'cancelled' });
  });
});
