// files
export { readWav, type Wav, type WavLimits, writeWav } from './audio/wav.ts';
// rates
export { resample } from './audio/resample.ts';
export { Pcm16Resampler } from './audio/resampler.ts';
