// What the verbs share: where the workspace is, what is in it, and how a command is run.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';

/** The folder that holds pnpm-workspace.yaml. */
export const root = dirname(import.meta.dirname);

/** The parts of a package.json that the verbs read. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly scripts?: Record<string, string>;
  readonly dependencies?: Record<string, string>;
  readonly devDependencies?: Record<string, string>;
  readonly peerDependencies?: Record<string, string>;
  readonly optionalDependencies?: Record<string, string>;
}

export interface Package extends Manifest {
  /** Relative to the root, with forward slashes: `packages/core`. */
  readonly folder: string;
}

/** Every package of the workspace, in the order of their folders. */
export function packages(): Package[] {
  return globSync(['packages/*/package.json', 'apps/*/package.json'], { cwd: root })
    .toSorted()
    .map((path) => ({
      ...(JSON.parse(readFileSync(join(root, path), 'utf8')) as Manifest),
      folder: dirname(path).replaceAll('\\', '/'),
    }));
}

export interface RunOptions {
  /** Where the command runs; the root by default. */
  readonly cwd?: string;
  readonly env?: Record<string, string>;
  /**
   * Where its output goes while it runs: `inherit` (stdout stays stdout), `stderr` (all of it, for progress beside a clean
   * stdout), `collect` (nowhere), `tee` (stdout and stderr as they are, and collected). Default `collect`.
   */
  readonly output?: 'inherit' | 'stderr' | 'collect' | 'tee';
}

export interface Ended {
  /** 128 + n after signal n, 127 when the command could not be started. */
  readonly code: number;
  /** What it printed, stdout and stderr in one; empty unless collected. */
  readonly output: string;
}

const running = new Set<ChildProcess>();
let stopping: NodeJS.Signals | undefined;

// A verb ends by ending what it started; the exit code then says which signal it was.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    stopping = signal;
    process.exitCode = 128 + constants.signals[signal];
    for (const child of running) child.kill(signal);
    if (running.size === 0) process.exit();
  });
}

/**
 * Runs a command to its end. A failing command is a value; when this process was told to stop, it does not return.
 *
 * @example const { code, output } = await run('git', ['rev-parse', 'HEAD']);
 */
export async function run(command: string, args: readonly string[], options: RunOptions = {}): Promise<Ended> {
  const to = options.output ?? 'collect';
  const pipe = to === 'collect' || to === 'tee';
  const child = spawn(command, args, {
    cwd: options.cwd ?? root,
    env: { ...process.env, ...options.env },
    stdio: pipe ? ['ignore', 'pipe', 'pipe'] : to === 'stderr' ? ['ignore', process.stderr, process.stderr] : 'inherit',
    // On Windows the tools of node_modules/.bin are .cmd files, which only a shell starts.
    shell: process.platform === 'win32',
  });
  running.add(child);
  const chunks: Buffer[] = [];
  child.stdout?.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    if (to === 'tee') process.stdout.write(chunk);
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    if (to === 'tee') process.stderr.write(chunk);
  });

  const code = await new Promise<number>((resolve) => {
    child.on('error', (error) => {
      chunks.push(Buffer.from(`could not start ${command}: ${error.message}\n`));
      resolve(127);
    });
    child.on('close', (status, signal) => resolve(status ?? 128 + (signal ? constants.signals[signal] : 0)));
  });
  running.delete(child);
  if (stopping !== undefined) {
    if (running.size === 0) process.exit();
    await new Promise<never>(() => {});
  }
  return { code, output: Buffer.concat(chunks).toString() };
}

/** A tool of the root's node_modules, by its command name. */
export function bin(name: string): string {
  return join(root, 'node_modules', '.bin', name);
}

/** Runs one of this workspace's verbs' preparations, with its output on stderr, or ends the process as it ended. */
async function must(what: string, command: string, args: readonly string[]): Promise<void> {
  const { code, output } = await run(command, args, { output: 'stderr' });
  if (code === 0) return;
  process.stderr.write(`${output}${what} failed: ${command} ${args.join(' ')} ended with ${code}\n`);
  process.exit(code);
}

/** Brings node_modules in step with the lockfile; pnpm sees in a tenth of a second when it is. */
export async function install(): Promise<void> {
  const reporter = existsSync(join(root, 'node_modules', '.pnpm')) ? '--reporter=silent' : '--reporter=append-only';
  await must('pnpm install', 'pnpm', ['install', '--frozen-lockfile', reporter]);
}

/** Builds every package, or those that `filters` (turbo's) name and what they need; what is in step costs nothing. */
export async function build(...filters: string[]): Promise<void> {
  const only = filters.flatMap((filter) => ['--filter', filter]);
  await must('the build', bin('turbo'), ['run', 'build', '--output-logs=new-only', ...only]);
}
