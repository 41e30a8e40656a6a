// Callers over WebRTC: as many as are wanted, all saying the same sound, so that making it costs next to nothing.

import { type MediaPeer, OpusIn, OpusOut, openMediaPeer } from '@parley/media';

const RATE = 24_000;
/** Louder than what is left of silence after Opus. */
const LOUD = 500;

export interface RtcCall {
  peer: MediaPeer;
  /** From the offer to the open data channel. */
  connect_ms: number;
  /** When sound was heard last, on the clock of `performance`. */
  loudAt_ms: number;
  packets: number;
}

/** Makes a call; `ears` decodes what is heard. */
export async function call(url: string, token: string | null, ears: boolean): Promise<RtcCall> {
  const peer = await openMediaPeer();
  const channel = peer.openChannel('oai-events');
  const one: RtcCall = { peer, connect_ms: 0, loudAt_ms: 0, packets: 0 };
  const ear = ears ? new OpusIn({ rate: RATE, onPcm: (samples) => hear(one, samples) }) : null;
  peer.onAudio((packet) => {
    one.packets += 1;
    ear?.push(packet);
  });
  peer.onEnd(() => ear?.close());
  const offer = await peer.offer();
  const began_ms = performance.now();
  const opened = new Promise<void>((resolve) => channel.onOpen(resolve));
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/sdp', ...(token === null ? {} : { authorization: `Bearer ${token}` }) },
    body: offer,
  });
  const answer = await response.text();
  if (response.status !== 201) throw new Error(`the offer was answered ${response.status}: ${answer}`);
  await peer.accept(answer);
  await opened;
  one.connect_ms = performance.now() - began_ms;
  // What nobody reads would pile up.
  channel.onFrame(() => undefined);
  return one;
}

function hear(one: RtcCall, samples: Int16Array): void {
  for (const sample of samples) {
    if (sample > LOUD || sample < -LOUD) {
      one.loudAt_ms = performance.now();
      return;
    }
  }
}

/** Speaks a tone into every call, 50 packets a second, until it is stopped. */
export function speak(calls: readonly RtcCall[]): { stop: () => void } {
  const mouth = new OpusOut({
    rate: RATE,
    send: (packet, timestamp, marker) => {
      for (const { peer } of calls) peer.sendAudio(packet, timestamp, marker);
    },
  });
  const tone = Int16Array.from({ length: RATE }, (_, n) => 6000 * Math.sin((2 * Math.PI * 440 * n) / RATE));
  for (let second = 0; second < 60; second++) mouth.push(tone);
  mouth.start();
  return { stop: () => mouth.close() };
}
