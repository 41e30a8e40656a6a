// The programs of each language: the testee agent and the samples. Where they are, what they need, how they are started.

import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import type { TesteeCommand } from '../testee.ts';

export const SAMPLES = ['echo', 'tools', 'interrupt', 'resume'] as const;

export interface Programs {
  agent: TesteeCommand;
  /** Null where the language does not have all of the samples. */
  samples: Readonly<Record<string, TesteeCommand>> | null;
}

/** What can be run here; or why it cannot, because something is missing or does not build. */
export type Prepared = { programs: Programs } | { missing: string } | { failed: string };

/** A program as its source: the path below packages/, with forward slashes. */
interface Language {
  agent: string;
  sample: (name: string) => string;
  /** Makes sources into commands, or says why not. */
  commands: (sources: readonly string[]) => TesteeCommand[] | { missing: string } | { failed: string };
}

const root = join(import.meta.dirname, '../../../..');
const WINDOWS = process.platform === 'win32';

const LANGUAGES: Readonly<Record<string, Language>> = {
  typescript: {
    agent: 'packages/conformance/src/testees/typescript-agent.ts',
    sample: (name) => `apps/examples/src/samples/${name}.ts`,
    commands: (sources) => sources.map((source) => ({ command: process.execPath, args: [join(root, source)] })),
  },
  python: {
    agent: 'packages/python/conformance/agent.py',
    sample: (name) => `packages/python/examples/${name}.py`,
    commands(sources) {
      const command = join(root, 'packages/python/.venv', WINDOWS ? 'Scripts/python.exe' : 'bin/python');
      if (!existsSync(command)) return { missing: 'packages/python has no .venv, so it was not built' };
      return sources.map((source) => ({ command, args: [join(root, source)] }));
    },
  },
  go: {
    agent: 'packages/go/conformance/agent/main.go',
    sample: (name) => `packages/go/examples/${name}/main.go`,
    commands(sources) {
      if (!onPath('go')) return { missing: 'go is not on PATH' };
      const cwd = join(root, 'packages/go');
      const folders = sources.map((source) => `./${source.replace(/^packages\/go\//, '').replace(/\/main\.go$/, '')}`);
      // Built, because `go run` would stand between an agent and its signals.
      const built = spawnSync('go', ['build', '-o', 'dist/conformance/', ...folders], { cwd, encoding: 'utf8' });
      if (built.status !== 0) return { failed: `go build ${folders.join(' ')}\n${built.stderr}` };
      return folders.map((folder) => {
        const name = folder.split('/').at(-1) ?? '';
        return { command: join(cwd, 'dist/conformance', WINDOWS ? `${name}.exe` : name), args: [] };
      });
    },
  },
};

export function prepare(name: string): Prepared {
  const language = LANGUAGES[name];
  if (!language) return { missing: `nobody said where the programs of ${name} are` };
  if (!existsSync(join(root, language.agent))) return { missing: `there is no ${language.agent}` };
  const sources = SAMPLES.map(language.sample);
  const complete = sources.every((source) => existsSync(join(root, source)));
  const commands = language.commands([language.agent, ...(complete ? sources : [])]);
  if (!Array.isArray(commands)) return commands;
  const [agent, ...samples] = commands as [TesteeCommand, ...TesteeCommand[]];
  const named = Object.fromEntries(SAMPLES.map((sample, i) => [sample, samples[i] as TesteeCommand]));
  return { programs: { agent, samples: complete ? named : null } };
}

function onPath(command: string): boolean {
  const names = WINDOWS ? [`${command}.exe`] : [command];
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .some((folder) => names.some((name) => existsSync(join(folder, name))));
}
