import { expect, test } from 'vitest';
import { ID_PREFIXES, type IdKind, isId, newId, randomSuffix } from './ids.ts';

test('an id of each kind has its prefix and is one of its kind only', () => {
  const kinds = Object.keys(ID_PREFIXES) as IdKind[];
  for (const kind of kinds) {
    const id = newId(kind);
    expect(id).toMatch(new RegExp(`^${ID_PREFIXES[kind]}_[0-9a-z]{26}$`));
    expect(kinds.filter((other) => isId(other, id))).toEqual([kind]);
  }
});

test('no two ids are the same, over many refills of the pool', () => {
  const count = 50_000;
  const ids = new Set(Array.from({ length: count }, () => newId('event')));
  expect(ids.size).toBe(count);
});

test('every character is equally likely, in every place', () => {
  const count = 32_000;
  const seen = Array.from({ length: 26 }, () => new Map<string, number>());
  for (let i = 0; i < count; i++) {
    for (const [place, char] of Array.from(randomSuffix()).entries()) {
      seen[place]?.set(char, (seen[place].get(char) ?? 0) + 1);
    }
  }
  for (const [place, chars] of seen.entries()) {
    // 128 bits are 25 characters of 5 bits and one of 3.
    const wanted = place === 25 ? 8 : 32;
    expect(chars.size).toBe(wanted);
    const mean = count / wanted;
    // Eight standard deviations: a bias of a bit is far outside, chance is not.
    for (const n of chars.values()) expect(Math.abs(n - mean)).toBeLessThan(8 * Math.sqrt(mean));
  }
});
