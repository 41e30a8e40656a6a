// Whether a call may run: what its author says, and where that is not enough, what somebody answers.

import { ParleyError } from '@parley/core';
import type { RunContext } from '../context.ts';
import type { RealtimeSessionEvent } from '../events.ts';
import type { RealtimeTool } from '../tool.ts';
import type { Approvals, Decision } from './approvals.ts';
import type { Call } from './call.ts';

/** Asks where it has to. null: the call ended meanwhile. */
export async function decided(
  call: Call,
  tool: RealtimeTool,
  context: RunContext,
  input: unknown,
  approvals: Approvals,
  emit: (event: RealtimeSessionEvent) => void,
): Promise<Decision | null> {
  const { callId, name, agent } = call;
  approvals.expect(callId, call.bound?.target ?? name);
  let asks = true;
  try {
    asks = await tool.internal.needsApproval(context, input, callId);
  } catch (error) {
    // Who cannot say whether to ask, asks.
    emit({ type: 'error', error: ParleyError.from(error), source: 'tool' });
  }
  if (call.done) return null;
  if (!asks && !approvals.decided(callId)) {
    approvals.forget(callId);
    return { approved: true };
  }
  const decision = approvals.decision(callId);
  if (!approvals.decided(callId)) {
    const approvalItem = {
      callId,
      name,
      agent: agent.name,
      arguments: call.arguments,
      input,
      ...(call.itemId === undefined ? {} : { itemId: call.itemId }),
    };
    emit({ type: 'tool_approval_requested', agent, tool, approvalItem });
  }
  const said = await decision;
  return call.done ? null : said;
}
