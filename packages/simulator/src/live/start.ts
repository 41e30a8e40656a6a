import { isObject, type Wire } from '../wire.ts';

// `session.start`, as the settings of a session.

export interface LiveError {
  code: string;
  message: string;
  param?: string;
}

const KEYS: Readonly<Record<string, readonly string[]>> = {
  session: ['model', 'audio', 'client', 'delegation', 'input', 'instructions', 'store', 'triggers'],
  'session.audio': ['format', 'output'],
  'session.delegation': ['type', 'responses', 'decisions', 'acknowledgement_delay_ms'],
};

/** What is wrong with a session, if anything is. */
export function problemOf(session: Wire): LiveError | null {
  for (const [path, known] of Object.entries(KEYS)) {
    const value = path === 'session' ? session : session[path.slice('session.'.length)];
    const unknown = isObject(value) ? Object.keys(value).find((key) => !known.includes(key)) : undefined;
    if (unknown !== undefined) {
      const param = `${path}.${unknown}`;
      return { code: 'unknown_parameter', message: `Unknown parameter: '${param}'.`, param };
    }
  }
  if (typeof session['model'] !== 'string') {
    return {
      code: 'missing_required_parameter',
      message: "Missing required parameter: 'session.model'.",
      param: 'session.model',
    };
  }
  const format = objectOf(objectOf(session['audio'])['format']);
  if ('rate' in format && format['type'] === 'audio/pcm' && format['rate'] !== 24_000) {
    const param = 'session.audio.format.rate';
    return {
      code: 'invalid_value',
      message: `This simulator takes audio/pcm at 24000; got ${String(format['rate'])}.`,
      param,
    };
  }
  return null;
}

/** The settings patch of a session that has no problem. Work is delegated to the client, or to the script. */
export function settingsOf(session: Wire): Wire {
  const audio = objectOf(session['audio']);
  const voice = objectOf(audio['output'])['voice'];
  return {
    type: 'realtime',
    output_modalities: ['audio'],
    instructions: typeof session['instructions'] === 'string' ? session['instructions'] : '',
    tools: toolsOf(session),
    audio: {
      input: {
        ...('format' in audio ? { format: audio['format'] } : {}),
        transcription: { model: 'live' },
        turn_detection: {
          type: 'server_vad',
          create_response: delegationOf(session) === 'responses',
          interrupt_response: true,
        },
      },
      output: {
        ...('format' in audio ? { format: audio['format'] } : {}),
        ...(voice === undefined ? {} : { voice }),
      },
    },
  };
}

export function toolsOf(session: Wire): unknown[] {
  const tools = objectOf(objectOf(session['delegation'])['responses'])['tools'];
  return Array.isArray(tools) ? tools : [];
}

export function delegationOf(session: Wire): string {
  const type = objectOf(session['delegation'])['type'];
  return typeof type === 'string' ? type : 'client';
}

export function objectOf(value: unknown): Wire {
  return isObject(value) ? value : {};
}
