// Begins sessions of an agent. Any number of them at once, each with a connection of its own.

import { ParleyError } from '@parley/core';
import { systemClock } from '@parley/transport';
import type { RealtimeAgent } from './agent.ts';
import type { RealtimeRunnerOptions, RealtimeRunOptions } from './options.ts';
import { RealtimeSession } from './session.ts';

/**
 * Runs an agent against a realtime model, in this process.
 *
 * @example
 * const runner = new RealtimeRunner(agent);
 * await using session = await runner.run({ modelConfig: { apiKey: process.env.OPENAI_API_KEY } });
 * await session.sendMessage('Hello');
 * for await (const event of session) {
 *   if (event.type === 'agent_end') break;
 * }
 */
export class RealtimeRunner<C = unknown> {
  readonly startingAgent: RealtimeAgent<C>;
  readonly #options: RealtimeRunnerOptions<C>;

  constructor(agent: RealtimeAgent<C>, options: RealtimeRunnerOptions<C> = {}) {
    this.startingAgent = agent;
    this.#options = options;
  }

  /**
   * Begins a session and resolves when the model has accepted it.
   *
   * @throws ParleyError: `invalid_argument` for tools and handoffs of one name, before anything is connected; what
   * connecting throws (`unauthenticated`, `permission_denied`, `resource_exhausted`, `unavailable`, `deadline_exceeded`);
   * `cancelled` by the signal.
   */
  async run(options: RealtimeRunOptions<C> = {}): Promise<RealtimeSession<C>> {
    const { signal } = options;
    if (signal?.aborted) {
      throw new ParleyError('cancelled', 'the signal was aborted before the session began', { cause: signal.reason });
    }
    const session = new RealtimeSession<C>({
      agent: this.startingAgent,
      source: this.#options.model,
      config: this.#options.config ?? {},
      run: options,
      clock: options.clock ?? systemClock,
    });
    await session.start();
    return session;
  }
}
