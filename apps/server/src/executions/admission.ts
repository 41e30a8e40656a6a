// May this execution be? Everything that can be said before it is written down.

import {
  type ExecutionResource,
  type FunctionDeclaration,
  inputProblem,
  newId,
  ParleyError,
  parseTarget,
} from '@parley/core';
import type { StartExecution } from '../agents/ports.ts';
import type { Workforce } from '../agents/work.ts';
import type { Store } from '../store/store.ts';
import type { Entry } from './entry.ts';
import type { ExecutionLimits } from './limits.ts';

/** @throws ParleyError `invalid_argument`, `not_found`, `unavailable`. */
export function findFunction(workforce: Workforce, target: string): FunctionDeclaration {
  const { agent, name } = parseTarget(target);
  const presence = workforce.presence(agent);
  if (presence === 'unknown') throw new ParleyError('not_found', `no agent '${agent}' is registered`);
  const declaration = workforce.remembered(agent, name);
  if (!declaration) throw new ParleyError('not_found', `agent '${agent}' has no function '${name}'`);
  // One that went a moment ago is waited for; a row for one that is gone would only time out.
  if (presence === 'gone') {
    throw new ParleyError('unavailable', `agent '${agent}' is not connected`, { retry_after_ms: 1000 });
  }
  return declaration;
}

/** The input as JSON text. @throws ParleyError `invalid_argument`, `resource_exhausted`. */
export function checkInput(
  declaration: FunctionDeclaration,
  target: string,
  input: unknown,
  limits: ExecutionLimits,
): string {
  const problem = inputProblem(declaration.input_schema, input);
  if (problem !== null)
    throw new ParleyError('invalid_argument', `the input of ${target} does not fit its schema: ${problem}`);
  const text = JSON.stringify(input);
  // A UTF-16 unit is at most three bytes: most inputs need no counting.
  const { payload_bytes_max } = limits;
  if (text.length * 3 > payload_bytes_max && Buffer.byteLength(text) > payload_bytes_max) {
    const message = `the input of ${target} may have at most ${payload_bytes_max} bytes as JSON, got ${Buffer.byteLength(text)}`;
    throw new ParleyError('resource_exhausted', message, { retryable: false });
  }
  return text;
}

/** Ids may come from a caller: from a header, or from whoever wrote the intent before. */
const GIVEN_ID = /^[\w.:-]{1,128}$/;

/** @throws ParleyError `invalid_argument`. */
export function checkIds(request: StartExecution): void {
  for (const field of ['execution_id', 'workflow_id', 'parent_execution_id', 'session_id'] as const) {
    const id = request[field];
    if (id === undefined || GIVEN_ID.test(id)) continue;
    const message = `${field} must have 1 to 128 letters, digits or '_.:-'`;
    throw new ParleyError('invalid_argument', message, { details: { path: field } });
  }
}

export interface Family {
  workflow_id: string;
  parent_execution_id: string | undefined;
  session_id: string | undefined;
  parent: Entry | null;
}

/**
 * The workflow that it belongs to. A parent in memory says so itself; of another one the caller or the store does.
 * @throws ParleyError `not_found`, `invalid_argument`, `aborted`, `resource_exhausted` (too deep).
 */
export async function findFamily(
  request: StartExecution,
  parent: Entry | undefined,
  store: Store,
  limits: ExecutionLimits,
): Promise<Family> {
  const { parent_execution_id, session_id } = request;
  if (parent) {
    refuseEnded(parent);
    if (parent.depth + 1 >= limits.depth_max) {
      const message = `a workflow may be ${limits.depth_max} executions deep`;
      throw new ParleyError('resource_exhausted', message, { retryable: false, details: { limit: limits.depth_max } });
    }
    return family(request, parent.resource, parent);
  }
  if (parent_execution_id === undefined || request.workflow_id !== undefined) {
    const workflow_id = request.workflow_id ?? newId('workflow');
    return { workflow_id, parent_execution_id, session_id, parent: null };
  }
  const stored = await store.execution(parent_execution_id);
  if (!stored) throw new ParleyError('not_found', `no execution ${parent_execution_id} to be the parent`);
  return family(request, stored, null);
}

function family(request: StartExecution, of: ExecutionResource, parent: Entry | null): Family {
  if (request.workflow_id !== undefined && request.workflow_id !== of.workflow_id) {
    const message = `execution ${of.execution_id} belongs to workflow ${of.workflow_id}, not to ${request.workflow_id}`;
    throw new ParleyError('invalid_argument', message);
  }
  return {
    workflow_id: of.workflow_id,
    parent_execution_id: of.execution_id,
    session_id: request.session_id ?? of.session_id,
    parent,
  };
}

/** A cancelled or timed out execution calls nobody any more. */
export function refuseEnded(parent: Entry): void {
  if (parent.phase.kind !== 'ending') return;
  const { status } = parent.phase.end;
  if (status !== 'cancelled' && status !== 'timed_out') return;
  throw new ParleyError('aborted', `the calling execution ${parent.id} ended as ${status}`, { retryable: false });
}
