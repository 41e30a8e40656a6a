// parley session list

import type { SessionStatus } from '@parley/core';
import type { Command } from 'commander';
import { contextOf, integer } from '../context.ts';
import { note, table, time, write, writeJson } from '../output.ts';

interface ListOptions {
  status?: string;
  agent?: string;
  target?: string;
  limit: string;
  cursor?: string;
  all?: boolean;
}

export function sessionList(session: Command): void {
  session
    .command('list')
    .description('sessions, newest first; with --json one to a line')
    .option('--status <status>', 'starting, live, closing or closed')
    .option('--agent <name>', 'of this agent')
    .option('--target <agent.session>', 'of this target')
    .option('--limit <n>', 'sessions in a page', '50')
    .option('--cursor <cursor>', 'the page after this one')
    .option('--all', 'every page')
    .action(async (options: ListOptions, command: Command) => {
      const { client, json } = contextOf(command);
      const { agent, target, cursor } = options;
      const filter = {
        // The server knows the words, and names them when one is wrong.
        status: options.status as SessionStatus | undefined,
        agent,
        target,
        cursor,
        limit: integer('--limit', options.limit, 1, 200),
      };
      const page = options.all ? null : await client.sessions.list(filter);
      const rows: string[][] = [['SESSION', 'STATUS', 'TARGET', 'STARTED', 'TURNS', 'TOOLS', 'END']];
      for await (const one of page ? page.sessions : client.sessions.all(filter)) {
        if (json) {
          await writeJson(one);
          continue;
        }
        const { session_id, status, created_at_ms, turns, tool_calls } = one;
        const end = one.error?.code ?? one.close_reason ?? '';
        rows.push([session_id, status, one.target, time(created_at_ms), String(turns), String(tool_calls), end]);
      }
      if (!json) await write(table(rows));
      if (page?.next_cursor !== undefined) note(`more: --cursor ${page.next_cursor}, or --all`);
    });
}
