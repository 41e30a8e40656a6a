// A process with three calls whose sound flows: it ends in the middle of them, or a moment after it closed them.

import { openMediaPeer } from './open.ts';

const PACKET = Uint8Array.of(0xf8, 0xff, 0xfe);

const calls = await Promise.all([1, 2, 3].map(() => call()));
if (process.argv[2] === 'closed') for (const peers of calls) for (const peer of peers) peer.close();
process.exit(0);

async function call() {
  const caller = await openMediaPeer({ driver: 'node-datachannel' });
  const callee = await openMediaPeer({ driver: 'node-datachannel' });
  const channel = caller.openChannel('oai-events');
  const heard = new Promise<void>((resolve) => callee.onAudio(() => resolve()));
  const read = new Promise<void>((resolve) => callee.onChannel((far) => far.onFrame(() => resolve())));
  await caller.accept(await callee.answer(await caller.offer()));
  let sent = 0;
  setInterval(() => {
    for (const peer of [caller, callee]) peer.sendAudio(PACKET, (sent += 960));
    channel.send('{}');
  }, 5);
  await Promise.all([heard, read]);
  return [caller, callee];
}
