// Microphone and loudspeaker of a call over WebRTC: the browser carries the sound, and this side only opens, chooses
// and measures. It outlives a connection: after a cut the same microphone joins the next one.

import type { AudioSink, ReportProblem, TrackMicrophone } from './audio.ts';
import { type DeviceChoice, listDevices, onDeviceChange, playOn } from './devices.ts';
import { Meter } from './meter.ts';
import { Microphone, type MicrophoneOptions } from './microphone.ts';
import { callError } from './problems.ts';

export class PeerAudio {
  readonly microphone: TrackMicrophone;
  readonly sink: AudioSink;
  readonly devices: DeviceChoice;
  readonly #mic: Microphone;
  readonly #element: HTMLAudioElement;
  readonly #context: AudioContext;
  readonly #heard: Meter;
  readonly #report: ReportProblem;
  readonly #over = new AbortController();

  private constructor(mic: Microphone, report: ReportProblem) {
    this.#mic = mic;
    this.#report = report;
    this.#element = new Audio();
    this.#element.autoplay = true;
    this.#context = new AudioContext();
    this.#heard = new Meter(this.#context);
    const spoken = new Meter(this.#context);
    spoken.listenTo(mic.stream);
    mic.on('change', (stream) => spoken.listenTo(stream));
    mic.on('lost', report);
    this.microphone = {
      listen: (open) => mic.listen(open),
      get level() {
        return spoken.level;
      },
    };
    this.sink = sinkOf(this.#heard);
    const element: HTMLAudioElement & { sinkId?: string } = this.#element;
    this.devices = {
      list: () => listDevices(mic.deviceId, element.sinkId ?? ''),
      setMicrophone: (deviceId) => mic.choose(deviceId),
      setSpeaker: (deviceId) => playOn(element, deviceId),
      onChange: onDeviceChange,
    };
  }

  /** @throws ParleyError as `Microphone.open`. */
  static async open(options: MicrophoneOptions, report: ReportProblem): Promise<PeerAudio> {
    const mic = await Microphone.open(options);
    try {
      const audio = new PeerAudio(mic, report);
      // Levels only: a context that a browser holds back must not hold up the call.
      void audio.#context.resume().catch((cause: unknown) => report(blocked(cause)));
      return audio;
    } catch (thrown) {
      mic.close();
      throw thrown;
    }
  }

  /** Sends what the microphone hears, and after a change what the next one hears. */
  sendOn(sender: RTCRtpSender, signal: AbortSignal): void {
    const send = (): void => {
      sender.replaceTrack(this.#mic.track).catch((cause: unknown) => {
        // Between the cut of a connection and its successor there is nothing to send on.
        if (signal.aborted) return;
        this.#report(callError('microphone_failed', 'failed_precondition', 'the microphone did not join', { cause }));
      });
    };
    send();
    const off = this.#mic.on('change', send);
    signal.addEventListener('abort', off, { once: true });
  }

  /** Plays what comes from the far end. */
  play(stream: MediaStream): void {
    this.#element.srcObject = stream;
    this.#heard.listenTo(stream);
    this.#start();
  }

  async close(): Promise<void> {
    this.#over.abort();
    this.#mic.close();
    this.#element.pause();
    this.#element.srcObject = null;
    if (this.#context.state !== 'closed') await this.#context.close();
  }

  // A page that was not clicked yet may not sound. Its user is told, and the next click or key lets the answer be heard.
  #start(): void {
    this.#element.play().catch((cause: unknown) => {
      const name = cause instanceof Error ? cause.name : '';
      // Another stream, or the end of the call, came in between.
      if (this.#over.signal.aborted || name === 'AbortError') return;
      this.#report(blocked(cause));
      const once = { once: true, signal: this.#over.signal };
      for (const gesture of ['pointerdown', 'keydown'] as const) {
        document.addEventListener(gesture, () => this.#resume(), once);
      }
    });
  }

  #resume(): void {
    void this.#context.resume().catch((cause: unknown) => this.#report(blocked(cause)));
    if (this.#element.paused) this.#start();
  }
}

// The far end plays and cuts by itself, at the speed of speech; nothing waits here that could be cut.
function sinkOf(meter: Meter): AudioSink {
  return {
    write: () => {},
    cut: () => [],
    pendingMs: 0,
    get level() {
      return meter.level;
    },
    close: async () => {},
  };
}

function blocked(cause: unknown) {
  return callError(
    'playback_blocked',
    'failed_precondition',
    'the browser keeps this page silent until it is clicked',
    { cause },
  );
}
