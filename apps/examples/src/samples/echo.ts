// A handler answers each turn: it calls a skill and says what came back.

import { Agent } from '@parley/session';
import { z } from 'zod';

const app = new Agent('echo');
const Text = z.object({ text: z.string() });
const repeat = app.skill('repeat', { input: Text }, ({ text }) => ({ text: `You said: ${text}` }));
app.session('voice', { provider: 'simulator', transport: 'websocket' }, async (session) => {
  for await (const turn of session) {
    const answer = await session.call(repeat, { text: turn.text });
    await session.say(answer.text);
  }
});
await app.serve();
