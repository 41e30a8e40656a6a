// What every FrameSocket promises, as tests. Each driver runs this file over its own pair.

import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import type { FrameClose, FrameSocket } from '../frame-socket.ts';

export interface Pair {
  /** The end under test, and the end across. */
  near: FrameSocket;
  far: FrameSocket;
  dispose: () => Promise<void>;
}

export const SUITE_FRAME_BYTES_MAX = 256 * 1024;

/** Runs the promises of FrameSocket over pairs whose ends take frames of at most SUITE_FRAME_BYTES_MAX. */
export function frameSocketSuite(driver: string, connect: () => Promise<Pair>): void {
  describe(`FrameSocket over ${driver}`, () => {
    let pair: Pair | null = null;
    const connected = async (): Promise<Pair> => (pair = await connect());
    afterEach(async () => {
      await pair?.dispose();
      pair = null;
    });

    test('frames arrive whole and in order', async () => {
      const { near, far } = await connected();
      const got = collect(far);
      const sent = Array.from({ length: 500 }, (_, n) => JSON.stringify({ n, pad: 'ö'.repeat(n * 7) }));
      for (const [n, text] of sent.entries()) near.send(n % 2 ? text : Buffer.from(text));
      await until(got, () => got.frames.length === sent.length);
      expect(got.frames).toEqual(sent);
    });

    test('frames that came before somebody listened are kept', async () => {
      const { near, far } = await connected();
      near.send('one');
      near.send('two');
      await turn();
      const got = collect(far);
      await until(got, () => got.frames.length === 2);
      expect(got.frames).toEqual(['one', 'two']);
    });

    test('the closing handshake gives both ends its code and reason', async () => {
      const { near, far } = await connected();
      const ends = [closeOf(near), closeOf(far)];
      collect(far);
      near.close(4007, 'permission denied');
      expect(near.open).toBe(false);
      expect(await Promise.all(ends)).toEqual([
        { code: 4007, reason: 'permission denied' },
        { code: 4007, reason: 'permission denied' },
      ]);
      expect(far.open).toBe(false);
    });

    test('frames sent before the close arrive before it', async () => {
      const { near, far } = await connected();
      const got = collect(far);
      for (let n = 0; n < 50; n++) near.send(String(n));
      near.close(1000, 'done');
      expect((await closeOf(far)).code).toBe(1000);
      expect(got.frames).toHaveLength(50);
    });

    test('a cut connection is 1006 at both ends, once', async () => {
      const { near, far } = await connected();
      let closes = 0;
      far.onClose(() => closes++);
      collect(far);
      const ends = [closeOf(near), closeOf(far)];
      near.terminate();
      near.terminate();
      near.close(1000);
      expect((await Promise.all(ends)).map((close) => close.code)).toEqual([1006, 1006]);
      await turn();
      expect(closes).toBe(1);
    });

    test('sending after the end does nothing', async () => {
      const { near, far } = await connected();
      const got = collect(far);
      near.close(1000);
      near.send('late');
      await Promise.all([closeOf(near), closeOf(far)]);
      near.send('later');
      far.send('later');
      far.close(1000);
      far.terminate();
      await turn();
      expect(got.frames).toEqual([]);
    });

    test('who asks after the end is told', async () => {
      const { near, far } = await connected();
      collect(far);
      near.close(1001, 'going');
      await Promise.all([closeOf(near), closeOf(far)]);
      expect(await closeOf(far)).toEqual({ code: 1001, reason: 'going' });
    });

    test('a code that cannot be sent becomes one that can, and a long reason is cut between characters', async () => {
      const { near, far } = await connected();
      collect(far);
      near.close(1006, 'é'.repeat(100));
      const close = await closeOf(far);
      expect(close.code).toBe(1011);
      expect(close.reason).toBe('é'.repeat(61));
    });

    test('a paused reader makes the writer hold its frames, and a resumed one gets them all', async () => {
      const { near, far } = await connected();
      const got = collect(far);
      const frame = Buffer.alloc(64 * 1024, 'x');
      far.pause();
      let sent = 0;
      // More than the system between two sockets swallows, so that some stays with us.
      while (near.bufferedBytes < 1024 * 1024 && sent < 2000) {
        near.send(frame);
        sent += 1;
        if (sent % 16 === 0) await turn();
      }
      expect(near.bufferedBytes).toBeGreaterThan(0);
      const drained = new Promise<void>((resolve) => near.onDrain(resolve));
      far.resume();
      await drained;
      expect(near.bufferedBytes).toBe(0);
      await until(got, () => got.frames.length === sent);
      expect(got.frames).toHaveLength(sent);
    });

    test('whoever saw frames waiting is told when they are gone, also when they are taken at once', async () => {
      const { near, far } = await connected();
      collect(far);
      const drained = new Promise<void>((resolve) => near.onDrain(resolve));
      near.send(Buffer.alloc(1024, 'x'));
      // Seen in the turn of the send: the system was not asked yet.
      expect(near.bufferedBytes).toBeGreaterThan(0);
      await drained;
      expect(near.bufferedBytes).toBe(0);
    });

    test('a frame that is too long ends the connection with 1009', async () => {
      const { near, far } = await connected();
      const got = collect(far);
      collect(near);
      const ends = [closeOf(near), closeOf(far)];
      near.send(Buffer.alloc(SUITE_FRAME_BYTES_MAX + 1, 'x'));
      expect((await Promise.all(ends)).map((close) => close.code)).toEqual([1009, 1009]);
      expect(got.frames).toEqual([]);
    });

    test('an end that is paused can still be closed', async () => {
      const { near, far } = await connected();
      collect(near);
      collect(far);
      near.pause();
      far.send('unread');
      near.close(1000, 'enough');
      expect((await closeOf(near)).code).toBe(1000);
    });
  });
}

export interface Collected {
  frames: string[];
  arrived: EventTarget;
}

/** Listens, and keeps what came. */
export function collect(socket: FrameSocket): Collected {
  const got: Collected = { frames: [], arrived: new EventTarget() };
  socket.onFrame((frame) => {
    got.frames.push(frame.toString());
    got.arrived.dispatchEvent(new Event('frame'));
  });
  return got;
}

export async function until(got: Collected, condition: () => boolean): Promise<void> {
  while (!condition()) await once(got.arrived, 'frame');
}

export function closeOf(socket: FrameSocket): Promise<FrameClose> {
  return new Promise((resolve) => socket.onClose(resolve));
}

/** One turn of the event loop, with its input and output. */
export function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
