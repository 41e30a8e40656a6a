// Sessions by turns: the user's audio is cut into turns here, each is one streamed chat completion with sound, and an
// interruption ends the request. The session itself is held here: there is none at the provider.

import { capabilityOf, newId, ParleyError, type ProviderCapability } from '@parley/core';
import { type Clock, memorySocketPair, systemClock } from '@parley/transport';
import { OpenAIConnection } from '../openai/connection.ts';
import { OPENAI } from '../openai/dialect.ts';
import { providerError, redactor } from '../openai/errors.ts';
import { handshake } from '../openai/handshake.ts';
import { sessionOf } from '../openai/session-config.ts';
import { socketBase } from '../base-url.ts';
import type { ModelConfig, ModelConnection, ModelSessionOptions, RealtimeModel } from '../port.ts';
import { streamChat } from './chat.ts';
import { type ChatDialect, chatBody } from './chat-body.ts';
import { Failure } from './failure.ts';
import { TURNS_LIMITS, type TurnsLimits } from './limits.ts';
import { ask, type Endpoint } from './request.ts';
import { Session } from './session.ts';
import type { TurnsSession } from './session-config.ts';
import { transcribe } from './transcriber.ts';
import { voiceModule } from './vad.ts';

/** What one host of chat completions wants. */
export interface TurnsHost extends ChatDialect {
  provider: string;
  /** A path that says whether the key is good, and perhaps whether the model is there. */
  probe: (model: string) => string;
  transcription_model: string;
  transcription_shape: 'form' | 'json';
}

const CONNECT_TIMEOUT_MS = 10_000;
/** Larger than the sound of the longest turn as base64 in one frame. */
const FRAME_BYTES_MAX = 32 * 1024 * 1024;

export class AudioTurnsModel implements RealtimeModel {
  readonly provider: string;
  readonly capabilities: ProviderCapability;
  readonly #host: TurnsHost;
  readonly #config: ModelConfig;
  readonly #base: URL;
  readonly #clock: Clock;
  readonly #limits: TurnsLimits;

  constructor(config: ModelConfig, host: TurnsHost, clock: Clock = systemClock, limits: Partial<TurnsLimits> = {}) {
    const capabilities = capabilityOf(host.provider);
    if (!capabilities) throw new ParleyError('internal', `no capability row for provider '${host.provider}'`);
    this.provider = host.provider;
    this.capabilities = capabilities;
    this.#host = host;
    this.#config = config;
    // Looked at now: who starts a server should hear of a mistyped address, and not whoever calls first.
    this.#base = socketBase(config.base_url);
    this.#base.protocol = this.#base.protocol === 'wss:' ? 'https:' : 'http:';
    this.#base.pathname += '/';
    this.#clock = clock;
    this.#limits = { ...TURNS_LIMITS, ...limits };
  }

  async connect(options: ModelSessionOptions): Promise<ModelConnection> {
    const { key, ca, connect_timeout_ms: timeout_ms = CONNECT_TIMEOUT_MS, transcription_model } = this.#config;
    const host = this.#host;
    const redact = redactor(key, options.instructions);
    const endpoint: Endpoint = { base: this.#base, key, ca, silence_ms: this.#limits.silence_ms };
    const { signal } = options;
    const began_ms = this.#clock.now();
    const [module] = await Promise.all([
      voiceModule(),
      probe({ ...endpoint, silence_ms: timeout_ms }, host.probe(options.model), signal).catch((caught: unknown) => {
        throw ParleyError.from(refusalOf(caught, redact));
      }),
    ]);
    const [here, there] = memorySocketPair({ maxFrameBytes: FRAME_BYTES_MAX });
    const session = sessionFor(options);
    const shown = (caught: unknown): never => {
      throw Failure.of(caught).redacted(redact);
    };
    void new Session({
      socket: there,
      session,
      module,
      clock: this.#clock,
      limits: this.#limits,
      body: (response, messages, modality) =>
        chatBody({ session, response, messages, modality, safety_id: options.safety_id }, host),
      stream: (request, abort, on) => streamChat(endpoint, request, abort, on).catch(shown),
      transcribe: (pcm, abort) => {
        const { language, transcription_model: model } = session;
        const how = { model: model ?? host.transcription_model, language, shape: host.transcription_shape };
        return transcribe(endpoint, how, pcm, abort).catch(shown);
      },
    });
    return handshake(
      {
        socket: here,
        session: sessionOf(options, transcription_model ?? host.transcription_model),
        timeout_ms: Math.max(1, timeout_ms - (this.#clock.now() - began_ms)),
        clock: this.#clock,
        redact,
        signal,
      },
      (confirmed) =>
        new OpenAIConnection({
          socket: here,
          session: confirmed,
          responder: options.responder,
          clock: this.#clock,
          redact,
          dialect: OPENAI,
        }),
    );
  }
}

function sessionFor(options: ModelSessionOptions): TurnsSession {
  return {
    id: newId('session'),
    model: options.model,
    instructions: '',
    voice: options.voice,
    tools: [],
    tool_choice: 'auto',
    modality: 'audio',
    turn_detection: null,
    language: options.language,
    transcription_model: null,
  };
}

/** Whether this key may ask for this model. Hosts that do not say are asked when the first turn comes. */
async function probe(at: Endpoint, path: string, signal: AbortSignal | undefined): Promise<void> {
  const never = new AbortController();
  try {
    const response = await ask(at, path, null, signal ?? never.signal);
    response.resume();
  } catch (caught) {
    const told = caught instanceof Failure ? caught.wire : null;
    const missing = told?.status === 404 && told.code !== 'model_not_found';
    if (told?.status === 405 || missing) return;
    throw caught;
  }
}

function refusalOf(caught: unknown, redact: (text: string) => string): ParleyError {
  if (!(caught instanceof Failure)) {
    return new ParleyError('cancelled', 'connecting to the provider was aborted', {
      cause: caught,
      details: { boundary: 'parley -> provider' },
    });
  }
  return ParleyError.from(providerError({ ...caught.wire, code: caught.wire.code ?? caught.wire.type }, redact));
}
