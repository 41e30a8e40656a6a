// Server-sent events from a byte stream, as the HTML standard words them; only what a log needs.

import { ParleyError } from '@parley/core';

export interface SseMessage {
  id: string | null;
  event: string;
  data: string;
}

/** Longest message that is taken, in characters. One entry of a log is far below it. */
export const SSE_MESSAGE_CHARS_MAX = 16 * 1024 * 1024;

/**
 * Yields the messages of a stream. `null` stands for a comment, which servers send to show that they live.
 *
 * @throws ParleyError `resource_exhausted` when a message grows past `charsMax`.
 */
export async function* readSse(
  body: ReadableStream<Uint8Array>,
  charsMax: number = SSE_MESSAGE_CHARS_MAX,
): AsyncGenerator<SseMessage | null, void, void> {
  const reader = body.getReader();
  const decoder = new TextDecoder();
  let rest = '';
  let message: { id: string | null; event: string; data: string[]; chars: number } = emptyMessage();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      rest += decoder.decode(value, { stream: true });
      // A CR at the end may be the first half of CRLF: it waits for what follows.
      const lines = rest.split(/\r\n|\n|\r(?!$)/);
      rest = lines.pop() ?? '';
      for (const line of lines) {
        if (line === '') {
          if (message.data.length > 0) {
            yield { id: message.id, event: message.event || 'message', data: message.data.join('\n') };
          }
          message = emptyMessage();
          continue;
        }
        if (line.startsWith(':')) {
          yield null;
          continue;
        }
        const colon = line.indexOf(':');
        const field = colon < 0 ? line : line.slice(0, colon);
        const text = colon < 0 ? '' : line.slice(colon + (line[colon + 1] === ' ' ? 2 : 1));
        if (field === 'data') {
          message.data.push(text);
          message.chars += text.length;
        } else if (field === 'event') message.event = text;
        else if (field === 'id') message.id = text;
      }
      if (rest.length + message.chars > charsMax) {
        throw new ParleyError('resource_exhausted', `an event is longer than ${charsMax} characters`, {
          retryable: false,
        });
      }
    }
  } finally {
    // Ends the connection when the reader of the log stops early; a stream that broke has nothing left to cancel.
    await reader.cancel().catch(() => undefined);
  }
}

function emptyMessage(): { id: string | null; event: string; data: string[]; chars: number } {
  return { id: null, event: '', data: [], chars: 0 };
}
