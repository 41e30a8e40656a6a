// An agent whose sessions are carried in every way, beside a control plane and a simulator of their own.

import { Agent, type AgentHandle } from '@parley/session';
import { z } from 'zod';
import { ORDERS, sentence } from '../orders.ts';

/** Runs in this process, never in a page: how often it did is counted here. */
export class CallsAgent {
  /** What the tool was asked, in order. */
  readonly asked: string[] = [];
  readonly #handle: AgentHandle;

  constructor(url: string) {
    const agent = new Agent('calls');
    agent.skill(
      'lookup_order',
      { description: 'Looks up an order.', input: z.object({ order: z.string() }) },
      ({ order }) => {
        this.asked.push(order);
        return { spoken_response: sentence(order, ORDERS.get(order) ?? null) };
      },
    );
    const common = {
      provider: 'simulator',
      voice: 'marin',
      instructions: 'You answer questions about orders.',
      tools: ['lookup_order'],
    };
    agent.session('native', { ...common, transport: 'webrtc', media: 'native' });
    agent.session('bridge', { ...common, transport: 'webrtc', media: 'bridge' });
    agent.session('pressed', { ...common, transport: 'webrtc', media: 'bridge', turnDetection: null });
    this.#handle = agent.start({ url });
  }

  get ready(): Promise<void> {
    return this.#handle.ready;
  }

  async stop(): Promise<void> {
    await this.#handle.drain();
  }
}
