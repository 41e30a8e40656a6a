import type { AudioFormat, FunctionTool, Modality, ToolChoice, TurnDetection, Wire } from '../wire.ts';
import { isObject } from '../wire.ts';
import * as rule from './rules.ts';
import { invalid, missing, WireError } from './wire-error.ts';

// The session object: its defaults, and `session.update` as a patch in which only the keys that are present change.

/** The documentation says 500; every recorded session.created says 200, and the wire is what clients meet. */
export const SILENCE_DURATION_MS = 200;
export const DEFAULT_MODEL = 'gpt-realtime-2.1';
const DEFAULT_INSTRUCTIONS = 'You are a helpful assistant on a voice call. Answer briefly.';

export interface SessionConfig {
  type: 'realtime' | 'transcription';
  id: string;
  model: string;
  expires_at: number;
  output_modalities: Modality[];
  instructions: string;
  tools: FunctionTool[];
  tool_choice: ToolChoice;
  parallel_tool_calls?: boolean;
  reasoning?: Wire;
  max_output_tokens: number | 'inf';
  truncation: unknown;
  tracing: unknown;
  include: unknown;
  prompt: unknown;
  audio: {
    input: {
      format: AudioFormat;
      transcription: Wire | null;
      noise_reduction: Wire | null;
      turn_detection: TurnDetection | null;
    };
    output: { format: AudioFormat; voice: string; speed: number };
  };
}

const VAD_DEFAULTS: Record<TurnDetection['type'], TurnDetection> = {
  server_vad: {
    type: 'server_vad',
    threshold: 0.5,
    prefix_padding_ms: 300,
    silence_duration_ms: SILENCE_DURATION_MS,
    idle_timeout_ms: null,
    create_response: true,
    interrupt_response: true,
  },
  semantic_vad: { type: 'semantic_vad', eagerness: 'auto', create_response: true, interrupt_response: true },
};

/** What a new session is before the client said anything. `expiresAt` in Unix seconds. */
export function newConfig(type: SessionConfig['type'], id: string, model: string, expiresAt: number): SessionConfig {
  const config: SessionConfig = {
    type,
    id,
    model,
    expires_at: expiresAt,
    output_modalities: ['audio'],
    instructions: DEFAULT_INSTRUCTIONS,
    tools: [],
    tool_choice: 'auto',
    max_output_tokens: 'inf',
    truncation: 'auto',
    tracing: null,
    include: null,
    prompt: null,
    audio: {
      input: {
        format: { type: 'audio/pcm', rate: 24_000 },
        transcription: null,
        noise_reduction: null,
        turn_detection: { ...VAD_DEFAULTS.server_vad },
      },
      output: { format: { type: 'audio/pcm', rate: 24_000 }, voice: 'marin', speed: 1 },
    },
  };
  if (/^gpt-realtime-[2-9]/u.test(model)) config.reasoning = { effort: 'low' };
  return config;
}

/** The session as `session.created` and `session.updated` show it, with its explicit nulls. */
export function configOnWire(config: SessionConfig): Wire {
  const { type, id, expires_at, include, audio, ...rest } = config;
  if (type === 'realtime') return { type, object: 'realtime.session', id, expires_at, include, audio, ...rest };
  return { type, object: 'realtime.transcription_session', id, expires_at, include, audio: { input: audio.input } };
}

const voice: rule.Rule = (value, param) => {
  if (typeof value === 'string' && value !== '') return;
  if (isObject(value) && typeof value['id'] === 'string') return;
  throw invalid(param, value, 'the name of a voice');
};

export const audioFormat: rule.Rule = (value, param) => {
  if (!isObject(value)) throw invalid(param, value, 'an object');
  rule.oneOf('audio/pcm', 'audio/pcmu', 'audio/pcma')(value['type'], `${param}.type`);
  if (value['rate'] === undefined) return;
  rule.oneOf(value['type'] === 'audio/pcm' ? 24_000 : 8_000)(value['rate'], `${param}.rate`);
};

const turnDetection: rule.Rule = (value, param) => {
  if (!isObject(value)) throw invalid(param, value, 'an object or null');
  if (value['type'] === undefined) throw missing(`${param}.type`);
  const common = { type: rule.anything, create_response: rule.boolean, interrupt_response: rule.boolean };
  if (value['type'] === 'semantic_vad') {
    rule.check(value, { ...common, eagerness: rule.oneOf('low', 'medium', 'high', 'auto') }, param);
    return;
  }
  rule.oneOf('server_vad', 'semantic_vad')(value['type'], `${param}.type`);
  const serverVad = {
    ...common,
    threshold: rule.number(0, 1),
    prefix_padding_ms: rule.integer(0, 5_000),
    silence_duration_ms: rule.integer(0, 60_000),
    idle_timeout_ms: rule.orNull(rule.integer(5_000, 30_000)),
  };
  rule.check(value, serverVad, param);
};

