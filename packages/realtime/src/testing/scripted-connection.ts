// One connection of a scripted model: the conversation that it keeps, and the frames that it answers with.

import type { FrameSocket } from '@parley/transport';
import { isObject, text, type Wire } from '../history/item.ts';
import { replyFrames } from './reply-frames.ts';
import type { Reply, ScriptedModel, SentFrame } from './scripted-model.ts';

interface Active {
  id: string;
  /** Frames that end it; null once it was ended. */
  rest: Wire[];
}

export class ScriptedConnection {
  readonly nth: number;
  readonly #script: ScriptedModel;
  readonly #socket: FrameSocket;
  readonly #conversation: Wire[] = [];
  #session: Wire = {};
  #ids = 0;
  #active: Active | null = null;
  /** When the last frame that is under way arrives: none overtakes another. */
  #arrivesMs = 0;

  constructor(script: ScriptedModel, socket: FrameSocket, nth: number) {
    this.#script = script;
    this.#socket = socket;
    this.nth = nth;
    socket.onFrame((frame) => this.#came(JSON.parse(frame.toString()) as SentFrame));
    this.say({ type: 'session.created', session: { id: `sess_${nth}`, object: 'realtime.session', type: 'realtime' } });
  }

  /** Items of the conversation as the model has it. */
  get conversation(): readonly Wire[] {
    return this.#conversation;
  }

  /** What the model was told that it is. */
  get session(): Readonly<Wire> {
    return this.#session;
  }

  get open(): boolean {
    return this.#socket.open;
  }

  /** Sends frames as they are; an `event_id` is added. */
  say(...frames: readonly Wire[]): void {
    for (const frame of frames) this.raw(JSON.stringify({ event_id: this.id('event'), ...frame }));
  }

  /** Sends a text that need not be a frame. */
  raw(frame: string): void {
    const type = /"type":"([^"]+)"/.exec(frame)?.[1] ?? '';
    const { faults, time } = this.#script;
    if (faults.take(['lose'], type)) return;
    const late = faults.take(['delay'], type)?.ms ?? 0;
    const copies = faults.take(['duplicate'], type) ? 2 : 1;
    const at = Math.max(this.#arrivesMs, time.now() + this.#script.jitter() + late);
    const send = (): void => {
      for (let n = 0; n < copies; n++) this.#socket.send(frame);
      this.#wound(type);
    };
    if (at <= time.now()) send();
    else {
      this.#arrivesMs = at;
      time.after(at - time.now(), send);
    }
  }

