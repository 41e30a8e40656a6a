// Where a session that is kept here finds its model: at the provider that the environment sets up. The simulator needs
// nothing: where none is named, one is started in this process.

import { readFileSync } from 'node:fs';
import { capabilityOf, ParleyError, type SessionDeclaration, type SessionState } from '@parley/core';
import {
  createModel,
  type ModelConnection,
  PROVIDER_ENVIRONMENT,
  providersFromEnv,
  type RealtimeModel,
  renewing,
} from '@parley/providers';
import type { Clock } from '@parley/transport';

/** A model in use; whoever is done with it gives it back. */
export interface ModelLease {
  readonly model: RealtimeModel;
  release(): void;
}

/** Connects a session's model, as it is declared and as it was changed since. */
export function connected(
  model: RealtimeModel,
  { tools, enabled_tools }: SessionState,
  declaration: SessionDeclaration,
  call: { safety_id: string; signal: AbortSignal },
): Promise<ModelConnection> {
  const row = capabilityOf(declaration.provider);
  return model.connect({
    transport: declaration.transport,
    model: declaration.model ?? row?.default_model ?? '',
    voice: declaration.voice ?? row?.default_voice ?? '',
    instructions: declaration.instructions,
    language: declaration.language,
    modalities: declaration.modalities,
    tools: tools.filter((tool) => enabled_tools.includes(tool.name)),
    turn_detection: declaration.turn_detection ?? null,
    responder: declaration.responder,
    ...call,
  });
}

/** A simulator in use; whoever is done with it gives it back. */
export interface SimulatorLease {
  readonly url: string;
  readonly release: () => void;
}

interface SharedSimulator {
  readonly running: Promise<{ url: string; close(): Promise<void> }>;
  users: number;
}

let shared: SharedSimulator | null = null;

/** @throws ParleyError `failed_precondition` naming the variable that is missing. */
export async function leaseModel(
  provider: string,
  clock: Clock,
  env: NodeJS.ProcessEnv = process.env,
): Promise<ModelLease> {
  const config = providersFromEnv(env)[provider];
  if (config) {
    return { model: renewing(createModel(provider, config, { clock }), { clock }), release: () => undefined };
  }
  if (provider !== 'simulator') {
    const row = PROVIDER_ENVIRONMENT.find((one) => one.provider === provider);
    const wanted = row ? [row.key_optional ? '' : row.key, row.default_base_url ? '' : row.base_url] : [];
    const message = `provider ${provider} is not set up: set ${wanted.filter(Boolean).join(' and ') || 'its variables'}, or use the provider simulator, which needs no key`;
    throw new ParleyError('failed_precondition', message, { details: { provider } });
  }
  const { url, release } = await leaseSimulator(env);
  return { model: createModel('simulator', { base_url: `${url}/v1` }, { clock }), release };
}

/** A simulator in this process, for whoever named none; the last one who gives it back ends it. */
export async function leaseSimulator(env: NodeJS.ProcessEnv): Promise<SimulatorLease> {
  shared ??= { running: startedSimulator(env), users: 0 };
  const simulator = shared;
  simulator.users += 1;
  const release = (): void => {
    simulator.users -= 1;
    if (simulator.users > 0) return;
    if (shared === simulator) shared = null;
    // It may not have started, which its first user was told.
    void simulator.running.then((running) => running.close()).catch(() => undefined);
  };
  try {
    const { url } = await simulator.running;
    let released = false;
    return {
      url,
      release: () => {
        if (!released) release();
        released = true;
      },
    };
  } catch (error) {
    release();
    throw error;
  }
}

async function startedSimulator(env: NodeJS.ProcessEnv): Promise<{ url: string; close(): Promise<void> }> {
  // Loaded when it is needed: most agents talk to a control plane and never do.
  const { parseScript, startSimulator } = await import('@parley/simulator');
  const path = env['PARLEY_SIMULATOR_SCRIPT'];
  return startSimulator(path ? { script: parseScript(scriptAt(path)) } : {});
}

function scriptAt(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException;
    throw new ParleyError(
      'failed_precondition',
      `PARLEY_SIMULATOR_SCRIPT names ${path}, which cannot be read: ${code}`,
    );
  }
}
