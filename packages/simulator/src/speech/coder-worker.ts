// The worker thread that turns text into sound and sound into text: 20 to 130 ms of work a message, so never on the
// event loop of whoever asks. It takes one request after the other.

import { parentPort } from 'node:worker_threads';
import factory, { type Ggwave } from 'ggwave';

/** Rate at which everything is coded; other rates are resampled by the caller. */
const SAMPLE_RATE = 24_000;
/** Samples fed at a time, so that each message of a text comes out by itself. */
const FEED_SAMPLES = 1_024;
/** Silence fed after the sound, or the end marker of a message that was cut tightly is lost. */
const TAIL_SAMPLES = SAMPLE_RATE * 0.8;
/** Loud enough to stand out of noise, quiet enough that half of the range is left. */
const VOLUME = 50;

/** `wide` needs 6.4 kHz of band and is fast; `narrow` fits into a telephone line and takes about twice as long. */
export type Band = 'wide' | 'narrow';

export type CoderRequest =
  | { id: number; kind: 'encode'; text: string; band: Band }
  | { id: number; kind: 'decode'; pcm: Int16Array };

export type CoderReply =
  | { id: number; kind: 'encoded'; pcm: Int16Array }
  | { id: number; kind: 'decoded'; texts: string[] }
  | { id: number; kind: 'failed'; message: string };

const PROTOCOLS: Record<Band, string> = {
  wide: 'GGWAVE_PROTOCOL_AUDIBLE_FASTEST',
  narrow: 'GGWAVE_PROTOCOL_DT_FASTEST',
};

const started = factory({ print: () => undefined, printErr: () => undefined }).then((ggwave) => {
  ggwave.disableLog();
  for (const [name, protocol] of Object.entries(ggwave.ProtocolId)) {
    if (name.startsWith('GGWAVE_')) ggwave.rxToggleProtocol(protocol, Object.values(PROTOCOLS).includes(name) ? 1 : 0);
  }
  return ggwave;
});

function open(ggwave: Ggwave): number {
  const parameters = ggwave.getDefaultParameters();
  parameters.sampleRateInp = SAMPLE_RATE;
  parameters.sampleRateOut = SAMPLE_RATE;
  parameters.sampleFormatInp = ggwave.SampleFormat['GGWAVE_SAMPLE_FORMAT_I16'];
  parameters.sampleFormatOut = ggwave.SampleFormat['GGWAVE_SAMPLE_FORMAT_I16'];
  return ggwave.init(parameters);
}

function encode(ggwave: Ggwave, text: string, band: Band): Int16Array {
  const instance = open(ggwave);
  try {
    // The view is over ggwave's own memory, which the next call overwrites: copy it out.
    const bytes = Uint8Array.from(ggwave.encode(instance, text, ggwave.ProtocolId[PROTOCOLS[band]], VOLUME));
    return new Int16Array(bytes.buffer);
  } finally {
    ggwave.free(instance);
  }
}

function decode(ggwave: Ggwave, pcm: Int16Array): string[] {
  // A fresh instance (4 ms) each time: a message that was cut off leaves a receiver waiting for its end, and it would
  // swallow the beginning of the next turn. One lives at a time: the fifth would abort the module.
  const instance = open(ggwave);
  const texts: string[] = [];
  const bytes = new Uint8Array(pcm.buffer, pcm.byteOffset, pcm.byteLength);
  const silence = new Uint8Array(FEED_SAMPLES * 2);
  const feed = (part: Uint8Array) => {
    const found = ggwave.decode(instance, part);
    if (found.length > 0) texts.push(new TextDecoder().decode(Uint8Array.from(found)));
  };
  try {
    for (let at = 0; at < bytes.length; at += FEED_SAMPLES * 2) feed(bytes.subarray(at, at + FEED_SAMPLES * 2));
    for (let fed = 0; fed < TAIL_SAMPLES; fed += FEED_SAMPLES) feed(silence);
    return texts;
  } finally {
    ggwave.free(instance);
  }
}

function answer(ggwave: Ggwave, request: CoderRequest): CoderReply {
  try {
    if (request.kind === 'encode') {
      return { id: request.id, kind: 'encoded', pcm: encode(ggwave, request.text, request.band) };
    }
    return { id: request.id, kind: 'decoded', texts: decode(ggwave, request.pcm) };
  } catch (error) {
    return { id: request.id, kind: 'failed', message: error instanceof Error ? error.message : String(error) };
  }
}

parentPort?.on('message', (request: CoderRequest) => {
  void started.then((ggwave) => parentPort?.postMessage(answer(ggwave, request)));
});
