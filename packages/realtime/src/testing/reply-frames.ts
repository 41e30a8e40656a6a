// The frames of one answer, in the order of the real provider.

import type { Wire } from '../history/item.ts';
import type { Reply } from './scripted-model.ts';

export interface ReplyFrames {
  /** Everything up to and with what is said and called. */
  begin: Wire[];
  /** What ends it. */
  end: Wire[];
}

interface Around {
  responseId: string;
  metadata: unknown;
  textOnly: boolean;
  last(): string | null;
  keep(item: Wire): void;
  id(kind: string): string;
}

const CHAR_MS = 60;
const BYTES_PER_MS = 48;
/** Sound comes in pieces of 100 ms. */
const CHUNK_BYTES = 4800;

export function replyFrames(reply: Reply, around: Around): ReplyFrames {
  const { responseId, metadata } = around;
  const response = { id: responseId, object: 'realtime.response', conversation_id: 'conv_1', metadata };
  const begin: Wire[] = [
    { type: 'response.created', response: { ...response, status: 'in_progress', output: [], usage: null } },
  ];
  const end: Wire[] = [];
  const output: Wire[] = [];
  if (reply.say !== undefined) spoken(reply.say, reply, around, begin, end, output);
  const calls = reply.calls ?? [];
  for (const [nth, call] of calls.entries()) {
    const callId = call.callId ?? around.id('call');
    const given = call.arguments ?? {};
    const args = typeof given === 'string' ? given : JSON.stringify(given);
    const item = {
      id: around.id('item'),
      object: 'realtime.item',
      type: 'function_call',
      name: call.name,
      call_id: callId,
    };
    const output_index = output.length;
    const previous_item_id = around.last();
    const whole = { ...item, status: 'completed', arguments: args };
    const begun = { ...item, status: 'in_progress', arguments: '' };
    const at = { response_id: responseId, item_id: item.id, output_index, call_id: callId };
    const frames = [
      { type: 'response.output_item.added', response_id: responseId, output_index, item: begun },
      { type: 'conversation.item.added', previous_item_id, item: begun },
      { type: 'response.function_call_arguments.delta', ...at, delta: args },
      { type: 'response.function_call_arguments.done', ...at, name: call.name, arguments: args },
      { type: 'conversation.item.done', previous_item_id, item: whole },
      { type: 'response.output_item.done', response_id: responseId, output_index, item: whole },
    ];
    // What is said before a call was said when the call comes.
    if (nth === 0) begin.push(...end.splice(0));
    begin.push(...frames);
    around.keep(whole);
    output.push(whole);
  }
  const status = reply.status ?? 'completed';
  const status_details =
    status === 'completed'
      ? null
      : {
          type: status,
          ...(status === 'failed' ? { error: { code: 'server_error', message: 'it failed as the script says' } } : {}),
        };
  const usage = {
    total_tokens: 30,
    input_tokens: 10,
    output_tokens: 20,
    input_token_details: { text_tokens: 4, audio_tokens: 6, cached_tokens: 2 },
    output_token_details: { text_tokens: 5, audio_tokens: 15 },
  };
  end.push({ type: 'response.done', response: { ...response, status, status_details, output, usage } });
  return { begin, end };
}

function spoken(words: string, reply: Reply, around: Around, begin: Wire[], end: Wire[], output: Wire[]): void {
  const { responseId: response_id, textOnly } = around;
  const id = around.id('item');
  const previous_item_id = around.last();
  const at = { response_id, item_id: id, output_index: 0, content_index: 0 };
  const item = { id, object: 'realtime.item', type: 'message', role: 'assistant' };
  const part = textOnly ? { type: 'output_text', text: words } : { type: 'output_audio', transcript: words };
  const whole = { ...item, status: 'completed', content: [part] };
  const begun = { ...item, status: 'in_progress', content: [] };
  begin.push(
    { type: 'response.output_item.added', response_id, output_index: 0, item: begun },
    { type: 'conversation.item.added', previous_item_id, item: begun },
    {
      type: 'response.content_part.added',
      ...at,
      part: textOnly ? { type: 'text', text: '' } : { type: 'audio', transcript: '' },
    },
  );
  const said = textOnly ? 'response.output_text' : 'response.output_audio_transcript';
  for (const delta of words.split(/(?<= )/)) begin.push({ type: `${said}.delta`, ...at, delta });
  if (!textOnly) {
    const bytes = Math.round((reply.audioMs ?? words.length * CHAR_MS) * BYTES_PER_MS);
    for (let from = 0; from < bytes; from += CHUNK_BYTES) {
      const delta = Buffer.alloc(Math.min(CHUNK_BYTES, bytes - from), 3).toString('base64');
      begin.push({ type: 'response.output_audio.delta', ...at, delta });
    }
    end.push({ type: 'response.output_audio.done', ...at });
  }
  end.push(
    { type: `${said}.done`, ...at, ...(textOnly ? { text: words } : { transcript: words }) },
    {
      type: 'response.content_part.done',
      ...at,
      part: textOnly ? { type: 'text', text: words } : { type: 'audio', transcript: words },
    },
    { type: 'conversation.item.done', previous_item_id, item: whole },
    { type: 'response.output_item.done', response_id, output_index: 0, item: whole },
  );
  around.keep(whole);
  output.push(whole);
}
