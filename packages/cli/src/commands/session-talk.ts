// parley session talk SESSION_OR_TARGET

import { randomUUID } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { type Call, PacedSink, ParleyError, SAMPLE_RATE, startCall } from '@parley/client';
import type { Command } from 'commander';
import { type Context, contextOf, seconds } from '../context.ts';
import { foundPlayer, openPlayer, type Player } from '@parley/session/machine-audio';
import { note } from '../output.ts';
import { untilSignal } from '../signals.ts';
import { type TalkInput, type TalkInputOptions, talkInput } from '../talk/input.ts';
import { showCall, showEnd } from '../talk/show.ts';
import { addStartOptions, type StartOptions, startRequestOf } from './session-start.ts';

interface TalkOptions extends TalkInputOptions, StartOptions {
  out?: string;
  wait: string;
}

/** After the last answer was heard: how long to listen for more. Speech is known to have ended only after a silence. */
const QUIET_MS = 1500;

export function sessionTalk(session: Command): void {
  addStartOptions(session.command('talk <session-or-target>'))
    .description('hold a call: with a session, or with a new one of a target (agent.session)')
    .option('--audio <file>', 'say what is in this WAV file')
    .option('--text <text>', 'say this in writing; may be given more than once', (text, all?: string[]) => [
      ...(all ?? []),
      text,
    ])
    .option('--out <file>', 'keep the answers as a WAV file')
    .option('--wait <seconds>', 'how long to wait for an answer to what was said', '60')
    .addHelpText(
      'after',
      `
Without --audio and --text the lines of a piped stdin are said, and at a terminal the microphone is opened (with parec,
arecord, rec or ffmpeg). The call ends when the last answer was heard, on Ctrl-C, or at the end of what is typed.

Examples:
  parley session talk support.voice --text 'Where is my order 42?'
  parley session talk support.voice --audio question.wav --out answer.wav`,
    )
    .action(async (target: string, options: TalkOptions, command: Command) => {
      const context = contextOf(command);
      const over = new AbortController();
      // Before the call: a file that is not there must not cost a session.
      const input = await talkInput(options, over.signal);
      const { sessionId, token } = await sessionFor(context, target, options);
      const player = input.audio?.realtime ? openedPlayer() : null;
      const sink = new PacedSink({
        onHeard: (pcm) => player?.play(pcm),
        keepMsMax: options.out === undefined ? 0 : 3_600_000,
      });
      const call = await startCall({
        url: context.url,
        sessionId,
        token: token ?? context.key,
        audio: { ...input.audio, sink },
      });
      showCall(call, context.json);
      const waitMs = seconds('--wait', options.wait) * 1000;
      const talking = converse(call, input, waitMs);
      // Whoever loses the race below was still talking when the call ended; nobody is left to be told.
      talking.catch(() => undefined);
      let failure: unknown = null;
      try {
        const stopped = await Promise.race([talking, call.ended, untilSignal()]);
        if (typeof stopped === 'string') process.exitCode = stopped === 'SIGINT' ? 130 : 143;
      } catch (thrown) {
        failure = thrown;
      }
      over.abort();
      const end = await call.hangUp();
      player?.close();
      await showEnd(sessionId, end, context.json);
      if (options.out !== undefined) await keep(options.out, sink.recording());
      // Terminals and pipes that still could say something keep a process alive.
      process.stdin.destroy();
      failure ??= end.error;
      if (failure !== null) throw failure;
    });
}

async function sessionFor({ client }: Context, target: string, options: TalkOptions) {
  if (target.startsWith('sess_')) return { sessionId: target, token: undefined };
  const started = await client.sessions.start(target, await startRequestOf(options), { idempotencyKey: randomUUID() });
  note(started.session_id);
  return { sessionId: started.session_id, token: started.client_token };
}

/** Says everything, each after the answer to what came before, and waits until the last answer was heard. */
async function converse(call: Call, input: TalkInput, waitMs: number): Promise<void> {
  if (input.audio && !input.audio.realtime) {
    await input.spoken;
    await heard(call, waitMs);
  }
  for await (const text of input.texts) {
    call.sendText(text);
    if (!input.audio?.realtime) await heard(call, waitMs);
  }
}

async function heard(call: Call, waitMs: number): Promise<void> {
  try {
    await call.quiet({ forMs: QUIET_MS, signal: AbortSignal.timeout(waitMs) });
  } catch (cause) {
    throw new ParleyError('deadline_exceeded', `no answer was heard to its end within ${waitMs / 1000} s`, { cause });
  }
}

function openedPlayer(): Player | null {
  const found = foundPlayer();
  if (found) return openPlayer(found, (why) => note(`no sound: ${why}`));
  note('no loudspeaker: this machine has no pacat, aplay, play or ffplay; answers are shown in writing');
  return null;
}

async function keep(path: string, pcm: Int16Array): Promise<void> {
  const { writeWav } = await import('@parley/simulator/speech');
  try {
    writeFileSync(path, writeWav(pcm, SAMPLE_RATE));
  } catch (cause) {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason';
    throw new ParleyError('invalid_argument', `the answers cannot be written to ${path} (${why})`, { cause });
  }
}
