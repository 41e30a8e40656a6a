// One streamed completion: chunks of words and sound, at the pace of the simulator, until it is said or the client is gone.

import type { ServerResponse } from 'node:http';
import type { Clock } from '../clock.ts';
import type { FaultPlan } from '../faults.ts';
import type { Output } from '../model.ts';
import { PLAYBACK_TRANSCRIPT } from '../model.ts';
import { wordsOf } from '../session/delta.ts';
import { inputAudioTokens, outputAudioTokens, textTokens } from '../session/usage.ts';
import type { Utterance } from '../voice.ts';
import type { Wire } from '../wire.ts';
import type { ChatRequest } from './chat-request.ts';
import type { Turn } from './log.ts';

const BYTES_PER_MS = 48;
/** Odd on purpose: chunks end within a sample and their base64 is padded, as those of the hosts may be. */
const SOUND_BYTES = 200 * BYTES_PER_MS + 1;
const TEXT_WORD_MS = 60;
const ARGUMENT_LENGTH = 24;
const COMMENT_EVERY = 8;

export interface CompletionParts {
  request: ChatRequest;
  response: ServerResponse;
  turn: Turn;
  clock: Clock;
  faults: FaultPlan;
  pace: number;
  signal: AbortSignal;
  speak: (output: Output & { kind: 'say' | 'playback' }) => Promise<Utterance>;
}

export class Completion {
  readonly #parts: CompletionParts;
  readonly #created: number;
  #chunks = 0;
  /** A fault ended the answer. */
  #broken = false;
  #words = 0;

  constructor(parts: CompletionParts) {
    this.#parts = parts;
    this.#created = Math.floor(parts.clock.now() / 1000);
  }

