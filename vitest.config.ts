// One run over every package: `npm test` builds first, because packages import each other as built.
import { existsSync, globSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { configDefaults, defineConfig, type TestProjectConfiguration } from 'vitest/config';

const folders = globSync(['packages/*/package.json', 'apps/*/package.json'], { cwd: import.meta.dirname })
  .map((path) => dirname(path))
  .toSorted();

const include = ['src/**/*.test.{ts,tsx}', 'test/**/*.test.{ts,tsx}'];
// A spoken call takes place in real time: a browser that waits for a core drops sound, and words with it. So calls come
// after everything else, one at a time.
const live = ['src/**/*.live.test.ts', 'test/**/*.live.test.ts'];

function projects(folder: string): TestProjectConfiguration[] {
  const root = join(import.meta.dirname, folder);
  const own = join(folder, 'vitest.config.ts');
  const { name } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { name: string };
  const usual = existsSync(join(import.meta.dirname, own))
    ? own
    : { extends: true as const, test: { name, root, include, exclude: [...live, ...configDefaults.exclude] } };
  if (globSync(live, { cwd: root }).length === 0) return [usual];
  const calls = { name: `${name} live`, root, include: live, maxWorkers: 1, sequence: { groupOrder: 1 } };
  return [usual, { extends: true as const, test: calls }];
}

export default defineConfig({
  test: {
    environment: 'node',
    testTimeout: 20_000,
    hookTimeout: 60_000,
    // A second, the default, is short where other processes are waited for.
    expect: { poll: { timeout: 10_000 } },
    // Tests start real servers and processes: more of them at a time would only measure the scheduler.
    maxWorkers: 2,
    projects: [
      { extends: true, test: { name: 'workspace', root: import.meta.dirname, include: ['scripts/*.test.ts'] } },
      ...folders.flatMap(projects),
    ],
  },
});
