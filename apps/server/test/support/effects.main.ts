// The process behind EffectsAgent.

import { appendFileSync } from 'node:fs';
import { Agent } from '@parley/session';

const file = process.env['EFFECTS'] ?? '';
const released = new Set<string>();
const held = new Map<string, () => void>();
let allReleased = false;

process.on('message', (names: string[] | 'all') => {
  if (names === 'all') allReleased = true;
  for (const name of names === 'all' ? [...held.keys()] : names) {
    released.add(name);
    held.get(name)?.();
  }
});

const quiet = (): void => undefined;
const agent = new Agent('worker', {
  backoff: { minMs: 20, maxMs: 100 },
  log: { debug: quiet, info: quiet, warn: quiet, error: quiet },
});
const run = async ({ name }: { name: string }): Promise<{ did: string }> => {
  appendFileSync(file, `${name}\n`);
  if (!allReleased && !released.has(name)) await new Promise<void>((resolve) => held.set(name, resolve));
  return { did: name };
};
const input = { type: 'object', properties: { name: { type: 'string' } }, required: ['name'] };
agent.skill('effect', { input }, (given) => run(given as { name: string }));
agent.skill('rare', { input, maxConcurrent: 1 }, (given) => run(given as { name: string }));
agent.session('voice', { provider: 'simulator', transport: 'websocket', modalities: ['text'], tools: ['effect'] });
agent.session('hosted', { provider: 'simulator', transport: 'websocket', modalities: ['text'] }, async (session) => {
  for await (const turn of session) await session.say(`Heard ${turn.text}.`);
});

const handle = agent.start();
await handle.ready;
process.send?.('ready');
