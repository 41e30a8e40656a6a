import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ParleyError } from '@parley/client';
import { knownProviders, type SessionDeclaration } from '@parley/core';
import { expect, test, vi } from 'vitest';
import { retirementNotes } from './commands/doctor.ts';
import { deadUrl, parley, serverThat, shell } from './command.test.fake.ts';

// Each command is a process of its own, and a test may start six of them.
vi.setConfig({ testTimeout: 40_000 });

function refusing(error: ParleyError) {
  return serverThat((_request, response) => {
    response.writeHead(error.httpStatus, { 'content-type': 'application/json' });
    response.end(JSON.stringify(error.toBody('req_9')));
  });
}

test('--version and --help are answers: they go to stdout with exit code 0', async () => {
  const version = await parley(['--version']);
  expect(version).toMatchObject({ code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) as string, stderr: '' });
  const help = await parley(['--help']);
  expect(help.code).toBe(0);
  for (const word of [
    'serve',
    'simulator',
    'session',
    'agents',
    'execute',
    'providers',
    'doctor',
    'Exit codes',
    'PARLEY_URL',
  ]) {
    expect(help.stdout).toContain(word);
  }
});

test('a command line that is not understood is exit code 2, and stdout stays empty', async () => {
  for (const args of [
    ['nonsense'],
    ['session', 'start'],
    ['session', 'list', '--no-such'],
    ['session', 'list', '--limit', 'ten'],
  ]) {
    const ran = await parley(args);
    expect({ args, code: ran.code, stdout: ran.stdout }).toEqual({ args, code: 2, stdout: '' });
    expect(ran.stderr).not.toBe('');
  }
});

test('nobody at the address is exit code 3, with the address and what to do', async () => {
  const url = await deadUrl();
  const ran = await parley(['session', 'close', 'sess_1', '--url', url]);
  expect(ran).toMatchObject({ code: 3, stdout: '' });
  expect(ran.stderr).toContain(`parley: unavailable: no answer from ${url}`);
  expect(ran.stderr).toContain('parley serve');
});

test('an error of the server is one line with its code, and the exit code tells whose fault it is', async () => {
  const cases = [
    [new ParleyError('not_found', 'no session sess_1'), 2],
    [new ParleyError('unauthenticated', 'this key is not known'), 3],
    [new ParleyError('permission_denied', 'not yours'), 3],
    [new ParleyError('internal', 'oops'), 3],
    [new ParleyError('resource_exhausted', 'full', { retryable: false }), 2],
  ] as const;
  for (const [error, code] of cases) {
    await using server = await refusing(error);
    const ran = await parley(['session', 'show', 'sess_1'], { env: { PARLEY_URL: server.url } });
    expect(ran).toMatchObject({ code, stdout: '' });
    expect(ran.stderr.split('\n')[0]).toBe(`parley: ${error.code}: ${error.message} (req_9)`);
  }
});

test('with --json an error is its body on one line of stderr', async () => {
  await using server = await refusing(new ParleyError('not_found', 'no session sess_1'));
  const ran = await parley(['session', 'show', 'sess_1', '--url', server.url, '--json']);
  expect(ran).toMatchObject({ code: 2, stdout: '' });
  expect(JSON.parse(ran.stderr)).toEqual({
    error: { code: 'not_found', message: 'no session sess_1', retryable: false, request_id: 'req_9' },
  });
});

test('the key comes from the variable or a file; in the command line it earns a warning', async () => {
  const keys: (string | undefined)[] = [];
  await using server = await serverThat((request, response) => {
    keys.push(request.headers.authorization);
    response.end(JSON.stringify({ agents: [] }));
  });
  const file = join(mkdtempSync(join(tmpdir(), 'parley-')), 'key');
  writeFileSync(file, 'key-of-the-file\n');
  const env = { PARLEY_URL: server.url, PARLEY_KEY: 'key-of-the-variable' };
  expect((await parley(['agents'], { env })).stderr).toBe('');
  expect((await parley(['agents', '--key-file', file], { env })).stderr).toBe('');
  const plain = await parley(['agents', '--key', 'key-in-the-open'], { env });
  expect(plain.stderr).toMatch(/^parley: warning: /);
  expect(plain.stderr).not.toContain('key-in-the-open');
  expect(keys).toEqual(['Bearer key-of-the-variable', 'Bearer key-of-the-file', 'Bearer key-in-the-open']);
  expect(await parley(['agents', '--key-file', '/nowhere/key'], { env })).toMatchObject({ code: 2 });
});

