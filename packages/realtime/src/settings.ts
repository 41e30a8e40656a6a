// What the model is told of the sound, the turns and itself, and how that becomes what an adapter is given.

import type { TurnDetection } from '@parley/core';
import type { ModelSessionOptions } from '@parley/providers';
import { isObject, type Wire } from './history/item.ts';

/** PCM16 is little-endian, mono, 24 kHz; G.711 is 8 kHz. */
export type RealtimeAudioFormat =
  | 'pcm16'
  | 'g711_ulaw'
  | 'g711_alaw'
  | { type: 'audio/pcm'; rate: number }
  | { type: 'audio/pcmu' }
  | { type: 'audio/pcma' };

/** When a turn of the user is over. null is push-to-talk: `sendAudio(audio, { commit: true })`. */
export type RealtimeTurnDetection = {
  type: 'server_vad' | 'semantic_vad';
  createResponse?: boolean;
  /** Whether speech over an answer cuts it. Default true. */
  interruptResponse?: boolean;
  eagerness?: 'auto' | 'low' | 'medium' | 'high';
  threshold?: number;
  prefixPaddingMs?: number;
  silenceDurationMs?: number;
  idleTimeoutMs?: number;
};

export interface RealtimeModelSettings {
  model?: string;
  voice?: string;
  /** For agents that have none of their own. */
  instructions?: string;
  /** ISO 639-1, for writing down what the user says. */
  language?: string;
  /** Default `['audio']`; sound comes with its transcript. */
  outputModalities?: ('audio' | 'text')[];
  audio?: {
    input?: {
      format?: RealtimeAudioFormat;
      noiseReduction?: { type: 'near_field' | 'far_field' } | null;
      transcription?: { model?: string; language?: string; prompt?: string } | null;
      turnDetection?: RealtimeTurnDetection | null;
    };
    output?: { format?: RealtimeAudioFormat; voice?: string; speed?: number };
  };
  turnDetection?: RealtimeTurnDetection | null;
  toolChoice?: 'auto' | 'none' | 'required' | { type: 'function'; name: string };
  maxOutputTokens?: number | 'inf';
  parallelToolCalls?: boolean;
  reasoning?: { effort: 'minimal' | 'low' | 'medium' | 'high' | 'xhigh' };
  /** Tracing of the provider. */
  tracing?: 'auto' | { workflowName?: string; groupId?: string; metadata?: Record<string, unknown> } | null;
  /** Fields of the provider's session object, in its own spelling: they go over everything above. */
  providerData?: Record<string, unknown>;
}

const DETECTION: TurnDetection = {
  type: 'semantic_vad',
  eagerness: 'auto',
  create_response: true,
  interrupt_response: true,
};

/** `second` over `first`, object by object. */
export function settingsOver(first: RealtimeModelSettings, second: RealtimeModelSettings): RealtimeModelSettings {
  return over(first as Wire, second as Wire) as RealtimeModelSettings;
}

export type ModelTerms = Pick<ModelSessionOptions, 'modalities' | 'turn_detection' | 'language' | 'settings'>;

/** What of the settings stays the same whichever agent speaks. */
export function modelTerms(settings: RealtimeModelSettings): ModelTerms {
  const { audio = {}, providerData, toolChoice, maxOutputTokens, parallelToolCalls, reasoning, tracing } = settings;
  const input = audio.input ?? {};
  const output = audio.output ?? {};
  const detection = settings.turnDetection !== undefined ? settings.turnDetection : input.turnDetection;
  const wire: Wire = defined({
    output_modalities: settings.outputModalities,
    audio: defined({
      input: defined({
        format: formatOf(input.format),
        noise_reduction: snake(input.noiseReduction),
        transcription: snake(input.transcription),
      }),
      output: defined({ format: formatOf(output.format), speed: output.speed }),
    }),
    tool_choice: toolChoice,
    max_output_tokens: maxOutputTokens,
    parallel_tool_calls: parallelToolCalls,
    reasoning,
    tracing: snake(tracing),
  });
  return {
    modalities: ['audio', 'text'],
    turn_detection: detection === null ? null : detectionOf(detection),
    ...(settings.language === undefined ? {} : { language: settings.language }),
    settings: providerData === undefined ? wire : over(wire, providerData),
  };
}

function detectionOf(given: RealtimeTurnDetection | undefined): TurnDetection {
  if (given === undefined) return DETECTION;
  return { create_response: true, interrupt_response: true, ...(snake(given) as Wire) } as unknown as TurnDetection;
}

function formatOf(format: RealtimeAudioFormat | undefined): Wire | undefined {
  if (format === 'pcm16') return { type: 'audio/pcm', rate: 24_000 };
  if (format === 'g711_ulaw') return { type: 'audio/pcmu' };
  if (format === 'g711_alaw') return { type: 'audio/pcma' };
  return format;
}

/** Bytes of one millisecond of a format; what nobody knows is taken for PCM16 at 24 kHz. */
export function bytesPerMs(format: unknown): number {
  const name = typeof format === 'string' ? format : isObject(format) ? format['type'] : undefined;
  if (name === 'audio/pcmu' || name === 'audio/pcma' || name === 'g711_ulaw' || name === 'g711_alaw') return 8;
  const rate = isObject(format) && typeof format['rate'] === 'number' ? format['rate'] : 24_000;
  return rate > 0 ? (rate * 2) / 1000 : 48;
}

/** Keys of an object in snake_case, all the way down. */
function snake(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snake);
  if (!isObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      snake(inner),
    ]),
  );
}

function over(first: Wire, second: Wire): Wire {
  const result: Wire = { ...first };
  for (const [key, value] of Object.entries(second)) {
    const old = result[key];
    if (value !== undefined) result[key] = isObject(old) && isObject(value) ? over(old, value) : value;
  }
  return result;
}

/** Without what is undefined, and without objects that are empty for that. */
function defined(value: Wire): Wire {
  const entries = Object.entries(value).filter(
    ([, inner]) => inner !== undefined && !(isObject(inner) && Object.keys(inner).length === 0),
  );
  return Object.fromEntries(entries);
}
