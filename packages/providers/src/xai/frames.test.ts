import { expect, test } from 'vitest';
import { xaiFrames } from './frames.ts';
import { sessionInOpenaiShape, xaiSession } from './session-config.ts';

const frames = (...events: Record<string, unknown>[]): unknown[] => {
  const rename = xaiFrames();
  return events.map((event) => {
    const frame = rename(Buffer.from(JSON.stringify(event)));
    return frame && (JSON.parse(frame.toString()) as unknown);
  });
};

test('the first of two greetings is the greeting, and a ping is nothing', () => {
  expect(
    frames(
      { type: 'ping', timestamp: 1 },
      { type: 'conversation.created', conversation: { id: 'conv_1' } },
      { type: 'session.created', session: { id: 'sess_1' } },
    ).map((event) => (event as { type?: string } | null)?.type ?? null),
  ).toEqual([null, 'session.created', null]);
});

test('a transcript that comes whole each time is told by what it grew, and one that changed waits for its end', () => {
  const updated = (transcript: string): Record<string, unknown> => ({
    type: 'conversation.item.input_audio_transcription.updated',
    item_id: 'item_1',
    content_index: 0,
    transcript,
  });
  const delta = (text: string): Record<string, unknown> => ({
    type: 'conversation.item.input_audio_transcription.delta',
    item_id: 'item_1',
    content_index: 0,
    delta: text,
  });
  expect(frames(updated('where'), updated('where is'), updated('were is'), updated('where is it'))).toEqual([
    delta('where'),
    delta(' is'),
    null,
    delta(' it'),
  ]);
});

test('sound under an older name keeps its bytes', () => {
  const sound = 'A'.repeat(6400);
  const frame = Buffer.from(`{"event_id":"e1","type":"response.audio.delta","response_id":"r","delta":"${sound}"}`);
  expect(xaiFrames()(frame)?.toString()).toBe(frame.toString().replace('response.audio.', 'response.output_audio.'));
});

test('a session survives the way to the shape of xAI and back', () => {
  const turn_detection = { type: 'server_vad', threshold: 0.5 };
  const format = { type: 'audio/pcmu' };
  const flat = xaiSession({
    type: 'realtime',
    output_modalities: ['audio'],
    instructions: 'Be brief.',
    tools: [],
    audio: { input: { format, turn_detection, transcription: { model: 'm' } }, output: { format, voice: 'eve' } },
  });
  expect(flat).toEqual({
    instructions: 'Be brief.',
    tools: [],
    voice: 'eve',
    turn_detection,
    audio: { input: { format }, output: { format } },
  });
  expect(sessionInOpenaiShape(flat)).toMatchObject({
    instructions: 'Be brief.',
    audio: { input: { format, turn_detection }, output: { format, voice: 'eve' } },
  });
});

test('a patch names only what it changes', () => {
  expect(xaiSession({ type: 'realtime', instructions: 'New.' })).toEqual({ instructions: 'New.' });
});
