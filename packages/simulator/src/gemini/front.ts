import type { Clock, ClockTimer } from '../clock.ts';
import type { Dialect } from '../dialect.ts';
import { isObject, type Item, type ServerEvent, type Wire } from '../wire.ts';
import { type Grant, granted } from './auth-tokens.ts';
import { InputAudio } from './input-audio.ts';
import type { Resumable } from './resumable.ts';
import { contextOf, listOf, objectOf, sessionOf } from './setup.ts';

// Gemini Live (BidiGenerateContent) in front of a session: its messages become the events that a session knows, and the
// session's events become its messages. It has no ids of items, no errors but close codes, and tells that a turn is
// complete when it would have been played.

const SAY_EXACTLY = /^\s*say exactly\s*:/iu;
const SILENCE = Buffer.alloc(24_000 * 2).toString('base64');
const BYTES_PER_MS = 48;
/** How long before its end a session is told of it: ten seconds, and less of a short one. */
const GO_AWAY_MS = 10_000;
const NO_CONTENT = ['functionCall', 'functionResponse'];
const CLIENT_KEYS = ['setup', 'clientContent', 'realtimeInput', 'toolResponse', 'contextUpdate'];

export interface FrontOptions {
  clock: Clock;
  /** How many times faster than real time sound is played here. */
  pace: number;
  /** A client event for the session. */
  deliver: (event: Wire) => void;
  send: (message: Wire) => void;
  close: (code: number, reason: string) => void;
  /** Milliseconds until the session ends, and before that end in which it is announced. */
  max_ms: number;
  /** What the model knows of the conversation. */
  items: () => readonly Item[];
  resumable: Resumable;
  /** Of the token that opened it. */
  grant: Grant | null;
}

export class GeminiFront implements Dialect {
  readonly #options: FrontOptions;
  readonly #audio = new InputAudio();
  #setup: Wire | null = null;
  #ready = false;
  #responding = false;
  #soundBytes = 0;
  #began_ms = 0;
  /** Everything was generated, and would still be playing. */
  #playing: { timer: ClockTimer; usage: Wire } | null = null;
  #functionCalls: Wire[] = [];
  /** Calls without an output. */
  readonly #waiting = new Set<string>();
  #transcribed = false;
  readonly #leaving: ClockTimer;
  readonly #expiry: ClockTimer | null;

