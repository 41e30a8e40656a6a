// coded speech: text that crosses an audio path
export { decodeSpeech, encodeSpeech, type EncodeSpeechOptions } from './speech/coded-speech.ts';
// files and rates
export { readWav, type Wav, writeWav } from './audio/wav.ts';
export { resample } from './audio/resample.ts';
// telephone formats
export { decodeAlaw, decodeMulaw, encodeAlaw, encodeMulaw } from './audio/g711.ts';
