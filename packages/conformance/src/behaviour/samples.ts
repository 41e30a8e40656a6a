import assert from 'node:assert/strict';
import type { Cases, Scene } from './case.ts';
import { notesOf, until } from './house.ts';
import { speakOver } from './interrupt.ts';

/** Starts a sample; its agent bears its name. Whoever starts it ends it. */
async function started({ house, signal, sample }: Scene, name: string) {
  const agent = house.spawn({ command: sample(name) });
  try {
    await house.registered(signal, agent, house.client, name);
    return agent;
  } catch (error) {
    await agent[Symbol.asyncDispose]();
    throw new Error(`the sample ${name}: ${String(error)}\n${agent.stderr}`, { cause: error });
  }
}

export const samples: Cases = {
  async 'echo says what a skill made of each turn'(scene) {
    await using _agent = await started(scene, 'echo');
    const call = await scene.house.callTarget('echo.voice');
    call.type('hello');
    assert.equal(await call.answer(scene.signal), 'You said: hello');
    await call.close(scene.signal);
  },

  async 'tools lets the model call one'(scene) {
    await using _agent = await started(scene, 'tools');
    const call = await scene.house.callTarget('tools.voice');
    call.ask('Where is order 42?');
    assert.equal(await call.answer(scene.signal), 'Order 42 ships on Friday.');
    await call.close(scene.signal);
  },

  async 'interrupt knows how far it came'(scene) {
    await using _agent = await started(scene, 'interrupt');
    const { cut, next } = await speakOver(scene.house, scene.signal, 'interrupt.voice');
    assert.match(cut.spoken_text, /^Once upon a time/);
    assert.equal(next.text, `You stopped me after: ${cut.spoken_text}`);
  },

  async 'resume brews on over a cut link, and pours once'(scene) {
    const { house, signal } = scene;
    await using _agent = await started(scene, 'resume');
    const call = await house.callTarget('resume.voice');
    call.type('3');
    const execution_id = await house.child(signal, call.workflow_id, 'resume.brew');
    await until(signal, 'the first cup', async () => {
      return notesOf(await house.client.executions.get(execution_id)).length > 0;
    });
    house.cable.cut();
    assert.equal(await call.answer(signal), 'Cups that are ready: 3.');
    assert.deepEqual(notesOf(await house.client.executions.get(execution_id)), ['cup 1', 'cup 2', 'cup 3']);
    await call.close(signal);
  },
};
