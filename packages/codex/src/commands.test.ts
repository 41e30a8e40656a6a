import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { expect, test as base } from 'vitest';
import { type Lab, lab } from './test-support/codex-test.ts';
import { KEY, outputOf, processesWith, rejection, runnerOf, shell, steps } from './test-support/workbench.ts';

const test = base.extend<Lab>(lab);

/** Whether Codex can make its sandbox on this machine: some kernels forbid it. */
function sandboxed(output: string): boolean {
  return !/bwrap: |setting up uid map|namespace/i.test(output);
}

test('read-only: commands read, and write nowhere', async ({ lab, skip }) => {
  const { runner } = await runnerOf(lab);
  const result = await runner.turn(shell('echo here; cat /etc/hostname > copy; echo "code $?"'));
  const output = outputOf(result);
  skip(!sandboxed(output), `this machine lets nobody make a sandbox: ${output}`);
  expect(output).toMatch(/^here$/m);
  expect(output).toMatch(/Read-only file system|Permission denied/);
  expect(output).toContain('code 1');
  expect(existsSync(join(lab.folder, 'copy'))).toBe(false);
});

test('workspace-write: commands write in the working directory, nowhere else, and reach no network', async ({
  lab,
  skip,
}) => {
  const { runner } = await runnerOf(lab, {}, { sandbox: 'workspace-write' });
  const outside = join(homedir(), `parley-outside-${process.pid}`);
  const port = new URL(lab.provider.url).port;
  const result = await runner.turn(
    shell(
      `echo made > made; echo out > ${outside}; echo "outside $?"; (: < /dev/tcp/127.0.0.1/${port}); echo "network $?"`,
    ),
  );
  const output = outputOf(result);
  skip(!sandboxed(output), `this machine lets nobody make a sandbox: ${output}`);
  expect(await readFile(join(lab.folder, 'made'), 'utf8')).toBe('made\n');
  expect(existsSync(outside)).toBe(false);
  expect(output).toContain('outside 1');
  expect(output).toContain('network 1');
});

test('danger-full-access: commands may do everything', async ({ lab }) => {
  const { runner } = await runnerOf(lab, {}, { sandbox: 'danger-full-access' });
  const port = new URL(lab.provider.url).port;
  const output = outputOf(await runner.turn(shell(`pwd; (: < /dev/tcp/127.0.0.1/${port}); echo "network $?"`)));
  expect(output).toContain(lab.folder);
  expect(output).toContain('network 0');
});

test('a command is an event with its exit code and output, and the model sees both', async ({ lab }) => {
  const { runner } = await runnerOf(lab, {}, { sandbox: 'danger-full-access' });
  const progress: string[] = [];
  const { events, assistantText } = await runner.turn(shell('echo to-be-seen; exit 3'), {
    onProgress: ({ kind, summary }) => progress.push(`${kind} ${summary}`),
  });
  expect(assistantText).toBe('done');
  expect(events).toMatchObject([
    {
      kind: 'commandExecution',
      summary: expect.stringContaining('echo to-be-seen') as string,
      metadata: { exitCode: 3, aggregatedOutput: expect.stringContaining('to-be-seen\n') as string },
    },
    { kind: 'agentMessage', summary: 'done' },
  ]);
  expect(progress).toContainEqual(expect.stringMatching(/^item\.started commandExecution: .*echo to-be-seen/));
  expect(JSON.stringify(lab.provider.requests.at(-1)?.body.input)).toContain('to-be-seen');
});

test.for([
  ['read-only', false],
  ['workspace-write', true],
  ['danger-full-access', true],
] as const)(
  'a patch is an event that names its files, and is made where it may be (%s)',
  async ([sandbox, made], { lab, skip }) => {
    const { runner } = await runnerOf(lab, {}, { sandbox });
    const patch = '*** Begin Patch\n*** Add File: notes.md\n+first line\n*** End Patch';
    const { events, assistantText } = await runner.turn(shell(`apply_patch <<'EOF'\n${patch}\nEOF`));
    const [what] = events;
    skip(
      what?.kind === 'commandExecution' && !sandboxed(outputOf({ events })),
      'this machine lets nobody make a sandbox',
    );
    const file = join(lab.folder, 'notes.md');
    expect(existsSync(file)).toBe(made);
    expect(assistantText).toBe('done');
    const changed = events.filter(({ kind, metadata }) => kind === 'fileChange' && metadata['status'] === 'completed');
    expect(changed.map(({ summary }) => summary)).toEqual(made ? [file] : []);
  },
);

