import { newId, randomSuffix } from '@parley/core';
import type { Clock } from '../clock.ts';
import { configOnWire, DEFAULT_MODEL, newConfig, patchConfig, type SessionConfig } from '../session/config.ts';
import * as rule from '../session/rules.ts';
import { invalid } from '../session/wire-error.ts';
import { isObject, type Wire } from '../wire.ts';

// Client secrets: short-lived keys with a session config frozen into them. One secret opens several sessions until it
// expires, and a session outlives its secret.

const SECONDS_DEFAULT = 600;

interface Secret {
  expiresAtMs: number;
  config: SessionConfig;
}

export class ClientSecrets {
  readonly #clock: Clock;
  readonly #max: number;
  readonly #sessionMs: number;
  readonly #secrets = new Map<string, Secret>();

  constructor(clock: Clock, max: number, sessionMs: number) {
    this.#clock = clock;
    this.#max = max;
    this.#sessionMs = sessionMs;
  }

  /** Makes a secret as `POST /v1/realtime/client_secrets` asks for; throws the error of a bad body. */
  create(body: unknown): Wire {
    if (!isObject(body)) throw invalid('body', body, 'an object');
    rule.check(
      body,
      {
        expires_after: rule.object({ anchor: rule.oneOf('created_at'), seconds: rule.integer(10, 7_200) }),
        session: rule.anything,
      },
      '',
    );
    const seconds = isObject(body['expires_after'])
      ? Number(body['expires_after']['seconds'] ?? SECONDS_DEFAULT)
      : SECONDS_DEFAULT;
    const config = this.#configOf(body['session'] ?? { type: 'realtime' });
    const value = `ek_${randomSuffix()}`;
    const expiresAtMs = this.#clock.now() + seconds * 1000;
    this.#forgetSome();
    this.#secrets.set(value, { expiresAtMs, config });
    return { value, expires_at: Math.floor(expiresAtMs / 1000), session: configOnWire(config) };
  }

  #configOf(session: unknown): SessionConfig {
    if (!isObject(session)) throw invalid('session', session, 'an object');
    const type = session['type'] === 'transcription' ? 'transcription' : 'realtime';
    const model = typeof session['model'] === 'string' ? session['model'] : DEFAULT_MODEL;
    const expiresAt = Math.floor((this.#clock.now() + this.#sessionMs) / 1000);
    return patchConfig(newConfig(type, newId('session'), model, expiresAt), session, false);
  }

  #forgetSome(): void {
    for (const [value, { expiresAtMs }] of this.#secrets) {
      if (expiresAtMs > this.#clock.now() && this.#secrets.size < this.#max) return;
      this.#secrets.delete(value);
    }
  }

  /** The config of a valid secret; null for an unknown or expired one. */
  find(value: string): SessionConfig | null {
    const secret = this.#secrets.get(value);
    return secret && secret.expiresAtMs > this.#clock.now() ? secret.config : null;
  }
}
