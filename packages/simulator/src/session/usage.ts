import type { Item, Wire } from '../wire.ts';

// Made-up usage that adds up as real usage does: text by its length, the user's audio one token per 100 ms, the
// assistant's one per 50 ms, and the whole conversation again with every response.

export interface Tokens {
  text: number;
  audio: number;
  image: number;
}

export const NO_TOKENS: Tokens = { text: 0, audio: 0, image: 0 };

const IMAGE_TOKENS = 85;

export function textTokens(text: string): number {
  return Math.ceil(text.length / 4);
}

export function inputAudioTokens(ms: number): number {
  return Math.ceil(ms / 100);
}

export function outputAudioTokens(ms: number): number {
  return Math.ceil(ms / 50);
}

export function add(a: Tokens, b: Tokens, sign = 1): Tokens {
  return { text: a.text + sign * b.text, audio: a.audio + sign * b.audio, image: a.image + sign * b.image };
}

/** What an item costs as context; `audioMs` is the audio that it holds. */
export function itemTokens(item: Item, audioMs: number): Tokens {
  let text = textTokens((item.arguments ?? '') + (item.output ?? '') + (item.name ?? ''));
  let image = 0;
  for (const part of item.content ?? []) {
    if (part.type === 'input_image') image += IMAGE_TOKENS;
    else if (part.type === 'input_text' || part.type === 'output_text') text += textTokens(part.text ?? '');
  }
  const assistant = item.role === 'assistant';
  if (assistant && audioMs > 0) text += textTokens(item.content?.[0]?.transcript ?? '');
  return { text, image, audio: assistant ? outputAudioTokens(audioMs) : inputAudioTokens(audioMs) };
}

/** The `usage` of a response. What the last response had as context is cached, as far as it is still there. */
export function responseUsage(input: Tokens, output: Tokens, before: Tokens): Wire {
  const cached = {
    text: Math.min(before.text, input.text),
    audio: Math.min(before.audio, input.audio),
    image: Math.min(before.image, input.image),
  };
  const inputTotal = input.text + input.audio + input.image;
  const outputTotal = output.text + output.audio;
  return {
    total_tokens: inputTotal + outputTotal,
    input_tokens: inputTotal,
    output_tokens: outputTotal,
    input_token_details: {
      text_tokens: input.text,
      audio_tokens: input.audio,
      image_tokens: input.image,
      cached_tokens: cached.text + cached.audio + cached.image,
      cached_tokens_details: { text_tokens: cached.text, audio_tokens: cached.audio, image_tokens: cached.image },
    },
    output_token_details: { text_tokens: output.text, audio_tokens: output.audio },
  };
}

/** The `usage` of an input transcription. */
export function transcriptionUsage(audioMs: number, transcript: string): Wire {
  const audio = inputAudioTokens(audioMs);
  const output = textTokens(transcript);
  return {
    type: 'tokens',
    total_tokens: audio + output,
    input_tokens: audio,
    input_token_details: { text_tokens: 0, audio_tokens: audio },
    output_tokens: output,
  };
}
