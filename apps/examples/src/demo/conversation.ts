// One spoken call, as a client makes it: audio goes up in real time, the answer is kept as it came.

import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ParleyClient, startCall, type ToolUpdate } from '@parley/client';
import { ParleyError, type WorkflowResource } from '@parley/core';
import { writeWav } from '@parley/simulator/speech';

export const SAMPLE_RATE = 24_000;
/** A call that does not come to its end in this time has failed. */
const CALL_MS = 60_000;
/** After the last answer was heard, how long to listen for more. */
const SILENCE_MS = 400;

export interface CallReport {
  session_id: string;
  turns: number;
  tool_calls: number;
  workflow_nodes: number;
  user_audio_ms: number;
  reply_audio_ms: number;
  reply_wav: string;
}

export interface Listener {
  said(track: 'user' | 'agent', text: string): void;
  tool(update: ToolUpdate): void;
}

export interface Conversation {
  report: CallReport;
  workflow: WorkflowResource;
  transcripts: { track: 'user' | 'agent'; text: string }[];
}

/** Calls `target`, says `audio` (PCM16, 24 kHz), hears the answer to its end, and hangs up. */
export async function converse(
  client: ParleyClient,
  url: string,
  target: string,
  audio: Int16Array,
  directory: string,
  listener: Listener,
): Promise<Conversation> {
  const started = await client.sessions.start(target);
  const replies: Buffer[] = [];
  const transcripts: Conversation['transcripts'] = [];
  const call = await startCall({
    url,
    token: started.client_token,
    sessionId: started.session_id,
    audio: { source: once(audio) },
  });
  call.on('transcript', ({ track, text, final }) => {
    if (!final || text === '') return;
    transcripts.push({ track, text });
    listener.said(track, text);
  });
  call.on('tool', (update) => listener.tool(update));
  call.on('frame', (frame) => {
    if (frame.type === 'response.output_audio.delta') replies.push(Buffer.from(String(frame['delta']), 'base64'));
  });
  await answered(call);
  await call.hangUp('demonstration over');
  const session = await closed(client, started.session_id);

  const pcm = Buffer.concat(replies);
  await mkdir(directory, { recursive: true });
  const reply_wav = join(directory, `${started.session_id}.wav`);
  await writeFile(reply_wav, writeWav(new Int16Array(pcm.buffer, pcm.byteOffset, pcm.length >> 1), SAMPLE_RATE));
  const workflow = await client.sessions.workflow(started.session_id);
  const { session_id, turns, tool_calls, user_audio_ms, reply_audio_ms } = session;
  return {
    workflow,
    transcripts,
    report: {
      session_id,
      turns,
      tool_calls,
      workflow_nodes: workflow.total_nodes,
      user_audio_ms: Math.round(user_audio_ms),
      reply_audio_ms: Math.round(reply_audio_ms),
      reply_wav,
    },
  };
}

async function* once(audio: Int16Array): AsyncGenerator<Int16Array> {
  yield audio;
}

/** Resolves when an answer that calls no tool was heard to its end. */
function answered(call: Awaited<ReturnType<typeof startCall>>): Promise<void> {
  return new Promise((resolve, reject) => {
    let spoken = false;
    let quiet: NodeJS.Timeout | undefined;
    const late = setTimeout(
      () => reject(new ParleyError('deadline_exceeded', `the call did not end within ${CALL_MS} ms`)),
      CALL_MS,
    );
    const settle = (): void => {
      clearTimeout(late);
      clearTimeout(quiet);
    };
    call.on('state', (state) => {
      clearTimeout(quiet);
      if (state === 'speaking') spoken = true;
      if (spoken && state === 'listening') {
        quiet = setTimeout(() => {
          settle();
          resolve();
        }, SILENCE_MS);
      }
    });
    void call.ended.then(({ reason, error }) => {
      settle();
      reject(error ?? new ParleyError('aborted', `the call ended before it was answered: ${reason}`));
    });
  });
}

/** The session once its end is on disk. */
async function closed(client: ParleyClient, session_id: string) {
  for await (const event of client.sessions.tail(session_id)) if (event.type === 'session.closed') break;
  return client.sessions.get(session_id);
}
