// Offers and what is around them: bodies, refusals, tokens, origins. The calls themselves are in the live tests.

import { createHmac } from 'node:crypto';
import { type CallResource, type IceServer, LIMITS } from '@parley/core';
import { openMediaPeer } from '@parley/media';
import { expect, test } from 'vitest';
import { TEXT, House } from './support/house.ts';
import { supportAgent } from './support/support-agent.ts';

const BRIDGE = { transport: 'webrtc', media: 'bridge', modalities: ['audio', 'text'] } as const;

async function anOffer(): Promise<string> {
  const peer = await openMediaPeer();
  peer.openChannel('oai-events');
  const offer = await peer.offer();
  peer.close();
  return offer;
}

test('an offer is SDP or JSON, and its answer what was sent or asked for', async () => {
  await using house = await House.open();
  await house.serve(supportAgent(BRIDGE).agent);
  const { session_id, urls } = await house.start('support.voice');
  const path = urls.realtime_offer ?? '';
  expect(path).toBe(`/api/v1/sessions/${session_id}/realtime-offer`);
  const sdp = await anOffer();
  const raw = await house.api.call<string>('POST', path, sdp, { 'content-type': 'application/sdp' });
  expect(raw.status).toBe(201);
  expect(raw.headers.get('content-type')).toMatch(/^application\/sdp/);
  expect(raw.headers.get('location')).toBe(`/api/v1/sessions/${session_id}/realtime-call`);
  expect(raw.body).toMatch(/^v=0\r\n/);
  const json = await house.api.call<{ answer_sdp: string }>('POST', path, { sdp: await anOffer() });
  expect(json.status).toBe(201);
  expect(json.body.answer_sdp).toMatch(/^v=0\r\n/);
  const asked = await house.api.call<{ answer_sdp: string }>('POST', path, await anOffer(), {
    'content-type': 'application/sdp; charset=utf-8',
    accept: 'application/json',
  });
  expect(asked.body.answer_sdp).toMatch(/^v=0\r\n/);
  expect(await house.api.get(`/api/v1/sessions/${session_id}`)).toMatchObject({ media: 'bridge', transport: 'webrtc' });
});

test('what is no offer is refused, and says what was expected', async () => {
  await using house = await House.open();
  await house.serve(supportAgent(BRIDGE).agent);
  const { session_id, urls } = await house.start('support.voice');
  const path = urls.realtime_offer ?? '';
  const offered = (body: string, type = 'application/sdp') =>
    house.api.refused('POST', path, body, { 'content-type': type });
  for (const body of ['', 'hello', 'v=1\r\n', 'v=0\r\n', 'v=0\r\nm=video 9 RTP/AVP 96\r\n', '{"sdp":"v=0"}']) {
    expect({ body, ...(await offered(body)) }).toMatchObject({ body, status: 400, code: 'invalid_argument' });
  }
  expect(await offered('{"offer":"v=0"}', 'application/json')).toMatchObject({ code: 'invalid_argument' });
  expect(await offered('v=0\r\n', 'text/plain')).toMatchObject({
    code: 'invalid_argument',
    message: expect.stringContaining('application/sdp or application/json'),
  });
  expect(await offered(`v=0\r\n${'a=x\r\n'.repeat(LIMITS.offer_bytes_max / 4)}`)).toMatchObject({
    status: 429,
    code: 'resource_exhausted',
    retryable: false,
  });
  // Without its data channel a bridged call could hear nothing of what happens.
  const silent = (await anOffer()).replace(/^m=application[\s\S]*$/m, '');
  expect(await offered(silent)).toMatchObject({
    code: 'invalid_argument',
    message: expect.stringContaining('channel'),
  });
  expect(await offered((await anOffer()).replace('opus/48000', 'lyra/48000'))).toMatchObject({
    code: 'invalid_argument',
    message: expect.stringContaining('Opus'),
  });
  const failed = (await house.api.events(session_id)).filter(({ type }) => type === 'call.failed');
  expect(failed).toHaveLength(1);
  expect(
    await house.api.refused('POST', `${path}?events=all`, await anOffer(), { 'content-type': 'application/sdp' }),
  ).toMatchObject({ code: 'invalid_argument' });
});

