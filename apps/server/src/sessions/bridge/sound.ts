// Sound inside of frames: the base64 of a delta as samples, and samples as an append. Nothing is parsed.

const DELTAS = ['"delta":"', '"delta": "'].map((text) => Buffer.from(text));
const QUOTE = 0x22;
/** Ids of a delta stand in front of its sound, or behind it; this much of either end is looked at. */
const HEAD_BYTES = 512;

const APPEND = '{"type":"input_audio_buffer.append","audio":"';
const APPEND_END = '"}';

/** The samples of `response.output_audio.delta`: PCM16 at 24 kHz; null when there are none. */
export function samplesOf(frame: Buffer): Int16Array | null {
  for (const key of DELTAS) {
    const found = frame.indexOf(key);
    if (found < 0) continue;
    const start = found + key.length;
    const end = frame.indexOf(QUOTE, start);
    if (end <= start) return null;
    const bytes = Buffer.from(frame.toString('latin1', start, end), 'base64');
    const samples = bytes.length >> 1;
    if (samples === 0) return null;
    // A view wants an even address; small buffers are cut of a pool.
    return bytes.byteOffset % 2 === 0
      ? new Int16Array(bytes.buffer, bytes.byteOffset, samples)
      : new Int16Array(new Uint8Array(bytes.subarray(0, samples * 2)).buffer);
  }
  return null;
}

/** An id at either end of a frame, as `"name":"…"`. */
export function idOf(frame: Buffer, name: 'response_id' | 'item_id'): string | null {
  const head = frame.toString('latin1', 0, Math.min(frame.length, HEAD_BYTES));
  const found = idIn(head, name);
  if (found !== null || frame.length <= HEAD_BYTES) return found;
  return idIn(frame.toString('latin1', Math.max(HEAD_BYTES, frame.length - HEAD_BYTES)), name);
}

function idIn(text: string, name: string): string | null {
  const key = text.indexOf(`"${name}"`);
  if (key < 0) return null;
  const begin = text.indexOf('"', text.indexOf(':', key + name.length + 2));
  const end = text.indexOf('"', begin + 1);
  return begin < 0 || end < 0 ? null : text.slice(begin + 1, end);
}

/** `input_audio_buffer.append` of samples. */
export function appendOf(samples: Int16Array): Buffer {
  const base64 = Buffer.from(samples.buffer, samples.byteOffset, samples.byteLength).toString('base64');
  return Buffer.from(APPEND + base64 + APPEND_END, 'latin1');
}
