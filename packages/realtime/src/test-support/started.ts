// A session with a scripted model in virtual time, and everything that it tells.

import type { RealtimeAgent } from '../agent.ts';
import type { RealtimeEventOf, RealtimeEventType, RealtimeSessionEvent } from '../events.ts';
import type { RealtimeModelConfig, RealtimeRunConfig } from '../options.ts';
import type { RealtimeItem } from '../history/item.ts';
import { RealtimeRunner } from '../runner.ts';
import type { RealtimeSession } from '../session.ts';
import { type Reply, ScriptedModel } from '../testing/scripted-model.ts';
import { VirtualTime } from '../testing/virtual-time.ts';

export interface Started<C> {
  time: VirtualTime;
  scripted: ScriptedModel;
  session: RealtimeSession<C>;
  events: RealtimeSessionEvent[];
  of: <T extends RealtimeEventType>(type: T) => RealtimeEventOf<T>[];
}

export interface StartOptions<C> {
  config?: RealtimeRunConfig<C>;
  context?: C;
  history?: readonly RealtimeItem[];
  modelConfig?: RealtimeModelConfig;
  seed?: number;
  jitterMs?: number;
}

export async function started<C = unknown>(
  agent: RealtimeAgent<C>,
  replies: readonly (Reply | string)[] = [],
  options: StartOptions<C> = {},
): Promise<Started<C>> {
  const { config, seed = 1, jitterMs = 0, ...run } = options;
  const time = new VirtualTime();
  const scripted = new ScriptedModel({ time, replies, seed, jitterMs });
  const runner = new RealtimeRunner<C>(agent, { model: scripted.model, ...(config === undefined ? {} : { config }) });
  const running = runner.run({ ...run, clock: time });
  let over = false;
  running.then(
    () => (over = true),
    () => (over = true),
  );
  await time.until(() => over);
  const session = await running;
  const events: RealtimeSessionEvent[] = [];
  session.subscribe((event) => void events.push(event));
  return {
    time,
    scripted,
    session,
    events,
    of: <T extends RealtimeEventType>(type: T) =>
      events.filter((event) => event.type === type) as unknown as RealtimeEventOf<T>[],
  };
}
