// The whole conversation of a connection whose adapter only makes frames for clients: those frames, and what clients are
// never shown from the events beside them. What such a connection has no frame for is said here in its place.

import type { ModelCommand, ModelEvent } from '@parley/core';
import type { ModelConnection, ModelOwner } from '@parley/providers';
import { frameType } from '@parley/transport';
import { isObject, text, type Wire } from '../history/item.ts';

type FrameListener = Parameters<ModelOwner['onFrame']>[0];

export interface Owned {
  owner: ModelOwner;
  send: (command: ModelCommand, eventId?: string) => void;
  /** Shows what an event says and no frame did; call it before the event is acted upon. */
  show: (event: ModelEvent) => void;
}

export function owned(connection: ModelConnection): Owned {
  if (connection.owner) {
    return {
      owner: connection.owner,
      send: (command, eventId) => connection.send(command, eventId),
      show: () => {},
    };
  }
  let listener: FrameListener | null = null;
  const { media } = connection;
  const tell = (event: Wire & { type: string }): void =>
    listener?.(event.type, Buffer.from(JSON.stringify(event)), event);
  return {
    owner: {
      session: {},
      onFrame(next) {
        listener = next;
        media.onFrame((frame) => next(frameType(frame), frame, null));
      },
      send: (event) => media.send(Buffer.from(JSON.stringify(event))),
      sendAudio: (audio) =>
        media.send(Buffer.from(`{"type":"input_audio_buffer.append","audio":"${audio.toString('base64')}"}`)),
    },
    send(command, eventId) {
      switch (command.type) {
        case 'add_item': {
          for (const plain of plainOf(command.item)) connection.send(plain, eventId);
          // Nobody repeats it: it is taken up when it was sent.
          return tell({ type: 'conversation.item.added', item: { status: 'completed', ...command.item } });
        }
        case 'update':
          connection.send(command, eventId);
          return tell({ type: 'session.updated', session: {} });
        default:
          connection.send(command, eventId);
      }
    },
    show(event) {
      if (event.type !== 'tool.called') return;
      const { call_id, name, arguments: args } = event;
      const item = { id: call_id, type: 'function_call', status: 'completed', call_id, name, arguments: args };
      tell({ type: 'conversation.item.done', item });
    },
  };
}

/** An item in the commands that every adapter knows: its words, or half of a call that another connection made. */
function plainOf(item: Wire): ModelCommand[] {
  if (item['type'] === 'function_call' || item['type'] === 'function_call_output') return [{ type: 'add_item', item }];
  const { role, content } = item;
  if (item['type'] !== 'message' || (role !== 'user' && role !== 'assistant' && role !== 'system')) return [];
  const words = (Array.isArray(content) ? content : [])
    .map((part: unknown) => (isObject(part) ? (text(part['text']) ?? text(part['transcript']) ?? '') : ''))
    .join('');
  return words === '' ? [] : [{ type: 'add_text', role, text: words }];
}
