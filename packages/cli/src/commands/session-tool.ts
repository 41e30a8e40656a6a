// parley session tool SESSION TOOL

import type { Command } from 'commander';
import { contextOf } from '../context.ts';
import { readInput } from '../input.ts';
import { writeExecution } from '../execution-text.ts';

export function sessionTool(session: Command): void {
  session
    .command('tool <session> <tool>')
    .description("call a tool of a session's allowlist, as its model could")
    .option('--target <agent.function>', 'what the tool must stand for; refused when it stands for something else')
    .option('--in <json>', 'input: inline JSON, @file, or - for stdin (read by itself when it is piped)')
    .addHelpText('after', `\nExample:\n  parley session tool $id lookup_order --in '{"order":"42"}'\n`)
    .action(async (id: string, tool: string, options: { target?: string; in?: string }, command: Command) => {
      const { client, json } = contextOf(command);
      const input = await readInput(options.in);
      const call = { input, ...(options.target === undefined ? {} : { target: options.target }) };
      await writeExecution(await client.sessions.tool(id, tool, call), json);
    });
}
