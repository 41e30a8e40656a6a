// The agent in a call with the simulator: no key, no network.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createAgent } from './desk.ts';

await test('it says where an order is', async () => {
  const desk = createAgent();
  await using call = await desk.join(desk.createCall('voice', 'test'));
  const found = await call.session.call<{ state: string }>('find_order', { order: '42' });
  assert.equal(found.state, 'on its way');
  const said = await call.session.say(`Order 42 is ${found.state}.`);
  assert.deepEqual(said, { interrupted: false, spokenText: 'Order 42 is on its way.' });
});
