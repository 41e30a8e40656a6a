import { type ClientEvent, isObject, type Wire } from '../wire.ts';
import { missing, WireError } from './wire-error.ts';

// Reading a frame. What comes out is an object with a known type; everything else about it is for its handler.

/** The events that a client may send, in the order of the reference. */
export const CLIENT_EVENTS = [
  'session.update',
  'input_audio_buffer.append',
  'input_audio_buffer.commit',
  'input_audio_buffer.clear',
  'output_audio_buffer.clear',
  'conversation.item.create',
  'conversation.item.retrieve',
  'conversation.item.truncate',
  'conversation.item.delete',
  'response.create',
  'response.cancel',
] as const;

export type ClientEventType = (typeof CLIENT_EVENTS)[number];

/** A frame as an event, or the error that answers it and the event's id where it had one. */
export type Reading =
  | { kind: 'event'; event: ClientEvent & { type: ClientEventType } }
  | { kind: 'error'; error: WireError; eventId: string | null };

export function readEvent(frame: Buffer, binary: boolean, bytesMax: number): Reading {
  if (binary) return broken('Binary frames are not supported; send JSON text frames.');
  if (frame.length > bytesMax) return broken(`The event has ${frame.length} bytes; at most ${bytesMax} are accepted.`);
  let event: unknown;
  try {
    event = JSON.parse(frame.toString());
  } catch {
    return broken('The event is not valid JSON.');
  }
  if (!isObject(event)) return broken('The event must be a JSON object.');
  if (isKnown(event)) return { kind: 'event', event };
  return { kind: 'error', error: typeError(event['type']), eventId: idOf(event) };
}

/** The `event_id` of a client event, where it has one that can be echoed. */
export function idOf(event: Wire): string | null {
  return typeof event['event_id'] === 'string' ? event['event_id'] : null;
}

function isKnown(event: Wire): event is ClientEvent & { type: ClientEventType } {
  return (CLIENT_EVENTS as readonly unknown[]).includes(event['type']);
}

function typeError(type: unknown): WireError {
  if (type === undefined) return missing('type');
  const names = CLIENT_EVENTS.map((name) => `'${name}'`).join(', ');
  const shown = typeof type === 'string' ? type : JSON.stringify(type);
  return new WireError('invalid_value', `Invalid value: '${shown}'. Supported values are: ${names}.`, 'type');
}

function broken(message: string): Reading {
  return { kind: 'error', error: new WireError('invalid_event', message), eventId: null };
}
