// parley session show SESSION

import type { Command } from 'commander';
import { contextOf } from '../context.ts';
import { duration, fields, time, write, writeJson } from '../output.ts';

export function sessionShow(session: Command): void {
  session
    .command('show <session>')
    .description('one session')
    .action(async (id: string, _options: unknown, command: Command) => {
      const { client, json } = contextOf(command);
      const one = await client.sessions.get(id);
      if (json) return writeJson(one);
      const end_ms = one.closed_at_ms ?? Date.now();
      await write(
        fields({
          session: one.session_id,
          status: one.status,
          target: one.target,
          provider: `${one.provider} over ${one.transport}`,
          model: one.model,
          voice: one.voice,
          responder: one.responder,
          tools: one.tools.map((tool) => tool.name).join(', ') || 'none',
          workflow: one.workflow_id,
          started: time(one.created_at_ms),
          lasted: duration(end_ms - one.created_at_ms),
          ended: one.close_reason,
          error: one.error === undefined ? undefined : `${one.error.code}: ${one.error.message}`,
          turns: one.turns,
          'tool calls': one.tool_calls,
          'user audio': duration(one.user_audio_ms),
          'reply audio': duration(one.reply_audio_ms),
          events: one.last_seq,
        }),
      );
    });
}
