// What goes wrong on the wire of a scripted model.

export type WireFault =
  /** The next connection is refused. */
  | { kind: 'refuse_connection'; code?: 'unavailable' | 'unauthenticated' | 'resource_exhausted'; times?: number }
  /** Frames of this type of the model are lost, sent twice, or late. */
  | { kind: 'lose' | 'duplicate'; type: string; times?: number }
  | { kind: 'delay'; type: string; ms: number; times?: number }
  /** Frames of this type of the client are answered with an error. */
  | { kind: 'refuse'; type: string; code?: string; message?: string; times?: number }
  /** The connection is cut, or closed, when a frame of this type was sent by either side. */
  | { kind: 'drop'; type: string; times?: number }
  | { kind: 'close'; type: string; closeCode: number; reason?: string; times?: number };

export class Faults {
  readonly #faults: { fault: WireFault; left: number }[] = [];

  add(fault: WireFault): void {
    this.#faults.push({ fault, left: fault.times ?? 1 });
  }

  /** A fault of one of these kinds that is due, and is used up by one. */
  take<K extends WireFault['kind']>(kinds: readonly K[], type?: string): Extract<WireFault, { kind: K }> | undefined {
    for (const entry of this.#faults) {
      const { fault } = entry;
      if (entry.left <= 0 || !kinds.includes(fault.kind as K)) continue;
      if (type !== undefined && 'type' in fault && fault.type !== type) continue;
      entry.left -= 1;
      return fault as Extract<WireFault, { kind: K }>;
    }
    return undefined;
  }
}
