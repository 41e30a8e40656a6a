// Pull the cable while it brews: the work goes on, is done once, and its answer comes over the next link.

import { setTimeout as after } from 'node:timers/promises';
import { Agent } from '@parley/session';
import { z } from 'zod';

const app = new Agent('resume');
const brew = app.skill('brew', { input: z.object({ cups: z.number().int() }) }, async ({ cups }, context) => {
  for (let cup = 1; cup <= cups; cup++) {
    await after(500, undefined, { signal: context.signal });
    context.note(`cup ${cup}`);
  }
  return { cups };
});
app.session('voice', { provider: 'simulator', transport: 'websocket' }, async (session) => {
  for await (const turn of session) {
    const { cups } = await session.call(brew, { cups: Number(turn.text) || 1 });
    await session.say(`Cups that are ready: ${cups}.`);
  }
});
await app.serve();
