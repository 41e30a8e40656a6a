// A step as the Responses API answers it: server-sent events, a status, or a connection that breaks.

import type { ServerResponse } from 'node:http';
import { type CallItem, type MessageItem, promptsOf, type ResponsesBody, type Step } from './script.ts';

let made = 0;
const nextId = (what: string): string => `${what}_${++made}`;

export async function answer(
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

/** The head of an answer, and its first event. Returns its id. */
export function begin(response: ServerResponse): string {
  const id = nextId('resp');
  response.writeHead(200, { 'content-type': 'text/event-stream' });
  send(response, { type: 'response.created', response: { id, status: 'in_progress', output: [] } });
  return id;
}

function send(response: ServerResponse, event: Record<string, unknown>): void {
  response.write(`event: ${String(event['type'])}\ndata: ${JSON.stringify(event)}\n\n`);
}