  /** The user speaks: from the first sound to the words that were understood. The model answers by itself. */
  userSays(words: string, options: { itemId?: string; answer?: boolean } = {}): string {
    const itemId = this.userStarts(options.itemId);
    this.userStops(itemId, words);
    if (options.answer ?? true) this.answer(this.#script.nextReply());
    return itemId;
  }

  /** The user begins to speak. What is being said is interrupted as the provider does it. */
  userStarts(itemId = this.id('item')): string {
    this.say({ type: 'input_audio_buffer.speech_started', item_id: itemId, audio_start_ms: 0 });
    if (this.#active) this.#end('cancelled', 'turn_detected');
    return itemId;
  }

  userStops(itemId: string, words: string | null): void {
    this.say({ type: 'input_audio_buffer.speech_stopped', item_id: itemId, audio_end_ms: 900 });
    const previous_item_id = this.#last();
    this.say({ type: 'input_audio_buffer.committed', item_id: itemId, previous_item_id });
    const content = [{ type: 'input_audio', transcript: null }];
    this.add({ id: itemId, type: 'message', role: 'user', status: 'completed', content }, previous_item_id);
    if (words === null) return;
    const at = { item_id: itemId, content_index: 0 };
    for (const delta of words.split(/(?<= )/)) {
      this.say({ type: 'conversation.item.input_audio_transcription.delta', ...at, delta });
    }
    this.say({ type: 'conversation.item.input_audio_transcription.completed', ...at, transcript: words });
  }

  /** Answers now, as if it had been asked. */
  answer(reply: Reply | string, metadata: unknown = null): string {
    const id = this.id('resp');
    const frames = replyFrames(typeof reply === 'string' ? { say: reply } : reply, {
      responseId: id,
      metadata,
      textOnly: Array.isArray(this.#session['output_modalities']) && this.#session['output_modalities'][0] === 'text',
      last: () => this.#last(),
      keep: (item) => void this.#conversation.push(item),
      id: (kind) => this.id(kind),
    });
    this.say(...frames.begin);
    this.#active = { id, rest: frames.end };
    if (typeof reply === 'string' || reply.hold !== true) this.finish();
    return id;
  }

  /** Ends the answer that was held. */
  finish(): void {
    const { rest = [] } = this.#active ?? {};
    this.#active = null;
    this.say(...rest);
  }

  /** Puts an item into the conversation, with the frames that tell of it. */
  add(item: Wire, previous_item_id: string | null = this.#last()): void {
    const before = this.#conversation.findIndex((one) => one['id'] === previous_item_id);
    const at = previous_item_id === null ? 0 : before < 0 ? this.#conversation.length : before + 1;
    this.#conversation.splice(at, 0, item);
    this.say(
      { type: 'conversation.item.added', previous_item_id, item: { ...item, status: item['status'] ?? 'completed' } },
      { type: 'conversation.item.done', previous_item_id, item: { ...item, status: 'completed' } },
    );
  }

  /** Cuts the connection, as a network does. */
  drop(): void {
    this.#socket.terminate();
  }

  close(code: number, reason = ''): void {
    this.#socket.close(code, reason);
  }

  id(kind: string): string {
    this.#ids += 1;
    return `${kind}_${this.nth}_${this.#ids}`;
  }

  #came(frame: SentFrame): void {
    this.#script.sent.push(frame);
    const refused = this.#script.faults.take(['refuse'], frame.type);
    if (refused) this.#refuse(frame, refused.code ?? 'invalid_value', refused.message ?? 'refused by the script');
    else this.#take(frame);
    this.#wound(frame.type);
  }

  #take(frame: SentFrame): void {
    switch (frame.type) {
      case 'session.update':
        this.#session = { ...this.#session, ...(isObject(frame['session']) ? frame['session'] : {}) };
        return this.say({ type: 'session.updated', session: { id: `sess_${this.nth}`, ...this.#session } });
      case 'conversation.item.create': {
        const item = isObject(frame['item']) ? frame['item'] : {};
        const previous = text(frame['previous_item_id']);
        const place = previous === undefined ? this.#last() : previous === 'root' ? null : previous;
        if (place !== null && !this.#conversation.some((one) => one['id'] === place)) {
          return this.#refuse(frame, 'invalid_value', `item '${place}' does not exist`);
        }
        return this.add({ object: 'realtime.item', id: this.id('item'), ...item }, place);
      }
      case 'conversation.item.delete':
      case 'conversation.item.truncate':
      case 'conversation.item.retrieve':
        return this.#change(frame);
      case 'response.create':
        return this.#respond(frame);
      case 'response.cancel':
        if (!this.#active) return this.#refuse(frame, 'response_cancel_not_active', 'Cancellation failed');
        return this.#end('cancelled', 'client_cancelled');
      case 'input_audio_buffer.commit': {
        const itemId = this.id('item');
        const previous_item_id = this.#last();
        this.say({ type: 'input_audio_buffer.committed', item_id: itemId, previous_item_id });
        const content = [{ type: 'input_audio', transcript: null }];
        return this.add({ id: itemId, type: 'message', role: 'user', content }, previous_item_id);
      }
      case 'input_audio_buffer.clear':
        return this.say({ type: 'input_audio_buffer.cleared' });
      default:
    }
  }

  #respond(frame: SentFrame): void {
    if (this.#active) {
      const message = `Conversation already has an active response in progress: ${this.#active.id}.`;
      return this.#refuse(frame, 'conversation_already_has_active_response', message);
    }
    const asked = isObject(frame['response']) ? frame['response'] : {};
    const said = /^Say exactly: ([\s\S]*)$/.exec(text(asked['instructions']) ?? '')?.[1];
    this.answer(said === undefined ? this.#script.nextReply() : { say: said }, asked['metadata'] ?? null);
  }

  #change(frame: SentFrame): void {
    const item_id = text(frame['item_id']) ?? '';
    const at = this.#conversation.findIndex((one) => one['id'] === item_id);
    if (at < 0) return this.#refuse(frame, 'item_not_found', `item '${item_id}' does not exist`);
    if (frame.type === 'conversation.item.retrieve') {
      return this.say({ type: 'conversation.item.retrieved', item: this.#conversation[at] as Wire });
    }
    if (frame.type === 'conversation.item.delete') {
      this.#conversation.splice(at, 1);
      return this.say({ type: 'conversation.item.deleted', item_id });
    }
    const { content_index, audio_end_ms } = frame;
    this.say({ type: 'conversation.item.truncated', item_id, content_index, audio_end_ms });
  }

  #end(status: string, reason: string): void {
    const { id, rest = [] } = this.#active ?? { id: '' };
    this.#active = null;
    // The closing frames of what was begun; nothing that had not begun begins now.
    const closing = rest.filter(({ type }) => type !== 'response.done' && type !== 'response.output_audio.delta');
    const done = rest.find(({ type }) => type === 'response.done');
    const response = isObject(done?.['response']) ? done['response'] : { id };
    this.say(...closing.filter(({ type }) => String(type).endsWith('.done')).map(incomplete), {
      type: 'response.done',
      response: { ...response, status, status_details: { type: status, reason } },
    });
  }

  #refuse(frame: SentFrame, code: string, message: string): void {
    const event_id = text(frame['event_id']) ?? null;
    this.say({ type: 'error', error: { type: 'invalid_request_error', code, message, param: null, event_id } });
  }

  #last(): string | null {
    return text(this.#conversation.at(-1)?.['id']) ?? null;
  }

  #wound(type: string): void {
    if (this.#script.faults.take(['drop'], type)) this.drop();
    const close = this.#script.faults.take(['close'], type);
    if (close) this.close(close.closeCode, close.reason);
  }
}

function incomplete(frame: Wire): Wire {
  return isObject(frame['item']) ? { ...frame, item: { ...frame['item'], status: 'incomplete' } } : frame;
}
