// The agent of most tests: one session whose model may call three functions, and a function that it may not.

import { Agent, type SessionOptions } from '@parley/session';
import { TEXT } from './house.ts';

export interface SupportAgent {
  agent: Agent;
  /** Inputs that `find_order` ran with. */
  found: unknown[];
  /** Resolves when `slow` runs, with what lets it end. */
  slow: Promise<(output: unknown) => void>;
  /** Resolves when the signal of `slow` was aborted. */
  slowAborted: Promise<unknown>;
}

export function supportAgent(options: Partial<SessionOptions> = {}): SupportAgent {
  const agent = new Agent('support');
  const found: unknown[] = [];
  const slow = Promise.withResolvers<(output: unknown) => void>();
  const slowAborted = Promise.withResolvers<unknown>();
  const input = {
    type: 'object',
    properties: { order: { type: 'string', pattern: '^\\d+$' } },
    required: ['order'],
    additionalProperties: false,
  };
  agent.skill('find_order', { description: 'When an order ships.', input }, (given) => {
    found.push(given);
    return { day: (given as { order: string }).order === '1' ? 'Monday' : 'Tuesday' };
  });
  agent.skill('slow', {}, async (_input, { signal }) => {
    const ended = Promise.withResolvers<unknown>();
    signal.addEventListener('abort', () => {
      slowAborted.resolve(signal.reason);
      ended.reject(signal.reason as Error);
    });
    slow.resolve(ended.resolve);
    return ended.promise;
  });
  agent.skill('refund', {}, () => 'refunded');
  agent.skill('broken', {}, () => {
    throw new Error('the database is down');
  });
  agent.session('voice', { ...TEXT, tools: ['find_order', 'slow', 'broken'], ...options });
  return { agent, found, slow: slow.promise, slowAborted: slowAborted.promise };
}
