// MCP servers that the provider calls by itself: what it is told of them, who says yes, and what follows.

import { ParleyError } from '@parley/core';
import { expect, test } from 'vitest';
import { RealtimeAgent } from './agent.ts';
import type { RealtimeEventOf } from './events.ts';
import { handoff } from './handoff.ts';
import { hostedMcpTool } from './hosted-mcp.ts';
import type { Wire } from './history/item.ts';
import { RealtimeRunner } from './runner.ts';
import { ScriptedModel, VirtualTime } from './testing.ts';
import { started } from './test-support/started.ts';
import { tool } from './tool.ts';

const look = tool({ name: 'look', description: 'Looks.', execute: () => 'seen' });
const docs = hostedMcpTool({
  serverLabel: 'docs',
  serverUrl: 'https://docs.example/mcp',
  authorization: 'token-of-docs',
});
const desk = new RealtimeAgent({ name: 'desk', tools: [look, docs] });

const call = { type: 'mcp_call', server_label: 'docs', name: 'find', arguments: '{"q":"desk"}' };

function asks(scripted: ScriptedModel, id: string, name = 'find'): void {
  scripted.connection.add({ ...call, id, type: 'mcp_approval_request', name });
}

function answers(scripted: ScriptedModel): Wire[] {
  return scripted
    .framesOf('conversation.item.create')
    .map(({ item }) => item as Wire)
    .filter((item) => item['type'] === 'mcp_approval_response');
}

test('are told to the provider after the functions, and again when another agent takes over', async () => {
  const other = new RealtimeAgent({
    name: 'other',
    tools: [
      hostedMcpTool({
        serverLabel: 'mail',
        connectorId: 'connector_mail',
        allowedTools: ['read'],
        requireApproval: { never: ['read'] },
      }),
    ],
  });
  const { session, scripted } = await started(
    new RealtimeAgent({ name: 'desk', tools: [docs, look], handoffs: [handoff(other)] }),
    [],
  );
  expect(scripted.connection.session['tools']).toEqual([
    expect.objectContaining({ type: 'function', name: 'look' }),
    expect.objectContaining({ type: 'function', name: 'transfer_to_other' }),
    {
      type: 'mcp',
      server_label: 'docs',
      server_url: 'https://docs.example/mcp',
      authorization: 'token-of-docs',
      require_approval: 'always',
    },
  ]);
  await session.updateAgent(other);
  expect(scripted.connection.session['tools']).toEqual([
    {
      type: 'mcp',
      server_label: 'mail',
      connector_id: 'connector_mail',
      allowed_tools: ['read'],
      require_approval: { never: { tool_names: ['read'] } },
    },
  ]);
  await session.updateAgent(new RealtimeAgent({ name: 'bare' }));
  expect(scripted.connection.session['tools']).toEqual([]);
  await session.close();
});

test('a call waits for a yes or a no, said once, and the answer is asked for when it is over', async () => {
  const { session, scripted, time } = await started(desk, ['It is a walnut desk.']);
  const asked: RealtimeEventOf<'tool_approval_requested'>[] = [];
  session.on('tool_approval_requested', (event) => void asked.push(event));
  asks(scripted, 'mcpr_1');
  asks(scripted, 'mcpr_2');
  await time.settle();
  expect(asked).toHaveLength(2);
  expect(asked[0]).toMatchObject({
    tool: docs,
    approvalItem: {
      callId: 'mcpr_1',
      itemId: 'mcpr_1',
      name: 'find',
      agent: 'desk',
      serverLabel: 'docs',
      input: { q: 'desk' },
    },
  });
  expect(JSON.stringify(asked[0]?.approvalItem)).not.toContain('token-of-docs');
  await session.approve(asked[0]?.approvalItem ?? '');
  await session.reject('mcpr_2', { message: 'not today' });
  await expect(session.approve('mcpr_1')).rejects.toMatchObject({ code: 'not_found' });
  await time.settle();
  expect(answers(scripted)).toMatchObject([
    { approval_request_id: 'mcpr_1', approve: true },
    { approval_request_id: 'mcpr_2', approve: false, reason: 'not today' },
  ]);
  expect(scripted.framesOf('response.create')).toHaveLength(0);

  const done: RealtimeEventOf<'mcp_call_completed'>[] = [];
  session.on('mcp_call_completed', (event) => void done.push(event));
  scripted.connection.add({ ...call, id: 'mcp_1', output: 'walnut' });
  await time.settle();
  expect(done).toMatchObject([{ itemId: 'mcp_1', serverLabel: 'docs', name: 'find', output: 'walnut' }]);
  expect(scripted.framesOf('response.create')).toHaveLength(1);
  expect(session.history.at(-1)).toMatchObject({
    role: 'assistant',
    content: [{ transcript: 'It is a walnut desk.' }],
  });
  await session.close();
});

/** A request as its first frame says it. */
function begins(scripted: ScriptedModel, id: string, json: string): void {
  const item = { ...call, id, type: 'mcp_approval_request', arguments: json };
  scripted.connection.say({ type: 'conversation.item.added', previous_item_id: null, item });
}