export const tool: rule.Rule = (value, param) => {
  if (!isObject(value)) throw invalid(param, value, 'an object');
  rule.oneOf('function', 'mcp')(value['type'], `${param}.type`);
  if (value['type'] === 'mcp') return;
  if (value['name'] === undefined) throw missing(`${param}.name`);
  rule.string(value['name'], `${param}.name`);
  if (value['parameters'] != null && !isObject(value['parameters'])) {
    throw invalid(`${param}.parameters`, value['parameters'], 'a JSON schema');
  }
};

export const toolChoice: rule.Rule = (value, param) => {
  if (isObject(value) && (value['type'] === 'function' || value['type'] === 'mcp')) return;
  rule.oneOf('none', 'auto', 'required')(value, param);
};

export const modalities: rule.Rule = (value, param) => {
  rule.list(rule.oneOf('audio', 'text'))(value, param);
  if ((value as unknown[]).length !== 1) throw invalid(param, value, "['audio'] or ['text'], not both");
};

export const maxOutputTokens: rule.Rule = (value, param) => {
  if (value !== 'inf') rule.integer(1, 4_096)(value, param);
};

const INPUT_RULES = {
  format: audioFormat,
  transcription: rule.orNull(
    rule.object({
      model: rule.string,
      language: rule.string,
      languages: rule.list(rule.string),
      keywords: rule.list(rule.string),
      prompt: rule.string,
      delay: rule.string,
    }),
  ),
  noise_reduction: rule.orNull(
    rule.object({ type: rule.oneOf('near_field', 'far_field'), strength: rule.number(0, 1) }),
  ),
  turn_detection: rule.orNull(turnDetection),
};

const COMMON_RULES = { type: rule.anything, include: rule.orNull(rule.list(rule.string)) };

const REALTIME_RULES: Record<string, rule.Rule> = {
  ...COMMON_RULES,
  model: rule.string,
  output_modalities: modalities,
  instructions: rule.string,
  tools: rule.list(tool),
  tool_choice: toolChoice,
  parallel_tool_calls: rule.boolean,
  reasoning: rule.orNull(rule.object({ effort: rule.oneOf('minimal', 'low', 'medium', 'high', 'xhigh') })),
  max_output_tokens: maxOutputTokens,
  truncation: rule.anything,
  tracing: rule.anything,
  prompt: rule.orNull(rule.object({ id: rule.string, version: rule.anything, variables: rule.anything })),
  audio: rule.object({
    input: rule.object(INPUT_RULES),
    output: rule.object({ format: audioFormat, voice, speed: rule.number(0.25, 1.5) }),
  }),
};

const TRANSCRIPTION_RULES: Record<string, rule.Rule> = {
  ...COMMON_RULES,
  audio: rule.object({ input: rule.object(INPUT_RULES) }),
};

/**
 * The config after a patch. The whole patch is checked first: one bad key, and nothing changes.
 * `spoken` says that the session has sent audio, after which the voice stays.
 */
export function patchConfig(config: SessionConfig, patch: Wire, spoken: boolean): SessionConfig {
  if (patch['type'] === undefined) throw missing('session.type');
  rule.oneOf('realtime', 'transcription')(patch['type'], 'session.type');
  if (patch['type'] !== config.type)
    throw invalid('session.type', patch['type'], `'${config.type}': the type of a session stays`);
  rule.check(patch, config.type === 'realtime' ? REALTIME_RULES : TRANSCRIPTION_RULES, 'session');
  if (patch['model'] !== undefined && patch['model'] !== config.model) {
    throw invalid('session.model', patch['model'], `'${config.model}': the model of a session stays`);
  }
  if (patch['tracing'] !== undefined && config.tracing !== null && !same(patch['tracing'], config.tracing)) {
    throw new WireError('cannot_update_tracing', 'Tracing cannot be changed once it is set.', 'session.tracing');
  }
  const { audio, ...flat } = patch as Partial<SessionConfig> & Wire;
  const next: SessionConfig = { ...config, ...flat };
  if (audio) next.audio = patchAudio(config.audio, audio, spoken);
  return next;
}

function patchAudio(
  old: SessionConfig['audio'],
  patch: Partial<SessionConfig['audio']>,
  spoken: boolean,
): SessionConfig['audio'] {
  const output = { ...old.output, ...patch.output };
  if (spoken && !same(output.voice, old.output.voice)) {
    throw new WireError(
      'cannot_update_voice',
      "Cannot update a conversation's voice if assistant audio is present.",
      'session.audio.output.voice',
    );
  }
  const input = { ...old.input, ...patch.input };
  const detection = patch.input?.turn_detection;
  if (detection) {
    const base =
      old.input.turn_detection?.type === detection.type ? old.input.turn_detection : VAD_DEFAULTS[detection.type];
    input.turn_detection = { ...base, ...detection };
  }
  return {
    input: { ...input, format: withRate(input.format) },
    output: { ...output, format: withRate(output.format) },
  };
}

/** The wire always shows the rate of PCM, also where the client left it out, and never that of G.711. */
function withRate({ type }: AudioFormat): AudioFormat {
  return type === 'audio/pcm' ? { type, rate: 24_000 } : { type };
}

function same(a: unknown, b: unknown): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}
