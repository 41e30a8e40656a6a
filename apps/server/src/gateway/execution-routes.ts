// /api/v1/execute, /api/v1/executions and the workflows that they make.

import {
  type BatchStatusRequest,
  type CancelRequest,
  type ExecuteRequest,
  isTerminal,
  type NoteRequest,
  ParleyError,
  TIMES,
} from '@parley/core';
import type { Executions } from '../executions/executions.ts';
import type { Sessions } from '../sessions/sessions.ts';
import type { ExecutionEvent } from '../executions/watchers.ts';
import { claimOf } from './claim.ts';
import { enumQuery, idHeaderOf, intQuery, type Route, type RouteContext } from './route.ts';
import type { EventStreams } from './sse.ts';

const STATUSES = ['queued', 'running', 'succeeded', 'failed', 'cancelled', 'timed_out', 'unknown'] as const;

const EXECUTE_HEADERS = {
  'Idempotency-Key': 'the same key and request again is the same execution',
  'X-Session-ID': 'the open session of which it is to be a part',
  'X-Parent-Execution-ID': 'the execution under which it is to stand',
  'X-Workflow-ID': 'the workflow that it belongs to; that of its parent where it has one',
  'X-Execution-ID': 'its id, where the caller chose one',
};

export function executionRoutes(executions: Executions, sessions: Sessions, streams: EventStreams): Route[] {
  const begin = async (context: RouteContext) => {
    const { params, body, headers, reply } = context;
    const target = params['target'] as string;
    const { input, timeout_ms } = body as ExecuteRequest;
    const session_id = idHeaderOf(headers, 'x-session-id', 'session');
    const session = session_id === undefined ? undefined : (await sessions.live(session_id)).resource();
    const parent_execution_id = idHeaderOf(headers, 'x-parent-execution-id', 'execution') ?? session?.execution_id;
    const parent = parent_execution_id === undefined ? undefined : await executions.get(parent_execution_id);
    const workflow_id = idHeaderOf(headers, 'x-workflow-id', 'workflow') ?? parent?.workflow_id;
    if (parent && workflow_id !== parent.workflow_id) {
      throw new ParleyError(
        'invalid_argument',
        `X-Workflow-ID ${workflow_id} is not the workflow of X-Parent-Execution-ID`,
      );
    }
    const execution = await executions.start(
      {
        target,
        input: input ?? {},
        workflow_id,
        parent_execution_id,
        session_id,
        execution_id: idHeaderOf(headers, 'x-execution-id', 'execution'),
        timeout_ms,
      },
      claimOf(context, 'execute', target),
    );
    reply.header('x-execution-id', execution.execution_id).header('x-workflow-id', execution.workflow_id);
    return { execution, wait_ms: timeout_ms ?? TIMES.execution_timeout_ms };
  };

  return [
    {
      method: 'POST',
      path: '/api/v1/execute/:target',
      summary: 'Run a function (agent.function) and wait for its end. 202 when it still runs after its timeout.',
      scope: 'start',
      headers: EXECUTE_HEADERS,
      request: 'ExecuteRequest',
      response: 'ExecutionResource',
      async handle(context) {
        const { execution, wait_ms } = await begin(context);
        const ended = await executions.wait(execution.execution_id, wait_ms + 1000);
        if (ended.status === 'queued' || ended.status === 'running') context.reply.code(202);
        return ended;
      },
    },
    {
      method: 'POST',
      path: '/api/v1/execute/async/:target',
      summary: 'Admit a function call; it is on disk when this answers.',
      scope: 'start',
      headers: EXECUTE_HEADERS,
      request: 'ExecuteRequest',
      response: 'ExecutionResource',
      status: 202,
      handle: async (context) => (await begin(context)).execution,
    },
    {
      method: 'GET',
      path: '/api/v1/executions',
      summary: 'Executions, newest first, without input and output.',
      scope: 'observe',
      query: {
        status: 'one of the statuses',
        workflow_id: '',
        session_id: '',
        target: '',
        limit: '1 to 200, default 50',
        cursor: 'from the page before',
      },
      handle: async ({ query }) =>
        executions.list(
          {
            status: enumQuery(query, 'status', STATUSES),
            workflow_id: query['workflow_id'],
            session_id: query['session_id'],
            target: query['target'],
            limit: intQuery(query, 'limit', 50, 1, 200),
            cursor: query['cursor'],
          },
          true,
        ),
    },
    {
      method: 'POST',
      path: '/api/v1/executions/batch-status',
      summary: 'Many executions at once.',
      scope: 'observe',
      request: 'BatchStatusRequest',
      response: 'BatchStatusResponse',
      handle: async ({ body }) => executions.batch((body as BatchStatusRequest).execution_ids),
    },
    {
      method: 'GET',
      path: '/api/v1/executions/:id',
      summary: 'One execution, with its notes.',
      scope: 'observe',
      response: 'ExecutionResource',
      handle: async ({ params }) => executions.get(params['id'] as string),
    },
    {
      method: 'GET',
      path: '/api/v1/executions/:id/events',
      summary: 'What happens to an execution, as an event stream, until it ends.',
      scope: 'observe',
      async handle({ params, reply }) {
        const execution_id = params['id'] as string;
        // Heard from before it is read: what happens between the two is told, and not missed.
        const early: ExecutionEvent[] = [];
        let tell = (event: ExecutionEvent): void => void early.push(event);
        const stop = executions.subscribe(execution_id, (event) => tell(event));
        try {
          const now = await executions.get(execution_id);
          const stream = streams.open(reply);
          void stream.closed.then(stop);
          let id = 1;
          stream.send({ id, type: `execution.${now.status}`, json: JSON.stringify(now) });
          if (isTerminal(now.status)) return stream.end();
          tell = (event) => {
            id += 1;
            stream.send({ id, type: event.type, json: JSON.stringify(event) });
            if (event.type !== 'execution.note' && isTerminal(event.execution.status)) stream.end();
          };
          for (const event of early) tell(event);
        } catch (error) {
          stop();
          throw error;
        }
      },
    },
    {
      method: 'POST',
      path: '/api/v1/executions/:id/cancel',
      summary: 'End an execution as cancelled, and what it called.',
      scope: 'start',
      request: 'CancelRequest',
      response: 'ExecutionResource',
      handle: async ({ params, body }) =>
        executions.cancel(params['id'] as string, (body as CancelRequest).reason ?? 'cancelled'),
    },
    {
      method: 'POST',
      path: '/api/v1/executions/:id/notes',
      summary: 'Put a note on an execution.',
      scope: 'start',
      request: 'NoteRequest',
      async handle({ params, body }) {
        const { text, data } = body as NoteRequest;
        await executions.note(params['id'] as string, text, data);
      },
    },
    {
      method: 'GET',
      path: '/api/v1/workflows/:id/dag',
      summary: 'The tree of executions of a workflow.',
      scope: 'observe',
      response: 'WorkflowResource',
      handle: async ({ params }) => executions.workflow(params['id'] as string),
    },
    {
      method: 'GET',
      path: '/api/v1/sessions/:id/workflow',
      aliases: ['/api/v1/session-instances/:id/workflow'],
      summary: 'The workflow of which a session is the root.',
      scope: 'observe',
      token: true,
      response: 'WorkflowResource',
      handle: async ({ params }) => executions.workflow((await sessions.resource(params['id'] as string)).workflow_id),
    },
  ];
}
