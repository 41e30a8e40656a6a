// A model provider on loopback: POST /v1/responses, as server-sent events. It keeps no state. What it does stands in the last prompt,
// as JSON after a marker; which step is next is the number of tool outputs after that prompt. So any number of
// conversations can be scripted at once, and asked again.

import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { answer, begin } from './answers.ts';
import { nextStep, type ResponsesBody, type Step } from './script.ts';

/** A request that came, and what became of it. */
export interface Recorded {
  readonly headers: IncomingMessage['headers'];
  readonly body: ResponsesBody;
  /** The client went away before the answer ended. */
  aborted: boolean;
}

export interface ScriptedProvider extends AsyncDisposable {
  /** Ends in `/v1`. */
  readonly url: string;
  readonly requests: Recorded[];
  /** Paths that were asked for and are none. */
  readonly strays: string[];
  /** Resolves when a request begins to hang; each call waits for the next one. */
  hanging(): Promise<void>;
  close(): Promise<void>;
}

export interface ScriptedProviderOptions {
  /** The steps of a prompt that has none in it. Default: it says that nothing was scripted. */
  readonly stepsOf?: (prompt: string) => readonly Step[];
  /** Requests are kept for a test to look at. Default true; a benchmark makes too many. */
  readonly keepRequests?: boolean;
}

/**
 * Starts a provider on a free port of loopback.
 *
 * @example
 * await using provider = await startScriptedProvider();
 * await using factory = await startCodex({ providers: [{ id: 'scripted', baseUrl: provider.url }], model: 'any' });
 * const runner = await factory.runner({ workingDirectory });
 * await runner.turn(script([{ call: 'exec_command', input: { cmd: 'ls' } }, { text: 'done' }]));
 */
export async function startScriptedProvider(options: ScriptedProviderOptions = {}): Promise<ScriptedProvider> {
  const requests: Recorded[] = [];
  const strays: string[] = [];
  let hung = 0;
  let awaited = 0;
  const waiters: (() => void)[] = [];

  const server = createServer((request, response) => {
    if (request.method !== 'POST' || request.url !== '/v1/responses') {
      strays.push(`${request.method} ${request.url}`);
      response.writeHead(404).end();
      return;
    }
    respond(request, response).catch((error: unknown) => {
      // A client that went away in the middle of its request is told nothing; one that sent no JSON is.
      if (!response.writable || response.headersSent) response.destroy();
      else response.writeHead(400).end(String(error));
    });
  });
  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = JSON.parse(await bodyOf(request)) as ResponsesBody;
    const recorded: Recorded = { headers: request.headers, body, aborted: false };
    if (options.keepRequests ?? true) requests.push(recorded);
    response.on('close', () => (recorded.aborted = !response.writableEnded));
    const step = nextStep(body, options.stepsOf);
    if (!('hangs' in step)) return answer(response, step, body);
    begin(response);
    hung += 1;
    waiters.shift()?.();
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const close = async (): Promise<void> => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    requests,
    strays,
    hanging: () => {
      awaited += 1;
      if (hung >= awaited) return Promise.resolve();
      return new Promise<void>((resolve) => waiters.push(resolve));
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString('utf8');
}
