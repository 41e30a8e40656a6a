// A model whose sessions outlive their connections to the provider.

import type { ProviderCapability } from '@parley/core';
import { systemClock } from '@parley/transport';
import type { ModelConnection, ModelSessionOptions, RealtimeModel } from '../port.ts';
import { type RenewalSettings, RenewingConnection } from './connection.ts';
import { HISTORY_LIMITS } from './history.ts';
import { RECONNECT } from './retries.ts';

const BEFORE_MS = 120_000;

/**
 * The same model, with connections that are renewed between two turns before the provider ends them, and followed by
 * others when they are cut: by the provider's handle where it has one, by telling a new connection what was said where it
 * has none. A provider that does not want the session again (a refused key, a policy, a wrong request) ends it.
 *
 * @param settings.before_ms when a renewal begins to wait for its boundary. Default: two minutes before the cap, or a
 * fifth of it where it is shorter.
 * @param settings.reconnect how often and how long a cut connection is tried to be followed. Default: six times within
 * twenty seconds; null: never.
 * @example
 * const model = renewing(createModel('openai', { base_url, key }));
 */
export function renewing(model: RealtimeModel, settings: Partial<RenewalSettings> = {}): RealtimeModel {
  return new RenewingModel(model, {
    clock: settings.clock ?? systemClock,
    before_ms: settings.before_ms ?? Math.min(BEFORE_MS, model.capabilities.session_max_ms / 5),
    history: settings.history ?? HISTORY_LIMITS,
    reconnect: settings.reconnect === undefined ? RECONNECT : settings.reconnect,
  });
}

class RenewingModel implements RealtimeModel {
  readonly provider: string;
  readonly capabilities: ProviderCapability;
  /** A call that the provider terminates is the provider's: it cannot be moved to another connection. */
  readonly call?: NonNullable<RealtimeModel['call']>;
  readonly #model: RealtimeModel;
  readonly #settings: RenewalSettings;

  constructor(model: RealtimeModel, settings: RenewalSettings) {
    this.provider = model.provider;
    this.capabilities = model.capabilities;
    this.#model = model;
    this.#settings = settings;
    if (model.call) this.call = model.call.bind(model);
  }

  async connect(options: ModelSessionOptions): Promise<ModelConnection> {
    return new RenewingConnection(this.#model, options, await this.#model.connect(options), this.#settings);
  }
}
