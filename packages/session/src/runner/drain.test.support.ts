// A program that serves, as its own process, and the callers of its calls.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { onTestFinished, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { AgentLauncherOptions } from '../launcher/options.ts';

const PATIENCE = { timeout: 10_000, interval: 20 };
const FIXTURE = fileURLToPath(new URL('drain.test.fixture.ts', import.meta.url));

export interface Setting {
  launcher?: Partial<AgentLauncherOptions>;
  warms?: 'never';
  /** The session has a handler. */
  handler?: boolean;
}

interface Line {
  msg: string;
  [field: string]: unknown;
}

/** A program that serves, and what it logs. */
export class Program {
  readonly child: ChildProcess;
  readonly ended: Promise<[code: number | null, signal: string | null]>;
  #err = '';
  #out = '';

  constructor(setting: Setting, env: Record<string, string> = {}, args: readonly string[] = ['--port', '0']) {
    this.child = spawn(process.execPath, [FIXTURE, 'serve', ...args], {
      env: { ...process.env, PARLEY_URL: '', PARLEY_SERVE_KEY: '', ...env, DRAIN_TEST: JSON.stringify(setting) },
      stdio: ['ignore', 'pipe', 'pipe'],
      // A group of its own, as a shell gives to what it starts.
      detached: true,
    });
    this.child.stdout?.on('data', (chunk: Buffer) => (this.#out += chunk.toString()));
    this.child.stderr?.on('data', (chunk: Buffer) => (this.#err += chunk.toString()));
    this.ended = once(this.child, 'close') as Promise<[number | null, string | null]>;
    onTestFinished(async () => {
      this.child.kill('SIGKILL');
      await this.ended;
    });
  }

  get said(): string {
    return this.#err;
  }

  async url(): Promise<string> {
    await vi.waitUntil(() => this.#out.includes('\n'), PATIENCE);
    return this.#out.trim();
  }

  lines(msg: string): Line[] {
    const lines = this.#err.split('\n').filter((line) => line.startsWith('{'));
    return lines.map((line) => JSON.parse(line) as Line).filter((line) => line.msg === msg);
  }
}

interface Answer {
  status: number;
  body: Record<string, unknown> & { error?: { code: string } };
}

export async function ask(url: string, method: string, path: string, body?: object): Promise<Answer> {
  const init = body && { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  const response = await fetch(`${url}${path}`, { method, ...init });
  return { status: response.status, body: (await response.json()) as Answer['body'] };
}

/** A live client of a call. */
export class Caller {
  readonly sessionId: string;
  readonly socket: WebSocket;
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly heard: string[] = [];
  readonly types: string[] = [];

  constructor(url: string, { session_id, realtime_path, client_token }: Record<string, unknown>) {
    this.sessionId = String(session_id);
    this.socket = new WebSocket(`${url.replace('http', 'ws')}${String(realtime_path)}`, [
      'realtime',
      `parley.token.${String(client_token)}`,
    ]);
    this.socket.on('message', (data: Buffer) => {
      const frame = JSON.parse(data.toString()) as { type: string; transcript?: string };
      this.types.push(frame.type);
      if (frame.type === 'response.output_audio_transcript.done') this.heard.push(frame.transcript ?? '');
    });
    this.closed = once(this.socket, 'close').then(([code, reason]) => ({
      code: code as number,
      reason: String(reason),
    }));
  }

  static async of(url: string, call_id: string): Promise<Caller> {
    const { status, body } = await ask(url, 'POST', '/sessions?wait=active', { call_id });
    if (status !== 201) throw new Error(`the start of ${call_id} answered ${status}: ${JSON.stringify(body)}`);
    const caller = new Caller(url, body);
    await vi.waitUntil(() => caller.types[0] === 'session.created', PATIENCE);
    return caller;
  }

  async talks(text: string): Promise<void> {
    const content = [{ type: 'input_text', text }];
    const item = { type: 'message', role: 'user', content };
    this.socket.send(JSON.stringify({ type: 'conversation.item.create', item }));
    this.socket.send('{"type":"response.create"}');
    await vi.waitUntil(() => this.heard.includes(`You said: ${text}`), PATIENCE);
  }
}
