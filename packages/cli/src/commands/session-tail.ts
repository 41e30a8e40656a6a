// parley session tail SESSION

import type { EventRecord } from '@parley/core';
import type { Command } from 'commander';
import { contextOf, integer } from '../context.ts';
import { brief, plain, write, writeJson } from '../output.ts';

export function sessionTail(session: Command): void {
  session
    .command('tail <session>')
    .description('follow the log of a session to its end; with --json one entry to a line')
    .option('--after <seq>', 'the log after this entry', '0')
    .option('--no-follow', 'end after what is there now')
    .addHelpText(
      'after',
      '\nExample:\n  parley session tail $id --json | jq -c \'select(.type == "tool.completed")\'\n',
    )
    .action(async (id: string, options: { after: string; follow: boolean }, command: Command) => {
      const { client, json } = contextOf(command);
      const after = integer('--after', options.after, 0, Number.MAX_SAFE_INTEGER);
      const show = (event: EventRecord): Promise<void> => (json ? writeJson(event) : write(line(event)));
      if (options.follow) {
        for await (const event of client.sessions.tail(id, { after })) await show(event);
        return;
      }
      for (let seq = after, more = true; more; ) {
        const page = await client.sessions.events(id, { after: seq });
        for (const event of page.events) await show(event);
        more = page.has_more && page.events.length > 0;
        seq = page.events.at(-1)?.seq ?? seq;
      }
    });
}

/** Number, time of day, type, and what the entry says. */
function line(event: EventRecord): string {
  const { seq, at_ms, type, ...rest } = event;
  const at = new Date(at_ms).toISOString().slice(11, 23);
  return plain(`${String(seq).padStart(5)}  ${at}  ${type.padEnd(22)}  ${brief(rest)}`).concat('\n');
}
