// Changes of the history as events. Telling of a change costs nothing of the length of the conversation.

import type { EventHub } from '../event-hub.ts';
import type { History, HistoryChange } from '../history/history.ts';
import type { RealtimeItem } from '../history/item.ts';

export function historyEvents(hub: EventHub, history: History, change: HistoryChange): void {
  const { kind, itemId } = change;
  if (kind === 'delta') {
    const { contentIndex = 0, field = 'transcript', delta = '' } = change;
    if (hub.wants('history_delta')) hub.emit({ type: 'history_delta', itemId, contentIndex, field, delta });
    return;
  }
  if (kind === 'deleted') hub.emit({ type: 'history_deleted', itemId, dropped: change.dropped ?? false });
  if (kind === 'added' && hub.wants('history_added')) {
    const item = history.item(itemId);
    if (item) hub.emit({ type: 'history_added', item });
  }
  if (hub.wants('history_updated')) hub.emit(new HistoryUpdated(history, itemId));
}

/** Reads the history when it is asked for. */
class HistoryUpdated {
  readonly type = 'history_updated' as const;
  readonly itemId: string;
  readonly #of: History;

  constructor(of: History, itemId: string) {
    this.#of = of;
    this.itemId = itemId;
  }

  get history(): readonly RealtimeItem[] {
    return this.#of.items;
  }

  get item(): RealtimeItem | undefined {
    return this.#of.item(this.itemId);
  }
}
