// A conversation on stdout, as it happens: what both sides said, and which tools ran.

import type { Call, CallEnd, ToolUpdate } from '@parley/client';
import { brief, duration, note, plain, write, writeJson } from '../output.ts';

const NAMES = { user: 'you', agent: 'agent' } as const;

/** Shows a call: lines for a person, or with `json` one entry to a line. */
export function showCall(call: Call, json: boolean): void {
  call.on('transcript', ({ track, itemId, text, final }) => {
    if (!final) return;
    if (json) void writeJson({ type: 'transcript', track, item_id: itemId, text });
    else if (text !== '') void write(`${NAMES[track]}: ${plain(text)}\n`);
  });
  call.on('tool', (update) => {
    if (json) void writeJson(toolEntry(update));
    else if (update.status !== 'called') void write(toolLine(update));
  });
  call.on('interruption', ({ itemId, playedMs }) => {
    if (json) void writeJson({ type: 'interruption', item_id: itemId, played_ms: Math.floor(playedMs) });
    else note(`(interrupted after ${duration(playedMs)})`);
  });
  call.on('state', (state) => {
    if (state === 'reconnecting') note('the connection was lost; reconnecting …');
  });
  call.on('error', (error) => note(plain(`parley: ${error.code}: ${error.message}`)));
}

/** The last line: how it ended, and how much was said. */
export async function showEnd(sessionId: string, { reason, stats }: CallEnd, json: boolean): Promise<void> {
  const { userAudioMs, replyAudioMs, interruptions } = stats;
  if (!json) {
    note(`${sessionId} ${reason}: ${duration(userAudioMs)} sent, ${duration(replyAudioMs)} answered`);
    return;
  }
  await writeJson({
    type: 'end',
    session_id: sessionId,
    reason,
    user_audio_ms: Math.round(userAudioMs),
    reply_audio_ms: Math.round(replyAudioMs),
    interruptions,
  });
}

function toolLine({ name, status, input, output, error, durationMs }: ToolUpdate): string {
  if (status === 'dispatched') return plain(`tool: ${name} ${brief(input)}`).concat('\n');
  const result = error === undefined ? brief(output) : `${error.code}: ${error.message}`;
  return plain(
    `tool: ${name} ${status} ${result}${durationMs === undefined ? '' : ` (${duration(durationMs)})`}`,
  ).concat('\n');
}

function toolEntry({ callId, name, status, target, executionId, input, output, error, durationMs }: ToolUpdate) {
  return {
    type: 'tool',
    call_id: callId,
    name,
    status,
    target,
    execution_id: executionId,
    input,
    output,
    error,
    duration_ms: durationMs,
  };
}