  /** Sends everything. Ends early, without a word, when the signal says so. */
  async run(outputs: readonly Output[]): Promise<void> {
    const { turn } = this.#parts;
    await this.#delta({ role: 'assistant', content: this.#parts.request.audio ? null : '' });
    let calls = 0;
    for (const output of outputs) {
      if (this.#over) return;
      if (output.kind === 'call') await this.#call(output, calls++);
      else if (!(await this.#say(output))) return this.#end('length');
    }
    turn.called = outputs.flatMap((output) => (output.kind === 'call' ? [output.name] : []));
    await this.#end(calls > 0 ? 'tool_calls' : 'stop');
  }

  /** False where the bound on the answer was met. */
  async #say(output: Output & { kind: 'say' | 'playback' }): Promise<boolean> {
    const { request, turn, pace, clock } = this.#parts;
    const text = output.kind === 'say' ? output.text : PLAYBACK_TRANSCRIPT;
    const words = wordsOf(text);
    const sound = request.audio ? soundOf(await this.#parts.speak(output)) : null;
    const steps = sound ? Math.max(1, Math.ceil(sound.length / SOUND_BYTES)) : words.length;
    const stepMs = sound ? SOUND_BYTES / BYTES_PER_MS : TEXT_WORD_MS;
    const start = clock.now();
    for (let step = 0, said = 0; step < steps; step++) {
      await this.#until(start + (pace === Number.POSITIVE_INFINITY ? 0 : (step * stepMs) / pace));
      if (this.#over) return true;
      const upTo = Math.ceil((words.length * (step + 1)) / steps);
      const delta = words.slice(said, upTo).join('');
      said = upTo;
      if (request.maxTokens !== null && this.tokens > request.maxTokens) return false;
      if (delta !== '') await this.#delta(sound ? { audio: { id: turn.id, transcript: delta } } : { content: delta });
      const piece = sound?.subarray(step * SOUND_BYTES, (step + 1) * SOUND_BYTES);
      if (piece && piece.length > 0) await this.#delta({ audio: { id: turn.id, data: piece.toString('base64') } });
      if (this.#over) return true;
      turn.spoken += delta;
      this.#words += textTokens(delta);
      turn.audio_ms += Math.round((piece?.length ?? 0) / BYTES_PER_MS);
    }
    return true;
  }

  get tokens(): number {
    return this.#words + outputAudioTokens(this.#parts.turn.audio_ms);
  }

  async #call({ callId, name, arguments: text }: Output & { kind: 'call' }, index: number): Promise<void> {
    const first = { index, id: callId, type: 'function', function: { name, arguments: '' } };
    await this.#delta({ tool_calls: [first] });
    for (let from = 0; from < text.length; from += ARGUMENT_LENGTH) {
      const piece = text.slice(from, from + ARGUMENT_LENGTH);
      await this.#delta({ tool_calls: [{ index, function: { arguments: piece } }] });
    }
  }

  async #end(reason: string): Promise<void> {
    const { request, response, turn } = this.#parts;
    await this.#delta({}, reason);
    if (request.includeUsage) await this.#chunk({ choices: [], usage: this.#usage() });
    if (this.#over) return;
    turn.status = 'completed';
    response.end('data: [DONE]\n\n');
  }

  #usage(): Wire {
    const { context } = this.#parts.request;
    const heard = inputAudioTokens(context.audioMs);
    const prompt = textTokens('x'.repeat(context.chars)) + heard;
    return {
      prompt_tokens: prompt,
      completion_tokens: this.tokens,
      total_tokens: prompt + this.tokens,
      prompt_tokens_details: { cached_tokens: 0, audio_tokens: heard },
      completion_tokens_details: { reasoning_tokens: 0, audio_tokens: outputAudioTokens(this.#parts.turn.audio_ms) },
    };
  }

  #delta(delta: Wire, finish_reason: string | null = null): Promise<void> {
    return this.#chunk({ choices: [{ index: 0, delta, finish_reason }] });
  }

  async #chunk(more: Wire): Promise<void> {
    const { request, response, turn } = this.#parts;
    if (this.#over || (await this.#strike())) return;
    const { id } = turn;
    const chunk = { id, object: 'chat.completion.chunk', created: this.#created, model: request.model, ...more };
    if (request.host === 'openrouter' && this.#chunks++ % COMMENT_EVERY === 0)
      response.write(': OPENROUTER PROCESSING\n\n');
    if (response.write(`data: ${JSON.stringify(chunk)}\n\n`)) return;
    await new Promise<void>((resolve) => {
      response.once('drain', resolve);
      this.#gone(resolve);
    });
  }

  /** What the fault plan has for this chunk; true where the answer ended by it. */
  async #strike(): Promise<boolean> {
    const { faults, response, request, turn, clock } = this.#parts;
    const fault = faults.take('chunk', { model: request.model });
    if (fault === null) return false;
    if (fault.kind === 'delay') await this.#until(clock.now() + fault.ms);
    else if (fault.kind === 'frame') response.write(fault.data);
    else if (fault.kind === 'stall') await new Promise<void>((resolve) => this.#gone(resolve));
    else {
      this.#broken = true;
      turn.status = 'failed';
      if (fault.kind === 'error_chunk') response.end(`${errorChunk(turn.id, fault)}data: [DONE]\n\n`);
      else response.destroy();
      return true;
    }
    return this.#over;
  }

  /** Nobody is there, or nothing more is to come. */
  get #over(): boolean {
    return this.#broken || this.#parts.signal.aborted;
  }

  #until(due: number): Promise<void> {
    const left = due - this.#parts.clock.now();
    if (left <= 0) return Promise.resolve();
    return new Promise((resolve) => {
      const timer = this.#parts.clock.after(left, resolve);
      this.#gone(() => {
        timer.cancel();
        resolve();
      });
    });
  }

  #gone(call: () => void): void {
    if (this.#parts.signal.aborted) call();
    else this.#parts.signal.addEventListener('abort', call, { once: true });
  }
}

function errorChunk(
  id: string,
  { status = 502, message = 'Upstream provider disconnected' }: { status?: number; message?: string },
): string {
  const error = { code: status, message };
  const choices = [{ index: 0, delta: { content: '' }, finish_reason: 'error' }];
  return `data: ${JSON.stringify({ id, object: 'chat.completion.chunk', error, choices })}\n\n`;
}

function soundOf({ deltas }: Utterance): Buffer {
  return Buffer.concat(deltas.map((delta) => Buffer.from(delta, 'base64')));
}
