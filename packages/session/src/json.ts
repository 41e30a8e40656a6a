// Values that go over the wire. JSON.stringify turns a Map into {} and NaN into null without a word; here that is an
// error that names the place.

import { LIMITS, ParleyError } from '@parley/core';

const DEPTH_MAX = 64;

/** What keeps `value` from being JSON, in words, or null. */
export function jsonProblem(value: unknown, path = 'the value', depth = 0): string | null {
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return null;
  if (typeof value === 'number') return Number.isFinite(value) ? null : `${path} is ${value}, which JSON cannot say`;
  if (typeof value !== 'object') return `${path} is a ${typeof value}, which JSON cannot say`;
  if (depth > DEPTH_MAX) return `${path} lies deeper than ${DEPTH_MAX} levels, or in a circle`;
  if (Array.isArray(value)) return first(value.entries(), (key) => `${path}[${key}]`, depth);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? `${path} is an invalid Date` : null;
  const prototype: unknown = Object.getPrototypeOf(value);
  if (prototype === Object.prototype || prototype === null) {
    const present = Object.entries(value).filter(([, field]) => field !== undefined);
    return first(present, (key) => `${path}.${key}`, depth);
  }
  if ('toJSON' in value && typeof value.toJSON === 'function') return null;
  const name = (prototype as { constructor?: { name?: string } } | null)?.constructor?.name ?? 'object';
  return `${path} is a ${name}, which JSON cannot say`;
}

function first(
  entries: Iterable<[string | number, unknown]>,
  pathOf: (key: string | number) => string,
  depth: number,
): string | null {
  for (const [key, field] of entries) {
    const problem = jsonProblem(field, pathOf(key), depth + 1);
    if (problem) return problem;
  }
  return null;
}

/**
 * The text of a payload (an input or an output), or undefined for undefined.
 * @param what the subject of the message: `the output of support.find_order`.
 * @param code the code of the error for what is not JSON.
 * @throws ParleyError `code`, or `resource_exhausted` past `payload_bytes_max`.
 */
export function payloadText(value: unknown, what: string, code: 'invalid_argument' | 'internal'): string | undefined {
  if (value === undefined) return undefined;
  const problem = jsonProblem(value, what);
  if (problem) throw new ParleyError(code, problem);
  let text: string;
  try {
    text = JSON.stringify(value);
  } catch (error) {
    throw new ParleyError(code, `${what} is not JSON: ${(error as Error).message}`, { cause: error });
  }
  const bytes = Buffer.byteLength(text);
  if (bytes > LIMITS.payload_bytes_max) {
    throw new ParleyError(
      'resource_exhausted',
      `${what} is ${bytes} bytes as JSON; the limit is ${LIMITS.payload_bytes_max}`,
      { retryable: false, details: { limit: LIMITS.payload_bytes_max, current: bytes } },
    );
  }
  return text;
}
