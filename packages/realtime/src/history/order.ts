// The order of a conversation: a chain in which an item is put after another one without moving the rest.
//
// An item may come before the one that it follows is known. It stands at the end until then, and moves when that one
// comes: whatever order frames arrive in, the same `previous_item_id`s give the same conversation.

export interface Link<T> {
  readonly id: string;
  value: T;
  before: Link<T> | null;
  after: Link<T> | null;
  /** The id that it waits to be put after. */
  awaits: string | null;
  /** Where it was said to belong. */
  place: Place;
}

/** Where an item goes: after another one, in front (null), or at the end because nobody said. */
export type Place = string | null | undefined;

export class Order<T> {
  readonly #links = new Map<string, Link<T>>();
  readonly #waiting = new Map<string, Set<Link<T>>>();
  #first: Link<T> | null = null;
  #last: Link<T> | null = null;

  get size(): number {
    return this.#links.size;
  }

  get first(): Link<T> | null {
    return this.#first;
  }

  get(id: string): Link<T> | undefined {
    return this.#links.get(id);
  }

  insert(id: string, value: T, place: Place): Link<T> {
    const link: Link<T> = { id, value, before: null, after: null, awaits: null, place };
    this.#links.set(id, link);
    this.#put(link, link, place);
    const waiting = this.#waiting.get(id);
    if (waiting) {
      this.#waiting.delete(id);
      // The one that came last stood nearest to what it followed.
      for (const other of waiting) this.move(other, id);
    }
    return link;
  }

  /** Puts a link where somebody says now that it belongs, and with it those that were put after it. */
  move(link: Link<T>, place: Place): boolean {
    if (place === undefined || place === link.id) return false;
    link.place = place;
    if (place === null ? this.#first === link : link.before?.id === place) return false;
    const ids = new Set([link.id]);
    let last = link;
    while (last.after && typeof last.after.place === 'string' && ids.has(last.after.place)) {
      last = last.after;
      ids.add(last.id);
    }
    // Two that were said to follow each other: nobody moves.
    if (typeof place === 'string' && ids.has(place)) return false;
    this.#detach(link, last);
    this.#put(link, last, place);
    return true;
  }

  remove(id: string): Link<T> | undefined {
    const link = this.#links.get(id);
    if (!link) return undefined;
    this.#links.delete(id);
    this.#detach(link, link);
    return link;
  }

  *[Symbol.iterator](): Generator<Link<T>> {
    for (let link = this.#first; link; link = link.after) yield link;
  }

  #put(link: Link<T>, last: Link<T>, place: Place): void {
    const before = typeof place === 'string' ? this.#links.get(place) : place === null ? null : this.#last;
    if (typeof place === 'string' && !before) {
      link.awaits = place;
      let waiting = this.#waiting.get(place);
      if (!waiting) this.#waiting.set(place, (waiting = new Set()));
      waiting.add(link);
    }
    const left = before === undefined ? this.#last : before;
    const right = left ? left.after : this.#first;
    link.before = left;
    last.after = right;
    if (left) left.after = link;
    else this.#first = link;
    if (right) right.before = last;
    else this.#last = last;
  }

  #detach(link: Link<T>, last: Link<T>): void {
    if (link.awaits !== null) {
      const waiting = this.#waiting.get(link.awaits);
      waiting?.delete(link);
      if (waiting?.size === 0) this.#waiting.delete(link.awaits);
      link.awaits = null;
    }
    if (link.before) link.before.after = last.after;
    else if (this.#first === link) this.#first = last.after;
    if (last.after) last.after.before = link.before;
    else if (this.#last === last) this.#last = link.before;
    link.before = null;
    last.after = null;
  }
}
