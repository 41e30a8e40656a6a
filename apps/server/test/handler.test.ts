// Sessions that a handler answers: turns come in, words go out, and the agent that runs it may come and go.

import { Agent, type RealtimeSession, type SessionHandler, type SessionOptions } from '@parley/session';
import { expect, test } from 'vitest';
import { Cable } from './support/cable.ts';
import { House, QUICK, TEXT } from './support/house.ts';

function desk(handler: SessionHandler, options: Partial<SessionOptions> = {}): Agent {
  const agent = new Agent('desk');
  agent.skill('double', { input: { type: 'object', properties: { n: { type: 'number' } } } }, (input) => ({
    doubled: (input as { n: number }).n * 2,
  }));
  agent.session('voice', { ...TEXT, ...options }, handler);
  return agent;
}

test('a handler hears turns, calls functions, speaks, and ends the session by returning', async () => {
  await using house = await House.open();
  const heard: string[] = [];
  await house.serve(
    desk(async (session) => {
      for await (const turn of session) {
        heard.push(turn.text);
        if (turn.text === 'bye') return;
        const { doubled } = await session.call<{ doubled: number }>('double', { n: Number(turn.text) });
        expect(await session.say(`It is ${doubled}.`)).toEqual({ interrupted: false, spokenText: `It is ${doubled}.` });
      }
    }),
  );
  const { session, client } = await house.call('desk.voice');
  await house.api.until(session.session_id, 'handler.attached');
  client.type('21');
  expect(await client.answer()).toBe('It is 42.');
  client.type('bye');
  expect(await house.api.until(session.session_id, 'session.closed')).toMatchObject({ reason: 'handler_completed' });
  expect(heard).toEqual(['21', 'bye']);
  const { nodes } = await house.api.get<{ nodes: object[] }>(`/api/v1/sessions/${session.session_id}/workflow`);
  expect(nodes).toMatchObject([
    { kind: 'session', status: 'succeeded' },
    { target: 'desk.double', status: 'succeeded', parent_execution_id: session.execution_id },
  ]);
});

test('what a handler may call is not bounded by the allowlist of the model', async () => {
  await using house = await House.open();
  const output = Promise.withResolvers<unknown>();
  await house.serve(
    desk(async (session) => {
      output.resolve(await session.call('double', { n: 2 }));
    }),
  );
  const { session } = await house.call('desk.voice');
  expect(session.tools).toEqual([]);
  expect(await output.promise).toEqual({ doubled: 4 });
});

test('a handler that throws ends the session as failed, with its words', async () => {
  await using house = await House.open();
  await house.serve(
    desk(async (session) => {
      await session.input();
      throw new Error('no idea what to say');
    }),
  );
  const { session, client } = await house.call('desk.voice');
  await house.api.until(session.session_id, 'handler.attached');
  client.type('hello');
  const closed = await house.api.until(session.session_id, 'session.closed');
  expect(closed).toMatchObject({ reason: 'handler_failed', error: { message: expect.stringContaining('no idea') } });
  expect((await client.closed).code).toBeGreaterThan(4000);
  expect(await house.api.get(`/api/v1/executions/${session.execution_id}`)).toMatchObject({
    kind: 'session',
    status: 'failed',
    reason: 'handler_failed',
  });
});

test('update, inject and close do what they say', async () => {
  await using house = await House.open();
  await house.serve(
    desk(async (session) => {
      await session.update({ instructions: 'Be brief.' });
      await session.inject('where are you?', { respond: true });
      await session.input();
      await session.close('done here');
    }),
  );
  const { session, client } = await house.call('desk.voice');
  expect(await client.answer()).toBe('You said: where are you?');
  expect(house.simulator.sessions()[0]?.config()).toMatchObject({ instructions: 'Be brief.' });
  client.type('go on');
  expect(await house.api.until(session.session_id, 'session.closed')).toMatchObject({ reason: 'done here' });
});

