// The user's side of a call, at a terminal: sound and text go in as a client sends them, and what comes out is told to
// a screen. It is a client of the session like any other.

import type { EventRecord } from '@parley/core';
import type { Clock, FrameSocket } from '@parley/transport';
import { SAMPLE_RATE } from '../machine-audio.ts';
import { Playout } from './playout.ts';

/** What a screen is told. */
export interface ConsoleScreen {
  /** Words of one side; `final` says that no more come. */
  words(who: 'you' | 'agent', text: string, final: boolean): void;
  /** From the end of what the user said to the first sound, or word, of the answer. */
  answered(latency: { firstMs: number; beganMs: number | null }): void;
  interrupted(playedMs: number): void;
  /** An entry of the session's log. */
  entry(entry: EventRecord): void;
  sound(who: 'you' | 'agent', pcm: Int16Array): void;
  problem(message: string): void;
}

type Frame = Record<string, unknown> & { type: string };

const FRAME_SAMPLES = (SAMPLE_RATE * 20) / 1000;

export class ConsoleCall {
  readonly #socket: FrameSocket;
  readonly #screen: ConsoleScreen;
  readonly #clock: Clock;
  readonly #playout: Playout;
  readonly #responder: 'model' | 'handler';
  readonly #partial = new Map<string, string>();
  readonly #wake = new Set<() => void>();
  readonly #closed = Promise.withResolvers<void>();
  #turnEndedAt: number | null = null;
  #beganAt: number | null = null;
  #responding: string | null = null;
  #cutResponse: string | null = null;
  #tools = 0;
  #saying = 0;
  #live = false;

