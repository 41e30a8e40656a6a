// POST /api/v1/sessions/{id}/turns: a whole turn in, the answer to it out.

import type { ServerResponse } from 'node:http';
import { LIMITS, ParleyError, type TurnRequest, type TurnResponse } from '@parley/core';
import { writeWav } from '@parley/transport/audio';
import type { Sessions } from '../sessions/sessions.ts';
import type { TakeTurn } from '../sessions/turn-port.ts';
import type { TurnResult } from '../sessions/turn.ts';
import { BYTES_PER_MS, inputOfBytes, inputOfRequest, RATE, SOUND_TYPES } from '../sound/turn-input.ts';
import { claimOf } from './claim.ts';
import { type Route, type RouteContext } from './route.ts';
import type { EventStream, EventStreams } from './sse.ts';

type ReplyFormat = NonNullable<TurnRequest['reply_format']>;

export function turnRoutes(sessions: Sessions, streams: EventStreams): Route[] {
  return [
    {
      method: 'POST',
      path: '/api/v1/sessions/:id/turns',
      aliases: ['/api/v1/session-instances/:id/turns'],
      summary:
        'Say a whole turn and get the answer: as JSON, with Accept: audio/wav as sound alone, with Accept: text/event-stream as it comes. One at a time; hanging up ends the answer.',
      scope: 'start',
      token: true,
      headers: { 'Idempotency-Key': 'the same key and turn again is the same answer, as long as it is remembered' },
      request: 'TurnRequest',
      bodies: SOUND_TYPES,
      body_bytes_max: LIMITS.turn_body_bytes_max,
      response: 'TurnResponse',
      answers: ['audio/wav', 'text/event-stream'],
      async handle(context) {
        const { params, body, headers, reply } = context;
        const session = await sessions.live(params['id'] as string);
        const request: TurnRequest = Buffer.isBuffer(body) ? {} : (body as TurnRequest);
        const input = Buffer.isBuffer(body)
          ? inputOfBytes(headers['content-type']?.toLowerCase() ?? '', body)
          : inputOfRequest(request);
        const how: TakeTurn = {
          signal: hungUp(reply.raw),
          timeout_ms: request.timeout_ms,
          claim: claimOf(context, 'turn'),
        };
        const { reply_format = 'wav' } = request;
        const shown = (result: TurnResult): TurnResponse => responseOf(session.id, result, reply_format);
        if (headers.accept?.includes('text/event-stream')) {
          return streamed(streams, context, (listener) => session.turns.take(input, { ...how, listener }).then(shown));
        }
        const result = await session.turns.take(input, how);
        reply.header('x-session-id', session.id).header('x-turn-id', result.turn_id);
        if (!headers.accept?.includes('audio/wav')) return shown(result);
        reply.header('content-type', 'audio/wav');
        return wavOf(result.pcm);
      },
    },
  ];
}

/** Aborted when the caller is gone before the answer is. */
function hungUp(response: ServerResponse): AbortSignal {
  const controller = new AbortController();
  response.once('close', () => {
    if (!response.writableFinished) controller.abort();
  });
  return controller.signal;
}

function responseOf(session_id: string, result: TurnResult, format: ReplyFormat): TurnResponse {
  const { turn_id, user_text, text, pcm, interrupted, tool_calls, usage, duration_ms } = result;
  const silent = format === 'none' || pcm.length === 0;
  return {
    session_id,
    turn_id,
    user_text,
    text,
    ...(silent ? {} : { audio: audioOf(pcm, format) }),
    interrupted,
    tool_calls,
    ...(usage === undefined ? {} : { usage }),
    duration_ms,
  };
}

function audioOf(pcm: Buffer, format: 'pcm16' | 'wav'): NonNullable<TurnResponse['audio']> {
  const data = (format === 'wav' ? wavOf(pcm) : pcm).toString('base64');
  return { format, sample_rate: RATE, audio_ms: Math.round(pcm.length / BYTES_PER_MS), data };
}

function wavOf(pcm: Buffer): Buffer {
  const wav = writeWav(new Int16Array(Uint8Array.from(pcm).buffer), RATE);
  return Buffer.from(wav.buffer, wav.byteOffset, wav.byteLength);
}

/** Entries of the log, words and sound as they come; the answer without its sound at the end, or the error. */
async function streamed(
  streams: EventStreams,
  { reply, request_id }: RouteContext,
  take: (listener: NonNullable<TakeTurn['listener']>) => Promise<TurnResponse>,
): Promise<void> {
  const opened: { stream: EventStream | null } = { stream: null };
  // Opened by the first thing that there is to send: a turn that is refused is refused with a status.
  const send = (type: string, json: string, id?: number): void => {
    const stream = (opened.stream ??= streams.open(reply));
    stream.send({ type, json, ...(id === undefined ? {} : { id }) });
  };
  try {
    const { audio, ...answer } = await take({
      event: (record, json) => send(record.type, json, record.seq),
      audio: (data) => send('audio.delta', `{"audio":"${data}"}`),
      text: (delta) => send('text.delta', JSON.stringify({ text: delta })),
    });
    const length = audio === undefined ? {} : { audio_ms: audio.audio_ms, sample_rate: audio.sample_rate };
    send('turn.answered', JSON.stringify({ ...answer, ...length }));
  } catch (caught) {
    if (opened.stream === null) throw caught;
    send('error', JSON.stringify(ParleyError.from(caught, 'internal').toBody(request_id)));
  }
  opened.stream?.end();
}
