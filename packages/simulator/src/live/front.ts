import { randomSuffix } from '@parley/core';
import type { Clock, ClockTimer } from '../clock.ts';
import type { Dialect } from '../dialect.ts';
import { newEventId } from '../session/connection.ts';
import { isObject, type ServerEvent, type Wire } from '../wire.ts';
import { delegationOf, type LiveError, objectOf, problemOf, settingsOf, toolsOf } from './start.ts';

// OpenAI Live (GPT-Live) in front of a session: no turns, no answers, no items. Words come as fragments on the timeline
// of the session, work is delegated to the client or to a Responses model, and time is what is billed.

const USAGE_MS = 15_000;
const SAID_MAX = 32;
const BYTES_PER_MS = 48;
const SUPPORTED = [
  'session.start',
  'session.update',
  'session.close',
  'session.input_audio.append',
  'session.input_audio.mute',
  'session.input_audio.unmute',
  'session.instructions.append',
  'session.thinking.append',
  'session.commentary.append',
  'response.item.create',
  'response.create',
];

export interface LiveFrontOptions {
  clock: Clock;
  expires_at: number;
  deliver: (event: Wire) => void;
  send: (message: Wire) => void;
  close: (code: number, reason: string) => void;
}

export class LiveFront implements Dialect {
  readonly #options: LiveFrontOptions;
  readonly #id = `live_${randomSuffix()}`;
  readonly #began_ms: number;
  #session: Wire | null = null;
  #started = false;
  #muted = false;
  #responding = false;
  /** What is to be said after what is said now. */
  readonly #toSay: string[] = [];
  #calls: Wire[] = [];
  #ticks: ClockTimer | null = null;
  #closed = false;
  /** Sound of the user so far. The timeline of a session is that of its sound. */
  #heardBytes = 0;

  constructor(options: LiveFrontOptions) {
    this.#options = options;
    this.#began_ms = options.clock.now();
  }

