// What a frame is, read from its bytes. A frame is one JSON object; most of them carry sound and are never parsed, so
// nothing here makes a string, a view or an object of a frame whose type is known.

const QUOTE = 0x22;
const BACKSLASH = 0x5c;

const KNOWN_TYPES = [
  // By how often they come.
  'input_audio_buffer.append',
  'response.output_audio.delta',
  'response.output_audio_transcript.delta',
  'response.output_text.delta',
  'response.function_call_arguments.delta',
  'conversation.item.input_audio_transcription.delta',
  'input_audio_buffer.speech_started',
  'input_audio_buffer.speech_stopped',
  'input_audio_buffer.committed',
  'input_audio_buffer.cleared',
  'input_audio_buffer.timeout_triggered',
  'input_audio_buffer.commit',
  'input_audio_buffer.clear',
  'output_audio_buffer.clear',
  'output_audio_buffer.started',
  'output_audio_buffer.stopped',
  'output_audio_buffer.cleared',
  'conversation.item.create',
  'conversation.item.added',
  'conversation.item.done',
  'conversation.item.truncate',
  'conversation.item.truncated',
  'conversation.item.retrieve',
  'conversation.item.retrieved',
  'conversation.item.delete',
  'conversation.item.deleted',
  'conversation.item.input_audio_transcription.completed',
  'conversation.item.input_audio_transcription.failed',
  'response.create',
  'response.cancel',
  'response.created',
  'response.done',
  'response.output_item.added',
  'response.output_item.done',
  'response.content_part.added',
  'response.content_part.done',
  'response.output_audio.done',
  'response.output_audio_transcript.done',
  'response.output_text.done',
  'response.function_call_arguments.done',
  'rate_limits.updated',
  'session.update',
  'session.created',
  'session.updated',
  'error',
] as const;

/** Types by their length in bytes, so that most lookups compare with two or three of them. */
const BY_LENGTH: { bytes: Buffer; type: string }[][] = [];
for (const type of KNOWN_TYPES) {
  const bytes = Buffer.from(type);
  (BY_LENGTH[bytes.length] ??= []).push({ bytes, type });
}

const TYPE_KEY = Buffer.from('type');
const EVENT_ID_KEY = Buffer.from('event_id');
const AUDIO_KEY = Buffer.from('audio');
const APPEND = Buffer.from('input_audio_buffer.append');
const PLAIN_APPEND = Buffer.from('{"type":"input_audio_buffer.append","audio":"');
const PAYLOADS = ['"delta":"', '"audio":"', '"delta": "', '"audio": "'].map((text) => Buffer.from(text));

/**
 * The `type` of a frame: null when the frame is not a JSON object with a `type` that is a string.
 * Reads the keys of the outer object from the front and stops at `type`; only a frame that puts a nested value or an
 * escape before it is parsed. Frames of a peer that is trusted to send each key once need no more than this.
 */
export function frameType(frame: Buffer): string | null {
  let at = afterSpace(frame, 0);
  if (frame[at] !== 0x7b) return null;
  at = afterSpace(frame, at + 1);
  for (;;) {
    if (frame[at] !== QUOTE) return parsedType(frame);
    const keyEnd = plainStringEnd(frame, at);
    if (keyEnd < 0) return parsedType(frame);
    const isType = equals(frame, at + 1, keyEnd, TYPE_KEY);
    at = afterSpace(frame, keyEnd + 1);
    if (frame[at] !== 0x3a) return parsedType(frame);
    at = afterSpace(frame, at + 1);
    const valueEnd = frame[at] === QUOTE ? plainStringEnd(frame, at) : -1;
    if (valueEnd < 0) return parsedType(frame);
    if (isType) return named(frame, at + 1, valueEnd);
    at = afterSpace(frame, valueEnd + 1);
    if (frame[at] !== 0x2c) return parsedType(frame);
    at = afterSpace(frame, at + 1);
  }
}

/**
 * True when a frame is `input_audio_buffer.append` and nothing else: `type` and `audio` once each, perhaps `event_id`,
 * all of them plain strings. A frame that only begins like one, and names another type further on, is not: parsers
 * take the last of two equal keys. What is true here may be passed on unparsed whoever sent it.
 */
