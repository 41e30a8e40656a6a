// The microphone of a browser: opened, changed for another, and replaced when it is unplugged.

import { type ErrorCode, ParleyError } from '@parley/core';
import { Emitter, type Listener } from '../emitter.ts';
import { type CallProblem, callError } from './problems.ts';

export interface MicrophoneOptions {
  /** Which microphone. Default: echo cancellation, noise suppression and gain control on, one channel. */
  microphone?: MediaTrackConstraints | undefined;
  /** A stream that is there already. It is not stopped when the call ends. */
  stream?: MediaStream | undefined;
}

const CONSTRAINTS: MediaTrackConstraints = {
  channelCount: 1,
  echoCancellation: true,
  noiseSuppression: true,
  autoGainControl: true,
};

export class Microphone {
  readonly #constraints: MediaTrackConstraints;
  /** A stream that the page gave, and that is the page's to stop. */
  readonly #given: MediaStream | undefined;
  readonly #emitter = new Emitter<{ change: MediaStream; lost: ParleyError }>();
  #stream: MediaStream;
  #open = true;
  #closed = false;

  private constructor(stream: MediaStream, options: MicrophoneOptions) {
    this.#constraints = options.microphone ?? CONSTRAINTS;
    this.#given = options.stream;
    this.#stream = stream;
    this.#watch();
  }

  /** @throws ParleyError `permission_denied`, `not_found` without a microphone, `failed_precondition`. */
  static async open(options: MicrophoneOptions): Promise<Microphone> {
    return new Microphone(options.stream ?? (await streamOf(options.microphone ?? CONSTRAINTS)), options);
  }

  get stream(): MediaStream {
    return this.#stream;
  }

  get track(): MediaStreamTrack | null {
    return this.#stream.getAudioTracks()[0] ?? null;
  }

  /** Which device it is. */
  get deviceId(): string | undefined {
    return this.track?.getSettings().deviceId;
  }

  /** `change`: another microphone is heard from now on. `lost`: it was unplugged, and there is no other. */
  on<K extends 'change' | 'lost'>(
    name: K,
    listener: Listener<{ change: MediaStream; lost: ParleyError }[K]>,
  ): () => void {
    return this.#emitter.on(name, listener);
  }

  /** A closed one hears silence; the device stays open, so that it hears again at once. */
  listen(open: boolean): void {
    this.#open = open;
    if (this.track) this.track.enabled = open;
  }

  /** Hears with another device from now on. The one before goes on when the other cannot be opened. */
  async choose(deviceId: string): Promise<void> {
    await this.#take({ ...this.#constraints, deviceId: { exact: deviceId } });
  }

  close(): void {
    this.#closed = true;
    stop(this.#stream, this.#given);
  }

  async #take(constraints: MediaTrackConstraints): Promise<void> {
    const stream = await streamOf(constraints);
    if (this.#closed) return stop(stream);
    stop(this.#stream, this.#given);
    this.#stream = stream;
    this.listen(this.#open);
    this.#watch();
    this.#emitter.emit('change', stream);
  }

  #watch(): void {
    const { track } = this;
    track?.addEventListener('ended', () => {
      // Stopping a track by ourselves tells no `ended`: this one was unplugged, or its permission was taken back.
      if (this.#closed || track !== this.track) return;
      this.#take(this.#constraints).catch((thrown: unknown) => {
        const cause = ParleyError.from(thrown);
        this.#emitter.emit(
          'lost',
          callError('microphone_lost', cause.code, `the microphone is gone: ${cause.message}`, { cause }),
        );
      });
    });
  }
}

function stop(stream: MediaStream, given?: MediaStream): void {
  if (stream !== given) for (const track of stream.getTracks()) track.stop();
}

async function streamOf(audio: MediaTrackConstraints): Promise<MediaStream> {
  if (navigator.mediaDevices === undefined) {
    throw callError(
      'insecure_page',
      'failed_precondition',
      'a browser gives its microphone only to https pages and to localhost',
    );
  }
  try {
    return await navigator.mediaDevices.getUserMedia({ audio });
  } catch (thrown) {
    const name = thrown instanceof Error ? thrown.name : 'unknown reason';
    const [problem, code] = REFUSALS[name] ?? (['microphone_failed', 'failed_precondition'] as const);
    throw callError(problem, code, `the microphone could not be opened (${name})`, { cause: thrown });
  }
}

const REFUSALS: Readonly<Record<string, readonly [CallProblem, ErrorCode]>> = {
  NotAllowedError: ['microphone_refused', 'permission_denied'],
  SecurityError: ['microphone_refused', 'permission_denied'],
  NotFoundError: ['microphone_missing', 'not_found'],
  OverconstrainedError: ['microphone_missing', 'not_found'],
};
