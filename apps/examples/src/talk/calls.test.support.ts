// A control plane, a simulator, and an agent whose sessions are carried in every way.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, type AgentHandle, stderrLog } from '@parley/session';
import { vi } from 'vitest';
import { z } from 'zod';
import { type Parts, startParts } from '../demo/parts.ts';
import { ORDERS, sentence } from '../orders.ts';

export class CallsHouse implements AsyncDisposable {
  readonly parts: Parts;
  /** What the tool was asked, in order. It runs in this process, never in a page. */
  readonly asked: string[] = [];
  readonly #folder: string;
  readonly #agent: AgentHandle;

  private constructor(parts: Parts, folder: string) {
    this.parts = parts;
    this.#folder = folder;
    this.#agent = this.#declared().start({ url: parts.server.url, log: stderrLog('warn') });
  }

  static async open(): Promise<CallsHouse> {
    const folder = mkdtempSync(join(tmpdir(), 'parley-calls-data-'));
    const house = new CallsHouse(await startParts({ port: 0, data: folder, progress: () => {} }), folder);
    await house.#agent.ready;
    return house;
  }

  get url(): string {
    return this.parts.server.url;
  }

  async log(session_id: string) {
    return (await this.parts.client.sessions.events(session_id)).events;
  }

  /** Resolves with why the session was closed, once it is. */
  closed(session_id: string, timeout = 10_000): Promise<string> {
    return vi.waitFor(
      async () => {
        const { status, close_reason } = await this.parts.client.sessions.get(session_id);
        if (status !== 'closed') throw new Error(`the session is ${status}`);
        return close_reason ?? '';
      },
      { timeout },
    );
  }

  /** The newest session of a target. */
  async newest(target: string): Promise<string> {
    const [session] = (await this.parts.client.sessions.list({ target })).sessions;
    return session?.session_id ?? '';
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#agent.drain();
    await this.parts.stop();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #declared(): Agent {
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
    agent.session('pressed_native', { ...common, transport: 'webrtc', media: 'native', turnDetection: null });
    agent.session('pressed_bridge', { ...common, transport: 'webrtc', media: 'bridge', turnDetection: null });
    return agent;
  }
}
