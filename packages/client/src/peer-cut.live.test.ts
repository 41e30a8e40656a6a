// Calls over WebRTC that are cut off: they come back, or say why not.

import { ParleyError } from '@parley/core';
import { expect, test } from 'vitest';
import { complaintsOf } from './call/page.test.support.ts';
import { HELLO, start, state, told, withBrowser } from './peer.test.support.ts';

const farEnd = withBrowser();

test('a call that was cut off comes back with a new offer, and the microphone with it', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  const complaints = complaintsOf(page);
  await start(page);
  await far.say(HELLO);
  await state(page, 'listening');
  await far.cut();
  await state(page, 'reconnecting');
  far.log({ type: 'client.detached', connection_id: 'c', code: 1006, reason: '' });
  await far.until(() => far.offers === 2);
  await far.say(HELLO);
  await state(page, 'listening');
  far.log({ type: 'client.attached', connection_id: 'd' });
  await page.waitForFunction('window.told.seqs.length === 2');
  expect(await far.hears(1500)).toBeGreaterThan(0.02);
  await page.evaluate("call.sendText('still here')");
  await far.next('conversation.item.create');
  expect(await told(page, 'call.hangUp().then(({ stats }) => stats.reconnections)')).toBe(1);
  expect(complaints).toEqual([]);
});

test('a call whose session ended meanwhile does not come back, and says why', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  await start(page);
  await far.say(HELLO);
  await state(page, 'listening');
  far.session = { status: 'closed', close_reason: 'max_duration' };
  await far.cut();
  expect(await told(page, 'call.ended.then(({ reason, error }) => [reason, error])')).toEqual(['max_duration', null]);
  expect(far.offers).toBe(1);
});

test('a call that nobody answers any more ends with the reason', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  const complaints = complaintsOf(page);
  await start(page, '{ audio: true, reconnectMs: 300 }');
  await far.say(HELLO);
  await state(page, 'listening');
  far.refusal = new ParleyError('unavailable', 'nobody home');
  await far.cut();
  expect(await told(page, 'call.ended.then(({ reason, error }) => [reason, error.message])')).toEqual([
    'connection_lost',
    'nobody home',
  ]);
  expect(complaints).toEqual([]);
});

test('a token whose time is over ends a call that is cut, and says so', async () => {
  await using far = await farEnd();
  const page = await far.caller();
  const until_ms = Date.now() + 3000;
  await start(page, `{ token: 'pst.sess_1.${until_ms.toString(36)}.s', audio: true }`);
  await far.say(HELLO);
  await state(page, 'listening');
  far.plane.route('GET /api/v1/sessions/sess_1', null, () => ({
    status: 401,
    body: new ParleyError('unauthenticated', 'the session token has expired').toBody('req_1'),
  }));
  await page.waitForFunction(`Date.now() > ${until_ms}`);
  await far.cut();
  const end = 'call.ended.then(({ reason, error }) => [reason, error.code, error.details.problem])';
  expect(await told(page, end)).toEqual(['connection_lost', 'unauthenticated', 'token_expired']);
});
