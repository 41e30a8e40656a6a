// The hosts of chat completions: OpenAI's under /v1, OpenRouter's under /api/v1. The same script, the same voice and the
// same ears as the Realtime side, over plain HTTP.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { randomSuffix } from '@parley/core';
import type { Clock } from '../clock.ts';
import type { Fault, FaultPlan } from '../faults.ts';
import { bearerOf, targetOf } from '../listener/handshake.ts';
import { answer, type Output, type PendingCalls } from '../model.ts';
import type { Script } from '../script.ts';
import type { Hearing } from '../session/conversation.ts';
import { hear } from '../session/hearing.ts';
import type { Utterance, Voice } from '../voice.ts';
import { isObject } from '../wire.ts';
import { chatRequest, type ChatRequest } from './chat-request.ts';
import { Completion } from './completion.ts';
import { type Host, HttpError } from './http-error.ts';
import { type Turn, TurnLog } from './log.ts';
import { ofWav, soundOf } from './messages.ts';

export interface ChatParts {
  script: Script;
  voice: Voice;
  clock: Clock;
  faults: FaultPlan;
  pace: number;
  isKey: (key: string) => boolean;
  models: readonly string[] | null;
  deniedModels: readonly string[];
  turnsMax: number;
}

const BODY_BYTES_MAX = 32 * 1024 * 1024;
const REMEMBERED_MAX = 256;
const PCM24 = { type: 'audio/pcm', rate: 24_000 } as const;
const PATH = /^\/(api\/)?v1\/(chat\/completions|audio\/transcriptions|models(?:\/.+)?|key)$/u;

export class Chat {
  readonly log = new TurnLog();
  readonly #parts: ChatParts;
  /** Batches of calls that wait for their outputs. */
  readonly #pending = new Map<string, PendingCalls>();
  /** How a user speaks: they are answered in the same manner, also where a request holds no sound of theirs. */
  readonly #manners = new Map<string, Hearing['kind']>();
  #generating = 0;

  constructor(parts: ChatParts) {
    this.#parts = parts;
  }

