// What is played to both libraries. Every difference stands here with its reason; one that is not here fails the test,
// and so does one that is here and is none.

import { answer, type EquivalenceTape, userTurn } from './tape.ts';

const desk = [{ name: 'desk' }];
const LOOK = { name: 'look', answers: 'seen' };
const withLook = [{ name: 'desk', tools: [LOOK] }];
const message = { does: 'message', text: 'hello' } as const;
const called = (callId: string, name = 'look', args: unknown = {}) => ({ name, callId, arguments: args });
/** Two seconds of sound. */
const LONG = { say: 'one two three four five six seven eight nine ten', audioMs: 2_000 };

const PARTIAL = 'words are in the history while they are said, on both sides; the peer has them when the item is done';
const RETRIEVE = 'what a transcript or a cut changes is known here: nothing is fetched again';
const ANSWERED = 'a call that cannot be run is answered, so that the model goes on; the peer leaves it waiting';
const ERROR_JSON = 'an error is told as an object with a code that a model can act upon';
const ONCE = 'a call id is answered once, whoever repeats it';
const ONE_ANSWER = 'the model is asked when all outputs of an answer are there, and not after the first of them';
const HEARD = 'what was heard of an answer that was cut is in the history, and no more';
const BY_ITSELF = 'the provider cancels by itself where the session told it to';
const NOTHING_CUT = 'an answer that was heard to its end is not interrupted';
const NOTHING_RAN = 'a call that was refused did not start and did not end';
const IMAGES = 'an image is a part of a message like any other';
const NO_THROW = 'nothing is thrown out of the handler of a socket, and an item that is not understood keeps its place';
const FAILED = 'an answer that failed is an error event too';
const ENDS_ONCE = 'an answer ends once';
const RESUMED =
  'a drop is mended: the conversation is told to a new connection, and the output of a tool reaches it with its call';
const TYPED = 'the reason is a tool event with a status; an error event is for what nobody asked for';

