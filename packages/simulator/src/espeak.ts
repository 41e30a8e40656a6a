import { spawn } from 'node:child_process';
import { ParleyError } from '@parley/core';
import { readWav, type Wav } from '@parley/transport/audio';

// Real speech by `espeak-ng`, where the machine has it.

const SPEAK_MS_MAX = 10_000;
const LOOK_MS_MAX = 3_000;
const TEXT_LENGTH_MAX = 5_000;
const WAV_BYTES_MAX = 64 * 1024 * 1024;

function run(args: string[], input: string, msMax: number, signal?: AbortSignal): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const child = spawn('espeak-ng', args, {
      stdio: ['pipe', 'pipe', 'ignore'],
      timeout: msMax,
      killSignal: 'SIGKILL',
      ...(signal ? { signal } : {}),
    });
    const parts: Buffer[] = [];
    let size = 0;
    child.stdout.on('data', (part: Buffer) => {
      size += part.length;
      if (size > WAV_BYTES_MAX) child.kill('SIGKILL');
      else parts.push(part);
    });
    child.on('error', reject);
    // A process that ends before it read everything is reported by its exit code.
    child.stdin.on('error', () => undefined);
    child.on('close', (code) => {
      if (code === 0) resolve(Buffer.concat(parts));
      else reject(new ParleyError('internal', `espeak-ng ended with ${code === null ? 'a signal' : `code ${code}`}`));
    });
    child.stdin.end(input);
  });
}

/** Whether `espeak-ng` can be run here. */
export async function findEspeak(): Promise<boolean> {
  try {
    await run(['--version'], '', LOOK_MS_MAX);
    return true;
  } catch {
    // Not installed is an answer, not an error.
    return false;
  }
}

/** Speaks a text. The text goes in by stdin, so nothing in it is taken for an option. */
export async function espeak(text: string, signal?: AbortSignal): Promise<Wav> {
  return readWav(await run(['--stdin', '--stdout'], text.slice(0, TEXT_LENGTH_MAX), SPEAK_MS_MAX, signal));
}
