// A spoken call, a real control plane, the real Codex, and a provider on loopback that knows one trick.

import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connectSession, ParleyClient } from '@parley/client';
import { startCodex } from '@parley/codex';
import { noCodex, promptsOf, startScriptedProvider } from '@parley/codex/testing';
import { startServer } from '@parley/server';
import { startSimulator } from '@parley/simulator';
import { decodeSpeech, encodeSpeech, readWav } from '@parley/simulator/speech';
import { type AgentSessionFactory, turnError } from '@parley/turns';
import { FakeAgentSessionFactory } from '@parley/turns/testing';
import { expect, test } from 'vitest';
import { converse } from '../demo/conversation.ts';
import { coderAgent } from './agent.ts';

/** What the model makes of the words of the caller. */
const mend = [
  { call: 'exec_command', input: { cmd: 'sed -i s/Firday/Friday/ shop.txt && cat shop.txt', yield_time_ms: 5000 } },
  { text: 'The shop now says Friday.' },
];

/** A desk with a control plane, for an agent on any backend. */
async function opened(stack: AsyncDisposableStack, factory: AgentSessionFactory, folder: string) {
  const simulator = stack.use(await startSimulator());
  const server = stack.use(
    await startServer({
      port: 0,
      data: ':memory:',
      log_level: 'silent',
      providers: { simulator: { base_url: `${simulator.url}/v1`, key: 'simulator' } },
    }),
  );
  const agent = coderAgent(factory, folder).start({ url: server.url });
  stack.defer(() => agent.stop());
  await agent.ready;
  return { url: server.url, client: new ParleyClient({ url: server.url }) };
}

test('who speaks over the work takes it back, what fails is said, and the call goes on', async () => {
  await using stack = new AsyncDisposableStack();
  const factory = stack.use(
    new FakeAgentSessionFactory({
      script: ({ prompt }) => ({
        text: `Did: ${prompt}`,
        ...(prompt === 'a long thing' && { delayMs: Number.POSITIVE_INFINITY, cleanUpMs: 200 }),
        ...(prompt === 'the impossible' && { error: turnError('turn_failed', 'as scripted') }),
      }),
    }),
  );
  await factory.start();
  const { url, client } = await opened(stack, factory, tmpdir());
  const { session_id, client_token } = await client.sessions.start('coder.desk');
  const socket = await connectSession({ url, sessionId: session_id, token: client_token });
  const said = async () => {
    const { events } = await client.sessions.events(session_id);
    return events.flatMap((event) => (event.type === 'say.requested' ? [event['text']] : []));
  };

  socket.sendText('a long thing');
  await expect.poll(() => factory.turns.length).toBe(1);
  socket.sendText('a short thing');
  await expect.poll(said).toEqual(['Did: a short thing']);
  socket.sendText('the impossible');
  await expect.poll(said).toEqual(['Did: a short thing', 'I could not do that. Shall I try again?']);
  socket.sendText('another thing');
  await expect.poll(said).toHaveLength(3);

  const alone = await client.executions.execute('coder.fix', { problem: 'no call' });
  expect(alone.output).toMatchObject({ spoken_response: 'Did: no call' });
  expect(factory.turns.map(({ prompt, index }) => [prompt, index])).toEqual([
    ['a long thing', 0],
    ['a short thing', 1],
    ['the impossible', 2],
    ['another thing', 3],
    ['no call', 0],
  ]);
  await client.sessions.close(session_id);
  // Each conversation ends with the call, or with the work.
  await expect.poll(() => factory.runners.map(({ turns }) => turns.length)).toEqual([0, 0]);
});

test('what a caller says is done by Codex, spoken back, and noted in the workflow', async ({ skip }) => {
  const why = noCodex();
  skip(why !== null, why ?? '');
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), 'parley-coder-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'shop.txt'), 'Your order ships on Firday.\n');
  const heard: string[] = [];
  const provider = stack.use(await startScriptedProvider({ stepsOf: (prompt) => (heard.push(prompt), mend) }));
  const factory = stack.use(
    await startCodex({ providers: [{ id: 'scripted', baseUrl: provider.url, key: 'sk-none' }], model: 'scripted' }),
  );
  const { url, client } = await opened(stack, factory, folder);

  const { report, workflow } = await converse({
    client,
    url,
    target: 'coder.desk',
    audio: await encodeSpeech('The shop says Firday. Please mend it.'),
    directory: folder,
    listener: { said: () => undefined, tool: () => undefined },
    signal: AbortSignal.timeout(60_000),
  });

  expect(await readFile(join(folder, 'shop.txt'), 'utf8')).toBe('Your order ships on Friday.\n');
  expect(promptsOf(provider.requests[0]!.body)).toEqual(['The shop says Firday. Please mend it.']);
  const reply = readWav(await readFile(report.reply_wav));
  expect(await decodeSpeech(reply.samples, reply.sampleRate)).toContain('The shop now says Friday.');
  expect(workflow.nodes.map(({ target, kind, status }) => [target, kind, status])).toEqual([
    ['coder.desk', 'session', 'succeeded'],
    ['coder.fix', 'reasoner', 'succeeded'],
  ]);
  const fix = await client.executions.get(workflow.nodes[1]!.execution_id);
  expect(fix.output).toMatchObject({ spoken_response: 'The shop now says Friday.' });
  expect(fix.notes).toMatchObject([
    { text: expect.stringMatching(/^commandExecution: .*sed -i/) as string, data: { exitCode: 0 } },
    { text: 'agentMessage: The shop now says Friday.' },
  ]);
});
