// A model provider on loopback: POST /v1/responses, as server-sent events. It keeps no state. What it does stands in the last prompt,
// as JSON after a marker; which step is next is the number of tool outputs after that prompt. So any number of
// conversations can be scripted at once, and asked again.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** One answer of the model. */
export type Step =
  | {
      readonly text: string;
      readonly phase?: 'commentary' | 'final_answer';
      readonly delayMs?: number;
      readonly chunks?: number;
    }
  /** Several items in one answer. */
  | { readonly items: readonly (MessageItem | CallItem)[] }
  | { readonly call: string; readonly input: unknown; readonly namespace?: string; readonly delayMs?: number }
  /** Answers with the number of prompts in the conversation. */
  | { readonly count: true }
  | { readonly status: number; readonly body?: unknown }
  | { readonly fails: { readonly code: string; readonly message: string } }
  /** Breaks the connection in the middle of the stream. */
  | { readonly drops: true }
  | { readonly hangs: true };

interface MessageItem {
  readonly text: string;
  readonly phase?: string;
}
interface CallItem {
  readonly call: string;
  readonly input: unknown;
  readonly namespace?: string;
}

const MARKER = '#steps:';

/** A prompt that says these words and makes the model take these steps. */
export function script(steps: readonly Step[], words = 'Do as scripted.'): string {
  return `${words}\n${MARKER}${JSON.stringify(steps)}`;
}

/** A request that came, and what became of it. */
export interface Recorded {
  readonly headers: IncomingMessage['headers'];
  readonly body: ResponsesBody;
  /** The client went away before the answer ended. */
  aborted: boolean;
}

export interface ResponsesBody {
  readonly model: string;
  readonly instructions?: string;
  readonly input: readonly InputItem[];
  readonly tools?: readonly { readonly type: string; readonly name?: string }[];
  readonly text?: { readonly format?: { readonly type: string; readonly schema?: unknown; readonly strict?: boolean } };
  readonly reasoning?: { readonly effort?: string };
}

export interface InputItem {
  readonly type: string;
  readonly role?: string;
  readonly content?: readonly { readonly type: string; readonly text?: string }[];
  readonly output?: unknown;
}

export interface ScriptedProvider extends AsyncDisposable {
  /** Ends in `/v1`. */
  readonly url: string;
  readonly requests: Recorded[];
  /** Paths that were asked for and are none. */
  readonly strays: string[];
  /** Resolves when a request begins to hang; each call waits for the next one. */
  hanging(): Promise<void>;
  close(): Promise<void>;
}

export interface ScriptedProviderOptions {
  /** The steps of a prompt that has none in it. Default: it says that nothing was scripted. */
  readonly stepsOf?: (prompt: string) => readonly Step[];
  /** Requests are kept for a test to look at. Default true; a benchmark makes too many. */
  readonly keepRequests?: boolean;
}

/**
 * Starts a provider on a free port of loopback.
 *
 * @example
 * await using provider = await startScriptedProvider();
 * await using factory = await startCodex({ providers: [{ id: 'scripted', baseUrl: provider.url }], model: 'any' });
 * const runner = await factory.runner({ workingDirectory });
 * await runner.turn(script([{ call: 'exec_command', input: { cmd: 'ls' } }, { text: 'done' }]));
 */
