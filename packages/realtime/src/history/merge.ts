// What a later frame adds to what is known of an item.

import { contentOf, type RealtimeContent, type RealtimeItem, type RealtimeMessageItem, type Wire } from './item.ts';

/** The part at an index; what is missing up to there is made. */
export function partAt(item: RealtimeMessageItem, index: number, field: 'text' | 'transcript'): RealtimeContent {
  const mine = item.role === 'assistant';
  while (item.content.length <= Math.min(index, 63)) {
    item.content.push(
      field === 'text'
        ? { type: mine ? 'output_text' : 'input_text', text: '' }
        : { type: mine ? 'output_audio' : 'input_audio', transcript: null },
    );
  }
  return item.content[Math.min(index, 63)] as RealtimeContent;
}

/** Takes over what `more` knows of an item (H2 of the history). Says whether anything changed. */
export function merge(item: RealtimeItem, more: RealtimeItem): boolean {
  if (item.type !== more.type) return false;
  let changed = false;
  if (item.status !== more.status) {
    item.status = more.status;
    changed = true;
  }
  if (item.type === 'message' && more.type === 'message') {
    for (const [index, part] of more.content.entries()) {
      const own = item.content[index];
      if (!own) item.content.push({ ...part });
      // Only the image: the words are those that the provider repeats.
      else if (own.type === 'input_image' && part.type === 'input_image') own.image ??= part.image;
    }
    return changed;
  }
  for (const key of ['callId', 'name', 'arguments', 'output', 'serverLabel'] as const) {
    const value = (more as unknown as Wire)[key];
    const own = item as unknown as Wire;
    if (typeof value === 'string' && value !== '' && own[key] !== value) {
      own[key] = value;
      changed = true;
    }
  }
  return changed;
}

/** Takes over what the provider says of a part (H2 of the history). An empty text says nothing, and words that were cut stay cut. */
export function mergePart(item: RealtimeMessageItem, index: number, more: Wire, cut: boolean): boolean {
  const own = item.content[index];
  if (!own) {
    const part = contentOf(more, item.role);
    if (part) item.content.push(part);
    return part !== null;
  }
  let changed = false;
  if ('text' in own) {
    const words = more['text'];
    if (typeof words === 'string' && words !== '' && words !== own.text && !cut) {
      own.text = words;
      changed = true;
    }
  } else if ('transcript' in own) {
    const { transcript, audio } = more;
    if (typeof transcript === 'string' && transcript !== '' && transcript !== own.transcript && !cut) {
      own.transcript = transcript;
      changed = true;
    }
    if (typeof audio === 'string' && audio !== own.audio) {
      own.audio = audio;
      changed = true;
    }
  } else {
    const image = more['image_url'];
    if (typeof image === 'string' && image !== own.image) {
      own.image = image;
      changed = true;
    }
  }
  return changed;
}