test('say, inject and update over HTTP reach the same session', async () => {
  await using house = await House.open();
  await house.serve(desk(async (session) => void (await session.input().catch(() => undefined))));
  const { session, client } = await house.call('desk.voice');
  const path = `/api/v1/sessions/${session.session_id}`;
  expect(await house.api.post(`${path}/say`, { text: 'Good evening.' })).toMatchObject({
    interrupted: false,
    spoken_text: 'Good evening.',
  });
  expect(await client.answer()).toBe('Good evening.');
  await house.api.post(`${path}/inject`, { text: 'psst', respond: false });
  expect(await house.api.post(`${path}/update`, { voice: 'cedar' })).toMatchObject({ status: 'live' });
  expect(await house.api.refused('POST', `${path}/say`, { text: '' })).toMatchObject({ code: 'invalid_argument' });
  const last = house.api.post(`${path}/close`, {});
  await last;
  expect(await house.api.refused('POST', `${path}/say`, { text: 'too late' })).toMatchObject({
    status: 400,
    code: 'failed_precondition',
  });
});

test('a say that waits when the session ends is answered', async () => {
  await using house = await House.open();
  await house.serve(desk(async (session) => void (await session.input().catch(() => undefined))));
  const { session } = await house.call('desk.voice');
  // The model never begins to speak.
  house.simulator.faults.add({ when: 'event', kind: 'stall' });
  const path = `/api/v1/sessions/${session.session_id}`;
  const said = house.api.call('POST', `${path}/say`, { text: 'hello' });
  await house.api.until(session.session_id, 'say.requested');
  await house.api.post(`${path}/close`, {});
  const { body } = await said;
  expect(body).toMatchObject({ interrupted: true, spoken_text: '' });
});

test('the user who speaks again cancels the turn that is being answered', async () => {
  await using house = await House.open();
  const [answering, cancelled] = [Promise.withResolvers<void>(), Promise.withResolvers<unknown>()];
  await house.serve(
    desk(async (session) => {
      const turn = await session.input();
      turn.signal.addEventListener('abort', () => cancelled.resolve(turn.signal.reason));
      answering.resolve();
      await cancelled.promise;
      const next = await session.input();
      await session.say(`You changed your mind: ${next.text}`);
    }),
  );
  const { session, client } = await house.call('desk.voice');
  await house.api.until(session.session_id, 'handler.attached');
  client.type('first');
  await answering.promise;
  client.type('second');
  expect(await cancelled.promise).toMatchObject({ code: 'cancelled' });
  expect(await client.answer()).toBe('You changed your mind: second');
});

test('a handler whose link is cut goes on over the next one, and misses nothing', async () => {
  await using house = await House.open();
  await using cable = await Cable.to(house.server.url);
  const sessions: RealtimeSession[] = [];
  const handle = await house.serve(
    desk(async (session) => {
      sessions.push(session);
      for await (const turn of session) await session.say(`Heard ${turn.text}.`);
    }),
    { url: cable.url },
  );
  const { session, client } = await house.call('desk.voice');
  await house.api.until(session.session_id, 'handler.attached');
  client.type('one');
  expect(await client.answer()).toBe('Heard one.');
  const before = handle.status.linkId;
  cable.cut();
  client.type('two');
  expect(await client.answer()).toBe('Heard two.');
  expect(handle.status.linkId).not.toBe(before);
  expect(sessions).toHaveLength(1);
  const types = (await house.api.events(session.session_id)).map((event) => event.type);
  expect(types.filter((type) => type.startsWith('handler.'))).toEqual([
    'handler.attached',
    'handler.detached',
    'handler.attached',
  ]);
});

test('a session without an agent for its handler ends, and says so', async () => {
  await using house = await House.open({ limits: QUICK });
  const handle = await house.serve(desk(async (session) => void (await session.input())));
  const session = await house.start('desk.voice');
  await handle.stop();
  await using client = await house.join(session);
  const closed = await house.api.until(session.session_id, 'session.closed');
  expect(closed).toMatchObject({ reason: 'handler_failed', error: { code: 'unavailable' } });
  expect((await client.closed).code).toBe(4014);
});
