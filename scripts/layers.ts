// Who may import whom: the rule of ARCHITECTURE.md, as data, and its check.
//
// `turbo boundaries` sees imports that package.json does not declare, imports that leave the package, and the one rule
// with no exception (session never imports server). It follows devDependencies and dependencies of dependencies, so it
// cannot say "server may use dashboard, which was built with client", or that only the server's tests stand on session:
// the exact table is kept here.
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Package } from './workspace.ts';

/** Per package, the packages of this workspace that its shipped code may import. */
export const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  '@parley/core': [],
  '@parley/transport': ['@parley/core'],
  '@parley/media': ['@parley/core', '@parley/transport'],
  '@parley/providers': ['@parley/core', '@parley/transport'],
  '@parley/realtime': ['@parley/core', '@parley/transport', '@parley/providers'],
  // The simulator is loaded where a call is held without a control plane and nobody named a provider.
  '@parley/session': ['@parley/core', '@parley/transport', '@parley/providers', '@parley/simulator'],
  '@parley/client': ['@parley/core', '@parley/transport'],
  '@parley/turns': ['@parley/core'],
  '@parley/codex': ['@parley/core', '@parley/turns'],
  '@parley/simulator': ['@parley/core', '@parley/transport', '@parley/media'],
  '@parley/server': ['@parley/core', '@parley/transport', '@parley/media', '@parley/providers', '@parley/dashboard'],
  '@parley/dashboard': ['@parley/core', '@parley/transport', '@parley/client'],
  parley: [
    '@parley/core',
    '@parley/turns',
    '@parley/codex',
    '@parley/transport',
    '@parley/providers',
    '@parley/client',
    '@parley/session',
    '@parley/simulator',
    '@parley/server',
  ],
  'create-parley': ['@parley/core'],
  '@parley/codegen': ['@parley/core'],
  // Its behaviour part runs the whole house around a live agent; session is for the testee of TypeScript alone.
  '@parley/conformance': ['@parley/core', '@parley/client', '@parley/session', '@parley/simulator', '@parley/server'],
  '@parley/bench': [
    '@parley/core',
    '@parley/codex',
    '@parley/transport',
    '@parley/media',
    '@parley/providers',
    '@parley/realtime',
    '@parley/client',
    '@parley/session',
    '@parley/simulator',
    '@parley/server',
  ],
  // The demonstration of npm start runs the whole house in one process.
  '@parley/examples': [
    '@parley/core',
    '@parley/media',
    '@parley/turns',
    '@parley/codex',
    '@parley/realtime',
    '@parley/session',
    '@parley/client',
    '@parley/simulator',
    '@parley/server',
  ],
};

/** Packages whose imports are bundled into what they ship, so that devDependencies suffice. */
const BUNDLED = ['@parley/dashboard'];

/** A source file, by its path inside the package. */
export interface Source {
  readonly path: string;
  readonly text: string;
}

const IMPORT =
  /(?:^|[\s;])(?:import|export)\s(?:[^'";]*?\sfrom\s*)?['"]([^'"\n]+)['"]|\bimport\(\s*['"]([^'"\n]+)['"]/g;

/** The packages that a file imports: no relative paths, no `node:` modules, `zod/v4` as `zod`. */
export function importedPackages(text: string): string[] {
  const names = new Set<string>();
  for (const [, from, dynamic] of text.matchAll(IMPORT)) {
    const specifier = from ?? dynamic ?? '';
    if (/^(?:\.|\/|node:|#|virtual:)/.test(specifier)) continue;
    const parts = specifier.split('/');
    names.add(parts.slice(0, specifier.startsWith('@') ? 2 : 1).join('/'));
  }
  return [...names];
}

/** Test code may stand on devDependencies and does not ship: what has `.test.` in its name, or is in a folder of tests. */
export function isTest(path: string): boolean {
  return /\.test\.[^/]+$|(?:^|\/)(?:test|test-support)\//.test(path);
}

/** One sentence for each break of the rule in one package; none when it holds. */
export function violations(pkg: Package, sources: readonly Source[], workspace: readonly string[]): string[] {
  const allowed = MAY_IMPORT[pkg.name];
  if (allowed === undefined) return [`${pkg.name} is not in the table of scripts/layers.ts: say what it may import`];
  const ships = { ...pkg.dependencies, ...pkg.peerDependencies, ...pkg.optionalDependencies };
  const found: string[] = [];

  for (const name of Object.keys(ships)) {
    if (workspace.includes(name) && !allowed.includes(name)) found.push(`${pkg.name} may not depend on ${name}`);
  }
  for (const { path, text } of sources) {
    if (isTest(path)) continue;
    for (const name of importedPackages(text)) {
      if (name === pkg.name) continue;
      if (workspace.includes(name) && !allowed.includes(name)) {
        found.push(`${pkg.folder}/${path} imports ${name}; ${pkg.name} may import ${allowed.join(', ') || 'none'}`);
      } else if (!(name in ships) && pkg.private !== true && !BUNDLED.includes(pkg.name)) {
        found.push(`${pkg.folder}/${path} imports ${name}, which is not among the dependencies that ${pkg.name} ships`);
      }
    }
  }
  return found;
}

/** Reads every package's sources and reports all breaks of the rule. */
export function layerViolations(root: string, all: readonly Package[]): string[] {
  const workspace = all.map((pkg) => pkg.name);
  return all.flatMap((pkg) => {
    const cwd = join(root, pkg.folder, 'src');
    const sources = globSync('**/*.{ts,tsx}', { cwd }).map((path) => ({
      path: `src/${path.replaceAll('\\', '/')}`,
      text: readFileSync(join(cwd, path), 'utf8'),
    }));
    // A language's folder has a package.json of scripts, and no TypeScript to check.
    return sources.length === 0 ? [] : violations(pkg, sources, workspace);
  });
}
