import { type MediaChannel, type MediaPeer, openMediaPeer, OpusIn, OpusOut } from '@parley/media';
import { decodeSpeech, encodeSpeech } from '../speech.ts';
import type { Simulator } from '../simulator.ts';
import { faultsOfEvent } from '../schema.test.support.ts';
import type { ServerEvent, Wire } from '../wire.ts';

// A caller in place of a browser: it offers, speaks and listens over real peers on loopback.

export class Caller implements AsyncDisposable {
  readonly events: ServerEvent[] = [];
  /** When each event came, on the clock of `performance.now()`. */
  readonly times: number[] = [];
  /** What was heard, 24 kHz. */
  readonly heard: { at: number; samples: Int16Array }[] = [];
  readonly peer: MediaPeer;
  readonly channel: MediaChannel;
  readonly ended: Promise<unknown>;
  readonly #out: OpusOut;
  readonly #in: OpusIn;
  #waiting: (() => void)[] = [];
  #seen = 0;
  id = '';

  private constructor(peer: MediaPeer) {
    this.peer = peer;
    this.channel = peer.openChannel('oai-events');
    this.#out = new OpusOut({ send: (packet, timestamp, marker) => void peer.sendAudio(packet, timestamp, marker) });
    this.#in = new OpusIn({ stallMs: 5_000, onPcm: (samples) => this.heard.push({ at: performance.now(), samples }) });
    peer.onAudio((packet) => this.#in.push(packet));
    peer.onConnected(() => this.#out.start());
    this.ended = new Promise((resolve) => peer.onEnd(resolve));
    this.channel.onFrame((frame) => {
      this.events.push(JSON.parse(frame.toString()) as ServerEvent);
      this.times.push(performance.now());
      this.#wake();
    });
    void this.ended.then(() => this.#wake());
    this.channel.onClose(() => this.#wake());
  }

  static async open(): Promise<Caller> {
    return new Caller(await openMediaPeer({ connectMs: 10_000 }));
  }

  /** Calls, and waits until the session greets. */
  static async call(simulator: Simulator, session: Wire = {}): Promise<Caller> {
    const caller = await Caller.open();
    const response = await fetch(`${simulator.url}/v1/realtime/calls`, {
      method: 'POST',
      headers: { authorization: 'Bearer sk-test' },
      body: callForm(await caller.peer.offer(), { type: 'realtime', ...session }),
    });
    await caller.accept(response);
    await caller.next('session.created');
    return caller;
  }

  async accept(response: Response): Promise<void> {
    if (response.status !== 201) throw new Error(`expected 201, got ${response.status}: ${await response.text()}`);
    this.id = response.headers.get('location')?.split('/').at(-1) ?? '';
    await this.peer.accept(await response.text());
  }

  #wake(): void {
    for (const go of this.#waiting.splice(0)) go();
  }

  async next(type: string): Promise<ServerEvent> {
    for (;;) {
      const index = this.events.findIndex((event, at) => at >= this.#seen && event.type === type);
      if (index >= 0) {
        this.#seen = index + 1;
        return this.events[index] as ServerEvent;
      }
      if (this.peer.state === 'ended')
        throw new Error(`ended while waiting for ${type}; got ${this.types().join(' ')}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  types(): string[] {
    return this.events.map(({ type }) => type);
  }

  of(type: string): ServerEvent[] {
    return this.events.filter((event) => event.type === type);
  }

  /** When an event came. */
  timeOf(event: ServerEvent): number {
    return this.times[this.events.indexOf(event)] as number;
  }

  send(event: Wire): void {
    this.channel.send(JSON.stringify(event));
  }

  type(text: string, response: Wire = {}): void {
    const item = { type: 'message', role: 'user', content: [{ type: 'input_text', text }] };
    this.send({ type: 'conversation.item.create', item });
    this.send({ type: 'response.create', response });
  }

  /** Speaks a text as coded sound, in real time. */
  async say(text: string): Promise<void> {
    this.#out.push(await encodeSpeech(text));
    this.#out.end();
  }

  /** The words in what was heard since a moment. */
  async words(since = 0): Promise<string> {
    const parts = this.heard.filter(({ at }) => at >= since).map(({ samples }) => samples);
    const all = new Int16Array(parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return decodeSpeech(all, 24_000);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#out.close();
    this.#in.close();
    this.peer.close();
    await this.ended;
    const faults = this.events.flatMap(faultsOfEvent);
    if (faults.length > 0) throw new Error(`events against the schema:\n${faults.join('\n')}`);
  }
}

export function callForm(offer: string, session: Wire | null): FormData {
  const form = new FormData();
  form.set('sdp', offer);
  if (session) form.set('session', JSON.stringify(session));
  return form;
}

/** Louder than a whisper, and than what an Opus decoder rings out with. */
export function isLoud({ samples }: { samples: Int16Array }): boolean {
  return samples.some((sample) => Math.abs(sample) > 2_000);
}
