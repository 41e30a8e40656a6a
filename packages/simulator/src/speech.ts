// coded speech: text that crosses an audio path
export { decodeSpeech, encodeSpeech, type EncodeSpeechOptions } from './speech/coded-speech.ts';
// files and rates
export { readWav, resample, type Wav, writeWav } from '@parley/transport/audio';
// telephone formats
export { decodeAlaw, decodeMulaw, encodeAlaw, encodeMulaw } from './audio/g711.ts';
