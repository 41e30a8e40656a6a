// One spoken call, as a client makes it: audio goes up in real time, the answer is kept as it came.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Call, type ParleyClient, startCall, type ToolUpdate } from '@parley/client';
import { ParleyError, type SessionResource, type WorkflowResource } from '@parley/core';
import { writeWav } from '@parley/simulator/speech';
import { SAMPLE_RATE } from './spoken.ts';

/** How long the last answer may take, from the end of what is said to the end of what is heard. */
const ANSWER_MS = 60_000;
/** A call in which nothing happened for so long has come to its end. */
const QUIET_MS = 800;

/** The line that --json prints. */
export interface CallReport {
  session_id: string;
  transport: string;
  turns: number;
  tool_calls: number;
  workflow_nodes: number;
  /** Sent, with the silence while the answer was heard. */
  user_audio_ms: number;
  reply_audio_ms: number;
  reply_wav: string;
}

export interface Listener {
  said(track: 'user' | 'agent', text: string): void;
  tool(update: ToolUpdate): void;
}

export interface ConversationOptions {
  client: ParleyClient;
  url: string;
  target: string;
  /** PCM16, 24 kHz. */
  audio: Int16Array;
  /** Where the answer is kept, as `SESSION.wav`. */
  directory: string;
  listener: Listener;
  signal: AbortSignal;
}

/**
 * Calls `target`, says `audio`, hears the answers to their end, and hangs up.
 * @throws ParleyError `invalid_argument` when nobody took the audio for speech, `deadline_exceeded`, or the reason of
 * the signal.
 */
export async function converse(
  options: ConversationOptions,
): Promise<{ report: CallReport; workflow: WorkflowResource }> {
  const { client, url, target, audio, directory, listener } = options;
  const { session_id, client_token } = await client.sessions.start(target);
  const said = Promise.withResolvers<void>();
  const call = await startCall({
    url,
    token: client_token,
    sessionId: session_id,
    audio: { source: once(audio, said.resolve) },
  });
  const replies: Buffer[] = [];
  call.on('transcript', ({ track, text, final }) => {
    if (final) listener.said(track, text);
  });
  call.on('tool', (update) => listener.tool(update));
  call.on('frame', (frame) => {
    if (frame.type === 'response.output_audio.delta') replies.push(Buffer.from(String(frame['delta']), 'base64'));
  });
  try {
    await heardToItsEnd(call, said.promise, (audio.length * 1000) / SAMPLE_RATE + ANSWER_MS, options.signal);
  } finally {
    await call.hangUp();
  }
  const session = await closed(client, session_id);
  if (session.turns === 0) {
    throw new ParleyError('invalid_argument', 'nothing in this audio is loud enough to be taken for speech');
  }
  return reportOf(client, session, Buffer.concat(replies), directory);
}

/** What a call that is over came to; its answers are kept as a WAV file. */
export async function reportOf(
  client: ParleyClient,
  session: SessionResource,
  pcm: Buffer,
  directory: string,
): Promise<{ report: CallReport; workflow: WorkflowResource }> {
  const { session_id } = session;
  await mkdir(directory, { recursive: true });
  const reply_wav = join(directory, `${session_id}.wav`);
  await writeFile(reply_wav, writeWav(new Int16Array(pcm.buffer, pcm.byteOffset, pcm.length >> 1), SAMPLE_RATE));
  const workflow = await client.sessions.workflow(session_id);
  return {
    workflow,
    report: {
      session_id,
      transport: session.transport,
      turns: session.turns,
      tool_calls: session.tool_calls,
      workflow_nodes: workflow.total_nodes,
      user_audio_ms: Math.round(session.user_audio_ms),
      reply_audio_ms: Math.round(session.reply_audio_ms),
      reply_wav,
    },
  };
}

/** The next piece is asked for when the last was sent. */
async function* once(audio: Int16Array, sent: () => void): AsyncGenerator<Int16Array> {
  yield audio;
  sent();
}

async function heardToItsEnd(call: Call, said: Promise<void>, within_ms: number, signal: AbortSignal): Promise<void> {
  const late = new AbortController();
  const timer = setTimeout(() => {
    const seconds = Math.round(within_ms / 1000);
    late.abort(new ParleyError('deadline_exceeded', `the call did not come to its end within ${seconds} s`));
  }, within_ms);
  const over = AbortSignal.any([signal, late.signal]);
  const aborted = new Promise<never>((_, reject) => {
    over.addEventListener('abort', () => reject(over.reason as Error), { once: true });
    if (over.aborted) reject(over.reason as Error);
  });
  try {
    await Promise.race([said.then(() => call.quiet({ forMs: QUIET_MS, signal: over })), call.ended, aborted]);
  } finally {
    clearTimeout(timer);
  }
  if (call.state === 'ended') {
    const { reason, error } = await call.ended;
    throw error ?? new ParleyError('aborted', `the call ended before it was answered: ${reason}`);
  }
}

/** The session once its end is on disk. */
export async function closed(client: ParleyClient, session_id: string) {
  for await (const event of client.sessions.tail(session_id)) if (event.type === 'session.closed') break;
  return client.sessions.get(session_id);
}
