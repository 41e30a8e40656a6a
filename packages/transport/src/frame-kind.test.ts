import { describe, expect, test } from 'vitest';
import { audioBytes, frameType, isPlainAppend } from './frame-kind.ts';

const frame = (text: string): Buffer => Buffer.from(text);
const sound = Buffer.alloc(960, 7).toString('base64');

describe('frameType', () => {
  test.each([
    ['{"type":"response.output_audio.delta","delta":"AA=="}', 'response.output_audio.delta'],
    ['{"type": "session.created", "session": {}}', 'session.created'],
    [' {\n "event_id" : "event_1",\t"type" : "error" }', 'error'],
    ['{"audio":"AAAA","type":"input_audio_buffer.append"}', 'input_audio_buffer.append'],
    ['{"type":"vendor.new_thing"}', 'vendor.new_thing'],
    ['{"type":"grüße"}', 'grüße'],
  ])('reads %s', (text, type) => {
    expect(frameType(frame(text))).toBe(type);
  });

  test('a nested type is not the type of the frame', () => {
    const text = '{"item":{"type":"message"},"type":"conversation.item.added"}';
    expect(frameType(frame(text))).toBe('conversation.item.added');
    expect(frameType(frame('{"item":{"type":"message"}}'))).toBeNull();
  });

  test('escapes in keys and values are understood', () => {
    expect(frameType(frame('{"ty\\u0070e":"error"}'))).toBe('error');
    expect(frameType(frame('{"event_id":"a\\"type\\":\\"b","type":"error"}'))).toBe('error');
    expect(frameType(frame('{"type":"err\\u006fr"}'))).toBe('error');
  });

  test.each(['', '{', '[]', 'null', '{"type":7}', '{"type":null}', '{"a":"b"}', '{"type"', '{"type":"x', '"type"'])(
    'has none for %j',
    (text) => expect(frameType(frame(text))).toBeNull(),
  );
});

describe('isPlainAppend', () => {
  test.each([
    `{"type":"input_audio_buffer.append","audio":"${sound}"}`,
    `{"event_id":"event_1","type":"input_audio_buffer.append","audio":"${sound}"}`,
    `{"type": "input_audio_buffer.append", "audio": "${sound}"}\n`,
    `{"audio":"${sound}","type":"input_audio_buffer.append"}`,
    '{"type":"input_audio_buffer.append","audio":""}',
  ])('takes sound, however it is written', (text) => expect(isPlainAppend(frame(text))).toBe(true));

  test.each([
    // The last of two equal keys is what a parser takes.
    `{"type":"input_audio_buffer.append","audio":"${sound}","type":"session.update"}`,
    '{"type":"input_audio_buffer.append","type":"session.update","audio":""}',
    '{"type":"input_audio_buffer.append","audio":"","ty\\u0070e":"session.update"}',
    '{"type":"input_audio_buffer.append","audio":"\\"}',
    '{"type":"input_audio_buffer.append","audio":"AA","session":{}}',
    '{"type":"input_audio_buffer.append","audio":"AA"}{"type":"session.update"}',
    '{"type":"input_audio_buffer.append","audio":{}}',
    '{"type":"input_audio_buffer.append"}',
    '{"type":"input_audio_buffer.append","audio":"AA"',
    '{"type":"input_audio_buffer.commit","audio":"AA"}',
    '',
  ])('refuses what only begins like it: %s', (text) => expect(isPlainAppend(frame(text))).toBe(false));
});

describe('audioBytes', () => {
  test.each([0, 1, 2, 3, 4, 959, 960, 961])('counts %i bytes without decoding them', (bytes) => {
    const base64 = Buffer.alloc(bytes, 1).toString('base64');
    expect(audioBytes(frame(`{"type":"input_audio_buffer.append","audio":"${base64}"}`))).toBe(bytes);
    expect(audioBytes(frame(`{"type":"response.output_audio.delta","item_id":"audio","delta": "${base64}"}`))).toBe(
      bytes,
    );
  });

  test('a frame without sound has none', () => {
    expect(audioBytes(frame('{"type":"response.output_audio.done"}'))).toBe(0);
    expect(audioBytes(frame('{"type":"x","delta":"AA'))).toBe(0);
  });
});
