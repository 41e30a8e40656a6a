import { mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { AgentTurnEvent } from '@parley/turns';
import { expect, test as base } from 'vitest';
import type { McpServer } from './options.ts';
import { type Lab, lab } from './test-support/codex-test.ts';
import { processesWith, runnerOf, steps } from './test-support/workbench.ts';

const test = base.extend<Lab>(lab);

const SCRIPT = fileURLToPath(new URL('./test-support/mcp-server.ts', import.meta.url));
let made = 0;
/** A server whose processes can be told from all others. */
const server = (extra: Partial<McpServer> = {}): { tag: string; server: McpServer } => {
  const tag = `mcp-${process.pid}-${++made}`;
  return { tag, server: { command: process.execPath, args: [SCRIPT, tag], ...extra } };
};
const call = (tool: string, name = 'site') =>
  steps({ call: tool, input: { what: 'it' }, namespace: `mcp__${name}` }, { text: 'done' });
const toolCall = (events: readonly AgentTurnEvent[]) => events.find(({ kind }) => kind === 'mcpToolCall');

test('a tool that reads is called; one that writes needs an approval, which never gives', async ({ lab }) => {
  const { tag, server: site } = server();
  const { runner } = await runnerOf(lab, { mcpServers: { site } });
  const read = toolCall((await runner.turn(call('look'))).events);
  expect(read).toMatchObject({ summary: 'site.look', metadata: { status: 'completed' } });
  expect(JSON.stringify(read?.metadata['result'])).toContain(`${tag}: look`);
  expect(JSON.stringify(read?.metadata['result'])).toContain(lab.folder);
  const write = toolCall((await runner.turn(call('write'))).events);
  expect(write?.metadata).toMatchObject({ status: 'failed' });
});

test('with writes `always` a tool that writes runs unasked', async ({ lab }) => {
  const { runner } = await runnerOf(lab, { mcpServers: { site: server({ writes: 'always' }).server } });
  expect(toolCall((await runner.turn(call('write'))).events)?.metadata).toMatchObject({ status: 'completed' });
});

test('under on-request the host is asked, and its answer holds', async ({ lab }) => {
  const answers = ['decline', 'accept'] as const;
  const asked: string[] = [];
  const { runner } = await runnerOf(
    lab,
    {
      mcpServers: { site: server().server },
      approve: ({ kind, summary }) => answers[asked.push(`${kind} ${summary}`) - 1] ?? 'decline',
    },
    { approval: 'on-request' },
  );
  const declined = await runner.turn(call('write'));
  expect(toolCall(declined.events)?.metadata).toMatchObject({ status: 'failed' });
  const accepted = await runner.turn(call('write'));
  expect(toolCall(accepted.events)?.metadata).toMatchObject({ status: 'completed' });
  expect(asked).toEqual([expect.stringMatching(/^mcp site: /), expect.stringMatching(/^mcp site: /)]);
  expect(accepted.events.find(({ kind }) => kind === 'approval')?.metadata).toMatchObject({
    decision: 'accept',
    by: 'host',
  });
});

test('an agent has only the tools and servers that its config names', async ({ lab }) => {
  const one = server();
  const two = server();
  const { factory, runner } = await runnerOf(
    lab,
    { mcpServers: { one: one.server, two: two.server } },
    { tools: { one: ['look'] } },
  );
  await runner.turn(steps({ text: 'x' }));
  const narrowed = JSON.stringify(lab.provider.requests.at(-1)?.body.tools);
  expect(narrowed).toContain('mcp__one');
  expect(narrowed).toContain('"look"');
  expect(narrowed).not.toContain('"write"');
  expect(narrowed).not.toContain('mcp__two');
  expect(await processesWith(two.tag)).toEqual([]);
  const all = await factory.runner({ workingDirectory: lab.folder });
  await all.turn(steps({ text: 'x' }));
  const wide = JSON.stringify(lab.provider.requests.at(-1)?.body.tools);
  expect(wide).toContain('"write"');
  expect(wide).toContain('mcp__two');
  await expect(factory.runner({ workingDirectory: lab.folder, tools: { three: [] } })).rejects.toMatchObject({
    code: 'invalid_argument',
    message: expect.stringContaining('it has: one, two') as string,
  });
});

test('a tool that fails is told to the model, and the turn goes on', async ({ lab }) => {
  const { runner } = await runnerOf(lab, { mcpServers: { site: server().server } });
  const { events, assistantText } = await runner.turn(call('broken'));
  expect(toolCall(events)?.metadata).toMatchObject({ status: 'failed' });
  expect(assistantText).toBe('done');
});

test('a tool that is slow ends at its own limit, and the turn goes on', async ({ lab }) => {
  const { runner } = await runnerOf(lab, { mcpServers: { site: server({ toolTimeoutMs: 500 }).server } });
  const { events, assistantText } = await runner.turn(call('slow'));
  expect(toolCall(events)?.metadata).toMatchObject({ status: 'failed' });
  expect(assistantText).toBe('done');
});

test('without a server that is required there is no conversation; without another one there is', async ({ lab }) => {
  const broken: McpServer = { command: process.execPath, args: [SCRIPT, 'refuse'], startupTimeoutMs: 5000 };
  const { factory, runner } = await runnerOf(lab, { mcpServers: { site: { ...broken, required: true } } });
  await expect(runner.turn(steps({ text: 'x' }))).rejects.toMatchObject({
    details: { reason: 'rejected' },
    message: expect.stringContaining('site') as string,
  });
  expect(factory.state).toBe('ready');
  const other = await runnerOf(lab, { mcpServers: { site: broken } });
  expect((await other.runner.turn(steps({ text: 'without' }))).assistantText).toBe('without');
});

test('servers are processes of a conversation, and end with it', async ({ lab }) => {
  const { tag, server: site } = server({ env: { SITE_SECRET: 'sk-of-the-site' } });
  const { factory, runner } = await runnerOf(lab, { mcpServers: { site } });
  const other = await factory.runner({ workingDirectory: lab.folder });
  await runner.turn(call('look'));
  await other.turn(call('look'));
  expect(await processesWith(tag)).toHaveLength(2);
  await runner.dispose();
  await expect.poll(() => processesWith(tag)).toHaveLength(1);
  await factory.close();
  await expect.poll(() => processesWith(tag)).toEqual([]);
});

test('a server that is needed and does not start costs its own agent, and says so; nobody else', async ({ lab }) => {
  const stuck = { command: 'sleep', args: ['600'], required: true, startupTimeoutMs: 3000 };
  const { factory, runner } = await runnerOf(lab, { mcpServers: { stuck }, cleanUpMs: 500 });
  const turn = runner.turn(steps({ text: 'x' }), { timeoutSeconds: 0.5 });
  await expect(turn).rejects.toMatchObject({
    details: {
      reason: 'timeout',
      waiting_for: expect.stringMatching(/begin the conversation.* needs: stuck$/) as string,
    },
  });
  const other = await factory.runner({ workingDirectory: lab.folder, tools: {} });
  expect((await other.turn(steps({ text: 'y' }))).assistantText).toBe('y');
  await expect(runner.turn(steps({ text: 'x' }))).rejects.toMatchObject({
    details: { reason: 'rejected' },
    message: expect.stringContaining('stuck') as string,
  });
  expect(factory.state).toBe('ready');
  await runner.dispose();
});

test('servers of the config in a home are not used', async ({ lab }) => {
  const { tag, server: site } = server();
  const home = `${lab.folder}/home`;
  await mkdir(home);
  await writeFile(
    `${home}/config.toml`,
    `[mcp_servers.theirs]\ncommand = ${JSON.stringify(site.command)}\nargs = ${JSON.stringify(site.args)}\n`,
  );
  const { runner } = await runnerOf(lab, { home });
  await runner.turn(steps({ text: 'x' }));
  expect(JSON.stringify(lab.provider.requests.at(-1)?.body.tools)).not.toContain('theirs');
  expect(await processesWith(tag)).toEqual([]);
});
