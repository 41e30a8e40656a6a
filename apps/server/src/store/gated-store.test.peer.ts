// A store whose commits can be held up or refused, to see what is done before and after they are on disk.

import type { Committed, Store, Write } from './store.ts';

export interface Gate {
  store: Store;
  /** Units from now on wait for `open`. */
  shut(): void;
  open(): void;
  /** The next `count` units with such a write are refused. */
  refuse(op: Write['op'], count: number, error: Error): void;
  /** Resolves when a unit with such a write has come to the gate. */
  seen(op: Write['op']): Promise<Write[]>;
  readonly units: Write[][];
}

export function gated(inner: Store): Gate {
  let gate: Promise<void> = Promise.resolve();
  let open = (): void => undefined;
  let refused: { op: Write['op']; count: number; error: Error } | null = null;
  let arrived = (): void => undefined;
  const units: Write[][] = [];
  const has = (unit: Write[], op: Write['op']) => unit.some((write) => write.op === op);
  const commit = async (unit: Write[]): Promise<Committed> => {
    units.push(unit);
    arrived();
    await gate;
    if (refused && refused.count > 0 && has(unit, refused.op)) {
      refused.count -= 1;
      throw refused.error;
    }
    return inner.commit(unit);
  };
  return {
    units,
    store: new Proxy(inner, {
      get: (target, key) => {
        if (key === 'commit') return commit;
        const value: unknown = Reflect.get(target, key, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    }),
    shut: () => (gate = new Promise((resolve) => (open = resolve))),
    open: () => open(),
    refuse: (op, count, error) => (refused = { op, count, error }),
    async seen(op) {
      for (;;) {
        const unit = units.find((one) => has(one, op));
        if (unit) return unit;
        await new Promise<void>((resolve) => (arrived = resolve));
      }
    },
  };
}
