// parley session close SESSION

import type { Command } from 'commander';
import { contextOf } from '../context.ts';
import { table, write, writeJson } from '../output.ts';

export function sessionClose(session: Command): void {
  session
    .command('close <session>')
    .description('end a session; one that has ended stays as it is')
    .option('--reason <text>', 'written into its log')
    .action(async (id: string, options: { reason?: string }, command: Command) => {
      const { client, json } = contextOf(command);
      const closed = await client.sessions.close(id, options.reason);
      await (json ? writeJson(closed) : write(table([[closed.session_id, closed.status]])));
    });
}
