// Microphones and loudspeakers of calls over WebRTC, and what becomes of them.

import { expect, test } from 'vitest';
import { complaintsOf } from './call/page.test.support.ts';
import { HELLO, start, state, told, withBrowser } from './peer.test.support.ts';

const farEnd = withBrowser();

test('microphone and loudspeaker can be changed in the middle of a call', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  await start(page);
  await far.say(HELLO);
  await state(page, 'listening');
  const devices = await told<{
    microphones: { id: string; label: string; chosen: boolean }[];
    speakers: { id: string }[];
  }>(page, 'call.devices()');
  expect(devices.microphones.filter(({ chosen }) => chosen)).toHaveLength(1);
  const other = devices.microphones.find(({ chosen }) => !chosen);
  await page.evaluate(`call.setMicrophone('${other?.id}')`);
  const chosen = await told<string>(
    page,
    'call.devices().then(({ microphones }) => microphones.find((one) => one.chosen).id)',
  );
  expect(chosen).toBe(other?.id);
  expect(await far.hears(1500)).toBeGreaterThan(0.02);
  const problem = `call.setMicrophone('gone').catch((error) => [error.code, error.details.problem])`;
  expect(await told(page, problem)).toEqual(['not_found', 'microphone_missing']);
  expect(await told(page, `call.setSpeaker('gone').catch((error) => [error.code, error.details.problem])`)).toEqual([
    'not_found',
    'speaker_failed',
  ]);
  if (devices.speakers[0]) await page.evaluate(`call.setSpeaker('${devices.speakers.at(-1)?.id}')`);
  await page.evaluate('call.hangUp()');
});

test('a microphone that is unplugged is replaced, and without another one the page is told', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  const complaints = complaintsOf(page);
  await page.evaluate(`(() => {
    const real = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    window.streams = [];
    navigator.mediaDevices.getUserMedia = async (wanted) => {
      if (window.streams.length === 2) throw new DOMException('none', 'NotFoundError');
      const stream = await real(wanted);
      window.streams.push(stream);
      return stream;
    };
    // Stopping a track tells nothing; a device that goes tells this.
    window.unplug = () => {
      const [track] = window.streams.at(-1).getTracks();
      track.stop();
      track.dispatchEvent(new Event('ended'));
    };
  })()`);
  await start(page);
  await far.say(HELLO);
  await state(page, 'listening');
  await page.evaluate('unplug()');
  await page.waitForFunction('window.streams.length === 2');
  expect(await far.hears(1500)).toBeGreaterThan(0.02);
  await page.evaluate('unplug()');
  await page.waitForFunction('window.told.errors.length > 0');
  expect(await told(page, 'told.errors.map(([code, problem]) => [code, problem])')).toEqual([
    ['not_found', 'microphone_lost'],
  ]);
  expect(await told(page, 'call.state')).toBe('listening');
  await page.evaluate('call.hangUp()');
  expect(complaints).toEqual([]);
});

test('a page that may not sound yet is told so, and sounds with the next click', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  const complaints = complaintsOf(page);
  await page.evaluate(`(() => {
    const { play } = HTMLMediaElement.prototype;
    window.elements = [];
    HTMLMediaElement.prototype.play = function () {
      window.elements.push(this);
      if (!window.clicked) return this.pause(), Promise.reject(new DOMException('no gesture', 'NotAllowedError'));
      return play.call(this);
    };
    addEventListener('pointerdown', () => (window.clicked = true), { capture: true });
  })()`);
  await start(page);
  await far.say(HELLO);
  await state(page, 'listening');
  await page.waitForFunction('window.told.errors.length > 0');
  expect(await told(page, 'told.errors[0][1]')).toBe('playback_blocked');
  await page.mouse.click(5, 5);
  await page.waitForFunction('!window.elements[0].paused');
  expect(await told(page, 'new Set(elements).size')).toBe(1);
  await page.evaluate('call.hangUp()');
  expect(await told(page, 'elements[0].srcObject')).toBe(null);
  expect(complaints).toEqual([]);
});
