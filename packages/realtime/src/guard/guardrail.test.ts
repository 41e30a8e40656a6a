// Guardrails on what is said, by either side.

import { afterEach, describe, expect, test } from 'vitest';
import { RealtimeAgent } from '../agent.ts';
import type { RealtimeSession } from '../session.ts';
import { started } from '../test-support/started.ts';
import type { RealtimeInputGuardrail, RealtimeOutputGuardrail } from './guardrail.ts';

const open: RealtimeSession[] = [];
afterEach(async () => {
  for (const session of open.splice(0)) await session.close();
});

async function run(...args: Parameters<typeof started>) {
  const all = await started(...args);
  open.push(all.session);
  return all;
}

const desk = new RealtimeAgent({ name: 'desk' });

function noSecrets(options: Partial<RealtimeOutputGuardrail> = {}): RealtimeOutputGuardrail & { seen: string[] } {
  const seen: string[] = [];
  return {
    name: 'no secrets',
    seen,
    execute: ({ agentOutput, final }) => {
      seen.push(final ? `${agentOutput}|` : agentOutput);
      return { tripwireTriggered: agentOutput.includes('secret'), outputInfo: { found: 'secret' } };
    },
    ...options,
  };
}

describe('what the model says', () => {
  test('is looked at while it grows, and always at its end, however short it is', async () => {
    const guardrail = noSecrets();
    const words = `${'word '.repeat(50)}end.`;
    const { session, time } = await run(desk, [words, 'Short.'], { config: { outputGuardrails: [guardrail] } });
    await session.sendMessage('go');
    await time.settle();
    expect(guardrail.seen.map(({ length }) => length)).toEqual([100, 200, words.length + 1]);
    await session.sendMessage('more');
    await time.settle();
    expect(guardrail.seen.at(-1)).toBe('Short.|');
  });

  test.for([
    { debounceTextLength: -1, looks: 1 },
    { debounceTextLength: 0, looks: 6 },
    { debounceTextLength: 10, looks: 3 },
  ])('with a debounce of $debounceTextLength it is looked at $looks times', async ({ debounceTextLength, looks }) => {
    const guardrail = noSecrets();
    const { session, time } = await run(desk, ['one two three four five'], {
      config: { outputGuardrails: [guardrail], outputGuardrailSettings: { debounceTextLength } },
    });
    await session.sendMessage('go');
    await time.settle();
    expect(guardrail.seen).toHaveLength(looks);
  });

  test('a trip cuts the sound, tells the event, and says what was declared', async () => {
    const guardrail = noSecrets({ say: 'I cannot say that.' });
    const said = `${'a secret '.repeat(30)}`;
    const { session, scripted, time, of } = await run(desk, [{ say: said, hold: true }], {
      config: { outputGuardrails: [guardrail] },
    });
    await session.sendMessage('go');
    await time.settle();
    expect(of('guardrail_tripped')).toMatchObject([
      { kind: 'output', guardrail: 'no secrets', agent: 'desk', stale: false, outputInfo: { found: 'secret' } },
    ]);
    expect(of('audio_interrupted')).toHaveLength(1);
    expect(scripted.framesOf('response.cancel')).toHaveLength(1);
    expect(scripted.framesOf('response.create').at(-1)).toMatchObject({
      response: { instructions: 'Say exactly: I cannot say that.' },
    });
    // One trip for one answer.
    expect(of('guardrail_tripped')).toHaveLength(1);
    expect(session.history[1]).toMatchObject({ status: 'incomplete' });
  });

  test('without words of its own a trip tells the model the policy, once the answer is over', async () => {
    const guardrail = noSecrets({ policyHint: 'Never speak of secrets.' });
    const { session, scripted, time } = await run(desk, ['a secret', 'Sorry.'], {
      config: { outputGuardrails: [guardrail] },
    });
    await session.sendMessage('go');
    await time.settle();
    expect(scripted.framesOf('conversation.item.create').at(-1)).toMatchObject({
      item: { role: 'user', content: [{ text: expect.stringContaining('Never speak of secrets.') }] },
    });
    expect(session.history.at(-1)).toMatchObject({ content: [{ transcript: 'Sorry.' }] });
  });

  test('a silent one cuts and says nothing', async () => {
    const { session, scripted, time } = await run(desk, ['a secret'], {
      config: { outputGuardrails: [noSecrets({ silent: true })] },
    });
    await session.sendMessage('go');
    await time.settle();
    expect(scripted.framesOf('response.create')).toHaveLength(1);
    expect(session.history).toMatchObject([{}, { status: 'incomplete', content: [{ transcript: '' }] }]);
  });

  test('a verdict that is late never touches a newer answer', async () => {
    const verdict = Promise.withResolvers<{ tripwireTriggered: boolean }>();
    let asked = 0;
    const slow: RealtimeOutputGuardrail = {
      name: 'slow',
      execute: () => ((asked += 1) === 1 ? verdict.promise : { tripwireTriggered: false }),
    };
    const { session, scripted, time, of } = await run(desk, ['First answer.', { say: 'Second answer.', hold: true }], {
      config: { outputGuardrails: [slow] },
    });
    await session.sendMessage('one');
    await time.pass(5_000);
    await session.sendMessage('two');
    await time.settle();
    verdict.resolve({ tripwireTriggered: true });
    await time.settle();
    expect(of('guardrail_tripped')).toMatchObject([{ guardrail: 'slow', stale: true }]);
    expect(scripted.framesOf('response.cancel')).toHaveLength(0);
    expect(of('audio_interrupted')).toHaveLength(0);
  });

  test('one that throws is told and the others count; those of the agent count too, each once', async () => {
    const broken: RealtimeOutputGuardrail = {
      name: 'broken',
      execute: () => {
        throw new Error('bug');
      },
    };
    const guardrail = noSecrets({ silent: true });
    const agent = new RealtimeAgent({ name: 'desk', outputGuardrails: [guardrail] });
    const { session, time, of } = await run(agent, ['a secret'], { config: { outputGuardrails: [broken, guardrail] } });
    await session.sendMessage('go');
    await time.settle();
    expect(of('error')).toMatchObject([{ source: 'guardrail' }]);
    expect(of('guardrail_tripped')).toHaveLength(1);
    expect(guardrail.seen).toHaveLength(1);
  });
});

