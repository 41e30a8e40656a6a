// Real processes that are killed without a warning.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { TestAgent, TestServer } from '../agents/server.test.peer.ts';
import { openSqliteStore } from '../store/sqlite-store.ts';

const SERVER = fileURLToPath(new URL('./crash.test.peer.ts', import.meta.url));

test('a server that is killed loses nothing that it acknowledged and gives nothing out twice', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'parley-crash-'));
  const child = spawn(process.execPath, [SERVER, directory, '200'], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const before = TestAgent.dial((await lines.next()).value as string);
  await before.opened;
  // Room for a part of them: the others wait.
  before.register({ instance_id: 'one', capacity: { executions: 60 } });
  await before.next('agent.registered');
  child.stdin.write('go\n');
  const acknowledged: string[] = [];
  while (acknowledged.length < 150) acknowledged.push((await lines.next()).value as string);
  const given: string[] = [];
  for (let i = 0; i < 50; i++) given.push((await before.accept()).execution_id);
  child.kill('SIGKILL');
  await Promise.all([once(child, 'exit'), before.closed]);
  for (const frame of before.frames) if (frame.type === 'execution.dispatch') given.push(frame.execution_id);

  const store = await openSqliteStore({ directory });
  {
    await using after = await TestServer.open({ store });
    const { recovered } = await after.executions.recover();
    expect(recovered).toBeGreaterThanOrEqual(150);
    const agent = await after.dial();
    agent.register({ instance_id: 'one', in_flight: given });
    const { wanted } = await agent.next('agent.registered');
    expect(new Set(wanted)).toEqual(new Set(given));
    for (const id of wanted) agent.succeed(id, 'from before');
    await Promise.all(wanted.map((id) => after.executions.ended(id)));
    after.clock.advance(21_000);
    const again = new Set<string>();
    for (;;) {
      await agent.settle();
      const dispatches = agent.frames.splice(0).filter((frame) => frame.type === 'execution.dispatch');
      if (dispatches.length === 0 && after.executions.running === 0) break;
      for (const { execution_id } of dispatches) {
        expect(again.has(execution_id)).toBe(false);
        again.add(execution_id);
        agent.succeed(execution_id, 'from after');
      }
    }
    for (const id of given) expect(again.has(id)).toBe(false);
    const { executions } = await after.executions.batch(acknowledged);
    expect(executions).toHaveLength(acknowledged.length);
    for (const one of executions) {
      const ran = given.includes(one.execution_id) || again.has(one.execution_id);
      expect(one.status).toBe(ran ? 'succeeded' : 'unknown');
    }
  }
  await store.close();
  await rm(directory, { recursive: true });
}, 30_000);

test('an agent that is killed in the middle of an execution leaves an end that nobody knows', async () => {
  await using server = await TestServer.open();
  const source = `
    import { WebSocket } from 'ws';
    const link = new WebSocket(process.argv[1], 'parley.agent.v1');
    const send = (frame) => link.send(JSON.stringify(frame));
    link.on('open', () => send({ type: 'agent.register', agent: 'support', instance_id: 'one',
      sdk: { language: 'test', version: '1' }, sessions: [], functions: [{ name: 'look', kind: 'skill' }],
      in_flight: [], sessions_open: [] }));
    link.on('message', (data) => {
      const { type, execution_id } = JSON.parse(data);
      if (type === 'agent.registered') console.log(type);
      if (type === 'execution.dispatch') send({ type: 'execution.accepted', execution_id });
    });`;
  // From here `ws` is found, wherever the tests were started.
  const options = { cwd: import.meta.dirname, stdio: ['ignore', 'pipe', 'inherit'] as ['ignore', 'pipe', 'inherit'] };
  const agent = spawn(process.execPath, ['--input-type=module', '-e', source, server.url], options);
  await once(agent.stdout, 'data');
  const { execution_id } = await server.executions.start({ target: 'support.look', input: {} });
  await new Promise<void>((running) => {
    server.executions.subscribe(execution_id, ({ type }) => type === 'execution.running' && running());
  });
  agent.kill('SIGKILL');
  await server.ends[0];
  const other = await server.agent({ instance_id: 'two' });
  server.clock.advance(21_000);
  expect(await server.executions.ended(execution_id)).toMatchObject({ status: 'unknown', reason: 'agent_lost' });
  await other.settle();
  expect(other.frames).toEqual([]);
}, 30_000);