test('input is taken from the argument, a file, and a pipe, and nothing else is invented', async () => {
  const bodies: unknown[] = [];
  await using server = await serverThat((request, response) => {
    let text = '';
    request.setEncoding('utf8').on('data', (chunk: string) => (text += chunk));
    request.on('end', () => {
      bodies.push(JSON.parse(text));
      response.end(JSON.stringify({ execution_id: 'exec_1', status: 'succeeded', output: { day: 'Friday' } }));
    });
  });
  const file = join(mkdtempSync(join(tmpdir(), 'parley-')), 'input.json');
  writeFileSync(file, '{"from":"file"}');
  const env = { PARLEY_URL: server.url };
  const args = ['session', 'tool', 'sess_1', 'lookup'];
  const inline = await parley([...args, '--in', '{"from":"argument"}', '--target', 'support.lookup'], { env });
  expect(inline).toEqual({ code: 0, stdout: '{"day":"Friday"}\n', stderr: '' });
  await parley([...args, '--in', `@${file}`], { env });
  await parley(args, { env, stdin: '{"from":"pipe"}' });
  await parley([...args, '--in', '-'], { env, stdin: '{"from":"dash"}' });
  await parley(args, { env });
  expect(bodies).toEqual([
    { input: { from: 'argument' }, target: 'support.lookup' },
    { input: { from: 'file' } },
    { input: { from: 'pipe' } },
    { input: { from: 'dash' } },
    {},
  ]);
  const wrong = await parley([...args, '--in', '{nonsense'], { env });
  expect(wrong.code).toBe(2);
  expect(wrong.stderr).toContain('parley: invalid_argument: --in must be JSON');
  expect(await parley([...args, '--in', '@/nowhere'], { env })).toMatchObject({ code: 2 });
  expect(bodies).toHaveLength(5);
});

test('a function that failed is exit code 1, with its error on stderr', async () => {
  const error = { code: 'internal', message: 'no such order', retryable: false };
  await using server = await serverThat((_request, response) =>
    response.end(JSON.stringify({ execution_id: 'exec_1', status: 'failed', error })),
  );
  const ran = await parley(['execute', 'support.lookup', '--url', server.url]);
  expect(ran).toEqual({ code: 1, stdout: '', stderr: 'parley: exec_1 failed: internal: no such order\n' });
});

test('a reader that has enough ends the command quietly', async () => {
  let seq = 0;
  await using server = await serverThat((_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const timer = setInterval(() => {
      seq += 1;
      response.write(`id: ${seq}\ndata: ${JSON.stringify({ seq, at_ms: 1, type: 'handler.completed' })}\n\n`);
    }, 1);
    response.on('close', () => clearInterval(timer));
  });
  const ran = await shell('parley session tail sess_1 --json | head -1', { PARLEY_URL: server.url });
  expect(ran).toEqual({ code: 0, stdout: '{"seq":1,"at_ms":1,"type":"handler.completed"}\n', stderr: '' });
});

test('text of others cannot play with the terminal', async () => {
  await using server = await serverThat((_request, response) =>
    response.end(JSON.stringify({ session_id: 'sess_1', status: '\u001b[2Jlive' })),
  );
  const ran = await parley(['session', 'close', 'sess_1', '--url', server.url]);
  expect(ran.stdout).not.toContain('\u001b');
});

test('doctor of a machine without a control plane says so, and exits with 3', async () => {
  const ran = await parley(['doctor', '--json', '--url', await deadUrl()]);
  expect(ran.code).toBe(3);
  const { usable, checks } = JSON.parse(ran.stdout) as {
    usable: boolean;
    checks: { name: string; result: string; says: string }[];
  };
  expect(usable).toBe(false);
  expect(checks.map(({ name, result }) => `${name} ${result}`).slice(0, 2)).toEqual(['node ok', 'server failed']);
  // What is missing here is said all the same.
  expect(checks.find(({ name }) => name === 'openrouter')?.says).toContain('OPENROUTER_API_KEY');
});

test('providers are a table for people, and a row of data each for programs', async () => {
  const shown = await parley(['providers']);
  expect(shown.code).toBe(0);
  expect(shown.stdout).toMatch(/^gemini +.*websocket/m);
  expect(shown.stdout).toMatch(/^openai +gpt-realtime +retires on 2027-01-20$/m);
  const { stdout } = await parley(['providers', '--json']);
  const rows = stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { provider: string; usage_unit: string });
  expect(rows.map((row) => row.provider)).toEqual(knownProviders());
  expect(rows.find((row) => row.provider === 'openai_live')?.usage_unit).toBe('seconds');
});

test('doctor names models that are about to go, and those that are gone', () => {
  const sessions = [
    { name: 'voice', provider: 'openai', transport: 'websocket', model: 'gpt-realtime' },
    { name: 'other', provider: 'openai', transport: 'websocket' },
  ] as SessionDeclaration[];
  const notes = (now: string) => retirementNotes([{ agent: 'shop', sessions }], Date.parse(now));
  expect(notes('2026-11-21')).toEqual([
    {
      name: 'model',
      result: 'note',
      says: 'shop.voice uses gpt-realtime, which retires on 2027-01-20; gpt-realtime-2.1 is current',
    },
  ]);
  expect(notes('2027-02-01')).toMatchObject([{ result: 'failed' }]);
});
