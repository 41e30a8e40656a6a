// Performs what `step` wants done.

import { type PerformedEffect, ParleyError, type Timer } from '@parley/core';
import type { ClosedReason } from '../events.ts';
import { callPair } from '../history/replay.ts';
import { Timers } from '../timers.ts';
import type { Parts } from './parts.ts';

export class Effects {
  readonly #parts: Parts;
  readonly #timers: Timers;
  readonly #finish: (reason: ClosedReason, error?: ParleyError) => void;

  constructor(parts: Parts, finish: (reason: ClosedReason, error?: ParleyError) => void) {
    this.#parts = parts;
    this.#finish = finish;
    this.#timers = new Timers(parts.clock, (timer) => this.#timerFired(timer));
  }

  stop(): void {
    this.#timers.stop();
  }

  perform(effect: PerformedEffect): void {
    const { calls, closing, limits, link } = this.#parts;
    switch (effect.kind) {
      case 'provider.connect':
        return link.connect();
      case 'provider.send':
        if (!closing) this.#send(effect.command);
        return;
      case 'execution.dispatch':
        if (!closing) calls.dispatch(effect);
        return;
      case 'execution.cancel':
        return calls.cancel(effect.execution_id, effect.reason);
      case 'timer.set':
        if (effect.timer !== 'idle' || limits.idleMs !== null) this.#timers.set(effect.timer, effect.ms);
        return;
      case 'timer.clear':
        return this.#timers.clear(effect.timer);
      case 'session.end':
        this.#finish(effect.reason as ClosedReason, effect.error ? ParleyError.from(effect.error) : undefined);
        return;
      default:
    }
  }

  #send(command: Extract<PerformedEffect, { kind: 'provider.send' }>['command']): void {
    const { calls, history, inputs, link, resumption } = this.#parts;
    switch (command.type) {
      case 'tool_output': {
        const output = calls.takeText(command.call_id, command.output);
        const item = history.call(command.call_id);
        history.output(command.call_id, output);
        if (item) resumption.came(item.itemId, true);
        // The connection that the call came on is gone: the pair is told to the one that is here.
        if (link.takeOpenCall(command.call_id) && item?.type === 'function_call') {
          for (const wire of callPair(item, output)) link.send({ type: 'add_item', item: wire });
        } else link.send({ ...command, output });
        return;
      }
      case 'add_item':
        return link.send(command, inputs.takeEventId(String(command.item['id'])));
      case 'update':
        return link.send(command, inputs.takeEventId('update'));
      default:
        link.send(command);
    }
  }

  #timerFired(timer: Timer): void {
    const { machine, playback } = this.#parts;
    const { playing } = machine.state;
    if (timer === 'playback' && playing) {
      // A player that is behind the clock knows better.
      const leftMs = playback.leftMs(playing.response_id);
      if (leftMs > 0) return this.#timers.set('playback', Math.min(leftMs, 500));
    }
    machine.append({ type: 'timer.fired', timer });
  }
}
