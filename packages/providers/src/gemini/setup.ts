// A session as Gemini Live is told it: the `setup` message, and the `contextUpdate` that may change it later.

import type { ModelSessionOptions } from '../port.ts';
import { isObject, listIn, objectIn, textIn, type Wire } from '../openai/wire.ts';

export const INPUT_RATE = 16_000;

/** @param session in OpenAI's shape, as `session.update` has it. */
export function setupOf(session: Wire, options: ModelSessionOptions): Wire {
  const audio = objectIn(session, 'audio');
  const detection = objectIn(audio, 'input')['turn_detection'];
  const speaks = (session['output_modalities'] as string[]).includes('audio');
  const voice = textIn(objectIn(audio, 'output'), 'voice');
  return {
    model: options.model.startsWith('models/') ? options.model : `models/${options.model}`,
    generationConfig: {
      responseModalities: [speaks ? 'AUDIO' : 'TEXT'],
      ...(speaks
        ? {
            speechConfig: {
              ...(voice === undefined ? {} : { voiceConfig: { prebuiltVoiceConfig: { voiceName: voice } } }),
              ...(options.language === undefined ? {} : { languageCode: options.language }),
            },
          }
        : {}),
    },
    ...contextOf(session),
    realtimeInputConfig: { automaticActivityDetection: detectionOf(detection) },
    explicitVadSignal: true,
    inputAudioTranscription: {},
    ...(speaks ? { outputAudioTranscription: {} } : {}),
    sessionResumption: options.resume_handle === undefined ? {} : { handle: options.resume_handle },
    // Without it a call with sound alone ends after fifteen minutes.
    contextWindowCompression: { slidingWindow: {} },
  };
}

/** Instructions and tools, as far as a session or a patch of it names them. */
export function contextOf(session: Wire): Wire {
  const instructions = textIn(session, 'instructions');
  const tools = 'tools' in session ? listIn(session, 'tools').map(declarationOf) : undefined;
  return {
    ...(instructions ? { systemInstruction: { parts: [{ text: instructions }] } } : {}),
    ...(tools === undefined ? {} : { tools: tools.length === 0 ? [] : [{ functionDeclarations: tools }] }),
  };
}

function declarationOf(tool: Wire): Wire {
  const { name, description, parameters } = tool;
  return { name, ...(description === undefined ? {} : { description }), parametersJsonSchema: parameters };
}

/** Thresholds of energy have no counterpart: Gemini knows two sensitivities. */
function detectionOf(detection: unknown): Wire {
  if (!isObject(detection)) return { disabled: true };
  const { prefix_padding_ms, silence_duration_ms, threshold } = detection;
  return {
    ...(typeof threshold === 'number'
      ? { startOfSpeechSensitivity: threshold > 0.6 ? 'START_SENSITIVITY_LOW' : 'START_SENSITIVITY_HIGH' }
      : {}),
    ...(prefix_padding_ms === undefined ? {} : { prefixPaddingMs: prefix_padding_ms }),
    ...(silence_duration_ms === undefined ? {} : { silenceDurationMs: silence_duration_ms }),
  };
}