  /** Answers a request that is for this side; false where it is not. */
  answer(request: IncomingMessage, response: ServerResponse): boolean {
    const [, api, what] = PATH.exec(targetOf(request).pathname) ?? [];
    if (what === undefined) return false;
    const host: Host = api === undefined ? 'openai' : 'openrouter';
    this.#answer(host, what, request, response).catch((error: unknown) => {
      if (response.destroyed) return;
      const refusal = error instanceof HttpError ? error : new HttpError(500, String(error), 'server_error');
      if (response.headersSent) response.destroy();
      else send(response, refusal.status, refusal.body(host));
    });
    return true;
  }

  async #answer(host: Host, what: string, request: IncomingMessage, response: ServerResponse): Promise<void> {
    const kind = what.startsWith('chat') ? 'chat' : what.startsWith('audio') ? 'transcription' : 'probe';
    const body = await readBody(request);
    const { faults } = this.#parts;
    // What asks whether a key is good stands where a socket would be opened.
    const fault = faults.take('request', { type: kind }) ?? (kind === 'probe' ? faults.take('upgrade', {}) : null);
    if (fault && !(await this.#strike(fault, response))) return;
    this.#admit(request);
    if (kind === 'probe') return this.#probe(host, what, request, response);
    if (request.method !== 'POST') throw new HttpError(405, `Not allowed to ${request.method} here.`);
    if (kind === 'transcription') {
      const failed = faults.take('transcription', {});
      if (failed?.kind === 'fail')
        throw new HttpError(500, failed.message ?? 'no transcript', failed.code ?? 'server_error');
      return this.#transcribe(request, body, response);
    }
    await this.#complete(chatRequest(json(body), host), response);
  }

  #admit(request: IncomingMessage): void {
    const key = bearerOf(request);
    if (key === null) throw new HttpError(401, 'No auth credentials found');
    if (!this.#parts.isKey(key))
      throw new HttpError(401, `Incorrect API key provided: ${key.slice(0, 3)}***.`, 'invalid_api_key');
  }

  #probe(host: Host, what: string, request: IncomingMessage, response: ServerResponse): void {
    if (request.method !== 'GET') throw new HttpError(405, `Not allowed to ${request.method} here.`);
    if (what === 'key') {
      if (host === 'openai') throw new HttpError(404, 'Invalid URL (GET /v1/key)');
      return send(
        response,
        200,
        JSON.stringify({ data: { label: 'simulated', usage: 0, limit: null, is_free_tier: false } }),
      );
    }
    const model = decodeURIComponent(what.slice('models/'.length));
    if (what === 'models') return send(response, 200, JSON.stringify({ object: 'list', data: [] }));
    this.#model(model);
    send(response, 200, JSON.stringify({ id: model, object: 'model', created: 0, owned_by: 'simulator' }));
  }

  #model(model: string): void {
    const { models, deniedModels } = this.#parts;
    if (deniedModels.includes(model)) {
      throw new HttpError(403, `Project does not have access to model \`${model}\``, 'model_not_found');
    }
    if (models && !models.includes(model)) {
      throw new HttpError(
        404,
        `The model \`${model}\` does not exist or you do not have access to it.`,
        'model_not_found',
      );
    }
  }

  async #complete(request: ChatRequest, response: ServerResponse): Promise<void> {
    this.#model(request.model);
    if (this.#generating >= this.#parts.turnsMax)
      throw new HttpError(429, 'Rate limit exceeded', 'rate_limit_exceeded');
    const { roles } = request.context;
    const turn = this.log.begin({ id: `gen-${randomSuffix()}`, host: request.host, model: request.model, roles });
    const gone = new AbortController();
    this.#generating++;
    response.once('close', () => {
      this.#generating--;
      if (turn.status === 'generating') turn.status = 'aborted';
      gone.abort();
    });
    const outputs = await this.#decide(request, turn);
    if (gone.signal.aborted) return;
    if (!request.stream) return this.#whole(request, turn, outputs, response);
    response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' });
    const { clock, faults, pace } = this.#parts;
    const speak = (output: Output & { kind: 'say' | 'playback' }): Promise<Utterance> =>
      this.#speak(request, output, gone.signal);
    await new Completion({ request, response, turn, clock, faults, pace, signal: gone.signal, speak }).run(outputs);
  }

  async #decide(request: ChatRequest, turn: Turn): Promise<Output[]> {
    const { context, tools, toolChoice, parallel, user } = request;
    const heard = (await context.lastUser?.hearing) ?? null;
    turn.heard = heard?.text ?? '';
    if (heard && heard.kind !== 'typed') remember(this.#manners, user, heard.kind);
    const decided = answer(this.#parts.script, {
      context: context.entries,
      lastUser: context.lastUser,
      hearing: heard,
      tools,
      toolChoice,
      toolChoiceIsExplicit: false,
      parallel,
      instructions: context.instructions,
      pending: (callId) => this.#pending.get(callId),
      idle: false,
    });
    for (const callId of decided.pending?.callIds ?? []) {
      if (decided.pending) remember(this.#pending, callId, decided.pending);
    }
    return decided.outputs;
  }

  #speak(request: ChatRequest, output: Output & { kind: 'say' | 'playback' }, signal: AbortSignal): Promise<Utterance> {
    const { voice } = this.#parts;
    if (output.kind === 'playback') return Promise.resolve(voice.playback(output.audio, PCM24));
    return voice.say(output.text, PCM24, this.#manners.get(request.user) ?? 'typed', signal);
  }

  /** An answer that is not streamed: words and calls only. */
  #whole({ model, context }: ChatRequest, turn: Turn, outputs: readonly Output[], response: ServerResponse): void {
    const content = outputs.flatMap((output) => (output.kind === 'say' ? [output.text] : [])).join(' ');
    const tool_calls = outputs.flatMap((output) => {
      if (output.kind !== 'call') return [];
      return [{ id: output.callId, type: 'function', function: { name: output.name, arguments: output.arguments } }];
    });
    turn.spoken = content;
    turn.called = tool_calls.map((call) => call.function.name);
    turn.status = 'completed';
    const message = { role: 'assistant', content, refusal: null, ...(tool_calls.length === 0 ? {} : { tool_calls }) };
    const finish_reason = tool_calls.length === 0 ? 'stop' : 'tool_calls';
    const prompt_tokens = Math.ceil(context.chars / 4);
    const completion_tokens = Math.ceil(content.length / 4);
    const usage = { prompt_tokens, completion_tokens, total_tokens: prompt_tokens + completion_tokens };
    const created = Math.floor(this.#parts.clock.now() / 1000);
    const choices = [{ index: 0, message, finish_reason, logprobs: null }];
    send(response, 200, JSON.stringify({ id: turn.id, object: 'chat.completion', created, model, choices, usage }));
  }

  /** A form with a file, or JSON with `input_audio`. */
  async #transcribe(request: IncomingMessage, body: Buffer, response: ServerResponse): Promise<void> {
    const type = request.headers['content-type'] ?? '';
    let sound;
    if (type.startsWith('multipart/form-data')) {
      const form = await new Response(new Uint8Array(body), { headers: { 'content-type': type } }).formData();
      const file = form.get('file');
      if (!(file instanceof Blob))
        throw new HttpError(400, "Missing required parameter: 'file'.", 'missing_required_parameter', 'file');
      sound = ofWav(await file.bytes());
    } else {
      const value = json(body);
      sound = soundOf(isObject(value) ? value['input_audio'] : null, 0);
    }
    const { text } = await hear(sound, () => undefined);
    const seconds = sound.pcm.length / sound.rate;
    send(response, 200, JSON.stringify({ text, usage: { type: 'duration', seconds } }));
  }

  /** True where the request goes on after the fault. */
  async #strike(fault: Fault, response: ServerResponse): Promise<boolean> {
    if (fault.kind === 'drop') response.destroy();
    else if (fault.kind === 'status') {
      const { status, body = { error: { code: status, message: `simulated ${status}` } }, headers = {} } = fault;
      send(response, status, typeof body === 'string' ? body : JSON.stringify(body), headers);
    } else if (fault.kind === 'delay') {
      await new Promise<void>((resolve) => this.#parts.clock.after(fault.ms, resolve));
      return true;
    }
    return false;
  }
}

function remember<V>(kept: Map<string, V>, key: string, value: V): void {
  kept.delete(key);
  if (kept.size >= REMEMBERED_MAX) kept.delete(kept.keys().next().value as string);
  kept.set(key, value);
}

function json(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString()) as unknown;
  } catch {
    throw new HttpError(400, 'We could not parse the JSON body of your request.');
  }
}

function send(response: ServerResponse, status: number, body: string, headers: Record<string, string> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers });
  response.end(body);
}

async function readBody(request: IncomingMessage): Promise<Buffer> {
  const parts: Buffer[] = [];
  let size = 0;
  for await (const part of request as AsyncIterable<Buffer>) {
    size += part.length;
    if (size > BODY_BYTES_MAX) throw new HttpError(413, `The body is longer than ${BODY_BYTES_MAX} bytes.`);
    parts.push(part);
  }
  return Buffer.concat(parts);
}
