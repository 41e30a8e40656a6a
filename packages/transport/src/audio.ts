// files
export { readWav, type Wav, type WavLimits, writeWav } from './audio/wav.ts';
// rates
export { resample } from './audio/resample.ts';
