// A session in xAI's shape, and in OpenAI's.

import { objectIn, type Wire } from '../openai/wire.ts';

/** Voice and turn detection stand flat; formats stay where OpenAI has them; the model is in the URL. */
export function xaiSession(session: Wire): Wire {
  const { audio: _audio, type: _type, output_modalities, ...rest } = session;
  const audio = objectIn(session, 'audio');
  const input = objectIn(audio, 'input');
  const output = objectIn(audio, 'output');
  const formats = {
    ...('format' in input ? { input: { format: input['format'] } } : {}),
    ...('format' in output ? { output: { format: output['format'] } } : {}),
  };
  return {
    ...rest,
    // Speaking is what it does when nothing is said of it.
    ...(Array.isArray(output_modalities) && !output_modalities.includes('audio') ? { output_modalities } : {}),
    ...('voice' in output ? { voice: output['voice'] } : {}),
    ...('turn_detection' in input ? { turn_detection: input['turn_detection'] } : {}),
    ...(Object.keys(formats).length === 0 ? {} : { audio: formats }),
  };
}

/** The session as it was confirmed, where clients look for it. What the user says is always written down. */
export function sessionInOpenaiShape(session: Wire): Wire {
  const { voice, turn_detection, ...rest } = session;
  const audio = objectIn(session, 'audio');
  return {
    ...rest,
    type: 'realtime',
    audio: {
      input: { format: PCM24, ...objectIn(audio, 'input'), transcription: {}, turn_detection: turn_detection ?? null },
      output: { format: PCM24, ...objectIn(audio, 'output'), ...(voice === undefined ? {} : { voice }) },
    },
  };
}

const PCM24 = { type: 'audio/pcm', rate: 24_000 };
