// What a user will install: the packed packages, looked at from outside of the workspace.
import { globSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { examplesThatFail } from './examples.ts';
import { isTest } from './layers.ts';
import { faults } from './steps.ts';
import { bin, type Ended, type Manifest, type Package, packages, root, run, temporary } from './workspace.ts';

export interface Tarball {
  readonly pkg: Package;
  readonly path: string;
}

export function published(): Package[] {
  return packages().filter((pkg) => pkg.private !== true);
}

/** Packs every published package as a release would, into `folder`; throws when one cannot be packed. */
export async function pack(folder: string): Promise<Tarball[]> {
  const tarballs: Tarball[] = [];
  for (const pkg of published()) {
    const path = join(folder, `${pkg.name.replace('@', '').replace('/', '-')}.tgz`);
    const { code, output } = await run('pnpm', ['pack', '--out', path], { cwd: join(root, pkg.folder) });
    if (code !== 0) throw new Error(`could not pack ${pkg.name}: ${output}`);
    tarballs.push({ pkg, path });
  }
  return tarballs;
}

/** What is in the tarballs: no tests, and a licence. */
export function contents(tarballs: readonly Tarball[]): Promise<Ended> {
  return each(tarballs, async ({ path }) => {
    const { code, output } = await run('tar', ['-tzf', path]);
    if (code !== 0) return { code, output };
    const files = output.trimEnd().split('\n');
    return faults([
      ...files.filter(isTest).map((file) => `${file} is test code: leave it out with "files" in package.json`),
      ...(files.includes('package/LICENSE') ? [] : ['there is no LICENSE']),
    ]);
  });
}

/** publint: do the fields of package.json say what is in the tarball? Warnings count. */
export function publint(tarballs: readonly Tarball[]): Promise<Ended> {
  return each(tarballs, ({ path }) => run(bin('publint'), ['run', path, '--strict']));
}

/** attw: do the types resolve to what will run? Everything here is ESM, so only those resolutions count. */
export function attw(tarballs: readonly Tarball[]): Promise<Ended> {
  return each(tarballs, ({ path }) => run(bin('attw'), [path, '--profile', 'esm-only', '--no-color', '--no-emoji']));
}

async function each(tarballs: readonly Tarball[], look: (tarball: Tarball) => Promise<Ended>): Promise<Ended> {
  const found: string[] = [];
  for (const tarball of tarballs) {
    const { code, output } = await look(tarball);
    if (code !== 0) found.push(`${tarball.pkg.name}:\n${output.trimEnd()}`);
  }
  return faults(found);
}

/**
 * Installs the tarballs with npm in a project of their own; then every entry of every package is imported, every command answers
 * `--help`, and the declarations are checked under nodenext. Our .d.ts files name their neighbours as `./ids.ts`, where
 * only `ids.d.ts` is shipped: that TypeScript resolves this is what the last part proves.
 */
export async function consume(tarballs: readonly Tarball[]): Promise<Ended> {
  const project = temporary('consumer');
  const files = Object.fromEntries(tarballs.map(({ pkg, path }) => [pkg.name, `file:${path}`]));
  // Declarations that speak of sockets speak of Node's Buffer: a program for Node has these types.
  const types = { '@types/node': packageVersion('@types/node'), '@types/react': packageVersion('@types/react') };
  const manifest = {
    name: 'consumer',
    private: true,
    type: 'module',
    // A part that needs a peer is imported as well, so the peers are there.
    dependencies: { ...files, ...types, ...peers(tarballs) },
    overrides: override(files),
  };
  writeFileSync(join(project, 'package.json'), JSON.stringify(manifest));
  const install = ['install', '--no-audit', '--no-fund', '--prefer-offline', '--ignore-scripts', '--loglevel=error'];
  const installed = await run('npm', install, { cwd: project });
  if (installed.code !== 0) return installed;

  const found: string[] = [];
  for (const { pkg } of tarballs) {
    for (const specifier of specifiers(pkg)) {
      const { code, output } = await run(process.execPath, ['-e', `await import('${specifier}')`], { cwd: project });
      if (code !== 0) found.push(`import '${specifier}':\n${output.trimEnd()}`);
    }
    for (const command of commands(join(project, 'node_modules', pkg.name))) {
      const path = join(project, 'node_modules', '.bin', command);
      const help = await run(path, ['--help'], { cwd: project });
      if (help.code !== 0) found.push(`${command} --help ended with ${help.code}:\n${help.output.trimEnd()}`);
    }
  }
  return faults([...found, ...(await declarations(project, tarballs)), ...(await examplesThatFail(project, tarballs))]);
}

/** npm would look for `@parley/core@0.0.0` in the registry; here it is always the tarball beside it. */
function override(files: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.keys(files).map((name) => [name, `$${name}`]));
}

/** Peers that are started and never imported: a program of 170 MB is no part of what is looked at here. */
const PROGRAMS = ['@openai/codex'];

function peers(tarballs: readonly Tarball[]): Record<string, string> {
  const all = tarballs.flatMap(({ pkg }) => Object.entries(pkg.peerDependencies ?? {}));
  return Object.fromEntries(all.filter(([name]) => !PROGRAMS.includes(name)));
}

/** What can be imported of a package: `@parley/core`, `@parley/simulator/speech`. */
function specifiers(pkg: Package): string[] {
  return Object.keys(pkg.exports ?? {})
    .filter((entry) => !entry.includes('*') && !entry.endsWith('.json'))
    .map((entry) => pkg.name + entry.slice(1));
}

function packageVersion(name: string): string {
  const [manifest = name] = globSync(`{,packages/client/}node_modules/${name}/package.json`, { cwd: root });
  return (JSON.parse(readFileSync(join(root, manifest), 'utf8')) as Manifest).version;
}

function commands(folder: string): string[] {
  const { bin: entry, name } = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) as Manifest;
  return typeof entry === 'string' ? [name.split('/').at(-1) ?? name] : Object.keys(entry ?? {});
}

/** Faults of our own declarations. skipLibCheck would hide an unresolved import in them, so others' faults are filtered. */
async function declarations(project: string, tarballs: readonly Tarball[]): Promise<string[]> {
  mkdirSync(join(project, 'src'));
  const all = tarballs.flatMap(({ pkg }) => specifiers(pkg));
  const imports = all.map((specifier, i) => `import * as p${i} from '${specifier}';\nexport { p${i} };\n`);
  writeFileSync(join(project, 'src', 'index.ts'), imports.join(''));
  const compilerOptions = { module: 'nodenext', strict: true, noEmit: true, skipLibCheck: false, types: ['node'] };
  writeFileSync(join(project, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['src'] }));
  const { code, output } = await run(bin('tsc'), ['-p', project, '--pretty', 'false'], { cwd: project });
  if (code === 0) return [];
  const ours = output.split('\n').filter((line) => /^(?:src\/|node_modules\/(?:@parley\/|parley\/))/.test(line));
  const known = /^\S+\(\d+,\d+\): error/m.test(output);
  return known ? ours : [output];
}
