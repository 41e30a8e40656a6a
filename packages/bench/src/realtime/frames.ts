// The tape that both libraries are fed with: frames as the provider sends them.

const json = (value: object): string => JSON.stringify({ event_id: 'event_Bx1', ...value });
const AT = { response_id: 'resp_1', item_id: 'item_a', output_index: 0, content_index: 0 };

/** 100 ms of sound. */
export const SOUND = Buffer.alloc(4800, 7);

export const audioDelta = json({ type: 'response.output_audio.delta', ...AT, delta: SOUND.toString('base64') });
export const transcriptDelta = json({ type: 'response.output_audio_transcript.delta', ...AT, delta: ' word' });

export const sessionCreated = json({ type: 'session.created', session: { id: 'sess_1', type: 'realtime' } });

export function sessionUpdated(session: object): string {
  return json({ type: 'session.updated', session: { id: 'sess_1', ...session } });
}

/** One item of a conversation that has been going on: the user and the model in turn. */
export function item(at: number, words = 'What was said here is of some length, as it is in a conversation.'): object {
  const user = at % 2 === 0;
  return {
    id: `item_${at}`,
    object: 'realtime.item',
    type: 'message',
    status: 'completed',
    role: user ? 'user' : 'assistant',
    content: [user ? { type: 'input_audio', transcript: words } : { type: 'output_audio', transcript: words }],
  };
}

export function itemAdded(at: number): string {
  return json({
    type: 'conversation.item.added',
    previous_item_id: at === 0 ? null : `item_${at - 1}`,
    item: item(at),
  });
}

export function itemDone(at: number, words: string): string {
  return json({
    type: 'conversation.item.done',
    previous_item_id: at === 0 ? null : `item_${at - 1}`,
    item: item(at, words),
  });
}

const response = (id: string): object => ({
  id,
  object: 'realtime.response',
  status: 'in_progress',
  status_details: null,
  output: [],
  conversation_id: 'conv_1',
  output_modalities: ['audio'],
  max_output_tokens: 'inf',
  audio: { output: { format: { type: 'audio/pcm', rate: 24_000 }, voice: 'marin' } },
  usage: null,
  metadata: null,
});

export function begin(n: number): string {
  return json({ type: 'response.created', response: response(`resp_${n}`) });
}

/** The frames of a call, up to the one that starts it. */
export function call(n: number): string[] {
  const at = {
    id: `item_call_${n}`,
    object: 'realtime.item',
    type: 'function_call',
    name: 'echo',
    call_id: `call_${n}`,
  };
  const begun = { ...at, status: 'in_progress', arguments: '' };
  const whole = { ...at, status: 'completed', arguments: '{"text":"hello"}' };
  const response_id = `resp_${n}`;
  return [
    json({ type: 'response.output_item.added', response_id, output_index: 0, item: begun }),
    json({ type: 'conversation.item.added', item: begun }),
    json({ type: 'conversation.item.done', item: whole }),
    json({ type: 'response.output_item.done', response_id, output_index: 0, item: whole }),
  ];
}

export function end(n: number): string {
  return json({
    type: 'response.done',
    response: {
      ...response(`resp_${n}`),
      status: 'completed',
      usage: {
        total_tokens: 3,
        input_tokens: 1,
        output_tokens: 2,
        input_token_details: { text_tokens: 1, audio_tokens: 0, cached_tokens: 0 },
        output_token_details: { text_tokens: 1, audio_tokens: 1 },
      },
    },
  });
}
