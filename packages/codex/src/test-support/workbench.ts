// The real Codex, a provider that does as it is told, and a folder to work in.

import { mkdtemp, readdir, readFile, readlink, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { AgentConfig, AgentTurnResult, RunnerOptions } from '@parley/turns';
import { CodexSessionFactory } from '../factory.ts';
import type { CodexOptions, CodexProvider } from '../options.ts';
import type { CodexRunner } from '../runner.ts';
import { script, type Step } from '../testing/script.ts';
import { type ScriptedProvider, startScriptedProvider } from '../testing/scripted-provider.ts';

export const KEY = 'sk-mock-0c7k-not-to-be-seen';

export interface Workbench extends AsyncDisposable {
  readonly provider: ScriptedProvider;
  /** Empty, and its own. */
  readonly folder: string;
  /** How a factory of this bench reaches the provider. */
  readonly providers: readonly CodexProvider[];
  factory(options?: CodexOptions): CodexSessionFactory;
  /** A started factory, which the bench closes. */
  started(options?: CodexOptions): Promise<CodexSessionFactory>;
}

export async function openWorkbench(): Promise<Workbench> {
  const provider = await startScriptedProvider();
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'parley-codex-work-')));
  const factories: CodexSessionFactory[] = [];
  const providers = [
    { id: 'mock', baseUrl: provider.url, key: KEY, requestRetriesMax: 0, streamRetriesMax: 0 },
  ] as const;
  const factory = (options: CodexOptions = {}): CodexSessionFactory => {
    const made = new CodexSessionFactory({ providers, model: 'mock-model', ...options });
    factories.push(made);
    return made;
  };
  return {
    provider,
    folder,
    providers,
    factory,
    started: async (options) => {
      const made = factory(options);
      await made.start();
      return made;
    },
    [Symbol.asyncDispose]: async () => {
      for (const one of factories) await one.close();
      await provider.close();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** A factory with one runner in the folder of the bench. */
export async function runnerOf(
  bench: Workbench,
  options: CodexOptions = {},
  config: Partial<AgentConfig> = {},
  runnerOptions: RunnerOptions = {},
): Promise<{ factory: CodexSessionFactory; runner: CodexRunner }> {
  const factory = await bench.started(options);
  const runner = await factory.runner({ workingDirectory: bench.folder, ...config }, runnerOptions);
  return { factory, runner };
}

/** Lets the model run one shell command, and then say `done`. */
export function shell(command: string, extra: Record<string, unknown> = {}): string {
  return script([{ call: 'exec_command', input: { cmd: command, yield_time_ms: 5000, ...extra } }, { text: 'done' }]);
}

export function steps(...all: Step[]): string {
  return script(all);
}

/** What the only command of a turn printed. */
export function outputOf({ events }: Pick<AgentTurnResult, 'events'>): string {
  const [command] = events.filter(({ kind }) => kind === 'commandExecution');
  const output = command?.metadata['aggregatedOutput'];
  return typeof output === 'string' ? output : '';
}

export interface Process {
  readonly pid: number;
  readonly command: string;
}

/** Processes whose command line has these words; those that are dead and not yet collected do not count. */
export async function processesWith(words: string): Promise<Process[]> {
  const found: Process[] = [];
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const command = (await readFile(`/proc/${name}/cmdline`, 'utf8')).replaceAll('\0', ' ').trim();
      if (command.includes(words) && Number(name) !== process.pid) found.push({ pid: Number(name), command });
    } catch {
      // Gone while the list was read.
    }
  }
  return found;
}

/** The working directory of a process. */
export function directoryOf(pid: number): Promise<string> {
  return readlink(`/proc/${pid}/cwd`);
}

/** What it rejects with; listened to at once, so that it is nobody's surprise. Null when it does not. */
export function rejection(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => null,
    (error: unknown) => error,
  );
}