async function asked() {
  const { session, scripted, time } = await started(desk, []);
  const inputs: unknown[] = [];
  session.on('tool_approval_requested', ({ approvalItem }) => void inputs.push(approvalItem.input));
  return { session, scripted, time, inputs };
}

test('nobody is asked before the arguments are there, and then once: as they are written', async () => {
  const { session, scripted, time, inputs } = await asked();
  begins(scripted, 'mcpr_1', '');
  const at = { response_id: 'r1', item_id: 'mcpr_1', output_index: 0 };
  for (const delta of ['{"q":', '"de', 'sk"']) {
    scripted.connection.say({ type: 'response.mcp_call_arguments.delta', ...at, delta });
    await time.pass(1_500);
  }
  expect(inputs).toEqual([]);
  scripted.connection.say({ type: 'response.mcp_call_arguments.done', ...at, arguments: '{"q":"desk"}' });
  await time.settle();
  expect(inputs).toEqual([{ q: 'desk' }]);
  expect(session.history.at(-1)).toMatchObject({ type: 'mcp_approval_request', arguments: '{"q":"desk"}' });
  scripted.connection.add({ ...call, id: 'mcpr_1', type: 'mcp_approval_request' });
  await time.pass(10_000);
  expect(inputs).toHaveLength(1);
  await session.approve('mcpr_1');
  await time.settle();
  expect(answers(scripted)).toMatchObject([{ approval_request_id: 'mcpr_1', approve: true }]);
  await session.close();
});

test.for([
  ['', { q: 'desk' }],
  ['{}', { q: 'desk' }],
  ['{"q":"de', { q: 'desk' }],
] as const)('a request that begins with "%s" is shown as its last frame says it', async ([json, input]) => {
  const { session, scripted, time, inputs } = await asked();
  begins(scripted, 'mcpr_1', json);
  await time.pass(1_000);
  expect(inputs).toEqual([]);
  const item = { ...call, id: 'mcpr_1', type: 'mcp_approval_request' };
  scripted.connection.say({ type: 'response.output_item.done', response_id: 'r1', output_index: 0, item });
  await time.settle();
  expect(inputs).toEqual([input]);
  await session.close();
});

test('arguments that come in pieces are whole when they read as such, though nobody says that they end', async () => {
  const { session, scripted, time, inputs } = await asked();
  begins(scripted, 'mcpr_1', '{}');
  for (const delta of ['{"q":"de', 'sk"}']) {
    scripted.connection.say({ type: 'response.mcp_call_arguments.delta', item_id: 'mcpr_1', delta });
  }
  await time.settle();
  expect(inputs).toEqual([{ q: 'desk' }]);
  await session.close();
});

test('a request that is whole at once is shown at once, though no second frame comes', async () => {
  const { session, scripted, time, inputs } = await asked();
  begins(scripted, 'mcpr_1', '{"q":"desk"}');
  await time.settle();
  expect(inputs).toEqual([{ q: 'desk' }]);
  await session.close();
});

test('one of which nothing more is heard is shown as it is: when its answer is over, or after two seconds', async () => {
  const { session, scripted, time, inputs } = await asked();
  begins(scripted, 'mcpr_1', '{}');
  scripted.connection.answer('One moment.');
  await time.settle();
  expect(inputs).toEqual([{}]);
  begins(scripted, 'mcpr_2', '');
  await time.pass(1_900);
  expect(inputs).toHaveLength(1);
  await time.pass(200);
  expect(inputs).toEqual([{}, undefined]);
  await session.close();
});

test('one that still waits for its arguments is forgotten with its connection, and counts against the limit', async () => {
  const { session, scripted, time } = await started(desk, [], { config: { limits: { toolsInFlight: 2 } } });
  let shown = 0;
  session.on('tool_approval_requested', () => void (shown += 1));
  for (const id of ['mcpr_1', 'mcpr_2', 'mcpr_3']) begins(scripted, id, '');
  await time.settle();
  expect(answers(scripted)).toMatchObject([{ approval_request_id: 'mcpr_3', approve: false }]);
  scripted.connection.drop();
  await time.pass(10_000);
  expect(shown).toBe(0);
  await session.close();
});

test('a yes for always is for this tool of this server', async () => {
  const { session, scripted, time } = await started(desk, []);
  let asked = 0;
  session.on('tool_approval_requested', ({ approvalItem }) => {
    asked += 1;
    return session.approve(approvalItem, { always: approvalItem.name === 'find' });
  });
  for (const [at, name] of ['find', 'find', 'drop', 'drop'].entries()) {
    asks(scripted, `mcpr_${at}`, name);
    await time.settle();
  }
  expect(asked).toBe(3);
  expect(answers(scripted)).toHaveLength(4);
  await session.close();
});

