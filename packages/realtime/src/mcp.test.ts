// Tools of a real MCP server, over the official SDK's own client and transport.

import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { InMemoryTransport } from '@modelcontextprotocol/sdk/inMemory.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { RealtimeAgent } from './agent.ts';
import { type MCPServer, mcpServer } from './mcp.ts';
import { started } from './test-support/started.ts';

async function orders(): Promise<{ client: Client; server: McpServer }> {
  const server = new McpServer({ name: 'orders', version: '1.0.0' });
  server.registerTool('find', { description: 'Finds an order.', inputSchema: { order: z.string() } }, ({ order }) => ({
    content: [{ type: 'text', text: `order ${order} ships on Friday` }],
  }));
  server.registerTool('broken', { description: 'Fails.' }, () => ({
    isError: true,
    content: [{ type: 'text', text: 'the book is lost' }],
  }));
  const client = new Client({ name: 'desk', version: '1.0.0' });
  const [mine, theirs] = InMemoryTransport.createLinkedPair();
  await Promise.all([server.connect(theirs), client.connect(mine)]);
  return { client, server };
}

test('are offered to the model, called, and answered, also when they fail', async () => {
  const { client, server } = await orders();
  const desk = new RealtimeAgent({ name: 'desk', mcpServers: [mcpServer('orders', client)] });
  const { session, scripted, time } = await started(desk, [
    {
      calls: [
        { name: 'find', arguments: { order: '42' }, callId: 'c1' },
        { name: 'broken', callId: 'c2' },
      ],
    },
    'It ships on Friday.',
  ]);
  expect(scripted.connection.session).toMatchObject({ tools: [{ name: 'find' }, { name: 'broken' }] });
  await session.sendMessage('where is 42?');
  await expect.poll(() => scripted.outputs().size).toBe(2);
  await time.settle();
  expect(scripted.outputs().get('c1')).toEqual(['order 42 ships on Friday']);
  expect(scripted.outputs().get('c2')?.[0]).toContain('the book is lost');
  await session.close();
  await server.close();
});

test('a list that changes reaches the model, and a server that cannot be had says so before anything is connected', async () => {
  let changed = (): void => {};
  let names = ['one'];
  let closed = 0;
  const server: MCPServer = {
    name: 'moody',
    listTools: async () => names.map((name) => ({ name, inputSchema: { type: 'object' } })),
    callTool: async () => 'ok',
    onToolsChanged: (listener) => {
      changed = listener;
      return () => {};
    },
    close: async () => void (closed += 1),
  };
  const { session, scripted, time, of } = await started(new RealtimeAgent({ name: 'desk', mcpServers: [server] }));
  names = ['one', 'two'];
  changed();
  await time.settle();
  expect(of('mcp_tools_changed')).toMatchObject([{ server: 'moody', tools: ['one', 'two'] }]);
  expect(scripted.framesOf('session.update').at(-1)).toMatchObject({
    session: { tools: [{ name: 'one' }, { name: 'two' }] },
  });
  await session.close();
  expect(closed).toBe(1);

  const absent: MCPServer = { ...server, listTools: () => Promise.reject(new Error('refused')) };
  await expect(started(new RealtimeAgent({ name: 'desk', mcpServers: [server, absent] }))).rejects.toMatchObject({
    code: 'unavailable',
    message: "MCP server 'moody' could not be used: refused",
  });
  // What was connected before it is let go, once.
  expect(closed).toBe(2);
});
