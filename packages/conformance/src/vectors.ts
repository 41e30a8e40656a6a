// schemas/vectors as a list of cases. A case is one request to a testee and the one answer that is right.

import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** What a testee has to answer: a value, or a ParleyError by its code, message and `details.path`. */
export type Expected = { value: unknown } | { error: { code: string; message: string; path?: string } };

export interface Case {
  /** `declarations/pairs: an unknown provider` */
  id: string;
  op: string;
  /** JSON text as it goes into the request: parsing and printing it again would lose `500.0` and 2^53 + 1. */
  input: string;
  matches: (answer: unknown) => string | null;
}

interface VectorFile {
  about: string;
  op: string;
  cases: (({ input: unknown } | { input_json: string }) & { name: string } & Expected)[];
}

/** A head (`about`, `after`), an event with what follows from it, or at the end some fields of the state. */
interface SessionLine {
  about?: string;
  /** Another log that this one goes on from. */
  after?: string;
  at_ms?: number;
  event?: object;
  /** What is recorded besides the event itself; none when it is missing. */
  records?: unknown[];
  effects?: unknown[];
  state?: Record<string, unknown>;
}

/** Every case below `root`, in the order of their paths; `only` is a folder or the beginning of a path. */
export function readVectors(root: string, only = ''): Case[] {
  return readdirSync(root, { recursive: true, encoding: 'utf8' })
    .map((path) => path.replaceAll('\\', '/'))
    .filter((path) => path.startsWith(only) && !/(^|\/)_/.test(path))
    .sort()
    .flatMap((path) =>
      path.endsWith('.jsonl') ? [sessionCase(root, path)] : path.endsWith('.json') ? fileCases(root, path) : [],
    );
}

function fileCases(root: string, path: string): Case[] {
  const file = JSON.parse(readFileSync(join(root, path), 'utf8')) as VectorFile;
  return file.cases.map((one) => {
    const expected: unknown = 'error' in one ? { error: one.error } : { value: one.value };
    return {
      id: `${path.replace(/\.json$/, '')}: ${one.name}`,
      op: file.op,
      input: 'input_json' in one ? one.input_json : JSON.stringify(one.input),
      matches: (answer) => difference(expected, answer),
    };
  });
}

function sessionCase(root: string, path: string): Case {
  const lines = sessionLines(root, path);
  const inputs = lines.filter((line) => line.event !== undefined);
  return {
    id: path.replace(/\.jsonl$/, ''),
    op: 'session.fold',
    input: JSON.stringify(inputs.map(({ at_ms, event }) => ({ at_ms, event }))),
    matches: (answer) => sessionDifference(lines, answer),
  };
}

/** The lines of a log, those of the log that it goes on from first. */
function sessionLines(root: string, path: string): SessionLine[] {
  const lines = readFileSync(join(root, path), 'utf8')
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => JSON.parse(line) as SessionLine);
  const after = lines[0]?.after;
  return after === undefined ? lines : [...sessionLines(root, `sessions/${after}`), ...lines];
}

interface SessionAnswer {
  value?: { lines?: unknown; state?: Record<string, unknown>; replayed?: unknown };
}

function sessionDifference(lines: SessionLine[], answer: unknown): string | null {
  const { value } = answer as SessionAnswer;
  if (!value || !Array.isArray(value.lines)) return difference({ value: 'lines' }, answer);
  let seq = 0;
  let at = 0;
  for (const line of lines) {
    if (line.event === undefined) continue;
    const got = value.lines[at++] as { records: Record<string, unknown>[]; effects: unknown[] };
    const [first, ...rest] = got.records;
    // A record may be given by its type alone, where the rest of it is plain.
    const shown = rest.map((one, i) =>
      typeof line.records?.[i] === 'string' ? one['type'] : without(one, 'seq', 'at_ms'),
    );
    const problem =
      difference({ ...line.event, seq: seq + 1, at_ms: line.at_ms }, first) ??
      difference(
        got.records.map((_, i) => seq + 1 + i),
        got.records.map((one) => one['seq']),
      ) ??
      difference(line.records ?? [], shown) ??
      difference(line.effects ?? [], got.effects);
    if (problem) return `event ${at} (${JSON.stringify(line.event).slice(0, 120)}): ${problem}`;
    seq += got.records.length;
  }
  for (const [key, expected] of Object.entries(lines.at(-1)?.state ?? {})) {
    const problem = difference(expected, value.state?.[key]);
    if (problem) return `state.${key}: ${problem}`;
  }
  return value.replayed === true ? null : 'a replay of the recorded log gives another state';
}

function without(value: object, ...keys: string[]): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([key]) => !keys.includes(key)));
}

/** Null when equal; otherwise both, as JSON. */
export function difference(expected: unknown, got: unknown): string | null {
  return same(expected, got) ? null : `expected ${JSON.stringify(expected)}, got ${JSON.stringify(got)}`;
}

// Deep equality of JSON. Keys are compared as own keys, so that `__proto__` is one like any other.
function same(a: unknown, b: unknown): boolean {
  if (typeof a !== 'object' || a === null || typeof b !== 'object' || b === null) return a === b;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  const keys = Object.keys(a);
  if (keys.length !== Object.keys(b).length) return false;
  return keys.every(
    (key) => Object.hasOwn(b, key) && same((a as Record<string, unknown>)[key], (b as Record<string, unknown>)[key]),
  );
}
