// A real TURN server on this machine, where it has coturn: it makes credentials out of a shared secret by itself, and so
// judges ours.

import { type ChildProcess, spawn } from 'node:child_process';
import { createSocket } from 'node:dgram';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';

const PROGRAM = (process.env['PATH'] ?? '')
  .split(delimiter)
  .map((folder) => join(folder, 'turnserver'))
  .find((path) => existsSync(path));

/** Null when it is there. */
export const NO_COTURN = PROGRAM === undefined ? 'no coturn: turnserver is not on the PATH' : null;

/** Others may take a port between our look and its start. */
const TRIES = 5;

export class Coturn implements AsyncDisposable {
  readonly port: number;
  readonly #process: ChildProcess;
  readonly #folder: string;
  #log = '';

  private constructor(process: ChildProcess, port: number, folder: string) {
    this.#process = process;
    this.port = port;
    this.#folder = folder;
    for (const output of [process.stdout, process.stderr]) {
      output?.setEncoding('utf8').on('data', (text: string) => (this.#log += text));
    }
  }

  /** With `use-auth-secret`, and relaying to this machine, which coturn refuses otherwise. */
  static async open(secret: string): Promise<Coturn> {
    for (let tries = 1; ; tries++) {
      const folder = await mkdtemp(join(tmpdir(), 'parley-coturn-'));
      const port = await freePort();
      const settings = {
        'use-auth-secret': null,
        'static-auth-secret': secret,
        realm: 'parley.example',
        'listening-ip': '127.0.0.1',
        'relay-ip': '127.0.0.1',
        'listening-port': String(port),
        'allow-loopback-peers': null,
        'no-tls': null,
        'no-dtls': null,
        'no-cli': null,
        'log-file': 'stdout',
        pidfile: join(folder, 'pid'),
        userdb: join(folder, 'users'),
      };
      const flags = Object.entries(settings).map(([name, value]) => `--${name}${value === null ? '' : `=${value}`}`);
      const child = spawn(PROGRAM as string, ['-n', '-v', ...flags], {
        cwd: folder,
        stdio: ['ignore', 'pipe', 'pipe'],
      });
      const coturn = new Coturn(child, port, folder);
      if (await coturn.#listens()) return coturn;
      await coturn[Symbol.asyncDispose]();
      if (tries === TRIES) throw new Error(`coturn did not start:\n${coturn.log}`);
    }
  }

  url(transport: 'udp' | 'tcp'): string {
    return `turn:127.0.0.1:${this.port}?transport=${transport}`;
  }

  /** What it wrote so far. */
  get log(): string {
    return this.#log;
  }

  /** Resolves when it has written that. It may write after its answer is here. */
  async wrote(what: string | RegExp): Promise<void> {
    const found = (): boolean => (typeof what === 'string' ? this.#log.includes(what) : what.test(this.#log));
    while (!found()) await once(this.#process.stdout as NonNullable<ChildProcess['stdout']>, 'data');
  }

  /** Over both ways; false when it ended before. */
  #listens(): Promise<boolean> {
    const open = (way: string): boolean => new RegExp(`${way} listener opened on.*:${this.port}\\b`).test(this.#log);
    return new Promise((resolve) => {
      this.#process.stdout?.on('data', () => open('UDP') && open('TCP') && resolve(true));
      this.#process.once('exit', () => resolve(false));
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) {
      const ended = once(this.#process, 'exit');
      this.#process.kill('SIGKILL');
      await ended;
    }
    await rm(this.#folder, { recursive: true, force: true });
  }
}

/** One that nobody has over UDP nor over TCP: coturn takes no port 0. */
async function freePort(): Promise<number> {
  for (;;) {
    const tcp = createServer().listen(0, '127.0.0.1');
    await once(tcp, 'listening');
    const { port } = tcp.address() as AddressInfo;
    const udp = createSocket('udp4');
    const bound = once(udp, 'listening').then(
      () => true,
      () => false,
    );
    udp.bind(port, '127.0.0.1');
    const free = await bound;
    udp.close();
    tcp.close();
    await once(tcp, 'close');
    if (free) return port;
  }
}