test('a session of another transport takes no offer, and one of WebRTC no socket', async () => {
  await using house = await House.open();
  const support = supportAgent(TEXT);
  support.agent.session('call', { provider: 'simulator', ...BRIDGE });
  await house.serve(support.agent);
  const words = await house.start('support.voice');
  expect(words.urls).not.toHaveProperty('realtime_offer');
  for (const [method, route] of [
    ['POST', 'realtime-offer'],
    ['GET', 'realtime-call'],
    ['DELETE', 'realtime-call'],
  ] as const) {
    const body = method === 'POST' ? { sdp: await anOffer() } : undefined;
    expect(await house.api.refused(method, `/api/v1/sessions/${words.session_id}/${route}`, body)).toMatchObject({
      code: 'failed_precondition',
      details: { transport: 'websocket' },
    });
  }
  const call = await house.start('support.call');
  await expect(house.join(call)).rejects.toThrow('4509');
  await house.api.post(`/api/v1/sessions/${call.session_id}/close`);
  expect(await house.api.refused('POST', call.urls.realtime_offer ?? '', { sdp: await anOffer() })).toMatchObject({
    code: 'failed_precondition',
  });
});

test('calls that end here are bounded', async () => {
  await using house = await House.open({ limits: { bridges_max: 1 } });
  await house.serve(supportAgent(BRIDGE).agent);
  const [one, other] = [await house.start('support.voice'), await house.start('support.voice')];
  await house.api.post(one.urls.realtime_offer ?? '', { sdp: await anOffer() });
  expect(await house.api.refused('POST', other.urls.realtime_offer ?? '', { sdp: await anOffer() })).toMatchObject({
    code: 'resource_exhausted',
    details: { limit: 1, current: 1 },
  });
});

test('ICE servers are told to whoever may call, and to nobody else', async () => {
  const ice_servers = [
    { urls: ['stun:127.0.0.1:3478'] },
    { urls: ['turn:127.0.0.1:3478?transport=udp'], username: 'parley', credential: 'turn-secret' },
  ];
  await using house = await House.open({ keys: ['an-admin-key-of-the-test'], ice_servers });
  await house.serve(supportAgent(BRIDGE).agent);
  const session = await house.start('support.voice');
  expect(session.ice_servers).toEqual(ice_servers);
  const path = `/api/v1/sessions/${session.session_id}`;
  const page = house.api.as(session.client_token);
  const call = await page.call('GET', `${path}/realtime-call`);
  expect(call.body).toMatchObject({ status: 'none', media: 'bridge', ice_servers });
  expect(call.headers.get('cache-control')).toBe('no-store');
  expect(JSON.stringify(await page.get(path))).not.toContain('turn-secret');
  expect(JSON.stringify(await house.api.events(session.session_id))).not.toContain('turn-secret');
});

test('credentials that are made of a secret are made for each session and each look, and the secret stays here', async () => {
  const secret = 'a-secret-of-both-servers';
  const ice_servers = [{ urls: ['turn:127.0.0.1:9?transport=udp'], secret, ttl_ms: 600_000 }];
  await using house = await House.open({ ice_servers });
  await house.serve(supportAgent(BRIDGE).agent);
  const key = { 'idempotency-key': 'one-start' };
  const before_s = Date.now() / 1000;
  const [one, again, other] = [
    await house.start('support.voice', {}, key),
    await house.start('support.voice', {}, key),
    await house.start('support.voice'),
  ];
  const path = `/api/v1/sessions/${one.session_id}`;
  const looked = await house.api.as(one.client_token).get<CallResource>(`${path}/realtime-call`);
  for (const { session_id, ice_servers: told } of [one, again, other, looked]) {
    expect(told).toEqual([{ urls: ['turn:127.0.0.1:9?transport=udp'], ...made(secret, told) }]);
    const [ends_s, id] = told?.[0]?.username?.split(':') ?? [];
    expect(id).toBe(session_id);
    expect(Number(ends_s)).toBeGreaterThanOrEqual(before_s + 600);
    expect(Number(ends_s)).toBeLessThan(Date.now() / 1000 + 602);
  }
  expect(again.session_id).toBe(one.session_id);
  expect(other.ice_servers).not.toEqual(one.ice_servers);
  const answers = [one, looked, await house.api.get(path), await house.api.events(one.session_id)];
  expect(JSON.stringify([answers, await house.api.description()])).not.toContain(secret);
});

