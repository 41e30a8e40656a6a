import assert from 'node:assert/strict';
import { ParleyClient } from '@parley/client';
import { Cable } from './cable.ts';
import type { Cases } from './case.ts';
import { until } from './house.ts';

const KEY = 'a-key-of-this-conformance-run';

export const access: Cases = {
  async 'an agent with the right key is let in'({ house, signal }) {
    await using server = await house.anotherServer({ keys: [KEY] });
    await using agent = house.spawn({ url: server.url, key: KEY });
    const client = new ParleyClient({ url: server.url, key: KEY });
    await house.registered(signal, agent, client);
  },

  async 'an agent with a wrong key gives up, and exits with an error'({ house }) {
    await using server = await house.anotherServer({ keys: [KEY] });
    await using agent = house.spawn({ url: server.url, key: 'a-key-that-nobody-ever-made' });
    const how = await agent.exited;
    assert.ok(typeof how === 'number' && how !== 0, `exited with ${how}`);
    assert.notEqual(agent.stderr.trim(), '');
    assert.ok(!agent.stderr.includes('a-key-that-nobody-ever-made'), 'the key stands in what the agent wrote');
  },

  async 'an agent that comes before its control plane waits for it'({ house, signal }) {
    await using server = await house.anotherServer();
    await using cable = await Cable.to(server.url);
    cable.takeAway();
    await using agent = house.spawn({ url: cable.url });
    await until(signal, 'the agent to dial twice', async () => cable.dialled >= 2);
    cable.restore();
    const client = new ParleyClient({ url: server.url });
    await house.registered(signal, agent, client);
    assert.equal(agent.gone, false);
  },
};
