// Where the sessions of a launcher run: in this event loop, or each in a thread or a process of its own.

import { pathToFileURL } from 'node:url';
import { ParleyError } from '@parley/core';
import { type CallHost, partsOf } from '../call.ts';
import type { SimulatorLease } from '../local/local-model.ts';
import { type Agents, warmConfigurations } from './agents.ts';
import { isIsolated } from './isolated.ts';
import { IsolatedUnit, type IsolationParts } from './isolated-unit.ts';
import type { LauncherSettings } from './options.ts';
import { SharedUnit, type SharedUnitParts } from './shared-unit.ts';
import type { Unit, UnitOrder, UnitPorts } from './unit.ts';
import { WarmPlaces } from './warm-places.ts';

export class Units {
  readonly #settings: LauncherSettings;
  readonly #agents: Agents;
  /** The launcher's number among those of its module. */
  readonly #number: number;
  readonly #warm: WarmPlaces;
  #simulator: Promise<SimulatorLease> | null = null;
  #closed = false;

  constructor(settings: LauncherSettings, agents: Agents, number: number) {
    this.#settings = settings;
    this.#agents = agents;
    this.#number = number;
    const { isolation, warmAgents, warmConfigurationsMax: configurationsMax, log } = settings;
    const size = isolation === 'shared' ? 0 : warmAgents;
    this.#warm = new WarmPlaces({ size, configurationsMax, parts: () => this.#isolation(), log });
  }

  /** Threads or processes that are ready. */
  get ready(): number {
    return this.#warm.size;
  }

  /** Resolves when as many are ready as are to be kept. @throws what making one threw. */
  async warm(): Promise<void> {
    if (this.#settings.isolation === 'shared' || isIsolated()) return;
    await Promise.all(warmConfigurations(this.#settings).map((configuration) => this.#warm.warm(configuration)));
  }

  /** Begins to run a session. @throws ParleyError `failed_precondition` where isolation lacks its module. */
  open(order: UnitOrder, ports: UnitPorts, host: CallHost | undefined): Unit {
    // What a control plane keeps comes over this process's link.
    if (this.#settings.isolation === 'shared' || host) return this.here(order, ports, host);
    return new IsolatedUnit(order, this.#isolation(), ports, this.#warm.take(order.configuration));
  }

  #isolation(): IsolationParts {
    const { isolation, isolateHeapMb: heapMb, blockedMs, closeMs, clock, module } = this.#settings;
    return {
      kind: isolation === 'process' ? 'process' : 'worker',
      module: this.#module(),
      launcher: module === undefined ? this.#number : 0,
      heapMb,
      blockedMs,
      closeMs,
      clock,
      simulatorUrl: this.#simulatorUrl(),
    };
  }

  /** The same in this event loop, wherever that is. */
  here(order: UnitOrder, ports: UnitPorts, host: CallHost | undefined): Unit {
    const { joinCall, onNotice, onEntry, closeMs, clock, leaseModel } = this.#settings;
    const agentFor: SharedUnitParts['agentFor'] = ({ configuration }, context) =>
      this.#agents.for(configuration, context);
    return new SharedUnit(order, { joinCall, onNotice, onEntry, closeMs, clock, leaseModel, host, agentFor }, ports);
  }

  close(): void {
    this.#closed = true;
    this.#warm.close();
    // One that did not start was told to the sessions that wanted it.
    void this.#simulator?.then((lease) => lease.release()).catch(() => undefined);
  }

  /** The simulator of isolated sessions, where their agents need one and the environment names none. */
  async #simulatorUrl(): Promise<string | undefined> {
    const { provider } = this.#settings;
    if (process.env['PARLEY_SIMULATOR_URL'] || (provider ?? 'simulator') !== 'simulator') return undefined;
    const declared = [...partsOf(await this.#agents.probe()).sessions.values()].map(({ declaration }) => declaration);
    if (provider === undefined && !declared.some((one) => one.provider === 'simulator')) return undefined;
    return `${(await this.#leased()).url}/v1`;
  }

  /** One lease for all of them. One that could not be had is asked for again by the next session. */
  #leased(): Promise<SimulatorLease> {
    // It stopped while it was asked: nobody would give back what is taken now.
    if (this.#closed) throw new ParleyError('unavailable', 'this launcher is stopped and starts no simulator');
    this.#simulator ??= import('../local/local-model.ts')
      .then(({ leaseSimulator }) => leaseSimulator(process.env))
      .catch((error: unknown) => {
        this.#simulator = null;
        throw error;
      });
    return this.#simulator;
  }

  #module(): string {
    const module = this.#settings.module ?? process.argv[1];
    if (module === undefined) {
      throw new ParleyError('failed_precondition', 'isolation needs `module`: the file that makes this launcher');
    }
    const url = module instanceof URL || URL.canParse(module) ? new URL(module) : pathToFileURL(module);
    return url.href;
  }
}
