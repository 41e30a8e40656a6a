// The testee agent of each language: where it is, what it needs, and how it is started.

import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import type { TesteeCommand } from '../testee.ts';

/** How an agent can be run here, or why it cannot. */
export type Prepared = { command: TesteeCommand } | { missing: string } | { failed: string };

const packages = join(import.meta.dirname, '../../..');

const AGENTS: Readonly<Record<string, () => Prepared>> = {
  typescript: () => ({
    command: { command: process.execPath, args: [join(import.meta.dirname, '../testees/typescript-agent.ts')] },
  }),
  python: () => {
    const folder = join(packages, 'python');
    const python = join(folder, '.venv/bin/python');
    if (!existsSync(join(folder, 'conformance/agent.py'))) return { missing: 'packages/python has no testee agent' };
    if (!existsSync(python)) return { missing: 'packages/python is not built: it has no .venv' };
    return { command: { command: python, args: ['conformance/agent.py'], cwd: folder } };
  },
  go: () => {
    const folder = join(packages, 'go');
    if (!existsSync(join(folder, 'conformance/agent/main.go'))) return { missing: 'packages/go has no testee agent' };
    if (!onPath('go')) return { missing: 'go is not on PATH' };
    // `go run` would stand between the agent and its signals.
    const binary = join(mkdtempSync(join(tmpdir(), 'parley-testee-')), 'agent');
    const built = spawnSync('go', ['build', '-o', binary, './conformance/agent'], { cwd: folder, encoding: 'utf8' });
    if (built.status !== 0) return { failed: `go build ./conformance/agent failed\n${built.stderr}` };
    return { command: { command: binary, args: [] } };
  },
};

export function prepareAgent(language: string): Prepared {
  return AGENTS[language]?.() ?? { missing: `nobody said how to start the testee agent of ${language}` };
}

function onPath(command: string): boolean {
  const names = process.platform === 'win32' ? [`${command}.exe`] : [command];
  return (process.env['PATH'] ?? '')
    .split(delimiter)
    .some((folder) => names.some((name) => existsSync(join(folder, name))));
}
