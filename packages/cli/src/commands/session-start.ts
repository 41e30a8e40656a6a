// parley session start TARGET

import type { Command } from 'commander';
import { randomUUID } from 'node:crypto';
import { contextOf } from '../context.ts';
import { readInput } from '../input.ts';
import { fields, time, write, writeJson } from '../output.ts';

export interface StartOptions {
  provider?: string;
  transport?: string;
  model?: string;
  voice?: string;
  instructions?: string;
  metadata?: string;
}

export function addStartOptions(command: Command): Command {
  return command
    .option('--provider <name>', 'must be the declared one: Parley does not infer or switch providers')
    .option('--transport <name>', 'must be the declared one')
    .option('--model <name>', 'instead of the declared model')
    .option('--voice <name>', 'instead of the declared voice')
    .option('--instructions <text>', 'instead of the declared instructions')
    .option('--metadata <json>', 'a JSON object to keep with the session, inline or @file');
}

/** The body of a start request, with nothing in it that was not said. */
export async function startRequestOf(options: StartOptions) {
  const { provider, transport, model, voice, instructions } = options;
  const metadata = options.metadata === undefined ? undefined : await readInput(options.metadata);
  const request = { provider, transport, model, voice, instructions, metadata: metadata as Record<string, unknown> };
  return Object.fromEntries(Object.entries(request).filter(([, value]) => value !== undefined));
}

export function sessionStart(session: Command): void {
  addStartOptions(session.command('start <target>'))
    .description('start a session of a target (agent.session); prints its id, or with --json the whole answer')
    .option('--idempotency-key <key>', 'the same key twice is one session; a random one otherwise')
    .addHelpText('after', '\nExample:\n  id=$(parley session start support.voice)\n')
    .action(async (target: string, options: StartOptions & { idempotencyKey?: string }, command: Command) => {
      const { client, json } = contextOf(command);
      const idempotencyKey = options.idempotencyKey ?? randomUUID();
      const started = await client.sessions.start(target, await startRequestOf(options), { idempotencyKey });
      if (json) return writeJson(started);
      if (!process.stdout.isTTY) return write(`${started.session_id}\n`);
      await write(
        fields({
          session: started.session_id,
          target: started.target,
          provider: `${started.provider} over ${started.transport}`,
          model: started.model,
          voice: started.voice,
          tools: started.tools.map((tool) => tool.name).join(', ') || 'none',
          'token ends': time(started.expires_at_ms),
        }),
      );
    });
}
