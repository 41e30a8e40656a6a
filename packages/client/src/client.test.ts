import type { ExecutionResource, StartResponse } from '@parley/core';
import { expect, test } from 'vitest';
import { ParleyClient } from './client.ts';
import { FakeControlPlane, sessionResource } from './control-plane.test.fake.ts';

const EXECUTION: ExecutionResource = {
  execution_id: 'exec_1',
  workflow_id: 'wf_1',
  target: 'support.lookup',
  kind: 'skill',
  status: 'succeeded',
  output: { ship_day: 'Friday' },
  created_at_ms: 1,
};

test('a session is started, spoken to, asked for a tool, and closed', async () => {
  await using peer = await FakeControlPlane.start();
  const started: StartResponse = {
    session_id: 'sess_1',
    workflow_id: 'wf_1',
    execution_id: 'exec_1',
    target: 'support.voice',
    provider: 'simulator',
    transport: 'websocket',
    model: 'm',
    voice: 'v',
    modalities: ['audio'],
    tools: [],
    client_token: 't',
    expires_at_ms: 1,
    urls: { realtime: '/r', events: '/e', tools: '/t', close: '/c', workflow: '/w' },
    created_at_ms: 1,
  };
  peer.route('POST /api/v1/sessions/support.voice/start', 'StartRequest', () => ({
    status: 201,
    body: started,
    is: 'StartResponse',
  }));
  peer.route('POST /api/v1/sessions/sess_1/say', 'SayRequest', () => ({
    body: { say_id: 'say_1', interrupted: false, spoken_text: 'Hello' },
    is: 'SayResponse',
  }));
  peer.route('POST /api/v1/sessions/sess_1/inject', 'InjectRequest', () => ({ status: 204 }));
  peer.route('POST /api/v1/sessions/sess_1/update', 'UpdateRequest', () => ({ body: sessionResource('sess_1') }));
  peer.route('POST /api/v1/sessions/sess_1/tools/lookup', 'ToolRequest', () => ({
    body: EXECUTION,
    is: 'ExecutionResource',
  }));
  peer.route('POST /api/v1/sessions/sess_1/close', 'CloseRequest', () => ({
    body: sessionResource('sess_1', { status: 'closed' }),
    is: 'SessionResource',
  }));

  const { sessions } = new ParleyClient({ url: peer.url });
  const session = await sessions.start('support.voice', { provider: 'simulator', metadata: { order: '42' } });
  expect(session.client_token).toBe('t');
  expect((await sessions.say('sess_1', 'Hello')).spoken_text).toBe('Hello');
  await sessions.inject('sess_1', 'The shop closes at six.', { respond: false });
  await sessions.update('sess_1', { voice: 'cedar' });
  const run = await sessions.tool('sess_1', 'lookup', {
    input: { order: '42' },
    target: 'support.lookup',
    callId: 'call_1',
  });
  expect(run.output).toEqual({ ship_day: 'Friday' });
  expect((await sessions.close('sess_1', 'done')).status).toBe('closed');
  expect(peer.asked.map((asked) => asked.body)).toEqual([
    { provider: 'simulator', metadata: { order: '42' } },
    { text: 'Hello' },
    { text: 'The shop closes at six.', respond: false },
    { voice: 'cedar' },
    { input: { order: '42' }, target: 'support.lookup', call_id: 'call_1' },
    { reason: 'done' },
  ]);
});

test('all() goes through every page', async () => {
  await using peer = await FakeControlPlane.start();
  peer.route('GET /api/v1/sessions', null, ({ query }) =>
    query.get('cursor') === null
      ? {
          body: { sessions: [sessionResource('sess_1'), sessionResource('sess_2')], next_cursor: 'c' },
          is: 'SessionList',
        }
      : { body: { sessions: [sessionResource('sess_3')] }, is: 'SessionList' },
  );
  const ids: string[] = [];
  for await (const session of new ParleyClient({ url: peer.url }).sessions.all({ status: 'live', limit: 2 })) {
    ids.push(session.session_id);
  }
  expect(ids).toEqual(['sess_1', 'sess_2', 'sess_3']);
  expect(peer.asked.map((asked) => asked.url)).toEqual([
    '/api/v1/sessions?status=live&limit=2',
    '/api/v1/sessions?status=live&limit=2&cursor=c',
  ]);
});

