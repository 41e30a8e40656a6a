// Are the changesets in order? Every changed package has one, and a release could be cut from here.
import { execFileSync } from 'node:child_process';
import { cpSync, globSync, readFileSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { faults } from './steps.ts';
import { bin, type Ended, type Manifest, root, run, temporary } from './workspace.ts';

/** `changeset status` against main, wherever this clone keeps it; a clone without one has nothing to compare with. */
export async function pending(): Promise<Ended> {
  for (const base of ['main', 'origin/main']) {
    const { code } = await run('git', ['rev-parse', '--verify', '--quiet', base]);
    if (code === 0) return run(bin('changeset'), ['status', `--since=${base}`]);
  }
  return { code: 0, output: '' };
}

/** `changeset version` on a copy of the manifests: the versions go up, and no changeset is left behind. */
export async function rehearseVersion(): Promise<Ended> {
  const copy = temporary('version');
  const listed = execFileSync('git', ['ls-files', '-co', '--exclude-standard'], { cwd: root, encoding: 'utf8' });
  const needed = listed
    .split('\n')
    .filter((path) => /(?:^|\/)(?:package\.json|CHANGELOG\.md)$|^\.changeset\/|^pnpm-/.test(path));
  for (const path of needed) cpSync(join(root, path), join(copy, path));
  const notes = needed.filter((path) => /^\.changeset\/.*\.md$/.test(path));
  // Right after a release there is nothing to version, which changesets calls an error.
  if (notes.length === 0) return { code: 0, output: '' };
  symlinkSync(join(root, 'node_modules'), join(copy, 'node_modules'), 'junction');
  // changesets looks up the commit that added each note, so the copy has to be a repository.
  const git = (...args: string[]) =>
    execFileSync('git', ['-c', 'user.name=check', '-c', 'user.email=check@localhost', ...args], { cwd: copy });
  git('init', '--quiet', '--initial-branch=main');
  git('add', '--all', ':!node_modules');
  git('commit', '--quiet', '--message=copy');

  const before = versions(copy);
  const ended = await run(bin('changeset'), ['version'], { cwd: copy });
  if (ended.code !== 0) return ended;
  const left = globSync('.changeset/*.md', { cwd: copy });
  const after = versions(copy);
  const raised = Object.keys(before).filter((name) => before[name] !== after[name]);
  // The SDKs speak one contract, so whoever has two of them sees by the version that they belong together. Python and Go
  // take theirs from their package.json.
  const languages = ['@parley/python', '@parley/go'].filter((name) => after[name] !== after['@parley/session']);
  return faults([
    ...languages.map((name) => `${name} would be ${after[name]}, and @parley/session ${after['@parley/session']}`),
    ...left.map((path) => `${path} is still there after changeset version`),
    ...(raised.length === 0 ? [`${notes.length} changesets, and no version went up`] : []),
  ]);
}

function versions(folder: string): Record<string, string> {
  const manifests = globSync('{packages,apps}/*/package.json', { cwd: folder }).map(
    (path) => JSON.parse(readFileSync(join(folder, path), 'utf8')) as Manifest,
  );
  return Object.fromEntries(manifests.map(({ name, version }) => [name, version]));
}