  receive(frame: Buffer): void {
    const event = parsed(frame);
    const type = event?.['type'];
    if (!event || typeof type !== 'string') {
      return this.#refuse(null, { code: 'invalid_json', message: 'We could not parse the JSON of your event.' });
    }
    const event_id = typeof event['event_id'] === 'string' ? event['event_id'] : null;
    if (!SUPPORTED.includes(type)) {
      const message = `Invalid value: '${type}'. Supported values are: ${SUPPORTED.map((one) => `'${one}'`).join(', ')}.`;
      return this.#refuse(event_id, { code: 'invalid_value', message, param: 'type' });
    }
    if ((this.#session === null) !== (type === 'session.start')) {
      const message = this.#session ? 'The session has started.' : 'Send session.start before any other event.';
      return this.#refuse(event_id, {
        code: this.#session ? 'session_already_started' : 'session_not_started',
        message,
      });
    }
    this.#handle(type, event, event_id);
  }

  in<T>(event: T): T {
    return event;
  }

  out(event: ServerEvent): Wire[] {
    switch (event.type) {
      case 'session.updated': {
        const type = this.#started ? 'session.updated' : 'session.started';
        if (!this.#started) this.#tick();
        this.#started = true;
        return [{ type, session: this.#resource() }];
      }
      case 'error':
        return this.#failed(objectOf(event['error']));
      case 'conversation.item.input_audio_transcription.delta':
        return [{ type: 'session.input_transcript.delta', delta: event['delta'], ...this.#span() }];
      case 'conversation.item.input_audio_transcription.completed':
      case 'conversation.item.input_audio_transcription.failed':
        return this.#delegatesToClient ? [this.#delegation({ target: 'client' })] : [];
      case 'response.created':
        this.#responding = true;
        this.#calls = [];
        return [];
      case 'response.output_audio_transcript.delta':
        return [{ type: 'session.output_transcript.delta', delta: event['delta'], ...this.#span() }];
      case 'response.output_item.done': {
        const item = objectOf(event['item']);
        if (item['type'] === 'function_call' && item['status'] === 'completed') this.#calls.push(item);
        return [];
      }
      case 'response.done':
        return this.#done(objectOf(event['response']));
      default:
        return [];
    }
  }

  sound(delta: string): Wire {
    return { type: 'session.output_audio.delta', delta };
  }

  /** The socket is gone. */
  end(): void {
    this.#ticks?.cancel();
    this.#ticks = null;
  }

  get #delegatesToClient(): boolean {
    return delegationOf(this.#session ?? {}) === 'client';
  }

  #handle(type: string, event: Wire, event_id: string | null): void {
    switch (type) {
      case 'session.start':
        return this.#start(objectOf(event['session']), event_id);
      case 'session.update':
        return this.#update(objectOf(event['session']), event_id);
      case 'session.close':
        return this.#end('close_requested');
      case 'session.input_audio.append': {
        const audio = String(event['audio']);
        const heard = this.#muted ? Buffer.alloc(Buffer.byteLength(audio, 'base64')).toString('base64') : audio;
        this.#heardBytes += Buffer.byteLength(audio, 'base64');
        return this.#options.deliver({ type: 'input_audio_buffer.append', audio: heard });
      }
      case 'session.input_audio.mute':
      case 'session.input_audio.unmute':
        this.#muted = type.endsWith('.mute');
        return this.#tell({ type: `${type}d` }, event_id);
      case 'response.item.create':
        return this.#options.deliver({ type: 'conversation.item.create', item: event['item'] });
      case 'response.create':
        if (this.#delegatesToClient) {
          const message = 'response.create requires Responses delegation.';
          return this.#refuse(event_id, { code: 'invalid_delegation', message });
        }
        return this.#options.deliver({ type: 'response.create' });
      default:
        return this.#append(type, event, event_id);
    }
  }

  #start(session: Wire, event_id: string | null): void {
    const problem = problemOf(session);
    if (problem) return this.#refuse(event_id, problem);
    this.#session = session;
    this.#options.deliver({ type: 'session.update', session: settingsOf(session) });
  }

  #update(session: Wire, event_id: string | null): void {
    const given = this.#session ?? {};
    const fixed = Object.keys(session).find((key) => key !== 'delegation' && key !== 'triggers');
    if (fixed !== undefined) {
      const param = `session.${fixed}`;
      return this.#refuse(event_id, { code: 'immutable_parameter', message: `'${param}' cannot change.`, param });
    }
    if ('delegation' in session && delegationOf(session) !== delegationOf(given)) {
      const message = 'The delegation type cannot change.';
      return this.#refuse(event_id, { code: 'immutable_parameter', message, param: 'session.delegation.type' });
    }
    const old = objectOf(given['delegation']);
    const next = objectOf(session['delegation']);
    const responses = { ...objectOf(old['responses']), ...objectOf(next['responses']) };
    this.#session = { ...given, delegation: { ...old, ...next, responses } };
    this.#options.deliver({ type: 'session.update', session: { type: 'realtime', tools: toolsOf(this.#session) } });
  }

  /** Instructions, thinking or commentary. */
  #append(type: string, event: Wire, event_id: string | null): void {
    const { content, delegation_id } = event;
    if (delegation_id === undefined) {
      const message = "Missing required parameter: 'delegation_id'.";
      return this.#refuse(event_id, { code: 'missing_required_parameter', message, param: 'delegation_id' });
    }
    if (typeof content !== 'string' || content.length > 2_000) {
      const message = 'content must be a text of at most 500 tokens.';
      return this.#refuse(event_id, { code: 'invalid_value', message, param: 'content' });
    }
    if (delegation_id !== null && !this.#delegatesToClient) {
      const message = 'A delegation_id is not accepted with Responses delegation.';
      return this.#refuse(event_id, { code: 'invalid_delegation', message, param: 'delegation_id' });
    }
    this.#tell({ type: `${type}ed`, ...this.#span() }, event_id);
    if (type === 'session.commentary.append') return this.#say(content);
    const part = { type: 'input_text', text: content };
    this.#options.deliver({
      type: 'conversation.item.create',
      item: { type: 'message', role: 'system', content: [part] },
    });
  }

  #say(content: string): void {
    if (this.#responding) {
      if (this.#toSay.length < SAID_MAX) this.#toSay.push(content);
      return;
    }
    const response = { instructions: `Say exactly: ${content}`, input: [], tools: [], tool_choice: 'none' };
    this.#options.deliver({ type: 'response.create', response });
  }

  #done(response: Wire): Wire[] {
    this.#responding = false;
    const calls = this.#calls;
    this.#calls = [];
    const next = this.#toSay.shift();
    if (next !== undefined) this.#options.clock.after(0, () => this.#say(next));
    if (response['status'] === 'failed') {
      const error = objectOf(objectOf(response['status_details'])['error']);
      return [this.#backend({ type: 'response.failed', response: { id: response['id'], error } })];
    }
    if (calls.length === 0) return [];
    const response_id = `resp_${randomSuffix()}`;
    return [
      this.#delegation({ target: 'responses', response_id }),
      this.#backend({ type: 'response.created', response: { id: response_id } }),
      ...calls.map(({ id, call_id, name, arguments: input }, output_index) =>
        this.#backend({
          type: 'response.output_item.done',
          output_index,
          item: { id, type: 'function_call', status: 'completed', call_id, name, arguments: input },
        }),
      ),
      this.#backend({ type: 'response.completed', response: { id: response_id } }),
    ];
  }

  #delegation(delegation: Wire): Wire {
    const id = `dlg_${randomSuffix()}`;
    return {
      type: 'session.delegation.created',
      offset_ms: this.#now(),
      delegation: { id, type: 'delegation', ...delegation },
    };
  }

  #backend(event: Wire): Wire {
    return { type: 'response.event', event, delegation_id: null };
  }

  #failed(error: Wire): Wire[] {
    if (error['code'] === 'session_expired') {
      this.#end('expired');
      return [];
    }
    // Live has no answers that could be under way or not.
    if (error['code'] === 'conversation_already_has_active_response') return [];
    const { event_id, ...rest } = error;
    return [{ type: 'error', error: { ...rest, ...(event_id === null ? {} : { client_event_id: event_id }) } }];
  }

  #end(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.end();
    this.#tell({ type: 'session.closed', reason, usage: this.#usage(), session: this.#resource() }, null);
    this.#options.close(1000, reason);
  }

  #tick(): void {
    this.#ticks = this.#options.clock.after(USAGE_MS, () => {
      this.#tell({ type: 'session.usage.updated', usage: this.#usage() }, null);
      this.#tick();
    });
  }

  #usage(): Wire {
    return { seconds: Math.round(this.#options.clock.now() - this.#began_ms) / 1000 };
  }

  #resource(): Wire {
    return { ...this.#session, id: this.#id, expires_at: this.#options.expires_at, status: 'active' };
  }

  /** Where on the timeline a fragment lies: it is told when it was heard or said. */
  #span(): Wire {
    const at = this.#now();
    return { start_ms: at, end_ms: at };
  }

  #now(): number {
    return Math.round(this.#heardBytes / BYTES_PER_MS);
  }

  #refuse(client_event_id: string | null, error: LiveError): void {
    const details = client_event_id === null ? {} : { client_event_id };
    this.#tell({ type: 'error', error: { type: 'invalid_request_error', ...error, ...details } }, client_event_id);
  }

  #tell(message: Wire, client_event_id: string | null): void {
    this.#options.send({
      event_id: newEventId(),
      ...message,
      ...(client_event_id === null ? {} : { client_event_id }),
    });
  }
}

function parsed(frame: Buffer): Wire | null {
  try {
    const value: unknown = JSON.parse(frame.toString());
    return isObject(value) ? value : null;
  } catch {
    // The caller tells whoever sent it.
    return null;
  }
}
