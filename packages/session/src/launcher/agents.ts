// The agents of a launcher: made one for each session, or kept ready before anybody called.

import type { Agent } from '../agent.ts';
import { partsOf } from '../call.ts';
import type { LauncherSettings, LaunchContext } from './options.ts';
import { keyOf, WarmPool } from './warm-pool.ts';

export class Agents {
  readonly #settings: LauncherSettings;
  readonly #pool: WarmPool<Agent>;
  #probe: Promise<Agent> | null = null;
  /** The one of an isolated session that is still to come. */
  #prepared: { key: string; agent: Agent } | null = null;

  constructor(settings: LauncherSettings) {
    this.#settings = settings;
    this.#pool = new WarmPool({
      // What runs elsewhere is made there.
      size: settings.isolation === 'shared' ? settings.warmAgents : 0,
      configurationsMax: settings.warmConfigurationsMax,
      make: (configuration) => this.#make(configuration, null),
      drop: () => undefined,
      failed: (error) => settings.log.warn('an agent could not be warmed', error),
    });
  }

  /** Agents that are ready. */
  get ready(): number {
    return this.#pool.size;
  }

  /** One for a session: a ready one of its configuration, or a new one. @throws what making it threw. */
  async for(configuration: unknown, session: LaunchContext): Promise<Agent> {
    const prepared = this.#prepared;
    this.#prepared = null;
    if (prepared?.key === keyOf(configuration)) return prepared.agent;
    return this.#pool.take(configuration) ?? this.#make(configuration, session);
  }

  /** Where one session is run alone: makes its agent before it comes. */
  async prepare(configuration: unknown): Promise<void> {
    this.#prepared = { key: keyOf(configuration), agent: await this.#make(configuration, null) };
  }

  /** One that is in no call: what it declares is what all of them do. */
  probe(): Promise<Agent> {
    // The promise is kept and not the agent: many may ask at once.
    this.#probe ??= this.#make(this.#settings.warmConfigurations?.[0], null).catch((error: unknown) => {
      this.#probe = null;
      throw error;
    });
    return this.#probe;
  }

  /** Resolves when as many are ready as are to be kept. @throws what making one threw. */
  async warm(): Promise<void> {
    await this.probe();
    await Promise.all(warmConfigurations(this.#settings).map((configuration) => this.#pool.warm(configuration)));
  }

  close(): void {
    this.#pool.close();
  }

  async #make(configuration: unknown, session: LaunchContext | null): Promise<Agent> {
    const agent = await this.#settings.createAgent({ configuration, session });
    partsOf(agent);
    await this.#settings.warmUp?.(agent);
    return agent;
  }
}

/** Configurations that are warmed at the start. */
export function warmConfigurations({ configure, warmConfigurations: wanted }: LauncherSettings): readonly unknown[] {
  return wanted ?? [configure?.(undefined, 'default')];
}