  constructor(options: FrontOptions) {
    this.#options = options;
    const { clock, max_ms, send, grant } = options;
    this.#expiry =
      grant && clock.after(grant.expires_ms - clock.now(), () => this.#refuse('Auth token has expired.', 1008));
    const left_ms = Math.min(GO_AWAY_MS, max_ms / 2);
    this.#leaving = clock.after(max_ms - left_ms, () => send({ goAway: { timeLeft: `${left_ms / 1000}s` } }));
  }

  /** One frame of the client, text or binary. */
  receive(frame: Buffer): void {
    const message = parsed(frame);
    if (!message) return this.#refuse('Invalid JSON payload received.');
    const keys = Object.keys(message);
    const unknown = keys.find((key) => !CLIENT_KEYS.includes(key));
    if (unknown !== undefined) {
      return this.#refuse(`Invalid JSON payload received. Unknown name "${unknown}": Cannot find field.`);
    }
    const setup = message['setup'];
    if (keys.length !== 1 || isObject(setup) !== (this.#setup === null)) {
      return this.#refuse('Request contains an invalid argument.');
    }
    if (isObject(setup)) return this.#start(setup);
    if (isObject(message['clientContent'])) return this.#content(message['clientContent']);
    if (isObject(message['realtimeInput'])) return this.#input(message['realtimeInput']);
    if (isObject(message['toolResponse'])) return this.#outputs(message['toolResponse']);
    const session = { type: 'realtime', ...contextOf(objectOf(message['contextUpdate'])) };
    this.#options.deliver({ type: 'session.update', session });
  }

  in<T>(event: T): T {
    return event;
  }

  out(event: ServerEvent): Wire[] {
    switch (event.type) {
      case 'session.updated': {
        if (this.#ready) return [];
        this.#ready = true;
        return [{ setupComplete: { sessionId: objectOf(event['session'])['id'] } }];
      }
      case 'error':
        return this.#failed(objectOf(event['error']));
      case 'input_audio_buffer.speech_started':
        return [...this.#spokenOver(), ...this.#activity('ACTIVITY_START')];
      case 'input_audio_buffer.speech_stopped':
        return this.#activity('ACTIVITY_END');
      case 'conversation.item.input_audio_transcription.delta':
        this.#transcribed = true;
        return [{ serverContent: { inputTranscription: { text: event['delta'] } } }];
      case 'conversation.item.input_audio_transcription.completed': {
        const text = this.#transcribed ? '' : event['transcript'];
        this.#transcribed = false;
        return [{ serverContent: { inputTranscription: { text, finished: true } } }];
      }
      case 'conversation.item.input_audio_transcription.failed':
        return [{ serverContent: { inputTranscription: { text: '', finished: true } } }];
      case 'response.created':
        this.#begin();
        return [];
      case 'response.output_audio_transcript.delta':
        this.#begin();
        return [{ serverContent: { outputTranscription: { text: event['delta'] } } }];
      case 'response.output_text.delta':
        this.#begin();
        return [modelTurn({ text: event['delta'] })];
      case 'response.output_item.done':
        this.#called(objectOf(event['item']));
        return [];
      case 'response.done':
        return this.#done(objectOf(event['response']));
      default:
        return [];
    }
  }

  sound(data: string): Wire {
    this.#begin();
    this.#soundBytes += Buffer.byteLength(data, 'base64');
    return modelTurn({ inlineData: { mimeType: 'audio/pcm;rate=24000', data } });
  }

  /** The socket is gone. */
  end(): void {
    this.#playing?.timer.cancel();
    this.#playing = null;
    this.#leaving.cancel();
    this.#expiry?.cancel();
  }

  #start(given: Wire): void {
    const { grant } = this.#options;
    const setup = grant ? granted(given, grant) : given;
    const session = sessionOf(setup);
    if (typeof session === 'string') return this.#refuse(session);
    const handle = objectOf(setup['sessionResumption'])['handle'];
    const items = typeof handle === 'string' ? this.#options.resumable.find(handle) : [];
    if (!items) return this.#refuse('Session resumption handle not found.', 1008);
    this.#setup = setup;
    this.#options.deliver({ type: 'session.update', session });
    for (const item of items) this.#options.deliver({ type: 'conversation.item.create', item: taken(item) });
  }

  #content(content: Wire): void {
    const given = listOf(content['turns']).map(objectOf);
    const empty = content['turns'] !== undefined && given.length === 0;
    // Calls have their own messages; told among the turns, they end the connection, as a list without turns does.
    if (
      empty ||
      given.flatMap(({ parts }) => listOf(parts)).some((part) => NO_CONTENT.some((key) => key in objectOf(part)))
    ) {
      return this.#refuse('Request contains an invalid argument.');
    }
    this.#stop();
    const turns = given.map(({ role, parts }) => ({
      role: role === 'model' ? 'assistant' : 'user',
      text: listOf(parts)
        .map((part) => objectOf(part)['text'])
        .filter((text) => typeof text === 'string')
        .join(''),
    }));
    const complete = content['turnComplete'] === true;
    const last = turns.at(-1);
    const exact = complete && last && SAY_EXACTLY.test(last.text) ? turns.pop() : undefined;
    for (const { role, text } of turns) {
      const part = { type: role === 'user' ? 'input_text' : 'output_text', text };
      this.#options.deliver({ type: 'conversation.item.create', item: { type: 'message', role, content: [part] } });
    }
    if (!complete) return;
    const response = exact ? { instructions: exact.text, input: [], tools: [], tool_choice: 'none' } : {};
    this.#options.deliver({ type: 'response.create', response });
  }

  #input(input: Wire): void {
    const unknown = Object.keys(input).find((key) => !INPUT_KEYS.has(key));
    if (unknown !== undefined) return this.#refuse(`Unknown name "${unknown}" at 'realtime_input': Cannot find field.`);
    const audio = input['audio'];
    if (isObject(audio)) {
      const rate = Number(/rate=(\d+)/u.exec(String(audio['mimeType']))?.[1] ?? 16_000);
      const pcm = this.#audio.push(Buffer.from(String(audio['data']), 'base64'), rate);
      if (pcm.length > 0) {
        this.#options.deliver({ type: 'input_audio_buffer.append', audio: pcm.toString('base64') });
      }
    }
    if (typeof input['text'] === 'string') {
      this.#content({ turns: [{ role: 'user', parts: [{ text: input['text'] }] }], turnComplete: true });
    }
    if (input['audioStreamEnd'] === true) this.#options.deliver({ type: 'input_audio_buffer.append', audio: SILENCE });
    if (isObject(input['activityStart'])) this.#stop();
    if (isObject(input['activityEnd'])) {
      this.#options.deliver({ type: 'input_audio_buffer.commit' });
      this.#options.deliver({ type: 'response.create' });
    }
  }

  #outputs(toolResponse: Wire): void {
    for (const given of listOf(toolResponse['functionResponses']).map(objectOf)) {
      const call_id = String(given['id']);
      if (!this.#waiting.delete(call_id)) return this.#refuse('Requested entity was not found.', 1008);
      const item = { type: 'function_call_output', call_id, output: JSON.stringify(given['response'] ?? {}) };
      this.#options.deliver({ type: 'conversation.item.create', item });
    }
    if (this.#waiting.size === 0) this.#options.deliver({ type: 'response.create' });
  }

  /** Content of the client stops what is generated, or what would be playing. */
  #stop(): void {
    for (const message of this.#spokenOver()) this.#options.send(message);
    if (this.#responding) this.#options.deliver({ type: 'response.cancel' });
  }

  /** An answer that would still be playing is over, and calls without an output are taken back. */
  #spokenOver(): Wire[] {
    const messages: Wire[] = [];
    if (this.#waiting.size > 0) {
      messages.push({ toolCallCancellation: { ids: [...this.#waiting] } });
      this.#waiting.clear();
    }
    const playing = this.#playing;
    if (playing) {
      playing.timer.cancel();
      this.#playing = null;
      messages.push({ serverContent: { interrupted: true } });
      messages.push({ serverContent: { turnComplete: true }, usageMetadata: playing.usage });
    }
    return messages;
  }

  #activity(voiceActivityType: string): Wire[] {
    return this.#setup?.['explicitVadSignal'] === true ? [{ voiceActivity: { voiceActivityType } }] : [];
  }

  #begin(): void {
    if (this.#responding) return;
    this.#responding = true;
    this.#soundBytes = 0;
    this.#began_ms = this.#options.clock.now();
    this.#functionCalls = [];
  }

  #called(item: Wire): void {
    if (item['type'] !== 'function_call' || item['status'] !== 'completed') return;
    const id = String(item['call_id']);
    this.#waiting.add(id);
    this.#functionCalls.push({ id, name: item['name'], args: parsed(String(item['arguments'])) ?? {} });
  }

  #done(response: Wire): Wire[] {
    this.#responding = false;
    const usage = usageOf(objectOf(response['usage']));
    if (response['status'] === 'cancelled') {
      return [
        { serverContent: { interrupted: true } },
        { serverContent: { turnComplete: true }, usageMetadata: usage },
      ];
    }
    if (response['status'] === 'failed') {
      this.#options.close(1011, 'You exceeded your current quota, please check your plan and billing details.');
      return [];
    }
    if (this.#functionCalls.length > 0) {
      return [{ toolCall: { functionCalls: this.#functionCalls }, usageMetadata: usage }];
    }
    const { clock, pace } = this.#options;
    const left_ms = this.#soundBytes / BYTES_PER_MS / pace - (clock.now() - this.#began_ms);
    const timer = clock.after(Math.max(0, left_ms), () => {
      this.#playing = null;
      this.#options.send({ serverContent: { turnComplete: true }, usageMetadata: usage });
    });
    this.#playing = { timer, usage };
    const messages: Wire[] = [{ serverContent: { generationComplete: true } }];
    if (isObject(this.#setup?.['sessionResumption'])) {
      const newHandle = this.#options.resumable.keep(this.#options.items());
      messages.push({ sessionResumptionUpdate: { newHandle, resumable: true } });
    }
    return messages;
  }

  #failed(error: Wire): Wire[] {
    if (error['code'] === 'session_expired') return [{ goAway: { timeLeft: '0s' } }];
    // It was over a moment before it was cancelled.
    if (error['code'] === 'response_cancel_not_active') return [];
    this.#refuse(String(error['message']));
    return [];
  }

  #refuse(reason: string, code = 1007): void {
    this.#options.close(code, reason.slice(0, 120));
  }
}

/** An item as a client may create it: sound is its transcript. */
function taken(item: Item): Wire {
  if (item.type !== 'message') {
    const { status: _status, object: _object, ...rest } = item;
    return rest;
  }
  const text = (item.content ?? []).map((part) => part.text ?? part.transcript ?? '').join('');
  const type = item.role === 'assistant' ? 'output_text' : 'input_text';
  return { id: item.id, type: 'message', role: item.role, content: [{ type, text }] };
}

function modelTurn(part: Wire): Wire {
  return { serverContent: { modelTurn: { role: 'model', parts: [part] } } };
}

function usageOf(usage: Wire): Wire {
  const details = (key: string): Wire[] => {
    const given = objectOf(usage[key]);
    return [
      { modality: 'TEXT', tokenCount: Number(given['text_tokens'] ?? 0) },
      { modality: 'AUDIO', tokenCount: Number(given['audio_tokens'] ?? 0) },
    ];
  };
  return {
    promptTokenCount: Number(usage['input_tokens'] ?? 0),
    responseTokenCount: Number(usage['output_tokens'] ?? 0),
    totalTokenCount: Number(usage['total_tokens'] ?? 0),
    promptTokensDetails: details('input_token_details'),
    responseTokensDetails: details('output_token_details'),
  };
}

function parsed(text: Buffer | string): Wire | null {
  try {
    const value: unknown = JSON.parse(text.toString());
    return isObject(value) ? value : null;
  } catch {
    // Whoever sent it is told by the caller.
    return null;
  }
}

const INPUT_KEYS: ReadonlySet<string> = new Set([
  'audio',
  'video',
  'text',
  'audioStreamEnd',
  'activityStart',
  'activityEnd',
  'mediaChunks',
]);
