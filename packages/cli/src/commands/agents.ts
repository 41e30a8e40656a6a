// parley agents

import type { Command } from 'commander';
import { contextOf } from '../context.ts';
import { table, time, write, writeJson } from '../output.ts';

export function agents(program: Command): void {
  program
    .command('agents [name]')
    .description('agents, what they offer, and whether they are connected; with --json one to a line')
    .action(async (name: string | undefined, _options: unknown, command: Command) => {
      const { client, json } = contextOf(command);
      const list = name === undefined ? await client.agents.list() : [await client.agents.get(name)];
      if (json) {
        for (const agent of list) await writeJson(agent);
        return;
      }
      const rows = [['TARGET', 'KIND', 'STATUS', 'LINKS', 'LAST SEEN']];
      for (const { agent, status, links, sessions, functions, last_seen_ms } of list) {
        const rest = [status, String(links.length), time(last_seen_ms)];
        for (const one of sessions) rows.push([`${agent}.${one.name}`, `${one.provider}/${one.transport}`, ...rest]);
        for (const one of functions) rows.push([`${agent}.${one.name}`, one.kind, ...rest]);
        if (sessions.length + functions.length === 0) rows.push([agent, 'nothing declared', ...rest]);
      }
      await write(table(rows));
    });
}
