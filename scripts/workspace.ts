// What the verbs share: where the workspace is, what is in it, and how a command is run.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { constants, tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** The folder that holds pnpm-workspace.yaml. */
export const root = dirname(import.meta.dirname);

/** The parts of a package.json that the verbs read. */
export interface Manifest {
  readonly name: string;
  readonly version: string;
  readonly private?: boolean;
  readonly bin?: string | Record<string, string>;
  readonly exports?: Record<string, unknown>;
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
   * Where its output goes while it runs: `inherit` (stdout stays stdout), `progress` (all of it to stderr, once it takes
   * longer than a moment), `collect` (nowhere), `tee` (stdout and stderr as they are, and collected). Default `collect`.
   */
  readonly output?: 'inherit' | 'progress' | 'collect' | 'tee';
  /** After a signal this process ends with the command's own exit code instead of 128 + n: it may have drained well. */
  readonly decides?: boolean;
}

export interface Ended {
  /** 128 + n after signal n, 127 when the command could not be started. */
  readonly code: number;
  /** What it printed, stdout and stderr in one; empty where it was inherited or shown as progress. */
  readonly output: string;
}

/** What is done within this time needs no report. */
const MOMENT_MS = 1500;

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
  const child = spawn(command, args, {
    cwd: options.cwd ?? root,
    env: { ...process.env, ...options.env },
    stdio: to === 'inherit' ? 'inherit' : ['ignore', 'pipe', 'pipe'],
    // On Windows the tools of node_modules/.bin are .cmd files, which only a shell starts.
    shell: process.platform === 'win32',
  });
  running.add(child);
  const chunks: Buffer[] = [];
  let showing = false;
  const moment = setTimeout(() => {
    showing = to === 'progress';
    if (showing) for (const chunk of chunks.splice(0)) process.stderr.write(chunk);
  }, MOMENT_MS);
  child.stdout?.on('data', (chunk: Buffer) => {
    if (showing) process.stderr.write(chunk);
    else chunks.push(chunk);
    if (to === 'tee') process.stdout.write(chunk);
  });
  child.stderr?.on('data', (chunk: Buffer) => {
    if (showing) process.stderr.write(chunk);
    else chunks.push(chunk);
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
  clearTimeout(moment);
  if (stopping !== undefined) {
    if (options.decides === true) process.exitCode = code;
    if (running.size === 0) process.exit();
    await new Promise<never>(() => {});
  }
  return { code, output: Buffer.concat(chunks).toString() };
}

/**
 * Builds a program of the workspace and what it stands on, then runs it as if it were this process: same stdin, stdout
 * and arguments, signals passed on, and its exit code. For the last line of a verb. `also` names more packages to build.
 */
export async function runBuilt(program: string, args: readonly string[], also: readonly string[] = []): Promise<void> {
  // What it stands on is enough.
  const own = packages().find(({ folder }) => program.startsWith(`${folder}/`));
  if (!(await prepare(...(own ? [own.name, ...also] : [])))) {
    process.exitCode = 1;
    return;
  }
  const { code } = await run(process.execPath, [program, ...args], { output: 'inherit', decides: true });
  process.exitCode = code;
}

const folders: string[] = [];

/** A folder of its own outside of the workspace, which is removed when this process ends, however it ends. */
export function temporary(name: string): string {
  const folder = mkdtempSync(join(tmpdir(), `parley-${name}-`));
  if (folders.length === 0) {
    process.on('exit', () => {
      for (const one of folders) rmSync(one, { recursive: true, force: true });
    });
  }
  folders.push(folder);
  return folder;
}

/** A tool of the root's node_modules, by its command name. */
export function bin(name: string): string {
  return join(root, 'node_modules', '.bin', name);
}

/**
 * What every verb needs first: node_modules in step with the lockfile (pnpm sees in a tenth of a second when it is), and
 * every package built, or those that `filters` (turbo's) name and what they need. Reports on stderr; false when it failed.
 */
export async function prepare(...filters: string[]): Promise<boolean> {
  // with-node.mjs holds the other end: when it was killed, nobody else could stop this process.
  process.once('disconnect', () => process.kill(process.pid, 'SIGTERM'));
  process.channel?.unref();
  const fresh = !existsSync(join(root, 'node_modules', '.pnpm'));
  const reporter = fresh ? '--reporter=append-only' : '--reporter=silent';
  const only = filters.flatMap((filter) => ['--filter', filter]);
  return (
    (await succeeds('pnpm', ['install', '--frozen-lockfile', reporter])) &&
    (await succeeds(bin('turbo'), ['run', 'build', '--output-logs=new-only', ...only]))
  );
}

async function succeeds(command: string, args: readonly string[]): Promise<boolean> {
  const { code, output } = await run(command, args, { output: 'progress' });
  if (code !== 0) process.stderr.write(`${output}${command} ${args.join(' ')} ended with ${code}\n`);
  return code === 0;
}
