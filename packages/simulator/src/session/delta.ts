import { randomSuffix } from '@parley/core';

/** The words of a text, each with the white space after it: joined they are the text again. */
export function wordsOf(text: string): string[] {
  return text === '' ? [] : text.split(/(?<=\s)(?=\S)/u);
}

const OBFUSCATION_UNIT = 16;

/** Padding that hides how long a delta is, as on the wire: delta and padding together fill whole units. */
export function obfuscation(delta: string): string {
  return randomSuffix().slice(0, OBFUSCATION_UNIT - (delta.length % OBFUSCATION_UNIT));
}
