// What Codex asks of its host in the middle of a turn. Every request is answered: one that is not would hold the turn for ever.

import { inputProblem } from '@parley/core';
import type { CheckedAgentConfig, HostFunction } from '@parley/turns';
import { summaryOf } from './items.ts';
import type { ApprovalDecision, ApprovalRequest, CodexOptions } from './options.ts';
import { asObject, asText, type Params, RpcError } from './rpc.ts';
import type { TurnRun } from './turn-run.ts';

export interface RequestContext {
  readonly config: CheckedAgentConfig;
  readonly conversationId: string;
  readonly approve: CodexOptions['approve'];
  readonly functions: readonly HostFunction[];
  readonly run: TurnRun;
  /** Aborted when the turn is interrupted or has ended. */
  readonly signal: AbortSignal;
}

const METHOD_NOT_FOUND = -32_601;

const KINDS: Readonly<Record<string, ApprovalRequest['kind']>> = {
  'item/commandExecution/requestApproval': 'command',
  'item/fileChange/requestApproval': 'file_change',
  'item/permissions/requestApproval': 'permissions',
  'item/tool/requestUserInput': 'input',
  'mcpServer/elicitation/request': 'mcp',
};

/** The answer to a request. @throws RpcError for one that nobody here knows, which Codex takes as a refusal. */
export async function answerOf(method: string, params: Params, context: RequestContext): Promise<unknown> {
  if (method === 'item/tool/call') return callFunction(params, context);
  const kind = KINDS[method];
  if (!kind) {
    context.run.record({ kind: 'request', summary: `refused: ${method}`, metadata: { method, decision: 'unknown' } });
    throw new RpcError(METHOD_NOT_FOUND, `this host does not answer ${method}`, undefined);
  }
  const { decision, by, problem } = await decide(kind, params, context);
  const words = typeof decision === 'string' ? decision : 'answers';
  context.run.record({
    kind: 'approval',
    summary: `${words}: ${summaryFor(kind, params)}`,
    metadata: { request: kind, decision: words, by, ...(problem !== undefined && { problem }) },
  });
  return replyTo(kind, params, decision);
}

interface Decided {
  decision: ApprovalDecision;
  by: 'policy' | 'host';
  problem?: string;
}

async function decide(kind: ApprovalRequest['kind'], params: Params, context: RequestContext): Promise<Decided> {
  const { approve, config, conversationId, signal, run } = context;
  const summary = summaryFor(kind, params);
  run.progress('approval.asked', `${kind}: ${summary}`);
  if (!approve) return { decision: 'decline', by: 'policy' };
  const over = run.waits(`the host to approve ${kind}: ${summary}`);
  try {
    const reason = asText(params['reason']);
    const asked = approve({ kind, summary, reason, config, conversationId, params, signal });
    return { decision: await asked, by: 'host' };
  } catch (error) {
    // Nobody said yes.
    return { decision: 'decline', by: 'host', problem: error instanceof Error ? error.message : String(error) };
  } finally {
    over();
  }
}

function summaryFor(kind: ApprovalRequest['kind'], params: Params): string {
  if (kind === 'mcp') return `${asText(params['serverName']) ?? ''}: ${asText(params['message']) ?? ''}`;
  if (kind === 'input') {
    const questions = Array.isArray(params['questions']) ? params['questions'] : [];
    return questions.map((one) => asText(asObject(one)['question']) ?? '').join(' ') || kind;
  }
  return summaryOf({ type: asText(params['reason']) ?? kind, command: params['command'] });
}

function replyTo(kind: ApprovalRequest['kind'], params: Params, decision: ApprovalDecision): unknown {
  const yes = decision === 'accept' || decision === 'accept_for_session';
  switch (kind) {
    case 'command':
    case 'file_change':
      if (decision === 'accept_for_session') return { decision: 'acceptForSession' };
      if (decision === 'interrupt') return { decision: 'cancel' };
      return { decision: yes ? 'accept' : 'decline' };
    case 'mcp': {
      const content = typeof decision === 'object' ? decision.answers : yes ? {} : null;
      const action = content !== null ? 'accept' : decision === 'interrupt' ? 'cancel' : 'decline';
      return { action, content, _meta: null };
    }
    case 'permissions':
      return {
        permissions: yes ? params['permissions'] : {},
        scope: decision === 'accept_for_session' ? 'session' : 'turn',
      };
    case 'input': {
      const answers = typeof decision === 'object' ? decision.answers : {};
      const lists = Object.entries(answers).map(([id, one]) => [id, { answers: [one].flat().map(String) }]);
      return { answers: Object.fromEntries(lists) };
    }
  }
}

async function callFunction(params: Params, { functions, run, signal }: RequestContext): Promise<unknown> {
  const name = asText(params['tool']) ?? '';
  const found = functions.find((one) => one.name === name);
  if (!found) return toolReply(false, `there is no function '${name}'`);
  const input = params['arguments'];
  const problem = inputProblem(found.inputSchema, input);
  if (problem !== null) return toolReply(false, `the input is not valid: ${problem}`);
  const over = run.waits(`the function ${name} of the host`);
  try {
    const output = await found.run(input, { signal });
    return toolReply(true, typeof output === 'string' ? output : JSON.stringify(output ?? null));
  } catch (error) {
    return toolReply(false, error instanceof Error ? error.message : String(error));
  } finally {
    over();
  }
}

function toolReply(success: boolean, text: string): unknown {
  return { contentItems: [{ type: 'inputText', text }], success };
}
