// The spoken call over WebRTC, as a page makes it, without a browser: an offer, Opus both ways, a data channel.

import { type MediaPeer, OpusIn, OpusOut, openMediaPeer } from '@parley/media';
import { ParleyError, type EventRecord } from '@parley/core';
import { closed, type ConversationOptions, type Listener, reportOf } from './conversation.ts';
import { SAMPLE_RATE } from './spoken.ts';

/** How long the last answer may take, from the end of what is said to the end of what is heard. */
const ANSWER_MS = 60_000;
/** A call in which nothing happened for so long has come to its end. */
const QUIET_MS = 800;
const OFFER_MS = 20_000;

/** Calls `target`, says `audio`, hears the answers to their end, and hangs up. @throws as `converse` does. */
export async function converseOverWebRtc(options: ConversationOptions): ReturnType<typeof reportOf> {
  const { client, target, audio, directory, listener, signal } = options;
  const { session_id } = await client.sessions.start(target);
  const over = new AbortController();
  // What the log could not tell is not shown; the call itself says what went wrong.
  const told = tell(client.sessions.tail(session_id, { signal: over.signal }), listener).catch(() => undefined);
  const peer = await openMediaPeer();
  const call = new WebRtcCall(peer, listener);
  try {
    await call.connect((offer) => client.sessions.offer(session_id, offer, { timeoutMs: OFFER_MS, signal }));
    await call.say(audio, (audio.length * 1000) / SAMPLE_RATE + ANSWER_MS, signal);
  } catch (error) {
    over.abort();
    throw error;
  } finally {
    call.close();
    await client.sessions.close(session_id);
  }
  const session = await closed(client, session_id);
  await told;
  if (session.turns === 0) {
    throw new ParleyError('invalid_argument', 'nothing in this audio is loud enough to be taken for speech');
  }
  return reportOf(client, session, call.heard(), directory);
}

/** Tools run where the page cannot see them; what became of them stands in the log. */
async function tell(log: AsyncGenerator<EventRecord>, listener: Listener): Promise<void> {
  for await (const event of log) {
    if (event.type === 'tool.dispatched') {
      const { call_id, name, input } = event;
      listener.tool({ callId: call_id, name, status: 'dispatched', input });
    } else if (event.type === 'tool.completed') {
      const { call_id, name, status, output, error, duration_ms } = event;
      listener.tool({ callId: call_id, name, status, output, error, durationMs: duration_ms });
    }
  }
}

class WebRtcCall {
  readonly #peer: MediaPeer;
  readonly #channel: ReturnType<MediaPeer['openChannel']>;
  readonly #mouth: OpusOut;
  readonly #ear: OpusIn;
  readonly #listener: Listener;
  readonly #said = Promise.withResolvers<void>();
  readonly #broken = Promise.withResolvers<never>();
  /** What was heard, from the first sound of each answer to its end. */
  readonly #pieces: Int16Array[] = [];
  #sounding = false;
  /** Answers that are generated or heard, and when nothing was any more. */
  #busy = new Set<string>();
  #quietSince_ms = Number.POSITIVE_INFINITY;
  #answered = false;

  constructor(peer: MediaPeer, listener: Listener) {
    this.#peer = peer;
    this.#listener = listener;
    this.#channel = peer.openChannel('oai-events');
    this.#mouth = new OpusOut({
      rate: SAMPLE_RATE,
      send: (packet, timestamp, marker) => void peer.sendAudio(packet, timestamp, marker),
      onStopped: () => this.#said.resolve(),
    });
    this.#ear = new OpusIn({
      rate: SAMPLE_RATE,
      onPcm: (samples) => {
        if (this.#sounding) this.#pieces.push(samples);
      },
    });
    peer.onAudio((packet) => this.#ear.push(packet));
    peer.onConnected(() => this.#mouth.start());
    this.#channel.onFrame((frame) => this.#frame(JSON.parse(frame.toString()) as Record<string, unknown>));
    this.#broken.promise.catch(() => undefined);
    peer.onEnd((end) => {
      const lost = end.kind === 'failed' ? end.error : new ParleyError('aborted', 'the call was hung up');
      this.#broken.reject(lost);
    });
  }

  /** Resolves when frames can flow. */
  async connect(offer: (sdp: string) => Promise<string>): Promise<void> {
    await this.#peer.accept(await offer(await this.#peer.offer()));
    await Promise.race([new Promise<void>((resolve) => this.#channel.onOpen(resolve)), this.#broken.promise]);
  }

  /** Says it, and resolves when the answers were heard to their end. */
  async say(audio: Int16Array, within_ms: number, signal: AbortSignal): Promise<void> {
    this.#mouth.push(audio);
    this.#mouth.end();
    const deadline = AbortSignal.any([signal, AbortSignal.timeout(Math.ceil(within_ms))]);
    const aborted = new Promise<never>((_, reject) => {
      const stop = (): void => {
        const seconds = Math.round(within_ms / 1000);
        const late = new ParleyError('deadline_exceeded', `the call did not come to its end within ${seconds} s`);
        reject(signal.aborted ? (signal.reason as Error) : late);
      };
      deadline.addEventListener('abort', stop, { once: true });
      if (deadline.aborted) stop();
    });
    await Promise.race([this.#said.promise.then(() => this.#quiet(deadline)), this.#broken.promise, aborted]);
  }

  heard(): Buffer {
    return Buffer.concat(
      this.#pieces.map(({ buffer, byteOffset, byteLength }) => Buffer.from(buffer, byteOffset, byteLength)),
    );
  }

  close(): void {
    this.#mouth.close();
    this.#ear.close();
    this.#peer.close();
  }

  async #quiet(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const silent_ms = performance.now() - this.#quietSince_ms;
      if (this.#answered && this.#busy.size === 0 && silent_ms >= QUIET_MS) return;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }

  #frame(frame: Record<string, unknown>): void {
    const text = (name: string): string => (typeof frame[name] === 'string' ? frame[name] : '');
    const response = (frame['response'] ?? {}) as { id?: string };
    switch (frame['type']) {
      case 'conversation.item.input_audio_transcription.completed':
        this.#listener.said('user', text('transcript'));
        break;
      case 'response.output_audio_transcript.done':
        this.#listener.said('agent', text('transcript'));
        break;
      case 'response.created':
        this.#busy.add(`generated ${response.id}`);
        break;
      case 'response.done':
        this.#settled(`generated ${response.id}`);
        break;
      case 'output_audio_buffer.started':
        this.#sounding = true;
        this.#busy.add(`heard ${text('response_id')}`);
        break;
      case 'output_audio_buffer.stopped':
      case 'output_audio_buffer.cleared':
        this.#answered = true;
        this.#settled(`heard ${text('response_id')}`);
        break;
      default:
    }
  }

  #settled(what: string): void {
    this.#busy.delete(what);
    if (this.#busy.size === 0) this.#quietSince_ms = performance.now();
  }
}
