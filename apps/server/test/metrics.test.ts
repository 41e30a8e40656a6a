// What /health, /live, /ready, /api/v1/status and /metrics tell.

import { expect, test } from 'vitest';
import { House } from './support/house.ts';
import { supportAgent } from './support/support-agent.ts';

test('health tells how the server is, and status what it has', async () => {
  await using house = await House.open();
  await house.serve(supportAgent().agent);
  await house.start('support.voice');
  for (const path of ['/health', '/live', '/ready']) {
    expect(await house.api.get(path)).toEqual({ status: 'ok', version: expect.any(String) });
  }
  expect(await house.api.get('/api/v1/status')).toMatchObject({
    checks: { providers: ['simulator'], sessions: 1, agents: 1, executions: 0 },
  });
  expect(await house.api.get('/api/v1/agents/support')).toMatchObject({
    status: 'connected',
    sessions: [{ name: 'voice' }],
  });
});

test('metrics count what happened, and name nobody', async () => {
  await using house = await House.open();
  await house.serve(supportAgent().agent);
  const { session, client } = await house.call('support.voice');
  client.ask('order 1');
  await client.answer();
  await house.api.refused('POST', `/api/v1/sessions/${session.session_id}/tools/refund`, {});
  const open = (await house.api.call<string>('GET', '/metrics')).body;
  expect(open).toContain('parley_sessions_open 1');
  expect(open).toContain('parley_sockets_open 2');
  expect(open).toContain('parley_tool_calls_total{status="succeeded"} 1');
  expect(open).toContain('parley_tool_calls_total{status="rejected"} 1');
  expect(open).toContain('parley_executions_ended_total{status="succeeded"} 1');
  expect(open).toContain('parley_http_errors_total{code="permission_denied"} 1');
  client.socket.close(1000);
  await house.api.until(session.session_id, 'session.closed');
  const answer = await house.api.call<string>('GET', '/metrics');
  expect(answer.headers.get('content-type')).toMatch(/^text\/plain/);
  expect(answer.body).toContain('parley_sessions_open 0');
  expect(answer.body).toContain('parley_sessions_started_total{provider="simulator"} 1');
  expect(answer.body).toContain('parley_sessions_closed_total{reason="client_left"} 1');
  expect(answer.body).toMatch(/parley_frames_total\{direction="in"\} [1-9]/);
  expect(answer.body).toMatch(/parley_frames_total\{direction="out"\} [1-9]/);
  expect(answer.body).not.toMatch(/sess_|exec_|Monday/);
});