  constructor(socket: FrameSocket, responder: 'model' | 'handler', screen: ConsoleScreen, clock: Clock) {
    this.#socket = socket;
    this.#responder = responder;
    this.#screen = screen;
    this.#clock = clock;
    this.#playout = new Playout(clock, (pcm) => {
      screen.sound('agent', pcm);
      this.#changed();
    });
    socket.onFrame((frame) => this.#frame(JSON.parse(frame.toString()) as Frame));
    socket.onClose(() => {
      this.#playout.stop();
      this.#closed.resolve();
      this.#changed();
    });
  }

  get closed(): Promise<void> {
    return this.#closed.promise;
  }

  say(text: string): void {
    this.interrupt(true);
    const item = { type: 'message', role: 'user', content: [{ type: 'input_text', text }] };
    this.#send({ type: 'conversation.item.create', item });
    this.#turnEndedAt = this.#clock.now();
    this.#beganAt = null;
    // A handler is told of the turn and answers it itself; a second answer must not be asked for.
    if (this.#responder === 'model') this.#send({ type: 'response.create' });
  }

  /** Sound of the microphone: 24,000 samples a second, 16 bits, one channel. */
  hear(pcm: Int16Array): void {
    for (let at = 0; at < pcm.length; at += FRAME_SAMPLES) {
      const part = pcm.subarray(at, at + FRAME_SAMPLES);
      this.#screen.sound('you', part);
      const audio = Buffer.from(part.buffer, part.byteOffset, part.byteLength).toString('base64');
      this.#send({ type: 'input_audio_buffer.append', audio });
    }
  }

  /** Stops what is being said. */
  interrupt(cancel: boolean): void {
    if (cancel && this.#responding !== null) {
      this.#cutResponse = this.#responding;
      this.#send({ type: 'response.cancel' });
    }
    const cut = this.#playout.cut();
    if (!cut) return;
    const audio_end_ms = Math.floor(cut.playedMs);
    this.#send({ type: 'conversation.item.truncate', item_id: cut.itemId, content_index: 0, audio_end_ms });
    this.#screen.interrupted(cut.playedMs);
  }

  /**
   * Resolves once nothing is said, computed or heard for `ms`, after an answer began; or when the call is closed.
   * @returns whether it became quiet.
   */
  async quiet(ms: number, signal: AbortSignal): Promise<boolean> {
    for (;;) {
      if (!this.#socket.open || signal.aborted) return false;
      if (!this.#busy && (await this.#unchanged(ms, signal))) return true;
      if (this.#busy) await this.#change(signal);
    }
  }

  hangUp(): void {
    this.#playout.stop();
    this.#socket.close(1000, 'the user hung up');
  }

  get #busy(): boolean {
    const waits = this.#turnEndedAt !== null || this.#responding !== null;
    return !this.#live || waits || this.#tools > 0 || this.#saying > 0 || this.#playout.playing;
  }

  async #unchanged(ms: number, signal: AbortSignal): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const timer = this.#clock.after(ms, () => resolve(true));
    const changed = this.#change(signal).then(() => false);
    const quiet = await Promise.race([promise, changed]);
    timer.cancel();
    this.#changed();
    return quiet;
  }

  async #change(signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#wake.add(resolve);
    signal.addEventListener('abort', () => resolve(), { once: true });
    await promise;
    this.#wake.delete(resolve);
  }

  #changed(): void {
    for (const wake of this.#wake) wake();
  }

  #send(frame: Record<string, unknown>): void {
    if (this.#socket.open) this.#socket.send(JSON.stringify(frame));
  }

  #frame(frame: Frame): void {
    const { item_id, delta, transcript, text, response_id } = frame as Partial<Record<string, string>>;
    switch (frame.type) {
      case 'session.created':
        this.#live = true;
        break;
      case 'parley.event':
        this.#entry(frame['event'] as EventRecord);
        break;
      case 'input_audio_buffer.speech_started':
        this.#turnEndedAt = null;
        this.#cutResponse = this.#responding;
        this.interrupt(false);
        break;
      case 'input_audio_buffer.speech_stopped':
        this.#turnEndedAt = this.#clock.now();
        this.#beganAt = null;
        break;
      case 'conversation.item.input_audio_transcription.delta':
        this.#words('you', item_id, delta);
        break;
      case 'conversation.item.input_audio_transcription.completed':
        this.#final('you', item_id, transcript);
        break;
      case 'response.created':
        this.#responding = (frame['response'] as { id?: string } | undefined)?.id ?? 'response';
        this.#beganAt = this.#clock.now();
        break;
      case 'response.done':
        this.#responding = null;
        // One without a word, such as the call of a tool, answers nothing yet.
        if (this.#tools === 0) this.#turnEndedAt = null;
        break;
      case 'response.output_audio.delta':
        if (response_id !== undefined && response_id === this.#cutResponse) break;
        this.#first();
        this.#playout.add(item_id ?? '', pcmOf(delta ?? ''));
        break;
      case 'response.output_audio_transcript.delta':
      case 'response.output_text.delta':
        this.#first();
        this.#words('agent', item_id, delta);
        break;
      case 'response.output_audio_transcript.done':
      case 'response.output_text.done':
        this.#final('agent', item_id, transcript ?? text);
        break;
      case 'error':
        this.#screen.problem(String((frame['error'] as { message?: unknown } | undefined)?.message));
        break;
      default:
        break;
    }
    this.#changed();
  }

  #entry(entry: EventRecord): void {
    if (entry.type === 'tool.called') this.#tools += 1;
    if (entry.type === 'tool.completed' || entry.type === 'tool.rejected') this.#tools = Math.max(0, this.#tools - 1);
    if (entry.type === 'say.requested') this.#saying += 1;
    if (entry.type === 'say.completed') this.#saying = Math.max(0, this.#saying - 1);
    this.#screen.entry(entry);
  }

  #first(): void {
    if (this.#turnEndedAt === null) return;
    const firstMs = this.#clock.now() - this.#turnEndedAt;
    const beganMs = this.#beganAt === null ? null : this.#beganAt - this.#turnEndedAt;
    this.#turnEndedAt = null;
    this.#screen.answered({ firstMs, beganMs });
  }

  #words(who: 'you' | 'agent', itemId = '', delta = ''): void {
    const words = (this.#partial.get(itemId) ?? '') + delta;
    this.#partial.set(itemId, words);
    this.#screen.words(who, words, false);
  }

  #final(who: 'you' | 'agent', itemId = '', words = ''): void {
    this.#partial.delete(itemId);
    if (words.trim() !== '') this.#screen.words(who, words, true);
  }
}

function pcmOf(base64: string): Int16Array {
  const bytes = Buffer.from(base64, 'base64');
  // A copy: what Buffer gives may begin at an odd byte of its pool.
  return new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + (bytes.length & ~1)));
}
