// OpenAI Realtime (GA) over WebSocket, and whatever speaks the same protocol.

import { capabilityOf, ParleyError, type ProviderCapability } from '@parley/core';
import { type Clock, dialFrameSocket, systemClock } from '@parley/transport';
import { socketBase, under } from '../base-url.ts';
import type { ModelConfig, ModelConnection, ModelSessionOptions, RealtimeModel } from '../port.ts';
import { OpenAIConnection } from './connection.ts';
import { type Dialect, OPENAI } from './dialect.ts';
import { dialError, redactor } from './errors.ts';
import { handshake } from './handshake.ts';
import { sessionOf } from './session-config.ts';

const CONNECT_TIMEOUT_MS = 10_000;

export class OpenAIModel implements RealtimeModel {
  readonly provider: string;
  readonly capabilities: ProviderCapability;
  readonly #config: ModelConfig;
  readonly #dialect: Dialect;
  readonly #url: URL;
  readonly #clock: Clock;

  constructor(config: ModelConfig, dialect: Dialect = OPENAI, clock: Clock = systemClock) {
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
  }

  async connect(options: ModelSessionOptions): Promise<ModelConnection> {
    const { key, ca, connect_timeout_ms: timeout_ms = CONNECT_TIMEOUT_MS, transcription_model } = this.#config;
    const clock = this.#clock;
    const dialect = this.#dialect;
    const redact = redactor(key, options.instructions);
    const began_ms = clock.now();
    const dialled = await dialFrameSocket(ofModel(this.#url, options.model), {
      headers: {
        ...(key === undefined ? {} : dialect.keyHeaders(key)),
        ...(options.safety_id === undefined ? {} : dialect.safetyHeaders?.(options.safety_id)),
      },
      ca,
      handshakeTimeoutMs: timeout_ms,
      signal: options.signal,
    }).catch((error: unknown) => {
      throw dialError(ParleyError.from(error, 'unavailable'));
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
}

function ofModel(realtime: URL, model: string): string {
  const url = new URL(realtime);
  url.search = new URLSearchParams({ model }).toString();
  return url.href;
}
