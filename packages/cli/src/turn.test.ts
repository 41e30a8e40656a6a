// parley turn, with the real Codex and a provider on loopback that does as the prompt says.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { noCodex, type ScriptedProvider, script, startScriptedProvider, type Step } from '@parley/codex/testing';
import { expect, test as plainTest, vi } from 'vitest';
import { parley, type Ran, shell } from './command.test.fake.ts';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));

vi.setConfig({ testTimeout: 60_000 });

interface Place {
  folder: string;
  provider: ScriptedProvider;
  env: Record<string, string>;
  run(...args: string[]): Promise<Ran>;
}

const test = plainTest.extend<{ place: Place }>({
  place: async ({ skip }, use) => {
    const why = noCodex();
    skip(why !== null, why ?? '');
    await using provider = await startScriptedProvider();
    const folder = mkdtempSync(join(tmpdir(), 'parley-turn-'));
    const env = {
      OPENAI_BASE_URL: provider.url,
      OPENAI_API_KEY: 'sk-of-the-command',
      PARLEY_TURN_MODEL: 'mock-model',
      XDG_STATE_HOME: join(folder, 'state'),
    };
    await use({ folder, provider, env, run: (...args) => parley(['turn', '--dir', folder, ...args], { env }) });
    rmSync(folder, { recursive: true, force: true });
  },
});

const say = (...steps: Step[]): string => script(steps);
const lines = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

test('the answer is on stdout, what was done meanwhile on stderr', async ({ place }) => {
  const ran = await place.run(
    '--sandbox',
    'danger-full-access',
    say({ call: 'exec_command', input: { cmd: 'echo made > made; exit 4' } }, { text: 'It is made.' }),
  );
  expect(ran).toMatchObject({ code: 0, stdout: 'It is made.\n' });
  expect(ran.stderr).toMatch(/^… commandExecution: .*echo made > made/m);
  expect(ran.stderr).toMatch(/^· commandExecution: .*\(exit code 4\)$/m);
  expect(readFileSync(join(place.folder, 'made'), 'utf8')).toBe('made\n');
  expect(place.provider.requests[0]?.headers.authorization).toBe('Bearer sk-of-the-command');
});

test('without a sandbox that allows it nothing is written', async ({ place }) => {
  const ran = await place.run(say({ call: 'exec_command', input: { cmd: 'echo x > made' } }, { text: 'tried' }));
  expect(ran).toMatchObject({ code: 0, stdout: 'tried\n' });
  expect(() => readFileSync(join(place.folder, 'made'))).toThrow(/ENOENT/);
});

test('with --resume the last conversation of the directory goes on, in another process', async ({ place }) => {
  const first = await place.run('--resume', say({ count: true }));
  expect(first).toMatchObject({ code: 2, stdout: '' });
  expect(first.stderr).toContain('run without --resume first');
  expect((await place.run(say({ count: true }))).stdout).toBe('1\n');
  expect((await place.run('--resume', say({ count: true }))).stdout).toBe('2\n');
  expect((await place.run('--resume', say({ count: true }))).stdout).toBe('3\n');
  expect((await place.run(say({ count: true }))).stdout).toBe('1\n');
});

test('with --schema the answer is JSON that fits, or a failure with exit code 1', async ({ place }) => {
  const file = join(place.folder, 'schema.json');
  const schema = {
    type: 'object',
    properties: { n: { type: 'integer' } },
    required: ['n'],
    additionalProperties: false,
  };
  writeFileSync(file, JSON.stringify(schema));
  expect(await place.run('--schema', file, say({ text: '{ "n": 3 }' }))).toMatchObject({
    code: 0,
    stdout: '{"n":3}\n',
  });
  expect(place.provider.requests[0]?.body.text?.format?.schema).toEqual(schema);
  const wrong = await place.run('--schema', file, say({ text: 'three' }));
  expect(wrong).toMatchObject({ code: 1, stdout: '' });
  expect(wrong.stderr).toContain('the answer does not fit outputSchema: it is not JSON');
  // The repair is the next turn of the same conversation.
  expect(await place.run('--schema', file, '--resume', say({ text: '{"n":3}' }))).toMatchObject({
    stdout: '{"n":3}\n',
  });
  writeFileSync(file, '[]');
  expect(await place.run('--schema', file, 'x')).toMatchObject({ code: 2, stdout: '' });
});

test('with --json everything that happens is a line, the result the last', async ({ place }) => {
  const prompt = say({ call: 'exec_command', input: { cmd: 'true' } }, { text: 'done' });
  const ran = await place.run('--json', '--sandbox', 'danger-full-access', prompt);
  expect(ran.code).toBe(0);
  const all = lines(ran.stdout);
  expect(all.map(({ type, kind }) => (type === 'event' ? kind : type)).filter((word) => word !== 'progress')).toEqual([
    'commandExecution',
    'agentMessage',
    'result',
  ]);
  expect(all.at(-1)).toMatchObject({
    type: 'result',
    conversation_id: expect.any(String) as string,
    assistant_text: 'done',
    usage: { input_tokens: 200, cached_tokens: 40, output_tokens: 60, reasoning_tokens: 20 },
  });
});

test('failures have the exit code of whose fault they are', async ({ place }) => {
  const run = (...args: string[]): Promise<Ran> => place.run(...args);
  expect(await run('--sandbox', 'open', 'x')).toMatchObject({ code: 2 });
  expect(await run('--limit', '0', 'x')).toMatchObject({ code: 2 });
  expect(await run('--limit', '1', say({ hangs: true }))).toMatchObject({ code: 1, stdout: '' });
  expect(await run(say({ status: 401 }))).toMatchObject({ code: 3, stdout: '' });
  expect(await parley(['turn', '--dir', join(place.folder, 'nowhere'), 'x'], { env: place.env })).toMatchObject({
    code: 2,
  });
  const alone = await parley(['turn', 'x'], { env: { ...place.env, OPENAI_API_KEY: '', OPENAI_BASE_URL: '' } });
  expect(alone.stderr).toContain('OPENAI_API_KEY');
  const noBinary = await run('--codex', join(place.folder, 'codex'), 'x');
  expect(noBinary).toMatchObject({ code: 2, stdout: '' });
  expect(noBinary.stderr).toContain('npm install @openai/codex@');
});

test('a prompt can be piped in', async ({ place }) => {
  const prompt = say({ text: 'from the pipe' });
  expect(await parley(['turn', '--dir', place.folder], { env: place.env, stdin: prompt })).toMatchObject({
    code: 0,
    stdout: 'from the pipe\n',
  });
  expect(await parley(['turn', '--dir', place.folder], { env: place.env })).toMatchObject({ code: 2 });
});

test('Ctrl-C interrupts the turn in good order', async ({ place }) => {
  const prompt = join(place.folder, 'prompt');
  const pid = join(place.folder, 'pid');
  writeFileSync(prompt, say({ hangs: true }));
  // The shell becomes the command, so that its process id is the one that was written down.
  const line = `echo $$ > ${pid}; exec ${process.execPath} ${MAIN} turn --dir ${place.folder} < ${prompt}`;
  const running = shell(line, place.env);
  await place.provider.hanging();
  process.kill(Number(readFileSync(pid, 'utf8')), 'SIGINT');
  const ran = await running;
  expect(ran).toMatchObject({ code: 130, stdout: '' });
  expect(ran.stderr).toContain('the turn was aborted');
  await expect.poll(() => place.provider.requests[0]?.aborted).toBe(true);
  expect((await place.run('--resume', say({ count: true }))).stdout).toBe('2\n');
});
