// One agent in one call, at a terminal: the microphone and the speaker of the machine, or typed lines.

import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { newId, ParleyError } from '@parley/core';
import { memorySocketPair, systemClock } from '@parley/transport';
import type { AgentLauncher } from '../launcher/launcher.ts';
import { withEvents } from '../local/event-sockets.ts';
import { stderrLog } from '../log.ts';
import { ConsoleCall, type ConsoleScreen } from './console/console-call.ts';
import { Recording } from './console/recording.ts';
import { Screen } from './console/screen.ts';
import { foundPlayer, foundRecorder, microphone, openPlayer, type Player, SAMPLE_RATE } from './machine-audio.ts';
import type { RunOptions } from './run-options.ts';

/** After the last answer: how long to listen for more of it. */
const QUIET_MS = 700;
/** Speech is known to have ended only after a silence. */
const SILENCE_MS = 1_200;

/**
 * Runs one session, with this terminal as its user, until the call ends, the input does, or `signal` is aborted.
 * @returns how it ended.
 * @throws ParleyError of a session that failed.
 */
export async function runOne(served: AgentLauncher, options: RunOptions): Promise<string> {
  const { callId = newId('call'), callType, input, signal, provider = 'simulator' } = options;
  // Before anything begins: a file that is not there must not begin a call.
  const speech = options.audio === undefined ? null : await wavFile(options.audio);
  const recording = options.record === undefined ? null : new Recording(options.record, callId, systemClock);
  const launcher = served.with({
    ...(provider !== 'declared' && { provider }),
    isolation: 'shared',
    onEntry: (entry, context) => {
      recording?.entry(entry);
      served.settings.onEntry?.(entry, context);
    },
  });
  launcher.logTo(stderrLog(options.debug ? 'debug' : (options.logLevel ?? 'warn')));
  try {
    return await held(launcher, { ...options, callId, callType, input, signal }, speech, recording);
  } finally {
    await launcher.stop();
    // Once it has ended: the log of a call has its end.
    if (recording) process.stdout.write(`recorded: ${await recording.close()}.wav and .jsonl\n`);
  }
}

async function held(
  launcher: AgentLauncher,
  options: RunOptions & { callId: string },
  speech: Int16Array | null,
  recording: Recording | null,
): Promise<string> {
  const { callId, callType, input, signal } = options;
  await launcher.start();
  const session = await launcher.launch({ callId, callType, input });
  const stop = (): void => void session.close('stopped');
  signal?.addEventListener('abort', stop, { once: true });
  if (signal?.aborted) stop();
  try {
    await session.active;
    if (options.noDemo !== true) await converse(launcher, session.id, options, speech, recording);
    await session.finished;
  } catch (thrown) {
    // Somebody who stops the run before it began has not met a failure.
    if (session.error || !signal?.aborted) throw session.error ?? thrown;
  } finally {
    signal?.removeEventListener('abort', stop);
  }
  if (session.error) throw session.error;
  return session.reason ?? 'ended';
}

async function converse(
  launcher: AgentLauncher,
  id: string,
  options: RunOptions & { callId: string },
  speech: Int16Array | null,
  recording: Recording | null,
): Promise<void> {
  const over = new AbortController();
  const recorder = options.text === true || speech || !process.stdin.isTTY ? null : foundRecorder();
  const player = options.text === true ? null : opened((why) => screen.problem(why));
  const screen = new Screen({
    write: (text) => void process.stdout.write(text),
    moving: process.stdout.isTTY === true && options.debug !== true,
    colour: process.stdout.isTTY === true && !process.env['NO_COLOR'],
    // Some terminals say 0.
    columns: () => process.stdout.columns || 80,
    debug: options.debug === true,
    sound: recorder !== null || player !== null || speech !== null,
  });
  const shown: ConsoleScreen = {
    words: (who, text, final) => screen.words(who, text, final),
    answered: (latency) => screen.answered(latency),
    interrupted: (ms) => screen.interrupted(ms),
    problem: (message) => screen.problem(message),
    entry: (entry) => screen.entry(entry),
    sound: (who, pcm) => {
      recording?.sound(who, pcm);
      if (who === 'agent') player?.play(pcm);
      screen.sound(who, pcm);
    },
  };
  const probe = await launcher.probe();
  const { provider } = launcher.settings;
  const declaration = probe.declarationFor(options.callType ?? 'default');
  screen.line(
    `call ${options.callId}: ${probe.name}.${declaration.name}, provider ${provider ?? declaration.provider}`,
  );
  screen.line(invitation(recorder?.program ?? null, player !== null, speech !== null));
  const [mine, theirs] = memorySocketPair();
  const call = new ConsoleCall(mine, declaration.responder, shown, systemClock);
  launcher.attach(id, withEvents(theirs));
  void call.closed.then(() => over.abort());
  try {
    if (speech) await speak(call, speech, over.signal);
    if (recorder) void listen(call, microphone(recorder, over.signal), screen);
    if (!speech) await typed(call, screen, over.signal, recorder === null);
    // A terminal with a microphone ends with Ctrl-D or Ctrl-C; what is read to its end is answered first.
    if (!over.signal.aborted) call.hangUp();
    await call.closed;
  } finally {
    over.abort();
    player?.close();
    screen.close();
  }
}

