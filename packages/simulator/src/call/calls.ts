import { ParleyError } from '@parley/core';
import { type MediaDriver, openMediaPeer, OpusIn, Playout } from '@parley/media';
import type { Clock } from '../clock.ts';
import type { FaultPlan } from '../faults.ts';
import type { SessionConfig } from '../session/config.ts';
import { Connection } from '../session/connection.ts';
import { Session, type SessionParts } from '../session/session.ts';
import { WireError } from '../session/wire-error.ts';
import { Call } from './call.ts';
import { deafChannel } from './deaf-channel.ts';

// The calls of a simulator: made by an offer, found by their id.

/** A caller that found no way to us in this time is gone. */
const CONNECT_MS = 15_000;

export interface CallsParts {
  host: string;
  driver: MediaDriver | undefined;
  clock: Clock;
  faults: FaultPlan;
  limits: SessionParts['limits'];
  /** What all sessions share. */
  shared: Omit<SessionParts, 'connection' | 'config' | 'playout'>;
  began: (session: Session) => void;
  ended: (session: Session) => void;
}

export class Calls {
  readonly #parts: CallsParts;
  readonly #calls = new Map<string, Call>();

  constructor(parts: CallsParts) {
    this.#parts = parts;
  }

  all(): Call[] {
    return [...this.#calls.values()];
  }

  find(id: string): Call | null {
    return this.#calls.get(id) ?? null;
  }

  /** Answers an offer. Throws the error of one that cannot be answered. */
  async create(offer: string, config: SessionConfig): Promise<{ call: Call; answer: string }> {
    const { host, driver, clock, faults, limits, shared, began, ended } = this.#parts;
    const occasion = { session: config.id, model: config.model };
    const fault = faults.take('media', occasion);
    const peer = await openMediaPeer({ host, driver, connectMs: CONNECT_MS });
    const deaf = fault?.kind === 'no_channel' ? deafChannel(offer) : null;
    const answer = await peer.answer(deaf?.offer ?? offer).catch((error: unknown) => {
      peer.close();
      if (!(error instanceof ParleyError)) throw error;
      throw new WireError('invalid_offer', `Failed to parse the SDP offer: ${error.message}`);
    });
    const playout = new Playout({
      clock,
      send: (packet, timestamp, marker) => void peer.sendAudio(packet, timestamp, marker),
      onStarted: (response_id) => connection.send({ type: 'output_audio_buffer.started', response_id }),
      onStopped: (response_id) => connection.send({ type: 'output_audio_buffer.stopped', response_id }),
    });
    const connection: Connection = new Connection({
      occasion,
      faults,
      clock,
      limits,
      ended: () => call.end(1000, ''),
    });
    const session = new Session({ ...shared, connection, config, playout });
    const input = new OpusIn({ clock, onPcm: (samples) => session.hear(samples) });
    const call: Call = new Call({
      peer,
      session,
      connection,
      input,
      playout,
      sidebandsMax: limits.sidebands,
      ended: () => {
        this.#calls.delete(call.id);
        ended(session);
      },
    });
    this.#calls.set(call.id, call);
    began(session);
    return { call, answer: fault?.kind === 'no_ice' ? leadingNowhere(answer) : (deaf?.restore(answer) ?? answer) };
  }

  async close(): Promise<void> {
    const calls = this.all();
    for (const call of calls) call.end(1001, 'the simulator is going away');
    await Promise.all(calls.map(({ closed }) => closed));
  }
}

/** Port 9 is where nobody answers: the caller's checks are sent and lost. */
function leadingNowhere(answer: string): string {
  return answer.replace(/^(a=candidate:\S+ \d+ \S+ \d+ \S+) \d+ /gmu, '$1 9 ');
}