export async function startScriptedProvider(options: ScriptedProviderOptions = {}): Promise<ScriptedProvider> {
  const requests: Recorded[] = [];
  const strays: string[] = [];
  let hung = 0;
  let awaited = 0;
  const waiters: (() => void)[] = [];

  const server = createServer((request, response) => {
    if (request.method !== 'POST' || request.url !== '/v1/responses') {
      strays.push(`${request.method} ${request.url}`);
      response.writeHead(404).end();
      return;
    }
    void bodyOf(request).then((text) => {
      const body = JSON.parse(text) as ResponsesBody;
      const recorded: Recorded = { headers: request.headers, body, aborted: false };
      if (options.keepRequests ?? true) requests.push(recorded);
      response.on('close', () => (recorded.aborted = !response.writableEnded));
      const step = nextStep(body, options);
      if ('hangs' in step) {
        begin(response);
        hung += 1;
        waiters.shift()?.();
        return;
      }
      void answer(response, step, body);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    strays,
    hanging: () => {
      awaited += 1;
      if (hung >= awaited) return Promise.resolve();
      return new Promise<void>((resolve) => waiters.push(resolve));
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}

/** What a user said in a conversation, without what Codex says about itself. */
export function promptsOf(body: ResponsesBody): string[] {
  return body.input.filter(isPrompt).map((item) => textOf(item));
}

// Codex tells the model about the machine in the name of the user, in tags.
function isPrompt(item: InputItem): boolean {
  return item.type === 'message' && item.role === 'user' && !/^\s*<\w+>/.test(textOf(item));
}

function nextStep(body: ResponsesBody, { stepsOf }: ScriptedProviderOptions): Step {
  const last = body.input.findLastIndex(isPrompt);
  const text = last < 0 ? '' : textOf(body.input[last] as InputItem);
  const steps = scriptIn(text) ?? stepsOf?.(text) ?? [{ text: 'nothing was scripted' }];
  const done = body.input.slice(last + 1).filter(({ type }) => type.endsWith('_call_output')).length;
  return steps[Math.min(done, steps.length - 1)] ?? { text: '' };
}

function scriptIn(prompt: string): readonly Step[] | null {
  const at = prompt.indexOf(MARKER);
  if (at < 0) return null;
  return JSON.parse(prompt.slice(at + MARKER.length).split('\n')[0] ?? '') as Step[];
}

function textOf(item: InputItem): string {
  return (item.content ?? []).map(({ text }) => text ?? '').join('');
}

let made = 0;
const nextId = (what: string): string => `${what}_${++made}`;

async function answer(
  response: ServerResponse,
  step: Exclude<Step, { hangs: true }>,
  body: ResponsesBody,
): Promise<void> {
  if ('status' in step) {
    response.writeHead(step.status, { 'content-type': 'application/json' });
    response.end(JSON.stringify(step.body ?? { error: { message: `as scripted: ${step.status}`, type: 'mock' } }));
    return;
  }
  if ('delayMs' in step && step.delayMs) await new Promise((resolve) => setTimeout(resolve, step.delayMs));
  const id = begin(response);
  if ('drops' in step) {
    response.socket?.destroySoon();
    return;
  }
  if ('fails' in step) {
    send(response, { type: 'response.failed', response: { id, status: 'failed', error: step.fails } });
    response.end();
    return;
  }
  const items = itemsOf(step, body);
  for (const [index, item] of items.entries()) {
    send(response, { type: 'response.output_item.added', output_index: index, item });
    const said = item['type'] === 'message' ? ((item['content'] as { text: string }[])[0]?.text ?? '') : '';
    const chunks = 'chunks' in step ? (step.chunks ?? 0) : 0;
    const size = Math.ceil(said.length / Math.max(1, chunks));
    for (let at = 0; chunks > 0 && at < said.length; at += size) {
      const delta = said.slice(at, at + size);
      send(response, {
        type: 'response.output_text.delta',
        item_id: item['id'],
        output_index: index,
        content_index: 0,
        delta,
      });
    }
    send(response, { type: 'response.output_item.done', output_index: index, item });
  }
  const usage = {
    input_tokens: 100,
    input_tokens_details: { cached_tokens: 20 },
    output_tokens: 30,
    output_tokens_details: { reasoning_tokens: 10 },
    total_tokens: 130,
  };
  send(response, { type: 'response.completed', response: { id, status: 'completed', output: items, usage } });
  response.end();
}

function itemsOf(step: Step, body: ResponsesBody): Record<string, unknown>[] {
  if ('items' in step) return step.items.map(itemOf);
  if ('call' in step) return [itemOf(step)];
  if ('count' in step) return [itemOf({ text: String(promptsOf(body).length) })];
  return 'text' in step ? [itemOf(step)] : [];
}

function itemOf(item: MessageItem | CallItem): Record<string, unknown> {
  if ('call' in item) {
    const { call, input, namespace } = item;
    return {
      id: nextId('fc'),
      type: 'function_call',
      status: 'completed',
      call_id: nextId('call'),
      name: call,
      arguments: JSON.stringify(input),
      ...(namespace && { namespace }),
    };
  }
  const content = [{ type: 'output_text', text: item.text, annotations: [] }];
  return {
    id: nextId('msg'),
    type: 'message',
    status: 'completed',
    role: 'assistant',
    content,
    ...(item.phase && { phase: item.phase }),
  };
}

function begin(response: ServerResponse): string {
  const id = nextId('resp');
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  send(response, { type: 'response.created', response: { id, status: 'in_progress', output: [] } });
  return id;
}

function send(response: ServerResponse, event: Record<string, unknown>): void {
  response.write(`event: ${String(event['type'])}\ndata: ${JSON.stringify(event)}\n\n`);
}
