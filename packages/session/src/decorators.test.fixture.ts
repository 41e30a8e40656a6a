// Compiled by tsc, because the test runner does not lower decorators; decorators.test.ts runs what comes out.

import { z } from 'zod';
import { Agent, agent, type Context, ParleyError, type RealtimeSession, reasoner, session, skill } from './index.ts';

export { Agent };

const Order = z.object({ order: z.string() });

class Base {
  @skill({ description: 'Says which version runs.' })
  version(): string {
    return 'base';
  }

  @skill()
  hidden(): string {
    return 'base';
  }
}

@agent('support')
export class Support extends Base {
  readonly #orders = new Map([['42', 'It ships on Friday.']]);

  @session({ provider: 'simulator', transport: 'websocket', tools: ['find_order'] })
  async desk(live: RealtimeSession): Promise<void> {
    for await (const turn of live) await live.say(this.#orders.get(turn.text) ?? 'I do not know.');
  }

  @reasoner({ input: Order, timeoutMs: 5_000 })
  async resolve({ order }: z.output<typeof Order>, context: Context): Promise<unknown> {
    return { order, note: this.#orders.get(order), execution: context.executionId.startsWith('exec_') };
  }

  @skill({ name: 'find_order', input: Order })
  find(input: z.output<typeof Order>): string | null {
    return this.#orders.get(input.order) ?? null;
  }

  override hidden(): string {
    return 'not declared any more';
  }
}

export class Plain {}

/** What a decorator on a static method says. */
export function staticMethod(): unknown {
  try {
    class Wrong {
      @skill()
      static shared(): void {}
    }
    return Wrong;
  } catch (error) {
    return ParleyError.from(error).toObject();
  }
}
