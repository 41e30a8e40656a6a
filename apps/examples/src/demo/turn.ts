// One call of one turn, as a client without a socket makes it: a request with what is said, and the answer to it.

import { closed, type ConversationOptions, reportOf } from './conversation.ts';
import { SAMPLE_RATE } from './spoken.ts';

/** Calls `target`, says `audio` as one turn, hears the answer, and hangs up. @throws as `converse` does. */
export async function converseByTurn(options: ConversationOptions): ReturnType<typeof reportOf> {
  const { client, target, audio, directory, listener, signal } = options;
  const { session_id } = await client.sessions.start(target);
  const sounds: Buffer[] = [];
  try {
    for await (const part of client.sessions.turnStream(
      session_id,
      { samples: audio, sampleRate: SAMPLE_RATE },
      { signal },
    )) {
      if (part.type === 'audio') sounds.push(bytesOf(part.samples));
      else if (part.type === 'event' && part.event.type === 'tool.dispatched') {
        const { call_id, name, input } = part.event;
        listener.tool({ callId: call_id, name, status: 'dispatched', input });
      } else if (part.type === 'event' && part.event.type === 'tool.completed') {
        const { call_id, name, status, output, error, duration_ms } = part.event;
        listener.tool({ callId: call_id, name, status, output, error, durationMs: duration_ms });
      } else if (part.type === 'answered') {
        listener.said('user', part.answer.user_text);
        listener.said('agent', part.answer.text);
      }
    }
  } finally {
    await client.sessions.close(session_id);
  }
  return reportOf(client, await closed(client, session_id), Buffer.concat(sounds), directory);
}

function bytesOf(samples: Int16Array): Buffer {
  return Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength);
}
