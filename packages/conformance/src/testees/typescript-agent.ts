// The testee agent for TypeScript: what schemas/behaviour.md asks for, written as an author would write it.

import { setTimeout as after } from 'node:timers/promises';
import { Agent, ParleyError, type SessionOptions, type Spoken } from '@parley/session';
import { z } from 'zod';

const LONG = Array(3).fill('one two three four five six seven eight nine ten').join(' ');

const spoken: SessionOptions = { provider: 'simulator', transport: 'websocket' };
const written: SessionOptions = { ...spoken, modalities: ['text'] };
const Text = z.object({ text: z.string() });
const Milliseconds = z.object({ ms: z.number().int() });

const testee = new Agent('testee');
let waits = 0;
let cancelled = 0;

const echo = testee.skill('echo', { description: 'Returns the text.', input: Text }, ({ text }) => ({ text }));

const nested = testee.reasoner('nested', { input: Text }, async ({ text }, context) => {
  context.note('asking', { text });
  const answer = await context.call(echo, { text });
  return { text: answer.text, by: 'echo' };
});

testee.reasoner('chain', { input: z.object({ target: z.string() }) }, ({ target }, context) =>
  context.call(target, {}),
);

const slow = testee.skill('slow', { description: 'Takes its time.', onInterrupt: 'cancel' }, async (_, context) => {
  context.note('started');
  await new Promise((resolve) => context.signal.addEventListener('abort', resolve));
  cancelled += 1;
  throw context.signal.reason;
});

testee.skill('seen', {}, () => ({ cancelled }));

testee.skill('wait', { input: Milliseconds }, async ({ ms }, context) => {
  const run = ++waits;
  context.note('started');
  await after(ms, undefined, { signal: context.signal });
  return { ms, run };
});

const fail = testee.skill('fail', { description: 'Always fails.' }, () => {
  throw new Error('the kettle is empty');
});

testee.skill('refuse', { description: 'Always refuses.' }, () => {
  throw new ParleyError('failed_precondition', 'no kettle here', { details: { kettle: 7 } });
});

testee.skill('block', { worker: new URL('./typescript-block.ts', import.meta.url), input: Milliseconds });

testee.skill('big', { input: z.object({ bytes: z.number().int() }) }, ({ bytes }) => ({ text: 'x'.repeat(bytes) }));

testee.session('tools', { ...written, tools: ['echo', 'fail', 'refuse', 'slow'] });

testee.session('parrot', written, async (session) => {
  for await (const turn of session) {
    if (turn.text === 'bye') return;
    const { text } = await session.call(echo, { text: turn.text });
    await session.say(text);
  }
});

testee.session('workflow', written, async (session) => {
  for await (const turn of session) await session.say((await session.call(nested, { text: turn.text })).text);
});

testee.session('interrupt', spoken, async (session) => {
  let last: Spoken | null = null;
  for await (const _ of session) {
    const words: string = last?.interrupted ? `cut after: ${last.spokenText}` : LONG;
    last = await session.say(words);
  }
});

testee.session('cancel', written, async (session) => {
  for await (const turn of session) {
    if (turn.text !== 'work') {
      await session.say(`heard ${turn.text}`);
      continue;
    }
    await session.call(slow, {}, { signal: turn.signal }).catch((error: unknown) => {
      if (!turn.signal.aborted) throw error;
    });
  }
});

testee.session('control', written, async (session) => {
  for await (const turn of session) {
    switch (turn.text) {
      case 'update':
        await session.update({ instructions: 'Be brief.' });
        await session.say('updated');
        break;
      case 'inject':
        await session.inject('ping', { respond: true });
        break;
      case 'close':
        await session.close('done here');
        break;
      case 'fail': {
        const { code, message } = await errorOf(session.call(fail, {}));
        await session.say(`${code}: ${message}`);
        break;
      }
      case 'long':
        await session.say((await errorOf(session.say('x'.repeat(16_385)))).code);
        break;
      default: {
        const { color } = session.metadata;
        await session.say(`metadata: ${typeof color === 'string' ? color : 'none'}`);
      }
    }
  }
});

testee.session('throws', written, async (session) => {
  await session.input();
  throw new Error('the handler is broken');
});

testee.session('never', written, () => new Promise(() => {}));

/** The error with which it ends; it has to. */
async function errorOf(outcome: Promise<unknown>): Promise<ParleyError> {
  try {
    await outcome;
  } catch (error) {
    return ParleyError.from(error);
  }
  throw new Error('this should have failed');
}

await testee.serve();
