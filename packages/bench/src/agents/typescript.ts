// The agent of `bench languages` in TypeScript: FUNCTIONS skills and SESSIONS sessions besides the echo that is called.
// Prints `ready` once the control plane has registered all of them.

import { Agent, stderrLog } from '@parley/session';

const agent = new Agent('bench', { log: stderrLog('warn') });
agent.skill('echo', { input: text('text') }, (input) => input);
for (let i = 0; i < Number(process.env['FUNCTIONS']); i++) {
  agent.skill(`find_${i}`, { description: 'Finds an order.', input: text('order') }, (input) => input);
}
for (let i = 0; i < Number(process.env['SESSIONS']); i++) {
  agent.session(
    `voice_${i}`,
    { provider: 'openai', transport: 'websocket', model: 'bench', voice: 'marin', tools: ['echo'] },
    async (session) => {
      for await (const turn of session) await session.say(turn.text);
    },
  );
}
const running = agent.start({ url: process.env['PARLEY_URL'] as string });
await running.ready;
// What is asked for is what declarations hold, not what making them left behind.
globalThis.gc?.({ type: 'major', execution: 'sync', flavor: 'last-resort' });
console.log('ready');

/** The JSON Schema of one text, as an author would write it for each function. */
function text<const N extends string>(name: N) {
  return { type: 'object', properties: { [name]: { type: 'string' } }, required: [name] } as const;
}
