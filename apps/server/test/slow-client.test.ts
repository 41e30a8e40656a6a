// A client that stops reading: what waits for it is bounded, it loses audio first, and the session outlives it.

import { expect, test, vi } from 'vitest';
import { Agent } from '@parley/session';
import { House, TEXT } from './support/house.ts';

// Many megabytes have to fill the buffers of two systems.
vi.setConfig({ testTimeout: 60_000 });

const BOUNDS = { client_soft_bytes: 64 * 1024, client_hard_bytes: 1024 * 1024, client_patience_ms: 100 };

async function sample(house: House, name: string): Promise<number> {
  const text = (await house.api.call<string>('GET', '/metrics')).body;
  return Number(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)$`, 'm').exec(text)?.[1] ?? 'NaN');
}

test('sound that a client does not read is dropped, and the call goes on when it reads again', async () => {
  await using house = await House.open({ limits: BOUNDS, simulator: { script: { mode: 'echo' } } });
  const agent = new Agent('support').session('voice', { ...TEXT, modalities: ['audio', 'text'] });
  await house.serve(agent);
  const { session, client } = await house.call('support.voice');
  const audio = Buffer.alloc(240_000).toString('base64');
  client.socket.pause();
  // More than the buffers of both systems and the soft bound hold together.
  for (let i = 0; i < 100; i += 1) client.send({ type: 'input_audio_buffer.append', audio });
  const echoed = () => house.simulator.sessions()[0]?.counts.appends ?? 0;
  await expect.poll(echoed, { timeout: 15_000 }).toBe(100);
  client.socket.resume();
  const marker = Buffer.from('the end').toString('base64');
  await expect
    .poll(
      () => {
        client.send({ type: 'input_audio_buffer.append', audio: marker });
        return client.frames.some((frame) => frame['delta'] === marker);
      },
      { timeout: 15_000 },
    )
    .toBe(true);
  expect(client.frames.filter((frame) => frame['delta'] === audio).length).toBeLessThan(100);
  client.socket.close(1000);
  await house.api.until(session.session_id, 'session.closed');
  await expect.poll(() => sample(house, 'parley_frames_dropped_total')).toBeGreaterThan(0);
});

test('a client that leaves words unread is disconnected past the bound, and may come back', async () => {
  // Only the client that does not read is answered at such length: one that comes back on a busy machine reads late too.
  const script = { rules: [{ heard: '^again', say: `${'blah '.repeat(50_000)}{{heard}}` }], otherwise: '{{heard}}' };
  await using house = await House.open({ limits: BOUNDS, simulator: { script } });
  await house.serve(new Agent('support').session('voice', TEXT));
  const { session, client } = await house.call('support.voice');
  client.socket.pause();
  const detached = house.api.until(session.session_id, 'client.detached');
  let over = false;
  void detached.then(() => (over = true));
  for (let i = 0; i < 100 && !over; i += 1) {
    client.ask(`again ${i}`);
    await house.api.until(session.session_id, 'response.completed', (one) => one.text.endsWith(`again ${i}`));
  }
  expect((await detached).code).not.toBe(1000);
  client.socket.resume();
  await client.closed;
  expect(await house.api.get(`/api/v1/sessions/${session.session_id}`)).toMatchObject({ status: 'live' });
  const again = await house.join(session);
  again.ask('hello');
  expect(await again.answer()).toBe('hello');
});
