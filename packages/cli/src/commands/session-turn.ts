// parley session turn SESSION

import { readFile, writeFile } from 'node:fs/promises';
import { ParleyError, turnSound } from '@parley/client';
import type { Command } from 'commander';
import { contextOf } from '../context.ts';
import { brief, duration, note, plain, write, writeJson } from '../output.ts';

interface TurnFlags {
  audio?: string;
  text?: string;
  out?: string;
}

/** Longest sound that is read; the control plane takes no more in one body. */
const SOUND_BYTES_MAX = 6 * 1024 * 1024;

export function sessionTurn(session: Command): void {
  session
    .command('turn <session>')
    .description('say one whole turn to an audio_turns session, and hear the answer')
    .option('--audio <file>', 'a WAV file or Opus in an Ogg file, or - for stdin')
    .option('--text <text>', 'words instead of sound')
    .option('--out <reply.wav>', 'where the sound of the answer is kept')
    .addHelpText('after', `\nExample:\n  parley session turn $id --audio question.wav --out answer.wav\n`)
    .action(async (id: string, flags: TurnFlags, command: Command) => {
      const { client, json } = contextOf(command);
      const turn = await inputOf(flags);
      const replyFormat = flags.out === undefined && !json ? 'none' : 'wav';
      const answer = await client.sessions.turn(id, turn, { replyFormat });
      const { audio, ...words } = answer;
      const sound = turnSound(answer);
      if (flags.out !== undefined) await keep(flags.out, sound);
      // The sound stands in the line only where it is not in a file already.
      if (json) return writeJson(flags.out === undefined ? answer : { ...words, audio_ms: audio?.audio_ms ?? 0 });
      const lines = [
        `you    ${answer.user_text === '' ? '(not written down)' : answer.user_text}`,
        ...answer.tool_calls.map(({ name, status, output }) => `tool   ${name} ${status} ${brief(output)}`),
        `agent  ${answer.text}${answer.interrupted ? ' …' : ''}`,
      ];
      await write(plain(`${lines.join('\n')}\n`));
      if (flags.out !== undefined) note(`${duration(audio?.audio_ms ?? 0)} of sound in ${flags.out}`);
    });
}

async function inputOf({ audio, text }: TurnFlags): Promise<{ text: string } | { audio: Uint8Array }> {
  if ((audio === undefined) === (text === undefined)) {
    throw new ParleyError('invalid_argument', 'a turn has either --audio or --text');
  }
  if (audio === undefined) return { text: text ?? '' };
  return { audio: audio === '-' ? await stdin() : await file(audio) };
}

async function file(path: string): Promise<Uint8Array> {
  try {
    return bounded(await readFile(path), path);
  } catch (cause) {
    if (cause instanceof ParleyError) throw cause;
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason';
    throw new ParleyError('invalid_argument', `--audio file ${path} cannot be read (${why})`, { cause });
  }
}

async function stdin(): Promise<Uint8Array> {
  const parts: Buffer[] = [];
  let bytes = 0;
  for await (const part of process.stdin as AsyncIterable<Buffer>) {
    parts.push(part);
    bytes += part.length;
    if (bytes > SOUND_BYTES_MAX) break;
  }
  return bounded(Buffer.concat(parts), 'stdin');
}

function bounded(bytes: Buffer, what: string): Uint8Array {
  if (bytes.length <= SOUND_BYTES_MAX) return bytes;
  throw new ParleyError('invalid_argument', `${what} is longer than ${SOUND_BYTES_MAX} bytes`);
}

async function keep(path: string, sound: Uint8Array | null): Promise<void> {
  if (sound === null) return note(`the answer has no sound; ${path} was not written`);
  try {
    await writeFile(path, sound);
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason';
    throw new ParleyError('invalid_argument', `--out file ${path} cannot be written (${why})`, { cause });
  }
}
