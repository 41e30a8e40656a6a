// Calls through a real TURN server that shares a secret with this one.

import type { CallResource, IceServer, StartResponse } from '@parley/core';
import { expect, test, vi } from 'vitest';
import { IceServers } from '../src/ice-servers.ts';
import { Caller } from './support/caller.ts';
import { NO_CHROMIUM, openChromium } from './support/chromium.ts';
import { Coturn, NO_COTURN } from './support/coturn.ts';
import { House } from './support/house.ts';
import { supportAgent } from './support/support-agent.ts';

vi.setConfig({ testTimeout: 60_000 });

const SECRET = 'a-secret-of-both-servers';
const BRIDGE = { transport: 'webrtc', media: 'bridge', modalities: ['audio', 'text'] } as const;

/** The name that stands in the log of the TURN server for everything that this caller asked. */
const nameOf = ({ ice_servers }: Pick<StartResponse, 'ice_servers'>): string => ice_servers?.[0]?.username as string;

const allocated = (name: string): string => `user <${name}>: incoming packet ALLOCATE processed, success`;

test('credentials of a start, of a look at the call and of the server itself each open the relay', async ({ skip }) => {
  skip(NO_COTURN !== null, NO_COTURN ?? '');
  await using coturn = await Coturn.open(SECRET);
  await using house = await House.open({ ice_servers: [{ urls: [coturn.url('udp')], secret: SECRET }] });
  await house.serve(supportAgent(BRIDGE).agent);
  const session = await house.start('support.voice');
  await using caller = await Caller.call(house.server.url, session, { media: { iceServers: session.ice_servers } });
  await caller.next('session.created');
  await coturn.wrote(allocated(nameOf(session)));
  const { connection_id } = await house.api.until(session.session_id, 'call.created');
  await coturn.wrote(new RegExp(allocated(`\\d+:${connection_id}`)));
  const looked = await house.api.get<CallResource>(`/api/v1/sessions/${session.session_id}/realtime-call`);
  await using other = await Caller.open({ iceServers: looked.ice_servers });
  await other.peer.offer();
  // Both end with the session, so the two names may be one.
  const times = nameOf(looked) === nameOf(session) ? 2 : 1;
  await coturn.wrote(new RegExp(`(?:${allocated(nameOf(looked))}[^]*){${times}}`));
  expect(coturn.log).not.toContain(SECRET);
});

test('the relay is closed to a credential that is over, and to one of another secret', async ({ skip }) => {
  skip(NO_COTURN !== null, NO_COTURN ?? '');
  await using coturn = await Coturn.open(SECRET);
  const from = (secret: string, until_ms: number): IceServer[] =>
    new IceServers([{ urls: [coturn.url('udp')], secret }], Date.now).for({ id: 'sess_x', until_ms });
  const hour_ms = 3_600_000;
  for (const iceServers of [from(SECRET, Date.now() - hour_ms), from('a-secret-of-nobody', Date.now() + hour_ms)]) {
    await using caller = await Caller.open({ iceServers });
    // Described when every server was asked.
    await caller.peer.offer();
    await coturn.wrote(`user <${iceServers[0]?.username}>: incoming packet message processed, error 401`);
  }
  expect(coturn.log).not.toContain('ALLOCATE processed, success');
});

test.for(['udp', 'tcp'] as const)('a page calls through the relay over %s', async (transport, { skip }) => {
  skip(NO_COTURN !== null, NO_COTURN ?? '');
  skip(NO_CHROMIUM !== null, NO_CHROMIUM ?? '');
  await using coturn = await Coturn.open(SECRET);
  await using house = await House.open({ ice_servers: [{ urls: [coturn.url(transport)], secret: SECRET }] });
  await house.serve(supportAgent(BRIDGE).agent);
  await using browser = await openChromium({}, new Int16Array(0));
  const session = await house.start('support.voice');
  const call = { url: `${house.server.url}${session.urls.realtime_offer}`, token: session.client_token };
  const way = await browser.page.evaluate(`(async ({ url, token, iceServers }) => {
    const line = new RTCPeerConnection({ iceServers, iceTransportPolicy: 'relay' });
    line.addTransceiver('audio');
    const channel = line.createDataChannel('oai-events');
    const created = new Promise((resolve) => channel.addEventListener('message', ({ data }) => resolve(JSON.parse(data).type)));
    await line.setLocalDescription();
    while (line.iceGatheringState !== 'complete') {
      await new Promise((resolve) => line.addEventListener('icegatheringstatechange', resolve, { once: true }));
    }
    const headers = { authorization: 'Bearer ' + token, 'content-type': 'application/sdp' };
    const answer = await fetch(url, { method: 'POST', headers, body: line.localDescription.sdp });
    await line.setRemoteDescription({ type: 'answer', sdp: await answer.text() });
    const first = await Promise.race([created, new Promise((resolve) => {
      line.addEventListener('connectionstatechange', () => line.connectionState === 'failed' && resolve('failed'));
    })]);
    // Statistics are a moment old; the way that is spoken over is in them soon.
    let mine;
    while (first === 'session.created' && mine === undefined) {
      const stats = await line.getStats();
      const transport = [...stats.values()].find(({ type }) => type === 'transport');
      mine = stats.get(stats.get(transport?.selectedCandidatePairId)?.localCandidateId);
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    line.close();
    return { first, kind: mine?.candidateType, over: mine?.relayProtocol };
  })(${JSON.stringify({ ...call, iceServers: session.ice_servers })})`);
  expect(way).toEqual({ first: 'session.created', kind: 'relay', over: transport });
  await coturn.wrote(allocated(nameOf(session)));
});
