// What a new connection is told of a conversation that went before: no provider keeps one for us.
//
// R1  A call and its output stand together or not at all. A call that still runs is told when its output is there.
// R2  Sound of the model cannot be given back: it goes as the words that were heard. Sound of the user goes as what was
//     understood, or as sound where it was kept and nothing was understood.
//     What the provider got from an MCP server by itself goes as the output of a tool: it is a stranger's text, and must
//     not come back as the program's.
// R3  Where there is not room for all, the newest items go.

import type { ReplayOptions } from '../options.ts';
import { type RealtimeItem, textOf, type Wire, wireOf } from './item.ts';

export interface ReplayPlan {
  /** Items for the provider, in order. */
  items: Wire[];
  /** Ids of items of the history that they stand for. */
  itemIds: string[];
  /** Calls that are left out because they have no output yet (R1). */
  openCalls: string[];
  /** Items that could not be told: nothing was understood of them, only the provider could make them, or no room (R3). */
  left: number;
}

export const REPLAY_DEFAULTS: Required<ReplayOptions> = { maxItems: 400, maxChars: 200_000 };

/**
 * Makes the plan. Touches nothing.
 *
 * @example
 * const { items, openCalls } = replayPlan(session.history);
 */
export function replayPlan(history: readonly RealtimeItem[], options: ReplayOptions = {}): ReplayPlan {
  const maxItems = options.maxItems ?? REPLAY_DEFAULTS.maxItems;
  const maxChars = options.maxChars ?? REPLAY_DEFAULTS.maxChars;
  const plan: ReplayPlan = { items: [], itemIds: [], openCalls: [], left: 0 };
  const units: { wires: Wire[]; itemId: string }[] = [];
  let count = 0;
  let chars = 0;
  let full = false;
  const calls = new Set<string>();
  for (let at = history.length - 1; at >= 0; at--) {
    const item = history[at] as RealtimeItem;
    if (item.type === 'function_call' && item.output === null && item.status !== 'incomplete') {
      plan.openCalls.push(item.callId);
      continue;
    }
    // A call that was said twice is one call.
    if (item.type === 'function_call' && calls.size === calls.add(item.callId).size) continue;
    const wires = full ? null : told(item);
    const size = wires ? wires.reduce((sum, wire) => sum + JSON.stringify(wire).length, 0) : 0;
    if (!wires || count + wires.length > maxItems || chars + size > maxChars) {
      // What is not told in the middle would change what the rest means: nothing older goes either.
      if (wires) full = true;
      plan.left += 1;
      continue;
    }
    count += wires.length;
    chars += size;
    units.push({ wires, itemId: item.itemId });
  }
  for (const { wires, itemId } of units.toReversed()) {
    plan.items.push(...wires);
    plan.itemIds.push(itemId);
  }
  return plan;
}

/** The id of the item that holds the output of a call. */
export function outputItemId(itemId: string): string {
  return `${itemId.slice(0, 28)}_out`;
}

/** A call as two items: what the model wrote, and what it was given. */
export function callPair(item: RealtimeItem & { type: 'function_call' }, output: string): Wire[] {
  return [wireOf(item), { id: outputItemId(item.itemId), type: 'function_call_output', call_id: item.callId, output }];
}

function told(item: RealtimeItem): Wire[] | null {
  if (item.type === 'function_call') return item.output === null ? null : callPair(item, item.output);
  // Only a provider can make the call again; what came of it can be told.
  if (item.type === 'mcp_call' && item.output !== null) {
    const { itemId, serverLabel, status, arguments: args, output } = item;
    const name = `${serverLabel}_${item.name}`.replaceAll(/[^A-Za-z0-9_-]/g, '_').slice(0, 64);
    const callId = itemId.slice(-32);
    return callPair({ itemId, type: 'function_call', status, callId, name, arguments: args, output }, output);
  }
  if (item.type !== 'message') return null;
  const content = item.content.filter((part) => {
    if (part.type === 'input_image') return part.image !== null;
    if (part.type === 'input_audio') return (part.transcript ?? '') !== '' || typeof part.audio === 'string';
    if ('text' in part) return part.text !== '';
    return (part.transcript ?? '') !== '';
  });
  if (content.length === 0) return null;
  const words = item.role === 'user' && textOf(item) !== '';
  // Of what was understood the words are enough, and a hundredth of the size.
  const parts = words
    ? content.map((part) => (part.type === 'input_audio' ? { ...part, audio: null } : part))
    : content;
  return [wireOf({ ...item, content: parts })];
}
