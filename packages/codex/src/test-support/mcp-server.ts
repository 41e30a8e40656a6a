// An MCP server over stdio, as small as one can be: `look` reads, `write` writes, `slow` takes a minute, `broken` fails. The argument
// is put into its answers; with `refuse` it does not start.

const [tag = 'mcp'] = process.argv.slice(2);
if (tag === 'refuse') process.exit(3);

const object = { type: 'object', properties: { what: { type: 'string' } } };
const TOOLS = [
  { name: 'look', description: 'Looks.', inputSchema: object, annotations: { readOnlyHint: true } },
  { name: 'write', description: 'Writes.', inputSchema: object, annotations: { readOnlyHint: false } },
  { name: 'slow', description: 'Takes a minute.', inputSchema: object, annotations: { readOnlyHint: true } },
  { name: 'broken', description: 'Fails.', inputSchema: object, annotations: { readOnlyHint: true } },
];

interface Request {
  readonly id?: number | string;
  readonly method: string;
  readonly params?: { readonly protocolVersion?: string; readonly name?: string; readonly arguments?: unknown };
}

function resultOf({ method, params }: Request): unknown {
  switch (method) {
    case 'initialize':
      return {
        protocolVersion: params?.protocolVersion,
        capabilities: { tools: {} },
        serverInfo: { name: tag, version: '1' },
      };
    case 'tools/list':
      return { tools: TOOLS };
    case 'tools/call': {
      const text = `${tag}: ${params?.name} ${JSON.stringify(params?.arguments)} in ${process.cwd()}`;
      return { content: [{ type: 'text', text }], isError: params?.name === 'broken' };
    }
    default:
      return {};
  }
}

let rest = '';
process.stdin.setEncoding('utf8').on('data', (text: string) => {
  const lines = (rest + text).split('\n');
  rest = lines.pop() ?? '';
  for (const line of lines) {
    const request = JSON.parse(line) as Request;
    if (request.id === undefined) continue;
    const reply = `${JSON.stringify({ jsonrpc: '2.0', id: request.id, result: resultOf(request) })}\n`;
    setTimeout(() => process.stdout.write(reply), request.params?.name === 'slow' ? 60_000 : 0);
  }
});
process.stdin.on('end', () => process.exit(0));
