import assert from 'node:assert/strict';
import type { Cases } from './case.ts';

export const control: Cases = {
  async 'a handler knows what the session was started with'({ house, signal }) {
    await house.agentUp(signal);
    const call = await house.call('control', { color: 'blue' });
    call.type('which color?');
    assert.equal(await call.answer(signal), 'metadata: blue');
    await call.close(signal);
  },

  async 'update changes what the model is told'({ house, signal }) {
    await house.agentUp(signal);
    const call = await house.call('control');
    call.type('update');
    assert.equal(await call.answer(signal), 'updated');
    assert.equal((await call.until(signal, 'session.updated')).instructions, 'Be brief.');
    await call.close(signal);
  },

  async 'inject puts text into the conversation, and lets the model answer it'({ house, signal }) {
    await house.agentUp(signal);
    const call = await house.call('control');
    call.type('inject');
    assert.equal(await call.answer(signal), 'You said: ping');
    const { text, respond, by } = await call.until(signal, 'input.injected');
    assert.deepEqual({ text, respond, by }, { text: 'ping', respond: true, by: 'handler' });
    await call.close(signal);
  },

  async 'close ends the session with the reason that was given'({ house, signal }) {
    await house.agentUp(signal);
    const call = await house.call('control');
    call.type('close');
    assert.equal((await call.until(signal, 'session.closed')).reason, 'done here');
  },

  async 'a handler can catch the error of a function and go on'({ house, signal }) {
    await house.agentUp(signal);
    const call = await house.call('control');
    call.type('fail');
    assert.equal(await call.answer(signal), 'unknown: the kettle is empty');
    await call.close(signal);
  },

  async 'words that are too many are refused, and the session goes on'({ house, signal }) {
    await house.agentUp(signal);
    const call = await house.call('control');
    call.type('long');
    assert.equal(await call.answer(signal), 'invalid_argument');
    call.type('still there?');
    assert.equal(await call.answer(signal), 'metadata: none');
    await call.close(signal);
  },
};