test('a command sees neither the key nor our environment, wherever it looks', async ({ lab }) => {
  process.env['PARLEY_TEST_SECRET'] = 'of-the-host';
  const { factory, runner } = await runnerOf(
    lab,
    { env: { FOR_CODEX: 'of-the-backend' }, toolEnv: { FOR_TOOLS: 'for-everybody' } },
    { sandbox: 'danger-full-access' },
  );
  try {
    const where = `/proc/${factory.pid}`;
    // Its own environment, what Codex was started with, and everything that Codex wrote down.
    const look = `env; tr '\\0' '\\n' < ${where}/environ; tr '\\0' '\\n' < ${where}/cmdline; grep -rh 'sk-mock' "$(tr '\\0' '\\n' < ${where}/environ | sed -n 's/^CODEX_HOME=//p')"; true`;
    const { events } = await runner.turn(shell(look));
    const output = String(events[0]?.metadata['aggregatedOutput']);
    expect(output).toContain('FOR_TOOLS=for-everybody');
    expect(output).toContain('CODEX_HOME=');
    expect(output).not.toContain(KEY);
    expect(output).not.toContain('of-the-host');
    expect((await runner.turn(shell('env'))).events[0]?.metadata['aggregatedOutput']).not.toContain('of-the-backend');
    expect(lab.provider.requests[0]?.headers.authorization).toBe(`Bearer ${KEY}`);
  } finally {
    delete process.env['PARLEY_TEST_SECRET'];
  }
});

/** Starts a command that would run for an hour, and tells the model so at once. */
const sleeper = (seconds: number): string => `sleep ${seconds} & sleep ${seconds}`;

// Each test sleeps for a time of its own, by which its processes are told apart.
let seconds = 3600 + (process.pid % 1000) * 10;
const ownTime = (): number => ++seconds;

test('a command in the background ends with its turn', async ({ lab }) => {
  const time = ownTime();
  const { runner } = await runnerOf(lab, {}, { sandbox: 'danger-full-access' });
  await runner.turn(shell(sleeper(time), { yield_time_ms: 250 }));
  expect(await processesWith(`sleep ${time}`)).toEqual([]);
});

test('with `keep`, it runs on until the runner is disposed of', async ({ lab }) => {
  const time = ownTime();
  const { runner } = await runnerOf(lab, { backgroundCommands: 'keep' }, { sandbox: 'danger-full-access' });
  await runner.turn(shell(sleeper(time), { yield_time_ms: 250 }));
  expect(await processesWith(`sleep ${time}`)).not.toEqual([]);
  await runner.dispose();
  expect(await processesWith(`sleep ${time}`)).toEqual([]);
});

test('a command that made a session of its own does not get away', async ({ lab }) => {
  const time = ownTime();
  const { runner } = await runnerOf(lab, {}, { sandbox: 'danger-full-access' });
  await runner.turn(shell(`setsid nohup sleep ${time} > /dev/null 2>&1 & sleep 0.1`));
  expect(await processesWith(`sleep ${time}`)).toEqual([]);
});

test.for(['danger-full-access', 'workspace-write'] as const)(
  'a timeout with a running command leaves no process (%s)',
  async (sandbox, { lab }) => {
    const time = ownTime();
    const { factory, runner } = await runnerOf(lab, {}, { sandbox });
    await runner.turn(steps({ text: 'warm' }));
    const turn = runner.turn(shell(sleeper(time), { yield_time_ms: 30_000 }), { timeoutSeconds: 2 });
    const ended = rejection(turn);
    await expect.poll(() => processesWith(`sleep ${time}`)).not.toEqual([]);
    expect(await ended).toMatchObject({
      code: 'deadline_exceeded',
      details: { reason: 'timeout', waiting_for: expect.stringMatching(/^commandExecution: .*sleep/) as string },
    });
    expect(await processesWith(`sleep ${time}`)).toEqual([]);
    expect(factory.state).toBe('ready');
    expect((await runner.turn(steps({ text: 'after' }))).assistantText).toBe('after');
  },
);

test('close during a command leaves no process', async ({ lab }) => {
  const time = ownTime();
  const { factory, runner } = await runnerOf(lab, {}, { sandbox: 'danger-full-access' });
  const { pid } = factory;
  const turn = runner.turn(shell(sleeper(time), { yield_time_ms: 30_000 }));
  const ended = rejection(turn);
  await expect.poll(() => processesWith(`sleep ${time}`)).not.toEqual([]);
  await factory.close();
  expect(await ended).toMatchObject({ details: { reason: 'backend_closed' } });
  expect(await processesWith(`sleep ${time}`)).toEqual([]);
  expect(existsSync(`/proc/${pid}`)).toBe(false);
});

test('a Codex that was killed leaves no process either', async ({ lab }) => {
  const time = ownTime();
  const { factory, runner } = await runnerOf(lab, {}, { sandbox: 'danger-full-access' });
  const turn = runner.turn(shell(sleeper(time), { yield_time_ms: 30_000 }));
  const ended = rejection(turn);
  await expect.poll(() => processesWith(`sleep ${time}`)).not.toEqual([]);
  process.kill(factory.pid ?? 0, 'SIGKILL');
  expect(await ended).toMatchObject({ details: { reason: 'backend_invalid' } });
  await factory.close();
  expect(await processesWith(`sleep ${time}`)).toEqual([]);
});
