// Ids are a prefix that says what the thing is, and 128 random bits in base32 without look-alikes.

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';

/** The prefixes of every id that Parley makes. */
export const ID_PREFIXES = {
  session: 'sess',
  execution: 'exec',
  workflow: 'wf',
  turn: 'turn',
  item: 'item',
  call: 'call',
  say: 'say',
  agent: 'agent',
  link: 'link',
  key: 'key',
  request: 'req',
  event: 'event',
} as const;

export type IdKind = keyof typeof ID_PREFIXES;

// One request to the system's random source serves 64 ids; ids are made on hot paths.
const POOL_BYTES = 1024;
const pool = new Uint8Array(POOL_BYTES);
let used = POOL_BYTES;

/**
 * Makes a new id of the given kind: `newId('session')` gives `sess_` and 26 characters (128 random bits).
 *
 * @example
 * const id = newId('execution'); // "exec_0c7k…"
 */
export function newId(kind: IdKind): string {
  return `${ID_PREFIXES[kind]}_${randomSuffix()}`;
}

/** Two characters for each ten bits: half as many pieces as characters. */
const PAIRS = Array.from({ length: 1024 }, (_, bits) => `${ALPHABET[bits >> 5]}${ALPHABET[bits & 31]}`);

/** 128 random bits as 26 base32 characters. */
export function randomSuffix(): string {
  if (used + 16 > POOL_BYTES) {
    globalThis.crypto.getRandomValues(pool);
    used = 0;
  }
  let text = '';
  // Five bytes are eight characters; the sixteenth byte is the last two, padded with zeros.
  for (let group = 0; group < 3; group++) {
    const first = byte();
    const second = byte();
    const third = byte();
    const fourth = byte();
    text +=
      pair((first << 2) | (second >> 6)) +
      pair(((second & 63) << 4) | (third >> 4)) +
      pair(((third & 15) << 6) | (fourth >> 2)) +
      pair(((fourth & 3) << 8) | byte());
  }
  return text + pair(byte() << 2);
}

function byte(): number {
  return pool[used++] as number;
}

function pair(bits: number): string {
  return PAIRS[bits] as string;
}

const ID_PATTERNS = new Map<IdKind, RegExp>();

/** True when `value` has the shape of an id of that kind. */
export function isId(kind: IdKind, value: unknown): value is string {
  if (typeof value !== 'string') return false;
  let pattern = ID_PATTERNS.get(kind);
  if (!pattern) ID_PATTERNS.set(kind, (pattern = new RegExp(`^${ID_PREFIXES[kind]}_[0-9a-hjkmnp-tv-z]{26}$`)));
  return pattern.test(value);
}