/** What a TURN server with the same secret would reckon for the name that was told. */
function made(secret: string, told: readonly IceServer[] | undefined): Pick<IceServer, 'username' | 'credential'> {
  const username = told?.[0]?.username as string;
  return { username, credential: createHmac('sha1', secret).update(username).digest('base64') };
}

test('a session token opens the routes of its session, and no other route at all', async () => {
  await using house = await House.open({ keys: ['an-admin-key-of-the-test'] });
  await house.serve(supportAgent(BRIDGE).agent);
  const [own, other] = [await house.start('support.voice'), await house.start('support.voice')];
  const page = house.api.as(own.client_token);
  const { paths } = await house.api.description();
  const opened: string[] = [];
  let routes = 0;
  for (const [path, methods] of Object.entries(paths as Record<string, Record<string, { security?: unknown[] }>>)) {
    for (const [method, { security }] of Object.entries(methods)) {
      // Public ones show nothing about anybody.
      if (security?.length === 0) continue;
      const at = (id: string): Promise<{ status: number; body: unknown }> =>
        page.call(
          method.toUpperCase() as 'GET',
          path.replace('{id}', id).replace('{tool}', 'find_order').replace('{target}', 'support.find_order'),
          method === 'post' ? { broken: true } : undefined,
        );
      routes += 1;
      expect((await at(other.session_id)).status, `${method} ${path} of another session`).toBe(403);
      if ((await at(own.session_id)).status !== 403) opened.push(`${method} ${path}`);
    }
  }
  expect(routes).toBeGreaterThan(20);
  const session = '/api/v1/sessions/{id}';
  expect(opened.sort()).toEqual(
    [
      `delete ${session}/realtime-call`,
      `get ${session}`,
      `get ${session}/events`,
      `get ${session}/realtime-call`,
      `get ${session}/workflow`,
      `post ${session}/close`,
      `post ${session}/realtime-offer`,
      `post ${session}/tools/{tool}`,
      `post ${session}/turns`,
    ].sort(),
  );
});

test('pages of other origins are refused until they are configured, and then may read Location', async () => {
  const origin = 'https://app.example.org';
  for (const allowed_origins of [[], [origin]]) {
    await using house = await House.open({ allowed_origins });
    await house.serve(supportAgent(BRIDGE).agent);
    const session = await house.start('support.voice');
    const answer = await house.api.call(
      'POST',
      session.urls.realtime_offer ?? '',
      { sdp: await anOffer() },
      { origin },
    );
    expect(answer.status).toBe(allowed_origins.length === 0 ? 403 : 201);
    const exposed = answer.headers.get('access-control-expose-headers');
    expect(exposed?.includes('location') ?? false).toBe(allowed_origins.length > 0);
    const preflight = await fetch(`${house.server.url}${session.urls.realtime_offer ?? ''}`, {
      method: 'OPTIONS',
      headers: { origin, 'access-control-request-method': 'POST', 'access-control-request-headers': 'authorization' },
    });
    expect(preflight.headers.get('access-control-allow-origin')).toBe(allowed_origins.length === 0 ? null : origin);
  }
});
