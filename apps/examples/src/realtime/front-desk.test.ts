// The front desk, with a model that says what the test tells it to.

import { RealtimeRunner } from '@parley/realtime';
import { type Reply, ScriptedModel, VirtualTime } from '@parley/realtime/testing';
import { expect, test } from 'vitest';
import { attend, frontDesk } from './front-desk.ts';

async function call(replies: readonly (Reply | string)[], yes = true) {
  const time = new VirtualTime();
  const scripted = new ScriptedModel({ time, replies });
  const session = await new RealtimeRunner(frontDesk, { model: scripted.model }).run({ clock: time });
  const lines: string[] = [];
  attend(
    session,
    (line) => lines.push(line),
    async () => yes,
  );
  return { time, scripted, session, lines };
}

test('an order is looked up, and the words of both sides are written down', async () => {
  const { time, scripted, session, lines } = await call([
    { calls: [{ name: 'lookup_order', arguments: { order: '42' }, callId: 'c1' }] },
    'Order 42 is a walnut desk.',
  ]);
  scripted.connection.userSays('where is order 42');
  await time.pass(5_000);
  expect(scripted.outputs().get('c1')).toEqual(['Order 42 is a walnut desk. It ships on Friday.']);
  expect(lines).toEqual(['user: where is order 42', 'front desk: Order 42 is a walnut desk.']);
  await session.close();
});

test.for([
  { yes: true, output: 'Order 44 is refunded.' },
  { yes: false, output: 'A person said no.' },
])('a refund is handed to billing and asked for: $yes', async ({ yes, output }) => {
  const { time, scripted, session, lines } = await call(
    [
      { calls: [{ name: 'transfer_to_billing' }] },
      { calls: [{ name: 'refund', arguments: { order: '44' }, callId: 'c2' }] },
      'That is all.',
      { calls: [{ name: 'transfer_to_front_desk' }] },
    ],
    yes,
  );
  await session.sendMessage('I want my money back for order 44');
  await time.pass(5_000);
  expect(scripted.outputs().get('c2')).toEqual([output]);
  expect(lines).toEqual(['front desk hands over to billing', 'billing: That is all.']);
  await session.sendMessage('Thanks, back to orders');
  await time.pass(5_000);
  expect(session.currentAgent).toBe(frontDesk);
  await session.close();
});

test('a card number is stopped while it is said, and a drop in the middle of it all loses nothing', async () => {
  const { time, scripted, session, lines } = await call(['Your card is 4242 4242 4242 4242.', 'Good day.']);
  await session.sendMessage('what is my card?');
  await time.pass(1_000);
  expect(lines).toContain('stopped: no card numbers');
  expect(scripted.framesOf('response.create').at(-1)).toMatchObject({
    response: { instructions: 'Say exactly: I cannot say card numbers.' },
  });
  await time.pass(5_000);
  scripted.connection.drop();
  await time.pass(2_000);
  await session.sendMessage('bye');
  await time.pass(2_000);
  expect(lines.at(-1)).toBe('front desk: Good day.');
  expect(scripted.connections).toHaveLength(2);
  await session.close();
});
