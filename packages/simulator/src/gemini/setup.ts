import { isObject, type Wire } from '../wire.ts';

// The `setup` message, as the settings of a session.

/** A settings patch; a string says why the message is none that Gemini takes. */
export function sessionOf(setup: Wire): Wire | string {
  const unknown = Object.keys(setup).find((key) => !SETUP_KEYS.has(key));
  if (unknown !== undefined)
    return `Invalid JSON payload received. Unknown name "${unknown}" at 'setup': Cannot find field.`;
  const { model } = setup;
  if (typeof model !== 'string' || !/^(?:models|projects)\//u.test(model)) {
    return 'Request contains an invalid argument.';
  }
  const generation = objectOf(setup['generationConfig']);
  const modalities = listOf(generation['responseModalities']);
  if (modalities.length > 1) return 'Request contains an invalid argument.';
  const speaks = modalities[0] !== 'TEXT';
  const detection = objectOf(objectOf(setup['realtimeInputConfig'])['automaticActivityDetection']);
  const { prefixPaddingMs, silenceDurationMs } = detection;
  const speech = objectOf(generation['speechConfig']);
  const voice = objectOf(objectOf(speech['voiceConfig'])['prebuiltVoiceConfig'])['voiceName'];
  return {
    type: 'realtime',
    output_modalities: [speaks ? 'audio' : 'text'],
    ...contextOf(setup),
    audio: {
      input: {
        transcription: isObject(setup['inputAudioTranscription']) ? { model: 'gemini' } : null,
        turn_detection:
          detection['disabled'] === true
            ? null
            : {
                type: 'server_vad',
                ...(prefixPaddingMs === undefined ? {} : { prefix_padding_ms: prefixPaddingMs }),
                ...(silenceDurationMs === undefined ? {} : { silence_duration_ms: silenceDurationMs }),
              },
      },
      output: typeof voice === 'string' ? { voice } : {},
    },
  };
}

/** Instructions and tools, where a message names them. */
export function contextOf(message: Wire): Wire {
  const instructions = listOf(objectOf(message['systemInstruction'])['parts'])
    .map((part) => objectOf(part)['text'])
    .filter((text) => typeof text === 'string')
    .join('\n');
  const declared = listOf(message['tools']).flatMap((tool) => listOf(objectOf(tool)['functionDeclarations']));
  return {
    ...(message['systemInstruction'] === undefined ? {} : { instructions }),
    ...(message['tools'] === undefined ? {} : { tools: declared.map((one) => toolOf(objectOf(one))) }),
  };
}

function toolOf({ name, description, parameters, parametersJsonSchema }: Wire): Wire {
  return {
    type: 'function',
    name,
    ...(description === undefined ? {} : { description }),
    parameters: parametersJsonSchema ?? parameters ?? { type: 'object', properties: {} },
  };
}

export function objectOf(value: unknown): Wire {
  return isObject(value) ? value : {};
}

export function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

const SETUP_KEYS: ReadonlySet<string> = new Set([
  'model',
  'generationConfig',
  'systemInstruction',
  'tools',
  'realtimeInputConfig',
  'sessionResumption',
  'contextWindowCompression',
  'inputAudioTranscription',
  'outputAudioTranscription',
  'proactivity',
  'historyConfig',
  'explicitVadSignal',
  'avatarConfig',
  'safetySettings',
  'labels',
]);
