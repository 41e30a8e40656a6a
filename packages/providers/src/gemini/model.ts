// Gemini Live (BidiGenerateContent) over WebSocket. The base URL is that of the API's host
// (`https://generativelanguage.googleapis.com`); the key travels in a header.

import { capabilityOf, ParleyError, type ProviderCapability } from '@parley/core';
import { type Clock, dialFrameSocket, systemClock } from '@parley/transport';
import { socketBase, under } from '../base-url.ts';
import { OpenAIConnection } from '../openai/connection.ts';
import { type Dialect, OPENAI } from '../openai/dialect.ts';
import { dialError, redactor } from '../openai/errors.ts';
import { handshake } from '../openai/handshake.ts';
import { sessionOf } from '../openai/session-config.ts';
import type { ModelConfig, ModelConnection, ModelSessionOptions, RealtimeModel } from '../port.ts';
import { GeminiSocket } from './socket.ts';

// What it did not call itself it takes no output of, and a call among the turns of `clientContent` ends the connection.
const GEMINI: Dialect = { ...OPENAI, provider: 'gemini', callsAre: 'text' };
const CONNECT_TIMEOUT_MS = 10_000;
const PATH = '/ws/google.ai.generativelanguage.v1beta.GenerativeService.BidiGenerateContent';

export class GeminiModel implements RealtimeModel {
  readonly provider = 'gemini';
  readonly capabilities: ProviderCapability;
  readonly #config: ModelConfig;
  readonly #url: URL;
  readonly #clock: Clock;

  constructor(config: ModelConfig, clock: Clock = systemClock) {
    const capabilities = capabilityOf('gemini');
    if (!capabilities) throw new ParleyError('internal', "no capability row for provider 'gemini'");
    this.capabilities = capabilities;
    this.#config = config;
    this.#url = under(socketBase(config.base_url), PATH);
    this.#clock = clock;
  }

  async connect(options: ModelSessionOptions): Promise<ModelConnection> {
    const { key, ca, connect_timeout_ms: timeout_ms = CONNECT_TIMEOUT_MS, ping_ms } = this.#config;
    const clock = this.#clock;
    const redact = redactor(key, options.instructions);
    const began_ms = clock.now();
    const inner = await dialFrameSocket(this.#url.href, {
      headers: key === undefined ? {} : { 'x-goog-api-key': key },
      ca,
      pingMs: ping_ms,
      handshakeTimeoutMs: timeout_ms,
      signal: options.signal,
      textInBinary: true,
    }).catch((error: unknown) => {
      throw dialError(ParleyError.from(error, 'unavailable'), redact);
    });
    const socket = new GeminiSocket(inner, options, clock);
    return handshake(
      {
        socket,
        session: sessionOf(options, undefined),
        timeout_ms: Math.max(1, timeout_ms - (clock.now() - began_ms)),
        clock,
        redact,
        signal: options.signal,
      },
      (session) =>
        new OpenAIConnection({
          socket,
          session,
          responder: options.responder,
          clock,
          redact,
          dialect: GEMINI,
          resumeHandle: () => socket.resumeHandle,
          onGoingAway: (listener) => socket.onGoingAway(listener),
        }),
    );
  }
}