test('onApproval decides without asking; one that says nothing or throws asks', async () => {
  const judged = hostedMcpTool<{ admin: boolean }>({
    serverLabel: 'docs',
    serverUrl: 'https://docs.example/mcp',
    onApproval: (_, { name }) => {
      if (name === 'find') return true;
      if (name === 'drop') return { approve: false, reason: 'never' };
      if (name === 'odd') throw new Error('no idea');
      return undefined;
    },
  });
  const { session, scripted, time } = await started(new RealtimeAgent({ name: 'desk', tools: [judged] }), []);
  const asked: string[] = [];
  const errors: string[] = [];
  session.on('tool_approval_requested', ({ approvalItem }) => void asked.push(approvalItem.name));
  session.on('error', ({ error, source }) => void errors.push(`${source}: ${error.message}`));
  for (const name of ['find', 'drop', 'odd', 'else']) asks(scripted, `mcpr_${name}`, name);
  await time.settle();
  expect(answers(scripted)).toMatchObject([
    { approval_request_id: 'mcpr_find', approve: true },
    { approval_request_id: 'mcpr_drop', approve: false, reason: 'never' },
  ]);
  expect(asked.toSorted()).toEqual(['else', 'odd']);
  expect(errors).toEqual(['tool: no idea']);
  await session.close();
});

test('a request of a connection that was lost is forgotten, and what a call gave is told to the next one', async () => {
  const { session, scripted, time } = await started(desk, []);
  scripted.connection.add({ ...call, id: 'mcp_1', output: 'walnut' });
  await time.settle();
  asks(scripted, 'mcpr_1');
  await time.settle();
  scripted.connection.drop();
  await time.pass(1_000);
  expect(scripted.connections).toHaveLength(2);
  await expect(session.approve('mcpr_1')).rejects.toMatchObject({ code: 'not_found' });
  // As what a tool said, and not as what the program says.
  expect(scripted.connection.conversation.filter(({ type }) => type !== 'message')).toMatchObject([
    { id: 'mcp_1', type: 'function_call', call_id: 'mcp_1', name: 'docs_find', arguments: '{"q":"desk"}' },
    { type: 'function_call_output', call_id: 'mcp_1', output: 'walnut' },
  ]);
  expect(JSON.stringify(scripted.connection.conversation)).not.toContain('"system"');
  expect(session.history.find(({ itemId }) => itemId === 'mcp_1')).toMatchObject({
    type: 'mcp_call',
    output: 'walnut',
  });
  await session.close();
});

test('a call that failed says why, the list of a server is told, and a list that cannot be had is an error', async () => {
  const { session, scripted, time } = await started(desk, []);
  const told: object[] = [];
  session.on('mcp_call_completed', ({ error, output }) => void told.push({ error, output }));
  session.on('mcp_tools_changed', ({ server, tools }) => void told.push({ server, tools }));
  session.on('error', ({ error }) => void told.push({ code: error.code }));
  scripted.connection.add({ ...call, id: 'mcp_1', error: { type: 'http_error', code: 502, message: 'bad gateway' } });
  scripted.connection.add({
    id: 'mcpl_1',
    type: 'mcp_list_tools',
    server_label: 'docs',
    tools: [{ name: 'find' }, { name: 'drop' }],
  });
  scripted.connection.say({ type: 'mcp_list_tools.failed', item_id: 'mcpl_2' });
  await time.settle();
  expect(told).toEqual([
    { error: 'bad gateway', output: null },
    { server: 'docs', tools: ['find', 'drop'] },
    { code: 'unavailable' },
  ]);
  await session.close();
});

test('where the program wants to ask for the answer itself, it is left to it', async () => {
  const { session, scripted, time } = await started(desk, ['Walnut.'], {
    config: { toolExecution: { respondToHostedCalls: false } },
  });
  scripted.connection.add({ ...call, id: 'mcp_1', output: 'walnut' });
  await time.settle();
  expect(scripted.framesOf('response.create')).toHaveLength(0);
  session.respond();
  await time.settle();
  expect(scripted.framesOf('response.create')).toHaveLength(1);
  await session.close();
});

test('a server without an address, two with one label, and a provider that calls none are refused by name', async () => {
  expect(() => hostedMcpTool({ serverLabel: 'docs' })).toThrow(
    "MCP server 'docs' needs either a serverUrl or a connectorId",
  );
  expect(() => hostedMcpTool({ serverLabel: '1 docs', serverUrl: 'https://docs.example/mcp' })).toThrow(
    'serverLabel must begin',
  );
  await expect(started(new RealtimeAgent({ name: 'desk', tools: [docs, docs] }), [])).rejects.toThrow(
    "agent 'desk' has two MCP servers labelled 'docs'",
  );
  const scripted = new ScriptedModel({ time: new VirtualTime() });
  const runner = new RealtimeRunner(desk, { model: { ...scripted.model, provider: 'gemini' } });
  const refusal = await runner.run().catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(ParleyError);
  expect(refusal).toMatchObject({ code: 'failed_precondition', details: { got: 'gemini' } });
  expect(scripted.connections).toHaveLength(0);
});
