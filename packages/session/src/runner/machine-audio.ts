// The machine's microphone and loudspeaker, through the programs that it has for them.

import { type ChildProcess, spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { ParleyError } from '@parley/core';

export interface AudioProgram {
  program: string;
  args: readonly string[];
}

/** Samples a second, of 16 bits, of one channel. */
export const SAMPLE_RATE = 24_000;

const RATE = String(SAMPLE_RATE);
const SOX = ['-q', '-t', 'raw', '-e', 'signed-integer', '-b', '16', '-c', '1', '-r', RATE, '-'];

// Small buffers: what a player holds is still heard after an interruption.
const RECORDERS: readonly AudioProgram[] = [
  { program: 'parec', args: ['--raw', '--format=s16le', `--rate=${RATE}`, '--channels=1', '--latency-msec=20'] },
  { program: 'arecord', args: ['-q', '-t', 'raw', '-f', 'S16_LE', '-r', RATE, '-c', '1', '--buffer-time=80000', '-'] },
  { program: 'rec', args: SOX },
  {
    program: 'ffmpeg',
    args: [
      '-loglevel',
      'error',
      ...(process.platform === 'darwin' ? ['-f', 'avfoundation', '-i', ':0'] : ['-f', 'alsa', '-i', 'default']),
      ...['-ar', RATE, '-ac', '1', '-f', 's16le', '-'],
    ],
  },
];
const PLAYERS: readonly AudioProgram[] = [
  { program: 'pacat', args: ['--raw', '--format=s16le', `--rate=${RATE}`, '--channels=1', '--latency-msec=60'] },
  { program: 'aplay', args: ['-q', '-t', 'raw', '-f', 'S16_LE', '-r', RATE, '-c', '1', '--buffer-time=80000', '-'] },
  { program: 'play', args: SOX },
  { program: 'ffplay', args: ['-nodisp', '-loglevel', 'error', '-f', 's16le', '-ar', RATE, '-i', '-'] },
];

/** The first recorder that this machine has. */
export function foundRecorder(): AudioProgram | null {
  return RECORDERS.find(({ program }) => foundProgram(program) !== null) ?? null;
}

/** The first player that this machine has. */
export function foundPlayer(): AudioProgram | null {
  return PLAYERS.find(({ program }) => foundProgram(program) !== null) ?? null;
}

/** Where a program is, as the shell would find it. */
export function foundProgram(name: string): string | null {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, name);
    try {
      accessSync(path, constants.X_OK);
      return path;
    } catch {
      // Not in this folder.
      continue;
    }
  }
  return null;
}

/** What the microphone hears, until `signal` fires. @throws ParleyError `failed_precondition` when it cannot be opened. */
export async function* microphone({ program, args }: AudioProgram, signal: AbortSignal): AsyncGenerator<Int16Array> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const said = stderrOf(child);
  const exit = new Promise<number | null>((resolve) => {
    child.once('error', () => resolve(-1));
    // Not `exit`: what it said last may still be in the pipe.
    child.once('close', resolve);
  });
  const stop = (): void => {
    child.kill();
  };
  signal.addEventListener('abort', stop, { once: true });
  try {
    let half: Buffer = Buffer.alloc(0);
    for await (const chunk of child.stdout) {
      const bytes = Buffer.concat([half, chunk as Buffer]);
      const even = bytes.length & ~1;
      half = bytes.subarray(even);
      yield new Int16Array(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + even));
    }
    if (!signal.aborted) {
      throw new ParleyError(
        'failed_precondition',
        `${program} ended with ${await exit}: ${said() || 'it said nothing'}`,
      );
    }
  } finally {
    signal.removeEventListener('abort', stop);
    child.kill();
  }
}

export interface Player {
  play(pcm: Int16Array): void;
  close(): void;
}

/** A running player. One that ends early leaves the call silent, and `failed` is told why. */
export function openPlayer({ program, args }: AudioProgram, failed: (why: string) => void): Player {
  const child = spawn(program, args, { stdio: ['pipe', 'ignore', 'pipe'] });
  const said = stderrOf(child);
  let open = true;
  const ended = (code: number | string | null): void => {
    if (open) failed(`${program} ended with ${code}: ${said() || 'it said nothing'}`);
    open = false;
  };
  child.once('error', (error) => ended(error.message));
  child.once('close', ended);
  // Writing to a player that is gone is told once, by its end.
  child.stdin.on('error', () => undefined);
  return {
    play(pcm) {
      if (open) child.stdin.write(Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength));
    },
    close() {
      open = false;
      child.stdin.end();
      child.kill();
    },
  };
}

/** The last line that a child wrote to stderr. */
function stderrOf(child: ChildProcess): () => string {
  let text = '';
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => (text = (text + chunk).slice(-1000)));
  return () => text.trim().split('\n').at(-1) ?? '';
}