function invitation(recorder: string | null, speaker: boolean, file: boolean): string {
  if (file) return 'saying what is in the file';
  const voice =
    recorder === null ? 'type what you want to say' : `listening with ${recorder}; typed lines are said too`;
  return `${voice}; Ctrl-D hangs up${speaker ? '' : ' (no speaker: answers are shown in writing)'}`;
}

/** Says each line, and where nobody can speak in between, waits for the answer before the next one. */
async function typed(call: ConsoleCall, screen: Screen, signal: AbortSignal, inTurn: boolean): Promise<void> {
  const lines = createInterface({ input: process.stdin, terminal: false });
  const close = (): void => lines.close();
  signal.addEventListener('abort', close, { once: true });
  // What the agent says first is heard first.
  const waits = inTurn && !process.stdin.isTTY;
  try {
    for await (const line of lines) {
      if (signal.aborted) return;
      if (line.trim() === '') continue;
      // At a terminal it is on the screen already.
      if (!process.stdin.isTTY) screen.words('you', line.trim(), true);
      call.say(line.trim());
      if (waits) await call.quiet(QUIET_MS, signal);
    }
    if (waits) await call.quiet(QUIET_MS, signal);
  } finally {
    signal.removeEventListener('abort', close);
    lines.close();
    process.stdin.pause();
  }
}

async function speak(call: ConsoleCall, pcm: Int16Array, signal: AbortSignal): Promise<void> {
  const silence = new Int16Array((SAMPLE_RATE * SILENCE_MS) / 1000);
  const all = new Int16Array(pcm.length + silence.length);
  all.set(pcm);
  const step = SAMPLE_RATE / 50;
  const began = performance.now();
  for (let at = 0; at < all.length && !signal.aborted; at += step) {
    call.hear(all.subarray(at, at + step));
    const due = began + ((at + step) / SAMPLE_RATE) * 1000;
    const { promise, resolve } = Promise.withResolvers<void>();
    systemClock.after(Math.max(0, due - performance.now()), resolve);
    await promise;
  }
  await call.quiet(SILENCE_MS, signal);
}

async function listen(call: ConsoleCall, sound: AsyncIterable<Int16Array>, screen: Screen): Promise<void> {
  try {
    for await (const pcm of sound) call.hear(pcm);
  } catch (thrown) {
    screen.problem(`no microphone: ${ParleyError.from(thrown).message}; type what you want to say`);
  }
}

function opened(failed: (why: string) => void): Player | null {
  const found = foundPlayer();
  return found && openPlayer(found, (why) => failed(`no sound: ${why}`));
}

async function wavFile(path: string): Promise<Int16Array> {
  let bytes: Buffer;
  try {
    bytes = readFileSync(path);
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new ParleyError('invalid_argument', `the audio file ${path} cannot be read (${code})`, { cause });
  }
  const { readWav, resample } = await import('@parley/transport/audio');
  const wav = readWav(bytes);
  return resample(wav.samples, wav.sampleRate, SAMPLE_RATE);
}
