import { once } from 'node:events';
import { WebSocket } from 'ws';
import { faultsOfEvent } from './schema.test.support.ts';
import type { Simulator } from './simulator.ts';
import { encodeSpeech } from './speech.ts';
import type { ServerEvent, Wire } from './wire.ts';

// A bare client of the wire: it checks every event against the schema and remembers all of them, in order.

type Test = string | ((event: ServerEvent) => boolean);

export class WireClient implements AsyncDisposable {
  readonly events: ServerEvent[] = [];
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly socket: WebSocket;
  #waiting: (() => void)[] = [];
  #seen = 0;
  #over = false;

  constructor(url: string, protocols: string[], options: { headers?: Record<string, string>; ca?: string } = {}) {
    this.socket = new WebSocket(url, protocols, options);
    this.socket.on('message', (data: Buffer) => {
      const event = JSON.parse(data.toString()) as ServerEvent;
      this.events.push(event);
      this.#wake();
    });
    this.closed = new Promise((resolve) => {
      this.socket.on('close', (code, reason) => {
        this.#over = true;
        resolve({ code, reason: reason.toString() });
        this.#wake();
      });
    });
    this.socket.on('error', () => undefined);
  }

  #wake(): void {
    for (const go of this.#waiting.splice(0)) go();
  }

  /** The next event of that kind after the one that was waited for last. */
  async next(test: Test): Promise<ServerEvent> {
    for (;;) {
      const matches = (event: ServerEvent) => (typeof test === 'string' ? event.type === test : test(event));
      const index = this.events.findIndex((event, at) => at >= this.#seen && matches(event));
      if (index >= 0) {
        this.#seen = index + 1;
        return this.events[index] as ServerEvent;
      }
      if (this.#over) throw new Error(`closed while waiting for ${String(test)}; got ${this.types().join(' ')}`);
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
  }

  types(): string[] {
    return this.events.map(({ type }) => type);
  }

  of(type: string): ServerEvent[] {
    return this.events.filter((event) => event.type === type);
  }

  send(event: Wire): void {
    this.socket.send(JSON.stringify(event));
  }

  /** Sends samples in chunks of that many, as `input_audio_buffer.append`. */
  append(pcm: Int16Array, chunk = 2_400): void {
    for (let at = 0; at < pcm.length; at += chunk) this.appendBytes(pcm.slice(at, at + chunk));
  }

  appendBytes(pcm: Int16Array | Uint8Array): void {
    const audio = Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength).toString('base64');
    this.send({ type: 'input_audio_buffer.append', audio });
  }

  /** Says a text as coded sound; the silence around it lets voice activity detection work. */
  async say(text: string): Promise<void> {
    this.append(await encodeSpeech(text));
  }

  /** Types a text and asks for an answer. */
  type(text: string, response: Wire = {}): void {
    this.send({ type: 'conversation.item.create', item: userText(text) });
    this.send({ type: 'response.create', response });
  }

  /** All audio of a response, joined. */
  audio(responseId?: string): Buffer {
    const deltas = this.of('response.output_audio.delta').filter(
      (event) => responseId === undefined || event['response_id'] === responseId,
    );
    return Buffer.concat(deltas.map((event) => Buffer.from(event['delta'] as string, 'base64')));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.socket.terminate();
    await this.closed;
    const faults = this.events.flatMap(faultsOfEvent);
    if (faults.length > 0) throw new Error(`events against the schema:\n${faults.join('\n')}`);
  }
}

export function userText(text: string): Wire {
  return { type: 'message', role: 'user', content: [{ type: 'input_text', text }] };
}

/** Samples from little-endian bytes. */
export function samples(bytes: Buffer): Int16Array {
  return new Int16Array(Uint8Array.from(bytes).buffer);
}

/** A client whose session has begun; `session` is patched in before it returns. */
export async function connect(
  simulator: Simulator,
  session?: Wire,
  query = '?model=gpt-realtime-2.1',
): Promise<WireClient> {
  const client = new WireClient(`${simulator.wsUrl}${query}`, ['realtime', 'openai-insecure-api-key.sk-test']);
  await once(client.socket, 'open');
  await client.next('session.created');
  if (session) {
    client.send({ type: 'session.update', session: { type: 'realtime', ...session } });
    await client.next('session.updated');
  }
  return client;
}

export async function answered(client: WireClient): Promise<ServerEvent> {
  return client.next('response.done');
}
