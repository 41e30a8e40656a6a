// What was said so far, as far as a new connection has to be told it: text, and tools with what they returned. Sound of
// the model cannot be given back to it. It is read from the events of a connection, or from the log of a session, in
// which the same things stand under the same names.

import {
  heardText,
  type ModelCommand,
  type ModelCommandOf,
  type ModelEvent,
  newId,
  type SessionEvent,
} from '@parley/core';

export interface HistoryLimits {
  /** Entries that are kept; the oldest go first. */
  entries_max: number;
  /** Characters that are kept, of all entries together. */
  chars_max: number;
}

export const HISTORY_LIMITS: HistoryLimits = { entries_max: 200, chars_max: 64_000 };
/** Tools whose output is not there yet. */
const CALLS_MAX = 256;

type Line = ModelCommandOf<'add_text'>;
type Told = Line | ModelCommandOf<'add_item'>;

interface Call {
  call_id: string;
  name: string;
  arguments: string;
}

interface Returned extends Call {
  type: 'returned';
  output: string;
}

interface Entry {
  /** Its number: those of later entries are greater. */
  n: number;
  /** What was said, or a tool and what it returned. */
  what: Line | Returned;
  answer: Answer | undefined;
}

/** What an answer said as a whole: it may still be found that not all of it was heard. */
interface Answer {
  response_id: string;
  item_id: string | undefined;
  text: string;
  audio_ms: number;
}

/** A conversation as text, within bounds: what a new connection to a model is told of the one before it. */
export class History {
  readonly #limits: HistoryLimits;
  readonly #calls = new Map<string, Call>();
  /** Answers that were cut before they were complete: how much of them was heard. */
  readonly #cut = new Map<string, number>();
  #entries: Entry[] = [];
  #chars = 0;
  /** Grows with every entry, and with every change of one. */
  version = 0;

  constructor(limits: HistoryLimits = HISTORY_LIMITS) {
    this.#limits = limits;
  }

  /**
   * The commands that tell it to a new connection, in order.
   * @param after only what came after this version.
   */
  replay(after = 0): Told[] {
    return this.#entries.filter(({ n }) => n > after).flatMap(({ what }) => told(what));
  }

  /** An event of a connection, or an entry of a session's log. */
  event(event: ModelEvent | SessionEvent): void {
    switch (event.type) {
      case 'turn.completed':
        this.#said('user', event.text);
        break;
      case 'response.completed':
        this.#answered(event);
        break;
      case 'response.interrupted':
        this.#heard(({ response_id }) => response_id === event.response_id, event.played_ms);
        if (this.#cut.size < CALLS_MAX) this.#cut.set(event.response_id, event.played_ms);
        break;
      case 'item.truncated':
        this.#heard(({ item_id }) => item_id === event.item_id, event.audio_ms);
        break;
      case 'tool.called':
        if (event.source === 'model') this.#called(event);
        break;
      case 'tool.rejected':
        this.#returned(event.call_id, JSON.stringify({ error: event.error }));
        break;
      case 'tool.completed':
        this.#returned(event.call_id, JSON.stringify(event.output ?? (event.error ? { error: event.error } : null)));
        break;
      default:
    }
  }

  /** A command on its way to a connection. */
  command(command: ModelCommand): void {
    if (command.type === 'add_text') this.#said(command.role, command.text);
    else if (command.type === 'add_item') this.#item(command.item);
    else if (command.type === 'tool_output') this.#returned(command.call_id, command.output);
    else if (command.type === 'truncate') this.#heard(({ item_id }) => item_id === command.item_id, command.audio_ms);
  }

  #answered({ response_id, item_id, text, audio_ms }: ModelEvent & { type: 'response.completed' }): void {
    this.#said('assistant', text, { response_id, item_id, text, audio_ms });
    const played_ms = this.#cut.get(response_id);
    this.#cut.delete(response_id);
    if (played_ms !== undefined) this.#heard((answer) => answer.response_id === response_id, played_ms);
  }

  /** A call of another connection, or what it returned. */
  #item(item: Record<string, unknown>): void {
    const text = (key: string): string => (typeof item[key] === 'string' ? item[key] : '');
    const call_id = text('call_id');
    if (item['type'] === 'function_call') this.#called({ call_id, name: text('name'), arguments: text('arguments') });
    else if (item['type'] === 'function_call_output') this.#returned(call_id, text('output'));
  }

  #called({ call_id, name, arguments: input }: Call): void {
    if (this.#calls.size >= CALLS_MAX) {
      const [oldest] = this.#calls.keys();
      if (oldest !== undefined) this.#calls.delete(oldest);
    }
    this.#calls.set(call_id, { call_id, name, arguments: input });
  }

  /** A call and its output are one entry, so that neither half is ever told alone. */
  #returned(call_id: string, whole: string): void {
    const call = this.#calls.get(call_id);
    if (!call) return;
    this.#calls.delete(call_id);
    const room = this.#limits.chars_max - call.name.length - call.arguments.length;
    this.#add({ type: 'returned', ...call, output: whole.slice(0, Math.max(0, room)) });
  }

  #said(role: Line['role'], whole: string, answer?: Answer): void {
    if (whole === '') return;
    this.#add({ type: 'add_text', role, text: whole.slice(0, this.#limits.chars_max) }, answer);
  }

  #add(what: Line | Returned, answer?: Answer): void {
    const { entries_max, chars_max } = this.#limits;
    this.version += 1;
    this.#entries.push({ n: this.version, what, answer });
    this.#chars += lengthOf(what);
    while (this.#entries.length > entries_max || (this.#chars > chars_max && this.#entries.length > 1)) {
      const [oldest] = this.#entries.splice(0, 1);
      if (oldest) this.#chars -= lengthOf(oldest.what);
    }
  }

  /** The user did not hear all of it, so the model did not say all of it. Which is known first depends on the pace. */
  #heard(of: (answer: Answer) => boolean, heard_ms: number): void {
    const entry = this.#entries.find(({ answer }) => answer !== undefined && of(answer));
    if (!entry?.answer || entry.what.type !== 'add_text') return;
    const { text, audio_ms } = entry.answer;
    const line = entry.what;
    const words = heardText(text, heard_ms, audio_ms).slice(0, line.text.length);
    if (words.length >= line.text.length) return;
    this.#chars -= line.text.length - words.length;
    line.text = words;
    this.version += 1;
  }
}

function lengthOf(what: Line | Returned): number {
  return what.type === 'add_text' ? what.text.length : what.name.length + what.arguments.length + what.output.length;
}

/** A tool and what it returned are told as the two items that they are: whoever takes none makes words of them. */
function told(what: Line | Returned): Told[] {
  if (what.type === 'add_text') return what.text === '' ? [] : [{ ...what }];
  const { call_id, name, arguments: input, output } = what;
  const item = (fields: Record<string, unknown>): Told => ({
    type: 'add_item',
    item: { id: newId('item'), ...fields },
  });
  return [
    item({ type: 'function_call', call_id, name, arguments: input }),
    item({ type: 'function_call_output', call_id, output }),
  ];
}
