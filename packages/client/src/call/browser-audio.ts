// A browser's microphone and loudspeaker as the two ends of a call.

import { ParleyError } from '@parley/core';
import { floatOfPcm, msOf, pcmOfFloat, SAMPLE_RATE } from '../pcm.ts';
import type { AudioSink, CallAudio, ReportProblem } from './audio.ts';
import { type DeviceChoice, listDevices, onDeviceChange, playOn } from './devices.ts';
import { Microphone, type MicrophoneOptions } from './microphone.ts';
import { type CutItem, Playout } from './playout.ts';
import { callError } from './problems.ts';
import { Resampler } from './resampler.ts';
import { WORKLET_SOURCE } from './worklet.ts';

export interface BrowserAudioOptions extends MicrophoneOptions {
  /** Address of a file with `WORKLET_SOURCE`, where a Content-Security-Policy forbids `blob:` scripts. */
  workletUrl?: string | undefined;
}

/** Microphone audio that may wait for a slow page: half a second in pieces of 20 ms. */
const WAITING_PIECES_MAX = 25;
/** What a resampler holds back of an answer's end counts as heard. */
const REST_MS = 3;

/**
 * Opens microphone and loudspeaker. Call it from a click: browsers keep audio silent before the first one.
 *
 * @throws ParleyError `permission_denied`, `not_found` without a microphone, `failed_precondition` without audio.
 */
export async function openBrowserAudio(
  options: BrowserAudioOptions = {},
  report: ReportProblem = () => {},
): Promise<CallAudio> {
  if (typeof AudioContext === 'undefined') {
    throw callError('insecure_page', 'failed_precondition', 'this is no browser with audio');
  }
  const microphone = await Microphone.open(options);
  const { context, mic } = contextFor(microphone.stream);
  const release = async (): Promise<void> => {
    microphone.close();
    if (context.state !== 'closed') await context.close();
  };
  try {
    await context.resume();
    await loadWorklet(context, options.workletUrl);
    const ear = new AudioWorkletNode(context, 'parley-mic', {
      numberOfOutputs: 0,
      channelCount: 1,
      channelCountMode: 'explicit',
    });
    const mouth = new AudioWorkletNode(context, 'parley-speaker', { numberOfInputs: 0, outputChannelCount: [1] });
    mouth.connect(context.destination);
    mic.connect(ear);
    let heard = mic;
    microphone.on('change', (stream) => {
      heard.disconnect();
      heard = context.createMediaStreamSource(stream);
      heard.connect(ear);
    });
    microphone.on('lost', report);
    return {
      source: heardBy(ear, context),
      realtime: true,
      sink: new SpeakerSink(mouth, context),
      devices: choiceOf(microphone, context),
      close: release,
    };
  } catch (thrown) {
    await release();
    throw ParleyError.from(thrown, 'failed_precondition');
  }
}

function choiceOf(microphone: Microphone, context: AudioContext & { sinkId?: unknown }): DeviceChoice {
  return {
    list: () => listDevices(microphone.deviceId, typeof context.sinkId === 'string' ? context.sinkId : ''),
    setMicrophone: (deviceId) => microphone.choose(deviceId),
    setSpeaker: (deviceId) => playOn(context, deviceId),
    onChange: onDeviceChange,
  };
}

// Most browsers resample by themselves in a context of our rate. One that refuses to join it to a microphone of another
// rate gets a context of its own rate, and we resample.
function contextFor(stream: MediaStream): { context: AudioContext; mic: MediaStreamAudioSourceNode } {
  const context = new AudioContext({ sampleRate: SAMPLE_RATE, latencyHint: 'interactive' });
  try {
    return { context, mic: context.createMediaStreamSource(stream) };
  } catch {
    void context.close();
    const own = new AudioContext({ latencyHint: 'interactive' });
    return { context: own, mic: own.createMediaStreamSource(stream) };
  }
}

async function loadWorklet(context: AudioContext, workletUrl: string | undefined): Promise<void> {
  if (workletUrl !== undefined) return context.audioWorklet.addModule(workletUrl);
  const url = URL.createObjectURL(new Blob([WORKLET_SOURCE], { type: 'text/javascript' }));
  try {
    await context.audioWorklet.addModule(url);
  } finally {
    URL.revokeObjectURL(url);
  }
}

function heardBy(node: AudioWorkletNode, context: AudioContext): AsyncIterable<Int16Array> {
  const resampler = new Resampler(context.sampleRate, SAMPLE_RATE);
  const waiting: Float32Array[] = [];
  let wake: () => void = () => {};
  node.port.onmessage = ({ data }: MessageEvent<Float32Array>) => {
    // A page that slept hears the present, not the past.
    if (waiting.length >= WAITING_PIECES_MAX) waiting.shift();
    waiting.push(data);
    wake();
  };
  context.addEventListener('statechange', () => wake());
  // Listening begins here and not with the first `next`: a port keeps everything for its first listener.
  return {
    async *[Symbol.asyncIterator]() {
      while (context.state !== 'closed') {
        const piece = waiting.shift();
        if (piece) yield pcmOfFloat(resampler.push(piece));
        else await new Promise<void>((resolve) => (wake = resolve));
      }
    },
  };
}

class SpeakerSink implements AudioSink {
  readonly #node: AudioWorkletNode;
  readonly #rate: number;
  readonly #playout = new Playout();
  readonly #context: AudioContext;
  #resampler: Resampler;
  #cuts = 0;
  #level = 0;
  /** Fractions of a sample that the two rates leave over. */
  #over = 0;

  constructor(node: AudioWorkletNode, context: AudioContext) {
    this.#node = node;
    this.#context = context;
    this.#rate = context.sampleRate;
    this.#resampler = new Resampler(SAMPLE_RATE, this.#rate);
    node.port.onmessage = ({ data }: MessageEvent<{ played: number; level: number; cut: number }>) => {
      if (data.cut !== this.#cuts) return;
      this.#level = data.level;
      const played = (data.played * SAMPLE_RATE) / this.#rate + this.#over;
      this.#over = played - Math.floor(played);
      this.#playout.advance(Math.floor(played));
    };
  }

  write(itemId: string, pcm: Int16Array): void {
    const samples = this.#resampler.push(floatOfPcm(pcm));
    this.#playout.add(itemId, pcm.length);
    this.#node.port.postMessage(samples, [samples.buffer]);
  }

  cut(): CutItem[] {
    this.#cuts += 1;
    this.#node.port.postMessage(this.#cuts);
    this.#resampler = new Resampler(SAMPLE_RATE, this.#rate);
    this.#over = 0;
    this.#level = 0;
    // What left the worklet last is still on its way to the ear.
    const latencyMs = (this.#context.outputLatency || this.#context.baseLatency || 0) * 1000;
    return this.#playout.cut().map((item) => {
      const inFlightMs = item.unheardMs > 0 ? Math.min(latencyMs, item.playedMs) : 0;
      return { ...item, playedMs: item.playedMs - inFlightMs, unheardMs: item.unheardMs + inFlightMs };
    });
  }

  get pendingMs(): number {
    const pendingMs = msOf(this.#playout.pending);
    return pendingMs < REST_MS ? 0 : pendingMs;
  }

  get level(): number {
    return this.#level;
  }

  async close(): Promise<void> {
    this.#node.port.postMessage(this.#cuts + 1);
    this.#node.disconnect();
  }
}
