// The live model answers by itself, and may call the tools that the session names.

import { Agent } from '@parley/session';
import { z } from 'zod';

const app = new Agent('tools');
const OrderNumber = z.object({ order: z.string() });
app.skill('find_order', { description: 'Finds an order by its number.', input: OrderNumber }, ({ order }) => {
  return { order, spoken_response: `Order ${order} ships on Friday.` };
});
app.session('voice', {
  provider: 'simulator',
  transport: 'websocket',
  instructions: 'Answer questions about orders. Use find_order, and say what it answers.',
  tools: ['find_order'],
});
await app.serve();
