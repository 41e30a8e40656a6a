// Items of Codex as events of the port. Kinds that nobody knew when this was written pass like the others.

import type { AgentTurnEvent } from '@parley/turns';
import { asObject, asText, type Params } from './rpc.ts';

const SUMMARY_CHARS_MAX = 200;
/** Fields that say what an item was, the best first. */
const TELLING = ['summary', 'text', 'message', 'name', 'command', 'query', 'path', 'review', 'tool'] as const;
const DEPTH_MAX = 8;

/** @param charsMax of one text in the metadata. */
export function eventOf(item: Params, charsMax: number): AgentTurnEvent {
  const kind = asText(item['type']) ?? 'unknown';
  const { type: _type, id: _id, ...rest } = item;
  return Object.freeze({ kind, summary: summaryOf(item), metadata: trimmed(rest, charsMax, 0) as Params });
}

/** One line about an item. */
export function summaryOf(item: Params): string {
  const kind = asText(item['type']) ?? 'unknown';
  const words = wordsOf(kind, item).replace(/\s+/g, ' ').trim();
  if (words === '') return kind;
  const chars = Array.from(words);
  return chars.length > SUMMARY_CHARS_MAX ? `${chars.slice(0, SUMMARY_CHARS_MAX - 1).join('')}…` : words;
}

function wordsOf(kind: string, item: Params): string {
  switch (kind) {
    case 'mcpToolCall':
      return `${asText(item['server']) ?? ''}.${asText(item['tool']) ?? ''}`;
    case 'fileChange':
      return listOf(item['changes'])
        .map((change) => asText(asObject(change)['path']) ?? '')
        .join(', ');
    case 'reasoning':
      return [...listOf(item['summary']), ...listOf(item['content'])]
        .filter((one) => typeof one === 'string')
        .join(' ');
    default:
      for (const field of TELLING) {
        const value = item[field];
        const text = Array.isArray(value) ? value.filter((one) => typeof one === 'string').join(' ') : asText(value);
        if (text) return text;
      }
      return '';
  }
}

function listOf(value: unknown): unknown[] {
  return Array.isArray(value) ? value : [];
}

/** Without nulls, with long texts cut. */
function trimmed(value: unknown, charsMax: number, depth: number): unknown {
  if (typeof value === 'string') {
    return value.length > charsMax ? `${value.slice(0, charsMax)}… (${value.length} characters)` : value;
  }
  if (typeof value !== 'object' || value === null) return value;
  if (depth >= DEPTH_MAX) return '…';
  if (Array.isArray(value)) return value.map((one) => trimmed(one, charsMax, depth + 1));
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, one]) => one !== null && one !== undefined)
      .map(([key, one]) => [key, trimmed(one, charsMax, depth + 1)]),
  );
}
