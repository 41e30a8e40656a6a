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

interface Entry {
  /** Its number: those of later entries are greater. */
  n: number;
  line: Line;
  /** A tool and what it returned, of which `line` is the text. */
  returned?: Call & { output: string };
  /** Of an answer: what it said as a whole, and what may still be found not to have been heard. */
  answer?: { response_id: string; item_id: string | undefined; text: string; audio_ms: number };
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
   * @param callsAre how the connection is told of tools.
   */
  replay(after = 0, callsAre: 'items' | 'text' = 'text'): Told[] {
    return this.#entries
      .filter(({ n, line }) => n > after && line.text !== '')
      .flatMap((entry) => told(entry, callsAre));
  }

  /** An event of a connection, or an entry of a session's log. */
  event(event: ModelEvent | SessionEvent): void {
    switch (event.type) {
      case 'turn.completed':
        this.#add('user', event.text);
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
    if (command.type === 'add_text') this.#add(command.role, command.text);
    else if (command.type === 'tool_output') this.#returned(command.call_id, command.output);
    else if (command.type === 'truncate') this.#heard(({ item_id }) => item_id === command.item_id, command.audio_ms);
  }

  #answered({ response_id, item_id, text, audio_ms }: ModelEvent & { type: 'response.completed' }): void {
    this.#add('assistant', text, { answer: { response_id, item_id, text, audio_ms } });
    const played_ms = this.#cut.get(response_id);
    this.#cut.delete(response_id);
    if (played_ms !== undefined) this.#heard((answer) => answer.response_id === response_id, played_ms);
  }

  #called(call: Call): void {
    if (this.#calls.size >= CALLS_MAX) {
      const [oldest] = this.#calls.keys();
      if (oldest !== undefined) this.#calls.delete(oldest);
    }
    this.#calls.set(call.call_id, call);
  }

  /** A call and its output are one entry, so that neither half is ever told alone. */
  #returned(call_id: string, output: string): void {
    const call = this.#calls.get(call_id);
    if (!call) return;
    this.#calls.delete(call_id);
    const { name, arguments: input } = call;
    const returned = { call_id, name, arguments: input, output };
    this.#add('system', `Tool ${name}(${input}) returned ${output}`, { returned });
  }

  #add(role: Line['role'], whole: string, more: Pick<Entry, 'answer' | 'returned'> = {}): void {
    if (whole === '') return;
    const { entries_max, chars_max } = this.#limits;
    const line: Line = { type: 'add_text', role, text: whole.slice(0, chars_max) };
    this.version += 1;
    this.#entries.push({ n: this.version, line, ...more });
    this.#chars += line.text.length;
    while (this.#entries.length > entries_max || this.#chars > chars_max) {
      this.#chars -= this.#entries.shift()?.line.text.length ?? 0;
    }
  }

  /** The user did not hear all of it, so the model did not say all of it. Which is known first depends on the pace. */
  #heard(of: (answer: NonNullable<Entry['answer']>) => boolean, heard_ms: number): void {
    const entry = this.#entries.find(({ answer }) => answer !== undefined && of(answer));
    if (!entry?.answer) return;
    const { text, audio_ms } = entry.answer;
    const words = heardText(text, heard_ms, audio_ms).slice(0, entry.line.text.length);
    if (words.length >= entry.line.text.length) return;
    this.#chars -= entry.line.text.length - words.length;
    entry.line.text = words;
    this.version += 1;
  }
}

function told({ line, returned }: Entry, callsAre: 'items' | 'text'): Told[] {
  if (!returned || callsAre === 'text') return [{ ...line }];
  const { output, ...call } = returned;
  const item = (fields: Record<string, unknown>): Told => ({
    type: 'add_item',
    item: { id: newId('item'), ...fields },
  });
  return [
    item({ type: 'function_call', ...call }),
    item({ type: 'function_call_output', call_id: call.call_id, output }),
  ];
}
