// A streamed chat completion with audio: the events of its chunks.
//
// Between chunks stand comment lines that only keep the connection alive. Each chunk's audio is base64 of its own, often
// padded, and may end within a sample. A failure in the middle is a chunk like any other, after a status of 200.

import { createParser } from 'eventsource-parser';
import { isObject, listIn, numberIn, objectIn, textIn, type Wire } from '../openai/wire.ts';
import { Failure, failureOfChunk } from './failure.ts';
import { ask, type Endpoint, failureOf } from './request.ts';

export interface ChatListener {
  /** 16-bit samples at 24 kHz, whole ones. */
  audio(pcm: Buffer): void;
  /** Words that go with the sound. */
  transcript(text: string): void;
  /** Words without sound. */
  text(text: string): void;
  /** A piece of a call: the pieces of one call have one index, its id and name come with the first. */
  call(index: number, piece: { id?: string | undefined; name?: string | undefined; arguments: string }): void;
  usage(usage: Wire): void;
  /** `stop`, `length`, `tool_calls`, `content_filter`. */
  finish(reason: string): void;
  /** Resolves when there is room for more. */
  room(): Promise<void>;
}

/** One chunk with its sound; a provider that sends more in one line has lost its way. */
const CHUNK_CHARS_MAX = 16 * 1024 * 1024;
const DONE = '[DONE]';

/**
 * Asks, and reports the chunks as they come. Resolves when the answer is complete.
 *
 * @throws Failure; the reason of the signal when it was aborted.
 */
export async function streamChat(at: Endpoint, body: Wire, signal: AbortSignal, on: ChatListener): Promise<void> {
  const bytes = Buffer.from(JSON.stringify(body));
  const response = await ask(at, 'chat/completions', { type: 'application/json', bytes }, signal);
  const chunks = new Chunks(on);
  try {
    // Left open at the end of the loop: the next turn takes the same connection.
    const texts = response.setEncoding('utf8').iterator({ destroyOnReturn: false }) as AsyncIterable<string>;
    for await (const text of texts) {
      chunks.feed(text);
      if (chunks.done) break;
      await on.room();
    }
  } catch (error) {
    response.destroy();
    throw failureOf(error, signal, at.base.host);
  }
  response.resume();
  // Some hosts end without the mark; an answer that said why it ended is complete all the same.
  if (!chunks.done && !chunks.finished) throw new Failure('connection_error', 'the provider cut the answer off');
}

class Chunks {
  done = false;
  finished = false;
  readonly #on: ChatListener;
  readonly #parser = createParser({
    onEvent: ({ data }) => this.#chunk(data),
    onError: (error) => {
      if (error.type === 'max-buffer-size-exceeded')
        this.#broken = new Failure('server_error', 'a chunk of the provider is too long');
    },
    maxBufferSize: CHUNK_CHARS_MAX,
  });
  #broken: Failure | null = null;
  /** The first half of a sample whose second half is in the next chunk. */
  #half: Buffer | null = null;

  constructor(on: ChatListener) {
    this.#on = on;
  }

  feed(text: string): void {
    this.#parser.feed(text);
    if (this.#broken) throw this.#broken;
  }

  #chunk(data: string): void {
    if (this.done || this.#broken) return;
    if (data === DONE) {
      this.done = true;
      return;
    }
    try {
      this.#read(chunkOf(data));
    } catch (caught) {
      // Thrown where the parser is fed, not through the parser.
      this.#broken = Failure.of(caught);
    }
  }

  #read(chunk: Wire): void {
    if (isObject(chunk['error'])) throw failureOfChunk(chunk['error']);
    if (isObject(chunk['usage'])) this.#on.usage(chunk['usage']);
    const [choice] = listIn(chunk, 'choices');
    if (!choice) return;
    if (isObject(choice['error'])) throw failureOfChunk(choice['error']);
    this.#delta(objectIn(choice, 'delta'));
    const reason = textIn(choice, 'finish_reason');
    if (reason === undefined) return;
    if (reason === 'error') throw new Failure('server_error', 'the provider broke the answer off');
    this.finished = true;
    this.#on.finish(reason);
  }

  #delta(delta: Wire): void {
    const audio = objectIn(delta, 'audio');
    const transcript = textIn(audio, 'transcript');
    if (transcript) this.#on.transcript(transcript);
    const data = textIn(audio, 'data');
    if (data) this.#sound(data);
    const content = textIn(delta, 'content');
    if (content) this.#on.text(content);
    for (const call of listIn(delta, 'tool_calls')) {
      const { name, arguments: pieces } = objectIn(call, 'function');
      this.#on.call(numberIn(call, 'index') ?? 0, {
        id: textIn(call, 'id'),
        name: typeof name === 'string' && name !== '' ? name : undefined,
        arguments: typeof pieces === 'string' ? pieces : '',
      });
    }
  }

  #sound(data: string): void {
    let bytes: Buffer = Buffer.from(data, 'base64');
    if (this.#half) bytes = Buffer.concat([this.#half, bytes]);
    const whole = bytes.length - (bytes.length % 2);
    this.#half = whole === bytes.length ? null : bytes.subarray(whole);
    if (whole > 0) this.#on.audio(bytes.subarray(0, whole));
  }
}

function chunkOf(data: string): Wire {
  let value: unknown;
  try {
    value = JSON.parse(data);
  } catch {
    throw new Failure('server_error', 'a chunk of the provider is not JSON');
  }
  return isObject(value) ? value : {};
}
