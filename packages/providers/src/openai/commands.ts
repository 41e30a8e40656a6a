// Commands as frames.

import { type ModelCommand, newId } from '@parley/core';
import type { ModelSessionOptions } from '../port.ts';
import type { Dialect } from './dialect.ts';
import { patchOf } from './session-config.ts';
import type { Wire } from './wire.ts';

export interface CommandFrame {
  frame: Wire & { event_id: string };
  /** Under which name a refusal of it is told. */
  command_id: string;
  /** Whether an answer of the model must follow. */
  creates: boolean;
  /** The item that it adds to the conversation. */
  item_id?: string;
}

export function commandFrame(
  command: Exclude<ModelCommand, { type: 'restore' }>,
  responder: ModelSessionOptions['responder'],
  dialect: Dialect,
  event_id: string = newId('event'),
): CommandFrame {
  const plain = (frame: Wire, command_id: string = command.type): CommandFrame => ({
    frame: { ...frame, event_id },
    command_id,
    creates: false,
  });
  const create = (response: Wire, metadata: Wire, command_id: string): CommandFrame => ({
    frame: {
      type: 'response.create',
      event_id,
      response: { ...response, metadata: { parley_request: event_id, ...metadata } },
    },
    command_id,
    creates: true,
  });
  switch (command.type) {
    case 'update': {
      const patch = patchOf(command, responder);
      return plain({ type: 'session.update', session: dialect.session?.(patch) ?? patch });
    }
    case 'add_text': {
      const item_id = newId('item');
      const part = { type: command.role === 'assistant' ? 'output_text' : 'input_text', text: command.text };
      const item = { id: item_id, type: 'message', role: command.role, content: [part] };
      return { ...plain({ type: 'conversation.item.create', item }), item_id };
    }
    case 'add_item': {
      const { item, previous_item_id } = command;
      const frame = plain({
        type: 'conversation.item.create',
        ...(previous_item_id === undefined ? {} : { previous_item_id }),
        item,
      });
      return typeof item['id'] === 'string' ? { ...frame, item_id: item['id'] } : frame;
    }
    case 'delete_item':
      return plain({ type: 'conversation.item.delete', item_id: command.item_id });
    case 'respond':
      return create(command.instructions === undefined ? {} : { instructions: command.instructions }, {}, 'respond');
    case 'say':
      // An empty context, so that the model has nothing to say but this; the default conversation, so that it knows
      // afterwards what it said.
      return create(
        {
          conversation: 'auto',
          input: [],
          instructions: `Say exactly: ${command.text}`,
          tools: [],
          tool_choice: 'none',
        },
        { parley_say: command.say_id },
        command.say_id,
      );
    case 'cancel':
      return plain({
        type: 'response.cancel',
        ...(command.response_id === undefined ? {} : { response_id: command.response_id }),
      });
    case 'truncate':
      return plain({
        type: 'conversation.item.truncate',
        item_id: command.item_id,
        content_index: 0,
        audio_end_ms: Math.max(0, Math.floor(command.audio_ms)),
      });
    case 'tool_output': {
      const item_id = newId('item');
      const item = { id: item_id, type: 'function_call_output', call_id: command.call_id, output: command.output };
      return { ...plain({ type: 'conversation.item.create', item }, `tool_output:${command.call_id}`), item_id };
    }
  }
}
