// What a Dockerfile says, done step by step in an empty folder: for machines that have no container engine. It knows the
// few instructions that our templates use, and refuses the others by name.
import { type ChildProcess, spawn } from 'node:child_process';
import { cpSync, globSync, mkdirSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { run } from './workspace.ts';

export interface Instruction {
  readonly name: string;
  readonly text: string;
}

/** What an image says about its containers. */
export interface Image {
  base: string;
  /** As it is within the image. */
  workdir: string;
  env: Record<string, string>;
  user: string;
  ports: number[];
  command: string[];
  /** Null where it has none. */
  healthcheck: string[] | null;
}

/** Lines that end with a backslash go on; comments are lines of their own. */
export function instructionsOf(dockerfile: string): Instruction[] {
  const lines = dockerfile.split('\n').filter((line) => !/^\s*#/.test(line));
  const joined = lines.join('\n').replaceAll(/\\\n/g, ' ');
  return joined
    .split('\n')
    .filter((line) => line.trim() !== '')
    .map((line) => {
      const [, name = '', text = ''] = /^\s*([A-Za-z]+)\s+(.*)$/.exec(line) ?? [];
      return { name: name.toUpperCase(), text: text.trim() };
    });
}

/** The list of an exec form. Without it a shell is process 1, and what it runs never hears of a signal. */
export function execForm(instruction: string, text: string): string[] {
  try {
    const list: unknown = JSON.parse(text);
    if (Array.isArray(list) && list.length > 0 && list.every((part) => typeof part === 'string')) return list;
  } catch {
    // Told below, with the other things that it may be instead.
  }
  throw new Error(`${instruction} must be in exec form, ["program", "argument"], got ${text}`);
}

export class Container {
  readonly image: Image = { base: '', workdir: '/', env: {}, user: 'root', ports: [], command: [], healthcheck: null };
  readonly #context: string;
  readonly #root: string;
  readonly #host: Record<string, string>;
  readonly #ignored: readonly string[];

  /**
   * @param root the empty folder that is filled.
   * @param host the environment of the machine that stands in for the base image: PATH, and how registries are reached.
   */
  constructor(context: string, root: string, host: Record<string, string>) {
    this.#context = context;
    this.#root = root;
    this.#host = host;
    this.#ignored = ignoredIn(context);
  }

  /** Where a path of the image is on this machine. */
  at(path: string): string {
    return join(this.#root, resolve(this.image.workdir, path));
  }

  async build(dockerfile = readFileSync(join(this.#context, 'Dockerfile'), 'utf8')): Promise<void> {
    for (const { name, text } of instructionsOf(dockerfile)) {
      await this.#perform(name, text);
    }
    if (this.image.command.length === 0) throw new Error('there is no CMD');
  }

  /** Runs CMD, with what the service sets besides. */
  start(env: Record<string, string>): ChildProcess {
    const [program = '', ...args] = this.image.command;
    return spawn(program, args, { cwd: this.at('.'), env: this.#env(env), stdio: ['ignore', 'pipe', 'pipe'] });
  }

  /** @param check of the service, instead of the image's own. */
  async healthy(
    env: Record<string, string>,
    check: readonly string[] | null = this.image.healthcheck,
  ): Promise<boolean> {
    const [program, ...args] = check ?? [];
    if (program === undefined) throw new Error('there is no HEALTHCHECK');
    return (await run(program, args, { cwd: this.at('.'), env: this.#env(env) })).code === 0;
  }

  #env(env: Record<string, string>): Record<string, string> {
    return { ...this.#host, ...this.image.env, ...env };
  }

  async #perform(name: string, text: string): Promise<void> {
    const { image } = this;
    switch (name) {
      case 'FROM':
        image.base = text;
        return;
      case 'WORKDIR':
        image.workdir = resolve(image.workdir, text);
        mkdirSync(this.at('.'), { recursive: true });
        return;
      case 'ENV':
        for (const pair of text.split(/\s+/)) {
          const [, key = '', value = ''] = /^(\w+)=(.*)$/.exec(pair) ?? [];
          if (key === '') throw new Error(`ENV must be NAME=value, got ${pair}`);
          image.env[key] = value;
        }
        return;
      case 'COPY':
        return this.#copy(text);
      case 'RUN': {
        const { code, output } = await run('sh', ['-c', text], { cwd: this.at('.'), env: this.#env({}) });
        if (code !== 0) throw new Error(`RUN ${text} ended with ${code}:\n${output}`);
        return;
      }
      case 'USER':
        image.user = text;
        return;
      case 'EXPOSE':
        image.ports.push(...text.split(/\s+/).map(Number));
        return;
      case 'HEALTHCHECK':
        image.healthcheck = execForm('HEALTHCHECK CMD', text.replace(/^(?:--\S+\s+)*CMD\s+/, ''));
        return;
      case 'CMD':
        image.command = execForm('CMD', text);
        return;
      default:
        throw new Error(`the instruction ${name} is not known here: ${text}`);
    }
  }

  #copy(text: string): void {
    const parts = text.split(/\s+/);
    const to = this.at(parts.pop() ?? '.');
    for (const pattern of parts) {
      const found = pattern === '.' ? ['.'] : globSync(pattern, { cwd: this.#context });
      if (found.length === 0) throw new Error(`COPY ${text}: there is no ${pattern}`);
      for (const name of found) {
        const from = join(this.#context, name);
        const filter = (path: string): boolean => !this.#ignored.some((one) => path === join(this.#context, one));
        cpSync(from, name === '.' ? to : join(to, basename(name)), { recursive: true, filter });
      }
    }
  }
}

/** The names in .dockerignore: of whole files and folders of the context, no patterns. */
function ignoredIn(context: string): string[] {
  const lines = readFileSync(join(context, '.dockerignore'), 'utf8').split('\n');
  const names = lines.filter((line) => line.trim() !== '' && !line.startsWith('#'));
  const pattern = names.find((name) => /[*?![\]]/.test(name));
  if (pattern !== undefined) throw new Error(`.dockerignore: a pattern is not known here: ${pattern}`);
  return names;
}
