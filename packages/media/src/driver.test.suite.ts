// What every MediaPeer promises, as tests over two real peers on loopback.

import { once } from 'node:events';
import { afterEach, describe, expect, test } from 'vitest';
import type { MediaChannel, MediaDriver, MediaEnd, MediaPeer } from './peer/media-peer.ts';
import { openMediaPeer, type OpenMediaPeerOptions } from './peer/open.ts';
import type { RtpPacket } from './rtp.ts';

export function mediaPeerSuite(driver: MediaDriver, across: MediaDriver = driver): void {
  describe(`MediaPeer of ${driver}, called by ${across}`, () => {
    const peers: MediaPeer[] = [];
    const open = async (options: OpenMediaPeerOptions = {}): Promise<MediaPeer> => {
      const peer = await openMediaPeer({ driver, ...options });
      peers.push(peer);
      return peer;
    };
    afterEach(() => {
      for (const peer of peers.splice(0)) peer.close();
    });

    /** Two peers that are connected, and the channel between them. */
    const connected = async (options: OpenMediaPeerOptions = {}, change = (offer: string) => offer) => {
      const caller = await open({ driver: across });
      const callee = await open(options);
      const near = caller.openChannel('oai-events');
      const far = new Promise<MediaChannel>((resolve) => callee.onChannel(resolve));
      const up = Promise.all([caller, callee].map((peer) => new Promise<void>((go) => peer.onConnected(go))));
      await caller.accept(await callee.answer(change(await caller.offer())));
      await up;
      return { caller, callee, near, far: await far };
    };

    test('an offer without candidates is answered with a description that holds all of ours', async () => {
      const caller = await open({ driver: across });
      caller.openChannel('oai-events');
      const bare = await caller.offer();
      expect(bare).not.toContain('a=candidate');
      const callee = await open();
      const answer = await callee.answer(bare);
      expect(answer).toMatch(/^m=audio \d+ UDP\/TLS\/RTP\/SAVPF 111\b/mu);
      expect(answer).toMatch(/^a=candidate:.* 127\.0\.0\.1 /mu);
      expect(answer).not.toMatch(/^a=candidate:.* (?!127\.0\.0\.1)\d+\.\d+\.\d+\.\d+ \d+ typ host/mu);
      expect(answer).toMatch(/^a=max-message-size:262144\r?$/mu);
      const up = new Promise<void>((go) => caller.onConnected(go));
      await caller.accept(answer);
      await up;
      expect(caller.state).toBe('connected');
    });

    test('an offer with candidates connects too, wherever they lead', async () => {
      const nowhere = 'a=candidate:1 1 UDP 2113937151 127.0.0.1 9 typ host\r\na=end-of-candidates\r\n';
      const { caller, callee } = await connected({}, (offer) => offer.replace(/^a=mid:.*\r\n/mu, `$&${nowhere}`));
      expect([caller.state, callee.state]).toEqual(['connected', 'connected']);
    });

    test('frames cross the channel whole and in order, both ways', async () => {
      const { near, far } = await connected();
      expect([far.label, far.open]).toEqual(['oai-events', true]);
      const up = frames(far);
      const down = frames(near);
      const sent = Array.from({ length: 200 }, (_, n) => JSON.stringify({ n, pad: 'ö'.repeat(n * 20) }));
      for (const text of sent) near.send(text);
      far.send(Buffer.from('{"back":1}'));
      await up.until(200);
      await down.until(1);
      expect(up.got).toEqual(sent);
      expect(down.got).toEqual(['{"back":1}']);
    });

    test('audio packets cross both ways with their timestamps', async () => {
      const { caller, callee } = await connected();
      for (const [from, to] of [
        [caller, callee],
        [callee, caller],
      ] as const) {
        const got: RtpPacket[] = [];
        const heard = new EventTarget();
        to.onAudio((packet) => {
          got.push({ ...packet, payload: Buffer.from(packet.payload) });
          heard.dispatchEvent(new Event('packet'));
        });
        for (let n = 0; n < 20; n++) from.sendAudio(Buffer.from([0xf8, n]), 0xffff_ffff - 960 + n * 960, n === 0);
        while (got.length < 20) await once(heard, 'packet');
        expect(got.map(({ payload }) => payload[1])).toEqual(Array.from({ length: 20 }, (_, n) => n));
        expect(got[0]?.marker).toBe(true);
        expect(got.map(({ timestamp }) => timestamp)).toEqual(got.map((_, n) => (0xffff_ffff - 960 + n * 960) >>> 0));
        expect(got.every(({ sequence }, n) => sequence === (((got[0]?.sequence ?? 0) + n) & 0xffff))).toBe(true);
      }
    });

    test('a peer that closes ends the other one, its channels first', async () => {
      const { caller, callee, far } = await connected();
      const order: string[] = [];
      far.onClose(({ code }) => order.push(`channel ${code}`));
      const ends = Promise.all([endOf(caller), endOf(callee)]);
      callee.onEnd(() => order.push('peer'));
      frames(far);
      caller.close();
      expect(await ends).toEqual([
        { kind: 'closed', by: 'us' },
        { kind: 'closed', by: 'peer' },
      ]);
      expect(order.at(-1)).toBe('peer');
      expect(order).toHaveLength(2);
      expect([caller.state, callee.state]).toEqual(['ended', 'ended']);
      expect(caller.sendAudio(Buffer.from([0xf8]), 0)).toBe(false);
      caller.close();
    });

    test('a channel that is closed takes nothing more and leaves the call up', async () => {
      const { caller, callee, near, far } = await connected();
      const up = frames(far);
      for (let n = 0; n < 20; n++) near.send(String(n));
      const ended = new Promise((resolve) => far.onClose(resolve));
      near.close(1000, 'done');
      near.send('late');
      expect(await ended).toEqual({ code: 1005, reason: '' });
      expect(up.got).toHaveLength(20);
      expect([caller.state, callee.state]).toEqual(['connected', 'connected']);
    });

    test('a paused reader keeps its frames, and past its limit its channel ends', async () => {
      const { near, far } = await connected({ maxBufferedBytes: 300_000 });
      const up = frames(far);
      far.pause();
      near.send('kept');
      near.send('too');
      const ended = new Promise<{ code: number }>((resolve) => far.onClose(resolve));
      const answered = frames(near);
      far.send('go');
      await answered.until(1);
      expect(up.got).toEqual([]);
      far.resume();
      await up.until(2);
      far.pause();
      for (let n = 0; n < 4; n++) near.send('x'.repeat(100_000));
      expect((await ended).code).toBe(4008);
      expect(up.got).toEqual(['kept', 'too']);
    });

    test('a frame that is longer than the far side takes ends the channel with 1009', async () => {
      const { near } = await connected({ maxFrameBytes: 20_000 });
      const ended = new Promise<{ code: number }>((resolve) => near.onClose(resolve));
      near.send('x'.repeat(20_001));
      expect((await ended).code).toBe(1009);
    });

    test('a connection that no packet of the caller reaches fails, and says at which stage', async () => {
      const caller = await open({ driver: across });
      caller.openChannel('oai-events');
      const callee = await open({ connectMs: 300 });
      const ended = endOf(callee);
      // The answer never reaches the caller, so it never checks.
      await callee.answer(await caller.offer());
      const end = await ended;
      expect(end).toMatchObject({
        kind: 'failed',
        error: { code: 'deadline_exceeded', details: { boundary: 'client -> parley', stage: 'ice' } },
      });
      expect(callee.state).toBe('ended');
    });

    test('a data channel that never opens fails the call where one was asked for', async () => {
      const caller = await open({ driver: across });
      const callee = await open({ channelMs: 200 });
      const ended = endOf(callee);
      await caller.accept(await callee.answer(await caller.offer()));
      expect(await ended).toMatchObject({ kind: 'failed', error: { details: { stage: 'data channel' } } });
    });

    test('what is not an offer is refused by name', async () => {
      const offer = await (await open({ driver: across })).offer();
      const bad: [string, RegExp][] = [
        ['hello', /begins with v=0/u],
        ['', /got nothing/u],
        [offer.replace(/opus/giu, 'speex'), /Opus at 48000/u],
        [offer.replace(/^a=fingerprint.*$/gmu, ''), /a=fingerprint/u],
        [offer.replace('m=audio', 'm=video'), /one audio line/u],
        [`v=0\r\n${'a=x\r\n'.repeat(20_000)}`, /at most 65536 bytes/u],
      ];
      for (const [sdp, message] of bad) {
        const callee = await open();
        await expect(callee.answer(sdp)).rejects.toMatchObject({ code: 'invalid_argument' });
        await expect(callee.answer(sdp)).rejects.toThrow(message);
      }
    });

    test('one exchange is all that a peer takes', async () => {
      const callee = await open();
      await callee.offer();
      await expect(callee.offer()).rejects.toMatchObject({ code: 'failed_precondition' });
    });

    test('calls one after the other leave nothing behind', { timeout: 60_000 }, async () => {
      const handles = process.getActiveResourcesInfo().length;
      for (let n = 0; n < 25; n++) {
        const { caller, callee } = await connected();
        const ended = endOf(callee);
        caller.close();
        await ended;
      }
      await expect.poll(() => process.getActiveResourcesInfo().length).toBeLessThanOrEqual(handles + 2);
    });
  });
}

function endOf(peer: MediaPeer): Promise<MediaEnd> {
  return new Promise((resolve) => peer.onEnd(resolve));
}

function frames(channel: MediaChannel) {
  const got: string[] = [];
  const arrived = new EventTarget();
  channel.onFrame((frame) => {
    got.push(frame.toString());
    arrived.dispatchEvent(new Event('frame'));
  });
  return {
    got,
    until: async (count: number) => {
      while (got.length < count) await once(arrived, 'frame');
    },
  };
}
