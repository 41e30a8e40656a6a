// OpenAI Live (GPT-Live), the full-duplex successor of Realtime, over WebSocket. Each session is started by a server;
// there are no keys for browsers.

import { capabilityOf, ParleyError, type ProviderCapability } from '@parley/core';
import { type Clock, dialFrameSocket, systemClock } from '@parley/transport';
import { socketBase, under } from '../base-url.ts';
import { OpenAIConnection } from '../openai/connection.ts';
import { type Dialect, OPENAI } from '../openai/dialect.ts';
import { dialError, redactor } from '../openai/errors.ts';
import { handshake } from '../openai/handshake.ts';
import { sessionOf } from '../openai/session-config.ts';
import type { ModelConfig, ModelConnection, ModelSessionOptions, RealtimeModel } from '../port.ts';
import { DELEGATION_MODEL, type LiveSettings } from './session-config.ts';
import { LiveSocket } from './socket.ts';

const LIVE: Dialect = { ...OPENAI, provider: 'openai_live' };
const CONNECT_TIMEOUT_MS = 10_000;

export class OpenAILiveModel implements RealtimeModel {
  readonly provider = 'openai_live';
  readonly capabilities: ProviderCapability;
  readonly #config: ModelConfig;
  readonly #url: URL;
  readonly #clock: Clock;

  constructor(config: ModelConfig, clock: Clock = systemClock) {
    const capabilities = capabilityOf('openai_live');
    if (!capabilities) throw new ParleyError('internal', "no capability row for provider 'openai_live'");
    this.capabilities = capabilities;
    this.#config = config;
    this.#url = under(socketBase(config.base_url), '/live/sessions');
    this.#clock = clock;
  }

  async connect(options: ModelSessionOptions): Promise<ModelConnection> {
    const { key, ca, connect_timeout_ms: timeout_ms = CONNECT_TIMEOUT_MS, ping_ms, delegation_model } = this.#config;
    const clock = this.#clock;
    const redact = redactor(key, options.instructions);
    const began_ms = clock.now();
    const inner = await dialFrameSocket(this.#url.href, {
      headers: {
        ...(key === undefined ? {} : OPENAI.keyHeaders(key)),
        ...(options.safety_id === undefined ? {} : OPENAI.safetyHeaders?.(options.safety_id)),
      },
      ca,
      pingMs: ping_ms,
      handshakeTimeoutMs: timeout_ms,
      signal: options.signal,
    }).catch((error: unknown) => {
      throw dialError(ParleyError.from(error, 'unavailable'), redact);
    });
    const settings: LiveSettings = {
      delegation: options.responder === 'handler' ? 'client' : 'responses',
      delegation_model: delegation_model ?? DELEGATION_MODEL,
    };
    const socket = new LiveSocket(inner, options, settings, clock);
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
        new OpenAIConnection({ socket, session, responder: options.responder, clock, redact, dialect: LIVE }),
    );
  }
}
