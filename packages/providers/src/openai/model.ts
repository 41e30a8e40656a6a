// OpenAI Realtime (GA) over WebSocket, and whatever speaks the same protocol.

import { capabilityOf, ParleyError, type ProviderCapability, TIMES } from '@parley/core';
import { type Clock, dialFrameSocket, type DialOptions, type FrameSocket, systemClock } from '@parley/transport';
import { AudioTurnsModel } from '../audio-turns/model.ts';
import { socketBase, under } from '../base-url.ts';
import type { ModelCall, ModelConfig, ModelConnection, ModelSessionOptions, RealtimeModel } from '../port.ts';
import { CallControl } from './call-control.ts';
import { type CallEndpoint, createCall, hangUpCall } from './call-request.ts';
import { OpenAIConnection } from './connection.ts';
import { type Dialect, OPENAI } from './dialect.ts';
import { dialError, redactor } from './errors.ts';
import { handshake } from './handshake.ts';
import { sessionOf, TRANSCRIPTION_MODEL } from './session-config.ts';

const CONNECT_TIMEOUT_MS = 10_000;
/** A hang-up that failed is tried this often. */
const HANG_UPS_MAX = 3;

/** Opens the connection to a provider; it rejects as `dialFrameSocket` does. */
export type Dial = (url: string, options: DialOptions) => Promise<FrameSocket>;

export class OpenAIModel implements RealtimeModel {
  readonly provider: string;
  readonly capabilities: ProviderCapability;
  readonly #config: ModelConfig;
  readonly #dialect: Dialect;
  readonly #url: URL;
  readonly #clock: Clock;
  readonly #dial: Dial;
  /** For sessions by turns: the same key, another protocol. */
  readonly #turns: AudioTurnsModel | null;

  constructor(
    config: ModelConfig,
    dialect: Dialect = OPENAI,
    clock: Clock = systemClock,
    dial: Dial = dialFrameSocket,
  ) {
    const { provider } = dialect;
    const capabilities = capabilityOf(provider);
    if (!capabilities) throw new ParleyError('internal', `no capability row for provider '${provider}'`);
    this.provider = provider;
    this.capabilities = capabilities;
    this.#config = config;
    this.#dialect = dialect;
    // Looked at now: who starts a server should hear of a mistyped address, and not whoever calls first.
    this.#url = under(socketBase(config.base_url), '/realtime');
    this.#clock = clock;
    this.#dial = dial;
    this.#turns = capabilities.transports['audio_turns'] ? chatTurns(config, provider, clock) : null;
  }

  async connect(options: ModelSessionOptions): Promise<ModelConnection> {
    if (options.transport === 'audio_turns' && this.#turns) return this.#turns.connect(options);
    const { key, headers, ca, connect_timeout_ms: timeout_ms = CONNECT_TIMEOUT_MS, ping_ms } = this.#config;
    const { transcription_model } = this.#config;
    const clock = this.#clock;
    const dialect = this.#dialect;
    const redact = redactor(key, options.instructions);
    const began_ms = clock.now();
    const dialled = await this.#dial(withQuery(this.#url, { model: options.model }), {
      headers: {
        ...headers,
        ...(key === undefined ? {} : dialect.keyHeaders(key)),
        ...(options.safety_id === undefined ? {} : dialect.safetyHeaders?.(options.safety_id)),
      },
      ca,
      pingMs: ping_ms,
      handshakeTimeoutMs: timeout_ms,
      signal: options.signal,
    }).catch((error: unknown) => {
      throw dialError(ParleyError.from(error, 'unavailable'), redact);
    });
    const socket = dialect.socket?.(dialled) ?? dialled;
    const session = sessionOf(options, transcription_model);
    return handshake(
      {
        socket,
        session: dialect.session?.(session) ?? session,
        timeout_ms: Math.max(1, timeout_ms - (clock.now() - began_ms)),
        clock,
        redact,
        signal: options.signal,
      },
      (confirmed) =>
        new OpenAIConnection({ socket, session: confirmed, responder: options.responder, clock, redact, dialect }),
    );
  }

  async call(options: ModelSessionOptions, offer_sdp: string): Promise<ModelCall> {
    const { key, headers: more, ca, connect_timeout_ms: timeout_ms = CONNECT_TIMEOUT_MS, ping_ms } = this.#config;
    const { transcription_model } = this.#config;
    const clock = this.#clock;
    const dialect = this.#dialect;
    const redact = redactor(key, options.instructions);
    const headers = { ...more, ...(key === undefined ? {} : dialect.keyHeaders(key)) };
    const safety = options.safety_id === undefined ? {} : dialect.safetyHeaders?.(options.safety_id);
    const plain = sessionOf(options, transcription_model, {});
    const session = dialect.session?.(plain) ?? plain;
    const url = new URL(`${this.#url.href.replace(/^ws/, 'http')}/calls`);
    const endpoint: CallEndpoint = { url, headers: { ...headers, ...safety }, ca, timeout_ms, redact };
    const { call_id, answer_sdp } = await createCall(
      endpoint,
      offer_sdp,
      { ...session, model: options.model },
      options.signal,
    );
    const control = new CallControl({
      provider_call_id: call_id,
      session,
      clock,
      sideband_ms: options.sideband_ms ?? TIMES.sideband_ms,
      dial: (signal) =>
        dialFrameSocket(withQuery(this.#url, { call_id }), {
          headers,
          ca,
          pingMs: ping_ms,
          handshakeTimeoutMs: timeout_ms,
          signal,
        }),
    });
    const { attached } = control;
    const socket = dialect.socket?.(control.sideband) ?? control.sideband;
    const { responder } = options;
    const connection = new OpenAIConnection({ socket, session, responder, clock, redact, dialect, call: control });
    const hangUp = async (reason?: string): Promise<void> => {
      connection.close(reason);
      for (let attempt = 1; ; attempt++) {
        try {
          return await hangUpCall(endpoint, call_id);
        } catch (caught) {
          if (attempt >= HANG_UPS_MAX || !ParleyError.from(caught).retryable) throw caught;
        }
      }
    };
    return {
      call_id,
      answer_sdp,
      connection,
      attached,
      hangUp,
      onRejected: (listener) => control.onRejected(listener),
    };
  }
}

function chatTurns(config: ModelConfig, provider: string, clock: Clock): AudioTurnsModel {
  const host = {
    provider,
    probe: (model: string) => `models/${encodeURIComponent(model)}`,
    max_tokens: 'max_completion_tokens',
    user: 'safety_identifier',
    transcription_model: TRANSCRIPTION_MODEL,
    transcription_shape: 'form' as const,
  };
  return new AudioTurnsModel(config, host, clock);
}

function withQuery(realtime: URL, query: Record<string, string>): string {
  const url = new URL(realtime);
  url.search = new URLSearchParams(query).toString();
  return url.href;
}
