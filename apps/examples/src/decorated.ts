// The example agent once more, as a decorated class. It needs a compiler that lowers decorators; tsc does.

import { Agent, agent, type Context, type RealtimeSession, reasoner, session, skill } from '@parley/session';
import { z } from 'zod';
import { ORDERS, type Order, sentence } from './orders.ts';

const live = { provider: process.env['PARLEY_EXAMPLE_PROVIDER'] || 'simulator', transport: 'websocket' };
const OrderNumber = z.object({ order: z.string() });
const SpokenTurn = z.object({ text: z.string() });

@agent('support')
class Support {
  @session({ ...live, voice: 'marin', tools: ['lookup_order'] })
  async desk(call: RealtimeSession): Promise<void> {
    for await (const turn of call) {
      const result = await call.call<{ spoken_response: string }>('resolve_turn', { text: turn.text });
      await call.say(result.spoken_response);
    }
  }

  @reasoner({ description: 'Answers one turn of a conversation.', input: SpokenTurn })
  async resolve_turn({ text }: z.output<typeof SpokenTurn>, context: Context) {
    const [order] = /\d+/.exec(text) ?? [];
    if (order === undefined) return { spoken_response: 'Which order do you mean? Please tell me its number.' };
    return context.call<{ spoken_response: string }>('lookup_order', { order });
  }

  @reasoner({ description: 'Looks up an order by its number.', input: OrderNumber })
  async lookup_order({ order }: z.output<typeof OrderNumber>, context: Context) {
    const found = await context.call<Order | null>('find_order', { order });
    return { order, found: found !== null, spoken_response: sentence(order, found) };
  }

  @skill({ description: 'Reads one order from the order book.', input: OrderNumber })
  find_order({ order }: z.output<typeof OrderNumber>): Order | null {
    return ORDERS.get(order) ?? null;
  }
}

await Agent.from(new Support()).serve();
