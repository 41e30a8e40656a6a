// A model for tests: it speaks the protocol of OpenAI Realtime over a connection in memory, keeps the conversation as the
// real one does, and says what the test tells it to. The adapter in front of it is the real one.

import { ParleyError } from '@parley/core';
import { createModel, type RealtimeModel } from '@parley/providers';
import { type FrameSocket, memorySocketPair } from '@parley/transport';
import { isObject, text, type Wire } from '../history/item.ts';
import { Faults, type WireFault } from './faults.ts';
import { ScriptedConnection } from './scripted-connection.ts';
import { seeded, type VirtualTime } from './virtual-time.ts';

/** One answer of the model. */
export interface Reply {
  /** What it says, as sound with a transcript, or as text where the session asked for text. */
  say?: string;
  /** Milliseconds of sound; default 60 for each character. */
  audioMs?: number;
  /** Tools that it calls, after what it says. `arguments` is an object, or JSON text as it stands. */
  calls?: readonly { name: string; arguments?: unknown; callId?: string }[];
  /** How the answer ends. Default `completed`. */
  status?: 'completed' | 'failed' | 'incomplete';
  /** Do not end it: the test does, with `finish()`. */
  hold?: boolean;
}

export interface SentFrame extends Wire {
  type: string;
}

export interface ScriptedModelOptions {
  time: VirtualTime;
  /** Answers, one for each that is asked for. Without one left it says "OK.". */
  replies?: readonly (Reply | string)[];
  /** Frames arrive up to so many milliseconds late, in the order in which they were sent, by a generator with this seed. */
  seed?: number;
  jitterMs?: number;
}

/**
 * A model under the hand of a test.
 *
 * @example
 * const time = new VirtualTime();
 * const scripted = new ScriptedModel({ time, replies: [{ calls: [{ name: 'weather' }] }, 'It rains.'] });
 * const session = await new RealtimeRunner(agent, { model: scripted.model }).run({ clock: time });
 * await session.sendMessage('How is the weather?');
 * await time.settle();
 */
export class ScriptedModel {
  readonly model: RealtimeModel;
  readonly time: VirtualTime;
  readonly faults = new Faults();
  /** Every frame that came over all connections, in order. */
  readonly sent: SentFrame[] = [];
  readonly connections: ScriptedConnection[] = [];
  readonly #replies: Reply[];
  readonly #random: () => number;
  readonly #jitterMs: number;

  constructor(options: ScriptedModelOptions) {
    const { time, replies = [], seed = 1, jitterMs = 0 } = options;
    this.time = time;
    this.#replies = replies.map(replyOf);
    this.#random = seeded(seed);
    this.#jitterMs = jitterMs;
    this.model = createModel(
      'openai',
      { base_url: 'wss://scripted.invalid/v1', key: 'key-of-a-script' },
      { clock: time, dial: () => this.#dial() },
    );
  }

  /** The connection that is there now. */
  get connection(): ScriptedConnection {
    const last = this.connections.at(-1);
    if (!last) throw new ParleyError('failed_precondition', 'nobody has connected to the scripted model');
    return last;
  }

  /** More answers. */
  reply(...replies: readonly (Reply | string)[]): void {
    this.#replies.push(...replies.map(replyOf));
  }

  /** Frames of a type that came. */
  framesOf(type: string): SentFrame[] {
    return this.sent.filter((frame) => frame.type === type);
  }

  /** Outputs of tools that came, by call. */
  outputs(): Map<string, string[]> {
    const outputs = new Map<string, string[]>();
    for (const { item } of this.framesOf('conversation.item.create')) {
      if (!isObject(item) || item['type'] !== 'function_call_output') continue;
      const callId = text(item['call_id']) ?? '';
      outputs.set(callId, [...(outputs.get(callId) ?? []), text(item['output']) ?? '']);
    }
    return outputs;
  }

  fault(fault: WireFault): void {
    this.faults.add(fault);
  }

  /** For the connection. */
  nextReply(): Reply {
    return this.#replies.shift() ?? { say: 'OK.' };
  }

  /** For the connection: how late the next frame is. */
  jitter(): number {
    return this.#jitterMs === 0 ? 0 : Math.floor(this.#random() * this.#jitterMs);
  }

  async #dial(): Promise<FrameSocket> {
    const refused = this.faults.take(['refuse_connection']);
    if (refused) {
      throw new ParleyError(refused.code ?? 'unavailable', 'the scripted model refused the connection');
    }
    const [client, peer] = memorySocketPair();
    this.connections.push(new ScriptedConnection(this, peer, this.connections.length + 1));
    return client;
  }
}

function replyOf(reply: Reply | string): Reply {
  return typeof reply === 'string' ? { say: reply } : reply;
}
