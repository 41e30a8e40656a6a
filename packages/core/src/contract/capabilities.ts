// What each provider really serves here. Only wired pairs are in the table: a row promises a working session.

import { z } from 'zod';

export const TransportCapability = z
  .object({
    /** Who terminates the media when a declaration does not say, and who may. */
    via: z.enum(['native', 'bridge']),
    media: z.array(z.enum(['bridge', 'native'])),
    modalities: z.array(z.enum(['audio', 'text', 'image'])),
    turn_detection: z.array(z.enum(['server_vad', 'semantic_vad'])),
    push_to_talk: z.boolean(),
    /** Where this transport needs another model or voice than the provider's other ones. */
    default_model: z.string().optional(),
    default_voice: z.string().optional(),
  })
  .meta({ id: 'TransportCapability' });

export const ProviderCapability = z
  .object({
    provider: z.string(),
    title: z.string(),
    transports: z.record(z.string(), TransportCapability),
    audio_input_formats: z.array(z.string()),
    audio_output_formats: z.array(z.string()),
    /** Who forgets what was not heard of an answer: the client says so on a websocket, or the provider knows. */
    client_truncates: z.boolean(),
    /** Whether tools may change while a session runs. */
    tools_change: z.boolean(),
    /** What is billed: tokens of each answer, or seconds of the session. */
    usage_unit: z.enum(['tokens', 'seconds']),
    /** The longest frame that the provider takes. */
    frame_max_bytes: z.int(),
    /** How a session outlives its connection: from a handle of the provider, or by telling a new one what was said. */
    resume: z.enum(['handle', 'replay']),
    session_max_ms: z.int(),
    auth: z.enum(['bearer', 'none']),
    default_model: z.string(),
    default_voice: z.string(),
    status: z.enum(['current', 'legacy', 'local']),
    retires_on: z.string().nullable(),
    /** Models that are about to go, with the day after which they are gone. */
    retiring_models: z.array(z.object({ model: z.string(), retires_on: z.string() })),
  })
  .meta({ id: 'ProviderCapability' });

export type TransportCapability = z.infer<typeof TransportCapability>;
export type ProviderCapability = z.infer<typeof ProviderCapability>;

const REALTIME_WEBSOCKET: TransportCapability = {
  via: 'native',
  media: ['native'],
  modalities: ['audio', 'text'],
  turn_detection: ['semantic_vad', 'server_vad'],
  push_to_talk: true,
};

const SERVER_VAD_WEBSOCKET: TransportCapability = { ...REALTIME_WEBSOCKET, turn_detection: ['server_vad'] };

const RETIRING: ProviderCapability['retiring_models'] = [
  'gpt-realtime',
  'gpt-realtime-2025-08-28',
  'gpt-realtime-mini',
  'gpt-realtime-mini-2025-12-15',
  'gpt-audio-mini',
].map((model) => ({ model, retires_on: '2027-01-20' }));

/** The provider terminates the media, unless a declaration asks the server to. */
const REALTIME_WEBRTC: TransportCapability = { ...REALTIME_WEBSOCKET, media: ['bridge', 'native'] };

/** The server terminates the media of a call, and speaks to the provider over a WebSocket. */
function bridged(websocket: TransportCapability): TransportCapability {
  return { ...websocket, via: 'bridge', media: ['bridge'] };
}

/** Turns are cut here, and each is one request: any host of chat completions with audio can do it. */
const AUDIO_TURNS: TransportCapability = SERVER_VAD_WEBSOCKET;
const GPT_AUDIO_TURNS: TransportCapability = { ...AUDIO_TURNS, default_model: 'gpt-audio' };

