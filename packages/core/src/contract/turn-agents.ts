// Turn-based agents: what a conversation with one is made of, for whoever offers the same port in another language.

import { z } from 'zod';
import { Json, JsonObject } from './json.ts';

export const SANDBOXES = ['read-only', 'workspace-write', 'danger-full-access'] as const;
export const APPROVALS = ['never', 'on-request', 'untrusted', 'auto-review'] as const;

export const AgentConfig = z
  .strictObject({
    working_directory: z.string().min(1),
    model: z.string().min(1).optional(),
    provider: z.string().min(1).optional(),
    reasoning_effort: z.enum(['none', 'minimal', 'low', 'medium', 'high', 'xhigh', 'ultra']).optional(),
    approval: z.enum(APPROVALS).optional(),
    sandbox: z.enum(SANDBOXES).optional(),
    base_instructions: z.string().min(1).optional(),
    developer_instructions: z.string().min(1).optional(),
    tools: z.record(z.string(), z.array(z.string().min(1))).optional(),
  })
  .meta({
    id: 'AgentConfig',
    description:
      'One turn-based agent: where it works and what it may do. `tools` names the tools of each MCP server that it may use; without it, all of them.',
  });

export const AgentTurnRequest = z
  .strictObject({
    prompt: z.string().min(1),
    timeout_seconds: z.number().min(0.001).max(86_400).optional(),
    output_schema: JsonObject.optional(),
  })
  .meta({
    id: 'AgentTurnRequest',
    description:
      'One turn: a prompt and its deadline (600 s where it is missing), and what the answer has to look like.',
  });

export const AgentTurnEvent = z
  .object({ kind: z.string(), summary: z.string(), metadata: JsonObject })
  .meta({ id: 'AgentTurnEvent', description: 'One thing that the agent did in a turn.' });

export const AgentTurnUsage = z
  .object({
    input_tokens: z.number(),
    cached_tokens: z.number(),
    output_tokens: z.number(),
    reasoning_tokens: z.number(),
  })
  .meta({
    id: 'AgentTurnUsage',
    description: 'Tokens of one turn; cached ones are part of the input, reasoning of the output.',
  });

export const AgentTurnResult = z
  .object({
    assistant_text: z.string(),
    events: z.array(AgentTurnEvent),
    structured: Json.optional(),
    usage: AgentTurnUsage.optional(),
  })
  .meta({
    id: 'AgentTurnResult',
    description: 'The end of a turn. `structured` is the text, parsed, where a schema was asked for.',
  });

/** Why a turn-based agent failed: what `details.reason` of its errors says. */
export const TURN_FAILURES = [
  'invalid_argument',
  'backend_not_started',
  'backend_closed',
  'backend_invalid',
  'backend_start_failed',
  'concurrent_turn',
  'timeout',
  'aborted',
  'interrupted',
  'turn_failed',
  'rejected',
  'output_invalid',
] as const;

export const AgentTurnFailure = z
  .object({
    reason: z.enum(TURN_FAILURES),
    waiting_for: z.string().optional(),
    backend_error: JsonObject.optional(),
    assistant_text: z.string().optional(),
    problem: z.string().optional(),
  })
  .meta({
    id: 'AgentTurnFailure',
    description:
      'The `details` of an error of a turn-based agent: which failure, and what can be done something about.',
  });

export type AgentTurnFailureReason = (typeof TURN_FAILURES)[number];
