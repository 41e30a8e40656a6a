// The user may speak over the agent; what was heard until then is known to the handler.

import { Agent, type Spoken } from '@parley/session';

const STORY = 'Once upon a time there was a teapot that could not keep a secret, and this is what it told everybody.';

const app = new Agent('interrupt');
app.session('voice', { provider: 'simulator', transport: 'websocket' }, async (session) => {
  let told: Spoken | null = null;
  for await (const _ of session) {
    const words: string = told?.interrupted ? `You stopped me after: ${told.spokenText}` : STORY;
    told = await session.say(words);
  }
});
await app.serve();
