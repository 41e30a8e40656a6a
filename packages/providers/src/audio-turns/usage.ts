// Tokens as a chat completion counts them, in the names of OpenAI Realtime.

import { numberIn, objectIn, type Wire } from '../openai/wire.ts';

/** An answer that was broken off tells nothing of its cost; zeros stand there, because strict clients want numbers. */
export function usageOf(chat: Wire): Wire {
  const input = numberIn(chat, 'prompt_tokens') ?? 0;
  const output = numberIn(chat, 'completion_tokens') ?? 0;
  const inputDetails = objectIn(chat, 'prompt_tokens_details');
  const outputDetails = objectIn(chat, 'completion_tokens_details');
  const inputAudio = numberIn(inputDetails, 'audio_tokens') ?? 0;
  const outputAudio = numberIn(outputDetails, 'audio_tokens') ?? 0;
  return {
    total_tokens: input + output,
    input_tokens: input,
    output_tokens: output,
    input_token_details: {
      text_tokens: Math.max(0, input - inputAudio),
      audio_tokens: inputAudio,
      image_tokens: 0,
      cached_tokens: numberIn(inputDetails, 'cached_tokens') ?? 0,
    },
    output_token_details: { text_tokens: Math.max(0, output - outputAudio), audio_tokens: outputAudio },
  };
}
