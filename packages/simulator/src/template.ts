import { isObject, type Wire } from './wire.ts';

// Filling in: `$1` for the groups of a match, `{{name.path}}` for values.

/** Replaces `$0` to `$9` in every string of a value. A group that took no part becomes empty. */
export function fillGroups<T>(value: T, match: RegExpMatchArray): T {
  if (typeof value === 'string')
    return value.replace(/\$(\d)/gu, (_, digit: string) => match[Number(digit)] ?? '') as T;
  if (Array.isArray(value)) return value.map((entry: unknown) => fillGroups(entry, match)) as T;
  if (isObject(value))
    return Object.fromEntries(Object.entries(value).map(([key, entry]) => [key, fillGroups(entry, match)])) as T;
  return value;
}

/** Replaces `{{name.path}}` by what stands there; what does not exist becomes empty, an object its JSON. */
export function fill(template: string, values: Wire): string {
  return template.replace(/\{\{\s*([\w.$-]+)\s*\}\}/gu, (_, path: string) => show(at(values, path.split('.'))));
}

function at(value: unknown, path: string[]): unknown {
  let current = value;
  for (const key of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, key)) return undefined;
    current = (current as Wire)[key];
  }
  return current;
}

function show(value: unknown): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'string' ? value : JSON.stringify(value);
}