/** The table, in the alphabetical order of its providers. */
export const CAPABILITIES: readonly ProviderCapability[] = [
  {
    provider: 'azure_openai',
    title: 'Azure OpenAI Realtime',
    transports: { webrtc: REALTIME_WEBRTC, websocket: REALTIME_WEBSOCKET },
    audio_input_formats: ['audio/pcm;rate=24000', 'audio/pcma', 'audio/pcmu'],
    audio_output_formats: ['audio/pcm;rate=24000', 'audio/pcma', 'audio/pcmu'],
    client_truncates: true,
    tools_change: true,
    usage_unit: 'tokens',
    frame_max_bytes: 15 * 1024 * 1024,
    resume: 'replay',
    session_max_ms: 60 * 60_000,
    auth: 'bearer',
    default_model: 'gpt-realtime-2.1',
    default_voice: 'marin',
    status: 'legacy',
    retires_on: null,
    retiring_models: RETIRING,
  },
  {
    provider: 'gemini',
    title: 'Gemini Live',
    transports: { webrtc: bridged(SERVER_VAD_WEBSOCKET), websocket: SERVER_VAD_WEBSOCKET },
    audio_input_formats: ['audio/pcm;rate=24000'],
    audio_output_formats: ['audio/pcm;rate=24000'],
    client_truncates: false,
    tools_change: true,
    usage_unit: 'tokens',
    frame_max_bytes: 15 * 1024 * 1024,
    resume: 'handle',
    // A connection; with compression of the context a conversation has no end of its own.
    session_max_ms: 10 * 60_000,
    auth: 'bearer',
    default_model: 'gemini-3.8-live',
    default_voice: 'Puck',
    status: 'current',
    retires_on: null,
    retiring_models: [],
  },
  {
    provider: 'openai',
    title: 'OpenAI Realtime',
    transports: { audio_turns: GPT_AUDIO_TURNS, webrtc: REALTIME_WEBRTC, websocket: REALTIME_WEBSOCKET },
    audio_input_formats: ['audio/pcm;rate=24000', 'audio/pcma', 'audio/pcmu'],
    audio_output_formats: ['audio/pcm;rate=24000', 'audio/pcma', 'audio/pcmu'],
    client_truncates: true,
    tools_change: true,
    usage_unit: 'tokens',
    frame_max_bytes: 15 * 1024 * 1024,
    resume: 'replay',
    session_max_ms: 60 * 60_000,
    auth: 'bearer',
    default_model: 'gpt-realtime-2.1',
    default_voice: 'marin',
    status: 'legacy',
    retires_on: null,
    retiring_models: RETIRING,
  },
  {
    provider: 'openai_compatible',
    title: 'OpenAI Realtime compatible server',
    // Native where the peer has it, which nobody but the declaration can say.
    transports: { webrtc: { ...REALTIME_WEBRTC, via: 'bridge' }, websocket: REALTIME_WEBSOCKET },
    audio_input_formats: ['audio/pcm;rate=24000', 'audio/pcma', 'audio/pcmu'],
    audio_output_formats: ['audio/pcm;rate=24000', 'audio/pcma', 'audio/pcmu'],
    client_truncates: true,
    tools_change: true,
    usage_unit: 'tokens',
    frame_max_bytes: 15 * 1024 * 1024,
    resume: 'replay',
    session_max_ms: 60 * 60_000,
    auth: 'bearer',
    default_model: 'gpt-realtime-2.1',
    default_voice: 'marin',
    status: 'current',
    retires_on: null,
    retiring_models: [],
  },
  {
    provider: 'openai_live',
    title: 'OpenAI Live',
    transports: {
      webrtc: bridged({ ...SERVER_VAD_WEBSOCKET, push_to_talk: false }),
      websocket: { ...SERVER_VAD_WEBSOCKET, push_to_talk: false },
    },
    audio_input_formats: ['audio/pcm;rate=24000'],
    audio_output_formats: ['audio/pcm;rate=24000'],
    client_truncates: false,
    tools_change: true,
    usage_unit: 'seconds',
    frame_max_bytes: 15 * 1024 * 1024,
    resume: 'replay',
    session_max_ms: 60 * 60_000,
    auth: 'bearer',
    default_model: 'gpt-live-1',
    default_voice: 'marin',
    status: 'current',
    retires_on: null,
    retiring_models: [],
  },
  {
    provider: 'openrouter',
    title: 'OpenRouter chat completions',
    transports: { audio_turns: AUDIO_TURNS, webrtc: bridged(AUDIO_TURNS), websocket: bridged(AUDIO_TURNS) },
    audio_input_formats: ['audio/pcm;rate=24000'],
    audio_output_formats: ['audio/pcm;rate=24000'],
    client_truncates: true,
    tools_change: true,
    usage_unit: 'tokens',
    frame_max_bytes: 15 * 1024 * 1024,
    resume: 'replay',
    // The session is held here: no provider ends it.
    session_max_ms: 24 * 60 * 60_000,
    auth: 'bearer',
    default_model: 'openai/gpt-audio',
    default_voice: 'marin',
    status: 'current',
    retires_on: null,
    retiring_models: [{ model: 'openai/gpt-audio-mini', retires_on: '2027-01-20' }],
  },
  {
    provider: 'simulator',
    title: 'Parley simulator',
    transports: { audio_turns: GPT_AUDIO_TURNS, webrtc: REALTIME_WEBRTC, websocket: REALTIME_WEBSOCKET },
    audio_input_formats: ['audio/pcm;rate=24000', 'audio/pcma', 'audio/pcmu'],
    audio_output_formats: ['audio/pcm;rate=24000', 'audio/pcma', 'audio/pcmu'],
    client_truncates: true,
    tools_change: true,
    usage_unit: 'tokens',
    frame_max_bytes: 15 * 1024 * 1024,
    resume: 'replay',
    session_max_ms: 60 * 60_000,
    auth: 'none',
    default_model: 'gpt-realtime-2.1',
    default_voice: 'marin',
    status: 'local',
    retires_on: null,
    retiring_models: [],
  },
  {
    provider: 'xai',
    title: 'xAI Grok voice',
    transports: { webrtc: bridged(SERVER_VAD_WEBSOCKET), websocket: SERVER_VAD_WEBSOCKET },
    audio_input_formats: ['audio/pcm;rate=24000', 'audio/pcma', 'audio/pcmu'],
    audio_output_formats: ['audio/pcm;rate=24000', 'audio/pcma', 'audio/pcmu'],
    client_truncates: true,
    tools_change: true,
    usage_unit: 'tokens',
    frame_max_bytes: 15 * 1024 * 1024,
    resume: 'replay',
    session_max_ms: 60 * 60_000,
    auth: 'bearer',
    default_model: 'grok-voice-latest',
    default_voice: 'eve',
    status: 'current',
    retires_on: null,
    retiring_models: [],
  },
];

const BY_PROVIDER = new Map(CAPABILITIES.map((row) => [row.provider, row]));

/** The row of a provider, by its normalised name. */
export function capabilityOf(provider: string): ProviderCapability | undefined {
  return BY_PROVIDER.get(provider);
}

/** Every provider's name, alphabetically. */
export function knownProviders(): string[] {
  return [...BY_PROVIDER.keys()].sort();
}
