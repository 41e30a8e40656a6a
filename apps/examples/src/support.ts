// The example agent. `support.voice`: the live model answers and calls a tool. `support.desk`: a handler answers.
// Each call makes a workflow: session -> reasoner -> skill.

import { Agent, type SessionOptions } from '@parley/session';
import { z } from 'zod';
import { ORDERS, sentence } from './orders.ts';

const provider = process.env['PARLEY_EXAMPLE_PROVIDER'] || 'simulator';
const transport = process.env['PARLEY_EXAMPLE_TRANSPORT'] || 'websocket';
const live: SessionOptions = { provider, transport, voice: 'marin' };

const support = new Agent('support');

const findOrder = support.skill(
  'find_order',
  { description: 'Reads one order from the order book.', input: z.object({ order: z.string() }) },
  ({ order }) => ORDERS.get(order) ?? null,
);

const lookUpOrder = support.reasoner(
  'lookup_order',
  {
    description: 'Looks up an order by its number and says in one sentence where it is.',
    input: z.object({ order: z.string().describe('The number of the order, digits only.') }),
    timeoutMs: 10_000,
    onInterrupt: 'cancel',
  },
  async ({ order }, context) => {
    const number = order.replace(/\D/g, '');
    const found = await context.call(findOrder, { order: number });
    context.note(found ? 'order found' : 'no such order', { order: number });
    return { order: number, found: found !== null, spoken_response: sentence(number, found) };
  },
);

const resolveTurn = support.reasoner(
  'resolve_turn',
  { description: 'Answers one turn of a conversation.', input: z.object({ text: z.string() }) },
  async ({ text }, context) => {
    const [order] = /\d+/.exec(text) ?? [];
    if (order === undefined) return { spoken_response: 'Which order do you mean? Please tell me its number.' };
    const { spoken_response } = await context.call(lookUpOrder, { order });
    return { spoken_response };
  },
);

support.session('voice', {
  ...live,
  instructions: 'You answer questions about orders. Use lookup_order, and say what it answers.',
  tools: ['support.lookup_order'],
});

support.session('desk', live, async (session) => {
  for await (const turn of session) {
    const result = await session.call(resolveTurn, { text: turn.text });
    await session.say(result.spoken_response);
  }
});

await support.serve();
