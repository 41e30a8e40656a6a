// One execution from start to end, and every other way in which it can end.

import { expect, test } from 'vitest';
import { TestServer, skill } from '../agents/server.test.peer.ts';
import { MemoryStore } from '../store/memory-store.test.peer.ts';

test('an execution is written, given out, and its result is on disk before anybody hears of it', async () => {
  await using server = await TestServer.open();
  const agent = await server.agent();
  const started = await server.executions.start({ target: 'support.look', input: { order: 7 } });
  expect(started).toMatchObject({ status: 'queued', kind: 'skill', input: { order: 7 } });
  const dispatch = await agent.accept();
  expect(dispatch).toMatchObject({ execution_id: started.execution_id, function: 'look', input: { order: 7 } });
  await agent.settle();
  expect(await server.executions.get(started.execution_id)).toMatchObject({ status: 'running' });
  agent.succeed(started.execution_id, { found: true });
  const ended = await server.executions.wait(started.execution_id, 1000);
  expect(ended).toMatchObject({ status: 'succeeded', output: { found: true } });
  expect(await agent.next('execution.settled')).toMatchObject({ execution_id: started.execution_id });
  expect(await server.store.execution(started.execution_id)).toMatchObject({
    status: 'succeeded',
    input: { order: 7 },
  });
  expect((server.store as MemoryStore).units).toBe(2);
  expect(server.executions.running).toBe(0);
});

test('functions and inputs that do not fit are refused before anything is written', async () => {
  await using server = await TestServer.open();
  const input_schema = { type: 'object', properties: { order: { type: 'number' } }, required: ['order'] };
  await server.agent({ functions: [skill('look', { input_schema })] });
  const start = (target: string, input: unknown) => server.executions.start({ target, input });
  await expect(start('nobody.look', {})).rejects.toMatchObject({ code: 'not_found' });
  await expect(start('support.sing', {})).rejects.toMatchObject({ code: 'not_found' });
  await expect(start('support', {})).rejects.toMatchObject({ code: 'invalid_argument' });
  await expect(start('support.look', {})).rejects.toMatchObject({ code: 'invalid_argument' });
  await expect(start('support.look', { order: 1, text: 'x'.repeat(1024 * 1024) })).rejects.toMatchObject({
    code: 'resource_exhausted',
  });
  expect((server.store as MemoryStore).units).toBe(0);
});
