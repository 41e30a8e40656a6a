// What goes wrong with calls over WebRTC, as the page before which somebody sits tells it.

import type { Fault } from '@parley/simulator';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest';
import { CallsHouse } from './calls.test.support.ts';
import { NO_CHROMIUM, TalkPage } from './chromium.test.support.ts';

// Time limits of WebRTC are those of its users: many seconds.
vi.setConfig({ testTimeout: 120_000 });

const ANSWER = 'Order 42 is a walnut desk. It ships on Friday.';
let house: CallsHouse;
beforeEach(({ skip }) => skip(NO_CHROMIUM !== null, NO_CHROMIUM ?? ''));
beforeAll(async () => void (house = await CallsHouse.open()));
afterEach(() => house.parts.simulator.faults.clear());
afterAll(() => house[Symbol.asyncDispose]());

// The address of nobody, in a network for documentation.
const NO_WAY = `
  const { setRemoteDescription } = RTCPeerConnection.prototype;
  RTCPeerConnection.prototype.setRemoteDescription = function ({ type, sdp }) {
    const nowhere = sdp.replace(/^(a=candidate:\\S+ \\d+ udp \\d+) \\S+ \\d+/gim, '$1 192.0.2.1 9');
    return setRemoteDescription.call(this, { type, sdp: nowhere });
  };
`;
// The channel of another connection, one that never comes about.
const NO_CHANNEL = `
  const create = RTCPeerConnection.prototype.createDataChannel;
  RTCPeerConnection.prototype.createDataChannel = function (label) {
    RTCPeerConnection.prototype.createDataChannel = create;
    create.call(this, label);
    return new RTCPeerConnection().createDataChannel(label);
  };
  0;
`;

const NO_WAY_WORDS = 'No way for the audio was found.';
const NO_CHANNEL_WORDS = 'The audio is connected, but the channel for events did not open.';
const REFUSED: readonly { name: string; target: string; page?: string; fault?: Fault; words: string }[] = [
  { name: 'no way from the page to the provider', target: 'calls.native', page: NO_WAY, words: NO_WAY_WORDS },
  { name: 'no way from the page to the bridge', target: 'calls.bridge', page: NO_WAY, words: NO_WAY_WORDS },
  {
    name: 'a provider that cannot be reached',
    target: 'calls.native',
    fault: { when: 'media', kind: 'no_ice' },
    words: NO_WAY_WORDS,
  },
  {
    name: 'a channel of the provider that never opens',
    target: 'calls.native',
    fault: { when: 'media', kind: 'no_channel' },
    words: NO_CHANNEL_WORDS,
  },
  {
    name: 'a channel to the bridge that never opens',
    target: 'calls.bridge',
    page: NO_CHANNEL,
    words: NO_CHANNEL_WORDS,
  },
  {
    name: 'a provider that refuses the call',
    target: 'calls.native',
    fault: { when: 'call', kind: 'status', status: 400, body: { error: { message: 'no room', type: 'x', code: 'y' } } },
    words: 'no room',
  },
];

for (const { name, target, page, fault, words } of REFUSED) {
  test(`${name} is told in words, and the session is over`, async () => {
    await using talk = await TalkPage.open(house.url);
    if (page) await talk.page.evaluate(page);
    if (fault) house.parts.simulator.faults.add(fault);
    await talk.page.locator('#call:enabled').waitFor();
    await talk.page.locator('#target').selectOption(target);
    await talk.page.locator('#call:enabled').click();
    await talk.page.locator('#problem', { hasText: words }).waitFor({ timeout: 30_000 });
    await talk.page.locator('#call:enabled', { hasText: 'Start call' }).waitFor();
    expect(await house.closed(await house.newest(target))).not.toBe('');
    expect(talk.complaints.filter((one) => !one.includes('status of'))).toEqual([]);
  });
}

test('a sideband that is cut comes back, and the call goes on with its tools', async () => {
  await using talk = await TalkPage.open(house.url);
  const session = await talk.startCall('calls.native');
  house.parts.simulator.faults.add({ when: 'sideband_send', kind: 'drop' });
  await talk.write('hello');
  await talk.said('agent', 'Hello. Which order do you ask about?');
  await vi.waitFor(
    async () => {
      const types = (await house.log(session)).map(({ type }) => type);
      expect(types.filter((type) => type === 'sideband.attached')).toHaveLength(2);
    },
    { timeout: 15_000 },
  );
  await talk.state('listening');
  const asked = house.asked.length;
  await talk.write('where is order 42');
  await talk.said('agent', ANSWER);
  expect(house.asked.slice(asked)).toEqual(['42']);
});

test('a call whose sideband cannot be had any more runs no tools, ends, and the page says why', async () => {
  await using talk = await TalkPage.open(house.url);
  const session = await talk.startCall('calls.native');
  const asked = house.asked.length;
  house.parts.simulator.faults.add({ when: 'sideband', kind: 'status', status: 500, times: Infinity });
  house.parts.simulator.faults.add({ when: 'sideband_send', kind: 'drop' });
  await talk.write('where is order 42');
  await talk.state('ended', 70_000);
  await talk.page.locator('#problem', { hasText: 'The call was lost: The server lost its own connection' }).waitFor();
  expect(house.asked.slice(asked)).toEqual([]);
  // A page could still come back to it, for as long as a session waits for a client.
  expect(await house.closed(session, 40_000)).not.toBe('');
});
