// The nouns of OpenAI Realtime (GA), as far as the adapter looks into them. What is not named here passes unread.

export type Wire = Record<string, unknown>;

export interface WireFrame extends Wire {
  type: string;
  event_id?: string;
}

export function isObject(value: unknown): value is Wire {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function objectIn(value: Wire, key: string): Wire {
  const inner = value[key];
  return isObject(inner) ? inner : {};
}

export function textIn(value: Wire, key: string): string | undefined {
  const inner = value[key];
  return typeof inner === 'string' ? inner : undefined;
}

export function numberIn(value: Wire, key: string): number | undefined {
  const inner = value[key];
  return typeof inner === 'number' && Number.isFinite(inner) ? inner : undefined;
}

export function listIn(value: Wire, key: string): Wire[] {
  const inner = value[key];
  return Array.isArray(inner) ? inner.filter(isObject) : [];
}

/** A frame as an object; null when it is not JSON. */
export function decoded(frame: Buffer): WireFrame | null {
  try {
    const value: unknown = JSON.parse(frame.toString());
    return isObject(value) && typeof value['type'] === 'string' ? (value as WireFrame) : null;
  } catch {
    // A provider that sends something else than JSON has said nothing.
    return null;
  }
}

export function encoded(value: Wire): Buffer {
  return Buffer.from(JSON.stringify(value));
}

/** Bytes of sound in one millisecond of a format: PCM16 at 24 kHz, or G.711 at 8 kHz. */
export function bytesPerMs(format: Wire): number {
  return format['type'] === 'audio/pcmu' || format['type'] === 'audio/pcma' ? 8 : 48;
}
