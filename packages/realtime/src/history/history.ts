// The local copy of a conversation: what the provider says of its items, in the provider's order.
//
// H1  The order is that of `previous_item_id`, whatever order frames came in.
// H2  What was known of an item is not erased by a later frame that knows less: an empty transcript, an image left out.
// H3  Words grow as they come, for both sides; once somebody said how they end, late fragments are ignored.
// H4  The cost of a change does not grow with the conversation: lists and items are made when somebody looks.

import { type Bounds, HeldAudio, HeldOutputs } from './held.ts';
import {
  isObject,
  type ItemStatus,
  itemOf,
  type RealtimeContent,
  type RealtimeItem,
  type RealtimeMessageItem,
  statusOf,
  text,
  type Wire,
} from './item.ts';
import { merge, mergePart, partAt } from './merge.ts';
import { type Link, Order, type Place } from './order.ts';

export interface HistoryChange {
  kind: 'added' | 'updated' | 'delta' | 'deleted';
  itemId: string;
  /** For a delta: which part of the item grew, what of it, and by what. */
  contentIndex?: number;
  field?: 'text' | 'transcript';
  delta?: string;
  /** For a deletion: the item was let go for lack of room, and is still in the provider's conversation. */
  dropped?: boolean;
}

interface Entry {
  /** null: it has a place, and is not shown (the output of a tool stands with its call). */
  item: RealtimeItem | null;
  /** The item as somebody saw it last, until it changes. */
  shown: RealtimeItem | null;
  /** Parts whose words are complete. */
  ended: Set<number> | null;
  /** It ended before its end, and stays so. */
  cut: boolean;
}

type Role = 'user' | 'assistant';

export class History {
  readonly #order = new Order<Entry>();
  readonly #calls = new Map<string, Link<Entry>>();
  /** Items that say a call again that was said before. */
  readonly #repeats = new Map<string, Link<Entry>[]>();
  /** The unseen item that holds the output of a call. */
  readonly #outputItems = new Map<string, string>();
  readonly #bounds: Bounds;
  readonly #audio: HeldAudio;
  readonly #outputs: HeldOutputs;
  readonly #changed: (change: HistoryChange) => void;
  /** Items that this side sent and the provider has not repeated: it may leave out their images. */
  readonly #sent = new Map<string, RealtimeItem>();
  #list: readonly RealtimeItem[] | null = [];
  #visible = 0;

  constructor(bounds: Bounds, changed: (change: HistoryChange) => void) {
    this.#bounds = bounds;
    this.#audio = new HeldAudio(bounds.audioBytes);
    this.#outputs = new HeldOutputs(bounds.toolOutputs);
    this.#changed = changed;
  }

  /** Number of items that are shown. */
  get size(): number {
    return this.#visible;
  }