export function isPlainAppend(frame: Buffer): boolean {
  const last = frame.length - 1;
  if (startsWith(frame, PLAIN_APPEND)) {
    return frame[last] === 0x7d && frame.indexOf(QUOTE, PLAIN_APPEND.length) === last - 1 && noEscape(frame, last - 1);
  }
  let at = afterSpace(frame, 0);
  if (frame[at] !== 0x7b) return false;
  at = afterSpace(frame, at + 1);
  let types = 0;
  let audios = 0;
  for (;;) {
    if (frame[at] !== QUOTE) return false;
    const keyEnd = plainStringEnd(frame, at);
    if (keyEnd < 0) return false;
    const isType = equals(frame, at + 1, keyEnd, TYPE_KEY);
    const isAudio = equals(frame, at + 1, keyEnd, AUDIO_KEY);
    if (!isType && !isAudio && !equals(frame, at + 1, keyEnd, EVENT_ID_KEY)) return false;
    at = afterSpace(frame, keyEnd + 1);
    if (frame[at] !== 0x3a) return false;
    at = afterSpace(frame, at + 1);
    const valueEnd = frame[at] === QUOTE ? plainStringEnd(frame, at) : -1;
    if (valueEnd < 0) return false;
    if (isType) {
      types += 1;
      if (!equals(frame, at + 1, valueEnd, APPEND)) return false;
    } else if (isAudio) audios += 1;
    at = afterSpace(frame, valueEnd + 1);
    if (frame[at] === 0x7d) return types === 1 && audios === 1 && afterSpace(frame, at + 1) === frame.length;
    if (frame[at] !== 0x2c) return false;
    at = afterSpace(frame, at + 1);
  }
}

/** How many bytes of sound the base64 in `audio` or `delta` of a frame stands for; 0 when there is none. */
export function audioBytes(frame: Buffer): number {
  for (const key of PAYLOADS) {
    const found = frame.indexOf(key);
    if (found < 0) continue;
    const start = found + key.length;
    const end = frame.indexOf(QUOTE, start);
    if (end <= start) return 0;
    let padding = 0;
    while (padding < 2 && frame[end - 1 - padding] === 0x3d) padding += 1;
    return Math.floor(((end - start - padding) * 3) / 4);
  }
  return 0;
}

/** The closing quote of the string that opens at `at`; -1 when it has none, or holds an escape. */
function plainStringEnd(frame: Buffer, at: number): number {
  const end = frame.indexOf(QUOTE, at + 1);
  if (end < 0) return -1;
  // Looking for an escape in long sound is a search of its own; keys and names are short enough to walk.
  if (end - at > 256) {
    const escape = frame.indexOf(BACKSLASH, at + 1);
    return escape < 0 || escape > end ? end : -1;
  }
  for (let i = at + 1; i < end; i++) if (frame[i] === BACKSLASH) return -1;
  return end;
}

function noEscape(frame: Buffer, quote: number): boolean {
  return frame[quote - 1] !== BACKSLASH;
}

function startsWith(frame: Buffer, prefix: Buffer): boolean {
  return frame.length > prefix.length && equals(frame, 0, prefix.length, prefix);
}

function equals(frame: Buffer, start: number, end: number, bytes: Buffer): boolean {
  const length = bytes.length;
  if (end - start !== length) return false;
  for (let i = 0; i < length; i++) if (frame[start + i] !== bytes[i]) return false;
  return true;
}

function afterSpace(frame: Buffer, at: number): number {
  let next = at;
  for (;;) {
    const byte = frame[next];
    if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return next;
    next += 1;
  }
}

function named(frame: Buffer, start: number, end: number): string {
  const candidates = BY_LENGTH[end - start];
  if (candidates) {
    for (const { bytes, type } of candidates) if (equals(frame, start, end, bytes)) return type;
  }
  return frame.toString('utf8', start, end);
}

function parsedType(frame: Buffer): string | null {
  try {
    const value: unknown = JSON.parse(frame.toString());
    if (typeof value !== 'object' || value === null || Array.isArray(value) || !('type' in value)) return null;
    return typeof value.type === 'string' ? value.type : null;
  } catch {
    // Not JSON: it has no type.
    return null;
  }
}