describe('what the user says', () => {
  const noPins: RealtimeInputGuardrail = {
    name: 'no pins',
    execute: ({ input }) => ({ tripwireTriggered: /\d{4}/.test(input) }),
    say: 'Please keep your PIN to yourself.',
  };

  test('a text is not sent, and the reason is both an event and a rejection', async () => {
    const { session, scripted, time, of } = await run(desk, [], { config: { inputGuardrails: [noPins] } });
    await expect(session.sendMessage('my pin is 1234')).rejects.toMatchObject({ code: 'permission_denied' });
    await time.settle();
    expect(scripted.framesOf('conversation.item.create')).toHaveLength(0);
    expect(of('guardrail_tripped')).toMatchObject([{ kind: 'input', guardrail: 'no pins' }]);
    expect(scripted.framesOf('response.create')).toMatchObject([
      { response: { instructions: 'Say exactly: Please keep your PIN to yourself.' } },
    ]);
    await session.sendMessage('hello');
    expect(scripted.framesOf('conversation.item.create')).toHaveLength(1);
  });

  test('speech is judged when it is written down: its answer is cut, and it leaves the conversation', async () => {
    const agent = new RealtimeAgent({ name: 'desk', inputGuardrails: [noPins] });
    const { session, scripted, time, of } = await run(agent, [{ say: 'So your pin is one two', hold: true }]);
    const itemId = scripted.connection.userSays('my pin is 1234');
    await time.settle();
    expect(of('guardrail_tripped')).toMatchObject([{ kind: 'input', itemId, stale: false }]);
    expect(scripted.framesOf('response.cancel')).toHaveLength(1);
    expect(scripted.framesOf('conversation.item.delete')).toMatchObject([{ item_id: itemId }]);
    expect(session.history.some((item) => item.itemId === itemId)).toBe(false);
  });
});