test('an execution knows its session, its parent and its limit', async () => {
  await using peer = await FakeControlPlane.start();
  peer.route('POST /api/v1/execute/support.lookup', 'ExecuteRequest', () => ({
    body: EXECUTION,
    is: 'ExecutionResource',
  }));
  const options = { sessionId: 'sess_1', parentExecutionId: 'exec_0', timeoutMs: 5000, idempotencyKey: 'once' };
  const run = await new ParleyClient({ url: peer.url }).executions.execute('support.lookup', { order: '42' }, options);
  expect(run.status).toBe('succeeded');
  expect(peer.asked[0]?.body).toEqual({ input: { order: '42' }, timeout_ms: 5000 });
  expect(peer.asked[0]?.headers).toMatchObject({
    'x-session-id': 'sess_1',
    'x-parent-execution-id': 'exec_0',
    'idempotency-key': 'once',
  });
});

test('wait() looks until an execution has ended', async () => {
  await using peer = await FakeControlPlane.start();
  peer.route('POST /api/v1/execute/async/support.lookup', 'ExecuteRequest', () => ({
    status: 202,
    body: { ...EXECUTION, status: 'queued' },
    is: 'ExecutionResource',
  }));
  let looks = 0;
  peer.route('GET /api/v1/executions/exec_1', null, () => {
    looks += 1;
    return { body: { ...EXECUTION, status: looks < 3 ? 'running' : 'succeeded' }, is: 'ExecutionResource' };
  });
  const { executions } = new ParleyClient({ url: peer.url });
  const queued = await executions.executeAsync('support.lookup');
  expect(queued.status).toBe('queued');
  expect((await executions.wait(queued.execution_id)).status).toBe('succeeded');
  expect(looks).toBe(3);
});

test('an execution is noted, cancelled, looked up in a batch and followed', async () => {
  await using peer = await FakeControlPlane.start();
  peer.route('POST /api/v1/executions/exec_1/notes', 'NoteRequest', () => ({ status: 204 }));
  peer.route('POST /api/v1/executions/exec_1/cancel', 'CancelRequest', () => ({
    body: { ...EXECUTION, status: 'cancelled' },
  }));
  peer.route('POST /api/v1/executions/batch-status', 'BatchStatusRequest', () => ({
    body: { executions: [EXECUTION], missing: ['exec_2'] },
    is: 'BatchStatusResponse',
  }));
  peer.route('GET /api/v1/executions/exec_1/events', null, () => (response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.end(
      'id: 1\nevent: execution.running\ndata: {}\n\nid: 2\nevent: execution.succeeded\ndata: {"terminal":true}\n\n',
    );
  });
  const { executions } = new ParleyClient({ url: peer.url });
  await executions.note('exec_1', 'looked at', { by: 'me' });
  expect((await executions.cancel('exec_1', 'enough')).status).toBe('cancelled');
  expect((await executions.batch(['exec_1', 'exec_2'])).missing).toEqual(['exec_2']);
  const types: string[] = [];
  for await (const event of executions.events('exec_1')) types.push(event.type);
  expect(types).toEqual(['execution.running', 'execution.succeeded']);
  expect(() => executions.batch([])).toThrow(/1 to 1000/);
});

test('agents, workflows and health are read', async () => {
  await using peer = await FakeControlPlane.start();
  const workflow = {
    workflow_id: 'wf_1',
    root_execution_id: 'exec_1',
    status: 'running',
    total_nodes: 0,
    max_depth: 0,
    nodes: [],
    edges: [],
  };
  peer.route('GET /api/v1/agents', null, () => ({ body: { agents: [] }, is: 'AgentList' }));
  peer.route('GET /api/v1/workflows/wf_1/dag', null, () => ({ body: workflow, is: 'WorkflowResource' }));
  peer.route('GET /api/v1/sessions/sess_1/workflow', null, () => ({ body: workflow, is: 'WorkflowResource' }));
  peer.route('GET /health', null, () => ({ body: { status: 'ok', version: '1.0.0' }, is: 'HealthResponse' }));
  const client = new ParleyClient({ url: `${peer.url}/` });
  expect(await client.agents.list()).toEqual([]);
  expect(await client.workflows.dag('wf_1')).toEqual(await client.sessions.workflow('sess_1'));
  expect((await client.health()).version).toBe('1.0.0');
});
