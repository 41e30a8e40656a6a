// Start, list, read, close: the life of a session over HTTP.

import type { SessionList, SessionResource, StartResponse, WorkflowResource } from '@parley/core';
import { expect, test } from 'vitest';
import { House } from './support/house.ts';
import { supportAgent } from './support/support-agent.ts';

test('a session is started, listed, read and closed', async () => {
  await using house = await House.open();
  const { api } = house;
  await house.serve(supportAgent().agent);
  const answer = await api.call<StartResponse>('POST', '/api/v1/sessions/support.voice/start', {
    metadata: { customer: '7' },
  });
  expect(answer.status).toBe(201);
  const { session_id, workflow_id, tools } = answer.body;
  expect(answer.headers.get('location')).toBe(`/api/v1/sessions/${session_id}`);
  expect(answer.headers.get('x-session-id')).toBe(session_id);
  expect(answer.headers.get('x-workflow-id')).toBe(workflow_id);
  expect(tools.map((tool) => tool.name)).toEqual(['find_order', 'slow', 'broken']);

  const listed = await api.get<SessionList>('/api/v1/sessions?status=starting&target=support.voice');
  expect(listed.sessions.map((one) => one.session_id)).toEqual([session_id]);
  expect(await api.get(`/api/v1/sessions/${session_id}`)).toMatchObject({
    status: 'starting',
    metadata: { customer: '7' },
  });

  await house.join(answer.body);
  await api.until(session_id, 'provider.connected');
  const live = await api.get<SessionList>('/api/v1/sessions?status=live');
  expect(live.sessions.map((one) => one.session_id)).toEqual([session_id]);
  expect((await api.get<SessionList>('/api/v1/sessions?status=starting')).sessions).toEqual([]);

  await api.post(`/api/v1/sessions/${session_id}/close`, { reason: 'enough' });
  await api.until(session_id, 'session.closed');
  const closed = await api.get<SessionResource>(`/api/v1/sessions/${session_id}`);
  expect(closed).toMatchObject({ status: 'closed', close_reason: 'enough' });
  expect(closed.closed_at_ms).toBeGreaterThanOrEqual(closed.created_at_ms);
  // To end what has ended is no mistake, and changes nothing.
  expect(await api.post(`/api/v1/sessions/${session_id}/close`, { reason: 'again' })).toEqual(closed);
  expect((await api.get<SessionList>('/api/v1/sessions?status=closed')).sessions).toEqual([closed]);
});

test('a session is the root of its workflow, and its root ends with it', async () => {
  await using house = await House.open();
  await house.serve(supportAgent().agent);
  const { session_id, execution_id } = await house.start('support.voice');
  await house.api.post(`/api/v1/sessions/${session_id}/tools/find_order`, { input: { order: '1' } });
  await house.api.post(`/api/v1/sessions/${session_id}/close`);
  await house.api.until(session_id, 'session.closed');
  const workflow = await house.api.get<WorkflowResource>(`/api/v1/sessions/${session_id}/workflow`);
  expect(workflow).toMatchObject({ root_execution_id: execution_id, session_id, status: 'succeeded', total_nodes: 2 });
  expect(workflow.nodes).toMatchObject([
    { execution_id, kind: 'session', status: 'succeeded', reason: 'closed', depth: 0 },
    { parent_execution_id: execution_id, target: 'support.find_order', status: 'succeeded', depth: 1 },
  ]);
  expect(await house.api.get(`/api/v1/workflows/${workflow.workflow_id}/dag`)).toEqual(workflow);
});

test('pages of sessions follow each other without gaps', async () => {
  await using house = await House.open();
  await house.serve(supportAgent().agent);
  const ids: string[] = [];
  for (let i = 0; i < 5; i += 1) ids.unshift((await house.start('support.voice')).session_id);
  const seen: string[] = [];
  let cursor = '';
  do {
    const page = await house.api.get<SessionList>(`/api/v1/sessions?limit=2${cursor}`);
    seen.push(...page.sessions.map((one) => one.session_id));
    cursor = page.next_cursor === undefined ? '' : `&cursor=${encodeURIComponent(page.next_cursor)}`;
  } while (cursor !== '');
  expect(seen).toEqual(ids);
});

test('a start says what it cannot do', async () => {
  await using house = await House.open();
  await house.serve(supportAgent().agent);
  const refused = (target: string, body?: unknown) =>
    house.api.refused('POST', `/api/v1/sessions/${target}/start`, body ?? {});
  expect(await refused('nobody.voice')).toMatchObject({ status: 404, code: 'not_found' });
  expect(await refused('support.nothing')).toMatchObject({ status: 404, code: 'not_found' });
  expect(await refused('support')).toMatchObject({ status: 400, code: 'invalid_argument' });
  expect(await refused('support.voice', { provider: 'openai', transport: 'websocket' })).toMatchObject({
    code: 'invalid_argument',
    message: expect.stringContaining('requested provider=openai'),
  });
  expect(await refused('support.voice', { provider: 'acme' })).toMatchObject({
    code: 'invalid_argument',
    message: expect.stringContaining(
      'Known providers: azure_openai, gemini, openai, openai_compatible, openai_live, openrouter, simulator, xai',
    ),
  });
  expect(
    await refused('support.voice', { metadata: Object.fromEntries(Array.from({ length: 65 }, (_, i) => [i, i])) }),
  ).toMatchObject({ code: 'invalid_argument' });
});

test('a provider that is not configured is said at the start', async () => {
  await using house = await House.open({ providers: {} });
  await house.serve(supportAgent().agent);
  expect(await house.api.refused('POST', '/api/v1/sessions/support.voice/start', {})).toMatchObject({
    status: 400,
    code: 'failed_precondition',
  });
});

test('a session that has gone past max_concurrent is refused, and room comes back', async () => {
  await using house = await House.open();
  await house.serve(supportAgent({ limits: { maxConcurrent: 1 } }).agent);
  const first = await house.start('support.voice');
  const full = await house.api.refused('POST', '/api/v1/sessions/support.voice/start', {});
  expect(full).toMatchObject({
    status: 429,
    code: 'resource_exhausted',
    retryable: true,
    details: { limit: 1, current: 1 },
  });
  const answer = await house.api.call('POST', '/api/v1/sessions/support.voice/start', {});
  expect(answer.headers.get('retry-after')).toBe('2');
  await house.api.post(`/api/v1/sessions/${first.session_id}/close`);
  await house.api.until(first.session_id, 'session.closed');
  await house.start('support.voice');
});

test('a session that nobody joins ends, with a reason', async () => {
  await using house = await House.open();
  await house.serve(supportAgent({ limits: { idleTimeoutMs: 1000 } }).agent);
  const { session_id } = await house.start('support.voice');
  expect(await house.api.until(session_id, 'session.closed')).toMatchObject({ reason: 'idle_timeout' });
});

test('the routes answer by their other names too', async () => {
  await using house = await House.open();
  await house.serve(supportAgent().agent);
  const { session_id } = await house.api.post<StartResponse>('/api/v1/session-targets/support.voice/start', {});
  const path = `/api/v1/session-instances/${session_id}`;
  expect(await house.api.get(path)).toMatchObject({ session_id, status: 'starting' });
  await house.api.post(`${path}/tools/find_order`, { input: { order: '1' } });
  expect(await house.api.get(`${path}/workflow`)).toMatchObject({ total_nodes: 2 });
  expect(await house.api.get(`${path}/events?after=1`)).toMatchObject({ has_more: false });
  await house.api.post(`${path}/close`);
  await house.api.until(session_id, 'session.closed');
});
