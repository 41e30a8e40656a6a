// What a browser holds opens one thing. Every route of the description is tried, and every socket.

import type { StartResponse } from '@parley/core';
import OpenAI from 'openai';
import { expect, test } from 'vitest';
import { Client } from './support/client.ts';
import { House } from './support/house.ts';
import { supportAgent } from './support/support-agent.ts';

const KEY = 'a-key-of-thirty-two-characters-0';
/** What a client does in its own session. */
const OF_A_SESSION = [
  'GET /api/v1/sessions/{id}',
  'GET /api/v1/sessions/{id}/events',
  'GET /api/v1/sessions/{id}/workflow',
  'POST /api/v1/sessions/{id}/tools/{tool}',
  'POST /api/v1/sessions/{id}/close',
  'POST /api/v1/sessions/{id}/turns',
  'POST /api/v1/sessions/{id}/realtime-offer',
  'GET /api/v1/sessions/{id}/realtime-call',
  'DELETE /api/v1/sessions/{id}/realtime-call',
];
const PUBLIC = ['GET /health', 'GET /live', 'GET /ready', 'GET /api/v1/openapi.json'];

/** Status of every route that is described, with this credential and this id. */
async function statuses(house: House, credential: string, id: string): Promise<Map<string, number>> {
  const { paths } = await house.api.description();
  const found = new Map<string, number>();
  for (const [path, methods] of Object.entries(paths)) {
    for (const method of Object.keys(methods)) {
      const url = house.server.url + path.replace('{id}', id).replace(/\{[a-z_]+\}/g, 'find_order');
      const response = await fetch(url, {
        method,
        headers: { authorization: `Bearer ${credential}`, 'content-type': 'application/json' },
        ...(method === 'get' ? {} : { body: '{}' }),
      });
      await response.body?.cancel();
      found.set(`${method.toUpperCase()} ${path}`, response.status);
    }
  }
  return found;
}

/** Routes that did more than to refuse the credential. */
function opened(found: Map<string, number>): string[] {
  return [...found].filter(([, status]) => status !== 401 && status !== 403).map(([route]) => route);
}

test('a session token opens what a client does in its own session, on no route of another, and no door', async () => {
  await using house = await House.open({ keys: [KEY] });
  await house.serve(supportAgent().agent);
  const start = () => house.api.post<StartResponse>('/api/v1/sessions/support.voice/start', {});
  const [mine, other] = [await start(), await start()];
  expect(opened(await statuses(house, mine.client_token, other.session_id)).sort()).toEqual([...PUBLIC].sort());
  const own = opened(await statuses(house, mine.client_token, mine.session_id)).filter((one) => !PUBLIC.includes(one));
  expect(own.filter((one) => !OF_A_SESSION.includes(one))).toEqual([]);
  expect(own).toContain('POST /api/v1/sessions/{id}/close');

  const headers = { authorization: `Bearer ${mine.client_token}` };
  for (const path of ['/v1/realtime?model=support.voice', '/v1/realtime', '/api/v1/agent-link']) {
    await using client = new Client(house.server.url + path, path.includes('agent') ? ['parley.agent.v1'] : [], {
      headers,
    });
    const refused = await Promise.race([client.opened.then(() => client.closed), client.closed]).catch(() => ({
      code: 1006,
    }));
    expect([1006, 4507]).toContain(refused.code);
  }
  await using foreign = Client.dial(house.server.url, { ...other, client_token: mine.client_token });
  expect((await foreign.closed).code).toBe(4507);
  const { sessions } = await house.api.get<{ sessions: unknown[] }>('/api/v1/sessions');
  expect(sessions).toHaveLength(2);
});

test('a client secret opens calls of its target, and no route besides', async () => {
  await using house = await House.open({ keys: [KEY] });
  await house.serve(supportAgent().agent);
  const openai = new OpenAI({ apiKey: KEY, baseURL: `${house.server.url}/v1` });
  const { value } = await openai.realtime.clientSecrets.create({
    session: { type: 'realtime', model: 'support.voice' },
  });
  const session = await house.api.post<StartResponse>('/api/v1/sessions/support.voice/start', {});
  const routes = opened(await statuses(house, value, session.session_id));
  expect(routes.sort()).toEqual([...PUBLIC, 'POST /v1/realtime/calls'].sort());
  await using joined = Client.dial(house.server.url, { ...session, client_token: value });
  expect((await joined.closed).code).toBe(4507);
});

test('on a server without keys a client secret is still no more than that', async () => {
  await using house = await House.open();
  await house.serve(supportAgent().agent);
  const openai = new OpenAI({ apiKey: 'anything', baseURL: `${house.server.url}/v1` });
  const { value } = await openai.realtime.clientSecrets.create({
    session: { type: 'realtime', model: 'support.voice' },
  });
  expect(await house.api.as(value).refused('GET', '/api/v1/sessions')).toMatchObject({ code: 'permission_denied' });
  expect(await house.api.as('ek_unknown').refused('GET', '/api/v1/sessions')).toMatchObject({
    code: 'unauthenticated',
  });
});
