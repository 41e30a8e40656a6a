// From one conversation to another: what to delete and what to create, in the order in which a provider can do it.

import { isDeepStrictEqual } from 'node:util';
import { newId, ParleyError } from '@parley/core';
import type { Ack } from '../link/sends.ts';
import { type RealtimeItem, type RealtimeItemInput, wireOf } from './item.ts';
import { callPair } from './replay.ts';

export interface Edit {
  frame: Record<string, unknown> & { type: string };
  ack: Ack;
}

/** @throws ParleyError `invalid_argument` for a new item that only a provider can make. */
export function editsBetween(
  before: readonly RealtimeItem[],
  after: readonly RealtimeItemInput[],
  outputItemOf: (callId: string) => string | undefined,
): Edit[] {
  const wanted = after.map((item) => ({ ...item, itemId: item.itemId ?? newId('item') }) as RealtimeItem);
  const known = new Map(before.map((item) => [item.itemId, item]));
  // What is kept has to keep its order, because a provider can move nothing: the rest is made anew.
  const kept = new Set<string>();
  let last = -1;
  const positions = new Map(before.map((item, at) => [item.itemId, at]));
  for (const item of wanted) {
    const old = known.get(item.itemId);
    const at = positions.get(item.itemId) ?? -1;
    if (!old || at < last || !same(old, item)) continue;
    last = at;
    kept.add(item.itemId);
  }
  const edits: Edit[] = [];
  for (const item of before) {
    if (kept.has(item.itemId)) continue;
    edits.push(deletion(item.itemId));
    const output = item.type === 'function_call' ? outputItemOf(item.callId) : undefined;
    if (output !== undefined) edits.push(deletion(output));
  }
  let previous = 'root';
  for (const item of wanted) {
    if (!kept.has(item.itemId)) {
      for (const wire of wires(item)) {
        edits.push({
          frame: { type: 'conversation.item.create', previous_item_id: previous, item: wire },
          ack: `item:${String(wire['id'])}`,
        });
        previous = String(wire['id']);
      }
    } else previous = item.itemId;
  }
  return edits;
}

function wires(item: RealtimeItem): Record<string, unknown>[] {
  if (item.type === 'message') return [wireOf(item)];
  if (item.type === 'function_call' && item.output !== null) return callPair(item, item.output);
  throw new ParleyError(
    'invalid_argument',
    `item '${item.itemId}' cannot be created: only messages, and calls with their output, can`,
  );
}

function deletion(itemId: string): Edit {
  return { frame: { type: 'conversation.item.delete', item_id: itemId }, ack: `deleted:${itemId}` };
}

/** Whether two say the same, wherever they stand. */
function same(one: RealtimeItem, other: RealtimeItem): boolean {
  const { previousItemId: _p, status: _s, ...mine } = one;
  const { previousItemId: _q, status: _t, ...theirs } = other;
  return isDeepStrictEqual(mine, theirs);
}