export const TAPES: readonly EquivalenceTape[] = [
  {
    name: 'a spoken turn and its answer',
    agents: desk,
    steps: [
      { say: userTurn('item_u', 'good morning') },
      { say: answer(1, { say: 'Hello there.' }) },
      { passes: 5_000 },
    ],
    differences: { frames: RETRIEVE },
  },
  {
    name: 'a typed turn and its answer',
    agents: desk,
    steps: [message, { say: answer(1, { say: 'Hello there.' }) }, { passes: 5_000 }],
    differences: {},
  },
  {
    name: 'an answer that has only begun',
    agents: desk,
    steps: [message, { say: answer(1, { say: 'Hello there.' }, 'begin') }],
    differences: { history: PARTIAL },
  },
  {
    name: 'three messages at once, then the first answer',
    agents: desk,
    steps: [message, message, message, { say: answer(1, { say: 'One.' }) }],
    differences: {},
  },
  {
    name: 'a message while the model speaks',
    agents: desk,
    steps: [message, { say: answer(1, { say: 'One.' }, 'begin') }, message, { say: answer(1, { say: 'One.' }, 'end') }],
    differences: {},
  },
  {
    name: 'one tool',
    agents: withLook,
    steps: [message, { say: answer(1, { calls: [called('c1')] }) }, { say: answer(2, { say: 'Seen.' }) }],
    differences: {},
  },
  {
    name: 'eight tools at once',
    agents: withLook,
    steps: [
      message,
      { say: answer(1, { calls: [1, 2, 3, 4, 5, 6, 7, 8].map((n) => called(`c${n}`)) }) },
      { say: answer(2, { say: 'Seen.' }) },
    ],
    differences: { frames: ONE_ANSWER },
  },
  {
    name: 'words before a tool',
    agents: withLook,
    steps: [message, { say: answer(1, { say: 'Let me see.', calls: [called('c1')] }) }],
    differences: {},
  },
  {
    name: 'an object as the result of a tool',
    agents: [{ name: 'desk', tools: [{ name: 'look', answers: { day: 'Friday' } }] }],
    steps: [message, { say: answer(1, { calls: [called('c1')] }) }],
    differences: {},
  },
  {
    name: 'a background result',
    agents: [{ name: 'desk', tools: [{ name: 'look', answers: 'noted', background: true }] }],
    steps: [message, { say: answer(1, { calls: [called('c1')] }) }],
    differences: {},
  },
  {
    name: 'a tool that throws',
    agents: [{ name: 'desk', tools: [{ name: 'look', throws: 'lost' }] }],
    steps: [message, { say: answer(1, { calls: [called('c1')] }) }],
    differences: { outputs: ERROR_JSON, events: TYPED },
  },
  {
    name: 'a tool that takes too long',
    agents: [{ name: 'desk', tools: [{ name: 'look', held: true, timeoutMs: 1_000 }] }],
    steps: [message, { say: answer(1, { calls: [called('c1')] }) }, { passes: 1_500 }],
    differences: { outputs: ERROR_JSON, events: TYPED },
  },
  {
    name: 'a tool that nobody has',
    agents: withLook,
    steps: [message, { say: answer(1, { calls: [called('c1', 'absent')] }) }],
    differences: { frames: ANSWERED, outputs: ERROR_JSON, events: TYPED },
  },
  {
    name: 'arguments that are not JSON',
    agents: withLook,
    steps: [message, { say: answer(1, { calls: [called('c1', 'look', '{"a":')] }) }],
    differences: { outputs: ANSWERED, frames: ANSWERED, history: ANSWERED, events: TYPED },
  },
  {
    name: 'one call id twice in an answer',
    agents: withLook,
    steps: [message, { say: answer(1, { calls: [called('c1'), called('c1')] }) }],
    differences: { frames: ONCE, outputs: ONCE },
  },
  {
    name: 'one call id again in a later answer',
    agents: withLook,
    steps: [message, { say: answer(1, { calls: [called('c1')] }) }, { say: answer(2, { calls: [called('c1')] }) }],
    differences: { frames: ONCE, outputs: ONCE },
  },
  {
    name: 'one call id with other arguments',
    agents: withLook,
    steps: [
      message,
      { say: answer(1, { calls: [called('c1')] }) },
      { say: answer(2, { calls: [called('c1', 'look', { x: 1 })] }) },
    ],
    differences: {},
  },
  {
    name: 'a handoff',
    agents: [
      { name: 'desk', handoffs: ['billing'] },
      { name: 'billing', tools: [LOOK] },
    ],
    steps: [
      message,
      { say: answer(1, { calls: [called('c1', 'transfer_to_billing')] }) },
      { say: answer(2, { say: 'Billing.' }) },
    ],
    differences: {},
  },
  {
    name: 'a handoff with a late sibling',
    agents: [{ name: 'desk', tools: [LOOK], handoffs: ['billing'] }, { name: 'billing' }],
    steps: [
      message,
      { say: answer(1, { calls: [called('c1', 'transfer_to_billing')] }, 'begin') },
      {
        say: [
          {
            type: 'response.output_item.done',
            response_id: 'resp_1',
            output_index: 1,
            item: {
              id: 'item_late',
              object: 'realtime.item',
              type: 'function_call',
              status: 'completed',
              call_id: 'c2',
              name: 'look',
              arguments: '{}',
            },
          },
        ],
      },
      { say: answer(1, { calls: [called('c1', 'transfer_to_billing')] }, 'end') },
    ],
    differences: {},
  },
  {
    name: 'an agent that is changed by the program',
    agents: [{ name: 'desk' }, { name: 'billing', tools: [LOOK] }],
    steps: [{ does: 'agent', name: 'billing' }],
    differences: {},
  },
  {
    name: 'the user speaks over an answer that is being generated',
    agents: desk,
    steps: [
      message,
      { say: answer(1, LONG, 'begin') },
      { passes: 700 },
      { say: [{ type: 'input_audio_buffer.speech_started', item_id: 'item_u', audio_start_ms: 0 }] },
    ],
    differences: { frames: BY_ITSELF, history: HEARD },
  },
  {
    name: 'the user speaks over an answer that was generated and still sounds',
    agents: desk,
    steps: [
      message,
      { say: answer(1, LONG) },
      { passes: 700 },
      { say: [{ type: 'input_audio_buffer.speech_started', item_id: 'item_u', audio_start_ms: 0 }] },
    ],
    differences: { history: HEARD },
  },
  {
    name: 'the user speaks after an answer was heard',
    agents: desk,
    steps: [
      message,
      { say: answer(1, LONG) },
      { passes: 3_000 },
      { say: [{ type: 'input_audio_buffer.speech_started', item_id: 'item_u', audio_start_ms: 0 }] },
    ],
    differences: { events: NOTHING_CUT },
  },
  {
    name: 'the program interrupts',
    agents: desk,
    steps: [message, { say: answer(1, LONG, 'begin') }, { passes: 500 }, { does: 'interrupt' }],
    differences: { history: HEARD },
  },
  {
    name: 'a tool that runs while the user speaks',
    agents: [{ name: 'desk', tools: [{ name: 'look', held: true }] }],
    steps: [
      message,
      { say: answer(1, { calls: [called('c1')] }) },
      { say: [{ type: 'input_audio_buffer.speech_started', item_id: 'item_u', audio_start_ms: 0 }] },
      { does: 'release', tool: 'look' },
      { say: [{ type: 'input_audio_buffer.speech_stopped', item_id: 'item_u', audio_end_ms: 500 }] },
    ],
    differences: {},
  },
  {
    name: 'a guardrail on a short answer',
    agents: desk,
    guardrail: 'secret',
    steps: [message, { say: answer(1, { say: 'A secret.' }) }],
    differences: { history: HEARD },
  },
  {
    name: 'a guardrail in the middle of a long answer',
    agents: desk,
    guardrail: 'secret',
    steps: [message, { say: answer(1, { say: `${'word '.repeat(30)}secret ${'word '.repeat(40)}` }, 'begin') }],
    differences: { history: HEARD },
  },
  {
    name: 'a call that is approved',
    agents: [{ name: 'desk', tools: [{ ...LOOK, needsApproval: true }] }],
    steps: [message, { say: answer(1, { calls: [called('c1')] }) }, { does: 'approve', callId: 'c1' }],
    differences: {},
  },
  {
    name: 'a call that is rejected with words',
    agents: [{ name: 'desk', tools: [{ ...LOOK, needsApproval: true }] }],
    steps: [
      message,
      { say: answer(1, { calls: [called('c1')] }) },
      { does: 'reject', callId: 'c1', message: 'Not today.' },
    ],
    differences: { events: NOTHING_RAN },
  },
  {
    name: 'a tool that is approved for always',
    agents: [{ name: 'desk', tools: [{ ...LOOK, needsApproval: true }] }],
    steps: [
      message,
      { say: answer(1, { calls: [called('c1')] }) },
      { does: 'approve', callId: 'c1', always: true },
      { say: answer(2, { calls: [called('c2')] }) },
    ],
    differences: {},
  },
  {
    name: 'an image',
    agents: desk,
    steps: [
      { does: 'image', text: 'data:image/png;base64,AAAA' },
      {
        say: [
          {
            type: 'conversation.item.added',
            previous_item_id: null,
            item: {
              id: 'item_i',
              object: 'realtime.item',
              type: 'message',
              role: 'user',
              status: 'completed',
              content: [{ type: 'input_image', image_url: 'data:image/png;base64,AAAA' }],
            },
          },
        ],
      },
    ],
    differences: { history: IMAGES },
  },
  {
    name: 'sound, while muted and not, and a commit',
    agents: desk,
    steps: [
      { does: 'audio', bytes: 960 },
      { does: 'audio', bytes: 4_800, commit: true },
    ],
    differences: {},
  },
  {
    name: 'frames that are no frames, and types that nobody knows',
    agents: desk,
    steps: [
      { say: ['no json', '[]', '"text"', { type: 'something.new', x: 1 }] },
      message,
      { say: answer(1, { say: 'Hi.' }) },
    ],
    differences: {},
  },
  {
    name: 'an item that breaks the schema of items',
    agents: desk,
    steps: [
      {
        say: [
          {
            type: 'conversation.item.added',
            previous_item_id: null,
            item: {
              id: 'item_x',
              type: 'message',
              role: 'user',
              status: 'completed',
              content: [{ type: 'input_audio' }],
            },
          },
        ],
      },
    ],
    differences: { history: NO_THROW, thrown: NO_THROW },
  },
  {
    name: 'an error of the provider',
    agents: desk,
    steps: [
      {
        say: [
          {
            type: 'error',
            error: { type: 'server_error', code: 'oops', message: 'oops', param: null, event_id: null },
          },
        ],
      },
    ],
    differences: {},
  },
  {
    name: 'an answer that failed',
    agents: desk,
    steps: [message, { say: answer(1, { say: 'x', status: 'failed' }) }],
    differences: { events: FAILED },
  },
  {
    name: 'a transcription that failed',
    agents: desk,
    steps: [
      { say: userTurn('item_u', null) },
      {
        say: [
          {
            type: 'conversation.item.input_audio_transcription.failed',
            item_id: 'item_u',
            content_index: 0,
            error: { type: 'x', code: 'x', message: 'x', param: null },
          },
        ],
      },
    ],
    differences: {},
  },
  {
    name: 'an item between two others, and one in front',
    agents: desk,
    steps: [
      {
        say: [
          ['b', null],
          ['d', 'b'],
          ['c', 'b'],
          ['a', null],
        ].map(([id, previous_item_id]) => ({
          type: 'conversation.item.added',
          previous_item_id,
          item: {
            id,
            object: 'realtime.item',
            type: 'message',
            role: 'user',
            status: 'completed',
            content: [{ type: 'input_text', text: id }],
          },
        })),
      },
    ],
    differences: {},
  },
  {
    name: 'the session is closed in the middle of a tool',
    agents: [{ name: 'desk', tools: [{ name: 'look', held: true }] }],
    steps: [
      message,
      { say: answer(1, { calls: [called('c1')] }) },
      { does: 'close' },
      { does: 'release', tool: 'look' },
    ],
    differences: {},
  },
  {
    name: 'an answer that begins twice and ends twice',
    agents: desk,
    steps: [message, { say: answer(1, { say: 'Hi.' }) }, { say: answer(1, { say: 'Hi.' }, 'end') }],
    differences: { events: ENDS_ONCE },
  },
  {
    name: 'a drop in the middle of a tool',
    agents: [{ name: 'desk', tools: [{ name: 'look', held: true }] }],
    steps: [
      { say: userTurn('item_u', 'look') },
      { say: answer(1, { calls: [called('c1')] }) },
      { does: 'drop' },
      { passes: 1_000 },
      { does: 'release', tool: 'look' },
      { passes: 100 },
    ],
    differences: { frames: RESUMED, outputs: RESUMED, history: RESUMED, events: RESUMED },
  },
  {
    name: 'a message after a drop',
    agents: desk,
    steps: [message, { say: answer(1, { say: 'Hi.' }) }, { does: 'drop' }, { passes: 1_000 }, message, { passes: 100 }],
    differences: { frames: RESUMED, thrown: RESUMED },
  },
];
