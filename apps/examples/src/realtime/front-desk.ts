// The example call without a control plane: a front desk that looks up orders, and hands over to billing for a refund,
// which needs a yes. Run it with OPENAI_API_KEY, or with a test kit's model.

import { handoff, RealtimeAgent, type RealtimeSession, tool } from '@parley/realtime';
import { z } from 'zod';
import { ORDERS, sentence } from '../orders.ts';

const Order = z.object({ order: z.string().describe('The number of the order, digits only.') });

const lookUpOrder = tool({
  name: 'lookup_order',
  description: 'Looks up an order by its number and says in one sentence where it is.',
  parameters: Order,
  execute: ({ order }) => sentence(order, ORDERS.get(order) ?? null),
  onInterrupt: 'cancel',
});

const refund = tool({
  name: 'refund',
  description: 'Gives the money for an order back.',
  parameters: Order,
  needsApproval: true,
  execute: ({ order }) => `Order ${order} is refunded.`,
});

const billing = new RealtimeAgent({
  name: 'billing',
  handoffDescription: 'Refunds and invoices.',
  instructions: 'You do refunds. Use refund, and say what it answers.',
  tools: [refund],
});

export const frontDesk = new RealtimeAgent({
  name: 'front desk',
  instructions: 'You answer questions about orders. Use lookup_order, and hand refunds to billing.',
  tools: [lookUpOrder],
  handoffs: [handoff(billing, { wayBack: true })],
  outputGuardrails: [
    {
      name: 'no card numbers',
      execute: ({ agentOutput }) => ({ tripwireTriggered: /\d{4}[ -]?\d{4}[ -]?\d{4}/.test(agentOutput) }),
      say: 'I cannot say card numbers.',
    },
  ],
});

/** Writes the conversation down while it goes on, and asks a person before money moves. */
export function attend(
  session: RealtimeSession,
  write: (line: string) => void,
  ask: (what: string) => Promise<boolean>,
): void {
  session.on('user_turn', ({ text }) => write(`user: ${text}`));
  session.on('agent_end', ({ agent, output }) => {
    if (output !== '') write(`${agent.name}: ${output}`);
  });
  session.on('agent_handoff', ({ fromAgent, toAgent }) => write(`${fromAgent.name} hands over to ${toAgent.name}`));
  session.on('guardrail_tripped', ({ guardrail }) => write(`stopped: ${guardrail}`));
  session.on('tool_approval_requested', ({ approvalItem }) => {
    ask(`${approvalItem.name} ${approvalItem.arguments}`).then(
      (yes) => (yes ? session.approve(approvalItem) : session.reject(approvalItem, { message: 'A person said no.' })),
      (error: unknown) => write(`nobody could be asked: ${String(error)}`),
    );
  });
}
