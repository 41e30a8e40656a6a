import { connect, createServer } from 'node:net';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { Cable } from './cable.ts';
import { behaviourCount, runBehaviour } from './run.ts';

const OPTIONS = { unsupported: [], only: 'behaviour/control', timeout_ms: 10_000, starts_max: 2, report: () => {} };
const REFUSES = {
  agent: { command: process.execPath, args: ['-e', 'console.error("no licence"); process.exit(3)'] },
  samples: null,
};

test('an agent that does not start fails its cases with what it wrote, and is given up', async () => {
  const { passed, failures } = await runBehaviour(REFUSES, OPTIONS);
  expect([passed, failures.length]).toEqual([0, behaviourCount('behaviour/control')]);
  expect(failures[0]).toContain('the agent ended with 3');
  expect(failures[0]).toContain('no licence');
  expect(failures[2]).toContain('not run: the agent did not start 2 times in a row');
});

test('a case that is declared unsupported is counted, told with its reason, and not run', async () => {
  const told: string[] = [];
  const unsupported = [{ cases: 'behaviour/control', reason: 'has no controls' }];
  const tally = await runBehaviour(REFUSES, { ...OPTIONS, unsupported, report: (line) => told.push(line) });
  expect(tally).toEqual({ passed: 0, unsupported: behaviourCount('behaviour/control'), failures: [] });
  expect(told[0]).toMatch(/^unsupported {2}behaviour\/control: .*: has no controls$/);
});

test('a cable carries, holds still, is taken away, and is plugged in elsewhere', async () => {
  const greeting = async (text: string) => {
    const server = createServer((socket) => socket.end(text)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    return { server, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}` };
  };
  const [one, two] = [await greeting('one'), await greeting('two')];
  await using cable = await Cable.to(one.url);
  const read = async () => {
    const socket = connect(Number(new URL(cable.url).port), '127.0.0.1').setEncoding('utf8');
    let text = '';
    socket.on('data', (piece: string) => (text += piece));
    return once(socket, 'close').then(
      () => text,
      () => 'cut',
    );
  };
  expect(await read()).toBe('one');
  cable.plugInto(two.url);
  expect(await read()).toBe('two');
  cable.takeAway();
  expect(await read()).toBe('cut');
  cable.restore();
  cable.hold();
  const held = read();
  expect(await Promise.race([held, new Promise((resolve) => setTimeout(resolve, 50, 'nothing yet'))])).toBe(
    'nothing yet',
  );
  cable.restore();
  expect(await held).toBe('two');
  expect(cable.dialled).toBe(4);
  one.server.close();
  two.server.close();
});

test('samples that a language does not have are left out', async () => {
  const tally = await runBehaviour(REFUSES, { ...OPTIONS, only: 'behaviour/samples' });
  expect(tally).toEqual({ passed: 0, unsupported: 0, failures: [] });
});
