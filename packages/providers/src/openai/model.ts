// OpenAI Realtime (GA) over WebSocket, and whatever speaks the same protocol.

import { capabilityOf, ParleyError, type ProviderCapability } from '@parley/core';
import { type Clock, dialFrameSocket, systemClock } from '@parley/transport';
import type { ModelConfig, ModelConnection, ModelSessionOptions, RealtimeModel } from '../port.ts';
import { OpenAIConnection } from './connection.ts';
import { dialError, redactor } from './errors.ts';
import { handshake } from './handshake.ts';
import { sessionOf } from './session-config.ts';

const CONNECT_TIMEOUT_MS = 10_000;

export class OpenAIModel implements RealtimeModel {
  readonly provider: string;
  readonly capabilities: ProviderCapability;
  readonly #config: ModelConfig;
  readonly #url: URL;
  readonly #clock: Clock;

  constructor(config: ModelConfig, provider = 'openai', clock: Clock = systemClock) {
    const capabilities = capabilityOf(provider);
    if (!capabilities) throw new ParleyError('internal', `no capability row for provider '${provider}'`);
    this.provider = provider;
    this.capabilities = capabilities;
    this.#config = config;
    // Looked at now: who starts a server should hear of a mistyped address, and not whoever calls first.
    this.#url = realtimeUrl(config.base_url);
    this.#clock = clock;
  }

  async connect(options: ModelSessionOptions): Promise<ModelConnection> {
    const { key, ca, connect_timeout_ms: timeout_ms = CONNECT_TIMEOUT_MS, transcription_model } = this.#config;
    const clock = this.#clock;
    const redact = redactor(key, options.instructions);
    const began_ms = clock.now();
    const socket = await dialFrameSocket(ofModel(this.#url, options.model), {
      headers: {
        ...(key === undefined ? {} : { Authorization: `Bearer ${key}` }),
        ...(options.safety_id === undefined ? {} : { 'OpenAI-Safety-Identifier': options.safety_id }),
      },
      ca,
      handshakeTimeoutMs: timeout_ms,
      signal: options.signal,
    }).catch((error: unknown) => {
      throw dialError(ParleyError.from(error, 'unavailable'));
    });
    return handshake(
      {
        socket,
        session: sessionOf(options, transcription_model),
        timeout_ms: Math.max(1, timeout_ms - (clock.now() - began_ms)),
        clock,
        redact,
        signal: options.signal,
      },
      (session) => new OpenAIConnection({ socket, session, responder: options.responder, clock, redact }),
    );
  }
}

/** `wss://…/v1/realtime` of a base URL. */
function realtimeUrl(base_url: string): URL {
  const url = URL.parse(base_url);
  const scheme = url && SCHEMES.get(url.protocol);
  if (!url || !scheme) {
    throw new ParleyError('invalid_argument', 'base_url must start with http://, https://, ws:// or wss://');
  }
  url.protocol = scheme;
  url.pathname = `${url.pathname.replace(/\/+$/, '')}/realtime`;
  return url;
}

function ofModel(realtime: URL, model: string): string {
  const url = new URL(realtime);
  url.search = new URLSearchParams({ model }).toString();
  return url.href;
}

const SCHEMES: ReadonlyMap<string, string> = new Map([
  ['http:', 'ws:'],
  ['ws:', 'ws:'],
  ['https:', 'wss:'],
  ['wss:', 'wss:'],
]);
