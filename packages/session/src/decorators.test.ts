import { expect, test } from 'vitest';
import { serving } from './control-plane.test.peer.ts';
import type * as Fixture from './decorators.test.fixture.ts';

// From the build: see the fixture.
const built = new URL('../dist/decorators.test.fixture.js', import.meta.url).href;
const { Agent, Plain, staticMethod, Support } = (await import(built)) as typeof Fixture;

test('a decorated class declares what the function form declares, and its methods keep their instance', async () => {
  await using rig = await serving(Agent.from(new Support()));
  expect(rig.register.agent).toBe('support');
  expect(rig.register.sessions).toMatchObject([{ name: 'desk', responder: 'handler', tools: ['find_order'] }]);
  expect(rig.register.functions).toMatchObject([
    { name: 'version', kind: 'skill', description: 'Says which version runs.' },
    { name: 'resolve', kind: 'reasoner', timeout_ms: 5_000, input_schema: { required: ['order'] } },
    { name: 'find_order', kind: 'skill' },
  ]);
  const run = (name: string, input: unknown) => rig.link.result(rig.link.dispatch(name, input));
  expect(await run('resolve', { order: '42' })).toMatchObject({
    output: { order: '42', note: 'It ships on Friday.', execution: true },
  });
  expect(await run('find_order', { order: '43' })).toMatchObject({ output: null });
  expect(await run('version', {})).toMatchObject({ output: 'base' });
  expect(await run('resolve', { order: 42 })).toMatchObject({ status: 'failed', error: { code: 'invalid_argument' } });

  const { log } = rig.link.openSession('desk');
  log({ type: 'turn.completed', turn_id: 'turn_1', source: 'text', text: '42' });
  expect(await rig.link.next('session.say')).toMatchObject({ text: 'It ships on Friday.' });
});

test('a class without @agent, and a static method, are refused in words', () => {
  expect(() => Agent.from(new Plain())).toThrow("class Plain has no @agent('name') decorator");
  expect(staticMethod()).toMatchObject({
    code: 'invalid_argument',
    message: 'only a public method can be a skill: shared',
  });
});
