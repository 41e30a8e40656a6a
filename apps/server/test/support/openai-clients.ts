// The clients that people use, as they are published, pointed at a server: what came to them, in order.

import { OpenAIRealtimeWebSocket, type RealtimeAgent, RealtimeSession } from '@openai/agents-realtime';
import type OpenAI from 'openai';
import { OpenAIRealtimeWS } from 'openai/realtime/ws';
import type { Frame } from './client.ts';

/** Frames in order, and whoever waits for one. */
export class Frames {
  readonly all: Frame[] = [];
  #seen = 0;
  #wakes = new Set<() => void>();
  #over: Error | null = null;

  add(frame: Frame): void {
    this.all.push(frame);
    this.#wake();
  }

  end(why: Error): void {
    this.#over ??= why;
    this.#wake();
  }

  /** The next frame of this type, after those that were waited for before. */
  async next(type: string, fits: (frame: Frame) => boolean = () => true): Promise<Frame> {
    for (;;) {
      while (this.#seen < this.all.length) {
        const frame = this.all[this.#seen] as Frame;
        this.#seen += 1;
        if (frame.type === type && fits(frame)) return frame;
      }
      if (this.#over) {
        throw new Error(`no ${type}: ${this.#over.message}, after ${this.types().slice(-10).join(', ')}`);
      }
      await new Promise<void>((resolve) => this.#wakes.add(resolve));
    }
  }

  types(): string[] {
    return this.all.map(({ type }) => type);
  }

  #wake(): void {
    for (const wake of this.#wakes) wake();
    this.#wakes.clear();
  }
}

export interface NodeCall extends Disposable {
  realtime: OpenAIRealtimeWS;
  frames: Frames;
  errors: { error?: { code?: string | null; message?: string } | undefined; message: string }[];
  closed: Promise<{ code: number; reason: string }>;
}

/** A call of the `openai` package, which insists on TLS. */
export function nodeCall(openai: OpenAI, model: string, ca: string): NodeCall {
  const realtime = new OpenAIRealtimeWS({ model, options: { ca } }, openai);
  const frames = new Frames();
  const errors: NodeCall['errors'] = [];
  realtime.on('event', (event) => frames.add(event as unknown as Frame));
  realtime.on('error', (error) => errors.push(error as unknown as NodeCall['errors'][number]));
  const closed = new Promise<{ code: number; reason: string }>((resolve) => {
    realtime.socket.on('close', (code: number, reason: Buffer) => {
      frames.end(new Error(`closed with ${code} ${reason.toString()}`));
      resolve({ code, reason: reason.toString() });
    });
  });
  return { realtime, frames, errors, closed, [Symbol.dispose]: () => realtime.close() };
}

export interface AgentsCall extends Disposable {
  session: RealtimeSession;
  frames: Frames;
  errors: unknown[];
  sound: Buffer[];
  interruptions: () => number;
}

/** A call of `@openai/agents-realtime` over a WebSocket. */
export async function agentsCall(agent: RealtimeAgent, url: string, apiKey: string): Promise<AgentsCall> {
  const transport = new OpenAIRealtimeWebSocket({ url: url.replace(/^http/, 'ws') });
  const session = new RealtimeSession(agent, { transport });
  const frames = new Frames();
  const errors: unknown[] = [];
  const sound: Buffer[] = [];
  let interruptions = 0;
  session.on('error', (error) => errors.push(error));
  session.on('audio', ({ data }) => sound.push(Buffer.from(data)));
  session.on('audio_interrupted', () => interruptions++);
  // Its own events are among them; those of the wire have an id.
  session.on('transport_event', (event) => {
    if ('event_id' in event) frames.add(event as unknown as Frame);
  });
  transport.on('connection_change', (status) => {
    if (status === 'disconnected') frames.end(new Error('the call is disconnected'));
  });
  await session.connect({ apiKey });
  return {
    session,
    frames,
    errors,
    sound,
    interruptions: () => interruptions,
    [Symbol.dispose]: () => session.close(),
  };
}

export function base64(pcm: Int16Array): string {
  return Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength).toString('base64');
}

/** Base64 PCM16 of audio deltas as samples. */
export function samples(parts: Buffer[]): Int16Array {
  const bytes = Buffer.concat(parts);
  return new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength));
}
