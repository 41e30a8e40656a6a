// npm run check: everything that must hold before a change goes in, except the tests. Ends with `N passed, N failed`.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { staleBundleSize } from './bundle-size.ts';
import { pending, rehearseVersion } from './changesets.ts';
import { layerViolations } from './layers.ts';
import { attw, consume, contents, pack, publint, published } from './published.ts';
import { staleSamples } from './samples.ts';
import { pythonProject } from './scaffold-python.ts';
import { typescriptProject } from './scaffold-typescript.ts';
import { faults, runSteps, type Step } from './steps.ts';
import { onPath, TOOLCHAINS } from './suites.ts';
import { NONE, plainLine, type Totals } from './totals.ts';
import { bin, packages, prepare, root, run, temporary } from './workspace.ts';

const totals = (await prepare()) ? await checked() : { ...NONE, failed: 1 };
process.stdout.write(`\n${plainLine(totals)}\n`);
process.exitCode = totals.failed > 0 ? 1 : 0;

async function checked(): Promise<Totals> {
  const tarballs = await pack(temporary('packed'));
  // The longest first: two at a time then end together.
  return runSteps([
    { name: 'packages: install, import, type-check', run: () => consume(tarballs) },
    { name: 'a new project in TypeScript', run: () => typescriptProject(tarballs) },
    ...(onPath('python3') ? [{ name: 'a new project in Python', run: () => pythonProject(tarballs) }] : []),
    { name: 'packages: types (attw)', run: () => attw(tarballs) },
    { name: 'packages: manifests (publint)', run: () => publint(tarballs) },
    { name: 'packages: contents', run: () => contents(tarballs) },
    { name: 'lint', run: () => run(bin('oxlint'), ['--type-aware', '--deny-warnings', '.']) },
    { name: 'format', run: () => run(bin('biome'), ['format', '--max-diagnostics=200', '.']) },
    { name: 'types of scripts', run: () => run(bin('tsc'), ['-p', 'scripts']) },
    { name: 'types of the server tests', run: () => run(bin('tsc'), ['-p', 'apps/server/test']) },
    { name: 'generated files', run: () => run('pnpm', ['--filter', '@parley/codegen', 'run', 'check']) },
    { name: 'samples in README.md', run: async () => faults(staleSamples(root)) },
    { name: 'size of a call in packages/client/README.md', run: async () => faults(staleBundleSize(root)) },
    { name: 'boundaries', run: () => run(bin('turbo'), ['boundaries']) },
    { name: 'layers', run: async () => faults(layerViolations(root, packages())) },
    { name: 'dependencies explained', run: async () => faults(unexplained()) },
    { name: 'changesets: none missing', run: pending },
    { name: 'changesets: version', run: rehearseVersion },
    ...languages(),
  ]);
}

/** What the packages of other languages check by themselves. */
function languages(): Step[] {
  return packages()
    .filter((pkg) => pkg.folder in TOOLCHAINS && pkg.scripts?.['check'] !== undefined)
    .map((pkg) => {
      const tool = TOOLCHAINS[pkg.folder] ?? '';
      return onPath(tool)
        ? { name: pkg.folder, run: () => run('pnpm', ['--filter', pkg.name, 'run', 'check']) }
        : { name: `${pkg.folder}: not checked, ${tool} is not on PATH`, run: async () => faults([]) };
    });
}

/** Every dependency of a published package earns a line in ARCHITECTURE.md, where it stands in backticks. */
function unexplained(): string[] {
  const path = join(root, 'ARCHITECTURE.md');
  if (!existsSync(path)) return ['ARCHITECTURE.md is missing'];
  const page = readFileSync(path, 'utf8');
  const own = new Set(packages().map(({ name }) => name));
  return published().flatMap((pkg) =>
    Object.keys({ ...pkg.dependencies, ...pkg.peerDependencies, ...pkg.optionalDependencies })
      .filter((name) => !own.has(name) && !page.includes(`\`${name}\``))
      .map((name) => `${pkg.name} depends on ${name}, which no line of ARCHITECTURE.md explains as \`${name}\``),
  );
}