  /** All items in order. The same list until something changes; neither it nor what is in it changes afterwards. */
  get items(): readonly RealtimeItem[] {
    if (this.#list) return this.#list;
    const list: RealtimeItem[] = [];
    for (const link of this.#order) if (link.value.item) list.push(this.#show(link));
    this.#list = list;
    return list;
  }

  item(itemId: string): RealtimeItem | undefined {
    const link = this.#order.get(itemId);
    return link?.value.item ? this.#show(link) : undefined;
  }

  /** Whether an item is a message of this side. */
  isOwn(itemId: string): boolean {
    const item = this.#order.get(itemId)?.value.item;
    return item?.type === 'message' && item.role !== 'assistant';
  }

  /** The item of a call. */
  call(callId: string): RealtimeItem | undefined {
    const link = this.#calls.get(callId);
    return link ? this.#show(link) : undefined;
  }

  /** Whether an item is a call under the id of another call that asked for something else. */
  isOtherCall(itemId: string): boolean {
    const item = this.#order.get(itemId)?.value.item;
    if (item?.type !== 'function_call') return false;
    const first = this.#calls.get(item.callId)?.value.item;
    if (first?.type !== 'function_call' || first === item) return false;
    return first.name !== item.name || first.arguments !== item.arguments;
  }

  /** The id of the item that holds the output of a call. */
  outputItemOf(callId: string): string | undefined {
    return this.#outputItems.get(callId);
  }

  /** This side sends an item; what the provider's echo leaves out of it is kept. */
  sending(item: RealtimeItem): void {
    if (this.#sent.size >= 256) for (const oldest of this.#sent.keys()) if (this.#sent.delete(oldest)) break;
    this.#sent.set(item.itemId, item);
  }

  /** Puts in an item that no provider has said yet: a conversation that is continued. */
  seed(item: RealtimeItem): void {
    if (!this.#order.get(item.itemId)) this.#insert(item.itemId, structuredClone(item), undefined);
  }

  /** What the provider says of an item. `place` is undefined where the frame says nothing of it. */
  put(wire: Wire, place: Place, fallback: ItemStatus): void {
    const id = text(wire['id']);
    if (id === undefined) return;
    const link = this.#order.get(id);
    const known = link?.value.item;
    if (link && known?.type === 'message' && wire['type'] === 'message')
      return this.#said(link, known, wire, place, fallback);
    const item = itemOf(wire, known && fallback === 'in_progress' ? known.status : fallback);
    // A call is complete when it has its output.
    if (item?.type === 'function_call' && item.status === 'completed' && known?.status !== 'completed') {
      item.status = 'in_progress';
    }
    if (!link) {
      const sent = this.#sent.get(id);
      if (sent && item) {
        merge(item, sent);
        this.#sent.delete(id);
      }
      this.#insert(id, item, place);
      if (!item && wire['type'] === 'function_call_output') {
        const callId = text(wire['call_id']) ?? '';
        if (this.#calls.has(callId)) this.#outputItems.set(callId, id);
        this.output(callId, text(wire['output']) ?? '');
      }
      return;
    }
    const moved = this.#order.move(link, place);
    if (moved) this.#list = null;
    let changed = item !== null && known ? merge(known, item) : false;
    if (known?.type === 'function_call' && this.#repeats.has(known.callId) && this.#repeat(known)) changed = true;
    if (known?.type === 'function_call' && !this.#calls.has(known.callId)) this.#calls.set(known.callId, link);
    if (moved || changed) this.#touch(link, { kind: 'updated', itemId: id });
  }

  /** A message that is known is told of again: what is new of it is taken over, and nothing is made for the rest. */
  #said(link: Link<Entry>, known: RealtimeMessageItem, wire: Wire, place: Place, fallback: ItemStatus): void {
    const entry = link.value;
    const moved = this.#order.move(link, place);
    let changed = false;
    const status = entry.cut
      ? 'incomplete'
      : (statusOf(wire) ?? (fallback === 'in_progress' ? known.status : fallback));
    if (known.status !== status) {
      known.status = status;
      changed = true;
    }
    const content = wire['content'];
    const count = Array.isArray(content) ? content.length : 0;
    for (let index = 0; index < count; index++) {
      const part: unknown = (content as unknown[])[index];
      if (isObject(part) && mergePart(known, index, part, entry.cut)) changed = true;
    }
    if (fallback === 'completed' && known.role === 'assistant') this.#end(entry, known);
    if (moved) this.#list = null;
    if (moved || changed) this.#touch(link, { kind: 'updated', itemId: link.id });
  }

  /** Words that were added to a part. An item that nobody told of yet is begun with them. */
  grow(itemId: string, contentIndex: number, field: 'text' | 'transcript', delta: string, role: Role): void {
    const link = this.#order.get(itemId) ?? this.#begin(itemId, role);
    const { item, ended } = link.value;
    if (item?.type !== 'message' || ended?.has(contentIndex)) return;
    const part = partAt(item, contentIndex, field);
    if (field === 'text' && 'text' in part) part.text += delta;
    else if (field === 'transcript' && 'transcript' in part) part.transcript = (part.transcript ?? '') + delta;
    else return;
    this.#touch(link, { kind: 'delta', itemId, contentIndex, field, delta });
  }

  /** All words of a part, from who knows how they end. */
  complete(itemId: string, contentIndex: number, field: 'text' | 'transcript', words: string, role: Role): void {
    const link = this.#order.get(itemId) ?? this.#begin(itemId, role);
    const { item } = link.value;
    if (item?.type !== 'message') return;
    const part = partAt(item, contentIndex, field);
    (link.value.ended ??= new Set()).add(contentIndex);
    if (this.#say(part, field, words)) this.#touch(link, { kind: 'updated', itemId });
  }

  /** Only this was heard of an answer: the words beyond it leave the conversation. */
  cut(itemId: string, contentIndex: number, heard: string): void {
    const link = this.#order.get(itemId);
    const item = link?.value.item;
    if (!link || item?.type !== 'message') return;
    const part = item.content[contentIndex];
    (link.value.ended ??= new Set()).add(contentIndex);
    item.status = 'incomplete';
    link.value.cut = true;
    if (part && 'transcript' in part) part.transcript = heard;
    this.#touch(link, { kind: 'updated', itemId });
  }

  /** Nothing more comes of an item. */
  stop(itemId: string): void {
    const link = this.#order.get(itemId);
    const item = link?.value.item;
    if (!link || item?.status !== 'in_progress') return;
    item.status = 'incomplete';
    link.value.cut = true;
    if (item.type === 'message') this.#end(link.value, item);
    this.#touch(link, { kind: 'updated', itemId });
  }

  /** The one output of a call. */
  output(callId: string, output: string): void {
    const link = this.#calls.get(callId);
    const item = link?.value.item;
    if (!link || item?.type !== 'function_call' || item.output === output) return;
    item.output = output;
    item.status = 'completed';
    const forgotten = this.#outputs.keep(callId);
    const old = forgotten === undefined ? undefined : this.#calls.get(forgotten);
    if (old?.value.item?.type === 'function_call') {
      old.value.item.output = null;
      old.value.shown = null;
    }
    this.#touch(link, { kind: 'updated', itemId: item.itemId });
    for (const again of this.#repeats.get(callId) ?? []) {
      const repeated = again.value.item;
      if (repeated?.type === 'function_call' && this.#repeat(repeated)) {
        this.#touch(again, { kind: 'updated', itemId: repeated.itemId });
      }
    }
  }

  /** A call that is said again has the output that it has. */
  #repeat(item: RealtimeItem & { type: 'function_call' }): boolean {
    const first = this.#calls.get(item.callId)?.value.item;
    if (first?.type !== 'function_call' || first === item || first.output === null || item.output !== null)
      return false;
    if (first.name !== item.name || first.arguments !== item.arguments) return false;
    item.output = first.output;
    item.status = 'completed';
    return true;
  }

  /** Sound of a part, where sound is kept. */
  sound(itemId: string, contentIndex: number, chunk: Buffer): void {
    if (this.#bounds.audioBytes === 0) return;
    const link = this.#order.get(itemId) ?? this.#begin(itemId, 'assistant');
    for (const gone of this.#audio.add(itemId, contentIndex, chunk)) {
      const old = this.#order.get(gone);
      if (old) old.value.shown = null;
    }
    link.value.shown = null;
    this.#list = null;
  }

  delete(itemId: string, dropped = false): void {
    const link = this.#order.remove(itemId);
    if (!link) return;
    this.#audio.forget(itemId);
    const { item } = link.value;
    if (!item) return;
    this.#visible -= 1;
    this.#list = null;
    if (item.type === 'function_call' && this.#calls.get(item.callId) === link) {
      this.#calls.delete(item.callId);
      this.#repeats.delete(item.callId);
      this.#outputItems.delete(item.callId);
    }
    this.#changed({ kind: 'deleted', itemId, ...(dropped ? { dropped } : {}) });
  }

  #begin(itemId: string, role: Role): Link<Entry> {
    return this.#insert(itemId, { itemId, type: 'message', role, status: 'in_progress', content: [] }, undefined);
  }

  #insert(id: string, item: RealtimeItem | null, place: Place): Link<Entry> {
    const link = this.#order.insert(id, { item, shown: null, ended: null, cut: false }, place);
    if (!item) return link;
    this.#visible += 1;
    if (item.type === 'function_call') this.#called(item, link);
    this.#touch(link, { kind: 'added', itemId: id });
    // Outputs of tools and other unseen items go with what stands before them.
    while (this.#visible > this.#bounds.items && this.#order.first) this.delete(this.#order.first.id, true);
    return link;
  }

  /** The first of two with one id is the one that runs, and gets the output. */
  #called(item: RealtimeItem & { type: 'function_call' }, link: Link<Entry>): void {
    const first = this.#calls.get(item.callId);
    if (!first) this.#calls.set(item.callId, link);
    else if (first !== link) this.#repeats.set(item.callId, [...(this.#repeats.get(item.callId) ?? []), link]);
  }

  #touch(link: Link<Entry>, change: HistoryChange): void {
    link.value.shown = null;
    this.#list = null;
    this.#changed(change);
  }

  #end(entry: Entry, { content }: RealtimeMessageItem): void {
    for (let index = 0; index < content.length; index++) {
      const part = content[index];
      const words = part && ('text' in part ? part.text : 'transcript' in part ? part.transcript : null);
      if (words) (entry.ended ??= new Set()).add(index);
    }
  }

  #say(part: RealtimeContent, field: 'text' | 'transcript', words: string): boolean {
    if (field === 'text' && 'text' in part && part.text !== words) part.text = words;
    else if (field === 'transcript' && 'transcript' in part && part.transcript !== words) part.transcript = words;
    else return false;
    return true;
  }

  #show(link: Link<Entry>): RealtimeItem {
    const { value, before } = link;
    if (value.shown) return value.shown;
    const item = value.item as RealtimeItem;
    const shown: RealtimeItem = { ...item, previousItemId: before?.id ?? null };
    if (shown.type === 'message') {
      shown.content = shown.content.map((part, index) => {
        const audio = this.#audio.of(item.itemId, index);
        return audio === undefined ? { ...part } : { ...part, audio };
      });
    }
    value.shown = shown;
    return shown;
  }
}
